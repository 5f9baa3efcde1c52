//! The wake phrase: misses over voices and noises, false accepts per hour of speech without it and of noise.

use crate::Arguments;
use crate::synthetic::{Voice, spoken, test_voices};
use omnimind_audio::features::SAMPLE_RATE;
use omnimind_audio::noise::{babble, mix, music, pink, white};
use omnimind_audio::recogniser::{self, Guards, Recogniser, Search};
use omnimind_audio::segmenter::Segmenter;
use omnimind_audio::wake::WakePhrase;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use std::error::Error;
use std::path::Path;

const PHRASE: &str = "hey omni";
const LIKENESS: f32 = 0.78;
/// Thresholds of the log-probability that are tried; the node's is -13.
const THRESHOLDS: [f32; 6] = [-9.0, -11.0, -13.0, -15.0, -17.0, -20.0];
const CALLS: [&str; 4] =
    ["Hey Omni.", "Hey Omni, bring the cup to the kitchen.", "Hey Omni, turn left at the door.", "Hey Omni, where is Anna?"];
/// What is like the phrase, or begins like it.
const TRAPS: [&str; 16] = [
    "Hey Anna, come over here.",
    "Hey, only two of them are left.",
    "The money is on the table.",
    "Hey honey, I am home.",
    "Say only what you know.",
    "Hey Tommy, wait for me.",
    "They own me a dinner.",
    "Many of us came late.",
    "Hey everybody, listen.",
    "He only wanted to help.",
    "May only adults enter?",
    "Hey Emily, look at this.",
    "Harmony is important.",
    "A army of robots came.",
    "Omnibus tickets are cheap.",
    "Hey mommy, look.",
];

/// Likeness of the words, and log-probability in the sound, of the best utterance.
struct Score {
    words: f32,
    sound: f32,
}

impl Score {
    fn accepted(&self, threshold: f32) -> bool {
        self.words >= LIKENESS || self.sound >= threshold
    }
}

/// Scores of all utterances of a sound, as the node hears them.
fn utterances(stt: &mut dyn Recogniser, sound: &[f32]) -> Result<Vec<Score>, Box<dyn Error>> {
    let phrase = WakePhrase::new(PHRASE, 0.0).ok_or("no phrase")?;
    let mut segmenter = Segmenter::new(1, Default::default(), Default::default());
    let mut all = segmenter.push(sound).utterances;
    all.extend(segmenter.flush());
    let mut scores = Vec::new();
    for utterance in all {
        let samples = utterance.mono();
        let text = stt.transcribe(&samples, "")?;
        // As in the node: words that are not believed are not looked at, their sound is.
        let believed = Guards::default().doubt(&text, utterance.duration_s()).is_none();
        let words = phrase.find(&text.text).filter(|_| believed).map_or(0.0, |m| m.score);
        let sound = stt.spot(&samples, PHRASE, f32::MAX)?.map_or(f32::MIN, |s| s.log_probability);
        if words >= LIKENESS || sound >= -13.0 {
            eprintln!("  {words:.2} {sound:.1} {}", text.text);
        }
        scores.push(Score { words, sound });
    }
    Ok(scores)
}

pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let minutes = arguments.number("--minutes", 60)? as f64;
    let broker = models::Broker::shared()?;
    let mut stt = recogniser::open(&broker, omnimind_audio::stt::MODEL, &Search::default())?;
    let voices: Vec<Voice> = test_voices().into_iter().take(16).collect();
    let spoken = spoken(Path::new(arguments.first()?))?;
    let rest = vec![0.0; SAMPLE_RATE as usize];
    let padded = |clip: &[f32]| [&rest, clip, &rest].concat();

    println!(
        "| phrase \"{PHRASE}\" | calls |{}",
        THRESHOLDS.iter().map(|t| format!(" missed, words or {t} nat |")).collect::<String>() + " missed, words only |"
    );
    println!("|{}", " --- |".repeat(THRESHOLDS.len() + 3));
    for (name, snr) in [("clean", None), ("white 20 dB", Some(20.0)), ("white 10 dB", Some(10.0)), ("babble 10 dB", Some(10.0))] {
        let mut best: Vec<Score> = Vec::new();
        for (v, voice) in voices.iter().enumerate() {
            for (c, call) in CALLS.iter().enumerate() {
                let mut rng = Pcg64Mcg::seed_from_u64((v * 10 + c) as u64);
                let clip = padded(&voice.say(call)?);
                let parts: Vec<&[f32]> = (0..6).map(|k| spoken[k % spoken.len()].1[(17 * v + 29 * k) % 200].as_slice()).collect();
                let sound = match (snr, name.starts_with("babble")) {
                    (Some(snr), true) => mix(&clip, &babble(&parts, clip.len(), &mut rng), snr),
                    (Some(snr), false) => mix(&clip, &white(clip.len(), &mut rng), snr),
                    (None, _) => clip,
                };
                let scores = utterances(stt.as_mut(), &sound)?;
                let top = |f: fn(&Score) -> f32| scores.iter().map(f).fold(f32::MIN, f32::max);
                best.push(Score { words: top(|s| s.words), sound: top(|s| s.sound) });
            }
        }
        let missed = |t: f32| 100.0 * best.iter().filter(|s| !s.accepted(t)).count() as f64 / best.len() as f64;
        let cells: String = THRESHOLDS.iter().chain([&f32::MAX]).map(|t| format!(" {:.0} % |", missed(*t))).collect();
        println!("| {name} | {} |{cells}", best.len());
    }

    // Speech without the phrase for five sixths of the time, noise for one.
    let second = f64::from(SAMPLE_RATE);
    let (mut scores, mut traps): (Vec<Score>, Vec<Score>) = Default::default();
    let (mut speech_s, mut noise_s) = (0.0, 0.0);
    'speech: for n in 0..spoken[0].1.len() {
        for (v, (_, clips)) in spoken.iter().enumerate() {
            let trap =
                if n % 5 == 0 { Some(voices[(n / 5 + 4 * v) % voices.len()].say(TRAPS[(n / 5) % TRAPS.len()])?) } else { None };
            let sound = padded(&clips[n]);
            speech_s += clips[n].len() as f64 / second;
            scores.extend(utterances(stt.as_mut(), &sound)?);
            if let Some(trap) = trap {
                let sound = padded(&trap);
                speech_s += trap.len() as f64 / second;
                traps.extend(utterances(stt.as_mut(), &sound)?);
            }
            if speech_s >= minutes * 50.0 {
                break 'speech;
            }
        }
    }
    let heard = scores.len();
    let mut rng = Pcg64Mcg::seed_from_u64(9);
    while noise_s < minutes * 10.0 {
        let n = SAMPLE_RATE as usize * 30;
        let kinds = [white(n, &mut rng), pink(n, &mut rng), music(n, 100.0, &mut rng)];
        for kind in kinds {
            noise_s += 30.0;
            scores.extend(utterances(stt.as_mut(), &kind.iter().map(|s| s * 0.2).collect::<Vec<_>>())?);
        }
    }
    let hours = (speech_s + noise_s) / 3_600.0;
    println!(
        "\n{:.1} minutes of speech without it ({heard} sentences and {} made to sound like it) and {:.1} minutes of noise ({} utterances):\n",
        speech_s / 60.0,
        traps.len(),
        noise_s / 60.0,
        scores.len() - heard
    );
    println!("| accepted by | sentences and noise | made to sound like it | per hour |\n| --- | --- | --- | --- |");
    for (t, name) in THRESHOLDS.iter().map(|t| (*t, format!("words or {t} nat"))).chain([(f32::MAX, "words only".to_owned())]) {
        let n = |of: &[Score]| of.iter().filter(|s| s.accepted(t)).count();
        println!("| {name} | {} | {} | {:.1} |", n(&scores), n(&traps), (n(&scores) + n(&traps)) as f64 / hours);
    }
    Ok(())
}
