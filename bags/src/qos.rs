//! Quality of service as rosbag2 writes it: in a channel's metadata, in `metadata.yaml`, and in override files.
//!
//! Version 9 (Jazzy, Kilted) writes names, earlier versions the numbers of `rmw/types.h`. Both are read, names are written.

use std::collections::BTreeMap;

use std::time::Duration;

pub use graph::Liveliness;
use graph::{Durability, History, Qos, Reliability};
use serde_yaml_ng::{Mapping, Value};

/// A duration as rosbag2 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Seconds.
    pub sec: u64,
    /// Nanoseconds.
    pub nsec: u64,
}

impl Span {
    /// `RMW_DURATION_INFINITE`: the policy is not used.
    pub const INFINITE: Self = Self { sec: 9_223_372_036, nsec: 854_775_807 };

    /// Whether it bounds nothing. Zero is rmw's "unspecified", which bounds nothing either.
    #[must_use]
    pub fn is_infinite(self) -> bool {
        self == Self::INFINITE || self == Self { sec: 0, nsec: 0 } || self.sec >= Self::INFINITE.sec
    }

    /// As a duration; `None` if it bounds nothing.
    #[must_use]
    pub fn finite(self) -> Option<Duration> {
        // Nanoseconds of a file may be more than a second.
        (!self.is_infinite()).then(|| Duration::from_secs(self.sec).saturating_add(Duration::from_nanos(self.nsec)))
    }
}

impl From<Option<Duration>> for Span {
    fn from(duration: Option<Duration>) -> Self {
        match duration {
            Some(d) if !d.is_zero() && d.as_secs() < Self::INFINITE.sec => {
                Self { sec: d.as_secs(), nsec: d.subsec_nanos().into() }
            }
            _ => Self::INFINITE,
        }
    }
}

/// One offered quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QosProfile {
    /// How many samples wait; `None` is keep-all.
    pub depth: Option<usize>,
    /// Whether lost samples are sent again.
    pub reliable: bool,
    /// Whether late joiners are served.
    pub transient_local: bool,
    /// Longest pause between samples.
    pub deadline: Span,
    /// How long a sample counts.
    pub lifespan: Span,
    /// How a publisher shows that it lives.
    pub liveliness: Liveliness,
    /// How long it may be silent.
    pub lease: Span,
}

/// What is wrong with a text about quality of service.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QosProfileError {
    /// It is no YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// It is YAML of another form.
    #[error("{0}")]
    Form(String),
    /// A policy has a value that rosbag2 does not know.
    #[error("`{policy}` cannot be `{value}`")]
    Value {
        /// The policy.
        policy: &'static str,
        /// Its value.
        value: String,
    },
}

impl Default for QosProfile {
    /// Reliable, volatile, keep last 10: `rclcpp::QoS(10)`.
    fn default() -> Self {
        Self {
            depth: Some(10),
            reliable: true,
            transient_local: false,
            deadline: Span::INFINITE,
            lifespan: Span::INFINITE,
            liveliness: Liveliness::Automatic,
            lease: Span::INFINITE,
        }
    }
}

impl From<&Qos> for QosProfile {
    fn from(qos: &Qos) -> Self {
        Self {
            depth: match qos.history {
                History::KeepLast(_) => Some(qos.depth()),
                History::KeepAll => None,
            },
            reliable: qos.reliability == Reliability::Reliable,
            transient_local: qos.durability == Durability::TransientLocal,
            deadline: qos.deadline.into(),
            lifespan: qos.lifespan.into(),
            liveliness: qos.liveliness,
            lease: qos.lease.into(),
        }
    }
}

impl QosProfile {
    /// As the graph says it.
    #[must_use]
    pub fn to_qos(&self) -> Qos {
        let mut qos = self.depth.map_or_else(Qos::keep_all, Qos::reliable);
        if !self.reliable {
            qos.reliability = Reliability::BestEffort;
        }
        if self.transient_local {
            qos.durability = Durability::TransientLocal;
        }
        qos.deadline = self.deadline.finite();
        qos.lifespan = self.lifespan.finite();
        qos.liveliness = self.liveliness;
        qos.lease = self.lease.finite();
        qos
    }

    /// What a subscription must request to hear every publisher of a topic, as rosbag2 adapts its request to the offers: reliable
    /// or transient local only if all are. `None` if there are no offers.
    #[must_use]
    pub fn request_for(offers: &[QosProfile]) -> Option<Self> {
        let first = offers.first()?;
        Some(Self {
            depth: offers.iter().map(|o| o.depth).reduce(|a, b| Some(a?.max(b?))).unwrap_or(first.depth),
            reliable: offers.iter().all(|o| o.reliable),
            transient_local: offers.iter().all(|o| o.transient_local),
            ..Self::default()
        })
    }

    /// What a player must offer to serve whom the recorded publishers served: the strongest of them.
    #[must_use]
    pub fn offer_of(recorded: &[QosProfile]) -> Self {
        let Some(first) = recorded.first() else { return Self::default() };
        if recorded.iter().all(|other| other == first) {
            return *first;
        }
        Self {
            depth: recorded.iter().map(|o| o.depth).reduce(|a, b| Some(a?.max(b?))).unwrap_or(first.depth),
            reliable: recorded.iter().any(|o| o.reliable),
            transient_local: recorded.iter().any(|o| o.transient_local),
            // All of them together are at least as frequent as the one that promised most.
            deadline: recorded.iter().filter_map(|o| o.deadline.finite()).min().into(),
            lease: recorded.iter().filter_map(|o| o.lease.finite()).min().into(),
            // Without end as soon as one is.
            lifespan: recorded.iter().map(|o| o.lifespan.finite()).reduce(|a, b| Some(a?.max(b?))).flatten().into(),
            liveliness: if recorded.iter().any(|o| o.liveliness == Liveliness::ManualByTopic) {
                Liveliness::ManualByTopic
            } else {
                Liveliness::Automatic
            },
        }
    }

    /// As a mapping of version 9.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let span = |s: Span| map([("sec", s.sec.into()), ("nsec", s.nsec.into())]);
        map([
            ("history", if self.depth.is_some() { "keep_last" } else { "keep_all" }.into()),
            ("depth", (self.depth.unwrap_or(0) as u64).into()),
            ("reliability", if self.reliable { "reliable" } else { "best_effort" }.into()),
            ("durability", if self.transient_local { "transient_local" } else { "volatile" }.into()),
            ("deadline", span(self.deadline)),
            ("lifespan", span(self.lifespan)),
            (
                "liveliness",
                match self.liveliness {
                    Liveliness::Automatic => "automatic",
                    Liveliness::ManualByTopic => "manual_by_topic",
                }
                .into(),
            ),
            ("liveliness_lease_duration", span(self.lease)),
            ("avoid_ros_namespace_conventions", false.into()),
        ])
    }

    /// Reads a mapping of any version; what is left out is as in [`QosProfile::default`].
    ///
    /// # Errors
    /// [`QosProfileError`], naming the policy.
    pub fn from_value(value: &Value) -> Result<Self, QosProfileError> {
        let Value::Mapping(map) = value else {
            return Err(QosProfileError::Form("a quality of service is a mapping of policies".into()));
        };
        let d = Self::default();
        // rmw/types.h: the numbers of the enums; 0 is "system default".
        let history = choice(map, "history", &[("system_default", 0), ("keep_last", 1), ("keep_all", 2), ("unknown", 3)])?;
        let reliability = choice(
            map,
            "reliability",
            &[("system_default", 0), ("reliable", 1), ("best_effort", 2), ("unknown", 3), ("best_available", 4)],
        )?;
        let durability = choice(
            map,
            "durability",
            &[("system_default", 0), ("transient_local", 1), ("volatile", 2), ("unknown", 3), ("best_available", 4)],
        )?;
        let liveliness = choice(
            map,
            "liveliness",
            &[
                ("system_default", 0),
                ("automatic", 1),
                ("manual_by_node", 2),
                ("manual_by_topic", 3),
                ("unknown", 4),
                ("best_available", 5),
            ],
        )?;
        let depth = match map.get("depth") {
            None => 10,
            Some(value) => value
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| QosProfileError::Value { policy: "depth", value: text(value) })?,
        };
        Ok(Self {
            depth: (history != 2).then_some(depth),
            reliable: reliability != 2,
            transient_local: durability == 1,
            deadline: span(map, "deadline")?.unwrap_or(d.deadline),
            lifespan: span(map, "lifespan")?.unwrap_or(d.lifespan),
            liveliness: if liveliness == 3 { Liveliness::ManualByTopic } else { Liveliness::Automatic },
            lease: span(map, "liveliness_lease_duration")?.unwrap_or(d.lease),
        })
    }
}

fn choice(map: &Mapping, policy: &'static str, known: &[(&str, u64)]) -> Result<u64, QosProfileError> {
    let Some(value) = map.get(policy) else { return Ok(0) };
    let found = match value {
        Value::String(name) => known.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, number)| *number),
        Value::Number(number) => number.as_u64().filter(|n| known.iter().any(|(_, k)| k == n)),
        _ => None,
    };
    found.ok_or_else(|| QosProfileError::Value { policy, value: text(value) })
}

fn span(map: &Mapping, policy: &'static str) -> Result<Option<Span>, QosProfileError> {
    let Some(value) = map.get(policy) else { return Ok(None) };
    let part = |name: &str| value.get(name).map_or(Some(0), Value::as_u64);
    match (value.is_mapping(), part("sec"), part("nsec")) {
        (true, Some(sec), Some(nsec)) => Ok(Some(Span { sec, nsec })),
        _ => Err(QosProfileError::Value { policy, value: text(value) }),
    }
}

fn text(value: &Value) -> String {
    serde_yaml_ng::to_string(value).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
}

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Mapping(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

/// Profiles as the text in a channel's metadata.
#[must_use]
pub fn to_text(profiles: &[QosProfile]) -> String {
    let list = Value::Sequence(profiles.iter().map(QosProfile::to_value).collect());
    // Mappings of plain values always have a text.
    serde_yaml_ng::to_string(&list).unwrap_or_default().trim_end().to_owned()
}

/// Profiles of a list, or of a text that holds one (before version 9).
///
/// # Errors
/// [`QosProfileError`].
pub fn from_value(value: &Value) -> Result<Vec<QosProfile>, QosProfileError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.trim().is_empty() => Ok(Vec::new()),
        Value::String(text) => from_text(text),
        Value::Sequence(list) => list.iter().map(QosProfile::from_value).collect(),
        _ => Err(QosProfileError::Form("offered_qos_profiles is a list".into())),
    }
}

/// Profiles of a channel's metadata.
///
/// # Errors
/// [`QosProfileError`].
pub fn from_text(text: &str) -> Result<Vec<QosProfile>, QosProfileError> {
    let value: Value = serde_yaml_ng::from_str(text).map_err(|e| QosProfileError::Yaml(e.to_string()))?;
    if value.is_string() {
        return Err(QosProfileError::Form("offered_qos_profiles is a list".into()));
    }
    from_value(&value)
}

/// An override file, as `--qos-profile-overrides-path` of `ros2 bag` reads it: a profile by topic.
///
/// # Errors
/// [`QosProfileError`]; an error in a topic's profile names the topic.
pub fn overrides(text: &str) -> Result<BTreeMap<String, QosProfile>, QosProfileError> {
    let value: Value = serde_yaml_ng::from_str(text).map_err(|e| QosProfileError::Yaml(e.to_string()))?;
    let topics = match value {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Mapping(topics) => topics,
        _ => return Err(QosProfileError::Form("an override file maps topics to profiles".into())),
    };
    let mut found = BTreeMap::new();
    for (topic, profile) in &topics {
        let Some(topic) = topic.as_str().filter(|t| t.starts_with('/')) else {
            return Err(QosProfileError::Form(format!("`{}` is no full topic name", self::text(topic))));
        };
        const POLICIES: [&str; 9] = [
            "history",
            "depth",
            "reliability",
            "durability",
            "deadline",
            "lifespan",
            "liveliness",
            "liveliness_lease_duration",
            "avoid_ros_namespace_conventions",
        ];
        if let Value::Mapping(map) = profile
            && let Some(odd) = map.keys().filter_map(Value::as_str).find(|key| !POLICIES.contains(key))
        {
            return Err(QosProfileError::Form(format!("{topic}: `{odd}` is no policy{}", graph::suggest::hint(odd, POLICIES))));
        }
        let profile = QosProfile::from_value(profile).map_err(|error| QosProfileError::Form(format!("{topic}: {error}")))?;
        found.insert(topic.to_owned(), profile);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_survive_the_round_trip_and_old_numbers_are_understood() {
        let sensor = QosProfile { depth: Some(5), reliable: false, ..QosProfile::default() };
        let latched = QosProfile { depth: None, transient_local: true, ..QosProfile::default() };
        assert_eq!(from_text(&to_text(&[sensor, latched])).unwrap(), [sensor, latched]);
        // As Iron's rosbag2 wrote it (version 8).
        let old = "- history: 1\n  depth: 5\n  reliability: 2\n  durability: 2\n  deadline:\n    sec: 9223372036\n    nsec: 854775807\n  \
                   lifespan:\n    sec: 9223372036\n    nsec: 854775807\n  liveliness: 1\n  liveliness_lease_duration:\n    \
                   sec: 9223372036\n    nsec: 854775807\n  avoid_ros_namespace_conventions: false";
        assert_eq!(from_text(old).unwrap(), [sensor]);
        assert_eq!(from_value(&Value::from("")).unwrap(), []);
        assert_eq!(sensor.to_qos(), Qos::sensor_data());
        assert_eq!(QosProfile::from(&Qos::sensor_data()), sensor);
    }

    #[test]
    fn every_policy_comes_back_from_a_bag() {
        let second = Duration::from_secs(1);
        let strict = Qos::latched(3).deadline(second / 4).lifespan(second * 10).manual_liveliness(second * 2);
        for qos in [strict, Qos::rosout(), Qos::keep_all(), Qos::sensor_data(), Qos::reliable(7).lease(second)] {
            let written = to_text(&[QosProfile::from(&qos)]);
            assert_eq!(from_text(&written).unwrap()[0].to_qos(), qos, "{written}");
        }
        // Zero is "not given"; nanoseconds of a file may be anything.
        assert_eq!(Span { sec: 0, nsec: 0 }.finite(), None);
        assert_eq!(Span { sec: 1, nsec: 1_500_000_000 }.finite(), Some(second * 5 / 2));
        assert!(Span { sec: u64::MAX - 1, nsec: u64::MAX }.finite().is_none());
        let other = QosProfile { lifespan: Span { sec: 20, nsec: 0 }, ..QosProfile::default() };
        let strongest = QosProfile::offer_of(&[QosProfile::from(&strict), other]).to_qos();
        assert_eq!((strongest.deadline, strongest.lifespan, strongest.lease), (strict.deadline, Some(second * 20), strict.lease));
        assert_eq!(strongest.liveliness, Liveliness::ManualByTopic);
    }

    #[test]
    fn what_is_no_profile_is_refused_by_name() {
        for (text, word) in [
            ("- {reliability: perhaps}", "reliability"),
            ("- {depth: -1}", "depth"),
            ("- {durability: 9}", "durability"),
            ("- {deadline: soon}", "deadline"),
            ("- 5", "mapping"),
            ("{a", "YAML"),
            ("hello", "list"),
        ] {
            let error = from_text(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn overrides_are_by_topic_and_partial() {
        let found = overrides("/scan: {reliability: best_effort, depth: 3}\n/map: {durability: transient_local}\n").unwrap();
        assert_eq!(found["/scan"].depth, Some(3));
        assert!(!found["/scan"].reliable && found["/map"].transient_local && found["/map"].reliable);
        assert_eq!(overrides("").unwrap().len(), 0);
        for (text, word) in
            [("scan: {}", "full topic"), ("/scan: {reliabilty: reliable}", "reliability"), ("[1]", "maps"), ("/a: 3", "/a")]
        {
            let error = overrides(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_request_suits_every_offer_and_a_replay_serves_every_listener() {
        let strong = QosProfile { transient_local: true, depth: Some(3), ..QosProfile::default() };
        let weak = QosProfile { reliable: false, depth: Some(7), ..QosProfile::default() };
        let request = QosProfile::request_for(&[strong, weak]).unwrap();
        assert!(!request.reliable && !request.transient_local && request.depth == Some(7));
        assert_eq!(QosProfile::request_for(&[]), None);
        let offer = QosProfile::offer_of(&[strong, weak]);
        assert!(offer.reliable && offer.transient_local);
        assert_eq!(QosProfile::offer_of(&[strong, strong]), strong);
    }
}
