//! Moonshine's `tokenizer.bin`: the pieces of its vocabulary, each with its length in front.

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

/// Token identifier -> piece of text.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pieces: Vec<Vec<u8>>,
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
        if pieces.is_empty() { Err(TokenizerError::Empty) } else { Ok(Self { pieces }) }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Never true: [`Tokenizer::parse`] refuses an empty vocabulary.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
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
    fn a_broken_vocabulary_is_an_error() {
        assert_eq!(Tokenizer::parse(&[]).unwrap_err(), TokenizerError::Empty);
        assert_eq!(Tokenizer::parse(&[1, b'a', 5, b'b']).unwrap_err(), TokenizerError::CutShort(2));
        assert_eq!(Tokenizer::parse(&[200]).unwrap_err(), TokenizerError::CutShort(0));
    }
}
