//! The newest message of a topic at or before a time, found by the index.

use std::collections::BTreeSet;

use mcap::sans_io::indexed_reader::{IndexedReaderOptions, ReadOrder};

use crate::reader::{Indexed, Item, ReadError, Recorded, scan, summary};
use crate::survey::Bag;

/// The newest message on `topic` at or before `until_ns`; of several at one time the last. Files with an index are not read but for the chunk that
/// has it; files without one are read through.
///
/// # Errors
/// [`ReadError`].
pub fn latest(bag: &Bag, topic: &str, until_ns: u64) -> Result<Option<Recorded>, ReadError> {
    let mut newest: Option<Recorded> = None;
    let Some(channel) = bag.channels.iter().position(|channel| channel.topic == topic) else { return Ok(None) };
    let mut offer = |header: &mcap::records::MessageHeader, data: &dyn Fn() -> Vec<u8>| {
        if header.log_time <= until_ns && newest.as_ref().is_none_or(|newest| newest.log_ns <= header.log_time) {
            let (log_ns, publish_ns) = (header.log_time, header.publish_time);
            newest = Some(Recorded { channel, log_ns, publish_ns, data: data() });
        }
    };
    for path in &bag.files {
        match summary(path)? {
            Some(summary) => {
                let options = IndexedReaderOptions::new().with_order(ReadOrder::ReverseLogTime).include_topics([topic]);
                let mut reader = Indexed::open_with(path, &summary, options.ending_at(until_ns))?;
                if let Some((header, data)) = reader.next()? {
                    offer(&header, &|| data.clone());
                }
            }
            None => {
                let mut ids = BTreeSet::new();
                scan(path, |item| match item {
                    Item::Channel { channel, .. } if channel.topic == topic => drop(ids.insert(channel.id)),
                    Item::Message { channel_id, header, data } if ids.contains(&channel_id) => offer(&header, &|| data.to_vec()),
                    _ => {}
                })?;
            }
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BagOptions, BagWriter, Channel, Naming, Split};

    #[test]
    fn the_newest_up_to_a_time_is_found_with_and_without_an_index_and_in_the_right_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let split = Split { bytes: 0, duration_ns: 400 };
        let mut writer = BagWriter::create(&path, Naming::Folder, BagOptions { split, ..BagOptions::default() }).unwrap();
        let channel = |topic| Channel { topic, message_type: "std_msgs/msg/Empty", definition: "", type_hash: "", qos: &[] };
        for i in 0..1000_u64 {
            let topic = if i % 100 == 50 { "/rare" } else { "/often" };
            writer.write(&channel(topic), i, i, i as u32, &i.to_le_bytes()).unwrap();
        }
        writer.finish().unwrap();
        let cases = [(49, None), (50, Some(50_u64)), (449, Some(350)), (450, Some(450)), (u64::MAX, Some(950))];
        let look = || {
            let bag = Bag::open(&path).unwrap();
            assert!(bag.files.len() > 1);
            cases.map(|(until, _)| latest(&bag, "/rare", until).unwrap().map(|m| u64::from_le_bytes(m.data.try_into().unwrap())))
        };
        assert_eq!(look(), cases.map(|(_, found)| found));
        assert_eq!(latest(&Bag::open(&path).unwrap(), "/none", 900).unwrap(), None);
        // Without their ends the files have no index.
        for file in Bag::open(&path).unwrap().files {
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() - 30]).unwrap();
        }
        assert_eq!(look(), cases.map(|(_, found)| found));
    }
}
