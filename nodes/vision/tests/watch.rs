//! The node's action for video files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graph::testing::Bench;
use graph::{ActionClient, Context, GoalId, HandlerResult, Node, Outcome, Publisher, Qos, Setup, SetupError};
use image::RgbImage;
use models::testing::broker_or_skip;
use msgs::omnimind_msgs::action::{ProcessVideo, ProcessVideoFeedback, ProcessVideoGoal};
use msgs::omnimind_msgs::msg::SceneAnalysis;
use msgs::std_msgs::msg::String as Text;
use omnimind_vision::{Vision, decode};
use video::AviWriter;

/// Sends what comes on `asker/watch` (every_n, max_frames, path) to the action, or calls it off, and tells how it goes.
struct Asker {
    client: ActionClient<ProcessVideo>,
    last: Option<GoalId>,
    seen: Publisher<SceneAnalysis>,
    told: Publisher<Text>,
}

impl Node for Asker {
    const NAME: &'static str = "asker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("asker/watch", Qos::reliable(50), |n: &mut Self, c, m: Arc<Text>| {
            if m.data == "stop" {
                n.client.cancel(c, n.last.unwrap());
                return Ok(());
            }
            let mut words = m.data.splitn(3, ' ');
            let mut number = || words.next().unwrap().parse().unwrap();
            let (every_n, max_frames) = (number(), number());
            n.last = Some(n.client.send(c, ProcessVideoGoal { every_n, max_frames, path: words.next().unwrap().to_owned() }));
            Ok(())
        })?;
        let client = s.action_client::<ProcessVideo>("vision/process_video", Self::feedback, Self::done)?;
        let (seen, told) = (s.publisher("asker/seen", Qos::reliable(500))?, s.publisher("asker/told", Qos::reliable(500))?);
        Ok(Self { client, last: None, seen, told })
    }
}

impl Asker {
    fn feedback(&mut self, ctx: &mut Context, _: GoalId, feedback: ProcessVideoFeedback) -> HandlerResult {
        self.told.publish(ctx, Text { data: format!("{} {:.2}", feedback.frame, feedback.time_s) });
        self.seen.publish(ctx, feedback.analysis);
        Ok(())
    }

    fn done(&mut self, ctx: &mut Context, _: GoalId, outcome: Outcome<ProcessVideo>) -> HandlerResult {
        let (how, r) = match outcome {
            Outcome::Succeeded(r) => ("succeeded", r),
            Outcome::Aborted(r) => ("aborted", r),
            Outcome::Canceled(r) => ("canceled", r),
            _ => ("rejected", Default::default()),
        };
        let data =
            format!("{how} {} frames, {} damaged, {} tracks, {:.2} s: {}", r.frames, r.damaged, r.tracks, r.until_s, r.message);
        self.told.publish(ctx, Text { data });
        Ok(())
    }
}

fn bench(more: &[(&str, graph::ParamValue)]) -> Bench {
    let mut bench = Bench::new();
    let mut parameters = vec![("scene_model", "".into()), ("ffmpeg", "".into()), ("confidence_threshold", 0.35.into())];
    parameters.extend(more.iter().cloned());
    bench.add::<Vision>(&parameters).unwrap();
    bench.add::<Asker>(&[]).unwrap();
    bench
}

fn ask(bench: &mut Bench, line: String, milliseconds: u64) -> Vec<String> {
    bench.publish("asker/watch", Text { data: line });
    bench.run_for(Duration::from_millis(milliseconds));
    bench.take::<Text>("asker/told").iter().map(|m| m.data.clone()).collect()
}

/// The coffee picture, a camera turning slowly: ten frames a second.
fn clip(folder: &Path) -> String {
    let path = folder.join("clip.avi");
    let whole = decode(include_bytes!("data/coffee.jpg")).unwrap();
    let (width, height) = (whole.width() - 60, whole.height());
    let mut writer = AviWriter::create(&path, (width, height), 10.0, 95).unwrap();
    for n in 0..8 {
        let frame: RgbImage = image::imageops::crop_imm(&whole, 3 * n, 0, width, height).to_image();
        writer.push(&frame).unwrap();
    }
    writer.finish().unwrap();
    path.display().to_string()
}

#[test]
fn a_video_is_looked_at_frame_by_frame() {
    let Some(_) = broker_or_skip(&["nanodet_g_416"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path());
    let mut bench = bench(&[]);
    let told = ask(&mut bench, format!("2 0 {path}"), 400);
    assert_eq!(told[..4], ["0 0.00", "2 0.20", "4 0.40", "6 0.60"]);
    assert!(told[4].starts_with("succeeded 4 frames, 0 damaged, ") && told[4].contains("MJPEG in AVI"), "{}", told[4]);
    let seen = bench.take::<SceneAnalysis>("asker/seen");
    assert!(seen[0].motion.is_nan() && seen[1..].iter().all(|s| (0.0..0.2).contains(&s.motion)), "the camera's own is taken out");
    assert!(seen.iter().all(|s| s.perceptual_hash.len() == 16 && s.provenance.model.starts_with("nanodet_g_416+bytetrack")));
    let number = |s: &SceneAnalysis| {
        let cup = s.objects.iter().find(|o| o.label == "cup")?;
        Some(cup.attributes.first()?.value.clone())
    };
    let numbers: Vec<String> = seen.iter().filter_map(|s| number(s)).collect();
    assert!(numbers.iter().filter(|n| **n == numbers[0]).count() >= 2, "the cup keeps its number: {numbers:?}");
    // No further than asked for.
    let told = ask(&mut bench, format!("1 3 {path}"), 400);
    assert!(told.len() == 4 && told[3].starts_with("succeeded 3 frames"), "{told:?}");
}

#[test]
fn one_video_at_a_time_and_it_can_be_called_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path());
    let mut bench = bench(&[("model", "".into())]);
    let told = ask(&mut bench, format!("1 0 {path}"), 50);
    assert!(!told.is_empty() && told.len() < 4 && told[0] == "0 0.00", "{told:?}");
    let told = ask(&mut bench, format!("1 0 {path}"), 10);
    assert!(told.iter().any(|t| t.starts_with("rejected")), "{told:?}");
    // The rejected goal was the last that was sent: that there is nothing to call off is no harm.
    let told = ask(&mut bench, "stop".to_owned(), 400);
    assert!(told.last().unwrap().starts_with("succeeded 8 frames"), "{told:?}");
    ask(&mut bench, format!("1 0 {path}"), 50);
    let told = ask(&mut bench, "stop".to_owned(), 100);
    assert!(told.iter().any(|t| t.starts_with("canceled") && t.ends_with("called off")), "{told:?}");
}

#[test]
fn what_is_no_video_or_breaks_off_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path());
    let mut bench = bench(&[("model", "".into())]);
    let told = ask(&mut bench, "1 0 /none/clip.mp4".to_owned(), 50);
    assert!(told.len() == 1 && told[0].starts_with("aborted 0 frames") && told[0].contains("/none/clip.mp4"), "{told:?}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let told = ask(&mut bench, format!("1 0 {path}"), 400);
    assert!(told.last().unwrap().starts_with("aborted ") && told.last().unwrap().contains("cut off"), "{told:?}");
    std::fs::write(&path, b"no video at all, but text").unwrap();
    let told = ask(&mut bench, format!("1 0 {path}"), 50);
    assert!(told[0].starts_with("aborted") && told[0].contains("ffmpeg"), "{told:?}");
}
