//! The node types of this program.

use std::fmt::Write as _;

use graph::testing::Bench;
use graph::{Node, NodeFactory, ParamValue, SetupError};
use msgs::rcl_interfaces::msg::ParameterDescriptor;
use msgs::rcl_interfaces::srv::{
    DescribeParameters, DescribeParametersRequest, GetParameters, GetParametersRequest, ListParameters, ListParametersRequest,
};

use crate::file::{Catalogue, Value};
use crate::observer::Observer;

/// A node type.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Makes such nodes.
    pub factory: NodeFactory,
    parameters: fn() -> Result<Vec<Parameter>, DescribeError>,
}

/// A parameter of a node type, as its node declares it.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name, type, range, description with unit.
    pub descriptor: ParameterDescriptor,
    /// Its default.
    pub default: ParamValue,
}

/// Why a node type cannot tell its parameters.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// Its defaults cannot be set up here, for instance because a file is missing.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Its parameter services do not answer.
    #[error("node type `{0}` does not tell its parameters")]
    Silent(&'static str),
}

macro_rules! kinds {
    ($($node:ty),* $(,)?) => {
        vec![$(Kind { factory: NodeFactory::of::<$node>(), parameters: parameters_of::<$node> }),*]
    };
}

/// Every node type that a launch file may start, by name.
#[must_use]
pub fn kinds() -> Vec<Kind> {
    let mut all = kinds![
        graph::Container,
        omnimind_audio::Audio,
        omnimind_battery::Battery,
        omnimind_camera::Camera,
        omnimind_diagnostics::DiagnosticAggregator,
        omnimind_force::Force,
        omnimind_fusion::Fusion,
        omnimind_gpu_manager::GpuManager,
        omnimind_lidar::Lidar,
        omnimind_microphone::Microphone,
        omnimind_motion::Motion,
        omnimind_planner::Planner,
        omnimind_player::Player,
        omnimind_proprioception::Proprioception,
        omnimind_recorder::Recorder,
        omnimind_safety::Safety,
        omnimind_temperature::Temperature,
        omnimind_touch::Touch,
        omnimind_viewer::Viewer,
        omnimind_vision::Vision,
        sim::Scenario,
        sim::Simulator,
    ];
    all.sort_by_key(|kind| kind.factory.name);
    all
}

/// The node type of a name.
#[must_use]
pub fn kind(name: &str) -> Option<Kind> {
    kinds().into_iter().find(|kind| kind.factory.name == name)
}

/// The factory of a node type.
#[must_use]
pub fn factory(name: &str) -> Option<NodeFactory> {
    kind(name).map(|kind| kind.factory)
}

/// What containers of a running graph may load: every node type but the container itself.
#[must_use]
pub fn components() -> Vec<NodeFactory> {
    kinds().into_iter().map(|kind| kind.factory).filter(|factory| factory.name != graph::Container::NAME).collect()
}

/// The class name of a node type, as `ros2 component` shows it: `gpu_manager` is `omnimind::GpuManager`.
#[must_use]
pub fn class(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    format!("omnimind::{}", name.split('_').map(capital).collect::<String>())
}

/// The factory of the command line's own listener; not for launch files.
#[must_use]
pub fn observer() -> NodeFactory {
    NodeFactory::of::<Observer>()
}

/// The catalogue that launch files are checked against. Nodes check their parameters themselves when they are set up.
#[must_use]
pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    for kind in kinds() {
        catalogue.insert_open(kind.factory.name);
    }
    catalogue
}

impl Kind {
    /// The parameters that nodes of this type declare, by name, without `use_sim_time`, which every node has. Sets one up with its defaults, in a graph of its own.
    ///
    /// # Errors
    /// [`DescribeError`].
    pub fn parameters(&self) -> Result<Vec<Parameter>, DescribeError> {
        (self.parameters)()
    }

    /// The defaults as a commented ROS 2 parameter file.
    ///
    /// # Errors
    /// [`DescribeError`].
    pub fn defaults_yaml(&self) -> Result<String, DescribeError> {
        let mut text = format!("{}:\n  ros__parameters:\n", self.factory.name);
        for parameter in self.parameters()? {
            let descriptor = &parameter.descriptor;
            let range = descriptor.floating_point_range.first().map(|r| format!(", {} to {}", r.from_value, r.to_value));
            let range =
                range.or_else(|| descriptor.integer_range.first().map(|r| format!(", {} to {}", r.from_value, r.to_value)));
            let choices = if descriptor.additional_constraints.is_empty() {
                String::new()
            } else {
                format!(", {}", descriptor.additional_constraints)
            };
            let fixed = if descriptor.read_only { ", set at start" } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "    # {}{}{choices}{fixed}", descriptor.description, range.unwrap_or_default());
            let _ = writeln!(text, "    {}: {}", descriptor.name, yaml(&parameter.default));
        }
        Ok(text)
    }
}

fn parameters_of<N: Node>() -> Result<Vec<Parameter>, DescribeError> {
    let mut bench = Bench::new();
    bench.add::<N>(&[])?;
    let silent = |_| DescribeError::Silent(N::NAME);
    let name = |service: &str| format!("/{}/{service}", N::NAME);
    let names =
        bench.call::<ListParameters>(&name("list_parameters"), ListParametersRequest::default()).map_err(silent)?.result.names;
    let request = DescribeParametersRequest { names: names.clone() };
    let descriptors = bench.call::<DescribeParameters>(&name("describe_parameters"), request).map_err(silent)?.descriptors;
    let values = bench.call::<GetParameters>(&name("get_parameters"), GetParametersRequest { names }).map_err(silent)?.values;
    let both = descriptors.into_iter().zip(values);
    let mut all: Vec<Parameter> =
        both.filter_map(|(descriptor, value)| Some(Parameter { descriptor, default: ParamValue::from_msg(&value)? })).collect();
    // What every node has, whatever its type is; whoever runs the graph decides.
    all.retain(|parameter| parameter.descriptor.name != "use_sim_time");
    all.sort_by(|a, b| a.descriptor.name.cmp(&b.descriptor.name));
    Ok(all)
}

/// A value in YAML's flow form.
fn yaml(value: &ParamValue) -> String {
    let text = |v: &String| serde_json::Value::from(v.as_str()).to_string();
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    match value {
        ParamValue::NotSet => "null".into(),
        ParamValue::Bool(v) => v.to_string(),
        ParamValue::Integer(v) => v.to_string(),
        ParamValue::Double(v) => format!("{v:?}"),
        ParamValue::String(v) => text(v),
        ParamValue::ByteArray(v) => list(v.iter().map(ToString::to_string).collect()),
        ParamValue::BoolArray(v) => list(v.iter().map(ToString::to_string).collect()),
        ParamValue::IntegerArray(v) => list(v.iter().map(ToString::to_string).collect()),
        ParamValue::DoubleArray(v) => list(v.iter().map(|x| format!("{x:?}")).collect()),
        ParamValue::StringArray(v) => list(v.iter().map(text).collect()),
    }
}

/// A launch value as a parameter value.
#[must_use]
pub fn param_value(value: &Value) -> ParamValue {
    match value.clone() {
        Value::Bool(v) => ParamValue::Bool(v),
        Value::Int(v) => ParamValue::Integer(v),
        Value::Float(v) => ParamValue::Double(v),
        Value::Text(v) => ParamValue::String(v),
        Value::Ints(v) => ParamValue::IntegerArray(v),
        Value::Floats(v) => ParamValue::DoubleArray(v),
        Value::Texts(v) => ParamValue::StringArray(v),
        Value::Bools(v) => ParamValue::BoolArray(v),
    }
}
