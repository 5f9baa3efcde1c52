//! Zenoh's shared memory that would outlive the program.
//!
//! A session with an admin space is never freed (zenoh 1.10.2: the space holds the runtime that holds it), and with it the lock on the
//! session's own segment, by which Zenoh's clean-up at exit tells that somebody uses it. The next Zenoh program would take it away.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Removes the segments of Zenoh that this process has mapped and no other has. Only for a program's last moment, when its sessions are
/// closed: who comes later can't open them any more. Does nothing where there is no `/proc`.
pub fn remove_leftovers() {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let mut own = mapped(Path::new("/proc/self"));
    let here = fs::read_link("/proc/self").ok();
    // `self` and `thread-self` are there too.
    let number = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit);
    for process in processes.flatten() {
        let name = process.file_name();
        if own.is_empty() {
            return;
        }
        if !number(&name) || here.as_deref() == Some(Path::new(&name)) {
            continue;
        }
        for used in mapped(&process.path()) {
            own.remove(&used);
        }
    }
    for segment in own {
        // Somebody may have been quicker.
        let _ = fs::remove_file(segment);
    }
}

/// Zenoh's segments in the memory of a process; none if it may not be looked at.
fn mapped(process: &Path) -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
    maps.lines().filter_map(|line| line.split_once("/dev/shm/")).filter_map(|(_, name)| segment(name)).collect()
}

fn segment(name: &str) -> Option<PathBuf> {
    let number = name.strip_suffix(".zenoh")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| Path::new("/dev/shm").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_as_zenoh_names_them_are_taken_and_not_those_that_are_gone() {
        assert_eq!(segment("2397519464.zenoh"), Some("/dev/shm/2397519464.zenoh".into()));
        for other in ["2397519464.zenoh (deleted)", "../x.zenoh", "fastrtps_1", "12.zenoh.bak"] {
            assert_eq!(segment(other), None, "{other}");
        }
    }
}
