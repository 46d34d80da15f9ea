//! One writer: a real sequencer, its log, and the driver between them, which does what the engine's does.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Event, Product};
use ledger::sim::{SimLog, SimTopic};
use ledger::{
    AppendId, CommandHash, CommandId, EventLog, Headers, Inbox, Limits, NewRecord, Offset, Output, Partition,
    RecordKey, Recorded, Sequencer, Signal, Snapshot, Unreadable, WINDOW,
};

use crate::Weakening;
use crate::catalog::Catalog;
use crate::disk::Disk;

pub(crate) const P: Partition = Partition(0);
/// Of the topic: one is simulated, the other is where keys may be that do not belong here.
pub(crate) const PARTITIONS: i32 = 2;
/// The number of the driver's own question: where to catch up to.
const CATCH_UP: u64 = u64::MAX;

/// What records hold: a record's value is a place in this list.
#[derive(Debug, Default)]
pub(crate) struct Written(Vec<Recorded<Event>>);

impl Written {
    pub(crate) fn push(
        &mut self,
        event: Event,
        command_id: CommandId,
        command_hash: Option<CommandHash>,
    ) -> [u8; 8] {
        self.0.push(Recorded { event, command_id: Some(command_id), command_hash });
        (self.0.len() as u64 - 1).to_be_bytes()
    }

    fn decode(&self, value: Option<&[u8]>) -> Result<Recorded<Event>, Unreadable> {
        let at = value.and_then(|value| value.try_into().ok()).map(u64::from_be_bytes);
        let recorded = at.and_then(|at| self.0.get(usize::try_from(at).ok()?));
        recorded.cloned().ok_or_else(|| Unreadable("the simulation did not write it".into()))
    }
}

#[derive(Default)]
struct Queue(Mutex<Vec<Signal>>);

impl Inbox for Queue {
    fn deliver(&self, signal: Signal) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(signal);
    }
}

pub(crate) struct Node {
    number: usize,
    /// How many there were in its place.
    life: u64,
    pub(crate) sequencer: Sequencer<Catalog>,
    /// Its number with the simulated log.
    pub(crate) writer: usize,
    log: SimLog,
    inbox: Arc<Queue>,
    /// Its clock is ahead by this.
    skew_ms: u64,
    pub(crate) paused_until_ms: u64,
    /// Tickets without an answer.
    pub(crate) open: Vec<u64>,
    /// How far its states were compared.
    pub(crate) compared: Offset,
    /// In the order of the simulation's steps.
    pub(crate) born: u64,
    /// The first append that this state has made.
    first_append: Option<AppendId>,
    /// Where its appends stand, as far as it was told.
    reported: Vec<Offset>,
    pub(crate) disk: Option<Disk>,
    /// Snapshots on their way to the disk, oldest first.
    unwritten: Vec<Snapshot<Product>>,
    /// Where the snapshot it starts from has its last record, until the tail has come there.
    resumes_at: Option<Offset>,
}

/// Who a node is, and where the log is.
pub(crate) struct Birth<'a> {
    pub(crate) topic: &'a SimTopic,
    pub(crate) number: usize,
    pub(crate) life: u64,
    /// Of all nodes there were.
    pub(crate) writer: usize,
    pub(crate) nonce: u64,
    pub(crate) skew_ms: u64,
    pub(crate) limits: Limits,
    pub(crate) weakened: Option<Weakening>,
    pub(crate) step: u64,
    pub(crate) disk: Option<Disk>,
}

impl Node {
    pub(crate) fn start(birth: Birth<'_>) -> Self {
        let inbox = Arc::new(Queue::default());
        let log = birth.topic.open(Arc::clone(&inbox) as Arc<dyn Inbox>);
        let mut sequencer = match birth.weakened.and_then(Weakening::law) {
            None => Sequencer::new(P, PARTITIONS, birth.nonce, birth.limits),
            broken => Sequencer::for_tests(P, PARTITIONS, birth.nonce, birth.limits, WINDOW, broken),
        };
        let mut resumes_at = None;
        if let Some(disk) = &birth.disk {
            sequencer = sequencer.with_cold(Box::new(disk.cold.clone()), disk.hot);
            if let Some(mark) = disk.cold.mark() {
                resumes_at = Some(mark.last);
                sequencer.resume(mark);
            }
        }
        log.ask_end_offset(P, CATCH_UP);
        log.tail_from(P, resumes_at.unwrap_or(0));
        Self {
            number: birth.number,
            life: birth.life,
            sequencer,
            writer: birth.writer,
            log,
            inbox,
            skew_ms: birth.skew_ms,
            paused_until_ms: 0,
            open: Vec::new(),
            compared: -1,
            born: birth.step,
            first_append: None,
            reported: Vec::new(),
            disk: birth.disk,
            unwritten: Vec::new(),
            resumes_at,
        }
    }

    /// The process dies, with everything it had in flight.
    pub(crate) fn kill(&self) {
        self.log.close();
    }

    /// The state is thrown away while old signals are still in the inbox.
    pub(crate) fn reset(&mut self) {
        self.sequencer.reset();
        self.compared = -1;
        self.first_append = None;
        self.reported.clear();
        self.unwritten.clear();
        self.resumes_at = None;
        if let Some(disk) = &mut self.disk {
            // It is empty now.
            disk.is_false = false;
        }
        self.log.ask_end_offset(P, CATCH_UP);
        self.log.tail_from(P, 0);
    }

    /// The tail starts again where the state stands, while the old one's signals are still in the inbox.
    pub(crate) fn follow_again(&self) {
        self.log.tail_from(P, self.resumes_at.unwrap_or(self.sequencer.next()));
    }

    /// Takes a snapshot, which is not on the disk yet. False if there is nothing to save, or nowhere.
    pub(crate) fn take_snapshot(&mut self) -> bool {
        let snapshot = self.disk.as_ref().and_then(|_| self.sequencer.snapshot());
        let is_taken = snapshot.is_some();
        self.unwritten.extend(snapshot);
        is_taken
    }

    /// The oldest of the snapshots under way reaches the disk. False if there is none.
    pub(crate) fn write_snapshot(&mut self) -> bool {
        let Some(disk) = self.disk.as_ref().filter(|_| !self.unwritten.is_empty()) else { return false };
        let snapshot = self.unwritten.remove(0);
        disk.cold.write(&snapshot);
        self.sequencer.saved(snapshot.number);
        true
    }

    /// Its states may be of another log, which it does not know yet.
    pub(crate) fn is_misled(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.is_false)
    }

    pub(crate) fn clock(&self, now_ms: u64) -> u64 {
        now_ms + self.skew_ms
    }

    pub(crate) fn signals(&self) -> Vec<Signal> {
        std::mem::take(&mut *self.inbox.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn feed(&mut self, now_ms: u64, signal: Signal, written: &Written) {
        let now_ms = self.clock(now_ms);
        match signal {
            Signal::Appended { append_id, outcome, .. } => {
                if let (Some(first), Ok(offset)) = (self.first_append, &outcome)
                    && append_id >= first
                {
                    self.reported.push(*offset);
                }
                self.sequencer.appended(now_ms, append_id, outcome);
            }
            Signal::EndOffset { request: CATCH_UP, outcome, .. } => match outcome {
                Ok(end) => self.sequencer.catch_up_to(end),
                Err(_) => self.log.ask_end_offset(P, CATCH_UP),
            },
            Signal::EndOffset { request, outcome, .. } => self.sequencer.end_offset(now_ms, request, outcome),
            Signal::Records { records, .. } => {
                self.resumes_at = None;
                for record in records {
                    let decode = || written.decode(record.value.as_deref());
                    self.sequencer.record(now_ms, record.offset, &record.key, decode);
                }
            }
            Signal::Position { position, .. } => {
                self.resumes_at = self.resumes_at.filter(|at| position <= *at);
                self.sequencer.position(now_ms, position);
            }
            Signal::TailFailed { error, .. } => unreachable!("the simulated tail does not fail: {error}"),
        }
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output<Catalog>> {
        let mut outputs = Vec::new();
        self.sequencer.take_outputs(&mut outputs);
        outputs
    }

    /// Whether it knows that a record of its own stands there, and has not read so far: it will miss it.
    pub(crate) fn awaits(&self, offset: Offset) -> bool {
        self.sequencer.next() <= offset && self.reported.contains(&offset)
    }

    pub(crate) fn append(&mut self, append_id: AppendId, key: RecordKey, value: [u8; 8]) {
        self.first_append.get_or_insert(append_id);
        let value = bytes::Bytes::copy_from_slice(&value);
        self.log.append(P, append_id, NewRecord { key, value, headers: Headers::new() });
    }

    pub(crate) fn ask_end(&self, request: u64) {
        self.log.ask_end_offset(P, request);
    }

    pub(crate) fn life(&self) -> u64 {
        self.life
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("w{}.{}", self.number, self.life))
    }
}
