//! The tail's thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use ledger::{Inbox, LogRecord, Offset, Partition, Signal, TailError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use uuid::Uuid;

use super::fault::{self, Fault};
use super::{Known, Start};
use crate::client::Connection;
use crate::record::{WantedHeaders, log_record};

/// How long a poll waits for data; data ends it at once. Bounds how soon a start is noticed.
const POLL: Duration = Duration::from_millis(10);
/// Records of all partitions per round: bounds memory and how long the first record of a round waits.
const ROUND: usize = 2_000;
/// How long a round of nothing but the reader's own appends waits for their reports, which save copying them: at most, and
/// a look at a time. A record of anyone else ends it at once.
const PATIENCE: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(1);

pub(super) struct Reading {
    consumer: BaseConsumer<Connection>,
    topic: String,
    wanted: WantedHeaders,
    inbox: Arc<dyn Inbox>,
    known: Known,
    timeout: Duration,
    /// The partitions that are read, each with the first offset not delivered.
    next: BTreeMap<i32, Offset>,
    /// Records of this round.
    round: BTreeMap<i32, Vec<LogRecord>>,
}

impl Reading {
    pub(super) fn new(
        consumer: BaseConsumer<Connection>,
        topic: &str,
        wanted: WantedHeaders,
        inbox: Arc<dyn Inbox>,
        known: Known,
        timeout: Duration,
    ) -> Self {
        Self {
            consumer,
            topic: topic.to_owned(),
            wanted,
            inbox,
            known,
            timeout,
            next: BTreeMap::new(),
            round: BTreeMap::new(),
        }
    }

    /// Runs until the tail is dropped. The consumer's end, which blocks, happens on this thread.
    pub(super) fn run(mut self, starts: &Receiver<Start>) {
        loop {
            match starts.try_recv() {
                Ok(start) => {
                    self.start(start);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            if self.next.is_empty() {
                // Nothing to poll for but events; a start must not wait for them.
                drop(self.consumer.poll(Duration::ZERO));
                match starts.recv_timeout(Duration::from_secs(1)) {
                    Ok(start) => self.start(start),
                    Err(error) if error.is_timeout() => {}
                    Err(_) => return,
                }
                continue;
            }
            self.round();
        }
    }

    fn start(&mut self, start: Start) {
        let Start { partition, from } = start;
        if let Err(error) = self.assign(partition.0, from) {
            self.fail(partition.0, TailError::Other(format!("cannot start at offset {from}: {error}")));
        }
    }

    fn assign(&mut self, partition: i32, from: Offset) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, KafkaOffset::Offset(from))?;
        if self.next.remove(&partition).is_some() {
            self.consumer.incremental_unassign(&list)?;
        }
        self.consumer.incremental_assign(&list)?;
        self.next.insert(partition, from);
        Ok(())
    }

    fn fail(&mut self, partition: i32, error: TailError) {
        if self.next.remove(&partition).is_some() {
            let mut list = TopicPartitionList::new();
            list.add_partition(&self.topic, partition);
            if let Err(error) = self.consumer.incremental_unassign(&list) {
                tracing::warn!(partition, %error, "cannot stop reading a partition whose tail failed");
            }
        }
        self.inbox.deliver(Signal::TailFailed { partition: Partition(partition), error });
    }

    /// Takes what is there, up to a bound, and delivers it.
    fn round(&mut self) {
        let Self { consumer, next, round, known, wanted, .. } = self;
        let mut faults = Vec::new();
        // Partitions with records, or whose end was met.
        let mut touched = BTreeSet::new();
        let mut messages = Vec::new();
        let mut is_own_only = true;
        let mut taken = 0;
        let (mut wait, mut since) = (POLL, None);
        while taken < ROUND {
            let Some(polled) = consumer.poll(wait) else {
                let is_in_vain = since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE;
                if is_in_vain || !is_own_only || messages.iter().all(|it| !is_new(next, known, it)) {
                    break;
                }
                wait = LOOK;
                continue;
            };
            wait = Duration::ZERO;
            match polled {
                Ok(message) if is_new(next, known, &message) => {
                    is_own_only = is_own_only && is_own(known, &message);
                    messages.push(message);
                }
                Ok(_) => {}
                Err(KafkaError::PartitionEOF(partition)) => {
                    touched.insert(partition);
                }
                Err(error) => faults.push(fault::of(&error)),
            }
            taken += 1;
        }
        for message in messages.iter().filter(|message| is_new(next, known, message)) {
            round.entry(message.partition()).or_default().push(log_record(message, *wanted));
        }
        drop(messages);
        for (&partition, records) in round.iter_mut().filter(|(_, records)| !records.is_empty()) {
            touched.insert(partition);
            let records = std::mem::take(records);
            self.inbox.deliver(Signal::Records { partition: Partition(partition), records });
        }
        if !touched.is_empty() {
            self.consumer.context().up();
            self.report_positions(&touched);
        }
        for fault in faults {
            self.handle(fault);
        }
    }

    /// Tells the positions of `touched` partitions. Of others the consumer may still remember where it stood before it
    /// was told to start elsewhere.
    fn report_positions(&mut self, touched: &BTreeSet<i32>) {
        let positions = match self.consumer.position() {
            Ok(positions) => positions,
            // The records were delivered; the position is told after the next batch.
            Err(error) => return tracing::warn!(%error, "cannot read the tail's positions"),
        };
        for element in positions.elements_for_topic(&self.topic) {
            let partition = element.partition();
            let Some(next) = self.next.get_mut(&partition).filter(|_| touched.contains(&partition)) else {
                continue;
            };
            // Invalid until the first record: then the position is the start.
            if let KafkaOffset::Offset(position) = element.offset() {
                *next = position.max(*next);
            }
            self.inbox.deliver(Signal::Position { partition: Partition(partition), position: *next });
        }
    }

    fn handle(&mut self, fault: Fault) {
        match fault {
            Fault::Connection(reason) => self.consumer.context().down(&reason),
            Fault::Noted(reason) => {
                tracing::warn!(topic = self.topic, reason, "the tail goes on after an error");
            }
            Fault::Final(reason) => {
                for partition in self.next.keys().copied().collect::<Vec<_>>() {
                    self.fail(partition, TailError::Other(reason.clone()));
                }
            }
            // librdkafka does not tell which partition: ask where each stands.
            Fault::OutOfRange | Fault::Truncated => {
                for (partition, next) in self.next.clone() {
                    match self.consumer.fetch_watermarks(&self.topic, partition, self.timeout) {
                        Ok((_, high)) if next > high => self.fail(partition, TailError::Truncated),
                        Ok((low, _)) if next < low => self.fail(partition, TailError::OutOfRange),
                        // A truncation that has been written over cannot be seen from here.
                        Ok(_) if fault == Fault::Truncated => self.fail(partition, TailError::Truncated),
                        // In range now: a broker that had fallen behind said otherwise. Go on where we were.
                        Ok(_) => {
                            if let Err(error) = self.assign(partition, next) {
                                self.fail(partition, TailError::Other(error.to_string()));
                            }
                        }
                        Err(error) => {
                            self.fail(partition, TailError::Other(format!("cannot tell its range: {error}")));
                        }
                    }
                }
            }
        }
    }
}

/// Whether the reader needs a record: its partition is read, it was not delivered before (a consumer that was told to go
/// on at `next` never sends what lies below), and it is not applied already.
fn is_new(next: &BTreeMap<i32, Offset>, known: &Known, message: &BorrowedMessage<'_>) -> bool {
    let applied = known.get(message.partition() as usize).map_or(0, |it| it.applied.load(Ordering::Relaxed));
    next.get(&message.partition()).is_some_and(|next| message.offset() >= applied.max(*next))
}

/// Whether the reader itself wrote a record, as far as the event id says that ends its key. A wrong answer costs a copy,
/// or a nap.
fn is_own(known: &Known, message: &BorrowedMessage<'_>) -> bool {
    let id = message.key().and_then(|key| Uuid::try_parse_ascii(key.last_chunk::<36>()?).ok());
    let lane = known.get(message.partition() as usize);
    id.zip(lane).is_some_and(|(id, lane)| lane.own.load(Ordering::Relaxed) == id.as_u64_pair().0)
}
