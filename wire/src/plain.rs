//! Plain Zenoh over the same settings, without ROS 2's names and attachments: what `omnimind bench` compares the wire with.

use crate::config::WireConfig;
use crate::error::{OpenError, WireError};
use crate::session::open;
use std::time::{Duration, Instant};
use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::shm::{BlockOn, GarbageCollect};
use zenoh::{Session, Wait};

/// Zenoh's own handling of large buffers, which OmniMind replaces: it moves them into a pool of the session.
fn plain_config(config: &WireConfig) -> Result<zenoh::Config, OpenError> {
    let mut plain = config.peer_config()?;
    let shm = "transport/shared_memory/transport_optimization";
    for (name, value) in [("messages", "[\"put\"]"), ("pool_size", "67108864"), ("message_size_threshold", "3072")] {
        plain.insert_json5(&format!("{shm}/{name}"), value).map_err(|e| OpenError::Config(e.to_string()))?;
    }
    Ok(plain)
}

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(10);

/// A Zenoh publisher.
pub struct PlainPublisher {
    // Dropped before its session.
    publisher: Publisher<'static>,
    session: Session,
}

/// A Zenoh subscription; listens until it is dropped.
pub struct PlainSubscription {
    _subscriber: Subscriber<()>,
    _session: Session,
}

impl PlainPublisher {
    /// Opens a session at the router of `config` and declares a publisher.
    ///
    /// # Errors
    /// [`OpenError`] if there is no router or the key is not allowed.
    pub fn open(config: &WireConfig, key: &str) -> Result<Self, OpenError> {
        let session = open(config, plain_config(config)?)?;
        let publisher = session.declare_publisher(key.to_owned()).wait().map_err(|e| OpenError::Session(e.to_string()))?;
        Ok(Self { publisher, session })
    }

    /// Waits until somebody listens; whether somebody does.
    pub fn wait_matched(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        loop {
            if self.publisher.matching_status().wait().is_ok_and(|status| status.matching()) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Puts bytes; Zenoh moves large ones into shared memory by itself, which copies them once.
    ///
    /// # Errors
    /// [`WireError`] if the session is lost.
    pub fn put(&self, payload: Vec<u8>) -> Result<(), WireError> {
        Ok(self.publisher.put(payload).wait()?)
    }

    /// Puts `length` bytes that `fill` writes straight into shared memory. False if there is none, or not yet: the first call asks for it.
    ///
    /// # Errors
    /// [`WireError`] if the session is lost.
    pub fn put_shared(&self, length: usize, fill: impl FnOnce(&mut [u8])) -> Result<bool, WireError> {
        // Not `wait`: that takes the pool out of the session, which then never has one (zenoh-transport 1.10.2, `try_get_provider`).
        let Some(provider) = self.session.get_shm_provider().into_option() else { return Ok(false) };
        let allocated = provider.alloc(length).with_policy::<BlockOn<GarbageCollect>>().wait();
        let Ok(mut buffer) = allocated else { return Ok(false) };
        fill(&mut buffer);
        self.publisher.put(buffer).wait()?;
        Ok(true)
    }
}

impl PlainSubscription {
    /// Opens a session at the router of `config` and subscribes; `sink` runs on a thread of Zenoh, with the bytes and whether
    /// they lie in shared memory.
    ///
    /// # Errors
    /// [`OpenError`] if there is no router or the key is not allowed.
    pub fn open(config: &WireConfig, key: &str, sink: impl Fn(&[u8], bool) + Send + Sync + 'static) -> Result<Self, OpenError> {
        let session = open(config, plain_config(config)?)?;
        let subscriber = session.declare_subscriber(key.to_owned()).callback(move |sample| {
            let payload = sample.payload();
            sink(&payload.to_bytes(), payload.as_shm().is_some());
        });
        let subscriber = subscriber.wait().map_err(|e| OpenError::Session(e.to_string()))?;
        Ok(Self { _subscriber: subscriber, _session: session })
    }
}
