//! A product as a read model holds it.

use domain::{FoldError, Product, ProductId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::model::{Head, Recorded, State};

/// A product with what its row says about the event that made it so. Deleted products are here too: see `product.status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProduct {
    pub product: Product,
    /// The event that gave the product this version.
    pub event_id: Uuid,
    /// When that event was appended, by the broker's clock.
    pub updated_at: Timestamp,
}

impl StoredProduct {
    /// Folds a record into what was stored before; the time never runs backwards, whichever broker wrote it.
    pub(crate) fn fold(before: Option<Self>, record: &Recorded) -> Result<Self, FoldError> {
        let (product, before) = match before {
            Some(stored) => (Some(stored.product), stored.updated_at),
            None => (None, record.place.appended_at),
        };
        let product = domain::evolve(product, &record.product, record.version, &record.event)?;
        Ok(Self { product, event_id: record.event_id, updated_at: before.max(record.place.appended_at) })
    }
}

impl State for StoredProduct {
    fn product(&self) -> &ProductId {
        &self.product.id
    }

    fn head(&self) -> Head {
        Head { version: self.product.version, event_id: self.event_id }
    }

    fn size(&self) -> usize {
        /// What a product takes beside its texts, and each text and entry of a collection beside its letters.
        const PRODUCT: usize = 500;
        const ENTRY: usize = 64;
        let Product { id, sku, name, description, category, brand, attributes, tags, .. } = &self.product;
        let texts = [
            id.as_str(),
            sku.as_str(),
            name.as_str(),
            description.as_str(),
            category.as_str(),
            brand.as_str(),
        ];
        let attributes = attributes.iter().map(|(name, value)| name.len() + value.len() + 2 * ENTRY);
        let tags = tags.iter().map(|tag| tag.len() + ENTRY);
        PRODUCT + texts.iter().map(|text| text.len()).chain(attributes).chain(tags).sum::<usize>()
    }
}
