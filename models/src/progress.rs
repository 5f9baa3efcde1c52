//! Showing how far fetching has come.

use indicatif::{ProgressBar, ProgressStyle};

/// Told how fetching goes on. Bytes count what is downloaded, over all packages.
pub trait FetchProgress {
    /// Fetching begins: this many bytes in so many packages are to come.
    fn begin(&mut self, bytes_total: u64, packages: usize);
    /// Something worth a line, e.g. which package is next.
    fn message(&mut self, text: &str);
    /// So many bytes of all are there.
    fn bytes(&mut self, done: u64);
    /// Everything is there.
    fn finish(&mut self);
}

/// Says nothing.
#[derive(Debug, Default)]
pub struct NoProgress;

impl FetchProgress for NoProgress {
    fn begin(&mut self, _: u64, _: usize) {}
    fn message(&mut self, _: &str) {}
    fn bytes(&mut self, _: u64) {}
    fn finish(&mut self) {}
}

/// A bar on the terminal (standard error); silent where standard error is no terminal, but for the messages.
#[derive(Debug)]
pub struct BarProgress {
    bar: ProgressBar,
}

impl Default for BarProgress {
    fn default() -> Self {
        Self { bar: ProgressBar::new(0) }
    }
}

impl FetchProgress for BarProgress {
    fn begin(&mut self, bytes_total: u64, packages: usize) {
        self.bar.set_length(bytes_total);
        // The template is a constant that a test renders; without it the plain bar is shown.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}") {
            self.bar.set_style(style);
        }
        self.message(&format!("fetching {packages} package(s)"));
    }

    fn message(&mut self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("models: {text}");
        } else {
            self.bar.set_message(text.to_owned());
        }
    }

    fn bytes(&mut self, done: u64) {
        self.bar.set_position(done);
    }

    fn finish(&mut self) {
        self.bar.finish_with_message("done");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_template_is_valid() {
        assert!(ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}").is_ok());
    }
}
