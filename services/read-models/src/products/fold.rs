//! The pure part of `products`.

use std::sync::Arc;

use domain::{CategoryPath, FoldError, ProductId, Status, Version};

use super::{BUCKETS, BY_CATEGORY, PRODUCTS, SCHEMA};
use crate::StoredProduct;
use crate::declared::{Declared, On};
use crate::model::{EffectiveEvent, Fold, Folded, Head, RowChange, State};
use crate::page::stable_hash;

/// The read model `products`.
#[derive(Debug, Clone, Copy)]
pub enum Products {}

/// The state row: the product as it is, and the categories it was moved out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductState {
    /// Shared with the rows and writes it is in: a batch holds each product once.
    pub stored: Arc<StoredProduct>,
    /// With the version that moved it, newest last, each category once. Events say where a product goes and not where from:
    /// without it, a lost delete of a list's row could not be written again.
    pub left: Vec<(CategoryPath, Version)>,
}

/// The most categories remembered. More moves of one product than this within a store's durability window would leave a row
/// in a list, should the store crash just then.
const MAX_LEFT: usize = 32;

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

impl State for ProductState {
    fn product(&self) -> &ProductId {
        self.stored.product()
    }

    fn head(&self) -> Head {
        self.stored.head()
    }

    fn size(&self) -> usize {
        State::size(&*self.stored)
            + self.left.iter().map(|(category, _)| category.as_str().len() + 32).sum::<usize>()
    }
}

impl ProductState {
    fn category(&self) -> &CategoryPath {
        &self.stored.product.category
    }

    fn change(&self, category: CategoryPath, version: Version, is_here: bool) -> RowChange<Products> {
        let product = self.stored.product.id.clone();
        let row = is_here.then(|| Arc::clone(&self.stored));
        RowChange { key: CategoryKey { category, product: product.clone() }, product, version, row }
    }

    /// The row of the product in the list of its category, or that there is none.
    fn listing(&self) -> RowChange<Products> {
        let is_listed = self.stored.product.status != Status::Deleted;
        self.change(self.category().clone(), self.stored.product.version, is_listed)
    }
}

impl Fold for Products {
    const DECLARED: &'static Declared =
        &Declared { name: "products", format: 1, tables: &[PRODUCTS, BY_CATEGORY], on: On::Cql(SCHEMA) };
    type State = ProductState;
    type Key = CategoryKey;
    type Row = Arc<StoredProduct>;

    fn fold(state: Option<ProductState>, record: &EffectiveEvent) -> Result<Folded<Self>, FoldError> {
        let (before, mut left) = match state {
            Some(state) => (Some(Arc::unwrap_or_clone(state.stored)), state.left),
            None => (None, Vec::new()),
        };
        let category_before = before.as_ref().map(|stored| stored.product.category.clone());
        let stored = Arc::new(StoredProduct::fold(before, record)?);
        let moved_from = category_before.filter(|before| *before != stored.product.category);
        if let Some(category) = &moved_from {
            left.retain(|(it, _)| it != category && *it != stored.product.category);
            left.push((category.clone(), record.version));
            left.drain(..left.len().saturating_sub(MAX_LEFT));
        }
        let state = ProductState { stored, left };
        let moved_from = moved_from.map(|category| state.change(category, record.version, false));
        let changes = moved_from.into_iter().chain([state.listing()]);
        let changes = changes.map(|change| (change.key, change.row)).collect();
        Ok(Folded { state, changes })
    }

    fn again(state: &ProductState, record: &EffectiveEvent) -> Vec<RowChange<Self>> {
        let left = state.left.iter().filter(|(_, version)| *version == record.version);
        let left = left.map(|(category, version)| state.change(category.clone(), *version, false));
        left.chain([state.listing()]).collect()
    }
}
