//! A product as its effective records left it: state, version, and the last commands.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::{DecodedRecord, Unreadable};
use crate::key::KeyRef;
use crate::{Aggregate, CommandHash, CommandId, Offset, Subject};

#[derive(Debug)]
pub(crate) struct Product<S> {
    /// Its key in the map again, so that folding copies no text.
    pub(crate) subject: Subject,
    pub(crate) version: u64,
    /// `None` before the first record, and for ever after an unreadable one.
    pub(crate) state: Option<Arc<S>>,
    pub(crate) unreadable: bool,
    pub(crate) quarantined: bool,
    /// Its last records count, and their values are told later: until then the state is that before them.
    pub(crate) withheld: bool,
    /// Oldest first. Grows by doubling: most products have few records, and there are many products.
    pub(crate) commands: VecDeque<Remembered>,
}

impl<S> Clone for Product<S> {
    fn clone(&self) -> Self {
        Self {
            subject: self.subject.clone(),
            version: self.version,
            state: self.state.clone(),
            unreadable: self.unreadable,
            quarantined: self.quarantined,
            withheld: self.withheld,
            commands: self.commands.clone(),
        }
    }
}

/// A command in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) command_id: CommandId,
    pub(crate) command_hash: Option<CommandHash>,
    pub(crate) version: u64,
    pub(crate) event_id: Uuid,
    pub(crate) offset: Offset,
}

impl<S> Product<S> {
    pub(crate) fn new(subject: Subject) -> Self {
        Self {
            subject,
            version: 0,
            state: None,
            unreadable: false,
            quarantined: false,
            withheld: false,
            commands: VecDeque::new(),
        }
    }

    /// Folds an effective record of another writer. Whatever its value is, the version counts: an error says why the
    /// product cannot be read any more.
    pub(crate) fn fold<A: Aggregate<State = S>>(
        &mut self,
        offset: Offset,
        key: KeyRef<'_>,
        decoded: Result<DecodedRecord<A::Event>, Unreadable>,
        remembered: usize,
    ) -> Result<Option<CommandId>, String>
    where
        S: Clone,
    {
        let KeyRef { version, event_id, .. } = key;
        self.version = version;
        let before = self.state.take();
        let folded = decoded.map_err(|Unreadable(problem)| problem).and_then(|recorded| {
            let DecodedRecord { event, command_id, command_hash } = recorded;
            if let Some(command_id) = command_id {
                self.remember(Remembered { command_id, command_hash, version, event_id, offset }, remembered);
            }
            if !self.unreadable {
                let before = before.map(Arc::unwrap_or_clone);
                let after = A::evolve(before, &self.subject, version, &event).map_err(|e| e.to_string())?;
                self.state = Some(Arc::new(after));
            }
            Ok(command_id)
        });
        self.unreadable |= folded.is_err();
        folded
    }

    /// Takes over the state that an own effective record was made of.
    pub(crate) fn accept(&mut self, after: &Arc<S>, record: Remembered, remembered: usize) {
        self.version = record.version;
        if !self.unreadable {
            self.state = Some(Arc::clone(after));
        }
        self.remember(record, remembered);
    }

    pub(crate) fn find(&self, command_id: CommandId) -> Option<&Remembered> {
        self.commands.iter().rev().find(|c| c.command_id == command_id)
    }

    /// Forgets all commands but the last `remembered`: whoever saved it may have remembered more.
    pub(crate) fn forget_beyond(&mut self, remembered: usize) {
        let beyond = self.commands.len().saturating_sub(remembered);
        self.commands.drain(..beyond);
    }

    fn remember(&mut self, command: Remembered, remembered: usize) {
        self.forget_beyond(remembered.saturating_sub(1));
        let len = self.commands.len();
        if len == self.commands.capacity() {
            self.commands.reserve_exact(len.clamp(1, remembered.saturating_sub(len).max(1)));
        }
        self.commands.push_back(command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commands_are_remembered() {
        for remembered in [1, 2, 64, 65] {
            the_last_are_remembered(remembered);
        }
    }

    fn the_last_are_remembered(remembered: usize) {
        let mut product = Product::<()>::new(Subject::parse("a").unwrap());
        let command = |n: u64| Remembered {
            command_id: CommandId(Uuid::from_u128(u128::from(n))),
            command_hash: None,
            version: n,
            event_id: Uuid::nil(),
            offset: 0,
        };
        for n in 1..=100 {
            product.remember(command(n), remembered);
            for m in 1..=n {
                let found = product.find(command(m).command_id).map(|c| c.version);
                assert_eq!(found, (m + remembered as u64 > n).then_some(m));
            }
            assert!(product.commands.capacity() <= remembered.max(1));
        }
    }
}
