//! Launch files: what is read, and that every mistake is an error with file, line and advice.

use omnimind::file::{
    Catalogue, Launch, LaunchError, Mode, Options, ParamInfo, ParamKind, RestartPolicy, Value, load, load_text,
};
use std::collections::BTreeMap;
use std::path::Path;

fn param(name: &str, kind: ParamKind, range: Option<(f64, f64)>, choices: &[&str]) -> ParamInfo {
    ParamInfo {
        name: name.into(),
        kind,
        default: None,
        unit: if name.ends_with("_wh") { "Wh".into() } else { String::new() },
        range,
        choices: choices.iter().map(ToString::to_string).collect(),
        description: String::new(),
        read_only: false,
    }
}

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    catalogue.insert(
        "battery",
        vec![param("capacity_wh", ParamKind::Float, Some((1.0, 1000.0)), &[]), param("filter.window", ParamKind::Int, None, &[])],
    );
    catalogue.insert(
        "camera",
        vec![param("source", ParamKind::Text, None, &["simulator", "v4l2"]), param("topics", ParamKind::Texts, None, &[])],
    );
    catalogue.insert("lidar", vec![]);
    catalogue
}

fn text(text: &str) -> Result<Launch, LaunchError> {
    load_text(Path::new("robot.yaml"), text, &catalogue(), &Options::default())
}

fn fails(yaml: &str) -> String {
    text(yaml).expect_err("should be refused").to_string()
}

#[test]
fn a_full_file_is_read() {
    let launch = text(
        "arguments:
  capacity: {type: float, default: 26, range: [1, 100], description: pack}
  robot: {default: omni}
graph: {mode: lock-step, step_ms: 10, rate: 0}
nodes:
  - type: battery
    namespace: ${robot}
    parameters: {capacity_wh: '${capacity}', filter: {window: 5}}
    remap: {device/battery: 'device/${robot}/battery'}
    process: body
    restart: {policy: always, max: 3, backoff_ms: 100}
  - {type: camera, name: eye, when: true, parameters: {source: v4l2, topics: []}}
  - {type: lidar, when: false}
",
    )
    .unwrap();
    assert_eq!(launch.graph.mode, Mode::LockStep);
    assert_eq!(launch.nodes.len(), 2);
    let battery = &launch.nodes[0];
    assert_eq!(battery.full_name(), "/omni/battery");
    assert_eq!(battery.parameters["capacity_wh"], Value::Float(26.0));
    assert_eq!(battery.parameters["filter.window"], Value::Int(5));
    assert_eq!(battery.remap, [("device/battery".to_owned(), "device/omni/battery".to_owned())]);
    assert_eq!(battery.restart.policy, RestartPolicy::Always);
    assert_eq!(launch.groups(), ["body"]);
    assert_eq!(launch.nodes[1].full_name(), "/eye");
}

#[test]
fn arguments_from_the_user_replace_defaults_and_are_checked() {
    let file = "arguments:\n  capacity: {type: float, default: 26, range: [1, 100]}\nnodes: [{type: battery, parameters: {capacity_wh: '${capacity}'}}]\n";
    let with = |name: &str, value: &str| {
        let options = Options { arguments: BTreeMap::from([(name.to_owned(), Value::from_text(value))]), ..Options::default() };
        load_text(Path::new("robot.yaml"), file, &catalogue(), &options)
    };
    assert_eq!(with("capacity", "50").unwrap().nodes[0].parameters["capacity_wh"], Value::Float(50.0));
    assert!(matches!(with("capacity", "500"), Err(LaunchError::OutOfRange { .. })));
    assert!(matches!(with("capacity", "much"), Err(LaunchError::WrongType { .. })));
    let unknown = with("capcity", "5").unwrap_err().to_string();
    assert_eq!(unknown, "robot.yaml: there is no argument `capcity`; did you mean `capacity`?");
}

#[test]
fn an_argument_without_default_has_to_be_given() {
    let message = fails("arguments:\n  seed: {type: int}\nnodes: [{type: lidar}]\n");
    assert_eq!(message, "robot.yaml:2: the argument `seed` has no default: give `seed:=<value>`");
}

#[test]
fn an_unknown_key_is_refused() {
    assert_eq!(
        fails("nodes:\n  - type: lidar\n    paramters: {}\n"),
        "robot.yaml:3: unknown key `paramters` in a node; did you mean `parameters`?"
    );
    assert!(fails("node: []\n").starts_with("robot.yaml:1: unknown key `node` in the launch file"));
    assert!(fails("graph: {stepms: 3}\nnodes: [{type: lidar}]\n").contains("did you mean `step_ms`"));
    assert!(fails("nodes: [{type: lidar, restart: {polcy: never}}]\n").contains("did you mean `policy`"));
    assert!(fails("arguments: {a: {typ: int}}\nnodes: []\n").contains("did you mean `type`"));
}

#[test]
fn an_unknown_node_type_is_refused() {
    assert_eq!(
        fails("nodes:\n  - type: lidar\n  - type: camrea\n"),
        "robot.yaml:3: there is no node type `camrea`; did you mean `camera`?"
    );
}

#[test]
fn an_unknown_parameter_is_refused() {
    let message = fails("nodes:\n  - type: battery\n    parameters:\n      capacity: 5\n");
    assert_eq!(message, "robot.yaml:4: node type `battery` has no parameter `capacity`; did you mean `capacity_wh`?");
}

#[test]
fn a_wrong_type_is_refused() {
    let message = fails("nodes:\n  - type: battery\n    parameters: {capacity_wh: big}\n");
    assert_eq!(message, "robot.yaml:3: parameter `capacity_wh` of `battery` must be a number, found text (big)");
    assert!(fails("nodes: {type: lidar}\n").contains("must be a list"));
    assert!(fails("nodes: [lidar]\n").contains("a node must be a mapping"));
    assert!(fails("nodes: [{type: 5}]\n").contains("must be text"));
    assert!(fails("nodes: [{type: battery, parameters: {filter.window: 1.5}}]\n").contains("a whole number"));
    assert!(fails("nodes: [{type: lidar, when: yes}]\n").contains("true, false or a text"));
    assert!(fails("nodes: [{type: lidar, when: [1]}]\n").contains("true, false or a text"));
    assert!(fails("- a\n").contains("the launch file must be a mapping"));
}

#[test]
fn a_value_out_of_range_is_refused() {
    let message = fails("nodes:\n  - type: battery\n    parameters: {capacity_wh: 0}\n");
    assert_eq!(message, "robot.yaml:3: parameter `capacity_wh` of `battery` is 0, allowed is 1 to 1000 Wh");
    assert!(fails("nodes: [{type: camera, parameters: {source: usb}}]\n").contains("simulator, v4l2"));
    assert!(fails("graph: {mode: lockstep}\nnodes: [{type: lidar}]\n").contains("did you mean `lock-step`"));
    assert!(fails("graph: {rate: -1}\nnodes: [{type: lidar}]\n").contains("0 to 1000"));
    assert!(fails("nodes: [{type: lidar, name: 2d}]\n").contains("letters, digits"));
}

#[test]
fn bad_yaml_is_refused_with_its_line() {
    let message = fails("nodes:\n  - type: lidar\n   name: x\n");
    assert!(
        message.starts_with("robot.yaml:3: not valid YAML") || message.starts_with("robot.yaml:2: not valid YAML"),
        "{message}"
    );
    assert!(fails("nodes: []\nnodes: []\n").contains("robot.yaml:2: the key `nodes` stands here a second time"));
}

#[test]
fn a_file_without_nodes_is_refused() {
    assert_eq!(fails("nodes: []\n"), "robot.yaml: the launch file starts no node");
    assert_eq!(fails(""), "robot.yaml:1: the launch file must be a mapping, found nothing");
}

#[test]
fn two_nodes_of_one_name_are_refused() {
    let message = fails("nodes:\n  - type: lidar\n  - type: lidar\n");
    assert!(message.contains("robot.yaml:3: a node named `/lidar` is already there (see robot.yaml:2)"), "{message}");
    assert!(text("nodes: [{type: lidar}, {type: lidar, name: rear}]\n").is_ok());
}

#[test]
fn an_unknown_substitution_is_refused() {
    let message =
        fails("arguments: {seed: {type: int, default: 1}}\nnodes:\n  - type: camera\n    parameters: {source: '${sed}'}\n");
    assert!(message.starts_with("robot.yaml:4: there is no argument `sed`; did you mean `seed`?"), "{message}");
}

#[test]
fn includes_are_relative_take_arguments_and_namespaces() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("parts")).unwrap();
    std::fs::write(
        dir.path().join("parts/eye.yaml"),
        "arguments: {src: {default: simulator}}\nnodes: [{type: camera, parameters: {source: '${src}'}}]\n",
    )
    .unwrap();
    let top = dir.path().join("top.yaml");
    std::fs::write(&top, "include:\n  - parts/eye.yaml\n  - {file: parts/eye.yaml, namespace: rear, arguments: {src: v4l2}}\n")
        .unwrap();
    let launch = load(&top, &catalogue(), &Options::default()).unwrap();
    let names: Vec<String> = launch.nodes.iter().map(omnimind::file::NodeSpec::full_name).collect();
    assert_eq!(names, ["/camera", "/rear/camera"]);
    assert_eq!(launch.nodes[1].parameters["source"], Value::Text("v4l2".into()));
}

#[test]
fn a_circle_of_includes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), "include: [b.yaml]\n").unwrap();
    std::fs::write(dir.path().join("b.yaml"), "nodes: []\ninclude: [./a.yaml]\n").unwrap();
    let message = load(&dir.path().join("a.yaml"), &catalogue(), &Options::default()).unwrap_err().to_string();
    assert!(message.contains("b.yaml:2: include goes round in a circle: a.yaml -> b.yaml -> a.yaml"), "{message}");
}

#[test]
fn a_missing_file_is_refused_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top.yaml");
    std::fs::write(&top, "nodes: []\ninclude:\n  - gone.yaml\n").unwrap();
    let message = load(&top, &catalogue(), &Options::default()).unwrap_err().to_string();
    assert!(message.contains("top.yaml:3: cannot read") && message.contains("gone.yaml"), "{message}");
    assert!(matches!(load(Path::new("/no/such.yaml"), &catalogue(), &Options::default()), Err(LaunchError::Read { .. })));
}

#[test]
fn parameter_files_come_before_parameters_and_wildcards_are_lenient() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("p.yaml"),
        "/**:\n  ros__parameters: {use_sim_time: true, capacity_wh: 30, unheard_of: 1}\nbattery:\n  ros__parameters: {filter: {window: 9}}\n",
    )
    .unwrap();
    let top = dir.path().join("top.yaml");
    std::fs::write(&top, "nodes:\n  - {type: battery, parameter_files: [p.yaml], parameters: {filter.window: 3}}\n").unwrap();
    let launch = load(&top, &catalogue(), &Options::default()).unwrap();
    assert_eq!(launch.nodes[0].parameters["capacity_wh"], Value::Float(30.0));
    assert_eq!(launch.nodes[0].parameters["filter.window"], Value::Int(3));
    assert_eq!(launch.nodes[0].parameters["use_sim_time"], Value::Bool(true));

    std::fs::write(dir.path().join("p.yaml"), "battery:\n  ros__parameters:\n    capacity: 30\n").unwrap();
    let message = load(&top, &catalogue(), &Options::default()).unwrap_err().to_string();
    assert!(message.contains("p.yaml:3: node type `battery` has no parameter `capacity`"), "{message}");
}

#[test]
fn restarts_back_off_and_end() {
    let launch = text("nodes: [{type: lidar, restart: {policy: on-failure, max: 3, backoff_ms: 100}}]\n").unwrap();
    let restart = launch.nodes[0].restart;
    assert_eq!([1, 2, 3, 4].map(|n| restart.wait_ms(n, true)), [Some(100), Some(200), Some(400), None]);
    assert_eq!(restart.wait_ms(1, false), None);
}

#[test]
fn snapshots_are_asked_for_and_gone_on_from_in_the_graph_section() {
    let graph = |keys: &str| format!("graph: {{mode: lock-step{keys}}}\nnodes: [{{type: lidar}}]\n");
    let settings = text(&graph("")).unwrap().graph;
    assert_eq!((settings.snapshot_every_s, settings.resume), (0.0, None));
    let settings = text(&graph(", snapshot_every_s: 2.5, resume_bag: a.mcap, resume_at_s: 12.5")).unwrap().graph;
    let resume = settings.resume.unwrap();
    assert_eq!((settings.snapshot_every_s, resume.bag.as_path(), resume.at_s), (2.5, Path::new("a.mcap"), 12.5));
    // Below zero is from the beginning, whatever recording is named.
    assert_eq!(text(&graph(", resume_bag: '', resume_at_s: -1")).unwrap().graph.resume, None);
    for keys in [", resume_at_s: 3", ", resume_bag: '', resume_at_s: 3"] {
        assert!(fails(&graph(keys)).contains("resume_bag"), "{}", fails(&graph(keys)));
    }
    assert!(fails(&graph(", snapshot_every_s: -2")).contains("snapshot_every_s"));
}

#[test]
fn a_nodes_log_level_and_autostart_are_read_and_checked() {
    let read = |rest: &str| {
        let text = format!("nodes:\n  - {{type: battery{rest}}}\n");
        load_text(Path::new("top.yaml"), &text, &catalogue(), &Options::default())
    };
    let node = read(", log_level: warn, autostart: true").unwrap().nodes.remove(0);
    assert_eq!((node.log_level, node.autostart), (Some(graph::Severity::Warn), true));
    let node = read("").unwrap().nodes.remove(0);
    assert_eq!((node.log_level, node.autostart), (None, false));
    let message = read(", log_level: wrn").unwrap_err().to_string();
    assert!(message.contains("top.yaml:2") && message.contains("did you mean `warn`?"), "{message}");
    let message = read(", autostart: maybe").unwrap_err().to_string();
    assert!(message.contains("top.yaml:2") && message.contains("true or false"), "{message}");
}

#[test]
fn when_and_unless_both_have_to_agree() {
    let started = |when: &str, unless: &str| {
        let file = format!("nodes:\n  - {{type: lidar}}\n  - {{type: lidar, name: second, when: {when}, unless: {unless}}}\n");
        text(&file).unwrap().nodes.len() == 2
    };
    assert!(started("true", "false") && started("'rerun+http://x'", "''"));
    assert!(!started("true", "true") && !started("false", "false") && !started("''", "false"));
    assert!(fails("nodes: [{type: lidar, unless: [1]}]\n").contains("`unless`"));
}
