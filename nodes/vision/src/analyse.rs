//! Everything together: detector, classifier and picture statistics, through the broker, with provenance.

use std::collections::BTreeMap;
use std::sync::Arc;

use image::RgbImage;
use models::{Broker, InferError, LoadError, ModelHandle, Outputs, Priority, Tensor, TensorError};

use crate::classify;
use crate::color::{self, DominantColor, Lighting};
use crate::detect::{self, DetectedObject, DetectorSettings, LEVELS};
use crate::features::{ImageFeatures, features_of_look};
use crate::frame::{FrameError, image_id};
use crate::gray::GrayF;
use crate::lru::Lru;
use crate::scene::{self, SceneType};
use crate::similarity::{Similarity, similarity};

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
    Decode(#[from] detect::DecodeError),
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
    fn of(model: &ModelHandle, outputs: &Outputs) -> Self {
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

    fn and(mut self, other: &Self) -> Self {
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
    /// How much there is to see, 0..1: 0.4 edges (a quarter of all pixels is full), 0.3 texture, 0.3 objects (ten are full).
    pub complexity: f32,
    /// One sentence.
    pub description: String,
    /// Who made it.
    pub origin: Origin,
}

/// Name and version of the picture statistics, for the provenance.
pub const STATISTICS: (&str, &str) = ("picture-statistics", "1");

/// Holds the networks and the cache. Works without any network, and says what is missing.
#[derive(Debug)]
pub struct Analyser {
    broker: Arc<Broker>,
    config: AnalyserConfig,
    detector: Result<ModelHandle, String>,
    classifier: Result<ModelHandle, String>,
    cache: Lru<Analysis>,
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
        let (detector, classifier) = (load(&config.detector, "nanodet"), load(&config.classifier, "imagenet"));
        Self { cache: Lru::new(config.cache_size), broker, config, detector, classifier }
    }

    /// What is missing, in words; empty if all is there.
    pub fn problems(&self) -> Vec<String> {
        let missing =
            |what: &str, model: &Result<ModelHandle, String>| model.as_ref().err().map(|why| format!("no {what}: {why}"));
        [missing("object detector", &self.detector), missing("scene classifier", &self.classifier)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Whether there is a detector.
    pub fn can_detect(&self) -> bool {
        self.detector.is_ok()
    }

    /// Changes what is kept of the detector's output; the cache is emptied if that changes.
    pub fn set_settings(&mut self, settings: DetectorSettings) {
        if self.config.settings != settings {
            self.config.settings = settings;
            self.cache.clear();
        }
    }

    /// Objects in a picture; `None` without a detector.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn detect(&self, image: &RgbImage) -> Result<Option<Detections>, VisionError> {
        let Ok(model) = &self.detector else { return Ok(None) };
        let input = detect::preprocess(image)?;
        let name = model.inputs().first().map_or("input", |p| p.name.as_str());
        let outputs = self.broker.infer(model, self.config.priority, vec![(name, Tensor::from(input))])?;
        let [(_, a, b), (_, c, d), (_, e, f)] = LEVELS;
        let levels = [(outputs.f32(a)?, outputs.f32(b)?), (outputs.f32(c)?, outputs.f32(d)?), (outputs.f32(e)?, outputs.f32(f)?)];
        let objects = detect::postprocess(&levels, &self.config.settings)?;
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
        let embedding = classify::embedding(&logits).ok_or(VisionError::Logits)?;
        Ok(Some(Classification { probabilities, embedding, origin: Origin::of(model, &outputs) }))
    }

    /// Everything about a picture; from the cache if the same pixels were analysed before.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn analyse(&mut self, image: &RgbImage) -> Result<Analysis, VisionError> {
        let id = image_id(image);
        if let Some(known) = self.cache.get(&id) {
            return Ok(known.clone());
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
        let guess = scene::scene(classification.map(|c| c.probabilities.as_slice()), &objects);
        let dominant_colors = color::dominant_colors(image);
        let lighting = color::lighting_of_look(look);
        let complexity = (0.4 * (features.edge_density / 0.25).min(1.0)
            + 0.3 * features.texture_complexity
            + 0.3 * (objects.len() as f32 / 10.0).min(1.0))
        .clamp(0.0, 1.0);
        let mut origin = Origin::default();
        for part in [detections.map(|d| &d.origin), classification.map(|c| &c.origin)].into_iter().flatten() {
            origin = origin.and(part);
        }
        origin = origin.and(&Origin::algorithm(scene::RULE));
        origin.degraded = detections.is_none() || classification.is_none();
        let description = describe(guess.scene, lighting, &objects, &dominant_colors);
        let analysis = Analysis {
            image_id: id,
            scene: guess.scene,
            scene_confidence: guess.confidence,
            objects,
            dominant_colors,
            lighting,
            complexity,
            description,
            origin,
        };
        self.cache.put(&analysis.image_id, analysis.clone());
        analysis
    }

    /// The analysis of a picture seen before, by its name.
    pub fn cached(&mut self, image_id: &str) -> Option<&Analysis> {
        self.cache.get(image_id)
    }

    /// Forgets all analyses.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
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

/// One sentence: place, light, objects with their numbers, colours.
fn describe(scene: SceneType, lighting: Lighting, objects: &[DetectedObject], colors: &[DominantColor]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for object in objects {
        let n = counts.entry(&object.label).or_default();
        *n += 1;
        if *n == 1 {
            order.push(&object.label);
        }
    }
    let seen: Vec<String> = order.iter().map(|label| format!("{} {label}", counts[label])).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in colors.iter().map(|c| color::color_name(c.rgb)) {
        if !names.contains(&name) && names.len() < 2 {
            names.push(name);
        }
    }
    format!(
        "{} scene, {} light; {}; mainly {}",
        scene.as_str(),
        lighting.as_str(),
        if seen.is_empty() { "no known objects".to_owned() } else { seen.join(", ") },
        if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::BoundingBox;

    #[test]
    fn a_description_counts_what_is_there() {
        let cup = DetectedObject::new("cup", 0.5, BoundingBox { x: 0.0, y: 0.0, width: 0.1, height: 0.1 });
        let colors = [DominantColor { rgb: [120, 70, 20], share: 0.7 }, DominantColor { rgb: [245, 245, 245], share: 0.3 }];
        assert_eq!(
            describe(SceneType::Indoor, Lighting::Normal, &[cup.clone(), cup], &colors),
            "indoor scene, normal light; 2 cup; mainly brown and white"
        );
        assert_eq!(
            describe(SceneType::Unknown, Lighting::Unknown, &[], &[]),
            "unknown scene, unknown light; no known objects; mainly nothing"
        );
    }
}
