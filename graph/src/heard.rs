//! What taps were shown of publishers elsewhere. A sample may come by several ways, the graph's own subscription (its ear), the one that
//! takes its place, and those of nodes; a tap gets it once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::Time;
use crate::qos::{Durability, Qos};

/// Samples of one publisher that are remembered: more than an ear is given of the past (ten) and comes while one takes another's place.
const REMEMBERED: usize = 128;

/// Publishers that are remembered; beyond that all are forgotten: those that announce themselves go when they leave.
const PUBLISHERS: usize = 1024;

const NO_EAR: u8 = 0;
const VOLATILE: u8 = 1;
const TRANSIENT_LOCAL: u8 = 2;

struct Sample {
    sequence: u64,
    stamp: Time,
    /// The subscription by which it came last.
    way: u64,
}

#[derive(Default)]
struct Recent {
    newest: u64,
    samples: VecDeque<Sample>,
}

/// The last samples that were shown.
#[derive(Default)]
pub(crate) struct Shown(Mutex<BTreeMap<[u8; 16], Recent>>);

impl Shown {
    /// Whether a sample that comes by the subscription `way` was not shown before. What comes twice by one way is two samples, whatever
    /// its sender counts.
    pub fn is_new(&self, gid: [u8; 16], sequence: u64, stamp: Time, way: u64) -> bool {
        let mut all = self.0.lock();
        if all.len() >= PUBLISHERS && !all.contains_key(&gid) {
            all.clear();
        }
        let recent = all.entry(gid).or_default();
        if sequence <= recent.newest {
            let same = |sample: &&mut Sample| sample.sequence == sequence && sample.stamp == stamp && sample.way != way;
            if let Some(sample) = recent.samples.iter_mut().rev().find(same) {
                sample.way = way;
                return false;
            }
        }
        recent.newest = recent.newest.max(sequence);
        if recent.samples.len() == REMEMBERED {
            recent.samples.pop_front();
        }
        recent.samples.push_back(Sample { sequence, stamp, way });
        true
    }

    fn forget(&self, gid: &[u8; 16]) {
        self.0.lock().remove(gid);
    }
}

/// What the taps of one topic were shown.
#[derive(Default)]
pub(crate) struct Heard {
    /// Taps on what this process says and hears.
    pub local: Shown,
    /// Taps on what all processes say.
    pub wide: Shown,
    ear: AtomicU8,
    /// Samples for taps alone that were dropped since they came faster than the graph's steps.
    overrun: AtomicU64,
}

impl Heard {
    /// The graph has an ear of this quality of service on the topic, or none.
    pub fn set_ear(&self, ear: Option<&Qos>) {
        let code = match ear.map(|qos| qos.durability) {
            None => NO_EAR,
            Some(Durability::Volatile) => VOLATILE,
            Some(Durability::TransientLocal) => TRANSIENT_LOCAL,
        };
        self.ear.store(code, Ordering::Release);
    }

    /// Whether taps are shown what a node's subscription gets: not where an ear gets as much.
    pub fn needs(&self, subscription: &Qos) -> bool {
        match self.ear.load(Ordering::Acquire) {
            NO_EAR => true,
            VOLATILE => subscription.durability == Durability::TransientLocal,
            _ => false,
        }
    }

    /// A sample for taps alone was dropped.
    pub fn overrun(&self) {
        self.overrun.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub fn overruns(&self) -> u64 {
        self.overrun.load(Ordering::Relaxed)
    }

    /// A publisher left.
    pub fn forget(&self, gid: &[u8; 16]) {
        self.local.forget(gid);
        self.wide.forget(gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn what_comes_by_two_ways_is_shown_once_in_whatever_order() {
        let shown = Shown::default();
        let (a, b) = ([1; 16], [2; 16]);
        for sequence in [5, 6] {
            assert!(shown.is_new(a, sequence, at(1), 1));
        }
        // The second way is given the past.
        assert!(shown.is_new(a, 4, at(1), 2) && !shown.is_new(a, 5, at(1), 2) && !shown.is_new(a, 6, at(1), 2));
        assert!(shown.is_new(a, 7, at(1), 2) && !shown.is_new(a, 7, at(1), 1));
        assert!(shown.is_new(b, 5, at(1), 1), "another publisher");
        assert!(shown.is_new(a, 5, at(9), 2), "another sample of that number: its publisher began anew");
        shown.forget(&a);
        assert!(shown.is_new(a, 7, at(1), 2));
    }

    #[test]
    fn a_publisher_that_does_not_count_is_heard_by_the_way_that_comes_after_another() {
        let shown = Shown::default();
        let heard = |way| (0..300).filter(|_| shown.is_new([1; 16], 0, Time::ZERO, way)).count();
        assert_eq!(heard(1), 300);
        assert!(heard(2) >= 300 - REMEMBERED);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let shown = Shown::default();
        for number in 0..5000_u32 {
            let mut gid = [0; 16];
            gid[..4].copy_from_slice(&number.to_le_bytes());
            assert!(shown.is_new(gid, 1, at(1), 1));
        }
        assert!(shown.0.lock().len() <= PUBLISHERS);
        (1..1000).for_each(|sequence| assert!(shown.is_new([9; 16], sequence, at(1), 1)));
        assert_eq!(shown.0.lock()[&[9; 16]].samples.len(), REMEMBERED);
    }
}
