//! How well voices are told apart: equal error rates of the cosine and of the normalised score, and the thresholds.

use crate::Arguments;
use crate::synthetic::{Voice, recording, sentences, spoken, strangers, test_voices};
use omnimind_audio::calibration::{equal_error, rates_at};
use omnimind_audio::noise::{mix, white};
use omnimind_audio::speaker::{EMBEDDING_SIZE, SpeakerEncoder, cosine};
use omnimind_audio::speaker_book::Cohort;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

/// Sentences that a voice is learnt from, and those that it is tested with.
const LEARN: [usize; 3] = [10, 90, 170];
const TEST: [usize; 4] = [30, 70, 130, 210];
/// Half of the test sentences have noise, dB.
const NOISE_DB: f32 = 15.0;

/// Mean of embeddings.
fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; EMBEDDING_SIZE];
    for v in vectors {
        sum.iter_mut().zip(v).for_each(|(s, x)| *s += x);
    }
    sum
}

/// Writes one row of 256 signed bytes per stranger.
pub fn cohort(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut encoder = SpeakerEncoder::open(&models::Broker::shared()?)?;
    let sentences = sentences()?;
    let mut bytes = Vec::new();
    for (v, voice) in strangers().iter().enumerate() {
        let embeddings = (0..2).map(|k| Ok(encoder.embed(&voice.say(&sentences[(7 * v + 40 * k) % sentences.len()])?)?.vector));
        let row = mean(&embeddings.collect::<Result<Vec<_>, Box<dyn Error>>>()?);
        let largest = row.iter().fold(1e-9_f32, |m, x| m.max(x.abs()));
        bytes.extend(row.iter().map(|x| ((x / largest * 127.0).round() as i8).cast_unsigned()));
    }
    std::fs::write(arguments.first()?, &bytes)?;
    println!("{} strangers, {} bytes", bytes.len() / EMBEDDING_SIZE, bytes.len());
    Ok(())
}

struct Known {
    name: String,
    profile: Vec<f32>,
    tests: Vec<Vec<f32>>,
}

pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let broker = models::Broker::shared()?;
    let mut encoder = SpeakerEncoder::open(&broker)?;
    let sentences = sentences()?;
    let mut known = Vec::new();
    let mut learn = |name: &str, clip: &mut dyn FnMut(usize) -> Result<Vec<f32>, Box<dyn Error>>| -> Result<(), Box<dyn Error>> {
        let mut rng = Pcg64Mcg::seed_from_u64(known.len() as u64);
        let mut of = |n: usize, noisy: bool| -> Result<Vec<f32>, Box<dyn Error>> {
            let sound = clip(n)?;
            let sound = if noisy { mix(&sound, &white(sound.len(), &mut rng), NOISE_DB) } else { sound };
            Ok(encoder.embed(&sound)?.vector)
        };
        let profile = mean(&LEARN.map(|n| of(n, false)).into_iter().collect::<Result<Vec<_>, _>>()?);
        let tests = TEST.iter().enumerate().map(|(k, n)| of(*n, k % 2 == 1)).collect::<Result<Vec<_>, _>>()?;
        known.push(Known { name: name.to_owned(), profile, tests });
        Ok(())
    };
    for Voice { name, .. } in &test_voices() {
        let voice = test_voices().into_iter().find(|v| v.name == *name).ok_or("a voice is missing")?;
        learn(name, &mut |n| voice.say(&sentences[n]))?;
    }
    for (name, clips) in spoken(Path::new(arguments.first()?))?.into_iter().filter(|(name, _)| name.starts_with("piper")) {
        learn(&name, &mut |n| Ok(clips[n].clone()))?;
    }
    // Two people: pieces of 3 s, those for learning from the first half.
    for file in ["sample", "sample_long"] {
        let reading = recording(&broker, file)?;
        let piece = (reading.len() / 8).min(64_000);
        let order = [10, 90, 170, 30, 70, 130, 210];
        learn(&format!("person {file}"), &mut |n| {
            let k = order.iter().position(|o| *o == n).unwrap_or(0);
            Ok(reading[k * reading.len() / 8..][..piece].to_vec())
        })?;
    }

    let cohort = Cohort::built_in();
    let mut csv = String::from("learnt,tested,noisy,same,cosine,score\n");
    let (mut same, mut other) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for a in &known {
        for b in &known {
            for (k, test) in b.tests.iter().enumerate() {
                let (similarity, score) = (cosine(test, &a.profile), cohort.normalise(test, &a.profile));
                let is_same = a.name == b.name;
                let class = if is_same { &mut same } else { &mut other };
                class.0.push(similarity);
                class.1.push(score);
                writeln!(csv, "{},{},{},{},{similarity:.4},{score:.3}", a.name, b.name, k % 2, u8::from(is_same))?;
            }
        }
    }
    println!(
        "{} voices, {} scores of the same voice, {} of others, cohort of {}\n",
        known.len(),
        same.0.len(),
        other.0.len(),
        cohort.len()
    );
    println!(
        "| score | equal error rate | threshold there | threshold for 1 % false accepts | misses there |\n|{}",
        " --- |".repeat(5)
    );
    for (name, same, other) in [("cosine", &same.0, &other.0), ("normalised by the cohort", &same.1, &other.1)] {
        let (rate, at) = equal_error(same, other).ok_or("no scores")?;
        let mut sorted = other.clone();
        sorted.sort_by(f32::total_cmp);
        let strict = sorted[(sorted.len() as f64 * 0.99) as usize];
        let misses = rates_at(same, other, strict).miss;
        println!("| {name} | {:.1} % | {at:.3} | {strict:.3} | {:.1} % |", 100.0 * rate, 100.0 * misses);
    }
    // The node's rule, one against one.
    println!("\n| cosine 0.75 and score 1 | missed of the same voice | accepted of others |\n| --- | --- | --- |");
    for (name, noisy) in [("clean", 0), ("white noise, 15 dB", 1)] {
        let (mut same, mut other) = ([0, 0], [0, 0]);
        for a in &known {
            for b in &known {
                for test in b.tests.iter().skip(noisy).step_by(2) {
                    let accepted = cosine(test, &a.profile) >= 0.75 && cohort.normalise(test, &a.profile) >= 1.0;
                    let count = if a.name == b.name { &mut same } else { &mut other };
                    count[usize::from(accepted)] += 1;
                }
            }
        }
        let share = |n: usize, of: [usize; 2]| 100.0 * n as f64 / (of[0] + of[1]).max(1) as f64;
        println!(
            "| {name} | {} of {}, {:.1} % | {} of {}, {:.1} % |",
            same[0],
            same[0] + same[1],
            share(same[0], same),
            other[1],
            other[0] + other[1],
            share(other[1], other)
        );
    }
    // Who is named, with everybody enrolled, at the node's thresholds.
    let (mut right, mut wrong, mut nobody) = (0, 0, 0);
    for b in &known {
        for test in &b.tests {
            let best =
                known.iter().max_by(|x, y| cosine(test, &x.profile).total_cmp(&cosine(test, &y.profile))).ok_or("nobody")?;
            let reached = cosine(test, &best.profile) >= 0.75 && cohort.normalise(test, &best.profile) >= 1.0;
            match (reached, best.name == b.name) {
                (true, true) => right += 1,
                (true, false) => wrong += 1,
                _ => nobody += 1,
            }
        }
    }
    println!("\nAll enrolled, cosine 0.75 and score 1: {right} named right, {wrong} named wrong, {nobody} rejected.");
    let people: Vec<&Known> = known.iter().filter(|k| k.name.starts_with("person")).collect();
    if let [a, b] = people.as_slice() {
        let all = |x: &Known, y: &Known| {
            y.tests
                .iter()
                .map(|t| format!("{:.2}/{:.1}", cosine(t, &x.profile), cohort.normalise(t, &x.profile)))
                .collect::<Vec<_>>()
        };
        println!("Two people, cosine/score: same {:?} {:?}, other {:?} {:?}", all(a, a), all(b, b), all(a, b), all(b, a));
    }
    if let Some(file) = arguments.value("--scores") {
        std::fs::write(file, csv)?;
    }
    Ok(())
}
