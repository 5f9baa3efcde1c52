//! Running median with range and rate checks.

use std::collections::VecDeque;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemperatureSettings {
    /// Samples in the median, odd and at least 1; even numbers are raised by one.
    pub window: usize,
    /// Lowest believable value, degrees Celsius.
    pub min_c: f64,
    /// Highest believable value, degrees Celsius.
    pub max_c: f64,
    /// Fastest believable change of the median's input, degrees Celsius per second.
    pub max_rate_c_per_s: f64,
}

impl Default for TemperatureSettings {
    fn default() -> Self {
        Self { window: 5, min_c: -40.0, max_c: 125.0, max_rate_c_per_s: 10.0 }
    }
}

/// Why a sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum TemperatureError {
    /// NaN or infinite.
    #[error("the temperature is not a number")]
    NotFinite,
    /// Outside the sensor's range.
    #[error("{value_c} degrees Celsius lies outside {min_c}..{max_c}")]
    Implausible {
        /// Measured.
        value_c: f64,
        /// Lower limit.
        min_c: f64,
        /// Upper limit.
        max_c: f64,
    },
    /// Faster than the body can change.
    #[error("the temperature changed by {rate_c_per_s:.1} degrees Celsius per second")]
    TooFast {
        /// Rate against the accepted sample before.
        rate_c_per_s: f64,
    },
}

/// The filter.
#[derive(Clone, Debug, Default)]
pub struct TemperatureFilter {
    settings: TemperatureSettings,
    samples: VecDeque<f64>,
    last: Option<(f64, f64)>,
    refused_in_a_row: usize,
}

impl TemperatureFilter {
    /// An empty filter.
    #[must_use]
    pub fn new(settings: TemperatureSettings) -> Self {
        Self { settings: TemperatureSettings { window: settings.window.max(1) | 1, ..settings }, ..Self::default() }
    }

    /// Takes a sample and returns the median of the last ones, degrees Celsius.
    ///
    /// # Errors
    /// [`TemperatureError`]; a refused sample does not enter the median. A jump that persists for a whole window is
    /// believed, so that one wrong first sample cannot lock the filter.
    pub fn update(&mut self, value_c: f64, time_s: f64) -> Result<f64, TemperatureError> {
        let s = self.settings;
        if !value_c.is_finite() {
            return Err(TemperatureError::NotFinite);
        }
        if value_c < s.min_c || value_c > s.max_c {
            return Err(TemperatureError::Implausible { value_c, min_c: s.min_c, max_c: s.max_c });
        }
        if let Some((last_c, last_s)) = self.last {
            let dt = (time_s - last_s).max(1e-3);
            let rate = (value_c - last_c).abs() / dt;
            if rate > s.max_rate_c_per_s {
                self.refused_in_a_row += 1;
                if self.refused_in_a_row < s.window {
                    return Err(TemperatureError::TooFast { rate_c_per_s: rate });
                }
                self.samples.clear();
            }
        }
        self.refused_in_a_row = 0;
        self.last = Some((value_c, time_s));
        self.samples.push_back(value_c);
        if self.samples.len() > s.window {
            self.samples.pop_front();
        }
        let mut sorted: Vec<f64> = self.samples.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        Ok(if n % 2 == 1 { sorted[n / 2] } else { 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_move_the_median() {
        let mut f = TemperatureFilter::new(TemperatureSettings { max_rate_c_per_s: 1e9, ..Default::default() });
        for (i, v) in [20.0, 20.1, 80.0, 20.2, 20.1].into_iter().enumerate() {
            let out = f.update(v, i as f64).unwrap();
            if i >= 2 {
                assert!((20.0..=20.3).contains(&out), "{out}");
            }
        }
    }

    #[test]
    fn implausible_values_are_refused() {
        let mut f = TemperatureFilter::new(TemperatureSettings::default());
        assert_eq!(f.update(f64::NAN, 0.0), Err(TemperatureError::NotFinite));
        assert!(matches!(f.update(400.0, 0.0), Err(TemperatureError::Implausible { .. })));
        f.update(20.0, 0.0).unwrap();
        assert!(matches!(f.update(60.0, 1.0), Err(TemperatureError::TooFast { .. })));
    }

    #[test]
    fn a_jump_that_stays_is_believed_after_a_window() {
        let mut f = TemperatureFilter::new(TemperatureSettings::default());
        f.update(20.0, 0.0).unwrap();
        let mut last = None;
        for i in 1..=5 {
            last = f.update(90.0, f64::from(i)).ok();
        }
        assert_eq!(last, Some(90.0));
    }
}
