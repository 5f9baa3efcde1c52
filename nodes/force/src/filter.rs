//! Wrench conditioning: tare, first-order low pass, over-range.

/// A wrench as six numbers: force x, y, z in N, then torque x, y, z in N m.
pub type Wrench6 = [f64; 6];

/// Settings of the filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrenchSettings {
    /// Cut-off frequency of the low pass, Hz.
    pub cutoff_hz: f64,
    /// How long the wrist must be unloaded and still before a tare, s.
    pub tare_s: f64,
    /// Largest standard deviation of each force axis while still, N.
    pub still_n: f64,
    /// Force magnitude on any axis that is out of the sensor's range, N.
    pub max_force_n: f64,
    /// Torque magnitude on any axis that is out of the sensor's range, N m.
    pub max_torque_nm: f64,
}

impl Default for WrenchSettings {
    fn default() -> Self {
        Self { cutoff_hz: 10.0, tare_s: 0.5, still_n: 0.3, max_force_n: 100.0, max_torque_nm: 10.0 }
    }
}

/// Why a sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SampleError {
    /// A component is NaN or infinite.
    #[error("component {axis} of the wrench is not a number")]
    NotFinite {
        /// Index into [`Wrench6`].
        axis: usize,
    },
    /// A component lies beyond the range: the sensor saturates, its value is not to be trusted.
    #[error("component {axis} of the wrench, {value}, lies beyond the sensor's range of {limit}")]
    OverRange {
        /// Index into [`Wrench6`].
        axis: usize,
        /// What was measured.
        value: f64,
        /// What the sensor can measure.
        limit: f64,
    },
}

/// State of the wrench filter.
#[derive(Clone, Debug, Default)]
pub struct WrenchFilter {
    settings: WrenchSettings,
    offset: Wrench6,
    filtered: Option<Wrench6>,
    last_s: Option<f64>,
    tared: bool,
    // Running sums while unloaded: count, start time, sum, sum of squares.
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start_s: f64,
    count: f64,
    mean: Wrench6,
    m2: Wrench6,
}

impl WrenchFilter {
    /// A filter without offset.
    #[must_use]
    pub fn new(settings: WrenchSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Whether a tare has been made.
    #[must_use]
    pub fn tared(&self) -> bool {
        self.tared
    }

    /// The offset that is subtracted.
    #[must_use]
    pub fn offset(&self) -> Wrench6 {
        self.offset
    }

    /// Takes a raw sample. `unloaded_at_rest` says that nothing is in the gripper and the arm stands still: only then is
    /// the mean of a quiet window taken as the new offset.
    ///
    /// # Errors
    /// [`SampleError`]: the filter keeps its state.
    pub fn update(&mut self, raw: Wrench6, time_s: f64, unloaded_at_rest: bool) -> Result<Wrench6, SampleError> {
        for (axis, &value) in raw.iter().enumerate() {
            if !value.is_finite() {
                return Err(SampleError::NotFinite { axis });
            }
            let limit = if axis < 3 { self.settings.max_force_n } else { self.settings.max_torque_nm };
            if value.abs() > limit {
                return Err(SampleError::OverRange { axis, value, limit });
            }
        }
        if unloaded_at_rest {
            self.observe_rest(raw, time_s);
        } else {
            self.window = None;
        }
        let tared: Wrench6 = std::array::from_fn(|i| raw[i] - self.offset[i]);
        let dt = self.last_s.map_or(0.0, |last| time_s - last);
        self.last_s = Some(time_s);
        let out = match self.filtered {
            Some(before) if dt > 0.0 => {
                // Exact step response of a first-order low pass over dt, so that the sample rate does not matter.
                let alpha = 1.0 - (-std::f64::consts::TAU * self.settings.cutoff_hz * dt).exp();
                std::array::from_fn(|i| before[i] + alpha * (tared[i] - before[i]))
            }
            Some(before) => before,
            None => tared,
        };
        self.filtered = Some(out);
        Ok(out)
    }

    fn observe_rest(&mut self, raw: Wrench6, time_s: f64) {
        let mut window = match self.window {
            Some(window) if time_s >= window.start_s => window,
            _ => Window { start_s: time_s, count: 0.0, mean: [0.0; 6], m2: [0.0; 6] },
        };
        window.count += 1.0;
        for i in 0..6 {
            let delta = raw[i] - window.mean[i];
            window.mean[i] += delta / window.count;
            window.m2[i] += delta * (raw[i] - window.mean[i]);
        }
        self.window = Some(window);
        if time_s - window.start_s < self.settings.tare_s - 1e-9 || window.count < 5.0 {
            return;
        }
        let still = (0..3).all(|i| (window.m2[i] / window.count).sqrt() <= self.settings.still_n);
        if still {
            if let Some(filtered) = &mut self.filtered {
                for i in 0..6 {
                    filtered[i] += self.offset[i] - window.mean[i];
                }
            }
            self.offset = window.mean;
            self.tared = true;
        }
        self.window = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(filter: &mut WrenchFilter, from_s: f64, raw: Wrench6) -> f64 {
        let mut t = from_s;
        for _ in 0..60 {
            filter.update(raw, t, true).unwrap();
            t += 0.02;
        }
        t
    }

    #[test]
    fn the_tare_removes_a_constant_offset() {
        let mut filter = WrenchFilter::new(WrenchSettings::default());
        let offset = [0.1, -0.2, 3.0, 0.01, 0.0, -0.02];
        let t = rest(&mut filter, 0.0, offset);
        assert!(filter.tared());
        let mut out = [1.0; 6];
        for i in 0..50 {
            let mut raw = offset;
            raw[2] -= 2.0;
            out = filter.update(raw, t + f64::from(i) * 0.02, false).unwrap();
        }
        assert!((out[2] + 2.0).abs() < 1e-6, "{out:?}");
        assert!(out[0].abs() < 1e-6);
    }

    #[test]
    fn a_load_is_never_tared_away() {
        let mut filter = WrenchFilter::new(WrenchSettings::default());
        for i in 0..500 {
            filter.update([0.0, 0.0, -2.0, 0.0, 0.0, 0.0], f64::from(i) * 0.02, false).unwrap();
        }
        assert!(!filter.tared());
        assert_eq!(filter.offset(), [0.0; 6]);
    }

    #[test]
    fn a_shaking_wrist_is_not_tared() {
        let mut filter = WrenchFilter::new(WrenchSettings::default());
        for i in 0..200 {
            let f = if i % 2 == 0 { 3.0 } else { -3.0 };
            filter.update([f, 0.0, 0.0, 0.0, 0.0, 0.0], f64::from(i) * 0.02, true).unwrap();
        }
        assert!(!filter.tared());
    }

    #[test]
    fn the_low_pass_reaches_63_percent_after_one_time_constant() {
        let mut filter = WrenchFilter::new(WrenchSettings { cutoff_hz: 1.0, ..WrenchSettings::default() });
        filter.update([0.0; 6], 0.0, false).unwrap();
        let tau = 1.0 / std::f64::consts::TAU;
        let mut out = [0.0; 6];
        for i in 1..=100 {
            out = filter.update([1.0; 6], tau * f64::from(i) / 100.0, false).unwrap();
        }
        assert!((out[0] - (1.0 - (-1.0f64).exp())).abs() < 1e-9);
    }

    #[test]
    fn bad_samples_are_refused_by_name() {
        let mut filter = WrenchFilter::new(WrenchSettings::default());
        assert_eq!(filter.update([0.0, f64::NAN, 0.0, 0.0, 0.0, 0.0], 0.0, false), Err(SampleError::NotFinite { axis: 1 }));
        assert!(matches!(
            filter.update([0.0, 0.0, 0.0, 0.0, 0.0, 11.0], 0.0, false),
            Err(SampleError::OverRange { axis: 5, .. })
        ));
    }
}
