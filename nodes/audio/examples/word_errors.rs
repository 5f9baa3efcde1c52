//! Word error table of the spoken requests at several distances and noise levels, with transcription times.
//!
//!     cargo run --release -p omnimind-audio --example word_errors [-- --greedy]

use omnimind_audio::segmenter::Segmenter;
use omnimind_audio::stt::Moonshine;
use omnimind_audio::wer::{at_distance, contains_phrase, word_errors, words};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

#[derive(Deserialize)]
struct Request {
    file: String,
    text: String,
    object: String,
    room: String,
    voice: String,
}

/// Distance in m and noise in dBFS. Speech is at a peak of 0.5 at 1 m.
const CONDITIONS: [(f32, f32); 6] = [(0.5, -60.0), (1.0, -55.0), (2.0, -55.0), (3.0, -52.0), (4.0, -50.0), (4.0, -44.0)];
const SEED: u64 = 20;

#[derive(Default)]
struct Tally {
    errors: usize,
    words: usize,
    understood: usize,
    requests: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let greedy = std::env::args().any(|a| a == "--greedy");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sim/assets/speech");
    let requests: Vec<Request> = serde_yaml_ng::from_str(&std::fs::read_to_string(folder.join("index.yaml"))?)?;
    let mut vocabulary = vec!["omni".to_owned()];
    vocabulary.extend(requests.iter().flat_map(|r| [r.object.clone(), r.room.clone()]));
    vocabulary.sort();
    vocabulary.dedup();
    let mut stt = Moonshine::open(&models::Broker::shared()?)?;
    if !greedy {
        stt = stt.with_beam(4).with_views(3).with_vocabulary(&vocabulary, 6.0);
    }

    let mut rows: BTreeMap<String, [Tally; CONDITIONS.len()]> = BTreeMap::new();
    let mut times_ms = Vec::new();
    for (i, request) in requests.iter().enumerate() {
        let speech = omnimind_audio::wav::read(folder.join(&request.file))?.mono();
        let reference = words(&request.text);
        for (c, (distance, noise)) in CONDITIONS.into_iter().enumerate() {
            let mut rng = Pcg64Mcg::seed_from_u64(SEED + i as u64);
            let heard = at_distance(&speech, distance, noise, &mut rng);
            let mut segmenter = Segmenter::new(1, Default::default(), Default::default());
            let mut utterances = segmenter.push(&heard).utterances;
            utterances.extend(segmenter.flush());
            let mut text = String::new();
            for utterance in utterances {
                let begin = Instant::now();
                text.push_str(&stt.transcribe(&utterance.mono())?.text);
                text.push(' ');
                times_ms.push(begin.elapsed().as_secs_f64() * 1e3);
            }
            let understood = contains_phrase(&text, &request.object) && contains_phrase(&text, &request.room);
            let voice = request.voice.split(':').nth(1).unwrap_or("?").to_owned();
            for row in [
                "all".to_owned(),
                format!("voice {voice}"),
                format!("room {}", request.room),
                format!("object {}", request.object),
            ] {
                let tally = &mut rows.entry(row).or_default()[c];
                tally.errors += word_errors(&reference, &words(&text));
                tally.words += reference.len();
                tally.understood += usize::from(understood);
                tally.requests += 1;
            }
        }
    }

    print!("| requests |");
    for (distance, noise) in CONDITIONS {
        print!(" {distance} m, {noise} dBFS |");
    }
    println!("\n|{}", " --- |".repeat(CONDITIONS.len() + 1));
    for (name, tallies) in rows {
        print!("| {name} ({}) |", tallies[0].requests);
        for t in tallies {
            print!(
                " {:.1} %, {:.0} % |",
                100.0 * t.errors as f64 / t.words as f64,
                100.0 * t.understood as f64 / t.requests as f64
            );
        }
        println!();
    }
    times_ms.sort_by(f64::total_cmp);
    let at = |p: f64| times_ms[((times_ms.len() - 1) as f64 * p) as usize];
    println!("\nCells: word error rate, share of requests whose object and room were both understood.");
    println!(
        "Transcription, one thread, {} utterances: p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms.",
        times_ms.len(),
        at(0.5),
        at(0.95),
        at(1.0)
    );
    Ok(())
}
