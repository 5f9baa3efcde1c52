//! Noise suppression by RNNoise (Valin, "A Hybrid DSP/Deep Learning Approach to Real-Time Full-Band Speech Enhancement", 2018)
//! in its port nnnoiseless (BSD-3-Clause), which works on 10 ms at 48 kHz: 16 kHz sound goes up and comes down again.

use crate::features::SAMPLE_RATE;
use crate::resample::{ResampleError, StreamResampler};
use nnnoiseless::DenoiseState;

/// Rate of the network, Hz.
const RATE: u32 = 48_000;
/// The network takes samples on the scale of 16-bit integers.
const SCALE: f32 = 32_768.0;

/// Streaming noise suppression of 16 kHz mono.
pub struct Denoiser {
    up: StreamResampler,
    down: StreamResampler,
    state: Box<DenoiseState<'static>>,
    /// Samples at 48 kHz that fill no frame yet.
    pending: Vec<f32>,
}

impl Denoiser {
    /// A suppressor that has heard nothing.
    ///
    /// # Errors
    /// [`ResampleError`], which these rates do not give.
    pub fn new() -> Result<Self, ResampleError> {
        Ok(Self {
            up: StreamResampler::new(1, SAMPLE_RATE, RATE)?,
            down: StreamResampler::new(1, RATE, SAMPLE_RATE)?,
            state: DenoiseState::new(),
            pending: Vec::with_capacity(2 * DenoiseState::FRAME_SIZE),
        })
    }

    /// By how much the output lags behind the input, s: both resamplers and one frame of the network.
    pub fn delay_s(&self) -> f64 {
        self.up.delay_s() + self.down.delay_s() + DenoiseState::FRAME_SIZE as f64 / f64::from(RATE)
    }

    /// Takes samples, gives what is ready of the cleaned sound.
    ///
    /// # Errors
    /// [`ResampleError::Backend`].
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>, ResampleError> {
        let finite: Vec<f32> = samples.iter().map(|s| if s.is_finite() { s.clamp(-1.0, 1.0) * SCALE } else { 0.0 }).collect();
        self.pending.extend(self.up.push(&finite)?);
        let whole = self.pending.len() / DenoiseState::FRAME_SIZE * DenoiseState::FRAME_SIZE;
        let mut cleaned = vec![0.0; whole];
        for (input, output) in
            self.pending.chunks_exact(DenoiseState::FRAME_SIZE).zip(cleaned.chunks_exact_mut(DenoiseState::FRAME_SIZE))
        {
            self.state.process_frame(output, input);
        }
        self.pending.drain(..whole);
        Ok(self.down.push(&cleaned)?.into_iter().map(|s| s / SCALE).collect())
    }
}

/// Suppresses the noise of a whole piece of 16 kHz mono; the result has as many samples, and no delay.
///
/// # Errors
/// [`ResampleError::Backend`].
pub fn denoise(samples: &[f32]) -> Result<Vec<f32>, ResampleError> {
    let mut denoiser = Denoiser::new()?;
    let delay = (denoiser.delay_s() * f64::from(SAMPLE_RATE)).round() as usize;
    let mut out = denoiser.push(samples)?;
    while out.len() < samples.len() + delay {
        out.extend(denoiser.push(&[0.0; SAMPLE_RATE as usize / 100])?);
    }
    out.drain(..delay);
    out.truncate(samples.len());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::rms;

    fn noise(n: usize, level: f32) -> Vec<f32> {
        let mut state = 5_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * level
        };
        (0..n).map(|_| next()).collect()
    }

    /// Harmonics of 140 Hz in syllables: sound that the network takes for voice.
    fn voice(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| {
                let t = i as f32 / SAMPLE_RATE as f32;
                let syllable = (0.5 - 0.5 * (std::f32::consts::TAU * 3.0 * t).cos()).powi(2);
                let tone: f32 = (1..20).map(|k| (std::f32::consts::TAU * 140.0 * k as f32 * t).sin() / k as f32).sum();
                0.15 * syllable * tone
            })
            .collect()
    }

    #[test]
    fn steady_noise_is_pressed_down_and_voice_stays_in_place() {
        let quiet = denoise(&noise(32_000, 0.05)).unwrap();
        assert!(rms(&quiet[16_000..]) < 0.2 * rms(&noise(32_000, 0.05)), "{}", rms(&quiet[16_000..]));
        let clean = voice(48_000);
        let out = denoise(&clean).unwrap();
        assert_eq!(out.len(), clean.len());
        // In time to the sample: the correlation with the input is highest without a shift.
        let correlation = |shift: usize| (16_000..46_000).map(|i| clean[i] * out[i + shift - 8]).sum::<f32>();
        let best = (0..17).max_by(|a, b| correlation(*a).total_cmp(&correlation(*b))).unwrap();
        assert!(best.abs_diff(8) <= 1, "{best}");
        assert!(rms(&out[16_000..]) > 0.7 * rms(&clean[16_000..]));
    }

    #[test]
    fn silence_bad_numbers_and_odd_chunks_are_harmless() {
        assert_eq!(denoise(&[]).unwrap(), Vec::<f32>::new());
        assert!(denoise(&[0.0; 1_000]).unwrap().iter().all(|s| s.abs() < 1e-3));
        assert!(denoise(&[f32::NAN; 1_000]).unwrap().iter().all(|s| s.is_finite()));
        let input = noise(8_000, 0.1);
        let run = |chunk: usize| {
            let mut denoiser = Denoiser::new().unwrap();
            input.chunks(chunk).flat_map(|c| denoiser.push(c).unwrap()).collect::<Vec<f32>>()
        };
        assert_eq!(run(8_000), run(37));
    }
}
