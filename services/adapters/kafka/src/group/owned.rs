//! One partition of a member: its own queue, and what of it is in flight.

use std::collections::VecDeque;
use std::time::Duration;

use ledger::{LogRecord, Offset};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;

use super::Claim;
use super::membership::Membership;
use crate::record::{WantedHeaders, log_record};
use crate::tail::fault::{self, Fault};

pub(super) struct Owned {
    pub(super) claim: Claim,
    queue: PartitionQueue<Membership>,
    /// The first offset not delivered.
    pub(super) next: Offset,
    /// Records that came by the member's common queue, in the moment between the assignment and the partition's own
    /// queue. They are older than what the own queue holds.
    stash: VecDeque<LogRecord>,
    /// The next batch was asked for.
    pub(super) wanted: bool,
}

/// What a partition has to give.
pub(super) enum Taken {
    Nothing,
    Records(Vec<LogRecord>),
    /// No records, but the end was met: the position may have moved over a gap.
    End,
    Fault(Fault),
}

impl Owned {
    pub(super) fn new(claim: Claim, queue: PartitionQueue<Membership>, next: Offset) -> Self {
        Self { claim, queue, next, stash: VecDeque::new(), wanted: false }
    }

    pub(super) fn stash(&mut self, record: LogRecord) {
        self.stash.push_back(record);
    }

    /// Nothing that was polled waits to be delivered.
    pub(super) fn is_drained(&self) -> bool {
        self.stash.is_empty()
    }

    /// Takes up to `max` records that are there, or as many as have `max_bytes`.
    pub(super) fn take(&mut self, max: usize, max_bytes: usize) -> Taken {
        let (mut records, mut bytes): (Vec<LogRecord>, usize) = (Vec::new(), 0);
        let size = |record: &LogRecord| record.key.len() + record.value.as_ref().map_or(0, bytes::Bytes::len);
        while records.len() < max
            && bytes < max_bytes
            && let Some(record) = self.stash.pop_front()
        {
            bytes += size(&record);
            records.push(record);
        }
        let mut end = false;
        while records.len() < max
            && bytes < max_bytes
            && self.stash.is_empty()
            && let Some(polled) = self.queue.poll(Duration::ZERO)
        {
            match polled {
                Ok(message) => {
                    let record = log_record(&message, WantedHeaders::All);
                    bytes += size(&record);
                    records.push(record);
                }
                Err(KafkaError::PartitionEOF(_)) => end = true,
                Err(error) => match fault::of(&error) {
                    // What was taken in this call is not delivered, and `next` stays: it is read again if reading goes on.
                    fault @ (Fault::OutOfRange | Fault::Truncated | Fault::Final(_)) => {
                        return Taken::Fault(fault);
                    }
                    Fault::Connection(reason) => {
                        tracing::debug!(partition = self.claim.partition.0, reason, "brokers are away");
                    }
                    Fault::Noted(reason) => {
                        tracing::warn!(
                            partition = self.claim.partition.0,
                            reason,
                            "reading goes on after an error"
                        );
                    }
                },
            }
        }
        // What lies below `next` was delivered before.
        records.retain(|record| record.offset >= self.next);
        match records.is_empty() {
            false => Taken::Records(records),
            true if end => Taken::End,
            true => Taken::Nothing,
        }
    }
}
