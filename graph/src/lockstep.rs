//! Lock-step: the graph owns time. In each step the clock moves on, due timers fire, and messages travel in rounds until all is quiet.
//!
//! The nodes that have work in a round run in parallel; what they send is kept until the round ends and then delivered in the order of
//! the nodes. So the result never depends on how threads are scheduled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::context::Output;
use crate::shared::Shared;
use crate::slot::{NodeState, Slot};
use crate::time::Time;
use crate::{compose, runner, snapshot};

/// A step in which messages still travel after this many rounds is a loop without a timer in it.
const MAX_ROUNDS: usize = 1000;

/// The longest sleep without a look at the stop flag.
const NAP: Duration = Duration::from_millis(20);

type Job = (usize, Arc<Slot>);

/// Threads that help with a round.
struct Crew {
    shared: Arc<Shared>,
    state: Mutex<Round>,
    more: Condvar,
    done: Condvar,
    stop: AtomicBool,
}

/// The work of one round and how much of it is taken. Each round has its own, so a late helper cannot take from the next.
#[derive(Default)]
struct Jobs {
    list: Vec<Job>,
    taken: AtomicUsize,
}

#[derive(Default)]
struct Round {
    number: u64,
    jobs: Arc<Jobs>,
    spare: Vec<Arc<Jobs>>,
    results: Vec<(usize, Vec<Output>)>,
    open: usize,
}

impl Crew {
    fn work(&self, jobs: &Jobs) {
        loop {
            let index = jobs.taken.fetch_add(1, Ordering::AcqRel);
            let Some((position, slot)) = jobs.list.get(index) else { return };
            let outputs = runner::run(&self.shared, slot, usize::MAX, || false);
            let mut state = self.state.lock();
            state.results.push((*position, outputs));
            state.open -= 1;
            if state.open == 0 {
                self.done.notify_all();
            }
        }
    }

    fn help(&self) {
        let mut seen = 0;
        loop {
            let jobs = {
                let mut state = self.state.lock();
                while state.number == seen && !self.stop.load(Ordering::Acquire) {
                    self.more.wait(&mut state);
                }
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                seen = state.number;
                Arc::clone(&state.jobs)
            };
            self.work(&jobs);
        }
    }

    /// Runs all jobs and adds what they asked for to `results`, in the order of the nodes.
    fn round(&self, wanted: &[Job], results: &mut Vec<(usize, Vec<Output>)>) {
        let jobs = {
            let mut state = self.state.lock();
            // The list of an earlier round is used again, if no late helper looks at it still: each looks at one at most.
            if Arc::get_mut(&mut state.jobs).is_none() {
                let free = state.spare.iter_mut().position(|jobs| Arc::get_mut(jobs).is_some());
                let other = free.map(|free| state.spare.swap_remove(free)).unwrap_or_default();
                let busy = std::mem::replace(&mut state.jobs, other);
                state.spare.push(busy);
            }
            if let Some(jobs) = Arc::get_mut(&mut state.jobs) {
                jobs.list.clear();
                jobs.list.extend_from_slice(wanted);
                *jobs.taken.get_mut() = 0;
            }
            state.open = wanted.len();
            state.number += 1;
            Arc::clone(&state.jobs)
        };
        self.more.notify_all();
        self.work(&jobs);
        let mut state = self.state.lock();
        while state.open > 0 {
            self.done.wait(&mut state);
        }
        state.results.sort_unstable_by_key(|(position, _)| *position);
        results.append(&mut state.results);
    }
}

/// Drives a graph in lock-step.
pub(crate) struct LockStep {
    shared: Arc<Shared>,
    crew: Option<(Arc<Crew>, Vec<std::thread::JoinHandle<()>>)>,
    step: Duration,
    rate: f64,
    begun: Option<(Instant, Time)>,
    /// Of a round; used again.
    jobs: Vec<Job>,
    results: Vec<(usize, Vec<Output>)>,
}

impl LockStep {
    pub fn new(shared: &Arc<Shared>, step: Duration, rate: f64, threads: usize) -> Self {
        let crew = (threads > 1).then(|| {
            let crew = Arc::new(Crew {
                shared: Arc::clone(shared),
                state: Mutex::default(),
                more: Condvar::new(),
                done: Condvar::new(),
                stop: AtomicBool::new(false),
            });
            let helpers = (1..threads)
                .map(|_| {
                    let crew = Arc::clone(&crew);
                    std::thread::spawn(move || crew.help())
                })
                .collect();
            (crew, helpers)
        });
        Self { shared: Arc::clone(shared), crew, step, rate, begun: None, jobs: Vec::new(), results: Vec::new() }
    }

    /// Calls every node's `start`.
    pub fn start(&mut self) {
        snapshot::begin(&self.shared);
        self.start_new();
        self.settle();
    }

    /// Starts the nodes that were added since.
    fn start_new(&mut self) {
        for slot in (0..).map_while(|place| self.shared.slot(place)).filter(|slot| slot.state() == NodeState::Starting) {
            for output in runner::start(&self.shared, &slot) {
                self.shared.perform(&slot, output);
            }
        }
    }

    /// Moves the clock on by one step and lets everything that follows happen.
    pub fn step(&mut self) {
        let shared = Arc::clone(&self.shared);
        let now = shared.now() + self.step;
        shared.set_now(now);
        self.start_new();
        compose::apply(&shared);
        runner::restart_due(&shared);
        shared.admit();
        shared.tend(now);
        for slot in (0..).map_while(|place| shared.slot(place)) {
            slot.fire_timers(now);
        }
        self.settle();
        if snapshot::at_boundary(&shared, self.step) {
            self.settle();
        }
    }

    /// Waits until the wall clock has caught up, if a rate is asked for.
    pub fn pace(&mut self) {
        if self.rate.is_nan() || self.rate <= 0.0 {
            return;
        }
        let now = self.shared.now();
        let (wall, sim) = *self.begun.get_or_insert_with(|| (Instant::now(), now));
        let due = Duration::try_from_secs_f64(now.seconds_since(sim) / self.rate).unwrap_or(Duration::MAX);
        // In short naps: a small rate must not keep the graph from stopping.
        while let Some(ahead) = due.checked_sub(wall.elapsed()).filter(|ahead| !ahead.is_zero()) {
            if self.shared.stop.is_set() {
                return;
            }
            std::thread::sleep(ahead.min(NAP));
        }
        if wall.elapsed().saturating_sub(due) > Duration::from_secs(1) {
            // Too slow for the rate: do not rush later to make up for it.
            self.begun = Some((Instant::now(), now));
        }
    }

    /// Calls every node's `stop`, the last one first.
    pub fn stop(&mut self) {
        self.settle();
        let slots: Vec<Arc<Slot>> = self.shared.slots.read().clone();
        for slot in slots.iter().rev() {
            for output in runner::stop(&self.shared, slot) {
                self.shared.perform(slot, output);
            }
            // Nodes that still live hear the last words of those that are gone.
            self.settle();
        }
    }

    fn one_by_one(&self, jobs: &[Job], results: &mut Vec<(usize, Vec<Output>)>) {
        results.extend(jobs.iter().map(|(index, slot)| (*index, runner::run(&self.shared, slot, usize::MAX, || false))));
    }

    /// The graph's own node, the first one, reports on all the others: it looks before they move, as it does on one thread.
    fn together(&self, crew: &Crew, jobs: &[Job], results: &mut Vec<(usize, Vec<Output>)>) {
        let (first, others) = jobs.split_at(jobs.iter().take_while(|(index, _)| *index == 0).count());
        self.one_by_one(first, results);
        crew.round(others, results);
    }

    fn settle(&mut self) {
        for round in 0.. {
            let mut jobs = std::mem::take(&mut self.jobs);
            jobs.clear();
            for (index, slot) in self.shared.slots.read().iter().enumerate().filter(|(_, slot)| slot.is_ready()) {
                jobs.push((index, Arc::clone(slot)));
            }
            if jobs.is_empty() {
                self.jobs = jobs;
                return;
            }
            if round == MAX_ROUNDS {
                let (_, slot) = &jobs[0];
                let why =
                    format!("messages still travel after {MAX_ROUNDS} rounds of one step: is there a loop without a timer?");
                crate::logger::say(&self.shared, slot, crate::logger::Severity::Error, &why);
                slot.statuses.lock().insert("lock-step".into(), (crate::diagnostics::Level::Error, why));
                return;
            }
            let mut results = std::mem::take(&mut self.results);
            match &self.crew {
                Some((crew, _)) if jobs.len() > 1 => self.together(crew, &jobs, &mut results),
                _ => self.one_by_one(&jobs, &mut results),
            }
            for (index, mut outputs) in results.drain(..) {
                let Some((_, slot)) = jobs.iter().find(|(position, _)| *position == index) else { continue };
                for output in outputs.drain(..) {
                    self.shared.perform(slot, output);
                }
                *slot.spare.lock() = outputs;
            }
            jobs.clear();
            (self.jobs, self.results) = (jobs, results);
        }
    }
}

impl Drop for LockStep {
    fn drop(&mut self) {
        if let Some((crew, helpers)) = self.crew.take() {
            {
                let _state = crew.state.lock();
                crew.stop.store(true, Ordering::Release);
            }
            crew.more.notify_all();
            for helper in helpers {
                // A helper never panics: handlers' panics are caught.
                let _ = helper.join();
            }
        }
    }
}
