//! Speech to text with Moonshine (Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice
//! Commands", 2024): an encoder over raw samples, a decoder with key-value cache, greedy decoding.

use crate::features::{SAMPLE_RATE, rms};
use crate::network::{BrokerNetwork, Network, NetworkError, NetworkOutputs};
use crate::tokenizer::Tokenizer;
use models::{Broker, Priority, Tensor};
use ndarray::{Array1, Array2, Array4, ArrayD};
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

/// The recogniser: two networks and a vocabulary.
pub struct Moonshine {
    encoder: Box<dyn Network>,
    decoder: Box<dyn Network>,
    tokenizer: Tokenizer,
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
/// Largest amplification, so that near silence stays near silence.
const MAX_GAIN: f32 = 30.0;

impl Moonshine {
    /// Puts the parts together.
    pub fn new(encoder: Box<dyn Network>, decoder: Box<dyn Network>, tokenizer: Tokenizer) -> Self {
        Self { encoder, decoder, tokenizer }
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
        let mask = Array2::<i64>::ones((1, n));
        let input = Array2::from_shape_fn((1, n), |(_, i)| samples[i]);
        let mut encoded = self.encoder.run(vec![
            ("input_values", Tensor::from(input)),
            ("attention_mask", Tensor::from(mask.clone())),
        ])?;
        let hidden = encoded.take("last_hidden_state")?;
        let mut run_ms = encoded.run_ms;

        let mut cache = Cache::new();
        let mut chosen: Vec<u32> = Vec::new();
        let mut log_probability = 0.0_f64;
        let limit = (seconds * TOKENS_PER_SECOND).ceil() as usize + 4;
        let mut last = START;
        let mut stopped = true;
        for step in 0..limit {
            let mut inputs = vec![
                ("encoder_attention_mask", Tensor::from(mask.clone())),
                ("input_ids", Tensor::from(Array2::from_elem((1, 1), last))),
                ("encoder_hidden_states", Tensor::from(hidden.clone())),
                ("use_cache_branch", Tensor::from(Array1::from_elem(1, step > 0))),
            ];
            inputs.extend(cache.inputs());
            let mut out = self.decoder.run(inputs)?;
            run_ms += out.run_ms;
            let logits = out.take("logits")?;
            let (token, log_p) = best_token(&logits)?;
            log_probability += log_p;
            chosen.push(token);
            if token == END {
                stopped = false;
                break;
            }
            if let Some(length) = repetition(&chosen) {
                chosen.truncate(length);
                break;
            }
            cache.update(&mut out, step == 0)?;
            last = i64::from(token);
        }
        let confidence = if chosen.is_empty() { 0.0 } else { (log_probability / chosen.len() as f64).exp() as f32 };
        Ok(Transcription {
            text: self.tokenizer.decode(&chosen),
            confidence: confidence.clamp(0.0, 1.0),
            tokens: chosen.len(),
            stopped,
            run_ms,
            device: encoded.device,
        })
    }
}

/// Keys and values of the decoder's layers. Those of the encoder's states are computed at the first step only.
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

    fn update(&mut self, out: &mut NetworkOutputs, first: bool) -> Result<(), NetworkError> {
        for ((_, present), value) in self.names.iter().zip(&mut self.values) {
            if first || present.contains("decoder") {
                *value = out.take(present)?;
            }
        }
        Ok(())
    }
}

/// Index and log-probability (log-softmax) of the largest logit at the last position of `[1, t, v]`.
fn best_token(logits: &ArrayD<f32>) -> Result<(u32, f64), NetworkError> {
    let bad = || NetworkError::Shape { name: "logits".to_owned(), shape: logits.shape().to_vec() };
    let &[1, steps, width] = logits.shape() else { return Err(bad()) };
    if steps == 0 || width == 0 {
        return Err(bad());
    }
    let flat = logits.as_slice().ok_or_else(bad)?;
    let row = &flat[(steps - 1) * width..];
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    let top = f64::from(row[best]);
    let sum: f64 = row.iter().map(|&v| (f64::from(v) - top).exp()).sum();
    Ok((best as u32, -sum.ln()))
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
    fn the_best_token_has_its_softmax_probability() {
        let logits = ArrayD::from_shape_vec(vec![1, 2, 3], vec![9.0, 0.0, 0.0, 1.0, 3.0, 2.0]).unwrap();
        let (token, log_p) = best_token(&logits).unwrap();
        let want = (3.0_f64.exp() / (1.0_f64.exp() + 2.0_f64.exp() + 3.0_f64.exp())).ln();
        assert_eq!(token, 1);
        assert!((log_p - want).abs() < 1e-6);
        assert!(best_token(&ArrayD::zeros(vec![2, 2])).is_err());
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
