//! The rows as the servers hold them.

use anyhow::Context as _;
use cli::commands::stores::{Which, servers};
use cli::config::Config;
use read_models::declared::On;
use read_models::{Generation, ReadModel};

use super::{Rows, rows_of};

/// Reads everything of the builds that are read.
///
/// # Errors
/// If a store does not answer.
pub async fn rows(config: &Config) -> anyhow::Result<Rows> {
    let servers = servers(config);
    rows_of(&servers, async |read_model| Which::default().generation(&servers, read_model).await).await
}

/// The tables of the read models in CQL, as the keyspace names them.
pub fn tables() -> impl Iterator<Item = String> {
    let on_cql = ReadModel::ALL.iter().map(|it| it.declared()).filter(|it| matches!(it.on, On::Cql(_)));
    on_cql.flat_map(|it| it.tables).map(|table| table.on_cql(Generation::FIRST))
}

/// Drops everything but the positions.
///
/// # Errors
/// If a store does not answer.
pub async fn drop_all(config: &Config) -> anyhow::Result<()> {
    let servers = servers(config);
    let cql = servers.cql().await?;
    for table in tables() {
        cql.execute(&cql.prepare(&format!("DROP TABLE {{keyspace}}.{table}")).await?, ()).await?;
    }
    for read_model in ReadModel::ALL {
        if let On::Search { index, .. } = read_model.declared().on {
            let index = index.index(&config.search.index_prefix, Generation::FIRST.get());
            let url = format!("{}/{index}", config.search.url);
            let deleted = reqwest::Client::new().delete(&url).send().await?;
            deleted.error_for_status().context("deleting the index")?;
        }
    }
    Ok(())
}
