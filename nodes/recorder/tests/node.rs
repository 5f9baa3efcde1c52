//! The recorder as a node of a graph.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graph::testing::Bench;
use graph::{Context, HandlerResult, Level, Node, NodeSpec, Publisher, Qos, RawPublisher, Setup, SetupError, Time};
use msgs::omnimind_msgs::srv::{Record, RecordRequest};
use msgs::sensor_msgs::msg::{CompressedImage, Image};
use msgs::{Message, std_msgs::msg::String as Text};
use omnimind_recorder::Recorder;

/// Somebody who listens: on the bench, where there is no wire, a tap sees only topics that have an end here.
struct Listener;

impl Node for Listener {
    const NAME: &'static str = "listener";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("chatter", Qos::reliable(10), |_: &mut Self, _: &mut Context, _: Arc<Text>| -> HandlerResult { Ok(()) })?;
        for topic in ["camera/image_raw", "camera/depth/image_raw", "device/camera/image"] {
            s.subscribe(topic, Qos::sensor_data(), |_: &mut Self, _: &mut Context, _: Arc<Image>| -> HandlerResult { Ok(()) })?;
        }
        Ok(Self)
    }
}

fn listening() -> Bench {
    let mut bench = Bench::new();
    bench.add::<Listener>(&[]).unwrap();
    bench
}

fn image() -> Image {
    Image { width: 8, height: 4, encoding: "rgb8".into(), step: 24, data: (0..96).collect(), ..Image::default() }
}

fn depth() -> Image {
    let data = (0..32).flat_map(|i| (0.5 + i as f32 * 0.1).to_le_bytes());
    Image { width: 8, height: 4, encoding: "32FC1".into(), step: 32, data: data.collect(), ..Image::default() }
}

fn read(path: &Path) -> Vec<(String, String, u64, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    mcap::MessageStream::new(&bytes)
        .unwrap()
        .map(|m| {
            let m = m.unwrap();
            let schema = m.channel.schema.as_ref().unwrap().name.clone();
            (m.channel.topic.clone(), schema, m.log_time, m.data.to_vec())
        })
        .collect()
}

#[test]
fn everything_is_recorded_and_images_are_thinned_out() {
    let dir = tempfile::tempdir().unwrap();
    // A fixed place on request, for tests/recording/check.py.
    let path = std::env::var("RECORDER_TEST_MCAP").map_or_else(|_| dir.path().join("run/recording.mcap"), Into::into);
    let mut bench = listening();
    bench
        .add::<Recorder>(&[
            ("path", path.to_str().unwrap().into()),
            ("image_rate_hz", 1.0.into()),
            ("jpeg_rate_hz", 5.0.into()),
            ("depth_rate_hz", 1.0.into()),
        ])
        .unwrap();
    for i in 0..20 {
        bench.publish("camera/image_raw", image());
        bench.publish("camera/depth/image_raw", depth());
        bench.publish("device/camera/image", image());
        bench.publish("chatter", Text { data: format!("hello {i}") });
        bench.run_for(Duration::from_millis(100));
    }
    bench.stop();
    let messages = read(&path);
    let of = |topic: &str| messages.iter().filter(|m| m.0 == topic).collect::<Vec<_>>();
    let chatter = of("/chatter");
    assert_eq!(chatter.len(), 20);
    assert_eq!(Text::from_cdr(&chatter[3].3).unwrap().data, "hello 3");
    assert_eq!(chatter[3].1, "std_msgs/msg/String");
    assert!((2..=3).contains(&of("/camera/image_raw").len()), "raw images at 1 Hz");
    let compressed = of("/camera/image_raw/compressed");
    assert!((9..=11).contains(&compressed.len()), "{} images at 5 Hz", compressed.len());
    let jpeg = CompressedImage::from_cdr(&compressed[0].3).unwrap();
    assert_eq!(&jpeg.data[..2], [0xFF, 0xD8]);
    assert_eq!(jpeg.format, "rgb8; jpeg compressed bgr8");
    let depths = of("/camera/depth/image_raw/compressedDepth");
    assert!((2..=3).contains(&depths.len()), "depth images at 1 Hz");
    let png = CompressedImage::from_cdr(&depths[0].3).unwrap();
    assert_eq!((png.format.as_str(), &png.data[12..16]), ("32FC1; compressedDepth png", &b"\x89PNG"[..]));
    assert!(of("/device/camera/image").is_empty(), "left out by default");
    assert!(messages.windows(2).all(|w| w[0].2 <= w[1].2), "in the order of time");
    let metadata = std::fs::read_to_string(path.with_file_name("metadata.yaml")).unwrap();
    assert!(metadata.contains("storage_identifier: mcap") && metadata.contains("- recording.mcap"));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    // The same place both times: the node's parameters are told on /parameter_events, and are part of what is recorded.
    let path = dir.path().join("run/a.mcap");
    let run = || {
        let mut bench = listening();
        // What the graph measures about itself is wall time.
        let exclude = vec!["/graph/statistics".to_owned()];
        bench.add::<Recorder>(&[("path", path.to_str().unwrap().into()), ("exclude", exclude.into())]).unwrap();
        for _ in 0..5 {
            bench.publish("camera/image_raw", image());
            bench.run_for(Duration::from_millis(200));
        }
        bench.stop();
        let messages = read(&path);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        messages
    };
    let (first, second) = (run(), run());
    let differing: Vec<&str> = first.iter().zip(&second).filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str()).collect();
    assert!(first == second, "{} and {} messages; these differ: {differing:?}", first.len(), second.len());
}

#[test]
fn recording_is_started_and_stopped_by_service_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap").display().to_string();
    let mut bench = listening();
    bench.add::<Recorder>(&[]).unwrap();
    let request = || RecordRequest { path: path.clone() };
    assert!(!bench.call::<Record>("recorder/stop", RecordRequest::default()).unwrap().success);
    assert_eq!(bench.call::<Record>("recorder/start", request()).unwrap().path, path);
    let second = bench.call::<Record>("recorder/start", request()).unwrap();
    assert!(!second.success && second.message.contains("already"));
    bench.publish("chatter", Text { data: "x".into() });
    bench.run_for(Duration::from_millis(50));
    assert!(bench.call::<Record>("recorder/stop", RecordRequest::default()).unwrap().success);
    assert!(read(Path::new(&path)).iter().any(|m| m.0 == "/chatter"));
    let again = bench.call::<Record>("recorder/start", request()).unwrap();
    assert!(again.success && again.path.ends_with("a_1.mcap"), "{}", again.path);
}

#[test]
fn an_unusable_path_is_an_error_at_set_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let path = file.join("a.mcap").display().to_string();
    let mut bench = Bench::new();
    let error = bench.add::<Recorder>(&[("path", path.as_str().into())]).unwrap_err();
    assert!(matches!(error, SetupError::Node { .. }), "{error}");
    assert!(error.to_string().contains("cannot make the folder"), "{error}");
    let mut bench = listening();
    bench.add::<Recorder>(&[]).unwrap();
    let answer = bench.call::<Record>("recorder/start", RecordRequest { path }).unwrap();
    assert!(!answer.success && answer.message.contains("cannot"));
}

#[test]
fn a_full_recording_ends_with_a_diagnostic_and_is_readable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let mut bench = listening();
    bench.add::<Recorder>(&[("path", path.to_str().unwrap().into()), ("limit_mb", 1_i64.into())]).unwrap();
    for _ in 0..20 {
        bench.publish("chatter", Text { data: "x".repeat(100_000) });
        bench.run_for(Duration::from_millis(20));
    }
    let (level, text) = bench.status("recorder", "recording").unwrap();
    assert_eq!(level, Level::Error);
    assert!(text.contains("limit of 1000000 bytes"), "{text}");
    bench.stop();
    assert!(read(&path).iter().filter(|m| m.0 == "/chatter").count() < 20);
}

#[test]
fn a_broken_image_is_reported_and_does_not_end_the_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let mut bench = listening();
    bench.add::<Recorder>(&[("path", path.to_str().unwrap().into())]).unwrap();
    bench.publish("camera/image_raw", Image { width: 9000, ..image() });
    bench.run_for(Duration::from_millis(20));
    bench.publish("chatter", Text { data: "after".into() });
    bench.run_for(Duration::from_millis(20));
    assert!(bench.status("recorder", "handler").is_some());
    bench.stop();
    assert!(read(&path).iter().any(|m| m.0 == "/chatter"));
}

#[test]
fn files_are_split_and_told_in_one_metadata_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let mut bench = listening();
    bench.add::<Recorder>(&[("path", path.to_str().unwrap().into()), ("split_s", 1.0.into())]).unwrap();
    for i in 0..25 {
        bench.publish("chatter", Text { data: format!("{i}") });
        bench.run_for(Duration::from_millis(100));
    }
    bench.stop();
    let bag = bags::Bag::open(dir.path()).unwrap();
    let names: Vec<String> = bag.files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["a.mcap", "a_1.mcap", "a_2.mcap"]);
    assert_eq!(bag.channels.iter().find(|c| c.topic == "/chatter").unwrap().messages, 25);
    assert_eq!(bag.metadata.unwrap().messages, bag.messages);
}

#[test]
fn for_a_replay_pictures_are_kept_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let mut bench = listening();
    bench.add::<Recorder>(&[("path", path.to_str().unwrap().into()), ("replay", true.into())]).unwrap();
    for _ in 0..5 {
        bench.publish("camera/image_raw", image());
        bench.publish("camera/depth/image_raw", depth());
        bench.run_for(Duration::from_millis(10));
    }
    bench.stop();
    let messages = read(&path);
    for (topic, sent) in [("/camera/image_raw", image()), ("/camera/depth/image_raw", depth())] {
        let kept: Vec<_> = messages.iter().filter(|m| m.0 == topic).collect();
        assert_eq!(kept.len(), 5);
        assert!(kept.iter().all(|m| m.3 == sent.to_cdr()), "{topic}");
    }
    assert!(!messages.iter().any(|m| m.0.contains("ompressed")));
}

#[test]
fn what_topics_offer_can_be_overridden_by_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("a.mcap"), dir.path().join("qos.yaml"));
    std::fs::write(&file, "/chatter: {reliability: best_effort, depth: 3}").unwrap();
    let parameters = |file: &Path| [("path", path.to_str().unwrap().into()), ("qos_overrides", file.to_str().unwrap().into())];
    let mut bench = listening();
    bench.add::<Recorder>(&parameters(&file)).unwrap();
    bench.publish("chatter", Text { data: "x".into() });
    bench.run_for(Duration::from_millis(50));
    bench.stop();
    let bag = bags::Bag::open(&path).unwrap();
    let offered = &bag.channels.iter().find(|c| c.topic == "/chatter").unwrap().qos[0];
    assert!(!offered.reliable && offered.depth == Some(3));
    let error = Bench::new().add::<Recorder>(&parameters(&dir.path().join("none"))).unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
}

/// A wall clock, heard in a simulation.
const WALL_NS: i64 = 1_800_000_000_000_000_000;

#[test]
fn what_another_process_says_is_recorded_at_the_time_at_which_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let mut bench = listening();
    bench.add::<Recorder>(&[("path", path.to_str().unwrap().into()), ("split_s", 1.0.into())]).unwrap();
    for i in 0..25 {
        bench.publish_at("chatter", Text { data: format!("{i}") }, Time::from_nanos(WALL_NS + i));
        bench.run_for(Duration::from_millis(100));
    }
    // Nothing is closed yet: what is older than a second is safe from a kill.
    assert!(bags::Bag::open(&dir.path().join("a_2.mcap")).unwrap().writing);
    bench.stop();
    let bag = bags::Bag::open(dir.path()).unwrap();
    assert_eq!((bag.files.len(), bag.end_ns < 3_000_000_000), (3, true));
    let mut reader = bags::BagReader::new(&bag, 0);
    let chatter = bag.channels.iter().position(|c| c.topic == "/chatter").unwrap();
    let mut published = Vec::new();
    while let Some(message) = reader.next_message().unwrap() {
        if message.channel == chatter {
            published.push(message.publish_ns as i64 - WALL_NS);
        }
    }
    assert_eq!(published, (0..25).collect::<Vec<_>>());
}

/// Says something with a quality of service of its own, and something that nobody here knows.
struct Talker {
    note: Publisher<Text>,
    odd: RawPublisher,
}

fn strict() -> Qos {
    Qos::state().deadline(Duration::from_secs(1)).lifespan(Duration::from_secs(5)).manual_liveliness(Duration::from_secs(3))
}

impl Node for Talker {
    const NAME: &'static str = "talker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| {
            node.note.publish(ctx, Text { data: "x".into() });
            Ok(node.odd.publish(ctx, vec![0, 1, 0, 0, 9])?)
        })?;
        let odd = s.publisher_raw("odd", "other_msgs/msg/Odd", "RIHS01_00", Qos::reliable(1))?;
        Ok(Self { note: s.publisher("note", strict())?, odd })
    }
}

fn recorded(path: &Path, namespace: &str, parameters: &[(&str, graph::ParamValue)]) -> bags::Bag {
    let mut bench = Bench::new();
    bench.add::<Talker>(&[]).unwrap();
    let own = [("path", path.to_str().unwrap().into())];
    let parameters = own.iter().chain(parameters).map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    bench.add_spec::<Recorder>(NodeSpec { namespace: Some(namespace.into()), parameters, ..NodeSpec::default() }).unwrap();
    bench.run_for(Duration::from_millis(250));
    bench.stop();
    bags::Bag::open(path.parent().unwrap()).unwrap()
}

#[test]
fn a_topics_offer_is_its_publishers_and_what_nobody_here_can_read_is_kept_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let bag = recorded(&dir.path().join("a.mcap"), "/", &[]);
    let note = bag.channels.iter().find(|c| c.topic == "/note").unwrap();
    assert_eq!((note.messages, note.qos[0].to_qos()), (2, strict()));
    let odd = bag.channels.iter().find(|c| c.topic == "/odd").unwrap();
    assert_eq!((odd.messages, odd.type_hash.as_str(), odd.definition.as_str()), (2, "RIHS01_00", ""));
    assert!(bag.metadata.unwrap().custom.is_empty(), "nothing is dropped");
}

#[test]
fn a_robots_recorder_leaves_other_robots_topics_alone_unless_told() {
    let topics = |parameters: &[(&str, graph::ParamValue)]| {
        let dir = tempfile::tempdir().unwrap();
        let bag = recorded(&dir.path().join("a.mcap"), "/robot", parameters);
        bag.channels.iter().map(|c| c.topic.clone()).collect::<Vec<_>>()
    };
    let own = topics(&[]);
    assert!(own.contains(&"/parameter_events".to_owned()) && !own.contains(&"/note".to_owned()), "{own:?}");
    assert!(topics(&[("include", vec!["/*".to_owned()].into())]).contains(&"/note".to_owned()));
}
