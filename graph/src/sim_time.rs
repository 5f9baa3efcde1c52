//! Simulated time: nodes of a free-running graph that follow /clock, as rclcpp's time source lets them.
//!
//! With the parameter `use_sim_time` a node subscribes to /clock (best effort, newest one: rclcpp's ClockQoS). Its time then moves only when a
//! message of /clock is handled in its turn, and its timers fire by that time. In lock-step the graph itself owns time and publishes
//! /clock, so there is nothing to follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msgs::Message;
use msgs::rosgraph_msgs::msg::Clock;
use parking_lot::Mutex;

use crate::context::Context;
use crate::diagnostics::Level;
use crate::error::{HandlerResult, SetupError};
use crate::listen;
use crate::node::{Node, Setup};
use crate::param::Param;
use crate::qos::Qos;
use crate::shared::Shared;
use crate::slot::{Event, Item, NodeState, Slot};
use crate::time::Time;
use crate::topic::{SubscriberCore, Topic};
use crate::transport::Token;

/// Every node of ROS 2 has it.
const PARAMETER: &str = "use_sim_time";

/// A step of /clock beyond this is called a jump on /diagnostics; the clock may be that slow and no slower.
const FORWARD_JUMP: Duration = Duration::from_secs(1);

/// For so long on /clock a jump stays on /diagnostics.
const JUMP_SHOWN: Duration = Duration::from_secs(5);

/// For so long on the wall clock a node waits for /clock before it says that there is none.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which clock a node was on and is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// The same as before: /clock itself jumped.
    Same,
    /// From the wall clock to /clock.
    ToSimTime,
    /// From /clock to the wall clock.
    ToWallTime,
}

/// A node's time did not just go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// Which clock it was and is.
    pub change: ClockChange,
    /// The last time before; zero if /clock had not spoken.
    pub from: Time,
    /// The first time after.
    pub to: Time,
}

impl ClockJump {
    /// From the time before to the time after, ns; negative: back.
    pub fn delta_ns(&self) -> i64 {
        self.to.as_nanos().saturating_sub(self.from.as_nanos())
    }
}

/// Which jumps a node wants to know of (rcl's rcl_jump_threshold_t).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JumpThreshold {
    /// A change of the clock itself.
    pub clock_change: bool,
    /// Steps forward of at least this; `None`: never.
    pub forward: Option<Duration>,
    /// Steps back of at least this; `None`: never.
    pub backward: Option<Duration>,
}

impl Default for JumpThreshold {
    /// Changes of the clock, a second forward, any step back.
    fn default() -> Self {
        Self { clock_change: true, forward: Some(FORWARD_JUMP), backward: Some(Duration::from_nanos(1)) }
    }
}

impl JumpThreshold {
    fn passed(&self, jump: &ClockJump) -> bool {
        if jump.change != ClockChange::Same {
            return self.clock_change;
        }
        let size = Duration::from_nanos(jump.delta_ns().unsigned_abs());
        let limit = if jump.delta_ns() < 0 { self.backward } else { self.forward };
        !size.is_zero() && limit.is_some_and(|limit| size >= limit)
    }
}

/// Thresholds with what is called beyond them.
pub(crate) type JumpHandlers<N> = Vec<(JumpThreshold, Box<dyn FnMut(&mut N, &mut Context, ClockJump) -> HandlerResult + Send>)>;

/// A subscription of one node to /clock; it is taken back when dropped.
struct Link {
    topic: Arc<Topic>,
    subscriber: Arc<SubscriberCore>,
    _token: Option<Box<dyn Token>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.topic.leave(&self.subscriber);
    }
}

#[derive(Default)]
struct State {
    wanted: Option<Param<bool>>,
    topic: String,
    link: Option<Link>,
    /// The subscription that counts: what one before it left in the inbox is not the node's time any more.
    current: Option<Arc<SubscriberCore>>,
    since: Option<Instant>,
    heard: bool,
    /// By timer: how much of its period was left when the clock was changed.
    left: Vec<Duration>,
    /// A change of the clock that the node has not been told of.
    change: Option<ClockJump>,
    /// When /clock jumped last, by itself.
    jumped: Option<Time>,
}

/// What a node goes by: the graph's clock or /clock.
pub(crate) struct NodeClock {
    follows: AtomicBool,
    /// The last time on /clock, ns; zero until there was one.
    time: AtomicI64,
    /// Where /clock comes in.
    port: AtomicUsize,
    state: Mutex<State>,
}

impl Default for NodeClock {
    fn default() -> Self {
        Self {
            follows: AtomicBool::new(false),
            time: AtomicI64::new(0),
            port: AtomicUsize::new(usize::MAX),
            state: Mutex::default(),
        }
    }
}

impl NodeClock {
    pub fn follows(&self) -> bool {
        self.follows.load(Ordering::Acquire)
    }

    pub fn now(&self, shared: &Shared) -> Time {
        if self.follows() { Time::from_nanos(self.time.load(Ordering::Acquire)) } else { shared.now() }
    }

    pub fn is_port(&self, port: usize) -> bool {
        self.port.load(Ordering::Relaxed) == port
    }

    /// Whether an item is a message of a subscription to /clock that was taken back.
    pub fn is_stale(&self, item: &Item) -> bool {
        if !self.is_port(item.port) {
            return false;
        }
        let Some(edge) = &item.edge else { return false };
        let state = self.state.lock();
        !state.current.as_ref().is_some_and(|subscriber| subscriber.counts(edge))
    }

    /// The life of the node is over.
    pub fn reset(&self) {
        // Dropped without the lock: taking back a subscription may take a while.
        let before = std::mem::take(&mut *self.state.lock());
        self.follows.store(false, Ordering::Release);
        self.time.store(0, Ordering::Release);
        self.port.store(usize::MAX, Ordering::Relaxed);
        drop(before);
    }
}

/// Declares `use_sim_time`. A node that starts with it stands at time zero until /clock speaks.
pub(crate) fn declare_use_sim_time<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    let lock_step = setup.shared.lock_step;
    let mut builder = setup.param(PARAMETER, lock_step);
    builder = if lock_step {
        builder.read_only().describe("in lock-step the graph owns time and publishes /clock")
    } else {
        builder.describe("go by /clock instead of the wall clock")
    };
    let wanted = builder.declare()?;
    if lock_step && !wanted.get() {
        setup.warn("use_sim_time is off, but this graph runs in lock-step: it goes by the graph's time all the same");
    }
    if !lock_step {
        setup.slot.clock.follows.store(wanted.get(), Ordering::Release);
        setup.slot.clock.state.lock().wanted = Some(wanted);
    }
    Ok(())
}

/// Opens the port where /clock will come in.
pub(crate) fn listen<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    if setup.shared.lock_step {
        return Ok(());
    }
    let topic = setup.resolver.resolve("/clock")?;
    let mut handlers = std::mem::take(&mut setup.jumps);
    let port = setup.port(
        1,
        Box::new(move |node: &mut N, ctx, event| {
            let changed = ctx.slot.clock.state.lock().change.take();
            let heard = match event {
                Event::Message(any) => any.downcast::<Clock>().and_then(|clock| hear(ctx, Time::from_msg(&clock.clock))),
                _ => None,
            };
            for jump in changed.into_iter().chain(heard) {
                for (threshold, handler) in &mut handlers {
                    if threshold.passed(&jump) {
                        handler(node, ctx, jump)?;
                    }
                }
            }
            Ok(())
        }),
    );
    setup.slot.clock.port.store(port, Ordering::Relaxed);
    setup.slot.clock.state.lock().topic = topic;
    Ok(())
}

impl<N: Node> Setup<N> {
    /// Declares what is called when the node's time jumps: with `use_sim_time` in free-running mode, or when that is switched.
    pub fn on_clock_jump(
        &mut self,
        threshold: JumpThreshold,
        handler: impl FnMut(&mut N, &mut Context, ClockJump) -> HandlerResult + Send + 'static,
    ) {
        self.jumps.push((threshold, Box::new(handler)));
    }
}

/// /clock speaks: the node's time moves there, its timers with it. Returns the step.
fn hear(ctx: &mut Context, now: Time) -> Option<ClockJump> {
    let slot = Arc::clone(&ctx.slot);
    if !slot.clock.follows() {
        return None;
    }
    let from = Time::from_nanos(slot.clock.time.swap(now.as_nanos(), Ordering::AcqRel));
    ctx.tick();
    let (first, left, jumped) = {
        let mut state = slot.clock.state.lock();
        (!std::mem::replace(&mut state.heard, true), std::mem::take(&mut state.left), state.jumped)
    };
    let jump = ClockJump { change: ClockChange::Same, from, to: now };
    if first {
        resume(&slot, now, &left);
        ctx.status(Level::Ok, "clock", "/clock is heard");
    } else {
        if now < from {
            rewind(&slot, now);
        }
        if (JumpThreshold { clock_change: false, ..JumpThreshold::default() }).passed(&jump) {
            slot.clock.state.lock().jumped = Some(now);
            let way = if now < from { "back" } else { "forward" };
            let (size, from, to) = (now.seconds_since(from).abs(), from.as_secs_f64(), now.as_secs_f64());
            ctx.status(Level::Warn, "clock", format!("/clock jumped {way} by {size:.3} s, from {from:.3} s to {to:.3} s"));
        } else if jumped.is_some_and(|at| now > at + JUMP_SHOWN) {
            slot.clock.state.lock().jumped = None;
            ctx.status(Level::Ok, "clock", "/clock runs on");
        }
    }
    fire(&slot, now);
    (now != from).then_some(jump)
}

/// Timers go on with what was left of their periods.
fn resume(slot: &Slot, now: Time, left: &[Duration]) {
    for (index, timer) in slot.timers.lock().iter_mut().enumerate() {
        timer.next = now + left.get(index).copied().unwrap_or(timer.period).min(timer.period);
    }
}

/// Time went back: a timer that would have to wait for more than its period starts anew (rcl: _rcl_timer_time_jump).
fn rewind(slot: &Slot, now: Time) {
    for timer in slot.timers.lock().iter_mut() {
        if timer.next > now + timer.period {
            timer.next = now + timer.period;
        }
    }
}

/// Calls each timer that is due once; periods that were missed are skipped and the phase is kept (rcl: rcl_timer_call).
fn fire(slot: &Arc<Slot>, now: Time) {
    let mut due = Vec::new();
    for timer in slot.timers.lock().iter_mut().filter(|timer| timer.next <= now) {
        due.push(timer.port);
        let period = i64::try_from(timer.period.as_nanos()).unwrap_or(i64::MAX).max(1);
        let late = now.as_nanos().saturating_sub(timer.next.as_nanos());
        // Both are at least zero: what is left of the period under way.
        timer.next = now + Duration::from_nanos((period - late % period).unsigned_abs());
    }
    let generation = slot.generation();
    for port in due {
        slot.push(Item { port, generation, event: Event::Timer, published: None, edge: None });
    }
}

/// Lets the nodes follow /clock that shall, and no others. Called every few milliseconds from where nodes are set up.
pub(crate) fn follow(shared: &Arc<Shared>) {
    for slot in (0..).map_while(|place| shared.slot(place)).filter(|slot| slot.state() == NodeState::Running) {
        let slot = &slot;
        let (wanted, linked) = {
            let state = slot.clock.state.lock();
            (state.wanted.as_ref().map(Param::get), state.link.is_some())
        };
        match (wanted, linked) {
            (Some(true), false) => attach(shared, slot),
            (Some(false), true) => detach(shared, slot),
            (Some(true), true) => complain(slot),
            _ => {}
        }
    }
}

fn attach(shared: &Arc<Shared>, slot: &Arc<Slot>) {
    let name = slot.clock.state.lock().topic.clone();
    let link = match subscribe(shared, slot, &name) {
        Ok(link) => link,
        Err(error) => {
            let why = format!("use_sim_time is on, but {error}");
            slot.statuses.lock().insert("clock".into(), (Level::Error, why));
            return;
        }
    };
    {
        let mut state = slot.clock.state.lock();
        state.link = Some(link);
        state.since = Some(Instant::now());
        state.heard = false;
    }
    change(shared, slot, true);
}

fn detach(shared: &Arc<Shared>, slot: &Arc<Slot>) {
    let link = {
        let mut state = slot.clock.state.lock();
        state.jumped = None;
        state.current = None;
        state.link.take()
    };
    drop(link);
    slot.statuses.lock().remove("clock");
    change(shared, slot, false);
}

/// Puts the node on another clock, unless it is on that already, and tells it.
fn change(shared: &Arc<Shared>, slot: &Arc<Slot>, follows: bool) {
    if slot.clock.follows() == follows {
        return;
    }
    let from = slot.clock.now(shared);
    let heard = slot.clock.state.lock().heard;
    let left: Vec<Duration> = slot
        .timers
        .lock()
        .iter()
        .map(|timer| {
            // A clock that never spoke has used up nothing.
            let left = timer.next.as_nanos().saturating_sub(from.as_nanos()).max(0).unsigned_abs();
            if follows || heard { Duration::from_nanos(left).min(timer.period) } else { timer.period }
        })
        .collect();
    slot.clock.follows.store(follows, Ordering::Release);
    let to = slot.clock.now(shared);
    let change = if follows { ClockChange::ToSimTime } else { ClockChange::ToWallTime };
    if !follows {
        resume(slot, to, &left);
    }
    {
        let mut state = slot.clock.state.lock();
        state.left = if follows { left } else { Vec::new() };
        state.change = Some(ClockJump { change, from, to });
    }
    let (port, generation) = (slot.clock.port.load(Ordering::Relaxed), slot.generation());
    slot.push(Item { port, generation, event: Event::Timer, published: None, edge: None });
}

/// Silence is a bug: a node that waits for /clock does nothing by time.
fn complain(slot: &Slot) {
    let state = slot.clock.state.lock();
    if !state.heard && state.since.is_some_and(|since| since.elapsed() > PATIENCE) {
        let why = "use_sim_time is on and nobody has published /clock yet: the node's time stands still and its timers wait";
        slot.statuses.lock().entry("clock".into()).or_insert_with(|| (Level::Stale, why.to_owned()));
    }
}

fn subscribe(shared: &Arc<Shared>, slot: &Arc<Slot>, name: &str) -> Result<Link, SetupError> {
    let topic = shared.topic(name, Clock::message_type(), &slot.name)?;
    let subscriber = SubscriberCore::of(shared, slot, &topic, slot.clock.port.load(Ordering::Relaxed), Qos::clock());
    slot.clock.state.lock().current = Some(Arc::clone(&subscriber));
    let token = shared.listen(&topic, &subscriber, listen::typed::<Clock>)?;
    Ok(Link { topic, subscriber, _token: token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::Arrival;
    use crate::transport::RemoteSample;
    use crate::{Graph, GraphConfig, Mode, NodeFactory, NodeSpec, runner, silent_sink};
    use msgs::Bytes;

    struct Follower;
    impl Node for Follower {
        const NAME: &'static str = "follower";
        fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
            Ok(Self)
        }
    }

    #[test]
    fn a_time_that_a_subscription_left_behind_is_not_taken_by_the_next() {
        let mut graph =
            Graph::new(GraphConfig { mode: Mode::FreeRunning, log: silent_sink(), ..GraphConfig::default() }).unwrap();
        let mut spec = NodeSpec::default();
        spec.parameters.insert(PARAMETER.into(), true.into());
        graph.add(NodeFactory::of::<Follower>(), spec).unwrap();
        let shared = Arc::clone(graph.shared());
        let slot = shared.slot(1).unwrap();
        runner::start(&shared, &slot);
        let say = |seconds: f64, to: &(Arc<Topic>, Arc<SubscriberCore>)| {
            let clock = Clock { clock: Time::from_secs_f64(seconds).to_msg() };
            let sample = RemoteSample {
                payload: Bytes::new(),
                source_time: Time::ZERO,
                sequence: 1,
                gid: [1; 16],
                age: None,
                carrier: ("network", 1),
            };
            shared.receive(Arrival::new(&to.0, &to.1, Arc::new(clock), &sample));
        };
        let linked = || {
            let state = slot.clock.state.lock();
            state.link.as_ref().map(|link| (Arc::clone(&link.topic), Arc::clone(&link.subscriber))).unwrap()
        };
        let now = || {
            runner::run(&shared, &slot, usize::MAX, || false);
            slot.clock.now(&shared)
        };
        attach(&shared, &slot);
        let before = linked();
        say(5.0, &before);
        assert_eq!(now(), Time::from_secs_f64(5.0));
        // One waits in the inbox and one is on its way when the subscription is taken back.
        say(6.0, &before);
        detach(&shared, &slot);
        attach(&shared, &slot);
        assert_eq!(now(), Time::from_secs_f64(5.0));
        say(7.0, &before);
        assert_eq!(now(), Time::from_secs_f64(5.0));
        say(1.0, &linked());
        assert_eq!(now(), Time::from_secs_f64(1.0));
    }
}
