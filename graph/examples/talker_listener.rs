//! Two nodes and a topic: `cargo run --release -p omnimind-graph --example talker_listener`.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Publisher, Qos, Setup, SetupError};
use msgs::std_msgs::msg::String as Text;

struct Talker {
    chatter: Publisher<Text>,
    count: u32,
}

impl Node for Talker {
    const NAME: &'static str = "talker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(100), Self::tick)?;
        Ok(Self { chatter: s.publisher("chatter", Qos::reliable(10))?, count: 0 })
    }
}

impl Talker {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        self.count += 1;
        self.chatter.publish(ctx, Text { data: format!("hello {}", self.count) });
        if self.count == 5 {
            ctx.shutdown("said enough");
        }
        Ok(())
    }
}

struct Listener;

impl Node for Listener {
    const NAME: &'static str = "listener";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("chatter", Qos::reliable(10), |_: &mut Self, ctx, text: Arc<Text>| {
            ctx.info(format!("I heard: {}", text.data));
            Ok(())
        })?;
        Ok(Self)
    }
}

fn main() -> Result<(), SetupError> {
    let mode = Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 };
    let mut graph = Graph::new(GraphConfig { mode, ..GraphConfig::default() })?;
    graph.add(NodeFactory::of::<Talker>(), NodeSpec::default())?;
    graph.add(NodeFactory::of::<Listener>(), NodeSpec::default())?;
    println!("the graph ended: {}", graph.run().reason);
    Ok(())
}
