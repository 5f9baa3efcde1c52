//! The wall clock that is set while the graph runs: stamps before and after do not compare.

use std::time::{Duration, Instant};

use super::Finding;
use crate::diagnostics::Level;
use crate::time::Time;

/// A correction beyond this is a jump; NTP slews by less.
const JUMP_NS: i64 = 100_000_000;

/// For so long a jump is shown.
const SHOWN: Duration = Duration::from_secs(5);

/// Compares the wall clock with one that only goes forward.
#[derive(Default)]
pub(crate) struct WallClock {
    last: Option<(Time, Instant)>,
    jumped: Option<(Instant, i64)>,
}

impl WallClock {
    pub fn look(&mut self, wall: Time, steady: Instant) -> Option<Finding> {
        if let Some((wall_before, steady_before)) = self.last {
            let passed = i64::try_from(steady.saturating_duration_since(steady_before).as_nanos()).unwrap_or(i64::MAX);
            let jump = wall.as_nanos().saturating_sub(wall_before.as_nanos()).saturating_sub(passed);
            if jump.saturating_abs() > JUMP_NS {
                self.jumped = Some((steady, jump));
            }
        }
        self.last = Some((wall, steady));
        let (_, jump) = self.jumped.filter(|(at, _)| steady.saturating_duration_since(*at) < SHOWN)?;
        let (way, size) = (if jump < 0 { "back" } else { "forward" }, jump.unsigned_abs() as f64 * 1e-9);
        let message = format!(
            "the wall clock of this computer was set {way} by {size:.3} s: time stamps from before do not compare with those from now; \
             keep it in step (chrony) before the graph starts"
        );
        Some(Finding::new("graph", "wall clock", Level::Warn, message).with("jump_s", format!("{:.3}", jump as f64 * 1e-9)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_said_for_a_while_and_one_that_is_slewed_is_not() {
        let (mut clock, start) = (WallClock::default(), Instant::now());
        let quarter = Duration::from_millis(250);
        let at = |steps: u32, off_ms: i64| {
            (Time::from_nanos(i64::from(steps) * 250_000_000 + off_ms * 1_000_000), start + steps * quarter)
        };
        let mut look = |steps, off_ms| {
            let (wall, steady) = at(steps, off_ms);
            clock.look(wall, steady).map(|finding| finding.message)
        };
        assert_eq!(look(0, 0), None);
        assert_eq!(look(1, 50), None);
        assert!(look(2, 3050).is_some_and(|said| said.contains("set forward by 3.000 s")));
        assert!(look(3, 50).is_some_and(|said| said.contains("set back by 3.000 s")));
        assert!(look(22, 50).is_some());
        assert_eq!(look(23, 50), None);
    }
}
