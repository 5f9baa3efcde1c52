//! Writing MCAP files that ROS 2 tools read: profile `ros2`, schemas `ros2msg`, messages in CDR, zstd chunks.
//!
//! Chunks are closed about once per second of message time, so that a killed process leaves a file that is readable up to
//! its last second. Specification: <https://mcap.dev/spec>, "ROS 2" profile in <https://mcap.dev/spec/registry>.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use mcap::records::MessageHeader;

/// Why a recording cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The header cannot be written.
    #[error("cannot begin {}: {source}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What the MCAP library said.
        source: mcap::McapError,
    },
}

/// Why a message cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The recording has reached its size limit and is closed for further messages.
    #[error("the recording has reached its limit of {limit_bytes} bytes")]
    Full {
        /// The limit.
        limit_bytes: u64,
    },
    /// The disk is full, or the file system refuses.
    #[error("cannot write the recording: {0}")]
    Mcap(#[from] mcap::McapError),
}

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    /// Longest stretch of message time that a kill can lose, ns.
    pub flush_interval_ns: u64,
    /// Size at which no further message is taken, bytes before compression; 0: none.
    pub limit_bytes: u64,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { flush_interval_ns: 1_000_000_000, limit_bytes: 0 }
    }
}

/// The topic that a message belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// Full topic name, with a slash in front.
    pub topic: &'a str,
    /// `sensor_msgs/msg/Image`
    pub message_type: &'a str,
    /// The message definition with its dependencies, `ros2msg` form.
    pub definition: &'a str,
    /// `RIHS01_...`
    pub type_hash: &'a str,
    /// Name of the publishing node.
    pub publisher: &'a str,
    /// Offered quality of service, in rosbag2's YAML form (see [`qos_yaml`]).
    pub qos: &'a str,
}

/// What is known about a topic of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSummary {
    /// Full topic name.
    pub topic: String,
    /// `sensor_msgs/msg/Image`
    pub message_type: String,
    /// Quality of service in rosbag2's YAML form.
    pub qos: String,
    /// `RIHS01_...`
    pub type_hash: String,
    /// Messages written.
    pub messages: u64,
}

/// What a finished recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingSummary {
    /// Topics in the order of their first message.
    pub topics: Vec<TopicSummary>,
    /// Time of the first message, ns.
    pub first_ns: u64,
    /// Time of the last message, ns.
    pub last_ns: u64,
    /// Messages written.
    pub messages: u64,
    /// Payload bytes, before compression.
    pub bytes: u64,
}

/// An MCAP file that is being written.
pub struct McapWriter {
    inner: mcap::Writer<BufWriter<File>>,
    options: WriterOptions,
    // (topic, publisher) -> channel id and index into `summary.topics`.
    channels: BTreeMap<(String, String), (u16, usize)>,
    summary: RecordingSummary,
    last_flush_ns: Option<u64>,
}

impl McapWriter {
    /// Makes the file and its folder; an old file of the same name is replaced.
    ///
    /// # Errors
    /// [`OpenError`], naming the path.
    pub fn create(path: &Path, options: WriterOptions) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder { path: folder.to_path_buf(), source })?;
        }
        let file = File::create(path).map_err(|source| OpenError::File { path: path.to_path_buf(), source })?;
        let mcap_options = mcap::WriteOptions::new()
            .profile("ros2")
            .library(concat!("omnimind ", env!("CARGO_PKG_VERSION")))
            .compression(Some(mcap::Compression::Zstd))
            .chunk_size(Some(4 << 20))
            // Compression in the caller's thread: the same bytes each time, and no threads inside a node.
            .compression_threads(0);
        let inner =
            mcap_options.create(BufWriter::new(file)).map_err(|source| OpenError::Header { path: path.to_path_buf(), source })?;
        Ok(Self { inner, options, channels: BTreeMap::new(), summary: RecordingSummary::default(), last_flush_ns: None })
    }

    /// Writes one message: `cdr` with its encapsulation header, `stamp_ns` since the epoch of the graph's clock.
    ///
    /// # Errors
    /// [`WriteError::Full`] at the size limit, [`WriteError::Mcap`] when the disk refuses.
    pub fn write(&mut self, channel: &Channel<'_>, stamp_ns: u64, sequence: u32, cdr: &[u8]) -> Result<(), WriteError> {
        let limit_bytes = self.options.limit_bytes;
        if limit_bytes > 0 && self.summary.bytes + cdr.len() as u64 > limit_bytes {
            return Err(WriteError::Full { limit_bytes });
        }
        let (channel_id, index) = self.channel(channel)?;
        let header = MessageHeader { channel_id, sequence, log_time: stamp_ns, publish_time: stamp_ns };
        self.inner.write_to_known_channel(&header, cdr)?;
        let summary = &mut self.summary;
        if summary.messages == 0 {
            summary.first_ns = stamp_ns;
        }
        summary.last_ns = summary.last_ns.max(stamp_ns);
        summary.messages += 1;
        summary.bytes += cdr.len() as u64;
        summary.topics[index].messages += 1;
        let last = *self.last_flush_ns.get_or_insert(stamp_ns);
        if stamp_ns.saturating_sub(last) >= self.options.flush_interval_ns {
            self.flush()?;
            self.last_flush_ns = Some(stamp_ns);
        }
        Ok(())
    }

    /// Closes the present chunk and gives everything to the operating system.
    ///
    /// # Errors
    /// [`WriteError::Mcap`].
    pub fn flush(&mut self) -> Result<(), WriteError> {
        Ok(self.inner.flush()?)
    }

    /// What has been written so far.
    #[must_use]
    pub fn summary(&self) -> &RecordingSummary {
        &self.summary
    }

    /// Writes indexes and statistics and closes the file.
    ///
    /// # Errors
    /// [`WriteError::Mcap`].
    pub fn finish(mut self) -> Result<RecordingSummary, WriteError> {
        self.inner.finish()?;
        Ok(std::mem::take(&mut self.summary))
    }

    fn channel(&mut self, channel: &Channel<'_>) -> Result<(u16, usize), WriteError> {
        let key = (channel.topic.to_owned(), channel.publisher.to_owned());
        if let Some(found) = self.channels.get(&key) {
            return Ok(*found);
        }
        let schema = self.inner.add_schema(channel.message_type, "ros2msg", channel.definition.as_bytes())?;
        let metadata: BTreeMap<String, String> =
            [("offered_qos_profiles", channel.qos), ("topic_type_hash", channel.type_hash), ("publisher", channel.publisher)]
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect();
        let id = self.inner.add_channel(schema, channel.topic, "cdr", &metadata)?;
        let known = self.summary.topics.iter().position(|t| t.topic == channel.topic);
        let index = known.unwrap_or_else(|| {
            self.summary.topics.push(TopicSummary {
                topic: channel.topic.to_owned(),
                message_type: channel.message_type.to_owned(),
                qos: channel.qos.to_owned(),
                type_hash: channel.type_hash.to_owned(),
                messages: 0,
            });
            self.summary.topics.len() - 1
        });
        self.channels.insert(key, (id, index));
        Ok((id, index))
    }
}

/// Quality of service as rosbag2 (Jazzy) writes it into a channel's metadata and into `metadata.yaml`.
#[must_use]
pub fn qos_yaml(reliable: bool, transient_local: bool, depth: u32) -> String {
    let reliability = if reliable { "reliable" } else { "best_effort" };
    let durability = if transient_local { "transient_local" } else { "volatile" };
    let (history, depth) = if depth == 0 { ("keep_all", 0) } else { ("keep_last", depth) };
    let mut text = format!("- history: {history}\n  depth: {depth}\n  reliability: {reliability}\n  durability: {durability}\n");
    for name in ["deadline", "lifespan"] {
        text.push_str(&format!("  {name}:\n    sec: 9223372036\n    nsec: 854775807\n"));
    }
    text.push_str("  liveliness: automatic\n  liveliness_lease_duration:\n    sec: 9223372036\n    nsec: 854775807\n  avoid_ros_namespace_conventions: false");
    text
}

/// rosbag2's `metadata.yaml` (version 9, Jazzy) for one finished MCAP file that lies in the same folder.
#[must_use]
pub fn rosbag2_metadata(file_name: &str, summary: &RecordingSummary) -> String {
    let duration = summary.last_ns.saturating_sub(summary.first_ns);
    let mut text = format!(
        "rosbag2_bagfile_information:\n  version: 9\n  storage_identifier: mcap\n  duration:\n    nanoseconds: {duration}\n  starting_time:\n    nanoseconds_since_epoch: {}\n  message_count: {}\n  topics_with_message_count:\n",
        summary.first_ns, summary.messages
    );
    if summary.topics.is_empty() {
        text = text.replace("topics_with_message_count:\n", "topics_with_message_count: []\n");
    }
    for topic in &summary.topics {
        text.push_str(&format!(
            "    - topic_metadata:\n        name: {}\n        type: {}\n        serialization_format: cdr\n        offered_qos_profiles:\n",
            topic.topic, topic.message_type
        ));
        for line in topic.qos.lines() {
            text.push_str(&format!("          {line}\n"));
        }
        text.push_str(&format!("        type_description_hash: {}\n      message_count: {}\n", topic.type_hash, topic.messages));
    }
    text.push_str(&format!(
        "  compression_format: \"\"\n  compression_mode: \"\"\n  relative_file_paths:\n    - {file_name}\n  files:\n    - path: {file_name}\n      starting_time:\n        nanoseconds_since_epoch: {}\n      duration:\n        nanoseconds: {duration}\n      message_count: {}\n  custom_data: ~\n  ros_distro: jazzy\n",
        summary.first_ns, summary.messages
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> Channel<'static> {
        Channel {
            topic: "/chatter",
            message_type: "std_msgs/msg/String",
            definition: "string data\n",
            type_hash: "RIHS01_00",
            publisher: "/talker",
            qos: "- history: keep_last",
        }
    }

    // Noise, so that zstd cannot make the file shorter than a cut.
    fn payload(i: u64) -> Vec<u8> {
        let mut state = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..1000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect()
    }

    fn record(path: &Path, seconds: u64) -> McapWriter {
        let mut writer = McapWriter::create(path, WriterOptions::default()).unwrap();
        for i in 0..seconds * 10 {
            writer.write(&channel(), i * 100_000_000, i as u32, &payload(i)).unwrap();
        }
        writer
    }

    #[test]
    fn what_is_written_is_read_back_by_the_mcap_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/a.mcap");
        let summary = record(&path, 3).finish().unwrap();
        assert_eq!((summary.messages, summary.first_ns, summary.last_ns), (30, 0, 2_900_000_000));
        let bytes = std::fs::read(&path).unwrap();
        let messages: Vec<_> = mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(messages.len(), 30);
        assert_eq!(messages[7].data.as_ref(), payload(7));
        assert_eq!(messages[7].log_time, 700_000_000);
        assert_eq!(messages[0].channel.message_encoding, "cdr");
        assert_eq!(messages[0].channel.metadata["topic_type_hash"], "RIHS01_00");
        let schema = messages[0].channel.schema.as_ref().unwrap();
        assert_eq!((schema.name.as_str(), schema.encoding.as_str()), ("std_msgs/msg/String", "ros2msg"));
    }

    #[test]
    fn a_killed_recording_is_readable_up_to_its_last_second() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("killed.mcap");
        let writer = record(&path, 5);
        // As after a kill: nothing is closed, and the operating system has only what was flushed.
        let bytes = std::fs::read(&path).unwrap();
        std::mem::forget(writer);
        let read = |bytes: &[u8]| {
            mcap::MessageStream::new_with_options(bytes, mcap::read::Options::IgnoreEndMagic.into())
                .unwrap()
                .take_while(Result::is_ok)
                .count()
        };
        assert!(read(&bytes) >= 41, "{} messages", read(&bytes));
        // And cut in the middle of a chunk.
        let cut = read(&bytes[..bytes.len() * 2 / 3]);
        assert!((15..41).contains(&cut), "{cut} messages");
    }

    #[test]
    fn the_limit_ends_a_recording_with_an_error_and_leaves_it_readable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("full.mcap");
        let mut writer = McapWriter::create(&path, WriterOptions { limit_bytes: 2500, ..WriterOptions::default() }).unwrap();
        writer.write(&channel(), 0, 0, &payload(0)).unwrap();
        writer.write(&channel(), 1, 1, &payload(1)).unwrap();
        assert!(matches!(writer.write(&channel(), 2, 2, &payload(2)), Err(WriteError::Full { limit_bytes: 2500 })));
        assert_eq!(writer.finish().unwrap().messages, 2);
        assert_eq!(mcap::MessageStream::new(&std::fs::read(&path).unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn an_unusable_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = McapWriter::create(&file.join("a.mcap"), WriterOptions::default()).err().unwrap();
        assert!(matches!(error, OpenError::Folder { .. }));
        assert!(error.to_string().contains("file"), "{error}");
        assert!(matches!(McapWriter::create(dir.path(), WriterOptions::default()), Err(OpenError::File { .. })));
    }
}
