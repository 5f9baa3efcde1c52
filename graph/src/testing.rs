//! A bench for nodes: a lock-step graph with a tap on every topic, for tests of nodes and of what they say to each other.

mod nobody;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msgs::{Message, Service};
use parking_lot::Mutex;

use crate::compose::Catalogue;
use crate::diagnostics::{LogRecord, silent_sink};
use crate::error::SetupError;
use crate::graph::{Graph, GraphConfig, Mode, NodeFactory, NodeSpec};
use crate::lockstep::LockStep;
use crate::message::AnyMessage;
use crate::node::{Node, Setup};
use crate::param::ParamValue;
use crate::service::CallError;
use crate::shared::Arrival;
use crate::snapshot::{FreezeError, ResumeError};
use crate::time::Time;

pub use nobody::Nobody;

/// The step of a bench's clock.
const STEP: Duration = Duration::from_millis(10);

thread_local! {
    /// Hands the tape to the ear that is being set up: nodes are made by type, without arguments.
    static TAPE: std::cell::RefCell<Option<Arc<Mutex<Vec<AnyMessage>>>>> = const { std::cell::RefCell::new(None) };
}

/// Hears everything.
struct Ear {
    tape: Arc<Mutex<Vec<AnyMessage>>>,
}

impl Node for Ear {
    const NAME: &'static str = "bench";
    const WATCHER: bool = true;
    fn setup(setup: &mut Setup<Self>) -> Result<Self, SetupError> {
        let tape = TAPE.take().ok_or_else(|| setup.failed("only a bench can have an ear"))?;
        setup.tap(
            |_, _| true,
            |node: &mut Self, _, message| {
                node.tape.lock().push(message.clone());
                Ok(())
            },
        )?;
        Ok(Self { tape })
    }
}

/// A graph for tests: publish, let time pass, look at what was said.
pub struct Bench {
    graph: Graph,
    driver: Option<LockStep>,
    tape: Arc<Mutex<Vec<AnyMessage>>>,
    logs: Arc<Mutex<Vec<LogRecord>>>,
    sequences: BTreeMap<String, u64>,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// An empty bench.
    ///
    /// # Panics
    /// Never: an empty graph without a wire can always be made.
    pub fn new() -> Self {
        Self::make(None)
    }

    /// An empty bench whose containers may load the nodes of `catalogue`.
    pub fn with_catalogue(catalogue: Catalogue) -> Self {
        Self::make(Some(catalogue))
    }

    fn make(catalogue: Option<Catalogue>) -> Self {
        let logs = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&logs);
        let config = GraphConfig {
            mode: Mode::LockStep { step: STEP, rate: 0.0 },
            log: Arc::new(move |record: &LogRecord| sink.lock().push(record.clone())),
            threads: 1,
            catalogue,
            ..GraphConfig { log: silent_sink(), ..GraphConfig::default() }
        };
        let tape = Arc::new(Mutex::new(Vec::new()));
        TAPE.set(Some(Arc::clone(&tape)));
        let mut graph = Graph::new(config).unwrap_or_else(|error| panic!("an empty graph: {error}"));
        graph.add(NodeFactory::of::<Ear>(), NodeSpec::default()).unwrap_or_else(|error| panic!("an ear: {error}"));
        Self { graph, driver: None, tape, logs, sequences: BTreeMap::new() }
    }

    /// Adds a node of kind `N` with parameters.
    ///
    /// # Errors
    /// As [`Graph::add`].
    pub fn add<N: Node>(&mut self, parameters: &[(&str, ParamValue)]) -> Result<(), SetupError> {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.graph.add(NodeFactory::of::<N>(), NodeSpec { parameters, ..NodeSpec::default() })
    }

    /// Adds a node with everything chosen.
    ///
    /// # Errors
    /// As [`Graph::add`].
    pub fn add_spec<N: Node>(&mut self, spec: NodeSpec) -> Result<(), SetupError> {
        self.graph.add(NodeFactory::of::<N>(), spec)
    }

    /// The time of the bench.
    pub fn now(&self) -> Time {
        self.graph.shared().now()
    }

    /// Publishes `message` now, as if a node outside had; it is handled at the next step.
    ///
    /// # Panics
    /// If the topic carries another type.
    pub fn publish<M: Message>(&mut self, topic: &str, message: M) {
        let now = self.now();
        self.publish_at(topic, message, now);
    }

    /// As [`Bench::publish`], from a process whose clock says `stamp`.
    ///
    /// # Panics
    /// If the topic carries another type.
    pub fn publish_at<M: Message>(&mut self, topic: &str, message: M, stamp: Time) {
        self.begin();
        let name = full(topic);
        let shared = self.graph.shared();
        let topic = shared.topic(&name, M::message_type(), "bench").unwrap_or_else(|error| panic!("{error}"));
        let sequence = self.sequences.entry(name).or_default();
        *sequence += 1;
        let (sequence, message) = (*sequence, Arc::new(message));
        // Subscribers of the topic see a sample from outside.
        let subscribers = topic.ends.read().subscribers.clone();
        for subscriber in subscribers {
            let offered = subscriber.qos;
            let (topic, message) = (Arc::clone(&topic), message.clone());
            shared.receive_now(Arrival {
                topic,
                subscriber: Some(subscriber),
                message,
                stamp,
                sequence,
                gid: None,
                age: None,
                offered,
                carrier: ("network", 1),
                way: 0,
            });
        }
    }

    /// Lets `duration` pass in steps of 10 ms.
    pub fn run_for(&mut self, duration: Duration) {
        self.begin();
        let steps = duration.as_nanos().div_ceil(STEP.as_nanos());
        for _ in 0..steps {
            if let Some(driver) = &mut self.driver {
                driver.step();
            }
        }
    }

    /// What was published on `topic` since the last call, oldest first.
    pub fn take<M: Message>(&mut self, topic: &str) -> Vec<Arc<M>> {
        let name = full(topic);
        let mut taken = Vec::new();
        self.tape.lock().retain(|message| {
            if *message.topic != *name {
                return true;
            }
            match message.downcast::<M>() {
                Some(typed) => {
                    taken.push(typed);
                    false
                }
                None => true,
            }
        });
        taken
    }

    /// Everything that was said since the last take, in order.
    pub fn take_all(&mut self) -> Vec<AnyMessage> {
        std::mem::take(&mut *self.tape.lock())
    }

    /// The log lines so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.logs.lock().clone()
    }

    /// The status `what` of `node` (base name), if it has said one.
    pub fn status(&self, node: &str, what: &str) -> Option<(crate::Level, String)> {
        let slots = self.graph.shared().slots.read();
        let slot = slots.iter().find(|slot| slot.identity.name == node)?;
        slot.statuses.lock().get(what).cloned()
    }

    /// What has been counted.
    pub fn statistics(&self) -> msgs::omnimind_msgs::msg::GraphStatistics {
        self.graph.statistics()
    }

    /// Whether a node asked the graph to stop, and why.
    pub fn stop_reason(&self) -> Option<String> {
        self.graph.stop_flag().reason()
    }

    /// Calls a service and lets time pass until the answer is there, for at most ten seconds of the bench's clock.
    ///
    /// # Errors
    /// [`CallError`] as a client gets it.
    pub fn call<S: Service>(&mut self, name: &str, request: S::Request) -> Result<S::Response, CallError> {
        self.begin();
        let answer = Arc::new(Mutex::new(None));
        let shared = Arc::clone(self.graph.shared());
        let entry = shared.services.read().get(&full(name)).map(|entry| (Arc::clone(&entry.slot), entry.port, entry.generation));
        let Some((server, port, generation)) = entry else { return Err(CallError::Unavailable(name.to_owned())) };
        let sink = Arc::clone(&answer);
        let reply = crate::service::ReplyTo::remote(Box::new(move |bytes| *sink.lock() = Some(bytes)));
        server.push(crate::slot::Item {
            port,
            generation,
            event: crate::slot::Event::Request { body: crate::service::Body::Typed(Arc::new(request)), reply },
            published: Some(Instant::now()),
            edge: None,
        });
        for _ in 0..1000 {
            self.run_for(STEP);
            if let Some(bytes) = answer.lock().take() {
                return S::Response::from_cdr(&bytes)
                    .map_err(|error| CallError::Malformed { name: name.to_owned(), reason: error.to_string() });
            }
        }
        Err(CallError::NoAnswer(name.to_owned()))
    }

    /// A snapshot of the graph as it stands ([`crate::snapshot`]), without the bench itself.
    ///
    /// # Errors
    /// [`FreezeError`].
    pub fn snapshot(&mut self) -> Result<Vec<u8>, FreezeError> {
        self.begin();
        crate::snapshot::take_now(self.graph.shared(), STEP)
    }

    /// Goes on from a snapshot; to be called after the nodes have been added and before anything else.
    ///
    /// # Errors
    /// As [`Graph::resume`].
    pub fn resume(&mut self, snapshot: &[u8]) -> Result<Time, ResumeError> {
        self.graph.resume(snapshot)
    }

    /// Ends the run: every node's `stop` is called.
    pub fn stop(&mut self) {
        self.begin();
        if let Some(driver) = &mut self.driver {
            driver.stop();
        }
    }

    fn begin(&mut self) {
        if self.driver.is_none() {
            let mut driver = self.graph.driver();
            driver.start();
            self.driver = Some(driver);
        }
    }
}

fn full(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{name}") }
}
