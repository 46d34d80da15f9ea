//! A writer's view of one partition: inputs in, outputs out. See the crate's first page for the rule it follows.

mod io;

pub use io::{Answer, Append, Limits, Output, Recorded, Submission, Unreadable};

use std::fmt;
use std::sync::Arc;

use crate::{Aggregate, AppendError, AppendId, LogError, Offset, Partition, Subject};

/// Decides commands on the products of one partition.
pub struct Sequencer<A: Aggregate> {
    partition: Partition,
    next: Offset,
    outputs: Vec<Output<A>>,
}

impl<A: Aggregate> Sequencer<A> {
    /// `nonce` must be new for every sequencer ever made (random 64 bits): event ids are made of it.
    pub fn new(partition: Partition, partitions: i32, nonce: u64, limits: Limits) -> Self {
        let (_, _, _) = (partitions, nonce, limits);
        Self { partition, next: 0, outputs: Vec::new() }
    }

    /// A client's command.
    pub fn command(&mut self, now_ms: u64, submission: Submission<A::Command>) {
        let (_, _) = (now_ms, submission);
    }

    /// The outcome of an append.
    pub fn appended(&mut self, now_ms: u64, append_id: AppendId, outcome: Result<Offset, AppendError>) {
        let (_, _, _) = (now_ms, append_id, outcome);
    }

    /// An event that could not be encoded or is too large: nothing was written.
    pub fn refused(&mut self, append_id: AppendId, reason: String) {
        let (_, _) = (append_id, reason);
    }

    /// A record of the tail.
    pub fn record(
        &mut self,
        now_ms: u64,
        offset: Offset,
        key: &[u8],
        decode: impl FnOnce() -> Result<Recorded<A::Event>, Unreadable>,
    ) {
        let (_, _, _, _) = (now_ms, offset, key, decode);
    }

    /// The tail has shown everything below `position`.
    pub fn position(&mut self, now_ms: u64, position: Offset) {
        let (_, _) = (now_ms, position);
    }

    /// The answer to `AskEndOffset`.
    pub fn end_offset(&mut self, now_ms: u64, request: u64, outcome: Result<Offset, LogError>) {
        let (_, _, _) = (now_ms, request, outcome);
    }

    /// Time passes: deadlines and back-offs.
    pub fn tick(&mut self, now_ms: u64) {
        let _ = now_ms;
    }

    /// Commands are decided once everything below `offset` is applied. Until this was called they wait.
    pub fn catch_up_to(&mut self, offset: Offset) {
        let _ = offset;
    }

    /// Throws the state away and starts from offset 0. Commands with an append are answered `OutcomeUnknown`, others
    /// wait for the next `catch_up_to`.
    pub fn reset(&mut self) {
        self.next = 0;
    }

    /// Moves the outputs to the end of `into`.
    pub fn take_outputs(&mut self, into: &mut Vec<Output<A>>) {
        into.append(&mut self.outputs);
    }

    /// Takes the outputs one by one.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Output<A>> {
        self.outputs.drain(..)
    }

    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The first offset not applied.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// A product's effective state: `None` if it has no record yet, or cannot be read.
    pub fn state(&self, subject: &Subject) -> Option<&Arc<A::State>> {
        let _ = subject;
        None
    }

    /// A product's version, 0 if it has no record yet.
    pub fn version(&self, subject: &Subject) -> u64 {
        let _ = subject;
        0
    }

    /// Whether the offset of `catch_up_to` is reached.
    pub fn is_ready(&self) -> bool {
        false
    }

    /// Commands without an answer.
    pub fn waiting(&self) -> usize {
        0
    }
}

impl<A: Aggregate> fmt::Debug for Sequencer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer")
            .field("partition", &self.partition)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
