//! Quality of service, in ROS 2's words.

use std::fmt;
use std::time::Duration;

/// Whether a lost sample is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// Every sample arrives, or its loss is known.
    Reliable,
    /// A sample may be lost.
    BestEffort,
}

/// What a subscriber that joins late receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The last samples, up to the depth.
    TransientLocal,
    /// Only what is published from then on.
    Volatile,
}

/// How many samples wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum History {
    /// The newest `n`; older ones are dropped and counted.
    KeepLast(usize),
    /// All of them.
    KeepAll,
}

/// How a publisher shows that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Liveliness {
    /// By its process being there.
    Automatic,
    /// By publishing or by [`crate::Publisher::assert_liveliness`], at least once per lease.
    ManualByTopic,
}

/// A policy over which an offer and a request can fail to meet (rmw: `rmw_qos_policy_kind_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Whether lost samples are sent again.
    Reliability,
    /// What late joiners receive.
    Durability,
    /// How far apart samples may be.
    Deadline,
    /// How a publisher shows that it is alive.
    Liveliness,
    /// How long a publisher may go without showing it.
    LivelinessLease,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reliability => "reliability",
            Self::Durability => "durability",
            Self::Deadline => "deadline",
            Self::Liveliness => "liveliness",
            Self::LivelinessLease => "liveliness lease",
        })
    }
}

/// The quality of service of one end of a topic.
///
/// Durations of `None` are without end, as are those of zero: ROS 2 reads zero as "not given".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Qos {
    /// Whether lost samples are sent again.
    pub reliability: Reliability,
    /// What late joiners receive.
    pub durability: Durability,
    /// How many samples wait.
    pub history: History,
    /// The longest time between two samples.
    pub deadline: Option<Duration>,
    /// How long after its publication a sample may still be delivered.
    pub lifespan: Option<Duration>,
    /// How a publisher shows that it is alive.
    pub liveliness: Liveliness,
    /// How long a publisher may go without showing it.
    pub lease: Option<Duration>,
}

impl Default for Qos {
    /// `rmw_qos_profile_default`: reliable, newest ten.
    fn default() -> Self {
        Self::reliable(10)
    }
}

impl Qos {
    /// Best effort, newest five: `rmw_qos_profile_sensor_data`.
    pub const fn sensor_data() -> Self {
        Self { reliability: Reliability::BestEffort, ..Self::reliable(5) }
    }

    /// Best effort, newest one: `rclcpp::ClockQoS`.
    pub const fn clock() -> Self {
        Self { reliability: Reliability::BestEffort, ..Self::reliable(1) }
    }

    /// Reliable, newest ten: `rmw_qos_profile_services_default`.
    pub const fn services_default() -> Self {
        Self::reliable(10)
    }

    /// Reliable, newest thousand: `rmw_qos_profile_parameters`.
    pub const fn parameters() -> Self {
        Self::reliable(1000)
    }

    /// Reliable, newest thousand: `rmw_qos_profile_parameter_events`.
    pub const fn parameter_events() -> Self {
        Self::reliable(1000)
    }

    /// What rmw_zenoh takes for `rmw_qos_profile_system_default`: reliable, newest 42.
    pub const fn system_default() -> Self {
        Self::reliable(DEFAULT_DEPTH)
    }

    /// Reliable, transient local, newest thousand of the last ten seconds: `rcl_qos_profile_rosout_default`.
    pub const fn rosout() -> Self {
        Self::latched(1000).lifespan(Duration::from_secs(10))
    }

    /// Reliable, newest `depth`.
    pub const fn reliable(depth: usize) -> Self {
        Self {
            reliability: Reliability::Reliable,
            durability: Durability::Volatile,
            history: History::KeepLast(depth),
            deadline: None,
            lifespan: None,
            liveliness: Liveliness::Automatic,
            lease: None,
        }
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

    /// The strictest request that all of these offers meet, newest ten: `rmw_qos_profile_best_available` for a subscription
    /// (rmw_dds_common: `qos_profile_get_best_available_for_subscription`). [`crate::Setup::offered`] says what is offered. Of no offer
    /// it is the strictest request of all, as there.
    pub fn best_available_subscription(offers: &[Qos]) -> Self {
        let all = |holds: fn(&Qos) -> bool| offers.iter().all(holds);
        Self {
            reliability: if all(|q| q.reliability == Reliability::Reliable) {
                Reliability::Reliable
            } else {
                Reliability::BestEffort
            },
            durability: if all(|q| q.durability == Durability::TransientLocal) {
                Durability::TransientLocal
            } else {
                Durability::Volatile
            },
            liveliness: if all(|q| q.liveliness == Liveliness::ManualByTopic) {
                Liveliness::ManualByTopic
            } else {
                Liveliness::Automatic
            },
            // The largest, and none as soon as one offers none: rmw_dds_common takes the largest of those that offer one, which the
            // others do not meet.
            deadline: offers.iter().map(|q| q.finite_deadline()).reduce(larger).flatten(),
            lease: offers.iter().map(|q| q.finite_lease()).reduce(larger).flatten(),
            ..Self::reliable(10)
        }
    }

    /// The strictest offer that meets all of these requests: `rmw_qos_profile_best_available` for a publisher
    /// (rmw_dds_common: `qos_profile_get_best_available_for_publisher`). [`crate::Setup::requested`] says what is requested.
    pub fn best_available_publisher(requests: &[Qos]) -> Self {
        let manual = requests.iter().any(|q| q.liveliness == Liveliness::ManualByTopic);
        Self {
            liveliness: if manual { Liveliness::ManualByTopic } else { Liveliness::Automatic },
            deadline: requests.iter().filter_map(Qos::finite_deadline).min(),
            lease: requests.iter().filter_map(Qos::finite_lease).min(),
            ..Self::latched(10)
        }
    }

    /// With samples at most `period` apart.
    #[must_use]
    pub const fn deadline(self, period: Duration) -> Self {
        Self { deadline: Some(period), ..self }
    }

    /// With samples that are not delivered later than `age` after their publication.
    #[must_use]
    pub const fn lifespan(self, age: Duration) -> Self {
        Self { lifespan: Some(age), ..self }
    }

    /// With a publisher that says itself, at least once per `lease`, that it is alive.
    #[must_use]
    pub const fn manual_liveliness(self, lease: Duration) -> Self {
        Self { liveliness: Liveliness::ManualByTopic, lease: Some(lease), ..self }
    }

    /// With a publisher whose process says, at least once per `lease`, that it is alive.
    #[must_use]
    pub const fn lease(self, lease: Duration) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// The deadline, if it is one.
    pub fn finite_deadline(&self) -> Option<Duration> {
        finite(self.deadline)
    }

    /// The lifespan, if it is one.
    pub fn finite_lifespan(&self) -> Option<Duration> {
        finite(self.lifespan)
    }

    /// The lease, if it is one.
    pub fn finite_lease(&self) -> Option<Duration> {
        finite(self.lease)
    }

    /// The queue's bound; `usize::MAX` for keep-all.
    pub const fn depth(&self) -> usize {
        match self.history {
            // rmw_zenoh: a depth of zero means the default.
            History::KeepLast(0) => DEFAULT_DEPTH,
            History::KeepLast(n) => n,
            History::KeepAll => usize::MAX,
        }
    }

    /// How many samples are kept for late joiners: keep-all has a bound here all the same, a cache without one would be a leak.
    pub const fn cache_depth(&self) -> usize {
        match self.history {
            History::KeepLast(_) => self.depth(),
            History::KeepAll => 1000,
        }
    }

    /// The first policy over which a publisher that offers `self` cannot serve a subscriber that requests `requested`.
    ///
    /// ROS 2 design, "Quality of Service policies": the offer must be at least as strong as the request. History, depth and lifespan
    /// are each end's own affair.
    pub fn incompatible(&self, requested: &Qos) -> Option<Policy> {
        if self.reliability == Reliability::BestEffort && requested.reliability == Reliability::Reliable {
            return Some(Policy::Reliability);
        }
        if self.durability == Durability::Volatile && requested.durability == Durability::TransientLocal {
            return Some(Policy::Durability);
        }
        if longer(self.deadline, requested.deadline) {
            return Some(Policy::Deadline);
        }
        if self.liveliness == Liveliness::Automatic && requested.liveliness == Liveliness::ManualByTopic {
            return Some(Policy::Liveliness);
        }
        longer(self.lease, requested.lease).then_some(Policy::LivelinessLease)
    }

    /// As [`Qos::incompatible`], in words.
    pub fn incompatibility(&self, requested: &Qos) -> Option<String> {
        let policy = self.incompatible(requested)?;
        let (offer, request) = (self.says(policy), requested.says(policy));
        Some(format!("the publisher offers {offer}, the subscriber requests {request} ({policy})"))
    }

    fn says(&self, policy: Policy) -> String {
        let time = |what: &str, duration: Option<Duration>| match finite(duration) {
            Some(duration) => format!("a {what} of {duration:?}"),
            None => format!("no {what}"),
        };
        match policy {
            Policy::Reliability => reliability(self.reliability).to_owned(),
            Policy::Durability => durability(self.durability).to_owned(),
            Policy::Deadline => time("deadline", self.deadline),
            Policy::Liveliness => liveliness(self.liveliness).to_owned(),
            Policy::LivelinessLease => time("lease", self.lease),
        }
    }
}

/// rmw_zenoh: `RMW_ZENOH_DEFAULT_HISTORY_DEPTH`.
const DEFAULT_DEPTH: usize = 42;

fn finite(duration: Option<Duration>) -> Option<Duration> {
    duration.filter(|duration| !duration.is_zero())
}

/// Of two durations of which `None` is without end.
fn larger(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    Some(a?.max(b?))
}

/// Whether what is offered is longer than what is requested.
fn longer(offered: Option<Duration>, requested: Option<Duration>) -> bool {
    finite(requested).is_some_and(|requested| finite(offered).is_none_or(|offered| offered > requested))
}

fn reliability(policy: Reliability) -> &'static str {
    match policy {
        Reliability::Reliable => "reliable",
        Reliability::BestEffort => "best effort",
    }
}

fn durability(policy: Durability) -> &'static str {
    match policy {
        Durability::TransientLocal => "transient local",
        Durability::Volatile => "volatile",
    }
}

fn liveliness(policy: Liveliness) -> &'static str {
    match policy {
        Liveliness::Automatic => "automatic liveliness",
        Liveliness::ManualByTopic => "manual liveliness by topic",
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", reliability(self.reliability), durability(self.durability))?;
        match self.history {
            History::KeepLast(_) => write!(f, ", keep last {}", self.depth())?,
            History::KeepAll => f.write_str(", keep all")?,
        }
        if let Some(deadline) = self.finite_deadline() {
            write!(f, ", deadline {deadline:?}")?;
        }
        if let Some(lifespan) = self.finite_lifespan() {
            write!(f, ", lifespan {lifespan:?}")?;
        }
        if self.liveliness == Liveliness::ManualByTopic {
            write!(f, ", {}", liveliness(self.liveliness))?;
        }
        match self.finite_lease() {
            Some(lease) => write!(f, ", lease {lease:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_offer_weaker_than_the_request_is_explained() {
        assert!(Qos::sensor_data().incompatibility(&Qos::reliable(1)).is_some_and(|why| why.contains("reliable")));
        assert!(Qos::reliable(1).incompatibility(&Qos::state()).is_some_and(|why| why.contains("transient")));
        assert_eq!(Qos::state().incompatibility(&Qos::sensor_data()), None);
        let why = Qos::reliable(1).deadline(200 * MS).incompatibility(&Qos::reliable(1).deadline(100 * MS)).unwrap();
        assert_eq!(why, "the publisher offers a deadline of 200ms, the subscriber requests a deadline of 100ms (deadline)");
    }

    /// The table of the ROS 2 documentation, "Quality of Service settings", "QoS compatibilities".
    #[test]
    fn every_policy_matches_as_the_table_of_ros_2_says() {
        let base = Qos::reliable(1);
        let best_effort = Qos { reliability: Reliability::BestEffort, ..base };
        let transient = Qos { durability: Durability::TransientLocal, ..base };
        let (x, y) = (100 * MS, 200 * MS);
        let manual = Qos { liveliness: Liveliness::ManualByTopic, ..base };
        for (offer, request, policy) in [
            (best_effort, best_effort, None),
            (best_effort, base, Some(Policy::Reliability)),
            (base, best_effort, None),
            (base, base, None),
            (base, transient, Some(Policy::Durability)),
            (transient, base, None),
            (transient, transient, None),
            (base, base.deadline(x), Some(Policy::Deadline)),
            (base.deadline(x), base, None),
            (base.deadline(x), base.deadline(x), None),
            (base.deadline(x), base.deadline(y), None),
            (base.deadline(y), base.deadline(x), Some(Policy::Deadline)),
            (base, manual, Some(Policy::Liveliness)),
            (manual, base, None),
            (manual, manual, None),
            (base, base.lease(x), Some(Policy::LivelinessLease)),
            (base.lease(x), base, None),
            (base.lease(x), base.lease(x), None),
            (base.lease(x), base.lease(y), None),
            (base.lease(y), base.lease(x), Some(Policy::LivelinessLease)),
            (base.lifespan(x), base, None),
            (base, Qos::keep_all(), None),
            // Zero is "not given".
            (base, base.deadline(Duration::ZERO).lease(Duration::ZERO), None),
            (base.deadline(Duration::ZERO), base.deadline(x), Some(Policy::Deadline)),
        ] {
            assert_eq!(offer.incompatible(&request), policy, "{offer} to {request}");
        }
    }

    #[test]
    fn the_best_available_matches_everybody() {
        let ends = [
            Qos::sensor_data().deadline(10 * MS),
            Qos::reliable(3).deadline(30 * MS).lease(5 * MS),
            Qos::state().manual_liveliness(20 * MS).deadline(20 * MS),
            Qos::keep_all(),
        ];
        for count in 0..=ends.len() {
            let some = &ends[..count];
            let request = Qos::best_available_subscription(some);
            assert!(some.iter().all(|offer| offer.incompatible(&request).is_none()), "{request}");
            let offer = Qos::best_available_publisher(some);
            assert!(some.iter().all(|request| offer.incompatible(request).is_none()), "{offer}");
        }
        assert_eq!(Qos::best_available_subscription(&[Qos::state()]).durability, Durability::TransientLocal);
        assert_eq!(Qos::best_available_subscription(&ends[..2]).deadline, Some(30 * MS));
        assert_eq!(Qos::best_available_publisher(&ends).lease, Some(5 * MS));
    }

    #[test]
    fn the_words_name_what_is_not_the_default() {
        assert_eq!(Qos::reliable(0).to_string(), "reliable, volatile, keep last 42");
        assert_eq!(Qos::rosout().to_string(), "reliable, transient local, keep last 1000, lifespan 10s");
        let strict = Qos::keep_all().deadline(5 * MS).manual_liveliness(7 * MS).to_string();
        assert_eq!(strict, "reliable, volatile, keep all, deadline 5ms, manual liveliness by topic, lease 7ms");
    }
}
