//! Which candidates of `sim/assets/speech/make.py --candidates DIR` are understood under all conditions. Prints the lines of
//! DIR/candidates.tsv with three more columns: conditions understood before the first failure, conditions, mean confidence.
//!
//!     cargo run --release -p omnimind-audio --example speech_gate -- DIR > results.tsv

use omnimind_audio::segmenter::Segmenter;
use omnimind_audio::stt::Moonshine;
use omnimind_audio::wer::{at_distance, contains_phrase};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use std::error::Error;
use std::path::PathBuf;

/// Distance in m, noise in dBFS, seed of echo and noise; the hardest first.
const CONDITIONS: [(f32, f32, u64); 14] = [
    (4.0, -50.0, 3),
    (4.0, -48.0, 4),
    (0.5, -60.0, 1),
    (2.0, -48.0, 2),
    (3.0, -50.0, 5),
    (4.0, -48.0, 11),
    (3.0, -50.0, 12),
    (4.0, -50.0, 13),
    (3.0, -52.0, 14),
    (2.0, -52.0, 15),
    (4.0, -48.0, 16),
    (1.0, -55.0, 17),
    (0.5, -60.0, 18),
    (3.0, -50.0, 19),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let list = std::fs::read_to_string(folder.join("candidates.tsv"))?;
    let rows: Vec<Vec<&str>> = list.lines().map(|l| l.split('\t').collect()).collect();
    let mut vocabulary = vec!["omni".to_owned()];
    for row in &rows {
        let [_, _, object, room, ..] = row.as_slice() else { return Err("a line is too short".into()) };
        vocabulary.extend([(*object).to_owned(), (*room).to_owned()]);
    }
    vocabulary.sort();
    vocabulary.dedup();
    let mut stt = Moonshine::open(&models::Broker::shared()?)?.with_beam(4).with_vocabulary(&vocabulary, 6.0);
    for row in rows {
        let speech = omnimind_audio::wav::read(folder.join(row[0]))?.mono();
        let (mut understood, mut confidence) = (0, 0.0);
        for (distance, noise, seed) in CONDITIONS {
            let heard = at_distance(&speech, distance, noise, &mut Pcg64Mcg::seed_from_u64(seed));
            let mut segmenter = Segmenter::new(1, Default::default(), Default::default());
            let mut utterances = segmenter.push(&heard).utterances;
            utterances.extend(segmenter.flush());
            let [utterance] = utterances.as_slice() else { break };
            let text = stt.transcribe(&utterance.mono())?;
            if !contains_phrase(&text.text, row[2]) || !contains_phrase(&text.text, row[3]) {
                break;
            }
            understood += 1;
            confidence += text.confidence;
        }
        let mean = confidence / understood.max(1) as f32;
        println!("{}\t{understood}\t{}\t{mean:.3}", row.join("\t"), CONDITIONS.len());
    }
    Ok(())
}
