//! Going home to charge.

use spatial::{Pose2, angle};

use super::{Arrival, Navigate, Step, Straight, Turn};
use crate::body::Body;
use crate::drive::Drive;

/// Drives to the approach point, squares up to the wall behind the dock, creeps on until the battery charges. A miss backs
/// off and tries again.
#[derive(Clone, Debug)]
pub struct Dock {
    state: State,
    tries: u32,
    heading_correction: f64,
}

#[derive(Clone, Debug)]
enum State {
    Begin,
    Approach(Navigate),
    Square { since_s: f64 },
    Face(Turn),
    Creep { until_s: f64 },
    Wait { until_s: f64 },
    Back(Straight),
}

impl Dock {
    /// Home from anywhere.
    pub fn new() -> Self {
        Self { state: State::Begin, tries: 0, heading_correction: 0.0 }
    }

    /// What it is doing.
    pub fn phase(&self) -> &'static str {
        match self.state {
            State::Begin | State::Approach(_) => "drive to dock",
            State::Square { .. } | State::Face(_) => "align",
            State::Creep { .. } => "creep",
            State::Wait { .. } => "wait for charge",
            State::Back(_) => "back off",
        }
    }

    /// 0..1
    pub fn progress(&self) -> f64 {
        match self.state {
            State::Begin => 0.0,
            State::Approach(_) => 0.2,
            State::Square { .. } => 0.6,
            State::Face(_) => 0.65,
            State::Creep { .. } | State::Back(_) => 0.7,
            State::Wait { .. } => 0.9,
        }
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        let config = body.config.clone();
        let now = body.now();
        let dock = body.home.dock_pose();
        if body.senses.charging && !matches!(self.state, State::Approach(_) | State::Back(_)) {
            return if body.is_still() { Step::Done } else { Step::Running };
        }
        match &mut self.state {
            State::Begin => {
                let approach = dock * Pose2::new(-config.dock_distance, 0.0, 0.0);
                self.state = State::Approach(Navigate::new(approach.position(), Some(approach.yaw), Arrival::Exact));
            }
            State::Approach(navigate) => match navigate.step(body) {
                Step::Done => self.state = State::Square { since_s: now },
                Step::Failed(reason) => return Step::Failed(format!("could not get to the dock: {reason}")),
                Step::Running => {}
            },
            State::Square { since_s } => {
                if now - *since_s >= 0.5 {
                    // The wall behind the dock tells the heading better than the map does.
                    self.heading_correction = body
                        .edge(2.0)
                        .map(|edge| angle::difference(dock.yaw, body.pose().yaw + edge.bearing))
                        .filter(|correction| correction.abs() < 0.08)
                        .unwrap_or(0.0);
                    self.state = State::Face(Turn::to(dock.yaw - self.heading_correction));
                }
            }
            State::Face(turn) => match turn.step(body) {
                Step::Running => {}
                Step::Failed(reason) => return Step::Failed(reason),
                Step::Done => {
                    let seconds = (config.dock_distance + config.dock_overshoot) / config.dock_speed;
                    self.state = State::Creep { until_s: now + 2.0 * seconds + 5.0 };
                }
            },
            State::Creep { until_s } => {
                let place = body.pose().relative_to(&dock);
                if body.senses.stopped.is_some() {
                    *until_s += crate::PERIOD_S;
                }
                if body.senses.touch.front() || place.x >= config.dock_overshoot {
                    self.state = State::Wait { until_s: now + config.dock_wait };
                } else if place.y.abs() > 0.06 || now >= *until_s {
                    return self.miss(body, format!("came in {:.0} mm beside the dock", 1000.0 * place.y));
                } else {
                    // Steer back onto the dock's axis, squarely in the last stretch.
                    let steer = if place.x < -0.15 { (-2.0 * place.y).clamp(-0.2, 0.2) } else { 0.0 };
                    let error = angle::difference(dock.yaw - self.heading_correction + steer, body.pose().yaw);
                    let linear = if place.x < -0.2 { config.creep_speed } else { config.dock_speed };
                    body.drive = Drive { linear, angular: (2.0 * error).clamp(-0.3, 0.3) };
                }
            }
            State::Wait { until_s } => {
                if now >= *until_s {
                    return self.miss(body, "touched the dock, but the battery does not charge".to_owned());
                }
            }
            State::Back(straight) => {
                if straight.step(body) != Step::Running {
                    self.state = State::Begin;
                }
            }
        }
        Step::Running
    }

    fn miss(&mut self, body: &mut Body, reason: String) -> Step {
        self.tries += 1;
        if f64::from(self.tries) >= body.config.dock_tries {
            return Step::Failed(format!("docking failed {} times: {reason}", self.tries));
        }
        self.state = State::Back(Straight::back(0.4));
        Step::Running
    }
}

impl Default for Dock {
    fn default() -> Self {
        Self::new()
    }
}
