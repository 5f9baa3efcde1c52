//! `metadata.yaml`: what rosbag2 writes beside the files of a bag. Read in versions 1 to 9, written in version 9.
//!
//! rosbag2, `rosbag2_storage/include/rosbag2_storage/yaml.hpp`.

use std::collections::BTreeMap;

use serde_yaml_ng::{Mapping, Value};

use crate::qos::{self, QosProfile, QosProfileError, map};

/// The newest version that is known: Jazzy and Kilted.
pub const VERSION: u64 = 9;

/// Why a `metadata.yaml` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MetadataError {
    /// It is no YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// A key is missing or has a value of another kind.
    #[error("`{0}` is missing or of another kind")]
    Key(&'static str),
    /// It is of a version that is not known.
    #[error("version {0} is not known; versions 1 to {VERSION} are")]
    Version(u64),
    /// A topic's quality of service.
    #[error("topic {topic}: {source}")]
    Qos {
        /// The topic.
        topic: String,
        /// What is wrong.
        source: QosProfileError,
    },
}

/// A topic of a bag.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TopicInfo {
    /// Full name.
    pub name: String,
    /// `sensor_msgs/msg/Image`
    pub message_type: String,
    /// `cdr`
    pub serialization_format: String,
    /// What its publishers offered.
    pub qos: Vec<QosProfile>,
    /// `RIHS01_...`; empty if not known.
    pub type_hash: String,
    /// Messages in all files.
    pub messages: u64,
}

/// A file of a bag.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FileInfo {
    /// Name within the folder.
    pub path: String,
    /// Time of its first message, ns.
    pub start_ns: u64,
    /// From the first to the last message, ns.
    pub duration_ns: u64,
    /// Its messages.
    pub messages: u64,
}

/// What `metadata.yaml` says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Version of the format.
    pub version: u64,
    /// `mcap`, `sqlite3`
    pub storage: String,
    /// Time of the first message, ns.
    pub start_ns: u64,
    /// From the first to the last message, ns.
    pub duration_ns: u64,
    /// All messages.
    pub messages: u64,
    /// Topics.
    pub topics: Vec<TopicInfo>,
    /// `zstd`, or empty.
    pub compression_format: String,
    /// `file`, `message`, or empty.
    pub compression_mode: String,
    /// Names of the files in order.
    pub paths: Vec<String>,
    /// The files in order; empty before version 5.
    pub files: Vec<FileInfo>,
    /// Words of the user.
    pub custom: BTreeMap<String, String>,
    /// `jazzy`
    pub ros_distro: String,
}

impl Metadata {
    /// The text of a `metadata.yaml` of version 9.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let text = map([("rosbag2_bagfile_information", self.to_value())]);
        // Mappings of plain values always have a text.
        serde_yaml_ng::to_string(&text).unwrap_or_default()
    }

    /// The text that MCAP files carry in their metadata record `rosbag2`.
    #[must_use]
    pub fn to_inner_yaml(&self) -> String {
        serde_yaml_ng::to_string(&self.to_value()).unwrap_or_default()
    }

    fn to_value(&self) -> Value {
        let nanoseconds = |ns: u64| map([("nanoseconds", ns.into())]);
        let since_epoch = |ns: u64| map([("nanoseconds_since_epoch", ns.into())]);
        let topic = |t: &TopicInfo| {
            let inner = map([
                ("name", t.name.as_str().into()),
                ("type", t.message_type.as_str().into()),
                ("serialization_format", t.serialization_format.as_str().into()),
                ("offered_qos_profiles", Value::Sequence(t.qos.iter().map(QosProfile::to_value).collect())),
                ("type_description_hash", t.type_hash.as_str().into()),
            ]);
            map([("topic_metadata", inner), ("message_count", t.messages.into())])
        };
        let file = |f: &FileInfo| {
            map([
                ("path", f.path.as_str().into()),
                ("starting_time", since_epoch(f.start_ns)),
                ("duration", nanoseconds(f.duration_ns)),
                ("message_count", f.messages.into()),
            ])
        };
        let custom = if self.custom.is_empty() {
            Value::Null
        } else {
            Value::Mapping(self.custom.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect())
        };
        map([
            ("version", VERSION.into()),
            ("storage_identifier", self.storage.as_str().into()),
            ("duration", nanoseconds(self.duration_ns)),
            ("starting_time", since_epoch(self.start_ns)),
            ("message_count", self.messages.into()),
            ("topics_with_message_count", Value::Sequence(self.topics.iter().map(topic).collect())),
            ("compression_format", self.compression_format.as_str().into()),
            ("compression_mode", self.compression_mode.as_str().into()),
            ("relative_file_paths", Value::Sequence(self.paths.iter().map(|p| p.as_str().into()).collect())),
            ("files", Value::Sequence(self.files.iter().map(file).collect())),
            ("custom_data", custom),
            ("ros_distro", self.ros_distro.as_str().into()),
        ])
    }

    /// Reads a `metadata.yaml`.
    ///
    /// # Errors
    /// [`MetadataError`], naming the key.
    pub fn from_yaml(text: &str) -> Result<Self, MetadataError> {
        let value: Value = serde_yaml_ng::from_str(text).map_err(|e| MetadataError::Yaml(e.to_string()))?;
        let root = value
            .get("rosbag2_bagfile_information")
            .and_then(Value::as_mapping)
            .ok_or(MetadataError::Key("rosbag2_bagfile_information"))?;
        let version = number(root, "version")?;
        if version == 0 || version > VERSION {
            return Err(MetadataError::Version(version));
        }
        let mut topics = Vec::new();
        for entry in list(root, "topics_with_message_count")? {
            let entry = entry.as_mapping().ok_or(MetadataError::Key("topics_with_message_count"))?;
            let inner = entry.get("topic_metadata").and_then(Value::as_mapping).ok_or(MetadataError::Key("topic_metadata"))?;
            let name = string(inner, "name")?;
            let offered = inner.get("offered_qos_profiles").unwrap_or(&Value::Null);
            topics.push(TopicInfo {
                qos: qos::from_value(offered).map_err(|source| MetadataError::Qos { topic: name.clone(), source })?,
                name,
                message_type: string(inner, "type")?,
                serialization_format: string(inner, "serialization_format")?,
                type_hash: optional(inner, "type_description_hash"),
                messages: number(entry, "message_count")?,
            });
        }
        let paths: Option<Vec<String>> =
            list(root, "relative_file_paths")?.iter().map(|p| p.as_str().map(str::to_owned)).collect();
        let mut files = Vec::new();
        if let Some(Value::Sequence(list)) = root.get("files") {
            for file in list {
                let file = file.as_mapping().ok_or(MetadataError::Key("files"))?;
                files.push(FileInfo {
                    path: string(file, "path")?,
                    start_ns: inner_number(file, "starting_time", "nanoseconds_since_epoch")?,
                    duration_ns: inner_number(file, "duration", "nanoseconds")?,
                    messages: number(file, "message_count")?,
                });
            }
        }
        let custom = match root.get("custom_data") {
            Some(Value::Mapping(map)) => {
                map.iter().filter_map(|(k, v)| Some((k.as_str()?.to_owned(), v.as_str()?.to_owned()))).collect()
            }
            _ => BTreeMap::new(),
        };
        Ok(Self {
            version,
            storage: string(root, "storage_identifier")?,
            start_ns: inner_number(root, "starting_time", "nanoseconds_since_epoch")?,
            duration_ns: inner_number(root, "duration", "nanoseconds")?,
            messages: number(root, "message_count")?,
            topics,
            compression_format: optional(root, "compression_format"),
            compression_mode: optional(root, "compression_mode").to_lowercase(),
            paths: paths.ok_or(MetadataError::Key("relative_file_paths"))?,
            files,
            custom,
            ros_distro: optional(root, "ros_distro"),
        })
    }
}

fn number(map: &Mapping, key: &'static str) -> Result<u64, MetadataError> {
    map.get(key).and_then(Value::as_u64).ok_or(MetadataError::Key(key))
}

fn inner_number(map: &Mapping, key: &'static str, inner: &str) -> Result<u64, MetadataError> {
    map.get(key).and_then(|v| v.get(inner)).and_then(Value::as_u64).ok_or(MetadataError::Key(key))
}

fn string(map: &Mapping, key: &'static str) -> Result<String, MetadataError> {
    map.get(key).and_then(Value::as_str).map(str::to_owned).ok_or(MetadataError::Key(key))
}

fn optional(map: &Mapping, key: &str) -> String {
    map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(map: &'a Mapping, key: &'static str) -> Result<&'a [Value], MetadataError> {
    match map.get(key) {
        Some(Value::Sequence(list)) => Ok(list),
        Some(Value::Null) => Ok(&[]),
        _ => Err(MetadataError::Key(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        Metadata {
            version: 9,
            storage: "mcap".into(),
            start_ns: 5,
            duration_ns: 7,
            messages: 3,
            topics: vec![TopicInfo {
                name: "/chatter".into(),
                message_type: "std_msgs/msg/String".into(),
                serialization_format: "cdr".into(),
                qos: vec![QosProfile::default()],
                type_hash: "RIHS01_00".into(),
                messages: 3,
            }],
            paths: vec!["a: b_0.mcap".into()],
            files: vec![FileInfo { path: "a: b_0.mcap".into(), start_ns: 5, duration_ns: 7, messages: 3 }],
            custom: [("where".to_owned(), "yes".to_owned())].into(),
            ros_distro: "jazzy".into(),
            ..Metadata::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Metadata::from_yaml(&sample().to_yaml()).unwrap(), sample());
        let empty = Metadata { version: 9, storage: "mcap".into(), ..Metadata::default() };
        assert_eq!(Metadata::from_yaml(&empty.to_yaml()).unwrap(), empty);
        assert!(empty.to_yaml().contains("topics_with_message_count: []"));
    }

    #[test]
    fn early_versions_and_damage_are_told_apart() {
        let first = "rosbag2_bagfile_information:\n  version: 1\n  storage_identifier: sqlite3\n  relative_file_paths: [a.db3]\n  \
                     duration: {nanoseconds: 1}\n  starting_time: {nanoseconds_since_epoch: 2}\n  message_count: 3\n  \
                     topics_with_message_count:\n  - topic_metadata: {name: /a, type: std_msgs/String, serialization_format: cdr}\n    \
                     message_count: 3\n";
        assert_eq!(Metadata::from_yaml(first).unwrap().topics[0].messages, 3);
        assert_eq!(Metadata::from_yaml(&first.replace("version: 1", "version: 10")), Err(MetadataError::Version(10)));
        assert_eq!(Metadata::from_yaml(&first.replace("duration", "d")), Err(MetadataError::Key("duration")));
        assert_eq!(Metadata::from_yaml("a: 1"), Err(MetadataError::Key("rosbag2_bagfile_information")));
        assert!(matches!(Metadata::from_yaml("a: ["), Err(MetadataError::Yaml(_))));
        let odd = sample().to_yaml().replace("reliability: reliable", "reliability: odd");
        assert!(Metadata::from_yaml(&odd).unwrap_err().to_string().contains("/chatter"));
    }
}
