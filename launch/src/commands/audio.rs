//! `omnimind audio`: hearing and speaking on files, without a graph. Each answer names what made it.
//!
//! With `--json` an answer is one JSON object on standard output; its form is in docs/audio.md.

mod features;
mod file;
mod people;
mod picture;
mod speak;
mod transcribe;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// `omnimind audio`
#[derive(Debug, Subcommand)]
pub enum AudioCommand {
    /// What is said in a sound file, when, by whom
    Transcribe(TranscribeArgs),
    /// Speak a text: to a file with -o, otherwise through the loudspeaker
    Speak(SpeakArgs),
    /// Level, pitch, spectrum and cepstrum of a sound file
    Features(ClipArgs),
    /// The mood of a voice
    Emotion(ClipArgs),
    /// Where the sound of a stereo file comes from
    Direction(DirectionArgs),
}

/// A sound file and how to show what is found.
#[derive(Debug, Args)]
pub struct ClipArgs {
    /// WAV, MP3, Ogg Vorbis or FLAC
    pub file: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Draw the mel spectrogram with what was found into this PNG file
    #[arg(long)]
    pub output: Option<PathBuf>,
}

/// `omnimind audio transcribe`
#[derive(Debug, Args)]
pub struct TranscribeArgs {
    /// The file
    #[command(flatten)]
    pub clip: ClipArgs,
    /// The recogniser, a model of the catalogue
    #[arg(long, default_value = omnimind_audio::stt::MODEL)]
    pub model: String,
    /// The language, where the recogniser knows several; nothing: it tells
    #[arg(long, default_value = "")]
    pub language: String,
    /// A phrase to expect, for instance a name; may be given several times
    #[arg(long)]
    pub expect: Vec<String>,
}

/// `omnimind audio speak`
#[derive(Debug, Args)]
pub struct SpeakArgs {
    /// The text
    #[arg(required = true)]
    pub text: Vec<String>,
    /// The file; its name's end tells the format
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// wav, mp3, ogg or flac, where the name does not tell
    #[arg(long)]
    pub format: Option<sounds::Format>,
    /// piper, flite or espeak-ng; nothing: the first of them that is here
    #[arg(long)]
    pub engine: Option<String>,
    /// The voice; nothing: the engine's default. For piper a model of the catalogue or an .onnx file
    #[arg(long, default_value = "")]
    pub voice: String,
    /// How fast, 0.5 to 2
    #[arg(long, default_value_t = 1.0)]
    pub speed: f32,
    /// How much a piper voice varies, 0 to 1; with 0 the same text gives the same sound
    #[arg(long, default_value_t = 0.0)]
    pub variation: f32,
    /// Say as JSON what was made
    #[arg(long, requires = "output")]
    pub json: bool,
}

/// `omnimind audio direction`
#[derive(Debug, Args)]
pub struct DirectionArgs {
    /// The file
    #[command(flatten)]
    pub clip: ClipArgs,
    /// Distance of the two microphones, m
    #[arg(long, default_value_t = 0.1)]
    pub spacing: f64,
}

/// Runs one of the commands.
///
/// # Errors
/// One sentence for the user.
pub fn run(command: &AudioCommand) -> Result<ExitCode> {
    match command {
        AudioCommand::Transcribe(args) => transcribe::run(args),
        AudioCommand::Speak(args) => speak::run(args),
        AudioCommand::Features(args) => features::run(args),
        AudioCommand::Emotion(args) => people::emotion(args),
        AudioCommand::Direction(args) => people::direction(args),
    }?;
    Ok(ExitCode::SUCCESS)
}
