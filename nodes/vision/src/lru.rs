//! A small bounded cache that forgets what was longest not asked for.

use std::collections::BTreeMap;

/// Least-recently-used cache of at most a fixed number of entries.
#[derive(Debug, Clone)]
pub struct Lru<V> {
    capacity: usize,
    clock: u64,
    entries: BTreeMap<String, (u64, V)>,
    by_age: BTreeMap<u64, String>,
}

impl<V> Lru<V> {
    /// An empty cache; a capacity of 0 keeps nothing.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, clock: 0, entries: BTreeMap::new(), by_age: BTreeMap::new() }
    }

    /// The entry of this key, which becomes the youngest.
    pub fn get(&mut self, key: &str) -> Option<&V> {
        self.clock += 1;
        let (age, value) = self.entries.get_mut(key)?;
        let name = self.by_age.remove(age)?;
        *age = self.clock;
        self.by_age.insert(self.clock, name);
        Some(value)
    }

    /// Puts an entry in, in place of an old one of the same key; the oldest entry goes if there are too many.
    pub fn put(&mut self, key: &str, value: V) {
        if self.capacity == 0 {
            return;
        }
        self.clock += 1;
        if let Some((age, _)) = self.entries.insert(key.to_owned(), (self.clock, value)) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.clock, key.to_owned());
        if self.entries.len() > self.capacity {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.entries.remove(&oldest);
            }
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.by_age.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_entry_goes() {
        let mut cache = Lru::new(2);
        cache.put("a", 1);
        cache.put("b", 2);
        assert_eq!(cache.get("a"), Some(&1));
        cache.put("c", 3);
        assert_eq!(["a", "b", "c"].map(|key| cache.get(key).copied()), [Some(1), None, Some(3)]);
        cache.put("a", 9);
        assert_eq!(cache.get("a"), Some(&9));
        assert_eq!(cache.len(), 2);
        cache.clear();
        assert!(cache.is_empty() && cache.by_age.is_empty());
    }

    #[test]
    fn no_capacity_keeps_nothing() {
        let mut cache = Lru::new(0);
        cache.put("a", 1);
        assert!(cache.is_empty());
    }
}
