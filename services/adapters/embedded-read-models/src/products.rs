//! `products` in tables: its store, and the rows that its questions ask for.
//!
//! Promises: as on servers, a list's rows lie by category, bucket and product id, in the order of the ids' bytes; a product and
//! its lists change as one.

mod row;
mod text;

use std::ops::Bound;
use std::sync::Arc;

use adapter_embedded::tables::{Change, Order, Table};
use domain::{CategoryPath, ProductId, Version};
use futures::FutureExt;
use read_models::marks::Marks;
use read_models::model::{Position, RowChange, State, Store, Wanted, Writes};
use read_models::products::{CategoryItem, CategoryKey, ProductState, Products, Rows};
use read_models::{Answer, Error, ReadModel, StoredProduct};
use toolkit::retry::{GaveUp, Retry};

use crate::build::Build;
use crate::bytes::{Reader, Unreadable, key_of, version};
use crate::disk::{answer, blocking};
use crate::marks::TableMarks;
use crate::positions::TablePositions;
use crate::row_pages::{MAX_ROWS, PAGE_BYTES, Page};

/// The state rows, by product id.
pub(crate) const PRODUCTS: &str = "products";
pub(crate) const BY_CATEGORY: &str = "products_by_category";
/// All of them.
pub(crate) const TABLES: [&str; 2] = [PRODUCTS, BY_CATEGORY];

/// The tables of `products`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProductTables {
    build: Build,
    products: Table,
    by_category: Table,
    positions: TablePositions,
    marks: TableMarks,
}

impl ProductTables {
    pub(crate) fn new(build: Build) -> Self {
        Self {
            products: build.table(PRODUCTS),
            by_category: build.table(BY_CATEGORY),
            positions: TablePositions::new(&build, ReadModel::Products),
            marks: TableMarks::new(&build, ReadModel::Products),
            build,
        }
    }

    fn state(&self, id: &ProductId) -> Result<Option<ProductState>, Error> {
        let row = self.build.read(|| self.products.get(id.as_str().as_bytes()))?;
        let unreadable = |problem| self.build.unreadable(PRODUCTS, id.as_str(), &problem);
        row.map(|row| row::read_state(id, &row).map_err(unreadable)).transpose()
    }

    fn stored(&self, id: &ProductId) -> Result<Option<StoredProduct>, Error> {
        Ok(self.state(id)?.map(|state| Arc::unwrap_or_clone(state.stored)))
    }

    fn bucket(
        &self,
        category: &CategoryPath,
        bucket: u8,
        after: Option<&ProductId>,
        limit: usize,
    ) -> Result<Vec<CategoryItem>, Error> {
        let (first, next) = (bucket_key(category, bucket), bucket_key(category, bucket + 1));
        let after = after.map(|id| [&first, id.as_str().as_bytes()].concat());
        let from = after.as_deref().map_or(Bound::Included(&first[..]), Bound::Excluded);
        let bounds = (from, Bound::Excluded(&next[..]));
        let found = self.build.read(|| self.by_category.range(bounds, Order::Ascending, limit))?;
        let item = |(key, row): (Vec<u8>, _)| {
            let id = String::from_utf8_lossy(&key[first.len()..]);
            row::read_item(&id, &row).map_err(|problem| self.build.unreadable(BY_CATEGORY, &id, &problem))
        };
        found.into_iter().map(item).collect()
    }

    /// The first state rows behind a key, as text.
    pub(crate) fn product_texts(&self, after: Option<&[u8]>) -> Result<Page, Error> {
        let rows = self.build.read(|| self.products.page(after, MAX_ROWS, PAGE_BYTES))?;
        let text = |(key, row): (Vec<u8>, _)| {
            let id = String::from_utf8_lossy(&key).into_owned();
            let state = ProductId::parse(&id).map_err(Unreadable::from);
            let state = state.and_then(|product| row::read_state(&product, &row));
            let state = state.map_err(|problem| self.build.unreadable(PRODUCTS, &id, &problem))?;
            Ok((key, text::product(&state)))
        };
        rows.into_iter().map(text).collect()
    }

    /// The first rows of lists behind a key, as text.
    pub(crate) fn item_texts(&self, after: Option<&[u8]>) -> Result<Page, Error> {
        let rows = self.build.read(|| self.by_category.page(after, MAX_ROWS, PAGE_BYTES))?;
        let text = |(key, row): (Vec<u8>, _)| {
            let told = String::from_utf8_lossy(&key).into_owned();
            let text = || {
                let mut fields = Reader::of_key(&key);
                let (category, bucket, id) = (fields.text()?, fields.byte()?, fields.rest()?);
                Ok(text::item(category, bucket, &row::read_item(id, &row)?))
            };
            let text = text().map_err(|problem| self.build.unreadable(BY_CATEGORY, &told, &problem))?;
            Ok((key, text))
        };
        rows.into_iter().map(text).collect()
    }

    fn in_list(&self, key: &CategoryKey) -> Result<Option<Version>, Error> {
        let row = self.build.read(|| self.by_category.get(&list_key(key)))?;
        Ok(row.as_ref().map(version))
    }

    fn changes(&self, writes: &Writes<Products>) -> Vec<Change> {
        let listed = |change: &RowChange<Products>| {
            let (key, version) = (list_key(&change.key), change.version.get());
            match &change.row {
                Some(stored) => self.by_category.put(&key, version, row::item(stored).bytes()),
                None => self.by_category.delete(&key, version),
            }
        };
        let state = |state: &ProductState| {
            let (key, version) = (state.product().as_str().as_bytes(), state.head().version.get());
            self.products.put(key, version, row::state(state).bytes())
        };
        writes.rows.iter().map(listed).chain(writes.states.iter().map(state)).collect()
    }
}

/// What the rows of a bucket begin with. (There are few buckets: the one behind the last has a number, too.)
fn bucket_key(category: &CategoryPath, bucket: u8) -> Vec<u8> {
    [&key_of(category.as_str())[..], &[bucket]].concat()
}

fn list_key(key: &CategoryKey) -> Vec<u8> {
    [&bucket_key(&key.category, key.bucket()), key.product.as_str().as_bytes()].concat()
}

impl Store<Products> for ProductTables {
    type Positions = TablePositions;

    /// As they are: rows hold no earlier states.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<ProductState>>, Error> {
        let (this, ids) = (self.clone(), wanted.iter().map(|it| it.product.clone()).collect::<Vec<_>>());
        blocking(move || ids.iter().map(|id| this.state(id)).collect()).await
    }

    /// Rows and states as one.
    async fn write(&self, writes: Writes<Products>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let writes = Arc::new(writes);
        let write = || {
            let (this, writes) = (self.clone(), Arc::clone(&writes));
            blocking(move || this.build.write(this.changes(&writes)))
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

impl Rows for ProductTables {
    fn by_id<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>> {
        async move { answer(self.stored(id)) }.boxed()
    }

    fn several<'a>(&'a self, ids: &'a [ProductId]) -> Answer<'a, Vec<Option<StoredProduct>>> {
        let (this, ids) = (self.clone(), ids.to_vec());
        blocking(move || answer(ids.iter().map(|id| this.stored(id)).collect())).boxed()
    }

    fn in_bucket<'a>(
        &'a self,
        category: &'a CategoryPath,
        bucket: u8,
        after: Option<&'a ProductId>,
        limit: usize,
    ) -> Answer<'a, Vec<CategoryItem>> {
        let (this, category, after) = (self.clone(), category.clone(), after.cloned());
        blocking(move || answer(this.bucket(&category, bucket, after.as_ref(), limit))).boxed()
    }

    fn listed<'a>(&'a self, key: &'a CategoryKey) -> Answer<'a, Option<Version>> {
        async move { answer(self.in_list(key)) }.boxed()
    }

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        let read = move || Ok(self.positions.get(group, partition)?.unwrap_or_default());
        async move { answer(read()) }.boxed()
    }

    fn marks(&self) -> &dyn Marks {
        &self.marks
    }
}

#[cfg(test)]
mod tests {
    use adapter_embedded::tables::Tables;
    use read_models::Generation;

    use super::*;

    #[test]
    fn a_row_that_cannot_be_read_is_an_error_and_the_next_start_builds_the_tables_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let open = || Tables::open(dir.path(), "test", 1 << 20).unwrap();
        let (tables, discarded) = open();
        assert_eq!(discarded, None);
        let rows =
            |tables: &Tables| ProductTables::new(Build::new(tables, Generation::FIRST, Arc::default()));
        let there = rows(&tables);
        let id = ProductId::parse("p-1").unwrap();
        tables.write([there.products.put(id.as_str().as_bytes(), 1, b"no row")]).unwrap();
        let failed = there.state(&id).unwrap_err().to_string();
        assert!(failed.contains("row p-1 cannot be read") && failed.contains("start again"), "{failed}");
        drop((tables, there));
        let (tables, discarded) = open();
        assert!(discarded.is_some_and(|reason| reason.contains("row p-1 cannot be read")));
        assert_eq!(rows(&tables).state(&id).unwrap(), None);
    }
}
