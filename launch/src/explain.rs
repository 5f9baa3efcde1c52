//! What is wrong with a running graph, or with what a launch file means to start: sentences with how bad they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use graph::{Graph, GraphConfig, NodeSpec as GraphNode, Qos, silent_sink};
use msgs::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use msgs::type_description_interfaces::msg::TypeDescription;
use msgs::type_description_interfaces::srv::{GetTypeDescription, GetTypeDescriptionRequest};
use msgs::{Message as _, description};
use serde_json::{Value, json};
use wire::{EndpointInfo, GraphView, RawSubscription};

use crate::file::Launch;
use crate::registry;
use crate::remote::{Remote, RemoteError};

/// Node types whose topics are chosen by parameters or by what they play: their defaults tell nothing.
const UNTOLD: [&str; 4] = ["component_container", "player", "recorder", "viewer"];

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, less well.
    Warning,
    /// It does not work.
    Error,
}

impl Severity {
    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// `node: what`, as on /diagnostics.
    pub name: String,
    /// One sentence.
    pub message: String,
    /// Figures.
    pub values: Vec<(String, String)>,
}

impl Problem {
    fn error(name: String, message: String) -> Self {
        Self { severity: Severity::Error, name, message, values: Vec::new() }
    }

    /// `None` if nothing is wrong.
    #[must_use]
    pub fn from_status(status: &DiagnosticStatus) -> Option<Self> {
        let severity = match status.level {
            DiagnosticStatus::OK => return None,
            DiagnosticStatus::ERROR => Severity::Error,
            _ => Severity::Warning,
        };
        let values = status.values.iter().map(|value| (value.key.clone(), value.value.clone())).collect();
        Some(Self { severity, name: status.name.clone(), message: status.message.clone(), values })
    }

    /// `{severity, name, message, values}`
    #[must_use]
    pub fn json(&self) -> Value {
        let values: serde_json::Map<_, _> = self.values.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        json!({"severity": self.severity.as_str(), "name": self.name, "message": self.message, "values": values})
    }
}

/// Worst first, then by name; each once.
#[must_use]
pub fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (b.severity, &a.name, &a.message).cmp(&(a.severity, &b.name, &b.message)));
    problems.dedup();
    problems
}

/// The statuses of one name: those that came together in one message.
type Latest = BTreeMap<String, Vec<DiagnosticStatus>>;

/// Listens to /diagnostics until it is dropped.
pub struct Ear {
    latest: Arc<Mutex<Latest>>,
    _subscription: RawSubscription,
}

impl Ear {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`RemoteError::Wire`].
    pub fn open(remote: &Remote) -> Result<Self, RemoteError> {
        let latest: Arc<Mutex<Latest>> = Arc::default();
        let sink = Arc::clone(&latest);
        let take = move |sample: wire::RawSample| {
            if let Ok(report) = DiagnosticArray::from_cdr(&sample.payload) {
                hear(&mut sink.lock().unwrap_or_else(PoisonError::into_inner), report);
            }
        };
        let subscription = remote.subscribe("/diagnostics", Qos::reliable(100), take)?;
        Ok(Self { latest, _subscription: subscription })
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong by the latest word of everybody.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        sorted(self.lock().values().flatten().filter_map(Problem::from_status).collect())
    }
}

/// One message may say several things under one name; what the next says under it takes their place.
fn hear(latest: &mut Latest, report: DiagnosticArray) {
    let mut fresh = Latest::new();
    for status in report.status {
        fresh.entry(status.name.clone()).or_default().push(status);
    }
    latest.append(&mut fresh);
}

/// What the names, types and quality of service of all ends say, of nodes that are not OmniMind's too. What `known` says already is left
/// out.
#[must_use]
pub fn apart(remote: &Remote, view: &GraphView, known: &[Problem]) -> Vec<Problem> {
    let told = |topic: &str| known.iter().any(|problem| problem.name.ends_with(&format!(": topic {topic}")));
    let mut found = Vec::new();
    for info in view.topics().into_iter().filter(|info| !told(&info.name)) {
        for (source, sink) in info.sources.iter().flat_map(|source| info.sinks.iter().map(move |sink| (source, sink))) {
            if source.type_name == sink.type_name && source.type_hash != sink.type_hash {
                let (a, b) = (&source.node, &sink.node);
                let fields = match (described(remote, view, source), described(remote, view, sink)) {
                    (Some(ours), Some(theirs)) => {
                        let fields = description::differences(&ours, &theirs).join("; ");
                        format!(" ({})", fields.replace("in ours", &format!("for {a}")).replace("in theirs", &format!("for {b}")))
                    }
                    _ => " (a node that does not answer get_type_description cannot be asked for its fields)".to_owned(),
                };
                let message = format!(
                    "{}: {a} and {b} were built with different definitions of {}{fields}; build both with the same",
                    info.name, source.type_name
                );
                found.push(Problem::error(format!("graph: topic {}", info.name), message));
            }
        }
    }
    let said = |name: &str| found.iter().any(|problem: &Problem| problem.name.ends_with(&format!(": topic {name}")));
    let others: Vec<Problem> = view
        .mismatches()
        .into_iter()
        .filter_map(|sentence| {
            let name = sentence.split_once(": ")?.0.to_owned();
            (!told(&name) && !said(&name)).then(|| Problem::error(format!("graph: topic {name}"), sentence))
        })
        .collect();
    found.extend(others);
    found
}

/// The definition that a node has of its end's type, if it tells.
fn described(remote: &Remote, view: &GraphView, end: &EndpointInfo) -> Option<TypeDescription> {
    let service = format!("{}/get_type_description", end.node);
    view.services().iter().find(|info| info.name == service && !info.sources.is_empty())?;
    let request = GetTypeDescriptionRequest {
        type_name: end.type_name.clone(),
        type_hash: end.type_hash.clone(),
        include_type_sources: false,
    };
    let answer = remote.call::<GetTypeDescription>(&service, &request).ok()?;
    answer.successful.then_some(answer.type_description)
}

/// What was looked at of a running graph.
pub struct Running {
    /// How many nodes were found.
    pub nodes: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Each process says everything once a second.
const LISTEN: Duration = Duration::from_millis(1200);

/// Looks at the graph that runs, for about a second and a half.
///
/// # Errors
/// [`RemoteError`]: nothing runs, or it cannot be reached.
pub fn look(remote: &Remote) -> Result<Running, RemoteError> {
    let begun = Instant::now();
    let ear = Ear::open(remote)?;
    let view = remote.view()?;
    // Samples come on threads of the wire.
    std::thread::sleep(LISTEN.saturating_sub(begun.elapsed()));
    let mut problems = ear.problems();
    problems.extend(apart(remote, &view, &problems));
    Ok(Running { nodes: view.nodes.len(), problems: sorted(problems) })
}

/// What is wrong with what a launch file means to connect. Its nodes are set up with their default parameters, in a graph that does not
/// run and reaches nobody. Topics of nodes that cannot be set up so are not known.
#[must_use]
pub fn meant(launch: &Launch) -> Vec<Problem> {
    let config = GraphConfig { log: silent_sink(), ..GraphConfig::default() };
    let Ok(mut graph) = Graph::new(config) else { return Vec::new() };
    let mut complete = true;
    let mut found = Vec::new();
    for node in &launch.nodes {
        let spec = GraphNode {
            name: Some(node.name.clone()),
            namespace: Some(node.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            remaps: node.remap.iter().cloned().collect(),
            ..GraphNode::default()
        };
        match registry::factory(&node.type_).filter(|_| !UNTOLD.contains(&node.type_.as_str())) {
            None => complete = false,
            Some(factory) => match graph.add(factory, spec) {
                Ok(()) => {}
                Err(error @ graph::SetupError::TypeMismatch { .. }) => {
                    found.push(Problem::error(
                        format!("{}: types", node.full_name().trim_start_matches('/')),
                        format!("{}: {error}", node.at),
                    ));
                }
                Err(_) => complete = false,
            },
        }
    }
    for status in graph.faults() {
        let Some(problem) = Problem::from_status(&status) else { continue };
        let (of_topic, nearest) = (problem.name.starts_with("graph: "), problem.values.iter().any(|(key, _)| key == "nearest"));
        let remap = problem.name.ends_with(": remap");
        // With its own parameters a node may say something else of itself; whom nobody feeds here may be fed by a node that is not known.
        if remap || (of_topic && (complete || nearest || problem.severity == Severity::Error)) {
            found.push(problem);
        }
    }
    sorted(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Options, load_text};

    fn status(name: &str, level: u8, message: &str) -> DiagnosticStatus {
        DiagnosticStatus { level, name: name.into(), message: message.into(), ..DiagnosticStatus::default() }
    }

    fn array(status: Vec<DiagnosticStatus>) -> DiagnosticArray {
        DiagnosticArray { status, ..DiagnosticArray::default() }
    }

    #[test]
    fn the_latest_word_counts_and_one_message_may_say_two_things_of_one_name() {
        let mut latest = Latest::new();
        hear(&mut latest, array(vec![status("a: x", 1, "one"), status("a: x", 2, "two"), status("b: y", 1, "three")]));
        assert_eq!(latest["a: x"].len(), 2);
        hear(&mut latest, array(vec![status("a: x", 0, "over: two")]));
        let all: Vec<_> = latest.values().flatten().filter_map(Problem::from_status).map(|problem| problem.message).collect();
        assert_eq!(all, ["three"]);
    }

    #[test]
    fn errors_come_first_and_what_is_said_twice_is_shown_once() {
        let problems = [
            status("b: y", 1, "w"),
            status("a: x", 2, "e"),
            status("b: y", 1, "w"),
            status("c: z", 3, "s"),
            status("d: k", 0, ""),
        ];
        let problems = sorted(problems.iter().filter_map(Problem::from_status).collect());
        let names: Vec<_> = problems.iter().map(|problem| (problem.severity.as_str(), problem.name.as_str())).collect();
        assert_eq!(names, [("error", "a: x"), ("warning", "b: y"), ("warning", "c: z")]);
        assert_eq!(problems[0].json(), json!({"severity": "error", "name": "a: x", "message": "e", "values": {}}));
    }

    fn meant_by(text: &str) -> Vec<Problem> {
        let launch = load_text(std::path::Path::new("a.yaml"), text, &registry::catalogue(), &Options::default()).unwrap();
        meant(&launch)
    }

    #[test]
    fn a_launch_file_that_remaps_past_a_listener_is_told_what_it_may_have_meant() {
        let text = "nodes:\n  - {type: lidar, remap: {scan: scna}}\n  - type: safety\n";
        let found = meant_by(text);
        let scan = found.iter().find(|problem| problem.name == "graph: topic /scna");
        assert!(scan.is_some_and(|problem| problem.message.contains("/scan; did you mean that?")), "{found:?}");
        let found = meant_by("nodes:\n  - {type: lidar, remap: {scann: front}}\n");
        assert!(
            found.iter().any(|problem| problem.name == "lidar: remap" && problem.message.contains("did you mean `scan`")),
            "{found:?}"
        );
        assert_eq!(meant_by("nodes:\n  - type: lidar\n  - type: safety\n"), []);
    }
}
