//! Taking, putting down, docking.

mod common;

use common::{Errors, HOME, Thing, Toy, at};
use glam::{DVec2, DVec3};
use omnimind_motion::behaviour::{Capability, Request};
use spatial::{Home, Pose2};

fn thing(label: &str, x: f64, y: f64, z: f64) -> Thing {
    Thing { label: label.into(), position: DVec3::new(x, y, z), radius: 0.042, held: false }
}

#[test]
fn a_cup_goes_from_every_surface_to_the_next_one() {
    let home = Home::parse(HOME).unwrap();
    let mut toy = Toy::new(home.start_pose(), Errors::USUAL, 21);
    toy.run(1.0);
    let first = &home.surfaces[0];
    let lateral = Pose2::at(first.position(), first.stand.yaw).transform(DVec2::new(0.0, 0.2));
    toy.things.push(thing("cup", lateral.x, lateral.y, first.height));
    for i in 0..home.surfaces.len() {
        let (from, to) = (&home.surfaces[i], &home.surfaces[(i + 1) % home.surfaces.len()]);
        let place = toy.things[0].position;
        assert!((place.z - from.height).abs() < 1e-6, "on {}: {place}", from.name);
        let report = toy.run_capability(
            Capability::Grasp,
            &Request { target: at(place.x, place.y, place.z + 0.05), label: "cup".into(), ..Request::default() },
            240.0,
        );
        assert!(report.success, "{}: {}", from.name, report.reason);
        assert!(toy.things[0].held && toy.pilot.body().held.is_some());
        let report =
            toy.run_capability(Capability::Release, &Request { target: at(to.x, to.y, to.height), ..Request::default() }, 240.0);
        assert!(report.success, "{}: {}", to.name, report.reason);
        let local = Pose2::at(to.position(), to.stand.yaw).inverse_transform(toy.things[0].position.truncate());
        println!("{}: put {:.0} mm, {:.0} mm from the place", to.name, 1e3 * local.x, 1e3 * local.y);
        assert!(local.x.abs() < 0.045 && local.y.abs() < 0.08, "{}: {local}", to.name);
    }
    assert_eq!(toy.collisions, 0);
}

#[test]
fn a_cup_beside_a_wall_is_taken_without_touching_the_wall() {
    // The hall shelf ends 5 cm before a wall.
    for (seed, lateral) in [(31, 0.27), (32, 0.22), (33, -0.27)] {
        let home = Home::parse(HOME).unwrap();
        let shelf = home.surface("hall_shelf").unwrap().clone();
        let mut toy = Toy::new(shelf.stand_pose(), Errors::USUAL, seed);
        toy.run(1.0);
        let place = Pose2::at(shelf.position(), shelf.stand.yaw).transform(DVec2::new(0.0, lateral));
        toy.things.push(thing("cup", place.x, place.y, shelf.height));
        let request = Request { target: at(place.x, place.y, shelf.height + 0.05), label: "cup".into(), ..Request::default() };
        let report = toy.run_capability(Capability::Grasp, &request, 120.0);
        assert!(report.success, "{lateral}: {}", report.reason);
        let away = home.start_pose();
        let request = Request { target: Some(away.to_pose3()), any_heading: true, ..Request::default() };
        let report = toy.run_capability(Capability::Move, &request, 120.0);
        assert!(report.success, "{lateral}: {}", report.reason);
        assert_eq!(toy.collisions, 0, "{lateral}");
    }
}

#[test]
fn a_second_thing_on_the_table_keeps_its_place() {
    let home = Home::parse(HOME).unwrap();
    let mut toy = Toy::new(home.start_pose(), Errors::USUAL, 22);
    toy.run(1.0);
    toy.things = vec![thing("cup", 5.95, 0.35, 0.38), thing("vase", 7.65, 0.40, 0.36)];
    toy.run(0.1);
    let report = toy.run_capability(Capability::Grasp, &Request { label: "cup".into(), ..Request::default() }, 200.0);
    assert!(report.success, "{}", report.reason);
    let table = home.surface("side_table").unwrap();
    let report = toy.run_capability(
        Capability::Release,
        &Request { target: Some(table.stand_pose().to_pose3()), ..Request::default() },
        200.0,
    );
    assert!(report.success, "{}", report.reason);
    assert!(toy.things[0].position.distance(toy.things[1].position) > 0.15);
    assert!((toy.things[0].position.z - 0.36).abs() < 1e-6);
}

#[test]
fn an_object_that_vanishes_from_the_gripper_is_no_longer_held() {
    let home = Home::parse(HOME).unwrap();
    let mut toy = Toy::new(home.start_pose(), Errors::USUAL, 26);
    toy.things = vec![thing("cup", 5.95, 0.35, 0.38)];
    toy.run(1.0);
    let report = toy.run_capability(Capability::Grasp, &Request { label: "cup".into(), ..Request::default() }, 200.0);
    assert!(report.success, "{}", report.reason);
    toy.things.clear();
    toy.run(4.0);
    assert!(toy.pilot.body().held.is_none());
    assert!(toy.pilot.start(Capability::Release, &Request::default()).unwrap_err().contains("holds nothing"));
}

#[test]
fn an_object_that_is_not_there_is_a_failure_after_some_tries() {
    let mut toy = Toy::new(Pose2::new(5.2, 1.9, 1.57), Errors::USUAL, 23);
    toy.run(1.0);
    let report = toy.run_capability(
        Capability::Grasp,
        &Request { target: at(5.95, 0.35, 0.43), label: "cup".into(), ..Request::default() },
        300.0,
    );
    assert!(!report.success);
    assert!(report.reason.contains("closed on nothing") && report.reason.contains("3 tries"), "{}", report.reason);
    assert!(toy.pilot.body().held.is_none());
    assert_eq!(toy.collisions, 0);
}

#[test]
fn an_object_out_of_reach_fails_without_a_collision() {
    let mut toy = Toy::new(Pose2::new(5.2, 1.9, 1.57), Errors::USUAL, 24);
    toy.run(1.0);
    let report = toy.run_capability(Capability::Grasp, &Request { target: at(8.4, 7.6, 1.9), ..Request::default() }, 300.0);
    assert!(!report.success && !report.reason.is_empty());
    assert_eq!(toy.collisions, 0);
}

#[test]
fn docking_charges_from_anywhere_and_leaving_the_dock_works() {
    let mut toy = Toy::new(Pose2::new(8.0, 5.0, 0.3), Errors::USUAL, 25);
    toy.run(1.0);
    for goal in [Pose2::new(4.0, 5.6, 1.0), Pose2::new(7.9, 1.9, 0.0), Pose2::new(5.2, 1.9, 1.57)] {
        let report = toy.run_capability(Capability::Dock, &Request::default(), 200.0);
        assert!(report.success, "{}", report.reason);
        let error = toy.pose.relative_to(&toy.pilot.body().home.dock_pose());
        println!("docked {:.1} mm {:.1} mm {:.2} deg", 1e3 * error.x, 1e3 * error.y, error.yaw.to_degrees());
        assert!(error.y.abs() < 0.03 && error.yaw.abs() < 0.05);
        let report = toy.go(goal, 200.0);
        assert!(report.success, "{}", report.reason);
    }
    assert_eq!(toy.collisions, 0);
}
