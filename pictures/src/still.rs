//! Still pictures: JPEG, PNG and WebP to red, green, blue. The content decides what a file is, not its name.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

/// No side of a picture may be longer, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// No file of a picture may be larger, in bytes: a picture of [`Limits::default`] is smaller in every format.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// What a picture may need, checked against its header before anything is allocated for its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest side, in pixels.
    pub side: u32,
    /// Decoded size in the file's own pixel format, in bytes. The conversion to red, green, blue may need as much again.
    pub bytes: u64,
}

impl Default for Limits {
    /// [`MAX_SIDE`] and 512 MiB: 178 million pixels of eight-bit colour.
    fn default() -> Self {
        Self { side: MAX_SIDE, bytes: 512 << 20 }
    }
}

/// The bytes are no picture, a damaged one, or one that is too large.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("cannot decode the picture: the file is empty")]
    Empty,
    /// Not the beginning of any picture format.
    #[error("cannot decode the picture: this is not JPEG, PNG or WebP")]
    NotAPicture,
    /// A picture of a format that is not read here.
    #[error("cannot decode the picture: {0} is not read, only JPEG, PNG and WebP")]
    Format(String),
    /// No pixels, or a side that is too long.
    #[error("cannot decode the picture: {width} x {height} pixels; from 1 x 1 to {side} pixels a side are accepted")]
    Size {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Longest side that is accepted.
        side: u32,
    },
    /// The sides are fine, the whole is not.
    #[error("cannot decode the picture: {width} x {height} pixels need {} MiB, {} are allowed", .bytes >> 20, .limit >> 20)]
    Memory {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes that it would need.
        bytes: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// The file ends too early.
    #[error("cannot decode the picture: the file ends before the picture does")]
    Truncated,
    /// The decoder gave up.
    #[error("cannot decode the picture: {0}")]
    Damaged(String),
}

/// Why there is no picture in a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is too large for a picture.
    #[error("{} has more than {} MiB, too much for a picture", .0.display(), MAX_FILE_BYTES >> 20)]
    TooLarge(PathBuf),
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Whether a file's name ends as one of a picture that can be read (jpg, jpeg, png, webp): for listing folders.
#[must_use]
pub fn is_picture_name(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png" | "webp"))
}

/// Reads and decodes a file, as [`decode`] does.
///
/// # Errors
/// [`ReadError`]; at most [`MAX_FILE_BYTES`] are read.
pub fn read(path: &Path) -> Result<RgbImage, ReadError> {
    let open = |source| ReadError::Open { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(open)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(open)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge(path.to_owned()));
    }
    Ok(decode(&bytes)?)
}

/// Decodes JPEG, PNG or WebP, told apart by content, up to [`MAX_SIDE`] pixels a side and 512 MiB.
///
/// Grey becomes three equal channels, 16 bits are scaled to 8, CMYK is converted as libjpeg's users do (without its colour profile), an alpha channel
/// is dropped without blending, of an animation the first picture is taken, and a turn that the camera noted (EXIF) is carried out.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    decode_within(bytes, Limits::default())
}

/// [`decode`] with other limits.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_within(bytes: &[u8], limits: Limits) -> Result<RgbImage, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| DecodeError::Damaged(e.to_string()))?;
    match reader.format() {
        None => return Err(DecodeError::NotAPicture),
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) => {}
        Some(other) => return Err(DecodeError::Format(format!("{other:?}").to_uppercase())),
    }
    let jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let mut decoder = reader.into_decoder().map_err(|e| reason(&e))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || width > limits.side || height > limits.side {
        return Err(DecodeError::Size { width, height, side: limits.side });
    }
    let needed = decoder.total_bytes();
    if needed > limits.bytes {
        return Err(DecodeError::Memory { width, height, bytes: needed, limit: limits.bytes });
    }
    // The decoder fills up what is missing of a JPEG with grey; that would be invented.
    if jpeg && !jpeg_is_complete(bytes) {
        return Err(DecodeError::Truncated);
    }
    let mut own = image::Limits::default();
    (own.max_image_width, own.max_image_height, own.max_alloc) = (Some(limits.side), Some(limits.side), Some(limits.bytes));
    decoder.set_limits(own).map_err(|e| reason(&e))?;
    let turn = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| reason(&e))?;
    if picture.color() != ColorType::Rgb8 {
        picture = DynamicImage::ImageRgb8(picture.into_rgb8());
    }
    picture.apply_orientation(turn);
    Ok(picture.into_rgb8())
}

/// The decoder's complaint; an early end of the file has a name of its own.
fn reason(error: &ImageError) -> DecodeError {
    let text = error.to_string();
    let early = matches!(error, ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof)
        || [
            "end of file",
            "unexpected eof",
            "unexpectedeof",
            "failed to fill whole buffer",
            "end of image data",
            "not enough bytes",
        ]
        .iter()
        .any(|words| text.to_ascii_lowercase().contains(words));
    if early { DecodeError::Truncated } else { DecodeError::Damaged(text) }
}

/// Whether an end marker follows the first scan (ITU T.81, B.1.1.3). Pictures within metadata lie before the scan; what follows the end does not
/// matter. Files whose markers cannot be followed are left to the decoder.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // A marker may be preceded by any number of fill bytes.
        let Some(marker) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b != 0xFF).map(|n| at + n)) else {
            return false;
        };
        let Some(length) = bytes.get(marker + 1..marker + 3) else { return false };
        if bytes[marker] == 0xDA {
            break bytes[marker..].windows(2).rev().any(|pair| pair == [0xFF, 0xD9]);
        }
        at = marker + 1 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        if bytes.get(at) != Some(&0xFF) {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn colours() -> RgbImage {
        RgbImage::from_fn(19, 7, |x, y| image::Rgb([x as u8 * 12, y as u8 * 30, 7]))
    }

    #[test]
    fn a_lossless_picture_survives_a_round_trip() {
        let image = colours();
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            assert_eq!(decode(&encoded(&image.clone().into(), format)).unwrap(), image);
        }
    }

    #[test]
    fn a_picture_of_one_pixel_is_a_picture() {
        let one = RgbImage::from_pixel(1, 1, image::Rgb([200, 200, 200]));
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Jpeg] {
            assert_eq!(decode(&encoded(&one.clone().into(), format)).unwrap(), one, "{format:?}");
        }
    }

    #[test]
    fn no_bytes_and_no_picture_are_told() {
        assert_eq!(decode(b""), Err(DecodeError::Empty));
        for bytes in [&b"x"[..], b"hello, this is text", &[0; 5000], b"\xff\xd8"] {
            assert_eq!(decode(bytes), Err(DecodeError::NotAPicture));
        }
        let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
        assert_eq!(decode(gif), Err(DecodeError::Format("GIF".into())));
        assert!(decode(b"BM\x3a\0\0\0").unwrap_err().to_string().contains("BMP is not read"));
    }

    #[test]
    fn every_truncation_is_an_error_and_not_a_grey_picture() {
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Jpeg] {
            let noise =
                RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * y * 7919 % 251) as u8, (x * 31) as u8, (y * 17) as u8]));
            let bytes = encoded(&noise.into(), format);
            for length in (1..bytes.len() - 20).chain([bytes.len() - 16, bytes.len() - 13]) {
                assert!(decode(&bytes[..length]).is_err(), "{format:?} of {} bytes is read with {length}", bytes.len());
            }
        }
    }

    #[test]
    fn a_file_that_claims_to_be_huge_is_refused_before_its_pixels_are_made() {
        let mut png = encoded(&RgbImage::new(1, 1).into(), ImageFormat::Png);
        // Width and height in the IHDR chunk (PNG specification, 11.2.2), and the chunk's CRC-32.
        let mut claim = |width: u32, height: u32| {
            png[16..20].copy_from_slice(&width.to_be_bytes());
            png[20..24].copy_from_slice(&height.to_be_bytes());
            let crc = crc32(&png[12..29]);
            png[29..33].copy_from_slice(&crc.to_be_bytes());
            decode(&png)
        };
        assert_eq!(claim(20_000, 20_000), Err(DecodeError::Size { width: 20_000, height: 20_000, side: 16_384 }));
        assert_eq!(claim(16_385, 1), Err(DecodeError::Size { width: 16_385, height: 1, side: 16_384 }));
        assert!(claim(u32::MAX >> 1, u32::MAX >> 1).is_err());
        let big = claim(16_384, 16_384).unwrap_err();
        assert_eq!(big, DecodeError::Memory { width: 16_384, height: 16_384, bytes: 16_384 * 16_384 * 3, limit: 512 << 20 });
        assert!(big.to_string().contains("need 768 MiB, 512 are allowed"));
        let mut jpeg = encoded(&RgbImage::new(8, 8).into(), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0x4E, 0x20, 0x4E, 0x20]);
        assert_eq!(decode(&jpeg), Err(DecodeError::Size { width: 20_000, height: 20_000, side: 16_384 }));
        let small = decode_within(&encoded(&colours().into(), ImageFormat::Png), Limits { side: 18, bytes: 1 << 20 });
        assert_eq!(small, Err(DecodeError::Size { width: 19, height: 7, side: 18 }));
    }

    /// CRC-32 of PNG chunks (PNG specification, annex D), bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |mut crc, byte| {
            crc ^= u32::from(*byte);
            (0..8).for_each(|_| crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 });
            crc
        })
    }

    #[test]
    fn files_are_read_up_to_a_size_and_failures_name_the_file() {
        let error = read(Path::new("/none/photo.jpg")).unwrap_err().to_string();
        assert!(error.contains("/none/photo.jpg"), "{error}");
        assert!(is_picture_name(Path::new("a/B.JPG")) && !is_picture_name(Path::new("clip.mp4")));
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), head in 0..4_usize) {
            let heads: [&[u8]; 4] = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x40\0\0\0WEBPVP8 "];
            let _ = decode(&[heads[head], &bytes].concat());
        }

        #[test]
        fn a_damaged_picture_never_panics(
            format in prop::sample::select(vec![ImageFormat::Png, ImageFormat::WebP, ImageFormat::Jpeg]),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        ) {
            let mut bytes = encoded(&colours().into(), format);
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(picture) = decode_within(&bytes, Limits { side: 4096, bytes: 64 << 20 }) {
                prop_assert!(picture.width() <= 4096 && picture.height() <= 4096);
            }
        }
    }
}
