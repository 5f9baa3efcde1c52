//! Depth images as 16-bit PNG, in the form of ROS 2's `compressed_depth_image_transport`.
//!
//! Metres are kept as inverse depth, so that near things are exact and far ones coarse: the error at z metres is z * z / a.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

/// Why a depth image has no compressed form.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum DepthError {
    /// The data does not fit the size that the image declares.
    #[error("the depth image says {width}x{height} with rows of {step} bytes, but holds {bytes} bytes")]
    Size {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes per row.
        step: u32,
        /// Bytes there are.
        bytes: usize,
    },
    /// The encoder refused.
    #[error("PNG: {0}")]
    Encoder(String),
}

/// Farthest distance that is kept, m.
const MAX_M: f32 = 10.0;

/// Encodes a 32FC1 image (metres, little-endian, `step` bytes per row): the transport's header of 12 bytes, then a PNG.
/// `quantization` as the transport's parameter: a = q (q + 1), for instance 10 for 9 mm at 1 m and 36 mm at 2 m.
///
/// # Errors
/// [`DepthError`]; nothing is assumed about the data.
pub fn encode(width: u32, height: u32, step: u32, data: &[u8], quantization: f32) -> Result<Vec<u8>, DepthError> {
    let (row, step_bytes) = (width as usize * 4, step as usize);
    if width == 0 || height == 0 || step_bytes < row || data.len() < step_bytes * (height as usize - 1) + row {
        return Err(DepthError::Size { width, height, step, bytes: data.len() });
    }
    let a = quantization * (quantization + 1.0);
    let b = 1.0 - a / MAX_M;
    let rows = data.chunks(step_bytes).take(height as usize).map(|r| &r[..row]);
    let samples = rows.flat_map(|r| r.chunks_exact(4)).flat_map(|bytes| {
        let z = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        // Rounded to the nearest, not down; zero stands for "no distance". The cast saturates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let value = if z > 0.0 && z < MAX_M { (a / z + b).round() as u16 } else { 0 };
        value.to_ne_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    let mut out = Vec::with_capacity(samples.len() / 8);
    // ConfigHeader: format (0: inverse depth), a, b.
    out.extend_from_slice(&0_i32.to_le_bytes());
    out.extend_from_slice(&a.to_le_bytes());
    out.extend_from_slice(&b.to_le_bytes());
    let encoder = PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive);
    encoder.write_image(&samples, width, height, ExtendedColorType::L16).map_err(|e| DepthError::Encoder(e.to_string()))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_come_back_within_the_stated_error() {
        let metres = [0.5_f32, 1.0, 2.0, 5.0, f32::NAN, 0.0, f32::INFINITY, 12.0];
        let data: Vec<u8> = metres.iter().flat_map(|z| z.to_le_bytes()).collect();
        let bytes = encode(4, 2, 16, &data, 10.0).unwrap();
        let float = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (a, b) = (float(4), float(8));
        let pixels = image::load_from_memory(&bytes[12..]).unwrap().into_luma16();
        for (z, value) in metres.iter().zip(pixels.iter()) {
            if z.is_finite() && *z > 0.0 && *z < 10.0 {
                let back = a / (f32::from(*value) - b);
                assert!((back - z).abs() <= z * z / a, "{z} m came back as {back} m");
            } else {
                assert_eq!(*value, 0);
            }
        }
    }

    #[test]
    fn bad_sizes_are_refused() {
        for (width, height, step, bytes) in [(2, 2, 8, 15), (2, 2, 7, 16), (0, 2, 8, 16)] {
            assert!(matches!(encode(width, height, step, &vec![0; bytes], 10.0), Err(DepthError::Size { .. })));
        }
    }
}
