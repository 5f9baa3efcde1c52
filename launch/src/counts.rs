//! What the processes of a running graph count about themselves, as it comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use msgs::Message as _;
use msgs::omnimind_msgs::msg::GraphStatistics;
use wire::{GraphView, RawSubscription};

use crate::remote::{Remote, RemoteError};

/// The type of the topics that are listened to.
const TYPE: &str = "omnimind_msgs/msg/GraphStatistics";

/// By the identity of the publisher: each process has its own.
type Latest = BTreeMap<[u8; 16], GraphStatistics>;

/// Listens to the statistics of every process until it is dropped.
pub struct Counts {
    latest: Arc<(Mutex<Latest>, Condvar)>,
    processes: usize,
    _subscriptions: Vec<RawSubscription>,
}

impl Counts {
    /// Listens to all processes that `view` knows.
    ///
    /// # Errors
    /// [`RemoteError::Wire`].
    pub fn listen(remote: &Remote, view: &GraphView) -> Result<Self, RemoteError> {
        let latest: Arc<(Mutex<Latest>, Condvar)> = Arc::default();
        let topics: Vec<_> = view.topics().into_iter().filter(|topic| topic.types.iter().any(|t| t == TYPE)).collect();
        let processes = topics.iter().map(|topic| topic.sources.len()).sum();
        let mut subscriptions = Vec::new();
        for topic in topics {
            let latest = Arc::clone(&latest);
            let sink = move |sample: wire::RawSample| {
                // A process that was built with another definition is named by the type's hash; what it counts cannot be read.
                if let Ok(statistics) = GraphStatistics::from_cdr(&sample.payload) {
                    latest.0.lock().unwrap_or_else(PoisonError::into_inner).insert(sample.attachment.gid, statistics);
                    latest.1.notify_all();
                }
            };
            subscriptions.push(remote.subscribe(&topic.name, graph::Qos::reliable(10), sink)?);
        }
        Ok(Self { latest, processes, _subscriptions: subscriptions })
    }

    /// The latest of each process.
    #[must_use]
    pub fn now(&self) -> Vec<GraphStatistics> {
        self.latest.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Waits until every process has told, which each does once a second; what has come by then.
    #[must_use]
    pub fn all(&self, patience: Duration) -> Vec<GraphStatistics> {
        let until = Instant::now() + patience;
        let mut latest = self.latest.0.lock().unwrap_or_else(PoisonError::into_inner);
        while latest.len() < self.processes {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            latest = self.latest.1.wait_timeout(latest, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        latest.values().cloned().collect()
    }
}
