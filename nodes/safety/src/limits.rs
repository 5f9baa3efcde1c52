//! Limits of velocity, acceleration and arm targets.

/// A velocity of the base: forward m/s, turn rad/s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Velocity {
    /// Forward speed, m/s.
    pub linear: f64,
    /// Turn rate, rad/s, counter-clockwise.
    pub angular: f64,
}

impl Velocity {
    /// Standing still.
    pub const ZERO: Self = Self { linear: 0.0, angular: 0.0 };

    /// Whether both numbers are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.linear.is_finite() && self.angular.is_finite()
    }
}

/// Limits of the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BaseLimits {
    /// Largest forward and backward speed, m/s.
    pub linear: f64,
    /// Largest turn rate, rad/s.
    pub angular: f64,
    /// Largest linear acceleration, m/s2.
    pub linear_acceleration: f64,
    /// Largest angular acceleration, rad/s2.
    pub angular_acceleration: f64,
    /// Braking may be this much harder than accelerating.
    pub brake_factor: f64,
}

impl Default for BaseLimits {
    fn default() -> Self {
        Self { linear: 0.31, angular: 1.9, linear_acceleration: 0.5, angular_acceleration: 3.0, brake_factor: 2.0 }
    }
}

/// The velocity that may be commanded `dt_s` after `before` when `wanted` is asked for and `scale` (0..1) is allowed.
/// Both components are scaled together beyond the speed limits, so that the curvature of the path is kept.
#[must_use]
pub fn clamp(before: Velocity, wanted: Velocity, limits: &BaseLimits, scale: f64, dt_s: f64) -> Velocity {
    let scale = scale.clamp(0.0, 1.0);
    let (max_v, max_w) = (limits.linear * scale, limits.angular * scale);
    let excess = (wanted.linear.abs() / max_v.max(1e-9)).max(wanted.angular.abs() / max_w.max(1e-9)).max(1.0);
    let target = Velocity { linear: wanted.linear / excess, angular: wanted.angular / excess };
    Velocity {
        linear: ramp(before.linear, target.linear, limits.linear_acceleration, limits.brake_factor, dt_s),
        angular: ramp(before.angular, target.angular, limits.angular_acceleration, limits.brake_factor, dt_s),
    }
}

fn ramp(before: f64, target: f64, acceleration: f64, brake_factor: f64, dt_s: f64) -> f64 {
    let braking = target.abs() < before.abs() || target * before < 0.0;
    let step = acceleration * if braking { brake_factor } else { 1.0 } * dt_s.max(0.0);
    let next = target.clamp(before - step, before + step);
    // Through zero in one step: the part beyond zero is acceleration again, and waits for the next step.
    if before * next < 0.0 { 0.0 } else { next }
}

/// One limited joint of the arm.
#[derive(Clone, Debug, PartialEq)]
pub struct JointLimit {
    /// Joint name in arm/command.
    pub name: String,
    /// Smallest position, m.
    pub min: f64,
    /// Largest position, m.
    pub max: f64,
    /// Largest effort, N.
    pub max_effort: f64,
}

/// Why an arm command was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ArmError {
    /// A joint nobody knows.
    #[error("unknown joint '{0}' in the arm command")]
    UnknownJoint(String),
    /// A number is NaN or infinite.
    #[error("{what} of joint '{joint}' is not a number")]
    NotFinite {
        /// Joint.
        joint: String,
        /// Position or effort.
        what: &'static str,
    },
    /// Positions do not fit the names.
    #[error("arm command has {names} joints but {positions} positions")]
    Count {
        /// Number of names.
        names: usize,
        /// Number of positions.
        positions: usize,
    },
}

/// Clamps positions and efforts in place; returns the names of the joints that were clamped.
///
/// # Errors
/// [`ArmError`]: nothing was changed and the command must not be passed on.
pub fn clamp_arm(
    limits: &[JointLimit],
    names: &[String],
    positions: &mut [f64],
    efforts: &mut [f64],
) -> Result<Vec<String>, ArmError> {
    if positions.len() != names.len() || (!efforts.is_empty() && efforts.len() != names.len()) {
        return Err(ArmError::Count { names: names.len(), positions: positions.len() });
    }
    let mut found = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let limit = limits.iter().find(|l| &l.name == name).ok_or_else(|| ArmError::UnknownJoint(name.clone()))?;
        if !positions[i].is_finite() {
            return Err(ArmError::NotFinite { joint: name.clone(), what: "position" });
        }
        if efforts.get(i).is_some_and(|e| !e.is_finite()) {
            return Err(ArmError::NotFinite { joint: name.clone(), what: "effort" });
        }
        found.push(limit);
    }
    let mut clamped = Vec::new();
    for (i, limit) in found.into_iter().enumerate() {
        let position = positions[i].clamp(limit.min, limit.max);
        let effort = efforts.get(i).map(|e| e.clamp(-limit.max_effort, limit.max_effort));
        if position != positions[i] || effort.is_some_and(|e| e != efforts[i]) {
            clamped.push(limit.name.clone());
        }
        positions[i] = position;
        if let Some(effort) = effort {
            efforts[i] = effort;
        }
    }
    Ok(clamped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_sequence_of_commands_breaks_a_limit(
            commands in proptest::collection::vec((-5.0f64..5.0, -9.0f64..9.0, 0.0f64..1.0), 1..60)
        ) {
            let limits = BaseLimits::default();
            let mut v = Velocity::ZERO;
            for (linear, angular, scale) in commands {
                let next = clamp(v, Velocity { linear, angular }, &limits, scale, 0.02);
                prop_assert!(next.linear.abs() <= limits.linear + 1e-12);
                prop_assert!(next.angular.abs() <= limits.angular + 1e-12);
                prop_assert!((next.linear - v.linear).abs() <= limits.linear_acceleration * limits.brake_factor * 0.02 + 1e-12);
                if next.linear.abs() > v.linear.abs() {
                    prop_assert!((next.linear - v.linear).abs() <= limits.linear_acceleration * 0.02 + 1e-12);
                }
                v = next;
            }
        }

        #[test]
        fn curvature_survives_the_speed_limit(linear in 0.1f64..5.0, angular in 0.1f64..20.0) {
            let out = clamp(Velocity::ZERO, Velocity { linear, angular }, &BaseLimits::default(), 1.0, 1e6);
            prop_assert!((out.angular / out.linear - angular / linear).abs() < 1e-6 * angular / linear);
        }
    }

    fn arm() -> Vec<JointLimit> {
        vec![
            JointLimit { name: "lift_joint".into(), min: 0.0, max: 0.6, max_effort: 100.0 },
            JointLimit { name: "gripper".into(), min: 0.0, max: 0.14, max_effort: 20.0 },
        ]
    }

    #[test]
    fn arm_targets_are_clamped_and_named() {
        let names = ["lift_joint".to_owned(), "gripper".to_owned()];
        let (mut p, mut e) = ([0.9, 0.1], [1.0, 50.0]);
        assert_eq!(clamp_arm(&arm(), &names, &mut p, &mut e), Ok(names.to_vec()));
        assert_eq!((p, e), ([0.6, 0.1], [1.0, 20.0]));
    }

    #[test]
    fn bad_arm_commands_are_refused_whole() {
        let names = ["lift_joint".to_owned(), "elbow".to_owned()];
        let mut p = [0.9, 0.1];
        assert_eq!(clamp_arm(&arm(), &names, &mut p, &mut []), Err(ArmError::UnknownJoint("elbow".into())));
        assert_eq!(p, [0.9, 0.1]);
        let names = ["lift_joint".to_owned()];
        assert!(clamp_arm(&arm(), &names, &mut [f64::NAN], &mut []).is_err());
        assert!(clamp_arm(&arm(), &names, &mut [0.1, 0.2], &mut []).is_err());
    }
}
