//! The pinhole camera: intrinsics as in `sensor_msgs/CameraInfo`, pose of the optical frame.

use glam::{DMat3, DQuat, DVec3};

/// Pinhole intrinsics in pixels. Integer pixel coordinates are pixel centres (the OpenCV and `image_geometry` convention),
/// so a symmetric camera has `cx = (width - 1) / 2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intrinsics {
    /// Image width in pixels.
    pub width: usize,
    /// Image height in pixels.
    pub height: usize,
    /// Focal length, horizontal.
    pub fx: f64,
    /// Focal length, vertical.
    pub fy: f64,
    /// Principal point, column.
    pub cx: f64,
    /// Principal point, row.
    pub cy: f64,
}

impl Intrinsics {
    /// Square pixels, principal point in the middle, horizontal field of view in radians.
    pub fn from_hfov(width: usize, height: usize, hfov_rad: f64) -> Self {
        let f = width as f64 * 0.5 / (hfov_rad * 0.5).tan();
        Self { width, height, fx: f, fy: f, cx: (width as f64 - 1.0) * 0.5, cy: (height as f64 - 1.0) * 0.5 }
    }
}

/// Where the camera is: pose of its optical frame (z forward, x right, y down) in the world (REP 103 world, z up).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraPose {
    /// Position of the optical centre in the world, metres.
    pub position: DVec3,
    /// Rotation that takes vectors of the optical frame into the world.
    pub rotation: DQuat,
}

impl CameraPose {
    /// From the pose of a camera link in body convention (x forward, y left, z up).
    pub fn from_link(position: DVec3, link: DQuat) -> Self {
        // REP 103: optical z = link x, optical x = -link y, optical y = -link z.
        let optical = DQuat::from_mat3(&DMat3::from_cols(-DVec3::Y, -DVec3::Z, DVec3::X));
        Self { position, rotation: link * optical }
    }

    /// From position, heading (0 = world x, counter-clockwise) and downward pitch in radians.
    pub fn from_yaw_pitch(position: DVec3, yaw: f64, pitch_down: f64) -> Self {
        Self::from_link(position, DQuat::from_rotation_z(yaw) * DQuat::from_rotation_y(pitch_down))
    }

    /// Pixel (column, row) and depth of a world point; `None` behind the camera.
    pub fn project(&self, intrinsics: &Intrinsics, point: DVec3) -> Option<(f64, f64, f64)> {
        let c = self.rotation.inverse() * (point - self.position);
        (c.z > 0.0).then(|| (intrinsics.fx * c.x / c.z + intrinsics.cx, intrinsics.fy * c.y / c.z + intrinsics.cy, c.z))
    }
}
