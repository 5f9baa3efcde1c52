//! Letters in pictures: DejaVu Sans Bold, Latin letters (`assets/README.md`).

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

/// The font lies in the program; a test loads it.
static FONT: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(include_bytes!("../assets/DejaVuSans-Bold-Latin.ttf")).ok());

/// Height of a line of letters of this size, from the highest to the lowest, in pixels.
pub(crate) fn line_height(size: f32) -> f32 {
    FONT.as_ref().map_or(0.0, |font| font.as_scaled(PxScale::from(size)).height())
}

/// Width of a text in pixels.
pub(crate) fn width(text: &str, size: f32) -> f32 {
    let mut end = 0.0;
    place(text, size, |_, _, right| end = right);
    end
}

/// Calls `dot` with column, row and coverage (0..1) of each pixel that a text touches; (0, 0) is the upper left corner of its line.
pub(crate) fn draw(text: &str, size: f32, mut dot: impl FnMut(i32, i32, f32)) {
    let Some(font) = FONT.as_ref() else { return };
    let scale = PxScale::from(size);
    let ascent = font.as_scaled(scale).ascent();
    place(text, size, |id, x, _| {
        if let Some(outline) = font.outline_glyph(id.with_scale_and_position(scale, point(x, ascent))) {
            let bounds = outline.px_bounds();
            let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
            outline.draw(|column, row, coverage| dot(left + column as i32, top + row as i32, coverage.clamp(0.0, 1.0)));
        }
    });
}

/// Calls `glyph` with each letter's outline, left edge and right edge. Letters that the font does not have are shown as its sign for that.
fn place(text: &str, size: f32, mut glyph: impl FnMut(ab_glyph::GlyphId, f32, f32)) {
    let Some(font) = FONT.as_ref() else { return };
    let scaled = font.as_scaled(PxScale::from(size));
    let (mut x, mut before) = (0.0, None);
    for c in text.chars() {
        let id = if scaled.glyph_id(c).0 == 0 { scaled.glyph_id('\u{fffd}') } else { scaled.glyph_id(c) };
        x += before.map_or(0.0, |before| scaled.kern(before, id));
        let right = x + scaled.h_advance(id);
        glyph(id, x, right);
        (x, before) = (right, Some(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(text: &str) -> Vec<(i32, i32, u8)> {
        let mut dots = Vec::new();
        draw(text, 20.0, |x, y, c| dots.push((x, y, (c * 255.0) as u8)));
        dots
    }

    #[test]
    fn letters_are_there_and_differ() {
        assert!(FONT.is_some());
        assert!(ink(" ").is_empty() && !ink("a").is_empty());
        let mut all: Vec<_> = ('!'..='~').map(|c| ink(&c.to_string())).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 94);
        assert_eq!(ink("犬"), ink("\u{fffd}"));
    }

    #[test]
    fn a_text_lies_within_its_size() {
        let (wide, high) = (width("Cup 52 %", 20.0), line_height(20.0));
        assert!(wide > 60.0 && wide < 140.0, "{wide}");
        for (x, y, _) in ink("Cup 52 %") {
            assert!((-1..=wide as i32 + 1).contains(&x) && (-1..=high as i32 + 1).contains(&y), "{x} {y}");
        }
        assert_eq!(width("", 20.0), 0.0);
        assert!(width("mm", 20.0) > width("ii", 20.0));
    }
}
