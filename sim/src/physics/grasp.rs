//! Holding: an object that both fingers press is fixed to the wrist until a finger lets go or the load grows too great.
//!
//! Friction alone holds a box between two flat fingers, but a rigid-body solver lets it creep; Gazebo users add a
//! "grasp fix" for the same reason. The constraint is made only after both fingers have pressed the same object with at
//! least [`MIN_FORCE_N`] for [`SETTLE_S`], and breaks when the load on it stays above [`BREAK_FORCE_N`].

use super::Object;
use super::contacts::FingerForces;
use super::convert::{dvec, engine_pose, pose};
use glam::DVec3;
use rapier3d::prelude::*;

/// Least force of each finger, N.
pub const MIN_FORCE_N: f64 = 1.5;
/// For how long both fingers must press, s.
pub const SETTLE_S: f64 = 0.05;
/// Load on the constraint beyond which it breaks, N.
pub const BREAK_FORCE_N: f64 = 25.0;
/// For how long it must be exceeded, s.
const BREAK_S: f64 = 0.02;
/// Contact may be missed for so long before the object counts as lost, s.
const LOST_S: f64 = 0.1;
/// Asking for so much more than the present opening lets go, m.
const OPENING_M: f64 = 0.003;

/// The gripper at one step.
pub(super) struct Gripper<'a> {
    /// What the fingers press, N.
    pub forces: &'a FingerForces,
    /// Present distance between the fingers, m.
    pub opening: f64,
    /// Distance that the fingers are told to take, m.
    pub asked: f64,
    /// The link that carries the fingers.
    pub wrist: RigidBodyHandle,
}

#[derive(Default)]
pub(super) struct Grasp {
    held: Option<(usize, ImpulseJointHandle)>,
    candidate: Option<(usize, f64)>,
    lost_s: f64,
    overload_s: f64,
    velocity: DVec3,
    acceleration: DVec3,
}

impl Grasp {
    pub fn held(&self) -> Option<usize> {
        self.held.map(|(i, _)| i)
    }

    /// Of the held object, low-passed at about 10 Hz, m/s2.
    pub fn acceleration(&self) -> DVec3 {
        self.acceleration
    }

    /// One physics step of `dt` seconds.
    pub fn step(&mut self, engine: &mut PhysicsWorld, objects: &[Object], dt: f64, gripper: &Gripper<'_>) {
        match self.held {
            Some((object, joint)) => self.hold(engine, objects, dt, gripper, object, joint),
            None => self.seek(engine, objects, dt, gripper),
        }
    }

    fn seek(&mut self, engine: &mut PhysicsWorld, objects: &[Object], dt: f64, gripper: &Gripper<'_>) {
        let &Gripper { forces, opening, asked, wrist } = gripper;
        let pressed = forces.on[0]
            .iter()
            .filter(|(_, f)| **f >= MIN_FORCE_N)
            .find(|(o, _)| forces.on[1].get(o).is_some_and(|f| *f >= MIN_FORCE_N))
            .map(|(o, _)| *o);
        self.candidate = match (pressed, self.candidate) {
            (Some(o), Some((before, t))) if o == before => Some((o, t + dt)),
            (Some(o), _) => Some((o, dt)),
            (None, _) => None,
        };
        let Some((object, time)) = self.candidate else { return };
        // Fingers that are not told to close farther than the object lets them do not hold: they only happen to touch.
        if time < SETTLE_S || asked > opening - OPENING_M {
            return;
        }
        let body = objects[object].body;
        let frame = pose(engine.bodies[wrist].position()).inverse().then(&pose(engine.bodies[body].position()));
        let joint = FixedJointBuilder::new().local_frame1(engine_pose(&frame)).contacts_enabled(true);
        let handle = engine.insert_impulse_joint(wrist, body, joint);
        self.held = Some((object, handle));
        self.candidate = None;
        (self.lost_s, self.overload_s) = (0.0, 0.0);
        self.velocity = dvec(engine.bodies[body].linvel());
        self.acceleration = DVec3::ZERO;
    }

    fn hold(
        &mut self,
        engine: &mut PhysicsWorld,
        objects: &[Object],
        dt: f64,
        gripper: &Gripper<'_>,
        object: usize,
        joint: ImpulseJointHandle,
    ) {
        let &Gripper { forces, opening, asked, .. } = gripper;
        let touching = forces.on.iter().all(|f| f.contains_key(&object));
        self.lost_s = if touching { 0.0 } else { self.lost_s + dt };
        let velocity = dvec(engine.bodies[objects[object].body].linvel());
        self.acceleration += ((velocity - self.velocity) / dt - self.acceleration) * (dt / 0.016);
        self.velocity = velocity;
        let substep = dt / engine.integration_parameters.num_solver_iterations as f64;
        let load = engine
            .impulse_joints
            .get(joint)
            .map_or(0.0, |j| (0..3).map(|i| f64::from(j.impulses[i]).powi(2)).sum::<f64>().sqrt() / substep);
        self.overload_s = if load > BREAK_FORCE_N { self.overload_s + dt } else { 0.0 };
        let opened = asked > opening + OPENING_M;
        if opened || self.lost_s > LOST_S || self.overload_s > BREAK_S {
            engine.remove_impulse_joint(joint);
            self.held = None;
            self.acceleration = DVec3::ZERO;
        }
    }
}
