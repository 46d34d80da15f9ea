//! P14 A topic that differs from its declaration is refused.

use adapter_kafka::{Profile, Topics};
use cli::commands::topics;
use serde_yaml_ng::Value;
use testkit::{Client, OnServers, System, eventually};

const DECLARED: &str = include_str!("../../deploy/topics.yaml");

/// Each setting the design relies on, and a value that breaks it.
const DRIFTS: [(&str, &str); 6] = [
    ("cleanup.policy", "delete"),
    ("min.compaction.lag.ms", "0"),
    ("retention.ms", "86400000"),
    ("message.timestamp.type", "CreateTime"),
    ("unclean.leader.election.enable", "true"),
    ("min.insync.replicas", "2"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_creates_once_and_check_names_every_drift() -> anyhow::Result<()> {
    let system = OnServers::prepare().await?;
    let kafka = &system.config.kafka;
    let declared = topics::declared(&system.prefix())?;
    topics::run(kafka, &declared, Profile::Local, true).await?;
    topics::run(kafka, &declared, Profile::Local, false).await?;

    let missing = topics::run(kafka, &topics::declared("absent.")?, Profile::Local, false).await;
    assert!(missing.is_err(), "a missing topic is refused when only checking");

    let fewer = topics::declared(&system.prefix())?.with_partitions(3);
    assert!(topics::run(kafka, &fewer, Profile::Local, true).await.is_err(), "another number of partitions");
    assert!(topics::run(kafka, &declared, Profile::Default, false).await.is_err(), "another profile");

    for (key, value) in DRIFTS {
        let other = altered(key, value)?.with_prefix(&system.prefix());
        let applied = other.check(kafka, Profile::Local).await?;
        let shown = format!("{applied:?}");
        assert!(applied.iter().any(|it| !it.is_as_declared()), "{key} = {value} passed");
        assert!(shown.contains(key), "the difference names {key}: {shown}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_refuses_a_topic_that_loses_history() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    // A topic that deletes by age, under the name the service is told.
    let name = format!("drift.{}", system.prefix());
    let topic = altered("cleanup.policy", "delete")?.with_prefix(&name);
    topic.apply(&system.config.kafka, Profile::Local).await?;
    system.planner.names.topic = format!("{name}{}", contract::topics::EVENTS);
    let plan = system.planner.command_service(7)?;
    let started = system.start(plan)?;
    let said = eventually(
        "it says what is wrong",
        async || started.log() + &ready(&started.ops()).await,
        |said| said.contains("cleanup.policy"),
    )
    .await;
    assert!(said.contains("delete") && said.contains("compact"), "both values are named: {said}");
    let answered = Client::new(&started.url()).create("x").await;
    assert!(answered.is_err() || answered.is_ok_and(|it| !it.status.is_success()), "it takes no command");
    Ok(())
}

async fn ready(ops: &str) -> String {
    Client::new(ops).get("/readyz").await.map(|it| it.body.to_string()).unwrap_or_default()
}

/// The declaration with one setting of the events topic changed.
fn altered(key: &str, value: &str) -> anyhow::Result<Topics> {
    let mut declared: Value = serde_yaml_ng::from_str(DECLARED)?;
    let topics = declared["topics"].as_sequence_mut().expect("the declaration lists topics");
    topics.retain(|topic| topic["name"] == contract::topics::EVENTS);
    topics[0]["configs"][key] = Value::String(value.to_owned());
    Ok(Topics::parse(&serde_yaml_ng::to_string(&declared)?, "altered")?)
}
