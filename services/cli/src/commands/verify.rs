//! `folio verify`: are there as many rows in every store as the log says? Changes nothing.

use adapter_cql::{Cql, PageState};
use adapter_kafka::read_topic;
use anyhow::bail;
use event_reader::Audit;
use read_models::control::{Builds, Stage, Step, Switch};
use read_models::declared::{Declared, Holds, On, Table};
use read_models::{Generation, ReadModel, Servers};

use super::rebuild::{decide, open, wait};
use super::stores::{self, Which};
use crate::config::Config;
use crate::say::say;

/// How much is where.
#[derive(Clone, Debug)]
pub struct Counts {
    pub log: Audit,
    /// The rows or documents of each table of each read model.
    pub tables: Vec<(ReadModel, Table, u64)>,
}

impl Counts {
    /// Do the stores hold what the log says?
    pub fn agree(&self) -> bool {
        self.tables.iter().all(|(_, table, rows)| match table.holds {
            Holds::Products => *rows == self.log.products,
            Holds::Events => *rows == self.log.effective,
            Holds::Some => true,
        })
    }
}

/// Counts everywhere and compares.
///
/// # Errors
/// If a server cannot be reached, or the counts differ.
pub async fn run(config: &Config, which: &Which) -> anyhow::Result<()> {
    let counts = count(config, which).await?;
    print(&counts);
    if !counts.agree() {
        bail!(
            "the counts differ: a projector is behind or stopped, or something is parked; see `folio status`, `folio dlq list` and the \
             projectors' logs"
        );
    }
    Ok(())
}

/// Compares every row of what is read with what the log makes, in a build of its own that is dropped again.
///
/// # Errors
/// If a server cannot be reached, no such build can be begun, or rows differ: which products', and what to do.
pub async fn compare_rows(config: &Config, which: &Which) -> anyhow::Result<()> {
    let mut desk = open(config).await?;
    for read_model in which.read_models() {
        let format = read_model.declared().format;
        let step =
            |builds: &Builds| Step::Build { generation: builds.next(), format, switch: Switch::ByHand };
        let Step::Build { generation, .. } = decide(&mut desk, read_model, step).await? else {
            bail!("something else was decided about {read_model}");
        };
        wait(config, &mut desk, read_model, generation).await?;
        let builds = desk.builds(read_model);
        let Some(Stage::Compared { rows, differences, told }) = builds.get(generation).map(|it| &it.stage)
        else {
            bail!(
                "{generation} of {read_model} was not compared: somebody else has switched to it, or dropped it"
            );
        };
        if *differences > 0 {
            bail!(
                "{differences} products of {} of {read_model} are not what the log says ({}): `folio stores compare {read_model} \
                 --generation {generation}` shows the rows, `folio read-models switch {read_model} --generation {generation} \
                 --force` puts them right, `folio read-models abort {read_model}` leaves all as it is",
                builds.read,
                told.join(", ")
            );
        }
        say!("{read_model:16}{rows} rows of {} are what the log says", builds.read);
        decide(&mut desk, read_model, |_| Step::Drop { generation }).await?;
    }
    Ok(())
}

/// Counts everywhere.
///
/// # Errors
/// If a server cannot be reached.
pub async fn count(config: &Config, which: &Which) -> anyhow::Result<Counts> {
    let servers = stores::servers(config);
    let log = read_topic(&config.kafka, &config.topic).await?.audit(|_, _, _| {}).await?;
    let mut tables = Vec::new();
    for read_model in which.read_models() {
        let (declared, generation) = (read_model.declared(), which.generation(&servers, read_model).await?);
        for table in declared.tables {
            tables.push((read_model, *table, rows(&servers, declared, table, generation).await?));
        }
    }
    Ok(Counts { log, tables })
}

pub(crate) fn print(counts: &Counts) {
    let Audit { records, effective, void, garbage, violations, products, .. } = &counts.log;
    say!(
        "Kafka           {products} products in {effective} effective records ({records} records, {void} void, {garbage} garbage, {violations} violations)"
    );
    for (read_model, table, rows) in &counts.tables {
        say!("{read_model:16}{rows} in {}", table.name);
    }
}

/// Counts the rows of a table, or the documents of an index.
pub(crate) async fn rows(
    servers: &Servers,
    declared: &Declared,
    table: &Table,
    generation: Generation,
) -> anyhow::Result<u64> {
    match declared.on {
        On::Cql(_) => keys(servers.cql().await?, &table.on_cql(generation)).await,
        On::Search { index, .. } => {
            let search = servers.search().await?;
            let index = index.index(search.prefix(), generation.get());
            search.refresh(&index).await?;
            Ok(search.count(&index).await?)
        }
    }
}

/// Counts by reading the keys page by page, which a large table allows and `COUNT(*)` does not.
async fn keys(cql: &Cql, table: &str) -> anyhow::Result<u64> {
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
