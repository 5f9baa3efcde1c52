//! Typed reading of YAML mappings: every key must be known, every value of its kind, and each error names its line.

use super::error::{At, LaunchError};
use super::value::Value;
use super::yaml::{Entry, Kind, Yaml};
use graph::suggest;
use std::path::Path;

/// A mapping of a file that is being read, with the name of its place for messages.
pub struct Reader<'a> {
    file: &'a Path,
    line: usize,
    place: &'static str,
    entries: &'a [Entry],
}

impl<'a> Reader<'a> {
    /// Opens a mapping whose keys are all in `known`.
    ///
    /// # Errors
    /// Not a mapping, or an unknown key.
    pub fn new(file: &'a Path, yaml: &'a Yaml, place: &'static str, known: &[&str]) -> Result<Self, LaunchError> {
        let at = |line| At { file: file.to_path_buf(), line };
        let Kind::Map(entries) = &yaml.kind else {
            return Err(LaunchError::WrongType {
                at: at(yaml.line),
                what: place.into(),
                expected: "a mapping".into(),
                found: yaml.kind_name().into(),
            });
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let hint = match suggest::hint(&entry.key, known.iter().copied()) {
                    hint if hint.is_empty() => format!("; it takes {}", known.join(", ")),
                    hint => hint,
                };
                return Err(LaunchError::UnknownKey { at: at(entry.line), key: entry.key.clone(), place, hint });
            }
        }
        Ok(Self { file, line: yaml.line, place, entries })
    }

    /// The place of a line of this file.
    #[must_use]
    pub fn at(&self, line: usize) -> At {
        At { file: self.file.to_path_buf(), line }
    }

    /// The value of a key, if it is there and not null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a Yaml> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.value).filter(|v| v.kind != Kind::Null)
    }

    /// The value of a key that has to be there.
    ///
    /// # Errors
    /// [`LaunchError::MissingKey`].
    pub fn need(&self, key: &'static str) -> Result<&'a Yaml, LaunchError> {
        self.get(key).ok_or(LaunchError::MissingKey { at: self.at(self.line), key, place: self.place })
    }

    /// The error for a value of the wrong kind.
    #[must_use]
    pub fn wrong(&self, key: &str, expected: &str, found: &Yaml) -> LaunchError {
        LaunchError::WrongType {
            at: self.at(found.line),
            what: format!("`{key}` of {}", self.place),
            expected: expected.into(),
            found: match Value::from_yaml(found) {
                Some(value) => format!("{} ({value})", found.kind_name()),
                None => found.kind_name().into(),
            },
        }
    }

    /// Text, or `None` when the key is absent. Numbers and truth values are not text.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`].
    pub fn text(&self, key: &str) -> Result<Option<String>, LaunchError> {
        match self.get(key) {
            None => Ok(None),
            Some(Yaml { kind: Kind::Text(text), .. }) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(key, "text", other)),
        }
    }

    /// Text that has to be there.
    ///
    /// # Errors
    /// [`LaunchError::MissingKey`] or [`LaunchError::WrongType`].
    pub fn need_text(&self, key: &'static str) -> Result<String, LaunchError> {
        let value = self.need(key)?;
        if let Kind::Text(text) = &value.kind { Ok(text.clone()) } else { Err(self.wrong(key, "text", value)) }
    }

    /// One of a few words.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`] or [`LaunchError::OutOfRange`] with the nearest word.
    pub fn word(&self, key: &str, words: &[&str]) -> Result<Option<String>, LaunchError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if words.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        let line = self.get(key).map_or(self.line, |v| v.line);
        let allowed = format!("{}{}", words.join(", "), suggest::hint(&text, words.iter().copied()));
        Err(LaunchError::OutOfRange {
            at: self.at(line),
            what: format!("`{key}` of {}", self.place),
            value: format!("`{text}`"),
            allowed,
        })
    }

    /// A number from `min` to `max`.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`] or [`LaunchError::OutOfRange`].
    pub fn number(&self, key: &str, min: f64, max: f64) -> Result<Option<f64>, LaunchError> {
        let Some(yaml) = self.get(key) else { return Ok(None) };
        let number = Value::from_yaml(yaml).and_then(|v| v.as_f64()).ok_or_else(|| self.wrong(key, "a number", yaml))?;
        if number >= min && number <= max {
            return Ok(Some(number));
        }
        Err(LaunchError::OutOfRange {
            at: self.at(yaml.line),
            what: format!("`{key}` of {}", self.place),
            value: number.to_string(),
            allowed: format!("{min} to {max}"),
        })
    }

    /// Whether something is wanted: a truth value, or a text (a path, for instance) that is wanted unless it is empty. The words
    /// for yes and no are refused: YAML 1.1 takes them for truth values, YAML 1.2 for texts.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`].
    pub fn wanted(&self, key: &str) -> Result<Option<bool>, LaunchError> {
        const DOUBTFUL: [&str; 10] = ["yes", "no", "on", "off", "y", "n", "true", "false", "0", "1"];
        match self.get(key) {
            None => Ok(None),
            Some(Yaml { kind: Kind::Bool(v), .. }) => Ok(Some(*v)),
            Some(Yaml { kind: Kind::Text(v), .. }) if !DOUBTFUL.contains(&v.to_ascii_lowercase().as_str()) => {
                Ok(Some(!v.is_empty()))
            }
            Some(other) => Err(self.wrong(key, "true, false or a text", other)),
        }
    }

    /// Whether `when` or `unless` leave it out.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`].
    pub fn switched_off(&self) -> Result<bool, LaunchError> {
        let (when, unless) = (self.wanted("when")?, self.wanted("unless")?);
        Ok(when == Some(false) || unless == Some(true))
    }

    /// A list; absent is empty.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`].
    pub fn list(&self, key: &str) -> Result<&'a [Yaml], LaunchError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Yaml { kind: Kind::List(items), .. }) => Ok(items),
            Some(other) => Err(self.wrong(key, "a list", other)),
        }
    }

    /// A mapping with free keys; absent is empty.
    ///
    /// # Errors
    /// [`LaunchError::WrongType`].
    pub fn map(&self, key: &str) -> Result<&'a [Entry], LaunchError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Yaml { kind: Kind::Map(entries), .. }) => Ok(entries),
            Some(other) => Err(self.wrong(key, "a mapping", other)),
        }
    }
}
