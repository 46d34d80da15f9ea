//! Records that a test appends itself, by the port that every log has. Promises that they stand in the log, in their order.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::Context as _;
use ledger::{AppendId, EventLog, Inbox, NewRecord, Signal, partition_of};

use crate::PATIENCE;

/// Appends the records, each to the partition of its product, one after the other. Blocks.
///
/// # Errors
/// If the log does not say that a record stands in it.
pub(crate) fn append(
    open: impl FnOnce(Arc<dyn Inbox>) -> anyhow::Result<Arc<dyn EventLog>>,
    records: Vec<NewRecord>,
) -> anyhow::Result<()> {
    let (outcomes, arrived) = sync_channel(1);
    let log = open(Arc::new(Outcomes(outcomes)))?;
    for (id, record) in (0..).zip(records) {
        let key = record.key.to_string();
        let partition = partition_of(record.key.subject.as_str(), log.partitions());
        log.append(partition, AppendId(id), record);
        let outcome =
            arrived.recv_timeout(PATIENCE).context("the log did not say what became of a record")?;
        outcome.with_context(|| format!("appending {key}"))?;
    }
    Ok(())
}

/// Passes on what became of appends, one at a time.
struct Outcomes(SyncSender<Result<i64, ledger::AppendError>>);

impl Inbox for Outcomes {
    fn deliver(&self, signal: Signal) {
        if let Signal::Appended { outcome, .. } = signal {
            // Whoever appended has given up, if nobody listens.
            drop(self.0.send(outcome));
        }
    }
}
