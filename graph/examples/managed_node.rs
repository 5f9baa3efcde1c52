//! A node that others configure and activate: `cargo run --release -p omnimind-graph --example managed_node`.

use std::time::Duration;

use graph::{
    Context, Graph, GraphConfig, HandlerResult, Managed, Node, NodeFactory, NodeSpec, Publisher, Qos, Setup, SetupError,
    TransitionError, TransitionResult,
};
use msgs::std_msgs::msg::Float64;

struct Pump {
    pressure: Publisher<Float64>,
    bar: f64,
}

impl Node for Pump {
    const NAME: &'static str = "pump";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.managed()?;
        s.timer(Duration::from_millis(100), Self::tick)?;
        Ok(Self { pressure: s.publisher("pressure", Qos::sensor_data())?, bar: 0.0 })
    }
}

impl Managed for Pump {
    fn on_configure(&mut self, ctx: &mut Context) -> TransitionResult {
        self.bar = 1.0;
        ctx.info("filled");
        Ok(())
    }
    fn on_activate(&mut self, ctx: &mut Context) -> TransitionResult {
        if self.bar < 1.0 {
            return Err(TransitionError::Refused("there is no water".into()));
        }
        ctx.info("pumping");
        Ok(())
    }
}

impl Pump {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        if ctx.is_active() {
            self.bar += 1.0;
            self.pressure.publish(ctx, Float64 { data: self.bar });
        }
        if self.bar > 5.0 {
            ctx.shutdown("the pressure is up");
        }
        Ok(())
    }
}

fn main() -> Result<(), SetupError> {
    let mut graph = Graph::new(GraphConfig::default())?;
    // Without `autostart` it waits for `ros2 lifecycle set /pump configure`.
    graph.add(NodeFactory::of::<Pump>(), NodeSpec { autostart: true, ..NodeSpec::default() })?;
    println!("the graph ended: {}", graph.run().reason);
    Ok(())
}
