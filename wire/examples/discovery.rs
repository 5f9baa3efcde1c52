//! How long two processes' worth of ends take to find each other: 200 nodes with 1,000 topics, a publisher here, a subscription there.
//!
//! `cargo run --release -p omnimind-wire --example discovery [nodes] [topics]`

use graph::Qos;
use graph::transport::{Endpoint, EndpointKind, NodeIdentity, RemotePublisher, Token, Transport};
use msgs::Message;
use msgs::std_msgs::msg::String as Text;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Client, EntityKind, Wire, WireConfig};

type Failure = Box<dyn std::error::Error>;

const LIMIT: Duration = Duration::from_secs(60);

/// Nodes and topics of one side.
struct Plan {
    nodes: u64,
    topics: u64,
}

impl Plan {
    fn node(&self, side: &str, number: u64) -> NodeIdentity {
        NodeIdentity { namespace: "/bench".into(), name: format!("{side}_{number}"), id: number + 1 }
    }

    fn endpoint(&self, kind: EndpointKind, side: &str, number: u64) -> Endpoint {
        let kind_of = Text::message_type();
        Endpoint {
            kind,
            node: self.node(side, number % self.nodes),
            id: self.nodes + number + 1,
            name: format!("/bench/topic_{number}"),
            type_name: kind_of.name,
            dds_name: kind_of.dds_name,
            type_hash: kind_of.hash,
            qos: Qos::reliable(10),
        }
    }

    fn nodes(&self, wire: &Wire, side: &str) -> Result<Vec<Box<dyn Token>>, Failure> {
        (0..self.nodes).map(|number| Ok(wire.node(&self.node(side, number))?)).collect()
    }

    fn publishers(&self, wire: &Wire) -> Result<Vec<Box<dyn RemotePublisher>>, Failure> {
        (0..self.topics).map(|n| Ok(wire.publisher(&self.endpoint(EndpointKind::Publisher, "talker", n))?)).collect()
    }

    fn subscriptions(&self, wire: &Wire) -> Result<Vec<Box<dyn Token>>, Failure> {
        let sink = |_| ();
        (0..self.topics)
            .map(|n| Ok(wire.subscription(&self.endpoint(EndpointKind::Subscription, "listener", n), Arc::new(sink))?))
            .collect()
    }
}

/// Waits until every publisher has its listener and each side knows all nodes and ends of both; how long that took.
fn settled(started: Instant, plan: &Plan, publishers: &[Box<dyn RemotePublisher>], wires: &[&Wire]) -> Result<Duration, Failure> {
    loop {
        let matched = publishers.iter().filter(|publisher| publisher.matched()).count() as u64;
        let knows = |wire: &&Wire| {
            let view = wire.graph_snapshot();
            let of = |kind| view.endpoints.iter().filter(|end| end.kind == kind).count() as u64;
            view.nodes.len() as u64 == 2 * plan.nodes
                && of(EntityKind::Publisher) == plan.topics
                && of(EntityKind::Subscription) == plan.topics
        };
        if matched == plan.topics && wires.iter().all(knows) {
            return Ok(started.elapsed());
        }
        if started.elapsed() > LIMIT {
            return Err(format!("{matched} of {} matched after {LIMIT:?}", plan.topics).into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let plan = Plan { nodes: numbers.next().unwrap_or(Ok(200))?.max(1), topics: numbers.next().unwrap_or(Ok(1000))? };
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = WireConfig { router: format!("tcp/127.0.0.1:{port}"), ..WireConfig::default() };
    println!("{} nodes and {} topics on each side", plan.nodes, plan.topics);

    let here = Wire::open(config.clone())?;
    let there = Wire::open(config.clone())?;
    let started = Instant::now();
    let _nodes = (plan.nodes(&here, "talker")?, plan.nodes(&there, "listener")?);
    let publishers = plan.publishers(&here)?;
    let half = started.elapsed();
    let subscriptions = plan.subscriptions(&there)?;
    let declared = started.elapsed();
    let both = settled(started, &plan, &publishers, &[&here, &there])?;
    println!(
        "both sides come: publishers declared after {half:.0?}, all after {declared:.0?}, matched and known after {both:.0?}"
    );

    drop((subscriptions, there));
    let started = Instant::now();
    let there = Wire::open(config.clone())?;
    let opened = started.elapsed();
    let _late_nodes = plan.nodes(&there, "listener")?;
    let _late = plan.subscriptions(&there)?;
    let declared = started.elapsed();
    let late = settled(started, &plan, &publishers, &[&here, &there])?;
    println!("one side comes later: open after {opened:.0?}, declared after {declared:.0?}, matched and known after {late:.0?}");

    let started = Instant::now();
    let client = Client::connect(config)?;
    let connected = started.elapsed();
    let view = client.graph()?;
    println!(
        "a client that asks: connected after {connected:.0?}, {} nodes and {} ends known after {:.0?}",
        view.nodes.len(),
        view.endpoints.len(),
        started.elapsed()
    );
    Ok(())
}
