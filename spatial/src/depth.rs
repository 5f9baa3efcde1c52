//! Depth pictures: how far the thing in a box of the picture is.

use glam::{DVec2, DVec3};

use crate::camera::Pinhole;

/// A depth picture: distances along the optical axis, m, row by row.
#[derive(Clone, Copy, Debug)]
pub struct DepthView<'a> {
    width: usize,
    height: usize,
    data: &'a [f32],
}

/// Why numbers are not a depth picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// Not an encoding of depth.
    #[error("depth comes as '{encoding}', 32FC1 (m) and 16UC1 (mm) are understood")]
    Encoding {
        /// The encoding.
        encoding: String,
    },
    /// The raw bytes of the message do not fit its own description.
    #[error("a depth image of {width} x {height} with step {step} cannot have {got} bytes")]
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

/// Bytes of a pixel of a depth image.
///
/// # Errors
/// [`DepthError::Encoding`] if it is none.
pub fn pixel_bytes(encoding: &str) -> Result<usize, DepthError> {
    match encoding {
        "32FC1" => Ok(4),
        "16UC1" | "mono16" => Ok(2),
        other => Err(DepthError::Encoding { encoding: other.to_owned() }),
    }
}

/// The distances in metres of a depth image of rows of `step` bytes (REP 118): 32FC1 is metres, 16UC1 millimetres. What is no measurement
/// (0 in 16UC1; 0, infinite or not a number in 32FC1) stays so and is 0 or no number.
///
/// # Errors
/// [`DepthError::Encoding`], and [`DepthError::Bytes`] when the bytes do not fit.
pub fn distances(
    width: usize,
    height: usize,
    step: usize,
    encoding: &str,
    big_endian: bool,
    bytes: &[u8],
) -> Result<Vec<f32>, DepthError> {
    let size = pixel_bytes(encoding)?;
    let row_bytes = width.checked_mul(size).filter(|n| *n > 0 && *n <= step);
    let fits = height > 0 && step.checked_mul(height).is_some_and(|n| n <= bytes.len());
    let Some(row_bytes) = row_bytes.filter(|_| fits) else {
        return Err(DepthError::Bytes { width, height, step, got: bytes.len() });
    };
    let mut out = Vec::with_capacity(width * height);
    for row in bytes.chunks_exact(step).take(height) {
        let row = &row[..row_bytes];
        if size == 4 {
            let number = if big_endian { f32::from_be_bytes } else { f32::from_le_bytes };
            out.extend(row.as_chunks::<4>().0.iter().map(|b| number(*b)));
        } else {
            let number = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
            out.extend(row.as_chunks::<2>().0.iter().map(|b| f32::from(number(*b)) / 1000.0));
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
    /// Nearest and farthest of the measurements taken but for a twentieth at each end, m: what is seen of its depth.
    pub near: f64,
    /// See `near`.
    pub far: f64,
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
    let end = taken.len() / 20;
    let (near, far) = (taken[end], taken[taken.len() - 1 - end]);
    Some(Foreground { depth, spread: deviations[deviations.len() / 2], near, far, samples: taken.len() })
}

/// Width and height, m, of what fills a box in the picture at a depth.
#[must_use]
pub fn extent(camera: &Pinhole, region: &PixelBox, depth: f64) -> DVec2 {
    DVec2::new(region.size.x * depth / camera.fx, region.size.y * depth / camera.fy)
}

/// A box in space around what is seen of a thing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeenBox {
    /// Centre in the optical frame, m.
    pub center: DVec3,
    /// Size along the optical frame's axes (right, down, forward), m.
    pub size: DVec3,
}

/// The box in the camera's optical frame around the visible side of the thing in a box of the picture: as wide and high as that box at the
/// thing's depth, as deep as the measurements spread. What lies behind the visible side is not known and not guessed.
#[must_use]
pub fn seen_box(camera: &Pinhole, region: &PixelBox, front: &Foreground) -> SeenBox {
    let middle = 0.5 * (front.near + front.far);
    SeenBox {
        center: camera.deproject(region.center, middle),
        size: extent(camera, region, front.depth).extend(front.far - front.near),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!((front.near - 1.0).abs() < 1e-6 && (front.far - 1.02).abs() < 1e-6, "{front:?}");
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
    fn a_ball_has_the_box_of_its_visible_side() {
        // A ball of 10 cm radius, its centre 2 m ahead and 0.4 m to the right, rendered analytically in front of a wall at 3 m.
        let camera = Pinhole::from_horizontal_fov(640, 480, 1.1).unwrap();
        let (center, radius) = (DVec3::new(0.4, 0.0, 2.0), 0.1);
        let mut data = vec![3.0f32; 640 * 480];
        let (mut low, mut high) = (DVec2::splat(1e9), DVec2::splat(-1e9));
        for y in 0..480 {
            for x in 0..640 {
                let pixel = DVec2::new(x as f64, y as f64);
                let ray = camera.ray(pixel);
                let (a, b, c) = (ray.length_squared(), ray.dot(center), center.length_squared() - radius * radius);
                if b * b >= a * c {
                    data[y * 640 + x] = ((b - (b * b - a * c).sqrt()) / a) as f32;
                    (low, high) = (low.min(pixel), high.max(pixel));
                }
            }
        }
        let view = DepthView::new(640, 480, &data).unwrap();
        let region = PixelBox { center: 0.5 * (low + high), size: high - low };
        let front = foreground(&view, &region, &DepthLimits::default()).unwrap();
        let seen = seen_box(&camera, &region, &front);
        // Of the half that is turned to the camera the core of the box shows the foremost part.
        assert!((seen.center.truncate() - center.truncate()).length() < 0.02, "{seen:?}");
        assert!((1.9..2.0).contains(&seen.center.z) && (0.01..0.1).contains(&seen.size.z), "{seen:?}");
        assert!((seen.size.x - 0.2).abs() < 0.02 && (seen.size.y - 0.2).abs() < 0.02, "{seen:?}");
    }

    #[test]
    fn bytes_become_distances_or_an_error() {
        let bytes: Vec<u8> = [1.0f32, 2.0, 9.0, 3.0, 4.0, 9.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(distances(2, 2, 12, "32FC1", false, &bytes).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(distances(3, 3, 12, "32FC1", false, &bytes).is_err());
        assert!(distances(4, 1, 12, "32FC1", false, &bytes).is_err());
        assert!(DepthView::new(2, 2, &[1.0; 3]).is_err());
        let big: Vec<u8> = [1.5f32].iter().flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(distances(1, 1, 4, "32FC1", true, &big).unwrap(), [1.5]);
        assert_eq!(distances(2, 1, 4, "16UC1", false, &[0xdc, 0x05, 0, 0]).unwrap(), [1.5, 0.0]);
        assert_eq!(distances(2, 1, 4, "16UC1", true, &[0x05, 0xdc, 0, 0]).unwrap(), [1.5, 0.0]);
        assert!(matches!(distances(2, 1, 4, "rgb8", true, &[0; 4]), Err(DepthError::Encoding { .. })));
        assert!(distances(usize::MAX, 2, 4, "16UC1", true, &[0; 4]).is_err());
        assert!(distances(0, 0, 0, "16UC1", true, &[]).is_err());
    }
}
