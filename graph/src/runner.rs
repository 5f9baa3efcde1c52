//! Running one node's handlers, and what happens when one fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::context::{Context, Output};
use crate::diagnostics::Level;
use crate::error::panic_message;
use crate::graph::RestartWhen;
use crate::shared::Shared;
use crate::slot::{NodeState, Slot};

/// The longest pause before a restart.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Runs up to `limit` of the handlers that wait in `slot`. Returns what they asked for (in lock-step).
pub(crate) fn run(shared: &Arc<Shared>, slot: &Arc<Slot>, limit: usize) -> Vec<Output> {
    let mut ctx = Context::new(shared, slot);
    let mut runtime = slot.runtime.lock();
    for _ in 0..limit {
        let Some(item) = slot.pop() else { break };
        if item.generation != slot.generation() {
            continue;
        }
        let Some(node) = runtime.as_mut() else { continue };
        ctx.tick();
        let started = Instant::now();
        if let (Some(published), Some(edge)) = (item.published, &item.edge) {
            edge.latency.lock().record(started.saturating_duration_since(published));
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| node.dispatch(item.port, item.event, &mut ctx)));
        let spent = started.elapsed();
        slot.stats.handled.fetch_add(1, Ordering::Relaxed);
        slot.stats.busy_ns.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
        slot.stats.time.lock().record(spent);
        match outcome {
            Ok(Ok(())) => {
                if let Some(reason) = ctx.exit.take() {
                    *runtime = None;
                    leave(shared, slot, &reason, false);
                    break;
                }
            }
            Ok(Err(error)) => ctx.status(Level::Error, "handler", error.to_string()),
            Err(panic) => {
                // Whatever state the node had is gone with it; its neighbours only see that it is silent for a while.
                *runtime = None;
                leave(shared, slot, &panic_message(&*panic), true);
                break;
            }
        }
    }
    ctx.outputs
}

/// Calls the node's `start`.
pub(crate) fn start(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Vec<Output> {
    hook(shared, slot, NodeState::Running, |node, ctx| node.start(ctx))
}

/// Calls the node's `stop` and lets it go.
pub(crate) fn stop(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Vec<Output> {
    let outputs = hook(shared, slot, NodeState::Stopped, |node, ctx| node.stop(ctx));
    slot.runtime.lock().take();
    outputs
}

fn hook(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    next: NodeState,
    call: impl FnOnce(&mut Box<dyn crate::slot::Runtime>, &mut Context) -> crate::HandlerResult,
) -> Vec<Output> {
    let mut ctx = Context::new(shared, slot);
    let mut runtime = slot.runtime.lock();
    let Some(node) = runtime.as_mut() else { return Vec::new() };
    match catch_unwind(AssertUnwindSafe(|| call(node, &mut ctx))) {
        Ok(result) => {
            slot.supervision.lock().state = next;
            if let Err(error) = result {
                ctx.status(Level::Error, "handler", error.to_string());
            }
        }
        Err(panic) => {
            *runtime = None;
            leave(shared, slot, &panic_message(&*panic), next != NodeState::Stopped);
        }
    }
    ctx.outputs
}

/// A node is gone: takes back what it declared and decides whether it comes back, and when.
fn leave(shared: &Arc<Shared>, slot: &Arc<Slot>, reason: &str, failure: bool) {
    shared.unregister(slot);
    slot.reset();
    let policy = &slot.spec.restart;
    let again = match policy.when {
        RestartWhen::Always => true,
        RestartWhen::OnFailure => failure,
        RestartWhen::Never => false,
    };
    let how = if failure { "panicked" } else { "left" };
    let (level, message) = {
        let mut supervision = slot.supervision.lock();
        supervision.last_error = format!("{how}: {reason}");
        if again && supervision.failures < policy.max {
            let backoff = policy.backoff.saturating_mul(1 << supervision.failures.min(16)).min(MAX_BACKOFF);
            supervision.failures += 1;
            supervision.state = NodeState::Restarting;
            supervision.restart_at = Some(shared.now() + backoff);
            (Level::Error, format!("{how}: {reason}; restart {} of {} in {backoff:?}", supervision.failures, policy.max))
        } else {
            supervision.state = if failure { NodeState::Failed } else { NodeState::Stopped };
            supervision.restart_at = None;
            let level = if failure { Level::Error } else { Level::Ok };
            (level, format!("{how}: {reason}; it is not started again"))
        }
    };
    slot.statuses.lock().insert("supervision".into(), (level, message.clone()));
    shared.write_log(slot, level, &message);
}

/// Starts again the nodes whose time has come.
pub(crate) fn restart_due(shared: &Arc<Shared>) {
    let now = shared.now();
    let slots: Vec<Arc<Slot>> = shared.slots.read().clone();
    for slot in slots {
        let due = {
            let mut supervision = slot.supervision.lock();
            match supervision.restart_at {
                Some(at) if at <= now => {
                    supervision.restart_at = None;
                    true
                }
                _ => false,
            }
        };
        if !due {
            continue;
        }
        match slot.bring_up(shared) {
            Ok(()) => {
                slot.stats.restarts.fetch_add(1, Ordering::Relaxed);
                for output in start(shared, &slot) {
                    shared.perform(&slot, output);
                }
                slot.statuses.lock().insert("supervision".into(), (Level::Ok, "running again".into()));
                shared.write_log(&slot, Level::Ok, "running again");
                // What came while it was set up was delivered before it could run.
                shared.wake(&slot);
            }
            Err(error) => leave(shared, &slot, &error.to_string(), true),
        }
    }
}
