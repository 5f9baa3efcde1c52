//! Services as bytes, for recording and replay: a tap on the answers that servers of this process give, and a server of any type.

use std::sync::Arc;

use msgs::{Bytes, MessageType, ServiceType};
use serde::{Deserialize, Serialize};

use crate::context::{Context, Output};
use crate::error::{HandlerResult, NodeError, SetupError};
use crate::message::{AnyMessage, Erased};
use crate::node::{Node, Setup};
use crate::qos::Qos;
use crate::raw::{RawError, RawMessage};
use crate::service::{CallId, ReplyTo, ServiceEntry};
use crate::shared::Shared;
use crate::slot::{Event, Item, Slot};
use crate::topic::Tap;

/// What a tap on answers calls the answers of a service: its name with this behind it.
pub const REPLY: &str = "/_reply";

/// An answer that is owed, by a server of any type. Dropping it tells a caller in this process that none will come.
pub struct RawResponder {
    reply: ReplyTo,
    response_type: &'static MessageType,
    call: u64,
}

impl RawResponder {
    /// The caller's number of the call, unique for the calling node; 0 if it is in another process.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }

    /// Where the answer goes, for the state of the node that owes it ([`Node::freeze`]); `None` if that is another process.
    #[must_use]
    pub fn freeze(&self) -> Option<FrozenReply> {
        let (service, caller, port, call) = self.reply.frozen()?;
        Some(FrozenReply { service, caller, port, call })
    }

    /// Answers with an encoded response (CDR with its encapsulation header).
    ///
    /// # Errors
    /// [`RawError`], as of [`crate::RawPublisher::publish`].
    pub fn respond(self, ctx: &mut Context, response: impl Into<Bytes>) -> Result<(), RawError> {
        let response = Arc::new(RawMessage::new(self.response_type, response.into())?);
        ctx.emit(Output::Reply { reply: self.reply, response });
        Ok(())
    }
}

/// An answer that is owed, in a node's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenReply {
    service: String,
    caller: String,
    port: usize,
    call: u64,
}

impl FrozenReply {
    /// The answer as the node owes it again, in [`Node::thaw`].
    ///
    /// # Errors
    /// If caller or service are not there.
    pub fn thaw(self, ctx: &Context) -> Result<RawResponder, NodeError> {
        let Self { service, caller, port, call } = self;
        let response_type = ctx.shared.services.read().get(&service).map(|entry| entry.service_type.response);
        let response_type = response_type.ok_or_else(|| NodeError::new(format!("nobody serves `{service}`")))?;
        let slot = ctx.shared.slots.read().iter().find(|slot| *slot.name == *caller).cloned();
        let slot = slot.ok_or_else(|| NodeError::new(format!("there is no `{caller}` to be answered")))?;
        let generation = slot.generation();
        let reply = ReplyTo::local(&ctx.shared, &slot, port, generation, CallId(call), &Arc::from(service));
        Ok(RawResponder { reply, response_type, call })
    }
}

impl<N: Node> Setup<N> {
    /// Declares a tap on the answers that servers of this process give to clients of this process. The handler gets them as messages in
    /// the order in which they are sent, among what other taps of the node hear: on the topic `<service>/_reply`, of the response's
    /// type, from the server, with the caller's number of the call as sequence number.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn tap_replies(
        &mut self,
        filter: impl Fn(&str, &MessageType) -> bool + Send + Sync + 'static,
        mut handler: impl FnMut(&mut N, &mut Context, &AnyMessage) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        let depth = if self.shared.lock_step { usize::MAX } else { 1000 };
        let port = self.port(
            depth,
            Box::new(move |node, ctx, event| match event {
                Event::Message(any) => handler(node, ctx, &any),
                _ => Ok(()),
            }),
        );
        self.shared.reply_taps.write().push(Arc::new(Tap {
            slot: Arc::clone(&self.slot),
            port,
            generation: self.slot.generation(),
            ears: false,
            filter: Box::new(filter),
        }));
        Ok(())
    }

    /// Declares a service of a type known at run time, for callers in this process; the handler gets the encoded request.
    ///
    /// # Errors
    /// As [`Setup::service`].
    pub fn service_raw(
        &mut self,
        name: &str,
        service_type: &'static ServiceType,
        mut handler: impl FnMut(&mut N, &mut Context, Vec<u8>, RawResponder) -> HandlerResult + Send + 'static,
    ) -> Result<(), SetupError> {
        let name = self.resolver.resolve_service(name)?;
        self.types.add(service_type.name);
        let response_type = service_type.response;
        let port = self.port(
            1000,
            Box::new(move |node, ctx, event| match event {
                Event::Request { body, reply } => {
                    let call = reply.local_call().map_or(0, |(_, call)| call);
                    handler(node, ctx, body.to_cdr(), RawResponder { reply, response_type, call })
                }
                _ => Ok(()),
            }),
        );
        let generation = self.slot.generation();
        {
            let mut services = self.shared.services.write();
            if let Some(entry) = services.get(&name) {
                return Err(SetupError::ServiceTaken { name, owner: entry.slot.name.to_string() });
            }
            services.insert(name.clone(), ServiceEntry { slot: Arc::clone(&self.slot), port, generation, service_type });
        }
        self.shared.service_changed(&name);
        Ok(())
    }
}

impl Shared {
    /// Shows an answer to the taps on answers, before its caller gets it.
    pub fn show_reply(&self, server: &Arc<Slot>, reply: &ReplyTo, response: &Arc<dyn Erased>) {
        let taps = self.reply_taps.read();
        if taps.is_empty() {
            return;
        }
        let Some((service, call)) = reply.local_call() else { return };
        let topic: Arc<str> = Arc::from(format!("{service}{REPLY}"));
        let message_type = response.message_type();
        for tap in taps.iter().filter(|tap| (tap.filter)(&topic, message_type)) {
            let message = AnyMessage {
                topic: Arc::clone(&topic),
                message_type,
                stamp: self.now(),
                sequence: call,
                publisher: Arc::clone(&server.name),
                qos: Qos::services_default(),
                expires: None,
                payload: Arc::clone(response),
            };
            tap.slot.push(Item {
                port: tap.port,
                generation: tap.generation,
                event: Event::Message(message),
                published: None,
                edge: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::CallError;
    use crate::testing::Bench;
    use crate::{CallId, Client, Qos, RawPublisher};
    use msgs::Message;
    use msgs::std_msgs::msg::{Bool, String as Text};
    use msgs::std_srvs::srv::{SetBool, SetBoolRequest, SetBoolResponse};
    use std::time::Duration;

    /// Calls `switch` once and says what came back.
    struct Caller {
        client: Client<SetBool>,
        heard: crate::Publisher<Text>,
    }

    impl Node for Caller {
        const NAME: &'static str = "caller";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            let client =
                s.client::<SetBool>("switch", |node: &mut Self, ctx, _: CallId, answer: Result<SetBoolResponse, CallError>| {
                    let text = answer.map_or_else(|e| e.to_string(), |a| a.message);
                    node.heard.publish(ctx, Text { data: text });
                    Ok(())
                })?;
            s.timer(Duration::from_secs(1), |node: &mut Self, ctx| {
                node.client.call(ctx, SetBoolRequest { data: true });
                Ok(())
            })?;
            Ok(Self { client, heard: s.publisher("heard", Qos::reliable(10))? })
        }
    }

    /// Serves it as bytes, and says in what order it hears answers and messages.
    struct Server {
        tape: crate::Publisher<Text>,
        odd: RawPublisher,
    }

    impl Node for Server {
        const NAME: &'static str = "server";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            let kind = msgs::registry::find_service("std_srvs/srv/SetBool").ok_or_else(|| s.failed("no SetBool"))?;
            s.service_raw("switch", kind, |node: &mut Self, ctx, request, responder| {
                let on = SetBoolRequest::from_cdr(&request)?.data;
                let message = format!("call {} says {on}", responder.call());
                responder.respond(ctx, Message::to_cdr(&SetBoolResponse { success: on, message }))?;
                node.odd.publish(ctx, Message::to_cdr(&Bool { data: true }))?;
                Ok(())
            })?;
            s.tap_replies(
                |topic, _| topic == "/switch/_reply",
                |node: &mut Self, ctx, message| {
                    let answer = message.downcast::<SetBoolResponse>().ok_or_else(|| crate::NodeError::new("no answer"))?;
                    let data = format!("{} {} {}", message.publisher, message.sequence, answer.message);
                    node.tape.publish(ctx, Text { data });
                    Ok(())
                },
            )?;
            let hash = <Bool as Message>::message_type().hash;
            Ok(Self {
                tape: s.publisher("tape", Qos::reliable(10))?,
                odd: s.publisher_raw("odd", "std_msgs/msg/Bool", hash, Qos::reliable(1))?,
            })
        }
    }

    #[test]
    fn answers_as_bytes_reach_their_caller_and_the_tap_in_words() {
        let mut bench = Bench::new();
        bench.add::<Server>(&[]).unwrap();
        bench.add::<Caller>(&[]).unwrap();
        bench.run_for(Duration::from_secs(1));
        assert_eq!(bench.take::<Text>("heard")[0].data, "call 1 says true");
        assert_eq!(bench.take::<Text>("tape")[0].data, "/server 1 call 1 says true");
        assert!(bench.take::<Bool>("odd")[0].data, "a message published as bytes is one");
        assert_eq!(bench.statistics().nodes.iter().map(|n| n.dropped).sum::<u64>(), 0);
    }
}
