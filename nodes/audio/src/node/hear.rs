//! The node's hearing half: what was said, by whom and in which mood, while it is said and after.

mod people;
mod settings;

use super::{Audio, algorithm_provenance, model_provenance};
use crate::diarise::{DiariseSettings, Turn, diarise};
use crate::ear::HeardUtterance;
use crate::emotion::{self, Mood};
use crate::emotion_network::EmotionNetwork;
use crate::features::SAMPLE_RATE;
use crate::long::{self, CutSettings, LongSegment, LongTranscript};
use crate::partial::PartialTracker;
use crate::recogniser::{self, Guards, Recogniser};
use crate::speaker::{self, SpeakerEncoder};
use crate::speaker_book::{Acceptance, Cohort, SpeakerBook};
use crate::wake::WakePhrase;
use graph::{Context, HandlerResult, Level, NodeError, Param, Publisher, Qos, Setup, SetupError};
use msgs::omnimind_msgs::msg::{
    PartialTranscript, Provenance, SpeakerMatch, SpeechEmotion, SpeechSegment, Transcript, WakeEvent,
};
use msgs::omnimind_msgs::srv::{EnrollSpeaker, IdentifySpeaker, ListSpeakers, RemoveSpeaker, Transcribe};
use msgs::std_msgs::msg::Header;
use settings::Settings;
use std::path::PathBuf;

/// What the node has for hearing.
pub(super) struct Hearing {
    settings: Settings,
    transcript: Publisher<Transcript>,
    partial: Publisher<PartialTranscript>,
    wake: Publisher<WakeEvent>,
    speaker: Publisher<SpeakerMatch>,
    emotion: Publisher<SpeechEmotion>,
    recogniser: Option<Box<dyn Recogniser>>,
    encoder: Option<SpeakerEncoder>,
    mood_network: Option<EmotionNetwork>,
    cohort: Cohort,
    book: SpeakerBook,
    /// Where the book is kept; `None`: until the node stops.
    book_file: Option<PathBuf>,
    tracker: PartialTracker,
    /// Commands are taken until then, ns.
    awake_until_ns: i64,
}

/// Declares the parameters, topics and services of hearing.
pub(super) fn declare(s: &mut Setup<Audio>) -> Result<Hearing, SetupError> {
    let settings = Settings::declare(s)?;
    s.service::<EnrollSpeaker>("audio/enroll_speaker", Audio::on_enroll)?;
    s.service::<ListSpeakers>("audio/list_speakers", Audio::on_list)?;
    s.service::<RemoveSpeaker>("audio/remove_speaker", Audio::on_remove)?;
    s.service::<IdentifySpeaker>("audio/identify_speaker", Audio::on_identify)?;
    s.service::<Transcribe>("audio/transcribe", Audio::on_transcribe)?;
    Ok(Hearing {
        transcript: s.publisher("speech/transcript", Qos::reliable(10))?,
        partial: s.publisher("speech/partial", Qos::reliable(10))?,
        wake: s.publisher("speech/wake", Qos::reliable(10))?,
        speaker: s.publisher("speech/speaker", Qos::reliable(10))?,
        emotion: s.publisher("speech/emotion", Qos::reliable(10))?,
        recogniser: None,
        encoder: None,
        mood_network: None,
        cohort: Cohort::built_in(),
        book: SpeakerBook::default(),
        book_file: settings.book_file(),
        tracker: PartialTracker::default(),
        awake_until_ns: i64::MIN,
        settings,
    })
}

/// Keeps what was opened; otherwise says on the diagnostics what is missing because of it.
pub(super) fn or_degraded<T, E: std::fmt::Display>(
    ctx: &mut Context,
    what: &str,
    missing: &str,
    opened: Result<T, E>,
) -> Option<T> {
    match opened {
        Ok(value) => {
            ctx.status(Level::Ok, what, "ready");
            Some(value)
        }
        Err(reason) => {
            ctx.status(Level::Warn, what, format!("{missing}: {reason}"));
            None
        }
    }
}

impl Hearing {
    /// Opens the networks and the book of speakers.
    pub(super) fn start(&mut self, ctx: &mut Context) {
        match models::Broker::shared() {
            Ok(broker) => {
                let opened = recogniser::open(&broker, &self.settings.model, &self.settings.search);
                self.recogniser = or_degraded(ctx, "speech recognition", "no transcripts", opened);
                let encoder = SpeakerEncoder::open(&broker);
                self.encoder = or_degraded(ctx, "speaker recognition", "speakers are not told apart", encoder);
                if !self.settings.mood_model.is_empty() {
                    let opened = EmotionNetwork::open(&broker, &self.settings.mood_model);
                    self.mood_network = or_degraded(ctx, "mood recognition", "moods by rules", opened);
                }
            }
            Err(e) => {
                let what = format!("no transcripts and no speaker recognition: {e}");
                ctx.status(Level::Warn, "speech recognition", what);
            }
        }
        if let Some(path) = &self.book_file {
            match SpeakerBook::load(path) {
                Ok(book) => {
                    ctx.status(Level::Ok, "known speakers", format!("{} in {}", book.len(), path.display()));
                    self.book = book;
                }
                Err(e) => ctx.status(Level::Error, "known speakers", e.to_string()),
            }
        }
    }

    /// Writes the book after a change; what went wrong in words.
    fn keep_book(&self) -> Result<(), String> {
        self.book_file.as_ref().map_or(Ok(()), |path| self.book.save(path).map_err(|e| e.to_string()))
    }

    /// Whether provenance tells how long networks took.
    pub(super) fn report_time(&self) -> &Param<bool> {
        &self.settings.report_time
    }

    fn acceptance(&self) -> Acceptance {
        Acceptance {
            min_similarity: self.settings.speaker_threshold.get() as f32,
            min_score: self.settings.speaker_min_score.get() as f32,
        }
    }

    fn guards(&self) -> Guards {
        Guards { min_confidence: self.settings.min_confidence.get() as f32, ..Guards::default() }
    }

    /// The mood, and what found it.
    fn mood(&mut self, ctx: &mut Context, samples: &[f32]) -> (Mood, Provenance) {
        let threshold = self.settings.emotion_threshold.get() as f32;
        if let Some(network) = &mut self.mood_network {
            match network.classify(samples, threshold) {
                Ok((mood, run_ms)) => {
                    let run_ms = if self.settings.report_time.get() { run_ms } else { 0.0 };
                    return (mood, model_provenance(network.model(), network.version(), run_ms, "cpu"));
                }
                Err(e) => ctx.status(Level::Warn, "mood recognition", e.to_string()),
            }
        }
        let mood = emotion::prosody(samples).map(|p| emotion::classify(&p, threshold));
        let unknown = Mood { label: "unknown", confidence: 0.0 };
        (mood.unwrap_or(unknown), algorithm_provenance(emotion::ALGORITHM, emotion::VERSION, true))
    }

    /// Who speaks in the whole utterance: embedding, similarity and name.
    fn who(&mut self, ctx: &mut Context, samples: &[f32], header: &Header) -> Option<SpeakerMatch> {
        let acceptance = self.acceptance();
        let encoder = self.encoder.as_mut().filter(|_| self.settings.identify.get())?;
        match encoder.embed(samples) {
            Ok(embedding) => {
                let found = self.book.identify(&embedding.vector, &self.cohort, acceptance);
                let run_ms = if self.settings.report_time.get() { embedding.run_ms } else { 0.0 };
                Some(SpeakerMatch {
                    header: header.clone(),
                    speaker_id: found.speaker_id,
                    similarity: found.similarity,
                    embedding: embedding.vector,
                    provenance: model_provenance(speaker::MODEL, speaker::MODEL_VERSION, run_ms, &embedding.device),
                })
            }
            Err(speaker::SpeakerError::TooShort(_)) => None,
            Err(e) => {
                ctx.status(Level::Error, "speaker recognition", e.to_string());
                None
            }
        }
    }

    /// Turns of several speakers, and their names as far as known; none for one speaker or where speakers are not told apart.
    fn turns(&mut self, ctx: &mut Context, samples: &[f32]) -> (Vec<Turn>, Vec<String>) {
        let acceptance = self.acceptance();
        let Some(encoder) = self.encoder.as_mut().filter(|_| self.settings.identify.get()) else { return Default::default() };
        match diarise(encoder, samples, &DiariseSettings::default()) {
            Ok(found) => {
                let name = |(n, voice): (usize, &Vec<f32>)| {
                    let known = self.book.identify(voice, &self.cohort, acceptance).speaker_id;
                    if known.is_empty() && found.voices.len() > 1 { format!("speaker_{n}") } else { known }
                };
                let names = found.voices.iter().enumerate().map(name).collect();
                (found.turns, names)
            }
            Err(e) => {
                ctx.status(Level::Warn, "speaker recognition", e.to_string());
                Default::default()
            }
        }
    }

    /// Text of one utterance of the ear; `None` if it is not believed.
    fn text(&mut self, ctx: &mut Context, samples: &[f32], turns: &[Turn]) -> Result<Option<LongTranscript>, NodeError> {
        let guards = self.guards();
        let language = self.settings.language.clone();
        let Some(recogniser) = self.recogniser.as_mut() else {
            ctx.warn("somebody spoke, but there is no speech recognition: nothing is understood");
            return Ok(None);
        };
        if turns.iter().any(|t| t.speaker > 0) {
            let text = long::transcribe(recogniser.as_mut(), samples, &language, turns, &CutSettings::default(), &guards)?;
            return Ok((!text.segments.is_empty()).then_some(text));
        }
        let text = recogniser.transcribe(samples, &language)?;
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if let Some(doubt) = guards.doubt(&text, seconds) {
            ctx.info(format!("heard something like \"{}\", not believed: {doubt}", text.text));
            return Ok(None);
        }
        ctx.info(format!("heard \"{}\" (confidence {:.2})", text.text, text.confidence));
        let segments = text.pieces.iter().map(|p| LongSegment {
            text: p.text.clone(),
            start_s: p.start_s,
            end_s: p.end_s,
            confidence: p.confidence,
            language: text.language.clone(),
            stopped: text.stopped,
            speaker: None,
        });
        Ok(Some(LongTranscript {
            segments: segments.collect(),
            run_ms: text.run_ms,
            device: text.device,
            ..LongTranscript::default()
        }))
    }

    /// True if the utterance may be taken for a command: without a wake phrase always, else after it was heard.
    fn is_called(
        &mut self,
        ctx: &mut Context,
        header: &Header,
        stamp_ns: i64,
        samples: &[f32],
        text: &str,
    ) -> Result<bool, NodeError> {
        let Some(phrase) = WakePhrase::new(&self.settings.wake_phrase, self.settings.wake_likeness.get() as f32) else {
            return Ok(true);
        };
        let Some(recogniser) = self.recogniser.as_mut() else { return Ok(false) };
        let end_ns = stamp_ns + (samples.len() as f64 / f64::from(SAMPLE_RATE) * 1e9) as i64;
        let listen_s = self.settings.wake_listen_s.get();
        let written = phrase.find(text);
        let (score, heard, rest) = match written {
            Some(found) => (found.score, found.heard, found.rest),
            None => match recogniser.spot(samples, &self.settings.wake_phrase)? {
                Some(s) if f64::from(s.log_probability) >= self.settings.wake_log_probability.get() => {
                    (s.log_probability, String::new(), s.rest)
                }
                _ => {
                    let awake = stamp_ns <= self.awake_until_ns;
                    if !awake && !text.is_empty() {
                        ctx.info("nobody called the robot: the words are not taken for a command");
                    }
                    return Ok(awake);
                }
            },
        };
        self.awake_until_ns = end_ns + (listen_s * 1e9) as i64;
        let event = WakeEvent {
            header: header.clone(),
            phrase: self.settings.wake_phrase.clone(),
            by_sound: heard.is_empty(),
            score,
            heard,
            rest,
            listening: listen_s as f32,
            provenance: model_provenance(recogniser.model(), recogniser.version(), 0.0, "cpu"),
        };
        self.wake.publish(ctx, event);
        Ok(true)
    }

    /// Everything that is told from a whole utterance. Runs networks, so only once somebody spoke.
    pub(super) fn understand(&mut self, ctx: &mut Context, utterance: &HeardUtterance, header: Header) -> HandlerResult {
        let samples = utterance.mono.as_slice();
        self.tracker.reset();
        let who = self.who(ctx, samples, &header);
        let (mood, provenance) = self.mood(ctx, samples);
        let speaker_id = who.as_ref().map_or(String::new(), |w| w.speaker_id.clone());
        if let Some(message) = who {
            self.speaker.publish(ctx, message);
        }
        let message =
            SpeechEmotion { header: header.clone(), emotion: mood.label.to_owned(), confidence: mood.confidence, provenance };
        self.emotion.publish(ctx, message);
        if !self.settings.transcribe.get() {
            return Ok(());
        }
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        let from_s = self.settings.diarise_from_s.get();
        let (turns, names) = if from_s > 0.0 && seconds >= from_s { self.turns(ctx, samples) } else { Default::default() };
        let text = self.text(ctx, samples, &turns)?;
        // The phrase may be heard in words that are not believed: short ones, and names that the recogniser does not know.
        let words = text.as_ref().map_or(String::new(), LongTranscript::text);
        let called = self.is_called(ctx, &header, utterance.stamp_ns, samples, &words)?;
        if let Some(text) = text.filter(|_| called) {
            let direction = utterance.bearing.map_or(f32::NAN, |b| b.bearing_rad as f32);
            let names = if turns.iter().any(|t| t.speaker > 0) { names } else { vec![speaker_id] };
            let moods = vec![mood.label; text.segments.len()];
            let message = self.message(header, text, &names, &moods, direction);
            self.transcript.publish(ctx, message);
        }
        Ok(())
    }

    /// The transcript as a message. `names` are those of the speakers; `moods` one per segment.
    fn message(&self, header: Header, text: LongTranscript, names: &[String], moods: &[&str], direction: f32) -> Transcript {
        let (model, version) = self.recogniser.as_ref().map_or(("", ""), |r| (r.model(), r.version()));
        let run_ms = if self.settings.report_time.get() { text.run_ms } else { 0.0 };
        let speakers: std::collections::BTreeSet<usize> = text.segments.iter().map(|s| s.speaker.unwrap_or(0)).collect();
        Transcript {
            header,
            text: text.text(),
            confidence: text.confidence(),
            language: text.language(),
            num_speakers: speakers.len().try_into().unwrap_or(u16::MAX),
            direction,
            provenance: Provenance {
                degraded: text.segments.iter().any(|s| s.stopped),
                ..model_provenance(model, version, run_ms, &text.device)
            },
            segments: text
                .segments
                .into_iter()
                .zip(moods)
                .map(|(s, mood)| SpeechSegment {
                    text: s.text,
                    start_time: s.start_s,
                    end_time: s.end_s,
                    confidence: s.confidence,
                    speaker_id: names.get(s.speaker.unwrap_or(0)).cloned().unwrap_or_default(),
                    emotion: (*mood).to_owned(),
                    language: s.language,
                })
                .collect(),
        }
    }
}

impl Audio {
    /// Text of the utterance that is going on, every so often.
    pub(super) fn follow(&mut self, ctx: &mut Context) -> HandlerResult {
        let interval = (self.hearing.settings.partial_interval_s.get() * f64::from(SAMPLE_RATE)) as usize;
        if interval == 0 || !self.hearing.settings.transcribe.get() {
            return Ok(());
        }
        let Some(length) = self.ear.open_length() else {
            self.hearing.tracker.reset();
            return Ok(());
        };
        if !self.hearing.tracker.is_due(length, interval) {
            return Ok(());
        }
        let Some((stamp_ns, samples)) = self.ear.open_utterance() else { return Ok(()) };
        let header = self.header(stamp_ns);
        let hearing = &mut self.hearing;
        let Some(recogniser) = hearing.recogniser.as_mut() else { return Ok(()) };
        let text = recogniser.draft(&samples, &hearing.settings.language)?;
        let part = hearing.tracker.update(length, &text.text);
        let run_ms = if hearing.settings.report_time.get() { text.run_ms } else { 0.0 };
        let message = PartialTranscript {
            header,
            duration: length as f32 / SAMPLE_RATE as f32,
            stable_bytes: part.stable_bytes.try_into().unwrap_or(u32::MAX),
            text: part.text,
            confidence: text.confidence,
            language: text.language,
            provenance: model_provenance(recogniser.model(), recogniser.version(), run_ms, &text.device),
        };
        hearing.partial.publish(ctx, message);
        Ok(())
    }
}
