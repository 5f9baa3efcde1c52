//! A slot: the place of one node in the graph, with its inbox, its timers, its counters and, while it lives, the node.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::context::{Context, Output};
use crate::diagnostics::Level;
use crate::error::{HandlerResult, SetupError};
use crate::events::{EventPort, QosEvent};
use crate::graph::{NodeFactory, NodeSpec};
use crate::lifecycle::Life;
use crate::logger::Logger;
use crate::message::AnyMessage;
use crate::param::ParamStore;
use crate::service::{Body, CallError, CallId, ReplyTo};
use crate::shared::Shared;
use crate::sim_time::NodeClock;
use crate::snapshot::FreezeError;
use crate::stats::{EdgeStats, NodeStats};
use crate::time::Time;
use crate::transport::{NodeIdentity, Token};

/// What a handler is called for.
pub(crate) enum Event {
    Message(AnyMessage),
    Timer,
    Request {
        body: Body,
        reply: ReplyTo,
    },
    Response {
        call: CallId,
        result: Result<Body, CallError>,
    },
    Inject(Box<dyn Any + Send>),
    Qos(Box<QosEvent>),
    /// Whether a service that is waited for is there.
    Served(bool),
}

/// An event in an inbox.
pub(crate) struct Item {
    pub port: usize,
    pub generation: u64,
    pub event: Event,
    pub published: Option<Instant>,
    pub edge: Option<Arc<EdgeStats>>,
}

impl Item {
    fn bytes(&self) -> usize {
        if let Event::Message(message) = &self.event { message.size_hint() } else { 0 }
    }
}

/// A node with its type erased.
pub(crate) trait Runtime: Send {
    fn dispatch(&mut self, port: usize, event: Event, ctx: &mut Context) -> HandlerResult;
    fn start(&mut self, ctx: &mut Context) -> HandlerResult;
    fn stop(&mut self, ctx: &mut Context) -> HandlerResult;
    /// The states of what the library keeps for the node, and its own.
    fn freeze(&self) -> Result<(Vec<Vec<u8>>, Vec<u8>), FreezeError>;
    /// In place of `start`.
    fn thaw(&mut self, ctx: &mut Context, parts: &[&[u8]], state: &[u8]) -> HandlerResult;
}

#[derive(Default)]
struct Inbox {
    items: VecDeque<Item>,
    /// By port: how many wait, how many may.
    waiting: Vec<usize>,
    depths: Vec<usize>,
    /// By port, where that is limited: bytes of messages that wait, and that may.
    bytes: BTreeMap<usize, (usize, usize)>,
}

impl Inbox {
    /// Takes out an item.
    fn take(&mut self, index: usize) -> Option<Item> {
        let item = self.items.remove(index)?;
        self.waiting[item.port] -= 1;
        if let Some((waiting, _)) = self.bytes.get_mut(&item.port) {
            *waiting -= item.bytes();
        }
        Some(item)
    }
}

/// A repeating call of a handler.
pub(crate) struct TimerEntry {
    pub port: usize,
    pub period: Duration,
    pub next: Time,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Set up, waiting for the graph to start.
    Starting,
    /// Handling.
    Running,
    /// It panicked or asked to leave, and comes back.
    Restarting,
    /// It was stopped in order.
    Stopped,
    /// It was given up.
    Failed,
}

impl NodeState {
    /// As written in graph/statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What supervision remembers.
pub(crate) struct Supervision {
    pub state: NodeState,
    pub restart_at: Option<Time>,
    pub failures: u32,
    pub last_error: String,
}

pub(crate) struct Slot {
    /// Fully qualified.
    pub name: Arc<str>,
    pub identity: NodeIdentity,
    pub spec: NodeSpec,
    pub factory: NodeFactory,
    pub runtime: Mutex<Option<Box<dyn Runtime>>>,
    pub timers: Mutex<Vec<TimerEntry>>,
    pub tokens: Mutex<Vec<Box<dyn Token>>>,
    pub stats: NodeStats,
    pub statuses: Mutex<BTreeMap<String, (Level, String)>>,
    pub logger: Logger,
    pub life: Life,
    params: Mutex<Arc<ParamStore>>,
    pub supervision: Mutex<Supervision>,
    pub events: EventPort,
    pub clock: NodeClock,
    /// Free-running: already in the run queue.
    pub queued: AtomicBool,
    /// Deterministic identities of calls and goals.
    pub counter: AtomicU64,
    /// Lock-step: room for what a handler asks for, used again.
    pub spare: Mutex<Vec<Output>>,
    inbox: Mutex<Inbox>,
    generation: AtomicU64,
    shared: Weak<Shared>,
}

impl Slot {
    pub fn new(identity: NodeIdentity, name: Arc<str>, spec: NodeSpec, factory: NodeFactory, shared: &Arc<Shared>) -> Self {
        Self {
            logger: Logger::new(&identity, spec.log_level),
            life: Life::default(),
            params: Mutex::default(),
            name,
            identity,
            spec,
            factory,
            runtime: Mutex::new(None),
            timers: Mutex::default(),
            tokens: Mutex::default(),
            stats: NodeStats::default(),
            statuses: Mutex::default(),
            supervision: Mutex::new(Supervision {
                state: NodeState::Starting,
                restart_at: None,
                failures: 0,
                last_error: String::new(),
            }),
            events: EventPort::default(),
            clock: NodeClock::default(),
            queued: AtomicBool::new(false),
            counter: AtomicU64::new(0),
            spare: Mutex::default(),
            inbox: Mutex::default(),
            generation: AtomicU64::new(0),
            shared: Arc::downgrade(shared),
        }
    }

    /// The graph, while it lives.
    pub fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.upgrade()
    }

    /// Counts the lives of the node: items meant for an earlier life are not delivered.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Ends a life: forgets what waits and what was declared.
    pub fn reset(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.timers.lock().clear();
        self.life.reset();
        self.clock.reset();
        // Dropped without the locks: an unanswered request tells its caller, which may be this very slot.
        let inbox = std::mem::take(&mut *self.inbox.lock());
        let tokens = std::mem::take(&mut *self.tokens.lock());
        drop((inbox, tokens));
    }

    /// The parameters of the present life.
    pub fn params(&self) -> Arc<ParamStore> {
        Arc::clone(&self.params.lock())
    }

    /// Parameters for a new life: none yet.
    pub fn new_params(&self) -> Arc<ParamStore> {
        let params = Arc::default();
        *self.params.lock() = Arc::clone(&params);
        params
    }

    /// Lets go of the publishers that the library keeps for the node.
    pub fn fall_silent(&self) {
        self.logger.close();
        *self.params().events.write() = None;
    }

    /// Reserves the next port, whose queue holds `depth` items.
    pub fn open_port(&self, depth: usize) -> usize {
        let mut inbox = self.inbox.lock();
        inbox.depths.push(depth.max(1));
        inbox.waiting.push(0);
        inbox.depths.len() - 1
    }

    /// How many items may wait at a port.
    pub fn depth(&self, port: usize) -> usize {
        self.inbox.lock().depths.get(port).copied().unwrap_or(1)
    }

    /// Limits what waits at a port to so many bytes of messages; the newest one may wait whatever its size.
    pub fn limit_bytes(&self, port: usize, limit: usize) {
        self.inbox.lock().bytes.insert(port, (0, limit));
    }

    /// Puts an item into the inbox; if the port's queue is full, its oldest items are dropped and counted.
    pub fn push(self: &Arc<Self>, item: Item) {
        if item.generation != self.generation() {
            return;
        }
        let lost = {
            let mut inbox = self.inbox.lock();
            let port = item.port;
            let Some(depth) = inbox.depths.get(port).copied() else {
                drop(inbox);
                return;
            };
            let limited = inbox.bytes.get(&port).map(|(_, limit)| (item.bytes(), *limit));
            let mut lost = Vec::new();
            loop {
                let long = inbox.waiting[port] >= depth;
                let large = limited.is_some_and(|(bytes, limit)| inbox.bytes[&port].0 + bytes > limit);
                if inbox.waiting[port] == 0 || !(long || large) {
                    break;
                }
                let oldest = inbox.items.iter().position(|waiting| waiting.port == port);
                let Some(oldest) = oldest.and_then(|oldest| inbox.take(oldest)) else { break };
                lost.push(oldest);
            }
            inbox.waiting[port] += 1;
            if let (Some((bytes, _)), Some((waiting, _))) = (limited, inbox.bytes.get_mut(&port)) {
                *waiting += bytes;
            }
            inbox.items.push_back(item);
            lost
        };
        // Of /clock only the newest message counts: one that was overtaken is no loss.
        for lost in lost.into_iter().filter(|lost| !self.clock.is_port(lost.port)) {
            if let Some(edge) = &lost.edge {
                edge.drop_one();
            }
            // A timer that comes twice is one that was skipped, not a loss.
            if !matches!(lost.event, Event::Timer) {
                self.stats.dropped.fetch_add(1, Ordering::Relaxed);
            }
            if let (Event::Message(message), Some(_)) = (&lost.event, &lost.edge) {
                self.lost(&message.topic, 1);
            }
            // `lost` ends here, without the lock: an unanswered request tells its caller, which may be this very slot.
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.wake(self);
        }
    }

    pub fn pop(&self) -> Option<Item> {
        let mut inbox = self.inbox.lock();
        inbox.take(0)
    }

    /// Whether the node lives and something waits for it. What comes before its `start` waits for it.
    pub fn is_ready(&self) -> bool {
        self.state() == NodeState::Running && !self.inbox.lock().items.is_empty()
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.inbox.lock().items.is_empty()
    }

    /// Forgets what waits.
    pub fn forget_waiting(&self) {
        let items = {
            let mut inbox = self.inbox.lock();
            inbox.waiting.fill(0);
            std::mem::take(&mut inbox.items)
        };
        // Without the lock: see `push`.
        drop(items);
    }

    pub fn state(&self) -> NodeState {
        self.supervision.lock().state
    }

    /// Lets the node go. Its destructor is its own code too: a panic there must not take a thread of the graph with it.
    pub fn bury(&self, runtime: &mut Option<Box<dyn Runtime>>) {
        // First the injectors are told: a destructor may wait for a driver's thread, which ends when it cannot send.
        self.generation.fetch_add(1, Ordering::AcqRel);
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(runtime.take()))) {
            let why = format!("panicked while it was let go: {}", crate::error::panic_message(&*panic));
            self.supervision.lock().last_error = why;
        }
    }

    /// Starts the periods of all timers at `now`.
    pub fn arm_timers(&self, now: Time) {
        for timer in self.timers.lock().iter_mut() {
            timer.next = now + timer.period;
        }
    }

    /// Calls the timers that are due at `now`.
    pub fn fire_timers(self: &Arc<Self>, now: Time) {
        let generation = self.generation();
        let mut index = 0;
        loop {
            let due = {
                let mut timers = self.timers.lock();
                let Some(timer) = timers.get_mut(index) else { return };
                let due = timer.next <= now;
                if due {
                    timer.next += timer.period;
                }
                due.then_some(timer.port)
            };
            match due {
                Some(port) => self.push(Item { port, generation, event: Event::Timer, published: None, edge: None }),
                None => index += 1,
            }
        }
    }

    /// As [`Slot::fire_timers`], but periods that were missed are skipped, and a wall clock that was set back stops no timer.
    pub fn fire_timers_once(self: &Arc<Self>, clock: impl FnOnce() -> Time) {
        let now = {
            let mut timers = self.timers.lock();
            // Looked at while the timers are held: those that a start has just armed are not ahead of it.
            let now = clock();
            for timer in timers.iter_mut() {
                if timer.next < now - timer.period {
                    timer.next = now;
                } else if timer.next > now + timer.period {
                    timer.next = now + timer.period;
                }
            }
            now
        };
        self.fire_timers(now);
    }

    /// When the next timer is due.
    pub fn next_timer(&self) -> Option<Time> {
        self.timers.lock().iter().map(|timer| timer.next).min()
    }

    /// Sets up the node for a new life.
    pub fn bring_up(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), SetupError> {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (self.factory.build)(shared, self)));
        let built = match result {
            Ok(built) => built,
            Err(panic) => Err(SetupError::Panic { node: self.name.to_string(), message: crate::error::panic_message(&*panic) }),
        };
        match built {
            Ok(runtime) => {
                *self.runtime.lock() = Some(runtime);
                Ok(())
            }
            Err(error) => {
                shared.unregister(self);
                self.reset();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, GraphConfig, Mode, silent_sink};

    #[test]
    fn of_messages_no_more_bytes_wait_than_may_and_the_newest_always_does() {
        use crate::qos::Qos;
        use msgs::std_msgs::msg::String as Text;
        let graph = Graph::new(GraphConfig { log: silent_sink(), ..GraphConfig::default() }).unwrap();
        let slot = Arc::clone(&graph.shared().slots.read()[0]);
        let port = slot.open_port(100);
        slot.limit_bytes(port, 1000);
        let push = |length: usize| {
            let text = Text { data: "x".repeat(length) };
            let message = AnyMessage {
                topic: Arc::from("/x"),
                message_type: <Text as msgs::Message>::message_type(),
                stamp: Time::ZERO,
                sequence: 1,
                publisher: Arc::from(""),
                qos: Qos::reliable(1),
                expires: None,
                payload: Arc::new(text),
            };
            slot.push(Item { port, generation: slot.generation(), event: Event::Message(message), published: None, edge: None });
            let inbox = slot.inbox.lock();
            let waiting = inbox.items.iter().filter(|item| item.port == port).count();
            assert_eq!(inbox.waiting[port], waiting);
            waiting
        };
        assert_eq!([400, 400, 400, 400, 10, 5000, 10].map(push), [1, 2, 2, 2, 3, 1, 1]);
        assert_eq!(slot.stats.dropped.load(Ordering::Relaxed), 6);
        while slot.pop().is_some() {}
        assert_eq!(slot.inbox.lock().bytes[&port].0, 0);
        assert_eq!(push(10), 1);
    }

    #[test]
    fn a_wall_clock_that_jumps_either_way_costs_a_timer_at_most_one_period() {
        let graph = Graph::new(GraphConfig { mode: Mode::FreeRunning, log: silent_sink(), ..GraphConfig::default() }).unwrap();
        // The graph's own node reports once a second.
        let slot = Arc::clone(&graph.shared().slots.read()[0]);
        let second = Duration::from_secs(1);
        let now = slot.next_timer().unwrap();
        for jumped in [now + Duration::from_secs(3600), now - Duration::from_secs(3600)] {
            slot.fire_timers_once(|| jumped);
            assert!(slot.next_timer().unwrap() <= jumped + second);
        }
    }
}
