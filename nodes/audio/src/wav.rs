//! Reading and writing WAV files.

use std::io::{Read, Seek, Write};
use std::path::Path;

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

/// Why a WAV file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The file cannot be opened, or it is no WAV file, or it is cut short.
    #[error("not a readable WAV file: {0}")]
    Format(#[from] hound::Error),
    /// A sample format that PCM WAV does not define.
    #[error("unsupported sample format: {bits} bits per sample, float: {float}")]
    Unsupported {
        /// Bits per sample in the header.
        bits: u16,
        /// True if the header says floating point.
        float: bool,
    },
    /// The file has no samples.
    #[error("the file has no samples")]
    Empty,
}

impl Clip {
    /// Number of frames (one sample per channel).
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels.max(1))
    }

    /// Length in seconds, counted from the samples.
    pub fn duration_s(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate.max(1))
    }

    /// Mean of the channels.
    pub fn mono(&self) -> Vec<f32> {
        to_mono(&self.samples, self.channels)
    }
}

/// Mean of interleaved channels: `[n * channels]` -> `[n]`. An incomplete last frame is left out.
pub fn to_mono(interleaved: &[f32], channels: u16) -> Vec<f32> {
    let channels = usize::from(channels.max(1));
    if channels == 1 {
        return interleaved.to_vec();
    }
    let scale = 1.0 / channels as f32;
    interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * scale).collect()
}

/// One channel out of interleaved samples: `[n * channels]` -> `[n]`; empty if there is no such channel.
pub fn channel(interleaved: &[f32], channels: u16, index: usize) -> Vec<f32> {
    let channels = usize::from(channels.max(1));
    if index >= channels {
        return Vec::new();
    }
    interleaved.chunks_exact(channels).map(|frame| frame[index]).collect()
}

/// Decodes a WAV stream: integer PCM of 8 to 32 bits, or 32-bit float.
pub fn decode(reader: impl Read) -> Result<Clip, WavError> {
    let mut reader = hound::WavReader::new(reader)?;
    let spec = reader.spec();
    let samples: Vec<f32> = match (spec.sample_format, spec.bits_per_sample) {
        (hound::SampleFormat::Float, 32) => reader.samples::<f32>().collect::<Result<_, _>>()?,
        (hound::SampleFormat::Int, bits @ 1..=32) => {
            let scale = 1.0 / (1_i64 << (bits - 1)) as f32;
            reader.samples::<i32>().map(|s| s.map(|s| s as f32 * scale)).collect::<Result<_, _>>()?
        }
        (format, bits) => {
            return Err(WavError::Unsupported { bits, float: format == hound::SampleFormat::Float });
        }
    };
    if samples.is_empty() {
        return Err(WavError::Empty);
    }
    Ok(Clip { sample_rate: spec.sample_rate, channels: spec.channels, samples })
}

/// Reads a WAV file; see [`decode`].
pub fn read(path: impl AsRef<Path>) -> Result<Clip, WavError> {
    let file = std::fs::File::open(path).map_err(hound::Error::IoError)?;
    decode(std::io::BufReader::new(file))
}

/// Encodes a clip as 16-bit PCM. Samples outside -1..1 are clipped.
pub fn encode(clip: &Clip, writer: impl Write + Seek) -> Result<(), WavError> {
    let spec = hound::WavSpec {
        channels: clip.channels,
        sample_rate: clip.sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(writer, spec)?;
    for &sample in &clip.samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32767.0).round() as i16)?;
    }
    writer.finalize()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_written_clip_reads_back_within_one_quantum() {
        let clip = Clip { sample_rate: 16_000, channels: 2, samples: (0..640).map(|i| (i as f32 * 0.05).sin() * 0.7).collect() };
        let mut bytes = Cursor::new(Vec::new());
        encode(&clip, &mut bytes).unwrap();
        bytes.set_position(0);
        let back = decode(bytes).unwrap();
        assert_eq!((back.sample_rate, back.channels, back.frames()), (16_000, 2, 320));
        assert!((back.duration_s() - 0.02).abs() < 1e-12);
        for (a, b) in clip.samples.iter().zip(&back.samples) {
            assert!((a - b).abs() < 1.0 / 16_384.0);
        }
    }

    #[test]
    fn text_is_not_a_wav_file() {
        assert!(matches!(decode(Cursor::new(b"hello, this is no sound at all".to_vec())), Err(WavError::Format(_))));
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        let clip = Clip { sample_rate: 8_000, channels: 1, samples: vec![0.1; 100] };
        let mut bytes = Cursor::new(Vec::new());
        encode(&clip, &mut bytes).unwrap();
        let mut bytes = bytes.into_inner();
        bytes.truncate(bytes.len() - 31);
        assert!(decode(Cursor::new(bytes)).is_err());
    }

    #[test]
    fn channels_come_apart_and_mix() {
        let interleaved = [0.0, 1.0, 0.5, -0.5, 1.0, 0.0];
        assert_eq!(channel(&interleaved, 2, 0), vec![0.0, 0.5, 1.0]);
        assert_eq!(channel(&interleaved, 2, 1), vec![1.0, -0.5, 0.0]);
        assert_eq!(channel(&interleaved, 2, 2), Vec::<f32>::new());
        assert_eq!(to_mono(&interleaved, 2), vec![0.5, 0.0, 0.5]);
    }
}
