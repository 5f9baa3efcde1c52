//! The node's speaking half: the service and the action, and the voice played chunk by chunk.

use super::{Audio, algorithm_provenance};
use crate::features::SAMPLE_RATE;
use crate::speech_queue::SpeechQueue;
use crate::tts::{Speech, SynthesizeError, Synthesizer};
use graph::{Context, GoalHandle, GoalId, HandlerResult, Level, NodeError, Param, Publisher, Qos, Setup, SetupError, Time};
use msgs::omnimind_msgs::action::{Speak, SpeakFeedback, SpeakGoal, SpeakResult};
use msgs::omnimind_msgs::msg::AudioChunk;
use msgs::omnimind_msgs::srv::{Synthesize, SynthesizeRequest, SynthesizeResponse};
use msgs::std_msgs::msg::Header;
use std::time::Duration;

/// Length of one chunk of the robot's voice.
const CHUNK_MS: u64 = 20;
/// The room goes on sounding after the robot has spoken, s.
const OWN_ECHO_S: f64 = 0.3;
/// Chunks between two reports of progress while speaking.
const FEEDBACK_EVERY: u64 = 25;

/// What the node has for speaking.
pub(super) struct Speaking {
    voice: Publisher<AudioChunk>,
    voice_name: Param<String>,
    synthesizer: Option<Synthesizer>,
    queue: SpeechQueue<GoalHandle<Speak>>,
    spoken_chunks: u64,
    deaf_until: Option<Time>,
}

/// Declares the parameters, the service and the action of speaking.
pub(super) fn declare(s: &mut Setup<Audio>) -> Result<Speaking, SetupError> {
    let voice_name = s
        .param("tts_voice", String::new())
        .describe("voice of the synthesiser, empty for its default (flite: slt, rms, awb, kal16; espeak-ng: en-us, en-gb, ...)")
        .declare()?;
    let engine = s
        .param("tts_engine", "auto".to_owned())
        .one_of(&["auto", "flite", "espeak-ng", "none"])
        .describe("speech synthesiser program; auto takes flite before espeak-ng, none speaks as text only")
        .read_only()
        .declare()?;
    let synthesizer = Synthesizer::find(&engine.get(), &std::env::var_os("PATH").unwrap_or_default()).ok();
    let voice = s.publisher::<AudioChunk>("speaker/audio", Qos::reliable(50))?;
    s.service::<Synthesize>("audio/synthesize", Audio::on_synthesize)?;
    s.action_server::<Speak>("speak", Audio::on_speak, Audio::on_speak_cancel)?;
    s.timer(Duration::from_millis(CHUNK_MS), Audio::speak_on)?;
    Ok(Speaking { voice, voice_name, synthesizer, queue: SpeechQueue::new(), spoken_chunks: 0, deaf_until: None })
}

impl Speaking {
    /// Says on the diagnostics what speaks.
    pub(super) fn report(&self, ctx: &mut Context) {
        match &self.synthesizer {
            Some(s) => ctx.status(Level::Ok, "speech synthesis", s.engine().name()),
            None => ctx.status(Level::Warn, "speech synthesis", format!("text only: {}", SynthesizeError::NoEngine)),
        }
    }

    /// Whether sound of this time is the robot's own voice or its echo.
    pub(super) fn deafens(&self, stamp: Time) -> bool {
        !self.queue.is_empty() || self.deaf_until.is_some_and(|t| stamp < t)
    }
}

impl Audio {
    fn say(&self, text: &str, voice: &str) -> Result<Speech, SynthesizeError> {
        let voice = if voice.is_empty() { self.speaking.voice_name.get() } else { voice.to_owned() };
        self.speaking.synthesizer.as_ref().ok_or(SynthesizeError::NoEngine)?.speak(text, &voice)
    }

    fn on_synthesize(&mut self, ctx: &mut Context, request: SynthesizeRequest) -> Result<SynthesizeResponse, NodeError> {
        Ok(match self.say(&request.text, &request.voice) {
            Ok(speech) => SynthesizeResponse {
                success: true,
                message: String::new(),
                provenance: algorithm_provenance(speech.engine.name(), &speech.voice, false),
                audio: voice_chunk(ctx.now(), speech.samples),
            },
            Err(e) => SynthesizeResponse {
                success: false,
                message: e.to_string(),
                provenance: algorithm_provenance("none", "", true),
                ..SynthesizeResponse::default()
            },
        })
    }

    fn on_speak(&mut self, ctx: &mut Context, handle: GoalHandle<Speak>) -> HandlerResult {
        let SpeakGoal { text } = handle.goal().clone();
        if text.trim().is_empty() {
            handle.reject(ctx);
            return Ok(());
        }
        ctx.info(format!("says: {text}"));
        match self.say(&text, "") {
            Ok(speech) => {
                let reason = format!("spoken by {} with voice {}", speech.engine.name(), speech.voice);
                self.speaking.queue.push(handle, speech.samples, reason);
            }
            Err(e @ SynthesizeError::NoEngine) => {
                let reason = format!("said as text only: {e}");
                handle.succeed(ctx, SpeakResult { success: true, reason, duration: 0.0 });
            }
            Err(e) => {
                ctx.status(Level::Warn, "speech synthesis", e.to_string());
                handle.abort(ctx, SpeakResult { success: false, reason: e.to_string(), duration: 0.0 });
            }
        }
        Ok(())
    }

    fn on_speak_cancel(&mut self, ctx: &mut Context, id: GoalId) -> HandlerResult {
        if let Some(stopped) = self.speaking.queue.cancel(|handle| handle.id() == id) {
            let duration = stopped.played as f32 / SAMPLE_RATE as f32;
            let reason = "stopped while speaking".to_owned();
            stopped.handle.canceled(ctx, SpeakResult { success: false, reason, duration });
        }
        Ok(())
    }

    /// Plays the next piece of the robot's voice, in real time of the graph's clock.
    fn speak_on(&mut self, ctx: &mut Context) -> HandlerResult {
        let n = (u64::from(SAMPLE_RATE) * CHUNK_MS / 1_000) as usize;
        let Some(turn) = self.speaking.queue.turn(n) else { return Ok(()) };
        let chunk = voice_chunk(ctx.now(), turn.chunk);
        self.speaking.voice.publish(ctx, chunk);
        self.speaking.spoken_chunks += 1;
        self.speaking.deaf_until = Some(ctx.now() + Duration::from_secs_f64(OWN_ECHO_S + CHUNK_MS as f64 * 1e-3));
        if let Some(done) = turn.finished {
            let duration = done.samples.len() as f32 / SAMPLE_RATE as f32;
            done.handle.succeed(ctx, SpeakResult { success: true, reason: done.reason, duration });
        } else if self.speaking.spoken_chunks.is_multiple_of(FEEDBACK_EVERY)
            && let Some(handle) = self.speaking.queue.current()
        {
            handle.feedback(ctx, SpeakFeedback { progress: turn.progress });
        }
        Ok(())
    }
}

fn voice_chunk(now: Time, samples: Vec<f32>) -> AudioChunk {
    AudioChunk {
        header: Header { stamp: now.to_msg(), frame_id: "base_link".to_owned() },
        sample_rate: SAMPLE_RATE,
        channels: 1,
        samples,
    }
}
