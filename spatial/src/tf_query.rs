//! What users of tf2 ask a buffer besides a lookup: through a fixed frame, at the latest common time, whether and why not, and all frames.

use std::fmt::Write as _;

use crate::pose::Pose3;
use crate::tf::{Motion, TfBuffer, TfError};

/// The kinds of errors that tf2 knows; the numbers are those of tf2_msgs/TF2Error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TfErrorKind {
    /// A frame does not exist.
    Lookup = 1,
    /// The frames are in different trees.
    Connectivity = 2,
    /// The time lies outside what is remembered.
    Extrapolation = 3,
    /// A frame has no name.
    InvalidArgument = 4,
    /// It did not come in time.
    Timeout = 5,
}

impl TfError {
    /// As tf2 would call it.
    pub fn kind(&self) -> TfErrorKind {
        match self {
            Self::UnknownFrame { frame, .. } if frame.is_empty() => TfErrorKind::InvalidArgument,
            Self::UnknownFrame { .. } => TfErrorKind::Lookup,
            Self::Disconnected { .. } => TfErrorKind::Connectivity,
            Self::Extrapolation { .. } => TfErrorKind::Extrapolation,
        }
    }
}

impl TfBuffer {
    /// A buffer as strict as tf2's: ten seconds of memory, no answer outside what is remembered.
    pub fn strict() -> Self {
        Self::new(10_000_000_000, 0)
    }

    /// The pose of `source` at one time in `target` at another, through a frame that stands still between them (tf2's time travel).
    ///
    /// # Errors
    /// As [`TfBuffer::lookup`], for either half.
    pub fn lookup_through(
        &self,
        target: &str,
        target_ns: i64,
        source: &str,
        source_ns: i64,
        fixed: &str,
    ) -> Result<Pose3, TfError> {
        Ok(self.lookup(target, fixed, target_ns)? * self.lookup(fixed, source, source_ns)?)
    }

    /// The pose of `source` in `target` at the newest time at which all between them is known, with that time; what tf2 gives for time zero.
    /// The time is zero when nothing between them moves.
    ///
    /// # Errors
    /// An unknown frame, frames in different trees, or histories that do not overlap.
    pub fn lookup_common(&self, target: &str, source: &str) -> Result<(Pose3, i64), TfError> {
        let stamp = self.latest_common(target, source)?.unwrap_or(0);
        Ok((self.lookup(target, source, stamp)?, stamp))
    }

    /// Why there is no answer at a time; `Ok` when there is one.
    ///
    /// # Errors
    /// What [`TfBuffer::lookup`] would return.
    pub fn can_transform(&self, target: &str, source: &str, stamp_ns: i64) -> Result<(), TfError> {
        self.lookup(target, source, stamp_ns).map(drop)
    }

    /// Why there will never be an answer at a time, however long one waits: it lies before all that is remembered.
    pub fn never(&self, target: &str, source: &str, stamp_ns: i64) -> Option<TfError> {
        let newest = self.latest_common(target, source).ok()??;
        let error = self.can_transform(target, source, stamp_ns).err()?;
        (stamp_ns.saturating_add(self.keep_ns) < newest).then_some(error)
    }

    /// All frames with a parent, as tf2's `allFramesAsYAML` writes them. With `now_ns` each tells its delay. Who broadcast a frame is
    /// not known: a listener cannot see it, in ROS 2 either.
    pub fn all_frames_yaml(&self, now_ns: Option<i64>) -> String {
        if self.edges.is_empty() {
            return "[]".into();
        }
        let mut text = String::new();
        for (frame, edge) in &self.edges {
            let (count, oldest, newest) = match &edge.motion {
                Motion::Static(_) => (1, 0, 0),
                Motion::Dynamic(history) => {
                    let stamp = |entry: Option<&(i64, Pose3)>| entry.map_or(0, |(stamp, _)| *stamp);
                    (history.len(), stamp(history.front()), stamp(history.back()))
                }
            };
            let seconds = |ns: i64| ns as f64 * 1e-9;
            let length = newest.saturating_sub(oldest);
            // tf2: a span below 0.1 ms counts as 0.1 ms.
            let rate = count as f64 / seconds(length.max(100_000));
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{frame}: \n  parent: '{}'\n  broadcaster: 'default_authority'\n  rate: {rate:.3}\n  most_recent_transform: {:.6}\n  \
                 oldest_transform: {:.6}\n",
                edge.parent,
                seconds(newest),
                seconds(oldest)
            );
            if let Some(now) = now_ns {
                let _ = writeln!(text, "  transform_delay: {:.3}", seconds(now.saturating_sub(newest)));
            }
            let _ = writeln!(text, "  buffer_length: {:.3}", seconds(length));
        }
        text
    }
}
