//! Making frames: messages from pixels, a calibration from a field of view.

use msgs::Bytes;
use msgs::sensor_msgs::msg::{CameraInfo, Image};

/// An rgb8 message without header. `None` unless there are `width * height * 3` bytes.
pub fn rgb_message(width: u32, height: u32, pixels: impl Into<Bytes>) -> Option<Image> {
    let pixels = pixels.into();
    let step = width.checked_mul(3)?;
    (pixels.len() as u64 == u64::from(step) * u64::from(height)).then(|| Image {
        width,
        height,
        step,
        encoding: "rgb8".to_owned(),
        data: pixels,
        ..Default::default()
    })
}

/// The calibration of an ideal pinhole camera: square pixels, principal point in the middle, no distortion.
/// `horizontal_fov` in radians (REP 104; the matrices as documented in sensor_msgs/CameraInfo).
pub fn pinhole_info(width: u32, height: u32, horizontal_fov: f64) -> CameraInfo {
    let (w, h) = (f64::from(width), f64::from(height));
    let f = w / 2.0 / (horizontal_fov / 2.0).tan();
    let (cx, cy) = (w / 2.0, h / 2.0);
    CameraInfo {
        width,
        height,
        distortion_model: "plumb_bob".to_owned(),
        d: vec![0.0; 5],
        k: [f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0],
        r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p: [f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_angle_has_half_the_width_as_focal_length() {
        let info = pinhole_info(640, 480, std::f64::consts::FRAC_PI_2);
        assert!((info.k[0] - 320.0).abs() < 1e-9 && info.k[2] == 320.0 && info.k[5] == 240.0);
    }

    #[test]
    fn pixels_that_do_not_fit_the_size_are_no_picture() {
        assert!(rgb_message(2, 2, vec![0; 11]).is_none());
        assert!(rgb_message(u32::MAX, 2, Bytes::new()).is_none());
    }
}
