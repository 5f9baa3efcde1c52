//! Snapshots of both sides.

use crate::rcl::{EndpointSeen, Node, NodeSeen, RclError};
use crate::snapshot::{End, Snapshot, bridge_identity, join};
use graph::Qos;
use std::collections::{BTreeMap, BTreeSet};
use wire::{EntityKind, Gid, GraphView};

/// Namespace of the enclaves that bridges say they live in: so the nodes that a bridge announces for others are told from real ones.
pub const ENCLAVES: &str = "/omnimind_bridge";

/// A side, and who on it is a bridge.
#[derive(Debug, Default)]
pub struct Seen {
    /// The side without what bridges brought.
    pub snapshot: Snapshot,
    /// Publishers by identity, and whether a bridge owns them.
    pub publishers: BTreeMap<Gid, bool>,
}

/// The DDS side.
///
/// # Errors
/// [`RclError`] if the middleware fails.
pub fn dds(node: &Node) -> Result<Seen, RclError> {
    let mut seen = Seen::default();
    let side = &mut seen.snapshot;
    let mut real: BTreeSet<NodeSeen> = BTreeSet::new();
    for found in node.nodes()? {
        if found.enclave.starts_with(ENCLAVES) {
            side.bridges.extend(bridge_identity(&found.name).map(str::to_owned));
        } else {
            side.nodes.insert(join(&found.namespace, &found.name));
            real.insert(found);
        }
    }
    for topic in node.topics()?.into_keys() {
        for found in node.publishers(&topic)? {
            seen.publishers.insert(found.gid, of_bridge(&found));
            side.publishers.extend(end(&topic, found));
        }
        side.subscriptions.extend(node.subscriptions(&topic)?.into_iter().filter_map(|found| end(&topic, found)));
    }
    for owner in real {
        let full = join(&owner.namespace, &owner.name);
        for (name, types) in node.services_of(&owner)? {
            side.servers.extend(types.into_iter().map(|type_name| End {
                node: full.clone(),
                name: name.clone(),
                type_name,
                hash: String::new(),
                qos: Qos::reliable(10),
            }));
        }
    }
    Ok(seen)
}

/// Whether an endpoint belongs to a bridge: all endpoints of topics do so under the bridge's own node.
pub fn of_bridge(endpoint: &EndpointSeen) -> bool {
    bridge_identity(&endpoint.node).is_some()
}

fn end(topic: &str, found: EndpointSeen) -> Option<End> {
    if of_bridge(&found) {
        return None;
    }
    let node = join(&found.namespace, &found.node);
    Some(End { node, name: topic.to_owned(), type_name: found.type_name, hash: found.hash, qos: found.qos })
}

/// The Zenoh side.
pub fn zenoh(view: &GraphView) -> Seen {
    let mut seen = Seen::default();
    let side = &mut seen.snapshot;
    let mut bridges: BTreeSet<&str> = BTreeSet::new();
    for node in &view.nodes {
        if let Some(identity) = bridge_identity(&node.name) {
            bridges.insert(&node.session);
            side.bridges.insert(identity.to_owned());
        }
    }
    let real = |session: &String| !bridges.contains(session.as_str());
    side.nodes.extend(view.nodes.iter().filter(|node| real(&node.session)).map(|node| node.name.clone()));
    for endpoint in &view.endpoints {
        let ends = match endpoint.kind {
            EntityKind::Publisher => {
                seen.publishers.insert(endpoint.gid, !real(&endpoint.session));
                &mut side.publishers
            }
            EntityKind::Subscription => &mut side.subscriptions,
            EntityKind::Service => &mut side.servers,
            EntityKind::Client | EntityKind::Node => continue,
        };
        if real(&endpoint.session) {
            ends.push(End {
                node: endpoint.node.clone(),
                name: endpoint.name.clone(),
                type_name: endpoint.type_name.clone(),
                hash: endpoint.type_hash.clone(),
                qos: endpoint.qos,
            });
        }
    }
    seen
}
