//! `-p` values, by the rules of rcl_yaml_param_parser.

use super::remap::token;
use crate::file::Value;
use crate::file::scalar::resolve_parameter;
use crate::file::yaml::{Kind, Yaml};

/// Node (if one is named) and parameter of `[node:]name`.
pub(super) fn parameter_name(text: &str) -> Result<(Option<String>, String), String> {
    let (node, name) = match text.split_once(':') {
        Some((node, name)) => {
            token(node).map_err(|reason| format!("the node's name `{node}` {reason}"))?;
            (Some(node.to_owned()), name)
        }
        None => (None, text),
    };
    for part in name.split(['.', '/']) {
        token(part).map_err(|reason| format!("the parameter's name `{name}`: `{part}` {reason}"))?;
    }
    Ok((node, name.to_owned()))
}

/// The value: a YAML scalar, or a list of scalars of one type.
pub(super) fn parameter(text: &str) -> Result<Value, String> {
    let plain = text.trim();
    // What a plain scalar cannot begin with is read as YAML; all else as it stands, a colon or a hash sign in it too.
    let yaml = if plain.starts_with(['[', '{', '"', '\'', '-', '&', '*', '!', '|', '>', '%']) {
        Yaml::parse_parameters(text).map_err(|e| format!("the value is {}", e.message))?
    } else {
        Yaml { line: 1, kind: resolve_parameter(plain) }
    };
    match &yaml.kind {
        Kind::Null => return Err("the value is missing".into()),
        Kind::Map(_) => return Err("a parameter is a value or a list, not a mapping".into()),
        Kind::List(items) => {
            let kind = |item: &Yaml| std::mem::discriminant(&item.kind);
            if items.windows(2).any(|pair| kind(&pair[0]) != kind(&pair[1])) {
                return Err("the values of a list are of one type".into());
            }
        }
        _ => {}
    }
    Value::from_yaml(&yaml).ok_or_else(|| "a list holds truth values, numbers or texts".into())
}
