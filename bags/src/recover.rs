//! Making a bag whole again whose writer was killed or whose disk was full: what can be read is written anew with its index, and
//! `metadata.yaml` is rebuilt. A bag that is whole is left as it is.

use std::path::{Path, PathBuf};

use crate::file::{Channel, FileSummary, McapWriter, OpenError, TopicSummary, WriteError, WriterOptions};
use crate::metadata::Metadata;
use crate::qos;
use crate::reader::{Item, ReadError, scan, summary};
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
/// Doing it twice changes nothing the second time. A file is replaced only when its new form is complete.
///
/// # Errors
/// [`RecoverError`]; the bag is then as it was.
pub fn recover(path: &Path) -> Result<Recovered, RecoverError> {
    let is_folder = std::fs::metadata(path).map_err(ReadError::file(path))?.is_dir();
    let files = if is_folder { mcap_files(path)? } else { vec![path.to_owned()] };
    if files.is_empty() {
        return Err(ReadError::Empty { path: path.to_owned() }.into());
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
            write_metadata(path, &metadata)?;
            metadata_written = true;
        }
    }
    Ok(Recovered { files: reports, metadata_written, metadata })
}

/// Makes one file whole.
fn one(path: &Path) -> Result<(FileReport, FileSummary), RecoverError> {
    let whole = summary(path)?.is_some_and(|s| s.stats.is_some());
    let part = path.with_extension("mcap.recovering");
    let mut writer = if whole { None } else { Some(McapWriter::create(&part, WriterOptions::default())?) };
    let mut channels = std::collections::BTreeMap::new();
    let mut held = FileSummary::default();
    let mut failure = None;
    let scanned = scan(path, |item| match item {
        Item::Channel { channel, schema } => {
            let (name, definition) = schema
                .map_or((String::new(), String::new()), |s| (s.name.clone(), String::from_utf8_lossy(&s.text).into_owned()));
            let offered = channel.metadata.get("offered_qos_profiles").and_then(|text| qos::from_text(text).ok());
            let topic = TopicSummary {
                topic: channel.topic.clone(),
                message_type: name,
                qos: offered.unwrap_or_default(),
                type_hash: channel.metadata.get("topic_type_hash").cloned().unwrap_or_default(),
                messages: 0,
            };
            channels.insert(channel.id, (held.topics.len(), definition));
            held.topics.push(topic);
        }
        Item::Message { channel_id, header, data } => {
            let Some((place, definition)) = channels.get(&channel_id) else { return };
            let topic = &mut held.topics[*place];
            if held.messages == 0 {
                (held.first_ns, held.last_ns) = (header.log_time, header.log_time);
            }
            topic.messages += 1;
            held.messages += 1;
            held.bytes += data.len() as u64;
            held.first_ns = held.first_ns.min(header.log_time);
            held.last_ns = held.last_ns.max(header.log_time);
            if let (Some(writer), None) = (&mut writer, &failure) {
                let channel = Channel {
                    topic: &topic.topic,
                    message_type: &topic.message_type,
                    definition,
                    type_hash: &topic.type_hash,
                    qos: &topic.qos,
                };
                failure = writer.write(&channel, header.log_time, header.publish_time, header.sequence, data).err();
            }
        }
    });
    let cut = match (scanned, failure) {
        (Ok(cut), None) => cut,
        (scanned, failure) => {
            drop(writer);
            if !whole {
                // A half-written copy is of no use; if it cannot be removed, the next try replaces it.
                let _ = std::fs::remove_file(&part);
            }
            return Err(match (scanned, failure) {
                (_, Some(failure)) => failure.into(),
                (Err(error), None) => error.into(),
                (Ok(_), None) => return Err(ReadError::Empty { path: path.to_owned() }.into()),
            });
        }
    };
    if let Some(writer) = writer {
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let metadata = Metadata { ros_distro: "jazzy".into(), ..merge(&[(name, held.clone())]) };
        writer.finish(Some(&metadata.to_inner_yaml()))?;
        std::fs::rename(&part, path).map_err(|source| RecoverError::Replace { path: path.to_owned(), source })?;
    }
    let report = FileReport {
        path: path.to_owned(),
        messages: held.messages,
        rebuilt: !whole,
        cut,
        unreadable: None,
        last_ns: held.last_ns,
    };
    Ok((report, held))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bag, BagOptions, BagReader, BagWriter, Naming, QosProfile};

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
        let mut writer = BagWriter::create(
            path,
            Naming::Folder,
            BagOptions { split: crate::Split { bytes: 0, duration_ns: 5_000_000_000 }, ..BagOptions::default() },
        )
        .unwrap();
        for i in 0..100u64 {
            writer.write(&channel("/a"), i * 100_000_000, i, i as u32, &[i as u8; 100]).unwrap();
        }
        std::mem::forget(writer);
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
