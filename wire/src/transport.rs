//! The wire as a graph sees it.

use crate::attachment::{Gid, gid_of};
use crate::config::WireConfig;
use crate::error::{CallError, OpenError, WireError};
use crate::name::{EntityKind, TokenParts, endpoint_token, key_expression, node_token};
use crate::neighbours::Counts;
use crate::order::Order;
use crate::publisher::WirePublisher;
use crate::session::{Follow, Link, RouterKeeper, open, start_router};
use crate::view::GraphView;
use crate::{service, subscriber};
use graph::transport::{
    ChangeSink, Endpoint, Lent, NodeIdentity, RemoteClient, RemotePublisher, RemoteSample, ReplySink, RequestSink, SampleSink,
    SharedMemory, Token, Transport, TransportError,
};
use graph::{Erased, Time};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zenoh::Wait;
use zenoh::liveliness::LivelinessToken;
use zenoh::sample::{Locality, SampleKind};

/// How long a server may take (rmw_zenoh: `queries_default_timeout`).
const CALL_TIMEOUT: Duration = Duration::from_secs(600);

/// ROS 2 over Zenoh for one process. In-process edges are the graph's: whatever goes through here comes from or goes to other processes.
pub struct Wire {
    link: Arc<Link>,
    // Dropped after the session is closed.
    keeper: Option<RouterKeeper>,
}

/// What came and what went wrong on the wire so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Samples and requests dropped because they carried no attachment that can be read: their senders do not speak rmw_zenoh.
    pub malformed: u64,
    /// Samples and requests refused because their key means several topics or services.
    pub wild: u64,
    /// Samples and requests refused because they are longer than [`crate::WireConfig::max_sample_bytes`].
    pub oversized: u64,
    /// Liveliness tokens in the domain that could not be read.
    pub unreadable_tokens: u64,
    /// Replies that could not be sent.
    pub lost_replies: u64,
    /// Samples that came from other processes, each counted once.
    pub received: u64,
    /// Those of them that lay in shared memory.
    pub received_shared: u64,
    /// Samples that came from processes of this host without Zenoh.
    pub carried: u64,
    /// Samples that came over two ways, or late over one, and were handed over once.
    pub doubles: u64,
    /// Samples that were not sent to a process of this host because it takes nothing: it is stopped or overloaded.
    pub dropped: u64,
    /// Large samples sent through the socket because their topic's shared memory was full or could not be had.
    pub unplaced: u64,
}

impl Wire {
    /// Opens a session; starts a router first if none is there and the configuration allows.
    ///
    /// # Errors
    /// [`OpenError`] says what stands at the router's address, or what is wrong with the configuration.
    pub fn open(config: WireConfig) -> Result<Self, OpenError> {
        let router = if config.embed_router { start_router(&config)? } else { None };
        let session = open(&config, config.peer_config()?)?;
        let keeper = config.embed_router.then(|| RouterKeeper::new(config.clone(), router, session.clone()));
        Ok(Self { link: Arc::new(Link::new(session, config, Follow::Graph)?), keeper })
    }

    /// The ROS graph of all processes as known now, this one included.
    pub fn graph_snapshot(&self) -> GraphView {
        self.link.view()
    }

    /// Zenoh identity of this process's session, hexadecimal: [`crate::EndpointInfo::session`] of its own endpoints.
    pub fn session_id(&self) -> &str {
        &self.link.zid
    }

    /// What went wrong so far.
    pub fn statistics(&self) -> Statistics {
        let counts = self.link.neighbours.as_ref().map(|neighbours| &neighbours.counts);
        let of = |counter: fn(&Counts) -> &AtomicU64| counts.map_or(0, |counts| counter(counts).load(Ordering::Relaxed));
        let (carried, carried_shared) = (of(|counts| &counts.received), of(|counts| &counts.received_shared));
        Statistics {
            carried,
            doubles: of(|counts| &counts.doubles),
            dropped: of(|counts| &counts.dropped),
            malformed: self.link.malformed.load(Ordering::Relaxed),
            wild: self.link.wild.load(Ordering::Relaxed),
            oversized: self.link.oversized.load(Ordering::Relaxed),
            unreadable_tokens: self.link.live.unreadable(),
            lost_replies: self.link.lost_replies.load(Ordering::Relaxed),
            received: self.link.received.load(Ordering::Relaxed) + carried,
            received_shared: self.link.received_shared.load(Ordering::Relaxed) + carried_shared,
            unplaced: self.link.unplaced.load(Ordering::Relaxed),
        }
    }

    /// Whether this process runs the router.
    pub fn holds_router(&self) -> bool {
        self.keeper.as_ref().is_some_and(RouterKeeper::holds_router)
    }

    fn token(&self, endpoint: &Endpoint) -> (String, Gid) {
        let config = &self.link.config;
        let token = endpoint_token(config.domain, &self.link.zid, &config.enclave, &parts(config, endpoint));
        let gid = gid_of(&token);
        (token, gid)
    }

    fn key(&self, endpoint: &Endpoint) -> Result<String, WireError> {
        let config = &self.link.config;
        key_expression(config.domain, &endpoint.name, endpoint.dds_name, config.hash_chunk(endpoint.type_hash))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(neighbours) = &self.link.neighbours {
            neighbours.close();
        }
        // Endpoints that the graph still holds go silent; nothing is left to be done if closing fails.
        let _ = self.link.session.close().wait();
    }
}

fn parts<'a>(config: &WireConfig, endpoint: &'a Endpoint) -> TokenParts<'a> {
    TokenParts {
        kind: EntityKind::from(endpoint.kind),
        node: &endpoint.node,
        id: endpoint.id,
        name: &endpoint.name,
        dds_name: endpoint.dds_name,
        type_hash: config.hash_chunk(endpoint.type_hash),
        qos: &endpoint.qos,
    }
}

fn transport_error(error: WireError) -> TransportError {
    match error {
        WireError::Name { name, reason } => TransportError::Refused { name, reason },
        WireError::Zenoh(reason) => TransportError::Unreachable(reason),
    }
}

/// How long ago a sample was published, by the clocks of the sessions; `None` without a time stamp. Clocks that disagree make it zero.
fn age(sample: &zenoh::sample::Sample) -> Option<Duration> {
    Some(sample.timestamp()?.get_time().to_system_time().elapsed().unwrap_or_default())
}

/// A token, and what is declared with it. Dropped in this order.
struct Declared<T> {
    _token: LivelinessToken,
    _declared: T,
}

impl<T: Send + Sync> Token for Declared<T> {}

struct WireClient {
    link: Arc<Link>,
    name: String,
    key: String,
    gid: Gid,
    _token: LivelinessToken,
}

/// Room in a publisher's shared memory, as the graph knows it.
struct Room(carrier::Loan);

impl Lent for Room {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn freeze(self: Box<Self>) -> msgs::Bytes {
        self.0.freeze()
    }
}

impl RemotePublisher for WirePublisher {
    fn matched(&self) -> bool {
        WirePublisher::matched(self)
    }

    fn publish(&self, message: &dyn Erased, stamp: Time) -> Result<(), TransportError> {
        self.put(message.to_pieces(), stamp.as_nanos()).map_err(transport_error)
    }

    fn carrier(&self) -> (&'static str, u32) {
        WirePublisher::carrier(self)
    }

    fn assert_liveliness(&self) -> Result<(), TransportError> {
        WirePublisher::assert_liveliness(self).map_err(transport_error)
    }

    fn why(&self) -> String {
        WirePublisher::why(self)
    }

    fn dropped(&self) -> u64 {
        WirePublisher::dropped(self)
    }

    fn memory(&self) -> Option<SharedMemory> {
        WirePublisher::memory(self)
    }

    fn loan(&self, length: usize) -> Option<Box<dyn Lent>> {
        WirePublisher::loan(self, length).map(|loan| Box::new(Room(loan)) as Box<dyn Lent>)
    }
}

impl RemoteClient for WireClient {
    fn available(&self) -> bool {
        self.link.live.has_other(EntityKind::Service, &self.name)
    }

    fn call(&self, request: Vec<u8>, reply: ReplySink) {
        let name = self.name.clone();
        let sink = Box::new(move |result: Result<Vec<u8>, CallError>| {
            reply(result.map_err(|error| match error {
                CallError::Wire(error) => transport_error(error),
                CallError::Failed { reason, .. } => TransportError::NoAnswer(format!("{name} ({reason})")),
                CallError::Unavailable(name) | CallError::Timeout { name, .. } => TransportError::NoAnswer(name),
            }));
        });
        service::call(&self.link, &self.key, &self.name, self.gid, Locality::Remote, request, CALL_TIMEOUT, sink);
    }
}

impl Transport for Wire {
    fn node(&self, node: &NodeIdentity) -> Result<Box<dyn Token>, TransportError> {
        let config = &self.link.config;
        let token = node_token(config.domain, &self.link.zid, &config.enclave, node);
        let token = self.link.announce(&token).map_err(transport_error)?;
        Ok(Box::new(Declared { _token: token, _declared: () }))
    }

    fn publisher(&self, endpoint: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError> {
        let publisher = WirePublisher::declare(&self.link, &parts(&self.link.config, endpoint), Locality::Remote);
        Ok(Box::new(publisher.map_err(transport_error)?))
    }

    fn subscription(&self, endpoint: &Endpoint, sink: SampleSink) -> Result<Box<dyn Token>, TransportError> {
        let link = Arc::clone(&self.link);
        let key = self.key(endpoint).map_err(transport_error)?;
        let order = Arc::new(Order::default());
        let member = self.link.neighbours.as_ref().map(|neighbours| {
            let (of, sink, order) = (Arc::downgrade(neighbours), Arc::clone(&sink), Arc::clone(&order));
            let deliver = move |sample: &carrier::Sample<'_>| {
                let Some(neighbours) = of.upgrade() else { return };
                order.carried(&neighbours, &sample.gid, sample.sequence, || {
                    neighbours.counts.received.fetch_add(1, Ordering::Relaxed);
                    neighbours.counts.received_shared.fetch_add(sample.shared.into(), Ordering::Relaxed);
                    sink(RemoteSample {
                        payload: sample.payload.clone(),
                        source_time: Time::from_nanos(sample.time),
                        sequence: sample.sequence,
                        gid: sample.gid,
                        age: Some(sample.age),
                        carrier: ("shared-memory", u32::from(!sample.shared)),
                    });
                });
            };
            neighbours.subscribe(&key, Arc::new(deliver))
        });
        let topic = key.clone();
        let callback = move |sample: zenoh::sample::Sample| {
            if sample.kind() != SampleKind::Put {
                return;
            }
            let Some((payload, attachment)) = subscriber::read(&link, &sample) else { return };
            let (gid, sequence) = (attachment.gid, attachment.sequence);
            let neighbours = link.neighbours.as_ref();
            if let Some(neighbours) = neighbours.filter(|neighbours| neighbours.host.has_senders()) {
                // What its sender sent before over the carrier comes before; there the sender may also be heard of first.
                neighbours.drain();
            }
            let hand_over = || {
                subscriber::count(&link, &sample);
                let source_time = Time::from_nanos(attachment.source_time_ns);
                let carrier = if sample.payload().as_shm().is_some() { ("shared-memory", 0) } else { ("network", 1) };
                sink(RemoteSample { payload, source_time, sequence, gid, age: age(&sample), carrier });
            };
            match neighbours {
                Some(neighbours) => {
                    order.over_zenoh(neighbours, &gid, sequence, hand_over);
                }
                None => hand_over(),
            }
            if let Some(neighbours) = neighbours.filter(|neighbours| neighbours.host.knows(&gid)) {
                neighbours.note_elsewhere(&topic, &gid, sequence);
            }
        };
        let declared =
            subscriber::declare(&self.link, key, &endpoint.qos, Locality::Remote, callback).map_err(transport_error)?;
        let token = self.link.announce(&self.token(endpoint).0).map_err(transport_error)?;
        Ok(Box::new(Declared { _token: token, _declared: (declared, member) }))
    }

    fn service(&self, endpoint: &Endpoint, sink: RequestSink) -> Result<Box<dyn Token>, TransportError> {
        let key = self.key(endpoint).map_err(transport_error)?;
        let declared = service::serve(&self.link, key, Locality::Remote, sink).map_err(transport_error)?;
        let token = self.link.announce(&self.token(endpoint).0).map_err(transport_error)?;
        Ok(Box::new(Declared { _token: token, _declared: declared }))
    }

    fn client(&self, endpoint: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError> {
        let key = self.key(endpoint).map_err(transport_error)?;
        let (token, gid) = self.token(endpoint);
        let token = self.link.announce(&token).map_err(transport_error)?;
        Ok(Box::new(WireClient { link: Arc::clone(&self.link), name: endpoint.name.clone(), key, gid, _token: token }))
    }

    fn follow(&self, sink: ChangeSink) {
        self.link.live.follow(sink);
    }

    fn complaints(&self) -> Vec<String> {
        let statistics = self.statistics();
        let limit = self.link.config.max_sample_bytes;
        let oversized =
            format!("samples and requests refused: they are longer than the {limit} bytes that OMNIMIND_MAX_SAMPLE_BYTES allows");
        [
            (statistics.malformed, "samples and requests refused: without rmw_zenoh's attachment nobody can tell who sent them"),
            (statistics.wild, "samples and requests refused: their keys mean more than one topic or service"),
            (statistics.oversized, oversized.as_str()),
            (statistics.unreadable_tokens, "liveliness tokens refused: they do not have the form of rmw_zenoh's"),
            (statistics.lost_replies, "replies could not be sent: the caller or the way to it is gone"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }

    fn troubles(&self) -> Vec<String> {
        let config = &self.link.config;
        // A session of other settings may do without.
        if config.router_address().is_none() || self.link.session.info().routers_zid().wait().next().is_some() {
            return Vec::new();
        }
        let help = if self.keeper.is_some() { "another is being started here" } else { "start it again, or look at the network" };
        vec![format!(
            "the router at {} cannot be reached: nodes of other processes are not found until it is back; {help}",
            config.router
        )]
    }

    fn describe(&self) -> String {
        let config = &self.link.config;
        let whose = if self.holds_router() { "started here" } else { "found running" };
        let memory = if config.shared_memory {
            format!("shared memory from {} B on", config.shared_memory_threshold)
        } else {
            "no shared memory".to_owned()
        };
        format!("ROS 2 over Zenoh, domain {}, router {} ({whose}), {memory}", config.domain, config.router)
    }
}
