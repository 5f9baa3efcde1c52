//! The node: `device/touch` in, `touch/contacts` out.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Publisher, Qos, Setup, SetupError, Time, Watchdog};
use msgs::geometry_msgs::msg::Vector3;
use msgs::omnimind_msgs::msg::{Contact, Contacts};

use crate::filter::{Thresholds, TouchFilter, unit_normal};

/// Turns forces on the skin into presses.
pub struct Touch {
    filter: TouchFilter,
    out: Publisher<Contacts>,
    watchdog: Watchdog,
}

impl Node for Touch {
    const NAME: &'static str = "touch";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let d = Thresholds::default();
        let thresholds = Thresholds {
            press_n: s
                .param("press_n", d.press_n)
                .unit("N")
                .range(0.0, 100.0)
                .describe("force at which a zone is pressed")
                .read_only()
                .declare()?
                .get(),
            release_n: s
                .param("release_n", d.release_n)
                .unit("N")
                .range(0.0, 100.0)
                .describe("force below which it is free again")
                .read_only()
                .declare()?
                .get(),
            debounce_s: s
                .param("debounce_s", d.debounce_s)
                .unit("s")
                .range(0.0, 1.0)
                .describe("how long a new state must hold")
                .read_only()
                .declare()?
                .get(),
            max_n: s
                .param("max_n", d.max_n)
                .unit("N")
                .range(1.0, 1e4)
                .describe("forces above this are a fault of the sensor")
                .read_only()
                .declare()?
                .get(),
        };
        let thresholds = thresholds.check().map_err(|error| s.failed(error))?;
        let watchdog = Watchdog::declare(s, "device/touch", 0.5)?;
        s.subscribe("device/touch", Qos::sensor_data(), Self::on_raw)?;
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| {
            node.watchdog.check(ctx);
            Ok(())
        })?;
        Ok(Self { filter: TouchFilter::new(thresholds), out: s.publisher("touch/contacts", Qos::sensor_data())?, watchdog })
    }
}

impl Touch {
    fn on_raw(&mut self, ctx: &mut Context, raw: Arc<Contacts>) -> HandlerResult {
        self.watchdog.feed(ctx);
        let time_s = Time::from_msg(&raw.header.stamp).as_secs_f64();
        let mut refused = Vec::new();
        let mut contacts = Vec::with_capacity(raw.contacts.len());
        for zone in &raw.contacts {
            let press = self.filter.update(&zone.zone, f64::from(zone.force), time_s);
            if press.refused {
                refused.push(zone.zone.as_str());
            }
            let [x, y, z] = unit_normal([zone.normal.x, zone.normal.y, zone.normal.z]);
            let normal = Vector3 { x, y, z };
            contacts.push(Contact { zone: zone.zone.clone(), pressed: press.pressed, force: press.force_n as f32, normal });
        }
        if refused.is_empty() {
            ctx.status(Level::Ok, "zones", "plausible");
        } else {
            ctx.status(Level::Warn, "zones", format!("implausible force on {}", refused.join(", ")));
        }
        self.out.publish(ctx, Contacts { header: raw.header.clone(), contacts });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;
    use msgs::std_msgs::msg::Header;

    #[test]
    fn a_held_force_is_a_press_and_a_broken_zone_is_said() {
        let mut bench = Bench::new();
        bench.add::<Touch>(&[]).unwrap();
        for step in 0..10 {
            let header = Header { stamp: Time::from_secs_f64(f64::from(step) * 0.01).to_msg(), ..Header::default() };
            let zone = |zone: &str, force| Contact { zone: zone.into(), force, ..Contact::default() };
            bench.publish(
                "device/touch",
                Contacts { header, contacts: vec![zone("bumper_left", 3.0), zone("bumper_rear", f32::NAN)] },
            );
            bench.run_for(Duration::from_millis(10));
        }
        let out = bench.take::<Contacts>("touch/contacts");
        assert!(!out[0].contacts[0].pressed && out[9].contacts[0].pressed && !out[9].contacts[1].pressed);
        assert_eq!(bench.status("touch", "zones"), Some((Level::Warn, "implausible force on bumper_rear".into())));
    }
}
