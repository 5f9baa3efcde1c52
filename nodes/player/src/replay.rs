//! Holding what nodes make anew against what was recorded.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};

use graph::snapshot::Blob;
use msgs::MessageType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the messages of one topic agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Byte for byte.
    pub equal: u64,
    /// But for measured times (see [`Comparison::new`]).
    pub masked: u64,
    /// Different.
    pub different: u64,
    /// Recorded at a moment at which none was made.
    pub missing: u64,
    /// Made at a moment at which none was recorded.
    pub extra: u64,
    digest: u64,
}

impl Agreement {
    /// A number that two replays have in common if and only if (but for chance) they made the same bytes in the same order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether everything that was recorded was made again, and nothing else.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.different == 0 && self.missing == 0 && self.extra == 0
    }
}

struct Topic {
    name: String,
    message_type: Option<&'static MessageType>,
    made: VecDeque<Vec<u8>>,
    agreement: Agreement,
}

/// A comparison as it stood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compared {
    topics: Vec<(String, Agreement, Vec<Blob>)>,
    first: Option<String>,
}

/// A comparison in progress.
pub struct Comparison {
    topics: BTreeMap<usize, Topic>,
    masked: Vec<String>,
    first: Option<String>,
}

impl Comparison {
    /// `masked` names fields that hold measured times: messages that differ in nothing else count as masked, not as different.
    #[must_use]
    pub fn new(masked: Vec<String>) -> Self {
        Self { topics: BTreeMap::new(), masked, first: None }
    }

    /// Compares a topic; `channel` is what it is called here.
    pub fn add(&mut self, channel: usize, name: &str, type_name: &str) {
        let topic = Topic {
            name: name.to_owned(),
            message_type: msgs::registry::find(type_name),
            made: VecDeque::new(),
            agreement: Agreement::default(),
        };
        self.topics.insert(channel, topic);
    }

    /// Whether a topic is compared.
    #[must_use]
    pub fn has(&self, channel: usize) -> bool {
        self.topics.contains_key(&channel)
    }

    /// A message was made on the topic of this name.
    pub fn made(&mut self, name: &str, bytes: Vec<u8>) {
        if let Some(topic) = self.topics.values_mut().find(|t| t.name == name) {
            // Chained, so that a comparison can go on from a digest.
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(topic.agreement.digest);
            hasher.write(&bytes);
            topic.agreement.digest = hasher.finish();
            topic.made.push_back(bytes);
        }
    }

    /// Holds a recorded message against the oldest one that was made; false if none was made yet.
    pub fn compare(&mut self, channel: usize, at_ns: u64, recorded: &[u8]) -> bool {
        let Some(topic) = self.topics.get_mut(&channel) else { return true };
        let Some(made) = topic.made.pop_front() else { return false };
        if made == recorded {
            topic.agreement.equal += 1;
            return true;
        }
        match topic.message_type.and_then(|t| difference(t, &made, recorded, &self.masked)) {
            None if topic.message_type.is_some() => topic.agreement.masked += 1,
            what => {
                topic.agreement.different += 1;
                let what = what.unwrap_or_else(|| "the bytes differ".to_owned());
                note(&mut self.first, &topic.name, at_ns, &what);
            }
        }
        true
    }

    /// The moment of a recorded message is over and none was made.
    pub fn missed(&mut self, channel: usize, at_ns: u64) {
        if let Some(topic) = self.topics.get_mut(&channel) {
            topic.agreement.missing += 1;
            note(&mut self.first, &topic.name, at_ns, "recorded, and not made anew");
        }
    }

    /// A moment is over: what was made in it and has no partner is one too many.
    pub fn end_moment(&mut self, at_ns: u64) {
        for topic in self.topics.values_mut() {
            if !topic.made.is_empty() {
                topic.agreement.extra += topic.made.len() as u64;
                topic.made.clear();
                note(&mut self.first, &topic.name, at_ns, "made, and not recorded");
            }
        }
    }

    /// How the topics agree.
    pub fn agreements(&self) -> impl Iterator<Item = (&str, &Agreement)> {
        self.topics.values().map(|t| (t.name.as_str(), &t.agreement))
    }

    /// What was compared so far, and what waits to be.
    #[must_use]
    pub fn freeze(&self) -> Compared {
        let topic = |topic: &Topic| {
            let made = topic.made.iter().map(|bytes| Blob(bytes.clone())).collect();
            (topic.name.clone(), topic.agreement.clone(), made)
        };
        Compared { topics: self.topics.values().map(topic).collect(), first: self.first.clone() }
    }

    /// Goes on from there; false if other topics were compared.
    pub fn thaw(&mut self, compared: Compared) -> bool {
        if !self.topics.values().map(|topic| &topic.name).eq(compared.topics.iter().map(|(name, ..)| name)) {
            return false;
        }
        for (topic, (_, agreement, made)) in self.topics.values_mut().zip(compared.topics) {
            topic.agreement = agreement;
            topic.made = made.into_iter().map(|bytes: Blob| bytes.0).collect();
        }
        self.first = compared.first;
        true
    }

    /// The first thing that does not agree.
    #[must_use]
    pub fn first_difference(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// The result as JSON.
    #[must_use]
    pub fn report(&self) -> Value {
        let topics: serde_json::Map<String, Value> = self
            .agreements()
            .map(|(name, a)| {
                let Agreement { equal, masked, different, missing, extra, digest } = a;
                let value = serde_json::json!({"equal": equal, "masked": masked, "different": different, "missing": missing,
                    "extra": extra, "digest": format!("{digest:016x}")});
                (name.to_owned(), value)
            })
            .collect();
        // What compared nothing holds nothing.
        let holds = !self.topics.is_empty() && self.agreements().all(|(_, a)| a.holds());
        serde_json::json!({"holds": holds, "first_difference": self.first, "masked_fields": self.masked, "topics": topics})
    }
}

fn note(first: &mut Option<String>, topic: &str, at_ns: u64, what: &str) {
    first.get_or_insert_with(|| format!("{topic} at {}.{:09} s: {what}", at_ns / 1_000_000_000, at_ns % 1_000_000_000));
}

/// The first field in which two messages differ, masked ones left out; `None` if there is none.
fn difference(message_type: &MessageType, made: &[u8], recorded: &[u8], masked: &[String]) -> Option<String> {
    let decode = |bytes| msgs::registry::decode_json(message_type, bytes);
    match (decode(made), decode(recorded)) {
        (Ok(made), Ok(recorded)) => first_of(&made, &recorded, masked, ""),
        (_, Err(error)) => Some(format!("the recorded one cannot be read: {error}")),
        (Err(error), _) => Some(format!("the new one cannot be read: {error}")),
    }
}

fn first_of(made: &Value, recorded: &Value, masked: &[String], path: &str) -> Option<String> {
    match (made, recorded) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a
            .iter()
            .filter(|(key, _)| !masked.contains(key))
            .find_map(|(key, value)| first_of(value, b.get(key)?, masked, &format!("{path}.{key}"))),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| first_of(a, b, masked, &format!("{path}[{i}]")))
        }
        (a, b) if a == b => None,
        (a, b) => {
            let short = |v: &Value| v.to_string().chars().take(60).collect::<String>();
            Some(format!("{} is {}, was {}", path.trim_start_matches('.'), short(a), short(b)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::Message;
    use msgs::omnimind_msgs::msg::{Provenance, VisionFeatures};

    fn features(edge_density: f32, inference_ms: f32) -> Vec<u8> {
        let provenance = Provenance { inference_ms, ..Provenance::default() };
        VisionFeatures { edge_density, provenance, ..VisionFeatures::default() }.to_cdr()
    }

    fn comparison() -> Comparison {
        let mut comparison = Comparison::new(vec!["inference_ms".into()]);
        comparison.add(4, "/f", "omnimind_msgs/msg/VisionFeatures");
        comparison
    }

    #[test]
    fn measured_times_are_told_from_real_differences() {
        let mut c = comparison();
        for (made, recorded) in [((1.0, 2.0), (1.0, 2.0)), ((1.0, 3.0), (1.0, 2.0)), ((9.0, 2.0), (1.0, 2.0))] {
            c.made("/f", features(made.0, made.1));
            assert!(c.compare(4, 1_500_000_000, &features(recorded.0, recorded.1)));
        }
        let a = c.agreements().next().unwrap().1.clone();
        assert_eq!((a.equal, a.masked, a.different), (1, 1, 1));
        let first = c.first_difference().unwrap();
        assert!(first.contains("/f at 1.500000000 s") && first.contains("edge_density is 9"), "{first}");
        assert_eq!(c.report()["holds"], false);
    }

    #[test]
    fn too_few_and_too_many_are_said() {
        let mut c = comparison();
        assert!(!c.compare(4, 0, &features(1.0, 0.0)), "none was made yet");
        c.missed(4, 0);
        c.made("/f", features(1.0, 0.0));
        c.end_moment(5);
        let a = c.agreements().next().unwrap().1;
        assert_eq!((a.missing, a.extra, a.holds()), (1, 1, false));
    }

    #[test]
    fn nothing_compared_is_nothing_held() {
        assert_eq!(Comparison::new(Vec::new()).report()["holds"], false);
    }

    #[test]
    fn the_digest_is_of_bytes_and_their_order() {
        let digest = |order: [f32; 2]| {
            let mut c = comparison();
            order.iter().for_each(|v| c.made("/f", features(*v, 0.0)));
            c.agreements().next().unwrap().1.digest()
        };
        assert_eq!(digest([1.0, 2.0]), digest([1.0, 2.0]));
        assert_ne!(digest([1.0, 2.0]), digest([2.0, 1.0]));
    }
}
