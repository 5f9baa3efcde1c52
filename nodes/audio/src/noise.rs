//! Noises and mixtures for tests and benchmarks: speech at a known signal-to-noise ratio, and sounds that are not speech.

use crate::features::{SAMPLE_RATE, dbfs, rms};
use rand::{Rng, RngExt};

/// 20 ms at 16 kHz.
const FRAME: usize = 320;
/// Frames this far below the loudest are pauses, dB.
const PAUSE_DB: f32 = 30.0;

/// Level of the speech in a recording as RMS: over the 20 ms frames that are at most 30 dB below the loudest, so that pauses do not count (in the
/// spirit of ITU-T P.56's active level, with a fixed margin in place of its search). 0 for silence.
pub fn active_rms(samples: &[f32]) -> f32 {
    let loudest = samples.chunks(FRAME).map(rms).fold(0.0, f32::max);
    let floor = loudest * 10.0_f32.powf(-PAUSE_DB / 20.0);
    let active: Vec<f32> = samples.chunks(FRAME).map(rms).filter(|level| *level > 0.0 && *level >= floor).collect();
    (active.iter().map(|l| l * l).sum::<f32>() / active.len().max(1) as f32).sqrt()
}

/// `speech` plus `noise` (repeated as often as needed) so that the active level of the speech is `snr_db` above the RMS of the noise.
/// The sum is brought under full scale if it would clip.
pub fn mix(speech: &[f32], noise: &[f32], snr_db: f32) -> Vec<f32> {
    let noise_rms = rms(noise);
    let gain = if noise_rms > 0.0 { active_rms(speech) / noise_rms * 10.0_f32.powf(-snr_db / 20.0) } else { 0.0 };
    let mut out: Vec<f32> = speech.iter().zip(noise.iter().cycle()).map(|(s, n)| s + gain * n).collect();
    if noise.is_empty() {
        out = speech.to_vec();
    }
    let peak = out.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    if peak > 0.99 {
        out.iter_mut().for_each(|s| *s *= 0.99 / peak);
    }
    out
}

/// White noise, uniform in -1..1 (RMS 0.577).
pub fn white(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Noise whose power falls by 3 dB per octave (P. Kellet's three-pole filter, within 0.5 dB from 40 Hz), RMS near 0.1.
pub fn pink(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    let (mut a, mut b, mut c) = (0.0_f32, 0.0_f32, 0.0_f32);
    (0..n)
        .map(|_| {
            let w: f32 = rng.random_range(-1.0..1.0);
            a = 0.99765 * a + w * 0.0990460;
            b = 0.96300 * b + w * 0.2965164;
            c = 0.57000 * c + w * 1.0526913;
            0.05 * (a + b + c + w * 0.1848)
        })
        .collect()
}

/// Many voices at once: each part is brought to the same level, begun anew when it ends, started at its own place.
pub fn babble(parts: &[&[f32]], n: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut out = vec![0.0_f32; n];
    for part in parts.iter().filter(|p| !p.is_empty()) {
        let level = active_rms(part).max(1e-6);
        let start = rng.random_range(0..part.len());
        for (o, s) in out.iter_mut().zip(part.iter().cycle().skip(start)) {
            *o += 0.05 * s / level;
        }
    }
    out
}

/// Chords of three decaying notes with overtones at `beats_per_minute`: like music, and nobody speaks.
pub fn music(n: usize, beats_per_minute: f32, rng: &mut impl Rng) -> Vec<f32> {
    const SCALE: [f32; 8] = [0.0, 2.0, 4.0, 5.0, 7.0, 9.0, 11.0, 12.0];
    let beat = (60.0 / beats_per_minute.max(20.0) * SAMPLE_RATE as f32) as usize;
    let mut out = vec![0.0_f32; n];
    for start in (0..n).step_by(beat.max(1)) {
        for _ in 0..3 {
            let note = 220.0 * 2.0_f32.powf(SCALE[rng.random_range(0..SCALE.len())] / 12.0);
            for (i, o) in out[start..].iter_mut().take(2 * beat).enumerate() {
                let t = i as f32 / SAMPLE_RATE as f32;
                let tone: f32 = (1..5).map(|k| (std::f32::consts::TAU * note * k as f32 * t).sin() / (k * k) as f32).sum();
                *o += 0.06 * (t * 100.0).min(1.0) * (-3.0 * t).exp() * tone;
            }
        }
    }
    out
}

/// Speech level in dBFS, pauses left out.
pub fn active_dbfs(samples: &[f32]) -> f32 {
    dbfs(active_rms(samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    #[test]
    fn a_mixture_has_the_ratio_that_was_asked_for_and_pauses_do_not_count() {
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let mut speech: Vec<f32> = (0..16_000).map(|i| 0.1 * (i as f32 * 0.2).sin()).collect();
        speech.extend(vec![0.0; 48_000]);
        assert!((active_rms(&speech) - 0.1 / 2.0_f32.sqrt()).abs() < 1e-3);
        let noise = white(8_000, &mut rng);
        let mixed = mix(&speech, &noise, 10.0);
        let added: Vec<f32> = mixed.iter().zip(&speech).map(|(m, s)| m - s).collect();
        let snr = 20.0 * (active_rms(&speech) / rms(&added)).log10();
        assert!((snr - 10.0).abs() < 0.1, "{snr}");
        assert_eq!(mix(&speech, &[], 10.0), speech);
        assert!(mix(&[0.9; 4_000], &noise, -20.0).iter().all(|s| s.abs() <= 1.0));
        assert_eq!(active_rms(&[]), 0.0);
    }

    #[test]
    fn pink_noise_falls_by_three_decibels_per_octave() {
        let mut rng = Pcg64Mcg::seed_from_u64(2);
        let noise = pink(160_000, &mut rng);
        let mut spectrum = crate::features::Spectrum::new(1_024, 1_024);
        let mut mean = vec![0.0_f32; 513];
        for frame in noise.chunks_exact(1_024) {
            mean.iter_mut().zip(spectrum.power(frame)).for_each(|(m, p)| *m += p);
        }
        let band = |hz: f32| {
            let centre = (hz / 15.625) as usize;
            let half = centre / 4;
            mean[centre - half..=centre + half].iter().sum::<f32>() / (2 * half + 1) as f32
        };
        let per_octave = 10.0 * (band(250.0) / band(4_000.0)).log10() / 4.0;
        assert!((per_octave - 3.0).abs() < 0.5, "{per_octave}");
    }
}
