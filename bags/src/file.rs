//! Writing one MCAP file that ROS 2 tools read: profile `ros2`, schemas `ros2msg`, messages in CDR, zstd chunks.
//!
//! Chunks are closed twice per second of message time, so that a killed process leaves a file that is readable up to
//! its last second. Specification: <https://mcap.dev/spec>, "ROS 2" profile in <https://mcap.dev/spec/registry>.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mcap::records::MessageHeader;

use crate::qos::{self, QosProfile};
use crate::reader::SchemaText;

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
    /// The next file cannot begin.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// `metadata.yaml` cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
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
    /// Size at which a chunk is closed, bytes before compression.
    pub chunk_bytes: u64,
    /// Whether chunks are compressed with zstd.
    pub compress: bool,
    /// zstd's level; 0: its default.
    pub level: u32,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { flush_interval_ns: 500_000_000, chunk_bytes: 4 << 20, compress: true, level: 0 }
    }
}

/// The topic that a message belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// Full topic name, with a slash in front.
    pub topic: &'a str,
    /// `sensor_msgs/msg/Image`
    pub message_type: &'a str,
    /// The message definition with its dependencies, `ros2msg` form; empty if not known. Of a type without fields it is a line break.
    pub definition: &'a str,
    /// `RIHS01_...`; empty if not known. A topic may carry several versions of a type.
    pub type_hash: &'a str,
    /// Offered quality of service of its publishers. What is said with the topic's first message counts for the whole bag: readers
    /// hold a channel against `metadata.yaml`.
    pub qos: &'a [QosProfile],
}

/// What is known about a topic of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSummary {
    /// Full topic name.
    pub topic: String,
    /// `sensor_msgs/msg/Image`
    pub message_type: String,
    /// Offered quality of service.
    pub qos: Vec<QosProfile>,
    /// `RIHS01_...`
    pub type_hash: String,
    /// How its messages are encoded: `cdr` in ROS 2 recordings.
    pub encoding: String,
    /// Messages written.
    pub messages: u64,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSummary {
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

/// Counts what goes through to the file.
struct Counted {
    inner: BufWriter<File>,
    written: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// An MCAP file that is being written.
pub struct McapWriter {
    inner: mcap::Writer<Counted>,
    options: WriterOptions,
    // By topic: channel ids and places in `summary.topics`. A topic has one type, unless somebody made a mistake.
    channels: BTreeMap<String, Vec<(u16, usize)>>,
    summary: FileSummary,
    last_flush_ns: Option<u64>,
    unflushed: bool,
    written: Arc<AtomicU64>,
}

impl McapWriter {
    /// Makes the file and its folder; an old file of the same name is replaced. The file is locked until it is closed, so that others can
    /// tell a recording that goes on from one that was cut off.
    ///
    /// # Errors
    /// [`OpenError`], naming the path; also if somebody else is writing the file.
    pub fn create(path: &Path, options: WriterOptions) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder { path: folder.to_path_buf(), source })?;
        }
        let file = begin(path).map_err(|source| OpenError::File { path: path.to_path_buf(), source })?;
        let written = Arc::new(AtomicU64::new(0));
        let mcap_options = mcap::WriteOptions::new()
            .profile("ros2")
            .library(concat!("omnimind ", env!("CARGO_PKG_VERSION")))
            .compression(options.compress.then_some(mcap::Compression::Zstd))
            .compression_level(options.level)
            .chunk_size(Some(options.chunk_bytes.max(1)))
            // Compression in the caller's thread: the same bytes each time, and no threads inside a node.
            .compression_threads(0);
        let inner = mcap_options
            .create(Counted { inner: BufWriter::new(file), written: Arc::clone(&written) })
            .map_err(|source| OpenError::Header { path: path.to_path_buf(), source })?;
        Ok(Self {
            inner,
            options,
            channels: BTreeMap::new(),
            summary: FileSummary::default(),
            last_flush_ns: None,
            unflushed: false,
            written,
        })
    }

    /// Writes one message: `cdr` with its encapsulation header, when it was recorded and when it was published, both in ns since the
    /// epoch of the recorder's clock.
    ///
    /// # Errors
    /// [`WriteError::Mcap`] when the disk refuses.
    pub fn write(
        &mut self,
        channel: &Channel<'_>,
        log_ns: u64,
        publish_ns: u64,
        sequence: u32,
        cdr: &[u8],
    ) -> Result<(), WriteError> {
        let place = self.channel(channel)?;
        self.write_to(place, log_ns, publish_ns, sequence, cdr)
    }

    /// Writes one message to a channel that is there.
    pub(crate) fn write_to(
        &mut self,
        (channel_id, index): (u16, usize),
        log_ns: u64,
        publish_ns: u64,
        sequence: u32,
        cdr: &[u8],
    ) -> Result<(), WriteError> {
        let header = MessageHeader { channel_id, sequence, log_time: log_ns, publish_time: publish_ns };
        self.inner.write_to_known_channel(&header, cdr)?;
        self.unflushed = true;
        let summary = &mut self.summary;
        if summary.messages == 0 {
            (summary.first_ns, summary.last_ns) = (log_ns, log_ns);
        }
        summary.first_ns = summary.first_ns.min(log_ns);
        summary.last_ns = summary.last_ns.max(log_ns);
        summary.messages += 1;
        summary.bytes += cdr.len() as u64;
        summary.topics[index].messages += 1;
        self.flush_due(log_ns)
    }

    /// Closes the present chunk if its first message is older than the interval, or if the clock was set back by more than that.
    ///
    /// # Errors
    /// [`WriteError::Mcap`].
    pub fn flush_due(&mut self, now_ns: u64) -> Result<(), WriteError> {
        let last = *self.last_flush_ns.get_or_insert(now_ns);
        if now_ns.abs_diff(last) >= self.options.flush_interval_ns {
            if self.unflushed {
                self.flush()?;
            }
            self.last_flush_ns = Some(now_ns);
        }
        Ok(())
    }

    /// Closes the present chunk and gives everything to the operating system.
    ///
    /// # Errors
    /// [`WriteError::Mcap`].
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.inner.flush()?;
        self.unflushed = false;
        Ok(())
    }

    /// What has been written so far.
    #[must_use]
    pub fn summary(&self) -> &FileSummary {
        &self.summary
    }

    /// Bytes given to the file so far: closed chunks.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes indexes and statistics and closes the file. `metadata` is what rosbag2 keeps in the record `rosbag2`.
    ///
    /// # Errors
    /// [`WriteError::Mcap`].
    pub fn finish(mut self, metadata: Option<&str>) -> Result<FileSummary, WriteError> {
        if let Some(text) = metadata {
            // rosbag2_storage_mcap: `mcap_storage.cpp`, "serialized_metadata".
            let entries = [("serialized_metadata".to_owned(), text.to_owned())].into();
            self.inner.write_metadata(&mcap::records::Metadata { name: "rosbag2".into(), metadata: entries })?;
        }
        self.inner.finish()?;
        self.inner.into_inner().flush().map_err(mcap::McapError::from)?;
        Ok(self.summary)
    }

    fn channel(&mut self, channel: &Channel<'_>) -> Result<(u16, usize), WriteError> {
        let is_it = |(_, place): &&(u16, usize)| {
            let about = &self.summary.topics[*place];
            about.message_type == channel.message_type && about.type_hash == channel.type_hash
        };
        if let Some(found) = self.channels.get(channel.topic).and_then(|channels| channels.iter().find(is_it)) {
            return Ok(*found);
        }
        // As rosbag2 where it finds no definition: the schema is there for its name, its encoding and its text are empty.
        let encoding = if channel.definition.is_empty() { "" } else { "ros2msg" };
        let schema = self.inner.add_schema(channel.message_type, encoding, channel.definition.as_bytes())?;
        let metadata: BTreeMap<String, String> =
            [("offered_qos_profiles", qos::to_text(channel.qos)), ("topic_type_hash", channel.type_hash.to_owned())]
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
        let id = self.inner.add_channel(schema, channel.topic, "cdr", &metadata)?;
        self.summary.topics.push(TopicSummary {
            topic: channel.topic.to_owned(),
            message_type: channel.message_type.to_owned(),
            qos: channel.qos.to_vec(),
            type_hash: channel.type_hash.to_owned(),
            encoding: "cdr".into(),
            messages: 0,
        });
        let found = (id, self.summary.topics.len() - 1);
        self.channels.entry(channel.topic.to_owned()).or_default().push(found);
        Ok(found)
    }

    /// A channel as another file has it, whatever its encodings are.
    pub(crate) fn copy_channel(
        &mut self,
        about: &TopicSummary,
        schema: Option<&SchemaText>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(u16, usize), WriteError> {
        // MCAP: identity 0 stands for "no schema".
        let schema = schema.map_or(Ok(0), |s| self.inner.add_schema(&s.name, &s.encoding, &s.text))?;
        let id = self.inner.add_channel(schema, &about.topic, &about.encoding, metadata)?;
        self.summary.topics.push(about.clone());
        Ok((id, self.summary.topics.len() - 1))
    }

    /// Writes a record of metadata.
    pub(crate) fn write_metadata(&mut self, record: &mcap::records::Metadata) -> Result<(), WriteError> {
        Ok(self.inner.write_metadata(record)?)
    }
}

/// An empty file that is locked.
fn begin(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    // Where the file system knows no locks there is none.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(std::io::Error::new(std::io::ErrorKind::ResourceBusy, "it is being written by somebody else"));
    }
    file.set_len(0)?;
    Ok(file)
}

/// Whether a recorder has the file open.
pub(crate) fn is_being_written(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
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
            qos: &[],
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
            writer.write(&channel(), i * 100_000_000, i * 100_000_000 + 5, i as u32, &payload(i)).unwrap();
        }
        writer
    }

    #[test]
    fn what_is_written_is_read_back_by_the_mcap_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/a.mcap");
        let summary = record(&path, 3).finish(Some("version: 9")).unwrap();
        assert_eq!((summary.messages, summary.first_ns, summary.last_ns), (30, 0, 2_900_000_000));
        let bytes = std::fs::read(&path).unwrap();
        let messages: Vec<_> = mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(messages.len(), 30);
        assert_eq!(messages[7].data.as_ref(), payload(7));
        assert_eq!((messages[7].log_time, messages[7].publish_time), (700_000_000, 700_000_005));
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
    fn a_clock_that_jumps_keeps_the_promise_to_flush() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mcap");
        let mut writer = McapWriter::create(&path, WriterOptions::default()).unwrap();
        writer.write(&channel(), 1_800_000_000_000_000_000, 0, 0, &payload(0)).unwrap();
        for i in 0..20 {
            writer.write(&channel(), i * 100_000_000, 0, 0, &payload(i)).unwrap();
        }
        let kept = std::fs::read(&path).unwrap();
        let read = mcap::MessageStream::new_with_options(&kept, mcap::read::Options::IgnoreEndMagic.into()).unwrap();
        let read = read.take_while(Result::is_ok).count();
        assert!(read >= 16, "{read} of 21 are safe from a kill");
    }

    #[test]
    fn a_file_that_is_being_written_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mcap");
        let writer = record(&path, 3);
        assert!(is_being_written(&path));
        let error = McapWriter::create(&path, WriterOptions::default()).err().unwrap().to_string();
        assert!(error.contains("being written"), "{error}");
        writer.finish(None).unwrap();
        assert!(!is_being_written(&path));
        assert_eq!(mcap::MessageStream::new(&std::fs::read(&path).unwrap()).unwrap().count(), 30);
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
