//! The lidar: one ray per beam against everything but the robot itself.

use super::ScanReading;
use crate::noise::Noise;
use crate::physics::convert::vector;
use crate::physics::{Part, Physics};
use crate::scene::Pose;
use crate::sdf::{Sensor, SensorKind};
use glam::DVec3;
use rapier3d::prelude::{Collider, ColliderHandle, QueryFilter, Ray};

/// Casts one turn of `sensor`, whose pose is in base_link. Beams that meet nothing within the range are infinite; what is
/// nearer than the least range is not seen. An empty reading where the sensor is no lidar.
pub fn scan(physics: &Physics, sensor: &Sensor, noise: &mut Noise) -> ScanReading {
    let SensorKind::Lidar { samples, min_angle, max_angle, min_range, max_range, noise: sigma } = &sensor.kind else {
        return ScanReading::default();
    };
    let increment = if *samples > 1 { (max_angle - min_angle) / (*samples as f64 - 1.0) } else { 0.0 };
    let pose: Pose = physics.base_pose().then(&sensor.pose);
    // The mast stands inside the least range, the driver masks it; so rays pass through the robot.
    let foreign = |_: ColliderHandle, c: &Collider| !Part::of(c).is_robot();
    let filter = QueryFilter::default().predicate(&foreign);
    let query = physics.engine.query_pipeline_with_filter(filter);
    let origin = vector(pose.position);
    let ranges = (0..*samples)
        .map(|i| {
            let bearing = min_angle + increment * i as f64;
            let direction = pose.orientation * DVec3::new(bearing.cos(), bearing.sin(), 0.0);
            let jitter = noise.gaussian(sigma.stddev);
            match query.cast_ray(&Ray::new(origin, vector(direction)), *max_range as f32, true) {
                Some((_, d)) if f64::from(d) >= *min_range => (f64::from(d) + jitter).clamp(*min_range, *max_range) as f32,
                _ => f32::INFINITY,
            }
        })
        .collect();
    ScanReading { min_angle: *min_angle, increment, min_range: *min_range, max_range: *max_range, ranges }
}
