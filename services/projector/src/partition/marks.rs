//! Marks: what readers are told of what is parked, beside the positions.
//!
//! Promises: who finds a position finds the marks of all that is parked below it; from a take-over on the marks are those of the letters;
//! a mark goes when its product's rows are written and before its letters do, which a crash in between leaves to be tried again; where
//! nothing is parked nothing is written, and it is looked once for each take-over.

use read_models::marks::{Mark, Marking};
use read_models::model::{Fold, Store};

use super::Task;
use super::stop::End;
use crate::parked::Held;

impl Held {
    pub(super) fn mark(&self) -> Mark {
        Mark::from(self.first())
    }
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Makes the marks of the partition those of its letters. Who had it before may have ended between the two.
    pub(super) async fn mark_as_lettered(&self) -> Result<(), End> {
        let (context, partition) = (&self.context, self.claim.partition.0);
        let look = || context.store.marks().of_partition(&context.group, partition);
        let there = self.store_retry.run("look at what is marked", look).await;
        let there = there.map_err(|e| End::of_store(e, 0))?;
        let mut marking = Marking::new();
        for product in there.keys().filter(|product| self.parked.get(product).is_none()) {
            marking.insert(product.clone(), None);
        }
        for (product, held) in self.parked.iter() {
            if there.get(product) != Some(&held.mark()) {
                marking.insert(product.clone(), Some(held.mark()));
            }
        }
        self.write_marks(marking).await
    }

    /// The mark of a product is no longer what is parked of it.
    pub(super) fn mark_later(&mut self, product: &str) {
        self.to_mark.insert(product.to_owned());
    }

    /// Writes the marks that changed, whose letters are acknowledged.
    pub(super) async fn flush_marks(&mut self) -> Result<(), End> {
        if self.to_mark.is_empty() {
            return Ok(());
        }
        let products = std::mem::take(&mut self.to_mark).into_iter();
        let marking = products.map(|product| {
            let mark = self.parked.get(&product).map(Held::mark);
            (product, mark)
        });
        let marking = marking.collect();
        self.write_marks(marking).await
    }

    async fn write_marks(&self, marking: Marking) -> Result<(), End> {
        if marking.is_empty() {
            return Ok(());
        }
        let (context, partition) = (&self.context, self.claim.partition.0);
        let written =
            context.store.marks().write(&context.group, partition, &marking, &self.store_retry).await;
        written.map_err(|e| End::of_store(e, self.bound.settled()))
    }
}
