//! What actions cost in Wh, with how much uncertainty, and what is learnt about it on the way.

/// What an action needs, as far as its cost is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effort {
    /// Duration, s.
    pub duration_s: f64,
    /// Distance driven, m.
    pub distance_m: f64,
    /// Arm movements (grasps, releases, pushes, pulls).
    pub arm_actions: f64,
}

/// An energy with its standard deviation, Wh.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Energy {
    /// Expected, Wh.
    pub wh: f64,
    /// Standard deviation, Wh.
    pub sigma_wh: f64,
}

/// Power numbers, learnt by exponential averages from the battery.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EnergyModel {
    /// Power while standing (electronics, sensors, perception), W.
    pub idle_w: f64,
    /// Energy of driving beyond that, J/m.
    pub drive_j_per_m: f64,
    /// Energy of one arm action beyond that, J.
    pub arm_j: f64,
    /// Power of the dock into the cells, beyond what the robot draws itself, W.
    pub charge_w: f64,
    /// Relative standard deviation of a prediction.
    pub relative_sigma: f64,
    idle_learnt_s: f64,
    drive_learnt_m: f64,
}

impl Default for EnergyModel {
    fn default() -> Self {
        Self::new(12.5, 15.0, 120.0, 20.0)
    }
}

const LEARN_S: f64 = 30.0;
const LEARN_M: f64 = 5.0;

impl EnergyModel {
    /// A model from its first guesses.
    #[must_use]
    pub fn new(idle_w: f64, drive_j_per_m: f64, arm_j: f64, charge_w: f64) -> Self {
        Self { idle_w, drive_j_per_m, arm_j, charge_w, relative_sigma: 0.25, idle_learnt_s: 0.0, drive_learnt_m: 0.0 }
    }

    /// What an effort costs.
    #[must_use]
    pub fn cost(&self, effort: &Effort) -> Energy {
        let idle = self.idle_w * effort.duration_s;
        let work = self.drive_j_per_m * effort.distance_m + self.arm_j * effort.arm_actions;
        let wh = (idle + work) / 3600.0;
        // Standing power is well known; what differs is how long things take and how hard they go.
        Energy { wh, sigma_wh: self.relative_sigma * wh + 0.1 * work / 3600.0 }
    }

    /// How long charging takes, s.
    #[must_use]
    pub fn charging_s(&self, wh: f64) -> f64 {
        wh.max(0.0) * 3600.0 / self.charge_w.max(1.0)
    }

    /// Learns from the power drawn (W, positive while discharging) at a speed (m/s) over `dt_s`. Nothing is learnt while
    /// charging, while the arm works, or from numbers that are none.
    pub fn learn(&mut self, draw_w: f64, speed: f64, dt_s: f64, arm_busy: bool) {
        let usable = draw_w.is_finite() && speed.is_finite() && (0.1..500.0).contains(&draw_w) && (0.0..2.0).contains(&dt_s);
        if !usable || arm_busy {
            return;
        }
        let speed = speed.abs();
        if speed < 0.01 {
            self.idle_learnt_s += dt_s;
            let gain = dt_s / self.idle_learnt_s.clamp(2.0, LEARN_S);
            self.idle_w += gain * (draw_w - self.idle_w);
        } else if speed > 0.1 {
            let metres = speed * dt_s;
            self.drive_learnt_m += metres;
            let gain = metres / self.drive_learnt_m.clamp(0.5, LEARN_M);
            let seen = ((draw_w - self.idle_w) / speed).clamp(0.0, 500.0);
            self.drive_j_per_m += gain * (seen - self.drive_j_per_m);
        }
    }
}

/// What is in the battery.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Charge {
    /// Energy left, Wh.
    pub wh: f64,
    /// Capacity, Wh.
    pub capacity_wh: f64,
    /// Power drawn, W, negative while charging.
    pub draw_w: f64,
    /// Whether it is being charged.
    pub charging: bool,
}

impl Charge {
    /// State of charge, 0..1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        if self.capacity_wh > 0.0 { (self.wh / self.capacity_wh).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The battery.
    pub charge: Charge,
    /// Needed to reach the dock from here, Wh.
    pub to_dock_wh: f64,
    /// Never to be touched, Wh.
    pub reserve_wh: f64,
    /// The rest of the plan.
    pub plan: Energy,
    /// Below the low threshold.
    pub low: bool,
    /// The dock is still within reach after the plan, with one standard deviation to spare.
    pub admissible: bool,
    /// A sentence.
    pub advice: String,
}

/// Looks ahead: `plan` is what is left to do, `to_dock_after` what the way to the dock costs from where it ends.
#[must_use]
pub fn forecast(charge: Charge, to_dock: Energy, plan: Energy, to_dock_after: Energy, reserve_wh: f64, low_at: f64) -> Forecast {
    let low = charge.fraction() < low_at;
    let after = charge.wh - plan.wh - plan.sigma_wh - to_dock_after.wh - reserve_wh;
    let admissible = after >= 0.0;
    let margin = charge.wh - to_dock.wh - to_dock.sigma_wh - reserve_wh;
    let advice = if charge.charging {
        format!("charging at {:.0} %", charge.fraction() * 100.0)
    } else if margin < 0.0 {
        format!("go to the dock now: the reserve is short by {:.2} Wh", -margin)
    } else if !admissible {
        format!("dock before going on: the plan is short by {:.2} Wh", -after)
    } else if low {
        "low: dock when the task is done".to_owned()
    } else {
        format!("fine: {after:.1} Wh to spare")
    };
    Forecast { charge, to_dock_wh: to_dock.wh, reserve_wh, plan, low, admissible, advice }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn costs_add_up_in_watt_hours() {
        let m = EnergyModel::new(12.0, 10.0, 60.0, 20.0);
        let c = m.cost(&Effort { duration_s: 300.0, distance_m: 36.0, arm_actions: 3.0 });
        assert!((c.wh - (1.0 + 0.1 + 0.05)).abs() < 1e-12);
        assert!(c.sigma_wh > 0.0);
        assert!((m.charging_s(8.0) - 1440.0).abs() < 1e-9);
    }

    #[test]
    fn the_model_learns_what_the_battery_shows() {
        let mut m = EnergyModel::default();
        for _ in 0..2000 {
            m.learn(10.0, 0.0, 0.1, false);
        }
        for _ in 0..2000 {
            m.learn(10.0 + 0.25 * 30.0, 0.25, 0.1, false);
        }
        assert!((m.idle_w - 10.0).abs() < 0.1, "{}", m.idle_w);
        assert!((m.drive_j_per_m - 30.0).abs() < 0.5, "{}", m.drive_j_per_m);
        let before = m;
        m.learn(f64::NAN, 0.0, 0.1, false);
        m.learn(-20.0, 0.0, 0.1, false);
        m.learn(50.0, 0.0, 0.1, true);
        assert_eq!(m, before);
    }

    #[test]
    fn the_forecast_says_when_to_dock() {
        let charge = |wh| Charge { wh, capacity_wh: 26.0, draw_w: 12.0, charging: false };
        let e = |wh| Energy { wh, sigma_wh: 0.1 };
        let f = forecast(charge(20.0), e(0.3), e(2.0), e(0.3), 1.0, 0.2);
        assert!(f.admissible && !f.low && f.advice.starts_with("fine"));
        let f = forecast(charge(3.0), e(0.3), e(2.0), e(0.3), 1.0, 0.2);
        assert!(!f.admissible && f.low && f.advice.contains("dock before"));
        let f = forecast(charge(1.0), e(0.3), e(0.0), e(0.3), 1.0, 0.2);
        assert!(f.advice.contains("now"));
    }

    proptest! {
        #[test]
        fn more_work_never_costs_less(t in 0.0f64..1e3, d in 0.0f64..50.0, a in 0.0f64..5.0, more in 0.0f64..10.0) {
            let m = EnergyModel::default();
            let one = m.cost(&Effort { duration_s: t, distance_m: d, arm_actions: a });
            let two = m.cost(&Effort { duration_s: t + more, distance_m: d + more, arm_actions: a + more });
            prop_assert!(two.wh >= one.wh && two.sigma_wh >= one.sigma_wh && one.wh >= 0.0);
        }
    }
}
