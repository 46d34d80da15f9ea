//! `folio stores`: tables and indices of the read models.

use anyhow::bail;
use read_models::{Generation, ReadModel, Servers};

use crate::config::Config;
use crate::say::say;

/// The generation that the tool looks after.
pub const GENERATION: Generation = Generation::FIRST;

/// Creates what is missing.
///
/// # Errors
/// If a store cannot be reached, or holds something of another shape.
pub async fn apply(config: &Config) -> anyhow::Result<()> {
    for one in servers(config).apply(ReadModel::ALL, GENERATION).await? {
        say!("{}: {}", one.what, if one.created { "created" } else { "as declared" });
    }
    Ok(())
}

/// Compares only.
///
/// # Errors
/// If something is missing: what.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    let missing = servers(config).missing(ReadModel::ALL, GENERATION).await?;
    if missing.is_empty() {
        say!("all tables and indices are as declared");
        return Ok(());
    }
    bail!("missing: {}; run `folio stores apply`", missing.join(", "))
}

/// The servers that hold the read models.
pub fn servers(config: &Config) -> Servers {
    Servers::new(&config.cql, &config.search)
}
