//! Services: requests with answers, in this process or another.

use std::marker::PhantomData;
use std::sync::Arc;

use msgs::{Message, Service, ServiceType};

use crate::context::{Context, Output};
use crate::error::NodeError;
use crate::message::Erased;
use crate::raw::RawMessage;
use crate::shared::Shared;
use crate::slot::{Event, Item, Slot};
use crate::transport::RemoteClient;

/// A call's identity, unique for its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// Why a call had no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody serves it.
    #[error("nobody serves `{0}`")]
    Unavailable(String),
    /// The server went away or did not answer in time.
    #[error("no answer from `{0}`")]
    NoAnswer(String),
    /// The answer cannot be read.
    #[error("the answer from `{name}` cannot be read: {reason}")]
    Malformed {
        /// The service.
        name: String,
        /// The decoder's complaint.
        reason: String,
    },
}

/// A request or response, as a value from this process or as bytes from another.
pub(crate) enum Body {
    Typed(Arc<dyn Erased>),
    Cdr(Vec<u8>),
}

impl Body {
    pub fn open<M: Message>(self) -> Result<M, String> {
        match self {
            Self::Typed(message) => match message.into_any().downcast::<M>() {
                Ok(message) => Ok(Arc::unwrap_or_clone(message)),
                Err(any) => {
                    let raw = any.downcast::<RawMessage>().map_err(|_| format!("it is no {}", M::message_type().name))?;
                    raw.decode()
                }
            },
            Self::Cdr(bytes) => M::from_cdr(&bytes).map_err(|error| error.to_string()),
        }
    }

    pub fn to_cdr(&self) -> Vec<u8> {
        match self {
            Self::Typed(message) => message.to_cdr(),
            Self::Cdr(bytes) => bytes.clone(),
        }
    }
}

/// Who serves a service in this process.
pub(crate) struct ServiceEntry {
    pub slot: Arc<Slot>,
    pub port: usize,
    pub generation: u64,
    pub service_type: &'static ServiceType,
}

pub(crate) struct ClientCore {
    pub name: Arc<str>,
    pub remote: Option<Box<dyn RemoteClient>>,
}

enum Target {
    Local { shared: Arc<Shared>, slot: Arc<Slot>, port: usize, generation: u64, call: CallId, name: Arc<str> },
    Remote(Box<dyn FnOnce(Vec<u8>) + Send>),
}

/// Where an answer goes. If it is dropped unanswered, a caller in this process is told.
pub(crate) struct ReplyTo(Option<Target>);

impl ReplyTo {
    pub fn local(shared: &Arc<Shared>, slot: &Arc<Slot>, port: usize, generation: u64, call: CallId, name: &Arc<str>) -> Self {
        let (shared, slot, name) = (Arc::clone(shared), Arc::clone(slot), Arc::clone(name));
        Self(Some(Target::Local { shared, slot, port, generation, call, name }))
    }

    pub fn remote(reply: Box<dyn FnOnce(Vec<u8>) + Send>) -> Self {
        Self(Some(Target::Remote(reply)))
    }

    /// The service and the number of the call, if the caller is in this process.
    pub fn local_call(&self) -> Option<(&str, u64)> {
        match &self.0 {
            Some(Target::Local { call, name, .. }) => Some((name, call.0)),
            _ => None,
        }
    }

    /// Service, caller, its port and the number of the call, if the caller is in this process.
    pub fn frozen(&self) -> Option<(String, String, usize, u64)> {
        match &self.0 {
            Some(Target::Local { slot, port, call, name, .. }) => Some((name.to_string(), slot.name.to_string(), *port, call.0)),
            _ => None,
        }
    }

    /// Answers, from the thread that routes.
    pub fn finish(mut self, result: Result<Body, CallError>) {
        self.send(result, false);
    }

    /// Answers, from a thread of the wire.
    pub fn finish_from_outside(mut self, result: Result<Body, CallError>) {
        self.send(result, true);
    }

    fn send(&mut self, result: Result<Body, CallError>, outside: bool) {
        match self.0.take() {
            Some(Target::Local { shared, slot, port, generation, call, .. }) => {
                let item = Item { port, generation, event: Event::Response { call, result }, published: None, edge: None };
                if outside {
                    shared.deliver_from_outside(&slot, item);
                } else {
                    slot.push(item);
                }
            }
            Some(Target::Remote(reply)) => match result {
                Ok(Body::Typed(message)) => reply(message.to_cdr()),
                Ok(Body::Cdr(bytes)) => reply(bytes),
                Err(_) => {}
            },
            None => {}
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if let Some(Target::Local { shared, slot, port, generation, call, name }) = self.0.take() {
            let result = Err(CallError::NoAnswer(name.to_string()));
            let item = Item { port, generation, event: Event::Response { call, result }, published: None, edge: None };
            shared.give_up(&slot, call, item);
        }
    }
}

/// Calls a service; the answer comes to the handler that was declared with it.
pub struct Client<S> {
    pub(crate) core: Arc<ClientCore>,
    pub(crate) port: usize,
    pub(crate) generation: u64,
    pub(crate) _service: PhantomData<fn() -> S>,
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), port: self.port, generation: self.generation, _service: PhantomData }
    }
}

impl<S: Service> Client<S> {
    /// Sends a request.
    pub fn call(&self, ctx: &mut Context, request: S::Request) -> CallId {
        let call = CallId(ctx.count());
        ctx.emit(Output::Call {
            client: Arc::clone(&self.core),
            request: Arc::new(request),
            port: self.port,
            generation: self.generation,
            call,
        });
        call
    }
}

/// An answer that is owed. Dropping it tells a caller in this process that none will come.
pub struct Responder<S> {
    reply: ReplyTo,
    _service: PhantomData<fn() -> S>,
}

impl<S: Service> Responder<S> {
    pub(crate) fn new(reply: ReplyTo) -> Self {
        Self { reply, _service: PhantomData }
    }

    /// Answers.
    pub fn respond(self, ctx: &mut Context, response: S::Response) {
        ctx.emit(Output::Reply { reply: self.reply, response: Arc::new(response) });
    }
}

/// Reads a request or complains in words.
pub(crate) fn open_request<S: Service>(name: &str, body: Body) -> Result<S::Request, NodeError> {
    body.open().map_err(|reason| NodeError::new(format!("a request to `{name}` cannot be read: {reason}")))
}
