//! Making a bag whole again whose writer was killed or whose disk was full: what can be read is written anew with its index, and
//! `metadata.yaml` is rebuilt. A bag that is whole is left as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::file::{FileSummary, McapWriter, OpenError, TopicSummary, WriteError, WriterOptions, is_being_written};
use crate::metadata::Metadata;
use crate::qos;
use crate::reader::{Flaws, Item, ReadError, is_closed, scan};
use crate::survey::mcap_files;
use crate::writer::{merge, write_metadata};

/// Why a bag cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// It cannot be read at all.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new file cannot be begun.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A recorder is still at work.
    #[error("{} is being written; end its recorder first", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The new file cannot take the place of the old one.
    #[error("cannot replace {}: {source}", path.display())]
    Replace {
        /// The old file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What was done to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Messages in it.
    pub messages: u64,
    /// Whether it was written anew. Otherwise it was whole.
    pub rebuilt: bool,
    /// Whether it ended in the middle of a chunk: what that chunk held beyond the messages that were read is lost.
    pub cut: bool,
    /// Damaged records, most of them chunks, that were left out. The file as it was then lies beside it as `<name>.damaged`.
    pub damaged: u64,
    /// What was wrong with the first of them.
    pub damage: Option<String>,
    /// Attachments that were left out: a file that is written anew has none.
    pub attachments: u64,
    /// Nothing in it can be read: it holds not even its first chunk. It is left as it is, and not part of the bag.
    pub unreadable: Option<String>,
    /// Time of its last message, ns.
    pub last_ns: u64,
}

/// What was done to a bag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its files.
    pub files: Vec<FileReport>,
    /// Whether `metadata.yaml` was written.
    pub metadata_written: bool,
    /// What it says now.
    pub metadata: Metadata,
}

impl Recovered {
    /// Whether there was nothing to do.
    #[must_use]
    pub fn was_whole(&self) -> bool {
        !self.metadata_written && self.files.iter().all(|f| !f.rebuilt && f.unreadable.is_none())
    }
}

/// Makes a bag whole: a folder, or one `.mcap` file (then the other files of its folder and `metadata.yaml` are left alone).
///
/// Doing it twice changes nothing the second time. A file is replaced only when its new form is complete, and kept as `<name>.damaged` if
/// more was wrong with it than that it was cut off. A bag that is still being written is refused.
///
/// # Errors
/// [`RecoverError`]; the bag is then as it was.
pub fn recover(path: &Path) -> Result<Recovered, RecoverError> {
    let is_folder = std::fs::metadata(path).map_err(ReadError::file(path))?.is_dir();
    let files = if is_folder { mcap_files(path)? } else { vec![path.to_owned()] };
    if files.is_empty() {
        return Err(ReadError::Empty { path: path.to_owned() }.into());
    }
    if let Some(busy) = files.iter().find(|file| is_being_written(file)) {
        return Err(RecoverError::Busy { path: busy.clone() });
    }
    let mut reports = Vec::new();
    let mut held: Vec<(String, FileSummary)> = Vec::new();
    for file in &files {
        let (report, summary) = match one(file) {
            Ok(done) => done,
            // In a folder a file that holds nothing is no reason to give up the others.
            Err(RecoverError::Read(error @ ReadError::Damaged { .. })) if is_folder => {
                let report = FileReport {
                    path: file.clone(),
                    messages: 0,
                    rebuilt: false,
                    cut: true,
                    damaged: 0,
                    damage: None,
                    attachments: 0,
                    unreadable: Some(error.to_string()),
                    last_ns: 0,
                };
                reports.push(report);
                continue;
            }
            Err(error) => return Err(error),
        };
        reports.push(report);
        held.push((file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()), summary));
    }
    let mut metadata = Metadata { ros_distro: "jazzy".into(), ..merge(&held) };
    let mut metadata_written = false;
    if is_folder {
        let told = path.join("metadata.yaml");
        let before = std::fs::read_to_string(&told).ok().and_then(|text| Metadata::from_yaml(&text).ok());
        if let Some(before) = &before {
            metadata.custom.clone_from(&before.custom);
            metadata.ros_distro.clone_from(&before.ros_distro);
        }
        let agrees = before.is_some_and(|b| {
            b.messages == metadata.messages && b.paths == metadata.paths && b.topics.len() == metadata.topics.len()
        });
        if !agrees {
            write_metadata(&told, &metadata)?;
            metadata_written = true;
        }
    }
    Ok(Recovered { files: reports, metadata_written, metadata })
}

/// What a pass over a file found, and wrote if it was to.
struct Pass {
    held: FileSummary,
    flaws: Flaws,
    attachments: u64,
    failure: Option<WriteError>,
}

/// Reads a file, and copies it if there is a writer.
fn pass(path: &Path, mut writer: Option<&mut McapWriter>) -> Result<Pass, ReadError> {
    let mut held = FileSummary::default();
    let mut attachments = 0;
    let mut failure = None;
    // By channel: its place in `held`, and what it is in the copy.
    let mut channels: BTreeMap<u16, (usize, Option<(u16, usize)>)> = BTreeMap::new();
    let flaws = scan(path, |item| {
        // After a failure it is only counted.
        let writer = writer.as_deref_mut().filter(|_| failure.is_none());
        let done = match item {
            Item::Channel { channel, schema } => {
                let offered = channel.metadata.get("offered_qos_profiles").and_then(|text| qos::from_text(text).ok());
                let topic = TopicSummary {
                    topic: channel.topic.clone(),
                    message_type: schema.map_or_else(String::new, |s| s.name.clone()),
                    qos: offered.unwrap_or_default(),
                    type_hash: channel.metadata.get("topic_type_hash").cloned().unwrap_or_default(),
                    encoding: channel.message_encoding.clone(),
                    messages: 0,
                };
                let copy = writer.map(|writer| writer.copy_channel(&topic, schema, &channel.metadata)).transpose();
                held.topics.push(topic);
                copy.map(|copy| {
                    channels.insert(channel.id, (held.topics.len() - 1, copy));
                })
            }
            Item::Message { channel_id, header, data } => {
                let Some((place, copy)) = channels.get(&channel_id) else { return };
                if held.messages == 0 {
                    (held.first_ns, held.last_ns) = (header.log_time, header.log_time);
                }
                held.topics[*place].messages += 1;
                held.messages += 1;
                held.bytes += data.len() as u64;
                held.first_ns = held.first_ns.min(header.log_time);
                held.last_ns = held.last_ns.max(header.log_time);
                match (writer, copy) {
                    (Some(writer), Some(copy)) => {
                        writer.write_to(*copy, header.log_time, header.publish_time, header.sequence, data)
                    }
                    _ => Ok(()),
                }
            }
            // rosbag2's record is about the bag and written anew.
            Item::Metadata(record) if record.name != "rosbag2" => writer.map_or(Ok(()), |writer| writer.write_metadata(record)),
            Item::Metadata(_) => Ok(()),
            Item::Attachment => {
                attachments += 1;
                Ok(())
            }
        };
        if let Err(error) = done {
            failure = Some(error);
        }
    })?;
    Ok(Pass { held, flaws, attachments, failure })
}

/// Makes one file whole.
fn one(path: &Path) -> Result<(FileReport, FileSummary), RecoverError> {
    if is_closed(path)? {
        let found = pass(path, None)?;
        if !found.flaws.any() {
            return Ok((report(path, &found, false), found.held));
        }
    }
    let part = path.with_extension("mcap.recovering");
    let copied = copy(path, &part);
    if copied.is_err() {
        // A half-written copy is of no use; if it cannot be removed, the next try replaces it.
        let _ = std::fs::remove_file(&part);
    }
    let found = copied?;
    let replace = |source| RecoverError::Replace { path: path.to_owned(), source };
    if found.flaws.damaged > 0 {
        std::fs::rename(path, path.with_extension("mcap.damaged")).map_err(replace)?;
    }
    std::fs::rename(&part, path).map_err(replace)?;
    Ok((report(path, &found, true), found.held))
}

/// Writes what can be read of a file into another.
fn copy(path: &Path, part: &Path) -> Result<Pass, RecoverError> {
    let mut writer = McapWriter::create(part, WriterOptions::default())?;
    let mut found = pass(path, Some(&mut writer))?;
    if let Some(failure) = found.failure.take() {
        return Err(failure.into());
    }
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let metadata = Metadata { ros_distro: "jazzy".into(), ..merge(&[(name, found.held.clone())]) };
    writer.finish(Some(&metadata.to_inner_yaml()))?;
    Ok(found)
}

fn report(path: &Path, found: &Pass, rebuilt: bool) -> FileReport {
    FileReport {
        path: path.to_owned(),
        messages: found.held.messages,
        rebuilt,
        cut: found.flaws.cut,
        damaged: found.flaws.damaged,
        damage: found.flaws.first.clone(),
        attachments: found.attachments,
        unreadable: None,
        last_ns: found.held.last_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bag, BagOptions, BagReader, BagWriter, Channel, Naming, QosProfile};

    const QOS: [QosProfile; 1] = [QosProfile {
        depth: Some(3),
        reliable: true,
        transient_local: true,
        deadline: qos::Span::INFINITE,
        lifespan: qos::Span::INFINITE,
        liveliness: qos::Liveliness::Automatic,
        lease: qos::Span::INFINITE,
    }];

    fn channel(topic: &str) -> Channel<'_> {
        Channel { topic, message_type: "std_msgs/msg/String", definition: "string data", type_hash: "RIHS01_11", qos: &QOS }
    }

    /// A bag of ten seconds whose writer is gone without a word, split after five.
    fn killed(path: &Path) {
        let live = path.with_extension("live").join("bag");
        let mut writer = BagWriter::create(
            &live,
            Naming::Folder,
            BagOptions { split: crate::Split { bytes: 0, duration_ns: 5_000_000_000 }, ..BagOptions::default() },
        )
        .unwrap();
        for i in 0..100u64 {
            writer.write(&channel("/a"), i * 100_000_000, i, i as u32, &[i as u8; 100]).unwrap();
        }
        // What the operating system has at this moment.
        std::fs::create_dir(path).unwrap();
        for file in mcap_files(&live).unwrap() {
            std::fs::copy(&file, path.join(file.file_name().unwrap())).unwrap();
        }
        drop(writer);
        std::fs::remove_dir_all(path.with_extension("live")).unwrap();
    }

    fn times(path: &Path) -> Vec<u64> {
        let mut reader = BagReader::new(&Bag::open(path).unwrap(), 0);
        std::iter::from_fn(|| reader.next_message().unwrap().map(|m| m.log_ns / 100_000_000)).collect()
    }

    #[test]
    fn a_killed_bag_is_whole_again_but_for_its_last_second_and_twice_is_as_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        killed(&path);
        let found = recover(&path).unwrap();
        assert!(found.metadata_written && !found.was_whole());
        assert_eq!(found.files.iter().map(|f| f.rebuilt).collect::<Vec<_>>(), [false, true]);
        let read = times(&path);
        assert!(read.len() > 90, "{}", read.len());
        assert_eq!(read, (0..read.len() as u64).collect::<Vec<_>>());
        assert_eq!(found.metadata.messages, read.len() as u64);
        let bag = Bag::open(&path).unwrap();
        assert!(!bag.cut);
        assert_eq!((bag.channels[0].qos.as_slice(), bag.channels[0].type_hash.as_str()), (QOS.as_slice(), "RIHS01_11"));
        let bytes = || bag.files.iter().map(|f| std::fs::read(f).unwrap()).collect::<Vec<_>>();
        let before = bytes();
        let again = recover(&path).unwrap();
        assert!(again.was_whole());
        assert_eq!(bytes(), before);
        assert_eq!(again.metadata.topics, found.metadata.topics);
    }

    #[test]
    fn a_file_cut_anywhere_keeps_what_is_before_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        killed(&path);
        let whole = std::fs::read(path.join("bag_0.mcap")).unwrap();
        let file = folder.path().join("cut.mcap");
        let mut last = 0;
        for length in (0..whole.len()).step_by(61) {
            std::fs::write(&file, &whole[..length]).unwrap();
            match recover(&file) {
                Ok(report) => {
                    let read = times(&file);
                    assert_eq!(read, (0..report.metadata.messages).collect::<Vec<_>>());
                    assert!(report.metadata.messages >= last);
                    last = report.metadata.messages;
                    assert!(recover(&file).unwrap().was_whole() || read.is_empty());
                }
                Err(error) => assert!(error.to_string().contains("cut.mcap"), "{error}"),
            }
            assert!(!folder.path().join("cut.mcap.recovering").exists());
        }
        assert!(last >= 40, "{last}");
    }

    #[test]
    fn a_bag_that_is_being_written_is_refused_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let mut writer = BagWriter::create(&path, Naming::Folder, BagOptions::default()).unwrap();
        for i in 0..100u64 {
            writer.write(&channel("/a"), i * 100_000_000, i, i as u32, &[i as u8; 100]).unwrap();
        }
        for target in [path.clone(), path.join("bag_0.mcap")] {
            assert!(matches!(recover(&target), Err(RecoverError::Busy { .. })));
            let bag = Bag::open(&target).unwrap();
            assert!(bag.writing && crate::info::text(&bag).contains("still being written"));
        }
        writer.finish().unwrap();
        assert!(recover(&path).unwrap().was_whole());
        assert_eq!(times(&path), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_chunk_of_a_whole_file_is_left_out_and_the_old_file_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        let mut writer = BagWriter::create(&path, Naming::File, BagOptions::default()).unwrap();
        for i in 0..50u64 {
            writer.write(&channel("/a"), i * 100_000_000, i, i as u32, &[i as u8; 100]).unwrap();
        }
        writer.finish().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let chunk = crate::reader::summary(&path).unwrap().unwrap().chunk_indexes[2].clone();
        bytes[(chunk.chunk_start_offset + chunk.chunk_length - 10) as usize] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        let file = recover(&path).unwrap().files.remove(0);
        assert!(file.rebuilt && !file.cut && file.damaged == 1 && file.damage.is_some(), "{file:?}");
        let read = times(&path);
        assert!((40..50).contains(&read.len()) && read.first() == Some(&0) && read.last() == Some(&49), "{read:?}");
        assert_eq!(std::fs::read(folder.path().join("a.mcap.damaged")).unwrap(), bytes);
        assert!(recover(&path).unwrap().was_whole());
    }

    #[test]
    fn what_is_not_ros2msg_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        let mut writer = mcap::Writer::new(std::fs::File::create(&path).unwrap()).unwrap();
        let schema = writer.add_schema("pkg/msg/T", "ros2idl", b"module pkg {}").unwrap();
        let about: BTreeMap<String, String> = [("made_by".to_owned(), "somebody".to_owned())].into();
        let ids = [writer.add_channel(schema, "/idl", "cdr", &about), writer.add_channel(0, "/json", "json", &about)];
        for id in ids.map(Result::unwrap) {
            let header = mcap::records::MessageHeader { channel_id: id, sequence: 0, log_time: 5, publish_time: 5 };
            writer.write_to_known_channel(&header, b"{}..").unwrap();
        }
        writer.write_metadata(&mcap::records::Metadata { name: "notes".into(), metadata: about.clone() }).unwrap();
        let note =
            mcap::Attachment { log_time: 0, create_time: 0, name: "n".into(), media_type: "t".into(), data: (&b"x"[..]).into() };
        writer.attach(&note).unwrap();
        writer.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        let found = recover(&path).unwrap();
        assert_eq!((found.files[0].rebuilt, found.files[0].messages, found.files[0].attachments), (true, 2, 1));
        let bag = Bag::open(&path).unwrap();
        let told: Vec<_> =
            bag.channels.iter().map(|c| (c.topic.as_str(), c.schema_encoding.as_str(), c.encoding.as_str())).collect();
        assert_eq!(told, [("/idl", "ros2idl", "cdr"), ("/json", "", "json")]);
        let encodings: Vec<_> = found.metadata.topics.iter().map(|t| t.serialization_format.as_str()).collect();
        assert_eq!(encodings, ["cdr", "json"]);
        let mut notes = Vec::new();
        scan(&path, |item| match item {
            Item::Channel { channel, .. } => assert_eq!(channel.metadata, about),
            Item::Metadata(record) => notes.push(record.name.clone()),
            _ => {}
        })
        .unwrap();
        assert_eq!(notes, ["notes", "rosbag2"]);
    }

    #[test]
    fn a_closed_file_without_messages_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        BagWriter::create(&path, Naming::Folder, BagOptions::default()).unwrap().finish().unwrap();
        let before = std::fs::read(path.join("bag_0.mcap")).unwrap();
        assert!(recover(&path).unwrap().was_whole());
        assert_eq!(std::fs::read(path.join("bag_0.mcap")).unwrap(), before);
        assert_eq!(Bag::open(&path).unwrap().messages, 0);
    }

    #[test]
    fn a_file_that_holds_nothing_is_said_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        killed(&path);
        std::fs::write(path.join("bag_2.mcap"), b"").unwrap();
        let found = recover(&path).unwrap();
        assert!(found.files[2].unreadable.is_some());
        assert_eq!(found.metadata.paths, ["bag_0.mcap", "bag_1.mcap"]);
        assert!(matches!(recover(&folder.path().join("none")), Err(RecoverError::Read(ReadError::File { .. }))));
    }
}
