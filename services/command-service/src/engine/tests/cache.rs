//! With a cache on disk: products that left memory, restarts, and what lies there of something else.

use std::path::PathBuf;

use super::*;
use crate::config::CacheConfig;

const PRODUCTS: u64 = 1_500;

/// A directory that is gone with the test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("folio-cache-{}", Uuid::new_v4())))
    }

    /// Few products in memory, saved often.
    fn cache(&self) -> CacheConfig {
        CacheConfig {
            dir: Some(self.0.clone()),
            hot_products: 50,
            save_ms: 20,
            memory_mib: 1,
            ..CacheConfig::default()
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn keyed(key: &str, mut requested: contract::AddressedCommand) -> contract::AddressedCommand {
    requested.idempotency_key = Some(contract::IdempotencyKey::parse(key).unwrap());
    requested
}

async fn execute_all(
    world: &World,
    wishes: impl Iterator<Item = contract::AddressedCommand>,
) -> Vec<Outcome> {
    let pending: Vec<_> = wishes
        .map(|requested| world.door.submit(requested, &Caller::default(), Transport::Local).unwrap())
        .collect();
    let mut outcomes = Vec::new();
    for one in pending {
        outcomes.push(one.outcome().await.unwrap());
    }
    outcomes
}

/// Ends the instance, and waits until it has let go of its directory.
async fn end(world: World, dir: &Dir) -> LiveTopic {
    let live = world.live.clone();
    drop(world);
    let lock = std::fs::File::open(dir.0.join("lock")).unwrap();
    eventually("the cache is closed", || lock.try_lock().is_ok()).await;
    live
}

pub(super) fn metric(world: &World, name: &str) -> f64 {
    let text = world.telemetry.render_metrics().unwrap();
    text.lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn products_that_left_memory_are_decided_on_what_was_saved_and_survive_a_restart() {
    let dir = Dir::new();
    let world = World::start_caching(LiveTopic::new(4, Faults::NONE), &dir.cache(), "a").await;
    let created =
        execute_all(&world, (0..PRODUCTS).map(|n| keyed(&format!("create-{n}"), create(&format!("p{n}")))))
            .await;
    assert!(created.iter().all(|outcome| outcome.version == 1));
    eventually("most products have left memory", || metric(&world, "folio_hot_products") < 700.0).await;
    let changed = execute_all(&world, (0..PRODUCTS).map(|n| price(&format!("p{n}"), 1_000 + n))).await;
    assert!(changed.iter().all(|outcome| (outcome.kind, outcome.version) == (Kind::Accepted, 2)));
    assert!(metric(&world, "folio_cache_cold_loads_total") > 500.0);

    let live = end(world, &dir).await;
    let before = live.topic.records(Partition(0)).len();
    let world = World::start_caching(live, &dir.cache(), "a").await;
    let again =
        execute_all(&world, (0..PRODUCTS).map(|n| keyed(&format!("create-{n}"), create(&format!("p{n}")))))
            .await;
    for (first, again) in created.iter().zip(&again) {
        assert!(again.replayed);
        assert_eq!((again.version, again.event_id), (1, first.event_id));
    }
    let same = execute_all(&world, (0..PRODUCTS).map(|n| price(&format!("p{n}"), 1_000 + n))).await;
    assert!(same.iter().all(|outcome| (outcome.kind, outcome.version) == (Kind::NoEffect, 2)));
    assert_eq!(world.live.topic.records(Partition(0)).len(), before);
    assert_eq!(metric(&world, "folio_cache_discarded_total") as u64, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_of_another_log_is_discarded_whatever_it_calls_itself() {
    for name in ["a", "b"] {
        let dir = Dir::new();
        let world = World::start_caching(LiveTopic::new(4, Faults::NONE), &dir.cache(), "a").await;
        execute_all(&world, (0..40).map(|n| create(&format!("p{n}")))).await;
        execute_all(&world, (0..40).map(|n| price(&format!("p{n}"), 5))).await;
        end(world, &dir).await;
        // The same length, so that every offset of the old log is one of the new.
        let other = LiveTopic::new(4, Faults::NONE);
        let writer = World::start_on(other.clone(), EngineConfig::default()).await;
        execute_all(&writer, (0..80).map(|n| create(&format!("p{n}")))).await;
        let world = World::start_caching(other, &dir.cache(), name).await;
        let changed = execute_all(&world, (0..80).map(|n| price(&format!("p{n}"), 5))).await;
        assert!(changed.iter().all(|outcome| (outcome.kind, outcome.version) == (Kind::Accepted, 2)));
        assert!(metric(&world, "folio_cache_discarded_total") >= 1.0);
    }
}

#[tokio::test]
async fn large_products_leave_memory_though_they_are_few() {
    let dir = Dir::new();
    let config = CacheConfig { hot_products: 1_000_000, hot_mib: 4, ..dir.cache() };
    let world = World::start_caching(LiveTopic::new(4, Faults::NONE), &config, "log").await;
    let large = |n: usize| {
        let mut payload = crate::testing::diamond();
        payload["description"] = "x".repeat(10_000).into();
        let line = serde_json::json!({"command": "create_product", "product_id": format!("p{n}"), "payload": payload});
        crate::testing::command(&line)
    };
    execute_all(&world, (0..PRODUCTS as usize).map(large)).await;
    let bytes = || metric(&world, "folio_hot_bytes");
    eventually("they have left memory", || (1.0..=4.0 * 1024.0 * 1024.0).contains(&bytes())).await;
    let hot = metric(&world, "folio_hot_products");
    assert!((1.0..450.0).contains(&hot), "{hot} of {PRODUCTS}");
    assert_eq!(execute(&world, price("p0", 9)).await.unwrap().version, 2);
}
