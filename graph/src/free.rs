//! Free-running: nodes run whenever they have work, on a few threads, on the wall clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::runner;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::time::Time;

/// Handlers of one node in a row before others have a turn.
const BATCH: usize = 16;

/// How long a graph that stops goes on with the messages that are on their way.
const GRACE: Duration = Duration::from_secs(2);

/// The nodes that have work.
pub(crate) struct RunQueue {
    ready: Mutex<VecDeque<Arc<Slot>>>,
    idle: Condvar,
    stop: AtomicBool,
}

impl RunQueue {
    fn new() -> Self {
        Self { ready: Mutex::default(), idle: Condvar::new(), stop: AtomicBool::new(false) }
    }

    /// Puts `slot` in line unless it is there.
    pub fn schedule(&self, slot: &Arc<Slot>) {
        if !slot.queued.swap(true, Ordering::AcqRel) {
            self.ready.lock().push_back(Arc::clone(slot));
            self.idle.notify_one();
        }
    }

    fn work(&self, shared: &Arc<Shared>) {
        loop {
            let slot = {
                let mut ready = self.ready.lock();
                loop {
                    if self.stop.load(Ordering::Acquire) {
                        return;
                    }
                    if let Some(slot) = ready.pop_front() {
                        break slot;
                    }
                    self.idle.wait(&mut ready);
                }
            };
            runner::run(shared, &slot, BATCH);
            slot.queued.store(false, Ordering::Release);
            if slot.is_ready() {
                self.schedule(&slot);
            }
        }
    }
}

/// Runs the graph until its stop flag is set.
pub(crate) fn run(shared: &Arc<Shared>, threads: usize) {
    let queue = Arc::new(RunQueue::new());
    let slots: Vec<Arc<Slot>> = shared.slots.read().clone();
    for slot in &slots {
        runner::start(shared, slot);
    }
    // From here on work is scheduled; what came before is found by hand.
    if shared.queue.set(Arc::clone(&queue)).is_err() {
        return;
    }
    let workers: Vec<_> = (0..threads.max(2))
        .map(|_| {
            let (queue, shared) = (Arc::clone(&queue), Arc::clone(shared));
            std::thread::spawn(move || queue.work(&shared))
        })
        .collect();
    for slot in &slots {
        if slot.is_ready() {
            queue.schedule(slot);
        }
    }
    while !shared.stop.is_set() {
        runner::restart_due(shared);
        let now = Time::wall();
        let mut nap = Duration::from_millis(20);
        for slot in &slots {
            slot.fire_timers_once(now);
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
    for worker in workers {
        // A worker never panics: handlers' panics are caught.
        let _ = worker.join();
    }
    // What is on its way arrives, and nodes that still live hear the last words of those that are gone.
    let end = Instant::now() + GRACE;
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
            runner::run(shared, slot, BATCH);
        }
        if quiet {
            return;
        }
    }
}
