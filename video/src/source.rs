//! A video file of any kind: its frames, one after the other.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::avi::AviFrames;
use crate::error::{Refusal, VideoError};
use crate::ffmpeg::FfmpegFrames;
use crate::mp4::Mp4Frames;

/// What a video may need. Checked against what the file says before anything is allocated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest side of a frame, in pixels.
    pub side: u32,
    /// Pixels of a frame. A decoder holds up to 17 frames for reference and as many to bring them into order, each 1.5 bytes a pixel (twice that for 10 bits).
    pub pixels: u64,
    /// Bytes of a compressed frame.
    pub frame_bytes: u64,
    /// Frames of a file.
    pub frames: u64,
    /// Bytes of an index (MP4: `moov`, and each `moof`).
    pub index_bytes: u64,
}

impl Default for Limits {
    /// 8192 pixels a side, 9,437,184 pixels (4096 x 2304, the most of H.264's level 5.2), 32 MiB a compressed frame, 2,000,000 frames (18 hours at 30 per
    /// second), 64 MiB of index.
    fn default() -> Self {
        Self { side: 8192, pixels: 4096 * 2304, frame_bytes: 32 << 20, frames: 2_000_000, index_bytes: 64 << 20 }
    }
}

impl Limits {
    /// Whether a frame of this size is accepted.
    pub(crate) fn check(&self, width: u32, height: u32) -> Result<(), VideoError> {
        if width == 0 || height == 0 {
            return Err(VideoError::Damaged(format!("its frames have {width} x {height} pixels")));
        }
        if width > self.side || height > self.side || u64::from(width) * u64::from(height) > self.pixels {
            let most = format!("{} pixels, {} a side, are accepted", self.pixels, self.side);
            return Err(VideoError::TooLarge(format!("its frames have {width} x {height} pixels; {most}")));
        }
        Ok(())
    }
}

/// How to read a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Give every n-th frame: the first, and then those whose number this divides. 0 counts as 1.
    pub every: u64,
    /// What is accepted.
    pub limits: Limits,
    /// The ffmpeg program for what is not decoded here; `None`: refuse it.
    pub ffmpeg: Option<PathBuf>,
}

impl Default for Options {
    /// Every frame, the default limits, `ffmpeg` from the search path.
    fn default() -> Self {
        Self { every: 1, limits: Limits::default(), ffmpeg: Some("ffmpeg".into()) }
    }
}

/// What is known of a video before its frames are decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// `AVI` or `MP4`; empty for what ffmpeg reads.
    pub container: String,
    /// As the file names it, for example `H.264` or `MJPEG`.
    pub codec: String,
    /// What decodes it, with version where it is a program of its own.
    pub decoder: String,
    /// Size of a frame as shown, if known.
    pub size: Option<(u32, u32)>,
    /// Frames that the file announces.
    pub frames: Option<u64>,
    /// Time from the first frame to the end of the last, in seconds, as announced.
    pub duration_s: Option<f64>,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.codec)?;
        if !self.container.is_empty() {
            write!(f, " in {}", self.container)?;
        }
        if let Some((width, height)) = self.size {
            write!(f, ", {width} x {height}")?;
        }
        if let Some(frames) = self.frames {
            write!(f, ", {frames} frames")?;
        }
        if let Some(duration_s) = self.duration_s {
            write!(f, ", {duration_s:.2} s")?;
        }
        write!(f, ", decoded by {}", self.decoder)
    }
}

/// One frame as it is to be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Number in the order of showing, from 0; all frames count, also those between every n-th.
    pub number: u64,
    /// When it is shown, in seconds since the beginning of the clip.
    pub time_s: f64,
    /// Its pixels.
    pub picture: RgbImage,
}

enum Source {
    Avi(AviFrames),
    Mp4(Box<Mp4Frames>),
    Ffmpeg(FfmpegFrames),
}

/// A video file. As an iterator it gives frames in the order of their times. A damaged frame is an error of its own ([`VideoError::is_one_frame`]);
/// after any other error the iteration is over.
pub struct Video {
    source: Source,
    info: Info,
    over: bool,
}

impl fmt::Debug for Video {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Video").field("info", &self.info).field("over", &self.over).finish_non_exhaustive()
    }
}

/// A file that can be read in pieces.
pub(crate) type Input = BufReader<File>;

impl Video {
    /// Opens a file and reads its index.
    ///
    /// # Errors
    /// [`VideoError`].
    pub fn open(path: &Path, options: &Options) -> Result<Self, VideoError> {
        let open = |source| VideoError::Open { path: path.to_owned(), source };
        let mut input = BufReader::new(File::open(path).map_err(open)?);
        let length = input.seek(SeekFrom::End(0)).map_err(open)?;
        input.rewind().map_err(open)?;
        let mut head = [0; 16];
        let got = read_up_to(&mut input, &mut head).map_err(open)?;
        input.rewind().map_err(open)?;
        let options = Options { every: options.every.max(1), ..options.clone() };
        let opened = match kind(&head[..got]) {
            Kind::Empty => return Err(VideoError::Empty),
            Kind::Picture(name) => return Err(VideoError::NotAVideo(format!("it is a picture ({name})"))),
            Kind::Avi => AviFrames::open(input, length, &options).map(|(s, info)| (Source::Avi(s), info)),
            Kind::Mp4 => Mp4Frames::open(input, length, &options).map(|(s, info)| (Source::Mp4(Box::new(s)), info)),
            Kind::Other => Err(Refusal::NotOurs("what this file holds".to_owned())),
        };
        let (source, info) = match opened {
            Ok(opened) => opened,
            Err(Refusal::Error(error)) => return Err(error),
            Err(Refusal::NotOurs(what)) => {
                let (source, info) = FfmpegFrames::open(path, &what, &options)?;
                (Source::Ffmpeg(source), info)
            }
        };
        Ok(Self { source, info, over: false })
    }

    /// What is known of it.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }
}

impl Iterator for Video {
    type Item = Result<Frame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = match &mut self.source {
            Source::Avi(frames) => frames.next_frame(),
            Source::Mp4(frames) => frames.next_frame(),
            Source::Ffmpeg(frames) => frames.next_frame(),
        };
        self.over = match &next {
            Ok(frame) => frame.is_none(),
            Err(error) => !error.is_one_frame(),
        };
        next.transpose()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Empty,
    Picture(&'static str),
    Avi,
    Mp4,
    Other,
}

/// By the first bytes: RIFF with the form `AVI `; a box of ISO/IEC 14496-12 that may stand first; the marks of pictures.
fn kind(head: &[u8]) -> Kind {
    let at = |from: usize, bytes: &[u8]| head.get(from..from + bytes.len()) == Some(bytes);
    if head.is_empty() {
        Kind::Empty
    } else if at(0, b"RIFF") && at(8, b"AVI ") {
        Kind::Avi
    } else if [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"pnot"].iter().any(|name| at(4, *name)) {
        Kind::Mp4
    } else if at(0, &[0xFF, 0xD8, 0xFF]) {
        Kind::Picture("JPEG")
    } else if at(0, b"\x89PNG") {
        Kind::Picture("PNG")
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Kind::Picture("WebP")
    } else {
        Kind::Other
    }
}

/// Whether a file begins as a video that is decoded here (AVI, MP4, QuickTime). `false` also for a file that cannot be read.
#[must_use]
pub fn is_video(path: &Path) -> bool {
    let mut head = [0; 16];
    File::open(path)
        .and_then(|mut file| read_up_to(&mut file, &mut head))
        .is_ok_and(|got| matches!(kind(&head[..got]), Kind::Avi | Kind::Mp4))
}

/// Fills the buffer as far as the input goes.
pub(crate) fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// `length` bytes from `offset`; `None` if the file ends before.
pub(crate) fn read_at(input: &mut Input, offset: u64, length: u64) -> Result<Option<Vec<u8>>, VideoError> {
    let here = input.stream_position()?;
    match i64::try_from(i128::from(offset) - i128::from(here)) {
        // Within the buffer this costs no call to the system.
        Ok(step) => input.seek_relative(step)?,
        Err(_) => return Ok(None),
    }
    // The limits are checked by the callers; what is reserved is never more than what they allow.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    input.by_ref().take(length).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 == length).then_some(bytes))
}

/// A JPEG within a video: the frame's pixels, no larger than the limits.
pub(crate) fn decode_jpeg(bytes: &[u8], limits: &Limits) -> Result<RgbImage, String> {
    let within = pictures::Limits { side: limits.side, bytes: limits.pixels * 4 };
    pictures::decode_within(bytes, within).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides_what_a_file_is() {
        assert_eq!(kind(b""), Kind::Empty);
        assert_eq!(kind(b"RIFF\0\0\0\0AVI LIST"), Kind::Avi);
        assert_eq!(kind(b"RIFF\0\0\0\0WEBPVP8 "), Kind::Picture("WebP"));
        assert_eq!(kind(b"\0\0\0\x20ftypisom"), Kind::Mp4);
        assert_eq!(kind(b"\x1a\x45\xdf\xa3"), Kind::Other);
        assert_eq!(kind(b"R"), Kind::Other);
    }
}
