//! The installed package: what lies where, what is left alone, and a node that runs from it as `ros2 launch` runs it.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn install(prefix: &Path, more: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_omnimind");
    Command::new(program).arg("install").arg("--prefix").arg(prefix).args(more).current_dir(root()).output().unwrap()
}

fn installed(prefix: &Path, more: &[&str]) {
    let out = install(prefix, more);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn refused(prefix: &Path, more: &[&str]) -> String {
    let out = install(prefix, more);
    assert_eq!(out.status.code(), Some(2));
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn files(prefix: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![prefix.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(prefix).unwrap().display().to_string());
            }
        }
    }
    found
}

#[test]
fn the_package_has_what_ros2_looks_for_and_is_removed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("prefix");
    installed(&prefix, &["--link"]);
    let first = files(&prefix);
    let index = "share/ament_index/resource_index";
    for file in [
        "bin/omnimind",
        "lib/omnimind/omnimind",
        "lib/omnimind/vision",
        "share/omnimind/package.xml",
        "share/omnimind/launch/demo.launch.py",
        "share/omnimind/launch/robot.launch.xml",
        "share/omnimind/launch/gazebo.launch.yaml",
        "share/omnimind/launch/parts/mind.yaml",
        "share/omnimind/config/home_map.pgm",
        "share/omnimind/sim/worlds/home.sdf",
        "share/omnimind_msgs/package.xml",
        "share/omnimind_msgs/msg/Belief.msg",
        "share/omnimind_msgs/action/Act.action",
        "share/omnimind/local_setup.bash",
        "setup.bash",
    ] {
        assert!(first.contains(file), "{file} is not there");
    }
    let text = |file: &str| std::fs::read_to_string(prefix.join(file)).unwrap();
    assert!(text(&format!("{index}/packages/omnimind")).is_empty());
    assert!(text(&format!("{index}/package_run_dependencies/omnimind")).split(';').any(|name| name == "launch_ros"));
    assert!(text(&format!("{index}/rosidl_interfaces/omnimind_msgs")).lines().any(|line| line == "srv/SetGoal.srv"));
    let components = text(&format!("{index}/rclcpp_components/omnimind"));
    assert!(components.contains("omnimind::GpuManager;lib/omnimind/gpu_manager\n"));
    assert!(!components.to_lowercase().contains("container"), "no container loads another");
    assert!(!first.iter().any(|file| file.contains("/src/")), "{first:?}");

    // A second installation, the other way, leaves nothing of the first behind.
    std::fs::write(prefix.join("share/omnimind/mine.txt"), "foreign").unwrap();
    installed(&prefix, &["--copy"]);
    assert!(!prefix.join("bin/omnimind").is_symlink());
    let mut second = files(&prefix);
    assert!(second.remove("share/omnimind/mine.txt"));
    assert_eq!(first, second);

    installed(&prefix, &["--remove"]);
    assert_eq!(files(&prefix), BTreeSet::from(["share/omnimind/mine.txt".to_owned()]));
    assert!(refused(&prefix, &["--remove"]).contains("not installed"));
}

#[test]
fn versions_agree() {
    for file in ["launch/package.xml", "msgs/interfaces/omnimind_msgs/package.xml"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(concat!("<version>", env!("CARGO_PKG_VERSION"), "</version>")), "{file}");
    }
}

#[test]
fn an_installed_program_uses_the_files_of_its_prefix_wherever_it_is_started() {
    let dir = tempfile::tempdir().unwrap();
    installed(dir.path(), &[]);
    // In the source tree, whose files lie nearer.
    let mut command = Command::new(dir.path().join("lib/omnimind/omnimind"));
    let out = command.args(["launch", "--check", "--json", "demo.yaml"]).current_dir(root()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let simulator = json["nodes"].as_array().unwrap().iter().find(|node| node["type"] == "simulator").unwrap();
    let share = dir.path().canonicalize().unwrap().join("share/omnimind");
    let world = PathBuf::from(simulator["parameters"]["world"].as_str().unwrap());
    assert!(world.starts_with(&share) && world.is_file(), "{}", world.display());
}

#[test]
fn what_cannot_be_is_said_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(&dir.path().join("no/such/folder"), &[]).contains("make it first"));
    assert!(refused(&root().join("prefix"), &[]).contains("choose another prefix"));
    assert!(refused(Path::new("/proc/prefix"), &[]).contains("/proc/prefix"));
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(refused(&dir.path().join("file"), &[]).contains("not a folder"));
    // Somebody else's file.
    let prefix = dir.path().join("prefix");
    std::fs::create_dir_all(prefix.join("lib/omnimind")).unwrap();
    std::fs::write(prefix.join("lib/omnimind/vision"), "foreign").unwrap();
    assert!(refused(&prefix, &[]).contains("lib/omnimind/vision is in the way"));
    assert_eq!(files(&prefix).len(), 1);
    // A list that somebody has tampered with.
    std::fs::create_dir_all(prefix.join("share/omnimind")).unwrap();
    std::fs::write(prefix.join("share/omnimind/installed_files.txt"), "../file\n").unwrap();
    assert!(refused(&prefix, &["--remove"]).contains("../file"));
    assert!(dir.path().join("file").is_file());
}

#[test]
fn an_installed_copy_is_not_linked_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    installed(dir.path(), &[]);
    let before = files(dir.path());
    let again = |prefix: &Path, how: &str| {
        let mut command = Command::new(dir.path().join("bin/omnimind"));
        command.args(["install", how, "--prefix"]).arg(prefix).output().unwrap()
    };
    let out = again(dir.path(), "--link");
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("lies in the prefix"), "{out:?}");
    assert_eq!(files(dir.path()), before);
    assert!(!dir.path().join("bin/omnimind").is_symlink() && !dir.path().join("share/omnimind/package.xml").is_symlink());
    // What does stand alone may be renewed from itself, and another prefix linked to it.
    assert!(again(dir.path(), "--copy").status.success());
    assert_eq!(files(dir.path()), before);
    let other = dir.path().parent().unwrap().join(format!("{}-other", dir.path().file_name().unwrap().display()));
    let linked = again(&other, "--link");
    let is_link = other.join("share/omnimind/package.xml").is_symlink();
    std::fs::remove_dir_all(&other).unwrap();
    assert!(linked.status.success() && is_link, "{linked:?}");
}

#[test]
fn every_interface_has_its_description_with_the_hashes_that_are_used() {
    let dir = tempfile::tempdir().unwrap();
    installed(dir.path(), &["--link"]);
    let share = dir.path().join("share/omnimind_msgs");
    let mut count = 0;
    for file in files(&share).iter().filter(|file| !file.ends_with(".json") && *file != "package.xml") {
        let (plain, _) = file.rsplit_once('.').unwrap();
        let text = std::fs::read_to_string(share.join(format!("{plain}.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let name = format!("omnimind_msgs/{plain}");
        assert_eq!(json["type_description_msg"]["type_description"]["type_name"], name.as_str());
        let hashes = json["type_hashes"].as_array().unwrap();
        assert_eq!(hashes[0]["type_name"], name.as_str());
        for hash in hashes {
            // Messages only: of services and actions the registry has the parts.
            if let Some(known) = msgs::registry::find(hash["type_name"].as_str().unwrap()) {
                assert_eq!(hash["hash_string"], known.hash, "{name}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count} hashes compared");
}

#[test]
fn setup_files_put_the_prefix_first_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("it's a prefix");
    std::fs::create_dir(&prefix).unwrap();
    std::fs::write(prefix.join("setup.bash"), "# another package's\n").unwrap();
    installed(&prefix, &["--link"]);
    assert_eq!(std::fs::read_to_string(prefix.join("setup.bash")).unwrap(), "# another package's\n");
    for shell in ["sh", "bash"] {
        let line =
            format!(". \"$1/share/omnimind/local_setup.{shell}\"; . \"$1/local_setup.{shell}\"; echo \"$AMENT_PREFIX_PATH\"");
        let out =
            Command::new(shell).args(["-euc", &line, shell]).arg(&prefix).env("AMENT_PREFIX_PATH", "/other").output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert_eq!(text.trim_end(), format!("{}:/other", prefix.canonicalize().unwrap().display()), "{shell}: {out:?}");
    }
}

/// A network of its own: a free port for the router, which the node embeds.
struct Network(String);

impl Network {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self(format!("connect/endpoints=[\"tcp/127.0.0.1:{port}\"]"))
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("ZENOH_CONFIG_OVERRIDE", &self.0).env("ROS_DOMAIN_ID", "31").stdin(Stdio::null());
        command
    }

    /// What the program says once it succeeds.
    fn ask(&self, program: &Path, arguments: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let out = self.command(program, arguments).output().unwrap();
            if out.status.success() {
                return String::from_utf8(out.stdout).unwrap();
            }
            assert!(Instant::now() < deadline, "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        }
    }
}

/// Signals twice, as a terminal and `ros2 launch` do between them.
fn end(mut child: Child, signal: &str) -> (Option<i32>, String) {
    let id = child.id().to_string();
    assert!(Command::new("sh").args(["-c", "kill $0 $1 && kill $0 $1", signal, &id]).status().unwrap().success());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

#[test]
fn a_node_takes_what_ros2_launch_passes_and_ends_in_order_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("prefix");
    installed(&prefix, &["--link"]);
    let file = dir.path().join("p.yaml");
    std::fs::write(&file, "/**:\n  ros__parameters:\n    capacity_wh: 31.5\n    of_another_node: 1\n").unwrap();
    let network = Network::new();
    let program = prefix.join("lib/omnimind/omnimind");
    // As launch_ros' Node puts it (launch_ros/actions/node.py).
    let line = format!(
        "--ros-args --log-level warn -e /kitchen -r __node:=pack -r __ns:=/omni --params-file {} -r battery_state:=pack_state",
        file.display()
    );
    let words: Vec<&str> = line.split(' ').collect();
    for signal in ["-INT", "-TERM"] {
        let mut node = network.command(&prefix.join("lib/omnimind/battery"), &words);
        let node = node.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let info = network.ask(&program, &["node", "info", "/omni/pack"]);
        assert!(
            info.contains("/omni/pack_state: sensor_msgs/msg/BatteryState") && !info.contains("/omni/battery_state"),
            "{info}"
        );
        assert_eq!(network.ask(&program, &["param", "get", "/omni/pack", "capacity_wh"]).trim_end(), "31.5");
        let nodes = network.ask(&program, &["node", "list"]);
        assert_eq!(nodes, "/omni/pack\n");
        let nodes = network.ask(&program, &["node", "list", "-a"]);
        assert!(nodes.contains("/_graph_omni_pack\n") && !nodes.lines().any(|node| node == "/graph"), "{nodes}");
        let (code, told) = end(node, signal);
        assert_eq!(code, Some(0), "{signal}: {told}");
        assert!(!told.contains("[INFO]"), "{told}");
    }
}

#[test]
fn a_network_that_is_switched_off_is_none_for_processes_of_one_launch() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    std::fs::write(&file, "nodes: [{type: battery}, {type: lidar, process: head}]\n").unwrap();
    let mut command = Network::new().command(Path::new(env!("CARGO_BIN_EXE_omnimind")), &["launch", "--headless"]);
    let out = command.arg(&file).env("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF").output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("node `lidar` is in a process of its own"), "{out:?}");
}

#[test]
fn children_end_with_a_parent_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    std::fs::write(&file, "nodes: [{type: battery}, {type: lidar, process: head}]\n").unwrap();
    let network = Network::new();
    let program = Path::new(env!("CARGO_BIN_EXE_omnimind"));
    let mut launch = network.command(program, &["launch", "--headless", &file.display().to_string()]);
    let mut launch = launch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !network.ask(program, &["node", "list"]).contains("/lidar") {
        assert!(Instant::now() < deadline);
    }
    launch.kill().unwrap();
    launch.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let left = || Command::new("pgrep").args(["-f", &file.display().to_string()]).output().unwrap().stdout;
    while !left().is_empty() {
        assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&left()));
    }
}

#[test]
fn processes_of_one_launch_have_names_of_their_own_and_are_all_in_the_summary() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    std::fs::write(&file, "nodes:\n  - type: battery\n  - {type: lidar, process: head}\n  - {type: touch, process: hand}\n")
        .unwrap();
    let network = Network::new();
    let program = Path::new(env!("CARGO_BIN_EXE_omnimind"));
    let mut launch = network.command(program, &["launch", "--headless", "--json", &file.display().to_string()]);
    let mut launch = launch.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let own = ["/graph", "/graph_head", "/graph_hand", "/battery", "/lidar", "/touch"];
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let nodes = network.ask(program, &["node", "list"]);
        if own.iter().all(|name| nodes.lines().any(|node| node == *name)) {
            break;
        }
        assert!(Instant::now() < deadline && launch.try_wait().unwrap().is_none(), "{nodes}");
    }
    // The counts are told every second.
    network.ask(program, &["topic", "hz", "/graph/statistics", "--seconds", "3"]);
    assert!(Command::new("kill").args(["-INT", &launch.id().to_string()]).status().unwrap().success());
    let out = launch.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_str(String::from_utf8(out.stdout).unwrap().lines().last().unwrap()).unwrap();
    for name in own {
        let node = json["nodes"].as_array().unwrap().iter().find(|node| node["name"] == name);
        let state = node.unwrap_or_else(|| panic!("{name} is not in {json}"))["state"].as_str().unwrap();
        assert!(["running", "stopped"].contains(&state), "{name} is {state}");
    }
    // Nobody is left.
    let gone = network.command(program, &["node", "list"]).output().unwrap();
    assert!(!gone.status.success(), "{}", String::from_utf8_lossy(&gone.stdout));
}
