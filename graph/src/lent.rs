//! Free-running: a thread of the wire that has just received a sample handles it, rather than waking a worker for it.
//!
//! A wake costs more than most handlers. The wire keeps one thread of its own out of this, so a handler that takes long delays nobody
//! else's samples.

use std::cell::RefCell;
use std::sync::Arc;

use crate::free::BATCH;
use crate::runner;
use crate::slot::Slot;

thread_local! {
    /// Whether this thread is lent, and the node that it will run.
    static LENT: RefCell<Option<Option<Arc<Slot>>>> = const { RefCell::new(None) };
}

/// Calls `receive`, in which sinks of subscriptions are called. If `may_handle`, the first node that has work by that runs on this thread
/// afterwards; the others are left to the graph's own threads.
pub fn lend_thread(may_handle: bool, receive: impl FnOnce()) {
    if may_handle {
        LENT.set(Some(None));
    }
    receive();
    let Some(slot) = LENT.take().flatten() else { return };
    let Some(shared) = slot.shared() else { return };
    let Some(queue) = shared.queue.get() else { return };
    if shared.stop.is_set() {
        // What waits is handled by whoever stops the graph.
        queue.enqueue(slot);
        return;
    }
    runner::run(&shared, &slot, BATCH, || false);
    slot.queued.store(false, std::sync::atomic::Ordering::Release);
    if slot.is_ready() {
        queue.schedule(&slot);
    }
}

/// Takes on a node that has work, if this thread is lent and has none yet.
pub(crate) fn keep(slot: &Arc<Slot>) -> bool {
    LENT.with_borrow_mut(|lent| match lent {
        Some(kept @ None) => {
            *kept = Some(Arc::clone(slot));
            true
        }
        _ => false,
    })
}
