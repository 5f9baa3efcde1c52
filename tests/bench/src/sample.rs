//! What every peer sends: bytes that begin with the time at which they were meant to be sent, and their number.

use rustix::time::{ClockId, clock_gettime};

/// Bytes of a sample's head; no sample is shorter.
pub const HEAD: usize = 12;
/// The number of samples that only find out who listens.
pub const WARM_UP: u32 = u32::MAX;

/// Nanoseconds of the system's monotonic clock, the same in every process.
#[must_use]
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The head of sample `number` that is or was to be sent at `at_ns`.
#[must_use]
pub fn head(at_ns: u64, number: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&at_ns.to_le_bytes());
    head[8..].copy_from_slice(&number.to_le_bytes());
    head
}

/// When a sample was to be sent, and its number; `None` if it is too short.
#[must_use]
pub fn read(sample: &[u8]) -> Option<(u64, u32)> {
    let at = u64::from_le_bytes(*sample.first_chunk()?);
    let number = u32::from_le_bytes(*sample.get(8..HEAD)?.first_chunk()?);
    Some((at, number))
}

/// Looks at every byte, as a program that needs the data does.
#[must_use]
pub fn touch(sample: &[u8]) -> u64 {
    let (words, rest) = sample.as_chunks::<8>();
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}
