//! Free-running: nodes run whenever they have work, on a few threads, on the wall clock.
//!
//! Waking a sleeping thread takes longer than most handlers. So a node whose handlers usually end soon after they have published keeps the
//! first listener for its own thread, which goes on with that one when the handler has ended. If the handler takes long after all,
//! another thread gets the listener within [`PATROL`].

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::shared::Shared;
use crate::slot::{NodeState, Slot};
use crate::time::Time;
use crate::{compose, lent, runner, sim_time};

/// Handlers of one node in a row, and kept listeners in a row, before others have a turn.
pub(crate) const BATCH: usize = 16;

/// A node whose handlers end sooner than this after publishing, on average, keeps listeners for its own thread.
const SOON: Duration = Duration::from_micros(20);

/// How often timers and kept listeners are looked after, at least.
const PATROL: Duration = Duration::from_millis(20);

/// How long a graph that stops goes on with the messages that are on their way.
const GRACE: Duration = Duration::from_secs(2);

thread_local! {
    /// What this thread does, if it is a worker with a node.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// A worker runs a node.
#[derive(Clone, Copy)]
struct Turn {
    /// The worker's queue, by its address.
    queue: usize,
    worker: usize,
    /// Whether the first listener that the node wakes is kept for this worker.
    keeps: bool,
    /// When the handler under way woke its first listener.
    woke: Option<Instant>,
}

/// The nodes that have work.
pub(crate) struct RunQueue {
    ready: Mutex<VecDeque<Arc<Slot>>>,
    /// Per worker: the node it goes on with.
    next: Vec<Mutex<Option<Arc<Slot>>>>,
    idle: Condvar,
    stop: AtomicBool,
}

impl RunQueue {
    fn new(workers: usize) -> Self {
        let next = std::iter::repeat_with(Mutex::default).take(workers).collect();
        Self { ready: Mutex::default(), next, idle: Condvar::new(), stop: AtomicBool::new(false) }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Sees to it that `slot` is run, unless that is seen to already.
    pub fn schedule(&self, slot: &Arc<Slot>) {
        if slot.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        if lent::keep(slot) {
            return;
        }
        match TURN.get() {
            Some(turn) if turn.queue == self.address() && turn.woke.is_none() => {
                TURN.set(Some(Turn { woke: Some(Instant::now()), ..turn }));
                let mut next = self.next[turn.worker].lock();
                if turn.keeps && next.is_none() {
                    *next = Some(Arc::clone(slot));
                    return;
                }
            }
            _ => {}
        }
        self.enqueue(Arc::clone(slot));
    }

    /// Puts a scheduled slot in line for any worker.
    pub fn enqueue(&self, slot: Arc<Slot>) {
        self.ready.lock().push_back(slot);
        self.idle.notify_one();
    }

    fn work(&self, worker: usize, shared: &Arc<Shared>) {
        let mut in_a_row = 0;
        loop {
            let kept = self.next[worker].lock().take();
            let slot = match kept {
                Some(slot) if in_a_row < BATCH => {
                    in_a_row += 1;
                    slot
                }
                other => {
                    in_a_row = 0;
                    if let Some(slot) = other {
                        self.enqueue(slot);
                    }
                    let Some(slot) = self.wait() else { return };
                    slot
                }
            };
            let turn = Turn { queue: self.address(), worker, keeps: slot.stats.ends_within(SOON), woke: None };
            TURN.set(Some(turn));
            runner::run(shared, &slot, BATCH, || {
                if let Some(woke) = TURN.replace(Some(turn)).and_then(|turn| turn.woke) {
                    slot.stats.ended(woke.elapsed());
                }
                // Who is kept waiting goes first.
                self.next[worker].lock().is_some()
            });
            TURN.set(None);
            slot.queued.store(false, Ordering::Release);
            if slot.is_ready() {
                self.schedule(&slot);
            }
        }
    }

    /// The slot that has waited longest; `None` when the graph stops.
    fn wait(&self) -> Option<Arc<Slot>> {
        let mut ready = self.ready.lock();
        loop {
            if self.stop.load(Ordering::Acquire) {
                return None;
            }
            if let Some(slot) = ready.pop_front() {
                return Some(slot);
            }
            self.idle.wait(&mut ready);
        }
    }

    /// Lets any worker have the nodes that wait for a worker who is busy still.
    fn patrol(&self) {
        for next in &self.next {
            let left = next.lock().take();
            if let Some(slot) = left {
                self.enqueue(slot);
            }
        }
    }
}

/// Runs the graph until its stop flag is set.
pub(crate) fn run(shared: &Arc<Shared>, threads: usize) {
    let threads = threads.max(2);
    let queue = Arc::new(RunQueue::new(threads));
    let slots: Vec<Arc<Slot>> = shared.slots.read().clone();
    for slot in &slots {
        runner::start(shared, slot);
    }
    // From here on work is scheduled; what came before is found by hand.
    if shared.queue.set(Arc::clone(&queue)).is_err() {
        return;
    }
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            let (queue, shared) = (Arc::clone(&queue), Arc::clone(shared));
            std::thread::spawn(move || queue.work(worker, &shared))
        })
        .collect();
    for slot in &slots {
        if slot.is_ready() {
            queue.schedule(slot);
        }
    }
    // Setting a node up again may take a while, and neither timers nor kept listeners wait for it.
    let restarter = {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            while !shared.stop.is_set() {
                runner::restart_due(&shared);
                compose::apply(&shared);
                sim_time::follow(&shared);
                shared.composition.wait(PATROL);
            }
        })
    };
    while !shared.stop.is_set() {
        queue.patrol();
        let now = Time::wall();
        shared.tend(now);
        let mut nap = PATROL;
        // Nodes that follow /clock fire their timers when it speaks; those of a node that is set up still begin with its `start`.
        let runs = |slot: &Arc<Slot>| slot.state() == NodeState::Running && !slot.clock.follows();
        for slot in (0..).map_while(|place| shared.slot(place)).filter(runs) {
            slot.fire_timers_once(Time::wall);
            if let Some(next) = slot.next_timer() {
                nap = nap.min(Duration::from_secs_f64(next.seconds_since(now).max(0.0)));
            }
        }
        std::thread::sleep(nap);
    }
    {
        let _ready = queue.ready.lock();
        queue.stop.store(true, Ordering::Release);
    }
    queue.idle.notify_all();
    for thread in workers.into_iter().chain([restarter]) {
        // None of them panics: nodes' panics are caught.
        let _ = thread.join();
    }
    // What is on its way arrives, and nodes that still live hear the last words of those that are gone.
    let end = Instant::now() + GRACE;
    let slots: Vec<Arc<Slot>> = shared.slots.read().clone();
    drain(shared, &slots, end);
    for slot in slots.iter().rev() {
        runner::stop(shared, slot);
        drain(shared, &slots, end);
    }
}

/// Runs handlers until nothing waits any more, or until `end`: samples from other processes may come for ever.
fn drain(shared: &Arc<Shared>, slots: &[Arc<Slot>], end: Instant) {
    while Instant::now() < end {
        let mut quiet = true;
        for slot in slots.iter().filter(|slot| slot.is_ready()) {
            quiet = false;
            runner::run(shared, slot, BATCH, || false);
        }
        if quiet {
            return;
        }
    }
}
