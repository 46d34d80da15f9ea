//! Positions: how far a group has applied each partition. The truth about progress lies beside the rows it speaks of, in a
//! table or an index of that read model alone, so that it is lost and restored with them, and with no others.
//!
//! Promise: a stored position never goes back, whoever writes it and when.

use std::collections::BTreeMap;

use adapter_cql::{Cql, Prepared, Schema};
use adapter_search::{Document, Index, Search};
use serde::{Deserialize, Serialize};

use crate::declared::On;
use crate::model::{Position, Positions, Starts};
use crate::{Error, Generation, QueryError, ReadModel, Servers};

/// Positions in ScyllaDB: timestamp = position. Of two writes of one position the later says that more of it is durable, and
/// of equal timestamps the larger value stays.
#[derive(Debug, Clone)]
pub struct CqlPositions {
    cql: Cql,
    /// What must be there beside them.
    schema: Schema,
    generation: Generation,
    read: Prepared,
    write: Prepared,
}

/// The name of a CQL read model's table of positions.
pub(crate) fn table(read_model: &str, generation: Generation) -> String {
    format!("{read_model}_positions_{generation}")
}

impl CqlPositions {
    pub async fn open(
        cql: &Cql,
        read_model: &str,
        schema: Schema,
        generation: Generation,
    ) -> Result<Self, Error> {
        let table = table(read_model, generation);
        let read = format!(
            "SELECT position, durable FROM {{keyspace}}.{table} WHERE group_id = ? AND partition_id = ?"
        );
        let write = format!(
            "INSERT INTO {{keyspace}}.{table} (group_id, partition_id, position, durable) VALUES (:group_id, :partition_id, \
             :position, :durable) USING TIMESTAMP :position"
        );
        let (read, write) = (cql.prepare(&read).await?, cql.prepare(&write).await?);
        Ok(Self { cql: cql.clone(), schema, generation, read, write })
    }
}

impl Positions for CqlPositions {
    async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        let row: Option<(i64, i64)> = self.cql.row(&self.read, (group, partition)).await?;
        Ok(row.map(|(applied, durable)| Position { applied, durable }))
    }

    async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        let Position { applied, durable } = position;
        // Bound in the order of the markers: `position` stands twice.
        Ok(self.cql.execute(&self.write, (group, partition, applied, durable, applied)).await?)
    }

    async fn is_there(&self) -> Result<(), Error> {
        Ok(self.cql.require(&self.schema, self.generation.get()).await?)
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(self.cql.starts().await?)
    }
}

/// Positions in Elasticsearch: external version = position + 1.
#[derive(Debug, Clone)]
pub struct SearchPositions {
    search: Search,
    /// What must be there: the index of the documents, that of the marks, and this one.
    declared: [Index; 3],
    generation: Generation,
    index: String,
    write_alias: String,
}

#[derive(Serialize, Deserialize)]
struct PositionDocument {
    group_id: String,
    partition_id: i32,
    position: i64,
    durable: i64,
}

impl SearchPositions {
    pub fn open(search: &Search, beside: [Index; 2], positions: Index, generation: Generation) -> Self {
        let [documents, marks] = beside;
        Self {
            search: search.clone(),
            declared: [documents, marks, positions],
            generation,
            index: positions.index(search.prefix(), generation.get()),
            write_alias: positions.write_alias(search.prefix(), generation.get()),
        }
    }
}

impl Positions for SearchPositions {
    /// Real time.
    async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        let id = format!("{group}:{partition}");
        let found: Vec<Option<PositionDocument>> = self.search.mget(&self.index, &[&id]).await?;
        let found = found.into_iter().flatten().next();
        Ok(found.map(|it| Position { applied: it.position, durable: it.durable }))
    }

    async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        let Position { applied, durable } = position;
        let content = PositionDocument {
            group_id: group.to_owned(),
            partition_id: partition,
            position: applied,
            durable,
        };
        let source = serde_json::to_vec(&content).map_err(|e| Error::Corrupt {
            table: self.index.clone(),
            row: group.to_owned(),
            problem: e.to_string(),
        })?;
        let document = Document {
            id: format!("{group}:{partition}"),
            version: applied.max(0) as u64 + 1,
            source: source.into(),
        };
        Ok(self.search.write_once(&self.write_alias, document).await?)
    }

    async fn is_there(&self) -> Result<(), Error> {
        for declared in &self.declared {
            self.search.require(declared, self.generation.get()).await?;
        }
        Ok(())
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(self.search.starts().await?)
    }
}

/// Everything below this offset is applied, as questions ask; 0 if nothing is.
pub(crate) async fn applied(
    positions: &impl Positions,
    group: &str,
    partition: i32,
) -> Result<i64, QueryError> {
    Ok(positions.read(group, partition).await?.unwrap_or_default().applied)
}

/// The positions of all read models on servers, for who watches how far they are.
#[derive(Debug, Clone)]
pub struct AllPositions(BTreeMap<ReadModel, Kept>);

#[derive(Debug, Clone)]
enum Kept {
    Cql(CqlPositions),
    Search(SearchPositions),
}

impl AllPositions {
    pub async fn open(servers: &Servers, generation: Generation) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for read_model in ReadModel::ALL {
            let declared = read_model.declared();
            let kept = match declared.on {
                On::Cql(schema) => {
                    let cql = servers.cql().await?;
                    Kept::Cql(CqlPositions::open(cql, declared.name, schema, generation).await?)
                }
                On::Search { index, positions, parked } => {
                    let search = servers.search().await?;
                    Kept::Search(SearchPositions::open(search, [index, parked], positions, generation))
                }
            };
            all.insert(*read_model, kept);
        }
        Ok(Self(all))
    }

    /// How far the group has come with the partition in this read model.
    pub async fn read(&self, read_model: ReadModel, group: &str, partition: i32) -> Result<Position, Error> {
        let position = match &self.0[&read_model] {
            Kept::Cql(positions) => positions.read(group, partition).await?,
            Kept::Search(positions) => positions.read(group, partition).await?,
        };
        Ok(position.unwrap_or_default())
    }
}
