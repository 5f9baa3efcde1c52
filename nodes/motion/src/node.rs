//! The node: messages in, [`Pilot`] ticks, messages out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use glam::DVec3;
use graph::{Context, GoalHandle, GoalId, HandlerResult, Level, Node, NodeError, Param, Publisher, Qos, Setup, SetupError, Time};
use msgs::geometry_msgs::msg::{PoseWithCovarianceStamped, TwistStamped, WrenchStamped};
use msgs::nav_msgs::msg::{OccupancyGrid, Odometry, Path as PathMsg};
use msgs::omnimind_msgs::action::{Act, ActFeedback, ActGoal, ActResult};
use msgs::omnimind_msgs::msg::{Belief, Contacts, SafetyState};
use msgs::sensor_msgs::msg::{BatteryState, JointState, LaserScan};
use msgs::trajectory_msgs::msg::{JointTrajectory, JointTrajectoryPoint};
use spatial::{Grid, Home, Pose2, Pose3, convert, map_file};
use tf::Broadcaster;

use crate::arm::ArmPose;
use crate::behaviour::{Capability, Request};
use crate::config::{Config, TUNABLES};
use crate::pilot::{Pilot, Report};
use crate::senses::{Believed, Joints, Scan, Senses, Touch};

/// Odometry older than this is no odometry, s.
const ODOM_TIMEOUT: f64 = 0.5;
/// A scan older than this is no scan, s.
const SCAN_TIMEOUT: f64 = 1.0;

/// The motion node. Serves the actions `move`, `grasp`, `release`, `push`, `pull`, `rotate`, `observe`, `wait` and `dock`
/// (omnimind_msgs/Act), one goal at a time.
pub struct Motion {
    config: Vec<Param<f64>>,
    frames: Frames,
    pilot: Pilot,
    map: Grid<i8>,
    senses: Senses,
    odom_s: Option<f64>,
    scan_s: Option<f64>,
    goal: Option<GoalHandle<Act>>,
    ticks: u64,
    cmd_vel: Publisher<TwistStamped>,
    arm: Publisher<JointTrajectory>,
    map_out: Publisher<OccupancyGrid>,
    tf: Broadcaster,
    path: Publisher<PathMsg>,
    costmap: Publisher<OccupancyGrid>,
    pose: Publisher<PoseWithCovarianceStamped>,
}

struct Frames {
    map: Param<String>,
    odom: Param<String>,
    base: Param<String>,
}

impl Node for Motion {
    const NAME: &'static str = "motion";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let mut config = Vec::new();
        for tunable in TUNABLES {
            config.push(
                s.param(tunable.name, tunable.default)
                    .unit(tunable.unit)
                    .range(tunable.min, tunable.max)
                    .describe(tunable.describe)
                    .declare()?,
            );
        }
        let home_file = s
            .param("home", "config/home.yaml".to_owned())
            .describe("model of the home: rooms, dock, surfaces")
            .read_only()
            .declare()?;
        let map_file_name = s
            .param("map", "config/home_map.yaml".to_owned())
            .describe("map of the home, map_server form")
            .read_only()
            .declare()?;
        let initial = s
            .param("initial_pose", Vec::<f64>::new())
            .describe("x (m), y (m), yaw (rad) of base_link in the map at the start; empty: the start pose of the home file")
            .read_only()
            .declare()?;
        let frames = Frames {
            map: s.param("map_frame", "map".to_owned()).describe("frame of the map").read_only().declare()?,
            odom: s.param("odom_frame", "odom".to_owned()).describe("frame of the odometry").read_only().declare()?,
            base: s.param("base_frame", "base_link".to_owned()).describe("frame of the base").read_only().declare()?,
        };
        let home = Home::load(Path::new(&home_file.get()))
            .map_err(|error| s.failed(format!("parameter home: {}: {error}", home_file.get())))?;
        let map = map_file::load(Path::new(&map_file_name.get())).map_err(|error| s.failed(format!("parameter map: {error}")))?;
        let start = match initial.get().as_slice() {
            [] => home.start_pose(),
            [x, y, yaw] if x.is_finite() && y.is_finite() && yaw.is_finite() => Pose2::new(*x, *y, *yaw),
            other => return Err(s.failed(format!("parameter initial_pose needs three finite numbers x, y, yaw, got {other:?}"))),
        };
        s.subscribe("odom", Qos::sensor_data(), Self::on_odom)?;
        s.subscribe("scan", Qos::sensor_data(), Self::on_scan)?;
        s.subscribe("joint_states", Qos::sensor_data(), Self::on_joints)?;
        s.subscribe("touch/contacts", Qos::sensor_data(), Self::on_contacts)?;
        s.subscribe("wrist/wrench", Qos::sensor_data(), Self::on_wrench)?;
        s.subscribe("battery_state", Qos::sensor_data(), Self::on_battery)?;
        s.subscribe("fusion/belief", Qos::state(), Self::on_belief)?;
        s.subscribe("safety/state", Qos::state(), Self::on_safety)?;
        s.subscribe("initialpose", Qos::reliable(1), Self::on_initial_pose)?;
        for capability in Capability::ALL {
            s.action_server::<Act>(
                capability.name(),
                move |node: &mut Self, ctx: &mut Context, handle| node.on_goal(ctx, capability, handle),
                Self::on_cancel,
            )?;
        }
        s.timer(Duration::from_secs_f64(crate::PERIOD_S), Self::tick)?;
        let values = read(&config);
        Ok(Self {
            pilot: Pilot::new(&map, home, start, values),
            config,
            frames,
            map,
            senses: Senses::default(),
            odom_s: None,
            scan_s: None,
            goal: None,
            ticks: 0,
            cmd_vel: s.publisher("cmd_vel", Qos::reliable(10))?,
            arm: s.publisher("arm/command", Qos::reliable(10))?,
            map_out: s.publisher("map", Qos::state())?,
            tf: Broadcaster::declare(s)?,
            path: s.publisher("motion/path", Qos::reliable(1))?,
            costmap: s.publisher("motion/costmap", Qos::state())?,
            pose: s.publisher("amcl_pose", Qos::state())?,
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        let map = convert::occupancy_grid(&self.frames.map.get(), ctx.now().as_nanos(), &self.map);
        self.map_out.publish(ctx, map);
        Ok(())
    }
}

fn read(params: &[Param<f64>]) -> Config {
    let mut config = Config::default();
    for (tunable, param) in TUNABLES.iter().zip(params) {
        config.set(tunable.name, param.get());
    }
    config
}

impl Motion {
    fn on_odom(&mut self, ctx: &mut Context, odom: Arc<Odometry>) -> HandlerResult {
        let pose = Pose2::from(&odom.pose.pose);
        if !pose.is_finite() {
            return Err(NodeError::new("odometry is not finite; ignored"));
        }
        self.senses.odom = Some((convert::stamp_ns(&odom.header.stamp), pose));
        (self.senses.speed, self.senses.turn_rate) = (odom.twist.twist.linear.x, odom.twist.twist.angular.z);
        self.odom_s = Some(ctx.now().as_secs_f64());
        Ok(())
    }

    fn on_scan(&mut self, ctx: &mut Context, scan: Arc<LaserScan>) -> HandlerResult {
        let increment = f64::from(scan.angle_increment);
        if scan.ranges.is_empty() || !increment.is_finite() || increment == 0.0 || !scan.angle_min.is_finite() {
            return Err(NodeError::new(format!("a scan of {} beams {increment} rad apart; ignored", scan.ranges.len())));
        }
        self.senses.scan = Some(Arc::new(Scan {
            stamp_ns: convert::stamp_ns(&scan.header.stamp),
            angle_min: f64::from(scan.angle_min),
            angle_increment: increment,
            range_min: f64::from(scan.range_min),
            range_max: f64::from(scan.range_max),
            ranges: scan.ranges.clone(),
        }));
        self.scan_s = Some(ctx.now().as_secs_f64());
        Ok(())
    }

    fn on_joints(&mut self, _: &mut Context, state: Arc<JointState>) -> HandlerResult {
        let mut joints = self.senses.joints.unwrap_or_default();
        let mut found = 0;
        for (name, position) in state.name.iter().zip(&state.position).filter(|(_, position)| position.is_finite()) {
            let joint = match name.as_str() {
                "lift_joint" => &mut joints.lift,
                "extend_joint" => &mut joints.extend,
                "finger_left_joint" => &mut joints.finger_left,
                "finger_right_joint" => &mut joints.finger_right,
                _ => continue,
            };
            *joint = *position;
            found += 1;
        }
        if found > 0 {
            self.senses.joints = Some::<Joints>(joints);
        }
        Ok(())
    }

    fn on_contacts(&mut self, _: &mut Context, contacts: Arc<Contacts>) -> HandlerResult {
        let pressed = |zone: &str| contacts.contacts.iter().any(|contact| contact.zone == zone && contact.pressed);
        self.senses.touch = Touch {
            left: pressed("bumper_left"),
            center: pressed("bumper_center"),
            right: pressed("bumper_right"),
            rear: pressed("bumper_rear"),
            finger_left: pressed("finger_left"),
            finger_right: pressed("finger_right"),
        };
        Ok(())
    }

    fn on_wrench(&mut self, _: &mut Context, wrench: Arc<WrenchStamped>) -> HandlerResult {
        let force = convert::from_vector(&wrench.wrench.force);
        self.senses.wrist_force = if force.is_finite() { force } else { DVec3::ZERO };
        Ok(())
    }

    fn on_battery(&mut self, _: &mut Context, battery: Arc<BatteryState>) -> HandlerResult {
        let status = battery.power_supply_status;
        self.senses.charging =
            status == BatteryState::POWER_SUPPLY_STATUS_CHARGING || status == BatteryState::POWER_SUPPLY_STATUS_FULL;
        let power = -f64::from(battery.voltage) * f64::from(battery.current);
        self.senses.power_w = power.is_finite().then_some(power.max(0.0));
        Ok(())
    }

    fn on_belief(&mut self, _: &mut Context, belief: Arc<Belief>) -> HandlerResult {
        self.senses.objects = belief
            .objects
            .iter()
            .map(|object| Believed {
                label: object.label.clone(),
                position: convert::from_point(&object.position),
                size: convert::from_vector(&object.size),
                confidence: f64::from(object.confidence),
                last_seen_s: Time::from_msg(&object.last_seen).as_secs_f64(),
                held: object.held,
            })
            .filter(|object| object.position.is_finite())
            .collect();
        Ok(())
    }

    fn on_safety(&mut self, _: &mut Context, state: Arc<SafetyState>) -> HandlerResult {
        self.senses.stopped = (!state.motion_allowed).then(|| format!("safety: {}", state.reason));
        Ok(())
    }

    fn on_initial_pose(&mut self, ctx: &mut Context, pose: Arc<PoseWithCovarianceStamped>) -> HandlerResult {
        let pose = Pose2::from(&pose.pose.pose);
        if !pose.is_finite() {
            return Err(NodeError::new("initial pose is not finite; ignored"));
        }
        self.pilot.set_pose(pose);
        ctx.info(format!("told to be at ({:.2}, {:.2}), heading {:.0} degrees", pose.x, pose.y, pose.yaw.to_degrees()));
        Ok(())
    }

    fn on_goal(&mut self, ctx: &mut Context, capability: Capability, handle: GoalHandle<Act>) -> HandlerResult {
        let started = self.request(handle.goal()).and_then(|request| self.pilot.start(capability, &request));
        match started {
            Ok(()) => self.goal = Some(handle),
            Err(reason) => {
                ctx.warn(format!("{}: {reason}", capability.name()));
                handle.abort(ctx, ActResult { success: false, reason, energy_wh: 0.0, duration: 0.0 });
            }
        }
        Ok(())
    }

    /// The goal in the map frame.
    fn request(&self, goal: &ActGoal) -> Result<Request, String> {
        let frame = goal.target.header.frame_id.trim_start_matches('/');
        let pose = Pose3::from(&goal.target.pose);
        let target = if frame.is_empty() {
            None
        } else if frame == self.frames.map.get() {
            Some(pose)
        } else if frame == self.frames.base.get() {
            Some(self.pilot.body().pose().to_pose3() * pose)
        } else if frame == self.frames.odom.get() {
            Some(self.pilot.body().localiser.map_odom().to_pose3() * pose)
        } else {
            return Err(format!("targets in frame '{frame}' are not understood"));
        };
        let q = &goal.target.pose.orientation;
        Ok(Request {
            target,
            any_heading: [q.x, q.y, q.z, q.w] == [0.0; 4],
            label: goal.object_label.clone(),
            distance: f64::from(goal.distance),
            angle: f64::from(goal.angle),
            duration: f64::from(goal.duration),
        })
    }

    fn on_cancel(&mut self, ctx: &mut Context, id: GoalId) -> HandlerResult {
        if self.goal.as_ref().is_none_or(|goal| goal.id() != id) {
            return Ok(());
        }
        if let (Some(goal), Some(report)) = (self.goal.take(), self.pilot.cancel("cancelled")) {
            goal.canceled(ctx, result(&report));
        }
        Ok(())
    }

    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let now = ctx.now();
        let now_s = now.as_secs_f64();
        self.pilot.configure(read(&self.config));
        let mut senses = self.senses.clone();
        senses.now_s = now_s;
        self.check_inputs(ctx, &mut senses);
        let output = self.pilot.tick(senses);
        self.cmd_vel.publish(
            ctx,
            TwistStamped {
                header: convert::header(&self.frames.base.get(), now.as_nanos()),
                twist: convert::twist(output.drive.linear, output.drive.angular),
            },
        );
        if let Some(arm) = output.arm {
            self.arm.publish(ctx, trajectory(&self.frames.base.get(), now, &arm));
        }
        if let Some(report) = output.report {
            self.finish(ctx, &report);
        }
        self.tell(ctx, now);
        self.ticks += 1;
        Ok(())
    }

    /// Without fresh odometry and scans the robot stands still.
    fn check_inputs(&self, ctx: &mut Context, senses: &mut Senses) {
        let now = senses.now_s;
        let mut check = |what: &str, heard: Option<f64>, timeout: f64| {
            let late = match heard {
                Some(at) if now - at <= timeout => None,
                Some(at) => Some(format!("the last {what} came {:.1} s ago: standing still", now - at)),
                // At the start nobody has spoken yet.
                None if now > 3.0 => Some(format!("no {what} yet: standing still")),
                None => return Some(format!("no {what} yet")),
            };
            match &late {
                Some(sentence) => ctx.status(Level::Error, what, sentence.clone()),
                None => ctx.status(Level::Ok, what, "fresh"),
            }
            late
        };
        let odom = check("odometry", self.odom_s, ODOM_TIMEOUT);
        let scan = check("scan", self.scan_s, SCAN_TIMEOUT);
        senses.stopped = senses.stopped.take().or(odom).or(scan);
    }

    fn finish(&mut self, ctx: &mut Context, report: &Report) {
        let name = report.capability.name();
        if report.success {
            ctx.info(format!("{name}: done in {:.1} s with {:.3} Wh", report.duration_s, report.energy_wh));
        } else {
            ctx.warn(format!("{name}: {} ({:.1} s, {:.3} Wh)", report.reason, report.duration_s, report.energy_wh));
        }
        if let Some(goal) = self.goal.take() {
            if report.success {
                goal.succeed(ctx, result(report));
            } else {
                goal.abort(ctx, result(report));
            }
        }
    }

    /// Everything that others may want to know.
    fn tell(&mut self, ctx: &mut Context, now: Time) {
        let (map, odom) = (self.frames.map.get(), self.frames.odom.get());
        let ns = now.as_nanos();
        let body = self.pilot.body();
        let localiser = &body.localiser;
        let transform = convert::transform_stamped(&map, &odom, ns, localiser.map_odom().to_pose3());
        let (fit, sigma, lost, confirmed) = (localiser.fit(), localiser.sigma(), localiser.is_lost(), localiser.is_confirmed());
        let pose = PoseWithCovarianceStamped {
            header: convert::header(&map, ns),
            pose: convert::pose_with_covariance(localiser.pose(), &localiser.covariance()),
        };
        let path: Vec<Pose2> = headings(self.pilot.path());
        let costmap = (self.ticks % 20 == 0)
            .then(|| convert::occupancy_grid(&map, ns, &convert::costs_to_occupancy(&body.costmap.costs(&body.config))));
        self.tf.send(ctx, vec![transform]);
        if self.ticks % 2 == 0 {
            self.pose.publish(ctx, pose);
        }
        if let Some(costmap) = costmap {
            self.costmap.publish(ctx, costmap);
        }
        if self.ticks % 10 == 0 {
            self.path.publish(ctx, convert::path(&map, ns, &path));
            if let (Some(goal), Some((phase, progress))) = (&self.goal, self.pilot.progress()) {
                goal.feedback(ctx, ActFeedback { phase, progress: progress as f32 });
            }
            if lost {
                ctx.status(Level::Error, "localisation", format!("lost: {:.0} % of the scan fits the map", 100.0 * fit));
            } else if !confirmed {
                ctx.status(Level::Warn, "localisation", "no scan has confirmed the start pose yet");
            } else if sigma > 0.15 || fit < 0.5 {
                ctx.status(
                    Level::Warn,
                    "localisation",
                    format!("unsure: {:.0} % of the scan fits the map, sigma {sigma:.2} m", 100.0 * fit),
                );
            } else {
                ctx.status(
                    Level::Ok,
                    "localisation",
                    format!("{:.0} % of the scan fits the map, sigma {sigma:.3} m", 100.0 * fit),
                );
            }
        }
    }
}

fn result(report: &Report) -> ActResult {
    ActResult {
        success: report.success,
        reason: report.reason.clone(),
        energy_wh: report.energy_wh as f32,
        duration: report.duration_s as f32,
    }
}

fn trajectory(frame: &str, now: Time, arm: &ArmPose) -> JointTrajectory {
    JointTrajectory {
        header: convert::header(frame, now.as_nanos()),
        joint_names: ["lift_joint", "extend_joint", "gripper"].map(str::to_owned).to_vec(),
        points: vec![JointTrajectoryPoint {
            positions: vec![arm.lift, arm.extend, arm.opening],
            effort: vec![0.0, 0.0, arm.force],
            ..Default::default()
        }],
    }
}

/// A path with the heading of each of its segments.
fn headings(points: &[glam::DVec2]) -> Vec<Pose2> {
    points
        .iter()
        .enumerate()
        .map(|(i, point)| {
            let (from, to) = if i + 1 < points.len() { (*point, points[i + 1]) } else { (points[i.saturating_sub(1)], *point) };
            Pose2::at(*point, (to - from).to_angle())
        })
        .collect()
}
