//! How alike two pictures are: content (embedding), structure (SSIM) and perceptual hashes.

use image::RgbImage;

use crate::classify::cosine;
use crate::gray::GrayF;

/// Side of the square at which structure is compared.
const SSIM_SIDE: usize = 128;

/// The parts of a comparison, each 0..1, and their blend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Cosine of the embeddings, negative values as 0; `None` without an embedding model.
    pub embedding: Option<f32>,
    /// Structural similarity, negative values as 0.
    pub ssim: f32,
    /// Share of equal bits in the difference hashes, from 0.5 (chance) to 1 mapped to 0..1.
    pub dhash: f32,
    /// The same for the perceptual hashes.
    pub phash: f32,
    /// The blend: half embedding, a quarter structure, a quarter hashes; without an embedding half and half. Exactly 1 for
    /// identical pictures.
    pub score: f32,
}

/// Compares two pictures; `embeddings` are their unit vectors if a model made any.
pub fn similarity(a: &RgbImage, b: &RgbImage, embeddings: Option<(&[f32], &[f32])>) -> Similarity {
    let (ga, gb) = (GrayF::from_rgb(a), GrayF::from_rgb(b));
    let bits = |x: u64, y: u64| (1.0 - 2.0 * (x ^ y).count_ones() as f32 / 64.0).max(0.0);
    let structure = ssim(&stretch(&ga, SSIM_SIDE), &stretch(&gb, SSIM_SIDE)).max(0.0);
    let (dhash, phash) = (bits(difference_hash(&ga), difference_hash(&gb)), bits(perceptual_hash(&ga), perceptual_hash(&gb)));
    let hashes = (dhash + phash) / 2.0;
    let embedding = embeddings.map(|(x, y)| cosine(x, y).max(0.0));
    let blend = match embedding {
        Some(e) => 0.5 * e + 0.25 * structure + 0.25 * hashes,
        None => 0.5 * structure + 0.5 * hashes,
    };
    let score = if a == b { 1.0 } else { blend.clamp(0.0, 1.0) };
    Similarity { embedding, ssim: structure, dhash, phash, score }
}

/// The picture as a square: areas averaged where it shrinks, the nearest pixel where it grows.
fn stretch(gray: &GrayF, side: usize) -> GrayF {
    let small = gray.shrink(side, side);
    if small.width == side && small.height == side || small.data.is_empty() {
        return small;
    }
    GrayF::from_fn(side, side, |x, y| small.at(x * small.width / side, y * small.height / side))
}

/// Difference hash (Krawetz 2013): 8 x 8 bits row by row, the first is the highest, each whether a pixel of the 9 x 8 picture is
/// brighter than its left neighbour. The same as `dhash` of the Python package ImageHash.
pub fn difference_hash(gray: &GrayF) -> u64 {
    let small = lanczos(gray, 9, 8);
    let mut hash = 0;
    for y in 0..8 {
        for x in 0..8 {
            hash = hash << 1 | u64::from(small.at(x + 1, y) > small.at(x, y));
        }
    }
    hash
}

/// Perceptual hash (Zauner 2010): whether each of the 8 x 8 lowest cosine frequencies (DCT-II) of the 32 x 32 picture is above
/// their median, row by row, the first bit is the highest. The same as `phash` of the Python package ImageHash.
pub fn perceptual_hash(gray: &GrayF) -> u64 {
    const N: usize = 32;
    let small = lanczos(gray, N, N);
    let basis: Vec<Vec<f64>> = (0..8)
        .map(|k| (0..N).map(|n| (std::f64::consts::PI / N as f64 * (n as f64 + 0.5) * f64::from(k)).cos()).collect())
        .collect();
    let mut coefficients = Vec::with_capacity(64);
    for row in &basis {
        for column in &basis {
            let along = |y: usize| (0..N).map(|x| column[x] * f64::from(small.at(x, y))).sum::<f64>();
            coefficients.push((0..N).map(|y| row[y] * along(y)).sum::<f64>());
        }
    }
    let mut sorted = coefficients.clone();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    coefficients.iter().fold(0, |hash, c| hash << 1 | u64::from(*c > median))
}

/// Bits in which two hashes differ, 0..64.
pub fn hamming(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

/// The picture in whole levels at another size, by Lanczos' filter of three lobes over the area of a pixel, with the fixed-point numbers of
/// Pillow's `resize` (22 bits after the point, whole levels between the two directions), so that hashes agree to the bit. Black for a
/// picture without pixels.
fn lanczos(gray: &GrayF, width: usize, height: usize) -> GrayF {
    if gray.data.is_empty() {
        return GrayF::from_fn(width, height, |_, _| 0.0);
    }
    let levels: Vec<u8> = gray.data.iter().map(|v| (v + 0.5) as u8).collect();
    let (columns, rows) = (taps(gray.width, width), taps(gray.height, height));
    let narrow: Vec<u8> = levels
        .chunks_exact(gray.width)
        .flat_map(|row| columns.iter().map(|(first, weights)| weighted(weights, row[*first..].iter().copied())))
        .collect();
    GrayF::from_fn(width, height, |x, y| {
        let (first, weights) = &rows[y];
        f32::from(weighted(weights, narrow[first * width + x..].iter().step_by(width).copied()))
    })
}

const POINT: u32 = 22;

/// For each pixel of the result the first that it takes in and their weights, times 2 to the [`POINT`].
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<i32>)> {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
    let lobes = |x: f64| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 };
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let of = |n: usize| {
        let middle = (n as f64 + 0.5) * scale;
        let first = (middle - 3.0 * wide + 0.5).max(0.0) as usize;
        let last = ((middle + 3.0 * wide + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..last).map(|x| lobes((x as f64 - middle + 0.5) / wide)).collect();
        let sum: f64 = weights.iter().sum();
        let whole = |w: f64| (w / sum * f64::from(1_u32 << POINT) + 0.5_f64.copysign(w)) as i32;
        (first, weights.into_iter().map(whole).collect())
    };
    (0..to).map(of).collect()
}

fn weighted(weights: &[i32], levels: impl Iterator<Item = u8>) -> u8 {
    let sum: i64 = weights.iter().zip(levels).map(|(w, v)| i64::from(*w) * i64::from(v)).sum();
    ((sum + (1 << (POINT - 1))) >> POINT).clamp(0, 255) as u8
}

/// Mean structural similarity (Wang et al. 2004), -1..1, with a flat window of 7 x 7, unbiased variances, and constants for a
/// range of 255. 0 if the sizes differ or a side is below 7.
pub fn ssim(a: &GrayF, b: &GrayF) -> f32 {
    const WINDOW: usize = 7;
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let (width, height) = (a.width, a.height);
    if (width, height) != (b.width, b.height) || width < WINDOW || height < WINDOW {
        return 0.0;
    }
    let n = (WINDOW * WINDOW) as f64;
    let mut total = 0.0;
    // Sums over columns of WINDOW rows, moved down row by row: x, y, x*x, y*y, x*y.
    let mut columns = vec![[0.0_f64; 5]; width];
    let add = |columns: &mut [[f64; 5]], row: usize, sign: f64| {
        for (x, sums) in columns.iter_mut().enumerate() {
            let (p, q) = (f64::from(a.at(x, row)), f64::from(b.at(x, row)));
            for (sum, value) in sums.iter_mut().zip([p, q, p * p, q * q, p * q]) {
                *sum += sign * value;
            }
        }
    };
    (0..WINDOW - 1).for_each(|row| add(&mut columns, row, 1.0));
    for bottom in WINDOW - 1..height {
        add(&mut columns, bottom, 1.0);
        for right in WINDOW - 1..width {
            let mut s = [0.0; 5];
            for sums in &columns[right + 1 - WINDOW..=right] {
                s.iter_mut().zip(sums).for_each(|(t, v)| *t += v);
            }
            let (ma, mb) = (s[0] / n, s[1] / n);
            let unbiased = |sum: f64, product: f64| (sum / n - product) * n / (n - 1.0);
            let (va, vb, cov) = (unbiased(s[2], ma * ma), unbiased(s[3], mb * mb), unbiased(s[4], ma * mb));
            total += (2.0 * ma * mb + C1) * (2.0 * cov + C2) / ((ma * ma + mb * mb + C1) * (va + vb + C2));
        }
        add(&mut columns, bottom + 1 - WINDOW, -1.0);
    }
    (total / ((width - WINDOW + 1) * (height - WINDOW + 1)) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn wave(width: u32, height: u32, frequency: f32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
            let v = (127.0 + 80.0 * (frequency * x).sin() + 40.0 * (frequency * 0.7 * y + x).cos()) as u8;
            Rgb([v, v / 2, 255 - v])
        })
    }

    #[test]
    fn identical_is_one() {
        let a = wave(80, 60, 9.0);
        assert_eq!(similarity(&a, &a, None).score, 1.0);
    }

    #[test]
    fn the_same_at_another_size_is_nearer_than_another_picture() {
        let (a, small, other) = (wave(160, 120, 9.0), wave(80, 60, 9.0), wave(160, 120, 31.0));
        let (same, different) = (similarity(&a, &small, None), similarity(&a, &other, None));
        assert!(same.score > 0.8 && different.score < 0.5, "{same:?} {different:?}");
    }

    #[test]
    fn the_embedding_counts_half() {
        let (a, b) = (wave(80, 60, 9.0), wave(80, 60, 31.0));
        let (u, v) = ([1.0, 0.0], [0.0, 1.0]);
        let (near, far) = (similarity(&a, &b, Some((&u, &u))), similarity(&a, &b, Some((&u, &v))));
        assert!((near.score - far.score - 0.5).abs() < 1e-6);
    }

    #[test]
    fn ssim_agrees_with_scikit_image() {
        let a = GrayF::from_fn(32, 24, |x, y| ((x * 7 + y * 13) % 256) as f32);
        let b = GrayF::from_fn(32, 24, |x, y| ((x * 7 + y * 13 + (x * y) % 17) % 256) as f32);
        // skimage.metrics.structural_similarity(a, b, data_range=255), version 0.26.0.
        assert!((ssim(&a, &b) - 0.8531537).abs() < 1e-4, "{}", ssim(&a, &b));
        assert!((ssim(&a, &a) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn odd_sizes_are_no_problem() {
        let s = similarity(&RgbImage::new(1, 1), &wave(80, 60, 9.0), None);
        assert!((0.0..=1.0).contains(&s.score));
        assert_eq!(ssim(&GrayF::from_fn(3, 3, |_, _| 0.0), &GrayF::from_fn(3, 3, |_, _| 0.0)), 0.0);
    }
}
