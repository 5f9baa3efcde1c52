//! The service `audio/transcribe`: a recording is worked on a little at a time, so that the robot goes on hearing meanwhile.

use super::people::sound;
use super::{Audio, Hearing, SAMPLE_RATE};
use crate::cache::Key;
use crate::diarise::{DiariseSettings, DiariseWork, Turn};
use crate::emotion;
use crate::long::{CutSettings, LongWork};
use graph::{Context, HandlerResult, Responder};
use msgs::omnimind_msgs::msg::Transcript;
use msgs::omnimind_msgs::srv::{Transcribe, TranscribeRequest, TranscribeResponse};
use msgs::std_msgs::msg::Header;

/// A recording that is being transcribed.
pub(in crate::node) struct Recording {
    responder: Responder<Transcribe>,
    work: Work,
}

struct Work {
    key: u128,
    header: Header,
    language: String,
    samples: Vec<f32>,
    stage: Stage,
    /// Names of the speakers.
    names: Vec<String>,
    /// Why speakers are not told apart though that was asked for.
    undivided: Option<String>,
    moods: Vec<&'static str>,
    mood_by: String,
}

enum Stage {
    /// Who spoke when.
    Speakers(DiariseWork),
    /// What was said.
    Words(Box<LongWork>),
    /// It is done.
    Over,
}

fn refusal(message: String) -> TranscribeResponse {
    TranscribeResponse { success: false, message, ..TranscribeResponse::default() }
}

impl Audio {
    pub(in crate::node) fn on_transcribe(
        &mut self,
        ctx: &mut Context,
        request: TranscribeRequest,
        responder: Responder<Transcribe>,
    ) -> HandlerResult {
        let key = self.hearing.question(&request);
        if let Some(kept) = self.hearing.transcripts.get(key) {
            let mut answer = kept.clone();
            answer.transcript.header = request.audio.header;
            responder.respond(ctx, answer);
            return Ok(());
        }
        if self.hearing.recording.is_some() {
            responder.respond(ctx, refusal("busy with another recording: ask again when it is done".to_owned()));
            return Ok(());
        }
        match self.hearing.begin(key, request) {
            Ok(work) => self.hearing.recording = Some(Recording { responder, work }),
            Err(message) => responder.respond(ctx, refusal(message)),
        }
        Ok(())
    }

    /// Does the next piece of work on a recording: half a minute of voices or a stretch of words. The robot's own voice goes before.
    pub(in crate::node) fn transcribe_on(&mut self, ctx: &mut Context) -> HandlerResult {
        if self.speaking.speaks() {
            return Ok(());
        }
        let Some(mut recording) = self.hearing.recording.take() else { return Ok(()) };
        match self.hearing.work_on(ctx, &mut recording.work) {
            Ok(None) => self.hearing.recording = Some(recording),
            Ok(Some(transcript)) => {
                let message = recording.work.undivided.take();
                let answer = TranscribeResponse {
                    success: true,
                    message: message.map_or(String::new(), |why| format!("the speakers are not told apart: {why}")),
                    transcript,
                };
                // The text, the segments and some for their frame: an estimate from above.
                let bytes = 1_000 + 2 * answer.transcript.text.len() + 300 * answer.transcript.segments.len();
                // What was not divided may be next time.
                if answer.message.is_empty() {
                    self.hearing.transcripts.put(recording.work.key, answer.clone(), bytes);
                }
                recording.responder.respond(ctx, answer);
            }
            Err(message) => recording.responder.respond(ctx, refusal(message)),
        }
        Ok(())
    }
}

impl Hearing {
    /// All that the answer depends on. Who is enrolled is not in it: a change there empties the cache.
    fn question(&self, request: &TranscribeRequest) -> u128 {
        let audio = &request.audio;
        let (model, version) = self.recogniser.as_ref().map_or(("", ""), |r| (r.model(), r.version()));
        let moods = self.mood_network.as_ref().map_or((emotion::ALGORITHM, emotion::VERSION), |n| (n.model(), n.version()));
        let settings = (model, version, &self.settings.search, self.guards(), CutSettings::default());
        let speakers = (self.acceptance(), self.settings.identify.get(), DiariseSettings::default());
        let times = self.settings.report_time.get();
        Key::new("transcribe")
            .text(&request.language)
            .text(&format!("{} {} {}", audio.sample_rate, audio.channels, request.diarise))
            .text(&format!("{settings:?} {speakers:?} {moods:?} {} {times}", self.settings.emotion_threshold.get()))
            .samples(&audio.samples)
            .finish()
    }

    fn begin(&self, key: u128, request: TranscribeRequest) -> Result<Work, String> {
        let samples = sound(&request.audio)?;
        if self.recogniser.is_none() {
            return Err("there is no speech recognition: its model is not available".to_owned());
        }
        let mut work = Work {
            key,
            header: request.audio.header,
            language: request.language,
            samples,
            stage: Stage::Over,
            names: Vec::new(),
            undivided: None,
            moods: Vec::new(),
            mood_by: emotion::ALGORITHM.to_owned(),
        };
        let divided = match self.speakers_unknown() {
            _ if !request.diarise => None,
            Some(reason) => Some(Err(reason)),
            None => Some(DiariseWork::new(&work.samples, &DiariseSettings::default()).map_err(|e| e.to_string())),
        };
        match divided {
            Some(Ok(diarise)) => work.stage = Stage::Speakers(diarise),
            Some(Err(reason)) => {
                work.undivided = Some(reason);
                self.begin_words(&mut work, &[]);
            }
            None => self.begin_words(&mut work, &[]),
        }
        Ok(work)
    }

    fn begin_words(&self, work: &mut Work, turns: &[Turn]) {
        let words = LongWork::new(&work.samples, &work.language, turns, &CutSettings::default(), self.guards());
        work.stage = Stage::Words(Box::new(words));
    }

    /// The next piece of work; the transcript when it was the last one.
    fn work_on(&mut self, ctx: &mut Context, work: &mut Work) -> Result<Option<Transcript>, String> {
        match std::mem::replace(&mut work.stage, Stage::Over) {
            Stage::Speakers(mut diarise) => {
                let Some(encoder) = self.encoder.as_mut() else { return Err("the speaker recognition is gone".to_owned()) };
                match diarise.step(encoder, &work.samples) {
                    Ok(true) => work.stage = Stage::Speakers(diarise),
                    Ok(false) => {
                        let found = diarise.finish();
                        work.names = self.names(&found);
                        self.begin_words(work, &found.turns);
                    }
                    Err(e) => {
                        work.undivided = Some(e.to_string());
                        self.begin_words(work, &[]);
                    }
                }
                Ok(None)
            }
            Stage::Words(mut words) => {
                let Some(recogniser) = self.recogniser.as_mut() else { return Err("the speech recognition is gone".to_owned()) };
                let more = words.step(recogniser.as_mut(), &work.samples).map_err(|e| e.to_string())?;
                let at = |s: f64| ((s * f64::from(SAMPLE_RATE)) as usize).min(work.samples.len());
                for segment in &words.so_far().segments[work.moods.len()..] {
                    let (mood, by) = self.mood(ctx, &work.samples[at(segment.start_s)..at(segment.end_s)]);
                    work.moods.push(mood.label);
                    work.mood_by = by.model;
                }
                if more {
                    work.stage = Stage::Words(words);
                    return Ok(None);
                }
                let moods = (work.moods.as_slice(), work.mood_by.as_str());
                let mut transcript = self.message(work.header.clone(), words.finish(), &work.names, moods, f32::NAN);
                transcript.provenance.degraded |= work.undivided.is_some();
                Ok(Some(transcript))
            }
            Stage::Over => Err("the work on this recording was over already".to_owned()),
        }
    }
}
