//! Projectors in their steady state: events of new products a second, over bare writes of the same rows; and how soon a change is
//! read back when nothing else goes on.

use std::time::{Duration, Instant};

use adapter_search::Use;
use anyhow::ensure;
use cli::system::Listens;
use read_models::{Generation, ReadModel};

use crate::bare::{self, BARE};
use crate::bench::Bench;
use crate::moving::{self, Probe};
use crate::pairs::{self, Pair};
use crate::read_side::{PATIENCE, ReadSide, generation};
use crate::report::Row;
use crate::stores::Stores;
use crate::workload::Workload;

/// Changes that are read back, one after another, and those before them that do not count.
const CHANGES: usize = 1_000;
const WARM: usize = 100;
/// How long everything is left alone before.
const IDLE: Duration = Duration::from_secs(10);
/// The part of a round's events after which a projector that was just started has come to its pace.
const PACE: f64 = 0.1;

pub(crate) fn products(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    measure(bench, ReadModel::Products, (10.0, 40.0))
}

pub(crate) fn search(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    measure(bench, ReadModel::Search, (30.0, 100.0))
}

/// `targets`: p50 and p99 until a change is shown, in milliseconds.
fn measure(bench: &Bench, read_model: ReadModel, targets: (f64, f64)) -> anyhow::Result<Vec<Row>> {
    let stores = Stores::start(&bench.servers)?;
    let mut workload = Workload::new()?;
    let mut side = ReadSide::new(bench, &stores, &format!("projector-{read_model}"))?;
    let mut rows = vec![throughput(&mut side, &mut workload, read_model)?];
    let (commands, _) = side.catalog.service()?;
    side.catalog.projector(read_model)?;
    rows.extend(shown(&mut side, &commands, read_model, targets)?);
    side.check(&[read_model])?;
    Ok(rows)
}

/// A projector that has more before it than it can do at once, alone: neither other read models nor a command service share the
/// processors. And the same rows written without it.
fn throughput(
    side: &mut ReadSide<'_>,
    workload: &mut Workload,
    read_model: ReadModel,
) -> anyhow::Result<Row> {
    let mut measured = Vec::new();
    let (mut from, bare_at) = (side.ends()?, generation(BARE)?);
    let (mut hands, mut written) = (1, 0);
    side.make(read_model, bare_at, Use::Read)?;
    // The first warms both up.
    for round in 0..=side.bench.long_pairs {
        let (commands, _) = side.catalog.service()?;
        side.send(&commands, &workload.creations(side.bench.commands)?)?;
        side.catalog.drain_services();
        side.catalog.projector(read_model)?;
        let ends = side.ends()?;
        let system = drained(side, read_model, &from, &ends)?;
        side.catalog.drain_services();
        let events = side.events(&from)?;
        let number: usize = events.iter().map(Vec::len).sum();
        let rows = bare::of(side, read_model, &events)?;
        if round == 0 {
            hands = bare::best_hands(side, read_model, &*rows, Use::Read)?;
        }
        // One table for all rounds, which grows as that of the projector does.
        let ceiling = number as f64 / bare::write(side, &*rows, bare_at, hands)?;
        written += rows.rows();
        side.has_rows(read_model, bare_at, written)?;
        side.has_rows(read_model, Generation::FIRST, written)?;
        eprintln!("  round {round}: {read_model} bare {ceiling:.0} events/s, projected {system:.0}");
        if round > 0 {
            measured.push(Pair { ceiling, system });
        }
        from = ends;
    }
    side.unmake(read_model, bare_at)?;
    let summary = pairs::summary(&measured, |pair| pair.system / pair.ceiling);
    let ceiling = match read_model {
        ReadModel::Search => "raw _bulk requests of prepared documents",
        ReadModel::Products | ReadModel::History => "bare writes of the same rows, prepared",
    };
    Ok(Row::rate(&format!("projector of {read_model}, steady"), "events/s", &summary, 0.85)
        .noting(format!("the ceiling: {ceiling}, {hands} hands")))
}

/// Events a second from when a projector that was just started has come to its pace until all are applied.
fn drained(side: &ReadSide<'_>, read_model: ReadModel, from: &[i64], ends: &[i64]) -> anyhow::Result<f64> {
    let mut reached = side.reached(read_model, Generation::FIRST);
    let pace = from.iter().zip(ends).map(|(from, end)| from + (PACE * (end - from) as f64) as i64);
    let pace: Vec<i64> = pace.collect();
    side.bench.runtime.block_on(async {
        reached.wait(&pace, PATIENCE).await?;
        let (begun, applied) = (Instant::now(), reached.applied(ends.len()).await?);
        let left = ends.iter().sum::<i64>() - applied.iter().sum::<i64>();
        ensure!(left > 0, "the projector of {read_model} was done at once: more events are needed");
        let came = reached.wait(ends, PATIENCE).await?;
        Ok(left as f64 / came.ended.duration_since(begun).as_secs_f64())
    })
}

/// From a command's answer until a read with its token shows it.
fn shown(
    side: &mut ReadSide<'_>,
    commands: &Listens,
    read_model: ReadModel,
    (p50, p99): (f64, f64),
) -> anyhow::Result<[Row; 2]> {
    side.send(commands, &moving::creations()?)?;
    let gateway = side.catalog.query_gateway()?;
    side.check(&[read_model])?;
    eprintln!("  {read_model}: {CHANGES} changes are read back");
    std::thread::sleep(IDLE);
    let mut probe = Probe::open(commands, &gateway)?;
    for _ in 0..WARM + CHANGES {
        probe.once(read_model)?;
    }
    let told = probe.told;
    ensure!(
        told.failed == 0 && told.older == 0,
        "{} reads failed, {} showed less than was written",
        told.failed,
        told.older
    );
    side.catalog.acknowledged.extend(told.events);
    let mut times = told.times[WARM..].to_vec();
    let mut row = |name: &str, quantile: f64, target: f64| {
        let value = pairs::alone(&[pairs::quantile(&mut times, quantile)]);
        Row::cost(&format!("accepted until shown in {read_model}, idle, {name}"), "ms", &value, Some(target))
    };
    Ok([row("p50", 0.5, p50), row("p99", 0.99, p99)])
}
