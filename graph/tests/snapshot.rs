//! Snapshots: a run that goes on from one says from there what the first run said, byte for byte, down to the next snapshot.

use std::sync::Arc;
use std::time::Duration;

use graph::snapshot::{Blob, Cdr, MAGIC, pack, unpack};
use graph::testing::Bench;
use graph::transport::{
    Carrier, ChangeSink, Endpoint, EndpointKind, NodeIdentity, RemoteChange, RemoteClient, RemoteEndpoint, RemotePublisher,
    ReplySink, RequestSink, SampleSink, Token, Transport, TransportError,
};
use graph::{
    ActionClient, AnyMessage, CallError, CallId, Client, Context, Erased, FreezeError, FrozenReply, GoalHandle, GoalId, Graph,
    GraphConfig, HandlerResult, Level, Mode, Node, NodeError, NodeFactory, NodeSpec, Outcome, Param, ParamValue, Publisher, Qos,
    RawResponder, ResumeError, Setup, SetupError, Time, silent_sink,
};
use msgs::example_interfaces::action::{Fibonacci, FibonacciFeedback, FibonacciGoal, FibonacciResult};
use msgs::rcl_interfaces::srv::{SetParameters, SetParametersRequest};
use msgs::std_msgs::msg::{Int64, String as Text, UInt8MultiArray};
use msgs::std_srvs::srv::{SetBool, SetBoolRequest, SetBoolResponse};
use msgs::{Message, rcl_interfaces};
use parking_lot::Mutex;
use proptest::prelude::*;

/// Counts, latches what it counted, asks, acts, and complains now and then.
struct Counter {
    step: Param<i64>,
    count: i64,
    last: Option<Cdr<Int64>>,
    out: Publisher<Int64>,
    latched: Publisher<Text>,
    ask: Client<SetBool>,
    act: ActionClient<Fibonacci>,
}

impl Node for Counter {
    const NAME: &'static str = "counter";
    const FREE_PARAMETERS: &'static [&'static str] = &["file"];

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(70), Self::tick)?;
        s.param("file", String::new()).declare()?.get();
        let ask =
            s.client::<SetBool>("switch", |node: &mut Self, ctx, call: CallId, answer: Result<SetBoolResponse, CallError>| {
                let data = format!("{call:?}: {}", answer.map_or_else(|e| e.to_string(), |a| a.message));
                node.latched.publish(ctx, Text { data });
                Ok(())
            })?;
        let act = s.action_client::<Fibonacci>(
            "fibonacci",
            |_: &mut Self, ctx, _, feedback: FibonacciFeedback| {
                ctx.info(format!("{:?}", feedback.sequence));
                Ok(())
            },
            |node: &mut Self, ctx, id: GoalId, outcome: Outcome<Fibonacci>| {
                node.latched.publish(ctx, Text { data: format!("{id:?} {outcome:?}") });
                Ok(())
            },
        )?;
        Ok(Self {
            step: s.param("step", 1_i64).declare()?,
            count: 0,
            last: None,
            out: s.publisher("count", Qos::reliable(10))?,
            latched: s.publisher("words", Qos::latched(3))?,
            ask,
            act,
        })
    }

    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        pack(&(self.count, &self.last))
    }

    fn thaw(&mut self, ctx: &mut Context, state: &[u8]) -> HandlerResult {
        ctx.info("this is not sent");
        (self.count, self.last) = unpack(state)?;
        Ok(())
    }
}

impl Counter {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        self.count += self.step.get();
        let message = Arc::new(Int64 { data: self.count + self.last.as_ref().map_or(0, |l| l.0.data % 7) });
        self.last = Some(Cdr(Arc::clone(&message)));
        self.out.publish(ctx, message);
        ctx.status(if self.count % 4 == 0 { Level::Warn } else { Level::Ok }, "count", format!("at {}", self.count));
        if self.count % 5 == 0 {
            self.ask.call(ctx, SetBoolRequest { data: self.count % 2 == 0 });
        }
        if self.count % 11 == 0 {
            self.act.send(ctx, FibonacciGoal { order: 3 });
        }
        Ok(())
    }
}

/// Answers calls half a second late, as bytes; ends goals at once.
struct Slow {
    owed: Vec<(i64, RawResponder)>,
}

impl Node for Slow {
    const NAME: &'static str = "slow";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let kind = msgs::registry::find_service("std_srvs/srv/SetBool").ok_or_else(|| s.failed("no SetBool"))?;
        s.service_raw("switch", kind, |node: &mut Self, ctx, _, responder| {
            node.owed.push((ctx.now().as_nanos() + 500_000_000, responder));
            Ok(())
        })?;
        s.action_server::<Fibonacci>(
            "fibonacci",
            |_: &mut Self, ctx, goal: GoalHandle<Fibonacci>| {
                goal.feedback(ctx, FibonacciFeedback { sequence: vec![1] });
                goal.succeed(ctx, FibonacciResult { sequence: vec![1, 1, 2] });
                Ok(())
            },
            |_, _, _| Ok(()),
        )?;
        s.timer(Duration::from_millis(30), |node: &mut Self, ctx| {
            while node.owed.first().is_some_and(|(due, _)| *due <= ctx.now().as_nanos()) {
                let (due, responder) = node.owed.remove(0);
                let answer = SetBoolResponse { success: true, message: format!("call {} due at {due}", responder.call()) };
                responder.respond(ctx, Message::to_cdr(&answer))?;
            }
            Ok(())
        })?;
        Ok(Self { owed: Vec::new() })
    }

    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let frozen = |(due, reply): &(i64, RawResponder)| reply.freeze().map(|reply| (*due, reply));
        let owed: Option<Vec<(i64, FrozenReply)>> = self.owed.iter().map(frozen).collect();
        pack(&owed.ok_or_else(|| FreezeError::Now("another process waits for an answer".into()))?)
    }

    fn thaw(&mut self, ctx: &mut Context, state: &[u8]) -> HandlerResult {
        for (due, reply) in unpack::<Vec<(i64, FrozenReply)>>(state)? {
            self.owed.push((due, reply.thaw(ctx)?));
        }
        Ok(())
    }
}

/// Has no snapshots.
struct Hard;

impl Node for Hard {
    const NAME: &'static str = "hard";
    fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

type Said = (String, String, u64, i64, Vec<u8>);

/// Where an [`Ear`] writes; made by type, so it is handed over here.
static TAPE: Mutex<Option<Arc<Mutex<Vec<Said>>>>> = Mutex::new(None);

/// A watcher that keeps everything that is not measured.
struct Ear(Arc<Mutex<Vec<Said>>>);

impl Node for Ear {
    const NAME: &'static str = "ear";
    const WATCHER: bool = true;
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let tape = TAPE.lock().take().ok_or_else(|| s.failed("no tape"))?;
        s.tap(
            |topic, _| topic != "/graph/statistics",
            |node: &mut Self, _, m: &AnyMessage| {
                let said = (m.topic.to_string(), m.publisher.to_string(), m.sequence, m.stamp.as_nanos(), m.to_cdr());
                node.0.lock().push(said);
                Ok(())
            },
        )?;
        Ok(Self(tape))
    }
}

/// What a [`Late`] has heard.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A watcher that wants what is kept for late joiners.
struct Late;

impl Node for Late {
    const NAME: &'static str = "late";
    const WATCHER: bool = true;
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("words", Qos::latched(3), |_: &mut Self, _, words: Arc<Text>| {
            HEARD.lock().push(words.data.clone());
            Ok(())
        })?;
        Ok(Self)
    }
}

/// A wire that tells once, at the beginning, of a publisher in another process, and notes what it is asked for.
#[derive(Clone, Default)]
struct Elsewhere(Arc<Mutex<Vec<String>>>);

struct Far(Elsewhere, String);
impl Token for Far {}
impl RemotePublisher for Far {
    fn matched(&self) -> bool {
        true
    }
    fn publish(&self, message: &dyn Erased, _: Time) -> Result<(), TransportError> {
        let said = Text::from_cdr(&message.to_cdr()).map(|text| text.data).unwrap_or_default();
        self.0.0.lock().push(format!("{}: {said}", self.1));
        Ok(())
    }
    fn carrier(&self) -> Carrier {
        ("", 0)
    }
    fn assert_liveliness(&self) -> Result<(), TransportError> {
        Ok(())
    }
}
impl RemoteClient for Far {
    fn available(&self) -> bool {
        false
    }
    fn call(&self, _: Vec<u8>, reply: ReplySink) {
        reply(Err(TransportError::NoAnswer("nobody".into())));
    }
}
impl Transport for Elsewhere {
    fn node(&self, _: &NodeIdentity) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Far(self.clone(), String::new())))
    }
    fn publisher(&self, endpoint: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError> {
        Ok(Box::new(Far(self.clone(), endpoint.name.clone())))
    }
    fn subscription(&self, endpoint: &Endpoint, _: SampleSink) -> Result<Box<dyn Token>, TransportError> {
        self.0.lock().push(format!("listens to {}", endpoint.name));
        Ok(Box::new(Far(self.clone(), String::new())))
    }
    fn service(&self, _: &Endpoint, _: RequestSink) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Far(self.clone(), String::new())))
    }
    fn client(&self, _: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError> {
        Ok(Box::new(Far(self.clone(), String::new())))
    }
    fn follow(&self, sink: ChangeSink) {
        let kind = <Int64 as Message>::message_type();
        sink(RemoteChange::Joined(Arc::new(RemoteEndpoint {
            kind: EndpointKind::Publisher,
            node: "/far".into(),
            name: "/far_numbers".into(),
            type_name: kind.name.to_owned(),
            type_hash: kind.hash.to_owned(),
            qos: Qos::reliable(10),
            gid: [1; 16],
        })));
    }
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
    fn describe(&self) -> String {
        "a test".into()
    }
}

/// Ends the graph after a time.
struct End;

impl Node for End {
    const NAME: &'static str = "end";
    const WATCHER: bool = true;
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(10), |_: &mut Self, ctx| {
            if ctx.now().as_nanos() >= 8_000_000_000 {
                ctx.shutdown("over");
            }
            Ok(())
        })?;
        Ok(Self)
    }
}

/// Changes a parameter of the counter at 1.5 s, when the run is of the right age; a watcher may speak.
struct Setter(Client<SetParameters>, bool);

impl Node for Setter {
    const NAME: &'static str = "setter";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let client = s.client::<SetParameters>("counter/set_parameters", |_: &mut Self, _, _, _| Ok(()))?;
        s.timer(Duration::from_millis(1500), |node: &mut Self, ctx| {
            if !std::mem::replace(&mut node.1, true) {
                let value = ParamValue::from(3_i64).to_msg();
                let parameters = vec![rcl_interfaces::msg::Parameter { name: "step".into(), value }];
                node.0.call(ctx, SetParametersRequest { parameters });
            }
            Ok(())
        })?;
        Ok(Self(client, false))
    }
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        pack(&self.1)
    }
    fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
        self.1 = unpack(state)?;
        Ok(())
    }
}

/// One test at a time may hand over its tape.
static ONE: Mutex<()> = Mutex::new(());

fn run(from: Option<&[u8]>, threads: usize, file: &str) -> Vec<Said> {
    run_beside(from, threads, file, None)
}

fn run_beside(from: Option<&[u8]>, threads: usize, file: &str, elsewhere: Option<&Elsewhere>) -> Vec<Said> {
    let _one = ONE.lock();
    let tape = Arc::new(Mutex::new(Vec::new()));
    *TAPE.lock() = Some(Arc::clone(&tape));
    let config = GraphConfig {
        mode: Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 },
        snapshot_every: Some(Duration::from_secs(1)),
        log: silent_sink(),
        threads,
        transport: elsewhere.map(|wire| Arc::new(wire.clone()) as Arc<dyn Transport>),
        ..GraphConfig::default()
    };
    let mut graph = Graph::new(config).unwrap();
    let parameters = [("file".to_owned(), file.into())].into();
    graph.add(NodeFactory::of::<Ear>(), NodeSpec::default()).unwrap();
    graph.add(NodeFactory::of::<Counter>(), NodeSpec { parameters, ..NodeSpec::default() }).unwrap();
    for factory in [NodeFactory::of::<Slow>(), NodeFactory::of::<Setter>(), NodeFactory::of::<End>()] {
        graph.add(factory, NodeSpec::default()).unwrap();
    }
    if elsewhere.is_some() {
        graph.add(NodeFactory::of::<Late>(), NodeSpec::default()).unwrap();
    }
    if let Some(snapshot) = from {
        graph.resume(snapshot).unwrap();
    }
    elsewhere.into_iter().for_each(|wire| wire.0.lock().push("resumed".into()));
    let report = graph.run();
    assert_eq!(report.reason, "over");
    drop(graph);
    Arc::into_inner(tape).unwrap().into_inner()
}

/// What the nodes that take part said.
fn theirs(said: &[Said]) -> impl Iterator<Item = &Said> {
    said.iter().filter(|(_, publisher, ..)| !["/ear", "/end"].contains(&publisher.as_str()))
}

fn snapshot_of(said: &Said) -> Vec<u8> {
    UInt8MultiArray::from_cdr(&said.4).unwrap().data.to_vec()
}

#[test]
fn from_every_snapshot_on_all_that_is_said_is_the_same_also_the_later_snapshots() {
    let whole = run(None, 1, "a");
    let snapshots: Vec<usize> = (0..whole.len()).filter(|i| whole[*i].0 == "/graph/snapshot").collect();
    assert_eq!(snapshots.len(), 7, "one a second, and none in the step in which the graph ends");
    assert!(whole.iter().any(|said| said.0 == "/words") && whole.iter().any(|said| said.0 == "/diagnostics"));
    for (number, place) in snapshots.iter().enumerate() {
        let again = run(Some(&snapshot_of(&whole[*place])), 1 + number % 3, "b");
        let (first, second): (Vec<_>, Vec<_>) = (theirs(&whole[*place..]).collect(), theirs(&again).collect());
        for (a, b) in first.iter().zip(&second) {
            assert_eq!((&a.0, &a.1, a.2, a.3), (&b.0, &b.1, b.2, b.3), "from snapshot {number}");
            assert!(a.4 == b.4, "{} at {} ns differs from snapshot {number} on", a.0, a.3);
        }
        assert_eq!(first.len(), second.len(), "from snapshot {number}");
    }
}

#[test]
fn who_joined_before_a_run_goes_on_gets_what_was_kept_and_other_processes_stay_known() {
    let whole = run(None, 1, "a");
    let place = whole.iter().rposition(|said| said.0 == "/graph/snapshot").unwrap();
    let words = |said: &Said| (said.0 == "/words").then(|| Text::from_cdr(&said.4).unwrap().data);
    let before: Vec<String> = whole[..place].iter().filter_map(words).collect();
    let kept = &before[before.len() - 3..];
    let wire = Elsewhere::default();
    HEARD.lock().clear();
    run_beside(Some(&snapshot_of(&whole[place])), 1, "b", Some(&wire));
    assert_eq!(HEARD.lock()[..3], *kept, "a watcher of this process");
    let story = wire.0.lock().clone();
    let resumed = story.iter().position(|line| line == "resumed").unwrap();
    let sent: Vec<&str> = story[..resumed].iter().filter_map(|line| line.strip_prefix("/words: ")).collect();
    assert_eq!(sent, *kept, "listeners in other processes");
    assert!(story[resumed..].contains(&"listens to /far_numbers".to_owned()), "{story:?}");
}

#[test]
fn the_same_state_has_the_same_bytes_and_calls_that_are_open_are_in_it() {
    let bytes = |said: &[Said]| said.iter().filter(|s| s.0 == "/graph/snapshot").map(snapshot_of).collect::<Vec<_>>();
    let (one, other) = (bytes(&run(None, 1, "a")), bytes(&run(None, 3, "c")));
    assert!(one == other, "threads and free parameters leave no trace");
    let open = one.iter().filter(|bytes| bytes.windows(7).any(|w| w == b"/switch")).count();
    assert!(open > 0, "some snapshot falls between a call and its answer");
}

fn bench(parameters: &[(&str, ParamValue)]) -> Bench {
    let mut bench = Bench::new();
    bench.add::<Counter>(parameters).unwrap();
    bench.add::<Slow>(&[]).unwrap();
    bench
}

fn frozen() -> Vec<u8> {
    let mut first = bench(&[]);
    first.run_for(Duration::from_secs(2));
    first.snapshot().unwrap()
}

#[test]
fn another_graph_is_refused_in_words() {
    let bytes = frozen();
    let refusal = |bench: &mut Bench| bench.resume(&bytes).unwrap_err().to_string();
    let mut other = bench(&[("step", 2_i64.into())]);
    assert!(refusal(&mut other).contains("parameter `step` of /counter was 1, not 2"), "{}", refusal(&mut other));
    bench(&[("file", "elsewhere".into())]).resume(&bytes).unwrap();
    let mut lone = Bench::new();
    lone.add::<Counter>(&[]).unwrap();
    assert!(refusal(&mut lone).contains("it has /slow (slow), which is not here"));
    let mut more = bench(&[]);
    more.add::<Hard>(&[]).unwrap();
    assert!(refusal(&mut more).contains("it has no /hard (hard)"));
    let mut turned = Bench::new();
    turned.add::<Slow>(&[]).unwrap();
    turned.add::<Counter>(&[]).unwrap();
    assert!(refusal(&mut turned).contains("the order counts"));
    let mut remapped = Bench::new();
    let remaps = [("count".to_owned(), "number".to_owned())].into();
    remapped.add_spec::<Counter>(NodeSpec { remaps, ..NodeSpec::default() }).unwrap();
    remapped.add::<Slow>(&[]).unwrap();
    assert!(refusal(&mut remapped).contains("other remaps"));
    let mut free = Graph::new(GraphConfig { mode: Mode::FreeRunning, log: silent_sink(), ..GraphConfig::default() }).unwrap();
    assert_eq!(free.resume(&bytes), Err(ResumeError::FreeRunning));
    let mode = Mode::LockStep { step: Duration::from_millis(5), rate: 0.0 };
    let mut quick = Graph::new(GraphConfig { mode, log: silent_sink(), ..GraphConfig::default() }).unwrap();
    assert!(quick.resume(&bytes).unwrap_err().to_string().contains("its step was 10ms, not 5ms"));
}

#[test]
fn a_node_that_cannot_be_frozen_is_named_once_and_there_is_no_snapshot() {
    let logs = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&logs);
    let config = GraphConfig {
        mode: Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 },
        snapshot_every: Some(Duration::from_secs(1)),
        log: Arc::new(move |record| sink.lock().push(record.message.clone())),
        ..GraphConfig::default()
    };
    let _one = ONE.lock();
    let tape = Arc::new(Mutex::new(Vec::new()));
    *TAPE.lock() = Some(Arc::clone(&tape));
    let mut graph = Graph::new(config).unwrap();
    for factory in [NodeFactory::of::<Ear>(), NodeFactory::of::<Hard>(), NodeFactory::of::<End>()] {
        graph.add(factory, NodeSpec::default()).unwrap();
    }
    graph.run();
    let said: Vec<_> = logs.lock().iter().filter(|line| line.contains("snapshot")).cloned().collect();
    assert_eq!(said, ["no snapshots are taken: these nodes cannot be frozen: /hard (hard)"]);
    assert!(!tape.lock().iter().any(|said| said.0 == "/graph/snapshot"));
}

#[test]
fn a_goal_at_work_is_not_left_out_silently() {
    struct Lasting(Option<GoalHandle<Fibonacci>>);
    impl Node for Lasting {
        const NAME: &'static str = "slow";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            let keep = |node: &mut Self, _: &mut Context, goal| {
                node.0 = Some(goal);
                Ok(())
            };
            s.action_server::<Fibonacci>("fibonacci", keep, |_, _, _| Ok(()))?;
            Ok(Self(None))
        }
        fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
            Ok(Vec::new())
        }
    }
    let mut bench = Bench::new();
    bench.add::<Counter>(&[]).unwrap();
    bench.add::<Lasting>(&[]).unwrap();
    bench.run_for(Duration::from_secs(2));
    let why = bench.snapshot().unwrap_err().to_string();
    assert!(why.contains("/slow: a goal of its action example_interfaces/action/Fibonacci is at work"), "{why}");
}

#[test]
fn a_state_that_its_node_does_not_read_is_refused_with_the_nodes_name() {
    struct Odd;
    impl Node for Odd {
        const NAME: &'static str = "odd";
        fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
            Ok(Self)
        }
        fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
            pack(&Blob(vec![7; 5]))
        }
        fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
            unpack::<(u8, u8)>(state).map(drop)
        }
    }
    let mut first = Bench::new();
    first.add::<Odd>(&[]).unwrap();
    let bytes = first.snapshot().unwrap();
    let mut second = Bench::new();
    second.add::<Odd>(&[]).unwrap();
    let refused = second.resume(&bytes).unwrap_err().to_string();
    assert_eq!(refused, "node `/odd` does not go on from the snapshot: its state has 4 bytes too many");
}

#[test]
fn what_is_cut_or_changed_is_refused() {
    let bytes = frozen();
    assert_eq!(bench(&[]).resume(b"no snapshot at all"), Err(ResumeError::NoSnapshot));
    for length in (8..bytes.len()).step_by(bytes.len() / 50) {
        assert!(matches!(bench(&[]).resume(&bytes[..length]), Err(ResumeError::Damaged(_))), "{length}");
    }
    for at in (12..bytes.len()).step_by(bytes.len() / 50) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        assert!(matches!(bench(&[]).resume(&changed), Err(ResumeError::Damaged(_))), "{at}");
    }
    let mut newer = bytes;
    newer[8] = 9;
    assert!(matches!(bench(&[]).resume(&newer), Err(ResumeError::Version { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever makes a fitting checksum gets a sentence too, or a graph that runs; no panic, and no memory for what is not there.
    #[test]
    fn damage_with_a_fitting_checksum_is_no_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        static FROZEN: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(frozen);
        let mut state = FROZEN[16..].to_vec();
        for (at, value) in changes {
            let at = at.index(state.len());
            state[at] = value;
        }
        if !whole {
            state.truncate(cut.index(state.len()));
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&state).to_le_bytes());
        bytes.extend_from_slice(&state);
        let mut bench = bench(&[]);
        if bench.resume(&bytes).is_ok() {
            bench.run_for(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_claimed_length_takes_no_memory() {
    // 2^60 numbers, and three bytes of them.
    let claim = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 2, 3];
    assert!(unpack::<Vec<u64>>(&claim).is_err() && unpack::<String>(&claim).is_err() && unpack::<Blob>(&claim).is_err());
    let error: NodeError = unpack::<Cdr<Int64>>(&pack(&Blob(vec![0, 1, 0, 0, 1])).unwrap()).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}
