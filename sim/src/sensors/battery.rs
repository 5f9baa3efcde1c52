//! The battery pack: charge, voltage under load, and who used it.

use crate::sdf;

/// Energy account of a pack.
#[derive(Clone, Debug)]
pub struct Battery {
    spec: sdf::Battery,
    charge_wh: f64,
    /// Energy per consumer since the start, Wh, in a fixed order.
    consumed_wh: Vec<(String, f64)>,
    draw_w: f64,
    charging: bool,
}

/// What the pack's terminals show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatteryReading {
    /// V at the terminals.
    pub voltage: f64,
    /// A, negative while discharging.
    pub current: f64,
    /// True while the dock feeds it.
    pub charging: bool,
    /// True when charging and full.
    pub full: bool,
}

impl Battery {
    /// A pack with this state of charge (clamped to 0..1).
    pub fn new(spec: sdf::Battery, state_of_charge: f64, consumers: &[&str]) -> Self {
        Self {
            charge_wh: spec.capacity_wh * state_of_charge.clamp(0.0, 1.0),
            spec,
            consumed_wh: consumers.iter().map(|c| ((*c).to_owned(), 0.0)).collect(),
            draw_w: 0.0,
            charging: false,
        }
    }

    /// Takes the draw of every consumer (W, in the order given to [`Battery::new`]) for `dt` seconds, and gives the dock's
    /// power where `docked`.
    pub fn step(&mut self, dt: f64, draws_w: &[f64], docked: bool) {
        let hours = dt / 3600.0;
        let mut sum = 0.0;
        for ((_, total), draw) in self.consumed_wh.iter_mut().zip(draws_w) {
            *total += draw.max(0.0) * hours;
            sum += draw.max(0.0);
        }
        self.charging = docked;
        let fed = if docked && self.charge_wh < self.spec.capacity_wh { self.spec.charge_w } else { 0.0 };
        // On the dock the charger feeds the robot first and the cells with the rest.
        let supplied = if docked { sum } else { 0.0 };
        self.draw_w = sum - supplied - fed;
        let current = self.current();
        let loss = current * current * self.spec.resistance_ohm;
        self.charge_wh = (self.charge_wh - (self.draw_w + loss) * hours).clamp(0.0, self.spec.capacity_wh);
    }

    /// Share of the capacity that is left, 0..1.
    pub fn state_of_charge(&self) -> f64 {
        self.charge_wh / self.spec.capacity_wh
    }

    /// Wh left.
    pub fn charge_wh(&self) -> f64 {
        self.charge_wh
    }

    /// True when nothing is left: everything stops.
    pub fn is_empty(&self) -> bool {
        self.charge_wh <= 0.0
    }

    /// Energy per consumer since the start, Wh.
    pub fn consumed_wh(&self) -> &[(String, f64)] {
        &self.consumed_wh
    }

    /// Open circuit voltage at the present charge, V.
    pub fn open_circuit_voltage(&self) -> f64 {
        let s = self.state_of_charge();
        let curve = &self.spec.ocv;
        let upper = curve.iter().position(|(c, _)| *c >= s).unwrap_or(curve.len() - 1).max(1);
        let ((s0, v0), (s1, v1)) = (curve[upper - 1], curve[upper]);
        v0 + (v1 - v0) * (s - s0) / (s1 - s0)
    }

    // A constant-power load P draws I with (V - I R) I = P; positive is out of the pack.
    fn current(&self) -> f64 {
        let (v, r) = (self.open_circuit_voltage(), self.spec.resistance_ohm);
        if r <= 0.0 {
            return self.draw_w / v;
        }
        (v - (v * v - 4.0 * r * self.draw_w).max(0.0).sqrt()) / (2.0 * r)
    }

    /// Voltage and current at the terminals, without measuring noise.
    pub fn reading(&self) -> BatteryReading {
        let current = self.current();
        BatteryReading {
            voltage: self.open_circuit_voltage() - current * self.spec.resistance_ohm,
            current: -current,
            charging: self.charging,
            full: self.charging && self.charge_wh >= self.spec.capacity_wh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> sdf::Battery {
        sdf::Battery {
            capacity_wh: 26.0,
            nominal_v: 14.4,
            resistance_ohm: 0.1,
            charge_w: 20.0,
            ocv: vec![(0.0, 12.0), (0.5, 14.4), (1.0, 16.6)],
        }
    }

    #[test]
    fn voltage_current_and_resistance_agree_with_ohms_law() {
        let mut b = Battery::new(spec(), 0.5, &["all"]);
        b.step(1e-3, &[28.8], false);
        let r = b.reading();
        // P = V I at the terminals, V = 14.4 - 0.1 I.
        assert!((r.voltage * -r.current - 28.8).abs() < 1e-6, "{r:?}");
        assert!((r.voltage - (14.4 + 0.1 * r.current)).abs() < 1e-3, "{r:?}");
    }

    #[test]
    fn an_hour_at_thirteen_watts_takes_half_the_pack_and_the_heat() {
        let mut b = Battery::new(spec(), 1.0, &["a", "b"]);
        for _ in 0..3600 {
            b.step(1.0, &[10.0, 3.0], false);
        }
        assert!((b.consumed_wh()[0].1 - 10.0).abs() < 1e-9);
        assert!((b.consumed_wh()[1].1 - 3.0).abs() < 1e-9);
        let left = b.charge_wh();
        assert!(left < 13.0 && left > 12.8, "{left}");
    }

    #[test]
    fn docked_it_charges_to_full_and_not_beyond() {
        let mut b = Battery::new(spec(), 0.9, &["a"]);
        b.step(1.0, &[12.0], true);
        assert!(b.reading().current > 1.0 && b.reading().charging && !b.reading().full);
        for _ in 0..3600 {
            b.step(1.0, &[12.0], true);
        }
        assert!(b.reading().full);
        assert!(b.state_of_charge() <= 1.0 && b.state_of_charge() > 0.999);
    }

    #[test]
    fn it_empties_and_stays_empty() {
        let mut b = Battery::new(spec(), 0.0001, &["a"]);
        for _ in 0..100 {
            b.step(1.0, &[100.0], false);
        }
        assert!(b.is_empty() && b.charge_wh() == 0.0);
    }
}
