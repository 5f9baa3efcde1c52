//! ros2-client: a `std_msgs/UInt8MultiArray` over `RustDDS`, its default back end.

use anyhow::{Result, anyhow};
use mio::{Events, Interest, Poll, Token};
use ros2_client::qos::{Durability, History, WhenFull};
use ros2_client::{Context, Message, MessageTypeName, Name, Node, NodeName, NodeOptions, Publisher, QosProfile};
use serde::{Deserialize, Serialize};

use crate::run::{Listening, Plan, Sender};

fn failed(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow!("{error:?}")
}

#[derive(Debug, Serialize, Deserialize)]
struct Dimension {
    label: String,
    size: u32,
    stride: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Layout {
    dim: Vec<Dimension>,
    data_offset: u32,
}

/// `std_msgs/UInt8MultiArray`
#[derive(Debug, Serialize, Deserialize)]
struct Bytes {
    layout: Layout,
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
}

impl Message for Bytes {}

fn node(name: &str) -> Result<Node> {
    let context = Context::new().map_err(failed)?;
    context.new_node(NodeName::new("/", name).map_err(failed)?, NodeOptions::new()).map_err(failed)
}

fn type_name() -> MessageTypeName {
    MessageTypeName::new("std_msgs", "UInt8MultiArray")
}

fn qos() -> QosProfile {
    QosProfile::publisher_default()
        .reliability_reliable(WhenFull::DEFAULT)
        .durability(Durability::Volatile)
        .history(History::KeepLast { depth: 10 })
}

struct Dds {
    publisher: Publisher<Bytes>,
    bytes: usize,
}

impl Sender for Dds {
    fn send(&mut self, head: &[u8]) -> Result<()> {
        let mut data = vec![7; self.bytes];
        data[..head.len()].copy_from_slice(head);
        self.publisher.publish(Bytes { layout: Layout { dim: Vec::new(), data_offset: 0 }, data }).map_err(failed)
    }
}

pub fn publish(plan: &Plan) -> Result<u32> {
    let mut node = node("peers_publisher")?;
    let topic = node.create_topic(&Name::new("/", "peers").map_err(failed)?, type_name(), &qos()).map_err(failed)?;
    let publisher = node.create_publisher::<Bytes>(&topic, None).map_err(failed)?;
    crate::run::publish(plan, &mut Dds { publisher, bytes: plan.bytes })
}

pub fn listen(plan: &Plan) -> Result<()> {
    let mut node = node(&format!("peers_listener_{}", plan.id))?;
    let topic = node.create_topic(&Name::new("/", "peers").map_err(failed)?, type_name(), &qos()).map_err(failed)?;
    let mut subscription = node.create_subscription::<Bytes>(&topic, None).map_err(failed)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut subscription, Token(1), Interest::READABLE)?;
    let mut events = Events::with_capacity(8);
    let mut listening = Listening::new(plan)?;
    loop {
        while let Some((message, _)) = subscription.take().map_err(failed)? {
            if !listening.take(&message.data) {
                listening.report();
                return Ok(());
            }
        }
        poll.poll(&mut events, None)?;
    }
}
