//! Which messages are recorded: topics left out, and streams thinned out in time.

use std::collections::BTreeMap;

/// Topics by pattern: `*` stands for any run of characters. A pattern with a slash in front is a full
/// name, any other is relative to the recorder's namespace.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    patterns: Vec<String>,
}

impl Patterns {
    /// Patterns as a person writes them; `namespace` with a slash in front, or empty.
    #[must_use]
    pub fn new(patterns: &[String], namespace: &str) -> Self {
        let full = |p: &String| if p.starts_with('/') { p.clone() } else { format!("{}/{p}", namespace.trim_end_matches('/')) };
        Self { patterns: patterns.iter().filter(|p| !p.is_empty()).map(full).collect() }
    }

    /// Whether a full topic name is meant.
    #[must_use]
    pub fn contains(&self, topic: &str) -> bool {
        self.patterns.iter().any(|p| glob(p.as_bytes(), topic.as_bytes()))
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // Iterative, with one place to go back to: linear in practice, never exponential.
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            back = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Lets through at most so many messages per second of message time, per stream.
#[derive(Clone, Debug, Default)]
pub struct Decimator {
    next_due_ns: BTreeMap<String, i64>,
}

impl Decimator {
    /// Whether a message of `stream` at `now_ns` is to be kept at `rate_hz` (0: none, infinite or negative: all).
    #[allow(clippy::cast_possible_truncation)]
    pub fn keep(&mut self, stream: &str, now_ns: i64, rate_hz: f64) -> bool {
        if rate_hz == 0.0 {
            return false;
        }
        if rate_hz < 0.0 || rate_hz.is_infinite() {
            return true;
        }
        let period = (1e9 / rate_hz) as i64;
        let Some(due) = self.next_due_ns.get_mut(stream) else {
            self.next_due_ns.insert(stream.to_owned(), now_ns.saturating_add(period));
            return true;
        };
        // A clock that went back (a simulation that was reset) starts anew.
        if now_ns < *due && now_ns >= *due - period {
            return false;
        }
        // Keeps the phase while messages come in time, so that 5 Hz of 10 Hz stays 5 Hz.
        *due = if now_ns - *due < period && now_ns >= *due { *due + period } else { now_ns + period };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_relative_to_the_namespace_unless_they_begin_with_a_slash() {
        let patterns = Patterns::new(&["device/camera/*".into(), "/tf".into(), String::new()], "/omni");
        assert!(patterns.contains("/omni/device/camera/image"));
        assert!(!patterns.contains("/device/camera/image"));
        assert!(patterns.contains("/tf") && !patterns.contains("/tf_static"));
        assert!(Patterns::new(&["*".into()], "").contains("/anything"));
        assert!(Patterns::new(&["a*b*c".into()], "").contains("/axxbyyc"));
    }

    #[test]
    fn five_of_ten_hertz_is_five_hertz() {
        let mut decimator = Decimator::default();
        let kept = (0..100).filter(|i| decimator.keep("a", i * 100_000_000, 5.0)).count();
        assert_eq!(kept, 50);
        let kept = (0..100).filter(|i| decimator.keep("b", i * 100_000_000, 3.0)).count();
        assert!((29..=31).contains(&kept), "{kept}");
    }

    #[test]
    fn rates_at_the_ends_and_a_clock_that_goes_back() {
        let mut decimator = Decimator::default();
        assert!(!decimator.keep("a", 0, 0.0));
        assert!(decimator.keep("a", 0, f64::INFINITY));
        assert!(decimator.keep("a", 10_000_000_000, 1.0));
        assert!(!decimator.keep("a", 10_500_000_000, 1.0));
        assert!(decimator.keep("a", 0, 1.0));
    }
}
