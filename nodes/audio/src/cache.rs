//! Answers kept for the same question asked again, bounded in number and in bytes: what was not asked for longest goes first.

use lru::LruCache;
use xxhash_rust::xxh3::Xxh3;

/// A cache of answers by the [`Key`] of their question.
pub struct Cache<V> {
    entries: LruCache<u128, (V, usize)>,
    most: usize,
    most_bytes: usize,
    bytes: usize,
}

impl<V> Cache<V> {
    /// Keeps at most `most` answers of together at most `most_bytes`.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { entries: LruCache::unbounded(), most, most_bytes, bytes: 0 }
    }

    /// The answer to a question, which becomes the youngest.
    pub fn get(&mut self, key: u128) -> Option<&V> {
        self.entries.get(&key).map(|(value, _)| value)
    }

    /// Keeps an answer of `bytes`; one that is larger than all may be together is not kept.
    pub fn put(&mut self, key: u128, value: V, bytes: usize) {
        if let Some((_, old)) = self.entries.pop(&key) {
            self.bytes -= old;
        }
        if bytes > self.most_bytes || self.most == 0 {
            return;
        }
        self.entries.put(key, (value, bytes));
        self.bytes += bytes;
        while self.entries.len() > self.most || self.bytes > self.most_bytes {
            let Some((_, (_, old))) = self.entries.pop_lru() else { break };
            self.bytes -= old;
        }
    }

    /// Number of answers.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all answers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything; how many answers that were.
    pub fn clear(&mut self) -> usize {
        let count = self.entries.len();
        self.entries.clear();
        self.bytes = 0;
        count
    }
}

/// A question as 128 bits (XXH3) of everything that the answer depends on.
pub struct Key(Xxh3);

impl Key {
    /// A question that nothing was said about yet.
    pub fn new(kind: &str) -> Self {
        Self(Xxh3::new()).text(kind)
    }

    /// With a text, a setting, a name.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// With the bits of samples.
    #[must_use]
    pub fn samples(mut self, samples: &[f32]) -> Self {
        self.0.update(&(samples.len() as u64).to_le_bytes());
        let mut bytes = [0_u8; 4 * 1_024];
        for part in samples.chunks(1_024) {
            for (to, sample) in bytes.chunks_exact_mut(4).zip(part) {
                to.copy_from_slice(&sample.to_bits().to_le_bytes());
            }
            self.0.update(&bytes[..4 * part.len()]);
        }
        self
    }

    /// The 128 bits.
    pub fn finish(self) -> u128 {
        self.0.digest128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_not_asked_for_longest_goes_when_there_are_too_many_or_too_large_ones() {
        let mut cache = Cache::new(3, 100);
        for key in 0..3 {
            cache.put(key, key, 30);
        }
        assert_eq!(cache.get(0), Some(&0));
        cache.put(3, 3, 10);
        assert_eq!((cache.len(), cache.bytes()), (3, 70));
        assert_eq!(cache.get(1), None, "too many");
        cache.put(4, 4, 90);
        assert_eq!((cache.len(), cache.bytes()), (2, 100));
        assert!(cache.get(2).is_none() && cache.get(0).is_none(), "too large together");
        cache.put(4, 5, 20);
        assert_eq!((cache.len(), cache.bytes()), (2, 30));
        assert_eq!(cache.get(4), Some(&5), "the same question again");
        cache.put(5, 5, 101);
        assert_eq!(cache.get(5), None, "larger than all together may be");
        assert_eq!((cache.clear(), cache.bytes(), cache.is_empty()), (2, 0, true));
        let mut none = Cache::new(0, 100);
        none.put(1, 1, 1);
        assert!(none.is_empty());
    }

    #[test]
    fn questions_differ_in_every_part_and_in_where_the_parts_end() {
        let key = |texts: &[&str], samples: &[f32]| {
            texts.iter().fold(Key::new("a"), |key, text| key.text(text)).samples(samples).finish()
        };
        let long = vec![0.1; 3_000];
        let mut changed = long.clone();
        changed[2_999] = 0.2;
        let all = [
            key(&["ab", "c"], &[0.1]),
            key(&["a", "bc"], &[0.1]),
            key(&["abc"], &[0.1]),
            key(&["ab", "c"], &[0.1, 0.0]),
            key(&["ab", "c"], &[-0.1]),
            key(&["ab", "c"], &long),
            key(&["ab", "c"], &changed),
            Key::new("b").text("ab").text("c").samples(&[0.1]).finish(),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(!all[..i].contains(a), "{i}");
        }
        assert_eq!(key(&["ab", "c"], &long), key(&["ab", "c"], &long));
    }
}
