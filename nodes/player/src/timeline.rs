//! Where in a recording a player stands: the graph's clock mapped to the recording's, with rate, pauses and jumps.

/// The mapping. All times are ns: `now` on the graph's clock, positions on the recording's.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Timeline {
    rate: f64,
    paused: bool,
    /// At `now_ns` the player stood at `position_ns`.
    now_ns: i64,
    position_ns: i64,
}

impl Timeline {
    /// Stands at `position_ns` at `now_ns`. `now_ns` may lie ahead: until then the position is before it.
    #[must_use]
    pub fn new(now_ns: i64, position_ns: i64, rate: f64, paused: bool) -> Self {
        Self { rate, paused, now_ns, position_ns }
    }

    /// Where it stands.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn position_ns(&self, now_ns: i64) -> i64 {
        if self.paused {
            return self.position_ns;
        }
        let elapsed = now_ns.saturating_sub(self.now_ns);
        // A rate of one is exact; a day at another rate is exact to a hundredth of a microsecond.
        let moved = if self.rate == 1.0 { elapsed } else { (elapsed as f64 * self.rate).floor() as i64 };
        self.position_ns.saturating_add(moved)
    }

    /// Seconds of recording per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Another rate from now on; false if it is none (zero, negative, not finite).
    pub fn set_rate(&mut self, now_ns: i64, rate: f64) -> bool {
        if !(rate.is_finite() && rate > 0.0) {
            return false;
        }
        self.anchor(now_ns);
        self.rate = rate;
        true
    }

    /// Stands still, or goes on.
    pub fn set_paused(&mut self, now_ns: i64, paused: bool) {
        self.anchor(now_ns);
        self.paused = paused;
    }

    /// Stands elsewhere from now on.
    pub fn jump(&mut self, now_ns: i64, position_ns: i64) {
        (self.now_ns, self.position_ns) = (now_ns, position_ns);
    }

    fn anchor(&mut self, now_ns: i64) {
        let position_ns = self.position_ns(now_ns);
        self.jump(now_ns, position_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_pause_and_jump_keep_the_place() {
        let mut line = Timeline::new(1000, 50, 1.0, false);
        assert_eq!(line.position_ns(1600), 650);
        assert!(line.set_rate(1600, 2.0));
        assert_eq!(line.position_ns(1700), 850);
        line.set_paused(1700, true);
        assert_eq!(line.position_ns(9000), 850);
        assert!(line.set_rate(9000, 0.5));
        line.set_paused(10_000, false);
        assert_eq!(line.position_ns(10_100), 900);
        line.jump(10_100, 7);
        assert_eq!(line.position_ns(10_110), 12);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(!line.set_rate(0, rate));
        }
    }

    #[test]
    fn before_a_delayed_start_nothing_is_due() {
        let line = Timeline::new(500, 100, 1.0, false);
        assert!(line.position_ns(499) < 100);
        assert_eq!(line.position_ns(500), 100);
    }
}
