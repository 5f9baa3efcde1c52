//! `omnimind audio features`

use anyhow::Result;
use omnimind_audio::ear::EarSettings;
use omnimind_audio::features::{Mfcc, dbfs, mean_coefficients, rms, zero_crossing_rate};
use omnimind_audio::pitch::Yin;
use serde_json::json;

use super::ClipArgs;
use super::file::{self, Maker, print_json, print_makers, round};
use super::picture::{Mark, draw};

/// The middle one of some values, 0 if there are none.
fn median(values: &mut [f32]) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Prints the features of the whole clip.
pub fn run(args: &ClipArgs) -> Result<()> {
    let sound = file::read(&args.file)?;
    let (blocks, utterances) = sound.listen(EarSettings::default())?;
    let mono = &sound.mono;
    let level = rms(mono);
    let peak = sound.clip.samples.iter().fold(0.0_f32, |p, s| p.max(s.abs()));
    let track = Yin::default().track(mono, 160);
    let mut pitches: Vec<f32> = track.iter().filter(|p| p.voiced).map(|p| p.hz).collect();
    let voiced = if track.is_empty() { 0.0 } else { pitches.len() as f64 / track.len() as f64 };
    let pitch = median(&mut pitches);
    let (low, high) = (pitches.first().copied().unwrap_or(0.0), pitches.last().copied().unwrap_or(0.0));
    // Loud blocks count more: the centre of silence means nothing.
    let loudness: f32 = blocks.iter().map(|b| b.rms).sum();
    let centroid = if loudness > 0.0 { blocks.iter().map(|b| b.rms * b.centroid_hz).sum::<f32>() / loudness } else { 0.0 };
    let crossings = zero_crossing_rate(mono);
    let mfcc = mean_coefficients(&Mfcc::new().frames(mono));
    let speech_s: f64 = utterances.iter().map(|u| u.mono.len() as f64 / 16_000.0).sum();
    let makers = [Maker::algorithm("features", "dsp", "1"), Maker::algorithm("speech found", "earshot", "1")];
    if let Some(path) = &args.output {
        let mark = |u: &omnimind_audio::ear::HeardUtterance| {
            let start_s = (u.stamp_ns as f64 * 1e-9).max(0.0);
            Mark { start_s, end_s: start_s + u.mono.len() as f64 / 16_000.0, text: "speech".to_owned(), lane: 0 }
        };
        let foot = format!("{:.1} dBFS, pitch {pitch:.0} Hz, centroid {centroid:.0} Hz", dbfs(level));
        draw(&sound, &utterances.iter().map(mark).collect::<Vec<_>>(), &foot, path)?;
    }
    if args.json {
        let number = |v: f32, digits| round(f64::from(v), digits);
        let fields = json!({
            "rms": number(level, 5), "dbfs": number(dbfs(level), 2), "peak": number(peak, 5),
            "voiced": pitch > 0.0, "voiced_share": round(voiced, 3), "pitch_hz": number(pitch, 2), "pitch_low_hz": number(low, 2), "pitch_high_hz": number(high, 2),
            "spectral_centroid_hz": number(centroid, 1), "zero_crossing_rate": number(crossings, 5),
            "mfcc": mfcc.iter().map(|c| number(*c, 4)).collect::<Vec<_>>(), "speech_s": round(speech_s, 2),
        });
        print_json(sound.json("features"), fields, &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    println!("  level               {:.1} dBFS (RMS {level:.4}, peak {peak:.3})", dbfs(level));
    if pitch > 0.0 {
        println!("  pitch               {pitch:.1} Hz (median; {low:.0} to {high:.0} Hz), {:.0} % of the time", voiced * 100.0);
    } else {
        println!("  pitch               none");
    }
    println!("  spectral centroid   {centroid:.0} Hz");
    println!("  zero crossings      {:.2} % of the samples", crossings * 100.0);
    println!("  cepstrum (13 MFCC)  {}", mfcc.map(|c| format!("{c:.2}")).join("  "));
    println!("  speech              {speech_s:.2} s in {} stretches", utterances.len());
    print_makers(&makers);
    Ok(())
}
