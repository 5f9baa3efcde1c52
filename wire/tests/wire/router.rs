//! A router that goes away, and one that refuses: what the sides see of it.

use graph::Qos;
use graph::transport::{EndpointKind, Transport};
use msgs::std_msgs::msg::String as Text;
use wire::{Client, Wire, WireConfig};
use zenoh::Wait;

use crate::common::{config, node, text, topic, wait_until};

fn guest(config: &WireConfig) -> WireConfig {
    WireConfig { embed_router: false, ..config.clone() }
}

#[test]
fn a_router_that_is_gone_is_named_with_its_address_until_it_is_back() {
    let config = config();
    let host = Wire::open(config.clone()).unwrap();
    let wire = Wire::open(guest(&config)).unwrap();
    assert_eq!((host.troubles(), wire.troubles()), (vec![], vec![]));
    drop(host);
    wait_until("the loss of the router is seen", || !wire.troubles().is_empty());
    let trouble = wire.troubles().remove(0);
    assert!(trouble.contains(&format!("the router at {} cannot be reached", config.router)), "{trouble}");
    let _again = Wire::open(config).unwrap();
    wait_until("it is back", || wire.troubles().is_empty());
}

/// A router whose access control lets nobody subscribe to `/secret`.
fn strict_router(config: &WireConfig) -> zenoh::Session {
    let mut strict = zenoh::Config::default();
    for (path, value) in [
        ("mode", "\"router\"".to_owned()),
        ("listen/endpoints", format!("[\"{}\"]", config.router)),
        ("scouting/multicast/enabled", "false".to_owned()),
        (
            "access_control",
            r#"{enabled: true, default_permission: "allow",
                rules: [{id: "no", permission: "deny", messages: ["declare_subscriber", "put"], flows: ["ingress", "egress"],
                         key_exprs: ["*/secret/**"]}],
                subjects: [{id: "all"}], policies: [{rules: ["no"], subjects: ["all"]}]}"#
                .to_owned(),
        ),
    ] {
        strict.insert_json5(path, &value).unwrap();
    }
    zenoh::open(strict).wait().unwrap()
}

#[test]
fn a_topic_that_the_router_refuses_is_announced_and_has_no_way_while_others_have() {
    let config = config();
    let _router = strict_router(&config);
    let wire = Wire::open(guest(&config)).unwrap();
    let _node = wire.node(&node("tester")).unwrap();
    let secret = wire.publisher(&topic::<Text>(EndpointKind::Publisher, "/secret", 2, Qos::reliable(1))).unwrap();
    let open = wire.publisher(&topic::<Text>(EndpointKind::Publisher, "/open", 3, Qos::reliable(1))).unwrap();
    let client = Client::connect(guest(&config)).unwrap();
    let (heard, count) = (std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)), std::sync::atomic::Ordering::SeqCst);
    let counter = heard.clone();
    let _refused = client.subscribe("/secret", Qos::reliable(1), |_| panic!("it is refused")).unwrap();
    let _allowed = client
        .subscribe("/open", Qos::reliable(1), move |_| {
            counter.fetch_add(1, count);
        })
        .unwrap();
    wait_until("the way that is allowed", || open.matched());
    for publisher in [&secret, &open] {
        publisher.publish(&text("hello"), graph::Time::from_nanos(1)).unwrap();
    }
    wait_until("what is allowed arrives", || heard.load(count) == 1);
    // What is allowed came after what is not: the refusal is not a matter of time.
    assert!(!secret.matched());
}
