//! The driver on the bench.

use graph::testing::Bench;
use graph::{Level, Time};
use msgs::omnimind_msgs::msg::AudioChunk;
use msgs::std_msgs::msg::Header;
use omnimind_microphone::Microphone;
use std::time::Duration;

fn chunk(k: i64, samples: Vec<f32>) -> AudioChunk {
    let header = Header { stamp: Time::from_nanos(k * 20_000_000).to_msg(), frame_id: String::new() };
    AudioChunk { header, sample_rate: 16_000, channels: 2, samples }
}

fn status(bench: &Bench, what: &str) -> (Level, String) {
    bench.status("microphone", what).unwrap()
}

#[test]
fn raw_sound_is_cleaned_and_keeps_its_time() {
    let mut bench = Bench::new();
    bench.add::<Microphone>(&[("gain_db", 20.0.into())]).unwrap();
    for k in 0..50 {
        let samples = (0..640).map(|i| 0.05 + 0.01 * (0.3 * (i / 2) as f32).sin()).collect();
        bench.publish("device/microphone", chunk(k, samples));
        bench.run_for(Duration::from_millis(20));
    }
    let out = bench.take::<AudioChunk>("microphone/audio");
    assert_eq!(out.len(), 50);
    assert_eq!((out[7].header.frame_id.as_str(), Time::from_msg(&out[7].header.stamp).as_nanos()), ("microphone", 140_000_000));
    let last = &out[49].samples;
    assert!(last.iter().sum::<f32>().abs() / (last.len() as f32) < 0.01, "the offset is gone");
    assert!(last.iter().fold(0.0_f32, |m, s| m.max(s.abs())) > 0.08, "the gain is applied");
    assert_eq!(status(&bench, "chunk").0, Level::Ok);
}

#[test]
fn broken_chunks_are_dropped_and_said() {
    let mut bench = Bench::new();
    bench.add::<Microphone>(&[]).unwrap();
    for bad in [vec![], vec![0.0; 641], vec![f32::NAN; 640]] {
        bench.publish("device/microphone", chunk(0, bad));
        bench.run_for(Duration::from_millis(20));
        let (level, why) = status(&bench, "chunk");
        assert!(level == Level::Error && why.starts_with("dropped"), "{why}");
    }
    assert!(bench.take::<AudioChunk>("microphone/audio").is_empty());
    bench.publish("device/microphone", chunk(0, vec![1.0; 640]));
    bench.run_for(Duration::from_millis(20));
    assert_eq!(status(&bench, "chunk").0, Level::Warn);
    assert_eq!(bench.take::<AudioChunk>("microphone/audio").len(), 1);
}

#[test]
fn a_silent_source_is_stale_and_recovers() {
    let mut bench = Bench::new();
    bench.add::<Microphone>(&[]).unwrap();
    bench.run_for(Duration::from_secs(2));
    assert_eq!(status(&bench, "stream").0, Level::Stale);
    bench.publish("device/microphone", chunk(0, vec![0.0; 640]));
    bench.run_for(Duration::from_millis(500));
    assert_eq!(status(&bench, "stream").0, Level::Ok);
}

#[test]
fn a_file_is_played_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.wav");
    let spec = hound::WavSpec { channels: 1, sample_rate: 8_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for i in 0..8_000 {
        writer.write_sample(((i as f32 * 0.2).sin() * 8_000.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    let mut bench = Bench::new();
    bench.add::<Microphone>(&[("source", "wav".into()), ("path", path.to_str().unwrap().into())]).unwrap();
    bench.run_for(Duration::from_secs(3));
    let out = bench.take::<AudioChunk>("microphone/audio");
    // One second of sound, and one and a half of silence, so that whoever listens knows that it is over.
    assert_eq!(out.iter().map(|c| c.samples.len()).sum::<usize>(), 8_000 + 12_000);
    assert!(out.iter().skip(50).all(|c| c.samples.iter().all(|s| s.abs() < 0.05)));
    for (k, c) in out.iter().enumerate() {
        assert_eq!(Time::from_msg(&c.header.stamp).as_nanos(), (k as i64 + 1) * 20_000_000);
        assert_eq!((c.sample_rate, c.channels), (8_000, 1));
    }
    assert_eq!(status(&bench, "source").1, "the file is over");
    assert_eq!(status(&bench, "stream").0, Level::Ok);
}

#[test]
fn a_missing_file_or_sound_card_is_said_and_the_graph_goes_on() {
    for (source, word) in [("wav", "cannot read"), ("alsa", "sound")] {
        let mut bench = Bench::new();
        bench.add::<Microphone>(&[("source", source.into()), ("path", "/no/such/file.wav".into())]).unwrap();
        bench.run_for(Duration::from_millis(100));
        let (level, why) = status(&bench, "source");
        assert!(level == Level::Error && why.contains(word), "{why}");
    }
}
