//! `demo`, `launch` and `run`: commands that start a graph.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::cli::{DemoArgs, LaunchArgs, RunArgs};
use crate::file::check;
use crate::file::{Launch, Mode, Options, Value, load};
use crate::run::{Display, INTERRUPTED, RunOptions, run};
use crate::summary::{Recording, Summary};
use crate::{explain, networks, one_node, registry, ros_args, ros_log, share};

/// `omnimind demo`: exit code 0 only when the mission was achieved.
pub fn demo(args: &DemoArgs) -> Result<ExitCode> {
    let mut words = args.arguments.clone();
    words.extend(args.seed.map(|seed| format!("seed:={seed}")));
    // Somebody who watches wants to follow; nobody does without a terminal.
    let watched = !args.headless && !args.json && std::io::stdout().is_terminal();
    let rate = args.rate.or_else(|| (watched && !words.iter().any(|word| word.starts_with("rate:="))).then_some(1.0));
    words.extend(rate.map(|rate| format!("rate:={rate}")));
    if args.rerun {
        words.push("rerun_url:=rerun+http://127.0.0.1:9876/proxy".into());
    }
    let label = args.seed.map(|seed| format!("seed-{seed}"));
    let start = Start {
        file: args.launch.clone(),
        arguments: words,
        headless: args.headless,
        json: args.json,
        out: args.out.clone(),
        label,
        duration_s: args.duration,
        wire: !args.no_wire,
        group: None,
        check: false,
        networks_required: true,
    };
    let Some(summary) = start.go()? else { return Ok(ExitCode::SUCCESS) };
    Ok(if summary.achieved() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// `omnimind launch`: exit code 0 unless a mission failed or a node was given up.
pub fn launch(args: &LaunchArgs) -> Result<ExitCode> {
    let start = Start {
        file: args.file.clone(),
        arguments: args.arguments.clone(),
        headless: args.headless,
        json: args.json,
        out: args.out.clone(),
        label: None,
        duration_s: args.duration,
        wire: !args.no_wire,
        group: args.process.clone(),
        check: args.check,
        networks_required: false,
    };
    let Some(summary) = start.go()? else { return Ok(ExitCode::SUCCESS) };
    let broken = summary.nodes.iter().any(|n| n.state == "failed");
    // As rclcpp's executables: to be interrupted is not a failure. A demo, though, is about its mission.
    let failed = summary.mission.result == "failed" && summary.ended != INTERRUPTED;
    Ok(if failed || broken { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

struct Start {
    file: String,
    arguments: Vec<String>,
    headless: bool,
    json: bool,
    out: Option<PathBuf>,
    label: Option<String>,
    duration_s: Option<f64>,
    wire: bool,
    group: Option<String>,
    check: bool,
    /// Without its networks a demo is none; a robot runs degraded.
    networks_required: bool,
}

impl Start {
    fn go(self) -> Result<Option<Summary>> {
        let path = share::launch_file(&self.file);
        let wanted =
            self.out.clone().unwrap_or_else(|| PathBuf::from("omnimind-runs").join(self.label.clone().unwrap_or_else(timestamp)));
        let out = if self.group.is_some() { wanted } else { unused(wanted) };
        let launch = load_with(&path, &self.arguments, &out)?;
        if self.check {
            let problems = explain::meant(&launch);
            if self.json {
                let mut json = check::json(&launch);
                json["problems"] = problems.iter().map(explain::Problem::json).collect();
                println!("{}", serde_json::to_string(&json)?);
            } else {
                describe(&launch);
                problems.iter().for_each(|problem| println!("! {}: {}", problem.name, problem.message));
            }
            return Ok(None);
        }
        let recording = recording(&launch);
        let child = self.group.is_some();
        if let Err(error) = if child { Ok(()) } else { networks::ensure(&networks::needed(&launch)) } {
            if self.networks_required {
                return Err(error);
            }
            eprintln!("omnimind: {error:#}; what needs them runs degraded");
        }
        let display = match (child, self.json, self.headless || !std::io::stdout().is_terminal()) {
            (true, ..) => Display::Quiet,
            (_, false, false) => Display::Terminal,
            _ => Display::Lines,
        };
        let summary = run(RunOptions {
            path,
            arguments: self.arguments,
            launch,
            group: self.group,
            display,
            wire: self.wire,
            log_level: graph::Severity::Info,
            enclave: None,
            rosout: true,
            duration_s: self.duration_s,
            recording,
        })?;
        if self.json {
            eprint!("{}", summary.table());
            println!("{}", summary.json()?);
        } else if !child {
            print!("{}", summary.table());
        }
        Ok(Some(summary))
    }
}

/// Reads a launch file that is not to be run.
pub fn load_file(file: &str, arguments: &[String]) -> Result<Launch> {
    load_with(&share::launch_file(file), arguments, Path::new("omnimind-runs"))
}

fn load_with(path: &Path, arguments: &[String], out: &Path) -> Result<Launch> {
    let builtin = BTreeMap::from([
        ("out_dir".to_owned(), Value::Text(out.display().to_string())),
        ("share_dir".to_owned(), Value::Text(share::dir().map_or_else(|| ".".into(), |d| d.display().to_string()))),
    ]);
    let options = Options { arguments: ros_args::launch_arguments(arguments)?, builtin };
    Ok(load(path, &registry::catalogue(), &options)?)
}

/// The folder, or one beside it if an earlier run's recording lies there: nothing is ever overwritten.
fn unused(wanted: PathBuf) -> PathBuf {
    let used = |folder: &Path| ["recording.mcap", "recording.rrd"].iter().any(|file| folder.join(file).exists());
    if !used(&wanted) {
        return wanted;
    }
    let name = wanted.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    (2..).map(|count| wanted.with_file_name(format!("{name}-{count}"))).find(|folder| !used(folder)).unwrap_or(wanted)
}

/// The files that the recorder and the viewer of a launch file write.
fn recording(launch: &Launch) -> Recording {
    let path_of = |type_: &str| {
        let node = launch.nodes.iter().find(|n| n.type_ == type_)?;
        match node.parameters.get("path") {
            Some(Value::Text(path)) if !path.is_empty() => Some(PathBuf::from(path)),
            _ => None,
        }
    };
    Recording { mcap: path_of("recorder"), rrd: path_of("viewer") }
}

fn describe(launch: &Launch) {
    let mode = match launch.graph.mode {
        Mode::LockStep => format!("lock-step, {} ms, rate {}", launch.graph.step_ms, launch.graph.rate),
        Mode::FreeRunning => "free-running".into(),
    };
    println!("graph: {mode}");
    for argument in &launch.arguments {
        let value = launch.values.get(&argument.info.name).map_or_else(String::new, ToString::to_string);
        println!("argument {}:={value}  {}", argument.info.name, argument.info.description);
    }
    for node in &launch.nodes {
        let process = node.process.as_ref().map_or_else(String::new, |p| format!("  process {p}"));
        println!("node {} ({}){process}", node.full_name(), node.type_);
    }
}

/// `omnimind run`: one node, or vision over pictures. As of an rclcpp executable, the exit code is 0 when it was asked to end.
pub fn run_node(args: &RunArgs) -> Result<ExitCode> {
    let ros = ros_args::parse(&args.ros_args)?;
    if let Some(unexpected) = ros.rest.first() {
        bail!("`{unexpected}` is not an argument of `omnimind run`; ROS arguments come after `--ros-args`");
    }
    if let Some(source) = &args.source {
        if args.node != "vision" {
            bail!("`--source` is for `omnimind run vision`");
        }
        return super::photos::run(source, args.out.as_deref());
    }
    let launch = one_node::launch(&args.node, &ros, share::dir().as_deref())?;
    let recording = recording(&launch);
    let summary = run(RunOptions {
        path: PathBuf::new(),
        arguments: Vec::new(),
        launch,
        group: None,
        display: Display::Ros(ros_log::sink(&ros.log, &args.node)?),
        wire: !args.no_wire,
        log_level: ros.log.default.unwrap_or(graph::Severity::Info),
        enclave: ros.enclave,
        rosout: ros.log.rosout,
        duration_s: args.duration,
        recording,
    })?;
    let failed = summary.nodes.iter().any(|n| n.state == "failed");
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

pub(super) fn timestamp() -> String {
    crate::date::for_file_names(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
