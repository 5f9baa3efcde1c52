//! Who may compute next: a queue ordered by class, then deadline, then arrival.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How much a request matters. Safety goes before mission, mission before background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Needed to stay safe, e.g. a person in front of the robot.
    Safety,
    /// Needed for the task at hand.
    Mission,
    /// Useful, but may wait.
    Background,
}

/// Class and, if late results are worthless, the time within which the computation has to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    /// The class.
    pub class: Class,
    /// Longest wait in the queue; no limit if `None`. In lock-step simulation leave it out: it is wall time.
    pub max_wait: Option<Duration>,
}

impl Priority {
    /// Safety without a limit.
    pub const SAFETY: Self = Self { class: Class::Safety, max_wait: None };
    /// Mission without a limit.
    pub const MISSION: Self = Self { class: Class::Mission, max_wait: None };
    /// Background without a limit.
    pub const BACKGROUND: Self = Self { class: Class::Background, max_wait: None };

    /// The same class, refused if it cannot begin within `max_wait`.
    #[must_use]
    pub const fn within(self, max_wait: Duration) -> Self {
        Self { class: self.class, max_wait: Some(max_wait) }
    }
}

/// Why a request was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    QueueFull { waiting: usize },
    TooLate { waited: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    class: Class,
    /// `None` sorts after every deadline.
    deadline: (bool, Option<Instant>),
    sequence: u64,
    model: u64,
}

#[derive(Debug, Default)]
struct State {
    next_sequence: u64,
    running: Vec<u64>,
    waiting: BTreeSet<Ticket>,
}

/// Admits at most `slots` computations at a time, one per model, the most urgent first.
#[derive(Debug)]
pub(crate) struct Scheduler {
    slots: usize,
    max_waiting: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// The right to compute; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    scheduler: &'a Scheduler,
    model: u64,
    pub(crate) waited: Duration,
}

impl Scheduler {
    pub(crate) fn new(slots: usize, max_waiting: usize) -> Self {
        Self { slots: slots.max(1), max_waiting, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for a slot. `model` is a number that stands for the network: one network runs one request at a time.
    pub(crate) fn acquire(&self, model: u64, priority: Priority) -> Result<Permit<'_>, Refusal> {
        let begin = Instant::now();
        let deadline = priority.max_wait.and_then(|w| begin.checked_add(w));
        let mut state = self.state.lock();
        let sequence = state.next_sequence;
        state.next_sequence += 1;
        let ticket = Ticket { class: priority.class, deadline: (deadline.is_none(), deadline), sequence, model };
        state.waiting.insert(ticket);
        if self.next(&state) != Some(ticket) && state.waiting.len() > self.max_waiting {
            state.waiting.remove(&ticket);
            return Err(Refusal::QueueFull { waiting: state.waiting.len() });
        }
        while self.next(&state) != Some(ticket) {
            let timed_out = match deadline {
                Some(deadline) => self.changed.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.changed.wait(&mut state);
                    false
                }
            };
            if timed_out && self.next(&state) != Some(ticket) {
                state.waiting.remove(&ticket);
                self.changed.notify_all();
                return Err(Refusal::TooLate { waited: begin.elapsed() });
            }
        }
        state.waiting.remove(&ticket);
        state.running.push(model);
        // Another slot may be free for the next in the queue.
        self.changed.notify_all();
        Ok(Permit { scheduler: self, model, waited: begin.elapsed() })
    }

    /// The most urgent ticket whose network is idle, if a slot is free.
    fn next(&self, state: &State) -> Option<Ticket> {
        (state.running.len() < self.slots)
            .then(|| state.waiting.iter().find(|t| !state.running.contains(&t.model)).copied())
            .flatten()
    }

    /// Requests that wait for a slot now.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.scheduler.state.lock();
        if let Some(at) = state.running.iter().position(|m| *m == self.model) {
            state.running.swap_remove(at);
        }
        self.scheduler.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spins until so many requests wait; a test that hangs here would show a lost request.
    fn wait_for(scheduler: &Scheduler, waiting: usize) {
        while scheduler.waiting() < waiting {
            std::thread::yield_now();
        }
    }

    #[test]
    fn urgent_requests_overtake() {
        let scheduler = Scheduler::new(1, 16);
        let order = Mutex::new(Vec::new());
        let minute = Duration::from_secs(60);
        std::thread::scope(|scope| {
            let first = scheduler.acquire(0, Priority::MISSION).unwrap();
            let requests = [
                ("background", Priority::BACKGROUND),
                ("mission", Priority::MISSION),
                ("mission, two minutes", Priority::MISSION.within(2 * minute)),
                ("mission, one minute", Priority::MISSION.within(minute)),
                ("safety", Priority::SAFETY),
            ];
            for (n, (name, priority)) in requests.into_iter().enumerate() {
                let (scheduler, order) = (&scheduler, &order);
                scope.spawn(move || {
                    let _permit = scheduler.acquire(n as u64, priority).unwrap();
                    order.lock().push(name);
                });
                wait_for(scheduler, n + 1);
            }
            drop(first);
        });
        assert_eq!(*order.lock(), ["safety", "mission, one minute", "mission, two minutes", "mission", "background"]);
    }

    #[test]
    fn a_full_queue_refuses() {
        let scheduler = Scheduler::new(1, 0);
        let _held = scheduler.acquire(0, Priority::MISSION).unwrap();
        assert_eq!(scheduler.acquire(1, Priority::SAFETY).unwrap_err(), Refusal::QueueFull { waiting: 0 });
    }

    #[test]
    fn a_request_that_cannot_begin_in_time_is_refused() {
        let scheduler = Scheduler::new(1, 4);
        let held = scheduler.acquire(0, Priority::MISSION).unwrap();
        assert!(matches!(scheduler.acquire(1, Priority::SAFETY.within(Duration::ZERO)), Err(Refusal::TooLate { .. })));
        drop(held);
        assert_eq!(scheduler.waiting(), 0);
        assert!(scheduler.acquire(1, Priority::SAFETY.within(Duration::ZERO)).is_ok(), "a free slot needs no wait");
    }

    #[test]
    fn a_busy_network_does_not_hold_up_others() {
        let scheduler = Scheduler::new(2, 4);
        std::thread::scope(|scope| {
            let held = scheduler.acquire(7, Priority::MISSION).unwrap();
            scope.spawn(|| drop(scheduler.acquire(7, Priority::SAFETY).unwrap()));
            wait_for(&scheduler, 1);
            drop(scheduler.acquire(8, Priority::BACKGROUND).unwrap());
            drop(held);
        });
    }
}
