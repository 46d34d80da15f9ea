mod cache;
mod schemas;
mod served;

use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::avro::SchemaIds;
use edge::problem::Problem;
use ledger::{Partition, RecordKey, Signal, TailError};
use ledger_sim::Faults;
use uuid::Uuid;

use super::Transport;
use crate::config::EngineConfig;
use crate::door::Caller;
use crate::door::{Kind, Outcome};
use crate::testing::{LiveTopic, World, create, eventually, eventually_async, price};

async fn execute(world: &World, requested: contract::AddressedCommand) -> Result<Outcome, Problem> {
    world.door.submit(requested, &Caller::default(), Transport::Local)?.outcome().await
}

#[tokio::test]
async fn commands_become_records_and_their_answers_say_where() {
    let world = World::start().await;
    let created = execute(&world, create("p1")).await.unwrap();
    assert_eq!((created.kind, created.version, created.http_status()), (Kind::Accepted, 1, 201));
    let changed = execute(&world, price("p1", 500)).await.unwrap();
    assert_eq!((changed.version, changed.http_status()), (2, 200));
    let again = execute(&world, price("p1", 500)).await.unwrap();
    assert_eq!((again.kind, again.version, again.event_id), (Kind::NoEffect, 2, None));

    let partition = ledger::partition_of("p1", 4);
    let records = world.live.topic.records(partition);
    let keys: Vec<_> = records.iter().map(|record| RecordKey::parse(&record.key).unwrap()).collect();
    assert_eq!(keys.iter().map(|key| key.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(keys[1].event_id, changed.event_id.unwrap());
    let token = contract::ConsistencyToken::decode(&changed.token).unwrap();
    assert_eq!((token.partition, token.offset, token.version.get()), (partition.0, 1, 2));
    let token = contract::ConsistencyToken::decode(&again.token).unwrap();
    assert_eq!((token.offset, token.version.get()), (1, 2));

    let meta = contract::envelope::read_meta(&records[0].headers);
    assert_eq!(meta.event_id, created.event_id);
    assert_eq!(meta.source, Some("/test"));
    // Nothing is said that is not so: no key, no hash; no client's trace and no exporter, no trace.
    assert!(meta.command_id.is_some());
    assert_eq!((meta.command_hash, meta.traceparent, meta.correlation_id), (None, None, None));
    let event =
        contract::avro::decode(records[0].value.as_ref().unwrap(), &SchemaIds::without_registry()).unwrap();
    assert_eq!(event.type_name(), "ProductCreated");
}

#[tokio::test]
async fn another_instance_sees_what_one_wrote() {
    let world = World::start().await;
    execute(&world, create("p1")).await.unwrap();
    let other = World::start_on(world.live.clone(), EngineConfig::default()).await;
    assert_eq!(execute(&other, price("p1", 7)).await.unwrap().version, 2);
    assert_eq!(execute(&world, price("p1", 8)).await.unwrap().version, 3);
}

#[tokio::test]
async fn every_answer_is_true_however_the_log_behaves() {
    let faults = Faults {
        lost: 5,
        unknown: 10,
        twice: 5,
        late_copy: 30,
        unanswered: 5,
        delayed: 0,
        reordered: 40,
        slow_tail: 30,
    };
    let config = EngineConfig { threads: 2, ..EngineConfig::default() };
    let live = LiveTopic::new(3, faults);
    let worlds =
        [World::start_on(live.clone(), config.clone()).await, World::start_on(live.clone(), config).await];
    let mut pending = Vec::new();
    for n in 0..600_u64 {
        let id = format!("p{}", n % 9);
        let requested = if n < 27 { create(&id) } else { price(&id, 1 + n) };
        let world = &worlds[(n / 2 % 2) as usize];
        pending.push((id, world.door.submit(requested, &Caller::default(), Transport::Local).unwrap()));
        if n % 40 == 39 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut accepted = Vec::new();
    for (id, submitted) in pending {
        match submitted.outcome().await {
            Ok(outcome) if outcome.kind == Kind::Accepted => accepted.push((id, outcome)),
            Ok(_) => {}
            Err(problem) => assert!(
                ["product-already-exists", "product-not-found", "contended", "outcome-unknown"]
                    .contains(&problem.code),
                "{problem}"
            ),
        }
    }
    assert!(accepted.len() > 300, "{}", accepted.len());
    live.topic.set_faults(Faults::NONE);
    // An independent judge: the effective records are those of the rule, and each answer names one of them.
    let mut effective = std::collections::HashMap::new();
    for partition in (0..3).map(Partition) {
        let mut versions = std::collections::HashMap::new();
        for record in live.topic.records(partition) {
            let key = RecordKey::parse(&record.key).unwrap();
            let current = versions.entry(key.subject.clone()).or_insert(0);
            if ledger::rule::judge(record.offset, key.basis, key.version, *current)
                == ledger::Verdict::Effective
            {
                *current = key.version;
                effective.insert(key.event_id, (key.subject.as_str().to_owned(), key.version));
            }
        }
    }
    let mut named = std::collections::HashSet::new();
    for (id, outcome) in accepted {
        let event_id = outcome.event_id.unwrap();
        assert_eq!(effective.get(&event_id), Some(&(id, outcome.version)), "{event_id}");
        assert!(named.insert(event_id), "one event answers one command");
    }
}

#[tokio::test]
async fn too_many_commands_are_told_so_at_once_and_the_others_are_answered() {
    let config = EngineConfig { max_waiting: 3, deadline_ms: 200, ..EngineConfig::default() };
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), config).await;
    world.live.stand_still(true);
    let mut waiting = Vec::new();
    for n in 0..3 {
        waiting
            .push(world.door.submit(create(&format!("p{n}")), &Caller::default(), Transport::Local).unwrap());
    }
    let refused = execute(&world, create("p3")).await.unwrap_err();
    assert_eq!((refused.code, refused.status), ("overloaded", 429));
    assert!(refused.retry_after.is_some());
    for submitted in waiting {
        let problem = submitted.outcome().await.unwrap_err();
        assert_eq!((problem.code, problem.retryable), ("outcome-unknown", true));
    }
    // Appends without a report still take room.
    assert_eq!(execute(&world, create("p4")).await.unwrap_err().code, "overloaded");
    world.live.stand_still(false);
    eventually_async("there is room again", async || execute(&world, create("p4")).await.is_ok()).await;
}

#[tokio::test]
async fn what_cannot_be_decided_in_time_is_answered_in_time() {
    let config = EngineConfig { deadline_ms: 100, ..EngineConfig::default() };
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), config).await;
    world.live.stand_still(true);
    // Unknown product: the answer needs the log's word, which does not come.
    let problem = execute(&world, price("nobody", 5)).await.unwrap_err();
    assert_eq!((problem.code, problem.status), ("deadline-exceeded", 503));
}

#[tokio::test]
async fn without_kafka_commands_are_refused_at_once() {
    let world = World::start().await;
    world.kafka.down("no broker answers");
    let problem = execute(&world, create("p")).await.unwrap_err();
    assert_eq!((problem.code, problem.status), ("not-ready", 503));
    world.kafka.up();
    execute(&world, create("p")).await.unwrap();
}

#[tokio::test]
async fn a_partition_whose_state_is_worth_nothing_is_built_again() {
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), EngineConfig::default()).await;
    execute(&world, create("p1")).await.unwrap();
    world.live.stand_still(true);
    let error = TailError::OutOfRange;
    world.engine.inbox().deliver(Signal::TailFailed { partition: Partition(0), error });
    eventually("readiness says so", || !world.lifecycle.readiness().is_ready()).await;
    assert_eq!(execute(&world, price("p1", 9)).await.unwrap_err().code, "not-ready");
    world.live.stand_still(false);
    world.until_ready().await;
    assert_eq!(execute(&world, price("p1", 9)).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_tail_that_failed_is_started_again_where_it_stood() {
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), EngineConfig::default()).await;
    execute(&world, create("p1")).await.unwrap();
    let error = TailError::Other("simulated".to_owned());
    world.engine.inbox().deliver(Signal::TailFailed { partition: Partition(0), error });
    let other = World::start_on(world.live.clone(), EngineConfig::default()).await;
    assert_eq!(execute(&other, price("p1", 9)).await.unwrap().version, 2);
    assert_eq!(execute(&world, price("p1", 10)).await.unwrap().version, 3);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_before_anything_is_written() {
    let config = EngineConfig { max_record_bytes: 1_024, ..EngineConfig::default() };
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), config).await;
    let mut payload = crate::testing::diamond();
    payload["description"] = "x".repeat(5_000).into();
    let line = serde_json::json!({"command": "create_product", "product_id": "p", "payload": payload});
    let problem = execute(&world, crate::testing::command(&line)).await.unwrap_err();
    assert_eq!((problem.code, problem.status), ("command-too-large", 413));
    assert_eq!(world.live.topic.end(Partition(0)), 0);
}

#[tokio::test]
async fn metrics_count_commands_by_outcome() {
    let world = World::start().await;
    execute(&world, create("p")).await.unwrap();
    execute(&world, create("p")).await.unwrap_err();
    let text = world.telemetry.render_metrics().unwrap();
    for part in [
        "folio_commands_total",
        r#"outcome="accepted""#,
        r#"outcome="product-already-exists""#,
        "folio_command_seconds",
        "ledger_next_offset",
        "folio_commands_waiting",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn commands_that_take_too_much_memory_together_are_refused_until_others_are_answered() {
    let config = EngineConfig { commands_mib: 1, deadline_ms: 300, ..EngineConfig::default() };
    let world = World::start_on(LiveTopic::new(1, Faults::NONE), config).await;
    world.live.stand_still(true);
    let large = |n: usize| {
        let mut payload = crate::testing::diamond();
        payload["description"] = "x".repeat(10_000).into();
        let line = serde_json::json!({"command": "create_product", "product_id": format!("p{n}"), "payload": payload});
        world.door.submit(crate::testing::command(&line), &Caller::default(), Transport::Local)
    };
    let mut waiting = Vec::new();
    let refused = loop {
        match large(waiting.len()) {
            Ok(submitted) => waiting.push(submitted),
            Err(problem) => break problem,
        }
    };
    assert_eq!((refused.code, refused.status), ("overloaded", 429));
    assert!((80..105).contains(&waiting.len()), "{}", waiting.len());
    for submitted in waiting {
        submitted.outcome().await.unwrap_err();
    }
    world.live.stand_still(false);
    eventually_async("there is room again", async || execute(&world, create("small")).await.is_ok()).await;
}
