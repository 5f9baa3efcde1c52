//! Drawing boxes and labels into a picture.

use image::{Rgb, RgbImage};

use crate::detect::DetectedObject;
use crate::font;
use crate::labels::Category;

/// A copy of the picture with a box and a label ("CUP 52%") for each object, the weakest first so that the strongest is on
/// top. The colour tells the category.
pub fn annotate(image: &RgbImage, objects: &[DetectedObject]) -> RgbImage {
    let mut out = image.clone();
    let (width, height) = (image.width(), image.height());
    if width == 0 || height == 0 {
        return out;
    }
    let scale = (width / 160).clamp(1, 8);
    let mut order: Vec<&DetectedObject> = objects.iter().collect();
    order.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    for object in order {
        let color = color_of(object.category);
        let b = &object.bounding_box;
        let pixel = |v: f32, size: u32| ((v * size as f32) as u32).min(size - 1);
        let (left, top) = (pixel(b.x, width), pixel(b.y, height));
        let (right, bottom) = (pixel(b.x + b.width, width), pixel(b.y + b.height, height));
        let line = scale.max(2);
        fill(&mut out, left, top, right, top + line, color);
        fill(&mut out, left, bottom.saturating_sub(line), right, bottom, color);
        fill(&mut out, left, top, left + line, bottom, color);
        fill(&mut out, right.saturating_sub(line), top, right, bottom, color);
        let text = format!("{} {:.0}%", object.label, object.confidence * 100.0);
        label(&mut out, left, top, &text, scale, color);
    }
    out
}

fn label(image: &mut RgbImage, left: u32, top: u32, text: &str, scale: u32, color: Rgb<u8>) {
    let advance = (font::WIDTH + 1) * scale;
    let wide = advance * text.chars().count() as u32 + scale;
    let high = (font::HEIGHT + 2) * scale;
    // Above the box if there is room, inside it otherwise; shifted left where the picture ends.
    let y = if top >= high { top - high } else { top };
    let x = left.min(image.width().saturating_sub(wide));
    fill(image, x, y, x + wide, y + high, color);
    for (n, c) in text.chars().enumerate() {
        for (row, bits) in font::glyph(c).into_iter().enumerate() {
            for column in (0..font::WIDTH).filter(|column| bits & (1 << (font::WIDTH - 1 - column)) != 0) {
                let (px, py) = (x + scale + n as u32 * advance + column * scale, y + scale * (1 + row as u32));
                fill(image, px, py, px + scale, py + scale, Rgb([0, 0, 0]));
            }
        }
    }
}

/// Fills a rectangle, as far as it lies in the picture; right and bottom edges are outside.
fn fill(image: &mut RgbImage, left: u32, top: u32, right: u32, bottom: u32, color: Rgb<u8>) {
    for y in top..bottom.min(image.height()) {
        for x in left..right.min(image.width()) {
            image.put_pixel(x, y, color);
        }
    }
}

fn color_of(category: Category) -> Rgb<u8> {
    Rgb(match category {
        Category::Person => [255, 99, 71],
        Category::Animal => [255, 200, 60],
        Category::Vehicle => [90, 170, 255],
        Category::Building => [190, 160, 255],
        Category::Furniture => [210, 160, 110],
        Category::Plant => [110, 220, 110],
        Category::Food => [255, 150, 200],
        Category::Unknown => [120, 230, 230],
    })
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
        assert_eq!(*out.get_pixel(50, 60), color_of(Category::Unknown));
        assert_eq!(*out.get_pixel(100, 70), Rgb([1, 2, 3]));
        assert_eq!(*out.get_pixel(10, 90), Rgb([1, 2, 3]));
        assert!(out.pixels().any(|p| *p == Rgb([0, 0, 0])), "letters");
        assert_eq!(annotate(&image, &[]), image);
    }

    #[test]
    fn boxes_at_the_edge_and_tiny_pictures_are_no_problem() {
        for (w, h) in [(0, 0), (1, 1), (3, 200), (640, 480)] {
            for o in [object(0.0, 0.0, 1.0, 1.0), object(0.99, 0.99, 0.01, 0.01), object(0.9, 0.0, 0.1, 0.02)] {
                assert_eq!(annotate(&RgbImage::new(w, h), &[o]).dimensions(), (w, h));
            }
        }
    }
}
