//! What is wrong with a running graph, or with what a launch file means to start: sentences with how bad they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use graph::{Durability, Graph, GraphConfig, NodeSpec as GraphNode, Qos, silent_sink};
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

/// Where it is told what is wrong.
const TOPIC: &str = "/diagnostics";

/// A message: its publisher, and the number there.
type Sender = ([u8; 16], i64);

/// The statuses of one name: those that came together in one message.
type Latest = BTreeMap<String, (Sender, Vec<DiagnosticStatus>)>;

#[derive(Default)]
struct Heard {
    latest: Latest,
    /// The publishers that have said everything: what their nodes do, and what is wrong.
    complete: BTreeSet<[u8; 16]>,
}

/// Listens to /diagnostics until it is dropped.
pub struct Ear {
    heard: Arc<(Mutex<Heard>, Condvar)>,
    _subscription: RawSubscription,
}

impl Ear {
    /// Begins to listen, and asks for what was said before.
    ///
    /// # Errors
    /// [`RemoteError::Wire`].
    pub fn open(remote: &Remote) -> Result<Self, RemoteError> {
        let heard: Arc<(Mutex<Heard>, Condvar)> = Arc::default();
        let (news, kept) = (Arc::clone(&heard), Arc::clone(&heard));
        let subscription = remote.subscribe(TOPIC, Qos::reliable(100), move |sample| take(&news, &sample))?;
        remote.kept(TOPIC, move |sample| take(&kept, &sample))?;
        Ok(Self { heard, _subscription: subscription })
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every publisher in `view` has said everything. Those that keep what they say are asked and answer at once; for others, and
    /// for those that have just been started, it takes as long as until their next report, or `patience`.
    pub fn settle(&self, view: &GraphView, patience: Duration) {
        let until = Instant::now() + patience;
        let topics = view.topics();
        let sources = topics.iter().filter(|topic| topic.name == TOPIC).flat_map(|topic| &topic.sources);
        let (mut keep, mut silent) = (0, false);
        for source in sources {
            if source.qos.durability == Durability::TransientLocal { keep += 1 } else { silent = true }
        }
        let mut heard = self.lock();
        // Nobody can tell whether one that keeps nothing has said everything.
        while silent || heard.complete.len() < keep {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            heard = self.heard.1.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(heard);
        // What the last one has said since then is on its way together with it.
        std::thread::sleep(TOGETHER);
    }

    /// What is wrong by the latest word of everybody.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        sorted(self.lock().latest.values().flat_map(|(_, said)| said).filter_map(Problem::from_status).collect())
    }
}

fn take((heard, said): &(Mutex<Heard>, Condvar), sample: &wire::RawSample) {
    let Ok(report) = DiagnosticArray::from_cdr(&sample.payload) else { return };
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    // A graph's whole report begins with its nodes.
    if report.status.iter().any(|status| status.name.ends_with(": node")) {
        heard.complete.insert(sample.attachment.gid);
    }
    hear(&mut heard.latest, (sample.attachment.gid, sample.attachment.sequence), report);
    said.notify_all();
}

/// One message may say several things under one name; what a later one says under it takes their place. What was asked for may come after
/// what its publisher has said since.
fn hear(latest: &mut Latest, sender: Sender, report: DiagnosticArray) {
    let mut fresh: BTreeMap<String, Vec<DiagnosticStatus>> = BTreeMap::new();
    for status in report.status {
        fresh.entry(status.name.clone()).or_default().push(status);
    }
    for (name, said) in fresh {
        if latest.get(&name).is_none_or(|(known, _)| known.0 != sender.0 || known.1 <= sender.1) {
            latest.insert(name, (sender, said));
        }
    }
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

/// How far apart the last of several messages can be that were asked for together.
const TOGETHER: Duration = Duration::from_millis(5);

/// Looks at the graph that runs: at what its processes keep, and if one of them keeps nothing for a second and a half.
///
/// # Errors
/// [`RemoteError`]: nothing runs, or it cannot be reached.
pub fn look(remote: &Remote) -> Result<Running, RemoteError> {
    let ear = Ear::open(remote)?;
    let view = remote.view()?;
    ear.settle(&view, LISTEN);
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
        hear(
            &mut latest,
            ([1; 16], 1),
            array(vec![status("a: x", 1, "one"), status("a: x", 2, "two"), status("b: y", 1, "three")]),
        );
        assert_eq!(latest["a: x"].1.len(), 2);
        hear(&mut latest, ([1; 16], 2), array(vec![status("a: x", 0, "over: two")]));
        // What was asked for comes after what was said since.
        hear(&mut latest, ([1; 16], 1), array(vec![status("a: x", 2, "two"), status("c: z", 1, "four")]));
        let said = latest.values().flat_map(|(_, said)| said);
        let all: Vec<_> = said.filter_map(Problem::from_status).map(|problem| problem.message).collect();
        assert_eq!(all, ["three", "four"]);
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
