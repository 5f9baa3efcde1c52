//! Two definitions of one type: which field differs, as the other node's `get_type_description` tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgs::Message;
use msgs::description::{describe, differences};
use msgs::type_description_interfaces::srv::GetTypeDescriptionResponse;
use parking_lot::Mutex;

use crate::learn::ask;
use crate::remote::RemoteEndpoint;
use crate::shared::Shared;
use crate::transport::{NodeIdentity, RemoteClient, TransportError};

/// So many differing fields are named.
const NAMED: usize = 3;

/// So often is looked for the other node's service.
const TRIES: u32 = 40;

#[derive(Default)]
struct Asked {
    tries: u32,
    client: Option<Box<dyn RemoteClient>>,
    answer: Arc<Mutex<Option<String>>>,
}

/// What other nodes were asked for, by type and hash.
#[derive(Default)]
pub(crate) struct Definitions(BTreeMap<(String, String), Asked>);

impl Definitions {
    /// How the type of `other`, which has the name of ours and another hash, differs; `None` as long as that is not known. Asks for it.
    pub fn difference(&mut self, shared: &Shared, own: &NodeIdentity, other: &RemoteEndpoint) -> Option<String> {
        let asked = self.0.entry((other.type_name.clone(), other.type_hash.clone())).or_default();
        let known = asked.answer.lock().clone();
        if known.is_some() {
            asked.client = None;
            return known;
        }
        if asked.client.is_none() && asked.tries < TRIES {
            asked.tries += 1;
            let (answer, type_name) = (Arc::clone(&asked.answer), other.type_name.clone());
            let sink = Box::new(move |reply| *answer.lock() = Some(compare(&type_name, reply)));
            asked.client = ask(shared, own, &other.node, (&other.type_name, &other.type_hash), false, sink);
        }
        None
    }
}

fn compare(type_name: &str, reply: Result<Vec<u8>, TransportError>) -> String {
    let theirs = reply.map_err(|error| error.to_string()).and_then(|bytes| {
        let response = GetTypeDescriptionResponse::from_cdr(&bytes).map_err(|error| error.to_string())?;
        if response.successful { Ok(response.type_description) } else { Err(response.failure_reason) }
    });
    match (theirs, describe(type_name)) {
        (Err(why), _) => format!("its node does not tell its fields: {why}"),
        (Ok(_), None) => "this program does not know the type's fields".to_owned(),
        (Ok(theirs), Some(ours)) => {
            let found = differences(&ours, &theirs);
            let more = if found.len() > NAMED { format!(" and {} more", found.len() - NAMED) } else { String::new() };
            format!("{}{more}", found.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; "))
        }
    }
}
