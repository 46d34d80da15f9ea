//! A log in memory for several writers, which works only when it is told to: each `step` does one thing that a network
//! or a broker might do next. The seed decides what, so that a run can be repeated.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::broker::{Broker, Faults, Message, Tail, Writer};
use crate::{AppendId, EventLog, Inbox, LogRecord, NewRecord, Offset, Partition};

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
        let done = self.broker().step();
        let Some(told) = done else { return false };
        // Delivered without the lock: an inbox may call the log.
        for (inbox, signal) in told {
            inbox.deliver(signal);
        }
        true
    }

    pub fn set_faults(&self, faults: Faults) {
        self.broker().faults = faults;
    }

    /// How many records the partition has.
    pub fn end(&self, partition: Partition) -> Offset {
        self.broker().partitions[partition.0 as usize].len() as Offset
    }

    pub fn records(&self, partition: Partition) -> Vec<LogRecord> {
        self.broker().partitions[partition.0 as usize].clone()
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
