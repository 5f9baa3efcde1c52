//! Nodes that come and go while the graph runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use graph::testing::Nobody;
use graph::transport::{
    Endpoint, NodeIdentity, RemoteClient, RemotePublisher, RequestSink, SampleSink, Token, Transport, TransportError,
};
use graph::{
    ChangeError, Container, Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeRef, NodeSpec, Publisher,
    Qos, Setup, SetupError, Time, silent_sink,
};
use msgs::composition_interfaces::srv::{
    ListNodes, ListNodesRequest, ListNodesResponse, LoadNode, LoadNodeRequest, LoadNodeResponse, UnloadNode, UnloadNodeRequest,
    UnloadNodeResponse,
};
use msgs::rcl_interfaces::msg::Parameter;
use msgs::std_msgs::msg::Int64;
use msgs::std_srvs::srv::{Trigger, TriggerResponse};
use parking_lot::Mutex;

/// Has one of everything.
struct Counter {
    count: i64,
    step: graph::Param<i64>,
    out: Publisher<Int64>,
    _resource: Resource,
}

/// Counts how many live.
struct Resource;
static RESOURCES: AtomicI64 = AtomicI64::new(0);
impl Resource {
    fn new() -> Self {
        RESOURCES.fetch_add(1, Ordering::SeqCst);
        Self
    }
}
impl Drop for Resource {
    fn drop(&mut self) {
        RESOURCES.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Node for Counter {
    const NAME: &'static str = "counter";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(10), |node: &mut Self, ctx| {
            node.count += node.step.get();
            node.out.publish(ctx, Int64 { data: node.count });
            Ok(())
        })?;
        s.subscribe("back", Qos::reliable(10), |_: &mut Self, _, _: Arc<Int64>| Ok(()))?;
        s.service::<Trigger>("~/ask", |_: &mut Self, _, _| Ok(TriggerResponse::default()))?;
        s.client::<Trigger>("~/ask", |_: &mut Self, _, _, _| Ok(()))?;
        Ok(Self {
            count: 0,
            step: s.param("step", 1).range(1, 100).declare()?,
            out: s.publisher("count", Qos::latched(5))?,
            _resource: Resource::new(),
        })
    }
    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        self.out.publish(ctx, Int64 { data: -1 });
        Ok(())
    }
}

struct Panics;
impl Node for Panics {
    const NAME: &'static str = "panics";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let _: Publisher<Int64> = s.publisher("half", Qos::reliable(1))?;
        panic!("not today")
    }
}

fn catalogue() -> Vec<NodeFactory> {
    vec![NodeFactory::of::<Counter>(), NodeFactory::of::<Panics>()]
}

/// A wire that only counts what is declared on it.
#[derive(Default)]
struct Ledger(Arc<AtomicUsize>);
struct Entry(Arc<AtomicUsize>);
impl Ledger {
    fn entry(&self) -> Entry {
        self.0.fetch_add(1, Ordering::SeqCst);
        Entry(Arc::clone(&self.0))
    }
}
impl Drop for Entry {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
impl Transport for Ledger {
    fn node(&self, _: &NodeIdentity) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(self.entry())))
    }
    fn publisher(&self, _: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError> {
        Ok(Box::new(Nobody(self.entry())))
    }
    fn subscription(&self, _: &Endpoint, _: SampleSink) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(self.entry())))
    }
    fn service(&self, _: &Endpoint, _: RequestSink) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(self.entry())))
    }
    fn client(&self, _: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError> {
        Ok(Box::new(Nobody(self.entry())))
    }
    fn follow(&self, _: Box<dyn Fn(graph::transport::RemoteChange) -> bool + Send + Sync>) {}
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
    fn describe(&self) -> String {
        "a ledger".into()
    }
}

/// Tests that count `RESOURCES` take turns.
static TURN: Mutex<()> = Mutex::new(());
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` beside a graph that holds a listener to `count`.
fn beside(mode: Mode, ledger: Ledger, test: impl FnOnce(&graph::GraphHandle)) {
    let config = GraphConfig {
        mode,
        log: silent_sink(),
        transport: Some(Arc::new(ledger)),
        catalogue: Some(catalogue),
        ..GraphConfig::default()
    };
    let mut graph = Graph::new(config).unwrap();
    let (handle, stop) = (graph.handle(), graph.stop_flag());
    let runner = std::thread::spawn(move || drop(graph.run()));
    test(&handle);
    stop.stop("the test is over");
    runner.join().unwrap();
}

fn add(handle: &graph::GraphHandle, factory: NodeFactory, name: &str) -> Result<NodeRef, ChangeError> {
    let (tell, told) = channel();
    let spec = NodeSpec { name: Some(name.into()), ..NodeSpec::default() };
    handle.add(factory, spec, move |result| tell.send(result).unwrap());
    told.recv_timeout(PATIENCE).expect("an answer")
}

fn remove(handle: &graph::GraphHandle, node: &NodeRef) -> Result<(), ChangeError> {
    let (tell, told) = channel();
    handle.remove(node, move |result| tell.send(result).unwrap());
    told.recv_timeout(PATIENCE).expect("an answer")
}

#[test]
fn a_hundred_loads_and_unloads_leave_nothing_behind() {
    let _turn = TURN.lock();
    for mode in [Mode::FreeRunning, Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 }] {
        let ledger = Ledger::default();
        let declared = Arc::clone(&ledger.0);
        beside(mode, ledger, |handle| {
            let kept = add(handle, NodeFactory::of::<Counter>(), "kept").unwrap();
            let (before, alive) = (declared.load(Ordering::SeqCst), RESOURCES.load(Ordering::SeqCst));
            for cycle in 0..100 {
                let node = add(handle, NodeFactory::of::<Counter>(), &format!("counter_{cycle}")).unwrap();
                assert!(declared.load(Ordering::SeqCst) > before);
                remove(handle, &node).unwrap();
            }
            assert_eq!(declared.load(Ordering::SeqCst), before, "{mode:?}: what is declared on the wire");
            assert_eq!(RESOURCES.load(Ordering::SeqCst), alive, "{mode:?}: nodes that live");
            assert_eq!(handle.nodes().len(), 2, "{mode:?}: the graph's own node and the one that was kept");
            remove(handle, &kept).unwrap();
        });
    }
}

#[test]
fn a_node_that_panics_in_its_set_up_is_refused_and_the_graph_is_as_before() {
    let _turn = TURN.lock();
    let ledger = Ledger::default();
    let declared = Arc::clone(&ledger.0);
    beside(Mode::FreeRunning, ledger, |handle| {
        let before = declared.load(Ordering::SeqCst);
        let error = add(handle, NodeFactory::of::<Panics>(), "bad").unwrap_err();
        assert!(error.to_string().contains("not today"), "{error}");
        assert_eq!(declared.load(Ordering::SeqCst), before);
        assert_eq!(handle.nodes().len(), 1);
    });
}

#[test]
fn what_cannot_be_removed_is_refused_and_an_ended_graph_says_so() {
    let _turn = TURN.lock();
    let mut kept = None;
    beside(Mode::FreeRunning, Ledger::default(), |handle| {
        let own = handle.nodes().remove(0);
        assert!(matches!(remove(handle, &own), Err(ChangeError::OwnNode(name)) if name == "/graph"));
        let node = add(handle, NodeFactory::of::<Counter>(), "once").unwrap();
        assert!(matches!(
            add(handle, NodeFactory::of::<Counter>(), "once"),
            Err(ChangeError::Setup(SetupError::DuplicateNode(name))) if name == "/once"
        ));
        remove(handle, &node).unwrap();
        assert!(matches!(remove(handle, &node), Err(ChangeError::NoSuchNode(name)) if name == "/once"));
        kept = Some(handle.clone());
    });
    let error = add(&kept.unwrap(), NodeFactory::of::<Counter>(), "late").unwrap_err();
    assert!(matches!(error, ChangeError::Ended));
}

/// A container on a bench, in lock-step.
fn bench() -> graph::testing::Bench {
    let mut bench = graph::testing::Bench::with_catalogue(catalogue);
    bench.add::<Container>(&[]).unwrap();
    bench
}

fn load(bench: &mut graph::testing::Bench, request: LoadNodeRequest) -> LoadNodeResponse {
    bench.call::<LoadNode>("/component_container/_container/load_node", request).unwrap()
}

fn unload(bench: &mut graph::testing::Bench, unique_id: u64) -> UnloadNodeResponse {
    bench.call::<UnloadNode>("/component_container/_container/unload_node", UnloadNodeRequest { unique_id }).unwrap()
}

fn list(bench: &mut graph::testing::Bench) -> ListNodesResponse {
    bench.call::<ListNodes>("/component_container/_container/list_nodes", ListNodesRequest::default()).unwrap()
}

fn request(plugin: &str) -> LoadNodeRequest {
    LoadNodeRequest { package_name: "omnimind".into(), plugin_name: plugin.into(), ..Default::default() }
}

fn parameter(name: &str, value: graph::ParamValue) -> Parameter {
    Parameter { name: name.into(), value: value.to_msg() }
}

#[test]
fn a_container_loads_lists_and_unloads_as_rclcpps_does() {
    let _turn = TURN.lock();
    let mut bench = bench();
    let first = load(&mut bench, request("omnimind::Counter"));
    assert_eq!(
        (first.success, first.full_node_name.as_str(), first.unique_id, first.error_message.as_str()),
        (true, "/counter", 1, "")
    );
    let second = load(
        &mut bench,
        LoadNodeRequest {
            node_name: "tally".into(),
            node_namespace: "/deep/er".into(),
            remap_rules: vec!["rostopic://count:=/tally".into()],
            parameters: vec![parameter("step", 5.into())],
            extra_arguments: vec![parameter("use_intra_process_comms", true.into())],
            ..request("counter")
        },
    );
    assert_eq!((second.full_node_name.as_str(), second.unique_id), ("/deep/er/tally", 2));
    bench.take_all();
    bench.run_for(Duration::from_millis(20));
    let counts: Vec<i64> = bench.take::<Int64>("/tally").iter().map(|m| m.data).collect();
    assert_eq!(counts[1] - counts[0], 5);
    let listed = list(&mut bench);
    assert_eq!((listed.full_node_names, listed.unique_ids), (vec!["/counter".into(), "/deep/er/tally".into()], vec![1, 2]));

    bench.take_all();
    assert!(unload(&mut bench, 1).success);
    assert_eq!(bench.take::<Int64>("/count").last().unwrap().data, -1, "it was stopped in order");
    bench.run_for(Duration::from_millis(50));
    assert!(bench.take::<Int64>("/count").is_empty(), "its timer is gone");
    assert_eq!(list(&mut bench).unique_ids, [2]);
    let again = unload(&mut bench, 1);
    assert_eq!((again.success, again.error_message.as_str()), (false, "No node found with unique_id: 1"));
    // The name is free, the identity is not used again.
    assert_eq!(load(&mut bench, request("counter")).unique_id, 3);
}

#[test]
fn what_a_container_cannot_load_is_refused_with_the_reason() {
    let _turn = TURN.lock();
    let mut bench = bench();
    let name = |name: &str| LoadNodeRequest { node_name: name.into(), ..request("counter") };
    let rule = |rule: &str| LoadNodeRequest { remap_rules: vec![rule.into()], ..request("counter") };
    for (request, why) in [
        (LoadNodeRequest { package_name: "demo_nodes_cpp".into(), ..request("counter") }, "there is no package `demo_nodes_cpp`"),
        (request("omnimind::Conter"), "did you mean `counter`?"),
        (request(""), "there is no node type"),
        (name("a b"), "not a valid name"),
        (name("a/b"), "has no slash"),
        (LoadNodeRequest { node_namespace: "/1st".into(), ..request("counter") }, "starts with a digit"),
        (LoadNodeRequest { node_namespace: "deep".into(), ..request("counter") }, "must begin with a slash"),
        (rule("__ns:=deep"), "must begin with a slash"),
        (rule("count"), "no remap rule"),
        (rule("other:count:=x"), "is not understood"),
        (rule("count:=a b"), "not a valid name"),
        (LoadNodeRequest { log_level: 7, ..request("counter") }, "no log level"),
        (LoadNodeRequest { parameters: vec![parameter("step", 1000.into())], ..request("counter") }, "outside 1 to 100"),
        (LoadNodeRequest { parameters: vec![parameter("stpe", 1.into())], ..request("counter") }, "step"),
        (LoadNodeRequest { parameters: vec![Parameter::default()], ..request("counter") }, "no parameter ``"),
        (
            LoadNodeRequest { extra_arguments: vec![parameter("use_intra_process_comms", 1.into())], ..request("counter") },
            "must be true or false",
        ),
        (request("panics"), "not today"),
    ] {
        let response = load(&mut bench, request);
        assert!(!response.success && response.error_message.contains(why), "`{}` does not say `{why}`", response.error_message);
        assert_eq!(response.unique_id, 0);
    }
    assert!(list(&mut bench).unique_ids.is_empty());
    assert_eq!(bench.statistics().nodes.len(), 3, "the graph's own node, the bench's and the container");
}

#[test]
fn a_container_without_a_catalogue_says_so() {
    let mut bench = graph::testing::Bench::new();
    bench.add::<Container>(&[]).unwrap();
    assert!(load(&mut bench, request("counter")).error_message.contains("no catalogue"));
}

/// Asks for nodes from a handler, several in one round.
struct Asker;
impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let mut asked = false;
        s.timer(Duration::from_millis(10), move |_: &mut Self, ctx| {
            if !std::mem::replace(&mut asked, true) {
                let name = format!("{}_child", ctx.node_name().trim_start_matches('/'));
                ctx.add_node(NodeFactory::of::<Counter>(), NodeSpec { name: Some(name), ..NodeSpec::default() }, |_| ());
            }
            Ok(())
        })?;
        Ok(Self)
    }
}

#[test]
fn in_lock_step_nodes_join_between_steps_in_the_order_of_those_who_asked() {
    let _turn = TURN.lock();
    let order = |threads| {
        let config = GraphConfig {
            mode: Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 },
            log: silent_sink(),
            threads,
            ..GraphConfig::default()
        };
        let mut graph = Graph::new(config).unwrap();
        for index in 0..6 {
            let spec = NodeSpec { name: Some(format!("asker_{index}")), parameters: BTreeMap::new(), ..NodeSpec::default() };
            graph.add(NodeFactory::of::<Asker>(), spec).unwrap();
        }
        let (handle, stop) = (graph.handle(), graph.stop_flag());
        let runner = std::thread::spawn(move || drop(graph.run()));
        // Asked last, answered last.
        while handle.nodes().len() < 13 {
            std::thread::yield_now();
        }
        let names: Vec<String> = handle.nodes().iter().map(|node| node.name.to_string()).collect();
        stop.stop("seen");
        runner.join().unwrap();
        names
    };
    let names = order(4);
    assert_eq!(names[7..], (0..6).map(|index| format!("/asker_{index}_child")).collect::<Vec<_>>());
    assert_eq!(names, order(1));
}

/// Asks a container for a hundred nodes in one handler.
struct Many {
    load: graph::Client<LoadNode>,
    told: Publisher<Int64>,
}
impl Node for Many {
    const NAME: &'static str = "many";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let load = s.client::<LoadNode>("/component_container/_container/load_node", |node: &mut Self, ctx, _, answer| {
            let id = answer.map_or(-1, |answer: LoadNodeResponse| answer.unique_id as i64);
            node.told.publish(ctx, Int64 { data: id });
            Ok(())
        })?;
        Ok(Self { load, told: s.publisher("told", Qos::reliable(1000))? })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        for number in 0..100 {
            self.load.call(ctx, LoadNodeRequest { node_name: format!("counter_{number}"), ..request("counter") });
        }
        Ok(())
    }
}

#[test]
fn a_hundred_loads_at_once_are_all_answered_in_their_order() {
    let _turn = TURN.lock();
    let mut bench = bench();
    bench.add::<Many>(&[]).unwrap();
    bench.run_for(Duration::from_millis(50));
    let told: Vec<i64> = bench.take::<Int64>("told").iter().map(|id| id.data).collect();
    assert_eq!(told, (1..=100).collect::<Vec<_>>());
    assert_eq!(list(&mut bench).unique_ids.len(), 100);
}

/// Its set-up takes until the graph has looked after timers several times.
struct Slow {
    started: Option<Time>,
}
static LOOKS: Mutex<Option<std::sync::mpsc::Receiver<()>>> = Mutex::new(None);
static FIRST: Mutex<Option<std::sync::mpsc::Sender<(Time, Time)>>> = Mutex::new(None);
/// Longer than its period: what fires while it is set up waits for it.
const PERIOD: Duration = Duration::from_millis(50);
impl Node for Slow {
    const NAME: &'static str = "slow";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(PERIOD, |node: &mut Self, ctx| {
            if let (Some(started), Some(tell)) = (node.started, FIRST.lock().take()) {
                tell.send((started, ctx.now())).map_err(|_| graph::NodeError::new("nobody waits"))?;
            }
            Ok(())
        })?;
        let looks = LOOKS.lock().take().unwrap();
        (0..6).for_each(|_| looks.recv_timeout(PATIENCE).unwrap());
        Ok(Self { started: None })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.started = Some(ctx.now());
        Ok(())
    }
}

/// Ticks with the graph's other timers.
struct Ticker(std::sync::mpsc::Sender<()>);
static TICKS: Mutex<Option<std::sync::mpsc::Sender<()>>> = Mutex::new(None);
impl Node for Ticker {
    const NAME: &'static str = "ticker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(PERIOD, |node: &mut Self, _| {
            // The one who counts may have enough.
            let _ = node.0.send(());
            Ok(())
        })?;
        Ok(Self(TICKS.lock().take().unwrap()))
    }
}

#[test]
fn timers_of_a_node_that_is_set_up_in_a_running_graph_wait_for_its_start() {
    let (tick, ticks) = channel();
    let (first, told) = channel();
    (*TICKS.lock(), *LOOKS.lock(), *FIRST.lock()) = (Some(tick), Some(ticks), Some(first));
    beside(Mode::FreeRunning, Ledger::default(), |handle| {
        add(handle, NodeFactory::of::<Ticker>(), "ticker").unwrap();
        add(handle, NodeFactory::of::<Slow>(), "slow").unwrap();
        let (started, fired) = told.recv_timeout(PATIENCE).unwrap();
        assert!(fired >= started + PERIOD, "started at {started:?}, fired at {fired:?}");
    });
}
