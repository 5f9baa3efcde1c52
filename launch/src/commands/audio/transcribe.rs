//! `omnimind audio transcribe` and `wake`

use anyhow::{Context as _, Result, bail};
use omnimind_audio::emotion;
use omnimind_audio::long::{self, CutSettings, LongSegment, LongTranscript};
use omnimind_audio::recogniser::{self, Guards, Recogniser, Search};
use omnimind_audio::wake::WakePhrase;
use serde_json::json;

use super::file::{self, Maker, Sound, print_json, print_makers, round};
use super::listen::EMOTION_THRESHOLD;
use super::people::{self, Speakers};
use super::picture::{Mark, draw};
use super::{TranscribeArgs, WakeArgs};

fn open(model: &str, expect: &[String]) -> Result<Box<dyn Recogniser>> {
    let search = Search { vocabulary: expect.iter().map(|p| p.to_lowercase()).collect(), ..Search::default() };
    Ok(recogniser::open(&models::Broker::shared()?, model, &search)?)
}

fn maker(recogniser: &dyn Recogniser, text: &LongTranscript) -> Maker {
    Maker {
        task: "speech to text",
        model: recogniser.model().to_owned(),
        version: recogniser.version().to_owned(),
        device: if text.device.is_empty() { "cpu".to_owned() } else { text.device.clone() },
        run_ms: Some(text.run_ms),
    }
}

/// The mood of a stretch, as far as its melody tells.
fn mood(sound: &Sound, segment: &LongSegment) -> emotion::Mood {
    let at = |s: f64| ((s * 16_000.0).max(0.0) as usize).min(sound.mono.len());
    let part = sound.mono.get(at(segment.start_s)..at(segment.end_s)).unwrap_or_default();
    let unknown = emotion::Mood { label: "unknown", confidence: 0.0 };
    emotion::prosody(part).map_or(unknown, |p| emotion::classify(&p, EMOTION_THRESHOLD))
}

/// Prints the segments, or draws them.
pub fn run(args: &TranscribeArgs) -> Result<()> {
    let sound = file::read(&args.clip.file)?;
    let mut recogniser = open(&args.model, &args.expect)?;
    let Speakers { turns, names, maker: told_apart } =
        people::speakers(&sound.mono, args.book.as_deref()).with_context(|| sound.name.clone())?;
    let (settings, guards) = (CutSettings::default(), Guards::default());
    let text = long::transcribe(recogniser.as_mut(), &sound.mono, &args.language, &turns, &settings, &guards)
        .with_context(|| sound.name.clone())?;
    let makers = [
        maker(recogniser.as_ref(), &text),
        told_apart,
        Maker::algorithm("speech found", "earshot", "1"),
        Maker::algorithm("mood (baseline of rules)", emotion::ALGORITHM, emotion::VERSION),
    ];
    let who = |s: &LongSegment| s.speaker.and_then(|n| names.get(n)).cloned();
    if let Some(path) = &args.clip.output {
        let mark = |s: &LongSegment| {
            let text = match who(s) {
                Some(name) if names.len() > 1 || !name.starts_with("speaker ") => format!("{name}: {}", s.text.trim()),
                _ => s.text.trim().to_owned(),
            };
            Mark { start_s: s.start_s, end_s: s.end_s, text, lane: s.speaker.unwrap_or(0) }
        };
        draw(&sound, &text.segments.iter().map(mark).collect::<Vec<_>>(), &makers[0].words(), path)?;
    }
    let heard: std::collections::BTreeSet<usize> = text.segments.iter().map(|s| s.speaker.unwrap_or(0)).collect();
    if args.clip.json {
        let segment = |s: &LongSegment| {
            let mood = mood(&sound, s);
            json!({
                "start_s": round(s.start_s, 2), "end_s": round(s.end_s, 2), "text": s.text.trim(), "confidence": round(f64::from(s.confidence), 3),
                "language": s.language, "speaker": who(s), "emotion": mood.label, "emotion_confidence": round(f64::from(mood.confidence), 3),
            })
        };
        let refused = |(start_s, end_s, why): &(f64, f64, recogniser::Disbelief)| json!({ "start_s": round(*start_s, 2), "end_s": round(*end_s, 2), "why": why.to_string() });
        let fields = json!({
            "text": text.text().trim(), "language": text.language(), "confidence": round(f64::from(text.confidence()), 3), "num_speakers": heard.len(),
            "segments": text.segments.iter().map(segment).collect::<Vec<_>>(), "not_believed": text.refused.iter().map(refused).collect::<Vec<_>>(),
        });
        print_json(sound.json("transcribe"), fields, &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    for s in &text.segments {
        println!("{:>8.2} - {:>7.2} s  {}", s.start_s, s.end_s, s.text.trim());
        let who = who(s).map_or_else(String::new, |who| format!("{who}, "));
        println!("{:21}{who}confidence {:.2}, language {}, mood {}", "", s.confidence, s.language, mood(&sound, s).label);
    }
    for (start_s, end_s, why) in &text.refused {
        println!("{start_s:>8.2} - {end_s:>7.2} s  (not believed: {why})");
    }
    if text.segments.is_empty() && text.refused.is_empty() {
        println!("no speech");
    }
    print_makers(&makers);
    Ok(())
}

/// Somebody said the phrase.
struct Call {
    start_s: f64,
    end_s: f64,
    how: String,
    score: f32,
    by_sound: bool,
    rest: String,
}

/// Says where the phrase was heard: in what was written, or else, whatever was written, by how well it fits the sound.
pub fn wake(args: &WakeArgs) -> Result<()> {
    let Some(phrase) = WakePhrase::new(&args.phrase, args.likeness) else { bail!("the phrase `{}` has no letters", args.phrase) };
    let sound = file::read(&args.clip.file)?;
    let mut recogniser = open(&args.model, &[])?;
    let mut text = LongTranscript::default();
    let mut calls = Vec::new();
    for range in long::cut(&sound.mono, &CutSettings::default()) {
        let (start_s, end_s) = (range.start as f64 / 16_000.0, range.end as f64 / 16_000.0);
        let Some(samples) = sound.mono.get(range).filter(|s| s.len() >= 1_600) else { continue };
        let written = recogniser.transcribe(samples, "").with_context(|| sound.name.clone())?;
        text.run_ms += written.run_ms;
        if let Some(found) = phrase.find(&written.text) {
            let how = format!("\"{}\", likeness {:.2}", found.heard, found.score);
            let rest = found.rest.trim().to_owned();
            calls.push(Call { start_s, end_s, how, score: found.score, by_sound: false, rest });
        } else if let Some(spot) =
            recogniser.spot(samples, &args.phrase, args.log_probability).with_context(|| sound.name.clone())?
            && spot.log_probability >= args.log_probability
        {
            let how = format!("by its sound, log-probability {:.1}", spot.log_probability);
            let rest = spot.rest.trim().to_owned();
            calls.push(Call { start_s, end_s, how, score: spot.log_probability, by_sound: true, rest });
        }
    }
    let makers = [maker(recogniser.as_ref(), &text), Maker::algorithm("phrase found", "likeness of sounds", "1")];
    if let Some(path) = &args.clip.output {
        let mark = |c: &Call| Mark { start_s: c.start_s, end_s: c.end_s, text: format!("{}: {}", c.how, c.rest), lane: 0 };
        draw(&sound, &calls.iter().map(mark).collect::<Vec<_>>(), &makers[0].words(), path)?;
    }
    if args.clip.json {
        let list: Vec<_> = calls
            .iter()
            .map(|c| {
                json!({ "start_s": round(c.start_s, 2), "end_s": round(c.end_s, 2), "score": round(f64::from(c.score), 3),
                    "by_sound": c.by_sound, "rest": c.rest })
            })
            .collect();
        print_json(sound.json("wake"), json!({ "phrase": args.phrase, "called": !calls.is_empty(), "calls": list }), &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    for c in &calls {
        println!("{:>8.2} - {:>7.2} s  called ({}), then: {}", c.start_s, c.end_s, c.how, c.rest);
    }
    if calls.is_empty() {
        println!("nobody said \"{}\"", args.phrase);
    }
    print_makers(&makers);
    Ok(())
}
