//! Topics in snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Edge, Parcel, PublisherCore, SHARED, SubscriberCore, Topic};
use crate::events::FrozenEnd;
use crate::message::AnyMessage;
use crate::raw::RawMessage;
use crate::snapshot::Blob;
use crate::stats::EdgeStats;
use crate::time::Time;

/// A topic with the ends of the nodes that take part.
#[derive(Serialize, Deserialize)]
pub(crate) struct FrozenTopic {
    pub name: String,
    pub type_hash: String,
    pub publishers: Vec<FrozenPublisher>,
    pub subscribers: Vec<FrozenSubscriber>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct FrozenPublisher {
    pub node: String,
    sequence: u64,
    kept: Vec<FrozenSample>,
    end: FrozenEnd,
}

/// A sample that is kept for late joiners.
#[derive(Serialize, Deserialize)]
struct FrozenSample {
    stamp: Time,
    sequence: u64,
    expires: Option<Time>,
    message: Blob,
}

/// What came from one node by one way.
#[derive(Serialize, Deserialize)]
struct FrozenEdge {
    publisher: String,
    /// Name and copies.
    carrier: (String, u32),
    messages: u64,
    dropped: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct FrozenSubscriber {
    pub node: String,
    refused: u64,
    edges: Vec<FrozenEdge>,
    probe: (bool, Option<(Option<Time>, Time)>),
    end: FrozenEnd,
}

impl Topic {
    /// `None` if no node but `watchers` has an end of it.
    pub fn freeze(&self, watchers: &BTreeSet<Arc<str>>) -> Option<FrozenTopic> {
        let ends = self.ends.read();
        let publishers: Vec<_> =
            ends.publishers.iter().filter(|p| !watchers.contains(&p.slot.name)).map(|p| p.freeze(watchers)).collect();
        let subscribers: Vec<_> =
            ends.subscribers.iter().filter(|s| !watchers.contains(&s.slot.name)).map(|s| s.freeze(watchers)).collect();
        let used = !publishers.is_empty() || !subscribers.is_empty();
        let (name, type_hash) = (self.name.to_string(), self.message_type.hash.to_owned());
        used.then_some(FrozenTopic { name, type_hash, publishers, subscribers })
    }

    /// Takes up what [`Topic::freeze`] gave. The n-th end of a node then is its n-th now; they stand in the order that they had then.
    ///
    /// # Errors
    /// A sentence on an end that is missing, too many, or on a sample that is none.
    pub fn thaw(&self, frozen: FrozenTopic, watchers: &BTreeSet<Arc<str>>) -> Result<(), String> {
        let missing = |node: &str, what: &str| format!("{node} does not {what} {}", self.name);
        let mut ends = self.ends.write();
        let mut before: Vec<_> = std::mem::take(&mut ends.publishers);
        for publisher in frozen.publishers {
            let place = before.iter().position(|p| *p.slot.name == *publisher.node);
            let core = before.remove(place.ok_or_else(|| missing(&publisher.node, "publish"))?);
            core.thaw(publisher)?;
            ends.publishers.push(core);
        }
        if let Some(new) = before.iter().find(|p| !watchers.contains(&p.slot.name)) {
            return Err(format!("{} did not publish {}", new.slot.name, self.name));
        }
        ends.publishers.append(&mut before);
        let mut before: Vec<_> = std::mem::take(&mut ends.subscribers);
        for subscriber in frozen.subscribers {
            let place = before.iter().position(|s| *s.slot.name == *subscriber.node);
            let core = before.remove(place.ok_or_else(|| missing(&subscriber.node, "listen to"))?);
            core.thaw(subscriber);
            ends.subscribers.push(core);
        }
        if let Some(new) = before.iter().find(|s| !watchers.contains(&s.slot.name)) {
            return Err(format!("{} did not listen to {}", new.slot.name, self.name));
        }
        ends.subscribers.append(&mut before);
        Ok(())
    }

    /// Gives what was kept to those that joined before it was here again: `watchers`, who are anew, and other processes.
    ///
    /// # Errors
    /// The wire's, as a sentence.
    pub fn hand_over_kept(&self, watchers: &BTreeSet<Arc<str>>, now: Time) -> Result<(), String> {
        let ends = self.ends.read();
        for subscriber in ends.subscribers.iter().filter(|subscriber| watchers.contains(&subscriber.slot.name)) {
            self.catch_up(&ends, subscriber, now);
        }
        for publisher in ends.publishers.iter().filter(|publisher| !watchers.contains(&publisher.slot.name)) {
            let Some(remote) = &publisher.remote else { continue };
            for Parcel { message, .. } in publisher.latched.lock().iter().filter(|parcel| !parcel.message.is_over(now)) {
                let sent = remote.publish(&*message.payload, message.stamp);
                sent.map_err(|error| format!("a sample that {} kept cannot be sent: {error}", self.name))?;
            }
        }
        Ok(())
    }
}

/// What tells how long things took is no state: no two runs are the same in it.
const MEASURED: &str = "omnimind_msgs/msg/GraphStatistics";

impl PublisherCore {
    fn freeze(&self, watchers: &BTreeSet<Arc<str>>) -> FrozenPublisher {
        let kept = self.latched.lock();
        let kept = kept.iter().filter(|_| self.topic.message_type.name != MEASURED).map(|Parcel { message, .. }| FrozenSample {
            stamp: message.stamp,
            sequence: message.sequence,
            expires: message.expires,
            message: Blob(message.to_cdr()),
        });
        FrozenPublisher {
            node: self.slot.name.to_string(),
            sequence: self.sequence.load(Ordering::Relaxed),
            kept: kept.collect(),
            end: self.end.freeze(watchers),
        }
    }

    fn thaw(&self, frozen: FrozenPublisher) -> Result<(), String> {
        self.sequence.store(frozen.sequence, Ordering::Relaxed);
        self.end.thaw(frozen.end);
        let mut latched = self.latched.lock();
        latched.clear();
        for sample in frozen.kept {
            let payload = RawMessage::new(self.topic.message_type, sample.message.0.into());
            let payload = payload.map_err(|error| format!("a sample that {} kept: {error}", self.topic.name))?;
            latched.push_back(Parcel {
                message: AnyMessage {
                    topic: Arc::clone(&self.topic.name),
                    message_type: self.topic.message_type,
                    stamp: sample.stamp,
                    sequence: sample.sequence,
                    publisher: Arc::clone(&self.slot.name),
                    qos: self.qos,
                    expires: sample.expires,
                    payload: Arc::new(payload),
                },
                published: Instant::now(),
                carrier: SHARED,
            });
        }
        Ok(())
    }
}

impl SubscriberCore {
    fn freeze(&self, watchers: &BTreeSet<Arc<str>>) -> FrozenSubscriber {
        let edges = self.edges.lock();
        let edges = edges.iter().map(|Edge { publisher, carrier, stats }| FrozenEdge {
            publisher: publisher.to_string(),
            carrier: (carrier.0.to_owned(), carrier.1),
            messages: stats.messages.load(Ordering::Relaxed),
            dropped: stats.dropped.load(Ordering::Relaxed),
        });
        FrozenSubscriber {
            node: self.slot.name.to_string(),
            refused: self.refused.load(Ordering::Relaxed),
            edges: edges.collect(),
            probe: self.probe.freeze(),
            end: self.end.freeze(watchers),
        }
    }

    fn thaw(&self, frozen: FrozenSubscriber) {
        self.refused.store(frozen.refused, Ordering::Relaxed);
        self.probe.thaw(frozen.probe);
        self.end.thaw(frozen.end);
        // Latencies are wall time: they are measured anew.
        let edge = |FrozenEdge { publisher, carrier: (way, copies), messages, dropped }: FrozenEdge| {
            let stats = EdgeStats { messages: messages.into(), dropped: dropped.into(), ..EdgeStats::default() };
            let way = [SHARED.0, "shared-memory"].into_iter().find(|known| **known == *way).unwrap_or("network");
            Edge { publisher: Arc::from(publisher), carrier: (way, copies), stats: Arc::new(stats) }
        };
        *self.edges.lock() = frozen.edges.into_iter().map(edge).collect();
    }
}
