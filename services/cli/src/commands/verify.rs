//! `folio verify`: are there as many products in every store as the log says? Changes nothing.

use adapter_cql::{Cql, PageState};
use adapter_kafka::read_topic;
use adapter_search::Search;
use anyhow::bail;
use event_reader::Audit;

use super::stores;
use crate::config::Config;
use crate::say::say;

/// How much is where.
#[derive(Clone, Debug)]
pub struct Counts {
    pub log: Audit,
    /// Rows by id, deleted products included.
    pub products: u64,
    /// Rows of the category lists.
    pub listed: u64,
    /// Events in the history.
    pub history: u64,
    /// Documents, deleted products included.
    pub search: u64,
}

impl Counts {
    /// Do the stores hold what the log says?
    pub fn agree(&self) -> bool {
        self.products == self.log.products
            && self.search == self.log.products
            && self.history == self.log.effective
    }
}

/// Counts everywhere and compares.
///
/// # Errors
/// If a server cannot be reached, or the counts differ.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let counts = count(config).await?;
    print(&counts);
    if !counts.agree() {
        bail!(
            "the counts differ: a projector is behind or stopped; see `folio status` and the projectors' logs"
        );
    }
    Ok(())
}

/// Counts everywhere.
///
/// # Errors
/// If a server cannot be reached.
pub async fn count(config: &Config) -> anyhow::Result<Counts> {
    let (cql, search) = stores::connect(config).await?;
    let log = read_topic(&config.kafka, &config.topic).await?.audit(|_, _, _| {}).await?;
    Ok(Counts {
        log,
        products: rows(&cql, "products").await?,
        listed: rows(&cql, "products_by_category").await?,
        history: rows(&cql, "history").await?,
        search: documents(&search).await?,
    })
}

pub(crate) fn print(counts: &Counts) {
    let Audit { records, effective, void, garbage, violations, products, .. } = &counts.log;
    say!(
        "Kafka           {products} products in {effective} effective records ({records} records, {void} void, {garbage} garbage, {violations} violations)"
    );
    say!(
        "ScyllaDB        {} products, {} in category lists, {} events of history",
        counts.products,
        counts.listed,
        counts.history
    );
    say!("Elasticsearch   {} products", counts.search);
}

/// Counts the rows of a table by reading their keys page by page, which a large table allows and `COUNT(*)` does not.
pub(crate) async fn rows(cql: &Cql, table: &str) -> anyhow::Result<u64> {
    let table = format!("{table}_g{}", read_models::GENERATION);
    let keys = cql.prepare(&format!("SELECT product_id FROM {{keyspace}}.{table}")).await?;
    let mut count = 0;
    let mut from = Some(PageState::default());
    while let Some(state) = from {
        let (page, next) = cql.page::<(String,)>(&keys, (), 5_000, state).await?;
        count += page.len() as u64;
        from = next;
    }
    Ok(count)
}

pub(crate) async fn documents(search: &Search) -> anyhow::Result<u64> {
    let index = read_models::search::INDEX.index(search.prefix(), read_models::GENERATION);
    search.refresh(&index).await?;
    Ok(search.count(&index).await?)
}
