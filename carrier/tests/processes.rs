//! Two real processes: this test starts itself again as the other one, and stops and kills it.
#![cfg(target_os = "linux")]

use carrier::{Address, Host, Link, Placed, Pool, Refusal};
use parking_lot::RwLock;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const LARGE: usize = 1 << 20;

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The other process.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(role: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_other_process", "--nocapture", "--test-threads=1"]).env("CARRIER_ROLE", role);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// The next line that begins so; the rest of it. The test harness has its own lines between.
    fn hear(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the other process ended");
            if let Some((_, rest)) = line.split_once(&format!("@{word} ")) {
                return rest.trim().to_owned();
            }
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }
}

/// Not a test: what the other process does.
#[test]
fn the_other_process() {
    let Ok(role) = std::env::var("CARRIER_ROLE") else { return };
    let mut words = std::io::stdin().lines().map_while(Result::ok);
    let host = Arc::new(Host::open().unwrap());
    match role.as_str() {
        "listener" | "holder" => {
            println!("@address {}", host.address());
            let (mut held, mut last) = (Vec::new(), 0);
            let listening = Arc::clone(&host);
            std::thread::spawn(move || {
                loop {
                    let bell = listening.bell();
                    let count = listening.drain(&mut |sample| {
                        let whole = sample.payload.iter().all(|byte| *byte == sample.payload[0]);
                        assert!(whole && sample.sequence > last, "{} after {last}", sample.sequence);
                        last = sample.sequence;
                        println!("@got {} {} {} {}", sample.sequence, sample.payload.len(), sample.payload[0], sample.shared);
                        if role == "holder" {
                            held.push(sample.payload);
                        }
                    });
                    if count == 0 {
                        listening.sleep(bell, Duration::from_secs(1));
                    }
                }
            });
            words.next();
        }
        "last words" => {
            let link = host.link(&words.next().unwrap().parse().unwrap()).unwrap();
            let edge = link.add_edge([9; 16], "topic").unwrap();
            wait_until("the edge", || link.is_ready(edge));
            println!("@ready now");
            words.next();
            for sequence in 1..=10 {
                link.send(edge, sequence, 0, &[b"small"]).unwrap();
            }
            println!("@sent all");
            words.next();
        }
        "sender" => {
            let address: Address = words.next().unwrap().parse().unwrap();
            let link = host.link(&address).unwrap();
            let pool = host.pool();
            let edge = link.add_edge([9; 16], "topic").unwrap();
            for sequence in 1.. {
                // Until it is killed.
                let _ = link.send(edge, sequence, 0, &[b"small"]);
                if let Some(placed) = pool.place(LARGE, |bytes| bytes.fill(3)) {
                    let _ = link.send_placed(edge, sequence, 0, &placed);
                }
                if sequence == 100 {
                    println!("@sent 100");
                }
                std::thread::park_timeout(Duration::from_micros(200));
            }
        }
        _ => unreachable!(),
    }
}

/// A link to a listening process, ready for a large sample.
fn connect(host: &Host, other: &mut Other, pool: &Pool) -> (Arc<Link>, carrier::EdgeId, i64) {
    let address: Address = other.hear("address").parse().unwrap();
    let link = host.link(&address).unwrap();
    let edge = link.add_edge([7; 16], "topic").unwrap();
    wait_until("the edge", || link.is_ready(edge));
    let mut sequence = 0;
    wait_until("the memory", || {
        sequence += 1;
        link.send_placed(edge, sequence, 5, &large(pool, sequence).unwrap()).is_ok()
    });
    (link, edge, sequence)
}

fn large(pool: &Pool, sequence: i64) -> Option<Placed> {
    pool.place(LARGE, |bytes| bytes.fill(sequence.to_le_bytes()[0]))
}

/// What this process has open and mapped of this crate's memory; and its open files, whatever they are.
fn leftovers() -> (Vec<String>, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let of = |line: &str| line.split_once("/memfd:omnimind").map(|(_, name)| name.to_owned());
    (maps.lines().filter_map(of).collect(), std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// Tests that look at [`leftovers`] have the process to themselves.
static ALONE: RwLock<()> = RwLock::new(());

#[test]
fn small_and_large_samples_cross_in_order_and_the_large_ones_are_not_copied() {
    let _alone = ALONE.write();
    let before = leftovers();
    let (host, mut other) = (Host::open().unwrap(), Other::start("listener"));
    let pool = host.pool();
    let (link, edge, first) = connect(&host, &mut other, &pool);
    assert_eq!(other.hear("got"), format!("{first} {LARGE} {} true", first.to_le_bytes()[0]));
    for sequence in first + 1..first + 200 {
        let fill = [sequence.to_le_bytes()[0]; 100];
        if sequence % 2 == 0 {
            link.send(edge, sequence, 0, &[&fill[..60], &fill[60..]]).unwrap();
        } else {
            link.send_placed(edge, sequence, 0, &large(&pool, sequence).unwrap()).unwrap();
        }
        let (length, shared) = if sequence % 2 == 0 { (100, false) } else { (LARGE, true) };
        assert_eq!(other.hear("got"), format!("{sequence} {length} {} {shared}", fill[0]));
    }
    assert_eq!(link.send(edge, 1000, 0, &[&[0; carrier::INLINE + 1]]), Err(Refusal::NotReady));
    other.tell("end");
    other.child.wait().unwrap();
    drop((link, host, pool, other));
    assert_eq!(leftovers(), before);
}

#[test]
fn what_a_killed_listener_held_is_free_again_and_nothing_is_left_behind() {
    let _alone = ALONE.write();
    let before = leftovers();
    let host = Host::open().unwrap();
    let pool = host.pool();
    // And so on for any number of listeners.
    for _ in 0..3 {
        let mut other = Other::start("holder");
        let (link, edge, mut sequence) = connect(&host, &mut other, &pool);
        other.hear("got");
        while let Some(placed) = large(&pool, sequence + 1) {
            sequence += 1;
            link.send_placed(edge, sequence, 0, &placed).unwrap();
            other.hear("got");
        }
        host.tidy();
        assert!(large(&pool, 1).is_none(), "the listener lives and holds all of it");
        other.kill();
        host.tidy();
        assert!(large(&pool, 1).is_some() && link.is_gone());
        assert_eq!(link.send(edge, sequence + 1, 0, &[b"x"]), Err(Refusal::NotReady));
    }
    drop((host, pool));
    assert_eq!(leftovers(), before);
}

#[test]
fn a_stopped_listener_stops_nobody_and_goes_on_with_what_was_taken_for_it() {
    let _others = ALONE.read();
    let (host, mut other) = (Host::open().unwrap(), Other::start("listener"));
    let pool = host.pool();
    let (link, edge, first) = connect(&host, &mut other, &pool);
    other.hear("got");
    other.signal(Signal::STOP);
    let (mut accepted, mut refusals) = (Vec::new(), Vec::new());
    let mut sequence = first;
    let payload = [1; 1000];
    while !refusals.contains(&Refusal::Stuck) {
        sequence += 1;
        match link.send(edge, sequence, 0, &[&payload]) {
            Ok(()) => accepted.push(sequence),
            Err(refusal) => {
                refusals.push(refusal);
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }
    assert!(link.is_stuck());
    other.signal(Signal::CONT);
    for sequence in accepted {
        assert!(other.hear("got").starts_with(&format!("{sequence} 1000 ")));
    }
    wait_until("room", || link.send(edge, sequence + 1, 0, &[&payload]).is_ok());
    assert!(!link.is_stuck());
    other.kill();
}

#[test]
fn a_killed_sender_leaves_its_listener_with_what_it_has() {
    let _others = ALONE.read();
    let host = Host::open().unwrap();
    for _ in 0..3 {
        let mut other = Other::start("sender");
        other.tell(&host.address().to_string());
        let mut held = Vec::new();
        wait_until("a large sample", || {
            host.drain(&mut |sample| {
                if sample.shared && held.len() < 3 {
                    held.push(sample.payload);
                }
            });
            held.len() == 3
        });
        assert!(host.knows(&[9; 16]));
        other.hear("sent");
        other.kill();
        host.drain(&mut |_| ());
        host.tidy();
        assert!(!host.has_senders() && !host.knows(&[9; 16]));
        assert!(held.iter().all(|payload| payload.iter().all(|byte| *byte == 3)), "a view outlives its sender");
    }
}

#[test]
fn what_a_sender_sent_before_it_was_killed_is_not_lost_with_it() {
    let _others = ALONE.read();
    let (host, mut other) = (Host::open().unwrap(), Other::start("last words"));
    other.tell(&host.address().to_string());
    wait_until("the sender", || {
        host.drain(&mut |_| ());
        host.knows(&[9; 16])
    });
    other.hear("ready");
    other.tell("send");
    other.hear("sent");
    other.kill();
    host.tidy();
    let mut heard = Vec::new();
    host.drain(&mut |sample| heard.push(sample.sequence));
    assert_eq!(heard, (1..=10).collect::<Vec<_>>());
    host.tidy();
    assert!(!host.has_senders());
}

#[test]
fn the_memory_of_a_publisher_that_ends_is_unmapped_and_only_its_maker_has_a_file_open() {
    let _alone = ALONE.write();
    let (a, b) = (Host::open().unwrap(), Host::open().unwrap());
    let link = a.link(b.address()).unwrap();
    let edge = link.add_edge([1; 16], "topic").unwrap();
    b.drain(&mut |_| ());
    let before = leftovers();
    let pools: Vec<Pool> = std::iter::repeat_with(|| a.pool()).take(10).collect();
    let mut held = Vec::new();
    for (pool, sequence) in pools.iter().zip(1..) {
        wait_until("the memory", || {
            let sent = link.send_placed(edge, sequence, 0, &large(pool, sequence).unwrap());
            b.drain(&mut |sample| held.push(sample.payload));
            sent.is_ok()
        });
    }
    let now = leftovers();
    assert_eq!((held.len(), now.0.len() > before.0.len(), now.1 - before.1), (10, true, 10));
    drop(pools);
    let sweep = || {
        a.tidy();
        b.drain(&mut |_| ());
        leftovers()
    };
    assert_eq!(sweep(), now, "all of it is looked at");
    let last = held.pop();
    drop(held);
    assert_eq!(sweep().1, before.1 + 1);
    assert!(last.is_some_and(|payload| payload.iter().all(|byte| *byte == 10)));
    assert_eq!(sweep(), before);
}

#[test]
fn what_comes_another_way_is_told_to_the_sender() {
    let _others = ALONE.read();
    let (a, b) = (Host::open().unwrap(), Host::open().unwrap());
    let link = a.link(b.address()).unwrap();
    let edge = link.add_edge([1; 16], "topic").unwrap();
    assert!(!link.is_ready(edge));
    b.drain(&mut |_| ());
    assert!(link.is_ready(edge) && link.seen_elsewhere(edge) == 0);
    b.note_elsewhere(&[1; 16], 41);
    b.note_elsewhere(&[1; 16], 40);
    b.note_elsewhere(&[2; 16], 99);
    assert_eq!(link.seen_elsewhere(edge), 41);
    link.remove_edge(edge);
    b.drain(&mut |_| ());
    assert!(!link.is_ready(edge) && !b.knows(&[1; 16]));
    assert!(link.add_edge([3; 16], "other").is_some());
}

#[test]
fn a_listener_that_closes_while_its_process_lives_keeps_its_views_and_gives_back_the_rest() {
    let _others = ALONE.read();
    let (a, b) = (Host::open().unwrap(), Host::open().unwrap());
    let pool = a.pool();
    let link = a.link(b.address()).unwrap();
    let edge = link.add_edge([1; 16], "topic").unwrap();
    let mut held = Vec::new();
    wait_until("a sample", || {
        let _ = link.send_placed(edge, 1, 0, &large(&pool, 1).unwrap());
        b.drain(&mut |sample| held.push(sample.payload));
        !held.is_empty()
    });
    for sequence in 2..5 {
        link.send_placed(edge, sequence, 0, &large(&pool, sequence).unwrap()).unwrap();
    }
    drop(b);
    assert_eq!(link.send(edge, 9, 0, &[b"x"]), Err(Refusal::NotReady));
    a.tidy();
    let free: Vec<Placed> = std::iter::from_fn(|| large(&pool, 0)).collect();
    assert_eq!(free.len(), 7, "all but the one that is held");
    drop(held);
    assert!(large(&pool, 0).is_some());
}

#[test]
fn addresses_that_lead_nowhere_are_refused() {
    let _others = ALONE.read();
    let host = Host::open().unwrap();
    let text = host.address().to_string();
    let parts: Vec<&str> = text.split('-').collect();
    for wrong in [
        format!("{:016x}-{}-{}-{}", 1, parts[1], parts[2], parts[3]),
        format!("{}-{}-{}-{}", parts[0], u32::MAX, parts[2], parts[3]),
        format!("{}-{}-{}-{}", parts[0], parts[1], 1 << 20, parts[3]),
        format!("{}-{}-{}-{:016x}", parts[0], parts[1], parts[2], 2),
    ] {
        assert!(host.link(&wrong.parse().unwrap()).is_err(), "{wrong}");
    }
}
