//! Type hashes against the official ones.
//!
//! Two oracles: a table of official hashes (`official_hashes.txt`, made by `official_hashes.py`), and, where the variable
//! `OMNIMIND_ROS_SHARE` names the `share` folder of a ROS 2 installation, all its type descriptions: every definition there is
//! parsed, described and hashed by the generator itself.

#[path = "../src/definition/describe.rs"]
#[allow(dead_code)]
mod describe;
#[path = "../src/definition/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "../src/definition/parser.rs"]
#[allow(dead_code)]
mod parser;

use msgs::definition::Definition;
use msgs::type_description_interfaces::msg::TypeDescription;
use msgs::{Message, description};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Hash of a shipped type of any kind.
fn shipped(name: &str) -> Option<&'static str> {
    msgs::registry::type_hash(name)
}

#[test]
fn hashes_equal_the_official_table() {
    let table = include_str!("official_hashes.txt");
    let mut checked = 0;
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let (name, hash) = line.split_once(' ').expect("name and hash");
        if let Some(ours) = shipped(name) {
            assert_eq!(ours, hash, "{name}");
            checked += 1;
        }
    }
    assert!(checked >= 195, "only {checked} types were checked");
}

#[test]
fn every_shipped_standard_type_has_an_official_hash_or_is_known_not_to() {
    let table = include_str!("official_hashes.txt");
    let official: Vec<&str> = table.lines().filter_map(|l| l.split_once(' ')).map(|(name, _)| name).collect();
    // These packages are not among the sources of the table; see README.md in this folder.
    let unlisted = [
        "composition_interfaces/",
        "example_interfaces/",
        "omnimind_msgs/",
        "rosbag2_interfaces/",
        "statistics_msgs/",
        "tf2_msgs/",
        "vision_msgs/",
    ];
    for message in msgs::registry::messages() {
        let known = official.contains(&message.name) || unlisted.iter().any(|p| message.name.starts_with(p));
        assert!(known, "{} has no official hash in the table", message.name);
    }
}

#[test]
fn hashes_of_packages_without_an_official_table_equal_an_independent_implementation() {
    // From rosbags (see cdr_samples.py): for TFMessage its own definition, for the others its own hash of our definition.
    let table = include_str!("independent_hashes.txt");
    let mut checked = 0;
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let (name, hash) = line.split_once(' ').expect("name and hash");
        assert_eq!(shipped(name), Some(hash), "{name}");
        checked += 1;
    }
    // rmw_zenoh: docs/design.md has this service as its example.
    let add = "RIHS01_e118de6bf5eeb66a2491b5bda11202e7b68f198d6f67922cf30364858239c81a";
    assert_eq!(shipped("example_interfaces/srv/AddTwoInts"), Some(add));
    assert!(checked >= 50, "only {checked} types were checked");
}

#[test]
fn every_shipped_interface_describes_itself_with_its_own_hash() {
    let messages = msgs::registry::messages().iter().map(|t| (t.name, t.hash));
    let services = msgs::registry::services().iter().map(|t| (t.name, t.hash));
    let actions = msgs::registry::actions().iter().map(|t| (t.name, t.hash));
    for (name, hash) in messages.chain(services).chain(actions) {
        let described = description::describe(name).unwrap_or_else(|| panic!("{name} has no description"));
        assert_eq!(description::hash(&described), hash, "{name}");
        let again = Definition::from_description(&described).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((again.hash().as_str(), again.name()), (hash, name));
    }
}

#[test]
fn every_definition_text_read_at_run_time_is_the_type_that_was_compiled_in() {
    for message_type in msgs::registry::messages() {
        let read = Definition::parse(message_type.name, message_type.definition);
        let read = read.unwrap_or_else(|e| panic!("{}: {e}", message_type.name));
        assert_eq!(read.hash(), message_type.hash, "{}", message_type.name);
        assert_eq!(Some(read.description()), description::describe(message_type.name));
    }
}

/// The `share` folder of a ROS 2 installation, if there is one.
fn share() -> Option<PathBuf> {
    let share = std::env::var_os("OMNIMIND_ROS_SHARE").map(PathBuf::from);
    if share.is_none() {
        eprintln!("skipped: OMNIMIND_ROS_SHARE is not set, so only the committed table was checked");
    }
    share
}

#[test]
fn every_type_description_of_a_ros_installation_is_what_its_definition_gives() {
    let Some(share) = share() else { return };
    let (mut interfaces, mut official) = (Vec::new(), BTreeMap::new());
    for package in entries(&share) {
        for kind in ["msg", "srv", "action"] {
            for file in entries(&package.join(kind)) {
                read(&package, kind, &file, &mut interfaces, &mut official);
            }
        }
    }
    let model = model::Model::build(interfaces).expect("a closed set of definitions");
    let (mut from_text, mut shipped_types) = (0, 0);
    for (name, (wanted, described)) in &official {
        if let Some(described) = described {
            assert_eq!(&description::hash(described), wanted, "{name}: the official description");
            let read = Definition::from_description(described).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(&read.description(), described, "{name}");
            if shipped(name).is_some() {
                assert_eq!(description::describe(name).as_ref(), Some(described), "{name}: shipped");
                shipped_types += 1;
            }
        }
        if model.messages.contains_key(name) {
            let text = model.definition(name).expect("a definition");
            let read = Definition::parse(name, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(&read.hash(), wanted, "{name}");
            if let Some(described) = described {
                assert_eq!(&read.description(), described, "{name}: from its definition text");
            }
            from_text += 1;
        } else if model.services.contains_key(name) || model.actions.contains_key(name) {
            assert_eq!(&describe::describe(&model, name).expect("described").hash(), wanted, "{name}");
            from_text += 1;
        }
    }
    eprintln!(
        "{} official hashes, {from_text} from definition texts, {shipped_types} descriptions of shipped types",
        official.len()
    );
    assert!(from_text >= 250 && shipped_types >= 100, "only {from_text} and {shipped_types} were checked");
    // What has no definition text here is written in IDL alone.
    let idl_only = official.len() - from_text;
    assert!(idl_only <= 4, "{idl_only} types have no definition text");
}

/// Official hash of a type and, for the main type of a file, the description.
type Official = BTreeMap<String, (String, Option<TypeDescription>)>;

fn read(package: &Path, kind: &str, file: &Path, interfaces: &mut Vec<parser::Interface>, official: &mut Official) {
    let stem = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    match file.extension().and_then(|e| e.to_str()) {
        Some("json") => {
            let text = std::fs::read_to_string(file).expect("readable");
            let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let bytes = msgs::registry::encode_json(TypeDescription::message_type(), &json["type_description_msg"]);
            let described = TypeDescription::from_cdr(&bytes.expect("a type description")).expect("decodes");
            for entry in json["type_hashes"].as_array().expect("type_hashes") {
                let text = |key: &str| entry[key].as_str().expect("text").to_owned();
                let known = official.entry(text("type_name")).or_insert((text("hash_string"), None));
                assert_eq!(known.0, text("hash_string"));
            }
            let main = described.type_description.type_name.clone();
            official.get_mut(&main).expect("its own hash").1 = Some(described);
        }
        Some(extension) if extension == kind => {
            let text = std::fs::read_to_string(file).expect("readable");
            let parsed = parser::parse(&stem(package), kind, &stem(file), &text);
            interfaces.push(parsed.unwrap_or_else(|e| panic!("{}: {e}", file.display())));
        }
        _ => {}
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(read) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = read.map(|e| e.expect("an entry").path()).collect();
    found.sort();
    found
}
