//! Messages and services as bytes: what cannot be read, what a managed node says, what names mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use graph::testing::Bench;
use graph::{Context, HandlerResult, Level, Managed, Node, NodeError, NodeSpec, Publisher, Qos, RawPublisher, Setup, SetupError};
use msgs::std_msgs::msg::{Int64, String as Text};
use msgs::std_srvs::srv::{SetBool, SetBoolRequest, SetBoolResponse};
use msgs::{Bytes, Message};

const MS: Duration = Duration::from_millis(1);

/// Sends what it is told to as bytes; its life is managed.
struct Raw {
    out: RawPublisher,
}
impl Managed for Raw {}
impl Node for Raw {
    const NAME: &'static str = "raw";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.managed()?;
        s.subscribe("send", Qos::reliable(10), |node: &mut Self, ctx, number: Arc<Int64>| {
            let mut bytes = Message::to_cdr(&*number);
            if number.data < 0 {
                bytes.truncate(7);
            }
            Ok(node.out.publish(ctx, Bytes::from(bytes))?)
        })?;
        let kind = <Int64 as Message>::message_type();
        Ok(Self { out: s.publisher_raw("numbers", kind.name, kind.hash, Qos::reliable(10))? })
    }
    fn start(&mut self, _: &mut Context) -> HandlerResult {
        Err(NodeError::new("the lamp is broken"))
    }
}

/// Says again what it hears.
struct Listener {
    heard: Publisher<Int64>,
}
impl Node for Listener {
    const NAME: &'static str = "listener";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("numbers", Qos::reliable(10), |node: &mut Self, ctx, number: Arc<Int64>| {
            node.heard.publish(ctx, (*number).clone());
            Ok(())
        })?;
        Ok(Self { heard: s.publisher("heard", Qos::reliable(10))? })
    }
}

fn bench(autostart: bool) -> Bench {
    let mut bench = Bench::new();
    bench.add_spec::<Raw>(NodeSpec { autostart, ..NodeSpec::default() }).unwrap();
    bench.add::<Listener>(&[]).unwrap();
    bench
}

fn heard(bench: &mut Bench, numbers: &[i64]) -> Vec<i64> {
    for data in numbers {
        bench.publish("send", Int64 { data: *data });
        bench.run_for(20 * MS);
    }
    bench.take::<Int64>("heard").iter().map(|number| number.data).collect()
}

#[test]
fn bytes_that_are_no_message_are_refused_with_the_reason_and_counted() {
    let mut bench = bench(true);
    assert_eq!(heard(&mut bench, &[1, -1, -1, 2]), [1, 2]);
    let (level, why) = bench.status("listener", "receive /numbers").unwrap();
    assert_eq!(level, Level::Warn);
    assert!(why.starts_with("a sample from /raw is no std_msgs/msg/Int64: ") && why.ends_with("(2 so far)"), "{why}");
}

#[test]
fn a_managed_node_publishes_bytes_while_it_is_active_only() {
    assert_eq!(heard(&mut bench(false), &[1, 2]), [0_i64; 0]);
    let mut idle = bench(false);
    heard(&mut idle, &[1, 2]);
    let said = idle.logs().iter().filter(|log| log.message.contains("`/numbers` was not published")).count();
    assert_eq!(said, 1);
}

#[test]
fn a_node_whose_start_complained_is_brought_up_all_the_same() {
    let mut bench = bench(true);
    assert_eq!(heard(&mut bench, &[1]), [1]);
    assert!(bench.status("raw", "handler").unwrap().1.contains("the lamp is broken"));
}

/// Serves a type known at run time under a name that rules for services change.
struct Server;
impl Node for Server {
    const NAME: &'static str = "server";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let kind = msgs::registry::find_service("std_srvs/srv/SetBool").ok_or_else(|| s.failed("no SetBool"))?;
        s.service_raw("switch", kind, |_: &mut Self, ctx, _, responder| {
            responder.respond(ctx, Message::to_cdr(&SetBoolResponse { success: true, message: "on".into() }))?;
            Ok(())
        })?;
        Ok(Self)
    }
}

/// Waits for the same service, by the same rule.
struct Waiter {
    told: Publisher<Text>,
}
impl Node for Waiter {
    const NAME: &'static str = "waiter";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.on_service::<SetBool>("switch", |node: &mut Self, ctx, available| {
            let private = ctx.service_is_available::<SetBool>("~/switch");
            node.told.publish(ctx, Text { data: format!("{available}, its own: {private}") });
            Ok(())
        })?;
        Ok(Self { told: s.publisher("told", Qos::reliable(10))? })
    }
}

#[test]
fn rules_for_services_rename_those_that_are_served_as_bytes_and_those_that_are_waited_for() {
    let mut bench = Bench::new();
    let remaps = BTreeMap::from([("rosservice://switch".to_owned(), "/waiter/switch".to_owned())]);
    let spec = NodeSpec { remaps, ..NodeSpec::default() };
    bench.add_spec::<Waiter>(spec.clone()).unwrap();
    bench.run_for(10 * MS);
    assert!(bench.take::<Text>("told").is_empty());
    bench.add_spec::<Server>(spec).unwrap();
    bench.run_for(20 * MS);
    let told: Vec<_> = bench.take::<Text>("told").iter().map(|text| text.data.clone()).collect();
    assert_eq!(told, ["true, its own: true"]);
    assert_eq!(bench.call::<SetBool>("/waiter/switch", SetBoolRequest { data: true }).unwrap().message, "on");
}

/// What happens in one round is told in the order of the nodes.
mod order {
    use super::*;
    use graph::{QosEventKind, RestartPolicy, RestartWhen};
    use msgs::std_srvs::srv::{Trigger, TriggerResponse};

    struct Speaker(Publisher<Int64>);
    impl Node for Speaker {
        const NAME: &'static str = "a_speaker";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.subscribe("go", Qos::reliable(1), |node: &mut Self, ctx, number: Arc<Int64>| {
                node.0.publish(ctx, (*number).clone());
                Ok(())
            })?;
            Ok(Self(s.publisher("word", Qos::reliable(1))?))
        }
    }

    struct Leaver(#[allow(dead_code)] Publisher<Int64>);
    impl Node for Leaver {
        const NAME: &'static str = "b_leaver";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.subscribe("go", Qos::reliable(1), |_: &mut Self, ctx, _: Arc<Int64>| {
                ctx.exit("asked to");
                Ok(())
            })?;
            s.service::<Trigger>("help", |_: &mut Self, _, _| Ok(TriggerResponse::default()))?;
            Ok(Self(s.publisher("bye", Qos::reliable(1))?))
        }
    }

    struct Witness(Publisher<Text>);
    impl Witness {
        fn say(&self, ctx: &mut Context, what: &str) -> HandlerResult {
            self.0.publish(ctx, Text { data: what.into() });
            Ok(())
        }
    }
    impl Node for Witness {
        const NAME: &'static str = "c_witness";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.on_qos_event(|node: &mut Self, ctx, event| match event.kind {
                QosEventKind::Matched { current_change: -1, .. } => node.say(ctx, "left"),
                _ => Ok(()),
            })?;
            s.on_service::<Trigger>("help", |node: &mut Self, ctx, served| {
                node.say(ctx, if served { "help" } else { "no help" })
            })?;
            s.subscribe("word", Qos::reliable(1), |node: &mut Self, ctx, _: Arc<Int64>| node.say(ctx, "word"))?;
            s.subscribe("bye", Qos::reliable(1), |_: &mut Self, _, _: Arc<Int64>| Ok(()))?;
            Ok(Self(s.publisher("seen", Qos::reliable(10))?))
        }
    }

    #[test]
    fn who_leaves_is_missed_after_what_nodes_before_it_said_in_the_same_round() {
        let mut bench = Bench::new();
        bench.add::<Speaker>(&[]).unwrap();
        let restart = RestartPolicy { when: RestartWhen::Never, ..RestartPolicy::default() };
        bench.add_spec::<Leaver>(NodeSpec { restart, ..NodeSpec::default() }).unwrap();
        bench.add::<Witness>(&[]).unwrap();
        bench.run_for(10 * MS);
        bench.take_all();
        bench.publish("go", Int64 { data: 1 });
        bench.run_for(10 * MS);
        let seen: Vec<_> = bench.take::<Text>("seen").iter().map(|text| text.data.clone()).collect();
        assert_eq!(seen, ["word", "left", "no help"]);
    }
}
