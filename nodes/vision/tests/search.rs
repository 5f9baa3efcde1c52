//! The node's memory and its other services, with the real networks.

use std::time::Duration;

use graph::testing::Bench;
use models::testing::broker_or_skip;
use msgs::builtin_interfaces::msg::Time;
use msgs::omnimind_msgs::msg::SceneAnalysis;
use msgs::omnimind_msgs::srv::{
    AnalyzeImage, AnalyzeImageRequest, ExtractFeatures, ExtractFeaturesRequest, GetAnalysis, GetAnalysisRequest, MatchKeypoints,
    MatchKeypointsRequest, SearchImages, SearchImagesRequest,
};
use msgs::sensor_msgs::msg::{CompressedImage, Image};
use msgs::std_msgs::msg::Header;
use msgs::std_srvs::srv::{Trigger, TriggerRequest};
use omnimind_vision::{Vision, decode};

const MODELS: [&str; 5] = ["onnxruntime", "nanodet_g_416", "efficientnet_lite0", "xfeat", "minilm_l6_v2"];
const COFFEE: &[u8] = include_bytes!("data/coffee.jpg");
const ASTRONAUT: &[u8] = include_bytes!("data/astronaut.jpg");

fn frame(bytes: &[u8], sec: i32) -> Image {
    let picture = decode(bytes).unwrap();
    let (width, height) = picture.dimensions();
    let header = Header { stamp: Time { sec, nanosec: 0 }, frame_id: "camera".into() };
    Image {
        header,
        width,
        height,
        step: width * 3,
        encoding: "rgb8".into(),
        data: picture.into_raw().into(),
        ..Default::default()
    }
}

fn file(bytes: &[u8]) -> CompressedImage {
    CompressedImage { data: bytes.to_vec().into(), ..Default::default() }
}

fn no_networks() -> Bench {
    let mut bench = Bench::new();
    let off = ["model", "scene_model", "text_model", "keypoint_model"].map(|name| (name, "".into()));
    bench.add::<Vision>(&off).unwrap();
    bench
}

/// Who made the labels, then who compares words with them.
const BY: &str = "nanodet_g_416+efficientnet_lite0+scene-heuristic+minilm_l6_v2+label-search";

#[test]
fn what_was_seen_is_found_by_words_and_by_a_picture() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("confidence_threshold", 0.35.into()), ("features_rate_hz", 10.0.into())]).unwrap();
    let ask = |bench: &mut Bench, text: &str| {
        bench
            .call::<SearchImages>("vision/search_images", SearchImagesRequest { text: text.into(), ..Default::default() })
            .unwrap()
    };
    assert!(ask(&mut bench, "a cup").matches.is_empty(), "nothing was seen yet");
    for (picture, sec) in [(COFFEE, 10), (COFFEE, 11), (ASTRONAUT, 20)] {
        bench.publish("camera/image_raw", frame(picture, sec));
        bench.run_for(Duration::from_millis(200));
    }
    for (words, sec) in [("a mug with coffee", 10), ("a cup", 10), ("a person", 20), ("somebody", 20)] {
        let found = ask(&mut bench, words);
        assert!(found.success && found.remembered == 2, "{found:?}");
        let best = &found.matches[0];
        assert_eq!(best.header.stamp.sec, sec, "{words}: {:?}", found.matches);
        assert!(!best.reason.is_empty() && found.provenance.model == BY);
    }
    let cup = ask(&mut bench, "a cup");
    assert!(cup.matches[0].similarity > cup.matches[1].similarity + 0.1 && cup.matches[0].labels.contains(&"cup".to_owned()));
    assert_eq!((cup.matches[0].last_seen.sec, cup.matches[0].header.frame_id.as_str()), (11, "camera"));
    let request = SearchImagesRequest { image: frame(ASTRONAUT, 99), max_results: 1, ..Default::default() };
    let like = bench.call::<SearchImages>("vision/search_images", request).unwrap();
    assert_eq!((like.matches.len(), like.matches[0].header.stamp.sec), (1, 20));
    assert!(like.matches[0].similarity > 0.999 && like.provenance.model == "efficientnet_lite0+embedding-search");
}

#[test]
fn the_memory_is_bounded_and_survives_a_snapshot() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = Bench::new();
    let settings = [("model", "".into()), ("features_rate_hz", 10.0.into()), ("memory_views", 1_i64.into())];
    bench.add::<Vision>(&settings).unwrap();
    for (picture, sec) in [(COFFEE, 1), (ASTRONAUT, 2)] {
        bench.publish("camera/image_raw", frame(picture, sec));
        bench.run_for(Duration::from_millis(200));
    }
    let request = SearchImagesRequest { image: frame(COFFEE, 9), ..Default::default() };
    let found = bench.call::<SearchImages>("vision/search_images", request.clone()).unwrap();
    assert_eq!((found.remembered, found.matches[0].header.stamp.sec), (1, 2));
    let mut resumed = Bench::new();
    resumed.add::<Vision>(&settings).unwrap();
    resumed.resume(&bench.snapshot().unwrap()).unwrap();
    let again = resumed.call::<SearchImages>("vision/search_images", request).unwrap();
    assert_eq!((again.remembered, &again.matches), (1, &found.matches));
}

#[test]
fn one_picture_is_analysed_on_request_and_kept_until_the_cache_is_cleared() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("confidence_threshold", 0.35.into())]).unwrap();
    let request = AnalyzeImageRequest { file: file(COFFEE), image_id: "breakfast".into(), ..Default::default() };
    let found = bench.call::<AnalyzeImage>("vision/analyze_image", request).unwrap();
    assert!(found.success && found.analysis.objects.iter().any(|o| o.label == "cup"), "{found:?}");
    assert!(found.features.edge_density > 0.0 && found.features.embedding.len() == 1280);
    let get = |bench: &mut Bench, id: &str| {
        bench.call::<GetAnalysis>("vision/get_analysis", GetAnalysisRequest { image_id: id.into() }).unwrap()
    };
    for id in ["breakfast", found.analysis.image_id.as_str()] {
        let known = get(&mut bench, id);
        assert!(known.success && known.analysis.description == found.analysis.description, "{id}");
    }
    assert!(get(&mut bench, "dinner").message.contains("dinner"));
    // Camera frames are kept too, under the name that is published with them.
    bench.publish("camera/image_raw", frame(COFFEE, 1));
    bench.run_for(Duration::from_millis(50));
    let seen = bench.take::<SceneAnalysis>("vision/scene").remove(0);
    assert!(get(&mut bench, &seen.image_id).success);
    assert!(bench.call::<Trigger>("vision/clear_cache", TriggerRequest::default()).unwrap().success);
    assert!(!get(&mut bench, "breakfast").success && !get(&mut bench, &seen.image_id).success);
}

#[test]
fn keypoints_are_matched_on_request() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("model", "".into()), ("scene_model", "".into())]).unwrap();
    let request = MatchKeypointsRequest { a: frame(COFFEE, 1), b: frame(COFFEE, 1), max_keypoints: 500, ..Default::default() };
    let found = bench.call::<MatchKeypoints>("vision/match_keypoints", request).unwrap();
    assert!(found.success && found.keypoints_a == 500 && found.matches.len() > 490, "{}", found.message);
    assert!(found.matches.iter().all(|m| (m.ax, m.ay) == (m.bx, m.by) && m.cosine > 0.999));
    let small = Image { width: 1, height: 1, step: 3, encoding: "rgb8".into(), data: vec![0; 3].into(), ..Default::default() };
    let request = MatchKeypointsRequest { a: frame(COFFEE, 1), b: small, ..Default::default() };
    let refused = bench.call::<MatchKeypoints>("vision/match_keypoints", request).unwrap();
    assert!(!refused.success && refused.message.contains("picture b"), "{}", refused.message);
}

#[test]
fn bad_pictures_and_missing_networks_are_told_in_words() {
    let mut bench = no_networks();
    let analyze = |bench: &mut Bench, bytes: &[u8]| {
        let request = AnalyzeImageRequest { file: file(bytes), ..Default::default() };
        bench.call::<AnalyzeImage>("vision/analyze_image", request).unwrap()
    };
    for bad in [&b"no picture"[..], &COFFEE[..2000], &[0; 64]] {
        let refused = analyze(&mut bench, bad);
        assert!(!refused.success && !refused.message.is_empty());
    }
    let degraded = analyze(&mut bench, COFFEE);
    assert!(degraded.success && degraded.analysis.provenance.degraded && degraded.features.embedding.is_empty());
    let request = ExtractFeaturesRequest { file: file(COFFEE), ..Default::default() };
    let features = bench.call::<ExtractFeatures>("vision/extract_features", request).unwrap();
    assert!(features.success && features.features.texture_glcm > 0.0);
    assert!(!bench.call::<ExtractFeatures>("vision/extract_features", ExtractFeaturesRequest::default()).unwrap().success);
    let words = SearchImagesRequest { text: "a cup".into(), ..Default::default() };
    let refused = bench.call::<SearchImages>("vision/search_images", words).unwrap();
    assert!(!refused.success && refused.message.contains("text_model"), "{}", refused.message);
    let like = SearchImagesRequest { image: frame(COFFEE, 1), ..Default::default() };
    let refused = bench.call::<SearchImages>("vision/search_images", like).unwrap();
    assert!(!refused.success && refused.message.contains("scene_model"), "{}", refused.message);
    let request = MatchKeypointsRequest { a: frame(COFFEE, 1), b: frame(COFFEE, 1), ..Default::default() };
    let refused = bench.call::<MatchKeypoints>("vision/match_keypoints", request).unwrap();
    assert!(!refused.success && refused.message.contains("keypoint_model"), "{}", refused.message);
}

#[test]
fn a_search_by_picture_says_which_view_is_of_the_same_place() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("features_rate_hz", 10.0.into()), ("model", "".into())]).unwrap();
    for (picture, sec) in [(COFFEE, 10), (ASTRONAUT, 20)] {
        bench.publish("camera/image_raw", frame(picture, sec));
        bench.run_for(Duration::from_millis(200));
    }
    // What a camera sees that has come nearer: the middle of the picture, larger.
    let whole = decode(COFFEE).unwrap();
    let (width, height) = (whole.width() * 3 / 4, whole.height() * 3 / 4);
    let middle = image::imageops::crop_imm(&whole, width / 6, height / 6, width, height).to_image();
    let (width, height) = (640, 640 * height / width);
    let nearer = image::imageops::resize(&middle, width, height, image::imageops::FilterType::Triangle);
    let image = Image { width, height, step: width * 3, data: nearer.into_raw().into(), ..frame(COFFEE, 30) };
    let request = SearchImagesRequest { image: image.clone(), check_places: 2, ..Default::default() };
    let found = bench.call::<SearchImages>("vision/search_images", request.clone()).unwrap();
    assert!(found.success && found.matches.len() == 2, "{}", found.message);
    for answer in &found.matches {
        let same = answer.header.stamp.sec == 10;
        assert!(answer.place_checked && answer.same_place == same, "{answer:?}");
        assert!(!same || (answer.common_points > 50 && answer.reason.contains("the same place")), "{answer:?}");
    }
    assert!(found.provenance.model.contains("xfeat") && found.provenance.model.ends_with("two-view-geometry"));
    // Only as many as wanted; and words have no place.
    let one =
        bench.call::<SearchImages>("vision/search_images", SearchImagesRequest { check_places: 1, ..request.clone() }).unwrap();
    assert_eq!(one.matches.iter().map(|m| m.place_checked).collect::<Vec<_>>(), [true, false]);
    let words = SearchImagesRequest { text: "a cup".into(), check_places: 1, ..Default::default() };
    assert!(!bench.call::<SearchImages>("vision/search_images", words).unwrap().success);
    // The same for two pictures at hand.
    let both = |b: Image| MatchKeypointsRequest { a: image.clone(), b, ..Default::default() };
    let same = bench.call::<MatchKeypoints>("vision/match_keypoints", both(frame(COFFEE, 1))).unwrap();
    assert!(same.same_place && same.matches.iter().filter(|m| m.fits).count() == same.common_points as usize, "{}", same.message);
    let other = bench.call::<MatchKeypoints>("vision/match_keypoints", both(frame(ASTRONAUT, 1))).unwrap();
    assert!(!other.same_place, "{}", other.message);
}
