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

/// By the identity of the publisher, of which each process has its own: what it told, and when.
type Latest = BTreeMap<[u8; 16], (Instant, GraphStatistics)>;

/// Each process tells every second; one that was silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Listens to the statistics of every process until it is dropped.
pub struct Counts {
    latest: Arc<(Mutex<Latest>, Condvar)>,
    processes: usize,
    _subscriptions: Vec<RawSubscription>,
}

impl Counts {
    /// Listens to all processes that `view` knows, and asks them for what they told last.
    ///
    /// # Errors
    /// [`RemoteError::Wire`].
    pub fn listen(remote: &Remote, view: &GraphView) -> Result<Self, RemoteError> {
        let latest: Arc<(Mutex<Latest>, Condvar)> = Arc::default();
        let topics: Vec<_> = view.topics().into_iter().filter(|topic| topic.types.iter().any(|t| t == TYPE)).collect();
        let processes = topics.iter().map(|topic| topic.sources.len()).sum();
        let mut subscriptions = Vec::new();
        for topic in topics {
            let (news, kept) = (Arc::clone(&latest), Arc::clone(&latest));
            subscriptions.push(remote.subscribe(&topic.name, graph::Qos::reliable(10), move |sample| take(&news, &sample))?);
            remote.kept(&topic.name, move |sample| take(&kept, &sample))?;
        }
        Ok(Self { latest, processes, _subscriptions: subscriptions })
    }

    /// The latest of each process that was heard of in the last five seconds.
    #[must_use]
    pub fn now(&self) -> Vec<GraphStatistics> {
        heard(&mut self.latest.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }

    /// Waits until every process has told: what it told last comes at once, the first time a second after its start. What has come by
    /// then.
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
        heard(&mut latest, Instant::now())
    }
}

/// Notes what a process tells.
fn take((latest, told): &(Mutex<Latest>, Condvar), sample: &wire::RawSample) {
    // A process that was built with another definition is named by the type's hash; what it counts cannot be read.
    let Ok(statistics) = GraphStatistics::from_cdr(&sample.payload) else { return };
    note(&mut latest.lock().unwrap_or_else(PoisonError::into_inner), sample.attachment.gid, Instant::now(), statistics);
    told.notify_all();
}

/// What a process was asked for may come after what it told since.
fn note(latest: &mut Latest, process: [u8; 16], at: Instant, statistics: GraphStatistics) {
    if latest.get(&process).is_none_or(|(_, known)| known.wall_seconds <= statistics.wall_seconds) {
        latest.insert(process, (at, statistics));
    }
}

/// Forgets the processes that are gone; what the others told.
fn heard(latest: &mut Latest, now: Instant) -> Vec<GraphStatistics> {
    latest.retain(|_, (at, _)| now.saturating_duration_since(*at) < SILENCE);
    latest.values().map(|(_, statistics)| statistics.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_does_not_take_the_place_of_what_is_newer() {
        let (mut latest, now) = (Latest::new(), Instant::now());
        for wall_seconds in [2.0, 3.0, 1.0] {
            note(&mut latest, [1; 16], now, GraphStatistics { wall_seconds, ..GraphStatistics::default() });
        }
        assert_eq!(latest[&[1; 16]].1.wall_seconds, 3.0);
    }

    #[test]
    fn a_process_that_is_silent_for_five_seconds_is_gone() {
        let start = Instant::now();
        let told = |pid| GraphStatistics { pid, ..GraphStatistics::default() };
        let mut latest = Latest::from([([1; 16], (start, told(1))), ([2; 16], (start + Duration::from_secs(3), told(2)))]);
        let pids = |latest: &mut Latest, seconds| -> Vec<u32> {
            heard(latest, start + Duration::from_secs(seconds)).iter().map(|statistics| statistics.pid).collect()
        };
        assert_eq!(pids(&mut latest, 4), [1, 2]);
        assert_eq!(pids(&mut latest, 6), [2]);
        assert_eq!(pids(&mut latest, 8), [0; 0]);
        assert!(latest.is_empty());
    }
}
