//! The laws a sequencer keeps. Promises that a shipped one keeps them all: only tests (feature `sim`) can make one that
//! breaks a law, to show that the checks would find it.

use crate::rule::{self, in_window};
#[cfg(any(test, feature = "sim"))]
use crate::{Aggregate, Limits, Partition, Reader, Sequencer};
use crate::{Offset, Verdict, VoidReason, WINDOW};

/// What must hold for the log to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// A record counts only if its version is the next one.
    Version,
    /// A record counts only inside its window.
    Window,
    /// A delivery report at the next offset is judged by the rule like any record.
    JudgedReports,
    /// An answer without a record waits for an end offset asked for after the command came.
    ReadBarrier,
    /// A command is decided on effective state only.
    EffectiveStateOnly,
    /// A snapshot is believed only after the log has shown its last record.
    ProvenSnapshot,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Laws {
    window: i64,
    #[cfg(any(test, feature = "sim"))]
    broken: Option<Law>,
}

impl Laws {
    /// All laws, and the window of the log format.
    pub(crate) const fn all() -> Self {
        Self {
            window: WINDOW,
            #[cfg(any(test, feature = "sim"))]
            broken: None,
        }
    }

    /// Another window, and at most one law broken.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) const fn for_tests(window: i64, broken: Option<Law>) -> Self {
        Self { window, broken }
    }

    pub(crate) const fn keeps(self, law: Law) -> bool {
        #[cfg(any(test, feature = "sim"))]
        if let Some(broken) = self.broken {
            return broken as u8 != law as u8;
        }
        let _ = law;
        true
    }

    pub(crate) const fn judge(self, offset: Offset, basis: Offset, version: u64, current: u64) -> Verdict {
        if !self.keeps(Law::Version) && in_window(self.window, offset, basis) {
            return Verdict::Effective;
        }
        let verdict = rule::judge_within(self.window, offset, basis, version, current);
        if !self.keeps(Law::Window) && matches!(verdict, Verdict::Void(VoidReason::OutsideWindow)) {
            return rule::judge_within(i64::MAX, offset, 0, version, current);
        }
        verdict
    }
}

#[cfg(any(test, feature = "sim"))]
impl<A: Aggregate> Sequencer<A> {
    /// With another window, so that tests see it close, and at most one law broken, so that they see what it is for.
    pub fn for_tests(
        partition: Partition,
        partitions: i32,
        nonce: u64,
        limits: Limits,
        window: i64,
        broken: Option<Law>,
    ) -> Self {
        Self::with_laws(partition, partitions, nonce, limits, Laws::for_tests(window, broken))
    }
}

#[cfg(any(test, feature = "sim"))]
impl Reader {
    /// With another window, so that tests see it close.
    pub fn for_tests(partition: Partition, partitions: i32, start: Offset, window: i64) -> Self {
        Self::with_window(partition, partitions, start, window)
    }
}
