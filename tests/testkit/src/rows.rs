//! Every row and document of a catalog's read models as text, so that two builds of them can be compared row for row.

use std::collections::BTreeMap;

use adapter_cql::{Cql, PageState};
use adapter_search::Search;
use cli::config::Config;
use read_models::GENERATION;
use serde_json::{Value, json};

/// The tables of the read models, without the generation.
pub const TABLES: [&str; 3] = ["products", "products_by_category", "history"];

/// What the stores hold: by table, the rows in order.
pub type Rows = BTreeMap<String, Vec<String>>;

/// Reads everything.
///
/// # Errors
/// If a store does not answer.
pub async fn rows(config: &Config) -> anyhow::Result<Rows> {
    let cql = Cql::connect(&config.cql).await?;
    let mut all = Rows::new();
    for table in TABLES {
        all.insert(table.to_owned(), table_rows(&cql, table).await?);
    }
    all.insert("search".to_owned(), documents(&Search::connect(&config.search).await?).await?);
    Ok(all)
}

async fn table_rows(cql: &Cql, table: &str) -> anyhow::Result<Vec<String>> {
    let select = cql.prepare(&format!("SELECT JSON * FROM {{keyspace}}.{table}_g{GENERATION}")).await?;
    let mut rows = Vec::new();
    let mut from = Some(PageState::default());
    while let Some(state) = from {
        let (page, next) = cql.page::<(String,)>(&select, (), 1_000, state).await?;
        rows.extend(page.into_iter().map(|(row,)| row));
        from = next;
    }
    rows.sort_unstable();
    Ok(rows)
}

/// Every document with its version, page by page in the order of product ids.
async fn documents(search: &Search) -> anyhow::Result<Vec<String>> {
    let index = read_models::search::INDEX.index(search.prefix(), GENERATION);
    search.refresh(&index).await?;
    let mut documents = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut body = json!({ "size": 1_000, "version": true, "sort": [{ "product_id": "asc" }] });
        if !after.is_null() {
            body["search_after"] = after;
        }
        let answer: Value = search.search(&index, body).await?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        let Some(last) = hits.last() else { break };
        after = last["sort"].clone();
        documents
            .extend(hits.iter().map(|hit| format!("{} v{} {}", hit["_id"], hit["_version"], hit["_source"])));
    }
    documents.sort_unstable();
    Ok(documents)
}

/// Panics naming the first rows that differ.
///
/// # Panics
/// If they do.
pub fn assert_same(what: &str, left: &Rows, right: &Rows) {
    for (table, rows) in left {
        let other = &right[table];
        let differ = rows.iter().zip(other).find(|(one, other)| one != other);
        assert!(differ.is_none(), "{what}: {table} differs, first at {differ:?}");
        assert_eq!(rows.len(), other.len(), "{what}: {table} has another number of rows");
    }
}
