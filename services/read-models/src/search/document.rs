//! The document as the index holds it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::{
    Attributes, Brand, CategoryPath, Description, Money, Name, Product, ProductId, Sku, Status, Tags,
    ValueError, Version,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::analysis::{self, Terms};
use crate::{Error, StoredProduct};

/// What stands between the name and the value of an attribute: no text can hold it.
pub(super) const UNIT: char = '\u{1f}';

/// A product as an index gives it back.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProductDocument<'a> {
    pub(super) product_id: Cow<'a, str>,
    sku: Cow<'a, str>,
    name: Cow<'a, str>,
    description: Cow<'a, str>,
    category: Cow<'a, str>,
    brand: Cow<'a, str>,
    price_minor: i64,
    currency: Cow<'a, str>,
    attributes: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    tags: Vec<Cow<'a, str>>,
    status: Cow<'a, str>,
    deleted_from: Option<Cow<'a, str>>,
    version: u64,
    event_id: Uuid,
    /// Milliseconds since 1970.
    updated_at: i64,
}

/// What a product is found by beside what [`ProductDocument`] has: see [`super::Field`].
#[derive(Debug, Serialize)]
pub struct Keys<'a> {
    pub categories: Vec<String>,
    pub attribute_names: Vec<&'a str>,
    pub attribute_pairs: Vec<String>,
    pub sku_key: String,
    pub name_key: String,
    /// Terms with blanks between, each once; of name and SKU,
    pub title_terms: String,
    /// of brand and tags,
    pub label_terms: String,
    /// of all texts.
    pub terms: String,
}

/// A product as it is written to a server's index. The keys up to `attribute_pairs` are not read back; those after it are not
/// given back either.
#[derive(Debug, Serialize)]
pub(super) struct WrittenDocument<'a> {
    #[serde(flatten)]
    product: ProductDocument<'a>,
    #[serde(flatten)]
    keys: Keys<'a>,
}

impl<'a> From<&'a StoredProduct> for WrittenDocument<'a> {
    fn from(stored: &'a StoredProduct) -> Self {
        Self { product: stored.into(), keys: stored.into() }
    }
}

impl<'a> From<&'a StoredProduct> for ProductDocument<'a> {
    fn from(stored: &'a StoredProduct) -> Self {
        let product = &stored.product;
        Self {
            product_id: product.id.as_str().into(),
            sku: product.sku.as_str().into(),
            name: product.name.as_str().into(),
            description: product.description.as_str().into(),
            category: product.category.as_str().into(),
            brand: product.brand.as_str().into(),
            price_minor: product.price.minor_units() as i64,
            currency: product.price.currency().as_str().into(),
            attributes: product.attributes.iter().map(|(n, v)| (n.into(), v.into())).collect(),
            tags: product.tags.iter().map(Into::into).collect(),
            status: product.status.as_str().into(),
            deleted_from: product.deleted_from.map(|s| s.as_str().into()),
            version: product.version.get(),
            event_id: stored.event_id,
            updated_at: stored.updated_at.as_millisecond(),
        }
    }
}

impl<'a> From<&'a StoredProduct> for Keys<'a> {
    fn from(stored: &'a StoredProduct) -> Self {
        let product = &stored.product;
        let (mut title, mut labels) = (Terms::default(), Terms::default());
        title.short(product.name.as_str());
        title.short(product.sku.as_str());
        labels.short(product.brand.as_str());
        product.tags.iter().for_each(|tag| labels.short(tag));
        let mut terms = Terms::default();
        terms.all(&title);
        terms.all(&labels);
        product.attributes.iter().for_each(|(_, value)| terms.short(value));
        terms.long(product.description.as_str());
        Self {
            categories: product.category.ancestors().map(|path| path.to_string()).collect(),
            attribute_names: product.attributes.iter().map(|(name, _)| name).collect(),
            attribute_pairs: product.attributes.iter().map(|(n, v)| pair(n, v)).collect(),
            sku_key: analysis::compared(product.sku.as_str()),
            name_key: analysis::sorted(product.name.as_str()),
            title_terms: title.text(),
            label_terms: labels.text(),
            terms: terms.text(),
        }
    }
}

/// An attribute as one value of [`super::Field::AttributePairs`]; with an empty value: what all of that name begin with.
pub(super) fn pair(name: &str, value: &str) -> String {
    format!("{name}{UNIT}{value}")
}

impl ProductDocument<'_> {
    /// The product; an error if no product can be like that.
    pub fn parse(self) -> Result<StoredProduct, Error> {
        let row = self.product_id.clone().into_owned();
        self.try_into().map_err(|e: ValueError| Error::Corrupt {
            table: "search".to_owned(),
            row,
            problem: e.to_string(),
        })
    }
}

impl TryFrom<ProductDocument<'_>> for StoredProduct {
    type Error = ValueError;

    fn try_from(document: ProductDocument<'_>) -> Result<Self, ValueError> {
        let product = Product {
            id: ProductId::parse(&document.product_id)?,
            sku: Sku::stored(&document.sku)?,
            name: Name::stored(&document.name)?,
            description: Description::stored(&document.description)?,
            category: CategoryPath::stored(&document.category)?,
            brand: Brand::stored(&document.brand)?,
            price: Money::new(document.price_minor, &document.currency)?,
            attributes: Attributes::stored(document.attributes.iter().map(|(n, v)| (&**n, &**v)))?,
            tags: Tags::stored(document.tags.iter().map(|t| &**t))?,
            status: Status::parse(&document.status)?,
            deleted_from: document.deleted_from.as_deref().map(Status::parse).transpose()?,
            version: Version(document.version),
        };
        let updated_at = Timestamp::from_millisecond(document.updated_at).unwrap_or_default();
        Ok(Self { product, event_id: document.event_id, updated_at })
    }
}
