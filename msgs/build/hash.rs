//! RIHS01 type hashes: SHA-256 over the type description in JSON, as `rosidl_generator_type_description` writes it
//! (REP 2016; separators `", "` and `": "`, default values left out, referenced types sorted by name).

use crate::model::Model;
use crate::parser::{Base, Field, Shape};
use sha2::{Digest, Sha256};

/// The hash of a message, service or action by full name, e.g. `RIHS01_...`.
pub fn type_hash(model: &Model, name: &str) -> Result<String, String> {
    let json = description_json(model, name)?;
    let digest = Sha256::digest(json.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("RIHS01_{hex}"))
}

/// The JSON text that is hashed.
pub fn description_json(model: &Model, name: &str) -> Result<String, String> {
    let (own, referenced) = if model.services.contains_key(name) {
        let parts = ["request", "response", "event"];
        compound(model, name, &parts.map(|p| (format!("{p}_message"), format!("{name}_{}", capital(p)))))?
    } else if model.actions.contains_key(name) {
        let parts = [
            ("goal", "Goal"),
            ("result", "Result"),
            ("feedback", "Feedback"),
            ("send_goal_service", "SendGoal"),
            ("get_result_service", "GetResult"),
            ("feedback_message", "FeedbackMessage"),
        ];
        compound(model, name, &parts.map(|(field, part)| (field.to_owned(), format!("{name}_{part}"))))?
    } else {
        let message = model.messages.get(name).ok_or_else(|| format!("type `{name}` is not defined"))?;
        (individual(name, &message.fields), model.references(name)?)
    };
    let mut described = Vec::new();
    for reference in &referenced {
        described.push(describe(model, reference)?);
    }
    Ok(format!("{{\"type_description\": {own}, \"referenced_type_descriptions\": [{}]}}", described.join(", ")))
}

type Parts = std::collections::BTreeSet<String>;

/// A service or an action: fields that name other types, and everything that those refer to.
fn compound(model: &Model, name: &str, parts: &[(String, String)]) -> Result<(String, Parts), String> {
    let mut referenced = Parts::new();
    for (_, part) in parts {
        referenced.insert(part.clone());
        if model.services.contains_key(part) {
            for inner in ["Request", "Response", "Event"] {
                let inner = format!("{part}_{inner}");
                referenced.extend(model.references(&inner)?);
                referenced.insert(inner);
            }
        } else {
            referenced.extend(model.references(part)?);
        }
    }
    Ok((individual(name, &named_fields(parts)), referenced))
}

fn named_fields(parts: &[(String, String)]) -> Vec<Field> {
    let field = |(name, part): &(String, String)| Field {
        name: name.clone(),
        base: Base::Named(part.clone()),
        shape: Shape::Single,
        default: String::new(),
        doc: String::new(),
    };
    parts.iter().map(field).collect()
}

fn describe(model: &Model, name: &str) -> Result<String, String> {
    if model.services.contains_key(name) {
        let parts = ["request", "response", "event"].map(|p| (format!("{p}_message"), format!("{name}_{}", capital(p))));
        return Ok(individual(name, &named_fields(&parts)));
    }
    let message = model.messages.get(name).ok_or_else(|| format!("type `{name}` is not defined"))?;
    Ok(individual(name, &message.fields))
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

fn individual(name: &str, fields: &[Field]) -> String {
    let fields: Vec<String> = fields.iter().map(field_json).collect();
    format!("{{\"type_name\": \"{name}\", \"fields\": [{}]}}", fields.join(", "))
}

fn field_json(field: &Field) -> String {
    let (id, string_capacity, nested) = type_id(&field.base);
    // type_description_interfaces/msg/FieldType: arrays, bounded and unbounded sequences are offsets of the element's id.
    let (offset, capacity) = match field.shape {
        Shape::Single => (0, 0),
        Shape::Array(n) => (48, n),
        Shape::Bounded(n) => (96, n),
        Shape::Unbounded => (144, 0),
    };
    format!(
        "{{\"name\": \"{}\", \"type\": {{\"type_id\": {}, \"capacity\": {capacity}, \"string_capacity\": {string_capacity}, \
         \"nested_type_name\": \"{nested}\"}}}}",
        field.name,
        id + offset
    )
}

/// Id, string bound and nested name of an element type (type_description_interfaces/msg/FieldType).
fn type_id(base: &Base) -> (u32, usize, &str) {
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
