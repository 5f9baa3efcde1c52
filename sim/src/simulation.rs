//! The whole simulator as one plain struct: commands in, ten milliseconds, readings out.

use crate::build_scene::scene_of;
use crate::mission::{self, Mission, MissionError, Request};
use crate::noise::Noise;
use crate::physics::{ArmCommand, BuildError, Physics, Wrench};
use crate::render::{CameraPose, Intrinsics, Renderer};
use crate::scene::{Camera, Pose};
use crate::sdf::{GaussianNoise, Sensor, SensorKind, TouchZone, World};
use crate::sensors::battery::{Battery, BatteryReading};
use crate::sensors::imu::Imu;
use crate::sensors::microphone::MicrophoneArray;
use crate::sensors::sound::{SPEAKER_GAIN, SPEECH_GAIN, Source};
use crate::sensors::{ImuReading, JointReading, PictureReading, ScanReading, TouchReading, joints, lidar, touch};
use glam::DVec3;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Length of one step of the simulation, s.
pub const TICK_S: f64 = 0.01;
/// Contact of dock and robot: greatest offset (m) and turn (rad).
const DOCK_OFFSET_M: f64 = 0.03;
const DOCK_TURN_RAD: f64 = 6.0 * std::f64::consts::PI / 180.0;
/// Air of the home, degrees Celsius.
const AMBIENT_C: f64 = 21.5;

/// What may be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of everything random.
    pub seed: u64,
    /// Draw pictures; without, the camera gives none.
    pub camera: bool,
    /// Pictures a second; none: as the world says.
    pub camera_rate_hz: Option<f64>,
    /// Picture size, columns and rows; none: as the world says.
    pub camera_size: Option<(usize, usize)>,
    /// Threads that draw.
    pub render_threads: usize,
    /// Charge at the start, 0..1; none: from the seed.
    pub state_of_charge: Option<f64>,
    /// Recorded requests to choose from.
    pub requests: Vec<Request>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            camera: true,
            camera_rate_hz: None,
            camera_size: None,
            render_threads: 1,
            state_of_charge: None,
            requests: Vec::new(),
        }
    }
}

/// Why a simulation cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The world cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The world gives no mission.
    #[error(transparent)]
    Mission(#[from] MissionError),
    /// The robot lacks a sensor or its battery.
    #[error("the robot has no {0}")]
    Lacking(&'static str),
}

/// Where everything really is: for judging, never for the robot.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// base_link in the world.
    pub robot: Pose,
    /// In the world, m/s and rad/s.
    pub velocity: (DVec3, DVec3),
    /// Room of the robot, empty outside every room.
    pub room: String,
    /// Name, label, room, pose per object.
    pub objects: Vec<(String, String, String, Pose)>,
    /// Name of the object that is held, or empty.
    pub held: String,
    /// Bumps so far.
    pub collisions: u32,
    /// m/s.
    pub worst_collision_speed: f64,
    /// m.
    pub distance: f64,
    /// True while the charge contacts touch.
    pub docked: bool,
    /// Wh.
    pub charge_wh: f64,
    /// Consumer and Wh so far.
    pub consumed_wh: Vec<(String, f64)>,
    /// See [`Simulation::state_hash`].
    pub state_hash: u64,
}

/// What became due in a step.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// 100 Hz.
    pub joints: JointReading,
    /// 100 Hz.
    pub imu: ImuReading,
    /// 50 Hz.
    pub wrist: Option<Wrench>,
    /// 50 Hz.
    pub touch: Option<Vec<TouchReading>>,
    /// 50 Hz: 20 ms, interleaved, that end now.
    pub sound: Option<Vec<f32>>,
    /// 10 Hz.
    pub scan: Option<ScanReading>,
    /// 10 Hz.
    pub battery: Option<BatteryReading>,
    /// 10 Hz.
    pub truth: Option<Truth>,
    /// 1 Hz, degrees Celsius.
    pub temperature: Option<f64>,
    /// As the camera's rate says.
    pub picture: Option<PictureReading>,
}

struct Eye {
    renderer: Renderer,
    camera: Camera,
    pose: Pose,
    noise: GaussianNoise,
    rng: Pcg64Mcg,
    every: u64,
}

/// The simulator.
pub struct Simulation {
    world: World,
    mission: Mission,
    physics: Physics,
    tick: u64,
    imu: Imu,
    lidar: Sensor,
    zones: Vec<TouchZone>,
    microphones: MicrophoneArray,
    /// Voice, speaker, motors, then the appliances.
    sources: Vec<Source>,
    eye: Option<Eye>,
    battery: Battery,
    constant_w: Vec<f64>,
    last_energy_j: (f64, f64),
    temperature_c: f64,
    noise: [Noise; 5],
}

const VOICE: usize = 0;
const SPEAKER: usize = 1;
const MOTORS: usize = 2;

impl Simulation {
    /// Builds the world and everything that the seed decides.
    ///
    /// # Errors
    /// [`SimulationError`] where the world lacks what a robot needs.
    pub fn new(world: World, options: &Options) -> Result<Self, SimulationError> {
        let seed = options.seed;
        let mission = mission::draw(&world, &options.requests, seed)?;
        let mut physics = Physics::new(&world, seed)?;
        for (name, pose) in &mission.placements {
            if let Some(i) = physics.objects.iter().position(|o| o.name == *name) {
                physics.place_object(i, pose);
            }
        }
        physics.place_robot(&mission.start);
        let robot = world.robot().ok_or(SimulationError::Lacking("drive"))?;
        let sensor =
            |wanted: fn(&SensorKind) -> bool| robot.links.iter().flat_map(|l| &l.sensors).find(|s| wanted(&s.kind)).cloned();
        let lidar = sensor(|k| matches!(k, SensorKind::Lidar { .. })).ok_or(SimulationError::Lacking("lidar"))?;
        let imu = match sensor(|k| matches!(k, SensorKind::Imu { .. })).map(|s| s.kind) {
            Some(SensorKind::Imu { gyro, accelerometer }) => Imu::new(gyro, accelerometer, Noise::new(seed, "imu")),
            _ => return Err(SimulationError::Lacking("imu")),
        };
        let eye = match sensor(|k| matches!(k, SensorKind::Camera { .. })) {
            Some(s) if options.camera => Some(eye(&world, s, options)),
            Some(_) => None,
            None => return Err(SimulationError::Lacking("camera")),
        };
        let mut consumers: Vec<&str> = robot.power_w.iter().map(|p| p.0.as_str()).collect();
        consumers.extend(["drive", "arm"]);
        let charge = options.state_of_charge.unwrap_or(mission.state_of_charge);
        let spec = robot.battery.clone().ok_or(SimulationError::Lacking("battery"))?;
        let mut sources = vec![
            Source::player(mission.voice, SPEECH_GAIN),
            Source::player(DVec3::ZERO, SPEAKER_GAIN),
            Source::motors(46.0, Noise::new(seed, "motors")),
        ];
        sources.extend(world.noises.iter().enumerate().map(|(i, n)| {
            let mut noise = Noise::new(seed, &format!("appliance {i}"));
            let level = n.level_db + noise.between(-4.0, 2.0);
            Source::appliance(n.kind, n.position, level, noise)
        }));
        let named = |name| Noise::new(seed, name);
        Ok(Self {
            imu,
            lidar,
            zones: robot.links.iter().flat_map(|l| l.touch.clone()).collect(),
            microphones: MicrophoneArray::new(
                robot.links.iter().flat_map(|l| l.microphones.clone()).collect(),
                named("microphones"),
            ),
            sources,
            eye,
            battery: Battery::new(spec, charge, &consumers),
            constant_w: robot.power_w.iter().map(|p| p.1).collect(),
            last_energy_j: (0.0, 0.0),
            temperature_c: AMBIENT_C + 4.0,
            noise: [named("encoders"), named("lidar"), named("wrist"), named("temperature"), named("battery")],
            tick: 0,
            world,
            mission,
            physics,
        })
    }

    /// The mission that the seed drew.
    pub fn mission(&self) -> &Mission {
        &self.mission
    }

    /// The world as it was loaded.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The mechanics, to look at.
    pub fn physics(&self) -> &Physics {
        &self.physics
    }

    /// The mechanics, to arrange things before the start.
    pub fn physics_mut(&mut self) -> &mut Physics {
        &mut self.physics
    }

    /// The camera's optics, where pictures are drawn.
    pub fn camera(&self) -> Option<&Camera> {
        self.eye.as_ref().map(|e| &e.camera)
    }

    /// Time since the start, s.
    pub fn time_s(&self) -> f64 {
        self.tick as f64 * TICK_S
    }

    /// Forward m/s and turn rad/s; holds for half a second.
    pub fn command_drive(&mut self, linear: f64, angular: f64) {
        if !self.battery.is_empty() {
            self.physics.command_drive(linear, angular);
        }
    }

    /// See [`Physics::command_arm`].
    pub fn command_arm(&mut self, command: &ArmCommand) -> bool {
        !self.battery.is_empty() && self.physics.command_arm(command)
    }

    /// Lets the person of the mission say something: 16 kHz mono samples.
    pub fn say(&mut self, samples: &[f32]) {
        self.sources[VOICE].push(samples.iter().copied());
    }

    /// True while the person speaks.
    pub fn is_speaking(&self) -> bool {
        self.sources[VOICE].is_playing()
    }

    /// Plays samples of 16 kHz mono through the robot's own speaker.
    pub fn play(&mut self, samples: &[f32]) {
        self.sources[SPEAKER].push(samples.iter().copied());
    }

    /// Lets [`TICK_S`] pass.
    pub fn step(&mut self) -> Readings {
        let steps = (TICK_S / self.physics.dt).round().max(1.0) as usize;
        for _ in 0..steps {
            self.physics.step();
        }
        self.tick += 1;
        self.energy_step();
        let pose = self.physics.base_pose();
        let (linear, angular) = self.physics.base_velocity();
        let gravity = self.world.gravity;
        let mut out = Readings {
            joints: joints::read(&self.physics.joints(), &mut self.noise[0]),
            imu: self.imu.sample(TICK_S, &pose, linear, angular, gravity),
            ..Readings::default()
        };
        let due = |every: u64| self.tick.is_multiple_of(every);
        let (fifty, ten, one) = (due(2), due(10), due(100));
        let seen = self.eye.as_ref().is_some_and(|e| self.tick.is_multiple_of(e.every));
        if fifty {
            out.wrist = Some(self.wrist());
            let (base, fingers) = self.physics.take_touches();
            out.touch = Some(touch::read(&self.zones, &base, fingers));
            out.sound = Some(self.hear(&pose));
        }
        if ten {
            out.scan = Some(lidar::scan(&self.physics, &self.lidar, &mut self.noise[1]));
            out.battery = Some(self.measure_battery());
            out.truth = Some(self.truth());
        }
        if one {
            out.temperature = Some(self.temperature_c + self.noise[3].gaussian(0.1));
        }
        if seen {
            out.picture = self.look(&pose);
        }
        out
    }

    fn energy_step(&mut self) {
        let (drive, arm) = self.physics.energy_j();
        let moved = [(drive - self.last_energy_j.0) / TICK_S, (arm - self.last_energy_j.1) / TICK_S];
        self.last_energy_j = (drive, arm);
        let docked = self.docked();
        let draws: Vec<f64> = if self.battery.is_empty() && !docked {
            vec![0.0; self.constant_w.len() + 2]
        } else {
            self.constant_w.iter().copied().chain(moved).collect()
        };
        self.battery.step(TICK_S, &draws, docked);
        // A case of 300 J/K that gives 1 W/K to the air.
        let heat: f64 = draws.iter().sum::<f64>() - (self.temperature_c - AMBIENT_C);
        self.temperature_c += heat * TICK_S / 300.0;
        if self.battery.is_empty() {
            self.physics.command_drive(0.0, 0.0);
        }
    }

    fn wrist(&mut self) -> Wrench {
        let w = self.physics.wrench();
        let n = &mut self.noise[2];
        let mut jitter = |sigma| DVec3::new(n.gaussian(sigma), n.gaussian(sigma), n.gaussian(sigma));
        Wrench { force: w.force + jitter(0.05), torque: w.torque + jitter(0.005) }
    }

    fn hear(&mut self, pose: &Pose) -> Vec<f32> {
        self.sources[SPEAKER].position = pose.transform(DVec3::new(0.05, 0.0, 0.25));
        self.sources[MOTORS].position = pose.transform(DVec3::new(0.0, 0.0, 0.06));
        let activity = self.physics.motor_activity();
        for s in &mut self.sources {
            s.advance(activity);
        }
        self.microphones.hear(&self.physics, &self.sources)
    }

    fn measure_battery(&mut self) -> BatteryReading {
        let mut r = self.battery.reading();
        r.voltage += self.noise[4].gaussian(0.01);
        r.current += self.noise[4].gaussian(0.01);
        r
    }

    fn look(&mut self, base: &Pose) -> Option<PictureReading> {
        let poses = self.physics.body_poses();
        let eye = self.eye.as_mut()?;
        let link = base.then(&eye.pose);
        let intrinsics = Intrinsics::from_hfov(eye.camera.width, eye.camera.height, eye.camera.horizontal_fov);
        let frame = eye.renderer.render(&intrinsics, &CameraPose::from_link(link.position, link.orientation), &poses);
        let mut picture =
            PictureReading { width: frame.width, height: frame.height, rgb: frame.rgb.clone(), depth: frame.depth.clone() };
        sensor_noise(&mut picture, &eye.camera, eye.noise, &mut eye.rng);
        Some(picture)
    }

    /// True while the robot stands in the dock within the contacts' tolerance.
    pub fn docked(&self) -> bool {
        self.world.dock.is_some_and(|dock| {
            let offset = dock.inverse().then(&self.physics.base_pose());
            offset.position.truncate().abs().max_element() <= DOCK_OFFSET_M && offset.yaw().abs() <= DOCK_TURN_RAD
        })
    }

    /// The state of charge, 0..1.
    pub fn state_of_charge(&self) -> f64 {
        self.battery.state_of_charge()
    }

    /// Where everything is.
    pub fn truth(&self) -> Truth {
        let robot = self.physics.base_pose();
        let room = |p: DVec3| self.world.room_at(p.truncate()).to_owned();
        let objects = &self.physics.objects;
        let collisions = self.physics.collisions();
        Truth {
            room: room(robot.position),
            robot,
            velocity: self.physics.base_velocity(),
            objects: objects
                .iter()
                .enumerate()
                .map(|(i, o)| {
                    let pose = self.physics.object_pose(i);
                    (o.name.clone(), o.label.clone(), room(pose.position), pose)
                })
                .collect(),
            held: self.physics.held().map_or(String::new(), |i| objects[i].name.clone()),
            collisions: collisions.count,
            worst_collision_speed: collisions.worst_speed,
            distance: self.physics.distance(),
            docked: self.docked(),
            charge_wh: self.battery.charge_wh(),
            consumed_wh: self.battery.consumed_wh().to_vec(),
            state_hash: self.state_hash(),
        }
    }

    /// Hash of the physical state and the charge: equal seeds and equal commands give equal hashes, bit for bit.
    pub fn state_hash(&self) -> u64 {
        self.physics.state_hash() ^ self.battery.charge_wh().to_bits().rotate_left(17)
    }
}

fn eye(world: &World, sensor: Sensor, options: &Options) -> Eye {
    let (mut camera, noise) = match sensor.kind {
        SensorKind::Camera { camera, noise } => (camera, noise),
        // The caller asks for cameras only.
        _ => (Camera { width: 1, height: 1, horizontal_fov: 1.0, near: 0.05, far: 10.0 }, GaussianNoise::default()),
    };
    if let Some((width, height)) = options.camera_size {
        (camera.width, camera.height) = (width.max(1), height.max(1));
    }
    let rate = options.camera_rate_hz.filter(|r| *r > 0.0).unwrap_or(sensor.update_rate);
    let mut renderer = Renderer::new(&scene_of(world));
    renderer.set_threads(options.render_threads.max(1));
    Eye {
        renderer,
        camera,
        pose: sensor.pose,
        noise,
        rng: Pcg64Mcg::seed_from_u64(options.seed ^ 0x0063_616d_6572_6100),
        every: (1.0 / (rate * TICK_S)).round().max(1.0) as u64,
    }
}

// Colour: white noise, as the sum of two uniform bytes. Depth: grows with the square of the distance (structured light and
// stereo alike); outside near..far it is NaN (REP 118).
fn sensor_noise(picture: &mut PictureReading, camera: &Camera, noise: GaussianNoise, rng: &mut Pcg64Mcg) {
    // The sum of two bytes has a deviation of 104.5.
    let scale = (noise.stddev * 255.0 / 104.5 * 256.0) as i32;
    for chunk in picture.rgb.chunks_mut(4) {
        let bits = rng.next_u64().to_le_bytes();
        for (c, pair) in chunk.iter_mut().zip(bits.chunks_exact(2)) {
            let n = i32::from(pair[0]) + i32::from(pair[1]) - 255;
            *c = (i32::from(*c) + ((n * scale + 128) >> 8)).clamp(0, 255) as u8;
        }
    }
    let (near, far) = (camera.near as f32, camera.far as f32);
    for chunk in picture.depth.chunks_mut(4) {
        let bits = rng.next_u64().to_le_bytes();
        for (z, pair) in chunk.iter_mut().zip(bits.chunks_exact(2)) {
            let n = (i32::from(pair[0]) + i32::from(pair[1]) - 255) as f32 / 104.5;
            *z = if *z >= near && *z <= far { *z + 0.0012 * *z * *z * n } else { f32::NAN };
        }
    }
}
