//! The search for topics to record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use bags::QosProfile;
use wire::{Client, EndpointInfo, NameInfo, RawSubscription};

use super::choice::Choice;
use super::record::{Inbox, Topic, Waiting, wall_ns};
use super::types::Types;

/// What is listened to.
pub(super) struct Ears {
    pub choice: Choice,
    pub overrides: BTreeMap<String, QosProfile>,
    pub types: Arc<Types>,
    /// Bytes that may wait for the disk.
    pub most_bytes: usize,
    pub open: BTreeMap<String, Ear>,
}

/// A topic that is recorded, whatever comes on it.
pub(super) struct Ear {
    subscription: RawSubscription,
    /// Names and hashes of the types that its publishers stated so far.
    carried: Vec<(String, String)>,
}

impl Ears {
    /// Looks for topics at once and then in each period, if there is one, until the inbox is stopped; then lets go of the subscriptions.
    /// How many samples came with an attachment that cannot be read.
    pub fn keep_looking(mut self, client: &Client, inbox: &Arc<Inbox>, period: Option<Duration>) -> Result<u64> {
        self.look(client, inbox)?;
        while !inbox.stop.load(Ordering::Relaxed) {
            match period {
                Some(period) => {
                    std::thread::park_timeout(period);
                    self.look(client, inbox)?;
                }
                None => std::thread::park(),
            }
        }
        Ok(self.open.values().map(|ear| ear.subscription.malformed()).max().unwrap_or(0))
    }

    /// Looks for topics that are new, and for types that are new on a topic.
    fn look(&mut self, client: &Client, inbox: &Arc<Inbox>) -> Result<()> {
        for topic in client.graph()?.topics() {
            let Some(source) = topic.sources.first() else { continue };
            if let Some(ear) = self.open.get_mut(&topic.name) {
                for text in news(&topic, &mut ear.carried) {
                    eprintln!("{text}");
                }
            } else if self.choice.takes(&topic.name, &source.type_name) {
                let ear = self.open_ear(client, inbox, &topic, source)?;
                self.open.insert(topic.name.clone(), ear);
            } else {
                continue;
            }
            // So that they are known when their first messages come.
            for source in &topic.sources {
                self.types.schema(&source.type_name, &source.type_hash);
            }
        }
        Ok(())
    }

    fn open_ear(&self, client: &Client, inbox: &Arc<Inbox>, topic: &NameInfo, source: &EndpointInfo) -> Result<Ear> {
        let mut carried = vec![(source.type_name.clone(), source.type_hash.clone())];
        let texts = news(topic, &mut carried);
        let offers: Vec<QosProfile> = topic.sources.iter().map(|source| QosProfile::from(&source.qos)).collect();
        let request = self.overrides.get(&topic.name).copied().or_else(|| QosProfile::request_for(&offers)).unwrap_or_default();
        let mut distinct = offers;
        distinct.dedup();
        let about = Arc::new(Topic { name: topic.name.clone(), qos: distinct });
        let (inbox, most_bytes) = (Arc::clone(inbox), self.most_bytes);
        let subscription = client.subscribe(&topic.name, request.to_qos(), move |sample| {
            inbox.push(Waiting { topic: Arc::clone(&about), sample, received_ns: wall_ns() }, most_bytes);
        })?;
        eprintln!("recording {} [{}]", topic.name, source.type_name);
        for text in texts {
            eprintln!("{text}");
        }
        Ok(Ear { subscription, carried })
    }
}

/// What publishers of a topic state and did not before, in a sentence each; it is added to what is known of the topic.
fn news(topic: &NameInfo, carried: &mut Vec<(String, String)>) -> Vec<String> {
    let mut texts = Vec::new();
    for source in &topic.sources {
        let (name, hash) = (&source.type_name, &source.type_hash);
        if carried.iter().any(|(n, h)| n == name && h == hash) {
            continue;
        }
        let what = match carried.iter().find(|(n, _)| n == name) {
            Some((_, before)) => format!("another version of {name} than before ({hash} after {before})"),
            None => {
                let before: Vec<&str> = carried.iter().map(|(n, _)| n.as_str()).collect();
                format!("more than one type: {name} besides {}", before.join(", "))
            }
        };
        texts.push(format!("{} carries {what}; each is recorded as what it is", topic.name));
        carried.push((name.clone(), hash.clone()));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::GraphView;

    #[test]
    fn a_type_that_changes_on_a_topic_is_said_once() {
        let token = |id: u32, kind: &str| format!("@ros2_lv/0/abc/1/{id}/MP/%/%/talker/%a/{kind}/::,10:,:,:,,");
        let topic = |kinds: &[&str]| {
            let tokens: Vec<String> = (2..).zip(kinds).map(|(id, kind)| token(id, kind)).collect();
            GraphView::from_tokens(tokens.iter().map(String::as_str)).topics().remove(0)
        };
        let (one, two, other) =
            ("demo::msg::dds_::Spot_/RIHS01_1", "demo::msg::dds_::Spot_/RIHS01_2", "demo::msg::dds_::Dot_/RIHS01_3");
        let mut carried = vec![("demo/msg/Spot".to_owned(), "RIHS01_1".to_owned())];
        assert!(news(&topic(&[one, one]), &mut carried).is_empty());
        let texts = news(&topic(&[one, two]), &mut carried);
        assert!(
            matches!(&texts[..], [text] if text.contains("another version of demo/msg/Spot") && text.contains("RIHS01_2")),
            "{texts:?}"
        );
        let texts = news(&topic(&[other, two]), &mut carried);
        assert!(matches!(&texts[..], [text] if text.contains("demo/msg/Dot besides demo/msg/Spot")), "{texts:?}");
        assert!(news(&topic(&[one, two, other]), &mut carried).is_empty());
    }
}
