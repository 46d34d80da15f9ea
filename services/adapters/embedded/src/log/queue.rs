//! What waits to be written.
//!
//! Promises: leaving a request never blocks; the bytes of the records that wait are bounded, and what is too much is left as refused, so that the writer
//! answers it like everything else and not the caller's thread; when the last [`Appender`] is dropped, the writer ends after
//! everything that was left.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_reader::feed::Commit;
use ledger::{AppendError, AppendId, Offset, Partition, Signal};
use tokio::sync::oneshot;

use super::event_log::Reports;
use super::form::Draft;
use super::group::Claims;

/// Bytes of records that may wait.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// How long positions wait for a record that they can be written with. They are nobody's answer, and a write of their own would hold
/// up the next record's.
const POSITIONS_WAIT: Duration = Duration::from_millis(5);
/// Requests that may wait.
const MAX_REQUESTS: usize = 100_000;

/// Something to write.
#[derive(Debug)]
pub(super) enum Request {
    Append(Append),
    /// A position of a group's member, who must still hold the partition.
    Commit {
        group: Arc<str>,
        claims: Arc<Claims>,
        commit: Commit,
    },
}

#[derive(Debug)]
pub(super) struct Append {
    pub(super) partition: Partition,
    /// `None`: too much waited when it came.
    pub(super) draft: Option<Draft>,
    pub(super) reply: Reply,
}

/// Who hears where a record stands.
#[derive(Debug)]
pub(super) enum Reply {
    Report(Arc<Reports>, AppendId),
    Once(oneshot::Sender<Result<Offset, AppendError>>),
}

impl Reply {
    pub(super) fn give(self, partition: Partition, outcome: Result<Offset, AppendError>) {
        match self {
            Self::Report(reports, append_id) => {
                if let Ok(offset) = outcome {
                    reports.own(partition, offset);
                }
                reports.inbox.deliver(Signal::Appended { partition, append_id, outcome });
            }
            // Whoever asked may have stopped waiting.
            Self::Once(sender) => drop(sender.send(outcome)),
        }
    }
}

impl Request {
    fn is_record(&self) -> bool {
        matches!(self, Self::Append(_))
    }

    fn size(&self) -> usize {
        match self {
            Self::Append(append) => append.draft.as_ref().map_or(0, Draft::size),
            Self::Commit { .. } => 0,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<Request>,
    /// How many of them are records.
    records: usize,
    bytes: usize,
    /// The writer sleeps: only then is it worth a system call to wake it.
    asleep: bool,
    closed: bool,
}

impl Queue {
    /// Waits for requests and takes the oldest: as many as have `max_bytes`, and at least one; positions alone a little later.
    /// `None` once closed and empty.
    pub(super) fn take(&self, max_bytes: usize) -> Option<Vec<Request>> {
        let mut state = self.lock();
        while state.requests.is_empty() {
            if state.closed {
                return None;
            }
            state.asleep = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
        }
        let until = Instant::now() + POSITIONS_WAIT;
        while state.records == 0 && !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.asleep = true;
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.asleep = false;
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes
            && let Some(request) = state.requests.pop_front()
        {
            bytes += request.size();
            state.records -= usize::from(request.is_record());
            taken.push(request);
        }
        state.bytes -= bytes;
        Some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves requests for the writer, which ends with the last of these.
#[derive(Debug)]
pub(super) struct Appender(Arc<Queue>);

impl Appender {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self(queue)
    }

    pub(super) fn append(&self, partition: Partition, draft: Draft, reply: Reply) {
        self.leave(Request::Append(Append { partition, draft: Some(draft), reply }));
    }

    pub(super) fn leave(&self, mut request: Request) {
        let mut state = self.0.lock();
        let bytes = request.size();
        let is_full = state.requests.len() >= MAX_REQUESTS || state.bytes + bytes > MAX_BYTES;
        // Alone, a record of any size is taken. Commits are few: each partition of a group has one at a time.
        if is_full
            && !state.requests.is_empty()
            && let Request::Append(append) = &mut request
        {
            append.draft = None;
        }
        state.bytes += request.size();
        state.records += usize::from(request.is_record());
        state.requests.push_back(request);
        if state.asleep {
            self.0.arrived.notify_one();
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use ledger::Headers;

    use super::*;

    #[test]
    fn what_is_too_much_is_refused_and_takes_no_memory() {
        let queue = Arc::new(Queue::default());
        let appender = Appender::new(Arc::clone(&queue));
        let value = vec![7; MAX_BYTES / 3];
        for _ in 0..5 {
            let draft = Draft::new(b"key", Some(&value), &Headers::new());
            appender.append(Partition(0), draft, Reply::Once(oneshot::channel().0));
        }
        let large = Draft::new(b"key", Some(&vec![7; MAX_BYTES + 1]), &Headers::new());
        drop(queue.take(1));
        let rest = queue.take(usize::MAX).unwrap();
        let is_kept: Vec<_> = rest.iter().map(|request| request.size() > 0).collect();
        assert_eq!(is_kept, [true, false, false, false]);
        appender.append(Partition(0), large, Reply::Once(oneshot::channel().0));
        drop(appender);
        let last = queue.take(1).unwrap();
        assert!(last.len() == 1 && last[0].size() > MAX_BYTES, "alone, a record of any size is taken");
        assert!(queue.take(1).is_none(), "closed and empty");
    }
}
