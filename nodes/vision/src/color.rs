//! Colour: CIE Lab, dominant colours, hue diversity, lighting.

use std::ops::Range;
use std::sync::LazyLock;

use image::RgbImage;

use crate::features::entropy_bits;
use crate::gray::{GrayF, luma};

/// Colours looked for at most.
const CLUSTERS: usize = 5;
/// Pixels that the clustering looks at, at most.
const SAMPLES: usize = 2048;
/// Pixels that the hue histogram looks at, at most.
const HUE_SAMPLES: usize = 8192;
/// Rounds of k-means at most.
const ROUNDS: usize = 20;
/// Clusters smaller than this share are not reported.
const SMALLEST_SHARE: f32 = 0.02;
/// The clustering ends when no centre moves farther in Lab.
const SETTLED: f32 = 0.1;
/// Clusters nearer than this in Lab are one colour. 2.3 is a just noticeable difference (Mahy et al. 1994).
const SAME_COLOR: f32 = 6.0;

/// One of the colours that make up a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DominantColor {
    /// Red, green, blue.
    pub rgb: [u8; 3],
    /// Share of the pixels, 0..1.
    pub share: f32,
}

/// How a picture is lit. Numbers as in omnimind_msgs/SceneAnalysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Lighting {
    /// Not known (no pixels).
    Unknown = 0,
    /// Hardly anything to see.
    Dark = 1,
    /// Little light.
    Dim = 2,
    /// Well lit.
    Normal = 3,
    /// Much light.
    Bright = 4,
    /// A dark middle before a bright surrounding.
    Backlit = 5,
}

impl Lighting {
    /// The lower case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Dark => "dark",
            Self::Dim => "dim",
            Self::Normal => "normal",
            Self::Bright => "bright",
            Self::Backlit => "backlit",
        }
    }
}

/// sRGB to CIE Lab with the D65 white point (IEC 61966-2-1, CIE 15).
pub fn lab_from_rgb(rgb: [u8; 3]) -> [f32; 3] {
    static LINEAR: LazyLock<[f32; 256]> = LazyLock::new(|| {
        std::array::from_fn(|v| {
            let v = v as f32 / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        })
    });
    let linear = &*LINEAR;
    let [r, g, b] = rgb.map(|v| linear[usize::from(v)]);
    let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
    let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
    let z = (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83;
    let [fx, fy, fz] = [x, y, z].map(|t| if t > 0.008_856 { cube_root(t) } else { 7.787 * t + 16.0 / 116.0 });
    [116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)]
}

/// Cube root of a positive number, to the precision of `f32`: a third of the exponent, then Halley's method twice.
fn cube_root(value: f32) -> f32 {
    // Nearest over an octave to within 3.5 % (Kahan, "Computing a real cube root", 1991).
    let mut root = f32::from_bits(value.to_bits() / 3 + 0x2a51_19f2);
    for _ in 0..2 {
        let cube = root * root * root;
        root *= (cube + 2.0 * value) / (2.0 * cube + value);
    }
    root
}

/// A regular sample of at most so many pixels. The distance between them is odd, so that they do not fall into few columns of
/// the usual widths.
fn sample(image: &RgbImage, most: usize) -> impl Iterator<Item = [u8; 3]> {
    let (pixels, _) = image.as_raw().as_chunks::<3>();
    pixels.iter().step_by(pixels.len().div_ceil(most).max(1) | 1).copied()
}

fn distance2(a: &[f32; 3], b: &[f32; 3]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// So many samples are computed together.
const LANES: usize = 8;
/// The cluster of a lane that no sample is in.
const NONE: u32 = u32::MAX;

/// Lab of [`LANES`] samples: all `L`, all `a`, all `b`.
type Block = [[f32; LANES]; 3];

/// The squared distances of the samples of a block to a colour.
fn distances2(block: &Block, color: &[f32; 3]) -> [f32; LANES] {
    std::array::from_fn(|lane| {
        let [l, a, b] = [0, 1, 2].map(|channel| block[channel][lane] - color[channel]);
        l * l + a * a + b * b
    })
}

/// For each sample the number of the nearest colour, the first of equally near ones; [`NONE`] in the lanes after `count`.
fn nearest(blocks: &[Block], count: usize, colors: &[[f32; 3]], clusters: &mut [[u32; LANES]]) {
    for (block, cluster) in blocks.iter().zip(clusters.iter_mut()) {
        let mut least = [f32::INFINITY; LANES];
        let mut best = [0_u32; LANES];
        for (number, color) in colors.iter().enumerate() {
            let distances = distances2(block, color);
            for lane in 0..LANES {
                let nearer = distances[lane] < least[lane];
                best[lane] = if nearer { number as u32 } else { best[lane] };
                least[lane] = if nearer { distances[lane] } else { least[lane] };
            }
        }
        *cluster = best;
    }
    clusters.as_flattened_mut()[count..].fill(NONE);
}

/// Sum of a value over the samples of a cluster. Others are masked out by their bits, which is computed for all lanes at once.
fn total<'a>(blocks: &'a [Block], clusters: &[[u32; LANES]], number: u32, value: impl Fn(&'a Block) -> &'a [f32; LANES]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (block, cluster) in blocks.iter().zip(clusters) {
        let values = value(block);
        let masked: [f32; LANES] = std::array::from_fn(|lane| {
            let mask = u32::from(cluster[lane] == number).wrapping_neg();
            f32::from_bits(values[lane].to_bits() & mask)
        });
        sums.iter_mut().zip(masked).for_each(|(sum, v)| *sum += v);
    }
    sums.iter().sum()
}

/// Mean Lab of the samples of a cluster; `None` if it has none.
fn center(blocks: &[Block], clusters: &[[u32; LANES]], number: u32) -> Option<[f32; 3]> {
    let count = total(blocks, clusters, number, |_| &[1.0; LANES]);
    (count > 0.0).then(|| [0, 1, 2].map(|channel| total(blocks, clusters, number, |block| &block[channel]) / count))
}

/// Where the clustering begins: the first sample, then each time the one that is farthest from all chosen ones.
fn farthest(samples: &[[u8; 3]], blocks: &[Block], first: [u8; 3]) -> Vec<[f32; 3]> {
    let mut centers = vec![lab_from_rgb(first)];
    // Of each sample the squared distance to its nearest centre.
    let mut apart = vec![[f32::INFINITY; LANES]; blocks.len()];
    while let Some(newest) = centers.last()
        && centers.len() < CLUSTERS
    {
        for (block, apart) in blocks.iter().zip(&mut apart) {
            let distances = distances2(block, newest);
            apart.iter_mut().zip(distances).for_each(|(a, d)| *a = if d < *a { d } else { *a });
        }
        // The first of equally far samples, for the same answer everywhere.
        let all = apart.as_flattened()[..samples.len()].iter().enumerate();
        match all.reduce(|a, b| if b.1 > a.1 { b } else { a }) {
            Some((far, distance)) if *distance > SAME_COLOR * SAME_COLOR => centers.push(lab_from_rgb(samples[far])),
            _ => break,
        }
    }
    centers
}

/// Where the clustering begins, too: the sample in the middle of their order by lightness, then each time the one in the middle of the
/// squared distances to the chosen ones, so that few far samples count little.
fn halfway(samples: &[[u8; 3]], blocks: &[Block]) -> Vec<[f32; 3]> {
    let lightness = |at: usize| blocks[at / LANES][0][at % LANES];
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by(|a, b| lightness(*a).total_cmp(&lightness(*b)).then(a.cmp(b)));
    let mut centers = vec![lab_from_rgb(samples[order[order.len() / 2]])];
    let mut apart = vec![f32::INFINITY; samples.len()];
    while let Some(newest) = centers.last()
        && centers.len() < CLUSTERS
    {
        for (at, apart) in apart.iter_mut().enumerate() {
            *apart = apart.min(distance2(&lab_from_block(blocks, at), newest));
        }
        let half = apart.iter().sum::<f32>() / 2.0;
        let mut sum = 0.0;
        let middle = order.iter().find(|at| {
            sum += apart[**at];
            sum > half
        });
        match middle {
            Some(at) if apart[*at] > SAME_COLOR * SAME_COLOR / 4.0 => centers.push(lab_from_block(blocks, *at)),
            _ => break,
        }
    }
    centers
}

fn lab_from_block(blocks: &[Block], at: usize) -> [f32; 3] {
    [0, 1, 2].map(|channel| blocks[at / LANES][channel][at % LANES])
}

/// Lloyd's rounds, and again without the clusters that are too small to be reported: the centres, the cluster of each sample, and the sum of
/// the squared distances.
fn settle(blocks: &[Block], count: usize, mut centers: Vec<[f32; 3]>) -> (Vec<[f32; 3]>, Vec<[u32; LANES]>, f32) {
    let mut clusters = vec![[NONE; LANES]; blocks.len()];
    loop {
        for _ in 0..ROUNDS {
            nearest(blocks, count, &centers, &mut clusters);
            let next: Vec<[f32; 3]> =
                centers.iter().zip(0..).map(|(old, number)| center(blocks, &clusters, number).unwrap_or(*old)).collect();
            let settled = next.iter().zip(&centers).all(|(a, b)| distance2(a, b) < SETTLED * SETTLED);
            centers = next;
            if settled {
                break;
            }
        }
        nearest(blocks, count, &centers, &mut clusters);
        let large = |number: &u32| total(blocks, &clusters, *number, |_| &[1.0; LANES]) >= SMALLEST_SHARE * count as f32;
        let kept: Vec<[f32; 3]> =
            centers.iter().zip(0..).filter(|(_, number)| large(number)).map(|(center, _)| *center).collect();
        // Of a few clusters one is always large enough.
        if kept.len() == centers.len() || kept.is_empty() {
            break;
        }
        centers = kept;
    }
    let mut apart = 0.0;
    for (at, number) in clusters.as_flattened()[..count].iter().enumerate() {
        apart += distance2(&lab_from_block(blocks, at), &centers[*number as usize]);
    }
    (centers, clusters, apart)
}

/// The colours that make up a picture, the largest share first: k-means in Lab over a regular sample of 2048 pixels at most,
/// begun twice, with the farthest samples and with samples halfway through the squared distances, of which the better result stays; the same picture
/// always gives the same colours. Each is the mean of its pixels.
pub fn dominant_colors(image: &RgbImage) -> Vec<DominantColor> {
    let samples: Vec<[u8; 3]> = sample(image, SAMPLES).collect();
    let Some(first) = samples.first() else { return Vec::new() };
    let mut blocks: Vec<Block> = vec![[[0.0; LANES]; 3]; samples.len().div_ceil(LANES)];
    for (at, rgb) in samples.iter().enumerate() {
        let lab = lab_from_rgb(*rgb);
        (0..3).for_each(|channel| blocks[at / LANES][channel][at % LANES] = lab[channel]);
    }
    let begin = [farthest(&samples, &blocks, *first), halfway(&samples, &blocks)];
    let settled = begin.into_iter().map(|centers| settle(&blocks, samples.len(), centers));
    // The one that describes the picture better; of equally good ones the first.
    let best = settled.reduce(|a, b| if b.2 < a.2 { b } else { a });
    let Some((centers, clusters, _)) = best else { return Vec::new() };
    let mut members = vec![([0_u64; 3], 0_u64); centers.len()];
    for (rgb, cluster) in samples.iter().zip(clusters.as_flattened()) {
        let (sum, n) = &mut members[*cluster as usize];
        sum.iter_mut().zip(rgb).for_each(|(s, v)| *s += u64::from(*v));
        *n += 1;
    }
    let color = |(sum, n): &([u64; 3], u64)| DominantColor {
        rgb: sum.map(|s| ((s + n / 2) / n) as u8),
        share: *n as f32 / samples.len() as f32,
    };
    let mut colors: Vec<DominantColor> =
        members.iter().filter(|(_, n)| *n > 0).map(color).filter(|c| c.share >= SMALLEST_SHARE).collect();
    colors.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.rgb.cmp(&b.rgb)));
    colors
}

/// Entropy of the hue histogram (36 bins of 10 degrees) over its largest value, 0..1, of a regular sample of 8192 pixels at
/// most. Only pixels with a colour count: saturation and value of HSV above a tenth. A grey picture has 0.
pub fn hue_entropy(image: &RgbImage) -> f32 {
    const BINS: usize = 36;
    let mut histogram = [0_u32; BINS];
    for pixel in sample(image, HUE_SAMPLES) {
        if let Some(hue) = hue_degrees(pixel) {
            histogram[((hue * (BINS as f32 / 360.0)) as usize).min(BINS - 1)] += 1;
        }
    }
    entropy_bits(&histogram) / (BINS as f32).log2()
}

/// Hue of HSV in degrees, 0..360; `None` for a pixel without colour.
pub fn hue_degrees([r, g, b]: [u8; 3]) -> Option<f32> {
    let (r, g, b) = (f32::from(r), f32::from(g), f32::from(b));
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let spread = high - low;
    if high <= 25.5 || spread <= high * 0.1 {
        return None;
    }
    let sixth = if high == r {
        (g - b) / spread
    } else if high == g {
        2.0 + (b - r) / spread
    } else {
        4.0 + (r - g) / spread
    };
    // Only the red sixth reaches below 0; the remainder of a tiny negative number is 360, which is 0 again.
    let hue = sixth * 60.0;
    Some(if hue >= 0.0 { hue } else { (hue + 360.0) % 360.0 })
}

/// How the picture is lit, from the histogram of its luma (0..255) at the size of its [look](GrayF::look):
///
/// - backlit: a fifth of the picture or more is nearly white (above 220), a tenth or more is shade (below 64), and the middle half
///   of the picture is on average darker than what is around it by more than 50 levels;
/// - else by the mean: dark below 40, dim below 85, bright above 190, normal between.
///
/// A sheet of paper with black print is bright and not backlit: its middle is no darker than the rest.
pub fn lighting(image: &RgbImage) -> Lighting {
    lighting_of_look(&GrayF::look(image))
}

/// [`lighting`] for a picture of which the [look](GrayF::look) is at hand.
pub fn lighting_of_look(look: &GrayF) -> Lighting {
    if look.data.is_empty() {
        return Lighting::Unknown;
    }
    // Levels of the middle and of what is around it.
    let mut histograms = [[0_u32; 256]; 2];
    let (columns, rows) = (look.width / 4..look.width - look.width / 4, look.height / 4..look.height - look.height / 4);
    for y in 0..look.height {
        let row = look.row(y);
        let middle = if rows.contains(&y) { columns.clone() } else { 0..0 };
        let mut count = |part: &[f32], inside: usize| part.iter().for_each(|v| histograms[inside][usize::from(*v as u8)] += 1);
        count(&row[..middle.start], 0);
        count(&row[middle.clone()], 1);
        count(&row[middle.end..], 0);
    }
    let mass = |histogram: &[u32; 256], levels: Range<usize>| histogram[levels].iter().sum::<u32>();
    let share =
        |levels: Range<usize>| histograms.iter().map(|h| mass(h, levels.clone())).sum::<u32>() as f32 / look.data.len() as f32;
    let mean_of = |histograms: &[[u32; 256]]| {
        let n: u32 = histograms.iter().map(|h| mass(h, 0..256)).sum();
        let sum: u64 = histograms.iter().flat_map(|h| h.iter().zip(0_u64..)).map(|(n, level)| u64::from(*n) * level).sum();
        (n > 0).then(|| sum as f32 / n as f32)
    };
    if let (Some(around), Some(inside)) = (mean_of(&histograms[..1]), mean_of(&histograms[1..])) {
        if around - inside > 50.0 && share(221..256) >= 0.2 && share(0..64) >= 0.1 {
            return Lighting::Backlit;
        }
    }
    match mean_of(&histograms) {
        Some(m) if m < 40.0 => Lighting::Dark,
        Some(m) if m < 85.0 => Lighting::Dim,
        Some(m) if m > 190.0 => Lighting::Bright,
        _ => Lighting::Normal,
    }
}

/// A word for a colour, for descriptions.
pub fn color_name(rgb: [u8; 3]) -> &'static str {
    let light = luma(rgb);
    match hue_degrees(rgb) {
        None if light < 50.0 => "black",
        None if light > 205.0 => "white",
        None => "grey",
        Some(_) if light < 25.0 => "black",
        Some(h) if (15.0..45.0).contains(&h) && light < 130.0 => "brown",
        Some(h) => match h {
            h if h < 15.0 => "red",
            h if h < 45.0 => "orange",
            h if h < 70.0 => "yellow",
            h if h < 165.0 => "green",
            h if h < 200.0 => "cyan",
            h if h < 255.0 => "blue",
            h if h < 320.0 => "purple",
            _ => "red",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn lab_of_the_primaries() {
        // Lindbloom's calculator, sRGB, D65.
        for (rgb, lab) in [
            ([255, 255, 255], [100.0, 0.0, 0.0]),
            ([255, 0, 0], [53.24, 80.09, 67.20]),
            ([0, 0, 255], [32.30, 79.19, -107.86]),
            ([0, 0, 0], [0.0, 0.0, 0.0]),
        ] {
            let found = lab_from_rgb(rgb);
            assert!(distance2(&found, &lab) < 0.01, "{rgb:?} {found:?}");
        }
    }

    #[test]
    fn a_cube_root_is_as_exact_as_its_type() {
        for n in 1..20_000 {
            let value = n as f32 * 1e-4;
            assert!((cube_root(value) / value.cbrt() - 1.0).abs() < 4e-7, "{value}");
        }
    }

    #[test]
    fn the_colours_of_a_flag_come_with_their_shares() {
        let flag = RgbImage::from_fn(100, 50, |x, _| {
            if x < 50 {
                Rgb([0, 0, 200])
            } else if x < 80 {
                Rgb([250, 250, 250])
            } else {
                Rgb([200, 0, 0])
            }
        });
        let colors = dominant_colors(&flag);
        assert_eq!(colors.iter().map(|c| c.rgb).collect::<Vec<_>>(), [[0, 0, 200], [250, 250, 250], [200, 0, 0]]);
        for (color, share) in colors.iter().zip([0.5, 0.3, 0.2]) {
            assert!((color.share - share).abs() < 0.02, "{colors:?}");
        }
        assert_eq!(colors, dominant_colors(&flag));
    }

    #[test]
    fn hue_diversity_of_known_pictures() {
        assert_eq!(hue_entropy(&RgbImage::from_pixel(10, 10, Rgb([255, 0, 0]))), 0.0);
        assert_eq!(hue_entropy(&RgbImage::from_pixel(10, 10, Rgb([99, 99, 99]))), 0.0);
        let two = RgbImage::from_fn(10, 10, |x, _| if x < 5 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
        assert!((hue_entropy(&two) - 1.0 / 36.0_f32.log2()).abs() < 1e-5);
    }

    #[test]
    fn lighting_of_known_pictures() {
        for (level, expected) in [(10, Lighting::Dark), (60, Lighting::Dim), (128, Lighting::Normal), (240, Lighting::Bright)] {
            assert_eq!(lighting(&RgbImage::from_pixel(64, 48, Rgb([level; 3]))), expected);
        }
        let window =
            RgbImage::from_fn(
                64,
                48,
                |x, y| if (16..48).contains(&x) && (12..36).contains(&y) { Rgb([30; 3]) } else { Rgb([250; 3]) },
            );
        assert_eq!(lighting(&window), Lighting::Backlit);
        let page = RgbImage::from_fn(64, 48, |x, y| if x % 4 == 0 && y % 3 == 0 { Rgb([10; 3]) } else { Rgb([245; 3]) });
        assert_eq!(lighting(&page), Lighting::Bright);
        let lamp = RgbImage::from_fn(64, 48, |x, y| if (24..40).contains(&x) && y < 20 { Rgb([255; 3]) } else { Rgb([12; 3]) });
        assert_eq!(lighting(&lamp), Lighting::Dark);
        assert_eq!(lighting(&RgbImage::new(0, 0)), Lighting::Unknown);
    }

    #[test]
    fn colours_have_names() {
        for (rgb, name) in [
            ([250, 10, 10], "red"),
            ([10, 10, 240], "blue"),
            ([10, 200, 10], "green"),
            ([5, 5, 5], "black"),
            ([240, 240, 240], "white"),
            ([120, 70, 20], "brown"),
        ] {
            assert_eq!(color_name(rgb), name);
        }
    }
}
