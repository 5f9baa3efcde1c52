//! Going on from a snapshot of a recording.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bags::Bag;
use graph::{Graph, ResumeError, Time, snapshot};
use msgs::Message;
use msgs::std_msgs::msg::UInt8MultiArray;

use crate::file::Resume;

/// Why a graph does not go on from a recording's snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The recording cannot be read.
    #[error(transparent)]
    Read(#[from] bags::ReadError),
    /// It has none.
    #[error("{} has no snapshots: they are on /{}, in a recording made with `snapshot_every_s`", path.display(), snapshot::TOPIC)]
    None {
        /// The recording.
        path: PathBuf,
    },
    /// Several graphs published theirs: which one is meant cannot be told.
    #[error("{} has snapshots of several graphs ({}); which one is meant cannot be told", path.display(), topics.join(", "))]
    Several {
        /// The recording.
        path: PathBuf,
        /// The topics.
        topics: Vec<String>,
    },
    /// It has none so early.
    #[error("{} has no snapshot at or before {at_s} s{first}", path.display())]
    Later {
        /// The recording.
        path: PathBuf,
        /// The time asked for, s.
        at_s: f64,
        /// When its first one is, in words.
        first: String,
    },
    /// What is there is no message.
    #[error("{}: the snapshot at {at_s:.3} s cannot be read: {reason}", path.display())]
    Damaged {
        /// The recording.
        path: PathBuf,
        /// Its time, s.
        at_s: f64,
        /// What is wrong.
        reason: String,
    },
    /// The graph does not take it.
    #[error("{}: {source}", path.display())]
    Refused {
        /// The recording.
        path: PathBuf,
        /// Why.
        source: ResumeError,
    },
}

/// Finds the latest snapshot of a recording at or before a time: its time and its bytes.
///
/// # Errors
/// [`SnapshotError`].
pub fn find(path: &Path, at_s: f64) -> Result<(Time, Vec<u8>), SnapshotError> {
    let bag = Bag::open(path)?;
    let own = |topic: &str| topic.strip_suffix(snapshot::TOPIC).is_some_and(|front| front.ends_with('/'));
    let topics: BTreeSet<&str> = bag.channels.iter().map(|channel| channel.topic.as_str()).filter(|topic| own(topic)).collect();
    if topics.len() > 1 {
        return Err(SnapshotError::Several { path: path.to_owned(), topics: topics.into_iter().map(str::to_owned).collect() });
    }
    let topic = topics.first().ok_or_else(|| SnapshotError::None { path: path.to_owned() })?;
    let at_ns = u64::try_from(Time::from_secs_f64(at_s).as_nanos()).unwrap_or(0);
    let Some(found) = bags::latest(&bag, topic, at_ns)? else {
        return Err(SnapshotError::Later { path: path.to_owned(), at_s, first: first(&bag, topic)? });
    };
    let at = Time::from_nanos(i64::try_from(found.log_ns).unwrap_or(i64::MAX));
    let message = UInt8MultiArray::from_cdr(&found.data).map_err(|error| SnapshotError::Damaged {
        path: path.to_owned(),
        at_s: at.as_secs_f64(),
        reason: error.to_string(),
    })?;
    Ok((at, message.data.to_vec()))
}

fn first(bag: &Bag, topic: &str) -> Result<String, SnapshotError> {
    let mut reader = bags::BagReader::new(bag, 0);
    while let Some(message) = reader.next_message()? {
        if bag.channels.get(message.channel).is_some_and(|channel| channel.topic == topic) {
            return Ok(format!("; its first one is of {:.3} s", message.log_ns as f64 * 1e-9));
        }
    }
    Ok(String::new())
}

/// Lets a graph whose nodes have been added go on from there.
///
/// # Errors
/// [`SnapshotError`]; the graph is then of no further use.
pub fn resume(graph: &mut Graph, from: &Resume) -> Result<Time, SnapshotError> {
    let (_, bytes) = find(&from.bag, from.at_s)?;
    graph.resume(&bytes).map_err(|source| SnapshotError::Refused { path: from.bag.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bags::{BagOptions, BagWriter, Channel, Naming};

    #[test]
    fn snapshots_of_one_graph_are_found_and_none_or_several_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let recording = |name: &str, topics: &[&str]| {
            let path = folder.path().join(name);
            let mut writer = BagWriter::create(&path, Naming::Folder, BagOptions::default()).unwrap();
            let cdr = UInt8MultiArray { data: vec![1, 2, 3].into(), ..Default::default() }.to_cdr();
            for topic in topics {
                let channel =
                    Channel { topic, message_type: "std_msgs/msg/UInt8MultiArray", definition: "", type_hash: "", qos: &[] };
                writer.write(&channel, 5_000_000_000, 5_000_000_000, 1, &cdr).unwrap();
            }
            writer.finish().unwrap();
            path
        };
        let one = recording("one", &["/left/graph/snapshot", "/left/notgraph/snapshots"]);
        let (at, bytes) = find(&one, 6.0).unwrap();
        assert_eq!((at.as_secs_f64(), bytes), (5.0, vec![1, 2, 3]));
        assert!(find(&one, 4.0).unwrap_err().to_string().contains("its first one is of 5.000 s"));
        let two = find(&recording("two", &["/left/graph/snapshot", "/right/graph/snapshot"]), 6.0).unwrap_err().to_string();
        assert!(two.contains("/left/graph/snapshot, /right/graph/snapshot"), "{two}");
        assert!(matches!(find(&recording("none", &["/x"]), 6.0), Err(SnapshotError::None { .. })));
    }
}
