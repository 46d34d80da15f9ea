//! [`ledger::EventLog`] on the log of this process.
//!
//! Promises what the port promises (`ledger_sim::conformance` checks it). The writer delivers reports and a thread of the tail everything
//! else, so that an inbox that holds back the tail holds back no append.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_channel::{Sender, TrySendError, bounded};
use event_reader::feed::EndOffsets;
use ledger::{AppendId, EventLog, Inbox, LogError, NewRecord, Offset, Partition, Signal, TailError};

use super::ends::Ends;
use super::form::Draft;
use super::queue::{Appender, Reply};
use super::store::Store;
use super::tail::{Following, Start};

/// Starts that may wait: a multiple of the partitions, each of which is started once in a long while.
const STARTS: usize = 4_096;

/// Where reports go, and what the tail needs to know of them.
pub(super) struct Reports {
    pub(super) inbox: Arc<dyn Inbox>,
    lanes: Box<[Lane]>,
}

/// What is known of one partition. Relaxed is enough: an old value costs a copy, or a nap.
#[derive(Debug, Default)]
struct Lane {
    /// The first offset that is of use to the reader.
    applied: AtomicI64,
    /// The last stretch of records that the reader itself appended.
    own_from: AtomicI64,
    own_to: AtomicI64,
}

impl Reports {
    /// The record at `offset` is the reader's own. Called by the writer alone, in order.
    pub(super) fn own(&self, partition: Partition, offset: Offset) {
        let Some(lane) = self.lane(partition) else { return };
        if lane.own_to.load(Ordering::Relaxed) != offset {
            lane.own_from.store(offset, Ordering::Relaxed);
        }
        lane.own_to.store(offset + 1, Ordering::Relaxed);
    }

    /// Whether all records at `from..to` are the reader's own.
    pub(super) fn is_own(&self, partition: Partition, from: Offset, to: Offset) -> bool {
        self.lane(partition).is_some_and(|lane| {
            lane.own_from.load(Ordering::Relaxed) <= from && to <= lane.own_to.load(Ordering::Relaxed)
        })
    }

    /// Records below it need not be delivered any more.
    pub(super) fn applied(&self, partition: Partition) -> Offset {
        self.lane(partition).map_or(0, |lane| lane.applied.load(Ordering::Relaxed))
    }

    fn set_applied(&self, partition: Partition, next: Offset) {
        if let Some(lane) = self.lane(partition) {
            lane.applied.store(next, Ordering::Relaxed);
        }
    }

    fn lane(&self, partition: Partition) -> Option<&Lane> {
        self.lanes.get(usize::try_from(partition.0).ok()?)
    }
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reports").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

/// One writer and reader of the log. Its thread ends when this is dropped.
pub(super) struct Local {
    partitions: i32,
    appender: Arc<Appender>,
    ends: EndOffsets,
    reports: Arc<Reports>,
    starts: Option<Sender<Start>>,
    thread: Option<std::thread::Thread>,
}

impl Local {
    pub(super) fn open(
        store: Arc<Store>,
        ends: Arc<Ends>,
        asked: EndOffsets,
        appender: Arc<Appender>,
        inbox: Arc<dyn Inbox>,
    ) -> Self {
        let partitions = ends.all().len();
        let lanes = (0..partitions).map(|_| Lane::default()).collect();
        let reports = Arc::new(Reports { inbox, lanes });
        let (sender, starts) = bounded(STARTS);
        let followed = Arc::clone(&reports);
        let thread = std::thread::Builder::new()
            .name("log-tail".to_owned())
            .spawn(move || Following::new(store, ends, followed).run(&starts));
        let thread = thread.inspect_err(|error| tracing::error!(%error, "cannot start the thread of a tail"));
        let thread = thread.ok().map(|handle| handle.thread().clone());
        Self { partitions: partitions as i32, appender, ends: asked, reports, starts: Some(sender), thread }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.starts = None;
        self.wake();
    }
}

impl EventLog for Local {
    fn partitions(&self) -> i32 {
        self.partitions
    }

    fn append(&self, partition: Partition, append_id: AppendId, record: NewRecord) {
        let draft = Draft::new(record.key.to_string().as_bytes(), Some(&record.value), &record.headers);
        self.appender.append(partition, draft, Reply::Report(Arc::clone(&self.reports), append_id));
    }

    fn ask_end_offset(&self, partition: Partition, request: u64) {
        let reports = Arc::clone(&self.reports);
        self.ends.ask(partition, move |outcome| {
            let outcome = outcome.map_err(LogError);
            reports.inbox.deliver(Signal::EndOffset { partition, request, outcome });
        });
    }

    fn tail_from(&self, partition: Partition, from: Offset) {
        self.reports.set_applied(partition, from);
        let sent = self.starts.as_ref().map(|starts| starts.try_send(Start { partition, from }));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            let error = TailError::Other("the tail's thread does not take commands".to_owned());
            let reports = Arc::clone(&self.reports);
            // On a thread of its own: the caller may be the one who empties the inbox.
            let tell = move || reports.inbox.deliver(Signal::TailFailed { partition, error });
            if let Err(error) = std::thread::Builder::new().name("log-refusal".to_owned()).spawn(tell) {
                tracing::error!(%error, "cannot start a thread to tell a failed tail");
            }
        }
        self.wake();
    }

    fn applied(&self, partition: Partition, next: Offset) {
        self.reports.set_applied(partition, next);
    }
}
