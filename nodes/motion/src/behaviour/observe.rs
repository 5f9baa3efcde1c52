//! Looking around.

use super::{Request, Step, Turn, bearing_to};
use crate::body::Body;

/// Turns through an angle in steps and pauses at each for perception. With a target it faces the target first and then
/// looks half the angle to either side. The robot ends where it began, or facing the target.
#[derive(Clone, Debug)]
pub struct Observe {
    turns: Vec<Turn>,
    at: usize,
    pause_until_s: Option<f64>,
}

impl Observe {
    /// From a request: the angle (rad; its sign is the direction) and, if any, the target.
    pub fn new(request: &Request, body: &Body) -> Self {
        let mut turns = Vec::new();
        let step = body.config.observe_step;
        let sweep = |angle: f64, turns: &mut Vec<Turn>| {
            let count = (angle.abs() / step).ceil() as usize;
            turns.extend((0..count).map(|_| Turn::by(angle / count as f64)));
        };
        match request.target {
            Some(target) => {
                let heading = bearing_to(body.pose(), target.to_pose2());
                let half = 0.5 * request.angle.clamp(-std::f64::consts::TAU, std::f64::consts::TAU);
                turns.push(Turn::to(heading));
                if half != 0.0 {
                    sweep(half, &mut turns);
                    turns.push(Turn::to(heading));
                    sweep(-half, &mut turns);
                    turns.push(Turn::to(heading));
                }
            }
            None => {
                // Nothing to turn: one look from here.
                turns.push(Turn::by(0.0));
                sweep(request.angle.clamp(-2.0 * std::f64::consts::TAU, 2.0 * std::f64::consts::TAU), &mut turns);
            }
        }
        Self { turns, at: 0, pause_until_s: None }
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        // The arm must not hide the view.
        let lift = body.config.carry_lift;
        if body.arm.target().is_some_and(|target| target.extend > 0.0 || target.lift > lift)
            && body.costmap.clearance(body.pose(), &body.outline()) > 0.0
        {
            let config = body.config.clone();
            body.arm.move_to(lift, 0.0, &config);
        }
        if let Some(until) = self.pause_until_s {
            if body.now() < until {
                return Step::Running;
            }
            self.pause_until_s = None;
            // Small errors of many steps must not add up.
            let left = self.turns.get(self.at).map_or(0.0, Turn::left);
            self.at += 1;
            if let Some(next) = self.turns.get_mut(self.at) {
                *next = next.clone().plus(left);
            }
        }
        let Some(turn) = self.turns.get_mut(self.at) else { return Step::Done };
        match turn.step(body) {
            Step::Done => {
                self.pause_until_s = Some(body.now() + body.config.observe_pause);
                Step::Running
            }
            other => other,
        }
    }

    /// 0..1
    pub fn progress(&self) -> f64 {
        self.at as f64 / self.turns.len().max(1) as f64
    }
}
