//! A log in memory for several writers, which works only when it is told to: each `step` does one thing that a network
//! or a broker might do next. The seed decides what, so that a run can be repeated.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::broker::{Broker, Faults, Message, Step, Tail, Writer};
use ledger::{
    AppendId, EventLog, Headers, Inbox, LogRecord, NewRecord, Offset, Partition, Signal, TailError,
};

/// A topic in memory.
#[derive(Clone)]
pub struct SimTopic(Arc<Mutex<Broker>>);

/// One writer's access to a [`SimTopic`].
pub struct SimLog {
    topic: SimTopic,
    writer: usize,
}

impl SimTopic {
    pub fn new(partitions: i32, seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(Broker::new(partitions, seed, faults))))
    }

    /// Another writer.
    pub fn open(&self, inbox: Arc<dyn Inbox>) -> SimLog {
        let mut broker = self.broker();
        broker.writers.push(Writer { inbox: Some(inbox), tails: Vec::new() });
        SimLog { topic: self.clone(), writer: broker.writers.len() - 1 }
    }

    /// Does one thing. False if there is nothing to do.
    pub fn step(&self) -> bool {
        self.take_step().is_some()
    }

    /// Does one thing and says what it was. `None` if there is nothing to do.
    pub fn take_step(&self) -> Option<Step> {
        let (step, told) = self.broker().step()?;
        // Delivered without the lock: an inbox may call the log.
        for (inbox, signal) in told {
            inbox.deliver(signal);
        }
        Some(step)
    }

    pub fn set_faults(&self, faults: Faults) {
        self.broker().faults = faults;
    }

    /// The offset after the partition's last record.
    pub fn end(&self, partition: Partition) -> Offset {
        self.broker().partitions[partition.0 as usize].end()
    }

    pub fn records(&self, partition: Partition) -> Vec<LogRecord> {
        self.read(partition, 0, Offset::MAX)
    }

    /// The records of [from, to), as they stand now.
    pub fn read(&self, partition: Partition, from: Offset, to: Offset) -> Vec<LogRecord> {
        self.broker().partitions[partition.0 as usize].between(from, to).to_vec()
    }

    /// The keys of appends that are on their way, oldest first: they land, or they are lost.
    pub fn on_the_way(&self) -> Vec<Bytes> {
        let key = |(_, message): &(usize, Message)| match message {
            Message::Append { record, .. } => Some(record.key.clone()),
            Message::AskEnd { .. } | Message::Tell(_) => None,
        };
        self.broker().messages.iter().filter_map(key).collect()
    }

    /// Puts a record at the partition's end, as someone without a [`SimLog`] would. Says where.
    pub fn write(&self, partition: Partition, key: Bytes, value: Option<Bytes>) -> Offset {
        let record = LogRecord { offset: 0, timestamp_ms: 0, key, value, headers: Headers::new() };
        self.broker().land(partition, record)
    }

    /// The partition's end moves on, as if others had written there what nobody here looks at.
    pub fn pass_over(&self, partition: Partition, offsets: Offset) {
        self.broker().partitions[partition.0 as usize].pass_over(offsets);
    }

    /// Where each key stands that stands more than once: its first and its last offset. What compaction would remove.
    pub fn copies(&self, partition: Partition) -> Vec<(Offset, Offset)> {
        self.broker().partitions[partition.0 as usize].copies()
    }

    /// Compaction removes one record.
    pub fn remove(&self, partition: Partition, offset: Offset) {
        self.broker().partitions[partition.0 as usize].remove(offset);
    }

    fn broker(&self) -> MutexGuard<'_, Broker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimLog {
    /// The writer dies: it hears nothing any more. What it sent may still land.
    pub fn close(&self) {
        let mut broker = self.topic.broker();
        let writer = &mut broker.writers[self.writer];
        writer.inbox = None;
        writer.tails.clear();
    }

    /// The writer's tail of the partition fails, and says so, behind all it has shown. False if it has none.
    pub fn fail_tail(&self, partition: Partition, problem: &str) -> bool {
        let inbox = {
            let mut broker = self.topic.broker();
            let Writer { inbox, tails } = &mut broker.writers[self.writer];
            let before = tails.len();
            tails.retain(|tail| tail.partition != partition);
            inbox.clone().filter(|_| tails.len() < before)
        };
        // Delivered without the lock, like all signals.
        let Some(inbox) = inbox else { return false };
        inbox.deliver(Signal::TailFailed { partition, error: TailError::Other(problem.to_owned()) });
        true
    }

    fn send(&self, message: Message) {
        self.topic.broker().messages.push((self.writer, message));
    }
}

impl EventLog for SimLog {
    fn partitions(&self) -> i32 {
        self.topic.broker().partitions.len() as i32
    }

    fn append(&self, partition: Partition, append_id: AppendId, record: NewRecord) {
        let record = LogRecord {
            offset: 0,
            timestamp_ms: 0,
            key: Bytes::from(record.key.to_string()),
            value: Some(record.value),
            headers: record.headers,
        };
        self.send(Message::Append { partition, append_id, record, is_copy: false });
    }

    fn ask_end_offset(&self, partition: Partition, request: u64) {
        self.send(Message::AskEnd { partition, request });
    }

    fn tail_from(&self, partition: Partition, from: Offset) {
        let mut broker = self.topic.broker();
        let tails = &mut broker.writers[self.writer].tails;
        tails.retain(|tail| tail.partition != partition);
        tails.push(Tail { partition, position: from, told: None });
    }
}

impl fmt::Debug for SimTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTopic").finish_non_exhaustive()
    }
}

impl fmt::Debug for SimLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimLog").field("writer", &self.writer).finish_non_exhaustive()
    }
}
