//! Features against librosa's values for the same signal (`fixtures/make_golden.py`), and against analytic answers.

use omnimind_audio::features::{
    Mfcc, SAMPLE_RATE, Spectrum, dbfs, mean_coefficients, rms, spectral_centroid, zero_crossing_rate,
};
use omnimind_audio::pitch::Yin;
use omnimind_audio::speaker::mel_spectrogram;
use serde_json::Value;
use std::f64::consts::TAU;

fn golden() -> Value {
    serde_json::from_str(include_str!("../fixtures/librosa_golden.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// The signal of `make_golden.py`.
fn signal() -> Vec<f32> {
    let mut state = 12_345_u32;
    (0..2 * SAMPLE_RATE)
        .map(|i| {
            let t = f64::from(i) / f64::from(SAMPLE_RATE);
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / f64::from(1 << 23) - 1.0;
            let phase = TAU * (120.0 * t + 20.0 * t * t);
            let value = if t < 1.2 {
                (1..6).map(|k| 0.3 / f64::from(k) * (f64::from(k) * phase).sin()).sum::<f64>() + 0.002 * noise
            } else if t < 1.4 {
                0.0
            } else {
                0.1 * noise
            };
            value as f32
        })
        .collect()
}

fn tone(hz: f64, amplitude: f64) -> Vec<f32> {
    (0..SAMPLE_RATE).map(|i| (amplitude * (TAU * hz * f64::from(i) / f64::from(SAMPLE_RATE)).sin()) as f32).collect()
}

#[test]
fn mfcc_are_librosas() {
    let golden = golden();
    let frames = Mfcc::new().frames(&signal());
    for (pick, want) in numbers(&golden["frames"]).iter().zip(golden["mfcc"].as_array().unwrap()) {
        for (got, want) in frames[*pick as usize].iter().zip(numbers(want)) {
            assert!((got - want).abs() < 0.01, "frame {pick}: {got} instead of {want}");
        }
    }
}

#[test]
fn the_spectral_centroid_is_librosas() {
    let golden = golden();
    let signal = signal();
    let mut spectrum = Spectrum::new(400, 512);
    for (pick, want) in numbers(&golden["frames"]).iter().zip(numbers(&golden["centroid_hz"])) {
        let start = *pick as usize * 160;
        let got = spectral_centroid(&spectrum.power(&signal[start..start + 400]), SAMPLE_RATE);
        assert!((got - want).abs() < 1.0, "frame {pick}: {got} instead of {want}");
    }
}

#[test]
fn level_and_zero_crossings_are_librosas() {
    let golden = golden();
    let signal = signal();
    let blocks = signal.chunks_exact(1_600);
    for (block, want) in blocks.clone().zip(numbers(&golden["rms_100ms"])) {
        assert!((rms(block) - want).abs() < 1e-5);
    }
    for (block, want) in blocks.zip(numbers(&golden["zero_crossing_rate_100ms"])) {
        // librosa divides by the frame's length and counts a crossing into its first sample; we divide by the pairs.
        assert!((zero_crossing_rate(block) - want).abs() < 2e-3);
    }
}

#[test]
fn the_pitch_of_the_voiced_part_is_librosas() {
    let golden = golden();
    let track = Yin::default().track(&signal(), 1_600);
    for (k, want) in numbers(&golden["yin_hz_100ms"]).iter().enumerate().take(11) {
        assert!(track[k].voiced && (track[k].hz / want - 1.0).abs() < 0.01, "{k}: {:?} instead of {want}", track[k]);
    }
    // librosa's yin has no voiced flag: from 1.4 s on there is noise.
    assert!(track.iter().skip(14).all(|p| !p.voiced && p.hz == 0.0));
}

#[test]
fn the_speaker_front_end_is_librosas_mel_spectrogram() {
    let golden = golden();
    let mels = mel_spectrogram(&signal());
    for (pick, want) in numbers(&golden["frames"]).iter().zip(golden["speaker_mel"].as_array().unwrap()) {
        let want = numbers(want);
        let scale = want.iter().copied().fold(1e-6, f32::max);
        for (got, want) in mels[*pick as usize].iter().zip(want) {
            assert!((got - want).abs() < 1e-3 * scale, "frame {pick}: {got} instead of {want}");
        }
    }
}

#[test]
fn a_sine_has_the_level_crossings_and_centroid_that_the_formulas_say() {
    let x = tone(1_000.0, 0.5);
    assert!((f64::from(rms(&x)) - 0.5 / 2.0_f64.sqrt()).abs() < 1e-4);
    assert!((dbfs(rms(&x)) + 9.031).abs() < 0.01);
    assert!((zero_crossing_rate(&x) - 0.125).abs() < 1e-3);
    let centroid = spectral_centroid(&Spectrum::new(512, 512).power(&x[..512]), SAMPLE_RATE);
    assert!((centroid - 1_000.0).abs() < 5.0, "{centroid}");
}

#[test]
fn white_noise_has_its_centroid_in_the_middle_of_the_band() {
    let mut state = 99_u32;
    let x: Vec<f32> = (0..SAMPLE_RATE)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    let mut spectrum = Spectrum::new(400, 512);
    let centroids: Vec<f32> = x.chunks_exact(400).map(|f| spectral_centroid(&spectrum.power(f), SAMPLE_RATE)).collect();
    let mean = centroids.iter().sum::<f32>() / centroids.len() as f32;
    assert!((mean - 4_000.0).abs() < 150.0, "{mean}");
    assert!((rms(&x) - 1.0 / 3.0_f32.sqrt()).abs() < 0.01);
    assert!((zero_crossing_rate(&x) - 0.5).abs() < 0.02);
}

#[test]
fn silence_is_silent_and_finite_in_every_feature() {
    let x = vec![0.0; 1_600];
    assert_eq!((rms(&x), dbfs(0.0), zero_crossing_rate(&x)), (0.0, -120.0, 0.0));
    assert_eq!(spectral_centroid(&Spectrum::new(400, 512).power(&x), SAMPLE_RATE), 0.0);
    let mfcc = mean_coefficients(&Mfcc::new().frames(&x));
    // The logarithm's floor in every band: c0 = sqrt(40) ln 1e-10, the others 0.
    assert!((f64::from(mfcc[0]) - 40.0_f64.sqrt() * 1e-10_f64.ln()).abs() < 0.01);
    assert!(mfcc[1..].iter().all(|c| c.abs() < 1e-3));
    assert_eq!((rms(&[]), zero_crossing_rate(&[])), (0.0, 0.0));
    assert!(Mfcc::new().frames(&[0.0; 399]).is_empty());
}

#[test]
fn an_amplitude_change_moves_only_the_first_coefficient() {
    let quiet: Vec<f32> = signal()[24_000..].to_vec();
    let loud: Vec<f32> = quiet.iter().map(|s| s * 2.0).collect();
    let (a, b) = (Mfcc::new().frames(&quiet)[10], Mfcc::new().frames(&loud)[10]);
    // Power times 4 in every one of the 40 bands.
    let c0 = 40.0_f64.sqrt() * 4.0_f64.ln();
    assert!((f64::from(b[0] - a[0]) - c0).abs() < 0.01, "{} instead of {c0}", b[0] - a[0]);
    for (x, y) in a[1..].iter().zip(&b[1..]) {
        assert!((x - y).abs() < 0.01);
    }
}
