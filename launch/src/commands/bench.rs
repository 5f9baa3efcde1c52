//! `omnimind bench`: what this machine does. Every figure is measured here and now; nothing is quoted.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use graph::{Context, Graph, GraphConfig, HandlerResult, Node, NodeFactory, NodeSpec, Param, Publisher, Qos, Setup, SetupError};
use msgs::sensor_msgs::msg::Image;

/// Prints a table, or JSON.
pub fn run(seconds: f64, json: bool) -> Result<ExitCode> {
    let seconds = seconds.clamp(0.2, 60.0);
    let mut rows = Vec::new();
    for bytes in [64_i64, 65_536, 1_048_576, 6_220_800] {
        rows.push(edge(bytes, seconds)?);
    }
    let world = sim::sdf::load_world(&crate::share::dir().unwrap_or_default().join("sim/worlds/home.sdf"))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let simulated_s = (seconds * 5.0) as usize;
    let simulator = sim::bench::standard(&world, simulated_s.max(1))?;
    if json {
        let figures = simulator.iter().map(|f| {
            serde_json::json!({"name": f.name, "simulated_s": f.simulated_s, "mean": f.mean, "median": f.median, "least": f.least})
        });
        let object = serde_json::json!({
            "in_process_edge": rows.iter().map(Edge::json).collect::<Vec<_>>(),
            "simulator_real_time_factor": figures.collect::<Vec<_>>(),
        });
        println!("{object}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("simulator, sim/worlds/home.sdf, one thread");
    for figures in &simulator {
        println!("{figures}");
    }
    println!();
    println!("in-process edge, publish to start of handler, free-running graph of 2 nodes at 200 Hz, {seconds} s each");
    println!("{:>10} {:>9} {:>9} {:>9} {:>9} {:>8}", "bytes", "messages", "p50 us", "p99 us", "copies", "dropped");
    for row in &rows {
        println!("{:>10} {:>9} {:>9.1} {:>9.1} {:>9} {:>8}", row.bytes, row.messages, row.p50_us, row.p99_us, row.copies, row.dropped);
    }
    Ok(ExitCode::SUCCESS)
}

struct Edge {
    bytes: i64,
    messages: u64,
    p50_us: f32,
    p99_us: f32,
    copies: u32,
    dropped: u64,
}

impl Edge {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({"bytes": self.bytes, "messages": self.messages, "p50_us": self.p50_us, "p99_us": self.p99_us,
            "copies": self.copies, "dropped": self.dropped})
    }
}

fn edge(bytes: i64, seconds: f64) -> Result<Edge> {
    let mut graph = Graph::new(GraphConfig { mode: graph::Mode::FreeRunning, log: graph::silent_sink(), ..GraphConfig::default() })?;
    let parameters = [("bytes".to_owned(), bytes.into()), ("seconds".to_owned(), seconds.into())].into();
    graph.add(NodeFactory::of::<Source>(), NodeSpec { parameters, ..NodeSpec::default() })?;
    graph.add(NodeFactory::of::<Sink>(), NodeSpec::default())?;
    let report = graph.run();
    let edge = report.statistics.edges.iter().find(|e| e.topic.ends_with("bench/payload"));
    let edge = edge.ok_or_else(|| anyhow::anyhow!("the graph counted no edge"))?;
    Ok(Edge { bytes, messages: edge.messages, p50_us: edge.p50_us, p99_us: edge.p99_us, copies: edge.copies, dropped: edge.dropped })
}

struct Source {
    bytes: Param<i64>,
    left: u64,
    out: Publisher<Image>,
}

impl Node for Source {
    const NAME: &'static str = "bench_source";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let bytes = s.param("bytes", 64_i64).range(1.0, 1e9).unit("B").describe("payload").declare()?;
        let seconds = s.param("seconds", 2.0).range(0.1, 100.0).unit("s").describe("how long").declare()?;
        let out = s.publisher("bench/payload", Qos::reliable(10))?;
        s.timer(Duration::from_millis(5), Self::tick)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let left = (seconds.get() * 200.0) as u64;
        Ok(Self { bytes, left, out })
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
        let data = vec![self.left.to_le_bytes()[0]; usize::try_from(self.bytes.get())?];
        self.out.publish(ctx, Image { data, ..Image::default() });
        Ok(())
    }
}

struct Sink;

impl Node for Sink {
    const NAME: &'static str = "bench_sink";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("bench/payload", Qos::reliable(10), |_: &mut Self, _: &mut Context, image: Arc<Image>| {
            std::hint::black_box(image.data.first());
            Ok(())
        })?;
        Ok(Self)
    }
}
