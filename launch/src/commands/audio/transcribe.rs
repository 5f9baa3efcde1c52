//! `omnimind audio transcribe`

use anyhow::{Context as _, Result};
use omnimind_audio::ear::EarSettings;
use omnimind_audio::recogniser::{self, Search};
use serde_json::json;

use super::TranscribeArgs;
use super::file::{self, Maker, print_json, print_makers, round};
use super::picture::{Mark, draw};

/// A stretch of speech.
struct Segment {
    start_s: f64,
    end_s: f64,
    text: String,
    confidence: f32,
    language: String,
    emotion: omnimind_audio::emotion::Mood,
}

/// Prints the segments, or draws them.
pub fn run(args: &TranscribeArgs) -> Result<()> {
    let sound = file::read(&args.clip.file)?;
    let (_, utterances) = sound.listen(EarSettings::default())?;
    let broker = models::Broker::shared()?;
    let search = Search { vocabulary: args.expect.iter().map(|p| p.to_lowercase()).collect(), ..Search::default() };
    let mut recogniser = recogniser::open(&broker, &args.model, &search)?;
    let guards = recogniser::Guards::default();
    let mut segments: Vec<Segment> = Vec::new();
    let (mut run_ms, mut device, mut doubted) = (0.0, String::from("cpu"), 0);
    for utterance in &utterances {
        let text = recogniser.transcribe(&utterance.mono, &args.language).with_context(|| sound.name.clone())?;
        let seconds = utterance.mono.len() as f64 / 16_000.0;
        run_ms += text.run_ms;
        device.clone_from(&text.device);
        if guards.doubt(&text, seconds).is_some() {
            doubted += 1;
            continue;
        }
        let unknown = omnimind_audio::emotion::Mood { label: "unknown", confidence: 0.0 };
        let emotion =
            omnimind_audio::emotion::prosody(&utterance.mono).map_or(unknown, |p| omnimind_audio::emotion::classify(&p, 0.55));
        let start_s = utterance.stamp_ns as f64 * 1e-9;
        segments.push(Segment {
            start_s,
            end_s: start_s + seconds,
            text: text.text.trim().to_owned(),
            confidence: text.confidence,
            language: text.language,
            emotion,
        });
    }
    let makers = [
        Maker {
            task: "speech to text",
            model: recogniser.model().to_owned(),
            version: recogniser.version().to_owned(),
            device,
            run_ms: Some(run_ms),
        },
        Maker::algorithm("speech found", "earshot", "1"),
        Maker::algorithm("mood", omnimind_audio::emotion::ALGORITHM, omnimind_audio::emotion::VERSION),
    ];
    let text = segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
    if let Some(path) = &args.clip.output {
        let marks: Vec<Mark> =
            segments.iter().map(|s| Mark { start_s: s.start_s, end_s: s.end_s, text: s.text.clone(), lane: 0 }).collect();
        draw(&sound, &marks, &makers[0].words(), path)?;
    }
    if args.clip.json {
        let list: Vec<_> = segments
            .iter()
            .map(|s| {
                json!({
                    "start_s": round(s.start_s, 2), "end_s": round(s.end_s, 2), "text": s.text, "confidence": round(f64::from(s.confidence), 3),
                    "language": s.language, "emotion": s.emotion.label, "emotion_confidence": round(f64::from(s.emotion.confidence), 3),
                })
            })
            .collect();
        let language = segments.first().map(|s| s.language.clone());
        let fields = json!({ "segments": list, "text": text, "language": language, "not_believed": doubted });
        print_json(sound.json("transcribe"), fields, &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    for s in &segments {
        println!("{:>8.2} - {:>7.2} s  {}", s.start_s, s.end_s, s.text);
        println!("{:21}confidence {:.2}, language {}, mood {}", "", s.confidence, s.language, s.emotion.label);
    }
    match (segments.len(), doubted) {
        (0, 0) => println!("no speech"),
        (_, 0) => {}
        (_, n) => println!("{n} more sounds like speech gave no words that can be believed"),
    }
    print_makers(&makers);
    Ok(())
}
