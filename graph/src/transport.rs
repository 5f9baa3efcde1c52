//! What the graph asks of a wire to other processes. `wire` answers with ROS 2 over Zenoh; without one the graph stays in its process.

use std::sync::Arc;
use std::time::Duration;

use msgs::Bytes;

pub use crate::lent::lend_thread;
pub use crate::loan::Lent;
use crate::message::Erased;
pub use crate::remote::{RemoteChange, RemoteEndpoint};
use crate::{Qos, Time};

/// A node as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Namespace with a leading slash and none at the end; "/" for the root.
    pub namespace: String,
    /// Base name.
    pub name: String,
    /// Unique in this process.
    pub id: u64,
}

/// What an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Publishes a topic.
    Publisher,
    /// Subscribes to a topic.
    Subscription,
    /// Serves a service.
    Service,
    /// Calls a service.
    Client,
}

/// One end of a topic or service.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What it does.
    pub kind: EndpointKind,
    /// Whose it is.
    pub node: NodeIdentity,
    /// Unique in this process.
    pub id: u64,
    /// Fully qualified name with a leading slash.
    pub name: String,
    /// For instance `sensor_msgs/msg/Image`.
    pub type_name: &'static str,
    /// For instance `sensor_msgs::msg::dds_::Image_`.
    pub dds_name: &'static str,
    /// For instance `RIHS01_` and 64 hexadecimal digits.
    pub type_hash: &'static str,
    /// Quality of service offered or requested.
    pub qos: Qos,
}

/// How a sample travels: "in-process", "shared-memory", "network" or "" (to nobody), and how many copies of its bytes that costs.
pub type Carrier = (&'static str, u32);

/// A sample that came from another process.
#[derive(Clone, Debug)]
pub struct RemoteSample {
    /// CDR with its encapsulation header; a view of shared memory where the sample came in it.
    pub payload: Bytes,
    /// When the publisher sent it, on its clock.
    pub source_time: Time,
    /// The publisher's count, from 1.
    pub sequence: i64,
    /// The publisher's global identity.
    pub gid: [u8; 16],
    /// How long ago it was sent, by the wire's clock; `None` if that is not known.
    pub age: Option<Duration>,
    /// How it came, and how often its bytes were copied at this end.
    pub carrier: Carrier,
}

/// A request that came from another process.
pub struct RemoteRequest {
    /// CDR with its encapsulation header.
    pub payload: Vec<u8>,
    /// Sends the answer; call it once.
    pub reply: Box<dyn FnOnce(Vec<u8>) + Send>,
}

/// What can go wrong between processes.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The wire could not be opened or was lost.
    #[error("cannot reach other processes: {0}")]
    Unreachable(String),
    /// A name or type is not allowed on the wire.
    #[error("`{name}` cannot be put on the wire: {reason}")]
    Refused {
        /// The topic's or service's name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Nobody answered a request in time.
    #[error("nobody answered on `{0}`")]
    NoAnswer(String),
}

/// Receives samples, on a thread of the wire.
pub type SampleSink = Arc<dyn Fn(RemoteSample) + Send + Sync>;
/// Receives requests, on a thread of the wire.
pub type RequestSink = Arc<dyn Fn(RemoteRequest) + Send + Sync>;
/// Receives one answer, on a thread of the wire.
pub type ReplySink = Box<dyn FnOnce(Result<Vec<u8>, TransportError>) + Send>;

/// Receives changes among the nodes and ends of other processes, in order, on a thread of the wire; false ends it.
pub type ChangeSink = Box<dyn Fn(RemoteChange) -> bool + Send + Sync>;

/// Something declared on the wire; dropping it takes it back.
pub trait Token: Send + Sync {}

/// The memory that a publisher shares with listeners on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    /// How large it is, bytes.
    pub bytes: u64,
    /// Samples that found no room in it and took another way.
    pub fallbacks: u64,
}

/// The wire's side of a publisher.
pub trait RemotePublisher: Send + Sync {
    /// Whether anybody outside this process listens.
    fn matched(&self) -> bool;
    /// Sends `message`; `stamp` is the graph's time of publication. Transient-local samples must be handed over even when nobody listens yet.
    fn publish(&self, message: &dyn Erased, stamp: Time) -> Result<(), TransportError>;
    /// How listeners are reached, for the graph's report.
    fn carrier(&self) -> Carrier;
    /// Tells listeners that the publisher is alive though it sends nothing.
    fn assert_liveliness(&self) -> Result<(), TransportError>;
    /// Why they are reached so, in a sentence.
    fn why(&self) -> String {
        "somebody outside this process listens".to_owned()
    }
    /// Samples that a listener did not take.
    fn dropped(&self) -> u64 {
        0
    }
    /// What memory it shares with listeners, if it does.
    fn memory(&self) -> Option<SharedMemory> {
        None
    }
    /// Room for `length` bytes where listeners can read them; `None` if nobody could, or there is none.
    fn loan(&self, _length: usize) -> Option<Box<dyn Lent>> {
        None
    }
}

/// The wire's side of a service client.
pub trait RemoteClient: Send + Sync {
    /// Whether a server is known outside this process.
    fn available(&self) -> bool;
    /// Sends a request (CDR with header); `reply` is called exactly once.
    fn call(&self, request: Vec<u8>, reply: ReplySink);
}

/// A wire to other processes. Samples never come back to the process that sent them.
pub trait Transport: Send + Sync {
    /// Announces a node.
    fn node(&self, node: &NodeIdentity) -> Result<Box<dyn Token>, TransportError>;
    /// Announces a publisher.
    fn publisher(&self, endpoint: &Endpoint) -> Result<Box<dyn RemotePublisher>, TransportError>;
    /// Announces a subscription; `sink` is called for each sample from outside.
    fn subscription(&self, endpoint: &Endpoint, sink: SampleSink) -> Result<Box<dyn Token>, TransportError>;
    /// Announces a service server.
    fn service(&self, endpoint: &Endpoint, sink: RequestSink) -> Result<Box<dyn Token>, TransportError>;
    /// Announces a service client.
    fn client(&self, endpoint: &Endpoint) -> Result<Box<dyn RemoteClient>, TransportError>;
    /// Tells `sink` who is in other processes, first those that are known, then each change.
    fn follow(&self, sink: ChangeSink);
    /// What came that could not be understood or went wrong since the start, a sentence each.
    fn complaints(&self) -> Vec<String>;
    /// What keeps it from other processes just now, a sentence each with what to do.
    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
    /// Where it listens, in one line for the user.
    fn describe(&self) -> String;
}
