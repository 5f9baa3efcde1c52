//! The thread that writes: a driver at the edge, so that a slow disk or viewer never holds the robot up.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use re_sdk::{RecordingStream, RecordingStreamBuilder};

use crate::blueprint;
use crate::scene::{self, Body, Item, TIMELINE};

/// Where a recording goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A .rrd file.
    File(PathBuf),
    /// A running Rerun viewer, e.g. `rerun+http://127.0.0.1:9876/proxy`.
    Live(String),
}

/// Why a recording cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Rerun refused the target.
    #[error("cannot write {target}: {source}")]
    Rerun {
        /// The target.
        target: String,
        /// What Rerun said.
        source: Box<re_sdk::RecordingStreamError>,
    },
    /// There is no thread to be had.
    #[error("cannot start the writing thread: {0}")]
    Thread(std::io::Error),
}

struct Job {
    nanos: i64,
    item: Item,
}

/// A Rerun recording that is being written.
pub struct Stream {
    // None after `finish`.
    jobs: Option<SyncSender<Job>>,
    done: Receiver<()>,
    dropped: Arc<AtomicU64>,
}

const QUEUE: usize = 256;

impl Stream {
    /// Opens the target and sends the layout. `jpeg_quality` 1..100.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(target: &Target, body: Body, jpeg_quality: u8) -> Result<Self, OpenError> {
        let builder = RecordingStreamBuilder::new(blueprint::APPLICATION).recording_name("OmniMind");
        let opened = match target {
            Target::File(path) => {
                if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder { path: folder.to_path_buf(), source })?;
                }
                builder.save(path.clone())
            }
            Target::Live(url) => builder.connect_grpc_opts(url.clone()),
        };
        let name = match target {
            Target::File(path) => path.display().to_string(),
            Target::Live(url) => url.clone(),
        };
        let failed = |source| OpenError::Rerun { target: name.clone(), source: Box::new(source) };
        let rec = opened.map_err(failed)?;
        // Only the graph's clock: the same run shows the same times.
        rec.set_log_time_enabled(false);
        rec.set_log_tick_enabled(false);
        blueprint::send(&rec)
            .and_then(|()| scene::log_static(&rec, &body))
            .map_err(|source| OpenError::Rerun { target: name, source: Box::new(source) })?;
        let (jobs, inbox) = sync_channel(QUEUE);
        let (finished, done) = mpsc::channel();
        std::thread::Builder::new()
            .name("viewer".into())
            .spawn(move || {
                write(&rec, &inbox, jpeg_quality);
                // Ends in bounded time even if a live viewer has gone away.
                let _ = rec.flush_with_timeout(Duration::from_secs(5));
                drop(rec);
                let _ = finished.send(());
            })
            .map_err(OpenError::Thread)?;
        Ok(Self { jobs: Some(jobs), done, dropped: Arc::new(AtomicU64::new(0)) })
    }

    /// Queues an item, `nanos` on the graph's clock. Images and scans are left out (and counted) when the writer cannot keep up;
    /// for everything else this waits.
    pub fn show(&self, nanos: i64, item: Item) {
        let Some(jobs) = &self.jobs else { return };
        let stream = item.is_stream();
        match jobs.try_send(Job { nanos, item }) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) if !stream => {
                if jobs.send(job).is_err() {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Items that were left out.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is queued and closes the target; gives up after `timeout`. True if everything is out.
    pub fn finish(&mut self, timeout: Duration) -> bool {
        self.jobs = None;
        match self.done.recv_timeout(timeout) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
        }
    }
}

fn write(rec: &RecordingStream, inbox: &Receiver<Job>, jpeg_quality: u8) {
    let mut complained = false;
    for job in inbox {
        set_time(rec, job.nanos);
        if let Err(error) = scene::log(rec, &job.item, jpeg_quality)
            && !complained
        {
            complained = true;
            eprintln!("viewer: {error}");
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn set_time(rec: &RecordingStream, nanos: i64) {
    // Simulated time begins at zero, real time in 1970: durations read better for the one, dates for the other.
    const YEAR_NS: i64 = 31_536_000_000_000_000;
    if nanos < YEAR_NS {
        rec.set_duration_secs(TIMELINE, nanos as f64 * 1e-9);
    } else {
        rec.set_timestamp_nanos_since_epoch(TIMELINE, nanos);
    }
}
