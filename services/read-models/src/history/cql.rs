//! `history` in ScyllaDB or Cassandra: its store, and the rows that its questions ask for.

use std::collections::BTreeMap;

use adapter_cql::{Cql, CqlError, Prepared, Write};
use ahash::AHashMap;
use domain::{ProductId, Version};
use futures::FutureExt;
use toolkit::lanes::Lane;
use toolkit::retry::{GaveUp, Retry};

use super::row::{EntryRow, HeadColumns, HeadRow, READ_COLUMNS, ReadRow, head};
use super::{HISTORY, HistoryHead, HistoryModel, Order, Row, Rows, SCHEMA};
use crate::error::by_product;
use crate::marks::{CqlMarks, Marks};
use crate::model::{Fold, Head, Opens, Position, Store, Wanted, Writes, rewound};
use crate::page::stable_hash;
use crate::positions::{CqlPositions, reached};
use crate::{Answer, Error, Generation, Servers};

/// The table of `history`.
#[derive(Debug, Clone)]
pub struct HistoryStore {
    cql: Cql,
    positions: CqlPositions,
    marks: CqlMarks,
    load: Prepared,
    load_entry: Prepared,
    put_entry: Prepared,
    put_head: Prepared,
}

impl HistoryStore {
    /// Prepares the statements; the table must be there (`folio stores apply`).
    pub async fn open(cql: &Cql, generation: Generation) -> Result<Self, Error> {
        let table = HISTORY.on_cql(generation);
        let put_entry = format!(
            "INSERT INTO {{keyspace}}.{table} (product_id, version, event_id, event_type, event, actor, command_id, \
             correlation_id, log_partition, log_offset, appended_at, occurred_at, principal) VALUES (:product_id, :version, :event_id, \
             :event_type, :event, :actor, :command_id, :correlation_id, :log_partition, :log_offset, :appended_at, \
             :occurred_at, :principal) USING TIMESTAMP :version"
        );
        // In the columns of a head: what the head was when this was the newest event.
        let load_entry = format!(
            "SELECT version, event_id, appended_at FROM {{keyspace}}.{table} WHERE product_id = ? AND version = ?"
        );
        let put_head = format!(
            "UPDATE {{keyspace}}.{table} USING TIMESTAMP :head_version SET head_version = :head_version, head_event_id = \
             :head_event_id, head_appended_at = :head_appended_at WHERE product_id = :product_id"
        );
        Ok(Self {
            cql: cql.clone(),
            positions: positions(cql, generation).await?,
            marks: marks(cql, generation),
            load: prepare_head(cql, generation).await?,
            load_entry: cql.prepare(&load_entry).await?,
            put_entry: cql.prepare(&put_entry).await?,
            put_head: cql.prepare(&put_head).await?,
        })
    }
}

fn marks(cql: &Cql, generation: Generation) -> CqlMarks {
    CqlMarks::new(cql, HistoryModel::DECLARED.name, generation)
}

async fn positions(cql: &Cql, generation: Generation) -> Result<CqlPositions, Error> {
    CqlPositions::open(cql, HistoryModel::DECLARED.name, SCHEMA, generation).await
}

async fn prepare_head(cql: &Cql, generation: Generation) -> Result<Prepared, CqlError> {
    // DISTINCT reads the static columns also where there is no row.
    let table = HISTORY.on_cql(generation);
    let columns = "head_version, head_event_id, head_appended_at";
    cql.prepare(&format!("SELECT DISTINCT {columns} FROM {{keyspace}}.{table} WHERE product_id = ?")).await
}

/// A product's rows and head go as one mutation, which a partition takes whole, if they are at most this many.
const TOGETHER: usize = 60;

fn partition(product: &ProductId) -> u64 {
    stable_hash(product.as_str().as_bytes())
}

impl Store<HistoryModel> for HistoryStore {
    type Positions = CqlPositions;

    /// Just before the wanted version: where the head has passed it, the row of the event before. One that is lost leaves no
    /// state, and then nothing fits on it.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<HistoryHead>>, Error> {
        let values = wanted.iter().map(|wanted| (wanted.product.to_string(),)).collect();
        let heads: Vec<Option<HeadColumns>> = self.cql.read_all(&self.load, values).await?;
        let mut states: Vec<Option<HistoryHead>> =
            wanted.iter().zip(heads).map(|(wanted, columns)| head(&wanted.product, columns?)).collect();
        let passed: Vec<usize> = (0..wanted.len())
            .filter(|n| states[*n].as_ref().is_some_and(|head| head.version >= wanted[*n].version))
            .collect();
        let rows = async |before: i64| {
            let key = |n: &usize| (wanted[*n].product.to_string(), wanted[*n].version.get() as i64 - before);
            self.cql.read_all::<HeadColumns, _>(&self.load_entry, passed.iter().map(key).collect()).await
        };
        for ((n, before), same) in passed.iter().zip(rows(1).await?).zip(rows(0).await?) {
            let state = |columns: Option<HeadColumns>| head(&wanted[*n].product, columns?);
            states[*n] = rewound(&wanted[*n], state(before), state(same));
        }
        Ok(states)
    }

    async fn write(&self, writes: Writes<HistoryModel>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let mut rows_of: AHashMap<&ProductId, usize> = AHashMap::with_capacity(writes.states.len());
        for change in &writes.rows {
            *rows_of.entry(&change.product).or_default() += 1;
        }
        let mut first = Vec::with_capacity(writes.len());
        let mut then = Vec::new();
        let mut refused = BTreeMap::new();
        for change in &writes.rows {
            let Some(entry) = &change.row else { continue };
            if refused.contains_key(change.product.as_str()) {
                continue;
            }
            let row = match EntryRow::new(&change.key, entry) {
                Ok(row) => row,
                Err(error) => {
                    let problem = format!("version {} cannot be written as JSON: {error}", change.version);
                    refused.insert(change.product.to_string(), problem);
                    continue;
                }
            };
            let write = Write::new(&self.put_entry, row).in_partition(partition(&change.product));
            first.push(write.of(change.product.as_str()));
        }
        for state in &writes.states {
            if refused.contains_key(state.product.as_str()) {
                continue;
            }
            let head =
                Write::new(&self.put_head, HeadRow::from(state)).in_partition(partition(&state.product));
            let head = head.of(state.product.as_str());
            let together = rows_of.get(&state.product).is_none_or(|rows| *rows <= TOGETHER);
            if together { first.push(head) } else { then.push((state.product.as_str(), head)) }
        }
        refused.extend(by_product(self.cql.write_all(first, retry).await)?);
        then.retain(|(product, _)| !refused.contains_key(*product));
        let then = then.into_iter().map(|(_, head)| head).collect();
        refused.extend(by_product(self.cql.write_all(then, retry).await)?);
        writes.outcome(refused).map_err(GaveUp::Final)
    }

    fn positions(&self) -> &CqlPositions {
        &self.positions
    }

    fn marks(&self) -> &dyn Marks {
        &self.marks
    }
}

impl Opens<HistoryModel> for Servers {
    type Store = HistoryStore;

    async fn open(&self, generation: Generation) -> Result<HistoryStore, Error> {
        HistoryStore::open(&self.cql_of_rows().await?, generation).await
    }

    fn in_lane(&self, lane: &Lane) -> Self {
        self.with_rows_in(lane)
    }

    async fn positions(&self, generation: Generation) -> Result<CqlPositions, Error> {
        positions(self.cql().await?, generation).await
    }
}

/// The rows as the table holds them.
#[derive(Debug, Clone)]
pub struct CqlRows {
    cql: Cql,
    positions: CqlPositions,
    marks: CqlMarks,
    head: Prepared,
    newest_first: Prepared,
    oldest_first: Prepared,
}

impl CqlRows {
    /// Prepares the statements; the table must be there (`folio stores apply`).
    pub async fn open(cql: &Cql, generation: Generation) -> Result<Self, Error> {
        let table = HISTORY.on_cql(generation);
        let select = format!("SELECT {READ_COLUMNS} FROM {{keyspace}}.{table} WHERE product_id = ?");
        let newest_first = format!("{select} AND version < ? ORDER BY version DESC LIMIT ?");
        let oldest_first = format!("{select} AND version > ? ORDER BY version ASC LIMIT ?");
        Ok(Self {
            cql: cql.clone(),
            positions: positions(cql, generation).await?,
            marks: marks(cql, generation),
            head: prepare_head(cql, generation).await?,
            newest_first: cql.prepare(&newest_first).await?,
            oldest_first: cql.prepare(&oldest_first).await?,
        })
    }
}

impl Rows for CqlRows {
    fn head<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<Head>> {
        async move {
            let columns: Option<HeadColumns> = self.cql.row(&self.head, (id.as_str(),)).await?;
            let head = columns.and_then(|columns| head(id, columns));
            Ok(head.map(|head| Head { version: head.version, event_id: head.event_id }))
        }
        .boxed()
    }

    fn entries<'a>(
        &'a self,
        id: &'a ProductId,
        order: Order,
        after: Option<Version>,
        limit: usize,
    ) -> Answer<'a, Vec<Row>> {
        async move {
            let (statement, start) = match order {
                Order::NewestFirst => (&self.newest_first, i64::MAX),
                Order::OldestFirst => (&self.oldest_first, 0),
            };
            let after = after.map_or(start, |version| i64::try_from(version.get()).unwrap_or(i64::MAX));
            let rows: Vec<ReadRow> = self.cql.rows(statement, (id.as_str(), after, limit as i32)).await?;
            Ok(rows.into_iter().map(|row| row.parse(id)).collect())
        }
        .boxed()
    }

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        reached(&self.positions, group, partition).boxed()
    }

    fn marks(&self) -> &dyn Marks {
        &self.marks
    }
}
