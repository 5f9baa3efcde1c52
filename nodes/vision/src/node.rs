//! The vision node: pictures in, detections, scene and features out.

use std::sync::Arc;
use std::time::Duration;

use graph::snapshot::{Blob, Cdr, pack, unpack};
use graph::{
    Context, FreezeError, HandlerResult, Level, Node, NodeError, Param, Publisher, Qos, QosEvent, QosEventKind, Reliability,
    Setup, SetupError, Side, Time,
};
use image::RgbImage;
use models::{Broker, Priority};
use msgs::diagnostic_msgs::msg::KeyValue;
use msgs::omnimind_msgs::msg::{DetectedObject as ObjectMsg, ImageColor, Provenance, SceneAnalysis, VisionFeatures};
use msgs::omnimind_msgs::srv::{CompareImages, CompareImagesRequest, CompareImagesResponse};
use msgs::sensor_msgs::msg::{CameraInfo, Image};
use msgs::vision_msgs::msg::{
    BoundingBox2D, Detection2D, Detection2DArray, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose, Point2D, Pose2D,
    VisionInfo,
};
use spatial::depth::{DepthLimits, pixel_bytes};

use crate::analyse::{Analyser, AnalyserConfig, Analysis, Classification, Detections, Origin, STATISTICS};
use crate::depth::{Eye, Pair, Pairing, in_space};
use crate::detect::{DetectedObject, DetectorSettings};
use crate::features::{ImageFeatures, features_of_look};
use crate::frame::{FrameError, frame_id, rgb_from_raw};
use crate::gray::GrayF;
use crate::motion::MotionFrame;
use crate::node_search::Searching;
use crate::node_video::Watching;
use crate::track::{BYTETRACK, Tracker, TrackerSettings};

/// Without a picture for so long, the node says so.
const STALE_S: f64 = 2.0;
/// A frame may come so much before its time.
const JITTER_S: f64 = 0.0105;

/// The pictures.
const PICTURES: &str = "camera/image_raw";
/// Only the newest picture waits while one is looked at; those that it pushes out are counted.
const NEWEST: Qos = Qos { reliability: Reliability::BestEffort, ..Qos::reliable(1) };
/// So many detections, weak ones among them, are shown to the tracker.
const TRACKED_OBJECTS: usize = 100;

/// Looks at `camera/image_raw`: publishes `vision/detections` at up to `detect_rate_hz`, with the number of each object's track as `id`,
/// `vision/detections_3d` if `camera/depth/image_raw` and `camera/camera_info` come too, `vision/scene` and `vision/features` at up to
/// `features_rate_hz`, tells who detects on `vision/vision_info`, and serves `vision/compare_images`.
pub struct Vision {
    detect_rate: Param<f64>,
    features_rate: Param<f64>,
    threshold: Param<f64>,
    max_objects: Param<i64>,
    track: Param<bool>,
    track_buffer: Param<f64>,
    track_low: Param<f64>,
    track_birth: Param<f64>,
    depth_range: Param<f64>,
    depth_sync: Param<f64>,
    rectified: Param<bool>,
    pub(crate) report_time: Param<bool>,
    config: AnalyserConfig,
    pub(crate) analyser: Option<Analyser>,
    pub(crate) searching: Searching,
    pub(crate) watching: Watching,
    detections: Publisher<Detection2DArray>,
    detections_3d: Publisher<Detection3DArray>,
    scene: Publisher<SceneAnalysis>,
    features: Publisher<VisionFeatures>,
    info: Publisher<VisionInfo>,
    /// Where pictures come from, by its full name.
    pictures: String,
    last_frame: Option<Time>,
    detect_pace: Pace,
    features_pace: Pace,
    previous: Option<MotionFrame>,
    tracker: Tracker,
    /// As it was heard, and what it means.
    camera: Option<(Arc<CameraInfo>, Eye)>,
    pairing: Pairing,
    frames: u64,
    rejected: u64,
    dropped: u64,
    placed: u64,
    without_depth: u64,
}

impl Node for Vision {
    const NAME: &'static str = "vision";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let detect_rate =
            s.param("detect_rate_hz", 5.0).unit("Hz").range(0.1, 60.0).describe("detections per second at most").declare()?;
        let features_rate = s
            .param("features_rate_hz", 1.0)
            .unit("Hz")
            .range(0.1, 60.0)
            .describe("scene analyses and feature vectors per second at most")
            .declare()?;
        let threshold = s
            .param("confidence_threshold", 0.5)
            .range(0.0, 1.0)
            .describe("objects below this confidence are dropped")
            .declare()?;
        let max_objects = s.param("max_objects", 20_i64).range(1.0, 100.0).describe("objects per picture at most").declare()?;
        let t = TrackerSettings::default();
        let track =
            s.param("track", true).describe("follow objects over time: `id` of a detection is its track's number").declare()?;
        let track_buffer = s
            .param("track_buffer_s", t.buffer_s)
            .unit("s")
            .range(0.0, 60.0)
            .describe("an object that is not seen for so long is forgotten")
            .declare()?;
        let track_low = s
            // The tracker's own default, which is not a round number in double precision.
            .param("track_low_score", (f64::from(t.low_score) * 1e6).round() / 1e6)
            .range(0.0, 1.0)
            .describe("detections between this and confidence_threshold keep a track alive; they are not published")
            .declare()?;
        let track_birth = s
            .param("track_birth_margin", f64::from(t.birth_margin))
            .range(0.0, 1.0)
            .describe("so much more than confidence_threshold is needed to begin a track")
            .declare()?;
        let depth_range = s
            .param("depth_range_m", DepthLimits::default().max_m)
            .unit("m")
            .range(0.2, 100.0)
            .describe("farther depth is no measurement")
            .declare()?;
        let depth_sync = s
            .param("depth_sync_s", 0.05)
            .unit("s")
            .range(0.0, 1.0)
            .describe("largest difference of the stamps of a picture and its depth image")
            .declare()?;
        let rectified = s
            .param("rectified", false)
            .describe(
                "pictures and depth are straightened (camera/image_rect): camera_info's P counts for distances, not its lens",
            )
            .read_only()
            .declare()?;
        let model = s
            .param("model", "nanodet_g_416".to_owned())
            .describe("detector, by its name in the model catalogue; empty for none")
            .read_only()
            .declare()?;
        let scene_model = s
            .param("scene_model", "efficientnet_lite0".to_owned())
            .describe("classifier for scene and embedding; empty for none")
            .read_only()
            .declare()?;
        let place_model = s
            .param("place_model", String::new())
            .describe("scene network (decoder `places` or `clip`); empty for the rule over classifier and detector")
            .read_only()
            .declare()?;
        let threads =
            s.param("inference_threads", 1_i64).range(1.0, 64.0).describe("threads within one network").read_only().declare()?;
        let report_time = s
            .param("report_inference_time", true)
            .describe("fill in provenance.inference_ms; off where runs must agree byte for byte")
            .declare()?;
        let config = AnalyserConfig {
            detector: model.get(),
            classifier: scene_model.get(),
            places: place_model.get(),
            threads: usize::try_from(threads.get()).unwrap_or(1),
            priority: Priority::MISSION,
            // What `vision/get_analysis` can ask for.
            cache_size: 256,
            ..AnalyserConfig::default()
        };
        let searching = Searching::declare(s, config.threads)?;
        let watching = Watching::declare(s)?;
        let detections = s.publisher("vision/detections", Qos::reliable(5))?;
        let detections_3d = s.publisher("vision/detections_3d", Qos::reliable(5))?;
        let scene = s.publisher("vision/scene", Qos::reliable(5))?;
        let features = s.publisher("vision/features", Qos::reliable(5))?;
        let info = s.publisher("vision/vision_info", Qos::latched(1))?;
        let pictures = s.full_topic(PICTURES)?;
        s.on_qos_event(Self::on_event)?;
        s.subscribe(PICTURES, NEWEST, Self::on_image)?;
        s.subscribe("camera/depth/image_raw", Qos::sensor_data(), Self::on_depth)?;
        s.subscribe("camera/camera_info", Qos::sensor_data(), Self::on_camera)?;
        s.service::<CompareImages>("vision/compare_images", Self::compare)?;
        s.timer(Duration::from_secs(1), Self::watch)?;
        Ok(Self {
            detect_rate,
            features_rate,
            threshold,
            max_objects,
            track,
            track_buffer,
            track_low,
            track_birth,
            depth_range,
            depth_sync,
            rectified,
            report_time,
            config,
            analyser: None,
            searching,
            watching,
            detections,
            detections_3d,
            scene,
            features,
            info,
            pictures,
            last_frame: None,
            detect_pace: Pace::default(),
            features_pace: Pace::default(),
            previous: None,
            tracker: Tracker::new(),
            camera: None,
            pairing: Pairing::default(),
            frames: 0,
            rejected: 0,
            dropped: 0,
            placed: 0,
            without_depth: 0,
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.load(ctx)?;
        let message = self.vision_info(ctx.now());
        self.info.publish(ctx, message);
        Ok(())
    }

    /// Networks and what they keep for themselves are no state: each picture is looked at alone. Which of them were there is.
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let problems = self.analyser.as_ref().map(Analyser::problems);
        let previous = self.previous.as_ref().map(MotionFrame::parts);
        let previous = previous.map(|(width, height, levels)| (width, height, Blob(levels.to_vec())));
        let memory = &self.searching.index;
        let (depths, waiting, alone) = self.pairing.parts();
        let depths: Vec<_> = depths.into_iter().map(Cdr).collect();
        let waiting: Vec<_> = waiting.into_iter().map(|(array, size, came)| (Cdr(array), size, came)).collect();
        let camera = self.camera.as_ref().map(|(info, _)| Cdr(Arc::clone(info)));
        pack(&(
            (problems, self.last_frame, self.detect_pace.next, self.features_pace.next, previous),
            (&self.tracker, camera, depths, waiting, alone),
            (self.frames, self.rejected, self.dropped, self.placed, self.without_depth),
            memory,
        ))
    }

    fn thaw(&mut self, ctx: &mut Context, state: &[u8]) -> HandlerResult {
        // What was told at the start is kept by its topic.
        self.load(ctx)?;
        let settings = self.settings();
        if let Some(analyser) = &mut self.analyser {
            analyser.set_settings(settings);
        }
        let problems: Option<Vec<String>>;
        let previous: Option<(usize, usize, Blob)>;
        let camera: Option<Cdr<CameraInfo>>;
        let (depths, waiting, alone): (Vec<Cdr<Image>>, Vec<(Cdr<Detection2DArray>, (u32, u32), i64)>, u64);
        (
            (problems, self.last_frame, self.detect_pace.next, self.features_pace.next, previous),
            (self.tracker, camera, depths, waiting, alone),
            (self.frames, self.rejected, self.dropped, self.placed, self.without_depth),
            self.searching.index,
        ) = unpack(state)?;
        if let Some(Cdr(info)) = camera {
            let eye = Eye::of(&info, self.rectified.get()).map_err(|e| NodeError::new(e.to_string()))?;
            self.camera = Some((info, eye));
        }
        let waiting = waiting.into_iter().map(|(array, size, came)| (array.0, size, came)).collect();
        self.pairing = Pairing::from_parts((depths.into_iter().map(|depth| depth.0).collect(), waiting, alone));
        let now = self.analyser.as_ref().map(Analyser::problems);
        if problems != now {
            let text = |problems: Option<Vec<String>>| match problems.unwrap_or_default() {
                none if none.is_empty() => "all networks".to_owned(),
                some => some.join("; "),
            };
            return Err(NodeError::new(format!("it had {}, and has {}", text(problems), text(now))));
        }
        self.previous = match previous {
            None => None,
            Some((width, height, levels)) => {
                let frame = MotionFrame::from_parts(width, height, levels.0);
                Some(frame.ok_or_else(|| NodeError::new("its last picture has another size than it says"))?)
            }
        };
        Ok(())
    }
}

impl Vision {
    /// Loads the networks.
    fn load(&mut self, ctx: &mut Context) -> HandlerResult {
        let analyser = Analyser::new(Broker::shared()?, self.config.clone());
        let problems = analyser.problems();
        if problems.is_empty() {
            ctx.status(Level::Ok, "models", format!("{} and {} are loaded", self.config.detector, self.config.classifier));
        } else {
            let level = if analyser.can_detect() { Level::Warn } else { Level::Error };
            ctx.status(level, "models", format!("degraded: {}", problems.join("; ")));
        }
        self.analyser = Some(analyser);
        Ok(())
    }

    /// Who detects, and what the classes' names are. Whoever comes later hears it, too.
    fn vision_info(&self, now: Time) -> VisionInfo {
        let mut message = VisionInfo::default();
        message.header.stamp = now.to_msg();
        match self.analyser.as_ref().and_then(Analyser::detector) {
            Some((model, version, labels)) => {
                message.method = format!("{model} {version}");
                if self.track.get() {
                    message.method += &format!(", followed by {} {}", BYTETRACK.0, BYTETRACK.1);
                }
                message.database_location = format!(
                    "none is needed: class_id is the label itself, one of the {labels} labels of the model catalogue's entry `{}`",
                    self.config.detector
                );
            }
            None => message.method = "none: there is no detector".to_owned(),
        }
        message
    }

    /// What is kept of the detector's output, by the parameters.
    pub(crate) fn settings(&self) -> DetectorSettings {
        DetectorSettings {
            confidence_threshold: self.threshold.get() as f32,
            max_objects: usize::try_from(self.max_objects.get()).unwrap_or(1),
            ..DetectorSettings::default()
        }
    }

    fn on_image(&mut self, ctx: &mut Context, message: Arc<Image>) -> HandlerResult {
        let now = ctx.now();
        self.last_frame = Some(now);
        self.frames += 1;
        let detect = self.detect_pace.due(now);
        let features = self.features_pace.due(now);
        if !detect && !features {
            return Ok(());
        }
        let image = match rgb_of(&message) {
            Ok(image) => image,
            Err(error) => {
                self.rejected += 1;
                ctx.status(
                    Level::Error,
                    "frames",
                    format!("{} of {} frames refused; the last: {error}", self.rejected, self.frames),
                );
                return Ok(());
            }
        };
        let (frames, rejected, dropped) = (self.frames, self.rejected, self.dropped);
        ctx.status(
            Level::Ok,
            "frames",
            format!("{frames} frames, {rejected} refused, {dropped} dropped while one was looked at"),
        );
        // Its time is taken even if a network fails: the next try is not made before the next is due.
        if detect {
            self.detect_pace.taken(now, self.detect_rate.get());
        }
        if features {
            self.features_pace.taken(now, self.features_rate.get());
        }
        let report_time = self.report_time.get();
        let settings = self.settings();
        let follow = self.track.get().then(|| self.tracker_settings());
        // The tracker is shown weak detections, too; they are never published.
        let shown = follow.map_or(settings, |f| DetectorSettings {
            confidence_threshold: f.low_score.min(settings.confidence_threshold),
            max_objects: settings.max_objects.max(TRACKED_OBJECTS),
            ..settings
        });
        let sync_ns = self.sync_ns();
        let mut overdue = None;
        let Some(analyser) = &mut self.analyser else { return Ok(()) };
        analyser.set_settings(settings);
        let mut seen = analyser.detect_with(&image, &shown)?;
        if let (Some(seen), Some(follow)) = (&mut seen, follow) {
            let stamp_ns = Time::from_msg(&message.header.stamp).as_nanos();
            self.tracker.follow(&follow, stamp_ns, message.width, message.height, &mut seen.objects);
            seen.objects.retain(|o| o.confidence >= settings.confidence_threshold);
            seen.objects.truncate(settings.max_objects);
            seen.origin = std::mem::take(&mut seen.origin).and(&Origin::algorithm(BYTETRACK));
        }
        if detect {
            // Without a detector an empty list would say that nothing is there.
            if let Some(seen) = &seen {
                let array = detections_msg(&message, seen);
                if self.camera.is_some() {
                    let size = (message.width, message.height);
                    overdue = self.pairing.detections(now.as_nanos(), Arc::new(array.clone()), size, sync_ns);
                }
                self.detections.publish(ctx, array);
            }
        }
        if features {
            let opinion = analyser.classify(&image)?;
            let look = GrayF::look(&image);
            let numbers = features_of_look(&image, &look);
            let analysis = analyser.compose(&image, &look, frame_id(&image), seen.as_ref(), opinion.as_ref(), &numbers);
            let frame = MotionFrame::new(&look);
            let motion = self.previous.as_ref().and_then(|before| frame.since(before));
            tell_scene(ctx, analyser);
            self.previous = Some(frame);
            self.searching.remember(ctx, &message, &image, &analysis, opinion.as_ref());
            self.scene.publish(ctx, scene_msg(&message, &analysis, motion, report_time));
            self.features.publish(ctx, features_msg(&message, &numbers, opinion.as_ref(), report_time));
        }
        if let Some(pair) = overdue {
            self.place_pair(ctx, &pair);
        }
        self.place(ctx);
        Ok(())
    }

    fn tracker_settings(&self) -> TrackerSettings {
        TrackerSettings {
            high_score: self.threshold.get() as f32,
            low_score: self.track_low.get() as f32,
            birth_margin: self.track_birth.get() as f32,
            buffer_s: self.track_buffer.get(),
            ..TrackerSettings::default()
        }
    }

    /// Pictures that came while one was looked at and were overtaken by a newer one.
    fn on_event(&mut self, _: &mut Context, event: &QosEvent) -> HandlerResult {
        if let QosEventKind::MessageLost { change, .. } = event.kind {
            if event.side == Side::Subscription && *event.topic == *self.pictures {
                self.dropped += change;
            }
        }
        Ok(())
    }

    fn on_camera(&mut self, ctx: &mut Context, info: Arc<CameraInfo>) -> HandlerResult {
        match Eye::of(&info, self.rectified.get()) {
            Ok(eye) => self.camera = Some((info, eye)),
            Err(error) => {
                self.camera = None;
                ctx.status(Level::Error, "depth", error.to_string());
            }
        }
        Ok(())
    }

    fn on_depth(&mut self, ctx: &mut Context, image: Arc<Image>) -> HandlerResult {
        if let Err(error) = pixel_bytes(&image.encoding) {
            ctx.status(Level::Error, "depth", error.to_string());
            return Ok(());
        }
        self.pairing.depth(image);
        self.place(ctx);
        Ok(())
    }

    /// Largest difference of the stamps of a picture and its depth image.
    fn sync_ns(&self) -> i64 {
        (self.depth_sync.get() * 1e9) as i64
    }

    /// Gives distances to detections whose depth image is there.
    fn place(&mut self, ctx: &mut Context) {
        let now = ctx.now().as_nanos();
        while let Some(pair) = self.pairing.next(now, self.sync_ns()) {
            self.place_pair(ctx, &pair);
        }
    }

    fn place_pair(&mut self, ctx: &mut Context, (detections, size, depth): &Pair) {
        let Some((_, eye)) = &self.camera else { return };
        let limits = DepthLimits { max_m: self.depth_range.get(), ..DepthLimits::default() };
        match in_space(detections, *size, eye, depth, &limits) {
            Ok((array, missing)) => {
                self.placed += array.detections.len() as u64;
                self.without_depth += missing as u64;
                let (placed, without, alone) = (self.placed, self.without_depth, self.pairing.alone);
                let text = format!(
                    "{placed} detections have a distance, {without} had no depth in their box, {alone} pictures no depth image"
                );
                ctx.status(Level::Ok, "depth", text);
                self.detections_3d.publish(ctx, array);
            }
            Err(error) => ctx.status(Level::Error, "depth", error.to_string()),
        }
    }

    fn compare(&mut self, _ctx: &mut Context, request: CompareImagesRequest) -> Result<CompareImagesResponse, NodeError> {
        let refuse = |message: String| Ok(CompareImagesResponse { success: false, message, ..Default::default() });
        let (a, b) = match (rgb_of(&request.a), rgb_of(&request.b)) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(error), _) => return refuse(format!("picture a: {error}")),
            (_, Err(error)) => return refuse(format!("picture b: {error}")),
        };
        let Some(analyser) = &self.analyser else { return refuse("the node has not started".to_owned()) };
        let (similarity, origin) = analyser.compare(&a, &b)?;
        let message = match similarity.embedding {
            Some(e) => format!(
                "embedding {e:.2}, structure {:.2}, hashes {:.2} and {:.2}",
                similarity.ssim, similarity.dhash, similarity.phash
            ),
            None => format!(
                "structure {:.2}, hashes {:.2} and {:.2}; no embedding model",
                similarity.ssim, similarity.dhash, similarity.phash
            ),
        };
        Ok(CompareImagesResponse {
            success: true,
            message,
            similarity: similarity.score,
            provenance: provenance(&origin, self.report_time.get()),
        })
    }

    fn watch(&mut self, ctx: &mut Context) -> HandlerResult {
        // Depth that has ended: what still waits takes what there is.
        self.place(ctx);
        let silent_s = self.last_frame.map(|t| ctx.now().seconds_since(t));
        match silent_s {
            Some(s) if s <= STALE_S => ctx.status(Level::Ok, "input", "pictures arrive"),
            Some(s) => ctx.status(Level::Stale, "input", format!("no picture on camera/image_raw for {s:.1} s")),
            None => ctx.status(Level::Stale, "input", "no picture on camera/image_raw yet"),
        }
        Ok(())
    }
}

/// Keeps a rate over frames that come when they come.
#[derive(Debug, Default)]
struct Pace {
    next: Option<Time>,
}

impl Pace {
    /// Whether it is time for the next. Frames that jitter by 10 ms around the rate are all taken, and on average no more
    /// are taken than the rate says.
    fn due(&self, now: Time) -> bool {
        self.next.is_none_or(|next| next.seconds_since(now) <= JITTER_S)
    }

    /// Takes one now: the next is due a period after this one was, or after now if frames were missing.
    fn taken(&mut self, now: Time, rate_hz: f64) {
        let period = Duration::from_secs_f64(1.0 / rate_hz);
        let on_time = self.next.filter(|next| now.seconds_since(*next) < period.as_secs_f64()).unwrap_or(now);
        self.next = Some(on_time + period);
    }
}

pub(crate) fn rgb_of(message: &Image) -> Result<RgbImage, FrameError> {
    rgb_from_raw(message.width, message.height, message.step, &message.encoding, &message.data)
}

pub(crate) fn provenance(origin: &Origin, report_time: bool) -> Provenance {
    Provenance {
        model: origin.model.clone(),
        version: origin.version.clone(),
        device: origin.device.clone(),
        inference_ms: if report_time { origin.inference_ms } else { 0.0 },
        simulated: false,
        degraded: origin.degraded,
    }
}

/// Says why the scene network gave nothing, if there is one and it did not.
pub(crate) fn tell_scene(ctx: &mut Context, analyser: &Analyser) {
    match (analyser.trouble(), analyser.has_places()) {
        (Some(why), _) => ctx.status(Level::Warn, "scene", format!("the rule tells the scene, not the network: {why}")),
        (None, true) => ctx.status(Level::Ok, "scene", "the scene network answers"),
        (None, false) => {}
    }
}

fn detections_msg(image: &Image, seen: &Detections) -> Detection2DArray {
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    let detection = |object: &DetectedObject| {
        let (x, y) = object.bounding_box.center();
        Detection2D {
            header: image.header.clone(),
            results: vec![ObjectHypothesisWithPose {
                hypothesis: ObjectHypothesis { class_id: object.label.to_string(), score: f64::from(object.confidence) },
                ..Default::default()
            }],
            bbox: BoundingBox2D {
                center: Pose2D { position: Point2D { x: f64::from(x) * width, y: f64::from(y) * height }, theta: 0.0 },
                size_x: f64::from(object.bounding_box.width) * width,
                size_y: f64::from(object.bounding_box.height) * height,
            },
            id: object.track.map(|n| n.to_string()).unwrap_or_default(),
        }
    };
    Detection2DArray { header: image.header.clone(), detections: seen.objects.iter().map(detection).collect() }
}

/// Without a picture before it the motion is not known.
pub(crate) fn scene_msg(image: &Image, analysis: &Analysis, motion: Option<f32>, report_time: bool) -> SceneAnalysis {
    let object = |o: &DetectedObject| ObjectMsg {
        category: o.category as u8,
        label: o.label.to_string(),
        confidence: o.confidence,
        x: o.bounding_box.x,
        y: o.bounding_box.y,
        width: o.bounding_box.width,
        height: o.bounding_box.height,
        attributes: o.track.map(|n| KeyValue { key: "track".into(), value: n.to_string() }).into_iter().collect(),
    };
    SceneAnalysis {
        header: image.header.clone(),
        image_id: analysis.image_id.clone(),
        scene_type: analysis.scene as u8,
        scene_confidence: analysis.scene_confidence,
        objects: analysis.objects.iter().map(object).collect(),
        dominant_colors: analysis
            .dominant_colors
            .iter()
            .map(|c| ImageColor { r: c.rgb[0], g: c.rgb[1], b: c.rgb[2], share: c.share })
            .collect(),
        lighting: analysis.lighting as u8,
        complexity: analysis.complexity,
        motion: motion.unwrap_or(f32::NAN),
        perceptual_hash: format!("{:016x}", analysis.image_hash),
        description: analysis.description.clone(),
        provenance: provenance(&analysis.origin, report_time),
    }
}

pub(crate) fn features_msg(
    image: &Image,
    numbers: &ImageFeatures,
    opinion: Option<&Classification>,
    report_time: bool,
) -> VisionFeatures {
    let mut origin = Origin::algorithm(STATISTICS);
    if let Some(opinion) = opinion {
        origin.model = format!("{}+{}", opinion.origin.model, origin.model);
        origin.version = format!("{}+{}", opinion.origin.version, origin.version);
        origin.device.clone_from(&opinion.origin.device);
        origin.inference_ms = opinion.origin.inference_ms;
    }
    origin.degraded = opinion.is_none();
    VisionFeatures {
        header: image.header.clone(),
        edge_density: numbers.edge_density,
        texture_complexity: numbers.texture_complexity,
        texture_glcm: numbers.texture_glcm,
        color_diversity: numbers.color_diversity,
        symmetry: numbers.symmetry,
        layout_top: numbers.layout.top,
        layout_bottom: numbers.layout.bottom,
        layout_left: numbers.layout.left,
        layout_right: numbers.layout.right,
        layout_center: numbers.layout.center,
        embedding: opinion.map(|o| o.embedding.clone()).unwrap_or_default(),
        provenance: provenance(&origin, report_time),
    }
}
