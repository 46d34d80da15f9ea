//! How long a rebuild takes, from the decision until all of the log is applied, over what the store alone needs for its rows; and
//! how many rows a comparison gets through.

use std::time::Instant;

use adapter_search::Use;
use anyhow::ensure;
use read_models::compare::By;
use read_models::control::BuildStore as _;
use read_models::{Generation, ReadModel};

use super::PATIENCE;
use super::build::Build;
use crate::bare::{self, BARE, Bare};
use crate::pairs::{self, Pair};
use crate::read_side::{ReadSide, generation};
use crate::report::Row;

/// Records of a projector's batch: its default.
const BATCH: usize = 2_000;

/// Each read model in turn, with nothing beside it but the other two projectors, which have nothing to do.
pub(super) fn measure(side: &ReadSide<'_>, products: usize) -> anyhow::Result<Vec<Row>> {
    let (ends, mut rows) = (side.ends()?, Vec::new());
    let events = side.events(&vec![0; ends.len()])?;
    let number: usize = events.iter().map(Vec::len).sum();
    for read_model in ReadModel::ALL {
        let rows_alone = bare::of(side, *read_model, &events)?;
        let in_batches = bare::written_in_batches(*read_model, &events, BATCH)?;
        let once = bare::written_in_batches(*read_model, &events, usize::MAX)?;
        let hands = bare::best_hands(side, *read_model, &*rows_alone, Use::Build)?;
        same_rows(side, *read_model, &*rows_alone, hands)?;
        let (mut measured, mut begins, mut compared) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..side.bench.long_pairs {
            let at = (generation(BARE)?, Use::Build);
            let ceiling = bare::once(side, *read_model, &*rows_alone, at, hands)?;
            side.unmake(*read_model, at.0)?;
            let (system, begun, rate) = rebuild(side, *read_model, &ends, rows_alone.rows())?;
            eprintln!(
                "  pair {}: {read_model} alone {ceiling:.2} s, rebuilt in {system:.2} s, begun after {begun:.2} s, {rate:.0} rows/s \
                 compared",
                pair + 1
            );
            measured.push(Pair { ceiling, system });
            begins.push(begun);
            compared.push(rate);
        }
        let summary = pairs::summary(&measured, |pair| pair.system / pair.ceiling);
        let name = format!("rebuild of {read_model}, {number} events of {products} products");
        let note = format!(
            "the store alone, {hands} hands: {once} writes, each row once; in batches of {BATCH} records there are {in_batches}; the \
             first was applied after {:.1} s",
            pairs::median(&mut begins)
        );
        rows.push(Row::times(&name, "s", &summary, 1.15).noting(note));
        let name = format!("rows compared of {read_model}, {products} products");
        let note = "of one build; from the last one applied until the projector has told the outcome";
        rows.push(Row::speed(&name, "rows/s", &pairs::alone(&compared)).noting(note));
    }
    Ok(rows)
}

/// What is called the same rows is: compares those that are written without Folio with those that are read.
fn same_rows(
    side: &ReadSide<'_>,
    read_model: ReadModel,
    rows: &dyn Bare,
    hands: usize,
) -> anyhow::Result<()> {
    let at = generation(BARE)?;
    bare::once(side, read_model, rows, (at, Use::Build), hands)?;
    let comparing = Box::pin(side.stores.compare(read_model, [at, Generation::FIRST], By::Rows));
    let compared = side.bench.runtime.block_on(comparing)?;
    ensure!(
        compared.is_same() && compared.rows() == rows.rows(),
        "{read_model}: the store alone was not given the rows that are read: {} of {}, {} differ",
        compared.rows(),
        rows.rows(),
        compared.differences.len()
    );
    side.unmake(read_model, at)
}

/// Rebuilds it and drops it again: seconds until all is applied and until the first is, and rows compared a second.
fn rebuild(
    side: &ReadSide<'_>,
    read_model: ReadModel,
    ends: &[i64],
    wanted: u64,
) -> anyhow::Result<(f64, f64, f64)> {
    let mut build = Build::begin(side, read_model)?;
    let came = build.caught_up(side, ends)?;
    let rows = build.compared(side)?;
    let compared = Instant::now().duration_since(came.ended);
    ensure!(rows == wanted, "{read_model} {} has {rows} rows instead of {wanted}", build.generation);
    let since = |at: Instant| at.duration_since(build.decided).as_secs_f64();
    let told = (since(came.ended), since(came.begun), rows as f64 / compared.as_secs_f64());
    build.end(side)?;
    ensure!(told.0 < PATIENCE.as_secs_f64(), "it took longer than anything may");
    Ok(told)
}
