//! Samples between processes of one host: memory that both map, a queue per pair of processes, one wake.
//!
//! Knows bytes, and nothing of ROS, Zenoh or graphs; how it came to be and what it costs: `docs/carrier.md`.
//!
//! - A process that listens has a [`Host`]: a page of memory with a bell (a futex) and a list on which senders enter themselves. Its
//!   [`Address`] is told to others by whoever uses this crate.
//! - A process that sends makes a [`Link`] to an address: a ring of records, written by it alone, read by the listener alone. Small
//!   payloads lie in the ring, large ones in a [`Pool`] of the publisher, where each chunk notes who holds it, a bit per process.
//! - All of it is memory without a name (memfd): the system takes it back when the last process that maps it is gone, however it went.
//!   The sizes are sealed, so that nobody can take pages away from under a reader.
//! - Nothing waits for a listener. A full ring, a full pool, a listener that does not take: [`Refusal`], and the caller has another way.

mod address;
mod host;
mod inlet;
mod link;
mod memory;
mod pool;
mod record;

pub use address::Address;
pub use host::{Host, Sample};
pub use link::{EdgeId, Link, Refusal};
pub use memory::Unsupported;
pub use pool::{Loan, Placed, Pool};

/// Payloads up to this size (bytes) travel in the ring.
pub const INLINE: usize = 16 << 10;
