//! The processes of this host that take samples in shared memory (crate `carrier`): who they are, who else listens, and what comes
//! from them.
//!
//! Each session announces itself by a liveliness token of our own, `@omnimind/<domain>/<zid>/carrier/<address>`, which other ROS 2
//! systems never look at. Every subscription is declared with Zenoh as well; so whoever does not know of this hears everything, and
//! there is always a way when the carrier refuses.

use crate::attachment::Gid;
use crate::live::Live;
use carrier::{Address, Host, Link as Carrier, Sample};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zenoh::config::WhatAmI;
use zenoh::key_expr::KeyExpr;
use zenoh::query::QueryTarget;
use zenoh::sample::SampleKind;
use zenoh::{Session, Wait};

/// First chunk of our own tokens. A chunk with `@` is matched by no wildcard.
const PREFIX: &str = "@omnimind";
/// How often is looked after processes that have ended, and after sessions without a token.
const LOOK: Duration = Duration::from_secs(1);
/// What was looked up so long ago is looked up again: while nobody asks, nobody looks.
const OLD: Duration = LOOK.saturating_mul(2);
/// The pause between something new and that look: what belongs together comes together.
const SETTLE: Duration = Duration::from_millis(50);
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

/// Whether there are sessions that say nothing of what they listen to: plain Zenoh programs, plugins of a router, another domain.
#[derive(Default)]
struct Strangers {
    /// When that was looked up.
    at: Option<Instant>,
    any: bool,
}

/// What a router says of itself.
struct Router {
    zid: String,
    /// Identity and kind of those that are connected to it.
    sessions: Vec<(String, String)>,
    plugins: bool,
}

impl Router {
    /// The form of zenoh 1.10's admin space, `@/<zid>/router`.
    fn read(key: &str, text: &[u8]) -> Option<Self> {
        let zid = key.strip_prefix("@/")?.strip_suffix("/router")?.to_owned();
        let value: serde_json::Value = serde_json::from_slice(text).ok()?;
        let session = |session: &serde_json::Value| {
            let text = |name: &str| session.get(name)?.as_str().map(str::to_owned);
            Some((text("peer")?, text("whatami")?))
        };
        let sessions = value.get("sessions")?.as_array()?.iter().map(session).collect::<Option<_>>()?;
        let plugins = value.get("plugins").and_then(serde_json::Value::as_object).is_some_and(|plugins| !plugins.is_empty());
        Some(Self { zid, sessions, plugins })
    }
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
    strangers: Mutex<Strangers>,
    live: Arc<Live>,
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
    pub fn open(domain: u32, live: Arc<Live>) -> Option<Arc<Self>> {
        let host = Host::open().ok()?;
        Some(Arc::new(Self {
            host,
            counts: Counts::default(),
            zid: live.zid.clone(),
            domain,
            peers: Mutex::default(),
            announced: Mutex::default(),
            strangers: Mutex::default(),
            live,
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

    /// Has it looked up who is there.
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
        // Held while they begin: a session that is closed in that moment has either none or all of them to end.
        let mut threads = self.threads.lock();
        if self.host.is_stopped() {
            return;
        }
        *self.look.lock() = Some(sender);
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
        let threads = {
            let mut threads = self.threads.lock();
            self.host.stop();
            *self.look.lock() = None;
            std::mem::take(&mut *threads)
        };
        for thread in threads {
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

    fn look_up(&self, session: &Session) {
        let at = Instant::now();
        let any = self.has_strangers(session);
        let mut strangers = self.strangers.lock();
        let same = strangers.at.is_some() && strangers.any == any;
        *strangers = Strangers { at: Some(at), any };
        drop(strangers);
        if !same {
            self.topology.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether somebody may listen who does not say so by a token. Asked are the own transports and the routers, which say who is connected to
    /// them. Zenoh's routing tables would say more, but a session that reads them through its admin space stands still for ever if somebody
    /// declares something in that moment (zenoh 1.10.2: the reply takes a lock again that the reading has).
    fn has_strangers(&self, session: &Session) -> bool {
        let known = self.live.sessions();
        let is_known = |zid: &str| zid == self.zid || known.contains(zid) || self.peers.lock().contains_key(zid);
        let mut routers = BTreeSet::new();
        for transport in session.info().transports().wait() {
            let zid = transport.zid().to_string();
            if transport.whatami() == WhatAmI::Router {
                routers.insert(zid);
            } else if !is_known(&zid) {
                return true;
            }
        }
        if routers.is_empty() {
            return false;
        }
        let Ok(replies) = session.get("@/*/router").target(QueryTarget::All).timeout(LOOK).wait() else { return true };
        let mut heard = BTreeSet::new();
        while let Ok(reply) = replies.recv() {
            let Ok(sample) = reply.result() else { continue };
            let Some(router) = Router::read(sample.key_expr().as_str(), &sample.payload().to_bytes()) else { return true };
            for (zid, kind) in router.sessions {
                if kind == WhatAmI::Router.to_str() {
                    routers.insert(zid);
                } else if !is_known(&zid) {
                    return true;
                }
            }
            if router.plugins {
                return true;
            }
            heard.insert(router.zid);
        }
        // Behind one that does not say who is connected anybody may be.
        !routers.is_subset(&heard)
    }

    /// Links to the neighbours that listen to `key`, and what is known of the others.
    pub fn reach(&self, key: &KeyExpr<'_>, declared: Instant) -> Reach {
        let sessions = self.announced.lock().get(key.as_str()).cloned().unwrap_or_default();
        let mut reach = Reach::default();
        for zid in sessions.into_keys().filter(|zid| *zid != self.zid) {
            let address = self.peers.lock().get(&zid).cloned();
            match address.and_then(|address| self.host.link(&address).ok()) {
                Some(link) => reach.links.push(link),
                None => reach.others = true,
            }
        }
        if reach.links.is_empty() {
            reach.others = true;
            return reach;
        }
        let strangers = self.strangers.lock();
        reach.others |= strangers.any;
        reach.unsettled = !reach.others && strangers.at.is_none_or(|at| at < declared || at.elapsed() > OLD);
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
    fn a_router_says_who_is_connected_and_what_it_does_not_say_right_is_nothing() {
        let text = br#"{"zid":"ab","plugins":null,"sessions":[{"peer":"cd","whatami":"client","links":[]},{"peer":"ef","whatami":"router"}]}"#;
        let router = Router::read("@/ab/router", text).expect("readable");
        assert_eq!((router.zid.as_str(), router.plugins), ("ab", false));
        let sessions: Vec<(&str, &str)> = router.sessions.iter().map(|(zid, kind)| (&**zid, &**kind)).collect();
        assert_eq!(sessions, [("cd", "client"), ("ef", "router")]);
        assert!(Router::read("@/ab/router", br#"{"plugins":{"rest":{}},"sessions":[]}"#).is_some_and(|router| router.plugins));
        for (key, text) in
            [("@/ab/peer", "{}"), ("@/ab/router", "{"), ("@/ab/router", "{}"), ("@/ab/router", r#"{"sessions":[{}]}"#)]
        {
            assert!(Router::read(key, text.as_bytes()).is_none(), "{key} {text}");
        }
    }

    #[test]
    fn a_neighbour_that_appears_while_the_session_is_closed_starts_nothing_that_would_have_to_be_ended() {
        let Some(neighbours) = Neighbours::open(3, Arc::new(Live::new("aa".into()))) else { return };
        let mut config = zenoh::Config::default();
        config.insert_json5("scouting/multicast/enabled", "false").expect("a setting");
        config.insert_json5("listen/endpoints", "[]").expect("a setting");
        let session = zenoh::open(config).wait().expect("a session");
        neighbours.close();
        neighbours.start(&session);
        assert!(neighbours.threads.lock().is_empty() && neighbours.look.lock().is_none());
    }

    #[test]
    fn tokens_say_whose_they_are_and_others_are_not_taken_for_them() {
        let Some(neighbours) = Neighbours::open(3, Arc::new(Live::new("aa".into()))) else { return };
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
