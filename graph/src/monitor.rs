//! The graph's own node: /clock, /diagnostics and graph/statistics. Silence is a bug: what does not fit is said here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use msgs::diagnostic_msgs::msg::DiagnosticArray;
use msgs::omnimind_msgs::msg::{EdgeStatistics, GraphStatistics, NodeStatistics};
use msgs::rosgraph_msgs::msg::Clock;
use msgs::std_msgs::msg::Header;

use crate::context::Context;
use crate::diagnostics::Level;
use crate::error::{HandlerResult, SetupError};
use crate::explain::{Drops, Finding, Inputs, Memory, Topics, WallClock};
use crate::node::{Node, Setup};
use crate::publisher::Publisher;
use crate::qos::Qos;
use crate::shared::Shared;
use crate::snapshot::{FreezeError, pack, unpack};
use crate::time::Time;

/// Publishes what the graph knows about itself.
pub struct Monitor {
    clock: Option<Publisher<Clock>>,
    diagnostics: Publisher<DiagnosticArray>,
    statistics: Publisher<GraphStatistics>,
    /// What the statuses are said to be about: the computer, or the simulation.
    hardware: String,
    looks: u32,
    /// Reports so far, one a second.
    reports: u32,
    topics: Topics,
    inputs: Inputs,
    drops: Drops,
    wall: WallClock,
    /// What lasts, by the last look; and what had happened by the last report.
    lasting: Memory,
    happened: Memory,
}

/// How often is looked at what lasts: what is new is said at once.
const LOOK: Duration = Duration::from_millis(250);

/// Everything is said once a second, with what has happened since.
const LOOKS_PER_REPORT: u32 = 4;

/// After this many reports a parameter that was given a value and was not looked at is worth a sentence.
const UNREAD_AFTER: u32 = 5;

impl Node for Monitor {
    const NAME: &'static str = "graph";

    fn setup(setup: &mut Setup<Self>) -> Result<Self, SetupError> {
        let clock = if setup.shared.lock_step { Some(setup.publisher("/clock", Qos::sensor_data())?) } else { None };
        // Kept, so that whoever looks in between need not wait for the next: of so many messages in a row one says everything.
        let diagnostics = setup.publisher("/diagnostics", Qos::latched(LOOKS_PER_REPORT as usize))?;
        let statistics = setup.publisher("graph/statistics", Qos::latched(1))?;
        crate::snapshot::declare(setup)?;
        if clock.is_some() {
            setup.timer(Duration::from_millis(10), Self::tell_time)?;
        }
        setup.timer(LOOK, Self::look)?;
        // Two runs of a simulation say the same, on whatever computer.
        let hardware = if setup.shared.lock_step { "simulation".to_owned() } else { crate::process::host_name() };
        Ok(Self {
            clock,
            diagnostics,
            statistics,
            hardware,
            looks: 0,
            reports: 0,
            topics: Topics::default(),
            inputs: Inputs::default(),
            drops: Drops::default(),
            wall: WallClock::default(),
            lasting: Memory::default(),
            happened: Memory::default(),
        })
    }

    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        pack(&(self.looks, self.reports, &self.topics, &self.inputs, &self.drops, &self.lasting, &self.happened))
    }

    fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
        (self.looks, self.reports, self.topics, self.inputs, self.drops, self.lasting, self.happened) = unpack(state)?;
        Ok(())
    }
}

impl Monitor {
    fn tell_time(&mut self, ctx: &mut Context) -> HandlerResult {
        if let Some(clock) = &self.clock {
            clock.publish(ctx, Clock { clock: ctx.now().to_msg() });
        }
        Ok(())
    }

    fn look(&mut self, ctx: &mut Context) -> HandlerResult {
        let shared = Arc::clone(&ctx.shared);
        self.looks = self.looks.wrapping_add(1);
        let report = self.looks % LOOKS_PER_REPORT == 0;
        if report {
            self.reports = self.reports.saturating_add(1);
        }
        let mut lasting = self.lasting(&shared, ctx);
        named(&mut lasting, &ctx.slot.identity.name);
        let (news, over) = self.lasting.changes(&lasting);
        if !report {
            self.say(ctx, news.into_iter().chain(over));
            return Ok(());
        }
        let mut happened = self.happened(&shared);
        named(&mut happened, &ctx.slot.identity.name);
        let (_, ended) = self.happened.changes(&happened);
        let slots = shared.slots.read().clone();
        let states = slots.iter().map(|slot| {
            let supervision = slot.supervision.lock();
            Finding::new(&slot.name, "node", Level::Ok, supervision.state.as_str())
                .with("restarts", slot.stats.restarts.load(Ordering::Relaxed))
        });
        let mut all: Vec<Finding> = states.collect();
        all.append(&mut lasting);
        all.extend(happened.into_iter().chain(over).chain(ended));
        self.say(ctx, all);
        self.statistics.publish(ctx, statistics(&shared));
        Ok(())
    }

    fn say(&self, ctx: &mut Context, findings: impl IntoIterator<Item = Finding>) {
        let status: Vec<_> = crate::explain::joined(findings).iter().map(|finding| finding.status(&self.hardware)).collect();
        if !status.is_empty() {
            self.diagnostics.publish(ctx, DiagnosticArray { header: header(ctx), status });
        }
    }

    /// What is so now: looked at four times a second.
    fn lasting(&mut self, shared: &Arc<Shared>, ctx: &Context) -> Vec<Finding> {
        let mut found = Vec::new();
        for slot in shared.slots.read().iter() {
            let statuses = slot.statuses.lock();
            found.extend(statuses.iter().map(|(what, (level, message))| Finding::new(&slot.name, what, *level, message.clone())));
            if self.reports >= UNREAD_AFTER {
                found.extend(slot.params().unread().into_iter().map(|(name, value)| {
                    let message = format!("parameter `{name}` was set to {value} and never read");
                    Finding::new(&slot.name, &format!("parameter {name}"), Level::Warn, message)
                }));
            }
        }
        found.extend(self.topics.look(shared, &ctx.slot.identity));
        found.extend(self.inputs.look(shared));
        if !shared.lock_step {
            found.extend(self.wall.look(Time::wall(), Instant::now()));
        }
        let troubles = shared.transport.as_ref().map(|wire| wire.troubles()).unwrap_or_default();
        found.extend(troubles.into_iter().map(|why| Finding::new("graph", "router", Level::Error, why)));
        let complaints = shared.transport.as_ref().map(|wire| wire.complaints()).unwrap_or_default();
        found.extend(complaints.into_iter().map(|why| Finding::new("graph", "wire", Level::Warn, why)));
        {
            let ears = shared.ears.lock();
            found
                .extend(ears.deaf().cloned().chain(ears.complaints()).map(|why| Finding::new("graph", "taps", Level::Warn, why)));
        }
        found.extend(twins(shared));
        found
    }

    /// What has been lost or missed since the last report.
    fn happened(&mut self, shared: &Shared) -> Vec<Finding> {
        let mut found = self.drops.look(shared);
        for topic in shared.topics.read().values() {
            let ends = topic.ends.read();
            let name = format!("topic {}", topic.name);
            for end in ends.publishers.iter().map(|publisher| &publisher.end).chain(ends.subscribers.iter().map(|s| &s.end)) {
                found.extend(end.sentences().into_iter().map(|(level, message)| Finding::new("graph", &name, level, message)));
            }
        }
        found
    }
}

/// What is said of the graph as a whole is said by this process's own node: each process has its own.
fn named(findings: &mut [Finding], own: &str) {
    for finding in findings.iter_mut().filter(|_| own != Monitor::NAME) {
        if let Some(what) = finding.name.strip_prefix("graph: ") {
            finding.name = format!("{own}: {what}");
        }
    }
}

fn header(ctx: &Context) -> Header {
    Header { stamp: ctx.now().to_msg(), frame_id: String::new() }
}

/// Names that two nodes have.
fn twins(shared: &Shared) -> Vec<Finding> {
    let elsewhere: Vec<_> = shared.remote.lock().nodes().map(|(name, count)| (Arc::clone(name), count)).collect();
    let slots = shared.slots.read();
    let mut found = Vec::new();
    for (name, elsewhere) in &elsewhere {
        let here = slots.iter().filter(|slot| slot.name == *name).count();
        if here + elsewhere > 1 {
            let message = format!("{} nodes of this name: ROS 2 tools cannot tell them apart; rename one", here + elsewhere);
            found.push(Finding::new("graph", &format!("node {name}"), Level::Warn, message));
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
        real_time_factor: ((elapsed - shared.snapshots.resumed_at_s()) / wall) as f32,
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
            for crate::topic::Edge { publisher, carrier, stats } in subscriber.edges() {
                let latency = stats.latency.lock();
                let messages = stats.messages.load(Ordering::Relaxed);
                edges.push(EdgeStatistics {
                    topic: topic.name.to_string(),
                    type_: topic.message_type.name.to_owned(),
                    publisher: publisher.to_string(),
                    subscriber: subscriber.slot.name.to_string(),
                    transport: carrier.0.to_owned(),
                    copies: carrier.1,
                    messages,
                    dropped: stats.dropped.load(Ordering::Relaxed),
                    rate: (messages as f64 / elapsed) as f32,
                    p50_us: latency.quantile(0.5).as_secs_f32() * 1e6,
                    p99_us: latency.quantile(0.99).as_secs_f32() * 1e6,
                    why: match carrier.0 {
                        "in-process" => "both nodes are in this process: they share the message",
                        "shared-memory" => "the publisher is in another process of this host",
                        _ => "the publisher is in another process",
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
