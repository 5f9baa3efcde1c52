//! Reading ahead: a thread at the edge reads and unpacks, so that a player never waits for the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::reader::{BagReader, ReadError, Recorded};
use crate::survey::Bag;

/// Pictures are large: so many bytes wait at most, whatever the number of messages.
const MOST_BYTES: usize = 64 << 20;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Recorded>,
    bytes: usize,
    /// The reader came to the end, or to an error.
    ended: Option<Result<bool, ReadError>>,
    stop: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The messages of a bag, read ahead on a thread. Their order does not depend on it.
pub struct ReadAhead {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    cut: bool,
}

impl ReadAhead {
    /// Reads from `from_ns` on, at most `messages` messages (at least one) and 64 MiB ahead.
    #[must_use]
    pub fn new(bag: &Bag, from_ns: u64, messages: usize) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let mut reader = BagReader::new(bag, from_ns);
        let mine = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            loop {
                let next = reader.next_message();
                let mut queue = mine.queue.lock().unwrap_or_else(PoisonError::into_inner);
                match next {
                    Ok(Some(message)) => {
                        queue.bytes += message.data.len();
                        queue.waiting.push_back(message);
                    }
                    Ok(None) => queue.ended = Some(Ok(reader.was_cut())),
                    Err(error) => queue.ended = Some(Err(error)),
                }
                mine.changed.notify_all();
                while !queue.stop && (queue.waiting.len() >= messages.max(1) || queue.bytes >= MOST_BYTES) {
                    queue = mine.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                if queue.stop || queue.ended.is_some() {
                    return;
                }
            }
        });
        Self { shared, thread: Some(thread), cut: false }
    }

    /// The next message, waited for if need be; `None` at the end.
    ///
    /// # Errors
    /// As [`BagReader::next_message`], once.
    pub fn next_message(&mut self) -> Result<Option<Recorded>, ReadError> {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(message) = queue.waiting.pop_front() {
                queue.bytes -= message.data.len();
                self.shared.changed.notify_all();
                return Ok(Some(message));
            }
            match queue.ended.take() {
                Some(Ok(cut)) => {
                    self.cut = cut;
                    queue.ended = Some(Ok(cut));
                    return Ok(None);
                }
                Some(Err(error)) => {
                    queue.ended = Some(Ok(self.cut));
                    return Err(error);
                }
                None => queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Whether a file ended before its end mark; known at the end.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.cut
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A reader that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BagOptions, BagWriter, Channel, Naming};

    fn bag(path: &std::path::Path) -> Bag {
        let mut writer = BagWriter::create(path, Naming::Folder, BagOptions::default()).unwrap();
        let channel = Channel { topic: "/a", message_type: "std_msgs/msg/Empty", definition: "", type_hash: "", qos: &[] };
        for i in 0..500u64 {
            writer.write(&channel, i, i, i as u32, &i.to_le_bytes()).unwrap();
        }
        writer.finish().unwrap();
        Bag::open(path).unwrap()
    }

    #[test]
    fn the_order_is_the_bags_however_little_waits() {
        let folder = tempfile::tempdir().unwrap();
        let bag = bag(&folder.path().join("bag"));
        for ahead in [0, 1, 7, 1000] {
            let mut reader = ReadAhead::new(&bag, 100, ahead);
            let mut times = Vec::new();
            while let Some(message) = reader.next_message().unwrap() {
                times.push(message.log_ns);
            }
            assert_eq!(times, (100..500).collect::<Vec<_>>());
            assert!(reader.next_message().unwrap().is_none() && !reader.was_cut());
        }
    }

    #[test]
    fn a_reader_that_is_let_go_in_the_middle_ends() {
        let folder = tempfile::tempdir().unwrap();
        let bag = bag(&folder.path().join("bag"));
        let mut reader = ReadAhead::new(&bag, 0, 3);
        assert_eq!(reader.next_message().unwrap().unwrap().log_ns, 0);
        drop(reader);
    }

    #[test]
    fn a_file_that_goes_missing_is_an_error_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bag");
        let bag = bag(&path);
        std::fs::remove_dir_all(&path).unwrap();
        let mut reader = ReadAhead::new(&bag, 0, 10);
        assert!(matches!(reader.next_message(), Err(ReadError::File { .. })));
        assert!(reader.next_message().unwrap().is_none());
    }
}
