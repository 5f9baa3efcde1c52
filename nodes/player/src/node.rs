//! The node: plays a bag into the graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use bags::select::Patterns;
use bags::{Bag, QosProfile, ReadAhead, Recorded};
use graph::{
    AnyMessage, Context, FreezeError, HandlerResult, Level, Node, NodeError, Param, Publisher, Qos, RawResponder, Setup,
    SetupError, Time, suggest,
};
use msgs::rosgraph_msgs::msg::Clock;

use crate::frozen::Place;
use crate::keyboard::Keyboard;
use crate::replay::Comparison;
use crate::routes::{Route, Wishes, declare, remaps};
use crate::services;
use crate::timeline::Timeline;

/// Plays the messages of a recording as topics, on the graph's clock.
///
/// Recordings of a simulation play at their own times; recordings with wall-clock times begin at the graph's present.
/// `<topic>/compressed` and `<topic>/compressedDepth` are decoded into `<topic>` where the recording has no raw images. With `replay` nodes of
/// the graph make some topics anew: the player keeps the recorded order of what they take in and what they say, answers their calls
/// as they were answered, and holds what they make against the recording.
pub struct Player {
    pub(crate) bag: Bag,
    pub(crate) rate: Param<f64>,
    pub(crate) asked_rate: f64,
    pub(crate) repeat: bool,
    pub(crate) read_ahead: usize,
    simulated: bool,
    first_ns: i64,
    until_ns: i64,
    delay_ns: i64,
    pub(crate) timeline: Timeline,
    pub(crate) source: Option<ReadAhead>,
    pub(crate) next: Option<Recorded>,
    pub(crate) place: Place,
    /// By channel of the bag.
    routes: Vec<Option<Route>>,
    clock: Option<Publisher<Clock>>,
    pub(crate) replay: Option<Replay>,
    pub(crate) played: u64,
    pub(crate) skipped: u64,
    _keyboard: Option<Keyboard>,
}

/// The nodes under test, as the player sees them.
pub(crate) struct Replay {
    pub(crate) comparison: Comparison,
    /// By channel of answers: who waits for them, with the number of the call.
    pub(crate) waiting: BTreeMap<usize, VecDeque<RawResponder>>,
    /// Calls that the recording never answers: they stay open, as they did then.
    pub(crate) unanswered: Vec<RawResponder>,
    pub(crate) report: String,
    /// The moment that is being replayed, ns.
    pub(crate) moment_ns: u64,
}

/// A simulation starts at zero: times below this are simulated, ns.
const SIMULATED_BELOW_NS: i64 = 100_000_000_000_000_000;

/// What is played unless `topics` says otherwise: what sensors and their drivers say, not what was concluded from it.
const SENSORS: [&str; 17] = [
    "/camera/image_raw",
    "/camera/image_raw/compressed",
    "/camera/depth/image_raw",
    "/camera/depth/image_raw/compressedDepth",
    "/camera/camera_info",
    "/microphone/audio",
    "/touch/contacts",
    "/joint_states",
    "/odom",
    "/imu",
    "/wrist/wrench",
    "/temperature",
    "/scan",
    "/battery_state",
    "/tf",
    "/tf_static",
    "/map",
];

/// What vision, fusion and planner say.
const MADE_ANEW: [&str; 9] = [
    "/vision/detections",
    "/vision/detections_3d",
    "/vision/scene",
    "/vision/features",
    "/fusion/belief",
    "/fusion/alignment",
    "/planner/plan",
    "/planner/goal_status",
    "/planner/energy_forecast",
];

/// What the graph says about itself says it again; what is simulated is nobody's input.
const NOT_REPLAYED: [&str; 8] = [
    "/clock",
    "/rosout",
    "/diagnostics",
    "/parameter_events",
    "/graph/statistics",
    "/graph/snapshot",
    "/sim/*",
    "/execute_goal/*",
];

impl Node for Player {
    const NAME: &'static str = "player";
    /// The recording itself is compared instead.
    const FREE_PARAMETERS: &'static [&'static str] = &["path", "report", "read_ahead", "keyboard"];

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let text = |s: &mut Setup<Self>, name: &str, what: &str| -> Result<String, SetupError> {
            Ok(s.param(name, String::new()).describe(what).read_only().declare()?.get())
        };
        let path = text(s, "path", "the bag to play: a folder or an MCAP file")?;
        let rate =
            s.param("rate", 1.0).range(0.01, 100.0).describe("seconds of recording per second of the graph's clock").declare()?;
        let flag = |s: &mut Setup<Self>, name: &str, default: bool, what: &str| -> Result<bool, SetupError> {
            Ok(s.param(name, default).describe(what).read_only().declare()?.get())
        };
        let repeat = flag(s, "loop", false, "begin again at the end instead of stopping the graph")?;
        let paused = flag(s, "start_paused", false, "wait for ~/resume or ~/play_next")?;
        let own_times = flag(s, "recorded_times", true, "a simulation's recording plays at its own times")?;
        let decode_images = flag(s, "decode_images", true, "compressed images become raw ones where the bag has none")?;
        let replay = flag(s, "replay", false, "nodes make `made_anew` again in lock-step, and are held against the recording")?;
        let keyboard = flag(s, "keyboard", false, "space, cursor right, up and down on a terminal")?;
        let list = |s: &mut Setup<Self>, name: &str, default: &[&str], what: &str| -> Result<Vec<String>, SetupError> {
            let default: Vec<String> = default.iter().map(|t| (*t).to_owned()).collect();
            Ok(s.param(name, default).describe(what).read_only().declare()?.get())
        };
        let topics = list(s, "topics", &SENSORS, "topics to play; a single `*` plays all; a replay plays all")?;
        let exclude = list(s, "exclude", &[], "topics to leave out; * stands for any characters")?;
        let remap = list(s, "remap", &[], "topics to play under another name, from:=to")?;
        let made_anew = list(s, "made_anew", &MADE_ANEW, "topics that nodes make anew in a replay")?;
        let masked = list(s, "masked_fields", &["inference_ms"], "fields with measured times, which a replay cannot make again")?;
        let mut seconds = |name: &str, default: f64, what: &str| -> Result<i64, SetupError> {
            let value = s.param(name, default).unit("s").range(-1.0, 1e9).describe(what).read_only().declare()?.get();
            #[allow(clippy::cast_possible_truncation)]
            Ok((value * 1e9) as i64)
        };
        let offset_ns = seconds("start_offset", 0.0, "seconds of recording to leave out at the start")?.max(0);
        let duration_ns = seconds("playback_duration", -1.0, "seconds of recording to play; below zero: all")?;
        let delay_ns = seconds("delay", 0.0, "seconds to wait before the first message")?.max(0);
        let clock_hz = s
            .param("clock_hz", 0.0)
            .unit("Hz")
            .range(0.0, 1000.0)
            .describe("publish the recording's time on /clock; 0: not")
            .read_only()
            .declare()?
            .get();
        let read_ahead =
            s.param("read_ahead", 1000_i64).range(1.0, 1e6).describe("messages read ahead").read_only().declare()?.get();
        let period_ms = s
            .param("period_ms", 10_i64)
            .unit("ms")
            .range(1.0, 1000.0)
            .describe("how often it looks what is due")
            .read_only()
            .declare()?
            .get();
        let overrides = text(s, "qos_overrides", "file of offered qualities of service by topic, as for ros2 bag; empty: none")?;
        let report = text(s, "report", "file for a replay's result as JSON; empty: none")?;

        if path.is_empty() {
            return Err(s.failed("parameter `path` names no recording"));
        }
        let bag = Bag::open(&PathBuf::from(&path)).map_err(|error| s.failed(error))?;
        if bag.cut {
            s.warn(format!("{path} was cut off; it is played up to the cut"));
        }
        let exclude: Vec<String> =
            if replay { exclude.into_iter().chain(NOT_REPLAYED.map(str::to_owned)).collect() } else { exclude };
        let exclude = Patterns::new(&exclude, "");
        let all = replay || topics.iter().any(|t| t == "*");
        let wanted_topics = topics.clone();
        let wishes = Wishes {
            // Who tells the time of the recording does not play its clock as well: two would contradict each other.
            wanted: Box::new(move |topic| {
                (all || wanted_topics.iter().any(|t| t == topic))
                    && !exclude.contains(topic)
                    && !(clock_hz > 0.0 && topic == "/clock")
            }),
            remap: remaps(&remap).map_err(|e| s.failed(e))?,
            overrides: read_overrides(&overrides).map_err(|e| s.failed(e))?,
            decode_images: decode_images && !replay,
        };
        let asked_rate = rate.get();
        let mut player = Self {
            asked_rate,
            rate,
            repeat,
            read_ahead: usize::try_from(read_ahead).unwrap_or(1),
            simulated: false,
            first_ns: 0,
            until_ns: i64::MAX,
            delay_ns,
            timeline: Timeline::new(0, 0, asked_rate, paused),
            source: None,
            next: None,
            place: Place::default(),
            routes: Vec::new(),
            clock: None,
            replay: replay.then(|| Replay {
                comparison: Comparison::new(masked),
                waiting: BTreeMap::new(),
                unanswered: Vec::new(),
                report,
                moment_ns: 0,
            }),
            played: 0,
            skipped: 0,
            _keyboard: None,
            bag,
        };
        player.declare_routes(s, &wishes, &made_anew)?;
        if player.routes.iter().all(Option::is_none) {
            let recorded = player.bag.channels.iter().map(|c| c.topic.as_str());
            let hint = topics.first().map(|topic| suggest::hint(topic, recorded)).unwrap_or_default();
            return Err(s.failed(format!("{path} has none of the topics to play{hint}")));
        }
        let start_ns = i64::try_from(player.bag.start_ns).unwrap_or(i64::MAX);
        player.simulated = own_times && start_ns < SIMULATED_BELOW_NS && !repeat && offset_ns == 0;
        player.first_ns = start_ns.saturating_add(offset_ns);
        if duration_ns >= 0 {
            player.until_ns = player.first_ns.saturating_add(duration_ns);
        }
        if clock_hz > 0.0 {
            player.clock = Some(s.publisher("/clock", Qos::sensor_data())?);
            s.timer(Duration::from_secs_f64(1.0 / clock_hz), Self::tell_time)?;
        }
        services::declare(s)?;
        if keyboard {
            let injector = s.injector();
            player._keyboard = Keyboard::listen(injector);
        }
        s.timer(Duration::from_millis(u64::try_from(period_ms).unwrap_or(10)), Self::tick)?;
        Ok(player)
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.rewind(ctx);
        if self.replay.is_some() { self.advance_replay(ctx) } else { Ok(()) }
    }

    fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        self.frozen()
    }

    fn thaw(&mut self, ctx: &mut Context, state: &[u8]) -> HandlerResult {
        self.take_up(ctx, state)
    }
}

fn read_overrides(path: &str) -> Result<BTreeMap<String, QosProfile>, String> {
    if path.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("qos_overrides: cannot read {path}: {e}"))?;
    bags::qos::overrides(&text).map_err(|e| format!("qos_overrides: {path}: {e}"))
}

impl Player {
    fn declare_routes(&mut self, s: &mut Setup<Self>, wishes: &Wishes, made_anew: &[String]) -> Result<(), SetupError> {
        let bag = self.bag.clone();
        let mut heard = Vec::new();
        for (place, channel) in bag.channels.iter().enumerate() {
            let mut route = None;
            // A recorder's form of a service's answers: nobody subscribes to it.
            let service = channel.topic.strip_suffix(graph::REPLY);
            match (&mut self.replay, service) {
                (Some(replay), None) if made_anew.contains(&channel.topic) => {
                    replay.comparison.add(place, &channel.topic, &channel.message_type);
                    heard.push(channel.topic.clone());
                }
                (Some(replay), Some(service)) => {
                    if serve(s, Some(place), service, &channel.message_type)? {
                        replay.waiting.insert(place, VecDeque::new());
                    }
                }
                (None, Some(_)) => {}
                (_, None) if (wishes.wanted)(&channel.topic) => route = declare(s, &bag, channel, wishes)?,
                (_, None) => {}
            }
            self.routes.push(route);
        }
        if self.replay.is_some() {
            hold_open(s, &bag)?;
            if heard.is_empty() {
                let recorded = bag.channels.iter().map(|c| c.topic.as_str());
                let hint = made_anew.first().map(|topic| suggest::hint(topic, recorded)).unwrap_or_default();
                return Err(s.failed(format!(
                    "the recording has none of the topics that nodes make anew ({}), so there is nothing to compare{hint}",
                    made_anew.join(", ")
                )));
            }
            // What nodes of other processes make is not what is replayed here.
            s.tap_local(move |topic, _| heard.iter().any(|h| h == topic), Self::on_made)?;
        }
        Ok(())
    }

    /// Where it stands.
    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn rewind(&mut self, ctx: &mut Context) {
        let now = ctx.now().as_nanos();
        let begin = now.saturating_add(self.delay_ns);
        // A simulation's recording: its time is the graph's, from zero on.
        let at_own_times = self.simulated && now < SIMULATED_BELOW_NS;
        let from = if at_own_times { begin.min(self.first_ns) } else { self.first_ns };
        self.timeline.jump(begin, from);
        self.open(if at_own_times { 0 } else { self.first_ns });
    }

    fn open(&mut self, from_ns: i64) {
        self.next = None;
        let from_ns = u64::try_from(from_ns).unwrap_or(0);
        self.place = Place::begin(from_ns);
        self.source = Some(ReadAhead::new(&self.bag, from_ns, self.read_ahead));
    }

    /// Makes `next` the next message that has somewhere to go; false at the end.
    fn fetch(&mut self) -> Result<bool, NodeError> {
        while self.next.is_none() {
            let Some(source) = &mut self.source else { return Ok(false) };
            let Some(message) = source.next_message()? else { return Ok(false) };
            self.place.read(message.log_ns);
            if i64::try_from(message.log_ns).unwrap_or(i64::MAX) > self.until_ns {
                return Ok(false);
            }
            let place = message.channel;
            let replayed = self.replay.as_ref().is_some_and(|r| r.comparison.has(place) || r.waiting.contains_key(&place));
            if replayed || self.routes.get(place).is_some_and(Option::is_some) {
                self.next = Some(message);
            }
        }
        Ok(true)
    }

    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let asked = self.rate.get();
        if asked.to_bits() != self.asked_rate.to_bits() {
            self.asked_rate = asked;
            self.set_rate(ctx, asked);
        }
        if self.source.is_none() || self.timeline.is_paused() {
            return Ok(());
        }
        if self.replay.is_some() {
            return self.advance_replay(ctx);
        }
        let position = self.timeline.position_ns(ctx.now().as_nanos());
        loop {
            if !self.fetch()? {
                return self.end(ctx);
            }
            let Some(message) = self.next.take() else { return Ok(()) };
            if i64::try_from(message.log_ns).unwrap_or(i64::MAX) > position {
                self.next = Some(message);
                return Ok(());
            }
            self.publish(ctx, message);
        }
    }

    /// Whether it could be published.
    fn publish(&mut self, ctx: &mut Context, message: Recorded) -> bool {
        let Some(Some(route)) = self.routes.get(message.channel) else { return false };
        match route.publish(ctx, message.data) {
            Ok(()) => {
                self.played += 1;
                true
            }
            Err(error) => {
                self.skipped += 1;
                let topic = &self.bag.channels[message.channel].topic;
                let text = format!("{} messages skipped; the last, on {topic}: {error}", self.skipped);
                ctx.status(Level::Warn, "recording", text);
                false
            }
        }
    }

    /// Plays what is due in the recorded order, and waits where nodes have not yet said or asked what they said or asked then.
    fn advance_replay(&mut self, ctx: &mut Context) -> HandlerResult {
        let now = u64::try_from(ctx.now().as_nanos()).unwrap_or(0);
        loop {
            if !self.fetch()? {
                return self.end(ctx);
            }
            let (Some(message), Some(replay)) = (self.next.take(), &mut self.replay) else { return Ok(()) };
            // A moment that is over has had all that the nodes had to say.
            let over = message.log_ns < now;
            if !over && replay.moment_ns != now {
                replay.comparison.end_moment(replay.moment_ns);
                replay.moment_ns = now;
            }
            if message.log_ns > now {
                self.next = Some(message);
                return Ok(());
            }
            if replay.comparison.has(message.channel) {
                if !replay.comparison.compare(message.channel, message.log_ns, &message.data) {
                    if over {
                        replay.comparison.missed(message.channel, message.log_ns);
                    } else {
                        self.next = Some(message);
                        return Ok(());
                    }
                }
            } else if let Some(waiting) = replay.waiting.get_mut(&message.channel) {
                match waiting.pop_front() {
                    Some(responder) => {
                        responder.respond(ctx, message.data)?;
                        self.played += 1;
                    }
                    // Other clients' calls were answered too: only the nodes under test call again.
                    None if over => self.skipped += 1,
                    None => {
                        self.next = Some(message);
                        return Ok(());
                    }
                }
            } else {
                self.publish(ctx, message);
            }
        }
    }

    /// A node has made a message anew.
    fn on_made(&mut self, ctx: &mut Context, message: &AnyMessage) -> HandlerResult {
        if self.source.is_none() {
            return Ok(());
        }
        if let Some(replay) = &mut self.replay {
            replay.comparison.made(&message.topic, message.to_cdr());
        }
        self.advance_replay(ctx)
    }

    fn tell_time(&mut self, ctx: &mut Context) -> HandlerResult {
        let position = self.timeline.position_ns(ctx.now().as_nanos()).max(self.first_ns);
        if let Some(clock) = &self.clock {
            clock.publish(ctx, Clock { clock: Time::from_nanos(position).to_msg() });
        }
        Ok(())
    }

    /// Pauses (`true`), goes on (`false`) or the other way round.
    pub(crate) fn set_paused(&mut self, ctx: &mut Context, paused: Option<bool>) {
        let paused = paused.unwrap_or(!self.timeline.is_paused());
        self.timeline.set_paused(ctx.now().as_nanos(), paused);
        ctx.info(if paused { "paused" } else { "playing" });
    }

    pub(crate) fn set_rate(&mut self, ctx: &mut Context, rate: f64) -> bool {
        let known = self.timeline.set_rate(ctx.now().as_nanos(), rate);
        if known {
            ctx.info(format!("rate {rate:.2}"));
        }
        known
    }

    pub(crate) fn scale_rate(&mut self, ctx: &mut Context, factor: f64) -> bool {
        self.set_rate(ctx, self.timeline.rate() * factor)
    }

    /// Plays the next message; false if it is not paused, or at the end.
    pub(crate) fn play_next(&mut self, ctx: &mut Context) -> Result<bool, NodeError> {
        Ok(self.burst(ctx, 1)? == 1)
    }

    /// Plays so many messages at once (0: all that are left), if it is paused; how many it played.
    pub(crate) fn burst(&mut self, ctx: &mut Context, most: u64) -> Result<u64, NodeError> {
        let mut count = 0;
        while self.timeline.is_paused() && self.replay.is_none() && (most == 0 || count < most) && self.fetch()? {
            let Some(message) = self.next.take() else { break };
            self.timeline.jump(ctx.now().as_nanos(), i64::try_from(message.log_ns).unwrap_or(i64::MAX));
            // As rosbag2: one that cannot be published is passed over.
            count += u64::from(self.publish(ctx, message));
        }
        Ok(count)
    }

    /// Goes on from another place; one before the start is the start, as of rosbag2. False if the recording does not reach there, or in a
    /// replay.
    pub(crate) fn seek(&mut self, ctx: &mut Context, to_ns: i64) -> bool {
        let end = i64::try_from(self.bag.end_ns).unwrap_or(i64::MAX);
        if self.replay.is_some() || to_ns > end {
            return false;
        }
        let to_ns = to_ns.max(self.first_ns);
        self.timeline.jump(ctx.now().as_nanos(), to_ns);
        self.open(to_ns);
        true
    }

    /// Ends the graph.
    pub(crate) fn finish(&mut self, ctx: &mut Context, why: &str) {
        self.source = None;
        ctx.shutdown(format!("{why}: {} messages played", self.played));
    }

    fn end(&mut self, ctx: &mut Context) -> HandlerResult {
        let mut broken = None;
        if let Some(replay) = &mut self.replay {
            // What has no partner by now is too much. What nodes make of the last messages is not: a recorder may be stopped before it hears it.
            replay.comparison.end_moment(replay.moment_ns);
            let report = replay.comparison.report();
            if !replay.report.is_empty() {
                std::fs::write(&replay.report, format!("{report:#}\n"))?;
            }
            for (topic, a) in replay.comparison.agreements() {
                let bad = if a.holds() {
                    String::new()
                } else {
                    format!(", {} differ, {} missing, {} too many", a.different, a.missing, a.extra)
                };
                ctx.info(format!("{topic}: {} equal, {} but for measured times{bad}", a.equal, a.masked));
            }
            if let Some(first) = replay.comparison.first_difference() {
                let text = format!("the nodes do not do again what they did; first: {first}");
                ctx.status(Level::Error, "replay", text.clone());
                broken = Some(text);
            }
        } else if self.repeat && self.played > 0 {
            self.rewind(ctx);
            return Ok(());
        }
        self.finish(ctx, "the recording is over");
        // A run with a node that failed ends with another exit code.
        if let Some(text) = broken {
            ctx.give_up(text);
        }
        Ok(())
    }
}

/// Serves a service whose answers were recorded at `place`, or that was never answered; false if it is not of an action, nobody here
/// knows it, or a node of the graph serves it itself.
fn serve(s: &mut Setup<Player>, place: Option<usize>, service: &str, response: &str) -> Result<bool, SetupError> {
    let kind = response.strip_suffix("_Response").and_then(msgs::registry::find_service);
    let Some(kind) = kind.filter(|_| service.contains("/_action/")) else { return Ok(false) };
    let served = s.service_raw(service, kind, move |node: &mut Player, ctx, _request, responder| {
        let Some(replay) = &mut node.replay else { return Ok(()) };
        match place.and_then(|place| replay.waiting.get_mut(&place)) {
            Some(waiting) => waiting.push_back(responder),
            None => replay.unanswered.push(responder),
        }
        node.advance_replay(ctx)
    });
    match served {
        Ok(()) => Ok(true),
        Err(SetupError::ServiceTaken { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Serves what an action of the recording has besides the services that were answered: a goal that was still worked on at the end of the
/// recording has no result in it.
fn hold_open(s: &mut Setup<Player>, bag: &Bag) -> Result<(), SetupError> {
    let answered = |service: &str| bag.channels.iter().any(|c| c.topic.strip_suffix(graph::REPLY) == Some(service));
    let mut held = BTreeSet::new();
    for channel in &bag.channels {
        let action = channel.topic.strip_suffix("/_action/send_goal/_reply");
        let kind = channel.message_type.strip_suffix("_SendGoal_Response");
        let (Some(action), Some(kind)) = (action, kind) else { continue };
        for (part, response) in
            [("get_result", format!("{kind}_GetResult_Response")), ("cancel_goal", "action_msgs/srv/CancelGoal_Response".into())]
        {
            let service = format!("{action}/_action/{part}");
            if !answered(&service) && held.insert(service.clone()) {
                serve(s, None, &service, &response)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
