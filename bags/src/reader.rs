//! Reading the messages of a bag in the order of time, with bounded memory. Specification: <https://mcap.dev/spec>.
//!
//! A file with an index is read through it, which also allows a start in the middle. One without, because its writer was killed or
//! the disk was full, is read front to back up to the cut; what is damaged on the way is left out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mcap::records::Record;
use mcap::sans_io::indexed_reader::{IndexedReadEvent, IndexedReader, IndexedReaderOptions, ReadOrder};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};
use mcap::sans_io::summary_reader::{SummaryReadEvent, SummaryReader, SummaryReaderOptions};

use crate::survey::{Bag, hash_of};

/// No record of a robot is larger; a length above it is damage, not data. Bytes.
const RECORD_LIMIT: usize = 256 << 20;

/// Why a bag cannot be read.
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
    /// Its `metadata.yaml` cannot be used.
    #[error("{}: {source}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: crate::MetadataError,
    },
    /// It is of a kind that is not read.
    #[error("{}: {what}", path.display())]
    Unsupported {
        /// The bag.
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
    /// The folder holds no bag.
    #[error("{} holds no metadata.yaml and no .mcap file", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

impl ReadError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::File { path: path.to_owned(), source }
    }
    pub(crate) fn damaged(path: &Path) -> impl FnOnce(mcap::McapError) -> Self + '_ {
        |source| Self::Damaged { path: path.to_owned(), source }
    }
}

/// A message of a bag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Index into [`Bag::channels`].
    pub channel: usize,
    /// When it was recorded, in nanoseconds of the recording's clock.
    pub log_ns: u64,
    /// When it was published.
    pub publish_ns: u64,
    /// Serialised, with the encapsulation header.
    pub data: Vec<u8>,
}

/// What one file yields.
pub(crate) enum Item<'a> {
    Channel { channel: &'a mcap::records::Channel, schema: Option<&'a SchemaText> },
    Message { channel_id: u16, header: mcap::records::MessageHeader, data: &'a [u8] },
    Metadata(&'a mcap::records::Metadata),
    Attachment,
}

/// What is wrong with a file that could be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flaws {
    /// It ends in the middle of a record, or without its end mark.
    pub cut: bool,
    /// Records that could not be read, most of them chunks.
    pub damaged: u64,
    /// What was wrong with the first of them.
    pub first: Option<String>,
}

impl Flaws {
    pub fn any(&self) -> bool {
        self.cut || self.damaged > 0
    }
}

/// A schema of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SchemaText {
    pub name: String,
    pub encoding: String,
    pub text: Vec<u8>,
}

/// Reads a file front to back and calls `each` for what it holds; what is wrong with it.
pub(crate) fn scan(path: &Path, mut each: impl FnMut(Item<'_>)) -> Result<Flaws, ReadError> {
    let mut linear = Linear::open(path)?;
    while let Some(found) = linear.next()? {
        match found {
            Found::Channel(id) => {
                if let Some((channel, schema)) = linear.channels.get(&id) {
                    each(Item::Channel { channel, schema: schema.as_ref() });
                }
            }
            Found::Message(header, data) => each(Item::Message { channel_id: header.channel_id, header, data: &data }),
            Found::Metadata(record) => each(Item::Metadata(&record)),
            Found::Attachment => each(Item::Attachment),
        }
    }
    Ok(linear.flaws)
}

enum Found {
    Channel(u16),
    Message(mcap::records::MessageHeader, Vec<u8>),
    Metadata(mcap::records::Metadata),
    Attachment,
}

/// A file read front to back.
struct Linear {
    path: PathBuf,
    file: File,
    reader: LinearReader,
    schemas: BTreeMap<u16, SchemaText>,
    channels: BTreeMap<u16, (mcap::records::Channel, Option<SchemaText>)>,
    flaws: Flaws,
    ended: bool,
    size: u64,
    /// How far the file has been given to the reader.
    position: u64,
    /// Where the record that is being given ends.
    record_end: u64,
}

/// A record's opcode and length.
const RECORD_HEADER: u64 = 9;

impl Linear {
    fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(ReadError::file(path))?;
        let size = file.metadata().map_err(ReadError::file(path))?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            reader: LinearReader::new_with_options(Self::options()),
            schemas: BTreeMap::new(),
            channels: BTreeMap::new(),
            flaws: Flaws::default(),
            ended: false,
            size,
            position: 0,
            // The magic is given like a record.
            record_end: mcap::MAGIC.len() as u64,
        })
    }

    /// A chunk is checked before its messages are given out.
    fn options() -> LinearReaderOptions {
        LinearReaderOptions::default().with_record_length_limit(RECORD_LIMIT).with_prevalidate_chunk_crcs(true)
    }

    /// Gives the reader what it asks for, but nothing beyond the present record: so it is known where a damaged one ends.
    fn feed(&mut self, need: usize) -> std::io::Result<()> {
        if self.position == self.record_end {
            // With a chunk's header as far as its uncompressed size.
            let mut header = Vec::with_capacity(33);
            (&self.file).take(33).read_to_end(&mut header)?;
            self.file.seek(SeekFrom::Start(self.position))?;
            let number = |at: usize| header.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
            self.record_end = self.position.saturating_add(RECORD_HEADER).saturating_add(number(1).unwrap_or(0));
            // The last chunk of a file that was cut off is read as far as it goes, and a giant one piece by piece.
            let limit = RECORD_LIMIT as u64;
            let whole = self.record_end <= self.size && self.record_end - self.position <= limit;
            if header.first() == Some(&mcap::records::op::CHUNK) && (!whole || number(25).is_some_and(|size| size > limit)) {
                let options = Self::options().with_prevalidate_chunk_crcs(false).with_skip_start_magic(true);
                self.reader = LinearReader::new_with_options(options);
            }
        }
        let left = usize::try_from(self.record_end - self.position).unwrap_or(usize::MAX);
        let read = self.file.read(self.reader.insert(need.min(left)))?;
        self.reader.notify_read(read);
        self.position += read as u64;
        Ok(())
    }

    /// What could not be read is left out, if it is known where the next record begins; otherwise the file is over. Before the first channel
    /// nothing says that it is a recording at all.
    fn step_over(&mut self, source: mcap::McapError) -> Result<(), ReadError> {
        if self.channels.is_empty() {
            return Err(ReadError::damaged(&self.path)(source));
        }
        if self.record_end > self.size {
            self.flaws.cut = true;
            self.ended = true;
            return Ok(());
        }
        self.flaws.damaged += 1;
        self.flaws.first.get_or_insert_with(|| source.to_string());
        self.position = self.record_end;
        let mut opcode = [0];
        let found = self.file.seek(SeekFrom::Start(self.position)).and_then(|_| self.file.read(&mut opcode));
        // The specification's opcodes: anything else is no record's beginning.
        if found.map_err(ReadError::file(&self.path))? == 0 || !(0x01..=0x0F).contains(&opcode[0]) {
            self.flaws.cut = true;
            self.ended = true;
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(self.position)).map_err(ReadError::file(&self.path))?;
        self.reader = LinearReader::new_with_options(Self::options().with_skip_start_magic(true));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Found>, ReadError> {
        while !self.ended {
            let Some(event) = self.reader.next_event() else { break };
            let record = match event {
                Ok(LinearReadEvent::ReadRequest(need)) => {
                    self.feed(need).map_err(ReadError::file(&self.path))?;
                    continue;
                }
                Ok(LinearReadEvent::Record { data, opcode }) => mcap::parse_record(opcode, data).map(Record::into_owned),
                Err(source) => Err(source),
            };
            let record = match record {
                Ok(record) => record,
                Err(source) => {
                    self.step_over(source)?;
                    continue;
                }
            };
            match record {
                Record::Schema { header, data } => {
                    let text = SchemaText { name: header.name, encoding: header.encoding, text: data.into_owned() };
                    self.schemas.insert(header.id, text);
                }
                Record::Channel(channel) => {
                    let (id, schema) = (channel.id, self.schemas.get(&channel.schema_id).cloned());
                    if self.channels.insert(id, (channel, schema)).is_none() {
                        return Ok(Some(Found::Channel(id)));
                    }
                }
                // A message of a channel that was never announced is damage of that message alone.
                Record::Message { header, data } if self.channels.contains_key(&header.channel_id) => {
                    return Ok(Some(Found::Message(header, data.into_owned())));
                }
                Record::Metadata(record) => return Ok(Some(Found::Metadata(record))),
                Record::Attachment { .. } => return Ok(Some(Found::Attachment)),
                Record::DataEnd(_) => break,
                _ => {}
            }
        }
        self.ended = true;
        Ok(None)
    }
}

/// The summary of a file by which its messages are found; `None` if it has none, as when its writer was killed.
pub(crate) fn summary(path: &Path) -> Result<Option<mcap::Summary>, ReadError> {
    Ok(footing(path)?.filter(|summary| !summary.chunk_indexes.is_empty() && !summary.channels.is_empty()))
}

/// Whether a file was closed: its end mark and its statistics are there.
pub(crate) fn is_closed(path: &Path) -> Result<bool, ReadError> {
    Ok(footing(path)?.is_some_and(|summary| summary.stats.is_some()))
}

fn footing(path: &Path) -> Result<Option<mcap::Summary>, ReadError> {
    let mut file = File::open(path).map_err(ReadError::file(path))?;
    let size = file.metadata().map_err(ReadError::file(path))?.len();
    let options = SummaryReaderOptions::default().with_file_size(size).with_record_length_limit(RECORD_LIMIT);
    let mut reader = SummaryReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event {
            Ok(SummaryReadEvent::ReadRequest(need)) => {
                let read = file.read(reader.insert(need)).map_err(ReadError::file(path))?;
                reader.notify_read(read);
            }
            // A seek before the beginning of a file that is too short.
            Ok(SummaryReadEvent::SeekRequest(to)) => match file.seek(to) {
                Ok(position) => reader.notify_seeked(position),
                Err(_) => return Ok(None),
            },
            // What has no end that can be read is read front to back, and damage shows there.
            Err(_) => return Ok(None),
        }
    }
    Ok(reader.finish())
}

pub(crate) struct Indexed {
    path: PathBuf,
    file: File,
    reader: IndexedReader,
    buffer: Vec<u8>,
}

impl Indexed {
    fn open(path: &Path, summary: &mcap::Summary, from_ns: u64) -> Result<Self, ReadError> {
        Self::open_with(path, summary, IndexedReaderOptions::new().with_order(ReadOrder::LogTime).starting_at(from_ns))
    }

    pub fn open_with(path: &Path, summary: &mcap::Summary, options: IndexedReaderOptions) -> Result<Self, ReadError> {
        let options = options.with_record_length_limit(RECORD_LIMIT);
        let reader = IndexedReader::new_with_options(summary, options).map_err(ReadError::damaged(path))?;
        let file = File::open(path).map_err(ReadError::file(path))?;
        Ok(Self { path: path.to_owned(), file, reader, buffer: Vec::new() })
    }

    pub fn next(&mut self) -> Result<Option<(mcap::records::MessageHeader, Vec<u8>)>, ReadError> {
        while let Some(event) = self.reader.next_event() {
            match event.map_err(ReadError::damaged(&self.path))? {
                IndexedReadEvent::ReadChunkRequest { offset, length } => {
                    // Not more than the file has: an index may lie.
                    let size = self.file.metadata().map_err(ReadError::file(&self.path))?.len();
                    if offset.saturating_add(length as u64) > size {
                        return Err(ReadError::damaged(&self.path)(mcap::McapError::UnexpectedEof));
                    }
                    self.buffer.resize(length, 0);
                    let filled = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut self.buffer));
                    filled.map_err(ReadError::file(&self.path))?;
                    self.reader.insert_chunk_record_data(offset, &self.buffer).map_err(ReadError::damaged(&self.path))?;
                }
                IndexedReadEvent::Message { header, data } => return Ok(Some((header, data.to_vec()))),
            }
        }
        Ok(None)
    }
}

enum Source {
    Linear(Box<Linear>),
    Indexed(Box<Indexed>),
}

/// The messages of a bag, file by file.
pub struct BagReader {
    bag: Bag,
    from_ns: u64,
    /// The file that comes next.
    next_file: usize,
    current: Option<Source>,
    /// Channel identities of the present file to places in [`Bag::channels`].
    places: BTreeMap<u16, usize>,
    cut: bool,
}

impl BagReader {
    /// Reads from the message at `from_ns` or the first one after it.
    #[must_use]
    pub fn new(bag: &Bag, from_ns: u64) -> Self {
        Self { bag: bag.clone(), from_ns, next_file: 0, current: None, places: BTreeMap::new(), cut: false }
    }

    /// Whether a file ended before its end mark, or had to be read around damage.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    fn open_next(&mut self) -> Result<bool, ReadError> {
        let Some(path) = self.bag.files.get(self.next_file).cloned() else { return Ok(false) };
        self.next_file += 1;
        self.places.clear();
        self.current = Some(match summary(&path)? {
            Some(summary) => {
                for (id, channel) in &summary.channels {
                    let schema = channel.schema.as_ref().map_or("", |s| s.name.as_str());
                    if let Some(place) = self.bag.place(&channel.topic, schema, hash_of(&channel.metadata)) {
                        self.places.insert(*id, place);
                    }
                }
                Source::Indexed(Box::new(Indexed::open(&path, &summary, self.from_ns)?))
            }
            None => Source::Linear(Box::new(Linear::open(&path)?)),
        });
        Ok(true)
    }

    /// The next message; `None` at the end. A file that was cut off is over at the cut.
    ///
    /// # Errors
    /// [`ReadError`] if a file cannot be read or is no MCAP file.
    pub fn next_message(&mut self) -> Result<Option<Recorded>, ReadError> {
        loop {
            let found = match &mut self.current {
                None => None,
                Some(Source::Indexed(indexed)) => indexed.next()?,
                Some(Source::Linear(linear)) => loop {
                    match linear.next()? {
                        None => {
                            self.cut |= linear.flaws.any();
                            break None;
                        }
                        Some(Found::Channel(id)) => {
                            if let Some((channel, schema)) = linear.channels.get(&id) {
                                let schema = schema.as_ref().map_or("", |s| s.name.as_str());
                                if let Some(place) = self.bag.place(&channel.topic, schema, hash_of(&channel.metadata)) {
                                    self.places.insert(id, place);
                                }
                            }
                        }
                        Some(Found::Message(header, data)) if header.log_time >= self.from_ns => break Some((header, data)),
                        Some(Found::Message(..) | Found::Metadata(_) | Found::Attachment) => {}
                    }
                },
            };
            match found {
                Some((header, data)) => {
                    if let Some(channel) = self.places.get(&header.channel_id) {
                        return Ok(Some(Recorded {
                            channel: *channel,
                            log_ns: header.log_time,
                            publish_ns: header.publish_time,
                            data,
                        }));
                    }
                }
                None => {
                    self.current = None;
                    if !self.open_next()? {
                        return Ok(None);
                    }
                }
            }
        }
    }
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
                mcap::records::MessageHeader { channel_id: channel, sequence: i as u32, log_time: i * 100, publish_time: i };
            writer.write_to_known_channel(&header, &vec![i as u8; 1000]).unwrap();
            if i % 10 == 9 {
                writer.flush().unwrap();
            }
        }
        writer.finish().unwrap();
    }

    fn read(path: &Path, from_ns: u64) -> (Vec<Recorded>, bool) {
        let mut reader = BagReader::new(&Bag::open(path).unwrap(), from_ns);
        let mut messages = Vec::new();
        while let Some(message) = reader.next_message().unwrap() {
            messages.push(message);
        }
        (messages, reader.was_cut())
    }

    #[test]
    fn what_was_written_is_read_also_from_the_middle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        write(&path, 25);
        let (messages, cut) = read(&path, 0);
        assert!(!cut);
        assert_eq!(messages.len(), 25);
        assert_eq!(
            (messages[24].log_ns, messages[24].publish_ns, messages[24].data.as_slice()),
            (2400, 24, [24; 1000].as_slice())
        );
        assert_eq!(read(&path, 1250).0, messages[13..]);
        let bag = Bag::open(&path).unwrap();
        assert_eq!((bag.messages, bag.start_ns, bag.end_ns, bag.cut), (25, 0, 2400, false));
        assert_eq!(bag.channels[0].topic, "/chatter");
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
            let mut count = 0;
            let bag = match Bag::open(&cut_path) {
                Ok(bag) => bag,
                Err(error) => {
                    assert!(error.to_string().contains("no readable MCAP"), "{error}");
                    continue;
                }
            };
            let mut reader = BagReader::new(&bag, 0);
            while reader.next_message().unwrap().is_some() {
                count += 1;
            }
            assert_eq!(count, bag.messages);
            most = most.max(count);
        }
        assert!(most >= 20, "{most}");
    }

    #[test]
    fn a_damaged_chunk_costs_its_own_messages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        write(&path, 50);
        let mut bytes = std::fs::read(&path).unwrap();
        // Its end is gone, so that it is read front to back; its third chunk is damaged.
        let chunks = summary(&path).unwrap().unwrap().chunk_indexes;
        let end = chunks.last().map(|c| c.chunk_start_offset + c.chunk_length).unwrap();
        bytes.truncate(end as usize);
        bytes[(chunks[2].chunk_start_offset + chunks[2].chunk_length - 20) as usize] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let (messages, cut) = read(&path, 0);
        assert!(cut);
        let times: Vec<u64> = messages.iter().map(|m| m.log_ns / 100).collect();
        assert_eq!(times, (0..20).chain(30..50).collect::<Vec<_>>());
        let flaws = scan(&path, |_| {}).unwrap();
        assert_eq!((flaws.cut, flaws.damaged, flaws.first.is_some()), (true, 1, true));
        // Damage that hides where the next record begins ends the file there.
        let at = chunks[3].chunk_start_offset as usize;
        bytes[at + 1] ^= 0x04;
        std::fs::write(&path, &bytes).unwrap();
        let (messages, cut) = read(&path, 0);
        assert!(cut && messages.len() <= 30, "{}", messages.len());
    }

    #[test]
    fn garbage_and_nothing_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        std::fs::write(&path, b"this is no recording at all").unwrap();
        assert!(Bag::open(&path).is_err());
        assert!(matches!(Bag::open(&folder.path().join("none")), Err(ReadError::File { .. })));
    }

    #[test]
    fn messages_of_one_moment_keep_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        let mut writer = mcap::Writer::new(std::io::BufWriter::new(File::create(&path).unwrap())).unwrap();
        let schema = writer.add_schema("std_msgs/msg/String", "ros2msg", b"string data").unwrap();
        let ids = ["/a", "/b"].map(|topic| writer.add_channel(schema, topic, "cdr", &BTreeMap::new()).unwrap());
        for i in 0..2000u32 {
            let header = mcap::records::MessageHeader {
                channel_id: ids[(i % 2) as usize],
                sequence: i,
                log_time: u64::from(i / 50),
                publish_time: 0,
            };
            writer.write_to_known_channel(&header, &i.to_le_bytes()).unwrap();
            if i % 333 == 0 {
                writer.flush().unwrap();
            }
        }
        writer.finish().unwrap();
        let numbers: Vec<u32> =
            read(&path, 0).0.iter().map(|m| u32::from_le_bytes(m.data.as_slice().try_into().unwrap())).collect();
        assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
    }
}
