//! Loads and writes the rows of `history`.

use adapter_cql::{Cql, Prepared, Schema, Write};
use ahash::AHashMap;
use domain::ProductId;
use toolkit::retry::{GaveUp, Retry};

use super::row::{EntryRow, HeadColumns, HeadRow, head};
use super::{HistoryHead, HistoryModel, NAME};
use crate::model::{Position, Starts, Store, Wanted, Writes};
use crate::page::stable_hash;
use crate::positions::CqlPositions;
use crate::{Error, GENERATION};

/// The declared table.
pub const SCHEMA: Schema =
    Schema { name: "deploy/cql/history.cql", text: include_str!("../../../../deploy/cql/history.cql") };

/// The table of `history`.
#[derive(Debug, Clone)]
pub struct HistoryStore {
    cql: Cql,
    positions: CqlPositions,
    load: Prepared,
    load_entry: Prepared,
    put_entry: Prepared,
    put_head: Prepared,
}

impl HistoryStore {
    /// Prepares the statements; the table must be there (`folio stores apply`).
    pub async fn open(cql: &Cql) -> Result<Self, Error> {
        let table = table();
        let put_entry = format!(
            "INSERT INTO {{keyspace}}.{table} (product_id, version, event_id, event_type, event, actor, command_id, \
             correlation_id, log_partition, log_offset, appended_at, occurred_at) VALUES (:product_id, :version, :event_id, \
             :event_type, :event, :actor, :command_id, :correlation_id, :log_partition, :log_offset, :appended_at, \
             :occurred_at) USING TIMESTAMP :version"
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
            positions: CqlPositions::open(cql, NAME).await?,
            load: cql.prepare(&select_head()).await?,
            load_entry: cql.prepare(&load_entry).await?,
            put_entry: cql.prepare(&put_entry).await?,
            put_head: cql.prepare(&put_head).await?,
        })
    }
}

pub(super) fn table() -> String {
    format!("history_g{GENERATION}")
}

pub(super) fn select_head() -> String {
    // DISTINCT reads the static columns also where there is no row.
    format!(
        "SELECT DISTINCT head_version, head_event_id, head_appended_at FROM {{keyspace}}.{} WHERE product_id = ?",
        table()
    )
}

/// A product's rows and head go as one mutation, which a partition takes whole, if they are at most this many.
const TOGETHER: usize = 60;

fn partition(product: &ProductId) -> u64 {
    stable_hash(product.as_str().as_bytes())
}

impl Store<HistoryModel> for HistoryStore {
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
            let Wanted { product, event_id, .. } = &wanted[*n];
            let state = |columns: Option<HeadColumns>| columns.and_then(|columns| head(product, columns));
            // Another event with this version: the projection has to see it.
            let other = state(same).filter(|same| same.event_id != *event_id);
            states[*n] = other.or_else(|| state(before));
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
        for change in &writes.rows {
            let Some(entry) = &change.row else { continue };
            let row = EntryRow::new(&change.key, entry).map_err(|e| {
                GaveUp::Final(Error::Corrupt {
                    table: "history".to_owned(),
                    row: format!("{}/{}", change.product, change.version),
                    problem: format!("cannot be written as JSON: {e}"),
                })
            })?;
            first.push(Write::new(&self.put_entry, row).in_partition(partition(&change.product)));
        }
        for state in &writes.states {
            let head =
                Write::new(&self.put_head, HeadRow::from(state)).in_partition(partition(&state.product));
            let together = rows_of.get(&state.product).is_none_or(|rows| *rows <= TOGETHER);
            if together { first.push(head) } else { then.push(head) }
        }
        self.cql.write_all(first, retry).await.map_err(|e| e.map(Error::from))?;
        self.cql.write_all(then, retry).await.map_err(|e| e.map(Error::from))
    }

    async fn position(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        Ok(self.positions.read(group, partition).await?)
    }

    async fn write_position(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        Ok(self.positions.write(group, partition, position).await?)
    }

    async fn is_there(&self) -> Result<(), Error> {
        Ok(self.cql.require(&SCHEMA, GENERATION).await?)
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(self.cql.starts().await?)
    }
}
