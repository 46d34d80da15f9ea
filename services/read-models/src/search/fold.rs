//! The pure part of `search`.

use std::convert::Infallible;

use domain::FoldError;

use super::NAME;
use crate::StoredProduct;
use crate::model::{Folded, ReadModel, Recorded, RowChange};

/// The read model `search`.
#[derive(Debug, Clone, Copy)]
pub enum SearchModel {}

impl ReadModel for SearchModel {
    const NAME: &'static str = NAME;
    type State = StoredProduct;
    /// The document is the state; there are no further rows.
    type Key = Infallible;
    type Row = Infallible;

    fn fold(state: Option<StoredProduct>, record: &Recorded) -> Result<Folded<Self>, FoldError> {
        Ok(Folded { state: StoredProduct::fold(state, record)?, changes: Vec::new() })
    }

    /// None: a document that is there is whole.
    fn again(_state: &StoredProduct, _record: &Recorded) -> Vec<RowChange<Self>> {
        Vec::new()
    }
}
