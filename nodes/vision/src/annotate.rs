//! Drawing boxes and labels into a picture.

use image::{Rgb, RgbImage};

use crate::detect::DetectedObject;
use crate::font;
use crate::labels::Category;

/// Behind letters.
const DARK: [u8; 3] = [18, 20, 26];
/// Letters.
const LIGHT: [u8; 3] = [250, 250, 250];
/// How much the dark covers, 0..1.
const COVER: f32 = 0.8;

/// A rectangle in pixels; right and bottom edge are outside.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Area {
    fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}

/// A copy of the picture with a box for each object, and on a dark ground its label, its score and, if it is followed, its number ("#3 cup
/// 52%"). The colour tells the category. The strongest objects are on top, and their labels choose their place first.
pub fn annotate(image: &RgbImage, objects: &[DetectedObject]) -> RgbImage {
    let mut out = image.clone();
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    if width == 0 || height == 0 {
        return out;
    }
    let side = width.min(height) as f32;
    let line = ((side / 220.0).round() as i64).clamp(2, 12);
    let largest = (side / 28.0).clamp(12.0, 64.0);
    let mut order: Vec<&DetectedObject> = objects.iter().collect();
    order.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    for object in order.iter().rev() {
        outline(&mut out, area_of(object, width, height), line, color_of(object.category));
    }
    let mut taken: Vec<Area> = Vec::new();
    for object in order {
        let area = area_of(object, width, height);
        // Small things have small labels, so that many have room.
        let length = (area.right - area.left).max(area.bottom - area.top) as f32;
        let text = Text::of(object, (0.2 * length).clamp(largest.min(12.0), largest));
        let place = text.place(area, width, height, &taken);
        text.draw(&mut out, place, color_of(object.category));
        taken.push(place);
    }
    out
}

fn area_of(object: &DetectedObject, width: i64, height: i64) -> Area {
    let [left, top, right, bottom] = object.bounding_box.edges();
    let pixel = |v: f32, size: i64| ((v * size as f32).round() as i64).clamp(0, size);
    Area { left: pixel(left, width), top: pixel(top, height), right: pixel(right, width), bottom: pixel(bottom, height) }
}

/// A frame of `line` pixels inside the area, with a thin dark edge on both sides so that it is seen on any ground.
fn outline(image: &mut RgbImage, area: Area, line: i64, color: [u8; 3]) {
    frame(image, Area { left: area.left - 1, top: area.top - 1, right: area.right + 1, bottom: area.bottom + 1 }, 1, DARK, 0.45);
    frame(image, area, line, color, 1.0);
    let inner = Area { left: area.left + line, top: area.top + line, right: area.right - line, bottom: area.bottom - line };
    if inner.right > inner.left && inner.bottom > inner.top {
        frame(image, inner, 1, DARK, 0.45);
    }
}

fn frame(image: &mut RgbImage, a: Area, line: i64, color: [u8; 3], cover: f32) {
    let (across, down) = (line.min((a.right - a.left + 1) / 2), line.min((a.bottom - a.top + 1) / 2));
    fill(image, Area { bottom: a.top + down, ..a }, color, cover);
    fill(image, Area { top: a.bottom - down, ..a }, color, cover);
    let (top, bottom) = (a.top + down, a.bottom - down);
    fill(image, Area { top, bottom, right: a.left + across, ..a }, color, cover);
    fill(image, Area { top, bottom, left: a.right - across, ..a }, color, cover);
}

/// What is written on one object: its number in the category's colour, its label, its score.
struct Text {
    parts: Vec<(String, bool)>,
    size: f32,
    /// Between the letters and the edge of the ground.
    margin: i64,
    width: i64,
    height: i64,
}

impl Text {
    fn of(object: &DetectedObject, size: f32) -> Self {
        let mut parts = Vec::new();
        if let Some(track) = object.track {
            parts.push((format!("#{track} "), true));
        }
        // Labels of other models may be of any length.
        let label: String = if object.label.chars().count() > 32 {
            object.label.chars().take(31).chain(['\u{2026}']).collect()
        } else {
            object.label.to_string()
        };
        parts.push((format!("{label} "), false));
        parts.push((format!("{:.0}%", object.confidence * 100.0), true));
        let margin = (size * 0.3).round() as i64;
        let letters: f32 = parts.iter().map(|(text, _)| font::width(text, size)).sum();
        let (width, height) = (letters.ceil() as i64 + 3 * margin, font::line_height(size).ceil() as i64 + margin);
        Self { parts, size, margin, width, height }
    }

    /// Above the box, inside it at the top, below it, inside it at the bottom, or further away: where there is room and no other label; over one
    /// if need be.
    fn place(&self, object: Area, width: i64, height: i64, taken: &[Area]) -> Area {
        let left = object.left.min(width - self.width).max(0);
        let at = |top: i64| Area { left, top, right: left + self.width, bottom: top + self.height };
        let near = [object.top - self.height, object.top, object.bottom, object.bottom - self.height];
        // Of things that lie on each other the labels are stacked.
        let stacked = (1..5)
            .flat_map(|n| [object.top - (n + 1) * self.height, object.top + n * self.height, object.bottom + n * self.height]);
        let places: Vec<Area> = near.into_iter().chain(stacked).map(at).collect();
        let fits = |a: &Area| a.top >= 0 && a.bottom <= height;
        let free = |a: &&Area| fits(a) && !taken.iter().any(|t| t.meets(a));
        *places.iter().find(free).or_else(|| places.iter().find(|a| fits(a))).unwrap_or(&at(0))
    }

    fn draw(&self, image: &mut RgbImage, place: Area, color: [u8; 3]) {
        fill(image, place, DARK, COVER);
        let bar = (self.margin / 2).max(2);
        fill(image, Area { right: place.left + bar, ..place }, color, 1.0);
        let mut x = (place.left + bar + self.margin) as f32;
        let y = place.top + self.margin / 2;
        for (text, colored) in &self.parts {
            let ink = if *colored { color } else { LIGHT };
            let from = x.round() as i64;
            font::draw(text, self.size, |column, row, cover| {
                blend(image, from + i64::from(column), y + i64::from(row), ink, cover);
            });
            x += font::width(text, self.size);
        }
    }
}

fn blend(image: &mut RgbImage, x: i64, y: i64, color: [u8; 3], cover: f32) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
        let mix = |under: u8, over: u8| (f32::from(under) + cover * (f32::from(over) - f32::from(under))).round() as u8;
        *pixel = Rgb([0, 1, 2].map(|n| mix(pixel.0[n], color[n])));
    }
}

/// Covers a rectangle, as far as it lies in the picture.
fn fill(image: &mut RgbImage, a: Area, color: [u8; 3], cover: f32) {
    for y in a.top.max(0)..a.bottom.min(i64::from(image.height())) {
        for x in a.left.max(0)..a.right.min(i64::from(image.width())) {
            blend(image, x, y, color, cover);
        }
    }
}

/// Colours that can be told apart on photographs, also with weak colour vision by their brightness.
fn color_of(category: Category) -> [u8; 3] {
    match category {
        Category::Person => [255, 112, 82],
        Category::Animal => [255, 205, 64],
        Category::Vehicle => [92, 180, 255],
        Category::Building => [190, 160, 255],
        Category::Furniture => [230, 170, 110],
        Category::Plant => [120, 222, 110],
        Category::Food => [255, 145, 200],
        Category::Unknown => [100, 230, 220],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::BoundingBox;

    fn object(x: f32, y: f32, width: f32, height: f32) -> DetectedObject {
        DetectedObject::new("cup", 0.52, BoundingBox { x, y, width, height })
    }

    #[test]
    fn a_box_is_drawn_and_its_inside_is_left_alone() {
        let image = RgbImage::from_pixel(200, 100, Rgb([1, 2, 3]));
        let out = annotate(&image, &[object(0.25, 0.4, 0.5, 0.5)]);
        assert_eq!(out.get_pixel(50, 60).0, color_of(Category::Unknown));
        assert_eq!(*out.get_pixel(100, 70), Rgb([1, 2, 3]));
        assert_eq!(*out.get_pixel(10, 95), Rgb([1, 2, 3]));
        assert!(out.pixels().any(|p| p.0.iter().all(|v| *v > 200)), "letters");
        assert_eq!(annotate(&image, &[]), image);
    }

    #[test]
    fn the_colour_tells_the_category_and_the_number_is_written() {
        let image = RgbImage::from_pixel(200, 100, Rgb([1, 2, 3]));
        let plain = annotate(&image, &[object(0.25, 0.4, 0.5, 0.5)]);
        let followed = annotate(&image, &[DetectedObject { track: Some(3), ..object(0.25, 0.4, 0.5, 0.5) }]);
        let person = annotate(&image, &[DetectedObject { category: Category::Person, ..object(0.25, 0.4, 0.5, 0.5) }]);
        assert_ne!(plain, followed);
        assert_eq!(person.get_pixel(50, 60).0, color_of(Category::Person));
    }

    #[test]
    fn labels_stay_in_the_picture_and_off_each_other() {
        let texts = [0.0, 0.0, 0.02, 0.01, 0.03]
            .map(|x| (Text::of(&object(x, 0.1, 0.3, 0.5), 14.0), area_of(&object(x, 0.1, 0.3, 0.5), 300, 200)));
        let mut taken: Vec<Area> = Vec::new();
        for (text, area) in &texts {
            let place = text.place(*area, 300, 200, &taken);
            assert!(place.left >= 0 && place.top >= 0 && place.right <= 300 && place.bottom <= 200);
            assert!(!taken.iter().any(|t| t.meets(&place)));
            taken.push(place);
        }
    }

    #[test]
    fn boxes_at_the_edge_long_labels_and_tiny_pictures_are_no_problem() {
        let long = DetectedObject::new(&"x".repeat(500), 0.5, BoundingBox { x: 0.9, y: 0.9, width: 0.1, height: 0.1 });
        for (w, h) in [(0, 0), (1, 1), (3, 200), (640, 480)] {
            for o in [object(0.0, 0.0, 1.0, 1.0), object(0.99, 0.99, 0.01, 0.01), object(0.9, 0.0, 0.1, 0.02), long.clone()] {
                assert_eq!(annotate(&RgbImage::new(w, h), &[o]).dimensions(), (w, h));
            }
        }
    }
}
