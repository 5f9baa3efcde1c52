//! What the graph adds to the models: from the picture as the simulator hands it over, through camera and vision, to the scene that a
//! listener gets, less the time in the networks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use graph::{Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, ParamValue, Qos, Setup, SetupError};
use msgs::omnimind_msgs::msg::SceneAnalysis;
use msgs::sensor_msgs::msg::Image;

use super::process::parking::{self, Samples};
use super::report::{Goal, Group, Row, quantile};

/// Runs simulator, camera and vision in lock-step for `seconds` simulated seconds per 1 s asked for, a scene for every picture.
pub fn measure(seconds: f64) -> Group {
    let title = "perception chain, simulator to camera to vision, detection and scene for every 640x480 picture";
    let rows = match run((seconds * 5.0).clamp(4.0, 120.0)) {
        Ok(rows) => rows,
        Err(error) => vec![Row::missing("all but the networks, per picture, p99", "ms", &error).goal(Goal::Below(2.0))],
    };
    Group { title, rows }
}

fn run(simulated_s: f64) -> Result<Vec<Row>> {
    let share = crate::share::dir().unwrap_or_default();
    let (all, networks) = (Samples::register(), Samples::register());
    let mode = Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 };
    let mut graph = Graph::new(GraphConfig { mode, log: graph::silent_sink(), ..GraphConfig::default() })?;
    let mut add = |factory: NodeFactory, parameters: Vec<(&str, ParamValue)>| {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        graph.add(factory, NodeSpec { parameters, ..NodeSpec::default() })
    };
    let parameters = vec![("all", all.id.into()), ("networks", networks.id.into()), ("duration_s", simulated_s.into())];
    add(NodeFactory::of::<Watcher>(), parameters)?;
    let world = share.join("sim/worlds/home.sdf").display().to_string();
    add(factory("simulator")?, vec![("world", world.into()), ("speech", String::new().into())])?;
    add(factory("camera")?, Vec::new())?;
    add(factory("vision")?, vec![("features_rate_hz", 60.0.into()), ("detect_rate_hz", 60.0.into())])?;
    let statistics = graph.run().statistics;
    let (all, networks) = (all.take(), networks.take());
    if all.len() < 5 {
        bail!("{} pictures came through", all.len());
    }
    let rest: Vec<f64> = all.iter().zip(&networks).map(|(all, networks)| all - networks).collect();
    let edges = ["/device/camera/image", "/camera/image_raw", "/vision/scene"];
    let edges_ms: f64 = statistics
        .edges
        .iter()
        .filter(|e| edges.contains(&e.topic.as_str()))
        .map(|e| (e.topic.clone(), f64::from(e.p99_us) * 1e-3))
        // The slowest listener of each.
        .fold(std::collections::BTreeMap::new(), |mut slowest: std::collections::BTreeMap<String, f64>, (topic, ms)| {
            let entry = slowest.entry(topic).or_default();
            *entry = entry.max(ms);
            slowest
        })
        .values()
        .sum();
    let node = |name: &str| statistics.nodes.iter().find(|n| n.name == name).map_or(f64::NAN, |n| f64::from(n.p99_ms));
    let silent = networks.iter().all(|ms| *ms == 0.0);
    let note = if silent { "without networks: their files are missing".to_owned() } else { format!("{} pictures", rest.len()) };
    Ok(vec![
        Row::new("all but the networks, per picture, p50", quantile(&rest, 0.5), "ms", note),
        Row::new("all but the networks, per picture, p99", quantile(&rest, 0.99), "ms", "conversion, scaling, features, edges")
            .goal(Goal::Below(2.0)),
        Row::new("of that, the three edges, p99 of each, summed", edges_ms, "ms", ""),
        Row::new("of that, camera's handlers, p99", node("/camera"), "ms", ""),
        Row::new("the networks, per picture, p50", quantile(&networks, 0.5), "ms", "provenance.inference_ms"),
    ])
}

fn factory(name: &str) -> Result<NodeFactory> {
    crate::registry::factory(name).ok_or_else(|| anyhow!("there is no node type `{name}`"))
}

/// Hears a picture in the same round as camera does, and the scene that is made of it.
struct Watcher {
    all: i64,
    networks: i64,
    picture: Option<Instant>,
}

impl Node for Watcher {
    const NAME: &'static str = "bench_watcher";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let all = s.param("all", 0_i64).describe("where times go").read_only().declare()?.get();
        let networks = s.param("networks", 0_i64).describe("where inference times go").read_only().declare()?.get();
        let duration = s.param("duration_s", 1.0).range(0.1, 1e4).unit("s").describe("how long").read_only().declare()?.get();
        s.subscribe("device/camera/image", Qos::sensor_data(), |w: &mut Self, _: &mut Context, _: Arc<Image>| {
            w.picture = Some(Instant::now());
            Ok(())
        })?;
        s.subscribe("vision/scene", Qos::reliable(5), Self::on_scene)?;
        s.timer(Duration::from_secs_f64(duration), |_: &mut Self, ctx: &mut Context| {
            ctx.shutdown("measured");
            Ok(())
        })?;
        Ok(Self { all, networks, picture: None })
    }
}

impl Watcher {
    fn on_scene(&mut self, _: &mut Context, scene: Arc<SceneAnalysis>) -> HandlerResult {
        if let Some(begin) = self.picture.take() {
            parking::note(self.all, begin.elapsed().as_secs_f64() * 1e3);
            parking::note(self.networks, f64::from(scene.provenance.inference_ms));
        }
        Ok(())
    }
}
