//! The read models on servers, ScyllaDB and Elasticsearch: connections, and what is declared there: applied, and checked.
//!
//! Promises: no server is connected to before it is needed, and none twice; applying twice changes nothing the second time; each
//! thing is named with whether it was created; one read model's loss empties no other's positions.

use std::sync::Arc;

use adapter_cql::{Cql, CqlConfig, Schema};
use adapter_search::{Search, SearchConfig, Use};
use tokio::sync::OnceCell;
use toolkit::lanes::Lane;

use crate::declared::{Declared, On};
use crate::{Error, Generation, ReadModel, marks, positions};

/// Applied before the read models' tables.
const KEYSPACE: Schema = Schema { name: "keyspace.cql", text: include_str!("keyspace.cql") };

/// The servers, and one connection to each. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Servers {
    configs: Arc<(CqlConfig, SearchConfig)>,
    cql: Arc<OnceCell<Cql>>,
    search: Arc<OnceCell<Search>>,
    /// For rows.
    lane: Lane,
}

/// A declared thing, and whether it was created now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `table folio.products_g1`, `index folio-search-g1`, `alias folio-search`.
    pub what: String,
    pub created: bool,
}

impl Servers {
    /// Connects to nothing yet.
    pub fn new(cql: &CqlConfig, search: &SearchConfig) -> Self {
        Self {
            configs: Arc::new((cql.clone(), search.clone())),
            cql: Arc::default(),
            search: Arc::default(),
            lane: Lane::default(),
        }
    }

    /// The same servers and connections, whose rows are read and written in this lane.
    pub(crate) fn with_rows_in(&self, lane: &Lane) -> Self {
        Self { lane: lane.clone(), ..self.clone() }
    }

    /// What reads and writes rows in ScyllaDB.
    pub(crate) async fn cql_of_rows(&self) -> Result<Cql, Error> {
        Ok(self.cql().await?.in_lane(&self.lane))
    }

    /// What reads and writes documents.
    pub(crate) async fn search_of_rows(&self) -> Result<Search, Error> {
        Ok(self.search().await?.in_lane(&self.lane))
    }

    /// ScyllaDB, connected to now at the latest.
    pub async fn cql(&self) -> Result<&Cql, Error> {
        Ok(self.cql.get_or_try_init(|| Cql::connect(&self.configs.0)).await?)
    }

    /// Elasticsearch, connected to now at the latest.
    pub async fn search(&self) -> Result<&Search, Error> {
        Ok(self.search.get_or_try_init(|| Search::connect(&self.configs.1)).await?)
    }

    /// Creates what these read models declare and is not there yet.
    ///
    /// If a table of a read model was lost, or its index, that read model's positions are emptied with it: else a projector would
    /// go on where it was, and what was lost would be missing for ever. Applying everything again changes no row that is still
    /// there.
    pub async fn apply(
        &self,
        read_models: &[ReadModel],
        generation: Generation,
    ) -> Result<Vec<Applied>, Error> {
        let mut all = Vec::new();
        if read_models.iter().any(|it| matches!(it.declared().on, On::Cql(_))) {
            all.extend(self.apply_schema(&KEYSPACE, generation).await?);
        }
        for read_model in read_models {
            all.extend(self.apply_one(read_model.declared(), generation).await?);
        }
        Ok(all)
    }

    /// Makes place for a further build: the same, but that nothing of it is published, whatever else is there.
    pub(crate) async fn make(&self, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        match &read_model.declared().on {
            On::Cql(_) => self.apply(&[read_model], generation).await.map(drop),
            On::Search { index, positions, parked } => {
                let search = self.search().await?;
                if search.is_missing(index, generation.get()).await? {
                    search.delete_index(&positions.index(search.prefix(), generation.get())).await?;
                }
                search.make(positions, generation.get(), Use::Read).await?;
                search.make(parked, generation.get(), Use::Read).await?;
                search.make(index, generation.get(), Use::Build).await?;
                Ok(())
            }
        }
    }

    async fn apply_one(&self, declared: &Declared, generation: Generation) -> Result<Vec<Applied>, Error> {
        match &declared.on {
            On::Cql(schema) => {
                let cql = self.cql().await?;
                let missing = cql.missing(schema, generation.get()).await?;
                let table = positions::table(declared.name, generation);
                let named = |table: &str| format!("table {}.{table}", cql.keyspace());
                let positions = named(&table);
                // What is parked is marked again by whoever takes a partition over.
                let marks = named(&marks::table(declared.name, generation));
                let is_lost = |what: &&String| what.starts_with("table ") && **what != marks;
                let lost = missing.iter().any(|what| is_lost(&what)) && !missing.contains(&positions);
                if lost {
                    // First: whoever finds the table there again must not find the old positions.
                    cql.truncate(&table).await?;
                }
                let mut all = self.apply_schema(schema, generation).await?;
                if lost {
                    let what = format!("empty {positions}, to build again what was lost");
                    all.push(Applied { what, created: true });
                }
                Ok(all)
            }
            On::Search { index, positions, parked } => {
                let search = self.search().await?;
                if search.is_missing(index, generation.get()).await? {
                    search.delete_index(&positions.index(search.prefix(), generation.get())).await?;
                }
                let mut all = Vec::new();
                for index in [positions, parked, index] {
                    let applied = search.apply(index, generation.get()).await?;
                    all.extend(applied.into_iter().map(|a| Applied { what: a.what, created: a.created }));
                }
                Ok(all)
            }
        }
    }

    /// Drops the tables or the index of a generation, its positions first: what was dropped. Everything in it can be built again.
    pub async fn drop_generation(
        &self,
        read_model: ReadModel,
        generation: Generation,
    ) -> Result<Vec<String>, Error> {
        match &read_model.declared().on {
            On::Cql(schema) => {
                let cql = self.cql().await?;
                let positions = positions::table(read_model.name(), generation);
                // Whoever still builds it must not believe them when only some tables are gone.
                if cql.has_table(&positions).await? {
                    cql.truncate(&positions).await?;
                }
                Ok(cql.drop_tables(schema, generation.get()).await?)
            }
            On::Search { index, positions, parked } => {
                let search = self.search().await?;
                let mut dropped = Vec::new();
                for index in [positions, parked, index] {
                    if !search.is_missing(index, generation.get()).await? {
                        let name = index.index(search.prefix(), generation.get());
                        search.delete_index(&name).await?;
                        dropped.push(format!("index {name}"));
                    }
                }
                Ok(dropped)
            }
        }
    }

    async fn apply_schema(&self, schema: &Schema, generation: Generation) -> Result<Vec<Applied>, Error> {
        let replication = &self.configs.0.replication;
        let applied = self.cql().await?.apply(schema, replication, generation.get()).await?;
        Ok(applied.into_iter().map(|a| Applied { what: a.what, created: a.created }).collect())
    }

    /// What these read models declare and is missing; empty: all is well.
    pub async fn missing(
        &self,
        read_models: &[ReadModel],
        generation: Generation,
    ) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        if read_models.iter().any(|it| matches!(it.declared().on, On::Cql(_))) {
            missing.extend(self.cql().await?.missing(&KEYSPACE, generation.get()).await?);
        }
        for read_model in read_models {
            match &read_model.declared().on {
                On::Cql(schema) => {
                    missing.extend(self.cql().await?.missing(schema, generation.get()).await?);
                }
                On::Search { index, positions, parked } => {
                    for index in [positions, parked, index] {
                        missing.extend(self.search().await?.missing(index, generation.get()).await?);
                    }
                }
            }
        }
        Ok(missing)
    }
}
