//! From a box in the picture to a place in space.

use glam::{DVec2, DVec3};
use spatial::{Pinhole, Pose3};

/// A depth picture: distances along the optical axis, m, row by row.
#[derive(Clone, Copy, Debug)]
pub struct DepthView<'a> {
    width: usize,
    height: usize,
    data: &'a [f32],
}

/// Why numbers are not a depth picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DepthError {
    /// Number of values does not fit the size.
    #[error("a depth image of {width} x {height} needs {needed} values, got {got}")]
    Size {
        /// Width, pixels.
        width: usize,
        /// Height, pixels.
        height: usize,
        /// Values needed.
        needed: usize,
        /// Values given.
        got: usize,
    },
    /// The raw bytes of the message do not fit its own description.
    #[error("a 32FC1 image of {width} x {height} with step {step} cannot have {got} bytes")]
    Bytes {
        /// Width, pixels.
        width: usize,
        /// Height, pixels.
        height: usize,
        /// Bytes per row.
        step: usize,
        /// Bytes given.
        got: usize,
    },
}

/// The distances of a 32FC1 image: rows of `step` bytes.
///
/// # Errors
/// [`DepthError::Bytes`] when the bytes do not fit.
pub fn distances(width: usize, height: usize, step: usize, big_endian: bool, bytes: &[u8]) -> Result<Vec<f32>, DepthError> {
    let fits = step >= width * 4 && step.checked_mul(height).is_some_and(|n| n <= bytes.len()) && width > 0 && height > 0;
    if !fits {
        return Err(DepthError::Bytes { width, height, step, got: bytes.len() });
    }
    let mut out = Vec::with_capacity(width * height);
    for row in bytes.chunks_exact(step).take(height) {
        for b in row[..width * 4].chunks_exact(4) {
            let four = [b[0], b[1], b[2], b[3]];
            out.push(if big_endian { f32::from_be_bytes(four) } else { f32::from_le_bytes(four) });
        }
    }
    Ok(out)
}

impl<'a> DepthView<'a> {
    /// A view of distances.
    ///
    /// # Errors
    /// [`DepthError::Size`] when the number of values does not fit.
    pub fn new(width: usize, height: usize, data: &'a [f32]) -> Result<Self, DepthError> {
        let needed = width.saturating_mul(height);
        if data.len() != needed || needed == 0 {
            return Err(DepthError::Size { width, height, needed, got: data.len() });
        }
        Ok(Self { width, height, data })
    }

    /// The distance at a pixel, if it is inside and a measurement.
    #[must_use]
    pub fn at(&self, pixel: DVec2) -> Option<f64> {
        let (x, y) = (pixel.x.round(), pixel.y.round());
        if !(x >= 0.0 && y >= 0.0 && x < self.width as f64 && y < self.height as f64) {
            return None;
        }
        let value = f64::from(self.data[y as usize * self.width + x as usize]);
        (value.is_finite() && value > 0.0).then_some(value)
    }
}

/// A box in the picture, pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelBox {
    /// Centre.
    pub center: DVec2,
    /// Width and height.
    pub size: DVec2,
}

/// Limits of what is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthLimits {
    /// Nearest believable distance, m.
    pub min_m: f64,
    /// Farthest distance at which a detection is placed, m.
    pub max_m: f64,
    /// Share of the box around its centre that is looked at.
    pub core: f64,
    /// Fewest measurements in it.
    pub min_samples: usize,
}

impl Default for DepthLimits {
    fn default() -> Self {
        Self { min_m: 0.15, max_m: 5.0, core: 0.6, min_samples: 12 }
    }
}

/// The distance of the thing in a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foreground {
    /// Distance of its surface along the optical axis, m.
    pub depth: f64,
    /// Spread of the measurements taken, m (median absolute deviation).
    pub spread: f64,
    /// How many were taken.
    pub samples: usize,
}

/// Distance of the foreground in a box: of the measurements in the box's core, those near the lower quartile belong to
/// the thing, those behind it to the background; the median of the former is the distance.
#[must_use]
pub fn foreground(view: &DepthView<'_>, region: &PixelBox, limits: &DepthLimits) -> Option<Foreground> {
    if !(region.center.is_finite() && region.size.is_finite() && region.size.x > 1.0 && region.size.y > 1.0) {
        return None;
    }
    let half = region.size * (0.5 * limits.core);
    let low = (region.center - half).max(DVec2::ZERO);
    let high = (region.center + half).min(DVec2::new(view.width as f64 - 1.0, view.height as f64 - 1.0));
    if low.x > high.x || low.y > high.y {
        return None;
    }
    let mut values = Vec::new();
    for y in low.y as usize..=high.y as usize {
        for x in low.x as usize..=high.x as usize {
            let d = f64::from(view.data[y * view.width + x]);
            if d.is_finite() && d >= limits.min_m && d <= limits.max_m {
                values.push(d);
            }
        }
    }
    if values.len() < limits.min_samples {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let quartile = values[values.len() / 4];
    // A thing that is fetched is no deeper than this band; what lies beyond it is the wall behind.
    let band = 0.04 + 0.05 * quartile;
    let from = values.partition_point(|v| *v < quartile - band);
    let to = values.partition_point(|v| *v <= quartile + band);
    let taken = &values[from..to];
    let depth = taken[taken.len() / 2];
    let mut deviations: Vec<f64> = taken.iter().map(|v| (v - depth).abs()).collect();
    deviations.sort_by(f64::total_cmp);
    Some(Foreground { depth, spread: deviations[deviations.len() / 2], samples: taken.len() })
}

/// A detection placed in the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// Centre of the thing in the world frame, m.
    pub position: DVec3,
    /// Standard deviation of the position per axis, m.
    pub sigma: f64,
    /// Size: width, depth (taken as the width) and height, m.
    pub size: DVec3,
    /// Distance from the camera, m.
    pub range: f64,
}

/// Places a detection: `camera_in_world` is the pose of the optical frame. The measured surface is the near side; the
/// centre lies about half a width behind it. The standard deviation grows with the square of the range, as the error of
/// structured-light and stereo depth does, and with the error of the pose.
#[must_use]
pub fn place(camera: &Pinhole, camera_in_world: &Pose3, region: &PixelBox, front: &Foreground) -> Placed {
    let width = region.size.x * front.depth / camera.fx;
    let tall = region.size.y * front.depth / camera.fy;
    let behind = 0.45 * width.min(tall).min(0.25);
    let ray = camera.ray(region.center);
    let surface = ray * front.depth;
    let range = surface.length();
    // "Behind" is meant along the floor: the thing stands upright while the camera looks down at it.
    let along = camera_in_world.rotate(surface.normalize_or_zero());
    let level = DVec3::new(along.x, along.y, 0.0).normalize_or_zero();
    let position = camera_in_world.transform(surface) + level * behind;
    // Seen from above at an angle, the box is as high as the upright side and the top's depth together.
    let tilt = (-along.z).clamp(0.0, 0.99).asin();
    let height = ((tall - width * tilt.sin()) / tilt.cos()).clamp(0.3 * tall, tall);
    let sigma = (0.015_f64.powi(2) + (0.008 * range * range).powi(2) + front.spread.powi(2) + (0.01 * range).powi(2)).sqrt();
    Placed { position, sigma, size: DVec3::new(width, width, height), range }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> Pinhole {
        Pinhole::from_horizontal_fov(640, 480, 1.1).unwrap()
    }

    fn mounted() -> Pose3 {
        Pose3::from_xyz_rpy(DVec3::new(0.05, 0.0, 0.62), 0.0, 0.35, 0.0) * Pose3::optical()
    }

    #[test]
    fn the_foreground_wins_over_the_wall_behind() {
        let mut data = vec![3.0f32; 640 * 480];
        for y in 200..260 {
            for x in 300..340 {
                data[y * 640 + x] = 1.0 + (x % 3) as f32 * 0.01;
            }
        }
        data[230 * 640 + 320] = f32::NAN;
        data[231 * 640 + 320] = 0.0;
        let view = DepthView::new(640, 480, &data).unwrap();
        let region = PixelBox { center: DVec2::new(320.0, 230.0), size: DVec2::new(56.0, 80.0) };
        let front = foreground(&view, &region, &DepthLimits::default()).unwrap();
        assert!((front.depth - 1.01).abs() < 0.011, "{front:?}");
    }

    #[test]
    fn an_empty_box_and_one_outside_have_no_distance() {
        let data = vec![f32::INFINITY; 64 * 48];
        let view = DepthView::new(64, 48, &data).unwrap();
        let limits = DepthLimits::default();
        for (center, size) in [(30.0, 20.0), (1000.0, 20.0), (30.0, 0.0), (f64::NAN, 20.0)] {
            let region = PixelBox { center: DVec2::splat(center), size: DVec2::splat(size) };
            assert_eq!(foreground(&view, &region, &limits), None);
        }
    }

    #[test]
    fn a_cylinder_is_placed_within_a_centimetre() {
        // Rendered analytically: a cylinder of radius 4 cm and height 12 cm, standing 0.9 m ahead on a table of 0.40 m.
        let (camera, pose) = (camera(), mounted());
        let (center, radius, height, base) = (DVec2::new(0.9, 0.1), 0.04, 0.12, 0.40);
        let mut data = vec![f32::INFINITY; 640 * 480];
        let (mut low, mut high) = (DVec2::splat(1e9), DVec2::splat(-1e9));
        for y in 0..480 {
            for x in 0..640 {
                let pixel = DVec2::new(x as f64, y as f64);
                let d = pose.rotate(camera.ray(pixel));
                let o = pose.translation;
                let (ox, oy) = (o.x - center.x, o.y - center.y);
                let (a, b, c) = (d.x * d.x + d.y * d.y, ox * d.x + oy * d.y, ox * ox + oy * oy - radius * radius);
                let disc = b * b - a * c;
                let mut best = f64::INFINITY;
                if disc >= 0.0 {
                    let t = (-b - disc.sqrt()) / a;
                    let z = o.z + t * d.z;
                    if t > 0.0 && (base..=base + height).contains(&z) {
                        best = t;
                    }
                }
                let t = (base + height - o.z) / d.z;
                if t > 0.0 && (o.x + t * d.x - center.x).hypot(o.y + t * d.y - center.y) <= radius {
                    best = best.min(t);
                }
                let table = (base - o.z) / d.z;
                if best.is_finite() {
                    low = low.min(pixel);
                    high = high.max(pixel);
                } else if table > 0.0 && o.x + table * d.x > 0.82 {
                    best = table;
                }
                data[y * 640 + x] = best as f32;
            }
        }
        let view = DepthView::new(640, 480, &data).unwrap();
        let region = PixelBox { center: 0.5 * (low + high), size: high - low };
        let front = foreground(&view, &region, &DepthLimits::default()).unwrap();
        let placed = place(&camera, &pose, &region, &front);
        let truth = DVec3::new(center.x, center.y, base + 0.5 * height);
        assert!((placed.position - truth).length() < 0.02, "{:?} against {truth:?}", placed.position);
        assert!((placed.position - truth).truncate().length() < 0.01, "{:?}", placed.position);
        assert!((placed.size.x - 0.08).abs() < 0.01 && (placed.size.z - 0.12).abs() < 0.03, "{:?}", placed.size);
    }

    #[test]
    fn sigma_grows_with_range() {
        let region = PixelBox { center: DVec2::new(320.0, 240.0), size: DVec2::splat(40.0) };
        let at = |depth| place(&camera(), &mounted(), &region, &Foreground { depth, spread: 0.0, samples: 50 }).sigma;
        assert!(at(1.0) < at(2.0) && at(2.0) < at(4.0));
    }

    #[test]
    fn bytes_become_distances_or_an_error() {
        let bytes: Vec<u8> = [1.0f32, 2.0, 9.0, 3.0, 4.0, 9.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(distances(2, 2, 12, false, &bytes).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(distances(3, 3, 12, false, &bytes).is_err());
        assert!(distances(4, 1, 12, false, &bytes).is_err());
        assert!(DepthView::new(2, 2, &[1.0; 3]).is_err());
    }
}
