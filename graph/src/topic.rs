//! Topics: who publishes, who subscribes, and how one message reaches them all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use msgs::MessageType;
use parking_lot::{Mutex, RwLock};

use crate::message::{AnyMessage, Erased};
use crate::qos::Durability;
use crate::slot::{Event, Item, Slot};
use crate::stats::EdgeStats;
use crate::transport::RemotePublisher;
use crate::{Qos, Time};

/// From this size on (bytes) a message's neighbours get it before the wire does.
const LARGE: usize = 32 << 10;

/// A message on its way.
#[derive(Clone)]
pub(crate) struct Parcel {
    pub message: AnyMessage,
    pub published: Instant,
}

/// One publisher of a topic.
pub(crate) struct PublisherCore {
    pub topic: Arc<Topic>,
    pub slot: Arc<Slot>,
    pub qos: Qos,
    pub sequence: AtomicU64,
    pub latched: Mutex<VecDeque<Parcel>>,
    pub remote: Option<Box<dyn RemotePublisher>>,
}

/// One subscription of a topic.
pub(crate) struct SubscriberCore {
    pub slot: Arc<Slot>,
    pub port: usize,
    pub generation: u64,
    pub qos: Qos,
    /// By publishing node; an empty name is another process.
    edges: Mutex<Vec<(Arc<str>, Arc<EdgeStats>)>>,
}

impl SubscriberCore {
    pub fn new(slot: Arc<Slot>, port: usize, qos: Qos) -> Self {
        let generation = slot.generation();
        Self { slot, port, generation, qos, edges: Mutex::default() }
    }

    pub fn edges(&self) -> Vec<(Arc<str>, Arc<EdgeStats>)> {
        self.edges.lock().clone()
    }

    /// Forgets what was counted for a publishing node that is gone.
    pub fn forget(&self, publisher: &str) {
        self.edges.lock().retain(|(name, _)| **name != *publisher);
    }

    fn edge(&self, publisher: &Arc<str>) -> Arc<EdgeStats> {
        let mut edges = self.edges.lock();
        if let Some((_, stats)) = edges.iter().find(|(name, _)| name == publisher) {
            return Arc::clone(stats);
        }
        let stats = Arc::new(EdgeStats::default());
        edges.push((Arc::clone(publisher), Arc::clone(&stats)));
        stats
    }

    /// Hands `parcel` to the subscriber's inbox.
    pub fn deliver(&self, parcel: &Parcel) {
        let edge = self.edge(&parcel.message.publisher);
        edge.delivered();
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
}

impl Topic {
    /// Sends `message` to every subscriber: a shared pointer to those in this process, serialised only if somebody outside listens. Elsewhere
    /// a large message may be overtaken by what a neighbour makes of it.
    ///
    /// Returns the wire's complaint, if it has one.
    pub fn publish(&self, core: &PublisherCore, message: Arc<dyn Erased>, stamp: Time, published: Instant) -> Option<String> {
        let sequence = core.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let latch = core.qos.durability == Durability::TransientLocal;
        let to_wire = || {
            let remote = core.remote.as_ref().filter(|remote| latch || remote.matched())?;
            remote.publish(&*message, stamp).err().map(|error| error.to_string())
        };
        // A small message goes to the wire first, so that no answer to it can overtake it there. With a large one the neighbours do not
        // wait for the copy.
        let large = message.size_hint() >= LARGE;
        let complaint = if large { None } else { to_wire() };
        let parcel = Parcel {
            message: AnyMessage {
                topic: Arc::clone(&self.name),
                message_type: self.message_type,
                stamp,
                sequence,
                publisher: Arc::clone(&core.slot.name),
                payload: Arc::clone(&message),
            },
            published,
        };
        {
            // Held from here on: who joins in between gets the sample either as kept or as new, not as both.
            let ends = self.ends.read();
            if latch {
                let mut latched = core.latched.lock();
                while latched.len() >= core.qos.depth() {
                    latched.pop_front();
                }
                latched.push_back(parcel.clone());
            }
            for subscriber in &ends.subscribers {
                subscriber.deliver(&parcel);
            }
            for tap in &ends.taps {
                tap.deliver(&parcel);
            }
        }
        complaint.or_else(|| if large { to_wire() } else { None })
    }

    /// A sample from another process for one subscriber; the topic's first subscriber also shows it to the taps.
    pub fn receive(&self, subscriber: &SubscriberCore, message: Arc<dyn Erased>, stamp: Time, sequence: u64) {
        let parcel = Parcel {
            message: AnyMessage {
                topic: Arc::clone(&self.name),
                message_type: self.message_type,
                stamp,
                sequence,
                publisher: Arc::from(""),
                payload: message,
            },
            published: Instant::now(),
        };
        subscriber.deliver(&parcel);
        let ends = self.ends.read();
        if ends.subscribers.first().is_some_and(|first| std::ptr::eq(&**first, subscriber)) {
            for tap in &ends.taps {
                tap.deliver(&parcel);
            }
        }
    }
}
