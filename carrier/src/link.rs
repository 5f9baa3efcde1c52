//! The way from this process to one that listens: a ring of records.
//!
//! Written by this process alone, under a lock of its own; so a process that is killed while it writes leaves nothing half done that
//! anybody reads: the position moves when the record is complete.

#![allow(unsafe_code)]

use crate::address::Address;
use crate::host::Mailbox;
use crate::memory::{self, Memory, Process};
use crate::pool::{Placed, Segment};
use crate::record::{ALIGN, EDGES, HEAD, RING, Record, SEGMENTS, state, word};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A listener that takes nothing for so long is taken for stopped.
const STUCK_NS: u64 = 200_000_000;

/// Why a sample cannot go over a link; there is no waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The listener has not opened the link, the topic or the memory yet, or cannot.
    #[error("the listener is not ready for it")]
    NotReady,
    /// The ring is full; the listener is at it.
    #[error("the listener's queue is full")]
    Full,
    /// The ring is full, or samples lie in it, and the listener has taken none for a while: it is stopped.
    #[error("the listener takes nothing: it is stopped or overloaded")]
    Stuck,
    /// The listener has ended.
    #[error("the listener is gone")]
    Gone,
}

/// A publisher's place in a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeId(u32);

struct Writer {
    tail: u64,
    /// Places of publishers: none if it is taken, else up to where the listener has to have read to have forgotten who had it.
    edges: Vec<Option<u64>>,
    segments: Vec<Option<Arc<Segment>>>,
    /// Samples in chunks that the listener may not have read: where their records end, and the chunks.
    under_way: VecDeque<(u64, Arc<Segment>, usize)>,
    /// Where the listener stood when there was something for it, and since when, ns.
    waiting: Option<(u64, u64)>,
}

impl Writer {
    /// The listener has read as far as `head`: what it has read it holds itself.
    fn forget_read(&mut self, head: u64) {
        while self.under_way.front().is_some_and(|(end, ..)| *end <= head) {
            self.under_way.pop_front();
        }
    }
}

/// The sending side of a link.
pub struct Link {
    memory: Memory,
    to: Arc<Mailbox>,
    process: Process,
    address: Address,
    /// Which bit of a chunk is this listener's.
    index: u32,
    entry: usize,
    /// Whose link it is: bits of chunks are given out per host.
    host: u64,
    gone: AtomicBool,
    writer: Mutex<Writer>,
}

impl Link {
    pub(crate) fn open(address: &Address, index: u32, host: u64) -> io::Result<Self> {
        // First the process, then its memory: if the number went to another process in between, the memory is not what was told.
        let process = Process::open(address.pid)?;
        let to = Arc::new(Mailbox::open(address)?);
        let memory = Memory::create("omnimind-link", 8 * word::COUNT, RING)?;
        memory.words()[word::NONCE].store(address.nonce, Ordering::Relaxed);
        memory.words()[word::INDEX].store(index.into(), Ordering::Relaxed);
        let entry = to.enter(memory.fd()).ok_or(io::ErrorKind::StorageFull)?;
        let writer = Writer { tail: 0, edges: Vec::new(), segments: Vec::new(), under_way: VecDeque::new(), waiting: None };
        Ok(Self {
            memory,
            to,
            process,
            address: address.clone(),
            index,
            entry,
            host,
            gone: AtomicBool::new(false),
            writer: Mutex::new(writer),
        })
    }

    /// Whom it leads to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    fn bit(&self) -> u64 {
        1 << self.index
    }

    /// The listener has ended or is not to be sent to any more.
    pub fn close(&self) {
        {
            // What is being written is finished first.
            let _writer = self.writer.lock();
            self.gone.store(true, Ordering::Release);
            self.memory.words()[word::CLOSED].store(1, Ordering::Release);
        }
        self.to.ring_bell();
    }

    /// Whether the listener has stopped reading for good, while its process lives.
    fn is_deaf(&self) -> bool {
        self.memory.words()[word::DEAF].load(Ordering::Acquire) != 0
    }

    /// Takes back what the listener held, if its process has ended. Returns whether nothing is held any more.
    pub(crate) fn reclaim(&self) -> bool {
        let mut writer = self.writer.lock();
        let ended = self.process.is_gone();
        if ended {
            self.gone.store(true, Ordering::Release);
            writer.segments.iter().flatten().for_each(|segment| segment.clear(self.bit()));
            writer.under_way.clear();
        } else if self.is_deaf() {
            self.gone.store(true, Ordering::Release);
            let head = self.memory.words()[word::HEAD].load(Ordering::Acquire);
            // Views of what it has read are its own to let go of.
            for (end, segment, chunk) in std::mem::take(&mut writer.under_way) {
                if end > head {
                    segment.holders(chunk).fetch_and(!self.bit(), Ordering::Release);
                }
            }
        }
        let held = writer.segments.iter().flatten().any(|segment| segment.is_held(self.bit()));
        if self.gone.load(Ordering::Acquire) && !held {
            writer.segments.clear();
        }
        ended || !held
    }

    /// Tells the listener of a publisher: its identity and the topic it sends on. `None` if there are too many.
    pub fn add_edge(&self, gid: [u8; 16], topic: &str) -> Option<EdgeId> {
        let mut writer = self.writer.lock();
        let head = self.memory.words()[word::HEAD].load(Ordering::Acquire);
        // A place whose publisher the listener has not forgotten yet is not used again.
        let is_free = |(edge, over): (usize, &Option<u64>)| {
            over.is_some_and(|end| end <= head) && self.seen(edge).load(Ordering::Acquire) == 0
        };
        let free = writer.edges.iter().enumerate().position(is_free).unwrap_or(writer.edges.len());
        if free >= EDGES {
            return None;
        }
        let edge = u32::try_from(free).ok()?;
        let length = u32::try_from(gid.len() + topic.len()).ok()?;
        self.push(&mut writer, Record::Edge { edge, length }, &[&gid, topic.as_bytes()]).ok()?;
        if free == writer.edges.len() {
            writer.edges.push(None);
        } else {
            writer.edges[free] = None;
        }
        drop(writer);
        self.to.ring_bell();
        Some(EdgeId(edge))
    }

    /// A publisher is over.
    pub fn remove_edge(&self, edge: EdgeId) {
        let mut writer = self.writer.lock();
        // If there is no room for the word of it, its place is not used again.
        if self.push(&mut writer, Record::EdgeOver { edge: edge.0 }, &[]).is_ok() {
            let end = writer.tail;
            if let Some(over) = writer.edges.get_mut(edge.0 as usize) {
                *over = Some(end);
            }
        }
        drop(writer);
        self.to.ring_bell();
    }

    fn seen(&self, edge: usize) -> &std::sync::atomic::AtomicU64 {
        &self.memory.words()[word::SEEN + edge]
    }

    /// Whether the listener knows the publisher.
    pub fn is_ready(&self, edge: EdgeId) -> bool {
        !self.is_gone() && !self.is_deaf() && self.seen(edge.0 as usize).load(Ordering::Acquire) != 0
    }

    /// Number of the last sample of the publisher that the listener has received another way; 0: none.
    pub fn seen_elsewhere(&self, edge: EdgeId) -> i64 {
        self.seen(edge.0 as usize).load(Ordering::Acquire).saturating_sub(1).cast_signed()
    }

    /// Whether the listener has ended, as far as is known.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Sends a small sample, which is copied.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was sent.
    pub fn send(&self, edge: EdgeId, sequence: i64, time: i64, pieces: &[&[u8]]) -> Result<(), Refusal> {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if !self.is_ready(edge) || length > crate::INLINE {
            return Err(Refusal::NotReady);
        }
        let length = u32::try_from(length).map_err(|_| Refusal::NotReady)?;
        self.push(&mut self.writer.lock(), Record::Inline { edge: edge.0, length, sequence, time }, pieces)?;
        self.to.ring_bell();
        Ok(())
    }

    /// Sends a sample that lies in shared memory: in a pool of the host whose link this is.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was sent.
    pub fn send_placed(&self, edge: EdgeId, sequence: i64, time: i64, placed: &Placed) -> Result<(), Refusal> {
        if !self.is_ready(edge) || placed.segment().host != self.host {
            return Err(Refusal::NotReady);
        }
        let mut writer = self.writer.lock();
        let segment = self.segment(&mut writer, placed.segment())?;
        let holders = placed.segment().holders(placed.chunk());
        holders.fetch_or(self.bit(), Ordering::AcqRel);
        let record = Record::Chunk {
            edge: edge.0,
            segment,
            chunk: u16::try_from(placed.chunk()).map_err(|_| Refusal::NotReady)?,
            offset: u32::try_from(placed.offset()).map_err(|_| Refusal::NotReady)?,
            sequence,
            time,
            length: placed.len() as u64,
        };
        if let Err(refusal) = self.push(&mut writer, record, &[]) {
            holders.fetch_and(!self.bit(), Ordering::Release);
            return Err(refusal);
        }
        let end = writer.tail;
        writer.under_way.push_back((end, Arc::clone(placed.segment()), placed.chunk()));
        drop(writer);
        self.to.ring_bell();
        Ok(())
    }

    /// The number of a segment that the listener has mapped; others it is told of.
    fn segment(&self, writer: &mut Writer, segment: &Arc<Segment>) -> Result<u16, Refusal> {
        let number = writer.segments.iter().position(|known| known.as_ref().is_some_and(|known| Arc::ptr_eq(known, segment)));
        let states = &self.memory.words()[word::SEGMENT..][..SEGMENTS];
        if let Some(number) = number {
            let ready = states[number].load(Ordering::Acquire) == state::READY;
            return u16::try_from(number).ok().filter(|_| ready).ok_or(Refusal::NotReady);
        }
        self.let_go(writer)?;
        let free = |number: &usize| writer.segments[*number].is_none() && states[*number].load(Ordering::Acquire) == state::NEW;
        let number = (0..writer.segments.len()).find(free).unwrap_or(writer.segments.len());
        if number < SEGMENTS {
            let (head, fd) = (u32::try_from(segment.head_len()).unwrap_or(0), segment.memory.fd());
            let record = Record::Segment { segment: u32::try_from(number).unwrap_or(0), fd, head, nonce: segment.nonce };
            self.push(writer, record, &[])?;
            if number == writer.segments.len() {
                writer.segments.push(None);
            }
            writer.segments[number] = Some(Arc::clone(segment));
            self.to.ring_bell();
        }
        Err(Refusal::NotReady)
    }

    /// Memory that was outgrown, or whose publisher is over, and that the listener does not hold any more is not needed there. Returns
    /// whether there was any.
    fn let_go(&self, writer: &mut Writer) -> Result<bool, Refusal> {
        let mut any = false;
        for number in 0..writer.segments.len() {
            let is_over = |known: &Arc<Segment>| known.retired.load(Ordering::Acquire) && !known.is_held(self.bit());
            if writer.segments[number].as_ref().is_some_and(is_over) {
                self.push(writer, Record::SegmentOver { segment: u32::try_from(number).unwrap_or(0) }, &[])?;
                writer.segments[number] = None;
                any = true;
            }
        }
        Ok(any)
    }

    /// Has the listener let go of memory that is not used any more, and lets go of it itself.
    pub(crate) fn sweep(&self) {
        let mut writer = self.writer.lock();
        let head = self.memory.words()[word::HEAD].load(Ordering::Acquire);
        writer.forget_read(head);
        // If there is no room for the word of it, there may be the next time.
        let any = self.let_go(&mut writer).unwrap_or(true);
        drop(writer);
        if any {
            self.to.ring_bell();
        }
    }

    /// Appends a record; does not ring.
    fn push(&self, writer: &mut Writer, record: Record, pieces: &[&[u8]]) -> Result<(), Refusal> {
        if self.is_gone() || self.is_deaf() {
            return Err(Refusal::Gone);
        }
        let words = self.memory.words();
        let head = words[word::HEAD].load(Ordering::Acquire);
        writer.forget_read(head);
        let now = memory::monotonic();
        if head == writer.tail {
            writer.waiting = None;
        } else if writer.waiting.is_none_or(|(stood, _)| stood != head) {
            writer.waiting = Some((head, now));
        }
        let stuck = writer.waiting.is_some_and(|(_, since)| now.saturating_sub(since) > STUCK_NS);
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let total = (HEAD + length).next_multiple_of(ALIGN);
        #[allow(clippy::cast_possible_truncation)]
        let position = writer.tail as usize % RING;
        let to_end = RING - position;
        // A record lies in one piece.
        let skip = if to_end < total { to_end } else { 0 };
        // What the listener says it has read is checked like anything else that comes from outside.
        let used = usize::try_from(writer.tail.wrapping_sub(head)).unwrap_or(usize::MAX);
        if used.saturating_add(skip + total) > RING {
            return Err(if stuck { Refusal::Stuck } else { Refusal::Full });
        }
        if skip >= HEAD {
            self.write(position, Record::Pad, now, skip, &[])?;
        }
        self.write(if skip > 0 { 0 } else { position }, record, now, total, pieces)?;
        writer.tail += (skip + total) as u64;
        words[word::TAIL].store(writer.tail, Ordering::Release);
        Ok(())
    }

    fn write(&self, position: usize, record: Record, now: u64, total: usize, pieces: &[&[u8]]) -> Result<(), Refusal> {
        // SAFETY: between what is read and what is written nobody else looks; this process writes under the writer's lock. The caller has
        // made sure that `total` bytes from here on are free.
        let target = unsafe { self.memory.bytes_mut(position, total) }.ok_or(Refusal::Full)?;
        let (head, mut rest) = target.split_first_chunk_mut::<HEAD>().ok_or(Refusal::Full)?;
        record.write(u32::try_from(total).map_err(|_| Refusal::Full)?, now, head);
        for piece in pieces {
            let (here, next) = rest.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            rest = next;
        }
        Ok(())
    }

    /// Whether samples wait and the listener has taken none for a while.
    pub fn is_stuck(&self) -> bool {
        let writer = self.writer.lock();
        let head = self.memory.words()[word::HEAD].load(Ordering::Acquire);
        let now = memory::monotonic();
        let long = |since: u64| now.saturating_sub(since) > STUCK_NS;
        writer.waiting.is_some_and(|(stood, since)| stood == head && stood != writer.tail && long(since))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
        self.to.leave(self.entry, self.memory.fd());
    }
}
