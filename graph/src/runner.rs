//! Running one node's handlers, and what happens when one fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use msgs::rcl_interfaces::msg::Log;

use crate::context::{Context, Output};
use crate::diagnostics::Level;
use crate::error::panic_message;
use crate::graph::RestartWhen;
use crate::logger::{self, Severity};
use crate::shared::Shared;
use crate::slot::{Event, NodeState, Runtime, Slot};

/// The longest pause before a restart.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Runs up to `limit` of the handlers that wait in `slot`, until `enough`, which is asked after each. Returns what they asked for (in
/// lock-step).
pub(crate) fn run(shared: &Arc<Shared>, slot: &Arc<Slot>, limit: usize, mut enough: impl FnMut() -> bool) -> Vec<Output> {
    let mut ctx = Context::new(shared, slot);
    let mut runtime = slot.runtime.lock();
    if slot.state() != NodeState::Running {
        return Vec::new();
    }
    for _ in 0..limit {
        let Some(node) = runtime.as_mut() else { break };
        let Some(item) = slot.pop() else { break };
        if item.generation != slot.generation() || slot.clock.is_stale(&item) {
            continue;
        }
        ctx.tick();
        if let Event::Message(message) = &item.event
            && message.is_over(shared.now())
        {
            shared.expired(slot, message, item.port);
            continue;
        }
        let started = Instant::now();
        if let (Some(published), Some(edge)) = (item.published, &item.edge) {
            edge.latency.lock().record(started.saturating_duration_since(published));
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| node.dispatch(item.port, item.event, &mut ctx)));
        let spent = started.elapsed();
        slot.stats.handled.fetch_add(1, Ordering::Relaxed);
        slot.stats.busy_ns.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
        slot.stats.time.lock().record(spent);
        if settle_outcome(shared, slot, &mut ctx, &mut runtime, outcome) || enough() {
            break;
        }
    }
    ctx.outputs
}

type Outcome = Result<crate::HandlerResult, Box<dyn std::any::Any + Send>>;

/// What follows from how a handler ended. Returns whether the node is gone.
fn settle_outcome(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    ctx: &mut Context,
    runtime: &mut Option<Box<dyn Runtime>>,
    outcome: Outcome,
) -> bool {
    let (reason, how) = match outcome {
        Ok(result) => {
            if let Err(error) = result {
                ctx.status(Level::Error, "handler", error.to_string());
            }
            let Some(reason) = ctx.exit.take() else { return false };
            (reason, if ctx.given_up { Leaving::GivenUp } else { Leaving::Asked })
        }
        // Whatever state the node had is gone with it; its neighbours only see that it is silent for a while.
        Err(panic) => (panic_message(&*panic), Leaving::Panicked),
    };
    slot.bury(runtime);
    // Its neighbours are told in the order of the nodes, not when this thread comes to it.
    ctx.emit(Output::Leave);
    if let Some(log) = leave(shared, slot, &reason, how) {
        ctx.emit(Output::Log(log));
    }
    true
}

/// Calls the node's `start`. Its timers count from here: setting up the others may have taken a while.
pub(crate) fn start(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Vec<Output> {
    let mut ctx = Context::new(shared, slot);
    let mut runtime = slot.runtime.lock();
    let Some(node) = runtime.as_mut() else { return Vec::new() };
    slot.arm_timers(ctx.now());
    let outcome = catch_unwind(AssertUnwindSafe(|| node.start(&mut ctx)));
    if !settle_outcome(shared, slot, &mut ctx, &mut runtime, outcome) {
        slot.supervision.lock().state = NodeState::Running;
    }
    ctx.outputs
}

/// Calls the node's `stop` and lets it go.
pub(crate) fn stop(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Vec<Output> {
    let mut ctx = Context::new(shared, slot);
    let mut runtime = slot.runtime.lock();
    let Some(node) = runtime.as_mut() else { return Vec::new() };
    let outcome = catch_unwind(AssertUnwindSafe(|| node.stop(&mut ctx)));
    let complaint = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(format!("panicked: {}", panic_message(&*panic))),
    };
    if let Some(complaint) = complaint {
        ctx.status(Level::Error, "stop", complaint);
    }
    slot.bury(&mut runtime);
    slot.supervision.lock().state = NodeState::Stopped;
    ctx.outputs
}

/// How a node left.
#[derive(Clone, Copy, PartialEq)]
enum Leaving {
    /// It asked to.
    Asked,
    /// It said that its work has failed for good.
    GivenUp,
    Panicked,
}

/// A node is gone: ends its life and decides whether it comes back, and when. Returns what is to be said about it on /rosout.
fn leave(shared: &Arc<Shared>, slot: &Arc<Slot>, reason: &str, leaving: Leaving) -> Option<Log> {
    slot.reset();
    let policy = &slot.spec.restart;
    let failure = leaving != Leaving::Asked;
    let again = match policy.when {
        RestartWhen::Always => true,
        RestartWhen::OnFailure => failure,
        RestartWhen::Never => false,
    } && leaving != Leaving::GivenUp;
    let how = match leaving {
        Leaving::Asked => "left",
        Leaving::GivenUp => "gave up",
        Leaving::Panicked => "panicked",
    };
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
    {
        // What the node said about itself is over with it.
        let mut statuses = slot.statuses.lock();
        statuses.clear();
        statuses.insert("supervision".into(), (level, message.clone()));
    }
    logger::record(shared, slot, (level.into(), shared.now()), &message, None)
}

/// Starts again the nodes whose time has come.
pub(crate) fn restart_due(shared: &Arc<Shared>) {
    let now = shared.now();
    for slot in (0..).map_while(|place| shared.slot(place)) {
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
                if slot.state() != NodeState::Running {
                    // Its `start` failed; supervision has said so.
                    continue;
                }
                slot.statuses.lock().insert("supervision".into(), (Level::Ok, "running again".into()));
                logger::say(shared, &slot, Severity::Info, "running again");
                // What came while it was set up has waited for its `start`.
                shared.wake(&slot);
            }
            Err(error) => {
                if let Some(log) = leave(shared, &slot, &error.to_string(), Leaving::Panicked) {
                    shared.perform(&slot, Output::Log(log));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, GraphConfig, Node, NodeFactory, NodeSpec, Setup, SetupError, silent_sink};

    struct Talker;
    impl Node for Talker {
        const NAME: &'static str = "talker";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.timer(Duration::from_millis(10), |_: &mut Self, ctx| {
                ctx.info("still here");
                Ok(())
            })?;
            Ok(Self)
        }
    }

    #[test]
    fn log_lines_are_kept_for_late_listeners_per_node_also_when_the_graphs_own_node_restarts() {
        let mut graph = Graph::new(GraphConfig { threads: 1, log: silent_sink(), ..GraphConfig::default() }).unwrap();
        graph.add(NodeFactory::of::<Talker>(), NodeSpec::default()).unwrap();
        let shared = Arc::clone(graph.shared());
        let mut driver = graph.driver();
        driver.start();
        let monitor = Arc::clone(&shared.slots.read()[0]);
        monitor.bury(&mut monitor.runtime.lock());
        shared.unregister(&monitor);
        leave(&shared, &monitor, "a test", Leaving::Panicked);
        for _ in 0..20 {
            driver.step();
        }
        assert_eq!(monitor.state(), NodeState::Running);
        let topic = Arc::clone(&shared.topics.read()["/rosout"]);
        let ends = topic.ends.read();
        assert_eq!(ends.publishers.len(), 2);
        let kept = |node: &str| {
            let publisher = ends.publishers.iter().find(|publisher| &*publisher.slot.name == node).unwrap();
            publisher.latched.lock().iter().filter_map(|parcel| parcel.message.downcast::<Log>()).collect::<Vec<_>>()
        };
        let talked = kept("/talker");
        assert_eq!(talked.len(), 20);
        assert_eq!((talked[0].name.as_str(), talked[0].msg.as_str()), ("talker", "still here"));
        assert!(talked[0].file.ends_with("runner.rs") && talked[0].line > 0, "a line says where it was written");
        assert!(kept("/graph").iter().any(|log| log.msg == "running again"));
    }
}
