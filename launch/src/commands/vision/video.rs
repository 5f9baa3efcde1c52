//! `omnimind vision video`: a clip, frame by frame.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::video::{AviWriter, Frame, Options, Video};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use image::RgbImage;
use omnimind_vision::watch::{Watched, Watcher};
use omnimind_vision::{Analyser, annotate};
use serde_json::{Value, json};

use super::analyze::merge;
use super::{NetworkArgs, json};

/// `omnimind vision video`
#[derive(Debug, Args)]
pub struct VideoArgs {
    /// The video: MJPEG in AVI, H.264 or MJPEG in MP4; with ffmpeg whatever it reads
    pub clip: PathBuf,
    /// Look at every n-th frame
    #[arg(long, default_value = "1")]
    pub every: NonZeroU32,
    /// Look at so many frames per second of the clip, instead of every n-th
    #[arg(long, conflicts_with = "every")]
    pub fps: Option<f64>,
    /// End after so many frames that were looked at
    #[arg(long)]
    pub frames: Option<u64>,
    /// Networks and limits
    #[command(flatten)]
    pub networks: NetworkArgs,
    /// The program for codecs that are not decoded here; '' for none
    #[arg(long, default_value = "ffmpeg")]
    pub ffmpeg: String,
    /// As JSON, a line for each frame and one at the end
    #[arg(long)]
    pub json: bool,
    /// Write the frames with boxes and labels: a folder, or a file that ends in .avi
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

const JPEG_QUALITY: u8 = 90;

pub fn run(args: &VideoArgs) -> Result<ExitCode> {
    if args.fps.is_some_and(|f| !(f > 0.0 && f.is_finite())) {
        bail!("--fps is a number above 0");
    }
    let every = if args.fps.is_some() { 1 } else { u64::from(args.every.get()) };
    let options = Options { every, ffmpeg: Some(PathBuf::from(&args.ffmpeg)), ..Options::default() };
    let clip = Video::open(&args.clip, &options).with_context(|| args.clip.display().to_string())?;
    let mut output = args.output.as_deref().map(Output::open).transpose()?;
    let mut looker = Looker::new(args)?;
    let info = clip.info().clone();
    if !args.json {
        println!("{}: {info}", args.clip.display());
    }
    let (mut looked_at, mut damaged, mut next_s, mut last_s, mut broken) = (0_u64, 0_u64, f64::NEG_INFINITY, 0.0, None);
    for frame in clip {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) if error.is_one_frame() => {
                damaged += 1;
                eprintln!("omnimind: {}: {error}", args.clip.display());
                continue;
            }
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        if let Some(fps) = args.fps {
            if frame.time_s < next_s {
                continue;
            }
            // In step with the clip's clock, not with the frame that was late.
            next_s = ((frame.time_s * fps + 1e-6).floor() + 1.0) / fps;
        }
        let seen = looker.look(&frame)?;
        if let Some(output) = &mut output {
            output.push(&frame, annotate(&frame.picture, &seen.0.analysis.objects))?;
        }
        println!("{}", if args.json { seen.json(args, &frame).to_string() } else { seen.text(&frame) });
        (looked_at, last_s) = (looked_at + 1, frame.time_s);
        if args.frames.is_some_and(|most| looked_at >= most) {
            break;
        }
    }
    if let Some(output) = output {
        output.finish()?;
    }
    let tracks = looker.watcher.tracks();
    if args.json {
        let line = json!({"command": "video", "file": args.clip, "summary": {"frames": looked_at, "damaged": damaged, "until_s": last_s,
            "tracks": tracks, "cut_off": broken.as_ref().map(ToString::to_string), "container": info.container, "codec": info.codec,
            "decoder": info.decoder, "announced_frames": info.frames, "duration_s": info.duration_s, "output": args.output}});
        println!("{line}");
    } else {
        let damage = if damaged > 0 { format!(", {damaged} damaged") } else { String::new() };
        println!("{looked_at} frames{damage}, {tracks} objects followed; by {}", looker.by);
    }
    match broken {
        Some(error) => Err(error).with_context(|| args.clip.display().to_string()),
        None => Ok(if damaged > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS }),
    }
}

/// Looks at one frame after the other.
struct Looker {
    analyser: Analyser,
    watcher: Watcher,
    by: String,
}

/// What a frame shows.
struct Seen(Watched);

impl Looker {
    fn new(args: &VideoArgs) -> Result<Self> {
        let watcher = Watcher::new(args.networks.settings());
        Ok(Self { analyser: args.networks.analyser()?, watcher, by: String::new() })
    }

    fn look(&mut self, frame: &Frame) -> Result<Seen> {
        let seen = self.watcher.look(&mut self.analyser, &frame.picture, frame.time_s)?;
        self.by.clone_from(&seen.analysis.origin.model);
        Ok(Seen(seen))
    }
}

impl Seen {
    fn json(&self, args: &VideoArgs, frame: &Frame) -> Value {
        let camera = self.0.motion.map(|m| json!({"shift": m.camera.shift, "turn": m.camera.turn, "zoom": m.camera.zoom}));
        let mut line = json!({"command": "video", "file": args.clip, "frame": frame.number, "time_s": frame.time_s,
            "width": frame.picture.width(), "height": frame.picture.height(), "image_hash": format!("{:016x}", self.0.analysis.image_hash),
            "motion_score": self.0.motion.map(|m| m.score), "camera_motion": camera});
        merge(&mut line, json::analysis(&self.0.analysis));
        line["provenance"] = json::provenance(&self.0.analysis.origin);
        line
    }

    fn text(&self, frame: &Frame) -> String {
        let motion = self.0.motion.map_or_else(|| "  - ".to_owned(), |m| format!("{:.2}", m.score));
        let objects: Vec<String> = self
            .0
            .analysis
            .objects
            .iter()
            .map(|o| {
                let number = o.track.map_or_else(String::new, |n| format!("#{n} "));
                format!("{number}{} {:.0} %", o.label, o.confidence * 100.0)
            })
            .collect();
        let objects = if objects.is_empty() { "-".to_owned() } else { objects.join(", ") };
        let (scene, hash) = (self.0.analysis.scene.as_str(), self.0.analysis.image_hash);
        format!("{:>6}  {:>9.3} s  motion {motion}  {hash:016x}  {scene:<11}  {objects}", frame.number, frame.time_s)
    }
}

/// Where annotated frames go.
enum Output {
    Folder(PathBuf),
    Avi {
        path: PathBuf,
        /// Kept until the next frame tells how far apart they are.
        first: Option<(f64, RgbImage)>,
        writer: Option<AviWriter>,
    },
}

impl Output {
    fn open(path: &Path) -> Result<Self> {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("avi")) {
            return Ok(Self::Avi { path: path.to_owned(), first: None, writer: None });
        }
        if path.is_file() {
            bail!("{} is a file; annotated frames go into a folder or an .avi file", path.display());
        }
        std::fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self::Folder(path.to_owned()))
    }

    fn push(&mut self, frame: &Frame, picture: RgbImage) -> Result<()> {
        match self {
            Self::Folder(folder) => {
                let file = folder.join(format!("frame_{:06}.jpg", frame.number));
                let (width, height) = picture.dimensions();
                let jpeg = pictures::jpeg::encode("rgb8", width, height, width * 3, picture.as_raw(), JPEG_QUALITY)?;
                std::fs::write(&file, jpeg).with_context(|| format!("cannot write {}", file.display()))
            }
            Self::Avi { writer: Some(writer), .. } => Ok(writer.push(&picture)?),
            Self::Avi { path, first, writer } => {
                match first.take() {
                    None => *first = Some((frame.time_s, picture)),
                    Some((time_s, before)) => {
                        let mut begun = begin(path, &before, frame.time_s - time_s)?;
                        begun.push(&picture)?;
                        *writer = Some(begun);
                    }
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Folder(_) | Self::Avi { writer: None, first: None, .. } => Ok(()),
            Self::Avi { writer: Some(writer), .. } => Ok(writer.finish()?),
            Self::Avi { path, first: Some((_, picture)), .. } => Ok(begin(&path, &picture, 1.0)?.finish()?),
        }
    }
}

/// An AVI with its first frame. Its frames are evenly spaced, as far apart as the first two.
fn begin(path: &Path, first: &RgbImage, apart_s: f64) -> Result<AviWriter> {
    let rate = (1.0 / apart_s.max(1e-3)).clamp(0.001, 1000.0);
    let mut writer = AviWriter::create(path, first.dimensions(), rate, JPEG_QUALITY)?;
    writer.push(first)?;
    Ok(writer)
}
