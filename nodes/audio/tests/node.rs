//! The node on the bench, without its models where it must do without them.

mod common;

use common::chunks;
use graph::testing::Bench;
use graph::{ActionClient, Context, GoalId, HandlerResult, Node, Outcome, Publisher, Qos, Setup, SetupError};
use msgs::omnimind_msgs::action::{Speak, SpeakGoal};
use msgs::omnimind_msgs::msg::{AudioChunk, AudioFeatures, SpeechEmotion, Transcript};
use msgs::omnimind_msgs::srv::{EnrollSpeaker, EnrollSpeakerRequest, Synthesize, SynthesizeRequest};
use omnimind_audio::Audio;
use std::time::Duration;

/// Asks the robot to speak after 100 ms, and says how it ended.
struct Asker {
    client: ActionClient<Speak>,
    said: Publisher<msgs::std_msgs::msg::String>,
    asked: bool,
}

impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let said = s.publisher("asker/outcome", Qos::reliable(10))?;
        s.timer(Duration::from_millis(100), Self::ask)?;
        let client = s.action_client::<Speak>("speak", |_, _, _, _| Ok(()), Self::done)?;
        Ok(Self { client, said, asked: false })
    }
}

impl Asker {
    fn ask(&mut self, ctx: &mut Context) -> HandlerResult {
        if !self.asked {
            self.asked = true;
            self.client.send(ctx, SpeakGoal { text: "I am done.".to_owned(), ..SpeakGoal::default() });
        }
        Ok(())
    }

    fn done(&mut self, ctx: &mut Context, _: GoalId, outcome: Outcome<Speak>) -> HandlerResult {
        let data = match outcome {
            Outcome::Succeeded(r) => format!("{} {} {:.2}", r.success, r.reason, r.duration),
            _ => "not succeeded".to_owned(),
        };
        self.said.publish(ctx, msgs::std_msgs::msg::String { data });
        Ok(())
    }
}

fn hear(bench: &mut Bench, chunks: &[AudioChunk]) {
    for chunk in chunks {
        bench.publish("microphone/audio", chunk.clone());
        bench.run_for(Duration::from_millis(20));
    }
}

fn tone(seconds: usize) -> Vec<f32> {
    (0..seconds * 16_000)
        .flat_map(|i| {
            let s = 0.2 * (std::f32::consts::TAU * 220.0 * i as f32 / 16_000.0).sin();
            [s, s]
        })
        .collect()
}

#[test]
fn an_array_must_have_sensible_places() {
    let add =
        |places: Vec<f64>| Bench::new().add::<Audio>(&[("tts_engine", "none".into()), ("mic_positions", places.into())]).err();
    for bad in [vec![0.1], vec![0.0, 0.1, 0.0, -0.1], vec![0.0; 6], vec![0.0, 0.1, 0.2, 0.3, 99.0, 0.0]] {
        assert!(add(bad.clone()).is_some_and(|e| e.to_string().contains("mic_positions")), "{bad:?}");
    }
    assert!(add(vec![0.05, 0.05, 0.05, -0.05, -0.05, 0.0]).is_none());
}

#[test]
fn a_tone_gives_ten_features_a_second_and_no_words() {
    let mut bench = Bench::new();
    bench.add::<Audio>(&[("tts_engine", "none".into())]).unwrap();
    hear(&mut bench, &chunks(&tone(2)));
    let features = bench.take::<AudioFeatures>("audio/features");
    assert_eq!(features.len(), 20);
    for (k, f) in features.iter().enumerate() {
        assert_eq!(graph::Time::from_msg(&f.header.stamp).as_nanos(), k as i64 * 100_000_000);
        assert_eq!((f.header.frame_id.as_str(), f.sample_rate, f.duration), ("microphone", 16_000, 0.1));
        assert!(f.voiced && (f.pitch - 220.0).abs() < 1.0, "{f:?}");
        assert!((f.rms - 0.1414).abs() < 0.002 && (f.dbfs + 16.99).abs() < 0.1);
        assert!(!f.provenance.simulated && !f.provenance.model.is_empty());
    }
    assert!(bench.take::<Transcript>("speech/transcript").is_empty());
    assert!(bench.take::<SpeechEmotion>("speech/emotion").is_empty());
}

#[test]
fn broken_sound_is_an_error_on_the_diagnostics_and_the_node_lives_on() {
    let mut bench = Bench::new();
    bench.add::<Audio>(&[("tts_engine", "none".into())]).unwrap();
    let mut broken = chunks(&tone(1));
    broken[0].sample_rate = 3;
    broken[1].samples = vec![f32::NAN; 640];
    hear(&mut bench, &broken);
    let features = bench.take::<AudioFeatures>("audio/features");
    assert!(features.len() >= 9 && features.iter().all(|f| f.rms.is_finite() && f.mfcc.iter().all(|c| c.is_finite())));
}

#[test]
fn without_a_synthesiser_the_robot_speaks_as_text_and_says_why() {
    let mut bench = Bench::new();
    bench.add::<Audio>(&[("tts_engine", "none".into())]).unwrap();
    bench.add::<Asker>(&[]).unwrap();
    bench.run_for(Duration::from_millis(500));
    let outcome = bench.take::<msgs::std_msgs::msg::String>("asker/outcome");
    assert!(outcome[0].data.starts_with("true said as text only: no speech synthesiser"), "{}", outcome[0].data);
    assert!(bench.take::<AudioChunk>("speaker/audio").is_empty());
    let (level, why) = bench.status("audio", "speech synthesis").unwrap();
    assert_eq!(level, graph::Level::Warn);
    assert!(why.contains("text only"));

    let request = SynthesizeRequest { text: "hello".to_owned(), voice: String::new(), ..Default::default() };
    let answer = bench.call::<Synthesize>("audio/synthesize", request).unwrap();
    assert!(!answer.success && answer.audio.samples.is_empty() && answer.provenance.degraded);
    assert!(answer.message.contains("install flite"), "{}", answer.message);
}

#[test]
fn with_a_synthesiser_the_voice_is_played_in_time() {
    let mut bench = Bench::new();
    bench.add::<Audio>(&[]).unwrap();
    bench.add::<Asker>(&[]).unwrap();
    bench.run_for(Duration::from_millis(150));
    if bench.status("audio", "speech synthesis").is_none_or(|(level, _)| level != graph::Level::Ok) {
        println!("skipped: neither flite nor espeak-ng is installed");
        return;
    }
    bench.run_for(Duration::from_secs(4));
    let voice = bench.take::<AudioChunk>("speaker/audio");
    let samples: usize = voice.iter().map(|c| c.samples.len()).sum();
    assert!((4_000..48_000).contains(&samples), "{samples} samples");
    assert!(voice.iter().all(|c| c.sample_rate == 16_000 && c.channels == 1 && c.samples.len() <= 320));
    let times: Vec<i64> = voice.iter().map(|c| graph::Time::from_msg(&c.header.stamp).as_nanos()).collect();
    assert!(times.windows(2).all(|w| w[1] - w[0] == 20_000_000));
    let outcome = bench.take::<msgs::std_msgs::msg::String>("asker/outcome");
    let want = format!("{:.2}", samples as f64 / 16_000.0);
    assert!(outcome[0].data.starts_with("true spoken by") && outcome[0].data.ends_with(&want), "{}", outcome[0].data);

    let bad = SynthesizeRequest { text: "hello".to_owned(), voice: "--version".to_owned(), ..Default::default() };
    assert!(!bench.call::<Synthesize>("audio/synthesize", bad).unwrap().success);
    let good = SynthesizeRequest { text: "hello".to_owned(), voice: String::new(), ..Default::default() };
    let answer = bench.call::<Synthesize>("audio/synthesize", good).unwrap();
    assert!(answer.success && answer.audio.samples.len() > 4_000, "{}", answer.message);
    assert!(["flite", "espeak-ng"].contains(&answer.provenance.model.as_str()));
}

#[test]
fn an_enrolment_without_a_name_or_sound_is_refused() {
    let mut bench = Bench::new();
    bench.add::<Audio>(&[("tts_engine", "none".into())]).unwrap();
    bench.run_for(Duration::from_millis(20));
    let request = EnrollSpeakerRequest { speaker_id: String::new(), samples: vec![] };
    assert!(!bench.call::<EnrollSpeaker>("audio/enroll_speaker", request).unwrap().success);
    let short = AudioChunk { sample_rate: 16_000, channels: 1, samples: vec![0.1; 100], ..Default::default() };
    let request = EnrollSpeakerRequest { speaker_id: "ann".to_owned(), samples: vec![short] };
    assert!(!bench.call::<EnrollSpeaker>("audio/enroll_speaker", request).unwrap().success);
}
