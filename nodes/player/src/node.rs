//! The node: plays an MCAP file into the graph.

use std::path::PathBuf;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, NodeError, Param, Publisher, Qos, Setup, SetupError, suggest};
use msgs::sensor_msgs::msg::{CompressedImage, Image};
use msgs::{Message, cdr};

use crate::images;
use crate::reader::{Message as Recorded, Recording, survey};

/// Publishes one topic from bytes.
type Route = Box<dyn Fn(&mut Context, &[u8]) -> Result<(), NodeError> + Send>;

/// Plays the messages of a recording as topics, on the graph's clock.
///
/// Recordings of a simulation play at their own times; recordings with wall-clock times begin at the graph's present.
/// `<topic>/compressed` and `<topic>/compressedDepth` are decoded into `<topic>` where the recording has no raw images.
pub struct Player {
    path: PathBuf,
    rate: Param<f64>,
    repeat: Param<bool>,
    recording: Option<Recording>,
    next: Option<Recorded>,
    routes: Vec<(String, Route)>,
    /// Time of the recording at which the graph's clock had `begun_s`.
    first_ns: Option<u64>,
    begun_s: f64,
    played: u64,
    skipped: u64,
}

/// A simulation starts at zero: times below this are simulated, s.
const SIMULATED_BELOW_S: f64 = 1e8;

/// What is played unless `topics` says otherwise: what sensors and their drivers say, not what was concluded from it.
const SENSORS: [&str; 17] = [
    "/camera/image_raw",
    "/camera/image_raw/compressed",
    "/camera/depth/image_raw",
    "/camera/depth/image_raw/compressedDepth",
    "/camera/camera_info",
    "/microphone/audio",
    "/touch/contacts",
    "/joint_states",
    "/odom",
    "/imu",
    "/wrist/wrench",
    "/temperature",
    "/scan",
    "/battery_state",
    "/tf",
    "/tf_static",
    "/map",
];

impl Node for Player {
    const NAME: &'static str = "player";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let path = s.param("path", String::new()).describe("the MCAP file to play").read_only().declare()?.get();
        let rate =
            s.param("rate", 1.0).range(0.01, 100.0).describe("seconds of recording per second of the graph's clock").declare()?;
        let repeat = s.param("loop", false).describe("begin again at the end instead of stopping the graph").declare()?;
        let topics = s
            .param("topics", SENSORS.map(str::to_owned).to_vec())
            .describe("topics to play; a single `*` plays all")
            .read_only()
            .declare()?
            .get();
        if path.is_empty() {
            return Err(s.failed("parameter `path` names no recording"));
        }
        let path = PathBuf::from(path);
        let (channels, cut) = survey(&path).map_err(|error| s.failed(error))?;
        if cut {
            s.warn(format!("{} was cut off; it is played up to the cut", path.display()));
        }
        let wanted = |topic: &str| topics.iter().any(|t| t == "*" || t == topic);
        let recorded: Vec<&str> = channels.iter().map(|channel| channel.topic.as_str()).collect();
        let mut routes = Vec::new();
        for channel in channels.iter().filter(|channel| wanted(&channel.topic)) {
            let decoders: [(&str, fn(CompressedImage) -> Result<Image, NodeError>); 2] =
                [("/compressed", images::colour), ("/compressedDepth", images::depth)];
            let decoder = decoders.iter().find_map(|(ending, decode)| Some((channel.topic.strip_suffix(ending)?, *decode)));
            if let Some((raw, decode)) = decoder
                && channel.message_type == CompressedImage::message_type().name
            {
                if !recorded.contains(&raw) || !wanted(raw) {
                    let publisher = s.publisher::<Image>(raw, Qos::sensor_data())?;
                    routes.push((channel.topic.clone(), decoded(publisher, decode)));
                }
                continue;
            }
            match declare(s, &channel.topic, &channel.message_type)? {
                Some(route) => routes.push((channel.topic.clone(), route)),
                None => s.warn(format!("{} is not played: nobody here knows {}", channel.topic, channel.message_type)),
            }
        }
        if routes.is_empty() {
            let hint = topics.first().map(|topic| suggest::hint(topic, recorded.iter().copied())).unwrap_or_default();
            return Err(s.failed(format!("{} has none of the topics to play{hint}", path.display())));
        }
        s.timer(Duration::from_millis(10), Self::tick)?;
        Ok(Self { path, rate, repeat, recording: None, next: None, routes, first_ns: None, begun_s: 0.0, played: 0, skipped: 0 })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.rewind(ctx)
    }
}

impl Player {
    fn rewind(&mut self, ctx: &mut Context) -> HandlerResult {
        self.recording = Some(Recording::open(&self.path)?);
        self.next = None;
        self.first_ns = None;
        self.begun_s = ctx.now().as_secs_f64();
        Ok(())
    }

    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let Some(recording) = &mut self.recording else { return Ok(()) };
        let now_s = ctx.now().as_secs_f64();
        loop {
            let message = match self.next.take() {
                Some(message) => message,
                None => match recording.next_message()? {
                    Some(message) => message,
                    None => return self.end(ctx),
                },
            };
            let first_ns = *self.first_ns.get_or_insert(message.log_time_ns);
            let first_s = first_ns as f64 * 1e-9;
            let delay_s = if first_s < SIMULATED_BELOW_S && !self.repeat.get() { first_s } else { 0.0 };
            let elapsed_s = message.log_time_ns.saturating_sub(first_ns) as f64 * 1e-9;
            if self.begun_s + (delay_s + elapsed_s) / self.rate.get() > now_s {
                self.next = Some(message);
                return Ok(());
            }
            let topic = &recording.channels()[message.channel].topic;
            if let Some((_, route)) = self.routes.iter().find(|(name, _)| name == topic) {
                match route(ctx, &message.data) {
                    Ok(()) => self.played += 1,
                    Err(error) => {
                        self.skipped += 1;
                        ctx.status(
                            Level::Warn,
                            "recording",
                            format!("{} messages skipped; the last, on {topic}: {error}", self.skipped),
                        );
                    }
                }
            }
        }
    }

    fn end(&mut self, ctx: &mut Context) -> HandlerResult {
        if self.repeat.get() && self.played > 0 {
            return self.rewind(ctx);
        }
        self.recording = None;
        ctx.shutdown(format!("the recording is over: {} messages played", self.played));
        Ok(())
    }
}

fn route<M: Message>(publisher: Publisher<M>) -> Route {
    Box::new(move |ctx, bytes| {
        let message = M::from_cdr(bytes).map_err(|error: cdr::Error| NodeError::new(error.to_string()))?;
        publisher.publish(ctx, message);
        Ok(())
    })
}

/// Compressed images back into pixels.
fn decoded(publisher: Publisher<Image>, decode: fn(CompressedImage) -> Result<Image, NodeError>) -> Route {
    Box::new(move |ctx, bytes| {
        publisher.publish(ctx, decode(CompressedImage::from_cdr(bytes)?)?);
        Ok(())
    })
}

macro_rules! routes {
    ($setup:ident, $topic:ident, $name:ident: $($message:path),* $(,)?) => {
        match $name {
            $(name if name == <$message as Message>::message_type().name => Some(route(declare_as::<$message>($setup, $topic)?)),)*
            _ => None,
        }
    };
}

fn declare_as<M: Message>(s: &mut Setup<Player>, topic: &str) -> Result<Publisher<M>, SetupError> {
    let latched = matches!(topic, "/tf_static" | "/map");
    s.publisher(topic, if latched { Qos::latched(1) } else { Qos::reliable(10) })
}

/// A publisher for the types that OmniMind's nodes and ROS 2's sensors speak.
fn declare(s: &mut Setup<Player>, topic: &str, name: &str) -> Result<Option<Route>, SetupError> {
    use msgs::{
        diagnostic_msgs::msg as diagnostic, geometry_msgs::msg as geometry, nav_msgs::msg as nav, omnimind_msgs::msg as omni,
        sensor_msgs::msg as sensor, std_msgs::msg as std, tf2_msgs::msg as tf2, vision_msgs::msg as vision,
    };
    Ok(routes!(s, topic, name:
        sensor::Image, sensor::CameraInfo, sensor::Imu, sensor::JointState, sensor::LaserScan, sensor::BatteryState,
        sensor::Temperature, sensor::PointCloud2, nav::Odometry, nav::OccupancyGrid, nav::Path, tf2::TFMessage,
        geometry::WrenchStamped, geometry::TwistStamped, geometry::PoseStamped, geometry::PoseWithCovarianceStamped,
        std::String, std::Bool, std::Float64, diagnostic::DiagnosticArray, vision::Detection2DArray,
        omni::AudioChunk, omni::Contacts, omni::Transcript, omni::AudioFeatures, omni::SceneAnalysis, omni::VisionFeatures,
        omni::Belief, omni::Plan, omni::Goal, omni::GoalStatus, omni::EnergyForecast, omni::SafetyState,
        omni::SimState, omni::MissionState,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;
    use msgs::std_msgs::msg::String as Text;
    use std::collections::BTreeMap;

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
        assert!(bench.logs().iter().any(|log| log.message.contains("other_msgs/msg/Odd")));
        assert_eq!(bench.stop_reason().unwrap(), "the recording is over: 4 messages played");
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
}
