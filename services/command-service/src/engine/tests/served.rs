//! Which log is served: tokens say it, and another one is not.

use ledger::LogId;

use super::*;

fn first_of(world: &World, partition: Partition) -> LogId {
    LogId::of_first(&world.live.topic.records(partition)[0])
}

#[tokio::test]
async fn every_token_names_the_log_from_its_first_record_on() {
    let world = World::start().await;
    let partition = ledger::partition_of("p1", 4);
    let nothing = execute(&world, price("p1", 5)).await.unwrap_err();
    let token = nothing.extensions["consistency_token"].as_str().unwrap();
    assert_eq!(contract::ConsistencyToken::decode(token).unwrap().log, None, "there is no record yet");
    let created = execute(&world, create("p1")).await.unwrap();
    let log = Some(first_of(&world, partition));
    assert_eq!(contract::ConsistencyToken::decode(&created.token).unwrap().log, log);
    // Others learn it from the log.
    let other = World::start_on(world.live.clone(), EngineConfig::default()).await;
    let changed = execute(&other, price("p1", 7)).await.unwrap();
    assert_eq!(contract::ConsistencyToken::decode(&changed.token).unwrap().log, log);
    assert_eq!(other.engine.served_log().of(partition), log);
}

#[tokio::test]
async fn nothing_is_decided_once_the_log_was_replaced() {
    let world = World::start().await;
    execute(&world, create("p1")).await.unwrap();
    let partition = ledger::partition_of("p1", 4);
    let (records, served) = (world.live.topic.records(partition).len(), world.engine.served_log());
    served.shows(partition, LogId::from_number(7).unwrap(), 1);
    let readiness = world.lifecycle.readiness().status();
    assert!(!readiness.ready, "{readiness:?}");
    for command in [price("p1", 5), create("p2")] {
        let refused = execute(&world, command).await.unwrap_err();
        assert_eq!(refused.code, "not-ready");
        assert!(refused.detail.contains("cache.take_new_log"), "{}", refused.detail);
    }
    assert_eq!(world.live.topic.records(partition).len(), records, "and nothing is appended");
}

#[tokio::test]
async fn a_command_in_flight_is_not_decided_either_once_the_log_was_replaced() {
    let world = World::start().await;
    execute(&world, create("p1")).await.unwrap();
    let partition = ledger::partition_of("p1", 4);
    world.live.stand_still(true);
    let pending = world.door.submit(price("p1", 5), &Caller::default(), Transport::Local).unwrap();
    eventually("it is on its way", || !world.live.topic.on_the_way().is_empty()).await;
    world.engine.served_log().shows(partition, LogId::from_number(7).unwrap(), 1);
    world.live.stand_still(false);
    let unknown = pending.outcome().await.unwrap_err();
    assert_eq!(unknown.code, "outcome-unknown");
}
