//! Clips of every kind, against what ffmpeg and ffprobe see in them (`fixtures.py`).

use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use video::{Frame, Limits, Options, Video, VideoError};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Without a helper: only what this program decodes itself.
fn alone() -> Options {
    Options { ffmpeg: None, ..Options::default() }
}

fn read(path: &Path, options: &Options) -> Result<Vec<Frame>, VideoError> {
    Video::open(path, options)?.collect()
}

struct Expected {
    times: Vec<f64>,
    frames: Vec<RgbImage>,
}

/// ffprobe's times and ffmpeg's pictures.
fn expected(name: &str) -> Expected {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(data(&format!("{name}.json"))).unwrap()).unwrap();
    let times: Vec<f64> = json["times"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
    let height = json["size"][1].as_u64().unwrap() as u32;
    let tall = pictures::read(&data(&format!("{name}.png"))).unwrap();
    let frame = |n: u32| image::imageops::crop_imm(&tall, 0, n * height, tall.width(), height).to_image();
    Expected { frames: (0..times.len() as u32).map(frame).collect(), times }
}

/// Peak signal-to-noise ratio in dB.
fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let squares: f64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    20.0 * 255_f64.log10() - 10.0 * (squares / a.as_raw().len() as f64).max(1e-9).log10()
}

/// Least likeness in dB to ffmpeg's conversion to red, green, blue. For half-size chroma in JPEG, and in 10 bits, it smooths chroma in its own way.
const CLIPS: [(&str, f64); 17] = [
    ("mjpeg.avi", 40.0),
    ("mjpeg_420.avi", 32.0),
    ("mjpeg.mp4", 40.0),
    ("mjpeg.mov", 40.0),
    ("baseline.mp4", 40.0),
    ("main_b_frames.mp4", 40.0),
    ("high_odd_size.mp4", 40.0),
    ("bt709.mp4", 40.0),
    ("full_range.mp4", 40.0),
    ("high_422.mp4", 40.0),
    ("high_10.mp4", 28.0),
    ("interlaced.mp4", 40.0),
    ("fragmented.mp4", 40.0),
    ("faststart.mov", 40.0),
    ("edit_list.mp4", 40.0),
    ("turned.mp4", 40.0),
    ("uneven.mp4", 40.0),
];

#[test]
fn times_are_ffprobes_and_pictures_are_ffmpegs() {
    for (name, least) in CLIPS {
        let (found, expected) = (read(&data(name), &alone()).unwrap(), expected(name));
        // The edit begins half a frame before its first picture (media time 6656 of 10240 a second, the picture at 7168). ISO/IEC 14496-12, 8.6.6
        // shows it then; ffmpeg shifts the first picture of an edit to 0.
        let late_s = if name == "edit_list.mp4" { 0.05 } else { 0.0 };
        let times: Vec<f64> = found.iter().map(|f| f.time_s - late_s).collect();
        assert_eq!(times.len(), expected.times.len(), "{name}: {times:?} {:?}", expected.times);
        for (n, (frame, (time, picture))) in found.iter().zip(expected.times.iter().zip(&expected.frames)).enumerate() {
            // ffprobe prints microseconds.
            assert!((times[n] - time).abs() < 1e-6 && frame.number == n as u64, "{name}: {times:?} {:?}", expected.times);
            let likeness = psnr(&frame.picture, picture);
            assert!(likeness >= least, "{name}, frame {n}: {likeness:.1} dB");
        }
    }
}

#[test]
fn every_nth_frame_is_the_same_frame_as_among_all() {
    for name in ["mjpeg.avi", "main_b_frames.mp4", "mjpeg.mp4", "edit_list.mp4"] {
        let all = read(&data(name), &alone()).unwrap();
        for every in [1, 2, 5, 100] {
            let some = read(&data(name), &Options { every, ..alone() }).unwrap();
            let chosen: Vec<Frame> = all.iter().filter(|f| f.number % every == 0).cloned().collect();
            assert_eq!(some, chosen, "{name}, every {every}");
        }
    }
}

#[test]
fn what_a_file_is_and_who_decodes_it_is_told() {
    let info = |name: &str| Video::open(&data(name), &alone()).unwrap().info().to_string();
    assert_eq!(info("main_b_frames.mp4"), "H.264 in MP4, 96 x 64, 12 frames, 1.20 s, decoded by rust_h264");
    assert_eq!(info("mjpeg.avi"), "MJPEG in AVI, 96 x 64, 12 frames, 1.20 s, decoded by zune-jpeg");
    assert!(info("turned.mp4").contains("64 x 96"));
    assert!(video::is_video(&data("mjpeg.avi")) && !video::is_video(&data("mjpeg.avi.png")) && !video::is_video(&data("none")));
}

#[test]
fn a_codec_of_others_needs_ffmpeg_and_the_result_says_so() {
    let error = Video::open(&data("msmpeg4.avi"), &alone()).unwrap_err().to_string();
    assert_eq!(error, "`MP43` in AVI is not decoded by this program itself, and ffmpeg is switched off");
    let missing = Options { ffmpeg: Some("/none/ffmpeg".into()), ..Options::default() };
    let error = Video::open(&data("vp8.webm"), &missing).unwrap_err().to_string();
    assert!(error.contains("/none/ffmpeg") && error.contains("install it"), "{error}");
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("skipped: there is no ffmpeg");
        return;
    }
    for name in ["msmpeg4.avi", "vp8.webm"] {
        let expected = expected(name);
        for every in [1, 3] {
            let clip = Video::open(&data(name), &Options { every, ..Options::default() }).unwrap();
            assert!(clip.info().decoder.starts_with("ffmpeg ") && clip.info().decoder.ends_with(" (process)"));
            if name == "msmpeg4.avi" {
                assert!(clip.info().to_string().starts_with("`MP43` in AVI, decoded by ffmpeg "));
            }
            let found: Vec<Frame> = clip.collect::<Result<_, _>>().unwrap();
            let numbers: Vec<u64> = (0..expected.times.len() as u64).step_by(every as usize).collect();
            assert_eq!(found.iter().map(|f| f.number).collect::<Vec<_>>(), numbers);
            for frame in found {
                let n = frame.number as usize;
                assert!((frame.time_s - expected.times[n]).abs() < 1e-6 && psnr(&frame.picture, &expected.frames[n]) > 60.0);
            }
        }
    }
}

#[test]
fn ffmpegs_complaint_is_passed_on() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("skipped: there is no ffmpeg");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("-clip.mp4");
    std::fs::write(&path, [b'x'; 3000]).unwrap();
    let error = read(&path, &Options::default()).unwrap_err();
    assert!(matches!(error, VideoError::Ffmpeg(_)) && error.to_string().contains("Invalid data"), "{error}");
}

#[test]
fn a_larger_video_than_allowed_is_refused_before_it_is_decoded() {
    let small = |limits| Options { limits, ..alone() };
    for name in ["mjpeg.avi", "baseline.mp4", "mjpeg.mp4"] {
        let side = read(&data(name), &small(Limits { side: 95, ..Limits::default() })).unwrap_err();
        assert!(matches!(side, VideoError::TooLarge(_)) && side.to_string().contains("96 x 64"), "{name}: {side}");
        for limits in [
            Limits { pixels: 96 * 64 - 1, ..Limits::default() },
            Limits { frames: 11, ..Limits::default() },
            Limits { frame_bytes: 100, ..Limits::default() },
        ] {
            let error = read(&data(name), &small(limits)).unwrap_err();
            assert!(matches!(error, VideoError::TooLarge(_)), "{name}: {error}");
        }
    }
    let index = read(&data("baseline.mp4"), &small(Limits { index_bytes: 500, ..Limits::default() })).unwrap_err();
    assert!(matches!(index, VideoError::TooLarge(_)), "{index}");
}

#[test]
fn damaged_frames_are_named_and_those_after_them_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(data("mjpeg.avi")).unwrap();
    let movi = bytes.windows(4).position(|w| w == b"movi").unwrap();
    let frames: Vec<usize> = (movi..bytes.len() - 4).filter(|at| &bytes[*at..at + 4] == b"00dc").take(12).collect();
    let (from, to) = (frames[5] + 8, frames[6]);
    bytes[from..to].fill(0x55);
    let path = folder.path().join("a.avi");
    std::fs::write(&path, bytes).unwrap();
    let found: Vec<Result<Frame, VideoError>> = Video::open(&path, &alone()).unwrap().collect();
    assert_eq!(found.len(), 12);
    let bad: Vec<usize> = found.iter().enumerate().filter_map(|(n, f)| f.is_err().then_some(n)).collect();
    assert_eq!(bad, [5]);
    let error = found[5].as_ref().unwrap_err();
    assert!(error.is_one_frame() && error.to_string().starts_with("frame 5 (at 0.500 s) is damaged: "), "{error}");
}
