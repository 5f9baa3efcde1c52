//! Subscriptions (rmw_zenoh: `detail/rmw_subscription_data.cpp`).

use crate::error::WireError;
use crate::history::Whole;
use crate::session::Link;
use graph::{Durability, Qos, Reliability};
use msgs::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zenoh::Wait;
use zenoh::bytes::ZBytes;
use zenoh::handlers::Callback;
use zenoh::key_expr::KeyExpr;
use zenoh::sample::{Locality, Sample};
use zenoh_ext::{AdvancedSubscriber, AdvancedSubscriberBuilderExt, HistoryConfig, RecoveryConfig};

/// How long a publisher may take to hand over its history; rmw_zenoh waits as long as it takes.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(600);

/// Subscribes to `key`; `callback` runs on a thread of Zenoh for every sample of an allowed origin.
pub(crate) fn declare(
    link: &Link,
    key: String,
    qos: &Qos,
    from: Locality,
    callback: impl Fn(Sample) + Send + Sync + 'static,
) -> Result<AdvancedSubscriber<()>, WireError> {
    let key = KeyExpr::try_from(key)?;
    let builder = link.session.declare_subscriber(key.clone()).allowed_origin(from);
    if qos.durability == Durability::Volatile {
        return Ok(builder.callback(callback).advanced().wait()?);
    }
    let depth = qos.cache_depth();
    let history = HistoryConfig::default().detect_late_publishers().max_samples(depth);
    // Of one sample nothing comes before it: it is handed over at once.
    let callback: Callback<Sample> = if depth > 1 {
        let whole = Whole::new(link.session.clone(), key, depth, from, callback);
        Callback::from(move |sample| whole.came(sample))
    } else {
        Callback::from(callback)
    };
    let builder = builder.with(callback).advanced();
    let mut builder = builder.history(history).subscriber_detection().query_timeout(HISTORY_TIMEOUT);
    if qos.reliability == Reliability::Reliable {
        builder = builder.recovery(RecoveryConfig::default().heartbeat());
    }
    Ok(builder.wait()?)
}

/// A sample with its attachment read, counted: payload, attachment. `None` if it is refused (counted) or this session's own.
pub(crate) fn accept(link: &Arc<Link>, sample: &Sample) -> Option<(Bytes, crate::Attachment)> {
    let read = read(link, sample)?;
    count(link, sample);
    Some(read)
}

/// As [`accept`], for a sample that may have come before over another way: who takes it as new counts it.
pub(crate) fn read(link: &Arc<Link>, sample: &Sample) -> Option<(Bytes, crate::Attachment)> {
    if link.refuses(sample.key_expr(), sample.payload().len()).is_some() {
        return None;
    }
    let attachment = link.accept(sample.attachment())?;
    Some((shared(sample.payload()), attachment))
}

/// Counts a sample that came.
pub(crate) fn count(link: &Link, sample: &Sample) {
    link.received.fetch_add(1, Ordering::Relaxed);
    link.received_shared.fetch_add(sample.payload().as_shm().is_some().into(), Ordering::Relaxed);
}

/// Holds a payload that lies in one piece.
struct OnePiece(ZBytes);

impl AsRef<[u8]> for OnePiece {
    fn as_ref(&self) -> &[u8] {
        self.0.slices().next().unwrap_or_default()
    }
}

/// The payload. What came in shared memory stays there, and keeps its room in the sender's pool taken, until the last view of it is
/// dropped. A small one is copied rather than keeping the batch alive that it came in.
fn shared(payload: &ZBytes) -> Bytes {
    const SMALL: usize = 32 << 10;
    match payload.to_bytes() {
        Cow::Borrowed(bytes) if bytes.len() < SMALL && payload.as_shm().is_none() => Bytes::copy_from_slice(bytes),
        Cow::Borrowed(_) => Bytes::from_owner(OnePiece(payload.clone())),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}
