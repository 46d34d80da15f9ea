//! A consumer group's member on Kafka: the threads behind [`Group`], which promise what `event_reader::feed` says.
//!
//! One thread polls, one commits: a commit blocks until the brokers answer.

mod assignment;
mod commit;
mod membership;
mod owned;
mod polling;

use std::sync::Arc;

use event_reader::feed::{Claim, Group, GroupOptions, GroupServer};
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::client::{Connection, READS, refused, settings};
use super::{Error, open_reader};
use crate::config::KafkaConfig;
use membership::{Claims, Membership};
use polling::Polling;
use toolkit::lifecycle::Dependency;

/// Joins `options.group` to read `topic`, which has `partitions` partitions (see [`super::verify_topic`]). Does not wait for a
/// connection. `dependency` learns whether the partitions' leaders answer.
pub fn open_group(
    config: &KafkaConfig,
    topic: &str,
    partitions: i32,
    options: GroupOptions,
    dependency: Option<Dependency>,
) -> Result<Group, Error> {
    let consumer = member(config, topic, partitions, &options)?;
    consumer.subscribe(&[topic]).map_err(|error| refused(config, &error))?;
    let log = open_reader(config, topic, partitions, dependency)?;
    Group::served(log, |GroupServer { commands, commits, events }| {
        let (consumer, claims) = (Arc::new(consumer), Arc::new(Claims::default()));
        let committer = commit::Committer::new(
            Arc::downgrade(&consumer),
            topic,
            &config.bootstrap_servers,
            Arc::clone(&claims),
        );
        std::thread::Builder::new().name("kafka-commit".to_owned()).spawn(move || committer.run(&commits))?;
        let polling = Polling::new(consumer, topic, options, config.request_timeout(), claims, events);
        let polling = std::thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || polling.run(&commands))?;
        Ok(polling.thread().clone())
    })
}

fn member(
    config: &KafkaConfig,
    topic: &str,
    partitions: i32,
    options: &GroupOptions,
) -> Result<BaseConsumer<Membership>, Error> {
    let wait = config.fetch_wait_ms.to_string();
    // Every partition has a queue of its own, and librdkafka bounds each queue.
    let buffer =
        (config.fetch_buffer_kib / u64::from(partitions.max(1).unsigned_abs())).max(1_024).to_string();
    let settings = settings(
        config,
        "group",
        &[
            ("fetch.wait.max.ms", &wait),
            ("queued.max.messages.kbytes", &buffer),
            ("queued.min.messages", "10000"),
            ("fetch.queue.backoff.ms", "2"),
            ("fetch.error.backoff.ms", "50"),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "500"),
        ],
        &[
            &READS[..],
            &[("group.id", &options.group), ("partition.assignment.strategy", "cooperative-sticky")],
        ]
        .concat(),
    );
    let membership = Membership::new(topic, Connection::new(config, "group", None));
    settings.create_with_context(membership).map_err(|error| refused(config, &error))
}
