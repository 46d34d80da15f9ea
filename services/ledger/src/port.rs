//! The port to a log: append, ask where it ends, follow it. Promises that nothing here blocks: every outcome arrives
//! later, as a [`Signal`] in an [`Inbox`]. The suite in `tests/ledger-sim` says what an adapter must do.

use crate::{AppendId, LogRecord, NewRecord, Offset, Partition};

/// A log of partitions. Opened with the [`Inbox`] its signals go to.
pub trait EventLog: Send + Sync {
    fn partitions(&self) -> i32;

    /// Appends a record. Exactly one [`Signal::Appended`] follows.
    fn append(&self, partition: Partition, append_id: AppendId, record: NewRecord);

    /// Asks for the offset after the last record that is readable now. One [`Signal::EndOffset`] follows; it is not
    /// smaller than the end at the time of this call.
    fn ask_end_offset(&self, partition: Partition, request: u64);

    /// Follows the partition from `from` on, in order, with [`Signal::Records`] and [`Signal::Position`]. A second call
    /// for a partition starts again from the new offset: signals of the old tail may still come before its first.
    fn tail_from(&self, partition: Partition, from: Offset);

    /// Says that the caller has applied everything below `next`, mostly by reports of its own appends: the tail may leave
    /// out records below it, until it is started anew. A hint that saves copies, and never more than that.
    fn applied(&self, partition: Partition, next: Offset) {
        _ = (partition, next);
    }
}

/// Where a log's signals go. Must be quick, and may block only to push back on the tail.
pub trait Inbox: Send + Sync {
    fn deliver(&self, signal: Signal);
}

/// What a log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The outcome of an append: exactly one for each.
    Appended { partition: Partition, append_id: AppendId, outcome: Result<Offset, AppendError> },
    /// The answer to `ask_end_offset`.
    EndOffset { partition: Partition, request: u64, outcome: Result<Offset, LogError> },
    /// Records of the tail, in order of their offsets.
    Records { partition: Partition, records: Vec<LogRecord> },
    /// Everything below `position` has been delivered, also where the log has gaps.
    Position { partition: Partition, position: Offset },
    /// The tail has stopped. Only `tail_from` starts it again.
    TailFailed { partition: Partition, error: TailError },
}

impl Signal {
    /// The partition it is about.
    pub fn partition(&self) -> Partition {
        match self {
            Self::Appended { partition, .. }
            | Self::EndOffset { partition, .. }
            | Self::Records { partition, .. }
            | Self::Position { partition, .. }
            | Self::TailFailed { partition, .. } => *partition,
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let records = if let Self::Records { records, .. } = self { records.as_slice() } else { &[] };
        size_of::<Self>() + records.iter().map(LogRecord::size).sum::<usize>()
    }
}

/// An append without an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The record may stand in the log, now or later: a time-out, a full queue, a broker's error, a report without
    /// an offset.
    #[error("the outcome of an append is unknown: {0}")]
    Unknown(String),
}

/// A question to the log that was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log did not answer: {0}")]
pub struct LogError(pub String);

/// Why a tail stopped. After the first two the state built from it is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    #[error("the tail asked for an offset the partition does not have")]
    OutOfRange,
    #[error("the partition was truncated below the tail's position")]
    Truncated,
    #[error("the tail failed: {0}")]
    Other(String),
}
