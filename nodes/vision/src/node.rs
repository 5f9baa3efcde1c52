//! The vision node: pictures in, detections, scene and features out.

use std::sync::Arc;
use std::time::Duration;

use graph::snapshot::{Blob, pack, unpack};
use graph::{Context, FreezeError, HandlerResult, Level, Node, NodeError, Param, Publisher, Qos, Setup, SetupError, Time};
use image::RgbImage;
use models::{Broker, Priority};
use msgs::omnimind_msgs::msg::{DetectedObject as ObjectMsg, ImageColor, Provenance, SceneAnalysis, VisionFeatures};
use msgs::omnimind_msgs::srv::{CompareImages, CompareImagesRequest, CompareImagesResponse};
use msgs::sensor_msgs::msg::Image;
use msgs::vision_msgs::msg::{
    BoundingBox2D, Detection2D, Detection2DArray, ObjectHypothesis, ObjectHypothesisWithPose, Point2D, Pose2D,
};

use crate::analyse::{Analyser, AnalyserConfig, Analysis, Classification, Detections, Origin, STATISTICS};
use crate::detect::{DetectedObject, DetectorSettings};
use crate::features::{ImageFeatures, features_of_look};
use crate::frame::{FrameError, frame_id, rgb_from_raw};
use crate::gray::GrayF;
use crate::motion::MotionFrame;

/// Without a picture for so long, the node says so.
const STALE_S: f64 = 2.0;
/// A frame may come so much before its time.
const JITTER_S: f64 = 0.0105;

/// Looks at `camera/image_raw`: publishes `vision/detections` at up to `detect_rate_hz`, `vision/scene` and
/// `vision/features` at up to `features_rate_hz`, and serves `vision/compare_images`.
pub struct Vision {
    detect_rate: Param<f64>,
    features_rate: Param<f64>,
    threshold: Param<f64>,
    max_objects: Param<i64>,
    report_time: Param<bool>,
    config: AnalyserConfig,
    analyser: Option<Analyser>,
    detections: Publisher<Detection2DArray>,
    scene: Publisher<SceneAnalysis>,
    features: Publisher<VisionFeatures>,
    last_frame: Option<Time>,
    detect_pace: Pace,
    features_pace: Pace,
    previous: Option<MotionFrame>,
    frames: u64,
    rejected: u64,
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
        let threads =
            s.param("inference_threads", 1_i64).range(1.0, 64.0).describe("threads within one network").read_only().declare()?;
        let report_time = s
            .param("report_inference_time", true)
            .describe("fill in provenance.inference_ms; off where runs must agree byte for byte")
            .declare()?;
        let config = AnalyserConfig {
            detector: model.get(),
            classifier: scene_model.get(),
            threads: usize::try_from(threads.get()).unwrap_or(1),
            priority: Priority::MISSION,
            // The detector's results change with parameters; the node looks at each picture once.
            cache_size: 16,
            ..AnalyserConfig::default()
        };
        let detections = s.publisher("vision/detections", Qos::reliable(5))?;
        let scene = s.publisher("vision/scene", Qos::reliable(5))?;
        let features = s.publisher("vision/features", Qos::reliable(5))?;
        s.subscribe("camera/image_raw", Qos::sensor_data(), Self::on_image)?;
        s.service::<CompareImages>("vision/compare_images", Self::compare)?;
        s.timer(Duration::from_secs(1), Self::watch)?;
        Ok(Self {
            detect_rate,
            features_rate,
            threshold,
            max_objects,
            report_time,
            config,
            analyser: None,
            detections,
            scene,
            features,
            last_frame: None,
            detect_pace: Pace::default(),
            features_pace: Pace::default(),
            previous: None,
            frames: 0,
            rejected: 0,
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
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

    /// Networks and what they keep for themselves are no state: each picture is looked at alone. Which of them were there is.
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let problems = self.analyser.as_ref().map(Analyser::problems);
        let previous = self.previous.as_ref().map(MotionFrame::parts);
        let previous = previous.map(|(width, height, levels)| (width, height, Blob(levels.to_vec())));
        pack(&(problems, self.last_frame, self.detect_pace.next, self.features_pace.next, previous, self.frames, self.rejected))
    }

    fn thaw(&mut self, ctx: &mut Context, state: &[u8]) -> HandlerResult {
        self.start(ctx)?;
        let problems: Option<Vec<String>>;
        let previous: Option<(usize, usize, Blob)>;
        (problems, self.last_frame, self.detect_pace.next, self.features_pace.next, previous, self.frames, self.rejected) =
            unpack(state)?;
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
        ctx.status(Level::Ok, "frames", format!("{} frames, {} refused", self.frames, self.rejected));
        let report_time = self.report_time.get();
        let settings = DetectorSettings {
            confidence_threshold: self.threshold.get() as f32,
            max_objects: usize::try_from(self.max_objects.get()).unwrap_or(1),
            ..DetectorSettings::default()
        };
        let Some(analyser) = &mut self.analyser else { return Ok(()) };
        analyser.set_settings(settings);
        let seen = analyser.detect(&image)?;
        if detect {
            self.detect_pace.taken(now, self.detect_rate.get());
            // Without a detector an empty list would say that nothing is there.
            if let Some(seen) = &seen {
                self.detections.publish(ctx, detections_msg(&message, seen));
            }
        }
        if features {
            self.features_pace.taken(now, self.features_rate.get());
            let opinion = analyser.classify(&image)?;
            let look = GrayF::look(&image);
            let numbers = features_of_look(&image, &look);
            let analysis = analyser.compose(&image, &look, frame_id(&image), seen.as_ref(), opinion.as_ref(), &numbers);
            let frame = MotionFrame::new(&look);
            let motion = self.previous.as_ref().and_then(|before| frame.since(before)).unwrap_or(0.0);
            self.previous = Some(frame);
            self.scene.publish(ctx, scene_msg(&message, &analysis, motion, report_time));
            self.features.publish(ctx, features_msg(&message, &numbers, opinion.as_ref(), report_time));
        }
        Ok(())
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

fn rgb_of(message: &Image) -> Result<RgbImage, FrameError> {
    rgb_from_raw(message.width, message.height, message.step, &message.encoding, &message.data)
}

fn provenance(origin: &Origin, report_time: bool) -> Provenance {
    Provenance {
        model: origin.model.clone(),
        version: origin.version.clone(),
        device: origin.device.clone(),
        inference_ms: if report_time { origin.inference_ms } else { 0.0 },
        simulated: false,
        degraded: origin.degraded,
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
            id: String::new(),
        }
    };
    Detection2DArray { header: image.header.clone(), detections: seen.objects.iter().map(detection).collect() }
}

fn scene_msg(image: &Image, analysis: &Analysis, motion: f32, report_time: bool) -> SceneAnalysis {
    let object = |o: &DetectedObject| ObjectMsg {
        category: o.category as u8,
        label: o.label.to_string(),
        confidence: o.confidence,
        x: o.bounding_box.x,
        y: o.bounding_box.y,
        width: o.bounding_box.width,
        height: o.bounding_box.height,
        attributes: Vec::new(),
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
        motion,
        description: analysis.description.clone(),
        provenance: provenance(&analysis.origin, report_time),
    }
}

fn features_msg(image: &Image, numbers: &ImageFeatures, opinion: Option<&Classification>, report_time: bool) -> VisionFeatures {
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
