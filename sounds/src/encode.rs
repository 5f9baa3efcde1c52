//! Samples to sound files: WAV by hound, FLAC by flacenc, Ogg Vorbis by libvorbis (aoTuV), MP3 by oxideav-mp3.

use crate::{Clip, Format, mp3};
use flacenc::component::BitRepr;
use flacenc::error::Verify;
use std::io::Cursor;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::Path;

/// How samples lie in a WAV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavSamples {
    /// Integers of 8 bits (unsigned).
    Int8,
    /// Integers of 16 bits.
    Int16,
    /// Integers of 24 bits.
    Int24,
    /// Integers of 32 bits.
    Int32,
    /// 32-bit floating point; the only one that keeps samples beyond -1..1.
    Float32,
}

/// A format with its settings; [`Format`] converts into the usual ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Encoding {
    /// WAV, not compressed.
    Wav(WavSamples),
    /// FLAC, lossless for integers of this many bits per sample, 8 to 24.
    Flac {
        /// Bits per sample.
        bits: u8,
    },
    /// Ogg Vorbis with variable bit rate.
    Ogg {
        /// -0.2 (smallest) to 1 (best).
        quality: f32,
    },
    /// MP3 with constant bit rate.
    Mp3 {
        /// Bit rate in kbit/s: one that the standard has for the sample rate (8 to 160 below 32 kHz, 32 to 320 from there on).
        /// `None` takes the highest up to 128 per channel that the encoder can use. It does poorly with less than 96 per channel.
        kbps: Option<u32>,
    },
}

impl Encoding {
    /// The format that it is an encoding of.
    pub fn format(&self) -> Format {
        match self {
            Self::Wav(_) => Format::Wav,
            Self::Flac { .. } => Format::Flac,
            Self::Ogg { .. } => Format::Ogg,
            Self::Mp3 { .. } => Format::Mp3,
        }
    }
}

impl From<Format> for Encoding {
    /// WAV and FLAC with 16 bits, Vorbis quality 0.5, MP3 with up to 128 kbit/s per channel.
    fn from(format: Format) -> Self {
        match format {
            Format::Wav => Self::Wav(WavSamples::Int16),
            Format::Flac => Self::Flac { bits: 16 },
            Format::Ogg => Self::Ogg { quality: 0.5 },
            Format::Mp3 => Self::Mp3 { kbps: None },
        }
    }
}

/// Why a sound was not encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// There are no samples.
    #[error("there are no samples to encode")]
    Empty,
    /// The samples do not fill whole frames of the channels, or there are no channels.
    #[error("{samples} samples do not make whole frames of {channels} channels")]
    Frames {
        /// Samples given.
        samples: usize,
        /// Channels said.
        channels: u16,
    },
    /// Samples that are no numbers.
    #[error("there are samples that are no numbers")]
    NotFinite,
    /// A rate, number of channels or setting that the format does not have.
    #[error("{format} cannot hold this sound: {what}")]
    Unsupported {
        /// The format.
        format: Format,
        /// What does not fit, in words.
        what: String,
    },
    /// The encoder failed; its own words.
    #[error("the {format} encoder failed: {what}")]
    Encoder {
        /// The format.
        format: Format,
        /// What it says.
        what: String,
    },
    /// A file name without a known extension.
    #[error("{0:?} does not end in .wav, .mp3, .ogg or .flac")]
    Name(String),
    /// The file cannot be written.
    #[error("cannot write the sound file: {0}")]
    Write(#[from] std::io::Error),
}

/// Encodes a clip. Samples outside -1..1 are clipped except in float WAV. The same clip gives the same bytes.
///
/// # Errors
/// [`EncodeError`], except `Name` and `Write`.
pub fn encode(clip: &Clip, encoding: impl Into<Encoding>) -> Result<Vec<u8>, EncodeError> {
    let encoding = encoding.into();
    if clip.samples.is_empty() {
        return Err(EncodeError::Empty);
    }
    if clip.channels == 0 || !clip.samples.len().is_multiple_of(usize::from(clip.channels)) {
        return Err(EncodeError::Frames { samples: clip.samples.len(), channels: clip.channels });
    }
    if clip.samples.iter().any(|s| !s.is_finite()) {
        return Err(EncodeError::NotFinite);
    }
    if !(1_000..=384_000).contains(&clip.sample_rate) {
        return Err(unsupported(encoding.format(), format!("sample rate {} Hz", clip.sample_rate)));
    }
    match encoding {
        Encoding::Wav(samples) => wav(clip, samples),
        Encoding::Flac { bits } => flac(clip, bits),
        Encoding::Ogg { quality } => ogg(clip, quality),
        Encoding::Mp3 { kbps } => mp3::encode(clip, kbps),
    }
}

/// Encodes a clip in the format that the file's extension names, with its usual settings, and writes it.
///
/// # Errors
/// [`EncodeError`]; no file is written then, unless the disk fails half way.
pub fn write(path: impl AsRef<Path>, clip: &Clip) -> Result<(), EncodeError> {
    let path = path.as_ref();
    let format = Format::from_path(path).ok_or_else(|| EncodeError::Name(path.display().to_string()))?;
    std::fs::write(path, encode(clip, format)?)?;
    Ok(())
}

pub(crate) fn unsupported(format: Format, what: impl Into<String>) -> EncodeError {
    EncodeError::Unsupported { format, what: what.into() }
}

/// Nearest integer of `bits` bits: -1 is the most negative one; +1 is the most positive one, one less than it should be.
pub(crate) fn quantise(sample: f32, bits: u32) -> i32 {
    let scale = (1_i64 << (bits - 1)) as f64;
    (f64::from(sample) * scale).round().clamp(-scale, scale - 1.0) as i32
}

fn wav(clip: &Clip, samples: WavSamples) -> Result<Vec<u8>, EncodeError> {
    let failed = |e: hound::Error| EncodeError::Encoder { format: Format::Wav, what: e.to_string() };
    let (bits_per_sample, sample_format) = match samples {
        WavSamples::Int8 => (8, hound::SampleFormat::Int),
        WavSamples::Int16 => (16, hound::SampleFormat::Int),
        WavSamples::Int24 => (24, hound::SampleFormat::Int),
        WavSamples::Int32 => (32, hound::SampleFormat::Int),
        WavSamples::Float32 => (32, hound::SampleFormat::Float),
    };
    let spec = hound::WavSpec { channels: clip.channels, sample_rate: clip.sample_rate, bits_per_sample, sample_format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).map_err(failed)?;
    for &sample in &clip.samples {
        match sample_format {
            hound::SampleFormat::Float => writer.write_sample(sample),
            hound::SampleFormat::Int => writer.write_sample(quantise(sample, u32::from(bits_per_sample))),
        }
        .map_err(failed)?;
    }
    writer.finalize().map_err(failed)?;
    Ok(bytes.into_inner())
}

fn flac(clip: &Clip, bits: u8) -> Result<Vec<u8>, EncodeError> {
    let format = Format::Flac;
    if !(8..=24).contains(&bits) {
        return Err(unsupported(format, format!("{bits} bits per sample")));
    }
    // RFC 9639, section 8.2: 1 to 8 channels.
    if clip.channels > 8 {
        return Err(unsupported(format, format!("{} channels", clip.channels)));
    }
    let failed = |what: String| EncodeError::Encoder { format, what };
    let samples: Vec<i32> = clip.samples.iter().map(|s| quantise(*s, u32::from(bits))).collect();
    let config = flacenc::config::Encoder::default().into_verified().map_err(|(_, e)| failed(e.to_string()))?;
    let source = flacenc::source::MemSource::from_samples(&samples, clip.channels.into(), bits.into(), clip.sample_rate as usize);
    let mut stream =
        flacenc::encode_with_fixed_block_size(&config, source, config.block_size).map_err(|e| failed(format!("{e:?}")))?;
    // RFC 9639, section 8.2: the smallest block size leaves out the last block, but flacenc 0.5.1 counts it. Decoders that
    // believe it take the stream for one of variable block size and find no frame.
    stream.stream_info_mut().set_block_sizes(config.block_size, config.block_size).map_err(|e| failed(e.to_string()))?;
    let mut sink = flacenc::bitsink::ByteSink::new();
    stream.write(&mut sink).map_err(|e| failed(e.to_string()))?;
    Ok(sink.into_inner())
}

fn ogg(clip: &Clip, quality: f32) -> Result<Vec<u8>, EncodeError> {
    /// Serial number of the stream: any will do for a file with one stream, and a fixed one makes equal bytes.
    const SERIAL: i32 = 0x4f6d_6e69;
    /// Frames given to the encoder at a time.
    const BLOCK: usize = 4_096;
    let format = Format::Ogg;
    if !(-0.2..=1.0).contains(&quality) {
        return Err(unsupported(format, format!("quality {quality} is outside -0.2..1")));
    }
    let failed = |e: vorbis_rs::VorbisError| EncodeError::Encoder { format, what: e.to_string() };
    let channels = u8::try_from(clip.channels).ok().and_then(NonZeroU8::new);
    let (Some(channels), Some(rate)) = (channels, NonZeroU32::new(clip.sample_rate)) else {
        return Err(unsupported(format, format!("{} channels", clip.channels)));
    };
    let strategy = vorbis_rs::VorbisBitrateManagementStrategy::QualityVbr { target_quality: quality };
    let mut encoder = vorbis_rs::VorbisEncoderBuilder::new_with_serial(rate, channels, Vec::new(), SERIAL)
        .bitrate_management_strategy(strategy)
        .build()
        .map_err(failed)?;
    let planes: Vec<Vec<f32>> =
        (0..clip.channels).map(|c| clip.channel(c).iter().map(|s| s.clamp(-1.0, 1.0)).collect()).collect();
    for start in (0..clip.frames()).step_by(BLOCK) {
        let end = (start + BLOCK).min(clip.frames());
        let block: Vec<&[f32]> = planes.iter().map(|p| &p[start..end]).collect();
        encoder.encode_audio_block(&block).map_err(failed)?;
    }
    encoder.finish().map_err(failed)
}
