//! Real speech through the real networks. Skipped with a printed reason where the models are not in the cache, unless
//! OMNIMIND_REQUIRE_MODELS is set.

mod common;

use common::{chunks, from_bearing, requests, sound, vocabulary};
use graph::testing::Bench;
use models::testing::broker_or_skip;
use msgs::omnimind_msgs::msg::{AudioChunk, SpeakerMatch, SpeechEmotion, Transcript};
use msgs::omnimind_msgs::srv::{EnrollSpeaker, EnrollSpeakerRequest};
use omnimind_audio::Audio;
use omnimind_audio::segmenter::Segmenter;
use omnimind_audio::speaker::{SpeakerEncoder, cosine};
use omnimind_audio::stt::Moonshine;
use omnimind_audio::wer::{contains_phrase, word_errors, words};
use std::time::Duration;

const MODELS: [&str; 3] = ["moonshine_tiny_en", "resemblyzer_ge2e", "onnxruntime"];

#[test]
fn the_reference_recording_is_transcribed() {
    let Some(broker) = broker_or_skip(&MODELS) else { return };
    let clip = omnimind_audio::wav::read(broker.store().locate("moonshine_tiny_en/sample").unwrap()).unwrap();
    let mut stt = Moonshine::open(&broker).unwrap();
    let text = stt.transcribe(&clip.mono()).unwrap();
    let reference = words("Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.");
    assert!(word_errors(&reference, &words(&text.text)) <= 1, "{}", text.text);
    assert!(text.confidence > 0.7 && !text.stopped && text.device == "cpu");
    // The same once more, and with a wider search.
    let again = stt.transcribe(&clip.mono()).unwrap();
    assert_eq!((&again.text, again.confidence), (&text.text, text.confidence));
    let wide = stt.with_beam(4).transcribe(&clip.mono()).unwrap();
    assert!(word_errors(&reference, &words(&wide.text)) <= 1, "{}", wide.text);
}

#[test]
fn silence_noise_hum_and_tone_make_no_utterance() {
    let mut state = 5_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let silence = vec![0.0; 80_000];
    let hiss: Vec<f32> = (0..80_000).map(|_| 0.05 * noise()).collect();
    let hum: Vec<f32> = (0..80_000).map(|i| 0.1 * (i as f32 * 0.0393).sin()).collect();
    let tone: Vec<f32> = (0..80_000).map(|i| 0.2 * (i as f32 * 0.0864).sin()).collect();
    for sound in [silence, hiss, hum, tone] {
        let mut segmenter = Segmenter::new(1, Default::default(), Default::default());
        let mut begun = vec![0.0; 16_000];
        begun.extend(sound);
        let pushed = segmenter.push(&begun);
        assert_eq!((pushed.utterances.len(), segmenter.flush()), (0, None));
    }
}

#[test]
fn a_spoken_request_becomes_a_transcript_with_bearing_speaker_and_mood() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let request = &requests()[0];
    let bearing = 0.6;
    let heard = chunks(&from_bearing(&sound(request), bearing, 0.4));
    let run = || {
        let mut bench = Bench::new();
        let parameters =
            [("tts_engine", "none".into()), ("vocabulary", vocabulary().into()), ("report_inference_time", false.into())];
        bench.add::<Audio>(&parameters).unwrap();
        bench.run_for(Duration::from_millis(10));
        for chunk in &heard {
            bench.publish("microphone/audio", chunk.clone());
            bench.run_for(Duration::from_millis(20));
        }
        let transcripts = bench.take::<Transcript>("speech/transcript");
        let speakers = bench.take::<SpeakerMatch>("speech/speaker");
        let moods = bench.take::<SpeechEmotion>("speech/emotion");
        (transcripts, speakers, moods)
    };
    let (transcripts, speakers, moods) = run();
    assert_eq!((transcripts.len(), speakers.len(), moods.len()), (1, 1, 1));
    let t = &transcripts[0];
    assert!(contains_phrase(&t.text, &request.object) && contains_phrase(&t.text, &request.room), "{}", t.text);
    assert!((f64::from(t.direction) - bearing).abs() < 0.1, "bearing {}", t.direction);
    assert_eq!((t.segments.len(), t.language.as_str(), t.num_speakers), (1, "en", 1));
    assert_eq!((t.provenance.model.as_str(), t.provenance.device.as_str()), ("moonshine_tiny_en", "cpu"));
    assert!(!t.provenance.simulated && !t.provenance.degraded);
    // The voice begins 0.75 s after the start of the stream; there are 0.3 s of pre-roll.
    let begin = graph::Time::from_msg(&t.header.stamp).as_secs_f64();
    assert!((0.3..0.9).contains(&begin), "{begin}");
    assert_eq!(speakers[0].speaker_id, "");
    assert!((speakers[0].embedding.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
    assert!(moods[0].provenance.degraded && moods[0].provenance.model == "prosody_rules");

    assert_eq!(run(), (transcripts, speakers, moods), "the same sound gives the same messages");
}

#[test]
fn an_enrolled_speaker_is_named_and_another_is_not() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let all = requests();
    let voice = |r: &common::Request| r.voice.split(':').nth(1).unwrap().to_owned();
    let first = voice(&all[0]);
    let same: Vec<_> = all.iter().filter(|r| voice(r) == first).take(4).collect();
    let other = all.iter().find(|r| voice(r) != first).unwrap();
    let mut bench = Bench::new();
    bench.add::<Audio>(&[("tts_engine", "none".into()), ("transcribe", false.into())]).unwrap();
    bench.run_for(Duration::from_millis(10));
    let sample =
        |r: &common::Request| AudioChunk { sample_rate: 16_000, channels: 1, samples: sound(r), ..AudioChunk::default() };
    let samples = same[1..].iter().map(|r| sample(r)).collect();
    let request = EnrollSpeakerRequest { speaker_id: "ann".to_owned(), samples };
    let answer = bench.call::<EnrollSpeaker>("audio/enroll_speaker", request).unwrap();
    assert!(answer.success && answer.confidence > 0.8, "{answer:?}");

    let mut stream = from_bearing(&sound(same[0]), 0.0, 0.5);
    stream.extend(from_bearing(&sound(other), 0.0, 0.5));
    for chunk in chunks(&stream) {
        bench.publish("microphone/audio", chunk);
        bench.run_for(Duration::from_millis(20));
    }
    let matches = bench.take::<SpeakerMatch>("speech/speaker");
    let names: Vec<&str> = matches.iter().map(|m| m.speaker_id.as_str()).collect();
    assert_eq!(names, ["ann", ""], "{:?}", matches.iter().map(|m| m.similarity).collect::<Vec<_>>());
}

#[test]
fn embeddings_tell_the_voices_apart() {
    let Some(broker) = broker_or_skip(&MODELS) else { return };
    let mut encoder = SpeakerEncoder::open(&broker).unwrap();
    let voices: Vec<(String, Vec<f32>)> = requests()
        .iter()
        .step_by(4)
        .map(|r| (r.voice.split(':').nth(1).unwrap().to_owned(), encoder.embed(&sound(r)).unwrap().vector))
        .collect();
    let (mut right, mut pairs) = (0, 0);
    for (i, a) in voices.iter().enumerate() {
        for b in &voices[..i] {
            pairs += 1;
            right += usize::from((cosine(&a.1, &b.1) >= 0.75) == (a.0 == b.0));
        }
    }
    assert!(right * 20 >= pairs * 19, "{right} of {pairs} pairs are told right");
}

#[test]
fn while_the_robot_speaks_it_does_not_listen() {
    let request = &requests()[0];
    let heard = from_bearing(&sound(request), 0.0, 0.5);
    let mut ear = omnimind_audio::ear::Ear::new(Default::default());
    let mut utterances = [0, 0];
    for (pass, muted) in [(0, true), (1, false)] {
        for (k, chunk) in heard.chunks(640).enumerate() {
            let stamp = (pass * heard.len().div_ceil(640) + k) as i64 * 20_000_000;
            utterances[pass] += ear.push(stamp, 16_000, 2, chunk, muted).unwrap().utterances.len();
        }
    }
    assert_eq!(utterances, [0, 1]);
}
