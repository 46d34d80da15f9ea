//! Writers that break a law, to show what it is for and that the checks would find it.

use ledger::{Laws, Offset, Verdict, VoidReason, WINDOW, rule};

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

/// Keeps every law but this one, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Broken(pub Option<Law>);

impl Laws for Broken {
    fn judge(self, offset: Offset, basis: Offset, version: u64, current: u64) -> Verdict {
        let in_window = (0..=WINDOW).contains(&(offset - basis));
        match (rule::judge(offset, basis, version, current), self.0) {
            (Verdict::Void(_), Some(Law::Version)) if in_window => Verdict::Effective,
            (Verdict::Void(VoidReason::OutsideWindow), Some(Law::Window)) => {
                rule::judge(offset, offset, version, current)
            }
            (verdict, _) => verdict,
        }
    }

    fn judges_reports(self) -> bool {
        self.0 != Some(Law::JudgedReports)
    }

    fn waits_for_the_read_barrier(self) -> bool {
        self.0 != Some(Law::ReadBarrier)
    }

    fn decides_on_effective_state_only(self) -> bool {
        self.0 != Some(Law::EffectiveStateOnly)
    }

    fn proves_snapshots(self) -> bool {
        self.0 != Some(Law::ProvenSnapshot)
    }
}
