//! A product as small as can be, whose events say which state they were decided on.

use ledger::{Aggregate, CommandHash, Decision, EvolveError, Subject};

/// The rules of a product that is opened once and then set to a level.
#[derive(Debug)]
pub(crate) struct Shelf;

/// A product's state. `history` tells the events it is made of from any others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) level: u8,
    pub(crate) history: u64,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Made with a level.
    Open(u8),
    Set(u8),
}

/// An event, and the history of the state it was decided on (0: there was none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Changed {
    pub(crate) level: u8,
    pub(crate) seen: u64,
}

/// Why a command is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum No {
    Exists,
    NotFound,
}

impl Aggregate for Shelf {
    type State = Stock;
    type Command = Order;
    type Event = Changed;
    type Rejection = No;

    fn decide(state: Option<&Stock>, order: &Order) -> Decision<Changed, No> {
        match (state, order) {
            (None, Order::Open(level)) => Decision::Event(Changed { level: *level, seen: 0 }),
            (None, Order::Set(_)) => Decision::Rejected(No::NotFound),
            (Some(_), Order::Open(_)) => Decision::Rejected(No::Exists),
            (Some(stock), Order::Set(level)) if *level == stock.level => Decision::NoEffect,
            (Some(stock), Order::Set(level)) => {
                Decision::Event(Changed { level: *level, seen: stock.history })
            }
        }
    }

    fn evolve(
        state: Option<Stock>,
        _subject: &Subject,
        version: u64,
        event: &Changed,
    ) -> Result<Stock, EvolveError> {
        let before = state.map_or(1, |stock| stock.history);
        let history = [version, event.level.into(), event.seen].into_iter().fold(before, |history, part| {
            (history ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        Ok(Stock { level: event.level, history })
    }
}

impl Order {
    /// What tells this command from another under the same id.
    pub(crate) fn hash(self) -> CommandHash {
        match self {
            Self::Open(level) => CommandHash([level; 16]),
            Self::Set(level) => CommandHash([!level; 16]),
        }
    }
}
