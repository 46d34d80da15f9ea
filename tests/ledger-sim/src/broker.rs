//! The broker and the network of the simulated log: what is on its way, what has landed, and what happens next.

use std::sync::Arc;

use super::SeededRng;
use super::records::Records;
use ledger::{AppendError, AppendId, Inbox, LogError, LogRecord, Offset, Partition, Signal};

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
    /// Whatever could arrive does so later: far below 100, or it never will.
    pub delayed: u64,
    /// The next thing to happen is any one, not the oldest: appends overtake each other, reports and answers are late.
    pub reordered: u64,
    /// When it would be the tail's turn, it is not.
    pub slow_tail: u64,
}

impl Faults {
    pub const NONE: Self = Self {
        lost: 0,
        unknown: 0,
        twice: 0,
        late_copy: 0,
        unanswered: 0,
        delayed: 0,
        reordered: 0,
        slow_tail: 0,
    };
}

/// One thing that happened, for traces and checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whose message or tail it was: writers are numbered in the order they were opened.
    pub writer: usize,
    pub what: SimEvent,
    /// What landed by it.
    pub landed: Vec<LogRecord>,
}

/// What can happen in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimEvent {
    /// An append landed and will be reported at this offset.
    Landed { append_id: AppendId, reported: Offset },
    /// An append landed, and its outcome will be unknown.
    LandedUnknown { append_id: AppendId },
    /// An append whose outcome will be unknown lands later.
    HeldBack { append_id: AppendId },
    /// An append will never land, and its outcome will be unknown.
    Lost { append_id: AppendId },
    /// An append that was held back, or has landed before, landed.
    CopyLanded { append_id: AppendId },
    /// Something was put off.
    Delayed,
    /// The end was read, for an answer on its way; `None` if it will say that it failed.
    EndRead { request: u64, end: Option<Offset> },
    /// A signal reached its writer, or found nobody.
    Delivered,
    /// A tail moved.
    Followed { from: Offset, to: Offset },
}

/// What a step tells whom.
type Told = Vec<(Arc<dyn Inbox>, Signal)>;

pub(super) struct Broker {
    dice: SeededRng,
    pub(super) faults: Faults,
    clock_ms: i64,
    pub(super) partitions: Vec<Records>,
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
            dice: SeededRng::new(seed),
            faults,
            clock_ms: 0,
            partitions: (0..partitions).map(|_| Records::default()).collect(),
            writers: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Does one thing, and says what it was and what it tells whom. `None` if there is nothing to do.
    pub(super) fn step(&mut self) -> Option<(Step, Told)> {
        let behind = self.tails_behind().count();
        let waiting = self.messages.len();
        if waiting + behind == 0 {
            return None;
        }
        let is_tails_turn = behind > 0
            && (waiting == 0 || self.dice.percent(50) && !self.dice.percent(self.faults.slow_tail));
        if is_tails_turn {
            let at = self.dice.index(behind);
            let (writer, tail) = self.tails_behind().nth(at)?;
            return Some(self.move_tail(writer, tail));
        }
        let at = if self.dice.percent(self.faults.reordered) { self.dice.index(waiting) } else { 0 };
        let (writer, message) = self.messages.remove(at);
        let mut landed = Vec::new();
        let mut told = Vec::new();
        let what = if self.dice.percent(self.faults.delayed) {
            self.messages.push((writer, message));
            SimEvent::Delayed
        } else {
            match message {
                Message::Append { partition, append_id, record, is_copy } => {
                    self.receive(writer, partition, append_id, record, is_copy, &mut landed)
                }
                Message::AskEnd { partition, request } => {
                    let end = self.partitions[partition.0 as usize].end();
                    let end = (!self.dice.percent(self.faults.unanswered)).then_some(end);
                    let outcome = end.ok_or_else(|| LogError("simulated".into()));
                    self.report(writer, Signal::EndOffset { partition, request, outcome });
                    SimEvent::EndRead { request, end }
                }
                Message::Tell(signal) => {
                    told.extend(self.writers[writer].inbox.clone().map(|inbox| (inbox, signal)));
                    SimEvent::Delivered
                }
            }
        };
        Some((Step { writer, what, landed }, told))
    }

    fn receive(
        &mut self,
        writer: usize,
        partition: Partition,
        append_id: AppendId,
        record: LogRecord,
        is_copy: bool,
        landed: &mut Vec<LogRecord>,
    ) -> SimEvent {
        let copy = |record| (writer, Message::Append { partition, append_id, record, is_copy: true });
        if is_copy {
            // A zombie takes its time: others overtake it.
            if self.dice.percent(self.faults.late_copy) {
                self.messages.push(copy(record));
                return SimEvent::Delayed;
            }
            self.land_as(partition, record, landed);
            return SimEvent::CopyLanded { append_id };
        }
        let roll = self.dice.below(100);
        let Faults { lost, unknown, twice, .. } = self.faults;
        let unknown_for = |reason: &str| Err(AppendError::Unknown(format!("simulated: {reason}")));
        let (what, outcome) = if roll < lost {
            (SimEvent::Lost { append_id }, unknown_for("lost"))
        } else if roll < lost + unknown {
            let what = if self.dice.percent(50) {
                self.land_as(partition, record, landed);
                SimEvent::LandedUnknown { append_id }
            } else {
                self.messages.push(copy(record));
                SimEvent::HeldBack { append_id }
            };
            (what, unknown_for("landed, or will"))
        } else {
            let second = (roll < lost + unknown + twice).then(|| record.clone());
            let mut reported = self.land_as(partition, record, landed);
            if let Some(record) = second {
                if self.dice.percent(30) {
                    reported = self.land_as(partition, record, landed);
                } else {
                    self.messages.push(copy(record));
                }
            }
            (SimEvent::Landed { append_id, reported }, Ok(reported))
        };
        self.report(writer, Signal::Appended { partition, append_id, outcome });
        what
    }

    fn land_as(
        &mut self,
        partition: Partition,
        mut record: LogRecord,
        landed: &mut Vec<LogRecord>,
    ) -> Offset {
        record.offset = self.land(partition, record.clone());
        record.timestamp_ms = self.clock_ms;
        let offset = record.offset;
        landed.push(record);
        offset
    }

    pub(super) fn land(&mut self, partition: Partition, mut record: LogRecord) -> Offset {
        self.clock_ms += 1;
        record.timestamp_ms = self.clock_ms;
        self.partitions[partition.0 as usize].push(record)
    }

    fn report(&mut self, writer: usize, signal: Signal) {
        if self.writers[writer].inbox.is_some() {
            self.messages.push((writer, Message::Tell(signal)));
        }
    }

    fn tails_behind(&self) -> impl Iterator<Item = (usize, usize)> {
        let is_behind = |tail: &Tail| {
            tail.position < self.partitions[tail.partition.0 as usize].end()
                || tail.told != Some(tail.position)
        };
        self.writers.iter().enumerate().flat_map(move |(w, writer)| {
            let tails = writer.tails.iter().enumerate();
            tails.filter(move |(_, tail)| is_behind(tail)).map(move |(t, _)| (w, t))
        })
    }

    fn move_tail(&mut self, writer: usize, tail: usize) -> (Step, Told) {
        let Writer { inbox, tails } = &mut self.writers[writer];
        let tail = &mut tails[tail];
        let partition = tail.partition;
        let log = &self.partitions[partition.0 as usize];
        let from = tail.position;
        let behind = log.between(from, Offset::MAX);
        let count = match behind.len() {
            0 => 0,
            behind => 1 + self.dice.index(behind),
        };
        let mut told = Vec::new();
        if let Some(last) = behind[..count].last() {
            tail.position = last.offset + 1;
            told.push(Signal::Records { partition, records: behind[..count].to_vec() });
        }
        // A hole at the end is passed like a record.
        if count == behind.len() {
            tail.position = tail.position.max(log.end());
        }
        // The position often comes with the records, and sometimes later.
        if count == 0 || self.dice.percent(70) {
            tail.told = Some(tail.position);
            told.push(Signal::Position { partition, position: tail.position });
        }
        let what = SimEvent::Followed { from, to: tail.position };
        let told = match inbox {
            Some(inbox) => told.into_iter().map(|signal| (Arc::clone(inbox), signal)).collect(),
            None => Vec::new(),
        };
        (Step { writer, what, landed: Vec::new() }, told)
    }
}
