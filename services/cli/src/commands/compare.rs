//! `folio stores compare`: are two builds of a read model the same, row for row? Changes nothing.
//!
//! Promises: reads each table once per pass, in bounded memory; a row that is written to meanwhile is no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use read_models::declared::Table;
use read_models::rows::product_of;
use read_models::{Generation, ReadModel, Servers};
use tokio::time::sleep;

use super::stores::{self, One};
use crate::config::Config;
use crate::say::say;

/// A row that is equal in one of the passes is no difference.
const PASSES: usize = 3;
/// Between two of them: projectors that run are much faster.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of rows that have no equal in the other build yet.
const UNMATCHED_BYTES: usize = 128 << 20;
/// Products whose differences are told.
const TOLD: usize = 20;

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Compared {
    /// Rows of each build, by table.
    pub rows: Vec<(Table, [u64; 2])>,
    /// What differs, by product and table: the rows of the one build and of the other.
    pub differences: BTreeMap<(String, &'static str), [Vec<String>; 2]>,
}

/// Rows that have no equal in the other build.
type Unmatched = [BTreeSet<String>; 2];

/// Compares, and tells.
///
/// # Errors
/// If they differ, or a store cannot be reached.
pub async fn run(config: &Config, one: One, with: Generation) -> anyhow::Result<()> {
    let One { read_model, generation } = one;
    ensure!(generation != with, "both are {with}: give --generation and --with different numbers");
    let builds = [generation, with];
    let compared = compare(&stores::servers(config), read_model, builds).await?;
    for (table, [one, other]) in &compared.rows {
        say!("{:24}{one} rows in {generation}, {other} in {with}", table.name);
    }
    let Compared { differences, .. } = compared;
    if differences.is_empty() {
        say!("{generation} and {with} of {read_model} are the same");
        return Ok(());
    }
    for ((product, table), rows) in differences.iter().take(TOLD) {
        say!("{product} in {table}:");
        for (build, rows) in builds.iter().zip(rows) {
            let told = if rows.is_empty() { "no such row".to_owned() } else { rows.join("\n        ") };
            say!("    {build}  {told}");
        }
    }
    bail!(
        "{generation} and {with} of {read_model} differ in {} products' rows{}: if a projector is behind (folio_projector_lag_records), \
         compare again when it is not; else see \"Rebuild a read model beside the live one\" in docs/operating.md",
        differences.len(),
        if differences.len() > TOLD { format!(", of which {TOLD} are told") } else { String::new() }
    )
}

/// Compares all tables of two builds.
///
/// # Errors
/// If a store does not answer or has not got both, or if so much differs that there is no use in telling what.
pub async fn compare(
    servers: &Servers,
    read_model: ReadModel,
    builds: [Generation; 2],
) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    for table in read_model.declared().tables {
        let (mut rows, mut differ) = pass(servers, read_model, table, builds).await?;
        for _ in 1..PASSES {
            if differ.iter().all(BTreeSet::is_empty) {
                break;
            }
            sleep(PAUSE).await;
            let still;
            (rows, still) = pass(servers, read_model, table, builds).await?;
            for (differ, still) in differ.iter_mut().zip(&still) {
                differ.retain(|row| still.contains(row));
            }
        }
        compared.rows.push((*table, rows));
        for (build, rows) in differ.into_iter().enumerate() {
            for row in rows {
                compared.differences.entry((product_of(&row), table.name)).or_default()[build].push(row);
            }
        }
    }
    Ok(compared)
}

/// Reads a table of both builds side by side: how many rows there are, and those without an equal.
async fn pass(
    servers: &Servers,
    read_model: ReadModel,
    table: &Table,
    builds: [Generation; 2],
) -> anyhow::Result<([u64; 2], Unmatched)> {
    let open = async |build: Generation| {
        let pages = servers.row_pages(read_model.declared(), table, build).await;
        pages.with_context(|| format!("reading {} of {build}", table.name))
    };
    let mut pages = [open(builds[0]).await?, open(builds[1]).await?];
    let (mut counts, mut unmatched, mut bytes) = ([0, 0], Unmatched::default(), 0_usize);
    loop {
        let [one, other] = &mut pages;
        let (one, other) = tokio::try_join!(one.next(), other.next())?;
        if one.is_none() && other.is_none() {
            return Ok((counts, unmatched));
        }
        for (build, rows) in [one, other].into_iter().enumerate() {
            for row in rows.unwrap_or_default() {
                counts[build] += 1;
                if unmatched[1 - build].remove(&row) {
                    bytes = bytes.saturating_sub(row.len());
                } else {
                    bytes += row.len();
                    unmatched[build].insert(row);
                }
            }
        }
        ensure!(
            bytes <= UNMATCHED_BYTES,
            "{} of {} and {} differs in more than {} MiB of rows: one of them is not built yet (see folio_projector_lag_records)",
            table.name,
            builds[0],
            builds[1],
            UNMATCHED_BYTES >> 20
        );
    }
}
