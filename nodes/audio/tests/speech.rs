//! Real speech through the real networks. Skipped with a printed reason where the models are not in the cache, unless
//! OMNIMIND_REQUIRE_MODELS is set.

mod common;

use common::{chunks, from_bearing, requests, sound, vocabulary};
use graph::testing::Bench;
use graph::{Client, Context, HandlerResult, Node, Publisher, Qos, Setup, SetupError};
use models::testing::broker_or_skip;
use msgs::omnimind_msgs::msg::{AudioChunk, PartialTranscript, SpeakerMatch, SpeechEmotion, Transcript, WakeEvent};
use msgs::omnimind_msgs::srv::{
    EnrollSpeaker, EnrollSpeakerRequest, IdentifySpeaker, IdentifySpeakerRequest, ListSpeakers, ListSpeakersRequest,
    RemoveSpeaker, RemoveSpeakerRequest, Transcribe, TranscribeRequest,
};
use msgs::std_msgs::msg::String as Text;
use msgs::std_srvs::srv::{Trigger, TriggerRequest};
use omnimind_audio::Audio;
use omnimind_audio::diarise::{DiariseSettings, Turn, diarise, error};
use omnimind_audio::long::{self, CutSettings};
use omnimind_audio::noise::{music, pink, white};
use omnimind_audio::recogniser::{Guards, Recogniser};
use omnimind_audio::segmenter::Segmenter;
use omnimind_audio::speaker::{SpeakerEncoder, cosine};
use omnimind_audio::stt::Moonshine;
use omnimind_audio::wer::{contains_phrase, normalised, word_errors, words};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
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
        let parameters = [
            ("tts_engine", "none".into()),
            ("wake_phrase", "".into()),
            ("vocabulary", vocabulary().into()),
            ("report_inference_time", false.into()),
        ];
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
    assert_eq!((t.provenance.model.as_str(), t.provenance.device.as_str()), ("moonshine_tiny_en+prosody_rules", "cpu"));
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

#[test]
fn what_was_said_until_the_robot_speaks_is_an_utterance() {
    let heard = from_bearing(&sound(&requests()[0]), 0.0, 0.5);
    let mut ear = omnimind_audio::ear::Ear::new(Default::default());
    let mut found = Vec::new();
    for (k, chunk) in heard.chunks(640).enumerate() {
        // The voice begins at 0.75 s and is in its midst at 1.8 s.
        let muted = k >= 90;
        found.extend(ear.push(k as i64 * 20_000_000, 16_000, 2, chunk, muted).unwrap().utterances);
    }
    assert_eq!(found.len(), 1);
    let begin = found[0].stamp_ns as f64 * 1e-9;
    let end = begin + found[0].mono.len() as f64 / 16_000.0;
    assert!((0.3..0.9).contains(&begin) && (1.6..1.81).contains(&end), "{begin} to {end}");
}

fn listening(parameters: &[(&str, graph::ParamValue)]) -> Bench {
    let mut bench = Bench::new();
    let mut all = vec![("tts_engine", "none".into()), ("report_inference_time", false.into())];
    if !parameters.iter().any(|(name, _)| *name == "wake_phrase") {
        all.push(("wake_phrase", "".into()));
    }
    all.extend_from_slice(parameters);
    bench.add::<Audio>(&all).unwrap();
    bench.run_for(Duration::from_millis(10));
    bench
}

fn hear(bench: &mut Bench, sound: &[f32]) {
    for chunk in chunks(sound) {
        bench.publish("microphone/audio", chunk);
        bench.run_for(Duration::from_millis(20));
    }
}

fn recording(samples: Vec<f32>) -> AudioChunk {
    AudioChunk { sample_rate: 16_000, channels: 1, samples, ..AudioChunk::default() }
}

#[test]
fn the_long_reading_is_transcribed_in_order_in_segments_below_thirty_seconds() {
    let Some(broker) = broker_or_skip(&MODELS) else { return };
    let clip = omnimind_audio::wav::read(broker.store().locate("moonshine_tiny_en/sample_long").unwrap()).unwrap();
    let samples = omnimind_audio::resample::resample(&clip.mono(), 1, clip.sample_rate, 16_000).unwrap();
    let mut stt = Moonshine::open(&broker).unwrap().with_beam(4);
    let heard = long::transcribe(&mut stt, &samples, "en-GB", &[], &CutSettings::default(), &Guards::default()).unwrap();
    let text = heard.text();
    assert!(
        normalised(&text).len() > 100
            && contains_phrase(&text, "the best of times")
            && contains_phrase(&text, "degree of comparison only"),
        "{text}"
    );
    assert!(heard.segments.len() >= 3 && heard.confidence() > 0.6 && heard.language() == "en");
    assert!(heard.segments.iter().all(|s| s.end_s - s.start_s <= 30.0 && s.speaker.is_none()));
    assert!(heard.segments.windows(2).all(|w| w[0].end_s <= w[1].start_s + 1e-9));
    assert!(heard.segments.last().unwrap().end_s <= samples.len() as f64 / 16_000.0);
}

#[test]
fn noise_silence_tones_and_music_give_no_text() {
    let Some(broker) = broker_or_skip(&MODELS) else { return };
    let mut stt = Moonshine::open(&broker).unwrap();
    let mut rng = Pcg64Mcg::seed_from_u64(4);
    let n = 10 * 16_000;
    let sounds = [
        ("silence", vec![0.0; n]),
        ("white noise", white(n, &mut rng).iter().map(|s| 0.2 * s).collect()),
        ("pink noise", pink(n, &mut rng)),
        ("tone", (0..n).map(|i| 0.3 * (i as f32 * 0.17).sin()).collect()),
        ("chirp", (0..n).map(|i| 0.3 * (i as f32 * i as f32 * 1e-5).sin()).collect()),
        ("clicks", (0..n).map(|i| if i % 8_000 < 30 { 0.8 } else { 0.0 }).collect()),
        ("music", music(n, 100.0, &mut rng)),
        ("fast music", music(n, 240.0, &mut rng)),
    ];
    for (name, sound) in sounds {
        let heard = long::transcribe(&mut stt, &sound, "", &[], &CutSettings::default(), &Guards::default()).unwrap();
        assert_eq!(heard.text(), "", "{name}");
    }
}

#[test]
fn two_voices_in_turn_are_told_apart_and_one_is_one() {
    let Some(broker) = broker_or_skip(&MODELS) else { return };
    let mut encoder = SpeakerEncoder::open(&broker).unwrap();
    let of = |voice: &str| -> Vec<_> { requests().into_iter().filter(|r| r.voice.contains(voice)).collect() };
    let (slt, rms) = (of(":slt:"), of(":rms:"));
    let mut samples = vec![0.0; 8_000];
    let mut turns = Vec::new();
    for (k, r) in [&slt[0], &slt[1], &rms[0], &rms[1], &slt[2], &slt[3], &rms[2], &rms[3]].into_iter().enumerate() {
        let start_s = samples.len() as f64 / 16_000.0;
        samples.extend(sound(r));
        turns.push(Turn { start_s, end_s: samples.len() as f64 / 16_000.0, speaker: k / 2 % 2 });
        samples.extend(vec![0.0; 4_800]);
    }
    let found = diarise(&mut encoder, &samples, &DiariseSettings::default()).unwrap();
    assert_eq!(found.voices.len(), 2);
    let e = error(&turns, &found.turns, 0.25);
    assert!(e.rate() < 0.1, "{e:?}");
    assert!(found.turns.windows(2).all(|w| w[0].end_s <= w[1].start_s));
    let one: Vec<f32> = slt[..4].iter().flat_map(sound).collect();
    assert_eq!(diarise(&mut encoder, &one, &DiariseSettings::default()).unwrap().voices.len(), 1);
    assert_eq!(diarise(&mut encoder, &[0.0; 50_000], &DiariseSettings::default()).unwrap(), Default::default());
}

#[test]
fn a_recording_is_transcribed_with_its_speakers_by_a_service() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = listening(&[("vocabulary", vocabulary().into())]);
    let of = |voice: &str| -> Vec<_> { requests().into_iter().filter(|r| r.voice.contains(voice)).take(2).collect() };
    let mut samples = vec![0.0; 8_000];
    for r in of(":slt:").iter().chain(&of(":rms:")) {
        samples.extend(sound(r));
        samples.extend(vec![0.0; 9_600]);
    }
    let enroll =
        EnrollSpeakerRequest { speaker_id: "ann".to_owned(), samples: of(":slt:").iter().map(|r| recording(sound(r))).collect() };
    assert!(bench.call::<EnrollSpeaker>("audio/enroll_speaker", enroll).unwrap().success);
    let request = TranscribeRequest { audio: recording(samples), language: "en".to_owned(), diarise: true };
    let answer = bench.call::<Transcribe>("audio/transcribe", request).unwrap();
    assert!(answer.success, "{}", answer.message);
    let t = answer.transcript;
    assert_eq!((t.num_speakers, t.language.as_str()), (2, "en"));
    assert!(
        t.segments.len() >= 2 && t.segments[0].speaker_id == "ann" && t.segments.last().unwrap().speaker_id == "speaker_1",
        "{:?}",
        t.segments
    );
    assert!(contains_phrase(&t.text, &of(":slt:")[0].object));

    for (audio, language, expected) in [
        (recording(sound(&of(":slt:")[0])), "xx", "does not know the language `xx`"),
        (recording(vec![0.0; 16_000 * 601]), "", "more than the 600 s"),
        (AudioChunk { sample_rate: 0, ..recording(vec![0.1; 100]) }, "", "at 0 Hz"),
        (AudioChunk { channels: 0, ..recording(vec![0.1; 100]) }, "", "0 channels"),
    ] {
        let request = TranscribeRequest { audio, language: language.to_owned(), diarise: false };
        let answer = bench.call::<Transcribe>("audio/transcribe", request).unwrap();
        assert!(!answer.success && answer.message.contains(expected), "{}", answer.message);
    }
}

#[test]
fn a_recording_whose_speakers_cannot_be_told_apart_says_so() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = listening(&[("identify_speakers", false.into())]);
    let request = |diarise| TranscribeRequest { audio: recording(sound(&requests()[0])), language: "en".to_owned(), diarise };
    let answer = bench.call::<Transcribe>("audio/transcribe", request(true)).unwrap();
    assert!(answer.success && answer.message.contains("not told apart: the parameter identify_speakers is off"), "{answer:?}");
    assert!(answer.transcript.provenance.degraded && answer.transcript.segments.iter().all(|s| s.speaker_id.is_empty()));
    let plain = bench.call::<Transcribe>("audio/transcribe", request(false)).unwrap();
    assert!(plain.success && plain.message.is_empty() && !plain.transcript.provenance.degraded, "{plain:?}");
}

#[test]
fn a_recording_is_transcribed_once_while_the_robot_goes_on_hearing() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let mut bench = listening(&[]);
    let samples: Vec<f32> = requests().iter().take(6).flat_map(|r| [sound(r), vec![0.0; 16_000]].concat()).collect();
    let mut request = TranscribeRequest { audio: recording(samples), language: String::new(), diarise: false };
    let first = bench.call::<Transcribe>("audio/transcribe", request.clone()).unwrap();
    assert!(first.success && first.transcript.segments.len() >= 6, "{first:?}");
    request.audio.header.frame_id = "another".to_owned();
    let again = bench.call::<Transcribe>("audio/transcribe", request.clone()).unwrap();
    assert_eq!(again.transcript.header.frame_id, "another");
    assert_eq!((&again.transcript.text, &again.transcript.segments), (&first.transcript.text, &first.transcript.segments));
    let told = bench.call::<Trigger>("audio/clear_cache", TriggerRequest::default()).unwrap();
    assert!(told.message.starts_with("1 transcripts"), "{}", told.message);

    // A second one while the first is worked on is refused; what the robot hears meanwhile is not lost.
    bench.add::<Asking>(&[]).unwrap();
    bench.run_for(Duration::from_millis(10));
    hear(&mut bench, &from_bearing(&sound(&requests()[0]), 0.0, 0.5));
    bench.run_for(Duration::from_secs(2));
    let answers: Vec<String> = bench.take::<Text>("asking/answers").iter().map(|m| m.data.clone()).collect();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers[0].starts_with("false busy") && answers[1].starts_with("true"), "{answers:?}");
    assert_eq!(bench.take::<Transcript>("speech/transcript").len(), 1);
}

/// Asks for two transcripts at once and publishes the answers.
struct Asking {
    client: Client<Transcribe>,
    answers: Publisher<Text>,
}

impl Node for Asking {
    const NAME: &'static str = "asking";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let client = s.client::<Transcribe>("audio/transcribe", |n: &mut Self, ctx, _, answer| {
            let data = answer.map_or_else(|e| e.to_string(), |a| format!("{} {}", a.success, a.message));
            n.answers.publish(ctx, Text { data });
            Ok(())
        })?;
        Ok(Self { client, answers: s.publisher("asking/answers", Qos::reliable(10))? })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        for skip in 0..2 {
            let some = requests().into_iter().skip(skip).take(4);
            let samples = some.flat_map(|r| [sound(&r), vec![0.0; 16_000]].concat()).collect();
            let request = TranscribeRequest { audio: recording(samples), language: String::new(), diarise: false };
            self.client.call(ctx, request);
        }
        Ok(())
    }
}

#[test]
fn words_come_while_somebody_speaks_and_the_transcript_takes_their_place() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let request = &requests()[0];
    let stream = from_bearing(&sound(request), 0.0, 0.5);
    let mut bench = listening(&[("partial_interval_s", 0.5.into())]);
    hear(&mut bench, &stream);
    let parts = bench.take::<PartialTranscript>("speech/partial");
    let whole = bench.take::<Transcript>("speech/transcript");
    assert!(parts.len() >= 3 && whole.len() == 1, "{} partial results", parts.len());
    assert!(parts.iter().all(|p| p.header.stamp == whole[0].header.stamp && p.text.is_char_boundary(p.stable_bytes as usize)));
    assert!(parts.windows(2).all(|w| w[1].duration >= w[0].duration + 0.499));
    assert!(parts.iter().any(|p| p.stable_bytes > 0));
    let mut silent = listening(&[("partial_interval_s", 0.0.into())]);
    hear(&mut silent, &stream);
    assert!(silent.take::<PartialTranscript>("speech/partial").is_empty());
    assert_eq!(silent.take::<Transcript>("speech/transcript"), whole, "the partial results change nothing");
}

#[test]
fn with_a_wake_phrase_only_what_follows_it_is_a_command() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let all = requests();
    let called = all.iter().find(|r| r.text.starts_with("Hey Omni") && r.voice.contains(":slt:")).unwrap();
    let plain = all.iter().find(|r| !r.text.starts_with("Hey Omni") && r.voice.contains(":slt:")).unwrap();
    let mut bench = listening(&[("wake_phrase", "hey omni".into()), ("wake_listen_s", 5.0.into())]);
    let stream: Vec<f32> = [plain, called, plain].iter().flat_map(|r| from_bearing(&sound(r), 0.0, 0.5)).collect();
    hear(&mut bench, &stream);
    let events = bench.take::<WakeEvent>("speech/wake");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].listening == 5.0 && events[0].phrase == "hey omni" && contains_phrase(&events[0].rest, &called.room),
        "{events:?}"
    );
    let said = bench.take::<Transcript>("speech/transcript");
    assert_eq!(said.len(), 2, "the first request was not for the robot: {said:?}");
    assert_eq!(said[0].header.stamp, events[0].header.stamp);
}

#[test]
fn the_phrase_is_likely_only_where_it_was_said() {
    let Some(broker) = broker_or_skip(&MODELS) else { return };
    let mut stt = Moonshine::open(&broker).unwrap();
    let mut likely = |called: bool| -> Vec<f32> {
        let of = requests().into_iter().filter(|r| r.text.starts_with("Hey Omni") == called).step_by(3);
        of.map(|r| stt.spot(&sound(&r), "hey omni", -13.0).unwrap().unwrap().log_probability).collect()
    };
    let (said, not_said) = (likely(true), likely(false));
    let least = said.iter().copied().fold(f32::MAX, f32::min);
    let most = not_said.iter().copied().fold(f32::MIN, f32::max);
    assert!(least > most, "{said:?} {not_said:?}");
    assert_eq!(stt.spot(&vec![0.1; 16_000], " ,.", -13.0).unwrap(), None);
}

#[test]
fn speakers_are_kept_over_a_restart_listed_identified_and_removed() {
    if broker_or_skip(&MODELS).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("speakers.json").to_string_lossy().into_owned();
    let parameters = [("speakers_file", file.as_str().into())];
    let of = |voice: &str| -> Vec<AudioChunk> {
        requests().iter().filter(|r| r.voice.contains(voice)).take(4).map(|r| recording(sound(r))).collect()
    };
    let mut bench = listening(&parameters);
    for (name, voice) in [("ann", ":slt:"), ("bob", ":rms:")] {
        let request = EnrollSpeakerRequest { speaker_id: name.to_owned(), samples: of(voice)[..3].to_vec() };
        assert!(bench.call::<EnrollSpeaker>("audio/enroll_speaker", request).unwrap().success);
    }
    drop(bench);

    let mut bench = listening(&parameters);
    let list = bench.call::<ListSpeakers>("audio/list_speakers", ListSpeakersRequest::default()).unwrap();
    assert_eq!((list.speaker_ids, list.samples), (vec!["ann".to_owned(), "bob".to_owned()], vec![3, 3]));
    let identify = |bench: &mut Bench, voice: &str| {
        let request = IdentifySpeakerRequest { audio: of(voice)[3].clone() };
        bench.call::<IdentifySpeaker>("audio/identify_speaker", request).unwrap()
    };
    assert_eq!(identify(&mut bench, ":slt:").speaker_id, "ann");
    assert_eq!(identify(&mut bench, ":rms:").speaker_id, "bob");
    let stranger = identify(&mut bench, ":awb:");
    assert!(stranger.success && stranger.speaker_id.is_empty() && stranger.similarity > 0.0, "{stranger:?}");
    let remove = |name: &str| RemoveSpeakerRequest { speaker_id: name.to_owned() };
    assert!(bench.call::<RemoveSpeaker>("audio/remove_speaker", remove("ann")).unwrap().success);
    assert!(!bench.call::<RemoveSpeaker>("audio/remove_speaker", remove("ann")).unwrap().success);
    assert_eq!(identify(&mut bench, ":slt:").speaker_id, "");
    drop(bench);

    // A damaged file: said on the diagnostics, kept aside, nobody is known.
    std::fs::write(&file, "{ damaged").unwrap();
    let mut bench = listening(&parameters);
    let (level, why) = bench.status("audio", "known speakers").unwrap();
    assert!(level == graph::Level::Error && why.contains("kept as") && why.contains(".damaged-1"), "{why}");
    assert!(bench.call::<ListSpeakers>("audio/list_speakers", ListSpeakersRequest::default()).unwrap().speaker_ids.is_empty());
    drop(bench);

    // A file that cannot be read (here a folder) is not written over.
    let folder_path = folder.path().to_string_lossy().into_owned();
    let mut bench = listening(&[("speakers_file", folder_path.as_str().into())]);
    let request = EnrollSpeakerRequest { speaker_id: "ann".to_owned(), samples: of(":slt:")[..3].to_vec() };
    let answer = bench.call::<EnrollSpeaker>("audio/enroll_speaker", request).unwrap();
    assert!(!answer.success && answer.message.contains("the file is left as it is"), "{}", answer.message);
}
