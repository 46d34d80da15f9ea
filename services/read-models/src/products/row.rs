//! The rows as the tables hold them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use adapter_cql::scylla::value::CqlTimestamp;
use adapter_cql::scylla::{DeserializeRow, SerializeRow};
use domain::{
    Attributes, Brand, CategoryPath, Description, Money, Name, Product, ProductId, Sku, Status, Tags,
    ValueError, Version,
};
use uuid::Uuid;

use super::{CategoryItem, CategoryKey, ProductState};
use crate::cql_time::{from_cql, to_cql};
use crate::{Error, StoredProduct};

/// A row of `products`.
#[derive(Debug, SerializeRow, DeserializeRow)]
#[scylla(crate = adapter_cql::scylla)]
pub(super) struct ProductRow {
    product_id: String,
    sku: String,
    name: String,
    description: String,
    category: String,
    brand: String,
    price_minor: i64,
    currency: String,
    attributes: Option<BTreeMap<String, String>>,
    tags: Option<BTreeSet<String>>,
    status: String,
    /// Empty while the product is not deleted: a null would be a tombstone.
    deleted_from: String,
    version: i64,
    event_id: Uuid,
    updated_at: CqlTimestamp,
    /// Null in rows of earlier releases.
    left_categories: Option<BTreeMap<String, i64>>,
}

impl From<&ProductState> for ProductRow {
    fn from(state: &ProductState) -> Self {
        let ProductState { stored, left } = state;
        let product = &stored.product;
        Self {
            product_id: product.id.to_string(),
            sku: product.sku.to_string(),
            name: product.name.to_string(),
            description: product.description.to_string(),
            category: product.category.to_string(),
            brand: product.brand.to_string(),
            price_minor: product.price.minor_units() as i64,
            currency: product.price.currency().to_string(),
            attributes: Some(product.attributes.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()),
            tags: Some(product.tags.iter().map(str::to_owned).collect()),
            status: product.status.to_string(),
            deleted_from: product.deleted_from.map_or_else(String::new, |s| s.to_string()),
            version: product.version.get() as i64,
            event_id: stored.event_id,
            updated_at: to_cql(stored.updated_at),
            left_categories: Some(
                left.iter().map(|(category, version)| (category.to_string(), version.get() as i64)).collect(),
            ),
        }
    }
}

impl ProductRow {
    pub(super) fn parse(self) -> Result<ProductState, Error> {
        let id = self.product_id.clone();
        self.try_into().map_err(|e: ValueError| corrupt("products", &id, &e))
    }
}

impl TryFrom<ProductRow> for ProductState {
    type Error = ValueError;

    fn try_from(row: ProductRow) -> Result<Self, ValueError> {
        let attributes = row.attributes.unwrap_or_default();
        let tags = row.tags.unwrap_or_default();
        let product = Product {
            id: ProductId::parse(&row.product_id)?,
            sku: Sku::stored(&row.sku)?,
            name: Name::stored(&row.name)?,
            description: Description::stored(&row.description)?,
            category: CategoryPath::stored(&row.category)?,
            brand: Brand::stored(&row.brand)?,
            price: Money::new(row.price_minor, &row.currency)?,
            attributes: Attributes::stored(attributes.iter().map(|(n, v)| (n.as_str(), v.as_str())))?,
            tags: Tags::stored(tags.iter().map(String::as_str))?,
            status: Status::parse(&row.status)?,
            deleted_from: Some(&*row.deleted_from)
                .filter(|s| !s.is_empty())
                .map(Status::parse)
                .transpose()?,
            version: Version(row.version as u64),
        };
        let stored = StoredProduct { product, event_id: row.event_id, updated_at: from_cql(row.updated_at) };
        let left = row.left_categories.unwrap_or_default().into_iter();
        let left =
            left.map(|(category, version)| Ok((CategoryPath::stored(&category)?, Version(version as u64))));
        let mut left = left.collect::<Result<Vec<_>, ValueError>>()?;
        left.sort_by_key(|(_, version)| *version);
        Ok(Self { stored: Arc::new(stored), left })
    }
}

/// A row of `products_by_category`.
#[derive(Debug, SerializeRow)]
#[scylla(crate = adapter_cql::scylla)]
pub(super) struct CategoryRow {
    category: String,
    bucket: i32,
    product_id: String,
    sku: String,
    name: String,
    brand: String,
    price_minor: i64,
    currency: String,
    status: String,
    version: i64,
    event_id: Uuid,
    updated_at: CqlTimestamp,
}

impl CategoryRow {
    pub(super) fn new(key: &CategoryKey, stored: &StoredProduct) -> Self {
        let product = &stored.product;
        Self {
            category: key.category.to_string(),
            bucket: i32::from(key.bucket()),
            product_id: key.product.to_string(),
            sku: product.sku.to_string(),
            name: product.name.to_string(),
            brand: product.brand.to_string(),
            price_minor: product.price.minor_units() as i64,
            currency: product.price.currency().to_string(),
            status: product.status.to_string(),
            version: product.version.get() as i64,
            event_id: stored.event_id,
            updated_at: to_cql(stored.updated_at),
        }
    }
}

/// The values of a delete from `products_by_category`.
#[derive(Debug, SerializeRow)]
#[scylla(crate = adapter_cql::scylla)]
pub(super) struct CategoryDelete {
    pub(super) version: i64,
    pub(super) category: String,
    pub(super) bucket: i32,
    pub(super) product_id: String,
}

/// What a list reads of a row of `products_by_category`.
#[derive(Debug, DeserializeRow)]
#[scylla(crate = adapter_cql::scylla)]
pub(super) struct ItemRow {
    product_id: String,
    sku: String,
    name: String,
    brand: String,
    price_minor: i64,
    currency: String,
    status: String,
    version: i64,
    event_id: Uuid,
    updated_at: CqlTimestamp,
}

impl ItemRow {
    pub(super) fn parse(self) -> Result<CategoryItem, Error> {
        let id = self.product_id.clone();
        self.try_into().map_err(|e: ValueError| corrupt("products_by_category", &id, &e))
    }
}

impl TryFrom<ItemRow> for CategoryItem {
    type Error = ValueError;

    fn try_from(row: ItemRow) -> Result<Self, ValueError> {
        Ok(Self {
            product_id: ProductId::parse(&row.product_id)?,
            sku: Sku::stored(&row.sku)?,
            name: Name::stored(&row.name)?,
            brand: Brand::stored(&row.brand)?,
            price: Money::new(row.price_minor, &row.currency)?,
            status: Status::parse(&row.status)?,
            version: Version(row.version as u64),
            event_id: row.event_id,
            updated_at: from_cql(row.updated_at),
        })
    }
}

fn corrupt(table: &str, row: &str, problem: &ValueError) -> Error {
    Error::Corrupt { table: table.to_owned(), row: row.to_owned(), problem: problem.to_string() }
}
