//! Speech to text with Moonshine (Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice
//! Commands", 2024): an encoder over raw samples, a decoder with key-value cache, beam search that can be told which
//! words to expect.
//!
//! The network is small and wavers: the same words a tenth of a second later in its input come out as others. So it looks at the utterance several
//! times, each time with another length of silence before it ([`Moonshine::with_views`]), and the search follows the mean of the log-probabilities.

use crate::features::{SAMPLE_RATE, rms};
use crate::network::{BrokerNetwork, Network, NetworkError, NetworkOutputs};
use crate::recogniser::{Piece, Recogniser, Spotted, log_sum_exp, repetition};
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

pub use crate::recogniser::{TranscribeError, Transcription};

/// The recogniser: two networks, a tokenizer and the words expected.
pub struct Moonshine {
    encoder: Box<dyn Network>,
    decoder: Box<dyn Network>,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    beam_width: usize,
    views: usize,
    name: String,
    version: String,
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
/// Silence before the sound in each view, and all silence added, s: found on every fourth sentence of tests/audio/commands.txt.
const VIEW_LEADS_S: [f64; 3] = [0.0, 0.2, 0.5];
const VIEW_SILENCE_S: f64 = 0.7;
/// Sound that all views together may have, s: their cost grows with the square of it, and long utterances waver less.
const VIEWED_S: f64 = 18.0;
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
        Self {
            encoder,
            decoder,
            tokenizer,
            vocabulary: Vocabulary::default(),
            beam_width: 1,
            views: 1,
            name: MODEL.to_owned(),
            version: MODEL_VERSION.to_owned(),
            patience: PATIENCE,
        }
    }

    /// Looks at each utterance `views` times (1 to 3) with the sound at another place; 1 takes it as it comes and is the fastest. Utterances above 6 s
    /// are looked at twice at most, those above 9 s once.
    #[must_use]
    pub fn with_views(mut self, views: usize) -> Self {
        self.views = views.clamp(1, VIEW_LEADS_S.len());
        self
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
        Self::open_model(broker, MODEL)
    }

    /// Loads another entry of the catalogue with the same networks (files `encoder`, `decoder`, `tokenizer`).
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`] with what to do about it.
    pub fn open_model(broker: &Arc<Broker>, model: &str) -> Result<Self, NetworkError> {
        let unavailable = |reason: String| NetworkError::Unavailable { model: model.to_owned(), reason };
        let part = |file: &str| BrokerNetwork::open(broker, &format!("{model}/{file}"), Priority::MISSION);
        let entry = broker.store().catalogue().model(model).map_err(|e| unavailable(e.to_string()))?;
        let path = broker.store().locate(&format!("{model}/tokenizer")).map_err(|e| unavailable(e.to_string()))?;
        let bytes = std::fs::read(path).map_err(|e| unavailable(e.to_string()))?;
        let tokenizer = Tokenizer::parse(&bytes).map_err(|e| unavailable(e.to_string()))?;
        let mut opened = Self::new(Box::new(part("encoder")?), Box::new(part("decoder")?), tokenizer);
        (opened.name, opened.version) = (model.to_owned(), entry.version.clone());
        Ok(opened)
    }

    /// Text of 16 kHz mono samples `[n]`, 0.1 to 30 s. The level is brought to a fixed one first.
    ///
    /// # Errors
    /// [`TranscribeError`].
    pub fn transcribe(&mut self, samples: &[f32]) -> Result<Transcription, TranscribeError> {
        self.search(samples, self.beam_width, self.views)
    }

    fn search(&mut self, samples: &[f32], beam_width: usize, views: usize) -> Result<Transcription, TranscribeError> {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if !(0.1..=30.0).contains(&seconds) {
            return Err(TranscribeError::Length(seconds));
        }
        let views = views_for(views, seconds);
        let input = viewed(&levelled(samples), views);
        let n = input.ncols();
        let mut encoded = self.encoder.run(vec![
            ("input_values", Tensor::from(input)),
            ("attention_mask", Tensor::from(Array2::<i64>::ones((views, n)))),
        ])?;
        let hidden = encoded.take("last_hidden_state")?;
        if hidden.shape().first() != Some(&views) {
            return Err(NetworkError::Shape { name: "last_hidden_state".to_owned(), shape: hidden.shape().to_vec() }.into());
        }
        let mut run_ms = encoded.run_ms;

        let limit = (seconds * TOKENS_PER_SECOND).ceil() as usize + 4;
        let mut cache = Cache::new(views);
        let mut beam = vec![Hypothesis::default()];
        let mut finished: Vec<Hypothesis> = Vec::new();
        for step in 0..limit {
            let width = beam.len();
            let last = |h: &Hypothesis| h.tokens.last().map_or(START, |t| i64::from(*t));
            // Row v * width + i is hypothesis i seen in view v.
            let ids = Array2::from_shape_fn((views * width, 1), |(row, _)| last(&beam[row % width]));
            let mut inputs = vec![
                ("encoder_attention_mask", Tensor::from(Array2::<i64>::ones((views * width, n)))),
                ("input_ids", Tensor::from(ids)),
                ("encoder_hidden_states", Tensor::F32(hidden.select(Axis(0), &rows(views, 1, &vec![0; width])))),
                ("use_cache_branch", Tensor::from(Array1::from_elem(1, step > 0))),
            ];
            inputs.extend(cache.inputs());
            let mut out = self.decoder.run(inputs)?;
            run_ms += out.run_ms;
            let logits = out.take("logits")?;
            cache.keep(&mut out, step == 0)?;
            let grown = self.grow(&beam, &mean_log_probabilities(&logits, views, width)?, beam_width);
            let mut parents = Vec::new();
            beam.clear();
            for (rank, (parent, hypothesis)) in grown.into_iter().enumerate() {
                if hypothesis.ended || hypothesis.stopped {
                    // An end that others outrank is an end too early.
                    if rank < beam_width {
                        finished.push(hypothesis);
                    }
                } else if beam.len() < beam_width {
                    parents.push(parent);
                    beam.push(hypothesis);
                }
            }
            let best_open = beam.iter().map(|h| self.score(h)).fold(f64::MIN, f64::max);
            let best_done = finished.iter().map(|h| self.score(h)).fold(f64::MIN, f64::max);
            if beam.is_empty() || finished.len() >= 2 * beam_width || best_done > best_open + self.patience {
                break;
            }
            cache.follow(width, &parents);
        }
        finished.extend(beam.into_iter().map(|h| Hypothesis { stopped: true, ..h }));
        let mut best = Hypothesis { stopped: true, ..Hypothesis::default() };
        let mut best_score = f64::MIN;
        for hypothesis in finished {
            // What the network ended itself goes before what was cut off.
            let cost = if hypothesis.stopped { CUT_OFF_COST } else { 0.0 };
            // Not per token: that would favour words spelt with more of them ("to day", "sand which").
            let score = self.score(&hypothesis) - cost;
            if score > best_score {
                (best, best_score) = (hypothesis, score);
            }
        }
        let count = best.tokens.len() + usize::from(best.ended);
        let confidence = if count == 0 { 0.0 } else { (best.log_probability / count as f64).exp() as f32 };
        let text = self.tokenizer.decode(&best.tokens);
        let confidence = confidence.clamp(0.0, 1.0);
        let pieces = if text.is_empty() {
            Vec::new()
        } else {
            vec![Piece { text: text.clone(), start_s: 0.0, end_s: seconds, confidence }]
        };
        Ok(Transcription {
            text,
            pieces,
            language: LANGUAGE.to_owned(),
            language_probability: 1.0,
            confidence,
            no_speech: None,
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
    fn grow(&self, beam: &[Hypothesis], log_p: &[Vec<f32>], beam_width: usize) -> Vec<(usize, Hypothesis)> {
        let mut grown = Vec::new();
        for (parent, (hypothesis, row)) in beam.iter().zip(log_p).enumerate() {
            let mut tokens = largest(row, beam_width + 1);
            tokens.extend(self.vocabulary.candidates(&hypothesis.progress));
            tokens.sort_unstable();
            tokens.dedup();
            for token in tokens {
                let Some(log_p) = row.get(token as usize) else { continue };
                grown.push((parent, hypothesis.with(token, f64::from(*log_p), &self.vocabulary)));
            }
        }
        grown.sort_by(|a, b| self.score(&b.1).total_cmp(&self.score(&a.1)));
        grown.truncate(2 * beam_width);
        grown
    }

    fn known_language(&self, language: &str) -> Result<(), TranscribeError> {
        let code = language.split('-').next().unwrap_or(language);
        if code.is_empty() || code.eq_ignore_ascii_case(LANGUAGE) {
            return Ok(());
        }
        Err(TranscribeError::Language { asked: language.to_owned(), known: LANGUAGE.to_owned() })
    }
}

impl Recogniser for Moonshine {
    fn model(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn transcribe(&mut self, samples: &[f32], language: &str) -> Result<Transcription, TranscribeError> {
        self.known_language(language)?;
        self.search(samples, self.beam_width, self.views)
    }

    fn draft(&mut self, samples: &[f32], language: &str) -> Result<Transcription, TranscribeError> {
        self.known_language(language)?;
        self.search(samples, 1, 1)
    }

    fn spot(&mut self, samples: &[f32], phrase: &str, threshold: f32) -> Result<Option<Spotted>, TranscribeError> {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if !(0.1..=30.0).contains(&seconds) {
            return Err(TranscribeError::Length(seconds));
        }
        let spellings: Vec<Vec<u32>> =
            spellings(phrase).iter().filter_map(|s| self.tokenizer.encode(s)).filter(|t| !t.is_empty()).collect();
        if spellings.is_empty() {
            return Ok(None);
        }
        let views = views_for(self.views, seconds);
        let input = viewed(&levelled(samples), views);
        let n = input.ncols();
        let mut encoded = self.encoder.run(vec![
            ("input_values", Tensor::from(input)),
            ("attention_mask", Tensor::from(Array2::<i64>::ones((views, n)))),
        ])?;
        let hidden = encoded.take("last_hidden_state")?;
        let mut run_ms = encoded.run_ms;
        // All tokens of a spelling at once, without a cache: log-probabilities after each of them, the mean over the views.
        let mut after = |tokens: &[u32]| -> Result<Vec<Vec<f32>>, NetworkError> {
            let ids: Vec<i64> = std::iter::once(START).chain(tokens.iter().map(|t| i64::from(*t))).collect();
            let steps = ids.len();
            let cache = Cache::new(1);
            let mut inputs = vec![
                ("encoder_attention_mask", Tensor::from(Array2::<i64>::ones((views, n)))),
                ("input_ids", Tensor::from(Array2::from_shape_fn((views, steps), |(_, i)| ids[i]))),
                ("encoder_hidden_states", Tensor::F32(hidden.clone())),
                ("use_cache_branch", Tensor::from(Array1::from_elem(1, false))),
            ];
            inputs.extend(cache.inputs());
            let mut out = self.decoder.run(inputs)?;
            run_ms += out.run_ms;
            let logits = out.take("logits")?;
            let bad = || NetworkError::Shape { name: "logits".to_owned(), shape: logits.shape().to_vec() };
            let (&[v, t, width], Some(flat)) = (logits.shape(), logits.as_slice()) else { return Err(bad()) };
            if (v, t) != (views, steps) || width == 0 {
                return Err(bad());
            }
            let mut mean = vec![vec![0.0_f32; width]; steps];
            for (i, row) in flat.chunks_exact(width).enumerate() {
                let normaliser = log_sum_exp(row) as f32;
                mean[i % steps].iter_mut().zip(row).for_each(|(m, l)| *m += (l - normaliser) / views as f32);
            }
            Ok(mean)
        };
        let mut best: Option<(f64, Vec<u32>)> = None;
        for tokens in spellings {
            let rows = after(&tokens)?;
            let log_p = |(row, t): (&Vec<f32>, &u32)| row.get(*t as usize).map_or(f64::MIN, |l| f64::from(*l));
            let sum = rows.iter().zip(&tokens).map(log_p).sum::<f64>();
            if best.as_ref().is_none_or(|(b, _)| sum > *b) {
                best = Some((sum, tokens));
            }
        }
        let Some((log_probability, mut tokens)) = best else { return Ok(None) };
        let log_probability = log_probability as f32;
        let begun = tokens.len();
        // What nobody said is followed by nothing: most utterances end here.
        let more = if log_probability >= threshold { (seconds * TOKENS_PER_SECOND).ceil() as usize } else { 0 };
        let limit = begun + more;
        while tokens.len() < limit {
            let rows = after(&tokens)?;
            let Some(token) = rows.last().and_then(|row| largest(row, 1).first().copied()) else { break };
            if token == END {
                break;
            }
            tokens.push(token);
            if let Some(length) = repetition(&tokens) {
                tokens.truncate(length.max(begun));
                break;
            }
        }
        let rest = self.tokenizer.decode(&tokens[begun..]);
        let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric()).to_owned();
        Ok(Some(Spotted { log_probability, rest, run_ms, device: encoded.device }))
    }
}

/// How a phrase may be written: as the network writes the beginning of a sentence, with and without a comma after its first word.
fn spellings(phrase: &str) -> Vec<String> {
    let lower: Vec<String> = crate::wer::words(phrase);
    let capital = |w: &String| w.chars().take(1).flat_map(char::to_uppercase).chain(w.chars().skip(1)).collect::<String>();
    let all: Vec<String> = lower.iter().map(capital).collect();
    let mut first = lower.clone();
    if let (Some(to), Some(from)) = (first.first_mut(), all.first()) {
        to.clone_from(from);
    }
    let mut out = Vec::new();
    for words in [all, first] {
        out.push(words.join(" "));
        if let [head, tail @ ..] = words.as_slice()
            && !tail.is_empty()
        {
            out.push(format!("{head}, {}", tail.join(" ")));
        }
    }
    out.retain(|s| !s.is_empty());
    out.dedup();
    out
}

/// Views of a sound of this length.
fn views_for(views: usize, seconds: f64) -> usize {
    views.min(((VIEWED_S / seconds) as usize).max(1))
}

/// The sound once per view `[views, n]`: as it is for one view, else in silence with another lead each.
fn viewed(samples: &[f32], views: usize) -> Array2<f32> {
    let at = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize;
    let silence = if views > 1 { at(VIEW_SILENCE_S) } else { 0 };
    let mut out = Array2::zeros((views, samples.len() + silence));
    for (mut row, lead) in out.rows_mut().into_iter().zip(VIEW_LEADS_S.map(at)) {
        row.iter_mut().skip(lead).zip(samples).for_each(|(o, s)| *o = *s);
    }
    out
}

/// Indices of the rows of hypotheses `parents` in every view, where a view has `width` rows.
fn rows(views: usize, width: usize, parents: &[usize]) -> Vec<usize> {
    (0..views).flat_map(|v| parents.iter().map(move |p| v * width + p)).collect()
}

/// Log-probabilities of the next token per hypothesis: the mean over the views.
fn mean_log_probabilities(logits: &ArrayD<f32>, views: usize, width: usize) -> Result<Vec<Vec<f32>>, NetworkError> {
    let mut out = Vec::with_capacity(width);
    for i in 0..width {
        let mut mean = Vec::new();
        for v in 0..views {
            let row = last_row(logits, v * width + i, views * width)?;
            let normaliser = log_sum_exp(row) as f32;
            if v == 0 {
                mean = row.iter().map(|l| l - normaliser).collect();
            } else {
                mean.iter_mut().zip(row).for_each(|(m, l)| *m += l - normaliser);
            }
        }
        mean.iter_mut().for_each(|m| *m /= views as f32);
        out.push(mean);
    }
    Ok(out)
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
    views: usize,
}

impl Cache {
    fn new(views: usize) -> Self {
        let mut names = Vec::with_capacity(LAYERS * 4);
        for layer in 0..LAYERS {
            for part in ["decoder.key", "decoder.value", "encoder.key", "encoder.value"] {
                names.push((format!("past_key_values.{layer}.{part}"), format!("present.{layer}.{part}")));
            }
        }
        let empty = Array4::<f32>::zeros((1, HEADS, 0, HEAD_SIZE)).into_dyn();
        Self { values: vec![empty; names.len()], names, views }
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

    /// Gives every hypothesis the rows of the one it grew from; there were `width` hypotheses.
    fn follow(&mut self, width: usize, parents: &[usize]) {
        let from = rows(self.views, width, parents);
        for ((past, _), value) in self.names.iter().zip(&mut self.values) {
            if past.contains("decoder") {
                *value = value.select(Axis(0), &from);
            } else if width != parents.len() {
                *value = value.select(Axis(0), &rows(self.views, width, &vec![0; parents.len()]));
            }
        }
    }
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
    fn rows_and_ranks_are_right() {
        let logits = ArrayD::from_shape_vec(vec![2, 2, 3], vec![0.0, 9.0, 0.0, 1.0, 3.0, 2.0, 0.0, 0.0, 0.0, 7.0, 5.0, 6.0]);
        let logits = logits.unwrap();
        let row = last_row(&logits, 0, 2).unwrap();
        assert_eq!(largest(row, 2), vec![1, 2]);
        assert_eq!(largest(last_row(&logits, 1, 2).unwrap(), 5), vec![0, 2, 1]);
        // Two views of one hypothesis: the mean of the log-probabilities.
        let mean = mean_log_probabilities(&logits, 2, 1).unwrap();
        let (a, b) = (log_sum_exp(&[1.0, 3.0, 2.0]), log_sum_exp(&[7.0, 5.0, 6.0]));
        assert!((f64::from(mean[0][0]) - (1.0 - a + 7.0 - b) / 2.0).abs() < 1e-5);
        assert_eq!(rows(2, 3, &[2, 0]), [2, 0, 5, 3]);
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

    #[test]
    fn a_phrase_is_spelt_as_sentences_begin() {
        assert_eq!(spellings("hey omni"), ["Hey Omni", "Hey, Omni", "Hey omni", "Hey, omni"]);
        assert_eq!(spellings("computer"), ["Computer"]);
        assert_eq!(spellings(" .,"), Vec::<String>::new());
    }

    #[test]
    fn each_view_has_the_whole_sound_at_another_place() {
        let input = viewed(&[1.0; 100], 3);
        assert_eq!(input.shape(), [3, 100 + 11_200]);
        assert!(input.rows().into_iter().all(|row| (row.sum() - 100.0).abs() < 1e-3));
        assert_eq!((input[[0, 0]], input[[1, 3_199]], input[[1, 3_200]], input[[2, 8_000]]), (1.0, 0.0, 1.0, 1.0));
        assert_eq!(viewed(&[1.0; 100], 1).shape(), [1, 100]);
        assert_eq!([2.0, 6.0, 6.1, 9.1, 30.0].map(|s| views_for(3, s)), [3, 3, 2, 1, 1]);
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
        assert!(matches!(Recogniser::transcribe(&mut stt, &[0.1; 16_000], "de"), Err(TranscribeError::Language { .. })));
    }
}
