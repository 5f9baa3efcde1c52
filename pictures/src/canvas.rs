//! Drawing for charts: rectangles, lines, text in Noto Sans Mono, and colours for levels.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Size and weight of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Font {
    /// 16 pixels high.
    Small,
    /// 20 pixels high.
    Medium,
    /// 24 pixels high, bold.
    Title,
}

impl Font {
    fn parts(self) -> (FontWeight, RasterHeight) {
        match self {
            Self::Small => (FontWeight::Regular, RasterHeight::Size16),
            Self::Medium => (FontWeight::Regular, RasterHeight::Size20),
            Self::Title => (FontWeight::Bold, RasterHeight::Size24),
        }
    }

    /// Height of a line in pixels.
    pub fn height(self) -> i32 {
        self.parts().1.val() as i32
    }

    /// Width of a character in pixels; all are equally wide.
    pub fn advance(self) -> i32 {
        let (weight, height) = self.parts();
        get_raster_width(weight, height) as i32
    }

    /// Width of a text in pixels.
    pub fn width(self, text: &str) -> i32 {
        self.advance() * text.chars().count() as i32
    }
}

/// A picture to draw on. What lies outside is cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct Canvas {
    image: RgbImage,
}

impl Canvas {
    /// A picture of one colour; sides of 1 to [`crate::MAX_SIDE`] pixels, others are brought there.
    pub fn new(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let side = |n: u32| n.clamp(1, crate::MAX_SIDE);
        Self { image: RgbImage::from_pixel(side(width), side(height), Rgb(colour)) }
    }

    /// The picture.
    pub fn into_image(self) -> RgbImage {
        self.image
    }

    /// Width in pixels.
    pub fn width(&self) -> i32 {
        self.image.width() as i32
    }

    /// Height in pixels.
    pub fn height(&self) -> i32 {
        self.image.height() as i32
    }

    /// Lays a colour over a pixel, `share` 0..1.
    pub fn blend(&mut self, x: i32, y: i32, colour: [u8; 3], share: f32) {
        if x < 0 || y < 0 || x >= self.width() || y >= self.height() {
            return;
        }
        let pixel = self.image.get_pixel_mut(x as u32, y as u32);
        for (old, new) in pixel.0.iter_mut().zip(colour) {
            *old = (f32::from(*old) + (f32::from(new) - f32::from(*old)) * share.clamp(0.0, 1.0)).round() as u8;
        }
    }

    /// Fills a rectangle of `width` x `height` pixels, `share` 0..1 over what is there.
    pub fn fill(&mut self, x: i32, y: i32, width: i32, height: i32, colour: [u8; 3], share: f32) {
        for row in y.max(0)..(y.saturating_add(height)).min(self.height()) {
            for column in x.max(0)..(x.saturating_add(width)).min(self.width()) {
                self.blend(column, row, colour, share);
            }
        }
    }

    /// A line of the given thickness with soft edges, from one point to another.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), thickness: f32, colour: [u8; 3]) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let reach = thickness / 2.0 + 1.0;
        let span = |a: f32, b: f32, limit: i32| {
            ((a.min(b) - reach).floor().max(0.0) as i32, ((a.max(b) + reach).ceil() as i32).min(limit - 1))
        };
        let (left, right) = span(from.0, to.0, self.width());
        let (top, bottom) = span(from.1, to.1, self.height());
        for y in top..=bottom {
            for x in left..=right {
                let (px, py) = (x as f32 + 0.5 - from.0, y as f32 + 0.5 - from.1);
                let along = if length > 0.0 { ((px * dx + py * dy) / (length * length)).clamp(0.0, 1.0) } else { 0.0 };
                let distance = (px - along * dx).hypot(py - along * dy);
                let share = (thickness / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.blend(x, y, colour, share);
                }
            }
        }
    }

    /// Writes text with its top left corner at a point. Characters that the font lacks are shown as `?`.
    pub fn text(&mut self, x: i32, y: i32, text: &str, font: Font, colour: [u8; 3]) {
        let (weight, height) = font.parts();
        for (n, c) in text.chars().enumerate() {
            let Some(glyph) = get_raster(c, weight, height).or_else(|| get_raster('?', weight, height)) else { continue };
            let left = x + n as i32 * font.advance();
            for (row, line) in glyph.rows().enumerate() {
                for (column, share) in line.iter().enumerate().filter(|(_, share)| **share > 0) {
                    self.blend(left + column as i32, y + row as i32, colour, f32::from(*share) / 255.0);
                }
            }
        }
    }
}

/// The text in lines of at most `columns` characters, cut at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let length = word.len();
        if let Some(line) = lines.last_mut().filter(|line| line.chars().count() + 1 + length <= columns) {
            line.push(' ');
            line.extend(&word);
            continue;
        }
        while word.len() > columns {
            let rest = word.split_off(columns);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        lines.push(word.into_iter().collect());
    }
    lines
}

/// The colour of a level from 0 to 1: black over violet and orange to pale yellow, ever lighter (nine points of
/// matplotlib's "magma", CC0, joined by straight lines).
pub fn magma(level: f32) -> [u8; 3] {
    const POINTS: [[u8; 3]; 9] = [
        [0, 0, 4],
        [28, 16, 68],
        [79, 18, 123],
        [129, 37, 129],
        [181, 54, 122],
        [229, 80, 100],
        [251, 135, 97],
        [254, 194, 135],
        [252, 253, 191],
    ];
    let at = if level.is_finite() { level.clamp(0.0, 1.0) } else { 0.0 } * (POINTS.len() - 1) as f32;
    let low = (at as usize).min(POINTS.len() - 2);
    let share = at - low as f32;
    std::array::from_fn(|i| {
        let (a, b) = (f32::from(POINTS[low][i]), f32::from(POINTS[low + 1][i]));
        (a + (b - a) * share).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_outside_is_cut_off() {
        let mut canvas = Canvas::new(20, 10, [1, 2, 3]);
        canvas.fill(-5, -5, 7, 7, [200, 0, 0], 1.0);
        canvas.fill(i32::MAX - 1, 0, i32::MAX, 5, [200, 0, 0], 1.0);
        canvas.line((-100.0, 5.5), (100.0, 5.5), 1.0, [0, 200, 0]);
        canvas.text(15, 5, "MMM", Font::Title, [255; 3]);
        let image = canvas.into_image();
        assert_eq!(image.get_pixel(1, 1).0, [200, 0, 0]);
        assert_eq!(image.get_pixel(2, 2).0, [1, 2, 3]);
        assert_eq!(image.get_pixel(10, 5).0, [0, 200, 0]);
        assert_eq!(image.get_pixel(10, 8).0, [1, 2, 3]);
    }

    #[test]
    fn every_letter_is_its_own_and_what_the_font_lacks_is_a_question_mark() {
        let drawn = |text: &str| {
            let mut canvas = Canvas::new(20, 24, [0; 3]);
            canvas.text(0, 0, text, Font::Small, [255; 3]);
            canvas.into_image()
        };
        assert_ne!(drawn("a"), drawn("b"));
        assert_ne!(drawn("a"), drawn("A"));
        assert_ne!(drawn("ä"), drawn("?"));
        assert_eq!(drawn("日"), drawn("?"));
        assert_eq!(Font::Small.width("abc"), 3 * Font::Small.advance());
    }

    #[test]
    fn text_is_wrapped_at_spaces_and_long_words_are_cut() {
        assert_eq!(wrap("bring the cup to the kitchen", 10), ["bring the", "cup to the", "kitchen"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert!(wrap("  ", 5).is_empty());
    }

    #[test]
    fn colours_of_levels_grow_lighter() {
        let light = |level: f32| magma(level).iter().map(|c| u32::from(*c)).sum::<u32>();
        assert!((0..100).all(|i| light(i as f32 / 100.0) <= light((i + 1) as f32 / 100.0)));
        assert_eq!((magma(-1.0), magma(2.0), magma(f32::NAN)), ([0, 0, 4], [252, 253, 191], [0, 0, 4]));
    }
}
