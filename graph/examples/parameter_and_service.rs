//! A parameter with unit and range, and a service that reads it: `cargo run --release -p omnimind-graph --example parameter_and_service`.

use std::collections::BTreeMap;
use std::time::Duration;

use graph::{Graph, GraphConfig, Node, NodeError, NodeFactory, NodeSpec, Param, Setup, SetupError};
use msgs::std_srvs::srv::{Trigger, TriggerRequest, TriggerResponse};

struct Heater {
    limit: Param<f64>,
}

impl Node for Heater {
    const NAME: &'static str = "heater";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.service::<Trigger>("heater/limit", |node: &mut Self, _, _| {
            Ok::<_, NodeError>(TriggerResponse { success: true, message: format!("{} degrees Celsius", node.limit.get()) })
        })?;
        Ok(Self { limit: s.param("limit_c", 60.0).unit("degC").range(0, 90).describe("switch-off temperature").declare()? })
    }
}

struct Asker;

impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let limit = s.client::<Trigger>("heater/limit", |_: &mut Self, ctx, _, answer| {
            ctx.info(format!("the heater says: {}", answer?.message));
            ctx.shutdown("asked and answered");
            Ok(())
        })?;
        s.timer(Duration::from_millis(100), move |_, ctx| {
            limit.call(ctx, TriggerRequest::default());
            Ok(())
        })?;
        Ok(Self)
    }
}

fn main() -> Result<(), SetupError> {
    let mut graph = Graph::new(GraphConfig::default())?;
    let parameters = BTreeMap::from([("limit_c".to_owned(), 75.0.into())]);
    graph.add(NodeFactory::of::<Heater>(), NodeSpec { parameters, ..NodeSpec::default() })?;
    graph.add(NodeFactory::of::<Asker>(), NodeSpec::default())?;
    println!("the graph ended: {}", graph.run().reason);
    // A value out of range is refused with range and unit.
    let parameters = BTreeMap::from([("limit_c".to_owned(), 900.0.into())]);
    let error =
        Graph::new(GraphConfig::default())?.add(NodeFactory::of::<Heater>(), NodeSpec { parameters, ..NodeSpec::default() });
    println!("{}", error.err().map(|error| error.to_string()).unwrap_or_default());
    Ok(())
}
