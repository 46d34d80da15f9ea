//! The read models' folds over events in memory.

use anyhow::{anyhow, ensure};
use read_models::model::{EffectiveEvent, Fold, Writes};
use read_models::projection::{Outcome, Projection};

use crate::read_side::Events;

/// Folds a partition's events, from the first event of each of their products on; `each` sees the writes of so many at a time, in
/// which a row comes once.
pub(super) fn fold<M: Fold>(
    events: &[EffectiveEvent],
    at_once: usize,
    mut each: impl FnMut(Writes<M>),
) -> anyhow::Result<()> {
    // Nothing is forgotten, so nothing has to be loaded.
    let mut projection = Projection::<M>::new(usize::MAX, usize::MAX);
    for some in events.chunks(at_once) {
        for event in some {
            let outcome = projection.apply(event).map_err(|error| anyhow!("folding an event: {error}"))?;
            ensure!(outcome == Outcome::Applied, "{} {}: {outcome:?}", event.product, event.version);
        }
        each(projection.take_writes());
    }
    Ok(())
}

/// How many rows and states are written.
pub(super) fn count<M: Fold>(events: &Events, at_once: usize) -> anyhow::Result<usize> {
    let mut count = 0;
    for partition in events {
        fold::<M>(partition, at_once, |writes| count += writes.len())?;
    }
    Ok(count)
}
