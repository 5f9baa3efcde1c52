//! Sound files to samples, by symphonia, with limits.

use crate::detect::{HEAD, detect, id3_length};
use crate::{Clip, Format, mpeg};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::default::formats::{FlacReader, MpaReader, OggReader, WavReader};

/// How much is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Longest sound, s.
    pub max_seconds: f64,
    /// Most channels.
    pub max_channels: u16,
    /// Lowest and highest sample rate, Hz.
    pub rates: (u32, u32),
    /// Largest file, bytes.
    pub max_file_bytes: u64,
    /// Most memory for the samples of a whole clip ([`decode`], [`read`]), bytes.
    pub max_clip_bytes: usize,
}

impl Default for Limits {
    /// 4 hours, 32 channels, 1 kHz to 384 kHz, files of 2 GiB, clips of 512 MiB (46 minutes of 48 kHz stereo).
    fn default() -> Self {
        Self {
            max_seconds: 4.0 * 3600.0,
            max_channels: 32,
            rates: (1_000, 384_000),
            max_file_bytes: 2 << 30,
            max_clip_bytes: 512 << 20,
        }
    }
}

/// Why there are no samples, or no more.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file cannot be opened or read.
    #[error("cannot read the sound file: {0}")]
    Read(#[from] io::Error),
    /// There are no bytes.
    #[error("the sound file is empty")]
    Empty,
    /// The bytes are no WAV, MP3, Ogg or FLAC file.
    #[error("this is no WAV, MP3, Ogg Vorbis or FLAC file")]
    Unknown,
    /// A file of a known kind with something in it that is not read here.
    #[error("{format} file: {what}")]
    Unsupported {
        /// The kind of file.
        format: Format,
        /// What it is, in words.
        what: String,
    },
    /// A damaged file.
    #[error("damaged {format} file: {what}")]
    Corrupt {
        /// The kind of file.
        format: Format,
        /// What is wrong, in words.
        what: String,
    },
    /// The file ends before the sound does. Blocks given before are good.
    #[error("{format} file cut short after {decoded} frames{}", declared.map_or_else(String::new, |n| format!(" of {n}")))]
    Truncated {
        /// The kind of file.
        format: Format,
        /// Frames that the file says it has, if it says so.
        declared: Option<u64>,
        /// Frames that it has.
        decoded: u64,
    },
    /// A sound file without sound.
    #[error("the {0} file has no samples")]
    NoSamples(Format),
    /// A sample rate outside [`Limits::rates`].
    #[error("sample rate {0} Hz is outside the limits")]
    Rate(u32),
    /// No channels, or more than [`Limits::max_channels`].
    #[error("{0} channels are outside the limits")]
    Channels(usize),
    /// Longer than [`Limits::max_seconds`].
    #[error("the sound is longer than {0} s")]
    TooLong(f64),
    /// Larger than [`Limits::max_file_bytes`], or more samples than [`Limits::max_clip_bytes`].
    #[error("the sound needs more than {0} bytes")]
    TooLarge(u64),
}

/// Decodes a whole WAV, MP3, Ogg Vorbis or FLAC file, told apart by content, within the default [`Limits`].
///
/// # Errors
/// [`DecodeError`]; a file that is damaged or cut short gives no samples at all (use [`Decoder`] to keep what is good).
pub fn decode(bytes: &[u8]) -> Result<Clip, DecodeError> {
    Decoder::from_bytes(bytes, Limits::default())?.collect()
}

/// Decodes a file, like [`decode`].
///
/// # Errors
/// As [`decode`].
pub fn read(path: impl AsRef<Path>) -> Result<Clip, DecodeError> {
    Decoder::open(path, Limits::default())?.collect()
}

/// A sound file that is decoded block by block, in memory that does not depend on its length.
pub struct Decoder<'s> {
    format: Format,
    limits: Limits,
    sample_rate: u32,
    channels: u16,
    track: u32,
    declared: Option<u64>,
    /// The last packet is not whole.
    cut_short: bool,
    decoded: u64,
    over: bool,
    reader: Box<dyn FormatReader + 's>,
    decoder: Box<dyn AudioDecoder>,
    block: Vec<f32>,
}

impl<'s> Decoder<'s> {
    /// Begins to decode a file in memory.
    ///
    /// # Errors
    /// [`DecodeError`] for what its header shows.
    pub fn from_bytes(bytes: &'s [u8], limits: Limits) -> Result<Self, DecodeError> {
        Self::new(Cursor::new(bytes), limits)
    }

    /// Begins to decode a file on disk.
    ///
    /// # Errors
    /// [`DecodeError`] for what its header shows.
    pub fn open(path: impl AsRef<Path>, limits: Limits) -> Result<Self, DecodeError> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no regular file").into());
        }
        Self::new(file, limits)
    }

    /// Begins to decode what a reader gives, from its position 0.
    ///
    /// # Errors
    /// [`DecodeError`] for what its header shows.
    pub fn new(mut source: impl Read + Seek + Send + Sync + 's, limits: Limits) -> Result<Self, DecodeError> {
        let length = source.seek(SeekFrom::End(0))?;
        if length == 0 {
            return Err(DecodeError::Empty);
        }
        if length > limits.max_file_bytes {
            return Err(DecodeError::TooLarge(limits.max_file_bytes));
        }
        // A tag (title, picture) may stand in front of any kind.
        let start = id3_length(&head(&mut source, 0)?) as u64;
        let bytes = head(&mut source, start)?;
        let format = detect(&bytes).ok_or(DecodeError::Unknown)?;
        let cut_short = match format {
            Format::Mp3 => {
                let zeros = bytes.iter().take_while(|b| **b == 0).count() as u64;
                mpeg::is_cut_short(&mut source, start + zeros, length)?
            }
            Format::Ogg => !ends_with_its_last_page(&mut source, length)?,
            Format::Wav => data_is_cut_short(&mut source, start, length)?,
            Format::Flac => false,
        };
        source.seek(SeekFrom::Start(start))?;
        // The length of an MP3 file without a tag would be estimated from the bit rate of its first frame, and the rest cut
        // off: a source that cannot be sought gives no such estimate.
        // In an Ogg file cut short the search for the last page would fail before the first is read.
        let seekable = format != Format::Mp3 && !cut_short;
        let source = Source { inner: source, start, length: length - start, seekable };
        let stream = MediaSourceStream::new(Box::new(source), Default::default());
        let failed = |e| failure(format, e, None, 0);
        let options = FormatOptions::default();
        let reader: Box<dyn FormatReader + 's> = match format {
            Format::Wav => Box::new(WavReader::try_new(stream, options).map_err(failed)?),
            Format::Mp3 => Box::new(MpaReader::try_new(stream, options).map_err(failed)?),
            Format::Ogg => Box::new(OggReader::try_new(stream, options).map_err(failed)?),
            Format::Flac => Box::new(FlacReader::try_new(stream, options).map_err(failed)?),
        };
        let corrupt = |what: &str| DecodeError::Corrupt { format, what: what.to_owned() };
        let track = reader.default_track(TrackType::Audio).ok_or_else(|| corrupt("there is no sound that is known in it"))?;
        let parameters = track.codec_params.as_ref().and_then(|p| p.audio());
        let parameters = parameters.ok_or_else(|| corrupt("it does not say how its sound is coded"))?;
        let (sample_rate, channels) = check(parameters, &limits)?;
        if track.num_frames.is_some_and(|n| n as f64 > limits.max_seconds * f64::from(sample_rate)) {
            return Err(DecodeError::TooLong(limits.max_seconds));
        }
        let options = AudioDecoderOptions::default().verify(true);
        let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(failed)?;
        let (track, declared) = (track.id, track.num_frames);
        Ok(Self {
            format,
            limits,
            sample_rate,
            channels,
            track,
            declared,
            cut_short,
            decoded: 0,
            over: false,
            reader,
            decoder,
            block: Vec::new(),
        })
    }

    /// What kind of file it is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Samples per second and channel, Hz.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Interleaved channels.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// Number of frames that the file says it has, if it says so.
    pub fn declared_frames(&self) -> Option<u64> {
        self.declared
    }

    /// The next interleaved samples, full scale -1..1 (float files may go beyond); `None` after the last.
    ///
    /// # Errors
    /// [`DecodeError`] when the file turns out to be damaged, cut short, too long or without any sound. After an error there
    /// is nothing more.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, DecodeError> {
        if self.over {
            return Ok(None);
        }
        match self.advance() {
            Ok(true) => Ok(Some(&self.block)),
            Ok(false) => {
                self.over = true;
                self.judge_end().map(|()| None)
            }
            Err(e) => {
                self.over = true;
                Err(e)
            }
        }
    }

    /// Decodes all that is left into a clip of at most [`Limits::max_clip_bytes`].
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn collect(mut self) -> Result<Clip, DecodeError> {
        let limit = self.limits.max_clip_bytes;
        let mut samples = Vec::new();
        while let Some(block) = self.next_block()? {
            if (samples.len() + block.len()) * size_of::<f32>() > limit {
                return Err(DecodeError::TooLarge(limit as u64));
            }
            samples.extend_from_slice(block);
        }
        Ok(Clip { sample_rate: self.sample_rate, channels: self.channels, samples })
    }

    /// Fills the block; false at the end.
    fn advance(&mut self) -> Result<bool, DecodeError> {
        let format = self.format;
        loop {
            let packet = match self.reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(false),
                // A WAV file whose header does not know its length goes on to the end of the file.
                Err(Error::IoError(e)) if format == Format::Wav && e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(false);
                }
                Err(e) => return Err(failure(format, e, self.declared, self.decoded)),
            };
            if packet.track_id != self.track {
                continue;
            }
            let buffer = match self.decoder.decode(&packet) {
                Ok(buffer) => buffer,
                // The first frames of an MP3 file cut out of a longer one need bits of frames that are not there.
                Err(Error::DecodeError(_)) if format == Format::Mp3 && self.decoded == 0 => continue,
                Err(e) => return Err(failure(format, e, self.declared, self.decoded)),
            };
            let spec = buffer.spec();
            if spec.rate() != self.sample_rate || spec.channels().count() != usize::from(self.channels) {
                let what = "its sample rate or number of channels changes on the way".to_owned();
                return Err(DecodeError::Unsupported { format, what });
            }
            buffer.copy_to_vec_interleaved(&mut self.block);
            if self.block.is_empty() {
                continue;
            }
            if self.block.iter().any(|s| !s.is_finite()) {
                return Err(DecodeError::Corrupt { format, what: "it has samples that are no numbers".to_owned() });
            }
            self.decoded += (self.block.len() / usize::from(self.channels)) as u64;
            if self.decoded as f64 > self.limits.max_seconds * f64::from(self.sample_rate) {
                return Err(DecodeError::TooLong(self.limits.max_seconds));
            }
            return Ok(true);
        }
    }

    fn judge_end(&mut self) -> Result<(), DecodeError> {
        let (format, declared, decoded) = (self.format, self.declared, self.decoded);
        if self.cut_short || declared.is_some_and(|n| decoded < n) {
            return Err(DecodeError::Truncated { format, declared, decoded });
        }
        if self.decoder.finalize().verify_ok == Some(false) {
            return Err(DecodeError::Corrupt { format, what: "its checksum is not that of its samples".to_owned() });
        }
        if decoded == 0 { Err(DecodeError::NoSamples(format)) } else { Ok(()) }
    }
}

fn check(parameters: &AudioCodecParameters, limits: &Limits) -> Result<(u32, u16), DecodeError> {
    let rate = parameters.sample_rate.unwrap_or(0);
    if rate < limits.rates.0 || rate > limits.rates.1 {
        return Err(DecodeError::Rate(rate));
    }
    let channels = parameters.channels.as_ref().map_or(0, |c| c.count());
    match u16::try_from(channels) {
        Ok(n) if n > 0 && n <= limits.max_channels => Ok((rate, n)),
        _ => Err(DecodeError::Channels(channels)),
    }
}

fn failure(format: Format, error: Error, declared: Option<u64>, decoded: u64) -> DecodeError {
    match error {
        Error::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => DecodeError::Truncated { format, declared, decoded },
        Error::IoError(e) => DecodeError::Read(e),
        Error::Unsupported(what) => DecodeError::Unsupported { format, what: what.to_owned() },
        Error::ResetRequired => DecodeError::Unsupported { format, what: "another stream begins in the same file".to_owned() },
        other => DecodeError::Corrupt { format, what: other.to_string() },
    }
}

/// The first bytes from `at` on.
fn head(source: &mut (impl Read + Seek), at: u64) -> io::Result<Vec<u8>> {
    source.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(HEAD);
    source.take(HEAD as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// True if the chunk of samples says that it goes on after the end of the file (RIFF: chunks of a name, a length and contents of
/// even length). Programs that write into a pipe put a huge number there: that says nothing.
fn data_is_cut_short(source: &mut (impl Read + Seek), start: u64, end: u64) -> io::Result<bool> {
    const UNKNOWN: u32 = 0x7fff_f000;
    let mut at = start + 12;
    while at + 8 <= end {
        source.seek(SeekFrom::Start(at))?;
        let mut chunk = [0; 8];
        source.read_exact(&mut chunk)?;
        let length = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let next = at + 8 + u64::from(length);
        if chunk.starts_with(b"data") {
            return Ok(length < UNKNOWN && next > end);
        }
        at = next + u64::from(length & 1);
    }
    Ok(false)
}

/// True if the file ends with a whole page that is marked as the last of its stream (RFC 3533, section 6: bit 2 of the flags).
fn ends_with_its_last_page(source: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
    // A page has at most 27 + 255 + 255 * 255 bytes.
    const PAGE: u64 = 65_307;
    const HEADER: usize = 27;
    let from = length.saturating_sub(PAGE);
    source.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    source.take(PAGE).read_to_end(&mut bytes)?;
    let Some(page) = (0..bytes.len().saturating_sub(3)).rev().find(|at| bytes[*at..].starts_with(b"OggS")) else {
        return Ok(false);
    };
    let page = &bytes[page..];
    let Some(segments) = page.get(26).and_then(|n| page.get(HEADER..HEADER + usize::from(*n))) else { return Ok(false) };
    let body: usize = segments.iter().map(|s| usize::from(*s)).sum();
    Ok(page[5] & 4 != 0 && page.len() >= HEADER + segments.len() + body)
}

/// A reader without the tag in front of the file.
struct Source<R> {
    inner: R,
    start: u64,
    length: u64,
    seekable: bool,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl<R: Seek> Seek for Source<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => SeekFrom::Start(self.start.saturating_add(at)),
            other => other,
        };
        self.inner.seek(to).map(|at| at.saturating_sub(self.start))
    }
}

impl<R: Read + Seek + Send + Sync> MediaSource for Source<R> {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
