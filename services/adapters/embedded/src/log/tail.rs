//! Following partitions from given offsets, on one thread.
//!
//! Promises: per partition, records come in order and once per start, in batches that are bounded in records and bytes; a
//! [`Signal::Position`] follows every batch, and one comes at a start that finds nothing; an offset that does not exist, or a record that cannot be read,
//! ends the partition's tail with [`Signal::TailFailed`], and the others go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use ledger::{Offset, Partition, Signal, TailError};

use super::ends::Ends;
use super::event_log::Reports;
use super::store::{Limit, Store};

/// One batch: bounds memory and how long another partition waits.
const BATCH: Limit = Limit { records: 2_000, bytes: 1024 * 1024 };
/// How long records that the reader itself appended wait for it to apply their reports, which saves reading them: at most, and a
/// look at a time.
const PATIENCE: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(1);
/// How long the thread parks if nobody wakes it. Records and starts do.
const IDLE: Duration = Duration::from_secs(5);

/// Read `partition` from `from` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) partition: Partition,
    pub(super) from: Offset,
}

pub(super) struct Following {
    store: Arc<Store>,
    ends: Arc<Ends>,
    reports: Arc<Reports>,
    followed: BTreeMap<Partition, Followed>,
}

struct Followed {
    /// The first offset not delivered.
    next: Offset,
    /// A position was told since the start.
    is_told: bool,
    /// Since when records of the reader's own wait.
    own_since: Option<Instant>,
}

/// What became of a partition in one turn.
enum Turn {
    Nothing,
    /// Its records wait for the reader's own reports.
    Napping,
    Delivered,
    Failed(TailError),
}

impl Following {
    pub(super) fn new(store: Arc<Store>, ends: Arc<Ends>, reports: Arc<Reports>) -> Self {
        Self { store, ends, reports, followed: BTreeMap::new() }
    }

    /// Runs until the sender of `starts` is dropped.
    pub(super) fn run(mut self, starts: &Receiver<Start>) {
        let waker = self.ends.waker();
        loop {
            waker.arm();
            loop {
                match starts.try_recv() {
                    Ok(Start { partition, from }) => {
                        let followed = Followed { next: from, is_told: false, own_since: None };
                        self.followed.insert(partition, followed);
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let (mut is_busy, mut naps) = (false, false);
            for partition in self.followed.keys().copied().collect::<Vec<_>>() {
                match self.turn(partition) {
                    Turn::Nothing => {}
                    Turn::Napping => naps = true,
                    Turn::Delivered => is_busy = true,
                    Turn::Failed(error) => {
                        self.followed.remove(&partition);
                        self.reports.inbox.deliver(Signal::TailFailed { partition, error });
                    }
                }
            }
            if naps && !is_busy {
                // Every record of the reader's own would end the nap.
                waker.disarm();
                std::thread::park_timeout(LOOK);
            } else if !is_busy {
                std::thread::park_timeout(IDLE);
            }
        }
    }

    /// Delivers the next batch of a partition.
    fn turn(&mut self, partition: Partition) -> Turn {
        let Some(followed) = self.followed.get_mut(&partition) else { return Turn::Nothing };
        let end = self.ends.of(partition).filter(|end| (0..=*end).contains(&followed.next));
        let Some(end) = end else { return Turn::Failed(TailError::OutOfRange) };
        if followed.next == end && followed.is_told {
            return Turn::Nothing;
        }
        let from = followed.next.max(self.reports.applied(partition)).min(end);
        if from < end
            && self.reports.is_own(partition, from, end)
            && followed.own_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE
        {
            return Turn::Napping;
        }
        followed.own_since = None;
        let records = match self.store.read(partition, from, end, BATCH) {
            Ok(records) => records,
            Err(problem) => return Turn::Failed(TailError::Other(problem)),
        };
        followed.next = records.last().map_or(from, |record| record.offset + 1);
        followed.is_told = true;
        let position = followed.next;
        if !records.is_empty() {
            self.reports.inbox.deliver(Signal::Records { partition, records });
        }
        self.reports.inbox.deliver(Signal::Position { partition, position });
        Turn::Delivered
    }
}
