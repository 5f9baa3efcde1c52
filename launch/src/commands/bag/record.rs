//! `omnimind bag record`: topics of the running graph into a bag, whoever publishes them.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use bags::{BagOptions, BagWriter, Channel, Held, Naming, QosProfile, Split, WriteError, WriterOptions};
use clap::{Args, ValueEnum};
use wire::{Client, RawSample, WireConfig};

use super::choice::Choice;
use super::scout::Ears;
use super::types::Types;

/// `omnimind bag record`
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Topics to record
    #[arg(value_name = "Topic")]
    pub topics_positional: Vec<String>,
    /// Topics to record
    #[arg(long, num_args = 1..)]
    pub topics: Vec<String>,
    /// Record all topics
    #[arg(short = 'a', long, alias = "all-topics")]
    pub all: bool,
    /// Types whose topics are recorded
    #[arg(long, num_args = 1..)]
    pub topic_types: Vec<String>,
    /// Topics to record, by regular expression
    #[arg(short = 'e', long, default_value = "")]
    pub regex: String,
    /// Topics to leave out, by regular expression
    #[arg(short = 'x', long, default_value = "")]
    pub exclude_regex: String,
    /// Topics to leave out
    #[arg(long, num_args = 1..)]
    pub exclude_topics: Vec<String>,
    /// Types whose topics are left out
    #[arg(long, num_args = 1..)]
    pub exclude_topic_types: Vec<String>,
    /// Topics with a part that begins with an underscore too
    #[arg(long)]
    pub include_hidden_topics: bool,
    /// Only topics that are there at the start
    #[arg(long)]
    pub no_discovery: bool,
    /// Milliseconds between looks for new topics
    #[arg(short = 'p', long, default_value_t = 100)]
    pub polling_interval: u64,
    /// Folder to write, which must not be there yet; nothing: rosbag2_ and the time
    #[arg(short = 'o', long)]
    pub output: Option<PathBuf>,
    /// Size of a file at which the next begins, bytes; 0: never
    #[arg(short = 'b', long, default_value_t = 0)]
    pub max_bag_size: u64,
    /// Time of a file after which the next begins, s; 0: never
    #[arg(short = 'd', long, default_value_t = 0)]
    pub max_bag_duration: u64,
    /// Bytes that may wait for the disk; what comes when they are full is dropped and counted
    #[arg(long, default_value_t = 100 << 20)]
    pub max_cache_size: usize,
    /// How chunks are written, as in rosbag2's mcap storage
    #[arg(long, value_enum, default_value_t = Preset::ZstdFast)]
    pub storage_preset_profile: Preset,
    /// Begin paused; space goes on, on a terminal
    #[arg(long)]
    pub start_paused: bool,
    /// No keys: space pauses and goes on
    #[arg(long)]
    pub disable_keyboard_controls: bool,
    /// Requested qualities of service by topic, a YAML file
    #[arg(long)]
    pub qos_profile_overrides_path: Option<PathBuf>,
    /// Words for the bag's metadata, KEY=VALUE
    #[arg(long, num_args = 1..)]
    pub custom_data: Vec<String>,
}

/// How chunks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// As `zstd_fast`
    None,
    /// Not compressed
    #[value(name = "fastwrite")]
    FastWrite,
    /// zstd, its fastest level
    #[value(name = "zstd_fast")]
    ZstdFast,
    /// zstd, a slow level
    #[value(name = "zstd_small")]
    ZstdSmall,
}

/// A topic that is being recorded.
pub(super) struct Topic {
    pub name: String,
    pub qos: Vec<QosProfile>,
}

/// A sample on its way into the bag.
pub(super) struct Waiting {
    pub topic: Arc<Topic>,
    pub sample: RawSample,
    pub received_ns: u64,
}

/// What waits for the disk.
#[derive(Default)]
struct Cache {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    dropped: u64,
    /// What came while it was paused.
    skipped: u64,
}

/// Where samples come in.
#[derive(Default)]
pub(super) struct Inbox {
    cache: Mutex<Cache>,
    filled: Condvar,
    paused: AtomicBool,
    pub stop: AtomicBool,
}

impl Inbox {
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.filled.notify_all();
    }

    pub fn push(&self, item: Waiting, most_bytes: usize) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if self.paused.load(Ordering::Relaxed) {
            cache.skipped += 1;
            return;
        }
        let size = item.sample.payload.len();
        // One message is always taken, however large.
        if cache.bytes > 0 && cache.bytes + size > most_bytes {
            cache.dropped += 1;
            return;
        }
        cache.bytes += size;
        cache.waiting.push_back(item);
        self.filled.notify_one();
    }

    /// What waits, and what was dropped since the last call; at the latest after `patience`.
    fn take(&self, patience: Duration) -> Cache {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |cache: &mut Cache| cache.waiting.is_empty() && !self.stop.load(Ordering::Relaxed);
        let (mut cache, _) = self.filled.wait_timeout_while(cache, patience, empty).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cache)
    }
}

pub(super) fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// Runs `omnimind bag record`.
pub(super) fn run(args: &RecordArgs) -> Result<ExitCode> {
    let choice = Choice::new(args)?;
    let client = Arc::new(Client::connect(WireConfig::from_env()?)?);
    let overrides = match &args.qos_profile_overrides_path {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            bags::qos::overrides(&text).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?
        }
        None => BTreeMap::new(),
    };
    let folder = args.output.clone().unwrap_or_else(|| format!("rosbag2_{}", super::super::start::timestamp()).into());
    let writer = BagWriter::create(&folder, Naming::Folder, options(args)?)?;
    let inbox = Arc::new(Inbox::default());
    inbox.paused.store(args.start_paused, Ordering::Relaxed);
    let stopping = Arc::clone(&inbox);
    // Fails only where a handler is installed already: that one serves.
    let _ = ctrlc::set_handler(move || stopping.stop());
    eprintln!("recording into {}{}", folder.display(), if args.start_paused { ", paused" } else { "" });
    let space = Arc::clone(&inbox);
    let toggle = move || {
        let paused = !space.paused.fetch_xor(true, Ordering::Relaxed);
        eprintln!("{}", if paused { "paused" } else { "recording" });
    };
    let _keyboard = if args.disable_keyboard_controls { None } else { omnimind_player::on_space(toggle) };
    let types = Arc::new(Types::default());
    let ears = Ears { choice, overrides, types: Arc::clone(&types), most_bytes: args.max_cache_size, open: BTreeMap::new() };
    // To ask the graph may take seconds: what has come must not wait for it.
    let (looking, listening) = (Arc::clone(&inbox), Arc::clone(&client));
    let period = Duration::from_millis(args.polling_interval.max(10));
    let looks = if args.no_discovery { None } else { Some(period) };
    let scout = std::thread::spawn(move || {
        let found = ears.keep_looking(&listening, &looking, looks);
        // Without the scout there is nothing more to come.
        looking.stop();
        found
    });
    let asking = Arc::clone(&types);
    let learner = std::thread::spawn(move || asking.learn(&client));
    let pen = Pen { writer, types: &types, held: Held::new(args.max_cache_size), counts: Counts::default() };
    let (done, losses) = record(pen, &inbox, scout, learner);
    let metadata = done?;
    let losses = if losses.is_empty() { "none dropped".to_owned() } else { format!("dropped: {}", losses.join(", ")) };
    eprintln!("{} messages on {} topics in {}, {losses}", metadata.messages, metadata.topics.len(), folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes what comes until it is told to stop, or something fails; whatever happens, the bag is closed. Also what was dropped, in words.
fn record(
    mut pen: Pen<'_>,
    inbox: &Inbox,
    scout: JoinHandle<Result<u64>>,
    learner: JoinHandle<()>,
) -> (Result<bags::Metadata>, Vec<String>) {
    let mut written = pen.write_until_stopped(inbox);
    inbox.stop();
    scout.thread().unpark();
    // The subscriptions end with the scout.
    let looked = scout.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the search for topics panicked")));
    // After this what a type consists of is known, or is not.
    pen.types.close();
    let learned = learner.join();
    if written.is_ok() {
        // What came until now.
        written = pen.write(inbox.take(Duration::ZERO));
    }
    let mut writer = pen.writer;
    let ended = match (written, looked, learned) {
        (Err(error), ..) => Some(error.to_string()),
        (Ok(()), Err(error), _) => Some(format!("{error:#}")),
        (Ok(()), Ok(_), Err(_)) => Some("the questions for definitions panicked".to_owned()),
        (Ok(()), Ok(malformed), Ok(())) => {
            writer.drop_messages("malformed attachment", malformed);
            None
        }
    };
    let losses = writer.dropped().iter().map(|(why, count)| format!("{count} {why}")).collect();
    let closed = writer.finish();
    let Some(error) = ended else { return (closed.map_err(Into::into), losses) };
    let kept = match closed {
        Ok(metadata) => format!("{} messages are kept", metadata.messages),
        Err(e) => format!("it cannot be closed: {e}; `omnimind bag recover` makes it whole"),
    };
    (Err(anyhow::anyhow!("recording ended: {error}; {kept}")), losses)
}

fn options(args: &RecordArgs) -> Result<BagOptions> {
    let mut custom = BTreeMap::new();
    for entry in &args.custom_data {
        let (key, value) = entry.split_once('=').with_context(|| format!("--custom-data: `{entry}` is not KEY=VALUE"))?;
        custom.insert(key.to_owned(), value.to_owned());
    }
    let level = match args.storage_preset_profile {
        Preset::ZstdSmall => 12,
        _ => 1,
    };
    let compress = args.storage_preset_profile != Preset::FastWrite;
    Ok(BagOptions {
        file: WriterOptions { compress, level, ..WriterOptions::default() },
        split: Split { bytes: args.max_bag_size, duration_ns: args.max_bag_duration.saturating_mul(1_000_000_000) },
        custom,
        ..BagOptions::default()
    })
}

/// What is known about publishers, to see losses on the way.
#[derive(Default)]
struct Counts {
    last: BTreeMap<[u8; 16], i64>,
    /// Left out here, and not yet seen as gaps.
    left_out: u64,
}

impl Counts {
    /// How many samples of this publisher are missing before this one.
    fn gap(&mut self, gid: [u8; 16], sequence: i64) -> u64 {
        let Some(last) = self.last.get_mut(&gid) else {
            self.last.insert(gid, sequence);
            return 0;
        };
        // Sequence numbers come from outside and may be anything.
        let gap = u64::try_from(sequence.saturating_sub(*last).saturating_sub(1)).unwrap_or(0);
        *last = sequence.max(*last);
        // What was left out here is a gap too, and no loss on the way.
        let own = gap.min(self.left_out);
        self.left_out -= own;
        gap - own
    }
}

/// What writes the bag.
struct Pen<'t> {
    writer: BagWriter,
    types: &'t Types,
    /// Samples of types that are being asked for.
    held: Held<Waiting>,
    counts: Counts,
}

impl Pen<'_> {
    fn write_until_stopped(&mut self, inbox: &Inbox) -> Result<(), WriteError> {
        while !inbox.stop.load(Ordering::Relaxed) {
            self.write(inbox.take(Duration::from_millis(200)))?;
        }
        Ok(())
    }

    fn write(&mut self, cache: Cache) -> Result<(), WriteError> {
        self.write_held()?;
        self.writer.drop_messages("cache full", cache.dropped);
        self.counts.left_out = self.counts.left_out.saturating_add(cache.dropped).saturating_add(cache.skipped);
        let mut lost: u64 = 0;
        for item in cache.waiting {
            let RawSample { payload, type_name, type_hash, attachment } = &item.sample;
            lost = lost.saturating_add(self.counts.gap(attachment.gid, attachment.sequence));
            // One whose type is known by now must not overtake those that wait.
            let known = !self.held.has(type_name, type_hash) && self.put(&item, false)?;
            if known {
                continue;
            }
            let (name, hash, size) = (type_name.clone(), type_hash.clone(), payload.len());
            if self.held.is_full_for(size) {
                eprintln!("{name} is recorded without its definition: too much came before anybody told it");
                self.types.give_up(&name, &hash);
            }
            self.held.push(&name, &hash, size, item);
            if self.held.is_full_for(0) {
                self.write_held()?;
            }
        }
        self.writer.drop_messages("lost on the way", lost);
        self.writer.flush_due(wall_ns())
    }

    /// Writes what waited for a definition that has come, or will not come.
    fn write_held(&mut self) -> Result<(), WriteError> {
        for item in self.held.take(|item| self.types.schema(&item.sample.type_name, &item.sample.type_hash).is_some()) {
            self.put(&item, true)?;
        }
        Ok(())
    }

    /// Writes a sample, unless what its type consists of is not known yet; whether it did.
    fn put(&mut self, Waiting { topic, sample, received_ns }: &Waiting, late: bool) -> Result<bool, WriteError> {
        let RawSample { payload, type_name, type_hash, attachment } = sample;
        let Some(schema) = self.types.schema(type_name, type_hash) else { return Ok(false) };
        let channel = Channel {
            topic: &topic.name,
            message_type: type_name,
            definition: &schema.definition,
            type_hash: &schema.type_hash,
            qos: &topic.qos,
        };
        let published_ns = u64::try_from(attachment.source_time_ns).unwrap_or(*received_ns);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let sequence = attachment.sequence as u32;
        if late {
            self.writer.write_late(&channel, *received_ns, published_ns, sequence, payload)?;
        } else if let Some(closed) = self.writer.write(&channel, *received_ns, published_ns, sequence, payload)? {
            eprintln!("closed {}", closed.display());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_by_publisher() {
        let mut counts = Counts::default();
        let gaps: Vec<u64> = [(1, 5), (1, 6), (2, 1), (1, 9), (1, 8), (2, 2)].map(|(who, n)| counts.gap([who; 16], n)).to_vec();
        assert_eq!(gaps, [0, 0, 0, 2, 0, 0]);
        assert_eq!(counts.gap([3; 16], i64::MIN), 0);
        assert_eq!(counts.gap([3; 16], i64::MAX), i64::MAX as u64 - 1, "as far as numbers go");
        assert_eq!(counts.gap([3; 16], i64::MIN), 0);
        counts.left_out = 3;
        assert_eq!(counts.gap([1; 16], 15), 2, "of five that are missing three were left out here");
    }

    #[test]
    fn a_search_that_fails_ends_the_recording_and_closes_the_bag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let writer = BagWriter::create(&path, Naming::Folder, BagOptions::default()).unwrap();
        let inbox = Arc::new(Inbox::default());
        let looking = Arc::clone(&inbox);
        let scout = std::thread::spawn(move || {
            looking.stop();
            anyhow::bail!("the router is gone")
        });
        let types = Types::default();
        let pen = Pen { writer, types: &types, held: Held::new(100), counts: Counts::default() };
        let error = record(pen, &inbox, scout, std::thread::spawn(|| ())).0.unwrap_err().to_string();
        assert!(error.contains("the router is gone; 0 messages are kept"), "{error}");
        assert!(path.join("metadata.yaml").is_file() && !bags::Bag::open(&path).unwrap().cut);
    }

    fn item(type_name: &str, type_hash: &str, payload: Vec<u8>) -> Waiting {
        Waiting {
            topic: Arc::new(Topic { name: "/a".into(), qos: Vec::new() }),
            sample: RawSample {
                payload: payload.into(),
                type_name: type_name.into(),
                type_hash: type_hash.into(),
                attachment: wire::Attachment { sequence: 1, source_time_ns: 0, gid: [0; 16] },
            },
            received_ns: 0,
        }
    }

    #[test]
    fn what_waits_for_its_definition_is_kept_in_order_and_written_without_it_at_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let writer = BagWriter::create(&path, Naming::Folder, BagOptions::default()).unwrap();
        let types = Types::default();
        let mut pen = Pen { writer, types: &types, held: Held::new(100), counts: Counts::default() };
        let mut come = |name: &str, hash: &str, number: u8, size: usize| {
            let waiting = VecDeque::from([item(name, hash, vec![number; size])]);
            pen.write(Cache { waiting, ..Cache::default() }).unwrap();
            pen.writer.metadata().messages
        };
        assert_eq!(come("demo/msg/Spot", "RIHS01_1", 1, 40), 0);
        assert_eq!(come("std_msgs/msg/String", wire::NO_TYPE_HASH, 2, 40), 1, "others do not wait");
        assert_eq!(come("demo/msg/Spot", "RIHS01_2", 3, 40), 1);
        assert_eq!(come("demo/msg/Spot", "RIHS01_1", 4, 40), 3, "no room for more");
        assert_eq!(come("demo/msg/Spot", "RIHS01_1", 5, 40), 4);
        types.give_up("demo/msg/Spot", "RIHS01_2");
        assert_eq!(come("demo/msg/Spot", "RIHS01_2", 6, 40), 6);
        pen.writer.finish().unwrap();
        let bag = bags::Bag::open(&path).unwrap();
        let found: Vec<_> = bag.channels.iter().map(|c| (c.message_type.as_str(), c.type_hash.as_str(), c.messages)).collect();
        let text = msgs::registry::find("std_msgs/msg/String").unwrap();
        assert_eq!(found, [(text.name, text.hash, 1), ("demo/msg/Spot", "RIHS01_1", 3), ("demo/msg/Spot", "RIHS01_2", 2)]);
        let mut reader = bags::BagReader::new(&bag, 0);
        let mut order: [Vec<u8>; 3] = Default::default();
        while let Some(message) = reader.next_message().unwrap() {
            order[message.channel].push(message.data[0]);
        }
        assert_eq!(order, [vec![2], vec![1, 4, 5], vec![3, 6]]);
    }

    #[test]
    fn a_full_cache_drops_what_comes_and_counts_it() {
        let inbox = Inbox::default();
        let item = |size: usize| item("", "", vec![0; size]);
        for size in [500, 40, 60, 10] {
            inbox.push(item(size), 100);
        }
        let cache = inbox.take(Duration::ZERO);
        assert_eq!((cache.waiting.len(), cache.dropped), (1, 3));
        inbox.paused.store(true, Ordering::Relaxed);
        inbox.push(item(1), 100);
        inbox.stop.store(true, Ordering::Relaxed);
        let cache = inbox.take(Duration::ZERO);
        assert_eq!((cache.waiting.len(), cache.dropped, cache.skipped), (0, 0, 1));
    }
}
