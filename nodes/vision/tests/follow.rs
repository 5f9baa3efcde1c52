//! The node on a bench: tracks, depth, pictures that come too fast, and going on from a snapshot.

use std::time::Duration;

use graph::testing::Bench;
use graph::{Level, ParamValue};
use image::RgbImage;
use models::testing::broker_or_skip;
use msgs::Message;
use msgs::omnimind_msgs::msg::SceneAnalysis;
use msgs::sensor_msgs::msg::{CameraInfo, Image};
use msgs::vision_msgs::msg::{Detection2D, Detection2DArray, Detection3DArray};
use omnimind_vision::{Vision, decode};

const FRAME: &str = "camera_optical_frame";

/// The coffee picture as a camera shows it that turns slowly: 3 columns a picture.
fn coffee(n: u32) -> Image {
    let whole = decode(include_bytes!("data/coffee.jpg")).unwrap();
    let image = image::imageops::crop_imm(&whole, 3 * n, 0, whole.width() - 60, whole.height()).to_image();
    message(image, n)
}

fn message(image: RgbImage, n: u32) -> Image {
    let mut message = Image {
        width: image.width(),
        height: image.height(),
        step: image.width() * 3,
        encoding: "rgb8".into(),
        data: image.into_raw().into(),
        ..Image::default()
    };
    message.header.frame_id = FRAME.into();
    message.header.stamp.sec = (n / 5) as i32;
    message.header.stamp.nanosec = n % 5 * 200_000_000;
    message
}

/// A wall `mm` away, at half the picture's resolution.
fn depth(of: &Image, mm: u16) -> Image {
    let (width, height) = (of.width / 2, of.height / 2);
    let data: Vec<u8> = (0..width * height).flat_map(|_| mm.to_le_bytes()).collect();
    let header = of.header.clone();
    Image { header, width, height, step: width * 2, encoding: "16UC1".into(), data: data.into(), ..Image::default() }
}

fn camera(of: &Image) -> CameraInfo {
    let (width, height) = (of.width, of.height);
    let k = [500.0, 0.0, f64::from(width) / 2.0, 0.0, 500.0, f64::from(height) / 2.0, 0.0, 0.0, 1.0];
    CameraInfo { header: of.header.clone(), width, height, k, ..CameraInfo::default() }
}

fn bench(more: &[(&str, ParamValue)]) -> Bench {
    let mut bench = Bench::new();
    let mut parameters: Vec<(&str, ParamValue)> = vec![
        ("confidence_threshold", 0.35.into()),
        ("report_inference_time", false.into()),
        ("scene_model", "".into()),
        ("text_model", "".into()),
        ("keypoint_model", "".into()),
    ];
    parameters.extend(more.iter().cloned());
    bench.add::<Vision>(&parameters).unwrap();
    bench
}

fn show(bench: &mut Bench, image: Image) {
    bench.publish("camera/image_raw", image);
    bench.run_for(Duration::from_millis(200));
}

fn cups(array: &Detection2DArray) -> Vec<&Detection2D> {
    array.detections.iter().filter(|d| d.results[0].hypothesis.class_id == "cup").collect()
}

#[test]
fn an_object_keeps_its_number_while_the_camera_turns() {
    let Some(_) = broker_or_skip(&["nanodet_g_416"]) else { return };
    let mut bench = bench(&[]);
    (0..12).for_each(|n| show(&mut bench, coffee(n)));
    let seen = bench.take::<Detection2DArray>("vision/detections");
    assert_eq!(seen.len(), 12);
    let ids: Vec<String> = seen.iter().filter_map(|array| cups(array).first().map(|cup| cup.id.clone())).collect();
    assert!(ids.len() >= 10 && !ids[0].is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let all: Vec<_> = seen.iter().flat_map(|a| &a.detections).collect();
    assert!(all.iter().all(|d| d.results[0].hypothesis.score >= 0.35), "weak detections are the tracker's alone");
    let scenes = bench.take::<SceneAnalysis>("vision/scene");
    let cup = scenes[0].objects.iter().find(|o| o.label == "cup").unwrap();
    assert_eq!((cup.attributes[0].key.as_str(), &cup.attributes[0].value), ("track", &ids[0]));
}

#[test]
fn without_tracking_there_are_no_numbers() {
    let Some(_) = broker_or_skip(&["nanodet_g_416"]) else { return };
    let mut bench = bench(&[("track", false.into())]);
    (0..3).for_each(|n| show(&mut bench, coffee(n)));
    let seen = bench.take::<Detection2DArray>("vision/detections");
    assert!(seen.len() == 3 && seen.iter().flat_map(|a| &a.detections).all(|d| d.id.is_empty()));
}

#[test]
fn detections_with_depth_are_placed_before_the_camera() {
    let Some(_) = broker_or_skip(&["nanodet_g_416"]) else { return };
    let mut bench = bench(&[]);
    let first = coffee(0);
    show(&mut bench, first.clone());
    assert!(bench.take::<Detection3DArray>("vision/detections_3d").is_empty(), "no camera and no depth yet");
    bench.take_all();
    bench.publish("camera/camera_info", camera(&first));
    bench.run_for(Duration::from_millis(20));
    let picture = coffee(1);
    show(&mut bench, picture.clone());
    // The depth image may come later than the picture.
    bench.publish("camera/depth/image_raw", depth(&picture, 1200));
    bench.run_for(Duration::from_millis(20));
    let flat = bench.take::<Detection2DArray>("vision/detections");
    let placed = bench.take::<Detection3DArray>("vision/detections_3d");
    assert_eq!((placed.len(), placed[0].detections.len()), (1, flat[0].detections.len()));
    assert_eq!(placed[0].header, picture.header, "the camera's optical frame");
    let cup = placed[0].detections.iter().find(|d| d.results[0].hypothesis.class_id == "cup").unwrap();
    let cup_2d = cups(&flat[0])[0];
    assert_eq!(cup.id, cup_2d.id);
    let (at, size) = (&cup.bbox.center.position, &cup.bbox.size);
    let x = (cup_2d.bbox.center.position.x - 0.5 - f64::from(picture.width) / 2.0) / 500.0 * 1.2;
    assert!((at.z - 1.2).abs() < 1e-6 && (at.x - x).abs() < 0.002, "{at:?} {x}");
    assert!((size.x - cup_2d.bbox.size_x / 500.0 * 1.2).abs() < 0.002 && size.z.abs() < 1e-6, "{size:?}");
    let (level, text) = bench.status("vision", "depth").unwrap();
    assert!(level == Level::Ok && text.contains("have a distance"), "{text}");

    // No measurement in the whole image: nothing is placed, and it is counted.
    let picture = coffee(2);
    show(&mut bench, picture.clone());
    bench.publish("camera/depth/image_raw", depth(&picture, 0));
    bench.run_for(Duration::from_millis(20));
    assert!(bench.take::<Detection3DArray>("vision/detections_3d")[0].detections.is_empty());
    assert!(!bench.status("vision", "depth").unwrap().1.contains(", 0 had no depth"));
    // Depth of another moment, of another form, of another eye.
    let picture = coffee(3);
    show(&mut bench, picture.clone());
    bench.publish("camera/depth/image_raw", depth(&coffee(9), 1200));
    bench.publish("camera/depth/image_raw", Image { encoding: "yuv422".into(), ..depth(&picture, 1200) });
    bench.run_for(Duration::from_millis(20));
    assert!(bench.take::<Detection3DArray>("vision/detections_3d").is_empty());
    assert_eq!(bench.status("vision", "depth").unwrap().0, Level::Error);
    let mut elsewhere = depth(&picture, 1200);
    elsewhere.header.frame_id = "other_eye".into();
    bench.publish("camera/depth/image_raw", elsewhere);
    bench.run_for(Duration::from_millis(20));
    assert!(bench.status("vision", "depth").unwrap().1.contains("not registered"));
}

#[test]
fn of_pictures_that_come_too_fast_the_newest_is_looked_at_and_the_others_are_counted() {
    let mut bench = bench(&[("model", "".into())]);
    for n in 0..5 {
        bench.publish("camera/image_raw", coffee(n));
    }
    bench.run_for(Duration::from_millis(20));
    let scenes = bench.take::<SceneAnalysis>("vision/scene");
    assert_eq!((scenes.len(), &scenes[0].header), (1, &coffee(4).header));
    // The next second's picture tells what was dropped.
    bench.run_for(Duration::from_secs(1));
    show(&mut bench, coffee(9));
    let text = bench.status("vision", "frames").unwrap().1;
    assert!(text.contains("2 frames") && text.contains("4 dropped"), "{text}");
}

#[test]
fn a_node_that_goes_on_from_a_snapshot_says_the_same() {
    let Some(_) = broker_or_skip(&["nanodet_g_416"]) else { return };
    let feed = |bench: &mut Bench, range: std::ops::Range<u32>| {
        for n in range {
            let picture = coffee(n);
            bench.publish("camera/camera_info", camera(&picture));
            // Every other depth image comes late: detections wait across the snapshot.
            if n % 2 == 0 {
                bench.publish("camera/depth/image_raw", depth(&picture, 900));
            }
            show(bench, picture.clone());
            if n % 2 == 1 && n != 5 {
                bench.publish("camera/depth/image_raw", depth(&picture, 900));
                bench.run_for(Duration::from_millis(20));
            }
        }
    };
    let mut first = bench(&[]);
    feed(&mut first, 0..6);
    let bytes = first.snapshot().unwrap();
    let mut second = bench(&[]);
    second.resume(&bytes).unwrap();
    let rest = |bench: &mut Bench| -> Vec<Vec<u8>> {
        bench.take_all();
        bench.publish("camera/depth/image_raw", depth(&coffee(5), 900));
        feed(bench, 6..12);
        let flat = bench.take::<Detection2DArray>("vision/detections");
        let placed = bench.take::<Detection3DArray>("vision/detections_3d");
        assert!(flat.len() == 6 && placed.len() >= 6 && !cups(&flat[0])[0].id.is_empty());
        flat.iter().map(|m| m.to_cdr()).chain(placed.iter().map(|m| m.to_cdr())).collect()
    };
    assert!(rest(&mut first) == rest(&mut second));
    assert!(first.snapshot().unwrap() == second.snapshot().unwrap());
}
