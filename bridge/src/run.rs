//! The bridge at work.

use crate::filter::{Filter, FilterError};
use crate::plan::{Plan, RouteKey, TopicRoute, TypeKind, plan, serves};
use crate::rcl::{Client, Context, DiscoveryRange, Node, Publisher, RclError, Server, Subscription, Trigger, Types, Waiter};
use crate::routes::{Event, Events, OnDds, OnZenoh, ToDds, ToZenoh};
use crate::sides::{self, BEACON, ENCLAVES, Origins, Seen};
use crate::snapshot::{BRIDGE_NODE, Side, split, working_instead_of};
use crate::status::{self, Row};
use graph::Qos;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use wire::{Gid, Guest, GuestNode, OpenError, WireConfig, WireError, WireType};

/// What to bridge.
#[derive(Debug, Clone)]
pub struct Options {
    /// DDS domain; nothing: as the environment says (`ROS_DOMAIN_ID`).
    pub domain: Option<u32>,
    /// How far DDS looks for others.
    pub range: DiscoveryRange,
    /// Regular expressions of names that may cross; none: all.
    pub allow: Vec<String>,
    /// Regular expressions of names that may not.
    pub deny: Vec<String>,
    /// The Zenoh side.
    pub wire: WireConfig,
    /// How often to say what has crossed.
    pub report: Option<Duration>,
    /// Only say what would cross, and end.
    pub list_once: bool,
}

/// Why the bridge cannot work.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// A pattern is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The DDS side.
    #[error("DDS: {0}")]
    Dds(#[from] RclError),
    /// What every ROS 2 has is not there.
    #[error("{0}")]
    Prefix(String),
    /// The Zenoh side cannot be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The Zenoh side is lost.
    #[error("{0}")]
    Wire(#[from] WireError),
}

/// How long a wait lasts when nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How soon after one look at both sides the next may follow.
const LOOK_AT_MOST: Duration = Duration::from_millis(50);
/// How soon after one check of who is listened to the next may follow.
const REFRESH_AT_MOST: Duration = Duration::from_millis(20);
/// How late after one look the next follows, whatever was noticed.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);
/// How long what failed is left alone.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long a new bridge only looks, so that it finds another that works already before it does the same.
const FIRST_LOOKS: Duration = Duration::from_secs(1);
/// How long both sides may take to be discovered before `list_once` speaks.
const SETTLE: Duration = Duration::from_secs(3);
/// Samples taken from one subscription before the others have their turn.
const BATCH: usize = 32;

/// Bridges until `stop` is set. `say` gets a sentence at a time, for people.
///
/// # Errors
/// [`BridgeError`]. What goes wrong with one topic or service does not end the bridge.
pub fn run(options: &Options, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<(), BridgeError> {
    let filter = Filter::new(&options.allow, &options.deny)?;
    let changed = Arc::new(AtomicBool::new(true));
    let Some(zenoh) = connect(options, &changed, stop, say)? else { return Ok(()) };
    let mut bridge = Bridge::new(options, Arc::new(zenoh), filter, changed)?;
    say(&format!(
        "bridge {} between Zenoh ({}) and DDS domain {}",
        bridge.identity,
        options.wire.router,
        bridge.context.domain()
    ));
    let started = Instant::now();
    let mut reported = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let settled = started.elapsed() >= FIRST_LOOKS;
        bridge.look(settled, settled && !options.list_once, say)?;
        if options.list_once && started.elapsed() > SETTLE {
            say(&status::plan_table(&bridge.plan));
            return Ok(());
        }
        bridge.refresh(say);
        bridge.turn(say)?;
        if options.report.is_some_and(|every| reported.elapsed() >= every) {
            reported = Instant::now();
            say(&bridge.table());
        }
    }
    say(&bridge.table());
    Ok(())
}

/// The Zenoh side, as soon as there is a router.
fn connect(
    options: &Options,
    changed: &Arc<AtomicBool>,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Guest>, OpenError> {
    let mut said = false;
    while !stop.load(Ordering::Relaxed) {
        let flag = Arc::clone(changed);
        match Guest::connect(options.wire.clone(), move || flag.store(true, Ordering::Relaxed)) {
            Ok(guest) => return Ok(Some(guest)),
            Err(error @ OpenError::Unreachable { .. }) if !options.list_once => {
                if !said {
                    say(&format!("waiting: {error}"));
                    said = true;
                }
                std::thread::sleep(TICK);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A bridge. Fields are dropped in this order: first what others see of it.
struct Bridge {
    to_dds: BTreeMap<RouteKey, ToDds>,
    to_zenoh: BTreeMap<RouteKey, ToZenoh>,
    on_dds: BTreeMap<RouteKey, OnDds>,
    on_zenoh: BTreeMap<RouteKey, OnZenoh>,
    mirrors_dds: BTreeMap<String, Arc<Node>>,
    mirrors_zenoh: BTreeMap<String, GuestNode>,
    zenoh_node: GuestNode,
    waiter: Waiter,
    node: Arc<Node>,
    events: Events,
    received: Receiver<Event>,
    context: Arc<Context>,
    zenoh: Arc<Guest>,
    identity: String,
    filter: Filter,
    types: Types,
    /// As decided last.
    plan: Plan,
    /// Of samples on Zenoh.
    origins: Arc<Origins>,
    /// Of samples on DDS: publishers, and whether they are bridges'.
    publishers: BTreeMap<Gid, bool>,
    _beacon: Option<Publisher>,
    changed: Arc<AtomicBool>,
    looked: Option<Instant>,
    refreshed: Option<Instant>,
    next_route: u64,
    failed: BTreeMap<RouteKey, Instant>,
    refused: BTreeMap<String, String>,
    standing_by: Option<String>,
    list_once: bool,
}

impl Bridge {
    fn new(options: &Options, zenoh: Arc<Guest>, filter: Filter, changed: Arc<AtomicBool>) -> Result<Self, BridgeError> {
        let identity = zenoh.session().get(..12).unwrap_or(zenoh.session()).to_owned();
        // One that only looks is no bridge for the others.
        let name = if options.list_once { format!("_omnimind_list_{identity}") } else { format!("{BRIDGE_NODE}{identity}") };
        let domain = options.domain.and_then(|domain| usize::try_from(domain).ok());
        let context = Context::new(domain, options.range, &format!("{ENCLAVES}/b{identity}"))?;
        let node = Node::new(&context, "/", &name)?;
        let mut types = Types::default();
        let ty = types.message("rcl_interfaces/msg/Log").map_err(|error| BridgeError::Prefix(error.to_string()))?;
        let beacon = if options.list_once { None } else { Some(Publisher::new(&node, BEACON, &ty, &Qos::reliable(1))?) };
        let trigger = Trigger::new(&context)?;
        let waiter = Waiter::new(&node, &trigger)?;
        let zenoh_node = zenoh.node("/", &name)?;
        let (sender, received) = channel();
        Ok(Self {
            to_dds: BTreeMap::new(),
            to_zenoh: BTreeMap::new(),
            on_dds: BTreeMap::new(),
            on_zenoh: BTreeMap::new(),
            mirrors_dds: BTreeMap::new(),
            mirrors_zenoh: BTreeMap::new(),
            zenoh_node,
            waiter,
            node,
            events: Events { sender, trigger },
            received,
            context,
            identity,
            filter,
            types,
            plan: Plan::default(),
            origins: Origins::new(&zenoh),
            zenoh,
            publishers: BTreeMap::new(),
            _beacon: beacon,
            changed,
            looked: None,
            refreshed: None,
            next_route: 1,
            failed: BTreeMap::new(),
            refused: BTreeMap::new(),
            standing_by: None,
            list_once: options.list_once,
        })
    }

    /// Looks at both sides if something has changed; if `speak`, says what cannot cross; if `carry`, begins and ends routes.
    fn look(&mut self, speak: bool, carry: bool, say: &mut dyn FnMut(&str)) -> Result<(), BridgeError> {
        let since = self.looked.map_or(LOOK_AT_LEAST, |at| at.elapsed());
        if since < LOOK_AT_MOST || (since < LOOK_AT_LEAST && !self.changed.load(Ordering::Relaxed)) {
            return Ok(());
        }
        self.changed.store(false, Ordering::Relaxed);
        self.looked = Some(Instant::now());
        let zenoh: Seen = sides::zenoh(&self.zenoh.view());
        let dds: Seen = sides::dds(&self.node)?;
        self.origins.update(zenoh.publishers);
        self.publishers = dds.publishers;
        let other = if self.list_once { None } else { working_instead_of(&self.identity, &dds.snapshot, &zenoh.snapshot) };
        if other != self.standing_by {
            match &other {
                Some(other) => say(&format!("standing by: bridge {other} carries between the same two sides")),
                None => say("carrying: the other bridge is gone"),
            }
            self.standing_by = other;
        }
        self.plan = if self.standing_by.is_some() {
            Plan::default()
        } else {
            let types = &mut self.types;
            plan(&dds.snapshot, &zenoh.snapshot, &self.filter, &mut |kind, name| match kind {
                TypeKind::Message => types.message(name).map(|ty| ty.hash.clone()).map_err(|error| error.to_string()),
                TypeKind::Service => types.service(name).map(|ty| ty.hash.clone()).map_err(|error| error.to_string()),
            })
        };
        if speak {
            self.explain(say);
        }
        if carry {
            self.end_routes();
            self.begin_routes(say);
        }
        Ok(())
    }

    /// Says what cannot cross: once, and again if the reason changes. Names with the same reason share a sentence.
    fn explain(&mut self, say: &mut dyn FnMut(&str)) {
        let mut news: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, reason) in &self.plan.refused {
            if self.refused.get(name) != Some(reason) {
                news.entry(reason).or_default().push(name);
            }
        }
        for (reason, names) in news {
            say(&format!("{} cannot cross: {reason}", names.join(", ")));
        }
        self.refused.clone_from(&self.plan.refused);
    }

    fn end_routes(&mut self) {
        let plan = &self.plan;
        let kept = |key: &RouteKey, route: &TopicRoute| {
            plan.topics.get(key).is_some_and(|new| new.request == route.request && new.offer == route.offer)
        };
        self.to_dds.retain(|key, route| kept(key, &route.route));
        for (key, route) in &mut self.to_dds {
            route.route.wanted = plan.topics.get(key).is_some_and(|new| new.wanted);
        }
        self.to_zenoh.retain(|key, route| kept(key, &route.route));
        let kept = |key: &RouteKey, owner: &str| plan.services.get(key).is_some_and(|new| new.owner == owner);
        self.on_dds.retain(|key, route| kept(key, &route.owner));
        self.on_zenoh.retain(|key, route| kept(key, &route.owner));
        let nodes = |side| plan.nodes.get(&side);
        self.mirrors_dds.retain(|name, _| nodes(Side::Zenoh).is_some_and(|nodes| nodes.contains(name)));
        self.mirrors_zenoh.retain(|name, _| nodes(Side::Dds).is_some_and(|nodes| nodes.contains(name)));
        self.failed.retain(|_, at| at.elapsed() < TRY_AGAIN);
    }

    fn begin_routes(&mut self, say: &mut dyn FnMut(&str)) {
        let plan = std::mem::take(&mut self.plan);
        for (side, nodes) in &plan.nodes {
            for name in nodes {
                if let Err(error) = self.mirror(*side, name) {
                    let key = RouteKey { from: *side, name: name.clone(), type_name: String::new() };
                    self.fails(key, &error, say);
                }
            }
        }
        for (key, route) in &plan.topics {
            let known = self.to_dds.contains_key(key) || self.to_zenoh.contains_key(key) || self.failed.contains_key(key);
            if !known && let Err(error) = self.begin_topic(key, route) {
                self.fails(key.clone(), &error, say);
            }
        }
        for (key, route) in &plan.services {
            let known = self.on_dds.contains_key(key) || self.on_zenoh.contains_key(key) || self.failed.contains_key(key);
            if !known && let Err(error) = self.begin_service(key, &route.owner) {
                self.fails(key.clone(), &error, say);
            }
        }
        self.plan = plan;
    }

    fn fails(&mut self, key: RouteKey, error: &str, say: &mut dyn FnMut(&str)) {
        say(&format!("{} from {}: {error}; tried again in {} s", key.name, key.from.name(), TRY_AGAIN.as_secs()));
        self.failed.insert(key, Instant::now());
    }

    /// Announces a node of one side on the other.
    fn mirror(&mut self, from: Side, name: &str) -> Result<(), String> {
        let (namespace, base) = split(name);
        match from {
            Side::Zenoh if !self.mirrors_dds.contains_key(name) => {
                let node = Node::new(&self.context, namespace, base).map_err(|error| error.to_string())?;
                self.mirrors_dds.insert(name.to_owned(), node);
            }
            Side::Dds if !self.mirrors_zenoh.contains_key(name) => {
                let node = self.zenoh.node(namespace, base).map_err(|error| error.to_string())?;
                self.mirrors_zenoh.insert(name.to_owned(), node);
            }
            _ => {}
        }
        Ok(())
    }

    fn begin_topic(&mut self, key: &RouteKey, route: &TopicRoute) -> Result<(), String> {
        let ty = self.types.message(&key.type_name).map_err(|error| error.to_string())?;
        match key.from {
            Side::Zenoh => {
                let made = ToDds::new(&self.node, &key.name, &ty, route).map_err(|error| error.to_string())?;
                self.to_dds.insert(key.clone(), made);
            }
            Side::Dds => {
                let wire_type = wire_type(&key.type_name, &route.hash)?;
                let made = ToZenoh::new(&self.zenoh, &self.zenoh_node, &key.name, &wire_type, &ty, route);
                self.to_zenoh.insert(key.clone(), made.map_err(|error| error.to_string())?);
            }
        }
        Ok(())
    }

    fn begin_service(&mut self, key: &RouteKey, owner: &str) -> Result<(), String> {
        let ty = self.types.service(&key.type_name).map_err(|error| error.to_string())?;
        let wire_type = wire_type(&key.type_name, &ty.hash)?;
        let id = self.next_route;
        self.next_route += 1;
        match key.from {
            Side::Zenoh => {
                let node = self.mirrors_dds.get(owner).unwrap_or(&self.node);
                let client = self.zenoh.client(&self.zenoh_node, &key.name, &wire_type).map_err(|error| error.to_string())?;
                let server = Server::new(node, &key.name, &ty).map_err(|error| error.to_string())?;
                self.on_dds.insert(key.clone(), OnDds::new(id, owner, &key.name, server, client));
            }
            Side::Dds => {
                let node = self.mirrors_zenoh.get(owner).unwrap_or(&self.zenoh_node);
                let client = Client::new(&self.node, &key.name, &ty).map_err(|error| error.to_string())?;
                let events = self.events.clone();
                let made = OnZenoh::new(id, owner, &key.name, &wire_type, client, &self.zenoh, node, events);
                self.on_zenoh.insert(key.clone(), made.map_err(|error| error.to_string())?);
            }
        }
        Ok(())
    }

    /// Lets each topic flow, or not, as it is listened to.
    fn refresh(&mut self, say: &mut dyn FnMut(&str)) {
        if self.refreshed.is_some_and(|at| at.elapsed() < REFRESH_AT_MOST) {
            return;
        }
        self.refreshed = Some(Instant::now());
        // Subscriptions of the bridge that its own publishers are matched with.
        let listening = |key: &RouteKey, offer: &Qos| {
            let back = RouteKey { from: Side::Dds, ..key.clone() };
            let route = self.to_zenoh.get(&back).filter(|route| route.subscription.is_some());
            usize::from(route.is_some_and(|route| serves(offer, &route.route.request)))
        };
        let mut errors = Vec::new();
        for (key, route) in &mut self.to_dds {
            let own = listening(key, &route.route.offer);
            let Ok(ty) = wire_type(&key.type_name, &route.route.hash) else { continue };
            if let Err(error) = route.refresh(own, &self.zenoh, &self.zenoh_node, &key.name, &ty, &self.origins) {
                errors.push((key.clone(), error.to_string()));
            }
        }
        for (key, route) in &mut self.to_zenoh {
            if let Err(error) = route.refresh(&self.node, &key.name) {
                errors.push((key.clone(), error.to_string()));
            }
        }
        for (key, error) in errors {
            // Taken back whole, and made anew when it is tried again.
            self.to_dds.remove(&key);
            self.to_zenoh.remove(&key);
            self.fails(key, &error, say);
        }
        self.on_zenoh.values_mut().for_each(OnZenoh::send);
    }

    /// Waits for something to carry, and carries it.
    fn turn(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), BridgeError> {
        let subscriptions: Vec<_> = self.to_zenoh.values().filter_map(|route| route.subscription.as_ref()).collect();
        let servers: Vec<_> = self.on_dds.values().map(|route| &route.server).collect();
        let clients: Vec<_> = self.on_zenoh.values().map(|route| &route.client).collect();
        let ready = self.waiter.wait(TICK, &subscriptions, &servers, &clients)?;
        if ready.graph {
            self.changed.store(true, Ordering::Relaxed);
        }
        let listening = self.to_zenoh.values_mut().filter(|route| route.subscription.is_some());
        for (_, route) in listening.enumerate().filter(|(place, _)| ready.subscriptions.binary_search(place).is_ok()) {
            for _ in 0..BATCH {
                let Some(sample) = route.subscription.as_mut().and_then(Subscription::take) else { break };
                if !of_bridge(&self.node, &mut self.publishers, &sample.publisher) {
                    route.forward(sample.payload);
                }
            }
        }
        for (_, route) in self.on_dds.values_mut().enumerate().filter(|(place, _)| ready.servers.binary_search(place).is_ok()) {
            route.forward(&self.events);
        }
        for (_, route) in self.on_zenoh.values_mut().enumerate().filter(|(place, _)| ready.clients.binary_search(place).is_ok()) {
            route.forward();
        }
        for event in self.received.try_iter() {
            match event {
                // A route that has ended meanwhile drops what was on its way.
                Event::Request { route: id, request } => {
                    if let Some(route) = self.on_zenoh.values_mut().find(|route| route.id == id) {
                        route.request(request);
                    }
                }
                Event::Answer { route, id, result } => {
                    if let Some(route) = self.on_dds.values_mut().find(|candidate| candidate.id == route)
                        && let Err(reason) = route.answer(id, result)
                    {
                        say(&format!("a call from DDS stays without an answer: {reason}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// What has crossed.
    fn table(&self) -> String {
        let mut rows = Vec::new();
        for (key, route) in &self.to_dds {
            rows.push(Row::new(key, route.active(), &route.counters));
        }
        for (key, route) in &self.to_zenoh {
            rows.push(Row::new(key, route.subscription.is_some(), &route.counters));
        }
        for (key, route) in &self.on_dds {
            rows.push(Row::new(key, true, &route.counters));
        }
        for (key, route) in &self.on_zenoh {
            rows.push(Row::new(key, true, &route.counters));
        }
        status::table(rows, self.refused.len())
    }
}

fn wire_type(name: &str, hash: &str) -> Result<WireType, String> {
    WireType::new(name, hash).ok_or_else(|| format!("`{name}` is not the name of a type"))
}

/// Whether a sample came over another bridge. A publisher that is newer than the last look at the graph is looked up: its beacon has
/// been known for longer than it.
fn of_bridge(node: &Node, publishers: &mut BTreeMap<Gid, bool>, gid: &Gid) -> bool {
    *publishers.entry(*gid).or_insert_with(|| sides::bridges(node).is_ok_and(|bridges| sides::of_bridge(gid, &bridges)))
}
