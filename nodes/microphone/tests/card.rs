//! A sound card that is none: ALSA's file device, which gives the samples of a file as fast as they are taken.
#![cfg(feature = "alsa")]

use graph::Level;
use graph::testing::Bench;
use msgs::omnimind_msgs::msg::AudioChunk;
use omnimind_microphone::{Microphone, input_devices};
use std::process::Command;
use std::time::Duration;

/// Frames of the file: a sawtooth of 100 frames, as 16-bit stereo.
fn raw() -> Vec<u8> {
    (0..480_000_i32).flat_map(|i| [(i % 100 - 50) * 300, (50 - i % 100) * 150]).flat_map(|v| (v as i16).to_le_bytes()).collect()
}

/// Runs a test of this file in a process of its own that sees only the device `bench_mic`.
fn with_card(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (samples, config) = (folder.path().join("mic.raw"), folder.path().join("asound.conf"));
    std::fs::write(&samples, raw()).unwrap();
    let text = format!(
        r#"pcm.silence {{ type null }}
pcm.bench_file {{ type file slave.pcm "silence" file "/dev/null" infile "{}" format "raw" }}
pcm.bench_mic {{ type plug slave {{ pcm "bench_file" format S16_LE channels 2 rate 48000 }} hint {{ show on description "bench" }} }}
pcm.default {{ type plug slave {{ pcm "bench_file" format S16_LE channels 2 rate 48000 }} hint {{ show on description "default" }} }}
ctl.default {{ type hw card 0 }}
"#,
        samples.display()
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("ALSA_CONFIG_PATH", &config)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.contains("1 passed"), "{words}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_card_is_listed_and_heard() {
    with_card("inside_with_a_card");
}

#[test]
#[ignore = "run by a_card_is_listed_and_heard with a device of its own"]
fn inside_with_a_card() {
    let inputs = input_devices().unwrap();
    assert!(inputs.iter().any(|d| d.name.contains("bench_mic")), "{inputs:?}");
    for device in ["", "bench_mic"] {
        let mut bench = Bench::new();
        bench.add::<Microphone>(&[("source", "alsa".into()), ("device", device.into())]).unwrap();
        bench.run_for(Duration::from_millis(10));
        let (level, why) = bench.status("microphone", "source").unwrap();
        assert_eq!(level, Level::Ok, "{why}");
        let mut chunks = Vec::new();
        // The card's thread is a real one: the graph goes on until it has spoken.
        for _ in 0..2_000_000 {
            bench.run_for(Duration::from_micros(100));
            chunks.extend(bench.take::<AudioChunk>("microphone/audio"));
            if chunks.len() >= 3 {
                break;
            }
            std::thread::yield_now();
        }
        assert!(chunks.len() >= 3, "{device}: {} chunks", chunks.len());
        for chunk in &chunks {
            assert!(chunk.sample_rate >= 8_000 && chunk.channels >= 1 && !chunk.samples.is_empty());
        }
        assert!(chunks.iter().flat_map(|c| &c.samples).any(|s| s.abs() > 0.05), "only silence came");
    }
}

#[test]
fn a_name_that_is_not_there_is_said_with_those_that_are() {
    with_card("inside_with_a_wrong_name");
}

#[test]
#[ignore = "run by a_name_that_is_not_there_is_said_with_those_that_are"]
fn inside_with_a_wrong_name() {
    let mut bench = Bench::new();
    bench.add::<Microphone>(&[("source", "alsa".into()), ("device", "no_such_mic".into())]).unwrap();
    bench.run_for(Duration::from_millis(10));
    let (level, why) = bench.status("microphone", "source").unwrap();
    assert!(level == Level::Error && why.contains("no_such_mic") && why.contains("bench_mic"), "{why}");
    assert!(why.ends_with("trying again in 1 s"), "{why}");
    // Attempts go on, farther and farther apart.
    bench.run_for(Duration::from_secs(2));
    assert!(bench.status("microphone", "source").unwrap().1.ends_with("trying again in 2 s"));
    bench.run_for(Duration::from_secs(3));
    assert!(bench.status("microphone", "source").unwrap().1.ends_with("trying again in 4 s"));
}
