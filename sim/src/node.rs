//! The simulator as a node: `device/*` out, commands in, ten milliseconds at a time.

use crate::mission::{load_requests, load_sound};
use crate::physics::ArmCommand;
use crate::sensors::sound::{BLOCK, SAMPLE_RATE};
use crate::simulation::{Options, Readings, Simulation, Truth};
use graph::{Context, HandlerResult, Level, Node, Publisher, Qos, Setup, SetupError};
use msgs::geometry_msgs::msg::{TwistStamped, WrenchStamped};
use msgs::omnimind_msgs::msg::{AudioChunk, Contact, Contacts, SimObject, SimState};
use msgs::sensor_msgs::msg::{BatteryState, CameraInfo, Image, Imu, JointState, LaserScan, Temperature};
use msgs::std_msgs::msg::String as Text;
use msgs::trajectory_msgs::msg::JointTrajectory;
use spatial::convert::{header, vector};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Topic on which the scenario asks for a recording to be spoken: the path of a sound file.
pub const SAY_TOPIC: &str = "sim/say";
/// A zone counts as pressed from here, N.
const PRESSED_N: f64 = 0.3;

/// The embedded simulator.
pub struct Simulator {
    sim: Simulation,
    outputs: Outputs,
    speech: PathBuf,
}

struct Outputs {
    image: Publisher<Image>,
    depth: Publisher<Image>,
    camera_info: Publisher<CameraInfo>,
    sound: Publisher<AudioChunk>,
    touch: Publisher<Contacts>,
    joints: Publisher<JointState>,
    imu: Publisher<Imu>,
    wrist: Publisher<WrenchStamped>,
    temperature: Publisher<Temperature>,
    scan: Publisher<LaserScan>,
    battery: Publisher<BatteryState>,
    state: Publisher<SimState>,
}

impl Outputs {
    fn declare(s: &mut Setup<Simulator>) -> Result<Self, SetupError> {
        let q = Qos::sensor_data;
        Ok(Self {
            image: s.publisher("device/camera/image", q())?,
            depth: s.publisher("device/camera/depth", q())?,
            camera_info: s.publisher("device/camera/camera_info", q())?,
            sound: s.publisher("device/microphone", q())?,
            touch: s.publisher("device/touch", q())?,
            joints: s.publisher("device/joints", q())?,
            imu: s.publisher("device/imu", q())?,
            wrist: s.publisher("device/wrist", q())?,
            temperature: s.publisher("device/temperature", q())?,
            scan: s.publisher("device/scan", q())?,
            battery: s.publisher("device/battery", q())?,
            state: s.publisher("sim/state", Qos::reliable(10))?,
        })
    }
}

/// Parameters that simulator and scenario share, so that both draw the same mission.
pub(crate) struct WorldParams {
    pub world: crate::sdf::World,
    pub options: Options,
    pub speech: PathBuf,
}

pub(crate) fn world_params<N: Node>(s: &mut Setup<N>) -> Result<WorldParams, SetupError> {
    let world = s.param("world", "sim/worlds/home.sdf".to_owned()).describe("world file, SDF 1.9").read_only().declare()?.get();
    let seed =
        s.param("seed", 1_i64).range(0.0, 9.0e15).describe("seed of the mission and of every noise").read_only().declare()?.get();
    let speech = s
        .param("speech", "sim/assets/speech".to_owned())
        .describe("folder of recorded requests with index.yaml; empty: the request is text only")
        .read_only()
        .declare()?
        .get();
    let requests = if speech.is_empty() { Vec::new() } else { load_requests(Path::new(&speech)).map_err(|e| s.failed(e))? };
    let world = crate::sdf::load_world(Path::new(&world)).map_err(|e| s.failed(e))?;
    let options = Options { seed: seed.unsigned_abs(), requests, ..Options::default() };
    Ok(WorldParams { world, options, speech: PathBuf::from(speech) })
}

impl Node for Simulator {
    const NAME: &'static str = "simulator";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let WorldParams { world, mut options, speech } = world_params(s)?;
        let p = s.param("camera", true).describe("draw pictures").read_only().declare()?;
        options.camera = p.get();
        let rate = s
            .param("camera_rate_hz", 0.0)
            .unit("Hz")
            .range(0.0, 100.0)
            .describe("pictures a second; 0: as the world file says")
            .read_only()
            .declare()?
            .get();
        options.camera_rate_hz = (rate > 0.0).then_some(rate);
        let width = s
            .param("camera_width", 0_i64)
            .unit("px")
            .range(0.0, 4096.0)
            .describe("picture width, height follows at 4:3; 0: as the world file says")
            .read_only()
            .declare()?
            .get();
        options.camera_size = (width > 0).then(|| (width as usize, (width as usize * 3 / 4).max(1)));
        let threads =
            s.param("render_threads", 1_i64).range(1.0, 64.0).describe("threads that draw").read_only().declare()?.get();
        options.render_threads = threads.max(1) as usize;
        let charge = s
            .param("state_of_charge", -1.0)
            .range(-1.0, 1.0)
            .describe("charge at the start, 0..1; negative: from the seed")
            .read_only()
            .declare()?
            .get();
        options.state_of_charge = (charge >= 0.0).then_some(charge);
        let sim = Simulation::new(world, &options).map_err(|e| s.failed(e))?;
        let outputs = Outputs::declare(s)?;
        s.subscribe("device/cmd_vel", Qos::reliable(5), Self::on_twist)?;
        s.subscribe("device/arm", Qos::reliable(10), Self::on_arm)?;
        s.subscribe("speaker/audio", Qos::reliable(100), Self::on_speaker)?;
        s.subscribe(SAY_TOPIC, Qos::reliable(10), Self::on_say)?;
        s.timer(Duration::from_millis(10), Self::tick)?;
        Ok(Self { sim, outputs, speech })
    }
}

impl Simulator {
    fn on_twist(&mut self, _ctx: &mut Context, m: Arc<TwistStamped>) -> HandlerResult {
        self.sim.command_drive(m.twist.linear.x, m.twist.angular.z);
        Ok(())
    }

    fn on_arm(&mut self, ctx: &mut Context, m: Arc<JointTrajectory>) -> HandlerResult {
        match arm_command(&m) {
            Ok(c) if self.sim.command_arm(&c) => ctx.status(Level::Ok, "arm command", "taken"),
            Ok(_) => ctx.status(Level::Warn, "arm command", "refused: not finite, negative force, or the battery is empty"),
            Err(why) => ctx.status(Level::Warn, "arm command", why),
        }
        Ok(())
    }

    fn on_speaker(&mut self, ctx: &mut Context, m: Arc<AudioChunk>) -> HandlerResult {
        let channels = usize::from(m.channels.max(1));
        if m.sample_rate != SAMPLE_RATE {
            ctx.status(Level::Warn, "speaker", format!("{} Hz cannot be played, only {SAMPLE_RATE} Hz", m.sample_rate));
            return Ok(());
        }
        let mono: Vec<f32> = m.samples.chunks_exact(channels).map(|c| c.iter().sum::<f32>() / channels as f32).collect();
        self.sim.play(&mono);
        Ok(())
    }

    fn on_say(&mut self, _ctx: &mut Context, m: Arc<Text>) -> HandlerResult {
        let samples = load_sound(&self.speech.join(&m.data))?;
        self.sim.say(&samples);
        Ok(())
    }

    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let r = self.sim.step();
        let now = ctx.now().as_nanos();
        self.publish_body(ctx, &r, now);
        self.publish_far(ctx, r, now);
        Ok(())
    }

    fn publish_body(&self, ctx: &mut Context, r: &Readings, now: i64) {
        let o = &self.outputs;
        o.joints.publish(
            ctx,
            JointState {
                header: header("base_link", now),
                name: r.joints.names.clone(),
                position: r.joints.positions.clone(),
                velocity: r.joints.velocities.clone(),
                effort: r.joints.efforts.clone(),
            },
        );
        let mut imu = Imu {
            header: header("imu_link", now),
            angular_velocity: vector(r.imu.angular_velocity),
            linear_acceleration: vector(r.imu.linear_acceleration),
            ..Imu::default()
        };
        // sensor_msgs/Imu: -1 in the first place says that there is no orientation.
        imu.orientation_covariance[0] = -1.0;
        for i in [0, 4, 8] {
            imu.angular_velocity_covariance[i] = 4e-8;
            imu.linear_acceleration_covariance[i] = 2.9e-4;
        }
        o.imu.publish(ctx, imu);
        if let Some(w) = r.wrist {
            let mut m = WrenchStamped { header: header("wrist", now), ..WrenchStamped::default() };
            m.wrench.force = vector(w.force);
            m.wrench.torque = vector(w.torque);
            o.wrist.publish(ctx, m);
        }
        if let Some(zones) = &r.touch {
            let contacts = zones
                .iter()
                .map(|z| Contact {
                    zone: z.zone.clone(),
                    pressed: z.force >= PRESSED_N,
                    force: z.force as f32,
                    normal: vector(z.normal),
                })
                .collect();
            o.touch.publish(ctx, Contacts { header: header("base_link", now), contacts });
        }
        if let Some(t) = r.temperature {
            let m = Temperature { header: header("base_link", now), temperature: t, variance: 0.01 };
            o.temperature.publish(ctx, m);
        }
        if let Some(b) = r.battery {
            let status = match (b.charging, b.full) {
                (true, true) => BatteryState::POWER_SUPPLY_STATUS_FULL,
                (true, false) => BatteryState::POWER_SUPPLY_STATUS_CHARGING,
                _ => BatteryState::POWER_SUPPLY_STATUS_DISCHARGING,
            };
            let unknown = f32::NAN;
            o.battery.publish(
                ctx,
                BatteryState {
                    header: header("base_link", now),
                    voltage: b.voltage as f32,
                    current: b.current as f32,
                    temperature: unknown,
                    charge: unknown,
                    capacity: unknown,
                    design_capacity: unknown,
                    percentage: unknown,
                    power_supply_status: status,
                    power_supply_health: BatteryState::POWER_SUPPLY_HEALTH_GOOD,
                    power_supply_technology: BatteryState::POWER_SUPPLY_TECHNOLOGY_LION,
                    present: true,
                    ..BatteryState::default()
                },
            );
        }
    }

    fn publish_far(&self, ctx: &mut Context, r: Readings, now: i64) {
        let o = &self.outputs;
        if let Some(samples) = r.sound {
            // The header holds the time of the first sample.
            let length_ns = BLOCK as i64 * 1_000_000_000 / i64::from(SAMPLE_RATE);
            let channels = (samples.len() / BLOCK) as u16;
            let stamp = header("microphone_link", (now - length_ns).max(0));
            o.sound.publish(ctx, AudioChunk { header: stamp, sample_rate: SAMPLE_RATE, channels, samples });
        }
        if let Some(s) = r.scan {
            let last = s.ranges.len().saturating_sub(1) as f64;
            o.scan.publish(
                ctx,
                LaserScan {
                    header: header("laser", now),
                    angle_min: s.min_angle as f32,
                    angle_max: (s.min_angle + s.increment * last) as f32,
                    angle_increment: s.increment as f32,
                    time_increment: 0.0,
                    scan_time: 0.1,
                    range_min: s.min_range as f32,
                    range_max: s.max_range as f32,
                    ranges: s.ranges,
                    intensities: Vec::new(),
                },
            );
        }
        if let (Some(p), Some(camera)) = (r.picture, self.sim.camera()) {
            let image = |encoding: &str, bytes_per_pixel: usize, data: Vec<u8>| Image {
                header: header("camera_optical_frame", now),
                height: p.height as u32,
                width: p.width as u32,
                encoding: encoding.to_owned(),
                is_bigendian: 0,
                step: (p.width * bytes_per_pixel) as u32,
                data: data.into(),
            };
            let depth = image("32FC1", 4, p.depth.iter().flat_map(|z| z.to_le_bytes()).collect());
            let (f, cx, cy) = (camera.focal(), (p.width as f64 - 1.0) / 2.0, (p.height as f64 - 1.0) / 2.0);
            let info = CameraInfo {
                header: header("camera_optical_frame", now),
                height: p.height as u32,
                width: p.width as u32,
                distortion_model: "plumb_bob".to_owned(),
                d: vec![0.0; 5],
                k: [f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0],
                r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                p: [f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
                ..CameraInfo::default()
            };
            let colour = image("rgb8", 3, p.rgb);
            o.camera_info.publish(ctx, info);
            o.image.publish(ctx, colour);
            o.depth.publish(ctx, depth);
        }
        if let Some(t) = r.truth {
            o.state.publish(ctx, state_message(t, now));
        }
    }
}

fn pose_message(p: &crate::scene::Pose) -> msgs::geometry_msgs::msg::Pose {
    msgs::geometry_msgs::msg::Pose {
        position: spatial::convert::point(p.position),
        orientation: spatial::convert::quaternion(p.orientation),
    }
}

fn state_message(t: Truth, now: i64) -> SimState {
    let mut m = SimState {
        header: header("map", now),
        robot_pose: pose_message(&t.robot),
        robot_room: t.room,
        held: t.held,
        collisions: t.collisions,
        worst_collision_speed: t.worst_collision_speed as f32,
        distance: t.distance as f32,
        docked: t.docked,
        charge_wh: t.charge_wh as f32,
        state_hash: t.state_hash,
        ..SimState::default()
    };
    m.robot_twist.linear = vector(t.velocity.0);
    m.robot_twist.angular = vector(t.velocity.1);
    m.objects = t
        .objects
        .into_iter()
        .map(|(name, label, room, pose)| SimObject { name, label, room, pose: pose_message(&pose) })
        .collect();
    for (consumer, wh) in t.consumed_wh {
        m.consumers.push(consumer);
        m.consumed_wh.push(wh as f32);
    }
    m
}

/// The last point of a trajectory of lift_joint, extend_joint and gripper (opening in m, effort the closing force in N).
fn arm_command(m: &JointTrajectory) -> Result<ArmCommand, String> {
    let Some(point) = m.points.last() else { return Err("a trajectory without points".to_owned()) };
    if point.positions.len() != m.joint_names.len() {
        return Err(format!("{} joints and {} positions", m.joint_names.len(), point.positions.len()));
    }
    let mut c = ArmCommand::default();
    for (i, (name, position)) in m.joint_names.iter().zip(&point.positions).enumerate() {
        match name.as_str() {
            "lift_joint" => c.lift = Some(*position),
            "extend_joint" => c.extend = Some(*position),
            "gripper" => {
                c.opening = Some(*position);
                c.force = point.effort.get(i).copied();
            }
            other => return Err(format!("no joint {other:?}: lift_joint, extend_joint and gripper are there")),
        }
    }
    Ok(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::ParamValue;
    use graph::testing::Bench;
    use msgs::trajectory_msgs::msg::JointTrajectoryPoint;

    fn here(path: &str) -> ParamValue {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string().into()
    }

    fn bench(camera: bool) -> Bench {
        let mut b = Bench::new();
        b.add::<Simulator>(&[
            ("world", here("worlds/home.sdf")),
            ("speech", "".into()),
            ("camera", camera.into()),
            ("camera_width", 160_i64.into()),
        ])
        .unwrap();
        b
    }

    #[test]
    fn every_device_speaks_at_its_rate() {
        let mut b = bench(true);
        b.run_for(Duration::from_secs(1));
        assert_eq!(b.take::<JointState>("device/joints").len(), 100);
        assert_eq!(b.take::<Imu>("device/imu").len(), 100);
        assert_eq!(b.take::<Contacts>("device/touch").len(), 50);
        assert_eq!(b.take::<WrenchStamped>("device/wrist").len(), 50);
        let sound = b.take::<AudioChunk>("device/microphone");
        assert_eq!((sound.len(), sound[0].channels, sound[0].samples.len()), (50, 2, 640));
        let scans = b.take::<LaserScan>("device/scan");
        assert_eq!((scans.len(), scans[0].ranges.len()), (10, 360));
        assert_eq!(b.take::<BatteryState>("device/battery").len(), 10);
        assert_eq!(b.take::<Temperature>("device/temperature").len(), 1);
        let (image, depth) = (b.take::<Image>("device/camera/image"), b.take::<Image>("device/camera/depth"));
        assert_eq!((image.len(), depth.len()), (5, 5));
        assert_eq!((image[0].data.len(), depth[0].data.len()), (160 * 120 * 3, 160 * 120 * 4));
        assert_eq!(b.take::<CameraInfo>("device/camera/camera_info").len(), 5);
        assert_eq!(b.take::<SimState>("sim/state").len(), 10);
    }

    #[test]
    fn commands_move_the_robot_and_the_arm() {
        let mut b = bench(false);
        b.run_for(Duration::from_millis(300));
        let before = b.take::<SimState>("sim/state").last().unwrap().distance;
        b.publish(
            "device/arm",
            JointTrajectory {
                joint_names: vec!["lift_joint".into(), "gripper".into()],
                points: vec![JointTrajectoryPoint { positions: vec![0.1, 0.08], effort: vec![0.0, 5.0], ..Default::default() }],
                ..Default::default()
            },
        );
        for _ in 0..20 {
            let mut m = TwistStamped::default();
            m.twist.angular.z = 0.5;
            b.publish("device/cmd_vel", m);
            b.run_for(Duration::from_millis(100));
        }
        let joints = b.take::<JointState>("device/joints");
        let last = joints.last().unwrap();
        assert!((last.position[2] - 0.1).abs() < 0.005, "{last:?}");
        assert!((last.position[4] + last.position[5] - 0.08).abs() < 0.005, "{last:?}");
        assert!(last.velocity[1] > 0.5 && last.velocity[0] < -0.5, "{last:?}");
        let state = b.take::<SimState>("sim/state");
        assert!(state.last().unwrap().robot_twist.angular.z > 0.4);
        assert!(state.last().unwrap().distance - before < 0.05);
    }

    #[test]
    fn a_wrong_joint_name_is_said_and_does_nothing() {
        let mut b = bench(false);
        let point = JointTrajectoryPoint { positions: vec![0.1], ..Default::default() };
        b.publish("device/arm", JointTrajectory { joint_names: vec!["elbow".into()], points: vec![point], ..Default::default() });
        b.run_for(Duration::from_millis(50));
        let (level, text) = b.status("simulator", "arm command").unwrap();
        assert!(level == Level::Warn && text.contains("elbow"), "{text}");
    }

    #[test]
    fn a_missing_world_is_a_clear_error() {
        let e = Bench::new().add::<Simulator>(&[("world", "nowhere.sdf".into()), ("speech", "".into())]).unwrap_err();
        assert!(e.to_string().contains("nowhere.sdf"), "{e}");
    }
}
