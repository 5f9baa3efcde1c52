//! Who is there, as liveliness tokens say: kept by name, so that nobody has to read all tokens to find a few.

use crate::attachment::{Gid, gid_of};
use crate::config::NO_TYPE_HASH;
use crate::name::{Entity, EntityKind, parse_token};
use crate::view::GraphView;
use graph::transport::{ChangeSink, EndpointKind, RemoteChange, RemoteEndpoint};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one token says.
struct Known {
    entity: Entity,
    gid: Gid,
    /// For others; none for this session's own.
    told: Option<Told>,
}

#[derive(Clone)]
enum Told {
    Node(Arc<str>),
    End(Arc<RemoteEndpoint>),
}

#[derive(Default)]
struct Tokens {
    known: HashMap<String, Known>,
    /// By kind and name: how many ends each session has.
    sessions: HashMap<(EntityKind, String), HashMap<String, usize>>,
}

/// The tokens of a domain.
pub(crate) struct Live {
    /// This session's identity.
    pub zid: String,
    tokens: RwLock<Tokens>,
    /// Held while tokens change, so that everybody is told in order.
    sinks: Mutex<Vec<ChangeSink>>,
    /// Tokens that could not be read.
    unreadable: AtomicU64,
}

impl Live {
    pub fn new(zid: String) -> Self {
        Self { zid, tokens: RwLock::default(), sinks: Mutex::default(), unreadable: AtomicU64::new(0) }
    }

    /// Tokens that could not be read so far.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// A token came. Returns what it says, if it is new.
    pub fn joined(&self, key: &str) -> Option<Entity> {
        let Some(entity) = parse_token(key) else {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let gid = gid_of(key);
        let told = (entity.session != self.zid).then(|| told(&entity, gid));
        let mut sinks = self.sinks.lock();
        {
            let mut tokens = self.tokens.write();
            if tokens.known.contains_key(key) {
                return None;
            }
            let count = tokens.sessions.entry((entity.kind, entity.name.clone())).or_default();
            *count.entry(entity.session.clone()).or_default() += 1;
            tokens.known.insert(key.to_owned(), Known { entity: entity.clone(), gid, told: told.clone() });
        }
        if let Some(told) = told {
            sinks.retain(|sink| sink(change(&told, gid, true)));
        }
        Some(entity)
    }

    /// A token went. Returns what it said, if it was known.
    pub fn left(&self, key: &str) -> Option<Entity> {
        let mut sinks = self.sinks.lock();
        let gone = {
            let mut tokens = self.tokens.write();
            let gone = tokens.known.remove(key)?;
            let place = (gone.entity.kind, gone.entity.name.clone());
            if let Some(sessions) = tokens.sessions.get_mut(&place) {
                if let Some(count) = sessions.get_mut(&gone.entity.session) {
                    *count -= 1;
                    if *count == 0 {
                        sessions.remove(&gone.entity.session);
                    }
                }
                if sessions.is_empty() {
                    tokens.sessions.remove(&place);
                }
            }
            gone
        };
        if let Some(told) = gone.told {
            sinks.retain(|sink| sink(change(&told, gone.gid, false)));
        }
        Some(gone.entity)
    }

    /// A publisher said that it is alive.
    pub fn asserted(&self, gid: Gid) {
        self.sinks.lock().retain(|sink| sink(RemoteChange::Asserted(gid)));
    }

    /// Tells `sink` what is known, then each change.
    pub fn follow(&self, sink: ChangeSink) {
        let mut sinks = self.sinks.lock();
        let known: Vec<(Told, Gid)> =
            self.tokens.read().known.values().filter_map(|known| Some((known.told.clone()?, known.gid))).collect();
        if known.iter().all(|(told, gid)| sink(change(told, *gid, true))) {
            sinks.push(sink);
        }
    }

    /// The graph as known now.
    pub fn view(&self) -> GraphView {
        let tokens = self.tokens.read();
        GraphView::from_entities(tokens.known.values().map(|known| (known.gid, known.entity.clone())))
    }

    /// Identities of all sessions that have said something.
    pub fn sessions(&self) -> BTreeSet<String> {
        self.tokens.read().sessions.values().flat_map(HashMap::keys).cloned().collect()
    }

    /// Identities of the other sessions that have an end of this kind on a name.
    pub fn others(&self, kind: EntityKind, name: &str) -> BTreeSet<String> {
        let tokens = self.tokens.read();
        let sessions = tokens.sessions.get(&(kind, name.to_owned()));
        sessions.into_iter().flat_map(HashMap::keys).filter(|session| **session != self.zid).cloned().collect()
    }

    /// Whether another session has an end of this kind on a name.
    pub fn has_other(&self, kind: EntityKind, name: &str) -> bool {
        let tokens = self.tokens.read();
        tokens.sessions.get(&(kind, name.to_owned())).is_some_and(|sessions| sessions.keys().any(|session| *session != self.zid))
    }
}

fn told(entity: &Entity, gid: Gid) -> Told {
    let node: Arc<str> = Arc::from(entity.node_name());
    let kind = match entity.kind {
        EntityKind::Node => return Told::Node(node),
        EntityKind::Publisher => EndpointKind::Publisher,
        EntityKind::Subscription => EndpointKind::Subscription,
        EntityKind::Service => EndpointKind::Service,
        EntityKind::Client => EndpointKind::Client,
    };
    let type_name = entity.type_name();
    // A system without hashes means the type of that name.
    let known = msgs::registry::type_hash(&type_name).filter(|_| entity.type_hash == NO_TYPE_HASH);
    Told::End(Arc::new(RemoteEndpoint {
        kind,
        node,
        name: entity.name.clone(),
        type_hash: known.map_or_else(|| entity.type_hash.clone(), str::to_owned),
        type_name,
        qos: entity.qos.unwrap_or_default(),
        gid,
    }))
}

fn change(told: &Told, gid: Gid, came: bool) -> RemoteChange {
    match (told, came) {
        (Told::Node(name), true) => RemoteChange::NodeJoined(Arc::clone(name), gid),
        (Told::Node(name), false) => RemoteChange::NodeLeft(Arc::clone(name), gid),
        (Told::End(end), true) => RemoteChange::Joined(Arc::clone(end)),
        (Told::End(end), false) => RemoteChange::Left(Arc::clone(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "@ros2_lv/0/bb/1/1/NN/%/%/listener";
    const LISTENER: &str = "@ros2_lv/0/bb/1/2/MS/%/%/listener/%chatter/std_msgs::msg::dds_::String_/RIHS01_1/::,10:,:,:,,";
    const OWN: &str = "@ros2_lv/0/aa/1/2/MP/%/%/talker/%chatter/std_msgs::msg::dds_::String_/RIHS01_1/::,10:,:,:,,";

    #[test]
    fn followers_hear_of_others_once_and_in_order() {
        let live = Live::new("aa".into());
        live.joined(NODE);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let tape = Arc::clone(&heard);
        live.follow(Box::new(move |change| {
            tape.lock().push(change);
            true
        }));
        for key in [OWN, LISTENER, LISTENER, "@ros2_lv/0/nonsense"] {
            live.joined(key);
        }
        assert!(live.has_other(EntityKind::Subscription, "/chatter") && !live.has_other(EntityKind::Publisher, "/chatter"));
        assert_eq!(live.others(EntityKind::Subscription, "/chatter"), BTreeSet::from(["bb".to_owned()]));
        assert_eq!((live.view().endpoints.len(), live.unreadable()), (2, 1));
        live.left(LISTENER);
        live.left(LISTENER);
        live.left(NODE);
        assert!(!live.has_other(EntityKind::Subscription, "/chatter"));
        let heard = heard.lock();
        let name: Arc<str> = Arc::from("/listener");
        assert_eq!(heard[0], RemoteChange::NodeJoined(Arc::clone(&name), gid_of(NODE)));
        assert!(
            matches!(&heard[1], RemoteChange::Joined(end) if end.gid == gid_of(LISTENER) && end.type_name == "std_msgs/msg/String")
        );
        assert!(matches!(&heard[2], RemoteChange::Left(end) if end.node == name));
        assert_eq!(heard[3..], [RemoteChange::NodeLeft(name, gid_of(NODE))]);
    }

    #[test]
    fn a_follower_that_has_enough_is_not_told_again() {
        let live = Live::new("aa".into());
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        live.follow(Box::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        }));
        live.joined(NODE);
        live.joined(LISTENER);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_system_without_hashes_is_taken_to_mean_the_type_of_that_name_where_it_is_known() {
        let live = Live::new("aa".into());
        let end = |id: u32, kind: &str| format!("@ros2_lv/0/bb/1/{id}/MP/%/%/old/%chatter/{kind}/{NO_TYPE_HASH}/::,10:,:,:,,");
        live.joined(&end(2, "std_msgs::msg::dds_::String_"));
        live.joined(&end(3, "odd_msgs::msg::dds_::Odd_"));
        live.joined(LISTENER);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let tape = Arc::clone(&heard);
        live.follow(Box::new(move |change| {
            if let RemoteChange::Joined(end) = change {
                tape.lock().push((end.type_name.clone(), end.type_hash.clone()));
            }
            true
        }));
        let hash = msgs::registry::type_hash("std_msgs/msg/String").unwrap();
        let heard = heard.lock();
        for (name, hash) in
            [("std_msgs/msg/String", hash), ("odd_msgs/msg/Odd", NO_TYPE_HASH), ("std_msgs/msg/String", "RIHS01_1")]
        {
            assert!(heard.contains(&(name.to_owned(), hash.to_owned())), "{name} {hash}: {heard:?}");
        }
        assert_eq!(heard.len(), 3);
    }
}
