//! The node: `device/joints` and `device/imu` in; `joint_states`, `imu`, `odom` and the body's frames out.

use std::sync::Arc;
use std::time::Duration;

use glam::DVec3;
use graph::{Context, HandlerResult, Level, Node, Publisher, Qos, Setup, SetupError, Time, Watchdog};
use msgs::geometry_msgs::msg::{TwistWithCovariance, Vector3};
use msgs::nav_msgs::msg::Odometry;
use msgs::sensor_msgs::msg::{Imu, JointState};
use msgs::std_msgs::msg::Header;
use spatial::Pose3;
use spatial::convert::{pose_with_covariance, transform_stamped, twist};
use tf::{Broadcaster, StaticBroadcaster};

use crate::frames::{FixedFrame, optical, pose_from, wrist};
use crate::gyro::GyroBias;
use crate::joints::{check, position};
use crate::odometry::{Odometer, OdometrySettings};

/// Share of recent steps with slip above which it is said, and below which it is over.
const SLIP_SAID: f64 = 0.3;
const SLIP_OVER: f64 = 0.1;
/// Weight of one step (10 ms) in that share.
const SLIP_MEMORY: f64 = 0.02;

/// Below this speed a wheel stands still, rad/s.
const STILL_RAD_PER_S: f64 = 0.02;

/// Knows where the body's parts are and how far the body has gone.
pub struct Proprioception {
    odometer: Odometer,
    gyro: GyroBias,
    wheels_still: bool,
    slip_share: f64,
    wrist_origin: Pose3,
    fixed: Vec<FixedFrame>,
    joint_states: Publisher<JointState>,
    imu: Publisher<Imu>,
    odom: Publisher<Odometry>,
    tf: Broadcaster,
    tf_static: StaticBroadcaster,
    watchdog: Watchdog,
}

impl Node for Proprioception {
    const NAME: &'static str = "proprioception";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let d = OdometrySettings::default();
        let settings = OdometrySettings {
            wheel_radius_m: s
                .param("wheel_radius_m", d.wheel_radius_m)
                .unit("m")
                .range(0.001, 1.0)
                .describe("radius of a drive wheel")
                .read_only()
                .declare()?
                .get(),
            wheel_separation_m: s
                .param("wheel_separation_m", d.wheel_separation_m)
                .unit("m")
                .range(0.01, 5.0)
                .describe("distance between the drive wheels")
                .read_only()
                .declare()?
                .get(),
            distance_noise: s
                .param("distance_noise", d.distance_noise)
                .unit("m2/m")
                .range(0.0, 1.0)
                .describe("variance of the distance per metre")
                .read_only()
                .declare()?
                .get(),
            turn_noise: s
                .param("turn_noise", d.turn_noise)
                .unit("rad2/rad")
                .range(0.0, 1.0)
                .describe("variance of the wheels' turn per radian")
                .read_only()
                .declare()?
                .get(),
            drift_noise: s
                .param("drift_noise", d.drift_noise)
                .unit("rad2/m")
                .range(0.0, 1.0)
                .describe("variance of the wheels' turn per metre")
                .read_only()
                .declare()?
                .get(),
            ..d
        };
        let mut fixed = Vec::new();
        for (child, pose, what) in [
            ("camera_link", [0.05, 0.0, 0.62, 0.0, 0.35, 0.0], "the camera"),
            ("laser", [0.0, 0.0, 0.16, 0.0, 0.0, 0.0], "the lidar"),
            ("imu_link", [0.0; 6], "the inertial sensor"),
            ("microphone_link", [0.0, 0.0, 0.65, 0.0, 0.0, 0.0], "the microphones"),
        ] {
            let values = s
                .param(&format!("frame_{child}"), pose.to_vec())
                .unit("m, rad")
                .describe(format!("x, y, z, roll, pitch, yaw of {what} in base_link"))
                .read_only()
                .declare()?
                .get();
            let pose = pose_from(child, &values).map_err(|error| s.failed(error))?;
            fixed.push(FixedFrame { parent: "base_link".into(), child: child.into(), pose });
        }
        fixed.push(optical("camera_link", "camera_optical_frame"));
        let values = s
            .param("wrist_origin", vec![0.22, 0.0, 0.20, 0.0, 0.0, 0.0])
            .unit("m, rad")
            .describe("x, y, z, roll, pitch, yaw of the wrist in base_link with the arm drawn in and down")
            .read_only()
            .declare()?
            .get();
        let wrist_origin = pose_from("wrist", &values).map_err(|error| s.failed(error))?;
        let watchdog = Watchdog::declare(s, "device/joints", 0.2)?;
        s.subscribe("device/joints", Qos::sensor_data(), Self::on_joints)?;
        s.subscribe("device/imu", Qos::sensor_data(), Self::on_imu)?;
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| {
            node.watchdog.check(ctx);
            Ok(())
        })?;
        Ok(Self {
            odometer: Odometer::new(settings),
            gyro: GyroBias::new(0.3, 20.0, 0.05),
            wheels_still: false,
            slip_share: 0.0,
            wrist_origin,
            fixed,
            joint_states: s.publisher("joint_states", Qos::sensor_data())?,
            imu: s.publisher("imu", Qos::sensor_data())?,
            odom: s.publisher("odom", Qos::sensor_data())?,
            tf: Broadcaster::declare(s)?,
            tf_static: StaticBroadcaster::declare(s)?,
            watchdog,
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        let now = ctx.now().as_nanos();
        let transforms = self.fixed.iter().map(|frame| transform_stamped(&frame.parent, &frame.child, now, frame.pose)).collect();
        self.tf_static.send(ctx, transforms);
        Ok(())
    }
}

impl Proprioception {
    fn on_imu(&mut self, ctx: &mut Context, raw: Arc<Imu>) -> HandlerResult {
        let time_s = Time::from_msg(&raw.header.stamp).as_secs_f64();
        let rate = &raw.angular_velocity;
        if ![rate.x, rate.y, rate.z].iter().all(|value| value.is_finite()) {
            ctx.status(Level::Warn, "imu", "a rate is not a number");
            return Ok(());
        }
        let [x, y, z] = self.gyro.update([rate.x, rate.y, rate.z], time_s, self.wheels_still);
        self.odometer.gyro(z, time_s);
        self.imu.publish(ctx, Imu { angular_velocity: Vector3 { x, y, z }, ..(*raw).clone() });
        Ok(())
    }

    fn on_joints(&mut self, ctx: &mut Context, raw: Arc<JointState>) -> HandlerResult {
        self.watchdog.feed(ctx);
        if let Err(error) = check(&raw.name, &raw.position, &raw.velocity, &raw.effort) {
            ctx.status(Level::Warn, "joints", error.to_string());
            return Ok(());
        }
        ctx.status(Level::Ok, "joints", "plausible");
        let stamp = Time::from_msg(&raw.header.stamp);
        let at = |joint: &str| position(&raw.name, &raw.position, joint);
        let speed = |joint: &str| position(&raw.name, &raw.velocity, joint).unwrap_or(f64::INFINITY);
        self.wheels_still = speed("wheel_left_joint").abs().max(speed("wheel_right_joint").abs()) < STILL_RAD_PER_S;
        self.joint_states.publish(ctx, Arc::clone(&raw));
        let mut transforms = Vec::new();
        if let (Some(left), Some(right)) = (at("wheel_left_joint"), at("wheel_right_joint")) {
            let state = *self.odometer.wheels(left, right, stamp.as_secs_f64());
            // A single step of slip is noise, and the gyroscope has already corrected it.
            self.slip_share += SLIP_MEMORY * (f64::from(u8::from(state.slipping)) - self.slip_share);
            if self.slip_share > SLIP_SAID {
                ctx.status(Level::Warn, "odometry", "wheels and gyroscope disagree: the robot slips or is pushed");
            } else if self.slip_share < SLIP_OVER {
                ctx.status(Level::Ok, "odometry", "wheels and gyroscope agree");
            }
            let mut speed = TwistWithCovariance { twist: twist(state.linear, state.angular), ..TwistWithCovariance::default() };
            speed.covariance[0] = state.linear_variance;
            speed.covariance[35] = state.angular_variance;
            self.odom.publish(
                ctx,
                Odometry {
                    header: Header { stamp: stamp.to_msg(), frame_id: "odom".into() },
                    child_frame_id: "base_link".into(),
                    pose: pose_with_covariance(state.pose, &state.covariance),
                    twist: speed,
                },
            );
            transforms.push(transform_stamped("odom", "base_link", stamp.as_nanos(), state.pose.to_pose3()));
        }
        if let (Some(lift), Some(extend)) = (at("lift_joint"), at("extend_joint")) {
            let pose = self.wrist_origin * wrist(DVec3::ZERO, lift, extend);
            transforms.push(transform_stamped("base_link", "wrist", stamp.as_nanos(), pose));
        }
        if !transforms.is_empty() {
            self.tf.send(ctx, transforms);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;
    use msgs::tf2_msgs::msg::TFMessage;

    fn joints(time_s: f64, left: f64, right: f64) -> JointState {
        JointState {
            header: Header { stamp: Time::from_secs_f64(time_s).to_msg(), ..Header::default() },
            name: ["wheel_left_joint", "wheel_right_joint", "lift_joint", "extend_joint"].map(str::to_owned).to_vec(),
            position: vec![left, right, 0.1, 0.05],
            velocity: vec![1.0, 1.0, 0.0, 0.0],
            effort: Vec::new(),
        }
    }

    #[test]
    fn wheels_that_roll_a_metre_move_the_robot_a_metre_and_every_frame_is_told() {
        let mut bench = Bench::new();
        bench.add::<Proprioception>(&[]).unwrap();
        let steps = 400;
        for step in 0..=steps {
            let angle = f64::from(step) / f64::from(steps) / 0.035_75;
            bench.publish("device/joints", joints(f64::from(step) * 0.01, angle, angle));
            bench.run_for(Duration::from_millis(10));
        }
        let odom = bench.take::<Odometry>("odom");
        let last = odom.last().unwrap();
        assert!((last.pose.pose.position.x - 1.0).abs() < 1e-6, "{}", last.pose.pose.position.x);
        assert!(last.pose.covariance[0] > 0.0);
        let fixed = bench.take::<TFMessage>("/tf_static");
        assert_eq!(fixed[0].transforms.len(), 5);
        let tf = bench.take::<TFMessage>("/tf");
        let wrist = tf.last().unwrap().transforms.iter().find(|t| t.child_frame_id == "wrist").unwrap();
        assert!((wrist.transform.translation.x - 0.27).abs() < 1e-9 && (wrist.transform.translation.z - 0.3).abs() < 1e-9);
    }

    #[test]
    fn a_broken_joint_state_is_refused() {
        let mut bench = Bench::new();
        bench.add::<Proprioception>(&[]).unwrap();
        bench.publish("device/joints", joints(0.0, f64::NAN, 0.0));
        bench.run_for(Duration::from_millis(10));
        assert!(bench.take::<Odometry>("odom").is_empty());
        assert!(bench.status("proprioception", "joints").unwrap().1.contains("wheel_left_joint"));
    }
}
