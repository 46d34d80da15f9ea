//! What must hold, and how it was broken.

use std::fmt;

/// Something the design promises, checked after every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// An acknowledged command stays effective.
    AcknowledgedIsKept,
    /// At most one effective record per command id, among the last 64 of the product.
    OneEffectPerCommand,
    /// Inside the window no record skips a version, and no record's version is taken twice.
    VersionsGapless,
    /// An effective event is what the domain decides on exactly the state before it, for the version the client expected.
    DecidedOnTheStateBefore,
    /// An answer holds at an offset between the command's arrival and the answer.
    AnswersAreTrue,
    /// A command gets one answer, in time, and nothing is written for it afterwards.
    OneAnswerInTime,
    /// A writer's states are those of the log where it stands.
    WritersAgree,
    /// A reader, with or without state, judges each record alike.
    ReadersAgree,
    /// Keys are unique by construction, so that compaction removes nothing.
    KeysAreUnique,
    /// Nothing is discarded, quarantined or given up where every writer is correct.
    NoFalseAlarm,
    /// Once the faults stop, every command gets its answer.
    EveryCommandIsAnswered,
    /// No assertion inside the ledger fails.
    NoPanic,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub what: String,
}

/// What a check comes to.
pub(crate) type Checked<T = ()> = Result<T, Violation>;

impl Invariant {
    pub(crate) fn broken(self, what: impl Into<String>) -> Violation {
        Violation { invariant: self, what: what.into() }
    }

    /// `what` is made only where it is needed.
    pub(crate) fn holds(self, condition: bool, what: impl FnOnce() -> String) -> Checked {
        if condition { Ok(()) } else { Err(self.broken(what())) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}
