//! The services about speakers.

use super::{Audio, SAMPLE_RATE, model_provenance};
use crate::resample::resample;
use crate::speaker::{self, Embedding};
use crate::wav::to_mono;
use graph::{Context, NodeError};
use msgs::omnimind_msgs::msg::AudioChunk;
use msgs::omnimind_msgs::srv::{
    EnrollSpeakerRequest, EnrollSpeakerResponse, IdentifySpeakerRequest, IdentifySpeakerResponse, ListSpeakersRequest,
    ListSpeakersResponse, RemoveSpeakerRequest, RemoveSpeakerResponse,
};

/// Longest recording of a request, s: ten minutes.
const MAX_RECORDING_S: f64 = 600.0;

/// 16 kHz mono.
pub(super) fn sound(chunk: &AudioChunk) -> Result<Vec<f32>, String> {
    if chunk.channels == 0 || chunk.sample_rate == 0 {
        return Err(format!("sound of {} channels at {} Hz is none", chunk.channels, chunk.sample_rate));
    }
    let frames = chunk.samples.len() as f64 / f64::from(chunk.channels);
    let seconds = frames / f64::from(chunk.sample_rate);
    if seconds > MAX_RECORDING_S {
        return Err(format!("{seconds:.0} s are more than the {MAX_RECORDING_S} s of one request"));
    }
    let clean: Vec<f32> = chunk.samples.iter().map(|s| if s.is_finite() { *s } else { 0.0 }).collect();
    resample(&to_mono(&clean, chunk.channels), 1, chunk.sample_rate, SAMPLE_RATE).map_err(|e| e.to_string())
}

impl Audio {
    /// Embeddings of samples of one voice.
    fn embeddings(&mut self, samples: &[AudioChunk]) -> Result<Vec<Embedding>, String> {
        let encoder = self.hearing.encoder.as_mut();
        let encoder = encoder.ok_or("there is no speaker recognition: its model is not available")?;
        let mut all = Vec::with_capacity(samples.len());
        for (i, chunk) in samples.iter().enumerate() {
            let embedding = sound(chunk).and_then(|s| encoder.embed(&s).map_err(|e| e.to_string()));
            all.push(embedding.map_err(|reason| format!("sample {i}: {reason}"))?);
        }
        Ok(all)
    }

    pub(super) fn on_enroll(
        &mut self,
        _: &mut Context,
        request: EnrollSpeakerRequest,
    ) -> Result<EnrollSpeakerResponse, NodeError> {
        let count = request.samples.len();
        let learnt = self.embeddings(&request.samples).and_then(|embeddings| {
            let voices: Vec<Vec<f32>> = embeddings.into_iter().map(|e| e.vector).collect();
            let confidence = self.hearing.book.enroll(&request.speaker_id, &voices).map_err(|e| e.to_string())?;
            self.hearing.transcripts.clear();
            self.hearing.keep_book()?;
            Ok(confidence)
        });
        Ok(match learnt {
            Ok(confidence) => {
                let message = format!("{} learnt from {count} samples", request.speaker_id);
                EnrollSpeakerResponse { success: true, message, confidence }
            }
            Err(message) => EnrollSpeakerResponse { success: false, message, confidence: 0.0 },
        })
    }

    pub(super) fn on_list(&mut self, _: &mut Context, _: ListSpeakersRequest) -> Result<ListSpeakersResponse, NodeError> {
        let (speaker_ids, samples) = self.hearing.book.speakers().map(|(name, n)| (name.to_owned(), n)).unzip();
        Ok(ListSpeakersResponse { speaker_ids, samples })
    }

    pub(super) fn on_remove(
        &mut self,
        _: &mut Context,
        request: RemoveSpeakerRequest,
    ) -> Result<RemoveSpeakerResponse, NodeError> {
        let removed = self.hearing.book.remove(&request.speaker_id);
        self.hearing.transcripts.clear();
        Ok(match (removed, self.hearing.keep_book()) {
            (false, _) => RemoveSpeakerResponse { success: false, message: format!("nobody is called `{}`", request.speaker_id) },
            (true, Err(message)) => RemoveSpeakerResponse { success: false, message },
            (true, Ok(())) => RemoveSpeakerResponse { success: true, message: String::new() },
        })
    }

    pub(super) fn on_identify(
        &mut self,
        _: &mut Context,
        request: IdentifySpeakerRequest,
    ) -> Result<IdentifySpeakerResponse, NodeError> {
        let embedded = self.embeddings(std::slice::from_ref(&request.audio));
        Ok(match embedded.and_then(|all| all.into_iter().next().ok_or_else(|| "no sound".to_owned())) {
            Ok(embedding) => {
                let found = self.hearing.book.identify(&embedding.vector, &self.hearing.cohort, self.hearing.acceptance());
                let run_ms = if self.hearing.settings.report_time.get() { embedding.run_ms } else { 0.0 };
                IdentifySpeakerResponse {
                    success: true,
                    message: String::new(),
                    speaker_id: found.speaker_id,
                    similarity: found.similarity,
                    score: found.score,
                    provenance: model_provenance(speaker::MODEL, speaker::MODEL_VERSION, run_ms, &embedding.device),
                }
            }
            Err(message) => IdentifySpeakerResponse { success: false, message, ..IdentifySpeakerResponse::default() },
        })
    }
}
