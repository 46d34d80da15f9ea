//! Products whose events do not fit on what the store holds of them: their rows were lost, or a forged record skips versions.
//! The log decides: it is read again from offset zero, and their rows are built anew.

use std::collections::BTreeSet;
use std::time::Instant;

use ledger::{Judgement, LogRecord, Offset, Reader, Subject};
use read_models::ProductId;
use read_models::model::{Fold, Recorded, Store};
use read_models::projection::Outcome;
use toolkit::retry::GaveUp;
use uuid::Uuid;

use super::Task;
use super::decode::poison;
use super::stop::{End, Stop};
use crate::schemas::Undecoded;

/// After this many repairs of a partition so much is lost that all of it is applied again.
const MAX_REPAIRS: u32 = 8;
/// Events applied before they are written.
const TOGETHER: usize = 1_000;

const UNREPAIRABLE: &str = "its events from offset zero on do not fit on one another: the log is not what correct writers \
                            make of it; find out who writes to the topic";

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Builds the rows of these products anew from all their events below `to`, the end of the batch, and judges their records
    /// as a writer does from then on. An event that cannot be applied is the end.
    pub(super) async fn repair(&mut self, products: &[ProductId], to: Offset) -> Result<Option<Stop>, End> {
        self.context.metrics.repaired(products.len());
        let (group, partition) = (&self.context.group, self.claim.partition.0);
        let first = products.first().map_or("", ProductId::as_str);
        tracing::warn!(
            group,
            "kafka.partition" = partition,
            to,
            products = products.len(),
            "product.id" = first,
            "events do not fit on what the store holds of their products: rows were lost, or a record is forged; building them \
             again from the log"
        );
        let before: Vec<u64> =
            products.iter().map(|product| self.projection.version(product).get()).collect();
        let retry = self.kafka_retry.clone();
        let mut waits = retry.waits();
        loop {
            match self.build_again(products, to).await {
                Ok(outcome) => {
                    // Where nothing was lost a record was forged: however many there are, they are no reason to begin anew.
                    let after = products.iter().map(|product| self.projection.version(product).get());
                    self.repairs += u32::from(after.zip(before).any(|(after, before)| after > before + 1));
                    if self.repairs > MAX_REPAIRS && self.start > 0 {
                        return Err(End::TakeOver(Some(0)));
                    }
                    return Ok(outcome);
                }
                Err(Failed::End(end)) => return Err(end),
                Err(Failed::Kafka(error)) if error.is_transient() => {
                    let waited = waits.wait("read the log from the beginning", error).await;
                    waited.map_err(|e| End::of(e, to))?;
                }
                Err(Failed::Kafka(error)) => return Err(End::of(GaveUp::Final(error), to)),
            }
        }
    }

    async fn build_again(&mut self, products: &[ProductId], to: Offset) -> Result<Option<Stop>, Failed> {
        let begun = Instant::now();
        let wanted: BTreeSet<&str> = products.iter().map(ProductId::as_str).collect();
        let mut versions = vec![0; products.len()];
        for product in products {
            self.projection.loaded(product.clone(), None);
        }
        let (partition, mut pending) = (self.claim.partition, 0);
        let mut reader = Reader::complete(partition, self.context.partitions);
        let mut batches = self.context.repairs.read(partition, 0, to).map_err(Failed::Kafka)?;
        while let Some(batch) = self.next_batch(&mut batches).await.map_err(Failed::End)? {
            for record in &batch.map_err(Failed::Kafka)? {
                let subject = record.key.split(|byte| *byte == b'/').next().unwrap_or_default();
                if !std::str::from_utf8(subject).is_ok_and(|subject| wanted.contains(subject)) {
                    continue;
                }
                let key = match reader.judge(record.offset, &record.key) {
                    Judgement::Effective(key) => key,
                    Judgement::Violation(key) => {
                        self.context.metrics.violation();
                        let problem =
                            "a forged record skips versions: it is void; find out who writes to the topic";
                        tracing::error!("kafka.partition" = partition.0, "kafka.offset" = record.offset, %key, "{problem}");
                        continue;
                    }
                    _ => continue,
                };
                let at = products.iter().position(|it| it.as_str() == key.subject.as_str());
                if let Some(version) = at.and_then(|at| versions.get_mut(at)) {
                    *version = key.version;
                }
                if let Some(stop) = self.apply_again(&key, record).await.map_err(Failed::End)? {
                    return Ok(Some(stop));
                }
                pending += 1;
                if pending == TOGETHER {
                    self.write(record.offset).await.map_err(Failed::End)?;
                    pending = 0;
                }
            }
        }
        self.repaired.extend(products.iter().cloned());
        for (product, version) in products.iter().zip(versions) {
            if let Ok(subject) = Subject::parse(product.as_str()) {
                self.reader.corrected(&subject, version);
            }
        }
        tracing::info!(
            group = self.context.group,
            "kafka.partition" = partition.0,
            products = products.len(),
            took_ms = begun.elapsed().as_millis() as u64,
            "products are built again"
        );
        Ok(None)
    }

    /// The next part of the log, unless told to stop.
    async fn next_batch(&self, batches: &mut Batches) -> Result<Option<RangeBatch>, End> {
        tokio::select! {
            batch = batches.recv() => Ok(batch),
            () = self.stop.cancelled() => Err(End::GivenBack),
        }
    }

    /// Whether the log itself says that `there` gave the product this version, and not the record.
    pub(super) async fn is_of_the_log(
        &mut self,
        record: &Recorded,
        there: Uuid,
        to: Offset,
    ) -> Result<bool, End> {
        let retry = self.kafka_retry.clone();
        let (partition, prefix) = (self.claim.partition, format!("{}/", record.product.as_str()));
        let look = || async {
            let mut reader = Reader::complete(partition, self.context.partitions);
            let mut batches = self.context.repairs.read(partition, 0, to)?;
            while let Some(batch) = batches.recv().await {
                for one in batch?.iter().filter(|one| one.key.starts_with(prefix.as_bytes())) {
                    if let Judgement::Effective(key) = reader.judge(one.offset, &one.key)
                        && key.version == record.version.get()
                    {
                        return Ok(key.event_id == there);
                    }
                }
            }
            Ok::<_, adapter_kafka::Error>(false)
        };
        retry.run("read the log from the beginning", look).await.map_err(|e| End::of(e, to))
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

type RangeBatch = Result<Vec<LogRecord>, adapter_kafka::Error>;
type Batches = tokio::sync::mpsc::Receiver<RangeBatch>;

enum Failed {
    Kafka(adapter_kafka::Error),
    End(End),
}
