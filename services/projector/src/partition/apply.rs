//! From events to changed states: load, fold; and what does not fit is put right.

use ledger::{LogRecord, Offset, RecordKey};
use read_models::control::Role;
use read_models::model::{EffectiveEvent, Fold, State, Store, Wanted};
use read_models::projection::Outcome;
use read_models::{ProductId, Version};

use super::repair::Misfit;
use super::stop::End;
use super::unwritten::is_not_read;
use super::{Task, breathe};
use crate::parked::Sorted;

/// About how many bytes of states may be loaded before they are folded and written.
const LOADED_BYTES: usize = 16 << 20;
/// How large a state is taken to be while none was loaded: careful, as the first load teaches better.
pub(super) const UNKNOWN_STATE_BYTES: usize = 64 << 10;

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Loads the missing states of the first events; of how many: of all, unless the states are large.
    pub(super) async fn load_first(&mut self, events: &[EffectiveEvent], role: Role) -> Result<usize, End> {
        let (mut events_done, mut bytes) = (0, 0);
        while events_done < events.len() && bytes < LOADED_BYTES {
            let at_once = (LOADED_BYTES / 4 / self.state_bytes).clamp(16, 2_000);
            let group = &events[events_done..events.len().min(events_done + at_once)];
            let mut missing = self.projection.missing(group);
            // Before its first event there is nothing of a product. If there are rows, they are of this log, and newer: they stay until
            // this gets there. To ask for each new product cost more than a third of its write. What is read is asked for all the same
            // where it was applied before, so that rows of another log show.
            if is_not_read(role) || group[0].place.offset >= self.had_rows_up_to {
                let first = missing.extract_if(.., |wanted| wanted.version == Version::FIRST);
                first.for_each(|wanted| self.projection.loaded(wanted.product, None));
            }
            bytes += self.load(missing, group[0].place.offset).await?;
            events_done += group.len();
        }
        Ok(events_done)
    }

    /// Folds events into the projection; how many were new. Products on whose states an event does not fit are built again, up to
    /// `batch_end`, or parked.
    pub(super) async fn apply(&mut self, events: &[EffectiveEvent], batch_end: Offset) -> Result<usize, End> {
        let mut applied = 0;
        let mut misfits: Vec<Misfit<'_>> = Vec::new();
        for (number, event) in events.iter().enumerate() {
            breathe(number).await;
            if misfits.iter().any(|it| it.product == event.product)
                || self.repaired.contains(&event.product)
                || self.is_aside(&event.product, event.place.offset)
            {
                continue;
            }
            let mut outcome = self.projection.apply(event);
            if let Ok(Outcome::Gap { .. }) = outcome {
                // The state is stale: another member came further with this partition before it was ours.
                self.load(vec![event.into()], event.place.offset).await?;
                outcome = self.projection.apply(event);
            }
            let diverged = match outcome {
                Ok(Outcome::Applied) => {
                    applied += 1;
                    continue;
                }
                Ok(Outcome::AlreadyApplied) => continue,
                Ok(Outcome::Diverged { there }) => Some((event, there)),
                Ok(Outcome::Gap { .. }) | Err(_) => None,
            };
            misfits.push(Misfit { product: event.product.clone(), at: event.place.offset, diverged });
        }
        if !misfits.is_empty() {
            self.repair(&misfits, batch_end).await?;
        }
        Ok(applied)
    }

    /// Whether the record is not to be applied, as what is parked stands now.
    fn is_aside(&self, product: &ProductId, offset: Offset) -> bool {
        !self.parked.is_empty() && self.parked.sort(product.as_str(), offset) != Sorted::Flows
    }

    /// Whether the record gives its product the next version, by the product's state; one that skips versions of it is
    /// judged again from offset zero.
    pub(super) async fn is_next(
        &mut self,
        key: &RecordKey,
        offset: Offset,
        batch_end: Offset,
    ) -> Result<bool, End> {
        let Ok(product) = ProductId::parse(key.subject.as_str()) else { return Ok(true) };
        if self.repaired.contains(&product) {
            return Ok(false);
        }
        let (version, there) = (Version(key.version), self.stored_version(key, &product, offset).await?);
        if version <= there.next() {
            return Ok(version == there.next());
        }
        // Either it is built again with its product there, or it is parked there.
        self.repair(&[Misfit { product, at: offset, diverged: None }], batch_end).await?;
        Ok(false)
    }

    /// What a record means that skips versions by what the reader knows: if the state says that it is the next one, a forged
    /// record had misled the reader.
    pub(super) async fn skipping(
        &mut self,
        key: &RecordKey,
        record: &LogRecord,
        batch_end: Offset,
    ) -> Result<(), End> {
        let offset = record.offset;
        if let Ok(product) = ProductId::parse(key.subject.as_str()) {
            if self.repaired.contains(&product) || self.is_aside(&product, offset) {
                return Ok(());
            }
            if Version(key.version) == self.stored_version(key, &product, offset).await?.next() {
                let misfit = Misfit { product, at: offset, diverged: None };
                return self.repair(&[misfit], batch_end).await;
            }
        }
        self.context.metrics.violation();
        let problem =
            "a record skips a version, which no correct writer writes: find out who writes to the topic";
        tracing::error!("kafka.partition" = self.claim.partition.0, "kafka.offset" = offset, %key, "{problem}");
        Ok(())
    }

    /// The version of the product's state, just before the record's where the store can tell.
    async fn stored_version(
        &self,
        key: &RecordKey,
        product: &ProductId,
        offset: Offset,
    ) -> Result<Version, End> {
        let wanted =
            [Wanted { product: product.clone(), version: Version(key.version), event_id: key.event_id }];
        let state = self.store_retry.run("load a state", || self.context.store.load(&wanted)).await;
        let state = state.map_err(|e| End::of_store(e, offset))?.into_iter().flatten().next();
        Ok(state.map_or(Version::NONE, |state| state.head().version))
    }

    /// Loads states; about how many bytes they take.
    pub(super) async fn load(&mut self, missing: Vec<Wanted>, offset: Offset) -> Result<usize, End> {
        if missing.is_empty() {
            return Ok(0);
        }
        let store = &self.context.store;
        let states = self.store_retry.run("load states", || store.load(&missing)).await;
        let states = states.map_err(|e| End::of_store(e, offset))?;
        let (mut bytes, count) = (0, missing.len());
        for (wanted, state) in missing.into_iter().zip(states) {
            bytes += state.as_ref().map_or(0, State::size);
            self.projection.loaded(wanted.product, state);
        }
        self.state_bytes = (bytes / count).max(1_000);
        Ok(bytes)
    }
}
