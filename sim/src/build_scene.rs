//! From a world to what can be seen of it.

use crate::scene::{Body, Item, Pose, Scene};
use crate::sdf::{Link, Model, World};

/// The robot's links in the order in which [`crate::physics::Physics::body_poses`] gives their poses.
const ROBOT_LINKS: [&str; 7] =
    ["base_link", "wheel_left", "wheel_right", "lift_link", "extend_link", "finger_left", "finger_right"];

/// The scene of a world: the robot's bodies first, then the objects', in the order of
/// [`crate::physics::Physics::body_poses`]. Instance ids count the models from 1 in the order of the file.
pub fn scene_of(world: &World) -> Scene {
    let mut scene =
        Scene { lights: world.lights.clone(), ambient: world.ambient, background: world.background, ..Scene::default() };
    let id = |model: &Model| world.models.iter().position(|m| std::ptr::eq(m, model)).map_or(0, |i| i as u32 + 1);
    if let Some(robot) = world.robot() {
        for name in ROBOT_LINKS {
            if let Some(link) = robot.link(name) {
                moving(&mut scene, robot, link, id(robot));
            }
        }
        for model in world.models.iter().filter(|m| !std::ptr::eq(*m, robot) && !m.is_static) {
            if let Some(link) = model.links.first() {
                moving(&mut scene, model, link, id(model));
            }
        }
    }
    for model in world.models.iter().filter(|m| m.is_static) {
        for link in &model.links {
            items(&mut scene, model, link, id(model), None, &model.pose.then(&link.pose));
        }
    }
    scene
}

fn moving(scene: &mut Scene, model: &Model, link: &Link, id: u32) {
    let index = scene.bodies.len();
    scene.bodies.push(Body { name: format!("{}/{}", model.name, link.name), pose: model.pose.then(&link.pose) });
    items(scene, model, link, id, Some(index), &Pose::IDENTITY);
}

fn items(scene: &mut Scene, model: &Model, link: &Link, id: u32, body: Option<usize>, frame: &Pose) {
    for v in &link.visuals {
        scene.items.push(Item {
            name: format!("{}/{}/{}", model.name, link.name, v.name),
            id,
            label: model.label.clone(),
            shape: v.shape.clone(),
            pose: frame.then(&v.pose),
            body,
            colour: v.colour,
            look: v.look.clone(),
        });
    }
}
