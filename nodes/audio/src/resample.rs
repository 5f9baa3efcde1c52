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

/// Converts a stream chunk by chunk, keeping the filter's state between chunks: whatever the chunks, the same samples come
/// out. The filter is a windowed sinc (Blackman-Harris squared) in blocks of 10 ms; what lies above the lower of the two Nyquist
/// frequencies is below -60 dB. Adds a delay of half a block ([`StreamResampler::delay_s`]).
pub struct StreamResampler {
    inner: Option<Fft<f32>>,
    channels: usize,
    rates: (usize, usize),
    pending: Vec<f32>,
    /// Frames taken and given.
    frames: (u64, u64),
}

impl StreamResampler {
    /// A converter for interleaved `channels` from one rate (Hz) to another; equal rates pass through untouched.
    ///
    /// # Errors
    /// [`ResampleError::Rate`]; [`ResampleError::Frames`] for no channels.
    pub fn new(channels: u16, from: u32, to: u32) -> Result<Self, ResampleError> {
        let rates = (check_rate(from)?, check_rate(to)?);
        let width = usize::from(channels);
        if width == 0 {
            return Err(ResampleError::Frames { samples: 0, channels });
        }
        let inner = if from == to {
            None
        } else {
            // 10 ms blocks: short delay, and a multiple of the block for all customary rates.
            Some(Fft::<f32>::new(rates.0, rates.1, rates.0 / 100, width, FixedSync::Input).map_err(backend)?)
        };
        Ok(Self { inner, channels: width, rates, pending: Vec::new(), frames: (0, 0) })
    }

    /// By how much the output lags behind the input, s (beside what is not computed yet).
    pub fn delay_s(&self) -> f64 {
        // The sinc's middle is at half a block, rounded down.
        self.inner.as_ref().map_or(0.0, |r| (r.fft_size_in() / 2) as f64 / self.rates.0 as f64)
    }

    /// Takes interleaved samples, gives back what can be computed so far.
    ///
    /// # Errors
    /// [`ResampleError::Frames`] if the samples do not fill whole frames; they are not taken then.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>, ResampleError> {
        if !samples.len().is_multiple_of(self.channels) {
            return Err(ResampleError::Frames { samples: samples.len(), channels: self.channels as u16 });
        }
        self.frames.0 += (samples.len() / self.channels) as u64;
        let Some(inner) = &mut self.inner else { return Ok(samples.to_vec()) };
        self.pending.extend_from_slice(samples);
        let mut out = Vec::new();
        let mut used = 0;
        loop {
            let frames = inner.input_frames_next();
            let end = used + frames * self.channels;
            let Some(block) = self.pending.get(used..end) else { break };
            let input = InterleavedOwned::new_from(block.to_vec(), self.channels, frames).map_err(backend)?;
            out.extend(inner.process(&input, None).map_err(backend)?.take_data());
            used = end;
        }
        self.pending.drain(..used);
        self.frames.1 += (out.len() / self.channels) as u64;
        Ok(out)
    }

    /// Ends the stream: gives what is still inside. All output together then has `ceil(frames * to / from)` frames and the delay.
    ///
    /// # Errors
    /// [`ResampleError::Backend`].
    pub fn finish(mut self) -> Result<Vec<f32>, ResampleError> {
        let Some(delay) = self.inner.as_ref().map(|r| r.output_delay() as u64) else { return Ok(Vec::new()) };
        let want = (self.frames.0 * self.rates.1 as u64).div_ceil(self.rates.0 as u64) + delay;
        let mut out = Vec::new();
        while self.frames.1 < want {
            // Silence pushes out what is left.
            let more = self.push(&vec![0.0; (self.rates.0 / 100).max(1) * self.channels])?;
            out.extend(more);
        }
        let surplus = (self.frames.1 - want) as usize * self.channels;
        out.truncate(out.len().saturating_sub(surplus));
        Ok(out)
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

    /// All rates that sound cards and files come with.
    const RATES: [u32; 6] = [8_000, 11_025, 22_050, 44_100, 48_000, 96_000];

    /// A tone through the stream at 16 kHz, without the first and last 50 ms.
    fn streamed(from: u32, hz: f64) -> Vec<f32> {
        let mut stream = StreamResampler::new(1, from, 16_000).unwrap();
        let out = stream.push(&tone(from, hz, 0.6)).unwrap();
        out[800..out.len() - 800].to_vec()
    }

    /// Level of one frequency in a 16 kHz signal relative to a sine of amplitude 0.5, dB (Goertzel, Hann window).
    fn level_db(x: &[f32], hz: f64) -> f64 {
        let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
        for (i, v) in x.iter().enumerate() {
            let w = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / x.len() as f64).cos();
            let angle = std::f64::consts::TAU * hz * i as f64 / 16_000.0;
            re += w * f64::from(*v) * angle.cos();
            im += w * f64::from(*v) * angle.sin();
            sum += w;
        }
        20.0 * (re.hypot(im) / sum / 0.25).max(1e-12).log10()
    }

    #[test]
    fn tones_above_the_new_nyquist_are_60_db_down_at_every_rate() {
        let reference = 0.5 / 2.0_f32.sqrt();
        for from in RATES {
            for hz in [8_050.0, 8_500.0, 9_000.0, 11_000.0, 15_900.0, 16_100.0, 20_000.0, 23_900.0, 31_000.0, 47_000.0] {
                if hz < f64::from(from) / 2.0 {
                    let left = 20.0 * (rms(&streamed(from, hz)) / reference).log10();
                    assert!(left < -60.0, "{hz} Hz at {from} Hz: {left:.1} dB");
                    let whole = resample(&tone(from, hz, 0.6), 1, from, 16_000).unwrap();
                    let left = 20.0 * (rms(&whole[800..8_800]) / reference).log10();
                    assert!(left < -60.0, "{hz} Hz at {from} Hz as a whole: {left:.1} dB");
                }
            }
        }
    }

    #[test]
    fn tones_of_speech_pass_and_leave_no_image() {
        for from in RATES {
            let nyquist = f64::from(from.min(16_000)) / 2.0;
            for hz in [100.0, 440.0, 1_000.0, 2_500.0, 4_000.0, 6_500.0].into_iter().filter(|hz| *hz < 0.8 * nyquist) {
                let out = streamed(from, hz);
                let level = level_db(&out, hz);
                assert!(level.abs() < 0.1, "{hz} Hz at {from} Hz: {level:.2} dB");
                let image = f64::from(from) - hz;
                if image < 8_000.0 {
                    assert!(level_db(&out, image) < -60.0, "{hz} Hz at {from} Hz: image {:.1} dB", level_db(&out, image));
                }
            }
        }
    }

    #[test]
    fn whatever_the_chunks_the_samples_are_the_same() {
        for from in RATES {
            let input: Vec<f32> =
                tone(from, 333.0, 0.4).into_iter().zip(tone(from, 700.0, 0.4)).flat_map(|(a, b)| [a, b]).collect();
            let run = |chunk: usize| {
                let mut stream = StreamResampler::new(2, from, 16_000).unwrap();
                let mut out = Vec::new();
                for part in input.chunks(chunk * 2) {
                    out.extend(stream.push(part).unwrap());
                }
                let delay = stream.delay_s() * 16_000.0;
                out.extend(stream.finish().unwrap());
                (out, delay)
            };
            let (whole, delay) = run(input.len());
            for chunk in [1, 7, 160, 999, 4_096] {
                assert_eq!(run(chunk).0, whole, "{from} Hz in chunks of {chunk}");
            }
            let frames = (input.len() as u64 / 2 * 16_000).div_ceil(u64::from(from)) as usize;
            assert_eq!(whole.len() / 2, frames + delay.ceil() as usize, "{from} Hz");
            // After the delay it is the tone, in both channels.
            for (c, hz) in [(0, 333.0), (1, 700.0)] {
                let want = |i: usize| 0.5 * (std::f64::consts::TAU * hz * (i as f64 - delay) / 16_000.0).sin();
                let error: Vec<f32> = (800..frames - 800).map(|i| whole[2 * i + c] - want(i) as f32).collect();
                assert!(rms(&error) < 0.002, "{from} Hz, channel {c}: {}", rms(&error));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(resample(&[0.0; 4], 1, 0, 16_000), Err(ResampleError::Rate(0))));
        assert!(matches!(resample(&[0.0; 3], 2, 8_000, 16_000), Err(ResampleError::Frames { .. })));
        assert!(matches!(StreamResampler::new(0, 8_000, 16_000), Err(ResampleError::Frames { .. })));
        assert_eq!(resample(&[], 1, 8_000, 16_000).unwrap(), Vec::<f32>::new());
    }
}
