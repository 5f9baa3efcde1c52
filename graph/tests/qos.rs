//! What quality of service means in one process: who gets what, and what a node is told. The clock is the bench's.

use std::sync::Arc;
use std::time::Duration;

use graph::testing::Bench;
use graph::{
    Context, HandlerResult, History, Node, Policy, Publisher, Qos, QosEvent, QosEventKind, RawPublisher, Setup, SetupError, Side,
};
use msgs::diagnostic_msgs::msg::DiagnosticArray;
use msgs::std_msgs::msg::{Int64, String as Text};
use msgs::std_srvs::srv::Trigger;
use msgs::{Bytes, Message};

const MS: Duration = Duration::from_millis(1);

/// A publisher and what its node is told; `N` chooses among the qualities of service below.
struct Talker<const N: u8> {
    out: Publisher<Int64>,
    told: Publisher<Text>,
    count: i64,
}

/// A subscription and what its node is told.
struct Listener<const N: u8> {
    heard: Publisher<Int64>,
    told: Publisher<Text>,
}

const DEADLINE: u8 = 0;
const BEST_EFFORT: u8 = 1;
const RELIABLE: u8 = 2;
const SHORT_LIVED: u8 = 3;
const MANUAL: u8 = 4;
const LATCHED: u8 = 5;
const SHALLOW: u8 = 6;
const EVERYTHING: u8 = 7;

fn qos(which: u8) -> Qos {
    match which {
        DEADLINE => Qos::reliable(10).deadline(20 * MS),
        BEST_EFFORT => Qos::sensor_data(),
        SHORT_LIVED => Qos::latched(10).lifespan(50 * MS),
        MANUAL => Qos::reliable(10).manual_liveliness(30 * MS),
        LATCHED => Qos::latched(10),
        SHALLOW => Qos::reliable(2),
        EVERYTHING => Qos { history: History::KeepAll, ..Qos::latched(1) },
        _ => Qos::reliable(10),
    }
}

impl<const N: u8> Node for Talker<N> {
    const NAME: &'static str = "talker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.on_qos_event(|node: &mut Self, ctx, event| note(&node.told, ctx, event))?;
        s.subscribe("say", Qos::reliable(100), |node: &mut Self, ctx, _: Arc<Int64>| {
            node.count += 1;
            node.out.publish(ctx, Int64 { data: node.count });
            Ok(())
        })?;
        s.subscribe("live", Qos::reliable(1), |node: &mut Self, ctx, _: Arc<Int64>| {
            node.out.assert_liveliness(ctx);
            Ok(())
        })?;
        s.subscribe("leave", Qos::reliable(1), |_: &mut Self, ctx, _: Arc<Int64>| {
            ctx.exit("asked to");
            Ok(())
        })?;
        Ok(Self { out: s.publisher("numbers", qos(N))?, told: s.publisher("talker_told", Qos::keep_all())?, count: 0 })
    }
}

impl<const N: u8> Node for Listener<N> {
    const NAME: &'static str = "listener";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.on_qos_event(|node: &mut Self, ctx, event| note(&node.told, ctx, event))?;
        s.subscribe("numbers", qos(N), |node: &mut Self, ctx, number: Arc<Int64>| {
            node.heard.publish(ctx, (*number).clone());
            Ok(())
        })?;
        Ok(Self { heard: s.publisher("heard", Qos::keep_all())?, told: s.publisher("listener_told", Qos::keep_all())? })
    }
}

/// Only what is about the topic under test, and the bookkeeping of joins and leaves only where asked for.
fn note(told: &Publisher<Text>, ctx: &mut Context, event: &QosEvent) -> HandlerResult {
    if &*event.topic == "/numbers" {
        told.publish(ctx, Text { data: format!("{:?}", event.kind) });
    }
    Ok(())
}

fn told(bench: &mut Bench, who: &str) -> Vec<String> {
    let all = bench.take::<Text>(&format!("{who}_told"));
    all.iter().map(|text| text.data.clone()).filter(|text| !text.starts_with("Matched")).collect()
}

fn heard(bench: &mut Bench) -> Vec<i64> {
    bench.take::<Int64>("heard").iter().map(|number| number.data).collect()
}

fn say(bench: &mut Bench, times: usize) {
    for _ in 0..times {
        bench.publish("say", Int64 { data: 0 });
    }
    bench.run_for(10 * MS);
}

#[test]
fn an_incompatible_pair_gets_no_data_and_both_ends_are_told_the_policy() {
    let mut bench = Bench::new();
    bench.add::<Talker<BEST_EFFORT>>(&[]).unwrap();
    bench.add::<Listener<RELIABLE>>(&[]).unwrap();
    say(&mut bench, 3);
    assert_eq!(heard(&mut bench), [0_i64; 0]);
    let event = |peer: &str| {
        let (policy, peer) = (Policy::Reliability, Arc::from(peer));
        format!("{:?}", QosEventKind::IncompatibleQos { total: 1, change: 1, policy, peer })
    };
    assert_eq!(told(&mut bench, "listener"), [event("/talker")]);
    assert_eq!(told(&mut bench, "talker"), [event("/listener")]);
    bench.run_for(1000 * MS);
    let sentence = "/talker to /listener: the publisher offers best effort, the subscriber requests reliable (reliability)";
    let reports = bench.take::<DiagnosticArray>("/diagnostics");
    let said = reports.iter().flat_map(|report| &report.status).filter(|status| status.message.starts_with(sentence));
    assert_eq!(said.count(), reports.len(), "once in each report");
    assert!(bench.logs().iter().any(|log| log.message.contains(sentence)), "and at once in the log");
    // The tap of the bench is nobody's subscription.
    assert_eq!(bench.take::<Int64>("numbers").len(), 3);
}

#[test]
fn deadlines_count_from_the_first_sample_at_both_ends() {
    let mut bench = Bench::new();
    bench.add::<Talker<DEADLINE>>(&[]).unwrap();
    bench.add::<Listener<DEADLINE>>(&[]).unwrap();
    bench.run_for(100 * MS);
    assert_eq!(told(&mut bench, "talker"), [""; 0], "nothing was promised before the first sample");
    say(&mut bench, 1);
    bench.run_for(10 * MS);
    say(&mut bench, 1);
    bench.run_for(20 * MS);
    assert_eq!(told(&mut bench, "talker"), [""; 0], "20 ms apart is in time");
    bench.run_for(30 * MS);
    let missed = |total| format!("{:?}", QosEventKind::DeadlineMissed { total, change: 1 });
    assert_eq!(told(&mut bench, "talker"), [missed(1), missed(2)]);
    assert_eq!(told(&mut bench, "listener")[1..], [missed(1), missed(2)], "after it saw the talker alive");
    bench.run_for(1000 * MS);
    let reports = bench.take::<DiagnosticArray>("/diagnostics");
    let mut said = reports.iter().flat_map(|report| &report.status);
    assert!(said.any(|status| status.message.contains("/listener received nothing for its deadline of 20ms")));
}

#[test]
fn samples_over_their_lifespan_are_not_given_to_late_joiners() {
    for (wait, expected) in [(30, vec![1]), (100, vec![])] {
        let mut bench = Bench::new();
        bench.add::<Talker<SHORT_LIVED>>(&[]).unwrap();
        say(&mut bench, 1);
        bench.run_for(wait * MS);
        bench.add::<Listener<LATCHED>>(&[]).unwrap();
        bench.run_for(20 * MS);
        assert_eq!(heard(&mut bench), expected, "{wait} ms later");
    }
}

#[test]
fn late_joiners_get_as_much_as_both_depths_allow() {
    let mut bench = Bench::new();
    bench.add::<Talker<LATCHED>>(&[]).unwrap();
    say(&mut bench, 14);
    bench.add::<Listener<LATCHED>>(&[]).unwrap();
    bench.run_for(20 * MS);
    assert_eq!(heard(&mut bench), (5..=14).collect::<Vec<i64>>());
}

#[test]
fn what_is_kept_of_everything_has_a_bound() {
    let mut bench = Bench::new();
    bench.add::<Talker<EVERYTHING>>(&[]).unwrap();
    for _ in 0..11 {
        say(&mut bench, 100);
    }
    bench.add::<Listener<EVERYTHING>>(&[]).unwrap();
    bench.run_for(20 * MS);
    assert_eq!(heard(&mut bench), (101..=1100).collect::<Vec<i64>>());
}

#[test]
fn a_publisher_that_must_say_that_it_is_alive_loses_its_liveliness_and_regains_it() {
    let mut bench = Bench::new();
    bench.add::<Talker<MANUAL>>(&[]).unwrap();
    bench.add::<Listener<MANUAL>>(&[]).unwrap();
    bench.run_for(100 * MS);
    assert_eq!(told(&mut bench, "listener"), [""; 0], "it has not begun");
    let changed = |alive, not_alive, alive_change, not_alive_change| {
        format!("{:?}", QosEventKind::LivelinessChanged { alive, not_alive, alive_change, not_alive_change })
    };
    say(&mut bench, 1);
    bench.run_for(10 * MS);
    for _ in 0..3 {
        bench.publish("live", Int64 { data: 0 });
        bench.run_for(20 * MS);
    }
    assert_eq!(told(&mut bench, "listener"), [changed(1, 0, 1, 0)]);
    assert_eq!(told(&mut bench, "talker"), [""; 0]);
    bench.run_for(50 * MS);
    assert_eq!(told(&mut bench, "listener"), [changed(0, 1, -1, 1)]);
    assert_eq!(told(&mut bench, "talker"), [format!("{:?}", QosEventKind::LivelinessLost { total: 1, change: 1 })]);
    say(&mut bench, 1);
    bench.run_for(10 * MS);
    assert_eq!(told(&mut bench, "listener"), [changed(1, 0, 1, -1)]);
}

#[test]
fn samples_that_a_full_queue_drops_are_told_as_lost() {
    let mut bench = Bench::new();
    bench.add::<Talker<RELIABLE>>(&[]).unwrap();
    bench.add::<Listener<SHALLOW>>(&[]).unwrap();
    say(&mut bench, 5);
    assert_eq!(heard(&mut bench), [4, 5]);
    let lost = told(&mut bench, "listener").into_iter().filter(|event| event.starts_with("MessageLost")).collect::<Vec<_>>();
    assert_eq!(lost.len(), 3);
    assert_eq!(lost[2], format!("{:?}", QosEventKind::MessageLost { total: 3, change: 1 }));
}

#[test]
fn joins_and_leaves_are_told() {
    let mut bench = Bench::new();
    bench.add::<Talker<RELIABLE>>(&[]).unwrap();
    bench.add::<Listener<RELIABLE>>(&[]).unwrap();
    bench.run_for(10 * MS);
    bench.publish("leave", Int64 { data: 0 });
    bench.run_for(20 * MS);
    let all = bench.take::<Text>("listener_told");
    let matched = all.iter().map(|text| text.data.clone()).filter(|text| text.starts_with("Matched")).collect::<Vec<_>>();
    let event =
        |change, current, current_change| format!("{:?}", QosEventKind::Matched { total: 1, change, current, current_change });
    assert_eq!(matched, [event(1, 1, 1), event(0, 0, -1)]);
}

#[test]
fn one_handler_hears_all_events_and_a_second_is_refused() {
    struct Twice;
    impl Node for Twice {
        const NAME: &'static str = "twice";
        fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
            s.on_qos_event(|_: &mut Self, _, event| {
                assert_eq!(event.side, Side::Publisher);
                Ok(())
            })?;
            s.on_qos_event(|_: &mut Self, _, _| Ok(()))?;
            Ok(Self)
        }
    }
    assert!(Bench::new().add::<Twice>(&[]).unwrap_err().to_string().contains("one handler"));
}

/// Speaks and hears bytes, and looks around.
struct Raw {
    out: RawPublisher,
    seen: Publisher<Text>,
}

impl Node for Raw {
    const NAME: &'static str = "raw";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let kind = Int64::message_type();
        s.subscribe_raw("heard", kind.name, kind.hash, Qos::reliable(10), |node: &mut Self, ctx, message| {
            let number = message.downcast::<Int64>().map(|number| number.data);
            let text = format!("{} {number:?} {} {}", message.to_cdr().len(), message.publisher, message.qos);
            node.seen.publish(ctx, Text { data: text });
            Ok(())
        })?;
        s.on_service::<Trigger>("go", |node: &mut Self, ctx, available| {
            let (publishers, subscribers) = (ctx.count_publishers("numbers"), ctx.count_subscribers("/numbers"));
            let known =
                ctx.topics()["/numbers"].contains("std_msgs/msg/Int64") && ctx.nodes().iter().any(|name| &**name == "/raw");
            node.seen.publish(ctx, Text { data: format!("{available} {publishers} {subscribers} {known}") });
            Ok(())
        })?;
        s.subscribe("send", Qos::reliable(10), |node: &mut Self, ctx, number: Arc<Int64>| {
            node.out.publish(ctx, Message::to_cdr(&*number))?;
            let nonsense = node.out.publish(ctx, Bytes::from_static(&[9, 9, 9, 9, 1])).is_err();
            node.seen.publish(ctx, Text { data: format!("nonsense refused: {nonsense}") });
            Ok(())
        })?;
        let out = s.publisher_raw("numbers", kind.name, kind.hash, Qos::reliable(10))?;
        Ok(Self { out, seen: s.publisher("seen", Qos::keep_all())? })
    }
}

struct Server;
impl Node for Server {
    const NAME: &'static str = "server";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.service::<Trigger>("go", |_: &mut Self, ctx, _| {
            ctx.exit("served");
            Ok(Default::default())
        })?;
        Ok(Self)
    }
}

#[test]
fn bytes_and_types_reach_each_other_and_a_node_can_look_around() {
    let mut bench = Bench::new();
    bench.add::<Raw>(&[]).unwrap();
    bench.add::<Listener<RELIABLE>>(&[]).unwrap();
    bench.publish("send", Int64 { data: 7 });
    bench.run_for(20 * MS);
    let seen = |bench: &mut Bench| bench.take::<Text>("seen").iter().map(|text| text.data.clone()).collect::<Vec<_>>();
    assert_eq!(
        seen(&mut bench),
        ["nonsense refused: true".to_owned(), format!("12 Some(7) /listener {}", Qos::keep_all())],
        "to a typed subscription, and back from a typed publisher"
    );
    bench.add::<Server>(&[]).unwrap();
    bench.run_for(10 * MS);
    assert_eq!(seen(&mut bench), ["true 1 1 true"]);
    bench.call::<Trigger>("go", Default::default()).unwrap();
    bench.run_for(10 * MS);
    assert_eq!(seen(&mut bench), ["false 1 1 true"]);
}
