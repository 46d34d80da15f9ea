//! The rules that make at-least-once delivery have exactly-once effect, without any I/O.
//!
//! Promises: a record is applied if and only if its version is the next one of the product's state; changes are coalesced per
//! row key and never dropped, whatever came between; states are never forgotten while their writes may be under way.

use ahash::{AHashMap, AHashSet};
use domain::{FoldError, ProductId, Version};
use uuid::Uuid;

use crate::model::{Head, ReadModel, Recorded, RowChange, State, Writes};

/// One partition's states and what the current batch changes. It dies when the partition is revoked.
#[derive(Debug)]
pub struct Projection<M: ReadModel> {
    states: States<M::State>,
    rows: AHashMap<M::Key, RowChange<M>>,
    changed: AHashSet<ProductId>,
}

/// What a record was to the projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// The state has seen this version: redelivery, or a restart between write and commit.
    AlreadyApplied,
    /// The state has seen this version, of another event: the rows were written from another log, or the log was changed.
    Diverged {
        there: Uuid,
    },
    /// The state lacks versions before this one: load it again; if it still does, rows are lost.
    Gap {
        there: Version,
    },
}

impl<M: ReadModel> Projection<M> {
    /// Keeps the states of about `capacity` products, those used last.
    pub fn new(capacity: usize) -> Self {
        Self { states: States::new(capacity), rows: AHashMap::new(), changed: AHashSet::new() }
    }

    /// Of these products those whose states must be loaded first, each once. Called once at the start of a batch.
    pub fn begin<'a>(&mut self, products: impl IntoIterator<Item = &'a ProductId>) -> Vec<ProductId> {
        self.states.age();
        let mut asked = AHashSet::new();
        let mut missing = Vec::new();
        for product in products {
            if asked.insert(product) && !self.states.touch(product) {
                missing.push(product.clone());
            }
        }
        missing
    }

    /// Takes a state as it was loaded; `None`: the product has no row.
    pub fn loaded(&mut self, product: ProductId, state: Option<M::State>) {
        self.states.put(product, state);
    }

    /// Applies a record whose product's state is known.
    pub fn apply(&mut self, record: &Recorded) -> Result<Outcome, FoldError> {
        let state = self.states.get(&record.product);
        let head = state.map_or(Head { version: Version::NONE, event_id: Uuid::nil() }, State::head);
        if record.version <= head.version {
            let diverged = record.version == head.version && record.event_id != head.event_id;
            return Ok(if diverged {
                Outcome::Diverged { there: head.event_id }
            } else {
                Outcome::AlreadyApplied
            });
        }
        if record.version > head.version.next() {
            return Ok(Outcome::Gap { there: head.version });
        }
        let folded = M::fold(state.cloned(), record)?;
        for (key, row) in folded.changes {
            let change =
                RowChange { key: key.clone(), product: record.product.clone(), version: record.version, row };
            self.rows.insert(key, change);
        }
        self.states.put(record.product.clone(), Some(folded.state));
        self.changed.insert(record.product.clone());
        Ok(Outcome::Applied)
    }

    /// What the batch changes, to be written before the next batch begins.
    pub fn take_writes(&mut self) -> Writes<M> {
        let rows = self.rows.drain().map(|(_, change)| change).collect();
        let states = self.changed.drain().filter_map(|product| self.states.get(&product).cloned()).collect();
        Writes { rows, states }
    }
}

/// The states used last. Two maps instead of a list: when the younger is full, it becomes the older, and what is only in the
/// older one before is forgotten. What one batch touched is therefore still there in the next.
#[derive(Debug)]
struct States<S> {
    capacity: usize,
    younger: AHashMap<ProductId, Option<S>>,
    older: AHashMap<ProductId, Option<S>>,
}

impl<S> States<S> {
    fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(2), younger: AHashMap::new(), older: AHashMap::new() }
    }

    fn age(&mut self) {
        if self.younger.len() >= self.capacity / 2 {
            self.older = std::mem::take(&mut self.younger);
        }
    }

    /// Whether the state is known; if so it is among the younger from now on.
    fn touch(&mut self, product: &ProductId) -> bool {
        if let Some(state) = self.older.remove(product) {
            self.younger.entry(product.clone()).or_insert(state);
        }
        self.younger.contains_key(product)
    }

    fn get(&self, product: &ProductId) -> Option<&S> {
        self.younger.get(product).or_else(|| self.older.get(product))?.as_ref()
    }

    fn put(&mut self, product: ProductId, state: Option<S>) {
        self.older.remove(&product);
        self.younger.insert(product, state);
    }
}

#[cfg(test)]
mod tests;
