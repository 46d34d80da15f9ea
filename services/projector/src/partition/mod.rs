//! One partition's task: takes a batch, applies it, writes it, says how far it is, asks for the next.
//!
//! Promises: rows first, then the position beside them, then the group's offset; a transient failure is tried again in place,
//! for ever; what a store lost after it acknowledged it is written again; an effective record that cannot be applied is parked,
//! and its product with it, before the position passes it; only a build that is not read puts off writing.

mod apply;
mod bound;
mod decode;
mod log;
mod marks;
mod park;
mod redrive;
mod repair;
mod resolve;
mod stop;
mod take_over;
mod traced;
mod unwritten;

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_reader::feed::{Claim, GroupHandle, RangeReader};
use event_reader::{Decoder, PartitionReader};
use jiff::Timestamp;
use ledger::{LogRecord, Offset};
use read_models::control::Role;
use read_models::model::{Fold, Position, Positions, Store};
use read_models::projection::Projection;
use read_models::{Error, LogId, ProductId, RefusedProducts};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Dependency;
use toolkit::retry::{GaveUp, Retry};

use crate::durability::{Durability, Durable, Trail};
use crate::metrics::Metrics;
use crate::parked::Parked;
use crate::same_log::SameLog;
use crate::watch::{Progress, Server};
use bound::Bound;
pub(crate) use bound::{Decided, Followed};
use park::Pending;
pub(crate) use park::{Refusals, record_of};
use redrive::Tries;
use resolve::Resolving;
use stop::End;
use toolkit::dead_letters::DeadLetters;
use traced::Traced;
pub(crate) use traced::Traces;
use tracing::Instrument;
use unwritten::Unwritten;

/// How long something that is away is left alone between two attempts, at first and at most.
const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What the tasks of all partitions share.
#[derive(Debug)]
pub(crate) struct Context<M, S> {
    pub(crate) group: String,
    /// The topic of the records.
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    /// States kept per partition,
    pub(crate) states: usize,
    /// and about how many bytes of them.
    pub(crate) states_bytes: usize,
    /// About how many bytes a build that is not read may put off writing, per partition.
    pub(crate) unwritten_bytes: usize,
    pub(crate) handle: GroupHandle,
    /// For repairs, which read long stretches: looking back must not wait for them.
    pub(crate) repairs: RangeReader,
    pub(crate) decoder: Arc<Decoder>,
    pub(crate) store: S,
    pub(crate) store_health: Dependency,
    pub(crate) registry_health: Dependency,
    pub(crate) durability: Arc<Durability>,
    pub(crate) metrics: Metrics,
    pub(crate) traces: Traces,
    pub(crate) progress: Progress,
    /// Whether the log is the one that the rows are of.
    pub(crate) same_log: Arc<SameLog>,
    /// Where it is parked what cannot be applied,
    pub(crate) letters: Arc<dyn DeadLetters>,
    pub(crate) letters_health: Dependency,
    /// and what the store has refused.
    pub(crate) refusals: Refusals,
    /// What this build has to do,
    pub(crate) decided: Decided,
    /// and how far the build is that it follows.
    pub(crate) followed: Followed,
    pub(crate) _read_model: PhantomData<M>,
}

/// What became of rows.
#[derive(Debug)]
enum Written {
    All(usize),
    /// All but these products'.
    But(RefusedProducts),
}

/// Records of a partition and where the next ones begin.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) records: Vec<LogRecord>,
    pub(crate) position: Offset,
}

/// The task of one claim of one partition. All it knows dies with it.
#[derive(Debug)]
pub(crate) struct Task<M: Fold, S: Store<M>> {
    context: Arc<Context<M, S>>,
    claim: Claim,
    stop: CancellationToken,
    store_retry: Retry,
    registry_retry: Retry,
    kafka_retry: Retry,
    letters_retry: Retry,
    reader: PartitionReader,
    projection: Projection<M>,
    /// Tells when the partition has to be taken over again,
    takeovers: watch::Receiver<u64>,
    /// and from where.
    trail: Trail,
    /// Which log the partition is of; none while it has no records,
    log: Option<LogId>,
    /// and what shows that the topic is not the one it was.
    replaced: watch::Receiver<Option<Arc<str>>>,
    /// About how many bytes a state took that was loaded last.
    state_bytes: usize,
    /// Where it began,
    start: Offset,
    /// and up to where there may have been rows then.
    had_rows_up_to: Offset,
    /// How often products were repaired that had lost rows,
    repairs: u32,
    /// and which of them up to the end of this batch.
    repaired: BTreeSet<ProductId>,
    /// What traces show of the batch.
    traced: Traced,
    /// How far it may go.
    bound: Bound,
    /// What is applied and not written yet.
    unwritten: Option<Unwritten>,
    /// What is parked,
    parked: Parked,
    /// of which these letters are not acknowledged yet,
    pending: Pending,
    /// and of these products the marks are to be changed;
    to_mark: BTreeSet<String>,
    /// which of it is to be tried again,
    tries: Tries,
    /// of which some whenever the registry is back;
    returns: watch::Receiver<u64>,
    /// and what was, and is applied.
    resolving: Resolving,
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// `stop` ends the task after the batch it is at, or while it waits for something that is away.
    pub(crate) fn new(context: Arc<Context<M, S>>, claim: Claim, stop: CancellationToken) -> Self {
        let retry = Retry::until(stop.clone()).waiting(ATTEMPTS.0, ATTEMPTS.1);
        let watched = |server: Server, health: &Dependency, failed: Option<Arc<Durability>>| {
            let (health, metrics) = (health.clone(), context.metrics.clone());
            let (progress, partition) = (context.progress.clone(), claim.partition.0);
            retry.clone().watched(move |outcome| match outcome {
                Ok(()) => {
                    health.up();
                    progress.retries(partition, server, false);
                }
                Err(problem) => {
                    metrics.retry();
                    progress.retries(partition, server, true);
                    health.down(problem);
                    if let Some(durability) = &failed {
                        durability.failed();
                    }
                }
            })
        };
        Self {
            claim,
            stop,
            store_retry: watched(Server::Store, &context.store_health, Some(Arc::clone(&context.durability))),
            registry_retry: watched(Server::Registry, &context.registry_health, None),
            letters_retry: watched(Server::Letters, &context.letters_health, None),
            kafka_retry: retry.clone(),
            reader: PartitionReader::new(claim.partition, context.partitions, 0),
            projection: Projection::new(context.states, context.states_bytes),
            takeovers: context.durability.subscribe(),
            trail: Trail::new(0),
            log: None,
            replaced: context.same_log.subscribe(),
            state_bytes: apply::UNKNOWN_STATE_BYTES,
            start: 0,
            had_rows_up_to: 0,
            repairs: 0,
            repaired: BTreeSet::new(),
            traced: Traced::default(),
            bound: Bound::new(context.decided.clone()),
            unwritten: None,
            parked: Parked::default(),
            pending: Pending::default(),
            to_mark: BTreeSet::new(),
            tries: Tries::default(),
            returns: context.decoder.returns(),
            resolving: Resolving::default(),
            context,
        }
    }

    /// Works until told to stop, until the partition is lost or taken over anew, or until somebody must look at the store or the log.
    pub(crate) async fn run(mut self, committed: Offset, batches: mpsc::Receiver<Batch>) {
        self.trail = Trail::new(committed);
        let mut end = self.work(committed, batches).await;
        if let Err(End::TakeOver(from)) = end {
            end = self.take_over_again(from).await;
        }
        // What it was told to leave may have failed after it was told.
        self.context.progress.retries_nothing(self.claim.partition.0);
        if let Err(End::Stopped(stop)) = end {
            stop.report(&self.context.group, self.claim.partition.0);
            self.context.progress.stopped(self.claim.partition.0, stop.to_string());
            // What could not be written is not told either.
            self.unwritten = None;
            // Of another log no build is worth a switch: a hold that waits for it is given up.
            if self.is_stopped_by_log().is_ok() {
                self.answer_holds().await;
                self.context.progress.retries_nothing(self.claim.partition.0);
            }
        }
    }

    async fn work(&mut self, committed: Offset, mut batches: mpsc::Receiver<Batch>) -> Result<(), End> {
        let partition = self.claim.partition;
        let Some(applied) = self.take_over(committed).await? else { return Ok(()) };
        self.reader = PartitionReader::new(partition, self.context.partitions, committed);
        (self.start, self.had_rows_up_to) = (committed, applied);
        self.heard().await?;
        self.load_letters().await?;
        self.mark_as_lettered().await?;
        self.tries.all_of(&self.parked);
        // Asked for after that: whoever had the partition before has written nothing of what came later.
        let end = || self.context.handle.end_offsets().of(partition);
        let shown = self.kafka_retry.run("ask where the partition ends", end).await;
        let shown = shown.map_err(|e| End::of(e, committed))?;
        self.bound.begins(committed, applied, shown);
        self.context.progress.reached(partition.0, committed, self.log);
        self.report_parked();
        let (mut rest, mut is_asked): (Option<Batch>, bool) = (None, false);
        while !self.stop.is_cancelled() {
            self.is_stopped_by_log()?;
            let role = self.bound.role();
            self.write_what_is_due(role).await?;
            let may_try = self.put_right(role).await?;
            let (now, later) = self.within_bound(role, rest.take()).await?;
            rest = later;
            if let Some(batch) = now {
                self.is_of_its_log(&batch).await?;
                self.project(batch, role).await?;
                continue;
            }
            if rest.is_some() {
                // It waits for another build: until then there is time to write.
                self.write_unwritten().await?;
            }
            let must_ask = rest.is_none() && !is_asked;
            if must_ask && self.context.handle.next(self.claim).is_err() {
                break;
            }
            is_asked |= must_ask;
            tokio::select! {
                batch = batches.recv(), if is_asked => {
                    let Some(batch) = batch else { break };
                    (rest, is_asked) = (Some(batch), false);
                }
                () = self.bound.may_have_moved(rest.is_some()) => {}
                () = self.tries.due(), if may_try => {}
                () = self.resolving.due() => {}
                () = unwritten::idle(self.unwritten.as_ref()) => self.write_unwritten().await?,
                () = self.stop.cancelled() => {}
                _ = self.replaced.changed() => {}
                () = redrive::returned(&mut self.returns) => {}
                _ = self.takeovers.changed() => return Err(End::TakeOver(None)),
            }
        }
        Ok(())
    }

    /// Applies and writes a batch, and parks what cannot be applied. A build that is not read may put off writing it.
    async fn project(&mut self, batch: Batch, role: Role) -> Result<(), End> {
        let begun = Instant::now();
        let Batch { records, position } = batch;
        let (mut applied, mut rows, mut newest) = (0, 0, None);
        self.projection.begin();
        self.repaired.clear();
        let judged = self.judged(&records).await?;
        let mut rest = self.set_aside(judged).await?;
        self.trace(&rest, role);
        while let Some(first) = rest.first() {
            let events = self.decoded(&rest).await?;
            if events.is_empty() {
                // What it means may be asked of the store.
                self.write_unwritten().await?;
                // The spans of what comes behind it go on.
                let reached = first.record.offset + 1;
                self.doubtful(first, position).await?;
                rows += self.write(reached).await?;
                rest.remove(0);
                rest = self.set_aside(rest).await?;
                continue;
            }
            let others = rest.split_off(events.len());
            let mut events = &events[..];
            let bytes = unwritten::bytes(&rest) / events.len();
            while !events.is_empty() {
                let loaded = self.load_first(events, role).await?;
                let (now, later) = events.split_at(loaded);
                let count = self.apply(now, position).await?;
                applied += count;
                newest = now.last().filter(|_| applied > 0).map(|it| it.place.appended_at).or(newest);
                events = later;
                let next =
                    later.first().map(|it| it.place.offset).or(others.first().map(|it| it.record.offset));
                let reached = next.unwrap_or(position);
                if self.puts_off(role, reached, bytes * loaded) {
                    continue;
                }
                rows += self.write(reached).await?;
                // What is loaded next may push out what was loaded for these.
                self.projection.begin();
                if next.is_some() {
                    self.settle(reached).await?;
                }
            }
            // Products may have been parked meanwhile.
            rest = self.set_aside(others).await?;
        }
        match &mut self.unwritten {
            Some(unwritten) => unwritten.position = position,
            None => self.settle(position).await?,
        }
        self.traced = Traced::default();
        self.context.metrics.batch(records.len(), applied, rows, begun.elapsed(), newest.map(age));
        Ok(())
    }

    /// Writes what was applied; how many rows. `position`: for a message, if it cannot be. Products whose rows the store
    /// refuses are parked, and the others come again.
    async fn write(&mut self, position: Offset) -> Result<usize, End> {
        match self.try_to_write(position).await? {
            Written::All(rows) => Ok(rows),
            Written::But(refused) => Err(self.refused(&refused).await),
        }
    }

    /// Writes what was applied, but for products that the store refuses.
    async fn try_to_write(&mut self, position: Offset) -> Result<Written, End> {
        let writes = self.projection.take_writes();
        let rows = writes.len();
        if !writes.is_empty() {
            let writing = self.traced.writing(&self.context.traces, position, rows);
            let written = self.context.store.write(writes, &self.store_retry);
            let written = written.instrument(self.traced.batch.clone()).await;
            drop(writing);
            match written {
                Ok(()) => self.context.refusals.taken(),
                Err(GaveUp::Final(Error::Refused(refused))) => return Ok(Written::But(refused)),
                Err(gave_up) => return Err(End::of_store(gave_up, position)),
            }
        }
        self.unwritten = None;
        self.traced.written(position);
        Ok(Written::All(rows))
    }

    /// Says, beside the rows and to the group, that everything below `position` is applied and written.
    async fn settle(&mut self, position: Offset) -> Result<(), End> {
        self.flush_letters().await?;
        self.flush_marks().await?;
        // Rows that were acknowledged before a failure may be lost with it.
        let durable = loop {
            self.look_after_failure(position).await?;
            match self.context.durability.durable(&self.takeovers, &mut self.trail) {
                Durable::Until(durable) => break durable,
                Durable::Unknown => {}
                Durable::TakeOver => return Err(End::TakeOver(None)),
            }
        };
        let (context, claim) = (&self.context, self.claim);
        let reached = Position { applied: position, durable, log: self.log };
        let write = || context.store.positions().write(&context.group, claim.partition.0, reached);
        self.store_retry.run("write the position", write).await.map_err(|e| End::of_store(e, position))?;
        self.look_after_failure(position).await?;
        let (context, claim) = (&self.context, self.claim);
        self.trail.acknowledged(Instant::now(), position);
        let commit = || context.handle.commit(claim, position);
        match self.kafka_retry.run("commit the group's offset", commit).await {
            Ok(()) => {}
            // What is not committed is redelivered to whoever has the partition next, and changes nothing.
            Err(GaveUp::Cancelled { .. } | GaveUp::Final(_)) => return Err(End::GivenBack),
        }
        self.reader.position(position);
        self.bound.at(position);
        context.progress.reached(claim.partition.0, position, self.log);
        Ok(())
    }
}

/// Lets others have the processor after so many events: a build that replays never waits for anybody while there are records, and
/// what is read lives beside it.
async fn breathe(events: usize) {
    const AT_ONCE: usize = 64;
    if events % AT_ONCE == AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

fn age(appended_at: Timestamp) -> Duration {
    let now = Timestamp::now();
    Duration::try_from(now.duration_since(appended_at)).unwrap_or_default()
}
