//! Is somebody speaking to the robot while it speaks itself?
//!
//! A robot with a loudspeaker hears itself. Without an echo canceller the two voices can only be told apart by level, as
//! Geigel's double-talk detector does (Duttweiler 1978, "A Twelve-Channel Digital Echo Canceler"): what the microphone may
//! hear of the robot's own voice is bounded by the loudest thing played within the length of the echo (here less what the
//! room has swallowed since), times the gain of the way from loudspeaker to microphone. That gain is learnt here while the
//! robot speaks. Somebody interrupts when sound with voice in it (by the voice activity detector) lies a margin above that
//! bound for a while.
//!
//! So this hears people who are louder at the microphone than the robot is, and people who speak in its pauses. Somebody
//! far away who speaks under a loud robot is not heard; nothing is claimed about that.

use crate::features::{SAMPLE_RATE, dbfs, rms};
use crate::resample::{ResampleError, StreamResampler};
use crate::segmenter::modulation_db;
use crate::vad::{Vad, VadSettings};
use crate::wav::to_mono;
use std::collections::VecDeque;

/// The robot's own voice may sound so long in the room, with the way through the sound hardware, ns.
const ECHO_NS: i64 = 500_000_000;
/// Sound hardware may take so long, during which nothing decays, ns.
const HOLD_NS: i64 = 150_000_000;
/// A room with a reverberation time of a whole second swallows so much, dB/s.
const DECAY_DB_PER_S: f32 = 60.0;
/// Clocks of microphone and loudspeaker may differ by so much, ns.
const SLACK_NS: i64 = 50_000_000;
/// Chunks that may hold a voice at most, whatever their stamps.
const MAX_VOICED: usize = 500;
/// Voice is counted over so long, ns.
const WINDOW_NS: i64 = 500_000_000;
/// Levels of the own voice below this say nothing about the gain, dBFS.
const REFERENCE_DBFS: f32 = -45.0;
/// Chunks from which the gain is learnt at least, and at most.
const RATIOS: std::ops::RangeInclusive<usize> = 25..=500;
/// The share of those ratios that lies below what is taken for the gain.
const QUANTILE: f64 = 0.95;

/// When somebody counts as interrupting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BargeInSettings {
    /// How far above the robot's own echo a voice must be, dB.
    pub margin_db: f32,
    /// How much of the last half second must be such voice, s.
    pub voice_s: f64,
    /// What is less loud than this is nobody, dBFS.
    pub min_dbfs: f32,
    /// What counts as a voice.
    pub vad: VadSettings,
    /// Sound whose level varies less ([`modulation_db`]) is noise or a tone, dB.
    pub min_modulation_db: f32,
}

impl Default for BargeInSettings {
    fn default() -> Self {
        Self { margin_db: 3.0, voice_s: 0.24, min_dbfs: -50.0, vad: VadSettings::default(), min_modulation_db: 3.0 }
    }
}

/// Listens for others while the robot speaks. Keeps what it learnt about the echo from one text to the next.
pub struct BargeIn {
    settings: BargeInSettings,
    vad: Vad,
    resampler: Option<(u32, StreamResampler)>,
    /// Time and level of what was played, dBFS.
    played: VecDeque<(i64, f32)>,
    /// Levels of the microphone against what was played, dB.
    ratios: VecDeque<f32>,
    voice: VecDeque<Voiced>,
}

/// A chunk that seems to hold a voice that is not the robot's.
struct Voiced {
    begin_ns: i64,
    length_ns: i64,
    /// Its level against what was played, from which nothing is learnt before it is clear whether it does, dB.
    ratio: Option<f32>,
    samples: Vec<f32>,
}

impl BargeIn {
    /// A listener that knows nothing of the room yet.
    pub fn new(settings: BargeInSettings) -> Self {
        Self {
            settings,
            vad: Vad::new(settings.vad),
            resampler: None,
            played: VecDeque::new(),
            ratios: VecDeque::new(),
            voice: VecDeque::new(),
        }
    }

    /// Takes note of a chunk that the loudspeaker plays from `stamp_ns` on.
    pub fn played(&mut self, stamp_ns: i64, samples: &[f32]) {
        self.played.push_back((stamp_ns, dbfs(rms(samples))));
        while self.played.front().is_some_and(|(t, _)| *t < stamp_ns - 2 * ECHO_NS) {
            self.played.pop_front();
        }
    }

    /// What the way from loudspeaker to microphone does to the level, dB; `None` until enough was heard.
    pub fn echo_gain_db(&self) -> Option<f32> {
        if self.ratios.len() < *RATIOS.start() {
            return None;
        }
        let mut sorted: Vec<f32> = self.ratios.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        sorted.get(((sorted.len() - 1) as f64 * QUANTILE).round() as usize).copied()
    }

    /// Takes a chunk of the microphone (interleaved, in -1..1) while the robot speaks or its echo lasts. Gives the time in ns at
    /// which somebody began to speak, once that is sure; from then on it begins anew.
    ///
    /// # Errors
    /// [`ResampleError`] for a rate or channel count that makes no sense.
    pub fn hear(&mut self, stamp_ns: i64, rate: u32, channels: u16, samples: &[f32]) -> Result<Option<i64>, ResampleError> {
        let mono: Vec<f32> = to_mono(samples, channels).into_iter().map(|s| if s.is_finite() { s } else { 0.0 }).collect();
        if mono.is_empty() {
            return Ok(None);
        }
        let at_16k = match &mut self.resampler {
            _ if rate == SAMPLE_RATE => mono.clone(),
            Some((known, resampler)) if *known == rate => resampler.push(&mono)?,
            other => other.insert((rate, StreamResampler::new(1, rate, SAMPLE_RATE)?)).1.push(&mono)?,
        };
        let voiced = self.vad.push(&at_16k).iter().any(|frame| frame.speech);
        let length_ns = (mono.len() as f64 / f64::from(rate) * 1e9) as i64;
        let level = dbfs(rms(&mono));
        let echo = |t: i64, db: f32| {
            let age_ns = stamp_ns - t;
            (-(SLACK_NS + length_ns)..=ECHO_NS)
                .contains(&age_ns)
                .then(|| db - (age_ns - HOLD_NS).max(0) as f32 * 1e-9 * DECAY_DB_PER_S)
        };
        let bound = self.played.iter().filter_map(|(t, db)| echo(*t, *db)).fold(f32::NEG_INFINITY, f32::max);
        let ratio = (bound > REFERENCE_DBFS).then_some(level - bound);
        while self.voice.front().is_some_and(|v| v.begin_ns < stamp_ns - WINDOW_NS) || self.voice.len() > MAX_VOICED {
            // Too little for a voice: it was the echo after all.
            let echo = self.voice.pop_front().and_then(|v| v.ratio);
            self.learn(echo);
        }
        let gain = self.echo_gain_db();
        let above = gain.is_some_and(|gain| level > bound + gain + self.settings.margin_db);
        if !(voiced && above && level > self.settings.min_dbfs) {
            self.learn(ratio);
            return Ok(None);
        }
        self.voice.push_back(Voiced { begin_ns: stamp_ns, length_ns, ratio, samples: at_16k });
        let heard_ns: i64 = self.voice.iter().map(|v| v.length_ns).sum();
        if (heard_ns as f64) < self.settings.voice_s * 1e9 {
            return Ok(None);
        }
        // Steady noise, which the detector takes for voice now and then, has no syllables.
        let sound: Vec<f32> = self.voice.iter().flat_map(|v| v.samples.iter().copied()).collect();
        if modulation_db(&sound) < self.settings.min_modulation_db {
            return Ok(None);
        }
        let begin = self.pending_begin();
        // If the echo has become louder, that is learnt from a few false interruptions; a person's voice is soon forgotten.
        for voiced in std::mem::take(&mut self.voice) {
            self.learn(voiced.ratio);
        }
        self.begin_anew();
        Ok(begin)
    }

    /// Begin in ns of what may be somebody, of whom too little was heard to be sure.
    pub fn pending_begin(&self) -> Option<i64> {
        self.voice.front().map(|v| v.begin_ns)
    }

    fn learn(&mut self, ratio: Option<f32>) {
        self.ratios.extend(ratio);
        while self.ratios.len() > *RATIOS.end() {
            self.ratios.pop_front();
        }
    }

    /// Forgets voices that were heard, not what was learnt about the room.
    pub fn begin_anew(&mut self) {
        self.voice.clear();
        self.vad.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = 320;

    /// A voice-like sound: a buzz of 120 Hz in syllables.
    fn voice(seconds: f64, peak: f32) -> Vec<f32> {
        (0..(seconds * 16_000.0) as usize)
            .map(|i| {
                let t = i as f32 / 16_000.0;
                let syllable = (std::f32::consts::TAU * 3.0 * t).sin().max(0.0);
                let buzz: f32 = (1..30).map(|k| (std::f32::consts::TAU * 120.0 * k as f32 * t).sin() / k as f32).sum();
                0.5 * peak * syllable * buzz
            })
            .collect()
    }

    /// Plays `own`, heard 10 ms later at a fifth, and adds `other`. Gives the time of an interruption, s.
    fn run(ear: &mut BargeIn, own: &[f32], other: &[f32], rate: u32) -> Option<f64> {
        let mut found = None;
        for (k, chunk) in own.chunks_exact(CHUNK).enumerate() {
            let stamp = k as i64 * 20_000_000;
            ear.played(stamp, chunk);
            let heard: Vec<f32> = (0..CHUNK)
                .map(|i| {
                    let at = k * CHUNK + i;
                    let echo = at.checked_sub(160).map_or(0.0, |j| 0.2 * own[j]);
                    echo + other.get(at).copied().unwrap_or(0.0)
                })
                .flat_map(|s| std::iter::repeat_n(s, (rate / 16_000) as usize))
                .collect();
            let begun = ear.hear(stamp, rate, 1, &heard).unwrap();
            found = found.or(begun.map(|t| t as f64 * 1e-9));
        }
        found
    }

    #[test]
    fn the_own_echo_is_nobody_however_long_it_lasts() {
        let mut ear = BargeIn::new(BargeInSettings::default());
        assert_eq!(run(&mut ear, &voice(20.0, 0.5), &[], 16_000), None);
        let gain = ear.echo_gain_db().unwrap();
        assert!((gain + 14.0).abs() < 3.0, "a fifth is -14 dB: {gain}");
    }

    #[test]
    fn noise_without_a_voice_is_nobody() {
        let mut state = 9_u32;
        // It begins when the echo is known; before that nobody would be heard anyway.
        let mut hiss = |level: f32| -> Vec<f32> {
            (0..240_000)
                .map(|i| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = level * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0);
                    if i < 80_000 { 0.0 } else { noise }
                })
                .collect()
        };
        for level in [0.05, 0.15, 0.3, 0.6] {
            let noise = hiss(level);
            let mut ear = BargeIn::new(BargeInSettings::default());
            assert_eq!(run(&mut ear, &voice(15.0, 0.5), &noise, 16_000), None, "noise of {level}");
        }
        let tone: Vec<f32> = (0..240_000).map(|i| if i < 80_000 { 0.0 } else { 0.4 * (i as f32 * 0.07).sin() }).collect();
        assert_eq!(run(&mut BargeIn::new(BargeInSettings::default()), &voice(15.0, 0.5), &tone, 16_000), None, "a tone");
    }

    #[test]
    fn before_the_echo_is_known_nobody_is_heard_and_bad_sound_is_refused() {
        let mut ear = BargeIn::new(BargeInSettings::default());
        assert_eq!(ear.echo_gain_db(), None);
        assert!(ear.hear(0, 3, 1, &[0.1; 320]).is_err());
        assert_eq!(ear.hear(0, 16_000, 2, &[f32::NAN; 640]).unwrap(), None);
        assert_eq!(ear.hear(0, 16_000, 2, &[]).unwrap(), None);
        assert_eq!(ear.echo_gain_db(), None);
    }
}
