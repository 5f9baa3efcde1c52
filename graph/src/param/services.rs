//! The parameter services and events that every ROS 2 node has: get, set, set atomically, list, describe, types, /parameter_events.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use msgs::rcl_interfaces::msg as rcl;
use msgs::rcl_interfaces::srv;
use parking_lot::Mutex;

use super::store::{Changed, Declaration, ParamStore};
use super::value::ParamValue;
use crate::Qos;
use crate::context::Context;
use crate::error::{HandlerResult, SetupError};
use crate::node::{Node, Setup};

/// A node's handler for parameters that were changed.
pub(crate) type Listener<N> = Box<dyn FnMut(&mut N, &mut Context, &[(String, ParamValue)]) -> HandlerResult + Send>;

/// Ends the declaration of parameters: takes what is left of the launch file's values, asks the node's checks, and declares the services under `~/`.
pub(crate) fn declare<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    let store = Arc::clone(&setup.params);
    for (name, value) in std::mem::take(&mut setup.overrides) {
        if !store.open.load(Ordering::Relaxed) {
            let hint = crate::suggest::hint(&name, store.names().iter().map(String::as_str));
            return Err(SetupError::UnknownParameter { node: setup.node_name().to_owned(), name, hint });
        }
        let declaration = Declaration::new(ParamValue::NotSet, true);
        declaration.cell.give(value);
        store.declare(name, declaration);
    }
    store.check_all().map_err(|reason| setup.failed(format!("parameters: {reason}")))?;
    *store.events.write() = Some(setup.publisher("/parameter_events", Qos::parameter_events())?);
    declare_readers(setup, &store)?;
    declare_writers(setup, store)
}

fn declare_readers<N: Node>(setup: &mut Setup<N>, params: &Arc<ParamStore>) -> Result<(), SetupError> {
    // rcl_interfaces: answers have the length and order of the names; rclcpp answers with nothing if one name is unknown.
    let store = Arc::clone(params);
    setup.service_with_qos::<srv::GetParameters>("~/get_parameters", Qos::parameters(), move |_, _, request| {
        let values = request.names.iter().map(|name| store.get(name).unwrap_or_default().to_msg()).collect();
        Ok(srv::GetParametersResponse { values })
    })?;
    let store = Arc::clone(params);
    setup.service_with_qos::<srv::GetParameterTypes>("~/get_parameter_types", Qos::parameters(), move |_, _, request| {
        let types = request.names.iter().map(|name| store.get(name).unwrap_or_default().type_code()).collect();
        Ok(srv::GetParameterTypesResponse { types })
    })?;
    let store = Arc::clone(params);
    setup.service_with_qos::<srv::DescribeParameters>("~/describe_parameters", Qos::parameters(), move |_, _, request| {
        let unknown = |name: &String| rcl::ParameterDescriptor { name: name.clone(), ..Default::default() };
        let descriptors = request.names.iter().map(|name| store.describe(name).unwrap_or_else(|| unknown(name))).collect();
        Ok(srv::DescribeParametersResponse { descriptors })
    })?;
    let store = Arc::clone(params);
    setup.service_with_qos::<srv::ListParameters>("~/list_parameters", Qos::parameters(), move |_, _, request| {
        Ok(srv::ListParametersResponse { result: store.list(&request.prefixes, request.depth) })
    })
}

fn declare_writers<N: Node>(setup: &mut Setup<N>, params: Arc<ParamStore>) -> Result<(), SetupError> {
    let listeners = Arc::new(Mutex::new(std::mem::take(&mut setup.param_listeners)));
    let (store, told) = (Arc::clone(&params), Arc::clone(&listeners));
    setup.service_with_qos::<srv::SetParameters>("~/set_parameters", Qos::parameters(), move |node, ctx, request| {
        let set = |parameter| set(&store, &mut told.lock(), node, ctx, std::slice::from_ref(parameter));
        Ok(srv::SetParametersResponse { results: request.parameters.iter().map(set).collect() })
    })?;
    setup.service_with_qos::<srv::SetParametersAtomically>(
        "~/set_parameters_atomically",
        Qos::parameters(),
        move |node, ctx, request| {
            let result = set(&params, &mut listeners.lock(), node, ctx, &request.parameters);
            Ok(srv::SetParametersAtomicallyResponse { result })
        },
    )
}

fn set<N: Node>(
    store: &ParamStore,
    listeners: &mut [Listener<N>],
    node: &mut N,
    ctx: &mut Context,
    parameters: &[rcl::Parameter],
) -> rcl::SetParametersResult {
    let mut changes = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        match ParamValue::from_msg(&parameter.value) {
            Some(value) => changes.push((parameter.name.clone(), value)),
            None => {
                let reason = format!("parameter `{}`: there is no type {}", parameter.name, parameter.value.type_);
                return rcl::SetParametersResult { successful: false, reason };
            }
        }
    }
    match store.set(&changes) {
        Ok(changed) => {
            // The values as they were taken, not as they were sent.
            let gone = changed.deleted.iter().map(|(name, _)| (name.clone(), ParamValue::NotSet));
            let all: Vec<_> = changed.new.iter().chain(&changed.changed).cloned().chain(gone).collect();
            tell(store, ctx, changed);
            for listener in listeners {
                if let Err(error) = listener(node, ctx, &all) {
                    ctx.status(crate::Level::Error, "parameters", error.to_string());
                }
            }
            rcl::SetParametersResult { successful: true, reason: String::new() }
        }
        Err(error) => rcl::SetParametersResult { successful: false, reason: error.to_string() },
    }
}

/// Tells a change on /parameter_events.
pub(crate) fn tell(store: &ParamStore, ctx: &mut Context, changed: Changed) {
    let events = store.events.read().clone();
    let Some(events) = events else { return };
    let list = |values: Vec<(String, ParamValue)>| {
        values.into_iter().map(|(name, value)| rcl::Parameter { name, value: value.to_msg() }).collect()
    };
    let event = rcl::ParameterEvent {
        stamp: ctx.now().to_msg(),
        node: ctx.node_name().to_owned(),
        new_parameters: list(changed.new),
        changed_parameters: list(changed.changed),
        deleted_parameters: list(changed.deleted),
    };
    events.publish_always(ctx, event);
}

/// Tells what was declared in the set-up, an event for each parameter as rclcpp does. At the start, for before it nobody in this graph could hear it.
pub(crate) fn announce(ctx: &mut Context) {
    let store = ctx.slot.params();
    let news = std::mem::take(&mut *store.news.lock());
    for one in news {
        tell(&store, ctx, Changed { new: vec![one], ..Changed::default() });
    }
}
