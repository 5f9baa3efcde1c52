//! Type descriptions (REP 2016): what a type consists of, in a form that travels (`type_description_interfaces`), and what differs
//! between two of them.

use crate::definition::catalogue;
use crate::definition::describe::{self, Described, DescribedField, Individual};
use crate::tables;
use crate::type_description_interfaces::msg::{Field, FieldType, IndividualTypeDescription, TypeDescription, TypeSource};

/// The description of an interface of this crate: a message, service or action by its ROS name (`std_srvs/srv/Trigger`), or a message
/// that one of those implies (`std_srvs/srv/Trigger_Event`).
pub fn describe(name: &str) -> Option<TypeDescription> {
    Some(from_described(&describe::describe(catalogue(), name).ok()?))
}

/// The definition files of an interface of this crate and of all that it contains, in the order of its description. What a service or
/// an action implies has no file: its encoding is `implicit` and its text empty.
pub fn sources(name: &str) -> Vec<TypeSource> {
    let Ok(described) = describe::describe(catalogue(), name) else { return Vec::new() };
    let source = |individual: &Individual| {
        let found = tables::SOURCES.binary_search_by(|(name, _)| (*name).cmp(individual.name.as_str())).ok();
        let kind = individual.name.split('/').nth(1).unwrap_or_default();
        TypeSource {
            type_name: individual.name.clone(),
            encoding: found.map_or("implicit", |_| kind).into(),
            raw_file_contents: found.map_or("", |index| tables::SOURCES[index].1).into(),
        }
    };
    std::iter::once(&described.main).chain(&described.referenced).map(source).collect()
}

/// The type hash of a description, `RIHS01_...`.
pub fn hash(description: &TypeDescription) -> String {
    to_described(description).hash()
}

/// Whether a text has the form of a type hash: `RIHS01_` and 64 hexadecimal digits.
pub fn is_hash(text: &str) -> bool {
    text.strip_prefix("RIHS01_").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What differs between two descriptions of a type, in one sentence each; empty if their hashes are equal. Default values are no part
/// of a type's identity and are not compared.
pub fn differences(ours: &TypeDescription, theirs: &TypeDescription) -> Vec<String> {
    let (ours, theirs) = (to_described(ours), to_described(theirs));
    let mut found = Vec::new();
    if ours.main.name != theirs.main.name {
        found.push(format!("the types are different: ours is {}, theirs is {}", ours.main.name, theirs.main.name));
        return found;
    }
    compare(&ours.main, &theirs.main, &mut found);
    for own in &ours.referenced {
        if let Some(other) = theirs.referenced.iter().find(|other| other.name == own.name) {
            compare(own, other, &mut found);
        }
    }
    if found.is_empty() && ours.hash() != theirs.hash() {
        found.push(format!("{}: the descriptions list other types, though no field differs", ours.main.name));
    }
    found
}

fn compare(ours: &Individual, theirs: &Individual, found: &mut Vec<String>) {
    let name = &ours.name;
    let find = |fields: &[DescribedField], name: &str| fields.iter().position(|field| field.name == name);
    let before = found.len();
    for field in &ours.fields {
        let own = type_text(field);
        match find(&theirs.fields, &field.name).map(|at| type_text(&theirs.fields[at])) {
            None => found.push(format!("{name}: field `{}` ({own}) is missing in theirs", field.name)),
            Some(other) if other != own => {
                found.push(format!("{name}: field `{}` is {own} in ours and {other} in theirs", field.name))
            }
            Some(_) => {}
        }
    }
    for field in theirs.fields.iter().filter(|field| find(&ours.fields, &field.name).is_none()) {
        found.push(format!("{name}: theirs has a field `{}` ({}) that ours has not", field.name, type_text(field)));
    }
    if found.len() == before && ours.fields.iter().zip(&theirs.fields).any(|(a, b)| a.name != b.name) {
        let names = |fields: &[DescribedField]| fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
        let (own, other) = (names(&ours.fields), names(&theirs.fields));
        found.push(format!("{name}: the fields stand in another order: ours has {own}, theirs has {other}"));
    }
}

/// A field's type as a definition has it, e.g. `float64[9]`, `string<=5[]`.
fn type_text(field: &DescribedField) -> String {
    const NAMES: [&str; 23] = [
        "nothing",
        "",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float32",
        "float64",
        "long double",
        "char",
        "wchar",
        "bool",
        "byte",
        "string",
        "wstring",
        "fixed string",
        "fixed wstring",
        "string",
        "wstring",
    ];
    let base = match field.type_id % 48 {
        1 => field.nested.clone(),
        id @ (19..=22) => format!("{}<={}", NAMES[usize::from(id)], field.string_capacity),
        id => NAMES.get(usize::from(id)).map_or_else(|| format!("type {id}"), |name| (*name).to_owned()),
    };
    match field.type_id / 48 {
        0 => base,
        1 => format!("{base}[{}]", field.capacity),
        2 => format!("{base}[<={}]", field.capacity),
        _ => format!("{base}[]"),
    }
}

pub(crate) fn from_described(described: &Described) -> TypeDescription {
    let field = |field: &DescribedField| Field {
        name: field.name.clone(),
        type_: FieldType {
            type_id: field.type_id,
            capacity: field.capacity,
            string_capacity: field.string_capacity,
            nested_type_name: field.nested.clone(),
        },
        default_value: field.default.clone(),
    };
    let individual = |individual: &Individual| IndividualTypeDescription {
        type_name: individual.name.clone(),
        fields: individual.fields.iter().map(field).collect(),
    };
    TypeDescription {
        type_description: individual(&described.main),
        referenced_type_descriptions: described.referenced.iter().map(individual).collect(),
    }
}

pub(crate) fn to_described(description: &TypeDescription) -> Described {
    let field = |field: &Field| DescribedField {
        name: field.name.clone(),
        type_id: field.type_.type_id,
        capacity: field.type_.capacity,
        string_capacity: field.type_.string_capacity,
        nested: field.type_.nested_type_name.clone(),
        default: field.default_value.clone(),
    };
    let individual = |individual: &IndividualTypeDescription| Individual {
        name: individual.type_name.clone(),
        fields: individual.fields.iter().map(field).collect(),
    };
    Described {
        main: individual(&description.type_description),
        referenced: description.referenced_type_descriptions.iter().map(individual).collect(),
    }
}
