//! The program as a user meets it: exit codes, and one sentence on standard error when something is wrong.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn omnimind(arguments: &[&str], dir: &Path) -> Output {
    // A domain of its own, at a port where no router is: never the network of whoever runs the tests.
    Command::new(env!("CARGO_BIN_EXE_omnimind"))
        .args(arguments)
        .current_dir(dir)
        .env("ROS_DOMAIN_ID", "201")
        .output()
        .expect("the program starts")
}

fn refused(arguments: &[&str], dir: &Path) -> String {
    let out = omnimind(arguments, dir);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(out.stdout.is_empty(), "nothing on standard output");
    assert_eq!(text.trim_end().lines().count(), 1, "one sentence: {text}");
    text
}

#[test]
fn a_broken_launch_file_is_exit_code_2_and_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), "nodes:\n  - type: batery\n").unwrap();
    let text = refused(&["launch", "a.yaml"], dir.path());
    assert_eq!(text, "omnimind: a.yaml:2: there is no node type `batery`; did you mean `battery`?\n");
}

#[test]
fn a_wrong_parameter_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), "nodes:\n  - type: battery\n    parameters:\n      capacity: 20\n").unwrap();
    let text = refused(&["launch", "--no-wire", "--headless", "a.yaml"], dir.path());
    assert!(text.starts_with("omnimind: a.yaml:4: ") && text.contains("did you mean `capacity_wh`"), "{text}");
    std::fs::write(dir.path().join("a.yaml"), "nodes:\n  - type: battery\n    parameters:\n      capacity_wh: -1\n").unwrap();
    let text = refused(&["launch", "--no-wire", "--headless", "a.yaml"], dir.path());
    assert!(text.starts_with("omnimind: a.yaml:4: ") && text.contains("-1 is outside"), "{text}");
}

#[test]
fn output_that_nobody_reads_ends_the_program_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omnimind"))
        .args(["node", "types"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(141), ""));
}

#[test]
fn unusable_requests_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(&["launch", "gone.yaml"], dir.path()).contains("gone.yaml"));
    assert!(refused(&["demo", "seed=3"], dir.path()).contains("name:=value"));
    assert!(refused(&["run", "battery", "--ros-args", "-p", "x"], dir.path()).contains("name:=value"));
    assert!(refused(&["run", "camera", "--source", "x"], dir.path()).contains("vision"));
    assert!(refused(&["node", "defaults", "batery"], dir.path()).contains("did you mean `battery`"));
    assert!(refused(&["goal"], dir.path()).contains("bring the cup"));
    std::fs::write(dir.path().join("a.yaml"), "graph: {mode: lock-step}\nnodes: [{type: battery, process: body}]\n").unwrap();
    assert!(refused(&["launch", "--headless", "a.yaml"], dir.path()).contains("lock-step"));
    std::fs::write(dir.path().join("b.yaml"), "graph: {mode: free-running, snapshot_every_s: 1}\nnodes: [{type: battery}]\n")
        .unwrap();
    let free = refused(&["launch", "--headless", "--no-wire", "b.yaml"], dir.path());
    assert!(free.contains("snapshots are of graphs in lock-step"), "{free}");
}

#[test]
fn a_graph_runs_for_its_time_and_says_how_it_went_as_json() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("a.yaml"),
        "graph: {mode: lock-step}\nnodes:\n  - type: battery\n  - {type: recorder, parameters: {path: '${out_dir}/a.mcap'}}\n",
    )
    .unwrap();
    let out = omnimind(&["launch", "--no-wire", "--json", "--duration", "2", "--out", "run", "a.yaml"], dir.path());
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(text.trim_end().lines().last().unwrap()).unwrap();
    assert_eq!(json["mission"]["result"], "none");
    assert!(json["mission"]["duration_s"].as_f64().unwrap() >= 2.0);
    assert!(json["nodes"].as_array().unwrap().iter().any(|n| n["name"] == "/battery"));
    assert_eq!(json["recording"]["mcap"], "run/a.mcap");
    assert!(dir.path().join("run/a.mcap").is_file() && dir.path().join("run/metadata.yaml").is_file());
}
