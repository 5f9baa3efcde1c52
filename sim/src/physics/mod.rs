//! Rigid bodies, contact and the robot's mechanics, at the world's physics step.
//!
//! The engine is rapier. Static models hang on one fixed body; every link of a model that is not static is a body of its
//! own. The robot's wheels are no bodies (see [`drive`]); its lift, extension and fingers are prismatic joints with
//! force-limited motors. Gripping is by contact and friction; as in Gazebo's grasp-fix plugin, an object that both fingers
//! press is also held by a constraint, which breaks on overload and is taken away when a finger lets go (see `grasp`).

pub mod arm;
mod build;
mod contacts;
pub mod convert;
pub mod drive;
mod grasp;
#[cfg(test)]
mod tests;

pub use arm::ArmCommand;
pub use build::BuildError;
pub use contacts::Collisions;

use crate::scene::Pose;
use arm::Profile;
use contacts::ContactMonitor;
use drive::{Drive, GroundMotion};
use glam::{DVec2, DVec3};
use grasp::{Grasp, Gripper};
use rapier3d::prelude::*;

/// Which collider is which; kept in the engine's user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A static model, by its index in the world.
    Static(usize),
    /// An object, by its index in [`Physics::objects`].
    Object(usize),
    /// The base's round body.
    Base,
    /// A skid under the base.
    Skid,
    /// Mast, lift, tube or palm.
    Arm,
    /// Left is 0, right is 1.
    Finger(usize),
}

impl Part {
    fn encode(self) -> u128 {
        match self {
            Part::Base => 1,
            Part::Skid => 2,
            Part::Arm => 3,
            Part::Finger(i) => 4 + i as u128,
            Part::Static(i) => 0x1_0000 + i as u128,
            Part::Object(i) => 0x2_0000 + i as u128,
        }
    }

    fn decode(v: u128) -> Self {
        match v {
            1 => Part::Base,
            2 => Part::Skid,
            4 => Part::Finger(0),
            5 => Part::Finger(1),
            0x1_0000..0x2_0000 => Part::Static((v - 0x1_0000) as usize),
            0x2_0000.. => Part::Object((v - 0x2_0000) as usize),
            _ => Part::Arm,
        }
    }

    /// Which part a collider is.
    pub fn of(collider: &Collider) -> Self {
        Self::decode(collider.user_data)
    }

    /// True for what belongs to the robot.
    pub fn is_robot(self) -> bool {
        !matches!(self, Part::Static(_) | Part::Object(_))
    }
}

/// Something that can be fetched.
#[derive(Clone, Debug)]
pub struct Object {
    /// Model name.
    pub name: String,
    /// Spoken.
    pub label: String,
    /// kg.
    pub mass: f64,
    /// Height of its origin above what it stands on, m.
    pub half_height: f64,
    /// Half of its greatest horizontal width, m.
    pub half_width: f64,
    body: RigidBodyHandle,
}

/// A prismatic joint of the arm.
struct Slider {
    name: String,
    handle: ImpulseJointHandle,
    parent: RigidBodyHandle,
    child: RigidBodyHandle,
    /// Child in the parent at position zero.
    rest: Pose,
    axis: DVec3,
    lower: f64,
    upper: f64,
    max_velocity: f64,
    max_acceleration: f64,
    effort: f64,
    stiffness: f64,
    damping: f64,
    profile: Profile,
    trim: f64,
    position: f64,
    velocity: f64,
}

/// Lift, extension, left finger, right finger, in this order.
const SLIDERS: [&str; 4] = ["lift_joint", "extend_joint", "finger_left_joint", "finger_right_joint"];
const LIFT: usize = 0;
const EXTEND: usize = 1;
const FINGERS: [usize; 2] = [2, 3];

/// State of one joint as it is, without encoder noise.
#[derive(Clone, Debug, PartialEq)]
pub struct JointTruth {
    /// Name.
    pub name: String,
    /// m or rad.
    pub position: f64,
    /// m/s or rad/s.
    pub velocity: f64,
    /// N or Nm.
    pub effort: f64,
}

/// Force and torque at the wrist, in the wrist's frame (middle of the gripper, x forward, z up).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wrench {
    /// N.
    pub force: DVec3,
    /// Nm.
    pub torque: DVec3,
}

/// The moving world.
pub struct Physics {
    /// The engine, for ray casts.
    pub engine: PhysicsWorld,
    /// Physics step, s.
    pub dt: f64,
    /// Fetchable objects.
    pub objects: Vec<Object>,
    base: RigidBodyHandle,
    robot_mass: f64,
    sliders: Vec<Slider>,
    drive: Drive,
    contacts: ContactMonitor,
    grasp: Grasp,
    finger_force: f64,
    arm_energy_j: f64,
    distance: f64,
    steps: u64,
    wrench: Wrench,
}

impl Physics {
    /// One physics step.
    pub fn step(&mut self) {
        self.drive_step();
        self.arm_step();
        self.contacts.before_step(&self.engine);
        self.engine.step();
        self.steps += 1;
        self.after_step();
    }

    fn drive_step(&mut self) {
        let body = &self.engine.bodies[self.base];
        let base = convert::pose(body.position());
        let forward = base.orientation * DVec3::X;
        let left = base.orientation * DVec3::Y;
        let half = self.drive.separation() / 2.0;
        let points = [base.transform(DVec3::new(0.0, half, 0.0)), base.transform(DVec3::new(0.0, -half, 0.0))];
        let speed = |p: DVec3| convert::dvec(body.velocity_at_point(convert::vector(p)));
        let upright = (base.orientation * DVec3::Z).z > 0.95 && base.position.z.abs() < 0.02;
        let held = self.grasp.held().map_or(0.0, |i| self.objects[i].mass);
        let ground = GroundMotion {
            forward: [speed(points[0]).dot(forward), speed(points[1]).dot(forward)],
            lateral: speed(base.position).dot(left),
            load: if upright { 0.85 * 9.81 * (self.robot_mass + held) } else { 0.0 },
        };
        let tyres = self.drive.step(self.dt, &ground);
        let body = &mut self.engine.bodies[self.base];
        body.reset_forces(false);
        body.reset_torques(false);
        for (point, force) in
            [(points[0], forward * tyres.left), (points[1], forward * tyres.right), (base.position, left * tyres.lateral)]
        {
            body.add_force_at_point(convert::vector(force), convert::vector(point), true);
        }
    }

    fn arm_step(&mut self) {
        for s in &mut self.sliders {
            s.profile.step(self.dt, s.max_velocity, s.max_acceleration);
            // The controller's integral part: takes away what gravity leaves.
            let settled = s.profile.velocity == 0.0;
            if settled && s.effort.is_finite() && !s.name.starts_with("finger") {
                s.trim = (s.trim + (s.profile.position - s.position) * self.dt * 4.0).clamp(-0.02, 0.02);
            }
            let limit = if s.name.starts_with("finger") { self.finger_force.min(s.effort) } else { s.effort };
            let Some(joint) = self.engine.impulse_joints.get_mut(s.handle, true) else { continue };
            joint.data.set_motor(
                JointAxis::LinX,
                (s.profile.position + s.trim) as f32,
                s.profile.velocity as f32,
                s.stiffness as f32,
                s.damping as f32,
            );
            joint.data.set_motor_max_force(JointAxis::LinX, limit as f32);
        }
    }

    fn after_step(&mut self) {
        let dt = self.dt;
        for i in 0..self.sliders.len() {
            let (parent, child) =
                (self.engine.bodies[self.sliders[i].parent].position(), self.engine.bodies[self.sliders[i].child].position());
            let relative = convert::pose(parent).inverse().then(&convert::pose(child));
            let s = &mut self.sliders[i];
            let position = (relative.position - s.rest.position).dot(s.axis);
            s.velocity = (position - s.position) / dt;
            s.position = position;
            let force = self.motor_force(i);
            let s = &self.sliders[i];
            self.arm_energy_j += dt * (force * s.velocity).max(0.0) / 0.5;
        }
        self.contacts.after_step(&self.engine, dt);
        let gripper = Gripper {
            forces: self.contacts.finger_forces(),
            opening: self.opening(),
            asked: 2.0 * self.sliders[FINGERS[0]].profile.target,
            wrist: self.sliders[EXTEND].child,
        };
        self.grasp.step(&mut self.engine, &self.objects, dt, &gripper);
        self.contacts.set_carried(self.grasp.held());
        self.wrench = self.measure_wrench();
        let v = self.base_velocity().0;
        self.distance += DVec2::new(v.x, v.y).length() * dt;
    }

    fn motor_force(&self, slider: usize) -> f64 {
        self.engine
            .impulse_joints
            .get(self.sliders[slider].handle)
            .map_or(0.0, |j| f64::from(j.data.motors[0].impulse) / self.solver_dt())
    }

    // The solver reports the impulses of its last substep.
    fn solver_dt(&self) -> f64 {
        self.dt / self.engine.integration_parameters.num_solver_iterations as f64
    }

    // What the wrist carries: gravity and inertia of the fingers, contact on palm and fingers, and the held object.
    fn measure_wrench(&self) -> Wrench {
        let wrist = self.gripper_pose();
        let to_wrist = wrist.inverse().orientation;
        let mut out = Wrench::default();
        let gravity = convert::dvec(self.engine.gravity);
        let mut add = |force: DVec3, at: DVec3| {
            let f = to_wrist * force;
            out.force += f;
            out.torque += (to_wrist * (at - wrist.position)).cross(f);
        };
        for i in FINGERS {
            let body = &self.engine.bodies[self.sliders[i].child];
            add(gravity * f64::from(body.mass()), convert::dvec(body.center_of_mass()));
        }
        if let Some(i) = self.grasp.held() {
            let body = &self.engine.bodies[self.objects[i].body];
            add(
                gravity * self.objects[i].mass - self.grasp.acceleration() * self.objects[i].mass,
                convert::dvec(body.center_of_mass()),
            );
        }
        for (force, at) in self.contacts.gripper_forces() {
            add(*force, *at);
        }
        out
    }

    /// Takes a velocity command, m/s and rad/s; holds for [`drive::COMMAND_TIMEOUT_S`].
    pub fn command_drive(&mut self, linear: f64, angular: f64) {
        self.drive.command(linear, angular);
    }

    /// Takes an arm command; members outside the joints' limits are moved to the limit. Returns false, and changes
    /// nothing, where a number is not finite or the force is negative.
    pub fn command_arm(&mut self, command: &ArmCommand) -> bool {
        if !command.is_sound() {
            return false;
        }
        let mut set = |i: usize, v: f64| {
            let s = &mut self.sliders[i];
            s.profile.target = v.clamp(s.lower, s.upper);
            if FINGERS.contains(&i) && s.profile.position < s.position - 1e-3 && s.profile.target > s.profile.position {
                // A blocked finger opens from where it is, not from where it wanted to be.
                s.profile.position = s.position;
                s.profile.velocity = 0.0;
            }
        };
        if let Some(v) = command.lift {
            set(LIFT, v);
        }
        if let Some(v) = command.extend {
            set(EXTEND, v);
        }
        if let Some(v) = command.opening {
            for i in FINGERS {
                set(i, v / 2.0);
            }
            let greatest = self.sliders[FINGERS[0]].effort;
            self.finger_force = command.force.filter(|f| *f > 0.0).unwrap_or(greatest).min(greatest);
        }
        true
    }

    /// Pose of base_link in the world.
    pub fn base_pose(&self) -> Pose {
        convert::pose(self.engine.bodies[self.base].position())
    }

    /// Linear and angular velocity of the base in the world, m/s and rad/s.
    pub fn base_velocity(&self) -> (DVec3, DVec3) {
        let b = &self.engine.bodies[self.base];
        (convert::dvec(b.velocity_at_point(b.translation())), convert::dvec(b.angvel()))
    }

    /// Middle of the gripper in the world: the wrist's frame.
    pub fn gripper_pose(&self) -> Pose {
        convert::pose(self.engine.bodies[self.sliders[EXTEND].child].position())
    }

    /// Opening between the fingers, m.
    pub fn opening(&self) -> f64 {
        FINGERS.iter().map(|i| self.sliders[*i].position).sum()
    }

    /// Pose of an object.
    pub fn object_pose(&self, index: usize) -> Pose {
        convert::pose(self.engine.bodies[self.objects[index].body].position())
    }

    /// Speed of an object, m/s.
    pub fn object_speed(&self, index: usize) -> f64 {
        f64::from(self.engine.bodies[self.objects[index].body].linvel().length())
    }

    /// Puts an object somewhere at rest (before the start, or for tests).
    pub fn place_object(&mut self, index: usize, pose: &Pose) {
        let b = &mut self.engine.bodies[self.objects[index].body];
        b.set_position(convert::engine_pose(pose), true);
        b.set_linvel(Vector::ZERO, true);
        b.set_angvel(Vector::ZERO, true);
    }

    /// Puts the whole robot somewhere at rest (before the start, or for tests).
    pub fn place_robot(&mut self, pose: &Pose) {
        let from = self.base_pose().inverse();
        let moved: Vec<RigidBodyHandle> = std::iter::once(self.base).chain(self.sliders.iter().map(|s| s.child)).collect();
        for handle in moved {
            let b = &mut self.engine.bodies[handle];
            let next = pose.then(&from.then(&convert::pose(b.position())));
            b.set_position(convert::engine_pose(&next), true);
            b.set_linvel(Vector::ZERO, true);
            b.set_angvel(Vector::ZERO, true);
        }
    }

    /// Index of the object that the gripper holds.
    pub fn held(&self) -> Option<usize> {
        self.grasp.held()
    }

    /// Wheels first, then lift, extension and fingers.
    pub fn joints(&self) -> Vec<JointTruth> {
        let wheels = ["wheel_left_joint", "wheel_right_joint"].iter().zip(&self.drive.wheels).map(|(name, w)| JointTruth {
            name: (*name).to_owned(),
            position: w.angle,
            velocity: w.speed,
            effort: w.torque,
        });
        let sliders = self.sliders.iter().enumerate().map(|(i, s)| JointTruth {
            name: s.name.clone(),
            position: s.position,
            velocity: s.velocity,
            effort: self.motor_force(i),
        });
        wheels.chain(sliders).collect()
    }

    /// Force and torque at the wrist.
    pub fn wrench(&self) -> Wrench {
        self.wrench
    }

    /// Strongest touches since the last call: bearing of the touch in base_link (rad) and normal force (N) for the base,
    /// then forces on the left and right finger, N.
    pub fn take_touches(&mut self) -> (Vec<(f64, f64)>, [f64; 2]) {
        self.contacts.take_touches()
    }

    /// Bumps of the robot into furniture, walls and the building so far.
    pub fn collisions(&self) -> Collisions {
        self.contacts.collisions()
    }

    /// Electrical energy of drive and arm so far, J.
    pub fn energy_j(&self) -> (f64, f64) {
        (self.drive.energy_j, self.arm_energy_j)
    }

    /// Distance that the base has gone, m.
    pub fn distance(&self) -> f64 {
        self.distance
    }

    /// How loud the motors run, 0..1: wheels and arm.
    pub fn motor_activity(&self) -> f64 {
        let wheels: f64 = self.drive.wheels.iter().map(|w| w.speed.abs() / 9.0).sum::<f64>() / 2.0;
        let arm: f64 = self.sliders.iter().map(|s| s.profile.velocity.abs() / 0.15).fold(0.0, f64::max);
        (wheels + 0.5 * arm).min(1.0)
    }

    /// Present poses of a scene's bodies, in the order in which [`crate::scene_of`] lists them.
    pub fn body_poses(&self) -> Vec<Pose> {
        let base = self.base_pose();
        let wheel = |i: usize, y: f64| {
            let turned = glam::DQuat::from_rotation_y(self.drive.wheels[i].angle);
            let upright = glam::DQuat::from_rotation_x(-std::f64::consts::FRAC_PI_2);
            base.then(&Pose { position: DVec3::new(0.0, y, self.drive.spec.radius), orientation: turned * upright })
        };
        let half = self.drive.spec.separation / 2.0;
        let mut out = vec![base, wheel(0, half), wheel(1, -half)];
        out.extend(self.sliders.iter().map(|s| convert::pose(self.engine.bodies[s.child].position())));
        out.extend((0..self.objects.len()).map(|i| self.object_pose(i)));
        out
    }

    /// Hash of everything that moves: the same seed and the same commands give the same value, bit for bit.
    pub fn state_hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |bits: u64| {
            for byte in bits.to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        eat(self.steps);
        for (_, body) in self.engine.bodies.iter() {
            let (p, v, w) = (body.position(), body.linvel(), body.angvel());
            for x in [p.translation.x, p.translation.y, p.translation.z, v.x, v.y, v.z, w.x, w.y, w.z] {
                eat(u64::from(x.to_bits()));
            }
            for x in [p.rotation.x, p.rotation.y, p.rotation.z, p.rotation.w] {
                eat(u64::from(x.to_bits()));
            }
        }
        for w in &self.drive.wheels {
            eat(w.angle.to_bits());
            eat(w.speed.to_bits());
        }
        hash
    }
}
