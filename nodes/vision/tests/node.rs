//! The node on a bench.

use std::time::Duration;

use graph::testing::Bench;
use graph::{Level, NodeSpec};
use models::testing::broker_or_skip;
use msgs::omnimind_msgs::msg::{SceneAnalysis, VisionFeatures};
use msgs::omnimind_msgs::srv::{
    AnalyzeImage, AnalyzeImageRequest, AnalyzeImageResponse, CompareImages, CompareImagesRequest, GetAnalysis,
    GetAnalysisRequest, GetAnalysisResponse,
};
use msgs::rcl_interfaces::msg::{Parameter, ParameterValue};
use msgs::rcl_interfaces::srv::{SetParameters, SetParametersRequest};
use msgs::sensor_msgs::msg::Image;
use msgs::vision_msgs::msg::{Detection2DArray, VisionInfo};
use omnimind_vision::{Vision, decode};

const MODELS: [&str; 2] = ["nanodet_g_416", "efficientnet_lite0"];

fn coffee() -> Image {
    let image = decode(include_bytes!("data/coffee.jpg")).unwrap();
    let mut message = Image {
        width: image.width(),
        height: image.height(),
        step: image.width() * 3,
        encoding: "rgb8".into(),
        data: image.into_raw().into(),
        ..Default::default()
    };
    message.header.frame_id = "camera_optical_frame".into();
    message.header.stamp.sec = 7;
    message
}

#[test]
fn a_picture_gives_detections_scene_and_features() {
    let Some(_) = broker_or_skip(&MODELS) else { return };
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("confidence_threshold", 0.35.into())]).unwrap();
    bench.publish("camera/image_raw", coffee());
    bench.run_for(Duration::from_millis(20));
    let detections = bench.take::<Detection2DArray>("vision/detections");
    let cup = detections[0].detections.iter().find(|d| d.results[0].hypothesis.class_id == "cup").expect("a cup");
    assert_eq!(detections[0].header, coffee().header, "the picture's own time and frame");
    assert!((200.0..400.0).contains(&cup.bbox.center.position.x) && cup.bbox.size_x > 100.0, "{cup:?}");
    let scene = bench.take::<SceneAnalysis>("vision/scene");
    assert!(scene[0].objects.iter().any(|o| o.label == "cup") && !scene[0].provenance.simulated && !scene[0].provenance.degraded);
    let features = bench.take::<VisionFeatures>("vision/features");
    assert_eq!(features[0].embedding.len(), 1280);
    assert!(features[0].edge_density > 0.0 && features[0].provenance.inference_ms > 0.0);
    assert_eq!(bench.status("vision", "models").unwrap().0, Level::Ok);
}

#[test]
fn rates_are_kept() {
    let Some(_) = broker_or_skip(&MODELS) else { return };
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("detect_rate_hz", 5.0.into()), ("features_rate_hz", 1.0.into())]).unwrap();
    for _ in 0..20 {
        bench.publish("camera/image_raw", coffee());
        bench.run_for(Duration::from_millis(100));
    }
    assert_eq!(bench.take::<Detection2DArray>("vision/detections").len(), 10);
    assert_eq!(bench.take::<SceneAnalysis>("vision/scene").len(), 2);
}

#[test]
fn without_models_it_is_degraded_and_says_so() {
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("model", "no_such_model".into()), ("scene_model", "".into())]).unwrap();
    bench.publish("camera/image_raw", coffee());
    bench.run_for(Duration::from_millis(20));
    let (level, text) = bench.status("vision", "models").unwrap();
    assert!(level == Level::Error && text.contains("no_such_model"), "{text}");
    assert!(bench.take::<Detection2DArray>("vision/detections").is_empty(), "an empty list would say that nothing is there");
    let scene = bench.take::<SceneAnalysis>("vision/scene");
    assert!(scene[0].provenance.degraded && !scene[0].dominant_colors.is_empty());
    assert!(bench.take::<VisionFeatures>("vision/features")[0].provenance.degraded);
}

#[test]
fn bad_frames_are_counted_and_explained() {
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("model", "".into()), ("scene_model", "".into())]).unwrap();
    for bad in [
        Image { data: vec![0; 10].into(), ..coffee() },
        Image { encoding: "yuv422".into(), ..coffee() },
        Image { width: 0, ..coffee() },
        Image { step: 3, ..coffee() },
        Image::default(),
    ] {
        bench.publish("camera/image_raw", bad);
        bench.run_for(Duration::from_millis(10));
    }
    let (level, text) = bench.status("vision", "frames").unwrap();
    assert!(level == Level::Error && text.contains("5 of 5"), "{text}");
    bench.publish("camera/image_raw", coffee());
    bench.run_for(Duration::from_millis(10));
    assert_eq!(bench.status("vision", "frames").unwrap().0, Level::Ok);
    assert_eq!(bench.take::<SceneAnalysis>("vision/scene").len(), 1);
}

#[test]
fn silence_is_reported() {
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("model", "".into()), ("scene_model", "".into())]).unwrap();
    bench.run_for(Duration::from_millis(1010));
    assert_eq!(bench.status("vision", "input").unwrap().0, Level::Stale);
    bench.publish("camera/image_raw", coffee());
    bench.run_for(Duration::from_millis(1000));
    assert_eq!(bench.status("vision", "input").unwrap().0, Level::Ok);
    bench.run_for(Duration::from_millis(3000));
    assert_eq!(bench.status("vision", "input").unwrap().0, Level::Stale);
}

#[test]
fn pictures_are_compared_on_request() {
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("model", "".into()), ("scene_model", "".into())]).unwrap();
    let same = bench.call::<CompareImages>("vision/compare_images", CompareImagesRequest { a: coffee(), b: coffee() }).unwrap();
    assert!(same.success && same.similarity == 1.0 && same.provenance.degraded);
    let bad =
        bench.call::<CompareImages>("vision/compare_images", CompareImagesRequest { a: coffee(), b: Image::default() }).unwrap();
    assert!(!bad.success && bad.message.contains("picture b"), "{}", bad.message);
}

fn without_networks() -> Bench {
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("model", "".into()), ("scene_model", "".into()), ("features_rate_hz", 10.0.into())]).unwrap();
    bench
}

/// The coffee picture with some columns cut off at the left, so that it is another one.
fn cut(columns: u32) -> Image {
    let whole = decode(include_bytes!("data/coffee.jpg")).unwrap();
    let image = image::imageops::crop_imm(&whole, columns, 0, whole.width() - columns, whole.height()).to_image();
    let (width, height) = image.dimensions();
    Image { width, height, step: width * 3, data: image.into_raw().into(), ..coffee() }
}

fn analyze(bench: &mut Bench, image: Image, name: &str) -> AnalyzeImageResponse {
    let request = AnalyzeImageRequest { image, image_id: name.into(), ..Default::default() };
    bench.call::<AnalyzeImage>("vision/analyze_image", request).unwrap()
}

fn get(bench: &mut Bench, name: &str) -> GetAnalysisResponse {
    bench.call::<GetAnalysis>("vision/get_analysis", GetAnalysisRequest { image_id: name.into() }).unwrap()
}

#[test]
fn motion_is_a_number_only_where_there_was_a_picture_before() {
    let mut bench = without_networks();
    // The third is so small that it cannot be brought to the size of the second.
    for picture in [coffee(), coffee(), cut(520), cut(520)] {
        bench.publish("camera/image_raw", picture);
        bench.run_for(Duration::from_millis(200));
    }
    let scenes = bench.take::<SceneAnalysis>("vision/scene");
    let motion: Vec<bool> = scenes.iter().map(|s| s.motion.is_nan()).collect();
    assert_eq!(motion, [true, false, true, false]);
    assert_eq!((scenes[1].motion, scenes[3].motion), (0.0, 0.0));
    assert!(analyze(&mut bench, coffee(), "").analysis.motion.is_nan());
    let hash = &scenes[0].perceptual_hash;
    assert!(hash.len() == 16 && *hash == scenes[1].perceptual_hash && *hash != scenes[2].perceptual_hash, "{hash}");
}

#[test]
fn a_name_given_by_a_caller_never_stands_for_another_picture() {
    let mut bench = without_networks();
    let own = analyze(&mut bench, coffee(), "").analysis.image_id;
    let other = analyze(&mut bench, cut(50), &own);
    assert!(!other.success && other.message.contains(&own), "{}", other.message);
    assert_eq!(get(&mut bench, &own).analysis.image_id, own);
    assert!(analyze(&mut bench, coffee(), &own).success, "its own name is no other's");
    assert!(analyze(&mut bench, cut(50), "breakfast").success);
    let breakfast = get(&mut bench, "breakfast").analysis.image_id;
    assert!(breakfast != own && get(&mut bench, &breakfast).success, "it is kept under both names");
    let long = analyze(&mut bench, coffee(), &"x".repeat(129));
    assert!(!long.success && long.message.contains("129 bytes"), "{}", long.message);
}

#[test]
fn an_analysis_of_other_parameters_is_not_given() {
    let mut bench = without_networks();
    let id = analyze(&mut bench, coffee(), "breakfast").analysis.image_id;
    let value = ParameterValue { type_: 3, double_value: 0.9, ..Default::default() };
    let parameters = vec![Parameter { name: "confidence_threshold".into(), value }];
    assert!(
        bench.call::<SetParameters>("vision/set_parameters", SetParametersRequest { parameters }).unwrap().results[0].successful
    );
    assert!(!get(&mut bench, &id).success && !get(&mut bench, "breakfast").success);
}

#[test]
fn dropped_pictures_are_counted_under_any_name() {
    let mut bench = Bench::new();
    let remaps = [("camera/image_raw".to_owned(), "eye/picture".to_owned())].into();
    let parameters = [("model", ""), ("scene_model", "")].map(|(name, value)| (name.to_owned(), value.into())).into();
    bench.add_spec::<Vision>(NodeSpec { remaps, parameters, ..NodeSpec::default() }).unwrap();
    for _ in 0..5 {
        bench.publish("eye/picture", coffee());
    }
    bench.run_for(Duration::from_secs(2));
    bench.publish("eye/picture", coffee());
    bench.run_for(Duration::from_millis(20));
    let text = bench.status("vision", "frames").unwrap().1;
    assert!(text.contains("2 frames") && text.contains("4 dropped"), "{text}");
}

#[test]
fn who_detects_is_told_to_whoever_comes() {
    let mut bench = without_networks();
    bench.run_for(Duration::from_millis(20));
    let told = bench.take::<VisionInfo>("vision/vision_info");
    assert!(told.len() == 1 && told[0].method.contains("no detector"), "{told:?}");
    let Some(_) = broker_or_skip(&MODELS) else { return };
    let mut bench = Bench::new();
    bench.add::<Vision>(&[("confidence_threshold", 0.35.into()), ("features_rate_hz", 10.0.into())]).unwrap();
    bench.publish("camera/image_raw", coffee());
    bench.run_for(Duration::from_millis(20));
    let told = bench.take::<VisionInfo>("vision/vision_info");
    assert!(told[0].method.starts_with("nanodet_g_416 ") && told[0].method.contains("bytetrack"), "{}", told[0].method);
    assert!(told[0].database_location.contains("80 labels"), "{}", told[0].database_location);
    let scene = bench.take::<SceneAnalysis>("vision/scene");
    let (model, version) = (&scene[0].provenance.model, &scene[0].provenance.version);
    assert!(model.starts_with("nanodet_g_416+bytetrack+efficientnet_lite0"), "{model}");
    assert_eq!(model.split('+').count(), version.split('+').count());
}

#[test]
fn a_picture_seen_before_costs_no_network_again() {
    let Some(_) = broker_or_skip(&MODELS) else { return };
    let mut bench = Bench::new();
    bench.add::<Vision>(&[]).unwrap();
    let (first, second) = (analyze(&mut bench, coffee(), ""), analyze(&mut bench, coffee(), ""));
    // With the time that the networks took, which is never the same twice.
    assert!(first.features.provenance.inference_ms > 0.0 && first.features.embedding.len() == 1280);
    assert_eq!(first.features, second.features);
    assert_eq!(first.analysis.provenance, second.analysis.provenance);
}
