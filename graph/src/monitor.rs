//! The graph's own node: /clock, /diagnostics and graph/statistics. Silence is a bug: what does not fit is said here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use msgs::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use msgs::omnimind_msgs::msg::{EdgeStatistics, GraphStatistics, NodeStatistics};
use msgs::rosgraph_msgs::msg::Clock;
use msgs::std_msgs::msg::Header;

use crate::context::Context;
use crate::diagnostics::Level;
use crate::error::{HandlerResult, SetupError};
use crate::node::{Node, Publisher, Setup};
use crate::qos::Qos;
use crate::shared::Shared;
use crate::transport::EndpointKind;

/// Publishes what the graph knows about itself.
pub struct Monitor {
    clock: Option<Publisher<Clock>>,
    diagnostics: Publisher<DiagnosticArray>,
    statistics: Publisher<GraphStatistics>,
    /// By node: what it had lost at the last report.
    dropped: BTreeMap<Arc<str>, u64>,
    /// Reports so far, one a second.
    reports: u32,
    /// By publisher and what is counted: what it was at the last report.
    remote: BTreeMap<(Arc<str>, String, String), u64>,
}

/// After this many reports a parameter that was given a value and was not looked at is worth a sentence.
const UNREAD_AFTER: u32 = 5;

impl Node for Monitor {
    const NAME: &'static str = "graph";

    fn setup(setup: &mut Setup<Self>) -> Result<Self, SetupError> {
        let clock = if setup.shared.lock_step { Some(setup.publisher("/clock", Qos::sensor_data())?) } else { None };
        let diagnostics = setup.publisher("/diagnostics", Qos::reliable(10))?;
        let statistics = setup.publisher("graph/statistics", Qos::reliable(10))?;
        if clock.is_some() {
            setup.timer(Duration::from_millis(10), Self::tell_time)?;
        }
        setup.timer(Duration::from_secs(1), Self::report)?;
        Ok(Self { clock, diagnostics, statistics, dropped: BTreeMap::new(), reports: 0, remote: BTreeMap::new() })
    }
}

impl Monitor {
    fn tell_time(&mut self, ctx: &mut Context) -> HandlerResult {
        if let Some(clock) = &self.clock {
            clock.publish(ctx, Clock { clock: ctx.now().to_msg() });
        }
        Ok(())
    }

    fn report(&mut self, ctx: &mut Context) -> HandlerResult {
        let shared = Arc::clone(&ctx.shared);
        self.reports = self.reports.saturating_add(1);
        let mut status = Vec::new();
        for slot in shared.slots.read().iter() {
            let node = slot.name.trim_start_matches('/');
            let statuses = slot.statuses.lock();
            status.push(entry(node, "node", Level::Ok, slot.supervision.lock().state.as_str().to_owned()));
            status.extend(statuses.iter().map(|(what, (level, message))| entry(node, what, *level, message.clone())));
            let dropped = slot.stats.dropped.load(Ordering::Relaxed);
            let before = self.dropped.insert(Arc::clone(&slot.name), dropped).unwrap_or(0);
            if dropped > before {
                let message = format!("full: {} dropped since the last report, {dropped} in all", dropped - before);
                status.push(entry(node, "queue", Level::Warn, message));
            }
            if self.reports >= UNREAD_AFTER {
                status.extend(slot.params().unread().into_iter().map(|(name, value)| {
                    let message = format!("parameter `{name}` was set to {value} and never read");
                    entry(node, &format!("parameter {name}"), Level::Warn, message)
                }));
            }
        }
        self.dropped.retain(|name, _| shared.slots.read().iter().any(|slot| slot.name == *name));
        status.extend(contradictions(&shared));
        self.shared_memory(&shared, &mut status);
        self.diagnostics.publish(ctx, DiagnosticArray { header: header(ctx), status });
        self.statistics.publish(ctx, statistics(&shared));
        Ok(())
    }
}

impl Monitor {
    /// Says how large publishers' shared memory is, and when it was too small.
    fn shared_memory(&mut self, shared: &Shared, status: &mut Vec<DiagnosticStatus>) {
        for topic in shared.topics.read().values() {
            for publisher in &topic.ends.read().publishers {
                let Some(remote) = &publisher.remote else { continue };
                let node = publisher.slot.name.trim_start_matches('/');
                let mut tell = |what: &str, count: u64, of: String| {
                    let before =
                        self.remote.insert((Arc::clone(&publisher.slot.name), topic.name.to_string(), what.to_owned()), count);
                    let level = if count > before.unwrap_or(0) { Level::Warn } else { Level::Ok };
                    status.push(entry(node, &format!("{what} {}", topic.name), level, of));
                };
                if let Some(memory) = remote.memory() {
                    let (size, fallbacks) = (memory.bytes >> 10, memory.fallbacks);
                    tell(
                        "shared memory",
                        fallbacks,
                        format!("pool of {size} KiB, {fallbacks} samples found no room and took another way"),
                    );
                }
                let dropped = remote.dropped();
                if dropped > 0 {
                    tell(
                        "listeners",
                        dropped,
                        format!("{dropped} samples not taken by a process of this host: it is stopped or overloaded"),
                    );
                }
            }
        }
    }
}

fn header(ctx: &Context) -> Header {
    Header { stamp: ctx.now().to_msg(), frame_id: String::new() }
}

fn entry(node: &str, what: &str, level: Level, message: String) -> DiagnosticStatus {
    DiagnosticStatus {
        level: level.diagnostic(),
        name: format!("{node}: {what}"),
        message,
        hardware_id: String::new(),
        values: Vec::new(),
    }
}

/// What does not fit together: incompatible quality of service, subscriptions that nobody feeds, names that two nodes have.
fn contradictions(shared: &Shared) -> Vec<DiagnosticStatus> {
    let mut found = Vec::new();
    let topics: Vec<_> = shared.topics.read().values().cloned().collect();
    for topic in topics {
        // Not under the topic's lock: who joins a topic takes the two the other way round.
        let elsewhere = shared.remote.lock().of(EndpointKind::Publisher, &topic.name).count();
        let ends = topic.ends.read();
        let name = format!("topic {}", topic.name);
        for end in ends.publishers.iter().map(|publisher| &publisher.end).chain(ends.subscribers.iter().map(|s| &s.end)) {
            found.extend(end.sentences().into_iter().map(|(level, message)| entry("graph", &name, level, message)));
        }
        if ends.publishers.is_empty() && !ends.subscribers.is_empty() && elsewhere == 0 {
            let who: Vec<&str> = ends.subscribers.iter().map(|subscriber| &*subscriber.slot.name).collect();
            let message = format!("{} listens, nobody publishes", who.join(", "));
            found.push(entry("graph", &name, Level::Ok, message));
        }
    }
    let complaints = shared.transport.as_ref().map(|wire| wire.complaints()).unwrap_or_default();
    found.extend(complaints.into_iter().map(|why| entry("graph", "wire", Level::Warn, why)));
    let ears = shared.ears.lock();
    found.extend(ears.deaf().cloned().chain(ears.refused()).map(|why| entry("graph", "taps", Level::Warn, why)));
    drop(ears);
    let elsewhere: Vec<_> = shared.remote.lock().nodes().map(|(name, count)| (Arc::clone(name), count)).collect();
    let slots = shared.slots.read();
    for (name, elsewhere) in &elsewhere {
        let here = slots.iter().filter(|slot| slot.name == *name).count();
        if here + elsewhere > 1 {
            let message = format!("{} nodes of this name: ROS 2 tools cannot tell them apart", here + elsewhere);
            found.push(entry("graph", &format!("node {name}"), Level::Warn, message));
        }
    }
    found
}

/// Everything that is counted.
pub(crate) fn statistics(shared: &Shared) -> GraphStatistics {
    let now = shared.now();
    let wall = shared.started.elapsed().as_secs_f64().max(1e-9);
    let nodes = shared
        .slots
        .read()
        .iter()
        .map(|slot| {
            let time = slot.stats.time.lock();
            let supervision = slot.supervision.lock();
            NodeStatistics {
                name: slot.name.to_string(),
                state: supervision.state.as_str().to_owned(),
                restarts: slot.stats.restarts.load(Ordering::Relaxed) as u32,
                handled: slot.stats.handled.load(Ordering::Relaxed),
                dropped: slot.stats.dropped.load(Ordering::Relaxed),
                p50_ms: time.quantile(0.5).as_secs_f32() * 1e3,
                p99_ms: time.quantile(0.99).as_secs_f32() * 1e3,
                busy: (slot.stats.busy_ns.load(Ordering::Relaxed) as f64 * 1e-9 / wall) as f32,
                last_error: supervision.last_error.clone(),
            }
        })
        .collect();
    let elapsed = if shared.lock_step { now.as_secs_f64() } else { wall };
    GraphStatistics {
        header: Header { stamp: now.to_msg(), frame_id: String::new() },
        mode: shared.mode.clone(),
        real_time_factor: (elapsed / wall) as f32,
        wall_seconds: wall,
        pid: std::process::id(),
        resident_bytes: crate::process::resident_bytes(),
        nodes,
        edges: edges(shared, elapsed.max(1e-9)),
    }
}

fn edges(shared: &Shared, elapsed: f64) -> Vec<EdgeStatistics> {
    let mut edges = Vec::new();
    for topic in shared.topics.read().values() {
        let ends = topic.ends.read();
        for subscriber in &ends.subscribers {
            for (publisher, stats) in subscriber.edges() {
                let latency = stats.latency.lock();
                let messages = stats.messages.load(Ordering::Relaxed);
                let inside = !publisher.is_empty();
                edges.push(EdgeStatistics {
                    topic: topic.name.to_string(),
                    type_: topic.message_type.name.to_owned(),
                    publisher: publisher.to_string(),
                    subscriber: subscriber.slot.name.to_string(),
                    transport: if inside { "in-process" } else { "network" }.to_owned(),
                    copies: u32::from(!inside),
                    messages,
                    dropped: stats.dropped.load(Ordering::Relaxed),
                    rate: (messages as f64 / elapsed) as f32,
                    p50_us: latency.quantile(0.5).as_secs_f32() * 1e6,
                    p99_us: latency.quantile(0.99).as_secs_f32() * 1e6,
                    why: if inside {
                        "both nodes are in this process: they share the message"
                    } else {
                        "the publisher is in another process"
                    }
                    .to_owned(),
                });
            }
        }
        for publisher in &ends.publishers {
            let Some(remote) = &publisher.remote else { continue };
            if !remote.matched() {
                continue;
            }
            let (transport, copies) = remote.carrier();
            let messages = publisher.sequence.load(Ordering::Relaxed);
            edges.push(EdgeStatistics {
                topic: topic.name.to_string(),
                type_: topic.message_type.name.to_owned(),
                publisher: publisher.slot.name.to_string(),
                transport: transport.to_owned(),
                copies,
                messages,
                dropped: remote.dropped(),
                rate: (messages as f64 / elapsed) as f32,
                why: remote.why(),
                ..Default::default()
            });
        }
    }
    edges
}
