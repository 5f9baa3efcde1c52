//! A plain client for the command line: look at the graph, listen, publish, call. No node graph is needed.

use crate::attachment::{Attachment, gid_of};
use crate::config::WireConfig;
use crate::error::{CallError, OpenError, WireError};
use crate::name::{EntityKind, TokenParts, all_tokens, any_type_key, endpoint_token, key_expression, node_token};
use crate::publisher::WirePublisher;
use crate::session::{Follow, Link, open};
use crate::view::GraphView;
use crate::{service, subscriber};
use graph::transport::NodeIdentity;
use graph::{Qos, Time};
use msgs::{Bytes, MessageType, ServiceType};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use zenoh::Wait;
use zenoh::liveliness::LivelinessToken;
use zenoh::query::{ConsolidationMode, QueryTarget, ReplyKeyExpr};
use zenoh::sample::{Locality, Sample, SampleKind};
use zenoh_ext::AdvancedSubscriber;

/// How long tokens may take to come.
const GRAPH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(10);

/// A connection to a running system.
pub struct Client {
    link: Arc<Link>,
    node: NodeIdentity,
    next_endpoint: AtomicU64,
    _node_token: LivelinessToken,
}

/// A sample as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSample {
    /// CDR with its encapsulation header.
    pub payload: Bytes,
    /// ROS name of the type that its publisher states, e.g. `std_msgs/msg/String`.
    pub type_name: String,
    /// Type hash that its publisher states.
    pub type_hash: String,
    /// Sequence number, source time, identity of the publisher.
    pub attachment: Attachment,
}

/// Listens until it is dropped.
pub struct RawSubscription {
    link: Arc<Link>,
    _subscriber: AdvancedSubscriber<()>,
}

impl RawSubscription {
    /// Samples dropped so far because they carried no readable attachment.
    pub fn malformed(&self) -> u64 {
        self.link.malformed.load(Ordering::Relaxed)
    }
}

/// Publishes encoded messages until it is dropped.
pub struct RawPublisher {
    publisher: WirePublisher,
}

impl RawPublisher {
    /// Sends an encoded message (CDR with its encapsulation header).
    ///
    /// # Errors
    /// [`WireError`] if the session is lost.
    pub fn publish(&self, payload: Vec<u8>) -> Result<(), WireError> {
        self.publisher.put(payload.into(), Time::wall().as_nanos())
    }

    /// Whether anybody listens.
    pub fn matched(&self) -> bool {
        self.publisher.matched()
    }

    /// Waits until somebody listens; whether somebody does.
    pub fn wait_matched(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        while !self.matched() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        self.matched()
    }
}

/// A sample that a session accepts.
fn raw(link: &Arc<Link>, sample: &Sample) -> Option<RawSample> {
    let (payload, attachment) = subscriber::accept(link, sample)?;
    // The last two chunks of the key are type and hash.
    let mut chunks = sample.key_expr().as_str().rsplit('/');
    let (hash, dds_name) = (chunks.next().unwrap_or_default(), chunks.next().unwrap_or_default());
    let type_name = msgs::registry::ros_name(dds_name).unwrap_or_else(|| dds_name.to_owned());
    Some(RawSample { payload, type_name, type_hash: hash.to_owned(), attachment })
}

impl Client {
    /// Connects to the router of `config`.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`] if none answers, [`OpenError::NotZenoh`] if something else does.
    pub fn connect(config: WireConfig) -> Result<Self, OpenError> {
        let session = open(&config, config.client_config()?)?;
        let link = Arc::new(Link::new(session, config, Follow::Nothing)?);
        // A leading underscore hides a node from `ros2 node list`.
        let short = link.zid.get(..8).unwrap_or(&link.zid);
        let node = NodeIdentity { namespace: "/".into(), name: format!("_omnimind_{short}"), id: 1 };
        let token = node_token(link.config.domain, &link.zid, &link.config.enclave, &node);
        let token = link.announce(&token).map_err(|e| OpenError::Session(e.to_string()))?;
        Ok(Self { link, node, next_endpoint: AtomicU64::new(2), _node_token: token })
    }

    /// The graph as the router knows it, without this client.
    ///
    /// # Errors
    /// [`WireError`] if the session is lost.
    pub fn graph(&self) -> Result<GraphView, WireError> {
        let domain = self.link.config.domain;
        // Not Zenoh's own channel: it holds 256 replies, and while it is full the session stands still, this very call included.
        let (sender, replies) = mpsc::channel();
        let keep = move |reply: zenoh::query::Reply| drop(sender.send(reply));
        self.link.session.liveliness().get(all_tokens(domain)).callback(keep).timeout(GRAPH_TIMEOUT).wait()?;
        // Ends when Zenoh lets go of the callback: all replies have come, or time is over.
        let samples: Vec<Sample> = replies.into_iter().filter_map(|reply| reply.into_result().ok()).collect();
        let mut view = GraphView::from_tokens(samples.iter().map(|sample| sample.key_expr().as_str()));
        view.nodes.retain(|node| node.session != self.link.zid);
        view.endpoints.retain(|endpoint| endpoint.session != self.link.zid);
        Ok(view)
    }

    /// Listens to a topic whatever its type; `sink` runs on a thread of the wire. With a transient-local `qos`, what was published
    /// before comes too.
    ///
    /// # Errors
    /// [`WireError::Name`] if `topic` is not a fully qualified name.
    pub fn subscribe(
        &self,
        topic: &str,
        qos: Qos,
        sink: impl Fn(RawSample) + Send + Sync + 'static,
    ) -> Result<RawSubscription, WireError> {
        let key = any_type_key(self.link.config.domain, topic)?;
        let link = Arc::clone(&self.link);
        let callback = move |sample: Sample| {
            if sample.kind() != SampleKind::Put {
                return;
            }
            if let Some(raw) = raw(&link, &sample) {
                sink(raw);
            }
        };
        let subscriber = subscriber::declare(&self.link, key, &qos, Locality::Any, callback)?;
        Ok(RawSubscription { link: Arc::clone(&self.link), _subscriber: subscriber })
    }

    /// Asks publishers for what they keep of a topic, oldest first for each; none waits for another. `sink` runs on a thread of the wire and
    /// is dropped when all have answered, or after `timeout`.
    ///
    /// # Errors
    /// [`WireError::Name`] if `topic` is not a fully qualified name.
    pub fn kept(
        &self,
        topic: &str,
        timeout: Duration,
        sink: impl Fn(RawSample) + Send + Sync + 'static,
    ) -> Result<(), WireError> {
        // Where zenoh_ext's AdvancedCache answers.
        let key = format!("{}/@adv/**", any_type_key(self.link.config.domain, topic)?);
        let link = Arc::clone(&self.link);
        let callback = move |reply: zenoh::query::Reply| {
            if let Some(raw) = reply.result().ok().and_then(|sample| raw(&link, sample)) {
                sink(raw);
            }
        };
        let query = self.link.session.get(key).target(QueryTarget::All).consolidation(ConsolidationMode::None);
        Ok(query.accept_replies(ReplyKeyExpr::Any).timeout(timeout).callback(callback).wait()?)
    }

    /// Declares a publisher.
    ///
    /// # Errors
    /// [`WireError::Name`] if `topic` is not a fully qualified name.
    pub fn advertise(&self, topic: &str, message_type: &MessageType, qos: Qos) -> Result<RawPublisher, WireError> {
        let parts = TokenParts {
            kind: EntityKind::Publisher,
            node: &self.node,
            id: self.next_endpoint.fetch_add(1, Ordering::Relaxed),
            name: topic,
            dds_name: message_type.dds_name,
            type_hash: self.link.config.hash_chunk(message_type.hash),
            qos: &qos,
        };
        Ok(RawPublisher { publisher: WirePublisher::declare(&self.link, &parts, Locality::Any)? })
    }

    /// Calls a service with an encoded request and waits for the encoded response.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] if nobody serves it, [`CallError::Timeout`], [`CallError::Failed`] if the server says so.
    pub fn call(
        &self,
        service: &str,
        service_type: &ServiceType,
        request: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, CallError> {
        let config = &self.link.config;
        let type_hash = config.hash_chunk(service_type.hash);
        let key = key_expression(config.domain, service, service_type.dds_name, type_hash)?;
        let parts = TokenParts {
            kind: EntityKind::Client,
            node: &self.node,
            id: self.next_endpoint.fetch_add(1, Ordering::Relaxed),
            name: service,
            dds_name: service_type.dds_name,
            type_hash,
            qos: &Qos::reliable(10),
        };
        let token = endpoint_token(config.domain, &self.link.zid, &config.enclave, &parts);
        let gid = gid_of(&token);
        let _announced = self.link.announce(&token)?;
        let (sender, receiver) = mpsc::channel();
        // The receiver lives until the one answer has come.
        let sink = Box::new(move |result| drop(sender.send(result)));
        service::call(&self.link, &key, service, gid, Locality::Any, request, timeout, sink);
        receiver.recv().unwrap_or_else(|_| Err(CallError::Unavailable(service.to_owned())))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Nothing is left to be done if closing fails.
        let _ = self.link.session.close().wait();
    }
}
