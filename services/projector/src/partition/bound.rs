//! How far a build may go: one that is not read never passes the one that is, and one that is held stands still where it is.
//!
//! Promises: what is told of where a build stands still in a partition is true until the hold ends, and nothing beyond it was ever
//! shown; a build that follows has applied exactly what the other has, as soon as that stands still; what is told of either is
//! written, whatever its store lost before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::Offset;
use read_models::builds::held_group;
use read_models::control::{Asked, Builds, Hold, Role};
use read_models::model::{Fold, Position, Positions, Store};
use read_models::{Error, Generation, ReadModel};
use tokio::sync::watch;

use super::stop::End;
use super::{Batch, Task};
use crate::builds::Reached;

/// How soon it is looked again how far the other build is.
const LOOK: Duration = Duration::from_millis(50);

/// What is decided about this build.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) generation: Generation,
    pub(crate) builds: watch::Receiver<Builds>,
    /// When the last look at the journal began that `builds` is of; `None`: nothing else is ever decided.
    pub(crate) heard: Option<watch::Receiver<Instant>>,
}

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
    decided: Decided,
    /// Everything below is applied by this task or before it.
    at: Offset,
    /// Everything below this is in the rows, if the store has lost nothing,
    stored: Offset,
    /// and of what is below this something may be: whoever had the partition before may have been in the middle of it.
    shown: Offset,
    /// A build that is followed, and how far it is at least.
    known: Option<(Generation, Offset)>,
    /// The last hold for which it was told where this stands still, and where that is.
    told: Option<(Hold, Offset)>,
}

impl Bound {
    pub(super) fn new(decided: Decided) -> Self {
        Self { decided, at: 0, stored: 0, shown: 0, known: None, told: None }
    }

    pub(super) fn begins(&mut self, at: Offset, stored: Offset, shown: Offset) {
        (self.at, self.stored, self.shown) = (at, stored.max(at), shown.max(stored).max(at));
    }

    pub(super) fn at(&mut self, at: Offset) {
        (self.at, self.stored, self.shown) = (at, self.stored.max(at), self.shown.max(at));
    }

    pub(super) fn role(&mut self) -> Role {
        self.decided.builds.borrow_and_update().role(self.decided.generation)
    }

    /// What was decided about letters after this, in order.
    pub(super) fn asked_after(&self, order: u64) -> Vec<Asked> {
        let builds = self.decided.builds.borrow();
        builds.asked().iter().filter(|it| it.order > order).cloned().collect()
    }

    /// The last that was decided about letters.
    pub(super) fn last_asked(&self) -> u64 {
        self.decided.builds.borrow().asked().last().map_or(0, |it| it.order)
    }

    /// Everything below is written and told.
    pub(super) fn settled(&self) -> Offset {
        self.at
    }

    /// Whether this was there already when the partition was taken over.
    pub(super) fn is_replay(&self, offset: Offset) -> bool {
        offset < self.shown
    }

    /// Where the build ends.
    fn end(&self, partition: i32) -> Offset {
        self.decided.builds.borrow().end(self.decided.generation, partition)
    }

    /// Ends when it may be possible to go further; `is_waiting`: for another build, or for the end of a hold.
    pub(super) async fn may_have_moved(&mut self, is_waiting: bool) {
        let look =
            async { if is_waiting { tokio::time::sleep(LOOK).await } else { std::future::pending().await } };
        tokio::select! {
            () = look => {}
            changed = self.decided.builds.changed() => if changed.is_err() { std::future::pending().await },
        }
    }
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Waits until it is known what was decided before the partition was this member's: a hold that it does not know of
    /// would be none.
    pub(super) async fn heard(&mut self) -> Result<(), End> {
        let claimed = Instant::now();
        let Some(heard) = &mut self.bound.decided.heard else { return Ok(()) };
        tokio::select! {
            heard = heard.wait_for(|at| *at >= claimed) => heard.map(drop).map_err(|_ended| End::GivenBack),
            () = self.stop.cancelled() => Err(End::GivenBack),
        }
    }

    /// A partition that has stopped stands still anyway, and says so in a hold: what it is in the middle of does not keep its read
    /// model from being built anew.
    pub(super) async fn answer_holds(&mut self) {
        while !self.stop.is_cancelled() {
            if let Role::Held(hold) | Role::Follows { hold: Some(hold), .. } = self.bound.role()
                && let Err(_refused) = self.tell_where(hold).await
            {
                return;
            }
            tokio::select! {
                () = self.bound.may_have_moved(false) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// What of the batch may be applied now, and what has to wait. In a hold all that is applied is written.
    pub(super) async fn within_bound(
        &mut self,
        role: Role,
        batch: Option<Batch>,
    ) -> Result<(Option<Batch>, Option<Batch>), End> {
        let bound = match role {
            Role::Live => return Ok((batch, None)),
            Role::Held(hold) => self.held_at(hold).await?,
            Role::Waits => self.bound.stored,
            Role::Follows { other, .. } => match &batch {
                Some(batch) => self.reached_by(other, batch.position).await?,
                None => self.bound.at,
            },
            Role::Ends => self.bound.end(self.claim.partition.0),
        };
        if let Role::Held(hold) | Role::Follows { hold: Some(hold), .. } = role
            && bound <= self.bound.at
        {
            self.tell_where(hold).await?;
        }
        let Some(batch) = batch else { return Ok((None, None)) };
        if batch.position <= bound {
            return Ok((Some(batch), None));
        }
        if bound <= self.applied() {
            return Ok((None, Some(batch)));
        }
        let mut records = batch.records;
        let later = records.split_off(records.partition_point(|record| record.offset < bound));
        let now = Batch { records, position: bound };
        Ok((Some(now), Some(Batch { records: later, position: batch.position })))
    }

    /// Where the build that is read stands still in this hold: where it was told already, or else as far as anything of it may have
    /// been shown.
    async fn held_at(&mut self, hold: Hold) -> Result<Offset, End> {
        if let Some((known, told)) = self.bound.told
            && known == hold
        {
            return Ok(told);
        }
        let (positions, group) = (self.context.store.positions(), held_group(&self.context.group, hold));
        let read = || positions.read(&group, self.claim.partition.0);
        let told = self.store_retry.run("read where it stands still", read).await;
        let told = told.map_err(|e| End::of_store(e, self.bound.at))?;
        Ok(told.map_or(self.bound.shown, |told| told.applied))
    }

    /// Says that it stands still here in this hold, when all of it is known to be written.
    async fn tell_where(&mut self, hold: Hold) -> Result<(), End> {
        debug_assert!(self.unwritten.is_none(), "a build that is held goes no further");
        let (at, partition) = (self.bound.at, self.claim.partition.0);
        // What is in the rows already is applied again first: only then is it known to be there.
        if at < self.bound.stored || self.bound.told == Some((hold, at)) {
            return Ok(());
        }
        let (positions, group) = (self.context.store.positions(), held_group(&self.context.group, hold));
        let stands = Position { applied: at, durable: at, log: self.log };
        let write = || positions.write(&group, partition, stands);
        let written = self.store_retry.run("tell where it stands still", write).await;
        written.map_err(|e| End::of_store(e, at))?;
        self.bound.told = Some((hold, at));
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
