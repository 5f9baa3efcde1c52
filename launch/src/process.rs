//! Process groups: nodes that run in processes of their own, supervised by the one that was started by hand.
//!
//! Each child's standard input is a pipe from its parent. It closes when the parent ends, in whatever way, and the child stops
//! in order: there are no orphans, and no signal has to be caught in time. A terminal's Ctrl-C reaches the parent only, whose nodes
//! stop first: whoever has the last word on motion is still there when they do.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use graph::StopFlag;

use crate::file::{Launch, Restart};

/// Why a child process cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program does not know where it is.
    #[error("cannot find the omnimind program: {0}")]
    Program(std::io::Error),
    /// The operating system refuses.
    #[error("cannot start process group `{group}`: {source}")]
    Spawn {
        /// The group.
        group: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// How long a child may take to stop in order.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// The child processes of a launch file.
#[derive(Default)]
pub struct Children {
    supervisors: Vec<JoinHandle<()>>,
    flag: Option<StopFlag>,
}

impl Children {
    /// Starts a process per group and watches them: one that fails is started again as its nodes' restart policy says; when it
    /// is given up, the whole graph stops.
    ///
    /// # Errors
    /// [`SpawnError`]; the children that run already stop again.
    pub fn start(launch: &Launch, path: &Path, arguments: &[String], flag: &StopFlag) -> Result<Self, SpawnError> {
        let mut children = Self { supervisors: Vec::new(), flag: Some(flag.clone()) };
        let groups = launch.groups();
        if groups.is_empty() {
            return Ok(children);
        }
        let program = std::env::current_exe().map_err(SpawnError::Program)?;
        for group in groups {
            let restart =
                launch.nodes.iter().find(|n| n.process.as_deref() == Some(group)).map_or_else(Restart::default, |n| n.restart);
            let mut command = Command::new(&program);
            command.args(["launch", "--headless", "--process", group]).arg(path).args(arguments);
            // Its standard output would mix with the parent's, whose last line is the result.
            command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
            let supervisor = Supervisor { name: group.to_owned(), command, restart, flag: flag.clone() };
            match supervisor.start() {
                Ok(handle) => children.supervisors.push(handle),
                Err(error) => {
                    flag.stop(error.to_string());
                    children.stop();
                    return Err(error);
                }
            }
        }
        Ok(children)
    }

    /// Stops them in order and waits.
    pub fn stop(self) {
        if let Some(flag) = &self.flag {
            flag.stop("the graph has ended");
        }
        for supervisor in self.supervisors {
            // A supervisor that panicked has no child left: its pipe is closed.
            let _ = supervisor.join();
        }
    }
}

struct Supervisor {
    name: String,
    command: Command,
    restart: Restart,
    flag: StopFlag,
}

impl Supervisor {
    fn start(mut self) -> Result<JoinHandle<()>, SpawnError> {
        let child = self.command.spawn().map_err(|source| SpawnError::Spawn { group: self.name.clone(), source })?;
        Ok(std::thread::spawn(move || self.watch(child)))
    }

    fn watch(mut self, mut child: Child) {
        let mut restarts = 0;
        loop {
            let status = loop {
                if self.flag.is_set() {
                    stop(&mut child);
                    return;
                }
                match child.try_wait() {
                    Ok(Some(status)) => break status,
                    Ok(None) => std::thread::sleep(POLL),
                    Err(error) => {
                        self.flag.stop(format!("process group `{}` cannot be watched: {error}", self.name));
                        stop(&mut child);
                        return;
                    }
                }
            };
            restarts += 1;
            let Some(wait_ms) = self.restart.wait_ms(restarts, !status.success()) else {
                let how = if status.success() { "ended".to_owned() } else { format!("failed ({status})") };
                self.flag.stop(format!("process group `{}` {how} and is not started again", self.name));
                return;
            };
            eprintln!(
                "process group `{}` ended ({status}); restart {restarts} of {} in {wait_ms} ms",
                self.name, self.restart.max
            );
            let until = Instant::now() + Duration::from_millis(wait_ms);
            while Instant::now() < until && !self.flag.is_set() {
                std::thread::sleep(POLL);
            }
            if self.flag.is_set() {
                return;
            }
            match self.command.spawn() {
                Ok(next) => child = next,
                Err(error) => {
                    self.flag.stop(format!("process group `{}` cannot be started again: {error}", self.name));
                    return;
                }
            }
        }
    }
}

fn stop(child: &mut Child) {
    drop(child.stdin.take());
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(POLL);
    }
    // It had its time. Errors mean that it is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

/// A name of any letters as a word of a ROS name.
#[must_use]
pub fn word(name: &str) -> String {
    name.trim_matches('/').chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Stops the graph when standard input closes: in a child process, when the parent is gone.
pub fn stop_with_parent(flag: StopFlag) {
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
        flag.stop("the parent process has ended");
    });
}
