//! The vision node's services: looking at one picture on request, keypoints, and the memory of what was seen.

use graph::{Context, Level, NodeError, Param, Setup, SetupError};
use image::RgbImage;
use models::{Broker, Priority};
use msgs::builtin_interfaces::msg::Time as TimeMsg;
use msgs::omnimind_msgs::msg::{ImageMatch, KeypointMatch as MatchMsg};
use msgs::omnimind_msgs::srv::{
    AnalyzeImage, AnalyzeImageRequest, AnalyzeImageResponse, ExtractFeatures, ExtractFeaturesRequest, ExtractFeaturesResponse,
    GetAnalysis, GetAnalysisRequest, GetAnalysisResponse, MatchKeypoints, MatchKeypointsRequest, MatchKeypointsResponse,
    SearchImages, SearchImagesRequest, SearchImagesResponse,
};
use msgs::sensor_msgs::msg::{CompressedImage, Image};
use msgs::std_msgs::msg::Header;
use msgs::std_srvs::srv::{Trigger, TriggerRequest, TriggerResponse};

use crate::analyse::{Analyser, Analysis, Classification, Kept, Origin};
use crate::features::features_of_look;
use crate::frame::{FrameError, decode, image_id};
use crate::gray::GrayF;
use crate::keypoints::{KeypointDetector, KeypointSettings, MIN_COSINE, matches};
use crate::node::{Vision, features_msg, provenance, rgb_of, scene_msg, tell_scene};
use crate::pair::ImageTextPair;
use crate::search::{Hit, ImageIndex, View, labels};
use crate::text::TextEncoder;

/// Answers to a search if the caller does not say, and at most.
const RESULTS: u32 = 10;
const MOST_RESULTS: u32 = 1000;
/// Keypoints of a picture at most.
const MOST_KEYPOINTS: u32 = 16_384;
/// Name and version of the search, for the provenance.
const BY_PICTURE: (&str, &str) = ("embedding-search", "1");
const BY_LABELS: (&str, &str) = ("label-search", "1");
const BY_PAIR: (&str, &str) = ("image-text-search", "1");
const MUTUAL: (&str, &str) = ("mutual-nearest-neighbours", "1");

/// A network that is loaded when it is first needed. Why there is none is kept, so that it is not tried again for every picture.
#[derive(Debug)]
struct OnDemand<T>(Option<Result<T, String>>);

impl<T> OnDemand<T> {
    fn get<E: ToString>(&mut self, load: impl FnOnce() -> Result<T, E>) -> Result<&mut T, String> {
        let loaded = self.0.get_or_insert_with(|| load().map_err(|e| e.to_string()));
        loaded.as_mut().map_err(|reason| reason.clone())
    }
}

/// The memory of what was seen, and the networks for it.
pub(crate) struct Searching {
    views: Param<i64>,
    text_model: Param<String>,
    pair_model: Param<String>,
    keypoint_model: Param<String>,
    threads: usize,
    pub(crate) index: ImageIndex,
    text: OnDemand<TextEncoder>,
    pair: OnDemand<ImageTextPair>,
    keypoints: OnDemand<KeypointDetector>,
}

impl Searching {
    /// Declares parameters and services.
    pub(crate) fn declare(s: &mut Setup<Vision>, threads: usize) -> Result<Self, SetupError> {
        let views = s
            .param("memory_views", 512_i64)
            .range(0.0, 100_000.0)
            .describe("views remembered for searches, about 6 kB each; the oldest go")
            .declare()?;
        let model = |s: &mut Setup<Vision>, name: &str, default: &str, what: &str| {
            s.param(name, default.to_owned()).describe(what).read_only().declare()
        };
        let text_model = model(s, "text_model", "minilm_l6_v2", "sentence encoder for searches by words; empty for none")?;
        let pair_model = model(
            s,
            "pair_model",
            "",
            "image-text pair (decoder `clip`) for searches by words, instead of labels; empty for none",
        )?;
        let keypoint_model = model(s, "keypoint_model", "xfeat", "keypoint network; empty for none")?;
        s.service::<AnalyzeImage>("vision/analyze_image", Vision::analyze_image)?;
        s.service::<ExtractFeatures>("vision/extract_features", Vision::extract_features)?;
        s.service::<GetAnalysis>("vision/get_analysis", Vision::get_analysis)?;
        s.service::<Trigger>("vision/clear_cache", Vision::clear_cache)?;
        s.service::<MatchKeypoints>("vision/match_keypoints", Vision::match_keypoints)?;
        s.service::<SearchImages>("vision/search_images", Vision::search_images)?;
        Ok(Self {
            index: ImageIndex::new(usize::try_from(views.get()).unwrap_or_default()),
            views,
            text_model,
            pair_model,
            keypoint_model,
            threads,
            text: OnDemand(None),
            pair: OnDemand(None),
            keypoints: OnDemand(None),
        })
    }

    fn pair(&mut self) -> Option<Result<&mut ImageTextPair, String>> {
        let name = self.pair_model.get();
        let threads = self.threads;
        (!name.is_empty()).then(|| {
            self.pair.get(|| ImageTextPair::load(shared()?, &name, threads, Priority::MISSION).map_err(|e| e.to_string()))
        })
    }

    /// Takes a picture and what was found in it into the memory.
    pub(crate) fn remember(
        &mut self,
        ctx: &mut Context,
        message: &Image,
        image: &RgbImage,
        analysis: &Analysis,
        opinion: Option<&Classification>,
    ) {
        self.index.set_capacity(usize::try_from(self.views.get()).unwrap_or_default());
        let mut vector = Vec::new();
        if let Some(pair) = self.pair() {
            match pair.and_then(|pair| pair.embed_image(image).map_err(|e| e.to_string())) {
                Ok((found, _)) => vector = found,
                Err(reason) => ctx.status(Level::Warn, "search", format!("pictures get no place among words: {reason}")),
            }
        }
        let stamp = &message.header.stamp;
        let at = i64::from(stamp.sec) * 1_000_000_000 + i64::from(stamp.nanosec);
        let classes = opinion.map(|o| o.probabilities.as_slice());
        self.index.remember(View {
            first_ns: at,
            last_ns: at,
            frame: message.header.frame_id.clone(),
            image_id: analysis.image_id.clone(),
            labels: labels(&analysis.objects, classes, analysis.scene, analysis.scene_confidence),
            description: analysis.description.clone(),
            embedding: opinion.map(|o| o.embedding.clone()).unwrap_or_default(),
            pair: vector,
        });
    }

    /// By words. The hits, and who found them; `labelling` is who makes the labels of views.
    fn by_words(&mut self, words: &str, most: usize, labelling: Origin) -> Result<(Vec<Hit<'_>>, Origin), String> {
        let of = |encoder: &mut TextEncoder, search| {
            let inference_ms = encoder.take_spent_ms();
            let (model, version) = encoder.model();
            let (model, version, device) = (model.to_owned(), version.to_owned(), encoder.device().to_owned());
            Origin { model, version, device, inference_ms, degraded: false }.and(&Origin::algorithm(search))
        };
        if let Some(pair) = self.pair() {
            let text = &mut pair?.text;
            let vector = text.embed(words).map_err(|e| e.to_string())?;
            let origin = of(text, BY_PAIR);
            return Ok((self.index.like_pair(&vector, most), origin));
        }
        let (name, threads) = (self.text_model.get(), self.threads);
        if name.is_empty() {
            return Err("there is no text model: set `text_model` or `pair_model`".to_owned());
        }
        let load = || TextEncoder::load(shared()?, &name, threads, Priority::MISSION).map_err(|e| e.to_string());
        let text = self.text.get(load)?;
        let hits = self.index.like_words(words, most, |t| text.embed(t)).map_err(|e| e.to_string())?;
        Ok((hits, labelling.and(&of(text, BY_LABELS))))
    }
}

fn shared() -> Result<std::sync::Arc<Broker>, String> {
    Broker::shared().map_err(|e| e.to_string())
}

/// The picture of a request that has a raw frame or a file.
fn picture(image: &Image, file: &CompressedImage) -> Result<RgbImage, FrameError> {
    if file.data.is_empty() { rgb_of(image) } else { decode(&file.data) }
}

fn stamp(ns: i64) -> TimeMsg {
    TimeMsg { sec: ns.div_euclid(1_000_000_000) as i32, nanosec: ns.rem_euclid(1_000_000_000) as u32 }
}

fn match_msg(hit: &Hit<'_>) -> ImageMatch {
    let view = hit.view;
    ImageMatch {
        header: Header { stamp: stamp(view.first_ns), frame_id: view.frame.clone() },
        last_seen: stamp(view.last_ns),
        image_id: view.image_id.clone(),
        similarity: hit.similarity,
        labels: view.labels.iter().map(|l| l.text.clone()).collect(),
        description: view.description.clone(),
        reason: hit.reason.clone(),
        ..ImageMatch::default()
    }
}

const NOT_STARTED: &str = "the node has not started";

impl Vision {
    fn analyze_image(&mut self, ctx: &mut Context, request: AnalyzeImageRequest) -> Result<AnalyzeImageResponse, NodeError> {
        let refuse = |message: String| Ok(AnalyzeImageResponse { success: false, message, ..Default::default() });
        let image = match picture(&request.image, &request.file) {
            Ok(image) => image,
            Err(error) => return refuse(error.to_string()),
        };
        let report_time = self.report_time.get();
        let settings = self.settings();
        let Some(analyser) = &mut self.analyser else { return refuse(NOT_STARTED.to_owned()) };
        analyser.set_settings(settings);
        let id = image_id(&image);
        if !request.image_id.is_empty() {
            if let Err(error) = Analyser::check_name(&request.image_id, &id) {
                return refuse(error.to_string());
            }
        }
        let kept = match analyser.cached(&id) {
            Some(known) => known.clone(),
            None => {
                let (seen, opinion) = (analyser.detect(&image)?, analyser.classify(&image)?);
                let look = GrayF::look(&image);
                let features = features_of_look(&image, &look);
                let analysis = analyser.compose(&image, &look, id, seen.as_ref(), opinion.as_ref(), &features);
                tell_scene(ctx, analyser);
                Kept { analysis, features, opinion }
            }
        };
        let answer = AnalyzeImageResponse {
            success: true,
            message: String::new(),
            features: features_msg(&request.image, &kept.features, kept.opinion.as_ref(), report_time),
            analysis: scene_msg(&request.image, &kept.analysis, None, report_time),
        };
        if !request.image_id.is_empty() {
            if let Err(error) = analyser.keep(&request.image_id, kept) {
                return refuse(error.to_string());
            }
        }
        Ok(answer)
    }

    fn extract_features(
        &mut self,
        _ctx: &mut Context,
        request: ExtractFeaturesRequest,
    ) -> Result<ExtractFeaturesResponse, NodeError> {
        let refuse = |message: String| Ok(ExtractFeaturesResponse { success: false, message, ..Default::default() });
        let image = match picture(&request.image, &request.file) {
            Ok(image) => image,
            Err(error) => return refuse(error.to_string()),
        };
        let Some(analyser) = &self.analyser else { return refuse(NOT_STARTED.to_owned()) };
        let opinion = analyser.classify(&image)?;
        let numbers = features_of_look(&image, &GrayF::look(&image));
        let features = features_msg(&request.image, &numbers, opinion.as_ref(), self.report_time.get());
        Ok(ExtractFeaturesResponse { success: true, message: String::new(), features })
    }

    fn get_analysis(&mut self, _ctx: &mut Context, request: GetAnalysisRequest) -> Result<GetAnalysisResponse, NodeError> {
        let report_time = self.report_time.get();
        let settings = self.settings();
        let id = request.image_id.as_str();
        let known = self.analyser.as_mut().and_then(|analyser| {
            analyser.set_settings(settings);
            analyser.cached(id).cloned().or_else(|| analyser.named(id).cloned())
        });
        Ok(match known {
            Some(kept) => GetAnalysisResponse {
                success: true,
                message: String::new(),
                analysis: scene_msg(&Image::default(), &kept.analysis, None, report_time),
            },
            None => GetAnalysisResponse {
                success: false,
                message: format!("there is no analysis `{}` in the cache", request.image_id),
                ..Default::default()
            },
        })
    }

    fn clear_cache(&mut self, _ctx: &mut Context, _request: TriggerRequest) -> Result<TriggerResponse, NodeError> {
        if let Some(analyser) = &mut self.analyser {
            analyser.clear_cache();
        }
        Ok(TriggerResponse { success: true, message: "no analysis is kept any more".to_owned() })
    }

    fn match_keypoints(
        &mut self,
        _ctx: &mut Context,
        request: MatchKeypointsRequest,
    ) -> Result<MatchKeypointsResponse, NodeError> {
        let refuse = |message: String| Ok(MatchKeypointsResponse { success: false, message, ..Default::default() });
        let (a, b) = match (rgb_of(&request.a), rgb_of(&request.b)) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(error), _) => return refuse(format!("picture a: {error}")),
            (_, Err(error)) => return refuse(format!("picture b: {error}")),
        };
        let (name, threads) = (self.searching.keypoint_model.get(), self.searching.threads);
        if name.is_empty() {
            return refuse("there is no keypoint network: set `keypoint_model`".to_owned());
        }
        let load = || KeypointDetector::load(shared()?, &name, threads, Priority::MISSION).map_err(|e| e.to_string());
        let detector = match self.searching.keypoints.get(load) {
            Ok(detector) => detector,
            Err(reason) => return refuse(reason),
        };
        let mut settings = KeypointSettings::default();
        if request.max_keypoints > 0 {
            settings.max = request.max_keypoints.min(MOST_KEYPOINTS) as usize;
        }
        let found = |image| detector.keypoints(image, &settings);
        let ((a, mut origin), (b, other)) = match (found(&a), found(&b)) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(error), _) => return refuse(format!("picture a: {error}")),
            (_, Err(error)) => return refuse(format!("picture b: {error}")),
        };
        origin.inference_ms += other.inference_ms;
        let least = if request.min_cosine == 0.0 { MIN_COSINE } else { request.min_cosine };
        let pair = |m: &crate::keypoints::KeypointMatch| {
            let (p, q) = (a.points[m.a], b.points[m.b]);
            MatchMsg { ax: p.x, ay: p.y, bx: q.x, by: q.y, cosine: m.cosine, fits: false }
        };
        let found: Vec<MatchMsg> = matches(&a, &b, least).iter().map(pair).collect();
        Ok(MatchKeypointsResponse {
            success: true,
            message: format!("{} places are in both pictures", found.len()),
            keypoints_a: a.points.len() as u32,
            keypoints_b: b.points.len() as u32,
            matches: found,
            same_place: false,
            common_points: 0,
            provenance: provenance(&origin.and(&Origin::algorithm(MUTUAL)), self.report_time.get()),
        })
    }

    fn search_images(&mut self, _ctx: &mut Context, request: SearchImagesRequest) -> Result<SearchImagesResponse, NodeError> {
        let report_time = self.report_time.get();
        let remembered = self.searching.index.len() as u32;
        let refuse = |message: String| Ok(SearchImagesResponse { success: false, message, remembered, ..Default::default() });
        let most = if request.max_results == 0 { RESULTS } else { request.max_results.min(MOST_RESULTS) } as usize;
        let (hits, origin) = if request.image.data.is_empty() {
            let Some(analyser) = &self.analyser else { return refuse(NOT_STARTED.to_owned()) };
            match self.searching.by_words(&request.text, most, analyser.labelling()) {
                Ok(found) => found,
                Err(reason) => return refuse(reason),
            }
        } else {
            let image = match rgb_of(&request.image) {
                Ok(image) => image,
                Err(error) => return refuse(error.to_string()),
            };
            let Some(analyser) = &self.analyser else { return refuse(NOT_STARTED.to_owned()) };
            let Some(opinion) = analyser.classify(&image)? else {
                return refuse("there is no classifier: set `scene_model`".to_owned());
            };
            (self.searching.index.like_picture(&opinion.embedding, most), opinion.origin.and(&Origin::algorithm(BY_PICTURE)))
        };
        Ok(SearchImagesResponse {
            success: true,
            message: String::new(),
            matches: hits.iter().map(match_msg).collect(),
            remembered,
            provenance: provenance(&origin, report_time),
        })
    }
}
