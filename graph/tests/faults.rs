//! What happens when things go wrong in lock-step: nodes that die at awkward moments, queues that overflow, calls that nobody answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use graph::testing::Bench;
use graph::{
    ActionClient, Client, Context, GoalHandle, Graph, GraphConfig, HandlerResult, Injector, Level, Node, NodeError, NodeFactory,
    NodeSpec, Outcome, Publisher, Qos, RestartPolicy, RestartWhen, Setup, SetupError, Time, silent_sink,
};
use msgs::action_msgs::srv::{CancelGoal, CancelGoalRequest, CancelGoalResponse};
use msgs::diagnostic_msgs::msg::DiagnosticArray;
use msgs::omnimind_msgs::action::{Act, ActGoal, ActResult};
use msgs::rcl_interfaces::srv::{ListParameters, ListParametersRequest};
use msgs::std_msgs::msg::{Int64, String as Text};
use msgs::std_srvs::srv::{Trigger, TriggerRequest};
use parking_lot::Mutex;

const STEP: Duration = Duration::from_millis(10);

fn restarting(max: u32) -> NodeSpec {
    NodeSpec { restart: RestartPolicy { when: RestartWhen::OnFailure, max, backoff: STEP }, ..NodeSpec::default() }
}

fn state(bench: &Bench, node: &str) -> (String, u32) {
    let statistics = bench.statistics();
    let node = statistics.nodes.iter().find(|n| n.name == node).unwrap();
    (node.state.clone(), node.restarts)
}

/// Fails the test, instead of hanging it, if `work` never ends.
fn within_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || drop(done.send(work())));
    let result = wait.recv_timeout(Duration::from_secs(60)).expect("it ends");
    worker.join().unwrap();
    result
}

/// Calls `work` when told to, and says what came of it.
struct Asker {
    client: Client<Trigger>,
    out: Publisher<Text>,
}
impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let client = s.client::<Trigger>("work", |node: &mut Self, ctx, _, result| {
            let data = result.map_or_else(|error| error.to_string(), |answer| answer.message);
            node.out.publish(ctx, Text { data });
            Ok(())
        })?;
        s.subscribe("go", Qos::reliable(1), |node: &mut Self, ctx, _: Arc<Text>| {
            node.client.call(ctx, TriggerRequest::default());
            Ok(())
        })?;
        Ok(Self { client, out: s.publisher("report", Qos::reliable(10))? })
    }
}

/// Hands its caller to its own injector, and so much behind it that the injector's queue overflows.
struct Overflow {
    injector: Injector<Self>,
}
impl Node for Overflow {
    const NAME: &'static str = "overflow";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let injector = s.injector();
        s.service_deferred::<Trigger>("work", |node: &mut Self, _, _, responder| {
            node.injector.send(move |_, ctx| {
                responder.respond(ctx, Default::default());
                Ok(())
            });
            for _ in 0..64 {
                node.injector.send(|_, _| Ok(()));
            }
            Ok(())
        })?;
        Ok(Self { injector })
    }
}

#[test]
fn an_owed_answer_that_is_lost_in_a_full_queue_is_reported_to_the_caller_and_on_diagnostics() {
    let (report, dropped, said) = within_a_minute(|| {
        let mut bench = Bench::new();
        bench.add::<Overflow>(&[]).unwrap();
        bench.add::<Asker>(&[]).unwrap();
        bench.publish("go", Text::default());
        bench.run_for(5 * STEP);
        let report: Vec<String> = bench.take::<Text>("report").iter().map(|m| m.data.clone()).collect();
        let dropped = bench.statistics().nodes.iter().find(|n| n.name == "/overflow").unwrap().dropped;
        bench.run_for(Duration::from_secs(1));
        let said = bench.take::<DiagnosticArray>("diagnostics").iter().any(|array| {
            array
                .status
                .iter()
                .any(|s| s.name == "overflow: queue" && s.message == "full: 1 dropped since the last report, 1 in all")
        });
        (report, dropped, said)
    });
    assert_eq!(report, ["no answer from `/work`"]);
    assert_eq!(dropped, 1);
    assert!(said);
}

/// Panics in its first `start`.
struct BadStart;
static STARTS: AtomicU32 = AtomicU32::new(0);
impl Node for BadStart {
    const NAME: &'static str = "bad_start";
    fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
        Ok(Self)
    }
    fn start(&mut self, _: &mut Context) -> HandlerResult {
        assert!(STARTS.fetch_add(1, Ordering::SeqCst) > 5, "no");
        Ok(())
    }
}

#[test]
fn a_node_whose_start_fails_is_not_said_to_run() {
    let mut bench = Bench::new();
    bench.add_spec::<BadStart>(restarting(2)).unwrap();
    bench.run_for(Duration::from_millis(200));
    assert_eq!(state(&bench, "/bad_start"), ("failed".to_owned(), 2));
    let (level, message) = bench.status("bad_start", "supervision").unwrap();
    assert_eq!((level, message.as_str()), (Level::Error, "panicked: no; it is not started again"));
    assert!(bench.logs().iter().all(|log| log.message != "running again"));
}

/// Complains about itself, then panics once.
struct Gloomy;
static GLOOMY: AtomicBool = AtomicBool::new(false);
impl Node for Gloomy {
    const NAME: &'static str = "gloomy";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(STEP, |_: &mut Self, ctx| {
            if !GLOOMY.swap(true, Ordering::SeqCst) {
                ctx.status(Level::Error, "mood", "bad");
                panic!("once");
            }
            Ok(())
        })?;
        Ok(Self)
    }
}

#[test]
fn what_a_node_said_about_itself_ends_with_its_life() {
    let mut bench = Bench::new();
    bench.add_spec::<Gloomy>(restarting(5)).unwrap();
    bench.run_for(Duration::from_millis(100));
    assert_eq!(state(&bench, "/gloomy"), ("running".to_owned(), 1));
    assert_eq!(bench.status("gloomy", "mood"), None);
}

/// Leaves in its `start`.
struct Shy;
impl Node for Shy {
    const NAME: &'static str = "shy";
    fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
        Ok(Self)
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        ctx.exit("nothing for me here");
        Ok(())
    }
}

/// Leaves with a complaint.
struct Offended;
impl Node for Offended {
    const NAME: &'static str = "offended";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("go", Qos::reliable(1), |_: &mut Self, ctx, _: Arc<Text>| {
            ctx.exit("enough");
            Err(NodeError::new("not with me"))
        })?;
        Ok(Self)
    }
}

#[test]
fn a_node_may_leave_from_its_start_and_with_a_complaint() {
    let mut bench = Bench::new();
    bench.add::<Shy>(&[]).unwrap();
    bench.add::<Offended>(&[]).unwrap();
    bench.publish("go", Text::default());
    bench.run_for(STEP);
    assert_eq!(state(&bench, "/shy").0, "stopped");
    assert_eq!(state(&bench, "/offended").0, "stopped");
}

/// Its handler panics, and so does its destructor.
struct Bomb;
impl Node for Bomb {
    const NAME: &'static str = "bomb";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(STEP, |_: &mut Self, _| panic!("first"))?;
        Ok(Self)
    }
}
impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("second");
    }
}

/// Ends the graph after a while.
struct Timekeeper {
    steps: u32,
}
impl Node for Timekeeper {
    const NAME: &'static str = "timekeeper";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(STEP, |node: &mut Self, ctx| {
            node.steps += 1;
            if node.steps == 300 {
                ctx.shutdown("time");
            }
            Ok(())
        })?;
        Ok(Self { steps: 0 })
    }
}

fn graph(threads: usize, nodes: Vec<(NodeFactory, NodeSpec)>) -> Graph {
    let mut graph = Graph::new(GraphConfig { threads, log: silent_sink(), ..GraphConfig::default() }).unwrap();
    for (factory, spec) in nodes {
        graph.add(factory, spec).unwrap();
    }
    graph
}

fn named<N: Node>(name: &str) -> (NodeFactory, NodeSpec) {
    (NodeFactory::of::<N>(), NodeSpec { name: Some(name.into()), ..restarting(0) })
}

#[test]
fn a_destructor_that_panics_stops_no_thread_of_the_graph() {
    let report = within_a_minute(|| {
        let mut nodes: Vec<_> = ["a", "b", "c", "d"].into_iter().map(named::<Bomb>).collect();
        nodes.push(named::<Timekeeper>("timekeeper"));
        graph(3, nodes).run()
    });
    assert_eq!(report.reason, "time");
    assert_eq!(report.statistics.nodes.iter().filter(|node| node.state == "failed").count(), 4);
}

/// Never answers; what it does before it lets go of the caller takes some time, now less, now more.
struct Silent {
    seed: u64,
}
impl Node for Silent {
    const NAME: &'static str = "silent";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.service_deferred::<Trigger>("~/work", |node: &mut Self, ctx, _, responder| {
            node.seed =
                (0..node.seed % 5000).fold(node.seed, |a, b| a.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(b | 1));
            ctx.status(Level::Warn, "seed", node.seed.to_string());
            drop(responder);
            Ok(())
        })?;
        Ok(Self { seed: s.node_name().bytes().map(u64::from).sum() })
    }
}

static GIVEN_UP: Mutex<Vec<String>> = Mutex::new(Vec::new());
static REPORTS: Mutex<Vec<DiagnosticArray>> = Mutex::new(Vec::new());
const SILENT: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Asks all of them in every step, and notes what it hears and what the graph reports.
struct Patient {
    clients: Vec<Client<Trigger>>,
}
impl Node for Patient {
    const NAME: &'static str = "patient";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let mut clients = Vec::new();
        for name in SILENT {
            clients.push(s.client::<Trigger>(&format!("{name}/work"), |_: &mut Self, _, _, result| {
                GIVEN_UP.lock().push(result.err().map(|error| error.to_string()).unwrap_or_default());
                Ok(())
            })?);
        }
        s.timer(STEP, |node: &mut Self, ctx| {
            for client in &node.clients {
                client.call(ctx, TriggerRequest::default());
            }
            Ok(())
        })?;
        s.subscribe("/diagnostics", Qos::reliable(10), |_: &mut Self, _, array: Arc<DiagnosticArray>| {
            REPORTS.lock().push((*array).clone());
            Ok(())
        })?;
        Ok(Self { clients })
    }
}

#[test]
fn threads_change_neither_the_order_of_unanswered_calls_nor_the_diagnostics() {
    let run = |threads| {
        GIVEN_UP.lock().clear();
        REPORTS.lock().clear();
        let mut nodes: Vec<_> = SILENT.into_iter().map(named::<Silent>).collect();
        nodes.push(named::<Patient>("patient"));
        nodes.push(named::<Timekeeper>("timekeeper"));
        graph(threads, nodes).run();
        (std::mem::take(&mut *GIVEN_UP.lock()), std::mem::take(&mut *REPORTS.lock()))
    };
    let (calls, reports) = run(1);
    assert!(calls.len() > 6 * 290);
    assert!(
        calls.chunks(6).all(|six| six.iter().zip(SILENT).all(|(why, name)| *why == format!("no answer from `/{name}/work`")))
    );
    assert!(reports.len() >= 2);
    for threads in [2, 4] {
        assert_eq!(run(threads), (calls.clone(), reports.clone()), "{threads} threads");
    }
}

/// Says three things for late joiners.
struct Chronicle {
    out: Publisher<Int64>,
}
impl Node for Chronicle {
    const NAME: &'static str = "chronicle";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        Ok(Self { out: s.publisher("events", Qos::latched(3))? })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        for data in 1..=3 {
            self.out.publish(ctx, Int64 { data });
        }
        Ok(())
    }
}

/// Wants the newest only, and says it on with the time of its start.
struct Latecomer {
    out: Publisher<Int64>,
    started: Option<Time>,
}
impl Node for Latecomer {
    const NAME: &'static str = "latecomer";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("events", Qos::state(), |node: &mut Self, ctx, m: Arc<Int64>| {
            assert!(node.started.is_some(), "start comes first");
            node.out.publish(ctx, Arc::clone(&m));
            Ok(())
        })?;
        Ok(Self { out: s.publisher("heard", Qos::reliable(10))?, started: None })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.started = Some(ctx.now());
        Ok(())
    }
}

#[test]
fn a_node_that_joins_a_running_graph_is_started_and_gets_as_much_as_it_asked_for() {
    let mut bench = Bench::new();
    bench.add::<Chronicle>(&[]).unwrap();
    bench.run_for(STEP);
    bench.add::<Latecomer>(&[]).unwrap();
    bench.run_for(STEP);
    let heard: Vec<i64> = bench.take::<Int64>("heard").iter().map(|m| m.data).collect();
    assert_eq!(heard, [3]);
    let statistics = bench.statistics();
    let edge = statistics.edges.iter().find(|edge| edge.topic == "/events").unwrap();
    assert_eq!((edge.messages, edge.dropped), (1, 0));
}

/// Takes goals; loses the one before when the next comes, keeps those with a negative distance, reaches those of a thousand at once.
struct Careless {
    goal: Option<GoalHandle<Act>>,
    kept: Vec<GoalHandle<Act>>,
}
impl Node for Careless {
    const NAME: &'static str = "careless";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.action_server::<Act>(
            "act",
            |node: &mut Self, ctx, handle| {
                if handle.goal().distance < 0.0 {
                    node.kept.push(handle);
                } else if handle.goal().distance == 1000.0 {
                    handle.succeed(ctx, ActResult::default());
                } else {
                    node.goal = Some(handle);
                }
                Ok(())
            },
            |node: &mut Self, ctx, id| {
                if let Some(position) = node.kept.iter().position(|handle| handle.id() == id) {
                    node.kept.remove(position).canceled(ctx, ActResult::default());
                }
                Ok(())
            },
        )?;
        Ok(Self { goal: None, kept: Vec::new() })
    }
}

struct Sender {
    act: ActionClient<Act>,
    out: Publisher<Text>,
}
impl Node for Sender {
    const NAME: &'static str = "client";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let act = s.action_client::<Act>(
            "act",
            |_: &mut Self, _, _, _| Ok(()),
            |node: &mut Self, ctx, _, outcome| {
                let data = match outcome {
                    Outcome::Unavailable(why) => why,
                    Outcome::Canceled(_) => "canceled".into(),
                    Outcome::Succeeded(_) => "succeeded".into(),
                    other => format!("{other:?}"),
                };
                node.out.publish(ctx, Text { data });
                Ok(())
            },
        )?;
        s.subscribe("distance", Qos::reliable(10), |node: &mut Self, ctx, m: Arc<Int64>| {
            node.act.send(ctx, ActGoal { distance: m.data as f32, ..Default::default() });
            Ok(())
        })?;
        Ok(Self { act, out: s.publisher("report", Qos::reliable(10))? })
    }
}

fn reports(bench: &mut Bench) -> Vec<String> {
    bench.take::<Text>("report").iter().map(|m| m.data.clone()).collect()
}

#[test]
fn a_goal_that_its_server_lets_go_of_ends_for_its_client() {
    let mut bench = Bench::new();
    bench.add::<Careless>(&[]).unwrap();
    bench.add::<Sender>(&[]).unwrap();
    for data in [1, 2] {
        bench.publish("distance", Int64 { data });
        bench.run_for(2 * STEP);
    }
    assert_eq!(reports(&mut bench), ["no answer from `/act/_action/get_result`"]);
}

#[test]
fn goals_are_called_off_up_to_a_stamp_as_the_interface_says() {
    let mut bench = Bench::new();
    bench.add::<Careless>(&[]).unwrap();
    bench.add::<Sender>(&[]).unwrap();
    for data in [1000, -1, -2, -3] {
        bench.publish("distance", Int64 { data });
        bench.run_for(10 * STEP);
    }
    assert_eq!(reports(&mut bench), ["succeeded"]);
    let goals = bench.take::<msgs::action_msgs::msg::GoalStatusArray>("act/_action/status").last().unwrap().status_list.clone();
    let mut cancel = |goal_info| bench.call::<CancelGoal>("act/_action/cancel_goal", CancelGoalRequest { goal_info }).unwrap();
    let until_the_third = msgs::action_msgs::msg::GoalInfo { stamp: goals[2].goal_info.stamp.clone(), ..Default::default() };
    assert_eq!(cancel(until_the_third.clone()).goals_canceling.len(), 2);
    assert_eq!(cancel(until_the_third).return_code, CancelGoalResponse::ERROR_NONE);
    let mut over = goals[0].goal_info.clone();
    over.stamp = Default::default();
    assert_eq!(cancel(over.clone()).return_code, CancelGoalResponse::ERROR_GOAL_TERMINATED);
    over.goal_id.uuid = [7; 16];
    assert_eq!(cancel(over).return_code, CancelGoalResponse::ERROR_UNKNOWN_GOAL_ID);
    assert_eq!(cancel(Default::default()).goals_canceling.len(), 1);
    bench.run_for(STEP);
    assert_eq!(reports(&mut bench), ["canceled", "canceled", "canceled"]);
}

/// Has parameters in groups.
struct Grouped;
impl Node for Grouped {
    const NAME: &'static str = "grouped";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        for name in ["arm.speed", "armour", "arm"] {
            s.param(name, 1.0).declare()?;
        }
        Ok(Self)
    }
}

#[test]
fn a_prefix_of_parameters_is_a_group() {
    let mut bench = Bench::new();
    bench.add::<Grouped>(&[]).unwrap();
    let request = ListParametersRequest { prefixes: vec!["arm".into()], ..Default::default() };
    let names = bench.call::<ListParameters>("grouped/list_parameters", request).unwrap().result.names;
    assert_eq!(names, ["arm", "arm.speed"]);
}

#[test]
fn names_and_remaps_that_cannot_be_meant_are_said() {
    let mut bench = Bench::new();
    let slashed = NodeSpec { name: Some("left/arm".into()), ..NodeSpec::default() };
    assert!(matches!(bench.add_spec::<Grouped>(slashed), Err(SetupError::InvalidName { name, .. }) if name == "left/arm"));
    let remaps = [("event".to_owned(), "history".to_owned()), ("heard".to_owned(), "noted".to_owned())].into();
    bench.add_spec::<Latecomer>(NodeSpec { remaps, ..NodeSpec::default() }).unwrap();
    let (level, message) = bench.status("latecomer", "remap").unwrap();
    assert_eq!((level, message.as_str()), (Level::Warn, "the remap of `event` renames nothing; did you mean `events`?"));
}

static GONE: AtomicU32 = AtomicU32::new(0);

/// Counts its end. Its injector knows the graph.
struct Mortal {
    _injector: Injector<Self>,
    _out: Publisher<Text>,
}
impl Node for Mortal {
    const NAME: &'static str = "mortal";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        Ok(Self { _injector: s.injector(), _out: s.publisher("last", Qos::state())? })
    }
}
impl Drop for Mortal {
    fn drop(&mut self) {
        GONE.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_nodes_of_a_graph_end_with_it() {
    let mut bench = Bench::new();
    bench.add::<Mortal>(&[]).unwrap();
    bench.run_for(STEP);
    drop(bench);
    assert_eq!(GONE.load(Ordering::SeqCst), 1);
}
