//! What types consist of that other processes publish and this program was not built with, as their nodes tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use msgs::definition::Definition;
use msgs::type_description_interfaces::srv::{GetTypeDescription, GetTypeDescriptionRequest, GetTypeDescriptionResponse};
use msgs::{Message, MessageType, Service};
use parking_lot::Mutex;

use crate::node::{Node, Setup};
use crate::qos::Qos;
use crate::shared::Shared;
use crate::transport::{Endpoint, EndpointKind, NodeIdentity, RemoteClient, ReplySink};

/// How long is looked for a node that tells it, and waited for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a type's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nodes are being asked.
    Asked,
    /// Its text, in the form of MCAP's `ros2msg` schema encoding.
    Told(Arc<str>),
    /// Nobody tells it, and why.
    Unknown(String),
}

/// Learns the definitions of types that only their publishers know: [`Setup::learner`].
pub struct Learner {
    shared: Weak<Shared>,
    own: NodeIdentity,
    /// By name and hash.
    types: BTreeMap<(&'static str, &'static str), Asking>,
}

struct Asking {
    since: Instant,
    /// Nodes that were asked.
    asked: BTreeSet<Arc<str>>,
    client: Option<Box<dyn RemoteClient>>,
    answer: Arc<Mutex<Option<Result<Arc<str>, String>>>>,
    /// Why those that were asked did not tell it.
    refusals: Vec<String>,
    known: Option<Learned>,
}

impl<N: Node> Setup<N> {
    /// What learns the definitions of types that this program was not built with.
    pub fn learner(&mut self) -> Learner {
        Learner { shared: Arc::downgrade(&self.shared), own: self.slot.identity.clone(), types: BTreeMap::new() }
    }
}

impl Learner {
    /// What is known of a type's definition by now. The first call begins to ask; who is told [`Learned::Asked`] calls again.
    pub fn definition(&mut self, kind: &'static MessageType) -> Learned {
        if !kind.is_opaque() {
            return Learned::Told(kind.definition.into());
        }
        let asking = self.types.entry((kind.name, kind.hash)).or_insert_with(Asking::new);
        if let Some(known) = &asking.known {
            return known.clone();
        }
        let known = match self.shared.upgrade() {
            Some(shared) => asking.go_on(&shared, &self.own, kind),
            None => Learned::Unknown("the graph is gone".to_owned()),
        };
        if known != Learned::Asked {
            asking.client = None;
            asking.known = Some(known.clone());
        }
        known
    }

    /// Ends the search for a type's definition, if it was not found.
    pub fn give_up(&mut self, kind: &'static MessageType, why: &str) {
        let asking = self.types.entry((kind.name, kind.hash)).or_insert_with(Asking::new);
        if asking.known.is_none() {
            asking.client = None;
            asking.known = Some(Learned::Unknown(why.to_owned()));
        }
    }
}

impl Asking {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            asked: BTreeSet::new(),
            client: None,
            answer: Arc::default(),
            refusals: Vec::new(),
            known: None,
        }
    }

    fn go_on(&mut self, shared: &Shared, own: &NodeIdentity, kind: &'static MessageType) -> Learned {
        let answer = self.answer.lock().take();
        match answer {
            Some(Ok(text)) => return Learned::Told(text),
            Some(Err(why)) => {
                self.refusals.push(why);
                self.client = None;
            }
            None => {}
        }
        let publishers: BTreeSet<Arc<str>> = {
            let index = shared.remote.lock();
            let of = |end: &&Arc<crate::remote::RemoteEndpoint>| {
                end.kind == EndpointKind::Publisher && end.type_name == kind.name && end.type_hash == kind.hash
            };
            index.all().filter(of).map(|end| Arc::clone(&end.node)).collect()
        };
        let late = self.since.elapsed() >= PATIENCE;
        if publishers.is_subset(&self.asked) && self.client.is_none() || late {
            let silent = || "no node that publishes it tells it".to_owned();
            return Learned::Unknown(self.refusals.last().cloned().unwrap_or_else(silent));
        }
        if self.client.is_none() {
            for node in publishers.difference(&self.asked.clone()) {
                let (answer, wanted, from) = (Arc::new(Mutex::new(None)), kind, Arc::clone(node));
                let slot = Arc::clone(&answer);
                let sink = Box::new(move |reply: Result<Vec<u8>, crate::transport::TransportError>| {
                    let read = reply.map_err(|error| error.to_string()).and_then(|bytes| text_of(wanted, &bytes));
                    *slot.lock() = Some(read.map_err(|why| format!("{from}: {why}")));
                });
                if let Some(client) = ask(shared, own, node, (kind.name, kind.hash), true, sink) {
                    self.asked.insert(Arc::clone(node));
                    (self.client, self.answer) = (Some(client), answer);
                    break;
                }
            }
        }
        Learned::Asked
    }
}

/// The text in an answer.
fn text_of(kind: &MessageType, answer: &[u8]) -> Result<Arc<str>, String> {
    let answer = GetTypeDescriptionResponse::from_cdr(answer).map_err(|error| error.to_string())?;
    let (_, text) = Definition::from_answer(kind.name, kind.hash, &answer)?;
    text.map(Arc::from).ok_or_else(|| "its definition cannot be written in the message language".to_owned())
}

/// Asks a node what a type, by name and hash, consists of, if it is there to answer; `sink` gets the encoded answer. The call ends with the
/// client.
pub(crate) fn ask(
    shared: &Shared,
    own: &NodeIdentity,
    node: &str,
    (type_name, type_hash): (&str, &str),
    include_type_sources: bool,
    sink: ReplySink,
) -> Option<Box<dyn RemoteClient>> {
    let name = format!("{}/get_type_description", node.trim_end_matches('/'));
    let kind = GetTypeDescription::service_type();
    if !shared.is_served(&name, kind.hash) {
        return None;
    }
    let endpoint = Endpoint {
        kind: EndpointKind::Client,
        node: own.clone(),
        id: shared.id(),
        name,
        type_name: kind.name,
        dds_name: kind.dds_name,
        type_hash: kind.hash,
        qos: Qos::reliable(10),
    };
    let client = shared.transport.as_ref()?.client(&endpoint).ok()?;
    let request =
        GetTypeDescriptionRequest { type_name: type_name.to_owned(), type_hash: type_hash.to_owned(), include_type_sources };
    client.call(request.to_cdr(), sink);
    Some(client)
}
