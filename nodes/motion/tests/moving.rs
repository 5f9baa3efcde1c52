//! Driving about the flat.

// Poses are written as a person reads them from the map.
#![allow(clippy::approx_constant)]

mod common;

use common::{Block, Errors, HOME, Toy, flat, map_of};
use glam::DVec2;
use omnimind_motion::behaviour::{Capability, Request};
use omnimind_motion::config::Config;
use omnimind_motion::costmap::Costmap;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use spatial::search::passable;
use spatial::{Home, Pose2, angle};

fn random_pose(costs: &spatial::Grid<u8>, rng: &mut Pcg64Mcg) -> Pose2 {
    loop {
        let point = DVec2::new(rng.random_range(0.1..9.9), rng.random_range(0.1..7.9));
        if costs.at(point).is_some_and(|cost| passable(cost) && cost < 100) {
            return Pose2::at(point, rng.random_range(-3.14..3.14));
        }
    }
}

/// Pairs, mean and worst time, worst arrival error (truth), worst localisation error, closest approach.
#[test]
fn two_hundred_random_goals_are_reached_exactly_and_without_touching_anything() {
    let costmap = Costmap::new(&map_of(&flat()), &Home::parse(HOME).unwrap());
    let costs = costmap.costs(&Config::default());
    let mut rng = Pcg64Mcg::seed_from_u64(7);
    let mut toy = Toy::new(random_pose(&costs, &mut rng), Errors::USUAL, 7);
    toy.run(1.0);
    let (mut worst_xy, mut worst_yaw, mut total_s): (f64, f64, f64) = (0.0, 0.0, 0.0);
    let mut failures = Vec::new();
    for pair in 0..200 {
        let goal = random_pose(&costs, &mut rng);
        let from = toy.pose;
        let report = toy.go(goal, 240.0);
        if !report.success {
            failures.push(format!("{pair}: {from:?} -> {goal:?}: {}", report.reason));
            continue;
        }
        worst_xy = worst_xy.max(toy.pose.distance(&goal));
        worst_yaw = worst_yaw.max(angle::difference(toy.pose.yaw, goal.yaw).abs());
        total_s += report.duration_s;
    }
    println!(
        "200 goals: {:.0} m driven, mean {:.1} s, worst arrival {:.3} m {:.2} deg, worst localisation {:.3} m {:.2} deg, closest {:.3} m, touches {}",
        toy.distance,
        total_s / 200.0,
        worst_xy,
        worst_yaw.to_degrees(),
        toy.worst_estimate,
        toy.worst_yaw.to_degrees(),
        toy.closest,
        toy.collisions
    );
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(toy.collisions, 0);
    assert!(worst_xy < 0.06 && worst_yaw < 0.06);
    assert!(toy.worst_estimate < 0.08 && toy.worst_yaw < 0.05);
}

#[test]
fn every_stand_is_reached_within_two_centimetres_and_two_degrees() {
    let home = Home::parse(HOME).unwrap();
    let mut toy = Toy::new(home.start_pose(), Errors::USUAL, 3);
    toy.run(1.0);
    for surface in &home.surfaces {
        let report = toy.go(surface.stand_pose(), 120.0);
        assert!(report.success, "{}: {}", surface.name, report.reason);
        let error = toy.pose.relative_to(&surface.stand_pose());
        println!("{}: {:.1} mm {:.1} mm {:.2} deg", surface.name, 1e3 * error.x, 1e3 * error.y, error.yaw.to_degrees());
        // The map's raster alone is 2.5 cm: the estimate is exact to the tolerance, the truth to raster and tolerance.
        assert!(toy.pilot.body().pose().distance(&surface.stand_pose()) < 0.02);
        assert!(error.position().length() < 0.045 && error.yaw.abs() < 2f64.to_radians() + 0.01, "{}: {error:?}", surface.name);
    }
    assert_eq!(toy.collisions, 0);
}

#[test]
fn a_shut_door_is_a_failure_with_a_reason_and_no_hang() {
    let mut blocks = flat();
    // Both doors of the bedroom: it has one, at x = 3.85, y 1.2 to 2.4.
    blocks.push(Block { low: DVec2::new(3.8, 1.15), high: DVec2::new(3.9, 2.45), height: 2.0 });
    let start = Pose2::new(5.2, 1.9, 1.57);
    let mut toy = Toy::with_world(blocks, start, start, Errors::USUAL, 1);
    toy.run(1.0);
    let report = toy.go(Pose2::new(2.6, 1.8, 0.0), 200.0);
    assert!(!report.success);
    assert!(report.reason.contains("no way") || report.reason.contains("blocked"), "{}", report.reason);
    assert_eq!(toy.collisions, 0);
}

#[test]
fn furniture_that_was_moved_is_driven_around() {
    let mut blocks = flat();
    blocks.push(Block { low: DVec2::new(6.8, 4.4), high: DVec2::new(7.2, 5.0), height: 0.5 });
    blocks.push(Block { low: DVec2::new(4.3, 2.6), high: DVec2::new(4.7, 3.0), height: 0.5 });
    let start = Pose2::new(4.5, 1.5, 1.57);
    let mut toy = Toy::with_world(blocks, start, start, Errors::USUAL, 2);
    toy.run(1.0);
    for goal in [Pose2::new(7.6, 4.95, 1.57), Pose2::new(4.5, 3.6, 1.57), Pose2::new(8.0, 2.0, 0.0), start] {
        let report = toy.go(goal, 200.0);
        assert!(report.success, "{}", report.reason);
    }
    assert_eq!(toy.collisions, 0);
    assert!(toy.worst_estimate < 0.1, "{}", toy.worst_estimate);
}

#[test]
fn the_start_may_be_told_wrong_by_some_decimetres() {
    let truth = Pose2::new(5.2, 1.9, 1.57);
    let mut toy = Toy::with_world(flat(), truth, Pose2::new(5.4, 1.75, 1.42), Errors::USUAL, 4);
    toy.run(3.0);
    assert!(toy.pilot.body().pose().distance(&toy.pose) < 0.05, "{:?}", toy.pilot.body().pose());
}

#[test]
fn a_robot_that_was_carried_away_finds_itself_again() {
    let told = Pose2::new(5.2, 1.9, 1.57);
    let mut toy = Toy::with_world(flat(), Pose2::new(2.2, 2.0, 0.4), told, Errors::USUAL, 5);
    toy.run(6.0);
    let estimate = toy.pilot.body().pose();
    assert!(!toy.pilot.body().localiser.is_lost());
    assert!(estimate.distance(&toy.pose) < 0.1, "{estimate:?}");
}

#[test]
fn in_a_place_that_is_not_in_the_map_it_says_that_it_is_lost() {
    let mut blocks: Vec<Block> = Vec::new();
    for i in 0..14 {
        let angle = f64::from(i) * 0.449;
        let centre = DVec2::new(5.0, 4.0) + DVec2::from_angle(angle) * (0.7 + 0.13 * f64::from(i * 5 % 7));
        blocks.push(Block { low: centre - 0.12, high: centre + 0.12, height: 1.0 });
    }
    let start = Pose2::new(5.0, 4.0, 0.0);
    let mut toy = Toy::with_world(blocks, start, Pose2::new(7.0, 5.0, 0.0), Errors::NONE, 6);
    toy.run(6.0);
    assert!(toy.pilot.body().localiser.is_lost(), "{}", toy.pilot.body().localiser.fit());
    let report = toy.go(Pose2::new(2.6, 1.8, 0.0), 100.0);
    assert!(!report.success && report.reason.contains("lost"), "{}", report.reason);
}

#[test]
fn rotate_wait_push_pull_and_observe_do_what_they_say() {
    let mut toy = Toy::new(Pose2::new(5.2, 2.0, 0.0), Errors::NONE, 8);
    toy.run(1.0);
    let report = toy.run_capability(Capability::Rotate, &Request { angle: 4.0, ..Request::default() }, 30.0);
    assert!(report.success && angle::difference(toy.pose.yaw, 4.0).abs() < 0.03, "{:?}", toy.pose);
    let report =
        toy.run_capability(Capability::Rotate, &Request { target: common::at(5.2, 5.0, 0.0), ..Request::default() }, 30.0);
    assert!(report.success && angle::difference(toy.pose.yaw, 1.5708).abs() < 0.05);
    let before = toy.pose;
    let report = toy.run_capability(Capability::Push, &Request { distance: 0.3, ..Request::default() }, 30.0);
    assert!(report.success && (toy.pose.relative_to(&before).x - 0.3).abs() < 0.02);
    let report = toy.run_capability(Capability::Pull, &Request { distance: 0.3, ..Request::default() }, 30.0);
    assert!(report.success && toy.pose.distance(&before) < 0.03);
    let report = toy.run_capability(Capability::Wait, &Request { duration: 2.0, ..Request::default() }, 5.0);
    assert!(report.success && (report.duration_s - 2.0).abs() < 0.11);
    assert!((report.energy_wh - 12.5 * 2.0 / 3600.0).abs() < 0.001);
    let report = toy.run_capability(Capability::Observe, &Request { angle: std::f64::consts::TAU, ..Request::default() }, 60.0);
    assert!(report.success && report.duration_s > 9.0 * 0.6);
    assert!(angle::difference(toy.pose.yaw, before.yaw).abs() < 0.1);
}

#[test]
fn cancelling_stops_the_robot_and_a_second_goal_waits_its_turn() {
    let mut toy = Toy::new(Pose2::new(5.2, 1.9, 1.57), Errors::NONE, 9);
    toy.run(1.0);
    let request = Request { target: Some(Pose2::new(7.9, 1.9, 0.0).to_pose3()), ..Request::default() };
    toy.pilot.start(Capability::Move, &request).unwrap();
    toy.run(5.0);
    assert!(toy.pilot.start(Capability::Wait, &Request::default()).unwrap_err().contains("move is still running"));
    let report = toy.pilot.cancel("asked to").unwrap();
    assert!(report.cancelled && !report.success);
    toy.run(1.5);
    let here = toy.pose;
    toy.run(1.0);
    assert!(toy.pose.distance(&here) < 1e-6);
    assert!(toy.pilot.cancel("again").is_none());
}

#[test]
fn safety_stops_the_robot_and_the_move_goes_on_afterwards() {
    let mut toy = Toy::new(Pose2::new(5.2, 1.9, 1.57), Errors::NONE, 10);
    toy.run(1.0);
    let goal = Pose2::new(7.9, 1.9, 0.0);
    toy.pilot.start(Capability::Move, &Request { target: Some(goal.to_pose3()), ..Request::default() }).unwrap();
    toy.run(4.0);
    toy.stopped = Some("test".to_owned());
    toy.run(1.5);
    let here = toy.pose;
    toy.run(20.0);
    assert!(toy.pose.distance(&here) < 1e-6);
    toy.stopped = None;
    toy.run(60.0);
    assert!(toy.pilot.running().is_none() && toy.pose.distance(&goal) < 0.05);
}

#[test]
fn senseless_goals_are_refused_with_a_sentence() {
    let toy = &mut Toy::new(Pose2::new(5.2, 1.9, 1.57), Errors::NONE, 11);
    toy.run(0.5);
    let mut refuse = |capability, request: Request| toy.pilot.start(capability, &request).unwrap_err();
    assert!(refuse(Capability::Move, Request::default()).contains("target"));
    assert!(refuse(Capability::Push, Request { distance: -1.0, ..Request::default() }).contains("distance"));
    assert!(refuse(Capability::Rotate, Request { angle: f64::NAN, ..Request::default() }).contains("finite"));
    assert!(refuse(Capability::Wait, Request { duration: -1.0, ..Request::default() }).contains("duration"));
    assert!(refuse(Capability::Grasp, Request { label: "unicorn".into(), ..Request::default() }).contains("unicorn"));
    assert!(refuse(Capability::Release, Request::default()).contains("holds nothing"));
    let report = toy.go(Pose2::new(-20.0, 3.0, 0.0), 60.0);
    assert!(!report.success && report.reason.contains("outside"), "{}", report.reason);
}

#[test]
fn the_same_run_twice_is_the_same_to_the_bit() {
    let run = || {
        let mut toy = Toy::new(Pose2::new(5.2, 1.9, 1.57), Errors::USUAL, 12);
        toy.run(1.0);
        toy.go(Pose2::new(4.0, 5.6, 3.14), 120.0);
        (toy.pose.x.to_bits(), toy.pose.y.to_bits(), toy.pose.yaw.to_bits(), toy.now_s.to_bits())
    };
    assert_eq!(run(), run());
}
