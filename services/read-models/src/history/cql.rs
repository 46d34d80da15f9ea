//! `history` in ScyllaDB or Cassandra: its store, and the rows that its questions ask for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
use crate::model::{Fold, Head, Opens, Position, RowChange, Store, Wanted, Writes, rewound};
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

    /// These rows of a product, up to the first that cannot be written, whose product and problem are told; whether that is all of them.
    fn rows(&self, changes: &[&RowChange<HistoryModel>], unwritable: &Unwritable) -> (Vec<Write>, bool) {
        let mut rows = Vec::with_capacity(changes.len() + 1);
        for change in changes {
            if locked(unwritable).contains_key(change.product.as_str()) {
                return (rows, false);
            }
            let Some(entry) = &change.row else { continue };
            match EntryRow::new(&change.key, entry) {
                Ok(row) => rows.push(Write::new(&self.put_entry, row).of(change.product.as_str())),
                Err(error) => {
                    let problem = format!("version {} cannot be written as JSON: {error}", change.version);
                    locked(unwritable).insert(change.product.to_string(), problem);
                    return (rows, false);
                }
            }
        }
        (rows, true)
    }

    fn head(&self, head: &HistoryHead) -> Write {
        Write::new(&self.put_head, HeadRow::from(head)).of(head.product.as_str())
    }
}

/// Products of which something cannot be written, and why.
type Unwritable = Mutex<BTreeMap<String, String>>;

fn locked(unwritable: &Unwritable) -> MutexGuard<'_, BTreeMap<String, String>> {
    unwritable.lock().unwrap_or_else(PoisonError::into_inner)
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
const TOGETHER: usize = adapter_cql::BATCH - 1;

/// What is written of a product.
struct OfProduct<'a> {
    rows: Vec<&'a RowChange<HistoryModel>>,
    head: Option<&'a HistoryHead>,
}

/// What is written, by product: each is a partition of its own.
fn by_partition(writes: &Writes<HistoryModel>) -> impl Iterator<Item = OfProduct<'_>> {
    let mut products: AHashMap<&ProductId, OfProduct<'_>> = AHashMap::with_capacity(writes.states.len());
    for head in &writes.states {
        products.insert(&head.product, OfProduct { rows: Vec::new(), head: Some(head) });
    }
    for change in &writes.rows {
        let of = products.entry(&change.product);
        of.or_insert_with(|| OfProduct { rows: Vec::new(), head: None }).rows.push(change);
    }
    products.into_values()
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
        // Told by who makes the rows, while they are written.
        let unwritable = Mutex::new(BTreeMap::new());
        let (together, head_last): (Vec<_>, Vec<_>) =
            by_partition(&writes).partition(|of| of.rows.len() <= TOGETHER);
        let together = together.into_iter().map(|of| {
            let (mut group, is_whole) = self.rows(&of.rows, &unwritable);
            group.extend(of.head.filter(|_| is_whole).map(|head| self.head(head)));
            group
        });
        let rows = head_last.iter().flat_map(|of| of.rows.chunks(TOGETHER));
        let rows = rows.map(|rows| self.rows(rows, &unwritable).0);
        let of = (&self.put_entry, writes.len());
        let refused = by_product(self.cql.write_lazily(of, together.chain(rows), retry).await)?;
        let mut refused: BTreeMap<String, String> = refused.into_iter().collect();
        refused.extend(unwritable.into_inner().unwrap_or_else(PoisonError::into_inner));
        let heads = head_last.into_iter().filter_map(|of| of.head);
        let heads = heads.filter(|head| !refused.contains_key(head.product.as_str()));
        let heads: Vec<Write> = heads.map(|head| self.head(head)).collect();
        let more = by_product(self.cql.write_all(heads, retry).await)?;
        refused.extend(more);
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
