//! A graph of nodes in one process: what is in it, how it runs and how it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msgs::omnimind_msgs::msg::GraphStatistics;

use crate::compose::{Catalogue, Composition, GraphHandle};
use crate::diagnostics::{LogSink, stderr_sink};
use crate::error::SetupError;
use crate::lockstep::LockStep;
use crate::logger::{self, Severity};
use crate::monitor::Monitor;
use crate::node::Node;
use crate::param::ParamValue;
use crate::shared::{Shared, StopFlag};
use crate::slot::{Runtime, Slot};
use crate::snapshot::{ResumeError, Snapshots};
use crate::time::Time;
use crate::transport::Transport;
use crate::{compose, free};

/// Who owns time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// The graph: it moves its clock by `step` and waits until all is quiet.
    LockStep {
        /// How far the clock moves.
        step: Duration,
        /// Simulated seconds per second of wall time; zero: as fast as possible.
        rate: f64,
    },
    /// The wall clock.
    FreeRunning,
}

impl Default for Mode {
    fn default() -> Self {
        Self::LockStep { step: Duration::from_millis(10), rate: 0.0 }
    }
}

/// How a graph is run.
#[derive(Clone)]
pub struct GraphConfig {
    /// Who owns time.
    pub mode: Mode,
    /// The robot's name: the namespace of every node. Empty: none.
    pub robot: String,
    /// Name of the graph's own node: graphs of several processes on one network each need their own.
    pub monitor: String,
    /// The wire to other processes; none: stay in this one.
    pub transport: Option<Arc<dyn Transport>>,
    /// Who shows log lines to the user.
    pub log: LogSink,
    /// From which severity on lines are shown, of nodes without a threshold of their own.
    pub log_level: Severity,
    /// Whether log lines are published on /rosout too.
    pub rosout: bool,
    /// Threads that run handlers; zero: as many as there are processors.
    pub threads: usize,
    /// The node types that a [`crate::Container`] may load; none: it loads nothing.
    pub catalogue: Option<Catalogue>,
    /// In lock-step: so often a snapshot of the graph's state is published ([`crate::snapshot`]); none: never.
    pub snapshot_every: Option<Duration>,
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            robot: String::new(),
            monitor: Monitor::NAME.to_owned(),
            transport: None,
            log: stderr_sink(),
            log_level: logger::DEFAULT,
            rosout: true,
            threads: 0,
            catalogue: None,
            snapshot_every: None,
        }
    }
}

/// Which ends of a node lead to a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartWhen {
    /// Whenever it is gone.
    Always,
    /// When it panicked.
    OnFailure,
    /// Never.
    Never,
}

/// What happens when a node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Which ends lead to a restart.
    pub when: RestartWhen,
    /// After this many restarts it is given up.
    pub max: u32,
    /// The pause before the first restart; it doubles with each, up to 30 s.
    pub backoff: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { when: RestartWhen::OnFailure, max: 5, backoff: Duration::from_millis(100) }
    }
}

/// One node of a graph: everything about it that is not in its code.
#[derive(Clone, Debug, Default)]
pub struct NodeSpec {
    /// Base name; none: the name of its kind.
    pub name: Option<String>,
    /// Namespace below the robot's; with a slash in front: one of its own.
    pub namespace: Option<String>,
    /// Parameter values.
    pub parameters: BTreeMap<String, ParamValue>,
    /// Names that it uses, to names that it gets.
    pub remaps: BTreeMap<String, String>,
    /// What happens when it is gone.
    pub restart: RestartPolicy,
    /// From which severity on its log lines are shown; none: the process's threshold, info.
    pub log_level: Option<Severity>,
    /// A managed node is configured and activated when the graph starts; the others are at work anyway.
    pub autostart: bool,
}

/// Makes nodes of one kind.
#[derive(Clone, Copy)]
pub struct NodeFactory {
    /// The kind's name.
    pub name: &'static str,
    pub(crate) watcher: bool,
    pub(crate) free: &'static [&'static str],
    pub(crate) build: fn(&Arc<Shared>, &Arc<Slot>) -> Result<Box<dyn Runtime>, SetupError>,
}

impl NodeFactory {
    /// The factory of `N`.
    pub const fn of<N: Node>() -> Self {
        Self { name: N::NAME, watcher: N::WATCHER, free: N::FREE_PARAMETERS, build: crate::typed::build::<N> }
    }
}

impl fmt::Debug for NodeFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeFactory({})", self.name)
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Why it ended.
    pub reason: String,
    /// How long it ran on the graph's clock.
    pub graph_seconds: f64,
    /// How long it ran on the wall clock.
    pub wall_seconds: f64,
    /// The last counts.
    pub statistics: GraphStatistics,
}

/// A graph of nodes in one process.
pub struct Graph {
    shared: Arc<Shared>,
    config: GraphConfig,
}

impl Graph {
    /// An empty graph.
    ///
    /// # Errors
    /// A robot's name that ROS 2 does not allow, or a wire that refuses the graph's own topics.
    pub fn new(config: GraphConfig) -> Result<Self, SetupError> {
        let (lock_step, mode) = match config.mode {
            Mode::LockStep { .. } => (true, "lock-step"),
            Mode::FreeRunning => (false, "free-running"),
        };
        let mut shared = Shared::new(lock_step, mode.into(), config.transport.clone(), Arc::clone(&config.log));
        shared.log_threshold = config.log_level.code().into();
        shared.rosout = config.rosout;
        shared.composition = Composition::new(config.robot.clone(), config.catalogue);
        shared.snapshots = Snapshots::every(config.snapshot_every.filter(|_| lock_step));
        let shared = Arc::new(shared);
        if let Some(wire) = &shared.transport {
            let graph = Arc::downgrade(&shared);
            wire.follow(Box::new(move |change| graph.upgrade().map(|shared| shared.remote_news(change)).is_some()));
        }
        let monitor = NodeSpec { name: Some(config.monitor.clone()), ..NodeSpec::default() };
        let mut graph = Self { shared, config };
        graph.add(NodeFactory::of::<Monitor>(), monitor)?;
        Ok(graph)
    }

    /// Sets up a node.
    ///
    /// # Errors
    /// A name that is taken or not allowed, a parameter that does not fit, an endpoint that cannot be, or the node's own reason.
    pub fn add(&mut self, factory: NodeFactory, spec: NodeSpec) -> Result<(), SetupError> {
        compose::set_up(&self.shared, factory, spec).map(drop)
    }

    /// The graph from anywhere: nodes can be added and removed while it runs.
    pub fn handle(&self) -> GraphHandle {
        GraphHandle::new(&self.shared)
    }

    /// Ends the graph from anywhere.
    pub fn stop_flag(&self) -> StopFlag {
        self.shared.stop.clone()
    }

    /// Takes up the state of a snapshot ([`crate::snapshot`]): [`Graph::run`] then goes on from its time, which is returned. To be called when
    /// the nodes have been added. After an error the graph is of no further use.
    ///
    /// # Errors
    /// [`ResumeError`].
    pub fn resume(&mut self, snapshot: &[u8]) -> Result<Time, ResumeError> {
        match self.config.mode {
            Mode::LockStep { step, .. } => crate::snapshot::resume(&self.shared, step, snapshot),
            Mode::FreeRunning => Err(ResumeError::FreeRunning),
        }
    }

    /// Runs until something asks it to stop, then stops every node in order.
    pub fn run(&mut self) -> RunReport {
        let begun = Instant::now();
        let from = self.shared.now();
        match self.config.mode {
            Mode::LockStep { .. } => {
                let mut driver = self.driver();
                driver.start();
                while !self.shared.stop.is_set() {
                    driver.step();
                    driver.pace();
                }
                driver.stop();
            }
            Mode::FreeRunning => {
                let nodes = self.shared.slots.read().len();
                free::run(&self.shared, self.threads().max(nodes).max(self.spare()).min(16));
            }
        }
        self.shared.composition.end();
        RunReport {
            reason: self.shared.stop.reason().unwrap_or_default(),
            graph_seconds: self.shared.now().seconds_since(from),
            wall_seconds: begun.elapsed().as_secs_f64(),
            statistics: self.statistics(),
        }
    }

    /// What has been counted so far.
    pub fn statistics(&self) -> GraphStatistics {
        crate::monitor::statistics(&self.shared)
    }

    /// Publishers and subscriptions of one topic that do not fit each other, a sentence each: nothing travels between them.
    pub fn misfits(&self) -> Vec<String> {
        let topics: Vec<_> = self.shared.topics.read().values().cloned().collect();
        let misfits = |topic: &Arc<crate::topic::Topic>| {
            let ends = topic.ends.read();
            let ends = ends.publishers.iter().map(|p| &p.end).chain(ends.subscribers.iter().map(|s| &s.end));
            ends.flat_map(|end| end.misfits()).map(|why| format!("{}: {why}", topic.name)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(misfits).collect()
    }

    pub(crate) fn driver(&self) -> LockStep {
        let (step, rate) = match self.config.mode {
            Mode::LockStep { step, rate } => (step, rate),
            Mode::FreeRunning => (Duration::from_millis(10), 0.0),
        };
        LockStep::new(&self.shared, step, rate, self.threads())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Threads for nodes that are still to come.
    fn spare(&self) -> usize {
        if self.config.catalogue.is_some() { 8 } else { 0 }
    }

    fn threads(&self) -> usize {
        if self.config.threads > 0 {
            return self.config.threads;
        }
        std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
    }
}

/// Ports know their topic, topics their ports, injectors their graph: what a graph holds ends with it only if that is taken apart.
impl Drop for Graph {
    fn drop(&mut self) {
        self.shared.composition.end();
        let slots = std::mem::take(&mut *self.shared.slots.write());
        for slot in slots.iter().rev() {
            slot.bury(&mut slot.runtime.lock());
            self.shared.unregister(slot);
            slot.reset();
        }
    }
}
