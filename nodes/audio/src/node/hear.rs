//! The node's hearing half: what was said, by whom and in which mood, while it is said and after.

mod people;
mod recording;
mod settings;

use super::{Audio, algorithm_provenance, model_provenance};
use crate::cache::Cache;
use crate::diarise::{Diarisation, DiariseSettings, Turn, diarise};
use crate::ear::HeardUtterance;
use crate::emotion::{self, Mood};
use crate::emotion_network::EmotionNetwork;
use crate::features::SAMPLE_RATE;
use crate::long::{self, CutSettings, LongSegment, LongTranscript};
use crate::partial::PartialTracker;
use crate::recogniser::{self, Guards, Recogniser};
use crate::speaker::{self, SpeakerEncoder};
use crate::speaker_book::{Acceptance, BookError, Cohort, SpeakerBook};
use crate::wake::WakePhrase;
use graph::{Context, HandlerResult, Level, NodeError, Param, Publisher, Qos, Setup, SetupError};
use msgs::omnimind_msgs::msg::{
    PartialTranscript, Provenance, SpeakerMatch, SpeechEmotion, SpeechSegment, Transcript, WakeEvent,
};
use msgs::omnimind_msgs::srv::{EnrollSpeaker, IdentifySpeaker, ListSpeakers, RemoveSpeaker, Transcribe, TranscribeResponse};
use msgs::std_msgs::msg::Header;
use settings::Settings;
use std::path::PathBuf;
use std::time::Duration;

/// Time between two pieces of work on a recording.
const RECORDING_STEP: Duration = Duration::from_millis(20);
/// Transcripts of recordings are kept up to this size.
const TRANSCRIPT_BYTES: usize = 16 << 20;

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
    /// Why the file there could not be read: it is not written over then.
    book_unread: Option<String>,
    tracker: PartialTracker,
    /// The recording that is being transcribed.
    recording: Option<recording::Recording>,
    /// Recordings that were transcribed.
    pub(super) transcripts: Cache<TranscribeResponse>,
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
    s.service_deferred::<Transcribe>("audio/transcribe", Audio::on_transcribe)?;
    s.timer(RECORDING_STEP, Audio::transcribe_on)?;
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
        book_unread: None,
        tracker: PartialTracker::default(),
        recording: None,
        transcripts: Cache::new(100, TRANSCRIPT_BYTES),
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
                Err(e) => {
                    self.book_unread = matches!(e, BookError::Io { .. }).then(|| e.to_string());
                    ctx.status(Level::Error, "known speakers", e.to_string());
                }
            }
        }
    }

    /// Writes the book after a change; what went wrong in words.
    fn keep_book(&self) -> Result<(), String> {
        if let Some(reason) = &self.book_unread {
            return Err(format!("known until the node stops only: {reason}; the file is left as it is"));
        }
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
                Ok((mood, run_ms, device)) => {
                    let run_ms = if self.settings.report_time.get() { run_ms } else { 0.0 };
                    return (mood, model_provenance(network.model(), network.version(), run_ms, &device));
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

    /// Turns of the speakers, and their names as far as known; why they are not told apart.
    fn turns(&mut self, samples: &[f32]) -> Result<(Vec<Turn>, Vec<String>), String> {
        let encoder = self.encoder.as_mut().ok_or("the model of speaker recognition is not available")?;
        let found = diarise(encoder, samples, &DiariseSettings::default()).map_err(|e| e.to_string())?;
        let names = self.names(&found);
        Ok((found.turns, names))
    }

    /// Why speakers cannot be told apart, if so.
    fn speakers_unknown(&self) -> Option<String> {
        let why = match &self.encoder {
            _ if !self.settings.identify.get() => "the parameter identify_speakers is off",
            None => "the model of speaker recognition is not available",
            Some(_) => return None,
        };
        Some(why.to_owned())
    }

    /// Names of the voices of a recording: those of the book, or a number each where there are several.
    fn names(&self, found: &Diarisation) -> Vec<String> {
        let acceptance = self.acceptance();
        let name = |(n, voice): (usize, &Vec<f32>)| {
            let known = self.book.identify(voice, &self.cohort, acceptance).speaker_id;
            if known.is_empty() && found.voices.len() > 1 { format!("speaker_{n}") } else { known }
        };
        found.voices.iter().enumerate().map(name).collect()
    }

    /// The turns of a long utterance; none for a short one or where speakers are not told apart.
    fn turns_within(&mut self, ctx: &mut Context, samples: &[f32]) -> (Vec<Turn>, Vec<String>) {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        let from_s = self.settings.diarise_from_s.get();
        if from_s <= 0.0 || seconds < from_s || self.speakers_unknown().is_some() {
            return Default::default();
        }
        self.turns(samples).unwrap_or_else(|reason| {
            ctx.status(Level::Warn, "speaker recognition", reason);
            Default::default()
        })
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
        text: Option<&LongTranscript>,
    ) -> Result<bool, NodeError> {
        let Some(phrase) = WakePhrase::new(&self.settings.wake_phrase, self.settings.wake_likeness.get() as f32) else {
            return Ok(true);
        };
        let Some(recogniser) = self.recogniser.as_mut() else { return Ok(false) };
        let end_ns = stamp_ns + (samples.len() as f64 / f64::from(SAMPLE_RATE) * 1e9) as i64;
        let listen_s = self.settings.wake_listen_s.get();
        let written = text.and_then(|t| Some((phrase.find(&t.text())?, t)));
        let threshold = self.settings.wake_log_probability.get() as f32;
        let (score, heard, rest, run_ms, device) = match written {
            Some((found, t)) => (found.score, found.heard, found.rest, t.run_ms, t.device.clone()),
            None => match recogniser.spot(samples, &self.settings.wake_phrase, threshold)? {
                Some(s) if s.log_probability >= threshold => (s.log_probability, String::new(), s.rest, s.run_ms, s.device),
                _ => {
                    let awake = stamp_ns <= self.awake_until_ns;
                    if !awake && text.is_some() {
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
            provenance: model_provenance(
                recogniser.model(),
                recogniser.version(),
                if self.settings.report_time.get() { run_ms } else { 0.0 },
                &device,
            ),
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
        let mood_by = provenance.model.clone();
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
        let (turns, names) = self.turns_within(ctx, samples);
        let text = self.text(ctx, samples, &turns)?;
        // The phrase may be heard in words that are not believed: short ones, and names that the recogniser does not know.
        let called = self.is_called(ctx, &header, utterance.stamp_ns, samples, text.as_ref())?;
        if let Some(text) = text.filter(|_| called) {
            let direction = utterance.bearing.map_or(f32::NAN, |b| b.bearing_rad as f32);
            let names = if turns.iter().any(|t| t.speaker > 0) { names } else { vec![speaker_id] };
            let moods = vec![mood.label; text.segments.len()];
            let message = self.message(header, text, &names, (&moods, &mood_by), direction);
            self.transcript.publish(ctx, message);
        }
        Ok(())
    }

    /// The transcript as a message. `names` are those of the speakers; `moods` one per segment, and what told them.
    fn message(
        &self,
        header: Header,
        text: LongTranscript,
        names: &[String],
        (moods, mood_by): (&[&str], &str),
        direction: f32,
    ) -> Transcript {
        let (model, version) = self.recogniser.as_ref().map_or(("", ""), |r| (r.model(), r.version()));
        let run_ms = if self.settings.report_time.get() { text.run_ms } else { 0.0 };
        let speakers: std::collections::BTreeSet<usize> = text.segments.iter().filter_map(|s| s.speaker).collect();
        let at_least = usize::from(!text.segments.is_empty());
        Transcript {
            header,
            text: text.text(),
            confidence: text.confidence(),
            language: text.language(),
            num_speakers: speakers.len().max(at_least).try_into().unwrap_or(u16::MAX),
            direction,
            provenance: Provenance {
                degraded: text.segments.iter().any(|s| s.stopped),
                ..model_provenance(&format!("{model}+{mood_by}"), version, run_ms, &text.device)
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
                    speaker_id: name_of(s.speaker, names),
                    emotion: (*mood).to_owned(),
                    language: s.language,
                })
                .collect(),
        }
    }
}

/// The name of a segment's speaker. Where several speak, a segment that lies in nobody's turn has none.
fn name_of(speaker: Option<usize>, names: &[String]) -> String {
    let only = if names.len() == 1 { names.first() } else { None };
    speaker.map_or(only, |n| names.get(n)).cloned().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_segment_in_nobodys_turn_is_given_to_nobody_where_several_speak() {
        let names = ["ann", "bob"].map(str::to_owned);
        assert_eq!([Some(1), Some(0), None, Some(7)].map(|n| name_of(n, &names)), ["bob", "ann", "", ""]);
        assert_eq!([None, Some(0)].map(|n| name_of(n, &names[..1])), ["ann", "ann"], "one speaker: all is theirs");
        assert_eq!(name_of(None, &[]), "");
    }
}
