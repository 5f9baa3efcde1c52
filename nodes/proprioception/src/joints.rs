//! Checks of a joint state before it is believed.

/// Why a joint state was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JointError {
    /// Positions, velocities or efforts are neither absent nor one per name.
    #[error("joint state has {names} names but {values} {what}")]
    Count {
        /// Number of names.
        names: usize,
        /// Number of values.
        values: usize,
        /// Of what.
        what: &'static str,
    },
    /// A value is NaN or infinite.
    #[error("{what} of joint '{joint}' is not a number")]
    NotFinite {
        /// Joint name.
        joint: String,
        /// Which array.
        what: &'static str,
    },
    /// A name appears twice.
    #[error("joint '{joint}' appears twice")]
    Repeated {
        /// Joint name.
        joint: String,
    },
}

/// Checks names against positions (rad or m), velocities (rad/s or m/s) and efforts (N m or N); empty arrays mean absent,
/// as in sensor_msgs/JointState.
///
/// # Errors
/// [`JointError`] naming the first fault.
pub fn check(names: &[String], positions: &[f64], velocities: &[f64], efforts: &[f64]) -> Result<(), JointError> {
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(JointError::Repeated { joint: name.clone() });
        }
    }
    for (what, values) in [("positions", positions), ("velocities", velocities), ("efforts", efforts)] {
        if !values.is_empty() && values.len() != names.len() {
            return Err(JointError::Count { names: names.len(), values: values.len(), what });
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(JointError::NotFinite { joint: names[i].clone(), what });
        }
    }
    Ok(())
}

/// The position of a joint by name, if it is there.
#[must_use]
pub fn position(names: &[String], positions: &[f64], joint: &str) -> Option<f64> {
    names.iter().position(|n| n == joint).and_then(|i| positions.get(i).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert_eq!(check(&names, &[1.0, 2.0], &[], &[]), Ok(()));
        assert!(matches!(check(&names, &[1.0], &[], &[]), Err(JointError::Count { names: 2, values: 1, .. })));
        assert!(matches!(check(&names, &[1.0, f64::NAN], &[], &[]), Err(JointError::NotFinite { .. })));
        let twice = ["a".to_owned(), "a".to_owned()];
        assert!(matches!(check(&twice, &[], &[], &[]), Err(JointError::Repeated { .. })));
        assert_eq!(position(&names, &[1.0, 2.0], "b"), Some(2.0));
        assert_eq!(position(&names, &[1.0, 2.0], "c"), None);
    }
}
