//! Loads and writes the rows of `products`.

use adapter_cql::{Cql, CqlError, Prepared, Schema, Write};
use toolkit::retry::{GaveUp, Retry};

use super::row::{CategoryDelete, CategoryRow, ProductRow};
use super::{CategoryKey, NAME, ProductState, Products};
use crate::model::{Position, RowChange, Starts, Store, Wanted, Writes};
use crate::page::stable_hash;
use crate::positions::CqlPositions;
use crate::{Error, GENERATION};

/// The declared tables.
pub const SCHEMA: Schema =
    Schema { name: "deploy/cql/products.cql", text: include_str!("../../../../deploy/cql/products.cql") };

/// The columns of `products`, as they are read and written.
pub(super) const COLUMNS: &str = "product_id, sku, name, description, category, brand, price_minor, currency, attributes, \
                                  tags, status, deleted_from, version, event_id, updated_at, left_categories";

/// The tables of `products`.
#[derive(Debug, Clone)]
pub struct ProductsStore {
    cql: Cql,
    positions: CqlPositions,
    load: Prepared,
    put_product: Prepared,
    put_in_category: Prepared,
    delete_from_category: Prepared,
}

impl ProductsStore {
    /// Prepares the statements; the tables must be there (`folio stores apply`).
    pub async fn open(cql: &Cql) -> Result<Self, Error> {
        let (products, by_category) = tables();
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
            positions: CqlPositions::open(cql, NAME).await?,
            load: prepare_load(cql).await?,
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
        write.in_partition(partition(key))
    }
}

/// The names of the state table and of the category table.
pub(super) fn tables() -> (String, String) {
    (format!("products_g{GENERATION}"), format!("products_by_category_g{GENERATION}"))
}

pub(super) async fn prepare_load(cql: &Cql) -> Result<Prepared, CqlError> {
    cql.prepare(&format!("SELECT {COLUMNS} FROM {{keyspace}}.{} WHERE product_id = ?", tables().0)).await
}

/// Tells partitions of `products_by_category` apart, so that writes to one of them travel together.
fn partition(key: &CategoryKey) -> u64 {
    stable_hash(key.category.as_str().as_bytes())
        ^ u64::from(key.bucket()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Store<Products> for ProductsStore {
    /// As they are: rows hold no earlier states.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<ProductState>>, Error> {
        let ids = wanted.iter().map(|wanted| (wanted.product.to_string(),)).collect();
        let rows: Vec<Option<ProductRow>> = self.cql.read_all(&self.load, ids).await?;
        rows.into_iter().map(|row| row.map(ProductRow::parse).transpose()).collect()
    }

    async fn write(&self, writes: Writes<Products>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let rows = writes.rows.iter().map(|change| self.row(change)).collect();
        self.cql.write_all(rows, retry).await.map_err(|e| e.map(Error::from))?;
        let state = |state| Write::new(&self.put_product, ProductRow::from(state));
        let states = writes.states.iter().map(state).collect();
        self.cql.write_all(states, retry).await.map_err(|e| e.map(Error::from))
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
