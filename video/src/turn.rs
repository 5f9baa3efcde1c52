//! Quarter turns that a container asks for.

use image::RgbImage;
use image::imageops::{rotate90, rotate180, rotate270};

/// How a frame is to be turned before it is shown, clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Turn {
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Turn {
    /// From the upper left of a track header's matrix (ISO/IEC 14496-12, 8.3.2), 16.16 fixed point. Mirrored or slanted pictures are shown as they are.
    pub fn of_matrix(a: i32, b: i32, c: i32, d: i32) -> Self {
        const ONE: i32 = 1 << 16;
        match (a, b, c, d) {
            (0, ONE, n, 0) if n == -ONE => Self::Quarter,
            (n, 0, 0, m) if n == -ONE && m == -ONE => Self::Half,
            (0, n, ONE, 0) if n == -ONE => Self::ThreeQuarters,
            _ => Self::None,
        }
    }

    pub fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if matches!(self, Self::Quarter | Self::ThreeQuarters) { (height, width) } else { (width, height) }
    }

    pub fn apply(self, picture: RgbImage) -> RgbImage {
        match self {
            Self::None => picture,
            Self::Quarter => rotate90(&picture),
            Self::Half => rotate180(&picture),
            Self::ThreeQuarters => rotate270(&picture),
        }
    }
}
