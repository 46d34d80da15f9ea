//! Records, and how a projector folds and writes them.

use domain::{
    Attributes, Brand, CategoryPath, Description, Event, InitialStatus, Money, Name, PriceChanged,
    ProductCreated, ProductDeleted, ProductId, ProductMoved, Sku, Tags, Version,
};
use jiff::Timestamp;
use read_models::model::{EffectiveEvent, Fold, LogPosition, Meta, Store, Writes};
use read_models::projection::{Outcome, Projection};
use tokio_util::sync::CancellationToken;
use toolkit::retry::Retry;
use uuid::Uuid;

pub(crate) fn retry() -> Retry {
    Retry::until(CancellationToken::new())
}

pub(crate) fn id(n: usize) -> ProductId {
    ProductId::parse(&format!("p-{n:03}")).unwrap()
}

pub(crate) fn created(n: usize, category: &str) -> Event {
    Event::ProductCreated(ProductCreated {
        sku: Sku::parse(&format!("RING-{n}")).unwrap(),
        name: Name::parse(&format!("Golden ring number {n}")).unwrap(),
        description: Description::parse("made by hand").unwrap(),
        category: CategoryPath::parse(category).unwrap(),
        brand: Brand::parse(if n.is_multiple_of(2) { "Aurum" } else { "Argent" }).unwrap(),
        price: Money::new(1_000 + n as i64, "EUR").unwrap(),
        attributes: Attributes::parse([("size", if n.is_multiple_of(2) { "m" } else { "l" })]).unwrap(),
        tags: Tags::parse(["gift"]).unwrap(),
        status: InitialStatus::Listed,
    })
}

pub(crate) fn priced(minor_units: i64) -> Event {
    Event::PriceChanged(PriceChanged { price: Money::new(minor_units, "EUR").unwrap() })
}

pub(crate) fn moved(category: &str) -> Event {
    Event::ProductMoved(ProductMoved { category: CategoryPath::parse(category).unwrap() })
}

pub(crate) fn deleted() -> Event {
    Event::ProductDeleted(ProductDeleted { reason: None })
}

/// The records that give product `n` these events, a second apart.
pub(crate) fn records(n: usize, events: Vec<Event>) -> Vec<EffectiveEvent> {
    let recorded = |(i, event): (usize, Event)| EffectiveEvent {
        product: id(n),
        version: Version(i as u64 + 1),
        event_id: Uuid::from_u128((n * 1_000 + i) as u128),
        event,
        place: LogPosition {
            partition: 0,
            offset: (n * 1_000 + i) as i64,
            appended_at: Timestamp::from_second(i as i64 + 1).unwrap(),
        },
        meta: Meta { actor: Some("ann".to_owned()), ..Meta::default() },
    };
    events.into_iter().enumerate().map(recorded).collect()
}

/// Folds records as a projector does, on what the store holds.
pub(crate) async fn fold<M: Fold, S: Store<M>>(store: &S, records: &[EffectiveEvent]) -> Writes<M> {
    let mut projection = Projection::<M>::new(1_000, 1 << 20);
    projection.begin();
    let missing = projection.missing(records);
    let states = store.load(&missing).await.unwrap();
    for (wanted, state) in missing.into_iter().zip(states) {
        projection.loaded(wanted.product, state);
    }
    for record in records {
        let outcome = projection.apply(record).unwrap();
        assert!(matches!(outcome, Outcome::Applied | Outcome::AlreadyApplied), "{outcome:?}");
    }
    projection.take_writes()
}

pub(crate) async fn project<M: Fold, S: Store<M>>(store: &S, records: &[EffectiveEvent]) {
    store.write(fold(store, records).await, &retry()).await.unwrap();
}
