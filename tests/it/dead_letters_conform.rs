//! Dead letters on Kafka and on local disk are what the projector relies on: [`testkit::dead_letters_suite`].

use adapter_kafka::{KafkaDeadLetters, describe_topic, topic_partitions};
use anyhow::ensure;
use embedded_read_models::{Embedded, Options};
use read_models::{Generation, ReadModel};
use testkit::dead_letters_suite::dead_letters_conform;
use testkit::{OnServers, PARTITIONS, System};
use toolkit::dead_letters::DeadLetters as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka() -> anyhow::Result<()> {
    let system = OnServers::prepare().await?;
    let (kafka, topic) = (&system.config.kafka, system.topic());
    let group = format!("{}.letters.g1", system.planner.names.group_prefix);
    let of = || KafkaDeadLetters::new(kafka, topic, &group, PARTITIONS);
    let letters = of();
    dead_letters_conform(&letters).await?;
    let facts = describe_topic(kafka, &format!("{group}.dlq")).await?;
    let configs = facts.configs.unwrap_or_default();
    ensure!(facts.partitions == PARTITIONS && configs["cleanup.policy"] == "compact", "{configs:?}");
    // Whoever comes next finds them.
    ensure!(of().load(1).await? == letters.load(1).await? && of().load(1).await?.len() == 2);
    letters.abolish().await?;
    letters.abolish().await?;
    ensure!(topic_partitions(kafka, &format!("{group}.dlq")).await.is_err(), "the topic is gone");
    ensure!(of().load(1).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_local_disk() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let open = || tokio::task::block_in_place(|| Embedded::open(dir.path(), &Options::of_log("a log")));
    let rows = open()?;
    let letters = rows.dead_letters(ReadModel::Search, Generation::FIRST, "g")?;
    dead_letters_conform(&*letters).await?;
    ensure!(rows.dead_letters(ReadModel::Search, Generation::FIRST, "other")?.load(1).await?.is_empty());
    ensure!(letters.load(1).await?.len() == 2);
    Ok(())
}
