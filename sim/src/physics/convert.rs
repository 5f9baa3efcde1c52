//! Between the engine's single-precision types and the plain double-precision ones of the rest.

use crate::scene::Pose;
use glam::{DQuat, DVec3};
use rapier3d::math::{Pose as EnginePose, Rotation, Vector};

/// To the engine.
pub fn vector(v: DVec3) -> Vector {
    Vector::new(v.x as f32, v.y as f32, v.z as f32)
}

/// From the engine.
pub fn dvec(v: Vector) -> DVec3 {
    DVec3::new(f64::from(v.x), f64::from(v.y), f64::from(v.z))
}

/// To the engine.
pub fn engine_pose(p: &Pose) -> EnginePose {
    let q = p.orientation;
    EnginePose::from_parts(vector(p.position), Rotation::from_xyzw(q.x as f32, q.y as f32, q.z as f32, q.w as f32).normalize())
}

/// From the engine.
pub fn pose(p: &EnginePose) -> Pose {
    let q = p.rotation;
    Pose {
        position: dvec(p.translation),
        orientation: DQuat::from_xyzw(f64::from(q.x), f64::from(q.y), f64::from(q.z), f64::from(q.w)).normalize(),
    }
}
