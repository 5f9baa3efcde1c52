//! The node: cmd_vel and arm/command in, device/cmd_vel and device/arm out, safety/state beside them.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level as Diagnostic, Node, NodeError, Publisher, Qos, Setup, SetupError};
use msgs::geometry_msgs::msg::TwistStamped;
use msgs::nav_msgs::msg::Odometry;
use msgs::omnimind_msgs::msg::{Contacts, SafetyState};
use msgs::sensor_msgs::msg::LaserScan;
use msgs::std_msgs::msg::Bool;
use msgs::std_srvs::srv::{Trigger, TriggerRequest, TriggerResponse};
use msgs::trajectory_msgs::msg::JointTrajectory;

use crate::bumper::Pressed;
use crate::ladder::Level;
use crate::limits::{BaseLimits, JointLimit, Velocity, clamp_arm};
use crate::supervisor::{Supervisor, SupervisorSettings};

/// The safety node.
pub struct Safety {
    supervisor: Supervisor,
    arm_limits: Vec<JointLimit>,
    base_out: Publisher<TwistStamped>,
    arm_out: Publisher<JointTrajectory>,
    state_out: Publisher<SafetyState>,
    frame: String,
    told: bool,
}

impl Node for Safety {
    const NAME: &'static str = "safety";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let d = SupervisorSettings::default();
        let b = BaseLimits::default();
        let base = BaseLimits {
            linear: s
                .param("max_linear", b.linear)
                .unit("m/s")
                .range(0.0, 5.0)
                .describe("largest forward and backward speed")
                .read_only()
                .declare()?
                .get(),
            angular: s
                .param("max_angular", b.angular)
                .unit("rad/s")
                .range(0.0, 10.0)
                .describe("largest turn rate")
                .read_only()
                .declare()?
                .get(),
            linear_acceleration: s
                .param("max_linear_acceleration", b.linear_acceleration)
                .unit("m/s2")
                .range(0.01, 10.0)
                .describe("largest linear acceleration")
                .read_only()
                .declare()?
                .get(),
            angular_acceleration: s
                .param("max_angular_acceleration", b.angular_acceleration)
                .unit("rad/s2")
                .range(0.01, 50.0)
                .describe("largest angular acceleration")
                .read_only()
                .declare()?
                .get(),
            brake_factor: s
                .param("brake_factor", b.brake_factor)
                .range(1.0, 10.0)
                .describe("how much harder than accelerating braking may be")
                .read_only()
                .declare()?
                .get(),
        };
        let settings = SupervisorSettings {
            base,
            command_ttl_s: s
                .param("command_ttl_s", d.command_ttl_s)
                .unit("s")
                .range(0.02, 5.0)
                .describe("age at which a velocity command counts as zero")
                .read_only()
                .declare()?
                .get(),
            odom_stop_s: s
                .param("odom_stop_s", d.odom_stop_s)
                .unit("s")
                .range(0.05, 10.0)
                .describe("age of the odometry that stops the robot")
                .read_only()
                .declare()?
                .get(),
            scan_slow_s: s
                .param("scan_slow_s", d.scan_slow_s)
                .unit("s")
                .range(0.05, 10.0)
                .describe("age of the scan that slows the robot")
                .read_only()
                .declare()?
                .get(),
            scan_stop_s: s
                .param("scan_stop_s", d.scan_stop_s)
                .unit("s")
                .range(0.05, 60.0)
                .describe("age of the scan that stops the robot")
                .read_only()
                .declare()?
                .get(),
            degraded_scale: s
                .param("degraded_scale", d.degraded_scale)
                .range(0.05, 1.0)
                .describe("share of the speed limits while degraded")
                .read_only()
                .declare()?
                .get(),
            runaway_factor: s
                .param("runaway_factor", d.runaway_factor)
                .range(1.0, 10.0)
                .describe("measured speed over limit that counts as running away")
                .read_only()
                .declare()?
                .get(),
            runaway_s: s
                .param("runaway_s", d.runaway_s)
                .unit("s")
                .range(0.0, 10.0)
                .describe("for how long")
                .read_only()
                .declare()?
                .get(),
            clear_s: s
                .param("clear_s", d.clear_s)
                .unit("s")
                .range(0.0, 60.0)
                .describe("calm needed before the level falls")
                .read_only()
                .declare()?
                .get(),
        };
        let mut joint = |name: &str, unit_max: f64, effort: f64| -> Result<JointLimit, SetupError> {
            let max = s
                .param(&format!("{name}.max"), unit_max)
                .unit("m")
                .range(0.0, 5.0)
                .describe("largest position")
                .read_only()
                .declare()?
                .get();
            let max_effort = s
                .param(&format!("{name}.max_effort"), effort)
                .unit("N")
                .range(0.0, 1000.0)
                .describe("largest effort")
                .read_only()
                .declare()?
                .get();
            Ok(JointLimit { name: name.to_owned(), min: 0.0, max, max_effort })
        };
        let arm_limits =
            vec![joint("lift_joint", 0.60, 100.0)?, joint("extend_joint", 0.30, 50.0)?, joint("gripper", 0.14, 20.0)?];
        let frame = s.param("base_frame", "base_link".to_owned()).describe("frame of the commands").read_only().declare()?.get();
        let base_out = s.publisher("device/cmd_vel", Qos::reliable(5))?;
        let arm_out = s.publisher("device/arm", Qos::reliable(5))?;
        let state_out = s.publisher("safety/state", Qos::state())?;
        s.subscribe("cmd_vel", Qos::reliable(5), Self::on_command)?;
        s.subscribe("arm/command", Qos::reliable(5), Self::on_arm)?;
        s.subscribe("touch/contacts", Qos::sensor_data(), Self::on_contacts)?;
        s.subscribe("odom", Qos::sensor_data(), Self::on_odom)?;
        s.subscribe("scan", Qos::sensor_data(), Self::on_scan)?;
        // The last word of who spoke before this node came, and, with the weakest request there is, any word of anybody: a stop must not
        // go unheard over quality of service.
        s.subscribe("safety/e_stop", Qos::state(), Self::on_e_stop)?;
        s.subscribe("safety/e_stop", Qos::sensor_data(), Self::on_e_stop)?;
        s.service::<Trigger>("safety/reset", Self::on_reset)?;
        s.timer(Duration::from_millis(20), Self::cycle)?;
        Ok(Self { supervisor: Supervisor::new(settings), arm_limits, base_out, arm_out, state_out, frame, told: false })
    }
}

impl Safety {
    fn on_command(&mut self, ctx: &mut Context, command: Arc<TwistStamped>) -> HandlerResult {
        let v = Velocity { linear: command.twist.linear.x, angular: command.twist.angular.z };
        match self.supervisor.command(v, ctx.now().as_secs_f64()) {
            Ok(()) => ctx.status(Diagnostic::Ok, "cmd_vel", "plausible"),
            Err(error) => ctx.status(Diagnostic::Error, "cmd_vel", error.to_string()),
        }
        Ok(())
    }

    fn on_arm(&mut self, ctx: &mut Context, command: Arc<JointTrajectory>) -> HandlerResult {
        if !self.supervisor.arm_allowed() {
            ctx.status(Diagnostic::Warn, "arm", "a command was refused: the robot is stopped");
            return Ok(());
        }
        let mut command = (*command).clone();
        for point in &mut command.points {
            match clamp_arm(&self.arm_limits, &command.joint_names, &mut point.positions, &mut point.effort) {
                Ok(clamped) if clamped.is_empty() => ctx.status(Diagnostic::Ok, "arm", "within limits"),
                Ok(clamped) => ctx.status(Diagnostic::Warn, "arm", format!("clamped: {}", clamped.join(", "))),
                Err(error) => {
                    ctx.status(Diagnostic::Error, "arm", error.to_string());
                    return Ok(());
                }
            }
        }
        self.arm_out.publish(ctx, command);
        Ok(())
    }

    fn on_contacts(&mut self, _: &mut Context, contacts: Arc<Contacts>) -> HandlerResult {
        self.supervisor.contacts(Pressed::from_zones(contacts.contacts.iter().map(|c| (c.zone.as_str(), c.pressed))));
        Ok(())
    }

    fn on_odom(&mut self, ctx: &mut Context, odom: Arc<Odometry>) -> HandlerResult {
        let v = Velocity { linear: odom.twist.twist.linear.x, angular: odom.twist.twist.angular.z };
        self.supervisor.odometry(v, ctx.now().as_secs_f64());
        Ok(())
    }

    fn on_scan(&mut self, ctx: &mut Context, _: Arc<LaserScan>) -> HandlerResult {
        self.supervisor.scan(ctx.now().as_secs_f64());
        Ok(())
    }

    fn on_e_stop(&mut self, ctx: &mut Context, on: Arc<Bool>) -> HandlerResult {
        self.supervisor.e_stop(on.data);
        // Not at the next cycle: now.
        self.cycle(ctx)
    }

    fn on_reset(&mut self, ctx: &mut Context, _: TriggerRequest) -> Result<TriggerResponse, NodeError> {
        Ok(match self.supervisor.reset() {
            Ok(level) => {
                ctx.info(format!("reset to {level:?}"));
                self.told = false;
                TriggerResponse { success: true, message: format!("level {level:?}") }
            }
            Err(error) => TriggerResponse { success: false, message: error.to_string() },
        })
    }

    fn cycle(&mut self, ctx: &mut Context) -> HandlerResult {
        let now = ctx.now();
        let out = self.supervisor.cycle(now.as_secs_f64());
        let mut command = TwistStamped::default();
        command.header.stamp = now.to_msg();
        command.header.frame_id.clone_from(&self.frame);
        command.twist.linear.x = out.velocity.linear;
        command.twist.angular.z = out.velocity.angular;
        self.base_out.publish(ctx, command);
        if out.command_expired {
            ctx.status(Diagnostic::Warn, "command", "a moving command was not renewed in time: braked");
        } else {
            ctx.status(Diagnostic::Ok, "command", "in time");
        }
        if out.changed || !self.told {
            self.told = true;
            let level = match out.level {
                Level::Nominal => Diagnostic::Ok,
                Level::Degraded | Level::ComfortStop => Diagnostic::Warn,
                _ => Diagnostic::Error,
            };
            ctx.status(level, "level", format!("{:?}: {}", out.level, out.reason));
            let mut state = SafetyState {
                level: out.level as u8,
                reason: out.reason,
                motion_allowed: out.motion_allowed,
                ..SafetyState::default()
            };
            state.header.stamp = now.to_msg();
            self.state_out.publish(ctx, state);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;

    fn go(linear: f64) -> TwistStamped {
        let mut t = TwistStamped::default();
        t.twist.linear.x = linear;
        t
    }

    fn live(bench: &mut Bench, ms: u64, command: Option<f64>) -> f64 {
        for _ in 0..ms / 10 {
            bench.publish("odom", Odometry::default());
            bench.publish("scan", LaserScan::default());
            if let Some(v) = command {
                bench.publish("cmd_vel", go(v));
            }
            bench.run_for(Duration::from_millis(10));
        }
        let out: Vec<Arc<TwistStamped>> = bench.take("device/cmd_vel");
        out.last().map_or(f64::NAN, |t| t.twist.linear.x)
    }

    #[test]
    fn commands_pass_clamped_and_the_emergency_stop_needs_a_reset() -> Result<(), Box<dyn std::error::Error>> {
        let mut bench = Bench::new();
        bench.add::<Safety>(&[])?;
        let v = live(&mut bench, 2000, Some(9.0));
        assert!((v - 0.31).abs() < 1e-6, "{v}");
        bench.publish("safety/e_stop", Bool { data: true });
        assert_eq!(live(&mut bench, 20, Some(0.2)), 0.0);
        bench.publish("safety/e_stop", Bool { data: false });
        assert_eq!(live(&mut bench, 1000, Some(0.2)), 0.0);
        let states: Vec<Arc<SafetyState>> = bench.take("safety/state");
        assert_eq!(states.last().map(|s| s.level), Some(SafetyState::E_STOP));
        let answer = bench.call::<Trigger>("safety/reset", TriggerRequest::default())?;
        assert!(answer.success, "{}", answer.message);
        assert!(live(&mut bench, 1500, Some(0.2)) > 0.19);
        Ok(())
    }

    #[test]
    fn arm_commands_are_clamped_and_nonsense_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let mut bench = Bench::new();
        bench.add::<Safety>(&[])?;
        live(&mut bench, 1000, None);
        let mut command = JointTrajectory { joint_names: vec!["lift_joint".into()], ..JointTrajectory::default() };
        command.points.push(Default::default());
        command.points[0].positions = vec![2.0];
        bench.publish("arm/command", command.clone());
        command.points[0].positions = vec![f64::NAN];
        bench.publish("arm/command", command);
        bench.run_for(Duration::from_millis(20));
        let out: Vec<Arc<JointTrajectory>> = bench.take("device/arm");
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].points[0].positions, [0.6]);
        Ok(())
    }
}
