//! One writer: a sequencer, its log, and the driver between them.

use std::sync::{Arc, Mutex, PoisonError};

use super::shop::{self, Shop, Stock};
use crate::laws::Laws;
use crate::sim::{SimCold, SimLog, SimTopic};
use crate::{EventLog, Inbox, Limits, NewRecord, Output, Partition, Sequencer, Signal, Snapshot, Submission};

pub(super) const P: Partition = Partition(0);

/// The number of the driver's own question: where to catch up to.
const CATCH_UP: u64 = u64::MAX;

pub(super) struct Node {
    pub(super) sequencer: Sequencer<Shop>,
    log: SimLog,
    inbox: Arc<Queue>,
    outputs: Vec<Output<Shop>>,
    pub(super) disk: Option<Disk>,
    /// Snapshots on their way to the disk, oldest first.
    unwritten: Vec<Snapshot<Stock>>,
}

/// Where a writer saves its products. It outlives the writer.
#[derive(Clone)]
pub(super) struct Disk {
    pub(super) cold: SimCold<Stock>,
    /// How many products the writer keeps in memory.
    pub(super) hot: usize,
    /// What is saved is of another log: it must be refused.
    pub(super) is_false: bool,
}

#[derive(Default)]
struct Queue(Mutex<Vec<Signal>>);

impl Inbox for Queue {
    fn deliver(&self, signal: Signal) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(signal);
    }
}

impl Node {
    pub(super) fn start(
        topic: &SimTopic,
        nonce: u64,
        laws: Laws,
        limits: Limits,
        disk: Option<Disk>,
    ) -> Self {
        let inbox = Arc::new(Queue::default());
        let log = topic.open(Arc::clone(&inbox) as Arc<dyn Inbox>);
        let mut sequencer = Sequencer::with_laws(P, 1, nonce, limits, laws);
        let mut from = 0;
        if let Some(disk) = &disk {
            sequencer = sequencer.with_cold(Box::new(disk.cold.clone()), disk.hot);
            if let Some(mark) = disk.cold.mark() {
                from = mark.last;
                sequencer.resume(mark);
            }
        }
        log.ask_end_offset(P, CATCH_UP);
        log.tail_from(P, from);
        Self { sequencer, log, inbox, outputs: Vec::new(), disk, unwritten: Vec::new() }
    }

    /// The process dies, with everything it had in flight.
    pub(super) fn kill(&self) {
        self.log.close();
    }

    /// The state is thrown away while old signals are still in the inbox.
    pub(super) fn start_again(&mut self) {
        self.sequencer.reset();
        self.unwritten.clear();
        self.log.ask_end_offset(P, CATCH_UP);
        self.log.tail_from(P, 0);
    }

    /// Takes a snapshot, which is not on the disk yet.
    pub(super) fn take_snapshot(&mut self) {
        self.unwritten.extend(self.sequencer.snapshot());
    }

    /// The oldest of the snapshots under way reaches the disk.
    pub(super) fn write_snapshot(&mut self) {
        if let Some(disk) = &self.disk
            && !self.unwritten.is_empty()
        {
            let snapshot = self.unwritten.remove(0);
            disk.cold.write(&snapshot);
            self.sequencer.saved(snapshot.number);
        }
    }

    pub(super) fn submit(&mut self, now_ms: u64, submission: Submission<shop::Order>) {
        self.sequencer.command(now_ms, submission);
    }

    /// Feeds what has come and carries out what comes out, but for what `seen` wants to know.
    pub(super) fn work(&mut self, now_ms: u64, mut seen: impl FnMut(&Output<Shop>)) {
        let signals = std::mem::take(&mut *self.inbox.0.lock().unwrap_or_else(PoisonError::into_inner));
        for signal in signals {
            self.feed(now_ms, signal);
            self.carry_out(&mut seen);
        }
        self.carry_out(&mut seen);
    }

    fn feed(&mut self, now_ms: u64, signal: Signal) {
        match signal {
            Signal::Appended { append_id, outcome, .. } => {
                self.sequencer.appended(now_ms, append_id, outcome);
            }
            Signal::EndOffset { request: CATCH_UP, outcome, .. } => match outcome {
                Ok(end) => self.sequencer.catch_up_to(end),
                Err(_) => self.log.ask_end_offset(P, CATCH_UP),
            },
            Signal::EndOffset { request, outcome, .. } => self.sequencer.end_offset(now_ms, request, outcome),
            Signal::Records { records, .. } => {
                for record in records {
                    self.sequencer.record(now_ms, record.offset, &record.key, || shop::decode(&record));
                }
            }
            Signal::Position { position, .. } => self.sequencer.position(now_ms, position),
            Signal::TailFailed { error, .. } => panic!("the simulated tail does not fail: {error}"),
        }
    }

    fn carry_out(&mut self, seen: &mut impl FnMut(&Output<Shop>)) {
        self.sequencer.take_outputs(&mut self.outputs);
        for output in std::mem::take(&mut self.outputs) {
            if matches!(output, Output::Discard { .. })
                && let Some(disk) = self.disk.as_mut().filter(|disk| disk.is_false)
            {
                disk.is_false = false;
                self.start_again();
                continue;
            }
            seen(&output);
            match output {
                Output::Append(append) => {
                    let (value, headers) = shop::encode(
                        &append.event,
                        append.command_id,
                        append.command_hash.expect("every command here has one"),
                    );
                    self.log.append(P, append.append_id, NewRecord { key: append.key, value, headers });
                }
                Output::AskEndOffset { request } => self.log.ask_end_offset(P, request),
                Output::Answer { .. }
                | Output::Discard { .. }
                | Output::Violation { .. }
                | Output::UnreadableRecord { .. }
                | Output::VoidRecord { .. } => {}
            }
        }
    }
}
