//! Many idempotent writes at once.
//!
//! Promise: when [`Cql::write_all`] returns `Ok`, every write was acknowledged by a quorum.

use std::collections::HashMap;
use std::fmt;

use futures::StreamExt;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};

use super::{Cql, CqlError, Prepared, failed};
use toolkit::retry::{GaveUp, Retry};

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

    /// Says whose row it is: if the store refuses it for good, the error names it.
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
const BATCH: usize = 64;

impl Cql {
    /// Does all `writes`, in any order, at most `config.concurrency` at once (of all clones together). Those that fail for a transient reason are
    /// done again as `retry` says; others end it. A row whose values are refused is named ([`CqlError::Refused`]).
    pub async fn write_all(&self, writes: Vec<Write>, retry: &Retry) -> Result<(), GaveUp<CqlError>> {
        let mut pending = grouped(writes, |write| write.partition);
        let mut waits = retry.waits();
        while !pending.is_empty() {
            let (left, error) = self.write_once(pending).await?;
            pending = left;
            match error {
                Some(error) => waits.wait("write rows", error).await?,
                None => retry.report(Ok(())),
            }
        }
        Ok(())
    }

    /// One pass; gives back what was not acknowledged and why. After the first failure nothing new is sent: the store needs
    /// rest more than work.
    async fn write_once(
        &self,
        groups: Vec<Vec<Write>>,
    ) -> Result<(Vec<Vec<Write>>, Option<CqlError>), GaveUp<CqlError>> {
        let mut left = Vec::new();
        let mut first_error: Option<CqlError> = None;
        let mut waiting = groups.into_iter();
        let mut running = futures::stream::FuturesUnordered::new();
        loop {
            while first_error.is_none() && running.len() < self.concurrency {
                let Some(group) = waiting.next() else { break };
                running.push(self.write_group(group));
            }
            let Some((group, outcome)) = running.next().await else { break };
            if let Err(error) = outcome {
                if !error.is_transient() {
                    return Err(GaveUp::Final(error));
                }
                left.push(group);
                first_error.get_or_insert(error);
            }
        }
        left.extend(waiting);
        Ok((left, first_error))
    }

    async fn write_group(&self, group: Vec<Write>) -> (Vec<Write>, Result<(), CqlError>) {
        let Some(first) = group.first() else { return (group, Ok(())) };
        let _permit = self.permit().await;
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
        match outcome.map(|_| ()).map_err(|e| failed(&first.statement, e)) {
            // One of them, or all of them together.
            Err(error) if error.is_of_values() => self.write_each(group).await,
            outcome => (group, outcome),
        }
    }

    /// One after another.
    async fn write_each(&self, group: Vec<Write>) -> (Vec<Write>, Result<(), CqlError>) {
        for write in &group {
            let written = self.session().execute_unpaged(&write.statement, &write.values).await;
            let outcome = match written.map_err(|e| failed(&write.statement, e)) {
                Ok(_) => continue,
                Err(error) if error.is_of_values() && !write.of.is_empty() => {
                    CqlError::Refused { of: write.of.clone(), problem: error.to_string() }
                }
                Err(error) => error,
            };
            return (group, Err(outcome));
        }
        (group, Ok(()))
    }
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
