//! Sound files as the nodes meet them: the crate [`sounds`], which reads WAV, MP3, Ogg Vorbis and FLAC by content.

pub use sounds::{Clip, DecodeError as WavError, channel, decode, read, to_mono};
