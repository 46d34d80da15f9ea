//! The rule: which records count. The single place of it; the sequencer and the reader both ask here.

use crate::Offset;

/// How many offsets a record may land after its basis. A constant of the log format: changing it changes history.
pub const WINDOW: i64 = 100_000;

/// What the rule says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It counts: the product has its version now.
    Effective,
    /// It lost, and changes nothing for anyone, ever.
    Void(VoidReason),
}

/// Why a record is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VoidReason {
    /// It landed too long after its basis, or before it.
    OutsideWindow,
    /// Another record gave the product this version first.
    Stale,
    /// Its version skips one: inside the window no correct writer does this, so it is a violation.
    Ahead,
    /// Its key does not parse.
    Garbage,
    /// Its subject belongs in another partition.
    WrongPartition,
}

impl VoidReason {
    pub const ALL: [Self; 5] =
        [Self::OutsideWindow, Self::Stale, Self::Ahead, Self::Garbage, Self::WrongPartition];

    /// A stable label for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutsideWindow => "outside_window",
            Self::Stale => "stale",
            Self::Ahead => "ahead",
            Self::Garbage => "garbage",
            Self::WrongPartition => "wrong_partition",
        }
    }
}

/// Judges a record that stands at `offset` and says `version` and `basis`, of a product whose last effective version
/// before it is `current` (0 if none).
pub const fn judge(offset: Offset, basis: Offset, version: u64, current: u64) -> Verdict {
    judge_within(WINDOW, offset, basis, version, current)
}

/// The rule with another window, so that tests see it close.
pub(crate) const fn judge_within(
    window: i64,
    offset: Offset,
    basis: Offset,
    version: u64,
    current: u64,
) -> Verdict {
    if !in_window(window, offset, basis) {
        Verdict::Void(VoidReason::OutsideWindow)
    } else if version <= current {
        Verdict::Void(VoidReason::Stale)
    } else if version - current > 1 {
        Verdict::Void(VoidReason::Ahead)
    } else {
        Verdict::Effective
    }
}

pub(crate) const fn in_window(window: i64, offset: Offset, basis: Offset) -> bool {
    // Neither is negative, so that the difference cannot overflow.
    0 <= offset - basis && offset - basis <= window
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_of_the_next_version_inside_the_window_counts() {
        use VoidReason::{Ahead, OutsideWindow, Stale};
        for (offset, basis, version, current, verdict) in [
            (0, 0, 1, 0, Verdict::Effective),
            (5, 5, 4, 3, Verdict::Effective),
            (WINDOW + 7, 7, 1, 0, Verdict::Effective),
            (WINDOW + 8, 7, 1, 0, Verdict::Void(OutsideWindow)),
            (4, 5, 1, 0, Verdict::Void(OutsideWindow)),
            (9, 5, 3, 3, Verdict::Void(Stale)),
            (9, 5, 1, 3, Verdict::Void(Stale)),
            (9, 5, 5, 3, Verdict::Void(Ahead)),
            (9, 5, u64::MAX, 0, Verdict::Void(Ahead)),
            (i64::MAX, 0, 1, 0, Verdict::Void(OutsideWindow)),
            (0, i64::MAX, 1, 0, Verdict::Void(OutsideWindow)),
        ] {
            assert_eq!(
                judge(offset, basis, version, current),
                verdict,
                "{offset} {basis} {version} {current}"
            );
        }
    }
}
