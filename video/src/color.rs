//! Luma and chroma to red, green, blue.

/// How a stream's colours are coded: matrix and range of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colors {
    /// Share of red and of blue in the luma.
    red: f32,
    blue: f32,
    full_range: bool,
}

impl Default for Colors {
    /// BT.601, 16 to 235: what ffmpeg and OpenCV take for a stream that does not say.
    fn default() -> Self {
        Self { red: 0.299, blue: 0.114, full_range: false }
    }
}

/// Planes of bytes, chroma at half the columns.
pub(crate) struct Planes<'a> {
    pub width: usize,
    pub height: usize,
    /// Rows of luma for a row of chroma: 1 or 2.
    pub chroma_rows: usize,
    pub planes: [&'a [u8]; 3],
}

/// [`Planes`] that own their bytes.
pub(crate) struct Narrowed {
    width: usize,
    height: usize,
    chroma_rows: usize,
    planes: [Vec<u8>; 3],
}

impl Planes<'_> {
    /// Samples of two little-endian bytes as one.
    pub fn narrow(&self, bit_depth: u8) -> Narrowed {
        let shift = bit_depth.saturating_sub(8);
        let narrow =
            |plane: &[u8]| plane.chunks_exact(2).map(|b| (u16::from_le_bytes([b[0], b[1]]) >> shift).min(255) as u8).collect();
        Narrowed { width: self.width, height: self.height, chroma_rows: self.chroma_rows, planes: self.planes.map(narrow) }
    }
}

impl Narrowed {
    pub fn borrow(&self) -> Planes<'_> {
        let [y, u, v] = &self.planes;
        Planes { width: self.width, height: self.height, chroma_rows: self.chroma_rows, planes: [y, u, v] }
    }
}

impl Colors {
    /// Matrix coefficients by their number (H.273, table 4).
    pub fn of(matrix: u8, full_range: bool) -> Self {
        let (red, blue) = match matrix {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 | 10 => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        };
        Self { red, blue, full_range }
    }

    /// Pixels, row by row; `None` if the planes are too short.
    pub fn rgb(&self, planes: &Planes) -> Option<Vec<u8>> {
        const BITS: i32 = 14;
        let (luma, chroma, black) = if self.full_range { (1.0, 1.0, 0) } else { (255.0 / 219.0, 255.0 / 224.0, 16) };
        let fixed = |v: f32| (v * (1 << BITS) as f32).round() as i32;
        let green = 1.0 - self.red - self.blue;
        let (y_scale, from_v, from_u) =
            (fixed(luma), fixed(chroma * 2.0 * (1.0 - self.red)), fixed(chroma * 2.0 * (1.0 - self.blue)));
        let green_v = fixed(chroma * 2.0 * (1.0 - self.red) * self.red / green);
        let green_u = fixed(chroma * 2.0 * (1.0 - self.blue) * self.blue / green);
        let (width, height) = (planes.width, planes.height);
        let [y, u, v] = planes.planes;
        let half = width.div_ceil(2);
        let mut out = vec![0; width.checked_mul(height)?.checked_mul(3)?];
        if width == 0 {
            return Some(out);
        }
        for (row, pixels) in out.chunks_exact_mut(3 * width).enumerate() {
            let y = y.get(row * width..(row + 1) * width)?;
            let at = row / planes.chroma_rows * half;
            let (u, v) = (u.get(at..at + half)?, v.get(at..at + half)?);
            for (x, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                let level = (i32::from(y[x]) - black) * y_scale + (1 << (BITS - 1));
                let (u, v) = (i32::from(u[x / 2]) - 128, i32::from(v[x / 2]) - 128);
                let channels = [level + from_v * v, level - green_u * u - green_v * v, level + from_u * u];
                for (channel, value) in pixel.iter_mut().zip(channels) {
                    *channel = (value >> BITS).clamp(0, 255) as u8;
                }
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pixel by H.273's equations (38 to 40, 47 to 49), in floating point.
    fn by_definition(y: u8, u: u8, v: u8, red: f64, blue: f64, full: bool) -> [f64; 3] {
        let (y, u, v) = (f64::from(y), f64::from(u), f64::from(v));
        let (y, u, v) = if full {
            (y / 255.0, (u - 128.0) / 255.0, (v - 128.0) / 255.0)
        } else {
            ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0)
        };
        let (r, b) = (y + 2.0 * (1.0 - red) * v, y + 2.0 * (1.0 - blue) * u);
        [r, (y - red * r - blue * b) / (1.0 - red - blue), b].map(|c| (c * 255.0).clamp(0.0, 255.0))
    }

    #[test]
    fn colours_are_those_of_the_equations() {
        for (matrix, red, blue) in [(1, 0.2126, 0.0722), (2, 0.299, 0.114), (6, 0.299, 0.114), (9, 0.2627, 0.0593)] {
            for full in [false, true] {
                for (y, u, v) in (0..=255)
                    .step_by(15)
                    .flat_map(|y| (0..=255).step_by(51).flat_map(move |u| (0..=255).step_by(51).map(move |v| (y, u, v))))
                {
                    let planes = Planes { width: 1, height: 1, chroma_rows: 2, planes: [&[y], &[u], &[v]] };
                    let found = Colors::of(matrix, full).rgb(&planes).unwrap();
                    for (a, b) in found.iter().zip(by_definition(y, u, v, red, blue, full)) {
                        assert!((f64::from(*a) - b).abs() < 0.52, "{matrix} {full} {y} {u} {v}: {a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn planes_that_are_too_short_are_no_picture() {
        let planes = Planes { width: 3, height: 2, chroma_rows: 2, planes: [&[0; 6], &[0; 2], &[0; 1]] };
        assert!(Colors::default().rgb(&planes).is_none());
    }
}
