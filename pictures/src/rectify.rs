//! Straightening what a lens bends, and turning a stereo pair's pictures so that their rows agree: from the numbers of a `sensor_msgs/CameraInfo`.
//!
//! The models are those of OpenCV's calib3d (`initUndistortRectifyMap` and `fisheye::initUndistortRectifyMap`, whose documentation has the equations) under the
//! names that ROS gives them (`sensor_msgs/distortion_models.hpp`). Pictures are sampled bilinearly with a black border, as OpenCV 5's `remap` does; OpenCV 4
//! rounds places to a 32nd of a pixel first and is up to 8 levels apart.

use image::RgbImage;

use crate::MAX_SIDE;

/// Pixels of a map at most: it needs 8 bytes for each.
const MAX_PIXELS: u64 = 64 << 20;

/// How a lens bends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distortion {
    /// `plumb_bob`: k1, k2, p1, p2 and k3 (Brown 1966); none at all is a lens without distortion.
    PlumbBob,
    /// `rational_polynomial`: k1, k2, p1, p2, k3, k4, k5, k6.
    RationalPolynomial,
    /// `equidistant` or `fisheye`: k1 to k4 (Kannala and Brandt 2006).
    Equidistant,
}

impl Distortion {
    /// By ROS's name; an empty one is `plumb_bob`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" | "plumb_bob" => Some(Self::PlumbBob),
            "rational_polynomial" => Some(Self::RationalPolynomial),
            "equidistant" | "fisheye" => Some(Self::Equidistant),
            _ => None,
        }
    }
}

/// A camera's calibration, with the fields of `sensor_msgs/CameraInfo`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lens {
    /// Width of its pictures.
    pub width: u32,
    /// Height of its pictures.
    pub height: u32,
    /// The model's name in ROS.
    pub model: String,
    /// The model's numbers.
    pub d: Vec<f64>,
    /// Camera matrix, row by row.
    pub k: [f64; 9],
    /// Rotation to the rectified camera, row by row; all 0 for none.
    pub r: [f64; 9],
    /// Projection of the rectified camera, row by row; all 0: as `k`.
    pub p: [f64; 12],
}

/// Why a lens or a picture cannot be straightened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LensError {
    /// The model is not known.
    #[error("the distortion model `{0}` is not known; plumb_bob, rational_polynomial and equidistant are")]
    Model(String),
    /// The model has another number of numbers.
    #[error("the distortion model `{model}` has {found} numbers, {expected} are needed")]
    Numbers {
        /// The model.
        model: String,
        /// What it needs.
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// No camera has these numbers.
    #[error("the calibration is not usable: {0}")]
    Matrix(&'static str),
    /// No pixels, or too many.
    #[error("pictures of {width} x {height} pixels are not straightened")]
    Size {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The picture is not of the calibrated size.
    #[error("the picture has {found:?} pixels, the calibration is for {expected:?}")]
    Picture {
        /// Width and height of the calibration.
        expected: (u32, u32),
        /// Width and height of the picture.
        found: (u32, u32),
    },
}

/// Where each pixel of the straight picture comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct RectifyMap {
    width: u32,
    height: u32,
    /// Column and row in pixels, in single precision as OpenCV's; far outside where there is none.
    from: Vec<[f32; 2]>,
}

/// Outside every picture.
const NOWHERE: f32 = -1e9;

impl Lens {
    /// Whether pictures of this lens can be straightened, and by which model.
    ///
    /// # Errors
    /// [`LensError`].
    pub fn check(&self) -> Result<Distortion, LensError> {
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS
        {
            return Err(LensError::Size { width, height });
        }
        let model = Distortion::named(&self.model).ok_or_else(|| LensError::Model(self.model.clone()))?;
        let (fits, expected) = match model {
            Distortion::PlumbBob => ([0, 4, 5].contains(&self.d.len()), "4 or 5, or none"),
            Distortion::RationalPolynomial => (self.d.len() == 8, "8"),
            Distortion::Equidistant => (self.d.len() == 4, "4"),
        };
        if !fits {
            return Err(LensError::Numbers { model: self.model.clone(), expected, found: self.d.len() });
        }
        if self.k.iter().chain(&self.d).chain(&self.r).chain(&self.p).any(|v| !v.is_finite()) {
            return Err(LensError::Matrix("a number is not finite"));
        }
        if !(self.k[0] > 0.0 && self.k[4] > 0.0) {
            return Err(LensError::Matrix("a focal length is not above 0"));
        }
        Ok(model)
    }

    /// The inverse of projection times rotation: from a pixel of the straight picture to a ray of the camera.
    fn rays(&self) -> Result<[f64; 9], LensError> {
        const ONE: [f64; 9] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let p = &self.p;
        let left = [p[0], p[1], p[2], p[4], p[5], p[6], p[8], p[9], p[10]];
        let left = if left.iter().all(|v| *v == 0.0) { self.k } else { left };
        let right = if self.r.iter().all(|v| *v == 0.0) { ONE } else { self.r };
        let cell = |n: usize| (0..3).map(|i| left[n / 3 * 3 + i] * right[i * 3 + n % 3]).sum::<f64>();
        inverse(&std::array::from_fn(cell)).ok_or(LensError::Matrix("projection and rotation have no inverse"))
    }

    /// The ray (x and y at distance 1, in the camera's own frame) that meets the sensor at a pixel: the inverse of the lens, which
    /// neither `r` nor `p` changes (OpenCV's `undistortPoints` without them). `None` if the lens lets none through there or is not known.
    #[must_use]
    pub fn straight(&self, [u, v]: [f64; 2]) -> Option<[f64; 2]> {
        /// Pixels by which the ray found may miss.
        const MISS: f64 = 1e-3;
        let model = self.check().ok()?;
        let down = (v - self.k[5]) / self.k[4];
        let bent = [(u - self.k[2] - self.k[1] * down) / self.k[0], down];
        let mut ray = bent;
        if model == Distortion::Equidistant {
            // Newton's method for the angle alone; it converges where the lens shows less than half a turn.
            let d = |n: usize| self.d.get(n).copied().unwrap_or(0.0);
            let length = bent[0].hypot(bent[1]);
            let mut angle = length.min(1.5);
            for _ in 0..20 {
                let a2 = angle * angle;
                let value = angle * (1.0 + a2 * (d(0) + a2 * (d(1) + a2 * (d(2) + a2 * d(3))))) - length;
                let slope = 1.0 + a2 * (3.0 * d(0) + a2 * (5.0 * d(1) + a2 * (7.0 * d(2) + a2 * 9.0 * d(3))));
                angle -= value / slope;
            }
            if !(0.0..1.56).contains(&angle.abs()) {
                return None;
            }
            let scale = if length > 1e-12 { angle.tan() / length } else { 1.0 };
            ray = bent.map(|b| b * scale);
        } else {
            // Newton's method with the slopes by differences.
            const STEP: f64 = 1e-6;
            let miss = |x: f64, y: f64| {
                let [pu, pv] = self.bend(model, x, y);
                [pu - u, pv - v]
            };
            for _ in 0..20 {
                let [x, y] = ray;
                let (here, right, below) = (miss(x, y), miss(x + STEP, y), miss(x, y + STEP));
                let [a, c] = [0, 1].map(|n| (right[n] - here[n]) / STEP);
                let [b, d] = [0, 1].map(|n| (below[n] - here[n]) / STEP);
                let det = a * d - b * c;
                // Beyond the place where the lens folds back there is no ray.
                if !(det.is_finite() && det > 0.0) {
                    return None;
                }
                ray = [x - (d * here[0] - b * here[1]) / det, y - (a * here[1] - c * here[0]) / det];
            }
        }
        let [pu, pv] = self.bend(model, ray[0], ray[1]);
        ((pu - u).hypot(pv - v) < MISS).then_some(ray)
    }

    /// Where a ray (x and y at distance 1) meets the sensor, in pixels.
    fn bend(&self, model: Distortion, x: f64, y: f64) -> [f64; 2] {
        let d = |n: usize| self.d.get(n).copied().unwrap_or(0.0);
        let r2 = x * x + y * y;
        let (x, y) = match model {
            Distortion::PlumbBob | Distortion::RationalPolynomial => {
                let (k, p1, p2) = ([d(0), d(1), d(4), d(5), d(6), d(7)], d(2), d(3));
                let radial = (1.0 + ((k[2] * r2 + k[1]) * r2 + k[0]) * r2) / (1.0 + ((k[5] * r2 + k[4]) * r2 + k[3]) * r2);
                let xy = 2.0 * x * y;
                (x * radial + p1 * xy + p2 * (r2 + 2.0 * x * x), y * radial + p1 * (r2 + 2.0 * y * y) + p2 * xy)
            }
            Distortion::Equidistant => {
                let r = r2.sqrt();
                let angle = r.atan();
                let a2 = angle * angle;
                let bent = angle * (1.0 + a2 * (d(0) + a2 * (d(1) + a2 * (d(2) + a2 * d(3)))));
                let scale = if r > 1e-12 { bent / r } else { 1.0 };
                (x * scale, y * scale)
            }
        };
        [self.k[0] * x + self.k[1] * y + self.k[2], self.k[4] * y + self.k[5]]
    }
}

impl RectifyMap {
    /// The map of a lens. The straight picture has the size of the bent one.
    ///
    /// # Errors
    /// [`LensError`].
    pub fn new(lens: &Lens) -> Result<Self, LensError> {
        let model = lens.check()?;
        let rays = lens.rays()?;
        let mut from = Vec::with_capacity(lens.width as usize * lens.height as usize);
        for v in 0..lens.height {
            for u in 0..lens.width {
                let (u, v) = (f64::from(u), f64::from(v));
                let ray: [f64; 3] = std::array::from_fn(|n| rays[3 * n] * u + rays[3 * n + 1] * v + rays[3 * n + 2]);
                let place = lens.bend(model, ray[0] / ray[2], ray[1] / ray[2]).map(|p| p as f32);
                // What is behind the camera, or not a number.
                let outside = !(ray[2] > 0.0) || place.iter().any(|p| !p.is_finite());
                from.push(if outside { [NOWHERE; 2] } else { place });
            }
        }
        Ok(Self { width: lens.width, height: lens.height, from })
    }

    /// Width and height of pictures.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The straight picture; black where the bent one shows nothing.
    ///
    /// # Errors
    /// [`LensError::Picture`].
    pub fn apply(&self, picture: &RgbImage) -> Result<RgbImage, LensError> {
        let wrong = || LensError::Picture { expected: self.size(), found: picture.dimensions() };
        if picture.dimensions() != self.size() {
            return Err(wrong());
        }
        let pixels = self.sample::<3>(picture.as_raw());
        RgbImage::from_raw(self.width, self.height, pixels).ok_or_else(wrong)
    }

    /// As [`RectifyMap::apply`] for packed rows of `channels` bytes a pixel (1, 3 or 4).
    ///
    /// # Errors
    /// [`LensError::Picture`] if the bytes are not those of such a picture.
    pub fn apply_bytes(&self, pixels: &[u8], channels: usize) -> Result<Vec<u8>, LensError> {
        if pixels.len() != self.from.len() * channels {
            let rows = (pixels.len() / (channels.max(1) * self.width as usize)) as u32;
            return Err(LensError::Picture { expected: self.size(), found: (self.width, rows) });
        }
        match channels {
            1 => Ok(self.sample::<1>(pixels)),
            3 => Ok(self.sample::<3>(pixels)),
            4 => Ok(self.sample::<4>(pixels)),
            _ => Err(LensError::Picture { expected: self.size(), found: (0, 0) }),
        }
    }

    fn sample<const N: usize>(&self, pixels: &[u8]) -> Vec<u8> {
        let (width, height) = (self.width as i32, self.height as i32);
        let mut out = vec![0; self.from.len() * N];
        for (target, [x, y]) in out.chunks_exact_mut(N).zip(&self.from) {
            // The conversion saturates.
            let (column, row) = (x.floor() as i32, y.floor() as i32);
            if column < -1 || row < -1 || column >= width || row >= height {
                continue;
            }
            let (a, b) = (x - column as f32, y - row as f32);
            let corners = [(0, 0, (1.0 - a) * (1.0 - b)), (1, 0, a * (1.0 - b)), (0, 1, (1.0 - a) * b), (1, 1, a * b)];
            let mut sum = [0.5_f32; N];
            for (dx, dy, weight) in corners {
                let (cx, cy) = (column + dx, row + dy);
                if (0..width).contains(&cx) && (0..height).contains(&cy) {
                    let at = (cy as usize * width as usize + cx as usize) * N;
                    for (s, p) in sum.iter_mut().zip(&pixels[at..at + N]) {
                        *s += weight * f32::from(*p);
                    }
                }
            }
            for (t, s) in target.iter_mut().zip(sum) {
                *t = s as u8;
            }
        }
        out
    }
}

/// By cofactors; `None` if there is none.
fn inverse(m: &[f64; 9]) -> Option<[f64; 9]> {
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
    (det.abs() > 1e-12 && det.is_finite()).then(|| cofactors.map(|c| c / det))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lens() -> Lens {
        Lens {
            width: 40,
            height: 30,
            model: "plumb_bob".into(),
            d: vec![-0.3, 0.1, 0.001, -0.002, 0.0],
            k: [35.0, 0.0, 19.5, 0.0, 35.0, 14.5, 0.0, 0.0, 1.0],
            r: [0.0; 9],
            p: [0.0; 12],
        }
    }

    fn picture() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, (x * y) as u8]))
    }

    #[test]
    fn a_lens_without_distortion_changes_nothing() {
        for model in ["", "plumb_bob"] {
            let map = RectifyMap::new(&Lens { d: Vec::new(), model: model.into(), ..lens() }).unwrap();
            assert_eq!(map.apply(&picture()).unwrap(), picture());
            assert_eq!(map.apply_bytes(picture().as_raw(), 3).unwrap(), picture().into_raw());
        }
    }

    #[test]
    fn the_middle_stays_and_the_corners_move() {
        let lens = lens();
        let bent = lens.bend(Distortion::PlumbBob, 0.0, 0.0);
        assert_eq!(bent, [19.5, 14.5]);
        // By hand, at x = 0.5, y = 0: r2 = 0.25; radial = 1 - 0.075 + 0.00625; x'' = 0.5 * 0.93125 - 0.002 * 0.75, y'' = 0.001 * 0.25.
        let [x, y] = lens.bend(Distortion::PlumbBob, 0.5, 0.0);
        assert!(
            (x - (19.5 + 35.0 * (0.465_625 - 0.0015))).abs() < 1e-9 && (y - (14.5 + 35.0 * 0.000_25)).abs() < 1e-9,
            "{x} {y}"
        );
        let grey = RgbImage::from_pixel(40, 30, image::Rgb([200; 3]));
        let barrel = RectifyMap::new(&Lens { d: vec![0.6, 0.0, 0.0, 0.0], ..lens }).unwrap().apply(&grey).unwrap();
        assert_eq!((barrel.get_pixel(0, 0).0, barrel.get_pixel(20, 15).0), ([0; 3], [200; 3]));
    }

    #[test]
    fn a_pixel_has_the_ray_that_ends_in_it() {
        let lenses = [
            lens(),
            Lens { d: Vec::new(), ..lens() },
            Lens { model: "rational_polynomial".into(), d: vec![0.4, -0.2, 0.0011, 0.0007, 0.02, 0.75, -0.25, 0.06], ..lens() },
            Lens { model: "equidistant".into(), d: vec![0.02, -0.01, 0.004, -0.001], ..lens() },
        ];
        for lens in lenses {
            let model = lens.check().unwrap();
            for (x, y) in [(0.0, 0.0), (0.4, -0.3), (-0.5, 0.35), (0.01, 0.02)] {
                let [fx, fy] = lens.straight(lens.bend(model, x, y)).unwrap();
                assert!((fx - x).abs() < 1e-6 && (fy - y).abs() < 1e-6, "{}: {x} {y} became {fx} {fy}", lens.model);
            }
        }
        // A barrel lens folds back: nothing is seen far outside.
        assert_eq!(Lens { d: vec![-0.3, 0.0, 0.0, 0.0], ..lens() }.straight([60.0, 14.5]), None);
        assert_eq!(Lens { model: "equidistant".into(), d: vec![0.0; 4], ..lens() }.straight([4000.0, 14.5]), None);
        assert_eq!(Lens { model: "tilted".into(), ..lens() }.straight([1.0, 1.0]), None);
    }

    #[test]
    fn calibrations_that_cannot_be_are_refused() {
        let refused = |lens: Lens| RectifyMap::new(&lens).unwrap_err().to_string();
        assert!(refused(Lens { model: "tilted".into(), ..lens() }).contains("`tilted` is not known"));
        assert!(refused(Lens { d: vec![0.1; 3], ..lens() }).contains("has 3 numbers"));
        assert!(refused(Lens { model: "rational_polynomial".into(), ..lens() }).contains("8 are needed"));
        assert!(refused(Lens { k: [0.0; 9], ..lens() }).contains("focal length"));
        assert!(refused(Lens { d: vec![f64::NAN; 5], ..lens() }).contains("not finite"));
        assert!(refused(Lens { r: [1.0; 9], ..lens() }).contains("no inverse"));
        for (width, height) in [(0, 30), (20_000, 30), (16_384, 16_384)] {
            assert!(refused(Lens { width, height, ..lens() }).contains("not straightened"));
        }
        let map = RectifyMap::new(&lens()).unwrap();
        assert!(matches!(map.apply(&RgbImage::new(30, 40)), Err(LensError::Picture { .. })));
        assert!(map.apply_bytes(&[0; 10], 3).is_err() && map.apply_bytes(&[0; 2400], 2).is_err());
    }
}
