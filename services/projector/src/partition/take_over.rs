//! Where a partition begins: at the durable position that lies beside the rows.

use std::time::Duration;

use ledger::Offset;
use read_models::model::{Fold, Position, Positions, Store};
use toolkit::retry::GaveUp;

use super::Task;
use super::stop::End;

/// How often a table or an index that is not there is looked for.
const MISSING: Duration = Duration::from_secs(1);

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// If the claim begins where it has to, how far the rows are that are there; else another comes that does. The position beside the rows is the truth: rows
    /// that were lost are built again from where they were, and whoever had the partition before may have met a store that
    /// forgot what it acknowledged last. The group's offset may be set back by hand, to apply everything again.
    pub(super) async fn take_over(&mut self, committed: Offset) -> Result<Option<Offset>, End> {
        let stored = self.stored().await?;
        self.know_log(stored).await?;
        let Position { applied, durable, .. } = stored;
        let start = committed.min(durable);
        let (group, partition) = (&self.context.group, self.claim.partition.0);
        if start == committed {
            tracing::debug!(group, "kafka.partition" = partition, start, "partition is taken over");
            return Ok(Some(applied));
        }
        tracing::info!(
            group,
            "kafka.partition" = partition,
            applied,
            durable,
            committed,
            "going back to the durable position in the store"
        );
        self.seek(start)?;
        Ok(None)
    }

    /// The same after something may have been lost: what is known is dropped with this task.
    pub(super) async fn take_over_again(&self, from: Option<Offset>) -> Result<(), End> {
        self.context.metrics.took_over_again();
        let Position { applied, durable, .. } = self.stored().await?;
        // A replay of what was applied before must not be left by jumping to where it is durable.
        let start = from.unwrap_or(durable).min(durable).min(self.trail.durable());
        let (group, partition) = (&self.context.group, self.claim.partition.0);
        tracing::info!(group, "kafka.partition" = partition, applied, start, "partition is taken over again");
        self.seek(start)
    }

    /// A new claim comes, and a new task with it.
    pub(super) fn seek(&self, start: Offset) -> Result<(), End> {
        self.context.handle.seek(self.claim, start).map_err(|_closed| End::GivenBack)
    }

    /// The stored position. A table or an index that is not there is waited for, and said to be missing meanwhile.
    async fn stored(&self) -> Result<Position, End> {
        let positions = self.context.store.positions();
        let (group, partition) = (&self.context.group, self.claim.partition.0);
        let mut is_told = false;
        loop {
            let read = || async {
                positions.is_there().await?;
                positions.read(group, partition).await
            };
            match self.store_retry.run("read the position", read).await {
                Ok(position) => return Ok(position.unwrap_or_default()),
                Err(GaveUp::Final(error)) if error.is_missing() => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::error!(
                            group,
                            "kafka.partition" = partition,
                            "partition {partition} stopped: {error}"
                        );
                    }
                    self.context.progress.stopped(partition, error.to_string());
                }
                Err(gave_up) => return Err(End::of_store(gave_up, 0)),
            }
            tokio::select! {
                () = tokio::time::sleep(MISSING) => {}
                () = self.stop.cancelled() => return Err(End::GivenBack),
            }
        }
    }

    /// If a request has failed: looks whether the store was started anew, as soon as it is there.
    pub(super) async fn look_after_failure(&self, position: Offset) -> Result<(), End> {
        let (durability, store) = (&self.context.durability, self.context.store.positions());
        if durability.has_failed() {
            let looked = self.store_retry.run("look at the store", || durability.look(store)).await;
            looked.map_err(|e| End::of_store(e, position))?;
        }
        if self.takeovers.has_changed().unwrap_or(true) { Err(End::TakeOver(None)) } else { Ok(()) }
    }
}
