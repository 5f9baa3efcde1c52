//! The command line's client against a running system.

use crate::common::{LIMIT, config, node, service, text, topic, wait_until};
use graph::transport::{EndpointKind, Transport};
use graph::{Qos, Time};
use msgs::Message;
use msgs::Service;
use msgs::std_msgs::msg::String as Text;
use msgs::std_srvs::srv::{Trigger, TriggerResponse};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use wire::{CallError, Client, OpenError, Wire};

#[test]
fn it_lists_listens_publishes_and_calls() {
    let config = config();
    let system = Wire::open(config.clone()).expect("opens");
    let _node = system.node(&node("tester")).expect("announces");
    let publisher = system.publisher(&topic::<Text>(EndpointKind::Publisher, "/state", 2, Qos::state())).expect("declares");
    publisher.publish(&text("latched"), Time::from_nanos(5)).expect("sends");
    let (sender, heard) = mpsc::channel();
    let sink = Arc::new(move |sample: graph::transport::RemoteSample| drop(sender.send(sample.payload)));
    let _in =
        system.subscription(&topic::<Text>(EndpointKind::Subscription, "/in", 3, Qos::reliable(1)), sink).expect("declares");
    let serve = Arc::new(|request: graph::transport::RemoteRequest| {
        (request.reply)(TriggerResponse { success: true, message: "done".into() }.to_cdr());
    });
    let _server = system.service(&service::<Trigger>(EndpointKind::Service, "/go", 4), serve).expect("declares");

    let early = Client::connect(config.clone()).expect("connects");
    wait_until("the graph", || early.graph().expect("a view").endpoints.len() == 3);
    let client = Client::connect(config).expect("connects");
    let view = client.graph().expect("a view");
    assert_eq!(view.endpoints.len(), 3, "the first look is complete");
    assert_eq!(view.nodes.len(), 2, "the client itself is not listed, the other one is");
    drop(early);
    assert_eq!(view.topics().iter().map(|t| t.name.clone()).collect::<Vec<_>>(), ["/in", "/state"]);
    assert_eq!(view.services()[0].types, ["std_srvs/srv/Trigger"]);

    let (sender, samples) = mpsc::channel();
    let _listening = client.subscribe("/state", Qos::state(), move |sample| drop(sender.send(sample))).expect("subscribes");
    let sample = samples.recv_timeout(LIMIT).expect("the latched sample");
    assert_eq!((sample.type_name.as_str(), sample.attachment.sequence), ("std_msgs/msg/String", 1));
    assert_eq!(Text::from_cdr(&sample.payload).expect("decodes").data, "latched");

    let (sender, kept) = mpsc::channel();
    client.kept("/state", LIMIT, move |sample| drop(sender.send(sample))).expect("asks");
    let all: Vec<_> = kept.into_iter().map(|sample| Text::from_cdr(&sample.payload).expect("decodes").data).collect();
    assert_eq!(all, ["latched"], "and the asking ends when all have answered");

    let raw = client.advertise("/in", Text::message_type(), Qos::reliable(1)).expect("declares");
    assert!(raw.wait_matched(LIMIT));
    raw.publish(text("from outside").to_cdr()).expect("sends");
    assert_eq!(heard.recv_timeout(LIMIT).expect("heard"), text("from outside").to_cdr());

    let request = msgs::std_srvs::srv::TriggerRequest::default().to_cdr();
    let answer = client.call("/go", Trigger::service_type(), request.clone(), LIMIT).expect("answered");
    assert_eq!(TriggerResponse::from_cdr(&answer).expect("decodes").message, "done");
    let nobody = client.call("/nowhere", Trigger::service_type(), request, LIMIT);
    assert_eq!(nobody, Err(CallError::Unavailable("/nowhere".into())));
}

#[test]
fn a_server_that_does_not_answer_is_a_timeout() {
    let config = config();
    let system = Wire::open(config.clone()).expect("opens");
    let (sender, held) = mpsc::channel();
    let serve = Arc::new(move |request: graph::transport::RemoteRequest| drop(sender.send(request)));
    let _server = system.service(&service::<Trigger>(EndpointKind::Service, "/slow", 4), serve).expect("declares");
    let client = Client::connect(config).expect("connects");
    wait_until("the server", || !client.graph().expect("a view").endpoints.is_empty());
    let result = client.call("/slow", Trigger::service_type(), vec![0, 1, 0, 0, 0], Duration::from_millis(300));
    assert!(matches!(result, Err(CallError::Timeout { .. })), "{result:?}");
    drop(held);
}

#[test]
fn without_a_system_the_error_says_so() {
    let error = Client::connect(config()).err().expect("refused");
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
}

#[test]
fn a_wrong_name_is_refused() {
    let config = config();
    let _system = Wire::open(config.clone()).expect("opens");
    let client = Client::connect(config).expect("connects");
    assert!(client.subscribe("no slash", Qos::reliable(1), |_| ()).is_err());
    assert!(client.advertise("/a//b", Text::message_type(), Qos::reliable(1)).is_err());
}

#[test]
fn a_graph_of_many_endpoints_is_listed_whole() {
    // Zenoh's default channel holds 256 replies, and a session that waits for room in it stands still.
    const MANY: u64 = 600;
    let config = config();
    let system = Wire::open(config.clone()).expect("opens");
    let endpoint = |id| topic::<Text>(EndpointKind::Publisher, &format!("/topic_{id}"), id, Qos::sensor_data());
    let _publishers: Vec<_> = (1..=MANY).map(|id| system.publisher(&endpoint(id)).expect("declares")).collect();
    let (sender, done) = mpsc::channel();
    let look = move || {
        let look = || Client::connect(config.clone()).expect("connects").graph().expect("a view").endpoints.len();
        while look() < MANY as usize {}
        // Whether it stands still is a matter of the moment.
        let seen = (0..100).map(|_| look()).min();
        let _ = sender.send(seen);
    };
    // On a thread of its own: what stands still must fail the test and not hold it up.
    std::thread::spawn(look);
    assert_eq!(done.recv_timeout(2 * LIMIT), Ok(Some(MANY as usize)));
}
