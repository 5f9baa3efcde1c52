//! The state of listeners and broadcasters in snapshots of their graph.

use std::sync::Arc;

use graph::snapshot::{Cdr, Part, pack, unpack};
use graph::{FreezeError, NodeError, Time};
use msgs::tf2_msgs::msg::TFMessage;
use parking_lot::Mutex;

use crate::broadcaster::Frames;
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

/// What a static broadcaster has told and repeats.
pub(crate) struct Told(pub Frames);

impl Part for Told {
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let transforms = self.0.lock().values().cloned().collect();
        pack(&Cdr(Arc::new(TFMessage { transforms })))
    }

    fn thaw(&self, bytes: &[u8]) -> Result<(), NodeError> {
        let Cdr(told) = unpack::<Cdr<TFMessage>>(bytes)?;
        *self.0.lock() = told.transforms.iter().map(|transform| (transform.child_frame_id.clone(), transform.clone())).collect();
        Ok(())
    }
}
