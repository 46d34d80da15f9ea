//! What goes into a sequencer and what comes out: plain data.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::CommandKey;
use crate::{Aggregate, AppendId, CommandHash, CommandId, Expected, Offset, RecordKey, Subject, VoidReason};

/// How much a sequencer takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Commands without an answer, in all. More are answered `Overloaded`.
    pub max_waiting: usize,
    /// How many void records a command may cost before it is answered `Contended`.
    pub max_attempts: u32,
    /// How many commands of a product are remembered, 1 to [`Limits::MAX_REMEMBERED`]. Older retries are new commands.
    /// Each command is looked for among them, and every product in use holds them.
    pub remembered: usize,
}

impl Limits {
    /// The most commands of a product that can be remembered: a saved product with more is damaged.
    pub const MAX_REMEMBERED: usize = 4_096;
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_waiting: 10_000, max_attempts: 8, remembered: 64 }
    }
}

/// A command of a client, with whatever its caller will need when it is appended and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission<C, X = u64> {
    /// The command's one answer gives it back.
    pub context: X,
    pub subject: Subject,
    pub command_id: CommandId,
    /// Of a command that may be given twice; none: its id is its own.
    pub command_hash: Option<CommandHash>,
    /// The versions the client wants the product to have.
    pub expected: Expected,
    pub command: C,
    /// On the clock of `now_ms`. At the first tick from then on the command is answered in any case.
    pub deadline_ms: u64,
}

/// What a record's value and headers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedRecord<E> {
    pub event: E,
    pub command_id: Option<CommandId>,
    pub command_hash: Option<CommandHash>,
}

/// A record whose value cannot be decoded, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record cannot be decoded: {0}")]
pub struct Unreadable(pub String);

/// What the driver has to do, in this order.
#[derive(Debug)]
pub enum Output<A: Aggregate, X = u64> {
    /// Encode the event and append it; `refused` if it cannot be written.
    Append(Append<A>),
    /// Ask for the partition's end offset.
    AskEndOffset { request: u64 },
    /// The one answer to a command.
    Answer { context: X, answer: Answer<A::Rejection> },
    /// The state is worth nothing. A driver builds it again, and this is to be told; from a sequencer it is a demand: call
    /// `reset`, tail from 0, and `catch_up_to` the end offset again. Until `reset` every input but commands is ignored.
    Discard { reason: String },
    /// A record that no correct writer wrote. Its product takes no more commands here; `first`: it did until now.
    Violation { offset: Offset, subject: Subject, version: u64, current: u64, first: bool },
    /// An effective record that cannot be decoded or folded. Its product takes no more commands here; `first`: it could be read
    /// until now.
    UnreadableRecord { offset: Offset, subject: Subject, version: u64, reason: String, first: bool },
    /// A void record was met: for counters.
    VoidRecord { offset: Offset, reason: VoidReason },
    /// From a driver: follow the partition from here on.
    TailFrom(Offset),
    /// From a driver: the tail failed and is started again later. To be told.
    TailFailed { problem: String, again_in_ms: u64 },
    /// From a driver: ask for a schema, and say `schemas_changed` when there is an answer. `again`: there was none so far.
    AskSchema { schema: u32, again: bool },
    /// From a driver: what has changed cannot be saved, and memory alone may not hold all. The process must end.
    GiveUp { reason: String },
}

impl<A: Aggregate, X> Output<A, X> {
    /// The same, with what the context stands for.
    #[inline]
    pub(super) fn resolve<Y>(self, context: impl FnOnce(X) -> Option<Y>) -> Option<Output<A, Y>> {
        Some(match self {
            Self::Append(append) => Output::Append(append),
            Self::AskEndOffset { request } => Output::AskEndOffset { request },
            Self::Answer { context: it, answer } => Output::Answer { context: context(it)?, answer },
            Self::Discard { reason } => Output::Discard { reason },
            Self::Violation { offset, subject, version, current, first } => {
                Output::Violation { offset, subject, version, current, first }
            }
            Self::UnreadableRecord { offset, subject, version, reason, first } => {
                Output::UnreadableRecord { offset, subject, version, reason, first }
            }
            Self::VoidRecord { offset, reason } => Output::VoidRecord { offset, reason },
            Self::TailFrom(from) => Output::TailFrom(from),
            Self::TailFailed { problem, again_in_ms } => Output::TailFailed { problem, again_in_ms },
            Self::AskSchema { schema, again } => Output::AskSchema { schema, again },
            Self::GiveUp { reason } => Output::GiveUp { reason },
        })
    }
}

/// An event to append.
pub struct Append<A: Aggregate> {
    pub append_id: AppendId,
    pub key: RecordKey,
    pub event: A::Event,
    pub before: Option<Arc<A::State>>,
    pub after: Arc<A::State>,
    pub command_id: CommandId,
    pub command_hash: Option<CommandHash>,
    /// The command it comes of. [`Sequencer::context`](super::Sequencer::context) knows its caller's context.
    pub command: CommandKey,
}

/// Names the record and leaves out what it says.
impl<A: Aggregate> fmt::Debug for Append<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append")
            .field("append_id", &self.append_id)
            .field("key", &self.key)
            .field("command_id", &self.command_id)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// What became of a command. `at` is an offset: the answer is true of the partition's records below it, and it was
/// at or behind the partition's end when the command arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<R> {
    /// Its event is effective. `replayed`: by an earlier submission of the same command.
    Accepted { version: u64, event_id: Uuid, offset: Offset, replayed: bool },
    /// There is nothing to change.
    NoEffect { version: u64, at: Offset },
    /// The domain's rules say no.
    Rejected { rejection: R, version: u64, at: Offset },
    /// The product does not have a version the client expected.
    Conflict { expected: Expected, actual: u64, at: Offset },
    /// Another command of the same id is in the log, as this record.
    KeyReused { version: u64, event_id: Uuid, offset: Offset },
    /// It lost `max_attempts` races, the last of them to the record that gave the product `version`. Nothing was written;
    /// a retry is safe.
    Contended { version: u64, at: Offset },
    /// It may become effective, or be so already. A retry with the same command id is safe.
    OutcomeUnknown,
    /// Too many commands wait. Nothing was written.
    Overloaded,
    /// The product has an effective record that cannot be decoded here.
    Unreadable,
    /// The product has a record no correct writer wrote.
    Quarantined,
    /// The product has an effective record whose value is not known yet; a retry may find it known. This submission has written
    /// nothing that counts; whether the record is of an earlier one is not known.
    Withheld,
    /// The event cannot be written (see `refused`). Nothing was written.
    TooLarge(String),
    /// The aggregate decided an event it cannot fold: a defect. Nothing was written.
    Defect(String),
    /// The deadline came before anything was written.
    DeadlineExceeded,
}
