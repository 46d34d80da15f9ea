//! The questions `products` answers: a product by id, several by id, the products of a category; and the rows they ask for.

use std::fmt::Debug;
use std::sync::Arc;

use domain::{Brand, CategoryPath, Money, Name, ProductId, Sku, Status, Version};
use futures::StreamExt;
use jiff::Timestamp;
use uuid::Uuid;

use super::{BUCKETS, CategoryKey};
use crate::marks::Marks;
use crate::model::Position;
use crate::page::{self, Page, PageRequest};
use crate::{Answer, Asked, QueryError, ReadModel, StoredProduct};

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

/// The rows of `products`, wherever they lie.
pub trait Rows: Debug + Send + Sync {
    /// The product as its row has it.
    fn by_id<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>>;

    /// Several of them, in the order asked for.
    fn several<'a>(&'a self, ids: &'a [ProductId]) -> Answer<'a, Vec<Option<StoredProduct>>>;

    /// Up to `limit` rows of one bucket of a category's list, in the order of product ids, behind `after`.
    fn in_bucket<'a>(
        &'a self,
        category: &'a CategoryPath,
        bucket: u8,
        after: Option<&'a ProductId>,
        limit: usize,
    ) -> Answer<'a, Vec<CategoryItem>>;

    /// The version with which a category's list holds a product.
    fn listed<'a>(&'a self, key: &'a CategoryKey) -> Answer<'a, Option<Version>>;

    /// See [`Asked::position`].
    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position>;

    /// See [`Asked::marks`].
    fn marks(&self) -> &dyn Marks;
}

/// Asks `products`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    pub(super) rows: Arc<dyn Rows>,
}

/// Buckets of a category asked at once while a page is filled.
const BUCKETS_AT_ONCE: usize = 4;
/// Rows of one bucket looked at for one page. A page ends there, with a next one, when few of them have the status asked for.
const BUCKET_ROWS: usize = 1_000;

/// What one bucket has for a page.
struct Looked {
    bucket: u8,
    items: Vec<CategoryItem>,
    /// The last row looked at, if there may be more behind it.
    stopped_at: Option<ProductId>,
}

impl Queries {
    pub fn new(rows: impl Rows + 'static) -> Self {
        Self { rows: Arc::new(rows) }
    }

    /// The product as it is now; also a deleted one.
    pub async fn product(&self, id: &ProductId) -> Result<Option<StoredProduct>, QueryError> {
        self.rows.by_id(id).await
    }

    /// Several products as they are now, in the order asked for; also deleted ones.
    pub async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, QueryError> {
        self.rows.several(ids).await
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
        let after = Some(after).filter(|id| !id.is_empty()).map(|id| ProductId::parse(&id)).transpose();
        let (true, Ok(after)) = (bucket < BUCKETS, after) else {
            return Err(QueryError::BadPageToken("page token names a place that no list has".to_owned()));
        };
        let asked = (bucket..BUCKETS).map(|b| {
            let after = after.clone().filter(|_| b == bucket);
            self.look(category, b, after, statuses, size)
        });
        let mut answers = futures::stream::iter(asked).buffered(BUCKETS_AT_ONCE);
        let mut items = Vec::with_capacity(size);
        let mut last = (bucket, after.clone());
        while let Some(looked) = answers.next().await {
            let looked: Looked = looked?;
            for item in looked.items {
                if items.len() == size {
                    return Ok(Page { items, next: Some(token_behind(&question, &last)?) });
                }
                last = (looked.bucket, Some(item.product_id.clone()));
                items.push(item);
            }
            if looked.stopped_at.is_some() {
                let place = (looked.bucket, looked.stopped_at);
                return Ok(Page { items, next: Some(token_behind(&question, &place)?) });
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
        mut after: Option<ProductId>,
        statuses: &[Status],
        size: usize,
    ) -> Result<Looked, QueryError> {
        let (mut items, mut looked_at) = (Vec::new(), 0);
        loop {
            let more = self.rows.in_bucket(category, bucket, after.as_ref(), size + 1).await?;
            let is_end = more.len() <= size;
            looked_at += more.len();
            if let Some(item) = more.last() {
                after = Some(item.product_id.clone());
            }
            items.extend(more.into_iter().filter(|it| statuses.is_empty() || statuses.contains(&it.status)));
            if is_end || items.len() > size {
                return Ok(Looked { bucket, items, stopped_at: None });
            }
            if looked_at >= BUCKET_ROWS {
                return Ok(Looked { bucket, items, stopped_at: after });
            }
        }
    }
}

/// The token of a page that goes on in this bucket behind this product.
fn token_behind(question: &str, (bucket, id): &(u8, Option<ProductId>)) -> Result<String, QueryError> {
    page::encode(question, (bucket, id.as_ref().map_or("", ProductId::as_str)))
}

impl Asked for Queries {
    const READ_MODEL: ReadModel = ReadModel::Products;

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        self.rows.position(group, partition)
    }

    fn marks(&self) -> &dyn Marks {
        self.rows.marks()
    }
}
