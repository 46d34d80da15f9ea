//! How far a build may go: one that is not read never passes the one that is, and one that is held stands still where it is.
//!
//! Promises: what is told of where a build stands still in a partition is true until the hold ends; a build that follows has
//! applied exactly what the other has, as soon as that stands still.

use std::sync::Arc;
use std::time::Duration;

use ledger::Offset;
use read_models::control::Role;
use read_models::model::{Fold, Position, Positions, Store};
use read_models::{Error, Generation, ReadModel};
use tokio::sync::watch;

use super::stop::End;
use super::{Batch, Task};
use crate::builds::{Reached, held_group};

/// How soon it is looked again how far the other build is.
const LOOK: Duration = Duration::from_millis(50);

/// How far the build is that another one follows.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) reached: Arc<dyn Reached>,
    pub(crate) read_model: ReadModel,
    pub(crate) group_prefix: String,
}

/// What a task knows of how far it may go.
#[derive(Debug)]
pub(super) struct Bound {
    role: watch::Receiver<Role>,
    /// Everything below is applied by this task or before it,
    at: Offset,
    /// and everything below this is in the rows.
    applied: Offset,
    /// A build that is followed, and how far it is at least.
    known: Option<(Generation, Offset)>,
    /// The last hold for which it was told where this stands still.
    told: Option<u64>,
}

impl Bound {
    pub(super) fn new(role: watch::Receiver<Role>) -> Self {
        Self { role, at: 0, applied: 0, known: None, told: None }
    }

    pub(super) fn begins(&mut self, at: Offset, applied: Offset) {
        (self.at, self.applied) = (at, applied.max(at));
    }

    pub(super) fn at(&mut self, at: Offset) {
        (self.at, self.applied) = (at, self.applied.max(at));
    }

    /// Ends when it may be possible to go further; `is_waiting`: for another build, or for the end of a hold.
    pub(super) async fn may_have_moved(&mut self, is_waiting: bool) {
        let look =
            async { if is_waiting { tokio::time::sleep(LOOK).await } else { std::future::pending().await } };
        tokio::select! {
            () = look => {}
            changed = self.role.changed() => if changed.is_err() { std::future::pending().await },
        }
    }
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// What of the batch may be applied now, and what has to wait.
    pub(super) async fn within_bound(
        &mut self,
        batch: Option<Batch>,
    ) -> Result<(Option<Batch>, Option<Batch>), End> {
        let role = *self.bound.role.borrow_and_update();
        let bound = match role {
            Role::Live => return Ok((batch, None)),
            Role::Held { revision } => {
                // What is in the rows already is applied again first: only then is it known to be there.
                if self.bound.at >= self.bound.applied && self.bound.told != Some(revision) {
                    self.tell_where_held(revision).await?;
                }
                self.bound.applied
            }
            Role::Follows(other) => match &batch {
                Some(batch) => self.reached_by(other, batch.position).await?,
                None => return Ok((None, None)),
            },
        };
        let Some(batch) = batch else { return Ok((None, None)) };
        if batch.position <= bound {
            return Ok((Some(batch), None));
        }
        if bound <= self.bound.at {
            return Ok((None, Some(batch)));
        }
        let mut records = batch.records;
        let later = records.split_off(records.partition_point(|record| record.offset < bound));
        let now = Batch { records, position: bound };
        Ok((Some(now), Some(Batch { records: later, position: batch.position })))
    }

    async fn tell_where_held(&mut self, revision: u64) -> Result<(), End> {
        let (at, partition) = (self.bound.at, self.claim.partition.0);
        let (positions, group) = (self.context.store.positions(), held_group(&self.context.group, revision));
        let stands = Position { applied: at, durable: at };
        let write = || positions.write(&group, partition, stands);
        let written = self.store_retry.run("tell where it stands still", write).await;
        written.map_err(|e| End::of_store(e, at))?;
        self.bound.told = Some(revision);
        Ok(())
    }

    /// How far the other build is in this partition, at least; asked for if it is not known to be at `wanted`.
    async fn reached_by(&mut self, other: Generation, wanted: Offset) -> Result<Offset, End> {
        if let Some((known, reached)) = self.bound.known
            && known == other
            && reached >= wanted
        {
            return Ok(reached);
        }
        let Followed { reached, read_model, group_prefix } = &self.context.followed;
        let (group, partition) = (read_model.group_id(group_prefix, other), self.claim.partition.0);
        let ask = || async {
            // It is not this build's table that is missing: it is waited for.
            let asked = reached.position(other, &group, partition).await;
            asked.map_err(|e| if e.is_missing() { Error::Unavailable(e.to_string()) } else { e })
        };
        let found = self.store_retry.run("read how far the other build is", ask).await;
        let reached = found.map_err(|e| End::of_store(e, wanted))?.unwrap_or_default().applied;
        self.bound.known = Some((other, reached));
        Ok(reached)
    }
}
