//! Text to speech by a synthesiser program (flite or espeak-ng), run as a process: nothing of it is linked.

use crate::features::SAMPLE_RATE;
use crate::resample::{ResampleError, resample};
use crate::wav::{WavError, read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Longest text taken, characters.
pub const MAX_TEXT: usize = 1_000;

/// A synthesiser program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// CMU Flite (BSD-like licence); voices such as `slt`, `rms`, `awb`, `kal16`.
    Flite,
    /// eSpeak NG (GPL-3.0-or-later); voices such as `en-gb`, `en-us`, `en-us+f3`.
    EspeakNg,
}

impl Engine {
    /// Name of the program, and in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flite => "flite",
            Self::EspeakNg => "espeak-ng",
        }
    }

    fn default_voice(self) -> &'static str {
        match self {
            Self::Flite => "slt",
            Self::EspeakNg => "en-us",
        }
    }
}

/// Why there is no speech.
#[derive(Debug, thiserror::Error)]
pub enum SynthesizeError {
    /// No synthesiser program was found.
    #[error("no speech synthesiser: install flite or espeak-ng, or set the parameter tts_engine")]
    NoEngine,
    /// The text is empty, too long, or holds control characters.
    #[error("this text cannot be spoken: {0}")]
    Text(&'static str),
    /// The voice's name holds characters that no voice has.
    #[error("`{0}` is not the name of a voice")]
    Voice(String),
    /// The program failed.
    #[error("{engine} failed: {reason}")]
    Program {
        /// The program.
        engine: &'static str,
        /// What it said, or why it did not start.
        reason: String,
    },
    /// Its output cannot be read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// Its output cannot be brought to 16 kHz.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// Spoken text.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    /// 16 kHz mono.
    pub samples: Vec<f32>,
    /// Which program made it.
    pub engine: Engine,
    /// The voice it used.
    pub voice: String,
}

impl Speech {
    /// Length counted from the samples, s.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(SAMPLE_RATE)
    }
}

/// A synthesiser that was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synthesizer {
    engine: Engine,
    program: PathBuf,
}

impl Synthesizer {
    /// Looks for a program in the folders of a `PATH`-like list: the named one, or with `auto` flite before espeak-ng.
    ///
    /// # Errors
    /// [`SynthesizeError::NoEngine`].
    pub fn find(engine: &str, path: &std::ffi::OsStr) -> Result<Self, SynthesizeError> {
        for candidate in [Engine::Flite, Engine::EspeakNg] {
            if engine != "auto" && engine != candidate.name() {
                continue;
            }
            for folder in std::env::split_paths(path) {
                let program = folder.join(candidate.name());
                if program.is_file() {
                    return Ok(Self { engine: candidate, program });
                }
            }
        }
        Err(SynthesizeError::NoEngine)
    }

    /// Which program it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Speaks a text of 1 to [`MAX_TEXT`] characters; an empty voice is the engine's default. Waits for the program.
    ///
    /// # Errors
    /// [`SynthesizeError`].
    pub fn speak(&self, text: &str, voice: &str) -> Result<Speech, SynthesizeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SynthesizeError::Text("it is empty"));
        }
        if text.chars().count() > MAX_TEXT {
            return Err(SynthesizeError::Text("it is longer than 1000 characters"));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(SynthesizeError::Text("it holds control characters"));
        }
        let voice = if voice.is_empty() { self.engine.default_voice() } else { voice };
        // A name only: neither an option nor a path or address that flite would load a voice from.
        let plain = voice.len() <= 40 && voice.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b));
        if !plain || voice.starts_with('-') {
            return Err(SynthesizeError::Voice(voice.to_owned()));
        }
        let folder = tempfile::tempdir().map_err(|e| self.failed(e))?;
        let file = folder.path().join("speech.wav");
        self.run(text, voice, folder.path(), &file)?;
        let clip = read(&file)?;
        let samples = resample(&clip.mono(), 1, clip.sample_rate, SAMPLE_RATE)?;
        Ok(Speech { samples, engine: self.engine, voice: voice.to_owned() })
    }

    fn run(&self, text: &str, voice: &str, folder: &Path, file: &Path) -> Result<(), SynthesizeError> {
        // The text goes through a file: it can be no option and needs no quoting.
        let source = folder.join("text.txt");
        std::fs::write(&source, text).map_err(|e| self.failed(e))?;
        let mut command = Command::new(&self.program);
        match self.engine {
            Engine::Flite => command.arg("-voice").arg(voice).arg("-f").arg(&source).arg("-o").arg(file),
            Engine::EspeakNg => command.arg("-v").arg(voice).arg("-f").arg(&source).arg("-w").arg(file),
        };
        let output = command.stdin(Stdio::null()).output().map_err(|e| self.failed(e))?;
        if output.status.success() {
            return Ok(());
        }
        Err(self.failed(String::from_utf8_lossy(&output.stderr).trim()))
    }

    fn failed(&self, reason: impl ToString) -> SynthesizeError {
        SynthesizeError::Program { engine: self.engine.name(), reason: reason.to_string() }
    }
}
