//! From the records of a batch to events: look back, judge, decode.

use std::time::{Duration, Instant};

use ledger::{Judgement, LogRecord, Offset, RecordKey};
use read_models::model::{Fold, Recorded, Store};

use super::Task;
use super::stop::{End, Stop};
use crate::decode::recorded;
use crate::schemas::Undecoded;

/// Garbage is counted always and logged this often at most.
const TELL_GARBAGE: Duration = Duration::from_secs(10);
/// Events decoded before they are applied, at most.
const TOGETHER: usize = 2_000;

const REPAIR_DECODING: &str = "later events of the partition wait behind it: deploy a projector that can read it, then restart; \
                               the event itself is part of history and stays";

/// A record that counts, by what the reader knows; or one that skips versions, which means that the reader was misled by a
/// forged one, or that this one is forged.
pub(super) struct Effective<'r> {
    pub(super) key: RecordKey,
    pub(super) record: &'r LogRecord,
    skips: bool,
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// The records that count.
    pub(super) fn effective<'r>(&mut self, records: &'r [LogRecord]) -> Vec<Effective<'r>> {
        let counts = |record| self.judge(record).map(|(key, skips)| Effective { key, record, skips });
        records.iter().filter_map(counts).collect()
    }

    /// The events of the first records, up to the first that cannot be decoded or skips versions.
    pub(super) async fn decoded(&self, records: &[Effective<'_>]) -> Result<Vec<Recorded>, End> {
        let mut events = Vec::new();
        for Effective { key, record, .. } in records.iter().take(TOGETHER).take_while(|it| !it.skips) {
            match self.decode(key, record).await {
                Ok(event) => events.push(event),
                Err(Undecoded::Cancelled) => return Err(End::GivenBack),
                Err(Undecoded::Poison(_)) => break,
            }
        }
        Ok(events)
    }

    /// What a record means that cannot be decoded or skips versions: nothing if it does not count after all; if it counts and
    /// cannot be decoded, the end.
    pub(super) async fn doubtful(
        &mut self,
        doubtful: &Effective<'_>,
        batch_end: Offset,
    ) -> Result<Option<Stop>, End> {
        let Effective { key, record, skips } = doubtful;
        if *skips {
            return self.skipping(key, record.offset, batch_end).await;
        }
        if !self.is_next(key, record.offset, batch_end).await? {
            return Ok(None);
        }
        match self.decode(key, record).await {
            Err(Undecoded::Poison(reason)) => Ok(Some(poison(key, record.offset, &reason))),
            Err(Undecoded::Cancelled) => Err(End::GivenBack),
            // The registry has learnt its schema just now: the record is read again.
            Ok(_) => Err(End::TakeOver(None)),
        }
    }

    /// Reads the keys back to the smallest basis that the batch needs.
    pub(super) async fn look_back(&mut self, records: &[LogRecord]) -> Result<(), End> {
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
            Ok::<_, adapter_kafka::Error>(keys)
        };
        let keys = self.kafka_retry.run("look back", keys).await.map_err(|e| End::of(e, to))?;
        for (offset, key) in &keys {
            self.reader.look_back(*offset, key);
        }
        self.reader.looked_back_to(from);
        Ok(())
    }

    /// The record's key, if it counts or skips versions; and whether it does.
    fn judge(&mut self, record: &LogRecord) -> Option<(RecordKey, bool)> {
        let (metrics, offset, partition) = (&self.context.metrics, record.offset, self.claim.partition.0);
        match self.reader.judge(offset, &record.key) {
            Judgement::Effective(key) => return Some((key, false)),
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
            Judgement::Violation(key) => return Some((key, true)),
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

    pub(super) async fn decode(&self, key: &RecordKey, record: &LogRecord) -> Result<Recorded, Undecoded> {
        let Some(value) = &record.value else {
            return Err(Undecoded::Poison("there is none: a tombstone".to_owned()));
        };
        let event = self.context.schemas.decode(value, &self.registry_retry).await?;
        recorded(self.claim.partition, record, key, event).map_err(Undecoded::Poison)
    }
}

pub(super) fn poison(key: &RecordKey, offset: Offset, reason: &str) -> Stop {
    let stop = Stop::new(offset, format!("its value cannot be decoded: {reason}"), REPAIR_DECODING);
    stop.at_event(key.subject.as_str(), key.event_id)
}
