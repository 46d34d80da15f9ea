//! The questions `products` answers: a product by id, several by id, the products of a category.

use domain::{CategoryPath, Money, Name, Brand, ProductId, Sku, Status, Version};
use jiff::Timestamp;
use uuid::Uuid;

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

// pub struct Queries (Clone):
//   async fn open(cql: &Cql) -> Result<Queries, QueryError>
//   async fn product(&self, id: &ProductId) -> Result<Option<StoredProduct>, QueryError>          (also deleted ones)
//   async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, QueryError>  (in the order asked)
//   async fn list_category(&self, category: &CategoryPath, page: &PageRequest) -> Result<Page<CategoryItem>, QueryError>
//   async fn position(&self, prefix: &str, partition: i32) -> Result<i64, QueryError>   (everything below is applied)
