//! What was lost since the last report: per edge, with the reason.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Finding;
use crate::diagnostics::Level;
use crate::qos::History;
use crate::shared::Shared;

/// Subscriber, publisher, topic, how it comes.
type Edge = (Arc<str>, Arc<str>, Arc<str>, Cow<'static, str>);

/// The counts of the last report.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Drops {
    edges: BTreeMap<Edge, (u64, u64)>,
    nodes: BTreeMap<Arc<str>, u64>,
    /// By publisher, topic and what is counted. Of the wire, which a run that goes on from a snapshot has anew.
    #[serde(skip)]
    outside: BTreeMap<(Arc<str>, Arc<str>, &'static str), u64>,
}

impl Drops {
    /// Once per report.
    pub fn look(&mut self, shared: &Shared) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut explained = BTreeMap::new();
        let mut edges = BTreeMap::new();
        let topics: Vec<_> = shared.topics.read().values().cloned().collect();
        for topic in &topics {
            let subscribers = topic.ends.read().subscribers.clone();
            for subscriber in subscribers {
                for crate::topic::Edge { publisher, carrier, stats } in subscriber.edges() {
                    let edge = (Arc::clone(&subscriber.slot.name), publisher, Arc::clone(&topic.name), Cow::Borrowed(carrier.0));
                    let now = (stats.messages.load(Ordering::Relaxed), stats.dropped.load(Ordering::Relaxed));
                    let before = self.edges.get(&edge).copied().unwrap_or_default();
                    // A node that came back counts from zero.
                    let (messages, dropped) = (since(now.0, before.0), since(now.1, before.1));
                    if dropped > 0 {
                        *explained.entry(Arc::clone(&edge.0)).or_insert(0) += dropped;
                        let from = if edge.1.is_empty() { "another process" } else { &*edge.1 };
                        let depth = match subscriber.qos.history {
                            History::KeepLast(_) => format!("its queue of {}", subscriber.qos.depth()),
                            History::KeepAll => "its queue, though it keeps all it can,".to_owned(),
                        };
                        // Measured times differ from run to run; what lock-step says does not.
                        let busy = if shared.lock_step {
                            String::new()
                        } else {
                            format!(
                                ", with handlers of {:.1} ms",
                                subscriber.slot.stats.time.lock().quantile(0.5).as_secs_f64() * 1e3
                            )
                        };
                        let message = format!(
                            "{dropped} of {messages} messages from {from} on {} dropped since the last report, {} in all: {depth} was \
                             full, since {} takes them more slowly than they come{busy}; do less per message, or ask for a longer queue",
                            topic.name, now.1, edge.0
                        );
                        let finding = Finding::new(&edge.0, &format!("drops {}", topic.name), Level::Warn, message);
                        found.push(finding.with("dropped", dropped).with("dropped_total", now.1).with("messages", messages));
                    }
                    edges.insert(edge, now);
                }
            }
        }
        self.edges = edges;
        self.queues(shared, &explained, &mut found);
        self.outside(shared, &mut found);
        found
    }

    /// What the queues of nodes lost that was not a topic's message.
    fn queues(&mut self, shared: &Shared, explained: &BTreeMap<Arc<str>, u64>, found: &mut Vec<Finding>) {
        let mut nodes = BTreeMap::new();
        for slot in shared.slots.read().iter() {
            let total = slot.stats.dropped.load(Ordering::Relaxed);
            let dropped = since(total, self.nodes.get(&slot.name).copied().unwrap_or(0));
            let rest = dropped.saturating_sub(explained.get(&slot.name).copied().unwrap_or(0));
            if rest > 0 {
                let message = format!("full: {rest} dropped since the last report, {total} in all");
                found.push(
                    Finding::new(&slot.name, "queue", Level::Warn, message).with("dropped", rest).with("dropped_total", total),
                );
            }
            nodes.insert(Arc::clone(&slot.name), total);
        }
        self.nodes = nodes;
    }

    /// What found no room in shared memory, or was not taken by another process of this host.
    fn outside(&mut self, shared: &Shared, found: &mut Vec<Finding>) {
        let mut outside = BTreeMap::new();
        for topic in shared.topics.read().values() {
            for publisher in &topic.ends.read().publishers {
                let Some(remote) = &publisher.remote else { continue };
                let node = &publisher.slot.name;
                let mut count = |what, total| {
                    let key = (Arc::clone(node), Arc::clone(&topic.name), what);
                    let change = since(total, self.outside.get(&key).copied().unwrap_or(0));
                    outside.insert(key, total);
                    change
                };
                if let Some(memory) = remote.memory() {
                    let change = count("fallbacks", memory.fallbacks);
                    let (level, message) = if change > 0 {
                        let message = format!(
                            "{change} samples of {} since the last report found no room in the shared memory of {} KiB and were copied \
                             through the socket, {} in all: listeners hold on to samples longer than the pool has room for; let them go \
                             sooner",
                            topic.name,
                            memory.bytes >> 10,
                            memory.fallbacks
                        );
                        (Level::Warn, message)
                    } else {
                        let message = format!(
                            "pool of {} KiB, {} samples found no room and took another way",
                            memory.bytes >> 10,
                            memory.fallbacks
                        );
                        (Level::Ok, message)
                    };
                    let finding = Finding::new(node, &format!("shared memory {}", topic.name), level, message);
                    found.push(finding.with("pool_bytes", memory.bytes).with("fallbacks", memory.fallbacks));
                }
                let total = remote.dropped();
                let change = count("dropped", total);
                if change > 0 {
                    let message = format!(
                        "{change} samples of {} since the last report not taken by a process of this host, {total} in all: it is stopped \
                         or overloaded",
                        topic.name
                    );
                    let finding = Finding::new(node, &format!("listeners {}", topic.name), Level::Warn, message);
                    found.push(finding.with("dropped", change).with("dropped_total", total));
                }
            }
        }
        self.outside = outside;
    }
}

/// How much a counter has grown; one that is smaller than before began anew.
fn since(now: u64, before: u64) -> u64 {
    if now < before { now } else { now - before }
}
