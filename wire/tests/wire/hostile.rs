//! What comes from strangers is read without panics, and what is taken for a token is one. What is not meant for one topic, or longer than
//! is allowed, is refused with a reason.

use std::sync::{Arc, mpsc};

use graph::Qos;
use graph::transport::{EndpointKind, RemoteRequest, RemoteSample, Transport};
use msgs::Message;
use msgs::std_msgs::msg::String as Text;
use msgs::std_srvs::srv::{Trigger, TriggerRequest, TriggerResponse};
use proptest::prelude::*;
use wire::{Attachment, Client, GraphView, Wire, WireConfig, format_qos, parse_qos, parse_token};
use zenoh::Wait;

use crate::common::{LIMIT, config, service, text, topic, wait_until};

fn stranger(config: &WireConfig) -> zenoh::Session {
    let mut settings = zenoh::Config::default();
    let router = format!("[{:?}]", config.router);
    for (name, value) in [("mode", "\"client\""), ("connect/endpoints", &router), ("scouting/multicast/enabled", "false")] {
        settings.insert_json5(name, value).expect("valid");
    }
    zenoh::open(settings).wait().expect("opens")
}

fn trigger() -> Vec<u8> {
    TriggerRequest::default().to_cdr()
}

/// What a request is answered with: bytes, or the reason why not.
fn ask(session: &zenoh::Session, key: &str, request: Vec<u8>) -> Vec<Result<Vec<u8>, String>> {
    let attachment = Attachment { sequence: 1, source_time_ns: 2, gid: [7; 16] };
    let replies = session.get(key).payload(request).attachment(attachment.to_bytes()).timeout(LIMIT).wait().expect("asks");
    let answer = |reply: zenoh::query::Reply| match reply.into_result() {
        Ok(sample) => Ok(sample.payload().to_bytes().into_owned()),
        Err(error) => Err(error.payload().try_to_string().expect("is text").into_owned()),
    };
    replies.into_iter().map(answer).collect()
}

#[test]
fn keys_that_mean_everything_and_samples_and_requests_that_are_too_long_are_refused_with_a_reason() {
    let config = WireConfig { max_sample_bytes: 1000, ..config() };
    let wire = Wire::open(config.clone()).expect("opens");
    let (sender, samples) = mpsc::channel();
    let sink = Arc::new(move |sample: RemoteSample| drop(sender.send(sample.payload)));
    let heard = topic::<Text>(EndpointKind::Subscription, "/chatter", 2, Qos::reliable(10));
    let _subscription = wire.subscription(&heard, sink).expect("declares");
    let serve = Arc::new(|request: RemoteRequest| {
        // As a node that cannot read it.
        if request.payload == trigger() {
            (request.reply)(TriggerResponse { success: true, message: "done".into() }.to_cdr());
        }
    });
    let served = service::<Trigger>(EndpointKind::Service, "/go", 3);
    let _service = wire.service(&served, serve).expect("declares");

    let stranger = stranger(&config);
    let key = wire::key_expression(0, "/chatter", heard.dds_name, heard.type_hash).expect("valid");
    let good = || Attachment { sequence: 1, source_time_ns: 2, gid: [7; 16] }.to_bytes();
    let known = stranger.declare_publisher(&key).wait().expect("declares");
    wait_until("the subscription is known", || known.matching_status().wait().expect("answers").matching());
    for wild in ["0/**", "**", "0/*/*/*", "0/chatter/**"] {
        stranger.put(wild, text("everybody").to_cdr()).attachment(good()).wait().expect("sends");
    }
    stranger.put(&key, text(&"x".repeat(1000)).to_cdr()).attachment(good()).wait().expect("sends");
    stranger.put(&key, text(&"x".repeat(900)).to_cdr()).attachment(good()).wait().expect("sends");
    let payload = samples.recv_timeout(LIMIT).expect("the good one");
    assert_eq!(Text::from_cdr(&payload).expect("decodes").data.len(), 900);
    assert!(samples.try_recv().is_err());
    assert_eq!((wire.statistics().wild, wire.statistics().oversized), (4, 1));

    let key = wire::key_expression(0, "/go", served.dds_name, served.type_hash).expect("valid");
    let known = stranger.declare_querier(&key).wait().expect("declares");
    wait_until("the service is known", || known.matching_status().wait().expect("answers").matching());
    for wild in ["0/**", "**", "0/go/**"] {
        let answers = ask(&stranger, wild, trigger());
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|why| why.contains("more than one"))), "{answers:?}");
        assert_eq!(answers.len(), 1, "{wild}");
    }
    let refused = |request: Vec<u8>| ask(&stranger, &key, request).pop().expect("one").expect_err("refused");
    assert!(refused(vec![0; 1001]).contains("1001 bytes are more than the 1000 that OMNIMIND_MAX_SAMPLE_BYTES"));
    assert!(refused(b"nonsense".to_vec()).contains("no answer"), "whose request is let go of is told so");
    assert_eq!(ask(&stranger, &key, trigger()).len(), 1);
    let complaints = wire.complaints();
    assert_eq!((wire.statistics().wild, wire.statistics().oversized), (7, 2));
    assert!(
        complaints.iter().any(|said| said.starts_with("7 ") && said.contains("more than one topic or service")),
        "{complaints:?}"
    );
    assert!(complaints.iter().any(|said| said.starts_with("2 ") && said.contains("1000 bytes")), "{complaints:?}");
}

#[test]
fn an_answer_that_is_too_long_is_an_error_for_the_caller() {
    let config = WireConfig { max_sample_bytes: 1000, ..config() };
    let wire = Wire::open(config.clone()).expect("opens");
    let serve = Arc::new(|request: RemoteRequest| (request.reply)(vec![0; 1001]));
    let _service = wire.service(&service::<Trigger>(EndpointKind::Service, "/go", 3), serve).expect("declares");
    let client = Client::connect(config).expect("connects");
    wait_until("the server", || !client.graph().expect("a view").endpoints.is_empty());
    use msgs::Service as _;
    let error = client.call("/go", Trigger::service_type(), trigger(), LIMIT).expect_err("refused");
    assert!(error.to_string().contains("an answer of 1001 bytes"), "{error}");
}

#[test]
fn tokens_that_come_twice_or_are_not_tokens_harm_nobody() {
    let config = config();
    let wire = Wire::open(config.clone()).expect("opens");
    let stranger = stranger(&config);
    let node = "@ros2_lv/0/ab/1/1/NN/%/%/twin";
    let end = format!("@ros2_lv/0/ab/1/2/MP/%/%/twin/%t/{}/RIHS01_1/::,10:,:,:,,", "T".repeat(60_000));
    let keys = [node, node, "@ros2_lv/0/aa/1/1/NN/%/%/twin", "@ros2_lv/0/ab/1/1/NN/%/%/9bad", "@ros2_lv/0/ab/0/0/NN", &end];
    let tokens: Vec<_> = keys.iter().filter_map(|key| stranger.liveliness().declare_token(*key).wait().ok()).collect();
    let twins = |wire: &Wire| wire.graph_snapshot().nodes.iter().filter(|node| node.name == "/twin").count();
    wait_until("both", || twins(&wire) == 2 && wire.statistics().unreadable_tokens >= 2);
    assert!(wire.complaints().iter().any(|said| said.contains("liveliness tokens refused")), "{:?}", wire.complaints());
    drop(tokens);
    wait_until("that they are gone", || twins(&wire) == 0);
}

const GOOD: &str = "@ros2_lv/0/ab/1/2/MP/%/%ns/node/%topic/std_msgs::msg::dds_::String_/RIHS01_1/1:1:1,10:1,2:3,4:3,5,6";

/// A chunk of a token as a stranger may write it.
fn chunk() -> impl Strategy<Value = String> {
    prop_oneof![
        "[%a-z/_0-9:,.+-]{0,12}",
        "\\PC{0,8}",
        Just(String::new()),
        Just("%".repeat(50)),
        Just("18446744073709551616".to_owned()),
        Just("-0".to_owned()),
        Just("%00%2F%25".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_is_not(text in "\\PC{0,200}") {
        let _ = parse_token(&text);
        let _ = parse_qos(&text);
    }

    #[test]
    fn a_token_with_a_chunk_exchanged_has_good_names_or_is_refused(at in 0..13_usize, chunk in chunk()) {
        let mut chunks: Vec<&str> = GOOD.split('/').collect();
        chunks[at] = &chunk;
        let text = chunks.join("/");
        if let Some(entity) = parse_token(&text) {
            let named = |name: &str| name.starts_with('/') && !name.contains("//") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_".contains(&b));
            prop_assert!(named(&entity.name) && named(&entity.namespace) && named(&entity.node_name()), "{entity:?}");
            prop_assert!(entity.qos.is_some());
            prop_assert_eq!(GraphView::from_tokens([text.as_str()]).endpoints.len(), 1);
        }
    }

    #[test]
    fn a_quality_of_service_that_is_read_is_written_so_that_it_is_read_again(fields in prop::collection::vec("[0-9]{0,20}", 10)) {
        let [r, d, h, n, a, b, c, e, l, f] = &fields[..] else { unreachable!() };
        let text = format!("{r}:{d}:{h},{n}:{a},{b}:{c},{e}:{l},{f},{a}");
        if let Some(qos) = parse_qos(&text) {
            let again = parse_qos(&format_qos(&qos)).expect("is read");
            prop_assert_eq!(format_qos(&again), format_qos(&qos));
            prop_assert_eq!((again.deadline, again.lifespan, again.lease), (qos.deadline, qos.lifespan, qos.lease));
        }
    }

    #[test]
    fn any_bytes_are_an_attachment_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let read = Attachment::from_bytes(&bytes);
        prop_assert_eq!(read.is_some(), bytes.len() >= 33 && bytes[16] == 16);
        if let Some(attachment) = read {
            prop_assert_eq!(&attachment.to_bytes()[..], &bytes[..33]);
        }
    }
}
