//! Picture files and pixels, for every node that meets them: decoding with limits, JPEG of raw frames, drawing charts.

use std::io::Cursor;

use image::{ImageReader, Limits, RgbImage};

pub mod canvas;
pub mod jpeg;

/// No side of a picture may be longer, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// No picture may need more memory when decoded, in bytes.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// The bytes are no picture, a damaged one, or one that is too large.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot decode the picture: {0}")]
pub struct DecodeError(String);

/// Decodes JPEG, PNG or WebP, told apart by content, up to [`MAX_SIDE`] pixels a side and 512 MiB.
///
/// # Errors
/// [`DecodeError`] in words.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    let failed = |e: &dyn std::fmt::Display| DecodeError(e.to_string());
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| failed(&e))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let image = reader.decode().map_err(|e| failed(&e))?.into_rgb8();
    if image.width() == 0 || image.height() == 0 {
        return Err(DecodeError(format!("{} x {} pixels", image.width(), image.height())));
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lossless_picture_survives_a_round_trip() {
        let image = RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 7]));
        for format in [image::ImageFormat::Png, image::ImageFormat::WebP] {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, format).unwrap();
            assert_eq!(decode(bytes.get_ref()).unwrap(), image);
        }
    }

    #[test]
    fn a_picture_that_claims_to_be_huge_is_refused() {
        let mut bytes = Cursor::new(Vec::new());
        RgbImage::new(1, 1).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let mut bytes = bytes.into_inner();
        // Width in the IHDR chunk (PNG specification, 11.2.2).
        bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        assert!(decode(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), head in 0..4_usize) {
            let heads: [&[u8]; 4] = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x40\0\0\0WEBPVP8 "];
            let _ = decode(&[heads[head], &bytes].concat());
        }
    }
}
