//! The tables and indices of all read models: applying their declarations, and checking what is there.
//!
//! Promise: applying twice changes nothing the second time; each thing is named with whether it was created.

use adapter_cql::{Cql, Schema};
use adapter_search::{Index, Search};

use crate::{Error, GENERATION, history, positions, products, search};

/// Applied before the read models' tables.
const KEYSPACE: Schema =
    Schema { name: "deploy/cql/keyspace.cql", text: include_str!("../../../deploy/cql/keyspace.cql") };

/// The tables of the read models in ScyllaDB.
const MODELS: [(&str, Schema); 2] = [(products::NAME, products::SCHEMA), (history::NAME, history::SCHEMA)];

/// All declared tables.
pub const SCHEMAS: [Schema; 3] = [KEYSPACE, products::SCHEMA, history::SCHEMA];

/// All declared indices.
pub const INDICES: [Index; 2] = [positions::INDEX, search::INDEX];

/// A declared thing, and whether it was created now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `table folio.products_g1`, `index folio-search-g1`, `alias folio-search`.
    pub what: String,
    pub created: bool,
}

/// Creates the tables that are not there yet. `replication` is a CQL map, used when the keyspace is created.
///
/// If a table of a read model was lost, that read model's positions are emptied with it: else a projector would go on where it
/// was, and what was lost would be missing for ever. Applying everything again changes no row that is still there.
pub async fn apply_cql(cql: &Cql, replication: &str) -> Result<Vec<Applied>, Error> {
    let mut all = apply_schema(cql, &KEYSPACE, replication).await?;
    for (read_model, schema) in MODELS {
        let missing = cql.missing(&schema, GENERATION).await?;
        let positions = format!("table {}.{}", cql.keyspace(), positions::table(read_model));
        let lost = missing.iter().any(|what| what.starts_with("table ")) && !missing.contains(&positions);
        if lost {
            // First: whoever finds the table there again must not find the old positions.
            cql.truncate(&positions::table(read_model)).await?;
        }
        all.extend(apply_schema(cql, &schema, replication).await?);
        if lost {
            all.push(Applied {
                what: format!("empty {positions}, to build again what was lost"),
                created: true,
            });
        }
    }
    Ok(all)
}

async fn apply_schema(cql: &Cql, schema: &Schema, replication: &str) -> Result<Vec<Applied>, Error> {
    let applied = cql.apply(schema, replication, GENERATION).await?;
    Ok(applied.into_iter().map(|a| Applied { what: a.what, created: a.created }).collect())
}

/// Creates the indices and aliases that are not there yet; positions go with a lost index, as in [`apply_cql`].
pub async fn apply_search(search: &Search) -> Result<Vec<Applied>, Error> {
    if search.is_missing(&search::INDEX, GENERATION).await? {
        search.delete_index(&positions::INDEX.index(search.prefix(), GENERATION)).await?;
    }
    let mut all = Vec::new();
    for index in &INDICES {
        let applied = search.apply(index, GENERATION).await?;
        all.extend(applied.into_iter().map(|a| Applied { what: a.what, created: a.created }));
    }
    Ok(all)
}

/// What is declared and missing in ScyllaDB; empty: all is well.
pub async fn check_cql(cql: &Cql) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for schema in &SCHEMAS {
        missing.extend(cql.missing(schema, GENERATION).await?);
    }
    Ok(missing)
}

/// What is declared and missing in Elasticsearch; empty: all is well.
pub async fn check_search(search: &Search) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for index in &INDICES {
        missing.extend(search.missing(index, GENERATION).await?);
    }
    Ok(missing)
}
