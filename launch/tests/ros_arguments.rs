//! ROS arguments against rcl's own word: `data/rcl_arguments.jsonl` was written by rclpy (ROS 2 Kilted), see `rcl_arguments.py`.

use std::collections::BTreeMap;
use std::path::Path;

use omnimind::file::{Value, params};
use omnimind::ros_args::{Names, ParameterSource, RosArgs, parse};
use serde_json::Value as Json;

/// Where this program knowingly differs, and why.
const DIFFERENT: [(&str, &str); 0] = [];

fn resolve(names: &Names, scheme: &str, name: &str) -> String {
    let full = match (name.strip_prefix('~'), name.starts_with('/')) {
        (Some(private), _) => format!("{}{private}", names.full()),
        (None, true) => name.to_owned(),
        (None, false) => format!("{}/{name}", names.namespace.trim_end_matches('/')),
    };
    names.remaps.get(&format!("{scheme}{full}")).or_else(|| names.remaps.get(&full)).cloned().unwrap_or(full)
}

fn parameters(args: &RosArgs, full: &str, files: &Json) -> Result<BTreeMap<String, Value>, String> {
    let mut values = BTreeMap::new();
    for source in &args.parameters {
        match source {
            ParameterSource::File(path) => {
                let name = path.to_string_lossy().into_owned();
                let text = files[&name].as_str().ok_or("no such file")?;
                for section in params::parse(Path::new(&name), text).map_err(|e| e.to_string())? {
                    if section.matches(full) {
                        values.extend(section.values.into_iter().map(|(name, value, _)| (name, value)));
                    }
                }
            }
            ParameterSource::Rule { node, name, value } => {
                if node.as_deref().is_none_or(|node| full.rsplit('/').next() == Some(node)) {
                    values.insert(name.clone(), value.clone());
                }
            }
        }
    }
    Ok(values)
}

fn same(value: &Value, expected: &Json) -> bool {
    let (kind, given) = (expected["type"].as_str().unwrap(), &expected["value"]);
    match (kind, value) {
        ("INTEGER", Value::Int(v)) => given == &Json::from(*v),
        ("DOUBLE", Value::Float(v)) => {
            let python = given.as_str().unwrap();
            python == "nan" && v.is_nan() || python.parse() == Ok(*v)
        }
        ("BOOL", Value::Bool(v)) => given == &Json::from(*v),
        ("STRING", Value::Text(v)) => given == &Json::from(v.as_str()),
        ("INTEGER_ARRAY", Value::Ints(v)) => given == &Json::from(v.clone()),
        ("BOOL_ARRAY", Value::Bools(v)) => given == &Json::from(v.clone()),
        ("STRING_ARRAY", Value::Texts(v)) => given == &Json::from(v.clone()),
        _ => false,
    }
}

#[test]
fn every_case_is_understood_or_refused_as_rcl_does() {
    let text = include_str!("data/rcl_arguments.jsonl");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let files = lines.next().unwrap()["files"].clone();
    let (mut refused, mut understood, mut wrong) = (0, 0, Vec::new());
    for case in lines {
        let words: Vec<String> = case["arguments"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect();
        let line = words.join(" ");
        if DIFFERENT.iter().any(|(same, _)| *same == line) {
            continue;
        }
        let words = [vec!["--ros-args".to_owned()], words].concat();
        let parsed = parse(&words).map_err(|e| e.to_string()).and_then(|args| {
            let names = Names::new("eye", &args.remaps);
            let values = parameters(&args, &names.full(), &files)?;
            Ok((names, values))
        });
        match (case.get("refused"), parsed) {
            (Some(_), Err(error)) => {
                assert!(!error.is_empty());
                refused += 1;
            }
            (None, Ok((names, values))) => {
                understood += 1;
                let mut check = |fine: bool, what: String| {
                    if !fine {
                        wrong.push(format!("{line}: {what}"))
                    }
                };
                check(case["node"] == names.full(), format!("node {}", names.full()));
                for (scheme, key) in [("rostopic://", "topics"), ("rosservice://", "services")] {
                    for (name, full) in case[key].as_object().unwrap() {
                        let ours = resolve(&names, scheme, name);
                        check(full == &Json::from(ours.as_str()), format!("{key} {name} is {ours}, rcl: {full}"));
                    }
                }
                let expected = case["parameters"].as_object().unwrap();
                check(expected.len() == values.len(), format!("{values:?}, rcl: {expected:?}"));
                for (name, expected) in expected {
                    let fine = values.get(name).is_some_and(|value| same(value, expected));
                    check(fine, format!("{name}: {:?}, rcl: {expected}", values.get(name)));
                }
            }
            (Some(why), Ok(_)) => wrong.push(format!("{line}: accepted, rcl: {why}")),
            (None, Err(error)) => wrong.push(format!("{line}: refused ({error}), rcl takes it")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 30 && understood > 60, "{refused} refused, {understood} understood");
}
