//! Speech to text with a Whisper-class model (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022) in the ONNX form of
//! Hugging Face's optimum: an encoder over a log-mel spectrogram, and a decoder with key-value cache, either merged into one file
//! (`use_cache_branch`) or as a pair without and with past.
//!
//! The project ships no weights of this kind. An entry of the model catalogue with `decoder: whisper` and the files `encoder`, `decoder`,
//! `decoder_with_past` (unless merged), `tokenizer` (tokenizer.json) and, if there is one, `generation` (generation_config.json) makes it usable.

pub mod mel;
pub mod tokens;

use crate::features::SAMPLE_RATE;
use crate::network::{BrokerNetwork, Network, NetworkError, NetworkOutputs};
use crate::recogniser::{OpenError, Piece, Recogniser, TranscribeError, Transcription, log_sum_exp, repetition};
use models::{Broker, Priority, Tensor};
use ndarray::{Array1, Array2, Array4, ArrayD};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokens::{TIME_STEP_S, Tokens};

/// Most tokens of one window: half of Whisper's context, as in its own decoder.
const MAX_TOKENS: usize = 224;
/// A first time later than this is not believed, s (Whisper's `max_initial_timestamp`).
const MAX_FIRST_TIME_S: f64 = 1.0;
const LOGITS: &str = "logits";

/// Which tokens never come, as told by `generation_config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Generation {
    /// Never chosen.
    pub suppress_tokens: Vec<u32>,
    /// Not chosen as the first token.
    pub begin_suppress_tokens: Vec<u32>,
}

/// The networks of one model.
pub struct Parts {
    /// `input_features [1, mels, 3000]` -> `last_hidden_state`.
    pub encoder: Box<dyn Network>,
    /// Decoder without past, or the merged one.
    pub decoder: Box<dyn Network>,
    /// Decoder with past, unless merged.
    pub decoder_with_past: Option<Box<dyn Network>>,
}

/// The recogniser.
pub struct Whisper {
    parts: Parts,
    tokens: Tokens,
    generation: Generation,
    name: String,
    version: String,
    mels: usize,
    /// Names of the past tensors, with heads and size of one head.
    past: BTreeMap<String, (usize, usize)>,
    merged: bool,
}

impl Whisper {
    /// Puts the parts together and reads from the networks' inputs how many mel bands, layers and heads they have.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if the networks are not of the known form.
    pub fn new(parts: Parts, tokens: Tokens, generation: Generation, name: &str, version: &str) -> Result<Self, OpenError> {
        let damaged = |reason: &str| OpenError::Damaged { model: name.to_owned(), reason: reason.to_owned() };
        let features = parts.encoder.inputs().into_iter().find(|p| p.name == "input_features");
        let mels = match features.map(|p| p.shape).as_deref() {
            // Whisper has 80 bands, its third large version 128.
            Some([_, mels @ 1..=512, _]) => *mels as usize,
            Some([_, -1, _]) => 80,
            _ => return Err(damaged("its encoder has no input `input_features` [1, mels, 3000]")),
        };
        let merged = parts.decoder.inputs().iter().any(|p| p.name == "use_cache_branch");
        let with_past = match (&parts.decoder_with_past, merged) {
            (_, true) => parts.decoder.inputs(),
            (Some(network), false) => network.inputs(),
            (None, false) => return Err(damaged("its decoder is not merged, and there is no file `decoder_with_past`")),
        };
        let mut past = BTreeMap::new();
        for port in with_past.into_iter().filter(|p| p.name.starts_with("past_key_values.")) {
            match port.shape.as_slice() {
                [_, heads, _, size] if *heads > 0 && *size > 0 => past.insert(port.name, (*heads as usize, *size as usize)),
                _ => return Err(damaged("a past tensor of its decoder is not [1, heads, t, size] with known heads and size")),
            };
        }
        if past.is_empty() {
            return Err(damaged("its decoder has no past_key_values"));
        }
        Ok(Self { parts, tokens, generation, name: name.to_owned(), version: version.to_owned(), mels, past, merged })
    }

    /// Loads an entry of the model catalogue whose decoder is `whisper`; never fetches.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(broker: &Arc<Broker>, model: &str) -> Result<Self, OpenError> {
        let damaged = |reason: String| OpenError::Damaged { model: model.to_owned(), reason };
        let unavailable = |reason: String| NetworkError::Unavailable { model: model.to_owned(), reason };
        let entry = broker.store().catalogue().model(model).map_err(|e| unavailable(e.to_string()))?;
        let has = |file: &str| entry.files().any(|f| f.name == file);
        let part = |file: &str| -> Result<Box<dyn Network>, NetworkError> {
            Ok(Box::new(BrokerNetwork::open(broker, &format!("{model}/{file}"), Priority::MISSION)?))
        };
        let text = |file: &str| -> Result<String, OpenError> {
            let path = broker.store().locate(&format!("{model}/{file}")).map_err(|e| unavailable(e.to_string()))?;
            std::fs::read_to_string(path).map_err(|e| damaged(format!("{file}: {e}")))
        };
        let tokens = Tokens::parse(&text("tokenizer")?).map_err(|e| damaged(e.to_string()))?;
        let generation = match has("generation") {
            true => serde_json::from_str(&text("generation")?).map_err(|e| damaged(format!("generation: {e}")))?,
            false => Generation::default(),
        };
        let decoder_with_past = if has("decoder_with_past") { Some(part("decoder_with_past")?) } else { None };
        let parts = Parts { encoder: part("encoder")?, decoder: part("decoder")?, decoder_with_past };
        Self::new(parts, tokens, generation, model, &entry.version)
    }

    /// Languages it knows; English alone for a model without language tokens.
    pub fn languages(&self) -> Vec<String> {
        if self.tokens.languages.is_empty() { vec!["en".to_owned()] } else { self.tokens.languages.keys().cloned().collect() }
    }

    /// The decoder's logits at the last position, after `ids` follow on what `cache` holds.
    fn step(&mut self, ids: &[u32], hidden: &ArrayD<f32>, cache: &mut Cache) -> Result<(Vec<f32>, f32), NetworkError> {
        let first = cache.values.is_empty();
        let network = match (&mut self.parts.decoder_with_past, self.merged, first) {
            (Some(with_past), false, false) => with_past,
            _ => &mut self.parts.decoder,
        };
        let wanted: Vec<String> = network.inputs().into_iter().map(|p| p.name).collect();
        let row = Array2::from_shape_fn((1, ids.len()), |(_, i)| i64::from(ids[i]));
        let mut inputs: Vec<(&str, Tensor)> = vec![("input_ids", row.into())];
        for name in &wanted {
            match name.as_str() {
                "encoder_hidden_states" => inputs.push((name, Tensor::F32(hidden.clone()))),
                "use_cache_branch" => inputs.push((name, Array1::from_elem(1, !first).into())),
                "cache_position" => {
                    let from = cache.length as i64;
                    inputs.push((name, Array1::from_iter(from..from + ids.len() as i64).into()));
                }
                past if past.starts_with("past_key_values.") => {
                    let (heads, size) = self.past.get(past).copied().unwrap_or((1, 1));
                    let empty = || Array4::zeros((1, heads, 0, size)).into_dyn();
                    inputs.push((name, Tensor::F32(cache.values.get(past).cloned().unwrap_or_else(empty))));
                }
                _ => {}
            }
        }
        let mut out = network.run(inputs)?;
        cache.keep(&self.past, &mut out, first)?;
        cache.length += ids.len();
        let logits = out.take(LOGITS)?;
        let bad = || NetworkError::Shape { name: LOGITS.to_owned(), shape: logits.shape().to_vec() };
        let &[1, steps, width] = logits.shape() else { return Err(bad()) };
        if steps != ids.len() || width <= self.tokens.first_time as usize {
            return Err(bad());
        }
        let flat = logits.as_slice().ok_or_else(bad)?;
        Ok((flat[(steps - 1) * width..].to_vec(), out.run_ms))
    }

    /// The language as code and probability: the asked one, or the likeliest by the logits after the start token.
    fn language(&self, asked: &str, after_start: &[f32]) -> Result<(String, f32), TranscribeError> {
        if self.tokens.languages.is_empty() && (asked.is_empty() || asked == "en") {
            return Ok(("en".to_owned(), 1.0));
        }
        if !asked.is_empty() {
            // "en-GB" asks for English.
            let code = asked.split('-').next().unwrap_or(asked).to_lowercase();
            if self.tokens.languages.contains_key(&code) {
                return Ok((code, 1.0));
            }
            return Err(TranscribeError::Language { asked: asked.to_owned(), known: self.languages().join(", ") });
        }
        let logit = |id: u32| after_start.get(id as usize).copied().unwrap_or(f32::MIN);
        let all: Vec<f32> = self.tokens.languages.values().map(|id| logit(*id)).collect();
        let total = log_sum_exp(&all);
        let best = self.tokens.languages.iter().max_by(|a, b| logit(*a.1).total_cmp(&logit(*b.1)));
        let (code, id) = best.ok_or_else(|| TranscribeError::Language { asked: String::new(), known: String::new() })?;
        Ok((code.clone(), (f64::from(logit(*id)) - total).exp() as f32))
    }

    /// The next token by Whisper's rules, with its log-probability among those that the rules allow (openai/whisper, `whisper/decoding.py`:
    /// `SuppressTokens`, `SuppressBlank`, `ApplyTimestampRules`).
    fn choose(&self, logits: &mut [f32], chosen: &[u32], seconds: f64) -> Option<(u32, f64)> {
        let t = &self.tokens;
        let width = logits.len() as u32;
        let mut forbid = |from: u32, to: u32| {
            for id in from.min(width)..to.min(width) {
                logits[id as usize] = f32::NEG_INFINITY;
            }
        };
        for id in t.suppressed().chain(self.generation.suppress_tokens.iter().copied()) {
            forbid(id, id.saturating_add(1));
        }
        // Nothing after the end of the sound.
        forbid(t.first_time + (seconds / TIME_STEP_S).ceil() as u32 + 1, width);
        if chosen.is_empty() {
            for id in &self.generation.begin_suppress_tokens {
                forbid(*id, id.saturating_add(1));
            }
            // The first token is a time in the first second.
            forbid(0, t.first_time);
            forbid(t.first_time + (MAX_FIRST_TIME_S / TIME_STEP_S) as u32 + 1, width);
        }
        let was_time = chosen.last().is_some_and(|c| t.is_time(*c));
        let time_before = chosen.len() < 2 || t.is_time(chosen[chosen.len() - 2]);
        if was_time && time_before {
            // Two times in a row: text follows.
            forbid(t.first_time, width);
        } else if was_time {
            // A time that closes a stretch: another one opens the next, or the text ends.
            forbid(0, t.end);
            forbid(t.end + 1, t.first_time);
        }
        if let Some(last) = chosen.iter().rev().find(|c| t.is_time(**c)) {
            // Times do not go back, and a stretch is not empty.
            forbid(t.first_time, if was_time && !time_before { *last } else { last + 1 });
        }
        // If the times together are likelier than any text, it is a time.
        let (text, times) = logits.split_at_mut(t.first_time.min(width) as usize);
        let best_text = text.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if times.iter().any(|x| x.is_finite()) && log_sum_exp(times) > f64::from(best_text) {
            text.fill(f32::NEG_INFINITY);
        }
        let (id, best) = logits.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
        best.is_finite().then(|| (id as u32, f64::from(best) - log_sum_exp(logits)))
    }
}

/// Keys and values of the decoder's layers.
#[derive(Default)]
struct Cache {
    values: BTreeMap<String, ArrayD<f32>>,
    length: usize,
}

impl Cache {
    /// Takes over what a run has computed; keys and values of the encoder's states come with the first run only.
    fn keep(
        &mut self,
        past: &BTreeMap<String, (usize, usize)>,
        out: &mut NetworkOutputs,
        first: bool,
    ) -> Result<(), NetworkError> {
        for name in past.keys() {
            if first || !name.contains(".encoder.") {
                let present = name.replacen("past_key_values", "present", 1);
                self.values.insert(name.clone(), out.take(&present)?);
            }
        }
        Ok(())
    }
}

impl Recogniser for Whisper {
    fn model(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn transcribe(&mut self, samples: &[f32], language: &str) -> Result<Transcription, TranscribeError> {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if !(0.1..=30.0).contains(&seconds) {
            return Err(TranscribeError::Length(seconds));
        }
        let mut encoded = self.parts.encoder.run(vec![("input_features", mel::log_mel(samples, self.mels).into())])?;
        let hidden = encoded.take("last_hidden_state")?;
        let mut run_ms = encoded.run_ms;

        // After the start token alone, the network tells the language and whether there is speech at all.
        let (after_start, ms) = self.step(&[self.tokens.start], &hidden, &mut Cache::default())?;
        run_ms += ms;
        let (code, language_probability) = self.language(language, &after_start)?;
        let no_speech = self
            .tokens
            .no_speech
            .and_then(|id| after_start.get(id as usize))
            .map(|logit| (f64::from(*logit) - log_sum_exp(&after_start)).exp() as f32);

        let mut prompt = vec![self.tokens.start];
        prompt.extend(self.tokens.languages.get(&code));
        prompt.extend(self.tokens.transcribe);
        let mut cache = Cache::default();
        let mut chosen: Vec<u32> = Vec::new();
        let mut log_p: Vec<f64> = Vec::new();
        let mut stopped = true;
        let mut fed = prompt;
        while chosen.len() < MAX_TOKENS {
            let (mut logits, ms) = self.step(&fed, &hidden, &mut cache)?;
            run_ms += ms;
            let Some((token, p)) = self.choose(&mut logits, &chosen, seconds) else { break };
            log_p.push(p);
            if token == self.tokens.end {
                stopped = false;
                break;
            }
            chosen.push(token);
            if let Some(length) = repetition(&chosen) {
                chosen.truncate(length);
                log_p.truncate(length);
                break;
            }
            fed = vec![token];
        }
        let mean = |p: &[f64]| if p.is_empty() { 0.0 } else { (p.iter().sum::<f64>() / p.len() as f64).exp().min(1.0) as f32 };
        Ok(Transcription {
            text: self.tokens.decode(&chosen),
            pieces: pieces(&self.tokens, &chosen, &log_p, seconds, mean),
            language: code,
            language_probability,
            confidence: mean(&log_p),
            no_speech,
            tokens: log_p.len(),
            stopped,
            run_ms,
            device: encoded.device,
        })
    }

    fn draft(&mut self, samples: &[f32], language: &str) -> Result<Transcription, TranscribeError> {
        self.transcribe(samples, language)
    }
}

/// Stretches between time tokens.
fn pieces(tokens: &Tokens, chosen: &[u32], log_p: &[f64], seconds: f64, mean: impl Fn(&[f64]) -> f32) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut start_s = 0.0;
    let mut from = 0;
    let mut close = |from: usize, to: usize, start_s: f64, end_s: f64| {
        let text = tokens.decode(&chosen[from..to]);
        if !text.is_empty() {
            let end_s = f64::min(end_s, seconds);
            out.push(Piece { text, start_s: f64::min(start_s, end_s), end_s, confidence: mean(&log_p[from..to]) });
        }
    };
    for (i, token) in chosen.iter().enumerate() {
        if tokens.is_time(*token) {
            close(from, i, start_s, tokens.time_s(*token));
            start_s = tokens.time_s(*token);
            from = i + 1;
        }
    }
    close(from, chosen.len(), start_s, seconds);
    out
}
