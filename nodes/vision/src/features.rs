//! Numbers that describe a picture, each by its definition and each 0..1.

use image::RgbImage;

use crate::color::hue_entropy;
use crate::edges::{Gradient, canny, sobel};
use crate::gray::GrayF;

/// Pictures are looked at no wider than this, so that the numbers do not depend on the camera's resolution.
const LOOK_WIDTH: usize = 320;
/// Canny's thresholds in brightness levels per pixel.
const CANNY_LOW: f32 = 6.0;
const CANNY_HIGH: f32 = 14.0;

/// Where in the picture the edges are: shares of the gradient's mass, summing to 1, or all 0 without any edge.
///
/// The top and bottom thirds are whole; the middle third is split into left, centre and right thirds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Layout {
    /// Upper third.
    pub top: f32,
    /// Lower third.
    pub bottom: f32,
    /// Left of the middle third.
    pub left: f32,
    /// Right of the middle third.
    pub right: f32,
    /// Centre of the middle third.
    pub center: f32,
}

/// The numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ImageFeatures {
    /// Share of Canny edge pixels.
    pub edge_density: f32,
    /// Entropy of the local binary patterns over its largest value, 8 bits (Ojala et al. 1996).
    pub texture_complexity: f32,
    /// Entropy of the hue histogram over its largest value.
    pub color_diversity: f32,
    /// Correlation of the picture with its mirror image, mapped from -1..1 to 0..1; 1 for a flat picture.
    pub symmetry: f32,
    /// Where the edges are.
    pub layout: Layout,
}

/// Computes all features of a picture.
pub fn image_features(image: &RgbImage) -> ImageFeatures {
    let gray = look(&GrayF::from_rgb(image));
    let edges = canny(&gray, CANNY_LOW, CANNY_HIGH);
    let edge_pixels = edges.iter().filter(|e| **e).count();
    ImageFeatures {
        edge_density: if edges.is_empty() { 0.0 } else { edge_pixels as f32 / edges.len() as f32 },
        texture_complexity: pattern_entropy(&gray),
        color_diversity: hue_entropy(image),
        symmetry: symmetry(&gray),
        layout: layout(&sobel(&gray)),
    }
}

fn look(gray: &GrayF) -> GrayF {
    if gray.width <= LOOK_WIDTH {
        return gray.clone();
    }
    gray.shrink(LOOK_WIDTH, gray.height * LOOK_WIDTH / gray.width)
}

/// Shannon entropy of a histogram in bits.
pub fn entropy_bits(histogram: &[u32]) -> f32 {
    let total: u64 = histogram.iter().map(|n| u64::from(*n)).sum();
    if total == 0 {
        return 0.0;
    }
    let terms = histogram.iter().filter(|n| **n > 0).map(|n| {
        let p = f64::from(*n) / total as f64;
        -p * p.log2()
    });
    terms.sum::<f64>() as f32
}

/// Entropy of the 8-neighbour local binary patterns, over 8 bits. A neighbour counts if it is brighter than the middle by
/// more than two levels, so that sensor noise on a wall is no texture.
pub fn pattern_entropy(gray: &GrayF) -> f32 {
    const MARGIN: f32 = 2.0;
    const AROUND: [(isize, isize); 8] = [(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0)];
    let mut histogram = [0_u32; 256];
    for y in 1..gray.height.saturating_sub(1) {
        for x in 1..gray.width.saturating_sub(1) {
            let middle = gray.at(x, y) + MARGIN;
            let mut pattern = 0_usize;
            for (bit, (dx, dy)) in AROUND.iter().enumerate() {
                let brighter = gray.at((x as isize + dx) as usize, (y as isize + dy) as usize) > middle;
                pattern |= usize::from(brighter) << bit;
            }
            histogram[pattern] += 1;
        }
    }
    entropy_bits(&histogram) / 8.0
}

/// Correlation of the picture with its mirror image, mapped to 0..1.
pub fn symmetry(gray: &GrayF) -> f32 {
    let mean = f64::from(gray.mean());
    let (mut same, mut mirrored) = (0.0_f64, 0.0_f64);
    for row in gray.data.chunks_exact(gray.width.max(1)) {
        for (a, b) in row.iter().zip(row.iter().rev()) {
            let (a, b) = (f64::from(*a) - mean, f64::from(*b) - mean);
            same += a * a;
            mirrored += a * b;
        }
    }
    // Below a hundredth of a level the picture is flat, and flat is symmetric.
    if same <= 1e-4 * gray.data.len() as f64 { 1.0 } else { ((mirrored / same).clamp(-1.0, 1.0) / 2.0 + 0.5) as f32 }
}

/// Shares of the gradient's mass in the five regions.
pub fn layout(gradient: &Gradient) -> Layout {
    let mut mass = [0.0_f64; 5];
    let third = |n: usize, size: usize| (n * 3 / size.max(1)).min(2);
    for (at, magnitude) in gradient.magnitude.iter().enumerate() {
        let region = match (third(at / gradient.width, gradient.height), third(at % gradient.width, gradient.width)) {
            (0, _) => 0,
            (2, _) => 1,
            (_, 0) => 2,
            (_, 2) => 3,
            _ => 4,
        };
        mass[region] += f64::from(*magnitude);
    }
    let total: f64 = mass.iter().sum();
    if total <= 1e-6 {
        return Layout::default();
    }
    let [top, bottom, left, right, center] = mass.map(|m| (m / total) as f32);
    Layout { top, bottom, left, right, center }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_flat_picture_has_nothing() {
        let f = image_features(&RgbImage::from_pixel(64, 48, Rgb([90, 90, 90])));
        assert_eq!((f.edge_density, f.texture_complexity, f.color_diversity, f.symmetry), (0.0, 0.0, 0.0, 1.0));
        assert_eq!(f.layout, Layout::default());
    }

    #[test]
    fn symmetry_of_known_pictures() {
        let mirrored = GrayF::from_fn(40, 10, |x, _| (x as f32 - 19.5).abs());
        assert!((symmetry(&mirrored) - 1.0).abs() < 1e-6);
        let odd = GrayF::from_fn(40, 10, |x, _| x as f32);
        assert!(symmetry(&odd) < 1e-6);
    }

    #[test]
    fn entropy_of_known_histograms() {
        assert_eq!(entropy_bits(&[5, 5, 5, 5]), 2.0);
        assert_eq!(entropy_bits(&[9, 0]), 0.0);
        assert_eq!(entropy_bits(&[]), 0.0);
    }

    #[test]
    fn edges_at_the_top_show_in_the_layout() {
        let picture = RgbImage::from_fn(90, 90, |x, y| if y < 20 && (x / 5) % 2 == 0 { Rgb([255; 3]) } else { Rgb([128; 3]) });
        let f = image_features(&picture);
        assert!(f.layout.top > 0.9 && f.edge_density > 0.02, "{f:?}");
        let l = f.layout;
        assert!((l.top + l.bottom + l.left + l.right + l.center - 1.0).abs() < 1e-5);
    }

    #[test]
    fn texture_tells_noise_from_stripes() {
        let noise = GrayF::from_fn(64, 64, |x, y| ((x * 7919 + y * 104_729 + x * y * 31) % 251) as f32);
        let stripes = GrayF::from_fn(64, 64, |x, _| if x % 8 < 4 { 0.0 } else { 255.0 });
        assert!(pattern_entropy(&noise) > 0.7);
        assert!(pattern_entropy(&stripes) < 0.3);
    }

    #[test]
    fn pictures_of_one_pixel_are_no_problem() {
        let f = image_features(&RgbImage::new(1, 1));
        assert!(f.symmetry.is_finite() && f.edge_density == 0.0);
    }
}
