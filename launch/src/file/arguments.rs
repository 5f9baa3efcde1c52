//! The `arguments` of a launch file: `name: {type, default, description, range, choices}`.

use super::catalogue::{ParamInfo, ParamKind};
use super::error::{At, LaunchError};
use super::read::Reader;
use super::value::{Scope, Value, substitute_tree};
use super::yaml::{Kind, Yaml};
use graph::suggest;
use std::collections::BTreeMap;
use std::path::Path;

/// An argument as a launch file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Name, type, default, range, choices, description.
    pub info: ParamInfo,
    /// Where it is declared.
    pub at: At,
}

const TYPES: [(&str, ParamKind); 7] = [
    ("bool", ParamKind::Bool),
    ("int", ParamKind::Int),
    ("float", ParamKind::Float),
    ("string", ParamKind::Text),
    ("ints", ParamKind::Ints),
    ("floats", ParamKind::Floats),
    ("strings", ParamKind::Texts),
];

/// Reads the declarations. Defaults may use the names of `scope` (`${launch_dir}` and so on).
///
/// # Errors
/// Unknown keys or types, a default that does not fit its own declaration.
pub fn declare(file: &Path, top: &Reader<'_>, scope: &Scope) -> Result<Vec<Argument>, LaunchError> {
    let mut arguments = Vec::new();
    for entry in top.map("arguments")? {
        let at = top.at(entry.line);
        let reader = Reader::new(file, &entry.value, "an argument", &["type", "default", "description", "range", "choices"])?;
        let words = TYPES.map(|(word, _)| word);
        let word = reader.word("type", &words)?.unwrap_or_else(|| "string".into());
        let kind = TYPES.iter().find(|(w, _)| *w == word).map_or(ParamKind::Text, |(_, kind)| *kind);
        let range = match reader.list("range")? {
            [] => None,
            [min, max] => match (number(min), number(max)) {
                (Some(min), Some(max)) if min <= max => Some((min, max)),
                _ => return Err(reader.wrong("range", "two numbers, the smaller first", min)),
            },
            [first, ..] => return Err(reader.wrong("range", "two numbers, the smaller first", first)),
        };
        let choices = reader.list("choices")?.iter().map(|item| match &item.kind {
            Kind::Text(text) => Ok(text.clone()),
            _ => Err(reader.wrong("choices", "a list of texts", item)),
        });
        let mut info = ParamInfo {
            name: entry.key.clone(),
            kind,
            default: None,
            unit: String::new(),
            range,
            choices: choices.collect::<Result<_, _>>()?,
            description: reader.text("description")?.unwrap_or_default(),
            read_only: true,
        };
        if let Some(default) = reader.get("default") {
            let line = default.line;
            let tree = substitute_tree(default, scope, file)?;
            let value = Value::from_yaml(&tree).ok_or_else(|| reader.wrong("default", "a value or a flat list", default))?;
            info.default = Some(check(&info, &value, &reader.at(line))?);
        }
        arguments.push(Argument { info, at });
    }
    Ok(arguments)
}

/// Fills the scope with every argument's value: the given one, or the default.
///
/// # Errors
/// A given argument that is not declared, a value that does not fit, or an argument with neither value nor default.
pub fn fill(scope: &mut Scope, arguments: &[Argument], given: &BTreeMap<String, Value>, caller: &At) -> Result<(), LaunchError> {
    for name in given.keys() {
        if !arguments.iter().any(|a| a.info.name == *name) {
            let hint = suggest::hint(name, arguments.iter().map(|a| a.info.name.as_str()));
            return Err(LaunchError::UnknownArgument { at: caller.clone(), name: name.clone(), hint });
        }
    }
    for argument in arguments {
        let value = match (given.get(&argument.info.name), &argument.info.default) {
            (Some(value), _) => check(&argument.info, value, caller)?,
            (None, Some(default)) => default.clone(),
            (None, None) => {
                return Err(LaunchError::MissingArgument { at: argument.at.clone(), name: argument.info.name.clone() });
            }
        };
        scope.insert(argument.info.name.clone(), value);
    }
    Ok(())
}

fn check(info: &ParamInfo, value: &Value, at: &At) -> Result<Value, LaunchError> {
    // On a command line `name:=3` may well mean the text "3".
    if info.kind == ParamKind::Text
        && let Value::Bool(_) | Value::Int(_) | Value::Float(_) = value
    {
        return info.check("the launch file", &Value::Text(value.to_string()), at);
    }
    info.check("the launch file", value, at)
}

fn number(yaml: &Yaml) -> Option<f64> {
    Value::from_yaml(yaml).and_then(|v| v.as_f64())
}
