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

/// Names a command within its sequencer. Ordered as the commands came, and never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandKey {
    pub(super) arrival: u64,
    pub(super) slot: u32,
}

/// A command without an answer.
pub(super) struct Waiting<C, X> {
    arrival: u64,
    /// It is answered, and the answer was not taken yet.
    is_answered: bool,
    pub(super) submission: Box<Submission<C, X>>,
    /// The barrier's newest request when it came: later ones cover it.
    pub(super) arrived_request: u64,
    /// The first append issued after it came: once that or a later one is applied, so is all it could have known.
    pub(super) arrived_append: AppendId,
    pub(super) barrier: Passage,
    pub(super) appends: Appends,
    /// How many of them were void.
    pub(super) voids: u32,
    /// How many of them had an unknown outcome.
    pub(super) unknowns: u32,
    /// Not decided again before, because of a back-off.
    pub(super) not_before_ms: u64,
}

/// A command's appends. Nearly always there is one.
#[derive(Debug, Default)]
pub(super) struct Appends {
    newest: Option<AppendId>,
    older: Vec<AppendId>,
}

impl Appends {
    pub(super) fn push(&mut self, append_id: AppendId) {
        self.older.extend(self.newest.replace(append_id));
    }

    /// Nothing was written.
    pub(super) fn take_back_newest(&mut self) {
        self.newest = self.older.pop();
    }

    pub(super) fn contains(&self, append_id: AppendId) -> bool {
        self.newest == Some(append_id) || self.older.contains(&append_id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }
}

/// Where a command stands with the read barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    NotAsked,
    Asked,
    /// The partition is applied up to the command's bound.
    Passed,
}

/// All commands from their arrival until their answer is taken.
pub(super) struct Commands<C, X> {
    slots: Vec<Option<Waiting<C, X>>>,
    free: Vec<u32>,
    arrivals: u64,
    /// How many have no answer.
    waiting: usize,
}

impl<C, X> Commands<C, X> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), arrivals: 0, waiting: 0 }
    }

    pub(super) fn insert(
        &mut self,
        submission: Box<Submission<C, X>>,
        arrived_request: u64,
        arrived_append: AppendId,
    ) -> CommandKey {
        let arrival = self.arrivals;
        let waiting = Waiting {
            arrival,
            is_answered: false,
            submission,
            arrived_request,
            arrived_append,
            barrier: Passage::NotAsked,
            appends: Appends::default(),
            voids: 0,
            unknowns: 0,
            not_before_ms: 0,
        };
        self.arrivals += 1;
        self.waiting += 1;
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(free) => *free = Some(waiting),
            None => self.slots.push(Some(waiting)),
        }
        CommandKey { arrival, slot }
    }

    /// The command, if it has no answer yet.
    pub(super) fn get(&self, key: CommandKey) -> Option<&Waiting<C, X>> {
        let waiting = self.slots.get(key.slot as usize)?.as_ref()?;
        (waiting.arrival == key.arrival && !waiting.is_answered).then_some(waiting)
    }

    pub(super) fn get_mut(&mut self, key: CommandKey) -> Option<&mut Waiting<C, X>> {
        let waiting = self.slots.get_mut(key.slot as usize)?.as_mut()?;
        (waiting.arrival == key.arrival && !waiting.is_answered).then_some(waiting)
    }

    /// What its caller gave with it: there until the answer is taken.
    pub(super) fn context(&mut self, key: CommandKey) -> Option<&mut X> {
        let waiting = self.slots.get_mut(key.slot as usize)?.as_mut()?;
        (waiting.arrival == key.arrival).then_some(&mut waiting.submission.context)
    }

    /// It has an answer now. Its id, if it had none before.
    pub(super) fn answered(&mut self, key: CommandKey) -> Option<CommandId> {
        let waiting = self.get_mut(key)?;
        waiting.is_answered = true;
        let command_id = waiting.submission.command_id;
        self.waiting -= 1;
        Some(command_id)
    }

    /// Its answer is taken.
    pub(super) fn take(&mut self, key: CommandKey) -> Option<X> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        let waiting = slot.take_if(|waiting| waiting.arrival == key.arrival && waiting.is_answered)?;
        self.free.push(key.slot);
        Some(waiting.submission.context)
    }

    /// How many have no answer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Those without an answer, in the order they came.
    pub(super) fn keys(&self) -> Vec<CommandKey> {
        let waiting = (0..).zip(&self.slots).filter_map(|(slot, waiting)| Some((slot, waiting.as_ref()?)));
        let mut keys: Vec<_> = waiting
            .filter(|(_, waiting)| !waiting.is_answered)
            .map(|(slot, waiting)| CommandKey { arrival: waiting.arrival, slot })
            .collect();
        keys.sort_unstable();
        keys
    }
}

/// Commands without an answer by the ids that tell repetitions, in the order they came. Nearly always an id has one.
#[derive(Debug, Default)]
pub(super) struct Relatives(AHashMap<CommandId, (CommandKey, VecDeque<CommandKey>)>);

impl Relatives {
    pub(super) fn insert(&mut self, id: CommandId, command: CommandKey) {
        self.0
            .entry(id)
            .and_modify(|(_, others)| others.push_back(command))
            .or_insert_with(|| (command, VecDeque::new()));
    }

    pub(super) fn remove(&mut self, id: CommandId, command: CommandKey) {
        let Some((first, others)) = self.0.get_mut(&id) else { return };
        if *first != command {
            others.retain(|other| *other != command);
        } else if let Some(next) = others.pop_front() {
            *first = next;
        } else {
            self.0.remove(&id);
        }
    }

    pub(super) fn of(&self, id: CommandId) -> Vec<CommandKey> {
        self.0
            .get(&id)
            .map_or_else(Vec::new, |(first, others)| std::iter::once(first).chain(others).copied().collect())
    }
}

/// An append without an outcome.
pub(super) struct InFlight<A: Aggregate> {
    /// The command it answers: it may have been answered in another way meanwhile.
    pub(super) command: CommandKey,
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
    /// In the order they came.
    pub(super) queue: VecDeque<CommandKey>,
}

impl Line {
    pub(super) fn remove(&mut self, command: CommandKey) {
        // Those that expire first came first: near the front, where removing is cheap.
        if let Some(at) = self.queue.iter().position(|c| *c == command) {
            self.queue.remove(at);
        }
    }
}

/// When to look at a command again. Entries of answered commands are dropped when they come up, or when they are most.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(u64, CommandKey)>>);

impl Timers {
    pub(super) fn set<C, X>(&mut self, at_ms: u64, command: CommandKey, commands: &Commands<C, X>) {
        if self.0.len() > 4 * commands.waiting() + 64 {
            self.0.retain(|Reverse((_, command))| commands.get(*command).is_some());
        }
        self.0.push(Reverse((at_ms, command)));
    }

    pub(super) fn due(&mut self, now_ms: u64) -> Option<CommandKey> {
        let Reverse((at_ms, _)) = self.0.peek()?;
        if *at_ms > now_ms {
            return None;
        }
        self.0.pop().map(|Reverse((_, command))| command)
    }
}
