//! Commands without an answer, appends without an outcome, and the line of each product that has either. A product's
//! commands are decided in the order they came, one append at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use ahash::AHashMap;
use uuid::Uuid;

use super::Submission;
use crate::key::KeyRef;
use crate::{Aggregate, AppendId, CommandHash, CommandId, Offset, Subject};

/// A command without an answer.
pub(super) struct Waiting<C> {
    pub(super) submission: Submission<C>,
    /// The barrier's newest request when it came: later ones cover it.
    pub(super) arrived_request: u64,
    /// The first append issued after it came: once that or a later one is applied, so is all it could have known.
    pub(super) arrived_append: AppendId,
    pub(super) barrier: Passage,
    /// Its appends, oldest first.
    pub(super) appends: Vec<AppendId>,
    /// How many of them were void.
    pub(super) voids: u32,
    /// How many of them had an unknown outcome.
    pub(super) unknowns: u32,
    /// Not decided again before, because of a back-off.
    pub(super) not_before_ms: u64,
}

/// Where a command stands with the read barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    NotAsked,
    Asked,
    /// The partition is applied up to the command's bound.
    Passed,
}

/// An append without an outcome.
pub(super) struct InFlight<A: Aggregate> {
    /// The command it answers: it may have been answered in another way meanwhile.
    pub(super) command: u64,
    pub(super) subject: Subject,
    pub(super) version: u64,
    pub(super) basis: Offset,
    pub(super) event_id: Uuid,
    pub(super) command_id: CommandId,
    pub(super) command_hash: Option<CommandHash>,
    /// The state it makes if it is effective: then it was decided on the state right before it.
    pub(super) after: Arc<A::State>,
    /// Where its report says it stands, if the tail has not come so far.
    pub(super) reported: Option<Offset>,
}

impl<A: Aggregate> InFlight<A> {
    pub(super) fn is(&self, key: &KeyRef<'_>) -> bool {
        self.event_id == key.event_id
            && self.version == key.version
            && self.basis == key.basis
            && self.subject.as_str() == key.subject
    }
}

/// The line of one product.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) in_flight: Option<AppendId>,
    /// In the order they came: numbers ascend.
    pub(super) queue: VecDeque<u64>,
}

impl Line {
    pub(super) fn remove(&mut self, command: u64) {
        // Those that expire first came first: near the front, where removing is cheap.
        if let Some(at) = self.queue.iter().position(|c| *c == command) {
            self.queue.remove(at);
        }
    }
}

/// When to look at a command again. Entries of answered commands are dropped when they come up, or when they are most.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(u64, u64)>>);

impl Timers {
    pub(super) fn set<C>(&mut self, at_ms: u64, command: u64, waiting: &AHashMap<u64, Waiting<C>>) {
        if self.0.len() > 4 * waiting.len() + 64 {
            self.0.retain(|Reverse((_, command))| waiting.contains_key(command));
        }
        self.0.push(Reverse((at_ms, command)));
    }

    pub(super) fn due(&mut self, now_ms: u64) -> Option<u64> {
        let Reverse((at_ms, _)) = self.0.peek()?;
        if *at_ms > now_ms {
            return None;
        }
        self.0.pop().map(|Reverse((_, command))| command)
    }
}
