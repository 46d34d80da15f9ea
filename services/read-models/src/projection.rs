//! The rules that make at-least-once delivery have exactly-once effect, without any I/O.
//!
//! Promises: a record is applied if and only if its version is the next one of the product's state; changes are coalesced per
//! row key and never dropped, whatever came between; states are never forgotten while their writes may be in flight.

use std::collections::hash_map::Entry;

use ahash::{AHashMap, AHashSet};
use domain::{FoldError, ProductId, Version};
use uuid::Uuid;

use crate::model::{EffectiveEvent, Fold, Head, RowChange, State, Wanted, Writes};

/// One partition's states and what the current batch changes. It dies when the partition is revoked.
#[derive(Debug)]
pub struct Projection<M: Fold> {
    states: States<M::State>,
    rows: AHashMap<M::Key, RowChange<M>>,
    changed: AHashSet<ProductId>,
    /// About how many bytes the states of the changed took when they changed first, and the rows.
    changed_bytes: usize,
}

/// What a record was to the projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// The state has seen this version: redelivery, or a restart between write and commit. Its rows are written again.
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

impl<M: Fold> Projection<M> {
    /// Keeps the states of about `capacity` products, those used last, or of fewer that take about `max_bytes`.
    pub fn new(capacity: usize, max_bytes: usize) -> Self {
        let states = States::new(capacity, max_bytes);
        Self { states, rows: AHashMap::new(), changed: AHashSet::new(), changed_bytes: 0 }
    }

    /// A batch begins. States that are still to be written are kept.
    pub fn begin(&mut self) {
        if self.changed.is_empty() {
            self.states.age();
        }
    }

    /// About how many bytes the changed states take that are still to be written, and their rows.
    pub fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// Of the products of these records, in the order of the log, those whose states must be loaded first, each once.
    pub fn missing<'a>(&mut self, records: impl IntoIterator<Item = &'a EffectiveEvent>) -> Vec<Wanted> {
        let mut asked = AHashSet::new();
        let mut missing = Vec::new();
        for record in records {
            if asked.insert(&record.product) && !self.states.touch(&record.product) {
                missing.push(Wanted::from(record));
            }
        }
        missing
    }

    /// The version of a product's state, if it is known; else none.
    pub fn version(&self, product: &ProductId) -> Version {
        self.states.get(product).map_or(Version::NONE, |state| state.head().version)
    }

    /// Takes a state as it was loaded; `None`: the product has no row.
    pub fn loaded(&mut self, product: ProductId, state: Option<M::State>) {
        self.states.put(product, state);
    }

    /// Drops what is known of a product, and what of it was to be written.
    pub fn forget(&mut self, product: &ProductId) {
        self.states.forget(product);
        self.changed.remove(product);
        self.rows.retain(|_, change| change.product != *product);
    }

    /// Applies a record whose product's state is known.
    pub fn apply(&mut self, record: &EffectiveEvent) -> Result<Outcome, FoldError> {
        let state = self.states.get(&record.product);
        let head = state.map_or(Head { version: Version::NONE, event_id: Uuid::nil() }, State::head);
        if record.version <= head.version {
            let diverged = record.version == head.version && record.event_id != head.event_id;
            if diverged {
                return Ok(Outcome::Diverged { there: head.event_id });
            }
            for change in state.map_or_else(Vec::new, |state| M::again(state, record)) {
                self.put(change);
            }
            return Ok(Outcome::AlreadyApplied);
        }
        if record.version > head.version.next() {
            return Ok(Outcome::Gap { there: head.version });
        }
        let folded = M::fold(state.cloned(), record)?;
        for (key, row) in folded.changes {
            let change =
                RowChange { key: key.clone(), product: record.product.clone(), version: record.version, row };
            self.put(change);
        }
        if self.changed.insert(record.product.clone()) {
            self.changed_bytes += 2 * size(Some(&folded.state));
        }
        self.states.put(record.product.clone(), Some(folded.state));
        Ok(Outcome::Applied)
    }

    /// The newest change of a row stays.
    fn put(&mut self, change: RowChange<M>) {
        match self.rows.entry(change.key.clone()) {
            Entry::Occupied(mut there) if there.get().version <= change.version => {
                there.insert(change);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => {
                free.insert(change);
                self.changed_bytes += M::ROW_BYTES;
            }
        }
    }

    /// What the batch changes, to be written before the next batch begins.
    pub fn take_writes(&mut self) -> Writes<M> {
        self.changed_bytes = 0;
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
    max_bytes: usize,
    younger: AHashMap<ProductId, Option<S>>,
    /// What the younger ones took when they came, about.
    bytes: usize,
    older: AHashMap<ProductId, Option<S>>,
}

impl<S: State> States<S> {
    fn new(capacity: usize, max_bytes: usize) -> Self {
        let (younger, older) = (AHashMap::new(), AHashMap::new());
        Self { capacity: capacity.max(2), max_bytes, younger, bytes: 0, older }
    }

    fn age(&mut self) {
        if self.younger.len() >= self.capacity / 2 || self.bytes >= self.max_bytes / 2 {
            self.older = std::mem::take(&mut self.younger);
            self.bytes = 0;
        }
    }

    /// Whether the state is known; if so it is among the younger from now on.
    fn touch(&mut self, product: &ProductId) -> bool {
        if let Some(state) = self.older.remove(product) {
            self.bytes += size(state.as_ref());
            self.younger.entry(product.clone()).or_insert(state);
        }
        self.younger.contains_key(product)
    }

    fn get(&self, product: &ProductId) -> Option<&S> {
        self.younger.get(product).or_else(|| self.older.get(product))?.as_ref()
    }

    fn forget(&mut self, product: &ProductId) {
        self.older.remove(product);
        if let Some(state) = self.younger.remove(product) {
            self.bytes -= size(state.as_ref()).min(self.bytes);
        }
    }

    fn put(&mut self, product: ProductId, state: Option<S>) {
        self.older.remove(&product);
        self.bytes += size(state.as_ref());
        if let Some(before) = self.younger.insert(product, state) {
            self.bytes -= size(before.as_ref()).min(self.bytes);
        }
    }
}

fn size<S: State>(state: Option<&S>) -> usize {
    state.map_or(100, |state| state.size() + 100)
}

#[cfg(test)]
pub(crate) mod tests;
