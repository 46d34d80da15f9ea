//! The questions `products` answers: a product by id, several by id, the products of a category.

use adapter_cql::{Cql, Prepared};
use domain::{Brand, CategoryPath, Money, Name, ProductId, Sku, Status, Version};
use futures::StreamExt;
use jiff::Timestamp;
use uuid::Uuid;

use super::consistency::prepare_in_list;
use super::row::{ItemRow, ProductRow};
use super::store::{prepare_load, tables};
use super::{BUCKETS, NAME};
use crate::page::{self, Page, PageRequest};
use crate::positions::CqlPositions;
use crate::{QueryError, StoredProduct};

/// A product as a category list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryItem {
    pub product_id: ProductId,
    pub sku: Sku,
    pub name: Name,
    pub brand: Brand,
    pub price: Money,
    pub status: Status,
    pub version: Version,
    pub event_id: Uuid,
    pub updated_at: Timestamp,
}

/// Asks `products`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    pub(super) cql: Cql,
    positions: CqlPositions,
    by_id: Prepared,
    in_bucket: Prepared,
    pub(super) in_list: Prepared,
}

/// Buckets of a category asked at once while a page is filled.
const BUCKETS_AT_ONCE: usize = 4;
/// Rows of one bucket looked at for one page. A page ends there, with a next one, when few of them have the status asked for.
const BUCKET_ROWS: usize = 1_000;

/// What one bucket has for a page.
struct Looked {
    bucket: u8,
    rows: Vec<ItemRow>,
    /// The last row looked at, if there may be more behind it.
    stopped_at: Option<String>,
}

impl Queries {
    /// Prepares the statements; the tables must be there (`folio stores apply`).
    pub async fn open(cql: &Cql) -> Result<Self, QueryError> {
        let in_bucket = format!(
            "SELECT product_id, sku, name, brand, price_minor, currency, status, version, event_id, updated_at FROM \
             {{keyspace}}.{} WHERE category = ? AND bucket = ? AND product_id > ? LIMIT ?",
            tables().1
        );
        Ok(Self {
            cql: cql.clone(),
            positions: CqlPositions::open(cql, NAME).await?,
            by_id: prepare_load(cql).await?,
            in_bucket: cql.prepare(&in_bucket).await?,
            in_list: prepare_in_list(cql).await?,
        })
    }

    /// The product as it is now; also a deleted one.
    pub async fn product(&self, id: &ProductId) -> Result<Option<StoredProduct>, QueryError> {
        let row: Option<ProductRow> = self.cql.row(&self.by_id, (id.as_str(),)).await?;
        Ok(row.map(ProductRow::parse).transpose()?.map(|state| state.stored))
    }

    /// Several products as they are now, in the order asked for; also deleted ones.
    pub async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, QueryError> {
        let ids = ids.iter().map(|id| (id.to_string(),)).collect();
        let rows: Vec<Option<ProductRow>> = self.cql.read_all(&self.by_id, ids).await?;
        let stored = |row: ProductRow| Ok(row.parse()?.stored);
        rows.into_iter().map(|row| row.map(stored).transpose()).collect()
    }

    /// The products of exactly this category (not of those below it) that are not deleted, in a stable order: by bucket,
    /// then by product id. `statuses`: only those; none: all. A page of few statuses may end early, even empty, and yet have a
    /// next one.
    pub async fn list_category(
        &self,
        category: &CategoryPath,
        statuses: &[Status],
        page: &PageRequest,
    ) -> Result<Page<CategoryItem>, QueryError> {
        let question = format!("products of category {category} {statuses:?}");
        let size = page.effective_size();
        let (bucket, after) = match &page.token {
            Some(token) => page::decode::<(u8, String)>(&question, token)?,
            None => (0, String::new()),
        };
        if bucket >= BUCKETS || !(after.is_empty() || ProductId::parse(&after).is_ok()) {
            return Err(QueryError::BadPageToken("page token names a place that no list has".to_owned()));
        }
        let asked = (bucket..BUCKETS).map(|b| {
            let after = if b == bucket { after.clone() } else { String::new() };
            self.look(category, b, after, statuses, size)
        });
        let mut answers = futures::stream::iter(asked).buffered(BUCKETS_AT_ONCE);
        let mut items = Vec::with_capacity(size);
        let mut last = (bucket, after.clone());
        while let Some(looked) = answers.next().await {
            let Looked { bucket, rows, stopped_at } = looked?;
            for row in rows {
                if items.len() == size {
                    return Ok(Page { items, next: Some(page::encode(&question, last)?) });
                }
                last = (bucket, row.product_id.clone());
                items.push(row.parse()?);
            }
            if let Some(place) = stopped_at {
                return Ok(Page { items, next: Some(page::encode(&question, (bucket, place))?) });
            }
        }
        Ok(Page { items, next: None })
    }

    /// The rows of one bucket behind `after` that have one of the statuses: one more than a page, to know whether there is a
    /// next one; fewer at the bucket's end, or where enough rows were looked at.
    async fn look(
        &self,
        category: &CategoryPath,
        bucket: u8,
        mut after: String,
        statuses: &[Status],
        size: usize,
    ) -> Result<Looked, QueryError> {
        let (mut rows, mut looked_at) = (Vec::new(), 0);
        let limit = i32::try_from(size + 1).unwrap_or(i32::MAX);
        loop {
            let values = (category.as_str(), i32::from(bucket), after.as_str(), limit);
            let more: Vec<ItemRow> = self.cql.rows(&self.in_bucket, values).await?;
            let is_end = more.len() <= size;
            looked_at += more.len();
            if let Some(row) = more.last() {
                after.clone_from(&row.product_id);
            }
            rows.extend(more.into_iter().filter(|row| row.has_status(statuses)));
            if is_end || rows.len() > size {
                return Ok(Looked { bucket, rows, stopped_at: None });
            }
            if looked_at >= BUCKET_ROWS {
                return Ok(Looked { bucket, rows, stopped_at: Some(after) });
            }
        }
    }

    /// Everything of the partition below this offset is applied by the group; 0 if nothing is.
    pub async fn position(&self, group: &str, partition: i32) -> Result<i64, QueryError> {
        Ok(self.positions.read(group, partition).await?.unwrap_or_default().applied)
    }
}
