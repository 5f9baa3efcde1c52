//! Press detection per touch zone: hysteresis on the force, a debounce time, and a unit normal.

use std::collections::BTreeMap;

/// Thresholds of one press detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Force at which a zone counts as pressed, N.
    pub press_n: f64,
    /// Force below which a pressed zone counts as free again, N; must not exceed `press_n`.
    pub release_n: f64,
    /// How long a new state must hold before it is reported, s.
    pub debounce_s: f64,
    /// Forces above this are a sensor fault, N.
    pub max_n: f64,
}

/// Why thresholds were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ThresholdError {
    /// A value is not finite or negative.
    #[error("threshold {name} must be a finite number of at least 0, got {value}")]
    NotPositive {
        /// Which threshold.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The release threshold lies above the press threshold.
    #[error("release threshold {release_n} N lies above the press threshold {press_n} N")]
    Inverted {
        /// Press threshold, N.
        press_n: f64,
        /// Release threshold, N.
        release_n: f64,
    },
}

impl Thresholds {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ThresholdError`] when a value is negative, not finite, or release lies above press.
    pub fn check(self) -> Result<Self, ThresholdError> {
        for (name, value) in
            [("press_n", self.press_n), ("release_n", self.release_n), ("debounce_s", self.debounce_s), ("max_n", self.max_n)]
        {
            if !value.is_finite() || value < 0.0 {
                return Err(ThresholdError::NotPositive { name, value });
            }
        }
        if self.release_n > self.press_n {
            return Err(ThresholdError::Inverted { press_n: self.press_n, release_n: self.release_n });
        }
        Ok(self)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { press_n: 0.5, release_n: 0.2, debounce_s: 0.02, max_n: 500.0 }
    }
}

/// What one sample of a zone came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Press {
    /// Debounced state.
    pub pressed: bool,
    /// Force, N, 0 when the sample was refused.
    pub force_n: f64,
    /// The sample was not finite, negative or beyond `max_n`; the state before was kept.
    pub refused: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    pressed: bool,
    changing_since_s: Option<f64>,
}

/// Debounced press states of all zones, by name.
#[derive(Clone, Debug, Default)]
pub struct TouchFilter {
    thresholds: Thresholds,
    zones: BTreeMap<String, Zone>,
}

impl TouchFilter {
    /// A filter with checked thresholds.
    #[must_use]
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, zones: BTreeMap::new() }
    }

    /// Takes one sample: `force_n` of `zone` at `time_s`.
    pub fn update(&mut self, zone: &str, force_n: f64, time_s: f64) -> Press {
        let limits = self.thresholds;
        let state = self.zones.entry(zone.to_owned()).or_default();
        if !force_n.is_finite() || force_n < 0.0 || force_n > limits.max_n {
            return Press { pressed: state.pressed, force_n: 0.0, refused: true };
        }
        let wanted = if state.pressed { force_n >= limits.release_n } else { force_n >= limits.press_n };
        if wanted == state.pressed {
            state.changing_since_s = None;
        } else {
            let since = *state.changing_since_s.get_or_insert(time_s);
            // Time that ran backwards (a restarted recording) counts from now on.
            if time_s < since {
                state.changing_since_s = Some(time_s);
            } else if time_s - since >= limits.debounce_s - 1e-9 {
                state.pressed = wanted;
                state.changing_since_s = None;
            }
        }
        Press { pressed: state.pressed, force_n, refused: false }
    }
}

/// The normal as a unit vector; zero when it has no direction or is not finite.
#[must_use]
pub fn unit_normal(normal: [f64; 3]) -> [f64; 3] {
    let norm = normal.iter().map(|v| v * v).sum::<f64>().sqrt();
    if !norm.is_finite() || norm < 1e-9 {
        return [0.0; 3];
    }
    normal.map(|v| v / norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_spike_is_not_a_press_and_a_held_force_is() {
        let mut filter = TouchFilter::new(Thresholds::default());
        assert!(!filter.update("bumper_left", 5.0, 0.00).pressed);
        assert!(!filter.update("bumper_left", 0.0, 0.01).pressed);
        assert!(!filter.update("bumper_left", 5.0, 0.02).pressed);
        assert!(!filter.update("bumper_left", 5.0, 0.03).pressed);
        assert!(filter.update("bumper_left", 5.0, 0.04).pressed);
    }

    #[test]
    fn between_the_thresholds_the_state_stays() {
        let mut filter = TouchFilter::new(Thresholds { debounce_s: 0.0, ..Thresholds::default() });
        assert!(!filter.update("z", 0.3, 0.0).pressed);
        assert!(filter.update("z", 0.6, 0.1).pressed);
        assert!(filter.update("z", 0.3, 0.2).pressed);
        assert!(!filter.update("z", 0.1, 0.3).pressed);
    }

    #[test]
    fn zones_do_not_influence_each_other() {
        let mut filter = TouchFilter::new(Thresholds { debounce_s: 0.0, ..Thresholds::default() });
        assert!(filter.update("a", 1.0, 0.0).pressed);
        assert!(!filter.update("b", 0.0, 0.0).pressed);
    }

    #[test]
    fn impossible_forces_are_refused_and_keep_the_state() {
        let mut filter = TouchFilter::new(Thresholds { debounce_s: 0.0, ..Thresholds::default() });
        filter.update("z", 1.0, 0.0);
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e6] {
            let press = filter.update("z", bad, 0.1);
            assert!(press.refused && press.pressed);
        }
    }

    #[test]
    fn wrong_thresholds_are_named() {
        let error = Thresholds { release_n: 2.0, ..Thresholds::default() }.check().unwrap_err();
        assert!(error.to_string().contains("release threshold 2 N"));
        assert!(Thresholds { max_n: f64::NAN, ..Thresholds::default() }.check().is_err());
    }

    #[test]
    fn normals_become_unit_vectors() {
        assert_eq!(unit_normal([0.0, 3.0, 4.0]), [0.0, 0.6, 0.8]);
        assert_eq!(unit_normal([0.0; 3]), [0.0; 3]);
        assert_eq!(unit_normal([f64::NAN, 0.0, 1.0]), [0.0; 3]);
    }
}
