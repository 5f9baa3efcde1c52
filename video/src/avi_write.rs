//! Writing MJPEG in AVI, with an index (`idx1`): plays everywhere.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use image::RgbImage;
use pictures::jpeg;

/// Why a clip cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AviError {
    /// The file cannot be written.
    #[error("cannot write the video: {0}")]
    Io(#[from] std::io::Error),
    /// A frame cannot be a JPEG.
    #[error(transparent)]
    Jpeg(#[from] jpeg::JpegError),
    /// A frame has another size than the first.
    #[error("the video's frames have {expected:?} pixels, this one {found:?}")]
    Size {
        /// Size of the first frame.
        expected: (u32, u32),
        /// Size of this one.
        found: (u32, u32),
    },
    /// A rate that is not above 0, or a file of 2 GiB.
    #[error("cannot write the video: {0}")]
    Refused(&'static str),
}

/// Bytes of `RIFF`, `hdrl` and the beginning of `movi`.
const HEADER: u64 = 12 + 8 + 4 + (8 + 56) + 8 + 4 + (8 + 56) + (8 + 40) + 12;
/// Where a plain AVI ends: players take larger ones for damaged.
const MAX_BYTES: u64 = 0x7FFF_0000;

/// Writes frames of one size at a fixed rate. One that is dropped without [`AviWriter::finish`] has index and header all the same, if they can be
/// written: what was written before something failed can be played.
#[derive(Debug)]
pub struct AviWriter {
    file: BufWriter<File>,
    size: (u32, u32),
    /// Frames in 1,000,000 s.
    rate: u32,
    quality: u8,
    /// Offset within `movi` and length of each frame.
    index: Vec<(u32, u32)>,
    at: u64,
    largest: u32,
    finished: bool,
}

impl Drop for AviWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is there to be told: whoever wants to know calls `finish`.
            let _ = self.complete();
        }
    }
}

impl AviWriter {
    /// Begins a clip; `quality` 1 to 100.
    ///
    /// # Errors
    /// [`AviError::Io`], [`AviError::Refused`] for a rate that is not from 0.001 to 1000 per second.
    pub fn create(path: &Path, size: (u32, u32), frames_per_s: f64, quality: u8) -> Result<Self, AviError> {
        if !(0.001..=1000.0).contains(&frames_per_s) {
            return Err(AviError::Refused("the frame rate is not from 0.001 to 1000 per second"));
        }
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&[0; HEADER as usize])?;
        let rate = (frames_per_s * 1e6).round() as u32;
        Ok(Self { file, size, rate, quality, index: Vec::new(), at: HEADER, largest: 0, finished: false })
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`AviError`].
    pub fn push(&mut self, picture: &RgbImage) -> Result<(), AviError> {
        let (width, height) = picture.dimensions();
        if (width, height) != self.size {
            return Err(AviError::Size { expected: self.size, found: (width, height) });
        }
        let bytes = jpeg::encode("rgb8", width, height, width * 3, picture.as_raw(), self.quality)?;
        let length = bytes.len() as u32;
        if self.at + 16 * (self.index.len() as u64 + 2) + u64::from(length) > MAX_BYTES {
            return Err(AviError::Refused("it would have more than 2 GiB; give fewer frames"));
        }
        self.file.write_all(b"00dc")?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&bytes)?;
        self.file.write_all(&[0][..bytes.len() & 1])?;
        self.index.push(((self.at - HEADER + 4) as u32, length));
        self.at += 8 + u64::from(length) + u64::from(length & 1);
        self.largest = self.largest.max(length);
        Ok(())
    }

    /// Writes index and header.
    ///
    /// # Errors
    /// [`AviError::Io`].
    pub fn finish(mut self) -> Result<(), AviError> {
        self.complete()
    }

    fn complete(&mut self) -> Result<(), AviError> {
        const KEY_FRAME: u32 = 0x10;
        self.finished = true;
        self.file.write_all(b"idx1")?;
        self.file.write_all(&(16 * self.index.len() as u32).to_le_bytes())?;
        for (offset, length) in &self.index {
            self.file.write_all(b"00dc")?;
            [KEY_FRAME, *offset, *length].iter().try_for_each(|v| self.file.write_all(&v.to_le_bytes()))?;
        }
        let header = self.header();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.flush()?;
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let frames = self.index.len() as u32;
        let (width, height) = self.size;
        let mut out = Vec::with_capacity(HEADER as usize);
        let mut put = |name: &[u8], words: &[u32]| {
            out.extend_from_slice(name);
            words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        };
        let whole = self.at + 8 + 16 * u64::from(frames) - 8;
        put(b"RIFF", &[whole as u32]);
        put(b"AVI LIST", &[(HEADER - 12 - 8 - 12) as u32]);
        put(b"hdrlavih", &[56]);
        let microseconds = (1e12 / f64::from(self.rate)).round() as u32;
        // Microseconds per frame, bytes per second, granularity, flags (has an index), frames, initial, streams, buffer, size.
        put(b"", &[microseconds, 0, 0, 0x10, frames, 0, 1, self.largest, width, height, 0, 0, 0, 0]);
        put(b"LIST", &[4 + (8 + 56) + (8 + 40)]);
        put(b"strlstrh", &[56]);
        // Flags, priority, initial frames, scale, rate, start, length, buffer, quality, sample size, rectangle.
        put(b"vidsMJPG", &[0, 0, 0, 1_000_000, self.rate, 0, frames, self.largest, u32::MAX, 0, 0, width | height << 16]);
        put(b"strf", &[40, 40, width, height, 1 | 24 << 16]);
        put(b"MJPG", &[width * height * 3, 0, 0, 0, 0]);
        put(b"LIST", &[(self.at - HEADER + 4) as u32]);
        put(b"movi", &[]);
        out
    }
}
