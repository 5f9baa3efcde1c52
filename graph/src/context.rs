//! What a handler can do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use msgs::rcl_interfaces::msg::Log;

use crate::compose::Change;
use crate::diagnostics::Level;
use crate::message::Erased;
use crate::service::{CallId, ClientCore, ReplyTo};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::time::Time;
use crate::topic::PublisherCore;

/// What a handler asked for.
pub(crate) enum Output {
    Publish {
        core: Arc<PublisherCore>,
        message: Arc<dyn Erased>,
        stamp: Time,
        published: Instant,
    },
    Assert {
        core: Arc<PublisherCore>,
    },
    Call {
        client: Arc<ClientCore>,
        request: Arc<dyn Erased>,
        port: usize,
        generation: u64,
        call: CallId,
    },
    Reply {
        reply: ReplyTo,
        response: Arc<dyn Erased>,
    },
    Log(Log),
    Change(Change),
    /// The node is gone: what it declared is taken back.
    Leave,
}

/// A handler's hold on the graph: the time, the log, and the way out for messages.
pub struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) exit: Option<String>,
    pub(crate) given_up: bool,
    now: Time,
}

impl Context {
    pub(crate) fn new(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Self {
        let outputs = std::mem::take(&mut *slot.spare.lock());
        let now = slot.clock.now(shared);
        Self { shared: Arc::clone(shared), slot: Arc::clone(slot), outputs, exit: None, given_up: false, now }
    }

    /// Takes the time for the next handler.
    pub(crate) fn tick(&mut self) {
        self.now = self.slot.clock.now(&self.shared);
    }

    /// In lock-step what handlers send is kept until the round ends, so that its order never depends on threads.
    pub(crate) fn emit(&mut self, output: Output) {
        if self.shared.lock_step {
            self.outputs.push(output);
        } else {
            self.shared.perform(&self.slot, output);
        }
    }

    /// The time on the node's clock, the same during one handler: the graph's, or that of /clock with `use_sim_time` in free-running mode
    /// (zero until its first message came).
    pub fn now(&self) -> Time {
        self.now
    }

    /// The node's fully qualified name.
    pub fn node_name(&self) -> &str {
        &self.slot.name
    }

    /// Sets the status `what` of this node on /diagnostics; `Level::Ok` clears it. A change for the worse is logged, and so is a recovery.
    #[track_caller]
    pub fn status(&mut self, level: Level, what: &str, message: impl Into<String>) {
        let message = message.into();
        let before = self.slot.statuses.lock().insert(what.to_owned(), (level, message.clone()));
        let before = before.map_or(Level::Ok, |(before, _)| before);
        if before < level || (level == Level::Ok && before != Level::Ok) {
            self.log(level.into(), &format!("{what}: {message}"));
        }
    }

    /// Asks the whole graph to stop in order.
    pub fn shutdown(&mut self, reason: impl Into<String>) {
        self.shared.stop.stop(reason);
    }

    /// Leaves: this node ends after the handler; its restart policy decides whether it comes back.
    pub fn exit(&mut self, reason: impl Into<String>) {
        self.exit = Some(reason.into());
    }

    /// Gives this node up after the handler: its work has failed for good. It counts as failed, and no restart policy is asked.
    pub fn give_up(&mut self, reason: impl Into<String>) {
        self.exit = Some(reason.into());
        self.given_up = true;
    }

    /// Messages that came faster than this node took them, and were dropped from its full queues, in all its lives.
    pub fn dropped(&self) -> u64 {
        self.slot.stats.dropped.load(Ordering::Relaxed)
    }

    /// A number that this node has not used before: 1, 2, 3, ...
    pub(crate) fn count(&self) -> u64 {
        self.slot.counter.fetch_add(1, Ordering::Relaxed) + 1
    }
}
