//! Samples of types that this program was not built with, or was built with another version of: the publisher's node is asked what its
//! type consists of.

use std::collections::HashMap;
use std::time::Duration;

use msgs::definition::Definition;
use msgs::type_description_interfaces::srv::{GetTypeDescription, GetTypeDescriptionRequest, GetTypeDescriptionResponse};
use msgs::{Message, Service, description, json, registry};
use serde_json::Value;
use wire::{Client, RawSample};

use crate::remote::{Remote, RemoteError};

/// What stands in a key where a system without type hashes has none.
const NO_TYPE_HASH: &str = wire::NO_TYPE_HASH;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a node told of a type.
pub struct Told {
    /// The type.
    pub definition: Definition,
    /// Its definition as bags have it, with the publisher's own comments and constants if it sent its files; `None` if it cannot be said in
    /// the message language.
    pub text: Option<String>,
}

/// The service by which a node tells of its types.
#[must_use]
pub fn service_of(node: &str) -> String {
    format!("{}/get_type_description", node.trim_end_matches('/'))
}

/// Asks a node what a type consists of. A publisher of a system without type hashes is taken at its word.
///
/// # Errors
/// Why it is not known now, in words: no answer, a refusal, or a description of another type.
pub fn ask(client: &Client, node: &str, type_name: &str, type_hash: &str, patience: Duration) -> Result<Told, String> {
    let request = GetTypeDescriptionRequest {
        type_name: type_name.to_owned(),
        type_hash: type_hash.to_owned(),
        include_type_sources: true,
    };
    let answer = client.call(&service_of(node), GetTypeDescription::service_type(), request.to_cdr(), patience);
    let answer = answer.map_err(|error| format!("{node}: {error}"))?;
    told(type_name, type_hash, &answer).map_err(|why| format!("{node}: {why}"))
}

/// What an answer says of a type.
fn told(type_name: &str, type_hash: &str, answer: &[u8]) -> Result<Told, String> {
    let answer = GetTypeDescriptionResponse::from_cdr(answer).map_err(|error| format!("its answer: {error}"))?;
    let (definition, text) = Definition::from_answer(type_name, type_hash, &answer)?;
    Ok(Told { definition, text })
}

/// How a type that somebody describes differs from the one of that name here, in a sentence for each difference.
#[must_use]
pub fn differences(theirs: &Definition) -> Vec<String> {
    let ours = description::describe(theirs.name());
    ours.map_or_else(Vec::new, |ours| description::differences(&ours, &theirs.description()))
}

/// Reads samples of any type that somebody can describe.
pub struct Reader<'r> {
    remote: &'r Remote,
    /// By type name and hash; `None` if nobody could tell.
    known: HashMap<(String, String), Option<Definition>>,
}

impl<'r> Reader<'r> {
    /// A reader that asks the nodes of a graph.
    pub fn new(remote: &'r Remote) -> Self {
        Self { remote, known: HashMap::new() }
    }

    /// A sample as YAML-like text, long lists cut after `max_elements`.
    ///
    /// # Errors
    /// [`RemoteError::Type`] if nobody knows its type, [`RemoteError::Decode`].
    pub fn text(&mut self, topic: &str, sample: &RawSample, max_elements: usize) -> Result<String, RemoteError> {
        match self.definition(topic, sample)? {
            None => Remote::text(sample, max_elements),
            Some(definition) => {
                json::to_text(definition.layout(), &sample.payload, max_elements).map_err(|e| unreadable(sample, e))
            }
        }
    }

    /// A sample as JSON.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn json(&mut self, topic: &str, sample: &RawSample) -> Result<Value, RemoteError> {
        match self.definition(topic, sample)? {
            None => Remote::json(sample),
            Some(definition) => definition.decode_json(&sample.payload).map_err(|e| unreadable(sample, e)),
        }
    }

    /// The sample's type, unless it is one that this program was built with.
    fn definition(&mut self, topic: &str, sample: &RawSample) -> Result<Option<&Definition>, RemoteError> {
        let own = registry::type_hash(&sample.type_name);
        if own.is_some_and(|own| own == sample.type_hash || sample.type_hash == NO_TYPE_HASH) {
            return Ok(None);
        }
        let key = (sample.type_name.clone(), sample.type_hash.clone());
        if !self.known.contains_key(&key) {
            let found = self.ask(topic, sample)?;
            match (&found, description::describe(&sample.type_name)) {
                (Some(theirs), _) => {
                    for difference in differences(theirs) {
                        eprintln!("another version of the type is published: {difference}");
                    }
                }
                (None, Some(_)) => eprintln!("another version of {} is published, and nobody describes it", sample.type_name),
                _ => {}
            }
            self.known.insert(key.clone(), found);
        }
        match self.known.get(&key).and_then(Option::as_ref) {
            None => Err(RemoteError::Type(sample.type_name.clone())),
            some => Ok(some),
        }
    }

    /// Asks every node that publishes the topic.
    fn ask(&self, topic: &str, sample: &RawSample) -> Result<Option<Definition>, RemoteError> {
        let topics = self.remote.view()?.topics();
        let sources = topics.into_iter().filter(|info| info.name == topic).flat_map(|info| info.sources);
        for source in sources.filter(|source| source.type_hash == sample.type_hash) {
            match ask(self.remote.client(), &source.node, &sample.type_name, &sample.type_hash, PATIENCE) {
                Ok(told) => return Ok(Some(told.definition)),
                Err(why) => eprintln!("{why}"),
            }
        }
        Ok(None)
    }
}

fn unreadable(sample: &RawSample, source: msgs::cdr::Error) -> RemoteError {
    RemoteError::Decode { what: sample.type_name.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_tells_is_taken_only_if_it_is_what_was_asked_for() {
        let spot = Definition::parse("demo/msg/Spot", "float64 x\n").unwrap();
        let answer = |change: &dyn Fn(&mut GetTypeDescriptionResponse)| {
            let type_description = spot.description();
            let mut answer = GetTypeDescriptionResponse { successful: true, type_description, ..Default::default() };
            change(&mut answer);
            answer.to_cdr()
        };
        let (hash, other) = (spot.hash(), Definition::parse("demo/msg/Spot", "float32 x\n").unwrap().hash());
        let right = told("demo/msg/Spot", &hash, &answer(&|_| {})).unwrap();
        assert_eq!((right.definition.hash(), right.text.as_deref()), (hash.clone(), Some("float64 x\n")));
        assert!(told("demo/msg/Spot", NO_TYPE_HASH, &answer(&|_| {})).is_ok());
        let refused = |name: &str, hash: &str, answer: &[u8]| told(name, hash, answer).err().unwrap();
        assert!(refused("demo/msg/Spot", &other, &answer(&|_| {})).contains("another hash"));
        assert!(refused("demo/msg/Dot", &hash, &answer(&|_| {})).contains("where demo/msg/Dot was asked for"));
        let mute = |answer: &mut GetTypeDescriptionResponse| (answer.successful, answer.failure_reason) = (false, "no".into());
        assert_eq!(refused("demo/msg/Spot", &hash, &answer(&mute)), "no");
        let odd =
            |answer: &mut GetTypeDescriptionResponse| answer.type_description.type_description.fields[0].type_.type_id = 200;
        assert!(refused("demo/msg/Spot", &hash, &answer(&odd)).contains("its description of demo/msg/Spot"));
        assert!(refused("demo/msg/Spot", &hash, &[0, 1, 0]).contains("its answer"));
    }
}
