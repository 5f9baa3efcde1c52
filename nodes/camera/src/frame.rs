//! Making frames: messages from pixels, a calibration from a field of view, pixels from a picture file.

use std::io::Cursor;

use image::{ImageReader, Limits, RgbImage};
use msgs::sensor_msgs::msg::{CameraInfo, Image};

/// Limits for picture files.
const MAX_SIDE: u32 = 16_384;
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Decodes JPEG, PNG or WebP, told apart by content.
///
/// # Errors
/// In words, if it is none of these, damaged or too large.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    Ok(reader.decode().map_err(|e| e.to_string())?.into_rgb8())
}

/// An rgb8 message without header. `None` unless there are `width * height * 3` bytes.
pub fn rgb_message(width: u32, height: u32, pixels: Vec<u8>) -> Option<Image> {
    let step = width.checked_mul(3)?;
    (pixels.len() as u64 == u64::from(step) * u64::from(height)).then(|| Image {
        width,
        height,
        step,
        encoding: "rgb8".to_owned(),
        data: pixels.into(),
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
    fn rubbish_is_no_picture() {
        assert!(decode(b"not a picture").is_err());
        assert!(rgb_message(2, 2, vec![0; 11]).is_none());
        assert!(rgb_message(u32::MAX, 2, vec![]).is_none());
    }
}
