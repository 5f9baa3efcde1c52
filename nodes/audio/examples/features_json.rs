//! All frame features of a sound file as JSON, for `tests/audio/librosa_check.py`. The file is brought to 16 kHz mono first.
//!
//!     cargo run --release -p omnimind-audio --example features_json -- speech.wav

use omnimind_audio::features::{MFCC_COUNT, Mfcc, SAMPLE_RATE, Spectrum, dbfs, rms, spectral_centroid, zero_crossing_rate};
use omnimind_audio::pitch::Yin;
use omnimind_audio::resample::resample;
use serde::Serialize;

/// 25 ms frames every 10 ms, pitch in frames of 64 ms every 10 ms, none of them padded.
#[derive(Serialize)]
struct Features {
    mfcc: Vec<[f32; MFCC_COUNT]>,
    rms: Vec<f32>,
    dbfs: Vec<f32>,
    zero_crossing_rate: Vec<f32>,
    centroid_hz: Vec<f32>,
    voiced: Vec<bool>,
    pitch_hz: Vec<f32>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clip = sounds::read(std::env::args().nth(1).ok_or("which sound file?")?)?;
    let mono = resample(&clip.mono(), 1, clip.sample_rate, SAMPLE_RATE)?;
    let mut spectrum = Spectrum::new(Mfcc::FRAME, 512);
    let frames: Vec<&[f32]> = mono.windows(Mfcc::FRAME).step_by(Mfcc::HOP).collect();
    let pitch = Yin::default().track(&mono, Mfcc::HOP);
    let features = Features {
        mfcc: Mfcc::new().frames(&mono),
        rms: frames.iter().map(|f| rms(f)).collect(),
        dbfs: frames.iter().map(|f| dbfs(rms(f))).collect(),
        zero_crossing_rate: frames.iter().map(|f| zero_crossing_rate(f)).collect(),
        centroid_hz: frames.iter().map(|f| spectral_centroid(&spectrum.power(f), SAMPLE_RATE)).collect(),
        voiced: pitch.iter().map(|p| p.voiced).collect(),
        pitch_hz: pitch.iter().map(|p| p.hz).collect(),
    };
    println!("{}", serde_json::to_string(&features)?);
    Ok(())
}
