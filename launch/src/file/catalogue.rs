//! What a launch file may start: node types and the parameters that each declares. Plain data, so that files can be
//! checked without building a graph.

use super::error::{At, LaunchError};
use super::value::Value;
use graph::suggest;
use std::collections::BTreeMap;

/// The type of a declared parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `float`
    Float,
    /// `string`
    Text,
    /// a list of whole numbers
    Ints,
    /// a list of numbers
    Floats,
    /// a list of texts
    Texts,
}

impl ParamKind {
    /// For messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "text",
            Self::Ints => "a list of whole numbers",
            Self::Floats => "a list of numbers",
            Self::Texts => "a list of texts",
        }
    }

    /// The value as this kind: whole numbers count as numbers, an empty list as any list. `None` if it is another kind.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn accept(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Float, Value::Float(_))
            | (Self::Text, Value::Text(_))
            | (Self::Ints, Value::Ints(_))
            | (Self::Floats, Value::Floats(_))
            | (Self::Texts, Value::Texts(_)) => Some(value.clone()),
            (Self::Float, Value::Int(v)) => Some(Value::Float(*v as f64)),
            (Self::Floats, Value::Ints(v)) => Some(Value::Floats(v.iter().map(|i| *i as f64).collect())),
            (Self::Ints, Value::Texts(v)) if v.is_empty() => Some(Value::Ints(Vec::new())),
            (Self::Floats, Value::Texts(v)) if v.is_empty() => Some(Value::Floats(Vec::new())),
            _ => None,
        }
    }
}

/// One declared parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParamKind,
    /// Its default, if it has one.
    pub default: Option<Value>,
    /// Its unit, empty if it has none.
    pub unit: String,
    /// Smallest and greatest allowed value, for numbers.
    pub range: Option<(f64, f64)>,
    /// The allowed texts; empty: any.
    pub choices: Vec<String>,
    /// What it does.
    pub description: String,
    /// Cannot be changed while the node runs.
    pub read_only: bool,
}

impl ParamInfo {
    /// Checks a value against type, range and choices, and gives it in the declared type.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`] or [`LaunchError::OutOfRange`].
    pub fn check(&self, node: &str, value: &Value, at: &At) -> Result<Value, LaunchError> {
        let what = format!("parameter `{}` of `{node}`", self.name);
        let accepted = self.kind.accept(value).ok_or_else(|| LaunchError::WrongType {
            at: at.clone(),
            what: what.clone(),
            expected: self.kind.name().into(),
            found: format!("{} ({value})", value.kind_name()),
        })?;
        let outside = |allowed| LaunchError::OutOfRange { at: at.clone(), what: what.clone(), value: value.to_string(), allowed };
        if let (Some((min, max)), Some(number)) = (self.range, accepted.as_f64())
            && !(number >= min && number <= max)
        {
            let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
            return Err(outside(format!("{min} to {max}{unit}")));
        }
        if let Value::Text(text) = &accepted
            && !self.choices.is_empty()
            && !self.choices.contains(text)
        {
            return Err(outside(self.choices.join(", ")));
        }
        Ok(accepted)
    }
}

/// Node types by name, with their parameters.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    // None: the node itself checks its parameters when it is set up.
    nodes: BTreeMap<String, Option<Vec<ParamInfo>>>,
}

impl Catalogue {
    /// Adds a node type.
    pub fn insert(&mut self, node: &str, mut params: Vec<ParamInfo>) {
        params.sort_by(|a, b| a.name.cmp(&b.name));
        self.nodes.insert(node.to_owned(), Some(params));
    }

    /// Adds a node type that checks its parameters itself, when it is set up.
    pub fn insert_open(&mut self, node: &str) {
        self.nodes.insert(node.to_owned(), None);
    }

    /// Node types in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Whether there is such a node type.
    #[must_use]
    pub fn contains(&self, node: &str) -> bool {
        self.nodes.contains_key(node)
    }

    /// The declaration of one parameter; `None` for a node type that checks its parameters itself.
    ///
    /// # Errors
    /// [`LaunchError::UnknownNode`] or [`LaunchError::UnknownParameter`], with the nearest known name.
    pub fn param(&self, node: &str, name: &str, at: &At) -> Result<Option<&ParamInfo>, LaunchError> {
        let Some(params) = self.nodes.get(node).ok_or_else(|| self.unknown_node(node, at))? else { return Ok(None) };
        let found = params.iter().find(|p| p.name == name);
        found.map(Some).ok_or_else(|| LaunchError::UnknownParameter {
            at: at.clone(),
            node: node.to_owned(),
            name: name.to_owned(),
            hint: suggest::hint(name, params.iter().map(|p| p.name.as_str())),
        })
    }

    /// The error for a node type that is not here.
    #[must_use]
    pub fn unknown_node(&self, name: &str, at: &At) -> LaunchError {
        LaunchError::UnknownNode { at: at.clone(), name: name.to_owned(), hint: suggest::hint(name, self.names()) }
    }
}
