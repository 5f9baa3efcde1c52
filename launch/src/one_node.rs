//! `omnimind run` and `lib/omnimind/<node>`: ROS arguments as a launch file of one node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::file::{At, GraphSettings, Launch, LaunchError, NodeSpec, Restart, Value, params};
use crate::registry;
use crate::ros_args::{Names, ParameterSource, RosArgs};

/// Parameters whose defaults are files of OmniMind, relative to its folder.
const FILES: [(&str, &str, &str); 8] = [
    ("fusion", "home", "config/home.yaml"),
    ("planner", "home", "config/home.yaml"),
    ("motion", "home", "config/home.yaml"),
    ("motion", "map", "config/home_map.yaml"),
    ("simulator", "world", "sim/worlds/home.sdf"),
    ("simulator", "speech", "sim/assets/speech"),
    ("scenario", "world", "sim/worlds/home.sdf"),
    ("scenario", "speech", "sim/assets/speech"),
];

/// The launch of one node. `share` is the folder that files which are not said are looked for in.
///
/// # Errors
/// A node type that is not there, or a parameter file that cannot be read.
pub fn launch(type_: &str, ros: &RosArgs, share: Option<&Path>) -> Result<Launch, LaunchError> {
    let at = At { file: "omnimind run".into(), line: 0 };
    let catalogue = registry::catalogue();
    if !catalogue.contains(type_) {
        return Err(catalogue.unknown_node(type_, &at));
    }
    let names = Names::new(type_, &ros.remaps);
    let full_name = names.full();
    let mut spec = NodeSpec {
        type_: type_.to_owned(),
        name: names.node,
        namespace: names.namespace.trim_matches('/').to_owned(),
        parameters: BTreeMap::new(),
        parameter_lines: BTreeMap::new(),
        optional: BTreeSet::new(),
        remap: names.remaps.into_iter().collect(),
        process: None,
        restart: Restart::default(),
        log_level: Some(ros.log.threshold(full_name.trim_start_matches('/').replace('/', ".").as_str())),
        autostart: false,
        at: at.clone(),
    };
    for (_, name, file) in FILES.iter().filter(|(of, ..)| *of == type_) {
        if let Some(share) = share.filter(|_| !Path::new(file).exists()) {
            spec.set(name, Value::Text(share.join(file).display().to_string()), at.clone());
        }
    }
    for source in &ros.parameters {
        match source {
            ParameterSource::File(path) => file(&mut spec, path, &full_name, &at)?,
            ParameterSource::Rule { node, name, value } if node.as_ref().is_none_or(|node| *node == spec.name) => {
                set(&mut spec, name, value.clone(), at.clone(), false);
            }
            ParameterSource::Rule { .. } => {}
        }
    }
    Ok(Launch {
        graph: GraphSettings::default(),
        nodes: vec![spec],
        arguments: Vec::new(),
        values: BTreeMap::new(),
        single: Some(full_name),
    })
}

fn file(spec: &mut NodeSpec, path: &Path, full_name: &str, at: &At) -> Result<(), LaunchError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| LaunchError::Read { at: at.clone(), path: path.to_path_buf(), source })?;
    for section in params::parse(path, &text)?.iter().filter(|section| section.matches(full_name)) {
        for (name, value, line) in &section.values {
            set(spec, name, value.clone(), At { file: path.to_path_buf(), line: *line }, section.is_wildcard());
        }
    }
    Ok(())
}

/// `optional`: a node that does not have the parameter leaves it out.
fn set(spec: &mut NodeSpec, name: &str, value: Value, at: At, optional: bool) {
    spec.set(name, value, at);
    if optional {
        spec.optional.insert(name.to_owned());
    } else {
        spec.optional.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ros_args::parse;

    fn of(type_: &str, line: &[&str]) -> Launch {
        let words: Vec<String> = ["--ros-args"].iter().chain(line).map(ToString::to_string).collect();
        launch(type_, &parse(&words).unwrap(), Some(Path::new("/share"))).unwrap()
    }

    #[test]
    fn ros_arguments_become_a_launch_file() {
        let launch = of("recorder", &["-r", "__node:=rec", "-r", "__ns:=/omni", "-p", "path:=a$b", "-p", "other:path:=c"]);
        assert_eq!(launch.nodes[0].full_name(), "/omni/rec");
        assert_eq!(launch.nodes[0].parameters["path"], Value::Text("a$b".into()));
    }

    #[test]
    fn files_that_come_with_the_program_are_found_from_anywhere() {
        assert_eq!(of("fusion", &[]).nodes[0].parameters["home"], Value::Text("/share/config/home.yaml".into()));
        assert_eq!(of("fusion", &["-p", "home:=x.yaml"]).nodes[0].parameters["home"], Value::Text("x.yaml".into()));
    }

    #[test]
    fn the_last_of_file_and_argument_counts_and_lines_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.yaml");
        std::fs::write(&path, "/**:\n  ros__parameters:\n    capacity_wh: 30.0\n    unheard_of: 1\n").unwrap();
        let path = path.display().to_string();
        let node = &of("battery", &["-p", "capacity_wh:=20.0", "--params-file", &path]).nodes[0];
        assert_eq!(node.parameters["capacity_wh"], Value::Float(30.0));
        assert_eq!(node.parameter_lines["capacity_wh"].line, 3);
        assert!(node.optional.contains("unheard_of"));
        let node = &of("battery", &["--params-file", &path, "-p", "capacity_wh:=20.0"]).nodes[0];
        assert_eq!(node.parameters["capacity_wh"], Value::Float(20.0));
        assert!(!node.optional.contains("capacity_wh"));
    }
}
