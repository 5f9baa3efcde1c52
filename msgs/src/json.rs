//! Messages as JSON and as YAML-like text, by walking the field tables: no code per type.
//!
//! JSON has no NaN and no infinities: they are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, both ways.

use crate::cdr::{Error, Reader, Writer};
use crate::definition::describe::{list_items, unquote};
use crate::layout::{FieldView, Layout, min_size};
use crate::{Kind, Shape, walk};
use serde_json::{Map, Value};
use std::fmt::Write;

/// Why a JSON value is not a message of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The type has no such field.
    #[error("{path}: {message_type} has no such field; its fields are {fields}")]
    UnknownField {
        /// Where, e.g. `header.stump`.
        path: String,
        /// Type that was searched.
        message_type: String,
        /// Names of its fields.
        fields: String,
    },
    /// A value has the wrong kind or lies out of range.
    #[error("{path}: {found} is not {wanted}")]
    Value {
        /// Where, e.g. `header.stamp.sec`.
        path: String,
        /// What should stand there.
        wanted: String,
        /// What stands there.
        found: String,
    },
    /// An array has the wrong number of elements, or a string is too long.
    #[error("{path}: {found} elements, wanted {wanted}")]
    Length {
        /// Where.
        path: String,
        /// Allowed number, e.g. `exactly 9`.
        wanted: String,
        /// Number found.
        found: usize,
    },
}

/// Decodes an encoded message into JSON.
///
/// # Errors
/// [`Error`] if the bytes are not an encoding of this type.
pub fn to_json<'a>(layout: impl Layout<'a>, bytes: &[u8]) -> Result<Value, Error> {
    match walk::to_little_endian(layout, bytes)? {
        None => read_message(layout, &mut Reader::new(bytes)?),
        Some(turned) => read_message(layout, &mut Reader::new(&turned)?),
    }
}

/// Encodes a message given as JSON; `null` and fields that are left out stand for defaults.
///
/// # Errors
/// [`JsonError`] names the field that does not fit.
pub fn from_json<'a>(layout: impl Layout<'a>, value: &Value) -> Result<Vec<u8>, JsonError> {
    // A definition may come from anywhere: what it says a message takes is no reason to set it aside at once.
    let mut writer = Writer::with_capacity(layout.min_size().min(ROOM));
    write_message(layout, value, "", &mut writer)?;
    Ok(writer.finish())
}

/// Decodes an encoded message into text with one field a line, in the order of the definition; arrays are cut after
/// `max_elements`, and strings after as many characters.
///
/// # Errors
/// [`Error`] if the bytes are not an encoding of this type.
pub fn to_text<'a>(layout: impl Layout<'a>, bytes: &[u8], max_elements: usize) -> Result<String, Error> {
    let value = to_json(layout, bytes)?;
    let mut out = String::new();
    text_fields(layout, &value, 0, max_elements, &mut out);
    Ok(out)
}

/// Bytes that are set aside for a message before it is written.
const ROOM: usize = 64 << 10;

fn read_message<'a, L: Layout<'a>>(layout: L, r: &mut Reader<'_>) -> Result<Value, Error> {
    let mut map = Map::new();
    for field in layout.fields() {
        let value = match field.shape {
            Shape::Single => read_one(field.kind, r)?,
            Shape::Array(count) => read_many(field.kind, count, r)?,
            Shape::Sequence(bound) => {
                let count = r.get_length(bound, min_size(field.kind))?;
                read_many(field.kind, count, r)?
            }
        };
        map.insert(field.name.to_owned(), value);
    }
    if map.is_empty() {
        r.get::<u8>()?;
    }
    Ok(Value::Object(map))
}

fn read_many<'a, L: Layout<'a>>(kind: Kind<L>, count: usize, r: &mut Reader<'_>) -> Result<Value, Error> {
    let mut values = Vec::with_capacity(count.min(r.remaining()));
    for _ in 0..count {
        values.push(read_one(kind, r)?);
    }
    Ok(Value::Array(values))
}

fn read_one<'a, L: Layout<'a>>(kind: Kind<L>, r: &mut Reader<'_>) -> Result<Value, Error> {
    Ok(match kind {
        Kind::Bool => r.get::<bool>()?.into(),
        Kind::I8 => r.get::<i8>()?.into(),
        Kind::U8 => r.get::<u8>()?.into(),
        Kind::I16 => r.get::<i16>()?.into(),
        Kind::U16 => r.get::<u16>()?.into(),
        Kind::I32 => r.get::<i32>()?.into(),
        Kind::U32 => r.get::<u32>()?.into(),
        Kind::I64 => r.get::<i64>()?.into(),
        Kind::U64 => r.get::<u64>()?.into(),
        Kind::F32 => {
            let value = r.get::<f32>()?;
            // The shortest decimal that reads back as this f32: 0.1, not 0.10000000149.
            let shortest = value.to_string().parse().unwrap_or_else(|_| f64::from(value));
            float(shortest)
        }
        Kind::F64 => float(r.get()?),
        Kind::String(bound) => r.get_string(bound)?.into(),
        Kind::WString(bound) => r.get_wstring(bound)?.into(),
        Kind::Message(inner) => read_message(inner, r)?,
    })
}

fn float(value: f64) -> Value {
    if value.is_finite() {
        value.into()
    } else if value.is_nan() {
        "NaN".into()
    } else if value > 0.0 {
        "Infinity".into()
    } else {
        "-Infinity".into()
    }
}

fn write_message<'a, L: Layout<'a>>(ty: L, value: &Value, path: &str, w: &mut Writer) -> Result<(), JsonError> {
    let empty = Map::new();
    let map = match value {
        Value::Null => &empty,
        Value::Object(map) => map,
        other => return Err(mismatch(path, format!("an object ({})", ty.name()), other)),
    };
    for name in map.keys() {
        if !ty.fields().any(|f| f.name == name) {
            let fields = ty.fields().map(|f| f.name).collect::<Vec<_>>().join(", ");
            return Err(JsonError::UnknownField { path: join(path, name), message_type: ty.name().to_owned(), fields });
        }
    }
    if ty.fields().next().is_none() {
        w.put(0_u8);
    }
    for field in ty.fields() {
        let default = default_value(&field);
        let value = map.get(field.name).filter(|v| !v.is_null()).unwrap_or(&default);
        let path = join(path, field.name);
        match field.shape {
            Shape::Single => write_one(field.kind, value, &path, w)?,
            Shape::Array(count) if value.is_null() => {
                for _ in 0..count {
                    write_one(field.kind, value, &path, w)?;
                }
            }
            Shape::Array(count) => {
                let items = elements(value, &path, Some(count), true)?;
                write_many(field.kind, items, &path, w)?;
            }
            Shape::Sequence(_) if value.is_null() => w.put_length(0),
            Shape::Sequence(bound) => {
                let items = elements(value, &path, bound, false)?;
                w.put_length(items.len());
                write_many(field.kind, items, &path, w)?;
            }
        }
    }
    Ok(())
}

fn write_many<'a, L: Layout<'a>>(kind: Kind<L>, items: &[Value], path: &str, w: &mut Writer) -> Result<(), JsonError> {
    for (index, item) in items.iter().enumerate() {
        write_one(kind, item, &format!("{path}[{index}]"), w)?;
    }
    Ok(())
}

/// The field's default as JSON; `null` for the zero of its type.
fn default_value<'a, L: Layout<'a>>(field: &FieldView<'a, L>) -> Value {
    let element = |text: &str| match field.kind {
        Kind::String(_) | Kind::WString(_) => unquote(text).into(),
        Kind::Bool => matches!(text.to_ascii_lowercase().as_str(), "true" | "1").into(),
        Kind::F32 | Kind::F64 => text.parse::<f64>().map_or_else(|_| text.into(), float),
        _ => serde_json::from_str(text.trim_start_matches('+')).unwrap_or_else(|_| text.into()),
    };
    match field.shape {
        _ if field.default.is_empty() => Value::Null,
        Shape::Single => element(field.default),
        Shape::Array(_) | Shape::Sequence(_) => list_items(field.default).iter().map(|item| element(item)).collect(),
    }
}

fn elements<'v>(value: &'v Value, path: &str, count: Option<usize>, exact: bool) -> Result<&'v [Value], JsonError> {
    let Value::Array(items) = value else {
        return Err(mismatch(path, "an array".into(), value));
    };
    let found = items.len();
    match count {
        Some(count) if exact && found != count => {
            Err(JsonError::Length { path: path.into(), wanted: format!("exactly {count}"), found })
        }
        Some(bound) if found > bound => Err(JsonError::Length { path: path.into(), wanted: format!("at most {bound}"), found }),
        _ => Ok(items),
    }
}

fn write_one<'a, L: Layout<'a>>(kind: Kind<L>, value: &Value, path: &str, w: &mut Writer) -> Result<(), JsonError> {
    match kind {
        Kind::Bool if value.is_null() => w.put(false),
        Kind::Bool => w.put(value.as_bool().ok_or_else(|| mismatch(path, "true or false".into(), value))?),
        Kind::I8 => w.put(integer::<i8>(value, path)?),
        Kind::U8 => w.put(integer::<u8>(value, path)?),
        Kind::I16 => w.put(integer::<i16>(value, path)?),
        Kind::U16 => w.put(integer::<u16>(value, path)?),
        Kind::I32 => w.put(integer::<i32>(value, path)?),
        Kind::U32 => w.put(integer::<u32>(value, path)?),
        Kind::I64 => w.put(integer::<i64>(value, path)?),
        Kind::U64 => w.put(integer::<u64>(value, path)?),
        // Narrowing to the nearest f32 is what the field's type asks for.
        Kind::F32 => w.put(number(value, path)? as f32),
        Kind::F64 => w.put(number(value, path)?),
        Kind::String(_) if value.is_null() => w.put_string(""),
        Kind::String(bound) => {
            let text = value.as_str().ok_or_else(|| mismatch(path, "a string".into(), value))?;
            if let Some(bound) = bound.filter(|bound| text.len() > *bound) {
                let wanted = format!("at most {bound} bytes");
                return Err(JsonError::Length { path: path.into(), wanted, found: text.len() });
            }
            w.put_string(text);
        }
        Kind::WString(bound) => {
            let text = if value.is_null() { Some("") } else { value.as_str() };
            let text = text.ok_or_else(|| mismatch(path, "a string".into(), value))?;
            let found = text.encode_utf16().count();
            if let Some(bound) = bound.filter(|bound| found > *bound) {
                return Err(JsonError::Length { path: path.into(), wanted: format!("at most {bound} UTF-16 units"), found });
            }
            w.put_wstring(text);
        }
        Kind::Message(inner) => write_message(inner, value, path, w)?,
    }
    Ok(())
}

fn integer<T: TryFrom<i128> + Default>(value: &Value, path: &str) -> Result<T, JsonError> {
    if value.is_null() {
        return Ok(T::default());
    }
    let wide = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    let fits = wide.and_then(|wide| T::try_from(wide).ok());
    fits.ok_or_else(|| mismatch(path, format!("an integer that fits {}", std::any::type_name::<T>()), value))
}

fn number(value: &Value, path: &str) -> Result<f64, JsonError> {
    match value {
        Value::Null => Ok(0.0),
        Value::String(text) => match text.trim_start_matches('.').to_lowercase().as_str() {
            "nan" => Ok(f64::NAN),
            "infinity" | "inf" => Ok(f64::INFINITY),
            "-infinity" | "-inf" | "-.inf" => Ok(f64::NEG_INFINITY),
            _ => Err(mismatch(path, "a number".into(), value)),
        },
        other => other.as_f64().ok_or_else(|| mismatch(path, "a number".into(), value)),
    }
}

fn mismatch(path: &str, wanted: String, value: &Value) -> JsonError {
    let mut found = value.to_string();
    if found.chars().count() > 60 {
        found = found.chars().take(60).collect::<String>() + "...";
    }
    let path = if path.is_empty() { "message".to_owned() } else { path.to_owned() };
    JsonError::Value { path, wanted, found }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn text_fields<'a, L: Layout<'a>>(ty: L, value: &Value, depth: usize, max: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    if ty.fields().next().is_none() {
        let _ = writeln!(out, "{indent}{{}}");
    }
    for field in ty.fields() {
        let value = &value[field.name];
        match (field.shape, field.kind, value) {
            (Shape::Single, Kind::Message(inner), _) => {
                let _ = writeln!(out, "{indent}{}:", field.name);
                text_fields(inner, value, depth + 1, max, out);
            }
            (Shape::Single, _, _) => {
                let _ = writeln!(out, "{indent}{}: {}", field.name, scalar(value, max));
            }
            (_, Kind::Message(inner), Value::Array(items)) if !items.is_empty() => {
                let _ = writeln!(out, "{indent}{}:", field.name);
                for item in items.iter().take(max) {
                    let _ = writeln!(out, "{indent}-");
                    text_fields(inner, item, depth + 1, max, out);
                }
                if items.len() > max {
                    let _ = writeln!(out, "{indent}# and {} more", items.len() - max);
                }
            }
            (_, _, Value::Array(items)) => {
                let shown: Vec<String> = items.iter().take(max).map(|item| scalar(item, max)).collect();
                let more = if items.len() > max { format!("  # and {} more", items.len() - max) } else { String::new() };
                let _ = writeln!(out, "{indent}{}: [{}]{more}", field.name, shown.join(", "));
            }
            _ => {}
        }
    }
}

fn scalar(value: &Value, max: usize) -> String {
    match value {
        Value::String(text) if text.chars().count() > max => {
            let cut: String = text.chars().take(max).collect();
            format!("{cut:?}...")
        }
        Value::String(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            text.replace("NaN", ".nan").replace("Infinity", ".inf")
        }
        other => other.to_string(),
    }
}
