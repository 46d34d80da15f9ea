//! What a writer saves, and finds again when it starts: its products as they were at some offset.

use std::cell::RefCell;

use domain::Product;
use ledger_sim::{SimCold, StateCodec};

/// Where a writer saves its products. It outlives the writer.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) cold: SimCold<Product>,
    /// How many products the writer keeps in memory.
    pub(crate) hot: usize,
    /// What is saved is of another log: it must be refused.
    pub(crate) is_false: bool,
}

thread_local! {
    /// The states of the run that is in flight. What a disk holds of a state is its place here.
    static STATES: RefCell<Vec<Product>> = const { RefCell::new(Vec::new()) };
}

const CODEC: StateCodec<Product> = StateCodec {
    encode: |state, into| {
        let place = STATES.with_borrow_mut(|states| {
            states.push(state.clone());
            states.len() - 1
        });
        into.extend((place as u64).to_be_bytes());
    },
    decode: |bytes| {
        let place = u64::from_be_bytes(bytes.try_into().ok()?);
        STATES.with_borrow(|states| states.get(usize::try_from(place).ok()?).cloned())
    },
};

impl Disk {
    pub(crate) fn empty(hot: usize) -> Self {
        Self { cold: SimCold::new(CODEC), hot, is_false: false }
    }

    /// Another with the same content.
    pub(crate) fn copy(&self) -> Self {
        Self { cold: self.cold.copy(), ..*self }
    }
}

/// A run starts: what earlier ones saved is forgotten.
pub(crate) fn forget() {
    STATES.take();
}
