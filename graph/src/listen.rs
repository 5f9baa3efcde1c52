//! Subscriptions as all of them are made: of nodes, typed and as bytes, and to /clock.

use std::sync::Arc;

use msgs::{Bytes, Message, MessageType};

use crate::Qos;
use crate::error::SetupError;
use crate::events::{End, Side};
use crate::message::Erased;
use crate::raw::RawMessage;
use crate::shared::{Arrival, Shared};
use crate::slot::Slot;
use crate::topic::{SubscriberCore, Topic};
use crate::transport::{Endpoint, EndpointKind, Token};

/// Makes a message of a sample's bytes, or says why it is none.
pub(crate) type Reader = fn(&'static MessageType, &Bytes) -> Result<Arc<dyn Erased>, String>;

/// Reads an `M`.
pub(crate) fn typed<M: Message>(_: &'static MessageType, bytes: &Bytes) -> Result<Arc<dyn Erased>, String> {
    M::from_shared(bytes).map(|message| Arc::new(message) as Arc<dyn Erased>).map_err(|error| error.to_string())
}

/// Keeps the bytes.
pub(crate) fn raw(kind: &'static MessageType, bytes: &Bytes) -> Result<Arc<dyn Erased>, String> {
    RawMessage::new(kind, bytes.clone()).map(|message| Arc::new(message) as Arc<dyn Erased>).map_err(|error| error.to_string())
}

impl SubscriberCore {
    /// A subscription of a node that comes in at `port`.
    pub fn of(shared: &Shared, slot: &Arc<Slot>, topic: &Topic, port: usize, qos: Qos) -> Arc<Self> {
        let end = End::new(shared, slot, &topic.name, Side::Subscription, qos);
        Arc::new(Self::new(Arc::clone(slot), port, qos, end))
    }
}

impl Shared {
    /// Lets a subscription take its place in its topic and on the wire.
    pub fn listen(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        subscriber: &Arc<SubscriberCore>,
        read: Reader,
    ) -> Result<Option<Box<dyn Token>>, SetupError> {
        self.join_subscriber(topic, subscriber);
        let Some(wire) = &self.transport else { return Ok(None) };
        let kind = topic.message_type;
        let endpoint = Endpoint {
            kind: EndpointKind::Subscription,
            node: subscriber.slot.identity.clone(),
            id: self.id(),
            name: topic.name.to_string(),
            type_name: kind.name,
            dds_name: kind.dds_name,
            type_hash: kind.hash,
            qos: subscriber.qos,
        };
        let (shared, on, to) = (Arc::clone(self), Arc::clone(topic), Arc::clone(subscriber));
        let sink = Arc::new(move |sample: crate::transport::RemoteSample| match read(kind, &sample.payload) {
            Ok(message) => shared.receive(Arrival::new(&on, &to, message, &sample)),
            Err(error) => to.refuse(&on.name, "", kind, &error),
        });
        match wire.subscription(&endpoint, sink) {
            Ok(token) => Ok(Some(token)),
            Err(error) => {
                topic.leave(subscriber);
                Err(error.into())
            }
        }
    }

    /// A message reached a node's port that is none of its type.
    pub fn refused(&self, slot: &Arc<Slot>, port: usize, message: &crate::AnyMessage, why: &str) {
        let Some(topic) = self.topics.read().get(&*message.topic).cloned() else { return };
        let ends = topic.ends.read();
        let of_port = ends.subscribers.iter().filter(|end| Arc::ptr_eq(&end.slot, slot) && end.port == port);
        of_port.for_each(|end| end.refuse(&topic.name, &message.publisher, topic.message_type, why));
    }
}
