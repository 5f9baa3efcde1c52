//! Moonshine's `tokenizer.bin`: the pieces of its vocabulary, each with its length in front.

use std::collections::BTreeMap;

/// Why a vocabulary cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// The last piece is cut short.
    #[error("the vocabulary is cut short at byte {0}")]
    CutShort(usize),
    /// There are no pieces.
    #[error("the vocabulary is empty")]
    Empty,
}

/// Token identifier -> piece of text, and back.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pieces: Vec<Vec<u8>>,
    /// Piece -> the lowest identifier that has it.
    ids: BTreeMap<Vec<u8>, u32>,
}

impl Tokenizer {
    /// Reads a vocabulary: per token its length (one byte; from 128 on two: low seven bits, then the rest), then its
    /// UTF-8 bytes. A word starts with U+2581.
    ///
    /// # Errors
    /// [`TokenizerError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(&first) = bytes.get(at) {
            let start = at;
            at += 1;
            let mut length = usize::from(first);
            if length >= 128 {
                let high = bytes.get(at).ok_or(TokenizerError::CutShort(start))?;
                length = usize::from(*high) * 128 + length - 128;
                at += 1;
            }
            let piece = bytes.get(at..at + length).ok_or(TokenizerError::CutShort(start))?;
            pieces.push(piece.to_vec());
            at += length;
        }
        if pieces.is_empty() {
            return Err(TokenizerError::Empty);
        }
        let mut ids = BTreeMap::new();
        for (id, piece) in pieces.iter().enumerate() {
            ids.entry(piece.clone()).or_insert(id as u32);
        }
        Ok(Self { pieces, ids })
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Never true: [`Tokenizer::parse`] refuses an empty vocabulary.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Tokens of words separated by spaces, each word with its mark in front: byte pair encoding, where the pair whose
    /// joint piece has the lowest identifier is joined first (identifiers are in the order the pairs were learnt).
    /// `None` if a character is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Option<Vec<u32>> {
        let mut tokens = Vec::new();
        for word in text.split_whitespace() {
            let marked = format!("\u{2581}{word}");
            let mut parts: Vec<u32> =
                marked.chars().map(|c| self.ids.get(c.to_string().as_bytes()).copied()).collect::<Option<_>>()?;
            loop {
                let joint = |pair: &[u32]| {
                    let piece = [self.pieces[pair[0] as usize].as_slice(), &self.pieces[pair[1] as usize]].concat();
                    self.ids.get(&piece).copied()
                };
                let best = parts.windows(2).enumerate().filter_map(|(i, pair)| Some((joint(pair)?, i))).min();
                let Some((id, at)) = best else { break };
                parts.splice(at..at + 2, [id]);
            }
            tokens.extend(parts);
        }
        Some(tokens)
    }

    /// Text of a token sequence. The unknown token, the start and end of text, control tokens `<<...>>` and identifiers
    /// beyond the vocabulary give nothing.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::new();
        for &token in tokens {
            let Some(piece) = self.pieces.get(token as usize) else { continue };
            let control = token < 3 || (piece.starts_with(b"<<") && piece.ends_with(b">>"));
            if !control {
                bytes.extend_from_slice(piece);
            }
        }
        String::from_utf8_lossy(&bytes).replace('\u{2581}', " ").trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vec<u8> {
        let long = "x".repeat(200);
        let mut bytes = Vec::new();
        for piece in ["<unk>", "<s>", "</s>", "\u{2581}hey", "\u{2581}om", "ni", ",", "<<ST_1>>"] {
            bytes.push(piece.len() as u8);
            bytes.extend(piece.as_bytes());
        }
        bytes.extend([128 + (200 % 128) as u8, 1]);
        bytes.extend(long.as_bytes());
        bytes
    }

    #[test]
    fn words_are_put_together_and_control_tokens_left_out() {
        let t = Tokenizer::parse(&vocabulary()).unwrap();
        assert_eq!(t.len(), 9);
        assert_eq!(t.decode(&[1, 3, 4, 5, 6, 7, 2, 99_999]), "hey omni,");
        assert_eq!(t.decode(&[8]).len(), 200);
    }

    #[test]
    fn words_are_encoded_by_joining_the_earliest_learnt_pairs() {
        let mut bytes = Vec::new();
        // "ab" is learnt before "bc": "abc" is ab + c.
        for piece in ["<unk>", "<s>", "</s>", "a", "b", "c", "\u{2581}", "ab", "bc", "\u{2581}ab"] {
            bytes.push(piece.len() as u8);
            bytes.extend(piece.as_bytes());
        }
        let t = Tokenizer::parse(&bytes).unwrap();
        assert_eq!(t.encode("abc"), Some(vec![9, 5]));
        assert_eq!(t.encode("bc a"), Some(vec![6, 8, 6, 3]));
        assert_eq!(t.encode("xyz"), None);
        assert_eq!(t.encode(""), Some(vec![]));
    }

    #[test]
    fn a_broken_vocabulary_is_an_error() {
        assert_eq!(Tokenizer::parse(&[]).unwrap_err(), TokenizerError::Empty);
        assert_eq!(Tokenizer::parse(&[1, b'a', 5, b'b']).unwrap_err(), TokenizerError::CutShort(2));
        assert_eq!(Tokenizer::parse(&[200]).unwrap_err(), TokenizerError::CutShort(0));
    }
}
