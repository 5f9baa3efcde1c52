//! One thing is broken on purpose in each test, and the graph has to say so on /diagnostics within a second of its clock, once that is over too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use graph::testing::{Bench, Nobody};
use graph::transport::{
    ChangeSink, Endpoint, EndpointKind, NodeIdentity, RemoteChange, RemoteClient, RemoteEndpoint, RemotePublisher, ReplySink,
    RequestSink, SampleSink, SharedMemory, Token, Transport, TransportError,
};
use graph::{
    Erased, Graph, GraphConfig, Node, NodeFactory, NodeSpec, ParamValue, Publisher, Qos, Setup, SetupError, Time, silent_sink,
};
use msgs::description;
use msgs::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use msgs::sensor_msgs::msg::Temperature;
use msgs::std_msgs::msg::{Header, Int64, String as Text};
use msgs::type_description_interfaces::srv::{GetTypeDescription, GetTypeDescriptionRequest, GetTypeDescriptionResponse};
use msgs::{Message, Service};
use parking_lot::Mutex;

/// Measures every 50 ms, except between `quiet_from` and `quiet_to`; stamps are `age` too old.
struct Thermometer(Publisher<Temperature>);
impl Node for Thermometer {
    const NAME: &'static str = "thermometer";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let (from, to) = (s.param("quiet_from", 1e9).declare()?, s.param("quiet_to", 1e9).declare()?);
        let age = s.param("age", 0.0).declare()?;
        s.timer(Duration::from_millis(50), move |node: &mut Self, ctx| {
            let now = ctx.now().as_secs_f64();
            if now >= from.get() && now < to.get() {
                return Ok(());
            }
            let stamp = Time::from_nanos(((now - age.get()) * 1e9) as i64).to_msg();
            node.0.publish(ctx, Temperature { header: Header { stamp, frame_id: "body".into() }, ..Default::default() });
            Ok(())
        })?;
        Ok(Self(s.publisher("temperature", Qos::sensor_data())?))
    }
}

struct Listener;
impl Node for Listener {
    const NAME: &'static str = "listener";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("temperature", Qos::sensor_data(), |_: &mut Self, _, _: Arc<Temperature>| Ok(()))?;
        Ok(Self)
    }
}

/// Five numbers at once, every 100 ms.
struct Burst(Publisher<Int64>);
impl Node for Burst {
    const NAME: &'static str = "burst";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| {
            if ctx.now().as_secs_f64() < 3.0 {
                (0..5).for_each(|data| node.0.publish(ctx, Int64 { data }));
            }
            Ok(())
        })?;
        Ok(Self(s.publisher("numbers", Qos::reliable(10))?))
    }
}

struct Shallow;
impl Node for Shallow {
    const NAME: &'static str = "shallow";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("numbers", Qos::reliable(2), |_: &mut Self, _, _: Arc<Int64>| Ok(()))?;
        Ok(Self)
    }
}

fn remap(from: &str, to: &str) -> NodeSpec {
    NodeSpec { remaps: BTreeMap::from([(from.to_owned(), to.to_owned())]), ..NodeSpec::default() }
}

type Said = Vec<(f64, DiagnosticStatus)>;

fn said(bench: &mut Bench) -> Said {
    let reports = bench.take::<DiagnosticArray>("/diagnostics");
    let one = |report: &Arc<DiagnosticArray>| {
        let at = Time::from_msg(&report.header.stamp).as_secs_f64();
        report.status.iter().map(|status| (at, status.clone())).collect::<Vec<_>>()
    };
    reports.iter().flat_map(one).collect()
}

/// The statuses of a name, each with when it was said.
fn of(said: &Said, name: &str) -> Said {
    said.iter().filter(|(_, status)| status.name == name).cloned().collect()
}

/// That something is wrong was first said at.
fn began(said: &Said) -> f64 {
    said.iter().find(|(_, status)| status.level > DiagnosticStatus::OK).unwrap_or_else(|| panic!("nothing was said: {said:?}")).0
}

fn overs(said: &Said) -> Vec<f64> {
    said.iter().filter(|(_, status)| status.message.starts_with("over: ")).map(|(at, _)| *at).collect()
}

#[test]
fn a_sensor_that_falls_silent_is_called_with_its_rate_before_and_its_return_is_said_once() {
    let mut bench = Bench::new();
    bench.add::<Thermometer>(&[("quiet_from", ParamValue::Double(6.0)), ("quiet_to", ParamValue::Double(9.0))]).unwrap();
    bench.add::<Listener>(&[]).unwrap();
    bench.run_for(Duration::from_secs(15));
    let said = of(&said(&mut bench), "listener: input /temperature");
    let at = began(&said);
    assert!(at > 6.0 && at <= 7.0, "{said:?}");
    let (_, first) = &said[0];
    assert_eq!(first.level, DiagnosticStatus::STALE);
    assert!(first.message.contains(" Hz before; /thermometer is still there"), "{first:?}");
    let rate: f64 = first.values.iter().find(|value| value.key == "rate_before_hz").unwrap().value.parse().unwrap();
    assert!((19.0..=21.0).contains(&rate) && first.hardware_id == "simulation", "{first:?}");
    assert!(matches!(overs(&said)[..], [over] if (9.0..=10.0).contains(&over)), "{said:?}");
}

#[test]
fn a_sensor_that_works_is_not_spoken_of() {
    let mut bench = Bench::new();
    bench.add::<Thermometer>(&[]).unwrap();
    bench.add::<Listener>(&[]).unwrap();
    bench.run_for(Duration::from_secs(10));
    let bad: Said = said(&mut bench).into_iter().filter(|(_, status)| status.level > DiagnosticStatus::OK).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn late_samples_are_told_by_their_header_and_those_of_another_clock_apart() {
    for (age, expected) in [
        (1.5, "samples are 1.50 s old"),
        (-3.0, "come 3.00 s before the time"),
        (200_000.0, "give both nodes the same use_sim_time"),
    ] {
        let mut bench = Bench::new();
        bench.add::<Thermometer>(&[("age", ParamValue::Double(age))]).unwrap();
        bench.add::<Listener>(&[]).unwrap();
        bench.run_for(Duration::from_secs(2));
        let said = of(&said(&mut bench), "listener: input /temperature");
        assert!(began(&said) <= 1.0, "{said:?}");
        assert!(said[0].1.message.contains(expected), "{said:?}");
    }
}

#[test]
fn a_typing_error_in_a_remap_is_told_with_what_was_meant() {
    let mut bench = Bench::new();
    bench.add::<Thermometer>(&[]).unwrap();
    bench.add_spec::<Listener>(remap("temperature", "temprature")).unwrap();
    bench.run_for(Duration::from_secs(2));
    let said = of(&said(&mut bench), "graph: topic /temprature");
    assert!(began(&said) <= 1.0);
    assert!(said[0].1.message.contains("/listener listens, remapped from `temperature`"), "{said:?}");
    assert!(said[0].1.message.contains("did you mean `/temperature`?"), "{said:?}");
}

/// Hears and publishes the same type under two names of which one ends like the other.
struct Filter(Publisher<Temperature>);
impl Node for Filter {
    const NAME: &'static str = "filter";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("device/temperature", Qos::sensor_data(), |node: &mut Self, ctx, t: Arc<Temperature>| {
            node.0.publish(ctx, (*t).clone());
            Ok(())
        })?;
        Ok(Self(s.publisher("temperature", Qos::sensor_data())?))
    }
}

#[test]
fn a_node_is_not_taken_for_its_own_source() {
    let mut bench = Bench::new();
    bench.add::<Filter>(&[]).unwrap();
    bench.run_for(Duration::from_secs(2));
    let said = of(&said(&mut bench), "graph: topic /device/temperature");
    assert!(!said.is_empty() && said.iter().all(|(_, status)| status.level == DiagnosticStatus::OK), "{said:?}");
}

#[test]
fn a_publisher_that_was_remapped_past_its_listener_is_told_so() {
    let mut bench = Bench::new();
    bench.add_spec::<Thermometer>(remap("temperature", "/body/temperature")).unwrap();
    bench.add::<Listener>(&[]).unwrap();
    bench.run_for(Duration::from_secs(2));
    let said = said(&mut bench);
    let publisher = of(&said, "graph: topic /body/temperature");
    assert!(publisher[0].1.message.contains("/listener listens to /temperature; did you mean that?"), "{publisher:?}");
    let listener = of(&said, "graph: topic /temperature");
    assert!(
        listener[0].1.message.contains("/thermometer publishes /body/temperature of the same type to nobody"),
        "{listener:?}"
    );
}

#[test]
fn what_a_full_queue_drops_is_told_per_edge_with_the_reason_and_that_it_is_over_once() {
    let mut bench = Bench::new();
    bench.add::<Burst>(&[]).unwrap();
    bench.add::<Shallow>(&[]).unwrap();
    bench.run_for(Duration::from_secs(6));
    let said = said(&mut bench);
    let drops = of(&said, "shallow: drops /numbers");
    assert!(began(&drops) <= 1.0);
    let message = &drops[0].1.message;
    assert!(
        message.contains("of 50 messages from /burst on /numbers dropped") || message.contains("of 45 messages"),
        "{message}"
    );
    assert!(message.contains("its queue of 2 was full") && message.contains("ask for a longer queue"), "{message}");
    assert!(!message.contains(" ms"), "a measured time would differ from run to run: {message}");
    assert!(matches!(overs(&drops)[..], [over] if (3.0..=4.5).contains(&over)), "{drops:?}");
    assert!(of(&said, "shallow: queue").is_empty(), "said once, not twice");
}

// What other processes do is told by a wire that a test holds in its hand.

#[derive(Default)]
struct Hearsay {
    sinks: Mutex<Vec<ChangeSink>>,
    troubles: Mutex<Vec<String>>,
    matched: Arc<AtomicBool>,
    fallbacks: Arc<AtomicU64>,
    /// What another node's `get_type_description` answers.
    description: Mutex<GetTypeDescriptionResponse>,
}

impl Hearsay {
    fn tell(&self, kind: EndpointKind, name: &str, type_name: &str, hash: &str, id: u8) {
        let end = RemoteEndpoint {
            kind,
            node: Arc::from("/stranger"),
            name: name.into(),
            type_name: type_name.into(),
            type_hash: hash.into(),
            qos: Qos::reliable(10),
            gid: [id; 16],
        };
        let end = Arc::new(end);
        self.sinks.lock().iter().for_each(|sink| {
            sink(RemoteChange::Joined(Arc::clone(&end)));
        });
    }
}

struct FarPublisher(Arc<AtomicBool>, Arc<AtomicU64>);
impl RemotePublisher for FarPublisher {
    fn matched(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    fn publish(&self, _: &dyn Erased, _: Time) -> Result<(), TransportError> {
        Ok(())
    }
    fn carrier(&self) -> (&'static str, u32) {
        ("network", 3)
    }
    fn assert_liveliness(&self) -> Result<(), TransportError> {
        Ok(())
    }
    fn memory(&self) -> Option<SharedMemory> {
        Some(SharedMemory { bytes: 8 << 20, fallbacks: self.1.load(Ordering::Relaxed) })
    }
}

struct FarClient(Vec<u8>);
impl RemoteClient for FarClient {
    fn available(&self) -> bool {
        true
    }
    fn call(&self, request: Vec<u8>, reply: ReplySink) {
        let request = GetTypeDescriptionRequest::from_cdr(&request).unwrap();
        assert_eq!(request.type_name, "std_msgs/msg/String");
        reply(Ok(self.0.clone()));
    }
}

impl Transport for Hearsay {
    fn node(&self, _: &NodeIdentity) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn publisher(&self, _: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError> {
        Ok(Box::new(FarPublisher(Arc::clone(&self.matched), Arc::clone(&self.fallbacks))))
    }
    fn subscription(&self, _: &Endpoint, _: SampleSink) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn service(&self, _: &Endpoint, _: RequestSink) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn client(&self, endpoint: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError> {
        assert_eq!(endpoint.name, "/stranger/get_type_description");
        Ok(Box::new(FarClient(Message::to_cdr(&*self.description.lock()))))
    }
    fn follow(&self, sink: ChangeSink) {
        self.sinks.lock().push(sink);
    }
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
    fn troubles(&self) -> Vec<String> {
        self.troubles.lock().clone()
    }
    fn describe(&self) -> String {
        "hearsay".into()
    }
}

static TAPES: Mutex<BTreeMap<String, Said>> = Mutex::new(BTreeMap::new());

/// Writes down what is said, talks on `/chatter`, and ends the run after 4 s.
struct Scribe(Publisher<Text>);
impl Node for Scribe {
    const NAME: &'static str = "scribe";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("/diagnostics", Qos::reliable(10), |_: &mut Self, ctx, report: Arc<DiagnosticArray>| {
            let at = ctx.now().as_secs_f64();
            let mut tapes = TAPES.lock();
            let tape = tapes.entry(ctx.node_name().to_owned()).or_default();
            tape.extend(report.status.iter().map(|status| (at, status.clone())));
            Ok(())
        })?;
        s.timer(Duration::from_millis(10), |node: &mut Self, ctx| {
            node.0.publish(ctx, Text::default());
            if ctx.now().as_secs_f64() >= 4.0 {
                ctx.shutdown("enough");
            }
            Ok(())
        })?;
        Ok(Self(s.publisher("/chatter", Qos::reliable(10))?))
    }
}

/// What is said in 4 s, while `happen` is called at 1.5 s and at 2.5 s.
fn listen_to(test: &str, wire: &Arc<Hearsay>, happen: impl Fn(f64, &Hearsay) + Send + Sync + 'static) -> Said {
    let step = Duration::from_millis(10);
    let config = GraphConfig {
        mode: graph::Mode::LockStep { step, rate: 0.0 },
        transport: Some(wire.clone()),
        log: silent_sink(),
        threads: 1,
        ..GraphConfig::default()
    };
    HAPPEN.lock().insert(format!("/{test}_fate"), (Arc::clone(wire), Box::new(happen)));
    let mut graph = Graph::new(config).unwrap();
    let named = |name: String| NodeSpec { name: Some(name), ..NodeSpec::default() };
    graph.add(NodeFactory::of::<Scribe>(), named(test.to_owned())).unwrap();
    graph.add(NodeFactory::of::<Fate>(), named(format!("{test}_fate"))).unwrap();
    graph.run();
    TAPES.lock().remove(&format!("/{test}")).unwrap_or_default()
}

type Happening = (Arc<Hearsay>, Box<dyn Fn(f64, &Hearsay) + Send + Sync>);
static HAPPEN: Mutex<BTreeMap<String, Happening>> = Mutex::new(BTreeMap::new());

/// Lets things happen at 1.5 s and at 2.5 s.
struct Fate(u32);
impl Node for Fate {
    const NAME: &'static str = "fate";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(500), |node: &mut Self, ctx| {
            node.0 += 1;
            if let Some((wire, happen)) = HAPPEN.lock().get(ctx.node_name())
                && (node.0 == 3 || node.0 == 5)
            {
                happen(ctx.now().as_secs_f64(), wire);
            }
            Ok(())
        })?;
        Ok(Self(0))
    }
}

#[test]
fn another_definition_of_a_type_is_told_with_the_field_that_differs() {
    let mut other = description::describe("std_msgs/msg/String").unwrap();
    other.type_description.fields[0].type_.type_id = 6;
    let hash = description::hash(&other);
    let wire = Arc::new(Hearsay::default());
    *wire.description.lock() =
        GetTypeDescriptionResponse { successful: true, type_description: other, ..GetTypeDescriptionResponse::default() };
    let told = listen_to("definition", &wire, move |at, wire| {
        if at < 2.0 {
            wire.tell(EndpointKind::Subscription, "/chatter", "std_msgs/msg/String", &hash, 1);
            let kind = GetTypeDescription::service_type();
            wire.tell(EndpointKind::Service, "/stranger/get_type_description", kind.name, kind.hash, 2);
        }
    });
    let told = of(&told, "graph: topic /chatter");
    assert!(began(&told) <= 2.5, "{told:?}");
    let with_field =
        told.iter().find(|(_, status)| status.message.contains("field `data` is string in ours and int32 in theirs"));
    assert!(with_field.is_some_and(|(at, _)| *at <= 2.5), "{told:?}");
}

#[test]
fn samples_that_find_no_room_in_the_pool_are_told_with_its_size() {
    let told = listen_to("pool", &Arc::new(Hearsay::default()), |at, wire| {
        if at < 2.0 {
            wire.fallbacks.fetch_add(3, Ordering::Relaxed);
        }
    });
    let told = of(&told, "pool: shared memory /chatter");
    let at = began(&told);
    assert!(at > 1.5 && at <= 2.5, "{told:?}");
    let bad: Vec<_> = told.iter().filter(|(_, status)| status.level == DiagnosticStatus::WARN).collect();
    assert_eq!(bad.len(), 1);
    assert!(bad[0].1.message.contains("3 samples of /chatter") && bad[0].1.message.contains("8192 KiB"), "{bad:?}");
}

#[test]
fn a_router_that_is_gone_is_told_at_once_and_its_return_once() {
    let told = listen_to("router", &Arc::new(Hearsay::default()), |at, wire| {
        *wire.troubles.lock() = if at < 2.0 { vec!["the router cannot be reached".into()] } else { vec![] };
    });
    let told = of(&told, "graph: router");
    let at = began(&told);
    assert!((1.5..=2.0).contains(&at), "{told:?}");
    assert!(matches!(overs(&told)[..], [over] if (2.5..=3.0).contains(&over)), "{told:?}");
}

#[test]
fn a_listener_to_whom_no_way_leads_is_told_as_refused_access() {
    let hash = <Text as Message>::message_type().hash;
    let told = listen_to("access", &Arc::new(Hearsay::default()), move |at, wire| {
        if at < 2.0 {
            wire.tell(EndpointKind::Subscription, "/chatter", "std_msgs/msg/String", hash, 3);
        } else {
            wire.matched.store(true, Ordering::Relaxed);
        }
    });
    let told = of(&told, "graph: access /chatter");
    let at = began(&told);
    assert!(at > 1.5 && at <= 2.5, "{told:?}");
    assert!(told[0].1.message.contains("/stranger listens") && told[0].1.message.contains("access_control"), "{told:?}");
    assert_eq!(overs(&told).len(), 1, "{told:?}");
}
