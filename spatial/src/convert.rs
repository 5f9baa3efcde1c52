//! Conversions to and from messages: the only module of this crate that knows them.

use glam::{DQuat, DVec2, DVec3};
use msgs::builtin_interfaces::msg::Time;
use msgs::geometry_msgs::msg::{
    Point, Pose, PoseStamped, PoseWithCovariance, Quaternion, Transform, TransformStamped, Twist, Vector3,
};
use msgs::nav_msgs::msg::{OccupancyGrid, Path};
use msgs::sensor_msgs::msg::CameraInfo;
use msgs::std_msgs::msg::Header;
use msgs::tf2_msgs::msg::TFMessage;

use crate::camera::{CameraError, Pinhole};
use crate::grid::{Grid, GridError};
use crate::pose::{Pose2, Pose3};
use crate::tf::{TfBuffer, TfInsertError};

/// Nanoseconds of a stamp.
pub fn stamp_ns(time: &Time) -> i64 {
    i64::from(time.sec) * 1_000_000_000 + i64::from(time.nanosec)
}

/// The stamp of nanoseconds; saturates where seconds do not fit 32 bits.
pub fn stamp_msg(ns: i64) -> Time {
    let sec = ns.div_euclid(1_000_000_000).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
    Time { sec, nanosec: ns.rem_euclid(1_000_000_000) as u32 }
}

/// A header.
pub fn header(frame: &str, ns: i64) -> Header {
    Header { stamp: stamp_msg(ns), frame_id: frame.to_owned() }
}

impl From<Pose3> for Pose {
    fn from(pose: Pose3) -> Self {
        Pose { position: point(pose.translation), orientation: quaternion(pose.rotation) }
    }
}

impl From<&Pose> for Pose3 {
    /// The quaternion is normalised; an all-zero one (a message nobody filled) is the identity.
    fn from(pose: &Pose) -> Self {
        let (p, q) = (&pose.position, &pose.orientation);
        Pose3::new(DVec3::new(p.x, p.y, p.z), DQuat::from_xyzw(q.x, q.y, q.z, q.w))
    }
}

impl From<Pose2> for Pose {
    fn from(pose: Pose2) -> Self {
        pose.to_pose3().into()
    }
}

impl From<&Pose> for Pose2 {
    fn from(pose: &Pose) -> Self {
        Pose3::from(pose).to_pose2()
    }
}

impl From<Pose3> for Transform {
    fn from(pose: Pose3) -> Self {
        Transform { translation: vector(pose.translation), rotation: quaternion(pose.rotation) }
    }
}

impl From<&Transform> for Pose3 {
    fn from(transform: &Transform) -> Self {
        let (t, q) = (&transform.translation, &transform.rotation);
        Pose3::new(DVec3::new(t.x, t.y, t.z), DQuat::from_xyzw(q.x, q.y, q.z, q.w))
    }
}

/// A point message.
pub fn point(p: DVec3) -> Point {
    Point { x: p.x, y: p.y, z: p.z }
}

/// A vector message.
pub fn vector(v: DVec3) -> Vector3 {
    Vector3 { x: v.x, y: v.y, z: v.z }
}

/// A point message as a vector.
pub fn from_point(p: &Point) -> DVec3 {
    DVec3::new(p.x, p.y, p.z)
}

/// A vector message as a vector.
pub fn from_vector(v: &Vector3) -> DVec3 {
    DVec3::new(v.x, v.y, v.z)
}

/// A quaternion message.
pub fn quaternion(q: DQuat) -> Quaternion {
    Quaternion { x: q.x, y: q.y, z: q.z, w: q.w }
}

/// A quaternion message as a unit quaternion; an all-zero one is the identity.
pub fn from_quaternion(q: &Quaternion) -> DQuat {
    Pose3::new(DVec3::ZERO, DQuat::from_xyzw(q.x, q.y, q.z, q.w)).rotation
}

/// A twist in the plane: forward speed (m/s) and turn rate (rad/s).
pub fn twist(linear: f64, angular: f64) -> Twist {
    Twist { linear: vector(DVec3::new(linear, 0.0, 0.0)), angular: vector(DVec3::new(0.0, 0.0, angular)) }
}

/// A stamped pose.
pub fn pose_stamped(frame: &str, ns: i64, pose: impl Into<Pose>) -> PoseStamped {
    PoseStamped { header: header(frame, ns), pose: pose.into() }
}

/// A stamped transform: the pose of `child` in `parent`.
pub fn transform_stamped(parent: &str, child: &str, ns: i64, pose: Pose3) -> TransformStamped {
    TransformStamped { header: header(parent, ns), child_frame_id: child.to_owned(), transform: pose.into() }
}

/// A plane pose with its covariance over (x, y, yaw), row-major; the other three axes have none.
pub fn pose_with_covariance(pose: Pose2, covariance: &[[f64; 3]; 3]) -> PoseWithCovariance {
    let mut full = [0.0; 36];
    // Order of PoseWithCovariance: x, y, z, roll, pitch, yaw.
    let axes = [0usize, 1, 5];
    for (row, a) in axes.iter().enumerate() {
        for (column, b) in axes.iter().enumerate() {
            full[a * 6 + b] = covariance[row][column];
        }
    }
    PoseWithCovariance { pose: pose.into(), covariance: full }
}

/// A path of plane poses.
pub fn path(frame: &str, ns: i64, poses: &[Pose2]) -> Path {
    Path { header: header(frame, ns), poses: poses.iter().map(|pose| pose_stamped(frame, ns, *pose)).collect() }
}

/// An occupancy grid message.
pub fn occupancy_grid(frame: &str, ns: i64, grid: &Grid<i8>) -> OccupancyGrid {
    let mut message = OccupancyGrid { header: header(frame, ns), data: grid.data().to_vec(), ..Default::default() };
    message.info.map_load_time = stamp_msg(ns);
    message.info.resolution = grid.resolution() as f32;
    message.info.width = grid.width() as u32;
    message.info.height = grid.height() as u32;
    message.info.origin = Pose2::at(grid.origin(), 0.0).into();
    message
}

/// The grid of an occupancy grid message. The resolution is read back to the nearest micrometre (it is a 32 bit number).
pub fn grid_from_message(message: &OccupancyGrid) -> Result<Grid<i8>, GridError> {
    let resolution = (f64::from(message.info.resolution) * 1e6).round() / 1e6;
    let origin = &message.info.origin.position;
    Grid::new(
        message.info.width as usize,
        message.info.height as usize,
        resolution,
        DVec2::new(origin.x, origin.y),
        message.data.clone(),
    )
}

/// Costs (see [`crate::distance`]) as occupancy, the way nav2_costmap_2d publishes them: lethal 100, inscribed 99, free cost 0..98.
pub fn costs_to_occupancy(costs: &Grid<u8>) -> Grid<i8> {
    costs.map(|cost| match cost {
        254.. => 100,
        253 => 99,
        cost => (u16::from(cost) * 98 / 252) as i8,
    })
}

/// The camera of a CameraInfo message.
pub fn pinhole(info: &CameraInfo) -> Result<Pinhole, CameraError> {
    Pinhole::from_k(info.width, info.height, &info.k)
}

/// A CameraInfo message of an ideal camera (plumb_bob model without distortion).
pub fn camera_info(frame: &str, ns: i64, camera: &Pinhole) -> CameraInfo {
    let k = camera.k();
    CameraInfo {
        header: header(frame, ns),
        height: camera.height,
        width: camera.width,
        distortion_model: "plumb_bob".to_owned(),
        d: vec![0.0; 5],
        k,
        r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p: [k[0], 0.0, k[2], 0.0, 0.0, k[4], k[5], 0.0, 0.0, 0.0, 1.0, 0.0],
        ..Default::default()
    }
}

impl TfBuffer {
    /// Takes every transform of a `/tf` message (or `/tf_static`, with `fixed`); good ones are taken even if others are
    /// bad, the first error is given back.
    pub fn insert_message(&mut self, message: &TFMessage, fixed: bool) -> Result<(), TfInsertError> {
        let mut first = Ok(());
        for transform in &message.transforms {
            let (parent, child) = (&transform.header.frame_id, &transform.child_frame_id);
            let r = &transform.transform.rotation;
            // tf2: QUATERNION_NORMALIZATION_TOLERANCE. Written so that NaN is refused.
            if !(((r.x * r.x + r.y * r.y + r.z * r.z + r.w * r.w) - 1.0).abs() < 1e-2) {
                let refused = TfInsertError::NotNormalised { parent: parent.clone(), child: child.clone() };
                first = first.and(Err(refused));
                continue;
            }
            let pose = Pose3::from(&transform.transform);
            let taken = if fixed {
                self.insert_static(parent, child, pose)
            } else {
                self.insert(parent, child, stamp_ns(&transform.header.stamp), pose)
            };
            first = first.and(taken);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poses_survive_the_message() {
        let pose = Pose2::new(1.0, -2.0, 2.5);
        let back = Pose2::from(&Pose::from(pose));
        assert!(pose.distance(&back) < 1e-12 && (pose.yaw - back.yaw).abs() < 1e-12);
        assert_eq!(Pose3::from(&Pose::default()), Pose3::IDENTITY);
    }

    #[test]
    fn stamps_survive_the_message_also_before_zero() {
        for ns in [0, 1, -1, 1_500_000_000, -1_500_000_000] {
            assert_eq!(stamp_ns(&stamp_msg(ns)), ns);
        }
        assert_eq!(stamp_msg(i64::MAX).sec, i32::MAX);
    }

    #[test]
    fn grids_and_cameras_survive_the_message() {
        let grid = Grid::new(3, 2, 0.05, DVec2::new(-1.0, 2.0), vec![0, 100, -1, 0, 0, 100]).unwrap();
        assert_eq!(grid_from_message(&occupancy_grid("map", 5, &grid)).unwrap(), grid);
        let mut cut = occupancy_grid("map", 5, &grid);
        cut.data.pop();
        assert!(grid_from_message(&cut).is_err());
        let camera = Pinhole::from_horizontal_fov(640, 480, 1.1).unwrap();
        assert_eq!(pinhole(&camera_info("camera_optical_frame", 0, &camera)).unwrap(), camera);
        assert!(pinhole(&CameraInfo::default()).is_err());
    }

    #[test]
    fn transform_messages_fill_the_buffer() {
        let mut tf = TfBuffer::default();
        let good = transform_stamped("map", "odom", 7, Pose3::from_translation(DVec3::X));
        let bad = transform_stamped("map", "map", 7, Pose3::IDENTITY);
        let mut long = good.clone();
        (long.child_frame_id, long.transform.rotation.w) = ("base".into(), 1.1);
        assert!(tf.insert_message(&TFMessage { transforms: vec![bad, good] }, false).is_err());
        let refused = tf.insert_message(&TFMessage { transforms: vec![long] }, false);
        assert!(matches!(refused, Err(TfInsertError::NotNormalised { child, .. }) if child == "base"));
        assert_eq!(tf.lookup("map", "odom", 7).unwrap().translation, DVec3::X);
    }

    #[test]
    fn covariance_lands_in_the_right_places() {
        let message = pose_with_covariance(Pose2::IDENTITY, &[[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]]);
        assert_eq!(
            (message.covariance[0], message.covariance[5], message.covariance[7], message.covariance[35]),
            (1.0, 3.0, 4.0, 6.0)
        );
    }
}
