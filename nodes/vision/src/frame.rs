//! Getting at pixels: compressed files and raw frames, with limits, never a panic.

use fast_image_resize as fir;
use fir::images::{Image as FirImage, ImageRef};
use image::RgbImage;
use ndarray::Array4;
use pictures::MAX_SIDE;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Why there are no pixels.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// Not JPEG, PNG or WebP, or damaged.
    #[error(transparent)]
    Decode(#[from] pictures::DecodeError),
    /// No pixels, or too many.
    #[error("a picture of {width} x {height} is not accepted")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// An encoding that this node cannot read.
    #[error("image encoding `{0}` is not supported; use rgb8, bgr8, rgba8, bgra8 or mono8")]
    Encoding(String),
    /// A line of pixels does not fit into a row.
    #[error("a row of {step} bytes cannot hold {width} pixels of `{encoding}`")]
    Step {
        /// Bytes per row.
        step: u32,
        /// Width in pixels.
        width: u32,
        /// The encoding.
        encoding: String,
    },
    /// Not as many bytes as rows times row length.
    #[error("the frame has {found} bytes, {expected} are needed")]
    Length {
        /// Bytes needed.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
}

/// Decodes JPEG, PNG or WebP, told apart by content, up to 16384 pixels a side and 512 MiB.
///
/// # Errors
/// [`FrameError::Decode`].
pub fn decode(bytes: &[u8]) -> Result<RgbImage, FrameError> {
    Ok(pictures::decode(bytes)?)
}

/// Pixels of a raw frame as in sensor_msgs/Image: `step` bytes per row, `encoding` by its ROS name.
///
/// # Errors
/// [`FrameError`]: size, encoding, row length or data length do not fit together.
pub fn rgb_from_raw(width: u32, height: u32, step: u32, encoding: &str, data: &[u8]) -> Result<RgbImage, FrameError> {
    check_size(width, height)?;
    let channels: u32 = match encoding {
        "rgb8" | "bgr8" => 3,
        "rgba8" | "bgra8" => 4,
        "mono8" => 1,
        other => return Err(FrameError::Encoding(other.to_owned())),
    };
    // Sides are at most 2^14, so the products below fit.
    if step < width * channels {
        return Err(FrameError::Step { step, width, encoding: encoding.to_owned() });
    }
    let expected = step as usize * height as usize;
    if data.len() != expected {
        return Err(FrameError::Length { expected, found: data.len() });
    }
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for row in data.chunks_exact(step as usize) {
        let row = &row[..(width * channels) as usize];
        match encoding {
            "rgb8" => pixels.extend_from_slice(row),
            "mono8" => pixels.extend(row.iter().flat_map(|v| [*v; 3])),
            _ => {
                let (r, b) = if encoding.starts_with("rgb") { (0, 2) } else { (2, 0) };
                pixels.extend(row.chunks_exact(channels as usize).flat_map(|p| [p[r], p[1], p[b]]));
            }
        }
    }
    RgbImage::from_raw(width, height, pixels).ok_or(FrameError::Size { width, height })
}

fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        Err(FrameError::Size { width, height })
    } else {
        Ok(())
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of size and pixels: the picture's name.
pub fn image_id(image: &RgbImage) -> String {
    let mut hasher = Sha256::new();
    hasher.update(image.width().to_le_bytes());
    hasher.update(image.height().to_le_bytes());
    hasher.update(image.as_raw());
    hasher.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// A name for a camera frame, 16 hexadecimal digits: XXH3-64 of size and pixels. Equal frames share it, and it takes a tenth of the time of
/// [`image_id`]; it does not withstand pictures that are made to share a name.
pub fn frame_id(image: &RgbImage) -> String {
    let size = u64::from(image.width()) << 32 | u64::from(image.height());
    format!("{:016x}", xxh3_64_with_seed(image.as_raw(), size))
}

/// How [`resize`] computes a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Bilinear between the four nearest pixels, as OpenCV's default: what detectors are trained with.
    Nearby,
    /// Bilinear over the whole area that a pixel covers: no aliasing when shrinking.
    Area,
}

/// The picture at another size, stretched if the sides' ratio differs.
///
/// # Errors
/// [`FrameError::Size`] for a target without pixels.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage, FrameError> {
    let size = |_| FrameError::Size { width, height };
    check_size(width, height)?;
    if image.dimensions() == (width, height) {
        return Ok(image.clone());
    }
    let source = ImageRef::new(image.width(), image.height(), image.as_raw(), fir::PixelType::U8x3)
        .map_err(|_| FrameError::Size { width: image.width(), height: image.height() })?;
    let mut target = FirImage::new(width, height, fir::PixelType::U8x3);
    let algorithm = match filter {
        Filter::Nearby => fir::ResizeAlg::Interpolation(fir::FilterType::Bilinear),
        Filter::Area => fir::ResizeAlg::Convolution(fir::FilterType::Bilinear),
    };
    fir::Resizer::new()
        .resize(&source, &mut target, &fir::ResizeOptions::new().resize_alg(algorithm))
        .map_err(|_| FrameError::Size { width, height })?;
    RgbImage::from_raw(width, height, target.into_vec()).ok_or(()).map_err(size)
}

/// One plane of a network's input: a channel of the picture (0 red, 1 green, 2 blue) times `scale` plus `offset`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Normal {
    /// Which channel.
    pub channel: usize,
    /// Per level of 0..255.
    pub scale: f32,
    /// Of level 0.
    pub offset: f32,
}

/// A picture as a network's input `[1,3,height,width]`, plane by plane.
pub(crate) fn planes(image: &RgbImage, planes: [Normal; 3]) -> Array4<f32> {
    let (pixels, _) = image.as_raw().as_chunks::<3>();
    let mut values = Vec::with_capacity(3 * pixels.len());
    for Normal { channel, scale, offset } in planes {
        // A constant channel lets the loop be vectorised.
        let mut plane = |of: fn(&[u8; 3]) -> u8| values.extend(pixels.iter().map(|p| f32::from(of(p)) * scale + offset));
        match channel {
            0 => plane(|p| p[0]),
            1 => plane(|p| p[1]),
            _ => plane(|p| p[2]),
        }
    }
    let shape = (1, 3, image.height() as usize, image.width() as usize);
    Array4::from_shape_vec(shape, values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_agree() {
        let expected = [10, 20, 30, 40, 50, 60];
        for (encoding, step, data) in [
            ("rgb8", 6, vec![10, 20, 30, 40, 50, 60]),
            ("bgr8", 6, vec![30, 20, 10, 60, 50, 40]),
            ("rgba8", 8, vec![10, 20, 30, 0, 40, 50, 60, 0]),
            ("bgra8", 9, vec![30, 20, 10, 0, 60, 50, 40, 0, 99]),
        ] {
            assert_eq!(rgb_from_raw(2, 1, step, encoding, &data).unwrap().into_raw(), expected, "{encoding}");
        }
        assert_eq!(rgb_from_raw(1, 2, 1, "mono8", &[7, 9]).unwrap().into_raw(), [7, 7, 7, 9, 9, 9]);
    }

    #[test]
    fn frames_that_do_not_fit_together_are_refused() {
        assert!(matches!(rgb_from_raw(0, 1, 3, "rgb8", &[]), Err(FrameError::Size { .. })));
        assert!(matches!(rgb_from_raw(u32::MAX, 1, 3, "rgb8", &[]), Err(FrameError::Size { .. })));
        assert!(matches!(rgb_from_raw(1, 1, 3, "16UC1", &[0; 3]), Err(FrameError::Encoding(_))));
        assert!(matches!(rgb_from_raw(2, 1, 3, "rgb8", &[0; 3]), Err(FrameError::Step { .. })));
        assert!(matches!(rgb_from_raw(1, 2, 3, "rgb8", &[0; 5]), Err(FrameError::Length { expected: 6, found: 5 })));
    }

    #[test]
    fn the_name_of_a_picture_depends_on_its_pixels_and_shape() {
        let a = RgbImage::new(2, 3);
        assert_eq!(image_id(&a).len(), 16);
        assert_ne!(image_id(&a), image_id(&RgbImage::new(3, 2)));
        assert_eq!(frame_id(&a).len(), 16);
        assert_ne!(frame_id(&a), frame_id(&RgbImage::new(3, 2)));
        let mut b = a.clone();
        b.put_pixel(1, 2, image::Rgb([0, 0, 1]));
        assert_ne!(frame_id(&a), frame_id(&b));
    }

    #[test]
    fn resizing_keeps_a_flat_colour() {
        let image = RgbImage::from_pixel(30, 20, image::Rgb([9, 99, 199]));
        for filter in [Filter::Nearby, Filter::Area] {
            assert!(resize(&image, 7, 11, filter).unwrap().pixels().all(|p| p.0 == [9, 99, 199]));
        }
        assert!(resize(&image, 0, 11, Filter::Area).is_err());
    }
}
