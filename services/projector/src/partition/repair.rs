//! Products whose events do not fit on what the store holds of them: their rows were lost, or a forged record skips versions.
//! The log decides: it is read again from offset zero, and their rows are built anew; what of them cannot be applied is parked.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use event_reader::feed::{Error, RangeBatch};
use event_reader::{Judged, PartitionReader};
use ledger::{LogRecord, Offset, Subject};
use read_models::ProductId;
use read_models::model::{EffectiveEvent, Fold, Store};
use read_models::projection::Outcome;
use tokio::sync::mpsc::Receiver;
use toolkit::dead_letters::Kind;
use toolkit::retry::{GaveUp, Transient};
use uuid::Uuid;

use super::stop::End;
use super::{Task, Written, decode};
use crate::parked::Sorted;

/// After this many repairs of a partition so much is lost that all of it is applied again.
const MAX_REPAIRS: u32 = 8;
/// Events applied before they are written.
const TOGETHER: usize = 1_000;

const UNREPAIRABLE: &str = "its events from offset zero on do not fit on one another: the log is not what correct writers make of \
                            it; find out who writes to the topic";
const REBUILD: &str = "the rows are not what this log made of them: build the read model anew (`folio rebuild`), or find out who \
                       writes to the store";

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

/// A product of which it is not known yet whether this log made its rows.
#[derive(Debug)]
struct Unproven<'e> {
    event: &'e EffectiveEvent,
    there: Uuid,
    from: Vec<LogRecord>,
}

/// How far products are read of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Up to what is parked of them; what cannot be applied before is parked, too.
    ToLetters,
    /// Through all of it: a product that is parked, and is tried again. What cannot be applied is told.
    Through,
}

/// What became of products that were built from the log.
#[derive(Debug)]
pub(super) enum Built {
    /// As far as could be; the first event that cannot be applied, if it is to be told.
    As(Option<Unfit>),
    /// The store refuses their rows; nobody knows which event it is.
    Refused(String),
}

/// An event that cannot be applied.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) record: LogRecord,
    pub(super) kind: Kind,
    pub(super) reason: String,
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Builds the rows of these products, given in the order of the log, anew from all their events below `to`, the end of the
    /// batch, and judges their records as a writer does from then on. A product is parked from the first event on that cannot be
    /// applied; so is one whose rows are of another log, and they stay.
    pub(super) async fn repair(&mut self, misfits: &[Misfit<'_>], to: Offset) -> Result<(), End> {
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
        self.write(misfits.first().map_or(to, |it| it.at)).await?;
        let before: Vec<u64> = misfits.iter().map(|it| self.projection.version(&it.product).get()).collect();
        self.build_from_log(misfits, to, Reads::ToLetters).await?;
        // Where nothing was lost a record was forged: however many there are, they are no reason to begin anew.
        let after = misfits.iter().map(|it| self.projection.version(&it.product).get());
        self.repairs += u32::from(after.zip(before).any(|(after, before)| after > before + 1));
        if self.repairs > MAX_REPAIRS && self.start > 0 {
            return Err(End::TakeOver(Some(0)));
        }
        Ok(())
    }

    /// Builds products from the log, however long that takes.
    pub(super) async fn build_from_log(
        &mut self,
        misfits: &[Misfit<'_>],
        to: Offset,
        reads: Reads,
    ) -> Result<Built, End> {
        let retry = self.kafka_retry.clone();
        let mut waits = retry.waits();
        loop {
            match self.build_again(misfits, to, reads).await {
                Ok(unfit) => return Ok(Built::As(unfit)),
                Err(Failed::Refused(reason)) => return Ok(Built::Refused(reason)),
                Err(Failed::End(end)) => return Err(end),
                Err(Failed::Log(error)) if error.is_transient() => {
                    let waited = waits.wait("read the log from the beginning", error).await;
                    waited.map_err(|e| End::of(e, to))?;
                }
                Err(Failed::Log(error)) => return Err(End::of(GaveUp::Final(error), to)),
            }
        }
    }

    async fn build_again(
        &mut self,
        misfits: &[Misfit<'_>],
        to: Offset,
        reads: Reads,
    ) -> Result<Option<Unfit>, Failed> {
        let begun = Instant::now();
        let (mut versions, mut told) = (vec![0; misfits.len()], None);
        // Products of which an event could not be applied: nothing after it is.
        let mut ended: BTreeMap<usize, Offset> = BTreeMap::new();
        for misfit in misfits {
            self.projection.loaded(misfit.product.clone(), None);
        }
        // Nothing is written before it is empty. With the records from where they did not fit: those of this batch.
        let mut unproven: BTreeMap<usize, Unproven<'_>> = BTreeMap::new();
        for (at, misfit) in misfits.iter().enumerate() {
            unproven.extend(
                misfit.diverged.map(|(event, there)| (at, Unproven { event, there, from: Vec::new() })),
            );
        }
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
                let (product, offset) = (misfits[at].product.as_str(), record.offset);
                if ended.contains_key(&at) {
                    let is_new = match reads {
                        Reads::ToLetters => self.parked.sort(product, offset) == Sorted::Follows,
                        Reads::Through => self.parked.get(product).is_none_or(|held| !held.has(offset)),
                    };
                    if is_new {
                        self.follow(record, product).await?;
                    }
                    continue;
                }
                if reads == Reads::ToLetters && self.parked.sort(product, offset) != Sorted::Flows {
                    // What is tried again later begins here.
                    ended.insert(at, offset);
                    continue;
                }
                if let Some(one) = unproven.get_mut(&at) {
                    if one.event.version.get() == key.version && key.event_id == one.there {
                        unproven.remove(&at);
                    } else if offset >= misfits[at].at && (reads == Reads::ToLetters || one.from.is_empty()) {
                        one.from.push(record.clone());
                    }
                }
                if let Some(unfit) = self.apply_again(&key, record).await? {
                    ended.insert(at, offset);
                    match reads {
                        Reads::ToLetters => {
                            self.park(record, product, unfit.kind, &unfit.reason).await?;
                        }
                        Reads::Through => told = told.or(Some(unfit)),
                    }
                    continue;
                }
                pending += 1;
                if pending >= TOGETHER && unproven.is_empty() {
                    self.write_built(record.offset, reads).await?;
                    pending = 0;
                }
            }
        }
        for (at, one) in unproven {
            let other =
                self.of_another_log(&misfits[at].product, one, ended.contains_key(&at), reads).await?;
            told = told.or(other);
        }
        self.repaired.extend(misfits.iter().map(|it| it.product.clone()));
        for (misfit, version) in misfits.iter().zip(versions) {
            if let Ok(subject) = Subject::parse(misfit.product.as_str()) {
                self.reader.corrected(&subject, version);
            }
        }
        self.context.metrics.repaired(misfits.len() - ended.len());
        tracing::info!(
            group = self.context.group,
            "kafka.partition" = partition.0,
            products = misfits.len(),
            took_ms = begun.elapsed().as_millis() as u64,
            "products are built again"
        );
        Ok(told)
    }

    /// The rows of a product stay, which this log did not make, and it is parked; `is_parked`: it is already.
    async fn of_another_log(
        &mut self,
        product: &ProductId,
        Unproven { event, there, from }: Unproven<'_>,
        is_parked: bool,
        reads: Reads,
    ) -> Result<Option<Unfit>, End> {
        self.projection.forget(product);
        self.context.metrics.violation();
        let reason = format!("the store holds version {} of event {there}; {REBUILD}", event.version);
        let mut from = from.into_iter().filter(|_| !is_parked);
        let Some(record) = from.next() else { return Ok(None) };
        if reads == Reads::Through {
            return Ok(Some(Unfit { record, kind: Kind::Diverged, reason }));
        }
        self.park(&record, product.as_str(), Kind::Diverged, &reason).await?;
        for record in from {
            self.follow(&record, product.as_str()).await?;
        }
        Ok(None)
    }

    /// Writes a part of what is built. A product that is tried again is parked already: that it is refused is told.
    async fn write_built(&mut self, offset: Offset, reads: Reads) -> Result<(), Failed> {
        match reads {
            Reads::ToLetters => {
                self.write(offset).await?;
                Ok(())
            }
            Reads::Through => match self.try_to_write(offset).await? {
                Written::All(_) => Ok(()),
                Written::But(refused) => Err(Failed::Refused(refused.to_string())),
            },
        }
    }

    /// The next part of the log, unless told to stop.
    pub(super) async fn next_batch(
        &self,
        batches: &mut Receiver<RangeBatch>,
    ) -> Result<Option<RangeBatch>, End> {
        tokio::select! {
            batch = batches.recv() => Ok(batch),
            () = self.stop.cancelled() => Err(End::GivenBack),
        }
    }

    async fn apply_again(
        &mut self,
        key: &ledger::RecordKey,
        record: &LogRecord,
    ) -> Result<Option<Unfit>, End> {
        let unfit = |kind, reason| Ok(Some(Unfit { record: record.clone(), kind, reason }));
        let event = match self.decode(key, record).await {
            Ok(event) => event,
            Err(undecoded) => {
                let (kind, reason) = decode::unfit(undecoded)?;
                return unfit(kind, reason);
            }
        };
        match self.projection.apply(&event) {
            Ok(Outcome::Applied) => Ok(None),
            Ok(outcome) => unfit(Kind::Gap, format!("{outcome:?}; {UNREPAIRABLE}")),
            Err(error) => unfit(Kind::Unfoldable, format!("{error}; {UNREPAIRABLE}")),
        }
    }
}

enum Failed {
    Log(Error),
    /// The store refuses the rows.
    Refused(String),
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
