//! The simulator as a whole.

use crate::physics::ArmCommand;
use crate::scene::Pose;
use crate::sdf::{World, load_world};
use crate::{Options, Readings, Simulation};
use glam::DVec3;
use std::path::Path;

fn home() -> World {
    load_world(&Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/home.sdf")).unwrap()
}

fn blind(seed: u64) -> Simulation {
    Simulation::new(home(), &Options { seed, camera: false, ..Options::default() }).unwrap()
}

fn run(sim: &mut Simulation, seconds: f64) -> Vec<Readings> {
    (0..(seconds * 100.0).round() as usize).map(|_| sim.step()).collect()
}

#[test]
fn the_same_seed_and_commands_give_the_same_hash_and_the_same_readings() {
    let go = |seed| {
        let mut sim = blind(seed);
        let mut out = Vec::new();
        sim.say(&[0.3; 4000]);
        for i in 0..300 {
            sim.command_drive(0.2, f64::from(i % 70) * 0.02 - 0.7);
            if i == 50 {
                sim.command_arm(&ArmCommand { lift: Some(0.2), extend: Some(0.1), opening: Some(0.1), force: None });
            }
            let r = sim.step();
            out.push(format!("{:?} {:?} {:?} {:?} {:?}", r.joints, r.imu, r.scan, r.sound, r.battery));
        }
        (sim.state_hash(), out)
    };
    let (a, b, c) = (go(11), go(11), go(12));
    assert_eq!(a.0, b.0);
    assert!(a.1 == b.1, "readings differ");
    assert_ne!(a.0, c.0);
}

#[test]
fn odometry_from_the_encoders_drifts_but_only_a_little() {
    let mut sim = blind(4);
    sim.physics_mut().place_robot(&Pose::planar(6.2, 4.8, 0.0));
    run(&mut sim, 0.5);
    let start = sim.truth().robot;
    let (mut x, mut y, mut yaw) = (0.0, 0.0, 0.0_f64);
    let mut last: Option<(f64, f64)> = None;
    for i in 0..1500 {
        // Forth and back with turns, 15 s.
        let v = if i < 600 { 0.25 } else { 0.0 };
        let w = if i < 600 { 0.0 } else { 0.8 };
        sim.command_drive(v, w);
        let r = sim.step();
        let now = (r.joints.positions[0] * 0.03575, r.joints.positions[1] * 0.03575);
        if let Some((l, r)) = last {
            let (dl, dr) = (now.0 - l, now.1 - r);
            yaw += (dr - dl) / 0.233 / 2.0;
            x += (dl + dr) / 2.0 * yaw.cos();
            y += (dl + dr) / 2.0 * yaw.sin();
            yaw += (dr - dl) / 0.233 / 2.0;
        }
        last = Some(now);
    }
    let true_pose = start.inverse().then(&sim.truth().robot);
    let error = (true_pose.position - DVec3::new(x, y, 0.0)).truncate().length();
    let turn = (true_pose.yaw() - yaw).rem_euclid(std::f64::consts::TAU);
    let turn = turn.min(std::f64::consts::TAU - turn);
    assert!(error > 0.0005 && error < 0.10, "{error} m");
    assert!(turn > 0.0005 && turn < 0.35, "{turn} rad");
}

#[test]
fn the_lidar_measures_the_distance_to_the_wall() {
    let mut sim = blind(2);
    // In the doorless middle of the study's west half, looking at its east wall.
    sim.physics_mut().place_robot(&Pose::planar(7.9, 2.2, 0.0));
    let readings = run(&mut sim, 2.0);
    let scans: Vec<_> = readings.iter().filter_map(|r| r.scan.as_ref()).collect();
    // Behind: the wall between hall and study has its door at y 1.2..2.4; to the left the wall at y = 3.45.
    let left: Vec<f64> = scans.iter().map(|s| f64::from(s.ranges[90])).collect();
    let mean = left.iter().sum::<f64>() / left.len() as f64;
    let spread = (left.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / left.len() as f64).sqrt();
    assert!((mean - 1.25).abs() < 0.01, "{mean}");
    assert!(spread > 0.003 && spread < 0.025, "{spread}");
    assert!(scans.iter().all(|s| s.ranges.iter().all(|r| r.is_infinite() || (*r >= 0.164 && *r <= 12.0))));
}

#[test]
fn the_imu_feels_gravity_and_turning() {
    let mut sim = blind(2);
    run(&mut sim, 0.5);
    let still: Vec<_> = run(&mut sim, 2.0).iter().map(|r| r.imu).collect();
    let mean = still.iter().map(|i| i.linear_acceleration).sum::<DVec3>() / still.len() as f64;
    assert!((mean - DVec3::new(0.0, 0.0, 9.81)).length() < 0.12, "{mean}");
    for _ in 0..200 {
        sim.command_drive(0.0, 1.0);
        sim.step();
    }
    sim.command_drive(0.0, 1.0);
    assert!((sim.step().imu.angular_velocity.z - 1.0).abs() < 0.05);
}

#[test]
fn standing_still_draws_what_the_consumers_add_up_to() {
    let mut sim = blind(3);
    let before = sim.truth();
    run(&mut sim, 36.0);
    let after = sim.truth();
    // 12.5 W for 0.01 h, and the pack's own loss on top.
    let used = before.charge_wh - after.charge_wh;
    assert!((used - 0.125).abs() < 0.004, "{used}");
    assert_eq!(after.consumed_wh[0].0, "electronics");
    assert!((after.consumed_wh[0].1 - 0.06).abs() < 1e-6);
}

#[test]
fn driving_costs_energy() {
    let mut sim = blind(3);
    for _ in 0..300 {
        sim.command_drive(0.0, 1.5);
        sim.step();
    }
    let drive = sim.truth().consumed_wh.iter().find(|c| c.0 == "drive").unwrap().1;
    let watt = drive * 3600.0 / 3.0;
    assert!(watt > 0.05 && watt < 10.0, "{watt} W");
}

#[test]
fn in_the_dock_it_charges_and_beside_it_does_not() {
    let w = home();
    let dock = w.dock.unwrap();
    for (offset, docked) in [(0.0, true), (0.02, true), (0.05, false)] {
        let mut sim = blind(5);
        sim.physics_mut().place_robot(&dock.then(&Pose::planar(0.0, offset, 0.0)));
        let last = run(&mut sim, 3.0).pop().unwrap();
        assert_eq!(sim.docked(), docked, "{offset}");
        let b = last.battery.unwrap();
        assert_eq!((b.charging, b.current > 0.5), (docked, docked), "{b:?}");
        assert_eq!(last.truth.unwrap().collisions, 0);
    }
}

#[test]
fn driving_straight_at_the_dock_docks() {
    let w = home();
    let mut sim = blind(5);
    sim.physics_mut().place_robot(&w.dock.unwrap().then(&Pose::planar(-0.5, 0.0, 0.0)));
    for _ in 0..700 {
        sim.command_drive(0.1, 0.0);
        sim.step();
    }
    run(&mut sim, 1.0);
    assert!(sim.docked(), "{:?}", sim.truth().robot);
    assert_eq!(sim.truth().collisions, 0);
}

#[test]
fn an_empty_battery_stops_the_robot() {
    let options = Options { camera: false, state_of_charge: Some(1e-6), ..Options::default() };
    let mut sim = Simulation::new(home(), &options).unwrap();
    run(&mut sim, 1.0);
    let from = sim.truth().robot.position;
    for _ in 0..100 {
        sim.command_drive(0.3, 0.0);
        sim.step();
    }
    assert!(sim.truth().robot.position.distance(from) < 0.01);
    assert!(!sim.command_arm(&ArmCommand { lift: Some(0.2), ..ArmCommand::default() }));
}

#[test]
fn a_voice_is_heard_above_the_room() {
    let mut sim = blind(8);
    let loudness = |r: Vec<Readings>| {
        let v: Vec<f64> = r.into_iter().filter_map(|r| r.sound).flatten().map(f64::from).collect();
        (v.iter().map(|s| s * s).sum::<f64>() / v.len() as f64).sqrt()
    };
    let quiet = loudness(run(&mut sim, 1.0));
    let tone: Vec<f32> = (0..16_000).map(|i| 0.15 * (i as f32 * 0.2).sin()).collect();
    sim.say(&tone);
    assert!(sim.is_speaking());
    let speech = loudness(run(&mut sim, 1.0));
    assert!(quiet > 1e-5 && speech > 5.0 * quiet, "{quiet} {speech}");
}

#[test]
fn pictures_show_the_room_in_colour_and_depth() {
    let options = Options { camera_size: Some((160, 120)), ..Options::default() };
    let mut sim = Simulation::new(home(), &options).unwrap();
    sim.physics_mut().place_robot(&Pose::planar(7.6, 4.95, std::f64::consts::FRAC_PI_2));
    let pictures: Vec<_> = run(&mut sim, 1.0).into_iter().filter_map(|r| r.picture).collect();
    assert_eq!(pictures.len(), 5);
    let p = &pictures[4];
    // The free edge of the coffee table (0.35 m high) is 0.60 m in front of the robot, the camera 0.05 m in front of its
    // middle at 0.62 m, 0.35 rad down: the ray through the picture's middle meets the table's top beyond the edge.
    let z = f64::from(p.depth[60 * 160 + 80]);
    let along = (0.62 - 0.35) / 0.35_f64.sin();
    assert!((z - along).abs() < 0.05, "{z} m, expected {along} m");
    let mean = p.rgb.iter().map(|v| f64::from(*v)).sum::<f64>() / p.rgb.len() as f64;
    assert!(mean > 30.0 && mean < 230.0, "{mean}");
}

#[test]
fn any_seed_begins_without_anything_falling() {
    for seed in 0..20 {
        let mut sim = blind(seed);
        let placed: Vec<(String, Pose)> = sim.mission().placements.clone();
        run(&mut sim, 1.5);
        let truth = sim.truth();
        for (name, pose) in &placed {
            let o = truth.objects.iter().find(|o| o.0 == *name).unwrap();
            let moved = o.3.position.distance(pose.position);
            assert!(moved < 0.02, "seed {seed}: {name} moved {moved} m");
        }
        assert_eq!(truth.collisions, 0, "seed {seed}");
    }
}
