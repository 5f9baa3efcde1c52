//! Topics: who publishes, who subscribes, and how one message reaches them all.

pub(crate) mod frozen;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use msgs::MessageType;
use parking_lot::{Mutex, RwLock};

use crate::diagnostics::Level;
use crate::events::{End, PeerId};
use crate::explain::Probe;
use crate::heard::{Heard, Shown};
use crate::message::{AnyMessage, Erased};
use crate::qos::Durability;
use crate::raw::expiry;
use crate::shared::Arrival;
use crate::slot::{Event, Item, Slot};
use crate::stats::EdgeStats;
use crate::transport::{Carrier, RemotePublisher};
use crate::{Qos, Time};

/// From this size on (bytes) a message's neighbours get it before the wire does.
const LARGE: usize = 32 << 10;

/// A message on its way.
#[derive(Clone)]
pub(crate) struct Parcel {
    pub message: AnyMessage,
    pub published: Instant,
    pub carrier: Carrier,
}

/// A message that everybody shares.
const SHARED: Carrier = ("in-process", 0);

/// One publisher of a topic.
pub(crate) struct PublisherCore {
    pub topic: Arc<Topic>,
    pub slot: Arc<Slot>,
    pub qos: Qos,
    pub sequence: AtomicU64,
    pub latched: Mutex<VecDeque<Parcel>>,
    pub remote: Option<Box<dyn RemotePublisher>>,
    pub end: Arc<End>,
}

/// What one subscription gets from one node by one way.
#[derive(Clone)]
pub(crate) struct Edge {
    /// The publishing node; empty: it is in another process.
    pub publisher: Arc<str>,
    pub carrier: Carrier,
    pub stats: Arc<EdgeStats>,
}

/// One subscription of a topic.
pub(crate) struct SubscriberCore {
    pub slot: Arc<Slot>,
    pub port: usize,
    pub generation: u64,
    pub qos: Qos,
    pub end: Arc<End>,
    /// Keeps a sample now and then, for the graph to look at.
    pub probe: Probe,
    /// Samples that were no message of the topic's type.
    refused: AtomicU64,
    edges: Mutex<Vec<Edge>>,
}

impl SubscriberCore {
    pub fn new(slot: Arc<Slot>, port: usize, qos: Qos, end: Arc<End>) -> Self {
        let generation = slot.generation();
        Self { slot, port, generation, qos, end, probe: Probe::default(), refused: 0.into(), edges: Mutex::default() }
    }

    /// Bytes came that are no message of this type; `publisher` is empty if it is in another process.
    pub fn refuse(&self, topic: &str, publisher: &str, kind: &MessageType, error: &str) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let from = if publisher.is_empty() { "another process" } else { publisher };
        let why = format!("a sample from {from} is no {}: {error} ({count} so far)", kind.name);
        self.slot.statuses.lock().insert(format!("receive {topic}"), (Level::Warn, why));
    }

    /// A sample from another process came and was dropped, since the queue was full. It is no gap in what its publisher sends.
    pub fn overrun(&self, arrival: &Arrival) {
        if let Some(gid) = arrival.gid {
            self.end.passed_over(PeerId::Remote(gid), arrival.sequence);
        }
        let edge = self.edge(&Arc::from(""), arrival.carrier);
        edge.delivered();
        edge.drop_one();
        self.slot.stats.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether these are the counts of one of its edges.
    pub fn counts(&self, stats: &Arc<EdgeStats>) -> bool {
        self.edges.lock().iter().any(|edge| Arc::ptr_eq(&edge.stats, stats))
    }

    pub fn edges(&self) -> Vec<Edge> {
        self.edges.lock().clone()
    }

    /// Forgets what was counted for a publishing node that is gone.
    pub fn forget(&self, publisher: &str) {
        self.edges.lock().retain(|edge| *edge.publisher != *publisher);
    }

    fn edge(&self, publisher: &Arc<str>, carrier: Carrier) -> Arc<EdgeStats> {
        let mut edges = self.edges.lock();
        if let Some(edge) = edges.iter().find(|edge| edge.publisher == *publisher && edge.carrier == carrier) {
            return Arc::clone(&edge.stats);
        }
        let stats = Arc::new(EdgeStats::default());
        edges.push(Edge { publisher: Arc::clone(publisher), carrier, stats: Arc::clone(&stats) });
        stats
    }

    /// Hands `parcel` to the subscriber's inbox.
    pub fn deliver(&self, parcel: &Parcel) {
        let edge = self.edge(&parcel.message.publisher, parcel.carrier);
        edge.delivered();
        self.probe
            .see(&parcel.message.payload, || self.slot.shared().map_or(Time::wall(), |shared| self.slot.clock.now(&shared)));
        let item = Item {
            port: self.port,
            generation: self.generation,
            event: Event::Message(parcel.message.clone()),
            published: Some(parcel.published),
            edge: Some(edge),
        };
        self.slot.push(item);
    }
}

/// One tap: a subscription to many topics at once.
pub(crate) struct Tap {
    pub slot: Arc<Slot>,
    pub port: usize,
    pub generation: u64,
    /// Whether it gets what no subscription of this process gets.
    pub ears: bool,
    pub filter: Box<dyn Fn(&str, &MessageType) -> bool + Send + Sync>,
}

impl Tap {
    fn deliver(&self, parcel: &Parcel) {
        self.slot.push(Item {
            port: self.port,
            generation: self.generation,
            event: Event::Message(parcel.message.clone()),
            published: Some(parcel.published),
            edge: None,
        });
    }
}

/// Both ends of a topic.
#[derive(Default)]
pub(crate) struct Ends {
    pub publishers: Vec<Arc<PublisherCore>>,
    pub subscribers: Vec<Arc<SubscriberCore>>,
    pub taps: Vec<Arc<Tap>>,
}

/// A topic of this process.
pub(crate) struct Topic {
    pub name: Arc<str>,
    pub message_type: &'static MessageType,
    pub ends: RwLock<Ends>,
    pub heard: Heard,
}

impl Topic {
    /// A subscription leaves before its node does.
    pub fn leave(&self, subscriber: &Arc<SubscriberCore>) {
        let mut ends = self.ends.write();
        ends.subscribers.retain(|other| !Arc::ptr_eq(other, subscriber));
        ends.publishers.iter().for_each(|publisher| publisher.end.peer_left(PeerId::Local(subscriber.end.id)));
    }

    /// Sends `message` to every subscriber: a shared pointer to those in this process, serialised only if somebody outside listens. Elsewhere
    /// a large message may be overtaken by what a neighbour makes of it.
    ///
    /// `stamp` is the time on the publisher's clock, `now` that on the graph's, by which deadlines and lifespans go at both ends. Returns
    /// the wire's complaint, if it has one.
    pub fn publish(
        &self,
        core: &PublisherCore,
        message: Arc<dyn Erased>,
        (stamp, now): (Time, Time),
        published: Instant,
    ) -> Option<String> {
        let sequence = core.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let latch = core.qos.durability == Durability::TransientLocal;
        let to_wire = || {
            let remote = core.remote.as_ref().filter(|remote| latch || remote.matched())?;
            remote.publish(&*message, stamp).err().map(|error| error.to_string())
        };
        // A small message goes to the wire first, so that no answer to it can overtake it there. With a large one the neighbours do not
        // wait for the copy.
        core.end.published(now);
        let large = message.size_hint() >= LARGE;
        let complaint = if large { None } else { to_wire() };
        let parcel = Parcel {
            message: AnyMessage {
                topic: Arc::clone(&self.name),
                message_type: self.message_type,
                stamp,
                sequence,
                publisher: Arc::clone(&core.slot.name),
                qos: core.qos,
                expires: core.qos.finite_lifespan().map(|lifespan| now + lifespan),
                payload: Arc::clone(&message),
            },
            published,
            carrier: SHARED,
        };
        {
            // Held from here on: who joins in between gets the sample either as kept or as new, not as both.
            let ends = self.ends.read();
            if latch {
                let mut latched = core.latched.lock();
                while latched.len() >= core.qos.cache_depth() {
                    latched.pop_front();
                }
                latched.push_back(parcel.clone());
            }
            for subscriber in ends.subscribers.iter().filter(|subscriber| core.qos.incompatible(&subscriber.qos).is_none()) {
                if !subscriber.end.is_plain() {
                    subscriber.end.arrived(PeerId::Local(core.end.id), now, None);
                }
                subscriber.deliver(&parcel);
            }
            for tap in &ends.taps {
                tap.deliver(&parcel);
            }
        }
        complaint.or_else(|| if large { to_wire() } else { None })
    }

    /// Hands a subscription that joins what is kept for late joiners and not over its lifespan.
    pub fn catch_up(&self, ends: &Ends, subscriber: &SubscriberCore, now: Time) {
        if subscriber.qos.durability != Durability::TransientLocal {
            return;
        }
        for publisher in ends.publishers.iter().filter(|publisher| publisher.qos.incompatible(&subscriber.qos).is_none()) {
            let mut latched = publisher.latched.lock();
            latched.retain(|parcel| !parcel.message.is_over(now));
            for parcel in latched.iter().skip(latched.len().saturating_sub(subscriber.qos.depth())) {
                subscriber.deliver(parcel);
            }
        }
    }

    /// A sample from another process, for one subscriber or, by the graph's own ear, for taps alone. Taps are shown what comes by whatever
    /// way, once.
    pub fn receive(&self, arrival: &Arrival, now: Time) {
        let Arrival { subscriber, message, stamp, sequence, gid, age, offered, carrier, way, .. } = arrival;
        let peer = gid.map(PeerId::Remote);
        if let (Some(subscriber), Some(peer)) = (subscriber, peer)
            && !subscriber.end.arrived(peer, now, Some(*sequence))
        {
            return;
        }
        let known = subscriber.as_ref().and_then(|subscriber| subscriber.end.peer_qos(peer?));
        let qos = known.unwrap_or(*offered);
        let parcel = Parcel {
            message: AnyMessage {
                topic: Arc::clone(&self.name),
                message_type: self.message_type,
                stamp: *stamp,
                sequence: *sequence,
                publisher: Arc::from(""),
                qos,
                expires: expiry(now, *age, &qos),
                payload: Arc::clone(message),
            },
            published: Instant::now(),
            carrier: *carrier,
        };
        if parcel.message.is_over(now) {
            subscriber.iter().for_each(|subscriber| subscriber.end.expired());
            return;
        }
        let ends = self.ends.read();
        let tapped = |ears| ends.taps.iter().any(|tap| tap.ears == ears);
        let is_new = |shown: &Shown| gid.is_none_or(|gid| shown.is_new(gid, *sequence, *stamp, *way));
        let (local, wide) = match (subscriber, gid) {
            (None, _) => (false, tapped(true) && is_new(&self.heard.wide)),
            (Some(subscriber), Some(_)) => {
                subscriber.deliver(&parcel);
                let wide = tapped(true) && self.heard.needs(&subscriber.qos) && is_new(&self.heard.wide);
                (tapped(false) && is_new(&self.heard.local), wide)
            }
            (Some(subscriber), None) => {
                // Of a test: the topic's first subscriber that takes it shows it.
                subscriber.deliver(&parcel);
                let takes = |other: &&Arc<SubscriberCore>| qos.incompatible(&other.qos).is_none();
                let first = ends.subscribers.iter().find(takes).is_some_and(|first| Arc::ptr_eq(first, subscriber));
                (first, first)
            }
        };
        for tap in ends.taps.iter().filter(|tap| if tap.ears { wide } else { local }) {
            tap.deliver(&parcel);
        }
    }
}
