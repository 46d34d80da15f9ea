//! The pure part of `search`.

use std::convert::Infallible;

use domain::FoldError;

use super::{INDEX, PARKED, POSITIONS};
use crate::StoredProduct;
use crate::declared::{Declared, Holds, On, Table};
use crate::model::{EffectiveEvent, Fold, Folded, RowChange};

/// The read model `search`.
#[derive(Debug, Clone, Copy)]
pub enum SearchModel {}

impl Fold for SearchModel {
    const DECLARED: &'static Declared = &Declared {
        name: "search",
        format: 1,
        tables: &[Table { name: "search", holds: Holds::Products }],
        on: On::Search { index: INDEX, positions: POSITIONS, parked: PARKED },
    };
    type State = StoredProduct;
    /// The document is the state; there are no further rows.
    type Key = Infallible;
    type Row = Infallible;

    fn fold(state: Option<StoredProduct>, record: &EffectiveEvent) -> Result<Folded<Self>, FoldError> {
        Ok(Folded { state: StoredProduct::fold(state, record)?, changes: Vec::new() })
    }

    /// None: a document that is there is whole.
    fn again(_state: &StoredProduct, _record: &EffectiveEvent) -> Vec<RowChange<Self>> {
        Vec::new()
    }
}
