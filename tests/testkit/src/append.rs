//! Records that a test appends itself, by the port that every log has. Promises that they stand in the log, each partition's in their
//! order.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Context as _, ensure};
use ledger::{AppendId, EventLog, Inbox, NewRecord, Partition, Signal, partition_of};

use crate::PATIENCE;

/// Records on their way at once.
const TOGETHER: usize = 500;

/// Appends the records, each to the partition of its product. Blocks.
///
/// # Errors
/// If the log does not say that a record stands in it.
pub(crate) fn append(
    open: impl FnOnce(Arc<dyn Inbox>) -> anyhow::Result<Arc<dyn EventLog>>,
    records: Vec<NewRecord>,
) -> anyhow::Result<()> {
    let (outcomes, arrived) = sync_channel(TOGETHER);
    let log = open(Arc::new(Outcomes(outcomes)))?;
    let (mut records, mut last) = (records.into_iter(), vec![-1; log.partitions() as usize]);
    for first in (0_u64..).step_by(TOGETHER) {
        let keys: Vec<(Partition, String)> = records
            .by_ref()
            .take(TOGETHER)
            .zip(first..)
            .map(|(record, id)| {
                let key = record.key.to_string();
                let partition = partition_of(record.key.subject.as_str(), log.partitions());
                log.append(partition, AppendId(id), record);
                (partition, key)
            })
            .collect();
        if keys.is_empty() {
            break;
        }
        let mut offsets = vec![-1; keys.len()];
        for _ in &keys {
            let arrived = arrived.recv_timeout(PATIENCE);
            let (AppendId(id), outcome) = arrived.context("the log did not say what became of a record")?;
            let at = (id - first) as usize;
            offsets[at] = outcome.with_context(|| format!("appending {}", keys[at].1))?;
        }
        for ((partition, key), offset) in keys.iter().zip(offsets) {
            let before = std::mem::replace(&mut last[partition.0 as usize], offset);
            ensure!(before < offset, "{key} stands at {offset}, and what came before it at {before}");
        }
    }
    Ok(())
}

/// Passes on what became of appends.
struct Outcomes(SyncSender<(AppendId, Result<i64, ledger::AppendError>)>);

impl Inbox for Outcomes {
    fn deliver(&self, signal: Signal) {
        if let Signal::Appended { append_id, outcome, .. } = signal {
            // Whoever appended has given up, if nobody listens.
            drop(self.0.send((append_id, outcome)));
        }
    }
}
