//! A product as a read model holds it.

use domain::Product;
use jiff::Timestamp;
use uuid::Uuid;

/// A product with what its row says about the event that made it so. Deleted products are here too: see `product.status`.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProduct {
    pub product: Product,
    /// The event that gave the product this version.
    pub event_id: Uuid,
    /// When that event was appended, by the broker's clock.
    pub updated_at: Timestamp,
}
