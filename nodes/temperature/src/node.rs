//! The node: `device/temperature` in, `temperature` out.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Publisher, Qos, Setup, SetupError, Time, Watchdog};
use msgs::sensor_msgs::msg::Temperature as Reading;

use crate::filter::{TemperatureFilter, TemperatureSettings};

/// Checks and filters the body's thermometer.
pub struct Temperature {
    filter: TemperatureFilter,
    out: Publisher<Reading>,
    watchdog: Watchdog,
}

impl Node for Temperature {
    const NAME: &'static str = "temperature";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let d = TemperatureSettings::default();
        let settings = TemperatureSettings {
            window: s
                .param("window", d.window as i64)
                .range(1, 101)
                .describe("samples in the running median")
                .read_only()
                .declare()?
                .get() as usize,
            min_c: s
                .param("min_c", d.min_c)
                .unit("degC")
                .range(-273.15, 1000.0)
                .describe("lowest believable value")
                .read_only()
                .declare()?
                .get(),
            max_c: s
                .param("max_c", d.max_c)
                .unit("degC")
                .range(-273.15, 1000.0)
                .describe("highest believable value")
                .read_only()
                .declare()?
                .get(),
            max_rate_c_per_s: s
                .param("max_rate_c_per_s", d.max_rate_c_per_s)
                .unit("degC/s")
                .range(0.001, 1000.0)
                .describe("fastest believable change")
                .read_only()
                .declare()?
                .get(),
        };
        let watchdog = Watchdog::declare(s, "device/temperature", 5.0)?;
        s.subscribe("device/temperature", Qos::sensor_data(), Self::on_raw)?;
        s.timer(Duration::from_secs(1), |node: &mut Self, ctx| {
            node.watchdog.check(ctx);
            Ok(())
        })?;
        Ok(Self { filter: TemperatureFilter::new(settings), out: s.publisher("temperature", Qos::sensor_data())?, watchdog })
    }
}

impl Temperature {
    fn on_raw(&mut self, ctx: &mut Context, raw: Arc<Reading>) -> HandlerResult {
        self.watchdog.feed(ctx);
        match self.filter.update(raw.temperature, Time::from_msg(&raw.header.stamp).as_secs_f64()) {
            Ok(temperature) => {
                ctx.status(Level::Ok, "reading", "plausible");
                self.out.publish(ctx, Reading { temperature, ..(*raw).clone() });
            }
            Err(error) => ctx.status(Level::Warn, "reading", error.to_string()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;
    use msgs::std_msgs::msg::Header;

    #[test]
    fn an_implausible_value_is_kept_back_and_said() {
        let mut bench = Bench::new();
        bench.add::<Temperature>(&[]).unwrap();
        for (second, value) in [(1, 25.0), (2, 900.0), (3, 26.0)] {
            let header = Header { stamp: Time::from_secs_f64(f64::from(second)).to_msg(), ..Header::default() };
            bench.publish("device/temperature", Reading { header, temperature: value, variance: 0.0 });
            bench.run_for(Duration::from_millis(10));
            assert_eq!(bench.status("temperature", "reading").unwrap().0 == Level::Ok, value < 100.0);
        }
        let out: Vec<f64> = bench.take::<Reading>("temperature").iter().map(|m| m.temperature).collect();
        assert_eq!(out, [25.0, 25.5]);
    }
}
