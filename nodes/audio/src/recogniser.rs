//! What every speech recogniser gives, how one is chosen from the model catalogue, and when its answer is not believed.

use crate::network::NetworkError;
use crate::stt::Moonshine;
use crate::whisper::Whisper;
use models::Broker;
use std::sync::Arc;

/// A stretch of text with its time, as told by the recogniser itself (Whisper's time tokens); times from the start of the sound given.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its words.
    pub text: String,
    /// Begin, s.
    pub start_s: f64,
    /// End, s, not before the begin.
    pub end_s: f64,
    /// exp of the mean log-probability of its tokens, 0..1.
    pub confidence: f32,
}

/// Text of one utterance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcription {
    /// The words, with the network's capitals and punctuation; empty if it heard none.
    pub text: String,
    /// Stretches with their times; one over the whole sound from a recogniser that tells no times, none without words.
    pub pieces: Vec<Piece>,
    /// Language (BCP 47).
    pub language: String,
    /// Probability of that language where the network told it, 1 where it knows only one or was told.
    pub language_probability: f32,
    /// exp of the mean log-probability of the chosen tokens, 0..1.
    pub confidence: f32,
    /// The network's own probability that there is no speech, where it has one.
    pub no_speech: Option<f32>,
    /// Number of tokens chosen, the end token included.
    pub tokens: usize,
    /// True if decoding was stopped (repetition or length limit) instead of ended by the network.
    pub stopped: bool,
    /// Wall time inside the networks, ms.
    pub run_ms: f32,
    /// Where they ran.
    pub device: String,
}

/// How well a phrase fits the beginning of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Spotted {
    /// Log-probability of the phrase as the first words, nats; the likeliest of its spellings.
    pub log_probability: f32,
    /// What follows if the phrase was said: the text with the phrase taken for granted, without it. Empty below the threshold: it was not looked for.
    pub rest: String,
    /// Wall time inside the networks, ms.
    pub run_ms: f32,
    /// Where they ran.
    pub device: String,
}

/// Why an utterance could not be transcribed.
#[derive(Debug, thiserror::Error)]
pub enum TranscribeError {
    /// Shorter than 0.1 s or longer than 30 s.
    #[error("{0:.2} s of sound is outside 0.1 to 30 s")]
    Length(f64),
    /// The recogniser was not trained on this language.
    #[error("the recogniser does not know the language `{asked}`; it knows: {known}")]
    Language {
        /// What was asked for.
        asked: String,
        /// What there is, separated by commas.
        known: String,
    },
    /// A network failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Why no recogniser could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The catalogue's entry is not a recogniser that this program can decode.
    #[error("model `{model}` has the decoder `{decoder}`; speech is decoded by: moonshine, whisper")]
    Decoder {
        /// The model.
        model: String,
        /// Its decoder in the catalogue.
        decoder: String,
    },
    /// A file does not say what it must.
    #[error("model `{model}`: {reason}")]
    Damaged {
        /// The model.
        model: String,
        /// What is wrong.
        reason: String,
    },
    /// The model is not there or cannot be loaded.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// How a recogniser searches.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Hypotheses kept, 1 to 8; 1 is greedy.
    pub beam_width: usize,
    /// Looks at each utterance, 1 to 3, where the recogniser can ([`Moonshine::with_views`]).
    pub views: usize,
    /// Phrases to expect, in lower case. Recognisers that cannot be told leave them out.
    pub vocabulary: Vec<String>,
    /// What each word of them is worth, nats.
    pub vocabulary_boost: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self { beam_width: 4, views: 3, vocabulary: Vec::new(), vocabulary_boost: 6.0 }
    }
}

/// A speech recogniser.
pub trait Recogniser: Send {
    /// Its name in the model catalogue.
    fn model(&self) -> &str;

    /// Version of its weights.
    fn version(&self) -> &str;

    /// Text of 16 kHz mono samples, 0.1 to 30 s. `language` (BCP 47) is what is spoken; empty: the network tells, or knows only one.
    ///
    /// # Errors
    /// [`TranscribeError`].
    fn transcribe(&mut self, samples: &[f32], language: &str) -> Result<Transcription, TranscribeError>;

    /// The same, quickly: for partial results that the next one replaces. Greedy where [`Recogniser::transcribe`] searches.
    ///
    /// # Errors
    /// [`TranscribeError`].
    fn draft(&mut self, samples: &[f32], language: &str) -> Result<Transcription, TranscribeError>;

    /// How likely the utterance begins with `phrase`, and from a log-probability of `threshold` (nats) on what follows it; `None` from a recogniser
    /// that cannot tell, or cannot write the phrase.
    ///
    /// # Errors
    /// [`TranscribeError`].
    fn spot(&mut self, samples: &[f32], phrase: &str, threshold: f32) -> Result<Option<Spotted>, TranscribeError> {
        let _ = (samples, phrase, threshold);
        Ok(None)
    }
}

/// Opens the recogniser `model` of the catalogue by its decoder, `moonshine` or `whisper`. Never fetches.
///
/// # Errors
/// [`OpenError`], with what to do about it.
pub fn open(broker: &Arc<Broker>, model: &str, search: &Search) -> Result<Box<dyn Recogniser>, OpenError> {
    let unavailable = |reason: String| NetworkError::Unavailable { model: model.to_owned(), reason };
    let entry = broker.store().catalogue().model(model).map_err(|e| unavailable(e.to_string()))?;
    match entry.decoder.as_str() {
        "moonshine" => {
            let stt = Moonshine::open_model(broker, model)?;
            Ok(Box::new(
                stt.with_beam(search.beam_width)
                    .with_views(search.views)
                    .with_vocabulary(&search.vocabulary, search.vocabulary_boost),
            ))
        }
        "whisper" => Ok(Box::new(Whisper::open(broker, model)?)),
        decoder => Err(OpenError::Decoder { model: model.to_owned(), decoder: decoder.to_owned() }),
    }
}

/// When a transcription is taken for an invention: recognisers of this kind write words for any sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guards {
    /// Least confidence (exp of the mean token log-probability), 0..1.
    pub min_confidence: f32,
    /// Least confidence of a text whose decoding had to be stopped.
    pub min_stopped_confidence: f32,
    /// Largest probability of no speech, where the network tells one (Whisper's rule: 0.6).
    pub max_no_speech: f32,
    /// Most words per second of sound; people say up to 6.
    pub max_words_per_s: f64,
}

impl Default for Guards {
    fn default() -> Self {
        Self { min_confidence: 0.35, min_stopped_confidence: 0.6, max_no_speech: 0.6, max_words_per_s: 8.0 }
    }
}

/// Why a transcription is not believed.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Disbelief {
    /// There are no letters or digits in it.
    #[error("no words")]
    NoWords,
    /// The network is not sure.
    #[error("confidence {0:.2}")]
    Unsure(f32),
    /// It went on and on, or in circles, and is not sure.
    #[error("it had to be stopped, confidence {0:.2}")]
    Stopped(f32),
    /// The network holds it for no speech.
    #[error("no speech with probability {0:.2}")]
    NoSpeech(f32),
    /// Nobody talks as fast as that.
    #[error("{0:.1} words per second")]
    TooFast(f64),
}

impl Guards {
    /// What speaks against the text of `seconds` of sound, if anything.
    pub fn doubt(&self, text: &Transcription, seconds: f64) -> Option<Disbelief> {
        let words = text.text.split_whitespace().filter(|w| w.chars().any(char::is_alphanumeric)).count();
        let rate = words as f64 / seconds.max(0.1);
        if words == 0 {
            Some(Disbelief::NoWords)
        } else if text.confidence < self.min_confidence {
            Some(Disbelief::Unsure(text.confidence))
        } else if text.stopped && text.confidence < self.min_stopped_confidence {
            Some(Disbelief::Stopped(text.confidence))
        } else if let Some(p) =
            text.no_speech.filter(|p| *p > self.max_no_speech && text.confidence < self.min_stopped_confidence)
        {
            Some(Disbelief::NoSpeech(p))
        } else if rate > self.max_words_per_s {
            Some(Disbelief::TooFast(rate))
        } else {
            None
        }
    }
}

/// If the tail repeats a group of 1 to 8 tokens four times (six for a single token), the length up to the end of
/// the first of them.
pub(crate) fn repetition(tokens: &[u32]) -> Option<usize> {
    for group in 1..=8 {
        let times = if group == 1 { 6 } else { 4 };
        let Some(start) = tokens.len().checked_sub(group * times) else { continue };
        let tail = &tokens[start..];
        if tail.chunks_exact(group).all(|c| c == &tail[..group]) {
            return Some(start + group);
        }
    }
    None
}

/// log of the sum of the exponentials.
pub(crate) fn log_sum_exp(row: &[f32]) -> f64 {
    let top = row.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = row.iter().map(|v| (v - top).exp()).sum();
    f64::from(top) + f64::from(sum).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_seen_and_cut_to_one() {
        assert_eq!(repetition(&[5, 9, 9, 9, 9, 9, 9]), Some(2));
        assert_eq!(repetition(&[5, 1, 2, 1, 2, 1, 2, 1, 2]), Some(3));
        assert_eq!(repetition(&[1, 2, 1, 2, 1, 2]), None);
        assert_eq!(repetition(&[]), None);
    }

    #[test]
    fn what_the_network_is_not_sure_of_or_cannot_have_heard_is_not_believed() {
        let sure = Transcription { text: "Bring the cup.".to_owned(), confidence: 0.9, ..Transcription::default() };
        let guards = Guards::default();
        assert_eq!(guards.doubt(&sure, 1.5), None);
        let with = |change: fn(&mut Transcription)| {
            let mut t = sure.clone();
            change(&mut t);
            guards.doubt(&t, 1.5)
        };
        assert_eq!(with(|t| t.text = " ... ".to_owned()), Some(Disbelief::NoWords));
        assert_eq!(with(|t| t.confidence = 0.2), Some(Disbelief::Unsure(0.2)));
        assert_eq!(with(|t| (t.stopped, t.confidence) = (true, 0.5)), Some(Disbelief::Stopped(0.5)));
        assert_eq!(with(|t| t.stopped = true), None, "cut at the maximum length in the middle of sure words");
        assert_eq!(with(|t| (t.no_speech, t.confidence) = (Some(0.9), 0.5)), Some(Disbelief::NoSpeech(0.9)));
        assert_eq!(with(|t| t.no_speech = Some(0.9)), None, "words that are sure count more, as in Whisper's own rule");
        assert!(matches!(guards.doubt(&sure, 0.2), Some(Disbelief::TooFast(_))));
    }

    #[test]
    fn the_normaliser_is_the_logarithm_of_the_sum() {
        let want = (1.0_f64.exp() + 2.0_f64.exp() + 3.0_f64.exp()).ln();
        assert!((log_sum_exp(&[1.0, 3.0, 2.0]) - want).abs() < 1e-6);
    }
}
