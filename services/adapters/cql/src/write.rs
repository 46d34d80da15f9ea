//! Many idempotent writes at once.
//!
//! Promise: when [`Cql::write_all`] returns `Ok`, every write was acknowledged by a quorum, but for those of whose rows it says that the
//! store refuses them.

use std::collections::HashMap;
use std::fmt;

use futures::StreamExt;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};

use super::{Cql, CqlError, Prepared, failed, leave};
use toolkit::lanes::Room;
use toolkit::retry::{GaveUp, Retry};
use toolkit::telemetry::traced;

/// A prepared statement and its values. The statement says its own timestamp, so it may be repeated.
pub struct Write {
    statement: Prepared,
    values: Box<dyn SerializeRow + Send + Sync>,
    partition: Option<u64>,
    /// Whose row it is, for an error.
    of: String,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("statement", &self.statement.get_statement()).finish_non_exhaustive()
    }
}

impl Write {
    pub fn new(statement: &Prepared, values: impl SerializeRow + Send + Sync + 'static) -> Self {
        Self { statement: statement.clone(), values: Box::new(values), partition: None, of: String::new() }
    }

    /// Says whose row it is: if the store refuses it for good, it is told.
    #[must_use]
    pub fn of(mut self, whose: &str) -> Self {
        whose.clone_into(&mut self.of);
        self
    }

    /// Says that writes with the same number go to one partition of one table: they travel as one unlogged batch, which
    /// costs the store one mutation.
    #[must_use]
    pub fn in_partition(mut self, partition: u64) -> Self {
        self.partition = Some(partition);
        self
    }
}

/// Statements per unlogged batch: well below the 128 KiB at which ScyllaDB warns, for rows of about 1 KiB.
pub const BATCH: usize = 64;

/// A row that the store refuses for good, though it takes others of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Whose row it is.
    pub of: String,
    pub problem: String,
}

/// What became of writes.
#[derive(Debug, Default)]
struct Outcome {
    /// Not acknowledged,
    left: Vec<Write>,
    /// because of this.
    error: Option<CqlError>,
    refused: Vec<RefusedRow>,
}

impl Cql {
    /// Does all `writes`, in any order, at most `config.concurrency` at once (of all clones together). Those that fail for a transient reason are
    /// done again as `retry` says; others end it. Rows whose values are refused hold back no others, and are told: all of them.
    pub async fn write_all(
        &self,
        writes: Vec<Write>,
        retry: &Retry,
    ) -> Result<Vec<RefusedRow>, GaveUp<CqlError>> {
        let Some(first) = writes.first() else { return Ok(Vec::new()) };
        let (first, count) = (first.statement.clone(), writes.len());
        let groups = grouped(writes, |write| write.partition).into_iter();
        // One span for all of them, and for what has to be tried again: there may be thousands.
        traced(|| self.call(&first, Some(count)), self.write_until(groups, retry)).await
    }

    /// The same of so many writes that come in groups, each of one partition and of at most [`BATCH`], most of them with this statement. A
    /// group is made when there is room for its request, and there are never more of them than that.
    pub async fn write_lazily(
        &self,
        (statement, count): (&Prepared, usize),
        groups: impl Iterator<Item = Vec<Write>> + Send,
        retry: &Retry,
    ) -> Result<Vec<RefusedRow>, GaveUp<CqlError>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        traced(|| self.call(statement, Some(count)), self.write_until(groups, retry)).await
    }

    async fn write_until(
        &self,
        mut groups: impl Iterator<Item = Vec<Write>> + Send,
        retry: &Retry,
    ) -> Result<Vec<RefusedRow>, GaveUp<CqlError>> {
        let (mut waits, mut refused, mut left) = (retry.waits(), Vec::new(), Vec::new());
        loop {
            let Some(error) = self.write_once(&mut left, &mut groups, &mut refused).await? else {
                retry.report(Ok(()));
                return Ok(refused);
            };
            waits.wait("write rows", error).await?;
        }
    }

    /// One pass over what is left of the one before, and over the rest; what was not acknowledged is left, and why. After the first
    /// failure nothing new is sent: the store needs rest more than work.
    async fn write_once(
        &self,
        left: &mut Vec<Vec<Write>>,
        groups: &mut (impl Iterator<Item = Vec<Write>> + Send),
        refused: &mut Vec<RefusedRow>,
    ) -> Result<Option<CqlError>, GaveUp<CqlError>> {
        let mut first_error: Option<CqlError> = None;
        let mut again = std::mem::take(left).into_iter();
        let mut take = || again.next().or_else(|| groups.next());
        let mut next = take();
        let mut running = futures::stream::FuturesUnordered::new();
        loop {
            while first_error.is_none()
                && let Some(mut group) = next.take()
            {
                group.retain(|write| !is_refused(refused, write));
                if group.is_empty() {
                    next = take();
                    continue;
                }
                // A request is made when there is room for it: until then it would only take memory. Who has one in flight looks
                // for room again when that has ended.
                let room = if running.is_empty() { self.room().await } else { self.room_now() };
                if room.is_none() && !running.is_empty() {
                    next = Some(group);
                    break;
                }
                running.push(self.write_in(room, group));
                next = take();
            }
            let Some(outcome) = running.next().await else { break };
            refused.extend(outcome.refused);
            if let Some(error) = outcome.error {
                if !error.is_transient() {
                    return Err(GaveUp::Final(error));
                }
                left.push(outcome.left);
                first_error.get_or_insert(error);
            }
        }
        left.extend(next);
        left.extend(again);
        Ok(first_error)
    }

    async fn write_in(&self, room: Option<Room<'_>>, group: Vec<Write>) -> Outcome {
        let outcome = self.write_group(group).await;
        leave(room).await;
        outcome
    }

    async fn write_group(&self, group: Vec<Write>) -> Outcome {
        let Some(first) = group.first() else { return Outcome::default() };
        if group.len() == 1 {
            return self.write_each(group).await;
        }
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        batch.set_consistency(Consistency::LocalQuorum);
        for write in &group {
            batch.append_statement(write.statement.clone());
        }
        let values: Vec<&Box<dyn SerializeRow + Send + Sync>> = group.iter().map(|w| &w.values).collect();
        let outcome = self.session().batch(&batch, values).await;
        match outcome.map_err(|e| failed(&first.statement, e)) {
            Ok(_) => Outcome::default(),
            // One of them, or all of them together.
            Err(error) if error.is_of_values() => self.write_each(group).await,
            Err(error) => Outcome { left: group, error: Some(error), refused: Vec::new() },
        }
    }

    /// One after another. Where a row is refused nothing further of the same owner is written: what comes last says that the rows
    /// before it are there.
    async fn write_each(&self, group: Vec<Write>) -> Outcome {
        let mut refused: Vec<RefusedRow> = Vec::new();
        let mut group = group.into_iter();
        while let Some(write) = group.next() {
            if is_refused(&refused, &write) {
                continue;
            }
            let written = self.session().execute_unpaged(&write.statement, &write.values).await;
            match written.map_err(|e| failed(&write.statement, e)) {
                Ok(_) => {}
                Err(error) if error.is_of_values() && !write.of.is_empty() => {
                    refused.push(RefusedRow { of: write.of, problem: error.to_string() });
                }
                Err(error) => {
                    let left = std::iter::once(write).chain(group).collect();
                    return Outcome { left, error: Some(error), refused };
                }
            }
        }
        Outcome { refused, ..Outcome::default() }
    }
}

/// Whether a row of the same owner was refused.
fn is_refused(refused: &[RefusedRow], write: &Write) -> bool {
    refused.iter().any(|it| it.of == write.of)
}

/// One group per write, but one per [`BATCH`] writes of the same partition.
pub(super) fn grouped<W>(
    writes: impl IntoIterator<Item = W>,
    partition: impl Fn(&W) -> Option<u64>,
) -> Vec<Vec<W>> {
    let mut groups: Vec<Vec<W>> = Vec::new();
    let mut open: HashMap<u64, usize> = HashMap::new();
    for write in writes {
        if let Some(partition) = partition(&write) {
            if let Some(group) = open.get(&partition).and_then(|i| groups.get_mut(*i))
                && group.len() < BATCH
            {
                group.push(write);
                continue;
            }
            open.insert(partition, groups.len());
        }
        groups.push(vec![write]);
    }
    groups
}
