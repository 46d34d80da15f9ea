//! `history` in tables: its store, and the rows that its questions ask for.
//!
//! Promise: the rows of a product and its head change as one.

mod row;
mod text;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use adapter_embedded::tables::{self, Change, Row as Stored, Table};
use domain::{ProductId, Version};
use futures::FutureExt;
use read_models::history::{HistoryHead, HistoryModel, Order, Row, Rows};
use read_models::marks::Marks;
use read_models::model::{Head, Position, State, Store, Wanted, Writes, rewound};
use read_models::{Answer, Error, ReadModel};
use toolkit::retry::{GaveUp, Retry};

use crate::build::Build;
use crate::bytes::{Reader, Unreadable, key_of};
use crate::disk::{answer, blocking};
use crate::marks::TableMarks;
use crate::positions::TablePositions;
use crate::row_pages::{MAX_ROWS, PAGE_BYTES, Page};

const ENTRIES: &str = "history";
const HEADS: &str = "history_heads";
/// All of them.
pub(crate) const TABLES: [&str; 2] = [ENTRIES, HEADS];

/// The tables of `history`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HistoryTables {
    build: Build,
    /// By product and version.
    entries: Table,
    /// The state rows, by product.
    heads: Table,
    positions: TablePositions,
    marks: TableMarks,
}

impl HistoryTables {
    pub(crate) fn new(build: Build) -> Self {
        Self {
            entries: build.table(ENTRIES),
            heads: build.table(HEADS),
            positions: TablePositions::new(&build, ReadModel::History),
            marks: TableMarks::new(&build, ReadModel::History),
            build,
        }
    }

    fn newest(&self, id: &ProductId) -> Result<Option<HistoryHead>, Error> {
        let row = self.build.read(|| self.heads.get(id.as_str().as_bytes()))?;
        let unreadable = |problem| self.build.unreadable(HEADS, id.as_str(), &problem);
        row.map(|row| row::read_head(id, &row).map_err(unreadable)).transpose()
    }

    /// What the head was when this version was the newest.
    fn past(&self, id: &ProductId, version: u64) -> Result<Option<HistoryHead>, Error> {
        let row = self.build.read(|| self.entries.get(&entry_key(id, version)))?;
        let unreadable = |problem| self.unreadable_entry(id, version, &problem);
        row.map(|row| row::read_head(id, &row).map_err(unreadable)).transpose()
    }

    fn unreadable_entry(&self, id: &ProductId, version: u64, problem: &Unreadable) -> Error {
        self.build.unreadable(ENTRIES, &format!("{id}/{version}"), problem)
    }

    fn before(&self, wanted: &Wanted) -> Result<Option<HistoryHead>, Error> {
        let head = self.newest(&wanted.product)?;
        if head.as_ref().is_none_or(|head| head.version < wanted.version) {
            return Ok(head);
        }
        let past = |version| self.past(&wanted.product, version);
        let version = wanted.version.get();
        Ok(rewound(wanted, past(version.saturating_sub(1))?, past(version)?))
    }

    fn rows(
        &self,
        id: &ProductId,
        order: Order,
        after: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        // First: every row up to the head is there then, and what is written meanwhile is above it.
        let head = self.newest(id)?.map(|head| head.version);
        let (first, last) = (entry_key(id, 0), entry_key(id, u64::MAX));
        let after = after.map(|version| entry_key(id, version.get()));
        let after = after.as_deref();
        let (bounds, order) = match order {
            Order::OldestFirst => {
                let from = after.map_or(Bound::Included(&first[..]), Bound::Excluded);
                ((from, Bound::Included(&last[..])), tables::Order::Ascending)
            }
            Order::NewestFirst => {
                let to = after.map_or(Bound::Included(&last[..]), Bound::Excluded);
                ((Bound::Included(&first[..]), to), tables::Order::Descending)
            }
        };
        let found = self.build.read(|| self.entries.range(bounds, order, limit))?;
        let entry = |(_, row): (_, Stored)| {
            row::read_entry(head, &row, |problem| self.unreadable_entry(id, row.version, problem))
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// The first entries behind a key, as text.
    pub(crate) fn entry_texts(&self, after: Option<&[u8]>) -> Result<Page, Error> {
        let rows = self.build.read(|| self.entries.page(after, MAX_ROWS, PAGE_BYTES))?;
        let (mut page, mut head) = (Page::with_capacity(rows.len()), None);
        for (key, row) in rows {
            let unreadable = |problem: Unreadable| {
                self.build.unreadable(ENTRIES, &String::from_utf8_lossy(&key), &problem)
            };
            let id = Reader::of_key(&key).text().and_then(|id| Ok(ProductId::parse(id)?));
            let id = id.map_err(unreadable)?;
            // The rows of a product are together.
            if head.as_ref().is_none_or(|(of, _)| *of != id) {
                let newest = self.newest(&id)?;
                head = Some((id.clone(), newest));
            }
            let head = head.as_ref().and_then(|(_, head)| head.as_ref());
            let text = row::with_entry(&row, |entry, event| text::entry(id.as_str(), head, &entry, event));
            let text = text.map_err(unreadable)?;
            page.push((key, text));
        }
        Ok(page)
    }

    /// The rows to write, and the products of which one cannot be, with the reason: of them nothing is.
    fn changes(&self, writes: &Writes<HistoryModel>) -> (Vec<Change>, BTreeMap<String, String>) {
        let (mut rows, mut refused) = (Vec::with_capacity(writes.rows.len()), BTreeMap::new());
        for change in &writes.rows {
            let Some(entry) = &change.row else { continue };
            let (product, version) = (&change.key.product, change.key.version.get());
            match row::entry(entry) {
                Ok(row) => {
                    let row =
                        self.entries.put(&entry_key(product, version), change.version.get(), row.bytes());
                    rows.push((product, row));
                }
                Err(problem) => {
                    let problem = format!("version {version} cannot be written: {problem}");
                    refused.insert(product.to_string(), problem);
                }
            }
        }
        for state in &writes.states {
            let (key, version) = (state.product().as_str().as_bytes(), state.version.get());
            rows.push((state.product(), self.heads.put(key, version, row::head(state).bytes())));
        }
        let taken = rows.into_iter().filter(|(product, _)| !refused.contains_key(product.as_str()));
        let changes = taken.map(|(_, change)| change).collect();
        (changes, refused)
    }
}

/// In the order of versions.
fn entry_key(id: &ProductId, version: u64) -> Vec<u8> {
    [&key_of(id.as_str())[..], &version.to_be_bytes()].concat()
}

impl Store<HistoryModel> for HistoryTables {
    type Positions = TablePositions;

    /// Just before the wanted version: where the head has passed it, the row of the event before.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<HistoryHead>>, Error> {
        let (this, wanted) = (self.clone(), wanted.to_vec());
        blocking(move || wanted.iter().map(|wanted| this.before(wanted)).collect()).await
    }

    /// Rows and heads as one.
    async fn write(&self, writes: Writes<HistoryModel>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let writes = Arc::new(writes);
        let write = || {
            let (this, writes) = (self.clone(), Arc::clone(&writes));
            blocking(move || {
                let (changes, refused) = this.changes(&writes);
                this.build.write(changes)?;
                writes.outcome(refused)
            })
        };
        retry.run("write rows", write).await
    }

    fn positions(&self) -> &TablePositions {
        &self.positions
    }

    fn marks(&self) -> &dyn Marks {
        &self.marks
    }
}

impl Rows for HistoryTables {
    fn head<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<Head>> {
        let newest = move || Ok(self.newest(id)?.map(|head| head.head()));
        async move { answer(newest()) }.boxed()
    }

    fn entries<'a>(
        &'a self,
        id: &'a ProductId,
        order: Order,
        after: Option<Version>,
        limit: usize,
    ) -> Answer<'a, Vec<Row>> {
        let (this, id) = (self.clone(), id.clone());
        blocking(move || answer(this.rows(&id, order, after, limit))).boxed()
    }

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        let read = move || Ok(self.positions.get(group, partition)?.unwrap_or_default());
        async move { answer(read()) }.boxed()
    }

    fn marks(&self) -> &dyn Marks {
        &self.marks
    }
}
