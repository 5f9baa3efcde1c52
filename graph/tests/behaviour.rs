//! What nodes may rely on, in lock-step: order, shared messages, queues, state for late joiners, services, actions, supervision.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use graph::testing::Bench;
use graph::{
    ActionClient, CallId, Client, Context, GoalHandle, GoalId, HandlerResult, Node, NodeError, NodeSpec, Outcome, Param,
    Publisher, Qos, RestartPolicy, RestartWhen, Setup, SetupError,
};
use msgs::omnimind_msgs::action::{Act, ActFeedback, ActGoal, ActResult};
use msgs::rcl_interfaces::msg::{Parameter, ParameterValue};
use msgs::rcl_interfaces::srv::{GetParameters, GetParametersRequest, SetParameters, SetParametersRequest};
use msgs::std_msgs::msg::{Float64, Int64, String as Text};
use msgs::std_srvs::srv::{Trigger, TriggerRequest, TriggerResponse};

const STEP: Duration = Duration::from_millis(10);

struct Relay {
    gain: Param<f64>,
    out: Publisher<Float64>,
}

impl Node for Relay {
    const NAME: &'static str = "relay";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("in", Qos::reliable(3), |node: &mut Self, ctx, m: Arc<Float64>| {
            node.out.publish(ctx, Float64 { data: m.data * node.gain.get() });
            Ok(())
        })?;
        Ok(Self { gain: s.param("gain", 1.0).range(0, 10).declare()?, out: s.publisher("out", Qos::reliable(3))? })
    }
}

#[test]
fn a_full_queue_drops_the_oldest_and_counts_it() {
    let mut bench = Bench::new();
    bench.add::<Relay>(&[]).unwrap();
    for data in 0..5 {
        bench.publish("in", Float64 { data: f64::from(data) });
    }
    bench.run_for(STEP);
    let out: Vec<f64> = bench.take::<Float64>("out").iter().map(|m| m.data).collect();
    assert_eq!(out, [2.0, 3.0, 4.0]);
    let statistics = bench.statistics();
    let edge = statistics.edges.iter().find(|e| e.topic == "/in").unwrap();
    assert_eq!((edge.messages, edge.dropped), (5, 2));
}

#[test]
fn parameters_are_read_and_set_through_the_services_that_ros_has() {
    let mut bench = Bench::new();
    bench.add::<Relay>(&[("gain", 2.0.into())]).unwrap();
    let names = vec!["gain".to_owned(), "nothing".to_owned()];
    let values = bench.call::<GetParameters>("relay/get_parameters", GetParametersRequest { names }).unwrap().values;
    assert_eq!((values[0].type_, values[0].double_value, values[1].type_), (3, 2.0, 0));
    let set = |value: f64| SetParametersRequest {
        parameters: vec![Parameter {
            name: "gain".into(),
            value: ParameterValue { type_: 3, double_value: value, ..Default::default() },
        }],
    };
    assert!(bench.call::<SetParameters>("relay/set_parameters", set(4.0)).unwrap().results[0].successful);
    let refused = bench.call::<SetParameters>("relay/set_parameters", set(40.0)).unwrap();
    assert_eq!(refused.results[0].reason, "parameter `gain`: 40 is outside 0 to 10");
    bench.publish("in", Float64 { data: 1.0 });
    bench.run_for(STEP);
    assert_eq!(bench.take::<Float64>("out")[0].data, 4.0);
}

#[test]
fn a_misspelt_parameter_is_refused_with_a_suggestion() {
    let error = Bench::new().add::<Relay>(&[("gian", 2.0.into())]).unwrap_err().to_string();
    assert_eq!(error, "node `/relay` has no parameter `gian`; did you mean `gain`?");
}

#[test]
fn two_nodes_of_one_name_are_refused() {
    let mut bench = Bench::new();
    bench.add::<Relay>(&[]).unwrap();
    assert!(matches!(bench.add::<Relay>(&[]), Err(SetupError::DuplicateNode(name)) if name == "/relay"));
}

struct WrongType;
impl Node for WrongType {
    const NAME: &'static str = "wrong";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("out", Qos::reliable(1), |_: &mut Self, _, _: Arc<Int64>| Ok(()))?;
        Ok(Self)
    }
}

#[test]
fn one_topic_carries_one_type() {
    let mut bench = Bench::new();
    bench.add::<Relay>(&[]).unwrap();
    let error = bench.add::<WrongType>(&[]).unwrap_err().to_string();
    assert_eq!(error, "`/out` carries std_msgs/msg/Float64, but node `/wrong` wants it to carry std_msgs/msg/Int64");
}

struct Herald {
    out: Publisher<Text>,
}
impl Node for Herald {
    const NAME: &'static str = "herald";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        Ok(Self { out: s.publisher("news", Qos::state())? })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.out.publish(ctx, Text { data: "old".into() });
        self.out.publish(ctx, Text { data: "new".into() });
        Ok(())
    }
}

/// Panics at its first message of each life until it has been restarted twice, then passes the news on.
struct Fragile {
    out: Publisher<Text>,
}
static LIVES: AtomicU32 = AtomicU32::new(0);
impl Node for Fragile {
    const NAME: &'static str = "fragile";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        LIVES.fetch_add(1, Ordering::SeqCst);
        s.subscribe("news", Qos::state(), |node: &mut Self, ctx, m: Arc<Text>| {
            assert!(LIVES.load(Ordering::SeqCst) > 2, "not yet");
            node.out.publish(ctx, Arc::clone(&m));
            Ok(())
        })?;
        Ok(Self { out: s.publisher("heard", Qos::reliable(1))? })
    }
}

#[test]
fn a_node_that_panics_comes_back_with_backoff_and_gets_the_state_it_missed() {
    let mut bench = Bench::new();
    bench.add::<Herald>(&[]).unwrap();
    bench.add::<Relay>(&[]).unwrap();
    bench.add::<Fragile>(&[]).unwrap();
    // 100 ms to the first restart, 200 ms to the second.
    bench.run_for(Duration::from_millis(250));
    assert!(bench.take::<Text>("heard").is_empty());
    assert!(bench.logs().iter().any(|log| log.message.contains("panicked: not yet")));
    bench.publish("in", Float64 { data: 1.0 });
    bench.run_for(Duration::from_millis(100));
    let heard = bench.take::<Text>("heard");
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].data, "new");
    assert_eq!(bench.take::<Float64>("out").len(), 1, "its neighbours noticed nothing");
    let statistics = bench.statistics();
    let node = statistics.nodes.iter().find(|n| n.name == "/fragile").unwrap();
    assert_eq!((node.restarts, node.state.as_str()), (2, "running"));
}

struct Hopeless;
impl Node for Hopeless {
    const NAME: &'static str = "hopeless";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(STEP, |_: &mut Self, _| panic!("always"))?;
        Ok(Self)
    }
}

#[test]
fn a_node_that_panics_for_ever_is_given_up() {
    let mut bench = Bench::new();
    let restart = RestartPolicy { when: RestartWhen::OnFailure, max: 2, backoff: STEP };
    bench.add_spec::<Hopeless>(NodeSpec { restart, ..NodeSpec::default() }).unwrap();
    bench.run_for(Duration::from_secs(1));
    let statistics = bench.statistics();
    let node = statistics.nodes.iter().find(|n| n.name == "/hopeless").unwrap();
    assert_eq!((node.restarts, node.state.as_str(), node.last_error.as_str()), (2, "failed", "panicked: always"));
}

/// Serves `double`, an action that counts up to `distance` and fails for more than ten.
struct Counter {
    goal: Option<(GoalHandle<Act>, f64)>,
}
impl Node for Counter {
    const NAME: &'static str = "counter";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.action_server::<Act>(
            "count",
            |node: &mut Self, ctx, handle| {
                if handle.goal().distance < 0.0 {
                    handle.reject(ctx);
                } else {
                    node.goal = Some((handle, 0.0));
                }
                Ok(())
            },
            |node: &mut Self, ctx, id| {
                if let Some((handle, _)) = node.goal.take_if(|(handle, _)| handle.id() == id) {
                    handle.canceled(ctx, ActResult::default());
                }
                Ok(())
            },
        )?;
        s.timer(STEP, Self::tick)?;
        s.service::<Trigger>("ask", |_: &mut Self, _, _| {
            Ok::<_, NodeError>(TriggerResponse { success: true, message: "yes".into() })
        })?;
        Ok(Self { goal: None })
    }
}
impl Counter {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let Some((handle, count)) = &mut self.goal else { return Ok(()) };
        *count += 1.0;
        handle.feedback(ctx, ActFeedback { phase: "counting".into(), progress: *count as f32 });
        if *count >= f64::from(handle.goal().distance) {
            handle.succeed(ctx, ActResult { success: true, ..Default::default() });
            self.goal = None;
        } else if *count > 10.0 {
            handle.abort(ctx, ActResult { reason: "too far".into(), ..Default::default() });
            self.goal = None;
        }
        Ok(())
    }
}

/// Sends the goal that it is told by `distance`, cancels on `cancel`, and reports.
struct Asker {
    count: ActionClient<Act>,
    nobody: Client<Trigger>,
    ask: Client<Trigger>,
    last: Option<GoalId>,
    report: Publisher<Text>,
}
impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let count = s.action_client::<Act>("count", |_: &mut Self, _, _, _| Ok(()), Self::done)?;
        let nobody = s.client::<Trigger>("nobody", Self::answer)?;
        let ask = s.client::<Trigger>("ask", Self::answer)?;
        s.subscribe("distance", Qos::reliable(1), |node: &mut Self, ctx, m: Arc<Float64>| {
            node.last = Some(node.count.send(ctx, ActGoal { distance: m.data as f32, ..Default::default() }));
            Ok(())
        })?;
        s.subscribe("cancel", Qos::reliable(1), |node: &mut Self, ctx, _: Arc<Text>| {
            node.nobody.call(ctx, TriggerRequest::default());
            node.ask.call(ctx, TriggerRequest::default());
            if let Some(id) = node.last {
                node.count.cancel(ctx, id);
            }
            Ok(())
        })?;
        Ok(Self { count, nobody, ask, last: None, report: s.publisher("report", Qos::reliable(10))? })
    }
}
impl Asker {
    fn done(&mut self, ctx: &mut Context, _: GoalId, outcome: Outcome<Act>) -> HandlerResult {
        let data = match outcome {
            Outcome::Succeeded(_) => "succeeded".into(),
            Outcome::Aborted(result) => format!("aborted: {}", result.reason),
            Outcome::Canceled(_) => "canceled".into(),
            Outcome::Rejected => "rejected".into(),
            Outcome::Unavailable(why) => format!("unavailable: {why}"),
        };
        self.report.publish(ctx, Text { data });
        Ok(())
    }
    fn answer(&mut self, ctx: &mut Context, _: CallId, result: Result<TriggerResponse, graph::CallError>) -> HandlerResult {
        let data = result.map_or_else(|error| error.to_string(), |response| response.message);
        self.report.publish(ctx, Text { data });
        Ok(())
    }
}

fn reports(bench: &mut Bench) -> Vec<String> {
    bench.take::<Text>("report").iter().map(|m| m.data.clone()).collect()
}

#[test]
fn a_goal_ends_in_each_of_the_ways_that_a_goal_can_end() {
    let mut bench = Bench::new();
    bench.add::<Counter>(&[]).unwrap();
    bench.add::<Asker>(&[]).unwrap();
    for (distance, end) in [(3.0, "succeeded"), (100.0, "aborted: too far"), (-1.0, "rejected")] {
        bench.publish("distance", Float64 { data: distance });
        bench.run_for(Duration::from_millis(200));
        assert_eq!(reports(&mut bench), [end]);
    }
    bench.publish("distance", Float64 { data: 9.0 });
    bench.run_for(Duration::from_millis(30));
    bench.publish("cancel", Text::default());
    bench.run_for(STEP);
    assert_eq!(reports(&mut bench), ["nobody serves `/nobody`", "yes", "canceled"]);
}

#[test]
fn a_goal_for_a_server_that_is_not_there_ends_at_once() {
    let mut bench = Bench::new();
    bench.add::<Asker>(&[]).unwrap();
    bench.publish("distance", Float64 { data: 1.0 });
    bench.run_for(STEP);
    assert_eq!(reports(&mut bench), ["unavailable: nobody serves `/count/_action/send_goal`"]);
}

#[test]
fn a_handlers_complaint_is_a_diagnostic_and_the_node_lives_on() {
    struct Complainer;
    impl Node for Complainer {
        const NAME: &'static str = "complainer";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.subscribe("in", Qos::reliable(1), |_: &mut Self, _, _: Arc<Float64>| Err(NodeError::new("no good")))?;
            Ok(Self)
        }
    }
    let mut bench = Bench::new();
    bench.add::<Complainer>(&[]).unwrap();
    bench.publish("in", Float64::default());
    bench.run_for(STEP);
    assert_eq!(bench.status("complainer", "handler"), Some((graph::Level::Error, "no good".to_owned())));
    assert_eq!(bench.statistics().nodes.iter().find(|n| n.name == "/complainer").unwrap().state, "running");
}
