//! A kinematic toy robot in a flat of boxes: diff-drive with acceleration limits, drifting odometry, a noisy lidar, an arm
//! with rate limits, a gripper that closes on whatever stands between its fingers. Geometry is exact, not the map's raster.
#![allow(dead_code)]

use std::sync::Arc;

use glam::{DVec2, DVec3};
use omnimind_motion::arm::ArmPose;
use omnimind_motion::behaviour::{Capability, Request};
use omnimind_motion::config::Config;
use omnimind_motion::pilot::{Pilot, Report};
use omnimind_motion::senses::{Believed, Joints, Scan, Senses, Touch};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use spatial::grid::{FREE, OCCUPIED};
use spatial::{Grid, Home, Pose2, Pose3};

/// An axis-aligned box on the floor (m) with a height (m).
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub low: DVec2,
    pub high: DVec2,
    pub height: f64,
}

fn block(x: f64, y: f64, w: f64, d: f64, height: f64) -> Block {
    Block { low: DVec2::new(x - w / 2.0, y - d / 2.0), high: DVec2::new(x + w / 2.0, y + d / 2.0), height }
}

/// Walls and furniture: five rooms, doors of 1 m and more.
pub fn flat() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (x, y, w, d) in [
        (5.0, 0.0, 10.1, 0.1),
        (5.0, 8.0, 10.1, 0.1),
        (0.0, 4.0, 0.1, 7.9),
        (10.0, 4.0, 0.1, 7.9),
        (1.975, 4.5, 3.85, 0.1),
        (3.85, 0.625, 0.1, 1.15),
        (3.85, 3.425, 0.1, 2.05),
        (5.1, 4.55, 0.1, 2.1),
        (5.1, 7.375, 0.1, 1.15),
        (8.175, 3.5, 3.55, 0.1),
        (6.45, 0.625, 0.1, 1.15),
        (6.45, 2.925, 0.1, 1.05),
    ] {
        blocks.push(block(x, y, w, d, 2.4));
    }
    for (x, y, w, d, h) in [
        (0.27, 5.9, 0.4, 1.0, 0.42),
        (2.9, 6.1, 0.9, 0.5, 0.45),
        (7.6, 5.8, 1.0, 0.5, 0.35),
        (9.73, 5.6, 0.4, 1.2, 0.45),
        (8.4, 3.77, 1.0, 0.4, 0.40),
        (2.4, 4.2, 0.9, 0.4, 0.42),
        (1.2, 0.28, 1.0, 0.4, 0.40),
        (5.95, 0.245, 0.8, 0.35, 0.38),
        (9.73, 1.3, 0.4, 1.0, 0.40),
        (7.65, 0.27, 0.9, 0.4, 0.36),
        (4.7, 0.13, 0.3, 0.16, 0.10),
        (1.305, 7.645, 2.49, 0.59, 0.88),
        (2.96, 7.61, 0.68, 0.66, 1.8),
        (7.6, 7.52, 2.0, 0.84, 0.42),
        (5.33, 7.47, 0.34, 0.94, 1.9),
        (9.6, 7.6, 0.36, 0.36, 0.4),
        (0.83, 3.395, 1.54, 2.09, 0.4),
        (3.195, 0.34, 1.19, 0.56, 1.9),
        (9.22, 3.145, 1.44, 0.59, 0.74),
        (9.0, 2.5, 0.4, 0.4, 0.45),
    ] {
        blocks.push(block(x, y, w, d, h));
    }
    blocks
}

pub const HOME: &str = "
rooms:
  - {name: kitchen, label: kitchen, polygon: [[0, 4.5], [5.1, 4.5], [5.1, 8], [0, 8]]}
  - {name: living_room, label: living room, polygon: [[5.1, 3.5], [10, 3.5], [10, 8], [5.1, 8]]}
  - {name: bedroom, label: bedroom, polygon: [[0, 0], [3.85, 0], [3.85, 4.5], [0, 4.5]]}
  - {name: hall, label: hall, polygon: [[3.85, 0], [6.45, 0], [6.45, 3.5], [5.1, 3.5], [5.1, 4.5], [3.85, 4.5]]}
  - {name: study, label: study, polygon: [[6.45, 0], [10, 0], [10, 3.5], [6.45, 3.5]]}
dock: {x: 4.7, y: 0.38, yaw: -1.5707963}
start: {x: 5.2, y: 1.9, yaw: 1.5707963}
surfaces:
  - {name: kitchen_sideboard, room: kitchen, label: sideboard, height: 0.42, x: 0.4, y: 5.9, width: 1, stand: {x: 1.07, y: 5.9, yaw: 3.141593}}
  - {name: kitchen_table, room: kitchen, label: kitchen table, height: 0.45, x: 2.9, y: 5.92, width: 0.9, stand: {x: 2.9, y: 5.25, yaw: 1.570796}}
  - {name: coffee_table, room: living_room, label: coffee table, height: 0.35, x: 7.6, y: 5.62, width: 1, stand: {x: 7.6, y: 4.95, yaw: 1.570796}}
  - {name: tv_shelf, room: living_room, label: television shelf, height: 0.45, x: 9.6, y: 5.6, width: 1.2, stand: {x: 8.93, y: 5.6, yaw: 0}}
  - {name: cabinet, room: living_room, label: cabinet, height: 0.4, x: 8.4, y: 3.9, width: 1, stand: {x: 8.4, y: 4.57, yaw: -1.570796}}
  - {name: dresser, room: bedroom, label: dresser, height: 0.42, x: 2.4, y: 4.07, width: 0.9, stand: {x: 2.4, y: 3.4, yaw: 1.570796}}
  - {name: bedroom_bench, room: bedroom, label: bench, height: 0.4, x: 1.2, y: 0.41, width: 1, stand: {x: 1.2, y: 1.08, yaw: -1.570796}}
  - {name: hall_shelf, room: hall, label: hall shelf, height: 0.38, x: 5.95, y: 0.35, width: 0.8, stand: {x: 5.95, y: 1.02, yaw: -1.570796}}
  - {name: study_shelf, room: study, label: study shelf, height: 0.4, x: 9.6, y: 1.3, width: 1, stand: {x: 8.93, y: 1.3, yaw: 0}}
  - {name: side_table, room: study, label: side table, height: 0.36, x: 7.65, y: 0.4, width: 0.9, stand: {x: 7.65, y: 1.07, yaw: -1.570796}}
";

/// The map a robot would have: 5 cm cells, occupied where the slice at the lidar's height covers the cell's centre.
pub fn map_of(blocks: &[Block]) -> Grid<i8> {
    let mut grid = Grid::filled(208, 168, 0.05, DVec2::splat(-0.2), FREE).unwrap();
    for b in blocks.iter().filter(|b| b.height > 0.16) {
        grid.fill_box(b.low, b.high, OCCUPIED);
    }
    grid
}

/// Something that can be taken: a cylinder.
#[derive(Clone, Debug)]
pub struct Thing {
    pub label: String,
    pub position: DVec3,
    pub radius: f64,
    pub held: bool,
}

/// Errors of the toy's sensors.
#[derive(Clone, Copy, Debug)]
pub struct Errors {
    pub wheel_scale: f64,
    pub turn_scale: f64,
    pub turn_drift: f64,
    pub lidar_sigma: f64,
    pub belief_sigma: f64,
}

impl Errors {
    pub const NONE: Self = Self { wheel_scale: 1.0, turn_scale: 1.0, turn_drift: 0.0, lidar_sigma: 0.0, belief_sigma: 0.0 };
    pub const USUAL: Self =
        Self { wheel_scale: 1.02, turn_scale: 0.98, turn_drift: 0.002, lidar_sigma: 0.01, belief_sigma: 0.008 };
}

pub struct Toy {
    pub blocks: Vec<Block>,
    pub things: Vec<Thing>,
    pub pose: Pose2,
    pub odom: Pose2,
    pub joints: Joints,
    pub errors: Errors,
    pub now_s: f64,
    pub pilot: Pilot,
    pub collisions: usize,
    pub closest: f64,
    pub worst_estimate: f64,
    pub worst_yaw: f64,
    pub stopped: Option<String>,
    pub distance: f64,
    linear: f64,
    angular: f64,
    touch: Touch,
    scan: Option<Arc<Scan>>,
    rng: Pcg64Mcg,
    ticks: u64,
    charging_since: Option<f64>,
}

pub const DT: f64 = 0.05;

impl Toy {
    pub fn new(start: Pose2, errors: Errors, seed: u64) -> Self {
        Self::with_world(flat(), start, start, errors, seed)
    }

    pub fn with_world(blocks: Vec<Block>, truth: Pose2, told: Pose2, errors: Errors, seed: u64) -> Self {
        let pilot = Pilot::new(&map_of(&flat()), Home::parse(HOME).unwrap(), told, Config::default());
        Self {
            blocks,
            things: Vec::new(),
            pose: truth,
            odom: Pose2::new(0.3, -0.2, 0.4),
            joints: Joints::default(),
            errors,
            now_s: 0.0,
            pilot,
            collisions: 0,
            closest: f64::INFINITY,
            worst_estimate: 0.0,
            worst_yaw: 0.0,
            stopped: None,
            distance: 0.0,
            linear: 0.0,
            angular: 0.0,
            touch: Touch::default(),
            scan: None,
            rng: Pcg64Mcg::seed_from_u64(seed),
            ticks: 0,
            charging_since: None,
        }
    }

    pub fn normal(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.rng.random_range(1e-12..1.0), self.rng.random());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    fn distance_to(&self, point: DVec2, above: f64) -> f64 {
        self.blocks
            .iter()
            .filter(|b| b.height > above)
            .map(|b| {
                let outside = (b.low - point).max(point - b.high);
                if outside.max_element() > 0.0 { outside.max(DVec2::ZERO).length() } else { outside.max_element() }
            })
            .fold(f64::INFINITY, f64::min)
    }

    fn cast(&self, from: DVec2, direction: DVec2) -> f64 {
        self.blocks
            .iter()
            .filter(|b| b.height > 0.16)
            .filter_map(|b| {
                let inverse = direction.recip();
                let (t0, t1) = ((b.low - from) * inverse, (b.high - from) * inverse);
                let near = t0.min(t1).max_element();
                let far = t0.max(t1).min_element();
                (near <= far && near > 0.0).then_some(near)
            })
            .fold(f64::INFINITY, f64::min)
    }

    fn sense_scan(&mut self) {
        let pose = self.pose;
        let mut ranges = Vec::with_capacity(360);
        for i in 0..360 {
            let true_range = self.cast(pose.position(), DVec2::from_angle(pose.yaw + f64::from(i).to_radians()));
            let noise = self.normal() * self.errors.lidar_sigma;
            ranges.push(if true_range <= 12.0 { (true_range + noise) as f32 } else { f32::INFINITY });
        }
        self.scan = Some(Arc::new(Scan {
            stamp_ns: (self.now_s * 1e9).round() as i64,
            angle_min: 0.0,
            angle_increment: 1f64.to_radians(),
            range_min: 0.164,
            range_max: 12.0,
            ranges,
        }));
    }

    fn gripper(&self) -> DVec3 {
        self.pose.transform(DVec2::new(0.22 + self.joints.extend, 0.0)).extend(0.20 + self.joints.lift)
    }

    fn senses(&mut self) -> Senses {
        if self.ticks % 2 == 0 {
            self.sense_scan();
        }
        let mut objects = Vec::new();
        for i in 0..self.things.len() {
            let noise = DVec3::new(self.normal(), self.normal(), self.normal()) * self.errors.belief_sigma;
            // Perception is relative to the robot: it carries the error of the estimated pose.
            let estimate = self.pilot.body().pose();
            let thing = &self.things[i];
            let local = self.pose.inverse_transform(thing.position.truncate());
            let seen = estimate.transform(local);
            objects.push(Believed {
                label: thing.label.clone(),
                position: seen.extend(thing.position.z + 0.05) + noise,
                size: DVec3::new(0.09, 0.09, 0.12),
                confidence: 0.9,
                last_seen_s: self.now_s,
                held: thing.held,
            });
        }
        Senses {
            now_s: self.now_s,
            odom: Some(((self.now_s * 1e9).round() as i64, self.odom)),
            speed: self.linear,
            turn_rate: self.angular,
            scan: self.scan.clone(),
            joints: Some(self.joints),
            touch: self.touch,
            wrist_force: DVec3::ZERO,
            charging: self.charging_since.is_some_and(|since| self.now_s - since > 0.5),
            power_w: None,
            objects,
            stopped: self.stopped.clone(),
        }
    }

    fn drive(&mut self, linear: f64, angular: f64) {
        self.linear += (linear.clamp(-0.31, 0.31) - self.linear).clamp(-0.5 * DT, 0.5 * DT);
        self.angular += (angular.clamp(-1.9, 1.9) - self.angular).clamp(-3.0 * DT, 3.0 * DT);
        let next = self.pose.drive(self.linear, self.angular, DT);
        let free = self.distance_to(next.position(), 0.02) - 0.164;
        self.touch = Touch { finger_left: self.touch.finger_left, finger_right: self.touch.finger_right, ..Touch::default() };
        if free < 0.0 {
            // Pushed against something: no way forward.
            let away = (self.distance_to(next.transform(DVec2::new(0.05, 0.0)), 0.02) - 0.164) < free;
            if away {
                self.touch.center = true
            } else {
                self.touch.rear = true
            }
            let docking = self.pilot.running() == Some(Capability::Dock);
            if !docking {
                self.collisions += 1;
            }
            (self.linear, self.angular) = (0.0, 0.0);
        } else {
            let (e, d) = (self.errors, self.linear * DT);
            self.distance += d.abs();
            self.odom = self.odom.drive(
                self.linear * e.wheel_scale,
                self.angular * e.turn_scale + e.turn_drift * self.linear.abs() / 0.3,
                DT,
            );
            self.pose = next;
        }
        self.closest = self.closest.min(free);
        let gripper = self.gripper();
        // The fingers' middle must not be inside furniture that is higher than they are.
        if self.distance_to(gripper.truncate(), gripper.z - 0.02) < 0.012 {
            self.collisions += 1;
        }
    }

    fn act(&mut self, arm: Option<ArmPose>) {
        let Some(arm) = arm else { return };
        self.joints.lift += (arm.lift - self.joints.lift).clamp(-0.15 * DT, 0.15 * DT);
        self.joints.extend += (arm.extend - self.joints.extend).clamp(-0.12 * DT, 0.12 * DT);
        let gripper = self.gripper();
        let pose = self.pose;
        let opening = self.joints.opening();
        let mut wanted = opening + (arm.opening - opening).clamp(-0.1 * DT, 0.1 * DT);
        (self.touch.finger_left, self.touch.finger_right) = (false, false);
        for thing in &mut self.things {
            let local = pose.inverse_transform(thing.position.truncate()) - DVec2::new(0.22 + self.joints.extend, 0.0);
            let room = 0.5 * opening - thing.radius;
            let between = local.x > -0.06
                && local.x < 0.03
                && local.y.abs() < room.max(0.0) + 0.008
                && (gripper.z - thing.position.z).abs() < 0.12;
            if !between {
                thing.held = false;
                continue;
            }
            // A closing finger pushes what it touches first to the middle.
            let middle = local.y.clamp(-room.max(0.0), room.max(0.0));
            thing.position += (pose.heading().perp() * (middle - local.y)).extend(0.0);
            if wanted <= 2.0 * thing.radius && arm.opening < 2.0 * thing.radius {
                wanted = 2.0 * thing.radius;
                (self.touch.finger_left, self.touch.finger_right) = (true, true);
                thing.held = true;
            } else {
                thing.held = false;
            }
        }
        (self.joints.finger_left, self.joints.finger_right) = (wanted / 2.0, wanted / 2.0);
    }

    /// One tick of robot and world.
    pub fn tick(&mut self) -> Option<Report> {
        let before = self.gripper();
        let before_pose = self.pose;
        let senses = self.senses();
        let output = self.pilot.tick(senses);
        assert!(output.drive.linear.abs() <= 0.31 && output.drive.angular.abs() <= 1.9);
        self.drive(output.drive.linear, output.drive.angular);
        let held_before: Vec<bool> = self.things.iter().map(|thing| thing.held).collect();
        // What is held moves with the gripper.
        let lift_before = before.z;
        let extend_before = self.joints.extend;
        self.carry(&held_before, before_pose, extend_before);
        self.act(output.arm);
        let (lift, extend) = (self.gripper().z - lift_before, self.joints.extend - extend_before);
        let heading = self.pose.heading();
        for (thing, held) in self.things.iter_mut().zip(&held_before) {
            if *held {
                thing.position += (heading * extend).extend(lift);
                thing.held = thing.held || (self.touch.finger_left && self.touch.finger_right);
            }
        }
        // Let go: it falls onto what is below.
        for i in 0..self.things.len() {
            if held_before[i] && !self.things[i].held {
                let place = self.things[i].position.truncate();
                let below = self
                    .blocks
                    .iter()
                    .filter(|b| place.cmpgt(b.low).all() && place.cmplt(b.high).all())
                    .map(|b| b.height)
                    .fold(0.0, f64::max);
                self.things[i].position.z = below;
            }
        }
        let dock = self.pilot.body().home.dock_pose();
        let at_dock = self.pose.relative_to(&dock);
        let plugged = at_dock.x > -0.01 && at_dock.y.abs() < 0.03 && at_dock.yaw.abs() < 0.12;
        self.charging_since = if plugged { self.charging_since.or(Some(self.now_s)) } else { None };
        self.now_s += DT;
        self.ticks += 1;
        if self.now_s > 2.0 {
            let estimate = self.pilot.body().pose();
            // The estimate was made before the world moved on in this tick.
            self.worst_estimate = self.worst_estimate.max(estimate.distance(&before_pose));
            self.worst_yaw = self.worst_yaw.max(spatial::angle::difference(estimate.yaw, before_pose.yaw).abs());
        }
        output.report
    }

    fn carry(&mut self, held: &[bool], before: Pose2, _extend: f64) {
        let after = self.pose;
        for (thing, held) in self.things.iter_mut().zip(held) {
            if *held {
                let local = before.inverse_transform(thing.position.truncate());
                thing.position = after.transform(local).extend(thing.position.z);
            }
        }
    }

    /// Runs for some time.
    pub fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds / DT).round() as usize {
            self.tick();
        }
    }

    /// Runs a capability to its end.
    pub fn run_capability(&mut self, capability: Capability, request: &Request, limit_s: f64) -> Report {
        self.pilot.start(capability, request).unwrap();
        let until = self.now_s + limit_s;
        while self.now_s < until {
            if let Some(report) = self.tick() {
                return report;
            }
        }
        panic!("{} did not end within {limit_s} s: {:?} at {:?}", capability.name(), self.pilot.progress(), self.pose);
    }

    pub fn go(&mut self, pose: Pose2, limit_s: f64) -> Report {
        let request = Request { target: Some(pose.to_pose3()), ..Request::default() };
        self.run_capability(Capability::Move, &request, limit_s)
    }
}

pub fn at(x: f64, y: f64, z: f64) -> Option<Pose3> {
    Some(Pose3::from_translation(DVec3::new(x, y, z)))
}
