//! Lock-step: what came from outside since the step began. It waits for the next one in the order in which it came, and of each queue of a
//! node no more waits than the queue takes: a graph that is paced slowly or stands still must not eat the memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::remote::RemoteChange;
use crate::shared::Arrival;
use crate::slot::{Item, Slot};

/// Samples of one topic that wait for taps alone.
const FOR_TAPS: usize = 1000;

/// Something that does not come from a handler of this graph.
pub(crate) enum Outside {
    Item(Arc<Slot>, Item),
    Sample(Arrival),
    Remote(RemoteChange),
}

/// Whose queue something waits for.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Line {
    /// By the node's identity.
    Port(u64, usize),
    /// By the identity of the subscription's end.
    Subscription(u64),
    Taps(Arc<str>),
}

impl Outside {
    /// The queue and its length; none if all that comes counts.
    fn line(&self) -> Option<(Line, usize)> {
        match self {
            Self::Item(slot, item) => Some((Line::Port(slot.identity.id, item.port), slot.depth(item.port))),
            Self::Sample(arrival) => Some(match &arrival.subscriber {
                Some(subscriber) => (Line::Subscription(subscriber.end.id), subscriber.qos.depth().max(1)),
                None => (Line::Taps(Arc::clone(&arrival.topic.name)), FOR_TAPS),
            }),
            Self::Remote(_) => None,
        }
    }

    /// It is dropped: counted as a full queue's loss, which it is.
    fn overrun(&self) {
        match self {
            Self::Item(slot, _) => {
                slot.stats.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Self::Sample(arrival) => match &arrival.subscriber {
                Some(subscriber) => subscriber.overrun(arrival.carrier),
                None => arrival.topic.heard.overrun(),
            },
            Self::Remote(_) => {}
        }
    }
}

/// What waits.
#[derive(Default)]
pub(crate) struct Waiting {
    next: u64,
    /// By ticket.
    items: BTreeMap<u64, Outside>,
    lines: HashMap<Line, VecDeque<u64>>,
}

impl Waiting {
    /// Adds something. Returns what gives way to it; it is to be dropped without the lock: an unanswered request tells its caller.
    #[must_use]
    pub fn push(&mut self, outside: Outside) -> Option<Outside> {
        self.next += 1;
        let mut lost = None;
        if let Some((line, depth)) = outside.line() {
            let line = self.lines.entry(line).or_default();
            if line.len() >= depth {
                lost = line.pop_front().and_then(|ticket| self.items.remove(&ticket));
            }
            line.push_back(self.next);
        }
        self.items.insert(self.next, outside);
        lost.inspect(Outside::overrun)
    }

    /// All that waits, in the order in which it came.
    pub fn take(&mut self) -> impl Iterator<Item = Outside> + use<> {
        self.lines.clear();
        std::mem::take(&mut self.items).into_values()
    }
}
