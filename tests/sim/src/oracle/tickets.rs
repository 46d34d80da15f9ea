//! What clients want, and where each of their askings stands.

use std::rc::Rc;

use domain::Command;
use ledger::{CommandHash, CommandId, Expected, Offset};
use uuid::Uuid;

/// What a client wants, however often it has to ask.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) product: usize,
    pub(crate) command_id: CommandId,
    pub(crate) command_hash: CommandHash,
    pub(crate) command: Rc<Command>,
    pub(crate) expected: Expecting,
}

/// The versions a client wants the product to have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expecting {
    Anything,
    Existing,
    Version(u64),
    ThisOrNext(u64),
    Not(u64),
}

impl Expecting {
    pub(crate) fn allows(self, version: u64) -> bool {
        match self {
            Self::Anything => true,
            Self::Existing => version > 0,
            Self::Version(this) => version == this,
            Self::ThisOrNext(this) => version == this || version == this + 1,
            Self::Not(this) => version != this,
        }
    }
}

impl From<Expecting> for Expected {
    fn from(expecting: Expecting) -> Self {
        match expecting {
            Expecting::Anything => Self::default(),
            Expecting::Existing => Self::existing(),
            Expecting::Version(version) => Self::version(version),
            Expecting::ThisOrNext(version) => Self::one_of([version, version + 1]),
            Expecting::Not(version) => Self::none_of([version]),
        }
    }
}

/// A request as a client gave it to a writer.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) request: Rc<Request>,
    /// Which of the clients' commands it is.
    pub(crate) intent: usize,
    pub(crate) deadline_ms: u64,
    /// The end of the log when it came.
    pub(super) arrived: Offset,
    pub(super) appends: Vec<Uuid>,
    pub(crate) standing: Standing,
    /// How many of its appends had an unknown outcome, for its writer.
    pub(crate) unknowns: usize,
    /// One of its events was refused as too large.
    pub(crate) is_refused: bool,
}

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its writer owes an answer.
    Open,
    /// Its writer died before it answered.
    Dead,
    /// It has an answer.
    Answered,
    /// It has an answer that says that no record of it counts, now or later.
    WroteNothing,
}

impl Ticket {
    pub(crate) fn new(request: Rc<Request>, intent: usize, arrived: Offset, deadline_ms: u64) -> Self {
        Self {
            request,
            intent,
            deadline_ms,
            arrived,
            appends: Vec::new(),
            standing: Standing::Open,
            unknowns: 0,
            is_refused: false,
        }
    }
}
