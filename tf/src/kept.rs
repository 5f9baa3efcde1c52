//! A listener's state in snapshots of its graph.

use std::sync::Arc;

use graph::snapshot::{Part, pack, unpack};
use graph::{FreezeError, NodeError, Time};
use parking_lot::Mutex;

use crate::listener::{State, Wait};

/// What a listener has heard and waits for.
pub(crate) struct Heard(pub Arc<Mutex<State>>);

type Waits = Vec<(u64, String, String, i64, Time)>;

impl Part for Heard {
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let state = self.0.lock();
        let wait = |(id, wait): (&u64, &Wait)| (*id, wait.target.clone(), wait.source.clone(), wait.stamp_ns, wait.until);
        let waits: Waits = state.waits.iter().map(wait).collect();
        pack(&(&state.buffer, waits, state.next, &state.bad))
    }

    fn thaw(&self, bytes: &[u8]) -> Result<(), NodeError> {
        let mut state = self.0.lock();
        let waits: Waits;
        (state.buffer, waits, state.next, state.bad) = unpack(bytes)?;
        let wait = |(id, target, source, stamp_ns, until)| (id, Wait { target, source, stamp_ns, until });
        state.waits = waits.into_iter().map(wait).collect();
        Ok(())
    }
}
