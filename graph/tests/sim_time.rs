//! Nodes of a free-running graph that follow /clock: a test says what time it is, and nothing else moves it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use graph::{
    ClockChange, ClockJump, Context, Graph, GraphConfig, HandlerResult, Injector, JumpThreshold, Mode, Node, NodeFactory,
    NodeSpec, ParamValue, Publisher, Qos, Setup, SetupError, StopFlag, Time, silent_sink,
};
use msgs::diagnostic_msgs::msg::DiagnosticArray;
use msgs::rcl_interfaces::msg::Parameter;
use msgs::rcl_interfaces::srv::{SetParameters, SetParametersRequest};
use msgs::rosgraph_msgs::msg::Clock;
use parking_lot::Mutex;

/// What the follower saw.
#[derive(Debug, PartialEq)]
enum Seen {
    Start(Time),
    Tick(Time),
    Jump(ClockJump),
    Diagnostic(String),
}

/// Nodes are made by type; each test hands them its channels under its own name.
type Hands = (Sender<Seen>, Sender<Injector<Source>>);
static HANDS: Mutex<Vec<(&'static str, Hands)>> = Mutex::new(Vec::new());

fn hands(name: &str) -> Hands {
    let all = HANDS.lock();
    all.iter().find(|(test, _)| name.contains(test)).map(|(_, hands)| hands.clone()).expect("the test's channels")
}

/// Speaks on /clock, and switches parameters.
struct Source {
    clock: Publisher<Clock>,
    set: graph::Client<SetParameters>,
}
impl Node for Source {
    const NAME: &'static str = "source";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let follower = s.node_name().replace("source", "follower");
        let client = s.client::<SetParameters>(&format!("{follower}/set_parameters"), |_: &mut Self, _, _, _| Ok(()))?;
        let (_, sender) = hands(s.node_name());
        let injector = s.injector();
        sender.send(injector).expect("the test listens");
        Ok(Self { clock: s.publisher("/clock", Qos::sensor_data())?, set: client })
    }
}

/// Ticks every 100 ms of its time.
struct Follower {
    seen: Sender<Seen>,
}
impl Node for Follower {
    const NAME: &'static str = "follower";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| node.say(Seen::Tick(ctx.now())))?;
        s.on_clock_jump(JumpThreshold::default(), |node, _, jump| node.say(Seen::Jump(jump)));
        s.subscribe("/diagnostics", Qos::reliable(10), |node: &mut Self, _, m: std::sync::Arc<DiagnosticArray>| {
            for status in m.status.iter().filter(|status| status.name.starts_with("follower") && status.name.ends_with(": clock"))
            {
                node.say(Seen::Diagnostic(status.message.clone()))?;
            }
            Ok(())
        })?;
        Ok(Self { seen: hands(s.node_name()).0 })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.say(Seen::Start(ctx.now()))
    }
}
impl Follower {
    fn say(&self, seen: Seen) -> HandlerResult {
        // The test may be over.
        let _ = self.seen.send(seen);
        Ok(())
    }
}

struct Rig {
    source: Injector<Source>,
    seen: Receiver<Seen>,
    stop: StopFlag,
    runner: Option<std::thread::JoinHandle<()>>,
}

impl Rig {
    fn new(name: &'static str, use_sim_time: bool) -> Self {
        let (seen, look) = channel();
        let (injector, sources) = channel();
        HANDS.lock().push((name, (seen, injector)));
        let config = GraphConfig { mode: Mode::FreeRunning, log: silent_sink(), ..GraphConfig::default() };
        let mut graph = Graph::new(config).unwrap();
        let named = |kind: &str| NodeSpec { name: Some(format!("{kind}_{name}")), ..NodeSpec::default() };
        let mut spec = named("follower");
        spec.parameters.insert("use_sim_time".into(), use_sim_time.into());
        graph.add(NodeFactory::of::<Follower>(), spec).unwrap();
        graph.add(NodeFactory::of::<Source>(), named("source")).unwrap();
        let stop = graph.stop_flag();
        let runner = std::thread::spawn(move || drop(graph.run()));
        let source = sources.recv_timeout(PATIENCE).unwrap();
        Self { source, seen: look, stop, runner: Some(runner) }
    }

    /// Says the time; lets every message through before the next, since /clock keeps only the newest.
    fn tell(&self, seconds: f64) {
        self.source.send(move |node, ctx| {
            node.clock.publish(ctx, Clock { clock: Time::from_secs_f64(seconds).to_msg() });
            Ok(())
        });
    }

    fn switch(&self, on: bool) {
        self.source.send(move |node, ctx| {
            let value = ParamValue::Bool(on).to_msg();
            node.set.call(ctx, SetParametersRequest { parameters: vec![Parameter { name: "use_sim_time".into(), value }] });
            Ok(())
        });
    }

    /// The next thing that passes `wanted`.
    fn next<T>(&self, wanted: impl Fn(&Seen) -> Option<T>) -> T {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let seen = self.seen.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now())).expect("it comes");
            if let Some(found) = wanted(&seen) {
                return found;
            }
        }
    }

    /// Says the same time until the node has followed: it listens a moment after it was started.
    fn tell_until_heard(&self, seconds: f64) -> ClockJump {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            self.tell(seconds);
            if let Ok(Seen::Jump(jump)) = self.seen.recv_timeout(Duration::from_millis(20))
                && jump.to == Time::from_secs_f64(seconds)
            {
                return jump;
            }
        }
        panic!("/clock is not followed");
    }

    /// When the next tick came, ms.
    fn tick(&self) -> i64 {
        self.next(|seen| if let Seen::Tick(at) = seen { Some(at.as_nanos() / 1_000_000) } else { None })
    }

    fn jump(&self) -> ClockJump {
        self.next(|seen| if let Seen::Jump(jump) = seen { Some(*jump) } else { None })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.stop("the test is over");
        if let Some(runner) = self.runner.take() {
            let _ = runner.join();
        }
    }
}

/// A graph that does not do what it should fails the test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Only the wall clock is beyond this: it counts from 1970.
const WALL_MS: i64 = 1_000_000_000_000;

#[test]
fn time_is_zero_until_the_clock_speaks_and_then_only_the_clock_moves_it() {
    let rig = Rig::new("zero", true);
    assert_eq!(rig.next(|seen| if let Seen::Start(at) = seen { Some(*at) } else { None }), Time::ZERO);
    let jump = rig.tell_until_heard(50.0);
    assert_eq!((jump.change, jump.from), (ClockChange::Same, Time::ZERO));
    // A period after the first time, and not at once: setting up took no time.
    rig.tell(50.05);
    rig.tell(50.099);
    rig.tell(50.1);
    assert_eq!(rig.tick(), 50_100);
    rig.tell(50.2);
    assert_eq!(rig.tick(), 50_200);
    // Missed periods are skipped, the phase is kept.
    rig.tell(50.77);
    assert_eq!(rig.tick(), 50_770);
    rig.tell(50.79);
    rig.tell(50.8);
    assert_eq!(rig.tick(), 50_800);
}

#[test]
fn a_clock_that_stands_still_stops_the_timers() {
    let rig = Rig::new("pause", true);
    rig.tell_until_heard(10.0);
    for _ in 0..50 {
        rig.tell(10.05);
    }
    rig.tell(10.1);
    // Fifty messages of the same time fired nothing: the first tick is that of 10.1.
    assert_eq!(rig.tick(), 10_100);
}

#[test]
fn jumps_are_told_to_the_node_and_on_diagnostics_and_timers_start_anew_after_one_back() {
    let rig = Rig::new("jumps", true);
    rig.tell_until_heard(100.0);
    rig.tell(160.0);
    assert_eq!(rig.jump().delta_ns(), 60_000_000_000);
    assert_eq!(rig.tick(), 160_000);
    rig.tell(20.0);
    let back = rig.jump();
    assert_eq!((back.change, back.from.as_secs_f64(), back.to.as_secs_f64()), (ClockChange::Same, 160.0, 20.0));
    rig.tell(20.099);
    rig.tell(20.1);
    assert_eq!(rig.tick(), 20_100);
    let said = rig.next(|seen| match seen {
        Seen::Diagnostic(message) if message.contains("jumped") => Some(message.clone()),
        _ => None,
    });
    assert_eq!(said, "/clock jumped back by 140.000 s, from 160.000 s to 20.000 s");
}

#[test]
fn the_parameter_switches_the_clock_of_a_running_node() {
    let rig = Rig::new("switch", false);
    let started = rig.next(|seen| if let Seen::Start(at) = seen { Some(*at) } else { None });
    assert!(started > Time::from_secs_f64(1e9), "the wall clock counts from 1970");
    assert!(rig.tick() > WALL_MS);
    rig.switch(true);
    let on = rig.jump();
    assert_eq!((on.change, on.to), (ClockChange::ToSimTime, Time::ZERO));
    assert!(on.from > started);
    rig.tell_until_heard(5.0);
    rig.tell(5.1);
    // What was left of the period when the clock was changed is at most the period.
    let tick = rig.tick();
    assert!((5000..=5100).contains(&tick), "{tick}");
    rig.switch(false);
    assert_eq!(rig.jump().change, ClockChange::ToWallTime);
    assert!(rig.tick() > WALL_MS);
}

#[test]
fn a_node_that_waits_for_a_clock_that_nobody_publishes_says_so() {
    let rig = Rig::new("silence", true);
    // The graph reports by the wall clock, once a second.
    let said = rig.next(|seen| if let Seen::Diagnostic(message) = seen { Some(message.clone()) } else { None });
    assert!(said.contains("nobody has published /clock yet"), "{said}");
}

#[test]
fn times_before_zero_and_at_the_end_of_the_range_harm_nothing() {
    let rig = Rig::new("range", true);
    rig.tell_until_heard(-3.5);
    rig.source.send(|node, ctx| {
        let clock = msgs::builtin_interfaces::msg::Time { sec: i32::MAX, nanosec: u32::MAX };
        node.clock.publish(ctx, Clock { clock });
        Ok(())
    });
    assert!(rig.jump().delta_ns() > 0);
    rig.source.send(|node, ctx| {
        node.clock.publish(ctx, Clock { clock: msgs::builtin_interfaces::msg::Time { sec: i32::MIN, nanosec: 0 } });
        Ok(())
    });
    assert!(rig.jump().delta_ns() < 0);
    rig.tell(1.0);
    rig.jump();
    rig.tell(1.1);
    assert!(rig.tick() >= 1000);
}
