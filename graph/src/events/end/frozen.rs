//! Ends of topics in snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{End, PeerId, Totals};
use crate::events::EventPort;
use crate::time::Time;

/// What is known about one end of a topic. Ends in other processes are none of a snapshot's business.
#[derive(Serialize, Deserialize)]
pub(crate) struct FrozenEnd {
    totals: Totals,
    reported: Totals,
    sampled: Option<Time>,
    asserted: Option<Time>,
    peers: Vec<FrozenPeer>,
}

#[derive(Serialize, Deserialize)]
struct FrozenPeer {
    node: String,
    alive: Option<bool>,
    asserted: Time,
}

impl End {
    /// Without peers of the nodes `watchers`.
    pub fn freeze(&self, watchers: &BTreeSet<Arc<str>>) -> FrozenEnd {
        let state = self.state.lock();
        let peers = state.peers.iter().filter(|(id, peer)| matches!(id, PeerId::Local(_)) && !watchers.contains(&peer.node));
        let peers = peers.map(|(_, peer)| FrozenPeer { node: peer.node.to_string(), alive: peer.alive, asserted: peer.asserted });
        FrozenEnd {
            peers: peers.collect(),
            totals: state.totals,
            reported: state.reported,
            sampled: state.sampled,
            asserted: state.asserted,
        }
    }

    /// Takes up what [`End::freeze`] gave. The n-th end of a node at the other side then is its n-th now.
    pub fn thaw(&self, frozen: FrozenEnd) {
        let mut state = self.state.lock();
        (state.totals, state.reported) = (frozen.totals, frozen.reported);
        (state.sampled, state.asserted) = (frozen.sampled, frozen.asserted);
        let mut peers: BTreeMap<String, Vec<FrozenPeer>> = BTreeMap::new();
        for peer in frozen.peers.into_iter().rev() {
            peers.entry(peer.node.clone()).or_default().push(peer);
        }
        for (id, peer) in &mut state.peers {
            if matches!(id, PeerId::Local(_))
                && let Some(before) = peers.get_mut(&*peer.node).and_then(Vec::pop)
            {
                (peer.alive, peer.asserted) = (before.alive, before.asserted);
            }
        }
    }
}

impl EventPort {
    /// By topic, how many samples queues have lost since somebody listens to that.
    pub fn losses(&self) -> Vec<(String, u64)> {
        self.lost.lock().iter().map(|(topic, count)| (topic.to_string(), *count)).collect()
    }

    /// Takes up what [`EventPort::losses`] gave.
    pub fn set_losses(&self, losses: Vec<(String, u64)>) {
        *self.lost.lock() = losses.into_iter().map(|(topic, count)| (Arc::from(topic), count)).collect();
    }
}
