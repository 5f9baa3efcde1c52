//! The fuel gauge.
//!
//! Charge is counted from the current (the coulomb counter), each coulomb weighed with the open-circuit voltage it leaves
//! the cells at, because the capacity is given in Wh. Its start and its slow correction come from that voltage's curve. Both are joined as a scalar Kalman filter on the state of charge: the counter predicts
//! with a variance that grows with the charge moved, the voltage corrects where its curve is steep enough to tell anything.

/// A piecewise linear open-circuit voltage curve of the pack: (state of charge 0..1, volt), both rising.
#[derive(Clone, Debug, PartialEq)]
pub struct OcvTable(Vec<(f64, f64)>);

/// Why a table was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcvError {
    /// Fewer than two points, or an odd number of values.
    #[error("an open-circuit voltage table needs at least two pairs of state of charge and volt")]
    TooShort,
    /// Not strictly rising, not finite, or beyond 0..1.
    #[error("the open-circuit voltage table must rise strictly in both columns, with states of charge in 0..1")]
    NotRising,
}

impl OcvTable {
    /// A table from a flat list soc0, volt0, soc1, volt1, ...
    ///
    /// # Errors
    /// [`OcvError`] when the list is too short or does not rise.
    pub fn from_flat(values: &[f64]) -> Result<Self, OcvError> {
        if values.len() < 4 || values.len() % 2 != 0 {
            return Err(OcvError::TooShort);
        }
        let points: Vec<(f64, f64)> = values.chunks_exact(2).map(|c| (c[0], c[1])).collect();
        let finite = points.iter().all(|p| p.1.is_finite() && (0.0..=1.0).contains(&p.0));
        if !finite || points.windows(2).any(|w| w[1].0 <= w[0].0 || w[1].1 <= w[0].1) {
            return Err(OcvError::NotRising);
        }
        Ok(Self(points))
    }

    /// The pack of sim/worlds/omni.sdf: 4 lithium-ion cells, 14.4 V nominal, 12.0 V empty, 16.6 V full.
    #[must_use]
    pub fn lithium_ion_4s_flat() -> Vec<f64> {
        vec![0.0, 12.0, 0.05, 12.9, 0.1, 13.4, 0.2, 13.9, 0.4, 14.4, 0.6, 14.8, 0.8, 15.5, 0.9, 16.0, 1.0, 16.6]
    }

    /// State of charge 0..1 at a voltage, clamped at the ends, and the slope in 1/V there.
    #[must_use]
    pub fn soc(&self, volt: f64) -> (f64, f64) {
        let p = &self.0;
        let i = p.iter().take(p.len() - 1).rposition(|x| x.1 <= volt).unwrap_or(0);
        let (a, b) = (p[i], p[i + 1]);
        let slope = (b.0 - a.0) / (b.1 - a.1);
        ((a.0 + (volt - a.1) * slope).clamp(0.0, 1.0), slope)
    }

    /// Open-circuit voltage at a state of charge, V.
    #[must_use]
    pub fn volt(&self, soc: f64) -> f64 {
        let p = &self.0;
        let i = p.iter().take(p.len() - 1).rposition(|x| x.0 <= soc).unwrap_or(0);
        let (a, b) = (p[i], p[i + 1]);
        (a.1 + (soc - a.0) * (b.1 - a.1) / (b.0 - a.0)).clamp(p[0].1, p[p.len() - 1].1)
    }
}

/// Settings of the gauge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaugeSettings {
    /// Capacity when full, Wh.
    pub capacity_wh: f64,
    /// Nominal voltage, V; capacity in Ah is `capacity_wh / nominal_v`.
    pub nominal_v: f64,
    /// Internal resistance, ohm.
    pub resistance_ohm: f64,
    /// Standard deviation of one voltage reading against the curve, V (model error, not only noise).
    pub voltage_sigma_v: f64,
    /// Relative standard deviation of the current sensor.
    pub current_sigma: f64,
    /// Currents above this leave the curve unreliable: no correction, A.
    pub rest_current_a: f64,
}

impl Default for GaugeSettings {
    fn default() -> Self {
        Self {
            capacity_wh: 26.0,
            nominal_v: 14.4,
            resistance_ohm: 0.08,
            voltage_sigma_v: 0.15,
            current_sigma: 0.02,
            rest_current_a: 1.2,
        }
    }
}

/// Why a reading was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ReadingError {
    /// NaN or infinite.
    #[error("voltage or current is not a number")]
    NotFinite,
    /// No such pack.
    #[error("{volt:.2} V is not a voltage of this pack")]
    Voltage {
        /// Measured, V.
        volt: f64,
    },
}

/// What the gauge says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charge {
    /// State of charge, 0..1.
    pub soc: f64,
    /// Its standard deviation.
    pub sigma: f64,
    /// Charge, Ah.
    pub charge_ah: f64,
    /// Capacity, Ah.
    pub capacity_ah: f64,
    /// Energy left, Wh, by nominal voltage.
    pub energy_wh: f64,
}

/// The gauge.
#[derive(Clone, Debug)]
pub struct FuelGauge {
    settings: GaugeSettings,
    table: OcvTable,
    soc: Option<f64>,
    variance: f64,
    last: Option<(f64, f64)>,
}

impl FuelGauge {
    /// A gauge that starts at its first reading.
    #[must_use]
    pub fn new(settings: GaugeSettings, table: OcvTable) -> Self {
        Self { settings, table, soc: None, variance: 0.0, last: None }
    }

    /// Takes a reading: terminal voltage, current (negative while discharging, as in sensor_msgs/BatteryState), time.
    ///
    /// # Errors
    /// [`ReadingError`]: the state stays as it was.
    pub fn update(&mut self, volt: f64, current_a: f64, time_s: f64) -> Result<Charge, ReadingError> {
        let s = self.settings;
        if !volt.is_finite() || !current_a.is_finite() {
            return Err(ReadingError::NotFinite);
        }
        if volt < 0.5 * self.table.volt(0.0) || volt > 1.15 * self.table.volt(1.0) {
            return Err(ReadingError::Voltage { volt });
        }
        let capacity_ah = s.capacity_wh / s.nominal_v;
        let (from_voltage, slope) = self.table.soc(volt - current_a * s.resistance_ohm);
        let r = (s.voltage_sigma_v * slope).powi(2).max(1e-6);
        let soc = match (self.soc, self.last) {
            (Some(soc), Some((last_a, last_s))) => {
                let dt_h = ((time_s - last_s) / 3600.0).max(0.0);
                let open_v = volt - current_a * s.resistance_ohm;
                let moved = 0.5 * (last_a + current_a) * open_v * dt_h / s.capacity_wh;
                self.variance += (s.current_sigma * moved).powi(2) + 1e-12 * dt_h;
                let mut soc = (soc + moved).clamp(0.0, 1.0);
                // Model errors of the curve do not average out between readings: they are weighed as one reading per
                // minute, however fast readings come.
                if current_a.abs() <= s.rest_current_a && dt_h > 0.0 {
                    let r_eff = r * (1.0 / (dt_h * 60.0)).max(1.0);
                    let gain = self.variance / (self.variance + r_eff);
                    soc += gain * (from_voltage - soc);
                    self.variance *= 1.0 - gain;
                }
                soc
            }
            _ => {
                self.variance = r;
                from_voltage
            }
        };
        self.soc = Some(soc);
        self.last = Some((current_a, time_s));
        Ok(Charge { soc, sigma: self.variance.sqrt(), charge_ah: soc * capacity_ah, capacity_ah, energy_wh: soc * s.capacity_wh })
    }
}

/// How serious a state of charge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChargeLevel {
    /// Enough.
    Ok,
    /// Below the low threshold.
    Low,
    /// Below the critical threshold.
    Critical,
}

/// Grades a state of charge with a small hysteresis upwards, so that the flag does not flicker at the threshold.
#[must_use]
pub fn grade(before: ChargeLevel, soc: f64, low: f64, critical: f64) -> ChargeLevel {
    const HYSTERESIS: f64 = 0.02;
    let now = |low: f64, critical: f64| {
        if soc < critical {
            ChargeLevel::Critical
        } else if soc < low {
            ChargeLevel::Low
        } else {
            ChargeLevel::Ok
        }
    };
    let plain = now(low, critical);
    let sticky = now(
        if before >= ChargeLevel::Low { low + HYSTERESIS } else { low },
        if before == ChargeLevel::Critical { critical + HYSTERESIS } else { critical },
    );
    plain.max(sticky)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> OcvTable {
        OcvTable::from_flat(&OcvTable::lithium_ion_4s_flat()).unwrap()
    }

    #[test]
    fn the_table_and_its_inverse_agree() {
        let t = table();
        for i in 0..=100 {
            let soc = f64::from(i) / 100.0;
            assert!((t.soc(t.volt(soc)).0 - soc).abs() < 1e-9, "{soc}");
        }
    }

    #[test]
    fn the_first_reading_comes_from_the_voltage_without_the_drop_of_the_load() {
        let s = GaugeSettings::default();
        let mut gauge = FuelGauge::new(s, table());
        let load_a = -1.0;
        let c = gauge.update(table().volt(0.23) + load_a * s.resistance_ohm, load_a, 0.0).unwrap();
        assert!((c.soc - 0.23).abs() < 1e-9);
        assert!((c.energy_wh - 0.23 * 26.0).abs() < 1e-9);
    }

    #[test]
    fn one_hour_at_one_ampere_moves_the_watt_hours_of_its_voltage() {
        let s = GaugeSettings { rest_current_a: 0.0, ..GaugeSettings::default() };
        let mut gauge = FuelGauge::new(s, table());
        let start = gauge.update(16.0, -1.0, 0.0).unwrap();
        let mut end = start;
        for i in 1..=3600 {
            end = gauge.update(14.5, -1.0, f64::from(i)).unwrap();
        }
        assert!((start.energy_wh - end.energy_wh - (14.5 + s.resistance_ohm)).abs() < 1e-6);
        assert!(end.sigma > 0.0);
    }

    #[test]
    fn a_resting_voltage_corrects_a_wrong_counter_slowly() {
        let s = GaugeSettings::default();
        let mut gauge = FuelGauge::new(s, table());
        gauge.update(table().volt(0.5), 0.0, 0.0).unwrap();
        let mut soc = 0.5;
        for i in 1..36_000 {
            let now = gauge.update(table().volt(0.4), 0.0, f64::from(i) * 0.1).unwrap().soc;
            assert!(now <= soc + 1e-12 && soc - now < 0.01);
            soc = now;
        }
        assert!(soc < 0.45, "{soc}");
    }

    #[test]
    fn charging_never_leaves_the_range() {
        let mut gauge = FuelGauge::new(GaugeSettings::default(), table());
        let mut last = 0.0;
        for i in 0..3000 {
            let c = gauge.update(16.8, 1.4, f64::from(i) * 10.0).unwrap();
            assert!((0.0..=1.0).contains(&c.soc) && c.soc >= last);
            last = c.soc;
        }
        assert_eq!(last, 1.0);
    }

    #[test]
    fn bad_readings_and_tables_are_refused() {
        let mut gauge = FuelGauge::new(GaugeSettings::default(), table());
        assert_eq!(gauge.update(f64::NAN, 0.0, 0.0), Err(ReadingError::NotFinite));
        assert!(matches!(gauge.update(3.0, 0.0, 0.0), Err(ReadingError::Voltage { .. })));
        assert_eq!(OcvTable::from_flat(&[0.0, 12.0]), Err(OcvError::TooShort));
        assert_eq!(OcvTable::from_flat(&[0.0, 12.0, 0.5, 11.0]), Err(OcvError::NotRising));
    }

    #[test]
    fn the_low_flag_does_not_flicker() {
        let l = grade(ChargeLevel::Ok, 0.199, 0.2, 0.1);
        assert_eq!(l, ChargeLevel::Low);
        assert_eq!(grade(l, 0.205, 0.2, 0.1), ChargeLevel::Low);
        assert_eq!(grade(l, 0.225, 0.2, 0.1), ChargeLevel::Ok);
        assert_eq!(grade(ChargeLevel::Ok, 0.05, 0.2, 0.1), ChargeLevel::Critical);
    }
}
