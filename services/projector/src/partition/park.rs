//! Parking: a record that cannot be applied becomes a dead letter, the later ones of its product follow it, and all others flow.
//!
//! Promises: what is parked is acknowledged before the position is settled; what is known of it before the partition's first batch
//! is what everybody before has acknowledged; products whose rows the store refuses hold back no other, however many they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use event_reader::Judged;
use jiff::Timestamp;
use ledger::{Headers, LogRecord, Offset};
use read_models::RefusedProducts;
use read_models::model::{Fold, Positions, Store};
use toolkit::dead_letters::{Kind, Letter, Original, Outline};

use super::Task;
use super::stop::{End, Stop};
use crate::parked::{Parked, Sorted};

/// Letters are written when they come to this much, at the latest with the position.
const PENDING_BYTES: usize = 4 << 20;
/// A reason is told in as many characters.
const REASON: usize = 1_000;
/// So many products may be refused, in one write or one after another, without any other being taken: more, and it is the store.
const REFUSED: usize = 8;

const ALL_REFUSED: &str = "repair the store (`folio stores check` compares it with its declaration), then restart the projector and \
                           redrive what was parked meanwhile (`folio dlq list --kind refused-by-store`)";
const LETTERS: &str = "see to the topic of dead letters, then restart the projector";

/// Products whose rows a store has refused, until their records come again and are parked. Shared by all partitions, and outlives
/// their tasks.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Refused>);

#[derive(Debug, Default)]
struct Refused {
    /// By partition and product: from which offset on, and what the store said.
    products: BTreeMap<(i32, String), (Offset, String)>,
    /// Products that were refused since rows were taken.
    in_a_row: BTreeSet<(i32, String)>,
}

impl Refusals {
    fn with<T>(&self, change: impl FnOnce(&mut Refused) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn are_none(&self) -> bool {
        self.with(|it| it.products.is_empty())
    }

    /// The partition goes to another member, who finds out by itself.
    pub(crate) fn forget(&self, partition: i32) {
        self.with(|it| it.products.retain(|(of, _), _| *of != partition));
    }

    /// What was found of a product is over: it was tried again, or given up.
    pub(super) fn over(&self, partition: i32, product: &str) {
        self.with(|it| it.products.remove(&(partition, product.to_owned())));
    }

    /// Rows were taken.
    pub(super) fn taken(&self) {
        self.with(|it| it.in_a_row.clear());
    }

    /// Products of one write were refused; how many were since any was taken.
    fn refused(&self, partition: i32, from: Offset, refused: &RefusedProducts) -> usize {
        self.with(|it| {
            if refused.taken > 0 {
                it.in_a_row.clear();
            }
            for (product, reason) in &refused.products {
                it.products.insert((partition, product.clone()), (from, reason.clone()));
                if refused.taken == 0 {
                    it.in_a_row.insert((partition, product.clone()));
                }
            }
            it.in_a_row.len()
        })
    }

    /// Why a record of the product is not applied, if it is not.
    fn take(&self, partition: i32, product: &str, offset: Offset) -> Option<String> {
        self.with(|it| {
            if it.products.is_empty() {
                return None;
            }
            let key = (partition, product.to_owned());
            it.products.get(&key).filter(|(from, _)| offset >= *from)?;
            it.products.remove(&key).map(|(_, reason)| reason)
        })
    }
}

/// Letters that are not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    letters: Vec<Letter>,
    bytes: usize,
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Learns what is parked.
    pub(super) async fn load_letters(&mut self) -> Result<(), End> {
        let partition = self.claim.partition.0;
        let load = || self.context.letters.load(partition);
        let letters = self.letters_retry.run("load what is parked", load).await;
        self.parked = Parked::of(letters.map_err(|e| End::of_letters(e, 0))?);
        let (products, records) = self.parked.counts();
        if records > 0 {
            tracing::info!(
                group = self.context.group,
                "kafka.partition" = partition,
                products,
                records,
                "records of the partition are parked"
            );
        }
        Ok(())
    }

    pub(super) fn report_parked(&self) {
        let (products, records) = self.parked.counts();
        self.context.progress.parked(self.claim.partition.0, products, records);
    }

    /// What may be applied of these; what belongs to products that are parked follows them.
    pub(super) async fn set_aside<'r>(&mut self, judged: Vec<Judged<'r>>) -> Result<Vec<Judged<'r>>, End> {
        if self.parked.is_empty() && self.context.refusals.are_none() {
            return Ok(judged);
        }
        let mut rest = Vec::with_capacity(judged.len());
        for one in judged {
            let (product, offset) = (one.key.subject.as_str(), one.record.offset);
            if one.skips {
                // It counts for nothing, unless it is found to be the next one after all.
                rest.push(one);
                continue;
            }
            match self.parked.sort(product, offset) {
                Sorted::Flows => match self.context.refusals.take(self.claim.partition.0, product, offset) {
                    None => rest.push(one),
                    Some(reason) => self.park(one.record, product, Kind::RefusedByStore, &reason).await?,
                },
                Sorted::Parked => {}
                Sorted::Dropped => self.context.metrics.dropped(),
                Sorted::Follows => self.follow(one.record, product).await?,
            }
        }
        Ok(rest)
    }

    /// Parks a record behind one of its product.
    pub(super) async fn follow(&mut self, record: &LogRecord, product: &str) -> Result<(), End> {
        let first = self.parked.get(product).map_or(record.offset, |held| held.first().offset);
        let reason = format!("behind {}/{first} of the same product", self.claim.partition);
        self.park(record, product, Kind::Follows, &reason).await
    }

    /// Parks a record, and its product with it.
    pub(super) async fn park(
        &mut self,
        record: &LogRecord,
        product: &str,
        kind: Kind,
        reason: &str,
    ) -> Result<(), End> {
        let letter = self.letter(record, product, kind, reason);
        if kind == Kind::SchemaUnavailable {
            // Nobody has to do anything about the product, and it may be one of many.
            tracing::warn!(
                group = self.context.group,
                "kafka.partition" = self.claim.partition.0,
                "kafka.offset" = record.offset,
                "product.id" = product,
                "product {product} is parked until the registry answers: {reason}"
            );
        } else if kind != Kind::Follows {
            tracing::error!(
                group = self.context.group,
                "kafka.partition" = self.claim.partition.0,
                "kafka.offset" = record.offset,
                "product.id" = product,
                kind = kind.name(),
                "product {product} is parked: {reason}; see `folio dlq show --product {product}`"
            );
        }
        self.traced.parked(record.offset, reason);
        self.context.metrics.parked(kind);
        self.resolving.keep(record.offset);
        if self.parked.get(product).is_none_or(|held| record.offset <= held.first().offset) {
            self.mark_later(product);
        }
        self.parked.park(letter.outline.clone());
        self.report_parked();
        self.pending.bytes += letter.size();
        self.pending.letters.push(letter);
        // What is acknowledged before the rows of others are written does no harm: it has its letter when it comes again.
        if self.pending.bytes >= PENDING_BYTES { self.flush_letters().await } else { Ok(()) }
    }

    pub(super) fn letter(&self, record: &LogRecord, product: &str, kind: Kind, reason: &str) -> Letter {
        let now = now_ms();
        let headers = record.headers.iter();
        Letter {
            outline: Outline {
                partition: self.claim.partition.0,
                offset: record.offset,
                subject: product.to_owned(),
                kind,
                reason: short(reason),
                attempts: u32::from(kind != Kind::Follows),
                first_failed_ms: now,
                last_failed_ms: now,
                acted: self.bound.last_asked(),
                is_discarded: false,
            },
            original: Original {
                topic: self.context.topic.clone(),
                timestamp_ms: record.timestamp_ms,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: headers
                    .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)))
                    .collect(),
            },
        }
    }

    /// Has the letters acknowledged that are not yet.
    pub(super) async fn flush_letters(&mut self) -> Result<(), End> {
        if self.pending.letters.is_empty() {
            return Ok(());
        }
        let offset = self.bound.settled();
        let Pending { letters, .. } = std::mem::take(&mut self.pending);
        self.write_letters(letters, offset).await
    }

    /// Has letters acknowledged; `offset`: for a message.
    pub(super) async fn write_letters(&self, letters: Vec<Letter>, offset: Offset) -> Result<(), End> {
        let park = || self.context.letters.park(letters.clone());
        let parked = self.letters_retry.run("park what cannot be applied", park).await;
        parked.map_err(|e| End::of_letters(e, offset))
    }

    /// The store refuses rows of products for good: everything since the settled position is applied again, without them.
    pub(super) async fn refused(&mut self, refused: &RefusedProducts) -> End {
        let from = self.bound.settled();
        if let Err(end) = self.must_be_of_products(refused).await {
            return end;
        }
        // Their events are parked when they come again.
        match self.seek(from) {
            Ok(()) => End::GivenBack,
            Err(end) => end,
        }
    }

    /// An end, if it is not these products alone that the store refuses.
    async fn must_be_of_products(&self, refused: &RefusedProducts) -> Result<(), End> {
        let (from, partition) = (self.bound.settled(), self.claim.partition.0);
        let positions = self.context.store.positions();
        let there = self.store_retry.run("look at the store", || positions.is_there()).await;
        there.map_err(|e| End::of_store(e, from))?;
        let in_a_row = self.context.refusals.refused(partition, from, refused);
        if in_a_row > REFUSED {
            let reason =
                format!("the store has refused the rows of {in_a_row} products and taken none: {refused}");
            return Err(End::Stopped(Stop::new(from, reason, ALL_REFUSED)));
        }
        Ok(())
    }
}

impl End {
    /// The end that a failed call for letters means.
    pub(super) fn of_letters(
        gave_up: toolkit::retry::GaveUp<toolkit::dead_letters::DeadLetterError>,
        offset: Offset,
    ) -> Self {
        match gave_up {
            toolkit::retry::GaveUp::Cancelled { .. } => Self::GivenBack,
            toolkit::retry::GaveUp::Final(error) => {
                Self::Stopped(Stop::new(offset, error.to_string(), LETTERS))
            }
        }
    }
}

/// The record of a letter, as the log gave it.
pub(crate) fn record_of(letter: &Letter) -> LogRecord {
    let Original { timestamp_ms, key, value, headers, .. } = &letter.original;
    let mut all = Headers::with_capacity(headers.len(), 0);
    for (name, value) in headers {
        all.push(name, value);
    }
    LogRecord {
        offset: letter.outline.offset,
        timestamp_ms: *timestamp_ms,
        key: key.clone(),
        value: value.clone(),
        headers: all,
    }
}

pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// No more of a reason than a header should hold.
pub(super) fn short(reason: &str) -> String {
    match reason.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}...", &reason[..end]),
        None => reason.to_owned(),
    }
}
