//! What a bridge sees of either side.

use graph::Qos;
use std::collections::BTreeSet;

/// Base name of a bridge's own node, followed by its identity. The leading underscore hides it from `ros2 node list`.
pub const BRIDGE_NODE: &str = "_omnimind_bridge_";

/// A side of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// ROS 2 nodes on a DDS middleware.
    Dds,
    /// The graph, and other nodes on Zenoh.
    Zenoh,
}

impl Side {
    /// The opposite side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Dds => Self::Zenoh,
            Self::Zenoh => Self::Dds,
        }
    }

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dds => "DDS",
            Self::Zenoh => "Zenoh",
        }
    }
}

/// One end of a topic or service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Fully qualified name of its node; empty where the side does not say.
    pub node: String,
    /// Fully qualified name of the topic or service.
    pub name: String,
    /// ROS name of its type, e.g. `sensor_msgs/msg/Image`.
    pub type_name: String,
    /// Type hash; empty where the side does not say.
    pub hash: String,
    /// Quality of service offered or requested; of no meaning for services.
    pub qos: Qos,
}

/// One side at one moment, without what bridges brought there: neither this bridge nor another may carry that back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Fully qualified names of nodes.
    pub nodes: BTreeSet<String>,
    /// Publishers of topics.
    pub publishers: Vec<End>,
    /// Subscriptions to topics.
    pub subscriptions: Vec<End>,
    /// Servers of services.
    pub servers: Vec<End>,
    /// Identities of the bridges that reach this side.
    pub bridges: BTreeSet<String>,
}

/// The identity in the name of a bridge's node; `None` for the node of somebody else.
#[must_use]
pub fn bridge_identity(node: &str) -> Option<&str> {
    node.trim_start_matches('/').strip_prefix(BRIDGE_NODE)
}

/// Namespace and base name of a fully qualified node name, e.g. (`/robot`, `camera`) or (`/`, `camera`).
#[must_use]
pub fn split(node: &str) -> (&str, &str) {
    match node.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((namespace, name)) => (namespace, name),
        None => ("/", node),
    }
}

/// A full name from namespace and base name.
#[must_use]
pub fn join(namespace: &str, name: &str) -> String {
    format!("{}/{name}", namespace.trim_end_matches('/'))
}

/// The other bridge that does this bridge's work already: one that reaches both sides. Of two, the one with the smaller identity works
/// and the other stands by, or every sample would cross twice.
#[must_use]
pub fn working_instead_of(own: &str, dds: &Snapshot, zenoh: &Snapshot) -> Option<String> {
    dds.bridges.intersection(&zenoh.bridges).find(|other| other.as_str() < own).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_put_together() {
        for (full, parts) in [("/a", ("/", "a")), ("/r/a", ("/r", "a")), ("/r/s/a", ("/r/s", "a"))] {
            assert_eq!(split(full), parts);
            assert_eq!(join(parts.0, parts.1), full);
        }
        assert_eq!(bridge_identity("/_omnimind_bridge_7f"), Some("7f"));
        assert_eq!(bridge_identity("/battery"), None);
    }

    #[test]
    fn of_two_bridges_between_the_same_sides_one_works() {
        let sees = |ids: &[&str]| Snapshot { bridges: ids.iter().map(|id| (*id).to_owned()).collect(), ..Snapshot::default() };
        let both = sees(&["1", "2"]);
        assert_eq!(working_instead_of("1", &both, &both), None);
        assert_eq!(working_instead_of("2", &both, &both), Some("1".into()));
        // A bridge from the same DDS domain to another Zenoh system is not one of the two.
        assert_eq!(working_instead_of("2", &both, &sees(&["2"])), None);
    }
}
