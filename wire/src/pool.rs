//! Shared memory of one publisher, sized by what it sends.
//!
//! Not the session's own pool: when that is full, Zenoh takes back what a listener has not confirmed for 0.1 s, though the listener may
//! still look at it (zenoh-transport 1.10.2, `shm/interop.rs`: `with_unsafe_policy`). Here only what nobody holds is used again. And a
//! listener that holds on to one topic's samples does not take the place of another's.

use msgs::cdr::Pieces;
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use zenoh::Wait;
use zenoh::shm::{GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder, ZShmMut};

/// So many of the largest sample find room at once.
const IN_FLIGHT: usize = 8;
/// Sizes are rounded up to whole pages, and some room is left for samples that grow.
const PAGE: usize = 4096;
/// A pool that has been full for so long is left to its holders, who may be dead, and another is made.
const FULL_FOR: Duration = Duration::from_secs(5);

/// The pool, of Zenoh's shared memory; made when the first sample wants room.
#[derive(Default)]
pub(crate) struct ShmPool(Mutex<State>);

#[derive(Default)]
struct State {
    provider: Option<ShmProvider<PosixShmProviderBackend>>,
    /// Largest sample that the pool was made for, bytes.
    largest: usize,
    full_since: Option<Instant>,
}

impl ShmPool {
    /// `payload` in shared memory; `None` when there is no room.
    pub fn place(&self, payload: &Pieces) -> Option<ZShmMut> {
        let mut buffer = self.0.lock().room(payload.len())?;
        payload.copy_to(&mut buffer);
        Some(buffer)
    }
}

impl State {
    fn room(&mut self, length: usize) -> Option<ZShmMut> {
        let given_up = self.full_since.is_some_and(|since| since.elapsed() > FULL_FOR);
        if self.provider.is_none() || length > self.largest || given_up {
            let largest = self.largest.max(length.saturating_add(length / 4).checked_next_multiple_of(PAGE)?);
            let size = largest.checked_mul(IN_FLIGHT)?.checked_add(PAGE)?;
            // A system without room for it is asked again with the next sample; what there is stays.
            self.provider = Some(ShmProviderBuilder::default_backend(size).wait().ok()?);
            (self.largest, self.full_since) = (largest, None);
        }
        let buffer = self.provider.as_ref()?.alloc(length).with_policy::<GarbageCollect>().wait().ok();
        match buffer {
            Some(_) => self.full_since = None,
            None => drop(self.full_since.get_or_insert_with(Instant::now)),
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_whose_holders_never_let_go_is_left_to_them() {
        let mut state = State::default();
        let held: Vec<ZShmMut> = std::iter::from_fn(|| state.room(1 << 20)).collect();
        assert!(held.len() >= IN_FLIGHT, "{}", held.len());
        assert!(state.room(1 << 20).is_none(), "full");
        // As if that had been so for a while.
        state.full_since = Instant::now().checked_sub(FULL_FOR + Duration::from_secs(1));
        assert!(state.full_since.is_some() && state.room(1 << 20).is_some(), "another pool");
        drop(held);
    }

    #[test]
    fn a_sample_that_outgrows_the_pool_gets_a_larger_one() {
        let mut state = State::default();
        assert!(state.room(1000).is_some());
        assert!(state.room(50 << 20).is_some());
        assert!(state.room(1000).is_some());
    }

    #[test]
    fn what_no_system_can_give_is_refused_and_the_next_sample_is_not() {
        let mut state = State::default();
        assert!(state.room(1000).is_some());
        for impossible in [usize::MAX / 4, usize::MAX / 16, usize::MAX] {
            assert!(state.room(impossible).is_none());
            assert!(state.room(1000).is_some());
        }
    }
}
