//! `omnimind vision` as a user meets it. Skipped, saying so, where the models are not in the cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use models::testing::broker_or_skip;
use serde_json::Value;

const MODELS: [&str; 2] = ["nanodet_g_416", "efficientnet_lite0"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn photo(name: &str) -> String {
    repository().join("nodes/vision/tests/data").join(name).display().to_string()
}

fn clip(name: &str) -> String {
    repository().join("video/tests/data").join(name).display().to_string()
}

fn vision(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_omnimind"))
        .arg("vision")
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("the program starts")
}

/// What it prints if it ends with that code.
fn text(arguments: &[&str], dir: &Path, code: i32) -> String {
    let out = vision(arguments, dir);
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn lines(arguments: &[&str], dir: &Path, code: i32) -> Vec<Value> {
    text(arguments, dir, code).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one sentence on standard error.
fn refused(arguments: &[&str], dir: &Path) -> String {
    let out = vision(arguments, dir);
    let said = String::from_utf8_lossy(&out.stderr).trim_end().to_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(out.stdout.is_empty() && said.lines().count() == 1 && said.starts_with("omnimind: "), "{said}");
    said
}

#[test]
fn a_photo_is_analysed_as_text_json_and_picture() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (coffee, astronaut) = (photo("coffee.jpg"), photo("astronaut.jpg"));
    let told = text(&["analyze", &coffee, "--threshold", "0.4"], dir.path(), 0);
    assert!(told.contains("cup") && told.contains("by          nanodet_g_416+efficientnet_lite0"), "{told}");
    let seen = lines(&["analyze", &coffee, &astronaut, "--json", "--threshold", "0.4", "--output", "seen"], dir.path(), 0);
    assert_eq!((seen.len(), seen[0]["command"].as_str()), (2, Some("analyze")));
    assert_eq!(seen[1]["objects"][0]["label"], "person");
    assert_eq!(seen[1]["objects"][0]["category"], "person");
    assert!(seen[0]["provenance"]["model"].as_str().unwrap().starts_with("nanodet_g_416+"));
    assert_eq!(seen[0]["provenance"]["simulated"], false);
    for (line, name) in seen.iter().zip(["coffee", "astronaut"]) {
        let drawn = dir.path().join(line["output"].as_str().unwrap());
        assert_eq!(drawn, dir.path().join(format!("seen/{name}_seen.png")));
        let drawn = pictures::read(&drawn).unwrap();
        assert_eq!(u64::from(drawn.width()), line["width"].as_u64().unwrap());
        assert_ne!(drawn, pictures::read(Path::new(line["file"].as_str().unwrap())).unwrap(), "boxes are drawn");
        let b = &line["objects"][0]["box"];
        let sum = |a: &str, s: &str| b[a].as_f64().unwrap() + b[s].as_f64().unwrap();
        assert!(sum("x", "width") <= 1.0 + 1e-6 && sum("y", "height") <= 1.0 + 1e-6);
    }
    // A threshold filters, and a limit limits.
    let none = &lines(&["analyze", &coffee, "--json", "--threshold", "0.99"], dir.path(), 0)[0];
    assert_eq!(none["objects"].as_array().unwrap().len(), 0);
    let one = &lines(&["analyze", &coffee, "--json", "--threshold", "0.1", "--max-objects", "1"], dir.path(), 0)[0];
    assert_eq!(one["objects"].as_array().unwrap().len(), 1);
}

#[test]
fn bad_pictures_are_named_and_the_good_ones_are_still_looked_at() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read(photo("coffee.jpg")).unwrap();
    let files: [(&str, &[u8], &str); 3] = [
        ("empty.jpg", b"", "empty"),
        ("letter.png", b"Dear Sir", "not JPEG, PNG or WebP"),
        ("half.jpg", &whole[..whole.len() / 2], "ends before"),
    ];
    for (name, bytes, _) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let (clip, coffee) = (clip("mjpeg.avi"), photo("coffee.jpg"));
    let out = vision(&["analyze", "empty.jpg", "letter.png", "half.jpg", "gone.jpg", &clip, &coffee, "--json"], dir.path());
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&out.stdout).lines().count(), 1);
    let said = String::from_utf8_lossy(&out.stderr);
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), 5, "{said:?}");
    for (line, (name, _, why)) in said.iter().zip(files) {
        assert!(line.contains(name) && line.contains(why), "{line}");
    }
    assert!(said[3].contains("gone.jpg") && said[4].contains("omnimind vision video"), "{said:?}");
}

#[test]
fn pictures_are_compared() {
    if broker_or_skip(&MODELS[1..]).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (coffee, astronaut) = (photo("coffee.jpg"), photo("astronaut.jpg"));
    let same = &lines(&["compare", &coffee, &coffee, "--json"], dir.path(), 0)[0];
    assert_eq!((same["similarity"].as_f64(), same["identical"].as_bool()), (Some(1.0), Some(true)));
    let other = &lines(&["compare", &coffee, &astronaut, "--json"], dir.path(), 0)[0];
    assert!(other["similarity"].as_f64().unwrap() < 0.6, "{other}");
    assert!(text(&["compare", &coffee, &astronaut], dir.path(), 0).contains("SSIM"));
    assert!(refused(&["compare", &coffee, "gone.jpg"], dir.path()).contains("gone.jpg"));
}

#[test]
fn features_need_no_network() {
    let dir = tempfile::tempdir().unwrap();
    let line = &lines(&["features", &photo("coffee.jpg"), "--json"], dir.path(), 0)[0];
    for name in ["edge_density", "texture_complexity", "texture_glcm", "color_diversity", "symmetry"] {
        assert!((0.0..=1.0).contains(&line[name].as_f64().unwrap()), "{name}");
    }
    let layout: f64 = line["spatial_layout"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
    assert!((layout - 1.0).abs() < 1e-3 && line["image_hash"].as_str().unwrap().len() == 16);
    assert!(text(&["features", &photo("coffee.jpg")], dir.path(), 0).contains("symmetry"));
}

#[test]
fn a_video_is_looked_at_frame_by_frame() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let main = clip("main_b_frames.mp4");
    let seen = lines(&["video", &main, "--json", "--every", "4", "--output", "seen.avi"], dir.path(), 0);
    let frames: Vec<(u64, f64)> =
        seen[..3].iter().map(|l| (l["frame"].as_u64().unwrap(), l["time_s"].as_f64().unwrap())).collect();
    assert_eq!(frames, [(0, 0.0), (4, 0.4), (8, 0.8)]);
    assert!(seen[0]["motion_score"].is_null() && (0.0..=1.0).contains(&seen[1]["motion_score"].as_f64().unwrap()));
    assert!(seen[0]["image_hash"].as_str().unwrap().len() == 16 && seen[0]["scene"]["type"].is_string());
    assert!(seen[0]["provenance"]["model"].as_str().unwrap().contains("bytetrack"));
    let summary = &seen[3]["summary"];
    assert_eq!((summary["frames"].as_u64(), summary["decoder"].as_str()), (Some(3), Some("rust_h264")));
    let written = video::Video::open(&dir.path().join("seen.avi"), &video::Options::default()).unwrap();
    assert_eq!(written.map(|f| f.unwrap().time_s).collect::<Vec<f64>>(), [0.0, 0.4, 0.8]);
    let told = text(&["video", &main, "--fps", "2", "--output", "frames"], dir.path(), 0);
    assert!(told.contains("H.264 in MP4, 96 x 64") && told.contains("3 frames"), "{told}");
    let mut names: Vec<PathBuf> = std::fs::read_dir(dir.path().join("frames")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert_eq!(
        names.iter().map(|n| n.file_name().unwrap()).collect::<Vec<_>>(),
        ["frame_000000.jpg", "frame_000005.jpg", "frame_000010.jpg"]
    );
    assert_eq!(lines(&["video", &main, "--json", "--frames", "1"], dir.path(), 0).len(), 2);
}

#[test]
fn a_video_that_is_none_or_cut_is_told() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty.mp4"), b"").unwrap();
    assert!(refused(&["video", "empty.mp4"], dir.path()).contains("the file is empty"));
    assert!(refused(&["video", "gone.mp4"], dir.path()).contains("gone.mp4"));
    assert!(refused(&["video", &photo("coffee.jpg")], dir.path()).contains("it is a picture"));
    assert!(refused(&["video", &clip("msmpeg4.avi"), "--ffmpeg", ""], dir.path()).contains("ffmpeg is switched off"));
    let whole = std::fs::read(clip("mjpeg.avi")).unwrap();
    std::fs::write(dir.path().join("cut.avi"), &whole[..whole.len() / 2]).unwrap();
    let out = vision(&["video", "cut.avi", "--json", "--every", "2"], dir.path());
    let last: Value = serde_json::from_str(String::from_utf8(out.stdout).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(last["summary"]["frames"].as_u64().unwrap() >= 2 && last["summary"]["cut_off"].as_str().unwrap().contains("cut off"));
}

#[test]
fn points_of_two_pictures_are_matched() {
    if broker_or_skip(&["xfeat"]).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let coffee = photo("coffee.jpg");
    let found = &lines(&["match", &coffee, &coffee, "--keypoints", "500", "--json", "--output", "both.png"], dir.path(), 0)[0];
    let matches = found["matches"].as_array().unwrap();
    assert!(matches.len() >= 450 && matches.iter().all(|m| m["a"] == m["b"]), "{}", matches.len());
    let (one, both) = (pictures::read(Path::new(&coffee)).unwrap(), pictures::read(&dir.path().join("both.png")).unwrap());
    assert_eq!(both.dimensions(), (2 * one.width() + 8, one.height()));
    assert!(text(&["match", &coffee, &coffee], dir.path(), 0).contains("places in both pictures"));
}

#[test]
fn a_folder_is_searched_by_words_and_by_picture() {
    if broker_or_skip(&["nanodet_g_416", "efficientnet_lite0", "minilm_l6_v2"]).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["coffee.jpg", "astronaut.jpg"] {
        std::fs::copy(photo(name), dir.path().join(name)).unwrap();
    }
    std::fs::write(dir.path().join("bad.jpg"), b"no picture").unwrap();
    for (words, first) in [("a cup of coffee", "coffee.jpg"), ("somebody", "astronaut.jpg")] {
        let found = lines(&["search", words, ".", "--json"], dir.path(), 1);
        assert!(found[0]["file"].as_str().unwrap().ends_with(first), "{words}: {found:?}");
        assert!(found[0]["provenance"]["model"].as_str().unwrap().contains("minilm_l6_v2+label-search"));
    }
    std::fs::remove_file(dir.path().join("bad.jpg")).unwrap();
    let found = lines(&["search", "coffee.jpg", ".", "--json", "--results", "1"], dir.path(), 0);
    assert!(found.len() == 1 && found[0]["file"].as_str().unwrap().ends_with("coffee.jpg"), "{found:?}");
    std::fs::create_dir(dir.path().join("none")).unwrap();
    assert!(refused(&["search", "a cup", "none"], dir.path()).contains("there is no .jpg"));
}

#[test]
fn a_missing_network_is_one_sentence_with_the_command_that_fetches_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_omnimind"))
        .args(["vision", "analyze", &photo("coffee.jpg")])
        .env("XDG_CACHE_HOME", dir.path())
        .env("OMNIMIND_OFFLINE", "1")
        .env_remove("OMNIMIND_MODELS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).trim_end().to_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("omnimind models fetch") && said.lines().count() == 1, "{said}");
    let unknown = refused(&["analyze", &photo("coffee.jpg"), "--model", "no_such_model"], dir.path());
    assert!(unknown.contains("no_such_model"), "{unknown}");
}
