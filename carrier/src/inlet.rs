//! The listening end of a link.

#![allow(unsafe_code)]

use crate::host::Sample;
use crate::memory::{self, Memory, Process};
use crate::pool;
use crate::record::{EDGES, HEAD, RING, Record, SEGMENTS, state, word};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A publisher of the other process.
pub(crate) struct Edge {
    pub gid: [u8; 16],
    pub topic: Arc<str>,
}

/// A sender's pool.
struct Chunks {
    memory: Arc<Memory>,
    stride: usize,
    chunks: usize,
}

impl Chunks {
    fn open(pid: u32, fd: u32, head: u32, nonce: u64) -> io::Result<Self> {
        let memory = Memory::open(pid, fd, head as usize)?;
        let read = |at: usize| usize::try_from(memory.words()[at].load(Ordering::Acquire)).unwrap_or(usize::MAX);
        let (stride, chunks) = (read(pool::word::STRIDE), read(pool::word::CHUNKS));
        let fits = chunks.checked_mul(stride).is_some_and(|all| all <= memory.body_len())
            && pool::word::HOLDERS.saturating_add(chunks) <= memory.words().len();
        if memory.words()[pool::word::NONCE].load(Ordering::Acquire) != nonce || !fits || stride == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self { memory: Arc::new(memory), stride, chunks })
    }
}

/// A view of a sample in the sender's memory; the sender uses the chunk again when it is dropped.
struct View {
    memory: Arc<Memory>,
    chunk: usize,
    bit: u64,
    offset: usize,
    length: usize,
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: this process has its bit set in the chunk, and the sender writes only chunks without holders.
        unsafe { self.memory.bytes(self.offset, self.length) }.unwrap_or_default()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.memory.words()[pool::word::HOLDERS + self.chunk].fetch_and(!self.bit, Ordering::Release);
    }
}

/// Where what came another way is noted: a publisher's place in a link.
type Place = (Arc<Memory>, u32);

/// The publishers of all links to this process, with their places. One that changes its link is in both for a while.
#[derive(Default)]
pub(crate) struct Publishers(Mutex<HashMap<[u8; 16], Vec<Place>>>);

impl Publishers {
    pub fn knows(&self, gid: &[u8; 16]) -> bool {
        self.0.lock().contains_key(gid)
    }

    /// A sample came another way: its sender is told.
    pub fn note(&self, gid: &[u8; 16], sequence: i64) {
        for (memory, edge) in self.0.lock().get(gid).into_iter().flatten() {
            let seen = &memory.words()[word::SEEN + *edge as usize];
            seen.fetch_max(sequence.max(0).cast_unsigned().saturating_add(1), Ordering::AcqRel);
        }
    }

    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// A publisher has come. Only then is its sender told that it is known: what it sends from now on may come both ways.
    fn add(&self, gid: [u8; 16], memory: &Arc<Memory>, edge: u32) {
        let mut publishers = self.0.lock();
        publishers.entry(gid).or_default().push((Arc::clone(memory), edge));
        memory.words()[word::SEEN + edge as usize].store(1, Ordering::Release);
    }

    /// Forgets this place, and no other that the publisher has. The place is free when nobody can note anything there any more.
    fn remove(&self, gid: &[u8; 16], memory: &Arc<Memory>, edge: u32) {
        let mut publishers = self.0.lock();
        if let Some(places) = publishers.get_mut(gid) {
            places.retain(|(other, number)| !Arc::ptr_eq(other, memory) || *number != edge);
            if places.is_empty() {
                publishers.remove(gid);
            }
        }
        memory.words()[word::SEEN + edge as usize].store(0, Ordering::Release);
    }
}

/// The listening side of a link.
pub(crate) struct Inlet {
    memory: Arc<Memory>,
    pub entry: usize,
    process: Process,
    pid: u32,
    bit: u64,
    head: u64,
    edges: Vec<Option<Edge>>,
    segments: Vec<Option<Chunks>>,
    /// It holds what no sender of this crate writes; nothing is read any more.
    broken: bool,
}

impl Inlet {
    pub fn open(entry: usize, pid: u32, fd: u32, nonce: u64) -> io::Result<Self> {
        let process = Process::open(pid)?;
        let memory = Memory::open(pid, fd, 8 * word::COUNT)?;
        let index = memory.words()[word::INDEX].load(Ordering::Acquire);
        let right = memory.words()[word::NONCE].load(Ordering::Acquire) == nonce;
        if !right || memory.body_len() < RING || index >= pool::LISTENERS.into() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let head = memory.words()[word::HEAD].load(Ordering::Acquire);
        let memory = Arc::new(memory);
        let (edges, segments) = (Vec::new(), Vec::new());
        Ok(Self { memory, entry, process, pid, bit: 1 << index, head, edges, segments, broken: false })
    }

    /// Whether nothing will come any more, as the sender says.
    pub fn is_closed(&self) -> bool {
        self.memory.words()[word::CLOSED].load(Ordering::Acquire) != 0
    }

    /// Whether the sender has ended.
    pub fn is_orphan(&self) -> bool {
        self.process.is_gone()
    }

    /// Whether all that came has been taken, as far as it can be read.
    pub fn is_read(&self) -> bool {
        self.broken || self.memory.words()[word::TAIL].load(Ordering::Acquire) == self.head
    }

    /// Takes all of this link out of `publishers`.
    pub fn leave(&self, publishers: &Publishers) {
        for (edge, known) in (0..).zip(&self.edges) {
            if let Some(known) = known {
                publishers.remove(&known.gid, &self.memory, edge);
            }
        }
    }

    /// Takes all that is there. Returns how many records that were.
    pub fn take(&mut self, publishers: &Publishers, sink: &mut dyn FnMut(Sample<'_>)) -> usize {
        let mut count = 0;
        while !self.broken {
            let tail = self.memory.words()[word::TAIL].load(Ordering::Acquire);
            if tail == self.head {
                break;
            }
            let Some(taken) = self.next(tail, publishers, sink) else {
                self.broken = true;
                self.memory.words()[word::DEAF].store(1, Ordering::Release);
                break;
            };
            self.head += taken;
            self.memory.words()[word::HEAD].store(self.head, Ordering::Release);
            count += 1;
        }
        count
    }

    /// Reads one record; how many bytes it took. `None` if it is no record.
    fn next(&mut self, tail: u64, publishers: &Publishers, sink: &mut dyn FnMut(Sample<'_>)) -> Option<u64> {
        let there = usize::try_from(tail.wrapping_sub(self.head)).ok().filter(|there| *there <= RING)?;
        #[allow(clippy::cast_possible_truncation)]
        let position = self.head as usize % RING;
        let to_end = RING - position;
        if to_end < HEAD {
            return (there >= to_end).then_some(to_end as u64);
        }
        let memory = Arc::clone(&self.memory);
        // SAFETY: what lies before the tail is complete, and not written again before the head has passed it.
        let bytes = unsafe { memory.bytes(position, there.min(to_end)) }?;
        let (record, total, sent) = Record::read(bytes.first_chunk()?)?;
        if total > bytes.len() {
            return None;
        }
        // A pad may be shorter than a head.
        let payload = bytes.get(HEAD..total).unwrap_or_default();
        self.act(record, sent, payload, publishers, sink)?;
        Some(total as u64)
    }

    fn act(
        &mut self,
        record: Record,
        sent: u64,
        payload: &[u8],
        publishers: &Publishers,
        sink: &mut dyn FnMut(Sample<'_>),
    ) -> Option<()> {
        match record {
            Record::Pad => {}
            Record::Edge { edge, length } => {
                let (gid, topic) = payload.get(..length as usize)?.split_first_chunk::<16>()?;
                let topic = std::str::from_utf8(topic).ok()?;
                let place = place(&mut self.edges, edge, EDGES)?;
                if let Some(before) = place.replace(Edge { gid: *gid, topic: Arc::from(topic) }) {
                    publishers.remove(&before.gid, &self.memory, edge);
                }
                publishers.add(*gid, &self.memory, edge);
            }
            Record::EdgeOver { edge } => {
                if let Some(over) = place(&mut self.edges, edge, EDGES)?.take() {
                    publishers.remove(&over.gid, &self.memory, edge);
                }
            }
            Record::Segment { segment, fd, head, nonce } => {
                let chunks = Chunks::open(self.pid, fd, head, nonce).ok();
                let said = if chunks.is_some() { state::READY } else { state::REFUSED };
                *place(&mut self.segments, segment, SEGMENTS)? = chunks;
                self.memory.words()[word::SEGMENT + segment as usize].store(said, Ordering::Release);
            }
            Record::SegmentOver { segment } => {
                *place(&mut self.segments, segment, SEGMENTS)? = None;
                self.memory.words()[word::SEGMENT + segment as usize].store(state::NEW, Ordering::Release);
            }
            Record::Inline { edge, length, sequence, time } => {
                let payload = Bytes::copy_from_slice(payload.get(..length as usize)?);
                let Edge { gid, topic } = self.edges.get(edge as usize)?.as_ref()?;
                sink(Sample { gid: *gid, topic, sequence, time, age: age(sent), payload, shared: false });
            }
            Record::Chunk { edge, segment, chunk, offset, sequence, time, length } => {
                let chunks = self.segments.get(usize::from(segment))?.as_ref()?;
                let (chunk, offset, length) = (usize::from(chunk), offset as usize, usize::try_from(length).ok()?);
                if chunk >= chunks.chunks || offset.checked_add(length)? > chunks.stride {
                    return None;
                }
                let offset = chunk * chunks.stride + offset;
                let view = View { memory: Arc::clone(&chunks.memory), chunk, bit: self.bit, offset, length };
                let payload = Bytes::from_owner(view);
                let Edge { gid, topic } = self.edges.get(edge as usize)?.as_ref()?;
                sink(Sample { gid: *gid, topic, sequence, time, age: age(sent), payload, shared: true });
            }
        }
        Some(())
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        // The sender takes back what is not read.
        self.memory.words()[word::DEAF].store(1, Ordering::Release);
    }
}

/// How long ago that was; both processes look at the same clock.
fn age(sent: u64) -> Duration {
    Duration::from_nanos(memory::monotonic().saturating_sub(sent))
}

/// The place `index` of a list that grows up to `limit`.
fn place<T>(list: &mut Vec<Option<T>>, index: u32, limit: usize) -> Option<&mut Option<T>> {
    let index = index as usize;
    if index >= limit {
        return None;
    }
    if index >= list.len() {
        list.resize_with(index + 1, || None);
    }
    list.get_mut(index)
}
