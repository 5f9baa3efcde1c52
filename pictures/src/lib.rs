//! Picture files and pixels, for every node that meets them: decoding with limits, JPEG of raw frames, straightening of lenses, drawing charts.

pub mod canvas;
pub mod jpeg;
pub mod rectify;
mod still;

pub use still::{DecodeError, Limits, MAX_FILE_BYTES, MAX_SIDE, ReadError, decode, decode_within, is_picture_name, read};
