//! Which machine this is: without it no figure means anything.

use std::path::Path;

/// The machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// As the processor calls itself.
    pub processor: String,
    /// That this process may use.
    pub cores: usize,
    /// GiB.
    pub memory_gib: f64,
    /// Operating system with its version.
    pub system: String,
    /// Programs that wanted a processor over the last minute, on average; none where the system does not tell.
    pub load: Option<f64>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        Self {
            processor: processor(&read("/proc/cpuinfo")).unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gib: kib(&read("/proc/meminfo"), "MemTotal").unwrap_or(0.0) / 1024.0 / 1024.0,
            system: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()).trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().and_then(|word| word.parse().ok()),
        }
    }

    /// In one line. A load beside the measurement is said, for it makes every wall time worse.
    pub fn describe(&self) -> String {
        let load = self.load.map_or_else(String::new, |load| format!(", load at the start {load:.1}"));
        format!("{}, {} cores, {:.0} GiB, {}{load}", self.processor, self.cores, self.memory_gib, self.system)
    }

    /// For `--json`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({"processor": self.processor, "cores": self.cores, "memory_gib": self.memory_gib, "system": self.system,
            "load_at_start": self.load, "program": env!("CARGO_PKG_VERSION")})
    }
}

fn processor(cpuinfo: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned()))
}

/// A line `Name:  123 kB` of a file of `/proc`.
pub fn kib(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: A B C\n"), Some("A B C".to_owned()));
        assert_eq!(processor("Hardware: x"), None);
        assert_eq!(kib("VmRSS:\t  2048 kB\nVmHWM:\t  4096 kB\n", "VmHWM"), Some(4096.0));
        assert_eq!(kib("VmHWMX: 1 kB", "VmHWM"), None);
    }

    #[test]
    fn this_machine_has_a_name_and_a_core() {
        let machine = Machine::here();
        assert!(machine.cores >= 1 && !machine.describe().is_empty());
    }
}
