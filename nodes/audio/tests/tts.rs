//! Speaking with the real engines. Skipped with a printed reason where an engine or a model is not here, unless
//! OMNIMIND_REQUIRE_MODELS is set (for models).

use models::testing::broker_or_skip;
use omnimind_audio::resample::resample;
use omnimind_audio::stt::Moonshine;
use omnimind_audio::tts::phonemes::{PhonemeIds, Phonemizer, phoneme_ids};
use omnimind_audio::tts::{Engine, MAX_TEXT, SpeakOptions, SynthesizeError, Synthesizer, piper, sentences};
use omnimind_audio::wer::{word_errors, words};
use sounds::{Clip, Format};
use std::ffi::OsString;

const SENTENCE: &str = "Please bring the red cup to the kitchen.";

fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

fn program(engine: Engine) -> Option<Synthesizer> {
    let found = Synthesizer::find(engine.name(), &path()).ok();
    if found.is_none() {
        println!("skipped: {} is not installed", engine.name());
    }
    found
}

fn voice() -> Option<Synthesizer> {
    let broker = broker_or_skip(&[piper::MODEL, "onnxruntime"])?;
    match Synthesizer::piper(&broker, "", &path()) {
        Ok(voice) => Some(voice),
        Err(e @ SynthesizeError::NoPhonemes) => {
            println!("skipped: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn engines() -> Vec<Synthesizer> {
    [program(Engine::Flite), program(Engine::EspeakNg), voice()].into_iter().flatten().collect()
}

#[test]
fn every_engine_speaks_and_the_same_text_gives_the_same_sound() {
    for mut engine in engines() {
        let options = SpeakOptions::default();
        let speech = engine.speak(SENTENCE, &options).unwrap();
        assert!((1.0..5.0).contains(&speech.duration_s()), "{}: {} s", speech.engine.name(), speech.duration_s());
        assert!((8_000..=48_000).contains(&speech.sample_rate));
        assert!(speech.samples.iter().all(|s| s.abs() <= 1.0) && speech.samples.iter().any(|s| s.abs() > 0.1));
        assert_eq!((speech.engine, speech.voice.as_str()), (engine.engine(), engine.engine().default_voice()));
        assert_eq!(speech.unknown_phonemes, 0);
        let at_16k = speech.at_16k().unwrap();
        assert!((at_16k.len() as f64 / 16_000.0 - speech.duration_s()).abs() < 0.01);
        assert_eq!(engine.speak(SENTENCE, &options).unwrap().samples, speech.samples, "{}", speech.engine.name());
        let fast = engine.speak(SENTENCE, &SpeakOptions { speed: 1.6, ..options }).unwrap();
        let ratio = speech.duration_s() / fast.duration_s();
        assert!((1.2..2.0).contains(&ratio), "{}: {ratio}", speech.engine.name());
    }
}

#[test]
fn what_cannot_be_spoken_is_an_error_with_every_engine() {
    for mut engine in engines() {
        let name = engine.engine().name();
        let mut refused = |text: &str| match engine.speak(text, &SpeakOptions::default()) {
            Err(SynthesizeError::Text(reason)) => reason,
            other => panic!("{name}, {:?}: {:?}", &text[..text.len().min(20)], other.map(|s| s.duration_s())),
        };
        assert!(refused("  ").contains("empty"));
        assert!(refused("?! ... -").contains("neither a letter"));
        assert!(refused("one\u{1b}[2J").contains("control"));
        assert!(refused(&"word ".repeat(MAX_TEXT)).contains("longer"));
        assert!(refused("Привет, мир. Как дела?").contains("script"));
        assert!(refused("日本語のテキスト").contains("script"));
    }
}

#[test]
fn ten_thousand_characters_begin_with_their_first_sentence() {
    let text = "The robot counts to three. ".repeat(MAX_TEXT / 27);
    let parts = sentences(&text);
    assert_eq!(parts.len(), MAX_TEXT / 27);
    for mut engine in engines() {
        let first = engine.speak_sentence(&parts[0], &SpeakOptions::default()).unwrap();
        assert!(first.duration_s() < 4.0);
    }
    if let Some(mut flite) = program(Engine::Flite) {
        let two = flite.speak(&parts[..2].join(" "), &SpeakOptions::default()).unwrap();
        let one = flite.speak(&parts[0], &SpeakOptions::default()).unwrap();
        assert_eq!(two.samples.len(), 2 * one.samples.len());
    }
}

#[test]
fn a_voice_that_is_not_there_is_an_error_and_not_another_voice() {
    for mut engine in engines() {
        for voice in ["nosuch", "--version", "/etc/passwd", "../x"] {
            let options = SpeakOptions { voice: voice.to_owned(), ..SpeakOptions::default() };
            let error = engine.speak("hello", &options).unwrap_err();
            assert!(matches!(error, SynthesizeError::Voice(_) | SynthesizeError::Program { .. }), "{voice}: {error}");
        }
    }
    assert!(matches!(Synthesizer::find("nosuch", &path()), Err(SynthesizeError::NoEngine)));
    assert!(matches!(Synthesizer::find("auto", &OsString::new()), Err(SynthesizeError::NoEngine)));
}

#[test]
fn a_piper_voice_that_is_not_there_or_broken_says_what_to_do() {
    let Some(broker) = broker_or_skip(&["onnxruntime"]) else { return };
    let error = Synthesizer::piper(&broker, "nosuch", &path()).err().unwrap();
    assert!(error.to_string().contains("there is no model `nosuch`"), "{error}");
    let error = Synthesizer::piper(&broker, "/nowhere/a.onnx", &path()).err().unwrap();
    assert!(error.to_string().contains("/nowhere/a.onnx.json"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.onnx");
    std::fs::write(&file, "no network").unwrap();
    std::fs::write(folder.path().join("a.onnx.json"), "{}").unwrap();
    let error = Synthesizer::piper(&broker, file.to_str().unwrap(), &path()).err().unwrap();
    assert!(matches!(error, SynthesizeError::VoiceFile { .. }), "{error}");
    let json =
        r#"{"audio": {"sample_rate": 22050}, "espeak": {"voice": "en-us"}, "phoneme_id_map": {"_": [0], "^": [1], "$": [2]}}"#;
    std::fs::write(folder.path().join("a.onnx.json"), json).unwrap();
    let error = Synthesizer::piper(&broker, file.to_str().unwrap(), &path()).err().unwrap();
    assert!(matches!(error, SynthesizeError::NoVoice { .. } | SynthesizeError::NoPhonemes), "{error}");
    let error = Synthesizer::piper(&broker, "", &OsString::new()).err().unwrap();
    assert!(matches!(error, SynthesizeError::NoPhonemes | SynthesizeError::NoVoice { .. }), "{error}");
}

#[test]
fn a_voice_from_a_file_is_the_voice_of_the_catalogue() {
    let (Some(broker), Some(mut voice)) = (broker_or_skip(&[piper::MODEL, "onnxruntime"]), voice()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("joe.onnx");
    let store = broker.store();
    std::fs::copy(store.locate(piper::MODEL).unwrap(), &file).unwrap();
    std::fs::copy(store.locate("piper_en_us_joe/config").unwrap(), folder.path().join("joe.onnx.json")).unwrap();
    let mut same = Synthesizer::piper(&broker, file.to_str().unwrap(), &path()).unwrap();
    let options = SpeakOptions::default();
    assert_eq!(same.speak("Hello.", &options).unwrap().samples, voice.speak("Hello.", &options).unwrap().samples);
}

#[test]
fn phonemes_keep_the_signs_between_clauses_however_espeak_cuts_them() {
    let Ok(espeak) = Phonemizer::find(&path(), "en-us") else {
        println!("skipped: espeak-ng is not installed");
        return;
    };
    // Phonemes as `espeak-ng -q --ipa -v en-us` gives them for the words alone (version 1.51).
    assert_eq!(espeak.phonemes("Hello, world!").unwrap(), "həlˈoʊ, wˈɜːld!");
    assert_eq!(espeak.phonemes("Bring the red cup").unwrap(), "bɹˈɪŋ ðə ɹˈɛd kˈʌp.");
    // Brackets make espeak-ng cut where we do not.
    let bracketed = espeak.phonemes("At ten (or later), come; now").unwrap();
    assert_eq!((bracketed.matches(',').count(), bracketed.matches(';').count(), bracketed.ends_with('.')), (1, 1, true));
    assert!(!bracketed.contains('(') && !bracketed.contains('\n'), "{bracketed}");
    // Numbers and units are read out.
    assert!(espeak.phonemes("3.5 kg").unwrap().contains("pɔɪnt"));
    let nobody = Phonemizer::find(&path(), "xx-nosuch").unwrap().phonemes("hello");
    assert!(matches!(nobody, Err(SynthesizeError::Program { .. })), "{nobody:?}");
}

#[test]
fn sentences_phonemes_and_their_numbers_are_those_of_piper() {
    let Some(broker) = broker_or_skip(&[piper::MODEL]) else { return };
    let config = std::fs::read_to_string(broker.store().locate("piper_en_us_joe/config").unwrap()).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let map: PhonemeIds = serde_json::from_value(config["phoneme_id_map"].clone()).unwrap();
    let Ok(espeak) = Phonemizer::find(&path(), "en-us") else {
        println!("skipped: espeak-ng is not installed");
        return;
    };
    // Made by fixtures/make_piper_ids.py with piper-tts 1.3.0.
    let rows: Vec<serde_json::Value> = serde_json::from_str(include_str!("../fixtures/piper_ids.json")).unwrap();
    assert!(rows.len() >= 7);
    for row in rows {
        let expected: Vec<(String, Vec<i64>)> = row["sentences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (s["phonemes"].as_str().unwrap().to_owned(), serde_json::from_value(s["ids"].clone()).unwrap()))
            .collect();
        let found: Vec<(String, Vec<i64>)> = sentences(row["text"].as_str().unwrap())
            .iter()
            .map(|sentence| {
                let phonemes = espeak.phonemes(sentence).unwrap();
                let (ids, unknown) = phoneme_ids(&phonemes, &map).unwrap();
                assert_eq!(unknown, 0, "{phonemes}");
                (phonemes, ids)
            })
            .collect();
        assert_eq!(found, expected, "{}", row["text"]);
    }
}

#[test]
fn variation_makes_a_piper_voice_differ_and_none_makes_it_the_same() {
    let Some(mut voice) = voice() else { return };
    let lively = SpeakOptions { variation: 1.0, ..SpeakOptions::default() };
    let (a, b) = (voice.speak(SENTENCE, &lively).unwrap(), voice.speak(SENTENCE, &lively).unwrap());
    assert_ne!(a.samples, b.samples);
}

#[test]
fn speech_in_each_format_is_decoded_and_understood() {
    let Some(broker) = broker_or_skip(&["moonshine_tiny_en", "onnxruntime"]) else { return };
    let mut recogniser = Moonshine::open(&broker).unwrap().with_beam(4);
    let reference = words(SENTENCE);
    for mut engine in engines() {
        let speech = engine.speak(SENTENCE, &SpeakOptions::default()).unwrap();
        let clip = Clip { sample_rate: speech.sample_rate, channels: 1, samples: speech.samples.clone() };
        for format in Format::ALL {
            let name = format!("{} as {format}", speech.engine.name());
            let bytes = sounds::encode(&clip, format).unwrap();
            assert_eq!(sounds::detect(&bytes), Some(format));
            let back = sounds::decode(&bytes).unwrap();
            // MP3 has whole frames, and a delay that players leave in.
            let allowed_s = if format == Format::Mp3 { 0.15 } else { 0.001 };
            assert!((back.duration_s() - speech.duration_s()).abs() < allowed_s, "{name}: {} s", back.duration_s());
            let mono = resample(&back.mono(), 1, back.sample_rate, 16_000).unwrap();
            let heard = recogniser.transcribe(&mono).unwrap();
            // espeak-ng's robot voice is hard to understand for any recogniser.
            let allowed = if speech.engine == Engine::EspeakNg { 4 } else { 1 };
            assert!(word_errors(&reference, &words(&heard.text)) <= allowed, "{name}: {}", heard.text);
        }
    }
}
