//! Marks of what is parked, in tables: beside the positions, and of `search` beside its index.
//!
//! Promise: a mark is on the disk when its write ends. So whoever finds a position finds the marks that were written before it, also of an
//! index, whose positions do not wait for these tables.

use std::collections::BTreeMap;
use std::ops::Bound;

use adapter_embedded::tables::{Order, Row, Table};
use domain::ProductId;
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::marks::{MAX_COUNTED, Mark, Marking, Marks};
use read_models::{Answered, Error, ReadModel};
use toolkit::retry::{GaveUp, Retry};

use crate::build::Build;
use crate::bytes::{Reader, Unreadable, Writer, key_of};
use crate::disk::blocking;

/// Always the same: what was written last stays. A mark that is removed is an empty row, since a deleted one would not come back.
const VERSION: u64 = 0;
/// Rows that are read at once.
const TOGETHER: usize = 256;

/// The table of the marks of a read model.
pub(crate) fn table(read_model: ReadModel) -> String {
    format!("{read_model}_parked")
}

/// The marks of one build. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TableMarks {
    build: Build,
    /// By group and product.
    marks: Table,
    /// What it is called in errors.
    name: String,
}

impl TableMarks {
    pub(crate) fn new(build: &Build, read_model: ReadModel) -> Self {
        let name = table(read_model);
        Self { build: build.clone(), marks: build.table(&name), name }
    }

    /// Each mark of a group, and of which partition it is, until `tell` wants no more.
    fn each(&self, group: &str, mut tell: impl FnMut(String, i32, Mark) -> bool) -> Result<(), Error> {
        let first = key_of(group);
        // No text has this byte.
        let last = [&first[..], &[u8::MAX]].concat();
        let mut from = Bound::Included(first.clone());
        loop {
            let bounds = (from.as_ref().map(Vec::as_slice), Bound::Excluded(&last[..]));
            let rows = self.build.read(|| self.marks.range(bounds, Order::Ascending, TOGETHER))?;
            let Some((end, _)) = rows.last() else { return Ok(()) };
            from = Bound::Excluded(end.clone());
            for (key, row) in rows {
                let product = String::from_utf8_lossy(&key[first.len()..]).into_owned();
                if let Some((partition, mark)) = self.read(&product, &row)?
                    && !tell(product, partition, mark)
                {
                    return Ok(());
                }
            }
        }
    }

    fn read(&self, product: &str, row: &Row) -> Result<Option<(i32, Mark)>, Error> {
        if row.bytes.is_empty() {
            return Ok(None);
        }
        decode(row).map(Some).map_err(|problem| self.build.unreadable(&self.name, product, &problem))
    }

    fn one(&self, group: &str, product: &ProductId) -> Result<Option<Mark>, Error> {
        let row = self.build.read(|| self.marks.get(&key(group, product.as_str())))?;
        let read = row.map(|row| self.read(product.as_str(), &row)).transpose()?.flatten();
        Ok(read.map(|(_, mark)| mark))
    }

    fn all(&self, group: &str, partition: i32) -> Result<BTreeMap<String, Mark>, Error> {
        let mut found = BTreeMap::new();
        self.each(group, |product, of, mark| {
            if of == partition {
                found.insert(product, mark);
            }
            true
        })?;
        Ok(found)
    }

    fn counted(&self, group: &str) -> Result<u64, Error> {
        let mut count = 0;
        self.each(group, |_, _, _| {
            count += 1;
            count < MAX_COUNTED
        })?;
        Ok(count)
    }

    fn put(&self, group: &str, partition: i32, marks: &Marking) -> Result<(), Error> {
        let change = |(product, mark): (&String, &Option<Mark>)| {
            let row = mark.as_ref().map(|mark| encode(partition, mark)).unwrap_or_default();
            self.marks.put(&key(group, product), VERSION, row.bytes())
        };
        self.build.write(marks.iter().map(change).collect())?;
        self.build.sync()
    }
}

impl Marks for TableMarks {
    fn write<'a>(
        &'a self,
        group: &'a str,
        partition: i32,
        marks: &'a Marking,
        retry: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>> {
        let write = move || {
            let (this, group, marks) = (self.clone(), group.to_owned(), marks.clone());
            blocking(move || this.put(&group, partition, &marks))
        };
        async move { retry.run("mark what is parked", write).await }.boxed()
    }

    fn of_partition<'a>(&'a self, group: &'a str, partition: i32) -> Answered<'a, BTreeMap<String, Mark>> {
        let (this, group) = (self.clone(), group.to_owned());
        blocking(move || this.all(&group, partition)).boxed()
    }

    fn of_products<'a>(
        &'a self,
        group: &'a str,
        products: &'a [ProductId],
    ) -> Answered<'a, Vec<Option<Mark>>> {
        let (this, group, products) = (self.clone(), group.to_owned(), products.to_vec());
        blocking(move || products.iter().map(|product| this.one(&group, product)).collect()).boxed()
    }

    fn count<'a>(&'a self, group: &'a str) -> Answered<'a, u64> {
        let (this, group) = (self.clone(), group.to_owned());
        blocking(move || this.counted(&group)).boxed()
    }
}

fn key(group: &str, product: &str) -> Vec<u8> {
    [&key_of(group)[..], product.as_bytes()].concat()
}

fn encode(partition: i32, mark: &Mark) -> Writer {
    let mut row = Writer::default();
    row.count(partition.unsigned_abs() as usize).number(mark.first_offset).number(mark.since_ms);
    row.text(mark.kind.name()).is_some(mark.is_discarded.then_some(&()));
    row
}

fn decode(row: &Row) -> Result<(i32, Mark), Unreadable> {
    let mut row = Reader::of(row);
    let partition = row.count()? as i32;
    let mark = Mark {
        first_offset: row.number()?,
        since_ms: row.number()?,
        kind: row.text()?.parse().map_err(|_| Unreadable::Text)?,
        is_discarded: row.is_some()?,
    };
    row.end()?;
    Ok((partition, mark))
}
