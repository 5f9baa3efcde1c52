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
use crate::geometry::{self, Common};
use crate::gray::GrayF;
use crate::keypoints::{KeypointDetector, KeypointSettings, Keypoints, MIN_COSINE, matches, pairs};
use crate::node::{Vision, features_msg, provenance, rgb_of, scene_msg, tell_scene};
use crate::pair::ImageTextPair;
use crate::revisit::{self, TWO_VIEWS};
use crate::search::{Hit, ImageIndex, View, labels};
use crate::text::TextEncoder;

/// Answers to a search if the caller does not say, and at most.
const RESULTS: u32 = 10;
const MOST_RESULTS: u32 = 1000;
/// Views at most whose places are checked for one search.
const MOST_PLACES: u32 = 32;
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
    pictures: Param<bool>,
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
            .describe("views remembered for searches, about 30 kB each with a picture, else 6; the oldest go")
            .declare()?;
        let pictures = s
            .param("memory_pictures", true)
            .describe("keep a small picture of each view, to tell whether another shows the same place")
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
            pictures,
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
        let mut picture = Vec::new();
        if self.pictures.get() && self.views.get() > 0 {
            match revisit::small(image) {
                Ok(small) => picture = small,
                Err(error) => ctx.status(Level::Warn, "search", format!("a view is kept without its picture: {error}")),
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
            picture,
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

/// What a picture has in common with each view, and who found the keypoints. A view without a picture, or one too small, has nothing.
fn same_places(detector: &KeypointDetector, image: &RgbImage, hits: &[Hit<'_>]) -> Result<(Vec<Option<Common>>, Origin), String> {
    // The picture goes the way that the views went.
    let asked = revisit::small(image).map_err(|e| e.to_string())?;
    let look = |small: &[u8]| -> Result<(Keypoints, f64, Origin), String> {
        let picture = revisit::read(small).map_err(|e| e.to_string())?;
        let (found, origin) = detector.keypoints(&picture, &revisit::SETTINGS).map_err(|e| e.to_string())?;
        Ok((found, f64::from(picture.width().max(picture.height())), origin))
    };
    let (asked, side, mut origin) = look(&asked)?;
    let mut places = Vec::with_capacity(hits.len());
    for hit in hits {
        places.push(match look(&hit.view.picture) {
            Ok((found, other, by)) => {
                origin.inference_ms += by.inference_ms;
                revisit::common((&found, other), (&asked, side))
            }
            Err(_) => None,
        });
    }
    Ok((places, origin))
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
        let sides = [&a, &b].map(|image| f64::from(image.width().max(image.height())));
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
        let matched = matches(&a, &b, least);
        let common = geometry::common(&pairs(&a, &b, &matched), sides);
        let mut found: Vec<MatchMsg> = matched.iter().map(pair).collect();
        if let Some(common) = &common {
            found.iter_mut().zip(&common.fits).for_each(|(m, fits)| m.fits = *fits);
        }
        let (common_points, same_place) = common.as_ref().map_or((0, false), |c| (c.count as u32, c.same_place()));
        let verdict = if same_place { "the same place" } else { "not known to be the same place" };
        Ok(MatchKeypointsResponse {
            success: true,
            message: format!("{} keypoints match, {common_points} of them fit one geometry: {verdict}", found.len()),
            keypoints_a: a.points.len() as u32,
            keypoints_b: b.points.len() as u32,
            matches: found,
            same_place,
            common_points,
            provenance: provenance(
                &origin.and(&Origin::algorithm(MUTUAL)).and(&Origin::algorithm(TWO_VIEWS)),
                self.report_time.get(),
            ),
        })
    }

    fn search_images(&mut self, _ctx: &mut Context, request: SearchImagesRequest) -> Result<SearchImagesResponse, NodeError> {
        let report_time = self.report_time.get();
        let remembered = self.searching.index.len() as u32;
        let refuse = |message: String| Ok(SearchImagesResponse { success: false, message, remembered, ..Default::default() });
        let most = if request.max_results == 0 { RESULTS } else { request.max_results.min(MOST_RESULTS) } as usize;
        let mut places: Vec<Option<Common>> = Vec::new();
        let (hits, origin) = if request.image.data.is_empty() {
            if request.check_places > 0 {
                return refuse("places are checked for a picture, not for words".to_owned());
            }
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
            let hits = self.searching.index.like_picture(&opinion.embedding, most);
            let mut origin = opinion.origin.and(&Origin::algorithm(BY_PICTURE));
            if request.check_places > 0 {
                let (name, threads) = (self.searching.keypoint_model.get(), self.searching.threads);
                if name.is_empty() {
                    return refuse("there is no keypoint network: set `keypoint_model`".to_owned());
                }
                let load = || KeypointDetector::load(shared()?, &name, threads, Priority::MISSION).map_err(|e| e.to_string());
                let checked = self.searching.keypoints.get(load).and_then(|detector| {
                    let hits = &hits[..hits.len().min(request.check_places.min(MOST_PLACES) as usize)];
                    same_places(detector, &image, hits)
                });
                match checked {
                    Ok((found, by)) => {
                        places = found;
                        origin = origin.and(&by).and(&Origin::algorithm(TWO_VIEWS));
                    }
                    Err(reason) => return refuse(reason),
                }
            }
            (hits, origin)
        };
        let mut answers: Vec<ImageMatch> = hits.iter().map(match_msg).collect();
        for (answer, common) in answers.iter_mut().zip(&places) {
            answer.place_checked = true;
            answer.common_points = common.as_ref().map_or(0, |c| c.count as u32);
            answer.same_place = common.as_ref().is_some_and(Common::same_place);
            let verdict = if answer.same_place { "it is the same place" } else { "not known to be the same place" };
            answer.reason = format!("{}; {} keypoints fit one geometry: {verdict}", answer.reason, answer.common_points);
        }
        Ok(SearchImagesResponse {
            success: true,
            message: String::new(),
            matches: answers,
            remembered,
            provenance: provenance(&origin, report_time),
        })
    }
}
