//! What may happen in a run, drawn from its seed: each run has some of the faults, seldom all, so that each is also seen
//! without the others hiding what it does.

use ledger::{Held, Limits};
use ledger_sim::{Faults, SeededRng};

/// One turn of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A client asks, anew or again.
    Ask,
    /// The network or the broker does one thing.
    Network,
    /// A writer looks into its inbox.
    Wake,
    /// Time passes.
    Tick,
    /// A writer dies, and another takes its place that knows nothing.
    Crash,
    /// A writer is told that its tail is worth nothing: it throws its state away.
    Reset,
    /// A writer's tail fails.
    FailTail,
    /// The registry answers a writer.
    Registry,
    /// A writer starts its tail again where it stands.
    Retail,
    /// A writer stands still for a while.
    Pause,
    /// A writer saves.
    Save,
    /// A reader without state starts somewhere.
    Spawn,
    /// A reader reads on.
    Read,
    /// The log's end jumps.
    PassOver,
    /// The log is compacted.
    Compact,
    /// Someone writes a key that is none, or another partition's.
    Garbage,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) writers: usize,
    pub(crate) products: usize,
    pub(crate) steps: u64,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    /// How much a writer keeps while it waits for a schema.
    pub(crate) held: Held,
    /// How often a record has a schema of its own, and how often nobody knows that, in percent.
    pub(crate) newer: u64,
    pub(crate) strange: u64,
    /// How often a disk that is to be written to is full, in percent.
    pub(crate) full_disks: u64,
    pub(crate) acts: Vec<(Act, u64)>,
    /// How often a writer leaves a signal in its inbox, in percent.
    pub(crate) lazy: u64,
    /// How often an event is too large, in percent.
    pub(crate) refused: u64,
    /// How often a command expects a version, in percent.
    pub(crate) expecting: u64,
    /// How often a client asks for something again, in percent.
    pub(crate) retrying: u64,
    /// How often it then uses the id for something else, in percent.
    pub(crate) reusing: u64,
    /// How often a deadline is very near, in percent.
    pub(crate) hasty: u64,
    /// How often compaction follows right behind a copy, in percent.
    pub(crate) compacting: u64,
    /// Writers save their products, and start from what they saved.
    pub(crate) has_disks: bool,
    /// Many commands on one product, and retries as old as it can remember.
    pub(crate) is_long: bool,
}

impl Plan {
    pub(crate) fn draw(dice: &mut SeededRng) -> Self {
        let is_long = dice.percent(2);
        let mut often = |percent: u64| if dice.percent(55) { 1 + dice.below(percent) } else { 0 };
        let faults = Faults {
            lost: often(15),
            unknown: often(15),
            twice: often(12),
            late_copy: often(95),
            unanswered: often(30),
            delayed: often(40),
            reordered: often(60),
            slow_tail: if often(100) > 85 { 98 } else { often(90) },
        };
        let acts = vec![
            (Act::Ask, 30 + often(20)),
            (Act::Network, 160 + often(200)),
            (Act::Wake, 8),
            (Act::Tick, 4 + often(10)),
            (Act::Crash, often(3)),
            (Act::Reset, often(2)),
            (Act::FailTail, often(3)),
            (Act::Registry, 4 + often(20)),
            (Act::Retail, often(2)),
            (Act::Pause, often(3)),
            (Act::Save, 1 + often(15)),
            (Act::Spawn, 1),
            (Act::Read, 6),
            (Act::PassOver, often(2)),
            (Act::Compact, often(5)),
            (Act::Garbage, often(2)),
        ];
        let (lazy, refused, reusing) = (often(60), often(3), often(25));
        let (newer, strange, full_disks) = (often(25), often(15), often(20));
        let (expecting, retrying, hasty, compacting) = (often(50), often(40), often(15), often(80));
        Self {
            writers: 1 + dice.index(4),
            products: if is_long { 1 } else { 1 + dice.index(5) },
            steps: if is_long { 2500 } else { 60 + dice.below(800) },
            faults,
            limits: Limits {
                max_waiting: if dice.percent(5) { 3 } else { 1000 },
                max_attempts: if dice.percent(30) { 2 } else { 8 },
                ..Limits::default()
            },
            held: Held {
                records: if dice.percent(40) { 1 + dice.index(12) } else { 10_000 },
                bytes: if dice.percent(10) { 2_000 } else { usize::MAX },
            },
            newer: if dice.percent(50) { newer } else { 0 },
            strange,
            full_disks,
            acts,
            lazy,
            refused,
            expecting,
            retrying,
            reusing,
            hasty,
            compacting,
            has_disks: dice.percent(60),
            is_long,
        }
    }

    pub(crate) fn act(&self, dice: &mut SeededRng) -> Act {
        let sum: u64 = self.acts.iter().map(|(_, weight)| weight).sum();
        let mut at = dice.below(sum);
        for (act, weight) in &self.acts {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *act,
            }
        }
        Act::Network
    }
}
