//! The log decides, simulated: the drivers that ship, of several writers, the real domain, the simulated log with every fault it
//! has, crashes, readers and stubborn clients. Single-threaded, everything from one seed: the same seed, the same run.
//!
//! What the design promises is checked after every step against a model that shares no code with the ledger (`oracle`).
//! `Weakening` breaks one rule of the design, to show that the checks would find it.
//!
//! Start with `make sim SEED=7`, which shows a whole history, and at [`run`].

mod catalog;
mod counts;
mod disk;
mod node;
mod oracle;
mod plan;
mod readers;
mod requests;
mod schemas;
mod trace;
mod violation;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ledger_sim::Law;

pub use counts::{Counts, What};
pub use trace::Trace;
pub use violation::{Invariant, Violation};
use world::World;

/// A rule of the design that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakening {
    /// A record counts whatever its version.
    Version,
    /// A record counts however late it lands.
    Window,
    /// A delivery report at the next offset is taken as proof.
    Reports,
    /// Answers without a record are given from any state.
    ReadBarrier,
    /// Commands are decided on records that may still be void.
    UndecidedState,
    /// A snapshot is believed before the log has shown its last record.
    Snapshot,
    /// Records land twice, and compaction has no lag.
    Compaction,
}

impl Weakening {
    pub const ALL: [Self; 7] = [
        Self::Version,
        Self::Window,
        Self::Reports,
        Self::ReadBarrier,
        Self::UndecidedState,
        Self::Snapshot,
        Self::Compaction,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Window => "window",
            Self::Reports => "reports",
            Self::ReadBarrier => "read-barrier",
            Self::UndecidedState => "undecided-state",
            Self::Snapshot => "snapshot",
            Self::Compaction => "compaction",
        }
    }

    pub(crate) const fn law(self) -> Option<Law> {
        match self {
            Self::Version => Some(Law::Version),
            Self::Window => Some(Law::Window),
            Self::Reports => Some(Law::JudgedReports),
            Self::ReadBarrier => Some(Law::ReadBarrier),
            Self::UndecidedState => Some(Law::EffectiveStateOnly),
            Self::Snapshot => Some(Law::ProvenSnapshot),
            Self::Compaction => None,
        }
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct Run {
    pub counts: Counts,
    pub trace: Trace,
    pub outcome: Result<(), Violation>,
}

/// Runs the history of a seed.
pub fn run(seed: u64, weakened: Option<Weakening>, trace: Trace) -> Run {
    let mut world = World::new(seed, weakened, trace);
    let played = catch_unwind(AssertUnwindSafe(|| world.play()));
    let outcome = played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Invariant::NoPanic.broken(text))
    });
    let (counts, mut trace) = world.end();
    if let Err(violation) = &outcome {
        trace.line(format_args!("VIOLATION  {violation}"));
    }
    Run { counts, trace, outcome }
}

/// What to tell of a seed that broke a promise: which, the last lines of its trace, and how to see it all.
pub fn explain(seed: u64, weakened: Option<Weakening>, violation: &Violation) -> String {
    let Run { trace, .. } = run(seed, weakened, Trace::last(30));
    let lines = match trace {
        Trace::Last { lines, .. } => Vec::from(lines).join("\n"),
        Trace::Off | Trace::Hash(_) | Trace::Print => String::new(),
    };
    let weaken = weakened.map(|weakened| format!(" --weaken {}", weakened.name())).unwrap_or_default();
    format!(
        "seed {seed} breaks a promise\n  {violation}\nthe end of its trace:\n{lines}\nsee it all: \
         cargo run -p folio-sim -- --seed {seed}{weaken}"
    )
}
