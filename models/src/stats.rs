//! What a model did and what it cost.

use std::collections::VecDeque;

/// How many of the latest run times the percentiles are taken from.
const WINDOW: usize = 1024;

/// Statistics of one loaded model since it was loaded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelStatistics {
    /// Key in the catalogue (`model` or `model/file`).
    pub model: String,
    /// Version of the weights.
    pub version: String,
    /// Device the network runs on, e.g. `cpu`.
    pub device: String,
    /// Memory that loading it added to the process, in bytes.
    pub memory_bytes: u64,
    /// Requests that were run to a result.
    pub requests: u64,
    /// Requests that were refused (queue full, deadline) or failed.
    pub refused: u64,
    /// Median run time of the last 1024 requests, in milliseconds; 0 before the first.
    pub p50_ms: f64,
    /// 99th percentile of the same, in milliseconds.
    pub p99_ms: f64,
    /// Mean wait before running over the same, in milliseconds.
    pub queue_ms: f64,
}

/// Collects [`ModelStatistics`].
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    requests: u64,
    refused: u64,
    latest: VecDeque<(f64, f64)>,
}

impl Recorder {
    pub(crate) fn done(&mut self, queue_ms: f64, run_ms: f64) {
        self.requests += 1;
        if self.latest.len() == WINDOW {
            self.latest.pop_front();
        }
        self.latest.push_back((queue_ms, run_ms));
    }

    pub(crate) fn refused(&mut self) {
        self.refused += 1;
    }

    /// Fills in the measured part; the caller names model, version, device and memory.
    pub(crate) fn snapshot(&self) -> ModelStatistics {
        let mut runs: Vec<f64> = self.latest.iter().map(|(_, run)| *run).collect();
        runs.sort_by(f64::total_cmp);
        let waits: f64 = self.latest.iter().map(|(wait, _)| *wait).sum();
        ModelStatistics {
            requests: self.requests,
            refused: self.refused,
            p50_ms: percentile(&runs, 0.50),
            p99_ms: percentile(&runs, 0.99),
            queue_ms: if self.latest.is_empty() { 0.0 } else { waits / self.latest.len() as f64 },
            ..ModelStatistics::default()
        }
    }
}

/// The nearest-rank percentile of ascending values, 0 for none.
fn percentile(sorted: &[f64], fraction: f64) -> f64 {
    let rank = (fraction * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let mut recorder = Recorder::default();
        for ms in 1..=100 {
            recorder.done(2.0, f64::from(ms));
        }
        let s = recorder.snapshot();
        assert_eq!((s.requests, s.p50_ms, s.p99_ms, s.queue_ms), (100, 50.0, 99.0, 2.0));
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(Recorder::default().snapshot().p99_ms, 0.0);
    }

    #[test]
    fn the_window_forgets_old_runs() {
        let mut recorder = Recorder::default();
        recorder.done(0.0, 9_999.0);
        for _ in 0..WINDOW {
            recorder.done(0.0, 1.0);
        }
        assert_eq!(recorder.snapshot().p99_ms, 1.0);
        assert_eq!(recorder.snapshot().requests, 1025);
    }
}
