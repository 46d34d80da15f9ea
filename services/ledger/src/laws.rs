//! The laws a writer keeps. Promises that [`Kept`], which every writer has that ships, keeps them all at no cost: only a
//! test gives a writer other laws, to show what breaks without one.

use crate::{Offset, Verdict, rule};

/// What must hold for the log to decide.
pub trait Laws: Copy + Send + 'static {
    /// A record counts only if its version is the next one, and only inside its window.
    fn judge(self, offset: Offset, basis: Offset, version: u64, current: u64) -> Verdict {
        rule::judge(offset, basis, version, current)
    }

    /// A delivery report at the next offset is judged by the rule like any record.
    fn judges_reports(self) -> bool {
        true
    }

    /// An answer without a record waits for an end offset asked for after the command came.
    fn waits_for_the_read_barrier(self) -> bool {
        true
    }

    /// A command is decided on effective state only.
    fn decides_on_effective_state_only(self) -> bool {
        true
    }

    /// A snapshot is believed only after the log has shown its last record.
    fn proves_snapshots(self) -> bool {
        true
    }
}

/// All laws, kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept;

impl Laws for Kept {}
