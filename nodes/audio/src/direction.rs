//! Direction of arrival from two microphones: generalised cross-correlation with phase transform
//! (Knapp and Carter, "The generalized correlation method for estimation of time delay", 1976), whitened by a power less than one
//! so that bins of mere noise count less (PHAT-beta; Donohue, Hannemann and Dietz, "Performance of phase transform for detecting
//! sound sources with microphone arrays in reverberant and noisy environments", 2007), and weighted by how much of each bin is new
//! sound rather than echo of what was heard before (the precedence effect).
//!
//! The array is two microphones on the y axis, channel 0 at the left (+y). A bearing is in rad about z:
//! 0 straight ahead (+x), positive to the left. Two microphones cannot tell front from back: the answer is the
//! one in front, -pi/2..pi/2.

use crate::features::{SAMPLE_RATE, hann, rms};
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Speed of sound in air at 20 degrees C, m/s.
pub const SPEED_OF_SOUND: f64 = 343.2;

/// Where a sound came from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bearing {
    /// Bearing in rad, 0 ahead, positive left.
    pub bearing_rad: f64,
    /// Time by which the right microphone hears it later than the left, s.
    pub delay_s: f64,
    /// Height of the correlation peak, 0..1: 1 for one source without echo or noise.
    pub strength: f64,
}

/// Why no bearing could be computed.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum DirectionError {
    /// The two channels have different lengths.
    #[error("the channels have {left} and {right} samples")]
    Length {
        /// Samples of the left channel.
        left: usize,
        /// Samples of the right channel.
        right: usize,
    },
    /// The number of channels is not that of the microphones.
    #[error("{channels} channels for {microphones} microphones")]
    Channels {
        /// Channels given.
        channels: usize,
        /// Microphones of the array.
        microphones: usize,
    },
    /// Less sound than one analysis frame, or all of it quieter than -80 dBFS.
    #[error("too little sound for a bearing")]
    TooLittle,
}

/// Cross-correlation with phase transform of two microphones at 16 kHz, on fine lags.
pub(crate) struct Correlator {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    window: Vec<f32>,
}

/// The correlation over lags; 1 where one source without echo or noise is.
pub(crate) struct Lags {
    /// On fine lags, the negative ones at the end.
    fine: Vec<f32>,
    /// Weighted cross-spectrum: frequency in rad/s and value.
    spectrum: Vec<(f64, Complex32)>,
}

impl Lags {
    /// Fine lags per second.
    pub(crate) const RATE: f64 = SAMPLE_RATE as f64 * Correlator::FINER as f64;

    /// Where the first microphone hears it `later_s` later than the second, to the nearest fine lag.
    pub(crate) fn near(&self, later_s: f64) -> f64 {
        let lag = (later_s * Self::RATE).round() as i64;
        f64::from(self.fine[lag.rem_euclid(self.fine.len() as i64) as usize])
    }

    /// The same between all lags.
    pub(crate) fn exact(&self, later_s: f64) -> f64 {
        let sum: f64 = self
            .spectrum
            .iter()
            .map(|(omega, c)| {
                let (sine, cosine) = (omega * later_s).sin_cos();
                f64::from(c.re) * cosine - f64::from(c.im) * sine
            })
            .sum();
        sum
    }
}

impl Correlator {
    const FRAME: usize = 512;
    const HOP: usize = 128;
    /// The cross-spectrum is padded by this factor before the inverse transform: finer lags.
    const FINER: usize = 16;
    /// Band that is used, Hz: below, the microphones cannot tell; above, phase is ambiguous noise.
    const BAND_HZ: (f64, f64) = (400.0, 5_000.0);
    /// Whitening: 1 is the phase transform itself, 0 none.
    const BETA: f32 = 0.6;
    /// What rises above this share of the level just heard is new sound, which comes straight; the rest may be echo.
    const ONSET: f32 = 0.9;
    /// How the level just heard fades from frame to frame (8 ms).
    const FADE: f32 = 0.8;
    /// Weight of what is no onset: a steady source has a bearing too.
    const STEADY: f32 = 0.02;

    pub(crate) fn new() -> Self {
        let mut planner = RealFftPlanner::<f32>::new();
        Self {
            forward: planner.plan_fft_forward(Self::FRAME),
            inverse: planner.plan_fft_inverse(Self::FRAME * Self::FINER),
            window: hann(Self::FRAME),
        }
    }

    /// Level and spectrum of the frames of a channel.
    pub(crate) fn frames(&self, channel: &[f32]) -> Vec<(f32, Vec<Complex32>)> {
        let frames = channel.windows(Self::FRAME).step_by(Self::HOP);
        frames.map(|frame| (rms(frame), self.transform(frame).unwrap_or_default())).collect()
    }

    /// Correlation of two channels by the spectra of their frames.
    ///
    /// # Errors
    /// [`DirectionError::TooLittle`].
    pub(crate) fn lags(&self, first: &[(f32, Vec<Complex32>)], second: &[(f32, Vec<Complex32>)]) -> Result<Lags, DirectionError> {
        let bin_hz = f64::from(SAMPLE_RATE) / Self::FRAME as f64;
        let (low, high) = ((Self::BAND_HZ.0 / bin_hz).ceil() as usize, (Self::BAND_HZ.1 / bin_hz) as usize);
        let size = Self::FRAME * Self::FINER;
        let mut spectrum = vec![Complex32::default(); size / 2 + 1];
        let mut heard = vec![0.0_f32; high + 1];
        let mut total = 0.0_f32;
        for ((level_a, a), (level_b, b)) in first.iter().zip(second) {
            let silent = level_a.min(*level_b) < 1e-4;
            for bin in low..=high {
                let (Some(x), Some(y)) = (a.get(bin), b.get(bin)) else { continue };
                let product = x * y.conj();
                let magnitude = product.norm();
                let level = magnitude.sqrt();
                let before = heard[bin];
                heard[bin] = level.max(Self::FADE * before);
                if silent || magnitude <= 1e-12 {
                    continue;
                }
                let onset = ((level - Self::ONSET * before) / level).max(Self::STEADY);
                let weight = magnitude.powf(1.0 - Self::BETA) * onset;
                spectrum[bin] += product / magnitude * weight;
                total += weight;
            }
        }
        if total <= 0.0 {
            return Err(DirectionError::TooLittle);
        }
        spectrum.iter_mut().for_each(|c| *c /= total);
        let omega = |bin: usize| std::f64::consts::TAU * bin as f64 * bin_hz;
        let band = (low..=high).map(|bin| (omega(bin), spectrum[bin])).collect();
        let mut fine = vec![0.0_f32; size];
        if self.inverse.process(&mut spectrum, &mut fine).is_err() {
            return Err(DirectionError::TooLittle);
        }
        fine.iter_mut().for_each(|v| *v /= 2.0);
        Ok(Lags { fine, spectrum: band })
    }

    fn transform(&self, frame: &[f32]) -> Option<Vec<Complex32>> {
        let mut input: Vec<f32> = frame.iter().zip(&self.window).map(|(s, w)| s * w).collect();
        let mut output = self.forward.make_output_vec();
        self.forward.process(&mut input, &mut output).ok()?;
        Some(output)
    }
}

/// GCC-PHAT for a pair of microphones at 16 kHz.
pub struct DirectionFinder {
    spacing_m: f64,
    correlator: Correlator,
}

impl DirectionFinder {
    /// A finder for microphones `spacing_m` apart (m, above 0).
    pub fn new(spacing_m: f64) -> Self {
        Self { spacing_m: spacing_m.abs().max(1e-3), correlator: Correlator::new() }
    }

    /// Bearing of the strongest source in a piece of two-channel sound (each `[n]`, 16 kHz).
    ///
    /// # Errors
    /// [`DirectionError`].
    pub fn bearing(&self, left: &[f32], right: &[f32]) -> Result<Bearing, DirectionError> {
        if left.len() != right.len() {
            return Err(DirectionError::Length { left: left.len(), right: right.len() });
        }
        let lags = self.correlator.lags(&self.correlator.frames(left), &self.correlator.frames(right))?;
        let limit_s = self.spacing_m / SPEED_OF_SOUND;
        let limit = (limit_s * Lags::RATE).floor() as i64;
        let mut best = (f64::NEG_INFINITY, 0.0);
        for lag in -limit..=limit {
            let later_s = lag as f64 / Lags::RATE;
            if lags.near(later_s) > best.0 {
                best = (lags.near(later_s), later_s);
            }
        }
        best.0 = lags.exact(best.1);
        // Ever finer around the best.
        let mut width = 1.0 / Lags::RATE;
        for _ in 0..6 {
            for later_s in [best.1 - width, best.1 + width].map(|t| t.clamp(-limit_s, limit_s)) {
                let height = lags.exact(later_s);
                if height > best.0 {
                    best = (height, later_s);
                }
            }
            width /= 2.0;
        }
        // The left channel is the first: right later is negative.
        let delay_s = -best.1;
        let sine = (delay_s / limit_s).clamp(-1.0, 1.0);
        Ok(Bearing { bearing_rad: sine.asin(), delay_s, strength: best.0.clamp(0.0, 1.0) })
    }
}

/// Sum of both microphones with the delay of [`Bearing`] taken out to the nearest sample: the source adds up, noise from
/// elsewhere does not, and no frequency is cancelled. `[n]`, `[n]` -> `[n]`.
pub fn delay_and_sum(left: &[f32], right: &[f32], delay_s: f64) -> Vec<f32> {
    let shift = (delay_s * f64::from(SAMPLE_RATE)).round() as i64;
    (0..left.len())
        .map(|i| {
            let j = i as i64 + shift;
            let other = usize::try_from(j).ok().and_then(|j| right.get(j)).copied();
            0.5 * (left[i] + other.unwrap_or(left[i]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Band-limited noise from `bearing`, heard by two microphones 0.10 m apart: a sum of sines with exact delays.
    fn heard_from(bearing: f64, noise: f32) -> (Vec<f32>, Vec<f32>) {
        let delay = 0.10 * bearing.sin() / SPEED_OF_SOUND;
        let mut state = 7_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        };
        let parts: Vec<(f64, f64)> = (0..120).map(|_| (200.0 + 4_500.0 * random(), std::f64::consts::TAU * random())).collect();
        let mut sound = |lead: f64| -> Vec<f32> {
            (0..4_096)
                .map(|i| {
                    let t = f64::from(i) / 16_000.0 + lead;
                    let s: f64 = parts.iter().map(|(f, p)| (std::f64::consts::TAU * f * t + p).sin()).sum();
                    s as f32 * 0.01 + noise * (random() as f32 - 0.5)
                })
                .collect()
        };
        // A source at the left reaches the left microphone earlier by `delay`.
        (sound(delay / 2.0), sound(-delay / 2.0))
    }

    #[test]
    fn the_bearing_of_a_source_is_found_within_two_degrees() {
        let finder = DirectionFinder::new(0.10);
        for degrees in [-70.0_f64, -45.0, -20.0, 0.0, 10.0, 30.0, 60.0] {
            let (left, right) = heard_from(degrees.to_radians(), 0.0);
            let b = finder.bearing(&left, &right).unwrap();
            let error = b.bearing_rad.to_degrees() - degrees;
            assert!(error.abs() < 2.0, "{degrees}: {b:?}");
            assert!(b.strength > 0.5, "{b:?}");
        }
    }

    #[test]
    fn delay_and_sum_keeps_a_source_at_the_side() {
        let (left, right) = heard_from(1.3, 0.0);
        let b = DirectionFinder::new(0.10).bearing(&left, &right).unwrap();
        let aligned = delay_and_sum(&left, &right, b.delay_s);
        let plain: Vec<f32> = left.iter().zip(&right).map(|(l, r)| 0.5 * (l + r)).collect();
        assert!(rms(&aligned) > 0.95 * rms(&left));
        assert!(rms(&plain) < 0.9 * rms(&left));
    }

    #[test]
    fn noise_widens_the_error_but_not_beyond_ten_degrees() {
        let finder = DirectionFinder::new(0.10);
        let (left, right) = heard_from(0.6, 0.1);
        let b = finder.bearing(&left, &right).unwrap();
        assert!((b.bearing_rad - 0.6).abs() < 0.17, "{b:?}");
    }

    #[test]
    fn independent_noise_has_a_weak_peak() {
        let finder = DirectionFinder::new(0.10);
        let (left, _) = heard_from(0.0, 0.0);
        let right: Vec<f32> = left.iter().rev().copied().collect();
        assert!(finder.bearing(&left, &right).unwrap().strength < 0.4);
    }

    #[test]
    fn silence_short_and_uneven_input_are_errors() {
        let finder = DirectionFinder::new(0.10);
        assert_eq!(finder.bearing(&[0.0; 4_096], &[0.0; 4_096]), Err(DirectionError::TooLittle));
        assert_eq!(finder.bearing(&[0.1; 10], &[0.1; 10]), Err(DirectionError::TooLittle));
        assert!(matches!(finder.bearing(&[0.1; 10], &[0.1; 11]), Err(DirectionError::Length { .. })));
    }
}
