//! The log of a partition: known before anything of it is applied.

use ledger::Offset;
use read_models::LogId;
use read_models::model::{Fold, Position, Store};
use toolkit::retry::GaveUp;

use super::stop::{End, Stop};
use super::{Batch, Task};
use crate::same_log::{LookError, REMEDY};

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Learns which log the partition is of, where the rows are as far as `stored` says. Nothing is written of another log.
    pub(super) async fn know_log(&mut self, stored: Position) -> Result<(), End> {
        self.log = self.look(stored.log, stored.applied).await?;
        Ok(())
    }

    /// Makes sure that the batch is of the log that the partition was of when it was taken over.
    pub(super) async fn is_of_its_log(&mut self, batch: &Batch) -> Result<(), End> {
        match self.log {
            // It was empty, and this is its beginning.
            None => self.log = batch.records.first().map(LogId::of_first),
            Some(log) if !self.context.same_log.is_fresh() => {
                let (partition, at) = (self.claim.partition.0, self.bound.settled());
                let look = || self.context.same_log.look_again(partition, log, at);
                let looked = self.kafka_retry.run("look whether it is the log it was", look).await;
                looked.map_err(|gave_up| self.not_looked_at(gave_up))?;
            }
            Some(_) => {}
        }
        self.is_stopped_by_log()
    }

    /// An error if any partition of this build has shown another log.
    pub(super) fn is_stopped_by_log(&self) -> Result<(), End> {
        match &*self.replaced.borrow() {
            Some(found) => Err(self.other_log(found)),
            None => Ok(()),
        }
    }

    async fn look(&self, log: Option<LogId>, at: Offset) -> Result<Option<LogId>, End> {
        let partition = self.claim.partition.0;
        let look = || self.context.same_log.look(partition, log, at);
        let looked = self.kafka_retry.run("look which log it is", look).await;
        looked.map(|now| now.log).map_err(|gave_up| self.not_looked_at(gave_up))
    }

    fn not_looked_at(&self, gave_up: GaveUp<LookError>) -> End {
        match gave_up {
            GaveUp::Final(LookError::Other(found)) => self.other_log(&found),
            // The partition is another member's.
            GaveUp::Cancelled { .. } => End::GivenBack,
            GaveUp::Final(LookError::Away(error)) => {
                let at = self.bound.settled();
                End::Stopped(Stop::new(at, error.to_string(), "restart the projector: its client is closed"))
            }
        }
    }

    fn other_log(&self, found: &str) -> End {
        End::Stopped(Stop::new(self.bound.settled(), found, REMEDY))
    }
}
