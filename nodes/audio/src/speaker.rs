//! Who speaks: GE2E speaker embeddings (Wan et al., "Generalized End-to-End Loss for Speaker Verification", 2018)
//! with the front end of Resemblyzer, compared by cosine.

use crate::features::{MelBank, MelScale, SAMPLE_RATE, Spectrum, dbfs, rms};
use crate::network::{BrokerNetwork, Network, NetworkError};
use models::{Broker, Priority, Tensor};
use ndarray::Array3;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The encoder's name in the model catalogue.
pub const MODEL: &str = "resemblyzer_ge2e";
/// Version of its weights.
pub const MODEL_VERSION: &str = "0.1.4";

/// Values per embedding.
pub const EMBEDDING_SIZE: usize = 256;

/// Mel frames per window of the network (1.6 s).
const WINDOW: usize = 160;
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
    /// An identifier must not be empty.
    #[error("a speaker needs a name")]
    NoName,
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
        let gain = 10.0_f32.powf((TARGET_DBFS - dbfs(rms(samples))).max(0.0) / 20.0).min(100.0);
        let levelled: Vec<f32> = samples.iter().map(|s| s * gain).collect();
        let mut mels = mel_spectrogram(&levelled);
        if mels.len() < WINDOW {
            mels.resize(WINDOW, vec![0.0; MELS]);
        }
        let starts: Vec<usize> = (0..=mels.len() - WINDOW).step_by(STEP).collect();
        let batch = Array3::from_shape_fn((starts.len(), WINDOW, MELS), |(w, t, m)| mels[starts[w] + t][m]);
        let mut out = self.network.run(vec![("mels", Tensor::from(batch))])?;
        let embed = out.take("embed")?;
        if embed.shape() != [starts.len(), EMBEDDING_SIZE] {
            return Err(NetworkError::Shape { name: "embed".to_owned(), shape: embed.shape().to_vec() }.into());
        }
        let mut vector = vec![0.0_f32; EMBEDDING_SIZE];
        for (i, value) in embed.iter().enumerate() {
            vector[i % EMBEDDING_SIZE] += value;
        }
        normalise(&mut vector);
        Ok(Embedding { vector, run_ms: out.run_ms, device: out.device })
    }
}

/// The most similar known speaker.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerMatch {
    /// Empty if nobody enrolled reaches the threshold.
    pub speaker_id: String,
    /// Cosine with the most similar enrolled speaker, -1..1; 0 if nobody is enrolled.
    pub similarity: f32,
}

#[derive(Debug, Clone, PartialEq)]
struct Profile {
    sum: Vec<f32>,
    samples: usize,
}

/// Enrolled speakers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpeakerBook {
    profiles: BTreeMap<String, Profile>,
}

impl SpeakerBook {
    /// Adds samples of a speaker's voice; more samples of the same name sharpen the profile. Gives back the profile's
    /// coherence: the mean cosine of its samples with their own mean, near 1 if they are one voice.
    ///
    /// # Errors
    /// [`SpeakerError::NoName`], [`SpeakerError::TooShort`] if there are no embeddings.
    pub fn enroll(&mut self, speaker_id: &str, embeddings: &[Vec<f32>]) -> Result<f32, SpeakerError> {
        if speaker_id.trim().is_empty() {
            return Err(SpeakerError::NoName);
        }
        if embeddings.is_empty() {
            return Err(SpeakerError::TooShort(0.0));
        }
        let profile =
            self.profiles.entry(speaker_id.to_owned()).or_insert_with(|| Profile { sum: vec![0.0; EMBEDDING_SIZE], samples: 0 });
        for embedding in embeddings {
            for (s, e) in profile.sum.iter_mut().zip(embedding) {
                *s += e;
            }
            profile.samples += 1;
        }
        let total: f32 = embeddings.iter().map(|e| cosine(e, &profile.sum)).sum();
        Ok((total / embeddings.len() as f32).clamp(0.0, 1.0))
    }

    /// Number of enrolled speakers.
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// True if nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// The most similar speaker, named only from `threshold` (cosine) on.
    pub fn identify(&self, embedding: &[f32], threshold: f32) -> SpeakerMatch {
        let mut best: Option<(&str, f32)> = None;
        for (name, profile) in &self.profiles {
            let similarity = cosine(embedding, &profile.sum);
            if best.is_none_or(|(_, s)| similarity > s) {
                best = Some((name, similarity));
            }
        }
        match best {
            Some((name, similarity)) if similarity >= threshold => SpeakerMatch { speaker_id: name.to_owned(), similarity },
            Some((_, similarity)) => SpeakerMatch { speaker_id: String::new(), similarity },
            None => SpeakerMatch { speaker_id: String::new(), similarity: 0.0 },
        }
    }
}

/// Cosine of two vectors, 0 if one of them is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let product = norm(a) * norm(b);
    if product > 0.0 { (dot / product).clamp(-1.0, 1.0) } else { 0.0 }
}

fn normalise(vector: &mut [f32]) {
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

    fn unit(axis: usize, tilt: f32) -> Vec<f32> {
        let mut v = vec![0.0; EMBEDDING_SIZE];
        v[axis] = 1.0;
        v[axis + 1] = tilt;
        normalise(&mut v);
        v
    }

    #[test]
    fn the_nearest_speaker_is_named_and_a_stranger_is_not() {
        let mut book = SpeakerBook::default();
        book.enroll("ann", &[unit(0, 0.1), unit(0, -0.1)]).unwrap();
        book.enroll("bob", &[unit(10, 0.0)]).unwrap();
        assert_eq!(book.identify(&unit(0, 0.2), 0.8).speaker_id, "ann");
        assert_eq!(book.identify(&unit(10, 0.2), 0.8).speaker_id, "bob");
        let stranger = book.identify(&unit(100, 0.0), 0.8);
        assert_eq!((stranger.speaker_id.as_str(), stranger.similarity), ("", 0.0));
        assert_eq!(SpeakerBook::default().identify(&unit(0, 0.0), 0.8).similarity, 0.0);
    }

    #[test]
    fn a_name_and_a_sample_are_needed() {
        let mut book = SpeakerBook::default();
        assert!(matches!(book.enroll("  ", &[unit(0, 0.0)]), Err(SpeakerError::NoName)));
        assert!(matches!(book.enroll("ann", &[]), Err(SpeakerError::TooShort(_))));
        assert!(book.is_empty());
    }

    #[test]
    fn one_second_has_101_centred_frames_of_40_bands() {
        let mels = mel_spectrogram(&vec![0.1; 16_000]);
        assert_eq!((mels.len(), mels[0].len()), (101, 40));
    }
}
