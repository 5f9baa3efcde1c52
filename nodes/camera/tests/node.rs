//! The node on a bench.

use std::path::Path;
use std::time::{Duration, Instant};

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
        [("folder", "/none", "/none"), ("video", "/none.mp4", "no video file"), ("v4l2", "/dev/video_none", "/dev/video_none")]
    {
        let mut bench = Bench::new();
        bench.add::<Camera>(&[("source", source.into()), ("path", path.into())]).unwrap();
        bench.run_for(Duration::from_millis(1100));
        let (level, text) = bench.status("camera", "source").unwrap();
        assert!(level == Level::Error && text.contains(words), "{text}");
        assert_eq!(bench.status("camera", "frames").unwrap().0, Level::Stale);
    }
}

#[test]
fn a_missing_ffmpeg_is_explained() {
    let mut bench = Bench::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    bench.add::<Camera>(&[("source", "video".into()), ("path", file.into()), ("ffmpeg", "/none/ffmpeg".into())]).unwrap();
    step(&mut bench);
    assert!(bench.status("camera", "source").unwrap().1.contains("install ffmpeg"));
}

#[test]
fn a_video_is_shown_until_its_end() {
    let ffmpeg = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fake_ffmpeg.sh");
    let ffmpeg = ffmpeg.to_str().unwrap();
    let mut bench = Bench::new();
    bench
        .add::<Camera>(&[
            ("source", "video".into()),
            ("path", ffmpeg.into()),
            ("ffmpeg", ffmpeg.into()),
            ("width", 2.into()),
            ("height", 1.into()),
        ])
        .unwrap();
    // The driver's process runs on its own: give it turns until the end is told, at most half a minute.
    let begin = Instant::now();
    while bench.status("camera", "source").is_none_or(|(_, text)| !text.contains("ffmpeg:"))
        && begin.elapsed() < Duration::from_secs(30)
    {
        step(&mut bench);
    }
    let frames = bench.take::<Image>("camera/image_raw");
    assert_eq!(frames.iter().map(|f| f.data.clone()).collect::<Vec<_>>(), [b"abcdef".to_vec(), b"ghijkl".to_vec()]);
    assert!(bench.status("camera", "source").unwrap().1.contains("truncated"));
}
