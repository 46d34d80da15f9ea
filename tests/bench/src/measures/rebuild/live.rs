//! What a rebuild costs whoever writes and reads meanwhile: single commands in an open loop, and changes that are read back, beside
//! a rebuild and without one, in turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use cli::system::Listens;
use hdrhistogram::Histogram;
use read_models::ReadModel;

use super::super::open_loop;
use super::build::Build;
use crate::moving::{Probe, Reads};
use crate::pairs::{self, Pair};
use crate::read_side::ReadSide;
use crate::report::Row;
use crate::workload::Workload;

/// Commands a second: what the machine does beside three projectors and a gateway without an effort.
const RATE: f64 = 100.0;
/// How long an open loop is at once: only what ended before the rebuild did counts.
const TIME: Duration = Duration::from_secs(4);
/// So many of them without a rebuild.
const WITHOUT: usize = 4;

/// Where commands go, and where reads.
pub(super) type Doors<'a> = (&'a Listens, &'a Listens);

/// What came of some open loops.
struct Load {
    /// Nanoseconds from the time due to the answer.
    commands: Histogram<u64>,
    turned_away: usize,
    /// Milliseconds from a command's answer until it is read.
    shown: Vec<f64>,
}

impl Load {
    fn new() -> anyhow::Result<Self> {
        let commands = Histogram::new(3).context("making a histogram")?;
        Ok(Self { commands, turned_away: 0, shown: Vec::new() })
    }

    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.commands.add(other.commands)?;
        self.turned_away += other.turned_away;
        self.shown.extend(other.shown);
        Ok(())
    }

    /// In milliseconds.
    fn command_p99(&self) -> f64 {
        self.commands.value_at_quantile(0.99) as f64 / 1e6
    }

    fn shown_p99(&mut self) -> f64 {
        pairs::quantile(&mut self.shown, 0.99)
    }
}

pub(super) fn measure(
    side: &mut ReadSide<'_>,
    doors: Doors<'_>,
    workload: &mut Workload,
    reads: &mut Reads,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    // The first warms up.
    once(side, doors, workload, ReadModel::Products, reads)?;
    for read_model in ReadModel::ALL {
        let (mut commands, mut shown, mut turned_away) = (Vec::new(), Vec::new(), 0);
        for pair in 0..side.bench.long_pairs {
            let mut without = Load::new()?;
            for _ in 0..WITHOUT {
                without.add(once(side, doors, workload, *read_model, reads)?)?;
            }
            let mut beside = beside_a_rebuild(side, doors, workload, *read_model, reads)?;
            let p99 = Pair { ceiling: without.command_p99(), system: beside.command_p99() };
            let lag = Pair { ceiling: without.shown_p99(), system: beside.shown_p99() };
            eprintln!(
                "  pair {}: beside a rebuild of {read_model} command p99 {:.1} ms, without {:.1}; shown p99 {:.1} ms, without {:.1}; \
                 {} commands turned away",
                pair + 1,
                p99.system,
                p99.ceiling,
                lag.system,
                lag.ceiling,
                beside.turned_away
            );
            turned_away += beside.turned_away + without.turned_away;
            commands.push(p99);
            shown.push(lag);
        }
        let row = |what: &str, pairs: &[Pair]| {
            let summary = pairs::summary(pairs, |pair| pair.system / pair.ceiling);
            Row::times(&format!("{what}, {read_model} rebuilt beside it, by without"), "ms", &summary, 1.3)
        };
        let note = format!("at {RATE:.0} commands/s, from the time due; {turned_away} were turned away");
        rows.push(row("live command p99", &commands).noting(note));
        rows.push(
            row("live lag p99", &shown)
                .noting("from a command's answer until it is read back; one after another"),
        );
    }
    Ok(rows)
}

/// Open loops as long as a read model is rebuilt.
fn beside_a_rebuild(
    side: &mut ReadSide<'_>,
    doors: Doors<'_>,
    workload: &mut Workload,
    read_model: ReadModel,
    reads: &mut Reads,
) -> anyhow::Result<Load> {
    let (mut all, ends) = (None, side.ends()?);
    let mut build = Build::begin(side, read_model)?;
    loop {
        let load = once(side, doors, workload, read_model, reads)?;
        if build.has_caught_up(side, &ends)? {
            break;
        }
        match &mut all {
            None => all = Some(load),
            Some(all) => all.add(load)?,
        }
        anyhow::ensure!(build.decided.elapsed() < super::PATIENCE, "{read_model} is not rebuilt");
    }
    build.compared(side)?;
    build.end(side)?;
    all.with_context(|| {
        format!(
            "{read_model} was rebuilt within {TIME:?}, which is too soon to say anything: use more events"
        )
    })
}

/// One open loop, with a client beside it that reads its changes back.
fn once(
    side: &mut ReadSide<'_>,
    (commands, queries): Doors<'_>,
    workload: &mut Workload,
    read_model: ReadModel,
    reads: &mut Reads,
) -> anyhow::Result<Load> {
    let (ended, probe) = (AtomicBool::new(false), Probe::open(commands, queries)?);
    let (told, read_back) = std::thread::scope(|scope| {
        let probing = scope.spawn(|| probe.until(&ended, &[read_model]));
        let told = open_loop::run(commands, workload, RATE, TIME);
        ended.store(true, Ordering::Relaxed);
        (told, probing.join())
    });
    let (told, read_back) = (told?, read_back.map_err(|_| anyhow!("reading back panicked"))??);
    reads.asked += read_back.times.len() as u64;
    reads.failed += read_back.failed;
    reads.older += read_back.older;
    side.catalog.acknowledged.extend(told.events.iter().chain(&read_back.events).copied());
    Ok(Load { commands: told.times, turned_away: told.turned_away, shown: read_back.times })
}
