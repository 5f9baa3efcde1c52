//! Running a launch file: the graph of this process, its child processes, and the view on it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use graph::transport::Transport;
use graph::{
    Graph, GraphConfig, LogSink, NodeSpec as GraphNode, RestartPolicy as GraphRestart, RestartWhen, SetupError, StopFlag,
};

use crate::file::{At, Launch, Mode, NodeSpec, RestartPolicy};
use crate::observer::{self, Board};
use crate::process::{Children, SpawnError};
use crate::resume::SnapshotError;
use crate::summary::{Recording, Summary};
use crate::{process, progress, registry, resume, view};

/// What the user sees while the graph runs.
#[derive(Clone)]
pub enum Display {
    /// A full-screen view.
    Terminal,
    /// A line per event on standard error.
    Lines,
    /// Only warnings and errors.
    Quiet,
    /// Log lines as ROS 2 executables write them.
    Ros(LogSink),
}

/// Why a run ended that was asked to end by Ctrl-C or SIGTERM.
pub const INTERRUPTED: &str = "interrupted";

/// How to run.
pub struct RunOptions {
    /// The file it came from, for child processes.
    pub path: PathBuf,
    /// Its arguments, for child processes.
    pub arguments: Vec<String>,
    /// What to run.
    pub launch: Launch,
    /// Only the nodes of this process group; `None`: those without a group, and the groups as child processes.
    pub group: Option<String>,
    /// What the user sees.
    pub display: Display,
    /// Take part in the ROS 2 network.
    pub wire: bool,
    /// From which severity on lines are shown, of nodes without a threshold of their own.
    pub log_level: graph::Severity,
    /// Security enclave, as advertised; none: `/`.
    pub enclave: Option<String>,
    /// Whether log lines are published on /rosout too.
    pub rosout: bool,
    /// End after this much graph time, s.
    pub duration_s: Option<f64>,
    /// Files that the run writes.
    pub recording: Recording,
}

/// Why a launch file cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The graph itself cannot be set up.
    #[error("{0}")]
    Graph(SetupError),
    /// A node cannot be set up.
    #[error("{at}: {source}")]
    Node {
        /// Where it stands in the launch file.
        at: At,
        /// Why.
        source: SetupError,
    },
    /// Lock-step needs every node in one process.
    #[error("{at}: the graph runs in lock-step, so node `{node}` cannot be in a process of its own")]
    LockStepProcess {
        /// Where.
        at: At,
        /// The node.
        node: String,
    },
    /// Child processes without a wire would not hear each other.
    #[error(
        "{at}: node `{node}` is in a process of its own, which needs the ROS 2 network: run without `--no-wire`, and not with ROS_AUTOMATIC_DISCOVERY_RANGE=OFF"
    )]
    NeedsWire {
        /// Where.
        at: At,
        /// The node.
        node: String,
    },
    /// The ROS 2 network cannot be reached.
    #[error("{0}; run with `--no-wire` to stay in this process")]
    Wire(#[from] wire::OpenError),
    /// The same graph runs already.
    #[error(
        "a node named `{node}` is already running on this network: end that graph first, give this one another `ROS_DOMAIN_ID`, or run with `--no-wire`"
    )]
    AlreadyRunning {
        /// The node that both have.
        node: String,
    },
    /// A child process cannot be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Snapshots are of graphs that own their time.
    #[error("snapshots are of graphs in lock-step: `snapshot_every_s` and `resume_at_s` need `mode: lock-step`")]
    FreeSnapshots,
    /// The graph does not go on from where it was told to.
    #[error(transparent)]
    Resume(#[from] SnapshotError),
    /// Nothing is left to run in this process.
    #[error("process group `{0}` has no nodes")]
    EmptyGroup(String),
}

/// Runs until the graph ends; Ctrl-C ends it in order, a second one at once.
///
/// # Errors
/// [`RunError`], before anything moves.
pub fn run(options: RunOptions) -> Result<Summary, RunError> {
    let launch = &options.launch;
    let config = wire_config(&options)?;
    check_processes(launch, config.is_some())?;
    if launch.graph.mode == Mode::FreeRunning && (launch.graph.snapshot_every_s > 0.0 || launch.graph.resume.is_some()) {
        return Err(RunError::FreeSnapshots);
    }
    let board = Board::default();
    board.lock().limit_s = options.duration_s;
    if options.group.is_none() {
        board.lock().children = names_of_children(launch);
    }
    let wire = config.map(|config| open_wire(&options, config)).transpose()?;
    let config = GraphConfig {
        mode: match launch.graph.mode {
            Mode::LockStep => {
                graph::Mode::LockStep { step: Duration::from_secs_f64(launch.graph.step_ms * 1e-3), rate: launch.graph.rate }
            }
            Mode::FreeRunning => graph::Mode::FreeRunning,
        },
        transport: wire,
        catalogue: Some(registry::components),
        snapshot_every: Duration::try_from_secs_f64(launch.graph.snapshot_every_s).ok().filter(|every| !every.is_zero()),
        log: board.log_sink(log_sink(&options.display)),
        log_level: options.log_level,
        rosout: options.rosout,
        monitor: own_name("graph", options.group.as_deref(), launch),
        ..GraphConfig::default()
    };
    let mut graph = Graph::new(config).map_err(RunError::Graph)?;
    let flag = graph.stop_flag();
    stop_on_interrupt(flag.clone());
    let mine: Vec<&NodeSpec> = launch.nodes.iter().filter(|n| n.process == options.group).collect();
    if let (Some(group), true) = (&options.group, mine.is_empty()) {
        return Err(RunError::EmptyGroup(group.clone()));
    }
    // First, so that it sees every node from its start.
    let id = observer::register(&board);
    let observer_name = own_name("observer", options.group.as_deref(), launch);
    let observer_spec =
        GraphNode { name: Some(observer_name), parameters: [("board".to_owned(), id.into())].into(), ..GraphNode::default() };
    graph.add(registry::observer(), observer_spec).map_err(RunError::Graph)?;
    for node in mine {
        add(&mut graph, node)?;
    }
    if let Some(from) = &launch.graph.resume {
        let at = resume::resume(&mut graph, from)?;
        eprintln!("omnimind: going on from the snapshot of {:.3} s in {}", at.as_secs_f64(), from.bag.display());
    }
    let children = if options.group.is_none() {
        Children::start(launch, &options.path, &options.arguments, &flag)?
    } else {
        // A child ends with its parent: the pipe on its standard input closes.
        process::stop_with_parent(flag.clone());
        Children::default()
    };
    let screen = match options.display {
        Display::Terminal => Some(view::show(board.clone(), flag.clone())),
        Display::Lines => Some(progress::show(board.clone())),
        Display::Quiet | Display::Ros(_) => None,
    };
    let report = graph.run();
    board.lock().ended = true;
    children.stop();
    if let Some(screen) = screen {
        // A view that panicked has nothing left to say.
        let _ = screen.join();
    }
    observer::unregister(id);
    let mut summary = Summary::new(&board.lock(), &report, options.recording);
    if options.group.is_none() {
        summary.add_children(&board.lock());
    }
    Ok(summary)
}

/// Names of the nodes that are no launch file's: the graph's own node and the observer. Each process of a launch has its own, and a
/// process of one node has them named after it, so that several may run on one network.
fn own_name(base: &str, group: Option<&str>, launch: &Launch) -> String {
    match (group, launch.single.as_deref()) {
        (Some(group), _) => format!("{base}_{}", process::word(group)),
        // Hidden, as ROS 2 hides what belongs to tools: `ros2 run` starts one node, and one is what `ros2 node list` shows.
        (None, Some(node)) => format!("_{base}_{}", process::word(node)),
        (None, None) => base.to_owned(),
    }
}

/// Full names of the nodes in child processes, their graphs' own included.
fn names_of_children(launch: &Launch) -> BTreeSet<String> {
    let own = launch.groups().into_iter().map(|group| format!("/{}", own_name("graph", Some(group), launch)));
    launch.nodes.iter().filter(|node| node.process.is_some()).map(NodeSpec::full_name).chain(own).collect()
}

fn check_processes(launch: &Launch, wire: bool) -> Result<(), RunError> {
    let Some(node) = launch.nodes.iter().find(|n| n.process.is_some()) else { return Ok(()) };
    let (at, name) = (node.at.clone(), node.name.clone());
    if launch.graph.mode == Mode::LockStep {
        return Err(RunError::LockStepProcess { at, node: name });
    }
    if wire { Ok(()) } else { Err(RunError::NeedsWire { at, node: name }) }
}

fn add(graph: &mut Graph, node: &NodeSpec) -> Result<(), RunError> {
    let unknown = |name: &str| SetupError::Node { node: node.name.clone(), reason: format!("there is no node type `{name}`") };
    let factory =
        registry::factory(&node.type_).ok_or_else(|| RunError::Node { at: node.at.clone(), source: unknown(&node.type_) })?;
    let mut spec = GraphNode {
        name: Some(node.name.clone()),
        namespace: Some(node.namespace.clone()).filter(|n| !n.is_empty()),
        remaps: node.remap.iter().cloned().collect(),
        restart: GraphRestart {
            when: match node.restart.policy {
                RestartPolicy::Always => RestartWhen::Always,
                RestartPolicy::OnFailure => RestartWhen::OnFailure,
                RestartPolicy::Never => RestartWhen::Never,
            },
            max: node.restart.max,
            backoff: Duration::from_millis(node.restart.backoff_ms),
        },
        log_level: node.log_level,
        autostart: node.autostart,
        ..GraphNode::default()
    };
    let line = |name: &str| node.parameter_lines.get(name).unwrap_or(&node.at).clone();
    for (name, value) in &node.parameters {
        spec.parameters.insert(name.clone(), registry::param_value(value));
    }
    loop {
        match graph.add(factory, spec.clone()) {
            Ok(()) => return Ok(()),
            // From a `/**` section, which speaks to many nodes: each takes what it knows.
            Err(SetupError::UnknownParameter { name, .. })
                if node.optional.contains(&name) && spec.parameters.remove(&name).is_some() => {}
            Err(source) => {
                let at = match &source {
                    SetupError::UnknownParameter { name, .. } | SetupError::InvalidParameter { name, .. } => line(name),
                    _ => node.at.clone(),
                };
                return Err(RunError::Node { at, source });
            }
        }
    }
}

/// How long another graph on this machine has to show itself.
const DISCOVERY: Duration = Duration::from_millis(500);

/// None where options or environment keep the graph to its process.
fn wire_config(options: &RunOptions) -> Result<Option<wire::WireConfig>, RunError> {
    if !options.wire {
        return Ok(None);
    }
    let mut config = wire::WireConfig::from_env()?;
    if config.range == wire::DiscoveryRange::Off {
        eprintln!("omnimind: ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: no other process will see this graph");
        return Ok(None);
    }
    if let Some(enclave) = &options.enclave {
        config.enclave.clone_from(enclave);
    }
    Ok(Some(config))
}

fn open_wire(options: &RunOptions, config: wire::WireConfig) -> Result<Arc<dyn Transport>, RunError> {
    let wire = wire::Wire::open(config)?;
    // Whoever holds the router was first; who joins one looks whether its own nodes run there already.
    let deadline = Instant::now() + DISCOVERY;
    let ours: Vec<String> = options.launch.nodes.iter().filter(|n| n.process == options.group).map(NodeSpec::full_name).collect();
    while options.group.is_none() && !wire.holds_router() && Instant::now() < deadline {
        let others = wire.graph_snapshot().nodes;
        if let Some(twin) = others.iter().find(|other| ours.contains(&other.name)) {
            return Err(RunError::AlreadyRunning { node: twin.name.clone() });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Arc::new(wire))
}

fn log_sink(display: &Display) -> LogSink {
    match display {
        // The view shows them itself.
        Display::Terminal => graph::silent_sink(),
        Display::Lines => graph::stderr_sink(),
        Display::Quiet => {
            let all = graph::stderr_sink();
            Arc::new(move |record| {
                if record.level >= graph::Severity::Warn {
                    all(record);
                }
            })
        }
        Display::Ros(sink) => Arc::clone(sink),
    }
}

/// Signals so close to the first are the same wish: a terminal signals the whole process group, and `ros2 launch` hands its own on.
const SAME_INTERRUPT: Duration = Duration::from_secs(1);

/// Asks the graph to stop at the first Ctrl-C or SIGTERM, and leaves at a later one.
fn stop_on_interrupt(flag: StopFlag) {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let handler = move || {
        if FIRST.get_or_init(Instant::now).elapsed() < SAME_INTERRUPT {
            flag.stop(INTERRUPTED);
        } else {
            std::process::exit(130);
        }
    };
    // Fails only where a handler is installed already (a second run in one process): that one serves.
    let _ = ctrlc::set_handler(handler);
}
