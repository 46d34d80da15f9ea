//! The rows as the servers hold them.

use adapter_cql::{Cql, PageState};
use adapter_search::Search;
use anyhow::Context as _;
use cli::commands::stores::{GENERATION, servers};
use cli::config::Config;
use read_models::ReadModel;
use read_models::declared::On;
use serde_json::{Value, json};

use super::Rows;

/// Reads everything.
///
/// # Errors
/// If a store does not answer.
pub async fn rows(config: &Config) -> anyhow::Result<Rows> {
    let servers = servers(config);
    let mut all = Rows::new();
    for declared in ReadModel::ALL.iter().map(|it| it.declared()) {
        for table in declared.tables {
            let mut rows = match declared.on {
                On::Cql(_) => table_rows(servers.cql().await?, &table.on_cql(GENERATION)).await?,
                On::Search { index, .. } => {
                    let search = servers.search().await?;
                    documents(search, &index.index(search.prefix(), GENERATION.get())).await?
                }
            };
            rows.sort_unstable();
            all.insert(table.name.to_owned(), rows);
        }
    }
    Ok(all)
}

/// The tables of the read models in CQL, as the keyspace names them.
pub fn tables() -> impl Iterator<Item = String> {
    let on_cql = ReadModel::ALL.iter().map(|it| it.declared()).filter(|it| matches!(it.on, On::Cql(_)));
    on_cql.flat_map(|it| it.tables).map(|table| table.on_cql(GENERATION))
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
            let index = index.index(&config.search.index_prefix, GENERATION.get());
            let url = format!("{}/{index}", config.search.url);
            let deleted = reqwest::Client::new().delete(&url).send().await?;
            deleted.error_for_status().context("deleting the index")?;
        }
    }
    Ok(())
}

async fn table_rows(cql: &Cql, table: &str) -> anyhow::Result<Vec<String>> {
    let select = cql.prepare(&format!("SELECT JSON * FROM {{keyspace}}.{table}")).await?;
    let mut rows = Vec::new();
    let mut from = Some(PageState::default());
    while let Some(state) = from {
        let (page, next) = cql.page::<(String,)>(&select, (), 1_000, state).await?;
        rows.extend(page.into_iter().map(|(row,)| row));
        from = next;
    }
    Ok(rows)
}

/// Every document with its version, page by page in the order of product ids.
async fn documents(search: &Search, index: &str) -> anyhow::Result<Vec<String>> {
    search.refresh(index).await?;
    let mut documents = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut body = json!({ "size": 1_000, "version": true, "sort": [{ "product_id": "asc" }] });
        if !after.is_null() {
            body["search_after"] = after;
        }
        let answer: Value = search.search(index, body).await?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        let Some(last) = hits.last() else { break };
        after = last["sort"].clone();
        documents
            .extend(hits.iter().map(|hit| format!("{} v{} {}", hit["_id"], hit["_version"], hit["_source"])));
    }
    Ok(documents)
}
