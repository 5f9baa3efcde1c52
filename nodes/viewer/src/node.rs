//! The node: subscriptions in front of a [`Stream`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Param, Qos, Reliability, Setup, SetupError};
use msgs::geometry_msgs::msg::{Pose, PoseWithCovarianceStamped};
use msgs::nav_msgs::msg::{OccupancyGrid, Odometry, Path};
use msgs::omnimind_msgs::msg::{AudioFeatures, SpeakerMatch, Spectrogram, SpeechEmotion, Transcript};
use msgs::omnimind_msgs::msg::{Belief, EnergyForecast, MissionState, Plan, SimState};
use msgs::rcl_interfaces::msg::Log;
use msgs::sensor_msgs::msg::{BatteryState, CameraInfo, Image, LaserScan};
use msgs::vision_msgs::msg::Detection2DArray;

use crate::scene::{Body, Item};
use crate::sound::{Heard, Roll};
use crate::stream::{Stream, Target};
use crate::tracks::Tracks;

/// Shows the robot in Rerun: a .rrd file (parameter `path`), or a running viewer (parameter `url`).
pub struct Viewer {
    image_rate_hz: Param<f64>,
    depth_rate_hz: Param<f64>,
    scan_rate_hz: Param<f64>,
    spectrogram_rate_hz: Param<f64>,
    roll: Roll,
    streams: Vec<Stream>,
    // When the next one of each decimated stream is due, ns.
    due: [i64; KINDS],
    trail: Vec<[f32; 3]>,
    tracks: Tracks,
    last_mission: String,
    camera_known: bool,
}

const CAMERA: usize = 0;
const DEPTH: usize = 1;
const SCAN: usize = 2;
const POSE: usize = 3;
const SPEED: usize = 4;
const BATTERY: usize = 5;
const TRUTH: usize = 6;
const TRAIL: usize = 7;
const PLAN: usize = 8;
const BELIEF: usize = 9;
const SPECTROGRAM: usize = 10;
const LEVEL: usize = 11;
const KINDS: usize = 12;

impl Node for Viewer {
    const NAME: &'static str = "viewer";
    const WATCHER: bool = true;

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let path = s.param("path", String::new()).describe(".rrd file to write; empty: none").read_only().declare()?;
        let url = s
            .param("url", String::new())
            .describe("running Rerun viewer, e.g. rerun+http://127.0.0.1:9876/proxy; empty: none")
            .read_only()
            .declare()?;
        let quality =
            s.param("jpeg_quality", 70_i64).range(1.0, 100.0).describe("JPEG quality of camera images").read_only().declare()?;
        let image_rate_hz =
            s.param("image_rate_hz", 1.0).unit("Hz").range(0.0, 100.0).describe("camera images shown").declare()?;
        let depth_rate_hz =
            s.param("depth_rate_hz", 0.2).unit("Hz").range(0.0, 100.0).describe("depth images shown").declare()?;
        let scan_rate_hz = s.param("scan_rate_hz", 2.0).unit("Hz").range(0.0, 100.0).describe("lidar scans shown").declare()?;
        let spectrogram_rate_hz = s
            .param("spectrogram_rate_hz", 1.0)
            .unit("Hz")
            .range(0.0, 10.0)
            .describe("pictures of the last 8 s of sound shown")
            .declare()?;
        s.subscribe("camera/image_raw", Qos::sensor_data(), Self::on_camera)?;
        s.subscribe("camera/depth/image_raw", Qos::sensor_data(), Self::on_depth)?;
        s.subscribe("camera/camera_info", Qos::sensor_data(), Self::on_camera_info)?;
        s.subscribe("vision/detections", Qos::sensor_data(), Self::on_detections)?;
        s.subscribe("scan", Qos::sensor_data(), Self::on_scan)?;
        s.subscribe("map", Qos::state(), |n: &mut Self, c, m: Arc<OccupancyGrid>| n.show(c, Item::Map(m)))?;
        s.subscribe("motion/path", Qos::reliable(10), |n: &mut Self, c, m: Arc<Path>| n.show(c, Item::Path(m)))?;
        s.subscribe("amcl_pose", Qos::reliable(10), Self::on_pose)?;
        s.subscribe("odom", Qos::sensor_data(), Self::on_odometry)?;
        s.subscribe("fusion/belief", Qos::state(), Self::on_belief)?;
        s.subscribe("sim/state", Qos::sensor_data(), Self::on_truth)?;
        s.subscribe("sim/mission", Qos::reliable(10), Self::on_mission)?;
        s.subscribe("planner/plan", Qos::reliable(10), Self::on_plan)?;
        s.subscribe("planner/energy_forecast", Qos::reliable(10), |n: &mut Self, c, m: Arc<EnergyForecast>| {
            n.show(c, Item::Energy(m))
        })?;
        s.subscribe("battery_state", Qos::sensor_data(), Self::on_battery)?;
        s.subscribe("speech/transcript", Qos::reliable(10), |n: &mut Self, c, m: Arc<Transcript>| {
            n.show(c, Item::Heard(Heard::Transcript(m)))
        })?;
        s.subscribe("speech/speaker", Qos::reliable(10), |n: &mut Self, c, m: Arc<SpeakerMatch>| {
            n.show(c, Item::Heard(Heard::Speaker(m)))
        })?;
        s.subscribe("speech/emotion", Qos::reliable(10), |n: &mut Self, c, m: Arc<SpeechEmotion>| {
            n.show(c, Item::Heard(Heard::Emotion(m)))
        })?;
        s.subscribe("audio/spectrogram", Qos::sensor_data(), Self::on_spectrogram)?;
        // A second and more at once, when sound was held back while the robot spoke.
        s.subscribe("audio/features", Qos { reliability: Reliability::BestEffort, ..Qos::reliable(20) }, Self::on_features)?;
        s.subscribe("/rosout", Qos::reliable(100), |n: &mut Self, c, m: Arc<Log>| n.show(c, Item::Log(m)))?;

        let mut targets = Vec::new();
        if !path.get().is_empty() {
            targets.push(Target::File(PathBuf::from(path.get())));
        }
        if !url.get().is_empty() {
            targets.push(Target::Live(url.get()));
        }
        let quality = u8::try_from(quality.get()).unwrap_or(75);
        let streams = targets
            .iter()
            .map(|t| Stream::open(t, Body::default(), quality))
            .collect::<Result<_, _>>()
            .map_err(|e| s.failed(e))?;
        Ok(Self {
            image_rate_hz,
            depth_rate_hz,
            scan_rate_hz,
            spectrogram_rate_hz,
            roll: Roll::default(),
            streams,
            due: [i64::MIN; KINDS],
            trail: Vec::new(),
            tracks: Tracks::default(),
            last_mission: String::new(),
            camera_known: false,
        })
    }

    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        for stream in &mut self.streams {
            let dropped = stream.dropped();
            if dropped > 0 {
                ctx.warn(format!(
                    "{dropped} images and scans were left out of the Rerun recording: the writer could not keep up"
                ));
            }
            if !stream.finish(Duration::from_secs(10)) {
                ctx.status(Level::Warn, "rerun", "the Rerun recording did not close within 10 s; its end may be missing");
            }
        }
        Ok(())
    }
}

impl Viewer {
    fn show(&mut self, ctx: &mut Context, item: Item) -> HandlerResult {
        let nanos = ctx.now().as_nanos();
        for stream in &self.streams {
            stream.show(nanos, item.clone());
        }
        Ok(())
    }

    /// Whether the next of a stream is due at `rate_hz`.
    #[allow(clippy::cast_possible_truncation)]
    fn is_due(&mut self, ctx: &Context, kind: usize, rate_hz: f64) -> bool {
        let now = ctx.now().as_nanos();
        if self.streams.is_empty() || rate_hz <= 0.0 || now < self.due[kind] {
            return false;
        }
        self.due[kind] = now.saturating_add((1e9 / rate_hz) as i64);
        true
    }

    fn on_camera(&mut self, ctx: &mut Context, image: Arc<Image>) -> HandlerResult {
        if self.is_due(ctx, CAMERA, self.image_rate_hz.get()) { self.show(ctx, Item::Camera(image)) } else { Ok(()) }
    }

    fn on_depth(&mut self, ctx: &mut Context, image: Arc<Image>) -> HandlerResult {
        if self.is_due(ctx, DEPTH, self.depth_rate_hz.get()) { self.show(ctx, Item::Depth(image)) } else { Ok(()) }
    }

    fn on_camera_info(&mut self, ctx: &mut Context, info: Arc<CameraInfo>) -> HandlerResult {
        if std::mem::replace(&mut self.camera_known, true) {
            return Ok(());
        }
        self.show(ctx, Item::CameraInfo(info))
    }

    fn on_detections(&mut self, ctx: &mut Context, array: Arc<Detection2DArray>) -> HandlerResult {
        if let Some(ways) = self.tracks.see(&array) {
            self.show(ctx, Item::Tracks(ways))?;
        }
        self.show(ctx, Item::Detections(array))
    }

    fn on_scan(&mut self, ctx: &mut Context, scan: Arc<LaserScan>) -> HandlerResult {
        if self.is_due(ctx, SCAN, self.scan_rate_hz.get()) { self.show(ctx, Item::Scan(scan)) } else { Ok(()) }
    }

    fn on_pose(&mut self, ctx: &mut Context, pose: Arc<PoseWithCovarianceStamped>) -> HandlerResult {
        self.pose(ctx, &pose.pose.pose)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn pose(&mut self, ctx: &mut Context, pose: &Pose) -> HandlerResult {
        if !self.is_due(ctx, POSE, 10.0) {
            return Ok(());
        }
        let point = [pose.position.x as f32, pose.position.y as f32, 0.01];
        // A point per 5 cm keeps the trail short however long the robot stands.
        if self.trail.last().is_none_or(|last| (last[0] - point[0]).hypot(last[1] - point[1]) > 0.05) {
            self.trail.push(point);
        }
        self.show(ctx, Item::RobotPose(pose.clone()))?;
        if self.is_due(ctx, TRAIL, 0.5) { self.show(ctx, Item::Trail(self.trail.clone())) } else { Ok(()) }
    }

    fn on_odometry(&mut self, ctx: &mut Context, odometry: Arc<Odometry>) -> HandlerResult {
        if self.is_due(ctx, SPEED, 5.0) { self.show(ctx, Item::Odometry(odometry)) } else { Ok(()) }
    }

    fn on_belief(&mut self, ctx: &mut Context, belief: Arc<Belief>) -> HandlerResult {
        if belief.header.frame_id == "map" {
            self.pose(ctx, &belief.robot_pose.pose)?;
        }
        if self.is_due(ctx, BELIEF, 2.0) { self.show(ctx, Item::Belief(belief)) } else { Ok(()) }
    }

    fn on_truth(&mut self, ctx: &mut Context, state: Arc<SimState>) -> HandlerResult {
        if self.is_due(ctx, TRUTH, 5.0) { self.show(ctx, Item::Truth(state)) } else { Ok(()) }
    }

    fn on_mission(&mut self, ctx: &mut Context, mission: Arc<MissionState>) -> HandlerResult {
        let text = format!("{} {} {}", mission.phase, mission.result, mission.reason);
        if text == self.last_mission {
            return Ok(());
        }
        self.last_mission = text;
        self.show(ctx, Item::Mission(mission))
    }

    fn on_plan(&mut self, ctx: &mut Context, plan: Arc<Plan>) -> HandlerResult {
        if self.is_due(ctx, PLAN, 5.0) { self.show(ctx, Item::Plan(plan)) } else { Ok(()) }
    }

    fn on_battery(&mut self, ctx: &mut Context, battery: Arc<BatteryState>) -> HandlerResult {
        if self.is_due(ctx, BATTERY, 1.0) { self.show(ctx, Item::Battery(battery)) } else { Ok(()) }
    }

    fn on_spectrogram(&mut self, ctx: &mut Context, columns: Arc<Spectrogram>) -> HandlerResult {
        self.roll.push(&columns);
        if !self.is_due(ctx, SPECTROGRAM, self.spectrogram_rate_hz.get()) {
            return Ok(());
        }
        self.roll.picture().map_or(Ok(()), |picture| self.show(ctx, Item::Heard(Heard::Spectrogram(Arc::new(picture)))))
    }

    fn on_features(&mut self, ctx: &mut Context, features: Arc<AudioFeatures>) -> HandlerResult {
        if self.is_due(ctx, LEVEL, 5.0) { self.show(ctx, Item::Heard(Heard::Features(features))) } else { Ok(()) }
    }
}
