//! Whether a frame is what it says it is.

use msgs::sensor_msgs::msg::{CameraInfo, Image};

/// What a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Colour or grey pixels.
    Color,
    /// Distance per pixel.
    Depth,
}

/// What is wrong with a frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// No pixels, or a side above 16384.
    #[error("a size of {width} x {height} is not possible")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Another size than configured.
    #[error("the size is {width} x {height}, configured are {expected_width} x {expected_height}")]
    UnexpectedSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Configured width.
        expected_width: u32,
        /// Configured height.
        expected_height: u32,
    },
    /// An encoding that does not belong on this topic.
    #[error("the encoding `{0}` does not belong here")]
    Encoding(String),
    /// The bytes are in an order that nobody downstream reads.
    #[error("the values are big-endian")]
    BigEndian,
    /// Rows too short for their pixels.
    #[error("a row of {step} bytes cannot hold {needed}")]
    Step {
        /// Bytes per row.
        step: u32,
        /// Bytes that a row of pixels needs.
        needed: u64,
    },
    /// Not as many bytes as rows times row length.
    #[error("{found} bytes, {expected} are needed")]
    Length {
        /// Bytes needed.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A calibration that cannot be one.
    #[error("the calibration is not usable: {0}")]
    Calibration(&'static str),
}

/// No side of a frame may be longer, in pixels.
const MAX_SIDE: u32 = 16_384;

/// Bytes per pixel of an encoding (sensor_msgs, `image_encodings.hpp`), if it belongs to this kind of frame.
fn bytes_per_pixel(kind: Kind, encoding: &str) -> Option<u64> {
    match (kind, encoding) {
        (Kind::Color, "rgb8" | "bgr8") => Some(3),
        (Kind::Color, "rgba8" | "bgra8") => Some(4),
        (Kind::Color, "mono8") => Some(1),
        (Kind::Depth, "32FC1") => Some(4),
        (Kind::Depth, "16UC1") => Some(2),
        _ => None,
    }
}

/// Checks a frame; `expected` is the configured size, a side of 0 means any.
///
/// # Errors
/// The first [`Fault`].
pub fn check_image(image: &Image, kind: Kind, expected: (u32, u32)) -> Result<(), Fault> {
    let (width, height) = (image.width, image.height);
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        return Err(Fault::Size { width, height });
    }
    if (expected.0 != 0 && width != expected.0) || (expected.1 != 0 && height != expected.1) {
        return Err(Fault::UnexpectedSize { width, height, expected_width: expected.0, expected_height: expected.1 });
    }
    let bytes = bytes_per_pixel(kind, &image.encoding).ok_or_else(|| Fault::Encoding(image.encoding.clone()))?;
    if kind == Kind::Depth && image.is_bigendian != 0 {
        return Err(Fault::BigEndian);
    }
    let needed = u64::from(width) * bytes;
    if u64::from(image.step) < needed {
        return Err(Fault::Step { step: image.step, needed });
    }
    let (expected, found) = (u64::from(image.step) * u64::from(height), image.data.len() as u64);
    if found == expected { Ok(()) } else { Err(Fault::Length { expected, found }) }
}

/// Checks a calibration: size, focal lengths, principal point.
///
/// # Errors
/// [`Fault::Size`], [`Fault::Calibration`].
pub fn check_info(info: &CameraInfo) -> Result<(), Fault> {
    if info.width == 0 || info.height == 0 {
        return Err(Fault::Size { width: info.width, height: info.height });
    }
    if info.k.iter().chain(&info.p).chain(&info.r).chain(&info.d).any(|v| !v.is_finite()) {
        return Err(Fault::Calibration("a number is not finite"));
    }
    if info.k[0] <= 0.0 || info.k[4] <= 0.0 {
        return Err(Fault::Calibration("a focal length is not above 0"));
    }
    let inside = |v: f64, size: u32| (0.0..=f64::from(size)).contains(&v);
    if inside(info.k[2], info.width) && inside(info.k[5], info.height) {
        Ok(())
    } else {
        Err(Fault::Calibration("the principal point is outside the picture"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::pinhole_info;

    fn color() -> Image {
        Image { width: 4, height: 2, step: 12, encoding: "rgb8".into(), data: vec![0; 24].into(), ..Default::default() }
    }

    #[test]
    fn good_frames_pass() {
        assert_eq!(check_image(&color(), Kind::Color, (0, 0)), Ok(()));
        assert_eq!(check_image(&color(), Kind::Color, (4, 2)), Ok(()));
        let depth = Image { step: 16, encoding: "32FC1".into(), data: vec![0; 32].into(), ..color() };
        assert_eq!(check_image(&depth, Kind::Depth, (0, 0)), Ok(()));
        assert_eq!(check_info(&pinhole_info(640, 480, 1.1)), Ok(()));
    }

    #[test]
    fn each_fault_is_told() {
        let cases = [
            (Image { width: 0, ..color() }, Kind::Color, Fault::Size { width: 0, height: 2 }),
            (Image { encoding: "32FC1".into(), ..color() }, Kind::Color, Fault::Encoding("32FC1".into())),
            (color(), Kind::Depth, Fault::Encoding("rgb8".into())),
            (Image { encoding: "16UC1".into(), is_bigendian: 1, ..color() }, Kind::Depth, Fault::BigEndian),
            (Image { step: 11, ..color() }, Kind::Color, Fault::Step { step: 11, needed: 12 }),
            (Image { data: vec![0; 23].into(), ..color() }, Kind::Color, Fault::Length { expected: 24, found: 23 }),
            (Image { step: u32::MAX, ..color() }, Kind::Color, Fault::Length { expected: u64::from(u32::MAX) * 2, found: 24 }),
        ];
        for (image, kind, fault) in cases {
            assert_eq!(check_image(&image, kind, (0, 0)), Err(fault));
        }
        assert!(matches!(check_image(&color(), Kind::Color, (640, 480)), Err(Fault::UnexpectedSize { .. })));
    }

    #[test]
    fn calibrations_that_cannot_be_are_refused() {
        let good = || pinhole_info(640, 480, 1.1);
        assert!(check_info(&CameraInfo::default()).is_err());
        for spoil in
            [|i: &mut CameraInfo| i.k[0] = f64::NAN, |i: &mut CameraInfo| i.k[4] = 0.0, |i: &mut CameraInfo| i.k[2] = 900.0]
        {
            let mut info = good();
            spoil(&mut info);
            assert!(matches!(check_info(&info), Err(Fault::Calibration(_))));
        }
    }
}
