//! The products of a partition as their effective records left them: state, version, and the last commands.

use std::sync::Arc;

use ahash::AHashMap;
use uuid::Uuid;

use crate::{CommandHash, CommandId, Offset, Subject};

/// How many commands of a product are remembered. Older retries are new commands.
const REMEMBERED: usize = 64;

#[derive(Debug)]
pub(super) struct Product<S> {
    pub(super) version: u64,
    /// `None` before the first record, and for ever after an unreadable one.
    pub(super) state: Option<Arc<S>>,
    pub(super) unreadable: bool,
    pub(super) quarantined: bool,
    /// Oldest first. Grows by doubling: most products have few records, and there are many products.
    commands: Vec<Remembered>,
}

/// A command in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remembered {
    pub(super) command_id: CommandId,
    pub(super) command_hash: Option<CommandHash>,
    pub(super) version: u64,
    pub(super) event_id: Uuid,
    pub(super) offset: Offset,
}

impl<S> Default for Product<S> {
    fn default() -> Self {
        Self { version: 0, state: None, unreadable: false, quarantined: false, commands: Vec::new() }
    }
}

impl<S> Product<S> {
    pub(super) fn find(&self, command_id: CommandId) -> Option<&Remembered> {
        self.commands.iter().rev().find(|c| c.command_id == command_id)
    }

    pub(super) fn remember(&mut self, command: Remembered) {
        let len = self.commands.len();
        if len == REMEMBERED {
            self.commands.remove(0);
        } else if len == self.commands.capacity() {
            self.commands.reserve_exact(len.clamp(1, REMEMBERED - len));
        }
        self.commands.push(command);
    }
}

#[derive(Debug)]
pub(super) struct Products<S>(AHashMap<Subject, Product<S>>);

impl<S> Default for Products<S> {
    fn default() -> Self {
        Self(AHashMap::new())
    }
}

impl<S> Products<S> {
    pub(super) fn get(&self, subject: &str) -> Option<&Product<S>> {
        self.0.get(subject)
    }

    pub(super) fn version(&self, subject: &str) -> u64 {
        self.get(subject).map_or(0, |product| product.version)
    }

    /// The product, made if this is its first record. The subject is copied only then.
    pub(super) fn meet(&mut self, subject: &str) -> &mut Product<S> {
        if !self.0.contains_key(subject) {
            self.0.insert(Subject::of_checked(subject), Product::default());
        }
        self.0.get_mut(subject).expect("it was inserted above")
    }

    pub(super) fn clear(&mut self) {
        self.0 = AHashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_64_commands_are_remembered() {
        let mut product = Product::<()>::default();
        let command = |n: u64| Remembered {
            command_id: CommandId(Uuid::from_u128(u128::from(n))),
            command_hash: None,
            version: n,
            event_id: Uuid::nil(),
            offset: 0,
        };
        for n in 1..=100 {
            product.remember(command(n));
            for m in 1..=n {
                let found = product.find(command(m).command_id).map(|c| c.version);
                assert_eq!(found, (m + 64 > n).then_some(m));
            }
            assert!(product.commands.capacity() <= REMEMBERED);
        }
    }
}
