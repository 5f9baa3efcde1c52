//! One end of a topic in this process: whom it has met at the other side, what came and went, and what is late.

mod frozen;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{QosEvent, QosEventKind, Side};
use crate::diagnostics::Level;
use crate::qos::{Liveliness, Policy, Qos};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::time::Time;

pub(crate) use frozen::FrozenEnd;

/// An end at the other side of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PeerId {
    /// In this process, by [`End::id`].
    Local(u64),
    /// Elsewhere, by its global identity.
    Remote([u8; 16]),
}

/// How the other end fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Matched,
    Incompatible(Policy),
    /// The other type's name.
    OtherType(String),
}

/// A sentence for the log, and of which node. The log is somebody else's code: it is not called while a lock is held.
pub(crate) struct Said(Arc<Slot>, String);

impl Said {
    pub fn say(self, shared: &Shared) {
        shared.write_log(&self.0, Level::Warn, &self.1);
    }
}

struct Peer {
    node: Arc<str>,
    qos: Qos,
    fit: Fit,
    /// Whether it is alive; `None` until it has said so for the first time.
    alive: Option<bool>,
    /// When it last said so.
    asserted: Time,
    /// Number of its last sample; zero if none came.
    sequence: u64,
}

#[derive(Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
struct Totals {
    matched: u64,
    incompatible: u64,
    other_type: u64,
    deadline_missed: u64,
    liveliness_lost: u64,
    lost: u64,
    expired: u64,
    /// Samples not delivered because their publisher does not fit.
    refused: u64,
}

#[derive(Default)]
struct State {
    peers: BTreeMap<PeerId, Peer>,
    totals: Totals,
    reported: Totals,
    /// When the last sample came or went, or the last deadline passed.
    sampled: Option<Time>,
    /// Publisher: when it last said that it is alive; `None` until then and after it was lost.
    asserted: Option<Time>,
}

impl State {
    fn count(&self, counts: impl Fn(&Peer) -> bool) -> u64 {
        self.peers.values().filter(|peer| counts(peer)).count() as u64
    }

    fn matched(&self, change: u64, current_change: i64) -> QosEventKind {
        let current = self.count(|peer| peer.fit == Fit::Matched);
        QosEventKind::Matched { total: self.totals.matched, change, current, current_change }
    }

    fn liveliness(&self, alive_change: i64, not_alive_change: i64) -> QosEventKind {
        let (alive, not_alive) = (self.count(|p| p.alive == Some(true)), self.count(|p| p.alive == Some(false)));
        QosEventKind::LivelinessChanged { alive, not_alive, alive_change, not_alive_change }
    }
}

/// What is known about one end of a topic in this process.
pub(crate) struct End {
    pub id: u64,
    pub topic: Arc<str>,
    pub side: Side,
    pub qos: Qos,
    slot: Arc<Slot>,
    generation: u64,
    /// Whether anything depends on time: most ends ask for nothing, and pay nothing.
    timed: AtomicBool,
    state: Mutex<State>,
}

impl End {
    pub fn new(shared: &Shared, slot: &Arc<Slot>, topic: &Arc<str>, side: Side, qos: Qos) -> Arc<Self> {
        let end = Arc::new(Self {
            id: shared.id(),
            topic: Arc::clone(topic),
            side,
            qos,
            slot: Arc::clone(slot),
            generation: slot.generation(),
            timed: AtomicBool::new(false),
            state: Mutex::default(),
        });
        let manual = side == Side::Publisher && qos.liveliness == Liveliness::ManualByTopic && qos.finite_lease().is_some();
        if qos.finite_deadline().is_some() || manual {
            end.watch(shared);
        }
        end
    }

    pub fn node(&self) -> &Arc<str> {
        &self.slot.name
    }

    /// Whether the node is still in the life that declared this end.
    pub fn is_current(&self) -> bool {
        self.generation == self.slot.generation()
    }

    fn watch(self: &Arc<Self>, shared: &Shared) {
        if !self.timed.swap(true, Ordering::AcqRel) {
            shared.timed.lock().push(Arc::downgrade(self));
        }
    }

    fn raise(&self, kinds: impl IntoIterator<Item = QosEventKind>) {
        for kind in kinds {
            self.slot.raise(QosEvent { topic: Arc::clone(&self.topic), side: self.side, kind });
        }
    }

    /// Somebody came to the other side; `other_type` is its type where that differs. Returns what is to be said of it, once the caller holds
    /// no lock.
    #[must_use = "it is to be said"]
    pub fn peer_joined(
        self: &Arc<Self>,
        shared: &Shared,
        id: PeerId,
        node: &Arc<str>,
        qos: Qos,
        other_type: Option<String>,
    ) -> Option<Said> {
        let (offered, requested) = match self.side {
            Side::Publisher => (&self.qos, &qos),
            Side::Subscription => (&qos, &self.qos),
        };
        let fit = match (other_type, offered.incompatible(requested)) {
            (Some(name), _) => Fit::OtherType(name),
            (None, Some(policy)) => Fit::Incompatible(policy),
            (None, None) => Fit::Matched,
        };
        let manual = qos.liveliness == Liveliness::ManualByTopic;
        let hears = self.side == Side::Subscription && fit == Fit::Matched;
        if hears && manual && qos.finite_lease().is_some() {
            self.watch(shared);
        }
        let alive = (hears && !manual).then_some(true);
        let mut events = Vec::new();
        {
            let mut state = self.state.lock();
            let peer = Peer { node: Arc::clone(node), qos, fit: fit.clone(), alive, asserted: shared.now(), sequence: 0 };
            if state.peers.insert(id, peer).is_some() {
                return None;
            }
            match &fit {
                Fit::Matched => {
                    state.totals.matched += 1;
                    events.push(state.matched(1, 1));
                    if alive.is_some() {
                        events.push(state.liveliness(1, 0));
                    }
                }
                Fit::Incompatible(policy) => {
                    state.totals.incompatible += 1;
                    let (total, policy, peer) = (state.totals.incompatible, *policy, Arc::clone(node));
                    events.push(QosEventKind::IncompatibleQos { total, change: 1, policy, peer });
                }
                Fit::OtherType(_) => {
                    state.totals.other_type += 1;
                    let (total, peer) = (state.totals.other_type, Arc::clone(node));
                    events.push(QosEventKind::IncompatibleType { total, change: 1, peer });
                }
            }
        }
        self.raise(events);
        // Said once for each pair, by the subscription if both ends are here.
        let elsewhere = matches!(id, PeerId::Remote(_));
        (fit != Fit::Matched && (elsewhere || self.side == Side::Subscription)).then(|| {
            let why = self.misfit(node, &qos, &fit);
            Said(Arc::clone(&self.slot), format!("{}: {why}", self.topic))
        })
    }

    /// Somebody left the other side.
    pub fn peer_left(&self, id: PeerId) {
        let mut events = Vec::new();
        {
            let mut state = self.state.lock();
            let Some(peer) = state.peers.remove(&id) else { return };
            if peer.fit == Fit::Matched {
                events.push(state.matched(0, -1));
            }
            match peer.alive {
                Some(true) => events.push(state.liveliness(-1, 0)),
                Some(false) => events.push(state.liveliness(0, -1)),
                None => {}
            }
        }
        self.raise(events);
    }

    /// How many fitting ends there are at the other side.
    pub fn matched(&self) -> usize {
        self.state.lock().count(|peer| peer.fit == Fit::Matched) as usize
    }

    /// A sample went out at `now`.
    pub fn published(&self, now: Time) {
        if self.timed.load(Ordering::Acquire) {
            let mut state = self.state.lock();
            state.sampled = Some(now);
            state.asserted = Some(now);
        }
    }

    /// The publisher says that it is alive.
    pub fn asserted(&self, now: Time) {
        self.state.lock().asserted = Some(now);
    }

    /// A sample of `peer` came at `now`; whether it may be delivered. `sequence` is a remote publisher's count.
    pub fn arrived(&self, peer: PeerId, now: Time, sequence: Option<u64>) -> bool {
        let mut events = Vec::new();
        let mut missing = 0;
        {
            let mut state = self.state.lock();
            if let Some(found) = state.peers.get_mut(&peer) {
                if found.fit != Fit::Matched {
                    state.totals.refused += 1;
                    return false;
                }
                if let Some(sequence) = sequence {
                    // What a late joiner is given of the past begins anywhere, and comes again after a reconnection.
                    if found.sequence > 0 {
                        missing = sequence.saturating_sub(found.sequence + 1);
                    }
                    found.sequence = found.sequence.max(sequence);
                }
                events.extend(alive(&mut state, peer, now));
            }
            state.totals.lost += missing;
            state.sampled = Some(now);
        }
        self.raise(events);
        if missing > 0 {
            self.slot.lost(&self.topic, missing);
        }
        true
    }

    /// A sample of another process came and goes no further.
    pub fn passed_over(&self, peer: PeerId, sequence: u64) {
        if let Some(found) = self.state.lock().peers.get_mut(&peer)
            && sequence == found.sequence + 1
        {
            found.sequence = sequence;
        }
    }

    /// Whether samples need not be looked at one by one.
    pub fn is_plain(&self) -> bool {
        !self.timed.load(Ordering::Acquire)
    }

    /// The publisher `peer` has said that it is alive.
    pub fn peer_asserted(&self, peer: PeerId, now: Time) {
        let event = alive(&mut self.state.lock(), peer, now);
        self.raise(event);
    }

    /// The quality of service of a publisher at the other side, if it is known.
    pub fn peer_qos(&self, peer: PeerId) -> Option<Qos> {
        self.state.lock().peers.get(&peer).map(|peer| peer.qos)
    }

    /// A sample was older than its publisher allows.
    pub fn expired(&self) {
        self.state.lock().totals.expired += 1;
    }

    /// Looks for deadlines and leases that have passed.
    pub fn check(&self, now: Time) {
        let mut events = Vec::new();
        {
            let mut state = self.state.lock();
            if let (Some(deadline), Some(last)) = (self.qos.finite_deadline(), state.sampled)
                && now > last + deadline
            {
                // The first period ends one deadline after the last sample; each that has ended counts.
                let period = deadline.as_nanos().max(1);
                let gap = u128::try_from(now.as_nanos() - last.as_nanos()).unwrap_or(0);
                let change = u64::try_from((gap - 1) / period).unwrap_or(u64::MAX);
                state.sampled = Some(Time::from_nanos(last.as_nanos().saturating_add((period * u128::from(change)) as i64)));
                state.totals.deadline_missed += change;
                events.push(QosEventKind::DeadlineMissed { total: state.totals.deadline_missed, change });
            }
            match self.side {
                Side::Publisher if self.qos.liveliness == Liveliness::ManualByTopic => {
                    if let (Some(lease), Some(last)) = (self.qos.finite_lease(), state.asserted)
                        && now > last + lease
                    {
                        state.asserted = None;
                        state.totals.liveliness_lost += 1;
                        events.push(QosEventKind::LivelinessLost { total: state.totals.liveliness_lost, change: 1 });
                    }
                }
                Side::Publisher => {}
                Side::Subscription => {
                    let mut gone = 0;
                    for peer in state.peers.values_mut() {
                        let manual = peer.qos.liveliness == Liveliness::ManualByTopic && peer.alive == Some(true);
                        if manual && peer.qos.finite_lease().is_some_and(|lease| now > peer.asserted + lease) {
                            peer.alive = Some(false);
                            gone += 1;
                        }
                    }
                    if gone > 0 {
                        events.push(state.liveliness(-gone, gone));
                    }
                }
            }
        }
        self.raise(events);
    }

    fn misfit(&self, peer: &str, qos: &Qos, fit: &Fit) -> String {
        let (publisher, subscriber, offered, requested) = match self.side {
            Side::Publisher => (&*self.slot.name, peer, &self.qos, qos),
            Side::Subscription => (peer, &*self.slot.name, qos, &self.qos),
        };
        let why = match fit {
            Fit::OtherType(name) => format!("{peer} uses the topic with {name}; nothing travels between them"),
            _ => offered.incompatibility(requested).unwrap_or_default(),
        };
        format!("{publisher} to {subscriber}: {why}")
    }

    /// Ends at the other side that do not fit, a sentence each; of two ends in this process the subscription says it.
    pub fn misfits(&self) -> Vec<String> {
        self.misfits_in(&self.state.lock()).collect()
    }

    fn misfits_in<'a>(&'a self, state: &'a State) -> impl Iterator<Item = String> + 'a {
        let speaks = |id: &PeerId| self.side == Side::Subscription || matches!(id, PeerId::Remote(_));
        let misfits = state.peers.iter().filter(move |(id, peer)| peer.fit != Fit::Matched && speaks(id));
        misfits.map(|(_, peer)| self.misfit(&peer.node, &peer.qos, &peer.fit))
    }

    /// What is wrong between this end and others for as long as it lasts, in sentences, with the identity of an end elsewhere.
    pub fn standing(&self) -> Vec<(Level, String, Option<[u8; 16]>)> {
        let state = self.state.lock();
        let speaks = |id: &PeerId| self.side == Side::Subscription || matches!(id, PeerId::Remote(_));
        let mut said = Vec::new();
        for (id, peer) in &state.peers {
            let remote = if let PeerId::Remote(gid) = id { Some(*gid) } else { None };
            if peer.fit != Fit::Matched && speaks(id) {
                let advice = match &peer.fit {
                    Fit::Incompatible(policy) => format!("; {}", advice(*policy)),
                    Fit::OtherType(_) | Fit::Matched => String::new(),
                };
                said.push((Level::Error, format!("{}{advice}", self.misfit(&peer.node, &peer.qos, &peer.fit)), remote));
            }
            if peer.alive == Some(false) {
                said.push((Level::Warn, format!("{} hears that {} is not alive any more", self.slot.name, peer.node), remote));
            }
        }
        said
    }

    /// What has happened to this end, in sentences; counts are since the last call and in all.
    pub fn sentences(&self) -> Vec<(Level, String)> {
        let mut state = self.state.lock();
        let mut said = Vec::new();
        let (now, before) = (state.totals, state.reported);
        let what = match self.side {
            Side::Publisher => "published nothing",
            Side::Subscription => "received nothing",
        };
        let deadline = self.qos.finite_deadline().unwrap_or_default();
        let lease = self.qos.finite_lease().unwrap_or_default();
        for (now, before, sentence) in [
            (now.deadline_missed, before.deadline_missed, format!("{what} for its deadline of {deadline:?}")),
            (now.liveliness_lost, before.liveliness_lost, format!("did not say within its lease of {lease:?} that it is alive")),
            (now.lost, before.lost, "missed samples of other processes".to_owned()),
            (now.expired, before.expired, "was too slow for samples, which were over their lifespan".to_owned()),
            (now.refused, before.refused, "did not take samples of publishers that do not fit".to_owned()),
        ] {
            if now > before {
                let times = format!("{} since the last report, {now} in all", now - before);
                said.push((Level::Warn, format!("{} {sentence}: {times}", self.slot.name)));
            }
        }
        state.reported = now;
        said
    }
}

/// What to do about a policy over which two ends do not match.
fn advice(policy: Policy) -> &'static str {
    match policy {
        Policy::Reliability => "let the publisher offer reliable or the subscription ask for best effort",
        Policy::Durability => "let the publisher offer transient local or the subscription ask for volatile",
        Policy::Deadline => "let the publisher promise a shorter deadline or the subscription ask for a longer one",
        Policy::Liveliness => "let both have the same kind of liveliness",
        Policy::LivelinessLease => "let the publisher promise a shorter lease or the subscription ask for a longer one",
    }
}

/// Notes that a publisher is alive; an event if it was not.
fn alive(state: &mut State, id: PeerId, now: Time) -> Option<QosEventKind> {
    let peer = state.peers.get_mut(&id)?;
    peer.asserted = now;
    if peer.fit != Fit::Matched || peer.alive == Some(true) {
        return None;
    }
    let was = peer.alive.replace(true);
    Some(state.liveliness(1, if was == Some(false) { -1 } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, GraphConfig, silent_sink};
    use std::time::Duration;

    fn at(ms: i64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn every_period_without_a_sample_counts_and_a_clock_that_is_set_back_misses_none() {
        let graph = Graph::new(GraphConfig { log: silent_sink(), ..GraphConfig::default() }).unwrap();
        let shared = graph.shared();
        let slot = Arc::clone(&shared.slots.read()[0]);
        let qos = Qos::reliable(1).deadline(Duration::from_millis(10));
        let end = End::new(shared, &slot, &Arc::from("/x"), Side::Publisher, qos);
        let missed = || end.state.lock().totals.deadline_missed;
        end.published(at(100));
        end.check(at(110));
        assert_eq!(missed(), 0);
        end.check(at(145));
        assert_eq!(missed(), 4, "at 110, 120, 130 and 140");
        end.check(at(150));
        assert_eq!(missed(), 4);
        end.check(at(151));
        assert_eq!(missed(), 5);
        end.published(at(500));
        end.check(at(50));
        assert_eq!(missed(), 5);
        let said = end.sentences();
        assert_eq!(said.len(), 1);
        assert!(said[0].1.ends_with("published nothing for its deadline of 10ms: 5 since the last report, 5 in all"), "{said:?}");
        assert!(end.sentences().is_empty(), "once");
    }

    #[test]
    fn gaps_are_counted_from_the_first_sample_that_came_and_strangers_pass() {
        let graph = Graph::new(GraphConfig { log: silent_sink(), ..GraphConfig::default() }).unwrap();
        let shared = graph.shared();
        let slot = Arc::clone(&shared.slots.read()[0]);
        let end = End::new(shared, &slot, &Arc::from("/x"), Side::Subscription, Qos::reliable(1));
        let (known, unknown, weak) = (PeerId::Remote([1; 16]), PeerId::Remote([2; 16]), PeerId::Remote([3; 16]));
        assert!(end.peer_joined(shared, known, &Arc::from("/a"), Qos::reliable(1), None).is_none());
        assert!(end.peer_joined(shared, weak, &Arc::from("/b"), Qos::sensor_data(), None).is_some());
        assert_eq!(end.matched(), 1);
        for sequence in [7, 8, 11, 9, 12] {
            assert!(end.arrived(known, at(1), Some(sequence)));
        }
        assert!(end.arrived(unknown, at(1), Some(1)) && end.arrived(unknown, at(1), Some(100)));
        assert!(!end.arrived(weak, at(1), Some(1)));
        let totals = end.state.lock().totals;
        assert_eq!((totals.lost, totals.refused), (2, 1));
        end.peer_left(known);
        assert_eq!(end.matched(), 0);
    }
}
