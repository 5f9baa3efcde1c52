//! Voice activity: a network's probability (earshot's, 16 ms frames; or Silero's, 32 ms) with hysteresis and hangover.

use crate::silero::Silero;
use earshot::Detector;

/// When a frame counts as speech.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadSettings {
    /// Probability from which a frame may start speech, 0..1.
    pub start_threshold: f32,
    /// Probability below which a frame may end speech, 0..1; below `start_threshold`.
    pub stop_threshold: f32,
    /// Frames of 16 ms at or above the start threshold, in a row, that start speech.
    pub start_frames: usize,
    /// Frames of 16 ms that speech is held on after the last one above the stop threshold (hangover).
    pub hangover_frames: usize,
    /// Frames quieter than this never count as speech, dBFS.
    pub min_dbfs: f32,
}

impl Default for VadSettings {
    fn default() -> Self {
        Self { start_threshold: 0.5, stop_threshold: 0.35, start_frames: 3, hangover_frames: 6, min_dbfs: -65.0 }
    }
}

/// The verdict on one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadFrame {
    /// Index of the frame's first sample since the last reset.
    pub start_sample: u64,
    /// Samples of the frame: 256 by earshot, 512 by Silero.
    pub samples: usize,
    /// The network's probability of voice, 0..1.
    pub probability: f32,
    /// Speech after hysteresis and hangover.
    pub speech: bool,
}

/// Who judges.
enum Engine {
    Earshot(Box<Detector>),
    Silero(Box<Silero>),
}

/// Streaming voice activity detection on 16 kHz mono.
pub struct Vad {
    settings: VadSettings,
    engine: Engine,
    pending: Vec<f32>,
    next_sample: u64,
    above: usize,
    hold: usize,
    speech: bool,
    failures: u64,
    failures_in_a_row: u32,
}

impl Vad {
    /// Silero's network that fails so often in a row is given up for earshot.
    const GIVE_UP: u32 = 10;
    /// Samples per verdict of the usual detector, earshot (16 ms).
    pub const FRAME: usize = 256;

    /// A detector (earshot) that has heard nothing.
    pub fn new(settings: VadSettings) -> Self {
        Self::with_engine(settings, Engine::Earshot(Box::default()))
    }

    /// A detector by Silero's network.
    pub fn with_silero(settings: VadSettings, mut silero: Silero) -> Self {
        silero.reset();
        Self::with_engine(settings, Engine::Silero(Box::new(silero)))
    }

    fn with_engine(settings: VadSettings, engine: Engine) -> Self {
        let pending = Vec::with_capacity(2 * Silero::FRAME);
        Self { settings, engine, pending, next_sample: 0, above: 0, hold: 0, speech: false, failures: 0, failures_in_a_row: 0 }
    }

    /// Forgets everything heard; sample counting starts anew.
    pub fn reset(&mut self) {
        match &mut self.engine {
            Engine::Earshot(detector) => **detector = Detector::default(),
            Engine::Silero(silero) => silero.reset(),
        }
        self.pending.clear();
        (self.next_sample, self.above, self.hold, self.speech) = (0, 0, 0, false);
    }

    /// When a frame counts as speech.
    pub fn settings(&self) -> VadSettings {
        self.settings
    }

    /// Which network judges: `earshot` or `silero_vad`.
    pub fn name(&self) -> &'static str {
        match self.engine {
            Engine::Earshot(_) => "earshot",
            Engine::Silero(_) => crate::silero::MODEL,
        }
    }

    /// Samples per verdict.
    pub fn frame(&self) -> usize {
        match self.engine {
            Engine::Earshot(_) => Self::FRAME,
            Engine::Silero(_) => Silero::FRAME,
        }
    }

    /// Frames that the network could not judge (they count as no speech). After ten in a row earshot judges in its place.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Takes any number of samples, gives a verdict per completed frame. Samples that are not finite count as zero.
    pub fn push(&mut self, samples: &[f32]) -> Vec<VadFrame> {
        self.pending.extend(samples.iter().map(|s| if s.is_finite() { s.clamp(-1.0, 1.0) } else { 0.0 }));
        let frame = self.frame();
        let whole = self.pending.len() / frame * frame;
        let rest = self.pending.split_off(whole);
        let ready = std::mem::replace(&mut self.pending, rest);
        let frames = ready.chunks_exact(frame).map(|frame| self.judge(frame)).collect();
        if self.failures_in_a_row >= Self::GIVE_UP {
            self.engine = Engine::Earshot(Box::default());
            (self.above, self.failures_in_a_row) = (0, 0);
        }
        frames
    }

    fn judge(&mut self, frame: &[f32]) -> VadFrame {
        let start_sample = self.next_sample;
        self.next_sample += frame.len() as u64;
        let loud = crate::features::dbfs(crate::features::rms(frame)) >= self.settings.min_dbfs;
        let score = match &mut self.engine {
            Engine::Earshot(detector) => detector.predict_f32(frame),
            Engine::Silero(silero) => match silero.predict(frame) {
                Ok(score) => {
                    self.failures_in_a_row = 0;
                    score
                }
                Err(_) => {
                    self.failures += 1;
                    self.failures_in_a_row += 1;
                    0.0
                }
            },
        };
        let probability = if loud && score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
        // The settings count in frames of 16 ms.
        let scale = frame.len() / Self::FRAME;
        self.above = if probability >= self.settings.start_threshold { self.above + 1 } else { 0 };
        let started = self.above >= self.settings.start_frames.div_ceil(scale);
        if started || (self.speech && probability >= self.settings.stop_threshold) {
            self.speech = true;
            self.hold = self.settings.hangover_frames.div_ceil(scale);
        } else if self.speech {
            if self.hold == 0 {
                self.speech = false;
            } else {
                self.hold -= 1;
            }
        }
        VadFrame { start_sample, samples: frame.len(), probability, speech: self.speech }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, NetworkError, NetworkOutputs};
    use models::Tensor;

    /// A network that is gone.
    struct Gone;

    impl Network for Gone {
        fn run(&mut self, _: Vec<(&str, Tensor)>) -> Result<NetworkOutputs, NetworkError> {
            Err(NetworkError::Run("gone".to_owned()))
        }
    }

    #[test]
    fn earshot_takes_the_place_of_a_network_that_fails_again_and_again() {
        let settings = VadSettings::default();
        let mut vad = Vad::with_silero(settings, Silero::new(Box::new(Gone)));
        assert_eq!(vad.name(), crate::silero::MODEL);
        assert!(vad.push(&[0.1; 9 * Silero::FRAME]).iter().all(|f| f.probability == 0.0));
        assert_eq!((vad.name(), vad.failures()), (crate::silero::MODEL, 9), "a few failures are not the end");
        vad.push(&[0.1; Silero::FRAME]);
        assert_eq!((vad.name(), vad.failures()), ("earshot", 10));
        let next = vad.push(&[0.1; 2 * Vad::FRAME]);
        assert_eq!(next.iter().map(|f| f.start_sample).collect::<Vec<_>>(), [5_120, 5_376], "the count of samples goes on");
        assert_eq!(vad.failures(), 10);
    }
}
