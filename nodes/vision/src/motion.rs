//! Motion between two pictures: what is left of their difference after the camera's own movement is taken out.
//!
//! The camera's movement is told as a similarity transform of the picture (shift, turn, zoom): first the best whole shift of a 40 x 30
//! picture, then Lucas and Kanade's method in its inverse compositional form (Baker and Matthews 2004) on 80 x 60 and 160 x 120, with weights
//! that fall with the difference (Geman and McClure), so that what moves by itself does not pull.

use crate::gray::GrayF;

/// Size at which pictures are compared.
const WIDTH: usize = 160;
const HEIGHT: usize = 120;
/// The coarsest picture is so much smaller.
const COARSE: usize = 4;
/// Largest shift looked for at first, as a part of the picture's side.
const REACH: f32 = 0.2;
/// Differences up to this many levels are noise, and from this many on a pixel has changed wholly.
const NOISE: f32 = 6.0;
const CHANGED: f32 = 24.0;
/// Differences that count a quarter in the estimate, in levels, and rounds of it, on 80 x 60 and on 160 x 120.
const STAGES: [(f32, usize); 2] = [(30.0, 10), (15.0, 6)];
/// A turn or zoom beyond this is no camera's between two frames.
const MOST_SPIN: f32 = 0.25;
/// Neither side may be smaller, so that shifted pictures still share most of what they show.
const SMALLEST: usize = 16;
/// Least part of the picture that both must show.
const COMMON: f32 = 0.4;

/// A picture made small for comparing with the next one, its brightness in whole levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MotionFrame {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

/// How the picture as a whole moved: a point of the new picture at `z` from its middle was at `zoom` times `z`, turned by `turn`, plus
/// `shift` in the old one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CameraMotion {
    /// Right and down, as parts of the picture's width.
    pub shift: [f32; 2],
    /// Clockwise, in radians.
    pub turn: f32,
    /// 1 for none.
    pub zoom: f32,
}

/// What changed between two pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    /// Share of the picture that changed beyond the camera's movement, 0..1.
    pub score: f32,
    /// The camera's movement.
    pub camera: CameraMotion,
}

/// A similarity transform in pixels about the middle, as complex numbers: `old = (1 + spin) * new + shift`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Warp {
    spin: [f32; 2],
    shift: [f32; 2],
}

impl MotionFrame {
    /// Shrinks a picture to 160 x 120.
    pub fn new(gray: &GrayF) -> Self {
        let small = gray.shrink(WIDTH, HEIGHT);
        // The conversion saturates; half a level is added to round.
        Self { width: small.width, height: small.height, levels: small.data.iter().map(|v| (v + 0.5) as u8).collect() }
    }

    /// Width, height and the levels, row by row.
    #[must_use]
    pub fn parts(&self) -> (usize, usize, &[u8]) {
        (self.width, self.height, &self.levels)
    }

    /// From what [`MotionFrame::parts`] gave; `None` if these are not so many levels.
    #[must_use]
    pub fn from_parts(width: usize, height: usize, levels: Vec<u8>) -> Option<Self> {
        (width.checked_mul(height) == Some(levels.len())).then_some(Self { width, height, levels })
    }

    /// The score of [`MotionFrame::motion_since`] alone.
    pub fn since(&self, before: &Self) -> Option<f32> {
        Some(self.motion_since(before)?.score)
    }

    /// Motion since `before`: the camera's, and the share of the picture that changed beyond it. A pixel is compared with the 3 x 3 pixels
    /// around its place in the old picture, moved as the camera was; it counts from 0 if it is at most 6 levels brighter or darker than all
    /// of them, to 1 from 24 levels on. 0 if nothing moved or only the camera did, 1 if everything changed; a thing that moved
    /// away from its place counts where it was and where it is. `None` if the sizes differ or a side is below 16 pixels.
    pub fn motion_since(&self, before: &Self) -> Option<Motion> {
        if (self.width, self.height) != (before.width, before.height) || self.width < SMALLEST || self.height < SMALLEST {
            return None;
        }
        let levels = |frame: &Self| GrayF {
            width: frame.width,
            height: frame.height,
            data: frame.levels.iter().map(|v| f32::from(*v)).collect(),
        };
        let (now, old) = (levels(self), levels(before));
        let first = coarse_shift(&now, &old);
        let mut best = (misfit(&now, &old, Warp::default())?, Warp::default());
        // From the shift and from rest: a large thing that moves over a plain background may look like a shift.
        for begin in if first == Warp::default() { vec![first] } else { vec![first, Warp::default()] } {
            let mut warp = begin;
            for (level, (soft, rounds)) in [2_usize, 1].into_iter().zip(STAGES) {
                let scale = level as f32;
                let part =
                    |gray: &GrayF| if level == 1 { gray.clone() } else { gray.shrink(gray.width / level, gray.height / level) };
                let small = Warp { spin: warp.spin, shift: warp.shift.map(|v| v / scale) };
                let found = refine(&part(&now), &part(&old), small, soft, rounds);
                warp = Warp { spin: found.spin, shift: found.shift.map(|v| v * scale) };
            }
            for candidate in [begin, warp] {
                if let Some(misfit) = misfit(&now, &old, candidate).filter(|m| *m < best.0) {
                    best = (misfit, candidate);
                }
            }
        }
        let (_, Warp { spin, shift }) = best;
        let score = changed(&now, &old, best.1);
        let camera = CameraMotion {
            shift: shift.map(|v| v / self.width as f32),
            turn: spin[1].atan2(1.0 + spin[0]),
            zoom: (1.0 + spin[0]).hypot(spin[1]),
        };
        Some(Motion { score, camera })
    }
}

/// The whole shift of the small pictures with the least mean difference, in pixels of the large ones.
fn coarse_shift(now: &GrayF, old: &GrayF) -> Warp {
    let part = |gray: &GrayF| gray.shrink((gray.width / COARSE).max(1), (gray.height / COARSE).max(1));
    let (a, b) = (part(now), part(old));
    let reach = |size: usize| (size as f32 * REACH) as isize;
    let (rx, ry) = (reach(a.width), reach(a.height));
    let mut best = (f32::INFINITY, 0, 0);
    for dy in -ry..=ry {
        for dx in -rx..=rx {
            let rows = (-dy).max(0) as usize..a.height - dy.max(0) as usize;
            let (left, width) = ((-dx).max(0) as usize, a.width - dx.unsigned_abs());
            let mut sum = 0.0;
            for y in rows.clone() {
                let (p, q) =
                    (&a.row(y)[left..][..width], &b.row((y as isize + dy) as usize)[(left as isize + dx) as usize..][..width]);
                sum += p.iter().zip(q).map(|(p, q)| (p - q).abs().min(64.0)).sum::<f32>();
            }
            let mean = sum / (rows.len() * width) as f32;
            // Of equally good shifts the smallest.
            if mean < best.0 || mean == best.0 && dx.abs() + dy.abs() < isize::abs(best.1) + isize::abs(best.2) {
                best = (mean, dx, dy);
            }
        }
    }
    let scale = |d: isize, large: usize, small: usize| d as f32 * large as f32 / small as f32;
    Warp { spin: [0.0; 2], shift: [scale(best.1, now.width, a.width), scale(best.2, now.height, a.height)] }
}

/// Where a pixel of the new picture was in the old one.
fn place(warp: &Warp, x: usize, y: usize, middle: [f32; 2]) -> [f32; 2] {
    let (zx, zy) = (x as f32 - middle[0], y as f32 - middle[1]);
    let [a, b] = [1.0 + warp.spin[0], warp.spin[1]];
    [a * zx - b * zy + warp.shift[0] + middle[0], b * zx + a * zy + warp.shift[1] + middle[1]]
}

fn middle(gray: &GrayF) -> [f32; 2] {
    [(gray.width - 1) as f32 / 2.0, (gray.height - 1) as f32 / 2.0]
}

/// The value between four pixels; `None` outside.
fn between(gray: &GrayF, [x, y]: [f32; 2]) -> Option<f32> {
    let inside = x >= 0.0 && y >= 0.0 && x <= (gray.width - 1) as f32 && y <= (gray.height - 1) as f32;
    inside.then(|| {
        let (left, top) = ((x as usize).min(gray.width - 2), (y as usize).min(gray.height - 2));
        let (tx, ty) = (x - left as f32, y - top as f32);
        let (a, b) = (&gray.row(top)[left..left + 2], &gray.row(top + 1)[left..left + 2]);
        let (above, below) = (a[0] + tx * (a[1] - a[0]), b[0] + tx * (b[1] - b[0]));
        above + ty * (below - above)
    })
}

/// Lucas and Kanade's rounds; gives back where it began if it does not settle to something that a camera does.
fn refine(now: &GrayF, old: &GrayF, begin: Warp, soft: f32, rounds: usize) -> Warp {
    let middle = middle(now);
    let mut warp = begin;
    for _ in 0..rounds {
        // Normal equations for spin (2) and shift (2).
        let (mut square, mut right) = ([[0.0_f64; 4]; 4], [0.0_f64; 4]);
        for y in 1..now.height - 1 {
            let (above, row, below) = (now.row(y - 1), now.row(y), now.row(y + 1));
            let (mut part_square, mut part_right) = ([[0.0_f32; 4]; 4], [0.0_f32; 4]);
            for x in 1..now.width - 1 {
                let Some(value) = between(old, place(&warp, x, y, middle)) else { continue };
                let (gx, gy) = ((row[x + 1] - row[x - 1]) / 2.0, (below[x] - above[x]) / 2.0);
                let (zx, zy) = (x as f32 - middle[0], y as f32 - middle[1]);
                let steepest = [gx * zx + gy * zy, gy * zx - gx * zy, gx, gy];
                let difference = value - row[x];
                let weight = (1.0 + (difference / soft).powi(2)).powi(-2);
                for (i, s) in steepest.iter().enumerate() {
                    part_right[i] += weight * s * difference;
                    for j in i..4 {
                        part_square[i][j] += weight * s * steepest[j];
                    }
                }
            }
            for i in 0..4 {
                right[i] += f64::from(part_right[i]);
                for j in i..4 {
                    square[i][j] += f64::from(part_square[i][j]);
                }
            }
        }
        let Some(step) = solve(&square, &right) else { return begin };
        // The old picture is asked at warp of the inverse of the step: (1 + spin) / (1 + step spin) * (z - step shift) + shift.
        let [sa, sb, tx, ty] = step.map(|v| v as f32);
        let (da, db) = (1.0 + sa, sb);
        let (a, b) = (1.0 + warp.spin[0], warp.spin[1]);
        let norm = da * da + db * db;
        let (na, nb) = ((a * da + b * db) / norm, (b * da - a * db) / norm);
        warp = Warp { spin: [na - 1.0, nb], shift: [warp.shift[0] - (na * tx - nb * ty), warp.shift[1] - (nb * tx + na * ty)] };
        let bad = |v: f32, most: f32| !(v.abs() <= most);
        if warp.spin.iter().any(|v| bad(*v, MOST_SPIN)) || warp.shift.iter().any(|v| bad(*v, now.width as f32 / 2.0)) {
            return begin;
        }
        if tx.abs() + ty.abs() < 0.003 && (sa.abs() + sb.abs()) * middle[0] < 0.003 {
            break;
        }
    }
    warp
}

/// Solves a symmetric system of which the upper half is given, by Cholesky's method with a little damping; `None` if it is not definite.
fn solve(upper: &[[f64; 4]; 4], right: &[f64; 4]) -> Option<[f64; 4]> {
    let mut l = [[0.0_f64; 4]; 4];
    for i in 0..4 {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            if i == j {
                let rest = upper[i][i] * (1.0 + 1e-6) + 1e-9 - sum;
                if !(rest > 0.0) {
                    return None;
                }
                l[i][i] = rest.sqrt();
            } else {
                l[i][j] = (upper[j][i] - sum) / l[j][j];
            }
        }
    }
    let mut y = [0.0; 4];
    for i in 0..4 {
        y[i] = (right[i] - (0..i).map(|k| l[i][k] * y[k]).sum::<f64>()) / l[i][i];
    }
    let mut x = [0.0; 4];
    for i in (0..4).rev() {
        x[i] = (y[i] - (i + 1..4).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// The old picture moved to where the new one is; no number where it shows nothing.
fn moved(old: &GrayF, warp: Warp) -> Vec<f32> {
    if warp == Warp::default() {
        return old.data.clone();
    }
    let middle = middle(old);
    let pixels = (0..old.height).flat_map(|y| (0..old.width).map(move |x| (x, y)));
    pixels.map(|(x, y)| between(old, place(&warp, x, y, middle)).unwrap_or(f32::NAN)).collect()
}

/// Mean difference of the common part when the old picture is moved, of each pixel [`CHANGED`] levels at most; `None` if there is too little
/// in common.
fn misfit(now: &GrayF, old: &GrayF, warp: Warp) -> Option<f32> {
    let (mut sum, mut count) = (0.0_f32, 0_usize);
    for (value, old) in now.data.iter().zip(moved(old, warp)).filter(|(_, old)| !old.is_nan()) {
        sum += (value - old).abs().min(CHANGED);
        count += 1;
    }
    (count as f32 >= COMMON * now.data.len() as f32).then(|| sum / count as f32)
}

/// The share of the common part that changed when the old picture is moved.
fn changed(now: &GrayF, old: &GrayF, warp: Warp) -> f32 {
    let (width, height) = (now.width, now.height);
    let moved = moved(old, warp);
    let (mut sum, mut count) = (0.0_f32, 0_usize);
    for y in 0..height {
        let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &moved[y * width..][..width]);
        for (x, value) in now.row(y).iter().enumerate() {
            if rows[1][x].is_nan() {
                continue;
            }
            let columns = x.saturating_sub(1)..=(x + 1).min(width - 1);
            // The minimum and maximum leave out what is no number.
            let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
            for v in rows.iter().flat_map(|row| &row[columns.clone()]) {
                low = low.min(*v);
                high = high.max(*v);
            }
            let beyond = (low - value).max(value - high);
            sum += ((beyond - NOISE) / (CHANGED - NOISE)).clamp(0.0, 1.0);
            count += 1;
        }
    }
    sum / count.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture without repetition, seen by a camera that was moved: point `z` from the middle shows what is at `zoom z + shift`.
    fn seen(shift: [f32; 2], turn: f32, zoom: f32) -> GrayF {
        GrayF::from_fn(320, 240, |x, y| {
            let (zx, zy) = (x as f32 - 159.5, y as f32 - 119.5);
            let (sin, cos) = turn.sin_cos();
            let (x, y) = (zoom * (cos * zx - sin * zy) + shift[0], zoom * (sin * zx + cos * zy) + shift[1]);
            let waves = 50.0 * (x * 0.11 + y * 0.05).sin() + 40.0 * (x * 0.031 - y * 0.09).sin();
            let blocks = if ((x / 37.0).floor() + 3.0 * (y / 29.0).floor()).sin() > 0.3 { 25.0 } else { 0.0 };
            127.0 + waves + blocks
        })
    }

    fn still() -> GrayF {
        seen([0.0; 2], 0.0, 1.0)
    }

    /// The picture with a square of brightness 255, from its left upper corner in parts of the picture.
    fn with_square(back: &GrayF, left: f32, top: f32, side: usize) -> GrayF {
        let (left, top) = ((left * 320.0) as usize, (top * 240.0) as usize);
        let inside = |x: usize, y: usize| (left..left + side).contains(&x) && (top..top + side).contains(&y);
        GrayF::from_fn(320, 240, |x, y| if inside(x, y) { 255.0 } else { back.at(x, y) })
    }

    fn motion(before: &GrayF, now: &GrayF) -> Motion {
        MotionFrame::new(now).motion_since(&MotionFrame::new(before)).unwrap()
    }

    #[test]
    fn the_same_picture_does_not_move() {
        let motion = motion(&still(), &still());
        assert_eq!(motion.score, 0.0);
        assert_eq!(motion.camera, CameraMotion { shift: [0.0; 2], turn: 0.0, zoom: 1.0 });
    }

    #[test]
    fn black_to_white_is_full_motion() {
        assert_eq!(motion(&GrayF::from_fn(160, 120, |_, _| 0.0), &GrayF::from_fn(160, 120, |_, _| 255.0)).score, 1.0);
    }

    #[test]
    fn a_camera_that_pans_turns_and_zooms_is_not_motion_and_is_measured() {
        for (shift, turn, zoom) in [
            ([6.0, 0.0], 0.0, 1.0),
            ([-25.0, 13.0], 0.0, 1.0),
            ([41.5, -20.3], 0.0, 1.0),
            ([3.0, -2.0], 0.05, 1.0),
            ([-8.0, 5.0], -0.03, 1.04),
            ([0.0, 0.0], 0.0, 0.94),
        ] {
            let motion = motion(&still(), &seen(shift, turn, zoom));
            assert!(motion.score < 0.01, "{shift:?} {turn} {zoom}: {motion:?}");
            let camera = motion.camera;
            for (found, wanted) in camera.shift.into_iter().zip(shift) {
                assert!((found * 320.0 - wanted).abs() < 0.5, "{shift:?} {turn} {zoom}: {motion:?}");
            }
            assert!((camera.turn - turn).abs() < 0.004 && (camera.zoom - zoom).abs() < 0.004, "{motion:?}");
        }
    }

    #[test]
    fn something_that_moves_counts_by_its_share() {
        for side in [24_usize, 48, 96] {
            let share = (side * side) as f32 / (320.0 * 240.0);
            // It appears: its share. It moves away from its place: twice that.
            let appeared = motion(&still(), &with_square(&still(), 0.55, 0.4, side)).score;
            assert!((appeared / share - 1.0).abs() < 0.2, "{side}: {appeared} {share}");
            let moved = motion(&with_square(&still(), 0.1, 0.1, side), &with_square(&still(), 0.6, 0.5, side)).score;
            assert!((moved / (2.0 * share) - 1.0).abs() < 0.2, "{side}: {moved} {share}");
        }
    }

    #[test]
    fn something_that_moves_before_a_panning_camera_counts_as_before_a_still_one() {
        let panned = seen([20.0, -9.0], 0.01, 1.0);
        let share = 48.0 * 48.0 / (320.0 * 240.0);
        let score = motion(&with_square(&still(), 0.1, 0.1, 48), &with_square(&panned, 0.6, 0.5, 48)).score;
        assert!((score / (2.0 * share) - 1.0).abs() < 0.25, "{score} {share}");
    }

    #[test]
    fn a_cut_is_much_motion_and_noise_is_none() {
        let other = GrayF::from_fn(320, 240, |x, y| if (x / 20 + y / 20) % 2 == 0 { 20.0 } else { 230.0 });
        assert!(motion(&still(), &other).score > 0.4);
        let noise = |n: usize| ((n.wrapping_mul(2_654_435_761) >> 16) & 0xff) as f32 / 255.0 - 0.5;
        let noisy = GrayF::from_fn(320, 240, |x, y| 127.0 + 10.0 * noise(x * 241 + y));
        let flat = GrayF::from_fn(320, 240, |_, _| 127.0);
        assert_eq!(motion(&flat, &noisy).score, 0.0);
    }

    #[test]
    fn pictures_that_cannot_be_compared_give_none() {
        assert!(MotionFrame::new(&still()).since(&MotionFrame::new(&GrayF::from_fn(8, 8, |_, _| 0.0))).is_none());
        let tiny = MotionFrame::new(&GrayF::from_fn(1, 1, |_, _| 9.0));
        assert!(tiny.since(&tiny).is_none());
        let (width, height, levels) = (3, 2, vec![0; 5]);
        assert!(MotionFrame::from_parts(width, height, levels).is_none());
    }
}
