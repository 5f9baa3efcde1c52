//! Mood of a voice by a network of the model catalogue. The project ships no weights of this kind; an entry with `decoder: emotion` makes one usable:
//!
//! - its one input is declared as `waveform` (float32 `[1, n]`, 16 kHz, zero mean, unit variance as in wav2vec 2.0) or `log_mel` (float32 `[1, bands, t]`,
//!   natural logarithm of the power in Slaney mel bands, 25 ms Hann every 10 ms): the first word of the input's description;
//! - its one output, logits `[1, labels]`, is declared with the labels in order, separated by commas, after a colon.

use crate::emotion::{LABELS, Mood};
use crate::features::{MelBank, MelScale, SAMPLE_RATE, Spectrum};
use crate::network::{BrokerNetwork, Network, NetworkError};
use crate::recogniser::log_sum_exp;
use models::{Broker, ModelEntry, Priority, Tensor};
use ndarray::{Array2, Array3};
use std::sync::Arc;

/// What the network is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Samples `[1, n]` of zero mean and unit variance.
    Waveform,
    /// Log-mel `[1, bands, t]`.
    LogMel {
        /// Mel bands.
        bands: usize,
    },
}

/// Why an entry of the catalogue is not a mood network.
#[derive(Debug, thiserror::Error)]
pub enum EmotionError {
    /// The entry's declaration.
    #[error("model `{model}`: {reason}")]
    Declaration {
        /// The model.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Less sound than 0.3 s, or more than 30 s.
    #[error("{0:.2} s of sound is outside 0.3 to 30 s")]
    Length(f64),
    /// The network is not there or failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// A mood network with what its numbers mean.
pub struct EmotionNetwork {
    network: Box<dyn Network>,
    input: (String, Input),
    output: String,
    /// Of each logit: one of [`LABELS`]; `unknown` for a mood that is not among them.
    labels: Vec<&'static str>,
    name: String,
    version: String,
}

/// The label of ours that a network's own means.
fn label(own: &str) -> &'static str {
    let own = own.trim().to_lowercase();
    if let Some(same) = LABELS.iter().find(|l| **l == own) {
        return same;
    }
    match own.as_str() {
        "happiness" | "joy" | "hap" => "happy",
        "sadness" => "sad",
        "anger" | "ang" => "angry",
        "fear" | "fea" => "fearful",
        "neu" | "neutrality" => "neutral",
        "excitement" | "exc" => "excited",
        "calmness" => "calm",
        _ => "unknown",
    }
}

impl EmotionNetwork {
    /// Puts a network and its declaration together.
    ///
    /// # Errors
    /// [`EmotionError::Declaration`].
    pub fn new(network: Box<dyn Network>, entry: &ModelEntry) -> Result<Self, EmotionError> {
        let bad = |reason: String| EmotionError::Declaration { model: entry.name.clone(), reason };
        if entry.decoder != "emotion" {
            return Err(bad(format!("its decoder is `{}`, not emotion", entry.decoder)));
        }
        let (Some((name, words)), 1) = (entry.inputs.iter().next(), entry.inputs.len()) else {
            return Err(bad("it must declare exactly one input".to_owned()));
        };
        let shape = network.inputs().into_iter().find(|p| p.name == *name).map(|p| p.shape);
        let input = match words.split(|c: char| !(c.is_alphanumeric() || c == '_')).next() {
            Some("waveform") => Input::Waveform,
            Some("log_mel") => match shape.as_deref() {
                Some([_, bands @ 1..=512, _]) => Input::LogMel { bands: *bands as usize },
                _ => return Err(bad(format!("input `{name}` must be [1, bands, t] with a known number of bands"))),
            },
            _ => return Err(bad(format!("the description of input `{name}` must begin with waveform or log_mel"))),
        };
        let (Some((output, words)), 1) = (entry.outputs.iter().next(), entry.outputs.len()) else {
            return Err(bad("it must declare exactly one output".to_owned()));
        };
        let labels: Vec<&'static str> = words.split_once(':').map_or(Vec::new(), |(_, l)| l.split(',').map(label).collect());
        if labels.len() < 2 {
            return Err(bad(format!(
                "the description of output `{output}` must end with a colon and the labels, separated by commas"
            )));
        }
        Ok(Self {
            network,
            input: (name.clone(), input),
            output: output.clone(),
            labels,
            name: entry.name.clone(),
            version: entry.version.clone(),
        })
    }

    /// Loads an entry of the catalogue; never fetches.
    ///
    /// # Errors
    /// [`EmotionError`].
    pub fn open(broker: &Arc<Broker>, model: &str) -> Result<Self, EmotionError> {
        let entry = broker.store().catalogue().model(model);
        let entry = entry.map_err(|e| NetworkError::Unavailable { model: model.to_owned(), reason: e.to_string() })?;
        Self::new(Box::new(BrokerNetwork::open(broker, model, Priority::BACKGROUND)?), entry)
    }

    /// Its name in the catalogue.
    pub fn model(&self) -> &str {
        &self.name
    }

    /// Version of its weights.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Mood of 16 kHz mono speech, 0.3 to 30 s; `unknown` below `min_confidence`. Confidence is the softmax, summed over the network's labels that mean
    /// the same here. Also the wall time inside the network in ms, and where it ran.
    ///
    /// # Errors
    /// [`EmotionError::Length`], [`EmotionError::Network`].
    pub fn classify(&mut self, samples: &[f32], min_confidence: f32) -> Result<(Mood, f32, String), EmotionError> {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if !(0.3..=30.0).contains(&seconds) {
            return Err(EmotionError::Length(seconds));
        }
        let tensor = match self.input.1 {
            Input::Waveform => Tensor::from(waveform(samples)),
            Input::LogMel { bands } => Tensor::from(log_mel(samples, bands)),
        };
        let mut out = self.network.run(vec![(&self.input.0, tensor)])?;
        let run_ms = out.run_ms;
        let logits = out.take(&self.output)?;
        let row: Vec<f32> = logits.iter().copied().collect();
        if row.len() != self.labels.len() || !row.iter().all(|x| x.is_finite()) {
            return Err(NetworkError::Shape { name: self.output.clone(), shape: logits.shape().to_vec() }.into());
        }
        let total = log_sum_exp(&row);
        let share = |label: &str| {
            let own = row.iter().zip(&self.labels).filter(|(_, l)| **l == label);
            own.map(|(x, _)| (f64::from(*x) - total).exp()).sum::<f64>() as f32
        };
        let best = LABELS.iter().map(|l| (*l, share(l))).max_by(|a, b| a.1.total_cmp(&b.1));
        let (label, confidence) = best.unwrap_or(("unknown", 0.0));
        Ok((Mood { label: if confidence >= min_confidence { label } else { "unknown" }, confidence }, run_ms, out.device))
    }
}

fn waveform(samples: &[f32]) -> Array2<f32> {
    let n = samples.len().max(1) as f64;
    let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / n;
    let variance = samples.iter().map(|s| (f64::from(*s) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + 1e-7).sqrt();
    Array2::from_shape_fn((1, samples.len()), |(_, i)| ((f64::from(samples[i]) - mean) * scale) as f32)
}

fn log_mel(samples: &[f32], bands: usize) -> Array3<f32> {
    const FRAME: usize = 400;
    let mut spectrum = Spectrum::new(FRAME, 512);
    let bank = MelBank::new(MelScale::Slaney, SAMPLE_RATE, 512, bands);
    let frames: Vec<Vec<f32>> = samples.windows(FRAME).step_by(160).map(|f| bank.apply(&spectrum.power(f))).collect();
    Array3::from_shape_fn((1, bands, frames.len()), |(_, m, t)| frames[t][m].max(1e-10).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_labels_become_ours_or_unknown() {
        assert_eq!(
            ["Happiness", " fear", "disgust", "neutral", "ang"].map(label),
            ["happy", "fearful", "unknown", "neutral", "angry"]
        );
    }

    #[test]
    fn inputs_have_the_declared_form() {
        let sound: Vec<f32> = (0..16_000).map(|i| 0.3 + 0.2 * (i as f32 * 0.3).sin()).collect();
        let w = waveform(&sound);
        assert!(w.mean().unwrap().abs() < 1e-4 && (w.iter().map(|x| x * x).sum::<f32>() / 16_000.0 - 1.0).abs() < 1e-3);
        assert!(waveform(&[0.0; 10]).iter().all(|x| *x == 0.0));
        assert_eq!(log_mel(&sound, 64).shape(), [1, 64, 98]);
    }
}
