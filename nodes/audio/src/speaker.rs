//! Who speaks: GE2E speaker embeddings (Wan et al., "Generalized End-to-End Loss for Speaker Verification", 2018)
//! with the front end of Resemblyzer, compared by cosine.

use crate::features::{MelBank, MelScale, SAMPLE_RATE, Spectrum, dbfs, rms};
use crate::network::{BrokerNetwork, Network, NetworkError};
use models::{Broker, Priority, Tensor};
use ndarray::{Array3, ArrayD};
use std::sync::Arc;

/// The encoder's name in the model catalogue.
pub const MODEL: &str = "resemblyzer_ge2e";
/// Version of its weights.
pub const MODEL_VERSION: &str = "0.1.4";

/// Values per embedding.
pub const EMBEDDING_SIZE: usize = 256;

/// Mel frames per window of the network (1.6 s).
const WINDOW: usize = 160;
/// Samples per window of the network.
pub const WINDOW_SAMPLES: usize = WINDOW * HOP;
/// Windows given to the network at once.
const BATCH: usize = 32;
/// Mel frames between windows: 1.3 windows per second, as in Resemblyzer.
const STEP: usize = 77;
const MELS: usize = 40;
const FRAME: usize = 400;
const HOP: usize = 160;
/// Quieter voices are raised to this level, dBFS, as in Resemblyzer.
const TARGET_DBFS: f32 = -30.0;
/// Least sound for an embedding, s.
const MIN_SECONDS: f64 = 0.6;

/// Why there is no embedding.
#[derive(Debug, thiserror::Error)]
pub enum SpeakerError {
    /// Less sound than 0.6 s.
    #[error("{0:.2} s of sound is too short to tell a speaker, at least 0.6 s are needed")]
    TooShort(f64),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Mel power spectrogram `[frames][40]` of 16 kHz mono: 25 ms Hann frames every 10 ms centred on their time (zeros
/// beyond the ends), linear power, Slaney mel filters of equal area.
pub fn mel_spectrogram(samples: &[f32]) -> Vec<Vec<f32>> {
    let mut spectrum = Spectrum::new(FRAME, FRAME);
    let bank = MelBank::new(MelScale::Slaney, SAMPLE_RATE, FRAME, MELS);
    let mut padded = vec![0.0; FRAME / 2];
    padded.extend_from_slice(samples);
    padded.resize(samples.len() + FRAME, 0.0);
    padded.windows(FRAME).step_by(HOP).map(|frame| bank.apply(&spectrum.power(frame))).collect()
}

/// An embedding with what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Unit vector `[256]`.
    pub vector: Vec<f32>,
    /// Wall time inside the network, ms.
    pub run_ms: f32,
    /// Where it ran.
    pub device: String,
}

/// Computes embeddings.
pub struct SpeakerEncoder {
    network: Box<dyn Network>,
}

impl SpeakerEncoder {
    /// Takes the network (`mels [n, 160, 40]` -> `embed [n, 256]`).
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network }
    }

    /// Loads the encoder of the model catalogue; never fetches.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`] with what to do about it.
    pub fn open(broker: &Arc<Broker>) -> Result<Self, NetworkError> {
        Ok(Self::new(Box::new(BrokerNetwork::open(broker, MODEL, Priority::BACKGROUND)?)))
    }

    /// Embedding of 16 kHz mono speech of at least 0.6 s: mean over 1.6 s windows, then unit length.
    ///
    /// # Errors
    /// [`SpeakerError::TooShort`], [`SpeakerError::Network`].
    pub fn embed(&mut self, samples: &[f32]) -> Result<Embedding, SpeakerError> {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if seconds < MIN_SECONDS {
            return Err(SpeakerError::TooShort(seconds));
        }
        let mut mels = mel_spectrogram(&raised(samples));
        if mels.len() < WINDOW {
            mels.resize(WINDOW, vec![0.0; MELS]);
        }
        let starts: Vec<usize> = (0..=mels.len() - WINDOW).step_by(STEP).collect();
        let batch = Array3::from_shape_fn((starts.len(), WINDOW, MELS), |(w, t, m)| mels[starts[w] + t][m]);
        let mut out = self.network.run(vec![("mels", Tensor::from(batch))])?;
        let embed = checked(out.take("embed")?, starts.len())?;
        let mut vector = vec![0.0_f32; EMBEDDING_SIZE];
        for (i, value) in embed.iter().enumerate() {
            vector[i % EMBEDDING_SIZE] += value;
        }
        normalise(&mut vector);
        Ok(Embedding { vector, run_ms: out.run_ms, device: out.device })
    }

    /// One unit vector `[256]` for each window of [`WINDOW_SAMPLES`] that begins at one of `starts`: for telling who speaks when. What lies beyond the
    /// sound counts as silence. Each window is brought to the level that the network knows by itself.
    ///
    /// # Errors
    /// [`SpeakerError::Network`].
    pub fn embed_windows(&mut self, samples: &[f32], starts: &[usize]) -> Result<Vec<Vec<f32>>, SpeakerError> {
        let mut vectors = Vec::with_capacity(starts.len());
        for chunk in starts.chunks(BATCH) {
            let mut batch = Array3::zeros((chunk.len(), WINDOW, MELS));
            for (w, start) in chunk.iter().enumerate() {
                let part = &samples[(*start).min(samples.len())..(start + WINDOW_SAMPLES).min(samples.len())];
                for (t, mel) in mel_spectrogram(&raised(part)).into_iter().take(WINDOW).enumerate() {
                    for (m, value) in mel.into_iter().enumerate() {
                        batch[[w, t, m]] = value;
                    }
                }
            }
            let embed = checked(self.network.run(vec![("mels", Tensor::from(batch))])?.take("embed")?, chunk.len())?;
            for row in embed.rows() {
                let mut vector = row.to_vec();
                normalise(&mut vector);
                vectors.push(vector);
            }
        }
        Ok(vectors)
    }
}

/// The sound at the level that the network was trained on.
fn raised(samples: &[f32]) -> Vec<f32> {
    let gain = 10.0_f32.powf((TARGET_DBFS - dbfs(rms(samples))).max(0.0) / 20.0).min(100.0);
    samples.iter().map(|s| s * gain).collect()
}

fn checked(embed: ArrayD<f32>, windows: usize) -> Result<ArrayD<f32>, NetworkError> {
    if embed.shape() == [windows, EMBEDDING_SIZE] {
        return Ok(embed);
    }
    Err(NetworkError::Shape { name: "embed".to_owned(), shape: embed.shape().to_vec() })
}

/// Cosine of two vectors, 0 if one of them is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let product = norm(a) * norm(b);
    if product > 0.0 { (dot / product).clamp(-1.0, 1.0) } else { 0.0 }
}

/// Brings a vector to length 1; a zero vector stays.
pub(crate) fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        for x in vector {
            *x /= norm;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_has_101_centred_frames_of_40_bands() {
        let mels = mel_spectrogram(&vec![0.1; 16_000]);
        assert_eq!((mels.len(), mels[0].len()), (101, 40));
    }
}
