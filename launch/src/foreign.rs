//! Samples of types that this program was not built with, or was built with another version of: the publisher's node is asked what its
//! type consists of.

use std::collections::HashMap;

use msgs::definition::Definition;
use msgs::description;
use msgs::type_description_interfaces::srv::{GetTypeDescription, GetTypeDescriptionRequest};
use msgs::{json, registry};
use serde_json::Value;
use wire::RawSample;

use crate::remote::{Remote, RemoteError};

/// What stands in a key where a system without type hashes has none.
const NO_TYPE_HASH: &str = wire::NO_TYPE_HASH;

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
                (Some(theirs), Some(ours)) => {
                    for difference in description::differences(&ours, &theirs.description()) {
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
            let request = GetTypeDescriptionRequest {
                type_name: sample.type_name.clone(),
                type_hash: sample.type_hash.clone(),
                include_type_sources: false,
            };
            let service = format!("{}/get_type_description", source.node.trim_end_matches('/'));
            match self.remote.call::<GetTypeDescription>(&service, &request) {
                Ok(answer) if answer.successful => match Definition::from_description(&answer.type_description) {
                    Ok(definition) if definition.hash() == sample.type_hash => return Ok(Some(definition)),
                    Ok(_) => eprintln!("{}: its description of {} has another hash", source.node, sample.type_name),
                    Err(error) => eprintln!("{}: its description of {}: {error}", source.node, sample.type_name),
                },
                Ok(answer) => eprintln!("{}: {}", source.node, answer.failure_reason),
                Err(error) => eprintln!("{}: {error}", source.node),
            }
        }
        Ok(None)
    }
}

fn unreadable(sample: &RawSample, source: msgs::cdr::Error) -> RemoteError {
    RemoteError::Decode { what: sample.type_name.clone(), source }
}
