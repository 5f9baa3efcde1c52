//! The robot's senses, made from the physics' truth: noise, quantisation, bias, range and rate are theirs.

pub mod battery;
pub mod imu;
pub mod joints;
pub mod lidar;
pub mod microphone;
pub mod sound;
pub mod touch;

use glam::DVec3;

/// Joint states as the encoders give them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JointReading {
    /// Names, wheels first.
    pub names: Vec<String>,
    /// rad or m.
    pub positions: Vec<f64>,
    /// rad/s or m/s.
    pub velocities: Vec<f64>,
    /// Nm or N.
    pub efforts: Vec<f64>,
}

/// Turn rate and specific force in base_link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImuReading {
    /// rad/s.
    pub angular_velocity: DVec3,
    /// m/s2, gravity included: upward 9.81 at rest.
    pub linear_acceleration: DVec3,
}

/// One turn of the lidar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanReading {
    /// Bearing of the first beam, rad.
    pub min_angle: f64,
    /// Between beams, rad.
    pub increment: f64,
    /// m.
    pub min_range: f64,
    /// m.
    pub max_range: f64,
    /// m; infinite where nothing answered.
    pub ranges: Vec<f32>,
}

/// One touch zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TouchReading {
    /// e.g. "bumper_left".
    pub zone: String,
    /// N.
    pub force: f64,
    /// From what is touched towards the robot, in base_link, unit vector; zero where nothing is touched.
    pub normal: DVec3,
}

/// A picture with depth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureReading {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// rgb8, row by row.
    pub rgb: Vec<u8>,
    /// m along the optical axis, row by row; 0 where nothing is seen.
    pub depth: Vec<f32>,
}
