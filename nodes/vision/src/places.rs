//! Kind of place by a network of the catalogue, in place of the rule of [`crate::scene`]. None comes with the program.
//!
//! Two kinds of entries are read. `decoder: places`: a network whose output is a class distribution or its logits (365 classes of Places365,
//! Zhou et al. 2017, or any other number), with a file `labels` of one line for each class. `decoder: clip`: an image-text pair
//! ([`crate::pair`]); the picture is held against a sentence for each kind of place.
//!
//! A line of `labels` is a class name and, after a blank, what it means: one of the seven words, or the numbers of Places365's own file
//! IO_places365.txt, 1 (inside) or 2 (outside); then, or if there is nothing, words of the name tell the finer kind ([`kind_of_place`]).
//! A file `calibration`, JSON `{"temperature": t}`, divides the logits by `t` (Guo et al. 2017), so that the confidence is what a
//! labelled set says that it is; without one `t` is 1.

use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;
use models::{Broker, InferError, LoadError, ModelHandle, Priority, Tensor, TensorError};

use crate::analyse::Origin;
use crate::classify::cosine;
use crate::pair::{ImageTextPair, PairError, Preparation, preparation};
use crate::scene::{KINDS, SceneGuess, SceneType, decide_shares};

/// What CLIP's cosines are multiplied by before the softmax (its learned scale ends at 100).
const CLIP_SCALE: f32 = 100.0;
/// A sentence for each of [`KINDS`].
const SENTENCES: [&str; 6] = [
    "a photo of the inside of a building",
    "a photo taken outdoors",
    "a photo of a city street with buildings",
    "a photo of a natural landscape",
    "a photo of an office or a workshop",
    "a photo of a room in a home",
];

/// Why there is no scene network, or no answer of it.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// A network or file is not there.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The catalogue's entry is of another kind.
    #[error("model {model} has the decoder `{decoder}`, scenes need `places` or `clip`")]
    Decoder {
        /// Key in the catalogue.
        model: String,
        /// What it says.
        decoder: String,
    },
    /// A file of the entry is not usable.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The network gives another number of classes than there are labels, or numbers that are none.
    #[error("model {model} gave {found} numbers for {labels} labels, or not all of them are finite")]
    Classes {
        /// Key in the catalogue.
        model: String,
        /// Numbers found.
        found: usize,
        /// Lines of the file.
        labels: usize,
    },
    /// The pair, or how pictures are prepared.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The broker gave no result.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The output is of another type.
    #[error(transparent)]
    Output(#[from] TensorError),
}

/// Words of a place's name that tell its kind, the first that fits; of Places365's names and everyday language.
const WORDS: [(SceneType, &[&str]); 4] = [
    (
        SceneType::Workspace,
        &[
            "office",
            "cubicle",
            "workshop",
            "laboratory",
            "lab",
            "clean_room",
            "computer_room",
            "server_room",
            "conference",
            "factory",
            "assembly_line",
            "garage/indoor",
            "repair_shop",
            "engine_room",
            "operating_room",
            "reception",
            "loading_dock",
            "warehouse",
        ],
    ),
    (
        SceneType::Residential,
        &[
            "bedroom",
            "bedchamber",
            "living_room",
            "kitchen",
            "bathroom",
            "dining_room",
            "nursery",
            "childs_room",
            "dorm_room",
            "closet",
            "home",
            "house",
            "playroom",
            "pantry",
            "attic",
            "basement",
            "television_room",
            "utility_room",
            "balcony/interior",
            "apartment_building",
            "residential",
            "patio",
            "porch",
            "driveway",
            "yard",
            "mansion",
            "cottage",
            "chalet",
        ],
    ),
    (
        SceneType::Urban,
        &[
            "street",
            "alley",
            "downtown",
            "crosswalk",
            "plaza",
            "highway",
            "skyscraper",
            "building_facade",
            "bridge",
            "gas_station",
            "parking",
            "promenade",
            "market/outdoor",
            "bazaar/outdoor",
            "tower",
            "railroad",
            "train_station/platform",
            "bus_station",
            "construction_site",
            "church/outdoor",
            "cathedral/outdoor",
            "mosque/outdoor",
            "palace",
            "fire_escape",
            "embassy",
            "hospital/outdoor",
            "hotel/outdoor",
            "city",
            "storefront",
            "shopfront",
            "arch",
            "viaduct",
            "courthouse",
            "general_store/outdoor",
            "motel",
            "town",
        ],
    ),
    (
        SceneType::Natural,
        &[
            "forest",
            "mountain",
            "beach",
            "coast",
            "ocean",
            "lake",
            "river",
            "creek",
            "waterfall",
            "canyon",
            "desert",
            "field",
            "glacier",
            "snowfield",
            "tundra",
            "valley",
            "volcano",
            "cliff",
            "butte",
            "badlands",
            "bamboo",
            "rainforest",
            "swamp",
            "marsh",
            "pasture",
            "hayfield",
            "wheat",
            "corn",
            "vineyard",
            "orchard",
            "islet",
            "ice_floe",
            "ice_shelf",
            "iceberg",
            "lagoon",
            "sky",
            "wave",
            "pond",
            "hot_spring",
            "rock_arch",
            "grotto",
            "underwater",
            "tree_farm",
            "rice_paddy",
            "crevasse",
            "watering_hole",
            "woods",
        ],
    ),
];

/// The kind of a place by its name, as `/b/bedroom` or `street`: by its words, and by `indoor` or `outdoor` in it.
pub fn kind_of_place(name: &str) -> Option<SceneType> {
    let name = name.trim().to_lowercase().replace([' ', '-'], "_");
    // Places365 puts the first letter in front.
    let name = match name.as_bytes() {
        [b'/', _, b'/', ..] => &name[3..],
        _ => name.as_str(),
    };
    let has = |word: &str| {
        name.match_indices(word).any(|(at, _)| {
            let edge = |b: Option<&u8>| b.is_none_or(|b| !b.is_ascii_alphanumeric());
            edge(at.checked_sub(1).and_then(|n| name.as_bytes().get(n))) && edge(name.as_bytes().get(at + word.len()))
        })
    };
    let fine = WORDS.iter().find(|(_, words)| words.iter().any(|w| has(w))).map(|(kind, _)| *kind);
    let coarse = if has("outdoor") || has("exterior") {
        Some(SceneType::Outdoor)
    } else if has("indoor") || has("interior") {
        Some(SceneType::Indoor)
    } else {
        None
    };
    match (fine, coarse) {
        (Some(fine), Some(coarse)) if fine.inside() == Some(coarse == SceneType::Indoor) => Some(fine),
        (_, Some(coarse)) => Some(coarse),
        (fine, None) => fine,
    }
}

/// The kinds of the classes, from the text of a `labels` file; a class that tells nothing is `None`.
///
/// # Errors
/// What is wrong with a line.
pub fn read_labels(text: &str) -> Result<Vec<Option<SceneType>>, String> {
    let line = |(number, line): (usize, &str)| -> Result<Option<SceneType>, String> {
        let line = line.trim();
        let (name, meaning) = line.rsplit_once([' ', '\t', ',']).map_or((line, ""), |(n, m)| (n.trim(), m.trim()));
        if let Some(kind) = SceneType::of_word(meaning) {
            return Ok((kind != SceneType::Unknown).then_some(kind));
        }
        let coarse = match meaning {
            "1" => SceneType::Indoor,
            "2" => SceneType::Outdoor,
            "" => return Ok(kind_of_place(line)),
            other if other.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(format!("line {}: `{other}` is neither 1 (indoor) nor 2 (outdoor)", number + 1));
            }
            // The last word belongs to the name.
            _ => return Ok(kind_of_place(line)),
        };
        let fine = kind_of_place(name).filter(|k| k.inside() == coarse.inside());
        Ok(Some(fine.unwrap_or(coarse)))
    };
    let kinds = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(line).collect::<Result<Vec<_>, _>>()?;
    if kinds.iter().all(Option::is_none) {
        return Err("no line tells a kind of place".to_owned());
    }
    Ok(kinds)
}

/// Probabilities from a network's numbers: themselves if they are a distribution already and `temperature` is 1, else the softmax of
/// them (or of their logarithms) over `temperature`. `None` unless all are finite.
fn distribution(values: &[f32], temperature: f32) -> Option<Vec<f32>> {
    if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let sum: f32 = values.iter().sum();
    let known = values.iter().all(|v| (0.0..=1.0).contains(v)) && (sum - 1.0).abs() < 1e-3;
    let logit = |v: f32| if known { v.max(1e-12).ln() } else { v } / temperature;
    let largest = values.iter().map(|v| logit(*v)).fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = values.iter().map(|v| (logit(*v) - largest).exp()).collect();
    let sum: f32 = weights.iter().sum();
    Some(weights.iter().map(|w| w / sum).collect())
}

#[derive(Debug)]
enum Head {
    Places { model: ModelHandle, how: Preparation, kinds: Vec<Option<SceneType>>, output: String },
    Clip { pair: Box<ImageTextPair>, sentences: Vec<Vec<f32>> },
}

/// A scene network.
#[derive(Debug)]
pub struct PlaceModel {
    broker: Arc<Broker>,
    priority: Priority,
    temperature: f32,
    head: Head,
}

impl PlaceModel {
    /// Loads a model of the catalogue whose decoder is `places` or `clip`.
    ///
    /// # Errors
    /// [`PlacesError`].
    pub fn load(broker: Arc<Broker>, name: &str, threads: usize, priority: Priority) -> Result<Self, PlacesError> {
        let entry = broker.store().catalogue().model(name).map_err(|e| LoadError::Store(e.into()))?;
        let read = |file: &str| -> Result<(PathBuf, String), PlacesError> {
            let path = broker.store().locate(&format!("{name}/{file}")).map_err(LoadError::from)?;
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok((path, text)),
                Err(e) => Err(PlacesError::File { path, reason: e.to_string() }),
            }
        };
        let mut temperature = 1.0;
        if entry.file("calibration").is_ok() {
            let (path, text) = read("calibration")?;
            let value: Option<f64> =
                serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|v| v.get("temperature")?.as_f64());
            let usable = value.map(|t| t as f32).filter(|t| t.is_finite() && *t > 0.0);
            let reason = "not of the form {\"temperature\": number above 0}".to_owned();
            temperature = usable.ok_or(PlacesError::File { path, reason })?;
        }
        let head = match entry.decoder.as_str() {
            "places" => {
                let (path, text) = read("labels")?;
                let kinds = read_labels(&text).map_err(|reason| PlacesError::File { path, reason })?;
                let model = broker.load_with_threads(name, threads)?;
                let how = preparation(&broker, name, &model, Preparation::IMAGENET)?;
                let output = model.outputs().first().map_or_else(String::new, |p| p.name.clone());
                Head::Places { model, how, kinds, output }
            }
            "clip" => {
                let mut pair = ImageTextPair::load(broker.clone(), name, threads, priority)?;
                let embed = |s: &&str| pair.text.embed(s).map_err(PairError::from);
                let sentences = SENTENCES.iter().map(embed).collect::<Result<Vec<_>, _>>()?;
                Head::Clip { pair: Box::new(pair), sentences }
            }
            other => return Err(PlacesError::Decoder { model: name.to_owned(), decoder: other.to_owned() }),
        };
        Ok(Self { broker, priority, temperature, head })
    }

    /// The network's name and version.
    pub fn model(&self) -> (&str, &str) {
        match &self.head {
            Head::Places { model, .. } => (model.name(), model.version()),
            Head::Clip { pair, .. } => pair.model(),
        }
    }

    /// The kind of place, and who says so.
    ///
    /// # Errors
    /// [`PlacesError`].
    pub fn scene(&self, image: &RgbImage) -> Result<(SceneGuess, Origin), PlacesError> {
        let mut shares = [0.0; 6];
        let origin = match &self.head {
            Head::Places { model, how, kinds, output } => {
                let input = Tensor::from(how.input(image).map_err(PairError::from)?);
                let name = model.inputs().first().map_or("input", |p| p.name.as_str());
                let outputs = self.broker.infer(model, self.priority, vec![(name, input)])?;
                let values: Vec<f32> = outputs.f32(output)?.iter().copied().collect();
                let classes =
                    || PlacesError::Classes { model: model.name().to_owned(), found: values.len(), labels: kinds.len() };
                if values.len() != kinds.len() {
                    return Err(classes());
                }
                let p = distribution(&values, self.temperature).ok_or_else(classes)?;
                for (p, kind) in p.iter().zip(kinds) {
                    if let Some(at) = kind.and_then(|kind| KINDS.iter().position(|k| *k == kind)) {
                        shares[at] += p;
                    }
                }
                Origin::of(model, &outputs)
            }
            Head::Clip { pair, sentences } => {
                let (vector, origin) = pair.embed_image(image)?;
                let logits: Vec<f32> = sentences.iter().map(|s| CLIP_SCALE * cosine(&vector, s)).collect();
                if let Some(p) = distribution(&logits, self.temperature) {
                    shares.copy_from_slice(&p);
                }
                origin
            }
        };
        Ok((decide_shares(&shares), origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SceneType::{Indoor, Natural, Outdoor, Residential, Urban, Workspace};

    #[test]
    fn names_of_places_tell_their_kind() {
        for (name, kind) in [
            ("/b/bedroom", Some(Residential)),
            ("/o/office", Some(Workspace)),
            ("/s/street", Some(Urban)),
            ("/f/forest/broadleaf", Some(Natural)),
            ("/c/church/indoor", Some(Indoor)),
            ("/c/church/outdoor", Some(Urban)),
            ("/s/swimming_pool/outdoor", Some(Outdoor)),
            ("/h/home_office", Some(Workspace)),
            ("/a/amphitheater", None),
        ] {
            assert_eq!(kind_of_place(name), kind, "{name}");
        }
    }

    #[test]
    fn label_files_of_both_forms_are_read() {
        let kinds = read_labels("/a/airfield 2\n/b/bedroom 1\n/s/street 2\n/m/museum/indoor 1\n").unwrap();
        assert_eq!(kinds, [Some(Outdoor), Some(Residential), Some(Urban), Some(Indoor)]);
        let own = read_labels("garden shed natural\nplain unknown\ncity street\n").unwrap();
        assert_eq!(own, [Some(Natural), None, Some(Urban)]);
        assert!(read_labels("/a/airfield 7\n").unwrap_err().contains("line 1"));
        assert!(read_labels("").is_err());
    }

    #[test]
    fn a_temperature_softens_and_a_distribution_stays_one() {
        let p = [0.7, 0.2, 0.1];
        let same = distribution(&p, 1.0).unwrap();
        assert!(same.iter().zip(p).all(|(a, b)| (a - b).abs() < 1e-5));
        let soft = distribution(&p, 2.0).unwrap();
        assert!(soft[0] < 0.6 && (soft.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let logits = distribution(&[3.0, -1.0], 1.0).unwrap();
        assert!((logits[0] - 1.0 / (1.0 + (-4.0_f32).exp())).abs() < 1e-6);
        assert!(distribution(&[f32::NAN], 1.0).is_none() && distribution(&[], 1.0).is_none());
    }
}
