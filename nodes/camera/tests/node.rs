//! The node on a bench.

use std::path::Path;
use std::time::Duration;

use graph::Level;
use graph::testing::Bench;
use msgs::sensor_msgs::msg::{CameraInfo, Image};
use omnimind_camera::Camera;
use omnimind_camera::frame::{pinhole_info, rgb_message};

fn frame(sec: i32) -> Image {
    let mut image = rgb_message(4, 2, vec![7; 24]).unwrap();
    image.header.stamp.sec = sec;
    image.header.frame_id = "camera_optical_frame".into();
    image
}

fn step(bench: &mut Bench) {
    bench.run_for(Duration::from_millis(10));
}

#[test]
fn sound_frames_pass_unchanged() {
    let mut bench = Bench::new();
    bench.add::<Camera>(&[]).unwrap();
    let depth = Image { encoding: "32FC1".into(), step: 16, data: vec![0; 32].into(), ..frame(1) };
    bench.publish("device/camera/image", frame(1));
    bench.publish("device/camera/depth", depth.clone());
    bench.publish("device/camera/camera_info", pinhole_info(4, 2, 1.1));
    step(&mut bench);
    assert_eq!(*bench.take::<Image>("camera/image_raw")[0], frame(1));
    assert_eq!(*bench.take::<Image>("camera/depth/image_raw")[0], depth);
    assert_eq!(bench.take::<CameraInfo>("camera/camera_info").len(), 1);
}

#[test]
fn frames_are_straightened_by_their_calibration_if_that_is_asked_for() {
    let mut bench = Bench::new();
    bench.add::<Camera>(&[("rectify", true.into())]).unwrap();
    let mut info = pinhole_info(4, 2, 1.1);
    bench.publish("device/camera/camera_info", info.clone());
    step(&mut bench);
    bench.publish("device/camera/image", frame(1));
    step(&mut bench);
    assert_eq!(*bench.take::<Image>("camera/image_rect")[0], frame(1));
    info.d = vec![30.0, 0.0, 0.0, 0.0, 0.0];
    bench.publish("device/camera/camera_info", info.clone());
    step(&mut bench);
    bench.publish("device/camera/image", frame(2));
    step(&mut bench);
    let bent = bench.take::<Image>("camera/image_rect");
    assert_eq!((bent[0].data[0], bent[0].header.stamp.sec), (0, 2), "the corner sees beyond the picture");
    info.distortion_model = "thin_prism".into();
    bench.publish("device/camera/camera_info", info);
    step(&mut bench);
    bench.publish("device/camera/image", frame(3));
    step(&mut bench);
    assert!(bench.take::<Image>("camera/image_rect").is_empty());
    assert!(bench.status("camera", "image_rect").unwrap().1.contains("thin_prism"));
}

#[test]
fn unsound_frames_are_stopped_and_explained() {
    let mut bench = Bench::new();
    bench.add::<Camera>(&[("width", 4.into()), ("height", 2.into())]).unwrap();
    for bad in [
        Image { data: vec![0; 3].into(), ..frame(1) },
        Image { encoding: "yuv".into(), ..frame(1) },
        rgb_message(2, 2, vec![0; 12]).unwrap(),
        Image::default(),
    ] {
        bench.publish("device/camera/image", bad);
        step(&mut bench);
    }
    bench.publish("device/camera/camera_info", CameraInfo::default());
    step(&mut bench);
    assert!(bench.take::<Image>("camera/image_raw").is_empty() && bench.take::<CameraInfo>("camera/camera_info").is_empty());
    let (level, text) = bench.status("camera", "image").unwrap();
    assert!(level == Level::Error && text.contains("4 so far"), "{text}");
    assert_eq!(bench.status("camera", "camera_info").unwrap().0, Level::Error);
    bench.publish("device/camera/image", frame(1));
    step(&mut bench);
    assert_eq!(bench.take::<Image>("camera/image_raw").len(), 1);
    assert_eq!(bench.status("camera", "image").unwrap().0, Level::Ok);
}

#[test]
fn a_frame_from_the_past_is_stopped_but_a_restarted_source_is_taken() {
    let mut bench = Bench::new();
    bench.add::<Camera>(&[]).unwrap();
    for sec in [5, 4, 1, 2] {
        bench.publish("device/camera/image", frame(sec));
        step(&mut bench);
    }
    let seconds: Vec<i32> = bench.take::<Image>("camera/image_raw").iter().map(|i| i.header.stamp.sec).collect();
    assert_eq!(seconds, [5, 1, 2]);
}

#[test]
fn silence_is_stale() {
    let mut bench = Bench::new();
    bench.add::<Camera>(&[]).unwrap();
    bench.publish("device/camera/image", frame(1));
    bench.run_for(Duration::from_millis(510));
    assert_eq!(bench.status("camera", "frames").unwrap().0, Level::Ok);
    bench.run_for(Duration::from_millis(2000));
    let (level, text) = bench.status("camera", "frames").unwrap();
    assert!(level == Level::Stale && text.contains("2.5"), "{text}");
}

#[test]
fn the_last_picture_of_a_folder_ends_the_graph_if_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    image::RgbImage::new(8, 6).save(folder.path().join("a.png")).unwrap();
    let reason = |end: bool, repeat: bool| {
        let mut bench = Bench::new();
        let path = folder.path().to_str().unwrap();
        let parameters =
            [("source", "folder".into()), ("path", path.into()), ("end_graph", end.into()), ("repeat", repeat.into())];
        bench.add::<Camera>(&parameters).unwrap();
        bench.run_for(Duration::from_secs(2));
        bench.stop_reason()
    };
    assert_eq!(reason(true, false).as_deref(), Some("all 1 pictures are shown"));
    assert_eq!(reason(true, true), None);
    assert_eq!(reason(false, false), None);
}

#[test]
fn a_folder_is_shown_at_its_rate_and_rubbish_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "c.png"] {
        image::RgbImage::from_pixel(8, 6, image::Rgb([1, 2, 3])).save(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("b.jpg"), b"rubbish").unwrap();
    let mut bench = Bench::new();
    bench
        .add::<Camera>(&[("source", "folder".into()), ("path", folder.path().to_str().unwrap().into()), ("rate_hz", 10.0.into())])
        .unwrap();
    bench.run_for(Duration::from_millis(1000));
    let frames = bench.take::<Image>("camera/image_raw");
    assert_eq!(frames.len(), 2);
    assert_eq!((frames[0].width, frames[0].height, &frames[0].data[..3]), (8, 6, &[1, 2, 3][..]));
    assert_eq!(frames[0].header.frame_id, "camera_optical_frame");
    let apart = frames[1].header.stamp.nanosec - frames[0].header.stamp.nanosec;
    assert_eq!(apart, 200_000_000, "the rubbish took one turn");
    assert_eq!(bench.take::<CameraInfo>("camera/camera_info").len(), 2);
    assert!(bench.status("camera", "source").unwrap().1.contains("all 2 pictures"));
}

#[test]
fn sources_that_are_not_there_are_explained_and_the_node_lives() {
    for (source, path, words) in
        [("folder", "/none", "/none"), ("video", "/none.mp4", "/none.mp4"), ("v4l2", "/dev/video_none", "/dev/video_none")]
    {
        let mut bench = Bench::new();
        bench.add::<Camera>(&[("source", source.into()), ("path", path.into())]).unwrap();
        bench.run_for(Duration::from_millis(1100));
        let (level, text) = bench.status("camera", "source").unwrap();
        assert!(level == Level::Error && text.contains(words), "{text}");
        assert_eq!(bench.status("camera", "frames").unwrap().0, Level::Stale);
    }
}

/// `frames` grey frames of 8 x 6 pixels, ten a second.
fn clip(path: &Path, frames: u8) {
    let mut writer = video::AviWriter::create(path, (8, 6), 10.0, 95).unwrap();
    for n in 0..frames {
        writer.push(&image::RgbImage::from_pixel(8, 6, image::Rgb([n * 20; 3]))).unwrap();
    }
    writer.finish().unwrap();
}

fn stamps_ms(frames: &[std::sync::Arc<Image>]) -> Vec<i64> {
    let ms = |i: &std::sync::Arc<Image>| i64::from(i.header.stamp.sec) * 1000 + i64::from(i.header.stamp.nanosec) / 1_000_000;
    frames.iter().map(|f| ms(f) - ms(&frames[0])).collect()
}

#[test]
fn a_missing_ffmpeg_is_explained() {
    let mut bench = Bench::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    bench.add::<Camera>(&[("source", "video".into()), ("path", file.into()), ("ffmpeg", "/none/ffmpeg".into())]).unwrap();
    step(&mut bench);
    let text = bench.status("camera", "source").unwrap().1;
    assert!(text.contains("/none/ffmpeg") && text.contains("install it"), "{text}");
}

#[test]
fn a_video_is_played_by_the_graphs_clock_with_its_own_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.avi");
    clip(&path, 10);
    let path = path.to_str().unwrap();
    let play = |more: &[(&str, graph::ParamValue)]| {
        let mut bench = Bench::new();
        let mut parameters = vec![("source", "video".into()), ("path", path.into()), ("rate_hz", 20.0.into())];
        parameters.extend(more.iter().cloned());
        bench.add::<Camera>(&parameters).unwrap();
        bench.run_for(Duration::from_millis(1500));
        (bench.take::<Image>("camera/image_raw"), bench.status("camera", "source").unwrap().1, bench.stop_reason())
    };
    let (frames, text, reason) = play(&[]);
    assert_eq!(stamps_ms(&frames), (0..10).map(|n| n * 100).collect::<Vec<i64>>());
    assert!(frames.iter().enumerate().all(|(n, f)| f.data[0].abs_diff(n as u8 * 20) < 4 && (f.width, f.height) == (8, 6)));
    assert!(text.contains("the video is over, 10 frames") && reason.is_none(), "{text} {reason:?}");
    // Slower than the clip: frames are left out, their times are kept.
    let (frames, ..) = play(&[("rate_hz", 5.0.into()), ("width", 4.into())]);
    assert_eq!(stamps_ms(&frames), [0, 200, 400, 600, 800, 900]);
    assert_eq!((frames[0].width, frames[0].height), (4, 3));
    let (frames, ..) = play(&[("repeat", true.into())]);
    assert!(frames.len() > 12 && stamps_ms(&frames).is_sorted(), "{}", frames.len());
    assert_eq!(play(&[("end_graph", true.into())]).2.as_deref(), Some("the video is over, 10 frames are shown"));
}

#[test]
fn a_video_that_is_cut_off_is_shown_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.avi");
    clip(&path, 10);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let mut bench = Bench::new();
    let parameters = [("source", "video".into()), ("path", path.to_str().unwrap().into()), ("rate_hz", 10.0.into())];
    bench.add::<Camera>(&parameters).unwrap();
    bench.run_for(Duration::from_millis(1500));
    let shown = bench.take::<Image>("camera/image_raw").len();
    assert!((3..7).contains(&shown), "{shown}");
    let (level, text) = bench.status("camera", "source").unwrap();
    assert!(level == Level::Error && text.contains("cut off"), "{text}");
}

#[test]
fn a_calibration_from_a_file_straightens_pictures_and_without_one_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    image::RgbImage::from_pixel(8, 6, image::Rgb([200; 3])).save(folder.path().join("a.png")).unwrap();
    let file = folder.path().join("camera.yaml");
    let yaml = |width: u32| {
        format!(
            "image_width: {width}\nimage_height: 6\ncamera_matrix: {{rows: 3, cols: 3, data: [7, 0, 3.5, 0, 7, 2.5, 0, 0, 1]}}\n\
             distortion_model: plumb_bob\ndistortion_coefficients: {{rows: 1, cols: 5, data: [30, 0, 0, 0, 0]}}\n"
        )
    };
    let look = |calibration: &str| {
        let mut bench = Bench::new();
        let path = folder.path().to_str().unwrap();
        let parameters = [
            ("source", "folder".into()),
            ("path", path.into()),
            ("rectify", true.into()),
            ("camera_info_file", calibration.into()),
        ];
        bench.add::<Camera>(&parameters).unwrap();
        bench.run_for(Duration::from_millis(300));
        let (info, straight) = (bench.take::<CameraInfo>("camera/camera_info"), bench.take::<Image>("camera/image_rect"));
        let status = |what: &str| bench.status("camera", what).unwrap_or((Level::Stale, String::new()));
        (info[0].d[0], straight[0].data[0], status("image_rect"), status("camera_info"))
    };
    std::fs::write(&file, yaml(8)).unwrap();
    let (k1, corner, straight, info) = look(file.to_str().unwrap());
    assert_eq!((k1, corner, straight.0, info.0), (30.0, 0, Level::Ok, Level::Ok), "the corner sees beyond the picture");
    let (k1, corner, straight, _) = look("");
    assert_eq!((k1, corner, straight.0), (0.0, 200, Level::Warn));
    assert!(straight.1.starts_with("no calibration: camera_info_file is not set"), "{}", straight.1);
    // For pictures of another size, and a file that is none.
    std::fs::write(&file, yaml(80)).unwrap();
    let (_, _, straight, info) = look(file.to_str().unwrap());
    assert!(straight.0 == Level::Warn && info.0 == Level::Error && info.1.contains("80 x 6"), "{}", info.1);
    let (_, _, straight, info) = look("/none.yaml");
    assert!(straight.0 == Level::Warn && info.0 == Level::Error && info.1.contains("/none.yaml"), "{}", info.1);
}
