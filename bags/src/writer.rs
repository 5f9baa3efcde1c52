//! Writing a bag: files that are split by size and time, and the `metadata.yaml` that belongs to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::file::{Channel, FileSummary, McapWriter, OpenError, WriteError, WriterOptions};
use crate::metadata::{FileInfo, Metadata, TopicInfo, VERSION};
use crate::qos::QosProfile;

/// When the next file begins. Zero: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Bytes of a file. A file ends with the chunk that reaches it.
    pub bytes: u64,
    /// Message time of a file, ns.
    pub duration_ns: u64,
}

/// How to write a bag.
#[derive(Clone, Debug)]
pub struct BagOptions {
    /// How to write its files.
    pub file: WriterOptions,
    /// When the next file begins.
    pub split: Split,
    /// Size of all files at which no further message is taken, bytes before compression; 0: none.
    pub limit_bytes: u64,
    /// Words for `custom_data`.
    pub custom: BTreeMap<String, String>,
    /// What `ros_distro` says.
    pub ros_distro: String,
}

impl Default for BagOptions {
    fn default() -> Self {
        Self {
            file: WriterOptions::default(),
            split: Split::default(),
            limit_bytes: 0,
            custom: BTreeMap::new(),
            // The newest one whose wire and hashes are spoken.
            ros_distro: "jazzy".into(),
        }
    }
}

/// How the files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// As rosbag2: the path is a folder, its files are `<folder>_0.mcap`, `<folder>_1.mcap`, ...
    Folder,
    /// The path is the first file; the next are `<stem>_1.mcap`, ... beside it. If another recording's `metadata.yaml` lies there, this one's is
    /// `<stem>.metadata.yaml`.
    File,
}

/// A bag that is being written.
pub struct BagWriter {
    folder: PathBuf,
    stem: String,
    naming: Naming,
    options: BagOptions,
    current: Option<McapWriter>,
    names: Vec<String>,
    done: Vec<(String, FileSummary)>,
    /// Quality of service as a topic's first message had it.
    offers: BTreeMap<String, Vec<QosProfile>>,
    dropped: BTreeMap<&'static str, u64>,
    bytes: u64,
}

impl BagWriter {
    /// Makes the folder and the first file. Nothing is overwritten: with [`Naming::Folder`] the folder must be new.
    ///
    /// # Errors
    /// [`OpenError`], naming the path.
    pub fn create(path: &Path, naming: Naming, options: BagOptions) -> Result<Self, OpenError> {
        let stem = match naming {
            Naming::Folder => path.file_name(),
            Naming::File => path.file_stem(),
        };
        let stem = stem.map_or_else(|| "recording".to_owned(), |s| s.to_string_lossy().into_owned());
        let folder = match naming {
            Naming::Folder => {
                let exists = || std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it is there already");
                if path.exists() {
                    return Err(OpenError::Folder { path: path.to_owned(), source: exists() });
                }
                path.to_owned()
            }
            Naming::File => path.parent().map_or_else(PathBuf::new, Path::to_path_buf),
        };
        let mut writer = Self {
            folder,
            stem,
            naming,
            options,
            current: None,
            names: Vec::new(),
            done: Vec::new(),
            offers: BTreeMap::new(),
            dropped: BTreeMap::new(),
            bytes: 0,
        };
        writer.next_file()?;
        Ok(writer)
    }

    fn next_file(&mut self) -> Result<(), OpenError> {
        // With file naming an older recording's `<stem>_1` may lie there: it is not overwritten.
        let mut number = self.names.len();
        let name = loop {
            let name = match (self.naming, number) {
                (Naming::File, 0) => format!("{}.mcap", self.stem),
                _ => format!("{}_{number}.mcap", self.stem),
            };
            if number == 0 || !self.folder.join(&name).exists() {
                break name;
            }
            number += 1;
        };
        let mut options = self.options.file;
        if self.options.split.bytes > 0 {
            // A chunk is the step in which a file grows.
            options.chunk_bytes = options.chunk_bytes.min((self.options.split.bytes / 4).max(1024));
        }
        self.current = Some(McapWriter::create(&self.folder.join(&name), options)?);
        self.names.push(name);
        Ok(())
    }

    /// The file that is being written.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.names.last().map_or("", String::as_str))
    }

    /// Writes one message; times in ns since the epoch of the recorder's clock. If it begins a new file, the path of the one that was
    /// closed is returned.
    ///
    /// # Errors
    /// [`WriteError::Full`] at the size limit, others when the disk refuses.
    pub fn write(
        &mut self,
        channel: &Channel<'_>,
        log_ns: u64,
        publish_ns: u64,
        sequence: u32,
        cdr: &[u8],
    ) -> Result<Option<PathBuf>, WriteError> {
        self.check_limit(cdr)?;
        let closed = if self.is_split_due(log_ns) { Some(self.split()?) } else { None };
        self.write_late(channel, log_ns, publish_ns, sequence, cdr)?;
        Ok(closed)
    }

    fn check_limit(&self, cdr: &[u8]) -> Result<(), WriteError> {
        let limit_bytes = self.options.limit_bytes;
        if limit_bytes > 0 && self.bytes + cdr.len() as u64 > limit_bytes {
            return Err(WriteError::Full { limit_bytes });
        }
        Ok(())
    }

    /// As [`BagWriter::write`], of a message that had to wait: its time, which is past, begins no new file.
    ///
    /// # Errors
    /// As [`BagWriter::write`].
    pub fn write_late(
        &mut self,
        channel: &Channel<'_>,
        log_ns: u64,
        publish_ns: u64,
        sequence: u32,
        cdr: &[u8],
    ) -> Result<(), WriteError> {
        self.check_limit(cdr)?;
        let offers = self.offers.entry(channel.topic.to_owned()).or_insert_with(|| channel.qos.to_vec());
        if let Some(file) = &mut self.current {
            file.write(&Channel { qos: offers, ..*channel }, log_ns, publish_ns, sequence, cdr)?;
            self.bytes += cdr.len() as u64;
        }
        Ok(())
    }

    fn is_split_due(&self, log_ns: u64) -> bool {
        let Some(file) = self.current.as_ref().filter(|file| file.summary().messages > 0) else { return false };
        let split = self.options.split;
        // As far before the file's first message as after it: a clock that was set back.
        let old = split.duration_ns > 0 && log_ns.abs_diff(file.summary().first_ns) >= split.duration_ns;
        old || (split.bytes > 0 && file.size() >= split.bytes)
    }

    /// Closes the present file and begins the next; the path of the one that was closed.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn split(&mut self) -> Result<PathBuf, WriteError> {
        let closed = self.path();
        self.close_file()?;
        self.next_file()?;
        Ok(closed)
    }

    fn close_file(&mut self) -> Result<(), WriteError> {
        let Some(file) = self.current.take() else { return Ok(()) };
        let name = self.names.last().cloned().unwrap_or_default();
        // As rosbag2: every file knows what the bag held when it was closed.
        let mut files = self.done.clone();
        files.push((name.clone(), file.summary().clone()));
        let metadata = self.metadata_of(&files).to_inner_yaml();
        let summary = file.finish(Some(&metadata))?;
        self.done.push((name, summary));
        Ok(())
    }

    /// Gives what is older than the flush interval to the operating system.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn flush_due(&mut self, now_ns: u64) -> Result<(), WriteError> {
        self.current.as_mut().map_or(Ok(()), |file| file.flush_due(now_ns))
    }

    /// Counts messages that were not written, and why.
    pub fn drop_messages(&mut self, why: &'static str, count: u64) {
        if count > 0 {
            *self.dropped.entry(why).or_default() += count;
        }
    }

    /// Messages that were not written, by reason.
    #[must_use]
    pub fn dropped(&self) -> &BTreeMap<&'static str, u64> {
        &self.dropped
    }

    /// What the bag holds so far.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let mut files = self.done.clone();
        if let (Some(file), Some(name)) = (&self.current, self.names.last()) {
            files.push((name.clone(), file.summary().clone()));
        }
        self.metadata_of(&files)
    }

    fn metadata_of(&self, files: &[(String, FileSummary)]) -> Metadata {
        let mut custom = self.options.custom.clone();
        for (why, count) in &self.dropped {
            custom.insert(format!("omnimind.dropped.{}", why.replace(' ', "_")), count.to_string());
        }
        Metadata { custom, ros_distro: self.options.ros_distro.clone(), ..merge(files) }
    }

    /// Closes the last file and writes `metadata.yaml`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(mut self) -> Result<Metadata, WriteError> {
        self.close_file()?;
        let metadata = self.metadata_of(&self.done);
        let name = if self.is_told_of_another() { format!("{}.metadata.yaml", self.stem) } else { "metadata.yaml".to_owned() };
        write_metadata(&self.folder.join(name), &metadata)?;
        Ok(metadata)
    }

    /// Whether the folder's `metadata.yaml` belongs to another recording.
    fn is_told_of_another(&self) -> bool {
        let text =
            if self.naming == Naming::File { std::fs::read_to_string(self.folder.join("metadata.yaml")).ok() } else { None };
        // One that cannot be read is not ours either.
        text.is_some_and(|text| Metadata::from_yaml(&text).map_or(true, |told| told.paths.first() != self.names.first()))
    }
}

/// Writes `metadata.yaml` so that a kill leaves the old one or the new one.
pub(crate) fn write_metadata(path: &Path, metadata: &Metadata) -> Result<(), WriteError> {
    let path = path.to_owned();
    let part = path.with_extension("yaml.part");
    std::fs::write(&part, metadata.to_yaml())
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|source| WriteError::Metadata { path, source })
}

/// What files hold together.
pub(crate) fn merge(files: &[(String, FileSummary)]) -> Metadata {
    let full: Vec<&FileSummary> = files.iter().map(|(_, f)| f).filter(|f| f.messages > 0).collect();
    let start_ns = full.iter().map(|f| f.first_ns).min().unwrap_or(0);
    let end_ns = full.iter().map(|f| f.last_ns).max().unwrap_or(0);
    let mut topics: Vec<TopicInfo> = Vec::new();
    let mut known = BTreeSet::new();
    for topic in files.iter().flat_map(|(_, f)| &f.topics) {
        if known.insert((&topic.topic, &topic.message_type, &topic.type_hash)) {
            topics.push(TopicInfo {
                name: topic.topic.clone(),
                message_type: topic.message_type.clone(),
                serialization_format: topic.encoding.clone(),
                qos: topic.qos.clone(),
                type_hash: topic.type_hash.clone(),
                messages: 0,
            });
        }
        let same =
            |i: &&mut TopicInfo| i.name == topic.topic && i.message_type == topic.message_type && i.type_hash == topic.type_hash;
        if let Some(info) = topics.iter_mut().find(same) {
            info.messages += topic.messages;
        }
    }
    Metadata {
        version: VERSION,
        storage: "mcap".into(),
        start_ns,
        duration_ns: end_ns - start_ns,
        messages: files.iter().map(|(_, f)| f.messages).sum(),
        topics,
        paths: files.iter().map(|(name, _)| name.clone()).collect(),
        files: files
            .iter()
            .map(|(name, f)| FileInfo {
                path: name.clone(),
                start_ns: f.first_ns,
                duration_ns: f.last_ns - f.first_ns,
                messages: f.messages,
            })
            .collect(),
        ..Metadata::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(topic: &str) -> Channel<'_> {
        Channel { topic, message_type: "std_msgs/msg/String", definition: "string data\n", type_hash: "RIHS01_00", qos: &[] }
    }

    fn noise(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..1000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect()
    }

    fn write(path: &Path, options: BagOptions, messages: u64) -> Metadata {
        let mut bag = BagWriter::create(path, Naming::Folder, options).unwrap();
        for i in 0..messages {
            bag.write(&channel(if i % 2 == 0 { "/a" } else { "/b" }), i * 100_000_000, i, i as u32, &noise(i)).unwrap();
        }
        bag.finish().unwrap()
    }

    #[test]
    fn files_are_split_by_time_and_told_in_metadata() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bag");
        let options = BagOptions { split: Split { bytes: 0, duration_ns: 1_000_000_000 }, ..BagOptions::default() };
        let metadata = write(&path, options, 25);
        assert_eq!(metadata.paths, ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]);
        assert_eq!(metadata.files.iter().map(|f| f.messages).collect::<Vec<_>>(), [10, 10, 5]);
        assert_eq!(metadata.files[1].start_ns, 1_000_000_000);
        assert_eq!((metadata.messages, metadata.duration_ns), (25, 2_400_000_000));
        assert_eq!(metadata.topics.iter().map(|t| t.messages).collect::<Vec<_>>(), [13, 12]);
        let text = std::fs::read_to_string(path.join("metadata.yaml")).unwrap();
        assert_eq!(Metadata::from_yaml(&text).unwrap(), metadata);
    }

    #[test]
    fn files_are_split_by_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bag");
        let options = BagOptions { split: Split { bytes: 20_000, duration_ns: 0 }, ..BagOptions::default() };
        let metadata = write(&path, options, 100);
        assert!((4..=6).contains(&metadata.paths.len()), "{:?}", metadata.paths);
        for name in &metadata.paths[..metadata.paths.len() - 1] {
            let size = std::fs::metadata(path.join(name)).unwrap().len();
            assert!((20_000..30_000).contains(&size), "{name}: {size}");
        }
        assert_eq!(metadata.files.iter().map(|f| f.messages).sum::<u64>(), 100);
    }

    #[test]
    fn the_limit_ends_a_bag_with_an_error_and_leaves_it_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mcap");
        let mut bag = BagWriter::create(&path, Naming::File, BagOptions { limit_bytes: 2500, ..BagOptions::default() }).unwrap();
        bag.write(&channel("/a"), 0, 0, 0, &noise(0)).unwrap();
        bag.write(&channel("/a"), 1, 1, 1, &noise(1)).unwrap();
        assert!(matches!(bag.write(&channel("/a"), 2, 2, 2, &noise(2)), Err(WriteError::Full { limit_bytes: 2500 })));
        bag.drop_messages("over the limit", 1);
        let metadata = bag.finish().unwrap();
        assert_eq!((metadata.messages, metadata.custom["omnimind.dropped.over_the_limit"].as_str()), (2, "1"));
        assert_eq!(mcap::MessageStream::new(&std::fs::read(&path).unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bag");
        write(&path, BagOptions::default(), 1);
        let error = BagWriter::create(&path, Naming::Folder, BagOptions::default()).err().unwrap().to_string();
        assert!(error.contains("there already"), "{error}");
        // Beside a file: the next file's name is taken by an older recording.
        std::fs::write(dir.path().join("r_1.mcap"), "old").unwrap();
        let mut bag = BagWriter::create(&dir.path().join("r.mcap"), Naming::File, BagOptions::default()).unwrap();
        bag.write(&channel("/a"), 0, 0, 0, &noise(0)).unwrap();
        bag.split().unwrap();
        assert_eq!(bag.finish().unwrap().paths, ["r.mcap", "r_2.mcap"]);
        assert_eq!(std::fs::read(dir.path().join("r_1.mcap")).unwrap(), b"old");
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_file_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bag");
        let options = BagOptions { split: Split { bytes: 0, duration_ns: 1_000_000_000 }, ..BagOptions::default() };
        let mut bag = BagWriter::create(&path, Naming::Folder, options).unwrap();
        for (i, log_ns) in [9_000_000_000, 9_100_000_000, 0, 100_000_000, 900_000_000, 1_000_000_000].into_iter().enumerate() {
            bag.write(&channel("/a"), log_ns, 0, 0, &noise(i as u64)).unwrap();
        }
        let metadata = bag.finish().unwrap();
        assert_eq!(metadata.files.iter().map(|f| f.messages).collect::<Vec<_>>(), [2, 3, 1]);
    }

    #[test]
    fn two_recordings_in_one_folder_are_told_each_in_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.mcap", "b.mcap"] {
            let mut bag = BagWriter::create(&dir.path().join(name), Naming::File, BagOptions::default()).unwrap();
            bag.write(&channel("/a"), 0, 0, 0, &noise(0)).unwrap();
            bag.finish().unwrap();
        }
        let told = |name: &str| Metadata::from_yaml(&std::fs::read_to_string(dir.path().join(name)).unwrap()).unwrap().paths;
        assert_eq!((told("metadata.yaml"), told("b.metadata.yaml")), (vec!["a.mcap".to_owned()], vec!["b.mcap".to_owned()]));
    }

    #[test]
    fn what_a_topic_offers_stays_the_same_in_all_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut bag = BagWriter::create(&dir.path().join("bag"), Naming::Folder, BagOptions::default()).unwrap();
        let (first, later) = ([QosProfile::default()], [QosProfile { reliable: false, ..QosProfile::default() }]);
        bag.write(&Channel { qos: &first, ..channel("/a") }, 0, 0, 0, &noise(0)).unwrap();
        bag.split().unwrap();
        bag.write(&Channel { qos: &later, ..channel("/a") }, 1, 1, 1, &noise(1)).unwrap();
        assert_eq!(bag.finish().unwrap().topics[0].qos, first);
    }
}
