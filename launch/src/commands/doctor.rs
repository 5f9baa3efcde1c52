//! `omnimind doctor`: is everything here that a demo needs, and what is wrong with the graph that runs?

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;
use models::Store;
use models::devices::DeviceMonitor;
use serde_json::json;

use crate::cli::DoctorArgs;
use crate::explain::{self, Ear, Problem, Severity};
use crate::remote::{Remote, RemoteError};
use crate::share;

mod expected;

use expected::Expected;

/// How often `--watch` looks.
const WATCH: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    // The demo runs without it.
    Note,
    Bad,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Good => "✔",
            Self::Note => "·",
            Self::Bad => "✘",
        }
    }
}

/// Prints a line per check of the machine, and a sentence per problem of the running graph and of the launch file; exit code 1 when the
/// demo cannot run here or there is a problem.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    if args.watch {
        return watch();
    }
    let launch = args.file.as_ref().map(|file| super::start::load_file(file, &args.arguments)).transpose()?;
    let meant = launch.as_ref().map(explain::meant).unwrap_or_default();
    let running = Remote::connect().and_then(|remote| explain::look(&remote));
    let expected = if running.is_err() { Expected::here() } else { Expected::default() };
    let mut checks = vec![
        ("launch files", launch_files()),
        ("models", model_files()),
        ("processor", processor()),
        ("devices", devices()),
        ("memory", memory()),
        ("disk", disk()),
        ("Rerun viewer", rerun()),
    ];
    let network = match &running {
        Ok(running) if running.nodes > 0 => (Verdict::Good, format!("a graph with {} nodes is running", running.nodes)),
        Ok(_) => (
            Verdict::Note,
            "a router answers and no node is to be seen: none runs, or the router's access control keeps them from this program"
                .into(),
        ),
        Err(error) => unreachable(error, &expected),
    };
    checks.push(("ROS 2 network", network));
    let bad = checks.iter().filter(|(_, (verdict, _))| *verdict == Verdict::Bad).count();
    let problems = running.as_ref().map(|running| running.problems.clone()).unwrap_or_default();
    let well = bad == 0 && problems.is_empty() && meant.is_empty();
    if args.json {
        let check = |(what, (verdict, text)): &(&str, (Verdict, String))| json!({"check": what, "state": verdict.as_str(), "message": text});
        let object = json!({
            "ok": well,
            "machine": checks.iter().map(check).collect::<Vec<_>>(),
            "graph": {
                "running": running.as_ref().is_ok_and(|running| running.nodes > 0),
                "nodes": running.as_ref().map_or(0, |running| running.nodes),
                "problems": problems.iter().map(Problem::json).collect::<Vec<_>>(),
            },
            "launch_file": args.file.as_ref().map(|file| json!({
                "file": file,
                "problems": meant.iter().map(Problem::json).collect::<Vec<_>>(),
            })),
        });
        println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(1) });
    }
    for (what, (verdict, text)) in &checks {
        println!("{} {what:<14} {text}", verdict.mark());
    }
    if let Some(file) = &args.file {
        print("what this launch file means to connect", &meant, &format!("everything in {file} that could be set up here meets"));
    }
    if running.as_ref().is_ok_and(|running| running.nodes > 0) {
        print("the running graph", &problems, "nothing is wrong with the running graph");
    }
    if bad > 0 {
        println!("{bad} of these must be put right first");
    } else if running.is_err() {
        println!("ready: run `omnimind`");
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Nothing can be seen. That is a problem where something was to be seen.
fn unreachable(error: &RemoteError, expected: &Expected) -> (Verdict, String) {
    match (error, expected.why()) {
        (RemoteError::Open(wire::OpenError::Unreachable { .. }), None) => {
            (Verdict::Note, format!("no graph is running ({error})"))
        }
        (_, Some(why)) => (Verdict::Bad, format!("no graph can be seen ({error}), but {why}")),
        (_, None) => (Verdict::Bad, format!("no graph can be seen ({error})")),
    }
}

fn print(what: &str, problems: &[Problem], well: &str) {
    if problems.is_empty() {
        println!("✔ {well}");
        return;
    }
    println!("{what}:");
    problems.iter().for_each(|problem| println!("{}", line(problem)));
}

fn line(problem: &Problem) -> String {
    let mark = if problem.severity == Severity::Error { "✘" } else { "!" };
    format!("{mark} {}: {}", problem.name, problem.message)
}

/// Until Ctrl-C.
fn watch() -> Result<ExitCode> {
    let remote = Remote::connect()?;
    let ear = Ear::open(&remote)?;
    let mut before: BTreeMap<String, Problem> = BTreeMap::new();
    loop {
        let now: BTreeMap<String, Problem> = ear.problems().into_iter().map(|problem| (problem.name.clone(), problem)).collect();
        now.values().filter(|problem| !before.contains_key(&problem.name)).for_each(|problem| println!("{}", line(problem)));
        for (name, problem) in before.iter().filter(|(name, _)| !now.contains_key(*name)) {
            println!("✔ {name}: over: {}", problem.message);
        }
        before = now;
        std::thread::sleep(WATCH);
    }
}

fn launch_files() -> (Verdict, String) {
    match share::dir() {
        Some(dir) => (Verdict::Good, dir.join("launch").display().to_string()),
        None => (Verdict::Bad, "launch/demo.yaml is not found: run in the OmniMind folder or set OMNIMIND_HOME".into()),
    }
}

fn model_files() -> (Verdict, String) {
    let store = match Store::open() {
        Ok(store) => store,
        Err(error) => return (Verdict::Bad, error.to_string()),
    };
    let names: Vec<String> = store.catalogue().models().map(|m| m.name.clone()).collect();
    let missing: Vec<&String> = names.iter().filter(|name| store.verify(name).is_err()).collect();
    if missing.is_empty() {
        return (Verdict::Good, format!("{} in {}", names.len(), store.cache().display()));
    }
    let list: Vec<&str> = missing.iter().map(|n| n.as_str()).collect();
    (Verdict::Note, format!("{} are not here yet ({}): `omnimind models fetch`", missing.len(), list.join(", ")))
}

#[cfg(target_arch = "x86_64")]
fn processor() -> (Verdict, String) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // The program is built for x86-64-v3.
    let fast = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    let verdict = if fast { Verdict::Good } else { Verdict::Bad };
    (verdict, format!("{cores} threads, AVX2 and FMA {}", if fast { "present" } else { "missing (x86-64-v3 is needed)" }))
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> (Verdict, String) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (Verdict::Good, format!("{cores} threads"))
}

fn devices() -> (Verdict, String) {
    let mut monitor = DeviceMonitor::new();
    let devices: Vec<String> = monitor.sample().iter().map(|d| format!("{} ({})", d.id, d.name)).collect();
    let note = monitor.note();
    let text = if note.is_empty() { devices.join(", ") } else { format!("{}; {note}", devices.join(", ")) };
    (Verdict::Good, text)
}

fn memory() -> (Verdict, String) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|l| l.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    match kib {
        Some(kib) if kib < 1 << 20 => (Verdict::Bad, format!("{} MiB free, the demo needs 1 GiB", kib >> 10)),
        Some(kib) => (Verdict::Good, format!("{:.1} GiB free", kib as f64 / f64::from(1 << 20))),
        None => (Verdict::Note, "unknown on this system".into()),
    }
}

fn disk() -> (Verdict, String) {
    let here = std::env::current_dir().unwrap_or_default();
    match tempdir_works(&here) {
        Ok(()) => (Verdict::Good, format!("{} can be written", here.display())),
        Err(error) => (Verdict::Bad, format!("{} cannot be written: {error}", here.display())),
    }
}

fn tempdir_works(dir: &std::path::Path) -> std::io::Result<()> {
    let probe = dir.join(format!(".omnimind-doctor-{}", std::process::id()));
    std::fs::write(&probe, b"probe")?;
    std::fs::remove_file(probe)
}

fn rerun() -> (Verdict, String) {
    match Command::new("rerun").arg("--version").output() {
        Ok(out) if out.status.success() => {
            (Verdict::Good, String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned())
        }
        _ => (Verdict::Note, "not installed; recordings can be looked at after `pip install rerun-sdk`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::OpenError;

    #[test]
    fn a_router_that_is_not_there_is_a_note_unless_a_graph_is_expected() {
        let gone = RemoteError::Open(OpenError::Unreachable { endpoint: "tcp/127.0.0.1:1".into() });
        let (verdict, said) = unreachable(&gone, &Expected::default());
        assert!(verdict == Verdict::Note && said.starts_with("no graph is running"), "{said}");
        let strange = RemoteError::Open(OpenError::NotZenoh { endpoint: "tcp/127.0.0.1:1".into(), reason: "noise".into() });
        let (verdict, said) = unreachable(&strange, &Expected::default());
        assert!(verdict == Verdict::Bad && said.starts_with("no graph can be seen"), "{said}");
    }
}
