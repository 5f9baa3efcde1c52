//! Bytes of a message that are made where its listeners read them.

use std::fmt;

use msgs::Bytes;

/// Room for bytes that a wire lends.
pub trait Lent: Send {
    /// The bytes.
    fn bytes(&mut self) -> &mut [u8];
    /// The bytes, which nobody changes any more.
    fn freeze(self: Box<Self>) -> Bytes;
}

enum Room {
    Lent(Box<dyn Lent>),
    Own(Vec<u8>),
}

/// Room for bytes of a message, from [`crate::Publisher::loan`].
pub struct Loan(Room);

impl Loan {
    pub(crate) fn new(lent: Option<Box<dyn Lent>>, length: usize) -> Self {
        Self(lent.map_or_else(|| Room::Own(vec![0; length]), Room::Lent))
    }

    /// Memory like any other, for what has no publisher.
    pub fn own(length: usize) -> Self {
        Self::new(None, length)
    }

    /// Whether listeners on this host read it where it is.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Room::Lent(_))
    }

    /// The bytes for the message.
    pub fn freeze(self) -> Bytes {
        match self.0 {
            Room::Lent(lent) => lent.freeze(),
            Room::Own(bytes) => Bytes::from(bytes),
        }
    }

    /// The bytes, to be filled.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Room::Lent(lent) => lent.bytes(),
            Room::Own(bytes) => bytes,
        }
    }
}

impl AsMut<[u8]> for Loan {
    fn as_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("shared", &self.is_shared()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_listeners_it_is_memory_like_any_other() {
        let mut loan = Loan::new(None, 5);
        loan.as_mut_slice().copy_from_slice(b"hello");
        assert!(!loan.is_shared());
        assert_eq!(&loan.freeze()[..], b"hello");
    }
}
