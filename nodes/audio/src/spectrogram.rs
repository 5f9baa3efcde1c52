//! The mel spectrogram as people look at it: level in dB over mel bands and time.

use crate::features::{MelBank, MelScale, SAMPLE_RATE, Spectrum};

/// Mel bands from 0 to 8 kHz.
pub const BANDS: usize = 96;
/// Samples of a frame at 16 kHz: 32 ms.
pub const FRAME: usize = 512;
/// Samples between two frames at 16 kHz: 10 ms.
pub const HOP: usize = 160;
/// Levels below this are given as this, dB.
pub const FLOOR_DB: f32 = -100.0;
/// Longer than the frame, so that the lowest bands have bins of their own.
const FFT: usize = 2_048;

/// Computes columns of a mel spectrogram. A band's level is 0 dB for a sine of full scale in the middle of the band.
pub struct MelSpectrogram {
    spectrum: Spectrum,
    bank: MelBank,
    reference: f32,
    /// Sound of the frame that is not complete yet.
    held: Vec<f32>,
}

impl Default for MelSpectrogram {
    fn default() -> Self {
        Self::new()
    }
}

impl MelSpectrogram {
    /// Bands after the HTK book's mel scale.
    pub fn new() -> Self {
        let mut spectrum = Spectrum::new(FRAME, FFT);
        let sine: Vec<f32> = (0..FRAME).map(|i| (std::f32::consts::TAU * 0.125 * i as f32).sin()).collect();
        let reference = spectrum.power(&sine).into_iter().fold(f32::MIN_POSITIVE, f32::max);
        Self { spectrum, bank: MelBank::new(MelScale::Htk, SAMPLE_RATE, FFT, BANDS), reference, held: Vec::new() }
    }

    /// Takes sound of 16 kHz, one channel, and gives the columns that are complete, oldest first: [`BANDS`] levels in dB
    /// from low to high, [`FLOOR_DB`] at least. Column `k` is about the [`FRAME`] samples from sample `k` [`HOP`] on.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Vec<f32>> {
        self.held.extend_from_slice(samples);
        let mut columns = Vec::new();
        let mut from = 0;
        while let Some(frame) = self.held.get(from..from + FRAME) {
            let power = self.spectrum.power(frame);
            // A filter of height 1 adds up the main lobe of the window as well: the peak alone is the tone.
            let peaks = self.bank.apply(&power);
            let lobe = self.reference * FFT as f32 / FRAME as f32 * 1.5;
            columns.push(peaks.into_iter().map(|p| (10.0 * (p / lobe).max(1e-12).log10()).max(FLOOR_DB)).collect());
            from += HOP;
        }
        self.held.drain(..from);
        columns
    }
}

/// The columns of a whole clip, the end filled up with silence; see [`MelSpectrogram::push`].
pub fn mel_spectrogram(samples: &[f32]) -> Vec<Vec<f32>> {
    let mut padded = samples.to_vec();
    padded.resize((samples.len() + FRAME - HOP).max(FRAME), 0.0);
    MelSpectrogram::new().push(&padded)
}

/// The band, counted in fractions from 0 to [`BANDS`], in which a frequency lies (HTK book, section 5.4).
pub fn band_of(hz: f32) -> f32 {
    let mel = |hz: f32| 2595.0 * (1.0 + hz / 700.0).log10();
    let centre = mel(hz) / mel(SAMPLE_RATE as f32 / 2.0) * (BANDS + 1) as f32 - 1.0;
    (centre + 0.5).clamp(0.0, BANDS as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, peak: f32, n: usize) -> Vec<f32> {
        (0..n).map(|i| peak * (std::f32::consts::TAU * hz * i as f32 / 16_000.0).sin()).collect()
    }

    #[test]
    fn a_tone_lies_in_its_band_at_its_level() {
        for (hz, peak, level) in [(440.0, 1.0, 0.0), (1_000.0, 0.1, -20.0), (3_000.0, 0.1, -20.0)] {
            let columns = mel_spectrogram(&tone(hz, peak, 8_000));
            assert_eq!(columns.len(), 50);
            let column = &columns[20];
            let loudest = (0..BANDS).max_by(|a, b| column[*a].total_cmp(&column[*b])).unwrap();
            assert!((loudest as f32 + 0.5 - band_of(hz)).abs() < 1.5, "{hz} Hz in band {loudest}, not {}", band_of(hz));
            assert!((column[loudest] - level).abs() < 4.0, "{hz} Hz: {} dB", column[loudest]);
        }
    }

    #[test]
    fn silence_is_the_floor_and_pieces_give_what_the_whole_gives() {
        assert!(mel_spectrogram(&[0.0; 4_000]).iter().flatten().all(|db| *db == FLOOR_DB));
        assert!(MelSpectrogram::new().push(&[]).is_empty() && mel_spectrogram(&[]).len() <= 1);
        let sound = tone(700.0, 0.3, 5_000);
        let whole = MelSpectrogram::new().push(&sound);
        let mut pieces = MelSpectrogram::new();
        let joined: Vec<_> = sound.chunks(77).flat_map(|piece| pieces.push(piece)).collect();
        assert_eq!(joined, whole);
    }
}
