//! When to try again what failed: after 1 s, then twice as long each time, up to half a minute.

/// Longest pause between two attempts, s.
const LONGEST_S: f64 = 30.0;

/// Attempts of something that may fail.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Retry {
    failures: u32,
    /// Time of the next attempt, s; `None` while nothing has failed.
    due_s: Option<f64>,
}

impl Retry {
    /// It failed at `now_s`; returns the pause until the next attempt, s.
    pub fn failed(&mut self, now_s: f64) -> f64 {
        let pause_s = 2.0_f64.powi(self.failures.min(10) as i32).min(LONGEST_S);
        self.failures += 1;
        self.due_s = Some(now_s + pause_s);
        pause_s
    }

    /// It works.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// True if it is time for another attempt; only once for each failure.
    pub fn is_due(&mut self, now_s: f64) -> bool {
        let due = self.due_s.is_some_and(|due| now_s >= due);
        if due {
            self.due_s = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_begin_anew_after_success() {
        let mut retry = Retry::default();
        assert!(!retry.is_due(1e9));
        let pauses: Vec<f64> = (0..7).map(|_| retry.failed(0.0)).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert!(!retry.is_due(29.9));
        assert!(retry.is_due(30.0));
        assert!(!retry.is_due(31.0));
        retry.succeeded();
        assert_eq!(retry.failed(5.0), 1.0);
    }
}
