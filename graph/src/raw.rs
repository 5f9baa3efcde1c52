//! Topics as bytes: of types known only by name and hash, and those that taps want to hear and only other processes publish.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use msgs::cdr::{self, Pieces};
use msgs::{Bytes, Message, MessageType};
use parking_lot::Mutex;

use crate::context::{Context, Output};
use crate::diagnostics::Level;
use crate::error::{HandlerResult, SetupError};
use crate::listen;
use crate::message::{AnyMessage, Erased};
use crate::node::{Node, Setup};
use crate::shared::{Arrival, Shared};
use crate::slot::Event;
use crate::topic::{PublisherCore, Topic};
use crate::transport::{Endpoint, EndpointKind, NodeIdentity, Token};
use crate::{Qos, Time};

/// Why bytes are not taken as a message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RawError {
    /// They are no message.
    #[error(transparent)]
    Cdr(#[from] cdr::Error),
    /// They are big-endian, and what cannot be read cannot be turned round.
    #[error("it is big-endian, and this program does not know the type's fields")]
    BigEndian,
}

/// An encoded message.
pub(crate) struct RawMessage {
    pub message_type: &'static MessageType,
    /// CDR with its encapsulation header.
    pub bytes: Bytes,
}

impl RawMessage {
    /// A big-endian message of a type that is compiled in is turned round.
    ///
    /// # Errors
    /// If the encapsulation header is missing or of a kind that is not understood, or the message is big-endian and no message of its type.
    pub fn new(message_type: &'static MessageType, bytes: Bytes) -> Result<Self, RawError> {
        // OMG DDSI-RTPS, "Data Encapsulation": 0, 0 is CDR_BE.
        if bytes.starts_with(&[0, 0]) && bytes.len() >= 4 {
            if message_type.is_opaque() {
                return Err(RawError::BigEndian);
            }
            return Ok(Self { message_type, bytes: message_type.recode(&bytes)?.into() });
        }
        cdr::Reader::new(&bytes)?;
        Ok(Self { message_type, bytes })
    }

    /// As an `M`, or why it is none.
    pub fn decode<M: Message>(&self) -> Result<M, String> {
        if self.message_type.hash == M::message_type().hash {
            M::from_shared(&self.bytes).map_err(|error| error.to_string())
        } else {
            Err(format!("it is a {}", self.message_type.name))
        }
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
        Pieces::from(self.bytes.clone())
    }
    fn size_hint(&self) -> usize {
        self.bytes.len()
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Stands for any type that this program does not know.
static UNKNOWN: MessageType = MessageType::opaque("", "", "");

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
        let dds_name = leak(format!("{}::dds_::{short}_", package.replace('/', "::")));
        Box::leak(Box::new(MessageType::opaque(leak(name.to_owned()), dds_name, leak(hash.to_owned()))))
    })
}

/// Publishes encoded messages.
#[derive(Clone)]
pub struct RawPublisher {
    core: Arc<PublisherCore>,
}

impl RawPublisher {
    /// Publishes an encoded message (CDR with its encapsulation header). Subscribers in this process decode it; one that cannot be
    /// decoded does not reach them, which /diagnostics tells. Of a managed node that is not active it goes nowhere.
    ///
    /// # Errors
    /// [`RawError`] if the header is missing or of a kind that is not understood, or the message is big-endian and its type not known here.
    pub fn publish(&self, ctx: &mut Context, bytes: impl Into<Bytes>) -> Result<(), RawError> {
        let message = Arc::new(RawMessage::new(self.core.topic.message_type, bytes.into())?);
        if self.core.slot.life.mutes() {
            ctx.say_muted(&self.core.topic.name);
            return Ok(());
        }
        let stamp = ctx.now();
        ctx.emit(Output::Publish { core: Arc::clone(&self.core), message, stamp, published: Instant::now() });
        Ok(())
    }
}

impl<N: Node> Setup<N> {
    /// Declares a subscription to a type known by its ROS name (`sensor_msgs/msg/Image`) and hash, compiled in or not; the handler gets
    /// the message with what came with it ([`AnyMessage::to_cdr`]).
    ///
    /// # Errors
    /// As [`Setup::subscribe`].
    pub fn subscribe_raw(
        &mut self,
        topic: &str,
        type_name: &str,
        type_hash: &str,
        qos: Qos,
        mut handler: impl FnMut(&mut N, &mut Context, &AnyMessage) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        let name = self.resolver.resolve(topic)?;
        let kind = type_of(type_name, type_hash);
        self.types.add(kind.name);
        let topic = self.shared.topic(&name, kind, &self.slot.name)?;
        let port = self.port(
            qos.depth(),
            Box::new(move |node, ctx, event| match event {
                Event::Message(message) => handler(node, ctx, &message),
                _ => Ok(()),
            }),
        );
        self.listen(&topic, port, qos, listen::raw)
    }

    /// Declares a publisher of a type known by its ROS name and hash, compiled in or not.
    ///
    /// # Errors
    /// As [`Setup::publisher`].
    pub fn publisher_raw(&mut self, topic: &str, type_name: &str, type_hash: &str, qos: Qos) -> Result<RawPublisher, SetupError> {
        let core = self.publisher_of(topic, type_of(type_name, type_hash), qos)?;
        Ok(RawPublisher { core })
    }
}

/// One of them.
struct Ear {
    qos: Qos,
    topic: Arc<Topic>,
    _token: Box<dyn Token>,
}

/// Subscriptions of the graph itself, to what other processes publish and a tap wants to hear.
#[derive(Default)]
pub(crate) struct Ears {
    open: BTreeMap<String, Ear>,
    /// What could not be heard, and why: said once.
    deaf: BTreeSet<String>,
    /// By topic: how many samples were no message of its type, and why the last was not.
    refused: BTreeMap<String, (u64, String)>,
}

impl Ears {
    pub fn deaf(&self) -> impl Iterator<Item = &String> {
        self.deaf.iter()
    }

    /// Samples that taps did not get, a sentence for each topic.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        let refused = self.refused.iter().map(|(name, (count, why))| (name, *count, why.as_str()));
        let overrun =
            self.open.iter().map(|(name, ear)| (name, ear.topic.heard.overruns(), "it came faster than the graph's steps"));
        refused
            .chain(overrun.filter(|(_, count, _)| *count > 0))
            .map(|(name, count, why)| format!("{count} samples on {name} did not reach the taps; the last: {why}"))
    }
}

impl Shared {
    /// Something came or went that may make a difference to the ears.
    pub fn ears_changed(&self) {
        self.ears_stale.store(true, Ordering::Release);
    }

    /// Opens and closes ears.
    pub fn tend_ears(self: &Arc<Self>) {
        if !self.ears_stale.swap(false, Ordering::AcqRel) {
            return;
        }
        let Some(wire) = self.transport.clone() else { return };
        // Decided under the locks, done without them: the wire calls back.
        let mut wanted = BTreeMap::new();
        let mut deaf = BTreeSet::new();
        let taps: Vec<_> = self.taps.read().iter().filter(|tap| tap.ears).cloned().collect();
        let heard: BTreeMap<String, &str> =
            self.ears.lock().open.iter().map(|(name, ear)| (name.clone(), ear.topic.message_type.hash)).collect();
        if !taps.is_empty() {
            // What an ear alone left behind binds nobody.
            let carried: BTreeMap<Arc<str>, &'static MessageType> = {
                let topics = self.topics.read();
                let in_use = |topic: &&Arc<Topic>| {
                    let ends = topic.ends.read();
                    !ends.publishers.is_empty() || !ends.subscribers.is_empty()
                };
                topics.values().filter(in_use).map(|topic| (Arc::clone(&topic.name), topic.message_type)).collect()
            };
            let index = self.remote.lock();
            let mut offers: BTreeMap<(&str, &str, &str), Vec<Qos>> = BTreeMap::new();
            for end in index.all().filter(|end| end.kind == EndpointKind::Publisher) {
                offers.entry((&end.name, &end.type_name, &end.type_hash)).or_default().push(end.qos);
            }
            for ((name, type_name, type_hash), offers) in offers {
                let carried = carried.get(name);
                // A foreign type is kept for good: only if it is wanted.
                let known = msgs::registry::find(type_name).filter(|known| known.hash == type_hash);
                if known.is_none() && !taps.iter().any(|tap| (tap.filter)(name, &UNKNOWN)) {
                    continue;
                }
                let kind = known.unwrap_or_else(|| type_of(type_name, type_hash));
                // A topic has one type: rather one that is known here, and rather the one that is heard already.
                let rank = |kind: &MessageType| (!kind.is_opaque(), heard.get(name).is_some_and(|hash| *hash == kind.hash));
                let before = wanted.get(name).map(|(other, _): &(&'static MessageType, Qos)| *other);
                if let Some(other) = before.filter(|other| other.hash != kind.hash) {
                    let (chosen, left) = if rank(kind) > rank(other) { (kind, other) } else { (other, kind) };
                    deaf.insert(format!(
                        "{name} carries {} ({}) besides {} ({}): taps do not hear it",
                        left.name, left.hash, chosen.name, chosen.hash
                    ));
                    if chosen.hash != kind.hash {
                        continue;
                    }
                }
                if carried.is_none_or(|carried| carried.hash == kind.hash) && taps.iter().any(|tap| (tap.filter)(name, kind)) {
                    wanted.insert(name.to_owned(), (kind, Qos::best_available_subscription(&offers)));
                }
            }
        }
        let (gone, fresh) = {
            let mut ears = self.ears.lock();
            let (keep, gone) = std::mem::take(&mut ears.open).into_iter().partition(|(name, _)| wanted.contains_key(name));
            ears.open = keep;
            let kept = |name: &String, (kind, qos): &mut (&MessageType, Qos)| {
                ears.open.get(name).is_some_and(|ear| ear.qos == *qos && ear.topic.message_type.hash == kind.hash)
            };
            wanted.retain(|name, want| !kept(name, want));
            let fresh: Vec<String> = deaf.difference(&ears.deaf).cloned().collect();
            ears.deaf = deaf;
            (gone, fresh)
        };
        self.say(&fresh);
        gone.values().for_each(|ear: &Ear| ear.topic.heard.set_ear(None));
        drop::<BTreeMap<String, Ear>>(gone);
        for (name, (kind, qos)) in wanted {
            // What it takes the place of is closed after it has been opened, so that nothing is missed in between.
            match self.open_ear(&*wire, &name, kind, qos) {
                Ok(ear) => {
                    ear.topic.heard.set_ear(Some(&qos));
                    let before = self.ears.lock().open.insert(name, ear);
                    drop(before);
                }
                Err(error) => self.say(&[format!("taps do not hear {name}: {error}")]),
            }
        }
    }

    fn say(&self, sentences: &[String]) {
        // The graph's own node is the first.
        let slot = self.slots.read().first().cloned();
        if let Some(slot) = slot {
            sentences.iter().for_each(|sentence| self.write_log(&slot, Level::Warn, sentence));
        }
    }

    fn open_ear(
        self: &Arc<Self>,
        wire: &dyn crate::transport::Transport,
        name: &str,
        kind: &'static MessageType,
        qos: Qos,
    ) -> Result<Ear, SetupError> {
        let topic = self.topic(name, kind, "graph")?;
        let node = self.slots.read().first().map(|slot| slot.identity.clone());
        let node = node.unwrap_or(NodeIdentity { namespace: "/".into(), name: "graph".into(), id: 0 });
        let endpoint = Endpoint {
            kind: EndpointKind::Subscription,
            node,
            id: self.id(),
            name: name.to_owned(),
            type_name: kind.name,
            dds_name: kind.dds_name,
            type_hash: kind.hash,
            qos,
        };
        let (shared, on, way) = (Arc::downgrade(self), Arc::clone(&topic), endpoint.id);
        let sink = Arc::new(move |sample: crate::transport::RemoteSample| {
            let Some(shared) = shared.upgrade() else { return };
            let name = &*on.name;
            match RawMessage::new(kind, sample.payload.clone()) {
                Ok(message) => {
                    let offered = shared
                        .remote
                        .lock()
                        .of(EndpointKind::Publisher, name)
                        .find(|end| end.gid == sample.gid)
                        .map(|end| end.qos);
                    shared.receive(Arrival::overheard(&on, Arc::new(message), &sample, (offered.unwrap_or(qos), way)));
                }
                Err(error) => {
                    let mut ears = shared.ears.lock();
                    let refused = ears.refused.entry(name.to_owned()).or_default();
                    *refused = (refused.0 + 1, error.to_string());
                }
            }
        });
        let token = wire.subscription(&endpoint, sink)?;
        Ok(Ear { qos, topic, _token: token })
    }
}

/// When a sample of this age is over, by the graph's clock.
pub(crate) fn expiry(now: Time, age: Option<std::time::Duration>, offered: &Qos) -> Option<Time> {
    let lifespan = offered.finite_lifespan()?;
    Some(now - age.unwrap_or_default() + lifespan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::std_msgs::msg::{Empty, Int64};

    fn kind<M: Message>() -> &'static MessageType {
        <M as Message>::message_type()
    }

    #[test]
    fn big_endian_messages_are_turned_round_if_their_type_is_known() {
        let bytes = || Bytes::from([vec![0; 4], 5_i64.to_be_bytes().to_vec()].concat());
        let message = RawMessage::new(kind::<Int64>(), bytes()).unwrap();
        assert_eq!(message.to_cdr(), Message::to_cdr(&Int64 { data: 5 }));
        assert_eq!(message.decode::<Int64>(), Ok(Int64 { data: 5 }));
        assert_eq!(RawMessage::new(&UNKNOWN, bytes()).err(), Some(RawError::BigEndian));
        for bad in [&[][..], &[0, 0, 0], &[0, 0, 0, 0, 1], &[7, 7, 0, 0]] {
            let error = RawMessage::new(kind::<Int64>(), bad.to_vec().into()).err();
            assert!(matches!(error, Some(RawError::Cdr(_))), "{bad:?}: {error:?}");
        }
    }

    #[test]
    fn only_what_is_not_compiled_in_is_opaque() {
        assert!(UNKNOWN.is_opaque() && type_of("other_msgs/msg/Odd", "RIHS01_0").is_opaque());
        assert!(!kind::<Empty>().is_opaque() && !type_of("std_msgs/msg/Int64", kind::<Int64>().hash).is_opaque());
    }
}
