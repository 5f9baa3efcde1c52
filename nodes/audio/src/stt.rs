//! Speech to text with Moonshine (Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice
//! Commands", 2024): an encoder over raw samples, a decoder with key-value cache, beam search that can be told which
//! words to expect.

use crate::features::{SAMPLE_RATE, rms};
use crate::network::{BrokerNetwork, Network, NetworkError, NetworkOutputs};
use crate::tokenizer::Tokenizer;
use crate::vocabulary::{Progress, Vocabulary};
use models::{Broker, Priority, Tensor};
use ndarray::{Array1, Array2, Array4, ArrayD, Axis};
use std::sync::Arc;

/// The recogniser's name in the model catalogue.
pub const MODEL: &str = "moonshine_tiny_en";
/// Version of its weights.
pub const MODEL_VERSION: &str = "0.0.63";
/// Language it knows (BCP 47).
pub const LANGUAGE: &str = "en";

/// Text of one utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcription {
    /// The words, with the network's capitals and punctuation; empty if it heard none.
    pub text: String,
    /// exp of the mean log-probability of the chosen tokens, 0..1.
    pub confidence: f32,
    /// Number of tokens chosen, the end token included.
    pub tokens: usize,
    /// True if decoding was stopped (repetition or length limit) instead of ended by the network.
    pub stopped: bool,
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
    /// A network failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// The recogniser: two networks, a tokenizer and the words expected.
pub struct Moonshine {
    encoder: Box<dyn Network>,
    decoder: Box<dyn Network>,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    beam_width: usize,
    /// Lead over the open hypotheses at which a finished one wins, nats.
    patience: f64,
}

const START: i64 = 1;
const END: u32 = 2;
const LAYERS: usize = 6;
const HEADS: usize = 8;
const HEAD_SIZE: usize = 36;
/// Moonshine's authors limit decoding to this many tokens per second of sound: more is invention.
const TOKENS_PER_SECOND: f64 = 6.5;
/// Level that speech is brought to before recognition, as RMS: -25 dBFS.
const TARGET_RMS: f32 = 0.056;
/// Lead over the open hypotheses at which a finished one wins, nats.
const PATIENCE: f64 = 3.0;
/// What a hypothesis that had to be cut off is set back, nats.
const CUT_OFF_COST: f64 = 20.0;
/// Largest amplification, so that near silence stays near silence.
const MAX_GAIN: f32 = 30.0;

impl Moonshine {
    /// Puts the parts together.
    pub fn new(encoder: Box<dyn Network>, decoder: Box<dyn Network>, tokenizer: Tokenizer) -> Self {
        Self { encoder, decoder, tokenizer, vocabulary: Vocabulary::default(), beam_width: 1, patience: PATIENCE }
    }

    /// Searches with `width` hypotheses (1 to 8; 1 is greedy decoding).
    #[must_use]
    pub fn with_beam(mut self, width: usize) -> Self {
        self.beam_width = width.clamp(1, 8);
        self
    }

    /// Expects these phrases: each of their words is worth `boost` nats in the search. What the network is sure of
    /// stays; what it wavers about goes to the expected word. The confidence does not count the boost.
    #[must_use]
    pub fn with_vocabulary(mut self, phrases: &[String], boost: f64) -> Self {
        self.vocabulary = Vocabulary::new(&self.tokenizer, phrases, boost);
        self.patience = PATIENCE + if self.vocabulary.is_empty() { 0.0 } else { 2.0 * boost };
        self
    }

    /// Loads the recogniser of the model catalogue from the cache; never fetches.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`] with what to do about it.
    pub fn open(broker: &Arc<Broker>) -> Result<Self, NetworkError> {
        let unavailable = |reason: String| NetworkError::Unavailable { model: MODEL.to_owned(), reason };
        let part = |file: &str| BrokerNetwork::open(broker, &format!("{MODEL}/{file}"), Priority::MISSION);
        let path = broker.store().locate(&format!("{MODEL}/tokenizer")).map_err(|e| unavailable(e.to_string()))?;
        let bytes = std::fs::read(path).map_err(|e| unavailable(e.to_string()))?;
        let tokenizer = Tokenizer::parse(&bytes).map_err(|e| unavailable(e.to_string()))?;
        Ok(Self::new(Box::new(part("encoder")?), Box::new(part("decoder")?), tokenizer))
    }

    /// Text of 16 kHz mono samples `[n]`, 0.1 to 30 s. The level is brought to a fixed one first.
    ///
    /// # Errors
    /// [`TranscribeError`].
    pub fn transcribe(&mut self, samples: &[f32]) -> Result<Transcription, TranscribeError> {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if !(0.1..=30.0).contains(&seconds) {
            return Err(TranscribeError::Length(seconds));
        }
        let samples = levelled(samples);
        let n = samples.len();
        let input = Array2::from_shape_fn((1, n), |(_, i)| samples[i]);
        let mut encoded = self
            .encoder
            .run(vec![("input_values", Tensor::from(input)), ("attention_mask", Tensor::from(Array2::<i64>::ones((1, n))))])?;
        let hidden = encoded.take("last_hidden_state")?;
        let mut run_ms = encoded.run_ms;

        let limit = (seconds * TOKENS_PER_SECOND).ceil() as usize + 4;
        let mut cache = Cache::new();
        let mut beam = vec![Hypothesis::default()];
        let mut finished: Vec<Hypothesis> = Vec::new();
        for step in 0..limit {
            let width = beam.len();
            let last = |h: &Hypothesis| h.tokens.last().map_or(START, |t| i64::from(*t));
            let ids = Array2::from_shape_fn((width, 1), |(i, _)| last(&beam[i]));
            let mut inputs = vec![
                ("encoder_attention_mask", Tensor::from(Array2::<i64>::ones((width, n)))),
                ("input_ids", Tensor::from(ids)),
                ("encoder_hidden_states", Tensor::F32(repeated(&hidden, width))),
                ("use_cache_branch", Tensor::from(Array1::from_elem(1, step > 0))),
            ];
            inputs.extend(cache.inputs());
            let mut out = self.decoder.run(inputs)?;
            run_ms += out.run_ms;
            let logits = out.take("logits")?;
            cache.keep(&mut out, step == 0)?;
            let grown = self.grow(&beam, &logits)?;
            let mut parents = Vec::new();
            beam.clear();
            for (rank, (parent, hypothesis)) in grown.into_iter().enumerate() {
                if hypothesis.ended || hypothesis.stopped {
                    // An end that others outrank is an end too early.
                    if rank < self.beam_width {
                        finished.push(hypothesis);
                    }
                } else if beam.len() < self.beam_width {
                    parents.push(parent);
                    beam.push(hypothesis);
                }
            }
            let best_open = beam.iter().map(|h| self.score(h)).fold(f64::MIN, f64::max);
            let best_done = finished.iter().map(|h| self.score(h)).fold(f64::MIN, f64::max);
            if beam.is_empty() || finished.len() >= self.beam_width || best_done > best_open + self.patience {
                break;
            }
            cache.follow(&parents);
        }
        finished.extend(beam.into_iter().map(|h| Hypothesis { stopped: true, ..h }));
        let mut best = Hypothesis { stopped: true, ..Hypothesis::default() };
        let mut best_score = f64::MIN;
        for hypothesis in finished {
            // What the network ended itself goes before what was cut off.
            let cost = if hypothesis.stopped { CUT_OFF_COST } else { 0.0 };
            // Per token: otherwise the shortest text would always win.
            let score = (self.score(&hypothesis) - cost) / (hypothesis.tokens.len() + 1) as f64;
            if score > best_score {
                (best, best_score) = (hypothesis, score);
            }
        }
        let count = best.tokens.len() + usize::from(best.ended);
        let confidence = if count == 0 { 0.0 } else { (best.log_probability / count as f64).exp() as f32 };
        Ok(Transcription {
            text: self.tokenizer.decode(&best.tokens),
            confidence: confidence.clamp(0.0, 1.0),
            tokens: count,
            stopped: best.stopped,
            run_ms,
            device: encoded.device,
        })
    }

    /// Log-probability plus what the expected words are worth.
    fn score(&self, h: &Hypothesis) -> f64 {
        let bonus = if h.ended { self.vocabulary.final_bonus(&h.progress) } else { self.vocabulary.bonus(&h.progress) };
        h.log_probability + bonus
    }

    /// All hypotheses with one more token, best first, each with the index of its parent; twice the beam's width of them.
    fn grow(&self, beam: &[Hypothesis], logits: &ArrayD<f32>) -> Result<Vec<(usize, Hypothesis)>, NetworkError> {
        let mut grown = Vec::new();
        for (parent, hypothesis) in beam.iter().enumerate() {
            let row = last_row(logits, parent, beam.len())?;
            let mut tokens = largest(row, self.beam_width + 1);
            tokens.extend(self.vocabulary.candidates(&hypothesis.progress));
            tokens.sort_unstable();
            tokens.dedup();
            let normaliser = log_sum_exp(row);
            for token in tokens {
                let Some(logit) = row.get(token as usize) else { continue };
                let log_p = f64::from(*logit) - normaliser;
                grown.push((parent, hypothesis.with(token, log_p, &self.vocabulary)));
            }
        }
        grown.sort_by(|a, b| self.score(&b.1).total_cmp(&self.score(&a.1)));
        grown.truncate(2 * self.beam_width);
        Ok(grown)
    }
}

/// A text being spelt out.
#[derive(Debug, Clone, Default)]
struct Hypothesis {
    tokens: Vec<u32>,
    log_probability: f64,
    progress: Progress,
    ended: bool,
    stopped: bool,
}

impl Hypothesis {
    fn with(&self, token: u32, log_p: f64, vocabulary: &Vocabulary) -> Self {
        let mut next = self.clone();
        next.log_probability += log_p;
        if token == END {
            next.ended = true;
            return next;
        }
        next.tokens.push(token);
        next.progress = vocabulary.advance(&self.progress, token);
        if let Some(length) = repetition(&next.tokens) {
            next.tokens.truncate(length);
            next.stopped = true;
        }
        next
    }
}

/// Keys and values of the decoder's layers, one row per hypothesis. Those of the encoder's states are computed at the
/// first step only and are the same for all.
struct Cache {
    names: Vec<(String, String)>,
    values: Vec<ArrayD<f32>>,
}

impl Cache {
    fn new() -> Self {
        let mut names = Vec::with_capacity(LAYERS * 4);
        for layer in 0..LAYERS {
            for part in ["decoder.key", "decoder.value", "encoder.key", "encoder.value"] {
                names.push((format!("past_key_values.{layer}.{part}"), format!("present.{layer}.{part}")));
            }
        }
        let empty = Array4::<f32>::zeros((1, HEADS, 0, HEAD_SIZE)).into_dyn();
        Self { values: vec![empty; names.len()], names }
    }

    fn inputs(&self) -> Vec<(&str, Tensor)> {
        self.names.iter().zip(&self.values).map(|((past, _), v)| (past.as_str(), Tensor::F32(v.clone()))).collect()
    }

    /// Takes over what a run has computed.
    fn keep(&mut self, out: &mut NetworkOutputs, first: bool) -> Result<(), NetworkError> {
        for ((_, present), value) in self.names.iter().zip(&mut self.values) {
            if first || present.contains("decoder") {
                *value = out.take(present)?;
            }
        }
        Ok(())
    }

    /// Gives every hypothesis the rows of the one it grew from.
    fn follow(&mut self, parents: &[usize]) {
        for ((past, _), value) in self.names.iter().zip(&mut self.values) {
            if past.contains("decoder") {
                *value = value.select(Axis(0), parents);
            } else if value.shape()[0] != parents.len() {
                *value = value.select(Axis(0), &vec![0; parents.len()]);
            }
        }
    }
}

/// The first row of `[1.., ...]`, `width` times.
fn repeated(array: &ArrayD<f32>, width: usize) -> ArrayD<f32> {
    array.select(Axis(0), &vec![0; width])
}

/// Logits of row `index` at the last position of `[rows, t, v]`.
fn last_row(logits: &ArrayD<f32>, index: usize, rows: usize) -> Result<&[f32], NetworkError> {
    let bad = || NetworkError::Shape { name: "logits".to_owned(), shape: logits.shape().to_vec() };
    let &[n, steps, width] = logits.shape() else { return Err(bad()) };
    if n != rows || steps == 0 || width == 0 || index >= rows {
        return Err(bad());
    }
    let flat = logits.as_slice().ok_or_else(bad)?;
    let start = (index * steps + steps - 1) * width;
    Ok(&flat[start..start + width])
}

/// Indices of the `n` largest values, largest first.
fn largest(row: &[f32], n: usize) -> Vec<u32> {
    let mut best: Vec<u32> = Vec::with_capacity(n + 1);
    for (i, v) in row.iter().enumerate() {
        if best.len() == n && best.last().is_some_and(|l| *v <= row[*l as usize]) {
            continue;
        }
        let at = best.iter().position(|b| *v > row[*b as usize]).unwrap_or(best.len());
        best.insert(at, i as u32);
        best.truncate(n);
    }
    best
}

/// log of the sum of the exponentials.
fn log_sum_exp(row: &[f32]) -> f64 {
    let top = row.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = row.iter().map(|v| (v - top).exp()).sum();
    f64::from(top) + f64::from(sum).ln()
}

/// If the tail repeats a group of 1 to 8 tokens four times (six for a single token), the length up to the end of
/// the first of them.
fn repetition(tokens: &[u32]) -> Option<usize> {
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

/// Brings the loud part of the sound to a fixed level, so that distance does not matter to the recogniser.
fn levelled(samples: &[f32]) -> Vec<f32> {
    // Level of the louder half of 50 ms blocks: pauses do not count.
    let mut levels: Vec<f32> = samples.chunks(800).map(rms).collect();
    levels.sort_by(|a, b| b.total_cmp(a));
    levels.truncate(levels.len().div_ceil(2));
    let mean_square = levels.iter().map(|l| l * l).sum::<f32>() / levels.len().max(1) as f32;
    let peak = samples.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    if mean_square <= 0.0 || !mean_square.is_finite() {
        return samples.iter().map(|s| if s.is_finite() { *s } else { 0.0 }).collect();
    }
    let gain = (TARGET_RMS / mean_square.sqrt()).min(MAX_GAIN).min(0.95 / peak.max(1e-9));
    samples.iter().map(|s| s * gain).collect()
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
    fn rows_ranks_and_softmax_are_right() {
        let logits = ArrayD::from_shape_vec(vec![2, 2, 3], vec![0.0, 9.0, 0.0, 1.0, 3.0, 2.0, 0.0, 0.0, 0.0, 7.0, 5.0, 6.0]);
        let logits = logits.unwrap();
        let row = last_row(&logits, 0, 2).unwrap();
        assert_eq!(largest(row, 2), vec![1, 2]);
        assert_eq!(largest(last_row(&logits, 1, 2).unwrap(), 5), vec![0, 2, 1]);
        let want = (1.0_f64.exp() + 2.0_f64.exp() + 3.0_f64.exp()).ln();
        assert!((log_sum_exp(row) - want).abs() < 1e-6);
        assert!(last_row(&logits, 2, 2).is_err() && last_row(&ArrayD::zeros(vec![2, 2]), 0, 2).is_err());
    }

    #[test]
    fn level_is_fixed_without_clipping_and_silence_stays_silent() {
        let quiet: Vec<f32> = (0..8_000).map(|i| (i as f32 * 0.3).sin() * 0.01).collect();
        let loud = levelled(&quiet);
        assert!((rms(&loud) - TARGET_RMS).abs() < 0.002);
        assert_eq!(levelled(&[0.0; 1_000]), vec![0.0; 1_000]);
        assert!(levelled(&[1.0; 1_000]).iter().all(|s| s.abs() <= 1.0));
    }

    struct Never;
    impl Network for Never {
        fn run(&mut self, _: Vec<(&str, Tensor)>) -> Result<NetworkOutputs, NetworkError> {
            Err(NetworkError::Run("no network in this test".to_owned()))
        }
    }

    #[test]
    fn sound_too_short_or_a_failing_network_is_an_error_not_a_text() {
        let tokenizer = Tokenizer::parse(&[1, b'a']).unwrap();
        let mut stt = Moonshine::new(Box::new(Never), Box::new(Never), tokenizer);
        assert!(matches!(stt.transcribe(&[0.0; 10]), Err(TranscribeError::Length(_))));
        assert!(matches!(stt.transcribe(&[0.1; 16_000]), Err(TranscribeError::Network(_))));
    }
}
