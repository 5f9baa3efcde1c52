//! Taking a snapshot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Blob, Body, FreezeError, FrozenNode, encode, watchers};
use crate::error::panic_message;
use crate::shared::Shared;
use crate::slot::{NodeState, Slot};

/// Why there is none.
pub(super) enum Refusal {
    /// Something waits: after the next step perhaps.
    Busy,
    Now(String),
    Never(String),
}

/// The state of the graph between two steps.
pub(super) fn take(shared: &Arc<Shared>, step: Duration) -> Result<Vec<u8>, Refusal> {
    let slots = shared.slots.read().clone();
    // First: an answer that comes now waits outside before its call is no longer open.
    let open_calls = shared.snapshots.open_calls.load(Ordering::Acquire);
    let quiet = shared.outside.lock().is_empty() && shared.unanswered.lock().is_empty() && shared.composition.is_idle();
    if !quiet || slots.iter().any(|slot| !slot.is_idle() || slot.state() == NodeState::Starting) {
        return Err(Refusal::Busy);
    }
    let taking_part: Vec<&Arc<Slot>> = slots.iter().filter(|slot| !slot.factory.watcher).collect();
    if let Some(gone) = taking_part.iter().find(|slot| slot.state() != NodeState::Running) {
        return Err(Refusal::Now(format!("{} is {}", gone.name, gone.state().as_str())));
    }
    if open_calls > 0 {
        return Err(Refusal::Now("another process has not answered a call yet".into()));
    }
    let mut never = Vec::new();
    let mut nodes = Vec::new();
    for slot in taking_part {
        match freeze(shared, slot) {
            Ok(node) => nodes.push(node),
            Err(FreezeError::Never) => never.push(format!("{} ({})", slot.name, slot.factory.name)),
            Err(FreezeError::Now(why)) => return Err(Refusal::Now(format!("{}: {why}", slot.name))),
        }
    }
    if !never.is_empty() {
        return Err(Refusal::Never(format!("these nodes cannot be frozen: {}", never.join(", "))));
    }
    let watchers = watchers(shared);
    let topics: Vec<_> = shared.topics.read().values().cloned().collect();
    let body = Body {
        now: shared.now(),
        step_ns: i64::try_from(step.as_nanos()).unwrap_or(i64::MAX),
        log_threshold: shared.log_threshold.load(Ordering::Relaxed),
        nodes,
        topics: topics.iter().filter_map(|topic| topic.freeze(&watchers)).collect(),
    };
    encode(&body).map_err(|error| Refusal::Now(error.to_string()))
}

fn freeze(shared: &Shared, slot: &Arc<Slot>) -> Result<FrozenNode, FreezeError> {
    if slot.life.is_managed() {
        return Err(FreezeError::Never);
    }
    let (parts, state) = {
        let runtime = slot.runtime.lock();
        let Some(node) = runtime.as_ref() else { return Err(FreezeError::Now("it is gone".into())) };
        let frozen = catch_unwind(AssertUnwindSafe(|| node.freeze()));
        frozen.unwrap_or_else(|panic| Err(FreezeError::Now(format!("panicked: {}", panic_message(&*panic)))))?
    };
    let params = slot.params();
    let free = slot.factory.free;
    let given = shared.snapshots.progress.lock().given.get(&slot.name).cloned();
    let timers = slot.timers.lock();
    let timers = timers.iter().map(|timer| (u64::try_from(timer.period.as_nanos()).unwrap_or(u64::MAX), timer.next)).collect();
    let supervision = slot.supervision.lock();
    Ok(FrozenNode {
        name: slot.name.to_string(),
        kind: slot.factory.name.to_owned(),
        remaps: slot.spec.remaps.clone(),
        given: given.unwrap_or_else(|| params.values(free)),
        params: params.freeze(free),
        timers,
        statuses: slot.statuses.lock().clone(),
        log_threshold: slot.logger.own_threshold(),
        failures: supervision.failures,
        last_error: supervision.last_error.clone(),
        calls: slot.counter.load(Ordering::Relaxed),
        handled: slot.stats.handled.load(Ordering::Relaxed),
        dropped: slot.stats.dropped.load(Ordering::Relaxed),
        restarts: slot.stats.restarts.load(Ordering::Relaxed),
        losses: slot.events.losses(),
        parts: parts.into_iter().map(Blob).collect(),
        state: Blob(state),
    })
}
