//! What nodes may rely on when they run on the wall clock: answers, supervision, drivers' threads and an orderly end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use graph::{
    ActionClient, CallError, CallId, Client, Context, GoalHandle, GoalId, Graph, GraphConfig, HandlerResult, Injector, Mode,
    Node, NodeFactory, NodeSpec, Outcome, Publisher, Qos, Responder, RestartPolicy, RestartWhen, RunReport, Setup, SetupError,
    Time, silent_sink,
};
use msgs::omnimind_msgs::action::{Act, ActFeedback, ActGoal, ActResult};
use msgs::std_msgs::msg::{Int64, String as Text};
use msgs::std_srvs::srv::{Trigger, TriggerRequest, TriggerResponse};
use parking_lot::{Condvar, Mutex};

const TICK: Duration = Duration::from_millis(5);

/// Runs the nodes until one of them asks for the end. A graph that hangs fails the test instead of hanging it.
fn run(nodes: Vec<(NodeFactory, NodeSpec)>) -> RunReport {
    let (done, wait) = std::sync::mpsc::channel();
    let runner = std::thread::spawn(move || {
        let mut graph =
            Graph::new(GraphConfig { mode: Mode::FreeRunning, threads: 4, log: silent_sink(), ..GraphConfig::default() })
                .unwrap();
        for (factory, spec) in nodes {
            graph.add(factory, spec).unwrap();
        }
        let report = graph.run();
        done.send(report).unwrap();
    });
    let report = wait.recv_timeout(Duration::from_secs(60)).expect("the graph ends");
    runner.join().unwrap();
    report
}

fn plain<N: Node>() -> (NodeFactory, NodeSpec) {
    (NodeFactory::of::<N>(), NodeSpec::default())
}

fn restarting<N: Node>() -> (NodeFactory, NodeSpec) {
    let restart = RestartPolicy { when: RestartWhen::OnFailure, max: 5, backoff: TICK };
    (NodeFactory::of::<N>(), NodeSpec { restart, ..NodeSpec::default() })
}

/// Serves a service that answers at once, one that answers later, one that forgets, and an action.
struct Server {
    owed: Vec<Responder<Trigger>>,
    goal: Option<GoalHandle<Act>>,
    ticks: u32,
}
impl Node for Server {
    const NAME: &'static str = "server";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.service::<Trigger>("now", |_: &mut Self, _, _| Ok(TriggerResponse { success: true, message: "now".into() }))?;
        s.service_deferred::<Trigger>("later", |node: &mut Self, _, _, responder| {
            node.owed.push(responder);
            Ok(())
        })?;
        s.service_deferred::<Trigger>("never", |_: &mut Self, _, _, _| Ok(()))?;
        s.action_server::<Act>(
            "act",
            |node: &mut Self, _, handle| {
                node.goal = Some(handle);
                node.ticks = 0;
                Ok(())
            },
            |node: &mut Self, ctx, _| {
                if let Some(handle) = node.goal.take() {
                    handle.canceled(ctx, ActResult::default());
                }
                Ok(())
            },
        )?;
        s.timer(TICK, |node: &mut Self, ctx| {
            for responder in node.owed.drain(..) {
                responder.respond(ctx, TriggerResponse { success: true, message: "later".into() });
            }
            node.ticks += 1;
            if let Some(handle) = &node.goal {
                handle.feedback(ctx, ActFeedback { phase: "on it".into(), progress: node.ticks as f32 });
                // A distance below zero never ends by itself.
                if handle.goal().distance >= 0.0 && node.ticks > 3 {
                    handle.succeed(ctx, ActResult { success: true, ..Default::default() });
                    node.goal = None;
                }
            }
            Ok(())
        })?;
        Ok(Self { owed: Vec::new(), goal: None, ticks: 0 })
    }
}

static ANSWERS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Makes one call after the other, then sends a goal that is reached and one that it calls off.
struct Caller {
    clients: Vec<Client<Trigger>>,
    act: ActionClient<Act>,
    canceled: bool,
}
impl Node for Caller {
    const NAME: &'static str = "caller";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let mut clients = Vec::new();
        for name in ["nobody", "never", "later", "now"] {
            clients.push(s.client::<Trigger>(name, Self::answer)?);
        }
        let act = s.action_client::<Act>("act", Self::feedback, Self::done)?;
        Ok(Self { clients, act, canceled: false })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.next(ctx);
        Ok(())
    }
}
impl Caller {
    fn next(&mut self, ctx: &mut Context) {
        match self.clients.pop() {
            Some(client) => drop(client.call(ctx, TriggerRequest::default())),
            None => drop(self.act.send(ctx, ActGoal { distance: 1.0, ..Default::default() })),
        }
    }
    fn answer(&mut self, ctx: &mut Context, _: CallId, result: Result<TriggerResponse, CallError>) -> HandlerResult {
        ANSWERS.lock().push(result.map_or_else(|error| error.to_string(), |response| response.message));
        self.next(ctx);
        Ok(())
    }
    fn feedback(&mut self, ctx: &mut Context, id: GoalId, _: ActFeedback) -> HandlerResult {
        if ANSWERS.lock().last().is_some_and(|last| last == "reached") && !self.canceled {
            self.canceled = true;
            self.act.cancel(ctx, id);
        }
        Ok(())
    }
    fn done(&mut self, ctx: &mut Context, _: GoalId, outcome: Outcome<Act>) -> HandlerResult {
        match outcome {
            Outcome::Succeeded(_) => {
                ANSWERS.lock().push("reached".into());
                self.act.send(ctx, ActGoal { distance: -1.0, ..Default::default() });
            }
            Outcome::Canceled(_) => {
                ANSWERS.lock().push("called off".into());
                ctx.shutdown("done");
            }
            other => ctx.shutdown(format!("{other:?}")),
        }
        Ok(())
    }
}

#[test]
fn services_and_actions_end_in_every_way() {
    assert_eq!(run(vec![plain::<Server>(), plain::<Caller>()]).reason, "done");
    let answers = ["now", "later", "no answer from `/never`", "nobody serves `/nobody`", "reached", "called off"];
    assert_eq!(*ANSWERS.lock(), answers);
}

/// Says one thing for late joiners, once.
struct Herald {
    out: Publisher<Text>,
}
impl Node for Herald {
    const NAME: &'static str = "herald";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        Ok(Self { out: s.publisher("news", Qos::state())? })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.out.publish(ctx, Text { data: "the state".into() });
        Ok(())
    }
}

static LIVES: AtomicU32 = AtomicU32::new(0);

/// Panics in its first two lives; its set-up goes on for a while after it has subscribed.
struct Fragile {
    started: bool,
}
impl Node for Fragile {
    const NAME: &'static str = "fragile";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let life = LIVES.fetch_add(1, Ordering::SeqCst) + 1;
        s.subscribe("news", Qos::state(), move |node: &mut Self, ctx, news: Arc<Text>| {
            assert!(life > 2, "not yet");
            ctx.shutdown(format!("life {life} heard {}, started: {}", news.data, node.started));
            Ok(())
        })?;
        // Time for a thread to take the kept message away from a node that is not there yet.
        std::thread::sleep(Duration::from_millis(30));
        Ok(Self { started: false })
    }
    fn start(&mut self, _: &mut Context) -> HandlerResult {
        self.started = true;
        Ok(())
    }
}

#[test]
fn a_node_that_panics_comes_back_and_gets_the_state_it_missed_after_its_start() {
    let report = run(vec![plain::<Herald>(), restarting::<Fragile>()]);
    assert_eq!(report.reason, "life 3 heard the state, started: true");
    assert_eq!(report.statistics.nodes.iter().find(|n| n.name == "/fragile").unwrap().restarts, 2);
}

static THREADS_ENDED: AtomicU32 = AtomicU32::new(0);

/// A driver whose thread ends when it cannot send any more, and whose destructor waits for that. Its first life panics.
struct Driver {
    seen: Vec<u32>,
    thread: Option<std::thread::JoinHandle<()>>,
}
static DRIVERS: AtomicU32 = AtomicU32::new(0);
impl Node for Driver {
    const NAME: &'static str = "driver";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let life = DRIVERS.fetch_add(1, Ordering::SeqCst) + 1;
        let injector: Injector<Self> = s.injector();
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                let sent = injector.send(move |node: &mut Self, ctx| {
                    node.seen.push(number);
                    assert!(life > 1 || number < 5, "the first life ends");
                    if node.seen.len() == 20 {
                        let ordered = node.seen.is_sorted();
                        ctx.shutdown(format!("in order: {ordered}"));
                    }
                    Ok(())
                });
                if !sent {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            THREADS_ENDED.fetch_add(1, Ordering::SeqCst);
        });
        Ok(Self { seen: Vec::new(), thread: Some(thread) })
    }
}
impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_drivers_thread_enters_in_order_and_ends_with_each_life_of_its_node() {
    assert_eq!(run(vec![restarting::<Driver>()]).reason, "in order: true");
    assert_eq!(THREADS_ENDED.load(Ordering::SeqCst), 2);
}

static TAPE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Hears everything, as a recorder does.
struct Ear;
impl Node for Ear {
    const NAME: &'static str = "ear";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.tap(
            |topic, _| topic.starts_with("/words"),
            |_: &mut Self, _, message| {
                TAPE.lock().push(message.downcast::<Text>().map(|text| text.data.clone()).unwrap_or_default());
                Ok(())
            },
        )?;
        Ok(Self)
    }
    fn stop(&mut self, _: &mut Context) -> HandlerResult {
        TAPE.lock().push("end of tape".into());
        Ok(())
    }
}

/// Repeats what others say, and says something in the end.
struct Echo {
    out: Publisher<Text>,
}
impl Node for Echo {
    const NAME: &'static str = "echo";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("words/a", Qos::reliable(200), |node: &mut Self, ctx, m: Arc<Text>| {
            node.out.publish(ctx, Text { data: format!("echo of {}", m.data) });
            Ok(())
        })?;
        Ok(Self { out: s.publisher("words/b", Qos::reliable(200))? })
    }
    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        self.out.publish(ctx, Text { data: "echo stops".into() });
        Ok(())
    }
}

/// Says a hundred things and asks for the end in the same breath.
struct Speaker {
    out: Publisher<Text>,
}
impl Node for Speaker {
    const NAME: &'static str = "speaker";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(TICK, |node: &mut Self, ctx| {
            for number in 0..100 {
                node.out.publish(ctx, Text { data: number.to_string() });
            }
            ctx.shutdown("said it all");
            Ok(())
        })?;
        Ok(Self { out: s.publisher("words/a", Qos::reliable(200))? })
    }
    fn stop(&mut self, ctx: &mut Context) -> HandlerResult {
        self.out.publish(ctx, Text { data: "speaker stops".into() });
        Ok(())
    }
}

#[test]
fn nodes_stop_last_first_and_those_that_still_live_hear_the_last_words() {
    assert_eq!(run(vec![plain::<Ear>(), plain::<Echo>(), plain::<Speaker>()]).reason, "said it all");
    let tape = TAPE.lock();
    let spoken = tape.iter().filter(|words| words.parse::<u32>().is_ok()).count();
    assert!(spoken >= 100, "{spoken}");
    assert_eq!(tape.iter().filter(|words| words.starts_with("echo of") && *words != "echo of speaker stops").count(), spoken);
    assert_eq!(tape[tape.len() - 4..], ["speaker stops", "echo of speaker stops", "echo stops", "end of tape"]);
}

/// Calls its own service more often than its queue holds.
struct Selfish {
    client: Client<Trigger>,
    good: usize,
    bad: usize,
}
const CALLS: usize = 1100;
impl Node for Selfish {
    const NAME: &'static str = "selfish";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.service::<Trigger>("own", |_: &mut Self, _, _| Ok(TriggerResponse::default()))?;
        let client = s.client::<Trigger>("own", |node: &mut Self, ctx, _, result| {
            if result.is_ok() {
                node.good += 1
            } else {
                node.bad += 1
            }
            if node.good + node.bad == CALLS {
                ctx.shutdown(format!("{} and {}", node.good, node.bad));
            }
            Ok(())
        })?;
        s.timer(TICK, |node: &mut Self, ctx| {
            if !ASKED.swap(true, Ordering::SeqCst) {
                for _ in 0..CALLS {
                    node.client.call(ctx, TriggerRequest::default());
                }
            }
            Ok(())
        })?;
        Ok(Self { client, good: 0, bad: 0 })
    }
}
static ASKED: AtomicBool = AtomicBool::new(false);

#[test]
fn a_queue_of_requests_that_overflows_tells_its_callers_even_if_that_is_the_node_itself() {
    assert_eq!(run(vec![plain::<Selfish>()]).reason, "1000 and 100");
}

/// Notes when it was started and when its timer first came.
struct Punctual {
    started: Time,
}
impl Node for Punctual {
    const NAME: &'static str = "punctual";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(20), |node: &mut Self, ctx| {
            let early = ctx.now() < node.started + Duration::from_millis(20);
            ctx.shutdown(if early { "early" } else { "in time" });
            Ok(())
        })?;
        Ok(Self { started: Time::ZERO })
    }
    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.started = ctx.now();
        Ok(())
    }
}

/// Takes its time to be set up.
struct Heavy;
impl Node for Heavy {
    const NAME: &'static str = "heavy";
    fn setup(_: &mut Setup<Self>) -> Result<Self, SetupError> {
        std::thread::sleep(Duration::from_millis(60));
        Ok(Self)
    }
}

#[test]
fn a_timers_first_period_begins_with_the_start_of_the_graph() {
    assert_eq!(run(vec![plain::<Punctual>(), plain::<Heavy>()]).reason, "in time");
}

static SHARED: Mutex<Option<Arc<Int64>>> = Mutex::new(None);
static SAME: AtomicUsize = AtomicUsize::new(0);
static HEARD: AtomicUsize = AtomicUsize::new(0);
const MESSAGES: usize = 50;

fn compare(message: &Arc<Int64>) {
    HEARD.fetch_add(1, Ordering::SeqCst);
    let same = SHARED.lock().as_ref().is_some_and(|sent| Arc::ptr_eq(sent, message));
    SAME.fetch_add(usize::from(same), Ordering::SeqCst);
}

/// Sends the next message when everybody has heard the last.
struct Sender {
    out: Publisher<Int64>,
    sent: usize,
}
impl Node for Sender {
    const NAME: &'static str = "sender";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(10), |node: &mut Self, ctx| {
            if HEARD.load(Ordering::SeqCst) < 3 * node.sent {
                return Ok(());
            }
            if node.sent == MESSAGES {
                ctx.shutdown("sent");
                return Ok(());
            }
            node.sent += 1;
            let message = Arc::new(Int64 { data: node.sent as i64 });
            *SHARED.lock() = Some(Arc::clone(&message));
            node.out.publish(ctx, message);
            Ok(())
        })?;
        Ok(Self { out: s.publisher("shared", Qos::latched(1))?, sent: 0 })
    }
}
struct Receiver;
impl Node for Receiver {
    const NAME: &'static str = "receiver";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("shared", Qos::state(), |_: &mut Self, _, message: Arc<Int64>| {
            compare(&message);
            Ok(())
        })?;
        Ok(Self)
    }
}
struct Tapper;
impl Node for Tapper {
    const NAME: &'static str = "tapper";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.tap(
            |topic, _| topic == "/shared",
            |_: &mut Self, _, message| {
                compare(&message.downcast::<Int64>().unwrap());
                Ok(())
            },
        )?;
        Ok(Self)
    }
}

#[test]
fn in_a_process_everybody_gets_the_very_message_that_was_published() {
    let second = NodeSpec { name: Some("second".into()), ..NodeSpec::default() };
    let nodes =
        || vec![plain::<Sender>(), plain::<Receiver>(), (NodeFactory::of::<Receiver>(), second.clone()), plain::<Tapper>()];
    let free = run(nodes());
    assert_eq!((HEARD.swap(0, Ordering::SeqCst), SAME.swap(0, Ordering::SeqCst)), (3 * MESSAGES, 3 * MESSAGES));
    let mut graph = Graph::new(GraphConfig { threads: 2, log: silent_sink(), ..GraphConfig::default() }).unwrap();
    for (factory, spec) in nodes() {
        graph.add(factory, spec).unwrap();
    }
    let lock_step = graph.run();
    assert_eq!((HEARD.load(Ordering::SeqCst), SAME.load(Ordering::SeqCst)), (3 * MESSAGES, 3 * MESSAGES));
    for report in [free, lock_step] {
        let edges: Vec<_> = report.statistics.edges.iter().filter(|edge| edge.topic == "/shared").collect();
        assert_eq!(edges.len(), 2);
        assert!(edges.iter().all(|edge| edge.copies == 0 && edge.messages == MESSAGES as u64 && edge.dropped == 0));
    }
}

/// Something that one thread waits for and another brings about; a wait ends after 20 s with what there is.
struct Awaited {
    count: Mutex<u32>,
    changed: Condvar,
}
impl Awaited {
    const fn new() -> Self {
        Self { count: Mutex::new(0), changed: Condvar::new() }
    }
    fn happen(&self) {
        *self.count.lock() += 1;
        self.changed.notify_all();
    }
    fn so_far(&self) -> u32 {
        *self.count.lock()
    }
    /// Whether it comes to have happened so many times.
    fn reaches(&self, wanted: u32) -> bool {
        let mut count = self.count.lock();
        !self.changed.wait_while_for(&mut count, |count| *count < wanted, Duration::from_secs(20)).timed_out()
    }
}

static LISTENED: Awaited = Awaited::new();

/// Publishes, and ends its handler only when it was heard.
struct Insistent {
    out: Publisher<Text>,
}
impl Node for Insistent {
    const NAME: &'static str = "insistent";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(TICK, |node: &mut Self, ctx| {
            node.out.publish(ctx, Text { data: "hear me".into() });
            ctx.shutdown(format!("heard: {}", LISTENED.reaches(1)));
            Ok(())
        })?;
        Ok(Self { out: s.publisher("words/insistent", Qos::reliable(10))? })
    }
}

struct Hearer;
impl Node for Hearer {
    const NAME: &'static str = "hearer";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("words/insistent", Qos::reliable(10), |_: &mut Self, _, _: Arc<Text>| {
            LISTENED.happen();
            Ok(())
        })?;
        Ok(Self)
    }
}

#[test]
fn a_listener_kept_for_a_thread_that_stays_busy_is_run_by_another() {
    assert_eq!(run(vec![plain::<Hearer>(), plain::<Insistent>()]).reason, "heard: true");
}

static TICKED: Awaited = Awaited::new();
static RETURNS: AtomicU32 = AtomicU32::new(0);

struct Ticking;
impl Node for Ticking {
    const NAME: &'static str = "ticking";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(TICK, |_: &mut Self, _| {
            TICKED.happen();
            Ok(())
        })?;
        Ok(Self)
    }
}

/// Panics in its first life; the set-up of its second lasts until a neighbour's timer has come three times.
struct SlowToReturn {
    ticked: bool,
}
impl Node for SlowToReturn {
    const NAME: &'static str = "slow_to_return";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let second = RETURNS.fetch_add(1, Ordering::SeqCst) > 0;
        s.timer(TICK, move |node: &mut Self, ctx| {
            assert!(second, "the first life ends");
            ctx.shutdown(format!("ticked: {}", node.ticked));
            Ok(())
        })?;
        Ok(Self { ticked: second && TICKED.reaches(TICKED.so_far() + 3) })
    }
}

#[test]
fn setting_a_node_up_again_does_not_hold_up_the_timers_of_others() {
    assert_eq!(run(vec![plain::<Ticking>(), restarting::<SlowToReturn>()]).reason, "ticked: true");
}
