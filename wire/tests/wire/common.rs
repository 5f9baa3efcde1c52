//! Helpers: sessions on a free port, endpoints of any type, waits with a limit.
use graph::Qos;
use graph::transport::{Endpoint, EndpointKind, NodeIdentity};
use msgs::{Message, Service};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use wire::{Wire, WireConfig};

/// No wait takes longer.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A configuration whose router is at a port that was free just now.
pub fn config() -> WireConfig {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    WireConfig { router: format!("tcp/127.0.0.1:{port}"), ..WireConfig::default() }
}

/// Two processes' worth of wires.
pub fn pair() -> (Wire, Wire) {
    let config = config();
    let first = Wire::open(config.clone()).expect("opens");
    let second = Wire::open(config).expect("opens");
    assert!(first.holds_router() && !second.holds_router());
    (first, second)
}

pub fn node(name: &str) -> NodeIdentity {
    NodeIdentity { namespace: "/".into(), name: name.into(), id: 1 }
}

pub fn topic<M: Message>(kind: EndpointKind, name: &str, id: u64, qos: Qos) -> Endpoint {
    let t = M::message_type();
    let (type_name, dds_name, type_hash) = (t.name, t.dds_name, t.hash);
    Endpoint { kind, node: node("tester"), id, name: name.into(), type_name, dds_name, type_hash, qos }
}

pub fn service<S: Service>(kind: EndpointKind, name: &str, id: u64) -> Endpoint {
    let t = S::service_type();
    let (type_name, dds_name, type_hash) = (t.name, t.dds_name, t.hash);
    Endpoint { kind, node: node("tester"), id, name: name.into(), type_name, dds_name, type_hash, qos: Qos::reliable(10) }
}

/// Waits until `condition` holds; fails after [`LIMIT`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub fn text(data: &str) -> msgs::std_msgs::msg::String {
    msgs::std_msgs::msg::String { data: data.into() }
}
