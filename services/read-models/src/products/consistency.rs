//! Whether a list can be trusted to show a product as a write left it: rows that a store lost after it acknowledged them are
//! written again by the projector, and until then a list would be wrong without anyone noticing.

use std::time::Duration;

use domain::{ProductId, Status, Version};

use super::{CategoryKey, Queries};
use crate::QueryError;

/// How long the rows of an event take to be written, usually.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

impl Queries {
    /// Whether the product's row has come to `version`, and its category's list holds it as the row says, or rightly not.
    pub async fn is_consistent(&self, id: &ProductId, version: Version) -> Result<bool, QueryError> {
        if version == Version::NONE || self.is_listed_right(id, version).await? {
            return Ok(true);
        }
        // Its next event may be on its way: the list's rows are written first.
        tokio::time::sleep(ON_ITS_WAY).await;
        self.is_listed_right(id, version).await
    }

    async fn is_listed_right(&self, id: &ProductId, version: Version) -> Result<bool, QueryError> {
        let Some(stored) = self.product(id).await? else { return Ok(false) };
        if stored.product.version < version {
            return Ok(false);
        }
        let key = CategoryKey { category: stored.product.category.clone(), product: id.clone() };
        let listed = self.rows.listed(&key).await?;
        // A list's row is written before the product's: it may be newer, and then the product may be on its way elsewhere.
        Ok(match stored.product.status {
            Status::Deleted => listed.is_none_or(|listed| listed > stored.product.version),
            Status::Draft | Status::Listed | Status::Discontinued => {
                listed.is_some_and(|listed| listed >= stored.product.version)
            }
        })
    }
}
