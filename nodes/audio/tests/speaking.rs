//! The node's speaking half on the bench: the queue, what is urgent, and people who interrupt.

mod common;

use common::{requests, sound, vocabulary};
use graph::testing::Bench;
use graph::{ActionClient, Context, GoalId, HandlerResult, Node, Outcome, Publisher, Qos, Setup, SetupError};
use msgs::omnimind_msgs::action::{Speak, SpeakGoal, SpeakResult};
use msgs::omnimind_msgs::msg::{AudioChunk, Spectrogram, Transcript};
use msgs::omnimind_msgs::srv::{Synthesize, SynthesizeRequest};
use msgs::std_msgs::msg::{Header, String as Text};
use msgs::std_srvs::srv::{Trigger, TriggerRequest};
use omnimind_audio::Audio;
use omnimind_audio::wer::contains_phrase;
use std::sync::Arc;
use std::time::Duration;

/// Sends what comes on `asker/say` ("2 careful" with priority 2) to the action and tells how each ended.
struct Asker {
    client: ActionClient<Speak>,
    ended: Publisher<Text>,
}

impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("asker/say", Qos::reliable(50), |n: &mut Self, c, m: Arc<Text>| {
            let (priority, text) = m.data.split_once(' ').unwrap();
            n.client.send(c, SpeakGoal { text: text.to_owned(), priority: priority.parse().unwrap() });
            Ok(())
        })?;
        let client = s.action_client::<Speak>("speak", |_, _, _, _| Ok(()), Self::done)?;
        Ok(Self { client, ended: s.publisher("asker/ended", Qos::reliable(50))? })
    }
}

impl Asker {
    fn done(&mut self, ctx: &mut Context, _: GoalId, outcome: Outcome<Speak>) -> HandlerResult {
        let told = |how: &str, r: SpeakResult| {
            format!("{how}|{}|{}|{:.2}|{}|{}", r.success, r.interrupted, r.duration, r.said, r.reason)
        };
        let data = match outcome {
            Outcome::Succeeded(r) => told("succeeded", r),
            Outcome::Aborted(r) => told("aborted", r),
            Outcome::Canceled(r) => told("canceled", r),
            _ => "rejected".to_owned(),
        };
        self.ended.publish(ctx, Text { data });
        Ok(())
    }
}

fn bench(parameters: &[(&str, graph::ParamValue)]) -> Option<Bench> {
    let mut bench = Bench::new();
    let mut all = parameters.to_vec();
    all.push(("wake_phrase", "".into()));
    for quick in ["transcribe", "identify_speakers"] {
        if !parameters.iter().any(|(name, _)| *name == quick) {
            all.push((quick, false.into()));
        }
    }
    bench.add::<Audio>(&all).unwrap();
    bench.add::<Asker>(&[]).unwrap();
    bench.run_for(Duration::from_millis(20));
    if bench.status("audio", "speech synthesis").is_none_or(|(level, _)| level != graph::Level::Ok) {
        println!("skipped: neither flite nor espeak-ng is installed");
        return None;
    }
    Some(bench)
}

fn say(bench: &mut Bench, line: &str) {
    bench.publish("asker/say", Text { data: line.to_owned() });
    bench.run_for(Duration::from_millis(10));
}

fn ended(bench: &mut Bench) -> Vec<String> {
    bench.take::<Text>("asker/ended").into_iter().map(|m| m.data.clone()).collect()
}

/// A room with a microphone: what the loudspeaker plays comes back at `echo`, with a tail, and somebody may speak.
struct Room {
    echo: f32,
    played: Vec<f32>,
    heard: usize,
}

impl Room {
    /// Runs for 20 ms at a time, so long, with a person who says `voice` from now on.
    fn run(&mut self, bench: &mut Bench, seconds: f64, voice: &[f32]) -> usize {
        let mut spoken = 0;
        for k in 0..(seconds * 50.0) as usize {
            let stamp = graph::Time::from_nanos(self.heard as i64 * 62_500).to_msg();
            let samples: Vec<f32> = (0..320)
                .flat_map(|i| {
                    let at = self.heard + i;
                    let back = |delay: usize| at.checked_sub(delay).and_then(|j| self.played.get(j)).copied().unwrap_or(0.0);
                    let echo = back(400) + 0.5 * back(1_100) - 0.3 * back(2_300) + 0.2 * back(3_900);
                    let noise = ((at.wrapping_mul(2_654_435_761) >> 7) % 2_001) as f32 / 1_000_000.0 - 0.001;
                    let person = voice.get(k * 320 + i).copied().unwrap_or(0.0);
                    [self.echo * echo + person + noise; 2]
                })
                .collect();
            self.heard += 320;
            let header = Header { stamp, frame_id: "microphone".to_owned() };
            bench.publish("microphone/audio", AudioChunk { header, sample_rate: 16_000, channels: 2, samples });
            bench.run_for(Duration::from_millis(20));
            let mut now = vec![0.0; 320];
            for chunk in bench.take::<AudioChunk>("speaker/audio") {
                spoken += chunk.samples.len();
                now[..chunk.samples.len()].copy_from_slice(&chunk.samples);
            }
            self.played.extend(now);
        }
        spoken
    }
}

const LONG: &str = "0 I have looked in the kitchen and in the hall. The red cup is on the table. Now I go to the study, and then I come back to you.";

#[test]
fn texts_are_spoken_in_order_of_priority_and_too_many_are_rejected() {
    let Some(mut bench) = bench(&[("speech_queue", 3.into())]) else { return };
    for line in ["0 one", "0 two", "1 three", "0 four", "7 five"] {
        say(&mut bench, line);
    }
    assert_eq!(ended(&mut bench), ["rejected", "rejected"], "the queue is full; there is no priority 7");
    bench.run_for(Duration::from_secs(6));
    let said: Vec<String> = ended(&mut bench).iter().map(|e| e.split('|').nth(4).unwrap().to_owned()).collect();
    assert_eq!(said, ["one", "three", "two"]);
}

#[test]
fn something_urgent_ends_what_is_being_spoken() {
    let Some(mut bench) = bench(&[]) else { return };
    say(&mut bench, LONG);
    bench.run_for(Duration::from_secs(3));
    say(&mut bench, "2 careful");
    bench.run_for(Duration::from_secs(2));
    let ended = ended(&mut bench);
    assert!(ended[0].starts_with("aborted|false|true|3.0") && ended[0].ends_with("urgent had to be said"), "{ended:?}");
    let said = ended[0].split('|').nth(4).unwrap();
    assert!(said.starts_with("I have looked") && !said.contains("come back"), "{said}");
    assert!(ended[1].starts_with("succeeded|true|false|") && ended[1].contains("|careful|"), "{ended:?}");
}

#[test]
fn the_robots_own_echo_does_not_interrupt_it() {
    for echo in [0.02, 0.15, 0.6] {
        let Some(mut bench) = bench(&[]) else { return };
        let mut room = Room { echo, played: Vec::new(), heard: 0 };
        say(&mut bench, LONG);
        say(&mut bench, LONG);
        room.run(&mut bench, 24.0, &[]);
        let ended = ended(&mut bench);
        assert_eq!(ended.len(), 2);
        assert!(ended.iter().all(|e| e.starts_with("succeeded|true|false|")), "echo {echo}: {ended:?}");
    }
}

#[test]
fn somebody_who_speaks_up_stops_the_robot_and_is_heard_from_the_first_word() {
    let request = &requests()[0];
    let voice: Vec<f32> = sound(request).iter().map(|s| s * 0.8).collect();
    let understands = models::testing::broker_or_skip(&["moonshine_tiny_en", "onnxruntime"]).is_some();
    let Some(mut bench) = bench(&[("transcribe", understands.into()), ("vocabulary", vocabulary().into())]) else { return };
    let mut room = Room { echo: 0.1, played: Vec::new(), heard: 0 };
    say(&mut bench, LONG);
    room.run(&mut bench, 3.0, &[]);
    assert!(ended(&mut bench).is_empty());
    let seconds = voice.len() as f64 / 16_000.0;
    let spoken = room.run(&mut bench, seconds + 1.5, &voice);
    let told = ended(&mut bench);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("aborted|false|true|") && told[0].ends_with("interrupted: somebody spoke"), "{told:?}");
    // It fell silent well before the person was done.
    assert!((spoken as f64 / 16_000.0) < 1.2, "spoke on for {} s", spoken as f64 / 16_000.0);
    // The utterance was cut out from its begin: a mood was told for it, and its stamp is near the begin of the voice.
    let moods = bench.take::<msgs::omnimind_msgs::msg::SpeechEmotion>("speech/emotion");
    assert_eq!(moods.len(), 1);
    let begin = graph::Time::from_msg(&moods[0].header.stamp).as_secs_f64();
    assert!((2.4..3.6).contains(&begin), "{begin}");
    if understands {
        let heard = bench.take::<Transcript>("speech/transcript");
        assert!(
            heard.len() == 1
                && contains_phrase(&heard[0].text, &request.object)
                && contains_phrase(&heard[0].text, &request.room),
            "{heard:?}"
        );
    }
}

/// The sound of the first request, from its first loud sample on.
fn at_once(gain: f32) -> Vec<f32> {
    sound(&requests()[0]).into_iter().skip_while(|s| s.abs() < 0.03).map(|s| s * gain).collect()
}

#[test]
fn who_is_speaking_is_let_finish() {
    let voice = at_once(0.8);
    let Some(mut bench) = bench(&[]) else { return };
    let mut room = Room { echo: 0.1, played: Vec::new(), heard: 0 };
    room.run(&mut bench, 1.0, &[]);
    room.run(&mut bench, 0.6, &voice);
    say(&mut bench, "0 Here I am.");
    let rest = &voice[(0.6 * 16_000.0) as usize..];
    let spoken = room.run(&mut bench, rest.len() as f64 / 16_000.0, rest);
    assert_eq!(spoken, 0, "it spoke while somebody spoke to it");
    let spoken = room.run(&mut bench, 3.0, &[]);
    assert!(spoken > 8_000 && ended(&mut bench)[0].starts_with("succeeded|true|false|"), "{spoken} samples");
    assert_eq!(bench.take::<msgs::omnimind_msgs::msg::SpeechEmotion>("speech/emotion").len(), 1);
}

#[test]
fn nobody_makes_the_robot_wait_for_ever_and_what_is_urgent_does_not_wait() {
    // Somebody who never stops: the same voice again and again.
    let endless: Vec<f32> = at_once(0.8).into_iter().cycle().take(16_000 * 12).collect();
    let Some(mut bench) = bench(&[]) else { return };
    let mut room = Room { echo: 0.1, played: Vec::new(), heard: 0 };
    room.run(&mut bench, 1.0, &[]);
    room.run(&mut bench, 1.0, &endless);
    say(&mut bench, "0 Here I am.");
    let early = room.run(&mut bench, 4.0, &endless[16_000..]);
    let later = room.run(&mut bench, 3.0, &endless[5 * 16_000..]);
    assert!(early == 0 && later > 0, "{early} samples within 4 s, {later} after");

    let Some(mut bench) = self::bench(&[]) else { return };
    let mut room = Room { echo: 0.1, played: Vec::new(), heard: 0 };
    room.run(&mut bench, 1.0, &[]);
    room.run(&mut bench, 1.5, &endless);
    say(&mut bench, "2 Careful!");
    assert!(room.run(&mut bench, 2.0, &[]) > 3_000, "a warning waits for nobody");
    // What was said until then is not thrown away.
    assert_eq!(bench.take::<msgs::omnimind_msgs::msg::SpeechEmotion>("speech/emotion").len(), 1);
}

#[test]
fn an_answer_that_begins_in_the_robots_last_echo_is_heard_from_its_first_syllable() {
    let voice = at_once(0.8);
    let Some(mut bench) = bench(&[]) else { return };
    let mut room = Room { echo: 0.05, played: Vec::new(), heard: 0 };
    say(&mut bench, "0 I have looked in the kitchen and in the hall. Where is the red cup?");
    while ended(&mut bench).is_empty() {
        room.run(&mut bench, 0.02, &[]);
        assert!(room.heard < 16_000 * 20);
    }
    room.run(&mut bench, 0.14, &[]);
    let begin = room.heard as f64 / 16_000.0;
    room.run(&mut bench, voice.len() as f64 / 16_000.0 + 1.0, &voice);
    let moods = bench.take::<msgs::omnimind_msgs::msg::SpeechEmotion>("speech/emotion");
    assert_eq!(moods.len(), 1);
    let heard = graph::Time::from_msg(&moods[0].header.stamp).as_secs_f64();
    assert!((begin - 0.35..begin + 0.1).contains(&heard), "begun at {begin}, heard from {heard}");
}

#[test]
fn words_under_an_urgent_text_end_nothing() {
    let voice = at_once(0.8);
    let Some(mut bench) = bench(&[]) else { return };
    let mut room = Room { echo: 0.1, played: Vec::new(), heard: 0 };
    say(&mut bench, "2 Careful, there is somebody at the stairs. Please step back from the stairs, and wait for me there.");
    room.run(&mut bench, 1.5, &[]);
    say(&mut bench, "0 Later I go to the kitchen.");
    room.run(&mut bench, 10.0, &voice);
    let ended = ended(&mut bench);
    assert!(ended.len() == 2 && ended.iter().all(|e| e.starts_with("succeeded|true|false|")), "{ended:?}");
}

#[test]
fn a_microphone_whose_clock_stands_still_is_heard_again_after_the_robot_spoke() {
    let Some(mut bench) = bench(&[]) else { return };
    say(&mut bench, "0 Here I am.");
    let stuck = |samples: Vec<f32>| AudioChunk { sample_rate: 16_000, channels: 2, samples, ..AudioChunk::default() };
    for _ in 0..700 {
        bench.publish("microphone/audio", stuck(vec![0.0; 640]));
        bench.run_for(Duration::from_millis(20));
    }
    assert!(ended(&mut bench)[0].starts_with("succeeded"));
    for chunk in common::chunks(&common::from_bearing(&sound(&requests()[0]), 0.0, 0.5)) {
        bench.publish("microphone/audio", stuck(chunk.samples));
        bench.run_for(Duration::from_millis(20));
    }
    assert_eq!(bench.take::<msgs::omnimind_msgs::msg::SpeechEmotion>("speech/emotion").len(), 1);
}

#[test]
fn a_text_asked_for_again_comes_from_the_cache_until_it_is_cleared() {
    let Some(mut bench) = bench(&[]) else { return };
    let mut ask = |voice: &str| {
        let request =
            SynthesizeRequest { text: "the cup is here".to_owned(), voice: voice.to_owned(), ..SynthesizeRequest::default() };
        bench.call::<Synthesize>("audio/synthesize", request).unwrap()
    };
    let (first, again) = (ask(""), ask(""));
    assert_eq!((&first.audio.samples, &first.provenance), (&again.audio.samples, &again.provenance));
    assert!(!ask("../etc").success, "what failed is not kept");
    let told = bench.call::<Trigger>("audio/clear_cache", TriggerRequest::default()).unwrap();
    assert_eq!((told.success, told.message.as_str()), (true, "0 transcripts and 1 spoken texts were forgotten"));
}

#[test]
fn without_barge_in_the_robot_talks_on_and_does_not_listen() {
    let voice: Vec<f32> = sound(&requests()[0]).iter().map(|s| s * 0.8).collect();
    let Some(mut bench) = bench(&[("barge_in", false.into())]) else { return };
    let mut room = Room { echo: 0.1, played: Vec::new(), heard: 0 };
    say(&mut bench, LONG);
    room.run(&mut bench, 3.0, &[]);
    room.run(&mut bench, 12.0, &voice);
    assert!(ended(&mut bench)[0].starts_with("succeeded|true|false|"));
}

#[test]
fn the_service_gives_samples_or_a_file_of_each_format() {
    let Some(mut bench) = bench(&[]) else { return };
    let mut ask = |text: &str, format: &str| {
        let request = SynthesizeRequest { text: text.to_owned(), format: format.to_owned(), ..SynthesizeRequest::default() };
        bench.call::<Synthesize>("audio/synthesize", request).unwrap()
    };
    let samples = ask("the cup is here", "").audio.samples;
    let seconds = samples.len() as f64 / 16_000.0;
    for format in sounds::Format::ALL {
        let answer = ask("the cup is here", format.extension());
        assert!(answer.success && answer.audio.samples.is_empty(), "{}", answer.message);
        let clip = sounds::decode(&answer.speech.audio_data).unwrap();
        assert_eq!(sounds::detect(&answer.speech.audio_data), Some(format));
        let allowed_s = if format == sounds::Format::Mp3 { 0.15 } else { 0.001 };
        assert!((clip.duration_s() - seconds).abs() < allowed_s && (f64::from(answer.speech.duration) - seconds).abs() < 0.01);
        assert_eq!((answer.speech.format.as_str(), answer.speech.sample_rate), (format.extension(), clip.sample_rate));
        assert_eq!((answer.speech.text_length, answer.speech.word_count), (15, 4));
        assert!(!answer.speech.voice_id.is_empty() && !answer.speech.provenance.model.is_empty());
    }
    for (text, format, why) in
        [("hello", "opus", "no sound format"), ("", "wav", "empty"), ("a ".repeat(600).as_str(), "", "1000 characters")]
    {
        let answer = ask(text, format);
        assert!(!answer.success && answer.message.contains(why), "{}", answer.message);
    }
}

#[test]
fn the_spectrogram_of_what_is_heard_is_published() {
    let mut bench = Bench::new();
    bench.add::<Audio>(&[("tts_engine", "none".into())]).unwrap();
    let tone: Vec<f32> = (0..32_000).map(|i| 0.5 * (std::f32::consts::TAU * 1_000.0 * (i / 2) as f32 / 16_000.0).sin()).collect();
    for chunk in common::chunks(&tone) {
        bench.publish("microphone/audio", chunk);
        bench.run_for(Duration::from_millis(20));
    }
    let messages = bench.take::<Spectrogram>("audio/spectrogram");
    assert_eq!(messages.len(), 9, "a second without the last frame");
    for (k, m) in messages.iter().enumerate() {
        assert_eq!((m.bands, m.hop, m.max_frequency, m.levels.len()), (96, 0.01, 8_000.0, 960));
        assert_eq!(graph::Time::from_msg(&m.header.stamp).as_nanos(), 16_000_000 + k as i64 * 100_000_000);
        let column = &m.levels[480..576];
        let loudest = (0..96).max_by_key(|b| column[*b]).unwrap();
        assert!((loudest as f32 - omnimind_audio::spectrogram::band_of(1_000.0)).abs() < 1.5);
    }
}
