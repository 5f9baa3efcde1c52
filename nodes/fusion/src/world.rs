//! Everything the robot believes, joined: pictures with depth become sightings, senses become tokens.

use glam::{DVec2, DVec3};
use spatial::depth::{DepthLimits, DepthView, PixelBox, foreground};
use spatial::{Home, Pinhole, Pose3};

use crate::depth::place;
use crate::memory::{Look, Object, Sighting};

/// A detection as the detector gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Label.
    pub label: String,
    /// Score, 0..1.
    pub score: f64,
    /// Box, pixels.
    pub region: PixelBox,
}

/// A picture's geometry: camera, where it was, what is how far.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The camera.
    pub camera: Pinhole,
    /// Pose of the optical frame in the map.
    pub pose: Pose3,
    /// Distances.
    pub depth: DepthView<'a>,
    /// Limits of what is believed.
    pub limits: DepthLimits,
    /// Standard deviation of the robot's own position, m.
    pub robot_sigma: f64,
}

impl View<'_> {
    /// Places detections in the map. Those without a distance, and labels of people and furniture-sized things (wider
    /// than `max_size` m), stay out of the object memory.
    #[must_use]
    pub fn sightings(&self, detections: &[Detection], max_size: f64) -> Vec<Sighting> {
        detections
            .iter()
            .filter_map(|d| {
                let front = foreground(&self.depth, &d.region, &self.limits)?;
                let placed = place(&self.camera, &self.pose, &d.region, &front);
                // A box that is cut by the edge of the picture hides where its middle is.
                let half = 0.5 * d.region.size;
                let (low, high) = (d.region.center - half, d.region.center + half);
                let edge = DVec2::new(f64::from(self.camera.width), f64::from(self.camera.height)) - 2.0;
                let cut = low.cmplt(DVec2::ONE).any() || high.cmpgt(edge).any();
                let sigma = placed.sigma.hypot(self.robot_sigma) * if cut { 2.0 } else { 1.0 };
                (placed.position.is_finite() && placed.size.max_element() <= max_size).then(|| Sighting {
                    label: d.label.clone(),
                    score: d.score,
                    position: placed.position,
                    sigma,
                    size: placed.size,
                })
            })
            .collect()
    }

    /// What this picture shows where an object is believed. `range` limits how far an object should be detected, m.
    #[must_use]
    pub fn look(&self, object: &Object, range: f64) -> Look {
        let point = self.pose.inverse().transform(object.position);
        let Some(pixel) = self.camera.project(point) else { return Look::NotInView };
        let size = DVec2::new(f64::from(self.camera.width), f64::from(self.camera.height));
        let margin = size * 0.08;
        if point.length() > range || point.length() < 0.35 || pixel.cmplt(margin).any() || pixel.cmpgt(size - margin).any() {
            return Look::NotInView;
        }
        let Some(depth) = self.depth.at(pixel) else { return Look::NotInView };
        let slack = 0.10 + 2.0 * object.variance.sqrt();
        if depth < point.z - slack {
            Look::NotInView
        } else if depth > point.z + slack + 0.15 {
            Look::SeenThrough
        } else {
            Look::Missing
        }
    }
}

/// Name of the room a point is in; empty outside all.
#[must_use]
pub fn room_of(home: Option<&Home>, point: DVec3) -> String {
    home.and_then(|h| h.room_at(point.truncate())).map_or_else(String::new, |r| r.name.clone())
}

/// A bearing (rad) in a frame, turned into the map; None when it is not a number.
#[must_use]
pub fn bearing_in_map(frame_in_map: &Pose3, bearing: f64) -> Option<f64> {
    if !bearing.is_finite() {
        return None;
    }
    let v = frame_in_map.rotate(DVec3::new(bearing.cos(), bearing.sin(), 0.0));
    Some(v.y.atan2(v.x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemorySettings, ObjectMemory};

    fn view(depth: &[f32]) -> View<'_> {
        View {
            camera: Pinhole::from_horizontal_fov(64, 48, 1.1).unwrap(),
            pose: Pose3::from_translation(DVec3::new(0.0, 0.0, 0.5)) * Pose3::optical(),
            depth: DepthView::new(64, 48, depth).unwrap(),
            limits: DepthLimits::default(),
            robot_sigma: 0.01,
        }
    }

    fn object_at(x: f64) -> Object {
        let mut m = ObjectMemory::new(MemorySettings::default());
        let s =
            Sighting { label: "cup".into(), score: 0.9, position: DVec3::new(x, 0.0, 0.5), sigma: 0.02, size: DVec3::splat(0.1) };
        m.observe(&[s], 0, |_| Look::NotInView);
        m.objects()[0].clone()
    }

    #[test]
    fn a_look_tells_hidden_missing_and_seen_through_apart() {
        let (near, at, far) = (vec![0.5f32; 64 * 48], vec![1.5f32; 64 * 48], vec![4.0f32; 64 * 48]);
        let cup = object_at(1.5);
        assert_eq!(view(&near).look(&cup, 3.0), Look::NotInView);
        assert_eq!(view(&at).look(&cup, 3.0), Look::Missing);
        assert_eq!(view(&far).look(&cup, 3.0), Look::SeenThrough);
        assert_eq!(view(&far).look(&cup, 1.0), Look::NotInView);
        assert_eq!(view(&far).look(&object_at(-1.5), 3.0), Look::NotInView);
    }

    #[test]
    fn detections_become_sightings_ahead() {
        let depth = vec![1.5f32; 64 * 48];
        let region = PixelBox { center: DVec2::new(31.5, 23.5), size: DVec2::new(8.0, 8.0) };
        let d = Detection { label: "cup".into(), score: 0.8, region };
        let seen = view(&depth).sightings(std::slice::from_ref(&d), 0.6);
        assert_eq!(seen.len(), 1);
        assert!((seen[0].position.x - 1.5).abs() < 0.15 && seen[0].position.y.abs() < 0.01);
        assert!(view(&depth).sightings(&[d], 0.05).is_empty(), "too large");
    }

    #[test]
    fn bearings_turn_with_the_robot() {
        let turned = Pose3::from_xyz_rpy(DVec3::ZERO, 0.0, 0.0, 1.0);
        assert!((bearing_in_map(&turned, 0.5).unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(bearing_in_map(&turned, f64::NAN), None);
    }
}
