//! `omnimind audio enroll`, `identify` and `diarise`: who speaks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use omnimind_audio::diarise::{DiariseSettings, Turn, diarise as tell_apart};
use omnimind_audio::speaker::{self, SpeakerEncoder};
use omnimind_audio::speaker_book::{Acceptance, Cohort, SpeakerBook, default_path};
use serde_json::json;

use super::file::{self, Maker, print_json, print_makers, round};
use super::picture::{Mark, draw};
use super::{DiariseArgs, EnrollArgs, IdentifyArgs};

/// From where on a voice is taken for an enrolled one, as in the node.
pub const ACCEPTANCE: Acceptance = Acceptance { min_similarity: 0.75, min_score: 1.0 };

/// Where the voices are kept.
fn book_path(given: Option<&Path>) -> Result<PathBuf> {
    match given.map(Path::to_path_buf).or_else(default_path) {
        Some(path) => Ok(path),
        None => bail!("there is no folder for the voices: set HOME, or give --book"),
    }
}

fn encoder() -> Result<SpeakerEncoder> {
    Ok(SpeakerEncoder::open(&models::Broker::shared()?)?)
}

fn maker(task: &'static str, run_ms: Option<f32>) -> Maker {
    Maker { task, model: speaker::MODEL.to_owned(), version: speaker::MODEL_VERSION.to_owned(), device: "cpu".to_owned(), run_ms }
}

/// Turns of the speakers of a sound, and their names: enrolled ones, otherwise `speaker 1` and on.
pub struct Speakers {
    pub turns: Vec<Turn>,
    pub names: Vec<String>,
    pub maker: Maker,
}

/// Tells the speakers of a sound apart.
pub fn speakers(mono: &[f32], book: Option<&Path>) -> Result<Speakers> {
    let mut encoder = encoder()?;
    let found = tell_apart(&mut encoder, mono, &DiariseSettings::default())?;
    let book = SpeakerBook::load(&book_path(book)?)?;
    let cohort = Cohort::built_in();
    let name = |(n, voice): (usize, &Vec<f32>)| {
        let known = book.identify(voice, &cohort, ACCEPTANCE).speaker_id;
        if known.is_empty() { format!("speaker {}", n + 1) } else { known }
    };
    let names = found.voices.iter().enumerate().map(name).collect();
    Ok(Speakers { turns: found.turns, names, maker: maker("speakers told apart", None) })
}

/// Prints the turns.
pub fn diarise(args: &DiariseArgs) -> Result<()> {
    let sound = file::read(&args.clip.file)?;
    let found = speakers(&sound.mono, args.book.as_deref()).with_context(|| sound.name.clone())?;
    let name = |t: &Turn| found.names.get(t.speaker).cloned().unwrap_or_default();
    let makers = [found.maker];
    if let Some(path) = &args.clip.output {
        let mark = |t: &Turn| Mark { start_s: t.start_s, end_s: t.end_s, text: name(t), lane: t.speaker };
        draw(&sound, &found.turns.iter().map(mark).collect::<Vec<_>>(), &makers[0].words(), path)?;
    }
    if args.clip.json {
        let turns: Vec<_> = found
            .turns
            .iter()
            .map(|t| json!({ "start_s": round(t.start_s, 2), "end_s": round(t.end_s, 2), "speaker": name(t) }))
            .collect();
        print_json(sound.json("diarise"), json!({ "speakers": found.names, "turns": turns }), &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    for turn in &found.turns {
        println!("{:>8.2} - {:>7.2} s  {}", turn.start_s, turn.end_s, name(turn));
    }
    match found.names.len() {
        0 => println!("no speech"),
        1 => println!("1 speaker"),
        n => println!("{n} speakers"),
    }
    print_makers(&makers);
    Ok(())
}

/// Learns a voice. Only embeddings are kept, never sound.
pub fn enroll(args: &EnrollArgs) -> Result<()> {
    let path = book_path(args.book.as_deref())?;
    let mut embeddings = Vec::new();
    let mut encoder = encoder()?;
    let mut run_ms = 0.0;
    for file in &args.files {
        let sound = file::read(file)?;
        let embedding = encoder.embed(&sound.mono).with_context(|| sound.name.clone())?;
        run_ms += embedding.run_ms;
        embeddings.push(embedding.vector);
    }
    let mut book = SpeakerBook::load(&path)?;
    let coherence = book.enroll(&args.name, &embeddings)?;
    book.save(&path)?;
    let samples = book.speakers().find(|(name, _)| *name == args.name).map_or(0, |(_, n)| n);
    let makers = [maker("voice learnt", Some(run_ms))];
    if args.json {
        let fields =
            json!({ "speaker": args.name, "samples": samples, "coherence": round(f64::from(coherence), 3), "book": path });
        print_json(json!({ "command": "enroll", "files": args.files }), fields, &makers);
        return Ok(());
    }
    println!("{}: learnt from {samples} samples, which are alike by {coherence:.2}", args.name);
    if coherence < ACCEPTANCE.min_similarity && samples > 1 {
        println!("  that is little for one voice: is each file this person alone?");
    }
    println!("  kept in {} (numbers only, no sound)", path.display());
    print_makers(&makers);
    Ok(())
}

/// Prints whose voice it is.
pub fn identify(args: &IdentifyArgs) -> Result<()> {
    let sound = file::read(&args.file)?;
    let path = book_path(args.book.as_deref())?;
    let book = SpeakerBook::load(&path)?;
    if book.is_empty() {
        bail!("nobody is enrolled in {}; `omnimind audio enroll NAME FILE...` does it", path.display());
    }
    let embedding = encoder()?.embed(&sound.mono).with_context(|| sound.name.clone())?;
    let from = Acceptance { min_similarity: args.min_similarity, min_score: args.min_score };
    let found = book.identify(&embedding.vector, &Cohort::built_in(), from);
    let makers = [maker("voice compared", Some(embedding.run_ms))];
    if args.json {
        let speaker = (!found.speaker_id.is_empty()).then_some(&found.speaker_id);
        let fields = json!({ "speaker": speaker, "similarity": round(f64::from(found.similarity), 3), "score": round(f64::from(found.score), 2), "enrolled": book.len() });
        print_json(sound.json("identify"), fields, &makers);
        return Ok(());
    }
    println!("{}", sound.title());
    let who = if found.speaker_id.is_empty() { "nobody who is enrolled" } else { &found.speaker_id };
    println!(
        "  {who} (most similar of {}: cosine {:.2}, {:.1} deviations above strangers)",
        book.len(),
        found.similarity,
        found.score
    );
    print_makers(&makers);
    Ok(())
}
