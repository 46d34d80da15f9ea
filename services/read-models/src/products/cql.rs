//! `products` in ScyllaDB or Cassandra: its store, and the rows that its questions ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use adapter_cql::{Cql, CqlError, Prepared, Write};
use domain::{CategoryPath, ProductId, Version};
use futures::FutureExt;
use toolkit::lanes::Lane;
use toolkit::retry::{GaveUp, Retry};

use super::row::{CategoryDelete, CategoryRow, ItemRow, ProductRow};
use super::{BY_CATEGORY, CategoryItem, CategoryKey, PRODUCTS, ProductState, Products, Rows, SCHEMA};
use crate::error::by_product;
use crate::marks::{CqlMarks, Marks};
use crate::model::{Fold, Opens, Position, RowChange, State, Store, Wanted, Writes};
use crate::page::stable_hash;
use crate::positions::{CqlPositions, reached};
use crate::{Answer, Error, Generation, Servers, StoredProduct};

/// The columns of `products`, as they are read and written.
const COLUMNS: &str = "product_id, sku, name, description, category, brand, price_minor, currency, attributes, \
                                  tags, status, deleted_from, version, event_id, updated_at, left_categories";

/// The tables of `products`.
#[derive(Debug, Clone)]
pub struct ProductsStore {
    cql: Cql,
    positions: CqlPositions,
    marks: CqlMarks,
    load: Prepared,
    put_product: Prepared,
    put_in_category: Prepared,
    delete_from_category: Prepared,
}

impl ProductsStore {
    /// Prepares the statements; the tables must be there (`folio stores apply`).
    pub async fn open(cql: &Cql, generation: Generation) -> Result<Self, Error> {
        let (products, by_category) = (PRODUCTS.on_cql(generation), BY_CATEGORY.on_cql(generation));
        let insert = |table: &str, columns: &str| {
            let markers = columns.split(", ").map(|c| format!(":{c}")).collect::<Vec<_>>().join(", ");
            format!(
                "INSERT INTO {{keyspace}}.{table} ({columns}) VALUES ({markers}) USING TIMESTAMP :version"
            )
        };
        let category_columns = "category, bucket, product_id, sku, name, brand, price_minor, currency, status, version, \
                                event_id, updated_at";
        let delete = format!(
            "DELETE FROM {{keyspace}}.{by_category} USING TIMESTAMP :version WHERE category = :category AND bucket = \
             :bucket AND product_id = :product_id"
        );
        Ok(Self {
            cql: cql.clone(),
            positions: positions(cql, generation).await?,
            marks: marks(cql, generation),
            load: prepare_load(cql, generation).await?,
            put_product: cql.prepare(&insert(&products, COLUMNS)).await?,
            put_in_category: cql.prepare(&insert(&by_category, category_columns)).await?,
            delete_from_category: cql.prepare(&delete).await?,
        })
    }

    fn row(&self, change: &RowChange<Products>) -> Write {
        let RowChange { key, version, row, .. } = change;
        let write = match row {
            Some(stored) => Write::new(&self.put_in_category, CategoryRow::new(key, stored)),
            None => Write::new(
                &self.delete_from_category,
                CategoryDelete {
                    version: version.get() as i64,
                    category: key.category.to_string(),
                    bucket: i32::from(key.bucket()),
                    product_id: key.product.to_string(),
                },
            ),
        };
        write.in_partition(partition(key)).of(key.product.as_str())
    }
}

fn marks(cql: &Cql, generation: Generation) -> CqlMarks {
    CqlMarks::new(cql, Products::DECLARED.name, generation)
}

async fn positions(cql: &Cql, generation: Generation) -> Result<CqlPositions, Error> {
    CqlPositions::open(cql, Products::DECLARED.name, SCHEMA, generation).await
}

async fn prepare_load(cql: &Cql, generation: Generation) -> Result<Prepared, CqlError> {
    let table = PRODUCTS.on_cql(generation);
    cql.prepare(&format!("SELECT {COLUMNS} FROM {{keyspace}}.{table} WHERE product_id = ?")).await
}

/// Tells partitions of `products_by_category` apart, so that writes to one of them travel together.
fn partition(key: &CategoryKey) -> u64 {
    stable_hash(key.category.as_str().as_bytes())
        ^ u64::from(key.bucket()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Store<Products> for ProductsStore {
    type Positions = CqlPositions;

    /// As they are: rows hold no earlier states.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<ProductState>>, Error> {
        let ids = wanted.iter().map(|wanted| (wanted.product.to_string(),)).collect();
        let rows: Vec<Option<ProductRow>> = self.cql.read_all(&self.load, ids).await?;
        rows.into_iter().map(|row| row.map(ProductRow::parse).transpose()).collect()
    }

    async fn write(&self, writes: Writes<Products>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let rows = writes.rows.iter().map(|change| self.row(change)).collect();
        let mut refused = BTreeMap::new();
        refused.extend(by_product(self.cql.write_all(rows, retry).await)?);
        let state = |state: &ProductState| {
            vec![Write::new(&self.put_product, ProductRow::from(state)).of(state.product().as_str())]
        };
        let states = writes.states.iter().filter(|it| !refused.contains_key(it.product().as_str()));
        let (states, of) = (states.map(state), (&self.put_product, writes.states.len()));
        let more = by_product(self.cql.write_lazily(of, states, retry).await)?;
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

impl Opens<Products> for Servers {
    type Store = ProductsStore;

    async fn open(&self, generation: Generation) -> Result<ProductsStore, Error> {
        ProductsStore::open(&self.cql_of_rows().await?, generation).await
    }

    fn in_lane(&self, lane: &Lane) -> Self {
        self.with_rows_in(lane)
    }

    async fn positions(&self, generation: Generation) -> Result<CqlPositions, Error> {
        positions(self.cql().await?, generation).await
    }
}

/// The rows as tables hold them.
#[derive(Debug, Clone)]
pub struct CqlRows {
    cql: Cql,
    positions: CqlPositions,
    marks: CqlMarks,
    by_id: Prepared,
    in_bucket: Prepared,
    listed: Prepared,
}

impl CqlRows {
    /// Prepares the statements; the tables must be there (`folio stores apply`).
    pub async fn open(cql: &Cql, generation: Generation) -> Result<Self, Error> {
        let by_category = BY_CATEGORY.on_cql(generation);
        let in_bucket = format!(
            "SELECT product_id, sku, name, brand, price_minor, currency, status, version, event_id, updated_at FROM \
             {{keyspace}}.{by_category} WHERE category = ? AND bucket = ? AND product_id > ? LIMIT ?"
        );
        let listed = format!(
            "SELECT version FROM {{keyspace}}.{by_category} WHERE category = ? AND bucket = ? AND product_id = ?"
        );
        Ok(Self {
            cql: cql.clone(),
            positions: positions(cql, generation).await?,
            marks: marks(cql, generation),
            by_id: prepare_load(cql, generation).await?,
            in_bucket: cql.prepare(&in_bucket).await?,
            listed: cql.prepare(&listed).await?,
        })
    }
}

impl Rows for CqlRows {
    fn by_id<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>> {
        async move {
            let row: Option<ProductRow> = self.cql.row(&self.by_id, (id.as_str(),)).await?;
            Ok(row.map(ProductRow::parse).transpose()?.map(|state| Arc::unwrap_or_clone(state.stored)))
        }
        .boxed()
    }

    fn several<'a>(&'a self, ids: &'a [ProductId]) -> Answer<'a, Vec<Option<StoredProduct>>> {
        async move {
            let ids = ids.iter().map(|id| (id.to_string(),)).collect();
            let rows: Vec<Option<ProductRow>> = self.cql.read_all(&self.by_id, ids).await?;
            let stored = |row: ProductRow| Ok(Arc::unwrap_or_clone(row.parse()?.stored));
            rows.into_iter().map(|row| row.map(stored).transpose()).collect()
        }
        .boxed()
    }

    fn in_bucket<'a>(
        &'a self,
        category: &'a CategoryPath,
        bucket: u8,
        after: Option<&'a ProductId>,
        limit: usize,
    ) -> Answer<'a, Vec<CategoryItem>> {
        async move {
            let (after, limit) =
                (after.map_or("", ProductId::as_str), i32::try_from(limit).unwrap_or(i32::MAX));
            let values = (category.as_str(), i32::from(bucket), after, limit);
            let rows: Vec<ItemRow> = self.cql.rows(&self.in_bucket, values).await?;
            rows.into_iter().map(|row| Ok(row.parse()?)).collect()
        }
        .boxed()
    }

    fn listed<'a>(&'a self, key: &'a CategoryKey) -> Answer<'a, Option<Version>> {
        async move {
            let values = (key.category.as_str(), i32::from(key.bucket()), key.product.as_str());
            let listed: Option<(i64,)> = self.cql.row(&self.listed, values).await?;
            Ok(listed.map(|(version,)| Version(version as u64)))
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
