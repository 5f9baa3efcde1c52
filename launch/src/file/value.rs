//! Parameter and argument values, and the substitution of `${argument}` in them.

use super::error::{At, LaunchError};
use super::yaml::{Kind, Yaml, resolve_plain};
use graph::suggest;
use std::collections::BTreeMap;
use std::fmt;

/// A value of a launch argument or a node parameter (the types of `rcl_interfaces/ParameterValue` without bytes).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list of whole numbers.
    Ints(Vec<i64>),
    /// A list of numbers.
    Floats(Vec<f64>),
    /// A list of texts; an empty list of unknown type is one too.
    Texts(Vec<String>),
    /// A list of truth values.
    Bools(Vec<bool>),
}

impl Value {
    /// What kind of value it is, for messages.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Ints(_) => "a list of whole numbers",
            Self::Floats(_) => "a list of numbers",
            Self::Texts(_) => "a list of texts",
            Self::Bools(_) => "a list of truth values",
        }
    }

    /// The number in it, if it is one.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(*v as f64),
            Self::Float(v) => Some(*v),
            _ => None,
        }
    }

    /// Reads the value of a launch argument written on a command line, by the rules of launch files (so `3` is a number and `'3'` a
    /// text).
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let read = Yaml::parse(text).ok().and_then(|yaml| Self::from_yaml(&yaml));
        read.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// Reads the value of a parameter written on a command line, by the rules of parameter files
    /// ([`resolve_parameter`](super::scalar::resolve_parameter)). What cannot be read so is text.
    #[must_use]
    pub fn from_parameter_text(text: &str) -> Self {
        let read = Yaml::parse_parameters(text).ok().and_then(|yaml| Self::from_yaml(&yaml));
        read.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// A YAML scalar or flat list as a value; `None` for mappings, nothing, nested or mixed lists.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn from_yaml(yaml: &Yaml) -> Option<Self> {
        let items = match &yaml.kind {
            Kind::Bool(v) => return Some(Self::Bool(*v)),
            Kind::Int(v) => return Some(Self::Int(*v)),
            Kind::Float(v) => return Some(Self::Float(*v)),
            Kind::Text(v) => return Some(Self::Text(v.clone())),
            Kind::Null | Kind::Map(_) => return None,
            Kind::List(items) => items,
        };
        let scalars: Vec<Self> = items.iter().map(Self::from_yaml).collect::<Option<_>>()?;
        if scalars.iter().all(|v| matches!(v, Self::Text(_))) {
            let texts = scalars.into_iter().filter_map(|v| if let Self::Text(t) = v { Some(t) } else { None });
            return Some(Self::Texts(texts.collect()));
        }
        if scalars.iter().all(|v| matches!(v, Self::Int(_))) {
            return Some(Self::Ints(scalars.iter().filter_map(|v| if let Self::Int(i) = v { Some(*i) } else { None }).collect()));
        }
        if scalars.iter().all(|v| matches!(v, Self::Bool(_))) {
            return Some(Self::Bools(
                scalars.iter().filter_map(|v| if let Self::Bool(b) = v { Some(*b) } else { None }).collect(),
            ));
        }
        scalars.iter().map(Self::as_f64).collect::<Option<Vec<f64>>>().map(Self::Floats)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
            write!(f, "[")?;
            for (i, item) in items.iter().enumerate() {
                write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
            }
            write!(f, "]")
        }
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v:?}"),
            Self::Text(v) => write!(f, "{v}"),
            Self::Ints(v) => list(f, v),
            Self::Floats(v) => list(f, v),
            Self::Texts(v) => list(f, v),
            Self::Bools(v) => list(f, v),
        }
    }
}

/// Names that `${...}` may use, with their values.
pub type Scope = BTreeMap<String, Value>;

/// Replaces each `${name}` in a text by its value; `$$` stands for one `$`. A text that is nothing but one `${name}` becomes
/// the value itself, with its type; everything else stays text.
///
/// # Errors
/// An unknown name (with the nearest known one) or a broken `${`.
pub fn substitute(text: &str, scope: &Scope, at: &At) -> Result<Value, LaunchError> {
    if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        && !name.contains(['$', '{', '}'])
    {
        return lookup(name, text, scope, at).cloned();
    }
    let broken = |why| LaunchError::Substitution { at: at.clone(), text: text.to_owned(), why };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').ok_or_else(|| broken("`${` has no closing `}`"))?;
            out.push_str(&lookup(&after[..end], text, scope, at)?.to_string());
            rest = &after[end + 1..];
        } else {
            return Err(broken("write `$$` for a plain `$`"));
        }
    }
    out.push_str(rest);
    Ok(Value::Text(out))
}

fn lookup<'a>(name: &str, text: &str, scope: &'a Scope, at: &At) -> Result<&'a Value, LaunchError> {
    if name.is_empty() {
        return Err(LaunchError::Substitution { at: at.clone(), text: text.to_owned(), why: "`${}` names no argument" });
    }
    scope.get(name).ok_or_else(|| LaunchError::UnknownArgument {
        at: at.clone(),
        name: name.to_owned(),
        hint: suggest::hint(name, scope.keys().map(String::as_str)),
    })
}

/// A copy of a YAML tree with every text substituted. Plain texts that become something else after substitution
/// (`${seed}0`) are read again by the rules of plain scalars, quoted or not: types come from the declarations.
///
/// # Errors
/// As [`substitute`].
pub fn substitute_tree(yaml: &Yaml, scope: &Scope, file: &std::path::Path) -> Result<Yaml, LaunchError> {
    let kind = match &yaml.kind {
        Kind::Text(text) if text.contains('$') => {
            let at = At { file: file.to_path_buf(), line: yaml.line };
            match substitute(text, scope, &at)? {
                Value::Bool(v) => Kind::Bool(v),
                Value::Int(v) => Kind::Int(v),
                Value::Float(v) => Kind::Float(v),
                Value::Text(v) if text.starts_with("${") && text.ends_with('}') && text.matches("${").count() == 1 => {
                    Kind::Text(v)
                }
                Value::Text(v) => resolve_plain(&v),
                Value::Ints(v) => list(yaml.line, v.into_iter().map(Kind::Int)),
                Value::Floats(v) => list(yaml.line, v.into_iter().map(Kind::Float)),
                Value::Texts(v) => list(yaml.line, v.into_iter().map(Kind::Text)),
                Value::Bools(v) => list(yaml.line, v.into_iter().map(Kind::Bool)),
            }
        }
        Kind::List(items) => Kind::List(items.iter().map(|item| substitute_tree(item, scope, file)).collect::<Result<_, _>>()?),
        Kind::Map(entries) => Kind::Map(
            entries
                .iter()
                .map(|e| {
                    Ok(super::yaml::Entry { key: e.key.clone(), line: e.line, value: substitute_tree(&e.value, scope, file)? })
                })
                .collect::<Result<_, LaunchError>>()?,
        ),
        other => other.clone(),
    };
    Ok(Yaml { line: yaml.line, kind })
}

fn list(line: usize, kinds: impl Iterator<Item = Kind>) -> Kind {
    Kind::List(kinds.map(|kind| Yaml { line, kind }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope::from([("seed".into(), Value::Int(7)), ("name".into(), Value::Text("omni".into()))])
    }

    fn at() -> At {
        At { file: "x.yaml".into(), line: 3 }
    }

    #[test]
    fn a_whole_substitution_keeps_its_type_and_a_part_is_text() {
        assert_eq!(substitute("${seed}", &scope(), &at()).unwrap(), Value::Int(7));
        assert_eq!(substitute("${name}_${seed}.mcap", &scope(), &at()).unwrap(), Value::Text("omni_7.mcap".into()));
        assert_eq!(substitute("5$$", &scope(), &at()).unwrap(), Value::Text("5$".into()));
    }

    #[test]
    fn broken_and_unknown_substitutions_are_errors() {
        for bad in ["${seed", "a${}", "$seed", "${}"] {
            assert!(matches!(substitute(bad, &scope(), &at()), Err(LaunchError::Substitution { .. })), "{bad}");
        }
        let message = substitute("${sead}", &scope(), &at()).unwrap_err().to_string();
        assert_eq!(message, "x.yaml:3: there is no argument `sead`; did you mean `seed`?");
    }

    #[test]
    fn lists_take_the_narrowest_common_type() {
        assert_eq!(Value::from_text("[1, 2]"), Value::Ints(vec![1, 2]));
        assert_eq!(Value::from_text("[1, 2.5]"), Value::Floats(vec![1.0, 2.5]));
        assert_eq!(Value::from_text("[a, b]"), Value::Texts(vec!["a".into(), "b".into()]));
        assert_eq!(Value::from_text("[true]"), Value::Bools(vec![true]));
        assert_eq!(Value::from_text("[1, a]"), Value::Text("[1, a]".into()));
    }
}
