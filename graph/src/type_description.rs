//! The service that tells what a node's types consist of, `~/get_type_description` (rcl: `rcl_node_type_description_service_init`).

use std::collections::BTreeSet;
use std::sync::Arc;

use msgs::type_description_interfaces::srv::{GetTypeDescription, GetTypeDescriptionRequest, GetTypeDescriptionResponse};
use msgs::{description, registry};
use parking_lot::Mutex;

use crate::error::SetupError;
use crate::node::{Node, Setup};

/// ROS names of the types of a node's ports.
#[derive(Clone, Default)]
pub(crate) struct TypesInUse(Arc<Mutex<BTreeSet<&'static str>>>);

impl TypesInUse {
    pub fn add(&self, name: &'static str) {
        self.0.lock().insert(name);
    }
}

/// Declares the service under `~/`.
pub(crate) fn declare<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    let types = setup.types.clone();
    setup.service::<GetTypeDescription>("~/get_type_description", move |_, _, request| Ok(answer(&types, &request)))
}

/// As rcl answers: a type is found by its hash, and only if the node uses it. The reasons begin with rcl's words.
fn answer(types: &TypesInUse, request: &GetTypeDescriptionRequest) -> GetTypeDescriptionResponse {
    let refuse = |failure_reason: String| GetTypeDescriptionResponse { failure_reason, ..Default::default() };
    let GetTypeDescriptionRequest { type_name, type_hash, include_type_sources } = request;
    if !description::is_hash(type_hash) {
        return refuse(format!("Failed to parse type hash: `{type_hash}` is not RIHS01_ and 64 hexadecimal digits"));
    }
    let types = types.0.lock();
    let Some(name) = types.iter().find(|name| registry::type_hash(name) == Some(type_hash.as_str())) else {
        let own = types.get(type_name.as_str()).and_then(|name| registry::type_hash(name));
        let hint = own.map_or_else(String::new, |hash| format!(": its {type_name} has the hash {hash}"));
        return refuse(format!("Type not currently in use by this node{hint}"));
    };
    let Some(type_description) = description::describe(name) else {
        return refuse(format!("Failed to populate TypeDescription to response: {name}"));
    };
    let type_sources = if *include_type_sources { description::sources(name) } else { Vec::new() };
    GetTypeDescriptionResponse { successful: true, type_description, type_sources, ..Default::default() }
}
