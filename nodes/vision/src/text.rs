//! Words as vectors: a tokenizer file (`tokenizer.json` of Hugging Face's tokenizers) and a network that makes a unit vector of the tokens.
//!
//! By default the sentence encoder all-MiniLM-L6-v2 (Wang et al. 2020; Reimers and Gurevych 2019); the text side of an image-text pair
//! ([`crate::pair`]) is read the same way.

use std::path::PathBuf;
use std::sync::Arc;

use models::{Broker, InferError, LoadError, ModelHandle, Port, Priority, StoreError, Tensor, TensorError};
use ndarray::Array2;
use tokenizers::{Tokenizer, TruncationParams};

use crate::classify;
use crate::lru::Lru;

/// Bytes of text that are looked at; what is longer is refused.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Tokens at most where the network takes any number.
const MAX_TOKENS: usize = 128;
/// Sentences whose vectors are kept.
const KEPT: usize = 2048;

/// Why a text has no vector.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The network or its tokenizer is not there.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The catalogue's entry is of another kind.
    #[error("model {model} has the decoder `{decoder}`, text needs {expected}")]
    Decoder {
        /// Key in the catalogue.
        model: String,
        /// What it says.
        decoder: String,
        /// What is needed, in words.
        expected: &'static str,
    },
    /// The tokenizer file cannot be read.
    #[error("the tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The network wants an input that cannot be made of text, or gives no vector.
    #[error("model {model} is no text encoder: {reason}")]
    Network {
        /// Key in the catalogue.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to read, or too much.
    #[error("a text of {bytes} bytes; 1 to {MAX_TEXT_BYTES} are read")]
    Length {
        /// Bytes found.
        bytes: usize,
    },
    /// The text cannot be cut into tokens.
    #[error("the text cannot be read: {0}")]
    Tokens(String),
    /// The broker gave no result.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The output is of another type.
    #[error(transparent)]
    Output(#[from] TensorError),
    /// The vector has no length.
    #[error("model {0} gave no finite vector")]
    Vector(String),
}

/// A text encoder: tokenizer and network.
#[derive(Debug)]
pub struct TextEncoder {
    broker: Arc<Broker>,
    model: ModelHandle,
    tokenizer: Tokenizer,
    output: String,
    /// The number of tokens if the network takes only that many, and what fills them up.
    fixed: Option<(usize, i64)>,
    priority: Priority,
    known: Lru<Vec<f32>>,
    spent_ms: f32,
}

impl TextEncoder {
    /// Loads a model of the catalogue whose decoder is `sentence`, with the files `model` and `tokenizer`.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn load(broker: Arc<Broker>, name: &str, threads: usize, priority: Priority) -> Result<Self, TextError> {
        let entry = broker.store().catalogue().model(name).map_err(|e| LoadError::Store(e.into()))?;
        if entry.decoder != "sentence" {
            let (model, decoder) = (name.to_owned(), entry.decoder.clone());
            return Err(TextError::Decoder { model, decoder, expected: "`sentence`" });
        }
        Self::from_files(broker, &format!("{name}/model"), &format!("{name}/tokenizer"), threads, priority)
    }

    /// Loads a network and a tokenizer by their keys in the catalogue.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn from_files(
        broker: Arc<Broker>,
        network: &str,
        tokenizer: &str,
        threads: usize,
        priority: Priority,
    ) -> Result<Self, TextError> {
        let path = broker.store().locate(tokenizer).map_err(LoadError::from)?;
        let bad = |e: tokenizers::Error| TextError::Tokenizer { path: path.clone(), reason: e.to_string() };
        let mut tokenizer = Tokenizer::from_file(&path).map_err(bad)?;
        let model = broker.load_with_threads(network, threads)?;
        let refuse = |reason: String| TextError::Network { model: model.name().to_owned(), reason };
        let mut fixed = None;
        for port in model.inputs() {
            if !["input_ids", "attention_mask", "token_type_ids"].contains(&port.name.as_str()) || port.shape.len() != 2 {
                return Err(refuse(format!("input `{}` of shape {:?} is not known", port.name, port.shape)));
            }
            if port.shape[1] > 0 {
                fixed = Some((usize::try_from(port.shape[1]).unwrap_or(MAX_TOKENS), filler(&tokenizer)));
            }
        }
        let output = vector_output(model.outputs()).ok_or_else(|| refuse("no output is a vector".to_owned()))?.to_owned();
        let max_length = fixed.map_or(MAX_TOKENS, |(tokens, _)| tokens);
        tokenizer.with_padding(None);
        tokenizer.with_truncation(Some(TruncationParams { max_length, ..TruncationParams::default() })).map_err(bad)?;
        Ok(Self { broker, tokenizer, output, fixed, priority, known: Lru::new(KEPT), model, spent_ms: 0.0 })
    }

    /// The network's name and version.
    pub fn model(&self) -> (&str, &str) {
        (self.model.name(), self.model.version())
    }

    /// The device it runs on.
    pub fn device(&self) -> &str {
        self.model.device()
    }

    /// Milliseconds of wall time in the network since this was last asked.
    pub fn take_spent_ms(&mut self) -> f32 {
        std::mem::take(&mut self.spent_ms)
    }

    /// The tokens of a text, with those that begin and end it.
    ///
    /// # Errors
    /// [`TextError::Length`], [`TextError::Tokens`].
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, TextError> {
        if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES {
            return Err(TextError::Length { bytes: text.len() });
        }
        let encoding = self.tokenizer.encode(text, true).map_err(|e| TextError::Tokens(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The unit vector of a text; of the last 2048 texts it is kept.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn embed(&mut self, text: &str) -> Result<Vec<f32>, TextError> {
        if let Some(known) = self.known.get(text) {
            return Ok(known.clone());
        }
        let mut ids: Vec<i64> = self.tokens(text)?.into_iter().map(i64::from).collect();
        let mut mask = vec![1_i64; ids.len()];
        if let Some((tokens, filler)) = self.fixed {
            ids.resize(tokens, filler);
            mask.resize(tokens, 0);
        }
        let zeros = vec![0_i64; ids.len()];
        let mut inputs = Vec::with_capacity(3);
        for port in self.model.inputs() {
            let values = match port.name.as_str() {
                "input_ids" => &ids,
                "attention_mask" => &mask,
                _ => &zeros,
            };
            let row = |n: usize| values.get(n).copied().unwrap_or_default();
            let shape = (1, values.len());
            // Some exports take 32-bit numbers.
            let tensor = match port.element.as_str() {
                "i32" => Tensor::from(Array2::from_shape_fn(shape, |(_, n)| row(n) as i32)),
                _ => Tensor::from(Array2::from_shape_fn(shape, |(_, n)| row(n))),
            };
            inputs.push((port.name.as_str(), tensor));
        }
        let outputs = self.broker.infer(&self.model, self.priority, inputs)?;
        self.spent_ms += outputs.run_ms as f32;
        let vector =
            classify::unit(&outputs.f32(&self.output)?).ok_or_else(|| TextError::Vector(self.model.name().to_owned()))?;
        self.known.put(text, vector.clone());
        Ok(vector)
    }
}

impl From<StoreError> for TextError {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

/// The output that is one vector for each input: by the names that exports use, else the first of two dimensions.
pub(crate) fn vector_output(outputs: &[Port]) -> Option<&str> {
    const NAMES: [&str; 5] = ["embedding", "text_embeds", "image_embeds", "sentence_embedding", "pooler_output"];
    let vectors = || outputs.iter().filter(|p| p.shape.len() == 2 && p.element == "f32").map(|p| p.name.as_str());
    NAMES.into_iter().find(|name| vectors().any(|v| v == *name)).or_else(|| vectors().next())
}

/// What fills up a text that is shorter than the network's input.
fn filler(tokenizer: &Tokenizer) -> i64 {
    let own = tokenizer.get_padding().map(|p| p.pad_id);
    let named = || ["[PAD]", "<pad>", "<|endoftext|>"].iter().find_map(|token| tokenizer.token_to_id(token));
    i64::from(own.or_else(named).unwrap_or(0))
}
