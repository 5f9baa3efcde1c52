//! What a transient-local publisher sent before a subscription heard of it, in order and whole.
//!
//! zenoh-ext 1.10.2 asks a publisher that is new for its history, but may hand over one of its samples while that is on the way, and
//! drops what comes later as old (`advanced_subscriber.rs`, `handle_sample`: only the first query of all holds samples back). So the
//! samples of a publisher of which the first one heard is not its first are held here until it was asked once more. (Numbers are `u32` and start
//! again after 4 billion samples; a history across that is handed over in the wrong order.)

use crate::order::Recent;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};
use std::time::Duration;
use zenoh::Wait;
use zenoh::key_expr::KeyExpr;
use zenoh::query::{ConsolidationMode, QueryTarget, ReplyKeyExpr};
use zenoh::sample::{Locality, Sample};
use zenoh::session::EntityGlobalId;

/// How long samples are held for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a publisher.
enum Source<S> {
    /// It was asked; its samples by number.
    Asked(BTreeMap<u32, S>),
    /// Everything up to this number was handed over.
    Had(u32),
}

/// What a sample is good for.
#[derive(Debug, PartialEq)]
enum Due<S> {
    /// It is the next one.
    Now(S),
    /// It is held; its publisher is to be asked.
    AfterAsking,
    /// It is held, or was handed over before.
    No,
}

/// The publishers of a subscription, which number their samples from zero.
struct Sources<K, S> {
    depth: usize,
    known: Recent<K, Source<S>>,
}

impl<K: Hash + Eq + Clone, S> Sources<K, S> {
    fn new(depth: usize) -> Self {
        Self { depth, known: Recent::default() }
    }

    fn came(&mut self, from: &K, number: u32, sample: S) -> Due<S> {
        match self.known.get(from) {
            Some(Source::Asked(held)) => {
                held.insert(number, sample);
                // A queue of the subscription's depth would keep no more.
                if held.len() > self.depth {
                    held.pop_first();
                }
                Due::No
            }
            // Numbers start again after the last one.
            Some(Source::Had(last)) if number.wrapping_sub(*last).cast_signed() <= 0 => Due::No,
            None if number > 0 => {
                self.known.insert(from.clone(), Source::Asked(BTreeMap::from([(number, sample)])));
                Due::AfterAsking
            }
            _ => {
                self.known.insert(from.clone(), Source::Had(number));
                Due::Now(sample)
            }
        }
    }

    /// The answer is complete: what was held, in order.
    fn answered(&mut self, from: &K) -> impl Iterator<Item = S> + use<K, S> {
        let held = match self.known.get(from) {
            Some(Source::Asked(held)) => std::mem::take(held),
            _ => BTreeMap::new(),
        };
        if let Some((last, _)) = held.last_key_value() {
            self.known.insert(from.clone(), Source::Had(*last));
        }
        held.into_values()
    }
}

/// Hands over the samples of a subscription.
pub(crate) struct Whole<F> {
    session: zenoh::Session,
    key: KeyExpr<'static>,
    from: Locality,
    sources: Mutex<Sources<EntityGlobalId, Sample>>,
    callback: F,
}

impl<F: Fn(Sample) + Send + Sync + 'static> Whole<F> {
    pub fn new(session: zenoh::Session, key: KeyExpr<'static>, depth: usize, from: Locality, callback: F) -> Arc<Self> {
        Arc::new(Self { session, key, from, sources: Mutex::new(Sources::new(depth)), callback })
    }

    /// A sample came, in the order in which zenoh-ext has it.
    pub fn came(self: &Arc<Self>, sample: Sample) {
        // Without numbers zenoh-ext goes by time stamps, and waits.
        let Some((from, number)) = sample.source_info().map(|info| (*info.source_id(), info.source_sn())) else {
            return (self.callback)(sample);
        };
        let mut sources = self.sources.lock();
        match sources.came(&from, number, sample) {
            Due::Now(sample) => (self.callback)(sample),
            Due::No => {}
            Due::AfterAsking => {
                drop(sources);
                self.ask(from);
            }
        }
    }

    fn ask(self: &Arc<Self>, from: EntityGlobalId) {
        let depth = self.sources.lock().depth;
        let selector = format!("{}/@adv/pub/{}/{}/**?_max={depth}", self.key, from.zid(), from.eid());
        let answer = Answer { to: Arc::downgrade(self), from };
        let keep = move |reply: zenoh::query::Reply| {
            if let (Ok(sample), Some(to)) = (reply.into_result(), answer.to.upgrade())
                && let Some(info) = sample.source_info().filter(|info| *info.source_id() == answer.from)
            {
                let number = info.source_sn();
                to.sources.lock().came(&answer.from, number, sample);
            }
        };
        let query = self.session.get(selector).callback(keep).allowed_destination(self.from).target(QueryTarget::All);
        let query = query.consolidation(ConsolidationMode::None).accept_replies(ReplyKeyExpr::Any).timeout(PATIENCE);
        // If it cannot be asked, the answer is over at once.
        let _ = query.wait();
    }
}

/// An answer on its way; complete when Zenoh lets go of it.
struct Answer<F: Fn(Sample) + Send + Sync + 'static> {
    to: Weak<Whole<F>>,
    from: EntityGlobalId,
}

impl<F: Fn(Sample) + Send + Sync + 'static> Drop for Answer<F> {
    fn drop(&mut self) {
        // The subscription may be over.
        if let Some(to) = self.to.upgrade() {
            let mut sources = to.sources.lock();
            sources.answered(&self.from).for_each(&to.callback);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources<&'static str, u32> {
        Sources::new(3)
    }

    #[test]
    fn a_publisher_that_is_heard_from_its_first_sample_on_is_not_asked() {
        let mut sources = sources();
        assert_eq!([0, 1, 1, 3, 2].map(|n| sources.came(&"a", n, n)), [Due::Now(0), Due::Now(1), Due::No, Due::Now(3), Due::No]);
        assert_eq!(sources.answered(&"a").count(), 0);
    }

    #[test]
    fn what_overtakes_its_history_waits_for_it_and_nothing_comes_twice() {
        let mut sources = sources();
        assert_eq!(sources.came(&"a", 5, 5), Due::AfterAsking);
        assert_eq!(sources.came(&"b", 0, 0), Due::Now(0), "others do not wait");
        assert_eq!([4, 3, 4, 5].map(|n| sources.came(&"a", n, n)), [Due::No, Due::No, Due::No, Due::No]);
        assert_eq!(sources.answered(&"a").collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!([4, 5, 6].map(|n| sources.came(&"a", n, n)), [Due::No, Due::No, Due::Now(6)]);
    }

    #[test]
    fn no_more_is_held_than_the_subscription_keeps() {
        let mut sources = sources();
        assert_eq!(sources.came(&"a", 9, 9), Due::AfterAsking);
        (3..15).for_each(|n| assert_eq!(sources.came(&"a", n, n), Due::No));
        assert_eq!(sources.answered(&"a").collect::<Vec<_>>(), [12, 13, 14]);
    }

    #[test]
    fn numbers_start_again_after_the_last() {
        let mut sources = sources();
        assert_eq!(sources.came(&"a", u32::MAX - 1, 1), Due::AfterAsking);
        assert_eq!(sources.answered(&"a").collect::<Vec<_>>(), [1]);
        assert_eq!(
            [u32::MAX, 0, u32::MAX, 1].map(|n| sources.came(&"a", n, 7)),
            [Due::Now(7), Due::Now(7), Due::No, Due::Now(7)]
        );
    }
}
