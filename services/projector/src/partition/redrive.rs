//! Trying again what is parked: once by itself after a take-over, what waits for the registry whenever that answers again, and whenever
//! somebody has had it decided; and giving it up.
//!
//! Promises: a product's letters are applied in their order, and written, and are on disk, before one of them is resolved; the first
//! that fails again stays, and with it all behind it; nothing is tried while the build stands still, or before everything is
//! applied that came before. Batches go on in between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use event_reader::feed::Error as FeedError;
use ledger::{LogRecord, Offset, RecordKey};
use read_models::ProductId;
use read_models::control::{Fate, Role};
use read_models::model::{EffectiveEvent, Fold, Store, Wanted};
use read_models::projection::Outcome;
use tokio::sync::watch;
use toolkit::dead_letters::{Kind, Letter, Outline};
use toolkit::retry::{GaveUp, Transient};
use uuid::Uuid;

use super::park::{now_ms, record_of, short};
use super::repair::{Built, Misfit, Reads, Unfit};
use super::stop::{End, Stop};
use super::{Task, Written, decode};
use crate::parked::{Held, Parked};

const GONE: &str = "what is parked there is neither among the dead letters nor in the log";
const LOOK_AT_LOG: &str = "find out who deletes records, then restart the projector";

/// Letters of a product that are applied at once,
const TOGETHER: usize = 32;
/// and those that are read at once, of it and of the next: to read some takes reading all of them. Their records are a quarter of a
/// megabyte at most, and mostly a kilobyte.
const READ: usize = 128;

/// What is to be tried again, in order.
#[derive(Debug, Default)]
pub(super) struct Tries {
    queue: VecDeque<Try>,
    /// What was decided up to here is in the queue, or done.
    heard: u64,
    /// Not before then.
    not_before: Option<Instant>,
    /// Letters that were read already.
    read: BTreeMap<Offset, Letter>,
}

#[derive(Debug)]
struct Try {
    product: String,
    fate: Fate,
    /// The decision; `None`: nobody has decided it.
    order: Option<u64>,
}

/// What became of letters.
#[derive(Debug)]
enum Applied {
    All,
    /// Some of them are not there: what they held only the log says.
    Missing,
    /// This one cannot be applied, and why.
    Not(Unfit),
    /// What the store holds is not what this event follows on; with the event and the one that the store has in its place.
    Misfit(Offset, Option<(Box<EffectiveEvent>, Uuid)>, Unfit),
}

impl Tries {
    /// Whoever has the partition anew tries each product once: a release may have come that can apply it.
    pub(super) fn all_of(&mut self, parked: &Parked) {
        // What is wrong with the log, or with another's rows, no release puts right, and to look costs reading all of the log.
        let may_help = |held: &Held| match held.first().kind {
            Kind::Undecodable
            | Kind::SchemaUnavailable
            | Kind::Unfoldable
            | Kind::RefusedByStore
            | Kind::Follows => true,
            Kind::Gap | Kind::Diverged => false,
        };
        self.by_itself(parked, may_help);
    }

    /// The registry answers again.
    fn all_that_lack_schemas(&mut self, parked: &Parked) {
        self.by_itself(parked, |held| held.first().kind == Kind::SchemaUnavailable);
    }

    /// These are tried once more without anybody's decision.
    fn by_itself(&mut self, parked: &Parked, which: impl Fn(&Held) -> bool) {
        let queued = self.queue.iter().filter(|it| it.order.is_none()).map(|it| it.product.clone());
        let queued: BTreeSet<String> = queued.collect();
        let all = parked.iter().filter(|(product, held)| {
            !held.first().is_discarded && which(held) && !queued.contains(*product)
        });
        let fate = Fate::Redriven { per_second: None };
        self.queue.extend(all.map(|(product, _)| Try { product: product.clone(), fate, order: None }));
    }

    /// Ends when the next may be tried.
    pub(super) async fn due(&self) {
        if let Some(at) = self.not_before {
            tokio::time::sleep_until(at.into()).await;
        }
    }

    fn is_due(&self) -> bool {
        self.not_before.is_none_or(|at| at <= Instant::now())
    }

    /// The next that may be done now; those of one product in their order.
    fn next(&mut self, may: impl Fn(&Try) -> bool) -> Option<Try> {
        let mut waiting = BTreeSet::new();
        let is_next =
            |it: &Try| !waiting.contains(&it.product) && (may(it) || !waiting.insert(it.product.clone()));
        let at = self.queue.iter().position(is_next)?;
        self.queue.remove(at)
    }

    /// What is done of the decisions about a product: all that was heard, but for those that are in the queue.
    fn done_of(&self, product: &str) -> u64 {
        let queued = self.queue.iter().filter(|it| it.product == product).filter_map(|it| it.order);
        queued.min().map_or(self.heard, |next| next.saturating_sub(1))
    }
}

/// Ends when the registry is back, which is not heard yet then.
pub(super) async fn returned(returns: &mut watch::Receiver<u64>) {
    if returns.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    returns.mark_changed();
}

/// Whether rows may be written now that no batch brings.
fn may_write(role: Role) -> bool {
    match role {
        Role::Live | Role::Follows { hold: None, .. } | Role::Ends => true,
        Role::Held(_) | Role::Waits | Role::Follows { hold: Some(_), .. } => false,
    }
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Does the next that is to be done of what is parked, if it is time; whether there is more that may be done.
    pub(super) async fn put_right(&mut self, role: Role) -> Result<bool, End> {
        self.resolve_what_is_durable().await?;
        self.hear_what_is_asked();
        if self.returns.has_changed().unwrap_or_default() {
            self.returns.mark_unchanged();
            self.tries.all_that_lack_schemas(&self.parked);
        }
        if !may_write(role) {
            return Ok(false);
        }
        if self.tries.queue.is_empty() {
            self.tries.read.clear();
            return Ok(false);
        }
        if !self.tries.is_due() {
            return Ok(true);
        }
        let position = self.applied();
        let (parked, resolving) = (&self.parked, &self.resolving);
        // The marker of a product that is given up must be its first letter: those before it have to go first.
        let may = |it: &Try| {
            parked.is_below(&it.product, position)
                && (it.fate != Fate::Discarded || !resolving.has(&it.product))
        };
        let next = self.tries.next(may);
        // What is parked beyond it is come to first.
        let Some(Try { product, fate, order }) = next else { return Ok(false) };
        let is_to_do = |held: &Held| order.is_none_or(|order| held.first().acted < order);
        if !self.parked.get(&product).is_some_and(is_to_do) {
            return Ok(true);
        }
        // Everything before is in the rows, and has its letters.
        self.write_unwritten().await?;
        self.flush_letters().await?;
        match fate {
            Fate::Redriven { per_second } => {
                self.redrive(&product, order).await?;
                let pause = per_second.map(|count| Duration::from_secs(1) / count.max(1));
                self.tries.not_before = pause.map(|pause| Instant::now() + pause);
            }
            Fate::Discarded => self.discard(&product, order.unwrap_or_default()).await?,
        }
        self.report_parked();
        Ok(true)
    }

    /// What was decided since, about products that were parked before.
    fn hear_what_is_asked(&mut self) {
        if self.bound.last_asked() <= self.tries.heard {
            return;
        }
        for asked in self.bound.asked_after(self.tries.heard) {
            self.tries.heard = asked.order;
            for (product, held) in self.parked.iter() {
                if held.first().acted < asked.order && asked.which.means(held.first(), |it| held.has(it)) {
                    let (product, fate) = (product.clone(), asked.fate);
                    self.tries.queue.push_back(Try { product, fate, order: Some(asked.order) });
                }
            }
        }
    }

    /// Applies what is parked of a product, as far as it can be; `order`: somebody has decided it.
    async fn redrive(&mut self, product: &str, order: Option<u64>) -> Result<(), End> {
        let Some(held) = self.parked.get(product).cloned() else { return Ok(()) };
        let unfit = match (ProductId::parse(product), held.first().is_discarded) {
            (Err(error), _) => self.first_unfit(&held, Kind::Undecodable, error.to_string()).await?,
            (Ok(id), true) => self.redrive_from_log(&id, &held, None).await?,
            (Ok(id), false) => match self.apply_letters(&id, &held).await? {
                Applied::All => None,
                Applied::Missing => self.redrive_from_log(&id, &held, None).await?,
                Applied::Not(unfit) => Some(unfit),
                // To look into it costs reading all of the log: only if somebody wants it.
                Applied::Misfit(.., unfit) if order.is_none() => Some(unfit),
                Applied::Misfit(at, diverged, _) => {
                    let diverged = diverged.as_ref().map(|(event, there)| (&**event, *there));
                    let misfit = Misfit { product: id.clone(), at, diverged };
                    self.redrive_from_log(&id, &held, Some(misfit)).await?
                }
            },
        };
        let failed = match unfit {
            None => None,
            Some(unfit) => Some(self.park_again(&held, unfit, order).await?),
        };
        let is_done = failed.is_none();
        let resolved = self.parked.redriven(product, failed);
        self.context.refusals.over(self.claim.partition.0, product);
        let applied = resolved.len();
        if self.parked.get(product).map(Held::mark) != Some(held.mark()) {
            // While the letters are there: who comes next marks what has some.
            self.mark_later(product);
            self.flush_marks().await?;
        }
        self.resolving.add(product, resolved);
        self.resolve_what_is_durable().await?;
        tracing::info!(
            group = self.context.group,
            "kafka.partition" = self.claim.partition.0,
            "product.id" = product,
            applied,
            "product {product} {}",
            if is_done { "is no longer parked" } else { "stays parked" }
        );
        Ok(())
    }

    /// Applies and writes a product's letters in their order.
    async fn apply_letters(&mut self, product: &ProductId, held: &Held) -> Result<Applied, End> {
        let mut is_loaded = false;
        for offsets in held.offsets().chunks(TOGETHER) {
            if self.stop.is_cancelled() {
                return Err(End::GivenBack);
            }
            let letters = self.letters(offsets).await?;
            if letters.len() < offsets.len() {
                self.projection.forget(product);
                return Ok(Applied::Missing);
            }
            let first = letters.first().map(record_of);
            let (mut outcome, mut from) = (Applied::All, None);
            for letter in &letters {
                let record = record_of(letter);
                let event = match self.decoded_letter(&record).await? {
                    Ok(event) => event,
                    Err((kind, reason)) => {
                        outcome = Applied::Not(Unfit { record, kind, reason });
                        break;
                    }
                };
                if !std::mem::replace(&mut is_loaded, true) {
                    self.projection.forget(product);
                    self.load(vec![Wanted::from(&event)], record.offset).await?;
                }
                from = from.or(Some(record.offset));
                let at = record.offset;
                let (kind, reason, diverged) = match self.projection.apply(&event) {
                    Ok(Outcome::Applied | Outcome::AlreadyApplied) => continue,
                    Err(error) => (Kind::Unfoldable, error.to_string(), None),
                    Ok(Outcome::Gap { there }) => {
                        let reason =
                            format!("the store holds version {there}, and this is {}", event.version);
                        (Kind::Gap, reason, None)
                    }
                    Ok(Outcome::Diverged { there }) => {
                        let reason = format!("the store holds version {} of event {there}", event.version);
                        (Kind::Diverged, reason, Some((Box::new(event), there)))
                    }
                };
                outcome = Applied::Misfit(at, diverged, Unfit { record, kind, reason });
                break;
            }
            // What was applied before it stays applied.
            if let Written::But(refused) = self.try_to_write(held.first().offset).await? {
                let reason = refused.to_string();
                self.projection.forget(product);
                let Some(record) = first else { return Ok(Applied::Missing) };
                return Ok(Applied::Not(Unfit { record, kind: Kind::RefusedByStore, reason }));
            }
            match outcome {
                Applied::All => self.projection.begin(),
                ended => return Ok(ended),
            }
        }
        Ok(Applied::All)
    }

    /// The event of a letter, or why there is none.
    async fn decoded_letter(
        &mut self,
        record: &LogRecord,
    ) -> Result<Result<EffectiveEvent, (Kind, String)>, End> {
        let key = match RecordKey::parse(&record.key) {
            Ok(key) => key,
            Err(error) => return Ok(Err((Kind::Undecodable, error.to_string()))),
        };
        match self.decode(&key, record).await {
            Ok(event) => Ok(Ok(event)),
            Err(undecoded) => Ok(Err(decode::unfit(undecoded)?)),
        }
    }

    /// Builds a product again from the log, through what is parked of it.
    async fn redrive_from_log(
        &mut self,
        product: &ProductId,
        held: &Held,
        misfit: Option<Misfit<'_>>,
    ) -> Result<Option<Unfit>, End> {
        let first = held.first().offset;
        let misfit = misfit.unwrap_or_else(|| Misfit { product: product.clone(), at: first, diverged: None });
        let to = self.bound.settled();
        self.projection.forget(product);
        let refused = match self.build_from_log(std::slice::from_ref(&misfit), to, Reads::Through).await? {
            Built::Refused(reason) => reason,
            Built::As(unfit) => match self.try_to_write(to).await? {
                Written::All(_) => return Ok(unfit),
                Written::But(refused) => refused.to_string(),
            },
        };
        self.projection.forget(product);
        self.first_unfit(held, Kind::RefusedByStore, refused).await
    }

    /// The first letter fails.
    async fn first_unfit(&mut self, held: &Held, kind: Kind, reason: String) -> Result<Option<Unfit>, End> {
        let offset = held.first().offset;
        let record = match self.letters(&[offset]).await?.first() {
            Some(letter) => record_of(letter),
            None => self.record_at(offset).await?,
        };
        Ok(Some(Unfit { record, kind, reason }))
    }

    /// The record of a letter that is gone, as the log has it.
    async fn record_at(&self, offset: Offset) -> Result<LogRecord, End> {
        let mut waits = self.kafka_retry.waits();
        loop {
            match self.read_at(offset).await? {
                Ok(Some(record)) => return Ok(record),
                Ok(None) => return Err(End::Stopped(Stop::new(offset, GONE, LOOK_AT_LOG))),
                Err(error) if error.is_transient() => {
                    let waited = waits.wait("read a record whose letter is gone", error).await;
                    waited.map_err(|e| End::of(e, offset))?;
                }
                Err(error) => return Err(End::of(GaveUp::Final(error), offset)),
            }
        }
    }

    async fn read_at(&self, offset: Offset) -> Result<Result<Option<LogRecord>, FeedError>, End> {
        let mut batches = match self.context.repairs.read(self.claim.partition, offset, offset + 1) {
            Ok(batches) => batches,
            Err(error) => return Ok(Err(error)),
        };
        while let Some(batch) = self.next_batch(&mut batches).await? {
            match batch {
                Ok(records) => {
                    if let Some(record) = records.into_iter().find(|it| it.offset == offset) {
                        return Ok(Ok(Some(record)));
                    }
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(None))
    }

    /// Those of the letters that are there.
    async fn letters(&mut self, offsets: &[Offset]) -> Result<Vec<Letter>, End> {
        if !offsets.iter().all(|it| self.tries.read.contains_key(it)) {
            let mut wanted = offsets.to_vec();
            for next in self.tries.queue.iter().filter_map(|it| self.parked.get(&it.product)) {
                if wanted.len() >= READ {
                    break;
                }
                wanted.extend(next.offsets().iter().take(TOGETHER));
            }
            let (letters, partition) = (&self.context.letters, self.claim.partition.0);
            let read = || letters.letters(partition, wanted.clone());
            let read = self.letters_retry.run("read what is parked", read).await;
            let read = read.map_err(|e| End::of_letters(e, offsets.first().copied().unwrap_or_default()))?;
            self.tries.read = read.into_iter().map(|it| (it.outline.offset, it)).collect();
        }
        Ok(offsets.iter().filter_map(|it| self.tries.read.remove(it)).collect())
    }

    /// Says of the first letter that it has failed again.
    async fn park_again(&mut self, held: &Held, unfit: Unfit, order: Option<u64>) -> Result<Outline, End> {
        let Unfit { record, kind, reason } = unfit;
        let (known, offset) = (held.first(), record.offset);
        // Of one that followed until now this is the first failure.
        let is_known = known.offset == offset;
        let now = now_ms();
        let mut letter = self.letter(&record, &known.subject, kind, &short(&reason));
        letter.outline.attempts = if is_known { known.attempts + 1 } else { 1 };
        letter.outline.first_failed_ms = if is_known { known.first_failed_ms } else { now };
        // What is decided meanwhile is still to be done.
        let done = self.tries.done_of(&known.subject);
        letter.outline.acted = done.max(order.unwrap_or_default()).max(known.acted);
        let outline = letter.outline.clone();
        self.flush_letters().await?;
        self.resolving.keep(offset);
        self.write_letters(vec![letter], offset).await?;
        tracing::warn!(
            group = self.context.group,
            "kafka.partition" = self.claim.partition.0,
            "kafka.offset" = offset,
            "product.id" = known.subject,
            kind = kind.name(),
            "product {} was tried again, and stays parked: {reason}",
            known.subject
        );
        Ok(outline)
    }

    /// Gives a product up: its marker is there before its other letters go.
    async fn discard(&mut self, product: &str, order: u64) -> Result<(), End> {
        let Some(held) = self.parked.get(product) else { return Ok(()) };
        let Outline { offset, kind, reason, .. } = held.first().clone();
        let mut letter = match self.letters(&[offset]).await?.into_iter().next() {
            Some(letter) => letter,
            None => self.letter(&self.record_at(offset).await?, product, kind, &reason),
        };
        let Some((marker, mut resolved)) = self.parked.discard(product, order) else { return Ok(()) };
        letter.outline = marker;
        self.write_letters(vec![letter], offset).await?;
        self.mark_later(product);
        self.flush_marks().await?;
        resolved.reverse();
        self.resolve(resolved.clone()).await?;
        self.context.refusals.over(self.claim.partition.0, product);
        tracing::warn!(
            group = self.context.group,
            "kafka.partition" = self.claim.partition.0,
            "product.id" = product,
            records = resolved.len() + 1,
            "product {product} was given up: its rows stay as they are, and nothing more of it is applied until it is redriven"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(product: &str, order: Option<u64>) -> Try {
        Try { product: product.to_owned(), fate: Fate::Discarded, order }
    }

    #[test]
    fn tries_of_one_product_keep_their_order_and_what_has_to_wait_lets_others_pass() {
        let mut tries = Tries { heard: 9, ..Tries::default() };
        tries.queue.extend([of("a", None), of("b", Some(3)), of("a", Some(5)), of("a", Some(7))]);
        // What is decided and still to be done is not taken for done, and nothing before it is done again.
        assert_eq!(["a", "b", "c"].map(|product| tries.done_of(product)), [4, 2, 9]);
        let told = |next: Option<Try>| next.map(|it| (it.product, it.order));
        assert_eq!(told(tries.next(|it| it.product != "a")), Some(("b".to_owned(), Some(3))));
        assert_eq!(told(tries.next(|it| it.order.is_some())), None, "the first of them waits");
        for order in [None, Some(5), Some(7)] {
            assert_eq!(told(tries.next(|_| true)), Some(("a".to_owned(), order)));
        }
        assert_eq!(told(tries.next(|_| true)), None);
    }
}
