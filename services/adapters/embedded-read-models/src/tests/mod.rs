//! Several builds of each read model, on a real disk.

mod builds;
mod rows;

use domain::{
    Attributes, Brand, CategoryPath, Description, Event, InitialStatus, Money, Name, PriceChanged,
    ProductCreated, ProductDeleted, ProductId, ProductMoved, Sku, Tags, Version,
};
use jiff::Timestamp;
use read_models::model::{
    EffectiveEvent, Fold, LogPosition, Meta, Opens, Position, Positions, Store, Wanted,
};
use read_models::projection::Projection;
use read_models::{Generation, ReadModel};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use toolkit::retry::Retry;
use uuid::Uuid;

use crate::{Embedded, Options};

const GROUP: &str = "test";

fn open(dir: &TempDir) -> Embedded {
    Embedded::open(dir.path(), &Options::of_log("a log")).unwrap()
}

fn g(number: u32) -> Generation {
    Generation::try_from(number).unwrap()
}

fn of<M: Fold>() -> ReadModel {
    M::DECLARED.name.parse().unwrap()
}

fn retry() -> Retry {
    Retry::until(CancellationToken::new())
}

fn id(n: usize) -> ProductId {
    ProductId::parse(&format!("p-{n:04}")).unwrap()
}

fn created(n: usize) -> Event {
    Event::ProductCreated(ProductCreated {
        sku: Sku::parse(&format!("RING-{n}")).unwrap(),
        name: Name::parse(&format!("Golden ring number {n}")).unwrap(),
        description: Description::parse("made by {hand}").unwrap(),
        category: CategoryPath::parse("rings/gold").unwrap(),
        brand: Brand::parse("Aurum").unwrap(),
        price: Money::new(1_000 + n as i64, "EUR").unwrap(),
        attributes: Attributes::parse([("size", "m"), ("color", "white")]).unwrap(),
        tags: Tags::parse(["new", "gift"]).unwrap(),
        status: InitialStatus::Listed,
    })
}

/// The records of a product: it is created, moved, has another price, and every third is deleted.
fn life(n: usize) -> Vec<EffectiveEvent> {
    let category = CategoryPath::parse(&format!("rings/{}", n % 7)).unwrap();
    let mut events = vec![
        created(n),
        Event::ProductMoved(ProductMoved { category }),
        Event::PriceChanged(PriceChanged { price: Money::new(n as i64, "EUR").unwrap() }),
    ];
    if n.is_multiple_of(3) {
        events.push(Event::ProductDeleted(ProductDeleted { reason: None }));
    }
    let recorded = |(i, event): (usize, Event)| EffectiveEvent {
        product: id(n),
        version: Version(i as u64 + 1),
        event_id: Uuid::from_u128((n * 1_000 + i) as u128),
        event,
        place: LogPosition {
            partition: 0,
            offset: (n * 10 + i) as i64,
            appended_at: Timestamp::from_second(i as i64 + 1).unwrap(),
        },
        meta: Meta { actor: Some("ann".to_owned()), ..Meta::default() },
    };
    events.into_iter().enumerate().map(recorded).collect()
}

fn lives(products: std::ops::Range<usize>) -> Vec<EffectiveEvent> {
    products.flat_map(life).collect()
}

/// Folds the records and writes them, as a projector does, and then how far it has come.
async fn fill<M: Fold>(store: &impl Store<M>, records: &[EffectiveEvent]) {
    let mut projection = Projection::<M>::new(10_000, 1 << 24);
    projection.begin();
    let missing = projection.missing(records);
    let states = store.load(&missing).await.unwrap();
    for (wanted, state) in missing.into_iter().zip(states) {
        projection.loaded(wanted.product, state);
    }
    for record in records {
        projection.apply(record).unwrap();
    }
    store.write(projection.take_writes(), &retry()).await.unwrap();
    let reached = records.last().map_or(0, |record| record.place.offset + 1);
    let position = Position { applied: reached, durable: reached, log: None };
    store.positions().write(GROUP, 0, position).await.unwrap();
}

async fn store<M: Fold>(embedded: &Embedded, generation: Generation) -> <Embedded as Opens<M>>::Store
where
    Embedded: Opens<M>,
{
    Opens::<M>::open(embedded, generation).await.unwrap()
}

async fn applied<M: Fold>(store: &impl Store<M>) -> Option<i64> {
    store.positions().read(GROUP, 0).await.unwrap().map(|position| position.applied)
}

fn newest(n: usize) -> Wanted {
    Wanted { product: id(n), version: Version(i64::MAX as u64), event_id: Uuid::nil() }
}

/// Which version of a product's state is there.
async fn version<M: Fold>(store: &impl Store<M>, n: usize) -> Option<u64> {
    use read_models::model::State;
    let found = store.load(&[newest(n)]).await.unwrap();
    found[0].as_ref().map(|state| state.head().version.get())
}
