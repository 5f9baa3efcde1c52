//! Log lines: each node's own on /rosout, thresholds, statuses that change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph::testing::Bench;
use graph::{
    Context, Graph, GraphConfig, HandlerResult, Level, Node, NodeFactory, NodeSpec, Qos, RestartPolicy, RestartWhen, Setup,
    SetupError, Severity,
};
use msgs::rcl_interfaces::msg::{Log, LoggerLevel};
use msgs::rcl_interfaces::srv::{GetLoggerLevels, GetLoggerLevelsRequest, SetLoggerLevels, SetLoggerLevelsRequest};
use msgs::std_msgs::msg::{Int64, String as Text};

const STEP: Duration = Duration::from_millis(10);

/// Says each word that it hears at each severity; sets its status to each number that it hears.
struct Speaker;

impl Node for Speaker {
    const NAME: &'static str = "speaker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("words", Qos::reliable(10), |_: &mut Self, ctx, m: Arc<Text>| say(ctx, &m.data))?;
        s.subscribe("status", Qos::reliable(10), |_: &mut Self, ctx, m: Arc<Int64>| {
            let level = [Level::Ok, Level::Warn, Level::Error, Level::Stale][m.data as usize];
            ctx.status(level, "pump", format!("level {}", m.data));
            Ok(())
        })?;
        s.warn("set up with a warning");
        Ok(Self)
    }
}

fn say(ctx: &mut Context, word: &str) -> HandlerResult {
    assert_ne!(word, "panic", "as asked");
    ctx.debug(format!("debug {word}"));
    ctx.info(format!("info {word}"));
    ctx.warn(format!("warn {word}"));
    ctx.error(format!("error {word}"));
    ctx.fatal(format!("fatal {word}"));
    Ok(())
}

fn bench(log_level: Option<Severity>) -> Bench {
    let mut bench = Bench::new();
    let restart = RestartPolicy { when: RestartWhen::OnFailure, max: 1, backoff: STEP };
    let spec = NodeSpec { namespace: Some("a/b".into()), log_level, restart, ..NodeSpec::default() };
    let spec =
        NodeSpec { remaps: BTreeMap::from([("words".into(), "/words".into()), ("status".into(), "/status".into())]), ..spec };
    bench.add_spec::<Speaker>(spec).unwrap();
    bench
}

fn words(bench: &mut Bench, word: &str) -> Vec<Arc<Log>> {
    bench.publish("words", Text { data: word.into() });
    bench.run_for(STEP);
    bench.take::<Log>("/rosout")
}

fn messages(lines: &[Arc<Log>]) -> Vec<&str> {
    lines.iter().map(|line| line.msg.as_str()).collect()
}

#[test]
fn lines_have_rosouts_fields() {
    let mut bench = bench(Some(Severity::Debug));
    let lines = words(&mut bench, "x");
    let first = &lines[0];
    assert_eq!((first.name.as_str(), first.level, first.msg.as_str()), ("a.b.speaker", Log::WARN, "set up with a warning"));
    let said: Vec<_> = lines[1..].iter().map(|line| (line.level, line.msg.as_str())).collect();
    assert_eq!(said, [(10, "debug x"), (20, "info x"), (30, "warn x"), (40, "error x"), (50, "fatal x")]);
    assert!(lines[1..].iter().all(|line| line.file.ends_with("logging.rs")));
    let rows: Vec<u32> = lines[1..].iter().map(|line| line.line).collect();
    assert!(rows.windows(2).all(|pair| pair[1] == pair[0] + 1), "each line names its own place: {rows:?}");
}

#[test]
fn the_threshold_is_info_or_that_of_the_nodes_specification() {
    assert_eq!(messages(&words(&mut bench(None), "x"))[1..], ["info x", "warn x", "error x", "fatal x"]);
    let mut quiet = bench(Some(Severity::Error));
    assert_eq!(messages(&words(&mut quiet, "x")), ["error x", "fatal x"], "the warning of the set-up too is below it");
    assert!(quiet.logs().iter().all(|record| record.level >= Severity::Error), "nor does the user see what is below it");
}

#[test]
fn thresholds_are_told_and_set_by_service() {
    let mut bench = bench(None);
    let get = |bench: &mut Bench, names: &[&str]| {
        let names = names.iter().map(ToString::to_string).collect();
        let levels =
            bench.call::<GetLoggerLevels>("a/b/speaker/get_logger_levels", GetLoggerLevelsRequest { names }).unwrap().levels;
        levels.iter().map(|level| level.level).collect::<Vec<_>>()
    };
    let set = |bench: &mut Bench, name: &str, level: u32| {
        let levels = vec![LoggerLevel { name: name.into(), level }];
        let request = SetLoggerLevelsRequest { levels };
        bench.call::<SetLoggerLevels>("a/b/speaker/set_logger_levels", request).unwrap().results.remove(0)
    };
    assert_eq!(get(&mut bench, &["a.b.speaker", "", "nobody"]), [0, 20, 0]);
    assert!(set(&mut bench, "a.b.speaker", 40).successful);
    assert_eq!(get(&mut bench, &["a.b.speaker"]), [40]);
    words(&mut bench, "x");
    assert_eq!(messages(&words(&mut bench, "y")), ["error y", "fatal y"]);
    assert!(set(&mut bench, "a.b.speaker", 0).successful && set(&mut bench, "", 50).successful);
    assert_eq!(messages(&words(&mut bench, "z")), ["fatal z"], "the common threshold is its own now");
    for (name, level, why) in [
        ("a.b.speaker", 35, "35 is no severity"),
        ("nobody", 20, "no logger `nobody` in this process"),
        ("", 0, "the common threshold cannot be unset"),
    ] {
        let refused = set(&mut bench, name, level);
        assert_eq!((refused.successful, refused.reason.as_str()), (false, why));
    }
}

#[test]
fn a_status_that_gets_worse_or_recovers_is_a_line() {
    let mut bench = bench(None);
    words(&mut bench, "x");
    for status in [0, 1, 1, 2, 1, 3, 0, 0] {
        bench.publish("status", Int64 { data: status });
        bench.run_for(STEP);
    }
    let lines = bench.take::<Log>("/rosout");
    assert_eq!(messages(&lines), ["pump: level 1", "pump: level 2", "pump: level 3", "pump: level 0"]);
    assert_eq!(lines.iter().map(|line| line.level).collect::<Vec<_>>(), [30, 40, 40, 20]);
}

#[test]
fn what_is_said_about_a_node_that_is_gone_reaches_rosout_in_its_name() {
    let mut bench = bench(None);
    words(&mut bench, "x");
    let lines = words(&mut bench, "panic");
    assert_eq!(lines[0].name, "a.b.speaker");
    assert!(lines[0].msg.contains("as asked") && lines[0].msg.contains("restart 1 of 1"), "{}", lines[0].msg);
    bench.run_for(5 * STEP);
    assert!(messages(&bench.take::<Log>("/rosout")).contains(&"running again"));
}

/// Says a line, and counts those of /rosout.
struct Ear;

static HEARD: AtomicUsize = AtomicUsize::new(0);

impl Node for Ear {
    const NAME: &'static str = "ear";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("/rosout", Qos::reliable(10), |_: &mut Self, _, _: Arc<Log>| {
            HEARD.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })?;
        s.timer(STEP, |_: &mut Self, ctx| {
            ctx.info("spoken");
            ctx.shutdown("said");
            Ok(())
        })?;
        Ok(Self)
    }
}

#[test]
fn a_graph_without_rosout_shows_its_lines_all_the_same() {
    let run = |rosout| {
        HEARD.store(0, Ordering::Relaxed);
        let shown: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&shown);
        let log: graph::LogSink = Arc::new(move |record| sink.lock().unwrap().push(record.message.clone()));
        let mut graph = Graph::new(GraphConfig { rosout, log, ..GraphConfig::default() }).unwrap();
        graph.add(NodeFactory::of::<Ear>(), NodeSpec::default()).unwrap();
        graph.run();
        let shown = shown.lock().unwrap().iter().any(|line| line == "spoken");
        (shown, HEARD.load(Ordering::Relaxed))
    };
    assert_eq!(run(false), (true, 0));
    let (shown, heard) = run(true);
    assert!(shown && heard > 0);
}
