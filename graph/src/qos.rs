//! Quality of service, in ROS 2's words.

use std::fmt;

/// Whether a lost sample is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// Every sample arrives, or its loss is known.
    Reliable,
    /// A sample may be lost.
    BestEffort,
}

/// What a subscriber that joins late receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The last samples, up to the depth.
    TransientLocal,
    /// Only what is published from then on.
    Volatile,
}

/// How many samples wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// The newest `n`; older ones are dropped and counted.
    KeepLast(usize),
    /// All of them.
    KeepAll,
}

/// The quality of service of one end of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qos {
    /// Whether lost samples are sent again.
    pub reliability: Reliability,
    /// What late joiners receive.
    pub durability: Durability,
    /// How many samples wait.
    pub history: History,
}

impl Qos {
    /// Best effort, newest five: `rmw_qos_profile_sensor_data`.
    pub const fn sensor_data() -> Self {
        Self { reliability: Reliability::BestEffort, durability: Durability::Volatile, history: History::KeepLast(5) }
    }

    /// Reliable, newest `depth`.
    pub const fn reliable(depth: usize) -> Self {
        Self { reliability: Reliability::Reliable, durability: Durability::Volatile, history: History::KeepLast(depth) }
    }

    /// Reliable, transient local, newest one: state that a late joiner needs.
    pub const fn state() -> Self {
        Self { durability: Durability::TransientLocal, ..Self::reliable(1) }
    }

    /// Reliable, transient local, newest `depth`.
    pub const fn latched(depth: usize) -> Self {
        Self { durability: Durability::TransientLocal, ..Self::reliable(depth) }
    }

    /// Reliable, nothing is dropped.
    pub const fn keep_all() -> Self {
        Self { history: History::KeepAll, ..Self::reliable(1) }
    }

    /// The queue's bound; `usize::MAX` for keep-all.
    pub const fn depth(&self) -> usize {
        match self.history {
            // rmw_zenoh: a depth of zero means the default of 42.
            History::KeepLast(0) => 42,
            History::KeepLast(n) => n,
            History::KeepAll => usize::MAX,
        }
    }

    /// Why a publisher that offers `self` cannot serve a subscriber that requests `requested`, in one sentence.
    ///
    /// ROS 2 design, "Quality of Service policies": the offer must be at least as strong as the request.
    pub fn incompatibility(&self, requested: &Qos) -> Option<&'static str> {
        if self.reliability == Reliability::BestEffort && requested.reliability == Reliability::Reliable {
            return Some("the publisher offers best effort, the subscriber requests reliable");
        }
        if self.durability == Durability::Volatile && requested.durability == Durability::TransientLocal {
            return Some("the publisher offers volatile, the subscriber requests transient local");
        }
        None
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reliability = match self.reliability {
            Reliability::Reliable => "reliable",
            Reliability::BestEffort => "best effort",
        };
        let durability = match self.durability {
            Durability::TransientLocal => "transient local",
            Durability::Volatile => "volatile",
        };
        match self.history {
            History::KeepLast(_) => write!(f, "{reliability}, {durability}, keep last {}", self.depth()),
            History::KeepAll => write!(f, "{reliability}, {durability}, keep all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_weaker_than_the_request_is_explained() {
        assert!(Qos::sensor_data().incompatibility(&Qos::reliable(1)).is_some_and(|why| why.contains("reliable")));
        assert!(Qos::reliable(1).incompatibility(&Qos::state()).is_some_and(|why| why.contains("transient")));
        assert_eq!(Qos::state().incompatibility(&Qos::sensor_data()), None);
    }
}
