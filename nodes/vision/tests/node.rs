//! The node on a bench.

use std::time::Duration;

use graph::Level;
use graph::testing::Bench;
use models::testing::broker_or_skip;
use msgs::omnimind_msgs::msg::{SceneAnalysis, VisionFeatures};
use msgs::omnimind_msgs::srv::{CompareImages, CompareImagesRequest};
use msgs::sensor_msgs::msg::Image;
use msgs::vision_msgs::msg::Detection2DArray;
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
