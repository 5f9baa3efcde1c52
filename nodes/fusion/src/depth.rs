//! From a box in the picture to a place in space.

use glam::DVec3;
use spatial::depth::{Foreground, PixelBox, extent};
use spatial::{Pinhole, Pose3};

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
    let (width, tall) = extent(camera, region, front.depth).into();
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
    use glam::DVec2;
    use spatial::depth::{DepthLimits, DepthView, foreground};

    fn camera() -> Pinhole {
        Pinhole::from_horizontal_fov(640, 480, 1.1).unwrap()
    }

    fn mounted() -> Pose3 {
        Pose3::from_xyz_rpy(DVec3::new(0.05, 0.0, 0.62), 0.0, 0.35, 0.0) * Pose3::optical()
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
        let at = |depth| {
            place(&camera(), &mounted(), &region, &Foreground { depth, spread: 0.0, near: depth, far: depth, samples: 50 }).sigma
        };
        assert!(at(1.0) < at(2.0) && at(2.0) < at(4.0));
    }
}
