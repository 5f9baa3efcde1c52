//! Where a ROS 2 executable's log lines go: the console and a log file, as rcutils and rcl_logging_spdlog write them.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use graph::{LogSink, Severity};

use crate::ros_args::LogArgs;

/// Why log lines cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A variable of the environment has a value that rcutils would refuse.
    #[error("{variable} is `{value}`, but must be 0, 1 or empty")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// There is no folder for log files.
    #[error("there is no folder for log files: neither ROS_LOG_DIR, ROS_HOME nor HOME is set")]
    Folder,
    /// A log file cannot be made.
    #[error("cannot write log files in {}: {source}", folder.display())]
    File {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

const DEFAULT_FORMAT: &str = "[{severity}] [{time}] [{name}]: {message}";

/// What the environment says about the console (rcutils/logging.h).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// `RCUTILS_CONSOLE_OUTPUT_FORMAT`
    pub format: String,
    /// `RCUTILS_LOGGING_USE_STDOUT`: standard output instead of standard error.
    pub stdout: bool,
    /// `RCUTILS_COLORIZED_OUTPUT`; not set: where the stream is a terminal.
    pub color: Option<bool>,
}

impl Console {
    /// From the environment.
    ///
    /// # Errors
    /// [`LogError::Variable`].
    pub fn from_env() -> Result<Self, LogError> {
        Self::from_variables(variable)
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, LogError> {
        let switch = |name: &'static str| match variable(name).as_deref() {
            None => Ok(None),
            Some("0") => Ok(Some(false)),
            Some("1") => Ok(Some(true)),
            Some(value) => Err(LogError::Variable { variable: name, value: value.to_owned() }),
        };
        // Lines are written whole and at once in any case.
        switch("RCUTILS_LOGGING_BUFFERED_STREAM")?;
        Ok(Self {
            format: variable("RCUTILS_CONSOLE_OUTPUT_FORMAT").map_or_else(|| DEFAULT_FORMAT.to_owned(), |f| unescape(&f)),
            stdout: switch("RCUTILS_LOGGING_USE_STDOUT")?.unwrap_or(false),
            color: switch("RCUTILS_COLORIZED_OUTPUT")?,
        })
    }

    /// A line without its end. What has no value here (function, file, line) is empty or 0; unknown words stay as they are.
    #[must_use]
    pub fn line(&self, severity: Severity, logger: &str, message: &str, since_epoch: Duration) -> String {
        let mut out = String::with_capacity(self.format.len() + message.len() + 40);
        let mut rest = self.format.as_str();
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let Some(close) = rest.find('}') else { break };
            // Writing to a String cannot fail.
            let _ = match &rest[1..close] {
                "severity" => out.write_str(&severity.to_string().to_ascii_uppercase()),
                "name" => out.write_str(logger),
                "message" => out.write_str(message),
                "time" => write!(out, "{:010}.{:09}", since_epoch.as_secs(), since_epoch.subsec_nanos()),
                "time_as_nanoseconds" => write!(out, "{:019}", since_epoch.as_nanos()),
                "date_time_with_ms" => out.write_str(&crate::date::with_ms(since_epoch)),
                "function_name" | "file_name" => Ok(()),
                "line_number" => out.write_str("0"),
                _ => {
                    // A brace of the text: what follows it may be a word again.
                    out.push('{');
                    rest = &rest[1..];
                    continue;
                }
            };
            rest = &rest[close + 1..];
        }
        out.push_str(rest);
        out
    }

    fn colored(&self) -> bool {
        self.color.unwrap_or_else(|| if self.stdout { std::io::stdout().is_terminal() } else { std::io::stderr().is_terminal() })
    }

    fn write(&self, line: &str, severity: Severity, colored: bool) {
        let code = match severity {
            _ if !colored => None,
            Severity::Debug => Some(32),
            Severity::Info => None,
            Severity::Warn => Some(33),
            Severity::Error | Severity::Fatal => Some(31),
        };
        let text = code.map_or_else(|| format!("{line}\n"), |code| format!("\x1b[{code}m{line}\x1b[0m\n"));
        // Nobody reads it any more: there is nobody to tell either.
        let _ = if self.stdout {
            std::io::stdout().lock().write_all(text.as_bytes())
        } else {
            std::io::stderr().lock().write_all(text.as_bytes())
        };
    }
}

/// `\n`, `\t` and their like, as a shell passes them on.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('a') => out.push('\x07'),
            Some('b') => out.push('\x08'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('\\') => out.push('\\'),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The sink that the arguments and the environment ask for. What is below a node's threshold does not come here; `program` begins the log file's name.
///
/// # Errors
/// [`LogError`].
pub fn sink(args: &LogArgs, program: &str) -> Result<LogSink, LogError> {
    let console = Console::from_env()?;
    let console = args.console.then(|| (console.colored(), console));
    let named = args.file_name.is_some() || variable("ROS_LOG_DIR").is_some() || variable("ROS_HOME").is_some();
    let file = if args.file.unwrap_or(named) { Some(log_file(args.file_name.as_deref().unwrap_or(program))?) } else { None };
    let plain = Console { format: DEFAULT_FORMAT.to_owned(), stdout: false, color: Some(false) };
    Ok(Arc::new(move |record| {
        let logger = record.node.trim_start_matches('/').replace('/', ".");
        let severity = record.level;
        let now = since_epoch();
        if let Some((colored, console)) = &console {
            console.write(&console.line(severity, &logger, &record.message, now), severity, *colored);
        }
        if let Some(file) = &file {
            let line = plain.line(severity, &logger, &record.message, now) + "\n";
            // A full disk must not stop the node; the console still has the line.
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        }
    }))
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `<folder>/<program>_<process>_<milliseconds>.log`, as rcl_logging_spdlog names it.
fn log_file(program: &str) -> Result<Mutex<File>, LogError> {
    let folder = log_folder(variable)?;
    let name = format!("{program}_{}_{}.log", std::process::id(), since_epoch().as_millis());
    let open = || {
        std::fs::create_dir_all(&folder)?;
        OpenOptions::new().create(true).append(true).open(folder.join(name))
    };
    open().map(Mutex::new).map_err(|source| LogError::File { folder: folder.clone(), source })
}

/// `ROS_LOG_DIR`, or `log` in `ROS_HOME`, or `~/.ros/log`.
fn log_folder(variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, LogError> {
    let home = variable("HOME").map(PathBuf::from);
    let expand = |text: String| match (text.strip_prefix('~'), &home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    };
    let log = variable("ROS_LOG_DIR").map(&expand);
    let ros = || variable("ROS_HOME").map(&expand).or_else(|| home.as_ref().map(|home| home.join(".ros")));
    log.or_else(|| ros().map(|ros| ros.join("log"))).ok_or(LogError::Folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(pairs: &[(&str, &str)]) -> Result<Console, LogError> {
        Console::from_variables(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn lines_have_the_form_that_the_environment_asks_for() {
        let time = Duration::new(1_795_379_836, 849_537_264);
        let line = |format: &str| {
            console(&[("RCUTILS_CONSOLE_OUTPUT_FORMAT", format)]).unwrap().line(
                Severity::Warn,
                "omni.eye",
                "{time} is {not}",
                time,
            )
        };
        // rclpy (Kilted) writes this line so.
        assert_eq!(
            console(&[]).unwrap().line(Severity::Error, "rcl", "Failed", time),
            "[ERROR] [1795379836.849537264] [rcl]: Failed"
        );
        assert_eq!(line("{severity} {name}: {message}"), "WARN omni.eye: {time} is {not}");
        assert_eq!(line("{time_as_nanoseconds}\\t{line_number}"), "1795379836849537264\t0");
        assert_eq!(line("{unknown} {{name} {"), "{unknown} {omni.eye {");
        assert_eq!(line("{date_time_with_ms}"), "2026-11-22 20:37:16.849");
    }

    #[test]
    fn switches_are_0_or_1() {
        let both = console(&[("RCUTILS_LOGGING_USE_STDOUT", "1"), ("RCUTILS_COLORIZED_OUTPUT", "0")]).unwrap();
        assert!(both.stdout && both.color == Some(false));
        let error = console(&[("RCUTILS_COLORIZED_OUTPUT", "yes")]).unwrap_err();
        assert!(error.to_string().contains("RCUTILS_COLORIZED_OUTPUT is `yes`"), "{error}");
    }

    #[test]
    fn the_log_folder_is_where_rcl_has_it() {
        let folder = |pairs: &[(&str, &str)]| {
            log_folder(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).map_err(|e| e.to_string())
        };
        assert_eq!(folder(&[("HOME", "/h")]).unwrap(), PathBuf::from("/h/.ros/log"));
        assert_eq!(folder(&[("HOME", "/h"), ("ROS_HOME", "~/r")]).unwrap(), PathBuf::from("/h/r/log"));
        assert_eq!(folder(&[("HOME", "/h"), ("ROS_LOG_DIR", "/l")]).unwrap(), PathBuf::from("/l"));
        assert!(folder(&[]).is_err());
    }
}
