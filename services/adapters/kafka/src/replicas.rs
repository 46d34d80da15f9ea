//! Who leads the partitions of a topic, and how many replicas are in sync. Reads only; for watching, not for deciding.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::Error;
use super::client::{Connection, refused, settings};
use crate::config::KafkaConfig;

/// A partition as a broker describes it. Brokers hear of changes a little later than the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas {
    pub partition: i32,
    /// The node that leads; none while there is no leader.
    pub leader: Option<i32>,
    pub replicas: usize,
    pub in_sync: usize,
}

/// Asks again and again over the same connections.
pub struct ReplicaWatch {
    consumer: BaseConsumer<Connection>,
    topic: String,
    servers: String,
    timeout: Duration,
}

impl std::fmt::Debug for ReplicaWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaWatch").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl ReplicaWatch {
    /// Does not wait for a connection.
    pub fn open(config: &KafkaConfig, topic: &str) -> Result<Self, Error> {
        let settings = settings(config, "replicas", &[], &[("allow.auto.create.topics", "false")]);
        let consumer = settings
            .create_with_context(Connection::new(config, "replicas", None))
            .map_err(|error| refused(config, &error))?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            servers: config.bootstrap_servers.clone(),
            timeout: config.request_timeout(),
        })
    }

    /// Every partition, in order. Blocks until a broker answers.
    pub fn now(&self) -> Result<Vec<Replicas>, Error> {
        // Serves error and log events (there are no messages).
        while self.consumer.poll(Duration::ZERO).is_some() {}
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), self.timeout).map_err(|error| {
            Error::unreachable(format!("ask who leads {}", self.topic), &self.servers, &error)
        })?;
        let Some(topic) = metadata.topics().iter().find(|it| it.name() == self.topic) else {
            return Err(Error::NoTopic(self.topic.clone()));
        };
        let mut partitions: Vec<Replicas> = topic
            .partitions()
            .iter()
            .map(|it| Replicas {
                partition: it.id(),
                leader: (it.leader() >= 0).then(|| it.leader()),
                replicas: it.replicas().len(),
                in_sync: it.isr().len(),
            })
            .collect();
        partitions.sort_unstable_by_key(|it| it.partition);
        Ok(partitions)
    }
}
