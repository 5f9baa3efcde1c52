//! The Whisper decoder on networks made for it (`fixtures/make_whisper.py`): their weights are such that the right text is known, and a cache carried
//! wrongly spells another one. No weights of Whisper itself are used here.

mod common;

use common::own_broker;
use models::testing::broker_or_skip;
use omnimind_audio::recogniser::{self, Guards, OpenError, Search, TranscribeError};
use omnimind_audio::whisper::mel::log_mel;
use serde_json::Value;

const MERGED: &[(&str, &str)] = &[
    ("encoder", "encoder.onnx"),
    ("decoder", "decoder_merged.onnx"),
    ("tokenizer", "tokenizer.json"),
    ("generation", "generation.json"),
];
const PAIR: &[(&str, &str)] = &[
    ("encoder", "encoder.onnx"),
    ("decoder", "decoder.onnx"),
    ("decoder_with_past", "decoder_with_past.onnx"),
    ("tokenizer", "tokenizer.json"),
    ("generation", "generation.json"),
];

fn tone(amplitude: f32, seconds: f32) -> Vec<f32> {
    (0..(seconds * 16_000.0) as usize).map(|i| amplitude * (i as f32 * 0.2).sin()).collect()
}

#[test]
fn text_times_language_and_speech_are_read_from_the_network_whatever_the_form_of_its_export() {
    if broker_or_skip(&["onnxruntime"]).is_none() {
        return;
    }
    for files in [MERGED, PAIR] {
        let broker = own_broker("tiny", "whisper", "whisper_tiny", files, "{}", "{}");
        let mut whisper = recogniser::open(&broker, "tiny", &Search::default()).unwrap();
        assert_eq!((whisper.model(), whisper.version()), ("tiny", "1"));
        let t = whisper.transcribe(&tone(0.5, 2.0), "").unwrap();
        assert_eq!(t.text, "Hello world robot!");
        let pieces: Vec<_> =
            t.pieces.iter().map(|p| (p.text.as_str(), (p.start_s * 100.0).round(), (p.end_s * 100.0).round())).collect();
        assert_eq!(pieces, [("Hello world", 20.0, 80.0), ("robot!", 100.0, 140.0)]);
        assert_eq!(t.language, "en");
        // Logits 12 and 8.
        assert!((t.language_probability - 1.0 / (1.0 + (-4.0_f32).exp())).abs() < 1e-4, "{}", t.language_probability);
        assert!(!t.stopped && t.confidence > 0.99 && t.no_speech.unwrap() < 1e-3 && t.tokens == 9, "{t:?}");
        assert_eq!(Guards::default().doubt(&t, 2.0), None);

        // The quiet sound is French, goes in circles, and is held for no speech.
        let t = whisper.transcribe(&tone(0.002, 2.0), "").unwrap();
        assert_eq!((t.text.as_str(), t.language.as_str(), t.stopped), ("Bonjour la", "fr", true));
        assert!(t.no_speech.unwrap() > 0.9, "{:?}", t.no_speech);
        // Told the language, it does not ask.
        let t = whisper.transcribe(&tone(0.5, 2.0), "fr-CA").unwrap();
        assert_eq!((t.language.as_str(), t.language_probability), ("fr", 1.0));
    }
}

#[test]
fn times_never_lie_beyond_the_sound() {
    if broker_or_skip(&["onnxruntime"]).is_none() {
        return;
    }
    let broker = own_broker("tiny", "whisper", "whisper_tiny", MERGED, "{}", "{}");
    let mut whisper = recogniser::open(&broker, "tiny", &Search::default()).unwrap();
    for seconds in [0.1, 0.5, 1.1] {
        let t = whisper.transcribe(&tone(0.5, seconds), "").unwrap();
        assert!(t.pieces.iter().all(|p| p.start_s <= p.end_s && p.end_s <= f64::from(seconds) + 1e-6), "{:?}", t.pieces);
    }
}

#[test]
fn what_cannot_be_transcribed_or_opened_is_an_error_in_words() {
    if broker_or_skip(&["onnxruntime"]).is_none() {
        return;
    }
    let broker = own_broker("tiny", "whisper", "whisper_tiny", MERGED, "{}", "{}");
    let mut whisper = recogniser::open(&broker, "tiny", &Search::default()).unwrap();
    assert!(matches!(whisper.transcribe(&[], ""), Err(TranscribeError::Length(_))));
    assert!(matches!(whisper.transcribe(&tone(0.1, 31.0), ""), Err(TranscribeError::Length(_))));
    let error = whisper.transcribe(&tone(0.1, 1.0), "tlh").unwrap_err().to_string();
    assert_eq!(error, "the recogniser does not know the language `tlh`; it knows: en, fr");

    let without_past: Vec<_> = PAIR.iter().filter(|f| f.0 != "decoder_with_past").copied().collect();
    let broker = own_broker("tiny", "whisper", "whisper_tiny", &without_past, "{}", "{}");
    let error = recogniser::open(&broker, "tiny", &Search::default()).err().unwrap().to_string();
    assert!(error.contains("there is no file `decoder_with_past`"), "{error}");

    let swapped = [("encoder", "decoder.onnx"), ("decoder", "encoder.onnx"), ("tokenizer", "tokenizer.json")];
    let broker = own_broker("tiny", "whisper", "whisper_tiny", &swapped, "{}", "{}");
    assert!(matches!(recogniser::open(&broker, "tiny", &Search::default()), Err(OpenError::Damaged { .. })));

    let no_tokens = [("encoder", "encoder.onnx"), ("decoder", "decoder_merged.onnx"), ("tokenizer", "generation.json")];
    let broker = own_broker("tiny", "whisper", "whisper_tiny", &no_tokens, "{}", "{}");
    assert!(matches!(recogniser::open(&broker, "tiny", &Search::default()), Err(OpenError::Damaged { .. })));

    let broker = own_broker("tiny", "nanodet", "whisper_tiny", MERGED, "{}", "{}");
    let error = recogniser::open(&broker, "tiny", &Search::default()).err().unwrap().to_string();
    assert_eq!(error, "model `tiny` has the decoder `nanodet`; speech is decoded by: moonshine, whisper");
    assert!(recogniser::open(&broker, "nothing", &Search::default()).is_err());
}

#[test]
fn the_input_is_whispers_log_mel_spectrogram() {
    // The signal of make_whisper.py.
    let mut state = 12_345_u32;
    let signal: Vec<f32> = (0..32_000)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / f64::from(1 << 23) - 1.0;
            let t = f64::from(i) / 16_000.0;
            let chirp = if t < 1.5 { 0.3 * (std::f64::consts::TAU * (200.0 * t + 400.0 * t * t)).sin() } else { 0.0 };
            (chirp + 0.01 * noise) as f32
        })
        .collect();
    let got = log_mel(&signal, 80);
    assert_eq!(got.shape(), [1, 80, 3_000]);
    let golden: Value = serde_json::from_str(include_str!("../fixtures/whisper_mel.json")).unwrap();
    for (frame, want) in golden["frames"].as_array().unwrap().iter().zip(golden["log_mel"].as_array().unwrap()) {
        let frame = frame.as_u64().unwrap() as usize;
        for (m, want) in want.as_array().unwrap().iter().enumerate() {
            let (got, want) = (f64::from(got[[0, m, frame]]), want.as_f64().unwrap());
            assert!((got - want).abs() < 2e-3, "frame {frame}, band {m}: {got} instead of {want}");
        }
    }
    // Longer sound is cut, and silence is finite.
    assert_eq!(log_mel(&vec![0.1; 600_000], 80).shape(), [1, 80, 3_000]);
    assert!(log_mel(&[], 128).iter().all(|x| (x + 1.5).abs() < 1e-6));
}
