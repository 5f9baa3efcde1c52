//! Brightness pictures as floating point, 0..255.

use image::RgbImage;

/// A single-channel picture in row-major order, 0..255.
#[derive(Debug, Clone, PartialEq)]
pub struct GrayF {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width * height` values.
    pub data: Vec<f32>,
}

impl GrayF {
    /// Luma of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
    pub fn from_rgb(image: &RgbImage) -> Self {
        let data = image.pixels().map(|p| luma(p.0)).collect();
        Self { width: image.width() as usize, height: image.height() as usize, data }
    }

    /// A picture from a function of column and row.
    pub fn from_fn(width: usize, height: usize, f: impl Fn(usize, usize) -> f32) -> Self {
        let data = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| f(x, y)).collect();
        Self { width, height, data }
    }

    /// The value at a column and row inside the picture.
    pub fn at(&self, x: usize, y: usize) -> f32 {
        self.data[y * self.width + x]
    }

    /// The value at the nearest place inside the picture.
    pub fn clamped(&self, x: isize, y: isize) -> f32 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.data[y * self.width + x]
    }

    /// Shrinks to a size by averaging the area that each pixel covers. Sides never grow; a side of 0 becomes 1.
    #[must_use]
    pub fn shrink(&self, width: usize, height: usize) -> Self {
        let (width, height) = (width.clamp(1, self.width), height.clamp(1, self.height));
        Self::from_fn(width, height, |x, y| {
            let (x0, x1) = (x * self.width / width, ((x + 1) * self.width / width).max(x * self.width / width + 1));
            let (y0, y1) = (y * self.height / height, ((y + 1) * self.height / height).max(y * self.height / height + 1));
            let mut sum = 0.0;
            for yy in y0..y1 {
                sum += self.data[yy * self.width + x0..yy * self.width + x1].iter().sum::<f32>();
            }
            sum / ((x1 - x0) * (y1 - y0)) as f32
        })
    }

    /// Mean value; 0 for an empty picture.
    pub fn mean(&self) -> f32 {
        if self.data.is_empty() { 0.0 } else { self.data.iter().sum::<f32>() / self.data.len() as f32 }
    }
}

/// Luma of one pixel, 0..255 (ITU-R BT.601).
pub fn luma([r, g, b]: [u8; 3]) -> f32 {
    0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_keeps_the_mean() {
        let picture = GrayF::from_fn(64, 48, |x, y| ((x * 7 + y * 13) % 256) as f32);
        assert!((picture.shrink(16, 12).mean() - picture.mean()).abs() < 1e-3);
        assert_eq!(picture.shrink(1000, 0).width, 64);
    }
}
