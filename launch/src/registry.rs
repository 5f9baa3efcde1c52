//! The node types of this program.

use graph::{NodeFactory, ParamValue};

use crate::file::{Catalogue, Value};
use crate::observer::Observer;

/// Every node type that a launch file may start, by name.
#[must_use]
pub fn factories() -> Vec<NodeFactory> {
    let mut all = vec![
        NodeFactory::of::<omnimind_audio::Audio>(),
        NodeFactory::of::<omnimind_recorder::Recorder>(),
        NodeFactory::of::<omnimind_viewer::Viewer>(),
        NodeFactory::of::<omnimind_vision::Vision>(),
    ];
    all.sort_by_key(|f| f.name);
    all
}

/// The factory of the command line's own listener; not for launch files.
#[must_use]
pub fn observer() -> NodeFactory {
    NodeFactory::of::<Observer>()
}

/// The factory of a node type.
#[must_use]
pub fn factory(name: &str) -> Option<NodeFactory> {
    factories().into_iter().find(|f| f.name == name)
}

/// The catalogue that launch files are checked against. Nodes check their parameters themselves when they are set up.
#[must_use]
pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    for factory in factories() {
        catalogue.insert_open(factory.name);
    }
    catalogue
}

/// A launch value as a parameter value; `None` for lists of truth values, which no node has.
#[must_use]
pub fn param_value(value: &Value) -> Option<ParamValue> {
    Some(match value.clone() {
        Value::Bool(v) => ParamValue::Bool(v),
        Value::Int(v) => ParamValue::Integer(v),
        Value::Float(v) => ParamValue::Double(v),
        Value::Text(v) => ParamValue::String(v),
        Value::Ints(v) => ParamValue::IntegerArray(v),
        Value::Floats(v) => ParamValue::DoubleArray(v),
        Value::Texts(v) => ParamValue::StringArray(v),
        Value::Bools(_) => return None,
    })
}
