//! A bare question for a partition's end.

use std::time::{Duration, Instant};

use ledger::Partition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::BareError;
use crate::client::Connection;
use crate::config::KafkaConfig;
use crate::end_offset::end_settings;

/// Asks for ends one at a time, on the caller's thread.
pub struct BareEnds {
    consumer: BaseConsumer<Connection>,
    topic: String,
    timeout: Duration,
}

impl std::fmt::Debug for BareEnds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BareEnds").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl BareEnds {
    /// Does not wait for a connection.
    pub fn open(config: &KafkaConfig, topic: &str) -> Result<Self, BareError> {
        let consumer = end_settings(config).create_with_context(Connection::new(config, "bare", None))?;
        Ok(Self { consumer, topic: topic.to_owned(), timeout: config.request_timeout() })
    }

    /// Asks where `partition` ends; how long the answer took.
    ///
    /// # Errors
    /// If its leader does not answer.
    pub fn ask(&self, partition: Partition) -> Result<Duration, BareError> {
        let begun = Instant::now();
        let mut question = TopicPartitionList::with_capacity(1);
        question.add_partition_offset(&self.topic, partition.0, KafkaOffset::End)?;
        self.consumer.offsets_for_times(question, self.timeout)?;
        Ok(begun.elapsed())
    }
}
