//! The node: a tap on everything, in front of an MCAP file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bags::select::{Decimator, Patterns};
use bags::{BagOptions, BagWriter, Channel, Held, Metadata, Naming, OpenError, QosProfile, Split, WriteError};
use graph::{AnyMessage, Context, HandlerResult, Learner, Level, Node, NodeError, Param, Setup, SetupError, Time};
use msgs::omnimind_msgs::srv::{Record, RecordRequest, RecordResponse};
use msgs::sensor_msgs::msg::{CompressedImage, Image};
use msgs::{Message, MessageType};

use crate::depth;
use crate::foreign::reason;
use pictures::jpeg;

/// Records the topics of its graph and, with a wire, of other processes: by default those of its namespace and ROS 2's global ones
/// (`include`). The definition of a type that is not compiled in is asked of its publisher; if nobody tells it, its messages are recorded
/// without one. A bag's time is the recorder's: when a message of this process was published, and when
/// one of another process came.
///
/// Camera images are kept as JPEG on `<topic>/compressed`, depth images as PNG on `<topic>/compressedDepth`, raw ones only on
/// request: they are most of a recording's size. With `replay` everything that vision, fusion and planner take in is kept raw, the answers
/// to their calls too, so that a player can replay it through them in lock-step. Services `recorder/start` and
/// `recorder/stop` begin and end a recording; with a `path` parameter it begins with the graph.
pub struct Recorder {
    default_path: Param<String>,
    raw_rate_hz: Param<f64>,
    jpeg_rate_hz: Param<f64>,
    jpeg_quality: Param<i64>,
    depth_rate_hz: Param<f64>,
    depth_quantization: Param<f64>,
    limit_mb: Param<i64>,
    split_mb: Param<i64>,
    split_s: Param<f64>,
    replay: bool,
    pub(crate) overrides: BTreeMap<String, QosProfile>,
    exclude: Patterns,
    pub(crate) learner: Learner,
    /// Types that nobody tells, of which that was said.
    pub(crate) unknown: BTreeSet<(&'static str, &'static str)>,
    /// Bytes that may wait.
    queue_bytes: usize,
    pub(crate) recording: Option<Recording>,
    dropped: BTreeMap<&'static str, u64>,
    /// Messages that the node's full queues had dropped when it last looked.
    overrun: u64,
}

pub(crate) struct Recording {
    path: PathBuf,
    pub(crate) writer: BagWriter,
    decimator: Decimator,
    /// Messages whose definition is being asked for.
    pub(crate) held: Held<(AnyMessage, Time)>,
}

/// How often what waits is looked at; it is given to the disk when it is a second old.
const FLUSH: Duration = Duration::from_millis(500);

/// Raw twins of public topics, by size: what `camera/*`, `microphone/audio`, `scan` and `joint_states` say again.
const EXCLUDED: [&str; 4] = ["device/camera/*", "device/microphone", "device/scan", "device/joints"];

/// What is recorded: the robot's own topics, and those that all robots share.
const INCLUDED: [&str; 8] =
    ["*", "/tf", "/tf_static", "/clock", "/rosout", "/diagnostics", "/parameter_events", "/graph/statistics"];

impl Node for Recorder {
    const NAME: &'static str = "recorder";
    const WATCHER: bool = true;

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let default_path =
            s.param("path", String::new()).describe("file to write; empty: wait for recorder/start").read_only().declare()?;
        let include = s
            .param("include", INCLUDED.map(str::to_owned).to_vec())
            .describe("topics to record, as `exclude` has them; /* also takes other robots' topics from the network")
            .read_only()
            .declare()?;
        let exclude = s
            .param("exclude", EXCLUDED.map(str::to_owned).to_vec())
            .describe("topics to leave out; * stands for any characters; relative to the namespace unless it begins with /")
            .read_only()
            .declare()?;
        let raw_rate_hz = s
            .param("image_rate_hz", 0.0)
            .unit("Hz")
            .range(0.0, 1000.0)
            .describe("raw images kept, colour and depth")
            .declare()?;
        let jpeg_rate_hz = s
            .param("jpeg_rate_hz", 2.5)
            .unit("Hz")
            .range(0.0, 1000.0)
            .describe("camera images kept as JPEG on <topic>/compressed")
            .declare()?;
        let jpeg_quality = s.param("jpeg_quality", 75_i64).range(1.0, 100.0).describe("JPEG quality").declare()?;
        let depth_rate_hz = s
            .param("depth_rate_hz", 0.5)
            .unit("Hz")
            .range(0.0, 1000.0)
            .describe("depth images kept as PNG on <topic>/compressedDepth")
            .declare()?;
        let depth_quantization = s
            .param("depth_quantization", 10.0)
            .range(1.0, 250.0)
            .describe("q; a depth image is kept to z * z / (q * (q + 1)) at z metres")
            .declare()?;
        let limit_mb = s
            .param("limit_mb", 4096_i64)
            .unit("MB")
            .range(0.0, 1e7)
            .describe("most that is recorded, before compression; 0: no limit")
            .declare()?;
        let split_mb = s
            .param("split_mb", 0_i64)
            .unit("MB")
            .range(0.0, 1e7)
            .describe("size of a file at which the next begins; 0: never")
            .declare()?;
        let split_s = s
            .param("split_s", 0.0)
            .unit("s")
            .range(0.0, 1e9)
            .describe("time of a file after which the next begins; 0: never")
            .declare()?;
        let queue_mb = s
            .param("queue_mb", 100_i64)
            .unit("MB")
            .range(1.0, 1e6)
            .describe("most that waits for being written; beyond it the oldest messages are dropped and counted")
            .read_only()
            .declare()?
            .get();
        let queue_bytes = usize::try_from(queue_mb).unwrap_or(0).saturating_mul(1_000_000);
        let replay = s
            .param("replay", false)
            .describe(
                "keep what vision, fusion and planner take in as it is, for a replay through them; images are then raw only",
            )
            .read_only()
            .declare()?
            .get();
        let overrides = s
            .param("qos_overrides", String::new())
            .describe("file of offered qualities of service by topic, as for ros2 bag; empty: none")
            .read_only()
            .declare()?
            .get();
        let overrides =
            if overrides.is_empty() { BTreeMap::new() } else { read_overrides(&overrides).map_err(|e| s.failed(e))? };
        s.service::<Record>("recorder/start", Self::on_start)?;
        s.service::<Record>("recorder/stop", Self::on_stop)?;
        let namespace = s.node_name().rsplit_once('/').map_or("", |(namespace, _)| namespace).to_owned();
        let include = Patterns::new(&include.get(), &namespace);
        let exclude = Patterns::new(&exclude.get(), &namespace);
        let left_out = exclude.clone();
        // Decided here and not for each message: what is not wanted is not fetched from the network either.
        let wanted =
            move |topic: &str, kind: &MessageType| recordable(kind) && include.contains(topic) && !left_out.contains(topic);
        s.tap_within(queue_bytes, wanted, Self::on_message)?;
        if replay {
            s.tap_replies(|_, _| true, Self::on_message)?;
        }
        s.timer(FLUSH, Self::flush)?;
        let mut node = Self {
            default_path,
            raw_rate_hz,
            jpeg_rate_hz,
            jpeg_quality,
            depth_rate_hz,
            depth_quantization,
            limit_mb,
            split_mb,
            split_s,
            replay,
            overrides,
            exclude,
            learner: s.learner(),
            unknown: BTreeSet::new(),
            queue_bytes,
            recording: None,
            dropped: BTreeMap::new(),
            overrun: 0,
        };
        let path = node.default_path.get();
        if !path.is_empty() {
            // Here and not in `start`, so that an unusable disk is an error before the robot moves.
            node.open(Path::new(&path)).map_err(|e| s.failed(e))?;
        }
        Ok(node)
    }

    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        self.count_overrun(ctx);
        if let Some((path, metadata)) = self.close(ctx)? {
            let dropped = self.losses().map(|text| format!("; {text}")).unwrap_or_default();
            let (messages, topics) = (metadata.messages, metadata.topics.len());
            ctx.info(format!("recorded {messages} messages on {topics} topics in {}{dropped}", path.display()));
        }
        Ok(())
    }
}

impl Recorder {
    /// Messages that were not written, by reason, of this life of the node.
    #[must_use]
    pub fn dropped(&self) -> &BTreeMap<&'static str, u64> {
        &self.dropped
    }

    fn losses(&self) -> Option<String> {
        let parts: Vec<String> = self.dropped.iter().map(|(why, count)| format!("{count} dropped: {why}")).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn open(&mut self, wanted: &Path) -> Result<PathBuf, OpenError> {
        let path = unused(wanted);
        let bytes = |mb: &Param<i64>| u64::try_from(mb.get()).unwrap_or(0).saturating_mul(1_000_000);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let duration_ns = (self.split_s.get() * 1e9) as u64;
        let options = BagOptions {
            limit_bytes: bytes(&self.limit_mb),
            split: Split { bytes: bytes(&self.split_mb), duration_ns },
            ..BagOptions::default()
        };
        let writer = BagWriter::create(&path, Naming::File, options)?;
        let held = Held::new(self.queue_bytes);
        self.recording = Some(Recording { path: path.clone(), writer, decimator: Decimator::default(), held });
        Ok(path)
    }

    fn close(&mut self, ctx: &mut Context) -> Result<Option<(PathBuf, Metadata)>, NodeError> {
        // What still waits is better kept without a definition than not at all; what cannot be kept is counted.
        let _ = self.write_held(ctx, true);
        let Some(recording) = self.recording.take() else { return Ok(None) };
        let metadata = recording.writer.finish()?;
        Ok(Some((recording.path, metadata)))
    }

    pub(crate) fn drop_messages(&mut self, why: &'static str, count: u64) {
        if count > 0 {
            *self.dropped.entry(why).or_default() += count;
        }
        if let Some(recording) = &mut self.recording {
            recording.writer.drop_messages(why, count);
        }
    }

    fn drop_one(&mut self, why: &'static str) {
        self.drop_messages(why, 1);
    }

    /// What the graph dropped because messages came faster than they were written.
    fn count_overrun(&mut self, ctx: &Context) {
        let before = std::mem::replace(&mut self.overrun, ctx.dropped());
        if self.recording.is_some() {
            self.drop_messages("queue full", self.overrun.saturating_sub(before));
        }
    }

    /// What is said rarely must not wait for the next message to be safe from a kill.
    fn flush(&mut self, ctx: &mut Context) -> HandlerResult {
        self.count_overrun(ctx);
        let now = stamp_ns(ctx.now());
        if let Err(error) = self.write_held(ctx, false) {
            return self.give_up(ctx, &error.into());
        }
        if let Some(recording) = &mut self.recording
            && let Err(error) = recording.writer.flush_due(now)
        {
            return self.give_up(ctx, &error.into());
        }
        Ok(())
    }

    /// The disk will not come back by itself: what is there is closed, and the graph goes on without a recorder.
    fn give_up(&mut self, ctx: &mut Context, error: &WriteFailure) -> HandlerResult {
        let text = format!("recording ended: {error}");
        ctx.status(Level::Error, "recording", text.clone());
        if let Err(error) = self.close(ctx) {
            return Err(NodeError::new(format!(
                "{text}; it cannot be closed either: {error}; `omnimind bag recover` makes it whole"
            )));
        }
        Err(NodeError::new(text))
    }

    fn on_start(&mut self, ctx: &mut Context, request: RecordRequest) -> Result<RecordResponse, NodeError> {
        if let Some(recording) = &self.recording {
            let path = recording.path.display().to_string();
            return Ok(RecordResponse { success: false, message: "already recording".into(), path });
        }
        let wanted = [request.path, self.default_path.get(), "recording.mcap".into()]
            .into_iter()
            .find(|p| !p.is_empty())
            .unwrap_or_default();
        self.overrun = ctx.dropped();
        Ok(match self.open(Path::new(&wanted)) {
            Ok(path) => {
                ctx.status(Level::Ok, "recording", "recording");
                RecordResponse { success: true, message: "recording".into(), path: path.display().to_string() }
            }
            Err(e) => RecordResponse { success: false, message: e.to_string(), path: wanted },
        })
    }

    fn on_stop(&mut self, ctx: &mut Context, _: RecordRequest) -> Result<RecordResponse, NodeError> {
        self.count_overrun(ctx);
        Ok(match self.close(ctx)? {
            Some((path, metadata)) => RecordResponse {
                success: true,
                message: format!("{} messages", metadata.messages),
                path: path.display().to_string(),
            },
            None => RecordResponse { success: false, message: "not recording".into(), path: String::new() },
        })
    }

    fn on_message(&mut self, ctx: &mut Context, message: &AnyMessage) -> HandlerResult {
        if self.recording.is_none() || self.exclude.contains(&message.topic) {
            return Ok(());
        }
        // Another process's clock may be any: in a simulation's recording a wall clock's time would be centuries ahead.
        let at = if message.publisher.is_empty() { ctx.now() } else { message.stamp };
        match self.write(ctx, message, at) {
            Ok(()) => Ok(()),
            Err(error @ (WriteFailure::Image(_) | WriteFailure::Depth(_))) => {
                self.drop_one("broken image");
                Err(NodeError::new(format!("{}: {error}", message.topic)))
            }
            Err(error) => {
                let why = if let WriteFailure::Write(error) = &error { reason(error) } else { "disk" };
                self.drop_one(why);
                self.give_up(ctx, &error)
            }
        }
    }

    fn write(&mut self, ctx: &mut Context, message: &AnyMessage, at: Time) -> Result<(), WriteFailure> {
        if message.message_type.is_opaque() {
            return Ok(self.take_foreign(ctx, message, at)?);
        }
        let (raw_rate, jpeg_rate, depth_rate) = (self.raw_rate_hz.get(), self.jpeg_rate_hz.get(), self.depth_rate_hz.get());
        let Some(Recording { writer, decimator, .. }) = &mut self.recording else { return Ok(()) };
        let offered = self.overrides.get(&*message.topic).copied().unwrap_or_else(|| QosProfile::from(&message.qos));
        let (at_ns, stamp) = (stamp_ns(at), stamp_ns(message.stamp));
        #[allow(clippy::cast_possible_truncation)]
        let sequence = message.sequence as u32;
        // For a replay everything is kept as it was.
        if let Some(image) = message.downcast::<Image>().filter(|_| !self.replay) {
            let is_depth = image.encoding.starts_with("32FC") || image.encoding.starts_with("16U");
            let (topic, rate) = if is_depth { ("compressedDepth", depth_rate) } else { ("compressed", jpeg_rate) };
            let topic = format!("{}/{topic}", message.topic);
            let known = !is_depth || (image.encoding == "32FC1" && image.is_bigendian == 0);
            if known && decimator.keep(&topic, at.as_nanos(), rate) {
                let compressed = if is_depth {
                    compress_depth(&image, self.depth_quantization.get())?
                } else {
                    compress(&image, self.jpeg_quality.get())?
                };
                let channel = channel(&topic, CompressedImage::message_type(), std::slice::from_ref(&offered));
                writer.write(&channel, at_ns, stamp, sequence, &compressed.to_cdr())?;
            }
            if !decimator.keep(&message.topic, at.as_nanos(), raw_rate) {
                return Ok(());
            }
        }
        let channel = channel(&message.topic, message.message_type, std::slice::from_ref(&offered));
        writer.write(&channel, at_ns, stamp, sequence, &message.to_cdr())?;
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum WriteFailure {
    #[error(transparent)]
    Image(#[from] jpeg::JpegError),
    #[error(transparent)]
    Depth(#[from] depth::DepthError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn recordable(message_type: &MessageType) -> bool {
    // A type of this program without a definition is its own affair.
    !message_type.definition.is_empty() || message_type.fields.is_empty()
}

fn compress(image: &Arc<Image>, quality: i64) -> Result<CompressedImage, jpeg::JpegError> {
    let quality = u8::try_from(quality.clamp(1, 100)).unwrap_or(80);
    let data = jpeg::encode(&image.encoding, image.width, image.height, image.step, &image.data, quality)?;
    // compressed_image_transport's form: "<original encoding>; jpeg compressed <encoding of the JPEG>".
    let inner = if image.encoding == "mono8" { "mono8" } else { "bgr8" };
    Ok(CompressedImage {
        header: image.header.clone(),
        format: format!("{}; jpeg compressed {inner}", image.encoding),
        data: data.into(),
    })
}

fn compress_depth(image: &Arc<Image>, quantization: f64) -> Result<CompressedImage, depth::DepthError> {
    #[allow(clippy::cast_possible_truncation)]
    let data = depth::encode(image.width, image.height, image.step, &image.data, quantization as f32)?;
    Ok(CompressedImage {
        header: image.header.clone(),
        format: format!("{}; compressedDepth png", image.encoding),
        data: data.into(),
    })
}

fn channel<'a>(topic: &'a str, message_type: &'static MessageType, qos: &'a [QosProfile]) -> Channel<'a> {
    let MessageType { name, hash, definition, .. } = message_type;
    // That a type has no fields is a definition too.
    let definition = if definition.is_empty() { "\n" } else { definition };
    Channel { topic, message_type: name, definition, type_hash: hash, qos }
}

fn read_overrides(path: &str) -> Result<BTreeMap<String, QosProfile>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("qos_overrides: cannot read {path}: {e}"))?;
    bags::qos::overrides(&text).map_err(|e| format!("qos_overrides: {path}: {e}"))
}

pub(crate) fn stamp_ns(time: Time) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(0)
}

/// The path itself, or with `_1`, `_2`, ... before its ending if files of that name are there: a node that was started again
/// must not destroy the recording of its former life.
fn unused(wanted: &Path) -> PathBuf {
    let stem = wanted.file_stem().map_or_else(|| "recording".into(), |s| s.to_string_lossy().into_owned());
    let ending = wanted.extension().map_or_else(|| "mcap".into(), |s| s.to_string_lossy().into_owned());
    let mut path = wanted.to_path_buf();
    let mut n = 0;
    while path.is_file() {
        n += 1;
        path = wanted.with_file_name(format!("{stem}_{n}.{ending}"));
    }
    path
}
