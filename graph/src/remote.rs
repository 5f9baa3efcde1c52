//! The nodes and ends of other processes, as the wire tells of them, and who fits whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostics::Level;
use crate::events::{End, PeerId, Said};
use crate::qos::Qos;
use crate::service::ServiceEntry;
use crate::shared::Shared;
use crate::slot::{Event, Item, Slot};
use crate::topic::{PublisherCore, SubscriberCore, Topic};
use crate::transport::EndpointKind;
use crate::waiting::Outside;

/// A publisher, subscription, server or client in another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEndpoint {
    /// What it does.
    pub kind: EndpointKind,
    /// Fully qualified name of its node.
    pub node: Arc<str>,
    /// Fully qualified name of its topic or service.
    pub name: String,
    /// ROS name of its type.
    pub type_name: String,
    /// Type hash.
    pub type_hash: String,
    /// Quality of service.
    pub qos: Qos,
    /// Global identity, unique on the network.
    pub gid: [u8; 16],
}

/// A change among the nodes and ends of other processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteChange {
    /// A node came; fully qualified name, identity.
    NodeJoined(Arc<str>, [u8; 16]),
    /// A node went.
    NodeLeft(Arc<str>, [u8; 16]),
    /// An end came.
    Joined(Arc<RemoteEndpoint>),
    /// An end went.
    Left(Arc<RemoteEndpoint>),
    /// A publisher said that it is alive.
    Asserted([u8; 16]),
}

/// Who is elsewhere.
#[derive(Default)]
pub(crate) struct RemoteIndex {
    nodes: BTreeMap<Arc<str>, BTreeSet<[u8; 16]>>,
    /// By name; topics and services apart would gain nothing: both are few per name.
    ends: BTreeMap<String, Vec<Arc<RemoteEndpoint>>>,
    names: BTreeMap<[u8; 16], String>,
}

impl RemoteIndex {
    pub fn of<'a>(&'a self, kind: EndpointKind, name: &str) -> impl Iterator<Item = &'a Arc<RemoteEndpoint>> {
        self.ends.get(name).into_iter().flatten().filter(move |end| end.kind == kind)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<RemoteEndpoint>> {
        self.ends.values().flatten()
    }

    pub fn nodes(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.nodes.iter().map(|(name, who)| (name, who.len()))
    }
}

/// Who wants to know whether a service is there.
pub(crate) struct ServiceWatch {
    pub name: String,
    pub hash: &'static str,
    pub slot: Arc<Slot>,
    pub port: usize,
    pub generation: u64,
    pub available: bool,
}

impl Shared {
    /// The wire's news; in lock-step they wait for the next step.
    pub fn remote_news(&self, change: RemoteChange) {
        if self.lock_step {
            self.wait(Outside::Remote(change));
        } else {
            self.remote_changed(change);
        }
    }

    pub fn remote_changed(&self, change: RemoteChange) {
        match change {
            RemoteChange::NodeJoined(name, id) => {
                self.remote.lock().nodes.entry(Arc::clone(&name)).or_default().insert(id);
                let twin = self.slots.read().iter().find(|slot| slot.name == name).cloned();
                if let Some(slot) = twin {
                    self.write_log(
                        &slot,
                        Level::Warn,
                        "another process has a node of this name too: ROS 2 tools cannot tell them apart",
                    );
                }
            }
            RemoteChange::NodeLeft(name, id) => {
                let mut index = self.remote.lock();
                if let Some(who) = index.nodes.get_mut(&name) {
                    who.remove(&id);
                    if who.is_empty() {
                        index.nodes.remove(&name);
                    }
                }
            }
            RemoteChange::Joined(end) => self.remote_joined(end),
            RemoteChange::Left(end) => self.remote_left(&end),
            RemoteChange::Asserted(gid) => {
                let name = self.remote.lock().names.get(&gid).cloned();
                let topic = name.and_then(|name| self.topics.read().get(&name).cloned());
                for subscriber in topic.iter().flat_map(|topic| topic.ends.read().subscribers.clone()) {
                    subscriber.end.peer_asserted(PeerId::Remote(gid), self.now());
                }
            }
        }
    }

    fn remote_joined(&self, end: Arc<RemoteEndpoint>) {
        let service = end.kind == EndpointKind::Service;
        let mut said: Vec<Said> = Vec::new();
        {
            let mut index = self.remote.lock();
            if index.names.insert(end.gid, end.name.clone()).is_some() {
                return;
            }
            index.ends.entry(end.name.clone()).or_default().push(Arc::clone(&end));
            // The index stays locked: an end that is declared meanwhile looks here afterwards.
            let topic = self.topics.read().get(&end.name).cloned();
            if let Some(topic) = topic {
                let ends = topic.ends.read();
                match end.kind {
                    EndpointKind::Publisher => {
                        said.extend(
                            ends.subscribers.iter().filter_map(|subscriber| self.introduce(&subscriber.end, &topic, &end)),
                        );
                    }
                    EndpointKind::Subscription => {
                        said.extend(ends.publishers.iter().filter_map(|publisher| self.introduce(&publisher.end, &topic, &end)));
                    }
                    EndpointKind::Service | EndpointKind::Client => {}
                }
            }
        }
        said.into_iter().for_each(|said| said.say(self));
        if service {
            self.service_changed(&end.name);
        }
        if end.kind == EndpointKind::Publisher {
            self.ears_changed();
        }
    }

    fn remote_left(&self, end: &RemoteEndpoint) {
        {
            let mut index = self.remote.lock();
            index.names.remove(&end.gid);
            if let Some(ends) = index.ends.get_mut(&end.name) {
                ends.retain(|other| other.gid != end.gid);
                if ends.is_empty() {
                    index.ends.remove(&end.name);
                }
            }
            let topic = self.topics.read().get(&end.name).cloned();
            if let Some(topic) = topic {
                let ends = topic.ends.read();
                let (publishers, subscribers) = (ends.publishers.iter().map(|p| &p.end), ends.subscribers.iter().map(|s| &s.end));
                publishers.chain(subscribers).for_each(|local| local.peer_left(PeerId::Remote(end.gid)));
                topic.heard.forget(&end.gid);
            }
        }
        match end.kind {
            EndpointKind::Service => self.service_changed(&end.name),
            EndpointKind::Publisher => self.ears_changed(),
            EndpointKind::Subscription | EndpointKind::Client => {}
        }
    }

    fn introduce(&self, local: &Arc<End>, topic: &Topic, other: &RemoteEndpoint) -> Option<Said> {
        let same = topic.message_type.hash == other.type_hash && topic.message_type.name == other.type_name;
        let other_type = (!same).then(|| {
            if topic.message_type.name == other.type_name {
                format!("another definition of {}", other.type_name)
            } else {
                other.type_name.clone()
            }
        });
        local.peer_joined(self, PeerId::Remote(other.gid), &other.node, other.qos, other_type)
    }

    /// A publisher takes its place in its topic.
    pub fn join_publisher(&self, core: &Arc<PublisherCore>) {
        let topic = &core.topic;
        let mut said: Vec<Said> = Vec::new();
        {
            let index = self.remote.lock();
            let mut ends = topic.ends.write();
            for subscriber in &ends.subscribers {
                said.extend(subscriber.end.peer_joined(self, PeerId::Local(core.end.id), core.end.node(), core.qos, None));
                let end = &subscriber.end;
                said.extend(core.end.peer_joined(self, PeerId::Local(end.id), end.node(), subscriber.qos, None));
            }
            let elsewhere = index.of(EndpointKind::Subscription, &topic.name);
            said.extend(elsewhere.filter_map(|other| self.introduce(&core.end, topic, other)));
            ends.publishers.push(Arc::clone(core));
        }
        said.into_iter().for_each(|said| said.say(self));
    }

    /// A subscription takes its place in its topic, and gets what is kept for late joiners.
    pub fn join_subscriber(&self, topic: &Topic, core: &Arc<SubscriberCore>) {
        let mut said: Vec<Said> = Vec::new();
        {
            let index = self.remote.lock();
            let mut ends = topic.ends.write();
            for publisher in &ends.publishers {
                let end = &publisher.end;
                said.extend(core.end.peer_joined(self, PeerId::Local(end.id), end.node(), publisher.qos, None));
                said.extend(publisher.end.peer_joined(self, PeerId::Local(core.end.id), core.end.node(), core.qos, None));
            }
            let elsewhere = index.of(EndpointKind::Publisher, &topic.name);
            said.extend(elsewhere.filter_map(|other| self.introduce(&core.end, topic, other)));
            topic.catch_up(&ends, core, self.now());
            ends.subscribers.push(Arc::clone(core));
        }
        said.into_iter().for_each(|said| said.say(self));
    }

    /// Looks at what depends on time: deadlines, leases, topics that taps want to hear.
    pub fn tend(self: &Arc<Self>, now: crate::Time) {
        self.tend_ears();
        if self.timed.lock().is_empty() {
            return;
        }
        let mut current = Vec::new();
        self.timed.lock().retain(|end| {
            let end = end.upgrade().filter(|end| end.is_current());
            current.extend(end.clone());
            end.is_some()
        });
        current.iter().for_each(|end| end.check(now));
    }

    /// Whether somebody serves `name` with this type.
    pub fn is_served(&self, name: &str, hash: &str) -> bool {
        let here = |entry: &ServiceEntry| entry.service_type.hash == hash;
        self.services.read().get(name).is_some_and(here)
            || self.remote.lock().of(EndpointKind::Service, name).any(|end| end.type_hash == hash)
    }

    /// A server of `name` came or went: tells those who wait for it.
    pub fn service_changed(&self, name: &str) {
        // Told under the lock: of two that come and go at once the last one told is how it is.
        for watch in self.service_watches.lock().iter_mut().filter(|watch| watch.name == name) {
            let available = self.is_served(name, watch.hash);
            if available != watch.available {
                watch.available = available;
                let (port, generation) = (watch.port, watch.generation);
                watch.slot.push(Item { port, generation, event: Event::Served(available), published: None, edge: None });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::Weak;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{Graph, GraphConfig, Node, NodeFactory, NodeSpec, Publisher, Setup, SetupError};
    use msgs::Message;
    use msgs::std_msgs::msg::Int64;

    struct Talker(#[allow(dead_code)] Publisher<Int64>);
    impl Node for Talker {
        const NAME: &'static str = "talker";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            Ok(Self(s.publisher("numbers", Qos::sensor_data())?))
        }
    }

    struct Listener;
    impl Node for Listener {
        const NAME: &'static str = "listener";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.subscribe("numbers", Qos::reliable(1), |_: &mut Self, _, _: Arc<Int64>| Ok(()))?;
            Ok(Self)
        }
    }

    fn elsewhere(kind: EndpointKind, qos: Qos, gid: u8) -> RemoteChange {
        let of = Int64::message_type();
        RemoteChange::Joined(Arc::new(RemoteEndpoint {
            kind,
            node: Arc::from("/far"),
            name: "/numbers".into(),
            type_name: of.name.into(),
            type_hash: of.hash.into(),
            qos,
            gid: [gid; 16],
        }))
    }

    #[test]
    fn what_does_not_fit_is_logged_while_no_lock_is_held() {
        static SHARED: OnceLock<Weak<Shared>> = OnceLock::new();
        static LINES: AtomicUsize = AtomicUsize::new(0);
        let log = Arc::new(|_: &crate::LogRecord| {
            let shared = SHARED.get().and_then(Weak::upgrade).unwrap();
            let (remote, topics) = (shared.remote.try_lock(), shared.topics.try_write());
            let topic = topics.as_ref().and_then(|topics| topics.get("/numbers"));
            assert!(remote.is_some() && topic.is_some_and(|topic| topic.ends.try_write().is_some()));
            LINES.fetch_add(1, Ordering::SeqCst);
        });
        let mut graph = Graph::new(GraphConfig { log, mode: crate::Mode::FreeRunning, ..GraphConfig::default() }).unwrap();
        let shared = Arc::clone(graph.shared());
        assert!(SHARED.set(Arc::downgrade(&shared)).is_ok());
        // Each of these meets an end that does not fit: in this process, and in another that comes before or after.
        graph.add(NodeFactory::of::<Talker>(), NodeSpec::default()).unwrap();
        graph.add(NodeFactory::of::<Listener>(), NodeSpec::default()).unwrap();
        assert_eq!(LINES.load(Ordering::SeqCst), 1);
        shared.remote_news(elsewhere(EndpointKind::Subscription, Qos::reliable(1), 1));
        shared.remote_news(elsewhere(EndpointKind::Publisher, Qos::sensor_data(), 2));
        assert_eq!(LINES.load(Ordering::SeqCst), 3);
        for factory in [NodeFactory::of::<Talker>(), NodeFactory::of::<Listener>()] {
            graph.add(factory, NodeSpec { name: Some(format!("late_{}", factory.name)), ..NodeSpec::default() }).unwrap();
        }
        assert_eq!(LINES.load(Ordering::SeqCst), 8, "the talker meets two that listen, the listener three that talk");
    }
}
