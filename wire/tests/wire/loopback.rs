//! Two sessions on loopback, each standing for a process.

use crate::common::{LIMIT, config, node, pair, service, text, topic, wait_until};
use graph::transport::{EndpointKind, RemoteSample, SampleSink, Transport};
use graph::{Qos, Time};
use msgs::Message;
use msgs::sensor_msgs::msg::Image;
use msgs::std_msgs::msg::String as Text;
use msgs::std_srvs::srv::Trigger;
use std::sync::{Arc, mpsc};
use wire::{EntityKind, Wire};

fn sink() -> (SampleSink, mpsc::Receiver<RemoteSample>) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(move |sample| drop(sender.send(sample))), receiver)
}

fn words(sample: &RemoteSample) -> String {
    Text::from_cdr(&sample.payload).expect("decodes").data
}

#[test]
fn samples_cross_with_sequence_time_and_the_identity_of_the_token() {
    let (a, b) = pair();
    let publisher = a.publisher(&topic::<Text>(EndpointKind::Publisher, "/chatter", 2, Qos::reliable(10))).expect("declares");
    assert_eq!(publisher.carrier(), ("", 0));
    let (sink, samples) = sink();
    let _s =
        b.subscription(&topic::<Text>(EndpointKind::Subscription, "/chatter", 2, Qos::reliable(10)), sink).expect("declares");
    wait_until("a match", || publisher.matched());
    for n in 1..=3 {
        publisher.publish(&text(&format!("hello {n}")), Time::from_nanos(n * 1000)).expect("sends");
    }
    for n in 1..=3 {
        let sample = samples.recv_timeout(LIMIT).expect("a sample");
        assert_eq!((words(&sample), sample.sequence), (format!("hello {n}"), n));
        assert_eq!(sample.source_time, Time::from_nanos(n * 1000));
        let view = b.graph_snapshot();
        let announced = view.endpoints.iter().find(|e| e.kind == EntityKind::Publisher).expect("announced");
        assert_eq!(announced.gid, sample.gid, "as `ros2 topic info -v` shows it");
    }
}

#[test]
fn a_late_subscriber_gets_the_last_samples_of_a_transient_local_topic() {
    let (a, b) = pair();
    let qos = Qos::latched(2);
    let publisher = a.publisher(&topic::<Text>(EndpointKind::Publisher, "/map", 2, qos)).expect("declares");
    for word in ["one", "two", "three"] {
        publisher.publish(&text(word), Time::ZERO).expect("sends");
    }
    // A sample that is still on its way when the subscription comes is heard besides the history: nothing may be under way any more.
    let (flushed_sink, flushed) = sink();
    let flush = a.publisher(&topic::<Text>(EndpointKind::Publisher, "/flush", 3, Qos::reliable(1))).expect("declares");
    let _f = b
        .subscription(&topic::<Text>(EndpointKind::Subscription, "/flush", 3, Qos::reliable(1)), flushed_sink)
        .expect("declares");
    wait_until("a match", || flush.matched());
    flush.publish(&text("flushed"), Time::ZERO).expect("sends");
    flushed.recv_timeout(LIMIT).expect("a sample");
    let (sink, samples) = sink();
    let _s = b.subscription(&topic::<Text>(EndpointKind::Subscription, "/map", 2, qos), sink).expect("declares");
    for word in ["two", "three"] {
        assert_eq!(words(&samples.recv_timeout(LIMIT).expect("history")), word);
    }
    wait_until("a match", || publisher.matched());
    publisher.publish(&text("four"), Time::ZERO).expect("sends");
    assert_eq!(words(&samples.recv_timeout(LIMIT).expect("live")), "four");
}

#[test]
fn a_subscriber_that_was_there_first_gets_the_history_of_a_publisher_that_comes_later() {
    let (a, b) = pair();
    let (sink, samples) = sink();
    let _s = b.subscription(&topic::<Text>(EndpointKind::Subscription, "/map", 2, Qos::state()), sink).expect("declares");
    let publisher = a.publisher(&topic::<Text>(EndpointKind::Publisher, "/map", 2, Qos::state())).expect("declares");
    publisher.publish(&text("at once"), Time::ZERO).expect("sends");
    assert_eq!(words(&samples.recv_timeout(LIMIT).expect("a sample")), "at once");
}

#[test]
fn samples_never_come_back_to_the_process_that_sent_them() {
    let (a, b) = pair();
    for (name, qos) in [("/volatile", Qos::reliable(5)), ("/latched", Qos::state())] {
        let publisher = a.publisher(&topic::<Text>(EndpointKind::Publisher, name, 2, qos)).expect("declares");
        publisher.publish(&text("before"), Time::ZERO).expect("sends");
        let (own_sink, own) = sink();
        let _own = a.subscription(&topic::<Text>(EndpointKind::Subscription, name, 3, qos), own_sink).expect("declares");
        let (other_sink, other) = sink();
        let _other = b.subscription(&topic::<Text>(EndpointKind::Subscription, name, 2, qos), other_sink).expect("declares");
        wait_until("a match", || publisher.matched());
        publisher.publish(&text("after"), Time::ZERO).expect("sends");
        // When the other process has it, an echo would have been here long before.
        while words(&other.recv_timeout(LIMIT).expect("a sample")) != "after" {}
        assert!(own.try_recv().is_err(), "{name} came back");
    }
}

#[test]
fn a_service_answers_another_process() {
    let (a, b) = pair();
    let sink = Arc::new(|request: graph::transport::RemoteRequest| {
        let response =
            msgs::std_srvs::srv::TriggerResponse { success: true, message: format!("{} bytes", request.payload.len()) };
        (request.reply)(response.to_cdr());
    });
    let client = b.client(&service::<Trigger>(EndpointKind::Client, "/go", 2)).expect("declares");
    assert!(!client.available());
    let _server = a.service(&service::<Trigger>(EndpointKind::Service, "/go", 2), sink).expect("declares");
    wait_until("a server", || client.available());
    let (sender, answers) = mpsc::channel();
    let request = msgs::std_srvs::srv::TriggerRequest::default().to_cdr();
    client.call(request, Box::new(move |answer| drop(sender.send(answer))));
    let answer = answers.recv_timeout(LIMIT).expect("called back").expect("answered");
    let response = msgs::std_srvs::srv::TriggerResponse::from_cdr(&answer).expect("decodes");
    assert_eq!((response.success, response.message.as_str()), (true, "5 bytes"));
}

#[test]
fn a_call_to_nobody_ends_with_an_error_that_names_the_service() {
    let (_a, b) = pair();
    let client = b.client(&service::<Trigger>(EndpointKind::Client, "/nowhere", 2)).expect("declares");
    let (sender, answers) = mpsc::channel();
    client.call(vec![0, 1, 0, 0, 0], Box::new(move |answer| drop(sender.send(answer))));
    let error = answers.recv_timeout(LIMIT).expect("called back").expect_err("nobody");
    assert_eq!(error.to_string(), "nobody answered on `/nowhere`");
}

#[test]
fn everything_that_is_declared_is_announced_and_taken_back() {
    let (a, b) = pair();
    let node_token = a.node(&node("tester")).expect("announces");
    let publisher =
        a.publisher(&topic::<Text>(EndpointKind::Publisher, "/robot/chatter", 2, Qos::sensor_data())).expect("declares");
    let (samples, _) = sink();
    let subscription =
        a.subscription(&topic::<Text>(EndpointKind::Subscription, "/in", 3, Qos::state()), samples).expect("declares");
    let server = a.service(&service::<Trigger>(EndpointKind::Service, "/go", 4), Arc::new(|_| ())).expect("declares");
    let client = a.client(&service::<Trigger>(EndpointKind::Client, "/other", 5)).expect("declares");
    wait_until("all tokens", || b.graph_snapshot().endpoints.len() == 4 && b.graph_snapshot().nodes.len() == 1);
    let view = b.graph_snapshot();
    assert_eq!((view.nodes[0].name.as_str(), view.nodes[0].session.as_str()), ("/tester", a.session_id()));
    let topics = view.topics();
    assert_eq!(topics.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["/in", "/robot/chatter"]);
    assert_eq!(topics[1].sources[0].qos, Qos::sensor_data());
    assert_eq!(topics[1].types, ["std_msgs/msg/String"]);
    assert_eq!(topics[1].sources[0].type_hash, Text::message_type().hash);
    assert_eq!(view.services().len(), 2);
    drop((node_token, publisher, subscription, server, client));
    wait_until("no tokens", || b.graph_snapshot() == wire::GraphView::default());
}

#[test]
fn a_sample_without_a_readable_attachment_is_dropped_and_counted() {
    use zenoh::Wait;
    let config = config();
    let a = Wire::open(config.clone()).expect("opens");
    let (sink, samples) = sink();
    let endpoint = topic::<Text>(EndpointKind::Subscription, "/chatter", 2, Qos::reliable(10));
    let _s = a.subscription(&endpoint, sink).expect("declares");
    let mut stranger = zenoh::Config::default();
    stranger.insert_json5("mode", "\"client\"").expect("valid");
    stranger.insert_json5("connect/endpoints", &format!("[{:?}]", config.router)).expect("valid");
    stranger.insert_json5("scouting/multicast/enabled", "false").expect("valid");
    let stranger = zenoh::open(stranger).wait().expect("opens");
    let key = wire::key_expression(0, "/chatter", endpoint.dds_name, endpoint.type_hash).expect("valid");
    let known = stranger.declare_publisher(&key).wait().expect("declares");
    wait_until("the subscription is known", || known.matching_status().wait().expect("answers").matching());
    stranger.put(&key, text("none").to_cdr()).wait().expect("sends");
    stranger.put(&key, text("short").to_cdr()).attachment(vec![1_u8, 2, 3]).wait().expect("sends");
    let good = wire::Attachment { sequence: 1, source_time_ns: 2, gid: [7; 16] };
    stranger.put(&key, text("good").to_cdr()).attachment(good.to_bytes()).wait().expect("sends");
    assert_eq!(words(&samples.recv_timeout(LIMIT).expect("the good one")), "good");
    assert!(samples.try_recv().is_err());
    assert_eq!(a.statistics().malformed, 2);
}

#[test]
fn large_samples_arrive_whole_and_through_shared_memory() {
    let (a, b) = pair();
    let publisher = a.publisher(&topic::<Image>(EndpointKind::Publisher, "/image", 2, Qos::keep_all())).expect("declares");
    let (sink, samples) = sink();
    let _s = b.subscription(&topic::<Image>(EndpointKind::Subscription, "/image", 2, Qos::keep_all()), sink).expect("declares");
    wait_until("a match", || publisher.matched());
    for n in 0..8_u8 {
        let data = (0..6_220_800_u32).map(|i| (i as u8).wrapping_mul(31).wrapping_add(n)).collect();
        let image = Image { height: 1080, width: 1920, step: 5760, encoding: "rgb8".into(), data, ..Default::default() };
        publisher.publish(&image, Time::ZERO).expect("sends");
        let sample = samples.recv_timeout(LIMIT).expect("a sample");
        let received = Image::from_shared(&sample.payload).expect("decodes");
        assert!(received == image, "image {n} differs");
        assert!(sample.payload.as_ptr_range().contains(&received.data.as_ptr()), "image {n} was copied");
    }
    wait_until("tokens", || publisher.carrier() == ("shared-memory", 1));
    let statistics = b.statistics();
    assert!(statistics.received_shared > 0 && statistics.received == 8, "{statistics:?}");
}

#[test]
fn a_pool_that_is_full_of_samples_still_held_loses_nothing() {
    let (a, b) = pair();
    let publisher = a.publisher(&topic::<Image>(EndpointKind::Publisher, "/image", 2, Qos::keep_all())).expect("declares");
    let (sink, samples) = sink();
    let _s = b.subscription(&topic::<Image>(EndpointKind::Subscription, "/image", 2, Qos::keep_all()), sink).expect("declares");
    wait_until("a match", || publisher.matched());
    let image = |n: u8| Image { data: vec![n; 1 << 20].into(), ..Default::default() };
    let mut held = Vec::new();
    for n in 0..40_u8 {
        publisher.publish(&image(n), Time::ZERO).expect("sends");
        held.push(Image::from_shared(&samples.recv_timeout(LIMIT).expect("a sample").payload).expect("decodes"));
    }
    assert!(held.iter().zip(0..).all(|(received, n)| *received == image(n)), "a held sample was overwritten");
    let (sent, received) = (a.statistics(), b.statistics());
    assert!(received.received_shared > 0 && sent.unplaced > 0, "the pools hold about twenty: {sent:?} {received:?}");
    assert_eq!(received.received, 40);
    drop(held);
    publisher.publish(&image(99), Time::ZERO).expect("sends");
    assert_eq!(samples.recv_timeout(LIMIT).expect("a sample").payload.len(), image(99).to_cdr().len());
    assert_eq!(a.statistics().unplaced, sent.unplaced, "there is room again");
}

#[test]
fn a_name_that_is_not_a_ros_name_is_refused() {
    let (a, _b) = pair();
    let error = a.publisher(&topic::<Text>(EndpointKind::Publisher, "/a*", 2, Qos::reliable(1))).err().expect("refused");
    assert!(error.to_string().contains("`/a*`"), "{error}");
}

#[test]
fn when_the_process_with_the_router_ends_another_takes_over() {
    let config = config();
    let first = Wire::open(config.clone()).expect("opens");
    let second = Wire::open(config.clone()).expect("opens");
    assert!(!second.holds_router());
    drop(first);
    wait_until("a new router", || second.holds_router());
    let third = Wire::open(wire::WireConfig { embed_router: false, ..config }).expect("finds the new router");
    let publisher = second.publisher(&topic::<Text>(EndpointKind::Publisher, "/chatter", 2, Qos::reliable(1))).expect("declares");
    let (sink, samples) = sink();
    let _s =
        third.subscription(&topic::<Text>(EndpointKind::Subscription, "/chatter", 2, Qos::reliable(1)), sink).expect("declares");
    wait_until("a match", || publisher.matched());
    publisher.publish(&text("still here"), Time::ZERO).expect("sends");
    assert_eq!(words(&samples.recv_timeout(LIMIT).expect("a sample")), "still here");
}

#[test]
fn a_program_that_is_not_zenoh_at_the_routers_port_is_named() {
    let squatter = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = squatter.local_addr().expect("bound").port();
    let config = wire::WireConfig { router: format!("tcp/127.0.0.1:{port}"), ..Default::default() };
    let error = Wire::open(config).err().expect("refused");
    assert!(matches!(error, wire::OpenError::NotZenoh { .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[test]
fn without_a_router_and_without_leave_to_start_one_the_error_says_so() {
    let config = wire::WireConfig { embed_router: false, ..config() };
    let error = Wire::open(config).err().expect("refused");
    assert!(matches!(error, wire::OpenError::Unreachable { .. }), "{error}");
}

#[test]
fn the_description_says_where_it_listens() {
    let (a, b) = pair();
    assert!(a.describe().contains("started here") && b.describe().contains("found running"));
}
