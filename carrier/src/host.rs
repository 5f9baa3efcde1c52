//! A process among those of its host: where senders enter themselves, and where their samples come out.

use crate::address::Address;
use crate::inlet::{Inlet, Publishers};
use crate::link::Link;
use crate::memory::{self, Memory, Process};
use crate::pool::{LISTENERS, Pool};
use bytes::Bytes;
use parking_lot::Mutex;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Words of a mailbox.
mod word {
    pub const NONCE: usize = 0;
    /// A futex.
    pub const BELL: usize = 8;
    /// How many sleep.
    pub const SLEEPERS: usize = 16;
    /// Senders: who (process number and what stands there), file number, from here on.
    pub const ENTRIES: usize = 24;
    pub const COUNT: usize = ENTRIES + 2 * super::ENTRIES;
}

/// Number of the present layout of mailboxes, rings and pools, whose words lie in this crate's modules `word`. It goes up with every change to
/// them: programs of different layouts then take the network.
const LAYOUT: u32 = 1;

/// So many processes may send to one.
const ENTRIES: usize = 128;
/// What stands in an entry, beside the process number.
const CLAIMED: u64 = 1;
const ENTERED: u64 = 2;
const ATTACHED: u64 = 3;
const REFUSED: u64 = 4;

/// A number that nobody else draws.
pub(crate) fn nonce() -> u64 {
    // Keys that the standard library takes from the system, per thread and call.
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish() | 1
}

/// Where senders enter themselves.
pub(crate) struct Mailbox(Memory);

impl Mailbox {
    pub fn open(address: &Address) -> io::Result<Self> {
        let memory = Memory::open(address.pid, address.fd, 8 * word::COUNT)?;
        let right = memory.words()[word::NONCE].load(Ordering::Acquire) == address.nonce;
        if right { Ok(Self(memory)) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn entry(&self, entry: usize) -> (&std::sync::atomic::AtomicU64, &std::sync::atomic::AtomicU64) {
        let words = &self.0.words()[word::ENTRIES + 2 * entry..];
        (&words[0], &words[1])
    }

    /// Enters a link of this process; where. `None` if the list is full.
    pub fn enter(&self, fd: u32) -> Option<usize> {
        let pid = u64::from(std::process::id()) << 8;
        let claim =
            |entry: &usize| self.entry(*entry).0.compare_exchange(0, pid | CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let entry = (0..ENTRIES).find(claim)?;
        let (who, file) = self.entry(entry);
        file.store(fd.into(), Ordering::Relaxed);
        who.store(pid | ENTERED, Ordering::Release);
        self.ring_bell();
        Some(entry)
    }

    /// Takes an entry back that the listener has not looked at or has refused; one that it knows it takes back itself.
    pub fn leave(&self, entry: usize, fd: u32) {
        let pid = u64::from(std::process::id()) << 8;
        let (who, file) = self.entry(entry);
        if file.load(Ordering::Acquire) == u64::from(fd) {
            for stands in [ENTERED, REFUSED] {
                // If it says something else by now, it is the listener's.
                let _ = who.compare_exchange(pid | stands, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    pub fn ring_bell(&self) {
        let bell = self.0.futex(word::BELL);
        bell.fetch_add(1, Ordering::SeqCst);
        // Whoever goes to sleep counts itself before it looks at the bell for the last time.
        if self.0.words()[word::SLEEPERS].load(Ordering::SeqCst) > 0 {
            memory::wake(bell, 1);
        }
    }
}

/// A sample from another process.
pub struct Sample<'a> {
    /// Who sent it.
    pub gid: [u8; 16],
    /// On which topic, as the sender named it.
    pub topic: &'a Arc<str>,
    /// The sender's count.
    pub sequence: i64,
    /// When it was sent, ns on the sender's clock.
    pub time: i64,
    /// How long it has been under way.
    pub age: Duration,
    /// What was sent; a view of the sender's memory, or a copy of a small one.
    pub payload: Bytes,
    /// Whether it is a view.
    pub shared: bool,
}

/// Links from this process.
#[derive(Default)]
struct Outgoing {
    links: Vec<Arc<Link>>,
    /// Closed ones whose listeners may still hold something.
    closed: Vec<Arc<Link>>,
}

/// This process, as a listener and as a sender.
pub struct Host {
    mailbox: Mailbox,
    address: Address,
    inlets: Mutex<Vec<Inlet>>,
    /// How many there are, to be looked at without the lock.
    open: AtomicUsize,
    publishers: Publishers,
    outgoing: Mutex<Outgoing>,
    stop: AtomicBool,
}

impl Host {
    /// Opens the mailbox.
    ///
    /// # Errors
    /// What the system says, for instance that it has no such memory.
    pub fn open() -> io::Result<Self> {
        let host = common_ground(LAYOUT, &memory::host()?);
        let memory = Memory::create("omnimind-mailbox", 8 * word::COUNT, 0)?;
        let address = Address { host, pid: std::process::id(), fd: memory.fd(), nonce: nonce() };
        memory.words()[word::NONCE].store(address.nonce, Ordering::Release);
        Ok(Self {
            mailbox: Mailbox(memory),
            address,
            inlets: Mutex::default(),
            open: AtomicUsize::new(0),
            publishers: Publishers::default(),
            outgoing: Mutex::default(),
            stop: AtomicBool::new(false),
        })
    }

    /// Where others reach it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether that process is one of the same host and user.
    pub fn reaches(&self, address: &Address) -> bool {
        address.host == self.address.host
    }

    /// The link to a process; made if there is none.
    ///
    /// # Errors
    /// What the system says: it may have ended, or not allow it.
    pub fn link(&self, address: &Address) -> io::Result<Arc<Link>> {
        let mut outgoing = self.outgoing.lock();
        if let Some(link) = outgoing.links.iter().find(|link| link.address() == address && !link.is_gone()) {
            return Ok(Arc::clone(link));
        }
        if !self.reaches(address) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let used: u64 = outgoing.links.iter().chain(&outgoing.closed).fold(0, |bits, link| bits | 1 << link.index());
        let index = (0..LISTENERS).find(|index| used & (1 << index) == 0).ok_or(io::ErrorKind::QuotaExceeded)?;
        let link = Arc::new(Link::open(address, index, self.address.nonce)?);
        outgoing.links.push(Arc::clone(&link));
        Ok(link)
    }

    /// Memory for a publisher of this process.
    pub fn pool(&self) -> Pool {
        Pool::new(self.address.nonce)
    }

    /// That process is gone, or out of reach: nothing is sent to it any more.
    pub fn unlink(&self, address: &Address) {
        let mut outgoing = self.outgoing.lock();
        let (over, kept) = std::mem::take(&mut outgoing.links).into_iter().partition(|link| link.address() == address);
        outgoing.links = kept;
        for link in &over {
            link.close();
        }
        outgoing.closed.extend(over);
    }

    /// Lets go of what belonged to processes that have ended; to be called when one is gone, and now and then.
    /// What such a process had sent is kept until [`Host::drain`] has taken it.
    pub fn tidy(&self) {
        {
            let mut inlets = self.inlets.lock();
            // Asked in this order: what it has sent before it ended is there then, and the next drain takes it.
            self.remove(&mut inlets, |inlet| inlet.is_orphan() && inlet.is_read());
            self.open.store(inlets.len(), Ordering::Release);
        }
        {
            let mut outgoing = self.outgoing.lock();
            for link in &outgoing.links {
                link.reclaim();
                link.sweep();
            }
            let (gone, kept) = std::mem::take(&mut outgoing.links).into_iter().partition(|link| link.is_gone());
            outgoing.links = kept;
            outgoing.closed.extend::<Vec<_>>(gone);
            outgoing.closed.retain(|link| !link.reclaim());
        }
        for entry in 0..ENTRIES {
            let (who, _) = self.mailbox.entry(entry);
            let seen = who.load(Ordering::Acquire);
            // Attached ones are looked at below, by their inlets.
            if seen != 0 && seen & 0xff != ATTACHED {
                let pid = u32::try_from(seen >> 8).unwrap_or(0);
                if Process::open(pid).is_ok_and(|process| !process.is_gone()) {
                    continue;
                }
                // Unless it has changed: then somebody is there.
                let _ = who.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// How often the bell has rung; to be read before [`Host::drain`] and given to [`Host::sleep`].
    pub fn bell(&self) -> u32 {
        self.mailbox.0.futex(word::BELL).load(Ordering::SeqCst)
    }

    /// Sleeps until the bell rings, unless it has since it was `seen`.
    pub fn sleep(&self, seen: u32, limit: Duration) {
        if self.stop.load(Ordering::SeqCst) {
            return;
        }
        let sleepers = &self.mailbox.0.words()[word::SLEEPERS];
        sleepers.fetch_add(1, Ordering::SeqCst);
        memory::wait(self.mailbox.0.futex(word::BELL), seen, limit);
        sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes all that sleep, now and from now on.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        let bell = self.mailbox.0.futex(word::BELL);
        bell.fetch_add(1, Ordering::SeqCst);
        memory::wake(bell, u32::MAX >> 1);
    }

    /// Whether [`Host::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Reads no more: what waits goes back to its senders, and they are told.
    pub fn shut(&self) {
        self.inlets.lock().clear();
        self.publishers.clear();
        self.open.store(0, Ordering::Release);
    }

    /// Whether anybody sends to this process.
    pub fn has_senders(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// Hands over everything that has come, in order per sender. One thread at a time: the second one waits. Returns how much there was.
    pub fn drain(&self, sink: &mut dyn FnMut(Sample<'_>)) -> usize {
        let mut inlets = self.inlets.lock();
        self.attach(&mut inlets);
        // Before senders hear that they are known: whoever gets something another way from then on looks here first.
        self.open.store(inlets.len(), Ordering::Release);
        let (mut count, mut over) = (0, Vec::new());
        for inlet in inlets.iter_mut() {
            // Asked first: what was sent before it was closed is there then.
            if inlet.is_closed() {
                over.push(inlet.entry);
            }
            count += inlet.take(&self.publishers, sink);
        }
        if !over.is_empty() {
            self.remove(&mut inlets, |inlet| over.contains(&inlet.entry));
            self.open.store(inlets.len(), Ordering::Release);
        }
        count
    }

    /// Lets go of links to this process.
    fn remove(&self, inlets: &mut Vec<Inlet>, mut which: impl FnMut(&Inlet) -> bool) {
        inlets.retain(|inlet| {
            let over = which(inlet);
            if over {
                inlet.leave(&self.publishers);
                self.mailbox.entry(inlet.entry).0.store(0, Ordering::Release);
            }
            !over
        });
    }

    /// Opens the links that were entered since.
    fn attach(&self, inlets: &mut Vec<Inlet>) {
        for entry in 0..ENTRIES {
            let (who, file) = self.mailbox.entry(entry);
            let seen = who.load(Ordering::Acquire);
            if seen & 0xff != ENTERED {
                continue;
            }
            let (pid, fd) =
                (u32::try_from(seen >> 8).unwrap_or(0), u32::try_from(file.load(Ordering::Relaxed)).unwrap_or(u32::MAX));
            let opened = Inlet::open(entry, pid, fd, self.address.nonce);
            let says = if opened.is_ok() { ATTACHED } else { REFUSED };
            if who.compare_exchange(seen, (seen & !0xff) | says, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                inlets.extend(opened);
            }
        }
    }

    /// Notes that a sample came another way, so that its sender knows when it may send the next ones over its link.
    pub fn note_elsewhere(&self, gid: &[u8; 16], sequence: i64) {
        self.publishers.note(gid, sequence);
    }

    /// Whether this publisher has a link to this process.
    pub fn knows(&self, gid: &[u8; 16]) -> bool {
        self.has_senders() && self.publishers.knows(gid)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for link in std::mem::take(&mut self.outgoing.get_mut().links) {
            link.close();
        }
    }
}

/// What two processes must have in common to read each other's memory.
fn common_ground(layout: u32, host: &str) -> u64 {
    digest(format!("{layout} {host}").as_bytes())
}

/// FNV-1a, 64 bits: the same in every process.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_another_layout_or_host_are_not_reached_by_memory() {
        let here = common_ground(LAYOUT, "boot pid:1 time:1 0");
        assert_eq!(here, common_ground(LAYOUT, "boot pid:1 time:1 0"));
        assert_ne!(here, common_ground(LAYOUT + 1, "boot pid:1 time:1 0"));
        assert_ne!(here, common_ground(LAYOUT, "boot pid:1 time:1 1000"));
        let host = Host::open().unwrap();
        assert_eq!(host.address().host, common_ground(LAYOUT, &memory::host().unwrap()));
    }
}
