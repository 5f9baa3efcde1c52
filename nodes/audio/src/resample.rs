//! Sample rate conversion (rubato's FFT resampler: fixed ratio, anti-aliased).

use rubato::audioadapter_buffers::owned::InterleavedOwned;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

/// Why a conversion was refused.
#[derive(Debug, thiserror::Error)]
pub enum ResampleError {
    /// A rate outside 1 kHz..384 kHz.
    #[error("sample rate {0} Hz is outside 1000..384000 Hz")]
    Rate(u32),
    /// The number of samples is no multiple of the channels, or there are no channels.
    #[error("{samples} samples do not make whole frames of {channels} channels")]
    Frames {
        /// Samples given.
        samples: usize,
        /// Channels said.
        channels: u16,
    },
    /// The resampler refused; its own words.
    #[error("resampler: {0}")]
    Backend(String),
}

fn check_rate(rate: u32) -> Result<usize, ResampleError> {
    if (1_000..=384_000).contains(&rate) { Ok(rate as usize) } else { Err(ResampleError::Rate(rate)) }
}

fn backend(error: impl std::fmt::Display) -> ResampleError {
    ResampleError::Backend(error.to_string())
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Converts a whole interleaved clip from one rate (Hz) to another; the filter's delay is taken out.
/// The result has `ceil(frames * to / from)` frames. Equal rates give the input back.
pub fn resample(samples: &[f32], channels: u16, from: u32, to: u32) -> Result<Vec<f32>, ResampleError> {
    let (rate_in, rate_out) = (check_rate(from)?, check_rate(to)?);
    let width = usize::from(channels);
    if width == 0 || !samples.len().is_multiple_of(width) {
        return Err(ResampleError::Frames { samples: samples.len(), channels });
    }
    if from == to || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let frames = samples.len() / width;
    // One block of an even number of frames: the filter's delay, half a block, is then whole and can be taken out.
    let unit = 2 * rate_in / greatest_common_divisor(rate_in, rate_out);
    let block = unit * 1024_usize.div_ceil(unit);
    let mut resampler =
        Fft::<f32>::new_custom(rate_in, rate_out, block, 1, width, WindowFunction::BlackmanHarris2, FixedSync::Input)
            .map_err(backend)?;
    let input = InterleavedOwned::new_from(samples.to_vec(), width, frames).map_err(backend)?;
    let room = resampler.process_all_needed_output_len(frames);
    let mut output = InterleavedOwned::<f32>::new(0.0, width, room);
    let (_, produced) = resampler.process_all_into_buffer(&input, &mut output, frames, None).map_err(backend)?;
    let mut samples = output.take_data();
    samples.truncate(produced * width);
    Ok(samples)
}

/// Converts a stream chunk by chunk, keeping the filter's state between chunks. Adds the filter's delay (a few ms).
pub struct StreamResampler {
    inner: Option<Fft<f32>>,
    channels: usize,
    pending: Vec<f32>,
}

impl StreamResampler {
    /// A converter for interleaved `channels` from one rate (Hz) to another; equal rates pass through untouched.
    pub fn new(channels: u16, from: u32, to: u32) -> Result<Self, ResampleError> {
        let (rate_in, rate_out) = (check_rate(from)?, check_rate(to)?);
        let width = usize::from(channels);
        if width == 0 {
            return Err(ResampleError::Frames { samples: 0, channels });
        }
        let inner = if from == to {
            None
        } else {
            // 10 ms blocks: short delay, and a multiple of the block for all customary rates.
            Some(Fft::<f32>::new(rate_in, rate_out, rate_in / 100, width, FixedSync::Input).map_err(backend)?)
        };
        Ok(Self { inner, channels: width, pending: Vec::new() })
    }

    /// Takes interleaved samples, gives back what can be computed so far.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>, ResampleError> {
        if !samples.len().is_multiple_of(self.channels) {
            return Err(ResampleError::Frames { samples: samples.len(), channels: self.channels as u16 });
        }
        let Some(inner) = &mut self.inner else { return Ok(samples.to_vec()) };
        self.pending.extend_from_slice(samples);
        let mut out = Vec::new();
        loop {
            let frames = inner.input_frames_next();
            let need = frames * self.channels;
            if self.pending.len() < need {
                return Ok(out);
            }
            let rest = self.pending.split_off(need);
            let block = std::mem::replace(&mut self.pending, rest);
            let input = InterleavedOwned::new_from(block, self.channels, frames).map_err(backend)?;
            out.extend(inner.process(&input, None).map_err(backend)?.take_data());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f64, seconds: f64) -> Vec<f32> {
        let n = (f64::from(rate) * seconds) as usize;
        (0..n).map(|i| (std::f64::consts::TAU * hz * i as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
    }

    fn rms(x: &[f32]) -> f32 {
        (x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32).sqrt()
    }

    #[test]
    fn a_tone_keeps_its_frequency_amplitude_and_phase() {
        for from in [8_000, 22_050, 44_100, 48_000] {
            let out = resample(&tone(from, 440.0, 0.5), 1, from, 16_000).unwrap();
            let want = tone(16_000, 440.0, 0.5);
            assert!(out.len().abs_diff(want.len()) <= 1, "{from}: {} frames", out.len());
            // The ends see the filter run in and out.
            let error: Vec<f32> = (800..7_200).map(|i| out[i] - want[i]).collect();
            assert!(rms(&error) < 0.01, "{from} Hz: error {}", rms(&error));
        }
    }

    #[test]
    fn what_lies_above_the_new_nyquist_is_gone() {
        let out = resample(&tone(48_000, 11_000.0, 0.5), 1, 48_000, 16_000).unwrap();
        assert!(rms(&out[800..7_200]) < 0.001);
    }

    #[test]
    fn a_stream_gives_the_same_number_of_frames_whatever_the_chunks() {
        let input: Vec<f32> = tone(48_000, 300.0, 1.0).into_iter().flat_map(|v| [v, -v]).collect();
        let mut total = Vec::new();
        for chunk in [700_usize, 960, 4_000] {
            let mut stream = StreamResampler::new(2, 48_000, 16_000).unwrap();
            let mut out = Vec::new();
            for part in input.chunks(chunk * 2) {
                out.extend(stream.push(part).unwrap());
            }
            for frame in out.chunks_exact(2) {
                assert!((frame[0] + frame[1]).abs() < 1e-5);
            }
            total.push(out.len() / 2);
        }
        assert!(total.iter().all(|n| n.abs_diff(16_000) <= 200), "{total:?}");
        assert_eq!(total[0], total[1]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(resample(&[0.0; 4], 1, 0, 16_000), Err(ResampleError::Rate(0))));
        assert!(matches!(resample(&[0.0; 3], 2, 8_000, 16_000), Err(ResampleError::Frames { .. })));
        assert!(matches!(StreamResampler::new(0, 8_000, 16_000), Err(ResampleError::Frames { .. })));
        assert_eq!(resample(&[], 1, 8_000, 16_000).unwrap(), Vec::<f32>::new());
    }
}
