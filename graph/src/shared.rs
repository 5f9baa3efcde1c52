//! What all nodes of a process share: topics, services, the clock, the wire.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use msgs::MessageType;
use parking_lot::{Mutex, RwLock};

use crate::context::Output;
use crate::diagnostics::{Level, LogRecord, LogSink};
use crate::error::SetupError;
use crate::free::RunQueue;
use crate::message::Erased;
use crate::service::{Body, CallError, CallId, ReplyTo, ServiceEntry};
use crate::slot::{Event, Item, Slot};
use crate::time::Time;
use crate::topic::{PublisherCore, SubscriberCore, Tap, Topic};
use crate::transport::Transport;

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

/// A sample that another process sent, on its way to one subscriber.
pub(crate) struct Arrival {
    pub topic: Arc<Topic>,
    pub subscriber: Arc<SubscriberCore>,
    pub message: Arc<dyn Erased>,
    pub stamp: Time,
    pub sequence: u64,
}

impl Arrival {
    fn deliver(self) {
        self.topic.receive(&self.subscriber, self.message, self.stamp, self.sequence);
    }
}

/// Something that does not come from a handler of this graph.
pub(crate) enum Outside {
    Item(Arc<Slot>, Item),
    Sample(Arrival),
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
    pub outside: Mutex<Vec<Outside>>,
    /// Lock-step: calls that were let go unanswered since the step began, on any thread; their callers are told in the next one.
    pub unanswered: Mutex<Vec<(Arc<Slot>, CallId, Item)>>,
    /// Free-running: the nodes that have work.
    pub queue: OnceLock<Arc<RunQueue>>,
    /// Where log lines go; the monitor sets it up.
    pub rosout: RwLock<Option<Arc<PublisherCore>>>,
    taps: RwLock<Vec<Arc<Tap>>>,
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
            rosout: RwLock::default(),
            taps: RwLock::default(),
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

    /// Hands over an item that does not come from a handler of this graph.
    pub fn deliver_from_outside(&self, slot: &Arc<Slot>, item: Item) {
        if self.lock_step {
            self.outside.lock().push(Outside::Item(Arc::clone(slot), item));
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
            self.outside.lock().push(Outside::Sample(arrival));
        } else {
            arrival.deliver();
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
        let arrived = std::mem::take(&mut *self.outside.lock());
        for outside in arrived {
            match outside {
                Outside::Item(slot, item) => slot.push(item),
                Outside::Sample(arrival) => arrival.deliver(),
            }
        }
    }

    /// The topic `name`, made if need be; `Err` if it carries another type.
    pub fn topic(&self, name: &str, message_type: &'static MessageType, node: &str) -> Result<Arc<Topic>, SetupError> {
        let mut topics = self.topics.write();
        if let Some(topic) = topics.get(name) {
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
        let topic = Arc::new(Topic { name: Arc::from(name), message_type, ends: RwLock::default() });
        topic.ends.write().taps = self.taps.read().iter().filter(|tap| (tap.filter)(name, message_type)).cloned().collect();
        topics.insert(name.to_owned(), Arc::clone(&topic));
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
    }

    /// Takes back all that a node declared.
    pub fn unregister(&self, slot: &Arc<Slot>) {
        for topic in self.topics.read().values() {
            let mut ends = topic.ends.write();
            ends.publishers.retain(|publisher| !Arc::ptr_eq(&publisher.slot, slot));
            ends.subscribers.retain(|subscriber| !Arc::ptr_eq(&subscriber.slot, slot));
            ends.taps.retain(|tap| !Arc::ptr_eq(&tap.slot, slot));
        }
        self.taps.write().retain(|tap| !Arc::ptr_eq(&tap.slot, slot));
        self.services.write().retain(|_, entry| !Arc::ptr_eq(&entry.slot, slot));
        self.rosout.write().take_if(|core| Arc::ptr_eq(&core.slot, slot));
    }

    /// Carries out what a handler asked for.
    pub fn perform(self: &Arc<Self>, from: &Arc<Slot>, output: Output) {
        match output {
            Output::Publish { core, message, stamp, published } => {
                if let Some(complaint) = core.topic.publish(&core, message, stamp, published) {
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
                        remote.call(
                            request.to_cdr(),
                            Box::new(move |result| {
                                reply.finish_from_outside(result.map(Body::Cdr).map_err(|_| CallError::NoAnswer(name)));
                            }),
                        );
                    }
                    _ => reply.finish(Err(CallError::Unavailable(client.name.to_string()))),
                }
            }
            Output::Reply { reply, response } => reply.finish(Ok(Body::Typed(response))),
            Output::Log(log) => {
                let rosout = self.rosout.read().clone();
                if let Some(core) = rosout {
                    core.topic.publish(&core, Arc::new(log), self.now(), Instant::now());
                }
            }
        }
    }

    fn note(&self, core: &PublisherCore, complaint: String) {
        core.slot.statuses.lock().insert(format!("publish {}", core.topic.name), (Level::Warn, complaint));
    }

    pub fn write_log(&self, slot: &Slot, level: Level, message: &str) {
        (self.log)(&LogRecord { level, node: Arc::clone(&slot.name), message: message.to_owned(), time: self.now() });
    }
}
