//! From a world's description to the engine's bodies, colliders and joints.

use super::contacts::ContactMonitor;
use super::convert::{engine_pose, pose, vector};
use super::drive::{Drive, DriveSpec};
use super::grasp::Grasp;
use super::{LIFT, Object, Part, Physics, SLIDERS, Slider, Wrench};
use crate::noise::Noise;
use crate::scene::{Pose, Shape};
use crate::sdf::{Collision, DIFF_DRIVE, JointKind, Link, Model, Plugin, World};
use glam::{DQuat, DVec3};
use rapier3d::prelude::*;

/// Why a world that was loaded cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No model has a differential drive.
    #[error("world {0:?} has no model with the plugin {DIFF_DRIVE}")]
    NoRobot(String),
    /// The robot lacks something.
    #[error("model {model:?} lacks {what}")]
    Lacking {
        /// Model.
        model: String,
        /// What.
        what: String,
    },
    /// A value that the drive cannot have.
    #[error("model {model:?}, plugin {DIFF_DRIVE}: {key} must be a number above zero")]
    Drive {
        /// Model.
        model: String,
        /// Key.
        key: String,
    },
}

const ROBOT: Group = Group::GROUP_1;
const WORLD: Group = Group::GROUP_2;

fn lacking(m: &Model, what: &str) -> BuildError {
    BuildError::Lacking { model: m.name.clone(), what: what.to_owned() }
}

impl Physics {
    /// Builds the world as its file says.
    ///
    /// # Errors
    /// [`BuildError`] where there is no robot, or it lacks a link, a joint or a number.
    pub fn new(world: &World, seed: u64) -> Result<Self, BuildError> {
        let robot = world.robot().ok_or_else(|| BuildError::NoRobot(world.name.clone()))?;
        let mut engine = PhysicsWorld { gravity: vector(world.gravity), ..PhysicsWorld::default() };
        engine.integration_parameters.dt = world.step_s as f32;
        engine.integration_parameters.normalized_prediction_distance = 0.004;
        engine.integration_parameters.normalized_allowed_linear_error = 0.0005;
        engine.integration_parameters.warmstart_joints = true;
        let ground = engine.insert_body(RigidBodyBuilder::fixed());
        let mut objects = Vec::new();
        let mut dock = None;
        for (index, model) in world.models.iter().enumerate() {
            if std::ptr::eq(model, robot) {
                continue;
            }
            if model.is_static {
                if model.name == "dock" {
                    dock = Some(index);
                }
                for link in &model.links {
                    for c in &link.collisions {
                        let at = model.pose.then(&link.pose).then(&c.pose);
                        let built = collider(c, &at, Part::Static(index), WORLD, Group::ALL);
                        engine.insert_collider(built, Some(ground));
                    }
                }
            } else {
                objects.push(object(&mut engine, model, objects.len())?);
            }
        }
        let drive = Drive::new(drive_spec(robot)?, Noise::new(seed, "drive"));
        let root = robot.link("base_link").ok_or_else(|| lacking(robot, "the link base_link"))?;
        let base = link_body(&mut engine, robot, root);
        // Sliders are in order of the chain, so that every parent is there before its child.
        let mut links = vec![(root.name.as_str(), base)];
        let mut sliders = Vec::with_capacity(SLIDERS.len());
        for name in SLIDERS {
            sliders.push(slider(&mut engine, robot, name, &mut links)?);
        }
        let handles: Vec<RigidBodyHandle> = links.iter().map(|l| l.1).collect();
        let robot_mass = links.iter().filter_map(|l| robot.link(l.0)).map(|l| l.inertial.mass).sum();
        let finger_force = sliders[super::FINGERS[0]].effort;
        Ok(Self {
            dt: world.step_s,
            contacts: ContactMonitor::new(handles, base, dock),
            engine,
            objects,
            base,
            robot_mass,
            sliders,
            drive,
            grasp: Grasp::default(),
            finger_force,
            arm_energy_j: 0.0,
            distance: 0.0,
            steps: 0,
            wrench: Wrench::default(),
        })
    }
}

fn drive_spec(robot: &Model) -> Result<DriveSpec, BuildError> {
    let plugin: &Plugin = robot.plugin(DIFF_DRIVE).ok_or_else(|| lacking(robot, DIFF_DRIVE))?;
    let get = |key: &str| {
        plugin
            .values
            .get(key)
            .and_then(|v| v.parse::<f64>().ok())
            .filter(|v| *v > 0.0)
            .ok_or_else(|| BuildError::Drive { model: robot.name.clone(), key: key.to_owned() })
    };
    let wheel = plugin.values.get("left_joint").and_then(|n| robot.joint(n)).ok_or_else(|| lacking(robot, "the left wheel"))?;
    Ok(DriveSpec {
        radius: get("wheel_radius")?,
        separation: get("wheel_separation")?,
        max_linear: get("max_linear_velocity")?,
        max_angular: get("max_angular_velocity")?,
        linear_acceleration: get("max_linear_acceleration")?,
        angular_acceleration: get("max_angular_acceleration")?,
        max_torque: wheel.effort,
    })
}

/// A solid for the engine, whose cylinders lie along y.
fn shape(s: &Shape) -> (SharedShape, Pose) {
    let upright = Pose { position: DVec3::ZERO, orientation: DQuat::from_rotation_x(std::f64::consts::FRAC_PI_2) };
    match s {
        Shape::Box { size } | Shape::Mesh { size, .. } => {
            let h = *size / 2.0;
            (SharedShape::cuboid(h.x as f32, h.y as f32, h.z as f32), Pose::IDENTITY)
        }
        Shape::Cylinder { radius, length } => (SharedShape::cylinder((length / 2.0) as f32, *radius as f32), upright),
        Shape::Sphere { radius } => (SharedShape::ball(*radius as f32), Pose::IDENTITY),
    }
}

fn collider(c: &Collision, at: &Pose, part: Part, member: Group, meets: Group) -> ColliderBuilder {
    let (solid, turn) = shape(&c.shape);
    let rule = if c.friction == 0.0 { CoefficientCombineRule::Min } else { CoefficientCombineRule::Average };
    ColliderBuilder::new(solid)
        .position(engine_pose(&at.then(&turn)))
        .friction(c.friction as f32)
        .friction_combine_rule(rule)
        .density(0.0)
        .collision_groups(InteractionGroups::new(member, meets, InteractionTestMode::And))
        .user_data(part.encode())
}

fn mass(link: &Link) -> MassProperties {
    let i = link.inertial;
    MassProperties::new(vector(i.centre), i.mass as f32, vector(i.moments))
}

fn object(engine: &mut PhysicsWorld, model: &Model, index: usize) -> Result<Object, BuildError> {
    let link = model.links.first().ok_or_else(|| lacking(model, "a link"))?;
    let c = link.collisions.first().ok_or_else(|| lacking(model, "a collision"))?;
    let (half_height, half_width) = match &c.shape {
        Shape::Box { size } | Shape::Mesh { size, .. } => (size.z / 2.0, size.x.max(size.y) / 2.0),
        Shape::Cylinder { radius, length } => (length / 2.0, *radius),
        Shape::Sphere { radius } => (*radius, *radius),
    };
    let round = matches!(c.shape, Shape::Sphere { .. });
    let body = engine.insert_body(
        RigidBodyBuilder::dynamic()
            .pose(engine_pose(&model.pose.then(&link.pose)))
            .additional_mass_properties(mass(link))
            // A ball on a table: felt and air, or it would roll for ever.
            .angular_damping(if round { 8.0 } else { 0.5 }),
    );
    for c in &link.collisions {
        engine.insert_collider(collider(c, &c.pose, Part::Object(index), WORLD, Group::ALL), Some(body));
    }
    Ok(Object {
        name: model.name.clone(),
        label: model.label.clone().unwrap_or_else(|| model.name.clone()),
        mass: link.inertial.mass,
        half_height,
        half_width,
        body,
    })
}

fn link_body(engine: &mut PhysicsWorld, robot: &Model, link: &Link) -> RigidBodyHandle {
    let body = engine.insert_body(
        RigidBodyBuilder::dynamic()
            .pose(engine_pose(&robot.pose.then(&link.pose)))
            .additional_mass_properties(mass(link))
            .can_sleep(false),
    );
    for c in &link.collisions {
        let part = match (link.name.as_str(), c.name.as_str()) {
            ("base_link", "body") => Part::Base,
            ("base_link", n) if n.starts_with("skid") => Part::Skid,
            ("finger_left", _) => Part::Finger(0),
            ("finger_right", _) => Part::Finger(1),
            _ => Part::Arm,
        };
        // The robot's own parts do not meet each other.
        engine.insert_collider(collider(c, &c.pose, part, ROBOT, Group::ALL & !ROBOT), Some(body));
    }
    body
}

fn slider<'w>(
    engine: &mut PhysicsWorld,
    robot: &'w Model,
    name: &str,
    links: &mut Vec<(&'w str, RigidBodyHandle)>,
) -> Result<Slider, BuildError> {
    let joint = robot.joint(name).filter(|j| j.kind == JointKind::Prismatic).ok_or_else(|| lacking(robot, name))?;
    let (Some(parent), Some(child)) = (robot.link(&joint.parent), robot.link(&joint.child)) else {
        return Err(lacking(robot, &joint.child));
    };
    let gain = |key: &str| {
        robot
            .plugins
            .iter()
            .find(|p| p.values.get("joint_name").is_some_and(|n| n == name))
            .and_then(|p| p.values.get(key)?.parse::<f64>().ok())
            .ok_or_else(|| lacking(robot, &format!("a position controller with {key} for {name}")))
    };
    let (stiffness, damping) = (gain("p_gain")?, gain("d_gain")?);
    let parent_body = links.iter().find(|l| l.0 == parent.name).map(|l| l.1).ok_or_else(|| lacking(robot, &joint.parent))?;
    let child_body = link_body(engine, robot, child);
    links.push((child.name.as_str(), child_body));
    let rest = parent.pose.inverse().then(&child.pose);
    let built = PrismaticJointBuilder::new(vector(joint.axis))
        .local_anchor1(vector(rest.position))
        .limits([joint.lower as f32, joint.upper as f32])
        .motor_model(MotorModel::ForceBased)
        .set_motor(0.0, 0.0, stiffness as f32, damping as f32)
        .motor_max_force(joint.effort as f32)
        .contacts_enabled(false);
    let handle = engine.insert_impulse_joint(parent_body, child_body, built);
    let max_velocity = joint.velocity;
    Ok(Slider {
        name: name.to_owned(),
        handle,
        parent: parent_body,
        child: child_body,
        rest: pose(&engine_pose(&rest)),
        axis: joint.axis,
        lower: joint.lower,
        upper: joint.upper,
        max_velocity,
        max_acceleration: if name == SLIDERS[LIFT] { 0.4 } else { 0.5 },
        effort: joint.effort,
        stiffness,
        damping,
        profile: Default::default(),
        trim: 0.0,
        position: 0.0,
        velocity: 0.0,
    })
}
