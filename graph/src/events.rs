//! What happens to one end of a topic: who joins and leaves, deadlines, liveliness, losses. Told to the node, and to /diagnostics.

mod end;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::qos::Policy;
use crate::slot::{Event, Item, Slot};

pub(crate) use end::{End, FrozenEnd, PeerId, Said};

/// Which end of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The node's publisher.
    Publisher,
    /// The node's subscription.
    Subscription,
}

/// Something happened to one end of a topic; see [`crate::Setup::on_qos_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QosEvent {
    /// Fully qualified topic.
    pub topic: Arc<str>,
    /// Which of the node's ends.
    pub side: Side,
    /// What happened.
    pub kind: QosEventKind,
}

/// What happened. Totals count from the node's set-up, changes from the event before, as in rmw's event statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QosEventKind {
    /// No sample came (subscription: requested deadline) or was published (publisher: offered deadline) in time.
    DeadlineMissed {
        /// Periods missed so far.
        total: u64,
        /// Periods missed now.
        change: u64,
    },
    /// The publisher did not say within its lease that it is alive.
    LivelinessLost {
        /// Times so far.
        total: u64,
        /// Times now.
        change: u64,
    },
    /// A publisher that the subscription hears began or ceased to be alive.
    LivelinessChanged {
        /// Publishers that are alive.
        alive: u64,
        /// Publishers that are there and have not said in time that they are alive.
        not_alive: u64,
        /// How much `alive` changed.
        alive_change: i64,
        /// How much `not_alive` changed.
        not_alive_change: i64,
    },
    /// Somebody on the topic offers less than is requested; nothing travels between the two.
    IncompatibleQos {
        /// Ends met so far that do not match.
        total: u64,
        /// Ends met now.
        change: u64,
        /// The first policy over which they do not match.
        policy: Policy,
        /// The other end's node.
        peer: Arc<str>,
    },
    /// Somebody uses the topic with another type; nothing travels between the two.
    IncompatibleType {
        /// Ends met so far.
        total: u64,
        /// Ends met now.
        change: u64,
        /// The other end's node.
        peer: Arc<str>,
    },
    /// Samples did not reach the handler: dropped from the full queue, or missing in a remote publisher's count.
    MessageLost {
        /// Samples so far.
        total: u64,
        /// Samples now.
        change: u64,
    },
    /// An end that fits came or went.
    Matched {
        /// Ends that came so far.
        total: u64,
        /// Ends that came now.
        change: u64,
        /// Ends that are there.
        current: u64,
        /// How much `current` changed.
        current_change: i64,
    },
}

/// Where a node hears of events, and what its queues have lost.
#[derive(Default)]
pub(crate) struct EventPort {
    /// Port and life of the node that opened it.
    port: Mutex<Option<(usize, u64)>>,
    lost: Mutex<BTreeMap<Arc<str>, u64>>,
}

impl EventPort {
    pub fn open(&self, port: usize, generation: u64) {
        *self.port.lock() = Some((port, generation));
        self.lost.lock().clear();
    }
}

impl Slot {
    /// Tells the node, if it wants to know.
    pub(crate) fn raise(self: &Arc<Self>, event: QosEvent) {
        let Some((port, generation)) = *self.events.port.lock() else { return };
        self.push(Item { port, generation, event: Event::Qos(Box::new(event)), published: None, edge: None });
    }

    /// Samples of a topic did not reach the node's handler.
    pub(crate) fn lost(self: &Arc<Self>, topic: &Arc<str>, change: u64) {
        if self.events.port.lock().is_none() {
            return;
        }
        let total = {
            let mut lost = self.events.lost.lock();
            let total = lost.entry(Arc::clone(topic)).or_default();
            *total += change;
            *total
        };
        let kind = QosEventKind::MessageLost { total, change };
        self.raise(QosEvent { topic: Arc::clone(topic), side: Side::Subscription, kind });
    }
}
