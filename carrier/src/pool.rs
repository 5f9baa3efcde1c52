//! Memory of one publisher, in chunks sized by what it sends.
//!
//! A chunk's word in the head says who holds it, a bit each: the publisher while it fills or lends the chunk, and every listening
//! process from before it is told of the sample until it has let go of the last view of it. A chunk without holders is free. A process
//! that ended holds nothing: whoever sends to it takes its bits back. So nothing is counted twice, and nothing stays taken.

#![allow(unsafe_code)]

use crate::memory::{Memory, PAGE};
use bytes::Bytes;
use parking_lot::Mutex;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// At least so many chunks, so that a listener may hold some while others travel.
const FEWEST: usize = 8;
const MOST: usize = 64;
/// Pools of small chunks have as many as fit here, bytes.
const SMALL_POOL: usize = 8 << 20;
/// Before what is lent: room for what an encoding puts in front. Whole pages keep the payload aligned.
const BEFORE: usize = PAGE;
/// After it.
const AFTER: usize = 1024;

/// The publisher's hold of a chunk that it fills or has lent.
const OWNER: u64 = 1 << 63;
/// The publisher's hold of a lent chunk that it is sending.
const SENDING: u64 = 1 << 62;
/// So many bits are left for listening processes.
pub(crate) const LISTENERS: u32 = 62;

/// Words of a segment's head.
pub(crate) mod word {
    pub const NONCE: usize = 0;
    pub const STRIDE: usize = 1;
    pub const CHUNKS: usize = 2;
    pub const HOLDERS: usize = 8;
}

/// Memory with chunks of one size.
pub(crate) struct Segment {
    pub memory: Memory,
    pub nonce: u64,
    /// Whose it is.
    pub host: u64,
    stride: usize,
    chunks: usize,
    /// Per chunk: how long what is lent in it is; 0: nothing is.
    lent: Vec<AtomicUsize>,
    /// No chunk of it will be given out any more.
    pub retired: AtomicBool,
}

impl Segment {
    fn create(stride: usize, host: u64) -> Option<Arc<Self>> {
        let chunks = (SMALL_POOL / stride).clamp(FEWEST, MOST);
        let memory = Memory::create("omnimind-pool", 8 * (word::HOLDERS + chunks), stride.checked_mul(chunks)?).ok()?;
        let nonce = crate::host::nonce();
        memory.words()[word::STRIDE].store(stride as u64, Ordering::Relaxed);
        memory.words()[word::CHUNKS].store(chunks as u64, Ordering::Relaxed);
        memory.words()[word::NONCE].store(nonce, Ordering::Release);
        let lent = std::iter::repeat_with(AtomicUsize::default).take(chunks).collect();
        Some(Arc::new(Self { memory, nonce, host, stride, chunks, lent, retired: AtomicBool::new(false) }))
    }

    pub fn head_len(&self) -> usize {
        8 * (word::HOLDERS + self.chunks)
    }

    pub fn holders(&self, chunk: usize) -> &AtomicU64 {
        &self.memory.words()[word::HOLDERS + chunk]
    }

    fn is_idle(&self) -> bool {
        (0..self.chunks).all(|chunk| self.holders(chunk).load(Ordering::Acquire) == 0)
    }

    /// Takes back what a process held that has ended.
    pub fn clear(&self, bit: u64) {
        for chunk in 0..self.chunks {
            self.holders(chunk).fetch_and(!bit, Ordering::Release);
        }
    }

    /// Whether a process holds something.
    pub fn is_held(&self, bit: u64) -> bool {
        (0..self.chunks).any(|chunk| self.holders(chunk).load(Ordering::Acquire) & bit != 0)
    }

    /// A chunk that nobody holds, now the publisher's.
    fn take(self: &Arc<Self>) -> Option<Hold> {
        // The first free one: what is used again and again stays in the caches, and memory that is not needed is never touched.
        let free = |chunk: &usize| self.holders(*chunk).compare_exchange(0, OWNER, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        (0..self.chunks).find(free).map(|chunk| Hold { segment: Arc::clone(self), chunk, bit: OWNER })
    }
}

/// One of the publisher's bits of a chunk.
struct Hold {
    segment: Arc<Segment>,
    chunk: usize,
    bit: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.bit == OWNER {
            self.segment.lent[self.chunk].store(0, Ordering::Relaxed);
        }
        self.segment.holders(self.chunk).fetch_and(!self.bit, Ordering::Release);
    }
}

/// A publisher's memory, from [`crate::Host::pool`]. Made when the first sample wants room.
pub struct Pool {
    /// Only links of this host may lead to it: each gives out the bits of its own listeners.
    host: u64,
    segments: Mutex<Vec<Arc<Segment>>>,
}

impl Pool {
    pub(crate) fn new(host: u64) -> Self {
        Self { host, segments: Mutex::default() }
    }

    /// Room for a sample of `length` bytes. `None` if all of it is held, or the system has no more.
    fn take(&self, length: usize) -> Option<Hold> {
        let mut segments = self.segments.lock();
        if segments.last().is_none_or(|current| current.stride < length) {
            let stride = length.checked_add(length / 4)?.checked_next_multiple_of(PAGE)?;
            let larger = Segment::create(stride, self.host)?;
            for old in segments.iter() {
                old.retired.store(true, Ordering::Release);
            }
            segments.push(larger);
        }
        let current = segments.last().and_then(Segment::take);
        // What was outgrown goes when nobody holds any of it.
        if segments.len() > 1 {
            let newest = segments.len() - 1;
            let mut place = 0;
            segments.retain(|segment| {
                place += 1;
                place > newest || !segment.is_idle()
            });
        }
        current
    }

    /// A sample of `length` bytes that `fill` writes. `None` if there is no room.
    pub fn place(&self, length: usize, fill: impl FnOnce(&mut [u8])) -> Option<Placed> {
        let hold = self.take(length.max(1))?;
        // SAFETY: the chunk is this publisher's alone: nobody had a bit of it, and listeners are told of it only later.
        let bytes = unsafe { hold.segment.memory.bytes_mut(hold.chunk * hold.segment.stride, length) }?;
        fill(bytes);
        Some(Placed { hold, offset: 0, length })
    }

    /// Room for `length` bytes that are to become part of a sample. `None` if there is none.
    pub fn loan(&self, length: usize) -> Option<Loan> {
        let hold = self.take(length.checked_add(BEFORE + AFTER)?)?;
        Some(Loan { hold, length })
    }

    /// A sample around `data`, if that is a whole [`Loan`] of this pool that was not sent before: the rest of the sample is written
    /// before and after it. `None` if it is not, or the rest is too long.
    pub fn adopt(&self, before: &[u8], data: &Bytes, after: &[u8]) -> Option<Placed> {
        if before.len() > BEFORE || after.len() > AFTER {
            return None;
        }
        let address = data.as_ptr().addr();
        let segments = self.segments.lock();
        let (segment, place) = segments.iter().find_map(|segment| {
            let place = address.checked_sub(segment.memory.body_address())?;
            (place < segment.memory.body_len()).then_some((segment, place))
        })?;
        let (chunk, offset) = (place / segment.stride, place % segment.stride);
        let whole = chunk < segment.chunks && offset == BEFORE && segment.lent[chunk].load(Ordering::Relaxed) == data.len();
        let alone = || segment.holders(chunk).compare_exchange(OWNER, OWNER | SENDING, Ordering::AcqRel, Ordering::Relaxed);
        if !whole || alone().is_err() {
            return None;
        }
        let hold = Hold { segment: Arc::clone(segment), chunk, bit: SENDING };
        let start = chunk * segment.stride + BEFORE - before.len();
        // SAFETY: the bytes before and after what is lent are reached only here, by whoever has set SENDING, before listeners are told:
        // no listener had a bit. `data` itself is not touched.
        unsafe {
            segment.memory.bytes_mut(start, before.len())?.copy_from_slice(before);
            segment.memory.bytes_mut(chunk * segment.stride + BEFORE + data.len(), after.len())?.copy_from_slice(after);
        }
        Some(Placed { hold, offset: BEFORE - before.len(), length: before.len() + data.len() + after.len() })
    }

    /// Bytes of all its memory, as far as it was ever needed.
    pub fn size(&self) -> usize {
        self.segments.lock().iter().map(|segment| segment.memory.body_len()).sum()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for segment in self.segments.lock().iter() {
            segment.retired.store(true, Ordering::Release);
        }
    }
}

/// A sample in shared memory that can be sent over links.
pub struct Placed {
    hold: Hold,
    offset: usize,
    length: usize,
}

impl Placed {
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.hold.segment
    }

    pub(crate) fn chunk(&self) -> usize {
        self.hold.chunk
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Its bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.length
    }
}

/// Bytes in shared memory to be filled; then [`Loan::freeze`] makes them part of a message.
pub struct Loan {
    hold: Hold,
    length: usize,
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let segment = &self.hold.segment;
        // SAFETY: written only through this loan, which is borrowed.
        unsafe { segment.memory.bytes(self.hold.chunk * segment.stride + BEFORE, self.length) }.unwrap_or_default()
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        let segment = &self.hold.segment;
        // SAFETY: the chunk is this loan's alone until it is frozen, and the loan is borrowed mutably.
        unsafe { segment.memory.bytes_mut(self.hold.chunk * segment.stride + BEFORE, self.length) }.unwrap_or_default()
    }
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Loan {
    /// The bytes, which nobody can change any more.
    pub fn freeze(self) -> Bytes {
        self.hold.segment.lent[self.hold.chunk].store(self.length, Ordering::Relaxed);
        Bytes::from_owner(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pool: &Pool, length: usize) -> Option<Placed> {
        pool.place(length, |bytes| bytes.fill(7))
    }

    #[test]
    fn chunks_are_given_out_once_and_again_when_nobody_holds_them() {
        let pool = Pool::new(1);
        let held: Vec<Placed> = std::iter::from_fn(|| filled(&pool, 1 << 20)).collect();
        assert_eq!(held.len(), FEWEST);
        assert!(pool.loan(10).is_none(), "full");
        drop(held);
        assert!(filled(&pool, 1 << 20).is_some() && pool.loan(10).is_some());
    }

    #[test]
    fn a_listener_that_ended_holds_nothing() {
        let pool = Pool::new(1);
        let bit = 1 << 5;
        let segment = {
            let placed = filled(&pool, 100).unwrap();
            placed.segment().holders(placed.chunk()).fetch_or(bit, Ordering::Relaxed);
            Arc::clone(placed.segment())
        };
        assert!(segment.is_held(bit) && !segment.is_idle());
        segment.clear(bit);
        assert!(segment.is_idle());
    }

    #[test]
    fn a_sample_that_outgrows_the_pool_gets_a_larger_one_and_the_old_one_goes_with_its_holders() {
        let pool = Pool::new(1);
        let small = filled(&pool, 1000).unwrap();
        let large = filled(&pool, 3 << 20).unwrap();
        assert!(small.segment().retired.load(Ordering::Relaxed) && !large.segment().retired.load(Ordering::Relaxed));
        let both = pool.size();
        drop(small);
        drop(filled(&pool, 10));
        assert!(pool.size() < both);
        for impossible in [usize::MAX, usize::MAX / 16] {
            assert!(filled(&pool, impossible).is_none());
        }
        assert!(filled(&pool, 10).is_some());
    }

    #[test]
    fn what_was_lent_is_sent_where_it_lies_once() {
        let pool = Pool::new(1);
        let mut loan = pool.loan(5).unwrap();
        loan.copy_from_slice(b"hello");
        let data = loan.freeze();
        {
            let placed = pool.adopt(b"<<", &data, b">").unwrap();
            let segment = placed.segment();
            // SAFETY: nobody writes.
            let sample = unsafe { segment.memory.bytes(placed.chunk() * segment.stride + placed.offset(), placed.len()) };
            assert_eq!(sample, Some(&b"<<hello>"[..]));
            assert!(pool.adopt(b"", &data, b"").is_none(), "under way");
            segment.holders(placed.chunk()).fetch_or(1, Ordering::Relaxed);
        }
        assert!(pool.adopt(b"", &data, b"").is_none(), "a listener has it");
        assert!(pool.adopt(b"", &data.slice(1..), b"").is_none(), "a part");
        assert!(pool.adopt(b"", &Bytes::from_static(b"hello"), b"").is_none(), "not lent");
        assert!(pool.adopt(&[0; BEFORE + 1], &data, b"").is_none(), "too long");
        assert_eq!(&data[..], b"hello");
    }
}
