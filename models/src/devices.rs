//! The processors and graphics cards of this machine. No graphics card is a normal case.

use std::fs;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;

/// What a device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceStatus {
    /// Idle or lightly loaded.
    Available,
    /// More than nine tenths loaded.
    Busy,
    /// It answers with errors.
    Error,
}

impl DeviceStatus {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::Error => "error",
        }
    }
}

/// One device at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// `cpu`, `cuda:0`, ...
    pub id: String,
    /// The maker's name of it.
    pub name: String,
    /// What it is doing.
    pub status: DeviceStatus,
    /// Memory in bytes.
    pub memory_total_bytes: u64,
    /// Memory in use in bytes, by everybody.
    pub memory_used_bytes: u64,
    /// Load since the last look, 0..1. The first look at a processor gives its load since boot.
    pub utilization: f64,
    /// Degrees Celsius, if it tells.
    pub temperature_c: Option<f64>,
    /// Watts, if it tells.
    pub power_w: Option<f64>,
    /// CUDA compute capability such as `8.6`; the instruction set for a processor.
    pub compute_capability: String,
}

/// Looks at the devices. Keeps the counters between looks.
#[derive(Debug)]
pub struct DeviceMonitor {
    nvml: Result<Nvml, String>,
    last_cpu: (u64, u64),
}

impl Default for DeviceMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl DeviceMonitor {
    /// Finds the graphics cards through NVML, NVIDIA's management library. Its absence is not an error.
    pub fn new() -> Self {
        Self { nvml: Nvml::init().map_err(|e| e.to_string()), last_cpu: (0, 0) }
    }

    /// Why no graphics card computes, in a sentence.
    pub fn note(&self) -> String {
        match self.nvml.as_ref().map(Nvml::device_count) {
            Err(reason) => format!("no NVIDIA GPU: {reason}; networks run on the CPU"),
            Ok(Ok(0)) => "the NVIDIA driver lists no GPU; networks run on the CPU".to_owned(),
            Ok(Ok(n)) => format!("{n} NVIDIA GPU(s) watched; the CPU build of ONNX Runtime runs networks on the CPU"),
            Ok(Err(e)) => format!("the NVIDIA driver does not answer: {e}; networks run on the CPU"),
        }
    }

    /// All devices now: the processor first, then the graphics cards.
    pub fn sample(&mut self) -> Vec<Device> {
        let mut devices = vec![self.cpu()];
        if let Ok(nvml) = &self.nvml {
            for index in 0..nvml.device_count().unwrap_or(0) {
                devices.push(gpu(nvml, index));
            }
        }
        devices
    }

    fn cpu(&mut self) -> Device {
        let (total, idle) = cpu_ticks(&fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or((0, 0));
        let (spent, rest) = (total.saturating_sub(self.last_cpu.0), idle.saturating_sub(self.last_cpu.1));
        self.last_cpu = (total, idle);
        let utilization = if spent == 0 { 0.0 } else { 1.0 - (rest as f64 / spent as f64).clamp(0.0, 1.0) };
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_total_bytes = meminfo_bytes(&memory, "MemTotal:");
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            info.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split(':').nth(1)).map_or("processor", str::trim);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Device {
            id: "cpu".to_owned(),
            name: format!("{model}, {cores} cores"),
            status: load_status(utilization),
            memory_total_bytes,
            memory_used_bytes: memory_total_bytes.saturating_sub(meminfo_bytes(&memory, "MemAvailable:")),
            utilization,
            temperature_c: None,
            power_w: None,
            compute_capability: std::env::consts::ARCH.to_owned(),
        }
    }
}

fn load_status(utilization: f64) -> DeviceStatus {
    if utilization > 0.9 { DeviceStatus::Busy } else { DeviceStatus::Available }
}

fn gpu(nvml: &Nvml, index: u32) -> Device {
    let mut device = Device {
        id: format!("cuda:{index}"),
        name: "NVIDIA GPU".to_owned(),
        status: DeviceStatus::Error,
        memory_total_bytes: 0,
        memory_used_bytes: 0,
        utilization: 0.0,
        temperature_c: None,
        power_w: None,
        compute_capability: String::new(),
    };
    let Ok(card) = nvml.device_by_index(index) else { return device };
    if let Ok(name) = card.name() {
        device.name = name;
    }
    if let Ok(memory) = card.memory_info() {
        (device.memory_total_bytes, device.memory_used_bytes) = (memory.total, memory.used);
        device.status = DeviceStatus::Available;
    }
    if let Ok(rates) = card.utilization_rates() {
        device.utilization = f64::from(rates.gpu) / 100.0;
        device.status = load_status(device.utilization);
    }
    device.temperature_c = card.temperature(TemperatureSensor::Gpu).ok().map(f64::from);
    device.power_w = card.power_usage().ok().map(|mw| f64::from(mw) / 1000.0);
    if let Ok(capability) = card.cuda_compute_capability() {
        device.compute_capability = format!("{}.{}", capability.major, capability.minor);
    }
    device
}

/// Total and idle ticks of all cores from the first line of `/proc/stat` (proc(5)).
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|t| t.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is inside user.
    (ticks.len() >= 5).then(|| (ticks.iter().take(8).sum(), ticks[3] + ticks[4]))
}

fn meminfo_bytes(meminfo: &str, name: &str) -> u64 {
    let line = meminfo.lines().find_map(|l| l.strip_prefix(name));
    line.and_then(|l| l.split_whitespace().next()).and_then(|kb| kb.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_as_proc_describes_them() {
        let stat = "cpu  10 20 30 40 50 6 7 8 9 10\ncpu0 1 1 1 1 1\n";
        assert_eq!(cpu_ticks(stat), Some((171, 90)));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[test]
    fn the_processor_is_always_there() {
        let mut monitor = DeviceMonitor::new();
        let devices = monitor.sample();
        assert_eq!(devices[0].id, "cpu");
        assert!((0.0..=1.0).contains(&devices[0].utilization));
        assert!(!monitor.note().is_empty());
    }
}
