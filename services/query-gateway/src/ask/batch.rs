//! Several products at once.
//!
//! Promise: neither what is read nor the answer is larger than a page, whatever the products hold; what had no room is named,
//! so that it can be asked for again.

use read_models::marks::Mark;
use read_models::page::Budget;
use read_models::{ProductId, Status, StoredProduct};

use super::ApiError;

/// Products read at once: as large as products can be, these are a few megabytes.
const READ_AT_ONCE: usize = 16;

/// A product among several: there, deleted, or never heard of.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Here(Box<StoredProduct>),
    Gone(ProductId),
    Missing(ProductId),
}

/// The answer to a question for several products.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// The first products asked for, in the order asked for.
    pub(crate) found: Vec<Found>,
    /// Which of them are parked, in the same order; none at all where nothing is.
    pub(crate) marks: Vec<Option<Mark>>,
    /// Those that the answer had no room for: to be asked for again.
    pub(crate) remaining: Vec<ProductId>,
}

impl Batch {
    /// Reads products with `read` as long as there is room for them.
    pub(super) async fn read<'a, F>(
        ids: &'a [ProductId],
        read: impl Fn(&'a [ProductId]) -> F,
    ) -> Result<Self, ApiError>
    where
        F: Future<Output = Result<Vec<Option<StoredProduct>>, ApiError>>,
    {
        let mut budget = Budget::of_a_page();
        let mut found = Vec::new();
        for chunk in ids.chunks(READ_AT_ONCE) {
            let before = found.len();
            let products = chunk.iter().zip(read(chunk).await?).map(|(id, product)| Found::new(id, product));
            found.extend(products.take_while(|product| budget.takes(product.size())));
            if found.len() < before + chunk.len() {
                break;
            }
        }
        let remaining = ids[found.len()..].to_vec();
        Ok(Self { found, marks: Vec::new(), remaining })
    }

    /// With the marks of the products asked for.
    pub(super) fn marked(self, marks: Vec<Option<Mark>>) -> Self {
        Self { marks, ..self }
    }

    /// Each product, and whether it is parked.
    pub(crate) fn each(self) -> impl Iterator<Item = (Found, Option<Mark>)> {
        self.found.into_iter().zip(self.marks.into_iter().chain(std::iter::repeat(None)))
    }
}

impl Found {
    fn new(id: &ProductId, found: Option<StoredProduct>) -> Self {
        match found {
            None => Self::Missing(id.clone()),
            Some(found) if found.product.status == Status::Deleted => Self::Gone(id.clone()),
            Some(found) => Self::Here(Box::new(found)),
        }
    }

    /// About how many bytes it has in an answer.
    fn size(&self) -> usize {
        match self {
            Self::Here(found) => found.size(),
            Self::Gone(id) | Self::Missing(id) => id.as_str().len(),
        }
    }
}

#[cfg(test)]
mod tests;
