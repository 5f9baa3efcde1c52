//! Whether two pictures show the same place: whether so many of their matching keypoints fit one geometry that it cannot be chance.
//!
//! Two views of one place by a camera that moved are bound by a fundamental matrix, two views of one plane, or by a camera that only turned, by
//! a homography (Hartley and Zisserman, "Multiple View Geometry", 2nd edition, chapters 4, 9 and 11). Both are sought by RANSAC (Fischler
//! and Bolles 1981) with a fixed seed: eight points by the normalised eight-point algorithm, four points by the direct linear transform. The
//! verdict is Brown and Lowe's ("Automatic Panoramic Image Stitching using Invariant Features", 2007, section 3.2): the points that
//! fit must be more than a number and a share of all matches. A fundamental matrix only says on which line a point must lie, so it
//! needs more of them ([`Common::same_place`]).

/// A point in one picture and in the other, pixels.
pub type Pair = [[f64; 2]; 2];

/// How far a point may be from where the geometry wants it, as a part of the longer side of its picture: 1.6 pixels of 640.
const TOLERANCE: f64 = 0.0025;
/// Samples drawn at most, for each of the two kinds.
const ROUNDS: usize = 800;
/// And at least: a sample of right matches that lie close together makes a poor matrix.
const LEAST_ROUNDS: usize = 200;
/// Probability with which a sample without a wrong match is to be among them.
const SURE: f64 = 0.999;
/// Brown and Lowe's 8 and 0.3 for a homography.
const PLANE: (f64, f64) = (8.0, 0.3);
/// For a fundamental matrix: a wrong match lies on the right line far more often than at the right point.
const MOTION: (f64, f64) = (16.0, 0.45);

/// Least spread of the points that fit, as a part of the longer side of their picture: their deviation across the line along which they lie best.
const SPREAD: f64 = 0.02;

/// A 3 x 3 matrix, row by row.
type Matrix = [f64; 9];

/// Which geometry binds two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A fundamental matrix: the camera moved.
    Motion,
    /// A homography: a plane, or the camera only turned.
    Plane,
}

/// What most of the matches have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// The kind that is the better evidence.
    pub kind: Kind,
    /// Its matrix, row by row: `b' F a = 0`, or `b = H a`.
    pub matrix: [f64; 9],
    /// For each match whether it fits.
    pub fits: Vec<bool>,
    /// How many do.
    pub count: usize,
}

impl Common {
    /// So many that the pictures show the same place: more than 8 and 30 % of all matches for a plane, more than 16 and 45 % for a
    /// camera that moved.
    #[must_use]
    pub fn same_place(&self) -> bool {
        evidence(self.kind, self.count, self.fits.len()) > 1.0
    }
}

/// Standard deviation of points across the line along which they lie best: the root of the smaller eigenvalue of their covariance.
fn spread(points: impl Iterator<Item = [f64; 2]> + Clone) -> f64 {
    let n = points.clone().count().max(1) as f64;
    let [x, y] = points.clone().fold([0.0; 2], |sum, p| [sum[0] + p[0] / n, sum[1] + p[1] / n]);
    let [xx, xy, yy] = points.fold([0.0; 3], |sum, p| {
        let (dx, dy) = (p[0] - x, p[1] - y);
        [sum[0] + dx * dx / n, sum[1] + dx * dy / n, sum[2] + dy * dy / n]
    });
    let smaller = 0.5 * (xx + yy) - (0.5 * (xx - yy)).hypot(xy);
    smaller.max(0.0).sqrt()
}

/// Points that fit over those that are needed.
fn evidence(kind: Kind, count: usize, of: usize) -> f64 {
    let (number, share) = if kind == Kind::Plane { PLANE } else { MOTION };
    count as f64 / (number + share * of as f64)
}

/// The geometry that the most matches fit; `None` if there are fewer than four, or nothing fits. `sizes` are the longer sides of the two pictures.
/// The same input gives the same output.
#[must_use]
pub fn common(pairs: &[Pair], sizes: [f64; 2]) -> Option<Common> {
    let tolerance = sizes.map(|side| TOLERANCE * side.max(1.0));
    let finite = pairs.iter().flatten().flatten().all(|v| v.is_finite());
    if !finite {
        return None;
    }
    let plane = search(pairs, 4, homography, |m, pair| transfer_error(m, pair, tolerance));
    let motion = search(pairs, 8, fundamental, |m, pair| sampson(m, pair, tolerance));
    let found = [(Kind::Plane, plane), (Kind::Motion, motion)].into_iter().filter_map(|(kind, found)| {
        let (matrix, fits) = found?;
        let spread = |side: usize| spread(pairs.iter().zip(&fits).filter_map(|(pair, fits)| fits.then_some(pair[side])));
        // What lies on one line, or in one spot, fits anything.
        if (0..2).any(|side| spread(side) < SPREAD * sizes[side]) {
            return None;
        }
        let count = fits.iter().filter(|f| **f).count();
        Some(Common { kind, matrix, fits, count })
    });
    found.reduce(|a, b| {
        let worth = |c: &Common| evidence(c.kind, c.count, c.fits.len());
        if worth(&b) > worth(&a) { b } else { a }
    })
}

/// RANSAC: the matrix that the most pairs fit (`error` at most 1), made anew of these at the end.
fn search(
    pairs: &[Pair],
    sample: usize,
    make: impl Fn(&[Pair]) -> Option<Matrix>,
    error: impl Fn(&Matrix, &Pair) -> f64,
) -> Option<(Matrix, Vec<bool>)> {
    if pairs.len() < sample {
        return None;
    }
    let fitting = |m: &Matrix| pairs.iter().map(|p| error(m, p) <= 1.0).collect::<Vec<bool>>();
    let count = |fits: &[bool]| fits.iter().filter(|f| **f).count();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut best: Option<(Matrix, Vec<bool>)> = None;
    let (mut round, mut rounds) = (0, ROUNDS);
    while round < rounds {
        round += 1;
        let chosen = random.choose(sample, pairs);
        let Some(matrix) = make(&chosen) else { continue };
        let fits = fitting(&matrix);
        if count(&fits) > best.as_ref().map_or(0, |(_, fits)| count(fits)) {
            best = Some((matrix, fits));
            let share = best.as_ref().map_or(0, |(_, fits)| count(fits)) as f64 / pairs.len() as f64;
            let sound = share.powi(sample as i32);
            if sound > 1e-9 {
                let needed = if sound < 1.0 { ((1.0 - SURE).ln() / (1.0 - sound).ln()).ceil() } else { 1.0 };
                rounds = rounds.min((needed as usize).max(LEAST_ROUNDS));
            }
        }
    }
    let (mut matrix, mut fits) = best?;
    // Made of all that nearly fit it is better than of the few that were drawn; then of those that fit, until no more do.
    for limit in [2.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0] {
        let near: Vec<Pair> = pairs.iter().filter(|p| error(&matrix, p) <= limit).copied().collect();
        let Some(better) = (near.len() > sample).then(|| make(&near)).flatten() else { break };
        let more = fitting(&better);
        if count(&more) >= count(&fits) {
            (matrix, fits) = (better, more);
        }
    }
    (count(&fits) > sample).then_some((matrix, fits))
}

/// A generator of numbers with a fixed seed (Marsaglia's xorshift, 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }

    /// Different ones; there are at least as many.
    fn choose(&mut self, how_many: usize, of: &[Pair]) -> Vec<Pair> {
        let mut taken: Vec<usize> = Vec::with_capacity(how_many);
        while taken.len() < how_many {
            let at = self.below(of.len());
            if !taken.contains(&at) {
                taken.push(at);
            }
        }
        taken.into_iter().map(|at| of[at]).collect()
    }
}

/// Moves and scales points so that their middle is 0 and their mean distance from it is the square root of 2 (Hartley 1997).
fn normaliser(points: impl Iterator<Item = [f64; 2]> + Clone) -> Option<Matrix> {
    let n = points.clone().count() as f64;
    let [x, y] = points.clone().fold([0.0; 2], |sum, p| [sum[0] + p[0] / n, sum[1] + p[1] / n]);
    let mean = points.map(|p| (p[0] - x).hypot(p[1] - y)).sum::<f64>() / n;
    let s = std::f64::consts::SQRT_2 / mean;
    s.is_finite().then_some([s, 0.0, -s * x, 0.0, s, -s * y, 0.0, 0.0, 1.0])
}

fn apply(m: &Matrix, [x, y]: [f64; 2]) -> [f64; 3] {
    std::array::from_fn(|r| m[3 * r] * x + m[3 * r + 1] * y + m[3 * r + 2])
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|n| (0..3).map(|i| a[n / 3 * 3 + i] * b[i * 3 + n % 3]).sum())
}

fn transposed(m: &Matrix) -> Matrix {
    std::array::from_fn(|n| m[n % 3 * 3 + n / 3])
}

/// The matrix of unit length whose products with the rows are least in sum of squares: the eigenvector of the smallest eigenvalue.
fn least(rows: impl Iterator<Item = Matrix>) -> Option<Matrix> {
    let mut square = [[0.0; 9]; 9];
    for row in rows {
        for (i, line) in square.iter_mut().enumerate() {
            line.iter_mut().zip(row).for_each(|(cell, v)| *cell += row[i] * v);
        }
    }
    smallest_eigenvector(square)
}

/// By Jacobi's rotations (Golub and Van Loan, "Matrix Computations", section 8.5). `None` for what is not finite.
fn smallest_eigenvector<const N: usize>(mut a: [[f64; N]; N]) -> Option<[f64; N]> {
    let mut vectors: [[f64; N]; N] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(i == j)));
    let size: f64 = a.iter().flatten().map(|v| v * v).sum();
    if !size.is_finite() || size == 0.0 {
        return None;
    }
    for _sweep in 0..30 {
        let off: f64 = (0..N).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        if off <= 1e-28 * size {
            break;
        }
        for p in 0..N {
            for q in p + 1..N {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                for k in 0..N {
                    (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]);
                }
                for row in &mut vectors {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
    }
    let smallest = (0..N).min_by(|i, j| a[*i][*i].total_cmp(&a[*j][*j]))?;
    let vector = std::array::from_fn(|k| vectors[k][smallest]);
    vector.iter().all(|v: &f64| v.is_finite()).then_some(vector)
}

/// The fundamental matrix of eight pairs or more, by the normalised eight-point algorithm; of rank 2.
fn fundamental(pairs: &[Pair]) -> Option<Matrix> {
    let (ta, tb) = (normaliser(pairs.iter().map(|p| p[0]))?, normaliser(pairs.iter().map(|p| p[1]))?);
    let row = |pair: &Pair| {
        let (a, b) = (apply(&ta, pair[0]), apply(&tb, pair[1]));
        std::array::from_fn(|n| b[n / 3] * a[n % 3])
    };
    let f = least(pairs.iter().map(row))?;
    // The nearest matrix of rank 2: what it does to its weakest direction is taken away.
    let square = product(&transposed(&f), &f);
    let weak = smallest_eigenvector::<3>(std::array::from_fn(|i| std::array::from_fn(|j| square[3 * i + j])))?;
    let moved = std::array::from_fn::<f64, 3, _>(|r| (0..3).map(|c| f[3 * r + c] * weak[c]).sum());
    let f: Matrix = std::array::from_fn(|n| f[n] - moved[n / 3] * weak[n % 3]);
    unit(product(&transposed(&tb), &product(&f, &ta)))
}

/// The homography of four pairs or more, by the direct linear transform on normalised points.
fn homography(pairs: &[Pair]) -> Option<Matrix> {
    let (ta, tb) = (normaliser(pairs.iter().map(|p| p[0]))?, normaliser(pairs.iter().map(|p| p[1]))?);
    let rows = pairs.iter().flat_map(|pair| {
        let ([x, y, _], [u, v, _]) = (apply(&ta, pair[0]), apply(&tb, pair[1]));
        [[x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, -u], [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, -v]]
    });
    let h = least(rows)?;
    let [s, _, x, _, _, y, ..] = tb;
    let back = [1.0 / s, 0.0, -x / s, 0.0, 1.0 / s, -y / s, 0.0, 0.0, 1.0];
    let h = unit(product(&back, &product(&h, &ta)))?;
    // Three points on a line make one that folds the picture to nothing.
    inverse(&h).is_some().then_some(h)
}

fn unit(m: Matrix) -> Option<Matrix> {
    let length = m.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length.is_finite() && length > 0.0).then(|| m.map(|v| v / length))
}

fn inverse(m: &Matrix) -> Option<Matrix> {
    let minor = |a: usize, b: usize, c: usize, d: usize| m[a] * m[d] - m[b] * m[c];
    let det = m[0] * minor(4, 5, 7, 8) - m[1] * minor(3, 5, 6, 8) + m[2] * minor(3, 4, 6, 7);
    let cofactors = [
        minor(4, 5, 7, 8),
        -minor(1, 2, 7, 8),
        minor(1, 2, 4, 5),
        -minor(3, 5, 6, 8),
        minor(0, 2, 6, 8),
        -minor(0, 2, 3, 5),
        minor(3, 4, 6, 7),
        -minor(0, 1, 6, 7),
        minor(0, 1, 3, 4),
    ];
    (det.abs() > 1e-14).then(|| cofactors.map(|c| c / det))
}

/// Sampson's distance from the epipolar geometry (Hartley and Zisserman, 11.9), over the tolerance.
fn sampson(f: &Matrix, [a, b]: &Pair, tolerance: [f64; 2]) -> f64 {
    let (fa, fb) = (apply(f, *a), apply(&transposed(f), *b));
    let miss = b[0] * fa[0] + b[1] * fa[1] + fa[2];
    let slope = (fa[0] * fa[0] + fa[1] * fa[1]) * tolerance[1] * tolerance[1]
        + (fb[0] * fb[0] + fb[1] * fb[1]) * tolerance[0] * tolerance[0];
    if slope > 0.0 { miss.abs() / slope.sqrt() } else { f64::INFINITY }
}

/// Distance of `b` from where the homography wants it, over the tolerance and half as much again: the point in the other picture has its
/// own error.
fn transfer_error(h: &Matrix, [a, b]: &Pair, tolerance: [f64; 2]) -> f64 {
    let [x, y, w] = apply(h, *a);
    let miss = (x / w - b[0]).hypot(y / w - b[1]);
    if miss.is_finite() { miss / (1.5 * tolerance[1]) } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points in a room before two cameras, the second moved and turned: pixels of 640 x 480.
    fn views(n: usize, plane: bool) -> Vec<Pair> {
        let mut random = Random(7);
        let mut unit = || random.below(1 << 20) as f64 / f64::from(1 << 20);
        let (sin, cos) = 0.15_f64.sin_cos();
        let look = |[x, y, z]: [f64; 3]| [500.0 * x / z + 320.0, 500.0 * y / z + 240.0];
        let point = |_| {
            let [x, y, z] = [3.0 * unit() - 1.5, 2.0 * unit() - 1.0, if plane { 4.0 } else { 3.0 + 3.0 * unit() }];
            let moved = [x - 0.4, y - 0.1, z + 0.2];
            [look([x, y, z]), look([cos * moved[0] + sin * moved[2], moved[1], cos * moved[2] - sin * moved[0]])]
        };
        (0..n).map(point).collect()
    }

    /// Replaces every `nth` pair's second point by any other.
    fn spoilt(mut pairs: Vec<Pair>, nth: usize) -> Vec<Pair> {
        let mut random = Random(99);
        for pair in pairs.iter_mut().step_by(nth) {
            pair[1] = [random.below(640) as f64, random.below(480) as f64];
        }
        pairs
    }

    const SIZES: [f64; 2] = [640.0, 640.0];

    #[test]
    fn a_camera_that_moved_is_found_among_wrong_matches() {
        let pairs = spoilt(views(120, false), 3);
        let found = common(&pairs, SIZES).unwrap();
        assert_eq!(found.kind, Kind::Motion);
        let right = |n: usize| n % 3 != 0;
        assert!((0..120).filter(|n| right(*n)).all(|n| found.fits[n]), "all the right ones fit");
        let wrong = (0..120).filter(|n| !right(*n) && found.fits[*n]).count();
        // A line takes a few of what lies anywhere.
        assert!(wrong <= 3 && found.count == 80 + wrong && found.same_place(), "{wrong}");
        // b' F a = 0, and F has rank 2.
        let clean = views(120, false);
        let residual = clean.iter().map(|p| sampson(&found.matrix, p, [1.0; 2])).fold(0.0, f64::max);
        assert!(residual < 0.3, "{residual} pixels");
        assert!(inverse(&found.matrix).is_none());
        assert_eq!(common(&pairs, SIZES), Some(found));
    }

    #[test]
    fn a_plane_is_found_among_wrong_matches() {
        let found = common(&spoilt(views(60, true), 2), SIZES).unwrap();
        assert!(found.kind == Kind::Plane && found.same_place() && (30..=31).contains(&found.count), "{found:?}");
        for pair in views(60, true) {
            assert!(transfer_error(&found.matrix, &pair, [1.0; 2]) < 0.01);
        }
    }

    #[test]
    fn chance_is_no_place() {
        for n in [0, 3, 4, 7, 8, 9, 12, 20, 40, 100, 400] {
            let random = spoilt(views(n, false), 1);
            assert!(common(&random, SIZES).is_none_or(|c| !c.same_place()), "{n} matches");
        }
        // All in one point, on one line, or no numbers at all.
        assert!(common(&[[[5.0; 2]; 2]; 50], SIZES).is_none_or(|c| !c.same_place()));
        let line: Vec<Pair> = (0..50).map(|n| [[f64::from(n), 7.0], [9.0, f64::from(n * n % 37)]]).collect();
        assert!(common(&line, SIZES).is_none_or(|c| !c.same_place()));
        assert_eq!(common(&[[[f64::NAN; 2]; 2]; 50], SIZES), None);
    }

    #[test]
    fn few_right_matches_are_enough_if_hardly_any_are_wrong() {
        assert!(!common(&views(10, true), SIZES).unwrap().same_place());
        assert!(common(&views(14, true), SIZES).unwrap().same_place());
        assert!(!common(&views(24, false), SIZES).unwrap().same_place());
        assert!(common(&views(34, false), SIZES).unwrap().same_place());
    }
}
