//! Topics as bytes: of types known only by name and hash.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use msgs::cdr::{self, Pieces};
use msgs::{Bytes, Message, MessageType};
use parking_lot::Mutex;

use crate::Qos;
use crate::context::{Context, Output};
use crate::error::SetupError;
use crate::message::Erased;
use crate::node::{Node, Setup};
use crate::topic::PublisherCore;

/// An encoded message.
pub(crate) struct RawMessage {
    pub message_type: &'static MessageType,
    /// CDR with its encapsulation header.
    pub bytes: Bytes,
}

impl RawMessage {
    /// # Errors
    /// If the encapsulation header is missing or of a kind that is not understood.
    pub fn new(message_type: &'static MessageType, bytes: Bytes) -> Result<Self, cdr::Error> {
        cdr::Reader::new(&bytes)?;
        Ok(Self { message_type, bytes })
    }

    /// As an `M`, if it is one and can be read.
    pub fn decode<M: Message>(&self) -> Option<M> {
        if self.message_type.hash == M::message_type().hash { M::from_shared(&self.bytes).ok() } else { None }
    }
}

impl Erased for RawMessage {
    fn message_type(&self) -> &'static MessageType {
        self.message_type
    }
    fn to_cdr(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }
    fn to_pieces(&self) -> Pieces {
        Pieces::from(self.bytes.to_vec())
    }
    fn size_hint(&self) -> usize {
        self.bytes.len()
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Stands for any type that this program does not know.
static UNKNOWN: MessageType = MessageType {
    name: "",
    dds_name: "",
    hash: "",
    definition: "",
    min_size: 0,
    fields: &[],
    recode: |bytes| cdr::Reader::new(bytes).map(|_| bytes.to_vec()),
};

/// A type by its name and hash: the compiled one, or one that says no more than these. Each is made once and kept for good.
fn type_of(name: &str, hash: &str) -> &'static MessageType {
    static FOREIGN: Mutex<BTreeMap<(String, String), &'static MessageType>> = Mutex::new(BTreeMap::new());
    if let Some(known) = msgs::registry::find(name).filter(|known| known.hash == hash) {
        return known;
    }
    let mut foreign = FOREIGN.lock();
    foreign.entry((name.to_owned(), hash.to_owned())).or_insert_with(|| {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let (package, short) = name.rsplit_once('/').unwrap_or(("", name));
        Box::leak(Box::new(MessageType {
            name: leak(name.to_owned()),
            dds_name: leak(format!("{}::dds_::{short}_", package.replace('/', "::"))),
            hash: leak(hash.to_owned()),
            ..UNKNOWN
        }))
    })
}

/// Publishes encoded messages.
#[derive(Clone)]
pub struct RawPublisher {
    core: Arc<PublisherCore>,
}

impl RawPublisher {
    /// Publishes an encoded message (CDR with its encapsulation header). Subscribers in this process decode it; one that cannot be
    /// decoded does not reach them.
    ///
    /// # Errors
    /// [`cdr::Error`] if the header is missing or of a kind that is not understood.
    pub fn publish(&self, ctx: &mut Context, bytes: impl Into<Bytes>) -> Result<(), cdr::Error> {
        let message = Arc::new(RawMessage::new(self.core.topic.message_type, bytes.into())?);
        let stamp = ctx.now();
        ctx.emit(Output::Publish { core: Arc::clone(&self.core), message, stamp, published: Instant::now() });
        Ok(())
    }
}

impl<N: Node> Setup<N> {
    /// Declares a publisher of a type known by its ROS name and hash, compiled in or not.
    ///
    /// # Errors
    /// As [`Setup::publisher`].
    pub fn publisher_raw(&mut self, topic: &str, type_name: &str, type_hash: &str, qos: Qos) -> Result<RawPublisher, SetupError> {
        let core = self.publisher_of(topic, type_of(type_name, type_hash), qos)?;
        Ok(RawPublisher { core })
    }
}
