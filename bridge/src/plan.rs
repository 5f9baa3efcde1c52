//! Decides what to carry: a pure function of what both sides look like.

use crate::filter::Filter;
use crate::snapshot::{End, Side, Snapshot, bridge_identity, split};
use graph::{Durability, History, Qos, Reliability};
use std::collections::{BTreeMap, BTreeSet};

/// A topic or service, and the side where its publishers or servers are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// The side it comes from: where publishers or servers are.
    pub from: Side,
    /// Fully qualified name.
    pub name: String,
    /// ROS name of its type.
    pub type_name: String,
}

/// How a topic is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRoute {
    /// Type hash on both sides.
    pub hash: String,
    /// What the bridge requests where the publishers are.
    pub request: Qos,
    /// What it offers on the other side.
    pub offer: Qos,
    /// Whether subscriptions exist on the other side.
    pub wanted: bool,
}

/// How a service is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRoute {
    /// Type hash on both sides.
    pub hash: String,
    /// The node that serves it; the bridge serves under its name on the other side.
    pub owner: String,
}

/// All that is to be carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Topics.
    pub topics: BTreeMap<RouteKey, TopicRoute>,
    /// Services, those of actions and parameters included.
    pub services: BTreeMap<RouteKey, ServiceRoute>,
    /// Nodes of each side that are announced on the other.
    pub nodes: BTreeMap<Side, BTreeSet<String>>,
    /// What cannot be carried, by name, with the reason.
    pub refused: BTreeMap<String, String>,
}

/// Whether a type is one of a topic or of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// Of a topic.
    Message,
    /// Of a service.
    Service,
}

/// Says the hash of a type on the DDS side; an error is why it cannot be had.
pub type TypeLookup<'a> = &'a mut dyn FnMut(TypeKind, &str) -> Result<String, String>;

/// The most samples that a bridge keeps for late joiners of one topic.
const MAX_DEPTH: usize = 1000;
/// The fewest samples that may wait: a bridge is one more queue on the way.
const MIN_DEPTH: usize = 10;
/// The fewest that may wait for the bridge itself where nothing is to be lost: all publishers of a topic share the queue.
const MIN_RELIABLE_DEPTH: usize = 100;

/// What to carry between two sides.
pub fn plan(dds: &Snapshot, zenoh: &Snapshot, filter: &Filter, types: TypeLookup<'_>) -> Plan {
    let mut plan = Plan::default();
    for (from, source, target) in [(Side::Dds, dds, zenoh), (Side::Zenoh, zenoh, dds)] {
        topics(&mut plan, from, source, target, filter, types);
        services(&mut plan, from, source, target, filter, types);
        let hidden = |node: &&String| split(node).1.starts_with('_') || bridge_identity(node).is_some();
        let nodes = source.nodes.difference(&target.nodes).filter(|node| !hidden(node));
        plan.nodes.insert(from, nodes.cloned().collect());
    }
    plan
}

fn by_name(ends: &[End]) -> BTreeMap<(&str, &str), Vec<&End>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for end in ends {
        found.entry((end.name.as_str(), end.type_name.as_str())).or_default().push(end);
    }
    found
}

/// The hash that all agree on with the DDS side's own definition of the type.
fn agreed_hash(kind: TypeKind, type_name: &str, ends: &[&End], types: TypeLookup<'_>) -> Result<String, String> {
    let hash = types(kind, type_name)?;
    match ends.iter().find(|end| !end.hash.is_empty() && end.hash != hash) {
        Some(end) => {
            Err(format!("{} was built with another definition of {type_name} than the ROS 2 prefix of the bridge", end.node))
        }
        None => Ok(hash),
    }
}

fn topics(plan: &mut Plan, from: Side, source: &Snapshot, target: &Snapshot, filter: &Filter, types: TypeLookup<'_>) {
    let subscriptions = by_name(&target.subscriptions);
    for ((name, type_name), publishers) in by_name(&source.publishers) {
        if !filter.passes(name) {
            continue;
        }
        let listeners = subscriptions.get(&(name, type_name)).map(Vec::as_slice).unwrap_or_default();
        if let Some(other) =
            target.subscriptions.iter().chain(&target.publishers).find(|e| e.name == name && e.type_name != type_name)
        {
            let here = from.name();
            let there = from.other().name();
            let reason = format!(
                "it is {type_name} on {here} ({}) and {} on {there} ({})",
                publishers[0].node, other.type_name, other.node
            );
            plan.refused.insert(name.to_owned(), reason);
        }
        let ends: Vec<&End> = publishers.iter().chain(listeners).copied().collect();
        match agreed_hash(TypeKind::Message, type_name, &ends, types) {
            Ok(hash) => {
                let (request, offer) = adapt(&publishers, listeners);
                let key = RouteKey { from, name: name.to_owned(), type_name: type_name.to_owned() };
                plan.topics.insert(key, TopicRoute { hash, request, offer, wanted: !listeners.is_empty() });
            }
            Err(reason) => {
                plan.refused.insert(name.to_owned(), reason);
            }
        }
    }
}

fn services(plan: &mut Plan, from: Side, source: &Snapshot, target: &Snapshot, filter: &Filter, types: TypeLookup<'_>) {
    let served_there: BTreeSet<&str> = target.servers.iter().map(|end| end.name.as_str()).collect();
    for ((name, type_name), servers) in by_name(&source.servers) {
        // A name that is served on both sides is left to each side.
        if !filter.passes(name) || served_there.contains(name) {
            continue;
        }
        match agreed_hash(TypeKind::Service, type_name, &servers, types) {
            Ok(hash) => {
                let key = RouteKey { from, name: name.to_owned(), type_name: type_name.to_owned() };
                plan.services.insert(key, ServiceRoute { hash, owner: servers[0].node.clone() });
            }
            Err(reason) => {
                plan.refused.insert(name.to_owned(), reason);
            }
        }
    }
}

/// What to request of these publishers, and what to offer to these subscriptions.
///
/// A DDS publisher is heard only by subscriptions that request no more than it offers, so the bridge requests what every publisher
/// offers, and offers what the publishers do or a listener needs to hear it at all.
#[must_use]
pub fn adapt(publishers: &[&End], listeners: &[&End]) -> (Qos, Qos) {
    let reliable = |end: &&End| end.qos.reliability == Reliability::Reliable;
    let latched = |end: &&End| end.qos.durability == Durability::TransientLocal;
    let all_latched = !publishers.is_empty() && publishers.iter().all(latched);
    let depth = |ends: &[&End]| {
        let depths = ends.iter().map(|end| end.qos.depth().min(MAX_DEPTH));
        // What one publisher keeps for late joiners must not push out what another does.
        if all_latched { depths.sum::<usize>() } else { depths.max().unwrap_or_default().max(MIN_DEPTH) }.clamp(1, MAX_DEPTH)
    };
    let qos = |reliable: bool, latched: bool| {
        let mut qos = Qos::reliable(depth(publishers));
        if !reliable {
            qos.reliability = Reliability::BestEffort;
        }
        if latched {
            qos.durability = Durability::TransientLocal;
        }
        qos
    };
    let mut request = qos(publishers.iter().all(reliable), all_latched);
    if request.reliability == Reliability::Reliable && !all_latched {
        request.history = History::KeepLast(request.depth().max(MIN_RELIABLE_DEPTH));
    }
    let offer = qos(
        publishers.iter().any(reliable) || listeners.iter().any(reliable),
        publishers.iter().any(latched) || listeners.iter().any(latched),
    );
    (request, offer)
}

/// Whether a DDS publisher with this offer is matched with a subscription with this request (DDS 1.4, 2.2.3).
#[must_use]
pub fn serves(offer: &Qos, request: &Qos) -> bool {
    let reliable = offer.reliability == Reliability::Reliable || request.reliability == Reliability::BestEffort;
    let latched = offer.durability == Durability::TransientLocal || request.durability == Durability::Volatile;
    reliable && latched
}

#[cfg(test)]
mod tests;
