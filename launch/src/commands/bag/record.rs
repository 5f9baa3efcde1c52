//! `omnimind bag record`: topics of the running graph into a bag, whoever publishes them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use bags::{BagOptions, BagWriter, Channel, Naming, QosProfile, Split, WriterOptions};
use clap::{Args, ValueEnum};
use msgs::MessageType;
use wire::{Client, RawSample, RawSubscription, WireConfig};

use super::pattern;
use crate::remote::full;

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

/// Which topics are recorded.
struct Choice {
    all: bool,
    names: Vec<String>,
    types: Vec<String>,
    include: Option<regex::Regex>,
    exclude: Option<regex::Regex>,
    left_out: Vec<String>,
    left_out_types: Vec<String>,
    hidden: bool,
}

impl Choice {
    fn new(args: &RecordArgs) -> Result<Self> {
        let choice = Self {
            all: args.all,
            names: args.topics_positional.iter().chain(&args.topics).map(|t| full(t)).collect(),
            types: args.topic_types.clone(),
            include: pattern(&args.regex)?,
            exclude: pattern(&args.exclude_regex)?,
            left_out: args.exclude_topics.iter().map(|t| full(t)).collect(),
            left_out_types: args.exclude_topic_types.clone(),
            hidden: args.include_hidden_topics,
        };
        if !choice.all && choice.names.is_empty() && choice.types.is_empty() && choice.include.is_none() {
            bail!("what shall be recorded? name topics, or use --all, --topic-types or --regex");
        }
        Ok(choice)
    }

    fn takes(&self, topic: &str, type_name: &str) -> bool {
        // A topic that is named is meant, hidden or not.
        if self.names.iter().any(|n| n == topic) {
            return true;
        }
        let hidden = topic.split('/').any(|part| part.starts_with('_'));
        let wanted = self.all
            || self.types.iter().any(|t| t == type_name)
            || self.include.as_ref().is_some_and(|pattern| pattern.is_match(topic));
        wanted
            && (self.hidden || !hidden)
            && !self.left_out.iter().any(|n| n == topic)
            && !self.left_out_types.iter().any(|t| t == type_name)
            && !self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(topic))
    }
}

/// A topic that is being recorded.
struct Topic {
    name: String,
    qos: Vec<QosProfile>,
}

struct Waiting {
    topic: Arc<Topic>,
    sample: RawSample,
    received_ns: u64,
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

#[derive(Default)]
struct Inbox {
    cache: Mutex<Cache>,
    filled: Condvar,
    paused: AtomicBool,
    stop: AtomicBool,
}

impl Inbox {
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.filled.notify_all();
    }

    fn push(&self, item: Waiting, most_bytes: usize) {
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

fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// Runs `omnimind bag record`.
pub(super) fn run(args: &RecordArgs) -> Result<ExitCode> {
    let choice = Choice::new(args)?;
    let client = Client::connect(WireConfig::from_env()?)?;
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
    let ears = Ears { choice, overrides, open: BTreeMap::new(), said: BTreeSet::new() };
    // To ask the graph may take seconds: what has come must not wait for it.
    let (looking, most_bytes) = (Arc::clone(&inbox), args.max_cache_size);
    let period = Duration::from_millis(args.polling_interval.max(10));
    let looks = if args.no_discovery { None } else { Some(period) };
    let scout = std::thread::spawn(move || {
        let found = ears.keep_looking(&client, &looking, most_bytes, looks);
        // Without the scout there is nothing more to come.
        looking.stop();
        found
    });
    let (done, losses) = record(writer, &inbox, scout);
    let metadata = done?;
    let losses = if losses.is_empty() { "none dropped".to_owned() } else { format!("dropped: {}", losses.join(", ")) };
    eprintln!("{} messages on {} topics in {}, {losses}", metadata.messages, metadata.topics.len(), folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes what comes until it is told to stop, or something fails; whatever happens, the bag is closed. Also what was dropped, in words.
fn record(
    mut writer: BagWriter,
    inbox: &Inbox,
    scout: std::thread::JoinHandle<Result<u64>>,
) -> (Result<bags::Metadata>, Vec<String>) {
    let mut counts = Counts::default();
    let mut written = write_until_stopped(&mut writer, inbox, &mut counts);
    inbox.stop();
    scout.thread().unpark();
    // The subscriptions end with the scout.
    let looked = scout.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the search for topics panicked")));
    if written.is_ok() {
        // What came until now.
        written = write(&mut writer, inbox.take(Duration::ZERO), &mut counts);
    }
    let ended = match (written, looked) {
        (Err(error), _) => Some(error.to_string()),
        (Ok(()), Err(error)) => Some(format!("{error:#}")),
        (Ok(()), Ok(malformed)) => {
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

fn write_until_stopped(writer: &mut BagWriter, inbox: &Inbox, counts: &mut Counts) -> Result<(), bags::WriteError> {
    while !inbox.stop.load(Ordering::Relaxed) {
        write(writer, inbox.take(Duration::from_millis(200)), counts)?;
    }
    Ok(())
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

fn write(writer: &mut BagWriter, cache: Cache, counts: &mut Counts) -> Result<(), bags::WriteError> {
    writer.drop_messages("cache full", cache.dropped);
    counts.left_out = counts.left_out.saturating_add(cache.dropped).saturating_add(cache.skipped);
    let mut lost: u64 = 0;
    for Waiting { topic, sample, received_ns } in cache.waiting {
        lost = lost.saturating_add(counts.gap(sample.attachment.gid, sample.attachment.sequence));
        let Some(kind) = known(&sample.type_name, &sample.type_hash) else {
            writer.drop_messages("unknown type", 1);
            continue;
        };
        let channel = Channel {
            topic: &topic.name,
            message_type: kind.name,
            definition: kind.definition,
            type_hash: kind.hash,
            qos: &topic.qos,
        };
        let published_ns = u64::try_from(sample.attachment.source_time_ns).unwrap_or(received_ns);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let sequence = sample.attachment.sequence as u32;
        if let Some(closed) = writer.write(&channel, received_ns, published_ns, sequence, &sample.payload)? {
            eprintln!("closed {}", closed.display());
        }
    }
    writer.drop_messages("lost on the way", lost);
    writer.flush_due(wall_ns())
}

/// The type of this name, if its definition here is the publisher's. Humble's publishers state no hash.
fn known(name: &str, hash: &str) -> Option<&'static MessageType> {
    msgs::registry::find(name).filter(|kind| kind.hash == hash || !hash.starts_with("RIHS"))
}

struct Ears {
    choice: Choice,
    overrides: BTreeMap<String, QosProfile>,
    /// By topic and type; `None`: it cannot be recorded, which was said.
    open: BTreeMap<String, (Option<RawSubscription>, String)>,
    said: BTreeSet<String>,
}

impl Ears {
    /// Looks for topics at once and then in each period, if there is one, until the inbox is stopped; then lets go of the subscriptions.
    /// How many samples came with an attachment that cannot be read.
    fn keep_looking(mut self, client: &Client, inbox: &Arc<Inbox>, most_bytes: usize, period: Option<Duration>) -> Result<u64> {
        self.look(client, inbox, most_bytes)?;
        while !inbox.stop.load(Ordering::Relaxed) {
            match period {
                Some(period) => {
                    std::thread::park_timeout(period);
                    self.look(client, inbox, most_bytes)?;
                }
                None => std::thread::park(),
            }
        }
        Ok(self.open.values().filter_map(|(ear, _)| ear.as_ref()).map(RawSubscription::malformed).max().unwrap_or(0))
    }

    /// Looks for topics that are new.
    fn look(&mut self, client: &Client, inbox: &Arc<Inbox>, most_bytes: usize) -> Result<()> {
        for topic in client.graph()?.topics() {
            let (Some(source), false) = (topic.sources.first(), self.open.contains_key(&topic.name)) else { continue };
            if !self.choice.takes(&topic.name, &source.type_name) {
                continue;
            }
            if topic.types.len() > 1 && self.said.insert(topic.name.clone()) {
                eprintln!("{} carries more than one type: {}", topic.name, topic.types.join(", "));
            }
            if known(&source.type_name, &source.type_hash).is_none() {
                let why = if msgs::registry::find(&source.type_name).is_some() {
                    "another definition of it than"
                } else {
                    "it, but not"
                };
                eprintln!("{} is not recorded: its publisher knows {why} this program: {}", topic.name, source.type_name);
                self.open.insert(topic.name.clone(), (None, source.type_name.clone()));
                continue;
            }
            let offers: Vec<QosProfile> = topic.sources.iter().map(|source| QosProfile::from(&source.qos)).collect();
            let request =
                self.overrides.get(&topic.name).copied().or_else(|| QosProfile::request_for(&offers)).unwrap_or_default();
            let mut distinct = offers;
            distinct.dedup();
            let about = Arc::new(Topic { name: topic.name.clone(), qos: distinct });
            let inbox = Arc::clone(inbox);
            let ear = client.subscribe(&topic.name, request.to_qos(), move |sample| {
                inbox.push(Waiting { topic: Arc::clone(&about), sample, received_ns: wall_ns() }, most_bytes);
            })?;
            eprintln!("recording {} [{}]", topic.name, source.type_name);
            self.open.insert(topic.name.clone(), (Some(ear), source.type_name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RecordArgs,
    }

    fn choice(words: &[&str]) -> Result<Choice> {
        Choice::new(&Line::parse_from([&["record"], words].concat()).args)
    }

    #[test]
    fn topics_are_chosen_as_ros2_bag_record_chooses_them() {
        let takes = |words: &[&str], topic: &str| choice(words).unwrap().takes(topic, "std_msgs/msg/String");
        assert!(takes(&["-a"], "/a") && !takes(&["-a"], "/a/_action/status"));
        assert!(takes(&["-a", "--include-hidden-topics"], "/a/_action/status"));
        assert!(takes(&["a", "/b"], "/a") && takes(&["a", "/b"], "/b") && !takes(&["a"], "/c"));
        assert!(takes(&["-e", "^/cam"], "/camera") && !takes(&["-e", "^/cam"], "/scan"));
        assert!(!takes(&["-a", "-x", "image"], "/image_raw") && takes(&["-a", "-x", "image"], "/scan"));
        assert!(takes(&["--topic-types", "std_msgs/msg/String"], "/x") && !takes(&["--topic-types", "std_msgs/msg/Bool"], "/x"));
        assert!(!takes(&["-a", "--exclude-topics", "/x"], "/x"));
        assert!(!takes(&["-a", "--exclude-topic-types", "std_msgs/msg/String"], "/x"));
        assert!(choice(&[]).err().unwrap().to_string().contains("--all"));
        assert!(choice(&["-e", "("]).err().unwrap().to_string().contains("no regular expression"));
    }

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
            bail!("the router is gone")
        });
        let error = record(writer, &inbox, scout).0.unwrap_err().to_string();
        assert!(error.contains("the router is gone; 0 messages are kept"), "{error}");
        assert!(path.join("metadata.yaml").is_file() && !bags::Bag::open(&path).unwrap().cut);
    }

    #[test]
    fn a_full_cache_drops_what_comes_and_counts_it() {
        let inbox = Inbox::default();
        let item = |size: usize| Waiting {
            topic: Arc::new(Topic { name: "/a".into(), qos: Vec::new() }),
            sample: RawSample {
                payload: vec![0; size].into(),
                type_name: String::new(),
                type_hash: String::new(),
                attachment: wire::Attachment { sequence: 1, source_time_ns: 0, gid: [0; 16] },
            },
            received_ns: 0,
        };
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
