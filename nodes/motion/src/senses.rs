//! What motion knows from outside at one moment, free of message types.

use std::sync::Arc;

use glam::{DVec2, DVec3};
use spatial::Pose2;

/// One turn of the lidar. Bearings are in the laser frame: 0 forward, counter-clockwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    /// When it was taken, ns of the graph's clock.
    pub stamp_ns: i64,
    /// Bearing of the first beam, rad.
    pub angle_min: f64,
    /// Bearing between two beams, rad.
    pub angle_increment: f64,
    /// Nearest distance that counts, m.
    pub range_min: f64,
    /// Farthest distance that counts, m.
    pub range_max: f64,
    /// Distances, m; anything outside the two limits (and NaN, infinity) is no return.
    pub ranges: Vec<f32>,
}

impl Scan {
    /// Bearing (rad) and distance (m) of every beam that has a return.
    pub fn returns(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.beams().filter_map(|(bearing, range)| range.map(|range| (bearing, range)))
    }

    /// Bearing (rad) of every beam and its distance (m), if it has a return.
    pub fn beams(&self) -> impl Iterator<Item = (f64, Option<f64>)> + '_ {
        self.ranges.iter().enumerate().map(|(i, range)| {
            let range = f64::from(*range);
            let valid = range.is_finite() && range >= self.range_min && range <= self.range_max;
            (self.angle_min + i as f64 * self.angle_increment, valid.then_some(range))
        })
    }

    /// The returns as points in base_link, for a laser `laser_x` (m) ahead of it.
    pub fn points(&self, laser_x: f64) -> Vec<DVec2> {
        self.returns().map(|(bearing, range)| DVec2::from_angle(bearing) * range + DVec2::new(laser_x, 0.0)).collect()
    }

    /// Nearest return (m) between two bearings (rad) around forward; None without one.
    pub fn nearest(&self, half_angle: f64) -> Option<f64> {
        self.returns()
            .filter(|(bearing, _)| spatial::angle::wrap(*bearing).abs() <= half_angle)
            .map(|(_, range)| range)
            .reduce(f64::min)
    }
}

/// Positions of the arm's joints, m.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Joints {
    /// lift_joint.
    pub lift: f64,
    /// extend_joint.
    pub extend: f64,
    /// finger_left_joint.
    pub finger_left: f64,
    /// finger_right_joint.
    pub finger_right: f64,
}

impl Joints {
    /// Opening width of the gripper, m.
    pub fn opening(&self) -> f64 {
        self.finger_left + self.finger_right
    }
}

/// Which touch zones are pressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    /// Bumper, left.
    pub left: bool,
    /// Bumper, centre.
    pub center: bool,
    /// Bumper, right.
    pub right: bool,
    /// Bumper, rear.
    pub rear: bool,
    /// Left finger.
    pub finger_left: bool,
    /// Right finger.
    pub finger_right: bool,
}

impl Touch {
    /// Whether the front half of the bumper is pressed.
    pub fn front(&self) -> bool {
        self.left || self.center || self.right
    }

    /// Whether a finger touches something.
    pub fn any_finger(&self) -> bool {
        self.finger_left || self.finger_right
    }

    /// Whether both fingers touch something.
    pub fn both_fingers(&self) -> bool {
        self.finger_left && self.finger_right
    }
}

/// An object as fusion believes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Believed {
    /// What it is called.
    pub label: String,
    /// Where it is, map frame, m.
    pub position: DVec3,
    /// Size, m (zero: unknown).
    pub size: DVec3,
    /// Probability that it is there.
    pub confidence: f64,
    /// When it was last seen, s of the graph's clock.
    pub last_seen_s: f64,
    /// Whether the robot holds it.
    pub held: bool,
}

/// Everything motion knows at one tick.
#[derive(Clone, Debug, Default)]
pub struct Senses {
    /// Time, s of the graph's clock.
    pub now_s: f64,
    /// Pose of base_link in odom and its stamp (ns).
    pub odom: Option<(i64, Pose2)>,
    /// Measured forward speed, m/s.
    pub speed: f64,
    /// Measured turn rate, rad/s.
    pub turn_rate: f64,
    /// The newest scan.
    pub scan: Option<Arc<Scan>>,
    /// Arm joints, once heard.
    pub joints: Option<Joints>,
    /// Touch.
    pub touch: Touch,
    /// Force at the wrist, N, wrist frame.
    pub wrist_force: DVec3,
    /// Whether the battery says it is charging (or full on the charger).
    pub charging: bool,
    /// Power drawn from the battery, W, if it tells.
    pub power_w: Option<f64>,
    /// What fusion believes.
    pub objects: Vec<Believed>,
    /// Whether safety forbids motion, and why.
    pub stopped: Option<String>,
}
