//! The player in snapshots of its graph: where in the recording it stands, which answers it owes, and what it has compared.
//!
//! The recording is not in it. A player that goes on finds its place by the recording's index, without reading what comes before.

use std::collections::VecDeque;

use bags::{Bag, ReadAhead};
use graph::snapshot::{pack, unpack};
use graph::{Context, FreezeError, FrozenReply, HandlerResult, NodeError, RawResponder};
use serde::{Deserialize, Serialize};

use crate::node::Player;
use crate::replay::Compared;
use crate::timeline::Timeline;

/// How far a recording has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Where it was begun, ns.
    from_ns: u64,
    /// Time of the message that was read last, ns.
    at_ns: u64,
    /// How many of that time have been read.
    count: u64,
    /// A message came that was older than the one before: no place in time is one in the recording then.
    disordered: bool,
}

impl Place {
    pub fn begin(from_ns: u64) -> Self {
        Self { from_ns, ..Self::default() }
    }

    /// The next message was read.
    pub fn read(&mut self, log_ns: u64) {
        if self.count > 0 && log_ns < self.at_ns {
            self.disordered = true;
        }
        if self.count == 0 || log_ns != self.at_ns {
            (self.at_ns, self.count) = (log_ns, 0);
        }
        self.count += 1;
    }
}

/// What tells one recording from another, wherever it lies.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    start_ns: u64,
    end_ns: u64,
    messages: u64,
    channels: Vec<(String, String, u64)>,
}

impl Identity {
    fn of(bag: &Bag) -> Self {
        let channels = bag.channels.iter().map(|c| (c.topic.clone(), c.message_type.clone(), c.messages)).collect();
        Self { start_ns: bag.start_ns, end_ns: bag.end_ns, messages: bag.messages, channels }
    }
}

/// By channel of answers: who waits.
type Owed = Vec<(usize, Vec<FrozenReply>)>;

#[derive(Serialize, Deserialize)]
struct FrozenReplay {
    compared: Compared,
    waiting: Owed,
    unanswered: Vec<FrozenReply>,
    moment_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct State {
    recording: Identity,
    timeline: Timeline,
    asked_rate: f64,
    /// `None` if it is over; and whether the message that was read last is still to be played.
    place: Option<(Place, bool)>,
    played: u64,
    skipped: u64,
    replay: Option<FrozenReplay>,
}

fn owed<'a>(responders: impl IntoIterator<Item = &'a RawResponder>) -> Result<Vec<FrozenReply>, FreezeError> {
    let local = |responder: &RawResponder| {
        responder.freeze().ok_or_else(|| FreezeError::Now("another process waits for an answer of the recording".into()))
    };
    responders.into_iter().map(local).collect()
}

fn thaw<C: FromIterator<RawResponder>>(ctx: &Context, replies: Vec<FrozenReply>) -> Result<C, NodeError> {
    replies.into_iter().map(|reply| reply.thaw(ctx)).collect()
}

impl Player {
    pub(crate) fn frozen(&self) -> Result<Vec<u8>, FreezeError> {
        if self.place.disordered {
            return Err(FreezeError::Now("its recording is not in the order of time".into()));
        }
        let replay = self.replay.as_ref().map(|replay| {
            let waiting = replay.waiting.iter().map(|(channel, waiting)| Ok((*channel, owed(waiting)?)));
            Ok(FrozenReplay {
                compared: replay.comparison.freeze(),
                waiting: waiting.collect::<Result<_, FreezeError>>()?,
                unanswered: owed(&replay.unanswered)?,
                moment_ns: replay.moment_ns,
            })
        });
        pack(&State {
            recording: Identity::of(&self.bag),
            timeline: self.timeline.clone(),
            asked_rate: self.asked_rate,
            place: self.source.as_ref().map(|_| (self.place, self.next.is_some())),
            played: self.played,
            skipped: self.skipped,
            replay: replay.transpose()?,
        })
    }

    pub(crate) fn take_up(&mut self, ctx: &Context, state: &[u8]) -> HandlerResult {
        let state: State = unpack(state)?;
        if state.recording != Identity::of(&self.bag) {
            return Err(NodeError::new(format!("{} is another recording than the one it played", self.bag.path.display())));
        }
        (self.timeline, self.asked_rate) = (state.timeline, state.asked_rate);
        (self.played, self.skipped) = (state.played, state.skipped);
        match (&mut self.replay, state.replay) {
            (Some(replay), Some(frozen)) => {
                if !replay.comparison.thaw(frozen.compared) {
                    return Err(NodeError::new("it compared other topics"));
                }
                for (channel, waiting) in frozen.waiting {
                    let known = replay.waiting.get_mut(&channel);
                    let known = known.ok_or_else(|| NodeError::new(format!("channel {channel} has no answers")))?;
                    *known = thaw::<VecDeque<_>>(ctx, waiting)?;
                }
                replay.unanswered = thaw(ctx, frozen.unanswered)?;
                replay.moment_ns = frozen.moment_ns;
            }
            (None, None) => {}
            _ => return Err(NodeError::new("only one of the two runs is a replay")),
        }
        match state.place {
            Some((place, has_next)) => self.find(place, has_next),
            None => {
                self.source = None;
                Ok(())
            }
        }
    }

    /// Stands again where it stood.
    fn find(&mut self, place: Place, has_next: bool) -> HandlerResult {
        let from_ns = if place.count == 0 { place.from_ns } else { place.at_ns };
        let mut source = ReadAhead::new(&self.bag, from_ns, self.read_ahead);
        self.next = None;
        for number in 1..=place.count {
            let message = source.next_message()?.filter(|message| message.log_ns == place.at_ns);
            let message = message.ok_or_else(|| NodeError::new("the recording does not have what was read of it"))?;
            if number == place.count && has_next {
                self.next = Some(message);
            }
        }
        (self.source, self.place) = (Some(source), place);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_time_and_how_many_of_it() {
        let mut place = Place::begin(3);
        for (log_ns, at_ns, count) in [(5, 5, 1), (5, 5, 2), (9, 9, 1), (9, 9, 2), (9, 9, 3)] {
            place.read(log_ns);
            assert_eq!((place.at_ns, place.count, place.disordered), (at_ns, count, false));
        }
        place.read(8);
        assert!(place.disordered);
        let mut zero = Place::default();
        zero.read(0);
        assert_eq!(zero.count, 1);
    }
}
