//! The committing thread: a commit blocks until the brokers answer, so it is not the polling thread's.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crossbeam_channel::Receiver;
use event_reader::feed::{Commit, Error};
use ledger::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::membership::{Claims, Membership};

pub(super) struct Committer {
    /// Weak: a handle that outlives the group must not keep its member in the group.
    consumer: Weak<BaseConsumer<Membership>>,
    topic: String,
    servers: String,
    claims: Arc<Claims>,
}

impl Committer {
    pub(super) fn new(
        consumer: Weak<BaseConsumer<Membership>>,
        topic: &str,
        servers: &str,
        claims: Arc<Claims>,
    ) -> Self {
        Self { consumer, topic: topic.to_owned(), servers: servers.to_owned(), claims }
    }

    pub(super) fn run(&self, requests: &Receiver<Commit>) {
        while let Ok(first) = requests.recv() {
            let mut together = Vec::new();
            let mut positions = BTreeMap::new();
            for request in std::iter::once(first).chain(requests.try_iter()) {
                // A commit of a partition that another member has would set that member back.
                if !self.claims.holds(request.claim) {
                    let partition = request.claim.partition.0;
                    request.reply(Err(Error::Revoked(partition)));
                    continue;
                }
                // The last request speaks: a seek may go back.
                positions.insert(request.claim.partition.0, request.position);
                together.push(request);
            }
            if positions.is_empty() {
                continue;
            }
            let outcome = self.commit(&positions).map_err(|error| error.to_string());
            for request in together {
                let outcome = outcome.clone().map_err(|problem| Error::Unreachable {
                    tried: format!(
                        "commit position {} of partition {}",
                        request.position, request.claim.partition.0
                    ),
                    servers: self.servers.clone(),
                    problem,
                });
                request.reply(outcome);
            }
        }
    }

    fn commit(&self, positions: &BTreeMap<i32, Offset>) -> KafkaResult<()> {
        let Some(consumer) = self.consumer.upgrade() else {
            return Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownMemberId));
        };
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (&partition, &position) in positions {
            list.add_partition_offset(&self.topic, partition, KafkaOffset::Offset(position))?;
        }
        consumer.commit(&list, CommitMode::Sync)
    }
}
