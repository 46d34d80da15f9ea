//! Marks in ScyllaDB: timestamp = the time of the write.

use std::collections::BTreeMap;
use std::sync::Arc;

use adapter_cql::{Cql, Prepared, Write};
use domain::ProductId;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use toolkit::retry::{GaveUp, Retry};

use super::{MAX_COUNTED, Mark, Marking, Marks, Place, write_until_found};
use crate::error::Answered;
use crate::{Error, Generation};

/// Marks of a partition are read in parts of as many.
const PAGE: usize = 1_000;

/// The marks of one build of a read model.
#[derive(Debug, Clone)]
pub struct CqlMarks {
    cql: Cql,
    table: Arc<str>,
    /// Prepared when they are needed first: a build of an earlier release has no such table, and can be read.
    statements: Arc<OnceCell<Statements>>,
}

#[derive(Debug)]
struct Statements {
    put: Prepared,
    remove: Prepared,
    of_product: Prepared,
    of_group: Prepared,
    some: Prepared,
}

/// The columns of a mark.
type Columns = (i64, i64, String, bool);
/// With whose it is, and of which partition.
type Row = (String, i32, i64, i64, String, bool);

/// The name of a CQL read model's table of marks.
pub(crate) fn table(read_model: &str, generation: Generation) -> String {
    format!("{read_model}_parked_{generation}")
}

impl CqlMarks {
    /// Asks nothing yet.
    pub fn new(cql: &Cql, read_model: &str, generation: Generation) -> Self {
        let table = table(read_model, generation).into();
        Self { cql: cql.clone(), table, statements: Arc::default() }
    }

    async fn statements(&self) -> Result<&Statements, Error> {
        self.statements.get_or_try_init(|| self.prepare()).await
    }

    async fn prepare(&self) -> Result<Statements, Error> {
        let (cql, table) = (&self.cql, format!("{{keyspace}}.{}", self.table));
        let put = format!(
            "INSERT INTO {table} (group_id, product_id, partition_id, first_offset, since_ms, kind, is_discarded) VALUES (?, ?, ?, ?, \
             ?, ?, ?) USING TIMESTAMP ?"
        );
        let remove = format!("DELETE FROM {table} USING TIMESTAMP ? WHERE group_id = ? AND product_id = ?");
        let of_product = format!(
            "SELECT first_offset, since_ms, kind, is_discarded FROM {table} WHERE group_id = ? AND product_id = ?"
        );
        let of_group = format!(
            "SELECT product_id, partition_id, first_offset, since_ms, kind, is_discarded FROM {table} WHERE group_id = ?"
        );
        let some = format!("SELECT product_id FROM {table} WHERE group_id = ? LIMIT {MAX_COUNTED}");
        Ok(Statements {
            put: cql.prepare(&put).await?,
            remove: cql.prepare(&remove).await?,
            of_product: cql.prepare(&of_product).await?,
            of_group: cql.prepare(&of_group).await?,
            some: cql.prepare(&some).await?,
        })
    }

    fn mark(
        &self,
        product: &str,
        (first_offset, since_ms, kind, is_discarded): Columns,
    ) -> Result<Mark, Error> {
        let kind = super::kind(&self.table, product, &kind)?;
        Ok(Mark { first_offset, since_ms, kind, is_discarded })
    }

    async fn read(&self, group: &str, products: &[String]) -> Result<Vec<Option<Mark>>, Error> {
        let of_product = &self.statements().await?.of_product;
        let keys = products.iter().map(|product| (group.to_owned(), product.clone())).collect();
        let rows: Vec<Option<Columns>> = self.cql.read_all(of_product, keys).await?;
        let marks = products.iter().zip(rows);
        marks.map(|(product, row)| row.map(|row| self.mark(product, row)).transpose()).collect()
    }

    async fn all(&self, group: &str, partition: i32) -> Result<BTreeMap<String, Mark>, Error> {
        let of_group = &self.statements().await?.of_group;
        let (mut found, mut from) = (BTreeMap::new(), Some(adapter_cql::PageState::start()));
        while let Some(page) = from {
            let (rows, next): (Vec<Row>, _) = self.cql.page(of_group, (group,), PAGE, page).await?;
            for (product, of, first_offset, since_ms, kind, is_discarded) in rows {
                if of == partition {
                    let mark = self.mark(&product, (first_offset, since_ms, kind, is_discarded))?;
                    found.insert(product, mark);
                }
            }
            from = next;
        }
        Ok(found)
    }

    async fn counted(&self, group: &str) -> Result<u64, Error> {
        let some = &self.statements().await?.some;
        let rows: Vec<(String,)> = self.cql.rows(some, (group,)).await?;
        Ok(rows.len() as u64)
    }
}

impl Place for CqlMarks {
    fn name(&self) -> &str {
        &self.table
    }

    async fn put(
        &self,
        group: &str,
        partition: i32,
        marks: &Marking,
        time: i64,
        retry: &Retry,
    ) -> Result<(), GaveUp<Error>> {
        let statements = retry.run("prepare what marks products", || self.statements()).await?;
        let write = |(product, mark): (&String, &Option<Mark>)| {
            let (group, product) = (group.to_owned(), product.clone());
            let write = match mark {
                None => Write::new(&statements.remove, (time, group, product)),
                Some(Mark { first_offset, since_ms, kind, is_discarded }) => {
                    let (first_offset, since_ms, kind) = (*first_offset, *since_ms, kind.name());
                    let row = (group, product, partition, first_offset, since_ms, kind, *is_discarded, time);
                    Write::new(&statements.put, row)
                }
            };
            // They are all of one group.
            write.in_partition(0)
        };
        let writes = marks.iter().map(write).collect();
        // One that is refused is not found afterwards.
        self.cql.write_all(writes, retry).await.map_err(|e| e.map(Error::from))?;
        Ok(())
    }

    async fn find(&self, group: &str, products: &[String]) -> Result<Vec<Option<Mark>>, Error> {
        self.read(group, products).await
    }
}

impl Marks for CqlMarks {
    fn write<'a>(
        &'a self,
        group: &'a str,
        partition: i32,
        marks: &'a Marking,
        retry: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>> {
        write_until_found(self, group, partition, marks, retry).boxed()
    }

    fn of_partition<'a>(&'a self, group: &'a str, partition: i32) -> Answered<'a, BTreeMap<String, Mark>> {
        self.all(group, partition).boxed()
    }

    fn of_products<'a>(
        &'a self,
        group: &'a str,
        products: &'a [ProductId],
    ) -> Answered<'a, Vec<Option<Mark>>> {
        async move {
            let products: Vec<String> = products.iter().map(ProductId::to_string).collect();
            self.read(group, &products).await
        }
        .boxed()
    }

    fn count<'a>(&'a self, group: &'a str) -> Answered<'a, u64> {
        self.counted(group).boxed()
    }
}
