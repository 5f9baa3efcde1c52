//! YAML with positions: a tree in which every key and value knows its line, so that each launch-file error can name one.

use super::scalar::resolve_parameter;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// A YAML value and the line (1-based) it starts on.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    /// Line of the file, from 1.
    pub line: usize,
    /// What stands there.
    pub kind: Kind,
}

/// The kinds of YAML values, resolved with the YAML 1.2 core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Text, quoted or plain.
    Text(String),
    /// A sequence.
    List(Vec<Yaml>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One `key: value` of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as written.
    pub key: String,
    /// Line of the key, from 1.
    pub line: usize,
    /// Its value.
    pub value: Yaml,
}

/// Why a text is not usable YAML.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{message}")]
pub struct YamlError {
    /// Line of the text, from 1.
    pub line: usize,
    /// What is wrong, in words.
    pub message: String,
}

impl Yaml {
    /// Parses one document. An empty text is `Null`.
    ///
    /// # Errors
    /// Bad syntax, a key that occurs twice, a key that is not a scalar, an unknown alias, nesting deeper than 64, or more
    /// than one document; each with its line.
    pub fn parse(text: &str) -> Result<Self, YamlError> {
        Self::parse_with(text, resolve_plain)
    }

    /// As [`Yaml::parse`], with plain scalars read by the rules of ROS 2's parameter files.
    ///
    /// # Errors
    /// As [`Yaml::parse`].
    pub fn parse_parameters(text: &str) -> Result<Self, YamlError> {
        Self::parse_with(text, resolve_parameter)
    }

    fn parse_with(text: &str, resolve: fn(&str) -> Kind) -> Result<Self, YamlError> {
        let mut builder = Builder { text, events: Parser::new_from_str(text), anchors: BTreeMap::new(), copied: 0, resolve };
        builder.document()
    }

    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::List(items) => items.iter().map(Self::count).sum(),
            Kind::Map(entries) => entries.iter().map(|e| e.value.count()).sum(),
            _ => 0,
        }
    }

    /// What kind of value this is, for messages: "a list", "text", ...
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Int(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }
}

/// Plain scalars by the YAML 1.2 core schema (chapter 10.3.2), without the octal and hexadecimal forms of strings.
#[must_use]
pub fn resolve_plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".inf" | "+.inf" | ".Inf" => return Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" => return Kind::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" => return Kind::Float(f64::NAN),
        _ => {}
    }
    if let Some(hex) = text.strip_prefix("0x")
        && let Ok(value) = i64::from_str_radix(hex, 16)
    {
        return Kind::Int(value);
    }
    if let Ok(value) = text.parse::<i64>() {
        return Kind::Int(value);
    }
    // `f64::from_str` also takes "nan", "inf" and "infinity", which are text in YAML.
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if numeric
        && text.bytes().any(|b| b.is_ascii_digit())
        && let Ok(value) = text.parse::<f64>()
    {
        return Kind::Float(value);
    }
    Kind::Text(text.to_owned())
}

const MAX_DEPTH: usize = 64;
/// Aliases of aliases grow exponentially; no launch file needs as many.
const MAX_COPIED: usize = 10_000;

struct Builder<'a> {
    text: &'a str,
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Yaml>,
    copied: usize,
    resolve: fn(&str) -> Kind,
}

type Next<'a> = (Event<'a>, usize);

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Next<'a>, YamlError> {
        match self.events.next() {
            // The parser writes `~` where nothing stands.
            Some(Ok((Event::Scalar(text, ScalarStyle::Plain, anchor, tag), span)))
                if text == "~" && self.text.chars().nth(span.start.index()) != Some('~') =>
            {
                Ok((Event::Scalar("".into(), ScalarStyle::Plain, anchor, tag), span.start.line()))
            }
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(e)) => Err(YamlError { line: e.marker().line(), message: format!("not valid YAML: {}", e.info()) }),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn document(&mut self) -> Result<Yaml, YamlError> {
        let mut root = None;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                other => {
                    if root.is_some() {
                        return Err(YamlError { line, message: "a second document in one file".into() });
                    }
                    root = Some(self.value(other, line, 0)?);
                }
            }
        }
        Ok(root.unwrap_or(Yaml { line: 1, kind: Kind::Null }))
    }

    fn value(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Yaml, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError { line, message: format!("nested deeper than {MAX_DEPTH} levels") });
        }
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let words =
                    style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let kind = if words { Kind::Text(text.into_owned()) } else { (self.resolve)(&text) };
                (kind, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(id) => {
                let known = self.anchors.get(&id).cloned();
                let copy = known.ok_or_else(|| YamlError { line, message: "an alias to an unknown anchor".into() })?;
                self.copied += copy.count();
                if self.copied > MAX_COPIED {
                    return Err(YamlError { line, message: format!("aliases copy more than {MAX_COPIED} values") });
                }
                return Ok(copy);
            }
            other => return Err(YamlError { line, message: format!("unexpected {other:?}") }),
        };
        let node = Yaml { line, kind };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, YamlError> {
        let mut items = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Kind::List(items));
            }
            items.push(self.value(event, line, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, line) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Kind::Map(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(YamlError { line, message: "a key must be a plain name".into() }),
            };
            if let Some(first) = entries.iter().find(|e| e.key == key) {
                return Err(YamlError {
                    line,
                    message: format!("the key `{key}` stands here a second time (first on line {})", first.line),
                });
            }
            let (event, value_line) = self.next()?;
            let value = self.value(event, value_line, depth + 1)?;
            entries.push(Entry { key, line, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_knows_its_line() {
        let tree = Yaml::parse("# head\na: 1\nb:\n  - x\n  - y: 2.5\n").unwrap();
        let Kind::Map(entries) = &tree.kind else { panic!("not a mapping") };
        assert_eq!((entries[0].line, &entries[0].value.kind), (2, &Kind::Int(1)));
        let Kind::List(items) = &entries[1].value.kind else { panic!("not a list") };
        assert_eq!(items[1].line, 5);
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, kind) in [
            ("true", Kind::Bool(true)),
            ("7", Kind::Int(7)),
            ("-1.5e3", Kind::Float(-1500.0)),
            ("no", Kind::Text("no".into())),
            ("nan", Kind::Text("nan".into())),
            ("1.2.3", Kind::Text("1.2.3".into())),
            ("'7'", Kind::Text("7".into())),
            ("~", Kind::Null),
        ] {
            assert_eq!(Yaml::parse(text).unwrap().kind, kind, "{text}");
        }
    }

    #[test]
    fn bad_texts_are_errors_with_lines() {
        assert!(Yaml::parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err().line > 1);
        let twice = Yaml::parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(twice.line, 2);
        assert!(twice.message.contains("second time"), "{twice}");
        assert!(Yaml::parse("a: 1\n---\nb: 2\n").is_err());
        let laughs = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned(), |text, i| {
            text + &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 8].join(", "))
        });
        assert!(Yaml::parse(&laughs).unwrap_err().message.contains("aliases"));
        let deep = "[".repeat(100);
        assert!(Yaml::parse(&deep).is_err());
    }

    #[test]
    fn anchors_are_copied_and_unknown_aliases_refused() {
        let tree = Yaml::parse("a: &x [1, 2]\nb: *x\n").unwrap();
        let Kind::Map(entries) = &tree.kind else { panic!("not a mapping") };
        assert_eq!(entries[0].value.kind, entries[1].value.kind);
        assert!(Yaml::parse("b: *nowhere\n").is_err());
    }
}
