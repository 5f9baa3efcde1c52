//! Voice activity: earshot's network (16 ms frames at 16 kHz) with hysteresis and hangover.

use earshot::Detector;

/// When a frame counts as speech.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadSettings {
    /// Probability from which a frame may start speech, 0..1.
    pub start_threshold: f32,
    /// Probability below which a frame may end speech, 0..1; below `start_threshold`.
    pub stop_threshold: f32,
    /// Frames at or above the start threshold, in a row, that start speech.
    pub start_frames: usize,
    /// Frames that speech is held on after the last one above the stop threshold (hangover).
    pub hangover_frames: usize,
    /// Frames quieter than this never count as speech, dBFS.
    pub min_dbfs: f32,
}

impl Default for VadSettings {
    fn default() -> Self {
        Self { start_threshold: 0.5, stop_threshold: 0.35, start_frames: 3, hangover_frames: 6, min_dbfs: -65.0 }
    }
}

/// The verdict on one frame of [`Vad::FRAME`] samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadFrame {
    /// Index of the frame's first sample since the last reset.
    pub start_sample: u64,
    /// The network's probability of voice, 0..1.
    pub probability: f32,
    /// Speech after hysteresis and hangover.
    pub speech: bool,
}

/// Streaming voice activity detection on 16 kHz mono.
pub struct Vad {
    settings: VadSettings,
    detector: Box<Detector>,
    pending: Vec<f32>,
    next_sample: u64,
    above: usize,
    hold: usize,
    speech: bool,
}

impl Vad {
    /// Samples per verdict (16 ms).
    pub const FRAME: usize = 256;

    /// A detector that has heard nothing.
    pub fn new(settings: VadSettings) -> Self {
        Self {
            settings,
            detector: Box::default(),
            pending: Vec::with_capacity(2 * Self::FRAME),
            next_sample: 0,
            above: 0,
            hold: 0,
            speech: false,
        }
    }

    /// Forgets everything heard; sample counting starts anew.
    pub fn reset(&mut self) {
        *self = Self::new(self.settings);
    }

    /// Takes any number of samples, gives a verdict per completed frame. Samples that are not finite count as zero.
    pub fn push(&mut self, samples: &[f32]) -> Vec<VadFrame> {
        self.pending.extend(samples.iter().map(|s| if s.is_finite() { s.clamp(-1.0, 1.0) } else { 0.0 }));
        let whole = self.pending.len() / Self::FRAME * Self::FRAME;
        let rest = self.pending.split_off(whole);
        let ready = std::mem::replace(&mut self.pending, rest);
        ready.chunks_exact(Self::FRAME).map(|frame| self.judge(frame)).collect()
    }

    fn judge(&mut self, frame: &[f32]) -> VadFrame {
        let start_sample = self.next_sample;
        self.next_sample += Self::FRAME as u64;
        let loud = crate::features::dbfs(crate::features::rms(frame)) >= self.settings.min_dbfs;
        let score = self.detector.predict_f32(frame);
        let probability = if loud { score.clamp(0.0, 1.0) } else { 0.0 };
        self.above = if probability >= self.settings.start_threshold { self.above + 1 } else { 0 };
        if self.above >= self.settings.start_frames || (self.speech && probability >= self.settings.stop_threshold) {
            self.speech = true;
            self.hold = self.settings.hangover_frames;
        } else if self.speech {
            if self.hold == 0 {
                self.speech = false;
            } else {
                self.hold -= 1;
            }
        }
        VadFrame { start_sample, probability, speech: self.speech }
    }
}
