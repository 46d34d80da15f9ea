//! The pure part of `prices`: what each product costs, and what it cost before.

use adapter_cql::Schema;
use domain::{Event, FoldError, Money, ProductId, Version};

use crate::declared::{Declared, Holds, On, Table};
use crate::model::{EffectiveEvent, Fold, Folded, Head, RowChange, State};

/// The read model `prices`.
#[derive(Debug, Clone, Copy)]
pub enum Prices {}

/// The state row: what a product costs now.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    product: ProductId,
    head: Head,
    now: Money,
    /// How often that changed.
    changes: u32,
}

impl State for Price {
    fn product(&self) -> &ProductId {
        &self.product
    }

    fn head(&self) -> Head {
        self.head
    }

    fn size(&self) -> usize {
        100
    }
}

/// The price that an event gives its product.
fn price_in(event: &Event) -> Option<Money> {
    match event {
        Event::ProductCreated(created) => Some(created.price),
        Event::PriceChanged(changed) => Some(changed.price),
        Event::DetailsRevised(_)
        | Event::ProductMoved(_)
        | Event::ProductListed(_)
        | Event::ProductDiscontinued(_)
        | Event::ProductDeleted(_)
        | Event::ProductRestored(_) => None,
    }
}

impl Fold for Prices {
    const DECLARED: &'static Declared = &Declared {
        name: "prices",
        format: 2,
        tables: &[
            Table { name: "prices", holds: Holds::Products },
            Table { name: "price_changes", holds: Holds::Some },
        ],
        on: On::Cql(Schema { name: "prices/tables.cql", text: include_str!("tables.cql") }),
    };
    type State = Price;
    /// Each price a product ever had is a row.
    type Key = (ProductId, Version);
    type Row = Money;

    fn fold(state: Option<Price>, record: &EffectiveEvent) -> Result<Folded<Self>, FoldError> {
        let new = price_in(&record.event);
        let count = state.as_ref().map_or(0, |state| state.changes + u32::from(new.is_some()));
        let now = new.or(state.map(|state| state.now));
        let now = now.ok_or(FoldError::NotCreated(record.event.type_name()))?;
        let head = Head { version: record.version, event_id: record.event_id };
        let state = Price { product: record.product.clone(), head, now, changes: count };
        let changes = new.map(|price| ((record.product.clone(), record.version), Some(price)));
        Ok(Folded { state, changes: changes.into_iter().collect() })
    }

    fn again(_state: &Price, record: &EffectiveEvent) -> Vec<RowChange<Self>> {
        let EffectiveEvent { product, version, .. } = record.clone();
        let row = price_in(&record.event);
        let again =
            row.map(|row| RowChange { key: (product.clone(), version), product, version, row: Some(row) });
        again.into_iter().collect()
    }
}
