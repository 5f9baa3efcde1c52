//! One sample of a subscription now and then, to look at its header: nothing is looked at on the way of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use msgs::std_msgs::msg::Header;
use parking_lot::Mutex;

use crate::message::Erased;
use crate::time::Time;

/// Keeps the next sample when asked to.
#[derive(Default)]
pub(crate) struct Probe {
    wanted: AtomicBool,
    caught: Mutex<Option<(Arc<dyn Erased>, Time)>>,
}

impl Probe {
    /// Shows a sample that came at `now`.
    pub fn see(&self, message: &Arc<dyn Erased>, now: impl FnOnce() -> Time) {
        if self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::AcqRel) {
            *self.caught.lock() = Some((Arc::clone(message), now()));
        }
    }

    /// What was caught since the last call, if something was; the next sample will be kept.
    pub fn take(&self) -> Option<(Arc<dyn Erased>, Time)> {
        let caught = self.caught.lock().take();
        self.wanted.store(true, Ordering::Release);
        caught
    }

    /// For a snapshot: whether a sample is wanted; of the one that was caught its stamp, and when it came.
    pub fn freeze(&self) -> (bool, Option<(Option<Time>, Time)>) {
        let caught = self.caught.lock();
        let caught = caught.as_ref().map(|(message, at)| (header_stamp(&**message), *at));
        (self.wanted.load(Ordering::Acquire), caught)
    }

    /// Takes up what [`Probe::freeze`] gave.
    pub fn thaw(&self, (wanted, caught): (bool, Option<(Option<Time>, Time)>)) {
        self.wanted.store(wanted, Ordering::Release);
        *self.caught.lock() = caught.map(|(stamp, at)| {
            let header = Header { stamp: stamp.unwrap_or_default().to_msg(), ..Header::default() };
            (Arc::new(header) as Arc<dyn Erased>, at)
        });
    }
}

/// The stamp of a message whose first field is a std_msgs/Header; `None` if it is unset.
pub(super) fn header_stamp(message: &dyn Erased) -> Option<Time> {
    // Behind the 4 bytes of encapsulation stand builtin_interfaces/Time's int32 sec and uint32 nanosec.
    let first = message.to_pieces().into_bytes().into_iter().next()?;
    let little = first.get(1).is_some_and(|order| *order == 1);
    let word = |at: usize| -> Option<[u8; 4]> { first.get(at..at + 4)?.try_into().ok() };
    let (sec, nanosec) = (word(4)?, word(8)?);
    let (sec, nanosec) = if little {
        (i32::from_le_bytes(sec), u32::from_le_bytes(nanosec))
    } else {
        (i32::from_be_bytes(sec), u32::from_be_bytes(nanosec))
    };
    let stamp = Time::from_nanos(i64::from(sec) * 1_000_000_000 + i64::from(nanosec));
    (stamp.as_nanos() != 0).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::builtin_interfaces;
    use msgs::sensor_msgs::msg::{Image, Temperature};

    #[test]
    fn a_stamp_is_read_from_small_and_large_messages_and_an_unset_one_is_none() {
        let stamp = builtin_interfaces::msg::Time { sec: 12, nanosec: 500_000_000 };
        let header = Header { stamp, frame_id: "camera".into() };
        let image = Image { header: header.clone(), data: vec![7; 100_000].into(), ..Default::default() };
        assert_eq!(header_stamp(&image), Some(Time::from_nanos(12_500_000_000)));
        let temperature = Temperature { header, ..Default::default() };
        assert_eq!(header_stamp(&temperature), Some(Time::from_nanos(12_500_000_000)));
        assert_eq!(header_stamp(&Temperature::default()), None);
    }

    #[test]
    fn a_probe_keeps_one_sample_when_asked() {
        let probe = Probe::default();
        let message: Arc<dyn Erased> = Arc::new(Temperature::default());
        probe.see(&message, || Time::from_nanos(1));
        assert!(probe.take().is_none(), "nobody had asked");
        probe.see(&message, || Time::from_nanos(2));
        probe.see(&message, || Time::from_nanos(3));
        assert_eq!(probe.take().map(|(_, at)| at), Some(Time::from_nanos(2)));
        assert!(probe.take().is_none());
        let header = Header { stamp: Time::from_nanos(7).to_msg(), ..Default::default() };
        let late: Arc<dyn Erased> = Arc::new(Temperature { header, ..Default::default() });
        probe.see(&late, || Time::from_nanos(9));
        let again = Probe::default();
        again.thaw(probe.freeze());
        let (message, at) = again.take().unwrap();
        assert_eq!((header_stamp(&*message), at), (Some(Time::from_nanos(7)), Time::from_nanos(9)));
    }
}
