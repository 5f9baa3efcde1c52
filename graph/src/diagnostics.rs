//! What nodes say about themselves: log lines and statuses.

use std::sync::Arc;

use msgs::diagnostic_msgs::msg::DiagnosticStatus;

use crate::logger::Severity;
use crate::time::Time;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, less well.
    Warn,
    /// It does not work.
    Error,
    /// Nothing is heard any more.
    Stale,
}

impl Level {
    /// diagnostic_msgs/DiagnosticStatus.level
    pub fn diagnostic(self) -> u8 {
        match self {
            Self::Ok => DiagnosticStatus::OK,
            Self::Warn => DiagnosticStatus::WARN,
            Self::Error => DiagnosticStatus::ERROR,
            Self::Stale => DiagnosticStatus::STALE,
        }
    }
}

/// A log line.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// How bad it is.
    pub level: Severity,
    /// The node's fully qualified name.
    pub node: Arc<str>,
    /// What it said.
    pub message: String,
    /// When, on the graph's clock.
    pub time: Time,
}

/// Takes log lines for the user to see.
pub type LogSink = Arc<dyn Fn(&LogRecord) + Send + Sync>;

/// A sink that writes to standard error, as ROS 2 does: `[level] [time] [node]: message`.
pub fn stderr_sink() -> LogSink {
    Arc::new(|record| {
        eprintln!(
            "[{}] [{:.3}] [{}]: {}",
            record.level,
            record.time.as_secs_f64(),
            record.node.trim_start_matches('/'),
            record.message
        );
    })
}

/// A sink that keeps silent.
pub fn silent_sink() -> LogSink {
    Arc::new(|_| {})
}
