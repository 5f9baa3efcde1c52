//! Reads one ROS 2 interface definition (`.msg`, `.srv`, `.action`). Used by the build script and at run time.
//!
//! The grammar is the one of "About ROS 2 interfaces": `type name [default]`, `type NAME = value`, `#` comments, `---` between
//! the sections of services and actions.

/// A parsed definition file.
#[derive(Debug, Clone)]
pub struct Interface {
    pub package: String,
    /// `msg`, `srv` or `action`.
    pub kind: String,
    pub name: String,
    /// One section for a message, two for a service, three for an action.
    pub sections: Vec<Section>,
}

/// What stands between two `---` lines.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// The text as written.
    pub text: String,
    /// Comment lines before the first declaration.
    pub doc: Vec<String>,
    pub fields: Vec<Field>,
    pub constants: Vec<Constant>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub base: Base,
    pub shape: Shape,
    /// Default value as written, empty if none.
    pub default: String,
    /// Trailing comment, empty if none.
    pub doc: String,
}

#[derive(Debug, Clone)]
pub struct Constant {
    pub name: String,
    pub base: Base,
    pub value: String,
    pub doc: String,
}

/// Element type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Bool,
    Byte,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    /// With the largest number of bytes, 0 for unbounded.
    String(usize),
    WString(usize),
    /// Full name, e.g. `std_msgs/msg/Header`.
    Named(String),
}

/// How many elements a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Single,
    Array(usize),
    Bounded(usize),
    Unbounded,
}

/// Parses the text of `<package>/<kind>/<name>`.
pub fn parse(package: &str, kind: &str, name: &str, text: &str) -> Result<Interface, String> {
    let expected = match kind {
        "msg" => 1,
        "srv" => 2,
        "action" => 3,
        other => return Err(format!("unknown kind of interface `{other}`")),
    };
    let mut sections = vec![Section::default()];
    for (index, line) in text.lines().enumerate() {
        if kind != "msg" && line.trim() == "---" {
            sections.push(Section::default());
            continue;
        }
        // `sections` starts with one element and only grows.
        let last = sections.len() - 1;
        let section = &mut sections[last];
        section.text.push_str(line);
        section.text.push('\n');
        parse_line(package, line, section).map_err(|e| format!("line {}: {e}", index + 1))?;
    }
    if sections.len() != expected {
        return Err(format!("{} sections, but a .{kind} has {expected}", sections.len()));
    }
    Ok(Interface { package: package.into(), kind: kind.into(), name: name.into(), sections })
}

fn parse_line(package: &str, line: &str, section: &mut Section) -> Result<(), String> {
    let (code, comment) = split_comment(line);
    let (code, comment) = (code.trim(), comment.trim());
    if code.is_empty() {
        if !comment.is_empty() && section.fields.is_empty() && section.constants.is_empty() {
            section.doc.push(comment.to_owned());
        }
        return Ok(());
    }
    let (type_text, rest) = code.split_once(char::is_whitespace).ok_or_else(|| format!("`{code}` has a type but no name"))?;
    let rest = rest.trim();
    let (base, shape) = parse_type(package, type_text)?;
    let name_end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
    let (name, tail) = (&rest[..name_end], rest[name_end..].trim());
    if let Some(value) = tail.strip_prefix('=') {
        check_name(name, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')?;
        if shape != Shape::Single || matches!(base, Base::Named(_)) {
            return Err(format!("constant `{name}` must be of a primitive type or a string"));
        }
        let value = value.trim().to_owned();
        section.constants.push(Constant { name: name.into(), base, value, doc: comment.into() });
    } else {
        check_name(name, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')?;
        if section.fields.iter().any(|f| f.name == name) {
            return Err(format!("field `{name}` is declared twice"));
        }
        section.fields.push(Field { name: name.into(), base, shape, default: tail.into(), doc: comment.into() });
    }
    Ok(())
}

/// Splits at the first `#` that does not stand inside quotes.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quote = None;
    for (index, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return (&line[..index], &line[index + 1..]),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    (line, "")
}

fn check_name(name: &str, allowed: impl Fn(char) -> bool) -> Result<(), String> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well || !name.chars().all(allowed) || name.ends_with('_') || name.contains("__") {
        return Err(format!("`{name}` is not a valid name here"));
    }
    Ok(())
}

fn parse_type(package: &str, text: &str) -> Result<(Base, Shape), String> {
    let (base_text, shape) = match text.strip_suffix(']') {
        None => (text, Shape::Single),
        Some(rest) => {
            let (base, size) = rest.rsplit_once('[').ok_or_else(|| format!("`{text}`: `]` without `[`"))?;
            let shape = if size.is_empty() {
                Shape::Unbounded
            } else if let Some(bound) = size.strip_prefix("<=") {
                Shape::Bounded(positive(bound)?)
            } else {
                Shape::Array(positive(size)?)
            };
            (base, shape)
        }
    };
    let (stem, bound) = match base_text.split_once("<=") {
        None => (base_text, 0),
        Some((stem, bound)) => (stem, positive(bound)?),
    };
    let base = match stem {
        "string" => Base::String(bound),
        "wstring" => Base::WString(bound),
        _ if bound != 0 => return Err(format!("`{text}`: only strings have a bound of their own")),
        "bool" => Base::Bool,
        "byte" => Base::Byte,
        "int8" => Base::I8,
        // ROS 2: char is an alias of uint8.
        "uint8" | "char" => Base::U8,
        "int16" => Base::I16,
        "uint16" => Base::U16,
        "int32" => Base::I32,
        "uint32" => Base::U32,
        "int64" => Base::I64,
        "uint64" => Base::U64,
        "float32" => Base::F32,
        "float64" => Base::F64,
        named => Base::Named(full_name(package, named)?),
    };
    Ok((base, shape))
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a positive number")),
        Ok(n) => Ok(n),
    }
}

fn full_name(package: &str, text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (package, name) = match parts[..] {
        [name] => (package, name),
        [package, name] | [package, "msg", name] => (package, name),
        _ => return Err(format!("`{text}` is not a type")),
    };
    let camel = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    let kind = if camel { Some("msg") } else { implied_kind(name) };
    match kind {
        Some(kind) => Ok(format!("{package}/{kind}/{name}")),
        None => Err(format!("`{text}` is neither a primitive type nor the name of a message")),
    }
}

/// `srv` or `action` for the name of a message that a service or an action implies, such as `SetGoal_Request`: only those have an
/// underscore, and definition texts leave the kind out.
pub fn implied_kind(name: &str) -> Option<&'static str> {
    let (stem, rest) = name.split_once('_')?;
    let camel = stem.starts_with(|c: char| c.is_ascii_uppercase()) && stem.chars().all(|c| c.is_ascii_alphanumeric());
    let part = |part: &str| matches!(part, "Request" | "Response" | "Event");
    match rest.split_once('_') {
        _ if !camel => None,
        None if part(rest) => Some("srv"),
        None if matches!(rest, "Goal" | "Result" | "Feedback" | "FeedbackMessage") => Some("action"),
        Some(("SendGoal" | "GetResult", last)) if part(last) => Some("action"),
        _ => None,
    }
}
