//! The demo as a whole, run as a child process: memory, and how long until it has a plan.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::machine::kib;
use super::report::{Goal, Group, Row};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often memory is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Runs the demo: without models for `seconds` times 5 simulated seconds, and with them until the first plan, several times.
pub fn measure(seconds: f64) -> Group {
    let simulated_s = (seconds * 5.0).clamp(2.0, 120.0);
    let memory = match memory_without_models(simulated_s) {
        Ok(mib) => {
            Row::new("resident memory without models, peak", mib, "MiB", format!("{simulated_s} s simulated, nothing recorded"))
        }
        Err(error) => Row::missing("resident memory without models, peak", "MiB", &error),
    };
    let plan = match (0..3).map(|_| first_plan()).collect::<Result<Vec<_>>>() {
        Ok(times) => {
            let median = super::report::quantile(&times, 0.5);
            Row::new("process start to the first plan", median, "s", "rate 0, seed 1, models from the cache, median of 3")
        }
        Err(error) => Row::missing("process start to the first plan", "s", &error),
    };
    Group { title: "demo as a whole", rows: vec![memory.goal(Goal::Below(300.0)), plan.goal(Goal::Below(3.0))] }
}

/// A demo that ends with this.
struct Demo {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Demo {
    /// As `omnimind demo` or, because that one insists on its models, as `omnimind launch demo.yaml`.
    fn start(words: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the omnimind program")?;
        let mut command = Command::new(program);
        command.args(words).args(["--headless", "--no-wire", "--json", "rate:=0", "seed:=1", "record:=false"]);
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the demo")?;
        let stderr = child.stderr.take().ok_or_else(|| anyhow!("the demo has no output"))?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Read on when nobody listens: the demo must not wait for us.
                drop(sender.send(line));
            }
        });
        Ok(Self { child, lines })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Errors mean that it is gone already. It records nothing, so nothing is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Peak resident memory in MiB of a demo that finds no model files.
fn memory_without_models(simulated_s: f64) -> Result<f64> {
    let empty = std::env::temp_dir().join(format!("omnimind-bench-{}", std::process::id()));
    std::fs::create_dir_all(&empty)?;
    let dir = empty.display().to_string();
    let environment = [("OMNIMIND_CACHE", dir.as_str()), ("OMNIMIND_ROOT", dir.as_str()), ("OMNIMIND_OFFLINE", "1")];
    let peak = Demo::start(&["launch", "demo.yaml", "--duration", &simulated_s.to_string()], &environment)
        .and_then(|mut demo| peak_mib(&mut demo));
    // An empty folder that stays does no harm.
    let _ = std::fs::remove_dir_all(&empty);
    peak
}

fn peak_mib(demo: &mut Demo) -> Result<f64> {
    let path = format!("/proc/{}/status", demo.child.id());
    let until = Instant::now() + PATIENCE;
    let mut peak = None;
    // Ends by itself, with whatever exit code: the mission is cut short.
    while demo.child.try_wait()?.is_none() {
        if Instant::now() > until {
            bail!("the demo did not end within {PATIENCE:?}");
        }
        peak = std::fs::read_to_string(&path).ok().and_then(|text| kib(&text, "VmHWM")).or(peak);
        std::thread::sleep(POLL);
    }
    let said: Vec<String> = demo.lines.iter().collect();
    if !said.iter().any(|line| line.contains("handled")) {
        bail!("the demo did not run: {}", said.last().map_or("it said nothing", String::as_str));
    }
    peak.map(|kib| kib / 1024.0).ok_or_else(|| anyhow!("this system does not tell a process's memory"))
}

/// Seconds from process start until the demo says that the first step of a plan runs (it looks ten times a second).
fn first_plan() -> Result<f64> {
    let begin = Instant::now();
    let demo = Demo::start(&["demo"], &[])?;
    let mut last = String::new();
    loop {
        match demo.lines.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
            Ok(line) if is_first_step(&line) => return Ok(begin.elapsed().as_secs_f64()),
            Ok(line) => last = line,
            Err(_) => bail!("the demo ended or went on for {PATIENCE:?} without a plan; its last line: {last}"),
        }
    }
}

/// Whether a line of the demo's progress tells of a plan: `     3.2 s  step 1 of 7: move ...`.
fn is_first_step(line: &str) -> bool {
    line.contains(" s  step 1 of ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_of_a_plan_is_recognised() {
        assert!(is_first_step("     3.2 s  step 1 of 7: move to the kitchen, in progress"));
        assert!(!is_first_step("     3.2 s  step 2 of 7: grasp the cup, in progress"));
        assert!(!is_first_step("     3.2 s  heard: \"step 1\""));
    }
}
