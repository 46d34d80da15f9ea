//! Records for the folds' tests.

use domain::{
    Attributes, Brand, CategoryPath, Description, Event, InitialStatus, Money, Name, PriceChanged,
    ProductCreated, ProductDeleted, ProductId, ProductMoved, ProductRestored, Sku, Status, Tags, Version,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::model::{EffectiveEvent, LogPosition, Meta};

pub(crate) fn category(path: &str) -> CategoryPath {
    CategoryPath::parse(path).unwrap()
}

pub(crate) fn created(path: &str) -> Event {
    Event::ProductCreated(ProductCreated {
        sku: Sku::parse("RING-1").unwrap(),
        name: Name::parse("Ring").unwrap(),
        description: Description::parse("two\nlines").unwrap(),
        category: category(path),
        brand: Brand::parse("Acme").unwrap(),
        price: Money::new(1_999, "EUR").unwrap(),
        attributes: Attributes::parse([("cut", "ideal"), ("note", "a=b")]).unwrap(),
        tags: Tags::parse(["new"]).unwrap(),
        status: InitialStatus::Listed,
    })
}

pub(crate) fn priced(minor_units: i64) -> Event {
    Event::PriceChanged(PriceChanged { price: Money::new(minor_units, "EUR").unwrap() })
}

pub(crate) fn moved(path: &str) -> Event {
    Event::ProductMoved(ProductMoved { category: category(path) })
}

pub(crate) fn deleted() -> Event {
    Event::ProductDeleted(ProductDeleted { reason: None })
}

pub(crate) fn restored() -> Event {
    Event::ProductRestored(ProductRestored { status: Status::Listed })
}

/// The record that gives product `p` this version.
pub(crate) fn recorded(version: u64, appended_ms: i64, event: Event) -> EffectiveEvent {
    EffectiveEvent {
        product: ProductId::parse("p").unwrap(),
        version: Version(version),
        event_id: Uuid::from_u128(u128::from(version)),
        event,
        place: LogPosition {
            partition: 3,
            offset: 10 + version as i64,
            appended_at: Timestamp::from_millisecond(appended_ms).unwrap(),
        },
        meta: Meta { actor: Some("ann".to_owned()), ..Meta::default() },
    }
}
