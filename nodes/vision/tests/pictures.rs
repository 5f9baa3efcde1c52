//! Well-known pictures through the real networks. Skipped, saying so, where the models are not in the cache.

use models::testing::broker_or_skip;
use omnimind_vision::{Analyser, AnalyserConfig, Category, DetectorSettings, decode};

const MODELS: [&str; 2] = ["nanodet_g_416", "efficientnet_lite0"];
const COFFEE: &[u8] = include_bytes!("data/coffee.jpg");
const ASTRONAUT: &[u8] = include_bytes!("data/astronaut.jpg");

fn analyser(threshold: f32) -> Option<Analyser> {
    let broker = broker_or_skip(&MODELS)?;
    let settings = DetectorSettings { confidence_threshold: threshold, ..DetectorSettings::default() };
    let analyser = Analyser::new(broker, AnalyserConfig { settings, ..AnalyserConfig::default() });
    assert!(analyser.problems().is_empty(), "{:?}", analyser.problems());
    Some(analyser)
}

#[test]
fn the_coffee_picture_shows_a_cup() {
    let Some(mut analyser) = analyser(0.35) else { return };
    let analysis = analyser.analyse(&decode(COFFEE).unwrap()).unwrap();
    let cup = analysis.objects.iter().find(|o| &*o.label == "cup").expect("a cup");
    assert!((cup.confidence - 0.52).abs() < 0.08, "{cup:?}");
    // The cup with its saucer fills the middle of the picture.
    let (x, y) = cup.bounding_box.center();
    assert!((0.3..0.7).contains(&x) && (0.3..0.7).contains(&y), "{cup:?}");
    assert_eq!(analysis.origin.model, "nanodet_g_416+efficientnet_lite0+scene-heuristic");
    assert!(!analysis.origin.degraded && analysis.origin.inference_ms > 0.0);
    assert!(analysis.description.contains("cup"), "{}", analysis.description);
}

#[test]
fn the_astronaut_is_a_person() {
    let Some(analyser) = analyser(0.5) else { return };
    let seen = analyser.detect(&decode(ASTRONAUT).unwrap()).unwrap().unwrap();
    let first = &seen.objects[0];
    assert_eq!((&*first.label, first.category), ("person", Category::Person));
    assert!((first.confidence - 0.73).abs() < 0.08, "{first:?}");
}

#[test]
fn the_classifier_knows_an_espresso() {
    let Some(analyser) = analyser(0.5) else { return };
    let opinion = analyser.classify(&decode(COFFEE).unwrap()).unwrap().unwrap();
    let best = (0..1000).max_by(|a, b| opinion.probabilities[*a].total_cmp(&opinion.probabilities[*b])).unwrap();
    // ImageNet-1k: 967 espresso, 504 coffee mug, 968 cup.
    assert!([967, 504, 968].contains(&best), "{best}");
}

#[test]
fn a_picture_is_analysed_once_and_the_same_way() {
    let Some(mut analyser) = analyser(0.5) else { return };
    let image = decode(COFFEE).unwrap();
    let first = analyser.analyse(&image).unwrap();
    assert_eq!(analyser.analyse(&image).unwrap(), first);
    assert_eq!(analyser.cached(&first.image_id).map(|kept| &kept.analysis), Some(&first));
    analyser.clear_cache();
    assert_eq!(analyser.cached(&first.image_id), None);
    let mut again = analyser.analyse(&image).unwrap();
    again.origin.inference_ms = first.origin.inference_ms;
    assert_eq!(again, first);
}

#[test]
fn another_picture_is_less_alike_than_a_darker_copy() {
    let Some(analyser) = analyser(0.5) else { return };
    let (coffee, astronaut) = (decode(COFFEE).unwrap(), decode(ASTRONAUT).unwrap());
    let mut darker = coffee.clone();
    darker.pixels_mut().for_each(|p| p.0 = p.0.map(|v| (f32::from(v) * 0.8) as u8));
    let (same, _) = analyser.compare(&coffee, &coffee).unwrap();
    let (near, origin) = analyser.compare(&coffee, &darker).unwrap();
    let (far, _) = analyser.compare(&coffee, &astronaut).unwrap();
    assert_eq!(same.score, 1.0);
    assert!(near.score > 0.8 && far.score < 0.4, "{near:?} {far:?}");
    assert!(origin.model.starts_with("efficientnet_lite0+"));
}

#[test]
fn an_unknown_model_is_a_problem_in_words_not_a_failure() {
    let Some(broker) = broker_or_skip(&[]) else { return };
    let config = AnalyserConfig { detector: "no_such_model".to_owned(), classifier: String::new(), ..AnalyserConfig::default() };
    let mut analyser = Analyser::new(broker, config);
    assert!(analyser.problems()[0].contains("no_such_model"), "{:?}", analyser.problems());
    let analysis = analyser.analyse(&decode(COFFEE).unwrap()).unwrap();
    assert!(analysis.origin.degraded && analysis.objects.is_empty() && !analysis.dominant_colors.is_empty());
}
