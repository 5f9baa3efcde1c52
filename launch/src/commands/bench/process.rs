//! Edges between processes of one host: this program starts itself as the publisher, over the wire with its default settings; and the
//! same bytes over plain Zenoh. Both processes read the same clock of the system.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use graph::{Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Qos, Setup, SetupError, Time};
use msgs::sensor_msgs::msg::Image;
use parking::Samples;
use wire::{PlainPublisher, PlainSubscription, Wire, WireConfig};

use super::edge::{IMAGE_BYTES, Source, TOPIC, source};
use super::report::{Goal, Group, Row, quantile};
use crate::cli::{BenchPublishArgs, BenchPublisher};

/// What is sent, and its name.
const SIZES: [(i64, &str); 6] = [
    (64, "64 B"),
    (4 << 10, "4 KiB"),
    (64 << 10, "64 KiB"),
    (1 << 20, "1 MiB"),
    (IMAGE_BYTES, "6.2 MB"),
    (3840 * 2160, "8.3 MB"),
];

/// What the publishing process says when it is ready.
const READY: &str = "ready";
/// How long it may take to say so, and the first message to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages before the measurement: pools and buffers grow to their size, and it is found out who listens.
const WARM_UP: usize = 100;
/// The time between two messages, ms.
const PERIOD_MS: u64 = 20;
/// Of the plain rows.
const PLAIN_KEY: &str = "omnimind/bench/plain";

/// Measures for about `seconds` per row.
pub fn measure(seconds: f64) -> Group {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = ((seconds * 1000.0) as usize / PERIOD_MS as usize).max(10);
    let mut rows = Vec::new();
    for (bytes, size) in SIZES {
        for (reading, how) in [(false, "not read"), (true, "every byte read")] {
            let goal = (bytes == IMAGE_BYTES && !reading).then_some(Goal::Below(50.0));
            let name = format!("graph to graph, {size}, {how}");
            match graph_to_graph(bytes, count, reading) {
                Ok((times, carrier)) => {
                    let note = format!("{count} messages, {carrier}");
                    let mut row = Row::new(format!("{name}, p50"), quantile(&times, 0.5), "us", note);
                    row.goal = goal;
                    rows.extend([row, Row::new(format!("{name}, p99"), quantile(&times, 0.99), "us", "")]);
                }
                Err(error) => {
                    let mut row = Row::missing(format!("{name}, p50"), "us", &error);
                    row.goal = goal;
                    rows.push(row);
                }
            }
        }
        let plainly = [
            (BenchPublisher::Tcp, "TCP"),
            (BenchPublisher::Plain, "put of a Vec"),
            (BenchPublisher::Shared, "written in shared memory"),
        ];
        for (kind, how) in plainly {
            let name = format!("plain Zenoh, {size}, {how}");
            match plain(kind, bytes, count) {
                Ok((arrived, read, shared)) => {
                    let note = format!("{count} messages, raw bytes, {shared} came in shared memory");
                    rows.push(Row::new(format!("{name}, not read, p50"), quantile(&arrived, 0.5), "us", note));
                    rows.push(Row::new(format!("{name}, not read, p99"), quantile(&arrived, 0.99), "us", ""));
                    rows.push(Row::new(format!("{name}, every byte read, p50"), quantile(&read, 0.5), "us", ""));
                }
                Err(error) => rows.push(Row::missing(name, "us", &error)),
            }
        }
    }
    Group { title: "edge between two processes of this host, default settings", rows }
}

/// Times in microseconds from publish to the start of the handler, or to its end if it reads, and how the samples travelled.
fn graph_to_graph(bytes: i64, count: usize, reading: bool) -> Result<(Vec<f64>, String)> {
    let config = private_config()?;
    let wire = Arc::new(Wire::open(config.clone())?);
    let samples = Samples::register();
    let log = graph::silent_sink();
    let mut graph =
        Graph::new(GraphConfig { mode: Mode::FreeRunning, log, transport: Some(wire.clone()), ..GraphConfig::default() })?;
    let wanted = i64::try_from(WARM_UP + count)?;
    let parameters =
        [("samples".to_owned(), samples.id.into()), ("count".to_owned(), wanted.into()), ("read".to_owned(), reading.into())]
            .into();
    graph.add(NodeFactory::of::<Listener>(), NodeSpec { parameters, ..NodeSpec::default() })?;
    let mut publisher = Publisher::start(BenchPublisher::Graph, &config, bytes)?;
    let report = graph.run();
    publisher.check()?;
    let times = samples.take();
    if times.len() < WARM_UP + count {
        bail!("{} of {} messages came: {}", times.len(), WARM_UP + count, report.reason);
    }
    // As counted where they came in: what a publisher meant to do proves nothing.
    let came = wire.statistics();
    Ok((
        times[WARM_UP..].to_vec(),
        format!("{} of {} not over Zenoh, {} in shared memory", came.carried, came.received, came.received_shared),
    ))
}

/// Times in microseconds from put to the start of the callback, and until every byte was read; how many came in shared memory.
fn plain(kind: BenchPublisher, bytes: i64, count: usize) -> Result<(Vec<f64>, Vec<f64>, usize)> {
    let config = WireConfig { shared_memory: kind != BenchPublisher::Tcp, ..private_config()? };
    // It holds the router.
    let _wire = Wire::open(config.clone())?;
    let (sender, times) = mpsc::channel();
    let _subscription = PlainSubscription::open(&config, PLAIN_KEY, move |bytes, shared| {
        let arrived = Time::wall();
        read(bytes);
        let ended = Time::wall();
        let sent = bytes.first_chunk().map_or(0, |stamp| i64::from_le_bytes(*stamp));
        let sent = Time::from_nanos(sent);
        // The receiver lives until enough have come.
        let _ = sender.send((arrived.seconds_since(sent) * 1e6, ended.seconds_since(sent) * 1e6, shared));
    })?;
    let mut publisher = Publisher::start(kind, &config, bytes)?;
    let mut both: Vec<(f64, f64, bool)> = Vec::new();
    while both.len() < WARM_UP + count {
        match times.recv_timeout(PATIENCE) {
            Ok(pair) => both.push(pair),
            Err(_) => {
                publisher.check()?;
                bail!("{} of {} messages came", both.len(), WARM_UP + count);
            }
        }
    }
    let measured = both.split_off(WARM_UP);
    let shared = measured.iter().filter(|m| m.2).count();
    let (arrived, ended) = measured.into_iter().map(|(arrived, ended, _)| (arrived, ended)).unzip();
    Ok((arrived, ended, shared))
}

/// Looks at every byte.
fn read(bytes: &[u8]) {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    std::hint::black_box(rest.iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte))));
}

/// The default settings, with a router of its own: nobody else's network is measured or disturbed.
fn private_config() -> Result<WireConfig> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("no free port on loopback")?.port();
    Ok(WireConfig { router: format!("tcp/127.0.0.1:{port}"), ..WireConfig::default() })
}

/// The publishing process; it ends when this is dropped.
struct Publisher {
    child: Child,
}

impl Publisher {
    fn start(kind: BenchPublisher, config: &WireConfig, bytes: i64) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the omnimind program")?;
        let mut command = Command::new(program);
        command.args(["bench-publish", "--router", &config.router, "--bytes", &bytes.to_string(), "--how", kind.name()]);
        Self::wait_for(command, PATIENCE)
    }

    /// Starts `command` and waits until it is ready.
    fn wait_for(mut command: Command, patience: Duration) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the publishing process")?;
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("the publishing process has no output"))?;
        let mut this = Self { child };
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            // An error reads as a process that says nothing; a receiver that is gone has given up.
            let _ = BufReader::new(stdout).read_line(&mut text);
            drop(sender.send(text));
        });
        match line.recv_timeout(patience) {
            Ok(text) if text.trim() == READY => Ok(this),
            Ok(text) if text.is_empty() => Err(this.last_words()),
            Ok(text) => bail!("the publishing process said `{}` where `{READY}` was expected", text.trim()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!("the publishing process was not ready within {patience:?}")
            }
        }
    }

    /// An error if the process has ended by itself.
    fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(_) => Err(self.last_words()),
        }
    }

    fn last_words(&mut self) -> anyhow::Error {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // What cannot be read is not told.
            let _ = stderr.read_to_string(&mut text);
        }
        let status = self.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        anyhow!("the publishing process ended ({status}): {}", text.trim())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Errors mean that it is gone already. It holds nothing that outlives it but shared memory, which Zenoh takes back.
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `omnimind bench-publish`: publishes until its standard input closes.
pub fn publish(args: &BenchPublishArgs) -> Result<ExitCode> {
    let shared_memory = args.how != BenchPublisher::Tcp;
    let config = WireConfig { router: args.router.clone(), embed_router: false, shared_memory, ..WireConfig::default() };
    if args.how == BenchPublisher::Graph {
        let wire = Arc::new(Wire::open(config)?);
        let log = graph::silent_sink();
        let mut graph =
            Graph::new(GraphConfig { mode: Mode::FreeRunning, log, transport: Some(wire), ..GraphConfig::default() })?;
        let mut spec = source(args.bytes, i64::from(u32::MAX));
        spec.parameters.insert("period_ms".to_owned(), i64::try_from(PERIOD_MS)?.into());
        graph.add(NodeFactory::of::<Source>(), spec)?;
        crate::process::stop_with_parent(graph.stop_flag());
        println!("{READY}");
        graph.run();
        return Ok(ExitCode::SUCCESS);
    }
    let publisher = PlainPublisher::open(&config, PLAIN_KEY)?;
    let length = usize::try_from(args.bytes)?.max(8);
    println!("{READY}");
    let (sender, closed) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(sender);
    });
    if !publisher.wait_matched(PATIENCE) {
        bail!("nobody listens");
    }
    let mut without = 0;
    while closed.recv_timeout(Duration::from_millis(PERIOD_MS)) == Err(RecvTimeoutError::Timeout) {
        // As the graph's source does, the picture is new each time, and there before the clock starts.
        let mut picture = vec![7_u8; length];
        let stamp = Time::wall().as_nanos().to_le_bytes();
        if args.how != BenchPublisher::Shared {
            picture[..8].copy_from_slice(&stamp);
            publisher.put(picture)?;
        } else {
            let fill = |buffer: &mut [u8]| {
                buffer.copy_from_slice(&picture);
                buffer[..8].copy_from_slice(&stamp);
            };
            if publisher.put_shared(length, fill)? {
                without = 0;
            } else {
                without += 1;
                if without * PERIOD_MS > 5000 {
                    bail!("no shared memory for 5 s");
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes times and ends the graph when it has enough, or when nothing comes.
struct Listener {
    samples: i64,
    read: bool,
    left: i64,
    last: Instant,
}

impl Node for Listener {
    const NAME: &'static str = "bench_listener";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let samples = s.param("samples", 0_i64).describe("where times go").read_only().declare()?.get();
        let left = s.param("count", 1_i64).range(1.0, 1e9).describe("messages").declare()?.get();
        let read = s.param("read", false).describe("looks at every byte").read_only().declare()?.get();
        s.subscribe(TOPIC, Qos::reliable(10), Self::on_image)?;
        s.timer(Duration::from_millis(200), Self::watch)?;
        Ok(Self { samples, read, left, last: Instant::now() })
    }
}

impl Listener {
    fn on_image(&mut self, ctx: &mut Context, image: Arc<Image>) -> HandlerResult {
        if self.read {
            read(&image.data);
        }
        let now = Time::wall();
        parking::note(self.samples, now.seconds_since(Time::from_msg(&image.header.stamp)) * 1e6);
        self.last = Instant::now();
        self.left -= 1;
        if self.left == 0 {
            ctx.shutdown("measured");
        }
        Ok(())
    }

    fn watch(&mut self, ctx: &mut Context) -> HandlerResult {
        if self.last.elapsed() > PATIENCE {
            ctx.shutdown(format!("nothing came for {PATIENCE:?}"));
        }
        Ok(())
    }
}

/// Where a node leaves figures for whoever started its graph: parameters are all that a node is given.
pub mod parking {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    static PARKED: Mutex<BTreeMap<i64, Vec<f64>>> = Mutex::new(BTreeMap::new());

    /// A place for figures.
    pub struct Samples {
        /// For [`note`].
        pub id: i64,
    }

    impl Samples {
        /// A new place.
        pub fn register() -> Self {
            let mut parked = PARKED.lock().unwrap_or_else(PoisonError::into_inner);
            let id = parked.last_key_value().map_or(1, |(id, _)| id + 1);
            parked.insert(id, Vec::new());
            Self { id }
        }

        /// What has been noted so far; from then on it is gone.
        pub fn take(&self) -> Vec<f64> {
            PARKED.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id, Vec::new()).unwrap_or_default()
        }
    }

    impl Drop for Samples {
        fn drop(&mut self) {
            PARKED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        }
    }

    /// Notes a figure; one for a place that is gone is dropped with it.
    pub fn note(id: i64, value: f64) {
        if let Some(values) = PARKED.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id) {
            values.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn refused(script: &str) -> String {
        Publisher::wait_for(shell(script), Duration::from_millis(300)).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_publishing_process_that_fails_is_told_with_its_last_words() {
        let text = refused("echo 'no router' >&2; exit 3");
        assert!(text.contains("exit status: 3") && text.contains("no router"), "{text}");
        assert!(refused("echo hello; cat").contains("said `hello`"));
        assert!(refused("sleep 3").contains("not ready within"));
    }

    #[test]
    fn a_publishing_process_ends_with_its_owner() {
        let mut publisher = Publisher::wait_for(shell("echo ready; cat; echo bye >&2; exit 4"), PATIENCE).unwrap();
        publisher.check().unwrap();
        let begin = Instant::now();
        drop(publisher);
        assert!(begin.elapsed() < PATIENCE);
        let mut gone = Publisher::wait_for(shell("echo ready; sleep 0.05; echo bye >&2; exit 4"), PATIENCE).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert!(gone.check().unwrap_err().to_string().contains("bye"));
    }

    #[test]
    fn figures_wait_for_their_owner_and_no_longer() {
        let samples = Samples::register();
        parking::note(samples.id, 1.5);
        assert_eq!((samples.take(), samples.take()), (vec![1.5], Vec::new()));
        let id = samples.id;
        drop(samples);
        parking::note(id, 2.0);
        assert!(Samples { id }.take().is_empty());
    }
}
