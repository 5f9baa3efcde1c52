//! Where utterances begin: no first syllable is lost, whenever the speech begins, by both detectors.

use omnimind_audio::ear::{Ear, EarSettings};
use omnimind_audio::segmenter::{Segmenter, SegmenterSettings};
use omnimind_audio::silero::Silero;
use omnimind_audio::vad::{Vad, VadSettings};
use std::sync::Arc;

mod common;

/// Both detectors; Silero only where its file is.
fn detectors() -> Vec<Vad> {
    let mut all = vec![Vad::new(VadSettings::default())];
    let silero = models::Broker::shared()
        .map_err(|e| e.to_string())
        .and_then(|b: Arc<models::Broker>| Silero::open(&b).map_err(|e| e.to_string()));
    match silero {
        Ok(silero) => all.push(Vad::with_silero(VadSettings::default(), silero)),
        Err(e) => {
            assert!(std::env::var_os("OMNIMIND_REQUIRE_MODELS").is_none(), "{e}");
            eprintln!("skipped: {e}");
        }
    }
    all
}

/// First sample that is louder than 30 dB below the peak.
fn first_energy(samples: &[f32]) -> usize {
    let peak = samples.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    samples.iter().position(|s| s.abs() > 0.03 * peak).unwrap()
}

#[test]
fn an_utterance_begins_before_its_first_sound_whenever_that_is() {
    for vad in detectors() {
        let name = vad.name();
        let mut vad = Some(vad);
        for request in common::requests().iter().step_by(6) {
            let speech = common::sound(request);
            for onset in [0, 37, 4_000, 16_001, 40_123] {
                let mut sound = vec![0.0; onset];
                sound.extend(&speech);
                sound.resize(sound.len() + 16_000, 0.0);
                let truth = onset + first_energy(&speech);
                let mut segmenter = Segmenter::with_vad(1, vad.take().unwrap(), SegmenterSettings::default());
                let mut utterances = Vec::new();
                for chunk in sound.chunks(320) {
                    utterances.extend(segmenter.push(chunk).utterances);
                }
                utterances.extend(segmenter.flush());
                let first = utterances.first().unwrap_or_else(|| panic!("{name}: {} at {onset} was not heard", request.file));
                let start = first.start_sample as usize;
                assert!(start <= truth, "{name}: {} at {onset} begins {} samples late", request.file, start - truth);
                // Nor does it begin long before: there is nothing to hear there.
                assert!(truth - start <= 16_000, "{name}: {} at {onset} begins {} samples early", request.file, truth - start);
                assert_eq!(first.samples, sound[start..start + first.samples.len()]);
                vad = Some(segmenter.into_vad());
            }
        }
    }
}

#[test]
fn noise_silence_and_tones_are_no_speech() {
    for mut vad in detectors() {
        let mut state = 9_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.05 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        let white: Vec<f32> = (0..48_000).map(|_| noise()).collect();
        let tone: Vec<f32> = (0..48_000).map(|i| 0.2 * (i as f32 * 0.4).sin()).collect();
        for (what, sound) in [("silence", vec![0.0; 48_000]), ("white noise", white), ("a tone", tone)] {
            // Earshot alone takes a part of white noise and many tones for voice: the segmenter drops what has no syllables.
            if what != "silence" && vad.name() == "earshot" {
                let mut segmenter = Segmenter::new(1, VadSettings::default(), SegmenterSettings::default());
                assert!(segmenter.push(&sound).utterances.is_empty() && segmenter.flush().is_none());
                continue;
            }
            vad.reset();
            let frames = vad.push(&sound);
            let speech = frames.iter().filter(|f| f.speech).count();
            assert!(speech * 50 <= frames.len(), "{}: {speech} of {} frames of {what}", vad.name(), frames.len());
        }
    }
}

#[test]
fn an_ear_cleans_utterances_only_if_told_and_takes_either_detector() {
    let speech = common::sound(&common::requests()[1]);
    let sound: Vec<f32> = [vec![0.0; 8_000], speech, vec![0.0; 16_000]].concat();
    let mut lengths = Vec::new();
    for (vad, suppress) in detectors().into_iter().zip([false, true]).chain([(Vad::new(VadSettings::default()), true)]) {
        let settings = EarSettings { noise_suppression: suppress, ..EarSettings::default() };
        let mut ear = Ear::new(settings);
        ear.set_vad(vad);
        let mut utterances = Vec::new();
        for (k, chunk) in sound.chunks(320).enumerate() {
            utterances.extend(ear.push(k as i64 * 20_000_000, 16_000, 1, chunk, false).unwrap().utterances);
        }
        utterances.extend(ear.flush());
        let utterance = &utterances[0];
        let start = (utterance.stamp_ns as f64 * 1e-9 * 16_000.0).round() as usize;
        let raw = &sound[start..start + utterance.mono.len()];
        assert_eq!(utterance.mono != raw, suppress);
        lengths.push(utterance.mono.len());
    }
    assert!(lengths.iter().all(|n| n.abs_diff(lengths[0]) < 8_000), "{lengths:?}");
}

#[test]
fn chunks_of_any_size_give_the_same_verdicts() {
    let sound = common::sound(&common::requests()[3]);
    for mut vad in detectors() {
        let whole = vad.push(&sound);
        for chunk in [1, 100, 511, 4_096] {
            vad.reset();
            let parts: Vec<_> = sound.chunks(chunk).flat_map(|c| vad.push(c)).collect();
            assert_eq!(parts, whole, "{} in chunks of {chunk}", vad.name());
        }
        assert_eq!(vad.failures(), 0);
    }
}
