//! Sound files and samples, for every node that meets them: WAV, MP3, Ogg Vorbis and FLAC in and out, told apart by content.
//!
//! ```
//! use sounds::{Clip, Format, decode, encode};
//!
//! let clip = Clip { sample_rate: 16_000, channels: 1, samples: vec![0.25; 1_600] };
//! let bytes = encode(&clip, Format::Flac)?;
//! let back = decode(&bytes)?;
//! assert_eq!((back.sample_rate, back.channels, back.frames()), (16_000, 1, 1_600));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;
use std::str::FromStr;

mod decode;
mod detect;
mod encode;
mod mp3;
mod mpeg;

pub use decode::{DecodeError, Decoder, Limits, decode, read};
pub use detect::detect;
pub use encode::{EncodeError, Encoding, WavSamples, encode, write};

/// A piece of sound in memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clip {
    /// Samples per second and channel, Hz.
    pub sample_rate: u32,
    /// Number of interleaved channels, at least 1.
    pub channels: u16,
    /// Interleaved samples, full scale is -1..1.
    pub samples: Vec<f32>,
}

impl Clip {
    /// Number of frames (one sample per channel).
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels.max(1))
    }

    /// Length in seconds, from the number of samples.
    pub fn duration_s(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate.max(1))
    }

    /// Mean of the channels, `[frames]`.
    pub fn mono(&self) -> Vec<f32> {
        to_mono(&self.samples, self.channels)
    }

    /// One channel, `[frames]`; empty if there is no such channel.
    pub fn channel(&self, index: u16) -> Vec<f32> {
        channel(&self.samples, self.channels, index)
    }
}

/// Mean of the channels of interleaved samples, `[frames * channels]` -> `[frames]`.
pub fn to_mono(interleaved: &[f32], channels: u16) -> Vec<f32> {
    match channels {
        0 => Vec::new(),
        1 => interleaved.to_vec(),
        n => {
            let scale = 1.0 / f32::from(n);
            interleaved.chunks_exact(usize::from(n)).map(|frame| frame.iter().sum::<f32>() * scale).collect()
        }
    }
}

/// One channel of interleaved samples, `[frames * channels]` -> `[frames]`; empty if there is no such channel.
pub fn channel(interleaved: &[f32], channels: u16, index: u16) -> Vec<f32> {
    if index >= channels {
        return Vec::new();
    }
    interleaved.iter().skip(usize::from(index)).step_by(usize::from(channels)).copied().collect()
}

/// The kinds of sound file that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// RIFF WAVE with PCM (or, for reading, A-law and mu-law).
    Wav,
    /// MPEG-1 and MPEG-2 layer III.
    Mp3,
    /// Vorbis in Ogg.
    Ogg,
    /// Free Lossless Audio Codec, in its own container.
    Flac,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Wav, Self::Mp3, Self::Ogg, Self::Flac];

    /// The customary file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Flac => "flac",
        }
    }

    /// The Internet media type (RFC 3003, 5334 and 9639; `audio/wav` is what browsers say).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
            Self::Flac => "audio/flac",
        }
    }

    /// What a file of this name is to be written as; `None` without a known extension. Reading goes by content instead.
    pub fn from_path(path: impl AsRef<Path>) -> Option<Self> {
        path.as_ref().extension()?.to_str()?.parse().ok()
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wav => "WAV",
            Self::Mp3 => "MP3",
            Self::Ogg => "Ogg Vorbis",
            Self::Flac => "FLAC",
        })
    }
}

/// A name that is none of wav, mp3, ogg, flac.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no sound format; there are wav, mp3, ogg and flac")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Extensions in any case: wav, wave, mp3, ogg, oga, flac.
    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name.to_ascii_lowercase().as_str() {
            "wav" | "wave" => Ok(Self::Wav),
            "mp3" => Ok(Self::Mp3),
            "ogg" | "oga" => Ok(Self::Ogg),
            "flac" => Ok(Self::Flac),
            _ => Err(UnknownFormat(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_apart_and_mix() {
        let interleaved = [0.0, 1.0, 0.5, -0.5, 1.0, 0.0];
        assert_eq!(channel(&interleaved, 2, 0), vec![0.0, 0.5, 1.0]);
        assert_eq!(channel(&interleaved, 2, 1), vec![1.0, -0.5, 0.0]);
        assert_eq!(channel(&interleaved, 2, 2), Vec::<f32>::new());
        assert_eq!(to_mono(&interleaved, 2), vec![0.5, 0.0, 0.5]);
        assert_eq!(to_mono(&interleaved, 0), Vec::<f32>::new());
    }

    #[test]
    fn a_format_is_named_by_extension() {
        for format in Format::ALL {
            assert_eq!(format.extension().parse(), Ok(format));
        }
        assert_eq!(Format::from_path("a/b.C/voice.OGA"), Some(Format::Ogg));
        assert_eq!(Format::from_path("voice"), None);
        assert!("aac".parse::<Format>().is_err());
    }
}
