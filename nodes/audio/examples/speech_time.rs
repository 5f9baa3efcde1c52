//! How long speaking takes: every engine of this machine on stated texts, one thread. The first sound of a text comes after its
//! first sentence, so that is given too.
//!
//!     cargo run --release -p omnimind-audio --example speech_time [-- runs]

use omnimind_audio::tts::{SpeakOptions, Synthesizer, sentences};
use std::time::Instant;

const TEXTS: [(&str, &str); 3] = [
    ("short", "Yes."),
    ("request", "Please bring the red cup to the kitchen."),
    (
        "three sentences",
        "I have looked in the kitchen. The red cup is on the table. Now I go to the study, and then I come back to you.",
    ),
];

/// The `share` quantile of sorted times, nearest rank.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn main() {
    let runs: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(30);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let options = SpeakOptions::default();
    println!(
        "{runs} runs each, times in ms; first: until the first sentence of the text is sound; real time: seconds taken per second of sound"
    );
    println!("| engine | text | sound, s | first p50 | first p95 | first p99 | all p50 | all p95 | all p99 | real time |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for engine in ["flite", "espeak-ng", "piper"] {
        let opened = match engine {
            "piper" => models::Broker::shared()
                .map_err(|e| e.to_string())
                .and_then(|broker| Synthesizer::piper(&broker, "", &path).map_err(|e| e.to_string())),
            _ => Synthesizer::find(engine, &path).map_err(|e| e.to_string()),
        };
        let mut synthesizer = match opened {
            Ok(synthesizer) => synthesizer,
            Err(why) => {
                println!("| {engine} | {why} | | | | | | | | |");
                continue;
            }
        };
        for (name, text) in TEXTS {
            let (mut first, mut all, mut sound_s) = (Vec::new(), Vec::new(), 0.0);
            // Not counted: the first run loads what the others find in memory.
            for run in 0..=runs {
                let begin = Instant::now();
                sound_s = 0.0;
                for (k, sentence) in sentences(text).iter().enumerate() {
                    match synthesizer.speak_sentence(sentence, &options) {
                        Ok(speech) => sound_s += speech.duration_s(),
                        Err(e) => return println!("{engine}: {e}"),
                    }
                    if k == 0 && run > 0 {
                        first.push(begin.elapsed().as_secs_f64() * 1e3);
                    }
                }
                if run > 0 {
                    all.push(begin.elapsed().as_secs_f64() * 1e3);
                }
            }
            first.sort_by(f64::total_cmp);
            all.sort_by(f64::total_cmp);
            let cells: Vec<String> =
                [&first, &all].into_iter().flat_map(|t| [0.5, 0.95, 0.99].map(|q| format!("{:.0}", quantile(t, q)))).collect();
            let factor = quantile(&all, 0.5) * 1e-3 / sound_s;
            println!("| {engine} | {name} | {sound_s:.2} | {} | {factor:.3} |", cells.join(" | "));
        }
    }
}
