//! The polling thread of a member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use event_reader::feed::{Command, GroupEvent};
use ledger::{Offset, TailError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::mpsc;

use super::assignment::Revoking;
use super::membership::{Change, Claims, Membership};
use super::owned::{Owned, Taken};
use super::{Claim, GroupOptions};
use crate::record::{WantedHeaders, log_record};
use crate::tail::fault::{self, Fault};

/// How long nothing may happen before the group's own events (assignments, errors) are looked at again. Records and
/// commands wake the thread at once.
const IDLE: Duration = Duration::from_millis(20);

pub(super) struct Polling {
    pub(super) consumer: Arc<BaseConsumer<Membership>>,
    pub(super) topic: String,
    pub(super) options: GroupOptions,
    pub(super) timeout: Duration,
    pub(super) claims: Arc<Claims>,
    events: mpsc::Sender<GroupEvent>,
    pub(super) owned: BTreeMap<i32, Owned>,
    pub(super) revoking: Vec<Revoking>,
    pub(super) closing: bool,
    /// A partition began in this turn: what of it came by the common queue has to be taken first.
    pub(super) fresh: bool,
}

/// Why the thread ends.
pub(super) enum End {
    Left,
    Failed(String),
}

impl Polling {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<Membership>>,
        topic: &str,
        options: GroupOptions,
        timeout: Duration,
        claims: Arc<Claims>,
        events: mpsc::Sender<GroupEvent>,
    ) -> Self {
        let (owned, revoking) = (BTreeMap::new(), Vec::new());
        Self {
            consumer,
            topic: topic.to_owned(),
            options,
            timeout,
            claims,
            events,
            owned,
            revoking,
            closing: false,
            fresh: false,
        }
    }

    /// Runs until the group is left. The consumer's end, which blocks, happens on this thread.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let end = loop {
            if let Err(end) = self.turn(commands) {
                break end;
            }
        };
        if let End::Failed(reason) = end {
            tracing::error!(group = self.options.group, reason, "the consumer group's member stopped");
            self.report(GroupEvent::Stopped { reason });
        }
        for partition in self.owned.keys() {
            self.claims.release(*partition);
        }
        self.owned.clear();
        self.consumer.context().close();
    }

    fn turn(&mut self, commands: &Receiver<Command>) -> Result<(), End> {
        let mut busy = self.serve_group()?;
        busy |= self.serve_commands(commands)?;
        busy |= self.finish_revoking()?;
        if std::mem::take(&mut self.fresh) {
            return Ok(());
        }
        busy |= self.deliver();
        if self.closing && self.owned.is_empty() && self.revoking.is_empty() {
            return Err(End::Left);
        }
        if !busy {
            std::thread::park_timeout(IDLE);
        }
        Ok(())
    }

    /// Blocks only while the receiver is far behind: every partition has at most a few events in flight.
    pub(super) fn report(&self, event: GroupEvent) {
        drop(self.events.blocking_send(event));
    }

    fn serve_group(&mut self) -> Result<bool, End> {
        let mut busy = false;
        while let Some(polled) = self.consumer.poll(Duration::ZERO) {
            busy = true;
            match polled {
                Ok(message) => {
                    if let Some(owned) = self.owned.get_mut(&message.partition()) {
                        owned.stash(log_record(&message, WantedHeaders::All));
                    }
                }
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => match fault::of(&error) {
                    Fault::Final(reason) => return Err(End::Failed(reason)),
                    // Readiness tells it, by those who ask the brokers.
                    Fault::Connection(reason) => {
                        tracing::debug!(group = self.options.group, reason, "brokers are away");
                    }
                    fault => tracing::warn!(group = self.options.group, ?fault, "the group's member goes on"),
                },
            }
        }
        for change in self.consumer.context().take_changes() {
            busy = true;
            match change {
                Change::Assign(partitions) => self.assigned(&partitions)?,
                Change::Revoke { partitions, lost } => self.revoked(partitions, lost)?,
            }
        }
        Ok(busy)
    }

    fn serve_commands(&mut self, commands: &Receiver<Command>) -> Result<bool, End> {
        let mut busy = false;
        loop {
            match commands.try_recv() {
                Ok(Command::Next(claim)) => {
                    if let Some(owned) =
                        self.owned.get_mut(&claim.partition.0).filter(|owned| owned.claim == claim)
                    {
                        owned.wanted = true;
                    }
                }
                Ok(Command::Seek(claim, position)) => self.seek(claim, position)?,
                Ok(Command::Close) => self.close(),
                Ok(Command::Abandon) | Err(TryRecvError::Disconnected) => return Err(End::Left),
                Err(TryRecvError::Empty) => return Ok(busy),
            }
            busy = true;
        }
    }

    fn seek(&mut self, claim: Claim, position: Offset) -> Result<(), End> {
        let partition = claim.partition.0;
        if self.owned.get(&partition).is_none_or(|owned| owned.claim != claim) {
            return Ok(());
        }
        self.owned.remove(&partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        let moved =
            self.consumer.incremental_unassign(&list).and_then(|()| self.assign(&[(partition, position)]));
        moved.map_err(|error| {
            End::Failed(format!("cannot read partition {partition} from {position}: {error}"))
        })?;
        self.begin(&[(partition, position)]);
        Ok(())
    }

    /// Delivers a batch of each partition that is wanted and has something.
    fn deliver(&mut self) -> bool {
        let mut batches = Vec::new();
        let mut faults = Vec::new();
        for (&partition, owned) in self.owned.iter_mut().filter(|(_, owned)| owned.wanted) {
            match owned.take(self.options.max_batch_records, self.options.max_batch_bytes) {
                Taken::Nothing => {}
                Taken::Records(records) => batches.push((partition, records)),
                Taken::End => batches.push((partition, Vec::new())),
                Taken::Fault(fault) => faults.push((partition, fault)),
            }
        }
        if batches.is_empty() && faults.is_empty() {
            return false;
        }
        let positions = self.consumer.position().map(|list| list.to_topic_map()).unwrap_or_default();
        for (partition, records) in batches {
            let Some(owned) = self.owned.get_mut(&partition) else { continue };
            let after_last = records.last().map_or(owned.next, |record| record.offset + 1);
            let position = match positions.get(&(self.topic.clone(), partition)) {
                // Records in the stash were counted when they were polled; the position must not pass them.
                Some(KafkaOffset::Offset(position)) if owned.is_drained() => after_last.max(*position),
                _ => after_last,
            };
            if records.is_empty() && position == owned.next {
                continue;
            }
            owned.next = position;
            owned.wanted = false;
            let claim = owned.claim;
            self.report(GroupEvent::Batch { claim, records, position });
        }
        for (partition, fault) in faults {
            self.failed(partition, &fault);
        }
        true
    }

    /// Tells why a partition cannot be read on, or starts it again where it was if it can.
    fn failed(&mut self, partition: i32, fault: &Fault) {
        let Some(owned) = self.owned.get_mut(&partition) else { return };
        let (claim, next) = (owned.claim, owned.next);
        let error = match (fault, self.consumer.fetch_watermarks(&self.topic, partition, self.timeout)) {
            (Fault::Truncated, _) => TailError::Truncated,
            (_, Ok((_, high))) if next > high => TailError::Truncated,
            (_, Ok((low, _))) if next < low => TailError::OutOfRange,
            // In range after all: a broker that had fallen behind said otherwise.
            (Fault::OutOfRange, Ok(_)) => {
                if self.seek(claim, next).is_ok() {
                    return;
                }
                TailError::Other("cannot start again where it was".to_owned())
            }
            (fault, _) => TailError::Other(format!("{fault:?}")),
        };
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.wanted = false;
        }
        self.report(GroupEvent::Failed { claim, error });
    }
}
