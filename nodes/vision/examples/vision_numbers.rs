//! This crate's numbers as JSON lines, for the comparison with OpenCV, scikit-image, scikit-learn and ImageHash in `tests/opencv_check.py`.
//!
//! usage: vision_numbers features FILES | pairs A B A B ... | keypoints FILES | matches A B | similarity FILES | scenes FILES | search WORDS FILES

use std::error::Error;
use std::sync::Arc;

use image::RgbImage;
use models::{Broker, Priority};
use omnimind_vision::color::{dominant_colors, hue_entropy, lab_from_rgb, lighting};
use omnimind_vision::features::{cooccurrence_entropy, features_of_look, pattern_entropy_above};
use omnimind_vision::gray::GrayF;
use omnimind_vision::keypoints::{self, KeypointDetector, KeypointSettings, Keypoints, MIN_COSINE, matches};
use omnimind_vision::motion::MotionFrame;
use omnimind_vision::revisit;
use omnimind_vision::search::{ImageIndex, View, labels};
use omnimind_vision::similarity::{difference_hash, perceptual_hash, similarity, ssim};
use omnimind_vision::text::TextEncoder;
use omnimind_vision::{Analyser, AnalyserConfig, decode, geometry};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn open(path: &str) -> Result<RgbImage> {
    Ok(decode(&std::fs::read(path).map_err(|e| format!("{path}: {e}"))?)?)
}

fn features(path: &str) -> Result<Value> {
    let image = open(path)?;
    let (gray, look) = (GrayF::from_rgb(&image), GrayF::look(&image));
    let f = features_of_look(&image, &look);
    let colors: Vec<Value> = dominant_colors(&image).iter().map(|c| json!({"rgb": c.rgb, "share": c.share})).collect();
    let middle = image.get_pixel(image.width() / 2, image.height() / 2).0;
    // Patterns and pairs in whole levels, as the others compute them.
    let whole = GrayF { data: look.data.iter().map(|v| (v + 0.5).floor()).collect(), ..look.clone() };
    Ok(json!({
        "file": path, "edge_density": f.edge_density, "texture": f.texture_complexity, "glcm": f.texture_glcm,
        "lbp_textbook": pattern_entropy_above(&whole, -0.5), "glcm_whole": cooccurrence_entropy(&whole),
        "color_diversity": hue_entropy(&image), "symmetry": f.symmetry,
        "layout": [f.layout.top, f.layout.bottom, f.layout.left, f.layout.right, f.layout.center],
        "lighting": lighting(&image).as_str(), "colors": colors, "middle": middle, "middle_lab": lab_from_rgb(middle),
        "phash": format!("{:016x}", perceptual_hash(&gray)), "dhash": format!("{:016x}", difference_hash(&gray)),
    }))
}

fn pair(a: &str, b: &str) -> Result<Value> {
    let (a, b) = (GrayF::from_rgb(&open(a)?), GrayF::from_rgb(&open(b)?));
    let motion = MotionFrame::new(&b).motion_since(&MotionFrame::new(&a));
    Ok(json!({
        "ssim": ssim(&a, &b), "motion": motion.map(|m| m.score), "shift": motion.map(|m| m.camera.shift),
        "turn": motion.map(|m| m.camera.turn), "zoom": motion.map(|m| m.camera.zoom),
    }))
}

fn detector(broker: &Arc<Broker>) -> Result<KeypointDetector> {
    Ok(KeypointDetector::load(broker.clone(), "xfeat", 1, Priority::MISSION)?)
}

fn keypoints(detector: &KeypointDetector, path: &str) -> Result<Value> {
    let (found, _) = detector.keypoints(&open(path)?, &KeypointSettings::default())?;
    let points: Vec<[f32; 3]> = found.points.iter().map(|p| [p.x, p.y, p.score]).collect();
    Ok(json!({"file": path, "points": points, "descriptors": found.descriptors}))
}

fn matched(detector: &KeypointDetector, a: &str, b: &str) -> Result<Value> {
    let settings = KeypointSettings::default();
    let ((a, _), (b, _)) = (detector.keypoints(&open(a)?, &settings)?, detector.keypoints(&open(b)?, &settings)?);
    let pair = |m: &omnimind_vision::keypoints::KeypointMatch| {
        let (p, q) = (a.points[m.a], b.points[m.b]);
        [p.x, p.y, q.x, q.y, m.cosine]
    };
    let pairs: Vec<[f32; 5]> = matches(&a, &b, MIN_COSINE).iter().map(pair).collect();
    Ok(json!({"keypoints": [a.points.len(), b.points.len()], "matches": pairs}))
}

/// The common geometry of each two pictures, as the node's search looks at them.
fn places(detector: &KeypointDetector, files: &[String]) -> Result<Value> {
    let look = |path: &String| -> Result<(Keypoints, f64)> {
        let small = revisit::small(&open(path)?)?;
        let image = revisit::read(&small)?;
        Ok((detector.keypoints(&image, &revisit::SETTINGS)?.0, f64::from(image.width().max(image.height()))))
    };
    let looks = files.iter().map(look).collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for (n, (a, side_a)) in looks.iter().enumerate() {
        for (m, (b, side_b)) in looks.iter().enumerate().skip(n + 1) {
            let found = matches(a, b, MIN_COSINE);
            let pairs = keypoints::pairs(a, b, &found);
            let common = geometry::common(&pairs, [*side_a, *side_b]);
            let kind = common.as_ref().map(|c| format!("{:?}", c.kind).to_lowercase());
            rows.push(json!({
                "a": n, "b": m, "side": [side_a, side_b], "matches": pairs, "kind": kind, "matrix": common.as_ref().map(|c| c.matrix),
                "common": common.as_ref().map_or(0, |c| c.count), "same": common.as_ref().is_some_and(geometry::Common::same_place),
            }));
        }
    }
    Ok(json!(rows))
}

/// The score of each picture with each.
fn similarities(broker: &Arc<Broker>, files: &[String]) -> Result<Value> {
    let analyser = Analyser::new(broker.clone(), AnalyserConfig { detector: String::new(), ..AnalyserConfig::default() });
    let look = |path: &String| -> Result<(RgbImage, Vec<f32>)> {
        let image = open(path)?;
        let opinion = analyser.classify(&image)?.ok_or("no classifier")?;
        Ok((image, opinion.embedding))
    };
    let pictures = files.iter().map(look).collect::<Result<Vec<_>>>()?;
    let score = |a: &(RgbImage, Vec<f32>), b: &(RgbImage, Vec<f32>)| similarity(&a.0, &b.0, Some((&a.1, &b.1))).score;
    let rows: Vec<Vec<f32>> = pictures.iter().map(|a| pictures.iter().map(|b| score(a, b)).collect()).collect();
    Ok(json!({"files": files, "scores": rows}))
}

fn scene(analyser: &mut Analyser, path: &str) -> Result<Value> {
    let analysis = analyser.analyse(&open(path)?)?;
    Ok(json!({
        "file": path, "scene": analysis.scene.as_str(), "confidence": analysis.scene_confidence, "lighting": analysis.lighting.as_str(),
        "complexity": analysis.complexity, "description": analysis.description, "model": analysis.origin.model,
    }))
}

/// The pictures in the order in which they fit the words, by labels.
fn search(broker: &Arc<Broker>, words: &str, files: &[String]) -> Result<Value> {
    let mut analyser = Analyser::new(broker.clone(), AnalyserConfig::default());
    let mut index = ImageIndex::new(files.len());
    for path in files {
        let image = open(path)?;
        let opinion = analyser.classify(&image)?;
        let analysis = analyser.analyse(&image)?;
        let labels = labels(
            &analysis.objects,
            opinion.as_ref().map(|o| o.probabilities.as_slice()),
            analysis.scene,
            analysis.scene_confidence,
        );
        let embedding = opinion.map(|o| o.embedding).unwrap_or_default();
        index.remember(View { image_id: path.clone(), labels, embedding, ..View::default() });
    }
    let mut encoder = TextEncoder::load(broker.clone(), "minilm_l6_v2", 1, Priority::MISSION)?;
    let mut answers = Vec::new();
    for words in words.split('|') {
        let hits = index.like_words(words, 3, |text| encoder.embed(text))?;
        let hits: Vec<Value> =
            hits.iter().map(|h| json!({"file": h.view.image_id, "similarity": h.similarity, "reason": h.reason})).collect();
        answers.push(json!({"words": words, "hits": hits}));
    }
    Ok(json!(answers))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, files @ ..] = arguments.as_slice() else { return Err("what, and files".into()) };
    match (what.as_str(), files) {
        ("features", files) => files.iter().try_for_each(|f| features(f).map(|v| println!("{v}"))),
        ("pairs", files) => files.as_chunks::<2>().0.iter().try_for_each(|[a, b]| pair(a, b).map(|v| println!("{v}"))),
        ("keypoints", files) => {
            let detector = detector(&Broker::shared()?)?;
            files.iter().try_for_each(|f| keypoints(&detector, f).map(|v| println!("{v}")))
        }
        ("places", files) => places(&detector(&Broker::shared()?)?, files).map(|v| println!("{v}")),
        ("matches", [a, b]) => matched(&detector(&Broker::shared()?)?, a, b).map(|v| println!("{v}")),
        ("similarity", files) => similarities(&Broker::shared()?, files).map(|v| println!("{v}")),
        ("scenes", files) => {
            let mut analyser = Analyser::new(Broker::shared()?, AnalyserConfig::default());
            files.iter().try_for_each(|f| scene(&mut analyser, f).map(|v| println!("{v}")))
        }
        ("search", [words, files @ ..]) => search(&Broker::shared()?, words, files).map(|v| println!("{v}")),
        _ => Err(format!("`{what}` with {} files is not known", files.len()).into()),
    }
}
