//! Brightness pictures as floating point, 0..255.

use std::ops::Range;

use image::RgbImage;

/// Statistics look at pictures no wider than this, in pixels.
pub const LOOK_WIDTH: usize = 320;
/// Weights of red, green and blue in the luma of ITU-R BT.601.
const WEIGHTS: [f32; 3] = [0.299, 0.587, 0.114];

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
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut data = vec![0.0; width * height];
        luma_row(image.as_raw(), &mut data);
        Self { width, height, data }
    }

    /// The picture as the statistics look at it: luma, shrunk to a width of [`LOOK_WIDTH`] if it is wider, so that the numbers
    /// do not depend on the camera's resolution. The same as [`GrayF::from_rgb`] and [`GrayF::shrink`], but in one pass.
    pub fn look(image: &RgbImage) -> Self {
        let (from_width, from_height) = (image.width() as usize, image.height() as usize);
        if from_width <= LOOK_WIDTH || from_height == 0 {
            return Self::from_rgb(image);
        }
        let (width, height) = (LOOK_WIDTH, (from_height * LOOK_WIDTH / from_width).max(1));
        // Sums of so many rows of bytes fit into 16 bits.
        const ROWS: usize = 257;
        if from_height.div_ceil(height) > ROWS {
            return Self::from_rgb(image).shrink(width, height);
        }
        let columns: Vec<Range<usize>> = parts(from_width, width).collect();
        let mut data = Vec::with_capacity(width * height);
        let mut sums = vec![0_u16; 3 * from_width];
        let mut lumas = vec![0.0; from_width];
        for rows in parts(from_height, height) {
            let count = rows.len();
            let mut rows = image.as_raw()[rows.start * 3 * from_width..rows.end * 3 * from_width].chunks_exact(3 * from_width);
            if let Some(first) = rows.next() {
                sums.iter_mut().zip(first).for_each(|(sum, v)| *sum = u16::from(*v));
            }
            for row in rows {
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += u16::from(*v));
            }
            luma_row(&sums, &mut lumas);
            average(&lumas, &columns, count, &mut data);
        }
        Self { width, height, data }
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

    /// A row inside the picture.
    pub fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    /// The value at the nearest place inside the picture.
    pub fn clamped(&self, x: isize, y: isize) -> f32 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.data[y * self.width + x]
    }

    /// Shrinks to a size by averaging the area that each pixel covers. Sides never grow; a side of 0 becomes 1. A picture
    /// without pixels stays as it is.
    #[must_use]
    pub fn shrink(&self, width: usize, height: usize) -> Self {
        if self.data.is_empty() {
            return self.clone();
        }
        let (width, height) = (width.clamp(1, self.width), height.clamp(1, self.height));
        let columns: Vec<Range<usize>> = parts(self.width, width).collect();
        let mut data = Vec::with_capacity(width * height);
        let mut sums = vec![0.0_f32; self.width];
        for rows in parts(self.height, height) {
            let count = rows.len();
            sums.fill(0.0);
            for row in self.data[rows.start * self.width..rows.end * self.width].chunks_exact(self.width) {
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
            }
            average(&sums, &columns, count, &mut data);
        }
        Self { width, height, data }
    }

    /// Mean value; 0 for an empty picture.
    pub fn mean(&self) -> f32 {
        if self.data.is_empty() {
            return 0.0;
        }
        let rows = self.data.chunks(self.width).map(|row| f64::from(sum(row)));
        (rows.sum::<f64>() / self.data.len() as f64) as f32
    }
}

/// Splits `size` pixels into `count` parts as equal as whole pixels allow; `count` is 1..=`size`.
fn parts(size: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |n| n * size / count..(n + 1) * size / count)
}

/// Appends the mean of each range of columns; `sums` are over `rows` rows.
fn average(sums: &[f32], columns: &[Range<usize>], rows: usize, data: &mut Vec<f32>) {
    if sums.len() == 2 * columns.len() {
        let scale = 0.5 / rows as f32;
        let (pairs, _) = sums.as_chunks::<2>();
        data.extend(pairs.iter().map(|[a, b]| (a + b) * scale));
    } else {
        data.extend(columns.iter().map(|c| sums[c.clone()].iter().sum::<f32>() / (c.len() * rows) as f32));
    }
}

/// Sum in eight lanes, so that it is computed eight at a time, in the same order everywhere.
pub(crate) fn sum(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, v)| *lane += v);
    }
    lanes.iter().chain(rest).sum()
}

/// Luma of a row of red, green, blue. `out` has a third of the length.
fn luma_row<T: Copy + Into<f32>>(row: &[T], out: &mut [f32]) {
    let (pixels, _) = row.as_chunks::<3>();
    let [wr, wg, wb] = WEIGHTS;
    for (out, [r, g, b]) in out.iter_mut().zip(pixels) {
        *out = wr * (*r).into() + wg * (*g).into() + wb * (*b).into();
    }
}

/// Luma of one pixel, 0..255 (ITU-R BT.601).
pub fn luma([r, g, b]: [u8; 3]) -> f32 {
    WEIGHTS[0] * f32::from(r) + WEIGHTS[1] * f32::from(g) + WEIGHTS[2] * f32::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shrinking_keeps_the_mean() {
        let picture = GrayF::from_fn(64, 48, |x, y| ((x * 7 + y * 13) % 256) as f32);
        assert!((picture.shrink(16, 12).mean() - picture.mean()).abs() < 1e-3);
        assert_eq!(picture.shrink(1000, 0).width, 64);
        assert!(GrayF::from_fn(0, 0, |_, _| 0.0).shrink(5, 5).data.is_empty());
    }

    #[test]
    fn a_pixel_of_a_shrunk_picture_is_the_mean_of_its_area() {
        let picture = GrayF::from_fn(50, 31, |x, y| ((x * 7 + y * 13 + x * y) % 256) as f32);
        for (width, height) in [(25, 31), (7, 4), (1, 1), (50, 9)] {
            let small = picture.shrink(width, height);
            for (x, y) in [(0, 0), (width / 2, height / 2), (width - 1, height - 1)] {
                let (columns, rows) = (x * 50 / width..(x + 1) * 50 / width, y * 31 / height..(y + 1) * 31 / height);
                let values: Vec<f32> =
                    rows.flat_map(|y| columns.clone().map(move |x| (x, y))).map(|(x, y)| picture.at(x, y)).collect();
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                assert!((small.at(x, y) - mean).abs() < 1e-3);
            }
        }
    }

    proptest! {
        #[test]
        fn a_look_is_the_luma_made_small(width in 1_u32..900, height in 1_u32..40, seed in any::<u32>()) {
            let noise = |x: u32, y: u32, c: u32| (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729) ^ c.wrapping_mul(seed)) as u8;
            let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([1, 2, 3].map(|c| noise(x, y, c))));
            let whole = GrayF::from_rgb(&image);
            for (pixel, value) in image.pixels().zip(&whole.data) {
                prop_assert!((luma(pixel.0) - value).abs() < 1e-4);
            }
            let (fast, look) = (GrayF::look(&image), whole.width.min(LOOK_WIDTH));
            let slow = if look < whole.width { whole.shrink(look, whole.height * look / whole.width) } else { whole };
            prop_assert_eq!((fast.width, fast.height), (slow.width, slow.height));
            for (a, b) in fast.data.iter().zip(&slow.data) {
                prop_assert!((a - b).abs() < 1e-3, "{} {}", a, b);
            }
        }
    }
}
