//! The node: `device/wrist` in, `wrist/wrench` out.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Publisher, Qos, Setup, SetupError, Time, Watchdog};
use msgs::geometry_msgs::msg::{Vector3, Wrench, WrenchStamped};
use msgs::omnimind_msgs::msg::Contacts;
use msgs::sensor_msgs::msg::JointState;

use crate::filter::{Wrench6, WrenchFilter, WrenchSettings};

/// Below this speed the arm stands still, m/s.
const STILL_M_PER_S: f64 = 0.002;

/// Takes the wrist's own offset and noise out of its wrench.
pub struct Force {
    filter: WrenchFilter,
    fingers_pressed: bool,
    arm_still: bool,
    out: Publisher<WrenchStamped>,
    watchdog: Watchdog,
}

impl Node for Force {
    const NAME: &'static str = "force";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let d = WrenchSettings::default();
        let settings = WrenchSettings {
            cutoff_hz: s
                .param("cutoff_hz", d.cutoff_hz)
                .unit("Hz")
                .range(0.1, 1000.0)
                .describe("cut-off of the low pass")
                .read_only()
                .declare()?
                .get(),
            tare_s: s
                .param("tare_s", d.tare_s)
                .unit("s")
                .range(0.05, 60.0)
                .describe("rest before the offset is taken")
                .read_only()
                .declare()?
                .get(),
            still_n: s
                .param("still_n", d.still_n)
                .unit("N")
                .range(0.001, 100.0)
                .describe("largest noise of a rest")
                .read_only()
                .declare()?
                .get(),
            max_force_n: s
                .param("max_force_n", d.max_force_n)
                .unit("N")
                .range(1.0, 1e4)
                .describe("range of the sensor")
                .read_only()
                .declare()?
                .get(),
            max_torque_nm: s
                .param("max_torque_nm", d.max_torque_nm)
                .unit("N m")
                .range(0.1, 1e4)
                .describe("range of the sensor")
                .read_only()
                .declare()?
                .get(),
        };
        let watchdog = Watchdog::declare(s, "device/wrist", 0.5)?;
        s.subscribe("device/wrist", Qos::sensor_data(), Self::on_raw)?;
        // Only an empty gripper on an arm at rest may be tared.
        s.subscribe("touch/contacts", Qos::sensor_data(), |node: &mut Self, _, contacts: Arc<Contacts>| {
            node.fingers_pressed = contacts.contacts.iter().any(|zone| zone.pressed && zone.zone.starts_with("finger"));
            Ok(())
        })?;
        s.subscribe("device/joints", Qos::sensor_data(), |node: &mut Self, _, joints: Arc<JointState>| {
            let moving = |(name, speed): (&String, &f64)| {
                ["lift", "extend", "finger"].iter().any(|part| name.starts_with(part)) && speed.abs() > STILL_M_PER_S
            };
            node.arm_still = !joints.name.iter().zip(&joints.velocity).any(moving);
            Ok(())
        })?;
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| {
            node.watchdog.check(ctx);
            Ok(())
        })?;
        Ok(Self {
            filter: WrenchFilter::new(settings),
            fingers_pressed: false,
            arm_still: false,
            out: s.publisher("wrist/wrench", Qos::sensor_data())?,
            watchdog,
        })
    }
}

impl Force {
    fn on_raw(&mut self, ctx: &mut Context, raw: Arc<WrenchStamped>) -> HandlerResult {
        self.watchdog.feed(ctx);
        let (f, t) = (&raw.wrench.force, &raw.wrench.torque);
        let sample: Wrench6 = [f.x, f.y, f.z, t.x, t.y, t.z];
        let time_s = Time::from_msg(&raw.header.stamp).as_secs_f64();
        match self.filter.update(sample, time_s, self.arm_still && !self.fingers_pressed) {
            Ok([fx, fy, fz, tx, ty, tz]) => {
                let tared = if self.filter.tared() { "tared" } else { "not tared yet" };
                ctx.status(Level::Ok, "wrench", tared);
                let wrench = Wrench { force: Vector3 { x: fx, y: fy, z: fz }, torque: Vector3 { x: tx, y: ty, z: tz } };
                self.out.publish(ctx, WrenchStamped { header: raw.header.clone(), wrench });
            }
            Err(error) => ctx.status(Level::Warn, "wrench", error.to_string()),
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
    fn the_offset_of_a_resting_empty_gripper_is_taken_out() {
        let mut bench = Bench::new();
        bench.add::<Force>(&[]).unwrap();
        bench.publish(
            "device/joints",
            JointState { name: vec!["lift_joint".into()], velocity: vec![0.0], ..JointState::default() },
        );
        for step in 0..100 {
            let header = Header { stamp: Time::from_secs_f64(f64::from(step) * 0.02).to_msg(), ..Header::default() };
            let wrench = Wrench { force: Vector3 { x: 0.0, y: 0.0, z: -2.5 }, ..Wrench::default() };
            bench.publish("device/wrist", WrenchStamped { header, wrench });
            bench.run_for(Duration::from_millis(20));
        }
        let out = bench.take::<WrenchStamped>("wrist/wrench");
        assert!((out[0].wrench.force.z + 2.5).abs() < 0.01);
        assert!(out[99].wrench.force.z.abs() < 0.05, "{}", out[99].wrench.force.z);
    }
}
