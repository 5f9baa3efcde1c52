//! Edges within a process: from publish to the start of the handler, through a real graph of two nodes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use graph::{
    Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Param, Publisher, Qos, Setup, SetupError, Time,
};
use msgs::sensor_msgs::msg::Image;

use super::report::{Goal, Group, Row, quantile};

/// A camera image of 1920 x 1080 in RGB.
pub const IMAGE_BYTES: i64 = 1920 * 1080 * 3;
/// The time between two messages.
const PERIOD: Duration = Duration::from_millis(5);
/// Each measurement is taken so often; the median of them is the figure.
const RUNS: usize = 3;

/// Measures for about `seconds` per mode and size.
pub fn measure(seconds: f64) -> Result<Group> {
    let mut rows = Vec::new();
    for (mode, name) in [(Mode::LockStep { step: PERIOD, rate: 0.0 }, "lock-step"), (Mode::FreeRunning, "free-running")] {
        for (bytes, size) in [(64, "64 B"), (IMAGE_BYTES, "6.2 MB")] {
            #[allow(clippy::cast_possible_truncation)]
            let count = ((seconds / RUNS as f64 / PERIOD.as_secs_f64()) as i64).max(20);
            let edges = (0..RUNS).map(|_| run(mode, bytes, count)).collect::<Result<Vec<_>>>()?;
            let all = |of: fn(&Edge) -> f64| edges.iter().map(of).collect::<Vec<_>>();
            let (copies, dropped) =
                (edges.iter().map(|e| e.copies).max().unwrap_or(0), edges.iter().map(|e| e.dropped).sum::<u64>());
            let note = format!("{RUNS} runs of {count} messages, {copies} copies, {dropped} dropped");
            rows.push(
                Row::new(format!("{name}, {size}, p50"), quantile(&all(|e| e.p50_us), 0.5), "us", note).goal(Goal::Below(5.0)),
            );
            rows.push(Row::new(format!("{name}, {size}, p99"), quantile(&all(|e| e.p99_us), 0.5), "us", ""));
        }
    }
    Ok(Group { title: "edge in a process: publish to start of handler, a graph of two nodes", rows })
}

struct Edge {
    p50_us: f64,
    p99_us: f64,
    copies: u32,
    dropped: u64,
}

fn run(mode: Mode, bytes: i64, count: i64) -> Result<Edge> {
    let mut graph = Graph::new(GraphConfig { mode, log: graph::silent_sink(), ..GraphConfig::default() })?;
    graph.add(NodeFactory::of::<Source>(), source(bytes, count))?;
    graph.add(NodeFactory::of::<Sink>(), NodeSpec::default())?;
    let report = graph.run();
    let edge = report.statistics.edges.iter().find(|e| e.topic == TOPIC).ok_or_else(|| anyhow!("the graph counted no edge"))?;
    Ok(Edge { p50_us: f64::from(edge.p50_us), p99_us: f64::from(edge.p99_us), copies: edge.copies, dropped: edge.dropped })
}

/// What is published.
pub const TOPIC: &str = "/bench/payload";

/// A [`Source`] of images of `bytes` bytes that ends the graph after `count` of them.
pub fn source(bytes: i64, count: i64) -> NodeSpec {
    NodeSpec {
        parameters: [("bytes".to_owned(), bytes.into()), ("count".to_owned(), count.into())].into(),
        ..NodeSpec::default()
    }
}

/// Publishes images, stamped with the wall clock.
pub struct Source {
    bytes: Param<i64>,
    left: i64,
    out: Publisher<Image>,
}

impl Node for Source {
    const NAME: &'static str = "bench_source";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let bytes = s.param("bytes", 64_i64).range(1.0, 1e9).unit("B").describe("payload").declare()?;
        let count = s.param("count", 100_i64).range(1.0, 1e12).describe("messages").declare()?;
        let period_ms =
            s.param("period_ms", 5_i64).range(1.0, 1e4).unit("ms").describe("time between two").read_only().declare()?;
        let out = s.publisher(TOPIC, Qos::reliable(10))?;
        s.timer(Duration::from_millis(period_ms.get().unsigned_abs()), Self::tick)?;
        Ok(Self { bytes, left: count.get(), out })
    }
}

impl Source {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        if self.left == 0 {
            ctx.shutdown("measured");
            return Ok(());
        }
        self.left -= 1;
        // A new message each time, filled before it is published, as a camera would.
        let mut data = self.out.loan(usize::try_from(self.bytes.get())?);
        data.as_mut_slice().fill(self.left.to_le_bytes()[0]);
        let mut image = Image { data: data.freeze(), ..Image::default() };
        image.header.stamp = Time::wall().to_msg();
        self.out.publish(ctx, image);
        Ok(())
    }
}

struct Sink;

impl Node for Sink {
    const NAME: &'static str = "bench_sink";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe(TOPIC, Qos::reliable(10), |_: &mut Self, _: &mut Context, image: Arc<Image>| {
            std::hint::black_box(image.data.first());
            Ok(())
        })?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_modes_deliver_every_message_without_a_copy() {
        for mode in [Mode::LockStep { step: PERIOD, rate: 0.0 }, Mode::FreeRunning] {
            let edge = run(mode, 4096, 30).unwrap();
            assert_eq!((edge.copies, edge.dropped), (0, 0));
            assert!(edge.p50_us > 0.0 && edge.p99_us >= edge.p50_us);
        }
    }
}
