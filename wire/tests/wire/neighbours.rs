//! Processes of one host: most of these tests have two sessions in one process, which is no different for the carrier; the last ones
//! start themselves again as another process, stop it and kill it.

use crate::common::{LIMIT, config, pair, text, topic, wait_until};
use graph::transport::{EndpointKind, RemotePublisher, RemoteSample, SampleSink, Transport};
use graph::{Qos, Time};
use msgs::Message;
use msgs::sensor_msgs::msg::Image;
use msgs::std_msgs::msg::String as Text;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use wire::{Wire, WireConfig};
use zenoh::Wait;

fn sink() -> (SampleSink, mpsc::Receiver<RemoteSample>) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(move |sample| drop(sender.send(sample))), receiver)
}

fn publisher<M: Message>(wire: &Wire, qos: Qos) -> Box<dyn RemotePublisher> {
    wire.publisher(&topic::<M>(EndpointKind::Publisher, "/topic", 2, qos)).expect("declares")
}

fn subscription<M: Message>(wire: &Wire, id: u64, qos: Qos) -> (Box<dyn graph::transport::Token>, mpsc::Receiver<RemoteSample>) {
    let (sink, samples) = sink();
    (wire.subscription(&topic::<M>(EndpointKind::Subscription, "/topic", id, qos), sink).expect("declares"), samples)
}

/// Publishes until samples take the way over shared memory alone; how many that took.
fn settle(publisher: &dyn RemotePublisher, message: &dyn graph::Erased, samples: &mpsc::Receiver<RemoteSample>) -> i64 {
    wait_until("a match", || publisher.matched());
    let count = std::cell::Cell::new(0);
    wait_until("the carrier", || {
        publisher.publish(message, Time::ZERO).expect("sends");
        count.set(count.get() + 1);
        let sample = samples.recv_timeout(LIMIT).expect("a sample");
        assert_eq!(sample.sequence, count.get(), "each once, in order");
        publisher.carrier().0 == "shared-memory" && publisher.why().contains("are on this host")
    });
    count.get()
}

#[test]
fn when_all_listeners_are_here_samples_do_not_go_over_zenoh() {
    let (a, b) = pair();
    let publisher = publisher::<Text>(&a, Qos::reliable(10));
    let (_s, samples) = subscription::<Text>(&b, 2, Qos::reliable(10));
    let first = settle(&*publisher, &text("hello"), &samples);
    assert_eq!(publisher.carrier(), ("shared-memory", 4));
    let before = b.statistics();
    for n in first + 1..=first + 100 {
        publisher.publish(&text(&format!("hello {n}")), Time::from_nanos(n)).expect("sends");
        let sample = samples.recv_timeout(LIMIT).expect("a sample");
        assert_eq!((sample.sequence, sample.source_time), (n, Time::from_nanos(n)));
        assert!(sample.age.is_some(), "what waited in the queue of a stopped process is not new");
        assert_eq!(Text::from_cdr(&sample.payload).expect("decodes").data, format!("hello {n}"));
        let view = b.graph_snapshot();
        assert!(view.endpoints.iter().any(|endpoint| endpoint.gid == sample.gid), "the identity of the token");
    }
    let after = b.statistics();
    assert_eq!((after.carried - before.carried, after.received - before.received), (100, 100));
}

#[test]
fn a_picture_made_in_lent_memory_is_not_copied_and_one_made_elsewhere_once() {
    let (a, b) = pair();
    let publisher = publisher::<Image>(&a, Qos::sensor_data());
    assert!(publisher.loan(1 << 20).is_none(), "nobody listens");
    let (_s, samples) = subscription::<Image>(&b, 2, Qos::sensor_data());
    let image = |data| Image { height: 480, width: 640, encoding: "rgb8".into(), data, ..Default::default() };
    settle(&*publisher, &image(vec![7; 640 * 480 * 3].into()), &samples);
    assert_eq!(publisher.carrier(), ("shared-memory", 1));
    for n in 0..100_u8 {
        let mut room = publisher.loan(640 * 480 * 3).expect("there is room");
        room.bytes().fill(n);
        let sent = image(room.freeze());
        publisher.publish(&sent, Time::ZERO).expect("sends");
        assert_eq!(publisher.carrier(), ("shared-memory", 0));
        let sample = samples.recv_timeout(LIMIT).expect("a sample");
        let received = Image::from_shared(&sample.payload).expect("decodes");
        assert!(received == sent && sample.payload.as_ptr_range().contains(&received.data.as_ptr()), "{n}");
    }
    // What has been sent is not sent from there again: a listener may look at it.
    let mut room = publisher.loan(100_000).expect("there is room");
    room.bytes().fill(1);
    let sent = image(room.freeze());
    for copies in [0, 1] {
        publisher.publish(&sent, Time::ZERO).expect("sends");
        assert_eq!(publisher.carrier(), ("shared-memory", copies));
    }
    assert!(publisher.memory().is_some_and(|memory| memory.bytes > 1 << 20));
}

#[test]
fn a_listener_without_a_token_gets_everything_from_a_second_after_it_came_and_nobody_gets_anything_twice() {
    let config = config();
    let a = Wire::open(config.clone()).expect("opens");
    let b = Wire::open(config.clone()).expect("opens");
    let endpoint = topic::<Text>(EndpointKind::Publisher, "/topic", 2, Qos::keep_all());
    let publisher = a.publisher(&endpoint).expect("declares");
    let (_s, samples) = subscription::<Text>(&b, 2, Qos::keep_all());
    let mut sequence = settle(&*publisher, &text("hello"), &samples);
    let mut client = zenoh::Config::default();
    for (name, value) in [("mode", "\"client\"".to_owned()), ("connect/endpoints", format!("[{:?}]", config.router))] {
        client.insert_json5(name, &value).expect("valid");
    }
    client.insert_json5("scouting/multicast/enabled", "false").expect("valid");
    for _ in 0..2 {
        let client = zenoh::open(client.clone()).wait().expect("opens");
        let key = wire::key_expression(0, "/topic", endpoint.dds_name, endpoint.type_hash).expect("valid");
        let (sender, plain) = mpsc::channel();
        let callback = move |sample: zenoh::sample::Sample| {
            // The receiver may be gone.
            let _ = sender.send(sample.payload().len());
        };
        let stranger = client.declare_subscriber(key).callback(callback).wait().expect("subscribes");
        let publish = |sequence: &mut i64| {
            publisher.publish(&text("to all"), Time::ZERO).expect("sends");
            *sequence += 1;
            assert_eq!(samples.recv_timeout(LIMIT).expect("a sample").sequence, *sequence);
        };
        wait_until("the stranger is heard of", || {
            publish(&mut sequence);
            plain.try_recv().is_ok()
        });
        assert!(publisher.why().contains("listens too"), "{}", publisher.why());
        for _ in 0..50 {
            publish(&mut sequence);
            plain.recv_timeout(LIMIT).expect("the stranger gets each");
        }
        drop(stranger);
        // Who says nothing by a token might listen again at any time.
        publish(&mut sequence);
        assert!(publisher.why().contains("listens too"), "{}", publisher.why());
        client.close().wait().expect("closes");
        wait_until("the carrier alone", || {
            publish(&mut sequence);
            publisher.why().contains("are on this host")
        });
    }
    assert!(b.statistics().doubles > 0 && samples.try_recv().is_err());
    assert_eq!(b.statistics().received, sequence.unsigned_abs());
}

#[test]
fn two_subscriptions_of_a_process_get_each_sample_once_in_order_while_ways_change() {
    let (a, b) = pair();
    let publisher = publisher::<Image>(&a, Qos::keep_all());
    let (_one, first) = subscription::<Image>(&b, 2, Qos::keep_all());
    let image = |n: i64| Image { data: vec![n.to_le_bytes()[0]; 100_000].into(), ..Default::default() };
    let mut sequence = settle(&*publisher, &image(0), &first);
    let (_two, second) = subscription::<Image>(&b, 3, Qos::keep_all());
    // Held samples fill the memory again and again; then others have to go over Zenoh.
    let (mut held, mut late, mut detours) = (Vec::new(), 0, 0);
    for round in 0..400 {
        publisher.publish(&image(sequence + 1), Time::ZERO).expect("sends");
        sequence += 1;
        detours += u32::from(publisher.why().contains("full"));
        let sample = first.recv_timeout(LIMIT).expect("a sample");
        assert_eq!(sample.sequence, sequence);
        assert!(sample.payload[1000..].iter().take(90_000).all(|byte| *byte == sequence.to_le_bytes()[0]));
        if round % 100 > 5 && round % 100 < 80 {
            held.push(sample);
        } else {
            held.clear();
        }
        for sample in second.try_iter() {
            assert!(sample.sequence > late, "{} after {late}", sample.sequence);
            late = sample.sequence;
        }
    }
    assert!(detours > 0, "the memory was never full");
    wait_until("the last one", || second.try_iter().last().is_some_and(|sample| sample.sequence == sequence) || late == sequence);
    assert!(first.try_recv().is_err());
}

#[test]
fn without_shared_memory_everything_goes_over_the_network() {
    let config = WireConfig { shared_memory: false, ..config() };
    let (a, b) = (Wire::open(config.clone()).expect("opens"), Wire::open(config).expect("opens"));
    let publisher = publisher::<Text>(&a, Qos::reliable(10));
    let (_s, samples) = subscription::<Text>(&b, 2, Qos::reliable(10));
    wait_until("a match", || publisher.matched());
    publisher.publish(&text("hello"), Time::ZERO).expect("sends");
    samples.recv_timeout(LIMIT).expect("a sample");
    assert_eq!((publisher.carrier(), b.statistics().carried), (("network", 5), 0));
}

#[test]
fn what_late_joiners_are_to_have_goes_over_zenoh() {
    let (a, b) = pair();
    let publisher = publisher::<Text>(&a, Qos::latched(5));
    publisher.publish(&text("before"), Time::ZERO).expect("sends");
    let (_s, samples) = subscription::<Text>(&b, 2, Qos::latched(5));
    assert_eq!(samples.recv_timeout(LIMIT).expect("history").sequence, 1);
    wait_until("a match", || publisher.matched());
    publisher.publish(&text("after"), Time::ZERO).expect("sends");
    assert_eq!(samples.recv_timeout(LIMIT).expect("live").sequence, 2);
    assert_eq!((publisher.carrier().0, b.statistics().carried), ("network", 0));
}

/// The other process; it says `@held <count>` for every sample.
struct Holder(Child, mpsc::Receiver<u64>);

impl Holder {
    fn start(config: &WireConfig) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("has a name"));
        command.args(["--exact", "neighbours::the_other_process", "--nocapture", "--test-threads=1"]);
        command.env("WIRE_ROUTER", &config.router).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, counts) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, count)) = line.split_once("@held ") {
                    let _ = sender.send(count.trim().parse().expect("a number"));
                }
            }
        });
        Self(child, counts)
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("there is a kill").success());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: what the other process does.
#[test]
fn the_other_process() {
    let Ok(router) = std::env::var("WIRE_ROUTER") else { return };
    let wire = Wire::open(WireConfig { router, embed_router: false, ..WireConfig::default() }).expect("opens");
    let (_s, samples) = subscription::<Image>(&wire, 2, Qos::reliable(10));
    let mut held = Vec::new();
    for sample in samples.iter() {
        held.push(sample);
        writeln!(std::io::stdout(), "@held {}", held.len()).expect("somebody reads");
    }
}

#[test]
fn listeners_that_hold_everything_are_stopped_and_killed_and_the_publisher_goes_on() {
    let config = config();
    let a = Wire::open(config.clone()).expect("opens");
    let publisher = publisher::<Image>(&a, Qos::reliable(10));
    let image = Image { data: vec![7; 1 << 20].into(), ..Default::default() };
    for _ in 0..2 {
        let mut other = Holder::start(&config);
        wait_until("a match", || publisher.matched());
        wait_until("the carrier, then its end", || {
            publisher.publish(&image, Time::ZERO).expect("sends");
            other.1.recv_timeout(Duration::from_millis(200)).is_ok_and(|count| count > 3) && publisher.why().contains("full")
        });
        assert!(publisher.memory().is_some_and(|memory| memory.fallbacks > 0));
        other.signal("-STOP");
        let dropped = publisher.dropped();
        let small = Image { data: vec![7; 1000].into(), ..Default::default() };
        wait_until("samples that are not taken", || {
            for _ in 0..100 {
                publisher.publish(&small, Time::ZERO).expect("sends");
            }
            publisher.dropped() > dropped
        });
        other.0.kill().expect("kills");
        other.0.wait().expect("ends");
        wait_until("nobody", || !publisher.matched());
    }
    // A listener that comes after them finds all of the memory free.
    let b = Wire::open(config).expect("opens");
    let (_s, samples) = subscription::<Image>(&b, 2, Qos::reliable(10));
    wait_until("a match", || publisher.matched());
    wait_until("the carrier", || {
        publisher.publish(&image, Time::ZERO).expect("sends");
        samples.recv_timeout(LIMIT).expect("a sample");
        publisher.why().contains("are on this host")
    });
}
