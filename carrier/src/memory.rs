//! Memory that processes share, and waiting on it. The only module that is not checked by the compiler.
//!
//! A piece of memory has a head of 64-bit words, which every process reads and writes atomically, and a body of bytes, which its
//! maker writes and others only read (their mapping allows no more). Who may touch which bytes of the body when is agreed on through
//! the head: a ring's positions, a chunk's holders.

#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// This system has none of the calls that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("memory without a name cannot be shared on this system")]
pub struct Unsupported;

/// A page, bytes.
pub(crate) const PAGE: usize = 4096;

/// Shared memory, mapped for as long as this lives.
pub(crate) struct Memory {
    start: NonNull<u8>,
    /// Bytes of the head, whole pages.
    head: usize,
    length: usize,
    /// Whether the body may be written.
    maker: bool,
    /// Kept open by its maker, for others to open it too.
    #[cfg(target_os = "linux")]
    file: Option<std::os::fd::OwnedFd>,
}

// SAFETY: the mapping is not tied to a thread. The head is reached only as atomics; the body only through the unsafe functions below,
// whose callers uphold that nobody writes what somebody reads.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The head as words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is the start of a mapping (page-aligned, not null) of at least `head` bytes that lives as long as `self` and is
        // readable and writable in every process; all access to it is atomic.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<AtomicU64>(), self.head / 8) }
    }

    /// A word to wait on: the first half of a word of the head that is used for nothing else.
    pub fn futex(&self, word: usize) -> &AtomicU32 {
        let word: *const AtomicU64 = &raw const self.words()[word];
        // SAFETY: the word is in the mapping, aligned to 8, and never accessed as 64 bits.
        unsafe { &*word.cast::<AtomicU32>() }
    }

    /// Bytes of the body.
    pub fn body_len(&self) -> usize {
        self.length - self.head
    }

    /// Where `length` bytes of the body lie; `None` if it has not so many.
    fn at(&self, offset: usize, length: usize) -> Option<NonNull<u8>> {
        let end = offset.checked_add(length)?;
        // SAFETY: `offset <= body_len()`, so the result is within the mapping or one past its end.
        (end <= self.body_len()).then(|| unsafe { self.start.add(self.head + offset) })
    }

    /// Bytes of the body.
    ///
    /// # Safety
    /// No process writes them while the slice lives.
    pub unsafe fn bytes(&self, offset: usize, length: usize) -> Option<&[u8]> {
        let at = self.at(offset, length)?;
        // SAFETY: within the mapping, which lives as long as `self`; not written, as the caller says.
        Some(unsafe { std::slice::from_raw_parts(at.as_ptr(), length) })
    }

    /// Bytes of the body, to be written; only the maker has them.
    ///
    /// # Safety
    /// Nobody else reads or writes them while the slice lives.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn bytes_mut(&self, offset: usize, length: usize) -> Option<&mut [u8]> {
        let at = self.at(offset, length).filter(|_| self.maker)?;
        // SAFETY: within the mapping, which is writable for its maker and lives as long as `self`; not shared, as the caller says.
        Some(unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), length) })
    }

    /// Where the body lies in this process.
    pub fn body_address(&self) -> usize {
        self.start.as_ptr().addr() + self.head
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Memory, NonNull, PAGE, io};
    use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
    use rustix::mm::{MapFlags, ProtFlags};
    use rustix::thread::futex;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    impl Memory {
        /// New memory, all zero, of this process's own.
        ///
        /// # Errors
        /// What the system says.
        pub fn create(name: &str, head: usize, body: usize) -> io::Result<Self> {
            let head = head.next_multiple_of(PAGE);
            let length = body.checked_next_multiple_of(PAGE).and_then(|body| body.checked_add(head));
            let length = length.filter(|length| isize::try_from(*length).is_ok()).ok_or(io::ErrorKind::OutOfMemory)?;
            let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
            rustix::fs::ftruncate(&file, length as u64)?;
            rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
            Self::map(file, head, length, true)
        }

        /// The memory that process `pid` has open as `fd`, with so many bytes of head.
        ///
        /// # Errors
        /// What the system says; `InvalidData` if it is too short or can be made shorter.
        pub fn open(pid: u32, fd: u32, head: usize) -> io::Result<Self> {
            let head = head.next_multiple_of(PAGE);
            let path = format!("/proc/{pid}/fd/{fd}");
            let file = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
            // Only memory of this kind can be sealed: anything else that may have this number is refused here.
            let seals = rustix::fs::fcntl_get_seals(&file)?;
            let length = usize::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
            if !seals.contains(SealFlags::SHRINK) || length < head {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Self::map(file, head, length, false)
        }

        fn map(file: OwnedFd, head: usize, length: usize, maker: bool) -> io::Result<Self> {
            let all = if maker { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
            // SAFETY: the system chooses a free place, so nothing that exists is touched. The file cannot shrink (sealed): every page stays.
            let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, all, MapFlags::SHARED, file.as_fd(), 0) }?;
            let start_at = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
            let memory = Self { start: start_at, head, length, maker, file: maker.then_some(file) };
            if !maker {
                let both = rustix::mm::MprotectFlags::READ | rustix::mm::MprotectFlags::WRITE;
                // SAFETY: the head is the first whole pages of the mapping made above, which nobody else knows yet.
                unsafe { rustix::mm::mprotect(start, head, both) }?;
            }
            Ok(memory)
        }

        /// The number under which its maker has it open; one that leads nowhere in any other process.
        pub fn fd(&self) -> u32 {
            self.file.as_ref().map_or(u32::MAX, |file| file.as_raw_fd().unsigned_abs())
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            // SAFETY: the mapping was made by `map` with this length, and all borrows of it have ended with `self`. An error would mean
            // that it is not mapped.
            let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
        }
    }

    /// Sleeps while `word` is `value`, until it is woken or for so long.
    pub fn wait(word: &AtomicU32, value: u32, limit: Duration) {
        let limit = rustix::time::Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        // Woken, changed already, interrupted, over: the caller looks again in each case.
        let _ = futex::wait(word, futex::Flags::empty(), value, Some(&limit));
    }

    /// Wakes up to `count` that sleep on `word`.
    pub fn wake(word: &AtomicU32, count: u32) {
        // An error would mean that the word is not memory.
        let _ = futex::wake(word, futex::Flags::empty(), count);
    }

    /// The time on a clock that all processes share and that is never set, ns.
    pub fn monotonic() -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
    }

    /// A process, until it ends.
    pub struct Process(OwnedFd);

    impl Process {
        /// The process that has this number now.
        ///
        /// # Errors
        /// What the system says.
        pub fn open(pid: u32) -> io::Result<Self> {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Self(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?))
        }

        /// Whether it has ended.
        pub fn is_gone(&self) -> bool {
            let mut event = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
            let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut event, Some(&now)).is_ok_and(|ready| ready > 0)
        }
    }

    /// What two processes must have in common: the running system, the numbering of processes, the clock, the user.
    pub fn host() -> io::Result<String> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let numbering = std::fs::read_link("/proc/self/ns/pid")?;
        // Systems before 5.6 have one clock for all.
        let clock = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
        let user = rustix::process::geteuid().as_raw();
        Ok(format!("{} {} {} {user}", boot.trim(), numbering.display(), clock.display()))
    }
}
#[cfg(target_os = "linux")]
pub(crate) use linux::{Process, host, monotonic, wait, wake};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Memory, Unsupported, io};
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    impl Memory {
        pub fn create(_name: &str, _head: usize, _body: usize) -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, Unsupported))
        }
        pub fn open(_pid: u32, _fd: u32, _head: usize) -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, Unsupported))
        }
        pub fn fd(&self) -> u32 {
            0
        }
    }
    pub fn wait(_word: &AtomicU32, _value: u32, limit: Duration) {
        std::thread::sleep(limit);
    }
    pub fn wake(_word: &AtomicU32, _count: u32) {}
    pub fn monotonic() -> u64 {
        0
    }
    pub struct Process;
    impl Process {
        pub fn open(_pid: u32) -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, Unsupported))
        }
        pub fn is_gone(&self) -> bool {
            true
        }
    }
    pub fn host() -> io::Result<String> {
        Err(io::Error::new(io::ErrorKind::Unsupported, Unsupported))
    }
}
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Process, host, monotonic, wait, wake};

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn what_one_mapping_writes_another_reads_and_may_not_write() {
        let own = Memory::create("test", 8, 5000).unwrap();
        let other = Memory::open(std::process::id(), own.fd(), 8).unwrap();
        own.words()[3].store(7, Ordering::Release);
        // SAFETY: nobody reads yet.
        unsafe { own.bytes_mut(4990, 10) }.unwrap().copy_from_slice(b"0123456789");
        assert_eq!(other.words()[3].load(Ordering::Acquire), 7);
        // SAFETY: nobody writes any more.
        assert_eq!(unsafe { other.bytes(4990, 10) }, Some(&b"0123456789"[..]));
        // SAFETY: refused.
        assert!(unsafe { other.bytes_mut(0, 1) }.is_none() && unsafe { own.bytes(0, own.body_len() + 1) }.is_none());
        // SAFETY: refused.
        assert!(unsafe { own.bytes(usize::MAX, 2) }.is_none());
    }

    #[test]
    fn what_is_not_sealed_memory_is_refused() {
        use std::os::fd::AsRawFd;
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(Memory::open(std::process::id(), file.as_raw_fd().unsigned_abs(), 8).is_err());
        assert!(Memory::open(std::process::id(), 1 << 20, 8).is_err());
        let small = Memory::create("small", 8, 0).unwrap();
        assert!(Memory::open(std::process::id(), small.fd(), 3 * PAGE).is_err());
        assert!(Memory::create("huge", 8, usize::MAX).is_err());
    }

    #[test]
    fn a_process_is_seen_to_end() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        assert!(!process.is_gone());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(process.is_gone());
        assert!(Process::open(u32::MAX).is_err());
    }
}
