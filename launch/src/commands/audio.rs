//! `omnimind audio`: hearing and speaking on files, without a graph. Each answer names what made it.
//!
//! With `--json` an answer is one JSON object on standard output; its form is in docs/audio.md.

mod devices;
mod features;
mod file;
mod listen;
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
    /// Who speaks when, counted or by name
    Diarise(DiariseArgs),
    /// Remember a voice under a name, from sound files of it
    Enroll(EnrollArgs),
    /// Whose voice it is, of those that were enrolled
    Identify(IdentifyArgs),
    /// Whether somebody calls the robot
    Wake(WakeArgs),
    /// The sound inputs of this machine
    Devices(DevicesArgs),
}

/// `omnimind audio diarise`
#[derive(Debug, Args)]
pub struct DiariseArgs {
    /// The file
    #[command(flatten)]
    pub clip: ClipArgs,
    /// Where the enrolled voices are; nothing: omnimind/speakers.json in the user's state folder
    #[arg(long)]
    pub book: Option<PathBuf>,
}

/// `omnimind audio enroll`
#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// The speaker's name
    pub name: String,
    /// Sound files of this voice alone
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Where the enrolled voices are; nothing: omnimind/speakers.json in the user's state folder
    #[arg(long)]
    pub book: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `omnimind audio identify`
#[derive(Debug, Args)]
pub struct IdentifyArgs {
    /// WAV, MP3, Ogg Vorbis or FLAC
    pub file: PathBuf,
    /// Where the enrolled voices are; nothing: omnimind/speakers.json in the user's state folder
    #[arg(long)]
    pub book: Option<PathBuf>,
    /// Least cosine, -1 to 1
    #[arg(long, default_value_t = people::ACCEPTANCE.min_similarity)]
    pub min_similarity: f32,
    /// Least cosine normalised by strangers' voices, in standard deviations
    #[arg(long, default_value_t = people::ACCEPTANCE.min_score)]
    pub min_score: f32,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `omnimind audio wake`
#[derive(Debug, Args)]
pub struct WakeArgs {
    /// The file
    #[command(flatten)]
    pub clip: ClipArgs,
    /// The phrase
    #[arg(long, default_value = "hey omni")]
    pub phrase: String,
    /// Likeness in sound from which it counts, 0 to 1
    #[arg(long, default_value_t = 0.78)]
    pub likeness: f32,
    /// Log-probability of the phrase as the first words from which it counts, whatever was written
    #[arg(long, default_value_t = -13.0, allow_negative_numbers = true)]
    pub log_probability: f32,
    /// The recogniser, a model of the catalogue
    #[arg(long, default_value = omnimind_audio::stt::MODEL)]
    pub model: String,
}

/// `omnimind audio devices`
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
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
    /// Where the enrolled voices are; nothing: omnimind/speakers.json in the user's state folder
    #[arg(long)]
    pub book: Option<PathBuf>,
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
        AudioCommand::Emotion(args) => listen::emotion(args),
        AudioCommand::Direction(args) => listen::direction(args),
        AudioCommand::Diarise(args) => people::diarise(args),
        AudioCommand::Enroll(args) => people::enroll(args),
        AudioCommand::Identify(args) => people::identify(args),
        AudioCommand::Wake(args) => transcribe::wake(args),
        AudioCommand::Devices(args) => devices::run(args),
    }?;
    Ok(ExitCode::SUCCESS)
}
