//! Networks that no registry has (a Places-type classifier, an image-text pair), by small ones made for this test (`tests/data/tiny`).
//! Skipped, saying so, where ONNX Runtime is not in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{Rgb, RgbImage};
use models::testing::broker_or_skip;
use models::{Broker, BrokerConfig, Catalogue, Priority, Store, sha256_hex};
use omnimind_vision::analyse::{Analyser, AnalyserConfig};
use omnimind_vision::pair::{ImageTextPair, PairError};
use omnimind_vision::places::{PlaceModel, PlacesError};
use omnimind_vision::scene::SceneType;
use omnimind_vision::search::{ImageIndex, View};
use omnimind_vision::text::{TextEncoder, TextError};

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny").join(name)
}

/// A broker whose catalogue has one more model, with these files (name in the entry, file on the disk).
fn broker(decoder: &str, files: &[(&str, PathBuf)]) -> Option<Arc<Broker>> {
    broker_or_skip(&["onnxruntime"])?;
    let mut yaml = format!(
        "version: 1\nmodels:\n  mine:\n    task: test\n    version: '7'\n    licence: Apache-2.0\n    origin: made for this test\n    decoder: {decoder}\n    files:\n"
    );
    for (name, path) in files {
        let content = fs::read(path).unwrap();
        let (sha256, bytes) = (sha256_hex(path).unwrap(), content.len().max(1));
        yaml += &format!("      - {{name: {name}, path: {}, sha256: {sha256}, bytes: {bytes}}}\n", path.display());
    }
    let catalogue = Catalogue::built_in().unwrap().merged(Catalogue::parse(&yaml, "test").unwrap());
    let store = Store::new(catalogue, Store::open().unwrap().cache().to_owned());
    Some(Arc::new(Broker::new(store, BrokerConfig::default())))
}

fn flat(r: u8, g: u8, b: u8) -> RgbImage {
    RgbImage::from_pixel(40, 30, Rgb([r, g, b]))
}

const RED: (u8, u8, u8) = (220, 30, 30);
const GREEN: (u8, u8, u8) = (30, 220, 30);
const BLUE: (u8, u8, u8) = (30, 30, 220);

fn picture((r, g, b): (u8, u8, u8)) -> RgbImage {
    flat(r, g, b)
}

fn places_files() -> Vec<(&'static str, PathBuf)> {
    vec![("model", tiny("places.onnx")), ("labels", tiny("labels.txt")), ("preprocess", tiny("preprocess.json"))]
}

fn clip_files() -> Vec<(&'static str, PathBuf)> {
    vec![
        ("image", tiny("image.onnx")),
        ("text", tiny("text.onnx")),
        ("tokenizer", tiny("tokenizer.json")),
        ("preprocess", tiny("preprocess.json")),
    ]
}

#[test]
fn a_places_network_tells_the_scene() {
    let Some(broker) = broker("places", &places_files()) else { return };
    let model = PlaceModel::load(broker, "mine", 1, Priority::MISSION).unwrap();
    for (color, scene) in [(RED, SceneType::Residential), (GREEN, SceneType::Natural), (BLUE, SceneType::Urban)] {
        let (guess, origin) = model.scene(&picture(color)).unwrap();
        assert!(guess.scene == scene && guess.confidence > 0.99, "{guess:?}");
        assert_eq!((origin.model.as_str(), origin.version.as_str()), ("mine", "7"));
    }
    // White: a home, nature or a city, each a third; two of them are outside.
    let (guess, _) = model.scene(&flat(220, 220, 220)).unwrap();
    assert!(guess.scene == SceneType::Outdoor && (guess.confidence - 2.0 / 3.0).abs() < 0.01, "{guess:?}");
    // Grey: all four classes alike, neither inside nor outside.
    let (guess, _) = model.scene(&flat(128, 128, 128)).unwrap();
    assert_eq!((guess.scene, guess.confidence), (SceneType::Unknown, 0.0));
    // Black: the fourth class, a museum.
    assert_eq!(model.scene(&flat(0, 0, 0)).unwrap().0.scene, SceneType::Indoor);
}

#[test]
fn the_temperature_of_the_calibration_lowers_the_confidence() {
    let mut files = places_files();
    files.push(("calibration", tiny("calibration.json")));
    let Some(soft) = broker("places", &files) else { return };
    let Some(hard) = broker("places", &places_files()) else { return };
    let guess = |broker| {
        let model = PlaceModel::load(broker, "mine", 1, Priority::MISSION).unwrap();
        model.scene(&flat(150, 128, 110)).unwrap().0
    };
    // The logits are 20 (2 v / 255 - 1) and 0.
    let p = |t: f32| {
        let logits = [150.0_f32, 128.0, 110.0].map(|v| (20.0 * (2.0 * v / 255.0 - 1.0) / t).exp());
        logits[0] / (logits.iter().sum::<f32>() + 1.0)
    };
    let hard = guess(hard);
    assert!(hard.scene == SceneType::Residential && (hard.confidence - p(1.0)).abs() < 0.01, "{hard:?}");
    // By hand, at a quarter of each logit: a home 0.4892, nature 0.2064, a city 0.1019, a museum 0.2024. No kind is clear, but inside is: 0.6916.
    let soft = guess(soft);
    assert!(soft.scene == SceneType::Indoor && (soft.confidence - 0.6916).abs() < 0.01, "{soft:?}");
}

#[test]
fn an_image_text_pair_tells_the_scene_and_the_analysis_names_it() {
    let Some(broker) = broker("clip", &clip_files()) else { return };
    let model = PlaceModel::load(broker.clone(), "mine", 1, Priority::MISSION).unwrap();
    for (color, scene) in [(RED, SceneType::Residential), (GREEN, SceneType::Natural), (BLUE, SceneType::Urban)] {
        assert_eq!(model.scene(&picture(color)).unwrap().0.scene, scene);
    }
    let config = AnalyserConfig {
        detector: String::new(),
        classifier: String::new(),
        places: "mine".to_owned(),
        ..AnalyserConfig::default()
    };
    let mut analyser = Analyser::new(broker, config);
    assert!(analyser.problems().iter().all(|p| !p.contains("scene network")), "{:?}", analyser.problems());
    let analysis = analyser.analyse(&picture(GREEN)).unwrap();
    assert_eq!(analysis.scene, SceneType::Natural);
    assert_eq!(analysis.origin.model, "mine/image");
    assert_eq!((analyser.trouble(), analyser.labelling().model.as_str()), (None, "mine/image"));
}

#[test]
fn words_find_pictures_in_the_space_of_a_pair() {
    let Some(broker) = broker("clip", &clip_files()) else { return };
    let mut pair = ImageTextPair::load(broker, "mine", 1, Priority::MISSION).unwrap();
    let mut index = ImageIndex::new(10);
    for (at, color) in [(1, RED), (2, GREEN), (3, BLUE)] {
        let (vector, _) = pair.embed_image(&picture(color)).unwrap();
        index.remember(View { first_ns: at, last_ns: at, pair: vector, ..View::default() });
    }
    for (words, at) in [("something Red", 1), ("a green landscape", 2), ("the street", 3)] {
        let hits = index.like_pair(&pair.text.embed(words).unwrap(), 2);
        assert_eq!((hits.len(), hits[0].view.first_ns), (2, at), "{words}: {hits:?}");
        assert!(hits[0].similarity > 0.5 && hits[1].similarity == 0.0);
    }
    assert!(matches!(pair.text.embed("purple"), Err(TextError::Vector(_))), "words that it does not know are nothing");
    assert!(matches!(pair.text.embed("  "), Err(TextError::Length { .. })));
    assert!(matches!(pair.text.embed(&"red ".repeat(5000)), Err(TextError::Length { .. })));
    assert!(pair.text.embed(&"red ".repeat(500)).is_ok(), "what is too long for the network is cut");
}

#[test]
fn an_entry_that_does_not_fit_is_refused_in_words() {
    let load = |decoder: &str, files: &[(&str, PathBuf)]| {
        broker(decoder, files).map(|b| PlaceModel::load(b, "mine", 1, Priority::MISSION).unwrap_err())
    };
    let replaced = |name: &str, by: PathBuf| {
        let old = if name == "image" || name == "tokenizer" { clip_files() } else { places_files() };
        old.into_iter().map(|(n, path)| (n, if n == name { by.clone() } else { path })).collect::<Vec<_>>()
    };
    let folder = std::env::temp_dir().join(format!("omnimind-networks-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let Some(error) = load("nanodet", &places_files()) else { return };
    assert!(matches!(error, PlacesError::Decoder { .. }), "{error}");
    let error = load("places", &places_files()[..1]).unwrap();
    assert!(error.to_string().contains("labels"), "{error}");
    let error = load("places", &replaced("labels", file("labels", "/a/airfield 9\n"))).unwrap();
    assert!(error.to_string().contains("line 1"), "{error}");
    let error = load("places", &replaced("preprocess", file("preprocess", r#"{"size": 99}"#))).unwrap();
    assert!(error.to_string().contains("99"), "{error}");
    let error = load("places", &replaced("model", file("model", "no network"))).unwrap();
    assert!(matches!(error, PlacesError::Load(_)), "{error}");
    let error = load("clip", &replaced("tokenizer", file("tokenizer", "{}"))).unwrap();
    assert!(matches!(error, PlacesError::Pair(PairError::Text(TextError::Tokenizer { .. }))), "{error}");
    let error = load("clip", &replaced("image", tiny("text.onnx"))).unwrap();
    assert!(matches!(error, PlacesError::Pair(PairError::Network { .. })), "{error}");
    // Two labels for four classes are noticed at the first picture.
    let two = broker("places", &replaced("labels", file("two", "a indoor\nb outdoor\n"))).unwrap();
    let model = PlaceModel::load(two, "mine", 1, Priority::MISSION).unwrap();
    assert!(matches!(model.scene(&picture(RED)), Err(PlacesError::Classes { found: 4, labels: 2, .. })));
    // The analysis then has the scene by the rule, and says why.
    let two = broker("places", &replaced("labels", folder.join("two"))).unwrap();
    let none = String::new;
    let config = AnalyserConfig { detector: none(), classifier: none(), places: "mine".to_owned(), ..AnalyserConfig::default() };
    let mut analyser = Analyser::new(two, config);
    assert!(analyser.problems().iter().all(|p| !p.contains("scene network")) && analyser.trouble().is_none());
    let analysis = analyser.analyse(&picture(RED)).unwrap();
    assert!(analysis.origin.degraded && !analysis.origin.model.contains("mine"));
    assert!(analyser.trouble().unwrap().contains('4') && analyser.trouble().unwrap().contains('2'), "{:?}", analyser.trouble());
    assert!(matches!(
        TextEncoder::load(broker("places", &places_files()).unwrap(), "mine", 1, Priority::MISSION),
        Err(TextError::Decoder { .. })
    ));
    fs::remove_dir_all(&folder).unwrap();
}
