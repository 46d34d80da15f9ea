//! What the sequencer must know of the domain: how to decide and how to fold. Free functions on a unit type, so that
//! the domain does not know the ledger.

use crate::Subject;

/// The rules of one kind of product.
pub trait Aggregate: 'static {
    type State: Clone;
    type Command;
    type Event: Clone;
    type Rejection;

    /// Decides a command on a product's effective state (`None`: no record yet). A pure function.
    fn decide(state: Option<&Self::State>, command: &Self::Command)
    -> Decision<Self::Event, Self::Rejection>;

    /// Folds an event into the state. A pure function; must succeed for every event that `decide` makes on that state.
    fn evolve(
        state: Option<Self::State>,
        subject: &Subject,
        version: u64,
        event: &Self::Event,
    ) -> Result<Self::State, EvolveError>;

    /// About how much memory a state takes, in bytes. Asked after every change: it must cost next to nothing.
    fn size(_state: &Self::State) -> usize {
        size_of::<Self::State>()
    }
}

/// What a command comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<E, R> {
    Event(E),
    NoEffect,
    Rejected(R),
}

/// An event that cannot follow the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event cannot follow the state: {0}")]
pub struct EvolveError(pub String);
