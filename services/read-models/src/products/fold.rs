//! The pure part of `products`.

use domain::{CategoryPath, FoldError, ProductId, Status};

use super::{BUCKETS, NAME};
use crate::StoredProduct;
use crate::model::{Folded, ReadModel, Recorded};
use crate::page::stable_hash;

/// The read model `products`.
#[derive(Debug, Clone, Copy)]
pub enum Products {}

/// The key of a row of `products_by_category`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CategoryKey {
    pub category: CategoryPath,
    pub product: ProductId,
}

impl CategoryKey {
    /// The bucket of the category that the product lies in: the same for ever.
    pub fn bucket(&self) -> u8 {
        (stable_hash(self.product.as_str().as_bytes()) % u64::from(BUCKETS)) as u8
    }
}

impl ReadModel for Products {
    const NAME: &'static str = NAME;
    type State = StoredProduct;
    type Key = CategoryKey;
    type Row = StoredProduct;

    fn fold(state: Option<StoredProduct>, record: &Recorded) -> Result<Folded<Self>, FoldError> {
        let category_before = state.as_ref().map(|stored| stored.product.category.clone());
        let state = StoredProduct::fold(state, record)?;
        let key = |category| CategoryKey { category, product: record.product.clone() };
        let mut changes = Vec::with_capacity(2);
        if let Some(before) = category_before.filter(|before| *before != state.product.category) {
            changes.push((key(before), None));
        }
        let listed = state.product.status != Status::Deleted;
        changes.push((key(state.product.category.clone()), listed.then(|| state.clone())));
        Ok(Folded { state, changes })
    }
}
