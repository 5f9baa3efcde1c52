//! Short straight moves: creeping, backing off, pushing, pulling.

use glam::DVec2;
use spatial::{Pose2, angle};

use super::Step;
use crate::body::Body;
use crate::drive::{Drive, approach_speed};

/// What ends a straight move besides its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StraightEnd {
    /// Contact is a failure; nothing nearer than the clearance is approached.
    Free,
    /// Contact is wanted: the move goes on against it.
    Push,
}

/// Drives straight by a distance along the heading it begins with, measured by odometry.
#[derive(Clone, Debug)]
pub struct Straight {
    distance: f64,
    speed: f64,
    end: StraightEnd,
    from: Option<Pose2>,
    done: f64,
    touched: bool,
    stuck_since_s: Option<f64>,
    deadline_s: f64,
    room: f64,
}

impl Straight {
    /// Creeps forward by a distance (m); stops `room` metres before anything the lidar sees.
    pub fn creep(distance: f64, room: f64) -> Self {
        Self::new(distance, StraightEnd::Free, room)
    }

    /// Backs off by a distance (m).
    pub fn back(distance: f64) -> Self {
        Self::new(-distance, StraightEnd::Free, 0.03)
    }

    /// Pushes forward by a distance (m).
    pub fn push(distance: f64) -> Self {
        Self::new(distance, StraightEnd::Push, 0.0)
    }

    fn new(distance: f64, end: StraightEnd, room: f64) -> Self {
        Self {
            distance,
            speed: 0.0,
            end,
            from: None,
            done: 0.0,
            touched: false,
            stuck_since_s: None,
            deadline_s: f64::INFINITY,
            room,
        }
    }

    /// The same at another speed (m/s).
    pub fn at_speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// How far it came, m (negative backward).
    pub fn travelled(&self) -> f64 {
        self.done
    }

    /// Whether the bumper touched something on the way.
    pub fn touched(&self) -> bool {
        self.touched
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        let Some((_, odom)) = body.senses.odom else { return Step::Failed("there is no odometry".to_owned()) };
        if self.speed <= 0.0 {
            self.speed = body.config.creep_speed;
        }
        let from = match self.from {
            Some(from) => from,
            None => {
                self.deadline_s = body.now() + 5.0 + 3.0 * self.distance.abs() / self.speed;
                *self.from.insert(odom)
            }
        };
        if body.senses.stopped.is_some() {
            self.deadline_s += crate::PERIOD_S;
        }
        let local = from.inverse_transform(odom.position());
        self.done = local.x;
        let sign = self.distance.signum();
        let left = (self.distance - self.done) * sign;
        let touch = body.senses.touch;
        let contact = if sign > 0.0 { touch.front() } else { touch.rear };
        self.touched |= contact;
        if left <= 0.004 {
            return if body.is_still() { Step::Done } else { Step::Running };
        }
        if self.end == StraightEnd::Free {
            if contact {
                return Step::Failed(format!("touched something after {:.2} m", self.done.abs()));
            }
            let room = if sign > 0.0 { body.room_ahead() } else { body.room_behind() };
            if room < self.room {
                return Step::Failed(format!(
                    "something is in the way after {:.2} of {:.2} m",
                    self.done.abs(),
                    self.distance.abs()
                ));
            }
        }
        // Wheels that turn against something heavy make no way: odometry or scan stands still.
        if body.senses.speed.abs() < 0.005 && body.senses.stopped.is_none() {
            let since = *self.stuck_since_s.get_or_insert(body.now());
            if body.now() - since > 3.0 {
                return Step::Failed(format!("stuck after {:.2} of {:.2} m", self.done.abs(), self.distance.abs()));
            }
        } else {
            self.stuck_since_s = None;
        }
        if body.now() > self.deadline_s {
            return Step::Failed(format!("too slow: {:.2} of {:.2} m", self.done.abs(), self.distance.abs()));
        }
        let drift = angle::difference(from.yaw, odom.yaw) - sign * (2.0 * local.y).clamp(-0.2, 0.2);
        body.drive =
            Drive { linear: sign * approach_speed(left, self.speed, &body.config), angular: (2.0 * drift).clamp(-0.3, 0.3) };
        Step::Running
    }

    /// 0..1
    pub fn progress(&self) -> f64 {
        (self.done / self.distance).clamp(0.0, 1.0)
    }
}

/// Drives to a point and a heading a short way off, exactly: turn, drive (backward where that is nearer), turn.
#[derive(Clone, Debug)]
pub struct Settle {
    goal: DVec2,
    yaw: Option<f64>,
    state: SettleState,
    tries: u32,
    deadline_s: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SettleState {
    Choose,
    Face { reverse: bool },
    Drive { reverse: bool, moved_s: f64 },
    Finish,
    Rest { until_s: f64 },
}

impl Settle {
    /// To a point (m, map) and a heading (rad, map), if one is asked for.
    pub fn new(goal: DVec2, yaw: Option<f64>) -> Self {
        Self { goal, yaw, state: SettleState::Choose, tries: 0, deadline_s: None }
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        let deadline = *self.deadline_s.get_or_insert(body.now() + 40.0);
        if body.senses.stopped.is_some() {
            self.deadline_s = Some(deadline + crate::PERIOD_S);
        }
        let pose = body.pose();
        let to_goal = self.goal - pose.position();
        let distance = to_goal.length();
        let config = &body.config;
        if body.now() > deadline {
            return Step::Failed(format!("did not settle: {:.3} m from the goal", distance));
        }
        match self.state {
            SettleState::Choose => {
                if distance <= 0.6 * config.position_tolerance {
                    self.state = SettleState::Finish;
                } else if self.tries >= 5 {
                    return Step::Failed(format!("did not settle: {:.3} m from the goal after {} tries", distance, self.tries));
                } else {
                    self.tries += 1;
                    let ahead = angle::difference(to_goal.to_angle(), pose.yaw);
                    let reverse = ahead.abs() > 1.9 && distance < 0.35;
                    self.state = SettleState::Face { reverse };
                }
            }
            SettleState::Face { reverse } => {
                let heading = if reverse { (-to_goal).to_angle() } else { to_goal.to_angle() };
                let error = angle::difference(heading, pose.yaw);
                if error.abs() < 0.03 && body.senses.turn_rate.abs() < 0.05 {
                    self.state = SettleState::Drive { reverse, moved_s: body.now() };
                } else if body.turns_into_something(heading) {
                    return Step::Failed(format!("there is no room to turn {distance:.2} m before the goal"));
                } else {
                    body.drive = Drive { linear: 0.0, angular: crate::drive::turn_rate(error, config) };
                }
            }
            SettleState::Drive { reverse, moved_s } => {
                let sign = if reverse { -1.0 } else { 1.0 };
                let along = to_goal.dot(pose.heading()) * sign;
                if along <= 0.003 {
                    if body.is_still() {
                        self.state = SettleState::Choose;
                    }
                } else {
                    let touch = body.senses.touch;
                    let finger = touch.any_finger() && body.held.is_none();
                    let contact = if reverse { touch.rear } else { touch.front() || finger };
                    let room = if reverse { body.room_behind() } else { body.room_ahead_of_gripper() };
                    if contact || room < 0.02 {
                        return Step::Failed(format!("something stands {distance:.2} m before the goal"));
                    }
                    if body.senses.speed.abs() > 0.005 || body.senses.stopped.is_some() {
                        self.state = SettleState::Drive { reverse, moved_s: body.now() };
                    } else if body.now() - moved_s > 3.0 {
                        return Step::Failed(format!("stuck {distance:.2} m before the goal"));
                    }
                    let heading = if reverse { (-to_goal).to_angle() } else { to_goal.to_angle() };
                    // Close to the goal its bearing says little.
                    let error = if along > 0.06 { angle::difference(heading, pose.yaw).clamp(-0.3, 0.3) } else { 0.0 };
                    body.drive = Drive { linear: sign * approach_speed(along, 0.15, config), angular: 1.5 * error };
                }
            }
            SettleState::Finish => {
                let error = self.yaw.map_or(0.0, |yaw| angle::difference(yaw, pose.yaw));
                if error.abs() <= 0.4 * config.yaw_tolerance && body.is_still() {
                    self.state = SettleState::Rest { until_s: body.now() + 0.3 };
                } else if error.abs() > config.yaw_tolerance && body.turns_into_something(pose.yaw + error) {
                    return Step::Failed(format!("there is no room to turn {distance:.2} m from the goal"));
                } else if error.abs() > 0.25 * config.yaw_tolerance {
                    body.drive = Drive { linear: 0.0, angular: crate::drive::turn_rate(error, config) };
                }
            }
            SettleState::Rest { until_s } => {
                let error = self.yaw.map_or(0.0, |yaw| angle::difference(yaw, pose.yaw));
                let arrived = distance <= config.position_tolerance && error.abs() <= config.yaw_tolerance;
                if body.now() >= until_s {
                    if arrived {
                        return Step::Done;
                    }
                    self.state = SettleState::Choose;
                }
            }
        }
        Step::Running
    }
}
