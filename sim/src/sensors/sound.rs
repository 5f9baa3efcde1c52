//! What makes sound: recorded speech, appliances, the robot's motors and its speaker. One block is 20 ms at 16 kHz.
//!
//! Full scale is about 97 dB of sound pressure: speech recorded at a peak of half of full scale and played with
//! [`SPEECH_GAIN`] has about 68 dB at one metre.

use crate::noise::Noise;
use crate::sdf::NoiseKind;
use glam::DVec3;
use std::collections::VecDeque;
use std::f64::consts::TAU;

/// Hz.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples of one block.
pub const BLOCK: usize = 320;
/// Speech at 1 m against its recording.
pub const SPEECH_GAIN: f64 = 0.6;
/// The robot's speaker at 1 m against what is played.
pub const SPEAKER_GAIN: f64 = 0.12;

/// Root mean square of a sound of this level at 1 m, relative to full scale.
pub fn rms_of_level(level_db: f64) -> f64 {
    10f64.powf((level_db - 97.0) / 20.0)
}

/// Where the samples of a source come from.
#[derive(Clone, Debug)]
enum Kind {
    Queue(VecDeque<f32>),
    Appliance { kind: NoiseKind, rms: f64 },
    Motors { rms: f64 },
}

/// A source of sound and the last of what it made.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is, m. Sources that ride on the robot are moved with it.
    pub position: DVec3,
    kind: Kind,
    gain: f64,
    noise: Noise,
    phase: f64,
    low: f64,
    band: f64,
    syllable: f64,
    history: Vec<f32>,
}

/// Samples of history: 0.25 s, sound goes 86 m in it.
const HISTORY: usize = 4096;

impl Source {
    fn new(kind: Kind, position: DVec3, gain: f64, noise: Noise) -> Self {
        let history = vec![0.0; HISTORY];
        Self { position, kind, gain, noise, phase: 0.0, low: 0.0, band: 0.0, syllable: 0.0, history }
    }

    /// A source that plays what is pushed into it.
    pub fn player(position: DVec3, gain: f64) -> Self {
        Self::new(Kind::Queue(VecDeque::new()), position, gain, Noise::new(0, "silent"))
    }

    /// An appliance.
    pub fn appliance(kind: NoiseKind, position: DVec3, level_db: f64, noise: Noise) -> Self {
        Self::new(Kind::Appliance { kind, rms: rms_of_level(level_db) }, position, 1.0, noise)
    }

    /// The robot's own motors, at full speed of this level at 1 m.
    pub fn motors(level_db: f64, noise: Noise) -> Self {
        Self::new(Kind::Motors { rms: rms_of_level(level_db) }, DVec3::ZERO, 1.0, noise)
    }

    /// Puts samples behind those that wait to be played; a source that is no player ignores them.
    pub fn push(&mut self, samples: impl IntoIterator<Item = f32>) {
        if let Kind::Queue(q) = &mut self.kind {
            q.extend(samples.into_iter().map(|s| if s.is_finite() { s.clamp(-1.0, 1.0) } else { 0.0 }));
        }
    }

    /// True while a player still has something to play.
    pub fn is_playing(&self) -> bool {
        matches!(&self.kind, Kind::Queue(q) if !q.is_empty())
    }

    /// Makes the next block; `activity` (0..1) is how hard the motors work.
    pub fn advance(&mut self, activity: f64) {
        self.history.copy_within(BLOCK.., 0);
        for i in HISTORY - BLOCK..HISTORY {
            let v = self.next(activity) * self.gain;
            self.history[i] = v as f32;
        }
    }

    fn next(&mut self, activity: f64) -> f64 {
        let rate = f64::from(SAMPLE_RATE);
        match &mut self.kind {
            Kind::Queue(q) => q.pop_front().map_or(0.0, f64::from),
            Kind::Appliance { kind, rms } => {
                let white = self.noise.gaussian(1.0);
                match kind {
                    NoiseKind::Fridge => {
                        self.phase = (self.phase + TAU * 50.0 / rate) % TAU;
                        let hum = self.phase.sin() + 0.6 * (2.0 * self.phase).sin() + 0.3 * (4.0 * self.phase).sin();
                        *rms * (1.1 * hum + 0.1 * white)
                    }
                    NoiseKind::Fan => {
                        self.low += 0.12 * (white - self.low);
                        *rms * 3.9 * self.low
                    }
                    NoiseKind::Television => {
                        // Noise of the speech band, four syllables a second.
                        self.low += 0.5 * (white - self.low);
                        self.band += 0.08 * (self.low - self.band);
                        self.phase = (self.phase + TAU * 4.0 / rate) % TAU;
                        self.syllable += 0.001 * ((0.6 + 0.6 * self.phase.sin()).max(0.0) - self.syllable);
                        *rms * 2.0 * (self.low - self.band) * self.syllable
                    }
                }
            }
            Kind::Motors { rms } => {
                let white = self.noise.gaussian(1.0);
                self.low += 0.3 * (white - self.low);
                self.phase = (self.phase + TAU * (40.0 + 280.0 * activity) / rate) % TAU;
                *rms * activity * (self.phase.sin() + 0.4 * (3.0 * self.phase).sin() + 0.8 * self.low)
            }
        }
    }

    /// The sample that left the source `delay` samples (fractional) before sample `index` of the last block, by
    /// four-point Lagrange interpolation; silence where the history does not reach.
    pub fn heard(&self, index: usize, delay: f64) -> f64 {
        let at = (HISTORY - BLOCK + index) as f64 - delay.max(2.0);
        let base = at.floor();
        let f = at - base;
        let i = base as isize;
        let get = |k: isize| {
            let j = i + k;
            if (0..HISTORY as isize).contains(&j) { f64::from(self.history[j as usize]) } else { 0.0 }
        };
        let (a, b, c, d) = (get(-1), get(0), get(1), get(2));
        let (f1, f2) = (f - 1.0, f - 2.0);
        -f * f1 * f2 / 6.0 * a + (f + 1.0) * f1 * f2 / 2.0 * b - (f + 1.0) * f * f2 / 2.0 * c + (f + 1.0) * f * f1 / 6.0 * d
    }
}
