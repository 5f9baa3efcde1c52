//! `omnimind doctor` beside a graph in which something is broken on purpose, each process on its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program, on a network of its own.
fn omnimind(port: u16, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omnimind"));
    command.current_dir(dir).env("ROS_DOMAIN_ID", "203");
    command.env("ZENOH_CONFIG_OVERRIDE", format!("connect/endpoints=[\"tcp/127.0.0.1:{port}\"]"));
    command
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A graph that ends with the test.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn doctor(port: u16, dir: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let out = omnimind(port, dir).args(["doctor", "--json"]).args(arguments).output().expect("the program starts");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let json =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code(), json)
}

fn problem<'a>(problems: &'a Value, name: &str) -> Option<&'a Value> {
    problems.as_array().and_then(|all| all.iter().find(|problem| problem["name"] == name))
}

const BROKEN: &str = "nodes:\n  - {type: lidar, remap: {scan: scna}}\n  - {type: safety, remap: {odm: odometry}}\n";

#[test]
fn what_is_wrong_with_a_running_graph_is_named_with_exit_code_1() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    std::fs::write(dir.path().join("broken.yaml"), BROKEN).unwrap();
    let mut graph = omnimind(port, dir.path());
    graph.args(["launch", "broken.yaml", "--headless", "--out", "run"]).stdout(Stdio::null()).stderr(Stdio::null());
    let _graph = Running(graph.spawn().expect("the program starts"));
    let until = Instant::now() + Duration::from_secs(30);
    let (code, json) = loop {
        let (code, json) = doctor(port, dir.path(), &[]);
        if problem(&json["graph"]["problems"], "graph: topic /scna").is_some() {
            break (code, json);
        }
        assert!(Instant::now() < until, "{json}");
    };
    assert_eq!((code, &json["ok"], &json["graph"]["running"]), (Some(1), &Value::Bool(false), &Value::Bool(true)));
    let problems = &json["graph"]["problems"];
    let typo = problem(problems, "graph: topic /scna").unwrap();
    assert!(typo["message"].as_str().is_some_and(|said| said.contains("/safety listens to /scan; did you mean that?")), "{typo}");
    assert_eq!((&typo["severity"], &typo["values"]["nearest"]), (&Value::from("warning"), &Value::from("/scan")));
    let remap = problem(problems, "safety: remap").unwrap_or_else(|| panic!("{problems}"));
    assert!(remap["message"].as_str().is_some_and(|said| said.contains("did you mean `odom`?")), "{remap}");
}

#[test]
fn a_launch_file_is_looked_at_without_running_it() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    std::fs::write(dir.path().join("broken.yaml"), BROKEN).unwrap();
    let (code, json) = doctor(port, dir.path(), &["broken.yaml"]);
    assert_eq!((code, &json["graph"]["running"]), (Some(1), &Value::Bool(false)));
    let problems = &json["launch_file"]["problems"];
    assert!(problem(problems, "graph: topic /scna").is_some() && problem(problems, "safety: remap").is_some(), "{json}");
    let checked = omnimind(port, dir.path()).args(["launch", "--check", "--json", "broken.yaml"]).output().unwrap();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(problem(&checked["problems"], "graph: topic /scna").is_some(), "{checked}");
    let network = json["machine"].as_array().unwrap().iter().find(|check| check["check"] == "ROS 2 network").unwrap();
    assert!(network["message"].as_str().is_some_and(|said| said.contains(&port.to_string())), "{network}");
}

fn network(json: &Value) -> (&str, &str) {
    let checks = json["machine"].as_array().expect("a list");
    let check = checks.iter().find(|check| check["check"] == "ROS 2 network").expect("is there");
    (check["state"].as_str().unwrap_or_default(), check["message"].as_str().unwrap_or_default())
}

#[test]
fn a_router_that_was_named_and_cannot_be_reached_is_a_problem_with_exit_code_1() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let (code, json) = doctor(port, dir.path(), &[]);
    let (state, message) = network(&json);
    assert_eq!((code, &json["ok"], state), (Some(1), &Value::Bool(false), "bad"), "{json}");
    assert!(message.contains(&port.to_string()) && message.contains("but ZENOH_CONFIG_OVERRIDE names that router"), "{message}");
}

#[test]
fn something_else_at_the_routers_address_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Takes each connection and lets go of it, as a server that expects another protocol.
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(1000) {
            drop(stream);
        }
    });
    let (code, json) = doctor(port, dir.path(), &[]);
    let (state, message) = network(&json);
    assert_eq!((code, state), (Some(1), "bad"), "{json}");
    assert!(message.contains("no graph can be seen") && message.contains(&port.to_string()), "{message}");
    drop(server);
}

#[test]
fn a_launch_file_that_cannot_be_read_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let out = omnimind(free_port(), dir.path()).args(["doctor", "gone.yaml"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("gone.yaml"));
}
