//! Type hashes against the official ones.
//!
//! Two oracles: a table of official hashes (`official_hashes.txt`, made by `official_hashes.py`), and, where the variable
//! `OMNIMIND_ROS_SHARE` names the `share` folder of a ROS 2 installation, all its type descriptions: every definition there is
//! parsed and hashed by the generator itself.

#[path = "../build/hash.rs"]
#[allow(dead_code)]
mod hash;
#[path = "../build/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "../build/parser.rs"]
#[allow(dead_code)]
mod parser;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Hash of a shipped type of any kind.
fn shipped(name: &str) -> Option<&'static str> {
    msgs::registry::find(name)
        .map(|t| t.hash)
        .or_else(|| msgs::registry::find_service(name).map(|t| t.hash))
        .or_else(|| msgs::registry::find_action(name).map(|t| t.hash))
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
    assert!(checked >= 110, "only {checked} types were checked");
}

#[test]
fn every_shipped_standard_type_has_an_official_hash_or_is_known_not_to() {
    let table = include_str!("official_hashes.txt");
    let official: Vec<&str> = table.lines().filter_map(|l| l.split_once(' ')).map(|(name, _)| name).collect();
    // These packages are not among the sources of the table; see README.md in this folder.
    let unlisted = ["omnimind_msgs/", "rosbag2_interfaces/", "tf2_msgs/", "vision_msgs/"];
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
    assert!(checked >= 8, "only {checked} types were checked");
}

#[test]
fn every_definition_of_a_ros_installation_hashes_as_its_own_description_says() {
    let Some(share) = std::env::var_os("OMNIMIND_ROS_SHARE").map(PathBuf::from) else {
        eprintln!("OMNIMIND_ROS_SHARE is not set: checked against the committed table only");
        return;
    };
    let mut interfaces = Vec::new();
    let mut official = BTreeMap::new();
    for package in entries(&share) {
        for kind in ["msg", "srv", "action"] {
            for file in entries(&package.join(kind)) {
                read(&package, kind, &file, &mut interfaces, &mut official);
            }
        }
    }
    let model = model::Model::build(interfaces).expect("a closed set of definitions");
    let mut checked = 0;
    for (name, wanted) in &official {
        let known = model.messages.contains_key(name) || model.services.contains_key(name) || model.actions.contains_key(name);
        if known {
            assert_eq!(&hash::type_hash(&model, name).expect("hash"), wanted, "{name}");
            checked += 1;
        }
    }
    eprintln!("{checked} of {} official hashes checked", official.len());
    assert!(checked >= 120 && checked == official.len(), "only {checked} of {} types were checked", official.len());
}

fn read(
    package: &Path,
    kind: &str,
    file: &Path,
    interfaces: &mut Vec<parser::Interface>,
    official: &mut BTreeMap<String, String>,
) {
    let stem = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    match file.extension().and_then(|e| e.to_str()) {
        Some("json") => {
            let text = std::fs::read_to_string(file).expect("readable");
            let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            for entry in json["type_hashes"].as_array().expect("type_hashes") {
                let text = |key: &str| entry[key].as_str().expect("text").to_owned();
                official.insert(text("type_name"), text("hash_string"));
            }
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
