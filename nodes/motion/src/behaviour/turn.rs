//! Turning on the spot.

use spatial::angle;

use super::Step;
use crate::body::Body;
use crate::drive::{Drive, turn_rate};

/// Turns by an angle (measured by odometry, so more than one turn is possible) or to a heading in the map.
#[derive(Clone, Debug)]
pub struct Turn {
    goal: Goal,
    tolerance: f64,
    whole: f64,
    left: f64,
    last_odom_yaw: Option<f64>,
    deadline_s: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Goal {
    By,
    To(f64),
}

impl Turn {
    /// A turn by an angle, rad, counter-clockwise.
    pub fn by(angle: f64) -> Self {
        Self { goal: Goal::By, tolerance: 0.015, whole: angle, left: angle, last_odom_yaw: None, deadline_s: None }
    }

    /// A turn to a heading in the map, rad, the short way.
    pub fn to(heading: f64) -> Self {
        Self { goal: Goal::To(heading), tolerance: 0.012, whole: 0.0, left: 0.0, last_odom_yaw: None, deadline_s: None }
    }

    /// One tick.
    pub fn step(&mut self, body: &mut Body) -> Step {
        let Some((_, odom)) = body.senses.odom else { return Step::Failed("there is no odometry".to_owned()) };
        match self.goal {
            Goal::By => self.left -= self.last_odom_yaw.map_or(0.0, |last| angle::difference(odom.yaw, last)),
            Goal::To(heading) => self.left = angle::difference(heading, body.pose().yaw),
        }
        if self.last_odom_yaw.is_none() && self.whole == 0.0 {
            self.whole = self.left;
        }
        self.last_odom_yaw = Some(odom.yaw);
        let deadline = *self.deadline_s.get_or_insert(body.now() + 8.0 + 4.0 * self.left.abs() / body.config.max_turn);
        if body.senses.stopped.is_some() {
            // Time that safety takes does not count.
            self.deadline_s = Some(deadline + crate::PERIOD_S);
        }
        if self.left.abs() <= self.tolerance && body.senses.turn_rate.abs() < 0.04 {
            return Step::Done;
        }
        if body.now() > deadline {
            return Step::Failed(format!("could not turn: {:.0} degrees are left", self.left.to_degrees()));
        }
        body.drive = Drive {
            linear: 0.0,
            angular: if self.left.abs() <= 0.5 * self.tolerance { 0.0 } else { turn_rate(self.left, &body.config) },
        };
        Step::Running
    }

    /// What is left to turn, rad.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// The same turn, longer by an angle (rad): what an earlier one left over. A turn to a heading stays as it is.
    pub fn plus(mut self, angle: f64) -> Self {
        if matches!(self.goal, Goal::By) {
            (self.whole, self.left) = (self.whole + angle, self.left + angle);
        }
        self
    }

    /// 0..1
    pub fn progress(&self) -> f64 {
        if self.whole == 0.0 { 1.0 } else { (1.0 - self.left / self.whole).clamp(0.0, 1.0) }
    }
}
