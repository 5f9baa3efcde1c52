//! What a node is, and how it declares its ports, parameters and handlers.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use msgs::{Message, MessageType, Service};

use crate::context::Context;
use crate::error::{HandlerResult, NodeError, SetupError};
use crate::events::{End, QosEvent, Side};
use crate::lifecycle::Driver;
use crate::listen::{self, Reader};
use crate::logger::{self, Severity};
use crate::message::AnyMessage;
use crate::name::Resolver;
use crate::param::{self, ParamStore, ParamValue};
use crate::publisher::Publisher;
use crate::recycle::Stock;
use crate::service::{CallError, CallId, Client, ClientCore, ReplyTo, Responder, ServiceEntry, open_request};
use crate::shared::Shared;
use crate::sim_time::JumpHandlers;
use crate::slot::{Event, Item, Slot, TimerEntry};
use crate::snapshot::{FreezeError, Part};
use crate::topic::{PublisherCore, SubscriberCore, Tap, Topic};
use crate::transport::{Endpoint, EndpointKind};
use crate::type_description::TypesInUse;
use crate::{Qos, Time};

/// A node: state, declared ports and parameters, and handlers.
///
/// A handler runs on a message, a timer, a request or a goal, one at a time, and takes time only from its [`Context`]. So the same node
/// runs live, in lock-step simulation and in replay.
pub trait Node: Sized + Send + 'static {
    /// The name of its kind, as launch files say it.
    const NAME: &'static str;

    /// Whether it only listens (a recorder, a view): then it is no part of a snapshot of the graph ([`crate::snapshot`]), and a run that goes on
    /// from one starts it anew, or does without it.
    const WATCHER: bool = false;

    /// Parameters on which its state does not depend, names of files for instance: they may differ in a run that goes on from a snapshot.
    const FREE_PARAMETERS: &'static [&'static str] = &[];

    /// Declares parameters, ports and handlers, and makes the initial state.
    ///
    /// # Errors
    /// What the declarations return, or [`Setup::failed`] for the node's own reasons.
    fn setup(setup: &mut Setup<Self>) -> Result<Self, SetupError>;

    /// Called once when the graph starts, before any other handler.
    ///
    /// # Errors
    /// Are logged and shown on /diagnostics.
    fn start(&mut self, _ctx: &mut Context) -> HandlerResult {
        Ok(())
    }

    /// Called once when the graph stops, after the last handler.
    ///
    /// # Errors
    /// Are logged.
    fn stop(&mut self, _ctx: &mut Context) -> HandlerResult {
        Ok(())
    }

    /// The state of the node for a snapshot of the graph, taken between two steps: everything on which depends what it will do, but what its
    /// set-up, its parameters and [`Node::thaw`] make again. [`crate::snapshot::pack`] makes bytes of it; a node without state says so
    /// with no bytes at all.
    ///
    /// # Errors
    /// [`FreezeError::Never`], as by default, if the node has no snapshots; then its graph has none. [`FreezeError::Now`] if it has none at the
    /// moment, because it keeps what cannot be written down, such as a [`Responder`].
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        Err(FreezeError::Never)
    }

    /// Takes up what [`Node::freeze`] gave; called in place of [`Node::start`], and to do what that does for things outside the graph
    /// (load a model, open a file). What it publishes or logs is not sent: the snapshot has that of the first run.
    ///
    /// # Errors
    /// Refuse the whole snapshot.
    fn thaw(&mut self, _ctx: &mut Context, _state: &[u8]) -> HandlerResult {
        Err(NodeError::new("nodes of its kind cannot be thawed"))
    }
}

pub(crate) type Handler<N> = Box<dyn FnMut(&mut N, &mut Context, Event) -> HandlerResult + Send>;

type Injection<N> = Box<dyn FnOnce(&mut N, &mut Context) -> HandlerResult + Send>;

/// The way into a node for a driver's own thread: what is sent runs as a handler.
pub struct Injector<N> {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    port: usize,
    generation: u64,
    _node: PhantomData<fn(N)>,
}

impl<N> Clone for Injector<N> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            slot: Arc::clone(&self.slot),
            port: self.port,
            generation: self.generation,
            _node: PhantomData,
        }
    }
}

impl<N: Node> Injector<N> {
    /// Runs `handler` as a handler of the node, in its turn. Returns false if that life of the node is over: the driver should end.
    pub fn send(&self, handler: impl FnOnce(&mut N, &mut Context) -> HandlerResult + Send + 'static) -> bool {
        if self.slot.generation() != self.generation || self.shared.stop.is_set() {
            return false;
        }
        let injection: Injection<N> = Box::new(handler);
        let item = Item {
            port: self.port,
            generation: self.generation,
            event: Event::Inject(Box::new(injection)),
            published: None,
            edge: None,
        };
        self.shared.deliver_from_outside(&self.slot, item);
        true
    }
}

/// A node being set up.
pub struct Setup<N> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) resolver: Resolver,
    pub(crate) overrides: BTreeMap<String, ParamValue>,
    pub(crate) params: Arc<ParamStore>,
    pub(crate) param_listeners: Vec<param::Listener<N>>,
    pub(crate) life: Option<Arc<Driver<N>>>,
    pub(crate) handlers: Vec<Handler<N>>,
    hears_events: bool,
    /// Who wants to know of jumps of /clock.
    pub(crate) jumps: JumpHandlers<N>,
    /// Types of the declared ports, for the type description service.
    pub(crate) types: TypesInUse,
    /// What handlers keep in place of the node, for snapshots.
    pub(crate) parts: Vec<Box<dyn Part>>,
}

impl<N: Node> Setup<N> {
    pub(crate) fn new(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Self {
        Self {
            shared: Arc::clone(shared),
            slot: Arc::clone(slot),
            resolver: Resolver::new(slot.identity.namespace.clone(), slot.identity.name.clone(), slot.spec.remaps.clone()),
            overrides: slot.spec.parameters.clone(),
            params: slot.new_params(),
            param_listeners: Vec::new(),
            life: None,
            handlers: Vec::new(),
            hears_events: false,
            jumps: Vec::new(),
            types: TypesInUse::default(),
            parts: Vec::new(),
        }
    }

    /// The node's fully qualified name.
    pub fn node_name(&self) -> &str {
        &self.slot.name
    }

    /// Says at set-up that something works less well than it should.
    pub fn warn(&mut self, message: impl AsRef<str>) {
        logger::say(&self.shared, &self.slot, Severity::Warn, message.as_ref());
    }

    /// An error for the node's own reasons.
    pub fn failed(&self, reason: impl std::fmt::Display) -> SetupError {
        SetupError::Node { node: self.slot.name.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn port(&mut self, depth: usize, handler: Handler<N>) -> usize {
        self.handlers.push(handler);
        self.slot.open_port(depth)
    }

    pub(crate) fn endpoint(
        &self,
        kind: EndpointKind,
        name: &str,
        message_type: (&'static str, &'static str, &'static str),
        qos: Qos,
    ) -> Endpoint {
        Endpoint {
            kind,
            node: self.slot.identity.clone(),
            id: self.shared.id(),
            name: name.to_owned(),
            type_name: message_type.0,
            dds_name: message_type.1,
            type_hash: message_type.2,
            qos,
        }
    }

    /// Declares a publisher.
    ///
    /// # Errors
    /// A forbidden name, a topic that carries another type, or a wire that refuses it.
    pub fn publisher<M: Message>(&mut self, topic: &str, qos: Qos) -> Result<Publisher<M>, SetupError> {
        let core = self.publisher_of(topic, M::message_type(), qos)?;
        Ok(Publisher { core, stock: Stock::new().map(Arc::new), unmanaged: false })
    }

    pub(crate) fn publisher_of(
        &mut self,
        topic: &str,
        kind: &'static MessageType,
        qos: Qos,
    ) -> Result<Arc<PublisherCore>, SetupError> {
        let name = self.resolver.resolve(topic)?;
        self.types.add(kind.name);
        let topic = self.shared.topic(&name, kind, &self.slot.name)?;
        let remote = match &self.shared.transport {
            Some(wire) => Some(wire.publisher(&self.endpoint(
                EndpointKind::Publisher,
                &name,
                (kind.name, kind.dds_name, kind.hash),
                qos,
            ))?),
            None => None,
        };
        let core = Arc::new(PublisherCore {
            end: End::new(&self.shared, &self.slot, &topic.name, Side::Publisher, qos),
            topic,
            slot: Arc::clone(&self.slot),
            qos,
            sequence: 0.into(),
            latched: Default::default(),
            remote,
        });
        self.shared.join_publisher(&core);
        Ok(core)
    }

    /// The full name of a topic of this node, after its remaps: as [`crate::QosEvent`] has it.
    ///
    /// # Errors
    /// A forbidden name.
    pub fn full_topic(&mut self, topic: &str) -> Result<String, SetupError> {
        self.resolver.resolve(topic)
    }

    /// Declares a subscription.
    ///
    /// # Errors
    /// A forbidden name, a topic that carries another type, or a wire that refuses it.
    pub fn subscribe<M: Message>(
        &mut self,
        topic: &str,
        qos: Qos,
        mut handler: impl FnMut(&mut N, &mut Context, Arc<M>) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        let name = self.resolver.resolve(topic)?;
        let kind = M::message_type();
        self.types.add(kind.name);
        let topic = self.shared.topic(&name, kind, &self.slot.name)?;
        let place = self.handlers.len();
        let port = self.port(
            qos.depth(),
            Box::new(move |node, ctx, event| match event {
                Event::Message(any) => match any.open::<M>() {
                    Ok(message) => handler(node, ctx, message),
                    Err(why) => {
                        ctx.shared.refused(&ctx.slot, place, &any, &why);
                        Ok(())
                    }
                },
                _ => Ok(()),
            }),
        );
        self.listen(&topic, port, qos, listen::typed::<M>)
    }

    /// Makes a subscription whose samples come in at `port`.
    pub(crate) fn listen(&mut self, topic: &Arc<Topic>, port: usize, qos: Qos, read: Reader) -> Result<(), SetupError> {
        let subscriber = SubscriberCore::of(&self.shared, &self.slot, topic, port, qos);
        let token = self.shared.listen(topic, &subscriber, read)?;
        self.slot.tokens.lock().extend(token);
        Ok(())
    }

    /// Declares a tap: every message on the topics that `filter` accepts, those of this process and, with a wire, of others, where the type is
    /// compiled in. Messages from outside have no [`AnyMessage::publisher`], and their sender's time as [`AnyMessage::stamp`].
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn tap(
        &mut self,
        filter: impl Fn(&str, &MessageType) -> bool + Send + Sync + 'static,
        handler: impl FnMut(&mut N, &mut Context, &AnyMessage) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        self.tap_on(true, usize::MAX, filter, handler)
    }

    /// As [`Setup::tap`]; in free-running mode no more than so many bytes of messages wait for the handler, and the oldest give way.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn tap_within(
        &mut self,
        bytes: usize,
        filter: impl Fn(&str, &MessageType) -> bool + Send + Sync + 'static,
        handler: impl FnMut(&mut N, &mut Context, &AnyMessage) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        self.tap_on(true, bytes, filter, handler)
    }

    /// As [`Setup::tap`], of what the nodes of this process say and hear only: their publishers' messages and what their subscriptions
    /// get from other processes. Nothing is subscribed to for it.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn tap_local(
        &mut self,
        filter: impl Fn(&str, &MessageType) -> bool + Send + Sync + 'static,
        handler: impl FnMut(&mut N, &mut Context, &AnyMessage) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        self.tap_on(false, usize::MAX, filter, handler)
    }

    fn tap_on(
        &mut self,
        ears: bool,
        bytes: usize,
        filter: impl Fn(&str, &MessageType) -> bool + Send + Sync + 'static,
        mut handler: impl FnMut(&mut N, &mut Context, &AnyMessage) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        // In lock-step everything is handled within the step; in free-running mode a slow tap must not eat the memory.
        let depth = if self.shared.lock_step { usize::MAX } else { 1000 };
        let port = self.port(
            depth,
            Box::new(move |node, ctx, event| match event {
                Event::Message(any) => handler(node, ctx, &any),
                _ => Ok(()),
            }),
        );
        if !self.shared.lock_step && bytes < usize::MAX {
            self.slot.limit_bytes(port, bytes);
        }
        self.shared.add_tap(Arc::new(Tap {
            slot: Arc::clone(&self.slot),
            port,
            generation: self.slot.generation(),
            ears,
            filter: Box::new(filter),
        }));
        Ok(())
    }

    /// Declares what happens on events of the node's publishers and subscriptions: who joins and leaves, deadlines, liveliness, losses,
    /// ends that do not fit. One handler hears of all of them; declare it before the ports, or it misses what they meet at once.
    ///
    /// # Errors
    /// If the node has declared one already.
    pub fn on_qos_event(
        &mut self,
        mut handler: impl FnMut(&mut N, &mut Context, &QosEvent) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        if std::mem::replace(&mut self.hears_events, true) {
            return Err(self.failed("a node has one handler for quality-of-service events"));
        }
        let port = self.port(
            1000,
            Box::new(move |node, ctx, event| match event {
                Event::Qos(event) => handler(node, ctx, &event),
                _ => Ok(()),
            }),
        );
        self.slot.events.open(port, self.slot.generation());
        Ok(())
    }

    /// Declares a timer; it first fires one period after the start. Periods missed in free-running mode are skipped.
    ///
    /// # Errors
    /// A period of zero.
    pub fn timer(
        &mut self,
        period: Duration,
        mut handler: impl FnMut(&mut N, &mut Context) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        if period.is_zero() {
            return Err(self.failed("a timer needs a period above zero"));
        }
        let depth = if self.shared.lock_step { usize::MAX } else { 1 };
        let port = self.port(depth, Box::new(move |node, ctx, _| handler(node, ctx)));
        self.slot.timers.lock().push(TimerEntry { port, period, next: self.now() + period });
        Ok(())
    }

    /// Declares a service that answers at once.
    ///
    /// # Errors
    /// A forbidden name, a service that somebody serves already, or a wire that refuses it.
    pub fn service<S: Service>(
        &mut self,
        name: &str,
        handler: impl FnMut(&mut N, &mut Context, S::Request) -> Result<S::Response, NodeError> + Send + 'static,
    ) -> Result<(), SetupError> {
        self.service_with_qos::<S>(name, Qos::reliable(10), handler)
    }

    pub(crate) fn service_with_qos<S: Service>(
        &mut self,
        name: &str,
        qos: Qos,
        mut handler: impl FnMut(&mut N, &mut Context, S::Request) -> Result<S::Response, NodeError> + Send + 'static,
    ) -> Result<(), SetupError> {
        self.serve::<S>(name, qos, move |node, ctx, request, responder| {
            let response = handler(node, ctx, request)?;
            responder.respond(ctx, response);
            Ok(())
        })
    }

    /// Declares a service that answers when it can.
    ///
    /// # Errors
    /// As [`Setup::service`].
    pub fn service_deferred<S: Service>(
        &mut self,
        name: &str,
        handler: impl FnMut(&mut N, &mut Context, S::Request, Responder<S>) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        self.serve::<S>(name, Qos::reliable(10), handler)
    }

    fn serve<S: Service>(
        &mut self,
        name: &str,
        qos: Qos,
        mut handler: impl FnMut(&mut N, &mut Context, S::Request, Responder<S>) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        let name = self.resolver.resolve_service(name)?;
        let service_type = S::service_type();
        self.types.add(service_type.name);
        let label = name.clone();
        let port = self.port(
            1000,
            Box::new(move |node, ctx, event| match event {
                Event::Request { body, reply } => handler(node, ctx, open_request::<S>(&label, body)?, Responder::new(reply)),
                _ => Ok(()),
            }),
        );
        let generation = self.slot.generation();
        {
            let mut services = self.shared.services.write();
            if let Some(entry) = services.get(&name) {
                return Err(SetupError::ServiceTaken { name, owner: entry.slot.name.to_string() });
            }
            services.insert(name.clone(), ServiceEntry { slot: Arc::clone(&self.slot), port, generation, service_type });
        }
        self.shared.service_changed(&name);
        if let Some(wire) = &self.shared.transport {
            let shared = Arc::clone(&self.shared);
            let slot = Arc::clone(&self.slot);
            let types = (service_type.name, service_type.dds_name, service_type.hash);
            let token = wire.service(
                &self.endpoint(EndpointKind::Service, &name, types, qos),
                Arc::new(move |request| {
                    let event = Event::Request {
                        body: crate::service::Body::Cdr(request.payload),
                        reply: ReplyTo::remote(request.reply),
                    };
                    shared.deliver_from_outside(&slot, Item { port, generation, event, published: None, edge: None });
                }),
            )?;
            self.slot.tokens.lock().push(token);
        }
        Ok(())
    }

    /// Declares a client of a service; answers come to `handler`.
    ///
    /// # Errors
    /// A forbidden name, a service of another type, or a wire that refuses it.
    pub fn client<S: Service>(
        &mut self,
        name: &str,
        mut handler: impl FnMut(&mut N, &mut Context, CallId, Result<S::Response, CallError>) -> HandlerResult + Send + 'static,
    ) -> Result<Client<S>, SetupError> {
        let name = self.resolver.resolve_service(name)?;
        let service_type = S::service_type();
        self.types.add(service_type.name);
        if let Some(entry) = self.shared.services.read().get(&name)
            && entry.service_type.hash != service_type.hash
        {
            return Err(SetupError::TypeMismatch {
                name,
                node: self.slot.name.to_string(),
                existing: entry.service_type.name,
                wanted: service_type.name,
            });
        }
        let remote = match &self.shared.transport {
            Some(wire) => {
                let types = (service_type.name, service_type.dds_name, service_type.hash);
                Some(wire.client(&self.endpoint(EndpointKind::Client, &name, types, Qos::reliable(10)))?)
            }
            None => None,
        };
        let label = name.clone();
        // No answer may be lost: there is at most one for each call.
        let port = self.port(
            usize::MAX,
            Box::new(move |node, ctx, event| match event {
                Event::Response { call, result } => {
                    let result = result
                        .and_then(|body| body.open().map_err(|reason| CallError::Malformed { name: label.clone(), reason }));
                    handler(node, ctx, call, result)
                }
                _ => Ok(()),
            }),
        );
        let core = Arc::new(ClientCore { name: Arc::from(name), remote });
        Ok(Client { core, port, generation: self.slot.generation(), _service: PhantomData })
    }

    /// The way in for a driver's own thread. Only drivers at the edge (a camera, a socket) may have threads.
    pub fn injector(&mut self) -> Injector<N> {
        self.injector_of(64)
    }

    /// As [`Setup::injector`], of which no more than `depth` handlers wait.
    pub(crate) fn injector_of(&mut self, depth: usize) -> Injector<N> {
        let port = self.port(
            depth,
            Box::new(|node, ctx, event| match event {
                Event::Inject(any) => match any.downcast::<Injection<N>>() {
                    Ok(injection) => injection(node, ctx),
                    Err(_) => Ok(()),
                },
                _ => Ok(()),
            }),
        );
        Injector {
            shared: Arc::clone(&self.shared),
            slot: Arc::clone(&self.slot),
            port,
            generation: self.slot.generation(),
            _node: PhantomData,
        }
    }

    /// The time at set-up.
    pub fn now(&self) -> Time {
        self.slot.clock.now(&self.shared)
    }
}
