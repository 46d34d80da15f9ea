//! From the records of a batch to events: judge, decode, and what is doubtful.

use event_reader::{Judged, Undecoded};
use ledger::{LogRecord, Offset, RecordKey};
use read_models::model::{EffectiveEvent, Fold, Store};
use toolkit::dead_letters::Kind;

use super::stop::End;
use super::{Task, breathe};

/// Events decoded before they are applied, at most.
const TOGETHER: usize = 2_000;

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// The records that count, or skip versions.
    pub(super) async fn judged<'r>(&mut self, records: &'r [LogRecord]) -> Result<Vec<Judged<'r>>, End> {
        let position = records.first().map_or(0, |record| record.offset);
        let looked = self.reader.look_back(records, self.context.handle.ranges(), &self.kafka_retry).await;
        looked.map_err(|e| End::of(e, position))?;
        let judged = records.iter().filter_map(|record| self.reader.judge(record)).collect();
        self.context.metrics.judged(&self.reader.take_tally());
        Ok(judged)
    }

    /// The events of the first records, up to the first that cannot be decoded or skips versions.
    pub(super) async fn decoded(&self, records: &[Judged<'_>]) -> Result<Vec<EffectiveEvent>, End> {
        let mut events = Vec::new();
        for Judged { key, record, .. } in records.iter().take(TOGETHER).take_while(|it| !it.skips) {
            breathe(events.len()).await;
            match self.decode(key, record).await {
                Ok(event) => events.push(event),
                Err(Undecoded::Cancelled) => return Err(End::GivenBack),
                Err(Undecoded::Poison(_)) => break,
            }
        }
        Ok(events)
    }

    /// What a record means that cannot be decoded or skips versions: nothing if it does not count after all; if it counts and
    /// cannot be decoded, its product is parked.
    pub(super) async fn doubtful(
        &mut self,
        Judged { key, record, skips }: &Judged<'_>,
        batch_end: Offset,
    ) -> Result<(), End> {
        if *skips {
            return self.skipping(key, record, batch_end).await;
        }
        if !self.is_next(key, record.offset, batch_end).await? {
            return Ok(());
        }
        match self.decode(key, record).await {
            Err(Undecoded::Poison(reason)) => {
                let reason = format!("its value cannot be decoded: {reason}");
                self.park(record, key.subject.as_str(), Kind::Undecodable, &reason).await
            }
            Err(Undecoded::Cancelled) => Err(End::GivenBack),
            // The registry has learnt its schema just now: the record is read again.
            Ok(_) => Err(End::TakeOver(None)),
        }
    }

    pub(super) async fn decode(
        &self,
        key: &RecordKey,
        record: &LogRecord,
    ) -> Result<EffectiveEvent, Undecoded> {
        self.context.decoder.decode(self.claim.partition, key, record, &self.registry_retry).await
    }
}
