//! `-p` values, by the rules of rcl_yaml_param_parser.

use super::remap::token;
use crate::file::Value;
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
    if plain.is_empty() {
        return Err("the value is missing".into());
    }
    if !plain.starts_with(['[', '{', '"', '\'', '-', '&', '*', '!', '|', '>', '%']) {
        return Ok(scalar(plain));
    }
    let yaml = Yaml::parse(text).map_err(|e| format!("the value is {}", e.message))?;
    match &yaml.kind {
        Kind::List(items) => {
            let kind = |item: &Yaml| std::mem::discriminant(&item.kind);
            if items.windows(2).any(|pair| kind(&pair[0]) != kind(&pair[1])) {
                return Err("the values of a list are of one type".into());
            }
            Value::from_yaml(&yaml).ok_or_else(|| "a list holds truth values, numbers or texts".into())
        }
        Kind::Map(_) => Err("a parameter is a value or a list, not a mapping".into()),
        Kind::Text(text) if !plain.starts_with('-') => Ok(Value::Text(text.clone())),
        _ => Ok(scalar(plain)),
    }
}

/// A scalar without quotes. YAML 1.1's words for truth values, numbers as `strtoll` with base 0 and `strtod` read them.
fn scalar(text: &str) -> Value {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    if let Some(value) = integer(text) {
        return Value::Int(value);
    }
    let (sign, digits) = signed(text);
    let number = match digits.to_ascii_lowercase().as_str() {
        ".inf" | "inf" | "infinity" => Some(f64::INFINITY),
        ".nan" | "nan" => Some(f64::NAN),
        _ => digits.parse().ok(),
    };
    number.map_or_else(|| Value::Text(text.to_owned()), |value| Value::Float(if sign < 0 { -value } else { value }))
}

fn signed(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = signed(text);
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (16, hex),
        None => match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => (8, octal),
            _ => (10, digits),
        },
    };
    // A second sign would be taken by `from_str_radix`.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(&format!("{}{digits}", if sign < 0 { "-" } else { "" }), radix).ok()
}
