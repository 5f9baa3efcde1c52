//! Snapshots of both sides.

use crate::rcl::{EndpointSeen, Node, NodeSeen, RclError};
use crate::snapshot::{End, Snapshot, bridge_identity, join};
use graph::Qos;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{EntityKind, Gid, GraphView, Guest};

/// Namespace of the enclaves that bridges say they live in: so the nodes that a bridge announces for others are told from real ones.
pub const ENCLAVES: &str = "/omnimind_bridge";

/// The topic that a bridge announces before any other and never uses: by it the others know its participant.
pub const BEACON: &str = "/_omnimind_bridge";

/// First bytes of an identity on DDS, the same for all endpoints of a participant (DDSI-RTPS 2.5, 8.2.4.1).
pub type Participant = [u8; 12];

/// A side, and who on it is a bridge.
#[derive(Debug, Default)]
pub struct Seen {
    /// The side without what bridges brought.
    pub snapshot: Snapshot,
    /// Publishers by identity, and whether a bridge owns them.
    pub publishers: BTreeMap<Gid, bool>,
}

fn participant(gid: &Gid) -> Participant {
    let mut prefix = Participant::default();
    prefix.copy_from_slice(&gid[..12]);
    prefix
}

/// The participants of bridges on DDS, as known now.
///
/// # Errors
/// [`RclError`] if the middleware fails.
pub fn bridges(node: &Node) -> Result<BTreeSet<Participant>, RclError> {
    Ok(node.publishers(BEACON)?.iter().map(|found| participant(&found.gid)).collect())
}

/// The DDS side.
///
/// # Errors
/// [`RclError`] if the middleware fails.
pub fn dds(node: &Node) -> Result<Seen, RclError> {
    let mut seen = Seen::default();
    let mut real: BTreeSet<NodeSeen> = BTreeSet::new();
    for found in node.nodes()? {
        if found.enclave.starts_with(ENCLAVES) {
            seen.snapshot.bridges.extend(bridge_identity(&found.name).map(str::to_owned));
        } else {
            seen.snapshot.nodes.insert(join(&found.namespace, &found.name));
            real.insert(found);
        }
    }
    let mut topics = Vec::new();
    for topic in node.topics()?.into_keys() {
        let (publishers, subscriptions) = (node.publishers(&topic)?, node.subscriptions(&topic)?);
        topics.push((topic, publishers, subscriptions));
    }
    // After the others: whoever's publisher is known has its beacon known by then.
    let bridges = bridges(node)?;
    for (topic, publishers, subscriptions) in topics {
        seen.publishers.extend(publishers.iter().map(|found| (found.gid, of_bridge(&found.gid, &bridges))));
        let real = |found: &EndpointSeen| !of_bridge(&found.gid, &bridges);
        seen.snapshot.publishers.extend(publishers.into_iter().filter(real).map(|found| end(&topic, found)));
        seen.snapshot.subscriptions.extend(subscriptions.into_iter().filter(real).map(|found| end(&topic, found)));
    }
    for owner in real {
        let full = join(&owner.namespace, &owner.name);
        for (name, types) in node.services_of(&owner)? {
            seen.snapshot.servers.extend(types.into_iter().map(|type_name| End {
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

/// Whether an endpoint on DDS belongs to one of these bridges. Its node's name would come later than the endpoint itself.
pub fn of_bridge(gid: &Gid, participants: &BTreeSet<Participant>) -> bool {
    participants.contains(&participant(gid))
}

fn end(topic: &str, found: EndpointSeen) -> End {
    let node = join(&found.namespace, &found.node);
    End { node, name: topic.to_owned(), type_name: found.type_name, hash: found.hash, qos: found.qos }
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

/// Tells which publishers on Zenoh are bridges'.
pub struct Origins {
    zenoh: Arc<Guest>,
    known: RwLock<BTreeMap<Gid, bool>>,
}

impl Origins {
    /// Of this session's graph.
    pub fn new(zenoh: &Arc<Guest>) -> Arc<Self> {
        Arc::new(Self { zenoh: Arc::clone(zenoh), known: RwLock::default() })
    }

    /// Replaces what is known by what was just seen.
    pub fn update(&self, publishers: BTreeMap<Gid, bool>) {
        *self.known.write() = publishers;
    }

    /// Whether a sample came over another bridge. A publisher that is newer than the last look at the graph is looked up. One that
    /// nobody announced is no bridge's; that is kept until the next look, for it costs a look to find out.
    pub fn of_bridge(&self, gid: &Gid) -> bool {
        if let Some(known) = self.known.read().get(gid) {
            return *known;
        }
        let mut publishers = zenoh(&self.zenoh.view()).publishers;
        let bridge = *publishers.entry(*gid).or_insert(false);
        self.known.write().extend(publishers);
        bridge
    }
}
