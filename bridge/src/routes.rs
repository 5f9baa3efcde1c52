//! What carries one topic or one service.

use crate::plan::TopicRoute;
use crate::rcl::{Client, MessageType, Node, Publisher, RclError, RequestId, Server, Subscription, Trigger};
use crate::sides::Origins;
use graph::transport::RemoteRequest;
use graph::{Durability, Qos};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use wire::{CallError, Guest, GuestClient, GuestNode, GuestPublisher, GuestServer, GuestSubscription, WireError, WireType};

/// How long an answer may take (rmw_zenoh: `queries_default_timeout`).
const ANSWER: Duration = Duration::from_secs(600);
/// How long the answer may take that comes when an action has ended.
const RESULT: Duration = Duration::from_secs(24 * 3600);
/// How long a request waits for a server that is announced and not matched yet.
const MATCH: Duration = Duration::from_secs(5);

/// How long a server has been matched before it is sent anything: it may learn later where answers go than where requests come from, and
/// drops an answer that it does not know where to send (rmw_fastrtps: `rmw_response.cpp`).
const ACQUAINTED: Duration = Duration::from_millis(200);

/// How long a service's answer may take.
fn patience(service: &str) -> Duration {
    if service.ends_with("/_action/get_result") { RESULT } else { ANSWER }
}

/// Whether a topic is listened to whoever listens: what late joiners need, or each new beginning would fetch the history again; and the
/// topics of an action, whose first sample follows so soon after a goal that nobody could begin to listen in between.
fn always_open(topic: &str, request: &Qos) -> bool {
    request.durability == Durability::TransientLocal || topic.contains("/_action/")
}

/// What crossed so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Samples, or calls with their answer.
    pub crossed: AtomicU64,
    /// Samples or calls that did not.
    pub failed: AtomicU64,
}

impl Counters {
    fn count<T, E>(&self, result: &Result<T, E>) {
        let counter = if result.is_ok() { &self.crossed } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What threads of Zenoh tell the bridge's own thread.
pub enum Event {
    /// A request for a server on DDS.
    Request {
        /// Number of the route.
        route: u64,
        /// The request.
        request: RemoteRequest,
    },
    /// An answer for a client on DDS.
    Answer {
        /// Number of the route.
        route: u64,
        /// Whose.
        id: RequestId,
        /// The answer.
        result: Result<Vec<u8>, CallError>,
    },
}

/// Tells the bridge's own thread, and wakes it.
#[derive(Clone)]
pub struct Events {
    /// Where to.
    pub sender: Sender<Event>,
    /// The waking.
    pub trigger: Arc<Trigger>,
}

impl Events {
    fn send(&self, event: Event) {
        // Nobody listens when the bridge ends: nothing is left to be done.
        let _ = self.sender.send(event);
        self.trigger.trigger();
    }
}

/// Whether bytes begin as plain CDR does, of either byte order (DDS-XTypes 1.3, 7.6.3.1.2).
fn is_cdr(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0 | 1, _, _, ..])
}

/// A topic from Zenoh.
pub struct ToDds {
    /// As planned.
    pub route: TopicRoute,
    /// What crossed.
    pub counters: Arc<Counters>,
    publisher: Arc<Publisher>,
    subscription: Option<GuestSubscription>,
}

impl ToDds {
    /// Announces the topic on DDS.
    ///
    /// # Errors
    /// [`RclError`] if the middleware refuses.
    pub fn new(node: &Arc<Node>, topic: &str, ty: &Arc<MessageType>, route: &TopicRoute) -> Result<Self, RclError> {
        let publisher = Arc::new(Publisher::new(node, topic, ty, &route.offer)?);
        Ok(Self { route: route.clone(), counters: Arc::default(), publisher, subscription: None })
    }

    /// Whether samples cross.
    pub fn active(&self) -> bool {
        self.subscription.is_some()
    }

    /// Listens on Zenoh as long as somebody listens on DDS: from when a subscription is matched that is not the bridge's own, so that
    /// the first sample finds it, until there is none.
    ///
    /// # Errors
    /// [`WireError`] if the session is lost.
    pub fn refresh(
        &mut self,
        own_subscriptions: usize,
        zenoh: &Guest,
        node: &GuestNode,
        topic: &str,
        ty: &WireType,
        origins: &Arc<Origins>,
    ) -> Result<(), WireError> {
        let always = always_open(topic, &self.route.request);
        let wanted = always || self.route.wanted;
        let reaches = || always || self.publisher.subscriptions() > own_subscriptions;
        if wanted && self.subscription.is_none() && reaches() {
            let (publisher, counters, origins) = (Arc::clone(&self.publisher), Arc::clone(&self.counters), Arc::clone(origins));
            let sink = move |payload: msgs::Bytes, attachment: wire::Attachment| {
                if origins.of_bridge(&attachment.gid) {
                    return;
                }
                let sent = if is_cdr(&payload) { publisher.publish(&payload).map_err(drop) } else { Err(()) };
                counters.count(&sent);
            };
            self.subscription = Some(zenoh.subscribe(node, topic, ty, &self.route.request, sink)?);
        } else if !wanted {
            self.subscription = None;
        }
        Ok(())
    }
}

/// A topic from DDS.
pub struct ToZenoh {
    /// As planned.
    pub route: TopicRoute,
    /// What crossed.
    pub counters: Counters,
    /// While samples cross.
    pub subscription: Option<Subscription>,
    publisher: GuestPublisher,
    ty: Arc<MessageType>,
}

impl ToZenoh {
    /// Announces the topic on Zenoh.
    ///
    /// # Errors
    /// [`WireError`] if the name is none on this side, or the session is lost.
    pub fn new(
        zenoh: &Guest,
        node: &GuestNode,
        topic: &str,
        wire_type: &WireType,
        ty: &Arc<MessageType>,
        route: &TopicRoute,
    ) -> Result<Self, WireError> {
        let publisher = zenoh.publisher(node, topic, wire_type, &route.offer)?;
        let ty = Arc::clone(ty);
        Ok(Self { route: route.clone(), counters: Counters::default(), subscription: None, publisher, ty })
    }

    /// Listens on DDS as long as somebody listens on Zenoh.
    ///
    /// # Errors
    /// [`RclError`] if the middleware refuses.
    pub fn refresh(&mut self, node: &Arc<Node>, topic: &str) -> Result<(), RclError> {
        let wanted = always_open(topic, &self.route.request) || self.publisher.matched();
        if wanted && self.subscription.is_none() {
            self.subscription = Some(Subscription::new(node, topic, &self.ty, &self.route.request)?);
        } else if !wanted {
            self.subscription = None;
        }
        Ok(())
    }

    /// Hands a sample on.
    pub fn forward(&self, payload: Vec<u8>) {
        self.counters.count(&self.publisher.publish(payload));
    }
}

/// A service that is served on Zenoh, offered on DDS.
pub struct OnDds {
    /// Number of the route.
    pub id: u64,
    /// Node on whose behalf.
    pub owner: String,
    /// What crossed.
    pub counters: Counters,
    /// The server on DDS.
    pub server: Server,
    service: String,
    client: GuestClient,
}

impl OnDds {
    /// From both ends.
    pub fn new(id: u64, owner: &str, service: &str, server: Server, client: GuestClient) -> Self {
        Self { id, owner: owner.to_owned(), counters: Counters::default(), server, service: service.to_owned(), client }
    }

    /// Hands on the requests that wait.
    pub fn forward(&mut self, events: &Events) {
        while let Some(taken) = self.server.take() {
            match taken {
                Ok((id, request)) => {
                    let (route, events) = (self.id, events.clone());
                    let sink = move |result| events.send(Event::Answer { route, id, result });
                    self.client.call(request, patience(&self.service), sink);
                }
                Err(error) => self.counters.count(&Err::<(), _>(error)),
            }
        }
    }

    /// Hands an answer back. DDS has no word for a call that failed: the caller waits until its own patience ends.
    ///
    /// # Errors
    /// A sentence.
    pub fn answer(&mut self, id: RequestId, result: Result<Vec<u8>, CallError>) -> Result<(), String> {
        let sent = match result {
            Ok(bytes) => self.server.respond(id, &bytes).map_err(|error| format!("{}: {error}", self.service)),
            Err(error) => Err(error.to_string()),
        };
        self.counters.count(&sent);
        sent
    }
}

/// Sends an answer on Zenoh.
type Reply = Box<dyn FnOnce(Vec<u8>) + Send>;

/// A service that is served on DDS, offered on Zenoh.
pub struct OnZenoh {
    /// Number of the route.
    pub id: u64,
    /// Node on whose behalf.
    pub owner: String,
    /// What crossed.
    pub counters: Counters,
    /// The client on DDS.
    pub client: Client,
    service: String,
    unsent: Vec<(Instant, RemoteRequest)>,
    pending: BTreeMap<i64, (Instant, Reply)>,
    matched_since: Option<Instant>,
    _server: GuestServer,
}

impl OnZenoh {
    /// Offers the service.
    ///
    /// # Errors
    /// [`WireError`] if the name is none on this side, or the session is lost.
    pub fn new(
        id: u64,
        owner: &str,
        service: &str,
        ty: &WireType,
        client: Client,
        zenoh: &Guest,
        node: &GuestNode,
        events: Events,
    ) -> Result<Self, WireError> {
        let sink = move |request| events.send(Event::Request { route: id, request });
        let server = zenoh.serve(node, service, ty, Arc::new(sink))?;
        Ok(Self {
            id,
            owner: owner.to_owned(),
            counters: Counters::default(),
            client,
            service: service.to_owned(),
            unsent: Vec::new(),
            pending: BTreeMap::new(),
            matched_since: None,
            _server: server,
        })
    }

    /// Takes a request for the server on DDS.
    pub fn request(&mut self, request: RemoteRequest) {
        self.unsent.push((Instant::now(), request));
        self.send();
    }

    /// Sends what could not be sent before the server was matched, and gives up what has waited too long: its caller learns that it failed.
    pub fn send(&mut self) {
        let patience = patience(&self.service);
        let before = self.pending.len() + self.unsent.len();
        self.pending.retain(|_, (since, _)| since.elapsed() < patience);
        self.unsent.retain(|(since, _)| since.elapsed() < MATCH);
        let given_up = before - self.pending.len() - self.unsent.len();
        self.counters.failed.fetch_add(given_up as u64, Ordering::Relaxed);
        if self.unsent.is_empty() && self.matched_since.is_some() {
            return;
        }
        if !self.client.available() {
            self.matched_since = None;
            return;
        }
        if self.matched_since.get_or_insert_with(Instant::now).elapsed() < ACQUAINTED {
            return;
        }
        for (since, request) in self.unsent.drain(..) {
            match self.client.send(&request.payload) {
                Ok(sequence) => drop(self.pending.insert(sequence, (since, request.reply))),
                // The reply is dropped unsent: the caller learns at once that it failed.
                Err(error) => self.counters.count(&Err::<(), _>(error)),
            }
        }
    }

    /// Hands back the answers that wait.
    pub fn forward(&mut self) {
        while let Some(taken) = self.client.take() {
            if let Ok((sequence, bytes)) = &taken
                && let Some((_, reply)) = self.pending.remove(sequence)
            {
                reply(bytes.clone());
            }
            self.counters.count(&taken);
        }
    }
}
