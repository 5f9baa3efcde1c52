//! Inputs that fall silent or come late. A deadline says how often samples are to come (see `events.rs`); of sensor topics it is learned.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use msgs::description::describe;

use super::Finding;
use super::probe::header_stamp;
use crate::diagnostics::Level;
use crate::qos::{Durability, Reliability};
use crate::shared::Shared;
use crate::time::Time;
use crate::topic::{SubscriberCore, Topic};
use crate::transport::EndpointKind;

/// A rhythm is known once it has held for so long,
const LEARN: Duration = Duration::from_secs(3);
/// over so many samples,
const SAMPLES: u64 = 10;
/// which have to come within this.
const REMEMBERED: Duration = Duration::from_secs(12);

/// An input is silent after so many periods,
const PERIODS: f64 = 4.0;
/// and not before this: who looks four times a second cannot say sooner.
const SILENT: Duration = Duration::from_millis(700);

/// A header stamp older than this, when its sample comes, is late.
const LATE: Duration = Duration::from_secs(1);

/// A stamp that is further away belongs to another clock.
const ANOTHER_CLOCK: Duration = Duration::from_secs(24 * 3600);

/// How regularly samples come on one subscription.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Rhythm {
    /// When was looked, and how many had come, newest last.
    looks: VecDeque<(Time, u64)>,
    /// When the count was last seen to grow.
    grew: Option<Time>,
    /// Samples per second while they came regularly.
    rate: Option<f64>,
}

impl Rhythm {
    /// How long nothing has come and how often it came before, if that is a fault.
    fn look(&mut self, now: Time, count: u64) -> Option<(f64, f64)> {
        if self.looks.back().is_some_and(|(last, seen)| now < *last || count < *seen) {
            *self = Self::default();
        }
        if self.looks.back().is_some_and(|(_, seen)| count > *seen) {
            self.grew = Some(now);
        }
        self.looks.push_back((now, count));
        while self.looks.len() > 2 && self.looks[1].0 + REMEMBERED <= now {
            self.looks.pop_front();
        }
        if self.grew == Some(now) {
            // It may come, and not as it did: what it was has no meaning then, unless this is the end of a silence.
            match self.steady(now) {
                Some(rate) => self.rate = Some(rate),
                None if self.came_without_pause(now) => self.rate = None,
                None => {}
            }
        }
        let (silence, rate) = (now.seconds_since(self.grew?), self.rate?);
        (silence > SILENT.as_secs_f64().max(PERIODS / rate)).then_some((silence, rate))
    }

    /// The longest time between looks since `from` in which nothing came, s.
    fn gap(&self, from: usize) -> f64 {
        let (mut longest, mut since) = (0.0_f64, None);
        for ((before, had), (now, has)) in self.looks.iter().skip(from).zip(self.looks.iter().skip(from + 1)) {
            if has > had {
                since = None;
            } else {
                longest = longest.max(now.seconds_since(*since.get_or_insert(*before)));
            }
        }
        longest
    }

    fn came_without_pause(&self, now: Time) -> bool {
        let from = self.looks.iter().rposition(|(at, _)| *at + LEARN <= now);
        from.is_some_and(|from| self.gap(from) < SILENT.as_secs_f64())
    }

    /// Samples per second, if enough have come, without long pauses, and as many in the first half of the time as in the second, within a
    /// third.
    fn steady(&self, now: Time) -> Option<f64> {
        let last = self.looks.back()?;
        let from = self.looks.iter().rposition(|(at, count)| *at + LEARN <= now && count + SAMPLES <= last.1)?;
        let (first, middle) = (self.looks.get(from)?, self.looks.get((from + self.looks.len()) / 2)?);
        let rate = |from: &(Time, u64), to: &(Time, u64)| (to.1 - from.1) as f64 / to.0.seconds_since(from.0).max(1e-9);
        let (early, late, all) = (rate(first, middle), rate(middle, last), rate(first, last));
        let alike = early.min(late) >= 0.66 * early.max(late);
        (alike && self.gap(from) < (2.5 / all).max(0.3)).then_some(all)
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Input {
    rhythm: Rhythm,
    /// Whether its messages begin with a header.
    stamped: bool,
    /// Age of the last sample that was looked at, s; negative: it is from the future.
    age: Option<f64>,
}

/// All subscriptions to sensor topics, by node, topic and port.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Inputs(BTreeMap<(Arc<str>, Arc<str>, usize), Input>);

impl Inputs {
    /// A few times a second.
    pub fn look(&mut self, shared: &Shared) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut known = std::mem::take(&mut self.0);
        let topics: Vec<_> = shared.topics.read().values().cloned().collect();
        for topic in &topics {
            let subscribers = topic.ends.read().subscribers.clone();
            for subscriber in subscribers.iter().filter(|subscriber| is_sensor(topic, subscriber)) {
                let key = (Arc::clone(&subscriber.slot.name), Arc::clone(&topic.name), subscriber.port);
                let mut input = known.remove(&key).unwrap_or_else(|| Input {
                    rhythm: Rhythm::default(),
                    stamped: has_header(topic.message_type.name),
                    age: None,
                });
                let now = subscriber.slot.clock.now(shared);
                let count = subscriber.edges().iter().map(|edge| edge.stats.messages.load(Ordering::Relaxed)).sum();
                let stale = input.rhythm.look(now, count);
                found.extend(stale.map(|(silence, rate)| silent(shared, topic, subscriber, silence, rate)));
                if input.stamped
                    && let Some((message, at)) = subscriber.probe.take()
                {
                    input.age = header_stamp(&*message).map(|stamp| at.seconds_since(stamp));
                }
                if stale.is_none() {
                    found.extend(input.age.and_then(|age| late(topic, subscriber, age)));
                }
                self.0.insert(key, input);
            }
        }
        found
    }
}

/// What is meant to come all the time: nobody waits for a sensor's lost sample. What late joiners get may be old.
fn is_sensor(topic: &Topic, subscriber: &SubscriberCore) -> bool {
    let sensor = subscriber.qos.reliability == Reliability::BestEffort || topic.message_type.name.starts_with("sensor_msgs/");
    sensor && subscriber.qos.durability == Durability::Volatile
}

fn has_header(type_name: &str) -> bool {
    let description = describe(type_name);
    let first = description.as_ref().and_then(|description| description.type_description.fields.first());
    first.is_some_and(|field| field.type_.nested_type_name == "std_msgs/msg/Header")
}

fn silent(shared: &Shared, topic: &Topic, subscriber: &SubscriberCore, silence: f64, rate: f64) -> Finding {
    let mut who: Vec<Arc<str>> =
        shared.remote.lock().of(EndpointKind::Publisher, &topic.name).map(|end| Arc::clone(&end.node)).collect();
    who.extend(topic.ends.read().publishers.iter().map(|publisher| Arc::clone(&publisher.slot.name)));
    let cause = if who.is_empty() {
        "nobody publishes it any more: start its node again".to_owned()
    } else {
        format!("{} is still there: look at what it waits for", who.join(", "))
    };
    let message = format!("{}: nothing for {silence:.1} s, came at {rate:.1} Hz before; {cause}", topic.name);
    let finding = Finding::new(&subscriber.slot.name, &format!("input {}", topic.name), Level::Stale, message);
    finding.with("silent_s", format!("{silence:.2}")).with("rate_before_hz", format!("{rate:.2}"))
}

fn late(topic: &Topic, subscriber: &SubscriberCore, age: f64) -> Option<Finding> {
    if age.abs() <= LATE.as_secs_f64() {
        return None;
    }
    let message = if age.abs() > ANOTHER_CLOCK.as_secs_f64() {
        format!(
            "{}: stamped by another clock than that of {}, {age:.0} s away from its time; give both nodes the same use_sim_time",
            topic.name, subscriber.slot.name
        )
    } else if age > 0.0 {
        format!(
            "{}: samples are {age:.2} s old when they come, by their header; their source or the way is too slow, or the clocks of the \
             two computers differ",
            topic.name
        )
    } else {
        format!(
            "{}: samples come {:.2} s before the time in their header; the clocks of the two computers differ",
            topic.name, -age
        )
    };
    let finding = Finding::new(&subscriber.slot.name, &format!("input {}", topic.name), Level::Warn, message);
    Some(finding.with("age_s", format!("{age:.3}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every quarter second at a source that sends `rate(t)` samples a second; when silence was called, if ever.
    fn run(seconds: f64, rate: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let (mut rhythm, mut sum, mut called) = (Rhythm::default(), 0.0, Vec::new());
        for step in 1..=(seconds * 4.0) as i64 {
            let at = step as f64 * 0.25;
            sum += 0.25 * rate(at - 0.01);
            if let Some((_, rate)) = rhythm.look(Time::from_nanos(step * 250_000_000), sum as u64) {
                called.push((at, rate));
            }
        }
        called
    }

    #[test]
    fn silence_after_a_rhythm_is_called_within_a_second_and_ends_with_the_next_sample() {
        let called = run(20.0, |t| if (8.0..12.0).contains(&t) { 0.0 } else { 15.0 });
        let (first, rate) = called[0];
        assert!(first > 8.5 && first <= 9.0, "{called:?}");
        assert!((rate - 15.0).abs() < 1.0, "{called:?}");
        assert!(called.last().is_some_and(|(at, _)| *at <= 12.0), "{called:?}");
        assert!(called.len() >= 12);
    }

    #[test]
    fn a_slow_sensor_has_its_own_measure() {
        assert_eq!(run(60.0, |_| 1.0), []);
        let called = run(30.0, |t| if t > 20.0 { 0.0 } else { 2.0 });
        assert!(called[0].0 > 21.9 && called[0].0 < 23.0, "{called:?}");
    }

    #[test]
    fn bursts_and_topics_that_come_when_they_come_are_not_called_silent() {
        assert_eq!(run(60.0, |t| if t % 10.0 < 2.0 { 20.0 } else { 0.0 }), []);
        assert_eq!(run(60.0, |t| if (t as i64) % 7 == 0 { 4.0 } else { 0.0 }), []);
    }

    #[test]
    fn a_clock_that_goes_back_begins_anew() {
        let mut rhythm = Rhythm::default();
        for step in 1..40 {
            assert_eq!(rhythm.look(Time::from_nanos(step * 250_000_000), step as u64 * 4), None);
        }
        assert_eq!(rhythm.look(Time::from_nanos(0), 200), None);
        assert_eq!(rhythm.look(Time::from_nanos(5_000_000_000), 200), None);
    }

    #[test]
    fn headers_are_known() {
        assert!(has_header("sensor_msgs/msg/Image") && !has_header("std_msgs/msg/String") && !has_header("no/msg/Such"));
    }
}
