//! `omnimind audio` as a user meets it: on speech that it spoke itself, and on files that are not what they seem.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn omnimind(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_omnimind"))
        .arg("audio")
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("the program starts")
}

fn works(arguments: &[&str], dir: &Path) -> String {
    let out = omnimind(arguments, dir);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

fn json(arguments: &[&str], dir: &Path) -> Value {
    let text = works(arguments, dir);
    assert_eq!(text.lines().count(), 1, "one object in one line");
    serde_json::from_str(&text).expect("JSON")
}

fn refused(arguments: &[&str], dir: &Path) -> String {
    let out = omnimind(arguments, dir);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(out.stdout.is_empty(), "nothing on standard output");
    assert_eq!(text.trim_end().lines().count(), 1, "one sentence: {text}");
    text
}

fn is_installed(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

fn recogniser_is_here() -> bool {
    models::testing::broker_or_skip(&["moonshine_tiny_en", "onnxruntime"]).is_some()
}

#[test]
fn what_is_spoken_in_each_format_is_transcribed_again() {
    let dir = tempfile::tempdir().unwrap();
    if !is_installed("flite") {
        return;
    }
    let words = "Please bring the red cup to the kitchen.";
    let mut durations = Vec::new();
    for format in ["wav", "mp3", "ogg", "flac"] {
        let file = format!("cup.{format}");
        let made = json(&["speak", words, "-o", &file, "--engine", "flite", "--json"], dir.path());
        assert_eq!((made["format"].as_str(), made["word_count"].as_i64()), (Some(format), Some(8)));
        assert_eq!(made["models"][0]["model"], "flite");
        durations.push(made["duration_s"].as_f64().unwrap());
        if !recogniser_is_here() {
            continue;
        }
        let heard = json(&["transcribe", &file, "--json"], dir.path());
        assert_eq!(heard["format"], format);
        let text = heard["text"].as_str().unwrap().to_lowercase();
        assert!(text.contains("red cup") && text.contains("kitchen"), "{text}");
        let segment = &heard["segments"][0];
        assert!(segment["end_s"].as_f64() > segment["start_s"].as_f64() && segment["confidence"].as_f64().unwrap() > 0.5);
        assert_eq!((heard["language"].as_str(), heard["models"][0]["model"].as_str()), (Some("en"), Some("moonshine_tiny_en")));
    }
    assert!(durations.iter().all(|d| (d - durations[0]).abs() < 1e-9 && *d > 1.0));
    if recogniser_is_here() {
        let text = works(&["transcribe", "cup.ogg", "--output", "cup.png"], dir.path());
        assert!(text.starts_with("cup.ogg: ") && text.contains("moonshine_tiny_en") && text.contains("confidence"), "{text}");
        let png = pictures::decode(&std::fs::read(dir.path().join("cup.png")).unwrap()).unwrap();
        assert!(png.width() > 1_000 && png.height() > 500);
    }
}

#[test]
fn features_of_a_tone_are_those_of_the_tone() {
    let dir = tempfile::tempdir().unwrap();
    let samples = (0..44_100).map(|i| 0.5 * (std::f32::consts::TAU * 220.0 * i as f32 / 44_100.0).sin()).collect();
    let clip = sounds::Clip { sample_rate: 44_100, channels: 1, samples };
    std::fs::write(dir.path().join("a.flac"), sounds::encode(&clip, sounds::Format::Flac).unwrap()).unwrap();
    let found = json(&["features", "a.flac", "--json"], dir.path());
    let number = |name: &str| found[name].as_f64().unwrap();
    assert_eq!((found["format"].as_str(), found["sample_rate_hz"].as_i64()), (Some("flac"), Some(44_100)));
    assert!((number("pitch_hz") - 220.0).abs() < 1.0 && found["voiced"] == true);
    assert!((number("dbfs") + 9.03).abs() < 0.05 && (number("peak") - 0.5).abs() < 0.001);
    assert!((number("zero_crossing_rate") - 440.0 / 16_000.0).abs() < 0.001);
    assert_eq!((found["mfcc"].as_array().unwrap().len(), number("speech_s")), (13, 0.0));
    let text = works(&["features", "a.flac", "--output", "a.png"], dir.path());
    assert!(text.contains("220.0 Hz") && dir.path().join("a.png").is_file(), "{text}");
    assert!(works(&["emotion", "a.flac"], dir.path()).contains("no speech"));
    assert!(refused(&["direction", "a.flac"], dir.path()).contains("two microphones"));
}

#[test]
fn files_that_are_no_sound_are_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("empty.wav", b"");
    write("text.wav", b"this is not a sound, it only has the name of one; and it goes on for a while");
    let samples = (0..16_000).map(|i| (i as f32 * 0.05).sin() * 0.5).collect();
    let clip = sounds::Clip { sample_rate: 16_000, channels: 1, samples };
    let ogg = sounds::encode(&clip, sounds::Format::Ogg).unwrap();
    write("cut.ogg", &ogg[..ogg.len() / 2]);
    for command in ["transcribe", "features", "emotion", "direction"] {
        for (file, why) in [
            ("gone.wav", "cannot read"),
            ("empty.wav", "empty"),
            ("text.wav", "no WAV, MP3, Ogg Vorbis or FLAC"),
            ("cut.ogg", ""),
        ] {
            let said = refused(&[command, file], dir.path());
            assert!(said.contains(file) && said.contains(why), "{said}");
        }
    }
    assert!(refused(&["features", "."], dir.path()).contains('.'));
}

#[test]
fn texts_and_targets_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(&["speak", " ", "-o", "a.wav"], dir.path()).contains("empty"));
    assert!(refused(&["speak", "?!", "-o", "a.wav"], dir.path()).contains("neither a letter"));
    assert!(refused(&["speak", &"long ".repeat(3_000), "-o", "a.wav"], dir.path()).contains("longer"));
    assert!(refused(&["speak", "hello", "-o", "a.opus"], dir.path()).contains("--format"));
    assert!(refused(&["speak", "hello", "-o", "a.wav", "--engine", "sam"], dir.path()).contains("piper, flite and espeak-ng"));
    assert!(refused(&["speak", "hello", "-o", "a.wav", "--speed", "9"], dir.path()).contains("0.5 to 2"));
    if is_installed("flite") {
        assert!(refused(&["speak", "hello", "-o", "a.wav", "--voice", "nosuch"], dir.path()).contains("nosuch"));
        assert!(refused(&["speak", "hello", "-o", "no/such/folder/a.wav"], dir.path()).contains("cannot write"));
    }
    assert!(!dir.path().join("a.wav").exists());
}

#[test]
fn a_missing_model_names_the_command_that_fetches_it() {
    let dir = tempfile::tempdir().unwrap();
    let clip = sounds::Clip { sample_rate: 16_000, channels: 1, samples: vec![0.1; 16_000] };
    std::fs::write(dir.path().join("a.wav"), sounds::encode(&clip, sounds::Format::Wav).unwrap()).unwrap();
    for arguments in [vec!["transcribe", "a.wav"], vec!["speak", "hello", "-o", "b.wav", "--engine", "piper"]] {
        let out = Command::new(env!("CARGO_BIN_EXE_omnimind"))
            .arg("audio")
            .args(&arguments)
            .current_dir(dir.path())
            .env("OMNIMIND_CACHE", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!((out.status.code(), said.trim_end().lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains("`omnimind models fetch`"), "{said}");
    }
}

#[test]
fn an_enrolled_voice_is_known_again_and_a_stranger_is_not() {
    let dir = tempfile::tempdir().unwrap();
    if !is_installed("flite") {
        return;
    }
    let speak = |text: &str, voice: &str, file: &str| {
        works(&["speak", text, "--engine", "flite", "--voice", voice, "-o", file], dir.path());
    };
    speak("I would like you to bring the red cup to the kitchen.", "slt", "a.wav");
    speak("Then go to the living room, and look for the teddy bear.", "slt", "b.ogg");
    speak("Is there a bottle on the table in the study?", "slt", "c.flac");
    speak("Is there a bottle on the table in the study?", "rms", "d.wav");
    let book = ["--book", "book.json"];
    assert!(refused(&["identify", "c.flac", book[0], book[1]], dir.path()).contains("omnimind audio enroll"));
    let learnt = json(&["enroll", "ann", "a.wav", "b.ogg", book[0], book[1], "--json"], dir.path());
    assert_eq!((learnt["speaker"].as_str(), learnt["samples"].as_i64()), (Some("ann"), Some(2)));
    let known = json(&["identify", "c.flac", book[0], book[1], "--json"], dir.path());
    assert_eq!((known["speaker"].as_str(), known["models"][0]["model"].as_str()), (Some("ann"), Some("resemblyzer_ge2e")));
    let stranger = json(&["identify", "d.wav", book[0], book[1], "--json"], dir.path());
    assert!(stranger["speaker"].is_null() && stranger["similarity"].as_f64() < known["similarity"].as_f64(), "{stranger}");
    assert!(works(&["identify", "c.flac", book[0], book[1]], dir.path()).contains("  ann ("));

    // One after the other in one file: two speakers, one of them by name.
    let mut samples = Vec::new();
    for file in ["a.wav", "d.wav", "b.ogg", "d.wav"] {
        let clip = sounds::read(dir.path().join(file)).unwrap();
        assert_eq!(clip.sample_rate, 16_000);
        samples.extend(clip.mono());
        samples.extend([0.0; 8_000]);
    }
    let clip = sounds::Clip { sample_rate: 16_000, channels: 1, samples };
    std::fs::write(dir.path().join("talk.flac"), sounds::encode(&clip, sounds::Format::Flac).unwrap()).unwrap();
    let talk = json(&["diarise", "talk.flac", book[0], book[1], "--json", "--output", "talk.png"], dir.path());
    assert_eq!(talk["speakers"], serde_json::json!(["ann", "speaker 2"]), "{talk}");
    assert!(talk["turns"].as_array().unwrap().len() >= 4 && dir.path().join("talk.png").is_file());
    std::fs::write(dir.path().join("book.json"), "no book").unwrap();
    assert!(refused(&["identify", "c.flac", book[0], book[1]], dir.path()).contains("not a book of speakers"));
    assert!(refused(&["enroll", " ", "gone.wav", book[0], book[1]], dir.path()).contains("gone.wav"));
}

#[test]
fn the_wake_phrase_is_found_and_other_words_are_not_taken_for_it() {
    let dir = tempfile::tempdir().unwrap();
    if !is_installed("flite") || !recogniser_is_here() {
        return;
    }
    for (text, file) in [("Hey omni, bring the red cup to the kitchen.", "a.wav"), ("Where is the red cup, please?", "b.wav")] {
        works(&["speak", text, "--engine", "flite", "--voice", "slt", "-o", file], dir.path());
    }
    let called = json(&["wake", "a.wav", "--json"], dir.path());
    assert!(called["called"] == true && called["calls"][0]["rest"].as_str().unwrap().contains("red cup"), "{called}");
    let not = json(&["wake", "b.wav", "--json"], dir.path());
    assert!(not["called"] == false && not["calls"].as_array().unwrap().is_empty(), "{not}");
    assert!(works(&["wake", "b.wav"], dir.path()).contains("nobody said \"hey omni\""));
    assert!(refused(&["wake", "a.wav", "--phrase", "?!"], dir.path()).contains("no letters"));
}

#[test]
fn the_direction_of_a_voice_in_a_stereo_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    if !is_installed("flite") {
        return;
    }
    works(&["speak", "Please bring the red cup to the kitchen.", "--engine", "flite", "-o", "a.wav"], dir.path());
    let mono = sounds::read(dir.path().join("a.wav")).unwrap();
    // Microphones 0.2 m apart, the right one 5 samples of 16 kHz late: asin(5 / 16000 * 343.2 / 0.2) = 32.4 degrees to the left.
    let late = 5 * mono.sample_rate as usize / 16_000;
    let samples =
        (0..mono.samples.len()).flat_map(|i| [mono.samples[i], if i < late { 0.0 } else { mono.samples[i - late] }]).collect();
    let stereo = sounds::Clip { sample_rate: mono.sample_rate, channels: 2, samples };
    std::fs::write(dir.path().join("b.flac"), sounds::encode(&stereo, sounds::Format::Flac).unwrap()).unwrap();
    let found = json(&["direction", "b.flac", "--spacing", "0.2", "--json"], dir.path());
    let bearing = found["segments"][0]["bearing_deg"].as_f64().unwrap();
    assert!((bearing - 32.4).abs() < 5.0, "{bearing}");
    assert!(works(&["direction", "b.flac", "--spacing", "0.2"], dir.path()).contains("to the left"));
    assert!(refused(&["direction", "b.flac", "--spacing", "9"], dir.path()).contains("0.01 to 1 m"));
}
