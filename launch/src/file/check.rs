//! What a launch file would start, as JSON (`omnimind launch --check --json`): for programs that compare it with other forms of the
//! same launch file.

use serde_json::{Value as Json, json};

use super::{Launch, Mode, Value};

/// `{graph, arguments, nodes}`: everything that a launch file says after includes and substitutions.
#[must_use]
pub fn json(launch: &Launch) -> Json {
    let argument = |argument: &super::Argument| {
        let info = &argument.info;
        json!({
            "name": info.name,
            "type": info.kind.name(),
            "default": info.default.as_ref().map(value),
            "value": launch.values.get(&info.name).map(value),
            "description": info.description,
        })
    };
    let node = |node: &super::NodeSpec| {
        json!({
            "type": node.type_,
            "name": node.name,
            "namespace": node.namespace,
            "process": node.process,
            "parameters": node.parameters.iter().map(|(name, v)| (name.clone(), value(v))).collect::<serde_json::Map<_, _>>(),
            "remap": node.remap,
        })
    };
    json!({
        "graph": {
            "mode": match launch.graph.mode { Mode::LockStep => "lock-step", Mode::FreeRunning => "free-running" },
            "step_ms": launch.graph.step_ms,
            "rate": launch.graph.rate,
            "snapshot_every_s": launch.graph.snapshot_every_s,
        },
        "arguments": launch.arguments.iter().map(argument).collect::<Vec<_>>(),
        "nodes": launch.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

fn value(value: &Value) -> Json {
    match value.clone() {
        Value::Bool(v) => v.into(),
        Value::Int(v) => v.into(),
        Value::Float(v) => v.into(),
        Value::Text(v) => v.into(),
        Value::Ints(v) => v.into(),
        Value::Floats(v) => v.into(),
        Value::Texts(v) => v.into(),
        Value::Bools(v) => v.into(),
    }
}
