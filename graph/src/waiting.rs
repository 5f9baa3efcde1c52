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
                Some(subscriber) => subscriber.overrun(arrival),
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

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// All that waits, in the order in which it came.
    pub fn take(&mut self) -> impl Iterator<Item = Outside> + use<> {
        self.lines.clear();
        std::mem::take(&mut self.items).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qos::Qos;
    use crate::topic::SubscriberCore;
    use crate::transport::RemoteSample;
    use crate::{Graph, GraphConfig, Time, silent_sink};
    use msgs::std_msgs::msg::Int64;
    use msgs::{Bytes, Message};

    #[test]
    fn a_graph_that_stands_still_keeps_of_each_queue_what_it_takes_in_the_order_in_which_it_came() {
        let graph = Graph::new(GraphConfig { log: silent_sink(), ..GraphConfig::default() }).unwrap();
        let shared = graph.shared();
        let slot = shared.slot(0).unwrap();
        let topic = shared.topic("/numbers", Int64::message_type(), "test").unwrap();
        let subscriber = |depth| SubscriberCore::of(shared, &slot, &topic, slot.open_port(depth), Qos::reliable(depth));
        let (short, long) = (subscriber(2), subscriber(4));
        let sample = |sequence| RemoteSample {
            payload: Bytes::new(),
            source_time: Time::ZERO,
            sequence,
            gid: [1; 16],
            age: None,
            carrier: ("network", 1),
        };
        for sequence in 1..=3000 {
            let message = Arc::new(Int64 { data: sequence });
            for to in [&short, &long] {
                shared.receive(Arrival::new(&topic, to, message.clone(), &sample(sequence)));
            }
            shared.receive(Arrival::overheard(&topic, message, &sample(sequence), (Qos::reliable(1), 7)));
        }
        shared.remote_news(RemoteChange::NodeJoined(Arc::from("/far"), [2; 16]));
        let waiting: Vec<_> = shared.outside.lock().take().collect();
        assert_eq!(waiting.len(), 2 + 4 + FOR_TAPS + 1);
        let of = |to: Option<&Arc<SubscriberCore>>| -> Vec<u64> {
            let arrivals =
                waiting.iter().filter_map(|outside| if let Outside::Sample(arrival) = outside { Some(arrival) } else { None });
            let mine = arrivals.filter(|arrival| arrival.subscriber.as_ref().map(|s| s.end.id) == to.map(|s| s.end.id));
            mine.map(|arrival| arrival.sequence).collect()
        };
        assert_eq!(of(Some(&short)), [2999, 3000]);
        assert_eq!(of(Some(&long)), [2997, 2998, 2999, 3000]);
        assert_eq!(of(None), (2001..=3000).collect::<Vec<_>>());
        assert!(matches!(waiting.last(), Some(Outside::Remote(_))));
        // Nothing is lost in silence.
        let dropped = |subscriber: &SubscriberCore| subscriber.edges()[0].stats.dropped.load(Ordering::Relaxed);
        assert_eq!((dropped(&short), dropped(&long), topic.heard.overruns()), (2998, 2996, 2000));
    }
}
