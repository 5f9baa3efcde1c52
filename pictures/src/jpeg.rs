//! Camera images as JPEG.

use jpeg_encoder::{ColorType, Encoder};

/// Why an image cannot be made a JPEG.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum JpegError {
    /// Only 8-bit colour and grey images can.
    #[error("images of encoding `{0}` have no JPEG form")]
    Encoding(String),
    /// The data does not fit the size that the image declares.
    #[error("the image says {width}x{height} with rows of {step} bytes, but holds {bytes} bytes")]
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
    #[error("JPEG: {0}")]
    Encoder(String),
}

/// Encodes an image with the fields of `sensor_msgs/Image`: `encoding` rgb8, bgr8, rgba8, bgra8 or mono8; `step` bytes per row.
///
/// # Errors
/// [`JpegError`]; nothing is assumed about the data.
pub fn encode(encoding: &str, width: u32, height: u32, step: u32, data: &[u8], quality: u8) -> Result<Vec<u8>, JpegError> {
    let (color, channels) = match encoding {
        "rgb8" => (ColorType::Rgb, 3),
        "bgr8" => (ColorType::Bgr, 3),
        "rgba8" => (ColorType::Rgba, 4),
        "bgra8" => (ColorType::Bgra, 4),
        "mono8" => (ColorType::Luma, 1),
        other => return Err(JpegError::Encoding(other.to_owned())),
    };
    let bad_size = || JpegError::Size { width, height, step, bytes: data.len() };
    let (columns, rows) = (u16::try_from(width).map_err(|_| bad_size())?, u16::try_from(height).map_err(|_| bad_size())?);
    let (row, step) = (width as usize * channels, step as usize);
    if columns == 0 || rows == 0 || step < row || data.len() < step * (rows as usize - 1) + row {
        return Err(bad_size());
    }
    let packed;
    let pixels = if step == row {
        &data[..row * rows as usize]
    } else {
        packed = data.chunks(step).take(rows as usize).flat_map(|r| &r[..row]).copied().collect::<Vec<u8>>();
        &packed
    };
    let mut out = Vec::with_capacity(pixels.len() / 8);
    Encoder::new(&mut out, quality).encode(pixels, columns, rows, color).map_err(|e| JpegError::Encoder(e.to_string()))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grey_image_with_padded_rows_is_a_jpeg_of_its_size() {
        let jpeg = encode("mono8", 10, 4, 16, &[128; 64], 80).unwrap();
        assert_eq!(&jpeg[..2], [0xFF, 0xD8]);
        // Start of frame (SOF0), ITU T.81: length, precision, height, width.
        let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        assert_eq!(&jpeg[frame + 5..frame + 9], [0, 4, 0, 10]);
    }

    #[test]
    fn bad_images_are_refused() {
        assert!(matches!(encode("32FC1", 2, 2, 8, &[0; 16], 80), Err(JpegError::Encoding(_))));
        for (width, height, step, bytes) in [(2, 2, 6, 11), (2, 2, 5, 12), (0, 2, 6, 12), (70_000, 1, 210_000, 210_000)] {
            assert!(matches!(encode("rgb8", width, height, step, &vec![0; bytes], 80), Err(JpegError::Size { .. })));
        }
    }
}
