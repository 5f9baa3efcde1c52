//! The processes of this host that take samples in shared memory (crate `carrier`): who they are, who else listens, and what comes
//! from them.
//!
//! Each session announces itself by a liveliness token of our own, `@omnimind/<domain>/<zid>/carrier/<address>`, which other ROS 2
//! systems never look at. Every subscription is declared with Zenoh as well; so whoever does not know of this hears everything, and
//! there is always a way when the carrier refuses.

use crate::attachment::Gid;
use carrier::{Address, Host, Link as Carrier, Sample};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zenoh::key_expr::KeyExpr;
use zenoh::sample::SampleKind;
use zenoh::{Session, Wait};

/// First chunk of our own tokens. A chunk with `@` is matched by no wildcard.
const PREFIX: &str = "@omnimind";
/// How often is looked after processes that have ended, and after listeners without a token.
const LOOK: Duration = Duration::from_secs(1);
/// The pause between something new and that look: what belongs together comes together.
const SETTLE: Duration = Duration::from_millis(50);
/// A publisher's listeners are known so long after it was declared, at the latest.
const KNOWN: Duration = Duration::from_millis(100);
/// Threads that wait for samples. One of them never runs handlers, so that somebody always listens.
const WAITING: usize = 2;
/// How long a thread sleeps at most.
const NAP: Duration = Duration::from_secs(1);

/// The key that matches all tokens of a domain.
pub(crate) fn tokens(domain: u32) -> String {
    format!("{PREFIX}/{domain}/*/carrier/*")
}

fn token(domain: u32, zid: &str, address: &Address) -> String {
    format!("{PREFIX}/{domain}/{zid}/carrier/{address}")
}

/// Session and address of a token.
fn parse(key: &str) -> Option<(String, Address)> {
    let mut chunks = key.split('/');
    let (prefix, _domain, zid, kind) = (chunks.next()?, chunks.next()?, chunks.next()?, chunks.next()?);
    let address = chunks.next()?.parse().ok()?;
    (prefix == PREFIX && kind == "carrier" && chunks.next().is_none()).then(|| (zid.to_owned(), address))
}

/// What a subscription of this process does with a sample from a neighbour.
pub(crate) type Deliver = Arc<dyn Fn(&Sample<'_>) + Send + Sync>;

/// The subscriptions of one topic.
#[derive(Default)]
struct Group {
    members: Vec<(u64, Deliver)>,
    /// By publisher: the last sample that came over Zenoh, and how many subscriptions have it.
    elsewhere: HashMap<Gid, (i64, usize)>,
}

/// Who listens where, as Zenoh's routing tables have it.
#[derive(Default)]
struct Listeners {
    /// When that was looked up.
    at: Option<Instant>,
    /// Key and session; the session may be a router that speaks for others.
    all: Vec<(KeyExpr<'static>, String)>,
}

/// Counters.
#[derive(Default)]
pub(crate) struct Counts {
    /// Samples that came over the carrier.
    pub received: AtomicU64,
    /// Those of them that lay in the sender's memory.
    pub received_shared: AtomicU64,
    /// Samples that came both ways, or late, and were not handed over again.
    pub doubles: AtomicU64,
    /// Samples not sent to a neighbour because it takes nothing.
    pub dropped: AtomicU64,
}

/// The neighbours of a session.
pub(crate) struct Neighbours {
    pub host: Host,
    pub counts: Counts,
    zid: String,
    domain: u32,
    peers: Mutex<BTreeMap<String, Address>>,
    /// By key of the topic, as its subscriptions' tokens say: sessions and how many subscriptions they have.
    announced: Mutex<HashMap<String, BTreeMap<String, usize>>>,
    listeners: Mutex<Listeners>,
    groups: RwLock<HashMap<String, Group>>,
    next: AtomicU64,
    /// Counts changes of who listens where.
    topology: AtomicU64,
    waiting: AtomicUsize,
    /// Publishers with ways to neighbours.
    pub choosing: AtomicUsize,
    started: AtomicBool,
    look: Mutex<Option<mpsc::SyncSender<()>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Neighbours {
    /// Opens the way in. `None` where the system has no such thing.
    pub fn open(zid: String, domain: u32) -> Option<Arc<Self>> {
        let host = Host::open().ok()?;
        Some(Arc::new(Self {
            host,
            counts: Counts::default(),
            zid,
            domain,
            peers: Mutex::default(),
            announced: Mutex::default(),
            listeners: Mutex::default(),
            groups: RwLock::default(),
            next: AtomicU64::new(1),
            topology: AtomicU64::new(1),
            waiting: AtomicUsize::new(0),
            choosing: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            look: Mutex::new(None),
            threads: Mutex::default(),
        }))
    }

    /// The token that announces it.
    pub fn token(&self) -> String {
        token(self.domain, &self.zid, self.host.address())
    }

    /// A session's token came or went.
    pub fn peer(self: &Arc<Self>, key: &str, kind: SampleKind, session: &Session) {
        let Some((zid, address)) = parse(key) else { return };
        if zid == self.zid || !self.host.reaches(&address) {
            return;
        }
        match kind {
            SampleKind::Put => {
                self.peers.lock().insert(zid, address);
                self.start(session);
            }
            SampleKind::Delete => {
                let mut peers = self.peers.lock();
                if peers.get(&zid) == Some(&address) {
                    peers.remove(&zid);
                }
                drop(peers);
                self.host.unlink(&address);
            }
        }
        self.changed();
    }

    /// A subscription's token came or went.
    pub fn announced(&self, key: String, zid: String, kind: SampleKind) {
        let mut announced = self.announced.lock();
        let sessions = announced.entry(key).or_default();
        let count = sessions.entry(zid.clone()).or_default();
        match kind {
            SampleKind::Put => *count += 1,
            SampleKind::Delete => *count = count.saturating_sub(1),
        }
        if *count == 0 {
            sessions.remove(&zid);
            announced.retain(|_, sessions| !sessions.is_empty());
        }
        drop(announced);
        self.changed();
    }

    fn changed(&self) {
        self.topology.fetch_add(1, Ordering::AcqRel);
        self.look_soon();
    }

    /// Has the routing tables looked at.
    pub fn look_soon(&self) {
        if let Some(look) = &*self.look.lock() {
            // One that waits is enough; if nobody receives it, the session is being closed.
            let _ = look.try_send(());
        }
    }

    pub fn topology(&self) -> u64 {
        self.topology.load(Ordering::Acquire)
    }

    /// With a first neighbour: threads that receive, and one that looks after things.
    fn start(self: &Arc<Self>, session: &Session) {
        if self.started.swap(true, Ordering::AcqRel) {
            return;
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        *self.look.lock() = Some(sender);
        let mut threads = self.threads.lock();
        for _ in 0..WAITING {
            let this = Arc::clone(self);
            threads.extend(std::thread::Builder::new().name("wire-carrier".into()).spawn(move || this.receive()));
        }
        let (this, session) = (Arc::clone(self), session.clone());
        let look = move || this.look_after(&session, &receiver);
        threads.extend(std::thread::Builder::new().name("wire-neighbours".into()).spawn(look));
    }

    /// Ends the threads.
    pub fn close(&self) {
        *self.look.lock() = None;
        self.host.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // Not by itself: the last hold of a session may be let go of in a handler.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
        self.host.shut();
    }

    fn receive(&self) {
        while !self.host.is_stopped() {
            let bell = self.host.bell();
            let mut count = 0;
            let may_handle = self.waiting.load(Ordering::Acquire) > 0;
            graph::transport::lend_thread(may_handle, || count = self.drain());
            if count == 0 {
                self.waiting.fetch_add(1, Ordering::AcqRel);
                self.host.sleep(bell, NAP);
                self.waiting.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// Hands over what neighbours have sent. Returns how much there was.
    pub fn drain(&self) -> usize {
        self.host.drain(&mut |sample| {
            let groups = self.groups.read();
            for (_, deliver) in groups.get(&**sample.topic).map(|group| &group.members[..]).unwrap_or_default() {
                deliver(&sample);
            }
        })
    }

    fn look_after(&self, session: &Session, wanted: &mpsc::Receiver<()>) {
        loop {
            let look = match wanted.recv_timeout(LOOK) {
                Ok(()) => {
                    std::thread::park_timeout(SETTLE);
                    let _ = wanted.try_recv();
                    true
                }
                // What changes without a token is of interest to publishers that have a choice.
                Err(RecvTimeoutError::Timeout) => self.choosing.load(Ordering::Acquire) > 0,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // What somebody has sent before it ended is taken before its memory goes.
            self.drain();
            self.host.tidy();
            if look && !self.peers.lock().is_empty() {
                self.look_up(session);
            }
        }
    }

    /// Reads Zenoh's routing tables, which also know of listeners without a token.
    fn look_up(&self, session: &Session) {
        let at = Instant::now();
        let prefix = format!("@/{}/", self.zid);
        let Ok(replies) = session.get(format!("{prefix}*/subscriber/**")).timeout(LOOK).wait() else { return };
        let mut all = Vec::new();
        while let Ok(reply) = replies.recv() {
            let Ok(sample) = reply.result() else { continue };
            let Some((_, key)) = sample.key_expr().as_str().split_once("/subscriber/") else { continue };
            let Ok(key) = KeyExpr::try_from(key.to_owned()) else { continue };
            let text = sample.payload().try_to_string().unwrap_or_default().into_owned();
            // {"routers":["<zid>"],"peers":[],"clients":[]}: every word that is a number in hexadecimal.
            let zids = text.split('"').filter(|word| !word.is_empty() && word.bytes().all(|c| c.is_ascii_hexdigit()));
            all.extend(zids.filter(|zid| *zid != self.zid).map(|zid| (key.clone(), zid.to_owned())));
        }
        all.sort_by(|(a, of_a), (b, of_b)| (a.as_str(), of_a).cmp(&(b.as_str(), of_b)));
        all.dedup();
        let mut listeners = self.listeners.lock();
        let same = listeners.all == all;
        *listeners = Listeners { at: Some(at), all };
        drop(listeners);
        if !same {
            self.topology.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Links to the neighbours that listen to `key`, and what is known of the others.
    pub fn reach(&self, key: &KeyExpr<'_>, declared: Instant) -> Reach {
        let sessions = self.announced.lock().get(key.as_str()).cloned().unwrap_or_default();
        let mut reach = Reach::default();
        let mut reached = Vec::new();
        for zid in sessions.into_keys().filter(|zid| *zid != self.zid) {
            let address = self.peers.lock().get(&zid).cloned();
            match address.and_then(|address| self.host.link(&address).ok()) {
                Some(link) => {
                    reach.links.push(link);
                    reached.push(zid);
                }
                None => reach.others = true,
            }
        }
        if reached.is_empty() {
            reach.others = true;
            return reach;
        }
        let listeners = self.listeners.lock();
        let here: Vec<&str> =
            listeners.all.iter().filter(|(listening, _)| listening.intersects(key)).map(|(_, zid)| &**zid).collect();
        if listeners.at.is_some() && listeners.all.is_empty() {
            // Nothing can be looked up there, or not yet; when that changes it is noticed.
            reach.others = true;
            return reach;
        }
        reach.others |= here.iter().any(|zid| !reached.iter().any(|reached| reached == zid));
        // Where others listen anyway nothing is waited for: a neighbour that is reached only through a router is never found there.
        let old = listeners.at.is_none_or(|at| at < declared + KNOWN);
        reach.unsettled = !reach.others && (old || !reached.iter().all(|zid| here.contains(&&**zid)));
        reach
    }

    /// A subscription of this process to `key`.
    pub fn subscribe(self: &Arc<Self>, key: &str, deliver: Deliver) -> Member {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.groups.write().entry(key.to_owned()).or_default().members.push((id, deliver));
        Member { neighbours: Arc::clone(self), key: key.to_owned(), id }
    }

    /// A subscription to `key` has handed over a sample that came over Zenoh. When all of them have, its sender is told.
    pub fn note_elsewhere(&self, key: &str, gid: &Gid, sequence: i64) {
        let mut groups = self.groups.write();
        let Some(group) = groups.get_mut(key) else { return };
        if group.elsewhere.len() > 256 {
            group.elsewhere.retain(|gid, _| self.host.knows(gid));
        }
        let (last, count) = group.elsewhere.entry(*gid).or_default();
        if *last != sequence {
            (*last, *count) = (sequence, 0);
        }
        *count += 1;
        if *count >= group.members.len() {
            self.host.note_elsewhere(gid, sequence);
        }
    }
}

/// Who is reached how.
#[derive(Default)]
pub(crate) struct Reach {
    /// Neighbours.
    pub links: Vec<Arc<Carrier>>,
    /// Somebody else listens.
    pub others: bool,
    /// Whether somebody else listens is not known yet.
    pub unsettled: bool,
}

/// A subscription among the neighbours', until it is dropped.
pub(crate) struct Member {
    neighbours: Arc<Neighbours>,
    key: String,
    id: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut groups = self.neighbours.groups.write();
        if let Some(group) = groups.get_mut(&self.key) {
            group.members.retain(|(id, _)| *id != self.id);
            if group.members.is_empty() {
                groups.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_say_whose_they_are_and_others_are_not_taken_for_them() {
        let Some(neighbours) = Neighbours::open("aa".into(), 3) else { return };
        let token = neighbours.token();
        assert_eq!(parse(&token), Some(("aa".into(), neighbours.host.address().clone())));
        assert!(
            KeyExpr::try_from(token.clone()).is_ok_and(|key| KeyExpr::try_from(tokens(3)).is_ok_and(|all| all.intersects(&key)))
        );
        for other in ["@ros2_lv/3/aa/1/1/NN/%/%/x", "@omnimind/3/aa/carrier", "@omnimind/3/aa/carrier/x", &format!("{token}/y")] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
