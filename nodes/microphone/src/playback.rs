//! A sound file as a source: pieces of it, one after the other.

use crate::condition::Format;
use std::path::{Path, PathBuf};

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlaybackError {
    /// The file is not there, or no sound file, or damaged.
    #[error("cannot read the sound file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: sounds::DecodeError,
    },
}

/// A sound held in memory with a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Playback {
    format: Format,
    samples: Vec<f32>,
    at: usize,
    repeat: bool,
}

impl Playback {
    /// Reads a WAV, MP3, Ogg Vorbis or FLAC file, told apart by content; with `repeat` it begins again at its end.
    ///
    /// # Errors
    /// [`PlaybackError`].
    pub fn open(path: impl AsRef<Path>, repeat: bool) -> Result<Self, PlaybackError> {
        let path = path.as_ref();
        let failed = |source| PlaybackError::Read { path: path.to_owned(), source };
        let clip = sounds::read(path).map_err(failed)?;
        let format = Format { sample_rate: clip.sample_rate, channels: clip.channels };
        Ok(Self { format, samples: clip.samples, at: 0, repeat })
    }

    /// A sound from memory, interleaved; `None` if it has no samples.
    pub fn new(format: Format, samples: Vec<f32>, repeat: bool) -> Option<Self> {
        let usable = !samples.is_empty() && format.channels > 0;
        usable.then_some(Self { format, samples, at: 0, repeat })
    }

    /// Rate and channels.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The next `seconds` of sound, interleaved; shorter at the end, `None` after it.
    pub fn next(&mut self, seconds: f64) -> Option<Vec<f32>> {
        let frames = (f64::from(self.format.sample_rate) * seconds).round() as usize;
        let wanted = frames.max(1) * usize::from(self.format.channels);
        if self.at >= self.samples.len() {
            if !self.repeat {
                return None;
            }
            self.at = 0;
        }
        let end = (self.at + wanted).min(self.samples.len());
        let piece = self.samples[self.at..end].to_vec();
        self.at = end;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format { sample_rate: 1_000, channels: 2 };

    #[test]
    fn a_sound_is_played_once_and_whole() {
        let samples: Vec<f32> = (0..50).map(|i| i as f32).collect();
        let mut playback = Playback::new(FORMAT, samples.clone(), false).unwrap();
        let mut heard = Vec::new();
        while let Some(piece) = playback.next(0.010) {
            heard.extend(piece);
        }
        assert_eq!(heard, samples);
        assert_eq!(playback.next(0.010), None);
    }

    #[test]
    fn a_repeated_sound_begins_again() {
        let mut playback = Playback::new(FORMAT, vec![1.0, 2.0], true).unwrap();
        assert_eq!(playback.next(1.0), Some(vec![1.0, 2.0]));
        assert_eq!(playback.next(1.0), Some(vec![1.0, 2.0]));
    }

    #[test]
    fn no_file_and_no_sound_are_said() {
        assert!(matches!(Playback::open("/no/such/file.wav", false), Err(PlaybackError::Read { .. })));
        assert_eq!(Playback::new(FORMAT, Vec::new(), true), None);
    }
}
