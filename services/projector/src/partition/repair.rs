//! Products whose events do not fit on what the store holds of them: their rows were lost, or a forged record skips versions.
//! The log decides: it is read again from offset zero, and their rows are built anew.

use std::collections::HashMap;
use std::time::Instant;

use event_reader::feed::{Error, RangeBatch};
use event_reader::{Judged, PartitionReader, Undecoded};
use ledger::{LogRecord, Offset, Subject};
use read_models::ProductId;
use read_models::model::{EffectiveEvent, Fold, Store};
use read_models::projection::Outcome;
use tokio::sync::mpsc::Receiver;
use toolkit::retry::{GaveUp, Transient};
use uuid::Uuid;

use super::Task;
use super::decode::poison;
use super::stop::{End, Stop};

/// After this many repairs of a partition so much is lost that all of it is applied again.
const MAX_REPAIRS: u32 = 8;
/// Events applied before they are written.
const TOGETHER: usize = 1_000;

const UNREPAIRABLE: &str = "its events from offset zero on do not fit on one another: the log is not what correct writers \
                            make of it; find out who writes to the topic";
const REBUILD: &str = "the rows are not what this log made of them: stop the read model's projectors, drop its tables or index, \
                       run `folio stores apply`, and start them again to build it anew";

/// A product to be built again.
#[derive(Debug)]
pub(super) struct Misfit<'e> {
    pub(super) product: ProductId,
    /// Where its event stands that does not fit.
    pub(super) at: Offset,
    /// The store says that another event gave it this event's version. If the log says so too, this one is forged, and hid
    /// from the reader what correct writers wrote; else the rows are of another log.
    pub(super) diverged: Option<(&'e EffectiveEvent, Uuid)>,
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Builds the rows of these products, given in the order of the log, anew from all their events below `to`, the end of the
    /// batch, and judges their records as a writer does from then on. An event that cannot be applied is the end; so are rows of
    /// another log, which stay.
    pub(super) async fn repair(&mut self, misfits: &[Misfit<'_>], to: Offset) -> Result<Option<Stop>, End> {
        let (group, partition) = (&self.context.group, self.claim.partition.0);
        let first = misfits.first().map_or("", |it| it.product.as_str());
        tracing::warn!(
            group,
            "kafka.partition" = partition,
            to,
            products = misfits.len(),
            "product.id" = first,
            "events do not fit on what the store holds of their products: rows were lost, or a record is forged; building them \
             again from the log"
        );
        // What others changed must not be held back with what is to be proven.
        self.write(to).await?;
        let before: Vec<u64> = misfits.iter().map(|it| self.projection.version(&it.product).get()).collect();
        let retry = self.kafka_retry.clone();
        let mut waits = retry.waits();
        loop {
            match self.build_again(misfits, to).await {
                Ok(outcome) => {
                    // Where nothing was lost a record was forged: however many there are, they are no reason to begin anew.
                    let after = misfits.iter().map(|it| self.projection.version(&it.product).get());
                    self.repairs += u32::from(after.zip(before).any(|(after, before)| after > before + 1));
                    if self.repairs > MAX_REPAIRS && self.start > 0 {
                        return Err(End::TakeOver(Some(0)));
                    }
                    return Ok(outcome);
                }
                Err(Failed::End(end)) => return Err(end),
                Err(Failed::Log(error)) if error.is_transient() => {
                    let waited = waits.wait("read the log from the beginning", error).await;
                    waited.map_err(|e| End::of(e, to))?;
                }
                Err(Failed::Log(error)) => return Err(End::of(GaveUp::Final(error), to)),
            }
        }
    }

    async fn build_again(&mut self, misfits: &[Misfit<'_>], to: Offset) -> Result<Option<Stop>, Failed> {
        let begun = Instant::now();
        let mut versions = vec![0; misfits.len()];
        for misfit in misfits {
            self.projection.loaded(misfit.product.clone(), None);
        }
        // Nothing is written before it is empty.
        let mut unproven: Vec<_> = misfits.iter().filter_map(|it| it.diverged).collect();
        let (partition, mut pending) = (self.claim.partition, 0);
        let mut reader = PartitionReader::complete(partition, self.context.partitions);
        let names = misfits.iter().enumerate().map(|(at, it)| (it.product.as_str().as_bytes(), at));
        let places: HashMap<&[u8], usize> = names.collect();
        let mut batches = self.context.repairs.read(partition, 0, to)?;
        while let Some(batch) = self.next_batch(&mut batches).await? {
            for record in &batch? {
                let subject = record.key.split(|byte| *byte == b'/').next().unwrap_or_default();
                let Some(&at) = places.get(subject) else { continue };
                let key = match reader.judge(record) {
                    Some(Judged { key, skips: false, .. }) => key,
                    Some(Judged { key, .. }) => {
                        self.context.metrics.violation();
                        let problem =
                            "a forged record skips versions: it is void; find out who writes to the topic";
                        tracing::error!("kafka.partition" = partition.0, "kafka.offset" = record.offset, %key, "{problem}");
                        continue;
                    }
                    None => continue,
                };
                versions[at] = key.version;
                unproven.retain(|(event, there)| {
                    let is_it = event.product == misfits[at].product && event.version.get() == key.version;
                    !(is_it && key.event_id == *there)
                });
                if let Some(stop) = self.apply_again(&key, record).await? {
                    if !unproven.is_empty() {
                        drop(self.projection.take_writes());
                    }
                    // The events that did not fit, and others behind them, are not applied.
                    return Ok(Some(stop.before(misfits[0].at)));
                }
                pending += 1;
                if pending >= TOGETHER && unproven.is_empty() {
                    self.write(record.offset).await?;
                    pending = 0;
                }
            }
        }
        if let Some((event, there)) = unproven.first() {
            drop(self.projection.take_writes());
            self.context.metrics.violation();
            let reason = format!("the store holds version {} of event {there}", event.version);
            return Ok(Some(Stop::new(misfits[0].at, reason, REBUILD).at(event)));
        }
        self.repaired.extend(misfits.iter().map(|it| it.product.clone()));
        for (misfit, version) in misfits.iter().zip(versions) {
            if let Ok(subject) = Subject::parse(misfit.product.as_str()) {
                self.reader.corrected(&subject, version);
            }
        }
        self.context.metrics.repaired(misfits.len());
        tracing::info!(
            group = self.context.group,
            "kafka.partition" = partition.0,
            products = misfits.len(),
            took_ms = begun.elapsed().as_millis() as u64,
            "products are built again"
        );
        Ok(None)
    }

    /// The next part of the log, unless told to stop.
    async fn next_batch(&self, batches: &mut Receiver<RangeBatch>) -> Result<Option<RangeBatch>, End> {
        tokio::select! {
            batch = batches.recv() => Ok(batch),
            () = self.stop.cancelled() => Err(End::GivenBack),
        }
    }

    async fn apply_again(
        &mut self,
        key: &ledger::RecordKey,
        record: &LogRecord,
    ) -> Result<Option<Stop>, End> {
        let event = match self.decode(key, record).await {
            Ok(event) => event,
            Err(Undecoded::Cancelled) => return Err(End::GivenBack),
            Err(Undecoded::Poison(reason)) => return Ok(Some(poison(key, record.offset, &reason))),
        };
        let problem = match self.projection.apply(&event) {
            Ok(Outcome::Applied) => return Ok(None),
            Ok(outcome) => format!("{outcome:?}"),
            Err(error) => error.to_string(),
        };
        Ok(Some(Stop::new(record.offset, problem, UNREPAIRABLE).at(&event)))
    }
}

enum Failed {
    Log(Error),
    End(End),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Log(error)
    }
}

impl From<End> for Failed {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}
