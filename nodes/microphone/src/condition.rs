//! Checking and cleaning of raw sound: format, values that are no numbers, clipping, constant offset, gain.

/// What a chunk must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Samples per second and channel, Hz.
    pub sample_rate: u32,
    /// Interleaved channels.
    pub channels: u16,
}

/// Why a chunk is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// No samples.
    #[error("the chunk is empty")]
    Empty,
    /// A rate outside 8 kHz..192 kHz.
    #[error("sample rate {0} Hz is outside 8000..192000 Hz")]
    Rate(u32),
    /// No channels, or more than 16.
    #[error("{0} channels are outside 1..16")]
    Channels(u16),
    /// The samples do not fill whole frames.
    #[error("{samples} samples do not make whole frames of {channels} channels")]
    Frames {
        /// Samples in the chunk.
        samples: usize,
        /// Channels said.
        channels: u16,
    },
    /// More than one sample in ten is no number: the source is broken.
    #[error("{bad} of {samples} samples are not finite")]
    NotFinite {
        /// Samples that are no number.
        bad: usize,
        /// All samples.
        samples: usize,
    },
}

/// What was seen in a chunk that was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    /// Samples that were no numbers; each is replaced by the one before it in its channel.
    pub not_finite: usize,
    /// Share of samples at or beyond full scale before the gain, 0..1.
    pub clipped_share: f32,
    /// Share of samples that the gain drove beyond full scale, 0..1.
    pub overdriven_share: f32,
}

/// Level at which a sample counts as clipped.
const FULL_SCALE: f32 = 0.999;
/// Corner frequency of the filter that removes a constant offset, Hz.
const DC_CORNER_HZ: f32 = 20.0;

/// Cleans a stream of one format; keeps the filter's state between chunks.
#[derive(Debug, Clone)]
pub struct Conditioner {
    format: Format,
    gain: f32,
    /// Per channel: last input and last output of the filter.
    state: Vec<(f32, f32)>,
    pole: f32,
}

/// Checks rate, channels and frames.
///
/// # Errors
/// [`ChunkError`] except `NotFinite`.
pub fn check_format(sample_rate: u32, channels: u16, samples: usize) -> Result<Format, ChunkError> {
    if samples == 0 {
        return Err(ChunkError::Empty);
    }
    if !(8_000..=192_000).contains(&sample_rate) {
        return Err(ChunkError::Rate(sample_rate));
    }
    if !(1..=16).contains(&channels) {
        return Err(ChunkError::Channels(channels));
    }
    if !samples.is_multiple_of(usize::from(channels)) {
        return Err(ChunkError::Frames { samples, channels });
    }
    Ok(Format { sample_rate, channels })
}

impl Conditioner {
    /// A conditioner for a format, with a gain in dB.
    pub fn new(format: Format, gain_db: f64) -> Self {
        Self {
            format,
            gain: 10.0_f64.powf(gain_db / 20.0) as f32,
            state: vec![(0.0, 0.0); usize::from(format.channels)],
            pole: (-std::f32::consts::TAU * DC_CORNER_HZ / format.sample_rate as f32).exp(),
        }
    }

    /// The format it was made for.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Sets another gain, dB.
    pub fn set_gain_db(&mut self, gain_db: f64) {
        self.gain = 10.0_f64.powf(gain_db / 20.0) as f32;
    }

    /// Cleans interleaved samples in place: numbers only, no constant offset (one-pole high-pass at 20 Hz), gain, within
    /// -1..1.
    ///
    /// # Errors
    /// [`ChunkError::NotFinite`] if more than a tenth is no number; the state is then left as it was.
    pub fn process(&mut self, samples: &mut [f32]) -> Result<Report, ChunkError> {
        let not_finite = samples.iter().filter(|s| !s.is_finite()).count();
        if not_finite * 10 > samples.len() {
            return Err(ChunkError::NotFinite { bad: not_finite, samples: samples.len() });
        }
        let (mut clipped, mut overdriven) = (0, 0);
        let channels = self.state.len();
        let pole = self.pole;
        for (i, sample) in samples.iter_mut().enumerate() {
            let (last_in, last_out) = &mut self.state[i % channels];
            let x = if sample.is_finite() { *sample } else { *last_in };
            clipped += usize::from(x.abs() >= FULL_SCALE);
            let y = 0.5 * (1.0 + pole) * (x - *last_in) + pole * *last_out;
            (*last_in, *last_out) = (x, y);
            let amplified = y * self.gain;
            overdriven += usize::from(amplified.abs() > 1.0);
            *sample = amplified.clamp(-1.0, 1.0);
        }
        let share = |n: usize| n as f32 / samples.len().max(1) as f32;
        Ok(Report { not_finite, clipped_share: share(clipped), overdriven_share: share(overdriven) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONO: Format = Format { sample_rate: 16_000, channels: 1 };

    fn tone(hz: f32, offset: f32, n: usize) -> Vec<f32> {
        (0..n).map(|i| offset + 0.2 * (std::f32::consts::TAU * hz * i as f32 / 16_000.0).sin()).collect()
    }

    fn mean_and_rms(x: &[f32]) -> (f32, f32) {
        let n = x.len() as f32;
        (x.iter().sum::<f32>() / n, (x.iter().map(|v| v * v).sum::<f32>() / n).sqrt())
    }

    #[test]
    fn the_offset_goes_and_the_tone_stays() {
        let mut x = tone(440.0, 0.3, 32_000);
        Conditioner::new(MONO, 0.0).process(&mut x).unwrap();
        let (mean, rms) = mean_and_rms(&x[16_000..]);
        assert!(mean.abs() < 1e-3, "{mean}");
        assert!((rms - 0.2 / 2.0_f32.sqrt()).abs() < 2e-3, "{rms}");
    }

    #[test]
    fn chunks_give_the_same_as_the_whole() {
        let whole = {
            let mut x = tone(300.0, 0.1, 3_200);
            Conditioner::new(MONO, 3.0).process(&mut x).unwrap();
            x
        };
        let mut conditioner = Conditioner::new(MONO, 3.0);
        let mut parts = tone(300.0, 0.1, 3_200);
        for chunk in parts.chunks_mut(320) {
            conditioner.process(chunk).unwrap();
        }
        assert_eq!(whole, parts);
    }

    #[test]
    fn six_decibels_double_and_never_leave_full_scale() {
        let mut x = tone(440.0, 0.0, 16_000);
        let report = Conditioner::new(MONO, 20.0 * 2.0_f64.log10()).process(&mut x).unwrap();
        assert!((mean_and_rms(&x[8_000..]).1 - 0.4 / 2.0_f32.sqrt()).abs() < 2e-3);
        assert_eq!(report.overdriven_share, 0.0);
        let mut x = tone(440.0, 0.0, 16_000);
        let report = Conditioner::new(MONO, 30.0).process(&mut x).unwrap();
        assert!(report.overdriven_share > 0.5 && x.iter().all(|s| s.abs() <= 1.0));
    }

    #[test]
    fn clipping_is_seen_and_a_few_bad_samples_are_bridged() {
        let mut x = vec![0.5; 100];
        x[10] = f32::NAN;
        x[20] = 1.0;
        x[21] = -1.0;
        let report = Conditioner::new(MONO, 0.0).process(&mut x).unwrap();
        assert_eq!((report.not_finite, report.clipped_share), (1, 0.02));
        assert!(x.iter().all(|s| s.is_finite()));
    }

    #[test]
    fn broken_chunks_are_refused() {
        let mut x = vec![f32::INFINITY; 10];
        assert!(matches!(Conditioner::new(MONO, 0.0).process(&mut x), Err(ChunkError::NotFinite { bad: 10, .. })));
        assert_eq!(check_format(16_000, 2, 0), Err(ChunkError::Empty));
        assert_eq!(check_format(100, 2, 4), Err(ChunkError::Rate(100)));
        assert_eq!(check_format(16_000, 0, 4), Err(ChunkError::Channels(0)));
        assert_eq!(check_format(16_000, 2, 5), Err(ChunkError::Frames { samples: 5, channels: 2 }));
    }
}
