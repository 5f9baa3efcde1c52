//! The text of a definition that came as a type description, for those who want it in the message language: bags.

use super::describe::{DescribedField, Individual};
use super::{Definition, EMPTY_FIELD};
use crate::type_description_interfaces::msg::TypeSource;
use crate::type_description_interfaces::srv::GetTypeDescriptionResponse;

impl Definition {
    /// The type that a node's `~/get_type_description` tells, and its text ([`Definition::to_text_with`]). Who publishes without a type hash
    /// is taken at its word.
    ///
    /// # Errors
    /// In words, if the node refuses, or describes something else than what it was asked for.
    pub fn from_answer(
        type_name: &str,
        type_hash: &str,
        answer: &GetTypeDescriptionResponse,
    ) -> Result<(Self, Option<String>), String> {
        if !answer.successful {
            return Err(answer.failure_reason.clone());
        }
        let definition = Self::from_description(&answer.type_description);
        let definition = definition.map_err(|error| format!("its description of {type_name}: {error}"))?;
        if definition.name() != type_name {
            return Err(format!("it describes {} where {type_name} was asked for", definition.name()));
        }
        if type_hash.starts_with("RIHS") && definition.hash() != type_hash {
            return Err(format!("its description of {type_name} has another hash"));
        }
        let text = definition.to_text_with(&answer.type_sources);
        Ok((definition, text))
    }

    /// The definition text with all dependencies, in the form of MCAP's `ros2msg` schema encoding: [`Definition::parse`] reads it back. It
    /// has no comments, constants and default values, which a description leaves out or does not need.
    ///
    /// `None` if the message language cannot say it: names that it does not allow, or types that only IDL has.
    pub fn to_text(&self) -> Option<String> {
        let sections = self.individuals().map(|individual| Some((individual, section(individual)?)));
        self.holding(&sections.collect::<Option<Vec<_>>>()?)
    }

    /// As [`Definition::to_text`], with the definition files that a node gave along with its description, where they are in the message
    /// language and say the same.
    pub fn to_text_with(&self, sources: &[TypeSource]) -> Option<String> {
        let written = |individual: &Individual| {
            let found = sources.iter().find(|source| source.type_name == individual.name && source.encoding == "msg");
            let text = found.map_or_else(|| section(individual), |source| Some(source.raw_file_contents.clone()));
            text.map(|text| if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" })
        };
        let sections = self.individuals().map(|individual| Some((individual, written(individual)?)));
        let text = sections.collect::<Option<Vec<_>>>().and_then(|sections| self.holding(&sections));
        text.or_else(|| self.to_text())
    }

    fn individuals(&self) -> impl Iterator<Item = &Individual> {
        std::iter::once(&self.described.main).chain(&self.described.referenced)
    }

    /// The sections as one text, if reading it gives this type.
    fn holding(&self, sections: &[(&Individual, String)]) -> Option<String> {
        let mut text = String::new();
        for (number, (individual, section)) in sections.iter().enumerate() {
            if number > 0 {
                text.push_str(&format!("{}\nMSG: {}\n", "=".repeat(80), short(&individual.name)?));
            }
            text.push_str(section);
        }
        let read = Self::parse(self.name(), &text).ok()?;
        (read.hash() == self.hash()).then_some(text)
    }
}

/// `package/Name`: definition texts leave the kind out.
fn short(name: &str) -> Option<String> {
    let mut parts = name.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(package), Some(_), Some(name), None) => Some(format!("{package}/{name}")),
        _ => None,
    }
}

fn section(individual: &Individual) -> Option<String> {
    if matches!(individual.fields.as_slice(), [only] if only.name == EMPTY_FIELD) {
        return Some(String::new());
    }
    individual.fields.iter().map(|field| Some(format!("{} {}\n", type_text(field)?, field.name))).collect()
}

/// A field's type in the message language; the numbers are those of `type_description_interfaces/msg/FieldType`.
fn type_text(field: &DescribedField) -> Option<String> {
    let base = match field.type_id % 48 {
        1 => short(&field.nested)?,
        2 => "int8".into(),
        3 => "uint8".into(),
        4 => "int16".into(),
        5 => "uint16".into(),
        6 => "int32".into(),
        7 => "uint32".into(),
        8 => "int64".into(),
        9 => "uint64".into(),
        10 => "float32".into(),
        11 => "float64".into(),
        15 => "bool".into(),
        16 => "byte".into(),
        17 => "string".into(),
        18 => "wstring".into(),
        21 => format!("string<={}", field.string_capacity),
        22 => format!("wstring<={}", field.string_capacity),
        _ => return None,
    };
    Some(match field.type_id / 48 {
        0 => base,
        1 => format!("{base}[{}]", field.capacity),
        2 => format!("{base}[<={}]", field.capacity),
        _ => format!("{base}[]"),
    })
}
