//! Positions: how far a group has applied each partition. The truth about progress lies beside the rows it speaks of, in a
//! table or an index of that read model alone, so that it is lost and restored with them, and with no others.
//!
//! Promise: a stored position never goes back, whoever writes it and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use adapter_cql::{Cql, Prepared, Schema};
use adapter_search::{Document, Index, Search};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::declared::On;
use crate::model::{Position, Positions, Starts};
use crate::{Error, Generation, LogId, NoLogId, QueryError, ReadModel, Servers};

/// Positions in ScyllaDB: timestamp = position. Of two writes of one position the later says that more of it is durable, and
/// of equal timestamps the larger value stays.
#[derive(Debug, Clone)]
pub struct CqlPositions {
    cql: Cql,
    /// What must be there beside them.
    schema: Schema,
    generation: Generation,
    table: Arc<str>,
    read: Prepared,
    write: Prepared,
    /// The same with the log, once the table has a column for it: a build of an earlier release has none.
    with_log: Arc<OnceCell<WithLog>>,
}

#[derive(Debug)]
struct WithLog {
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
        let (cql, table, with_log) = (cql.clone(), table.into(), Arc::default());
        let opened = Self { cql, schema, generation, table, read, write, with_log };
        opened.look_for_logs().await?;
        Ok(opened)
    }

    /// Looks whether the table has a column for the log by now.
    async fn look_for_logs(&self) -> Result<(), Error> {
        if self.with_log.initialized() || !self.cql.has_column(&self.table, "log_id").await? {
            return Ok(());
        }
        let table = &self.table;
        let read = format!(
            "SELECT position, durable, log_id FROM {{keyspace}}.{table} WHERE group_id = ? AND partition_id = ?"
        );
        let write = format!(
            "INSERT INTO {{keyspace}}.{table} (group_id, partition_id, position, durable, log_id) VALUES (:group_id, \
             :partition_id, :position, :durable, :log_id) USING TIMESTAMP :position"
        );
        let with_log =
            WithLog { read: self.cql.prepare(&read).await?, write: self.cql.prepare(&write).await? };
        // Another caller may have been faster, and has the same.
        drop(self.with_log.set(with_log));
        Ok(())
    }

    fn unreadable(&self, group: &str, problem: String) -> Error {
        Error::Corrupt { table: self.table.to_string(), row: group.to_owned(), problem }
    }
}

impl Positions for CqlPositions {
    async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        let Some(with_log) = self.with_log.get() else {
            let row: Option<(i64, i64)> = self.cql.row(&self.read, (group, partition)).await?;
            return Ok(row.map(|(applied, durable)| Position { applied, durable, log: None }));
        };
        let row: Option<(i64, i64, Option<String>)> =
            self.cql.row(&with_log.read, (group, partition)).await?;
        let Some((applied, durable, log)) = row else { return Ok(None) };
        let log = log.map(|log| log.parse::<LogId>()).transpose();
        let log = log.map_err(|e: NoLogId| self.unreadable(group, e.to_string()))?;
        Ok(Some(Position { applied, durable, log }))
    }

    async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        let Position { applied, durable, log } = position;
        // Bound in the order of the markers: `position` stands twice. A log that is not known is not written: it would delete
        // the one that is there.
        if let Some((with_log, log)) = self.with_log.get().zip(log) {
            let row = (group, partition, applied, durable, log.to_string(), applied);
            return Ok(self.cql.execute(&with_log.write, row).await?);
        }
        Ok(self.cql.execute(&self.write, (group, partition, applied, durable, applied)).await?)
    }

    async fn is_there(&self) -> Result<(), Error> {
        self.cql.require(&self.schema, self.generation.get()).await?;
        self.look_for_logs().await
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
    /// What an earlier release wrote has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_id: Option<String>,
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

    fn unusable(&self, group: &str, problem: String) -> Error {
        Error::Corrupt { table: self.index.clone(), row: group.to_owned(), problem }
    }
}

impl Positions for SearchPositions {
    /// Real time.
    async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        let id = format!("{group}:{partition}");
        let found: Vec<Option<PositionDocument>> = self.search.mget(&self.index, &[&id]).await?;
        let found = found.into_iter().flatten().next();
        let Some(PositionDocument { position: applied, durable, log_id, .. }) = found else {
            return Ok(None);
        };
        let log: Option<Result<LogId, NoLogId>> = log_id.map(|log| log.parse());
        let log = log.transpose().map_err(|e| self.unusable(group, e.to_string()))?;
        Ok(Some(Position { applied, durable, log }))
    }

    async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        let Position { applied, durable, log } = position;
        let content = PositionDocument {
            group_id: group.to_owned(),
            partition_id: partition,
            position: applied,
            durable,
            log_id: log.map(|log| log.to_string()),
        };
        let source = serde_json::to_vec(&content).map_err(|e| self.unusable(group, e.to_string()))?;
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

/// How far the group has come, as questions ask; 0 if nothing is applied.
pub(crate) async fn reached(
    positions: &impl Positions,
    group: &str,
    partition: i32,
) -> Result<Position, QueryError> {
    Ok(positions.read(group, partition).await?.unwrap_or_default())
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
