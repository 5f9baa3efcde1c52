//! What the robot hears, in Rerun's words: the spectrogram as a picture that rolls on, words, speakers, moods, levels.

use std::collections::VecDeque;
use std::sync::Arc;

use image::{Rgb, RgbImage};
use msgs::omnimind_msgs::msg::{AudioFeatures, SpeakerMatch, Spectrogram, SpeechEmotion, Transcript};
use pictures::canvas::magma;
use pictures::jpeg;
use re_sdk::{RecordingStream, RecordingStreamResult};
use re_sdk_types::archetypes::{EncodedImage, Scalars, SeriesLines, TextLog};
use re_sdk_types::components::{MediaType, TextLogLevel};

/// Columns of the picture: 8 s of 20 ms.
const COLUMNS: usize = 400;
/// Columns of the message that make one of the picture.
const PER_COLUMN: usize = 2;
/// Rows of the picture per band.
const BAND_ROWS: u32 = 2;
/// What is shown as black and as brightest, dB.
const SHOWN_DB: (f32, f32) = (-95.0, -25.0);

/// Something heard.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The last seconds of the spectrogram.
    Spectrogram(Arc<RgbImage>),
    /// Words.
    Transcript(Arc<Transcript>),
    /// Whose voice it was.
    Speaker(Arc<SpeakerMatch>),
    /// In which mood.
    Emotion(Arc<SpeechEmotion>),
    /// Level and pitch.
    Features(Arc<AudioFeatures>),
}

/// The columns of the last seconds.
#[derive(Debug, Default)]
pub struct Roll {
    bands: usize,
    columns: VecDeque<Vec<u8>>,
    /// Columns of the message that wait for their partner.
    part: Vec<Vec<u8>>,
}

impl Roll {
    /// Takes a message in; one whose size does not fit is left out.
    pub fn push(&mut self, message: &Spectrogram) {
        let bands = usize::from(message.bands);
        if bands == 0 || bands > 1_024 || message.levels.len() % bands != 0 {
            return;
        }
        if bands != self.bands {
            *self = Self { bands, ..Self::default() };
        }
        for column in message.levels.chunks_exact(bands) {
            self.part.push(column.to_vec());
            if self.part.len() == PER_COLUMN {
                // The louder of the two: nothing short is lost.
                let joined = self.part.drain(..).reduce(|a, b| a.into_iter().zip(b).map(|(a, b)| a.max(b)).collect());
                self.columns.extend(joined);
            }
        }
        while self.columns.len() > COLUMNS {
            self.columns.pop_front();
        }
    }

    /// The picture: now at the right edge, high sounds on top; `None` before anything was heard.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn picture(&self) -> Option<RgbImage> {
        if self.columns.is_empty() {
            return None;
        }
        let missing = COLUMNS - self.columns.len();
        let height = self.bands as u32 * BAND_ROWS;
        Some(RgbImage::from_fn(COLUMNS as u32, height, |x, y| {
            let band = self.bands - 1 - (y / BAND_ROWS) as usize;
            let level = (x as usize).checked_sub(missing).and_then(|i| self.columns.get(i)?.get(band)).copied().unwrap_or(0);
            let db = (f32::from(level) / 255.0 - 1.0) * 100.0;
            Rgb(magma((db - SHOWN_DB.0) / (SHOWN_DB.1 - SHOWN_DB.0)))
        }))
    }
}

/// Logs what does not change.
///
/// # Errors
/// Rerun's own, when its types do not serialise.
pub fn log_static(rec: &RecordingStream) -> RecordingStreamResult<()> {
    for (path, name, colour) in [
        ("sound/level_dbfs", "level", 0x64A0_FFFF_u32),
        ("sound/pitch_hz", "pitch", 0x5CFF_D6FF),
        ("sound/speech_percent", "speech", 0xFFC8_32FF),
    ] {
        rec.log_static(path, &SeriesLines::new().with_names([name]).with_colors([colour]).with_widths([1.5]))?;
    }
    Ok(())
}

/// Logs what was heard at the time that is set on `rec`.
///
/// # Errors
/// Rerun's own, when its types do not serialise.
pub fn log(rec: &RecordingStream, heard: &Heard, jpeg_quality: u8) -> RecordingStreamResult<()> {
    let line = |path: &str, text: String| rec.log(path, &TextLog::new(text).with_level(TextLogLevel::INFO));
    match heard {
        Heard::Spectrogram(image) => {
            let (width, height) = image.dimensions();
            if let Ok(jpeg) = jpeg::encode("rgb8", width, height, width * 3, image.as_raw(), jpeg_quality) {
                let picture = EncodedImage::from_file_contents(jpeg).with_media_type(MediaType::JPEG);
                rec.log("sound/spectrogram", &picture)?;
            }
            Ok(())
        }
        Heard::Transcript(heard) => line("log/speech", transcript_line(heard)),
        Heard::Speaker(voice) if voice.speaker_id.is_empty() => line("log/voice", "the voice of somebody unknown".to_owned()),
        Heard::Speaker(voice) => line("log/voice", format!("the voice of {} ({:.2})", voice.speaker_id, voice.similarity)),
        // An unknown mood is no news.
        Heard::Emotion(mood) if mood.emotion == "unknown" => Ok(()),
        Heard::Emotion(mood) => {
            line("log/voice", format!("sounds {} ({:.2}, {})", mood.emotion, mood.confidence, mood.provenance.model))
        }
        Heard::Features(features) => {
            rec.log("sound/level_dbfs", &Scalars::single(f64::from(features.dbfs)))?;
            rec.log("sound/speech_percent", &Scalars::single(f64::from(features.speech_probability) * 100.0))?;
            if features.voiced { rec.log("sound/pitch_hz", &Scalars::single(f64::from(features.pitch))) } else { Ok(()) }
        }
    }
}

/// A transcript in one line: what was said, by whom, how and from where, as far as it is known.
#[must_use]
pub fn transcript_line(heard: &Transcript) -> String {
    let mut known = Vec::new();
    if let Some(who) = heard.segments.iter().map(|s| s.speaker_id.as_str()).find(|s| !s.is_empty()) {
        known.push(format!("by {who}"));
    }
    if let Some(mood) = heard.segments.iter().map(|s| s.emotion.as_str()).find(|m| !m.is_empty() && *m != "unknown") {
        known.push(mood.to_owned());
    }
    if heard.direction.is_finite() {
        let degrees = heard.direction.to_degrees();
        let side = if degrees > 2.0 {
            "left"
        } else if degrees < -2.0 {
            "right"
        } else {
            "ahead"
        };
        known.push(format!("{:.0}° {side}", degrees.abs()));
    }
    if known.is_empty() { format!("heard: {}", heard.text) } else { format!("heard: {} ({})", heard.text, known.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::omnimind_msgs::msg::SpeechSegment;

    fn message(bands: u16, columns: usize, level: u8) -> Spectrogram {
        Spectrogram { bands, levels: vec![level; usize::from(bands) * columns].into(), ..Spectrogram::default() }
    }

    #[test]
    fn the_picture_rolls_to_the_left_and_keeps_its_size() {
        let mut roll = Roll::default();
        assert!(roll.picture().is_none());
        roll.push(&message(4, 10, 255));
        let picture = roll.picture().unwrap();
        assert_eq!(picture.dimensions(), (400, 8));
        assert_eq!((picture.get_pixel(399, 0).0, picture.get_pixel(394, 0).0), (magma(1.0), magma(0.0)));
        for _ in 0..100 {
            roll.push(&message(4, 10, 0));
        }
        assert!(roll.picture().unwrap().pixels().all(|p| p.0 == magma(0.0)));
    }

    #[test]
    fn odd_messages_are_left_out() {
        let mut roll = Roll::default();
        roll.push(&message(0, 10, 255));
        roll.push(&Spectrogram { bands: 3, levels: vec![1; 10].into(), ..Spectrogram::default() });
        roll.push(&message(u16::MAX, 1, 1));
        assert!(roll.picture().is_none());
    }

    #[test]
    fn a_line_says_what_is_known() {
        let mut heard = Transcript { text: "bring the cup".into(), direction: f32::NAN, ..Transcript::default() };
        assert_eq!(transcript_line(&heard), "heard: bring the cup");
        heard.direction = 0.5;
        heard.segments = vec![SpeechSegment { speaker_id: "ann".into(), emotion: "calm".into(), ..SpeechSegment::default() }];
        assert_eq!(transcript_line(&heard), "heard: bring the cup (by ann, calm, 29° left)");
    }
}
