//! From the records of a batch to events: judge, decode, and what is doubtful.
//!
//! Promise: a registry that is away holds a partition of what is read for [`PATIENCE`], once; from then on only the products of records
//! wait whose schemas only it can tell, and they are tried again as soon as it answers.

use std::time::Duration;

use event_reader::{Judged, Undecoded};
use ledger::{LogRecord, Offset, RecordKey};
use read_models::model::{EffectiveEvent, Fold, Store};
use toolkit::dead_letters::Kind;

use super::stop::End;
use super::unwritten::is_not_read;
use super::{Task, breathe};
use crate::watch::Server;

/// Events decoded before they are applied, at most.
const TOGETHER: usize = 2_000;
/// How long a registry that does not answer is waited for before products are parked for it.
const PATIENCE: Duration = Duration::from_secs(3);

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
    pub(super) async fn decoded(&mut self, records: &[Judged<'_>]) -> Result<Vec<EffectiveEvent>, End> {
        let mut events = Vec::new();
        for Judged { key, record, .. } in records.iter().take(TOGETHER).take_while(|it| !it.skips) {
            breathe(events.len()).await;
            match self.decode(key, record).await {
                Ok(event) => events.push(event),
                Err(Undecoded::Cancelled) => return Err(End::GivenBack),
                Err(Undecoded::Poison(_) | Undecoded::Unavailable(_)) => break,
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
            Err(undecoded) => {
                let (kind, reason) = unfit(undecoded)?;
                self.park(record, key.subject.as_str(), kind, &reason).await
            }
            // The registry has learnt its schema just now: the record is read again.
            Ok(_) => Err(End::TakeOver(None)),
        }
    }

    pub(super) async fn decode(
        &mut self,
        key: &RecordKey,
        record: &LogRecord,
    ) -> Result<EffectiveEvent, Undecoded> {
        // A build that is not read keeps nobody waiting, and is to be compared: it waits.
        let patience = (!is_not_read(self.bound.role())).then_some(PATIENCE);
        let (partition, decoder, retry) = (self.claim.partition, &self.context.decoder, &self.registry_retry);
        let outcome = decoder.decode_within(patience, partition, key, record, retry).await;
        if let Err(Undecoded::Unavailable(_)) = &outcome {
            // The partition goes on; who looks for the registry says how it is.
            self.context.progress.retries(partition.0, Server::Registry, false);
        }
        outcome
    }
}

/// As what a record is parked that has no event, and why.
pub(super) fn unfit(undecoded: Undecoded) -> Result<(Kind, String), End> {
    match undecoded {
        Undecoded::Poison(reason) => {
            Ok((Kind::Undecodable, format!("its value cannot be decoded: {reason}")))
        }
        Undecoded::Unavailable(reason) => {
            Ok((Kind::SchemaUnavailable, format!("its value cannot be decoded yet: {reason}")))
        }
        Undecoded::Cancelled => Err(End::GivenBack),
    }
}
