//! Products as JSON: in answers and in stored rows alike.
//!
//! A view holds the domain's values, so reading one back checks it, and making one copies no text.

use std::borrow::Cow;

use domain::{
    Attributes, Brand, CategoryPath, Currency, Description, Money, Name, Product, ProductId, Sku, Status,
    Tags, Version,
};
use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::as_json::{attributes, optional_text, tags, text, version};
use super::schemas;

/// A product: `{"product_id": ..., "sku": ..., ..., "version": 3}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductView {
    /// Its identity.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub product_id: ProductId,
    /// The stock keeping unit.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub sku: Sku,
    /// The name shown to people.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub name: Name,
    /// The description shown to people; may be empty.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub description: Description,
    /// Where it stands in the tree of categories.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub category: CategoryPath,
    /// Who makes it.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub brand: Brand,
    /// What it costs.
    pub price: MoneyView,
    /// Further properties.
    #[serde(with = "attributes")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub attributes: Attributes,
    /// Labels.
    #[serde(with = "tags")]
    #[schema(value_type = Vec<String>)]
    pub tags: Tags,
    /// Where it stands in its life.
    #[serde(with = "text")]
    #[schema(schema_with = schemas::status)]
    pub status: Status,
    /// The status before the deletion; there exactly while the product is deleted.
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false, schema_with = schemas::status)]
    pub deleted_from: Option<Status>,
    /// The number of its events.
    #[serde(with = "version")]
    #[schema(value_type = u64, minimum = 1)]
    pub version: Version,
}

impl From<&Product> for ProductView {
    fn from(product: &Product) -> Self {
        let Product {
            id,
            sku,
            name,
            description,
            category,
            brand,
            price,
            attributes,
            tags,
            status,
            deleted_from,
            version,
        } = product.clone();
        Self {
            product_id: id,
            sku,
            name,
            description,
            category,
            brand,
            price: MoneyView(price),
            attributes,
            tags,
            status,
            deleted_from,
            version,
        }
    }
}

impl From<ProductView> for Product {
    fn from(view: ProductView) -> Self {
        let ProductView {
            product_id,
            sku,
            name,
            description,
            category,
            brand,
            price,
            attributes,
            tags,
            status,
            deleted_from,
            version,
        } = view;
        Self {
            id: product_id,
            sku,
            name,
            description,
            category,
            brand,
            price: price.0,
            attributes,
            tags,
            status,
            deleted_from,
            version,
        }
    }
}

/// An amount of money: `{"minor_units": 1999, "currency": "EUR"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoneyView(pub Money);

/// An amount of money.
#[derive(Serialize, Deserialize, ToSchema)]
struct MoneyFields {
    /// The amount in the currency's minor unit: cents for USD.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_000_i64, example = 24900)]
    minor_units: i64,
    #[serde(with = "text")]
    #[schema(schema_with = schemas::currency)]
    currency: Currency,
}

impl Serialize for MoneyView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let minor_units = self.0.minor_units().cast_signed();
        MoneyFields { minor_units, currency: self.0.currency() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MoneyView {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let MoneyFields { minor_units, currency } = MoneyFields::deserialize(deserializer)?;
        Money::of(minor_units, currency).map(MoneyView).map_err(D::Error::custom)
    }
}

impl PartialSchema for MoneyView {
    fn schema() -> RefOr<Schema> {
        MoneyFields::schema()
    }
}

impl ToSchema for MoneyView {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Money")
    }
}
