//! Quality of service, events and the view of the graph between two processes' worth of graphs on the wall clock.

use crate::common::{LIMIT, config, wait_until};
use graph::transport::Transport;
use graph::{
    Graph, GraphConfig, Mode, Node, NodeFactory, NodeSpec, Param, Publisher, Qos, Setup, SetupError, StopFlag, silent_sink,
};
use msgs::diagnostic_msgs::msg::DiagnosticArray;
use msgs::std_msgs::msg::{Int64, String as Text};
use msgs::std_srvs::srv::Trigger;
use msgs::{Message, MessageType};
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use wire::{Client, Wire, WireConfig, gid_of};
use zenoh::Wait;
use zenoh::qos::CongestionControl;
use zenoh::sample::SourceInfo;

const MS: Duration = Duration::from_millis(1);

/// What nodes noted: their name and a line. Nodes are made by type, so there is one for all tests; each has a robot of its own.
static NOTES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

fn note(node: &str, line: String) {
    NOTES.lock().push((node.to_owned(), line));
}

fn notes(node: &str, start: &str) -> Vec<String> {
    NOTES.lock().iter().filter(|(name, line)| name == node && line.starts_with(start)).map(|(_, line)| line.clone()).collect()
}

fn noted(node: &str, start: &str) -> bool {
    !notes(node, start).is_empty()
}

fn profile(name: &str) -> Qos {
    match name {
        "best_effort" => Qos::sensor_data(),
        "latched" => Qos::latched(3),
        "manual" => Qos::reliable(10).manual_liveliness(3000 * MS),
        "short_lived" => Qos::latched(10).lifespan(200 * MS),
        _ => Qos::reliable(10),
    }
}

/// Publishes 1, 2, 3, ... up to `last`, from `first` on, or until the node `until` has heard one; afterwards it asserts its liveliness.
struct Talker {
    out: Publisher<Int64>,
    next: i64,
    last: Param<i64>,
    until: Param<String>,
}

impl Node for Talker {
    const NAME: &'static str = "talker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let qos = profile(&s.param("qos", "reliable".to_owned()).declare()?.get());
        s.on_qos_event(|_: &mut Self, ctx, event| {
            note(ctx.node_name(), format!("{:?}", event.kind));
            Ok(())
        })?;
        s.timer(20 * MS, |node: &mut Self, ctx| {
            note(ctx.node_name(), format!("subscribers {} {}", ctx.count_subscribers("numbers"), node.out.count_subscribers()));
            if node.next <= node.last.get() && !noted(&node.until.get(), "heard") {
                node.out.publish(ctx, Int64 { data: node.next });
                node.next += 1;
            } else {
                node.out.assert_liveliness(ctx);
            }
            Ok(())
        })?;
        s.service::<Trigger>("go", |_: &mut Self, _, _| Ok(Default::default()))?;
        let next = s.param("first", 1).declare()?.get();
        let (last, until) = (s.param("last", 1_000_000).declare()?, s.param("until", String::new()).declare()?);
        Ok(Self { out: s.publisher("numbers", qos)?, next, last, until })
    }
}

struct Listener;

impl Node for Listener {
    const NAME: &'static str = "listener";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let qos = profile(&s.param("qos", "reliable".to_owned()).declare()?.get());
        s.on_qos_event(|_: &mut Self, ctx, event| {
            note(ctx.node_name(), format!("{:?}", event.kind));
            Ok(())
        })?;
        s.subscribe("numbers", qos, |_: &mut Self, ctx, number: Arc<Int64>| {
            note(ctx.node_name(), format!("heard {}", number.data));
            Ok(())
        })?;
        s.on_service::<Trigger>("go", |_: &mut Self, ctx, available| {
            note(ctx.node_name(), format!("served {available}"));
            Ok(())
        })?;
        s.subscribe("/diagnostics", Qos::reliable(10), |_: &mut Self, ctx, report: Arc<DiagnosticArray>| {
            report.status.iter().for_each(|status| note(ctx.node_name(), format!("said {}: {}", status.name, status.message)));
            Ok(())
        })?;
        Ok(Self)
    }
}

/// Listens to `numbers` with another type.
struct Stranger;

impl Node for Stranger {
    const NAME: &'static str = "stranger";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.on_qos_event(|_: &mut Self, ctx, event| {
            note(ctx.node_name(), format!("{:?}", event.kind));
            Ok(())
        })?;
        s.subscribe("numbers", Qos::reliable(1), |_: &mut Self, _, _: Arc<Text>| Ok(()))?;
        Ok(Self)
    }
}

/// Hears everything of its robot.
struct Recorder;

impl Node for Recorder {
    const NAME: &'static str = "recorder";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.tap(
            |_, _| true,
            |_: &mut Self, ctx, message| {
                if let Some(number) = message.downcast::<Int64>() {
                    note(ctx.node_name(), format!("tapped {} {} ({})", message.topic, number.data, message.qos));
                }
                if let Some(report) = message.downcast::<DiagnosticArray>() {
                    report
                        .status
                        .iter()
                        .for_each(|status| note(ctx.node_name(), format!("said {}: {}", status.name, status.message)));
                }
                if message.message_type.name == FOREIGN.name {
                    note(ctx.node_name(), format!("tapped {} as {:?}", message.topic, message.to_cdr()));
                }
                Ok(())
            },
        )?;
        Ok(Self)
    }
}

/// One process: a graph on the wall clock with a wire.
struct Process {
    stop: StopFlag,
    thread: Option<JoinHandle<()>>,
}

type Nodes<'a> = &'a [(NodeFactory, &'a str, &'a [(&'a str, graph::ParamValue)])];

impl Process {
    fn start(config: &WireConfig, robot: &str, nodes: Nodes<'_>) -> Self {
        let wire: Arc<dyn Transport> = Arc::new(Wire::open(config.clone()).expect("opens"));
        let mut graph = Graph::new(GraphConfig {
            mode: Mode::FreeRunning,
            robot: robot.to_owned(),
            transport: Some(wire),
            log: silent_sink(),
            threads: 2,
            ..GraphConfig::default()
        })
        .expect("a graph");
        for (factory, name, parameters) in nodes {
            let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            graph.add(*factory, NodeSpec { name: Some((*name).to_owned()), parameters, ..NodeSpec::default() }).expect("a node");
        }
        let stop = graph.stop_flag();
        let thread = std::thread::spawn(move || drop(graph.run()));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.stop("the test is over");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("ends in order");
        }
    }
}

fn talker() -> NodeFactory {
    NodeFactory::of::<Talker>()
}

fn listener() -> NodeFactory {
    NodeFactory::of::<Listener>()
}

#[test]
fn what_does_not_fit_is_not_delivered_between_processes_and_both_sides_are_told() {
    let config = config();
    let _a = Process::start(&config, "misfit", &[(talker(), "talker", &[("qos", "best_effort".into())])]);
    let _b =
        Process::start(&config, "misfit", &[(listener(), "strict", &[]), (listener(), "lax", &[("qos", "best_effort".into())])]);
    let _c = Process::start(&config, "misfit", &[(NodeFactory::of::<Stranger>(), "stranger", &[])]);
    wait_until("data at the lax one", || notes("/misfit/lax", "heard").len() >= 5);
    wait_until("the policy at the strict one", || {
        noted("/misfit/strict", "IncompatibleQos { total: 1, change: 1, policy: Reliability")
    });
    wait_until("the policy at the talker", || noted("/misfit/talker", "IncompatibleQos"));
    wait_until("the type at the stranger", || noted("/misfit/stranger", "IncompatibleType"));
    wait_until("the type at the talker", || noted("/misfit/talker", "IncompatibleType"));
    wait_until("the counts", || noted("/misfit/talker", "subscribers 3 1"));
    let sentence = "said graph: topic /misfit/numbers: /misfit/talker to /misfit/strict: the publisher offers best effort";
    wait_until("a sentence on /diagnostics", || noted("/misfit/strict", sentence));
    wait_until("refused samples, counted", || {
        notes("/misfit/strict", "said").iter().any(|line| line.contains("did not take samples of publishers that do not fit"))
    });
    wait_until("two nodes named graph", || noted("/misfit/strict", "said graph: node /misfit/graph: 3 nodes of this name"));
    assert_eq!(notes("/misfit/strict", "heard"), [""; 0]);
}

#[test]
fn a_publisher_elsewhere_is_alive_while_it_says_so_and_gone_when_its_process_is() {
    let config = config();
    let _b = Process::start(&config, "alive", &[(listener(), "listener", &[("qos", "manual".into())])]);
    let understood = [("qos", "manual".into()), ("until", "/alive/listener".into())];
    let a = Process::start(&config, "alive", &[(talker(), "talker", &understood)]);
    wait_until("the service", || noted("/alive/listener", "served true"));
    wait_until("alive", || noted("/alive/listener", "LivelinessChanged { alive: 1, not_alive: 0, alive_change: 1"));
    // After a sample was heard it only asserts, for several leases.
    wait_until("a sample", || noted("/alive/listener", "heard"));
    let count = notes("/alive/talker", "subscribers").len();
    wait_until("seven seconds of assertions", || notes("/alive/talker", "subscribers").len() > count + 350);
    let alive_before = notes("/alive/listener", "LivelinessChanged").len();
    drop(a);
    wait_until("the service is gone", || noted("/alive/listener", "served false"));
    wait_until("gone", || noted("/alive/listener", "Matched { total: 1, change: 0, current: 0, current_change: -1 }"));
    assert!(alive_before <= 3, "it was alive throughout, but for a slow machine: {:?}", notes("/alive/listener", "Liveliness"));
}

#[test]
fn transient_local_samples_outlive_restarts_of_either_side() {
    let config = config();
    let latched = |first: i64, last: i64| [("qos", "latched".into()), ("first", first.into()), ("last", last.into())];
    // The router stays whoever comes and goes.
    let _router = Process::start(&config, "elsewhere", &[]);
    let first = Process::start(&config, "late", &[(talker(), "talker", &latched(1, 5))]);
    wait_until("five samples", || notes("/late/talker", "subscribers").len() > 6);
    for name in ["joins", "joins_again"] {
        let _b = Process::start(&config, "late", &[(listener(), name, &[("qos", "latched".into())])]);
        let name = format!("/late/{name}");
        wait_until("the last three", || notes(&name, "heard").len() == 3);
        assert_eq!(notes(&name, "heard"), ["heard 3", "heard 4", "heard 5"], "as deep as both ends");
    }
    let _b = Process::start(&config, "late", &[(listener(), "stays", &[("qos", "latched".into())])]);
    wait_until("the first life", || noted("/late/stays", "heard 5"));
    drop(first);
    let _a = Process::start(&config, "late", &[(talker(), "talker", &latched(10, 12))]);
    wait_until("the second life", || noted("/late/stays", "heard 12"));
    assert_eq!(notes("/late/stays", "heard")[3..], ["heard 10", "heard 11", "heard 12"]);
    assert!(!noted("/late/stays", "MessageLost"));
}

#[test]
fn samples_over_their_lifespan_are_not_delivered_from_another_process_either() {
    let config = config();
    let _a = Process::start(&config, "old", &[(talker(), "talker", &[("qos", "short_lived".into()), ("last", 3.into())])]);
    wait_until("long past its last sample", || notes("/old/talker", "subscribers").len() > 40);
    let _b = Process::start(&config, "old", &[(listener(), "listener", &[("qos", "short_lived".into())])]);
    let expired = "/old/listener was too slow for samples, which were over their lifespan: 3 since";
    wait_until("three samples too old", || notes("/old/listener", "said").iter().any(|line| line.contains(expired)));
    assert_eq!(notes("/old/listener", "heard"), [""; 0]);
}

/// A type that this program was not built with.
static FOREIGN: MessageType = MessageType::opaque(
    "foreign_msgs/msg/Thing",
    "foreign_msgs::msg::dds_::Thing_",
    "RIHS01_0000000000000000000000000000000000000000000000000000000000000001",
);

#[test]
fn taps_hear_topics_that_only_other_processes_have() {
    let config = config();
    let _b = Process::start(&config, "tapped", &[(NodeFactory::of::<Recorder>(), "recorder", &[])]);
    let _a = Process::start(&config, "tapped", &[(talker(), "talker", &[("qos", "best_effort".into())])]);
    wait_until("numbers", || notes("/tapped/recorder", "tapped /tapped/numbers").len() > 3);
    assert!(
        noted("/tapped/recorder", "tapped /tapped/numbers")
            && notes("/tapped/recorder", "tapped")[0].ends_with("(best effort, volatile, keep last 5)")
    );
    let client = Client::connect(config.clone()).expect("connects");
    let foreign = client.advertise("/tapped/thing", &FOREIGN, Qos::reliable(1)).expect("declares");
    wait_until("an ear for the unknown type", || foreign.matched());
    foreign.publish(vec![0, 1, 0, 0, 7]).expect("sends");
    wait_until("its bytes", || noted("/tapped/recorder", "tapped /tapped/thing as [0, 1, 0, 0, 7]"));
    // A subscription in the tap's own process takes over: nothing is heard twice.
    let _c = Process::start(
        &config,
        "tapped",
        &[(NodeFactory::of::<Recorder>(), "second", &[]), (listener(), "listener", &[("qos", "best_effort".into())])],
    );
    wait_until("numbers again", || notes("/tapped/second", "tapped").len() > 5);
    let heard = notes("/tapped/second", "tapped");
    let mut once = heard.clone();
    once.dedup();
    assert_eq!(heard, once);
}

/// A session that speaks rmw_zenoh by hand.
struct Foreigner {
    session: zenoh::Session,
    publisher: zenoh::pubsub::Publisher<'static>,
    gid: [u8; 16],
    _token: zenoh::liveliness::LivelinessToken,
}

impl Foreigner {
    fn publishes<M: Message>(config: &WireConfig, name: &str, qos: &str) -> Self {
        let mut settings = zenoh::Config::default();
        for (path, value) in [
            ("mode", "\"client\"".to_owned()),
            ("connect/endpoints", format!("[{:?}]", config.router)),
            ("scouting/multicast/enabled", "false".into()),
        ] {
            settings.insert_json5(path, &value).expect("a setting");
        }
        let session = zenoh::open(settings).wait().expect("a session");
        let kind = M::message_type();
        let mangled = name.replace('/', "%");
        let token = format!("@ros2_lv/0/{}/1/2/MP/%/%/foreigner/{mangled}/{}/{}/{qos}", session.zid(), kind.dds_name, kind.hash);
        let key = format!("0/{}/{}/{}", &name[1..], kind.dds_name, kind.hash);
        let _token = session.liveliness().declare_token(token.clone()).wait().expect("a token");
        let publisher = session.declare_publisher(key).congestion_control(CongestionControl::Block).wait().expect("a publisher");
        Self { session, publisher, gid: gid_of(&token), _token }
    }

    fn put(&self, payload: &[u8], attachment: Option<Vec<u8>>) {
        let put = self.publisher.put(payload);
        match attachment {
            Some(attachment) => put.attachment(attachment).wait(),
            None => put.wait(),
        }
        .expect("sends");
    }

    fn attachment(&self, sequence: i64) -> Vec<u8> {
        wire::Attachment { sequence, source_time_ns: 1, gid: self.gid }.to_bytes()
    }
}

#[test]
fn gaps_in_a_publishers_count_are_told_as_lost_and_nonsense_is_refused_and_counted() {
    let config = config();
    let _b = Process::start(&config, "hostile", &[(listener(), "listener", &[])]);
    let foreigner = Foreigner::publishes::<Int64>(&config, "/hostile/numbers", "::,10:,:,:,,");
    wait_until("a match", || noted("/hostile/listener", "Matched"));
    // The listener knows the foreigner before the foreigner's session need know the listener.
    wait_until("the subscription is known", || foreigner.publisher.matching_status().wait().expect("answers").matching());
    let good = |number: i64| Int64 { data: number }.to_cdr();
    // Without an attachment, with half of one, with ten megabytes.
    foreigner.put(&good(1), None);
    foreigner.put(&good(2), Some(vec![1; 32]));
    foreigner.put(&good(3), Some(vec![16; 10 << 20]));
    // Nothing, half a header, encapsulations that nobody knows, half a body.
    for payload in [&[][..], &[0, 1], &[0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 1, 0, 0, 1, 2]] {
        foreigner.put(payload, Some(foreigner.attachment(1)));
    }
    let _nonsense: Vec<_> =
        ["@ros2_lv/0/x", "@ros2_lv/0/aa/1/2/MP/%/%/n/%hostile%numbers/T_/H/9::", "@ros2_lv/0/aa/99999999999999999999/2/NN/%/%/n"]
            .map(|token| foreigner.session.liveliness().declare_token(token).wait().expect("a token"))
            .into();
    foreigner.put(&good(4), Some(foreigner.attachment(2)));
    foreigner.put(&good(5), Some(foreigner.attachment(7)));
    foreigner.put(&good(6), Some(foreigner.attachment(-1)));
    wait_until("the good ones", || notes("/hostile/listener", "heard").len() == 3);
    assert_eq!(notes("/hostile/listener", "heard"), ["heard 4", "heard 5", "heard 6"]);
    wait_until("four lost", || noted("/hostile/listener", "MessageLost { total: 4, change: 4 }"));
    for said in [
        "said graph: wire: 3 samples and requests refused",
        "said hostile/listener: receive /hostile/numbers: a sample from another process is no std_msgs/msg/Int64",
    ] {
        wait_until(said, || noted("/hostile/listener", said));
    }
    let tokens = "3 liveliness tokens refused";
    wait_until(tokens, || notes("/hostile/listener", "said graph: wire: ").iter().any(|note| note.contains(tokens)));
}

#[test]
fn a_sample_that_overtakes_the_history_of_its_publisher_is_heard_after_it() {
    let config = config();
    let _b = Process::start(&config, "overtaken", &[(listener(), "listener", &[("qos", "latched".into())])]);
    let foreigner = Foreigner::publishes::<Int64>(&config, "/overtaken/numbers", ":1:,3:,:,:,,");
    wait_until("a match", || noted("/overtaken/listener", "Matched"));
    wait_until("the subscription is known", || foreigner.publisher.matching_status().wait().expect("answers").matching());
    let id = foreigner.publisher.id();
    let history = format!("{}/@adv/pub/{}/{}/_", foreigner.publisher.key_expr(), id.zid(), id.eid());
    let asked = foreigner.session.declare_queryable(history.clone()).wait().expect("a queryable");
    let _late = foreigner.session.liveliness().declare_token(history).wait().expect("a token");
    let (payload, number) = (|n: u32| Int64 { data: n.into() }.to_cdr(), |n| SourceInfo::new(id, n));
    let first = asked.recv_timeout(LIMIT).expect("open").expect("the history is asked for");
    // The history, two samples, is on its way when the third is sent.
    let third = foreigner.publisher.put(payload(2)).attachment(foreigner.attachment(3)).source_info(number(2));
    third.wait().expect("sends");
    let answer = |query: zenoh::query::Query| {
        for n in [0, 1, 2] {
            let reply = query.reply(foreigner.publisher.key_expr(), payload(n)).source_info(number(n));
            reply.attachment(foreigner.attachment(i64::from(n) + 1)).wait().expect("replies");
        }
    };
    answer(first);
    wait_until("all three", || {
        while let Ok(Some(query)) = asked.try_recv() {
            answer(query);
        }
        notes("/overtaken/listener", "heard").len() == 3
    });
    assert_eq!(notes("/overtaken/listener", "heard"), ["heard 0", "heard 1", "heard 2"]);
}
