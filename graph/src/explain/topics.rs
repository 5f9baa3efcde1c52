//! What keeps the two ends of a topic apart: types, quality of service, names, access rights.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Definitions, Finding};
use crate::diagnostics::Level;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::suggest;
use crate::topic::{Ends, Topic};
use crate::transport::{EndpointKind, NodeIdentity};

/// A state that comes and goes while nodes start is one after so many looks.
pub(super) const PATIENCE: u32 = 2;

/// Who is on a topic, here and elsewhere.
struct Place {
    type_name: String,
    publishers: BTreeSet<Arc<str>>,
    subscribers: BTreeSet<Arc<str>>,
}

/// What was seen of topics so far.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Topics {
    /// Asked for again: what another process answers is not of this graph's time.
    #[serde(skip)]
    definitions: Definitions,
    /// By name of the finding: for how many looks it has been so.
    seen: BTreeMap<String, u32>,
}

impl Topics {
    /// A few times a second; `own` is the node that asks others for their types.
    pub fn look(&mut self, shared: &Shared, own: &NodeIdentity) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut waiting = Vec::new();
        let places = places(shared);
        let topics: Vec<_> = shared.topics.read().values().cloned().collect();
        for topic in &topics {
            self.apart(shared, own, topic, &mut found);
            waiting.extend(dangling(&topic.name, &topic.ends.read(), &places));
            waiting.extend(unreached(shared, topic));
        }
        let mut seen = BTreeMap::new();
        for finding in waiting {
            let looks = self.seen.get(&finding.name).copied().unwrap_or(0).saturating_add(1);
            seen.insert(finding.name.clone(), looks);
            if looks >= PATIENCE {
                found.push(finding);
            }
        }
        self.seen = seen;
        found
    }

    /// Ends that meet and do not fit.
    fn apart(&mut self, shared: &Shared, own: &NodeIdentity, topic: &Topic, found: &mut Vec<Finding>) {
        let elsewhere: Vec<_> = {
            let index = shared.remote.lock();
            [EndpointKind::Publisher, EndpointKind::Subscription]
                .iter()
                .flat_map(|kind| index.of(*kind, &topic.name))
                .cloned()
                .collect()
        };
        let name = format!("topic {}", topic.name);
        let ends = topic.ends.read();
        let ends = ends.publishers.iter().map(|p| &p.end).chain(ends.subscribers.iter().map(|s| &s.end));
        let standing: Vec<_> = ends.flat_map(|end| end.standing()).collect();
        for (level, mut message, peer) in standing {
            let other = peer.and_then(|gid| elsewhere.iter().find(|end| end.gid == gid));
            let redefined = other.filter(|o| o.type_name == topic.message_type.name && o.type_hash != topic.message_type.hash);
            let mut finding = Finding::new("graph", &name, level, "");
            if let Some(other) = redefined {
                if let Some(fields) = self.definitions.difference(shared, own, other) {
                    message = format!("{message} ({fields}); build both with the same definition");
                    finding = finding.with("difference", fields);
                }
                finding = finding.with("type_hash_here", topic.message_type.hash).with("type_hash_there", &other.type_hash);
            }
            found.push(Finding { message, ..finding });
        }
    }
}

fn places(shared: &Shared) -> BTreeMap<String, Place> {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    let new =
        |type_name: &str| Place { type_name: type_name.to_owned(), publishers: BTreeSet::new(), subscribers: BTreeSet::new() };
    for end in shared.remote.lock().all() {
        let place = places.entry(end.name.clone()).or_insert_with(|| new(&end.type_name));
        match end.kind {
            EndpointKind::Publisher => drop(place.publishers.insert(Arc::clone(&end.node))),
            EndpointKind::Subscription => drop(place.subscribers.insert(Arc::clone(&end.node))),
            EndpointKind::Service | EndpointKind::Client => {}
        }
    }
    for topic in shared.topics.read().values() {
        let ends = topic.ends.read();
        let place = places.entry(topic.name.to_string()).or_insert_with(|| new(topic.message_type.name));
        place.publishers.extend(ends.publishers.iter().map(|publisher| Arc::clone(&publisher.slot.name)));
        place.subscribers.extend(ends.subscribers.iter().map(|subscriber| Arc::clone(&subscriber.slot.name)));
    }
    places
}

/// A topic of which only one end is there, though a launch file or the names say that it was meant to have both.
fn dangling(name: &str, ends: &Ends, places: &BTreeMap<String, Place>) -> Option<Finding> {
    let place = places.get(name)?;
    let who = |nodes: &BTreeSet<Arc<str>>| nodes.iter().map(|node| &**node).collect::<Vec<_>>().join(", ");
    let same_type = |other: &&String| places.get(*other).is_some_and(|there| there.type_name == place.type_name);
    if place.publishers.is_empty() && !ends.subscribers.is_empty() {
        let listeners = who(&place.subscribers);
        let remap = ends.subscribers.iter().find_map(|subscriber| remapped(&subscriber.slot, name));
        // Whom nobody hears may be the one that is missed, unless it is the listener itself; after a remap also one that others hear.
        let unheard = |there: &Place| there.subscribers.is_empty() && there.publishers.is_disjoint(&place.subscribers);
        let offers = |there: &Place| !there.publishers.is_empty() && (remap.is_some() || unheard(there));
        let names = places.iter().filter(|(_, there)| offers(there)).map(|(other, _)| other).filter(same_type);
        let near = similar(name, names.map(String::as_str));
        let message = match (&remap, near) {
            (None, None) => {
                let message = format!("{listeners} listens, nobody publishes");
                return Some(Finding::new("graph", &format!("topic {name}"), Level::Ok, message));
            }
            (Some(from), None) => {
                format!("{listeners} listens, remapped from `{from}`, and nobody publishes it; look at the remap")
            }
            (Some(from), Some(near)) => {
                format!("{listeners} listens, remapped from `{from}`, and nobody publishes it; did you mean `{near}`?")
            }
            (None, Some(near)) => {
                let publishers = places.get(near).map(|there| who(&there.publishers)).unwrap_or_default();
                format!(
                    "{listeners} listens and nobody publishes it, while {publishers} publishes {near} of the same type to nobody; remap one \
                     to the other"
                )
            }
        };
        let finding = Finding::new("graph", &format!("topic {name}"), Level::Warn, message);
        return Some(near.into_iter().fold(finding, |finding, near| finding.with("nearest", near)));
    }
    if place.subscribers.is_empty() && !ends.publishers.is_empty() {
        let (publisher, from) = ends.publishers.iter().find_map(|p| Some((&p.slot.name, remapped(&p.slot, name)?)))?;
        let wants = |there: &Place| !there.subscribers.is_empty();
        let names = places.iter().filter(|(_, there)| wants(there)).map(|(other, _)| other).filter(same_type);
        let near = similar(name, names.map(String::as_str))?;
        let listeners = places.get(near).map(|there| who(&there.subscribers)).unwrap_or_default();
        let message = format!(
            "{publisher} publishes, remapped from `{from}`, and nobody listens, while {listeners} listens to {near}; did you mean that?"
        );
        return Some(Finding::new("graph", &format!("topic {name}"), Level::Warn, message).with("nearest", near));
    }
    None
}

/// The name that a node itself gives to what is `topic` by one of its remaps.
fn remapped(slot: &Slot, topic: &str) -> Option<String> {
    let namespace = slot.identity.namespace.trim_end_matches('/');
    let is_topic = |to: &str| to == topic || topic.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')) == Some(to);
    slot.spec.remaps.iter().find(|(_, to)| is_topic(to)).map(|(from, _)| from.clone())
}

/// The name that is written nearly so, or is the same in another namespace.
fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.filter(|other| *other != name).collect();
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let typo = known.iter().copied().filter(|other| suggest::distance(name, other) <= 2 + name.len() / 12);
    let typo = typo.min_by_key(|other| suggest::distance(name, other));
    typo.or_else(|| known.iter().copied().find(|other| last(other) == last(name)))
}

/// A subscription elsewhere is known and fits, and yet no way leads there: the router lets tokens pass and not the topic.
fn unreached(shared: &Shared, topic: &Topic) -> Option<Finding> {
    let listeners: Vec<_> = shared.remote.lock().of(EndpointKind::Subscription, &topic.name).cloned().collect();
    let ends = topic.ends.read();
    let publisher = ends.publishers.iter().find(|publisher| publisher.remote.as_ref().is_some_and(|remote| !remote.matched()))?;
    let fits = |end: &&Arc<crate::remote::RemoteEndpoint>| {
        end.type_hash == topic.message_type.hash && publisher.qos.incompatible(&end.qos).is_none()
    };
    let listener = listeners.iter().find(fits)?;
    let message = format!(
        "{} publishes and {} listens, but the wire has no way between them: the router's access control refuses the topic to one of them; \
         allow it in the router's `access_control`",
        publisher.slot.name, listener.node
    );
    Some(Finding::new("graph", &format!("access {}", topic.name), Level::Error, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_other_namespaces_are_found_and_other_names_are_not() {
        let known = ["/camera/image_raw", "/robot/scan", "/imu", "/odom"];
        assert_eq!(similar("/camera/imge_raw", known.into_iter()), Some("/camera/image_raw"));
        assert_eq!(similar("/scan", known.into_iter()), Some("/robot/scan"));
        assert_eq!(similar("/front/imu", known.into_iter()), Some("/imu"));
        assert_eq!(similar("/joint_states", known.into_iter()), None);
        assert_eq!(similar("/imu", ["/imu"].into_iter()), None);
    }
}
