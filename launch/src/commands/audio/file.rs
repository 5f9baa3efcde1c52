//! Sound files, and what is common to the answers about them.

use std::path::Path;

use anyhow::{Context as _, Result};
use omnimind_audio::ear::{BlockFeatures, Ear, EarSettings, HeardUtterance};
use omnimind_audio::features::SAMPLE_RATE;
use omnimind_audio::resample::resample;
use serde_json::{Value, json};
use sounds::{Clip, Decoder, Format, Limits};

/// A sound file that was read.
pub struct Sound {
    /// Its name as it was given.
    pub name: String,
    pub format: Format,
    pub clip: Clip,
    /// 16 kHz, one channel.
    pub mono: Vec<f32>,
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Sound> {
    let name = path.display().to_string();
    let decoder = Decoder::open(path, Limits::default()).with_context(|| name.clone())?;
    let format = decoder.format();
    let clip = decoder.collect().with_context(|| name.clone())?;
    let mono = resample(&clip.mono(), 1, clip.sample_rate, SAMPLE_RATE).with_context(|| name.clone())?;
    Ok(Sound { name, format, clip, mono })
}

impl Sound {
    /// One line about the file.
    pub fn title(&self) -> String {
        let channels = match self.clip.channels {
            1 => "1 channel".to_owned(),
            n => format!("{n} channels"),
        };
        format!("{}: {:.2} s, {} Hz, {channels}, {}", self.name, self.clip.duration_s(), self.clip.sample_rate, self.format)
    }

    /// The JSON object that every answer begins with.
    pub fn json(&self, command: &str) -> Value {
        json!({
            "command": command,
            "file": self.name,
            "format": self.format.extension(),
            "duration_s": round(self.clip.duration_s(), 3),
            "sample_rate_hz": self.clip.sample_rate,
            "channels": self.clip.channels,
        })
    }

    /// Everything that the ear makes of the sound: features ten times a second, and utterances, whose stamps are from the begin.
    pub fn listen(&self, settings: EarSettings) -> Result<(Vec<BlockFeatures>, Vec<HeardUtterance>)> {
        let mut ear = Ear::new(settings);
        let (mut blocks, mut utterances) = (Vec::new(), Vec::new());
        let frames = (self.clip.sample_rate / 50).max(1) as usize;
        let size = frames * usize::from(self.clip.channels.max(1));
        for (k, chunk) in self.clip.samples.chunks(size).enumerate() {
            let stamp_ns = (k * frames) as f64 / f64::from(self.clip.sample_rate) * 1e9;
            let heard = ear.push(stamp_ns.round() as i64, self.clip.sample_rate, self.clip.channels, chunk, false);
            let heard = heard.with_context(|| self.name.clone())?;
            blocks.extend(heard.blocks);
            utterances.extend(heard.utterances);
        }
        utterances.extend(ear.flush());
        Ok((blocks, utterances))
    }
}

/// What made an answer.
pub struct Maker {
    /// What it did, in words.
    pub task: &'static str,
    pub model: String,
    pub version: String,
    pub device: String,
    /// Time in the network, ms; `None` for plain algorithms.
    pub run_ms: Option<f32>,
}

impl Maker {
    /// A plain algorithm.
    pub fn algorithm(task: &'static str, name: &str, version: &str) -> Self {
        Self { task, model: name.to_owned(), version: version.to_owned(), device: "cpu".to_owned(), run_ms: None }
    }

    pub fn json(&self) -> Value {
        json!({ "task": self.task, "model": self.model, "version": self.version, "device": self.device, "run_ms": self.run_ms.map(|ms| round(f64::from(ms), 1)) })
    }

    pub fn words(&self) -> String {
        let ms = self.run_ms.map_or_else(String::new, |ms| format!(", {ms:.0} ms"));
        format!("{} by {} {} ({}{ms})", self.task, self.model, self.version, self.device)
    }
}

/// Puts further fields and the makers into an answer, and prints it.
pub fn print_json(mut answer: Value, fields: Value, makers: &[Maker]) {
    if let (Some(all), Value::Object(more)) = (answer.as_object_mut(), fields) {
        all.extend(more);
        all.insert("models".to_owned(), makers.iter().map(Maker::json).collect());
    }
    println!("{answer}");
}

/// The makers in words, a line each.
pub fn print_makers(makers: &[Maker]) {
    for maker in makers {
        println!("  {}", maker.words());
    }
}

/// So many digits after the point, for JSON that people read too; no number becomes null.
pub fn round(value: f64, digits: i32) -> Option<f64> {
    let scale = 10_f64.powi(digits);
    value.is_finite().then(|| (value * scale).round() / scale)
}
