//! Reading a stretch of a partition: for looking back, repairs, audits.
//!
//! Promises: every record from `from` on and below `to`, in order, in batches, and no more memory than a few batches whatever
//! the length; an error instead of a silent gap, also if the log ends before `to`.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use ledger::{LogRecord, Offset, Partition};
use tokio::sync::mpsc;

use super::{Error, LEADER};

/// Reads that may wait.
const WAITING: usize = 256;
const BATCHES: usize = 4;

/// The next records of a stretch, in order, or why it ends early.
pub type RangeBatch = Result<Vec<LogRecord>, Error>;

/// Reads stretches of one topic, one after another.
#[derive(Clone, Debug)]
pub struct RangeReader {
    requests: Sender<RangeRequest>,
    topic: Arc<str>,
}

/// A stretch to read, for the adapter's thread. The read ends when this is dropped.
#[derive(Debug)]
pub struct RangeRequest {
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
    batches: mpsc::Sender<RangeBatch>,
}

impl RangeRequest {
    /// Hands over the next batch; whether anybody still reads. Blocks while the reader is slow.
    pub fn give(&self, batch: RangeBatch) -> bool {
        self.batches.blocking_send(batch).is_ok()
    }

    /// What is tried, for an error: `read 3..9 of partition 1 of TOPIC`.
    pub fn tried(&self, topic: &str) -> String {
        format!("read {}..{} of partition {} of {topic}", self.from, self.to, self.partition)
    }
}

impl RangeReader {
    /// The handle, and the requests its adapter serves.
    pub fn channel(topic: &str) -> (Self, Receiver<RangeRequest>) {
        let (requests, asked) = bounded(WAITING);
        (Self { requests, topic: topic.into() }, asked)
    }

    /// The records at `from..to`, in batches. The channel closes after the last batch; dropping it ends the read.
    pub fn read(
        &self,
        partition: Partition,
        from: Offset,
        to: Offset,
    ) -> Result<mpsc::Receiver<RangeBatch>, Error> {
        let (batches, records) = mpsc::channel(BATCHES);
        if from >= to {
            return Ok(records);
        }
        match self.requests.try_send(RangeRequest { partition, from, to, batches }) {
            Ok(()) => Ok(records),
            Err(TrySendError::Disconnected(request)) => Err(Error::Closed(request.tried(&self.topic))),
            Err(TrySendError::Full(request)) => Err(Error::Unreachable {
                tried: request.tried(&self.topic),
                servers: LEADER.to_owned(),
                problem: format!("{WAITING} other reads wait"),
            }),
        }
    }

    /// Shows `each` the records at `from..to`, in order.
    pub async fn each(
        &self,
        partition: Partition,
        from: Offset,
        to: Offset,
        mut each: impl FnMut(LogRecord),
    ) -> Result<(), Error> {
        let mut batches = self.read(partition, from, to)?;
        while let Some(batch) = batches.recv().await {
            batch?.into_iter().for_each(&mut each);
        }
        Ok(())
    }
}
