//! A session that speaks for nodes of another system: a bridge announces them by their own names, and publishes, subscribes, serves
//! and calls for them with bytes as they are.

use crate::attachment::{Attachment, Gid, gid_of};
use crate::config::WireConfig;
use crate::error::{CallError, OpenError, WireError};
use crate::name::{EntityKind, TokenParts, all_tokens, endpoint_token, key_expression, node_token};
use crate::publisher::WirePublisher;
use crate::session::{Follow, Link, open};
use crate::view::GraphView;
use crate::{service, subscriber};
use graph::transport::{NodeIdentity, RequestSink};
use graph::{Qos, Time};
use msgs::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zenoh::Wait;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber;
use zenoh::query::Queryable;
use zenoh::sample::{Locality, Sample, SampleKind};
use zenoh_ext::AdvancedSubscriber;

/// A type as the wire names it. It need not be one that this program was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireType {
    /// For instance `sensor_msgs::msg::dds_::Image_`.
    pub dds_name: String,
    /// For instance `RIHS01_` and 64 hexadecimal digits.
    pub hash: String,
}

impl WireType {
    /// From a ROS name such as `sensor_msgs/msg/Image`; `None` if it is not one.
    pub fn new(ros_name: &str, hash: &str) -> Option<Self> {
        let (path, name) = ros_name.rsplit_once('/').filter(|(path, name)| path.contains('/') && !name.is_empty())?;
        Some(Self { dds_name: format!("{}::dds_::{name}_", path.replace('/', "::")), hash: hash.to_owned() })
    }
}

/// The session.
pub struct Guest {
    link: Arc<Link>,
    next_id: AtomicU64,
    _changes: Subscriber<()>,
}

/// A node that the session speaks for, announced until this is dropped.
pub struct GuestNode {
    identity: NodeIdentity,
    _token: LivelinessToken,
}

/// Publishes for a node until it is dropped.
pub struct GuestPublisher {
    publisher: WirePublisher,
}

/// Listens for a node until it is dropped.
pub struct GuestSubscription {
    _token: LivelinessToken,
    _subscriber: AdvancedSubscriber<()>,
}

/// Serves for a node until it is dropped.
pub struct GuestServer {
    // Dropped in this order: first it is no longer announced.
    _token: LivelinessToken,
    _queryable: Queryable<()>,
}

/// Calls for a node.
pub struct GuestClient {
    link: Arc<Link>,
    name: String,
    key: String,
    gid: Gid,
    _token: LivelinessToken,
}

impl Guest {
    /// Connects to the router of `config`. `changed` runs on a thread of Zenoh whenever somebody comes or goes.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`] if no router answers, [`OpenError::NotZenoh`] if something else does.
    pub fn connect(config: WireConfig, changed: impl Fn() + Send + Sync + 'static) -> Result<Self, OpenError> {
        let session = open(&config, config.peer_config()?)?;
        let tokens = all_tokens(config.domain);
        let link = Arc::new(Link::new(session, config, Follow::Graph)?);
        let changes = link.session.liveliness().declare_subscriber(tokens).callback(move |_| changed()).wait();
        let changes = changes.map_err(|e| OpenError::Session(e.to_string()))?;
        Ok(Self { link, next_id: AtomicU64::new(1), _changes: changes })
    }

    /// Zenoh identity of this session, hexadecimal.
    pub fn session(&self) -> &str {
        &self.link.zid
    }

    /// The graph as known now, this session's own part included.
    pub fn view(&self) -> GraphView {
        self.link.view()
    }

    /// Samples and requests so far that carried no readable attachment.
    pub fn malformed(&self) -> u64 {
        self.link.malformed.load(Ordering::Relaxed)
    }

    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Announces a node. `namespace` begins with a slash.
    ///
    /// # Errors
    /// [`WireError`] if the session is lost.
    pub fn node(&self, namespace: &str, name: &str) -> Result<GuestNode, WireError> {
        let identity = NodeIdentity { namespace: namespace.to_owned(), name: name.to_owned(), id: self.id() };
        let token = node_token(self.link.config.domain, &self.link.zid, &self.link.config.enclave, &identity);
        Ok(GuestNode { _token: self.link.announce(&token)?, identity })
    }

    fn parts<'a>(&self, kind: EntityKind, node: &'a GuestNode, name: &'a str, ty: &'a WireType, qos: &'a Qos) -> TokenParts<'a> {
        TokenParts { kind, node: &node.identity, id: self.id(), name, dds_name: &ty.dds_name, type_hash: &ty.hash, qos }
    }

    fn token(&self, parts: &TokenParts<'_>) -> String {
        endpoint_token(self.link.config.domain, &self.link.zid, &self.link.config.enclave, parts)
    }

    fn key(&self, name: &str, ty: &WireType) -> Result<String, WireError> {
        key_expression(self.link.config.domain, name, &ty.dds_name, &ty.hash)
    }

    /// Declares a publisher. Subscriptions of this session do not hear it.
    ///
    /// # Errors
    /// [`WireError::Name`] if `topic` is not a fully qualified name.
    pub fn publisher(&self, node: &GuestNode, topic: &str, ty: &WireType, qos: &Qos) -> Result<GuestPublisher, WireError> {
        let parts = self.parts(EntityKind::Publisher, node, topic, ty, qos);
        Ok(GuestPublisher { publisher: WirePublisher::declare(&self.link, &parts, Locality::Remote)? })
    }

    /// Subscribes; `sink` runs on a thread of Zenoh. Publishers of this session are not heard.
    ///
    /// # Errors
    /// [`WireError::Name`] if `topic` is not a fully qualified name.
    pub fn subscribe(
        &self,
        node: &GuestNode,
        topic: &str,
        ty: &WireType,
        qos: &Qos,
        sink: impl Fn(Bytes, Attachment) + Send + Sync + 'static,
    ) -> Result<GuestSubscription, WireError> {
        let token = self.token(&self.parts(EntityKind::Subscription, node, topic, ty, qos));
        let link = Arc::clone(&self.link);
        let callback = move |sample: Sample| {
            if sample.kind() == SampleKind::Put
                && let Some((payload, attachment)) = subscriber::accept(&link, &sample)
            {
                sink(payload, attachment);
            }
        };
        let subscriber = subscriber::declare(&self.link, self.key(topic, ty)?, qos, Locality::Remote, callback)?;
        Ok(GuestSubscription { _token: self.link.announce(&token)?, _subscriber: subscriber })
    }

    /// Serves a service; `sink` runs on a thread of Zenoh. A request whose answer is dropped unsent fails at the caller.
    ///
    /// # Errors
    /// [`WireError::Name`] if `service` is not a fully qualified name.
    pub fn serve(&self, node: &GuestNode, service: &str, ty: &WireType, sink: RequestSink) -> Result<GuestServer, WireError> {
        let token = self.token(&self.parts(EntityKind::Service, node, service, ty, &Qos::reliable(10)));
        let queryable = service::serve(&self.link, self.key(service, ty)?, Locality::Remote, sink)?;
        Ok(GuestServer { _token: self.link.announce(&token)?, _queryable: queryable })
    }

    /// Declares a client of a service.
    ///
    /// # Errors
    /// [`WireError::Name`] if `service` is not a fully qualified name.
    pub fn client(&self, node: &GuestNode, service: &str, ty: &WireType) -> Result<GuestClient, WireError> {
        let token = self.token(&self.parts(EntityKind::Client, node, service, ty, &Qos::reliable(10)));
        Ok(GuestClient {
            link: Arc::clone(&self.link),
            name: service.to_owned(),
            key: self.key(service, ty)?,
            gid: gid_of(&token),
            _token: self.link.announce(&token)?,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Nothing is left to be done if closing fails.
        let _ = self.link.session.close().wait();
    }
}

impl GuestPublisher {
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
}

impl GuestClient {
    /// Sends an encoded request; `sink` is called exactly once, on a thread of Zenoh.
    pub fn call(&self, request: Vec<u8>, timeout: Duration, sink: impl FnOnce(Result<Vec<u8>, CallError>) + Send + 'static) {
        service::call(&self.link, &self.key, &self.name, self.gid, Locality::Remote, request, timeout, Box::new(sink));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_another_system_is_named_as_rmw_zenoh_names_it() {
        let ty = WireType::new("test_msgs/action/Fibonacci_SendGoal", "RIHS01_1").expect("valid");
        assert_eq!(ty.dds_name, "test_msgs::action::dds_::Fibonacci_SendGoal_");
        for name in ["String", "std_msgs/String", "", "std_msgs/msg/"] {
            assert_eq!(WireType::new(name, "h"), None, "{name}");
        }
    }
}
