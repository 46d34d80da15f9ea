//! Looking into a sequencer. Promises that nothing here changes it.

use std::fmt;
use std::sync::Arc;

use super::Sequencer;
use crate::laws::Laws;
use crate::{Aggregate, Offset, Partition, Subject};

impl<A: Aggregate, X, L: Laws> Sequencer<A, X, L> {
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The first offset not applied.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Where to tail from: `next`, or before it while a snapshot waits for its proof.
    pub fn tail_from(&self) -> Offset {
        self.unproven.as_ref().map_or(self.next, |mark| mark.last)
    }

    /// A product's effective state: `None` if it has no record yet, cannot be read, or has a record that is withheld. For
    /// looking in: a decision never takes a saved product that cannot be read for one without records.
    pub fn state(&self, subject: &Subject) -> Option<Arc<A::State>> {
        self.products.peek(subject, |product| product.state.clone().filter(|_| !product.withheld))?
    }

    /// A product's version, 0 if it has no record yet. For looking in, like `state`.
    pub fn version(&self, subject: &Subject) -> u64 {
        self.products.peek(subject, |product| product.version).unwrap_or(0)
    }

    /// Whether the offset of `catch_up_to` is reached.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Commands without an answer.
    pub fn waiting(&self) -> usize {
        self.commands.waiting()
    }

    /// Products changed since the last snapshot: they cannot leave memory.
    pub fn changed(&self) -> usize {
        self.products.changed()
    }

    /// About how many bytes of memory those take.
    pub fn changed_bytes(&self) -> usize {
        self.products.changed_bytes()
    }

    /// About how many bytes the products in memory take; counted only if others lie elsewhere.
    pub fn hot_bytes(&self) -> usize {
        self.products.hot_bytes()
    }

    /// Products in memory.
    pub fn hot(&self) -> usize {
        self.products.hot()
    }
}

impl<A: Aggregate, X, L> fmt::Debug for Sequencer<A, X, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer")
            .field("partition", &self.partition)
            .field("next", &self.next)
            .field("is_ready", &self.is_ready)
            .field("waiting", &self.commands.waiting())
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}
