//! The pinhole camera.

use glam::{DVec2, DVec3};

/// Why a set of numbers is not a camera.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CameraError {
    /// Focal length not positive, or a number not finite.
    #[error("camera matrix is not usable: fx = {fx}, fy = {fy}, cx = {cx}, cy = {cy}")]
    BadMatrix {
        /// Focal length along x, pixels.
        fx: f64,
        /// Focal length along y, pixels.
        fy: f64,
        /// Principal point x, pixels.
        cx: f64,
        /// Principal point y, pixels.
        cy: f64,
    },
    /// Width or height is zero.
    #[error("image is {width} x {height} pixels")]
    EmptyImage {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
}

/// An ideal pinhole camera: points are in the optical frame (z forward, x right, y down), pixels count from the centre of
/// the upper left pixel (sensor_msgs/CameraInfo, matrix K). Distortion is not modelled; images are taken as rectified.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pinhole {
    /// Image width, pixels.
    pub width: u32,
    /// Image height, pixels.
    pub height: u32,
    /// Focal length along x, pixels.
    pub fx: f64,
    /// Focal length along y, pixels.
    pub fy: f64,
    /// Principal point x, pixels.
    pub cx: f64,
    /// Principal point y, pixels.
    pub cy: f64,
}

impl Pinhole {
    /// A camera from the row-major 3 x 3 matrix K of CameraInfo.
    pub fn from_k(width: u32, height: u32, k: &[f64; 9]) -> Result<Self, CameraError> {
        Self::new(width, height, k[0], k[4], k[2], k[5])
    }

    /// A camera from its numbers.
    pub fn new(width: u32, height: u32, fx: f64, fy: f64, cx: f64, cy: f64) -> Result<Self, CameraError> {
        if width == 0 || height == 0 {
            return Err(CameraError::EmptyImage { width, height });
        }
        if !(fx > 0.0 && fy > 0.0 && fx.is_finite() && fy.is_finite() && cx.is_finite() && cy.is_finite()) {
            return Err(CameraError::BadMatrix { fx, fy, cx, cy });
        }
        Ok(Self { width, height, fx, fy, cx, cy })
    }

    /// A camera with square pixels and its axis through the image centre, from the horizontal field of view in radians.
    pub fn from_horizontal_fov(width: u32, height: u32, fov_rad: f64) -> Result<Self, CameraError> {
        let focal = 0.5 * f64::from(width) / (0.5 * fov_rad).tan();
        Self::new(width, height, focal, focal, 0.5 * f64::from(width) - 0.5, 0.5 * f64::from(height) - 0.5)
    }

    /// The pixel of a point in the optical frame; None behind the camera. The pixel may lie outside the image.
    pub fn project(&self, point: DVec3) -> Option<DVec2> {
        (point.z > 1e-6).then(|| DVec2::new(self.fx * point.x / point.z + self.cx, self.fy * point.y / point.z + self.cy))
    }

    /// The point in the optical frame at a pixel and a depth (distance along the optical axis, m, as in a depth image).
    pub fn deproject(&self, pixel: DVec2, depth: f64) -> DVec3 {
        self.ray(pixel) * depth
    }

    /// The ray of a pixel in the optical frame, scaled to z = 1.
    pub fn ray(&self, pixel: DVec2) -> DVec3 {
        DVec3::new((pixel.x - self.cx) / self.fx, (pixel.y - self.cy) / self.fy, 1.0)
    }

    /// Whether a pixel lies in the image.
    pub fn contains(&self, pixel: DVec2) -> bool {
        pixel.x >= -0.5 && pixel.y >= -0.5 && pixel.x < f64::from(self.width) - 0.5 && pixel.y < f64::from(self.height) - 0.5
    }

    /// Horizontal field of view, rad.
    pub fn horizontal_fov(&self) -> f64 {
        2.0 * (0.5 * f64::from(self.width) / self.fx).atan()
    }

    /// The row-major matrix K of CameraInfo.
    pub fn k(&self) -> [f64; 9] {
        [self.fx, 0.0, self.cx, 0.0, self.fy, self.cy, 0.0, 0.0, 1.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn deprojection_undoes_projection(x in -2.0f64..2.0, y in -2.0f64..2.0, z in 0.1f64..10.0) {
            let camera = Pinhole::from_horizontal_fov(640, 480, 1.1).unwrap();
            let point = DVec3::new(x, y, z);
            let pixel = camera.project(point).unwrap();
            prop_assert!((camera.deproject(pixel, z) - point).length() < 1e-9);
        }
    }

    #[test]
    fn the_axis_goes_through_the_middle_and_the_edge_has_half_the_field_of_view() {
        let camera = Pinhole::from_horizontal_fov(640, 480, 1.1).unwrap();
        assert_eq!(camera.project(DVec3::Z), Some(DVec2::new(319.5, 239.5)));
        let edge = camera.project(DVec3::new(0.55f64.tan(), 0.0, 1.0)).unwrap();
        assert!((edge.x - 639.5).abs() < 1e-9);
        assert!((camera.horizontal_fov() - 1.1).abs() < 1e-12);
        assert_eq!(camera.project(DVec3::NEG_Z), None);
    }

    #[test]
    fn useless_numbers_are_refused() {
        assert!(matches!(Pinhole::from_k(640, 480, &[0.0; 9]), Err(CameraError::BadMatrix { .. })));
        assert!(matches!(Pinhole::new(0, 480, 1.0, 1.0, 0.0, 0.0), Err(CameraError::EmptyImage { .. })));
    }
}
