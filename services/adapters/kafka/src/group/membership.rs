//! What the group's protocol tells a member, and which partitions it holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ledger::Partition;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use super::Claim;
use crate::client::Connection;

/// A change of assignment that the polling thread has to answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Assign(Vec<i32>),
    Revoke { partitions: Vec<i32>, lost: bool },
}

/// The context of a member's consumer.
///
/// librdkafka calls [`Membership::rebalance`] inside a poll and then waits for an assign or unassign. Nothing is done
/// in the callback: a revoked partition is unassigned only when it is settled, and meanwhile the others must be polled.
/// So the callback notes the change, and the polling thread answers it in its own time.
#[derive(Debug)]
pub(super) struct Membership {
    topic: String,
    connection: Connection,
    changes: Mutex<Vec<Change>>,
    /// The consumer is being closed: nobody will answer changes any more.
    closing: AtomicBool,
}

impl Membership {
    pub(super) fn new(topic: &str, connection: Connection) -> Self {
        let (changes, closing) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        Self { topic: topic.to_owned(), connection, changes, closing }
    }

    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

impl ClientContext for Membership {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.connection.generate_oauth_token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.connection.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Acquire) {
            // Closing waits for an unassign, whatever is told.
            if let Err(error) = consumer.incremental_unassign(list) {
                tracing::debug!(%error, "cannot unassign while closing");
            }
            return;
        }
        let partitions =
            list.elements_for_topic(&self.topic).iter().map(TopicPartitionListElem::partition).collect();
        let change = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Assign(partitions),
            _ => Change::Revoke { partitions, lost: consumer.assignment_lost() },
        };
        tracing::debug!(?change, "the group's assignment changes");
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }
}

/// The partitions this member holds now.
#[derive(Debug, Default)]
pub(super) struct Claims {
    epochs: AtomicU64,
    held: Mutex<BTreeMap<i32, u64>>,
}

impl Claims {
    /// Claims `partition`; an earlier claim of it is void.
    pub(super) fn claim(&self, partition: i32) -> Claim {
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, epoch);
        Claim { partition: Partition(partition), epoch }
    }

    pub(super) fn release(&self, partition: i32) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    pub(super) fn holds(&self, claim: Claim) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&claim.partition.0) == Some(&claim.epoch)
    }
}
