//! Where the partitions end for those who read, and how they hear that an end has moved.
//!
//! Promises: an end never goes back, and everything below it can be read; whoever [`Waker::arm`]s, looks at the ends, finds nothing and
//! parks is woken by the next record.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::Thread;

use event_reader::feed::EndOffsets;
use ledger::{Offset, Partition};

/// The ends of all partitions.
#[derive(Debug)]
pub(super) struct Ends {
    ends: Box<[AtomicI64]>,
    wakers: Mutex<Vec<Weak<Waker>>>,
}

/// A reading thread that can be woken.
#[derive(Debug)]
pub(super) struct Waker {
    thread: Thread,
    /// It may be about to park: only then is it worth a system call to wake it.
    armed: AtomicBool,
}

impl Ends {
    pub(super) fn new(ends: impl IntoIterator<Item = Offset>) -> Self {
        Self { ends: ends.into_iter().map(AtomicI64::new).collect(), wakers: Mutex::default() }
    }

    /// `None` if there is no such partition.
    pub(super) fn of(&self, partition: Partition) -> Option<Offset> {
        let end = self.ends.get(usize::try_from(partition.0).ok()?)?;
        Some(end.load(Ordering::SeqCst))
    }

    pub(super) fn all(&self) -> Vec<Offset> {
        self.ends.iter().map(|end| end.load(Ordering::SeqCst)).collect()
    }

    /// Makes the records below these ends visible.
    pub(super) fn publish(&self, ends: &[Offset]) {
        for (end, new) in self.ends.iter().zip(ends) {
            end.store(*new, Ordering::SeqCst);
        }
    }

    /// Wakes those who wait for records.
    pub(super) fn wake(&self) {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).retain(|waker| {
            let Some(waker) = waker.upgrade() else { return false };
            if waker.armed.swap(false, Ordering::SeqCst) {
                waker.thread.unpark();
            }
            true
        });
    }

    /// Wakes this thread, as long as it keeps the waker.
    pub(super) fn waker(&self) -> Arc<Waker> {
        let waker = Arc::new(Waker { thread: std::thread::current(), armed: AtomicBool::new(false) });
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&waker));
        waker
    }
}

impl Waker {
    /// Before the ends are looked at: a record that comes after it ends the next park.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Records are not waited for.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
    }
}

/// A handle with which to ask for ends of `topic`, and the thread that answers.
pub(super) fn open_ends(topic: &str, ends: Arc<Ends>) -> std::io::Result<EndOffsets> {
    let (handle, asked) = EndOffsets::channel(topic);
    std::thread::Builder::new().name("log-end-offsets".to_owned()).spawn(move || {
        for question in asked {
            let partition = question.partition;
            question.answer(ends.of(partition).ok_or_else(|| format!("there is no partition {partition}")));
        }
    })?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_record_between_the_look_and_the_park_ends_the_park() {
        let ends = Ends::new([0]);
        let waker = ends.waker();
        waker.arm();
        assert_eq!(ends.of(Partition(0)), Some(0));
        ends.publish(&[1]);
        ends.wake();
        let start = Instant::now();
        std::thread::park_timeout(Duration::from_mins(1));
        assert!(start.elapsed() < Duration::from_secs(30), "the park ends at once");
        assert_eq!(ends.of(Partition(0)), Some(1));
        assert_eq!((ends.of(Partition(1)), ends.of(Partition(-1))), (None, None));
    }
}
