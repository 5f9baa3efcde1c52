//! What a bag holds, found before it is read: files, topics with their types, times and counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::file::is_being_written;
use crate::metadata::Metadata;
use crate::qos::{self, QosProfile};
use crate::reader::{Item, ReadError, scan, summary};

/// A topic of a bag with one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BagChannel {
    /// Full topic name.
    pub topic: String,
    /// The type's name, for instance `sensor_msgs/msg/Image`.
    pub message_type: String,
    /// `cdr` in ROS 2 recordings.
    pub encoding: String,
    /// `ros2msg` or `ros2idl`; empty if the bag has no definition.
    pub schema_encoding: String,
    /// The type's definition.
    pub definition: String,
    /// `RIHS01_...`; empty if the bag does not say.
    pub type_hash: String,
    /// What its publishers offered.
    pub qos: Vec<QosProfile>,
    /// Messages.
    pub messages: u64,
}

/// A bag: a folder as rosbag2 writes it, a folder with `.mcap` files, or one such file.
#[derive(Clone, Debug, Default)]
pub struct Bag {
    /// What was opened.
    pub path: PathBuf,
    /// Its files in order.
    pub files: Vec<PathBuf>,
    /// Size of its files, bytes.
    pub bytes: u64,
    /// Its topics, in the order of the files.
    pub channels: Vec<BagChannel>,
    /// Time of the first message, ns.
    pub start_ns: u64,
    /// Time of the last message, ns.
    pub end_ns: u64,
    /// Messages.
    pub messages: u64,
    /// Whether a file ends before its end mark, or had to be read around damage.
    pub cut: bool,
    /// Whether a recorder is still writing a file of it.
    pub writing: bool,
    /// What `metadata.yaml` says, if it is there.
    pub metadata: Option<Metadata>,
}

impl Bag {
    /// Finds out what a bag holds. Files without an index are read through.
    ///
    /// # Errors
    /// [`ReadError`]; sqlite3 bags and files compressed as a whole are refused with a word on what to do.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut bag = Self { path: path.to_owned(), ..Self::default() };
        if std::fs::metadata(path).map_err(ReadError::file(path))?.is_dir() {
            bag.look_into_folder(path)?;
        } else {
            bag.files.push(path.to_owned());
        }
        for file in bag.files.clone() {
            refuse_by_ending(&file)?;
            bag.bytes += std::fs::metadata(&file).map_err(ReadError::file(&file))?.len();
            bag.writing |= is_being_written(&file);
            bag.look_into_file(&file)?;
        }
        if let Some(metadata) = &bag.metadata {
            for channel in &mut bag.channels {
                let told = metadata.topics.iter().find(|t| channel.is_of(&t.name, &t.message_type, &t.type_hash));
                if let Some(told) = told {
                    if channel.qos.is_empty() {
                        channel.qos.clone_from(&told.qos);
                    }
                    if channel.type_hash.is_empty() {
                        channel.type_hash.clone_from(&told.type_hash);
                    }
                }
            }
        }
        Ok(bag)
    }

    fn look_into_folder(&mut self, folder: &Path) -> Result<(), ReadError> {
        let path = folder.join("metadata.yaml");
        if !path.exists() {
            self.files = mcap_files(folder)?;
            if self.files.is_empty() {
                let entries = std::fs::read_dir(folder).map_err(ReadError::file(folder))?;
                for entry in entries.flatten() {
                    refuse_by_ending(&entry.path())?;
                }
                return Err(ReadError::Empty { path: folder.to_owned() });
            }
            return Ok(());
        }
        let text = std::fs::read_to_string(&path).map_err(ReadError::file(&path))?;
        let metadata = Metadata::from_yaml(&text).map_err(|source| ReadError::Metadata { path: path.clone(), source })?;
        let unsupported = |what: String| Err(ReadError::Unsupported { path: folder.to_owned(), what });
        if metadata.storage != "mcap" {
            return unsupported(format!("a bag stored as `{}` is not read, only mcap; {CONVERT}", metadata.storage));
        }
        match (metadata.compression_mode.as_str(), metadata.compression_format.as_str()) {
            ("" | "none", _) => {}
            (mode, format) => {
                return unsupported(format!("its compression (mode `{mode}`, format `{format}`) is not read; {CONVERT}"));
            }
        }
        // Only the last part: a metadata.yaml must not point out of its folder.
        let name = |p: &String| Path::new(p).file_name().map(|name| folder.join(name));
        self.files = metadata.paths.iter().filter_map(name).collect();
        self.metadata = Some(metadata);
        Ok(())
    }

    fn look_into_file(&mut self, path: &Path) -> Result<(), ReadError> {
        if let Some(summary) = summary(path)?
            && let Some(stats) = &summary.stats
        {
            let mut ids: Vec<u16> = summary.channels.keys().copied().collect();
            ids.sort_unstable();
            for id in ids {
                let channel = &summary.channels[&id];
                let place = self.add(
                    &channel.topic,
                    &channel.message_encoding,
                    &channel.metadata,
                    channel.schema.as_ref().map(|s| (s.name.as_str(), s.encoding.as_str(), s.data.as_ref())),
                );
                let told = stats.channel_message_counts.get(&id).copied().unwrap_or(0);
                let messages = &mut self.channels[place].messages;
                *messages = messages.saturating_add(told);
            }
            if stats.message_count > 0 {
                self.add_times(stats.message_start_time, stats.message_end_time, stats.message_count);
            }
            return Ok(());
        }
        let mut places = BTreeMap::new();
        let flaws = scan(path, |item| match item {
            Item::Channel { channel, schema } => {
                let schema = schema.map(|s| (s.name.as_str(), s.encoding.as_str(), s.text.as_slice()));
                let place = self.add(&channel.topic, &channel.message_encoding, &channel.metadata, schema);
                places.insert(channel.id, place);
            }
            Item::Message { channel_id, header, .. } => {
                if let Some(place) = places.get(&channel_id) {
                    self.channels[*place].messages += 1;
                    self.add_times(header.log_time, header.log_time, 1);
                }
            }
            Item::Metadata(_) | Item::Attachment => {}
        })?;
        self.cut |= flaws.any();
        Ok(())
    }

    fn add_times(&mut self, first_ns: u64, last_ns: u64, messages: u64) {
        self.start_ns = if self.messages == 0 { first_ns } else { self.start_ns.min(first_ns) };
        self.end_ns = self.end_ns.max(last_ns);
        self.messages = self.messages.saturating_add(messages);
    }

    fn add(
        &mut self,
        topic: &str,
        encoding: &str,
        metadata: &BTreeMap<String, String>,
        schema: Option<(&str, &str, &[u8])>,
    ) -> usize {
        let (name, schema_encoding, text) = schema.unwrap_or_default();
        let definition = String::from_utf8_lossy(text).into_owned();
        let type_hash = hash_of(metadata);
        if let Some(place) = self.place(topic, name, type_hash) {
            // What a file does not tell, a later one may.
            let known = &mut self.channels[place];
            if known.definition.is_empty() {
                (known.definition, known.schema_encoding) = (definition, schema_encoding.to_owned());
            }
            if known.type_hash.is_empty() {
                type_hash.clone_into(&mut known.type_hash);
            }
            return place;
        }
        // A profile that cannot be read is no reason not to read the messages.
        let offered = metadata.get("offered_qos_profiles").and_then(|text| qos::from_text(text).ok()).unwrap_or_default();
        self.channels.push(BagChannel {
            topic: topic.to_owned(),
            message_type: name.to_owned(),
            encoding: encoding.to_owned(),
            schema_encoding: schema_encoding.to_owned(),
            definition,
            type_hash: type_hash.to_owned(),
            qos: offered,
            messages: 0,
        });
        self.channels.len() - 1
    }

    /// The place of a topic of a type in [`Bag::channels`]; of several versions of the type, that of this hash, if it is not empty.
    #[must_use]
    pub fn place(&self, topic: &str, message_type: &str, type_hash: &str) -> Option<usize> {
        self.channels.iter().position(|c| c.is_of(topic, message_type, type_hash))
    }
}

impl BagChannel {
    /// Where a hash is not told, the names decide.
    fn is_of(&self, topic: &str, message_type: &str, type_hash: &str) -> bool {
        let hash = self.type_hash.is_empty() || type_hash.is_empty() || self.type_hash == type_hash;
        self.topic == topic && self.message_type == message_type && hash
    }
}

/// The type hash that a channel's metadata tell, or nothing.
pub(crate) fn hash_of(metadata: &BTreeMap<String, String>) -> &str {
    metadata.get("topic_type_hash").map_or("", String::as_str)
}

const CONVERT: &str = "`ros2 bag convert` makes an mcap bag without it";

/// Says what a file is that is no MCAP file, by its name.
fn refuse_by_ending(path: &Path) -> Result<(), ReadError> {
    let what = match path.extension().and_then(|e| e.to_str()) {
        Some("db3") => format!("an sqlite3 bag is not read; {CONVERT}"),
        Some("zstd") => format!("a file that is compressed as a whole is not read; {CONVERT}, and so does `zstd -d`"),
        Some("bag") => "a ROS 1 bag is not read; `rosbags-convert` makes an mcap bag of it".to_owned(),
        _ => return Ok(()),
    };
    Err(ReadError::Unsupported { path: path.to_owned(), what })
}

/// The `.mcap` files of a folder, `_2` before `_10`.
pub(crate) fn mcap_files(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let entries = std::fs::read_dir(folder).map_err(ReadError::file(folder))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "mcap")).collect();
    files.sort_by_key(|path| {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let (name, number) = stem.rsplit_once('_').unwrap_or((&stem, ""));
        match number.parse::<u64>() {
            Ok(number) => (name.to_owned(), number),
            Err(_) => (stem, 0),
        }
    });
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mcap_bag_is_refused_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let error = Bag::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no metadata.yaml and no .mcap"), "{error}");
        std::fs::write(folder.path().join("a_0.db3"), "SQLite format 3").unwrap();
        let error = Bag::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("sqlite3") && error.contains("convert"), "{error}");
        let metadata = Metadata { storage: "sqlite3".into(), ..Metadata::default() };
        std::fs::write(folder.path().join("metadata.yaml"), metadata.to_yaml()).unwrap();
        let error = Bag::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("sqlite3"), "{error}");
        let metadata = Metadata { storage: "mcap".into(), compression_mode: "FILE".into(), ..Metadata::default() };
        std::fs::write(folder.path().join("metadata.yaml"), metadata.to_yaml()).unwrap();
        assert!(Bag::open(folder.path()).unwrap_err().to_string().contains("mode `file`"));
        std::fs::write(folder.path().join("metadata.yaml"), "rosbag2_bagfile_information: {version: 99}").unwrap();
        assert!(Bag::open(folder.path()).unwrap_err().to_string().contains("version 99"));
    }

    #[test]
    fn versions_of_a_type_are_kept_apart_and_what_has_no_definition_is_there() {
        use crate::{BagOptions, BagReader, BagWriter, Channel, Naming, Split};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let split = Split { bytes: 0, duration_ns: 100 };
        let mut writer = BagWriter::create(&path, Naming::Folder, BagOptions { split, ..BagOptions::default() }).unwrap();
        let spot =
            |definition, type_hash| Channel { topic: "/a", message_type: "demo/msg/Spot", definition, type_hash, qos: &[] };
        let write =
            |writer: &mut BagWriter, channel: Channel<'_>, ns: u64| writer.write(&channel, ns, ns, 0, &[ns as u8]).unwrap();
        for (definition, hash, ns) in [("int8 x", "RIHS01_1", 10), ("int16 x", "RIHS01_2", 20), ("int8 x", "RIHS01_1", 30)] {
            write(&mut writer, spot(definition, hash), ns);
        }
        // Not known at first, and then told.
        write(&mut writer, Channel { topic: "/b", ..spot("", "RIHS01_3") }, 40);
        write(&mut writer, Channel { topic: "/b", ..spot("int32 x", "RIHS01_3") }, 200);
        // What waited begins no file, wherever its time lies.
        writer.write_late(&spot("int8 x", "RIHS01_1"), 5, 5, 0, &[5]).unwrap();
        writer.finish().unwrap();
        let schema = |name: &str| {
            let bytes = std::fs::read(path.join(name)).unwrap();
            let messages: Vec<_> = mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap).collect();
            let of = |m: &mcap::Message<'_>| {
                let schema = m.channel.schema.as_ref().unwrap();
                (schema.encoding.clone(), String::from_utf8(schema.data.to_vec()).unwrap())
            };
            messages.iter().map(of).collect::<Vec<_>>()
        };
        let text = |text: &str| ("ros2msg".to_owned(), text.to_owned());
        assert_eq!(schema("bag_0.mcap"), [text("int8 x"), text("int16 x"), text("int8 x"), (String::new(), String::new())]);
        assert_eq!(schema("bag_1.mcap"), [text("int32 x"), text("int8 x")]);
        for closed in [true, false] {
            if !closed {
                for name in ["bag_0.mcap", "bag_1.mcap"] {
                    let bytes = std::fs::read(path.join(name)).unwrap();
                    std::fs::write(path.join(name), &bytes[..bytes.len() - 30]).unwrap();
                }
            }
            let bag = Bag::open(&path).unwrap();
            let found: Vec<_> = bag.channels.iter().map(|c| (c.definition.as_str(), c.type_hash.as_str(), c.messages)).collect();
            assert_eq!(found, [("int8 x", "RIHS01_1", 3), ("int16 x", "RIHS01_2", 1), ("int32 x", "RIHS01_3", 2)]);
            assert_eq!(bag.metadata.as_ref().unwrap().topics.iter().map(|t| t.messages).collect::<Vec<_>>(), [3, 1, 2]);
            let mut reader = BagReader::new(&bag, 0);
            let mut read = Vec::new();
            while let Some(message) = reader.next_message().unwrap() {
                read.push((message.channel, message.data[0]));
            }
            read.sort_unstable();
            assert_eq!(read, [(0, 5), (0, 10), (0, 30), (1, 20), (2, 40), (2, 200)]);
        }
    }

    #[test]
    fn files_are_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a_10.mcap", "a_2.mcap", "a_0.mcap", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> =
            mcap_files(folder.path()).unwrap().iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["a_0.mcap", "a_2.mcap", "a_10.mcap"]);
    }
}
