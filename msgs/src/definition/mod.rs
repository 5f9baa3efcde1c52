//! Message types that are known only at run time: from a definition text (as bags carry it) or from a type description (as nodes
//! give it), with their type hash and a codec between CDR and JSON.
//!
//! ```
//! use msgs::definition::Definition;
//! let text = "Point position\nstring<=5 name \"a\"\n\
//!     ================================================================================\nMSG: demo/Point\nfloat32 x\n";
//! let spot = Definition::parse("demo/msg/Spot", text).unwrap();
//! let bytes = spot.encode_json(&serde_json::json!({ "position": { "x": 1.5 } })).unwrap();
//! assert_eq!(bytes, b"\0\x01\0\0\0\0\xc0\x3f\x02\0\0\0a\0");
//! assert_eq!(spot.decode_json(&bytes).unwrap()["position"]["x"], 1.5);
//! assert!(spot.hash().starts_with("RIHS01_"));
//! ```

pub(crate) mod describe;
#[allow(dead_code)] // What is implied and what is written matters to the build script only.
pub(crate) mod model;
#[allow(dead_code)] // So do constants and comments.
pub(crate) mod parser;
mod text;

use crate::json::{self, JsonError};
use crate::layout::{FieldView, Layout};
use crate::type_description_interfaces::msg::TypeDescription;
use crate::{Kind, Shape, cdr, description, tables, walk};
use describe::{Described, DescribedField, Individual};
use model::{EMPTY_FIELD, Model};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Types that one definition may have: more is a mistake or an attack.
const MAX_TYPES: usize = 2000;
/// Bytes that a value of fixed size may take.
const MAX_FIXED_SIZE: usize = 1 << 28;
/// How deep messages may lie in each other.
const MAX_DEPTH: usize = 64;

/// Why a text or a description is not a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// A name is not one of a ROS 2 message.
    #[error("`{0}` is not the name of a message (package/msg/Name)")]
    Name(String),
    /// The text of a type cannot be read.
    #[error("{type_name}: {reason}")]
    Text {
        /// Which type.
        type_name: String,
        /// What is wrong, with the line.
        reason: String,
    },
    /// The types do not fit together: one is missing, contains itself, is there twice, or is too large.
    #[error("{0}")]
    Types(String),
}

/// A message type known at run time.
#[derive(Debug, Clone)]
pub struct Definition {
    described: Described,
    /// The first is the type itself.
    types: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    min_size: usize,
    /// How many types lie in each other in it.
    height: usize,
    fields: Vec<EntryField>,
}

#[derive(Debug, Clone)]
struct EntryField {
    name: String,
    kind: Kind<usize>,
    shape: Shape,
    default: String,
}

/// The [`Layout`] of a [`Definition`].
#[derive(Debug, Clone, Copy)]
pub struct DefinitionLayout<'a> {
    definition: &'a Definition,
    index: usize,
}

/// Reads a definition text: [`Definition::parse`].
///
/// # Errors
/// As [`Definition::parse`].
pub fn parse(type_name: &str, text: &str) -> Result<Definition, DefinitionError> {
    Definition::parse(type_name, text)
}

impl Definition {
    /// Reads the definition of a message with its dependencies, in the form of MCAP's `ros2msg` schema encoding: the type's own text,
    /// and for each dependency a line of `=`, a line `MSG: package/Name` and its text. Types that this crate has are not looked up:
    /// the text says it all.
    ///
    /// # Errors
    /// [`DefinitionError`] names the type and line that cannot be read, or what does not fit together.
    pub fn parse(type_name: &str, text: &str) -> Result<Self, DefinitionError> {
        let mut sections = vec![(type_name.to_owned(), String::new())];
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.len() >= 40 && line.bytes().all(|b| b == b'=') {
                let heading = lines.next().unwrap_or_default();
                let name = heading.strip_prefix("MSG:").ok_or_else(|| DefinitionError::Text {
                    type_name: type_name.to_owned(),
                    reason: format!("`{heading}` stands where `MSG: package/Name` should"),
                })?;
                sections.push((name.trim().to_owned(), String::new()));
            } else if let Some((_, section)) = sections.last_mut() {
                section.push_str(line);
                section.push('\n');
            }
        }
        if sections.len() > MAX_TYPES {
            return Err(DefinitionError::Types(format!("{} types, at most {MAX_TYPES} are read", sections.len())));
        }
        let mut messages = Vec::new();
        for (name, text) in &sections {
            let (package, kind, short) = split_name(name)?;
            let wrong = |reason| DefinitionError::Text { type_name: name.clone(), reason };
            let parsed = parser::parse(package, "msg", short, text).map_err(wrong)?;
            let section = parsed.sections.into_iter().next().unwrap_or_default();
            messages.push((package.to_owned(), kind.to_owned(), short.to_owned(), section));
        }
        let (package, kind, short) = split_name(type_name)?;
        let model = Model::of_messages(messages).map_err(DefinitionError::Types)?;
        let described = describe::describe(&model, &format!("{package}/{kind}/{short}")).map_err(DefinitionError::Types)?;
        Self::of(described)
    }

    /// The type of a description, such as a node's `~/get_type_description` gives.
    ///
    /// # Errors
    /// [`DefinitionError::Types`] if a type is missing, contains itself, is there twice, is too large, or has a field of a type that
    /// ROS 2 messages cannot have.
    pub fn from_description(description: &TypeDescription) -> Result<Self, DefinitionError> {
        Self::of(description::to_described(description))
    }

    fn of(described: Described) -> Result<Self, DefinitionError> {
        let all: Vec<&Individual> = std::iter::once(&described.main).chain(&described.referenced).collect();
        if all.len() > MAX_TYPES {
            return Err(DefinitionError::Types(format!("{} types, at most {MAX_TYPES} are read", all.len())));
        }
        let mut index = HashMap::new();
        for (number, individual) in all.iter().enumerate() {
            if index.insert(individual.name.as_str(), number).is_some() {
                return Err(DefinitionError::Types(format!("type `{}` is there twice", individual.name)));
            }
        }
        let mut types = Vec::with_capacity(all.len());
        for individual in &all {
            let empty = matches!(individual.fields.as_slice(), [only] if only.name == EMPTY_FIELD);
            let fields = if empty { &[][..] } else { &individual.fields[..] };
            let fields = fields.iter().map(|field| entry_field(field, &index));
            let fields: Result<Vec<_>, String> = fields.collect();
            let fields = fields.map_err(|e| DefinitionError::Types(format!("{}: {e}", individual.name)))?;
            types.push(Entry { name: individual.name.clone(), min_size: 0, height: 0, fields });
        }
        for number in 0..types.len() {
            measure(&mut types, number, 0).map_err(DefinitionError::Types)?;
        }
        Ok(Self { described, types })
    }

    /// ROS name, e.g. `demo/msg/Spot`.
    pub fn name(&self) -> &str {
        &self.described.main.name
    }

    /// Type hash, `RIHS01_...`.
    pub fn hash(&self) -> String {
        self.described.hash()
    }

    /// The type description.
    pub fn description(&self) -> TypeDescription {
        description::from_described(&self.described)
    }

    /// What the walkers of [`json`] take.
    pub fn layout(&self) -> DefinitionLayout<'_> {
        DefinitionLayout { definition: self, index: 0 }
    }

    /// Decodes an encoded message into JSON.
    ///
    /// # Errors
    /// [`cdr::Error`] if the bytes are not an encoding of this type.
    pub fn decode_json(&self, bytes: &[u8]) -> Result<Value, cdr::Error> {
        json::to_json(self.layout(), bytes)
    }

    /// Encodes a message given as JSON; fields that are left out get their defaults.
    ///
    /// # Errors
    /// [`JsonError`] names the field that does not fit.
    pub fn encode_json(&self, value: &Value) -> Result<Vec<u8>, JsonError> {
        json::from_json(self.layout(), value)
    }

    /// Checks an encoded message and normalises it: little-endian, padding zero, nothing after the message.
    ///
    /// # Errors
    /// [`cdr::Error`] if the bytes are not an encoding of this type.
    pub fn recode(&self, bytes: &[u8]) -> Result<Vec<u8>, cdr::Error> {
        walk::recode(self.layout(), bytes)
    }
}

impl<'a> Layout<'a> for DefinitionLayout<'a> {
    fn name(self) -> &'a str {
        &self.definition.types[self.index].name
    }

    fn min_size(self) -> usize {
        self.definition.types[self.index].min_size
    }

    fn fields(self) -> impl Iterator<Item = FieldView<'a, Self>> {
        let definition = self.definition;
        definition.types[self.index].fields.iter().map(move |field| FieldView {
            name: &field.name,
            kind: nested(field.kind, |index| DefinitionLayout { definition, index }),
            shape: field.shape,
            default: &field.default,
        })
    }
}

fn nested<M, N>(kind: Kind<M>, convert: impl Fn(M) -> N) -> Kind<N> {
    match kind {
        Kind::Message(inner) => Kind::Message(convert(inner)),
        Kind::Bool => Kind::Bool,
        Kind::I8 => Kind::I8,
        Kind::U8 => Kind::U8,
        Kind::I16 => Kind::I16,
        Kind::U16 => Kind::U16,
        Kind::I32 => Kind::I32,
        Kind::U32 => Kind::U32,
        Kind::I64 => Kind::I64,
        Kind::U64 => Kind::U64,
        Kind::F32 => Kind::F32,
        Kind::F64 => Kind::F64,
        Kind::String(bound) => Kind::String(bound),
        Kind::WString(bound) => Kind::WString(bound),
    }
}

/// Package, kind and short name of a message.
fn split_name(name: &str) -> Result<(&str, &str, &str), DefinitionError> {
    let refuse = || DefinitionError::Name(name.to_owned());
    let parts: Vec<&str> = name.split('/').collect();
    let (package, kind, short) = match parts[..] {
        [package, short] => (package, None, short),
        [package, kind @ ("msg" | "srv" | "action"), short] => (package, Some(kind), short),
        _ => return Err(refuse()),
    };
    let camel = short.starts_with(|c: char| c.is_ascii_uppercase()) && short.chars().all(|c| c.is_ascii_alphanumeric());
    let wanted = if camel { "msg" } else { parser::implied_kind(short).ok_or_else(refuse)? };
    let valid = package.starts_with(|c: char| c.is_ascii_lowercase())
        && package.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    // Some writers say `msg` for what a service implies.
    if !valid || kind.is_some_and(|kind| kind != wanted && kind != "msg") {
        return Err(refuse());
    }
    Ok((package, wanted, short))
}

fn entry_field(field: &DescribedField, index: &HashMap<&str, usize>) -> Result<EntryField, String> {
    let count = |number: u64| usize::try_from(number).map_err(|_| format!("field `{}`: {number} elements", field.name));
    let capacity = count(field.capacity)?;
    // type_description_interfaces/msg/FieldType: arrays, bounded and unbounded sequences are offsets of the element's id.
    let (shape, id) = match field.type_id {
        id @ 0..48 => (Shape::Single, id),
        id @ 48..96 => (Shape::Array(capacity), id - 48),
        id @ 96..144 => (Shape::Sequence(Some(capacity)), id - 96),
        id => (Shape::Sequence(None), id - 144),
    };
    let bound = count(field.string_capacity)?;
    let kind = match id {
        1 => Kind::Message(*index.get(field.nested.as_str()).ok_or_else(|| format!("type `{}` is not defined", field.nested))?),
        2 => Kind::I8,
        3 | 13 | 16 => Kind::U8,
        4 => Kind::I16,
        5 => Kind::U16,
        6 => Kind::I32,
        7 => Kind::U32,
        8 => Kind::I64,
        9 => Kind::U64,
        10 => Kind::F32,
        11 => Kind::F64,
        15 => Kind::Bool,
        17 => Kind::String(None),
        18 => Kind::WString(None),
        21 => Kind::String(Some(bound)),
        22 => Kind::WString(Some(bound)),
        _ => return Err(format!("field `{}` has type {}, which messages cannot have", field.name, field.type_id)),
    };
    Ok(EntryField { name: field.name.clone(), kind, shape, default: written_default(field, kind, shape) })
}

/// A default as a definition text has it, from the form that a description has.
fn written_default(field: &DescribedField, kind: Kind<usize>, shape: Shape) -> String {
    match (shape, kind) {
        _ if field.default.is_empty() => String::new(),
        (Shape::Single, Kind::String(_) | Kind::WString(_)) => format!("\"{}\"", field.default.replace('"', "\\\"")),
        (Shape::Single, _) => field.default.clone(),
        _ => format!("[{}]", field.default.trim_start_matches('(').trim_end_matches(')').trim_end_matches(',')),
    }
}

/// Fills in the least size of a type and of those that it contains, and how deep they lie in each other. A size of 0 stands for "not known
/// yet": no type has that size.
fn measure(types: &mut [Entry], number: usize, depth: usize) -> Result<usize, String> {
    // What lies in a type that was measured before counts from here as well.
    if depth + types[number].height > MAX_DEPTH {
        return Err(format!("`{}` contains itself, or types lie in each other more than {MAX_DEPTH} deep", types[number].name));
    }
    if types[number].min_size > 0 {
        return Ok(types[number].min_size);
    }
    let (mut size, mut height) = (0_usize, 0);
    for at in 0..types[number].fields.len() {
        let (kind, shape) = (types[number].fields[at].kind, types[number].fields[at].shape);
        let element = match kind {
            Kind::Bool | Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 | Kind::String(_) | Kind::WString(_) => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
            Kind::Message(inner) => {
                let size = measure(types, inner, depth + 1)?;
                height = height.max(types[inner].height + 1);
                size
            }
        };
        let field = match shape {
            Shape::Single => element,
            Shape::Array(count) => count.saturating_mul(element),
            Shape::Sequence(_) => 4,
        };
        size = size.saturating_add(field);
    }
    if size > MAX_FIXED_SIZE {
        return Err(format!("`{}` takes {size} bytes at least, more than {MAX_FIXED_SIZE}", types[number].name));
    }
    (types[number].min_size, types[number].height) = (size.max(1), height);
    Ok(size.max(1))
}

/// All interfaces that this crate has, parsed once.
pub(crate) fn catalogue() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let read = |(name, text): &(&str, &str)| {
            let mut parts = name.split('/');
            let mut next = || parts.next().unwrap_or_default();
            parser::parse(next(), next(), next(), text)
        };
        // The build script has read the same texts with the same parser.
        let interfaces: Result<Vec<_>, String> = tables::SOURCES.iter().map(read).collect();
        interfaces.and_then(Model::build).unwrap_or_default()
    })
}
