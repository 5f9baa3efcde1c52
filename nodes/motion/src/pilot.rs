//! Motion without the graph: senses in, commands out, one capability at a time.

use glam::DVec2;
use spatial::{Grid, Home, Pose2};

use crate::arm::ArmPose;
use crate::behaviour::{Behaviour, Capability, Request, Step};
use crate::body::Body;
use crate::config::Config;
use crate::drive::Drive;
use crate::senses::Senses;

/// How a capability ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which.
    pub capability: Capability,
    /// Whether it did what was asked.
    pub success: bool,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Why it ended so; empty on success.
    pub reason: String,
    /// Energy drawn from the battery meanwhile, Wh: measured, or from the power model where the battery does not tell.
    pub energy_wh: f64,
    /// How long it took, s.
    pub duration_s: f64,
}

/// What one tick gives.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Command to the base.
    pub drive: Drive,
    /// Command to the arm; None before its joints were heard of.
    pub arm: Option<ArmPose>,
    /// Set when the capability ended in this tick.
    pub report: Option<Report>,
}

struct Task {
    capability: Capability,
    behaviour: Behaviour,
    started_s: f64,
    energy_wh: f64,
}

/// The pilot.
pub struct Pilot {
    body: Body,
    task: Option<Task>,
    previous: Drive,
    last_s: Option<f64>,
    last_scan_ns: i64,
    searched_s: f64,
}

impl Pilot {
    /// A robot at a start pose in a known map.
    pub fn new(map: &Grid<i8>, home: Home, start: Pose2, config: Config) -> Self {
        Self {
            body: Body::new(map, home, start, config),
            task: None,
            previous: Drive::STOP,
            last_s: None,
            last_scan_ns: i64::MIN,
            searched_s: f64::NEG_INFINITY,
        }
    }

    /// The robot as its behaviours see it.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Changes the tunables.
    pub fn configure(&mut self, config: Config) {
        self.body.config = config;
    }

    /// Tells the robot where it is.
    pub fn set_pose(&mut self, pose: Pose2) {
        let config = self.body.config.clone();
        self.body.localiser.reset(pose, &config);
    }

    /// Which capability runs.
    pub fn running(&self) -> Option<Capability> {
        self.task.as_ref().map(|task| task.capability)
    }

    /// What the running capability is doing, and how far it is (0..1).
    pub fn progress(&self) -> Option<(String, f64)> {
        self.task.as_ref().map(|task| task.behaviour.progress(&self.body))
    }

    /// Starts a capability. Says why not: another one runs, or the request makes no sense.
    pub fn start(&mut self, capability: Capability, request: &Request) -> Result<(), String> {
        if let Some(running) = self.running() {
            return Err(format!("{} is still running", running.name()));
        }
        let behaviour = Behaviour::start(capability, request, &self.body)?;
        self.task = Some(Task { capability, behaviour, started_s: self.body.now(), energy_wh: 0.0 });
        Ok(())
    }

    /// Stops the running capability: the base brakes, the arm freezes, the grip stays.
    pub fn cancel(&mut self, reason: &str) -> Option<Report> {
        let task = self.task.take()?;
        let joints = self.body.joints();
        self.body.arm.halt(&joints);
        self.body.path.clear();
        Some(self.report(&task, false, true, reason.to_owned()))
    }

    fn report(&self, task: &Task, success: bool, cancelled: bool, reason: String) -> Report {
        let duration_s = self.body.now() - task.started_s;
        Report { capability: task.capability, success, cancelled, reason, energy_wh: task.energy_wh, duration_s }
    }

    /// One tick of the control loop.
    pub fn tick(&mut self, senses: Senses) -> Output {
        let dt = self.last_s.map_or(crate::PERIOD_S, |last| (senses.now_s - last).clamp(0.0, 0.5));
        self.last_s = Some(senses.now_s);
        self.body.senses = senses;
        self.perceive();
        self.body.drive = Drive::STOP;
        let power = self.power();
        let mut report = None;
        if let Some(mut task) = self.task.take() {
            task.energy_wh += power * dt / 3600.0;
            match task.behaviour.step(&mut self.body) {
                Step::Running => self.task = Some(task),
                Step::Done => report = Some(self.report(&task, true, false, String::new())),
                Step::Failed(reason) => {
                    self.body.path.clear();
                    let joints = self.body.joints();
                    self.body.arm.halt(&joints);
                    report = Some(self.report(&task, false, false, reason));
                }
            }
        }
        if self.body.senses.stopped.is_some() {
            self.body.drive = Drive::STOP;
        }
        let drive = self.body.drive.limited(self.previous, dt, &self.body.config);
        self.previous = drive;
        let config = &self.body.config;
        let arm = if self.body.senses.stopped.is_some() {
            // Time stands still for the arm while safety holds it.
            self.body.arm.tick(self.body.senses.joints.as_ref(), 0.0, config)
        } else {
            self.body.arm.tick(self.body.senses.joints.as_ref(), dt, config)
        };
        Output { drive, arm, report }
    }

    fn perceive(&mut self) {
        let body = &mut self.body;
        let config = body.config.clone();
        let now = body.senses.now_s;
        // A gripper that closed all the way has lost what it held.
        if body.held.is_some() && body.senses.joints.is_some_and(|joints| joints.opening() <= config.empty_opening) {
            body.held = None;
        }
        if let Some((stamp, odom)) = body.senses.odom {
            body.localiser.predict(stamp, odom, &config);
        }
        let Some(scan) = body.senses.scan.clone() else { return };
        if scan.stamp_ns <= self.last_scan_ns || body.senses.odom.is_none() {
            return;
        }
        self.last_scan_ns = scan.stamp_ns;
        body.localiser.correct(&scan, now, &config);
        // A turning robot smears its scan over the costmap.
        if !body.localiser.is_lost() && body.senses.turn_rate.abs() < 0.9 {
            let pose = body.pose();
            body.costmap.observe(&scan, pose, now, &config);
        }
        if body.localiser.is_lost() && now - self.searched_s >= 1.0 && body.senses.turn_rate.abs() < 0.3 {
            self.searched_s = now;
            if let Some(pose) = body.localiser.search(&scan, &config) {
                body.localiser.relocate(pose, &scan);
                body.costmap.clear();
            }
        }
    }

    fn power(&self) -> f64 {
        let config = &self.body.config;
        self.body.senses.power_w.unwrap_or(config.idle_power + config.drive_power * self.body.senses.speed.abs())
    }

    /// The path being followed, map frame, m.
    pub fn path(&self) -> &[DVec2] {
        &self.body.path
    }
}
