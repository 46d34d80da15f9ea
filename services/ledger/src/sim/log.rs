//! A log in memory for several writers, which works only when it is told to: each `step` does one thing that a network
//! or a broker might do next. The seed decides what, so that a run can be repeated.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Dice;
use crate::{
    AppendError, AppendId, EventLog, Inbox, LogError, LogRecord, NewRecord, Offset, Partition, Signal,
};

/// How often something goes wrong, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// An append does not land; its outcome is unknown.
    pub lost: u64,
    /// An append lands, now or much later; its outcome is unknown.
    pub unknown: u64,
    /// An append lands twice; the report tells one of the two.
    pub twice: u64,
    /// A copy that could land does so later: far below 100, or it never will.
    pub late_copy: u64,
    /// A question for the end offset is not answered.
    pub unanswered: u64,
    /// The next thing to happen is any one, not the oldest: appends overtake each other, reports and answers are late.
    pub reordered: u64,
    /// When it would be the tail's turn, it is not.
    pub slow_tail: u64,
}

impl Faults {
    pub const NONE: Self =
        Self { lost: 0, unknown: 0, twice: 0, late_copy: 0, unanswered: 0, reordered: 0, slow_tail: 0 };
}

/// A topic in memory.
#[derive(Clone)]
pub struct SimTopic(Arc<Mutex<Broker>>);

/// One writer's access to a [`SimTopic`].
pub struct SimLog {
    topic: SimTopic,
    writer: usize,
}

struct Broker {
    dice: Dice,
    faults: Faults,
    clock_ms: i64,
    partitions: Vec<Vec<LogRecord>>,
    writers: Vec<Writer>,
    /// On the way, oldest first.
    messages: Vec<(usize, Message)>,
}

struct Writer {
    /// `None` once it is closed.
    inbox: Option<Arc<dyn Inbox>>,
    tails: Vec<Tail>,
}

struct Tail {
    partition: Partition,
    position: Offset,
    /// What `Signal::Position` has told.
    told: Option<Offset>,
}

enum Message {
    Append { partition: Partition, append_id: AppendId, record: LogRecord, is_copy: bool },
    AskEnd { partition: Partition, request: u64 },
    Tell(Signal),
}

impl SimTopic {
    pub fn new(partitions: i32, seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(Broker {
            dice: Dice::new(seed),
            faults,
            clock_ms: 0,
            partitions: (0..partitions).map(|_| Vec::new()).collect(),
            writers: Vec::new(),
            messages: Vec::new(),
        })))
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

impl Broker {
    fn step(&mut self) -> Option<Vec<(Arc<dyn Inbox>, Signal)>> {
        let tails = self.tails_behind();
        let waiting = self.messages.len();
        if waiting + tails.len() == 0 {
            return None;
        }
        let is_tails_turn = !tails.is_empty()
            && (waiting == 0 || self.dice.percent(50) && !self.dice.percent(self.faults.slow_tail));
        if is_tails_turn {
            let (writer, tail) = tails[self.dice.index(tails.len())];
            return Some(self.move_tail(writer, tail));
        }
        let at = if self.dice.percent(self.faults.reordered) { self.dice.index(waiting) } else { 0 };
        let (writer, message) = self.messages.remove(at);
        match message {
            Message::Append { partition, append_id, record, is_copy } => {
                self.receive(writer, partition, append_id, record, is_copy);
            }
            Message::AskEnd { partition, request } => {
                let end = self.partitions[partition.0 as usize].len() as Offset;
                let lost = self.dice.percent(self.faults.unanswered);
                let outcome = if lost { Err(LogError("simulated".into())) } else { Ok(end) };
                self.tell(writer, Signal::EndOffset { partition, request, outcome });
            }
            Message::Tell(signal) => {
                return Some(
                    self.writers[writer].inbox.clone().map(|inbox| (inbox, signal)).into_iter().collect(),
                );
            }
        }
        Some(Vec::new())
    }

    fn receive(
        &mut self,
        writer: usize,
        partition: Partition,
        append_id: AppendId,
        record: LogRecord,
        is_copy: bool,
    ) {
        if is_copy {
            // A zombie takes its time: others overtake it.
            if self.dice.percent(self.faults.late_copy) {
                self.messages.push((writer, Message::Append { partition, append_id, record, is_copy }));
            } else {
                self.land(partition, record);
            }
            return;
        }
        let roll = self.dice.below(100);
        let Faults { lost, unknown, twice, .. } = self.faults;
        let outcome = if roll < lost {
            Err(AppendError::Unknown("simulated: lost".into()))
        } else if roll < lost + unknown {
            if self.dice.percent(50) {
                self.land(partition, record);
            } else {
                self.messages.push((writer, Message::Append { partition, append_id, record, is_copy: true }));
            }
            Err(AppendError::Unknown("simulated: landed, or will".into()))
        } else {
            let copy = (roll < lost + unknown + twice).then(|| record.clone());
            let offset = self.land(partition, record);
            let tells_second = copy.is_some() && self.dice.percent(30);
            match copy {
                Some(record) if tells_second => Ok(self.land(partition, record)),
                Some(record) => {
                    let copy = Message::Append { partition, append_id, record, is_copy: true };
                    self.messages.push((writer, copy));
                    Ok(offset)
                }
                None => Ok(offset),
            }
        };
        self.tell(writer, Signal::Appended { partition, append_id, outcome });
    }

    fn land(&mut self, partition: Partition, mut record: LogRecord) -> Offset {
        self.clock_ms += 1;
        let log = &mut self.partitions[partition.0 as usize];
        record.offset = log.len() as Offset;
        record.timestamp_ms = self.clock_ms;
        log.push(record);
        log.len() as Offset - 1
    }

    fn tell(&mut self, writer: usize, signal: Signal) {
        if self.writers[writer].inbox.is_some() {
            self.messages.push((writer, Message::Tell(signal)));
        }
    }

    fn tails_behind(&self) -> Vec<(usize, usize)> {
        let mut behind = Vec::new();
        for (w, writer) in self.writers.iter().enumerate() {
            for (t, tail) in writer.tails.iter().enumerate() {
                let end = self.partitions[tail.partition.0 as usize].len() as Offset;
                if tail.position < end || tail.told != Some(tail.position) {
                    behind.push((w, t));
                }
            }
        }
        behind
    }

    fn move_tail(&mut self, writer: usize, tail: usize) -> Vec<(Arc<dyn Inbox>, Signal)> {
        let Some(inbox) = self.writers[writer].inbox.clone() else { return Vec::new() };
        let tail = &mut self.writers[writer].tails[tail];
        let partition = tail.partition;
        let log = &self.partitions[partition.0 as usize];
        let from = (tail.position as usize).min(log.len());
        let count = match log.len() - from {
            0 => 0,
            behind => 1 + self.dice.index(behind),
        };
        let mut told = Vec::new();
        if count > 0 {
            let records = log[from..from + count].to_vec();
            tail.position = (from + count) as Offset;
            told.push((Arc::clone(&inbox), Signal::Records { partition, records }));
        }
        // The position often comes with the records, and sometimes later.
        if count == 0 || self.dice.percent(70) {
            tail.told = Some(tail.position);
            told.push((inbox, Signal::Position { partition, position: tail.position }));
        }
        told
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
