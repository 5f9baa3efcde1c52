//! `omnimind vision`: what is in pictures and videos, without a graph. The shape of `--json` is in docs/vision_commands.md.

mod analyze;
mod draw;
mod json;
mod pairs;
mod search;
mod video;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use image::RgbImage;
use omnimind_vision::{Analyser, AnalyserConfig, DetectorSettings};

pub use video::VideoArgs;

/// `omnimind vision`
#[derive(Debug, Subcommand)]
pub enum VisionCommand {
    /// What pictures show: objects, scene, light, colours
    Analyze(AnalyzeArgs),
    /// How alike two pictures are, 0 to 1
    Compare(CompareArgs),
    /// What a video shows over time: objects with numbers, scene, motion
    Video(VideoArgs),
    /// Numbers that describe pictures: edges, texture, colours, symmetry, layout
    Features(FeaturesArgs),
    /// Which points of two pictures are the same place
    Match(MatchArgs),
    /// The pictures of a folder that fit words, or look like a picture
    Search(SearchArgs),
}

/// Which networks look, and what is kept of what they see.
#[derive(Debug, Args, Clone)]
pub struct NetworkArgs {
    /// Detector, by its name in `omnimind models list`; '' for none
    #[arg(long, default_value = "nanodet_g_416")]
    pub model: String,
    /// Classifier for scene and likeness; '' for none
    #[arg(long, default_value = "efficientnet_lite0")]
    pub classifier: String,
    /// Scene network; '' for the rule over objects, classes and colours
    #[arg(long, default_value = "")]
    pub scene_model: String,
    /// Least confidence of an object
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub threshold: f32,
    /// Objects in a picture at most
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_objects: u32,
    /// Threads within a network
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
}

/// `omnimind vision analyze`
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// Pictures: JPEG, PNG or WebP
    #[arg(required = true)]
    pub pictures: Vec<PathBuf>,
    /// Networks and limits
    #[command(flatten)]
    pub networks: NetworkArgs,
    /// As JSON, a line for each picture
    #[arg(long)]
    pub json: bool,
    /// Write the picture with boxes and labels: a file, or for several pictures a folder
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// `omnimind vision compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// One picture
    pub a: PathBuf,
    /// The other
    pub b: PathBuf,
    /// Network whose vectors are compared; '' for none
    #[arg(long, default_value = "efficientnet_lite0")]
    pub classifier: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `omnimind vision features`
#[derive(Debug, Args)]
pub struct FeaturesArgs {
    /// Pictures: JPEG, PNG or WebP
    #[arg(required = true)]
    pub pictures: Vec<PathBuf>,
    /// As JSON, a line for each picture
    #[arg(long)]
    pub json: bool,
}

/// `omnimind vision match`
#[derive(Debug, Args)]
pub struct MatchArgs {
    /// One picture
    pub a: PathBuf,
    /// The other
    pub b: PathBuf,
    /// Keypoint network
    #[arg(long, default_value = "xfeat")]
    pub model: String,
    /// Keypoints of a picture at most
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub keypoints: u32,
    /// Least cosine of two points' vectors
    #[arg(long, default_value_t = omnimind_vision::keypoints::MIN_COSINE, value_parser = share)]
    pub threshold: f32,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Write both pictures side by side with lines between the points
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// `omnimind vision search`
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to look for, in words; or the file of a picture
    pub wanted: String,
    /// Folder of pictures
    pub folder: PathBuf,
    /// Networks and limits
    #[command(flatten)]
    pub networks: NetworkArgs,
    /// Sentence encoder
    #[arg(long, default_value = "minilm_l6_v2")]
    pub text_model: String,
    /// Image-text pair (decoder `clip`), instead of labels
    #[arg(long, default_value = "")]
    pub pair_model: String,
    /// Answers at most
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub results: u32,
    /// As JSON, a line for each answer
    #[arg(long)]
    pub json: bool,
}

/// Runs `omnimind vision`. Exit code 1 when a picture or frame could not be read.
///
/// # Errors
/// One sentence for the user.
pub fn run(command: &VisionCommand) -> Result<ExitCode> {
    match command {
        VisionCommand::Analyze(args) => analyze::run(args),
        VisionCommand::Compare(args) => pairs::compare(args),
        VisionCommand::Video(args) => video::run(args),
        VisionCommand::Features(args) => analyze::features(args),
        VisionCommand::Match(args) => pairs::match_points(args),
        VisionCommand::Search(args) => search::run(args),
    }
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if (0.0..=1.0).contains(&v) => Ok(v),
        _ => Err("a number from 0 to 1 is needed".to_owned()),
    }
}

impl NetworkArgs {
    fn settings(&self) -> DetectorSettings {
        DetectorSettings {
            confidence_threshold: self.threshold,
            max_objects: self.max_objects as usize,
            ..DetectorSettings::default()
        }
    }

    /// The networks, fetched if they are missing. What was asked for and is not to be had is an error.
    fn analyser(&self) -> Result<Analyser> {
        let config = AnalyserConfig {
            detector: self.model.clone(),
            classifier: self.classifier.clone(),
            places: self.scene_model.clone(),
            settings: self.settings(),
            threads: self.threads as usize,
            ..AnalyserConfig::default()
        };
        ensure(&[&self.model, &self.classifier, &self.scene_model])?;
        let analyser = Analyser::new(models::Broker::shared()?, config);
        let off = |problem: &String| problem.ends_with("switched off");
        match analyser.problems().into_iter().find(|p| !off(p)) {
            Some(problem) => bail!(problem),
            None => Ok(analyser),
        }
    }
}

/// Fetches networks, those with a name.
fn ensure(names: &[&str]) -> Result<()> {
    let names: Vec<String> = names.iter().filter(|n| !n.is_empty()).map(|n| (*n).to_owned()).collect();
    crate::networks::ensure(&names)
}

/// A picture, or why not; the reason names the file.
fn picture(path: &Path) -> Result<RgbImage> {
    match pictures::read(path) {
        Ok(picture) => Ok(picture),
        Err(_) if path.is_file() && ::video::is_video(path) => {
            bail!("{} is a video, for `omnimind vision video`", path.display())
        }
        Err(error @ pictures::ReadError::Decode(_)) => Err(error).with_context(|| path.display().to_string()),
        Err(error) => Err(error.into()),
    }
}

/// Writes a picture in the format that the file's name asks for.
fn write(picture: &RgbImage, path: &Path) -> Result<()> {
    picture.save(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Runs `look` on each picture and prints what it gives. Failures go to standard error, one line each.
fn each(pictures: &[PathBuf], mut look: impl FnMut(&Path) -> Result<String>) -> ExitCode {
    let mut failed = false;
    for picture in pictures {
        match look(picture) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                failed = true;
                eprintln!("omnimind: {error:#}");
            }
        }
    }
    if failed { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
