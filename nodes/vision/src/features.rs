//! Numbers that describe a picture, each by its definition and each 0..1.

use image::RgbImage;

use crate::color::hue_entropy;
use crate::edges::{Gradient, canny, sobel};
use crate::gray::{GrayF, sum};

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
    /// Entropy of the grey-level co-occurrence over its largest value, 8 bits (Haralick et al. 1973).
    pub texture_glcm: f32,
    /// Entropy of the hue histogram over its largest value.
    pub color_diversity: f32,
    /// Correlation of the picture with its mirror image, mapped from -1..1 to 0..1; 1 for a flat picture.
    pub symmetry: f32,
    /// Where the edges are.
    pub layout: Layout,
}

/// Computes all features of a picture.
pub fn image_features(image: &RgbImage) -> ImageFeatures {
    features_of_look(image, &GrayF::look(image))
}

/// [`image_features`] for a picture of which the [look](GrayF::look) is at hand.
pub fn features_of_look(image: &RgbImage, look: &GrayF) -> ImageFeatures {
    let edges = canny(look, CANNY_LOW, CANNY_HIGH);
    let edge_pixels = edges.iter().filter(|e| **e).count();
    ImageFeatures {
        edge_density: if edges.is_empty() { 0.0 } else { edge_pixels as f32 / edges.len() as f32 },
        texture_complexity: pattern_entropy(look),
        texture_glcm: cooccurrence_entropy(look),
        color_diversity: hue_entropy(image),
        symmetry: symmetry(look),
        layout: layout(&sobel(look)),
    }
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

/// How much there is to see, 0..1: 0.4 edges (a quarter of all pixels is full), 0.3 texture (entropy of the local binary patterns), 0.3 objects
/// (ten are full).
pub fn complexity(features: &ImageFeatures, objects: usize) -> f32 {
    let (edges, objects) = ((features.edge_density / 0.25).min(1.0), (objects as f32 / 10.0).min(1.0));
    (0.4 * edges + 0.3 * features.texture_complexity + 0.3 * objects).clamp(0.0, 1.0)
}

/// Entropy of the grey-level co-occurrence over 8 bits: brightness in 16 steps, neighbours at a distance of 1 to the right, right above, above
/// and left above, each pair counted both ways; the mean of the four directions.
pub fn cooccurrence_entropy(gray: &GrayF) -> f32 {
    const STEPS: usize = 16;
    let steps: Vec<u8> = gray.data.iter().map(|v| ((v / 16.0) as u8).min(STEPS as u8 - 1)).collect();
    let (width, height) = (gray.width, gray.height);
    let row = |y: usize| &steps[y * width..(y + 1) * width];
    let mut total = 0.0;
    for (dx, dy) in [(1_usize, 0_usize), (1, 1), (0, 1), (usize::MAX, 1)] {
        let mut histogram = [0_u32; STEPS * STEPS];
        for y in dy..height {
            let (here, there) = (row(y), row(y - dy));
            // The pairs of a row: each pixel with the one `dx` to its right, or to its left for the last direction.
            let (here, there) = match dx {
                0 => (here, there),
                1 => (&here[..width.saturating_sub(1)], &there[1.min(width)..]),
                _ => (&here[1.min(width)..], &there[..width.saturating_sub(1)]),
            };
            here.iter().zip(there).for_each(|(a, b)| histogram[usize::from(*a) * STEPS + usize::from(*b)] += 1);
        }
        let both: Vec<u32> = (0..STEPS * STEPS).map(|at| histogram[at] + histogram[at % STEPS * STEPS + at / STEPS]).collect();
        total += entropy_bits(&both);
    }
    total / 4.0 / 8.0
}

/// Entropy of the 8-neighbour local binary patterns, over 8 bits. A neighbour counts if it is brighter than the middle by
/// more than two levels, so that sensor noise on a wall is no texture.
pub fn pattern_entropy(gray: &GrayF) -> f32 {
    // Brightness is a sum of thousandths of whole levels: half of one more, so that rounding never decides whether a difference is more than two.
    pattern_entropy_above(gray, 2.0005)
}

/// [`pattern_entropy`] with a margin of one's own. In a picture of whole levels -0.5 gives the patterns of Ojala's text, where an equally
/// bright neighbour counts.
pub fn pattern_entropy_above(gray: &GrayF, margin: f32) -> f32 {
    // Equal patterns come in runs; four histograms in turn need not wait for each other.
    let mut histograms = [[0_u32; 256]; 4];
    if gray.width < 3 {
        return 0.0;
    }
    let inner = gray.width - 2;
    let mut patterns = vec![0_u8; inner];
    for y in 1..gray.height.saturating_sub(1) {
        let cut = |y: usize, x: usize| &gray.row(y)[x..][..inner];
        let (up_left, up, up_right) = (cut(y - 1, 0), cut(y - 1, 1), cut(y - 1, 2));
        let (left, here, right) = (cut(y, 0), cut(y, 1), cut(y, 2));
        let (down_left, down, down_right) = (cut(y + 1, 0), cut(y + 1, 1), cut(y + 1, 2));
        for x in 0..inner {
            let level = here[x] + margin;
            let bit = |neighbours: &[f32], bit: u32| u32::from(neighbours[x] > level) << bit;
            let (above, below) =
                (bit(up_left, 0) | bit(up, 1) | bit(up_right, 2), bit(down_right, 4) | bit(down, 5) | bit(down_left, 6));
            patterns[x] = (above | bit(right, 3) | below | bit(left, 7)) as u8;
        }
        let (fours, rest) = patterns.as_chunks::<4>();
        for four in fours {
            histograms.iter_mut().zip(four).for_each(|(histogram, pattern)| histogram[usize::from(*pattern)] += 1);
        }
        rest.iter().for_each(|pattern| histograms[0][usize::from(*pattern)] += 1);
    }
    let mut histogram = [0_u32; 256];
    for part in histograms {
        histogram.iter_mut().zip(part).for_each(|(n, m)| *n += m);
    }
    entropy_bits(&histogram) / 8.0
}

/// Correlation of the picture with its mirror image, mapped to 0..1.
pub fn symmetry(gray: &GrayF) -> f32 {
    const LANES: usize = 8;
    let mean = gray.mean();
    let (mut same, mut mirrored) = (0.0_f64, 0.0_f64);
    let (mut row, mut mirror) = (vec![0.0; gray.width], vec![0.0; gray.width]);
    for source in gray.data.chunks_exact(gray.width.max(1)) {
        row.iter_mut().zip(source).for_each(|(a, v)| *a = v - mean);
        mirror.iter_mut().zip(row.iter().rev()).for_each(|(b, a)| *b = *a);
        let (mut squares, mut products) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let ((a, a_rest), (b, b_rest)) = (row.as_chunks::<LANES>(), mirror.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                squares[lane] += a[lane] * a[lane];
                products[lane] += a[lane] * b[lane];
            }
        }
        let rest = |x: &[f32]| a_rest.iter().zip(x).map(|(a, b)| a * b).sum::<f32>();
        same += f64::from(sum(&squares) + rest(a_rest));
        mirrored += f64::from(sum(&products) + rest(b_rest));
    }
    // Below a hundredth of a level the picture is flat, and flat is symmetric.
    if same <= 1e-4 * gray.data.len() as f64 { 1.0 } else { ((mirrored / same).clamp(-1.0, 1.0) / 2.0 + 0.5) as f32 }
}

/// Shares of the gradient's mass in the five regions.
pub fn layout(gradient: &Gradient) -> Layout {
    let mut mass = [0.0_f64; 5];
    // The first pixel of the second and of the last third.
    let thirds = |size: usize| (size.div_ceil(3), (2 * size).div_ceil(3));
    let ((middle, lower), (center, right)) = (thirds(gradient.height), thirds(gradient.width));
    for (y, row) in gradient.magnitude.chunks_exact(gradient.width.max(1)).enumerate() {
        let mut add = |region: usize, part: &[f32]| mass[region] += f64::from(sum(part));
        if y < middle {
            add(0, row);
        } else if y >= lower {
            add(1, row);
        } else {
            add(2, &row[..center]);
            add(3, &row[right..]);
            add(4, &row[center..right]);
        }
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
    fn cooccurrence_of_known_pictures() {
        assert_eq!(cooccurrence_entropy(&GrayF::from_fn(20, 10, |_, _| 90.0)), 0.0);
        // Columns of black and white by turns: to the right only the pairs black-white and white-black, 1 bit; above, the pairs
        // black-black and white-white, 1 bit; aslant as to the right.
        let columns = GrayF::from_fn(64, 64, |x, _| if x % 2 == 0 { 0.0 } else { 255.0 });
        assert!((cooccurrence_entropy(&columns) - 1.0 / 8.0).abs() < 1e-3);
        let noise = GrayF::from_fn(256, 256, |x, y| ((x * 7919 + y * 104_729 + x * y * 31) % 251) as f32);
        assert!(cooccurrence_entropy(&noise) > 0.95);
        assert_eq!(cooccurrence_entropy(&GrayF { width: 0, height: 0, data: vec![] }), 0.0);
    }

    #[test]
    fn complexity_is_the_sum_of_its_parts() {
        let none = ImageFeatures::default();
        let some = ImageFeatures { edge_density: 0.125, texture_complexity: 0.5, ..none };
        assert_eq!((complexity(&none, 0), complexity(&none, 10)), (0.0, 0.3));
        assert!((complexity(&some, 5) - 0.5).abs() < 1e-6);
        assert_eq!(complexity(&ImageFeatures { edge_density: 1.0, texture_complexity: 1.0, ..none }, 99), 1.0);
    }

    #[test]
    fn edge_density_of_a_known_picture() {
        // A bright square of 40 pixels a side: its border is one pixel wide to Canny.
        let square =
            RgbImage::from_fn(
                100,
                100,
                |x, y| if (30..70).contains(&x) && (30..70).contains(&y) { Rgb([255; 3]) } else { Rgb([0; 3]) },
            );
        let density = image_features(&square).edge_density;
        assert!((density * 10_000.0 - 156.0).abs() < 16.0, "{density}");
    }

    #[test]
    fn pictures_of_one_pixel_are_no_problem() {
        let f = image_features(&RgbImage::new(1, 1));
        assert!(f.symmetry.is_finite() && f.edge_density == 0.0);
    }
}
