//! The node: synchronises the streams, keeps the belief, publishes it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use glam::{DVec2, DVec3};
use graph::{
    Context, FreezeError, HandlerResult, Level, Node, NodeError, Param, Publisher, Qos, Reliability, Setup, SetupError, Time,
};
use msgs::geometry_msgs::msg::PoseWithCovarianceStamped;
use msgs::nav_msgs::msg::Odometry;
use msgs::omnimind_msgs::msg::{
    Alignment, AudioFeatures, Belief, BeliefObject, Contacts, Provenance, SceneAnalysis, Transcript, VisionFeatures,
};
use msgs::omnimind_msgs::srv::{FusionQuery, FusionQueryRequest, FusionQueryResponse};
use msgs::sensor_msgs::msg::{CameraInfo, Image, JointState, LaserScan};
use msgs::vision_msgs::msg::Detection2DArray;
use spatial::depth::{DepthLimits, DepthView, PixelBox, distances, pixel_bytes};
use spatial::{Home, Pinhole, Pose2, Pose3, TfBuffer, convert};
use tf::Listener;

use crate::alignment::align;
use crate::category;
use crate::held::{GripperSense, HeldDetector};
use crate::memory::{MemorySettings, Object, ObjectMemory};
use crate::query::{self, Candidate};
use crate::strategies::{FuseSettings, Fused, Strategy, fuse};
use crate::tokens::{Modality, Token};
use crate::world::{Detection, View, bearing_in_map, room_of};

/// Pictures that wait for their partner.
const WAITING: usize = 8;

/// The fusion node.
pub struct Fusion {
    pub(crate) home: Option<Home>,
    pub(crate) memory: ObjectMemory,
    pub(crate) tf: Listener,
    pub(crate) camera: Option<Pinhole>,
    pub(crate) depths: VecDeque<Arc<Image>>,
    pub(crate) waiting: VecDeque<Arc<Detection2DArray>>,
    pub(crate) gripper: GripperSense,
    pub(crate) held: HeldDetector,
    pub(crate) held_id: Option<u32>,
    pub(crate) pose_sigma: f64,
    pub(crate) speed: f64,
    pub(crate) pressed: f64,
    pub(crate) nearest_scan: f64,
    pub(crate) tokens: [Option<Token>; 4],
    pub(crate) vision_raw: Vec<(&'static str, f64)>,
    pub(crate) view_raw: Vec<(&'static str, f64)>,
    pub(crate) view_bearing: f64,
    pub(crate) view_certainty: f64,
    pub(crate) sound: Option<(f64, i64)>,
    pub(crate) heard: String,
    pub(crate) strategy: Param<String>,
    pub(crate) sync_s: Param<f64>,
    pub(crate) detect_range_m: Param<f64>,
    pub(crate) max_size_m: Param<f64>,
    pub(crate) belief_out: Publisher<Belief>,
    pub(crate) alignment_out: Publisher<Alignment>,
    pub(crate) last_sync: Option<Time>,
}

impl Node for Fusion {
    const NAME: &'static str = "fusion";
    /// Not where the home's file is, but what is in it is compared.
    const FREE_PARAMETERS: &'static [&'static str] = &["home"];

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let file = s
            .param("home", "config/home.yaml".to_owned())
            .describe("model of the home, for the rooms; empty: none")
            .read_only()
            .declare()?
            .get();
        let home = match file.as_str() {
            "" => None,
            path => Some(Home::load(Path::new(path)).map_err(|e| s.failed(format!("parameter home: {e}")))?),
        };
        let d = MemorySettings::default();
        let settings = MemorySettings {
            gate_sigmas: s
                .param("gate_sigmas", d.gate_sigmas)
                .unit("1")
                .range(0.5, 20.0)
                .describe("gate of the association")
                .read_only()
                .declare()?
                .get(),
            gate_m: s
                .param("gate_m", d.gate_m)
                .unit("m")
                .range(0.01, 5.0)
                .describe("never associate beyond this")
                .read_only()
                .declare()?
                .get(),
            relabel_m: s
                .param("relabel_m", d.relabel_m)
                .unit("m")
                .range(0.0, 1.0)
                .describe("another label within this is the same thing")
                .read_only()
                .declare()?
                .get(),
            missing: s
                .param("missing", d.missing)
                .unit("1")
                .range(-5.0, 0.0)
                .describe("log-odds of a look without sighting")
                .read_only()
                .declare()?
                .get(),
            seen_through: s
                .param("seen_through", d.seen_through)
                .unit("1")
                .range(-5.0, 0.0)
                .describe("log-odds of a look through the place")
                .read_only()
                .declare()?
                .get(),
            ..d
        };
        let strategy = s
            .param("strategy", "hybrid".to_owned())
            .one_of(&["early", "late", "hybrid", "attention"])
            .describe("how the modalities are fused")
            .declare()?;
        let sync_s = s
            .param("sync_s", 0.05)
            .unit("s")
            .range(0.0, 1.0)
            .describe("largest difference of the stamps of detections and depth")
            .declare()?;
        let detect_range_m = s
            .param("detect_range_m", 2.0)
            .unit("m")
            .range(0.1, 10.0)
            .describe("range within which an object in view should be detected")
            .declare()?;
        let max_size_m = s
            .param("max_size_m", 0.6)
            .unit("m")
            .range(0.05, 10.0)
            .describe("larger things are no objects to handle")
            .declare()?;
        s.subscribe("camera/depth/image_raw", Qos::sensor_data(), Self::on_depth)?;
        s.subscribe("camera/camera_info", Qos::sensor_data(), Self::on_camera)?;
        s.subscribe("vision/detections", Qos::sensor_data(), Self::on_detections)?;
        s.subscribe("vision/scene", Qos::sensor_data(), Self::on_scene)?;
        s.subscribe("vision/features", Qos::sensor_data(), Self::on_vision_features)?;
        // A second and more at once, when sound was held back while the robot spoke.
        s.subscribe("audio/features", Qos { reliability: Reliability::BestEffort, ..Qos::reliable(20) }, Self::on_audio)?;
        s.subscribe("speech/transcript", Qos::reliable(10), Self::on_transcript)?;
        s.subscribe("joint_states", Qos::sensor_data(), Self::on_joints)?;
        s.subscribe("touch/contacts", Qos::sensor_data(), Self::on_contacts)?;
        s.subscribe("odom", Qos::sensor_data(), Self::on_odom)?;
        s.subscribe("scan", Qos::sensor_data(), Self::on_scan)?;
        s.subscribe("amcl_pose", Qos::sensor_data(), Self::on_pose)?;
        let tf = Listener::declare(s, TfBuffer::default())?;
        tf.serve_frames(s)?;
        s.service::<FusionQuery>("fusion/query", Self::on_query)?;
        s.timer(Duration::from_millis(200), Self::tell)?;
        Ok(Self {
            home,
            memory: ObjectMemory::new(settings),
            tf,
            camera: None,
            depths: VecDeque::new(),
            waiting: VecDeque::new(),
            gripper: GripperSense::default(),
            held: HeldDetector::new(0.01, 0.2),
            held_id: None,
            pose_sigma: 0.02,
            speed: 0.0,
            pressed: 0.0,
            nearest_scan: 3.0,
            tokens: [const { None }; 4],
            vision_raw: Vec::new(),
            view_raw: Vec::new(),
            view_bearing: f64::NAN,
            view_certainty: 0.0,
            sound: None,
            heard: String::new(),
            strategy,
            sync_s,
            detect_range_m,
            max_size_m,
            belief_out: s.publisher("fusion/belief", Qos::state())?,
            alignment_out: s.publisher("fusion/alignment", Qos::reliable(5))?,
            last_sync: None,
        })
    }

    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        self.frozen()
    }

    fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
        self.take_up(state)
    }
}

fn ns(stamp: &msgs::builtin_interfaces::msg::Time) -> i64 {
    Time::from_msg(stamp).as_nanos()
}

impl Fusion {
    fn on_camera(&mut self, ctx: &mut Context, info: Arc<CameraInfo>) -> HandlerResult {
        match convert::pinhole(&info) {
            Ok(camera) => self.camera = Some(camera),
            Err(error) => ctx.status(Level::Error, "camera", error.to_string()),
        }
        Ok(())
    }

    fn on_depth(&mut self, ctx: &mut Context, image: Arc<Image>) -> HandlerResult {
        if let Err(error) = pixel_bytes(&image.encoding) {
            ctx.status(Level::Error, "depth", error.to_string());
            return Ok(());
        }
        self.depths.push_back(image);
        while self.depths.len() > WAITING {
            self.depths.pop_front();
        }
        self.pair(ctx);
        Ok(())
    }

    fn on_detections(&mut self, ctx: &mut Context, detections: Arc<Detection2DArray>) -> HandlerResult {
        self.waiting.push_back(detections);
        while self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
        self.pair(ctx);
        Ok(())
    }

    /// Pairs detections with the depth picture of the same moment, whichever came first.
    fn pair(&mut self, ctx: &mut Context) {
        let limit = (self.sync_s.get() * 1e9) as i64;
        let mut at = 0;
        while at < self.waiting.len() {
            let stamp = ns(&self.waiting[at].header.stamp);
            let partner = self
                .depths
                .iter()
                .filter(|d| (ns(&d.header.stamp) - stamp).abs() <= limit)
                .min_by_key(|d| (ns(&d.header.stamp) - stamp).abs())
                .cloned();
            match partner {
                Some(depth) => {
                    if let Some(detections) = self.waiting.remove(at) {
                        if let Err(error) = self.see(ctx, &detections, &depth) {
                            ctx.status(Level::Warn, "sight", error.to_string());
                        }
                    }
                }
                None => at += 1,
            }
        }
    }

    fn see(&mut self, ctx: &mut Context, detections: &Detection2DArray, depth: &Image) -> HandlerResult {
        let camera = self.camera.ok_or_else(|| NodeError::new("no camera_info yet"))?;
        let (width, height) = (depth.width as usize, depth.height as usize);
        let step = depth.step as usize;
        let values = distances(width, height, step, &depth.encoding, depth.is_bigendian != 0, &depth.data)?;
        let stamp = ns(&depth.header.stamp);
        let pose = self.tf.lookup("map", &depth.header.frame_id, Time::from_nanos(stamp))?;
        let view = View {
            camera,
            pose,
            depth: DepthView::new(width, height, &values)?,
            limits: DepthLimits::default(),
            robot_sigma: self.pose_sigma.min(0.1),
        };
        let list: Vec<Detection> = detections
            .detections
            .iter()
            .filter_map(|d| {
                let best = d.results.iter().max_by(|a, b| a.hypothesis.score.total_cmp(&b.hypothesis.score))?;
                Some(Detection {
                    label: best.hypothesis.class_id.clone(),
                    score: best.hypothesis.score,
                    region: PixelBox {
                        center: DVec2::new(d.bbox.center.position.x, d.bbox.center.position.y),
                        size: DVec2::new(d.bbox.size_x, d.bbox.size_y),
                    },
                })
            })
            .collect();
        let sightings = view.sightings(&list, self.max_size_m.get());
        let range = self.detect_range_m.get();
        // While the robot turns, pictures smear: what is not detected then says nothing.
        let calm = self.speed.abs() < 0.5;
        self.memory.observe(&sightings, stamp, |o| if calm { view.look(o, range) } else { crate::memory::Look::NotInView });
        let best = sightings.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        let eye = view.pose.translation;
        self.view_bearing = best.map_or(f64::NAN, |s| (s.position.y - eye.y).atan2(s.position.x - eye.x));
        self.view_certainty = best.map_or(0.3, |s| s.score);
        self.view_raw = vec![("salience", list.len() as f64), ("certainty", best.map_or(0.0, |s| s.score))];
        if let Some(near) = sightings.iter().map(|s| s.position.distance(eye)).min_by(f64::total_cmp) {
            self.view_raw.push(("proximity", near));
        }
        self.vision_token(stamp)?;
        self.last_sync = Some(ctx.now());
        ctx.status(Level::Ok, "sight", "detections are placed in the map");
        Ok(())
    }

    fn vision_token(&mut self, stamp: i64) -> HandlerResult {
        let raw: Vec<(&str, f64)> = self.view_raw.iter().chain(&self.vision_raw).copied().filter(|f| f.1.is_finite()).collect();
        let token = Token::from_raw(Modality::Vision, &raw, self.view_certainty, stamp)?.with_bearing(self.view_bearing);
        self.tokens[0] = Some(token);
        Ok(())
    }

    fn on_scene(&mut self, _: &mut Context, scene: Arc<SceneAnalysis>) -> HandlerResult {
        self.vision_raw.retain(|f| f.0 != "activity");
        // Not a number: there was no picture before it.
        if scene.motion.is_finite() {
            self.vision_raw.push(("activity", f64::from(scene.motion)));
        }
        Ok(())
    }

    fn on_vision_features(&mut self, _: &mut Context, f: Arc<VisionFeatures>) -> HandlerResult {
        self.vision_raw.retain(|f| f.0 == "activity");
        self.vision_raw.push(("edge_density", f64::from(f.edge_density)));
        self.vision_raw.push(("texture", f64::from(f.texture_complexity)));
        self.vision_raw.push(("color_diversity", f64::from(f.color_diversity)));
        Ok(())
    }

    fn sound_in_map(&self, frame: &str, stamp: i64, direction: f32) -> Option<f64> {
        let frame = if frame.is_empty() { "base_link" } else { frame };
        let pose = self.tf.lookup("map", frame, Time::from_nanos(stamp)).or_else(|_| self.tf.latest("map", frame)).ok()?;
        bearing_in_map(&pose, f64::from(direction))
    }

    fn on_audio(&mut self, _: &mut Context, f: Arc<AudioFeatures>) -> HandlerResult {
        let stamp = ns(&f.header.stamp);
        let bearing = self.sound_in_map(&f.header.frame_id, stamp, f.direction);
        let speech = f64::from(f.speech_probability);
        let raw = [
            ("activity", speech),
            ("salience", f64::from(f.dbfs).clamp(-120.0, 20.0)),
            ("certainty", if bearing.is_some() { 1.0 } else { 0.0 }),
            ("pitch", f64::from(f.pitch)),
            ("spectral_centroid", f64::from(f.spectral_centroid)),
        ];
        let raw: Vec<(&str, f64)> = raw.into_iter().filter(|f| f.1.is_finite()).collect();
        // Silence is heard with certainty too, but it tells little.
        let token = Token::from_raw(Modality::Audio, &raw, 0.2 + 0.8 * speech.clamp(0.0, 1.0), stamp)?;
        self.tokens[1] = Some(token.with_bearing(bearing.unwrap_or(f64::NAN)));
        if let Some(b) = bearing.filter(|_| speech > 0.5) {
            self.sound = Some((b, stamp));
        }
        Ok(())
    }

    fn on_transcript(&mut self, _: &mut Context, t: Arc<Transcript>) -> HandlerResult {
        let stamp = ns(&t.header.stamp);
        let bearing = self.sound_in_map(&t.header.frame_id, stamp, t.direction);
        if let Some(b) = bearing {
            self.sound = Some((b, stamp));
        }
        self.heard.clone_from(&t.text);
        self.memory.mention(&t.text);
        let mentioned = self.memory.objects().iter().filter(|o| o.mentioned).count() as f64;
        let words = t.text.split_whitespace().count() as f64;
        let confidence = f64::from(t.confidence);
        let confidence = if confidence.is_finite() { confidence } else { 0.0 };
        let raw = [("activity", words), ("salience", mentioned / words.max(1.0)), ("certainty", confidence)];
        let token = Token::from_raw(Modality::Text, &raw, confidence, stamp)?;
        self.tokens[2] = Some(token.with_bearing(bearing.unwrap_or(f64::NAN)));
        Ok(())
    }

    fn on_joints(&mut self, ctx: &mut Context, joints: Arc<JointState>) -> HandlerResult {
        let at = |name: &str| joints.name.iter().position(|n| n == name).and_then(|i| joints.position.get(i)).copied();
        // Each finger tells how far it stands from the middle.
        if let (Some(left), Some(right)) = (at("finger_left_joint"), at("finger_right_joint")) {
            self.gripper.opening_m = Some(left.abs() + right.abs());
        }
        self.feel(ctx);
        Ok(())
    }

    fn on_contacts(&mut self, ctx: &mut Context, contacts: Arc<Contacts>) -> HandlerResult {
        let on = |zone: &str| contacts.contacts.iter().any(|c| c.zone == zone && c.pressed);
        self.gripper.left = on("finger_left");
        self.gripper.right = on("finger_right");
        let pressed = contacts.contacts.iter().filter(|c| c.pressed).count() as f64;
        self.pressed = pressed / (contacts.contacts.len().max(1)) as f64;
        self.feel(ctx);
        Ok(())
    }

    fn feel(&mut self, ctx: &mut Context) {
        let before = self.held.held();
        let held = self.held.update(self.gripper, ctx.now().as_secs_f64());
        let Ok(wrist) = self.tf.latest("map", "wrist") else { return };
        if held && !before {
            self.held_id = self.memory.nearest(wrist.translation, 0.30).map(|o| o.id);
        }
        if !held && before {
            self.memory.let_go();
            self.held_id = None;
        }
        if let Some(id) = self.held_id.filter(|_| held) {
            self.memory.hold(id, wrist.translation, ctx.now().as_nanos());
        }
    }

    fn on_odom(&mut self, _: &mut Context, odom: Arc<Odometry>) -> HandlerResult {
        let (v, w) = (odom.twist.twist.linear.x, odom.twist.twist.angular.z);
        if v.is_finite() && w.is_finite() {
            self.speed = v.abs().max(w.abs());
        }
        Ok(())
    }

    /// How sure the localisation is: sightings are placed no better than the robot itself.
    fn on_pose(&mut self, _: &mut Context, pose: Arc<PoseWithCovarianceStamped>) -> HandlerResult {
        let sigma = pose.pose.covariance[0].max(pose.pose.covariance[7]).sqrt();
        if sigma.is_finite() {
            self.pose_sigma = sigma;
        }
        Ok(())
    }

    fn on_scan(&mut self, _: &mut Context, scan: Arc<LaserScan>) -> HandlerResult {
        let near = scan.ranges.iter().filter(|r| r.is_finite()).fold(f32::INFINITY, |a, b| a.min(*b));
        self.nearest_scan = if near.is_finite() { f64::from(near) } else { 12.0 };
        Ok(())
    }

    fn body_token(&mut self, now: i64) -> HandlerResult {
        let raw = [
            ("activity", self.speed),
            ("salience", self.pressed),
            ("certainty", self.pose_sigma),
            ("proximity", self.nearest_scan),
            ("gripping", if self.held.held() { 1.0 } else { 0.0 }),
        ];
        self.tokens[3] = Some(Token::from_raw(Modality::Proprioception, &raw, 0.9, now)?);
        Ok(())
    }

    fn tell(&mut self, ctx: &mut Context) -> HandlerResult {
        let now = ctx.now();
        match self.last_sync {
            Some(at) if now.seconds_since(at) < 2.0 => {}
            Some(at) => ctx.status(Level::Stale, "sight", format!("no detections with depth for {:.1} s", now.seconds_since(at))),
            // The senses are given the same time to begin as to fall silent.
            None if now.as_secs_f64() < 2.0 => {}
            None => ctx.status(Level::Stale, "sight", "no detections with depth yet"),
        }
        self.body_token(now.as_nanos())?;
        let tokens: Vec<Token> = self.tokens.iter().flatten().cloned().collect();
        let strategy = Strategy::parse(&self.strategy.get()).unwrap_or(Strategy::Hybrid);
        let fused = fuse(&tokens, strategy, now.as_nanos(), &FuseSettings::default())?;
        let belief = self.belief(now, strategy, &fused);
        self.belief_out.publish(ctx, belief);
        let pairs = align(&tokens);
        let alignment = Alignment {
            header: convert::header("map", now.as_nanos()),
            pairs: pairs.iter().map(|p| p.pair.clone()).collect(),
            scores: pairs.iter().map(|p| p.score as f32).collect(),
            lags: pairs.iter().map(|p| p.lag_s as f32).collect(),
        };
        self.alignment_out.publish(ctx, alignment);
        Ok(())
    }

    fn belief(&self, now: Time, strategy: Strategy, fused: &Fused) -> Belief {
        let robot = self.tf.latest("map", "base_link").unwrap_or(Pose3::IDENTITY);
        let sigma2 = self.pose_sigma * self.pose_sigma;
        let covariance = [[sigma2, 0.0, 0.0], [0.0, sigma2, 0.0], [0.0, 0.0, sigma2]];
        let home = self.home.as_ref();
        let objects: Vec<BeliefObject> = self.memory.objects().iter().map(|o| self.object(o)).collect();
        let sure = objects.iter().filter(|o| o.confidence > 0.6).count();
        let robot_room = room_of(home, robot.translation);
        let place = if robot_room.is_empty() {
            "outside every room".to_owned()
        } else {
            format!("in the {}", robot_room.replace('_', " "))
        };
        let recent = self.sound.filter(|(_, at)| now.as_nanos() - at < 10_000_000_000);
        Belief {
            header: convert::header("map", now.as_nanos()),
            robot_pose: convert::pose_with_covariance(
                Pose2::new(robot.translation.x, robot.translation.y, robot.yaw()),
                &covariance,
            ),
            robot_room,
            obstacles_detected: self.nearest_scan < 0.5 || self.pressed > 0.0,
            gripping: self.held.held(),
            sound_direction: recent.map_or(f32::NAN, |(b, _)| b as f32),
            last_heard: self.heard.clone(),
            strategy: strategy.name().to_owned(),
            modalities: fused.weights.iter().map(|(m, _)| m.name().to_owned()).collect(),
            weights: fused.weights.iter().map(|(_, w)| *w as f32).collect(),
            confidence: fused.confidence as f32,
            interpretation: format!("{place}, {sure} of {} remembered objects are sure; {}", objects.len(), fused.interpretation),
            objects,
            provenance: Provenance {
                model: "omnimind-fusion, analytic (not trained)".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                device: "cpu".into(),
                ..Provenance::default()
            },
        }
    }

    fn object(&self, o: &Object) -> BeliefObject {
        let mut modalities = vec!["vision".to_owned()];
        if o.mentioned {
            modalities.push("text".to_owned());
        }
        if o.held {
            modalities.push("proprioception".to_owned());
        }
        BeliefObject {
            id: o.id,
            label: o.label().to_owned(),
            category: category::of(o.label()),
            position: convert::point(o.position),
            position_sigma: o.variance.sqrt() as f32,
            size: convert::vector(o.size),
            confidence: o.confidence() as f32,
            sightings: o.sightings(),
            last_seen: Time::from_nanos(o.last_seen_ns).to_msg(),
            room: room_of(self.home.as_ref(), o.position),
            held: o.held,
            modalities,
        }
    }

    fn on_query(&mut self, _: &mut Context, request: FusionQueryRequest) -> Result<FusionQueryResponse, NodeError> {
        for name in &request.modalities {
            if Modality::parse(name).is_none() {
                return Err(NodeError::new(format!("'{name}' is no modality; there are vision, audio, text, proprioception")));
            }
        }
        let rooms: Vec<String> = self
            .memory
            .objects()
            .iter()
            .map(|o| {
                let point = DVec3::new(o.position.x, o.position.y, 0.0);
                self.home.as_ref().and_then(|h| h.room_at(point.truncate())).map_or_else(String::new, |r| r.label.clone())
            })
            .collect();
        let candidates: Vec<Candidate<'_>> = self
            .memory
            .objects()
            .iter()
            .zip(&rooms)
            .filter(|(o, _)| {
                request.modalities.is_empty()
                    || request.modalities.iter().any(|m| match m.as_str() {
                        "vision" => true,
                        "text" => o.mentioned,
                        "proprioception" => o.held,
                        _ => false,
                    })
            })
            .map(|(object, room)| Candidate { object, room })
            .collect();
        let most = if request.max_results == 0 { 10 } else { request.max_results as usize };
        let found = query::query(&request.query, &candidates, most);
        Ok(FusionQueryResponse {
            matches: found.iter().filter_map(|m| self.memory.get(m.id)).map(|o| self.object(o)).collect(),
            similarity: found.iter().map(|m| m.similarity as f32).collect(),
            reasons: found.iter().map(|m| m.reason.clone()).collect(),
        })
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
