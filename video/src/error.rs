//! Why there are no frames.

use std::path::PathBuf;

/// Why a video cannot be read, or one frame of it.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Reading failed in the middle.
    #[error("the video cannot be read any further: {0}")]
    Read(#[from] std::io::Error),
    /// There are no bytes.
    #[error("this is no video: the file is empty")]
    Empty,
    /// The content is something else.
    #[error("this is no video: {0}")]
    NotAVideo(String),
    /// It is a video, but cannot be understood.
    #[error("the video is damaged: {0}")]
    Damaged(String),
    /// The file ends before its last frame.
    #[error("the video is cut off: the file ends in frame {0}")]
    Truncated(u64),
    /// Larger than the [`Limits`](crate::Limits).
    #[error("the video is too large: {0}")]
    TooLarge(String),
    /// Nothing here decodes it.
    #[error("{what} is not decoded by this program itself, and ffmpeg {why}")]
    Unsupported {
        /// Container or codec, as the file names it.
        what: String,
        /// Why ffmpeg does not help.
        why: String,
    },
    /// One frame is damaged; those after it may be sound.
    #[error("frame {number} (at {time_s:.3} s) is damaged: {why}")]
    Frame {
        /// The frame.
        number: u64,
        /// Its time.
        time_s: f64,
        /// The decoder's words.
        why: String,
    },
    /// ffmpeg gave up.
    #[error("ffmpeg: {0}")]
    Ffmpeg(String),
}

impl VideoError {
    /// A frame is bad, and the next may be asked for. After every other error there are no more frames.
    #[must_use]
    pub fn is_one_frame(&self) -> bool {
        matches!(self, Self::Frame { .. })
    }
}

/// What the parsers say of a file that they do not decode: another may.
pub(crate) enum Refusal {
    /// To be told.
    Error(VideoError),
    /// Left to ffmpeg: the container or codec.
    NotOurs(String),
}

impl<E: Into<VideoError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// A sentence of a parser.
pub(crate) fn damaged(what: impl Into<String>) -> VideoError {
    VideoError::Damaged(what.into())
}
