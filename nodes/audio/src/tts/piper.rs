//! Voices of the Piper kind: a VITS network from phonemes to sound (Kim et al. 2021, "Conditional Variational Autoencoder
//! with Adversarial Learning for End-to-End Text-to-Speech"; Piper's export: `input` int64 `[1, n]`, `input_lengths` `[1]`,
//! `scales` `[noise, length, noise of the durations]`, for voices of several speakers `sid` `[1]`; `output` `[1, 1, 1, m]`).
//!
//! The network draws its own random numbers, and nothing seeds them from outside. With noise of 0 it draws none and the
//! same text gives the same samples, which is the default here.

use super::phonemes::{PhonemeIds, Phonemizer, config_path, phoneme_ids};
use super::text::check_latin;
use super::{SpeakOptions, SynthesizeError};
use crate::network::{BrokerNetwork, Network};
use models::{Broker, BrokerConfig, Catalogue, Priority, Store, Tensor, sha256_hex};
use ndarray::{Array1, Array2};
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// The voice that the catalogue has by default.
pub const MODEL: &str = "piper_en_us_joe";
/// Sound is brought to this peak, sentence by sentence, as Piper does.
const PEAK: f32 = 0.9;
/// More than this is no sentence, numbers of phonemes.
const MAX_IDS: usize = 4_096;

/// What a voice's JSON file says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VoiceConfig {
    audio: AudioConfig,
    espeak: EspeakConfig,
    #[serde(default)]
    inference: InferenceConfig,
    #[serde(default)]
    phoneme_type: Option<String>,
    phoneme_id_map: PhonemeIds,
    #[serde(default)]
    num_speakers: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct AudioConfig {
    sample_rate: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct EspeakConfig {
    voice: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default)]
struct InferenceConfig {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

impl Default for InferenceConfig {
    fn default() -> Self {
        Self { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 }
    }
}

impl VoiceConfig {
    /// Reads and checks the JSON text.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(json: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(json).map_err(|e| e.to_string())?;
        if !(8_000..=48_000).contains(&config.audio.sample_rate) {
            return Err(format!("a sample rate of {} Hz", config.audio.sample_rate));
        }
        if config.phoneme_type.as_deref().is_some_and(|t| t != "espeak") {
            return Err(format!("phonemes of the type {:?}; only espeak's are known", config.phoneme_type.unwrap_or_default()));
        }
        let language = &config.espeak.voice;
        if language.starts_with('-') || !language.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b)) {
            return Err(format!("`{language}` is not a language of espeak-ng"));
        }
        let scales = config.inference;
        if ![scales.noise_scale, scales.length_scale, scales.noise_w].iter().all(|s| s.is_finite() && (0.0..=5.0).contains(s)) {
            return Err("scales that are not between 0 and 5".to_owned());
        }
        phoneme_ids("", &config.phoneme_id_map).map_err(|e| e.to_string())?;
        Ok(config)
    }

    /// Samples per second of the voice, Hz.
    pub fn sample_rate(&self) -> u32 {
        self.audio.sample_rate
    }

    /// Its language, as espeak-ng names it.
    pub fn language(&self) -> &str {
        &self.espeak.voice
    }
}

/// A voice that is ready to speak.
pub struct PiperVoice {
    network: Box<dyn Network>,
    config: VoiceConfig,
    phonemizer: Phonemizer,
    name: String,
}

/// A spoken sentence, at the voice's own rate.
pub(super) struct Spoken {
    pub samples: Vec<f32>,
    pub unknown_phonemes: usize,
    pub run_ms: f32,
    pub device: String,
}

impl PiperVoice {
    /// A voice from its parts; `name` goes into provenance.
    pub fn new(network: Box<dyn Network>, config: VoiceConfig, phonemizer: Phonemizer, name: &str) -> Self {
        Self { network, config, phonemizer, name: name.to_owned() }
    }

    /// Opens a voice by its name in the catalogue (empty: [`MODEL`]) or by the path of its `.onnx` file, which has its JSON
    /// file beside it. `path` is a `PATH`-like list where espeak-ng is looked for. Nothing is fetched.
    ///
    /// # Errors
    /// [`SynthesizeError::NoPhonemes`], [`SynthesizeError::NoVoice`], [`SynthesizeError::VoiceFile`].
    pub fn open(broker: &Arc<Broker>, voice: &str, path: &std::ffi::OsStr) -> Result<Self, SynthesizeError> {
        let voice = if voice.is_empty() { MODEL } else { voice };
        let missing = |reason: String| SynthesizeError::NoVoice { voice: voice.to_owned(), reason };
        let file = Path::new(voice);
        let is_file = file.extension().is_some_and(|e| e == "onnx");
        let json = if is_file {
            config_path(file)
        } else {
            broker.store().locate(&format!("{voice}/config")).map_err(|e| missing(e.to_string()))?
        };
        let bad = |reason: String| SynthesizeError::VoiceFile { path: json.clone(), reason };
        let text = std::fs::read_to_string(&json).map_err(|e| bad(e.to_string()))?;
        let config = VoiceConfig::parse(&text).map_err(bad)?;
        let phonemizer = Phonemizer::find(path, config.language())?;
        let network = if is_file {
            open_file(file)
        } else {
            BrokerNetwork::open(broker, voice, Priority::MISSION).map_err(|e| e.to_string())
        };
        Ok(Self::new(Box::new(network.map_err(missing)?), config, phonemizer, voice))
    }

    /// Name in the catalogue, or path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Samples per second, Hz.
    pub fn sample_rate(&self) -> u32 {
        self.config.sample_rate()
    }

    pub(super) fn speak(&mut self, sentence: &str, options: &SpeakOptions) -> Result<Spoken, SynthesizeError> {
        if self.config.language().starts_with("en") {
            check_latin(sentence)?;
        }
        let phonemes = self.phonemizer.phonemes(sentence)?;
        let (ids, unknown_phonemes) = phoneme_ids(&phonemes, &self.config.phoneme_id_map)?;
        if ids.len() > MAX_IDS {
            return Err(SynthesizeError::Text("one of its sentences has more phonemes than the voice takes"));
        }
        let (n, scales) = (ids.len(), self.config.inference);
        let variation = options.variation.clamp(0.0, 1.0);
        let length = scales.length_scale / options.speed.clamp(0.5, 2.0);
        let input = Array2::from_shape_vec((1, n), ids).map_err(|e| SynthesizeError::Network(e.to_string()))?;
        let mut inputs = vec![
            ("input", Tensor::from(input.into_dyn())),
            ("input_lengths", Tensor::from(Array1::from_elem(1, n as i64).into_dyn())),
            (
                "scales",
                Tensor::from(Array1::from(vec![scales.noise_scale * variation, length, scales.noise_w * variation]).into_dyn()),
            ),
        ];
        if self.config.num_speakers > 1 {
            inputs.push(("sid", Tensor::from(Array1::from_elem(1, 0_i64).into_dyn())));
        }
        let mut out = self.network.run(inputs).map_err(|e| SynthesizeError::Network(e.to_string()))?;
        let samples = out.take("output").map_err(|e| SynthesizeError::Network(e.to_string()))?;
        let mut samples: Vec<f32> = samples.iter().map(|s| if s.is_finite() { *s } else { 0.0 }).collect();
        let peak = samples.iter().fold(0.0_f32, |p, s| p.max(s.abs()));
        if peak > 0.01 {
            samples.iter_mut().for_each(|s| *s *= PEAK / peak);
        }
        Ok(Spoken { samples, unknown_phonemes, run_ms: out.run_ms, device: out.device })
    }
}

/// A network that is in no catalogue: one is made for it, with the hash that the file has now.
fn open_file(file: &Path) -> Result<BrokerNetwork, String> {
    let file = std::path::absolute(file).map_err(|e| e.to_string())?;
    let bytes = std::fs::metadata(&file).map_err(|e| e.to_string())?.len();
    let entry = serde_json::json!({ "version": 1, "models": { "voice": {
        "task": "text_to_speech", "version": "file", "licence": "unknown", "origin": "a file of the user's", "decoder": "piper",
        "files": [{ "name": "model", "path": file, "sha256": sha256_hex(&file).map_err(|e| e.to_string())?, "bytes": bytes }],
    }}});
    let catalogue = Catalogue::load().map_err(|e| e.to_string())?;
    let catalogue = catalogue.merged(Catalogue::parse(&entry.to_string(), "a voice's file").map_err(|e| e.to_string())?);
    let cache = Store::open().map_err(|e| e.to_string())?.cache().to_owned();
    let broker = Arc::new(Broker::new(Store::new(catalogue, cache), BrokerConfig::default()));
    BrokerNetwork::open(&broker, "voice", Priority::MISSION).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"audio": {"sample_rate": 22050, "quality": "medium"}, "espeak": {"voice": "en-us"},
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [3]}}"#;

    #[test]
    fn a_voice_says_its_rate_and_language() {
        let config = VoiceConfig::parse(JSON).unwrap();
        assert_eq!((config.sample_rate(), config.language()), (22_050, "en-us"));
        assert_eq!(config.inference, InferenceConfig { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 });
    }

    #[test]
    fn a_broken_voice_file_is_refused_in_words() {
        for (from, to, why) in [
            ("22050", "5", "5 Hz"),
            ("en-us", "--help", "not a language"),
            ("\"$\"", "\"x\"", "no `$`"),
            ("[3]", "\"3\"", "expected a sequence"),
            ("\"phoneme_id_map\"", "\"phoneme_type\": \"text\", \"phoneme_id_map\"", "only espeak's"),
            ("}}", "", "EOF"),
        ] {
            let error = VoiceConfig::parse(&JSON.replace(from, to)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
