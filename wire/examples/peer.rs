//! Nodes for programs that others wrote to talk to (tests/interop): a managed one, an action server, an action client, and one that tells
//! simulated time. `cargo run --release -p omnimind-wire --example peer` runs them on the network that the environment names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use graph::{
    ActionClient, CancelAnswer, Context, GoalHandle, GoalId, Graph, GraphConfig, HandlerResult, Managed, Mode, Node, NodeError,
    NodeFactory, NodeSpec, Outcome, Publisher, Qos, Setup, SetupError, TransitionError, TransitionResult,
};
use msgs::builtin_interfaces::msg::Time;
use msgs::example_interfaces::action::{Fibonacci, FibonacciFeedback, FibonacciGoal, FibonacciResult};
use msgs::std_msgs::msg::{Bool, Empty, Float64, Int32, String as Text};
use wire::{Wire, WireConfig};

const TICK: Duration = Duration::from_millis(20);

/// A managed node. It is not activated before `valve` is true.
struct Pump {
    pressure: Publisher<Float64>,
    open: bool,
}

impl Node for Pump {
    const NAME: &'static str = "pump";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.managed()?;
        s.subscribe("valve", Qos::state(), |node: &mut Self, _, valve: Arc<Bool>| {
            node.open = valve.data;
            Ok(())
        })?;
        s.timer(TICK, |node: &mut Self, ctx| {
            if ctx.is_active() {
                node.pressure.publish(ctx, Float64 { data: 1.0 });
            }
            Ok(())
        })?;
        Ok(Self { pressure: s.publisher("pressure", Qos::sensor_data())?, open: false })
    }
}

impl Managed for Pump {
    fn on_activate(&mut self, _: &mut Context) -> TransitionResult {
        if self.open { Ok(()) } else { Err(TransitionError::Refused("the valve is closed".into())) }
    }
}

/// Serves `fibonacci`, a number for each tick. A goal waits for the one before it; one below 0 is rejected, one of 7 is not called off.
#[derive(Default)]
struct Server {
    goals: Vec<(GoalHandle<Fibonacci>, Vec<i32>)>,
}

impl Node for Server {
    const NAME: &'static str = "fibonacci_server";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.action_server_deciding::<Fibonacci>("fibonacci", Self::on_goal, Self::on_cancel)?;
        s.timer(TICK, Self::tick)?;
        Ok(Self::default())
    }
}

impl Server {
    fn on_goal(&mut self, ctx: &mut Context, handle: GoalHandle<Fibonacci>) -> HandlerResult {
        if handle.goal().order < 0 {
            handle.reject(ctx);
        } else {
            handle.defer(ctx);
            self.goals.push((handle, Vec::new()));
        }
        Ok(())
    }

    fn on_cancel(&mut self, ctx: &mut Context, id: GoalId) -> Result<CancelAnswer, NodeError> {
        let position = self.goals.iter().position(|(handle, _)| handle.id() == id);
        let position = position.filter(|position| self.goals[*position].0.goal().order != 7);
        let Some(position) = position else { return Ok(CancelAnswer::Reject) };
        let (handle, sequence) = self.goals.remove(position);
        handle.canceled(ctx, FibonacciResult { sequence });
        Ok(CancelAnswer::Accept)
    }

    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let Some((handle, sequence)) = self.goals.first_mut() else { return Ok(()) };
        if sequence.is_empty() {
            handle.execute(ctx);
        }
        let next = match &sequence[..] {
            [.., a, b] => a.wrapping_add(*b),
            short => short.len() as i32,
        };
        sequence.push(next);
        handle.feedback(ctx, FibonacciFeedback { sequence: sequence.clone() });
        if sequence.len() > handle.goal().order as usize {
            let (handle, sequence) = self.goals.remove(0);
            handle.succeed(ctx, FibonacciResult { sequence });
        }
        Ok(())
    }
}

/// Sends a goal to `elsewhere` for each number on `ask`, calls it off on `call_off`, and tells on `told` what comes of it.
struct Asker {
    elsewhere: ActionClient<Fibonacci>,
    told: Publisher<Text>,
    last: Option<GoalId>,
}

impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let elsewhere = s.action_client::<Fibonacci>(
            "elsewhere",
            |node: &mut Self, ctx, _, feedback| {
                node.told.publish(ctx, Text { data: format!("feedback {:?}", feedback.sequence) });
                Ok(())
            },
            |node: &mut Self, ctx, _, outcome| {
                let data = match outcome {
                    Outcome::Succeeded(result) => format!("succeeded {:?}", result.sequence),
                    Outcome::Aborted(result) => format!("aborted {:?}", result.sequence),
                    Outcome::Canceled(result) => format!("canceled {:?}", result.sequence),
                    Outcome::Rejected => "rejected".to_owned(),
                    Outcome::Unavailable(why) => format!("unavailable: {why}"),
                };
                node.told.publish(ctx, Text { data });
                Ok(())
            },
        )?;
        s.subscribe("ask", Qos::reliable(10), |node: &mut Self, ctx, order: Arc<Int32>| {
            node.last = Some(node.elsewhere.send(ctx, FibonacciGoal { order: order.data }));
            Ok(())
        })?;
        s.subscribe("call_off", Qos::reliable(10), |node: &mut Self, ctx, _: Arc<Empty>| {
            if let Some(id) = node.last {
                node.elsewhere.cancel(ctx, id);
            }
            Ok(())
        })?;
        Ok(Self { elsewhere, told: s.publisher("told", Qos::reliable(100))?, last: None })
    }
}

/// Follows /clock and tells what it reads on `watch` at every tick of it.
struct Watch;

impl Node for Watch {
    const NAME: &'static str = "watch";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let watch: Publisher<Time> = s.publisher("watch", Qos::reliable(100))?;
        s.timer(TICK, move |_: &mut Self, ctx| {
            watch.publish(ctx, ctx.now().to_msg());
            Ok(())
        })?;
        Ok(Self)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wire = Wire::open(WireConfig::from_env()?)?;
    let config = GraphConfig {
        mode: Mode::FreeRunning,
        monitor: "graph_peer".into(),
        transport: Some(Arc::new(wire)),
        ..GraphConfig::default()
    };
    let mut graph = Graph::new(config)?;
    graph.add(NodeFactory::of::<Pump>(), NodeSpec::default())?;
    graph.add(NodeFactory::of::<Server>(), NodeSpec::default())?;
    graph.add(NodeFactory::of::<Asker>(), NodeSpec::default())?;
    let parameters = BTreeMap::from([("use_sim_time".to_owned(), true.into())]);
    graph.add(NodeFactory::of::<Watch>(), NodeSpec { parameters, ..NodeSpec::default() })?;
    println!("the graph ended: {}", graph.run().reason);
    Ok(())
}
