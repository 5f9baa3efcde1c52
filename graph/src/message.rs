//! Messages with their type erased: what travels between nodes that know each other only by topic.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use msgs::cdr::Pieces;
use msgs::{Message, MessageType};

use crate::raw::RawMessage;
use crate::{Qos, Time};

/// A message whose type is known only at run time.
pub trait Erased: Send + Sync + 'static {
    /// The type's name, hash and definition.
    fn message_type(&self) -> &'static MessageType;
    /// Serialised, with the encapsulation header.
    fn to_cdr(&self) -> Vec<u8>;
    /// Serialised, with the encapsulation header; large byte sequences are not copied.
    fn to_pieces(&self) -> Pieces;
    /// About how many bytes it takes serialised.
    fn size_hint(&self) -> usize;
    /// For downcasting.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<M: Message> Erased for M {
    fn message_type(&self) -> &'static MessageType {
        M::message_type()
    }
    fn to_cdr(&self) -> Vec<u8> {
        Message::to_cdr(self)
    }
    fn to_pieces(&self) -> Pieces {
        Message::to_pieces(self)
    }
    fn size_hint(&self) -> usize {
        Message::size_hint(self)
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A message of any type with where it came from, as taps see it.
#[derive(Clone)]
pub struct AnyMessage {
    /// Fully qualified topic, with a leading slash.
    pub topic: Arc<str>,
    /// The type's name, hash and definition.
    pub message_type: &'static MessageType,
    /// When it was published: graph time; if it comes from another process, by the sender's clock.
    pub stamp: Time,
    /// The publisher's count on this topic, from 1.
    pub sequence: u64,
    /// The publishing node's fully qualified name; empty if it is in another process.
    pub publisher: Arc<str>,
    /// What its publisher offers; what the subscription requests if the publisher has not announced itself.
    pub qos: Qos,
    /// When it is over, by the graph's clock.
    pub(crate) expires: Option<Time>,
    pub(crate) payload: Arc<dyn Erased>,
}

impl AnyMessage {
    /// The message itself, if it is an `M`; shared, not copied. One that travelled as bytes is decoded.
    pub fn downcast<M: Message>(&self) -> Option<Arc<M>> {
        self.open().ok()
    }

    /// As [`AnyMessage::downcast`], with the reason why it is no `M`.
    pub(crate) fn open<M: Message>(&self) -> Result<Arc<M>, String> {
        match Arc::clone(&self.payload).into_any().downcast::<M>() {
            Ok(message) => Ok(message),
            Err(any) => match any.downcast::<RawMessage>() {
                Ok(raw) => raw.decode().map(Arc::new),
                Err(_) => Err(format!("it is a {}", self.message_type.name)),
            },
        }
    }

    /// Serialised, with the encapsulation header.
    pub fn to_cdr(&self) -> Vec<u8> {
        self.payload.to_cdr()
    }

    /// Whether its publisher's lifespan has passed.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.expires.is_some_and(|expires| now > expires)
    }

    /// About how many bytes it takes serialised.
    pub fn size_hint(&self) -> usize {
        self.payload.size_hint()
    }
}

impl fmt::Debug for AnyMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyMessage")
            .field("topic", &self.topic)
            .field("type", &self.message_type.name)
            .field("stamp", &self.stamp)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
