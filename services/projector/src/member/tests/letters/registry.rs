//! While the registry is away only products wait whose records cannot be read without it.

use adapter_registry::Registry;
use contract::avro::KnownSchema;
use event_reader::{SchemaSource, SourceError};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;

/// A registry that can be away.
pub(super) struct Schemas {
    there: Arc<dyn SchemaSource>,
    is_away: Arc<AtomicBool>,
}

impl Schemas {
    pub(super) fn new(registry: &LocalRegistry, is_away: &Arc<AtomicBool>) -> Self {
        let there = Arc::new(Registry::Local(registry.clone()).of_topic("events"));
        Self { there, is_away: Arc::clone(is_away) }
    }
}

impl SchemaSource for Schemas {
    fn ids(&self) -> BoxFuture<'_, Result<Vec<(KnownSchema, u32)>, SourceError>> {
        self.there.ids()
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        if self.is_away.load(Ordering::Acquire) {
            let error = SourceError { problem: "it is away".to_owned(), transient: true };
            return std::future::ready(Err(error)).boxed();
        }
        self.there.schema(id)
    }
}

impl World {
    fn registry_is(&self, is_away: bool) {
        self.registry_is_away.store(is_away, Ordering::Release);
    }
}

#[tokio::test]
async fn while_the_registry_is_away_only_the_products_wait_that_need_it_and_go_on_by_themselves() {
    let mut world = World::new();
    for (product, wrong) in [
        ("a", Wrong::Nothing),
        ("b", Wrong::Nothing),
        ("a", Wrong::Late),
        ("b", Wrong::Nothing),
        ("a", Wrong::Nothing),
        ("c", Wrong::Nothing),
        ("c", Wrong::Late),
        ("b", Wrong::Nothing),
    ] {
        world.append(product, wrong);
    }
    world.cure();
    world.registry_is(true);
    world.restart().await;
    let waits = |offset| (offset, Kind::SchemaUnavailable);
    let follows = |offset| (offset, Kind::Follows);
    world.has(&[waits(2), follows(4), waits(6)]).await;
    world.rows(&[("a", 1), ("b", 3), ("c", 1)]);

    // Another process comes to the same.
    world.restart().await;
    world.append("a", Wrong::Nothing);
    world.append("b", Wrong::Nothing);
    world.has(&[waits(2), follows(4), waits(6), follows(8)]).await;
    world.rows(&[("a", 1), ("b", 4), ("c", 1)]);

    world.registry_is(false);
    world.has(&[]).await;
    world.rows(&[("a", 4), ("b", 4), ("c", 2)]);
    world.append("a", Wrong::Late);
    world.append("c", Wrong::Nothing);
    world.has(&[]).await;
    world.rows(&[("a", 5), ("b", 4), ("c", 3)]);
    world.equals_one_that_never_failed().await;
}

#[tokio::test]
async fn what_the_registry_does_not_know_when_it_is_back_stays_parked_as_what_nobody_can_read() {
    let mut world = World::new();
    for (product, wrong) in
        [("a", Wrong::Nothing), ("a", Wrong::Late), ("b", Wrong::Nothing), ("a", Wrong::Nothing)]
    {
        world.append(product, wrong);
    }
    world.registry_is(true);
    world.restart().await;
    world.has(&[(1, Kind::SchemaUnavailable), (3, Kind::Follows)]).await;
    world.registry_is(false);
    world.has(&[(1, Kind::Undecodable), (3, Kind::Follows)]).await;
    world.rows(&[("a", 1), ("b", 1)]);
}

#[tokio::test]
async fn a_registry_that_is_away_for_a_moment_parks_nothing() {
    let mut world = World::new();
    for (product, wrong) in [("a", Wrong::Nothing), ("a", Wrong::Late), ("b", Wrong::Nothing)] {
        world.append(product, wrong);
    }
    world.cure();
    world.registry_is(true);
    world.restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.letters().is_empty(), "{:?}", world.letters());
    world.registry_is(false);
    world.has(&[]).await;
    world.rows(&[("a", 2), ("b", 1)]);
}
