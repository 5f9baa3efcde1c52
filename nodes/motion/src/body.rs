//! What every behaviour works with: the senses, the estimate, the costmap, the arm, and this tick's command.

use glam::{DVec2, DVec3};
use spatial::{Grid, Home, Pose2, Surface};

use crate::arm::Arm;
use crate::config::Config;
use crate::costmap::{Circle, Costmap};
use crate::drive::Drive;
use crate::line::{Edge, front_edge};
use crate::localisation::Localiser;
use crate::senses::{Believed, Joints, Senses};

/// What the gripper holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// What it is called.
    pub label: String,
    /// Height of the fingers above the object's foot, m.
    pub finger_height: f64,
}

/// The robot as its behaviours see it.
#[derive(Clone, Debug)]
pub struct Body {
    /// Tunables.
    pub config: Config,
    /// The home.
    pub home: Home,
    /// What is sensed now.
    pub senses: Senses,
    /// Where the robot is.
    pub localiser: Localiser,
    /// What is in the way.
    pub costmap: Costmap,
    /// The arm.
    pub arm: Arm,
    /// What is held.
    pub held: Option<Held>,
    /// Command to the base; behaviours set it each tick, it starts as standing still.
    pub drive: Drive,
    /// Path being followed, for showing.
    pub path: Vec<DVec2>,
}

impl Body {
    /// A robot at a start pose in a known map.
    pub fn new(map: &Grid<i8>, home: Home, start: Pose2, config: Config) -> Self {
        let localiser = Localiser::new(map, start, &config);
        let costmap = Costmap::new(map, &home);
        Self {
            config,
            home,
            senses: Senses::default(),
            localiser,
            costmap,
            arm: Arm::default(),
            held: None,
            drive: Drive::STOP,
            path: Vec::new(),
        }
    }

    /// Pose of base_link in the map.
    pub fn pose(&self) -> Pose2 {
        self.localiser.pose()
    }

    /// Time, s.
    pub fn now(&self) -> f64 {
        self.senses.now_s
    }

    /// The arm's joints; zeros before they were heard of.
    pub fn joints(&self) -> Joints {
        self.senses.joints.unwrap_or_default()
    }

    /// The measured motion.
    pub fn speed(&self) -> Drive {
        Drive { linear: self.senses.speed, angular: self.senses.turn_rate }
    }

    /// Whether the base stands still.
    pub fn is_still(&self) -> bool {
        self.senses.speed.abs() < 0.01 && self.senses.turn_rate.abs() < 0.03
    }

    /// The robot's outline from above: base and gripper, without the clearance.
    pub fn outline(&self) -> [Circle; 2] {
        let radius = if self.held.is_some() { self.config.held_radius } else { self.config.gripper_radius };
        [
            Circle { x: 0.0, radius: self.config.base_radius },
            Circle { x: self.config.gripper_x - 0.03 + self.joints().extend, radius },
        ]
    }

    /// The outline of the base alone.
    pub fn base_outline(&self) -> [Circle; 1] {
        [Circle { x: 0.0, radius: self.config.base_radius }]
    }

    /// Whether the robot can turn on the spot at a pose without coming nearer to anything than the clearance.
    pub fn can_turn_at(&self, pose: Pose2) -> bool {
        let radius = self.outline().iter().map(|circle| circle.x + circle.radius).fold(0.0, f64::max);
        self.costmap.clearance(pose, &[Circle { x: 0.0, radius }]) >= self.config.clearance
    }

    /// Whether turning on the spot to a heading (rad, map), the short way, drives base or gripper into something known.
    pub fn turns_into_something(&self, heading: f64) -> bool {
        // Half a cell of the map and the error of the estimate.
        const DEEP_M: f64 = -0.04;
        const STEP_RAD: f64 = 0.15;
        let pose = self.pose();
        let here = self.costmap.clearance(pose, &self.outline());
        let turn = spatial::angle::difference(heading, pose.yaw);
        let steps = (turn.abs() / STEP_RAD).ceil();
        (1..=steps as u32)
            .map(|i| Pose2::at(pose.position(), pose.yaw + turn * f64::from(i) / steps))
            .map(|pose| self.costmap.clearance(pose, &self.outline()))
            .any(|there| there < DEEP_M && there < here)
    }

    /// Where to stand to reach a surface's edge at a lateral position (m): straight before it, or nearer to the surface's own stand where
    /// something beside it leaves no room to turn. Facing the place from there is the caller's business.
    pub fn stand_before(&self, surface: &Surface, lateral: f64) -> Pose2 {
        const STEP_M: f64 = 0.02;
        const FARTHEST_M: f64 = 0.2;
        let stand = |lateral: f64| surface.stand_pose() * Pose2::new(0.0, lateral, 0.0);
        (0..=(FARTHEST_M / STEP_M).round() as u32)
            .map(|i| stand(lateral - lateral.signum() * lateral.abs().min(STEP_M * f64::from(i))))
            .find(|pose| self.can_turn_at(*pose))
            .unwrap_or_else(|| stand(lateral))
    }

    /// Height of the gripper above the floor, m.
    pub fn gripper_height(&self) -> f64 {
        self.config.gripper_z + self.joints().lift
    }

    /// The straight edge in front, from the newest scan.
    pub fn edge(&self, far: f64) -> Option<Edge> {
        let scan = self.senses.scan.as_ref()?;
        front_edge(&scan.points(self.config.laser_x), 0.12, far, 0.35)
    }

    /// Free distance (m) straight ahead of the bumper by the newest scan, within the base's width; 0 without a scan. The gripper may reach
    /// beyond it: over a surface there is room for it.
    pub fn room_ahead(&self) -> f64 {
        self.room(1.0, &self.base_outline())
    }

    /// Free distance (m) straight ahead of bumper and gripper by the newest scan; 0 without a scan.
    pub fn room_ahead_of_gripper(&self) -> f64 {
        self.room(1.0, &self.outline())
    }

    /// Free distance (m) straight behind the bumper by the newest scan; 0 without a scan.
    pub fn room_behind(&self) -> f64 {
        self.room(-1.0, &self.base_outline())
    }

    fn room(&self, side: f64, outline: &[Circle]) -> f64 {
        let Some(scan) = &self.senses.scan else { return 0.0 };
        let points = scan.points(self.config.laser_x);
        let before = |circle: &Circle| {
            let radius = circle.radius + 0.01;
            points
                .iter()
                .filter(|point| point.x * side > 0.0 && point.y.abs() < radius)
                .map(|point| (point.x - circle.x) * side - (radius * radius - point.y * point.y).sqrt())
                .fold(5.0, f64::min)
        };
        outline.iter().map(before).fold(5.0, f64::min).max(0.0)
    }

    /// The surface that has a place at, or stands under, a point of the map.
    pub fn surface_at(&self, point: DVec2) -> Option<&Surface> {
        self.home
            .surfaces
            .iter()
            .filter(|surface| {
                let local = Pose2::at(surface.position(), surface.stand.yaw).inverse_transform(point);
                let half_width = if surface.width > 0.0 { 0.5 * surface.width + 0.05 } else { 0.5 };
                local.y.abs() <= half_width && local.x > -0.15 && local.x < 0.45
            })
            .min_by(|a, b| a.position().distance(point).total_cmp(&b.position().distance(point)))
    }

    /// The surface whose stand pose a pose is near to.
    pub fn surface_from(&self, pose: Pose2) -> Option<&Surface> {
        self.home
            .surfaces
            .iter()
            .filter(|surface| {
                let local = pose.relative_to(&surface.stand_pose());
                local.x.abs() < 0.45 && local.y.abs() < 0.45 && local.yaw.abs() < 0.6
            })
            .min_by(|a, b| a.stand_pose().distance(&pose).total_cmp(&b.stand_pose().distance(&pose)))
    }

    /// The believed object of a label nearest to an expected place, within the configured radius and not held.
    pub fn believed(&self, label: &str, near: DVec3) -> Option<&Believed> {
        self.senses
            .objects
            .iter()
            .filter(|object| !object.held && (label.is_empty() || object.label == label))
            .filter(|object| object.position.distance(near) <= self.config.belief_radius)
            .min_by(|a, b| a.position.distance(near).total_cmp(&b.position.distance(near)))
    }
}
