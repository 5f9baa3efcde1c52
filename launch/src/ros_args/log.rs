//! `--log-level` and the switches of the three places that log lines go to.

use std::collections::BTreeMap;

use graph::Severity;

/// What is logged and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogArgs {
    /// For loggers that have no threshold of their own; the last `--log-level` without a name.
    pub default: Option<Severity>,
    /// By logger, dots between a logger and its children.
    pub loggers: BTreeMap<String, Severity>,
    /// `--log-file-name`: how the log file's name begins.
    pub file_name: Option<String>,
    /// Publish on /rosout.
    pub rosout: bool,
    /// Write to the console.
    pub console: bool,
    /// Write a log file; not said: only where a folder for it is named (`ROS_LOG_DIR`, `ROS_HOME`, `--log-file-name`).
    pub file: Option<bool>,
}

impl Default for LogArgs {
    fn default() -> Self {
        Self { default: None, loggers: BTreeMap::new(), file_name: None, rosout: true, console: true, file: None }
    }
}

impl LogArgs {
    pub(super) fn level(&mut self, text: &str) -> Result<(), String> {
        let (logger, level) = text.split_once(":=").map_or((None, text), |(logger, level)| (Some(logger), level));
        let severity = level.parse().map_err(|_| {
            format!("`{level}` is not a level{}", graph::suggest::hint(level, ["debug", "info", "warn", "error", "fatal"]))
        })?;
        match logger {
            None => self.default = Some(severity),
            Some("") => return Err("the logger's name is missing".into()),
            Some(logger) => {
                self.loggers.insert(logger.to_owned(), severity);
            }
        }
        Ok(())
    }

    /// From which severity on a logger's lines count. `omni.eye` is the logger of the node `/omni/eye`; what it does not have itself
    /// it has from its parent `omni`.
    #[must_use]
    pub fn threshold(&self, logger: &str) -> Severity {
        let mut name = logger;
        loop {
            if let Some(severity) = self.loggers.get(name) {
                return *severity;
            }
            match name.rsplit_once('.') {
                Some((parent, _)) => name = parent,
                None => return self.default.unwrap_or(Severity::Info),
            }
        }
    }
}
