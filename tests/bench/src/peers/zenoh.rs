//! Plain Zenoh: raw bytes on a key. The subscriber's callback, on Zenoh's own thread, or its default handler, a channel from which another
//! thread receives. Over TCP on loopback, or written in place in shared memory.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;
use zenoh::shm::{BlockOn, GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder};
use zenoh::{Session, Wait};

use crate::run::{Listening, Plan, Sender};

const KEY: &str = "peers/bench";

fn open(shared: bool, endpoint: &str, role: &str) -> Result<Session> {
    let mut config = zenoh::Config::default();
    let mut set = |key: &str, value: &str| config.insert_json5(key, value).map_err(|e| anyhow!("{key}: {e}"));
    set("mode", "\"peer\"")?;
    set("scouting/multicast/enabled", "false")?;
    // The publisher listens, the others connect: no router is on the way.
    set(if role == "publish" { "listen/endpoints" } else { "connect/endpoints" }, &format!("[\"{endpoint}\"]"))?;
    set("transport/shared_memory/enabled", if shared { "true" } else { "false" })?;
    zenoh::open(config).wait().map_err(|e| anyhow!("{e}"))
}

enum Zenoh {
    Copied(Publisher<'static>, Vec<u8>),
    InPlace(Publisher<'static>, ShmProvider<PosixShmProviderBackend>, usize),
}

impl Sender for Zenoh {
    fn send(&mut self, head: &[u8]) -> Result<()> {
        match self {
            Self::Copied(publisher, sample) => {
                sample[..head.len()].copy_from_slice(head);
                publisher.put(sample.as_slice()).wait()
            }
            Self::InPlace(publisher, provider, bytes) => {
                let mut sample = provider.alloc(*bytes).with_policy::<BlockOn<GarbageCollect>>().wait().map_err(|e| anyhow!("{e:?}"))?;
                sample[..head.len()].copy_from_slice(head);
                publisher.put(sample).wait()
            }
        }
        .map_err(|e| anyhow!("{e}"))
    }
}

pub fn publish(shared: bool, plan: &Plan, endpoint: &str) -> Result<u32> {
    let session = open(shared, endpoint, "publish")?;
    let publisher = session.declare_publisher(KEY).congestion_control(CongestionControl::Block).wait().map_err(|e| anyhow!("{e}"))?;
    let mut sender = if shared {
        let provider = ShmProviderBuilder::default_backend(8 * plan.bytes.next_multiple_of(4096) + 4096).wait().map_err(|e| anyhow!("{e}"))?;
        Zenoh::InPlace(publisher, provider, plan.bytes)
    } else {
        Zenoh::Copied(publisher, vec![7; plan.bytes])
    };
    crate::run::publish(plan, &mut sender)
}

/// Receives with Zenoh's default handler.
pub fn receive(plan: &Plan, endpoint: &str) -> Result<()> {
    let session = open(false, endpoint, "listen")?;
    let subscriber = session.declare_subscriber(KEY).wait().map_err(|e| anyhow!("{e}"))?;
    let mut listening = Listening::new(plan)?;
    while listening.take(&subscriber.recv().map_err(|e| anyhow!("{e}"))?.payload().to_bytes()) {}
    listening.report();
    Ok(())
}

/// Listens with a callback.
pub fn listen(shared: bool, plan: &Plan, endpoint: &str) -> Result<()> {
    let session = open(shared, endpoint, "listen")?;
    let (done, ended) = mpsc::channel::<Listening>();
    let mut listening = Some(Listening::new(plan)?);
    let _subscriber = session
        .declare_subscriber(KEY)
        .callback_mut(move |sample| {
            if let Some(mut active) = listening.take() {
                if active.take(&sample.payload().to_bytes()) {
                    listening = Some(active);
                } else {
                    // The receiver lives until the end.
                    let _ = done.send(active);
                }
            }
        })
        .wait()
        .map_err(|e| anyhow!("{e}"))?;
    ended.recv_timeout(Duration::from_secs(300))?.report();
    Ok(())
}
