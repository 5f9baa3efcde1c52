//! Bags: recordings in rosbag2's form, MCAP files in a folder with a `metadata.yaml`.
//!
//! [`BagWriter`] writes them and splits by size and time, [`BagReader`] reads them (and a lone `.mcap`) in the order of time,
//! [`recover()`] makes a bag whole again whose writer was killed, [`info`] is what `bag info` prints. Formats:
//! <https://mcap.dev/spec>, and rosbag2's `rosbag2_storage/yaml.hpp` for `metadata.yaml`, versions 1 to 9.

mod file;
mod held;
pub mod info;
mod latest;
pub mod metadata;
pub mod qos;
mod read_ahead;
mod reader;
mod recover;
pub mod select;
mod survey;
mod writer;

pub use file::{Channel, FileSummary, McapWriter, OpenError, TopicSummary, WriteError, WriterOptions};
pub use held::Held;
pub use latest::latest;
pub use metadata::{FileInfo, Metadata, MetadataError, TopicInfo};
pub use qos::{QosProfile, QosProfileError};
pub use read_ahead::ReadAhead;
pub use reader::{BagReader, ReadError, Recorded};
pub use recover::{FileReport, RecoverError, Recovered, recover};
pub use survey::{Bag, BagChannel};
pub use writer::{BagOptions, BagWriter, Naming, Split};
