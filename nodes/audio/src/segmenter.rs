//! Cuts a stream into utterances: voice activity with pre-roll, end silence and maximum length.

use crate::features::{dbfs, rms};
use crate::vad::{Vad, VadFrame, VadSettings};
use crate::wav::to_mono;
use std::collections::VecDeque;

/// How the stream is cut, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmenterSettings {
    /// Sound kept from before the first speech frame.
    pub pre_roll_s: f64,
    /// Silence after which an utterance is over.
    pub end_silence_s: f64,
    /// Utterances with less speech than this are dropped.
    pub min_speech_s: f64,
    /// An utterance is cut when it gets this long.
    pub max_length_s: f64,
    /// Utterances whose level varies less ([`modulation_db`]) are dropped: steady noise and tones, which the voice activity
    /// detector alone lets pass now and then.
    pub min_modulation_db: f32,
}

impl Default for SegmenterSettings {
    fn default() -> Self {
        Self { pre_roll_s: 0.3, end_silence_s: 0.6, min_speech_s: 0.25, max_length_s: 12.0, min_modulation_db: 3.0 }
    }
}

/// One utterance cut out of the stream, at 16 kHz.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// Index of the first frame (one sample per channel) since the last reset.
    pub start_sample: u64,
    /// Number of interleaved channels.
    pub channels: u16,
    /// Interleaved samples, from the pre-roll to a little after the last speech.
    pub samples: Vec<f32>,
    /// Time that the voice activity detector called speech, s.
    pub speech_s: f64,
    /// True if the maximum length ended it.
    pub cut: bool,
}

impl Utterance {
    /// Mean of the channels.
    pub fn mono(&self) -> Vec<f32> {
        to_mono(&self.samples, self.channels)
    }

    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.channels.max(1)) / RATE
    }
}

/// How much the level of a sound varies: difference in dB between the level that a tenth of its 20 ms frames exceed and
/// the level that six tenths exceed. Syllables and pauses make it 5 to 30 dB in speech; noise and tones have less than 2.
pub fn modulation_db(samples: &[f32]) -> f32 {
    let mut levels: Vec<f32> = samples.chunks_exact(320).map(|frame| dbfs(rms(frame))).collect();
    levels.sort_by(f32::total_cmp);
    let at = |share: f64| levels.get((levels.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    at(0.9) - at(0.4)
}

const RATE: f64 = crate::features::SAMPLE_RATE as f64;
/// Sound kept after the last speech frame, s: word ends are quiet.
const TAIL_S: f64 = 0.2;

/// What [`Segmenter::push`] found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pushed {
    /// Verdict per completed voice activity frame.
    pub frames: Vec<VadFrame>,
    /// Utterances that ended.
    pub utterances: Vec<Utterance>,
}

struct Open {
    start: u64,
    last_speech: u64,
    speech_samples: usize,
}

/// The state machine: silence -> utterance -> silence.
pub struct Segmenter {
    settings: SegmenterSettings,
    vad: Vad,
    channels: usize,
    /// Interleaved samples from frame `kept_from` on.
    kept: VecDeque<f32>,
    kept_from: u64,
    open: Option<Open>,
}

impl Segmenter {
    /// A segmenter for interleaved 16 kHz sound of `channels` channels (at least 1), with the usual detector.
    pub fn new(channels: u16, vad: VadSettings, settings: SegmenterSettings) -> Self {
        Self::with_vad(channels, Vad::new(vad), settings)
    }

    /// A segmenter with a detector of one's own, which has heard nothing yet.
    pub fn with_vad(channels: u16, vad: Vad, settings: SegmenterSettings) -> Self {
        Self { settings, vad, channels: usize::from(channels.max(1)), kept: VecDeque::new(), kept_from: 0, open: None }
    }

    /// Forgets everything heard; sample counting starts anew.
    pub fn reset(&mut self) {
        self.vad.reset();
        self.kept.clear();
        self.kept_from = 0;
        self.open = None;
    }

    /// The detector of voice activity.
    pub fn vad(&self) -> &Vad {
        &self.vad
    }

    /// Takes the detector out, to be used for another stream.
    pub fn into_vad(mut self) -> Vad {
        self.vad.reset();
        self.vad
    }

    /// True between the first speech frame of an utterance and its end.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Frames of the utterance that is going on, up to now.
    pub fn open_length(&self) -> Option<usize> {
        let open = self.open.as_ref()?;
        Some(self.kept.len() / self.channels - (open.start - self.kept_from) as usize)
    }

    /// Number of the first sample and interleaved samples of the utterance that is going on.
    pub fn open_samples(&self) -> Option<(u64, Vec<f32>)> {
        let open = self.open.as_ref()?;
        let from = (open.start - self.kept_from) as usize * self.channels;
        Some((open.start, self.kept.range(from..).copied().collect()))
    }

    /// Takes interleaved samples; an incomplete last frame is dropped.
    pub fn push(&mut self, interleaved: &[f32]) -> Pushed {
        let whole = interleaved.len() / self.channels * self.channels;
        let interleaved = &interleaved[..whole];
        self.kept.extend(interleaved.iter().map(|s| if s.is_finite() { *s } else { 0.0 }));
        let frames = self.vad.push(&to_mono(interleaved, self.channels as u16));
        let mut utterances = Vec::new();
        for frame in &frames {
            utterances.extend(self.step(frame));
        }
        self.trim();
        Pushed { frames, utterances }
    }

    /// Ends an open utterance now, for example at the end of a file.
    pub fn flush(&mut self) -> Option<Utterance> {
        let open = self.open.take()?;
        self.close(&open, false)
    }

    fn step(&mut self, frame: &VadFrame) -> Option<Utterance> {
        let end = frame.start_sample + frame.samples as u64;
        let mut open = match self.open.take() {
            Some(open) => open,
            None if frame.speech => {
                let pre_roll = (self.settings.pre_roll_s * RATE) as u64;
                // Speech is said only after some frames of it: the roll goes back from the first of them.
                let first = frame.start_sample.saturating_sub(self.late());
                let start = first.saturating_sub(pre_roll).max(self.kept_from);
                Open { start, last_speech: end, speech_samples: 0 }
            }
            None => return None,
        };
        if frame.speech {
            open.last_speech = end;
            open.speech_samples += frame.samples;
        }
        let silent = (end - open.last_speech) as f64 / RATE;
        let length = (end - open.start) as f64 / RATE;
        if silent >= self.settings.end_silence_s {
            return self.close(&open, false);
        }
        if length >= self.settings.max_length_s {
            open.last_speech = end;
            return self.close(&open, true);
        }
        self.open = Some(open);
        None
    }

    fn close(&self, open: &Open, cut: bool) -> Option<Utterance> {
        let speech_s = open.speech_samples as f64 / RATE;
        if speech_s < self.settings.min_speech_s {
            return None;
        }
        let have = self.kept_from + (self.kept.len() / self.channels) as u64;
        let tail = if cut { 0 } else { (TAIL_S * RATE) as u64 };
        let end = (open.last_speech + tail).min(have);
        let from = (open.start - self.kept_from) as usize * self.channels;
        let to = (end - self.kept_from) as usize * self.channels;
        let utterance = Utterance {
            start_sample: open.start,
            channels: self.channels as u16,
            samples: self.kept.range(from..to).copied().collect(),
            speech_s,
            cut,
        };
        let lively = modulation_db(&utterance.mono()) >= self.settings.min_modulation_db;
        lively.then_some(utterance)
    }

    /// Samples by which the first speech frame lies before the one that is called speech first.
    fn late(&self) -> u64 {
        let frame = self.vad.frame();
        let frames = (self.vad.settings().start_frames * Vad::FRAME).div_ceil(frame);
        (frames.saturating_sub(1) * frame) as u64
    }

    /// Lets go of sound that no utterance can need any more.
    fn trim(&mut self) {
        let have = self.kept_from + (self.kept.len() / self.channels) as u64;
        let keep_from = match &self.open {
            Some(open) => open.start,
            // One voice activity frame may still be incomplete, and speech starts a few frames late.
            None => {
                let frame = self.vad.frame() as u64;
                have.saturating_sub((self.settings.pre_roll_s * RATE) as u64 + self.late() + 2 * frame)
            }
        };
        let drop = (keep_from.saturating_sub(self.kept_from)) as usize;
        self.kept.drain(..drop * self.channels);
        self.kept_from += drop as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modulation_is_the_difference_between_loud_and_middling_frames() {
        let block = |level: f32, frames: usize| vec![level; frames * 320];
        let steady = block(0.1, 100);
        assert!(modulation_db(&steady).abs() < 1e-3);
        // Half loud, half ten times quieter: 20 dB.
        let lively: Vec<f32> = (0..50).flat_map(|_| [block(0.1, 1), block(0.01, 1)].concat()).collect();
        assert!((modulation_db(&lively) - 20.0).abs() < 1e-3);
        assert_eq!(modulation_db(&[]), 0.0);
    }

    #[test]
    fn nothing_heard_nothing_cut() {
        let mut segmenter = Segmenter::new(2, VadSettings::default(), SegmenterSettings::default());
        for _ in 0..500 {
            assert!(segmenter.push(&[0.0; 641]).utterances.is_empty());
        }
        assert_eq!(segmenter.flush(), None);
        assert!(!segmenter.is_open());
    }
}
