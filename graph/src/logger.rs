//! Log lines: each node has a logger with a threshold and a publisher of its own on /rosout, as every rclcpp node has.

use std::fmt;
use std::panic::Location;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use msgs::rcl_interfaces::msg::{Log, LoggerLevel, SetLoggerLevelsResult};
use msgs::rcl_interfaces::srv::{GetLoggerLevels, GetLoggerLevelsResponse, SetLoggerLevels, SetLoggerLevelsResponse};
use parking_lot::RwLock;

use crate::context::{Context, Output};
use crate::diagnostics::{Level, LogRecord};
use crate::error::SetupError;
use crate::node::{Node, Setup};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::time::Time;
use crate::topic::PublisherCore;
use crate::{Qos, transport::NodeIdentity};

/// How bad what a log line says is; the codes are those of rcl_interfaces/Log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    /// For those who look for a mistake.
    Debug = Log::DEBUG,
    /// Something that users may want to know.
    Info = Log::INFO,
    /// It works, less well.
    Warn = Log::WARN,
    /// It does not work.
    Error = Log::ERROR,
    /// Nothing works any more.
    Fatal = Log::FATAL,
}

impl Severity {
    const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// As rcl_interfaces/Log and rcutils number it.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The severity of a code.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| u32::from(severity.code()) == code)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        })
    }
}

/// Not one of debug, info, warn, error and fatal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of debug, info, warn, error and fatal")]
pub struct UnknownSeverity(String);

/// In large or small letters, as rcutils takes them.
impl FromStr for Severity {
    type Err = UnknownSeverity;
    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        let known = Self::ALL.into_iter().find(|severity| severity.to_string().eq_ignore_ascii_case(text));
        known.ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Ok => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error | Level::Stale => Self::Error,
        }
    }
}

/// The threshold of loggers that have none of their own.
pub(crate) const DEFAULT: Severity = Severity::Info;
/// A threshold that is not set.
const UNSET: u8 = 0;

/// The logger of a node.
pub(crate) struct Logger {
    /// As rcl makes it of namespace and name: `robot.vision`.
    name: String,
    threshold: AtomicU8,
    rosout: RwLock<Option<Arc<PublisherCore>>>,
}

impl Logger {
    pub fn new(identity: &NodeIdentity, threshold: Option<Severity>) -> Self {
        let full = format!("{}/{}", identity.namespace, identity.name);
        let parts: Vec<&str> = full.split('/').filter(|part| !part.is_empty()).collect();
        Self {
            name: parts.join("."),
            threshold: AtomicU8::new(threshold.map_or(UNSET, Severity::code)),
            rosout: RwLock::default(),
        }
    }

    /// Lets go of the publisher.
    pub fn close(&self) {
        *self.rosout.write() = None;
    }

    /// The threshold of its own, as a code; zero: none.
    pub fn own_threshold(&self) -> u8 {
        self.threshold.load(Ordering::Relaxed)
    }

    /// Takes up what [`Logger::own_threshold`] gave.
    pub fn set_own_threshold(&self, code: u8) {
        self.threshold.store(code, Ordering::Relaxed);
    }

    fn lets_pass(&self, severity: Severity, shared: &Shared) -> bool {
        let own = self.threshold.load(Ordering::Relaxed);
        let threshold = if own == UNSET { shared.log_threshold.load(Ordering::Relaxed) } else { own };
        severity.code() >= threshold
    }
}

/// Shows a line to the user and makes the message for /rosout; `None` if it is below the node's threshold.
pub(crate) fn record(
    shared: &Shared,
    slot: &Slot,
    (severity, time): (Severity, Time),
    message: &str,
    place: Option<&Location<'_>>,
) -> Option<Log> {
    if !slot.logger.lets_pass(severity, shared) {
        return None;
    }
    (shared.log)(&LogRecord { level: severity, node: Arc::clone(&slot.name), message: message.to_owned(), time });
    Some(Log {
        stamp: time.to_msg(),
        level: severity.code(),
        name: slot.logger.name.clone(),
        msg: message.to_owned(),
        file: place.map_or_else(String::new, |place| place.file().to_owned()),
        function: String::new(),
        line: place.map_or(0, Location::line),
    })
}

/// Sends a line by the node's publisher; what is said about a node that is gone, by that of the graph's own node.
pub(crate) fn publish(shared: &Shared, slot: &Slot, log: Log) {
    let own = slot.logger.rosout.read().clone();
    let core = own.or_else(|| shared.slots.read().first().and_then(|first| first.logger.rosout.read().clone()));
    if let Some(core) = core {
        let now = shared.now();
        core.topic.publish(&core, Arc::new(log), (now, now), Instant::now());
    }
}

/// Shows and sends a line at once, from a thread that may deliver messages.
pub(crate) fn say(shared: &Shared, slot: &Slot, severity: Severity, message: &str) {
    if let Some(log) = record(shared, slot, (severity, shared.now()), message, None) {
        publish(shared, slot, log);
    }
}

impl Context {
    /// Says something for those who look for a mistake; shown where the node's logger is set to debug.
    #[track_caller]
    pub fn debug(&mut self, message: impl Into<String>) {
        self.log(Severity::Debug, &message.into());
    }

    /// Says something that users may want to know.
    #[track_caller]
    pub fn info(&mut self, message: impl Into<String>) {
        self.log(Severity::Info, &message.into());
    }

    /// Says that something works less well than it should.
    #[track_caller]
    pub fn warn(&mut self, message: impl Into<String>) {
        self.log(Severity::Warn, &message.into());
    }

    /// Says that something does not work.
    #[track_caller]
    pub fn error(&mut self, message: impl Into<String>) {
        self.log(Severity::Error, &message.into());
    }

    /// Says that nothing works any more.
    #[track_caller]
    pub fn fatal(&mut self, message: impl Into<String>) {
        self.log(Severity::Fatal, &message.into());
    }

    /// Whether a line of this severity would be shown: for lines that cost something to write.
    pub fn logs(&self, severity: Severity) -> bool {
        self.slot.logger.lets_pass(severity, &self.shared)
    }

    #[track_caller]
    pub(crate) fn log(&mut self, severity: Severity, message: &str) {
        let log = record(&self.shared, &self.slot, (severity, self.now()), message, Some(Location::caller()));
        if let Some(log) = log {
            self.emit(Output::Log(log));
        }
    }
}

/// Declares the publisher on /rosout, if there is to be one; before everything else, so that the set-up can speak.
pub(crate) fn open<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    if !setup.shared.rosout {
        return Ok(());
    }
    let rosout = setup.publisher::<Log>("/rosout", Qos::rosout())?;
    *setup.slot.logger.rosout.write() = Some(Arc::clone(rosout.core()));
    Ok(())
}

/// Declares the services that tell and set thresholds (rclcpp: `NodeOptions::enable_logger_service`). As in rclcpp they reach every logger of the
/// process; an empty name is the threshold of those that have none of their own.
pub(crate) fn declare_services<N: Node>(setup: &mut Setup<N>) -> Result<(), SetupError> {
    let shared = Arc::downgrade(&setup.shared);
    setup.service::<GetLoggerLevels>("~/get_logger_levels", move |_, _, request| {
        let shared = shared.upgrade();
        let level = |name: &str| shared.as_ref().and_then(|shared| threshold(shared, name, |cell| cell.load(Ordering::Relaxed)));
        let levels = request.names.into_iter();
        let levels = levels.map(|name| LoggerLevel { level: level(&name).unwrap_or(UNSET).into(), name }).collect();
        Ok(GetLoggerLevelsResponse { levels })
    })?;
    let shared = Arc::downgrade(&setup.shared);
    setup.service::<SetLoggerLevels>("~/set_logger_levels", move |_, _, request| {
        let set = |wanted: LoggerLevel| {
            let code = Severity::from_code(wanted.level).map(Severity::code).or((wanted.level == 0).then_some(UNSET));
            let Some(code) = code else { return Err(format!("{} is no severity", wanted.level)) };
            if wanted.name.is_empty() && code == UNSET {
                return Err("the common threshold cannot be unset".to_owned());
            }
            let done =
                shared.upgrade().and_then(|shared| threshold(&shared, &wanted.name, |cell| cell.store(code, Ordering::Relaxed)));
            done.ok_or_else(|| format!("no logger `{}` in this process", wanted.name))
        };
        let result =
            |done: Result<(), String>| SetLoggerLevelsResult { successful: done.is_ok(), reason: done.err().unwrap_or_default() };
        Ok(SetLoggerLevelsResponse { results: request.levels.into_iter().map(|level| result(set(level))).collect() })
    })
}

/// Does something to the threshold of a logger.
fn threshold<T>(shared: &Shared, name: &str, act: impl FnOnce(&AtomicU8) -> T) -> Option<T> {
    if name.is_empty() {
        return Some(act(&shared.log_threshold));
    }
    let slots = shared.slots.read();
    slots.iter().find(|slot| slot.logger.name == name).map(|slot| act(&slot.logger.threshold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_have_rosouts_codes_and_rcutils_names() {
        for (text, severity, code) in
            [("DEBUG", Severity::Debug, 10), ("Warn", Severity::Warn, 30), ("fatal", Severity::Fatal, 50)]
        {
            assert_eq!((text.parse(), Severity::from_code(code)), (Ok(severity), Some(severity)));
        }
        assert_eq!("loud".parse::<Severity>().unwrap_err().to_string(), "`loud` is none of debug, info, warn, error and fatal");
        assert_eq!(Severity::from_code(0), None);
    }

    #[test]
    fn a_logger_is_named_as_rcl_names_it() {
        for (namespace, name) in [("/", "vision"), ("/a/b", "a.b.vision")] {
            let identity = NodeIdentity { namespace: namespace.into(), name: "vision".into(), id: 1 };
            assert_eq!(Logger::new(&identity, None).name, name);
        }
    }
}
