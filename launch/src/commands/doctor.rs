//! `omnimind doctor`: is everything here that a demo needs?

use std::process::{Command, ExitCode};

use anyhow::Result;
use models::Store;
use models::devices::DeviceMonitor;

use crate::remote::Remote;
use crate::share;

enum Verdict {
    Good,
    // The demo runs without it.
    Note,
    Bad,
}

/// Prints a line per check; exit code 1 when the demo cannot run.
pub fn run() -> Result<ExitCode> {
    let mut bad = 0;
    for (what, (verdict, text)) in [
        ("launch files", launch_files()),
        ("models", model_files()),
        ("processor", processor()),
        ("devices", devices()),
        ("memory", memory()),
        ("disk", disk()),
        ("ROS 2 network", network()),
        ("Rerun viewer", rerun()),
    ] {
        let mark = match verdict {
            Verdict::Good => "✔",
            Verdict::Note => "·",
            Verdict::Bad => {
                bad += 1;
                "✘"
            }
        };
        println!("{mark} {what:<14} {text}");
    }
    if bad == 0 {
        println!("ready: run `omnimind`");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{bad} of these must be put right first");
    Ok(ExitCode::from(1))
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

fn network() -> (Verdict, String) {
    match Remote::connect().and_then(|remote| remote.view()) {
        Ok(view) => (Verdict::Good, format!("a graph with {} nodes is running", view.nodes.len())),
        Err(error) => (Verdict::Note, format!("no graph is running ({error})")),
    }
}

fn rerun() -> (Verdict, String) {
    match Command::new("rerun").arg("--version").output() {
        Ok(out) if out.status.success() => {
            (Verdict::Good, String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned())
        }
        _ => (Verdict::Note, "not installed; recordings can be looked at after `pip install rerun-sdk`".into()),
    }
}
