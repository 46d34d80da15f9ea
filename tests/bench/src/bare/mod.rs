//! What a store alone needs for rows: the rows that the read models' folds make of events, made before the clock starts, and written
//! by the best simple loop: each row once, several hands at once, without Kafka, loads, positions or batches that end.
//!
//! To ScyllaDB they are written by the adapter's prepared statements, to a search server as raw `_bulk` requests.

mod cql;
mod documents;
mod fold;

use std::time::Duration;

use adapter_search::Use;
use futures::future::BoxFuture;
use read_models::history::HistoryModel;
use read_models::products::Products;
use read_models::search::SearchModel;
use read_models::{Generation, ReadModel, Servers};

use crate::read_side::{Events, ReadSide, generation};

/// How many may write at once: what is tried, before anything is measured, to find the best. A projector of six partitions writes
/// with six hands, and at most 256 requests in flight to ScyllaDB and two to a search server.
const HANDS: [usize; 2] = [2, 6];
/// Of the tables that rows are written to: far from any number that a build gets.
pub(crate) const BARE: u32 = 1_000;
/// How long writing all rows may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Rows, ready to be written.
pub(crate) trait Bare {
    /// How many rows its tables have when all is written, or documents its index.
    fn rows(&self) -> u64;

    /// Writes all to a build that has nothing of them; how long that took, until the last was acknowledged.
    fn write<'a>(
        &'a self,
        stores: &'a Servers,
        generation: Generation,
        hands: usize,
    ) -> BoxFuture<'a, anyhow::Result<Duration>>;
}

/// The rows of all these events.
pub(crate) fn of(
    side: &ReadSide<'_>,
    read_model: ReadModel,
    events: &Events,
) -> anyhow::Result<Box<dyn Bare>> {
    Ok(match read_model {
        ReadModel::Products => Box::new(cql::Rows::<Products>::of(events)?),
        ReadModel::History => Box::new(cql::Rows::<HistoryModel>::of(events)?),
        ReadModel::Search => Box::new(documents::Documents::of(&side.catalog.config.search.url, events)?),
    })
}

/// How many rows are written for these events if each partition's are folded and written so many records at a time.
pub(crate) fn written_in_batches(
    read_model: ReadModel,
    events: &Events,
    records: usize,
) -> anyhow::Result<usize> {
    match read_model {
        ReadModel::Products => fold::count::<Products>(events, records),
        ReadModel::History => fold::count::<HistoryModel>(events, records),
        ReadModel::Search => fold::count::<SearchModel>(events, records),
    }
}

/// Tries all numbers of hands, each on tables of its own; the best. Warms the store up, too.
pub(crate) fn best_hands(
    side: &ReadSide<'_>,
    read_model: ReadModel,
    bare: &dyn Bare,
    purpose: Use,
) -> anyhow::Result<usize> {
    let mut tried = Vec::new();
    for hands in HANDS {
        let at = generation(BARE + hands as u32)?;
        let took = once(side, read_model, bare, (at, purpose), hands)?;
        eprintln!("  {read_model} alone, {hands} hands: {} rows in {took:.1} s", bare.rows());
        side.unmake(read_model, at)?;
        tried.push((took, hands));
    }
    // The first warmed the store up: it has another chance.
    let at = generation(BARE + 1)?;
    let took = once(side, read_model, bare, (at, purpose), HANDS[0])?;
    eprintln!("  {read_model} alone, {} hands again: {took:.1} s", HANDS[0]);
    side.unmake(read_model, at)?;
    tried.push((took, HANDS[0]));
    tried.sort_by(|one, other| one.0.total_cmp(&other.0));
    Ok(tried.first().map_or(HANDS[0], |(_, hands)| *hands))
}

/// Makes tables, writes all rows, and checks that they are there; how many seconds the writing took.
pub(crate) fn once(
    side: &ReadSide<'_>,
    read_model: ReadModel,
    bare: &dyn Bare,
    (at, purpose): (Generation, Use),
    hands: usize,
) -> anyhow::Result<f64> {
    side.make(read_model, at, purpose)?;
    let took = write(side, bare, at, hands)?;
    side.has_rows(read_model, at, bare.rows())?;
    Ok(took)
}

/// Writes all rows to tables that are there; how many seconds that took.
pub(crate) fn write(
    side: &ReadSide<'_>,
    bare: &dyn Bare,
    at: Generation,
    hands: usize,
) -> anyhow::Result<f64> {
    let writing = async { tokio::time::timeout(PATIENCE, bare.write(&side.stores, at, hands)).await };
    let took = side.bench.runtime.block_on(writing);
    let took = took.map_err(|_| anyhow::anyhow!("{at} is not written after {PATIENCE:?}"))??;
    Ok(took.as_secs_f64())
}
