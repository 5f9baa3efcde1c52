//! Who spoke when: conversations put together from spoken sentences, so that the turns are known.

use crate::Arguments;
use crate::synthetic::{Voice, sentences, spoken, test_voices};
use omnimind_audio::diarise::{DiarisationError, DiariseSettings, Turn, diarise, error};
use omnimind_audio::features::SAMPLE_RATE;
use omnimind_audio::speaker::SpeakerEncoder;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::error::Error;
use std::path::Path;

/// Conversations per number of speakers.
const EACH: usize = 5;
const TURNS: usize = 8;
/// NIST's collar, s.
const COLLAR_S: f64 = 0.25;

pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut encoder = SpeakerEncoder::open(&models::Broker::shared()?)?;
    let sentences = sentences()?;
    let pipers: Vec<_> =
        spoken(Path::new(arguments.first()?))?.into_iter().filter(|(name, _)| name.starts_with("piper")).collect();
    // espeak-ng's variants are one formant synthesiser each: too alike to be several people. Two of them, a man and a woman, are among the speakers.
    let voices: Vec<Voice> = test_voices()
        .into_iter()
        .filter(|v| v.name.starts_with("flite") || v.name.ends_with("+f2") || v.name.ends_with("+m3"))
        .collect();
    let say = |who: usize, n: usize| -> Result<Vec<f32>, Box<dyn Error>> {
        match voices.get(who) {
            Some(voice) => voice.say(&sentences[n]),
            None => Ok(pipers[who - voices.len()].1[n].clone()),
        }
    };
    let people = voices.len() + pipers.len();
    let defaults = DiariseSettings::default();
    let thresholds: Vec<f32> = match arguments.value("--same-voice") {
        Some(list) => list.split(',').map(str::parse).collect::<Result<_, _>>()?,
        None => vec![defaults.same_voice],
    };
    let same_group = arguments.value("--same-group").map(str::parse).transpose()?.unwrap_or(defaults.same_group);
    // Other conversations than those that the thresholds were chosen on.
    let from = arguments.number("--from", 0)?;
    let mut made = Vec::new();
    for speakers in 1..=4 {
        for k in 0..EACH {
            made.push((speakers, conversation(speakers, k + from, people, sentences.len(), &say)?));
        }
    }
    for same_voice in thresholds {
        let settings = DiariseSettings { same_voice, same_group, ..defaults };
        println!(
            "same voice from {same_voice:.2}\n\n| speakers | conversations | number right | error rate | missed | false alarm | confused |\n|{}",
            " --- |".repeat(7)
        );
        let mut total = DiarisationError::default();
        let mut all_right = 0;
        for speakers in 1..=4 {
            let (mut sum, mut right) = (DiarisationError::default(), 0);
            for (_, (sound, turns)) in made.iter().filter(|(n, _)| *n == speakers) {
                let heard = diarise(&mut encoder, sound, &settings)?;
                right += usize::from(heard.voices.len() == speakers);
                add(&mut sum, &error(turns, &heard.turns, COLLAR_S));
            }
            row(&speakers.to_string(), EACH, right, &sum);
            add(&mut total, &sum);
            all_right += right;
        }
        row("all", 4 * EACH, all_right, &total);
        println!();
    }
    println!("{people} voices, {TURNS} turns of one or two sentences each, pauses of 0.2 to 0.8 s, collar {COLLAR_S} s.");
    Ok(())
}

fn add(sum: &mut DiarisationError, e: &DiarisationError) {
    sum.missed_s += e.missed_s;
    sum.false_alarm_s += e.false_alarm_s;
    sum.confused_s += e.confused_s;
    sum.speech_s += e.speech_s;
}

fn row(name: &str, conversations: usize, right: usize, e: &DiarisationError) {
    let share = |s: f64| 100.0 * s / e.speech_s.max(1e-9);
    println!(
        "| {name} | {conversations} | {right} | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
        100.0 * e.rate(),
        share(e.missed_s),
        share(e.false_alarm_s),
        share(e.confused_s)
    );
}

/// Sound and turns.
fn conversation(
    speakers: usize,
    k: usize,
    people: usize,
    sentences: usize,
    say: &impl Fn(usize, usize) -> Result<Vec<f32>, Box<dyn Error>>,
) -> Result<(Vec<f32>, Vec<Turn>), Box<dyn Error>> {
    let mut rng = Pcg64Mcg::seed_from_u64((100 * speakers + k) as u64);
    let mut cast: Vec<usize> = Vec::new();
    while cast.len() < speakers {
        let who = rng.random_range(0..people);
        if !cast.contains(&who) {
            cast.push(who);
        }
    }
    let rate = f64::from(SAMPLE_RATE);
    let mut sound = vec![0.0; SAMPLE_RATE as usize / 2];
    let mut turns: Vec<Turn> = Vec::new();
    for t in 0..TURNS {
        // Everybody has a turn first, then anybody but the last one.
        let speaker = match (t < speakers, turns.last()) {
            (true, _) => t,
            (_, Some(last)) if speakers > 1 => (last.speaker + rng.random_range(1..speakers)) % speakers,
            _ => 0,
        };
        for _ in 0..rng.random_range(1..3) {
            let clip = say(cast[speaker], rng.random_range(0..sentences))?;
            // The synthesisers' own silence is nobody's turn.
            let loud = |s: &f32| s.abs() > 0.01;
            let first = clip.iter().position(loud).unwrap_or(0);
            let last = clip.iter().rposition(loud).unwrap_or(0);
            let start_s = sound.len() as f64 / rate;
            sound.extend_from_slice(&clip[first..last.max(first)]);
            turns.push(Turn { start_s, end_s: sound.len() as f64 / rate, speaker });
            let pause = rng.random_range(0.2..0.8);
            sound.resize(sound.len() + (pause * rate) as usize, 0.0);
        }
    }
    // A quiet room.
    for s in &mut sound {
        *s += rng.random_range(-0.0005..0.0005);
    }
    Ok((sound, turns))
}
