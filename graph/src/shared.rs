//! What all nodes of a process share: topics, services, the clock, the wire.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use msgs::MessageType;
use parking_lot::{Mutex, RwLock};

use crate::compose::Composition;
use crate::context::Output;
use crate::diagnostics::{Level, LogSink};
use crate::error::SetupError;
use crate::events::{End, PeerId};
use crate::free::RunQueue;
use crate::heard::Heard;
use crate::message::{AnyMessage, Erased};
use crate::qos::Qos;
use crate::raw::Ears;
use crate::remote::{RemoteIndex, ServiceWatch};
use crate::service::{Body, CallError, CallId, ReplyTo, ServiceEntry};
use crate::slot::{Event, Item, Slot};
use crate::snapshot::Snapshots;
use crate::time::Time;
use crate::topic::{PublisherCore, SubscriberCore, Tap, Topic};
use crate::transport::{Carrier, RemoteSample, Transport};
use crate::waiting::{Outside, Waiting};

/// Ends a graph from anywhere: a signal handler, a node, a test.
#[derive(Clone, Default)]
pub struct StopFlag(Arc<(AtomicBool, Mutex<Option<String>>)>);

impl StopFlag {
    /// Asks the graph to stop in order; the first reason counts.
    pub fn stop(&self, reason: impl Into<String>) {
        self.0.1.lock().get_or_insert_with(|| reason.into());
        self.0.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn is_set(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    /// Why.
    pub fn reason(&self) -> Option<String> {
        self.0.1.lock().clone()
    }
}

/// A sample that another process sent, on its way to one subscriber, or to the taps only.
pub(crate) struct Arrival {
    pub topic: Arc<Topic>,
    pub subscriber: Option<Arc<SubscriberCore>>,
    pub message: Arc<dyn Erased>,
    pub stamp: Time,
    pub sequence: u64,
    /// Who sent it; none for a test's own.
    pub gid: Option<[u8; 16]>,
    /// How long ago it was sent, if that is known.
    pub age: Option<Duration>,
    /// What its publisher offers, unless it has announced something else.
    pub offered: Qos,
    /// How it came.
    pub carrier: Carrier,
    /// The identity of the subscription by which it came.
    pub way: u64,
}

impl Arrival {
    pub fn new(topic: &Arc<Topic>, subscriber: &Arc<SubscriberCore>, message: Arc<dyn Erased>, sample: &RemoteSample) -> Self {
        Self {
            subscriber: Some(Arc::clone(subscriber)),
            ..Self::overheard(topic, message, sample, (subscriber.qos, subscriber.end.id))
        }
    }

    pub fn overheard(topic: &Arc<Topic>, message: Arc<dyn Erased>, sample: &RemoteSample, (offered, way): (Qos, u64)) -> Self {
        Self {
            topic: Arc::clone(topic),
            subscriber: None,
            message,
            stamp: sample.source_time,
            sequence: sample.sequence.max(0) as u64,
            gid: Some(sample.gid),
            age: sample.age,
            offered,
            carrier: sample.carrier,
            way,
        }
    }

    fn deliver(self, now: Time) {
        self.topic.receive(&self, now);
    }
}

pub(crate) struct Shared {
    pub topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    pub services: RwLock<BTreeMap<String, ServiceEntry>>,
    pub slots: RwLock<Vec<Arc<Slot>>>,
    pub transport: Option<Arc<dyn Transport>>,
    pub stop: StopFlag,
    pub lock_step: bool,
    pub mode: String,
    pub log: LogSink,
    pub started: Instant,
    /// Lock-step: what came from outside since the step began; it waits for the next one.
    pub outside: Mutex<Waiting>,
    /// Lock-step: calls that were let go unanswered since the step began, on any thread; their callers are told in the next one.
    pub unanswered: Mutex<Vec<(Arc<Slot>, CallId, Item)>>,
    /// Free-running: the nodes that have work.
    pub queue: OnceLock<Arc<RunQueue>>,
    /// The severity from which on log lines are shown, of nodes that have no threshold of their own.
    pub log_threshold: AtomicU8,
    /// Whether log lines are published on /rosout.
    pub rosout: bool,
    /// Who is in other processes.
    pub remote: Mutex<RemoteIndex>,
    pub service_watches: Mutex<Vec<ServiceWatch>>,
    /// Ends with deadlines or leases.
    pub timed: Mutex<Vec<Weak<End>>>,
    pub ears: Mutex<Ears>,
    /// Whether ears may have to be opened or closed.
    pub ears_stale: AtomicBool,
    /// Nodes that are to come and to go.
    pub composition: Composition,
    pub taps: RwLock<Vec<Arc<Tap>>>,
    /// Taps on the answers of services.
    pub reply_taps: RwLock<Vec<Arc<Tap>>>,
    /// Snapshots of the graph's state.
    pub snapshots: Snapshots,
    now: AtomicI64,
    next_id: AtomicU64,
}

impl Shared {
    pub fn new(lock_step: bool, mode: String, transport: Option<Arc<dyn Transport>>, log: LogSink) -> Self {
        Self {
            topics: RwLock::default(),
            services: RwLock::default(),
            slots: RwLock::default(),
            transport,
            stop: StopFlag::default(),
            lock_step,
            mode,
            log,
            started: Instant::now(),
            outside: Mutex::default(),
            unanswered: Mutex::default(),
            queue: OnceLock::new(),
            log_threshold: AtomicU8::new(crate::logger::DEFAULT.code()),
            rosout: true,
            remote: Mutex::default(),
            service_watches: Mutex::default(),
            timed: Mutex::default(),
            ears: Mutex::default(),
            ears_stale: AtomicBool::new(false),
            composition: Composition::default(),
            taps: RwLock::default(),
            reply_taps: RwLock::default(),
            snapshots: Snapshots::default(),
            now: AtomicI64::new(0),
            next_id: AtomicU64::new(1),
        }
    }

    /// The node at a place; the list is not held.
    pub fn slot(&self, place: usize) -> Option<Arc<Slot>> {
        self.slots.read().get(place).cloned()
    }

    pub fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub fn now(&self) -> Time {
        if self.lock_step { Time::from_nanos(self.now.load(Ordering::Acquire)) } else { Time::wall() }
    }

    pub fn set_now(&self, now: Time) {
        self.now.store(now.as_nanos(), Ordering::Release);
    }

    /// A slot has work: in free-running mode somebody must do it.
    pub fn wake(&self, slot: &Arc<Slot>) {
        if let Some(queue) = self.queue.get() {
            queue.schedule(slot);
        }
    }

    /// Lock-step: something waits for the next step.
    pub fn wait(&self, outside: Outside) {
        let lost = self.outside.lock().push(outside);
        drop(lost);
    }

    /// Hands over an item that does not come from a handler of this graph.
    pub fn deliver_from_outside(&self, slot: &Arc<Slot>, item: Item) {
        if self.lock_step {
            self.wait(Outside::Item(Arc::clone(slot), item));
        } else {
            slot.push(item);
        }
    }

    /// Tells the caller `slot` that `call` will not be answered.
    pub fn give_up(&self, slot: &Arc<Slot>, call: CallId, item: Item) {
        if self.lock_step {
            self.unanswered.lock().push((Arc::clone(slot), call, item));
        } else {
            slot.push(item);
        }
    }

    /// Hands over a sample that another process sent.
    pub fn receive(&self, arrival: Arrival) {
        if self.lock_step {
            self.wait(Outside::Sample(arrival));
        } else {
            arrival.deliver(self.now());
        }
    }

    /// Hands over a sample of a test as if another process had sent it.
    pub fn receive_now(&self, arrival: Arrival) {
        arrival.deliver(self.now());
    }

    /// A sample waited longer in the inbox than its publisher allows.
    pub fn expired(&self, slot: &Arc<Slot>, message: &AnyMessage, port: usize) {
        let topic = self.topics.read().get(&*message.topic).cloned();
        if let Some(topic) = topic {
            let ends = topic.ends.read();
            ends.subscribers
                .iter()
                .filter(|end| Arc::ptr_eq(&end.slot, slot) && end.port == port)
                .for_each(|end| end.end.expired());
        }
    }

    /// Lock-step: delivers what came from outside since the last step.
    pub fn admit(&self) {
        // Nodes that let go of callers run in parallel, so the order in which they did is not to be relied on.
        let mut unanswered = std::mem::take(&mut *self.unanswered.lock());
        unanswered.sort_by(|(a, first, _), (b, second, _)| (&a.name, first).cmp(&(&b.name, second)));
        for (slot, _, item) in unanswered {
            slot.push(item);
        }
        // Taken out before the deliveries: one that is dropped may put something back.
        let arrived = self.outside.lock().take();
        for outside in arrived {
            match outside {
                Outside::Item(slot, item) => slot.push(item),
                Outside::Sample(arrival) => arrival.deliver(self.now()),
                Outside::Remote(change) => self.remote_changed(change),
            }
        }
    }

    /// The topic `name`, made if need be; `Err` if it carries another type.
    pub fn topic(&self, name: &str, message_type: &'static MessageType, node: &str) -> Result<Arc<Topic>, SetupError> {
        let mut topics = self.topics.write();
        // One that only an ear uses, or nobody any more, gives way.
        let in_use = |topic: &Topic| {
            let ends = topic.ends.read();
            !ends.publishers.is_empty() || !ends.subscribers.is_empty()
        };
        if let Some(topic) = topics.get(name).filter(|topic| topic.message_type.hash == message_type.hash || in_use(topic)) {
            if topic.message_type.hash != message_type.hash {
                return Err(SetupError::TypeMismatch {
                    name: name.to_owned(),
                    node: node.to_owned(),
                    existing: topic.message_type.name,
                    wanted: message_type.name,
                });
            }
            return Ok(Arc::clone(topic));
        }
        let topic = Arc::new(Topic { name: Arc::from(name), message_type, ends: RwLock::default(), heard: Heard::default() });
        topic.ends.write().taps = self.taps.read().iter().filter(|tap| (tap.filter)(name, message_type)).cloned().collect();
        topics.insert(name.to_owned(), Arc::clone(&topic));
        self.ears_changed();
        Ok(topic)
    }

    /// Adds a tap to the topics that exist and to those that come.
    pub fn add_tap(&self, tap: Arc<Tap>) {
        for topic in self.topics.write().values() {
            if (tap.filter)(&topic.name, topic.message_type) {
                topic.ends.write().taps.push(Arc::clone(&tap));
            }
        }
        self.taps.write().push(tap);
        self.ears_changed();
    }

    /// Takes back all that a node declared.
    ///
    /// What the wire knows of them is dropped last, without a lock: the wire tells of it, and that takes these very locks.
    pub fn unregister(&self, slot: &Arc<Slot>) {
        let mut leaving: (Vec<Arc<PublisherCore>>, Vec<Arc<SubscriberCore>>) = Default::default();
        for topic in self.topics.read().values() {
            let mut ends = topic.ends.write();
            let publishers: Vec<_> = ends.publishers.extract_if(.., |publisher| Arc::ptr_eq(&publisher.slot, slot)).collect();
            let subscribers: Vec<_> = ends.subscribers.extract_if(.., |subscriber| Arc::ptr_eq(&subscriber.slot, slot)).collect();
            let gone = publishers.iter().map(|p| &p.end).chain(subscribers.iter().map(|s| &s.end));
            let gone: Vec<PeerId> = gone.map(|end| PeerId::Local(end.id)).collect();
            leaving.0.extend(publishers);
            leaving.1.extend(subscribers);
            ends.taps.retain(|tap| !Arc::ptr_eq(&tap.slot, slot));
            for id in gone {
                let (publishers, subscribers) = (ends.publishers.iter().map(|p| &p.end), ends.subscribers.iter().map(|s| &s.end));
                publishers.chain(subscribers).for_each(|end| end.peer_left(id));
            }
        }
        self.service_watches.lock().retain(|watch| !Arc::ptr_eq(&watch.slot, slot));
        self.taps.write().retain(|tap| !Arc::ptr_eq(&tap.slot, slot));
        self.reply_taps.write().retain(|tap| !Arc::ptr_eq(&tap.slot, slot));
        let mut served = Vec::new();
        self.services.write().retain(|name, entry| {
            let gone = Arc::ptr_eq(&entry.slot, slot);
            if gone {
                served.push(name.clone());
            }
            !gone
        });
        served.iter().for_each(|name| self.service_changed(name));
        self.ears_changed();
        slot.fall_silent();
    }

    /// Carries out what a handler asked for.
    pub fn perform(self: &Arc<Self>, from: &Arc<Slot>, output: Output) {
        match output {
            Output::Publish { core, message, stamp, published } => {
                if let Some(complaint) = core.topic.publish(&core, message, (stamp, self.now()), published) {
                    self.note(&core, complaint);
                }
            }
            Output::Call { client, request, port, generation, call } => {
                let local =
                    self.services.read().get(&*client.name).map(|entry| (Arc::clone(&entry.slot), entry.port, entry.generation));
                let reply = ReplyTo::local(self, from, port, generation, call, &client.name);
                match (local, &client.remote) {
                    (Some((slot, service_port, service_generation)), _) => slot.push(Item {
                        port: service_port,
                        generation: service_generation,
                        event: Event::Request { body: Body::Typed(request), reply },
                        published: None,
                        edge: None,
                    }),
                    (None, Some(remote)) if remote.available() => {
                        let name = client.name.to_string();
                        let open = self.snapshots.open_call();
                        remote.call(
                            request.to_cdr(),
                            Box::new(move |result| {
                                reply.finish_from_outside(result.map(Body::Cdr).map_err(|_| CallError::NoAnswer(name)));
                                // Last, whether it is called or dropped: between open and answered there must be no moment for a snapshot.
                                drop(open);
                            }),
                        );
                    }
                    _ => reply.finish(Err(CallError::Unavailable(client.name.to_string()))),
                }
            }
            Output::Assert { core } => {
                let at = self.now();
                core.end.asserted(at);
                for subscriber in &core.topic.ends.read().subscribers {
                    subscriber.end.peer_asserted(PeerId::Local(core.end.id), at);
                }
                if let Some(complaint) = core.remote.as_ref().and_then(|remote| remote.assert_liveliness().err()) {
                    self.note(&core, complaint.to_string());
                }
            }
            Output::Change(change) => self.composition.ask(change),
            Output::Leave => self.unregister(from),
            Output::Reply { reply, response } => {
                self.show_reply(from, &reply, &response);
                reply.finish(Ok(Body::Typed(response)));
            }
            Output::Log(log) => crate::logger::publish(self, from, log),
        }
    }

    fn note(&self, core: &PublisherCore, complaint: String) {
        core.slot.statuses.lock().insert(format!("publish {}", core.topic.name), (Level::Warn, complaint));
    }

    /// Shows a line to the user. Not on /rosout: the caller may hold the lock of that very topic.
    pub fn write_log(&self, slot: &Slot, level: Level, message: &str) {
        drop(crate::logger::record(self, slot, (level.into(), self.now()), message, None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::Message;
    use msgs::std_msgs::msg::{Int64, String as Text};

    #[test]
    fn a_topic_that_nobody_uses_gives_way_to_another_type() {
        let shared = Shared::new(true, String::new(), None, crate::silent_sink());
        let first = shared.topic("/x", <Int64 as Message>::message_type(), "a").unwrap();
        assert!(Arc::ptr_eq(&first, &shared.topic("/x", <Int64 as Message>::message_type(), "b").unwrap()));
        let second = shared.topic("/x", <Text as Message>::message_type(), "c").unwrap();
        assert_eq!(second.message_type.name, "std_msgs/msg/String");
        assert!(!Arc::ptr_eq(&first, &second));
    }

    mod with_a_node {
        use std::sync::atomic::AtomicUsize;

        use super::super::*;
        use crate::testing::Nobody;
        use crate::transport::{
            ChangeSink, Endpoint, NodeIdentity, RemoteClient, RemotePublisher, RequestSink, SampleSink, Token, TransportError,
        };
        use crate::{Graph, GraphConfig, Mode, Node, NodeFactory, NodeSpec, Publisher, Setup, silent_sink};
        use msgs::std_msgs::msg::Int64;
        use msgs::std_srvs::srv::{Trigger, TriggerResponse};

        const HOUR: Duration = Duration::from_secs(3600);

        /// Has one end of each kind.
        struct Talker(#[allow(dead_code)] Publisher<Int64>);
        impl Node for Talker {
            const NAME: &'static str = "talker";
            fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
                s.subscribe("back", Qos::reliable(1), |_: &mut Self, _, _: Arc<Int64>| Ok(()))?;
                s.service::<Trigger>("help", |_: &mut Self, _, _| Ok(TriggerResponse::default()))?;
                Ok(Self(s.publisher("numbers", Qos::latched(1).deadline(HOUR).lifespan(HOUR))?))
            }
        }

        #[test]
        fn deadlines_and_lifespans_go_by_the_graphs_clock_whatever_the_nodes_says() {
            let mut graph =
                Graph::new(GraphConfig { mode: Mode::FreeRunning, log: silent_sink(), ..GraphConfig::default() }).unwrap();
            graph.add(NodeFactory::of::<Talker>(), NodeSpec::default()).unwrap();
            let (shared, slot) = (Arc::clone(graph.shared()), graph.shared().slot(1).unwrap());
            let topic = Arc::clone(&shared.topics.read()["/numbers"]);
            let core = Arc::clone(&topic.ends.read().publishers[0]);
            // Simulated times: long ago, and far ahead.
            for stamp in [Time::from_nanos(5_000_000_000), shared.now() + 1000 * HOUR] {
                let published = Instant::now();
                let message = Arc::new(Int64 { data: 1 });
                shared.perform(&slot, Output::Publish { core: Arc::clone(&core), message, stamp, published });
                let kept = topic.ends.read().publishers[0].latched.lock()[0].message.clone();
                assert_eq!(kept.stamp, stamp, "what it says of itself");
                assert!(!kept.is_over(shared.now()) && kept.is_over(shared.now() + 2 * HOUR));
                shared.tend(shared.now());
                assert!(core.end.sentences().is_empty(), "no deadline has passed");
                shared.tend(shared.now() + 2 * HOUR);
                assert_eq!(core.end.sentences().len(), 1, "it has by now");
            }
        }

        /// A wire that wants to know, when something is taken back, whether the graph could be told of it.
        struct Nosy;
        struct Held;
        static GRAPH: OnceLock<Weak<Shared>> = OnceLock::new();
        static FREE: AtomicUsize = AtomicUsize::new(0);
        static HELD: AtomicUsize = AtomicUsize::new(0);
        impl Drop for Held {
            fn drop(&mut self) {
                let Some(shared) = GRAPH.get().and_then(Weak::upgrade) else { return };
                let topics = shared.topics.try_write();
                let free = topics.as_ref().is_some_and(|topics| topics.values().all(|topic| topic.ends.try_write().is_some()));
                let free = free && shared.remote.try_lock().is_some() && shared.services.try_write().is_some();
                let free = free && shared.service_watches.try_lock().is_some() && shared.ears.try_lock().is_some();
                if free { &FREE } else { &HELD }.fetch_add(1, Ordering::SeqCst);
            }
        }
        impl Transport for Nosy {
            fn node(&self, _: &NodeIdentity) -> Result<Box<dyn Token>, TransportError> {
                Ok(Box::new(Nobody(Held)))
            }
            fn publisher(&self, _: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError> {
                Ok(Box::new(Nobody(Held)))
            }
            fn subscription(&self, _: &Endpoint, _: SampleSink) -> Result<Box<dyn Token>, TransportError> {
                Ok(Box::new(Nobody(Held)))
            }
            fn service(&self, _: &Endpoint, _: RequestSink) -> Result<Box<dyn Token>, TransportError> {
                Ok(Box::new(Nobody(Held)))
            }
            fn client(&self, endpoint: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError> {
                Err(TransportError::NoAnswer(endpoint.name.clone()))
            }
            fn follow(&self, _: ChangeSink) {}
            fn complaints(&self) -> Vec<String> {
                Vec::new()
            }
            fn describe(&self) -> String {
                "a test".into()
            }
        }

        #[test]
        fn what_the_wire_knows_of_a_node_that_goes_is_dropped_while_no_lock_is_held() {
            let config = GraphConfig { transport: Some(Arc::new(Nosy)), log: silent_sink(), ..GraphConfig::default() };
            let mut graph = Graph::new(config).unwrap();
            graph.add(NodeFactory::of::<Talker>(), NodeSpec::default()).unwrap();
            let (shared, slot) = (Arc::clone(graph.shared()), graph.shared().slot(1).unwrap());
            assert!(GRAPH.set(Arc::downgrade(&shared)).is_ok());
            slot.bury(&mut slot.runtime.lock());
            shared.unregister(&slot);
            slot.reset();
            // Its publishers on numbers, /rosout and /parameter_events, its subscription, itself and its services.
            assert!(FREE.load(Ordering::SeqCst) > 5, "{}", FREE.load(Ordering::SeqCst));
            assert_eq!(HELD.load(Ordering::SeqCst), 0);
        }
    }
}
