use super::*;
use crate::sdf::{World, load_world};
use std::path::Path;

fn home() -> World {
    load_world(&Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/home.sdf")).unwrap()
}

fn physics() -> Physics {
    Physics::new(&home(), 1).unwrap()
}

fn run(p: &mut Physics, seconds: f64) {
    for _ in 0..(seconds / p.dt).round() as usize {
        p.step();
    }
}

fn drive(p: &mut Physics, v: f64, w: f64, seconds: f64) {
    for _ in 0..(seconds / 0.1).round() as usize {
        p.command_drive(v, w);
        run(p, 0.1);
    }
}

#[test]
fn robot_and_objects_come_to_rest_where_they_were_put() {
    let mut p = physics();
    let before: Vec<Pose> = (0..p.objects.len()).map(|i| p.object_pose(i)).collect();
    let start = p.base_pose();
    run(&mut p, 2.0);
    assert!((p.base_pose().position - start.position).length() < 0.003, "{:?}", p.base_pose());
    assert!(p.base_velocity().0.length() < 1e-3);
    for (i, b) in before.iter().enumerate() {
        let moved = (p.object_pose(i).position - b.position).length();
        assert!(moved < 0.005, "{} moved {moved}", p.objects[i].name);
    }
    assert_eq!(p.collisions().count, 0);
}

#[test]
fn straight_drive_covers_the_asked_distance_within_slip() {
    let mut p = physics();
    run(&mut p, 0.5);
    p.place_robot(&Pose::planar(7.0, 4.75, 0.0));
    let from = p.base_pose().position;
    drive(&mut p, 0.2, 0.0, 5.0);
    drive(&mut p, 0.0, 0.0, 1.0);
    let gone = p.base_pose().position - from;
    // 5 s at 0.2 m/s; ramps up and down (0.5 m/s2) even out.
    assert!((gone.x - 1.0).abs() < 0.03, "{gone}");
    assert!(gone.y.abs() < 0.06, "{gone}");
    assert!(gone.z.abs() < 0.003, "{gone}");
}

#[test]
fn turning_on_the_spot_turns_by_the_asked_angle() {
    let mut p = physics();
    run(&mut p, 0.5);
    let from = p.base_pose();
    drive(&mut p, 0.0, 1.0, 3.0);
    drive(&mut p, 0.0, 0.0, 1.0);
    let turned = from.inverse().then(&p.base_pose());
    assert!((turned.yaw() - 3.0).abs() < 0.1, "{}", turned.yaw());
    assert!(turned.position.length() < 0.02, "{}", turned.position);
}

#[test]
fn drive_brakes_when_commands_stop_coming() {
    let mut p = physics();
    p.place_robot(&Pose::planar(7.0, 4.75, 0.0));
    drive(&mut p, 0.31, 0.0, 1.5);
    assert!(p.base_velocity().0.length() > 0.28);
    run(&mut p, drive::COMMAND_TIMEOUT_S + 1.0);
    assert!(p.base_velocity().0.length() < 0.01);
}

#[test]
fn commands_that_are_not_finite_do_nothing() {
    let mut p = physics();
    run(&mut p, 0.5);
    p.command_drive(f64::NAN, f64::INFINITY);
    assert!(!p.command_arm(&ArmCommand { lift: Some(f64::NAN), ..ArmCommand::default() }));
    assert!(!p.command_arm(&ArmCommand { force: Some(-1.0), ..ArmCommand::default() }));
    let from = p.base_pose().position;
    run(&mut p, 0.4);
    assert!((p.base_pose().position - from).length() < 1e-3);
}

#[test]
fn bumping_a_wall_is_felt_and_counted_once_with_its_speed() {
    let mut p = physics();
    p.place_robot(&Pose::planar(7.0, 4.2, -std::f64::consts::FRAC_PI_2));
    run(&mut p, 0.3);
    drive(&mut p, 0.2, 0.0, 4.0);
    let c = p.collisions();
    assert_eq!(c.count, 1, "{c:?}");
    assert!((c.worst_speed - 0.2).abs() < 0.03, "{c:?}");
    let (touches, fingers) = p.take_touches();
    // Whatever sticks out in front meets the wall first: the fingers.
    assert!(!touches.is_empty() || fingers.iter().any(|f| *f > 0.5), "{touches:?} {fingers:?}");
}

#[test]
fn arm_goes_where_it_is_told_and_stays_there() {
    let mut p = physics();
    run(&mut p, 0.3);
    p.command_arm(&ArmCommand { lift: Some(0.3), extend: Some(0.2), opening: Some(0.12), force: None });
    run(&mut p, 5.0);
    let j = p.joints();
    assert!((j[2].position - 0.3).abs() < 2e-3, "{j:?}");
    assert!((j[3].position - 0.2).abs() < 2e-3, "{j:?}");
    assert!((p.opening() - 0.12).abs() < 2e-3, "{}", p.opening());
    let local = p.base_pose().inverse().then(&p.gripper_pose());
    assert!((local.position - DVec3::new(0.42, 0.0, 0.5)).length() < 6e-3, "{}", local.position);
}

#[test]
fn contact_force_of_a_resting_object_is_its_weight() {
    let mut p = physics();
    run(&mut p, 1.0);
    for (i, o) in p.objects.iter().enumerate() {
        let mut sum = 0.0;
        for pair in p.engine.contact_pairs() {
            let is = |h: ColliderHandle| Part::decode(p.engine.colliders[h].user_data) == Part::Object(i);
            if is(pair.collider1) || is(pair.collider2) {
                sum += f64::from(pair.total_impulse_magnitude()) / p.dt;
            }
        }
        let weight = o.mass * 9.81;
        assert!((sum - weight).abs() < 0.05 * weight, "{}: {sum} N, weight {weight} N", o.name);
    }
}

/// Puts the robot in front of object `index` and grips it; returns the world.
fn gripped(index: usize) -> Physics {
    let w = home();
    let mut p = Physics::new(&w, 3).unwrap();
    let s = w.surfaces.iter().find(|s| s.name == "coffee_table").unwrap();
    let at = s.at(0.07, 0.0);
    let z = s.height + p.objects[index].half_height + 0.001;
    p.place_object(index, &Pose { position: at.extend(z), orientation: glam::DQuat::IDENTITY });
    if let Some(other) = (0..p.objects.len()).find(|o| *o != index && (p.object_pose(*o).position - at.extend(z)).length() < 0.2)
    {
        p.place_object(other, &Pose { position: DVec3::new(2.0, 1.5, 0.2), orientation: glam::DQuat::IDENTITY });
    }
    let stand = s.at(-0.40, 0.0);
    p.place_robot(&Pose::planar(stand.x, stand.y, s.yaw));
    p.command_arm(&ArmCommand { lift: Some(z - 0.20), extend: Some(0.0), opening: Some(0.14), force: None });
    run(&mut p, 5.0);
    p.command_arm(&ArmCommand { extend: Some(0.25), ..ArmCommand::default() });
    run(&mut p, 3.5);
    p.command_arm(&ArmCommand { opening: Some(0.0), force: Some(6.0), ..ArmCommand::default() });
    run(&mut p, 1.5);
    p
}

#[test]
fn every_object_can_be_gripped_lifted_carried_and_put_back() {
    for index in 0..physics().objects.len() {
        let mut p = gripped(index);
        let name = p.objects[index].name.clone();
        assert_eq!(p.held(), Some(index), "{name}: {:?} {:?}", p.joints(), p.object_pose(index).position);
        let z = p.object_pose(index).position.z;
        let lift = p.joints()[2].position;
        p.command_arm(&ArmCommand { lift: Some(lift + 0.08), ..ArmCommand::default() });
        run(&mut p, 2.0);
        assert!(p.object_pose(index).position.z > z + 0.07, "{name}");
        let force = p.wrench().force.z;
        let weight = -(p.objects[index].mass + 0.16) * 9.81;
        assert!((force - weight).abs() < 0.15, "{name}: {force} N at the wrist, weight {weight} N");
        for v in [-0.2, 0.0, 0.2, 0.0] {
            drive(&mut p, v, 0.0, 1.0);
        }
        assert_eq!(p.held(), Some(index), "{name} lost on the way");
        p.command_arm(&ArmCommand { lift: Some(lift + 0.002), ..ArmCommand::default() });
        run(&mut p, 2.0);
        p.command_arm(&ArmCommand { opening: Some(0.14), ..ArmCommand::default() });
        run(&mut p, 1.5);
        assert_eq!(p.held(), None);
        p.command_arm(&ArmCommand { extend: Some(0.0), ..ArmCommand::default() });
        run(&mut p, 3.0);
        assert!((p.object_pose(index).position.z - z).abs() < 0.01, "{name}: {}", p.object_pose(index).position);
        assert!(p.object_speed(index) < 0.01, "{name}");
        assert_eq!(p.collisions().count, 0, "{name}");
    }
}

#[test]
fn closing_on_nothing_holds_nothing() {
    let mut p = physics();
    p.command_arm(&ArmCommand { opening: Some(0.1), ..ArmCommand::default() });
    run(&mut p, 2.0);
    p.command_arm(&ArmCommand { opening: Some(0.0), force: Some(10.0), ..ArmCommand::default() });
    run(&mut p, 2.0);
    assert_eq!(p.held(), None);
    assert!(p.opening() < 2e-3);
}

#[test]
fn same_seed_and_commands_give_the_same_state_and_another_seed_does_not() {
    let go = |seed| {
        let mut p = Physics::new(&home(), seed).unwrap();
        p.command_arm(&ArmCommand { lift: Some(0.2), extend: Some(0.1), opening: Some(0.1), force: None });
        drive(&mut p, 0.25, 0.4, 3.0);
        p.state_hash()
    };
    assert_eq!(go(5), go(5));
    assert_ne!(go(5), go(6));
}

#[test]
fn a_world_without_a_robot_is_refused() {
    let mut w = home();
    w.models.retain(|m| m.name != "omni");
    assert!(matches!(Physics::new(&w, 1), Err(BuildError::NoRobot(_))));
}

#[test]
fn a_standing_robot_keeps_its_place_with_a_load_in_its_hand() {
    let mut p = gripped(0);
    run(&mut p, 1.0);
    let before = p.base_pose();
    run(&mut p, 60.0);
    let moved = before.inverse().then(&p.base_pose());
    assert!(moved.position.length() < 0.002 && moved.yaw().abs() < 0.004, "{} m, {} rad", moved.position.length(), moved.yaw());
}
