//! Messages that wait because nobody has told yet what their type consists of.

use std::collections::VecDeque;

/// Messages by type, each type's in their order; no more than so many bytes.
#[derive(Debug)]
pub struct Held<T> {
    types: Vec<Waiting<T>>,
    bytes: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    name: String,
    hash: String,
    messages: VecDeque<T>,
    bytes: usize,
}

impl<T> Held<T> {
    /// Room for `most_bytes`, and for one message however large.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self { types: Vec::new(), bytes: 0, most_bytes }
    }

    /// Whether messages of the type wait: a later one must not overtake them.
    #[must_use]
    pub fn has(&self, name: &str, hash: &str) -> bool {
        self.types.iter().any(|waiting| waiting.name == name && waiting.hash == hash)
    }

    /// Whether there is no room for a message of this size.
    #[must_use]
    pub fn is_full_for(&self, bytes: usize) -> bool {
        self.bytes > 0 && self.bytes.saturating_add(bytes) > self.most_bytes
    }

    /// Keeps a message, whether there is room or not.
    pub fn push(&mut self, name: &str, hash: &str, bytes: usize, message: T) {
        let at = self.types.iter().position(|waiting| waiting.name == name && waiting.hash == hash);
        let at = at.unwrap_or_else(|| {
            let (name, hash) = (name.to_owned(), hash.to_owned());
            self.types.push(Waiting { name, hash, messages: VecDeque::new(), bytes: 0 });
            self.types.len() - 1
        });
        self.types[at].messages.push_back(message);
        self.types[at].bytes += bytes;
        self.bytes += bytes;
    }

    /// Takes out the messages of all types of which `ready` accepts the first one.
    pub fn take(&mut self, mut ready: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for waiting in std::mem::take(&mut self.types) {
            if waiting.messages.front().is_none_or(&mut ready) {
                self.bytes -= waiting.bytes;
                taken.extend(waiting.messages);
            } else {
                self.types.push(waiting);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_wait_by_type_in_their_order_within_a_bound() {
        let mut held = Held::new(100);
        assert!(!held.is_full_for(1000), "one message is always taken");
        for (name, hash, message) in [("a", "1", 0), ("b", "1", 1), ("a", "2", 2), ("a", "1", 3)] {
            held.push(name, hash, 20, message);
        }
        assert!(held.has("a", "2") && !held.has("b", "2"));
        assert!(!held.is_full_for(20) && held.is_full_for(21));
        assert_eq!(held.take(|first| *first == 0), [0, 3]);
        assert!(!held.has("a", "1") && !held.is_full_for(60));
        assert_eq!(held.take(|_| true), [1, 2]);
        assert!(!held.is_full_for(1000));
    }
}
