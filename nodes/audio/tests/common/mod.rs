//! Sounds for tests: the spoken requests of the simulator, from a bearing, in quiet noise.
#![allow(dead_code, reason = "each test file uses a part of it")]

use msgs::omnimind_msgs::msg::AudioChunk;
use msgs::std_msgs::msg::Header;
use omnimind_audio::direction::SPEED_OF_SOUND;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    pub file: String,
    pub text: String,
    pub object: String,
    pub room: String,
    pub voice: String,
}

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sim/assets/speech")
}

/// All spoken requests.
pub fn requests() -> Vec<Request> {
    serde_yaml_ng::from_str(&std::fs::read_to_string(folder().join("index.yaml")).unwrap()).unwrap()
}

/// Mono samples of one of them, 16 kHz.
pub fn sound(request: &Request) -> Vec<f32> {
    let clip = omnimind_audio::wav::read(folder().join(&request.file)).unwrap();
    assert_eq!((clip.sample_rate, clip.channels), (16_000, 1));
    clip.samples
}

/// The words that the robot expects.
pub fn vocabulary() -> Vec<String> {
    let mut words = vec!["omni".to_owned()];
    for request in requests() {
        words.extend([request.object, request.room]);
    }
    words.sort();
    words.dedup();
    words
}

/// Two channels as the array hears a source at `bearing` (rad, left positive): interleaved, with quiet noise, silence
/// before and after.
pub fn from_bearing(mono: &[f32], bearing: f64, gain: f32) -> Vec<f32> {
    let delay = 0.10 * bearing.sin() / SPEED_OF_SOUND * 16_000.0;
    let at = |t: f64| {
        let i = t.floor();
        let f = (t - i) as f32;
        let get = |i: f64| if i >= 0.0 { mono.get(i as usize).copied().unwrap_or(0.0) } else { 0.0 };
        get(i) * (1.0 - f) + get(i + 1.0) * f
    };
    let mut state = 3_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.0015
    };
    let mut out = Vec::new();
    for i in 0..mono.len() + 32_000 {
        let t = i as f64 - 12_000.0;
        out.push(gain * at(t + delay / 2.0) + noise());
        out.push(gain * at(t - delay / 2.0) + noise());
    }
    out
}

/// 20 ms chunks of interleaved two-channel sound; chunk k begins at k times 20 ms.
pub fn chunks(interleaved: &[f32]) -> Vec<AudioChunk> {
    interleaved
        .chunks(640)
        .enumerate()
        .map(|(k, samples)| {
            let stamp = graph::Time::from_nanos(k as i64 * 20_000_000).to_msg();
            let header = Header { stamp, frame_id: "microphone".to_owned() };
            AudioChunk { header, sample_rate: 16_000, channels: 2, samples: samples.to_vec() }
        })
        .collect()
}

/// A broker with one more model: files of `fixtures/<folder>` by name, declared inputs and outputs as YAML.
pub fn own_broker(
    name: &str,
    decoder: &str,
    folder: &str,
    files: &[(&str, &str)],
    inputs: &str,
    outputs: &str,
) -> std::sync::Arc<models::Broker> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut yaml = format!(
        "version: 1\nmodels:\n  {name}:\n    task: test\n    version: '1'\n    licence: MIT\n    origin: made for the test\n    decoder: {decoder}\n    inputs: {inputs}\n    outputs: {outputs}\n    files:\n"
    );
    for (file, path) in files {
        let path = folder.join(path);
        yaml.push_str(&format!(
            "      - {{name: {file}, path: {}, sha256: {}, bytes: {}}}\n",
            path.display(),
            models::sha256_hex(&path).unwrap(),
            std::fs::metadata(&path).unwrap().len()
        ));
    }
    let own = models::Catalogue::parse(&yaml, "test").unwrap();
    let cache = models::Store::open().unwrap().cache().to_owned();
    let store = models::Store::new(models::Catalogue::built_in().unwrap().merged(own), cache);
    std::sync::Arc::new(models::Broker::new(store, models::BrokerConfig::default()))
}
