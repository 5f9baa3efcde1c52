//! `omnimind audio emotion` and `direction`: how it sounds, and from where.

use anyhow::{Result, bail};
use omnimind_audio::ear::EarSettings;
use omnimind_audio::emotion;
use serde_json::json;

use super::file::{self, Maker, print_json, print_makers, round};
use super::picture::{Mark, draw};
use super::{ClipArgs, DirectionArgs};

/// Below this share of the nearest prototype a mood is unknown, as in the node.
pub const EMOTION_THRESHOLD: f32 = 0.55;

/// The mood of each utterance.
pub fn emotion(args: &ClipArgs) -> Result<()> {
    let sound = file::read(&args.file)?;
    let (_, utterances) = sound.listen(EarSettings::default())?;
    let makers = [Maker::algorithm("mood", emotion::ALGORITHM, emotion::VERSION)];
    let (mut lines, mut list, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    for utterance in &utterances {
        let start_s = (utterance.stamp_ns as f64 * 1e-9).max(0.0);
        let end_s = start_s + utterance.mono.len() as f64 / 16_000.0;
        let prosody = emotion::prosody(&utterance.mono);
        let mood = prosody.as_ref().map(|p| emotion::classify(p, EMOTION_THRESHOLD));
        let (label, confidence) = mood.map_or(("unknown", 0.0), |m| (m.label, m.confidence));
        let pitch = prosody.map_or(0.0, |p| p.pitch_hz);
        lines.push(format!("{start_s:>8.2} - {end_s:>7.2} s  {label} ({confidence:.2}), pitch {pitch:.0} Hz"));
        list.push(json!({ "start_s": round(start_s, 2), "end_s": round(end_s, 2), "emotion": label,
            "confidence": round(f64::from(confidence), 3), "pitch_hz": round(f64::from(pitch), 1) }));
        marks.push(Mark { start_s, end_s, text: label.to_owned(), lane: 0 });
    }
    if let Some(path) = &args.output {
        draw(&sound, &marks, &makers[0].words(), path)?;
    }
    if args.json {
        print_json(sound.json("emotion"), json!({ "segments": list }), &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    lines.iter().for_each(|line| println!("{line}"));
    if lines.is_empty() {
        println!("no speech");
    }
    println!("  a baseline of rules on the voice's melody, not a trained classifier");
    print_makers(&makers);
    Ok(())
}

/// The bearing of each utterance.
pub fn direction(args: &DirectionArgs) -> Result<()> {
    let sound = file::read(&args.clip.file)?;
    if sound.clip.channels < 2 {
        bail!("{}: one channel has no direction; two microphones are needed", sound.name);
    }
    if !(0.01..=1.0).contains(&args.spacing) {
        bail!("microphones {} m apart are outside 0.01 to 1 m", args.spacing);
    }
    let (_, utterances) = sound.listen(EarSettings { mic_spacing_m: args.spacing, ..EarSettings::default() })?;
    let makers = [Maker::algorithm("direction", "gcc_phat", "1")];
    let (mut lines, mut list, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    for utterance in &utterances {
        let start_s = (utterance.stamp_ns as f64 * 1e-9).max(0.0);
        let end_s = start_s + utterance.mono.len() as f64 / 16_000.0;
        let degrees = utterance.bearing.map(|b| b.bearing_rad.to_degrees());
        let words = degrees.map_or("no clear direction".to_owned(), |d| {
            let side = if d > 2.0 {
                " to the left"
            } else if d < -2.0 {
                " to the right"
            } else {
                ", straight ahead"
            };
            format!("{:.0} degrees{side}", d.abs())
        });
        lines.push(format!("{start_s:>8.2} - {end_s:>7.2} s  {words}"));
        list.push(
            json!({ "start_s": round(start_s, 2), "end_s": round(end_s, 2), "bearing_deg": degrees.and_then(|d| round(d, 1)),
            "strength": utterance.bearing.and_then(|b| round(b.strength, 3)) }),
        );
        marks.push(Mark { start_s, end_s, text: words, lane: 0 });
    }
    if let Some(path) = &args.clip.output {
        draw(&sound, &marks, &makers[0].words(), path)?;
    }
    if args.clip.json {
        print_json(sound.json("direction"), json!({ "spacing_m": args.spacing, "segments": list }), &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    lines.iter().for_each(|line| println!("{line}"));
    if lines.is_empty() {
        println!("no speech");
    }
    println!("  left and right as seen from the two microphones {} m apart, which cannot tell front from back", args.spacing);
    print_makers(&makers);
    Ok(())
}
