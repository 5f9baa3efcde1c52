//! The same nodes on one thread, on several and free-running: lock-step gives the same messages in the same order, whatever the threads do.

use std::sync::Arc;
use std::time::Duration;

use graph::{
    Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Publisher, Qos, Setup, SetupError, silent_sink,
};
use msgs::std_msgs::msg::Int64;
use parking_lot::Mutex;

static TAPE: Mutex<Vec<i64>> = Mutex::new(Vec::new());

struct Source {
    out: Publisher<Int64>,
    count: i64,
}
impl Node for Source {
    const NAME: &'static str = "source";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(10), Self::tick)?;
        Ok(Self { out: s.publisher("numbers", Qos::reliable(10))?, count: 0 })
    }
}
impl Source {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        self.count += 1;
        self.out.publish(ctx, Int64 { data: self.count });
        if self.count == 200 {
            ctx.shutdown("counted enough");
        }
        Ok(())
    }
}

/// Mixes what it hears with its own state and sends it on; slow for some numbers, so that threads overtake each other.
struct Mixer {
    out: Publisher<Int64>,
    state: i64,
}
impl Node for Mixer {
    const NAME: &'static str = "mixer";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("numbers", Qos::reliable(10), |node: &mut Self, ctx, m: Arc<Int64>| {
            let work = (0..(m.data % 7) * 2000).fold(m.data, |a, b| a.wrapping_mul(31).wrapping_add(b));
            node.state = node.state.wrapping_mul(17).wrapping_add(m.data + work % 3);
            node.out.publish(ctx, Int64 { data: node.state });
            Ok(())
        })?;
        Ok(Self { out: s.publisher("mixed", Qos::reliable(100))?, state: 0 })
    }
}

struct Sink;
impl Node for Sink {
    const NAME: &'static str = "sink";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("mixed", Qos::reliable(1000), |_: &mut Self, _, m: Arc<Int64>| {
            TAPE.lock().push(m.data);
            Ok(())
        })?;
        Ok(Self)
    }
}

fn run(mode: Mode, threads: usize) -> Vec<i64> {
    TAPE.lock().clear();
    let mut graph = Graph::new(GraphConfig { mode, threads, log: silent_sink(), ..GraphConfig::default() }).unwrap();
    graph.add(NodeFactory::of::<Source>(), NodeSpec::default()).unwrap();
    for name in ["a", "b", "c", "d"] {
        graph.add(NodeFactory::of::<Mixer>(), NodeSpec { name: Some(name.into()), ..NodeSpec::default() }).unwrap();
    }
    graph.add(NodeFactory::of::<Sink>(), NodeSpec::default()).unwrap();
    let report = graph.run();
    assert_eq!(report.reason, "counted enough");
    TAPE.lock().clone()
}

#[test]
fn threads_do_not_change_the_order_and_no_mode_loses_anything() {
    let lock_step = Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 };
    let one = run(lock_step, 1);
    assert_eq!(one.len(), 800);
    for threads in [2, 4] {
        assert_eq!(run(lock_step, threads), one, "{threads} threads");
    }
    // On the wall clock the order between nodes is free, and the stop may cut off what is still on its way.
    let mut free = run(Mode::FreeRunning, 4);
    assert!(free.len() > 700, "{}", free.len());
    free.retain(|number| !one.contains(number));
    assert!(free.is_empty(), "every number is one that lock-step makes too");
}
