//! Measures how well the robot hears. Each command prints tables of nodes/audio/README.md.
//!
//!     cargo run --release -p omnimind-audio --example hearing -- COMMAND
//!
//!     words SPEECH [--transcripts FILE] [--beam N] [--views N] [--vocabulary] [--whole] [--every N] [--offset N] [--conditions N]
//!     readings [--transcripts FILE]        the two recorded readings that come with the recogniser
//!     speed                                times of the recogniser by length of the sound
//!     cohort FILE                          writes the strangers' embeddings that scores are normalised with
//!     speakers SPEECH [--scores FILE]      equal error rate of telling voices apart
//!     diarise SPEECH [--from N]            who spoke when, error rate on conversations put together from SPEECH
//!     wake SPEECH [--minutes N]            misses and false accepts per hour of the wake phrase
//!     moods [--prosody]                    confusion matrix of acted moods
//!
//! SPEECH is a folder that tests/audio/speak_commands.py wrote. flite and espeak-ng must be installed.

mod acted;
mod conversations;
mod speakers;
mod speed;
mod synthetic;
mod waking;
mod words;

use std::error::Error;

/// Arguments after the command's name.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// True if `--name` was given.
    fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|a| a == name)
    }

    /// The word after `--name`.
    fn value(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|a| a == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The number after `--name`.
    fn number(&self, name: &str, default: usize) -> Result<usize, Box<dyn Error>> {
        Ok(self.value(name).map(str::parse).transpose()?.unwrap_or(default))
    }

    /// The first argument.
    fn first(&self) -> Result<&str, Box<dyn Error>> {
        self.0.first().map(String::as_str).ok_or_else(|| "a path is missing, see the top of examples/hearing/main.rs".into())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments = Arguments(arguments.collect());
    match command.as_str() {
        "words" => words::run(&arguments),
        "readings" => words::readings(&arguments),
        "speed" => speed::run(),
        "cohort" => speakers::cohort(&arguments),
        "speakers" => speakers::run(&arguments),
        "diarise" => conversations::run(&arguments),
        "wake" => waking::run(&arguments),
        "moods" => acted::run(&arguments),
        other => Err(format!("no command `{other}`, see the top of examples/hearing/main.rs").into()),
    }
}
