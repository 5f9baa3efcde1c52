//! The type descriptions that lie beside the definitions of an interface package, `msg/Belief.json`: what rosidl_generator_type_description
//! writes (its schema: rosidl_generator_type_description/resource/HashedTypeDescription.schema.json), for tools that look a type up by
//! its hash.

use msgs::description;
use msgs::type_description_interfaces::msg::{IndividualTypeDescription, TypeDescription};
use serde::Serialize;

#[derive(Serialize)]
struct Hashed<'a> {
    type_description_msg: Whole<'a>,
    type_hashes: Vec<Hash<'a>>,
}

#[derive(Serialize)]
struct Whole<'a> {
    type_description: Individual<'a>,
    referenced_type_descriptions: Vec<Individual<'a>>,
}

#[derive(Serialize)]
struct Individual<'a> {
    type_name: &'a str,
    fields: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    type_: FieldType<'a>,
    default_value: &'a str,
}

#[derive(Serialize)]
struct FieldType<'a> {
    type_id: u8,
    capacity: u64,
    string_capacity: u64,
    nested_type_name: &'a str,
}

#[derive(Serialize)]
struct Hash<'a> {
    type_name: &'a str,
    hash_string: String,
}

/// The file of an interface by its ROS name (`omnimind_msgs/srv/SetGoal`), with the hashes of all that it contains; none if this
/// program was not built with it, or with something that it contains.
pub(super) fn file(name: &str) -> Option<String> {
    let described = description::describe(name)?;
    let individuals = || std::iter::once(&described.type_description).chain(&described.referenced_type_descriptions);
    let hash =
        |individual: &'_ IndividualTypeDescription| Some(description::hash(&description::describe(&individual.type_name)?));
    let type_hashes =
        individuals().map(|one| Some(Hash { type_name: &one.type_name, hash_string: hash(one)? })).collect::<Option<_>>()?;
    serde_json::to_string_pretty(&Hashed { type_description_msg: whole(&described), type_hashes }).ok()
}

fn whole(described: &TypeDescription) -> Whole<'_> {
    Whole {
        type_description: individual(&described.type_description),
        referenced_type_descriptions: described.referenced_type_descriptions.iter().map(individual).collect(),
    }
}

fn individual(one: &IndividualTypeDescription) -> Individual<'_> {
    let fields = one.fields.iter().map(|field| Field {
        name: &field.name,
        type_: FieldType {
            type_id: field.type_.type_id,
            capacity: field.type_.capacity,
            string_capacity: field.type_.string_capacity,
            nested_type_name: &field.type_.nested_type_name,
        },
        default_value: &field.default_value,
    });
    Individual { type_name: &one.type_name, fields: fields.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_one_that_rosidl_writes() {
        // share/std_srvs/srv/Trigger.json of ROS 2 (Kilted).
        assert_eq!(file("std_srvs/srv/Trigger").unwrap(), include_str!("../../tests/data/Trigger.json").trim_end());
        assert_eq!(file("std_srvs/srv/Nothing"), None);
    }
}
