//! Two pictures side by side, with lines between points.

use image::{Rgb, RgbImage};

/// Lines that are drawn at most: more are no picture any more.
const LINES: usize = 400;
const GAP: u32 = 8;

/// `lines` are points of `a` and of `b`, in pixels, the best first. Colours go round the circle, so that neighbours can be told apart.
pub fn side_by_side(a: &RgbImage, b: &RgbImage, lines: &[([f32; 2], [f32; 2])]) -> RgbImage {
    let offset = a.width() + GAP;
    let mut out = RgbImage::from_pixel(offset + b.width(), a.height().max(b.height()), Rgb([18, 20, 26]));
    image::imageops::replace(&mut out, a, 0, 0);
    image::imageops::replace(&mut out, b, i64::from(offset), 0);
    for (n, (from, to)) in lines.iter().take(LINES).enumerate().rev() {
        let color = hue(n as f32 * 0.618_034);
        let to = [to[0] + offset as f32, to[1]];
        line(&mut out, *from, to, color);
        for point in [*from, to] {
            dot(&mut out, point, color);
        }
    }
    out
}

fn put(image: &mut RgbImage, x: f32, y: f32, color: Rgb<u8>, share: f32) {
    let (x, y) = (x.round(), y.round());
    if x >= 0.0 && y >= 0.0 && x < image.width() as f32 && y < image.height() as f32 {
        let pixel = image.get_pixel_mut(x as u32, y as u32);
        for (p, c) in pixel.0.iter_mut().zip(color.0) {
            *p = (f32::from(*p) * (1.0 - share) + f32::from(c) * share) as u8;
        }
    }
}

fn line(image: &mut RgbImage, from: [f32; 2], to: [f32; 2], color: Rgb<u8>) {
    let steps = (to[0] - from[0]).abs().max((to[1] - from[1]).abs()).ceil().clamp(1.0, 65_536.0);
    for step in 0..=steps as u32 {
        let t = step as f32 / steps;
        put(image, from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1]), color, 0.55);
    }
}

fn dot(image: &mut RgbImage, [x, y]: [f32; 2], color: Rgb<u8>) {
    for (dx, dy) in (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dx, dy))).filter(|(dx, dy)| dx * dx + dy * dy <= 5) {
        put(image, x + dx as f32, y + dy as f32, color, 1.0);
    }
}

/// A full colour; `turns` around the circle.
fn hue(turns: f32) -> Rgb<u8> {
    let channel = |shift: f32| {
        let t = (turns + shift).fract() * 6.0;
        (255.0 * (2.0 - (t - 3.0).abs()).clamp(0.0, 1.0)) as u8
    };
    Rgb([channel(0.5), channel(0.5 - 1.0 / 3.0 + 1.0), channel(0.5 + 1.0 / 3.0)].map(|c| c.max(60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pictures_are_kept_and_joined() {
        let (a, b) = (RgbImage::from_pixel(20, 10, Rgb([9, 9, 9])), RgbImage::from_pixel(10, 30, Rgb([99, 99, 99])));
        let out = side_by_side(&a, &b, &[([5.0, 5.0], [5.0, 5.0]), ([-9.0, f32::NAN], [1e9, 0.0])]);
        assert_eq!(out.dimensions(), (20 + 8 + 10, 30));
        assert_eq!((out.get_pixel(0, 0).0, out.get_pixel(37, 29).0), ([9, 9, 9], [99, 99, 99]));
        assert_ne!(out.get_pixel(5, 5).0, [9, 9, 9]);
        assert_ne!(out.get_pixel(24, 5).0, [18, 20, 26]);
    }
}
