//! Moods acted by synthesisers: rate, pitch, melody, level and brightness are set as phonetics describes acted moods. This is not human emotion, and
//! says nothing about it; it shows what the rules do with voices that have the prosody they look for.

use crate::Arguments;
use crate::synthetic::{Voice, sentences};
use omnimind_audio::emotion::{LABELS, Mood, classify, prosody};
use std::error::Error;

/// Mood, pace, pitch, melody (each as a factor), level, and brightness as the share of the first difference that is added.
const ACTS: [(&str, f32, f32, f32, f32, f32); 7] = [
    ("neutral", 1.0, 1.0, 1.0, 1.0, 0.0),
    ("happy", 1.1, 1.2, 1.6, 1.2, 0.2),
    ("sad", 0.75, 0.88, 0.4, 0.5, -0.5),
    ("angry", 1.15, 1.12, 1.4, 1.6, 1.2),
    ("excited", 1.3, 1.45, 1.9, 1.4, 0.4),
    ("calm", 0.9, 0.92, 0.65, 0.8, -0.3),
    ("fearful", 1.35, 1.45, 0.7, 0.9, 0.3),
];
const SENTENCES: usize = 6;

/// The voices at their usual pitch, Hz or espeak-ng's 0 to 99, and melody (flite: standard deviation in Hz).
fn voice(which: usize, pace: f32, pitch: f32, melody: f32) -> Voice {
    let flite = |name: &str, hz: f32, deviation: f32| {
        let options = [
            "--setf".to_owned(),
            format!("int_f0_target_mean={}", hz * pitch),
            "--setf".to_owned(),
            format!("int_f0_target_stddev={}", deviation * melody),
            "--setf".to_owned(),
            format!("duration_stretch={}", 1.1 / pace),
        ];
        Voice::flite(name, &options)
    };
    match which {
        0 => flite("kal16", 105.0, 14.0),
        1 => flite("slt", 190.0, 24.0),
        2 => flite("rms", 105.0, 14.0),
        _ => {
            let options = [
                "-s".to_owned(),
                format!("{:.0}", 150.0 * pace),
                "-p".to_owned(),
                format!("{:.0}", (50.0 * pitch.powi(2)).clamp(0.0, 99.0)),
            ];
            Voice::espeak(if which == 3 { "en-us" } else { "en-us+f2" }, &options)
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let sentences = sentences()?;
    let mut table = [[0_usize; LABELS.len()]; ACTS.len()];
    for (a, (act, pace, pitch, melody, level, bright)) in ACTS.iter().enumerate() {
        for v in 0..5 {
            for n in 0..SENTENCES {
                let text = &sentences[n * 37];
                let marked = format!("<speak><prosody range=\"{:.0}%\">{text}</prosody></speak>", 100.0 * melody);
                let clip = voice(v, *pace, *pitch, *melody).say(if v >= 3 { &marked } else { text })?;
                let mut before = 0.0;
                let sound: Vec<f32> = clip
                    .iter()
                    .map(|s| {
                        let y = 0.5 * level * (s + bright * (s - before));
                        before = *s;
                        y
                    })
                    .collect();
                if let Some(p) = prosody(&sound).filter(|_| arguments.flag("--prosody")) {
                    println!(
                        "{act} {v} {:.0} Hz {:.1} st {:.0} Hz {:.1}/s",
                        p.pitch_hz, p.pitch_range_st, p.centroid_hz, p.rate_hz
                    );
                }
                let mood = prosody(&sound).map_or(Mood { label: "unknown", confidence: 0.0 }, |p| classify(&p, 0.55));
                let column = LABELS.iter().position(|l| *l == mood.label).ok_or("no such label")?;
                table[a][column] += 1;
            }
        }
    }
    println!("| acted \\ told |{}\n|{}", LABELS.map(|l| format!(" {l} |")).concat(), " --- |".repeat(LABELS.len() + 1));
    let (mut right, mut told) = (0, 0);
    for (a, row) in table.iter().enumerate() {
        println!("| {} |{}", ACTS[a].0, row.map(|n| format!(" {n} |")).concat());
        right += LABELS.iter().position(|l| *l == ACTS[a].0).map_or(0, |c| row[c]);
        told += row[..LABELS.len() - 1].iter().sum::<usize>();
    }
    let all = ACTS.len() * 5 * SENTENCES;
    println!(
        "\nOf {all} utterances {told} were given a mood, {right} of them the acted one; the others were rejected. Moods acted by synthesisers are not human emotion."
    );
    Ok(())
}
