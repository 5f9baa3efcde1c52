//! An encoded message in pieces, so that what is large need not be copied.

use crate::Bytes;

/// An encoded message whose large byte sequences lie where the message has them.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// All that was written, header included.
    pub(super) written: Vec<u8>,
    /// Where in `written` each shared sequence belongs, in order.
    pub(super) shared: Vec<(usize, Bytes)>,
}

impl Pieces {
    /// Bytes of the encoded message, header included.
    pub fn len(&self) -> usize {
        self.written.len() + self.shared_len()
    }

    /// Whether there is nothing, not even a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are referred to, not copied.
    pub fn shared_len(&self) -> usize {
        self.shared.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// What is written before and after the one sequence that is referred to; `None` if there is none or more than one.
    pub fn around(&self) -> Option<(&[u8], &Bytes, &[u8])> {
        let [(at, bytes)] = &self.shared[..] else { return None };
        let (before, after) = self.written.split_at_checked(*at)?;
        Some((before, bytes, after))
    }

    /// The encoded message, piece by piece.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.shared.iter().map(|(at, _)| *at));
        let ends = self.shared.iter().map(|(at, _)| *at).chain(std::iter::once(self.written.len()));
        let written = starts.zip(ends).map(|(from, to)| &self.written[from..to]);
        let shared = self.shared.iter().map(|(_, bytes)| &bytes[..]).chain(std::iter::once(&[][..]));
        written.zip(shared).flat_map(|(first, second)| [first, second]).filter(|piece| !piece.is_empty())
    }

    /// The encoded message, piece by piece; no large piece is copied.
    pub fn into_bytes(self) -> Vec<Bytes> {
        let (mut written, mut from) = (Bytes::from(self.written), 0);
        let mut pieces = Vec::with_capacity(2 * self.shared.len() + 1);
        for (at, bytes) in self.shared {
            pieces.extend([written.split_to(at - from), bytes]);
            from = at;
        }
        pieces.push(written);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// Writes the encoded message to `target`, which is [`Pieces::len`] bytes long.
    ///
    /// # Panics
    /// If it is not.
    pub fn copy_to(&self, mut target: &mut [u8]) {
        for piece in self.iter() {
            let (here, rest) = target.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            target = rest;
        }
        assert!(target.is_empty(), "{} bytes too many", target.len());
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(written: Vec<u8>) -> Self {
        Self { written, shared: Vec::new() }
    }
}

/// All of it is referred to, nothing is copied.
impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self { written: Vec::new(), shared: vec![(0, whole)] }
    }
}
