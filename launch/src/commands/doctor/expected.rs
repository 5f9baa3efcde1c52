//! Whether there should be a graph: somebody named its router, or processes of this host belong to it.

use std::collections::BTreeMap;
use std::path::Path;

use wire::WireConfig;

/// How the memory is called by which processes of a host find each other (carrier's `Mailbox`).
const MAILBOX: &str = "/memfd:omnimind-mailbox";

/// Variables that name a router.
const NAMING: [&str; 2] = ["ZENOH_CONFIG_OVERRIDE", "ZENOH_SESSION_CONFIG_URI"];

/// What speaks for a graph.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The variable that names the router.
    named: Option<&'static str>,
    /// Processes of this host with the same domain and router.
    processes: Vec<u32>,
}

impl Expected {
    /// Looks at this process's environment and at the other processes.
    pub fn here() -> Self {
        let Ok(own) = WireConfig::from_env() else { return Self::default() };
        let named = NAMING.into_iter().find(|name| names_a_router(name, &std::env::var(name).unwrap_or_default()));
        Self { named, processes: processes(Path::new("/proc"), &own) }
    }

    /// Half a sentence; none: nothing speaks for a graph.
    pub fn why(&self) -> Option<String> {
        match (self.named, &self.processes[..]) {
            (None, []) => None,
            (Some(name), []) => Some(format!("{name} names that router: start it or a graph there, or correct the address")),
            (_, [pid]) => Some(format!("process {pid} of this host belongs to one: its router has gone or does not answer")),
            (_, [pid, rest @ ..]) => {
                let count = rest.len() + 1;
                Some(format!(
                    "{count} processes of this host ({pid} is one) belong to one: its router has gone or does not answer"
                ))
            }
        }
    }
}

/// An override may be about something else.
fn names_a_router(variable: &str, value: &str) -> bool {
    match variable {
        "ZENOH_CONFIG_OVERRIDE" => value.split(';').any(|setting| setting.trim_start().starts_with("connect/endpoints")),
        _ => !value.is_empty(),
    }
}

/// The processes of this user that carry a graph with these settings. What cannot be looked at belongs to somebody else.
fn processes(proc: &Path, own: &WireConfig) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(proc) else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<u32> = pids
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            let process = proc.join(pid.to_string());
            has_mailbox(&process) && std::fs::read(process.join("environ")).is_ok_and(|text| shares(&text, own))
        })
        .collect();
    found.sort_unstable();
    found
}

fn has_mailbox(process: &Path) -> bool {
    let Ok(files) = std::fs::read_dir(process.join("fd")) else { return false };
    let mut targets = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.any(|target| target.to_string_lossy().starts_with(MAILBOX))
}

/// Whether a process with this environment has the same domain and router.
fn shares(environment: &[u8], own: &WireConfig) -> bool {
    let text = String::from_utf8_lossy(environment);
    let variables: BTreeMap<&str, &str> = text.split('\0').filter_map(|pair| pair.split_once('=')).collect();
    let of = |name: &str| variables.get(name).filter(|value| !value.is_empty()).map(|value| (*value).to_owned());
    WireConfig::from_variables(of).is_ok_and(|config| (config.domain, &config.router) == (own.domain, &own.router))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_with_the_same_domain_and_router_speak_for_a_graph() {
        let own = WireConfig { domain: 7, ..WireConfig::default() };
        assert!(shares(b"PATH=/bin\0ROS_DOMAIN_ID=7\0", &own));
        assert!(!shares(b"PATH=/bin\0", &own) && !shares(b"ROS_DOMAIN_ID=900\0", &own));
        let elsewhere = b"ROS_DOMAIN_ID=7\0ZENOH_CONFIG_OVERRIDE=connect/endpoints=[\"tcp/127.0.0.1:7500\"]\0";
        assert!(!shares(elsewhere, &own));
        assert!(shares(elsewhere, &WireConfig { router: "tcp/127.0.0.1:7500".into(), ..own }));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_known_by_its_mailbox() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, target) in [("10", "/memfd:omnimind-mailbox (deleted)"), ("11", "/dev/null")] {
            let files = proc.path().join(pid).join("fd");
            std::fs::create_dir_all(&files).unwrap();
            std::os::unix::fs::symlink(target, files.join("3")).unwrap();
            std::fs::write(proc.path().join(pid).join("environ"), b"ROS_DOMAIN_ID=0\0").unwrap();
        }
        assert_eq!(processes(proc.path(), &WireConfig::default()), [10]);
        let expected = |named, processes| Expected { named, processes }.why();
        assert_eq!(expected(None, vec![]), None);
        assert!(expected(None, vec![10]).unwrap().starts_with("process 10 of this host"));
        assert!(expected(None, vec![10, 12]).unwrap().starts_with("2 processes of this host (10 is one)"));
        assert!(expected(Some("ZENOH_CONFIG_OVERRIDE"), vec![]).unwrap().contains("ZENOH_CONFIG_OVERRIDE names that router"));
    }

    #[test]
    fn an_override_of_something_else_names_no_router() {
        assert!(names_a_router(
            "ZENOH_CONFIG_OVERRIDE",
            "scouting/gossip/enabled=false; connect/endpoints=[\"tcp/10.0.0.1:7447\"]"
        ));
        assert!(!names_a_router("ZENOH_CONFIG_OVERRIDE", "scouting/gossip/enabled=false"));
        assert!(names_a_router("ZENOH_SESSION_CONFIG_URI", "session.json5") && !names_a_router("ZENOH_SESSION_CONFIG_URI", ""));
    }
}
