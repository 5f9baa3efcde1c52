//! Graph time: nanoseconds on the clock that the graph runs on, wall or simulated.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use msgs::builtin_interfaces::msg::{Duration as DurationMsg, Time as TimeMsg};

/// An instant on the graph's clock, in nanoseconds.
///
/// With the wall clock it counts from the Unix epoch, in simulation from the start of the simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Time(i64);

impl Time {
    /// The clock's origin.
    pub const ZERO: Time = Time(0);

    /// An instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// An instant `secs` seconds after the origin.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs * 1e9).round() as i64)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the origin.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// Signed seconds from `earlier` to `self`.
    pub fn seconds_since(self, earlier: Time) -> f64 {
        (i128::from(self.0) - i128::from(earlier.0)) as f64 * 1e-9
    }

    /// The time as ROS 2 writes it; beyond what that can hold (1901 to 2038), its nearest end.
    pub fn to_msg(self) -> TimeMsg {
        match i32::try_from(self.0.div_euclid(1_000_000_000)) {
            Ok(sec) => TimeMsg { sec, nanosec: self.0.rem_euclid(1_000_000_000) as u32 },
            Err(_) if self.0 > 0 => TimeMsg { sec: i32::MAX, nanosec: 999_999_999 },
            Err(_) => TimeMsg { sec: i32::MIN, nanosec: 0 },
        }
    }

    /// The time that ROS 2 wrote.
    pub fn from_msg(msg: &TimeMsg) -> Self {
        Self(i64::from(msg.sec) * 1_000_000_000 + i64::from(msg.nanosec))
    }

    /// The present wall time.
    pub fn wall() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(since.as_nanos() as i64)
    }
}

/// As many as an instant can hold: 292 years.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(nanos(rhs)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, rhs: Duration) -> Time {
        Time(self.0.saturating_sub(nanos(rhs)))
    }
}

/// A length of time as ROS 2 writes it.
pub fn duration_to_msg(duration: Duration) -> DurationMsg {
    DurationMsg { sec: i32::try_from(duration.as_secs()).unwrap_or(i32::MAX), nanosec: duration.subsec_nanos() }
}

/// The length of time that ROS 2 wrote; negative lengths become zero.
pub fn duration_from_msg(msg: &DurationMsg) -> Duration {
    let nanos = i64::from(msg.sec) * 1_000_000_000 + i64::from(msg.nanosec);
    Duration::from_nanos(nanos.max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_beyond_the_clock_saturates() {
        assert_eq!(Time::ZERO + Duration::MAX, Time::from_nanos(i64::MAX));
        assert!(Time::ZERO - Duration::MAX < Time::from_nanos(-i64::MAX + 1));
        assert_eq!(duration_to_msg(Duration::MAX).sec, i32::MAX);
    }

    #[test]
    fn times_at_the_ends_of_the_range_harm_nothing() {
        let (first, last) = (Time::from_nanos(i64::MIN), Time::from_nanos(i64::MAX));
        assert_eq!((last.to_msg().sec, last.to_msg().nanosec), (i32::MAX, 999_999_999));
        assert_eq!((first.to_msg().sec, first.to_msg().nanosec), (i32::MIN, 0));
        assert!((last.seconds_since(first) - 18_446_744_073.709_553).abs() < 1e-3);
        assert_eq!(Time::from_secs_f64(f64::INFINITY), last);
        assert_eq!(Time::from_secs_f64(f64::NAN), Time::ZERO);
        assert_eq!(Time::from_msg(&TimeMsg { sec: i32::MAX, nanosec: u32::MAX }).as_nanos(), 2_147_483_651_294_967_295);
    }

    #[test]
    fn messages_round_trip_also_before_the_origin() {
        for nanos in [0, 1, 999_999_999, 1_000_000_000, -1, -1_500_000_000, 1_700_000_000_123_456_789] {
            let time = Time::from_nanos(nanos);
            assert_eq!(Time::from_msg(&time.to_msg()), time);
        }
    }
}
