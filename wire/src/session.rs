//! Sessions: the embedded router, the peer that carries a graph, and what both sides of an endpoint share.

use crate::attachment::{Attachment, Gid};
use crate::config::WireConfig;
use crate::error::{OpenError, WireError};
use crate::live::Live;
use crate::name::{EntityKind, alive_keys, all_tokens, key_expression, parse_alive_key};
use crate::neighbours::{self, Neighbours};
use crate::view::GraphView;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zenoh::config::WhatAmI;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber;
use zenoh::sample::{Locality, Sample, SampleKind};
use zenoh::{Session, Wait};

/// How long the router's port may take to answer.
const PROBE: Duration = Duration::from_millis(500);
/// How often the supervisor looks for a router.
const WATCH: Duration = Duration::from_secs(1);

/// The longest attachment that is read, bytes. rmw_zenoh's has 33; newer versions may add some.
pub(crate) const ATTACHMENT_LIMIT: usize = 1024;

/// How often is looked up who shares memory.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// An open session with what its endpoints share.
pub(crate) struct Link {
    pub session: Session,
    pub config: WireConfig,
    /// Zenoh identity, hexadecimal.
    pub zid: String,
    /// Samples and requests without a readable attachment.
    pub malformed: AtomicU64,
    /// Samples and requests with a key that means several topics or services.
    pub wild: AtomicU64,
    /// Samples, requests and answers longer than is allowed.
    pub oversized: AtomicU64,
    /// Replies that could not be sent.
    pub lost_replies: AtomicU64,
    /// Samples that came.
    pub received: AtomicU64,
    /// Those of them that lay in shared memory.
    pub received_shared: AtomicU64,
    /// Large samples that found no room in shared memory and went through the socket.
    pub unplaced: AtomicU64,
    own: Mutex<BTreeSet<Gid>>,
    /// Whether another process shares memory with this one, and when that was looked up.
    sharing: Mutex<Option<(Instant, bool)>>,
    pub live: Arc<Live>,
    next_id: AtomicI64,
    _watch: Option<(Subscriber<()>, Subscriber<()>)>,
    /// The processes of this host that take samples in shared memory, if that is wanted and possible.
    pub neighbours: Option<Arc<Neighbours>>,
    _neighbours: Option<(Subscriber<()>, LivelinessToken)>,
}

/// Whether a session follows the graph as it changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    Graph,
    /// A standing interest in tokens would answer a later query at once, from what little has arrived by then.
    Nothing,
}

impl Link {
    pub fn new(session: Session, config: WireConfig, follow: Follow) -> Result<Self, OpenError> {
        let zid = session.zid().to_string();
        let live = Arc::new(Live::new(zid.clone()));
        let (seen, heard) = (Arc::clone(&live), Arc::clone(&live));
        let wanted = config.shared_memory && follow == Follow::Graph;
        let neighbours = if wanted { Neighbours::open(config.domain, Arc::clone(&live)) } else { None };
        let (listeners, domain) = (neighbours.clone(), config.domain);
        let update = move |sample: Sample| {
            let key = sample.key_expr().as_str();
            let changed = match sample.kind() {
                SampleKind::Put => seen.joined(key),
                SampleKind::Delete => seen.left(key),
            };
            if let (Some(neighbours), Some(entity)) = (&listeners, changed)
                && entity.kind == EntityKind::Subscription
                && let Ok(topic) = key_expression(domain, &entity.name, &entity.dds_name, &entity.type_hash)
            {
                neighbours.announced(topic, entity.session, sample.kind());
            }
        };
        let asserted = move |sample: Sample| {
            if let Some(gid) = parse_alive_key(sample.key_expr().as_str()) {
                heard.asserted(gid);
            }
        };
        let watch = || -> Result<_, zenoh::Error> {
            let tokens =
                session.liveliness().declare_subscriber(all_tokens(config.domain)).history(true).callback(update).wait()?;
            let alive = session.declare_subscriber(alive_keys(config.domain)).allowed_origin(Locality::Remote);
            Ok((tokens, alive.callback(asserted).wait()?))
        };
        let watch = match follow {
            Follow::Graph => Some(watch().map_err(|e| OpenError::Session(e.to_string()))?),
            Follow::Nothing => None,
        };
        let meet = match &neighbours {
            Some(neighbours) => Some(meet(&session, neighbours, config.domain).map_err(|e| OpenError::Session(e.to_string()))?),
            None => None,
        };
        Ok(Self {
            session,
            config,
            zid,
            malformed: AtomicU64::new(0),
            wild: AtomicU64::new(0),
            oversized: AtomicU64::new(0),
            lost_replies: AtomicU64::new(0),
            received: AtomicU64::new(0),
            received_shared: AtomicU64::new(0),
            unplaced: AtomicU64::new(0),
            own: Mutex::default(),
            sharing: Mutex::default(),
            live,
            next_id: AtomicI64::new(1),
            _watch: watch,
            neighbours,
            _neighbours: meet,
        })
    }

    /// A number for a request.
    pub fn next_sequence(&self) -> i64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes an identity as this session's, so that its samples are not taken for somebody else's.
    pub fn add_own(&self, gid: Gid) {
        self.own.lock().insert(gid);
    }

    /// Takes it back.
    pub fn remove_own(&self, gid: &Gid) {
        self.own.lock().remove(gid);
    }

    /// Why something that came for one topic or service is refused unread, if it is. That is counted.
    pub fn refuses(&self, key: &zenoh::key_expr::keyexpr, length: usize) -> Option<String> {
        if key.is_wild() {
            self.wild.fetch_add(1, Ordering::Relaxed);
            return Some(format!("`{key}` means more than one topic or service"));
        }
        let limit = self.config.max_sample_bytes;
        if length > limit {
            self.oversized.fetch_add(1, Ordering::Relaxed);
            return Some(format!("{length} bytes are more than the {limit} that OMNIMIND_MAX_SAMPLE_BYTES allows here"));
        }
        None
    }

    /// The attachment, if it can be read and somebody else sent it. What cannot be read is counted.
    pub fn accept(&self, attachment: Option<&zenoh::bytes::ZBytes>) -> Option<Attachment> {
        // A longer one is not looked at: it may lie in pieces, and would be copied.
        let short = attachment.filter(|bytes| bytes.len() <= ATTACHMENT_LIMIT);
        match short.and_then(|bytes| Attachment::from_bytes(&bytes.to_bytes())) {
            None => {
                self.malformed.fetch_add(1, Ordering::Relaxed);
                None
            }
            // History queries of an AdvancedSubscriber also reach publishers of the same session.
            Some(found) => Some(found).filter(|a| !self.own.lock().contains(&a.gid)),
        }
    }

    /// The graph as known now.
    pub fn view(&self) -> GraphView {
        self.live.view()
    }

    /// Identities of the other sessions that have an endpoint of this kind on a name.
    pub fn others(&self, kind: EntityKind, name: &str) -> BTreeSet<String> {
        self.live.others(kind, name)
    }

    /// Identities of the sessions that share memory with this one.
    pub fn shared_memory_sessions(&self) -> BTreeSet<String> {
        let transports = self.session.info().transports().wait();
        transports.filter(|t| t.is_shm()).map(|t| t.zid().to_string()).collect()
    }

    /// Whether another process could take a sample of this size from shared memory.
    pub fn would_share(&self, length: usize) -> bool {
        self.config.shared_memory && length >= self.config.shared_memory_threshold && self.shares_memory()
    }

    /// Routers do not count: they only hand on.
    fn shares_memory(&self) -> bool {
        let known = *self.sharing.lock();
        match known {
            Some((at, sharing)) if at.elapsed() < LOOK_AGAIN => sharing,
            _ => {
                let mut transports = self.session.info().transports().wait();
                let sharing = transports.any(|t| t.is_shm() && t.whatami() != WhatAmI::Router);
                *self.sharing.lock() = Some((Instant::now(), sharing));
                sharing
            }
        }
    }

    /// Announces by a liveliness token.
    pub fn announce(&self, token: &str) -> Result<zenoh::liveliness::LivelinessToken, WireError> {
        Ok(self.session.liveliness().declare_token(token.to_owned()).wait()?)
    }
}

/// Looks for neighbours and tells them of this session.
fn meet(session: &Session, neighbours: &Arc<Neighbours>, domain: u32) -> zenoh::Result<(Subscriber<()>, LivelinessToken)> {
    let (seen, own) = (Arc::clone(neighbours), session.clone());
    let update = move |sample: Sample| seen.peer(sample.key_expr().as_str(), sample.kind(), &own);
    let liveliness = session.liveliness();
    let watch = liveliness.declare_subscriber(neighbours::tokens(domain)).history(true).callback(update).wait()?;
    Ok((watch, liveliness.declare_token(neighbours.token()).wait()?))
}

fn addresses(config: &WireConfig) -> Vec<SocketAddr> {
    config.router_address().and_then(|address| address.to_socket_addrs().ok()).into_iter().flatten().collect()
}

/// Whether a program listens at the router's address.
fn answers(config: &WireConfig) -> bool {
    addresses(config).iter().any(|address| TcpStream::connect_timeout(address, PROBE).is_ok())
}

/// Starts a router unless something listens there already, or the address is another machine's.
pub(crate) fn start_router(config: &WireConfig) -> Result<Option<Session>, OpenError> {
    let elsewhere = addresses(config).iter().any(|address| !(address.ip().is_loopback() || address.ip().is_unspecified()));
    if elsewhere || answers(config) {
        return Ok(None);
    }
    match zenoh::open(config.router_config()?).wait() {
        Ok(session) => Ok(Some(session)),
        // Another process may have been faster.
        Err(_) if answers(config) => Ok(None),
        Err(error) => Err(OpenError::Router { endpoint: config.router.clone(), reason: error.to_string() }),
    }
}

/// Opens a session that needs the router.
pub(crate) fn open(config: &WireConfig, zenoh_config: zenoh::Config) -> Result<Session, OpenError> {
    zenoh::open(zenoh_config).wait().map_err(|error| {
        let endpoint = config.router.clone();
        if config.router_address().is_none() {
            OpenError::Session(error.to_string())
        } else if answers(config) {
            OpenError::NotZenoh { endpoint, reason: error.to_string() }
        } else {
            OpenError::Unreachable { endpoint }
        }
    })
}

/// Keeps a router alive: starts one when the session has lost its own.
pub(crate) struct RouterKeeper {
    router: Arc<Mutex<Option<Session>>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RouterKeeper {
    pub fn new(config: WireConfig, router: Option<Session>, session: Session) -> Self {
        let router = Arc::new(Mutex::new(router));
        let (stop, stopped) = mpsc::channel();
        let held = Arc::clone(&router);
        let watch = move || {
            let mut missing = 0;
            while stopped.recv_timeout(WATCH) == Err(RecvTimeoutError::Timeout) {
                missing = if session.info().routers_zid().wait().next().is_some() { 0 } else { missing + 1 };
                // Twice in a row: a reconnection may be under way. A failure is tried again in the next round.
                if missing >= 2
                    && let Ok(Some(new)) = start_router(&config)
                {
                    *held.lock() = Some(new);
                    missing = 0;
                }
            }
        };
        let thread = std::thread::Builder::new().name("wire-router".into()).spawn(watch).ok();
        Self { router, stop: Some(stop), thread }
    }

    /// Whether this process runs the router.
    pub fn holds_router(&self) -> bool {
        self.router.lock().is_some()
    }
}

impl Drop for RouterKeeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
        if let Some(router) = self.router.lock().take() {
            // Nothing is left to be done if closing fails.
            let _ = router.close().wait();
        }
    }
}
