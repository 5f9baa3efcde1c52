//! flite and espeak-ng as processes.

use super::text::check_latin;
use super::{Engine, SpeakOptions, Speech, SynthesizeError};
use crate::wav::read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Words per minute that espeak-ng speaks unless told otherwise.
const ESPEAK_WORDS_PER_MINUTE: f32 = 175.0;

/// A program that takes longer than this for a sentence hangs.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits for a program to end; one that hangs is ended.
///
/// # Errors
/// A word for it when it had to be ended or cannot be waited for.
pub(super) fn ended(child: Child) -> Result<ExitStatus, String> {
    within(child, TIMEOUT)
}

fn within(mut child: Child, limit: Duration) -> Result<ExitStatus, String> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        if begun.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it had not ended after {} s and was stopped", limit.as_secs_f64()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

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
        // What it says goes to a file: a pipe that nobody reads would stop it.
        let complaints = folder.join("stderr.txt");
        let stderr = std::fs::File::create(&complaints).map_err(|e| self.failed(e))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let status = ended(command.spawn().map_err(|e| self.failed(e))?).map_err(|e| self.failed(e))?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(String::from_utf8_lossy(&std::fs::read(&complaints).unwrap_or_default()).trim()))
    }

    fn failed(&self, reason: impl ToString) -> SynthesizeError {
        SynthesizeError::Program { engine: self.engine.name(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended_and_one_that_ends_is_not() {
        let hangs = Command::new("sleep").arg("1000").spawn().unwrap();
        let why = within(hangs, Duration::from_millis(20)).unwrap_err();
        assert!(why.contains("was stopped"), "{why}");
        assert!(ended(Command::new("true").spawn().unwrap()).unwrap().success());
        assert!(!ended(Command::new("false").spawn().unwrap()).unwrap().success());
    }
}
