//! Snapshots of a graph in lock-step: its whole state as bytes, from which another run goes on as the first one did, byte for byte.
//!
//! With [`crate::GraphConfig::snapshot_every`] the graph publishes one on [`TOPIC`] at every multiple of that time, so that a recorder keeps
//! it like any other message; [`crate::Graph::resume`] takes one up. It is taken between two steps, when all is quiet: nothing is under way then
//! but calls that some node has not answered yet. If something waits (a message from another process, a node that is to be added), it is
//! taken after the next step. A graph that goes on publishes the snapshot that it took up first, as the run that took it did.
//!
//! Each node gives its own state ([`crate::Node::freeze`]); the library adds the clock, timers, parameters, counts, statuses, samples kept for
//! late joiners, the sides of actions, and what the graph's own node remembers. What is measured on the wall clock (latencies, handler times) is
//! measured anew, and what is in other processes has to come anew. One node that cannot be frozen, and there are no snapshots: it is named
//! in a log line. Nodes that only listen ([`crate::Node::WATCHER`]) are left out.
//!
//! If nobody hears them, none are taken.
//!
//! Layout: [`MAGIC`], [`FORMAT`] (u32), the CRC-32 of all that follows (u32), both little-endian; then a version of the program and the state
//! in postcard's format (<https://postcard.jamesmunns.com/wire-format>), messages as CDR. The same state has the same bytes. A snapshot is for
//! the build that made it: states have no description of their own, and another version of the program refuses them.

mod resume;
mod take;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msgs::Message;
use msgs::std_msgs::msg::UInt8MultiArray;
use parking_lot::Mutex;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::diagnostics::Level;
use crate::error::{NodeError, SetupError};
use crate::logger::{self, Severity};
use crate::node::{Node, Setup};
use crate::param::{FrozenParam, ParamValue};
use crate::qos::Qos;
use crate::shared::Shared;
use crate::time::Time;
use crate::topic::PublisherCore;
use crate::topic::frozen::FrozenTopic;

pub(crate) use resume::resume;

/// Where snapshots are published, as std_msgs/UInt8MultiArray: relative to the robot's namespace.
pub const TOPIC: &str = "graph/snapshot";

/// What every snapshot begins with.
pub const MAGIC: [u8; 8] = *b"OMNISNAP";

/// The layout; another one is refused.
pub const FORMAT: u32 = 1;

/// Why a node or a graph is not frozen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FreezeError {
    /// Nodes of its kind have no snapshots.
    #[error("nodes of its kind cannot be frozen")]
    Never,
    /// Not at the moment, and why.
    #[error("{0}")]
    Now(String),
}

/// Why a graph cannot go on from a snapshot. None of them leaves a graph that could be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The graph does not own its time.
    #[error("only a graph in lock-step can go on from a snapshot")]
    FreeRunning,
    /// The bytes are none.
    #[error("this is no snapshot")]
    NoSnapshot,
    /// They were, or it is of a layout of its own.
    #[error("the snapshot cannot be read: {0}")]
    Damaged(String),
    /// Another program made it.
    #[error("the snapshot was made by version {theirs}, this is version {ours}: make one with this program")]
    Version {
        /// Layout and program then.
        theirs: String,
        /// And now.
        ours: String,
    },
    /// The graph is another one.
    #[error("the snapshot is of another graph: {0}")]
    OtherGraph(String),
    /// A node does not take up its state.
    #[error("node `{node}` does not go on from the snapshot: {reason}")]
    Node {
        /// Its name.
        node: String,
        /// Why.
        reason: String,
    },
}

/// State as bytes, in postcard's format: the same for the same state, if it has no container without an order.
///
/// # Errors
/// [`FreezeError::Now`] for what the format cannot hold, such as a sequence of unknown length.
pub fn pack(state: &impl Serialize) -> Result<Vec<u8>, FreezeError> {
    postcard::to_allocvec(state).map_err(|error| FreezeError::Now(format!("its state cannot be written: {error}")))
}

/// The state of bytes that [`pack`] made. Whatever the bytes claim, not more than 1 MiB is taken at a time for what is not there.
///
/// # Errors
/// If they are not the whole of a `T`.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        Ok((_, rest)) => Err(NodeError::new(format!("its state has {} bytes too many", rest.len()))),
        Err(error) => Err(NodeError::new(format!("its state cannot be read: {error}"))),
    }
}

/// Bytes, written at once and not one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes).map(Self)
    }
}

/// A message in a state, as CDR.
#[derive(Clone, Debug, PartialEq)]
pub struct Cdr<M>(pub Arc<M>);

impl<M: Message> Serialize for Cdr<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.to_cdr())
    }
}

impl<'de, M: Message> Deserialize<'de> for Cdr<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Blob(bytes) = Blob::deserialize(deserializer)?;
        M::from_cdr(&bytes).map(|message| Self(Arc::new(message))).map_err(D::Error::custom)
    }
}

/// For serde's `with`: shared bytes.
pub(crate) mod shared_bytes {
    use super::{Blob, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &msgs::Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<msgs::Bytes, D::Error> {
        Blob::deserialize(deserializer).map(|Blob(bytes)| bytes.into())
    }
}

/// State that a node's handlers share and that is no field of the node: a library's between node and graph.
pub trait Part: Send {
    /// As [`Node::freeze`].
    ///
    /// # Errors
    /// As [`Node::freeze`].
    fn freeze(&self) -> Result<Vec<u8>, FreezeError>;

    /// As [`Node::thaw`], which is called afterwards.
    ///
    /// # Errors
    /// Refuse the whole snapshot.
    fn thaw(&self, state: &[u8]) -> Result<(), NodeError>;
}

impl<N: Node> Setup<N> {
    /// Declares state that belongs to a snapshot of the node and is not the node's own.
    pub fn keep(&mut self, part: impl Part + 'static) {
        self.parts.push(Box::new(part));
    }
}

/// A snapshot.
#[derive(Serialize, Deserialize)]
struct Body {
    now: Time,
    step_ns: i64,
    log_threshold: u8,
    /// In the order of the graph.
    nodes: Vec<FrozenNode>,
    /// By name.
    topics: Vec<FrozenTopic>,
}

#[derive(Serialize, Deserialize)]
struct FrozenNode {
    name: String,
    kind: String,
    remaps: BTreeMap<String, String>,
    /// Parameters as the run began.
    given: Vec<(String, ParamValue)>,
    params: Vec<FrozenParam>,
    /// Period, ns, and when it is due.
    timers: Vec<(u64, Time)>,
    statuses: BTreeMap<String, (Level, String)>,
    log_threshold: u8,
    failures: u32,
    last_error: String,
    calls: u64,
    handled: u64,
    dropped: u64,
    restarts: u64,
    losses: Vec<(String, u64)>,
    parts: Vec<Blob>,
    state: Blob,
}

/// The version of the program that the states are of.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

fn encode(body: &Body) -> Result<Vec<u8>, FreezeError> {
    let state = pack(&(PROGRAM, body))?;
    let mut bytes = Vec::with_capacity(state.len() + 16);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&state).to_le_bytes());
    bytes.extend_from_slice(&state);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Body, ResumeError> {
    let damaged = |why: &dyn fmt::Display| ResumeError::Damaged(why.to_string());
    let rest = bytes.strip_prefix(&MAGIC).ok_or(ResumeError::NoSnapshot)?;
    let (format, rest) = rest.split_first_chunk().ok_or_else(|| damaged(&"it is cut off"))?;
    let (crc, state) = rest.split_first_chunk().ok_or_else(|| damaged(&"it is cut off"))?;
    let ours = || format!("{PROGRAM}, format {FORMAT}");
    let format = u32::from_le_bytes(*format);
    if format != FORMAT {
        return Err(ResumeError::Version { theirs: format!("of format {format}"), ours: ours() });
    }
    if crc32fast::hash(state) != u32::from_le_bytes(*crc) {
        return Err(damaged(&"it was cut off or changed: its checksum does not fit"));
    }
    let (program, state) = postcard::take_from_bytes::<String>(state).map_err(|error| damaged(&error))?;
    if program != PROGRAM {
        return Err(ResumeError::Version { theirs: format!("{program}, format {format}"), ours: ours() });
    }
    unpack(state).map_err(|error| damaged(&error))
}

/// What a graph does about snapshots.
#[derive(Default)]
pub(crate) struct Snapshots {
    every: Option<Duration>,
    open_calls: Arc<AtomicUsize>,
    resumed_ns: AtomicI64,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// By node: parameters as the run began.
    given: BTreeMap<Arc<str>, Vec<(String, ParamValue)>>,
    out: Option<Arc<PublisherCore>>,
    /// One is due, and was not quiet enough for.
    owed: bool,
    /// There will be none.
    never: bool,
    /// To be published once more: the one that the run goes on from.
    again: Option<Vec<u8>>,
}

/// A call to another process that is not answered: no snapshot can have it.
pub(crate) struct OpenCall(Arc<AtomicUsize>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Snapshots {
    pub fn every(every: Option<Duration>) -> Self {
        Self { every: every.filter(|every| !every.is_zero()), ..Self::default() }
    }

    pub fn open_call(&self) -> OpenCall {
        self.open_calls.fetch_add(1, Ordering::AcqRel);
        OpenCall(Arc::clone(&self.open_calls))
    }

    /// Graph time at which the run went on, s; zero if it began at the beginning.
    pub fn resumed_at_s(&self) -> f64 {
        Time::from_nanos(self.resumed_ns.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// Whether anybody would get one.
    fn are_heard(&self) -> bool {
        let progress = self.progress.lock();
        let Some(core) = &progress.out else { return false };
        let ends = core.topic.ends.read();
        !ends.taps.is_empty() || !ends.subscribers.is_empty() || core.remote.as_ref().is_some_and(|remote| remote.matched())
    }

    fn is_due(&self, now: Time, step: Duration) -> bool {
        let Some(every) = self.every else { return false };
        let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX);
        let mut progress = self.progress.lock();
        progress.owed |= now.as_nanos().div_euclid(every) != (now - step).as_nanos().div_euclid(every);
        progress.owed && !progress.never
    }
}

/// Declares the publisher, if there are to be snapshots.
pub(crate) fn declare<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    if setup.shared.snapshots.every.is_some() {
        let out = setup.publisher::<UInt8MultiArray>(TOPIC, Qos::reliable(10))?;
        setup.shared.snapshots.progress.lock().out = Some(Arc::clone(out.core()));
    }
    Ok(())
}

/// The run begins: what the nodes were given is noted, and a snapshot from which it goes on is published again.
pub(crate) fn begin(shared: &Arc<Shared>) {
    note_given(shared);
    let again = shared.snapshots.progress.lock().again.take();
    if let Some(bytes) = again {
        publish(shared, bytes);
    }
}

fn note_given(shared: &Shared) {
    let slots = shared.slots.read().clone();
    let mut progress = shared.snapshots.progress.lock();
    for slot in slots {
        let values = || slot.params().values(slot.factory.free);
        progress.given.entry(Arc::clone(&slot.name)).or_insert_with(values);
    }
}

/// A step is over: takes a snapshot if one is due. Returns whether something was published.
pub(crate) fn at_boundary(shared: &Arc<Shared>, step: Duration) -> bool {
    if !shared.snapshots.are_heard() || !shared.snapshots.is_due(shared.now(), step) || shared.stop.is_set() {
        return false;
    }
    let begun = Instant::now();
    match take::take(shared, step) {
        Ok(bytes) => {
            // Shown, and not on /rosout: it is kept there, and how long it took would be in the next snapshot.
            if let Some(slot) = shared.slot(0) {
                let took_ms = begun.elapsed().as_secs_f64() * 1e3;
                shared.write_log(&slot, Level::Ok, &format!("snapshot of {} bytes taken in {took_ms:.1} ms", bytes.len()));
            }
            publish(shared, bytes);
        }
        Err(take::Refusal::Busy) => return false,
        Err(take::Refusal::Never(why)) => {
            shared.snapshots.progress.lock().never = true;
            complain(shared, &format!("no snapshots are taken: {why}"));
        }
        Err(take::Refusal::Now(why)) => complain(shared, &format!("no snapshot at {:.3} s: {why}", shared.now().as_secs_f64())),
    }
    shared.snapshots.progress.lock().owed = false;
    true
}

/// A snapshot at once, for tests of nodes.
pub(crate) fn take_now(shared: &Arc<Shared>, step: Duration) -> Result<Vec<u8>, FreezeError> {
    take::take(shared, step).map_err(|refusal| match refusal {
        take::Refusal::Never(why) | take::Refusal::Now(why) => FreezeError::Now(why),
        take::Refusal::Busy => FreezeError::Now("something waits to be handled".into()),
    })
}

fn publish(shared: &Arc<Shared>, bytes: Vec<u8>) {
    let out = shared.snapshots.progress.lock().out.clone();
    if let Some(core) = out {
        let now = shared.now();
        let message = UInt8MultiArray { data: bytes.into(), ..UInt8MultiArray::default() };
        core.topic.publish(&core, Arc::new(message), (now, now), Instant::now());
    }
}

fn complain(shared: &Arc<Shared>, what: &str) {
    // The graph's own node is the first.
    if let Some(slot) = shared.slot(0) {
        logger::say(shared, &slot, Severity::Warn, what);
    }
}

/// The nodes that only listen.
fn watchers(shared: &Shared) -> BTreeSet<Arc<str>> {
    shared.slots.read().iter().filter(|slot| slot.factory.watcher).map(|slot| Arc::clone(&slot.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use crate::{Context, HandlerResult};

    struct Tick;
    impl Node for Tick {
        const NAME: &'static str = "tick";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.timer(Duration::from_millis(70), |_: &mut Self, _| Ok(()))?;
            Ok(Self)
        }
        fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
            Ok(Vec::new())
        }
        fn thaw(&mut self, _: &mut Context, _: &[u8]) -> HandlerResult {
            Ok(())
        }
    }

    #[test]
    fn a_timer_that_would_fire_without_end_or_never_is_refused() {
        let bench = || {
            let mut bench = Bench::new();
            bench.add::<Tick>(&[]).unwrap();
            bench
        };
        let mut first = bench();
        first.run_for(Duration::from_millis(200));
        let bytes = first.snapshot().unwrap();
        for next in [i64::MIN, 0, i64::MAX] {
            let mut body = decode(&bytes).unwrap();
            let tick = body.nodes.iter_mut().find(|node| node.kind == "tick").unwrap();
            tick.timers[0].1 = Time::from_nanos(next);
            let refusal = bench().resume(&encode(&body).unwrap()).unwrap_err();
            assert!(refusal.to_string().contains("not due within its period"), "{refusal}");
        }
        bench().resume(&bytes).unwrap();
    }
}
