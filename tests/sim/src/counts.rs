//! How often what happened: a simulation in which a fault never happens shows nothing about it.

use std::fmt;

macro_rules! counted {
    ($($variant:ident: $name:literal,)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum What { $($variant,)* }

        impl What {
            /// All of them, in the order they are printed.
            pub const ALL: &[What] = &[$(What::$variant,)*];

            /// How it is printed.
            pub const fn name(self) -> &'static str {
                match self { $(What::$variant => $name,)* }
            }
        }
    };
}

counted! {
    Steps: "steps",
    Effective: "records effective",
    Stale: "records void: lost a race",
    OutsideWindow: "records void: outside the window",
    OnlyOutsideWindow: "records void by the window alone",
    AtWindowsEdge: "records effective at the window's very end",
    Garbage: "records void: no key",
    Elsewhere: "records void: another partition's",
    AppendsLost: "appends lost",
    LandedUnknown: "appends landed, answer lost",
    HeldBack: "appends held back, answer lost",
    LandedAgain: "records landed a second time",
    LandedAfterDeath: "records landed after their writer died",
    LandedOutOfOrder: "records landed out of their writer's order",
    Delayed: "messages delayed",
    EndLost: "end offsets not answered",
    Crashes: "crashes",
    CrashesMidway: "crashes in the middle of work",
    Resets: "states discarded",
    TailsRestarted: "tails started again",
    TailsFailed: "tails failed",
    SchemasAsked: "schemas asked for",
    SchemasLearned: "schemas learned",
    SchemasRefused: "schemas that nobody knows",
    Overflowed: "states discarded for want of a schema",
    StrangeRecords: "records that cannot be read",
    Pauses: "writers paused",
    Snapshots: "snapshots taken",
    SnapshotsWritten: "snapshots written",
    SavesFailed: "snapshots that could not be written",
    Resumed: "starts from a snapshot",
    ResumedFalse: "starts from a snapshot of another log",
    Refuted: "snapshots of another log refuted",
    Discards: "contradictions seen and survived",
    PassedOver: "jumps of the log's end",
    Compactions: "compactions",
    CompactedAway: "first copies compacted away",
    CompactionSpared: "first copies spared by the compaction lag",
    CompactedNothing: "compactions with unique keys: nothing removed",
    Refused: "appends refused as too large",
    Asked: "commands",
    Retried: "retries with the same id",
    RetriedElsewhere: "retries while the first still waits",
    OtherPayload: "ids used again for another command",
    OldRetries: "retries at the edge of what is remembered",
    Accepted: "answers: accepted",
    Replayed: "answers: accepted before",
    NoEffect: "answers: no effect",
    Rejected: "answers: rejected",
    Conflict: "answers: version conflict",
    KeyReused: "answers: key reused",
    Contended: "answers: contended",
    OutcomeUnknown: "answers: outcome unknown",
    Overloaded: "answers: overloaded",
    DeadlineExceeded: "answers: deadline exceeded",
    TooLarge: "answers: too large",
    Unreadable: "answers: unreadable",
    Withheld: "answers: withheld for want of a schema",
    NeverAnswered: "answers lost with their writer",
    Readers: "readers without state",
    LookBacks: "look-backs",
    Verdicts: "verdicts of readers compared",
    States: "states of writers compared",
}

/// How often each thing happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts([u64; What::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; What::ALL.len()])
    }
}

impl Counts {
    pub(crate) fn count(&mut self, what: What) {
        self.0[what as usize] += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    pub fn of(&self, what: What) -> u64 {
        self.0[what as usize]
    }

    /// What happened fewer than `least` times.
    pub fn rarer_than(&self, least: u64) -> Vec<(&'static str, u64)> {
        What::ALL
            .iter()
            .map(|what| (what.name(), self.of(*what)))
            .filter(|(_, count)| *count < least)
            .collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        What::ALL.iter().try_for_each(|what| writeln!(f, "{:>14}  {}", self.of(*what), what.name()))
    }
}
