//! `folio stores`: tables and indices of the read models.

use adapter_cql::Cql;
use adapter_search::Search;
use anyhow::bail;
use read_models::stores;

use crate::config::Config;
use crate::say::say;

/// Creates what is missing.
///
/// # Errors
/// If a store cannot be reached, or holds something of another shape.
pub async fn apply(config: &Config) -> anyhow::Result<()> {
    let (cql, search) = connect(config).await?;
    let mut applied = stores::apply_cql(&cql, &config.cql.replication).await?;
    applied.extend(stores::apply_search(&search).await?);
    for one in applied {
        say!("{}: {}", one.what, if one.created { "created" } else { "as declared" });
    }
    Ok(())
}

/// Compares only.
///
/// # Errors
/// If something is missing: what.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    let (cql, search) = connect(config).await?;
    let mut missing = stores::check_cql(&cql).await?;
    missing.extend(stores::check_search(&search).await?);
    if missing.is_empty() {
        say!("all tables and indices are as declared");
        return Ok(());
    }
    bail!("missing: {}; run `folio stores apply`", missing.join(", "))
}

pub(crate) async fn connect(config: &Config) -> anyhow::Result<(Cql, Search)> {
    let cql = Cql::connect(&config.cql).await?;
    let search = Search::connect(&config.search).await?;
    Ok((cql, search))
}
