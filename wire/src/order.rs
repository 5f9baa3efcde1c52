//! What a subscription has had of each publisher that has two ways to it: nothing twice, nothing out of order.

use crate::attachment::Gid;
use crate::neighbours::Neighbours;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A second copy may come so late, also of a publisher that is over since.
const LATE: Duration = Duration::from_secs(60);
/// So many publishers are kept before it is looked for those that have sent nothing for long.
const MANY: usize = 256;

/// What is known of each publisher, and when that last changed. Those of which nothing was heard for [`LATE`] are forgotten when there
/// are many.
pub(crate) struct Recent<K, V> {
    known: HashMap<K, (V, Instant)>,
    /// How many there may be before the next look.
    limit: usize,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { known: HashMap::new(), limit: MANY }
    }
}

impl<K: Hash + Eq, V> Recent<K, V> {
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        self.known.get_mut(key).map(|(value, _)| value)
    }

    pub fn insert(&mut self, key: K, value: V) {
        let now = Instant::now();
        if self.known.len() > self.limit {
            self.known.retain(|_, (_, at)| now.saturating_duration_since(*at) < LATE);
            self.limit = MANY.max(2 * self.known.len());
        }
        self.known.insert(key, (value, now));
    }
}

/// The last sample that a subscription has had of each publisher.
#[derive(Default)]
pub(crate) struct Order(Mutex<Recent<Gid, i64>>);

impl Order {
    /// Hands over what came over the carrier, unless it was there before. The next one waits until that is done.
    /// Returns whether it was handed over.
    pub fn carried(&self, neighbours: &Neighbours, gid: &Gid, sequence: i64, sink: impl FnOnce()) -> bool {
        Self::hand_over(&mut self.0.lock(), neighbours, gid, sequence, sink)
    }

    /// As [`Order::carried`], for what came over Zenoh: also of a publisher that has only this way, of which nothing is kept.
    pub fn over_zenoh(&self, neighbours: &Neighbours, gid: &Gid, sequence: i64, sink: impl FnOnce()) -> bool {
        let mut had = self.0.lock();
        // One that is over is known no longer, but its last samples may still come a second time.
        if neighbours.host.knows(gid) || had.get(gid).is_some() {
            return Self::hand_over(&mut had, neighbours, gid, sequence, sink);
        }
        drop(had);
        sink();
        true
    }

    fn hand_over(had: &mut Recent<Gid, i64>, neighbours: &Neighbours, gid: &Gid, sequence: i64, sink: impl FnOnce()) -> bool {
        let new = had.get(gid).is_none_or(|last| sequence > *last);
        if new {
            had.insert(*gid, sequence);
            sink();
        } else {
            neighbours.counts.doubles.fetch_add(1, Ordering::Relaxed);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carrier::Host;
    use std::sync::Arc;

    const GID: Gid = [1; 16];

    #[test]
    fn nothing_is_handed_over_twice_or_out_of_order() {
        let Some(neighbours) = Neighbours::open(3, Arc::new(crate::live::Live::new("aa".into()))) else { return };
        let (order, mut handed) = (Order::default(), Vec::new());
        for n in [1, 2, 2, 4, 3, 5] {
            order.carried(&neighbours, &GID, n, || handed.push(n));
        }
        assert_eq!(handed, [1, 2, 4, 5]);
        assert!(order.carried(&neighbours, &[2; 16], 1, || ()), "another publisher");
        assert_eq!(neighbours.counts.doubles.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_last_samples_of_a_publisher_that_ends_are_not_handed_over_twice() {
        let (Some(neighbours), Ok(sender)) = (Neighbours::open(3, Arc::new(crate::live::Live::new("aa".into()))), Host::open())
        else {
            return;
        };
        let order = Order::default();
        let link = sender.link(neighbours.host.address()).unwrap();
        let edge = link.add_edge(GID, "topic").unwrap();
        neighbours.drain();
        assert!(order.over_zenoh(&neighbours, &GID, 1, || ()) && !order.carried(&neighbours, &GID, 1, || ()), "known");
        assert!(order.carried(&neighbours, &GID, 2, || ()));
        link.remove_edge(edge);
        neighbours.drain();
        assert!(!neighbours.host.knows(&GID));
        assert!(!order.over_zenoh(&neighbours, &GID, 2, || ()), "the second copy comes late");
        // However many others there have been since.
        for n in 0..3 * MANY as u64 {
            let mut other = [9; 16];
            other[..8].copy_from_slice(&n.to_le_bytes());
            assert!(order.carried(&neighbours, &other, 1, || ()));
        }
        assert!(!order.over_zenoh(&neighbours, &GID, 2, || ()));
    }

    #[test]
    fn of_publishers_that_have_only_zenoh_nothing_is_kept() {
        let Some(neighbours) = Neighbours::open(3, Arc::new(crate::live::Live::new("aa".into()))) else { return };
        let order = Order::default();
        for n in [1, 1, 3, 2] {
            assert!(order.over_zenoh(&neighbours, &GID, n, || ()), "Zenoh's own order");
        }
        assert!(order.0.lock().known.is_empty());
    }

    #[test]
    fn a_sample_waits_until_the_one_before_it_has_been_handed_over() {
        let Some(neighbours) = Neighbours::open(3, Arc::new(crate::live::Live::new("aa".into()))) else { return };
        let (order, handed) = (Arc::new(Order::default()), Arc::new(Mutex::new(Vec::new())));
        order.carried(&neighbours, &GID, 1, || {
            // Whoever has the next one cannot get in now.
            assert!(order.0.try_lock().is_none());
            handed.lock().push(1);
        });
        order.over_zenoh(&neighbours, &GID, 2, || {
            assert!(order.0.try_lock().is_none());
            handed.lock().push(2);
        });
        assert_eq!(*handed.lock(), [1, 2]);
    }
}
