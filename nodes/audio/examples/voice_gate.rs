//! Voice activity detectors, with and without noise suppression: how many of the speech frames of the simulator's spoken requests they
//! find in noise, and how many frames of pure noise they take for speech; and what suppression does to the words of the recogniser.
//!
//!     cargo run --release -p omnimind-audio --example voice_gate

use omnimind_audio::denoise::denoise;
use omnimind_audio::features::{dbfs, rms};
use omnimind_audio::noise::{babble, mix, pink, white};
use omnimind_audio::silero::Silero;
use omnimind_audio::stt::Moonshine;
use omnimind_audio::vad::Vad;
use omnimind_audio::wer::{word_errors, words};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Request {
    file: String,
    text: String,
}

/// Signal-to-noise ratios, dB; the first stands for no noise.
const SNR_DB: [f32; 4] = [60.0, 20.0, 10.0, 5.0];
/// Frames judged: 32 ms, which both detectors can be asked for.
const FRAME: usize = 512;
/// Frames this close to the loudest are speech, dB; those farther than 40 dB are pauses, and those between are not judged.
const SPEECH_DB: f32 = 25.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sim/assets/speech");
    let requests: Vec<Request> = serde_yaml_ng::from_str(&std::fs::read_to_string(folder.join("index.yaml"))?)?;
    let speech: Vec<Vec<f32>> =
        requests.iter().map(|r| Ok(sounds::read(folder.join(&r.file))?.mono())).collect::<Result<_, sounds::DecodeError>>()?;
    let broker = models::Broker::shared()?;
    let mut earshot = Vad::new(Default::default());
    let mut silero = Vad::with_silero(Default::default(), Silero::open(&broker)?);
    let mut stt = Moonshine::open(&broker)?;
    let others: Vec<&[f32]> = speech.iter().rev().take(6).map(Vec::as_slice).collect();

    println!("| noise | SNR, dB | suppression | earshot: found | earshot: false | silero: found | silero: false | word errors |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for noise_name in ["white", "pink", "babble"] {
        for snr in SNR_DB {
            for suppress in [false, true] {
                let mut rates = [[Rate::default(); 2]; 2];
                let (mut errors, mut total) = (0, 0);
                for (i, (clean, request)) in speech.iter().zip(&requests).enumerate() {
                    let mut rng = Pcg64Mcg::seed_from_u64(i as u64);
                    let padded: Vec<f32> = [vec![0.0; 16_000], clean.clone(), vec![0.0; 16_000]].concat();
                    let noise = match noise_name {
                        "white" => white(padded.len(), &mut rng),
                        "pink" => pink(padded.len(), &mut rng),
                        _ => babble(&others, padded.len(), &mut rng),
                    };
                    let mut noisy = mix(&padded, &noise, snr);
                    if suppress {
                        noisy = denoise(&noisy)?;
                    }
                    for (vad, rates) in [&mut earshot, &mut silero].into_iter().zip(&mut rates) {
                        judge(vad, &padded, &noisy, rates);
                    }
                    // A third of the requests is enough for the words.
                    if i % 3 == 0 {
                        let wanted = words(&request.text);
                        errors += word_errors(&wanted, &words(&stt.transcribe(&noisy[12_000..noisy.len() - 12_000])?.text));
                        total += wanted.len();
                    }
                }
                let [[e_found, e_false], [s_found, s_false]] = rates;
                println!(
                    "| {noise_name} | {snr} | {} | {e_found} | {e_false} | {s_found} | {s_false} | {:.1} % |",
                    if suppress { "RNNoise" } else { "none" },
                    100.0 * errors as f64 / total as f64
                );
            }
        }
    }
    println!(
        "\nFound: share of the frames within {SPEECH_DB} dB of the loudest that are called speech; false: share of the frames of the pauses (1 s before and"
    );
    println!(
        "after, without the 0.25 s next to the speech). Word errors: Moonshine, greedy, without vocabulary, on every third of {} requests.",
        requests.len()
    );
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Rate(usize, usize);

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} %", 100.0 * self.0 as f64 / self.1.max(1) as f64)
    }
}

fn judge(vad: &mut Vad, clean: &[f32], noisy: &[f32], rates: &mut [Rate; 2]) {
    vad.reset();
    let mut spoken = vec![false; clean.len() / FRAME + 1];
    for frame in vad.push(noisy) {
        if let Some(slot) = spoken.get_mut(frame.start_sample as usize / FRAME) {
            *slot |= frame.speech;
        }
    }
    let loudest = clean.chunks(FRAME).map(|f| dbfs(rms(f))).fold(-120.0, f32::max);
    for (k, (frame, spoken)) in clean.chunks_exact(FRAME).zip(spoken).enumerate() {
        let (start, level) = (k * FRAME, dbfs(rms(frame)));
        let pause = start + FRAME < 12_000 || start > clean.len() - 12_000;
        let rate = if pause { &mut rates[1] } else { &mut rates[0] };
        if pause || level > loudest - SPEECH_DB {
            rate.0 += usize::from(spoken);
            rate.1 += 1;
        }
    }
}
