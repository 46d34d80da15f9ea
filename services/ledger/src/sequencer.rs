//! A writer's view of one partition: inputs in, outputs out. Promises that every answer is true of the log: a command is
//! accepted only by an effective record, and answered without one only behind the read barrier.
//!
//! How to drive it: feed it every signal of its partition and every command, in any order, tick it every few
//! milliseconds, and carry out its outputs in order. At the start, and again after each `Discard` (once `reset` was
//! called): ask the log for its end offset, give it to `catch_up_to`, and `tail_from(0)`; or `resume` from a snapshot.

mod applying;
mod barrier;
mod deciding;
mod event_ids;
mod io;
mod looking;
mod pending;
mod product;
mod products;
mod resuming;
#[cfg(test)]
pub(crate) mod tests;
mod withholding;

pub use io::{Answer, Append, DecodedRecord, Limits, Output, Submission, Unreadable};
pub use pending::CommandKey;
pub(crate) use product::{Product, Remembered};

use std::collections::{BTreeMap, VecDeque};

use ahash::AHashMap;

use crate::laws::{Kept, Laws};
use crate::{Aggregate, AppendError, AppendId, LogError, Mark, Offset, Partition, Subject, partition_of};
use barrier::Barrier;
use event_ids::EventIds;
use pending::{Commands, InFlight, Line, Passage, Relatives, Timers};
use products::Products;
use resuming::Last;
use withholding::Value;

/// Decides commands on the products of one partition. Each command carries a context `X` of its caller.
pub struct Sequencer<A: Aggregate, X = u64, L = Kept> {
    partition: Partition,
    partitions: i32,
    limits: Limits,
    laws: L,
    ids: EventIds,
    /// The latest time any input told.
    now_ms: u64,
    next: Offset,
    last: Last,
    /// How many products have records whose values are told later.
    withheld: usize,
    /// A snapshot this one resumes from, until the log has shown its last record.
    unproven: Option<Mark>,
    /// `next` at the last snapshot.
    snapshot_at: Offset,
    ready_at: Option<Offset>,
    is_ready: bool,
    was_reset: bool,
    is_discarded: bool,
    products: Products<A::State>,
    commands: Commands<A::Command, X>,
    relatives: Relatives,
    lines: AHashMap<Subject, Line>,
    in_flight: AHashMap<AppendId, InFlight<A>>,
    /// Reports at offsets the tail has not reached.
    reports: BTreeMap<Offset, AppendId>,
    /// The newest own append that is applied.
    newest_applied: Option<AppendId>,
    barrier: Barrier,
    timers: Timers,
    /// An answer stands for its command until it is taken: an append before it still needs the context.
    outputs: VecDeque<Output<A, CommandKey>>,
}

/// The back-off after `failures` failures, in milliseconds.
const fn backoff(failures: u32) -> u64 {
    let doubled = 20 << if failures < 6 { failures } else { 6 };
    if doubled < 1000 { doubled } else { 1000 }
}

impl<A: Aggregate, X> Sequencer<A, X> {
    /// `nonce` must be new for every sequencer ever made (random 64 bits): event ids are made of it.
    pub fn new(partition: Partition, partitions: i32, nonce: u64, limits: Limits) -> Self {
        Self::under(Kept, partition, partitions, nonce, limits)
    }
}

impl<A: Aggregate, X, L: Laws> Sequencer<A, X, L> {
    /// Like [`Sequencer::new`], under other laws.
    pub fn under(laws: L, partition: Partition, partitions: i32, nonce: u64, limits: Limits) -> Self {
        Self {
            partition,
            partitions,
            limits,
            laws,
            ids: EventIds::new(nonce, partition),
            now_ms: 0,
            next: 0,
            last: Last::default(),
            withheld: 0,
            unproven: None,
            snapshot_at: 0,
            ready_at: None,
            is_ready: false,
            was_reset: false,
            is_discarded: false,
            products: Products::new(A::size, limits.remembered),
            commands: Commands::new(),
            relatives: Relatives::default(),
            lines: AHashMap::new(),
            in_flight: AHashMap::new(),
            reports: BTreeMap::new(),
            newest_applied: None,
            barrier: Barrier::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// A client's command. Its subject must belong in this partition.
    pub fn command(&mut self, now_ms: u64, submission: impl Into<Box<Submission<A::Command, X>>>) {
        self.now_ms = self.now_ms.max(now_ms);
        let submission = submission.into();
        let (subject, command_id) = (submission.subject.clone(), submission.command_id);
        let deadline_ms = submission.deadline_ms;
        // An append may outlive its command's deadline: both are bounded.
        let is_full = self.commands.waiting().max(self.in_flight.len()) >= self.limits.max_waiting;
        let command = self.commands.insert(submission, self.barrier.sent(), self.ids.upcoming());
        self.relatives.insert(command_id, command);
        if is_full {
            return self.answer(command, Answer::Overloaded);
        }
        let home = partition_of(subject.as_str(), self.partitions);
        if home != self.partition {
            let problem =
                format!("a command for partition {home} was given to the sequencer of {}", self.partition);
            return self.answer(command, Answer::Defect(problem));
        }
        // From here on the product is in memory.
        if self.products.has_cold()
            && let Err(error) = self.products.current(subject.as_str())
        {
            self.discard(error.to_string());
        }
        self.timers.set(deadline_ms, command, &self.commands);
        let line = self.lines.entry(subject.clone()).or_default();
        line.queue.push_back(command);
        // Behind others it waits for its turn.
        if line.queue.len() == 1 {
            self.advance(&subject);
        }
        self.settle();
    }

    /// The outcome of an append. One that the tail has shown, or that a reset has dropped, is ignored.
    #[expect(clippy::needless_pass_by_value, reason = "a signal's outcome is handed over, whatever it is")]
    pub fn appended(&mut self, now_ms: u64, append_id: AppendId, outcome: Result<Offset, AppendError>) {
        self.now_ms = self.now_ms.max(now_ms);
        match outcome {
            Ok(offset) => self.reported(append_id, offset),
            Err(AppendError::Unknown(_)) => self.outcome_unknown(append_id),
        }
        self.settle();
    }

    /// An event that could not be encoded or is too large: nothing was written.
    pub fn refused(&mut self, append_id: AppendId, reason: String) {
        let Some(append) = self.in_flight.remove(&append_id) else { return };
        self.free(&append.subject, append_id);
        if let Some(waiting) = self.commands.get_mut(append.command) {
            waiting.appends.take_back_newest();
            let answer = if waiting.unknowns > 0 { Answer::OutcomeUnknown } else { Answer::TooLarge(reason) };
            self.answer(append.command, answer);
        }
        self.advance(&append.subject);
        self.settle();
    }

    /// A record of the tail. `decode` is called only where the value matters.
    pub fn record(
        &mut self,
        now_ms: u64,
        offset: Offset,
        key: &[u8],
        decode: impl FnOnce() -> Result<DecodedRecord<A::Event>, Unreadable>,
    ) {
        self.now_ms = self.now_ms.max(now_ms);
        if let Some(mark) = self.unproven.take_if(|_| !self.is_discarded) {
            self.prove(&mark, offset, key);
            self.settle();
        } else if self.is_news(offset) {
            self.apply(offset, key, || Value::Here(decode()));
            self.settle();
        }
    }

    /// The tail has shown everything below `position`.
    pub fn position(&mut self, now_ms: u64, position: Offset) {
        self.now_ms = self.now_ms.max(now_ms);
        // After a reset a position says nothing before the first record: it may be the old tail's.
        let is_old_tail = self.was_reset && self.next == 0;
        if position > 0 && !is_old_tail && self.is_news(position - 1) {
            // The tail has passed the snapshot's last record and did not show it.
            if let Some(mark) = self.unproven.take() {
                self.prove(&mark, position, &[]);
            } else {
                self.next = position;
            }
            self.settle();
        }
    }

    /// The answer to `AskEndOffset`.
    pub fn end_offset(&mut self, now_ms: u64, request: u64, outcome: Result<Offset, LogError>) {
        self.now_ms = self.now_ms.max(now_ms);
        self.barrier.answer(self.now_ms, request, outcome.ok());
        self.settle();
    }

    /// Time passes: deadlines and back-offs.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        while let Some(command) = self.timers.due(self.now_ms) {
            self.look_again(command);
        }
        self.settle();
    }

    /// Commands are decided once everything below `offset` is applied. Until this was called they wait.
    pub fn catch_up_to(&mut self, offset: Offset) {
        self.ready_at = self.ready_at.max(Some(offset));
        self.disprove(offset);
        self.settle();
    }

    /// Throws the state away and starts from offset 0. Commands with an append are answered `OutcomeUnknown`, others
    /// wait for the next `catch_up_to`. Records of the old tail are ignored until offset 0 comes again.
    pub fn reset(&mut self) {
        self.next = 0;
        (self.last, self.unproven, self.snapshot_at, self.withheld) = (Last::default(), None, 0, 0);
        self.ready_at = None;
        self.is_ready = false;
        self.was_reset = true;
        self.is_discarded = false;
        // What it asked for is done.
        self.outputs.retain(|output| !matches!(output, Output::Discard { .. }));
        self.products.clear();
        self.in_flight.clear();
        self.reports.clear();
        self.newest_applied = None;
        self.barrier.reset();
        self.lines.clear();
        for command in self.commands.keys() {
            let Some(waiting) = self.commands.get_mut(command) else { continue };
            if waiting.appends.is_empty() {
                waiting.barrier = Passage::NotAsked;
                self.lines.entry(waiting.submission.subject.clone()).or_default().queue.push_back(command);
            } else {
                self.answer(command, Answer::OutcomeUnknown);
            }
        }
    }

    /// The next thing to do.
    #[inline]
    pub fn next_output(&mut self) -> Option<Output<A, X>> {
        while let Some(output) = self.outputs.pop_front() {
            let commands = &mut self.commands;
            if let Some(output) = output.resolve(|command| commands.take(command)) {
                return Some(output);
            }
            debug_assert!(false, "a command has one answer, which is taken once");
        }
        None
    }

    /// What the caller gave with a command whose answer was not taken yet.
    pub fn context(&mut self, command: CommandKey) -> Option<&mut X> {
        self.commands.context(command)
    }

    /// The same, of the command that an append without an outcome answers.
    pub fn context_of(&mut self, append_id: AppendId) -> Option<&mut X> {
        let command = self.in_flight.get(&append_id)?.command;
        self.commands.context(command)
    }
}
