//! The node's speaking half: the service and the action, and the voice played chunk by chunk; and who is heard meanwhile.

use super::{Audio, algorithm_provenance, model_provenance};
use crate::barge_in::{BargeIn, BargeInSettings};
use crate::cache::{Cache, Key};
use crate::ear::EarSettings;
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
/// Answers of the service are kept up to this size.
const SOUND_BYTES: usize = 64 << 20;
/// Chunks of the microphone that are kept at most, whatever their stamps and lengths.
const MAX_KEPT: usize = 400;
/// A text waits so long for somebody who speaks to finish, s.
const POLITE_S: f64 = 5.0;
/// The microphone's sound may be late by so much; if it is later its clock is another one, s.
const LATE_S: f64 = 10.0;

/// What the node has for speaking.
pub(super) struct Speaking {
    voice: Publisher<AudioChunk>,
    settings: Settings,
    engine: String,
    synthesizer: Option<Synthesizer>,
    problem: String,
    queue: SpeechQueue<GoalHandle<Speak>>,
    spoken_chunks: u64,
    /// Since when the next text waits for somebody to finish.
    waits_since: Option<Time>,
    deaf_until: Option<Time>,
    barge_in: BargeIn,
    /// Answers of the service.
    pub(super) sounds: Cache<SynthesizeResponse>,
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
pub(super) fn declare(s: &mut Setup<Audio>, report_time: &Param<bool>, ear: &EarSettings) -> Result<Speaking, SetupError> {
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
        waits_since: None,
        deaf_until: None,
        barge_in: BargeIn::new(BargeInSettings {
            margin_db,
            vad: ear.vad,
            min_modulation_db: ear.segmenter.min_modulation_db,
            ..BargeInSettings::default()
        }),
        sounds: Cache::new(100, SOUND_BYTES),
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

    /// Whether a text is being spoken.
    pub(super) fn speaks(&self) -> bool {
        self.queue.spoken_now().is_some()
    }

    /// Whether sound of this time is the robot's own voice or its echo.
    fn deafens(&self, stamp: Time) -> bool {
        self.queue.spoken_now().is_some() || self.deaf_until.is_some_and(|t| stamp < t)
    }

    /// Whether the next text must still wait because somebody speaks to the robot.
    fn waits(&mut self, now: Time, somebody_speaks: bool) -> bool {
        let next = self.queue.current().filter(|p| p.rank < Rank::Urgent);
        if !somebody_speaks || next.is_none() || self.queue.spoken_now().is_some() {
            self.waits_since = None;
            return false;
        }
        now.seconds_since(*self.waits_since.get_or_insert(now)) < POLITE_S
    }

    /// Takes out what was kept longer than an interruption can reach back.
    fn too_old(&mut self, stamp: Time) -> Vec<(Arc<AudioChunk>, bool)> {
        let seconds = |c: &AudioChunk| c.samples.len() as f64 / f64::from(c.channels.max(1)) / f64::from(c.sample_rate.max(1));
        let mut length_s: f64 = self.kept.iter().map(|c| seconds(c)).sum();
        let mut ready = Vec::new();
        // By their stamps; and by what they hold, since stamps may stand still.
        while let Some(first) = self.kept.front() {
            let age_s = stamp.seconds_since(Time::from_msg(&first.header.stamp));
            if age_s <= KEPT_S && length_s <= 2.0 * KEPT_S && self.kept.len() <= MAX_KEPT {
                break;
            }
            length_s -= seconds(first);
            ready.extend(self.kept.pop_front().map(|first| (first, true)));
        }
        ready
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
        let key = Key::new("synthesize")
            .text(&request.text)
            .text(&request.format)
            .text(&format!("{options:?} {}", self.speaking.engine))
            .finish();
        if let Some(kept) = self.speaking.sounds.get(key) {
            let mut answer = kept.clone();
            answer.audio.header.stamp = ctx.now().to_msg();
            return Ok(answer);
        }
        let spoken = if request.text.chars().count() > MAX_SERVICE_TEXT {
            Err("this text cannot be spoken at once: it is longer than 1000 characters; the action speak takes more".to_owned())
        } else {
            let synthesizer = self.speaking.synthesizer.as_mut().ok_or_else(|| self.speaking.problem.clone());
            synthesizer.and_then(|s| s.speak(&request.text, &options).map_err(|e| e.to_string()))
        };
        let answered = spoken.and_then(|speech| answer(&speech, &request, self.speaking.provenance(&speech), ctx.now()));
        // With variation a voice never says the same twice.
        if let Ok(answer) = &answered
            && options.variation <= 0.0
        {
            let bytes = 1_000 + 4 * answer.audio.samples.len() + answer.speech.audio_data.len();
            self.speaking.sounds.put(key, answer.clone(), bytes);
        }
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
        if self.speaking.waits(ctx.now(), self.ear.is_listening()) {
            return Ok(());
        }
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
        let spoke_until = speaking.deaf_until.map(|t| t.as_nanos() - (OWN_ECHO_S * 1e9) as i64);
        // A microphone with stamps of another clock must not stay deaf.
        speaking.deaf_until = speaking.deaf_until.filter(|t| ctx.now().seconds_since(*t) < LATE_S);
        let own = speaking.deafens(stamp);
        if !own || !speaking.settings.barge_in.get() {
            let pre_roll_ns = (PRE_ROLL_S * 1e9) as i64;
            // Somebody who began to answer while the echo still sounded; from before the robot's last word nothing is taken.
            let answered = speaking.barge_in.pending_begin().filter(|_| !own && speaking.settings.barge_in.get());
            let from_ns = answered.map(|begin| (begin - pre_roll_ns).max(spoke_until.unwrap_or(i64::MIN)).min(begin));
            let own_voice = |kept: &AudioChunk| from_ns.is_none_or(|from| Time::from_msg(&kept.header.stamp).as_nanos() < from);
            let mut ready: Vec<_> = speaking.kept.drain(..).map(|kept| (Arc::clone(&kept), own_voice(&kept))).collect();
            if !own {
                speaking.barge_in.begin_anew();
            }
            ready.push((chunk, own));
            return Ok(ready);
        }
        let heard = speaking.barge_in.hear(stamp.as_nanos(), chunk.sample_rate, chunk.channels, &chunk.samples)?;
        speaking.kept.push_back(chunk);
        // What is urgent is said to its end, and what waits behind it is not dropped for words that nobody would listen to.
        let urgent = speaking.queue.spoken_now().is_some_and(|p| p.rank == Rank::Urgent);
        let Some(begin_ns) = heard.filter(|_| !urgent) else { return Ok(speaking.too_old(stamp)) };
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
