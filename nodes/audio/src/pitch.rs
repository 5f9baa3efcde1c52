//! Fundamental frequency by YIN (de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for
//! speech and music", JASA 111, 2002): steps 1 to 5, on 16 kHz mono.

use crate::features::{SAMPLE_RATE, rms};

/// What YIN says about one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pitch {
    /// True if the frame is periodic enough.
    pub voiced: bool,
    /// Fundamental frequency in Hz, 0 when unvoiced.
    pub hz: f32,
    /// Aperiodicity: the cumulative mean normalised difference at the chosen lag; near 0 is periodic, near 1 noise.
    pub aperiodicity: f32,
}

/// YIN with its limits.
#[derive(Debug, Clone, Copy)]
pub struct Yin {
    /// Lowest pitch looked for, Hz.
    pub min_hz: f32,
    /// Highest pitch looked for, Hz.
    pub max_hz: f32,
    /// Aperiodicity below which the first dip is taken at once (0.1 to 0.2 in the paper); without one it is the deepest.
    pub threshold: f32,
    /// Aperiodicity below which the frame is voiced. White noise has 0.8 and more, recorded voices in a room often 0.2 to 0.3.
    pub voiced_below: f32,
    /// Frames with a lower root mean square are unvoiced without a look.
    pub min_rms: f32,
}

impl Default for Yin {
    fn default() -> Self {
        Self { min_hz: 65.0, max_hz: 500.0, threshold: 0.15, voiced_below: 0.35, min_rms: 1e-3 }
    }
}

impl Yin {
    /// Samples in one frame: the summation window and the longest lag, 1024 samples (64 ms) by default.
    pub const FRAME: usize = 1024;

    /// Pitch of one frame of 16 kHz samples. At least two periods of `min_hz` are needed to find that pitch:
    /// shorter frames find only higher ones, and frames too short for any are unvoiced.
    pub fn pitch(&self, frame: &[f32]) -> Pitch {
        let unvoiced = Pitch { voiced: false, hz: 0.0, aperiodicity: 1.0 };
        let rate = SAMPLE_RATE as f32;
        let tau_max = ((rate / self.min_hz) as usize).min(frame.len() / 2);
        let tau_min = ((rate / self.max_hz) as usize).max(2);
        if tau_max <= tau_min + 1 || rms(frame) < self.min_rms {
            return unvoiced;
        }
        let window = frame.len() - tau_max;
        // Cumulative mean normalised difference d'(tau), equation 8.
        let mut normalised = vec![1.0_f32; tau_max + 1];
        let mut sum = 0.0_f64;
        for tau in 1..=tau_max {
            let difference: f32 = frame[..window].iter().zip(&frame[tau..tau + window]).map(|(a, b)| (a - b) * (a - b)).sum();
            sum += f64::from(difference);
            if sum > 0.0 {
                normalised[tau] = (f64::from(difference) * tau as f64 / sum) as f32;
            }
        }
        // First dip below the threshold, followed to its bottom, or the deepest (step 4).
        let deepest = || (tau_min..=tau_max).min_by(|a, b| normalised[*a].total_cmp(&normalised[*b])).unwrap_or(tau_min);
        let start = (tau_min..tau_max).find(|&tau| normalised[tau] < self.threshold).unwrap_or_else(deepest);
        let mut tau = start;
        while tau < tau_max && normalised[tau + 1] < normalised[tau] {
            tau += 1;
        }
        if tau == tau_max || tau < 2 || normalised[tau] >= self.voiced_below {
            return Pitch { aperiodicity: normalised[tau], ..unvoiced };
        }
        // Parabola through the bottom and its neighbours (step 5).
        let (a, b, c) = (normalised[tau - 1], normalised[tau], normalised[tau + 1]);
        let curvature = a - 2.0 * b + c;
        let shift = if curvature > 1e-9 { (0.5 * (a - c) / curvature).clamp(-1.0, 1.0) } else { 0.0 };
        Pitch { voiced: true, hz: rate / (tau as f32 + shift), aperiodicity: b.max(0.0) }
    }

    /// Pitch track: one value every `hop` samples over whole frames of [`Yin::FRAME`].
    pub fn track(&self, samples: &[f32], hop: usize) -> Vec<Pitch> {
        samples.windows(Self::FRAME).step_by(hop.max(1)).map(|w| self.pitch(w)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(f: impl Fn(f64) -> f64) -> Vec<f32> {
        (0..Yin::FRAME).map(|i| f(i as f64 / 16_000.0) as f32).collect()
    }

    fn tone(hz: f64) -> Vec<f32> {
        frame(|t| 0.4 * (std::f64::consts::TAU * hz * t).sin())
    }

    #[test]
    fn sine_tones_are_found_within_half_a_percent() {
        for hz in [70.0, 100.0, 123.4, 220.0, 311.1, 440.0, 480.0] {
            let p = Yin::default().pitch(&tone(hz));
            assert!(p.voiced && (f64::from(p.hz) / hz - 1.0).abs() < 0.005, "{hz} Hz -> {p:?}");
        }
    }

    #[test]
    fn a_missing_fundamental_is_still_the_pitch() {
        // Harmonics 2, 3 and 4 of 150 Hz: the period is that of 150 Hz.
        let x = frame(|t| (2..=4).map(|k| 0.2 * (std::f64::consts::TAU * 150.0 * f64::from(k) * t).sin()).sum());
        let p = Yin::default().pitch(&x);
        assert!(p.voiced && (p.hz - 150.0).abs() < 1.0, "{p:?}");
    }

    #[test]
    fn noise_and_silence_have_no_pitch() {
        let mut state = 1_u32;
        let noise = frame(|_| 0.0)
            .into_iter()
            .map(|_: f32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect::<Vec<f32>>();
        assert!(!Yin::default().pitch(&noise).voiced);
        assert!(!Yin::default().pitch(&[0.0; Yin::FRAME]).voiced);
        assert!(!Yin::default().pitch(&[]).voiced);
        assert!(!Yin::default().pitch(&[0.3; 3]).voiced);
    }

    #[test]
    fn a_voice_in_noise_is_still_voiced() {
        let mut state = 3_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 23) - 1.0
        };
        // 5 dB of signal-to-noise ratio: no dip below 0.15.
        let x = frame(|t| (1..=5).map(|k| 0.1 * (std::f64::consts::TAU * 130.0 * f64::from(k) * t).sin()).sum());
        let x: Vec<f32> = x.into_iter().map(|v| v + 0.16 * noise() as f32).collect();
        let p = Yin::default().pitch(&x);
        assert!(p.aperiodicity > 0.15 && p.voiced && (p.hz / 130.0 - 1.0).abs() < 0.02, "{p:?}");
    }

    #[test]
    fn a_chirp_is_followed() {
        // 100 -> 200 Hz in one second: f(t) = 100 + 100 t.
        let x: Vec<f32> = (0..16_000)
            .map(|i| {
                let t = f64::from(i) / 16_000.0;
                (std::f64::consts::TAU * (100.0 * t + 50.0 * t * t)).sin() as f32 * 0.3
            })
            .collect();
        let yin = Yin { threshold: 0.3, ..Yin::default() };
        for (k, p) in yin.track(&x, 1_600).iter().enumerate() {
            let middle = (k as f32 * 1_600.0 + 512.0) / 16_000.0;
            let want = 100.0 + 100.0 * middle;
            assert!(p.voiced && (p.hz / want - 1.0).abs() < 0.05, "frame {k}: {p:?}, want {want}");
        }
    }
}
