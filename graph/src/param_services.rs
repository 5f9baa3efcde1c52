//! The parameter services that every ROS 2 node has: get, set, set atomically, list, describe, types.

use std::sync::Arc;

use msgs::rcl_interfaces::msg as rcl;
use msgs::rcl_interfaces::srv;

use crate::Qos;
use crate::error::SetupError;
use crate::node::{Node, Setup};
use crate::param::ParamValue;

/// Declares them under `~/`.
pub(crate) fn declare<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    let params = setup.params();
    let store = Arc::clone(&params);
    setup.service::<srv::GetParameters>("~/get_parameters", move |_, _, request| {
        let values = request.names.iter().map(|name| store.get(name).map(|v| v.to_msg()).unwrap_or_default()).collect();
        Ok(srv::GetParametersResponse { values })
    })?;
    let store = Arc::clone(&params);
    setup.service::<srv::GetParameterTypes>("~/get_parameter_types", move |_, _, request| {
        let types = request.names.iter().map(|name| store.get(name).map_or(0, |v| v.to_msg().type_)).collect();
        Ok(srv::GetParameterTypesResponse { types })
    })?;
    let store = Arc::clone(&params);
    setup.service::<srv::DescribeParameters>("~/describe_parameters", move |_, _, request| {
        let descriptors = request.names.iter().map(|name| store.describe(name).unwrap_or_default()).collect();
        Ok(srv::DescribeParametersResponse { descriptors })
    })?;
    let store = Arc::clone(&params);
    setup.service::<srv::ListParameters>("~/list_parameters", move |_, _, request| {
        let names = store
            .names()
            .into_iter()
            .filter(|name| request.prefixes.is_empty() || request.prefixes.iter().any(|prefix| is_below(name, prefix)))
            .collect();
        Ok(srv::ListParametersResponse { result: rcl::ListParametersResult { names, prefixes: Vec::new() } })
    })?;
    let events = setup.publisher::<rcl::ParameterEvent>("/parameter_events", Qos::reliable(1000))?;
    let node = setup.node_name().to_owned();
    let store = Arc::clone(&params);
    let (publisher, name) = (events.clone(), node.clone());
    setup.service::<srv::SetParameters>("~/set_parameters", move |_, ctx, request| {
        let mut results = Vec::new();
        for parameter in request.parameters {
            let result = set(&store, std::slice::from_ref(&parameter));
            if result.successful {
                publisher.publish(ctx, event(&name, ctx.now(), vec![parameter]));
            }
            results.push(result);
        }
        Ok(srv::SetParametersResponse { results })
    })?;
    let store = params;
    setup.service::<srv::SetParametersAtomically>("~/set_parameters_atomically", move |_, ctx, request| {
        let result = set(&store, &request.parameters);
        if result.successful {
            events.publish(ctx, event(&node, ctx.now(), request.parameters));
        }
        Ok(srv::SetParametersAtomicallyResponse { result })
    })
}

/// rcl_interfaces/ListParameters: a prefix is a name or what stands before a dot.
fn is_below(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn set(store: &crate::param::ParamStore, parameters: &[rcl::Parameter]) -> rcl::SetParametersResult {
    let mut changes = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        match ParamValue::from_msg(&parameter.value) {
            Some(value) => changes.push((parameter.name.clone(), value)),
            None => {
                let reason = format!("parameter `{}`: a value of that type cannot be set", parameter.name);
                return rcl::SetParametersResult { successful: false, reason };
            }
        }
    }
    match store.set(&changes) {
        Ok(()) => rcl::SetParametersResult { successful: true, reason: String::new() },
        Err(reason) => rcl::SetParametersResult { successful: false, reason },
    }
}

fn event(node: &str, now: crate::Time, changed_parameters: Vec<rcl::Parameter>) -> rcl::ParameterEvent {
    rcl::ParameterEvent { stamp: now.to_msg(), node: node.to_owned(), changed_parameters, ..Default::default() }
}
