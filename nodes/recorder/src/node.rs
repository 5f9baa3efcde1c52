//! The node: a tap on everything, in front of an MCAP file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph::{AnyMessage, Context, HandlerResult, Level, Node, NodeError, Param, Setup, SetupError, Time};
use msgs::omnimind_msgs::srv::{Record, RecordRequest, RecordResponse};
use msgs::sensor_msgs::msg::{CompressedImage, Image};
use msgs::{Message, MessageType};

use crate::depth;
use crate::select::{Decimator, Exclude};
use crate::writer::{self, Channel, McapWriter, RecordingSummary, WriteError, WriterOptions};
use pictures::jpeg;

/// Records every message of its process's graph.
///
/// Camera images are kept as JPEG on `<topic>/compressed`, depth images as PNG on `<topic>/compressedDepth`, raw ones only on
/// request: they are most of a recording's size. Services `recorder/start` and
/// `recorder/stop` begin and end a recording; with a `path` parameter it begins with the graph.
pub struct Recorder {
    default_path: Param<String>,
    raw_rate_hz: Param<f64>,
    jpeg_rate_hz: Param<f64>,
    jpeg_quality: Param<i64>,
    depth_rate_hz: Param<f64>,
    depth_quantization: Param<f64>,
    limit_mb: Param<i64>,
    exclude: Exclude,
    recording: Option<Recording>,
    dropped: u64,
}

struct Recording {
    path: PathBuf,
    writer: McapWriter,
    decimator: Decimator,
}

/// Raw twins of public topics, by size: what `camera/*`, `microphone/audio`, `scan` and `joint_states` say again.
const EXCLUDED: [&str; 4] = ["device/camera/*", "device/microphone", "device/scan", "device/joints"];

impl Node for Recorder {
    const NAME: &'static str = "recorder";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let default_path =
            s.param("path", String::new()).describe("file to write; empty: wait for recorder/start").read_only().declare()?;
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
        s.service::<Record>("recorder/start", Self::on_start)?;
        s.service::<Record>("recorder/stop", Self::on_stop)?;
        s.tap(recordable, Self::on_message)?;
        let namespace = s.node_name().rsplit_once('/').map_or("", |(namespace, _)| namespace).to_owned();
        let exclude = Exclude::new(&exclude.get(), &namespace);
        let mut node = Self {
            default_path,
            raw_rate_hz,
            jpeg_rate_hz,
            jpeg_quality,
            depth_rate_hz,
            depth_quantization,
            limit_mb,
            exclude,
            recording: None,
            dropped: 0,
        };
        let path = node.default_path.get();
        if !path.is_empty() {
            // Here and not in `start`, so that an unusable disk is an error before the robot moves.
            node.open(Path::new(&path)).map_err(|e| s.failed(e))?;
        }
        Ok(node)
    }

    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        if let Some((path, summary)) = self.close()? {
            ctx.info(format!("recorded {} messages on {} topics in {}", summary.messages, summary.topics.len(), path.display()));
        }
        Ok(())
    }
}

impl Recorder {
    /// Messages that could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn open(&mut self, wanted: &Path) -> Result<PathBuf, writer::OpenError> {
        let path = unused(wanted);
        let limit_bytes = u64::try_from(self.limit_mb.get()).unwrap_or(0).saturating_mul(1_000_000);
        let writer = McapWriter::create(&path, WriterOptions { limit_bytes, ..WriterOptions::default() })?;
        self.recording = Some(Recording { path: path.clone(), writer, decimator: Decimator::default() });
        Ok(path)
    }

    fn close(&mut self) -> Result<Option<(PathBuf, RecordingSummary)>, NodeError> {
        let Some(recording) = self.recording.take() else { return Ok(None) };
        let summary = recording.writer.finish()?;
        let name = recording.path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let metadata = recording.path.with_file_name("metadata.yaml");
        std::fs::write(metadata, writer::rosbag2_metadata(&name, &summary))?;
        Ok(Some((recording.path, summary)))
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
        Ok(match self.open(Path::new(&wanted)) {
            Ok(path) => {
                ctx.status(Level::Ok, "recording", "recording");
                RecordResponse { success: true, message: "recording".into(), path: path.display().to_string() }
            }
            Err(e) => RecordResponse { success: false, message: e.to_string(), path: wanted },
        })
    }

    fn on_stop(&mut self, _: &mut Context, _: RecordRequest) -> Result<RecordResponse, NodeError> {
        Ok(match self.close()? {
            Some((path, summary)) => RecordResponse {
                success: true,
                message: format!("{} messages", summary.messages),
                path: path.display().to_string(),
            },
            None => RecordResponse { success: false, message: "not recording".into(), path: String::new() },
        })
    }

    fn on_message(&mut self, ctx: &mut Context, message: &AnyMessage) -> HandlerResult {
        if self.recording.is_none() || self.exclude.contains(&message.topic) {
            return Ok(());
        }
        if let Err(error) = self.write(message) {
            self.dropped += 1;
            if matches!(error, WriteFailure::Image(_) | WriteFailure::Depth(_)) {
                return Err(NodeError::new(format!("{}: {error}", message.topic)));
            }
            // The disk will not come back by itself: what is there is closed, and the graph goes on without a recorder.
            let text = format!("recording ended: {error}");
            ctx.status(Level::Error, "recording", text.clone());
            self.close()?;
            return Err(NodeError::new(text));
        }
        Ok(())
    }

    fn write(&mut self, message: &AnyMessage) -> Result<(), WriteFailure> {
        let (raw_rate, jpeg_rate, depth_rate) = (self.raw_rate_hz.get(), self.jpeg_rate_hz.get(), self.depth_rate_hz.get());
        let Some(Recording { writer, decimator, .. }) = &mut self.recording else { return Ok(()) };
        let stamp = stamp_ns(message.stamp);
        #[allow(clippy::cast_possible_truncation)]
        let sequence = message.sequence as u32;
        if let Some(image) = message.downcast::<Image>() {
            let is_depth = image.encoding.starts_with("32FC") || image.encoding.starts_with("16U");
            let (topic, rate) = if is_depth { ("compressedDepth", depth_rate) } else { ("compressed", jpeg_rate) };
            let topic = format!("{}/{topic}", message.topic);
            let known = !is_depth || (image.encoding == "32FC1" && image.is_bigendian == 0);
            if known && decimator.keep(&topic, message.stamp.as_nanos(), rate) {
                let compressed = if is_depth {
                    compress_depth(&image, self.depth_quantization.get())?
                } else {
                    compress(&image, self.jpeg_quality.get())?
                };
                writer.write(
                    &channel(&topic, CompressedImage::message_type(), message),
                    stamp,
                    sequence,
                    &compressed.to_cdr(),
                )?;
            }
            if !decimator.keep(&message.topic, message.stamp.as_nanos(), raw_rate) {
                return Ok(());
            }
        }
        writer.write(&channel(&message.topic, message.message_type, message), stamp, sequence, &message.to_cdr())?;
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

fn recordable(_: &str, message_type: &MessageType) -> bool {
    // Without a definition no reader could make sense of it.
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

fn channel<'a>(topic: &'a str, message_type: &'static MessageType, message: &'a AnyMessage) -> Channel<'a> {
    Channel {
        topic,
        message_type: message_type.name,
        definition: message_type.definition,
        type_hash: message_type.hash,
        publisher: &message.publisher,
        qos: qos_of(topic),
    }
}

// A tap does not see the offer, so the recording offers what any subscriber of the topic can take: reliable, and transient
// local where late joiners are served.
fn qos_of(topic: &str) -> &'static str {
    use std::sync::LazyLock;
    static VOLATILE: LazyLock<String> = LazyLock::new(|| writer::qos_yaml(true, false, 10));
    static LATCHED: LazyLock<String> = LazyLock::new(|| writer::qos_yaml(true, true, 1));
    const STATES: [&str; 8] = [
        "/tf_static",
        "/map",
        "/fusion/belief",
        "/safety/state",
        "/safety/e_stop",
        "/gpu/devices",
        "/gpu/leases",
        "/robot_description",
    ];
    if STATES.iter().any(|state| topic.ends_with(state)) { &LATCHED } else { &VOLATILE }
}

fn stamp_ns(time: Time) -> u64 {
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
