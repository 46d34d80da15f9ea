//! Why a partition's task ended, and what is said of it.

use std::fmt;

use ledger::Offset;
use read_models::Error;
use toolkit::retry::{GaveUp, Transient};

/// How a task ended before it was told to.
#[derive(Debug)]
pub(super) enum End {
    /// The partition is, or will be, another member's.
    GivenBack,
    /// What was written may be lost: the partition is taken over again, from this offset or else from its durable position.
    TakeOver(Option<Offset>),
    /// Somebody must look.
    Stopped(Stop),
}

impl End {
    /// The end that a failed call to the store means.
    pub(super) fn of_store(gave_up: GaveUp<Error>, offset: Offset) -> Self {
        match gave_up {
            GaveUp::Final(error) if error.is_missing() => Self::TakeOver(None),
            gave_up => Self::of(gave_up, offset),
        }
    }

    /// The end that a failed call means: told to stop, or a failure that trying again cannot help.
    pub(super) fn of<E: Transient>(gave_up: GaveUp<E>, offset: Offset) -> Self {
        match gave_up {
            GaveUp::Cancelled { .. } => Self::GivenBack,
            GaveUp::Final(error) => Self::Stopped(Stop::new(
                offset,
                error.to_string(),
                "repair the store (`folio stores check` compares it with its declaration), then restart the projector",
            )),
        }
    }
}

/// A store that refuses, or a log that cannot be read on.
#[derive(Debug)]
pub(super) struct Stop {
    /// Where the partition stands.
    offset: Offset,
    reason: String,
    remedy: &'static str,
}

impl Stop {
    pub(super) fn new(offset: Offset, reason: impl Into<String>, remedy: &'static str) -> Self {
        Self { offset, reason: reason.into(), remedy }
    }

    /// Says it loudly.
    pub(super) fn report(&self, group: &str, partition: i32) {
        tracing::error!(
            group,
            "kafka.partition" = partition,
            "kafka.offset" = self.offset,
            "partition {partition} stopped: {self}"
        );
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}: {}; {}", self.offset, self.reason, self.remedy)
    }
}
