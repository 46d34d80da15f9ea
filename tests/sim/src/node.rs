//! One writer: the driver that ships, its log, and the host between them, which does what the engine's does.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Event, Product};
use ledger::{
    AppendId, CommandHash, CommandId, DecodedRecord, EventLog, Headers, Held, Inbox, Limits, NewRecord,
    Offset, Partition, PartitionDriver, RecordKey, SavePolicy, Sequencer, Signal, Snapshot, TailError,
};
use ledger_sim::{Broken, SimLog, SimTopic};

use crate::Weakening;
use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::schemas::{Known, Reading};

pub(crate) const P: Partition = Partition(0);
/// Of the topic: one is simulated, the other is where keys may be that do not belong here.
pub(crate) const PARTITIONS: i32 = 2;
/// Commands are answered within so many milliseconds, or sooner if they ask for it.
pub(crate) const DEADLINE_MS: u64 = 3_000;

/// What records hold: a record's value is a place in this list.
#[derive(Debug, Default)]
pub(crate) struct Written(Vec<DecodedRecord<Event>>);

impl Written {
    pub(crate) fn push(
        &mut self,
        event: Event,
        command_id: CommandId,
        command_hash: Option<CommandHash>,
    ) -> u64 {
        self.0.push(DecodedRecord { event, command_id: Some(command_id), command_hash });
        self.0.len() as u64 - 1
    }

    pub(crate) fn at(&self, place: u64) -> Option<&DecodedRecord<Event>> {
        self.0.get(usize::try_from(place).ok()?)
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
    pub(crate) driver: PartitionDriver<Catalog, u64, Broken>,
    /// Its number with the simulated log.
    pub(crate) writer: usize,
    pub(crate) log: SimLog,
    inbox: Arc<Queue>,
    /// What it knows of schemas.
    pub(crate) known: Known,
    /// Its clock is ahead by this.
    skew_ms: u64,
    pub(crate) paused_until_ms: u64,
    /// Tickets without an answer.
    pub(crate) open: Vec<u64>,
    /// How far its states were compared, and with how many products withheld.
    pub(crate) compared: (Offset, usize),
    /// In the order of the simulation's steps.
    pub(crate) born: u64,
    /// The first append that this state has made.
    first_append: Option<AppendId>,
    /// Where its appends stand, as far as it was told.
    reported: Vec<Offset>,
    pub(crate) disk: Option<Disk>,
    /// Snapshots on their way to the disk, oldest first.
    unwritten: Vec<Snapshot<Product>>,
    /// How often it was told that its tail is worth nothing, and has not thrown its state away yet: it may wait for a schema.
    pub(crate) tails_lost: u32,
    /// Its tail has failed and was not started again.
    pub(crate) tail_failed: bool,
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
    pub(crate) held: Held,
    pub(crate) weakened: Option<Weakening>,
    pub(crate) step: u64,
    pub(crate) disk: Option<Disk>,
    /// How many changed products are saved, and how often.
    pub(crate) saving: (usize, u64),
}

impl Node {
    /// It has yet to be told to start.
    pub(crate) fn new(birth: Birth<'_>) -> Self {
        let inbox = Arc::new(Queue::default());
        let log = birth.topic.open(Arc::clone(&inbox) as Arc<dyn Inbox>);
        let laws = Broken(birth.weakened.and_then(Weakening::law));
        let sequencer = Sequencer::under(laws, P, PARTITIONS, birth.nonce, birth.limits);
        let mut driver = PartitionDriver::new(sequencer, birth.held, DEADLINE_MS);
        if let Some(disk) = &birth.disk {
            let (max_changed, save_ms) = birth.saving;
            let policy = SavePolicy { hot: disk.hot, hot_bytes: usize::MAX / 4, max_changed, save_ms };
            driver = driver.keeping(Box::new(disk.cold.clone()), policy, disk.cold.mark());
        }
        Self {
            number: birth.number,
            life: birth.life,
            driver,
            writer: birth.writer,
            log,
            inbox,
            known: Known::default(),
            skew_ms: birth.skew_ms,
            paused_until_ms: 0,
            open: Vec::new(),
            compared: (-1, 0),
            born: birth.step,
            first_append: None,
            reported: Vec::new(),
            disk: birth.disk,
            unwritten: Vec::new(),
            tails_lost: 0,
            tail_failed: false,
        }
    }

    pub(crate) fn next(&self) -> Offset {
        self.driver.sequencer().next()
    }

    /// The process dies, with everything it had in flight.
    pub(crate) fn kill(&self) {
        self.log.close();
    }

    /// The log says that its tail is worth nothing, while old signals are still in the inbox.
    pub(crate) fn lose_tail(&mut self, now_ms: u64, written: &Written) {
        self.tails_lost += 1;
        self.feed(now_ms, Signal::TailFailed { partition: P, error: TailError::OutOfRange }, written);
    }

    /// The state is discarded.
    pub(crate) fn discarded(&mut self) {
        self.compared = (-1, 0);
        self.first_append = None;
        self.reported.clear();
        // What was taken before is written where nobody finds it.
        self.unwritten.clear();
        self.tails_lost = self.tails_lost.saturating_sub(1);
        if let Some(disk) = &mut self.disk {
            // It is empty now.
            disk.is_false = false;
        }
    }

    /// The tail starts again where the state stands, while the old one's signals are still in the inbox.
    pub(crate) fn follow_again(&self) {
        self.log.tail_from(P, self.driver.sequencer().tail_from());
    }

    /// Saves what the driver wants saved. It is not on the disk yet.
    pub(crate) fn save(&mut self, now_ms: u64) -> bool {
        let snapshot = self.driver.save(self.clock(now_ms));
        let is_taken = snapshot.is_some();
        self.unwritten.extend(snapshot);
        is_taken
    }

    /// The oldest of the snapshots in flight reaches the disk. False if there is none.
    pub(crate) fn write_snapshot(&mut self) -> bool {
        let Some(disk) = self.disk.as_ref().filter(|_| !self.unwritten.is_empty()) else { return false };
        let snapshot = self.unwritten.remove(0);
        disk.cold.write(&snapshot);
        self.driver.saved(snapshot.number);
        true
    }

    /// The oldest of the snapshots in flight cannot be written, nor can those behind it. False if there is none.
    pub(crate) fn fail_to_write(&mut self) -> bool {
        let fails = !self.unwritten.is_empty();
        if fails {
            self.unwritten.clear();
            self.driver.save_failed("the disk is full".to_owned());
        }
        fails
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
        if let Signal::Appended { append_id, outcome: Ok(offset), .. } = &signal
            && self.first_append.is_some_and(|first| *append_id >= first)
        {
            self.reported.push(*offset);
        }
        let now_ms = self.clock(now_ms);
        self.driver.signal(now_ms, signal, &Reading { written, known: &self.known });
    }

    /// The registry answers the oldest of its questions: this schema, if there was one.
    pub(crate) fn hear_of_schema(&mut self, now_ms: u64, written: &Written) -> Option<u32> {
        let schema = self.known.answer()?;
        let now_ms = self.clock(now_ms);
        self.driver.schemas_changed(now_ms, &Reading { written, known: &self.known });
        Some(schema)
    }

    /// Whether it knows that a record of its own stands there, and has not read so far: it will miss it.
    pub(crate) fn awaits(&self, offset: Offset) -> bool {
        self.next() <= offset && self.reported.contains(&offset)
    }

    pub(crate) fn append(&mut self, append_id: AppendId, key: RecordKey, value: Vec<u8>) {
        self.first_append.get_or_insert(append_id);
        self.log.append(P, append_id, NewRecord { key, value: value.into(), headers: Headers::new() });
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
