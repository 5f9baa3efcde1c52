//! Talking to a graph that runs elsewhere: everything the command line does through the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use graph::{Durability, Qos, Reliability};
use msgs::rcl_interfaces::msg::ParameterValue;
use msgs::rcl_interfaces::srv::{
    DescribeParameters, DescribeParametersRequest, DescribeParametersResponse, GetParameters, GetParametersRequest,
    GetParametersResponse, ListParameters, ListParametersRequest, ListParametersResponse, SetParameters, SetParametersRequest,
    SetParametersResponse,
};
use msgs::{Message, MessageType, Service, registry};
use wire::{CallError, Client, GraphView, OpenError, RawSample, RawSubscription, WireConfig, WireError};

use graph::suggest;

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nothing runs, or nothing that can be reached.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The connection is lost, or a name is none.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A service gave no answer.
    #[error("{0}")]
    Call(#[from] CallError),
    /// A node, topic or service that nobody has.
    #[error("there is no {kind} `{name}`{hint}")]
    Unknown {
        /// node, topic, service
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest one, or nothing.
        hint: String,
    },
    /// A type that this program does not know.
    #[error("the type `{0}` is not known to this program")]
    Type(String),
    /// A text that does not fit the type.
    #[error("{0}")]
    Value(String),
    /// An answer or message that cannot be read.
    #[error("cannot read {what}: {source}")]
    Decode {
        /// What it was.
        what: String,
        /// The decoder's complaint.
        source: msgs::cdr::Error,
    },
    /// The server says no.
    #[error("{0}")]
    Refused(String),
    /// Nothing came.
    #[error("nothing arrived on {topic} within {seconds} s")]
    Silence {
        /// The topic.
        topic: String,
        /// How long it was waited for.
        seconds: f64,
    },
}

/// Samples that came and were not looked at yet, few of them: a view holds the publisher's shared memory.
pub struct Samples<T = RawSample> {
    queue: Receiver<T>,
    dropped: Arc<AtomicU64>,
}

/// How many samples wait at most.
const WAITING: usize = 16;

impl<T: Send + 'static> Samples<T> {
    /// A queue and the function that fills it: what finds no room is dropped and counted.
    fn queue() -> (impl Fn(T) + Send + Sync + 'static, Self) {
        let (sender, queue) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        let fill = move |sample| {
            if let Err(TrySendError::Full(_)) = sender.try_send(sample) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        (fill, Self { queue, dropped })
    }

    /// The next sample.
    ///
    /// # Errors
    /// Nothing came in time.
    pub fn recv_timeout(&self, patience: Duration) -> Result<T, RecvTimeoutError> {
        self.queue.recv_timeout(patience)
    }

    /// How many were dropped since the last question, because this side was too slow.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// A connection to a running graph.
pub struct Remote {
    client: Client,
}

const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the view of the graph may take to settle.
const SETTLE: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Remote {
    /// Connects as the environment says (`ROS_DOMAIN_ID`, `ZENOH_SESSION_CONFIG_URI`).
    ///
    /// # Errors
    /// [`RemoteError::Open`].
    pub fn connect() -> Result<Self, RemoteError> {
        Ok(Self { client: Client::connect(WireConfig::from_env()?)? })
    }

    /// The connection itself.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The graph as it is now. A router tells a new session of its nodes bit by bit, so this waits until two looks agree.
    ///
    /// # Errors
    /// [`RemoteError::Wire`].
    pub fn view(&self) -> Result<GraphView, RemoteError> {
        let until = Instant::now() + SETTLE;
        let mut before = self.client.graph()?;
        loop {
            std::thread::sleep(LOOK_AGAIN);
            let now = self.client.graph()?;
            if (now == before && !now.nodes.is_empty()) || Instant::now() > until {
                return Ok(now);
            }
            before = now;
        }
    }

    /// The type of a topic.
    ///
    /// # Errors
    /// Nobody has the topic, or its type is not known here.
    pub fn topic_type(&self, topic: &str) -> Result<&'static MessageType, RemoteError> {
        let topics = self.view()?.topics();
        let found = topics.iter().find(|t| t.name == topic);
        let info = found.ok_or_else(|| unknown("topic", topic, topics.iter().map(|t| t.name.as_str())))?;
        let name = info.types.first().cloned().unwrap_or_default();
        registry::find(&name).ok_or(RemoteError::Type(name))
    }

    /// Listens to a topic with a quality of service that every publisher of it can serve.
    ///
    /// # Errors
    /// Nobody has the topic, or [`RemoteError::Wire`].
    pub fn listen(&self, topic: &str) -> Result<(RawSubscription, Samples), RemoteError> {
        let topics = self.view()?.topics();
        let found = topics.iter().find(|t| t.name == topic);
        let info = found.ok_or_else(|| unknown("topic", topic, topics.iter().map(|t| t.name.as_str())))?;
        let reliable = !info.sources.is_empty() && info.sources.iter().all(|s| s.qos.reliability == Reliability::Reliable);
        let latched = !info.sources.is_empty() && info.sources.iter().all(|s| s.qos.durability == Durability::TransientLocal);
        let mut qos = if reliable { Qos::reliable(10) } else { Qos::sensor_data() };
        if latched {
            qos.durability = Durability::TransientLocal;
        }
        let (sender, samples) = Samples::queue();
        // The receiver is gone when the command ends: nothing is lost then.
        let subscription = self.client.subscribe(topic, qos, sender)?;
        Ok((subscription, samples))
    }

    /// Listens to a topic with a quality of service that the caller knows to fit; `sink` runs on a thread of the wire.
    ///
    /// # Errors
    /// [`RemoteError::Wire`].
    pub fn subscribe(
        &self,
        topic: &str,
        qos: Qos,
        sink: impl Fn(RawSample) + Send + Sync + 'static,
    ) -> Result<RawSubscription, RemoteError> {
        Ok(self.client.subscribe(topic, qos, sink)?)
    }

    /// Asks publishers for what they keep of a topic; `sink` runs on a thread of the wire and is dropped when all have answered.
    ///
    /// # Errors
    /// [`RemoteError::Wire`].
    pub fn kept(&self, topic: &str, sink: impl Fn(RawSample) + Send + Sync + 'static) -> Result<(), RemoteError> {
        Ok(self.client.kept(topic, SETTLE, sink)?)
    }

    /// A sample as YAML-like text, long lists cut after `max_elements`.
    ///
    /// # Errors
    /// [`RemoteError::Type`] or [`RemoteError::Decode`].
    pub fn text(sample: &RawSample, max_elements: usize) -> Result<String, RemoteError> {
        let message_type = registry::find(&sample.type_name).ok_or_else(|| RemoteError::Type(sample.type_name.clone()))?;
        msgs::json::to_text(message_type, &sample.payload, max_elements).map_err(|source| decode(&sample.type_name, source))
    }

    /// A sample as JSON.
    ///
    /// # Errors
    /// [`RemoteError::Type`] or [`RemoteError::Decode`].
    pub fn json(sample: &RawSample) -> Result<serde_json::Value, RemoteError> {
        let message_type = registry::find(&sample.type_name).ok_or_else(|| RemoteError::Type(sample.type_name.clone()))?;
        registry::decode_json(message_type, &sample.payload).map_err(|source| decode(&sample.type_name, source))
    }

    /// Publishes a message `count` times (0: until stopped), `period` apart.
    ///
    /// # Errors
    /// An unknown type, a value that does not fit it, or [`RemoteError::Wire`].
    pub fn publish(&self, topic: &str, type_name: &str, value: &str, count: u64, period: Duration) -> Result<(), RemoteError> {
        let message_type = registry::find(type_name).ok_or_else(|| RemoteError::Type(type_name.to_owned()))?;
        let payload = encode(message_type, value)?;
        // As `ros2 topic pub`: reliable and transient local, which every subscription takes.
        let publisher = self.client.advertise(topic, message_type, Qos::latched(1))?;
        if !publisher.wait_matched(Duration::from_secs(3)) {
            eprintln!("nobody listens to {topic} yet");
        }
        let mut sent = 0;
        while count == 0 || sent < count {
            publisher.publish(payload.clone())?;
            sent += 1;
            if count == 0 || sent < count {
                std::thread::sleep(period);
            }
        }
        Ok(())
    }

    /// Calls a service with a request given as YAML or JSON text; the response as JSON.
    ///
    /// # Errors
    /// Nobody serves it, the request does not fit, no answer, or an unreadable one.
    pub fn call_text(&self, service: &str, type_name: Option<&str>, request: &str) -> Result<serde_json::Value, RemoteError> {
        let services = self.view()?.services();
        let found = services.iter().find(|s| s.name == service && !s.sources.is_empty());
        let info = found.ok_or_else(|| unknown("service", service, services.iter().map(|s| s.name.as_str())))?;
        let name = type_name.map(str::to_owned).or_else(|| info.types.first().cloned()).unwrap_or_default();
        let service_type = registry::find_service(&name).ok_or(RemoteError::Type(name))?;
        let payload = encode(service_type.request, request)?;
        let answer = self.client.call(service, service_type, payload, CALL_TIMEOUT)?;
        registry::decode_json(service_type.response, &answer).map_err(|source| decode(service, source))
    }

    /// Calls a service of a type that is known at build time.
    ///
    /// # Errors
    /// No answer, or an unreadable one.
    pub fn call<S: Service>(&self, service: &str, request: &S::Request) -> Result<S::Response, RemoteError> {
        let answer = self.client.call(service, S::service_type(), request.to_cdr(), CALL_TIMEOUT)?;
        S::Response::from_cdr(&answer).map_err(|source| decode(service, source))
    }

    /// Names of a node's parameters.
    ///
    /// # Errors
    /// There is no such node, or it gives no answer.
    pub fn parameter_names(&self, node: &str) -> Result<Vec<String>, RemoteError> {
        let nodes = self.view()?.nodes;
        if !nodes.iter().any(|n| n.name == node) {
            return Err(unknown("node", node, nodes.iter().map(|n| n.name.as_str())));
        }
        let answer: ListParametersResponse =
            self.call::<ListParameters>(&format!("{node}/list_parameters"), &ListParametersRequest::default())?;
        Ok(answer.result.names)
    }

    /// Values of parameters, in the order of `names`.
    ///
    /// # Errors
    /// As [`Remote::parameter_names`].
    pub fn parameters(&self, node: &str, names: &[String]) -> Result<Vec<ParameterValue>, RemoteError> {
        let request = GetParametersRequest { names: names.to_vec() };
        let answer: GetParametersResponse = self.call::<GetParameters>(&format!("{node}/get_parameters"), &request)?;
        Ok(answer.values)
    }

    /// Descriptions of parameters, in the order of `names`.
    ///
    /// # Errors
    /// As [`Remote::parameter_names`].
    pub fn describe(&self, node: &str, names: &[String]) -> Result<DescribeParametersResponse, RemoteError> {
        let request = DescribeParametersRequest { names: names.to_vec() };
        self.call::<DescribeParameters>(&format!("{node}/describe_parameters"), &request)
    }

    /// Changes a parameter.
    ///
    /// # Errors
    /// The node refuses, with its reason; or as [`Remote::parameter_names`].
    pub fn set_parameter(&self, node: &str, name: &str, value: ParameterValue) -> Result<(), RemoteError> {
        let parameter = msgs::rcl_interfaces::msg::Parameter { name: name.to_owned(), value };
        let request = SetParametersRequest { parameters: vec![parameter] };
        let answer: SetParametersResponse = self.call::<SetParameters>(&format!("{node}/set_parameters"), &request)?;
        match answer.results.first() {
            Some(result) if result.successful => Ok(()),
            Some(result) => Err(RemoteError::Refused(result.reason.clone())),
            None => Err(RemoteError::Refused("the node gave an empty answer".into())),
        }
    }
}

/// Full name: with a slash in front.
#[must_use]
pub fn full(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{name}") }
}

fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> RemoteError {
    RemoteError::Unknown { kind, name: name.to_owned(), hint: suggest::hint(name, known) }
}

fn decode(what: &str, source: msgs::cdr::Error) -> RemoteError {
    RemoteError::Decode { what: what.to_owned(), source }
}

/// YAML or JSON text (`{data: hello}`) as an encoded message; an empty text is the default.
fn encode(message_type: &MessageType, text: &str) -> Result<Vec<u8>, RemoteError> {
    let value: serde_json::Value = if text.trim().is_empty() {
        serde_json::Value::Object(serde_json::Map::new())
    } else {
        serde_yaml_ng::from_str(text).map_err(|e| RemoteError::Value(format!("`{text}` is not valid YAML: {e}")))?
    };
    registry::encode_json(message_type, &value).map_err(|e| RemoteError::Value(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_looked_at_is_dropped_and_counted() {
        let (fill, samples) = Samples::queue();
        (0..WAITING + 3).for_each(fill);
        assert_eq!(samples.take_dropped(), 3);
        assert_eq!(samples.take_dropped(), 0);
        assert!((0..WAITING).all(|number| samples.recv_timeout(Duration::ZERO) == Ok(number)));
        assert!(samples.recv_timeout(Duration::ZERO).is_err());
    }

    #[test]
    fn texts_become_messages_or_errors() {
        let string = registry::find("std_msgs/msg/String").unwrap();
        let bytes = encode(string, "{data: hello}").unwrap();
        assert_eq!(msgs::std_msgs::msg::String::from_cdr(&bytes).unwrap().data, "hello");
        assert!(encode(string, "").is_ok());
        assert!(encode(string, "{date: hello}").unwrap_err().to_string().contains("data"));
        assert!(encode(string, "{data: [").unwrap_err().to_string().contains("not valid YAML"));
    }
}
