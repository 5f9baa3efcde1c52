//! What lies in a ring: records of a head and a payload, each a multiple of 8 bytes.

/// Bytes of a record's head: `u32` length of the whole, `u32` kind, 32 bytes per kind, `u64` when it was written.
pub(crate) const HEAD: usize = 48;
/// Records begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// Bytes of a ring; a power of two.
pub(crate) const RING: usize = 1 << 20;

/// Edges of one link.
pub(crate) const EDGES: usize = 4096;
/// Pools of one link.
pub(crate) const SEGMENTS: usize = 1024;

/// Words of a link's head.
pub(crate) mod word {
    use super::{EDGES, SEGMENTS};
    /// The listener's address: this is a link to it.
    pub const NONCE: usize = 0;
    /// Which bit of a chunk is the listener's.
    pub const INDEX: usize = 1;
    /// Not 0: the sender has closed the link.
    pub const CLOSED: usize = 2;
    /// Not 0: the listener reads no more.
    pub const DEAF: usize = 17;
    /// Bytes written so far.
    pub const TAIL: usize = 8;
    /// Bytes read so far.
    pub const HEAD: usize = 16;
    /// Per edge: 0 if the listener does not know it yet, else 1 + the last sample of it that came another way.
    pub const SEEN: usize = 32;
    /// Per segment: 0 free, 1 mapped by the listener, 2 refused.
    pub const SEGMENT: usize = SEEN + EDGES;
    pub const COUNT: usize = SEGMENT + SEGMENTS;
}

/// What the listener says of a segment.
pub(crate) mod state {
    pub const NEW: u64 = 0;
    pub const READY: u64 = 1;
    pub const REFUSED: u64 = 2;
}

/// A record's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// Nothing: the rest of the ring is too short.
    Pad,
    /// A new edge; the payload is 16 bytes of identity and the topic, `length` bytes together. What follows them lay there before.
    Edge { edge: u32, length: u32 },
    /// An edge is over.
    EdgeOver { edge: u32 },
    /// New memory with chunks in it, open in the sending process as `fd`.
    Segment { segment: u32, fd: u32, head: u32, nonce: u64 },
    /// It will not be used any more.
    SegmentOver { segment: u32 },
    /// A sample; its payload follows.
    Inline { edge: u32, length: u32, sequence: i64, time: i64 },
    /// A sample in a chunk.
    Chunk { edge: u32, segment: u16, chunk: u16, offset: u32, sequence: i64, time: i64, length: u64 },
}

impl Record {
    /// Writes the head of a record of `total` bytes; `sent` is when, ns on the system's monotonic clock.
    pub fn write(&self, total: u32, sent: u64, to: &mut [u8; HEAD]) {
        let (kind, a, b, c, d, e): (u32, u32, u32, u64, u64, u64) = match *self {
            Self::Pad => (0, 0, 0, 0, 0, 0),
            Self::Edge { edge, length } => (1, edge, length, 0, 0, 0),
            Self::EdgeOver { edge } => (2, edge, 0, 0, 0, 0),
            Self::Segment { segment, fd, head, nonce } => (3, segment, fd, nonce, u64::from(head), 0),
            Self::SegmentOver { segment } => (4, segment, 0, 0, 0, 0),
            Self::Inline { edge, length, sequence, time } => (5, edge, length, sequence.cast_unsigned(), time.cast_unsigned(), 0),
            Self::Chunk { edge, segment, chunk, offset, sequence, time, length } => {
                // The length takes 40 bits, where in the chunk it begins the rest.
                let place = length << 24 | u64::from(offset & 0xff_ffff);
                (6 | u32::from(chunk) << 8, edge, segment.into(), sequence.cast_unsigned(), time.cast_unsigned(), place)
            }
        };
        to[0..4].copy_from_slice(&total.to_le_bytes());
        to[4..8].copy_from_slice(&kind.to_le_bytes());
        to[8..12].copy_from_slice(&a.to_le_bytes());
        to[12..16].copy_from_slice(&b.to_le_bytes());
        to[16..24].copy_from_slice(&c.to_le_bytes());
        to[24..32].copy_from_slice(&d.to_le_bytes());
        to[32..40].copy_from_slice(&e.to_le_bytes());
        to[40..48].copy_from_slice(&sent.to_le_bytes());
    }

    /// Reads a head: the record, how long the whole is, when it was written. `None` for what no sender of this crate writes.
    pub fn read(from: &[u8; HEAD]) -> Option<(Self, usize, u64)> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(*from.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(*from.get(at..)?.first_chunk()?));
        let (total, kind, a, b) = (u32_at(0)? as usize, u32_at(4)?, u32_at(8)?, u32_at(12)?);
        let (c, d, e, sent) = (u64_at(16)?, u64_at(24)?, u64_at(32)?, u64_at(40)?);
        let record = match kind & 0xff {
            0 => Self::Pad,
            1 => Self::Edge { edge: a, length: b },
            2 => Self::EdgeOver { edge: a },
            3 => Self::Segment { segment: a, fd: b, head: u32::try_from(d).ok()?, nonce: c },
            4 => Self::SegmentOver { segment: a },
            5 => Self::Inline { edge: a, length: b, sequence: c.cast_signed(), time: d.cast_signed() },
            6 => Self::Chunk {
                edge: a,
                segment: u16::try_from(b).ok()?,
                chunk: u16::try_from(kind >> 8).ok()?,
                offset: u32::try_from(e & 0xff_ffff).ok()?,
                sequence: c.cast_signed(),
                time: d.cast_signed(),
                length: e >> 24,
            },
            _ => return None,
        };
        let smallest = if record == Self::Pad { ALIGN } else { HEAD };
        (total >= smallest && total.is_multiple_of(ALIGN)).then_some((record, total, sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_reads_back_and_others_are_refused() {
        let records = [
            Record::Pad,
            Record::Edge { edge: 4095, length: 21 },
            Record::EdgeOver { edge: 1 },
            Record::Segment { segment: 9, fd: 77, head: 4096, nonce: u64::MAX },
            Record::SegmentOver { segment: 1023 },
            Record::Inline { edge: 3, length: 64, sequence: -1, time: i64::MIN },
            Record::Chunk {
                edge: 3,
                segment: 1023,
                chunk: 65535,
                offset: 0xff_ffff,
                sequence: 1,
                time: 2,
                length: (1 << 40) - 1,
            },
        ];
        for record in records {
            let mut head = [0; HEAD];
            record.write(48, 1 << 60, &mut head);
            assert_eq!(Record::read(&head), Some((record, 48, 1 << 60)));
            for total in [0, 7, 49, 4] {
                record.write(total, 0, &mut head);
                assert_eq!(Record::read(&head), None, "{total}");
            }
        }
        let mut head = [0; HEAD];
        head[0] = 48;
        head[4] = 200;
        assert_eq!(Record::read(&head), None);
    }
}
