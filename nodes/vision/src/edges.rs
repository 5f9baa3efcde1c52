//! Edges: Sobel gradients and Canny's edge detector (Canny 1986), in plain loops.

use crate::gray::GrayF;

/// Gradient of a brightness picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Horizontal derivative, brightness levels per pixel.
    pub dx: Vec<f32>,
    /// Vertical derivative, brightness levels per pixel.
    pub dy: Vec<f32>,
    /// Length of the gradient.
    pub magnitude: Vec<f32>,
}

/// Sobel's 3 x 3 derivative over eight, so that a ramp of one level per pixel has the gradient 1. Edges are continued.
pub fn sobel(picture: &GrayF) -> Gradient {
    let (width, height) = (picture.width, picture.height);
    let mut gradient = Gradient {
        width,
        height,
        dx: vec![0.0; width * height],
        dy: vec![0.0; width * height],
        magnitude: vec![0.0; width * height],
    };
    if width == 0 || height == 0 {
        return gradient;
    }
    // The kernel is separable: weighted sums and differences of three rows, continued by a pixel on both sides.
    let (mut sums, mut differences) = (vec![0.0; width + 2], vec![0.0; width + 2]);
    let outputs = gradient.dx.chunks_exact_mut(width).zip(gradient.dy.chunks_exact_mut(width));
    for ((y, (dx, dy)), magnitude) in outputs.enumerate().zip(gradient.magnitude.chunks_exact_mut(width)) {
        let [above, here, below] = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| picture.row(y));
        for (x, (sum, difference)) in sums[1..=width].iter_mut().zip(&mut differences[1..=width]).enumerate() {
            *sum = (above[x] + 2.0 * here[x] + below[x]) / 8.0;
            *difference = (below[x] - above[x]) / 8.0;
        }
        continue_row(&mut sums, 1);
        continue_row(&mut differences, 1);
        let (left, right) = (&sums[..width], &sums[2..]);
        let (dl, dm, dr) = (&differences[..width], &differences[1..=width], &differences[2..]);
        let (dx, dy, magnitude) = (&mut dx[..width], &mut dy[..width], &mut magnitude[..width]);
        for x in 0..width {
            let (gx, gy) = (right[x] - left[x], dl[x] + 2.0 * dm[x] + dr[x]);
            (dx[x], dy[x], magnitude[x]) = (gx, gy, (gx * gx + gy * gy).sqrt());
        }
    }
    gradient
}

/// Binomial smoothing 1 4 6 4 1 in both directions (a Gaussian of standard deviation 1). Edges are continued.
pub fn smooth(picture: &GrayF) -> GrayF {
    let (width, height) = (picture.width, picture.height);
    let mut data = Vec::with_capacity(width * height);
    let mut sums = vec![0.0; width + 4];
    for y in 0..height {
        let rows = [y.saturating_sub(2), y.saturating_sub(1), y, (y + 1).min(height - 1), (y + 2).min(height - 1)];
        let [a, b, c, d, e] = rows.map(|y| picture.row(y));
        for (x, sum) in sums[2..width + 2].iter_mut().enumerate() {
            *sum = (a[x] + e[x] + 4.0 * (b[x] + d[x]) + 6.0 * c[x]) / 16.0;
        }
        continue_row(&mut sums, 2);
        data.extend(sums.array_windows().map(|[a, b, c, d, e]| (a + e + 4.0 * (b + d) + 6.0 * c) / 16.0));
    }
    GrayF { width, height, data }
}

/// Fills the first and last `margin` values of a row with their nearest neighbour within.
fn continue_row(row: &mut [f32], margin: usize) {
    let end = row.len() - margin;
    if end > margin {
        let (first, last) = (row[margin], row[end - 1]);
        row[..margin].fill(first);
        row[end..].fill(last);
    }
}

/// What a pixel is to [`canny`]: no ridge or too weak, a ridge that may be an edge, an edge.
const NOTHING: u8 = 0;
const WEAK: u8 = 1;
const EDGE: u8 = 2;

/// Canny's edges: `true` where the gradient has a ridge above `high`, or above `low` and connected to such a place.
/// Thresholds in brightness levels per pixel.
pub fn canny(picture: &GrayF, low: f32, high: f32) -> Vec<bool> {
    let gradient = sobel(&smooth(picture));
    let (width, height) = (gradient.width, gradient.height);
    if width < 3 || height < 3 {
        return vec![false; width * height];
    }
    let mut states = vec![NOTHING; width * height];
    for y in 1..height - 1 {
        ridges(&gradient, y, low, high, &mut states[y * width + 1..(y + 1) * width - 1]);
    }
    let mut stack = Vec::new();
    // Most parts have no edge, and a whole part is looked through faster than its pixels.
    const PART: usize = 16;
    for (first, part) in (0..).step_by(PART).zip(states.chunks(PART)) {
        if part.contains(&EDGE) {
            stack.extend((first..).zip(part).filter(|(_, state)| **state == EDGE).map(|(at, _)| at));
        }
    }
    // No ridge is on the border, so all eight neighbours are in the picture.
    while let Some(at) = stack.pop() {
        for n in [at - width - 1, at - width, at - width + 1, at - 1, at + 1, at + width - 1, at + width, at + width + 1] {
            if states[n] == WEAK {
                states[n] = EDGE;
                stack.push(n);
            }
        }
    }
    states.into_iter().map(|state| state == EDGE).collect()
}

/// The ridges of row `y`, from its second pixel to the last but one: where the gradient is at least `low` and larger than
/// across the edge on both sides. Of at least `high`, they are edges. All four directions are tried and one is chosen, without
/// branches, so that several pixels are computed at a time.
fn ridges(gradient: &Gradient, y: usize, low: f32, high: f32, states: &mut [u8]) {
    /// Tangent of 22.5 degrees: the gradient's direction is rounded to eight.
    const TANGENT: f32 = 0.414_213_56;
    let (width, inner) = (gradient.width, states.len());
    let cut = |y: usize, x: usize| &gradient.magnitude[y * width + x..][..inner];
    let (up_left, up, up_right) = (cut(y - 1, 0), cut(y - 1, 1), cut(y - 1, 2));
    let (left, here, right) = (cut(y, 0), cut(y, 1), cut(y, 2));
    let (down_left, down, down_right) = (cut(y + 1, 0), cut(y + 1, 1), cut(y + 1, 2));
    let (dx, dy) = (&gradient.dx[y * width + 1..][..inner], &gradient.dy[y * width + 1..][..inner]);
    for x in 0..inner {
        let (dx, dy, m) = (dx[x], dy[x], here[x]);
        let (rightwards, downwards) = (dx > 0.0, dy > 0.0);
        // A plateau of two equal pixels gives one edge pixel, the one farther along the gradient.
        let across = |forward: bool, before: f32, after: f32| {
            if forward { (m > after) & (m >= before) } else { (m > before) & (m >= after) }
        };
        let (vertical, horizontal) = (dx.abs() < dy.abs() * TANGENT, dy.abs() < dx.abs() * TANGENT);
        let falling = rightwards == downwards;
        let ridge = (vertical & across(downwards, up[x], down[x]))
            | (horizontal & across(rightwards, left[x], right[x]))
            | (!vertical & !horizontal & falling & across(downwards, up_left[x], down_right[x]))
            | (!vertical & !horizontal & !falling & across(downwards, up_right[x], down_left[x]));
        let ridge = ridge & (m >= low);
        // NOTHING, WEAK or EDGE.
        states[x] = u8::from(ridge) + u8::from(ridge & (m >= high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_has_gradient_one() {
        let g = sobel(&GrayF::from_fn(8, 8, |x, y| x as f32 - 2.0 * y as f32));
        let at = 3 * 8 + 4;
        assert_eq!((g.dx[at], g.dy[at]), (1.0, -2.0));
        assert!((g.magnitude[at] - 5.0_f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_step_gives_one_column_of_edge() {
        let edge = canny(&GrayF::from_fn(20, 10, |x, _| if x < 10 { 50.0 } else { 200.0 }), 5.0, 15.0);
        for y in 1..9 {
            assert_eq!((0..20).filter(|x| edge[y * 20 + x]).count(), 1, "row {y}");
        }
    }

    /// Ridges as by Canny's text, pixel by pixel: steps along the gradient, rounded to eight directions.
    fn ridge_by_definition(g: &Gradient, x: usize, y: usize) -> bool {
        let at = y * g.width + x;
        let (dx, dy) = (g.dx[at], g.dy[at]);
        let step = |along: f32, across: f32| match along {
            a if a.abs() < across.abs() * 0.414_213_56 => 0,
            a if a > 0.0 => 1,
            _ => -1,
        };
        let (sx, sy) = (step(dx, dy), step(dy, dx));
        let neighbour =
            |sign: isize| g.magnitude[(y as isize + sign * sy) as usize * g.width + (x as isize + sign * sx) as usize];
        g.magnitude[at] > neighbour(1) && g.magnitude[at] >= neighbour(-1)
    }

    #[test]
    fn ridges_are_those_of_the_definition() {
        let noise = GrayF::from_fn(67, 41, |x, y| ((x * 7919 + y * 104_729 + x * y * 31) % 251) as f32);
        let rings = GrayF::from_fn(50, 50, |x, y| 40.0 * ((x as f32 - 25.0).hypot(y as f32 - 25.0) * 0.5).floor() % 256.0);
        for picture in [noise, rings] {
            let gradient = sobel(&picture);
            let (width, height) = (picture.width, picture.height);
            let mut seen = 0;
            for y in 1..height - 1 {
                let mut states = vec![NOTHING; width - 2];
                ridges(&gradient, y, 5.0, 20.0, &mut states);
                for (x, state) in (1..).zip(states) {
                    let m = gradient.magnitude[y * width + x];
                    let expected = match ridge_by_definition(&gradient, x, y) {
                        true if m >= 20.0 => EDGE,
                        true if m >= 5.0 => WEAK,
                        _ => NOTHING,
                    };
                    assert_eq!(state, expected, "{x} {y}");
                    seen += usize::from(state != NOTHING);
                }
            }
            assert!(seen > 100, "{seen}");
        }
    }

    #[test]
    fn a_flat_picture_and_a_tiny_one_have_no_edge() {
        assert!(!canny(&GrayF::from_fn(20, 10, |_, _| 77.0), 1.0, 2.0).contains(&true));
        assert!(!canny(&GrayF::from_fn(2, 2, |x, _| x as f32 * 255.0), 1.0, 2.0).contains(&true));
        assert!(canny(&GrayF { width: 0, height: 0, data: vec![] }, 1.0, 2.0).is_empty());
    }

    #[test]
    fn a_weak_edge_counts_only_where_it_touches_a_strong_one() {
        // The step grows from 8 levels at the top to 160 at the bottom.
        let fading = GrayF::from_fn(20, 40, |x, y| if x < 10 { 20.0 } else { 28.0 + 4.0 * y as f32 });
        let edge = canny(&fading, 1.0, 30.0);
        assert!((2..38).all(|y| (8..12).any(|x| edge[y * 20 + x])), "weak, but connected");
        let weak = GrayF::from_fn(20, 40, |x, _| if x < 10 { 20.0 } else { 28.0 });
        assert!(!canny(&weak, 1.0, 30.0).contains(&true), "weak and alone");
    }
}
