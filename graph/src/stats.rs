//! What is counted: handler times, edge latencies, drops.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Sub-buckets per power of two: quantiles are right within 1/16.
const SUB: u64 = 8;

/// A histogram of durations with logarithmic buckets, from 1 ns to hours.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u32>,
    count: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; 48 * SUB as usize], count: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let ns = duration.as_nanos().min(u128::from(u64::MAX)) as u64;
        let index = Self::index(ns).min(self.buckets.len() - 1);
        self.buckets[index] = self.buckets[index].saturating_add(1);
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value below which the share `q` (0..1) lies; zero if nothing was counted.
    pub fn quantile(&self, q: f64) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        let rank = ((self.count as f64 * q).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += u64::from(*bucket);
            if seen >= rank {
                return Duration::from_nanos(Self::middle(index).min(self.max_ns));
            }
        }
        Duration::from_nanos(self.max_ns)
    }

    fn index(ns: u64) -> usize {
        if ns < SUB {
            return ns as usize;
        }
        let exponent = 63 - u64::from(ns.leading_zeros());
        let shift = exponent - 3;
        ((exponent - 2) * SUB + ((ns >> shift) & (SUB - 1))) as usize
    }

    fn middle(index: usize) -> u64 {
        let index = index as u64;
        if index < SUB {
            return index;
        }
        let shift = index / SUB - 1;
        ((SUB + index % SUB) << shift) + (1 << shift) / 2
    }
}

/// Counters of one edge; written by whoever delivers and by the subscriber.
#[derive(Default)]
pub(crate) struct EdgeStats {
    pub messages: AtomicU64,
    pub dropped: AtomicU64,
    pub latency: Mutex<Histogram>,
}

impl EdgeStats {
    pub fn delivered(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }
    pub fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counters of one node.
#[derive(Default)]
pub(crate) struct NodeStats {
    pub handled: AtomicU64,
    pub dropped: AtomicU64,
    pub busy_ns: AtomicU64,
    pub restarts: AtomicU64,
    pub time: Mutex<Histogram>,
    /// Moving average of the time from a handler's first publication to its end, ns.
    tail_ns: AtomicU64,
}

impl NodeStats {
    /// A handler ended so long after it had published.
    pub fn ended(&self, after: Duration) {
        let (ns, before) = (after.as_nanos().min(u128::from(u64::MAX / 8)) as u64, self.tail_ns.load(Ordering::Relaxed));
        // Only the worker that runs the node writes.
        self.tail_ns.store(before - before / 8 + ns / 8, Ordering::Relaxed);
    }

    /// Whether handlers usually end within `limit` of publishing.
    pub fn ends_within(&self, limit: Duration) -> bool {
        u128::from(self.tail_ns.load(Ordering::Relaxed)) < limit.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_sixteenth() {
        let mut histogram = Histogram::default();
        for ns in 1..=100_000u64 {
            histogram.record(Duration::from_nanos(ns));
        }
        for q in [0.01, 0.5, 0.9, 0.99] {
            let exact = 100_000.0 * q;
            let got = histogram.quantile(q).as_nanos() as f64;
            assert!((got - exact).abs() / exact <= 1.0 / 16.0, "{q}: {got} against {exact}");
        }
        assert_eq!(histogram.count(), 100_000);
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
