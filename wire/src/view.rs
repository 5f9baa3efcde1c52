//! The ROS graph as liveliness tokens tell it.

use crate::attachment::{Gid, gid_of};
use crate::name::{Entity, EntityKind, parse_token};
use graph::Qos;
use std::collections::{BTreeMap, BTreeSet};

/// A node somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeInfo {
    /// Fully qualified name, e.g. `/robot/camera`.
    pub name: String,
    /// Zenoh identity of its session, hexadecimal.
    pub session: String,
}

/// A publisher, subscription, service or client somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointInfo {
    /// What it is.
    pub kind: EntityKind,
    /// Fully qualified name of its node.
    pub node: String,
    /// Fully qualified name of its topic or service.
    pub name: String,
    /// ROS name of its type, e.g. `sensor_msgs/msg/Image`; as on the wire if that is not of the usual form.
    pub type_name: String,
    /// Type hash.
    pub type_hash: String,
    /// Quality of service.
    pub qos: Qos,
    /// Global identity, as in attachments.
    pub gid: Gid,
    /// Zenoh identity of its session, hexadecimal.
    pub session: String,
}

/// A topic or service with everybody on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameInfo {
    /// Fully qualified name.
    pub name: String,
    /// All type names in use, sorted; more than one is a mistake.
    pub types: Vec<String>,
    /// Publishers of a topic, servers of a service.
    pub sources: Vec<EndpointInfo>,
    /// Subscriptions of a topic, clients of a service.
    pub sinks: Vec<EndpointInfo>,
}

/// A snapshot of the graph, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphView {
    /// Nodes by name.
    pub nodes: Vec<NodeInfo>,
    /// Endpoints by name.
    pub endpoints: Vec<EndpointInfo>,
}

impl GraphView {
    /// The view that these tokens give; what is not a token is left out.
    pub fn from_tokens<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let mut view = Self::default();
        for token in tokens {
            if let Some(entity) = parse_token(token) {
                view.add(gid_of(token), entity);
            }
        }
        view.sort();
        view
    }

    /// As [`GraphView::from_tokens`], of tokens that have been read, with the identity of each.
    pub(crate) fn from_entities(entities: impl IntoIterator<Item = (Gid, Entity)>) -> Self {
        let mut view = Self::default();
        for (gid, entity) in entities {
            view.add(gid, entity);
        }
        view.sort();
        view
    }

    fn sort(&mut self) {
        let view = self;
        view.nodes.sort();
        view.endpoints.sort_by(|a, b| (&a.name, a.kind, &a.node, a.gid).cmp(&(&b.name, b.kind, &b.node, b.gid)));
    }

    fn add(&mut self, gid: Gid, entity: Entity) {
        let node = entity.node_name();
        match entity.qos {
            None => self.nodes.push(NodeInfo { name: node, session: entity.session }),
            Some(qos) => self.endpoints.push(EndpointInfo {
                kind: entity.kind,
                node,
                type_name: entity.type_name(),
                name: entity.name,
                type_hash: entity.type_hash,
                qos,
                gid,
                session: entity.session,
            }),
        }
    }

    /// Topics by name; the inner topics of actions (`/_action/`) included.
    pub fn topics(&self) -> Vec<NameInfo> {
        self.by_name(EntityKind::Publisher, EntityKind::Subscription)
    }

    /// Services by name; the inner services of actions included.
    pub fn services(&self) -> Vec<NameInfo> {
        self.by_name(EntityKind::Service, EntityKind::Client)
    }

    /// Names of actions with their type, e.g. (`/grasp`, `omnimind_msgs/action/Act`).
    pub fn actions(&self) -> Vec<(String, String)> {
        let mut found = BTreeSet::new();
        for endpoint in self.endpoints.iter().filter(|e| e.kind == EntityKind::Service) {
            let name = endpoint.name.strip_suffix("/_action/send_goal");
            if let (Some(name), Some(kind)) = (name, endpoint.type_name.strip_suffix("_SendGoal")) {
                found.insert((name.to_owned(), kind.to_owned()));
            }
        }
        found.into_iter().collect()
    }

    fn by_name(&self, source: EntityKind, sink: EntityKind) -> Vec<NameInfo> {
        let mut names: BTreeMap<&str, NameInfo> = BTreeMap::new();
        for endpoint in self.endpoints.iter().filter(|e| e.kind == source || e.kind == sink) {
            let info = names.entry(&endpoint.name).or_default();
            info.name.clone_from(&endpoint.name);
            if !info.types.contains(&endpoint.type_name) {
                info.types.push(endpoint.type_name.clone());
            }
            if endpoint.kind == source { &mut info.sources } else { &mut info.sinks }.push(endpoint.clone());
        }
        let mut all: Vec<NameInfo> = names.into_values().collect();
        all.iter_mut().for_each(|info| info.types.sort());
        all
    }

    /// What keeps endpoints of the same name from hearing each other, a sentence each.
    pub fn mismatches(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for info in self.topics().into_iter().chain(self.services()) {
            for source in &info.sources {
                for sink in &info.sinks {
                    if let Some(why) = mismatch(source, sink) {
                        found.insert(format!("{}: {why}", info.name));
                    }
                }
            }
        }
        found.into_iter().collect()
    }
}

fn mismatch(source: &EndpointInfo, sink: &EndpointInfo) -> Option<String> {
    let (a, b) = (&source.node, &sink.node);
    if source.type_name != sink.type_name {
        return Some(format!("{a} offers {}, {b} expects {}", source.type_name, sink.type_name));
    }
    if source.type_hash != sink.type_hash {
        return Some(format!("{a} and {b} were built with different definitions of {}", source.type_name));
    }
    if source.kind == EntityKind::Publisher {
        // rmw_zenoh delivers all the same; other middlewares, and OmniMind, do not.
        return source.qos.incompatibility(&sink.qos).map(|why| format!("{a} to {b}: {why}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: [&str; 5] = [
        "@ros2_lv/0/aa/1/1/NN/%/%robot/talker",
        "@ros2_lv/0/aa/1/2/MP/%/%robot/talker/%chatter/std_msgs::msg::dds_::String_/RIHS01_1/2::,5:,:,:,,",
        "@ros2_lv/0/bb/1/2/MS/%/%/listener/%chatter/std_msgs::msg::dds_::String_/RIHS01_1/::,10:,:,:,,",
        "@ros2_lv/0/bb/1/3/SS/%/%/arm/%grasp%_action%send_goal/omnimind_msgs::action::dds_::Act_SendGoal_/RIHS01_2/::,10:,:,:,,",
        "nonsense",
    ];

    #[test]
    fn tokens_become_nodes_topics_services_and_actions() {
        let view = GraphView::from_tokens(TOKENS);
        assert_eq!(view.nodes, [NodeInfo { name: "/robot/talker".into(), session: "aa".into() }]);
        let topics = view.topics();
        assert_eq!(topics.len(), 1);
        assert_eq!((topics[0].name.as_str(), topics[0].types.as_slice()), ("/chatter", &["std_msgs/msg/String".to_owned()][..]));
        assert_eq!((topics[0].sources[0].node.as_str(), topics[0].sinks[0].node.as_str()), ("/robot/talker", "/listener"));
        assert_eq!(view.services().len(), 1);
        assert_eq!(view.actions(), [("/grasp".to_owned(), "omnimind_msgs/action/Act".to_owned())]);
    }

    #[test]
    fn mismatches_are_explained() {
        let view = GraphView::from_tokens(TOKENS);
        let found = view.mismatches();
        assert_eq!(
            found,
            [
                "/chatter: /robot/talker to /listener: the publisher offers best effort, the subscriber requests reliable (reliability)"
            ]
        );
        let other_hash = TOKENS[2].replace("RIHS01_1", "RIHS01_9");
        let found = GraphView::from_tokens([TOKENS[1], other_hash.as_str()]).mismatches();
        assert!(found[0].contains("different definitions of std_msgs/msg/String"), "{found:?}");
    }
}
