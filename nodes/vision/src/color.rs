//! Colour: CIE Lab, dominant colours, hue diversity, lighting.

use image::RgbImage;

use crate::features::entropy_bits;
use crate::gray::{GrayF, luma};

/// Colours looked for at most.
const CLUSTERS: usize = 5;
/// Pixels that the clustering looks at, at most.
const SAMPLES: usize = 4096;
/// Rounds of k-means at most.
const ROUNDS: usize = 20;
/// Clusters smaller than this share are not reported.
const SMALLEST_SHARE: f32 = 0.02;
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
    let [r, g, b] = rgb.map(|v| {
        let v = f32::from(v) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
    let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
    let z = (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83;
    let [fx, fy, fz] = [x, y, z].map(|t| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
    [116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)]
}

fn distance2(a: &[f32; 3], b: &[f32; 3]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// The colours that make up a picture, the largest share first: k-means in Lab over a regular sample of pixels, begun with
/// the farthest points, so that the same picture always gives the same colours. Each is the mean of its pixels.
pub fn dominant_colors(image: &RgbImage) -> Vec<DominantColor> {
    let count = (image.width() as usize) * (image.height() as usize);
    let stride = count.div_ceil(SAMPLES).max(1);
    let samples: Vec<([u8; 3], [f32; 3])> = image.pixels().step_by(stride).map(|p| (p.0, lab_from_rgb(p.0))).collect();
    let Some(first) = samples.first() else { return Vec::new() };
    let mut centers = vec![first.1];
    while centers.len() < CLUSTERS {
        let nearest = |lab: &[f32; 3]| centers.iter().map(|c| distance2(c, lab)).fold(f32::INFINITY, f32::min);
        // The first of equally far samples, for the same answer everywhere.
        let farthest = samples.iter().map(|(_, lab)| (nearest(lab), lab)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        match farthest {
            Some((far, lab)) if far > SAME_COLOR * SAME_COLOR => centers.push(*lab),
            _ => break,
        }
    }
    let nearest_of = |centers: &[[f32; 3]], lab: &[f32; 3]| {
        let distances = centers.iter().map(|c| distance2(c, lab)).enumerate();
        distances.reduce(|a, b| if b.1 < a.1 { b } else { a }).map_or(0, |(n, _)| n)
    };
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0_f32; 3], 0_u32); centers.len()];
        for (_, lab) in &samples {
            let (sum, n) = &mut sums[nearest_of(&centers, lab)];
            sum.iter_mut().zip(lab).for_each(|(s, v)| *s += v);
            *n += 1;
        }
        let next: Vec<[f32; 3]> =
            sums.iter().zip(&centers).map(|((sum, n), old)| if *n == 0 { *old } else { sum.map(|s| s / *n as f32) }).collect();
        let settled = next.iter().zip(&centers).all(|(a, b)| distance2(a, b) < 1e-4);
        centers = next;
        if settled {
            break;
        }
    }
    let mut members = vec![([0_u64; 3], 0_u64); centers.len()];
    for (rgb, lab) in &samples {
        let (sum, n) = &mut members[nearest_of(&centers, lab)];
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

/// Entropy of the hue histogram (36 bins of 10 degrees) over its largest value, 0..1. Only pixels with a colour count:
/// saturation and value of HSV above a tenth. A grey picture has 0.
pub fn hue_entropy(image: &RgbImage) -> f32 {
    const BINS: usize = 36;
    let stride = ((image.width() as usize * image.height() as usize) / 20_000).max(1);
    let mut histogram = [0_u32; BINS];
    for pixel in image.pixels().step_by(stride) {
        if let Some(hue) = hue_degrees(pixel.0) {
            histogram[((hue / 360.0 * BINS as f32) as usize).min(BINS - 1)] += 1;
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
    Some((sixth * 60.0).rem_euclid(360.0))
}

/// How the picture is lit, from its brightness (0..255): mean below 40 dark, below 85 dim, above 190 bright; backlit when
/// the middle is darker than the rest by more than 50 levels and a fifth of the picture is nearly white.
pub fn lighting(image: &RgbImage) -> Lighting {
    if image.width() == 0 || image.height() == 0 {
        return Lighting::Unknown;
    }
    let gray = GrayF::from_rgb(image).shrink(48, 48);
    let middle = |at: usize| {
        let (x, y) = (at % gray.width, at / gray.width);
        (gray.width / 4..gray.width - gray.width / 4).contains(&x)
            && (gray.height / 4..gray.height - gray.height / 4).contains(&y)
    };
    let mean_where = |inside: bool| {
        let (sum, n) =
            gray.data.iter().enumerate().filter(|(at, _)| middle(*at) == inside).fold((0.0, 0), |(s, n), (_, v)| (s + v, n + 1));
        (n > 0).then(|| sum / n as f32)
    };
    let glare = gray.data.iter().filter(|v| **v > 220.0).count() as f32 / gray.data.len() as f32;
    if let (Some(inside), Some(outside)) = (mean_where(true), mean_where(false)) {
        if outside - inside > 50.0 && glare > 0.2 {
            return Lighting::Backlit;
        }
    }
    match gray.mean() {
        m if m < 40.0 => Lighting::Dark,
        m if m < 85.0 => Lighting::Dim,
        m if m > 190.0 => Lighting::Bright,
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
