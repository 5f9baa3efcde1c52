//! What a world file says, as plain data.

use crate::scene::{Camera, Light, Pose, Shape};
use glam::{DVec2, DVec3};
use std::collections::BTreeMap;

/// A world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// Its name.
    pub name: String,
    /// m/s2.
    pub gravity: DVec3,
    /// Physics step, s.
    pub step_s: f64,
    /// Light from everywhere, linear 0..1.
    pub ambient: [f32; 3],
    /// Background colour, linear 0..1.
    pub background: [f32; 3],
    /// Lights.
    pub lights: Vec<Light>,
    /// Models, includes resolved, in the order of the file.
    pub models: Vec<Model>,
    /// `<omni:room>`
    pub rooms: Vec<Room>,
    /// `<omni:dock>`: base_link when docked.
    pub dock: Option<Pose>,
    /// `<omni:surface>`
    pub surfaces: Vec<Surface>,
    /// `<omni:start>`
    pub start: Option<Start>,
    /// `<omni:voice>`: where a person may speak from, m.
    pub voices: Vec<DVec3>,
    /// `<omni:noise>`
    pub noises: Vec<Noise>,
}

impl World {
    /// The model that has wheels: the robot.
    pub fn robot(&self) -> Option<&Model> {
        self.models.iter().find(|m| m.plugin(DIFF_DRIVE).is_some())
    }

    /// Name of the room that a point on the floor lies in; empty outside every room.
    pub fn room_at(&self, point: DVec2) -> &str {
        self.rooms.iter().find(|r| r.contains(point)).map_or("", |r| r.name.as_str())
    }
}

/// The plugin that makes a model a robot.
pub const DIFF_DRIVE: &str = "gz-sim-diff-drive-system";

/// A room: a polygon on the floor.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// Identifier, e.g. "living_room".
    pub name: String,
    /// Spoken, e.g. "living room".
    pub label: String,
    /// Corners in order, m.
    pub polygon: Vec<DVec2>,
}

impl Room {
    /// True for a point inside (even-odd rule).
    pub fn contains(&self, p: DVec2) -> bool {
        let mut inside = false;
        let n = self.polygon.len();
        for i in 0..n {
            let (a, b) = (self.polygon[i], self.polygon[(i + n - 1) % n]);
            if (a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x {
                inside = !inside;
            }
        }
        inside
    }
}

/// A top that things may stand on, reached over one free edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Surface {
    /// Identifier.
    pub name: String,
    /// Name of the room.
    pub room: String,
    /// Spoken.
    pub label: String,
    /// Middle of the free edge, m.
    pub edge: DVec2,
    /// Heading of a robot that faces the edge, rad.
    pub yaw: f64,
    /// Of the top above the floor, m.
    pub height: f64,
    /// Length of the free edge, m.
    pub width: f64,
}

impl Surface {
    /// A point `inside` metres beyond the edge and `left` metres to the left of a robot that faces it.
    pub fn at(&self, inside: f64, left: f64) -> DVec2 {
        let forward = DVec2::from_angle(self.yaw);
        self.edge + forward * inside + forward.perp() * left
    }
}

/// Where the robot begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Nominal pose.
    pub pose: Pose,
    /// Greatest offset in x and in y, m.
    pub spread: f64,
}

/// A sounding appliance.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// fridge, television or fan.
    pub kind: NoiseKind,
    /// Where, m.
    pub position: DVec3,
    /// Sound pressure level at 1 m, dB.
    pub level_db: f64,
}

/// What an appliance sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseKind {
    /// A compressor: 50 Hz and its harmonics.
    Fridge,
    /// Babble: band-limited noise with a syllable rate.
    Television,
    /// Low-passed noise.
    Fan,
}

/// A model: links and joints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Unique name.
    pub name: String,
    /// `<omni:label>`: what a person calls it.
    pub label: Option<String>,
    /// `<omni:spawn>`: its pose is drawn from the seed.
    pub spawn: bool,
    /// True if nothing moves it.
    pub is_static: bool,
    /// In the world.
    pub pose: Pose,
    /// Links.
    pub links: Vec<Link>,
    /// Joints.
    pub joints: Vec<Joint>,
    /// Plugins.
    pub plugins: Vec<Plugin>,
    /// `<omni:battery>`
    pub battery: Option<Battery>,
    /// `<omni:power>`: constant draw per consumer, W, in the order of the file.
    pub power_w: Vec<(String, f64)>,
}

impl Model {
    /// The first plugin of this file name.
    pub fn plugin(&self, filename: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|p| p.filename == filename)
    }

    /// The link of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.name == name)
    }

    /// The joint of this name.
    pub fn joint(&self, name: &str) -> Option<&Joint> {
        self.joints.iter().find(|j| j.name == name)
    }
}

/// A rigid link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// Unique in its model.
    pub name: String,
    /// In the model's frame (`relative_to` resolved).
    pub pose: Pose,
    /// Mass and inertia; none: from SDF's default (1 kg).
    pub inertial: Inertial,
    /// What it bumps with.
    pub collisions: Vec<Collision>,
    /// What it looks like.
    pub visuals: Vec<Visual>,
    /// What it senses.
    pub sensors: Vec<Sensor>,
    /// `<omni:touch>`
    pub touch: Vec<TouchZone>,
    /// `<omni:microphone>`: positions in the link's frame, m.
    pub microphones: Vec<DVec3>,
}

/// Mass properties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inertial {
    /// Centre of mass in the link's frame (rotation is not honoured and must be zero).
    pub centre: DVec3,
    /// kg.
    pub mass: f64,
    /// Principal moments, kg m2.
    pub moments: DVec3,
}

impl Default for Inertial {
    fn default() -> Self {
        Self { centre: DVec3::ZERO, mass: 1.0, moments: DVec3::ONE }
    }
}

/// A solid for contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Collision {
    /// Unique in its link.
    pub name: String,
    /// In the link's frame.
    pub pose: Pose,
    /// Geometry.
    pub shape: Shape,
    /// Coulomb coefficient.
    pub friction: f64,
}

/// A solid for looking at.
#[derive(Clone, Debug, PartialEq)]
pub struct Visual {
    /// Unique in its link.
    pub name: String,
    /// In the link's frame.
    pub pose: Pose,
    /// Geometry; a procedural mesh where `<omni:mesh>` names one.
    pub shape: Shape,
    /// Linear 0..1.
    pub colour: [f32; 3],
    /// `<omni:look>`
    pub look: String,
}

/// How a joint moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JointKind {
    /// Slides.
    Prismatic,
    /// Turns without end.
    Continuous,
    /// Does not move.
    Fixed,
}

/// A joint.
#[derive(Clone, Debug, PartialEq)]
pub struct Joint {
    /// Unique in its model.
    pub name: String,
    /// How it moves.
    pub kind: JointKind,
    /// Link.
    pub parent: String,
    /// Link.
    pub child: String,
    /// Unit vector in the child's frame.
    pub axis: DVec3,
    /// m.
    pub lower: f64,
    /// m.
    pub upper: f64,
    /// N or Nm.
    pub effort: f64,
    /// m/s or rad/s.
    pub velocity: f64,
}

/// A plugin and its plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Library.
    pub filename: String,
    /// Class.
    pub name: String,
    /// Leaf elements.
    pub values: BTreeMap<String, String>,
}

/// A sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// Unique in its link.
    pub name: String,
    /// In the link's frame.
    pub pose: Pose,
    /// Hz.
    pub update_rate: f64,
    /// What it measures.
    pub kind: SensorKind,
}

/// What a sensor measures.
#[derive(Clone, Debug, PartialEq)]
pub enum SensorKind {
    /// Turn rates and accelerations.
    Imu {
        /// rad/s.
        gyro: GaussianNoise,
        /// m/s2.
        accelerometer: GaussianNoise,
    },
    /// A scanning range finder.
    Lidar {
        /// Beams.
        samples: usize,
        /// First beam, rad.
        min_angle: f64,
        /// Last beam, rad.
        max_angle: f64,
        /// m.
        min_range: f64,
        /// m.
        max_range: f64,
        /// m.
        noise: GaussianNoise,
    },
    /// Colour and depth.
    Camera {
        /// The optics.
        camera: Camera,
        /// Of the colour, 0..1.
        noise: GaussianNoise,
    },
    /// Touch, by the named collision.
    Contact {
        /// Name of the collision in the same link.
        collision: String,
    },
    /// Force and torque between the link and its parent.
    ForceTorque,
}

/// White noise and a constant bias drawn once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GaussianNoise {
    /// Standard deviation of the white part.
    pub stddev: f64,
    /// Standard deviation of the bias.
    pub bias_stddev: f64,
}

/// A touch zone.
#[derive(Clone, Debug, PartialEq)]
pub struct TouchZone {
    /// e.g. "bumper_left".
    pub zone: String,
    /// Bearings that it covers, counter-clockwise, rad; none: the whole link.
    pub sector: Option<(f64, f64)>,
}

/// A battery pack.
#[derive(Clone, Debug, PartialEq)]
pub struct Battery {
    /// Wh.
    pub capacity_wh: f64,
    /// V.
    pub nominal_v: f64,
    /// Ohm.
    pub resistance_ohm: f64,
    /// Power that the dock feeds in, W.
    pub charge_w: f64,
    /// State of charge to open circuit voltage, V, ascending from 0 to 1.
    pub ocv: Vec<(f64, f64)>,
}
