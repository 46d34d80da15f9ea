//! A product as a read model holds it.

use domain::{FoldError, Product, ProductId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::model::{EffectiveEvent, Head, State};

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
    pub(crate) fn fold(before: Option<Self>, record: &EffectiveEvent) -> Result<Self, FoldError> {
        let (product, before) = match before {
            Some(stored) => (Some(stored.product), stored.updated_at),
            None => (None, record.place.appended_at),
        };
        let product = domain::evolve(product, &record.product, record.version, &record.event)?;
        Ok(Self { product, event_id: record.event_id, updated_at: before.max(record.place.appended_at) })
    }
}

impl StoredProduct {
    /// About how many bytes it has in an answer, whichever form that takes.
    pub fn size(&self) -> usize {
        /// Names of fields, numbers, times and ids.
        const FIXED: usize = 512;
        /// What frames a text.
        const FRAME: usize = 8;
        let product = &self.product;
        let texts = [
            product.name.as_str(),
            product.description.as_str(),
            product.category.as_str(),
            product.brand.as_str(),
        ];
        let attributes: usize =
            product.attributes.iter().map(|(name, value)| name.len() + value.len() + 2 * FRAME).sum();
        let tags: usize = product.tags.iter().map(|tag| tag.len() + FRAME).sum();
        FIXED + texts.map(str::len).iter().sum::<usize>() + attributes + tags
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
        /// Allocations beside the letters.
        const MEMORY: usize = 512;
        Self::size(self)
            + MEMORY
            + 64 * (2 * self.product.attributes.iter().len() + self.product.tags.iter().len())
    }
}
