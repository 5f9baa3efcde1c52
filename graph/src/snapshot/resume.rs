//! Going on from a snapshot.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Body, FrozenNode, ResumeError, TOPIC, decode, note_given, watchers};
use crate::context::Context;
use crate::error::panic_message;
use crate::param::ParamValue;
use crate::shared::Shared;
use crate::slot::{NodeState, Slot};
use crate::time::Time;
use crate::topic::frozen::FrozenTopic;
use crate::waiting::Outside;

fn other(what: impl Into<String>) -> ResumeError {
    ResumeError::OtherGraph(what.into())
}

/// Takes up a snapshot in a graph whose nodes are set up and not started. Returns its time.
pub(crate) fn resume(shared: &Arc<Shared>, step: Duration, bytes: &[u8]) -> Result<Time, ResumeError> {
    let body = decode(bytes)?;
    note_given(shared);
    let slots = check(shared, step, &body)?;
    let Body { now, log_threshold, nodes, topics, .. } = body;
    shared.set_now(now);
    shared.snapshots.resumed_ns.store(now.as_nanos(), Ordering::Relaxed);
    // What set-ups and thawing say is in the snapshot already, or was never said.
    for (slot, node) in slots.iter().zip(nodes) {
        thaw(shared, slot, node)?;
    }
    slots.iter().for_each(|slot| slot.forget_waiting());
    thaw_topics(shared, topics)?;
    // Whom the wire knows it tells once; everything else was never said.
    let waiting: Vec<Outside> = shared.outside.lock().take().collect();
    for outside in waiting.into_iter().filter(|outside| matches!(outside, Outside::Remote(_))) {
        let lost = shared.outside.lock().push(outside);
        drop(lost);
    }
    shared.unanswered.lock().clear();
    shared.log_threshold.store(log_threshold, Ordering::Relaxed);
    slots.iter().for_each(|slot| slot.supervision.lock().state = NodeState::Running);
    shared.snapshots.progress.lock().again = Some(bytes.to_vec());
    Ok(now)
}

/// Whether the graph is the one that the snapshot is of; its nodes that take part.
fn check(shared: &Shared, step: Duration, body: &Body) -> Result<Vec<Arc<Slot>>, ResumeError> {
    if i128::from(body.step_ns) != step.as_nanos() as i128 {
        let then = Duration::from_nanos(body.step_ns.unsigned_abs());
        return Err(other(format!("its step was {then:?}, not {step:?}")));
    }
    let slots: Vec<_> = shared.slots.read().iter().filter(|slot| !slot.factory.watcher).cloned().collect();
    if let Some(gone) = body.nodes.iter().find(|node| !slots.iter().any(|slot| *slot.name == *node.name)) {
        return Err(other(format!("it has {} ({}), which is not here", gone.name, gone.kind)));
    }
    if let Some(new) = slots.iter().find(|slot| !body.nodes.iter().any(|node| *slot.name == *node.name)) {
        return Err(other(format!("it has no {} ({})", new.name, new.factory.name)));
    }
    let progress = shared.snapshots.progress.lock();
    for (place, (slot, node)) in slots.iter().zip(&body.nodes).enumerate() {
        if *slot.name != *node.name {
            return Err(other(format!("node {} was {}, now it is {}: the order counts", place + 1, node.name, slot.name)));
        }
        if slot.state() != NodeState::Starting {
            return Err(other(format!("{} runs already", slot.name)));
        }
        check_node(slot, node, progress.given.get(&slot.name), body.now)?;
    }
    Ok(slots)
}

fn check_node(slot: &Slot, node: &FrozenNode, given: Option<&Vec<(String, ParamValue)>>, at: Time) -> Result<(), ResumeError> {
    let name = &node.name;
    if slot.factory.name != node.kind {
        return Err(other(format!("{name} was of kind {}, not {}", node.kind, slot.factory.name)));
    }
    if slot.spec.remaps != node.remaps {
        return Err(other(format!("{name} had other remaps: {:?}, not {:?}", node.remaps, slot.spec.remaps)));
    }
    let now: BTreeMap<_, _> = given.into_iter().flatten().map(|(parameter, value)| (parameter, value)).collect();
    let then: BTreeMap<_, _> = node.given.iter().map(|(parameter, value)| (parameter, value)).collect();
    let text = |value: Option<&&ParamValue>| value.map_or_else(|| "not there".to_owned(), |value| value.to_string());
    for parameter in then.keys().chain(now.keys()) {
        if then.get(parameter) != now.get(parameter) {
            let (then, now) = (text(then.get(parameter)), text(now.get(parameter)));
            return Err(other(format!("parameter `{parameter}` of {name} was {then}, not {now}")));
        }
    }
    let periods: Vec<u128> = slot.timers.lock().iter().map(|timer| timer.period.as_nanos()).collect();
    if !periods.iter().eq(node.timers.iter().map(|(period, _)| u128::from(*period)).collect::<Vec<_>>().iter()) {
        return Err(other(format!("{name} had other timers")));
    }
    // What was due had fired. A timer far behind would fire without end.
    let in_its_period = |(period, next): &(u64, Time)| *next > at && *next <= at + Duration::from_nanos(*period);
    if !node.timers.iter().all(in_its_period) {
        return Err(ResumeError::Node { node: name.clone(), reason: "a timer of it is not due within its period".into() });
    }
    Ok(())
}

fn thaw(shared: &Arc<Shared>, slot: &Arc<Slot>, node: FrozenNode) -> Result<(), ResumeError> {
    let refused = |reason: String| ResumeError::Node { node: slot.name.to_string(), reason };
    slot.params().thaw(node.params, slot.factory.free).map_err(refused)?;
    {
        let mut ctx = Context::new(shared, slot);
        let parts: Vec<&[u8]> = node.parts.iter().map(|part| part.0.as_slice()).collect();
        let mut runtime = slot.runtime.lock();
        let Some(runtime) = runtime.as_mut() else { return Err(refused("it is gone".into())) };
        let thawed = catch_unwind(AssertUnwindSafe(|| runtime.thaw(&mut ctx, &parts, &node.state.0)));
        match thawed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(refused(error.to_string())),
            Err(panic) => return Err(refused(format!("panicked: {}", panic_message(&*panic)))),
        }
        if let Some(reason) = ctx.exit.take() {
            return Err(refused(reason));
        }
    }
    for (timer, (_, next)) in slot.timers.lock().iter_mut().zip(node.timers) {
        timer.next = next;
    }
    *slot.statuses.lock() = node.statuses;
    slot.logger.set_own_threshold(node.log_threshold);
    {
        let mut supervision = slot.supervision.lock();
        (supervision.failures, supervision.last_error) = (node.failures, node.last_error);
    }
    slot.counter.store(node.calls, Ordering::Relaxed);
    slot.stats.handled.store(node.handled, Ordering::Relaxed);
    slot.stats.dropped.store(node.dropped, Ordering::Relaxed);
    slot.stats.restarts.store(node.restarts, Ordering::Relaxed);
    slot.events.set_losses(node.losses);
    Ok(())
}

fn thaw_topics(shared: &Arc<Shared>, frozen: Vec<FrozenTopic>) -> Result<(), ResumeError> {
    let watchers = watchers(shared);
    let topics = shared.topics.read().clone();
    // A run may go on without taking snapshots of its own.
    let own = |name: &str| name.strip_suffix(TOPIC).is_some_and(|front| front.ends_with('/'));
    let mut known: BTreeMap<String, FrozenTopic> = frozen.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
    for (name, topic) in &topics {
        let used = topic.freeze(&watchers).is_some();
        match known.remove(name) {
            Some(then) if used => {
                if then.type_hash != topic.message_type.hash {
                    return Err(other(format!("{name} was of another type than {}", topic.message_type.name)));
                }
                topic.thaw(then, &watchers).map_err(other)?;
                topic.hand_over_kept(&watchers, shared.now()).map_err(other)?;
            }
            None if used && !own(name) => return Err(other(format!("nobody used {name}"))),
            Some(then) => drop(known.insert(name.clone(), then)),
            None => {}
        }
    }
    match known.keys().find(|name| !own(name)) {
        Some(name) => Err(other(format!("nobody uses {name} any more"))),
        None => Ok(()),
    }
}
