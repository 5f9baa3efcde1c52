//! The node: `device/battery` in, `battery_state` out.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Param, Publisher, Qos, Setup, SetupError, Time, Watchdog};
use msgs::sensor_msgs::msg::BatteryState;

use crate::gauge::{ChargeLevel, FuelGauge, GaugeSettings, OcvTable, ReadingError, grade};

/// Fills in what the pack's electronics do not say: charge, capacity and percentage.
pub struct Battery {
    gauge: FuelGauge,
    level: ChargeLevel,
    low: Param<f64>,
    critical: Param<f64>,
    out: Publisher<BatteryState>,
    watchdog: Watchdog,
    design_ah: f64,
}

impl Node for Battery {
    const NAME: &'static str = "battery";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let d = GaugeSettings::default();
        let settings = GaugeSettings {
            capacity_wh: s
                .param("capacity_wh", d.capacity_wh)
                .unit("Wh")
                .range(0.1, 1e5)
                .describe("capacity when full")
                .read_only()
                .declare()?
                .get(),
            nominal_v: s
                .param("nominal_v", d.nominal_v)
                .unit("V")
                .range(1.0, 1000.0)
                .describe("nominal voltage")
                .read_only()
                .declare()?
                .get(),
            resistance_ohm: s
                .param("resistance_ohm", d.resistance_ohm)
                .unit("ohm")
                .range(0.0, 10.0)
                .describe("internal resistance")
                .read_only()
                .declare()?
                .get(),
            voltage_sigma_v: s
                .param("voltage_sigma_v", d.voltage_sigma_v)
                .unit("V")
                .range(0.001, 10.0)
                .describe("standard deviation of a voltage reading against the curve")
                .read_only()
                .declare()?
                .get(),
            current_sigma: s
                .param("current_sigma", d.current_sigma)
                .range(0.0, 1.0)
                .describe("relative standard deviation of the current sensor")
                .read_only()
                .declare()?
                .get(),
            rest_current_a: s
                .param("rest_current_a", d.rest_current_a)
                .unit("A")
                .range(0.0, 100.0)
                .describe("above this current the voltage corrects nothing")
                .read_only()
                .declare()?
                .get(),
        };
        let curve = s
            .param("open_circuit_curve", OcvTable::lithium_ion_4s_flat())
            .unit("1, V")
            .describe("state of charge and open-circuit voltage in turn, rising")
            .read_only()
            .declare()?
            .get();
        let table = OcvTable::from_flat(&curve).map_err(|error| s.failed(error))?;
        let low = s.param("low", 0.20).range(0.0, 1.0).describe("state of charge that is low").declare()?;
        let critical = s.param("critical", 0.10).range(0.0, 1.0).describe("state of charge that is critical").declare()?;
        let watchdog = Watchdog::declare(s, "device/battery", 2.0)?;
        s.subscribe("device/battery", Qos::sensor_data(), Self::on_raw)?;
        s.timer(Duration::from_millis(500), |node: &mut Self, ctx| {
            node.watchdog.check(ctx);
            Ok(())
        })?;
        Ok(Self {
            gauge: FuelGauge::new(settings, table),
            level: ChargeLevel::Ok,
            low,
            critical,
            out: s.publisher("battery_state", Qos::state())?,
            watchdog,
            design_ah: settings.capacity_wh / settings.nominal_v,
        })
    }
}

impl Battery {
    fn on_raw(&mut self, ctx: &mut Context, raw: Arc<BatteryState>) -> HandlerResult {
        self.watchdog.feed(ctx);
        let time_s = Time::from_msg(&raw.header.stamp).as_secs_f64();
        let charge = match self.gauge.update(f64::from(raw.voltage), f64::from(raw.current), time_s) {
            Ok(charge) => charge,
            Err(error @ (ReadingError::NotFinite | ReadingError::Voltage { .. })) => {
                ctx.status(Level::Warn, "reading", error.to_string());
                return Ok(());
            }
        };
        ctx.status(Level::Ok, "reading", "plausible");
        let level = grade(self.level, charge.soc, self.low.get(), self.critical.get());
        if level != self.level {
            self.level = level;
            let percent = charge.soc * 100.0;
            match level {
                ChargeLevel::Ok => ctx.status(Level::Ok, "charge", format!("{percent:.0} %")),
                ChargeLevel::Low => ctx.status(Level::Warn, "charge", format!("low: {percent:.0} %")),
                ChargeLevel::Critical => ctx.status(Level::Error, "charge", format!("critical: {percent:.0} %")),
            }
        }
        let mut state = (*raw).clone();
        state.charge = charge.charge_ah as f32;
        state.capacity = charge.capacity_ah as f32;
        state.design_capacity = self.design_ah as f32;
        state.percentage = charge.soc as f32;
        self.out.publish(ctx, state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;
    use msgs::std_msgs::msg::Header;

    fn reading(second: i32, voltage: f32, current: f32) -> BatteryState {
        let header = Header { stamp: Time::from_secs_f64(f64::from(second)).to_msg(), ..Header::default() };
        BatteryState { header, voltage, current, percentage: f32::NAN, present: true, ..BatteryState::default() }
    }

    #[test]
    fn the_percentage_is_filled_in_and_a_low_charge_is_said() {
        let mut bench = Bench::new();
        bench.add::<Battery>(&[]).unwrap();
        bench.publish("device/battery", reading(1, 13.4, 0.0));
        bench.run_for(Duration::from_millis(10));
        let out = bench.take::<BatteryState>("battery_state");
        assert!((out[0].percentage - 0.10).abs() < 0.01, "{}", out[0].percentage);
        assert!(bench.status("battery", "charge").unwrap().0 >= Level::Warn);
    }

    #[test]
    fn nonsense_is_refused_and_silence_is_called_stale() {
        let mut bench = Bench::new();
        bench.add::<Battery>(&[("timeout_s", 1.0.into())]).unwrap();
        bench.publish("device/battery", reading(1, f32::NAN, 0.0));
        bench.run_for(Duration::from_millis(10));
        assert!(bench.take::<BatteryState>("battery_state").is_empty());
        assert_eq!(bench.status("battery", "reading").unwrap().0, Level::Warn);
        bench.run_for(Duration::from_secs(3));
        assert_eq!(bench.status("battery", "device/battery").unwrap().0, Level::Stale);
    }
}
