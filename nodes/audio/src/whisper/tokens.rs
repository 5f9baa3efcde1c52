//! Whisper's vocabulary: byte-level pieces, and control tokens for the language, the task and times.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Why a vocabulary cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// Not a `tokenizer.json` of the Hugging Face form.
    #[error("not a tokenizer.json: {0}")]
    Syntax(String),
    /// A token that decoding needs is not there.
    #[error("the vocabulary has no token `{0}`")]
    Missing(&'static str),
    /// An identifier beyond anything sensible.
    #[error("token identifier {0} is out of range")]
    Identifier(u32),
}

/// Largest identifier taken from a file: Whisper has 51,866 tokens.
const MAX_ID: u32 = 1_000_000;
/// Seconds per step of the time tokens.
pub const TIME_STEP_S: f64 = 0.02;

/// The vocabulary.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Bytes of each text token; control tokens have none.
    pieces: Vec<Vec<u8>>,
    /// `<|startoftranscript|>`.
    pub start: u32,
    /// `<|endoftext|>`.
    pub end: u32,
    /// `<|transcribe|>`; absent from English-only models.
    pub transcribe: Option<u32>,
    /// `<|notimestamps|>`.
    pub no_times: u32,
    /// `<|0.00|>`; the others follow in steps of 20 ms.
    pub first_time: u32,
    /// `<|nospeech|>`, in older files `<|nocaptions|>`.
    pub no_speech: Option<u32>,
    /// Language tokens: code -> identifier.
    pub languages: BTreeMap<String, u32>,
    /// All control tokens: they are never text.
    control: Vec<u32>,
}

#[derive(Deserialize)]
struct File {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Model {
    vocab: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

impl Tokens {
    /// Reads a `tokenizer.json` as published with Whisper's models: the vocabulary of a byte-level BPE, and the control tokens as added ones.
    ///
    /// # Errors
    /// [`VocabularyError`].
    pub fn parse(json: &str) -> Result<Self, VocabularyError> {
        let file: File = serde_json::from_str(json).map_err(|e| VocabularyError::Syntax(e.to_string()))?;
        let bytes = byte_letters();
        let mut pieces = Vec::new();
        let mut put = |id: u32, piece: Vec<u8>| {
            if id > MAX_ID {
                return Err(VocabularyError::Identifier(id));
            }
            if pieces.len() <= id as usize {
                pieces.resize(id as usize + 1, Vec::new());
            }
            pieces[id as usize] = piece;
            Ok(())
        };
        for (text, id) in &file.model.vocab {
            let control = text.starts_with("<|") && text.ends_with("|>");
            put(*id, if control { Vec::new() } else { text.chars().filter_map(|c| bytes.get(&c).copied()).collect() })?;
        }
        let mut named: BTreeMap<&str, u32> = file.model.vocab.iter().map(|(text, id)| (text.as_str(), *id)).collect();
        for added in &file.added_tokens {
            put(added.id, Vec::new())?;
            named.insert(&added.content, added.id);
        }
        let find = |name: &'static str| named.get(name).copied().ok_or(VocabularyError::Missing(name));
        let start = find("<|startoftranscript|>")?;
        let languages = named
            .iter()
            .filter_map(|(name, id)| {
                let code = name.strip_prefix("<|")?.strip_suffix("|>")?;
                let is_code = (2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase());
                is_code.then(|| (code.to_owned(), *id))
            })
            .collect();
        let no_times = find("<|notimestamps|>")?;
        let control = named.iter().filter(|(n, _)| n.starts_with("<|") && n.ends_with("|>")).map(|(_, id)| *id).collect();
        Ok(Self {
            start,
            end: find("<|endoftext|>")?,
            transcribe: named.get("<|transcribe|>").copied(),
            // Files made before Whisper's third version leave the time tokens out: they follow the last control token.
            first_time: named.get("<|0.00|>").copied().unwrap_or(no_times + 1),
            no_times,
            no_speech: named.get("<|nospeech|>").or_else(|| named.get("<|nocaptions|>")).copied(),
            languages,
            control,
            pieces,
        })
    }

    /// True for a time token, given how many tokens the network knows.
    pub fn is_time(&self, token: u32) -> bool {
        token >= self.first_time
    }

    /// The time that a time token tells, s from the start of the window.
    pub fn time_s(&self, token: u32) -> f64 {
        f64::from(token.saturating_sub(self.first_time)) * TIME_STEP_S
    }

    /// Control tokens except the end and the times: never chosen while text is written.
    pub fn suppressed(&self) -> impl Iterator<Item = u32> {
        self.control.iter().copied().filter(|id| *id != self.end && *id < self.first_time)
    }

    /// Text of tokens; control and time tokens and unknown identifiers give nothing. Bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .filter(|t| !self.is_time(**t))
            .filter_map(|t| self.pieces.get(*t as usize))
            .flatten()
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

/// GPT-2's letters for bytes: printable Latin-1 stands for itself, the others for U+0100 and up, in order (openai/gpt-2, `encoder.py`,
/// `bytes_to_unicode`).
fn byte_letters() -> BTreeMap<char, u8> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100_u32;
    (0..=255_u8)
        .filter_map(|b| {
            let letter = if printable(b) {
                Some(char::from(b))
            } else {
                next += 1;
                char::from_u32(next - 1)
            };
            Some((letter?, b))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"model": {"type": "BPE", "vocab": {"Hello": 0, "Ġworld": 1, "Ã": 2, "©": 3, "Ċ": 4}},
        "added_tokens": [{"id": 5, "content": "<|endoftext|>"}, {"id": 6, "content": "<|startoftranscript|>"}, {"id": 7, "content": "<|en|>"},
        {"id": 8, "content": "<|de|>"}, {"id": 9, "content": "<|transcribe|>"}, {"id": 10, "content": "<|nocaptions|>"}, {"id": 11, "content": "<|notimestamps|>"}]}"#;

    #[test]
    fn byte_pieces_become_text_and_control_tokens_nothing() {
        let t = Tokens::parse(FILE).unwrap();
        assert_eq!(t.decode(&[6, 7, 9, 12, 0, 1, 2, 3, 4, 62, 5, 999_999]), "Hello worldé");
        assert_eq!((t.start, t.end, t.first_time, t.no_speech), (6, 5, 12, Some(10)));
        assert_eq!(t.languages.iter().map(|(c, i)| (c.as_str(), *i)).collect::<Vec<_>>(), [("de", 8), ("en", 7)]);
        assert!((t.time_s(62) - 1.0).abs() < 1e-9 && t.is_time(12) && !t.is_time(11));
        assert_eq!(t.suppressed().collect::<Vec<_>>(), [8, 7, 10, 11, 6, 9]);
        assert_eq!(byte_letters().len(), 256);
    }

    #[test]
    fn files_that_are_no_whisper_vocabulary_are_errors_in_words() {
        assert!(matches!(Tokens::parse("[]"), Err(VocabularyError::Syntax(_))));
        assert!(matches!(
            Tokens::parse(r#"{"model": {"vocab": {"a": 0}}}"#),
            Err(VocabularyError::Missing("<|startoftranscript|>"))
        ));
        let huge = r#"{"model": {"vocab": {"a": 4000000000}}}"#;
        assert!(matches!(Tokens::parse(huge), Err(VocabularyError::Identifier(4_000_000_000))));
    }
}
