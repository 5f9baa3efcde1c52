//! Driving: velocity limits, turning profiles, and following a path by simulated velocity samples.
//!
//! The sampled-velocity controller follows Fox, Burgard, Thrun, "The dynamic window approach to collision avoidance", 1997:
//! only velocities reachable within the acceleration limits are tried, and only those whose arc stays clear are taken.

use glam::DVec2;
use spatial::{Pose2, angle};

use crate::config::Config;
use crate::costmap::{Circle, Costmap};

/// A command to the base.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drive {
    /// Forward speed, m/s.
    pub linear: f64,
    /// Turn rate, rad/s, counter-clockwise.
    pub angular: f64,
}

impl Drive {
    /// Standing still.
    pub const STOP: Self = Self { linear: 0.0, angular: 0.0 };

    /// The command nearest to this one that can follow `previous` after `dt` seconds.
    pub fn limited(self, previous: Self, dt: f64, config: &Config) -> Self {
        let (dv, dw) = (config.max_acceleration * dt, config.max_turn_acceleration * dt);
        let linear = self.linear.clamp(-config.max_speed, config.max_speed);
        let angular = self.angular.clamp(-config.max_turn, config.max_turn);
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        Self {
            linear: finite(linear).clamp(previous.linear - dv, previous.linear + dv),
            angular: finite(angular).clamp(previous.angular - dw, previous.angular + dw),
        }
    }
}

/// Turn rate that brings a heading error (rad) to zero without overshoot: as fast as can still be braked.
pub fn turn_rate(error: f64, config: &Config) -> f64 {
    let braking = (2.0 * 0.6 * config.max_turn_acceleration * error.abs()).sqrt();
    // Near the goal linear, so that it settles.
    let rate = braking.min(config.max_turn).min(2.5 * error.abs());
    // Slower than the least turn rate the wheels stand still.
    rate.max(if error.abs() > 0.004 { config.min_turn } else { 0.0 }).copysign(error)
}

/// Speed (m/s) at which a distance (m) to a stop can still be braked, up to a limit.
pub fn approach_speed(distance: f64, limit: f64, config: &Config) -> f64 {
    let braking = (2.0 * 0.5 * config.max_acceleration * distance.max(0.0)).sqrt();
    braking.min(limit).min(1.5 * distance.max(0.0) + config.min_speed)
}

/// What following a path asks for in one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Follow {
    /// Drive like this.
    Drive(Drive),
    /// Every sample would touch something.
    Blocked,
}

/// Position on a path: the nearest point to `position` at or after the segment `from`, as segment index and point.
pub fn project(path: &[DVec2], position: DVec2) -> Option<(usize, DVec2)> {
    let mut best: Option<(f64, usize, DVec2)> = None;
    for (i, pair) in path.windows(2).enumerate() {
        let along = pair[1] - pair[0];
        let t = if along.length_squared() > 0.0 {
            ((position - pair[0]).dot(along) / along.length_squared()).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let point = pair[0] + along * t;
        let distance = point.distance(position);
        if best.is_none_or(|(nearest, _, _)| distance < nearest) {
            best = Some((distance, i, point));
        }
    }
    best.map(|(_, i, point)| (i, point))
}

/// Length (m) of what is left of a path from a position.
pub fn remaining(path: &[DVec2], position: DVec2) -> f64 {
    project(path, position).map_or(0.0, |(i, point)| point.distance(path[i + 1]) + spatial::search::length(&path[i + 1..]))
}

/// The point to steer at: ahead on the path, pulled back until it can be seen.
fn carrot(path: &[DVec2], pose: Pose2, ahead: f64, costmap: &Costmap, config: &Config) -> Option<DVec2> {
    let (segment, start) = project(path, pose.position())?;
    let mut rest = vec![start];
    rest.extend_from_slice(&path[segment + 1..]);
    let mut reach = ahead;
    loop {
        let point = spatial::search::along(&rest, reach)?;
        let steps = (pose.position().distance(point) / 0.05).ceil().max(1.0) as usize;
        let seen =
            (1..=steps).all(|i| costmap.free_distance(pose.position().lerp(point, i as f64 / steps as f64)) > config.base_radius);
        if seen || reach <= 0.12 {
            return Some(point);
        }
        reach *= 0.7;
    }
}

/// One tick of following a path (m, map frame): turns on the spot while the path leads elsewhere, otherwise samples
/// velocities. `speed` is the measured motion.
pub fn follow(path: &[DVec2], pose: Pose2, speed: Drive, costmap: &Costmap, outline: &[Circle], config: &Config) -> Follow {
    let Some(carrot) = carrot(path, pose, config.lookahead + 0.4 * speed.linear.max(0.0), costmap, config) else {
        return Follow::Drive(Drive::STOP);
    };
    let to_carrot = carrot - pose.position();
    let bearing = angle::difference(to_carrot.to_angle(), pose.yaw);
    let clearance_now = costmap.clearance(pose, outline);
    // Where the robot already stands too near, it may only get away.
    let keep = config.clearance.min(clearance_now - 1e-3);
    let turning_on_spot = bearing.abs() > 0.7 || (bearing.abs() > 0.35 && speed.linear.abs() < 0.03);
    if turning_on_spot {
        let rate = turn_rate(bearing, config);
        let drive = Drive { linear: 0.0, angular: rate };
        let turn = bearing.abs().min(0.6);
        let clear = (1..=6).all(|i| {
            let turned = Pose2::new(pose.x, pose.y, pose.yaw + bearing.signum() * turn * f64::from(i) / 6.0);
            costmap.clearance(turned, outline) >= keep
        });
        if clear {
            return Follow::Drive(drive);
        }
        // The gripper does not come round here: back off a little where there is room.
        let back = Pose2::at(pose.transform(DVec2::new(-0.08, 0.0)), pose.yaw);
        return if costmap.clearance(back, outline) >= keep {
            Follow::Drive(Drive { linear: -0.06, angular: 0.0 })
        } else {
            Follow::Blocked
        };
    }
    let left = remaining(path, pose.position());
    let slow = ((clearance_now - config.clearance) / config.slow_clearance).clamp(0.35, 1.0);
    let fastest = (config.max_speed * slow).min(approach_speed(left + 0.02, config.max_speed, config));
    let reach = 0.25; // s: what can be reached until the next few ticks
    let v_low = (speed.linear - config.max_acceleration * reach).clamp(0.0, fastest);
    let v_high = (speed.linear + config.max_acceleration * reach).clamp(0.02_f64.min(fastest), fastest);
    let w_low = (speed.angular - config.max_turn_acceleration * reach).max(-config.max_turn);
    let w_high = (speed.angular + config.max_turn_acceleration * reach).min(config.max_turn);
    let mut best: Option<(f64, Drive)> = None;
    for vi in 0..6 {
        let linear = v_low + (v_high - v_low) * f64::from(vi) / 5.0;
        for wi in 0..21 {
            let angular = w_low + (w_high - w_low) * f64::from(wi) / 20.0;
            if let Some(score) = judge(pose, linear, angular, carrot, (keep, clearance_now), costmap, outline, config)
                && best.is_none_or(|(lowest, _)| score < lowest)
            {
                best = Some((score, Drive { linear, angular }));
            }
        }
    }
    best.map_or(Follow::Blocked, |(_, drive)| Follow::Drive(drive))
}

/// Score of a sample, lower is better; None where its arc comes too near to something.
#[allow(clippy::too_many_arguments)]
fn judge(
    pose: Pose2,
    linear: f64,
    angular: f64,
    carrot: DVec2,
    keep: (f64, f64),
    costmap: &Costmap,
    outline: &[Circle],
    config: &Config,
) -> Option<f64> {
    const STEP: f64 = 0.1;
    let steps = (config.rollout / STEP).round().max(1.0) as usize;
    let mut nearest = f64::INFINITY;
    let mut closest = f64::INFINITY;
    let mut end = pose;
    for i in 1..=steps {
        let next = pose.drive(linear, angular, STEP * i as f64);
        // What lies beyond the carrot is the next tick's business.
        let to_carrot = next.position().distance(carrot);
        let clearance = costmap.clearance(next, outline);
        if clearance < keep.0 {
            // Only what cannot be braked before is a collision.
            let stopping = linear * linear / (2.0 * config.max_acceleration) + linear * 0.15;
            if pose.position().distance(next.position()) <= stopping + 0.04 || i <= 3 {
                return None;
            }
            closest = closest.min(clearance);
            break;
        }
        nearest = nearest.min(to_carrot);
        closest = closest.min(clearance);
        end = next;
        if to_carrot > nearest + 1e-9 {
            break;
        }
    }
    let heading = angle::difference((carrot - end.position()).to_angle(), end.yaw).abs();
    let near = ((0.20 - closest) / 0.20).clamp(0.0, 1.0);
    let far = if (carrot - end.position()).length() > 0.08 { heading } else { 0.0 };
    Some(nearest + 0.12 * far + 0.05 * near * near - 0.05 * linear + 0.01 * (angular.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_whatever_is_asked() {
        let config = Config::default();
        let drive = Drive { linear: 9.0, angular: f64::NAN }.limited(Drive::STOP, 0.05, &config);
        assert!((drive.linear - config.max_acceleration * 0.05).abs() < 1e-12);
        assert_eq!(drive.angular, 0.0);
        let drive = Drive { linear: 9.0, angular: -9.0 }.limited(Drive { linear: 0.28, angular: -1.2 }, 10.0, &config);
        assert_eq!((drive.linear, drive.angular), (config.max_speed, -config.max_turn));
    }

    #[test]
    fn turning_slows_down_towards_the_goal_and_has_the_right_sign() {
        let config = Config::default();
        assert_eq!(turn_rate(3.0, &config), config.max_turn);
        assert!(turn_rate(-0.1, &config) < 0.0 && turn_rate(-0.1, &config) > -0.4);
        assert_eq!(turn_rate(0.0, &config), 0.0);
    }

    #[test]
    fn what_remains_of_a_path() {
        let path = [DVec2::ZERO, DVec2::X, DVec2::ONE];
        assert!((remaining(&path, DVec2::new(0.5, 0.1)) - 1.5).abs() < 1e-12);
        assert_eq!(remaining(&[], DVec2::ZERO), 0.0);
        assert_eq!(project(&path, DVec2::new(1.2, 0.5)), Some((1, DVec2::new(1.0, 0.5))));
    }
}
