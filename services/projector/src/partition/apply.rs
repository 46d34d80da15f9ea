//! From a batch of the log to changed states: look back, judge, decode, load, fold.

use std::time::{Duration, Instant};

use ledger::{Judgement, LogRecord, Offset, RecordKey};
use read_models::ProductId;
use read_models::model::{ReadModel, Recorded, Store};
use read_models::projection::Outcome;

use super::Task;
use super::stop::{End, Stop};
use crate::decode::recorded;
use crate::schemas::Undecoded;

/// Garbage is counted always and logged this often at most.
const TELL_GARBAGE: Duration = Duration::from_secs(10);

const REPAIR_DECODING: &str = "later events of the partition wait behind it: deploy a projector that can read it, then restart; \
                               the event itself is part of history and stays";
const REBUILD: &str = "the rows are not what this log made of them: stop the read model's projectors, drop its tables or index, \
                       run `folio stores apply`, and start them again to build it anew";

impl<M: ReadModel, S: Store<M>> Task<M, S> {
    /// The events of the batch that count, up to the first that cannot be decoded.
    pub(super) async fn read(&mut self, records: &[LogRecord]) -> Result<(Vec<Recorded>, Option<Stop>), End> {
        self.look_back(records).await?;
        let mut effective = Vec::with_capacity(records.len());
        for record in records {
            if let Some(key) = self.judge(record) {
                effective.push((key, record));
            }
        }
        let mut decoded = Vec::with_capacity(effective.len());
        for (key, record) in effective {
            match self.decode(&key, record).await {
                Ok(event) => decoded.push(event),
                Err(Undecoded::Cancelled) => return Err(End::GivenBack),
                Err(Undecoded::Poison(reason)) => {
                    let stop = Stop::new(
                        record.offset,
                        format!("its value cannot be decoded: {reason}"),
                        REPAIR_DECODING,
                    );
                    return Ok((decoded, Some(stop.at_event(key.subject.as_str(), key.event_id))));
                }
            }
        }
        Ok((decoded, None))
    }

    /// Reads the keys back to the smallest basis that the batch needs.
    async fn look_back(&mut self, records: &[LogRecord]) -> Result<(), End> {
        let keys = records.iter().map(|record| (record.offset, &*record.key));
        let Some(from) = self.reader.needs(keys) else { return Ok(()) };
        let (to, partition) = (self.reader.floor(), self.claim.partition);
        tracing::debug!("kafka.partition" = partition.0, from, to, "looking back");
        let ranges = self.context.handle.ranges();
        let keys = || async {
            let mut batches = ranges.read(partition, from, to)?;
            let mut keys = Vec::new();
            while let Some(batch) = batches.recv().await {
                // The values are dropped at once: a look-back can be long.
                keys.extend(batch?.into_iter().map(|record| (record.offset, record.key)));
            }
            Ok::<_, toolkit::kafka::Error>(keys)
        };
        let keys = self.kafka_retry.run("look back", keys).await.map_err(|e| End::of(e, to))?;
        for (offset, key) in &keys {
            self.reader.look_back(*offset, key);
        }
        self.reader.looked_back_to(from);
        Ok(())
    }

    /// The record's key, if it counts.
    fn judge(&mut self, record: &LogRecord) -> Option<RecordKey> {
        let (metrics, offset, partition) = (&self.context.metrics, record.offset, self.claim.partition.0);
        match self.reader.judge(offset, &record.key) {
            Judgement::Effective(key) => return Some(key),
            Judgement::Void(reason) => {
                metrics.void(reason);
                tracing::debug!(
                    "kafka.partition" = partition,
                    "kafka.offset" = offset,
                    ?reason,
                    "a void record"
                );
            }
            Judgement::Garbage(error) => {
                metrics.garbage();
                self.tell_garbage(offset, &error.to_string());
            }
            Judgement::Violation(key) => {
                metrics.violation();
                let problem = "a record skips a version, which no correct writer writes: find out who writes to the topic";
                tracing::error!("kafka.partition" = partition, "kafka.offset" = offset, %key, "{problem}");
            }
            Judgement::NeedsLookBack(basis) => {
                tracing::error!(
                    "kafka.partition" = partition,
                    "kafka.offset" = offset,
                    basis,
                    "a record was not looked back for"
                );
            }
            Judgement::Seen => {}
        }
        None
    }

    fn tell_garbage(&mut self, offset: Offset, problem: &str) {
        if self.told_garbage.is_none_or(|told| told.elapsed() >= TELL_GARBAGE) {
            self.told_garbage = Some(Instant::now());
            let partition = self.claim.partition.0;
            tracing::warn!(
                "kafka.partition" = partition,
                "kafka.offset" = offset,
                problem,
                "a record whose key says nothing"
            );
        }
    }

    async fn decode(&self, key: &RecordKey, record: &LogRecord) -> Result<Recorded, Undecoded> {
        let Some(value) = &record.value else {
            return Err(Undecoded::Poison("there is none: a tombstone".to_owned()));
        };
        let event = self.context.schemas.decode(value, &self.registry_retry).await?;
        recorded(self.claim.partition, record, key, event).map_err(Undecoded::Poison)
    }

    /// Folds events into the projection, up to the first that cannot be; how many were new.
    pub(super) async fn apply(&mut self, events: &[Recorded]) -> Result<(usize, Option<Stop>), End> {
        let missing = self.projection.begin(events.iter().map(|event| &event.product));
        self.load(missing, events.first().map_or(0, |e| e.place.offset)).await?;
        let mut applied = 0;
        for event in events {
            let mut outcome = self.projection.apply(event);
            if let Ok(Outcome::Gap { .. }) = outcome {
                // The state is stale: another member came further with this partition before it was ours.
                self.load(vec![event.product.clone()], event.place.offset).await?;
                outcome = self.projection.apply(event);
            }
            let stop = |reason: String| Some(Stop::new(event.place.offset, reason, REBUILD).at(event));
            match outcome {
                Ok(Outcome::Applied) => applied += 1,
                Ok(Outcome::AlreadyApplied) => {}
                Ok(Outcome::Diverged { there }) => {
                    self.context.metrics.violation();
                    let version = event.version;
                    return Ok((
                        applied,
                        stop(format!("the store holds version {version} of event {there}")),
                    ));
                }
                Ok(Outcome::Gap { there }) => {
                    let version = event.version;
                    return Ok((
                        applied,
                        stop(format!("it is version {version}, but the store holds version {there}")),
                    ));
                }
                Err(error) => return Ok((applied, stop(error.to_string()))),
            }
        }
        Ok((applied, None))
    }

    async fn load(&mut self, products: Vec<ProductId>, offset: Offset) -> Result<(), End> {
        if products.is_empty() {
            return Ok(());
        }
        let store = &self.context.store;
        let states = self.store_retry.run("load states", || store.load(&products)).await;
        for (product, state) in products.into_iter().zip(states.map_err(|e| End::of(e, offset))?) {
            self.projection.loaded(product, state);
        }
        Ok(())
    }
}
