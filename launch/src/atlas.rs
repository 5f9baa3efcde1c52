//! A running graph as one thing to draw: processes, nodes, topics, edges with what they carry, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::explain::Problem;
use msgs::omnimind_msgs::msg::{EdgeStatistics, GraphStatistics, NodeStatistics};
use serde_json::{Value, json};
use wire::{EndpointInfo, EntityKind, GraphView, NameInfo};

/// Topics that every node has, left out of drawings unless all is wanted.
const EVERYWHERE: [&str; 4] = ["/rosout", "/parameter_events", "/diagnostics", "/clock"];

/// What is known about a running graph: what its nodes announce, and what its processes count.
pub struct Atlas {
    view: GraphView,
    nodes: BTreeMap<String, NodeStatistics>,
    edges: Vec<EdgeStatistics>,
    problems: Vec<String>,
}

impl Atlas {
    /// Puts together what was announced and what was counted.
    #[must_use]
    pub fn new(view: GraphView, statistics: &[GraphStatistics]) -> Self {
        let problems = view.mismatches();
        let nodes = statistics.iter().flat_map(|s| &s.nodes).map(|n| (n.name.clone(), n.clone())).collect();
        let edges = statistics.iter().flat_map(|s| s.edges.iter().cloned()).collect();
        Self { view, nodes, edges, problems }
    }

    /// With what its processes say on /diagnostics; what is known already is left out.
    #[must_use]
    pub fn with(mut self, problems: &[Problem]) -> Self {
        for problem in problems {
            // `graph: topic /x`, `node: input /x`: the last word of the name is what it is about.
            let about = problem.name.rsplit(' ').next().filter(|word| word.starts_with('/')).unwrap_or(&problem.name);
            let known = self.problems.iter().any(|sentence| {
                sentence
                    .strip_prefix(about)
                    .and_then(|rest| rest.strip_prefix(": "))
                    .is_some_and(|why| problem.message.contains(why))
            });
            if !known {
                self.problems.push(format!("{about}: {}", problem.message));
            }
        }
        self
    }

    /// Names of nodes, sorted.
    #[must_use]
    pub fn nodes(&self) -> Vec<&str> {
        self.view.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// Topics with who publishes and who listens, sorted by name.
    #[must_use]
    pub fn topics(&self) -> Vec<NameInfo> {
        self.view.topics()
    }

    /// What keeps nodes from hearing each other, a sentence each.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Edges as their processes count them.
    #[must_use]
    pub fn edges(&self) -> &[EdgeStatistics] {
        &self.edges
    }

    /// What a node's process counts about it.
    #[must_use]
    pub fn counted(&self, node: &str) -> Option<&NodeStatistics> {
        self.nodes.get(node)
    }

    /// A node's endpoints of one kind.
    pub fn endpoints(&self, node: &str, kind: EntityKind) -> impl Iterator<Item = &EndpointInfo> {
        self.view.endpoints.iter().filter(move |e| e.node == node && e.kind == kind)
    }

    /// The edge that a process counts between two nodes, or between a node and the outside.
    fn edge(&self, topic: &str, publisher: &str, subscriber: &str) -> Option<&EdgeStatistics> {
        let matching =
            |from: &str, to: &str| self.edges.iter().find(|e| e.topic == topic && e.publisher == from && e.subscriber == to);
        matching(publisher, subscriber).or_else(|| matching("", subscriber)).or_else(|| matching(publisher, ""))
    }

    /// As JSON: `nodes[] {name, process, state, busy, p50_ms, p99_ms, dropped}`, `topics[] {name, types, sources, sinks}`, `services[]`
    /// alike, `edges[]` as omnimind_msgs/EdgeStatistics, `problems[]` sentences.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let endpoint =
            |e: &EndpointInfo| json!({"node": e.node, "type": e.type_name, "type_hash": e.type_hash, "qos": e.qos.to_string()});
        let name = |n: &NameInfo| {
            json!({
                "name": n.name,
                "types": n.types,
                "sources": n.sources.iter().map(endpoint).collect::<Vec<_>>(),
                "sinks": n.sinks.iter().map(endpoint).collect::<Vec<_>>(),
            })
        };
        let node = |n: &wire::NodeInfo| {
            let mut object = json!({"name": n.name, "process": n.session});
            if let Some(counted) = self.nodes.get(&n.name) {
                object["state"] = counted.state.clone().into();
                object["busy"] = counted.busy.into();
                object["p50_ms"] = counted.p50_ms.into();
                object["p99_ms"] = counted.p99_ms.into();
                object["dropped"] = counted.dropped.into();
            }
            object
        };
        let edge = |e: &EdgeStatistics| {
            json!({
                "topic": e.topic, "type": e.type_, "publisher": e.publisher, "subscriber": e.subscriber, "transport": e.transport,
                "copies": e.copies, "messages": e.messages, "dropped": e.dropped, "rate": e.rate, "p50_us": e.p50_us,
                "p99_us": e.p99_us, "why": e.why,
            })
        };
        json!({
            "nodes": self.view.nodes.iter().map(node).collect::<Vec<_>>(),
            "topics": self.view.topics().iter().map(name).collect::<Vec<_>>(),
            "services": self.view.services().iter().map(name).collect::<Vec<_>>(),
            "edges": self.edges.iter().map(edge).collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }

    /// As Graphviz text: a box per node, framed by process; an oval per topic; a line where messages go, thick where they go through
    /// shared memory, dashed where they cross the network, red where something is wrong. Unless `all`, topics that every node has and
    /// topics of actions are left out.
    #[must_use]
    pub fn to_dot(&self, all: bool) -> String {
        let mut dot = String::from(
            "digraph omnimind {\n  rankdir=LR;\n  node [fontname=\"Helvetica\", fontsize=10];\n  edge [fontname=\"Helvetica\", fontsize=8];\n",
        );
        let mut processes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in &self.view.nodes {
            processes.entry(&node.session).or_default().push(&node.name);
        }
        for (number, (session, nodes)) in processes.iter().enumerate() {
            let short = session.get(..8).unwrap_or(session);
            let _ =
                writeln!(dot, "  subgraph cluster_{number} {{\n    label={}; color=gray;", quote(&format!("process {short}")));
            for node in nodes {
                let failed = self.nodes.get(*node).is_some_and(|n| n.state == "failed");
                let colour = if failed { ", color=red" } else { "" };
                let _ = writeln!(dot, "    {} [shape=box, style=rounded{colour}];", quote(node));
            }
            dot.push_str("  }\n");
        }
        let wrong: BTreeSet<&str> = self.problems.iter().filter_map(|p| p.split_once(": ").map(|(name, _)| name)).collect();
        for topic in self.view.topics() {
            if !all && (EVERYWHERE.contains(&topic.name.as_str()) || topic.name.contains("/_action/")) {
                continue;
            }
            let red = if wrong.contains(topic.name.as_str()) { ", color=red, fontcolor=red" } else { "" };
            let id = quote(&format!("topic {}", topic.name));
            let label = quote(&format!("{}\n{}", topic.name, topic.types.join(", ")));
            let _ = writeln!(dot, "  {id} [label={label}, shape=ellipse, fontsize=9{red}];");
            for source in &topic.sources {
                let _ = writeln!(dot, "  {} -> {id};", quote(&source.node));
            }
            for sink in &topic.sinks {
                let counted = topic.sources.iter().find_map(|source| self.edge(&topic.name, &source.node, &sink.node));
                let _ = writeln!(dot, "  {id} -> {} [{}];", quote(&sink.node), counted.map_or_else(String::new, line));
            }
        }
        for (number, problem) in self.problems.iter().enumerate() {
            let _ = writeln!(dot, "  \"problem {number}\" [label={}, shape=note, color=red, fontcolor=red];", quote(problem));
        }
        dot.push_str("}\n");
        dot
    }
}

/// How an edge is drawn.
fn line(edge: &EdgeStatistics) -> String {
    let style = match edge.transport.as_str() {
        "shared-memory" => "penwidth=2",
        "network" => "style=dashed",
        _ => "style=solid",
    };
    let dropped = if edge.dropped > 0 { format!("\n{} dropped", edge.dropped) } else { String::new() };
    let colour = if edge.dropped > 0 { ", color=orange" } else { "" };
    format!("{style}{colour}, label={}", quote(&format!("{:.1} Hz{dropped}", edge.rate)))
}

/// A Graphviz string: quotation marks and backslashes escaped, line breaks as `\n`.
fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: [&str; 6] = [
        "@ros2_lv/0/aa/1/1/NN/%/%/talker",
        "@ros2_lv/0/bb/1/1/NN/%/%/listener",
        "@ros2_lv/0/aa/1/2/MP/%/%/talker/%chatter/std_msgs::msg::dds_::String_/RIHS01_1/::,5:,:,:,,",
        "@ros2_lv/0/bb/1/2/MS/%/%/listener/%chatter/std_msgs::msg::dds_::String_/RIHS01_1/::,10:,:,:,,",
        "@ros2_lv/0/aa/1/3/MP/%/%/talker/%rosout/rcl_interfaces::msg::dds_::Log_/RIHS01_3/::,10:,:,:,,",
        "@ros2_lv/0/bb/1/3/MS/%/%/listener/%odd/std_msgs::msg::dds_::String_/RIHS01_1/::,10:,:,:,,",
    ];

    fn atlas(tokens: &[&str]) -> Atlas {
        let edge = EdgeStatistics {
            topic: "/chatter".into(),
            publisher: String::new(),
            subscriber: "/listener".into(),
            transport: "network".into(),
            rate: 2.5,
            dropped: 3,
            ..Default::default()
        };
        let node = NodeStatistics { name: "/talker".into(), state: "failed".into(), ..Default::default() };
        let statistics = GraphStatistics { nodes: vec![node], edges: vec![edge], ..Default::default() };
        Atlas::new(GraphView::from_tokens(tokens.iter().copied()), &[statistics])
    }

    #[test]
    fn a_drawing_shows_processes_rates_drops_and_failures_and_hides_what_every_node_has() {
        let dot = atlas(&TOKENS).to_dot(false);
        for part in [
            "label=\"process aa\"",
            "\"/talker\" [shape=box, style=rounded, color=red]",
            "\"/talker\" -> \"topic /chatter\"",
            "\"topic /chatter\" -> \"/listener\" [style=dashed, color=orange, label=\"2.5 Hz\\n3 dropped\"]",
        ] {
            assert!(dot.contains(part), "{part} in {dot}");
        }
        assert!(!dot.contains("rosout") && atlas(&TOKENS).to_dot(true).contains("rosout"));
    }

    #[test]
    fn what_keeps_nodes_apart_is_red() {
        let other = TOKENS[3].replace("RIHS01_1", "RIHS01_9");
        let dot = atlas(&[TOKENS[0], TOKENS[1], TOKENS[2], &other]).to_dot(false);
        assert!(dot.contains("std_msgs/msg/String\", shape=ellipse, fontsize=9, color=red"), "{dot}");
        assert!(dot.contains("shape=note") && dot.contains("different definitions"), "{dot}");
    }

    #[test]
    fn what_the_graph_says_of_a_topic_makes_it_red_and_nothing_is_said_twice() {
        let problem = |name: &str, message: &str| Problem {
            severity: crate::explain::Severity::Warning,
            name: name.into(),
            message: message.into(),
            values: Vec::new(),
        };
        let other = TOKENS[3].replace("RIHS01_1", "RIHS01_9");
        let apart = atlas(&[TOKENS[0], TOKENS[1], TOKENS[2], &other]);
        let known = apart.problems()[0].split_once(": ").unwrap().1.to_owned();
        let told =
            [problem("graph: topic /chatter", &format!("{known} (field x)")), problem("listener: input /odd", "nothing for 3 s")];
        let atlas = apart.with(&told);
        assert_eq!(atlas.problems().len(), 2);
        assert_eq!(atlas.problems()[1], "/odd: nothing for 3 s");
        let dot = super::tests::atlas(&TOKENS).with(&told[1..]).to_dot(false);
        assert!(dot.contains("/odd\\nstd_msgs/msg/String\", shape=ellipse, fontsize=9, color=red"), "{dot}");
    }

    #[test]
    fn json_names_both_ends_and_what_was_counted() {
        let json = atlas(&TOKENS).to_json();
        assert_eq!(json["nodes"][1]["name"], "/talker");
        assert_eq!(json["nodes"][1]["state"], "failed");
        assert_eq!(json["edges"][0]["dropped"], 3);
        let chatter = json["topics"].as_array().and_then(|topics| topics.iter().find(|t| t["name"] == "/chatter")).unwrap();
        assert_eq!((&chatter["sources"][0]["node"], &chatter["sinks"][0]["node"]), (&json!("/talker"), &json!("/listener")));
    }

    #[test]
    fn names_cannot_break_out_of_a_drawing() {
        assert_eq!(quote("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
    }
}
