//! What taps hear of other processes, over a wire whose other end is the test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use graph::testing::Nobody;
use graph::transport::{
    ChangeSink, Endpoint, EndpointKind, NodeIdentity, RemoteChange, RemoteClient, RemoteEndpoint, RemotePublisher, RemoteSample,
    RequestSink, SampleSink, Token, Transport, TransportError,
};
use graph::{
    AnyMessage, Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Publisher, Qos, Setup, SetupError,
    silent_sink,
};
use msgs::Message;
use msgs::std_msgs::msg::Int64;
use parking_lot::Mutex;

/// The topics that are subscribed to, each with its sinks.
static SINKS: Mutex<BTreeMap<String, Vec<SampleSink>>> = Mutex::new(BTreeMap::new());

/// What another process publishes, one number each.
const ELSEWHERE: [(&str, i64); 2] = [("/numbers/wanted", 2), ("/numbers/foreign", 3)];

fn identity(number: i64) -> [u8; 16] {
    [u8::try_from(number).unwrap(); 16]
}

/// The wire to that process.
struct Other;

impl Transport for Other {
    fn node(&self, _: &NodeIdentity) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn publisher(&self, _: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn subscription(&self, endpoint: &Endpoint, sink: SampleSink) -> Result<Box<dyn Token>, TransportError> {
        SINKS.lock().entry(endpoint.name.clone()).or_default().push(sink);
        Ok(Box::new(Nobody(())))
    }
    fn service(&self, _: &Endpoint, _: RequestSink) -> Result<Box<dyn Token>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn client(&self, _: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError> {
        Ok(Box::new(Nobody(())))
    }
    fn follow(&self, sink: ChangeSink) {
        for (topic, number) in ELSEWHERE {
            let kind = <Int64 as Message>::message_type();
            sink(RemoteChange::Joined(Arc::new(RemoteEndpoint {
                kind: EndpointKind::Publisher,
                node: "/far".into(),
                name: topic.to_owned(),
                type_name: kind.name.to_owned(),
                type_hash: kind.hash.to_owned(),
                qos: Qos::reliable(10),
                gid: identity(number),
            })));
        }
    }
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
    fn describe(&self) -> String {
        "a test".into()
    }
}

/// By kind of tap: topics and numbers, in the order in which they were heard.
static HEARD: Mutex<Vec<(&str, String, i64)>> = Mutex::new(Vec::new());

fn hear(tap: &'static str, message: &AnyMessage) -> HandlerResult {
    if let Some(number) = message.downcast::<Int64>() {
        HEARD.lock().push((tap, message.topic.to_string(), number.data));
    }
    Ok(())
}

fn numbers(topic: &str, _: &msgs::MessageType) -> bool {
    topic.starts_with("/numbers/")
}

struct Local;
impl Node for Local {
    const NAME: &'static str = "local";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.tap_local(numbers, |_: &mut Self, _, message| hear("local", message))?;
        Ok(Self)
    }
}

struct Wide;
impl Node for Wide {
    const NAME: &'static str = "wide";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.tap(numbers, |_: &mut Self, _, message| hear("wide", message))?;
        Ok(Self)
    }
}

/// Publishes one topic and listens to another. When taps have had the time to open what they want, the other process publishes.
struct Neighbour {
    out: Publisher<Int64>,
    ticks: u32,
}
impl Node for Neighbour {
    const NAME: &'static str = "neighbour";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("numbers/wanted", Qos::reliable(10), |_: &mut Self, _, _: Arc<Int64>| Ok(()))?;
        s.timer(Duration::from_secs(1), Self::tick)?;
        Ok(Self { out: s.publisher("numbers/own", Qos::reliable(10))?, ticks: 0 })
    }
}
impl Neighbour {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        self.ticks += 1;
        match self.ticks {
            1..3 => {}
            3 => {
                self.out.publish(ctx, Int64 { data: 1 });
                let open = SINKS.lock();
                for (topic, number) in ELSEWHERE {
                    let payload = Message::to_cdr(&Int64 { data: number }).into();
                    let sample = RemoteSample {
                        payload,
                        source_time: ctx.now(),
                        sequence: 1,
                        gid: identity(number),
                        age: None,
                        carrier: ("network", 1),
                    };
                    open.get(topic).into_iter().flatten().for_each(|sink| sink(sample.clone()));
                }
            }
            _ => ctx.shutdown("heard enough"),
        }
        Ok(())
    }
}

/// What is heard, and whether what nobody in this process listens to was subscribed to.
fn heard_by(taps: Vec<NodeFactory>) -> (Vec<(&'static str, String, i64)>, bool) {
    SINKS.lock().clear();
    let mode = Mode::LockStep { step: Duration::from_millis(10), rate: 0.0 };
    let config = GraphConfig { mode, log: silent_sink(), transport: Some(Arc::new(Other)), ..GraphConfig::default() };
    let mut graph = Graph::new(config).unwrap();
    for factory in taps.into_iter().chain([NodeFactory::of::<Neighbour>()]) {
        graph.add(factory, NodeSpec::default()).unwrap();
    }
    graph.run();
    let mut heard = std::mem::take(&mut *HEARD.lock());
    heard.sort();
    (heard, SINKS.lock().contains_key("/numbers/foreign"))
}

#[test]
fn a_local_tap_hears_what_the_nodes_of_its_process_say_and_hear_and_opens_nothing() {
    let of = |tap, topic: &str, number| (tap, format!("/numbers/{topic}"), number);
    let local = [of("local", "own", 1), of("local", "wanted", 2)];
    let (heard, opened) = heard_by(vec![NodeFactory::of::<Local>()]);
    assert_eq!(heard, local);
    assert!(!opened, "nobody asked for it");
    // Nor does it hear what another tap has opened.
    let (heard, opened) = heard_by(vec![NodeFactory::of::<Local>(), NodeFactory::of::<Wide>()]);
    let wide = [of("wide", "foreign", 3), of("wide", "own", 1), of("wide", "wanted", 2)];
    assert_eq!(heard, [&local[..], &wide[..]].concat());
    assert!(opened);
}
