//! Launch files: YAML that says which nodes run, with which parameters, in which processes and on which clock.
//!
//! Reading is strict: an unknown key, node type or parameter, a value of the wrong type or out of range, a circle of
//! includes or a missing file is an error that names the file, the line and the nearest known name.

pub mod arguments;
pub mod catalogue;
pub mod check;
pub mod error;
mod load;
pub mod params;
pub mod read;
pub mod scalar;
pub mod value;
pub mod yaml;

pub use arguments::Argument;
pub use catalogue::{Catalogue, ParamInfo, ParamKind};
pub use error::{At, LaunchError};
pub use load::{Options, load, load_text};
pub use value::Value;

use std::collections::{BTreeMap, BTreeSet};

/// A launch file after includes, arguments and substitutions: everything that is needed to start the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The clock.
    pub graph: GraphSettings,
    /// Nodes in the order of the file (included ones where they are included).
    pub nodes: Vec<NodeSpec>,
    /// The arguments of the outermost file, as declared.
    pub arguments: Vec<Argument>,
    /// Their values.
    pub values: BTreeMap<String, Value>,
    /// The full name of the node, if this is no launch file but one node started by itself.
    pub single: Option<String>,
}

/// How time passes in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The graph makes time: steps of equal length, each finished before the next begins.
    LockStep,
    /// The computer's clock makes time.
    FreeRunning,
}

/// The `graph` section.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphSettings {
    /// Lock-step or free-running.
    pub mode: Mode,
    /// Length of a step, ms.
    pub step_ms: f64,
    /// Graph seconds per second of the wall clock in lock-step; 0: as fast as possible.
    pub rate: f64,
    /// Graph seconds between snapshots of the state in lock-step; 0: none.
    pub snapshot_every_s: f64,
    /// From where to go on; none: from the beginning.
    pub resume: Option<Resume>,
}

/// A snapshot to go on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// The recording that has it: an MCAP file or a bag's folder.
    pub bag: std::path::PathBuf,
    /// The latest one at or before this graph time, s.
    pub at_s: f64,
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self { mode: Mode::FreeRunning, step_ms: 10.0, rate: 1.0, snapshot_every_s: 0.0, resume: None }
    }
}

/// When a node or process is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// After any end that was not asked for.
    Always,
    /// After a panic or an exit code other than 0.
    OnFailure,
    /// Never.
    Never,
}

/// The `restart` section of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restart {
    /// When.
    pub policy: RestartPolicy,
    /// How often at most; then it counts as failed.
    pub max: u32,
    /// Wait before the first restart, ms; doubled for each further one, up to 30 s.
    pub backoff_ms: u64,
}

impl Default for Restart {
    fn default() -> Self {
        Self { policy: RestartPolicy::OnFailure, max: 5, backoff_ms: 200 }
    }
}

impl Restart {
    /// Wait before the `n`-th restart (from 1), ms, or `None` when there is to be none.
    #[must_use]
    pub fn wait_ms(&self, n: u32, failed: bool) -> Option<u64> {
        let wanted = match self.policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => failed,
            RestartPolicy::Never => false,
        };
        (wanted && n >= 1 && n <= self.max).then(|| self.backoff_ms.saturating_mul(1 << (n - 1).min(16)).min(30_000))
    }
}

/// A node to start.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// Node type.
    pub type_: String,
    /// Its name (the type's, if the file gives none).
    pub name: String,
    /// Its namespace, without slashes at the ends; empty is the root.
    pub namespace: String,
    /// Parameters that differ from their defaults, checked against the declarations.
    pub parameters: BTreeMap<String, Value>,
    /// Where each of them stands.
    pub parameter_lines: BTreeMap<String, At>,
    /// Those that came from a wildcard section of a parameter file: a node that does not know them leaves them out.
    pub optional: BTreeSet<String>,
    /// `from` to `to`.
    pub remap: Vec<(String, String)>,
    /// Process group; `None` is the process that was started by hand.
    pub process: Option<String>,
    /// When to start it again.
    pub restart: Restart,
    /// From which severity on its log lines are shown; `None` is the graph's threshold.
    pub log_level: Option<graph::Severity>,
    /// A managed node is configured and activated at the start.
    pub autostart: bool,
    /// Where it stands in its file.
    pub at: At,
}

impl NodeSpec {
    pub(crate) fn set(&mut self, name: &str, value: Value, at: At) {
        self.parameters.insert(name.to_owned(), value);
        self.parameter_lines.insert(name.to_owned(), at);
    }

    /// `/namespace/name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.namespace.is_empty() { format!("/{}", self.name) } else { format!("/{}/{}", self.namespace, self.name) }
    }
}

impl Launch {
    /// Names of the process groups, in order of first appearance.
    #[must_use]
    pub fn groups(&self) -> Vec<&str> {
        let mut groups = Vec::new();
        for group in self.nodes.iter().filter_map(|n| n.process.as_deref()) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }
}
