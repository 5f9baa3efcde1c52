//! The player on a bench.

use super::*;
use bags::{BagOptions, BagWriter, Channel, Naming};
use graph::testing::Bench;
use graph::{ActionClient, Outcome};
use msgs::action::Action;
use msgs::omnimind_msgs::action::{Act, ActGoal, ActResult};
use msgs::rosbag2_interfaces::srv::*;
use msgs::std_msgs::msg::{Int64, String as Text};
use msgs::{Message, Service};
use std::sync::Arc;

fn record(path: &std::path::Path, first_ns: u64) {
    let mut writer = mcap::Writer::new(std::fs::File::create(path).unwrap()).unwrap();
    let schema = writer.add_schema("std_msgs/msg/String", "ros2msg", b"string data").unwrap();
    let odd = writer.add_schema("other_msgs/msg/Odd", "ros2msg", b"int8 x").unwrap();
    let chatter = writer.add_channel(schema, "/chatter", "cdr", &BTreeMap::new()).unwrap();
    let odd = writer.add_channel(odd, "/odd", "cdr", &BTreeMap::new()).unwrap();
    for i in 0..5u64 {
        let header = mcap::records::MessageHeader {
            channel_id: chatter,
            sequence: i as u32,
            log_time: first_ns + i * 100_000_000,
            publish_time: 0,
        };
        let bytes = if i == 2 { vec![0, 1, 0, 0, 255] } else { Text { data: format!("{i}") }.to_cdr() };
        writer.write_to_known_channel(&header, &bytes).unwrap();
        writer.write_to_known_channel(&mcap::records::MessageHeader { channel_id: odd, ..header }, &[0, 1, 0, 0, 1]).unwrap();
    }
    writer.finish().unwrap();
}

fn bench(path: &std::path::Path, topics: &[&str]) -> Result<Bench, SetupError> {
    let mut bench = Bench::new();
    let topics: Vec<String> = topics.iter().map(|t| (*t).to_owned()).collect();
    bench.add::<Player>(&[("path", path.to_str().unwrap().into()), ("topics", topics.into())])?;
    Ok(bench)
}

#[test]
fn messages_come_back_at_their_pace_and_a_broken_one_is_skipped_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    record(&path, 1_700_000_000_000_000_000);
    let mut bench = bench(&path, &["*"]).unwrap();
    bench.run_for(Duration::from_millis(150));
    let texts = |bench: &mut Bench| bench.take::<Text>("chatter").iter().map(|m| m.data.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&mut bench), ["0", "1"]);
    bench.run_for(Duration::from_millis(500));
    assert_eq!(texts(&mut bench), ["3", "4"]);
    assert!(bench.status("player", "recording").unwrap().1.contains("/chatter"));
    // A type that is not compiled in is played by its definition, which the bag has.
    assert_eq!(bench.stop_reason().unwrap(), "the recording is over: 9 messages played");
}

#[test]
fn from_a_snapshot_on_the_rest_is_played_and_another_recording_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    record(&path, 1_700_000_000_000_000_000);
    record(&other, 1_700_000_000_000_000_001);
    let texts = |bench: &mut Bench| bench.take::<Text>("chatter").iter().map(|m| m.data.clone()).collect::<Vec<_>>();
    for (after_ms, rest) in [(0, vec!["0", "1", "3", "4"]), (50, vec!["1", "3", "4"]), (250, vec!["3", "4"]), (350, vec!["4"])] {
        let mut first = bench(&path, &["*"]).unwrap();
        first.run_for(Duration::from_millis(after_ms));
        let bytes = first.snapshot().unwrap();
        // The recording may lie elsewhere.
        let moved = folder.path().join(format!("moved{after_ms}.mcap"));
        std::fs::copy(&path, &moved).unwrap();
        let mut second = bench(&moved, &["*"]).unwrap();
        second.resume(&bytes).unwrap();
        second.run_for(Duration::from_secs(1));
        assert_eq!(texts(&mut second), rest, "after {after_ms} ms");
        assert_eq!(second.stop_reason().unwrap(), "the recording is over: 9 messages played");
        let refused = bench(&other, &["*"]).unwrap().resume(&bytes).unwrap_err().to_string();
        assert!(refused.contains("b.mcap is another recording"), "{refused}");
    }
}

#[test]
fn a_simulated_recording_plays_at_its_own_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    record(&path, 500_000_000);
    let mut bench = bench(&path, &["/chatter"]).unwrap();
    bench.run_for(Duration::from_millis(490));
    assert!(bench.take::<Text>("chatter").is_empty());
    bench.run_for(Duration::from_millis(20));
    assert_eq!(bench.take::<Text>("chatter").len(), 1);
}

#[test]
fn what_cannot_be_played_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    record(&path, 0);
    let error = bench(&path, &["/chater"]).err().unwrap().to_string();
    assert!(error.contains("did you mean `/chatter`?"), "{error}");
    let error = bench(&folder.path().join("none.mcap"), &["*"]).err().unwrap().to_string();
    assert!(error.contains("none.mcap"), "{error}");
    std::fs::write(&path, b"no").unwrap();
    assert!(bench(&path, &["*"]).is_err());
}

/// Five messages a tenth of a second apart, at the times of a wall clock.
fn hand(path: &std::path::Path, parameters: &[(&str, graph::ParamValue)]) -> Bench {
    let file = path.join("a.mcap");
    record(&file, FIRST_NS);
    let mut bench = Bench::new();
    let mut all: Vec<(&str, graph::ParamValue)> =
        vec![("path", file.to_str().unwrap().into()), ("topics", vec!["/chatter".to_owned()].into())];
    all.extend(parameters.iter().cloned());
    bench.add::<Player>(&all).unwrap();
    bench
}

const FIRST_NS: u64 = 1_700_000_000_000_000_000;

fn heard(bench: &mut Bench, topic: &str) -> Vec<String> {
    bench.take::<Text>(topic).iter().map(|m| m.data.clone()).collect()
}

#[test]
fn it_is_stepped_sought_and_paced_by_rosbag2s_services() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = hand(folder.path(), &[("start_paused", true.into())]);
    bench.run_for(Duration::from_secs(1));
    assert!(heard(&mut bench, "chatter").is_empty());
    assert!(bench.call::<IsPaused>("player/is_paused", Default::default()).unwrap().paused);
    assert!(bench.call::<PlayNext>("player/play_next", Default::default()).unwrap().success);
    assert_eq!(heard(&mut bench, "chatter"), ["0"]);
    assert_eq!(bench.call::<Burst>("player/burst", BurstRequest { num_messages: 2 }).unwrap().actually_burst, 2);
    assert_eq!(heard(&mut bench, "chatter"), ["1", "3"], "the third is broken and passed over");
    assert!(!bench.call::<SetRate>("player/set_rate", SetRateRequest { rate: 0.0 }).unwrap().success);
    assert!(bench.call::<SetRate>("player/set_rate", SetRateRequest { rate: 0.5 }).unwrap().success);
    assert_eq!(bench.call::<GetRate>("player/get_rate", Default::default()).unwrap().rate, 0.5);
    let at = |ns: u64| SeekRequest { time: Time::from_nanos(ns as i64).to_msg() };
    assert!(!bench.call::<Seek>("player/seek", at(FIRST_NS + 400_000_001)).unwrap().success);
    assert!(bench.call::<Seek>("player/seek", at(5)).unwrap().success);
    assert!(bench.call::<PlayNext>("player/play_next", Default::default()).unwrap().success);
    assert_eq!(heard(&mut bench, "chatter"), ["0"], "before the start is the start");
    assert!(bench.call::<Seek>("player/seek", at(FIRST_NS + 250_000_000)).unwrap().success);
    bench.call::<Resume>("player/resume", Default::default()).unwrap();
    // Half the pace: a tenth of a second takes two tenths.
    bench.run_for(Duration::from_millis(80));
    assert!(heard(&mut bench, "chatter").is_empty());
    bench.run_for(Duration::from_millis(60));
    assert_eq!(heard(&mut bench, "chatter"), ["3"]);
    bench.run_for(Duration::from_millis(250));
    assert_eq!(heard(&mut bench, "chatter"), ["4"]);
    assert_eq!(bench.stop_reason().unwrap(), "the recording is over: 6 messages played");
}

#[test]
fn a_part_is_played_under_another_name_after_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let parameters = [
        ("start_offset", 0.05.into()),
        ("playback_duration", 0.3.into()),
        ("remap", vec!["/chatter:=/talk".to_owned()].into()),
        ("delay", 1.0.into()),
    ];
    let mut bench = hand(folder.path(), &parameters);
    bench.run_for(Duration::from_millis(1000));
    assert!(heard(&mut bench, "talk").is_empty());
    bench.run_for(Duration::from_millis(2000));
    assert_eq!(heard(&mut bench, "talk"), ["1", "3"]);
    assert!(bench.stop_reason().is_some());
}

#[test]
fn it_begins_again_at_the_end_if_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = hand(folder.path(), &[("loop", true.into()), ("clock_hz", 10.0.into())]);
    bench.run_for(Duration::from_millis(1000));
    assert_eq!(heard(&mut bench, "chatter")[..6], ["0", "1", "3", "4", "0", "1"]);
    assert!(bench.stop_reason().is_none());
}

#[test]
fn who_tells_the_time_plays_no_clock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let mut writer = BagWriter::create(&path, Naming::File, BagOptions::default()).unwrap();
    let (clock, text) = (Clock::message_type(), Text::message_type());
    for i in 0..5u64 {
        let at = FIRST_NS + i * 10_000_000;
        for (topic, kind, cdr) in [("/clock", clock, Clock::default().to_cdr()), ("/chatter", text, Text::default().to_cdr())] {
            let channel = Channel { topic, message_type: kind.name, definition: kind.definition, type_hash: kind.hash, qos: &[] };
            writer.write(&channel, at, at, 0, &cdr).unwrap();
        }
    }
    writer.finish().unwrap();
    for (clock_hz, zeros) in [(100.0, 0), (0.0, 5)] {
        let mut bench = Bench::new();
        let all = vec!["*".to_owned()];
        bench
            .add::<Player>(&[("path", path.to_str().unwrap().into()), ("topics", all.into()), ("clock_hz", clock_hz.into())])
            .unwrap();
        bench.run_for(Duration::from_millis(100));
        let told = bench.take::<Clock>("clock");
        assert_eq!(told.iter().filter(|c| ***c == Clock::default()).count(), zeros);
        assert_eq!(heard(&mut bench, "chatter").len(), 5);
    }
}

#[test]
fn what_is_wrong_with_its_parameters_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.mcap");
    record(&file, 0);
    let odd = folder.path().join("qos.yaml");
    std::fs::write(&odd, "/chatter: {durability: forever}").unwrap();
    for (name, value, word) in [
        ("remap", graph::ParamValue::from(vec!["a=b".to_owned()]), "from:=to"),
        ("qos_overrides", odd.to_str().unwrap().into(), "durability"),
        ("qos_overrides", "none.yaml".into(), "none.yaml"),
    ] {
        let mut bench = Bench::new();
        let error = bench.add::<Player>(&[
            ("path", file.to_str().unwrap().into()),
            ("topics", vec!["*".to_owned()].into()),
            (name, value),
        ]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

/// `in` + 1 -> `mid`.
struct First {
    out: Publisher<Int64>,
}

impl Node for First {
    const NAME: &'static str = "first";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("in", Qos::reliable(10), |node: &mut Self, ctx, m: Arc<Int64>| {
            node.out.publish(ctx, Int64 { data: m.data + 1 });
            Ok(())
        })?;
        Ok(Self { out: s.publisher("mid", Qos::reliable(10))? })
    }
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        Ok(Vec::new())
    }
    fn thaw(&mut self, _: &mut Context, _: &[u8]) -> HandlerResult {
        Ok(())
    }
}

/// `mid` * 10 + the last `other` -> `made`; the order of the two matters. Sends a goal with each.
struct Second {
    other: i64,
    out: Publisher<Int64>,
    done: Publisher<Text>,
    client: ActionClient<Act>,
}

impl Node for Second {
    const NAME: &'static str = "second";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("mid", Qos::reliable(10), |node: &mut Self, ctx, m: Arc<Int64>| {
            node.out.publish(ctx, Int64 { data: m.data * 10 + node.other });
            node.client.send(ctx, ActGoal::default());
            Ok(())
        })?;
        s.subscribe("other", Qos::reliable(10), |node: &mut Self, _, m: Arc<Int64>| {
            node.other = m.data;
            Ok(())
        })?;
        let client = s.action_client::<Act>(
            "move",
            |_: &mut Self, _, _, _| Ok(()),
            |node: &mut Self, ctx, _, outcome| {
                let text = match outcome {
                    Outcome::Succeeded(result) => result.reason,
                    other => format!("{other:?}"),
                };
                node.done.publish(ctx, Text { data: text });
                Ok(())
            },
        )?;
        Ok(Self { other: 0, out: s.publisher("made", Qos::reliable(10))?, done: s.publisher("done", Qos::reliable(10))?, client })
    }
    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        graph::snapshot::pack(&self.other)
    }
    fn thaw(&mut self, _: &mut Context, state: &[u8]) -> HandlerResult {
        self.other = graph::snapshot::unpack(state)?;
        Ok(())
    }
}

/// What a recorder would have kept of two moments, in the order of what happened.
fn replayable(path: &std::path::Path, second_made: i64) {
    // Made before: the same.
    if path.exists() {
        return;
    }
    let mut writer = BagWriter::create(path, Naming::File, BagOptions::default()).unwrap();
    let mut put = |topic: &str, kind: &msgs::MessageType, ms: u64, cdr: Vec<u8>| {
        let channel = Channel { topic, message_type: kind.name, definition: kind.definition, type_hash: kind.hash, qos: &[] };
        writer.write(&channel, ms * 1_000_000, ms * 1_000_000, 0, &cdr).unwrap();
    };
    let number = |data: i64| Int64 { data }.to_cdr();
    let int = Int64::message_type();
    let send = <<Act as Action>::SendGoal as Service>::Response::message_type();
    let result = <<Act as Action>::GetResult as Service>::Response::message_type();
    let answer =
        |reason: &str| Act::get_result_response(4, ActResult { success: true, reason: reason.into(), ..ActResult::default() });
    let text = |data: &str| Text { data: data.into() }.to_cdr();
    for (ms, n, other, made) in [(10, 1, 7, 20), (20, 2, 9, second_made)] {
        put("/in", int, ms, number(n));
        put("/mid", int, ms, number(n + 1));
        put("/made", int, ms, number(made));
        put("/other", int, ms, number(other));
        put("/move/_action/send_goal/_reply", send, ms, Act::send_goal_response(true, Default::default()).to_cdr());
        put("/move/_action/get_result/_reply", result, ms + 10 * (n as u64 - 1), answer(&format!("goal {n}")).to_cdr());
        put("/done", Text::message_type(), ms + 10 * (n as u64 - 1), text(&format!("goal {n}")));
    }
    put("/in", int, 40, number(0));
    writer.finish().unwrap();
}

/// The nodes under test and a player.
fn replaying(folder: &std::path::Path, second_made: i64) -> (Bench, PathBuf) {
    let (bag, report) = (folder.join(format!("{second_made}.mcap")), folder.join("report.json"));
    replayable(&bag, second_made);
    let mut bench = Bench::new();
    bench.add::<First>(&[]).unwrap();
    bench.add::<Second>(&[]).unwrap();
    let made_anew = ["/mid", "/made", "/done"].map(str::to_owned).to_vec();
    bench
        .add::<Player>(&[
            ("path", bag.to_str().unwrap().into()),
            ("replay", true.into()),
            ("made_anew", made_anew.into()),
            ("report", report.to_str().unwrap().into()),
        ])
        .unwrap();
    (bench, report)
}

/// The report, and how the player ended.
fn replay(folder: &std::path::Path, second_made: i64) -> (serde_json::Value, String) {
    let (mut bench, report) = replaying(folder, second_made);
    bench.run_for(Duration::from_millis(100));
    assert!(bench.stop_reason().is_some());
    let statistics = bench.statistics();
    let state = statistics.nodes.iter().find(|n| n.name == "/player").unwrap().state.clone();
    (serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap(), state)
}

#[test]
fn a_replay_keeps_the_order_of_what_nodes_take_in_and_answers_their_calls() {
    let folder = tempfile::tempdir().unwrap();
    // The second `made` was made after the first `other` and before the second.
    let (report, state) = replay(folder.path(), 37);
    assert_ne!(state, "failed");
    assert_eq!(report["holds"], true, "{report:#}");
    for topic in ["/mid", "/made", "/done"] {
        assert_eq!(report["topics"][topic]["equal"], 2, "{topic}: {report:#}");
    }
    let again = replay(folder.path(), 37).0;
    assert_eq!(report["topics"], again["topics"]);
}

#[test]
fn a_replay_that_goes_on_from_a_snapshot_answers_the_calls_that_were_open_and_compares_on() {
    let folder = tempfile::tempdir().unwrap();
    let whole = replay(folder.path(), 37).0;
    // At 20 ms the second goal has been sent, and its result comes at 30 ms.
    for after_ms in [10, 20, 30] {
        let (mut first, _) = replaying(folder.path(), 37);
        first.run_for(Duration::from_millis(after_ms));
        let bytes = first.snapshot().unwrap();
        let (mut second, report) = replaying(folder.path(), 37);
        second.resume(&bytes).unwrap();
        std::fs::remove_file(&report).unwrap();
        second.run_for(Duration::from_millis(100));
        let said = std::fs::read_to_string(report).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&said).unwrap(), whole, "after {after_ms} ms");
    }
}

#[test]
fn a_replay_that_makes_something_else_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let (report, state) = replay(folder.path(), 38);
    assert_eq!(state, "failed", "the run must end with an exit code of its own");
    assert_eq!((&report["holds"], &report["topics"]["/made"]["different"]), (&false.into(), &1.into()));
    let first = report["first_difference"].as_str().unwrap();
    assert!(first.contains("/made at 0.020000000 s: data is 37, was 38"), "{first}");
}

/// Publishes twice on `made` when it hears `in`, which is once more than was recorded, and then on `last`.
struct Chatty {
    out: Publisher<Int64>,
    last: Publisher<Int64>,
}

impl Node for Chatty {
    const NAME: &'static str = "chatty";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("in", Qos::reliable(10), |node: &mut Self, ctx, m: Arc<Int64>| {
            node.out.publish(ctx, Int64::clone(&m));
            node.out.publish(ctx, Int64::clone(&m));
            node.last.publish(ctx, Int64::clone(&m));
            Ok(())
        })?;
        Ok(Self { out: s.publisher("made", Qos::reliable(10))?, last: s.publisher("last", Qos::reliable(10))? })
    }
}

/// Replays one moment, with one message on each topic, through [`Chatty`].
fn replay_moment(path: &std::path::Path, made_anew: &[&str]) -> Result<Bench, SetupError> {
    let mut writer = BagWriter::create(path, Naming::File, BagOptions::default()).unwrap();
    let int = Int64::message_type();
    for topic in ["/in", "/made", "/last"] {
        let channel = Channel { topic, message_type: int.name, definition: int.definition, type_hash: int.hash, qos: &[] };
        writer.write(&channel, 10_000_000, 10_000_000, 0, &Int64 { data: 4 }.to_cdr()).unwrap();
    }
    writer.finish().unwrap();
    let mut bench = Bench::new();
    bench.add::<Chatty>(&[])?;
    let report = path.with_extension("json");
    bench.add::<Player>(&[
        ("path", path.to_str().unwrap().into()),
        ("replay", true.into()),
        ("made_anew", made_anew.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>().into()),
        ("report", report.to_str().unwrap().into()),
    ])?;
    bench.run_for(Duration::from_millis(50));
    Ok(bench)
}

#[test]
fn what_is_too_much_in_the_last_moment_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bench = replay_moment(&path, &["/made", "/last"]).unwrap();
    assert!(bench.stop_reason().is_some());
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path.with_extension("json")).unwrap()).unwrap();
    assert_eq!((&report["holds"], &report["topics"]["/made"]["extra"]), (&false.into(), &1.into()), "{report:#}");
}

#[test]
fn a_replay_that_would_compare_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = replay_moment(&folder.path().join("a.mcap"), &["/robot/made"]).err().unwrap().to_string();
    assert!(error.contains("nothing to compare"), "{error}");
}
