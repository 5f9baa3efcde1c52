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
    for y in 0..height {
        let row = |dy: isize| {
            let y = (y as isize + dy).clamp(0, height as isize - 1) as usize;
            &picture.data[y * width..(y + 1) * width]
        };
        let (above, here, below) = (row(-1), row(0), row(1));
        for x in 0..width {
            let (l, r) = (x.saturating_sub(1), (x + 1).min(width - 1));
            let dx = (above[r] - above[l] + 2.0 * (here[r] - here[l]) + below[r] - below[l]) / 8.0;
            let dy = (below[l] - above[l] + 2.0 * (below[x] - above[x]) + below[r] - above[r]) / 8.0;
            let at = y * width + x;
            (gradient.dx[at], gradient.dy[at], gradient.magnitude[at]) = (dx, dy, dx.hypot(dy));
        }
    }
    gradient
}

/// Binomial smoothing 1 4 6 4 1 in both directions (a Gaussian of standard deviation 1). Edges are continued.
pub fn smooth(picture: &GrayF) -> GrayF {
    let (width, height) = (picture.width, picture.height);
    let pass = |source: &[f32], dx: isize, dy: isize| -> Vec<f32> {
        let at = |x: isize, y: isize| {
            source[y.clamp(0, height as isize - 1) as usize * width + x.clamp(0, width as isize - 1) as usize]
        };
        let mut out = Vec::with_capacity(source.len());
        for y in 0..height as isize {
            for x in 0..width as isize {
                let far = at(x - 2 * dx, y - 2 * dy) + at(x + 2 * dx, y + 2 * dy);
                let near = at(x - dx, y - dy) + at(x + dx, y + dy);
                out.push((far + 4.0 * near + 6.0 * at(x, y)) / 16.0);
            }
        }
        out
    };
    let horizontal = pass(&picture.data, 1, 0);
    GrayF { width, height, data: pass(&horizontal, 0, 1) }
}

/// Canny's edges: `true` where the gradient has a ridge above `high`, or above `low` and connected to such a place.
/// Thresholds in brightness levels per pixel.
pub fn canny(picture: &GrayF, low: f32, high: f32) -> Vec<bool> {
    let gradient = sobel(&smooth(picture));
    let (width, height) = (gradient.width, gradient.height);
    let mut edge = vec![false; width * height];
    if width < 3 || height < 3 {
        return edge;
    }
    let ridge = |x: usize, y: usize| {
        let at = y * width + x;
        let m = gradient.magnitude[at];
        // The neighbour across the edge: the gradient's direction rounded to eight.
        let (dx, dy) = (gradient.dx[at], gradient.dy[at]);
        let (ax, ay) = (dx.abs(), dy.abs());
        // Tangent of 22.5 degrees.
        const T: f32 = 0.414_213_56;
        let step_x: isize = if ax < ay * T {
            0
        } else if dx > 0.0 {
            1
        } else {
            -1
        };
        let step_y: isize = if ay < ax * T {
            0
        } else if dy > 0.0 {
            1
        } else {
            -1
        };
        let neighbour = |sign: isize| {
            gradient.magnitude[((y as isize + sign * step_y) as usize) * width + (x as isize + sign * step_x) as usize]
        };
        // A plateau of two equal pixels gives one edge pixel.
        m > neighbour(1) && m >= neighbour(-1)
    };
    let mut candidate = vec![false; width * height];
    let mut stack = Vec::new();
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let at = y * width + x;
            if gradient.magnitude[at] >= low && ridge(x, y) {
                candidate[at] = true;
                if gradient.magnitude[at] >= high {
                    stack.push(at);
                    edge[at] = true;
                }
            }
        }
    }
    while let Some(at) = stack.pop() {
        let (x, y) = (at % width, at / width);
        for ny in y - 1..=y + 1 {
            for nx in x - 1..=x + 1 {
                let n = ny * width + nx;
                if candidate[n] && !edge[n] {
                    edge[n] = true;
                    stack.push(n);
                }
            }
        }
    }
    edge
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
