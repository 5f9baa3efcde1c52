//! Publishers (rmw_zenoh: `detail/rmw_publisher_data.cpp`).

use crate::attachment::{Attachment, Gid, gid_of};
use crate::edges::{Edges, Loss, Report, Way, Why};
use crate::error::WireError;
use crate::name::{EntityKind, TokenParts, alive_key, endpoint_token, key_expression};
use crate::neighbours::Neighbours;
use crate::pool::ShmPool;
use crate::session::Link;
use graph::transport::SharedMemory;
use graph::{Durability, History, Reliability};
use msgs::cdr::Pieces;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zenoh::Wait;
use zenoh::bytes::ZBytes;
use zenoh::key_expr::KeyExpr;
use zenoh::liveliness::LivelinessToken;
use zenoh::qos::CongestionControl;
use zenoh::sample::Locality;
use zenoh_ext::{AdvancedPublisher, AdvancedPublisherBuilderExt, CacheConfig, MissDetectionConfig};

/// rmw_zenoh: `SAMPLE_MISS_DETECTION_HEARTBEAT_PERIOD`.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// What has gone out.
#[derive(Default)]
struct Out {
    /// Number of the last sample.
    sequence: i64,
    /// The ways to the neighbours of this host.
    edges: Edges,
}

/// A publisher on the wire with its token.
pub(crate) struct WirePublisher {
    // Dropped in this order: first it is no longer announced.
    _token: LivelinessToken,
    publisher: AdvancedPublisher<'static>,
    link: Arc<Link>,
    name: String,
    gid: Gid,
    key: KeyExpr<'static>,
    loss: Loss,
    declared: Instant,
    /// Held while sending, so that numbers go out in order.
    out: Mutex<Out>,
    /// How that went; to be had while a sample waits for its turn.
    report: Mutex<Report>,
    /// Memory that neighbours of this host read, where there may be some.
    shared: Option<carrier::Pool>,
    matched: Arc<AtomicBool>,
    last_size: AtomicUsize,
    /// How much of that was byte sequences.
    last_shared: AtomicUsize,
    /// Whether it found room in the pool.
    last_placed: AtomicBool,
    /// Whether nothing is kept for late joiners. What is kept has to be Zenoh's, and would take the room of what is sent.
    volatile: bool,
    /// Memory that is shared through Zenoh.
    zenoh_pool: ShmPool,
}

impl WirePublisher {
    pub fn declare(link: &Arc<Link>, parts: &TokenParts<'_>, to: Locality) -> Result<Self, WireError> {
        let config = &link.config;
        let key = key_expression(config.domain, parts.name, parts.dds_name, parts.type_hash)?;
        let key = KeyExpr::try_from(key)?;
        let token = endpoint_token(config.domain, &link.zid, &config.enclave, parts);
        let gid = gid_of(&token);
        let reliable = parts.qos.reliability == Reliability::Reliable;
        let reliability = if reliable { zenoh::qos::Reliability::Reliable } else { zenoh::qos::Reliability::BestEffort };
        // Blocking is only for those who asked that nothing be lost: a slow listener must not stall a sensor.
        let block = reliable && parts.qos.history == History::KeepAll;
        let loss = match (block, reliable) {
            (true, _) => Loss::Nothing,
            (false, true) => Loss::Stuck,
            (false, false) => Loss::Full,
        };
        let congestion = if block { CongestionControl::Block } else { CongestionControl::Drop };
        let builder = link.session.declare_publisher(key.clone()).congestion_control(congestion).reliability(reliability);
        let mut builder = builder.allowed_destination(to).advanced();
        if parts.qos.durability == Durability::TransientLocal {
            builder = builder.cache(CacheConfig::default().max_samples(parts.qos.cache_depth())).publisher_detection();
            if reliable {
                builder = builder.sample_miss_detection(MissDetectionConfig::default().sporadic_heartbeat(HEARTBEAT));
            }
        }
        link.add_own(gid);
        let publisher = builder.wait()?;
        let matched = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&matched);
        let listener = publisher.matching_listener().callback(move |status| flag.store(status.matching(), Ordering::Release));
        listener.background().wait()?;
        if publisher.matching_status().wait()?.matching() {
            matched.store(true, Ordering::Release);
        }
        let token = link.announce(&token)?;
        Ok(Self {
            _token: token,
            publisher,
            link: Arc::clone(link),
            name: parts.name.to_owned(),
            gid,
            key,
            loss,
            declared: Instant::now(),
            out: Mutex::default(),
            report: Mutex::default(),
            shared: link.neighbours.as_ref().map(|neighbours| neighbours.host.pool()),
            matched,
            last_size: AtomicUsize::new(0),
            last_shared: AtomicUsize::new(0),
            last_placed: AtomicBool::new(false),
            volatile: parts.qos.durability == Durability::Volatile,
            zenoh_pool: ShmPool::default(),
        })
    }

    /// Sends an encoded message.
    pub fn put(&self, payload: Pieces, source_time_ns: i64) -> Result<(), WireError> {
        let mut out = self.out.lock();
        out.sequence += 1;
        let sequence = out.sequence;
        if let Some((neighbours, shared)) = self.neighbours() {
            out.edges.refresh(neighbours, &self.key, self.gid, self.declared);
            let zenoh = out.edges.send(neighbours, shared, &payload, sequence, source_time_ns, self.loss);
            *self.report.lock() = out.edges.report();
            if !zenoh {
                return Ok(());
            }
        }
        self.last_size.store(payload.len(), Ordering::Relaxed);
        self.last_shared.store(payload.shared_len(), Ordering::Relaxed);
        let share = self.volatile && self.link.would_share(payload.len());
        let placed = if share { self.zenoh_pool.place(&payload) } else { None };
        self.last_placed.store(placed.is_some(), Ordering::Relaxed);
        if share && placed.is_none() {
            self.link.unplaced.fetch_add(1, Ordering::Relaxed);
        }
        let payload = placed.map_or_else(|| in_pieces(payload), ZBytes::from);
        let attachment = Attachment { sequence, source_time_ns, gid: self.gid };
        let sent = self.publisher.put(payload).attachment(attachment.to_bytes()).wait();
        drop(out);
        Ok(sent?)
    }

    /// The neighbours and the memory for them, if this publisher may use the ways to them.
    fn neighbours(&self) -> Option<(&Arc<Neighbours>, &carrier::Pool)> {
        self.link.neighbours.as_ref().zip(self.shared.as_ref()).filter(|_| self.volatile)
    }

    /// Room for `length` bytes in the memory that neighbours read; `None` if none listens or all of it is held.
    pub fn loan(&self, length: usize) -> Option<carrier::Loan> {
        let (neighbours, shared) = self.neighbours().filter(|_| length > carrier::INLINE)?;
        // Whoever publishes a sample just now may have to wait with it; whoever wants room need not.
        let mut out = self.out.try_lock()?;
        out.edges.refresh(neighbours, &self.key, self.gid, self.declared);
        let wanted = out.edges.any();
        drop(out);
        if wanted { shared.loan(length) } else { None }
    }

    /// How the last sample went and why, in a sentence.
    pub fn why(&self) -> String {
        let edges = *self.report.lock();
        match edges.way {
            _ if edges.went_over_zenoh() => edges.why.sentence(),
            Way::Inline => "the listeners are on this host; the sample is copied into their queue".into(),
            Way::Placed => "the listeners are on this host; the sample is copied once into memory that they read".into(),
            Way::Lent => "the listeners are on this host; the sample was made in memory that they read".into(),
            Way::Zenoh => Why::default().sentence(),
        }
    }

    /// Samples that a listener of this host did not take.
    pub fn dropped(&self) -> u64 {
        self.report.lock().dropped
    }

    /// The memory for neighbours, if there is any.
    pub fn memory(&self) -> Option<SharedMemory> {
        let bytes = self.shared.as_ref()?.size();
        (bytes > 0).then(|| SharedMemory { bytes: bytes as u64, fallbacks: self.report.lock().unplaced })
    }

    /// Whether anybody listens.
    pub fn matched(&self) -> bool {
        self.matched.load(Ordering::Acquire)
    }

    /// Tells those who follow the graph that the publisher is alive.
    pub fn assert_liveliness(&self) -> Result<(), WireError> {
        let key = alive_key(self.link.config.domain, &self.gid);
        let put = self.link.session.put(key, ZBytes::new()).allowed_destination(Locality::Remote);
        Ok(put.congestion_control(CongestionControl::Drop).wait()?)
    }

    /// How listeners are reached, and how many copies of the payload that costs from one message struct to the other.
    pub fn carrier(&self) -> (&'static str, u32) {
        if !self.matched() {
            return ("", 0);
        }
        {
            let edges = *self.report.lock();
            if !edges.went_over_zenoh() {
                // What is serialised, and what is not bytes deserialised; and copied into the queue and out of it, or into the pool.
                return match edges.way {
                    Way::Inline => ("shared-memory", 4),
                    Way::Placed => ("shared-memory", if edges.in_bytes { 1 } else { 3 }),
                    Way::Lent => ("shared-memory", 0),
                    Way::Zenoh => ("", 0),
                };
            }
        }
        let in_bytes = 2 * self.last_shared.load(Ordering::Relaxed) > self.last_size.load(Ordering::Relaxed);
        let placed = self.last_placed.load(Ordering::Relaxed);
        if placed {
            let listeners = self.link.others(EntityKind::Subscription, &self.name);
            let sharing = self.link.shared_memory_sessions();
            if !listeners.is_empty() && listeners.is_subset(&sharing) {
                // Into the pool; what is not bytes is also serialised before and deserialised after.
                return ("shared-memory", if in_bytes { 1 } else { 3 });
            }
        }
        // Into the socket, out of it, into one piece; what is not bytes as above; and into the pool, if another listener reads it there.
        ("network", if in_bytes { 3 } else { 5 } + u32::from(placed))
    }
}

/// The payload without a copy: the socket takes pieces.
fn in_pieces(payload: Pieces) -> ZBytes {
    let mut whole = ZBytes::writer();
    for piece in payload.into_bytes() {
        whole.append(ZBytes::from(piece));
    }
    whole.finish()
}

impl Drop for WirePublisher {
    fn drop(&mut self) {
        if let Some(neighbours) = &self.link.neighbours {
            self.out.get_mut().edges.close(neighbours);
        }
        self.link.remove_own(&self.gid);
    }
}
