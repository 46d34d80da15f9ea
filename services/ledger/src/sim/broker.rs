//! The broker and the network of the simulated log: what is on its way, what has landed, and what happens next.

use std::sync::Arc;

use super::Dice;
use crate::{AppendError, AppendId, Inbox, LogError, LogRecord, Offset, Partition, Signal};

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

pub(super) struct Broker {
    dice: Dice,
    pub(super) faults: Faults,
    clock_ms: i64,
    pub(super) partitions: Vec<Vec<LogRecord>>,
    pub(super) writers: Vec<Writer>,
    /// On the way, oldest first.
    pub(super) messages: Vec<(usize, Message)>,
}

pub(super) struct Writer {
    /// `None` once it is closed.
    pub(super) inbox: Option<Arc<dyn Inbox>>,
    pub(super) tails: Vec<Tail>,
}

pub(super) struct Tail {
    pub(super) partition: Partition,
    pub(super) position: Offset,
    /// What `Signal::Position` has told.
    pub(super) told: Option<Offset>,
}

pub(super) enum Message {
    Append { partition: Partition, append_id: AppendId, record: LogRecord, is_copy: bool },
    AskEnd { partition: Partition, request: u64 },
    Tell(Signal),
}

impl Broker {
    pub(super) fn new(partitions: i32, seed: u64, faults: Faults) -> Self {
        Self {
            dice: Dice::new(seed),
            faults,
            clock_ms: 0,
            partitions: (0..partitions).map(|_| Vec::new()).collect(),
            writers: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Does one thing, and says what that tells whom. `None` if there is nothing to do.
    pub(super) fn step(&mut self) -> Option<Vec<(Arc<dyn Inbox>, Signal)>> {
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
