//! The launch files and configuration that come with OmniMind.

use std::collections::BTreeMap;
use std::path::Path;

use omnimind::file::{Mode, Options, Value, load};
use omnimind::registry;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn options(arguments: &[(&str, &str)]) -> Options {
    Options {
        arguments: arguments.iter().map(|(name, value)| ((*name).to_owned(), Value::from_text(value))).collect(),
        builtin: BTreeMap::from([
            ("share_dir".to_owned(), Value::Text(root().display().to_string())),
            ("out_dir".to_owned(), Value::Text("/tmp/out".into())),
        ]),
    }
}

#[test]
fn every_shipped_launch_file_can_be_read() {
    for (file, arguments) in [
        ("demo.yaml", &[("seed", "7")][..]),
        ("robot.yaml", &[]),
        ("gazebo.yaml", &[]),
        ("recording.yaml", &[("bag", "/tmp/a.mcap")]),
    ] {
        let launch = load(&root().join("launch").join(file), &registry::catalogue(), &options(arguments))
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(launch.nodes.len() > 5, "{file}");
    }
}

#[test]
fn a_replay_is_what_makes_things_anew_and_the_player() {
    let launch = load(&root().join("launch/replay.yaml"), &registry::catalogue(), &options(&[("bag", "/tmp/a.mcap")])).unwrap();
    assert_eq!(launch.graph.mode, Mode::LockStep);
    assert_eq!(launch.nodes.iter().map(|n| n.type_.as_str()).collect::<Vec<_>>(), ["vision", "fusion", "planner", "player"]);
    let demo = load(&root().join("launch/demo.yaml"), &registry::catalogue(), &options(&[("replay", "true")])).unwrap();
    let recorder = demo.nodes.iter().find(|n| n.type_ == "recorder").unwrap();
    assert_eq!(recorder.parameters["replay"], Value::Bool(true));
}

#[test]
fn a_recording_is_a_bag_or_pictures_and_sound() {
    let types = |arguments: &[(&str, &str)]| {
        let launch = load(&root().join("launch/recording.yaml"), &registry::catalogue(), &options(arguments)).unwrap();
        let sources = ["player", "camera", "microphone"];
        launch.nodes.iter().map(|n| n.type_.clone()).filter(|t| sources.contains(&t.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(types(&[("bag", "/tmp/a.mcap")]), ["player"]);
    assert_eq!(types(&[("images", "/tmp/a"), ("wav", "/tmp/a.wav")]), ["camera", "microphone"]);
    assert_eq!(types(&[("video", "/tmp/a.mp4")]), ["camera"]);
}

#[test]
fn the_demo_is_lock_step_and_hands_its_seed_on() {
    let launch = load(&root().join("launch/demo.yaml"), &registry::catalogue(), &options(&[("seed", "7")])).unwrap();
    assert_eq!(launch.graph.mode, Mode::LockStep);
    let seed = |type_: &str| launch.nodes.iter().find(|n| n.type_ == type_).map(|n| n.parameters["seed"].clone());
    assert_eq!(seed("simulator"), Some(Value::Int(7)));
    assert_eq!(seed("scenario"), Some(Value::Int(7)));
}

#[test]
fn a_live_view_needs_no_recording() {
    let types = |arguments: &[(&str, &str)]| -> Vec<String> {
        let launch = load(&root().join("launch/demo.yaml"), &registry::catalogue(), &options(arguments)).unwrap();
        launch.nodes.into_iter().map(|n| n.type_).filter(|t| t == "viewer" || t == "recorder").collect()
    };
    assert_eq!(types(&[]), ["recorder", "viewer"]);
    assert_eq!(types(&[("record", "false"), ("rerun_url", "rerun+http://x")]), ["viewer"]);
    assert!(types(&[("record", "false")]).is_empty());
}

#[test]
fn safety_is_a_process_of_its_own_on_a_robot_and_not_in_lock_step() {
    let process = |file: &str, arguments: &[(&str, &str)]| {
        let launch = load(&root().join("launch").join(file), &registry::catalogue(), &options(arguments)).unwrap();
        launch.nodes.into_iter().find(|n| n.type_ == "safety").unwrap().process
    };
    assert_eq!(process("robot.yaml", &[]).as_deref(), Some("safety"));
    assert_eq!(process("robot.yaml", &[("safety_process", "")]), None);
    assert_eq!(process("demo.yaml", &[]), None);
}

#[test]
fn a_robots_name_is_the_namespace_of_all_its_nodes() {
    let launch = load(&root().join("launch/robot.yaml"), &registry::catalogue(), &options(&[("robot", "omni")])).unwrap();
    assert!(launch.nodes.iter().all(|n| n.namespace == "omni"));
}

#[test]
fn configuration_files_list_every_parameter_with_its_default() {
    // Defaults name files relative to the folder that OmniMind is run in.
    std::env::set_current_dir(root()).unwrap();
    let mut told = 0;
    for kind in registry::kinds() {
        // Node types that need a file that only the user has (a recording) cannot be set up with defaults.
        let Ok(defaults) = kind.defaults_yaml() else { continue };
        told += 1;
        let name = kind.factory.name;
        let file = root().join("config").join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(text, defaults, "config/{name}.yaml is out of date: omnimind node defaults {name} > config/{name}.yaml");
    }
    assert!(told > 10, "only {told} node types tell their parameters");
}
