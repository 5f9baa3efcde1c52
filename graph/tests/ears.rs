//! What taps hear of other processes while ends come and go, over a wire whose other end is the test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use graph::testing::Nobody;
use graph::transport::{
    ChangeSink, Endpoint, EndpointKind, NodeIdentity, RemoteChange, RemoteClient, RemoteEndpoint, RemotePublisher, RemoteSample,
    RequestSink, SampleSink, Token, Transport, TransportError,
};
use graph::{
    Context, Durability, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Qos, RunReport, Setup, SetupError,
    Time, silent_sink,
};
use msgs::Message;
use msgs::std_msgs::msg::Int64;
use parking_lot::Mutex;

/// Subscriptions that are open, and what was opened and closed.
#[derive(Default)]
struct Open {
    next: u64,
    /// Whose, of what durability, and where samples go.
    sinks: BTreeMap<u64, (String, Durability, SampleSink)>,
    story: Vec<String>,
    changes: Option<ChangeSink>,
    /// What a publisher kept: sent to each that opens transient local.
    kept: Vec<i64>,
}

#[derive(Clone, Default)]
struct Far(Arc<Mutex<Open>>);

struct Subscription(Far, u64);
impl Drop for Subscription {
    fn drop(&mut self) {
        let mut open = self.0.0.lock();
        open.sinks.remove(&self.1);
        let line = format!("close {}", self.1);
        open.story.push(line);
    }
}
impl Token for Subscription {}

fn sample(number: i64) -> RemoteSample {
    let payload = Message::to_cdr(&Int64 { data: number }).into();
    let source_time = Time::from_nanos(number);
    RemoteSample { payload, source_time, sequence: number, gid: [1; 16], age: None, carrier: ("shared-memory", 0) }
}

impl Transport for Far {
    fn node(&self, _: &NodeIdentity) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn publisher(&self, _: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn subscription(&self, endpoint: &Endpoint, sink: SampleSink) -> Result<Box<dyn Token>, TransportError> {
        if endpoint.name != "/numbers" {
            return Ok(Box::new(Nobody(())));
        }
        let (id, kept) = {
            let mut open = self.0.lock();
            open.next += 1;
            let (id, durability) = (open.next, endpoint.qos.durability);
            open.sinks.insert(id, (endpoint.node.name.clone(), durability, Arc::clone(&sink)));
            let line = format!("open {id} {} {durability:?}", endpoint.node.name);
            open.story.push(line);
            (id, if durability == Durability::TransientLocal { open.kept.clone() } else { Vec::new() })
        };
        kept.into_iter().for_each(|number| sink(sample(number)));
        Ok(Box::new(Subscription(self.clone(), id)))
    }
    fn service(&self, _: &Endpoint, _: RequestSink) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn client(&self, _: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn follow(&self, sink: ChangeSink) {
        self.0.lock().changes = Some(sink);
    }
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
    fn describe(&self) -> String {
        "a test".into()
    }
}

impl Far {
    fn publisher(&self, gid: u8, qos: Qos, came: bool) {
        let kind = <Int64 as Message>::message_type();
        let end = Arc::new(RemoteEndpoint {
            kind: EndpointKind::Publisher,
            node: "/far".into(),
            name: "/numbers".into(),
            type_name: kind.name.to_owned(),
            type_hash: kind.hash.to_owned(),
            qos,
            gid: [gid; 16],
        });
        let open = self.0.lock();
        let change = if came { RemoteChange::Joined(end) } else { RemoteChange::Left(end) };
        open.changes.as_ref().unwrap()(change);
    }

    /// Publishes to all that listen now.
    fn say(&self, number: i64) {
        let sinks: Vec<_> = self.0.lock().sinks.values().map(|(_, _, sink)| Arc::clone(sink)).collect();
        sinks.iter().for_each(|sink| sink(sample(number)));
    }

    fn keep(&self, number: i64) {
        self.0.lock().kept.push(number);
    }
}

/// Tests take turns: nodes are made by type, and what they hear is in one place.
static TURN: Mutex<()> = Mutex::new(());
static HEARD: Mutex<Vec<(&str, i64)>> = Mutex::new(Vec::new());
static SCRIPT: Mutex<Option<Script>> = Mutex::new(None);
type Script = Box<dyn FnMut(u64, &mut Context) + Send>;

fn note(who: &'static str, number: i64) -> HandlerResult {
    HEARD.lock().push((who, number));
    Ok(())
}

/// A tap, wide or local.
struct Tap<const WIDE: bool>;
impl<const WIDE: bool> Node for Tap<WIDE> {
    const NAME: &'static str = if WIDE { "wide" } else { "local" };
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let on = |topic: &str, _: &msgs::MessageType| topic == "/numbers";
        let hear = |_: &mut Self, _: &mut Context, message: &graph::AnyMessage| {
            note(Self::NAME, message.downcast::<Int64>().map_or(-1, |number| number.data))
        };
        if WIDE {
            s.tap(on, hear)?
        } else {
            s.tap_local(on, hear)?
        }
        Ok(Self)
    }
}

/// A subscription, transient local or volatile.
struct Listener<const LATE: bool>;
impl<const LATE: bool> Node for Listener<LATE> {
    const NAME: &'static str = if LATE { "latecomer" } else { "listener" };
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let qos = if LATE { Qos::latched(10) } else { Qos::reliable(10) };
        s.subscribe("/numbers", qos, |_: &mut Self, _, number: Arc<Int64>| note(Self::NAME, number.data))?;
        Ok(Self)
    }
}

/// Calls the script every 50 ms; ears are looked after in each step of 10.
struct Director(AtomicU64);
impl Node for Director {
    const NAME: &'static str = "director";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(50), |node: &mut Self, ctx| {
            let tick = node.0.fetch_add(1, Ordering::Relaxed);
            let mut script = SCRIPT.lock().take().ok_or_else(|| graph::NodeError::new("no script"))?;
            script(tick, ctx);
            *SCRIPT.lock() = Some(script);
            Ok(())
        })?;
        Ok(Self(0.into()))
    }
}

/// Runs nodes while the script says what happens elsewhere. Returns the story of subscriptions, and the report.
fn play(nodes: &[NodeFactory], script: impl Fn(&Far, u64, &mut Context) + Send + 'static) -> (Vec<String>, RunReport) {
    HEARD.lock().clear();
    let far = Far::default();
    let hand = far.clone();
    *SCRIPT.lock() = Some(Box::new(move |tick, ctx| script(&hand, tick, ctx)));
    let mode = Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 };
    let config = GraphConfig { mode, log: silent_sink(), transport: Some(Arc::new(far.clone())), ..GraphConfig::default() };
    let mut graph = Graph::new(config).unwrap();
    for factory in nodes.iter().chain([&NodeFactory::of::<Director>()]) {
        graph.add(*factory, NodeSpec::default()).unwrap();
    }
    let report = graph.run();
    let story = std::mem::take(&mut far.0.lock().story);
    *SCRIPT.lock() = None;
    (story, report)
}

fn heard(who: &str) -> Vec<i64> {
    HEARD.lock().iter().filter(|(by, _)| *by == who).map(|(_, number)| *number).collect()
}

#[test]
fn kept_samples_reach_a_tap_though_a_node_listens_to_new_ones_only() {
    let _turn = TURN.lock();
    let nodes = [NodeFactory::of::<Listener<false>>(), NodeFactory::of::<Tap<true>>(), NodeFactory::of::<Tap<false>>()];
    play(&nodes, |far, tick, ctx| match tick {
        0 => {
            [1, 2].iter().for_each(|number| far.keep(*number));
            far.publisher(1, Qos::latched(10), true);
        }
        1..3 => far.say(tick as i64 + 2),
        3 => ctx.shutdown("heard enough"),
        _ => {}
    });
    assert_eq!(heard("listener"), [3, 4]);
    assert_eq!(heard("wide"), [1, 2, 3, 4]);
    assert_eq!(heard("local"), [3, 4], "what the node hears, and no more");
}

#[test]
fn what_two_nodes_are_given_of_the_past_and_the_present_reaches_taps_once() {
    let _turn = TURN.lock();
    let nodes = [
        NodeFactory::of::<Listener<false>>(),
        NodeFactory::of::<Listener<true>>(),
        NodeFactory::of::<Tap<true>>(),
        NodeFactory::of::<Tap<false>>(),
    ];
    let (_, report) = play(&nodes, |far, tick, ctx| match tick {
        // It speaks before it has announced itself, so that no ear is open.
        0 => far.say(3),
        1 => {
            let sinks: Vec<_> = far.0.lock().sinks.values().cloned().collect();
            for (_, _, sink) in sinks.iter().filter(|(_, durability, _)| *durability == Durability::TransientLocal) {
                [1, 2].iter().for_each(|number| sink(sample(*number)));
            }
        }
        2 => {
            [1, 2, 3].iter().for_each(|number| far.keep(*number));
            far.publisher(1, Qos::latched(10), true);
        }
        3 => far.say(4),
        4 => ctx.shutdown("heard enough"),
        _ => {}
    });
    assert_eq!(heard("latecomer"), [3, 1, 2, 4]);
    assert_eq!(heard("wide"), [3, 1, 2, 4]);
    assert_eq!(heard("local"), [3, 1, 2, 4]);
    // An edge says by what way its samples came.
    let edge = report.statistics.edges.iter().find(|edge| edge.topic == "/numbers" && edge.subscriber == "/listener").unwrap();
    assert_eq!((edge.transport.as_str(), edge.copies, edge.messages), ("shared-memory", 0, 2));
}

#[test]
fn an_ear_is_open_before_the_one_that_it_replaces_is_closed_and_what_both_hear_is_heard_once() {
    let _turn = TURN.lock();
    let (story, _) = play(&[NodeFactory::of::<Tap<true>>()], |far, tick, ctx| match tick {
        0 => {
            far.keep(1);
            far.publisher(1, Qos::latched(10), true);
        }
        // One that keeps nothing: the ear may not ask for the past any more.
        1 => far.publisher(2, Qos::reliable(10), true),
        2 => far.say(2),
        3 => {
            far.keep(2);
            far.publisher(2, Qos::reliable(10), false);
        }
        4 => far.say(3),
        5 => far.publisher(1, Qos::latched(10), false),
        6 => ctx.shutdown("heard enough"),
        _ => {}
    });
    let expected =
        ["open 1 graph TransientLocal", "open 2 graph Volatile", "close 1", "open 3 graph TransientLocal", "close 2", "close 3"];
    assert_eq!(story, expected);
    assert_eq!(heard("wide"), [1, 2, 3]);
}

#[test]
fn a_topic_that_only_taps_hear_stays_when_the_last_node_that_used_it_goes() {
    let _turn = TURN.lock();
    let nodes = [NodeFactory::of::<Tap<true>>()];
    let listener = Arc::new(Mutex::new(None));
    play(&nodes, move |far, tick, ctx| match tick {
        0 => {
            far.publisher(1, Qos::reliable(10), true);
            let listener = Arc::clone(&listener);
            ctx.add_node(NodeFactory::of::<Listener<false>>(), NodeSpec::default(), move |node| *listener.lock() = node.ok());
        }
        1 => far.say(1),
        2 => ctx.remove_node(&listener.lock().take().unwrap(), |result| result.unwrap()),
        // Who taps from now on finds the topic that the ear is on.
        3 => {
            let spec = NodeSpec { name: Some("another".into()), ..NodeSpec::default() };
            ctx.add_node(NodeFactory::of::<Tap<true>>(), spec, |_| ());
        }
        4 => far.say(2),
        5 => ctx.shutdown("heard enough"),
        _ => {}
    });
    assert_eq!(heard("listener"), [1]);
    assert_eq!(heard("wide"), [1, 2, 2]);
}
