//! A publisher's ways to the neighbours on its host.

use crate::attachment::Gid;
use crate::neighbours::Neighbours;
use carrier::{EdgeId, INLINE, Link, Placed, Pool, Refusal};
use msgs::cdr::Pieces;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use zenoh::key_expr::KeyExpr;

/// When nothing of what went over Zenoh was confirmed for so long, it was lost, or the listener is stopped.
const LOST: Duration = Duration::from_secs(1);

/// How the last sample went, for the graph's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Way {
    /// Over Zenoh alone.
    #[default]
    Zenoh,
    /// Through the neighbours' queues.
    Inline,
    /// Copied into shared memory once.
    Placed,
    /// Made in shared memory.
    Lent,
}

/// Samples that went over Zenoh instead: until the last one is known to have arrived, the next ones take the same way.
#[derive(Clone, Copy)]
struct Detour {
    last: i64,
    /// What was known to have arrived when it was looked at, and since when it is no more than that.
    seen: i64,
    since: Instant,
}

/// What a publisher may lose on the way to a listener that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Best effort: what finds the queue full.
    Full,
    /// Reliable: what finds the queue full of a listener that takes nothing any more.
    Stuck,
    /// Reliable, and all of it is to be kept: nothing.
    Nothing,
}

impl Loss {
    fn allows(self, refusal: Refusal) -> bool {
        match refusal {
            Refusal::Full => self == Self::Full,
            Refusal::Stuck => self != Self::Nothing,
            Refusal::NotReady | Refusal::Gone => false,
        }
    }
}

/// The way to one neighbour.
struct Edge {
    link: Arc<Link>,
    id: EdgeId,
    detour: Option<Detour>,
}

impl Edge {
    fn is_open(&mut self, loss: Loss) -> bool {
        if !self.link.is_ready(self.id) {
            return false;
        }
        if let Some(detour) = &mut self.detour {
            let seen = self.link.seen_elsewhere(self.id);
            if seen > detour.seen {
                (detour.seen, detour.since) = (seen, Instant::now());
            }
            // Where nothing may be lost nothing was: it is only late.
            if seen >= detour.last || loss != Loss::Nothing && detour.since.elapsed() > LOST {
                self.detour = None;
            }
        }
        self.detour.is_none()
    }

    /// A sample goes over Zenoh.
    fn detour(&mut self, sequence: i64) {
        match &mut self.detour {
            Some(detour) => detour.last = sequence,
            None => self.detour = Some(Detour { last: sequence, seen: 0, since: Instant::now() }),
        }
    }
}

/// Why the last sample that went over Zenoh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Why {
    #[default]
    NoNeighbour,
    Others,
    Settling,
    NoRoom,
    Refused(Refusal),
}

impl Why {
    /// In a sentence.
    pub fn sentence(self) -> String {
        match self {
            Self::NoNeighbour => "no listener of this host takes shared memory".into(),
            Self::Others => "somebody listens too, or may, who is outside this host or says nothing by a token".into(),
            Self::Settling => "the listeners are being looked up".into(),
            Self::NoRoom => "the shared memory is full of samples that listeners hold".into(),
            Self::Refused(refusal) => refusal.to_string(),
        }
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Edges {
    edges: Vec<Edge>,
    topology: u64,
    others: bool,
    unsettled: bool,
    /// The last sample that went over Zenoh; 0: none.
    zenoh: i64,
    report: Report,
}

/// How it goes, for the graph's report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Report {
    pub way: Way,
    pub why: Why,
    /// Whether the last sample went over Zenoh.
    pub over_zenoh: bool,
    /// Whether the last sample was mostly byte sequences.
    pub in_bytes: bool,
    /// Samples that found no room in shared memory.
    pub unplaced: u64,
    /// Samples that a listener did not take.
    pub dropped: u64,
}

impl Report {
    /// Whether the last sample went over Zenoh, alone or too.
    pub fn went_over_zenoh(&self) -> bool {
        self.way == Way::Zenoh || self.over_zenoh
    }
}

impl Edges {
    /// Looks up who listens, if that has changed.
    pub fn refresh(&mut self, neighbours: &Neighbours, key: &KeyExpr<'_>, gid: Gid, declared: Instant) {
        let topology = neighbours.topology();
        // A listener that ended may not have said so.
        if topology == self.topology && !self.unsettled && !self.edges.iter().any(|edge| edge.link.is_gone()) {
            return;
        }
        self.topology = topology;
        let reach = neighbours.reach(key, declared);
        let had = self.any();
        let (kept, over): (Vec<Edge>, Vec<Edge>) = std::mem::take(&mut self.edges)
            .into_iter()
            .partition(|edge| !edge.link.is_gone() && reach.links.iter().any(|link| Arc::ptr_eq(link, &edge.link)));
        over.iter().for_each(|edge| edge.link.remove_edge(edge.id));
        self.edges = kept;
        for link in reach.links {
            if self.edges.iter().any(|edge| Arc::ptr_eq(&link, &edge.link)) {
                continue;
            }
            if let Some(id) = link.add_edge(gid, key.as_str()) {
                let mut edge = Edge { link, id, detour: None };
                if self.zenoh > 0 {
                    edge.detour(self.zenoh);
                }
                self.edges.push(edge);
            } else {
                // Told again with the next sample.
                self.topology = 0;
            }
        }
        match (had, self.any()) {
            (false, true) => drop(neighbours.choosing.fetch_add(1, Ordering::AcqRel)),
            (true, false) => drop(neighbours.choosing.fetch_sub(1, Ordering::AcqRel)),
            _ => {}
        }
        (self.others, self.unsettled) = (reach.others, reach.unsettled);
        if self.unsettled {
            neighbours.look_soon();
        }
    }

    /// How it went so far.
    pub fn report(&self) -> Report {
        self.report
    }

    /// Whether a neighbour listens.
    pub fn any(&self) -> bool {
        !self.edges.is_empty()
    }

    /// Sends to the neighbours. Returns whether the sample has to go over Zenoh too.
    pub fn send(&mut self, neighbours: &Neighbours, pool: &Pool, payload: &Pieces, sequence: i64, time: i64, loss: Loss) -> bool {
        self.report.way = Way::Zenoh;
        if self.edges.is_empty() {
            self.report.why = Why::NoNeighbour;
            return true;
        }
        let mut zenoh = self.others || self.unsettled || self.topology == 0;
        if zenoh {
            self.report.why = if self.others { Why::Others } else { Why::Settling };
        }
        let small = payload.len() <= INLINE;
        let mut placed: Option<Option<(Placed, Way)>> = None;
        for edge in &mut self.edges {
            if !edge.is_open(loss) {
                if loss.allows(Refusal::Stuck) && edge.detour.is_some() && edge.link.is_ready(edge.id) && edge.link.is_stuck() {
                    self.report.dropped += 1;
                    neighbours.counts.dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                // One that ended has no other way either, but what takes its place may listen already.
                (zenoh, self.report.why) = (true, Why::Refused(Refusal::NotReady));
                edge.detour(sequence);
                continue;
            }
            let sent = if small {
                self.report.way = Way::Inline;
                let mut pieces = payload.iter();
                match (pieces.next(), pieces.next()) {
                    (Some(one), None) => edge.link.send(edge.id, sequence, time, &[one]),
                    _ => edge.link.send(edge.id, sequence, time, &payload.iter().collect::<Vec<_>>()),
                }
            } else {
                match placed.get_or_insert_with(|| place(pool, payload)) {
                    Some((placed, way)) => {
                        self.report.way = *way;
                        edge.link.send_placed(edge.id, sequence, time, placed)
                    }
                    None if edge.link.is_stuck() => Err(Refusal::Stuck),
                    None => {
                        self.report.unplaced += 1;
                        (zenoh, self.report.why) = (true, Why::NoRoom);
                        edge.detour(sequence);
                        continue;
                    }
                }
            };
            match sent {
                Ok(()) => {}
                // Who takes nothing has had its chance: what is to be lost anyway is not sent another way first.
                Err(refusal) if loss.allows(refusal) => {
                    self.report.dropped += 1;
                    neighbours.counts.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Err(refusal) => {
                    (zenoh, self.report.why) = (true, Why::Refused(refusal));
                    edge.detour(sequence);
                }
            }
        }
        if zenoh {
            self.zenoh = sequence;
        }
        self.report.over_zenoh = zenoh;
        self.report.in_bytes = 2 * payload.shared_len() > payload.len();
        zenoh
    }

    /// The publisher ends.
    pub fn close(&mut self, neighbours: &Neighbours) {
        if self.any() {
            neighbours.choosing.fetch_sub(1, Ordering::AcqRel);
        }
        for edge in std::mem::take(&mut self.edges) {
            edge.link.remove_edge(edge.id);
        }
    }
}

/// The sample in shared memory, where it was made or as a copy.
fn place(pool: &Pool, payload: &Pieces) -> Option<(Placed, Way)> {
    if let Some((before, data, after)) = payload.around()
        && let Some(placed) = pool.adopt(before, data, after)
    {
        return Some((placed, Way::Lent));
    }
    pool.place(payload.len(), |bytes| payload.copy_to(bytes)).map(|placed| (placed, Way::Placed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use carrier::Host;

    /// A publisher with a listener that knows it.
    fn to(listener: &Host, neighbours: &Neighbours) -> Edges {
        let link = neighbours.host.link(listener.address()).unwrap();
        let id = link.add_edge([1; 16], "topic").unwrap();
        listener.drain(&mut |_| ());
        Edges { topology: 1, edges: vec![Edge { link, id, detour: None }], ..Edges::default() }
    }

    #[test]
    fn a_full_queue_costs_only_what_may_be_lost_and_a_stopped_listener_what_need_not_be_kept() {
        let payload = Pieces::from(vec![7; 10_000]);
        for (loss, lost_when_full, lost_when_stuck) in
            [(Loss::Full, true, true), (Loss::Stuck, false, true), (Loss::Nothing, false, false)]
        {
            let (Some(neighbours), Ok(listener)) =
                (Neighbours::open(3, Arc::new(crate::live::Live::new("aa".into()))), Host::open())
            else {
                return;
            };
            let pool = neighbours.host.pool();
            let mut edges = to(&listener, &neighbours);
            let mut sequence = 0;
            let mut send = |edges: &mut Edges| {
                sequence += 1;
                let dropped = edges.report.dropped;
                let zenoh = edges.send(&neighbours, &pool, &payload, sequence, 0, loss);
                (edges.report.dropped > dropped, zenoh)
            };
            let mut first = (false, false);
            for _ in 0..200 {
                first = send(&mut edges);
                if first != (false, false) {
                    break;
                }
            }
            // The ring holds about a hundred of them. On a machine that stood still meanwhile the listener counts as stopped already.
            if !edges.edges[0].link.is_stuck() {
                assert_eq!(first, (lost_when_full, !lost_when_full), "{loss:?}");
            }
            while !edges.edges[0].link.is_stuck() {
                std::thread::yield_now();
            }
            assert_eq!(send(&mut edges), (lost_when_stuck, !lost_when_stuck), "{loss:?}");
            // It goes on: what went over Zenoh is confirmed, and the queue is the way again.
            listener.drain(&mut |_| ());
            listener.note_elsewhere(&[1; 16], 1000);
            assert_eq!(send(&mut edges), (false, false), "{loss:?}");
            assert_eq!(edges.report.way, Way::Inline);
        }
    }
}
