//! `folio stores compare`: are two builds of a read model the same, row for row? Changes nothing.

use anyhow::{bail, ensure};
use read_models::Generation;
use read_models::compare::{By, Compared, compare};
use read_models::publication::Published;

use super::stores::{self, One};
use crate::config::Config;
use crate::say::say;

/// Products whose differences are told.
const TOLD: usize = 20;

/// Compares, and tells.
///
/// # Errors
/// If they differ, or a store cannot be reached.
pub async fn run(config: &Config, one: One, with: Option<Generation>) -> anyhow::Result<()> {
    let One { read_model, generation } = one;
    let with = match with {
        Some(with) => with,
        None => stores::servers(config).publication(read_model).read().await?,
    };
    ensure!(generation != with, "both are {with}: give --generation and --with different numbers");
    let builds = [generation, with];
    let compared = compare(&stores::servers(config), read_model, builds, By::Rows).await?;
    for (table, [one, other]) in &compared.rows {
        say!("{:24}{one} rows in {generation}, {other} in {with}", table.name);
    }
    let Compared { differences, hopeless, .. } = compared;
    if let Some(table) = hopeless {
        bail!(
            "so many rows of {} differ that there is no use in telling which: one of the builds is not made yet (see `folio \
             read-models list`)",
            table.name
        );
    }
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
        "{generation} and {with} of {read_model} differ in {} products' rows{}: if one is behind (`folio read-models list`), \
         compare again when it is not; else see \"Rebuild a read model beside the live one\" in docs/operating.md",
        differences.len(),
        if differences.len() > TOLD { format!(", of which {TOLD} are told") } else { String::new() }
    )
}
