//! Every form of output through catalogue, broker and decoder: small networks made for the test, and what they see computed elsewhere
//! (`tests/detectors_reference.py`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{Rgb, RgbImage};
use models::testing::broker_or_skip;
use models::{Broker, BrokerConfig, Catalogue, Store};
use omnimind_vision::{Analyser, AnalyserConfig, Category, DetectorSettings};

#[derive(serde::Deserialize)]
struct Expected {
    side: u32,
    width: u32,
    height: u32,
    colour: [u8; 3],
    labels: File,
    settings: Settings,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct File {
    sha256: String,
    bytes: u64,
}

#[derive(serde::Deserialize)]
struct Settings {
    threshold: f32,
    iou: f32,
    most: usize,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    decoder: String,
    picture: serde_json::Map<String, serde_json::Value>,
    bytes: u64,
    sha256: String,
    expected: Vec<Seen>,
}

#[derive(serde::Deserialize)]
struct Seen {
    label: String,
    score: f32,
    #[serde(rename = "box")]
    edges: [f32; 4],
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/detectors")
}

fn expected() -> Expected {
    serde_json::from_str(&std::fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap()
}

/// A user's catalogue with one network under `name`; `change` may spoil the entry.
fn entry(all: &Expected, case: &Case, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut picture = case.picture.clone();
    picture.insert("width".into(), all.side.into());
    picture.insert("height".into(), all.side.into());
    let file = |name: &str, path: String, sha256: &str, bytes: u64| serde_json::json!({"name": name, "path": folder().join(path), "sha256": sha256, "bytes": bytes});
    let mut model = serde_json::json!({
        "task": "object_detection", "version": "1", "licence": "Apache-2.0", "origin": "made for this test", "decoder": case.decoder,
        "picture": picture,
        "files": [
            file("model", format!("{}.onnx", case.name), &case.sha256, case.bytes),
            file("labels", "labels.txt".to_owned(), &all.labels.sha256, all.labels.bytes),
        ],
    });
    change(&mut model);
    // JSON is YAML.
    let mut text = String::from("version: 1\nmodels:\n");
    writeln!(text, "  mine: {model}").unwrap();
    text
}

fn analyser(catalogue: &str, settings: DetectorSettings) -> Analyser {
    let mine = Catalogue::parse(catalogue, "mine.yaml").unwrap();
    let cache = Store::open().unwrap().cache().to_owned();
    let store = Store::new(Catalogue::built_in().unwrap().merged(mine), cache);
    let config = AnalyserConfig { detector: "mine".into(), classifier: String::new(), settings, ..AnalyserConfig::default() };
    Analyser::new(Arc::new(Broker::new(store, BrokerConfig::default())), config)
}

#[test]
fn every_decoder_sees_what_the_published_definition_says() {
    let Some(_) = broker_or_skip(&["onnxruntime"]) else { return };
    let all = expected();
    let Settings { threshold, iou, most } = all.settings;
    let settings = DetectorSettings { confidence_threshold: threshold, iou_threshold: iou, max_objects: most };
    let image = RgbImage::from_pixel(all.width, all.height, Rgb(all.colour));
    for case in &all.cases {
        let analyser = analyser(&entry(&all, case, |_| {}), settings);
        assert!(analyser.can_detect(), "{}: {:?}", case.name, analyser.problems());
        let seen = analyser.detect(&image).unwrap().unwrap();
        assert_eq!(seen.origin.model, "mine");
        let labels: Vec<&str> = seen.objects.iter().map(|o| &*o.label).collect();
        assert_eq!(labels, case.expected.iter().map(|e| e.label.as_str()).collect::<Vec<_>>(), "{}", case.name);
        for (object, expected) in seen.objects.iter().zip(&case.expected) {
            assert!((object.confidence - expected.score).abs() < 1e-4, "{}: {object:?} {}", case.name, expected.score);
            for (edge, expected) in object.bounding_box.edges().into_iter().zip(expected.edges) {
                assert!((edge - expected).abs() < 1e-4, "{}: {object:?} {expected:?}", case.name);
            }
            let category = match &*object.label {
                "forklift" => Category::Vehicle,
                "apple tree" => Category::Plant,
                _ => Category::Person,
            };
            assert_eq!(object.category, category);
        }
        println!("{}: {} objects as expected", case.name, labels.len());
    }
}

#[test]
fn what_is_wrong_with_an_entry_is_said_in_words() {
    let Some(_) = broker_or_skip(&["onnxruntime"]) else { return };
    let all = expected();
    let case = all.cases.iter().find(|c| c.name == "yolox").unwrap();
    let problem = |change: &dyn Fn(&mut serde_json::Value)| {
        let analyser = analyser(&entry(&all, case, |model| change(model)), DetectorSettings::default());
        assert!(!analyser.can_detect());
        analyser.problems().join("; ")
    };
    let unknown = problem(&|m| m["decoder"] = "yolo_of_tomorrow".into());
    assert!(unknown.contains("yolo_of_tomorrow") && unknown.contains("nanodet, yolox, yolo_v8, detr"), "{unknown}");
    let none = problem(&|m| {
        m.as_object_mut().unwrap().remove("picture");
    });
    assert!(none.contains("`picture` is missing"), "{none}");
    let size = problem(&|m| m["picture"]["width"] = 96.into());
    assert!(size.contains("[1, 3, 64, 96]") && size.contains("[1, 3, 64, 64]"), "{size}");
    let hash = problem(&|m| m["files"][0]["sha256"] = "0".repeat(64).into());
    assert!(hash.contains("mine"), "{hash}");
    let gone = problem(&|m| m["files"][1]["path"] = "/nowhere/labels.txt".into());
    assert!(gone.contains("labels"), "{gone}");

    // No class at all, and more classes than the network has.
    let folder = tempfile::tempdir().unwrap();
    let with_labels = |text: &'static str| {
        let path = folder.path().join(format!("{}.txt", text.len()));
        std::fs::write(&path, text).unwrap();
        let sha256 = models::sha256_hex(&path).unwrap();
        move |m: &mut serde_json::Value| {
            m["files"][1] = serde_json::json!({"name": "labels", "path": path, "sha256": sha256, "bytes": text.len()});
        }
    };
    let empty = problem(&with_labels("\n\n\n"));
    assert!(empty.contains("names no class"), "{empty}");
    let many = analyser(&entry(&all, case, with_labels("a\nb\nc\nd\n")), DetectorSettings::default());
    let error = many.detect(&RgbImage::new(20, 20)).unwrap_err().to_string();
    assert!(error.contains("[1,84,9]") && error.contains("[1, 84, 8]"), "{error}");
    // Read by another decoder.
    let other = analyser(&entry(&all, case, |m| m["decoder"] = "detr".into()), DetectorSettings::default());
    let error = other.detect(&RgbImage::new(20, 20)).unwrap_err().to_string();
    assert!(error.contains("`detr`") && error.contains("`output` [1, 84, 8]"), "{error}");
}

#[test]
fn analyses_of_other_settings_are_kept_apart() {
    let Some(_) = broker_or_skip(&["onnxruntime"]) else { return };
    let all = expected();
    let case = all.cases.iter().find(|c| c.name == "yolo_v8").unwrap();
    let mut analyser = analyser(&entry(&all, case, |_| {}), DetectorSettings::default());
    let image = RgbImage::from_pixel(all.width, all.height, Rgb(all.colour));
    let first = analyser.analyse(&image).unwrap();
    for other in [
        DetectorSettings { confidence_threshold: 0.9, ..DetectorSettings::default() },
        DetectorSettings { iou_threshold: 0.05, ..DetectorSettings::default() },
        DetectorSettings { max_objects: 1, ..DetectorSettings::default() },
    ] {
        analyser.set_settings(other);
        assert_eq!(analyser.cached(&first.image_id), None);
        assert_ne!(analyser.analyse(&image).unwrap().objects, first.objects, "{other:?}");
    }
    analyser.set_settings(DetectorSettings::default());
    assert_eq!(analyser.cached(&first.image_id).map(|kept| &kept.analysis), Some(&first));
}
