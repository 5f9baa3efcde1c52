//! flite and espeak-ng as processes.

use super::text::check_latin;
use super::{Engine, SpeakOptions, Speech, SynthesizeError};
use crate::wav::read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Words per minute that espeak-ng speaks unless told otherwise.
const ESPEAK_WORDS_PER_MINUTE: f32 = 175.0;

pub(super) struct Program {
    pub engine: Engine,
    file: PathBuf,
    /// What flite says that it has; it would take its default for a name that it does not know, and say nothing.
    voices: OnceLock<Vec<String>>,
}

impl Program {
    pub fn new(engine: Engine, file: PathBuf) -> Self {
        Self { engine, file, voices: OnceLock::new() }
    }

    fn knows(&self, voice: &str) -> bool {
        if self.engine != Engine::Flite {
            return true;
        }
        let voices = self.voices.get_or_init(|| {
            let listed = Command::new(&self.file).arg("-lv").stdin(Stdio::null()).output();
            let text = listed.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
            text.split_once(':').map_or_else(Vec::new, |(_, names)| names.split_whitespace().map(str::to_owned).collect())
        });
        voices.iter().any(|v| v == voice)
    }

    pub fn speak(&self, sentence: &str, options: &SpeakOptions) -> Result<Speech, SynthesizeError> {
        let voice = if options.voice.is_empty() { self.engine.default_voice() } else { &options.voice };
        // A name only: neither an option nor a path or address that flite would load a voice from.
        let plain = voice.len() <= 40 && voice.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b));
        if !plain || voice.starts_with('-') || !self.knows(voice) {
            return Err(SynthesizeError::Voice(voice.to_owned()));
        }
        if self.engine == Engine::Flite || voice.starts_with("en") {
            check_latin(sentence)?;
        }
        let folder = tempfile::tempdir().map_err(|e| self.failed(e))?;
        let sound = folder.path().join("speech.wav");
        self.run(sentence, voice, options.speed.clamp(0.5, 2.0), folder.path(), &sound)?;
        let clip = read(&sound)?;
        Ok(Speech {
            samples: clip.mono(),
            sample_rate: clip.sample_rate,
            engine: self.engine,
            voice: voice.to_owned(),
            unknown_phonemes: 0,
            run_ms: 0.0,
            device: "cpu".to_owned(),
        })
    }

    fn run(&self, text: &str, voice: &str, speed: f32, folder: &Path, sound: &Path) -> Result<(), SynthesizeError> {
        // The text goes through a file: it can be no option and needs no quoting.
        let source = folder.join("text.txt");
        std::fs::write(&source, text).map_err(|e| self.failed(e))?;
        let mut command = Command::new(&self.file);
        match self.engine {
            Engine::Flite => {
                if speed != 1.0 {
                    command.arg("--setf").arg(format!("duration_stretch={}", 1.0 / speed));
                }
                command.arg("-voice").arg(voice).arg("-f").arg(&source).arg("-o").arg(sound)
            }
            _ => {
                if speed != 1.0 {
                    command.arg("-s").arg(format!("{:.0}", ESPEAK_WORDS_PER_MINUTE * speed));
                }
                command.arg("-v").arg(voice).arg("-f").arg(&source).arg("-w").arg(sound)
            }
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
