//! The node's speaking half: the service and the action, and the voice played chunk by chunk; and who is heard meanwhile.

use super::{Audio, algorithm_provenance, model_provenance};
use crate::barge_in::{BargeIn, BargeInSettings};
use crate::features::SAMPLE_RATE;
use crate::speech_queue::{Playing, Rank, SpeechQueue, Turn};
use crate::tts::text::check;
use crate::tts::{Engine, SpeakOptions, Speech, SynthesizeError, Synthesizer, sentences};
use graph::{Context, GoalHandle, GoalId, HandlerResult, Level, NodeError, Param, Publisher, Qos, Setup, SetupError, Time};
use msgs::omnimind_msgs::action::{Speak, SpeakFeedback, SpeakGoal, SpeakResult};
use msgs::omnimind_msgs::msg::{AudioChunk, Provenance, SynthesizedSpeech};
use msgs::omnimind_msgs::srv::{Synthesize, SynthesizeRequest, SynthesizeResponse};
use msgs::std_msgs::msg::Header;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Length of one chunk of the robot's voice.
const CHUNK_MS: u64 = 20;
/// The room goes on sounding after the robot has spoken, s.
const OWN_ECHO_S: f64 = 0.3;
/// Chunks between two reports of progress while speaking.
const FEEDBACK_EVERY: u64 = 25;
/// Longest text of the service, which answers with all of it at once, characters.
const MAX_SERVICE_TEXT: usize = 1_000;
/// What the microphone hears while the robot speaks is kept so long, to be listened to if it was an interruption, s.
const KEPT_S: f64 = 0.8;
/// Listening begins so long before an interruption was sure to be a voice, s.
const PRE_ROLL_S: f64 = 0.3;

/// What the node has for speaking.
pub(super) struct Speaking {
    voice: Publisher<AudioChunk>,
    settings: Settings,
    engine: String,
    synthesizer: Option<Synthesizer>,
    problem: String,
    queue: SpeechQueue<GoalHandle<Speak>>,
    spoken_chunks: u64,
    deaf_until: Option<Time>,
    barge_in: BargeIn,
    /// Chunks of the microphone that were held back.
    kept: VecDeque<Arc<AudioChunk>>,
}

struct Settings {
    voice: Param<String>,
    speed: Param<f64>,
    variation: Param<f64>,
    barge_in: Param<bool>,
    report_time: Param<bool>,
}

/// Declares the parameters, the service and the action of speaking.
pub(super) fn declare(s: &mut Setup<Audio>, report_time: &Param<bool>) -> Result<Speaking, SetupError> {
    let settings = Settings {
        voice: s
            .param("tts_voice", String::new())
            .describe(
                "voice of the synthesiser, empty for its default (flite: slt, rms, awb, kal16; espeak-ng: en-us, en-gb, ...; \
                 piper, set at start: a model of the catalogue or an .onnx file)",
            )
            .declare()?,
        speed: s.param("tts_speed", 1.0).range(0.5, 2.0).describe("how fast the robot speaks; 1 is the voice's own").declare()?,
        variation: s
            .param("tts_variation", 0.0)
            .range(0.0, 1.0)
            .describe("how much a piper voice varies; with 0 the same text gives the same sound, 1 is as it was made")
            .declare()?,
        barge_in: s
            .param("barge_in", true)
            .describe("the robot stops speaking when somebody speaks to it; if not, it does not listen while it speaks")
            .declare()?,
        report_time: report_time.clone(),
    };
    let margin_db = s
        .param("barge_in_margin_db", f64::from(BargeInSettings::default().margin_db))
        .unit("dB")
        .range(0.0, 40.0)
        .describe("how far above the robot's own echo a voice must be to interrupt it")
        .read_only()
        .declare()?
        .get() as f32;
    let limit = s
        .param("speech_queue", 8_i64)
        .range(1, 64)
        .describe("texts that may wait to be spoken, the present one included; more are rejected")
        .read_only()
        .declare()?
        .get() as usize;
    let engine = s
        .param("tts_engine", "auto".to_owned())
        .one_of(&["auto", "flite", "espeak-ng", "piper", "none"])
        .describe("speech synthesiser; auto takes flite before espeak-ng, piper needs espeak-ng, none speaks as text only")
        .read_only()
        .declare()?
        .get();
    let voice = s.publisher::<AudioChunk>("speaker/audio", Qos::reliable(50))?;
    s.service::<Synthesize>("audio/synthesize", Audio::on_synthesize)?;
    s.action_server::<Speak>("speak", Audio::on_speak, Audio::on_speak_cancel)?;
    s.timer(Duration::from_millis(CHUNK_MS), Audio::speak_on)?;
    Ok(Speaking {
        voice,
        settings,
        engine,
        synthesizer: None,
        problem: String::new(),
        queue: SpeechQueue::new(limit),
        spoken_chunks: 0,
        deaf_until: None,
        barge_in: BargeIn::new(BargeInSettings { margin_db, ..BargeInSettings::default() }),
        kept: VecDeque::new(),
    })
}

impl Speaking {
    /// Opens the synthesiser and says on the diagnostics what speaks.
    pub(super) fn start(&mut self, ctx: &mut Context) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = if self.engine == "piper" {
            let broker = models::Broker::shared()
                .map_err(|e| SynthesizeError::NoVoice { voice: self.settings.voice.get(), reason: e.to_string() });
            broker.and_then(|broker| Synthesizer::piper(&broker, &self.settings.voice.get(), &path))
        } else {
            Synthesizer::find(&self.engine, &path)
        };
        match found {
            Ok(synthesizer) => {
                ctx.status(Level::Ok, "speech synthesis", synthesizer.engine().name());
                self.synthesizer = Some(synthesizer);
            }
            Err(e) => {
                self.problem = e.to_string();
                ctx.status(Level::Warn, "speech synthesis", format!("text only: {e}"));
            }
        }
    }

    /// Whether sound of this time is the robot's own voice or its echo.
    fn deafens(&self, stamp: Time) -> bool {
        !self.queue.is_empty() || self.deaf_until.is_some_and(|t| stamp < t)
    }

    fn options(&self, voice: &str) -> SpeakOptions {
        let voice = if voice.is_empty() { self.settings.voice.get() } else { voice.to_owned() };
        SpeakOptions { voice, speed: self.settings.speed.get() as f32, variation: self.settings.variation.get() as f32 }
    }

    fn provenance(&self, speech: &Speech) -> Provenance {
        if speech.engine != Engine::Piper {
            return algorithm_provenance(speech.engine.name(), &speech.voice, false);
        }
        let run_ms = if self.settings.report_time.get() { speech.run_ms } else { 0.0 };
        model_provenance(speech.engine.name(), &speech.voice, run_ms, &speech.device)
    }
}

/// The sound of a text as samples or, with a format, as a file.
fn answer(speech: &Speech, request: &SynthesizeRequest, provenance: Provenance, now: Time) -> Result<SynthesizeResponse, String> {
    let mut response = SynthesizeResponse { success: true, provenance: provenance.clone(), ..SynthesizeResponse::default() };
    if request.format.is_empty() {
        response.audio = voice_chunk(now, speech.at_16k().map_err(|e| e.to_string())?);
        return Ok(response);
    }
    let format: sounds::Format = request.format.parse().map_err(|e: sounds::UnknownFormat| e.to_string())?;
    let clip = sounds::Clip { sample_rate: speech.sample_rate, channels: 1, samples: speech.samples.clone() };
    response.speech = SynthesizedSpeech {
        audio_data: sounds::encode(&clip, format).map_err(|e| e.to_string())?.into(),
        format: format.extension().to_owned(),
        sample_rate: speech.sample_rate,
        duration: speech.duration_s() as f32,
        voice_id: speech.voice.clone(),
        text_length: request.text.chars().count() as u32,
        word_count: request.text.split_whitespace().count() as u32,
        provenance,
    };
    Ok(response)
}

fn result(text: &Playing<GoalHandle<Speak>>, success: bool, reason: String, interrupted: bool) -> SpeakResult {
    let duration = text.played as f32 / SAMPLE_RATE as f32;
    SpeakResult { success, reason, duration, interrupted, said: text.said() }
}

impl Audio {
    fn on_synthesize(&mut self, ctx: &mut Context, request: SynthesizeRequest) -> Result<SynthesizeResponse, NodeError> {
        let options = self.speaking.options(&request.voice);
        let spoken = if request.text.chars().count() > MAX_SERVICE_TEXT {
            Err("this text cannot be spoken at once: it is longer than 1000 characters; the action speak takes more".to_owned())
        } else {
            let synthesizer = self.speaking.synthesizer.as_mut().ok_or_else(|| self.speaking.problem.clone());
            synthesizer.and_then(|s| s.speak(&request.text, &options).map_err(|e| e.to_string()))
        };
        let answered = spoken.and_then(|speech| answer(&speech, &request, self.speaking.provenance(&speech), ctx.now()));
        Ok(answered.unwrap_or_else(|message| SynthesizeResponse {
            message,
            provenance: algorithm_provenance("none", "", true),
            ..SynthesizeResponse::default()
        }))
    }

    fn on_speak(&mut self, ctx: &mut Context, handle: GoalHandle<Speak>) -> HandlerResult {
        let SpeakGoal { text, priority } = handle.goal().clone();
        let rank = match priority {
            SpeakGoal::NORMAL => Some(Rank::Normal),
            SpeakGoal::HIGH => Some(Rank::High),
            SpeakGoal::URGENT => Some(Rank::Urgent),
            _ => None,
        };
        let Some(rank) = rank.filter(|_| !text.trim().is_empty()) else {
            handle.reject(ctx);
            return Ok(());
        };
        if self.speaking.queue.is_full(rank) {
            ctx.warn(format!("too much to say already: \"{text}\" is left out"));
            handle.reject(ctx);
            return Ok(());
        }
        ctx.info(format!("says: {text}"));
        let options = self.speaking.options("");
        let Some(synthesizer) = &mut self.speaking.synthesizer else {
            let reason = format!("said as text only: {}", self.speaking.problem);
            handle.succeed(ctx, SpeakResult { success: true, reason, said: text, ..SpeakResult::default() });
            return Ok(());
        };
        // The first sentence at once, so that a text that cannot be spoken is refused at once; the others when they are needed.
        let sentences = check(&text).map(sentences);
        let first = sentences.and_then(|sentences| {
            let first = sentences.first().ok_or(SynthesizeError::Text("it holds no sentence"))?;
            let speech = synthesizer.speak_sentence(first, &options)?;
            Ok((speech.at_16k()?, speech, sentences))
        });
        match first {
            Ok((samples, speech, sentences)) => {
                let reason = format!("spoken by {} with voice {}", speech.engine.name(), speech.voice);
                let ended = self.speaking.queue.push(Playing::new(handle, rank, sentences, samples, reason));
                if let Some(ended) = ended {
                    let reason = "interrupted: something urgent had to be said".to_owned();
                    let result = result(&ended, false, reason, true);
                    ended.handle.abort(ctx, result);
                }
            }
            Err(e) => {
                ctx.status(Level::Warn, "speech synthesis", e.to_string());
                handle.abort(ctx, SpeakResult { reason: e.to_string(), ..SpeakResult::default() });
            }
        }
        Ok(())
    }

    fn on_speak_cancel(&mut self, ctx: &mut Context, id: GoalId) -> HandlerResult {
        if let Some(stopped) = self.speaking.queue.cancel(|handle| handle.id() == id) {
            let result = result(&stopped, false, "stopped while speaking".to_owned(), false);
            stopped.handle.canceled(ctx, result);
        }
        Ok(())
    }

    /// Plays the next piece of the robot's voice, in real time of the graph's clock.
    fn speak_on(&mut self, ctx: &mut Context) -> HandlerResult {
        let n = (u64::from(SAMPLE_RATE) * CHUNK_MS / 1_000) as usize;
        let mut turn = self.speaking.queue.turn(n);
        if let Some(Turn::Speak(sentence)) = &turn {
            let options = self.speaking.options("");
            let synthesizer = self.speaking.synthesizer.as_mut().ok_or(SynthesizeError::NoEngine);
            match synthesizer.and_then(|s| s.speak_sentence(sentence, &options)?.at_16k()) {
                Ok(samples) => self.speaking.queue.supply(samples),
                Err(e) => {
                    if let Some(text) = self.speaking.queue.give_up() {
                        let result = result(&text, false, e.to_string(), false);
                        text.handle.abort(ctx, result);
                    }
                    return Ok(());
                }
            }
            turn = self.speaking.queue.turn(n);
        }
        let Some(Turn::Play { chunk, progress, finished }) = turn else { return Ok(()) };
        self.speaking.barge_in.played(ctx.now().as_nanos(), &chunk);
        let chunk = voice_chunk(ctx.now(), chunk);
        self.speaking.voice.publish(ctx, chunk);
        self.speaking.spoken_chunks += 1;
        self.speaking.deaf_until = Some(ctx.now() + Duration::from_secs_f64(OWN_ECHO_S + CHUNK_MS as f64 * 1e-3));
        if let Some(done) = finished {
            let result = result(&done, true, done.reason.clone(), false);
            done.handle.succeed(ctx, result);
        } else if self.speaking.spoken_chunks.is_multiple_of(FEEDBACK_EVERY)
            && let Some(text) = self.speaking.queue.current()
        {
            text.handle.feedback(ctx, SpeakFeedback { progress });
        }
        Ok(())
    }

    /// What of the microphone is to be listened to now, and whether it is the robot's own voice. While the robot speaks,
    /// sound is held back for a moment: if it turns out to be somebody who interrupts, it is listened to from its begin.
    pub(super) fn gate(&mut self, ctx: &mut Context, chunk: Arc<AudioChunk>) -> Result<Vec<(Arc<AudioChunk>, bool)>, NodeError> {
        let stamp = Time::from_msg(&chunk.header.stamp);
        let speaking = &mut self.speaking;
        let own = speaking.deafens(stamp);
        if !own || !speaking.settings.barge_in.get() {
            let mut ready: Vec<_> = speaking.kept.drain(..).map(|kept| (kept, true)).collect();
            if !own {
                speaking.barge_in.begin_anew();
            }
            ready.push((chunk, own));
            return Ok(ready);
        }
        let heard = speaking.barge_in.hear(stamp.as_nanos(), chunk.sample_rate, chunk.channels, &chunk.samples)?;
        speaking.kept.push_back(chunk);
        let Some(begin_ns) = heard else {
            let old =
                |kept: &Arc<AudioChunk>| stamp.as_nanos() - Time::from_msg(&kept.header.stamp).as_nanos() > (KEPT_S * 1e9) as i64;
            let mut ready = Vec::new();
            while let Some(first) = speaking.kept.pop_front_if(|first| old(first)) {
                ready.push((first, true));
            }
            return Ok(ready);
        };
        let ended = speaking.queue.interrupt();
        if speaking.queue.is_empty() {
            speaking.deaf_until = None;
        }
        let from_ns = begin_ns - (PRE_ROLL_S * 1e9) as i64;
        let deaf = !speaking.queue.is_empty();
        let ready = speaking.kept.drain(..).map(|kept| {
            let before = Time::from_msg(&kept.header.stamp).as_nanos() < from_ns;
            (kept, deaf || before)
        });
        let ready = ready.collect();
        for text in ended {
            ctx.info("stops speaking: somebody speaks");
            let result = result(&text, false, "interrupted: somebody spoke".to_owned(), true);
            text.handle.abort(ctx, result);
        }
        Ok(ready)
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
