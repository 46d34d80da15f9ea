//! Positions: how far a group has applied each partition. The truth about progress lies beside the rows, so that it is lost
//! and restored with them.
//!
//! Promise: a stored position never goes back, whoever writes it and when.

use serde::{Deserialize, Serialize};
use toolkit::cql::{Cql, CqlError, Prepared};
use toolkit::search::{Document, Index, Search, SearchError};

use crate::{Error, GENERATION};

/// Positions in ScyllaDB: table `positions`, timestamp = position.
#[derive(Debug, Clone)]
pub struct CqlPositions {
    cql: Cql,
    read: Prepared,
    write: Prepared,
}

impl CqlPositions {
    pub async fn open(cql: &Cql) -> Result<Self, CqlError> {
        let read = "SELECT position FROM {keyspace}.positions WHERE group_id = ? AND partition_id = ?";
        let write = "INSERT INTO {keyspace}.positions (group_id, partition_id, position) VALUES (:group_id, :partition_id, \
                     :position) USING TIMESTAMP :position";
        Ok(Self { cql: cql.clone(), read: cql.prepare(read).await?, write: cql.prepare(write).await? })
    }

    /// Up to where (exclusive) the group has applied the partition; `None`: it never wrote a position.
    pub async fn read(&self, group: &str, partition: i32) -> Result<Option<i64>, CqlError> {
        Ok(self.cql.row::<(i64,)>(&self.read, (group, partition)).await?.map(|(position,)| position))
    }

    pub async fn write(&self, group: &str, partition: i32, position: i64) -> Result<(), CqlError> {
        // Bound in the order of the markers: `position` stands twice.
        self.cql.execute(&self.write, (group, partition, position, position)).await
    }
}

/// The declared index of the positions of read models in Elasticsearch.
pub const INDEX: Index =
    Index { name: "positions", text: include_str!("../../../deploy/search/positions.json") };

/// Positions in Elasticsearch: index `<prefix>-positions-g1`, external version = position + 1.
#[derive(Debug, Clone)]
pub struct SearchPositions {
    search: Search,
    index: String,
}

#[derive(Serialize, Deserialize)]
struct PositionDocument {
    group_id: String,
    partition_id: i32,
    position: i64,
}

impl SearchPositions {
    pub fn open(search: &Search) -> Self {
        Self { search: search.clone(), index: INDEX.index(search.prefix(), GENERATION) }
    }

    /// Up to where (exclusive) the group has applied the partition; `None`: it never wrote a position. Real time.
    pub async fn read(&self, group: &str, partition: i32) -> Result<Option<i64>, SearchError> {
        let id = format!("{group}:{partition}");
        let found: Vec<Option<PositionDocument>> = self.search.mget(&self.index, &[&id]).await?;
        Ok(found.into_iter().flatten().next().map(|document| document.position))
    }

    pub async fn write(&self, group: &str, partition: i32, position: i64) -> Result<(), Error> {
        let content = PositionDocument { group_id: group.to_owned(), partition_id: partition, position };
        let source = serde_json::to_vec(&content).map_err(|e| Error::Corrupt {
            table: self.index.clone(),
            row: group.to_owned(),
            problem: e.to_string(),
        })?;
        let document = Document {
            id: format!("{group}:{partition}"),
            version: position.max(0) as u64 + 1,
            source: source.into(),
        };
        Ok(self.search.write_once(&self.index, document).await?)
    }
}
