//! Text to speech: flite or espeak-ng, run as processes (nothing of them is linked), or a voice of the Piper kind, a
//! network that gets its phonemes from an espeak-ng process.
//!
//! A text is spoken sentence by sentence ([`sentences`]), so that the first sound does not wait for the last word.

pub mod phonemes;
pub mod piper;
mod program;
pub mod text;

use crate::features::SAMPLE_RATE;
use crate::resample::{ResampleError, resample};
use crate::wav::WavError;
use models::Broker;
use piper::PiperVoice;
use program::Program;
use std::path::PathBuf;
use std::sync::Arc;

pub use text::{MAX_TEXT, sentences};

/// Between two sentences of a voice that ends without silence, s.
const GAP_S: f64 = 0.2;
/// A result whose loudest sample is below this is no speech.
const SILENT: f32 = 1e-3;

/// What turns text into sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// CMU Flite (BSD-like licence); voices such as `slt`, `rms`, `awb`, `kal16`.
    Flite,
    /// eSpeak NG (GPL-3.0-or-later); voices such as `en-gb`, `en-us`, `en-us+f3`.
    EspeakNg,
    /// A network of the Piper kind; voices are models of the catalogue, or `.onnx` files.
    Piper,
}

impl Engine {
    /// Name of the program or kind, and in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flite => "flite",
            Self::EspeakNg => "espeak-ng",
            Self::Piper => "piper",
        }
    }

    /// The voice that an empty name means.
    pub fn default_voice(self) -> &'static str {
        match self {
            Self::Flite => "slt",
            Self::EspeakNg => "en-us",
            Self::Piper => piper::MODEL,
        }
    }
}

/// Why there is no speech.
#[derive(Debug, thiserror::Error)]
pub enum SynthesizeError {
    /// No synthesiser program was found.
    #[error("no speech synthesiser: install flite or espeak-ng, or set the parameter tts_engine")]
    NoEngine,
    /// A Piper voice needs espeak-ng.
    #[error("the Piper voice has no phonemes: install espeak-ng")]
    NoPhonemes,
    /// The network of a Piper voice is not there.
    #[error("the voice `{voice}` is not available: {reason}")]
    NoVoice {
        /// Name in the catalogue, or path.
        voice: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A Piper voice's JSON file is not what it should be.
    #[error("the voice's file {} cannot be used: {reason}", path.display())]
    VoiceFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The text is empty, too long, or holds what cannot be spoken.
    #[error("this text cannot be spoken: {0}")]
    Text(&'static str),
    /// The engine has no voice of this name.
    #[error("`{0}` is not the name of a voice of this synthesiser")]
    Voice(String),
    /// The program failed.
    #[error("{engine} failed: {reason}")]
    Program {
        /// The program.
        engine: &'static str,
        /// What it said, or why it did not start.
        reason: String,
    },
    /// The network failed.
    #[error("the voice's network failed: {0}")]
    Network(String),
    /// The engine gave no sound.
    #[error("{0} made no sound of this text")]
    Silent(&'static str),
    /// Its output cannot be read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// Its output cannot be brought to another rate.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// How to speak.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeakOptions {
    /// The voice; empty is the engine's default. A Piper voice is chosen when it is opened.
    pub voice: String,
    /// How fast, 0.5 to 2; 1 is the voice's own speed.
    pub speed: f32,
    /// How much a Piper voice varies from time to time, 0 to 1; 1 is what it was made with, with 0 the same text gives the
    /// same sound.
    pub variation: f32,
}

impl Default for SpeakOptions {
    fn default() -> Self {
        Self { voice: String::new(), speed: 1.0, variation: 0.0 }
    }
}

/// Spoken text.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    /// One channel at the rate of the engine, full scale is -1..1.
    pub samples: Vec<f32>,
    /// Samples per second, Hz.
    pub sample_rate: u32,
    /// What made it.
    pub engine: Engine,
    /// The voice it used.
    pub voice: String,
    /// Phonemes that the voice does not know and left out (Piper only).
    pub unknown_phonemes: usize,
    /// Time in the network, ms (Piper only).
    pub run_ms: f32,
    /// Where it was computed, `cpu` for programs.
    pub device: String,
}

impl Speech {
    /// Length counted from the samples, s.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate.max(1))
    }

    /// The samples at the rate of the robot's own sound, 16 kHz.
    ///
    /// # Errors
    /// [`SynthesizeError::Resample`].
    pub fn at_16k(&self) -> Result<Vec<f32>, SynthesizeError> {
        Ok(resample(&self.samples, 1, self.sample_rate, SAMPLE_RATE)?)
    }

    /// Puts `next` behind this, with a short silence between the two where the engine leaves none.
    fn append(&mut self, next: Self) {
        if self.engine == Engine::Piper {
            let gap = (GAP_S * f64::from(self.sample_rate)) as usize;
            self.samples.resize(self.samples.len() + gap, 0.0);
        }
        self.samples.extend(next.samples);
        self.unknown_phonemes += next.unknown_phonemes;
        self.run_ms += next.run_ms;
    }
}

/// The file of this name in the folders of a `PATH`-like list.
fn find_program(name: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A synthesiser of this machine.
pub struct Synthesizer(Kind);

enum Kind {
    Program(Program),
    Piper(Box<PiperVoice>),
}

impl Synthesizer {
    /// Looks for a program in the folders of a `PATH`-like list: the named one, or with `auto` flite before espeak-ng.
    ///
    /// # Errors
    /// [`SynthesizeError::NoEngine`].
    pub fn find(engine: &str, path: &std::ffi::OsStr) -> Result<Self, SynthesizeError> {
        [Engine::Flite, Engine::EspeakNg]
            .into_iter()
            .filter(|e| engine == "auto" || engine == e.name())
            .find_map(|engine| Some(Self(Kind::Program(Program::new(engine, find_program(engine.name(), path)?)))))
            .ok_or(SynthesizeError::NoEngine)
    }

    /// A Piper voice by its name in the catalogue or the path of its `.onnx` file; empty: [`piper::MODEL`].
    ///
    /// # Errors
    /// Those of [`PiperVoice::open`].
    pub fn piper(broker: &Arc<Broker>, voice: &str, path: &std::ffi::OsStr) -> Result<Self, SynthesizeError> {
        PiperVoice::open(broker, voice, path).map(Self::of)
    }

    /// A Piper voice that is open already.
    pub fn of(voice: PiperVoice) -> Self {
        Self(Kind::Piper(Box::new(voice)))
    }

    /// What it is.
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Kind::Program(program) => program.engine,
            Kind::Piper(_) => Engine::Piper,
        }
    }

    /// Speaks a whole text of 1 to [`MAX_TEXT`] characters, and waits for it.
    ///
    /// # Errors
    /// [`SynthesizeError`].
    pub fn speak(&mut self, text: &str, options: &SpeakOptions) -> Result<Speech, SynthesizeError> {
        let mut whole: Option<Speech> = None;
        for sentence in sentences(text::check(text)?) {
            let next = self.speak_sentence(&sentence, options)?;
            match &mut whole {
                Some(speech) => speech.append(next),
                None => whole = Some(next),
            }
        }
        whole.ok_or(SynthesizeError::Text("it holds no sentence"))
    }

    /// Speaks one of the [`sentences`] of a text.
    ///
    /// # Errors
    /// [`SynthesizeError`].
    pub fn speak_sentence(&mut self, sentence: &str, options: &SpeakOptions) -> Result<Speech, SynthesizeError> {
        let sentence = text::check(sentence)?;
        let engine = self.engine();
        let speech = match &mut self.0 {
            Kind::Program(program) => program.speak(sentence, options)?,
            Kind::Piper(voice) => {
                if !options.voice.is_empty() && options.voice != voice.name() {
                    return Err(SynthesizeError::Voice(options.voice.clone()));
                }
                let spoken = voice.speak(sentence, options)?;
                Speech {
                    samples: spoken.samples,
                    sample_rate: voice.sample_rate(),
                    engine,
                    voice: voice.name().to_owned(),
                    unknown_phonemes: spoken.unknown_phonemes,
                    run_ms: spoken.run_ms,
                    device: spoken.device,
                }
            }
        };
        if speech.samples.iter().all(|s| s.abs() < SILENT) {
            return Err(SynthesizeError::Silent(engine.name()));
        }
        Ok(speech)
    }
}
