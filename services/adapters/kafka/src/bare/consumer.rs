//! The bare consumer: the tail's settings and its poll, and nothing done with what comes.

use std::time::{Duration, Instant};

use ledger::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::{BareError, PATIENCE};
use crate::config::KafkaConfig;
use crate::tail::consumer;

/// Reads every partition from offset zero to its end (`ends`, by partition): how many records there were, and the time
/// from the first to the last.
///
/// # Errors
/// If the consumer fails, or nothing comes for half a minute.
pub fn consume(config: &KafkaConfig, topic: &str, ends: &[Offset]) -> Result<(u64, Duration), BareError> {
    let consumer = consumer(config, "bare", None)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..ends.len() {
        list.add_partition_offset(topic, partition as i32, KafkaOffset::Offset(0))?;
    }
    consumer.incremental_assign(&list)?;
    let mut open = ends.iter().filter(|end| **end > 0).count();
    let (mut records, mut first, mut heard) = (0, None, Instant::now());
    while open > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = *first.get_or_insert_with(Instant::now);
                records += 1;
                let end = ends.get(message.partition() as usize).copied().unwrap_or(0);
                open -= usize::from(message.offset() + 1 == end);
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) if heard.elapsed() < PATIENCE => {}
            None | Some(Err(KafkaError::PartitionEOF(_))) => {
                return Err(BareError(format!("{topic} was not read to its end")));
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok((records, first.map_or(Duration::ZERO, |first| first.elapsed())))
}
