//! Video files as pictures with true timestamps, one at a time.
//!
//! | container | codec | decoder |
//! | --- | --- | --- |
//! | AVI (RIFF, OpenDML), MP4 and QuickTime, fragmented or not | MJPEG | this program (zune-jpeg) |
//! | MP4 and QuickTime | H.264 up to High 4:2:2, 8 and 10 bits, with B-frames and interlacing | this program (rust_h264) |
//! | anything else | anything else | an `ffmpeg` process, if [`Options::ffmpeg`] names one that runs; [`Info::decoder`] says so |
//!
//! The content decides what a file is, not its name. Timestamps are those of the container (composition times and edit lists for MP4), in seconds
//! since the clip's own beginning. Memory is bounded by [`Limits`]: a few frames, and 40 bytes for each frame of an MP4.
//!
//! ```no_run
//! # fn main() -> Result<(), video::VideoError> {
//! let clip = video::Video::open("clip.mp4".as_ref(), &video::Options { every: 10, ..Default::default() })?;
//! println!("{}", clip.info());
//! for frame in clip {
//!     let frame = frame?;
//!     println!("frame {} at {:.3} s: {:?}", frame.number, frame.time_s, frame.picture.dimensions());
//! }
//! # Ok(())
//! # }
//! ```

mod avi;
mod avi_write;
mod boxes;
mod color;
mod error;
mod ffmpeg;
mod h264;
mod mp4;
mod samples;
mod source;
mod turn;

pub use avi_write::{AviError, AviWriter};
pub use error::VideoError;
pub use source::{Frame, Info, Limits, Options, Video, is_video};
