//! Products as JSON: in answers and in stored rows alike.
//!
//! A view holds the domain's values, so reading one back checks it, and making one copies no text.

use domain::{
    Attributes, Brand, CategoryPath, Currency, Description, Money, Name, Product, ProductId, Sku, Status,
    Tags, Version,
};
use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::as_json::{attributes, optional_text, tags, text, version};

/// A product: `{"product_id": ..., "sku": ..., ..., "version": 3}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductView {
    /// Its identity.
    #[serde(with = "text")]
    pub product_id: ProductId,
    /// The stock keeping unit.
    #[serde(with = "text")]
    pub sku: Sku,
    /// The name shown to people.
    #[serde(with = "text")]
    pub name: Name,
    /// The description shown to people; may be empty.
    #[serde(with = "text")]
    pub description: Description,
    /// Where it stands in the tree of categories.
    #[serde(with = "text")]
    pub category: CategoryPath,
    /// Who makes it.
    #[serde(with = "text")]
    pub brand: Brand,
    /// What it costs.
    pub price: MoneyView,
    /// Further properties.
    #[serde(with = "attributes")]
    pub attributes: Attributes,
    /// Labels.
    #[serde(with = "tags")]
    pub tags: Tags,
    /// Where it stands in its life.
    #[serde(with = "text")]
    pub status: Status,
    /// The status before the deletion; there exactly while the product is deleted.
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    pub deleted_from: Option<Status>,
    /// The number of its events.
    #[serde(with = "version")]
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

#[derive(Serialize, Deserialize)]
struct MoneyFields {
    minor_units: i64,
    #[serde(with = "text")]
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
