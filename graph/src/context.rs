//! What a handler can do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use msgs::rcl_interfaces::msg::Log;

use crate::diagnostics::Level;
use crate::message::Erased;
use crate::service::{CallId, ClientCore, ReplyTo};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::time::Time;
use crate::topic::PublisherCore;

/// What a handler asked for.
pub(crate) enum Output {
    Publish { core: Arc<PublisherCore>, message: Arc<dyn Erased>, stamp: Time, published: Instant },
    Call { client: Arc<ClientCore>, request: Arc<dyn Erased>, port: usize, generation: u64, call: CallId },
    Reply { reply: ReplyTo, response: Arc<dyn Erased> },
    Log(Log),
}

/// A handler's hold on the graph: the time, the log, and the way out for messages.
pub struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) exit: Option<String>,
    now: Time,
}

impl Context {
    pub(crate) fn new(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Self {
        let outputs = std::mem::take(&mut *slot.spare.lock());
        Self { shared: Arc::clone(shared), slot: Arc::clone(slot), outputs, exit: None, now: shared.now() }
    }

    /// Takes the time for the next handler.
    pub(crate) fn tick(&mut self) {
        self.now = self.shared.now();
    }

    /// In lock-step what handlers send is kept until the round ends, so that its order never depends on threads.
    pub(crate) fn emit(&mut self, output: Output) {
        if self.shared.lock_step {
            self.outputs.push(output);
        } else {
            self.shared.perform(&self.slot, output);
        }
    }

    /// The time on the graph's clock, the same during one handler.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The node's fully qualified name.
    pub fn node_name(&self) -> &str {
        &self.slot.name
    }

    /// Says something that users may want to know.
    pub fn info(&mut self, message: impl Into<String>) {
        self.log(Level::Ok, message.into());
    }

    /// Says that something works less well than it should.
    pub fn warn(&mut self, message: impl Into<String>) {
        self.log(Level::Warn, message.into());
    }

    /// Says that something does not work.
    pub fn error(&mut self, message: impl Into<String>) {
        self.log(Level::Error, message.into());
    }

    fn log(&mut self, level: Level, message: String) {
        self.shared.write_log(&self.slot, level, &message);
        let log = Log {
            stamp: self.now.to_msg(),
            level: level.log(),
            name: self.slot.name.trim_start_matches('/').replace('/', "."),
            msg: message,
            ..Default::default()
        };
        self.emit(Output::Log(log));
    }

    /// Sets the status `what` of this node on /diagnostics; `Level::Ok` clears it.
    pub fn status(&mut self, level: Level, what: &str, message: impl Into<String>) {
        let message = message.into();
        let before = self.slot.statuses.lock().insert(what.to_owned(), (level, message.clone()));
        let worse = before.map_or(Level::Ok, |(before, _)| before) < level;
        if worse {
            self.shared.write_log(&self.slot, level, &format!("{what}: {message}"));
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

    /// A number that this node has not used before: 1, 2, 3, ...
    pub(crate) fn count(&self) -> u64 {
        self.slot.counter.fetch_add(1, Ordering::Relaxed) + 1
    }
}
