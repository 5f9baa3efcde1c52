//! The body's fixed frames (REP 103, REP 105), from a flat parameter list.

use glam::DVec3;
use spatial::Pose3;

/// One fixed frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedFrame {
    /// Parent frame.
    pub parent: String,
    /// Child frame.
    pub child: String,
    /// Pose of the child in the parent.
    pub pose: Pose3,
}

/// Why a frame parameter was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not six finite numbers.
    #[error("frame '{frame}' needs six finite numbers x, y, z (m), roll, pitch, yaw (rad), got {got}")]
    Numbers {
        /// Frame.
        frame: String,
        /// How many finite numbers came.
        got: usize,
    },
}

/// A pose from x, y, z (m), roll, pitch, yaw (rad).
///
/// # Errors
/// [`FrameError`] unless `values` are six finite numbers.
pub fn pose_from(frame: &str, values: &[f64]) -> Result<Pose3, FrameError> {
    let finite = values.iter().filter(|v| v.is_finite()).count();
    match values {
        [x, y, z, roll, pitch, yaw] if finite == 6 => Ok(Pose3::from_xyz_rpy(DVec3::new(*x, *y, *z), *roll, *pitch, *yaw)),
        _ => Err(FrameError::Numbers { frame: frame.to_owned(), got: finite }),
    }
}

/// The optical frame beside a camera link: z forward, x right, y down.
#[must_use]
pub fn optical(link: &str, optical: &str) -> FixedFrame {
    FixedFrame { parent: link.to_owned(), child: optical.to_owned(), pose: Pose3::optical() }
}

/// Pose of the wrist (gripper centre) in base_link for a lift and an extension, m.
#[must_use]
pub fn wrist(origin: DVec3, lift_m: f64, extend_m: f64) -> Pose3 {
    Pose3::from_translation(origin + DVec3::new(extend_m, 0.0, lift_m))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optical_axis_of_a_pitched_camera_looks_down_and_forward() {
        let link = pose_from("camera_link", &[0.05, 0.0, 0.62, 0.0, 0.35, 0.0]).unwrap();
        let optical = link * optical("camera_link", "camera_optical_frame").pose;
        let axis = optical.rotate(DVec3::Z);
        assert!((axis - DVec3::new(0.35f64.cos(), 0.0, -(0.35f64.sin()))).length() < 1e-12);
        assert!((optical.rotate(DVec3::X) - DVec3::NEG_Y).length() < 1e-12, "image right is the robot's right");
    }

    #[test]
    fn wrong_lists_are_refused() {
        assert!(pose_from("laser", &[0.0; 5]).is_err());
        assert!(pose_from("laser", &[0.0, 0.0, f64::NAN, 0.0, 0.0, 0.0]).is_err());
    }
}
