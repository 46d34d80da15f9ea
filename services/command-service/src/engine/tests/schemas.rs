//! Records of other writers whose schema ids are not known yet.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{AppendId, EventLog, Headers, NewRecord, RecordKey, Subject};

use super::*;

/// Hears nothing.
struct Deaf;

impl ledger::Inbox for Deaf {
    fn deliver(&self, _: Signal) {}
}

/// The creation of a product, with this schema id in its frame.
fn record(product: &str, schema: u32) -> NewRecord {
    let ids = SchemaIds::without_registry();
    let contract::AddressedCommand { command, .. } = create(product);
    let domain::Decision::Event(event) = domain::decide(None, &command) else { panic!("it creates") };
    let mut value = contract::avro::encode(&event, &ids).unwrap().to_vec();
    value[1..5].copy_from_slice(&schema.to_be_bytes());
    let subject = Subject::parse(product).unwrap();
    let key = RecordKey { subject, version: 1, basis: 0, event_id: Uuid::new_v4() };
    NewRecord { key, value: Bytes::from(value), headers: Headers::new() }
}

/// Another writer appends these, in this order in each partition.
async fn foreign(world: &World, records: impl IntoIterator<Item = (String, u32)>) {
    let writer = world.live.topic.open(Arc::new(Deaf));
    let partitions = world.log.partitions();
    let count = || (0..partitions).map(|p| world.live.topic.end(Partition(p))).sum::<i64>();
    let before = count();
    let mut appended = 0;
    for (product, schema) in records {
        let partition = ledger::partition_of(&product, partitions);
        writer.append(partition, AppendId(appended), record(&product, schema));
        appended += 1;
    }
    eventually("they stand in the log", || count() == before + appended as i64).await;
}

fn asked(world: &World) -> usize {
    world.registry.asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_schema_id_not_met_before_is_learnt_and_meanwhile_only_its_product_waits() {
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), EngineConfig::default()).await;
    let created = contract::avro::known_schemas()[0];
    world.registry.local.hold(77, "newer", created.text);
    world.registry.away.store(true, Ordering::Relaxed);
    foreign(&world, [("newer".to_owned(), 77)]).await;
    eventually("it is asked for", || asked(&world) > 0).await;
    let refused = execute(&world, price("newer", 9)).await.unwrap_err();
    assert!(refused.code == "not-ready" && refused.detail.contains("schema id"), "{refused:?}");
    assert!(world.lifecycle.readiness().is_ready(), "others go on");
    execute(&world, create("neighbour")).await.unwrap();
    assert_eq!(super::cache::metric(&world, "folio_products_withheld").round() as u64, 1);
    world.registry.away.store(false, Ordering::Relaxed);
    eventually_async("the registry tells it", async || {
        execute(&world, price("newer", 9)).await.is_ok_and(|it| it.version == 2)
    })
    .await;
    eventually("nothing is withheld", || super::cache::metric(&world, "folio_products_withheld") == 0.0)
        .await;
}

#[tokio::test]
async fn a_schema_id_that_the_registry_does_not_know_makes_one_product_unreadable() {
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), EngineConfig::default()).await;
    foreign(&world, [("strange".to_owned(), 99)]).await;
    eventually_async("the product is unreadable", async || {
        execute(&world, price("strange", 9)).await.is_err_and(|it| it.code == "product-unreadable")
    })
    .await;
    world.until_ready().await;
    execute(&world, create("fine")).await.unwrap();
    assert_eq!(super::cache::metric(&world, "ledger_unreadable_records_total").round() as u64, 1);
}

#[tokio::test]
async fn a_void_record_holds_nothing_up_and_asks_nothing_whatever_its_schema_id() {
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), EngineConfig::default()).await;
    execute(&world, create("p")).await.unwrap();
    world.registry.away.store(true, Ordering::Relaxed);
    foreign(&world, (0..50).map(|n| ("p".to_owned(), 1_000 + n))).await;
    assert_eq!(execute(&world, price("p", 9)).await.unwrap().version, 2);
    assert!(world.lifecycle.readiness().is_ready());
    assert_eq!(asked(&world), 0);
}

#[tokio::test]
async fn ids_that_nobody_knows_do_not_keep_a_real_one_from_being_learnt() {
    let config = EngineConfig { deadline_ms: 60_000, ..EngineConfig::default() };
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), config).await;
    let created = contract::avro::known_schemas()[0];
    world.registry.local.hold(77, "newer", created.text);
    foreign(&world, (0..2_000).map(|n| (format!("strange-{n}"), 1_000 + n))).await;
    foreign(&world, [("newer".to_owned(), 77)]).await;
    eventually_async("the real one is learnt", async || {
        execute(&world, price("newer", 9)).await.is_ok_and(|it| it.version == 2)
    })
    .await;
    eventually("each is asked for", || asked(&world) >= 2_001).await;
    eventually_async("what nobody knows is unreadable", async || {
        execute(&world, price("strange-1999", 9)).await.is_err_and(|it| it.code == "product-unreadable")
    })
    .await;
}

#[tokio::test]
async fn a_state_that_is_built_again_does_not_ask_again_for_ids_that_nobody_knows() {
    const STRANGE: usize = 1_100;
    let config = EngineConfig { deadline_ms: 60_000, tail_records: 3, ..EngineConfig::default() };
    // More ids than refusals are remembered, and each is followed by more records than may wait.
    let live = LiveTopic::new(1, Faults::NONE);
    let writer = World::start_on(live.clone(), EngineConfig::default()).await;
    foreign(&writer, (0..STRANGE).map(|n| (format!("strange-{n}"), 1_000 + n as u32))).await;
    drop(writer);
    let world = World::start_on(live, config).await;
    world.until_ready().await;
    assert_eq!(execute(&world, price("strange-7", 9)).await.unwrap_err().code, "product-unreadable");
    assert!(asked(&world) <= STRANGE + 10, "{}", asked(&world));
    let text = world.telemetry.render_metrics().unwrap();
    assert!(text.contains("ledger_discards_total"), "it was built again");
}

#[tokio::test]
async fn what_waits_for_a_schema_is_bounded_in_bytes_and_then_built_again() {
    let config = EngineConfig { tail_mib: 1, ..EngineConfig::default() };
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), config).await;
    let created = contract::avro::known_schemas()[0];
    world.registry.local.hold(77, "newer", created.text);
    world.registry.away.store(true, Ordering::Relaxed);
    foreign(&world, [("newer".to_owned(), 77)]).await;
    let large = (0..30).map(|n| {
        let mut record = record(&format!("large-{n}"), 77);
        record.headers.push("pad", &vec![0; 100_000]);
        record
    });
    let writer = world.live.topic.open(Arc::new(Deaf));
    for (n, record) in (0..).zip(large) {
        writer.append(Partition(0), AppendId(n), record);
    }
    eventually("they stand in the log", || world.live.topic.end(Partition(0)) == 31).await;
    eventually("readiness says so", || !world.lifecycle.readiness().is_ready()).await;
    world.registry.away.store(false, Ordering::Relaxed);
    world.until_ready().await;
    assert_eq!(execute(&world, price("newer", 9)).await.unwrap().version, 2);
    let text = world.telemetry.render_metrics().unwrap();
    assert!(text.contains("ledger_discards_total"), "more than a MiB waited");
    assert_eq!(execute(&world, price("large-29", 9)).await.unwrap().version, 2);
}
