//! What the whole process costs.

/// Resident memory, bytes; zero where the system does not tell (`/proc/self/statm`, proc(5)).
pub(crate) fn resident_bytes() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * PAGE)
}

/// The computer's name; empty where the system does not tell (proc(5), `/proc/sys/kernel/hostname`).
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_process_that_takes_memory_is_larger() {
        let before = super::resident_bytes();
        let block = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(super::resident_bytes() >= before + (16 << 20), "{before}");
        drop(block);
    }
}
