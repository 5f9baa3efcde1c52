//! Whisper's input: the log-mel spectrogram of 30 s of sound.

use crate::features::{MelBank, MelScale, SAMPLE_RATE, Spectrum};
use ndarray::Array3;

/// Seconds that the network looks at.
pub const WINDOW_S: usize = 30;
/// Frames of them, one every 10 ms.
pub const FRAMES: usize = WINDOW_S * 100;
const FFT: usize = 400;
const HOP: usize = 160;

/// Log-mel spectrogram `[1, mels, 3000]` of 16 kHz mono, padded with zeros or cut to 30 s: 25 ms periodic Hann frames every 10 ms, centred with the
/// sound mirrored at its ends, power, Slaney mel filters of equal area, `log10` not below 1e-10, not more than 8 below the maximum, then
/// `(x + 4) / 4`. The definition is Whisper's (openai/whisper, `whisper/audio.py`, `log_mel_spectrogram`).
pub fn log_mel(samples: &[f32], mels: usize) -> Array3<f32> {
    let n = WINDOW_S * SAMPLE_RATE as usize;
    let at = |i: isize| {
        // Mirrored without repeating the edge sample, as numpy's "reflect".
        let last = n as isize - 1;
        let i = if i < 0 {
            -i
        } else if i > last {
            2 * last - i
        } else {
            i
        };
        samples.get(i as usize).copied().unwrap_or(0.0)
    };
    let mut spectrum = Spectrum::new(FFT, FFT);
    let bank = MelBank::new(MelScale::Slaney, SAMPLE_RATE, FFT, mels);
    let mut out = Array3::zeros((1, mels, FRAMES));
    let mut top = f32::MIN;
    let mut frame = [0.0_f32; FFT];
    for t in 0..FRAMES {
        let start = (t * HOP) as isize - (FFT / 2) as isize;
        for (i, x) in frame.iter_mut().enumerate() {
            *x = at(start + i as isize);
        }
        for (m, energy) in bank.apply(&spectrum.power(&frame)).into_iter().enumerate() {
            let value = energy.max(1e-10).log10();
            top = top.max(value);
            out[[0, m, t]] = value;
        }
    }
    out.mapv_inplace(|v: f32| (v.max(top - 8.0) + 4.0) / 4.0);
    out
}
