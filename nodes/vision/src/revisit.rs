//! Place recognition: whether a picture shows the place of a view that is remembered. A view keeps a small picture of itself; its keypoints are
//! found when somebody asks. XFeat's keypoints ([`crate::keypoints`]), mutual nearest
//! neighbours, and a common geometry ([`crate::geometry`]).

use image::RgbImage;
use pictures::jpeg;

use crate::frame::{Filter, FrameError, decode, resize};
use crate::geometry::{self, Common};
use crate::keypoints::{KeypointSettings, Keypoints, MIN_COSINE, matches, pairs};

/// Longer side of the small picture.
const SIDE: u32 = 480;
const QUALITY: u8 = 80;
/// How keypoints are looked for in it.
pub const SETTINGS: KeypointSettings = KeypointSettings { max: 1024, threshold: 0.05, max_side: SIDE };

/// Why a picture is not kept.
#[derive(Debug, thiserror::Error)]
pub enum SmallError {
    /// It has no pixels.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It cannot be a JPEG.
    #[error(transparent)]
    Jpeg(#[from] jpeg::JpegError),
}

/// The picture as it is kept: at most 480 pixels a side, grey, as JPEG; 10 to 40 kB.
///
/// # Errors
/// [`SmallError`].
pub fn small(image: &RgbImage) -> Result<Vec<u8>, SmallError> {
    let (width, height) = image.dimensions();
    let long = width.max(height).max(1);
    let side = |s: u32| if long > SIDE { (u64::from(s) * u64::from(SIDE) / u64::from(long)).max(1) as u32 } else { s };
    let shrunk = resize(image, side(width), side(height), Filter::Area)?;
    // As the network takes them: the mean of red, green and blue.
    let grey: Vec<u8> =
        shrunk.as_raw().as_chunks::<3>().0.iter().map(|p| (p.iter().map(|v| u16::from(*v)).sum::<u16>() / 3) as u8).collect();
    Ok(jpeg::encode("mono8", shrunk.width(), shrunk.height(), shrunk.width(), &grey, QUALITY)?)
}

/// The picture that was kept.
///
/// # Errors
/// [`FrameError`].
pub fn read(small: &[u8]) -> Result<RgbImage, FrameError> {
    decode(small)
}

/// Name and version of the check, for the provenance.
pub const TWO_VIEWS: (&str, &str) = ("two-view-geometry", "1");

/// What two pictures have in common, by their keypoints and the longer sides of the pictures.
#[must_use]
pub fn common(a: (&Keypoints, f64), b: (&Keypoints, f64)) -> Option<Common> {
    let found = matches(a.0, b.0, MIN_COSINE);
    geometry::common(&pairs(a.0, b.0, &found), [a.1, b.1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_keeps_its_shape() {
        let wide = RgbImage::from_fn(1000, 300, |x, y| image::Rgb([(x / 4) as u8, y as u8, 90]));
        let bytes = small(&wide).unwrap();
        let back = read(&bytes).unwrap();
        assert_eq!(back.dimensions(), (480, 144));
        let grey = (u16::from(wide.get_pixel(500, 150).0[0]) + 150 + 90) / 3;
        assert!(back.get_pixel(240, 72).0[1].abs_diff(grey as u8) < 8);
        assert_eq!(read(&small(&RgbImage::new(20, 30)).unwrap()).unwrap().dimensions(), (20, 30));
        assert!(small(&RgbImage::new(0, 0)).is_err() && read(b"no picture").is_err());
    }
}
