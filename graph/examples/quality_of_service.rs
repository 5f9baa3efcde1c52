//! A sensor that promises a sample every 50 ms, falls silent, and a listener that is told so.
use std::sync::Arc;
use std::time::Duration;

use graph::{Graph, GraphConfig, Node, NodeFactory, NodeSpec, Publisher, Qos, QosEventKind, Setup, SetupError};
use msgs::std_msgs::msg::Float64;

const QOS: Qos = Qos::sensor_data().deadline(Duration::from_millis(50)).lifespan(Duration::from_millis(200));

struct Sensor {
    out: Publisher<Float64>,
    left: u32,
}

impl Node for Sensor {
    const NAME: &'static str = "sensor";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(40), |node: &mut Self, ctx| {
            if node.left > 0 {
                node.left -= 1;
                node.out.publish(ctx, Float64 { data: f64::from(node.left) });
            }
            Ok(())
        })?;
        Ok(Self { out: s.publisher("reading", QOS)?, left: 3 })
    }
}

struct Watcher;

impl Node for Watcher {
    const NAME: &'static str = "watcher";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.on_qos_event(|_: &mut Self, ctx, event| {
            ctx.info(format!("{}: {:?}", event.topic, event.kind));
            if matches!(event.kind, QosEventKind::DeadlineMissed { total, .. } if total >= 2) {
                ctx.shutdown("the sensor is silent");
            }
            Ok(())
        })?;
        s.subscribe("reading", QOS, |_: &mut Self, ctx, reading: Arc<Float64>| {
            ctx.info(format!("{}", reading.data));
            Ok(())
        })?;
        Ok(Self)
    }
}

fn main() -> Result<(), SetupError> {
    let mut graph = Graph::new(GraphConfig::default())?;
    graph.add(NodeFactory::of::<Sensor>(), NodeSpec::default())?;
    graph.add(NodeFactory::of::<Watcher>(), NodeSpec::default())?;
    println!("{}", graph.run().reason);
    Ok(())
}
