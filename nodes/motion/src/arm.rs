//! The arm: lift, extension and gripper, commanded as rate-limited positions.

use crate::config::Config;
use crate::senses::Joints;

/// A position of the arm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ArmPose {
    /// lift_joint, m.
    pub lift: f64,
    /// extend_joint, m.
    pub extend: f64,
    /// Opening width of the gripper, m.
    pub opening: f64,
    /// Closing force, N.
    pub force: f64,
}

/// Why the arm cannot go to a point.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReachError {
    /// Too far ahead or too near.
    #[error("{ahead:.2} m ahead is out of the arm's reach ({nearest:.2} to {farthest:.2} m)")]
    Distance {
        /// Asked distance ahead of base_link, m.
        ahead: f64,
        /// Nearest reachable, m.
        nearest: f64,
        /// Farthest reachable, m.
        farthest: f64,
    },
    /// Too high or too low.
    #[error("{height:.2} m above the floor is out of the arm's reach ({lowest:.2} to {highest:.2} m)")]
    Height {
        /// Asked height, m.
        height: f64,
        /// Lowest reachable, m.
        lowest: f64,
        /// Highest reachable, m.
        highest: f64,
    },
}

/// Extension for a gripper `ahead` metres before base_link.
pub fn extension_for(ahead: f64, config: &Config) -> Result<f64, ReachError> {
    let extend = ahead - config.gripper_x;
    // A millimetre beyond the end is the end.
    if !(-1e-3..=config.extend_max + 1e-3).contains(&extend) {
        return Err(ReachError::Distance { ahead, nearest: config.gripper_x, farthest: config.gripper_x + config.extend_max });
    }
    Ok(extend.clamp(0.0, config.extend_max))
}

/// Lift for a gripper `height` metres above the floor.
pub fn lift_for(height: f64, config: &Config) -> Result<f64, ReachError> {
    let lift = height - config.gripper_z;
    if !(-1e-3..=config.lift_max + 1e-3).contains(&lift) {
        return Err(ReachError::Height { height, lowest: config.gripper_z, highest: config.gripper_z + config.lift_max });
    }
    Ok(lift.clamp(0.0, config.lift_max))
}

/// Commands the arm.
#[derive(Clone, Debug, Default)]
pub struct Arm {
    target: Option<ArmPose>,
    commanded: Option<ArmPose>,
}

impl Arm {
    /// The pose it is going to; None before the joints were heard of.
    pub fn target(&self) -> Option<ArmPose> {
        self.target
    }

    /// Sets lift and extension (m), cut to their limits.
    pub fn move_to(&mut self, lift: f64, extend: f64, config: &Config) {
        if let Some(target) = &mut self.target {
            target.lift = lift.clamp(0.0, config.lift_max);
            target.extend = extend.clamp(0.0, config.extend_max);
        }
    }

    /// Sets the lift (m) and leaves the extension.
    pub fn lift_to(&mut self, lift: f64, config: &Config) {
        if let Some(target) = self.target {
            self.move_to(lift, target.extend, config);
        }
    }

    /// Sets the extension (m) and leaves the lift.
    pub fn extend_to(&mut self, extend: f64, config: &Config) {
        if let Some(target) = self.target {
            self.move_to(target.lift, extend, config);
        }
    }

    /// Sets the opening (m) and the closing force (N).
    pub fn grip(&mut self, opening: f64, force: f64, config: &Config) {
        if let Some(target) = &mut self.target {
            target.opening = opening.clamp(0.0, config.opening_max);
            target.force = force.max(0.0);
        }
    }

    /// Freezes lift and extension where they are; the grip stays.
    pub fn halt(&mut self, joints: &Joints) {
        for pose in [&mut self.target, &mut self.commanded].into_iter().flatten() {
            (pose.lift, pose.extend) = (joints.lift, joints.extend);
        }
    }

    /// Whether lift and extension are where they should be.
    pub fn arrived(&self, joints: &Joints, config: &Config) -> bool {
        self.target.is_some_and(|target| {
            (target.lift - joints.lift).abs() <= config.arm_tolerance
                && (target.extend - joints.extend).abs() <= config.arm_tolerance
        })
    }

    /// The command of this tick: moves towards the target at the configured speeds. None before the joints were heard of.
    pub fn tick(&mut self, joints: Option<&Joints>, dt: f64, config: &Config) -> Option<ArmPose> {
        if self.target.is_none() {
            let joints = joints?;
            let held = ArmPose { lift: joints.lift, extend: joints.extend, opening: joints.opening(), force: 0.0 };
            (self.target, self.commanded) = (Some(held), Some(held));
        }
        let (target, commanded) = (self.target?, self.commanded.as_mut()?);
        commanded.lift += (target.lift - commanded.lift).clamp(-config.lift_speed * dt, config.lift_speed * dt);
        commanded.extend += (target.extend - commanded.extend).clamp(-config.extend_speed * dt, config.extend_speed * dt);
        (commanded.opening, commanded.force) = (target.opening, target.force);
        Some(*commanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_is_limited_and_said() {
        let config = Config::default();
        assert_eq!(extension_for(0.32, &config), Ok(0.32 - 0.22));
        assert!(extension_for(0.6, &config).unwrap_err().to_string().contains("0.22 to 0.52 m"));
        assert!(lift_for(1.2, &config).unwrap_err().to_string().contains("0.20 to 0.80 m"));
        assert!(lift_for(f64::NAN, &config).is_err());
    }

    #[test]
    fn commands_start_from_the_joints_and_keep_the_speed() {
        let config = Config::default();
        let mut arm = Arm::default();
        assert_eq!(arm.tick(None, 0.05, &config), None);
        let joints = Joints { lift: 0.3, ..Joints::default() };
        assert_eq!(arm.tick(Some(&joints), 0.05, &config).unwrap().lift, 0.3);
        arm.move_to(9.0, 0.1, &config);
        assert_eq!(arm.target().unwrap().lift, config.lift_max);
        let next = arm.tick(Some(&joints), 0.05, &config).unwrap();
        assert!((next.lift - 0.305).abs() < 1e-9 && (next.extend - 0.004).abs() < 1e-9);
        assert!(!arm.arrived(&joints, &config));
        arm.halt(&joints);
        assert!(arm.arrived(&joints, &config));
    }
}
