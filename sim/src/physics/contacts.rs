//! What touches what, how hard, and how often the robot bumped into its home. All forces are the solver's.

use super::Part;
use super::convert::dvec;
use glam::DVec3;
use rapier3d::parry::query;
use rapier3d::prelude::*;
use std::collections::BTreeMap;

/// A model must have been left alone for so long before touching it counts as another collision, s.
const SEPARATE_S: f64 = 0.3;
/// Slower touches are leaning, not bumping, m/s.
const SLOWEST_BUMP: f64 = 0.01;

/// Bumps of the robot so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Collisions {
    /// How many.
    pub count: u32,
    /// Fastest approach along the contact normal, m/s.
    pub worst_speed: f64,
}

/// Which finger presses which object in the step, N.
#[derive(Clone, Debug, Default)]
pub struct FingerForces {
    /// Per finger: object index to force.
    pub on: [BTreeMap<usize, f64>; 2],
}

pub(super) struct ContactMonitor {
    robot: Vec<RigidBodyHandle>,
    base: RigidBodyHandle,
    /// Static model that may be touched freely: the dock.
    dock: Option<usize>,
    velocities: Vec<(Vector, Vector, Vector)>,
    touches: Vec<(f64, f64)>,
    finger_peak: [f64; 2],
    fingers: FingerForces,
    gripper: Vec<(DVec3, DVec3)>,
    carried: Option<usize>,
    /// Per static model: when it was last touched, and whether this touch counts as a collision already.
    touching: BTreeMap<usize, (f64, bool)>,
    collisions: Collisions,
    time_s: f64,
}

impl ContactMonitor {
    pub fn new(robot: Vec<RigidBodyHandle>, base: RigidBodyHandle, dock: Option<usize>) -> Self {
        Self {
            robot,
            base,
            dock,
            velocities: Vec::new(),
            touches: Vec::new(),
            finger_peak: [0.0; 2],
            fingers: FingerForces::default(),
            gripper: Vec::new(),
            carried: None,
            touching: BTreeMap::new(),
            collisions: Collisions::default(),
            time_s: 0.0,
        }
    }

    pub fn before_step(&mut self, engine: &PhysicsWorld) {
        self.velocities.clear();
        self.velocities.extend(self.robot.iter().map(|h| {
            let b = &engine.bodies[*h];
            (b.linvel(), b.angvel(), b.center_of_mass())
        }));
    }

    pub fn after_step(&mut self, engine: &PhysicsWorld, dt: f64) {
        self.time_s += dt;
        self.fingers = FingerForces::default();
        self.gripper.clear();
        for pair in engine.contact_pairs() {
            // A pair that has parted keeps its last impulse until its boxes part too: only what the solver pushed in this step counts.
            if !pair.has_any_active_contact() || pair.total_impulse_magnitude() <= 0.0 {
                continue;
            }
            let (Some(a), Some(b)) = (engine.colliders.get(pair.collider1), engine.colliders.get(pair.collider2)) else {
                continue;
            };
            let (pa, pb) = (Part::decode(a.user_data), Part::decode(b.user_data));
            // The engine's normal points from the first to the second: on the second it pushes along, on the first against.
            let force = dvec(pair.total_impulse()) / dt;
            let (own, own_collider, other, on_own) = match (pa.is_robot(), pb.is_robot()) {
                (true, false) => (pa, a, pb, -force),
                (false, true) => (pb, b, pa, force),
                (false, false) => {
                    if self.carried.is_none() || apart(a, b) {
                        continue;
                    }
                    self.carried_contact(pa, pb, force, pair, a);
                    continue;
                }
                (true, true) => continue,
            };
            if own != Part::Skid && apart(a, b) {
                continue;
            }
            let point = contact_point(pair, a);
            self.robot_contact(engine, own, own_collider, other, on_own, point);
        }
    }

    fn robot_contact(&mut self, engine: &PhysicsWorld, own: Part, collider: &Collider, other: Part, force: DVec3, at: DVec3) {
        let size = force.length();
        match own {
            Part::Skid => return,
            Part::Base => {
                let base = super::convert::pose(engine.bodies[self.base].position());
                let towards = base.orientation.conjugate() * -force;
                self.touches.push((towards.y.atan2(towards.x), size));
            }
            Part::Finger(i) => {
                self.finger_peak[i] = self.finger_peak[i].max(size);
                self.gripper.push((force, at));
                if let Part::Object(o) = other {
                    *self.fingers.on[i].entry(o).or_insert(0.0) += size;
                }
            }
            Part::Arm => self.gripper.push((force, at)),
            Part::Static(_) | Part::Object(_) => return,
        }
        if let Part::Static(model) = other
            && Some(model) != self.dock
        {
            let index = collider.parent().and_then(|h| self.robot.iter().position(|r| *r == h));
            let speed = index.map_or(0.0, |i| {
                let (v, w, c) = self.velocities[i];
                let here = dvec(v) + dvec(w).cross(at - dvec(c));
                (-here.dot(force.normalize_or_zero())).max(0.0)
            });
            let (last_s, counted) = self.touching.get(&model).copied().unwrap_or((f64::NEG_INFINITY, false));
            let counted = counted && self.time_s - last_s <= SEPARATE_S;
            let bump = speed > SLOWEST_BUMP;
            if bump {
                self.collisions.count += u32::from(!counted);
                self.collisions.worst_speed = self.collisions.worst_speed.max(speed);
            }
            self.touching.insert(model, (self.time_s, counted || bump));
        }
    }

    // The held object touching something else is felt through the wrist.
    fn carried_contact(&mut self, pa: Part, pb: Part, force: DVec3, pair: &ContactPair, a: &Collider) {
        let Some(held) = self.carried else { return };
        let at = contact_point(pair, a);
        if pa == Part::Object(held) {
            self.gripper.push((-force, at));
        } else if pb == Part::Object(held) {
            self.gripper.push((force, at));
        }
    }

    pub fn set_carried(&mut self, object: Option<usize>) {
        self.carried = object;
    }

    pub fn finger_forces(&self) -> &FingerForces {
        &self.fingers
    }

    /// Forces on palm, fingers and held object in the step, with their points, in the world.
    pub fn gripper_forces(&self) -> &[(DVec3, DVec3)] {
        &self.gripper
    }

    pub fn take_touches(&mut self) -> (Vec<(f64, f64)>, [f64; 2]) {
        (std::mem::take(&mut self.touches), std::mem::take(&mut self.finger_peak))
    }

    pub fn collisions(&self) -> Collisions {
        self.collisions
    }
}

// The engine may keep contacts of a pair that has long parted while one of the two sleeps.
fn apart(a: &Collider, b: &Collider) -> bool {
    const NEAR_M: f32 = 0.005;
    query::distance(a.position(), a.shape(), b.position(), b.shape()).is_ok_and(|found| found.distance > NEAR_M)
}

// The deepest point, or the first collider's own place where the engine keeps none.
fn contact_point(pair: &ContactPair, first: &Collider) -> DVec3 {
    let local = pair.find_deepest_contact().map_or(Vector::ZERO, |(_, c)| c.local_p1);
    dvec(first.position().transform_point(local))
}
