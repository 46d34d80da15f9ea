//! Positions: how far a group has applied each partition. The truth about progress lies beside the rows it speaks of, in a
//! table or an index of that read model alone, so that it is lost and restored with them, and with no others.
//!
//! Promise: a stored position never goes back, whoever writes it and when.

use adapter_cql::{Cql, CqlError, Prepared};
use adapter_search::{Document, Index, Search, SearchError};
use serde::{Deserialize, Serialize};

use crate::model::Position;
use crate::{Error, GENERATION, history, products};

/// Positions in ScyllaDB: timestamp = position. Of two writes of one position the later says that more of it is durable, and
/// of equal timestamps the larger value stays.
#[derive(Debug, Clone)]
pub struct CqlPositions {
    cql: Cql,
    read: Prepared,
    write: Prepared,
}

/// The name of a CQL read model's table of positions.
pub(crate) fn table(read_model: &str) -> String {
    format!("{read_model}_positions_g{GENERATION}")
}

impl CqlPositions {
    pub async fn open(cql: &Cql, read_model: &str) -> Result<Self, CqlError> {
        let table = table(read_model);
        let read = format!(
            "SELECT position, durable FROM {{keyspace}}.{table} WHERE group_id = ? AND partition_id = ?"
        );
        let write = format!(
            "INSERT INTO {{keyspace}}.{table} (group_id, partition_id, position, durable) VALUES (:group_id, :partition_id, \
             :position, :durable) USING TIMESTAMP :position"
        );
        Ok(Self { cql: cql.clone(), read: cql.prepare(&read).await?, write: cql.prepare(&write).await? })
    }

    /// How far the group has come with the partition; `None`: it never wrote a position.
    pub async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, CqlError> {
        let row: Option<(i64, i64)> = self.cql.row(&self.read, (group, partition)).await?;
        Ok(row.map(|(applied, durable)| Position { applied, durable }))
    }

    pub async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), CqlError> {
        let Position { applied, durable } = position;
        // Bound in the order of the markers: `position` stands twice.
        self.cql.execute(&self.write, (group, partition, applied, durable, applied)).await
    }
}

/// The positions of all read models, for who watches how far they are.
#[derive(Debug, Clone)]
pub struct AllPositions {
    products: CqlPositions,
    history: CqlPositions,
    search: SearchPositions,
}

impl AllPositions {
    pub async fn open(cql: &Cql, search: &Search) -> Result<Self, Error> {
        Ok(Self {
            products: CqlPositions::open(cql, products::NAME).await?,
            history: CqlPositions::open(cql, history::NAME).await?,
            search: SearchPositions::open(search),
        })
    }

    /// How far the group has come with the partition in this read model, one of [`crate::ALL`].
    pub async fn read(&self, read_model: &str, group: &str, partition: i32) -> Result<Position, Error> {
        let position = match read_model {
            products::NAME => self.products.read(group, partition).await?,
            history::NAME => self.history.read(group, partition).await?,
            _ => self.search.read(group, partition).await?,
        };
        Ok(position.unwrap_or_default())
    }
}

/// The declared index of the positions of the read model `search`.
pub const INDEX: Index =
    Index { name: "search-positions", text: include_str!("../../../deploy/search/positions.json") };

/// Positions in Elasticsearch: external version = position + 1.
#[derive(Debug, Clone)]
pub struct SearchPositions {
    search: Search,
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
    pub fn open(search: &Search) -> Self {
        let (index, write_alias) =
            (INDEX.index(search.prefix(), GENERATION), INDEX.write_alias(search.prefix(), GENERATION));
        Self { search: search.clone(), index, write_alias }
    }

    /// How far the group has come with the partition; `None`: it never wrote a position. Real time.
    pub async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, SearchError> {
        let id = format!("{group}:{partition}");
        let found: Vec<Option<PositionDocument>> = self.search.mget(&self.index, &[&id]).await?;
        let found = found.into_iter().flatten().next();
        Ok(found.map(|it| Position { applied: it.position, durable: it.durable }))
    }

    pub async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
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
}
