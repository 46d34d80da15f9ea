//! Letters of what a redrive has applied: they go when its rows can no longer be lost.
//!
//! Promises: as long as a store may lose rows that it has acknowledged, the letters of their records stay, for the records do not
//! come again; whatever ends the task before, they are found by the next one, which tries them again; of one product the first
//! letter goes last.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ledger::Offset;
use read_models::model::{Fold, Store};

use super::Task;
use super::stop::End;

/// How often it is looked whether they may go while nothing else comes.
const LOOK: Duration = Duration::from_secs(1);

/// What was applied, oldest first.
#[derive(Debug, Default)]
pub(super) struct Resolving(VecDeque<Redriven>);

#[derive(Debug)]
struct Redriven {
    product: String,
    offsets: Vec<Offset>,
    /// Its rows were acknowledged by then.
    acknowledged: Instant,
}

impl Resolving {
    pub(super) fn add(&mut self, product: &str, offsets: Vec<Offset>) {
        if !offsets.is_empty() {
            let (product, acknowledged) = (product.to_owned(), Instant::now());
            self.0.push_back(Redriven { product, offsets, acknowledged });
        }
    }

    /// A record is parked again whose letter was to go: that one stays.
    pub(super) fn keep(&mut self, offset: Offset) {
        for redriven in &mut self.0 {
            redriven.offsets.retain(|it| *it != offset);
        }
    }

    pub(super) fn has(&self, product: &str) -> bool {
        self.0.iter().any(|it| it.product == product)
    }

    /// Ends when it is to be looked whether something may go.
    pub(super) async fn due(&self) {
        if self.0.is_empty() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LOOK).await;
    }

    /// Those whose rows are on disk, the highest first.
    fn take(&mut self, is_durable: impl Fn(Instant) -> bool) -> Vec<Offset> {
        let mut offsets = Vec::new();
        while self.0.front().is_some_and(|it| is_durable(it.acknowledged))
            && let Some(redriven) = self.0.pop_front()
        {
            offsets.extend(redriven.offsets);
        }
        offsets.sort_unstable_by(|one, other| other.cmp(one));
        offsets
    }
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Resolves what was redriven, as far as the store has it on disk.
    pub(super) async fn resolve_what_is_durable(&mut self) -> Result<(), End> {
        let (durability, takeovers) = (&self.context.durability, &self.takeovers);
        let offsets =
            self.resolving.take(|acknowledged| durability.is_durable_since(takeovers, acknowledged));
        self.resolve(offsets).await
    }

    pub(super) async fn resolve(&self, offsets: Vec<Offset>) -> Result<(), End> {
        if offsets.is_empty() {
            return Ok(());
        }
        let (letters, partition) = (&self.context.letters, self.claim.partition.0);
        let resolve = || letters.resolve(partition, offsets.clone());
        let resolved = self.letters_retry.run("resolve what was parked", resolve).await;
        resolved.map_err(|e| End::of_letters(e, self.bound.settled()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_when_their_rows_are_on_disk_and_the_first_of_a_product_last() {
        let mut resolving = Resolving::default();
        resolving.add("a", vec![3, 7]);
        resolving.add("b", vec![5]);
        resolving.add("c", Vec::new());
        assert!(resolving.has("a") && resolving.has("b") && !resolving.has("c"));
        assert_eq!(resolving.take(|_| false), Vec::<Offset>::new());
        assert!(resolving.has("a"));
        resolving.add("a", vec![2, 9]);
        resolving.keep(9);
        assert_eq!(resolving.take(|_| true), [7, 5, 3, 2]);
        assert!(!resolving.has("a"));
    }
}
