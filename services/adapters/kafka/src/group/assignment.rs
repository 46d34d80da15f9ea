//! Taking partitions over and giving them back.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use event_reader::feed::{GroupEvent, RevokeAck};
use ledger::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::Claim;
use super::owned::Owned;
use super::polling::{End, Polling};

/// How often the brokers are asked for committed positions before the member gives up.
const ATTEMPTS: u32 = 20;

/// Partitions that are being given back.
pub(super) struct Revoking {
    partitions: Vec<i32>,
    /// The group waits for the unassign. Not so where we close: the consumer's end unassigns everything.
    asked_by_group: bool,
    settled: Receiver<()>,
    until: Instant,
}

impl Polling {
    pub(super) fn assigned(&mut self, partitions: &[i32]) -> Result<(), End> {
        let positions = self.committed(partitions)?;
        // Also an empty assignment has to be answered, and one that comes while we close.
        self.assign(&positions)
            .map(|()| {
                if !self.closing {
                    self.begin(&positions);
                }
            })
            .map_err(|error| End::Failed(format!("cannot take over partitions: {error}")))
    }

    /// The committed position of each partition; zero, explicitly, where nothing is committed.
    fn committed(&self, partitions: &[i32]) -> Result<Vec<(i32, Offset)>, End> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut problem = String::new();
        for _ in 0..ATTEMPTS {
            let answer = self.consumer.committed_offsets(list.clone(), self.timeout).and_then(|found| {
                let elements = found.elements_for_topic(&self.topic);
                elements.iter().map(|element| element.error().map(|()| position(element))).collect()
            });
            match answer {
                Ok(positions) => return Ok(positions),
                Err(error) => problem = error.to_string(),
            }
            tracing::warn!(
                group = self.options.group,
                problem,
                "cannot read committed positions: trying again"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(End::Failed(format!("cannot read committed positions: {problem}")))
    }

    pub(super) fn assign(&self, positions: &[(i32, Offset)]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, position) in positions {
            list.add_partition_offset(&self.topic, *partition, KafkaOffset::Offset(*position))?;
        }
        self.consumer.incremental_assign(&list)
    }

    /// Gives each partition just assigned its own queue, claims it, and tells.
    pub(super) fn begin(&mut self, positions: &[(i32, Offset)]) {
        self.fresh = true;
        for &(partition, position) in positions {
            let Some(mut queue) = self.consumer.split_partition_queue(&self.topic, partition) else {
                continue;
            };
            let thread = std::thread::current();
            queue.set_nonempty_callback(move || thread.unpark());
            let claim = self.claims.claim(partition);
            self.owned.insert(partition, Owned::new(claim, queue, position));
            self.report(GroupEvent::Assigned { claim, position });
        }
    }

    pub(super) fn revoked(&mut self, partitions: Vec<i32>, lost: bool) -> Result<(), End> {
        let (claims, ack, settled) = self.take_back(&partitions);
        if lost {
            self.give_back(&partitions)?;
        } else {
            let until = Instant::now() + self.options.revoke_timeout;
            self.revoking.push(Revoking { partitions, asked_by_group: true, settled, until });
        }
        if !claims.is_empty() {
            self.report(GroupEvent::Revoked { claims, lost, ack });
        }
        Ok(())
    }

    /// Leaves the group when everything is settled; unsubscribing first would make librdkafka forget to say so to the
    /// group, which would then wait for the session to time out.
    pub(super) fn close(&mut self) {
        let partitions: Vec<i32> = self.owned.keys().copied().collect();
        let (claims, ack, settled) = self.take_back(&partitions);
        self.closing = true;
        let until = Instant::now() + self.options.revoke_timeout;
        self.revoking.push(Revoking { partitions, asked_by_group: false, settled, until });
        if !claims.is_empty() {
            self.report(GroupEvent::Revoked { claims, lost: false, ack });
        }
    }

    /// Ends the partitions' queues. Their claims stay, for the last commits.
    fn take_back(&mut self, partitions: &[i32]) -> (Vec<Claim>, RevokeAck, Receiver<()>) {
        let taken = partitions.iter().filter_map(|partition| self.owned.remove(partition));
        let claims = taken.map(|owned| owned.claim).collect();
        let (ack, settled) = RevokeAck::channel();
        (claims, ack, settled)
    }

    pub(super) fn finish_revoking(&mut self) -> Result<bool, End> {
        let mut busy = false;
        for revoking in std::mem::take(&mut self.revoking) {
            let settled = revoking.settled.try_recv() == Err(TryRecvError::Disconnected);
            let late = Instant::now() >= revoking.until;
            if !settled && !late {
                self.revoking.push(revoking);
                continue;
            }
            if !settled {
                let partitions = &revoking.partitions;
                tracing::warn!(
                    ?partitions,
                    "revoked partitions were not settled in time: giving them back all the same"
                );
            }
            busy = true;
            if revoking.asked_by_group {
                self.give_back(&revoking.partitions)?;
            }
        }
        Ok(busy)
    }

    fn give_back(&mut self, partitions: &[i32]) -> Result<(), End> {
        for partition in partitions {
            self.claims.release(*partition);
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        self.consumer
            .incremental_unassign(&list)
            .map_err(|error| End::Failed(format!("cannot give back partitions: {error}")))
    }
}

fn position(element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>) -> (i32, Offset) {
    match element.offset() {
        KafkaOffset::Offset(offset) => (element.partition(), offset),
        _ => (element.partition(), 0),
    }
}
