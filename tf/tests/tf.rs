//! Listening and telling on a bench.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use glam::DVec3;
use graph::snapshot::{pack, unpack};
use graph::testing::Bench;
use graph::{
    Context, FreezeError, Graph, GraphConfig, HandlerResult, Injector, Level, Managed, Mode, Node, NodeFactory, NodeSpec,
    Publisher, Qos, Setup, SetupError, Time, silent_sink,
};
use msgs::geometry_msgs::msg::TransformStamped;
use msgs::rosgraph_msgs::msg::Clock;
use msgs::std_msgs::msg::String as Text;
use msgs::tf2_msgs::msg::TFMessage;
use msgs::tf2_msgs::srv::{FrameGraph, FrameGraphRequest};
use parking_lot::Mutex;
use spatial::convert::transform_stamped;
use spatial::{Pose3, TfBuffer};
use tf::{Broadcaster, Listener, StaticBroadcaster};

const S: i64 = 1_000_000_000;

fn x(parent: &str, child: &str, stamp_ns: i64, x: f64) -> TransformStamped {
    transform_stamped(parent, child, stamp_ns, Pose3::from_translation(DVec3::new(x, 0.0, 0.0)))
}

fn message(transforms: Vec<TransformStamped>) -> TFMessage {
    TFMessage { transforms }
}

/// Waits for three transforms from its start on, and watches one.
struct Waiter {
    tf: Listener,
    said: Publisher<Text>,
}
impl Node for Waiter {
    const NAME: &'static str = "waiter";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let tf = Listener::declare_waiting(s, TfBuffer::strict(), |node: &mut Self, ctx, id, result| {
            let words = match result {
                Ok(pose) => format!("{id:?} {}", pose.translation.x),
                Err(error) => format!("{id:?} {:?}", error.kind()),
            };
            node.said.publish(ctx, Text { data: words });
            Ok(())
        })?;
        tf.serve_frames(s)?;
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| {
            // What is missing is on /diagnostics; the node has nothing to do with it.
            let _ = node.tf.latest_or_say(ctx, "map", "base", Duration::from_secs(1));
            Ok(())
        })?;
        Ok(Self { tf, said: s.publisher("said", Qos::reliable(10))? })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.tf.wait(ctx, "odom", "base", Time::from_nanos(S / 2), Duration::from_secs(5));
        self.tf.wait(ctx, "odom", "gripper", Time::from_nanos(S), Duration::from_millis(300));
        self.tf.wait(ctx, "odom", "base", Time::from_nanos(-S), Duration::from_secs(60));
        let off = self.tf.wait(ctx, "odom", "base", Time::from_nanos(S / 4), Duration::from_secs(5));
        assert!(self.tf.forget(off) && !self.tf.forget(off));
        Ok(())
    }
}

fn said(bench: &mut Bench) -> Vec<String> {
    bench.take::<Text>("said").iter().map(|text| text.data.clone()).collect()
}

#[test]
fn waits_end_when_the_transform_comes_when_time_is_up_and_when_it_never_will() {
    let mut bench = Bench::new();
    bench.add::<Waiter>(&[]).unwrap();
    bench.publish("/tf", message(vec![x("odom", "base", 0, 0.0)]));
    bench.run_for(Duration::from_millis(100));
    assert!(said(&mut bench).is_empty());
    bench.publish("/tf", message(vec![x("odom", "base", S, 2.0)]));
    bench.run_for(Duration::from_millis(10));
    assert_eq!(said(&mut bench), ["WaitId(1) 1"]);
    bench.run_for(Duration::from_millis(300));
    assert_eq!(said(&mut bench), ["WaitId(2) Timeout"]);
    bench.publish("/tf", message(vec![x("odom", "base", 60 * S, 2.0)]));
    bench.run_for(Duration::from_millis(10));
    assert_eq!(said(&mut bench), ["WaitId(3) Extrapolation"]);
}

#[test]
fn a_missing_or_old_transform_is_a_sentence_with_frames_and_age() {
    let mut bench = Bench::new();
    bench.add::<Waiter>(&[]).unwrap();
    bench.run_for(Duration::from_millis(100));
    let (level, why) = bench.status("waiter", "transform base map").unwrap();
    assert!(level == Level::Warn && why.contains("base to map is missing: unknown frame 'map'"), "{why}");
    bench.publish("/tf", message(vec![x("map", "base", S / 10, 0.0)]));
    bench.run_for(Duration::from_millis(100));
    assert_eq!(bench.status("waiter", "transform base map").unwrap().0, Level::Ok);
    bench.run_for(Duration::from_secs(2));
    let (level, why) = bench.status("waiter", "transform base map").unwrap();
    assert_eq!((level, why.as_str()), (Level::Warn, "transform from base to map is 2.10 s old, 1.00 s are allowed"));
}

#[test]
fn bad_transforms_are_named_and_good_ones_of_the_same_message_are_taken() {
    let mut bench = Bench::new();
    bench.add::<Waiter>(&[]).unwrap();
    let mut bad = x("odom", "arm", 0, 0.0);
    bad.transform.rotation.w = f64::NAN;
    bench.publish("/tf", message(vec![bad, x("odom", "base", 0, 0.0)]));
    bench.publish("/tf_static", message(vec![x("base", "laser", 0, 0.5)]));
    bench.run_for(Duration::from_millis(20));
    assert!(bench.status("waiter", "handler").unwrap().1.contains("'arm' has a rotation that is no unit quaternion"));
    let yaml = bench.call::<FrameGraph>("/tf2_frames", FrameGraphRequest::default()).unwrap().frame_yaml;
    assert!(yaml.contains("base: \n  parent: 'odom'") && yaml.contains("laser: ") && !yaml.contains("arm: "), "{yaml}");
}

/// Tells two fixed frames one after the other, one of them twice, and one that moves.
struct Teller {
    fixed: StaticBroadcaster,
    moving: Broadcaster,
    ticks: i64,
}
impl Node for Teller {
    const NAME: &'static str = "teller";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(10), |node: &mut Self, ctx| {
            node.ticks += 1;
            let child = ["laser", "camera", "laser"].get(node.ticks as usize - 1);
            if let Some(child) = child {
                node.fixed.send(ctx, vec![x("base", child, 0, node.ticks as f64)]);
            }
            node.moving.send(ctx, vec![x("odom", "base", ctx.now().as_nanos(), 0.0)]);
            Ok(())
        })?;
        Ok(Self { fixed: StaticBroadcaster::declare(s)?, moving: Broadcaster::declare(s)?, ticks: 0 })
    }
}

#[test]
fn fixed_frames_are_repeated_so_that_the_last_message_has_them_all() {
    let mut bench = Bench::new();
    bench.add::<Teller>(&[]).unwrap();
    bench.run_for(Duration::from_millis(50));
    let told = bench.take::<TFMessage>("/tf_static");
    let last: Vec<(&str, f64)> =
        told[2].transforms.iter().map(|t| (t.child_frame_id.as_str(), t.transform.translation.x)).collect();
    assert_eq!((told.len(), last), (3, vec![("camera", 2.0), ("laser", 3.0)]));
    assert_eq!(bench.take::<TFMessage>("/tf").len(), 5);
    // A listener that joins now hears all of them from the one that is kept.
    bench.add::<Waiter>(&[]).unwrap();
    bench.run_for(Duration::from_millis(20));
    let yaml = bench.call::<FrameGraph>("/tf2_frames", FrameGraphRequest::default()).unwrap().frame_yaml;
    assert!(yaml.contains("camera: ") && yaml.contains("laser: "), "{yaml}");
}

/// A managed node that tells frames and a number from its start on.
struct Idle {
    fixed: StaticBroadcaster,
    moving: Broadcaster,
    number: Publisher<Text>,
}
impl Managed for Idle {}
impl Node for Idle {
    const NAME: &'static str = "idle";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.managed()?;
        let (fixed, moving) = (StaticBroadcaster::declare(s)?, Broadcaster::declare(s)?);
        Ok(Self { fixed, moving, number: s.publisher("number", Qos::reliable(1))? })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.fixed.send(ctx, vec![x("base", "laser", 0, 1.0)]);
        self.moving.send(ctx, vec![x("odom", "base", 0, 1.0)]);
        self.number.publish(ctx, Text { data: "one".into() });
        Ok(())
    }
}

#[test]
fn a_managed_nodes_broadcasters_speak_while_it_is_not_active() {
    let mut bench = Bench::new();
    bench.add::<Idle>(&[]).unwrap();
    bench.run_for(Duration::from_millis(20));
    assert_eq!((bench.take::<TFMessage>("/tf").len(), bench.take::<TFMessage>("/tf_static").len()), (1, 1));
    assert!(bench.take::<Text>("number").is_empty(), "what its own publishers say goes nowhere");
}

/// Hands out its buffer, and says what time it is for it.
struct Follower;
static NOW_NS: AtomicI64 = AtomicI64::new(0);
static BUFFER: Mutex<Option<Sender<Listener>>> = Mutex::new(None);
impl Node for Follower {
    const NAME: &'static str = "follower";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let listener = Listener::declare(s, TfBuffer::strict())?;
        BUFFER.lock().take().unwrap().send(listener).unwrap();
        s.subscribe("/tf", Qos::reliable(1), |_: &mut Self, ctx, _: Arc<TFMessage>| {
            NOW_NS.store(ctx.now().as_nanos(), Ordering::SeqCst);
            Ok(())
        })?;
        Ok(Self)
    }
}

/// Says the time and where a frame is.
struct World {
    clock: Publisher<Clock>,
    tf: Publisher<TFMessage>,
    fixed: Publisher<TFMessage>,
}
static WORLD: Mutex<Option<Sender<Injector<World>>>> = Mutex::new(None);
impl Node for World {
    const NAME: &'static str = "world";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let injector = s.injector();
        WORLD.lock().take().unwrap().send(injector).unwrap();
        Ok(Self {
            clock: s.publisher("/clock", Qos::clock())?,
            tf: s.publisher("/tf", Qos::reliable(100))?,
            fixed: s.publisher("/tf_static", Qos::latched(1))?,
        })
    }
}

#[test]
fn when_time_jumps_back_the_transforms_of_moving_frames_are_forgotten() {
    let (buffers, buffer) = channel();
    let (worlds, world) = channel();
    (*BUFFER.lock(), *WORLD.lock()) = (Some(buffers), Some(worlds));
    let mut graph = Graph::new(GraphConfig { mode: Mode::FreeRunning, log: silent_sink(), ..GraphConfig::default() }).unwrap();
    let mut spec = NodeSpec::default();
    spec.parameters.insert("use_sim_time".into(), true.into());
    graph.add(NodeFactory::of::<Follower>(), spec).unwrap();
    graph.add(NodeFactory::of::<World>(), NodeSpec::default()).unwrap();
    let (stop, buffer, world) = (graph.stop_flag(), buffer.recv().unwrap(), world.recv().unwrap());
    let runner = std::thread::spawn(move || drop(graph.run()));
    let deadline = Instant::now() + Duration::from_secs(30);
    // Says it again until it has come true: the follower hears /clock a moment after its start.
    let until = |seconds: i64, moving: bool, done: &dyn Fn() -> bool| {
        while !done() {
            assert!(Instant::now() < deadline, "at {seconds} s it does not come about");
            world.send(move |node, ctx| {
                node.clock.publish(ctx, Clock { clock: Time::from_nanos(seconds * S).to_msg() });
                if moving {
                    node.tf.publish(ctx, message(vec![x("odom", "base", seconds * S, 2.0)]));
                    node.fixed.publish(ctx, message(vec![x("base", "laser", 0, 1.0)]));
                }
                Ok(())
            });
            std::thread::yield_now();
        }
    };
    until(10, true, &|| buffer.latest("odom", "laser").is_ok() && NOW_NS.load(Ordering::SeqCst) == 10 * S);
    until(1, false, &|| buffer.latest("odom", "base").is_err());
    assert!(buffer.latest("base", "laser").is_ok(), "frames that never move stay");
    stop.stop("seen");
    runner.join().unwrap();
}

/// Tells another frame each second.
struct Builder(StaticBroadcaster, i64);

impl Node for Builder {
    const NAME: &'static str = "builder";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_secs(1), |node: &mut Self, ctx| {
            node.1 += 1;
            node.0.send(ctx, vec![x("base", &format!("part_{}", node.1), 0, 1.0)]);
            Ok(())
        })?;
        Ok(Self(StaticBroadcaster::declare(s)?, 0))
    }
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        pack(&self.1)
    }
    fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
        self.1 = unpack(state)?;
        Ok(())
    }
}

#[test]
fn a_run_that_goes_on_from_a_snapshot_repeats_the_fixed_frames_that_were_told_before() {
    let bench = || {
        let mut bench = Bench::new();
        bench.add::<Builder>(&[]).unwrap();
        bench
    };
    let mut first = bench();
    first.run_for(Duration::from_millis(2500));
    let snapshot = first.snapshot().unwrap();
    let mut second = bench();
    second.resume(&snapshot).unwrap();
    second.run_for(Duration::from_secs(1));
    let told = second.take::<TFMessage>("/tf_static");
    let frames: Vec<&str> = told.last().unwrap().transforms.iter().map(|frame| frame.child_frame_id.as_str()).collect();
    assert_eq!(frames, ["part_1", "part_2", "part_3"]);
}
