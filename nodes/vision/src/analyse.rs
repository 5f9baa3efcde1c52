//! Everything together: detector, classifier and picture statistics, through the broker, with provenance.

use std::sync::Arc;

use image::RgbImage;
use models::{Broker, InferError, LoadError, ModelHandle, Outputs, Priority, Tensor, TensorError};

use crate::classify;
use crate::color::{self, DominantColor, Lighting};
use crate::describe::describe;
use crate::detect::{DecodeError, DetectedObject, Detector, DetectorSettings};
use crate::features::{ImageFeatures, complexity, features_of_look};
use crate::frame::{FrameError, image_id};
use crate::gray::GrayF;
use crate::lru::Lru;
use crate::places::PlaceModel;
use crate::scene::{self, SceneType};
use crate::similarity::{Similarity, perceptual_hash, similarity};

/// Why a picture could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// The picture itself.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The broker gave no result.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The network gave another output than expected.
    #[error(transparent)]
    Output(#[from] TensorError),
    /// The detector's output has another shape than expected.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The classifier's output is no probability.
    #[error("the classifier's output is not 1000 finite numbers")]
    Logits,
}

/// Which networks to use, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalyserConfig {
    /// Detector, by its name in the catalogue; empty for none.
    pub detector: String,
    /// Classifier for scene and embedding, by its name in the catalogue; empty for none.
    pub classifier: String,
    /// Scene network, by its name in the catalogue; empty for the rule over classifier, detector and the picture's colours.
    pub places: String,
    /// What is kept of the detector's output.
    pub settings: DetectorSettings,
    /// Threads within one network.
    pub threads: usize,
    /// Class of the requests.
    pub priority: Priority,
    /// Analyses kept by image.
    pub cache_size: usize,
}

impl Default for AnalyserConfig {
    fn default() -> Self {
        Self {
            detector: "nanodet_g_416".to_owned(),
            classifier: "efficientnet_lite0".to_owned(),
            places: String::new(),
            settings: DetectorSettings::default(),
            threads: 1,
            priority: Priority::MISSION,
            cache_size: 1000,
        }
    }
}

/// Who made a result and what it cost: the content of omnimind_msgs/Provenance, never simulated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Origin {
    /// Models and algorithms, joined by `+`.
    pub model: String,
    /// Their versions, joined by `+`.
    pub version: String,
    /// Where the networks ran.
    pub device: String,
    /// Wall time in the networks, in milliseconds.
    pub inference_ms: f32,
    /// A network that belongs to the result was not available.
    pub degraded: bool,
}

impl Origin {
    pub(crate) fn of(model: &ModelHandle, outputs: &Outputs) -> Self {
        Self {
            model: model.name().to_owned(),
            version: model.version().to_owned(),
            device: outputs.device.clone(),
            inference_ms: outputs.run_ms as f32,
            degraded: false,
        }
    }

    /// An algorithm without a network.
    pub fn algorithm((name, version): (&str, &str)) -> Self {
        Self { model: name.to_owned(), version: version.to_owned(), device: "cpu".to_owned(), ..Self::default() }
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        let join = |a: &str, b: &str| if a.is_empty() { b.to_owned() } else { format!("{a}+{b}") };
        self.model = join(&self.model, &other.model);
        self.version = join(&self.version, &other.version);
        if self.device.is_empty() {
            self.device.clone_from(&other.device);
        }
        self.inference_ms += other.inference_ms;
        self.degraded |= other.degraded;
        self
    }
}

/// What the detector saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Detections {
    /// Objects by falling confidence.
    pub objects: Vec<DetectedObject>,
    /// Who saw them.
    pub origin: Origin,
}

/// What the classifier thinks.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// Probability of each of the 1000 classes of ImageNet.
    pub probabilities: Vec<f32>,
    /// Unit vector for comparing pictures.
    pub embedding: Vec<f32>,
    /// Who thinks so.
    pub origin: Origin,
}

/// What a picture shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Name of the picture: 16 hexadecimal digits that equal pixels share.
    pub image_id: String,
    /// Perceptual hash ([`perceptual_hash`]).
    pub image_hash: u64,
    /// Kind of place.
    pub scene: SceneType,
    /// Confidence in it, 0..1.
    pub scene_confidence: f32,
    /// Objects by falling confidence.
    pub objects: Vec<DetectedObject>,
    /// Main colours by falling share.
    pub dominant_colors: Vec<DominantColor>,
    /// How it is lit.
    pub lighting: Lighting,
    /// How much there is to see, 0..1: [`crate::features::complexity`].
    pub complexity: f32,
    /// One sentence.
    pub description: String,
    /// Who made it.
    pub origin: Origin,
}

/// What is kept of a picture that was analysed.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// What it shows.
    pub analysis: Analysis,
    /// Its numbers.
    pub features: ImageFeatures,
    /// What the classifier thinks.
    pub opinion: Option<Classification>,
}

/// Bytes of a name that a caller gives to an analysis.
pub const MAX_NAME_BYTES: usize = 128;

/// Why an analysis is not kept under a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is too long.
    #[error("a name of {0} bytes is too long, {MAX_NAME_BYTES} are accepted")]
    Long(usize),
    /// It has the form of the name of some picture's content.
    #[error("`{0}` has the form of a picture's own name, and is not this picture's")]
    Content(String),
}

/// Name and version of the picture statistics, for the provenance.
pub const STATISTICS: (&str, &str) = ("picture-statistics", "1");

/// Holds the networks and the cache. Works without any network, and says what is missing.
#[derive(Debug)]
pub struct Analyser {
    broker: Arc<Broker>,
    config: AnalyserConfig,
    detector: Result<(ModelHandle, Detector), String>,
    classifier: Result<ModelHandle, String>,
    /// `None` if none was asked for.
    places: Option<Result<PlaceModel, String>>,
    /// Why the scene network gave nothing for the last picture.
    trouble: Option<String>,
    /// By the pictures' own names.
    cache: Lru<Kept>,
    /// By names that callers gave.
    named: Lru<Kept>,
}

impl Analyser {
    /// Loads the networks. Never fails: what does not load is told by [`Analyser::problems`] and its results are left out or
    /// marked as degraded.
    pub fn new(broker: Arc<Broker>, config: AnalyserConfig) -> Self {
        let load = |name: &str, decoder: &str| -> Result<ModelHandle, String> {
            if name.is_empty() {
                return Err("switched off".to_owned());
            }
            let entry = broker.store().catalogue().model(name).map_err(|e| e.to_string())?;
            if entry.decoder != decoder {
                return Err(format!("model {name} has the decoder `{}`, this program has `{decoder}`", entry.decoder));
            }
            broker.load_with_threads(name, config.threads).map_err(|e: LoadError| e.to_string())
        };
        let detector = load_detector(&broker, &config);
        let classifier = load(&config.classifier, "imagenet");
        let places = (!config.places.is_empty()).then(|| {
            PlaceModel::load(broker.clone(), &config.places, config.threads, config.priority).map_err(|e| e.to_string())
        });
        let (cache, named) = (Lru::new(config.cache_size), Lru::new(config.cache_size));
        Self { cache, named, broker, config, detector, classifier, places, trouble: None }
    }

    /// The name of an analysis in the cache: the picture's and everything that can be changed while the analyser lives. The networks cannot.
    fn key(&self, image_id: &str) -> String {
        let DetectorSettings { confidence_threshold, iou_threshold, max_objects } = self.config.settings;
        format!("{image_id} {confidence_threshold} {iou_threshold} {max_objects}")
    }

    /// What is missing, in words; empty if all is there.
    pub fn problems(&self) -> Vec<String> {
        let missing = |what: &str, why: Option<&String>| why.map(|why| format!("no {what}: {why}"));
        let places = self.places.as_ref().and_then(|p| p.as_ref().err());
        [
            missing("object detector", self.detector.as_ref().err()),
            missing("scene classifier", self.classifier.as_ref().err()),
            missing("scene network", places),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Why the scene network, if there is one, gave nothing for the last picture: the rule has told its scene.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether a scene network was asked for.
    pub fn has_places(&self) -> bool {
        self.places.is_some()
    }

    /// The detector's name and version, and the number of its labels.
    pub fn detector(&self) -> Option<(&str, &str, usize)> {
        self.detector.as_ref().ok().map(|(model, detector)| (model.name(), model.version(), detector.labels().len()))
    }

    /// Who makes the words for a picture: detector, classifier, and what tells the scene.
    pub fn labelling(&self) -> Origin {
        let of = |model: &ModelHandle| Origin {
            model: model.name().to_owned(),
            version: model.version().to_owned(),
            device: model.device().to_owned(),
            ..Origin::default()
        };
        let detector = self.detector.as_ref().ok().map(|(model, _)| of(model));
        let classifier = self.classifier.as_ref().ok().map(of);
        let scene = match &self.places {
            Some(Ok(places)) => Origin::algorithm(places.model()),
            Some(Err(_)) => Origin { degraded: true, ..Origin::algorithm(scene::RULE) },
            None => Origin::algorithm(scene::RULE),
        };
        let degraded = detector.is_none() || classifier.is_none();
        let networks = [detector, classifier].into_iter().flatten().fold(Origin::default(), |all, one| all.and(&one));
        let mut all = networks.and(&scene);
        all.degraded |= degraded;
        all
    }

    /// Whether there is a detector.
    pub fn can_detect(&self) -> bool {
        self.detector.is_ok()
    }

    /// Changes what is kept of the detector's output. The cache keeps analyses of other settings apart.
    pub fn set_settings(&mut self, settings: DetectorSettings) {
        self.config.settings = settings;
    }

    /// Objects in a picture; `None` without a detector.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn detect(&self, image: &RgbImage) -> Result<Option<Detections>, VisionError> {
        self.detect_with(image, &self.config.settings)
    }

    /// As [`Analyser::detect`], with settings of one's own.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn detect_with(&self, image: &RgbImage, settings: &DetectorSettings) -> Result<Option<Detections>, VisionError> {
        let Ok((model, detector)) = &self.detector else { return Ok(None) };
        let (input, place) = detector.prepare(image)?;
        let [width, height] = [detector.input().width, detector.input().height].map(i64::from);
        let mut picture = Some(Tensor::from(input));
        let ports = model.inputs().iter().filter_map(|port| {
            let tensor = match port.shape.len() {
                4 => picture.take()?,
                // The size that boxes are wanted in: the input's own, as the picture may have been brought to it in any way.
                _ if port.name == SIZES => Tensor::from(ndarray::arr2(&[[width, height]])),
                _ => return None,
            };
            Some((port.name.as_str(), tensor))
        });
        let outputs = self.broker.infer(model, self.config.priority, ports.collect())?;
        let objects = detector.read(&outputs.views(), &place, settings)?;
        Ok(Some(Detections { objects, origin: Origin::of(model, &outputs) }))
    }

    /// ImageNet's opinion of a picture; `None` without a classifier.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn classify(&self, image: &RgbImage) -> Result<Option<Classification>, VisionError> {
        let Ok(model) = &self.classifier else { return Ok(None) };
        let input = classify::preprocess(image)?;
        let outputs = self.broker.infer(model, self.config.priority, vec![("image", Tensor::from(input))])?;
        let logits = outputs.f32("logits")?;
        let probabilities = classify::probabilities(&logits).ok_or(VisionError::Logits)?;
        // A classifier without this output is compared by its opinions.
        let embedding = match outputs.f32("embedding") {
            Ok(features) => classify::unit(&features),
            Err(_) => classify::unit_of_logits(&logits),
        };
        let embedding = embedding.ok_or(VisionError::Logits)?;
        Ok(Some(Classification { probabilities, embedding, origin: Origin::of(model, &outputs) }))
    }

    /// Everything about a picture; from the cache if the same pixels were analysed before.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn analyse(&mut self, image: &RgbImage) -> Result<Analysis, VisionError> {
        let id = image_id(image);
        if let Some(known) = self.cache.get(&self.key(&id)) {
            return Ok(known.analysis.clone());
        }
        let (detections, classification) = (self.detect(image)?, self.classify(image)?);
        let look = GrayF::look(image);
        let features = features_of_look(image, &look);
        Ok(self.compose(image, &look, id, detections.as_ref(), classification.as_ref(), &features))
    }

    /// The analysis from results at hand, which goes into the cache. `look` is the picture's [look](GrayF::look).
    pub fn compose(
        &mut self,
        image: &RgbImage,
        look: &GrayF,
        id: String,
        detections: Option<&Detections>,
        classification: Option<&Classification>,
        features: &ImageFeatures,
    ) -> Analysis {
        let objects = detections.map(|d| d.objects.clone()).unwrap_or_default();
        let asked = self.places.as_ref().map(|places| match places {
            Ok(places) => places.scene(image).map_err(|e| e.to_string()),
            Err(why) => Err(why.clone()),
        });
        self.trouble = asked.as_ref().and_then(|asked| asked.as_ref().err().cloned());
        let (guess, scene_origin) = match asked {
            Some(Ok(found)) => found,
            asked => {
                let classes = classification.map(|c| c.probabilities.as_slice());
                let guess = scene::scene(classes, &objects, &scene::Surroundings::of(image));
                // The rule is a fall-back only if a network was asked for.
                (guess, Origin { degraded: asked.is_some(), ..Origin::algorithm(scene::RULE) })
            }
        };
        let dominant_colors = color::dominant_colors(image);
        let lighting = color::lighting_of_look(look);
        let complexity = complexity(features, objects.len());
        let mut origin = Origin::default();
        for part in [detections.map(|d| &d.origin), classification.map(|c| &c.origin)].into_iter().flatten() {
            origin = origin.and(part);
        }
        origin = origin.and(&scene_origin);
        origin.degraded |= detections.is_none() || classification.is_none();
        let description = describe(guess.scene, lighting, &objects, &dominant_colors);
        let analysis = Analysis {
            image_id: id,
            image_hash: perceptual_hash(&GrayF::from_rgb(image)),
            scene: guess.scene,
            scene_confidence: guess.confidence,
            objects,
            dominant_colors,
            lighting,
            complexity,
            description,
            origin,
        };
        let key = self.key(&analysis.image_id);
        let kept = Kept { analysis: analysis.clone(), features: *features, opinion: classification.cloned() };
        self.cache.put(&key, kept);
        analysis
    }

    /// What is kept of a picture seen before under the present settings, by the picture's own name.
    pub fn cached(&mut self, image_id: &str) -> Option<&Kept> {
        let key = self.key(image_id);
        self.cache.get(&key)
    }

    /// The same, by a name that a caller gave.
    pub fn named(&mut self, name: &str) -> Option<&Kept> {
        let key = self.key(name);
        self.named.get(&key)
    }

    /// Whether something can be kept under a name for the picture of this own name.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn check_name(name: &str, image_id: &str) -> Result<(), NameError> {
        if name.len() > MAX_NAME_BYTES {
            return Err(NameError::Long(name.len()));
        }
        let content = name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
        if content && name != image_id { Err(NameError::Content(name.to_owned())) } else { Ok(()) }
    }

    /// Keeps an analysis under a name of the caller's, apart from those of the pictures themselves.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn keep(&mut self, name: &str, kept: Kept) -> Result<(), NameError> {
        Self::check_name(name, &kept.analysis.image_id)?;
        let key = self.key(name);
        self.named.put(&key, kept);
        Ok(())
    }

    /// Forgets all analyses.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
        self.named.clear();
    }

    /// How alike two pictures are.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn compare(&self, a: &RgbImage, b: &RgbImage) -> Result<(Similarity, Origin), VisionError> {
        let rule = Origin::algorithm(("embedding-ssim-hash", "1"));
        Ok(match (self.classify(a)?, self.classify(b)?) {
            (Some(x), Some(y)) => {
                let mut origin = x.origin.clone().and(&rule);
                origin.inference_ms += y.origin.inference_ms;
                (similarity(a, b, Some((&x.embedding, &y.embedding))), origin)
            }
            _ => (similarity(a, b, None), Origin { degraded: true, ..rule }),
        })
    }
}

/// RT-DETR's and D-FINE's second input (`tools/export_onnx.py`): width and height that the boxes are scaled to.
const SIZES: &str = "orig_target_sizes";

/// The network and the way in and out of it, or why there is none. What can be found wrong before the first picture is found here.
fn load_detector(broker: &Broker, config: &AnalyserConfig) -> Result<(ModelHandle, Detector), String> {
    let name = config.detector.as_str();
    if name.is_empty() {
        return Err("switched off".to_owned());
    }
    let detector = Detector::from_catalogue(broker.store(), name).map_err(|e| format!("model {name}: {e}"))?;
    let model = broker.load_with_threads(name, config.threads).map_err(|e| e.to_string())?;
    let input = detector.input();
    let wanted = [1, 3, i64::from(input.height), i64::from(input.width)];
    let takes = |shape: &[i64]| shape.len() == 4 && shape.iter().zip(wanted).all(|(has, wants)| *has < 0 || *has == wants);
    if !model.inputs().iter().any(|port| port.element == "f32" && takes(&port.shape)) {
        let found =
            model.inputs().iter().map(|p| format!("`{}` {} {:?}", p.name, p.element, p.shape)).collect::<Vec<_>>().join(", ");
        return Err(format!("model {name}: the catalogue has an input f32 {wanted:?}, the network takes {found}"));
    }
    Ok((model, detector))
}
