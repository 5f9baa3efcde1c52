//! Type descriptions and RIHS01 type hashes: SHA-256 over the type description in JSON, as `rosidl_generator_type_description` writes
//! it (REP 2016; separators `", "` and `": "`, default values left out, referenced types sorted by name). Used by the build script and
//! at run time.

use super::model::Model;
use super::parser::{Base, Field, Shape};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A type and all types that it contains (`type_description_interfaces/msg/TypeDescription`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub main: Individual,
    /// Sorted by name.
    pub referenced: Vec<Individual>,
}

/// One type (`type_description_interfaces/msg/IndividualTypeDescription`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Individual {
    pub name: String,
    pub fields: Vec<DescribedField>,
}

/// One field (`type_description_interfaces/msg/Field` with its `FieldType`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedField {
    pub name: String,
    pub type_id: u8,
    pub capacity: u64,
    pub string_capacity: u64,
    /// Full name of the type, empty for a primitive.
    pub nested: String,
    /// As Python writes the value, empty if there is none.
    pub default: String,
}

/// The description of a message, service or action by full name.
pub fn describe(model: &Model, name: &str) -> Result<Described, String> {
    let mut referenced = BTreeSet::new();
    for part in parts(model, name) {
        for inner in parts(model, &part) {
            referenced.extend(model.references(&inner)?);
            referenced.insert(inner);
        }
        if model.messages.contains_key(&part) {
            referenced.extend(model.references(&part)?);
        }
        referenced.insert(part);
    }
    if model.messages.contains_key(name) {
        referenced.extend(model.references(name)?);
    }
    let referenced = referenced.iter().map(|inner| individual(model, inner)).collect::<Result<_, _>>()?;
    Ok(Described { main: individual(model, name)?, referenced })
}

/// Types that a service or an action is made of, by full name; none for a message.
fn parts(model: &Model, name: &str) -> Vec<String> {
    let suffixes: &[&str] = if model.services.contains_key(name) {
        &["Request", "Response", "Event"]
    } else if model.actions.contains_key(name) {
        &["Goal", "Result", "Feedback", "SendGoal", "GetResult", "FeedbackMessage"]
    } else {
        &[]
    };
    suffixes.iter().map(|suffix| format!("{name}_{suffix}")).collect()
}

/// The name of the field that stands for a part.
fn part_field(part: &str) -> &'static str {
    match part.rsplit('_').next() {
        Some("Request") => "request_message",
        Some("Response") => "response_message",
        Some("Event") => "event_message",
        Some("Goal") => "goal",
        Some("Result") => "result",
        Some("Feedback") => "feedback",
        Some("SendGoal") => "send_goal_service",
        Some("GetResult") => "get_result_service",
        _ => "feedback_message",
    }
}

fn individual(model: &Model, name: &str) -> Result<Individual, String> {
    let fields = match model.messages.get(name) {
        Some(message) => message.fields.iter().map(described_field).collect(),
        None => {
            let parts = parts(model, name);
            if parts.is_empty() {
                return Err(format!("type `{name}` is not defined"));
            }
            let field = |part: String| DescribedField {
                name: part_field(&part).into(),
                type_id: 1,
                capacity: 0,
                string_capacity: 0,
                nested: part,
                default: String::new(),
            };
            parts.into_iter().map(field).collect()
        }
    };
    Ok(Individual { name: name.into(), fields })
}

fn described_field(field: &Field) -> DescribedField {
    let (id, string_capacity, nested) = type_id(&field.base);
    // type_description_interfaces/msg/FieldType: arrays, bounded and unbounded sequences are offsets of the element's id.
    let (offset, capacity) = match field.shape {
        Shape::Single => (0, 0),
        Shape::Array(n) => (48, n),
        Shape::Bounded(n) => (96, n),
        Shape::Unbounded => (144, 0),
    };
    DescribedField {
        name: field.name.clone(),
        type_id: id + offset,
        capacity: capacity as u64,
        string_capacity: string_capacity as u64,
        nested: nested.into(),
        default: python_default(field),
    }
}

/// Id, string bound and nested name of an element type (type_description_interfaces/msg/FieldType).
fn type_id(base: &Base) -> (u8, usize, &str) {
    match base {
        Base::Named(name) => (1, 0, name),
        Base::I8 => (2, 0, ""),
        Base::U8 => (3, 0, ""),
        Base::I16 => (4, 0, ""),
        Base::U16 => (5, 0, ""),
        Base::I32 => (6, 0, ""),
        Base::U32 => (7, 0, ""),
        Base::I64 => (8, 0, ""),
        Base::U64 => (9, 0, ""),
        Base::F32 => (10, 0, ""),
        Base::F64 => (11, 0, ""),
        Base::Bool => (15, 0, ""),
        Base::Byte => (16, 0, ""),
        Base::String(0) => (17, 0, ""),
        Base::WString(0) => (18, 0, ""),
        Base::String(bound) => (21, *bound, ""),
        Base::WString(bound) => (22, *bound, ""),
    }
}

/// The default as rosidl's generator, a Python program, prints it: `True`, `1.0`, a bare string, or a tuple.
fn python_default(field: &Field) -> String {
    if field.default.is_empty() {
        return String::new();
    }
    if field.shape == Shape::Single {
        return python_value(&field.base, &field.default, false);
    }
    let items: Vec<String> = list_items(&field.default).iter().map(|item| python_value(&field.base, item, true)).collect();
    match items.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}

fn python_value(base: &Base, text: &str, quoted: bool) -> String {
    match base {
        Base::Bool => if matches!(text.to_ascii_lowercase().as_str(), "true" | "1") { "True" } else { "False" }.into(),
        Base::F32 | Base::F64 => text.parse::<f64>().map_or_else(|_| text.into(), |value| format!("{value:?}")),
        Base::String(_) | Base::WString(_) => {
            let plain = unquote(text);
            match quoted {
                false => plain,
                true if plain.contains('\'') && !plain.contains('"') => format!("\"{plain}\""),
                true => format!("'{}'", plain.replace('\\', "\\\\").replace('\'', "\\'")),
            }
        }
        _ => text.parse::<i128>().map_or_else(|_| text.into(), |value| value.to_string()),
    }
}

/// The elements of a default such as `[1, 2]` or `["a, b", "c"]`, as written.
pub fn list_items(text: &str) -> Vec<String> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    let (mut items, mut item, mut quote, mut escaped) = (Vec::new(), String::new(), None, false);
    for c in inner.chars() {
        match (quote, c) {
            (None, ',') => items.push(std::mem::take(&mut item)),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c && !escaped => quote = None,
            _ => {}
        }
        if !(quote.is_none() && c == ',') {
            item.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    if !item.trim().is_empty() || !items.is_empty() {
        items.push(item);
    }
    items.iter().map(|item| item.trim().to_owned()).collect()
}

/// The text between quotes, with `\"` and `\'` resolved; text without quotes as it is.
pub fn unquote(text: &str) -> String {
    let inner = |quote| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    match inner('"').or_else(|| inner('\'')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\'", "'"),
        None => text.to_owned(),
    }
}

impl Described {
    /// The type hash, `RIHS01_...`.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.hashed_json().as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("RIHS01_{hex}")
    }

    /// The JSON text that is hashed.
    fn hashed_json(&self) -> String {
        let referenced: Vec<String> = self.referenced.iter().map(individual_json).collect();
        format!(
            "{{\"type_description\": {}, \"referenced_type_descriptions\": [{}]}}",
            individual_json(&self.main),
            referenced.join(", ")
        )
    }
}

fn individual_json(individual: &Individual) -> String {
    let fields: Vec<String> = individual.fields.iter().map(field_json).collect();
    format!("{{\"type_name\": {}, \"fields\": [{}]}}", quote(&individual.name), fields.join(", "))
}

fn field_json(field: &DescribedField) -> String {
    format!(
        "{{\"name\": {}, \"type\": {{\"type_id\": {}, \"capacity\": {}, \"string_capacity\": {}, \"nested_type_name\": {}}}}}",
        quote(&field.name),
        field.type_id,
        field.capacity,
        field.string_capacity,
        quote(&field.nested)
    )
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
