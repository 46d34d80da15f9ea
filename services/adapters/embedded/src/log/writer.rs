//! The log's one writer.
//!
//! Promises: everything that waits goes together, in one write, and the next group gathers meanwhile; offsets have no gaps; a record
//! becomes visible, and is reported, when it is on the disk and not before; each append is reported exactly once. After a
//! write that failed nothing is written any more: what comes is answered with the reason, and no offset is given twice.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use event_reader::feed::{Commit, Error};
use ledger::{AppendError, Offset, Partition};
use tokio::sync::watch;

use super::ends::Ends;
use super::form::{position_key, position_value, record_key};
use super::queue::{Append, Queue, Reply, Request};
use super::store::{End, Group, Store};

/// Bytes of records that go together at most, but for the last one.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

pub(super) struct Writer {
    store: Arc<Store>,
    ends: Arc<Ends>,
    /// Where the next record of each partition goes.
    next: Vec<End>,
    /// Why nothing is written any more, if so.
    failure: watch::Sender<Option<String>>,
}

/// A writer that is gone writes nothing any more, and nobody else would say so.
impl Drop for Writer {
    fn drop(&mut self) {
        if std::thread::panicking() && self.failure.borrow().is_none() {
            let problem = "the thread that writes the log has panicked: start again".to_owned();
            self.failure.send_replace(Some(problem));
        }
    }
}

/// Whom to tell of a group when it is written.
#[derive(Default)]
struct Waiting {
    appends: Vec<(Partition, Offset, Reply)>,
    commits: Vec<Commit>,
}

impl Writer {
    /// And the way to learn that nothing is written any more.
    pub(super) fn new(
        store: Arc<Store>,
        ends: Arc<Ends>,
        next: Vec<End>,
    ) -> (Self, watch::Receiver<Option<String>>) {
        let (failure, failed) = watch::channel(None);
        (Self { store, ends, next, failure }, failed)
    }

    /// Runs until the queue is closed.
    pub(super) fn run(mut self, queue: &Queue) {
        while let Some(requests) = queue.take(GROUP_BYTES) {
            self.write(requests, now_ms());
        }
    }

    /// Writes `requests` in one group, at this time, and answers them.
    pub(super) fn write(&mut self, requests: Vec<Request>, now_ms: i64) {
        let (mut group, mut waiting) = (Group::default(), Waiting::default());
        for request in requests {
            match request {
                Request::Append(append) => self.place(append, now_ms, &mut group, &mut waiting),
                Request::Commit { claims, commit, .. } if !claims.holds(commit.claim) => {
                    let partition = commit.claim.partition.0;
                    commit.reply(Err(Error::Revoked(partition)));
                }
                Request::Commit { group: name, commit, .. } => {
                    let key = position_key(&name, commit.claim.partition);
                    let value = position_value(&key, commit.position);
                    group.positions.push((key, value));
                    waiting.commits.push(commit);
                }
            }
        }
        let failure = self.failure.borrow().clone();
        if let Some(problem) = failure.or_else(|| self.try_write(group)) {
            self.fail(waiting, &problem);
        } else {
            let ends: Vec<_> = self.next.iter().map(|end| end.offset).collect();
            self.ends.publish(&ends);
            for (partition, offset, reply) in waiting.appends {
                reply.give(partition, Ok(offset));
            }
            waiting.commits.into_iter().for_each(|commit| commit.reply(Ok(())));
            self.ends.wake();
        }
    }

    /// Gives the record its place, or says at once that it has none.
    fn place(&mut self, append: Append, now_ms: i64, group: &mut Group, waiting: &mut Waiting) {
        let Append { partition, draft, reply } = append;
        let refused = |reply: Reply, why: String| reply.give(partition, Err(AppendError::Unknown(why)));
        let Some(draft) = draft else {
            return refused(reply, "queue full: records wait longer than they are written".to_owned());
        };
        let Some(end) = usize::try_from(partition.0).ok().and_then(|index| self.next.get_mut(index)) else {
            return refused(reply, format!("there is no partition {partition}"));
        };
        let offset = end.offset;
        // As a broker's clock that is set back: time stands still until it has caught up.
        *end = End { offset: offset + 1, timestamp_ms: now_ms.max(end.timestamp_ms) };
        let key = record_key(partition, offset);
        group.records.push((key, draft.at(&key, end.timestamp_ms)));
        waiting.appends.push((partition, offset, reply));
    }

    /// Writes the group; why it could not be, and nothing can from now on.
    fn try_write(&self, group: Group) -> Option<String> {
        if group.records.is_empty() && group.positions.is_empty() {
            return None;
        }
        let problem = self.store.write(group).err()?;
        tracing::error!(dir = %self.store.dir().display(), problem, "the log takes no records any more");
        self.failure.send_replace(Some(problem.clone()));
        Some(problem)
    }

    fn fail(&self, waiting: Waiting, problem: &str) {
        for (partition, _, reply) in waiting.appends {
            reply.give(partition, Err(AppendError::Unknown(problem.to_owned())));
        }
        for commit in waiting.commits {
            let tried =
                format!("commit position {} of partition {}", commit.position, commit.claim.partition);
            let servers = self.store.dir().display().to_string();
            commit.reply(Err(Error::Unreachable { tried, servers, problem: problem.to_owned() }));
        }
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
