//! One partition's task: takes a batch, applies it, writes it, says how far it is, asks for the next.
//!
//! Promises: rows first, then the position beside them, then the group's offset; a transient failure is tried again in place,
//! for ever; an effective record that cannot be applied ends the task after everything before it was written.

mod apply;
mod stop;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ledger::{LogRecord, Offset, Reader};
use read_models::model::{ReadModel, Store};
use read_models::projection::Projection;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toolkit::kafka::{Claim, GroupHandle};
use toolkit::lifecycle::Dependency;
use toolkit::retry::{GaveUp, Retry, Transient};

use crate::metrics::Metrics;
use crate::schemas::Schemas;
use crate::watch::Progress;
use stop::{End, Stop};

/// How long something that is away is left alone between two attempts, at first and at most.
const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What the tasks of all partitions share.
#[derive(Debug)]
pub(crate) struct Context<M, S> {
    pub(crate) group: String,
    pub(crate) partitions: i32,
    /// States kept per partition.
    pub(crate) states: usize,
    pub(crate) handle: GroupHandle,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) store: S,
    pub(crate) store_health: Dependency,
    pub(crate) registry_health: Dependency,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Progress,
    pub(crate) _read_model: PhantomData<M>,
}

/// Records of a partition and where the next ones begin.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) records: Vec<LogRecord>,
    pub(crate) position: Offset,
}

/// The task of one claim of one partition. All it knows dies with it.
#[derive(Debug)]
pub(crate) struct Task<M: ReadModel, S: Store<M>> {
    context: Arc<Context<M, S>>,
    claim: Claim,
    stop: CancellationToken,
    store_retry: Retry,
    registry_retry: Retry,
    kafka_retry: Retry,
    reader: Reader,
    projection: Projection<M>,
    /// When garbage was last told of in the log.
    told_garbage: Option<Instant>,
}

impl<M: ReadModel, S: Store<M>> Task<M, S> {
    /// `stop` ends the task after the batch it is at, or while it waits for something that is away.
    pub(crate) fn new(context: Arc<Context<M, S>>, claim: Claim, stop: CancellationToken) -> Self {
        let retry = Retry::until(stop.clone()).waiting(ATTEMPTS.0, ATTEMPTS.1);
        let watched = |health: &Dependency| {
            let (health, metrics) = (health.clone(), context.metrics.clone());
            retry.clone().watched(move |outcome| match outcome {
                Ok(()) => health.up(),
                Err(problem) => {
                    metrics.retry();
                    health.down(problem);
                }
            })
        };
        Self {
            claim,
            stop,
            store_retry: watched(&context.store_health),
            registry_retry: watched(&context.registry_health),
            kafka_retry: retry.clone(),
            reader: Reader::new(claim.partition, context.partitions, 0),
            projection: Projection::new(context.states),
            told_garbage: None,
            context,
        }
    }

    /// Works until told to stop, until the partition is lost, or until a record cannot be applied.
    pub(crate) async fn run(mut self, committed: Offset, batches: mpsc::Receiver<Batch>) {
        match self.work(committed, batches).await {
            Ok(()) | Err(End::GivenBack) => {}
            Err(End::Stopped(stop)) => {
                stop.tell(&self.context.group, self.claim.partition.0);
                self.context.progress.stopped(self.claim.partition.0, stop.to_string());
            }
        }
    }

    async fn work(&mut self, committed: Offset, mut batches: mpsc::Receiver<Batch>) -> Result<(), End> {
        let partition = self.claim.partition;
        let (store, group) = (&self.context.store, &self.context.group);
        let read = self.store_retry.run("read the position", || store.position(group, partition.0)).await;
        // The position beside the rows is the truth: rows that were lost are built again from where they were. The group's
        // offset may be set back by hand, to apply everything again.
        let start = committed.min(read.map_err(|e| End::of(e, 0))?.unwrap_or(0));
        if start < committed {
            let stored = start;
            tracing::info!(
                group,
                "kafka.partition" = partition.0,
                stored,
                committed,
                "going back to the position in the store"
            );
            // A new claim comes, and a new task with it.
            return self.context.handle.seek(self.claim, start).map_err(|_closed| End::GivenBack);
        }
        tracing::debug!(group, "kafka.partition" = partition.0, start, "partition is taken over");
        self.reader = Reader::new(partition, self.context.partitions, start);
        self.context.progress.reached(partition.0, start);
        while !self.stop.is_cancelled() && self.context.handle.next(self.claim).is_ok() {
            let batch = tokio::select! {
                batch = batches.recv() => batch,
                () = self.stop.cancelled() => None,
            };
            let Some(batch) = batch else { break };
            self.project(batch).await?;
        }
        Ok(())
    }

    /// Applies and writes a batch, or as much of it as comes before a record that cannot be applied.
    async fn project(&mut self, batch: Batch) -> Result<(), End> {
        let begun = Instant::now();
        let Batch { records, position } = batch;
        let (recorded, undecodable) = self.read(&records).await?;
        let (applied, unapplicable) = self.apply(&recorded).await?;
        // The fold comes after decoding, but whatever is first in the log counts.
        let stop = unapplicable.or(undecodable);
        let position = stop.as_ref().map_or(position, Stop::offset);
        let writes = self.projection.take_writes();
        let rows = writes.len();
        if !writes.is_empty() {
            self.context.store.write(writes, &self.store_retry).await.map_err(|e| End::of(e, position))?;
        }
        self.settle(position).await?;
        let newest = recorded.last().filter(|_| applied > 0).map(|r| age(r.place.appended_at));
        self.context.metrics.batch(records.len(), applied, rows, begun.elapsed(), newest);
        stop.map_or(Ok(()), |stop| Err(End::Stopped(stop)))
    }

    /// Says, beside the rows and to the group, that everything below `position` is applied and written.
    async fn settle(&mut self, position: Offset) -> Result<(), End> {
        let (context, claim) = (&self.context, self.claim);
        let write = || context.store.write_position(&context.group, claim.partition.0, position);
        self.store_retry.run("write the position", write).await.map_err(|e| End::of(e, position))?;
        let commit = || context.handle.commit(claim, position);
        match self.kafka_retry.run("commit the group's offset", commit).await {
            Ok(()) => {}
            // What is not committed is redelivered to whoever has the partition next, and changes nothing.
            Err(GaveUp::Cancelled { .. } | GaveUp::Final(_)) => return Err(End::GivenBack),
        }
        self.reader.position(position);
        context.progress.reached(claim.partition.0, position);
        Ok(())
    }
}

fn age(appended_at: Timestamp) -> Duration {
    let now = Timestamp::now();
    Duration::try_from(now.duration_since(appended_at)).unwrap_or_default()
}

impl End {
    /// The end that a failed call means: told to stop, or a failure that trying again cannot help.
    fn of<E: Transient>(gave_up: GaveUp<E>, offset: Offset) -> Self {
        match gave_up {
            GaveUp::Cancelled { .. } => Self::GivenBack,
            GaveUp::Final(error) => Self::Stopped(Stop::new(
                offset,
                error.to_string(),
                "repair the store (`folio stores check` compares it with its declaration), then restart the projector",
            )),
        }
    }
}
