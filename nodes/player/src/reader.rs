//! Reading MCAP files of ROS 2 messages front to back, with bounded memory. Specification: <https://mcap.dev/spec>.
//!
//! A file that was cut off, by a kill or a full disk, is read up to the cut.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use mcap::records::Record;
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

/// No record of a robot is larger; a length above it is damage, not data. Bytes.
const RECORD_LIMIT: usize = 256 << 20;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is no MCAP file, or it is damaged.
    #[error("{} is no readable MCAP file: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the MCAP library said.
        source: mcap::McapError,
    },
}

/// A topic of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Full topic name.
    pub topic: String,
    /// The type's name, for instance `sensor_msgs/msg/Image`.
    pub message_type: String,
    /// `cdr` in ROS 2 recordings.
    pub encoding: String,
}

/// A message of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Index into [`Recording::channels`].
    pub channel: usize,
    /// When it was recorded, in nanoseconds of the recording's clock.
    pub log_time_ns: u64,
    /// Serialised, with the encapsulation header.
    pub data: Vec<u8>,
}

/// A recording that is being read.
pub struct Recording {
    path: PathBuf,
    file: File,
    reader: LinearReader,
    schemas: BTreeMap<u16, String>,
    by_id: BTreeMap<u16, usize>,
    channels: Vec<Channel>,
    cut: bool,
    ended: bool,
}

impl Recording {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ReadError::File`]; damage shows when messages are read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(|source| ReadError::File { path: path.to_owned(), source })?;
        let options = LinearReaderOptions::default().with_record_length_limit(RECORD_LIMIT);
        Ok(Self {
            path: path.to_owned(),
            file,
            reader: LinearReader::new_with_options(options),
            schemas: BTreeMap::new(),
            by_id: BTreeMap::new(),
            channels: Vec::new(),
            cut: false,
            ended: false,
        })
    }

    /// The topics seen so far.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Whether the file ended before its end mark.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// The next message; `None` at the end, or at the cut.
    ///
    /// # Errors
    /// [`ReadError`] if the file cannot be read or is no MCAP file.
    pub fn next_message(&mut self) -> Result<Option<Message>, ReadError> {
        while !self.ended {
            let Some(event) = self.reader.next_event() else { break };
            let record = match event {
                Ok(LinearReadEvent::ReadRequest(need)) => {
                    let read = self
                        .file
                        .read(self.reader.insert(need))
                        .map_err(|source| ReadError::File { path: self.path.clone(), source })?;
                    self.reader.notify_read(read);
                    continue;
                }
                Ok(LinearReadEvent::Record { data, opcode }) => mcap::parse_record(opcode, data),
                Err(mcap::McapError::UnexpectedEof) if !self.channels.is_empty() => {
                    self.cut = true;
                    break;
                }
                Err(source) => return Err(self.damaged(source)),
            };
            match record {
                Ok(Record::Schema { header, .. }) => {
                    self.schemas.insert(header.id, header.name);
                }
                Ok(Record::Channel(channel)) => {
                    let message_type = self.schemas.get(&channel.schema_id).cloned().unwrap_or_default();
                    if let std::collections::btree_map::Entry::Vacant(entry) = self.by_id.entry(channel.id) {
                        entry.insert(self.channels.len());
                        let encoding = channel.message_encoding;
                        self.channels.push(Channel { topic: channel.topic, message_type, encoding });
                    }
                }
                Ok(Record::Message { header, data }) => {
                    // A message of a channel that was never announced is damage of that message alone.
                    if let Some(channel) = self.by_id.get(&header.channel_id) {
                        return Ok(Some(Message { channel: *channel, log_time_ns: header.log_time, data: data.into_owned() }));
                    }
                }
                Ok(Record::DataEnd(_)) => break,
                Ok(_) => {}
                Err(source) => {
                    let source = source;
                    return Err(self.damaged(source));
                }
            }
        }
        self.ended = true;
        Ok(None)
    }

    fn damaged(&self, source: mcap::McapError) -> ReadError {
        ReadError::Damaged { path: self.path.clone(), source }
    }
}

/// The topics of a recording, read through to its end, and whether it was cut off.
///
/// # Errors
/// As [`Recording::next_message`].
pub fn survey(path: &Path) -> Result<(Vec<Channel>, bool), ReadError> {
    let mut recording = Recording::open(path)?;
    while recording.next_message()?.is_some() {}
    Ok((recording.channels.clone(), recording.cut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Writes `count` messages of 1 kB, a chunk each second, with the `mcap` crate's own writer.
    fn write(path: &Path, count: u64) {
        let mut writer = mcap::Writer::new(std::io::BufWriter::new(File::create(path).unwrap())).unwrap();
        let schema = writer.add_schema("std_msgs/msg/String", "ros2msg", b"string data").unwrap();
        let channel = writer.add_channel(schema, "/chatter", "cdr", &BTreeMap::new()).unwrap();
        for i in 0..count {
            let header =
                mcap::records::MessageHeader { channel_id: channel, sequence: i as u32, log_time: i * 100, publish_time: 0 };
            writer.write_to_known_channel(&header, &vec![i as u8; 1000]).unwrap();
            if i % 10 == 9 {
                writer.flush().unwrap();
            }
        }
        writer.finish().unwrap();
    }

    fn read(path: &Path) -> (Vec<Message>, bool) {
        let mut recording = Recording::open(path).unwrap();
        let mut messages = Vec::new();
        while let Some(message) = recording.next_message().unwrap() {
            messages.push(message);
        }
        (messages, recording.was_cut())
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        write(&path, 25);
        let (messages, cut) = read(&path);
        assert!(!cut);
        assert_eq!(messages.len(), 25);
        assert_eq!((messages[24].log_time_ns, messages[24].data.as_slice()), (2400, [24; 1000].as_slice()));
        let channel = Channel { topic: "/chatter".into(), message_type: "std_msgs/msg/String".into(), encoding: "cdr".into() };
        assert_eq!(survey(&path).unwrap(), (vec![channel], false));
    }

    #[test]
    fn a_file_cut_anywhere_is_read_up_to_the_cut_or_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        write(&path, 30);
        let bytes = std::fs::read(&path).unwrap();
        let cut_path = folder.path().join("b.mcap");
        let mut most = 0;
        for length in (0..bytes.len()).step_by(97) {
            File::create(&cut_path).unwrap().write_all(&bytes[..length]).unwrap();
            let mut recording = Recording::open(&cut_path).unwrap();
            let mut count = 0;
            loop {
                match recording.next_message() {
                    Ok(Some(_)) => count += 1,
                    Ok(None) => break,
                    Err(error) => {
                        assert!(error.to_string().contains("no readable MCAP"), "{error}");
                        break;
                    }
                }
            }
            most = most.max(count);
        }
        assert!(most >= 20, "{most}");
    }

    #[test]
    fn garbage_and_nothing_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        std::fs::write(&path, b"this is no recording at all").unwrap();
        assert!(Recording::open(&path).unwrap().next_message().is_err());
        assert!(matches!(Recording::open(&folder.path().join("none")), Err(ReadError::File { .. })));
    }
}
